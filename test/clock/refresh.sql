--
-- Changes of a subscription: events of the same reading step, commands about what
-- is in memory, and many requests in flight that are answered alike.
--
BEGIN;
SELECT plan(23);

-- A loaded head is ready in memory, behind a slow one. Its subscription is paused
-- in the step that brings the next delivery of its subject.
SELECT clock.subscribe('max_in_flight=1', 'retry_schedule=1 30 30');
SELECT clock.answer(1, 'status=404 took=10 times=1', 'took=1700 times=1', 'status=404 took=10 times=1', 'took=10');
SELECT clock.send(1, 'a', 1);
SELECT clock.run('0.1 s');
SELECT clock.send(1, 'slow', 1);
SELECT clock.run('1.4 s');
SELECT is((SELECT ROW(in_flight, ready)::text FROM clock.states() WHERE subscription = 1), '(1,1)', 'the retry is ready');
SELECT clock.alter(1, 'paused=true');
SELECT clock.command('c', NULL, NULL, NULL);
SELECT clock.send(1, 'a', 1);
SELECT clock.run('2 s');
SELECT is((SELECT array_agg(ROW(subject, attempt, next_at IS NULL)::text ORDER BY position)
		   FROM clock.pending() WHERE subscription = 1),
		  '{"(a,1,f)","(a,0,t)"}', 'paused, the later one waits behind it');
SELECT clock.alter(1, 'paused=false');
SELECT clock.run('2 min');
SELECT is((SELECT string_agg(CASE position WHEN first THEN 'first' ELSE 'later' END || attempt || ' ' || status, ', ' ORDER BY at)
		   FROM clock.posts(), (SELECT min(position) AS first FROM clock.posts() WHERE subscription = 1) f WHERE subscription = 1 AND subject = 'a'),
		  'first1 404, first2 404, first3 200, later1 200', 'resumed, the later one goes after it');

-- A subscription that is ordered from the step on that brings the next delivery.
SELECT clock.subscribe('ordered=false', 'retry_schedule=60');
SELECT clock.answer(2, 'status=404 times=1', '');
SELECT clock.send(2, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.alter(2, 'ordered=true');
SELECT clock.command('c', NULL, NULL, NULL);
SELECT clock.send(2, 'a', 1);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 2), 1::bigint, 'ordered from now on, the later one waits');
SELECT clock.run('2 min');
SELECT is((SELECT string_agg(position - first || '.' || attempt, ' ' ORDER BY at)
		   FROM clock.posts(),
				(SELECT min(position) AS first FROM clock.posts() WHERE subscription = 2) f
		   WHERE subscription = 2),
		  '0.1 0.2 2.1', 'until the earlier one is delivered');

-- An event and its resend, one behind the other, are both cancelled.
SELECT clock.subscribe('max_in_flight=1');
SELECT clock.answer(3, 'took=1000');
SELECT clock.send(3, 'slow', 1);
SELECT clock.send(3, 'a', 1);
SELECT clock.run('0.1 s');
CREATE TEMP TABLE p3 AS SELECT position + 1 AS first FROM clock.posts() WHERE subscription = 3;
SELECT clock.resend(3, first) FROM p3;
SELECT clock.run('0.1 s');
SELECT is((SELECT ROW(queued, in_flight)::text FROM clock.load()), '(2,1)', 'one is ready, and its resend behind it');
SELECT clock.cancel(3, first) FROM p3;
SELECT clock.run('1 min');
SELECT is((SELECT string_agg(cause || ' ' || outcome, ', ' ORDER BY position) FROM clock.outcomes() WHERE subscription = 3 AND subject = 'a'),
		  'event cancelled, resend cancelled', 'both are cancelled');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 3 AND subject = 'a'), 0::bigint, 'neither is sent');

-- A subscription that is disabled and enabled again before either is read.
SELECT clock.subscribe('max_in_flight=2', 'retry_schedule=60');
SELECT clock.answer(4, 'status=404 took=10 times=1', 'status=404 took=1000 times=2', 'took=10');
SELECT clock.send(4, 'row', 2);
SELECT clock.run('0.1 s');
SELECT clock.send(4, 'a', 2);
SELECT clock.send(4, NULL, 3);
SELECT clock.run('0.1 s');
CREATE TEMP TABLE l4 AS SELECT queued, in_flight, pending FROM clock.rest;
SELECT is((SELECT ROW(l.*)::text FROM l4 l), '(3,2,2)', 'in flight, ready, waiting, in the table');
SELECT clock.alter(4, 'enabled=false');
SELECT clock.alter(4, 'enabled=true');
SELECT clock.send(4, 'a', 1);
SELECT clock.send(4, 'row', 1);
SELECT clock.run('2 min');
SELECT is((SELECT string_agg(o.outcome || ' ' || o.attempt || ' ' || n, ', ' ORDER BY o.outcome, o.attempt)
		   FROM (SELECT outcome, attempt, count(*) AS n FROM clock.outcomes() WHERE subscription = 4 AND outcome NOT IN ('deferred', 'retrying') GROUP BY outcome, attempt) o),
		  'cancelled 0 4, cancelled 1 3, delivered 1 2', 'what was before is cancelled, what comes later is delivered');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 4), 5::bigint, 'nothing is sent twice');
SELECT is((SELECT ROW(r.queued, r.unflushed, r.rows, r.finished, r.pending)::text FROM clock.rest r), '(0,0,0,t,0)', 'nothing is left');

-- Sixteen requests in flight, all answered with 410, one after the other.
SELECT clock.subscribe();
SELECT clock.send(5, 'good%', 40, 0, '20 ms');
SELECT clock.run('10 s');
SELECT clock.answer(5, VARIADIC array_agg('status=410 times=1 took=' || 100 * n)) FROM generate_series(1, 16) n;
SELECT clock.send(5, 's%', 20);
SELECT clock.send(5, 's%', 20);
SELECT clock.run('50 ms');
SELECT is((SELECT in_flight FROM clock.states() WHERE subscription = 5), 16, 'sixteen in flight');
CREATE TEMP TABLE t5 AS SELECT clock.now() AS began;
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(change) FROM clock.notices() WHERE subscription = 5), '{disabled}', 'disabled, told once');
SELECT is((SELECT disabled_at FROM clock.states() WHERE subscription = 5), (SELECT min(ended) FROM clock.posts() WHERE subscription = 5 AND status = 410), 'with the first of these answers');
SELECT is((SELECT string_agg(o.outcome || ' ' || n, ', ' ORDER BY o.outcome)
		   FROM (SELECT outcome, count(*) AS n FROM clock.outcomes(), t5 WHERE subscription = 5 AND at > began AND outcome <> 'deferred' GROUP BY outcome) o),
		  'cancelled 24, failed 16', 'each ends once');
SELECT clock.answer(5, 'took=10');
SELECT clock.alter(5, 'enabled=true');
SELECT clock.send(5, 's0', 1);
SELECT clock.run('1 s');
SELECT is((SELECT outcome FROM clock.outcomes() WHERE subscription = 5 ORDER BY number DESC LIMIT 1), 'delivered', 'enabled again, it goes on');

-- The same, answered with Retry-After.
SELECT clock.subscribe('retry_schedule=1 1 1');
SELECT clock.send(6, 'good%', 40, 0, '20 ms');
SELECT clock.run('10 s');
SELECT clock.answer(6, 'status=429 retry_after=60 took=100 times=1', 'status=429 retry_after=60 took=200 times=1', 'status=429 retry_after=60 took=300 times=1',
	'status=429 retry_after=60 took=400 times=1', 'status=429 retry_after=60 took=500 times=1', 'took=600');
SELECT clock.send(6, 's%', 8);
SELECT clock.run('50 ms');
SELECT is((SELECT in_flight FROM clock.states() WHERE subscription = 6), 8, 'eight in flight');
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(change) FROM clock.notices() WHERE subscription = 6), '{waiting}', 'told once');
SELECT is((SELECT not_before FROM clock.states() WHERE subscription = 6),
		  (SELECT max(ended) + interval '60 s' FROM clock.posts() WHERE subscription = 6 AND status = 429), 'it waits as long as the last answer says');
SELECT clock.run('2 min');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 6 AND outcome = 'delivered'), 48::bigint, 'then all is delivered');

-- The last row of pending goes while a look has found it still there: after that
-- no event costs a look for earlier rows.
SELECT clock.subscribe('retry_schedule=1');
SELECT clock.answer(7, 'status=404 times=1', 'took=3500');
SELECT clock.send(7, 'a', 1);
SELECT clock.run('3 s');
SELECT is((SELECT ROW(in_flight, has_rows)::text FROM clock.states() WHERE subscription = 7), '(1,t)', 'its row is there while it is in flight');
SELECT clock.run('5 s');
SELECT is((SELECT ROW(in_flight, has_rows)::text FROM clock.states() WHERE subscription = 7), '(0,f)', 'delivered, it is known to have none');

SELECT * FROM finish();
ROLLBACK;
