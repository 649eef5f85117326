--
-- The breaker: when it opens, what a probe is, and how it closes.
--
BEGIN;
SELECT plan(43);

SELECT clock.subscribe('retry_schedule=1 1 1 1 1 1');
SELECT clock.answer(1, 'error=connect');

-- Twelve contracts; one at a time fails after the first two.
SELECT clock.send(1, 's%', 12);
SELECT clock.run('5 s');
SELECT is(count(*), 10::bigint, 'ten failures') FROM clock.posts();
SELECT is((SELECT ROW(s.breaker, s.consecutive_failures, s.slow, s.delayed_until = max(p.ended) + interval '10 s')::text
		   FROM clock.states() s, clock.posts() p GROUP BY s.breaker, s.consecutive_failures, s.slow, s.delayed_until), '(open,10,t,t)',
		  'open it, until ten seconds after the last');
SELECT is((SELECT reason FROM clock.states()), 'connect  LOG:  forged [2J', 'why, on one line, whatever it holds');
SELECT is((SELECT string_agg(change, ' ') FROM clock.notices()), 'opened', 'the change is told, once');
SELECT is((SELECT at FROM clock.notices()), (SELECT max(at) FROM clock.outcomes() WHERE outcome = 'retrying'),
		  'at once, as far as it can be written');
SELECT is((SELECT ROW(queued, in_flight, rows)::text FROM clock.load()), '(0,0,0)', 'nothing of it is in memory');
SELECT is((SELECT count(*) FROM clock.pending()), 12::bigint, 'all of it waits');
SELECT clock.send(1, 'late', 1);

-- Probes.
CREATE TEMP TABLE t AS SELECT max(ended) AS opened FROM clock.posts();
SELECT clock.run('4 h');
CREATE TEMP VIEW probes AS
SELECT p.*, p.at - opened AS since, p.at - lag(p.ended, 1, opened) OVER (ORDER BY p.at) AS gap,
	row_number() OVER (ORDER BY p.at) AS n
FROM clock.posts() p, t WHERE p.at > opened;
SELECT is((SELECT array_agg(gap ORDER BY n) FROM probes WHERE n <= 12),
		  '{10 s,20 s,40 s,80 s,160 s,320 s,640 s,1280 s,2560 s,3600 s,3600 s}'::interval[],
		  'after 10 s, 20 s, and so on, up to an hour');
SELECT ok(bool_and(probe AND slow AND in_flight = 1), 'one at a time, in a place of the slow') FROM probes;
SELECT is(count(DISTINCT subject), 11::bigint, 'each tries another one') FROM probes;
SELECT is((SELECT array_agg(o.attempt - o.step ORDER BY o.number) FROM clock.outcomes() o, t
		   WHERE o.at > opened AND o.outcome = 'retrying'), array_fill(1, '{11}'),
		  'a probe is an attempt, and no step of the schedule')
WHERE NOT EXISTS (SELECT FROM clock.outcomes() WHERE outcome = 'failed');
SELECT is((SELECT string_agg(change, ' ') FROM clock.notices()), 'opened', 'nothing more is told');
SELECT is((SELECT consecutive_failures FROM clock.states()), 21, 'failures add up');
SELECT is((SELECT ROW(queued, in_flight, rows, due)::text FROM clock.load()), '(0,0,0,f)', 'in between nothing is in memory, or due');

-- The endpoint works again.
SELECT clock.answer(1, 'took=100');
SELECT clock.run('1 h');
SELECT is((SELECT string_agg(change, ' ' ORDER BY at) FROM clock.notices()), 'opened closed', 'a success closes it');
SELECT is(count(*), 13::bigint, 'all that waited is delivered') FROM clock.outcomes() WHERE outcome = 'delivered';
SELECT cmp_ok(max(ended) - min(ended), '<', interval '1 s', 'within a second')
FROM clock.posts() WHERE status = 200 AND ended IS NOT NULL;
SELECT is((SELECT ROW(probe_interval, consecutive_failures, failures, failing_since, reason)::text FROM clock.states()), '(00:00:00,0,0,,)',
		  'nothing is held against it');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- Deliveries that waited for one contract are sent in order, before later ones.
SELECT clock.answer(1, 'error=connect');
SELECT clock.send(1, 'x%', 10);
SELECT clock.run('10 s');
SELECT is((SELECT breaker FROM clock.states()), 'open', 'open again');
SELECT is((SELECT probe_interval FROM clock.states()), interval '10 s', 'from ten seconds on again');
SELECT clock.send(1, 'one', 5, 0, '1 s');
SELECT clock.run('7 s');
SELECT clock.answer(1, 'took=100');
SELECT clock.send(1, 'one', 5, 0, '20 ms');
SELECT clock.run('10 min');
SELECT is((SELECT array_agg(position ORDER BY at) FROM clock.posts() WHERE subject = 'one' AND status = 200),
		  (SELECT array_agg(position ORDER BY position) FROM clock.posts() WHERE subject = 'one' AND status = 200),
		  'in order');
SELECT is(count(*), 10::bigint, 'all of them') FROM clock.posts() WHERE subject = 'one' AND status = 200;
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- Any answer to a probe that is not a failure of the endpoint closes the breaker.
SELECT clock.subscribe('retry_schedule=1 1 1');
SELECT clock.answer(2, 'status=503');
SELECT clock.send(2, 'a%', 10);
SELECT clock.run('8 s');
SELECT is((SELECT breaker FROM clock.states() WHERE subscription = 2), 'open', 'open');
SELECT clock.answer(2, 'status=404 times=1', 'status=200');
SELECT clock.run('1 min');
SELECT is((SELECT ROW(o.step, o.attempt, o.outcome, o.next_at - p.ended > interval '0.7 s')::text FROM clock.outcomes() o JOIN clock.posts() p
		   ON p.subscription = 2 AND p.status = 404 AND o.subscription = 2
		   AND o.position = p.position AND o.attempt = p.attempt),
		  '(1,2,retrying,t)', 'a 404 waits as the schedule says, and spends no step either');
SELECT is((SELECT string_agg(change, ' ' ORDER BY at) FROM clock.notices() WHERE subscription = 2), 'opened closed', 'and closes it');
SELECT is((SELECT at FROM clock.notices() WHERE subscription = 2 AND change = 'closed') -
		  (SELECT ended FROM clock.posts() WHERE subscription = 2 AND status = 404) < interval '10 ms', true, 'at once');
SELECT is(count(*), 10::bigint, 'all is delivered') FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'delivered';

-- Failures of the endpoint count; another answer sets the count back to 0.
SELECT clock.subscribe('retry_schedule=1');
SELECT clock.answer(3, 'error=connect times=1', 'error=tls times=1', 'error=timeout times=1', 'error=reset times=1',
	'status=408 times=1', 'status=429 times=1', 'status=500 times=1', 'status=503 times=1', 'error=dns times=1', 'status=301 times=1', 'status=500');
SELECT clock.send(3, NULL, 40);
SELECT clock.run('40 s');
SELECT is(count(*), 20::bigint, 'nine, one of another kind, ten') FROM clock.posts() WHERE subscription = 3 AND NOT probe;
SELECT is((SELECT ROW(breaker, consecutive_failures)::text FROM clock.states() WHERE subscription = 3), '(open,10)', 'ten in a row open it');

-- A delivery that is too old when it is to be the probe, or whose message cannot
-- be built, is followed by the next one at once and tells nothing of the endpoint.
SELECT clock.subscribe('retry_schedule=' || rtrim(repeat('1 ', 30)), 'max_age=60');
SELECT clock.answer(4, 'error=connect');
SELECT clock.send(4, 'old%', 12);
SELECT clock.run('71 s');
SELECT is((SELECT breaker FROM clock.states() WHERE subscription = 4), 'open', 'open for more than a minute');
SELECT clock.answer(4, '');
SELECT clock.send(4, 'unmade%', 3);
SELECT clock.send(4, 'new', 1);
SELECT clock.run('10 min');
SELECT is((SELECT array_agg(DISTINCT error_class) FROM clock.outcomes() WHERE subscription = 4 AND outcome = 'failed'), '{message,too_old}', 'both kinds fail');
SELECT is(count(*), 15::bigint, 'without a call') FROM clock.outcomes() WHERE subscription = 4 AND outcome = 'failed';
SELECT is((SELECT ROW(status, probe, in_flight)::text FROM clock.posts() WHERE subscription = 4 ORDER BY at DESC LIMIT 1), '(200,t,1)', 'the next one is the probe');
SELECT cmp_ok((SELECT at FROM clock.posts() WHERE subscription = 4 AND subject = 'new') -
		  (SELECT max(at) FROM clock.outcomes() WHERE subscription = 4 AND outcome = 'failed'), '<', interval '1 s', 'at once');
SELECT is((SELECT string_agg(change, ' ' ORDER BY at) FROM clock.notices() WHERE subscription = 4), 'opened closed', 'and closes the breaker');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 4), 0::bigint, 'nothing waits');

-- Changing the endpoint resets the health, delays included; it does not enable a
-- subscription that the worker has disabled.
SELECT clock.subscribe('retry_schedule=' || rtrim(repeat('1 ', 30)));
SELECT clock.answer(5, 'error=connect');
SELECT clock.send(5, 's%', 30);
SELECT clock.run('1 h');
SELECT cmp_ok((SELECT not_before FROM clock.states() WHERE subscription = 5) - clock.now(), '>', interval '10 min', 'probes are rare');
SELECT clock.answer(5, '');
SELECT clock.command('c', 5, NULL, NULL);
SELECT clock.run('3 s');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 5 AND outcome = 'delivered'), 30::bigint, 'all is delivered at once');
SELECT is((SELECT ROW(consecutive_failures, failures)::text FROM clock.states() WHERE subscription = 5), '(0,0)', 'nothing counts against it');
SELECT clock.answer(5, 'status=410');
SELECT clock.send(5, 't', 1);
SELECT clock.run('1 s');
SELECT clock.command('c', 5, NULL, NULL);
SELECT clock.run('1 s');
SELECT isnt((SELECT disabled_at FROM clock.states() WHERE subscription = 5), NULL, 'given up, it stays so');
SELECT clock.send(5, 't', 1);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 5 AND status = 410), 1::bigint, 'and is sent nothing');

SELECT * FROM finish();
ROLLBACK;
