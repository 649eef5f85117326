--
-- Rate limit: a bucket of tokens, one second's worth.
--
BEGIN;
SELECT plan(15);

SELECT clock.subscribe('rate_limit=5');
SELECT clock.send(1, 's%', 1000);
SELECT clock.run('60 s');
SELECT cmp_ok(count(*), '>=', 295::bigint, 'five a second') FROM clock.posts();
SELECT cmp_ok(count(*), '<=', 305::bigint, 'and no more') FROM clock.posts();
SELECT cmp_ok(max(n), '<=', 5::bigint, 'a burst of a second')
FROM (SELECT count(*) n FROM clock.posts() a JOIN clock.posts() b ON b.at BETWEEN a.at AND a.at + interval '0.1 s' GROUP BY a.position) p;
SELECT is(max(n), 5::bigint, 'in any second after the first')
FROM (SELECT count(*) n FROM clock.posts() a JOIN clock.posts() b ON b.at >= a.at AND b.at < a.at + interval '1 s'
	  WHERE a.at > '2 s' AND a.at < '58 s' GROUP BY a.position) p;
SELECT is((SELECT array_agg(change) FROM clock.notices()), '{limited}', 'that is told once a minute');
SELECT cmp_ok(queued, '<=', 20, 'it does not wait in memory') FROM clock.load();
SELECT clock.settle('5 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'all goes');

-- After a minute without requests there is a burst of five again.
SELECT clock.run('1 min');
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.send(1, 't%', 20);
SELECT clock.run('0.1 s');
SELECT is(count(*), 5::bigint, 'unused tokens do not add up') FROM clock.posts(), t WHERE at >= began;

-- One request in two seconds; failures take tokens, too.
SELECT clock.subscribe('rate_limit=0.5', 'retry_schedule=1 1');
SELECT clock.answer(2, 'status=404');
SELECT clock.send(2, 's%', 10);
SELECT clock.run('1 min');
SELECT is(array_agg(DISTINCT gap), '{2 s}'::interval[], 'one in two seconds')
FROM (SELECT at - lag(at) OVER (ORDER BY at) AS gap FROM clock.posts() WHERE subscription = 2) p
	WHERE gap IS NOT NULL;
SELECT is(count(*), 30::bigint, 'each of thirty attempts') FROM clock.posts() WHERE subscription = 2;

-- The rate limit is removed.
SELECT clock.alter(1, 'rate_limit=0');
SELECT clock.send(1, 'u%', 100);
SELECT clock.run('1 s');
SELECT cmp_ok(count(*), '>=', 100::bigint, 'without a limit all go at once') FROM clock.posts() WHERE subject LIKE 'u%';

-- One request in 17 minutes, until the rate limit is changed.
SELECT clock.alter(1, 'rate_limit=0.001');
SELECT clock.send(1, 'v%', 3);
SELECT clock.run('1 min');
SELECT is(count(*), 1::bigint, 'a low limit') FROM clock.posts() WHERE subject LIKE 'v%';
SELECT clock.alter(1, 'rate_limit=0');
SELECT clock.run('1 s');
SELECT is(count(*), 3::bigint, 'another one holds at once') FROM clock.posts() WHERE subject LIKE 'v%';

-- An endpoint that asks for a pause every other time: that is told once a minute.
SELECT clock.subscribe('retry_schedule=1 1 1 1 1 1 1 1 1 1 1 1 1 1');
SELECT clock.answer(3, 'status=429 retry_after=1', '');
SELECT clock.send(3, 'p%', 300, 0, '1 s');
SELECT clock.run('3 min');
SELECT cmp_ok(count(*), '>=', 30::bigint, 'it asks often') FROM clock.outcomes() WHERE subscription = 3 AND outcome = 'retrying';
SELECT is(count(*), 3::bigint, 'that is told once a minute') FROM clock.notices() WHERE subscription = 3 AND change = 'waiting';

SELECT * FROM finish();
ROLLBACK;
