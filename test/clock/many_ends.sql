--
-- Thousands of subscriptions end at once: that takes no longer than their commands
-- need, and the others are served meanwhile.
--
BEGIN;
SELECT plan(3);

SELECT count(clock.subscribe()) FROM generate_series(1, 1001);
SELECT clock.send(1001, 'before%', 10);
SELECT clock.settle('1 min');
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT count(clock.unsubscribe(id)) FROM generate_series(1, 1000) id;
SELECT clock.send(1001, 'after%', 10, 0, '50 ms');
SELECT cmp_ok(clock.settle('2 min'), '<', interval '3 s', 'a thousand have ended within seconds');
SELECT is(count(*), 10::bigint, 'one that goes on is served') FROM clock.posts() p, t WHERE p.at >= began;
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
