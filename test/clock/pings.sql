--
-- Pings do not change the health and take nothing from deliveries: of pings that
-- cannot start at once memory holds few.
--
BEGIN;
SELECT plan(17);

CREATE TEMP VIEW most_in_flight AS
SELECT subscription, max(n) AS n
FROM (SELECT a.subscription, count(*) AS n FROM clock.posts() a
	  JOIN clock.posts() b ON b.subscription = a.subscription AND b.at <= a.at
		AND coalesce(b.ended > a.at, true)
	  GROUP BY a.subscription, a.position) p
GROUP BY subscription;

-- Two thousand pings to an endpoint that hangs, and a flow to another one, which
-- fails now and then.
SELECT clock.subscribe('timeout=20000');
SELECT clock.subscribe('retry_schedule=1 1 1 1 1 1');
SELECT clock.answer(1, 'error=timeout');
SELECT clock.answer(2, 'took=20');
SELECT clock.run('1 s');
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT count(clock.ping(1)) FROM generate_series(1, 2000);
SELECT clock.send(2, 'flow%', 1200, 0, '50 ms');
SELECT clock.run('5 s');
SELECT clock.answer(2, 'status=404 took=20 times=1', 'took=20');
SELECT clock.run('56 s');
SELECT is(array_agg(DISTINCT slow), '{f}', 'pings do not make it slow') FROM clock.posts() WHERE subscription = 1;
SELECT is(ROW(concurrency, slow, failures)::text, '(2,f,0)', 'nor do they count') FROM clock.states() WHERE subscription = 1;
SELECT is(n, 2::bigint, 'never more in flight than it may have') FROM most_in_flight WHERE subscription = 1;
SELECT is(count(*), 1200::bigint, 'the flow is delivered') FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'delivered';
CREATE TEMP VIEW flow AS
SELECT p.at - began - substr(p.subject, 5)::int * interval '50 ms' AS waited, p.at - began AS at, attempt
FROM clock.posts() p, t WHERE p.subscription = 2 AND p.at >= began;
SELECT is(max(waited), interval '0', 'and has not waited') FROM flow WHERE attempt = 1;
SELECT cmp_ok(max(waited), '<', interval '1.5 s', 'nor has what is due') FROM flow;

-- After unsubscribe() pings in memory end as those in pending do.
SELECT clock.unsubscribe(1);
SELECT clock.command('x', 1, NULL, NULL);
SELECT cmp_ok(clock.settle('1 min'), '<', interval '30 s', 'all of them end');
SELECT is(count(DISTINCT position), 2000::bigint, 'each in the log') FROM clock.outcomes() WHERE subscription = 1 AND outcome IN ('failed', 'cancelled');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- Two thousand pings made during a pause: all are due when it ends.
SELECT clock.subscribe('timeout=20000', 'paused=true');
SELECT clock.answer(3, 'error=timeout');
SELECT count(clock.ping(3)) FROM generate_series(1, 2000);
SELECT clock.run('5 s');
SELECT is(count(*), 2000::bigint, 'they wait') FROM clock.pending() WHERE subscription = 3;
UPDATE t SET began = clock.now();
SELECT clock.alter(3, 'paused=false');
SELECT clock.answer(2, 'status=404 took=20 times=1', 'took=20');
SELECT clock.send(2, 'flow%', 1200, 0, '50 ms');
SELECT clock.run('61 s');
SELECT is(count(*), 1201::bigint, 'the flow is sent') FROM flow;
SELECT is(max(waited), interval '0', 'and has not waited') FROM flow WHERE attempt = 1;
SELECT cmp_ok(max(waited), '<', interval '1.5 s', 'nor has what is due') FROM flow;
SELECT clock.unsubscribe(3);
SELECT clock.command('x', 3, NULL, NULL);
SELECT clock.settle('1 min');

-- Three hundred pings that hang are charged to the slow pool after two seconds, so
-- deliveries have the fast pool.
SELECT count(clock.subscribe('timeout=20000')) FROM generate_series(1, 300);
SELECT clock.answer(id, 'error=timeout') FROM generate_series(4, 303) id;
UPDATE t SET began = clock.now();
SELECT count(clock.ping(id)) FROM generate_series(4, 303) id, generate_series(1, 3);
SELECT clock.send(2, 'flow%', 1200, 0, '50 ms');
SELECT clock.run('61 s');
SELECT is(count(*), 1200::bigint, 'the flow is sent') FROM flow;
SELECT cmp_ok(max(waited), '<=', interval '2.5 s', 'it waits for no more than two seconds') FROM flow;
SELECT is(max(waited), interval '0', 'then it does not wait') FROM flow WHERE at > '5 s';
SELECT clock.settle('5 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
