--
-- The worker is one thread: what takes it long is done in pieces, and whoever waits gets
-- a turn between two of them.
--
BEGIN;
SELECT plan(4);

-- The endpoints of one tenant refuse at once, again and again; another one has a steady flow.
SELECT count(clock.subscribe('tenant=refuses')) FROM generate_series(1, 200);
SELECT clock.subscribe('tenant=works');
SELECT clock.answer(id, 'error=connect took=1') FROM generate_series(1, 200) id;
SELECT clock.cost(100);
SELECT clock.send(id, 'dead%', 15, 0, '40 ms') FROM generate_series(1, 200) id;
SELECT clock.send(201, 'flow%', 400, 0, '5 ms');
SELECT clock.run('4 s');
SELECT clock.cost(0);
SELECT cmp_ok(count(*), '>=', 2000::bigint, 'the dead are tried until their breakers open')
FROM clock.posts() WHERE subscription <= 200;
CREATE TEMP TABLE flow AS SELECT at, substr(subject, 5)::int * interval '5 ms' AS sent
FROM clock.posts() WHERE subscription = 201;
SELECT is(count(*), 400::bigint, 'all of the other one is sent') FROM flow;
SELECT cmp_ok(max(at - sent), '<=', interval '5 ms', 'none of it waits for more than some pieces') FROM flow;

SELECT cmp_ok(percentile_cont(0.95) WITHIN GROUP (ORDER BY at - sent), '<=', interval '1 ms',
	'... and hardly any for more than one') FROM flow;

SELECT * FROM finish();
ROLLBACK;
