--
-- Places in flight are shared out by tenant, then by subscription, and the caps of a
-- tenant hold for all its subscriptions together.
--
BEGIN;
SELECT plan(16);

-- A thousand endpoints of one tenant hang, and a thousand of another refuse: the one
-- subscription of a third never waits, nor does one of the platform's own.
SELECT count(clock.subscribe('tenant=hangs')) FROM generate_series(1, 1000);
SELECT count(clock.subscribe('tenant=refuses')) FROM generate_series(1, 1000);
SELECT clock.subscribe('tenant=works');
SELECT clock.subscribe();
SELECT clock.answer(id, 'error=timeout') FROM generate_series(1, 1000) id;
SELECT clock.answer(id, 'error=connect took=1') FROM generate_series(1001, 2000) id;
SELECT clock.send(id, 'dead%', 20) FROM generate_series(1, 2000) id;
SELECT clock.send(2001, 'flow%', 900, 0, '100 ms');
SELECT clock.send(2002, 'flow%', 900, 0, '100 ms');
SELECT clock.run('91 s');
SELECT is(count(*), 1800::bigint, 'all of theirs is sent') FROM clock.posts() WHERE subscription > 2000;
SELECT is(max(at - substr(subject, 5)::int * interval '100 ms'), interval '0', 'none of it waits')
FROM clock.posts() WHERE subscription > 2000;
SELECT cmp_ok(max(in_flight), '<=', 4 * 256, 'four times the setting in all') FROM clock.posts();
SELECT cmp_ok(count(DISTINCT subscription), '>=', 1800::bigint, 'most of the dead were tried, too')
FROM clock.posts() WHERE subscription <= 2000;

-- What is due of another tenant is loaded, however much is due of the dead: a retry
-- is made at its time.
SELECT clock.answer(2001, 'status=500 times=5', 'took=10');
SELECT clock.alter(2001, 'retry_schedule=5 5');
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.send(2001, 'again%', 5);
SELECT clock.run('20 s');
SELECT is(count(*), 5::bigint, 'all are tried again')
FROM clock.posts(), t WHERE at > began AND subscription = 2001 AND attempt = 2;
SELECT cmp_ok(max(at - began), '<=', interval '6.5 s', 'at their time')
FROM clock.posts(), t WHERE at > began AND subscription = 2001 AND attempt = 2;

-- Of four places, a tenant of one subscription has half, whatever the other has.
SELECT clock.set('webhook.max_in_flight', '4');
SELECT clock.unsubscribe(id) FROM generate_series(1, 2002) id;
SELECT clock.settle('10 min');
SELECT count(clock.subscribe('tenant=many')) FROM generate_series(1, 50);
SELECT clock.subscribe('tenant=one');
SELECT clock.answer(id, 'took=100') FROM generate_series(2003, 2053) id;
SELECT clock.send(id, 'many%', 40) FROM generate_series(2003, 2052) id;
UPDATE t SET began = clock.now();
SELECT clock.run('1 s');
SELECT clock.send(2053, 'one%', 40);
SELECT clock.run('6 s');
CREATE TEMP TABLE sent AS
SELECT subscription, at - began AS at FROM clock.posts(), t WHERE at >= began;
SELECT cmp_ok(count(*), '>=', 18::bigint, 'half of the places for one')
FROM sent WHERE subscription = 2053 AND at > '1.5 s' AND at < '2.5 s';
SELECT cmp_ok(count(*), '>=', 18::bigint, 'half of them for the many')
FROM sent WHERE subscription < 2053 AND at > '1.5 s' AND at < '2.5 s';
SELECT cmp_ok(count(*), '>=', 36::bigint, 'what the one does not want is theirs')
FROM sent WHERE subscription < 2053 AND at > '5 s' AND at < '6 s';

-- Caps. Other caps hold at once.
SELECT clock.set('webhook.max_in_flight', '256');
SELECT clock.settle('10 min');
CREATE FUNCTION pg_temp.together(since interval) RETURNS bigint LANGUAGE sql AS $$
	SELECT max(n) FROM (
		SELECT (SELECT count(*) FROM clock.posts() b
			WHERE b.subscription BETWEEN 2003 AND 2052 AND b.at <= a.at
				AND (b.ended > a.at OR b.ended < b.at)) AS n
		FROM clock.posts() a WHERE a.subscription BETWEEN 2003 AND 2052 AND a.at >= since) p
$$;
SELECT clock.alter(2003, 'tenant_max_in_flight=3');
UPDATE t SET began = clock.now();
SELECT clock.send(id, 'capped%', 2) FROM generate_series(2003, 2052) id;
SELECT clock.run('2 s');
SELECT is(pg_temp.together(began), 3::bigint, 'never more than three at once') FROM t;
SELECT is(count(*), 60::bigint, 'never fewer')
FROM clock.posts(), t WHERE at >= began AND at < began + interval '2 s';
SELECT clock.alter(2003, 'max_in_flight=10', 'rate_limit=1000');
SELECT clock.settle('10 min');
UPDATE t SET began = clock.now();
SELECT clock.send(2003, 'alone%', 60);
SELECT clock.run('2 s');
SELECT is(pg_temp.together(began), 3::bigint, '... nor of one subscription that may have more itself') FROM t;
SELECT clock.alter(2003, 'tenant_max_in_flight=0', 'tenant_rate_limit=10');
SELECT clock.settle('10 min');
SELECT clock.run('10 s');
UPDATE t SET began = clock.now();
SELECT clock.send(id, 'limited%', 2) FROM generate_series(2003, 2052) id;
SELECT clock.run('5 s');
SELECT ok(count(*) BETWEEN 55 AND 60, 'ten a second, after a burst of ten')
FROM clock.posts(), t WHERE at >= began;
SELECT is(count(*), 1::bigint, 'that is told once a minute, of one of its subscriptions')
FROM clock.notices(), t WHERE change = 'tenant limited' AND at >= began;
SELECT clock.settle('10 min');
UPDATE t SET began = clock.now();
SELECT clock.send(2003, 'rated%', 100);
SELECT clock.run('5 s');
SELECT ok(count(*) BETWEEN 55 AND 60, 'ten a second of one subscription that may have more itself')
FROM clock.posts(), t WHERE at >= began;

SELECT clock.settle('10 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
