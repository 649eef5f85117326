--
-- Many busy subscriptions whose endpoints work: their deliveries stay in memory
-- while they wait, and rows of pending are loaded for all of them alike.
--
BEGIN;
SELECT plan(7);

-- A thousand a second in all, so each waits for about a second.
SELECT clock.set('webhook.max_in_flight', '10');
SELECT count(clock.subscribe()) FROM generate_series(1, 64);
SELECT clock.answer(id, 'took=10') FROM generate_series(1, 64) id;
SELECT clock.send(NULL, 'busy%', 200);
SELECT cmp_ok(clock.settle('1 min'), '<=', interval '14 s', 'no place is idle');
SELECT is(count(*) FILTER (WHERE outcome = 'delivered'), 12800::bigint, 'all is delivered') FROM clock.outcomes();
SELECT is(count(*) FILTER (WHERE outcome = 'deferred'), 0::bigint, 'none of it was moved to the table') FROM clock.outcomes();

-- Forty subscriptions with a backlog each, and a flow whose retries are due meanwhile.
SELECT clock.set('webhook.max_in_flight', '256');
SELECT clock.answer(id, 'took=100') FROM generate_series(1, 40) id;
SELECT clock.subscribe('retry_schedule=1 1 1');
SELECT clock.answer(65, 'status=404 took=10 weight=1', 'took=10 weight=9');
SELECT clock.alter(id, 'paused=true') FROM generate_series(1, 40) id;
SELECT clock.send(id, 'deferred%', 500) FROM generate_series(1, 40) id;
SELECT clock.run('5 s');
SELECT is(count(*), 20000::bigint, 'they wait') FROM clock.pending();
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.alter(id, 'paused=false') FROM generate_series(1, 40) id;
SELECT clock.send(65, 'flow%', 400, 0, '20 ms');
SELECT clock.run('20 s');
SELECT is(count(*), 20000::bigint, 'all of it is sent') FROM clock.posts(), t WHERE at >= began AND subject LIKE 'deferred%';
SELECT cmp_ok(count(*), '>', 400::bigint, 'the flow has retries') FROM clock.posts(), t WHERE at >= began AND subscription = 65;
SELECT cmp_ok(max(at - before), '<=', interval '2 s', 'and none of them waits behind all the others')
FROM (SELECT at, lag(ended) OVER (PARTITION BY position ORDER BY attempt) AS before
	  FROM clock.posts(), t WHERE at >= began AND subscription = 65) p;

SELECT * FROM finish();
ROLLBACK;
