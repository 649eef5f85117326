--
-- Round robin: a queue with a thousand deliveries has no more requests in flight
-- than one with two.
--
BEGIN;
SELECT plan(5);

SELECT clock.set('webhook.max_in_flight', '4');
SELECT clock.subscribe();
SELECT clock.subscribe();
SELECT clock.answer(1, 'took=100');
SELECT clock.answer(2, 'took=100');
SELECT clock.send(1, 'many%', 1000);
SELECT clock.run('1 s');

-- The first queue has all four requests; the other's two come between them.
SELECT clock.send(2, 'few%', 2);
SELECT clock.run('0.5 s');
SELECT is(array_agg(at ORDER BY at), '{1.1 s,1.1 s}'::interval[], 'the next places that are free are theirs')
FROM clock.posts() WHERE subscription = 2;
SELECT is(count(*), 2::bigint, 'half of them') FROM clock.posts() WHERE subscription = 1 AND at = '1.1 s';

-- With as many deliveries, each has half of the requests, except while deliveries
-- that have waited for long move to pending.
SELECT clock.send(2, 'more%', 100);
SELECT clock.run('2.5 s');
SELECT is(min(n), 2::bigint, 'never less than half of them for the many')
FROM (SELECT count(*) n FROM clock.posts() WHERE subscription = 1 AND at BETWEEN '1.6 s' AND '3.5 s' GROUP BY at) p;
SELECT cmp_ok(count(*), '>=', 15::bigint, 'half of them for the few, most of the time')
FROM (SELECT at FROM clock.posts() WHERE subscription = 2 AND at BETWEEN '1.6 s' AND '3.5 s' GROUP BY at HAVING count(*) = 2) p;

SELECT clock.settle('5 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
