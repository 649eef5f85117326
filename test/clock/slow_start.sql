--
-- Concurrency: how many requests an endpoint may have in flight, from slow start on.
--
BEGIN;
SELECT plan(18);

-- Answers after 100 ms: 2 requests, then one more a success, up to the setting.
SELECT clock.subscribe();
SELECT clock.answer(1, 'took=100');
SELECT clock.send(1, 's%', 300);
SELECT clock.run('1.05 s');
SELECT is(array_agg(n ORDER BY at), '{2,4,8,16,16,16,16,16,16,16,16}'::bigint[],
		  'two at first, one more a success, sixteen at most')
FROM (SELECT at, count(*) n FROM clock.posts() GROUP BY at) p;
SELECT is(array_agg(at ORDER BY at), array_agg(n * interval '0.1 s' ORDER BY n), 'each as an answer comes')
FROM (SELECT at, row_number() OVER (ORDER BY at) - 1 n
	  FROM (SELECT DISTINCT at FROM clock.posts()) d) p;
SELECT ok(bool_and(NOT slow), 'in the fast pool') FROM clock.posts();
SELECT is((SELECT flight_limit FROM clock.states() WHERE subscription = 1), 16, 'the limit is the setting''s');
SELECT clock.settle('1 min');

-- A subscription with a max_in_flight of its own.
SELECT clock.subscribe('max_in_flight=3');
SELECT clock.answer(2, 'took=100');
SELECT clock.send(2, 's%', 30);
SELECT clock.settle('1 min');
SELECT is(max(n), 3::bigint, 'a limit of its own')
FROM (SELECT at, count(*) n FROM clock.posts() WHERE subscription = 2 GROUP BY at) p;
SELECT clock.subscribe('max_in_flight=1');
SELECT clock.answer(3, 'took=100');
SELECT clock.send(3, 's%', 5);
SELECT clock.settle('1 min');
SELECT is(array_agg(n), '{1,1,1,1,1}', 'which may be less than the start')
FROM (SELECT at, count(*) n FROM clock.posts() WHERE subscription = 3 GROUP BY at) p;

-- One failure of the endpoint: back to one.
SELECT is((SELECT concurrency FROM clock.states() WHERE subscription = 1), 16, 'full concurrency');
SELECT clock.answer(1, 'status=500 took=100 times=1', 'took=100');
SELECT clock.send(1, 'f%', 17);
SELECT clock.run('0.15 s');
SELECT is((SELECT concurrency FROM clock.states() WHERE subscription = 1), 16,
		  'from one on, fifteen successes raise it again');
SELECT clock.settle('1 min');
SELECT clock.answer(1, 'status=500 took=100 times=1', 'took=100');
SELECT clock.send(1, 'g', 1);
SELECT clock.run('0.2 s');
SELECT is((SELECT ROW(concurrency, slow, flight_limit)::text FROM clock.states() WHERE subscription = 1), '(1,t,1)',
		  'one failure makes it slow');
SELECT clock.settle('1 min');
SELECT is((SELECT slow FROM clock.posts() WHERE subscription = 1 AND subject = 'g' AND attempt = 2), true,
		  'its next request takes a slow one''s place');
SELECT is((SELECT ROW(concurrency, slow)::text FROM clock.states() WHERE subscription = 1), '(2,f)',
		  'a success moves it to the fast pool');

-- A failure of one delivery alone does not count against the endpoint.
SELECT clock.subscribe();
SELECT clock.answer(4, 'status=404 took=100');
SELECT clock.send(4, 's%', 30);
SELECT clock.run('1 s');
SELECT is((SELECT ROW(concurrency, slow, consecutive_failures, failures)::text FROM clock.states() WHERE subscription = 4), '(2,f,0,20)',
		  'a 404 slows nothing');

-- A request that takes longer than two seconds.
SELECT clock.subscribe();
SELECT clock.answer(5, 'took=3000 times=1', 'took=1500');
SELECT clock.send(5, 'old', 1);
SELECT clock.run('1.999999 s');
SELECT is((SELECT ROW(concurrency, slow, in_flight)::text FROM clock.states() WHERE subscription = 5), '(2,f,1)',
		  'not slow yet');
SELECT clock.run('0.000001 s');
SELECT is((SELECT ROW(concurrency, slow, in_flight)::text FROM clock.states() WHERE subscription = 5), '(1,t,1)',
		  'slow after two seconds to the microsecond');
SELECT clock.send(5, 'next', 1);
SELECT clock.run('0.5 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 5), 1::bigint, 'one at a time');
SELECT clock.settle('1 min');
SELECT is((SELECT p.at - o.ended FROM clock.posts() p, clock.posts() o WHERE p.subscription = 5 AND p.subject = 'next'
		   AND o.subscription = 5 AND o.subject = 'old'), interval '0', 'the next one when it has ended');
SELECT is((SELECT slow FROM clock.posts() WHERE subscription = 5 AND subject = 'next'), true,
		  'that success was too late to count');
SELECT is((SELECT ROW(concurrency, slow)::text FROM clock.states() WHERE subscription = 5), '(2,f)',
		  'the quick one after it counts');

SELECT * FROM finish();
ROLLBACK;
