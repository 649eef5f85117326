--
-- When a delivery is retried, and when it ends as failed.
--
BEGIN;
SELECT plan(34);

-- The default schedule, by an endpoint that refuses this contract.
SELECT clock.subscribe();
SELECT clock.answer(1, 'status=404');
SELECT clock.send(1, 's%', 200);
SELECT clock.run('100 h');
CREATE TEMP VIEW waits AS
SELECT subject, attempt, step, at - lag(ended) OVER w AS wait
FROM clock.posts() WHERE subscription = 1
WINDOW w AS (PARTITION BY subject ORDER BY at);
SELECT is(count(*), 2000::bigint, 'ten attempts each') FROM waits;
SELECT ok(bool_and(step = attempt - 1), 'a step each') FROM waits;
CREATE TEMP TABLE schedule AS
SELECT n AS attempt, s AS wait FROM unnest('{5 s,5 min,30 min,2 h,5 h,10 h,14 h,20 h,24 h}'::interval[]) WITH ORDINALITY AS u (s, n);
SELECT is(count(*), 1800::bigint, 'each wait is that of the schedule, give or take a fifth')
FROM waits w JOIN schedule s ON s.attempt = w.attempt - 1
WHERE w.wait BETWEEN s.wait * 0.8 AND s.wait * 1.2 + interval '0.6 s';
SELECT ok(bool_and(least < 0.82 AND most > 1.18 AND average BETWEEN 0.97 AND 1.03), 'all over that range')
FROM (SELECT min(extract(epoch FROM w.wait) / extract(epoch FROM s.wait)) AS least,
	  max(extract(epoch FROM w.wait) / extract(epoch FROM s.wait)) AS most,
	  avg(extract(epoch FROM w.wait) / extract(epoch FROM s.wait)) AS average
	  FROM waits w JOIN schedule s ON s.attempt = w.attempt - 1 WHERE s.attempt > 1
		GROUP BY s.attempt) a;
SELECT is(count(*), 200::bigint, 'then it has failed') FROM clock.outcomes()
WHERE outcome = 'failed' AND attempt = 10 AND error_class = 'status' AND next_at IS NULL;
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'and nothing is left');
SELECT is((SELECT count(DISTINCT o.next_at) > 190 FROM clock.outcomes() o WHERE attempt = 5), true, 'not all at once');

-- Later deliveries of the contract wait for it, and are sent when it has failed.
SELECT clock.subscribe('retry_schedule=10 10');
SELECT clock.answer(2, 'status=404 times=3', '');
SELECT clock.send(2, 'a', 3);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(ROW(position - first, attempt, status)::text ORDER BY p.at)
		   FROM clock.posts() p,
				(SELECT min(position) AS first FROM clock.posts() WHERE subscription = 2) f
		   WHERE subscription = 2),
		  '{"(0,1,404)","(0,2,404)","(0,3,404)","(1,1,200)","(2,1,200)"}', 'own schedule, then the next ones');
SELECT is((SELECT array_agg(outcome ORDER BY number) FROM clock.outcomes() WHERE subscription = 2 AND outcome <> 'deferred'),
		  '{retrying,retrying,failed,delivered,delivered}', 'as the log says');

-- An empty schedule, without a second attempt; final statuses.
SELECT clock.subscribe('retry_schedule=');
SELECT clock.answer(3, 'status=500');
SELECT clock.send(3, 'a', 1);
SELECT clock.subscribe('final_status=422');
SELECT clock.answer(4, 'status=422');
SELECT clock.send(4, 'a', 1);
SELECT clock.run('1 h');
SELECT is((SELECT array_agg(ROW(subscription, attempt, outcome)::text)
		   FROM clock.outcomes() WHERE subscription IN (3, 4)),
		  '{"(3,1,failed)","(4,1,failed)"}', 'an empty schedule, and a final status: one attempt');

-- 410: the subscription is disabled, and what waits for it is cancelled.
SELECT clock.subscribe();
SELECT clock.subscribe();
SELECT clock.answer(5, 'status=404 took=20 times=4', 'status=410 took=100');
SELECT clock.send(5, 'a', 5);
SELECT clock.send(5, 'b', 5);
SELECT clock.send(5, 'c', 1);
SELECT clock.send(5, NULL, 300);
SELECT clock.send(6, 'other', 1);
SELECT clock.run('10 s');
SELECT ok(bool_and(outcome = 'cancelled'), 'what waits is cancelled') FROM clock.outcomes()
WHERE subscription = 5 AND outcome NOT IN ('deferred', 'retrying', 'failed');
SELECT is((SELECT string_agg(DISTINCT change, ' ') FROM clock.notices() WHERE subscription = 5), 'disabled', 'that is told');
SELECT is((SELECT ROW(sends, disabled_at IS NOT NULL)::text FROM clock.states() WHERE subscription = 5), '(f,t)', 'it is given up');
SELECT is((SELECT count(DISTINCT position) FROM clock.outcomes() WHERE subscription = 5 AND outcome IN ('failed', 'cancelled')), 311::bigint,
		  'each ends');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 5 AND outcome IN ('failed', 'cancelled')), 311::bigint, 'once');
SELECT is((SELECT ROW(r.queued, r.in_flight, r.unflushed, r.rows, r.finished)::text FROM clock.rest r), '(0,0,0,0,t)', 'nothing is left');
SELECT is(count(*), 0::bigint, 'nor in the table') FROM clock.pending() WHERE subscription = 5;
SELECT clock.send(5, 'a', 3);
SELECT clock.run('10 s');
SELECT is(count(*), 0::bigint, 'nothing starts any more') FROM clock.posts() WHERE subscription = 5 AND at > clock.now() - interval '10 s';
SELECT clock.answer(5, '');
SELECT clock.alter(5, 'enabled=true');
SELECT clock.run('1 s');
SELECT clock.send(5, 'a', 3);
SELECT clock.run('1 s');
SELECT is(count(*), 3::bigint, 'enabled again, it gets what comes from then on') FROM clock.outcomes() WHERE subscription = 5 AND outcome = 'delivered';

-- Retry-After: the delivery waits for it if it is longer than its step, and
-- the subscription as a whole, whatever the step.
SELECT clock.subscribe('retry_schedule=5 1000');
SELECT clock.answer(7, 'status=429 retry_after=60 times=1', '');
SELECT clock.send(7, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.send(7, 'b', 1);
SELECT clock.run('2 min');
SELECT is((SELECT array_agg(at - first ORDER BY at)
		   FROM clock.posts(),
				(SELECT min(ended) AS first FROM clock.posts() WHERE subscription = 7) f
		   WHERE subscription = 7), '{-10 ms,60 s,60.01 s}'::interval[], 'nothing of it before the minute is over, but then at once');
SELECT is((SELECT string_agg(subject || attempt, ' ' ORDER BY subject, attempt) FROM clock.posts() WHERE subscription = 7), 'a1 a2 b1', 'both of them');
SELECT is((SELECT array_agg(change) FROM clock.notices() WHERE subscription = 7), '{waiting,over}', 'that is told, and its end');

SELECT clock.subscribe('retry_schedule=600');
SELECT clock.answer(8, 'status=503 retry_after=30 times=1', '');
SELECT clock.send(8, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.send(8, 'b', 1);
SELECT clock.run('15 min');
SELECT is((SELECT min(at) - first
		   FROM clock.posts(),
				(SELECT min(ended) AS first FROM clock.posts() WHERE subscription = 8) f
		   WHERE subscription = 8 AND subject = 'b' GROUP BY first), interval '30 s', 'a longer step: others wait as long as was asked for');
SELECT cmp_ok((SELECT min(at) - first
		   FROM clock.posts(),
				(SELECT min(ended) AS first FROM clock.posts() WHERE subscription = 8) f
		   WHERE subscription = 8 AND attempt = 2 GROUP BY first), '>=', interval '480 s', 'the delivery itself as its step says');

-- Retry-After is limited to a day and ignored with other statuses; without it the
-- subscription as a whole does not wait.
SELECT clock.subscribe('retry_schedule=5');
SELECT clock.answer(9, 'status=429 retry_after=1000000 times=1', '');
SELECT clock.send(9, 'a', 1);
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(10, 'status=429 times=1', 'status=500 retry_after=500 times=1', '');
SELECT clock.send(10, 'a', 1);
SELECT clock.run('1 s');
SELECT clock.send(10, 'b', 1);
SELECT clock.run('1 s');
SELECT clock.send(10, 'c', 1);
SELECT clock.run('25 h');
SELECT is((SELECT max(at) - min(ended) FROM clock.posts() WHERE subscription = 9), interval '24 h', 'a day at most');
SELECT is((SELECT string_agg(subject || attempt, ' ' ORDER BY at) FROM clock.posts() WHERE subscription = 10 AND at < (SELECT min(at) FROM clock.posts() WHERE subscription = 10) + interval '3 s'),
		  'a1 b1 c1', 'nobody else waits where nothing was asked for');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- A kept connection that ended without a response: once, the next attempt follows at once, on a
-- new connection, and takes no step.
CREATE FUNCTION pg_temp.attempts(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat(attempt, ' step ', step, CASE WHEN wait < '1 s' THEN ' at once' END,
			CASE WHEN new_connection THEN ' new' END), ', ' ORDER BY at)
	FROM (SELECT *, at - lag(ended) OVER (ORDER BY at) AS wait
		  FROM clock.posts() WHERE subscription = id) p
$$;
SELECT clock.subscribe('retry_schedule=1000 1000');
SELECT clock.answer(11, 'error=reset unanswered=1 times=1', 'status=404 times=1', '');
SELECT clock.send(11, 'a', 1);
SELECT clock.subscribe('retry_schedule=1000');
SELECT clock.answer(12, 'error=reset unanswered=1 times=2', '');
SELECT clock.send(12, 'a', 1);
SELECT clock.subscribe('retry_schedule=');
SELECT clock.answer(13, 'error=reset unanswered=1 times=1', '');
SELECT clock.ping(13);
SELECT clock.run('1 s');
SELECT is((SELECT consecutive_failures FROM clock.states() WHERE subscription = 11), 0, 'that is no failure of the endpoint');
SELECT clock.run('1 h');
SELECT is(pg_temp.attempts(11), '1 step 0, 2 step 0 at once new, 3 step 1 new', 'a kept connection that ended costs no step');
SELECT is(pg_temp.attempts(12), '1 step 0, 2 step 0 at once new, 3 step 1 new', 'once');
SELECT is(pg_temp.attempts(13), '1 step 0, 2 step 0 at once new', 'a ping has a second attempt, too');

-- What a stop of the server has cut off costs nothing, however often.
SELECT clock.subscribe('retry_schedule=');
SELECT clock.answer(14, 'error=shutdown times=3', '');
SELECT clock.send(14, 'a', 1);
SELECT clock.run('1 s');
SELECT is(pg_temp.attempts(14), '1 step 0, 2 step 0 at once new, 3 step 0 at once new, 4 step 0 at once new', 'nor does a stop of the server');

-- What could not be sent is no attempt, and nothing else is sent for a while.
SELECT clock.subscribe('retry_schedule=');
SELECT clock.answer(15, 'error=unsent times=3', '');
SELECT clock.send(15, 'a', 1);
SELECT clock.run('10 s');
SELECT is((SELECT string_agg(concat(attempt, ' ', outcome), ', ') FROM clock.outcomes() WHERE subscription = 15 AND outcome <> 'deferred'), '1 delivered', 'what was not sent is no attempt');
SELECT ok((SELECT bool_and(at - last >= '1 s') FROM (SELECT at, lag(at) OVER (ORDER BY at) AS last FROM clock.posts() WHERE subscription = 15) p), 'and is tried again a second later');

SELECT * FROM finish();
ROLLBACK;
