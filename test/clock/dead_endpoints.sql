--
-- A thousand dead endpoints: one probe each per interval, and nothing else.
--
BEGIN;
SELECT plan(8);

SELECT count(clock.subscribe('retry_schedule=86400')) FROM generate_series(1, 1000);
SELECT clock.answer(id, 'error=connect took=1') FROM generate_series(1, 1000) id;
SELECT clock.send(NULL, 's%', 20);
SELECT clock.run('9 s');
SELECT is(count(*), 1000::bigint, 'all are open') FROM clock.states() WHERE breaker = 'open';
SELECT is((SELECT count(*) FROM clock.posts()), 10000::bigint, 'after ten each');
SELECT is((SELECT count(*) FROM clock.pending()), 20000::bigint, 'everything waits');
SELECT is((SELECT ROW(queued, in_flight, unflushed, memory, rows, subjects)::text FROM clock.load()), '(0,0,0,0,0,0)',
		  'outside of memory');

-- Each breaker has its own times: when it opened, and after that its probes.
SELECT clock.run('2 h');
CREATE TEMP TABLE probes AS
SELECT subscription, at, ended, at - lag(ended) OVER w AS gap, row_number() OVER w AS n, probe
FROM clock.posts() WINDOW w AS (PARTITION BY subscription ORDER BY at);
SELECT is(array_agg(DISTINCT round(extract(epoch FROM gap), 1)), '{10,20,40,80,160,320,640,1280,2560}'::numeric[],
		  'one probe at a time, each when it is due')
FROM probes WHERE probe;
SELECT is(array_agg(DISTINCT n), '{9}'::bigint[], 'nine of each in two hours')
FROM (SELECT count(*) n FROM probes WHERE probe GROUP BY subscription) p;

SELECT clock.answer(id, 'took=5') FROM generate_series(1, 1000) id;
SELECT clock.run('28 h');
SELECT is(count(*), 20000::bigint, 'all is delivered in the end') FROM clock.outcomes() WHERE outcome = 'delivered';
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
