--
-- Two pools: endpoints that hang take no requests from one that answers.
--
BEGIN;
SELECT plan(20);

-- A hundred endpoints that hang from the start.
SELECT count(clock.subscribe()) FROM generate_series(1, 101);
SELECT clock.answer(id, 'error=timeout') FROM generate_series(1, 100) id;
SELECT clock.send(id, 'hang%', 16) FROM generate_series(1, 100) id;
SELECT clock.send(101, 'steady%', 1200, 0, '50 ms');
SELECT clock.run('61 s');

CREATE TEMP VIEW steady AS
SELECT at, at - substr(subject, 7)::int * interval '50 ms' AS waited, slow
FROM clock.posts() WHERE subscription = 101 AND subject LIKE 'steady%';
CREATE TEMP VIEW hanging AS
SELECT * FROM clock.posts() WHERE subscription <= 100 AND subject LIKE 'hang%';

SELECT is(count(*), 1200::bigint, 'all of the steady ones are sent') FROM steady;
SELECT cmp_ok(max(waited), '<=', interval '0.5 s', 'none waits long, while memory is full of the others') FROM steady;
SELECT is(max(waited), interval '0', 'then none waits at all') FROM steady WHERE at > interval '1 s';
SELECT ok(bool_and(NOT slow), 'all in the fast pool') FROM steady;
SELECT is(count(*), 200::bigint, 'two each of those that hang') FROM hanging WHERE at < interval '30 s';
SELECT ok(bool_and(slow), 'after the first two seconds in places of the slow')
FROM hanging WHERE at >= interval '2 s';
SELECT is(max(in_flight - fast_in_flight), 100, 'one at a time of each slow one')
FROM clock.posts() WHERE at > '35 s';
SELECT cmp_ok(max(fast_in_flight), '<=', 256, 'no more than the setting in the fast pool') FROM clock.posts();

-- When the answers come, all is sent, and nothing is left.
SELECT clock.answer(id, '') FROM generate_series(1, 100) id;
SELECT cmp_ok(clock.settle('3 h'), '<', interval '3 h', 'they recover');
SELECT is(count(*), 1600::bigint, 'all is delivered')
FROM clock.outcomes() WHERE outcome = 'delivered' AND subject LIKE 'hang%';
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- The same, but they had sixteen requests at a time before: requests that are in
-- flight when they begin to hang stay in the fast pool for two seconds. When more
-- of them hang than the pool can hold, each may start fewer.
SELECT clock.send(NULL, 'good%', 40);
SELECT clock.settle('2 min');
SELECT is(count(*), 101::bigint, 'all have full concurrency') FROM clock.states() WHERE concurrency = 16;
SELECT clock.answer(id, 'error=timeout') FROM generate_series(1, 100) id;
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.send(id, 'again%', 16) FROM generate_series(1, 100) id;
SELECT clock.send(101, 'flow%', 1200, 0, '50 ms');
SELECT clock.run('61 s');
CREATE TEMP TABLE flow AS
SELECT p.at - began AS at, p.at - began - CASE WHEN p.subject LIKE 'flow%' THEN substr(p.subject, 5)::int ELSE 0 END * interval '50 ms' AS waited,
	   p.slow, fast_in_flight, p.in_flight, p.subscription
FROM clock.posts() p, t WHERE p.at >= began;
SELECT cmp_ok(max(waited), '<=', interval '7 s', 'none waits longer than twice that') FROM flow WHERE subscription = 101;
SELECT is(max(waited), interval '0', 'after that none waits at all')
FROM flow WHERE subscription = 101 AND at > interval '7 s';
SELECT cmp_ok(max(fast_in_flight), '<=', 256, 'no more than the setting in the fast pool') FROM flow;
SELECT cmp_ok(max(in_flight), '<=', 4 * 256, 'four times as many in all') FROM flow;
SELECT is(count(*), 0::bigint, 'and none of the slow starts where there are as many already')
FROM flow WHERE slow AND in_flight - fast_in_flight > 256;

-- While there is no local port for one receiver, it waits, and nobody else.
SELECT clock.answer(id, '') FROM generate_series(1, 100) id;
SELECT clock.settle('3 h');
SELECT clock.subscribe() FROM generate_series(102, 103);
CREATE TEMP TABLE ports AS SELECT clock.now() AS began;
SELECT clock.answer(102, 'error=no_port took=1 times=5', '');
SELECT clock.send(102, NULL, 1);
SELECT clock.answer(103, 'took=100');
SELECT clock.send(103, NULL, 300, 0, '20 ms');
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(date_trunc('second', at - began) || ' ' || attempt ORDER BY at) FROM clock.posts(), ports WHERE subscription = 102 AND at >= began),
		  '{"00:00:00 1","00:00:01 1","00:00:02 1","00:00:03 1","00:00:04 1","00:00:05 1"}', 'it is tried each second, and no attempt is counted');
SELECT is((SELECT consecutive_failures FROM clock.states() WHERE subscription = 102), 0, 'that is no failure');
SELECT cmp_ok((SELECT count(*) FROM clock.posts(), ports WHERE subscription = 103 AND at - began < '6.1 s'), '=', 300::bigint, 'the other one does not wait');

SELECT * FROM finish();
ROLLBACK;
