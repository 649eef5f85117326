--
-- The commands cancel, skip, retry, resend and ping: what each ends or sends, and when;
-- and which state changes are told.
--
BEGIN;
SELECT plan(58);

CREATE TEMP VIEW ended AS SELECT * FROM clock.outcomes() WHERE outcome NOT IN ('deferred', 'retrying');

-- In flight: the delivery ends with its answer, whatever that is, and is not retried.
SELECT clock.subscribe();
SELECT clock.answer(1, 'status=404 took=1000');
SELECT clock.send(1, 'a', 1);
SELECT clock.run('0.1 s');
SELECT clock.cancel(1, 1);
SELECT clock.run('1 h');
SELECT is((SELECT array_agg(ROW(position, attempt, outcome, error_class)::text) FROM ended), '{"(1,1,cancelled,status)"}', 'cancelled in flight: one attempt');
SELECT is((SELECT count(*) FROM clock.posts()), 1::bigint, 'no second one');
SELECT is((SELECT ROW(r.queued, r.unflushed, r.subjects, r.finished)::text FROM clock.rest r), '(0,0,0,t)', 'nothing is left');

-- A delivery that is ready, and one that waits behind another one in memory.
SELECT clock.subscribe('max_in_flight=1');
SELECT clock.answer(2, 'took=1000');
SELECT clock.send(2, 'a', 3);
SELECT clock.send(2, 'b', 2);
SELECT clock.run('0.1 s');
CREATE TEMP TABLE p2 AS SELECT min(position) AS first FROM clock.posts() WHERE subscription = 2;
SELECT clock.cancel(2, first + 1) FROM p2;
SELECT clock.cancel(2, first + 3) FROM p2;
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(position - first ORDER BY position) FROM ended, p2 WHERE subscription = 2 AND outcome = 'cancelled'), '{1,3}'::bigint[],
		  'waiting and ready: cancelled without a POST');
SELECT is((SELECT array_agg(position - first ORDER BY position) FROM clock.posts(), p2 WHERE subscription = 2), '{0,2,4}'::bigint[], 'the others go on');

-- Rows of pending: a head that is not due, a row behind it, one without subject.
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(3, 'status=404');
SELECT clock.send(3, 'a', 3);
SELECT clock.send(3, NULL, 1);
SELECT clock.run('1 s');
CREATE TEMP TABLE p3 AS SELECT min(position) AS first FROM clock.posts() WHERE subscription = 3;
SELECT clock.cancel(3, first + 1) FROM p3;
SELECT clock.cancel(3, first + 3) FROM p3;
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(position - first ORDER BY position) FROM ended, p3 WHERE subscription = 3 AND outcome = 'cancelled'), '{1,3}'::bigint[], 'in the table');
SELECT clock.answer(3, '');
SELECT clock.cancel(3, first) FROM p3;
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(ROW(position - first, outcome)::text ORDER BY number) FROM ended, p3 WHERE subscription = 3 AND subject = 'a'),
		  '{"(1,cancelled)","(0,cancelled)","(2,delivered)"}', 'its head cancelled, the next one goes at once');

-- A row on its way to pending while writing fails.
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(4, 'status=404');
SELECT clock.fail_writes(1);
SELECT clock.send(4, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.cancel(4, position) FROM clock.posts() WHERE subscription = 4;
SELECT clock.run('1 s');
SELECT clock.fail_writes(0);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(outcome) FROM ended WHERE subscription = 4), '{cancelled}', 'on its way to the table');

-- skip: the first delivery of a subject, in flight, ready, and in pending.
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(5, 'status=404 took=1000 times=1', 'took=100');
SELECT clock.send(5, 'a', 3);
SELECT clock.run('0.1 s');
SELECT clock.skip(5, 'a');
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(ROW(attempt, outcome, error_class)::text ORDER BY number)
		   FROM ended WHERE subscription = 5),
		  '{"(1,cancelled,skipped)","(1,delivered,)","(1,delivered,)"}', 'skipped in flight');
SELECT clock.answer(5, 'took=1000 times=1', 'took=100');
SELECT clock.send(5, 'b', 1);
SELECT clock.run('0.1 s');
SELECT clock.skip(5, 'b');
SELECT clock.run('10 s');
SELECT is((SELECT outcome FROM ended WHERE subscription = 5 AND subject = 'b'), 'delivered', 'skipped too late: what was delivered is delivered');
SELECT clock.subscribe('max_in_flight=1', 'retry_schedule=1000');
SELECT clock.answer(6, 'took=1000');
SELECT clock.send(6, 'x', 1);
SELECT clock.send(6, 'a', 2);
SELECT clock.run('0.1 s');
SELECT clock.skip(6, 'a');
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(ROW(attempt, outcome, error_class)::text ORDER BY number) FROM ended WHERE subscription = 6 AND subject = 'a'),
		  '{"(0,cancelled,skipped)","(1,delivered,)"}', 'skipped before it was sent, the next one is sent');
SELECT clock.answer(6, 'status=404 times=1', '');
SELECT clock.send(6, 'c', 2);
SELECT clock.run('10 s');
SELECT clock.skip(6, 'c');
SELECT clock.run('10 s');
SELECT is((SELECT array_agg(ROW(attempt, outcome, error_class)::text ORDER BY number) FROM ended WHERE subscription = 6 AND subject = 'c'),
		  '{"(1,cancelled,skipped)","(1,delivered,)"}', 'skipped in the table, the next one goes at once');
SELECT clock.skip(6, 'nobody');
SELECT clock.run('10 s');
SELECT is((SELECT count(*) FROM ended WHERE subscription = 6), 5::bigint, 'nothing to skip, nothing skipped');

-- resend: one more attempt, behind all deliveries of its subject, with a new schedule.
SELECT clock.subscribe('retry_schedule=10');
SELECT clock.answer(7, 'status=404 times=2', '');
SELECT clock.send(7, 'a', 1);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(outcome) FROM ended WHERE subscription = 7), '{failed}', 'failed');
SELECT clock.answer(7, 'status=404 times=1', 'took=100');
SELECT clock.send(7, 'a', 1);
SELECT clock.resend(7, min(position)) FROM clock.posts() WHERE subscription = 7;
SELECT clock.run('1 min');
SELECT is((SELECT string_agg(cause || attempt || '/' || step, ' ' ORDER BY at) FROM clock.posts() WHERE subscription = 7),
		  'event1/0 event2/1 event1/0 event2/1 resend3/0', 'resent behind what waits, as the third attempt, from the first step on');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- A ping is sent at once, whatever waits, and is never retried.
SELECT clock.subscribe('retry_schedule=100');
SELECT clock.answer(8, 'status=500');
SELECT clock.send(8, 's%', 12);
SELECT clock.run('1 s');
CREATE TEMP TABLE t8 AS
SELECT clock.now() AS at, breaker, consecutive_failures, failures, delayed_until, not_before
FROM clock.states() WHERE subscription = 8;
SELECT is((SELECT breaker FROM t8), 'open', 'open');
SELECT clock.ping(8);
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(ROW(p.at - t8.at, attempt)::text) FROM clock.posts() p, t8 WHERE subscription = 8 AND cause = 'ping'),
		  '{"(00:00:00,1)"}', 'it goes through an open breaker, at once');
SELECT is((SELECT array_agg(outcome) FROM ended WHERE subscription = 8), '{failed}', 'it is made once');
SELECT is((SELECT ROW(breaker, consecutive_failures, failures, delayed_until, not_before)::text
		   FROM clock.states() WHERE subscription = 8),
		  (SELECT ROW(breaker, consecutive_failures, failures, delayed_until, not_before)::text FROM t8), 'a failure counts for nothing');
SELECT clock.answer(8, '');
SELECT clock.ping(8);
SELECT clock.run('1 s');
SELECT is((SELECT ROW(s.breaker, s.consecutive_failures, s.failures)::text FROM clock.states() s WHERE subscription = 8), '(open,10,10)', 'nor does a success');
SELECT is((SELECT array_agg(outcome ORDER BY number) FROM ended WHERE subscription = 8), '{failed,delivered}', 'though it is delivered');
SELECT clock.run('1 h');
SELECT is((SELECT count(*) FROM ended WHERE subscription = 8 AND outcome = 'delivered'), 13::bigint, 'what waited is sent later');

-- A ping to a paused subscription waits.
SELECT clock.subscribe('paused=true');
SELECT clock.ping(9);
SELECT clock.run('1 min');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 9), 0::bigint, 'a paused one gets none');
SELECT clock.alter(9, 'paused=false');
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 9), 1::bigint, 'until it is resumed');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- retry: what waits is due now, of a subject or all, and not what comes later.
SELECT clock.subscribe('retry_schedule=1000 1000');
SELECT clock.answer(10, 'status=404');
SELECT clock.send(10, 'a', 2);
SELECT clock.send(10, 'b', 1);
SELECT clock.send(10, NULL, 2);
SELECT clock.run('1 s');
SELECT clock.answer(10, 'took=100');
SELECT clock.retry(10, 'b');
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(subject || ' ' || attempt ORDER BY number) FROM ended WHERE subscription = 10), '{b 2}', 'retry of a subject');
SELECT clock.answer(10, 'status=404 times=1', 'took=100');
SELECT clock.retry(10);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM ended WHERE subscription = 10),
		  5::bigint - (SELECT count(*) FROM clock.pending() WHERE subscription = 10),
		  'retry of all');
SELECT cmp_ok((SELECT count(*) FROM clock.pending() WHERE subscription = 10 AND next_at IS NOT NULL), '=', 1::bigint, 'what fails again waits again');
SELECT clock.retry(10);
SELECT clock.run('1 s');
SELECT is((SELECT string_agg(outcome, ' ') FROM ended WHERE subscription = 10), 'delivered delivered delivered delivered delivered', 'until it is retried');
SELECT is((SELECT array_agg(position) FROM ended WHERE subscription = 10 AND subject = 'a'),
		  (SELECT array_agg(position ORDER BY position) FROM ended WHERE subscription = 10 AND subject = 'a'), 'in order');

-- retry closes an open breaker, which is told; what is on its way to the table is due, too.
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(11, 'error=connect');
SELECT clock.send(11, 's%', 12);
SELECT clock.run('5 s');
SELECT is((SELECT breaker FROM clock.states() WHERE subscription = 11), 'open', 'open');
SELECT clock.answer(11, '');
SELECT clock.retry(11);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM ended WHERE subscription = 11 AND outcome = 'delivered'), 12::bigint, 'all is sent at once');
SELECT is((SELECT array_agg(change || ' ' || state ORDER BY at) FROM clock.notices() WHERE subscription = 11), '{opened open,closed active}', 'the breaker closes');
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(12, 'status=404 times=1', '');
SELECT clock.fail_writes(1);
SELECT clock.send(12, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.retry(12);
SELECT clock.run('1 s');
SELECT clock.fail_writes(0);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(outcome) FROM ended WHERE subscription = 12), '{delivered}', 'retry of what is on its way to the table');

-- The end of a pause, and what people do, are told.
SELECT clock.subscribe();
SELECT clock.answer(13, 'status=429 retry_after=60 times=1', '');
SELECT clock.send(13, 'a', 1);
SELECT clock.run('50 s');
SELECT is((SELECT array_agg(change || ' ' || state ORDER BY at) FROM clock.notices() WHERE subscription = 13), '{waiting waiting}', 'it waits');
SELECT clock.run('20 s');
SELECT clock.alter(13, 'paused=true');
SELECT clock.command('n', 13, NULL, NULL);
SELECT clock.run('1 s');
SELECT clock.alter(13, 'paused=false');
SELECT clock.command('n', 13, NULL, NULL);
SELECT clock.command('n', 13, 'changed', NULL);
SELECT clock.run('1 s');
SELECT clock.unsubscribe(13);
SELECT clock.command('n', 13, NULL, NULL);
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(change || ' ' || state ORDER BY at) FROM clock.notices() WHERE subscription = 13),
		  '{waiting waiting,over active,set paused,set active,altered changed,set unsubscribed}', 'each change is told once');

-- Ended in flight while the request has not left: it is not sent later.
SELECT clock.subscribe();
SELECT clock.answer(14, 'error=unsent took=1000 times=1', '');
SELECT clock.send(14, 'a', 2);
SELECT clock.run('0.1 s');
SELECT clock.cancel(14, position) FROM clock.posts() WHERE subscription = 14;
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(attempt, outcome, error_class)::text ORDER BY number)
		   FROM ended WHERE subscription = 14),
		  '{"(0,cancelled,)","(1,delivered,)"}', 'cancelled and unsent: it ends without an attempt, the next one goes');
SELECT clock.subscribe();
SELECT clock.answer(15, 'error=unsent took=1000 times=1', '');
SELECT clock.send(15, 'a', 1);
SELECT clock.run('0.1 s');
SELECT clock.skip(15, 'a');
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(attempt, outcome, error_class)::text) FROM ended WHERE subscription = 15), '{"(0,cancelled,skipped)"}', 'skipped and unsent');
SELECT clock.subscribe();
SELECT clock.answer(16, 'error=unsent took=1000 times=1', '');
SELECT clock.send(16, 'a', 2);
SELECT clock.run('0.1 s');
SELECT clock.unsubscribe(16);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(attempt, outcome)::text) FROM clock.outcomes() WHERE subscription = 16), '{"(0,cancelled)","(0,cancelled)"}', 'unsubscribed and unsent');
SELECT clock.subscribe();
SELECT clock.answer(17, 'error=unsent took=1000 times=1', '');
SELECT clock.send(17, 'a', 1);
SELECT clock.run('0.1 s');
SELECT clock.alter(17, 'enabled=false');
SELECT clock.run('1 min');
SELECT clock.alter(17, 'enabled=true');
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(attempt, outcome)::text) FROM clock.outcomes() WHERE subscription = 17), '{"(0,cancelled)"}', 'disabled and unsent: it is not sent once the subscription is enabled');
SELECT clock.subscribe();
SELECT clock.answer(18, 'error=unsent took=1000 times=1', '');
SELECT clock.send(18, 'a', 1);
SELECT clock.run('0.1 s');
SELECT clock.alter(18, 'paused=true');
SELECT clock.run('1.5 s');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 18), 1::bigint, 'paused and unsent: it waits in the table at once');
SELECT clock.alter(18, 'paused=false');
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(attempt, outcome)::text) FROM ended WHERE subscription = 18), '{"(1,delivered)"}', 'until it is resumed');

-- Requests of a subscription that is gone fail: nothing more is told of it.
SELECT clock.subscribe('max_in_flight=20');
SELECT clock.send(19, NULL, 30);
SELECT clock.run('1 s');
SELECT clock.answer(19, 'error=connect took=1000');
SELECT clock.send(19, NULL, 15);
SELECT clock.run('0.5 s');
SELECT clock.unsubscribe(19);
SELECT clock.command('n', 19, NULL, NULL);
SELECT clock.run('1 min');
SELECT cmp_ok((SELECT count(*) FROM clock.posts() WHERE subscription = 19 AND error = 'connect'), '>', 10::bigint, 'as many requests fail as open a breaker');
SELECT is((SELECT array_agg(change || ' ' || state ORDER BY at) FROM clock.notices() WHERE subscription = 19), '{set unsubscribed}', 'its end is told, once');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- The end of a subscription waits for a retry that hangs, and does nothing meanwhile; others end.
SELECT clock.subscribe('retry_schedule=1 1000', 'timeout=60000');
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(20, 'status=500 times=1', 'took=50000 status=500');
SELECT clock.answer(21, 'status=500');
SELECT clock.send(20, 'a', 3);
SELECT clock.send(21, NULL, 1200);
SELECT clock.run('10 s');
SELECT is((SELECT in_flight FROM clock.states() WHERE subscription = 20), 1, 'a retry is in flight');
CREATE TEMP TABLE began AS SELECT transactions FROM clock.load();
SELECT clock.unsubscribe(20);
SELECT clock.unsubscribe(21);
SELECT clock.run('10 s');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 20), 1::bigint, 'its row stays until it has ended');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 21), 0::bigint, 'another subscription ends meanwhile');
SELECT cmp_ok((SELECT transactions FROM clock.load()) - transactions, '<', 400::bigint, 'the wait costs a few transactions a second') FROM began;
SELECT clock.run('1 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- Of a transaction with many commands few are in memory, and all are carried out, in their
-- order, over errors and a crash. Nobody waits for them, and a command for another
-- subscription is one of few.
CREATE TEMP VIEW held AS
SELECT sum(used_bytes) AS bytes FROM pg_backend_memory_contexts
WHERE name IN ('TopMemoryContext', 'webhook tail', 'webhook progress');
SELECT clock.subscribe('retry_schedule=100000', 'paused=true') FROM generate_series(22, 23);
SELECT clock.subscribe();
SELECT clock.send(22, NULL, 3000);
SELECT clock.send(23, NULL, 2);
SELECT clock.run('10 s');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 22), 3000::bigint, 'they wait in the table');
CREATE TEMP TABLE waiting AS
SELECT subscription, position FROM clock.pending() WHERE subscription IN (22, 23);
CREATE TEMP TABLE held_before AS SELECT bytes FROM held;
SELECT clock.cancel(22, position) FROM waiting, generate_series(1, 6) WHERE subscription = 22;
SELECT clock.run('1 ms');
SELECT cmp_ok((SELECT bytes FROM held) - bytes, '<', 1000000::numeric, 'many commands take little memory') FROM held_before;
SELECT clock.cancel(23, min(position)) FROM waiting WHERE subscription = 23;
SELECT clock.send(24, 'others%', 20, 0, '50 ms');
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 24), 20::bigint, 'events of others are sent');
SELECT is((SELECT array_agg(outcome) FROM ended WHERE subscription = 23),
	'{cancelled}', '... and a command of another subscription is carried out');
SELECT cmp_ok((SELECT count(*) FROM clock.pending() WHERE subscription = 22), '>', 0::bigint, '... while many are left');
SELECT clock.fail_reads(0.2);
SELECT clock.run('1 s');
SELECT clock.crash();
SELECT clock.run('1 s');
SELECT clock.fail_reads(0);
SELECT clock.run('2 min');
SELECT is((SELECT array_agg(DISTINCT outcome) || count(*)::text FROM ended WHERE subscription = 22),
	'{cancelled,3000}', 'all are carried out, each once');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,1)', 'nothing is left but what nobody meant');

SELECT * FROM finish();
ROLLBACK;
