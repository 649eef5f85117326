--
-- A subscription is disabled after five days without success and 15 failures.
--
BEGIN;
SELECT plan(14);

-- 1: dead from the start. 2: the same, but paused for six days. 3: the same,
-- but for one success on the fourth day. 4: too few failures. 5: refuses each
-- contract, without an open breaker.
SELECT count(clock.subscribe('max_age=8640000')) FROM generate_series(1, 3);
SELECT clock.subscribe('max_age=8640000', 'retry_schedule=86400 86400 86400 86400 86400 86400 86400 86400 86400 86400 86400 86400 86400 86400 86400');
SELECT clock.subscribe('max_age=8640000');
SELECT clock.answer(id, 'error=connect') FROM generate_series(1, 3) id;
SELECT clock.answer(4, 'status=500');
SELECT clock.answer(5, 'status=404');
SELECT clock.send(1, 's%', 20);
SELECT clock.send(2, 's%', 20);
SELECT clock.send(3, 's%', 20);
SELECT clock.send(4, 's', 3);
SELECT clock.send(5, 't%', 200, 0, '1 h');
SELECT clock.run('1 day');
SELECT clock.alter(2, 'paused=true');
SELECT clock.run('3 days');
SELECT clock.answer(3, 'status=200 times=1', 'error=connect');
SELECT clock.run('23 h');
SELECT is(count(*), 0::bigint, 'none is given up after four days') FROM clock.notices() WHERE change = 'disabled';
SELECT clock.run('2 h');
SELECT is((SELECT array_agg(subscription ORDER BY subscription) FROM clock.notices() WHERE change = 'disabled'), '{1,5}'::bigint[],
		  'after five days those are that had no success, and enough failures');
CREATE TEMP VIEW first AS SELECT subscription, min(ended) AS failed FROM clock.posts()
	WHERE status <> 200 GROUP BY subscription;
SELECT cmp_ok(s.disabled_at - f.failed, '>=', interval '5 days', 'not before five days are over')
FROM clock.states() s JOIN first f USING (subscription) WHERE subscription = 1;
SELECT is((SELECT s.disabled_at FROM clock.states() s WHERE subscription = 1),
		  (SELECT max(ended) FROM clock.posts() WHERE subscription = 1),
		  'but with the next answer');
SELECT is((SELECT count(DISTINCT position) FROM clock.outcomes() WHERE subscription = 1 AND outcome = 'cancelled'), 20::bigint, 'what waited is cancelled');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 1), 0::bigint, 'all of it');
SELECT is((SELECT failures >= 15 FROM clock.states() WHERE subscription = 4), false, 'few failures do not suffice');

-- 3 had its success on day 4: it has until day 9. 2 is resumed on day 7.
SELECT clock.run('47 h');
SELECT is((SELECT count(*) FROM clock.notices() WHERE change = 'disabled' AND subscription IN (2, 3)), 0::bigint, 'neither 2 nor 3 by day 7');
SELECT clock.alter(2, 'paused=false');
SELECT clock.run('47 h');
SELECT is((SELECT array_agg(subscription) FROM clock.notices() WHERE change = 'disabled' AND subscription IN (2, 3)), NULL, 'nor by day 9');
SELECT clock.run('3 h');
SELECT is((SELECT array_agg(subscription) FROM clock.notices() WHERE change = 'disabled' AND subscription IN (2, 3)), '{3}'::bigint[],
		  'five days after its success 3 is given up');
SELECT is((SELECT suspended FROM clock.states() WHERE subscription = 2), interval '6 days', 'six days do not count for 2');
SELECT clock.run('43 h');
SELECT is((SELECT count(*) FROM clock.notices() WHERE change = 'disabled' AND subscription = 2), 0::bigint, 'not yet after 10 days and 22 h');
SELECT clock.run('4 h');
SELECT is((SELECT count(*) FROM clock.notices() WHERE change = 'disabled' AND subscription = 2), 1::bigint, 'but after 11 days');
SELECT is((SELECT string_agg(DISTINCT outcome, ' ') FROM clock.outcomes() WHERE subscription IN (1, 2, 3) AND outcome NOT IN ('retrying', 'deferred')),
		  'cancelled delivered', 'no probe has ended a delivery as failed');

SELECT * FROM finish();
ROLLBACK;
