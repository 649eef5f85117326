--
-- A delivery that has reached max_age fails without a POST; time in which its
-- subscription may not send does not count.
--
BEGIN;
SELECT plan(15);

-- A dead endpoint.
SELECT clock.subscribe();
SELECT clock.answer(1, 'error=connect took=1');
SELECT clock.send(1, 's%', 12);
SELECT clock.run('1 s');

SELECT clock.subscribe('max_age=3600', 'retry_schedule=60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60 60');
SELECT clock.answer(2, 'status=404');
SELECT clock.send(2, 'a', 2);
SELECT clock.run('2 h');
SELECT is((SELECT array_agg(ROW(outcome, error_class)::text) FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'failed'),
		  '{"(failed,too_old)","(failed,too_old)"}', 'an hour is over');
SELECT cmp_ok((SELECT min(at) FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'failed'), '>=', interval '3601 s', 'not before');
SELECT cmp_ok((SELECT min(at) FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'failed'), '<=', interval '3601 s' + interval '72.1 s', 'but at its next time');
SELECT is((SELECT attempt FROM clock.outcomes() WHERE subscription = 2 AND outcome = 'failed' ORDER BY number LIMIT 1)::bigint,
		  (SELECT count(*) FROM clock.posts() WHERE subscription = 2), 'without a POST');
SELECT is((SELECT count(DISTINCT position) FROM clock.posts() WHERE subscription = 2), 1::bigint, 'the other one was never sent');

-- A subscription that is paused for a day.
SELECT clock.subscribe('max_age=3600', 'retry_schedule=1800 1200 1800 1800 1800');
SELECT clock.answer(3, 'status=404');
SELECT clock.send(3, 'a', 1);
SELECT clock.run('10 min');
SELECT clock.alter(3, 'paused=true');
SELECT clock.run('1 s');
CREATE TEMP TABLE t AS SELECT clock.now() AS paused;
SELECT clock.send(3, 'b', 1);
SELECT clock.run('23 h');
SELECT clock.send(3, 'c', 1);
SELECT clock.run('1 h');
SELECT is(count(*), 0::bigint, 'nothing is sent, or ends') FROM clock.outcomes(), t WHERE subscription = 3 AND at > paused AND outcome <> 'deferred';
SELECT clock.alter(3, 'paused=false');
SELECT clock.run('2 h');
SELECT is((SELECT string_agg(subject || attempt, ' ' ORDER BY at, subject) FROM clock.posts(), t WHERE subscription = 3 AND at > paused AND at < paused + interval '24 h 1 min'),
		  'a2 b1 c1', 'a day of pause does not make them old');
SELECT is((SELECT array_agg(ROW(subject, error_class)::text ORDER BY subject) FROM clock.outcomes() WHERE subscription = 3 AND outcome = 'failed'),
		  '{"(a,too_old)","(b,too_old)","(c,too_old)"}', 'the time after it does');
SELECT cmp_ok((SELECT min(at) - max(paused) FROM clock.outcomes(), t WHERE subscription = 3 AND outcome = 'failed' AND subject IN ('b', 'c')), '>=', interval '25 h',
		  'their hour begins when the pause ends');

-- Sending is off for a day: that counts like a pause.
SELECT clock.subscribe('max_age=3600', 'retry_schedule=1800 1200 1800 1800 1800');
SELECT clock.answer(4, 'status=404 times=1', '');
SELECT clock.send(4, 'a', 1);
SELECT clock.run('10 min');
SELECT clock.set('webhook.enabled', 'off');
SELECT clock.run('1 day');
SELECT clock.set('webhook.enabled', 'on');
SELECT clock.run('1 h');
SELECT is((SELECT string_agg(outcome, ' ' ORDER BY number) FROM clock.outcomes() WHERE subscription = 4), 'retrying delivered', 'sending off does not count either');

-- The default is seven days.
SELECT clock.run('4 days 20 h');
SELECT is((SELECT count(*) FROM clock.states() WHERE subscription = 1 AND sends), 0::bigint, 'the dead one is given up meanwhile');
SELECT clock.subscribe('retry_schedule=518400 86399 86399');
SELECT clock.answer(5, 'status=404');
SELECT clock.send(5, NULL, 200);
-- One success now and then keeps the subscription from being disabled.
SELECT clock.answer(5, 'times=1', 'status=404'), clock.send(5, 'good'), clock.run('12 h') FROM generate_series(1, 20);
CREATE TEMP VIEW aged AS
SELECT o.*, (SELECT max(p.at) - min(p.at) FROM clock.posts() p
	WHERE p.subscription = 5 AND p.position = o.position) AS age
FROM clock.outcomes() o WHERE subscription = 5 AND subject = '' AND outcome = 'failed';
SELECT is(count(*), 200::bigint, 'each has ended') FROM clock.outcomes() WHERE subscription = 5 AND subject = '' AND outcome IN ('failed', 'delivered');
SELECT is(array_agg(DISTINCT error_class ORDER BY error_class), '{status,too_old}', 'one way or the other') FROM aged;
SELECT cmp_ok(max(age), '<', interval '7 days', 'nothing is sent after seven days') FROM aged;
SELECT cmp_ok(max(age), '>', interval '6 days 20 h', 'but until then') FROM aged;

SELECT * FROM finish();
ROLLBACK;
