--
-- Three hundred endpoints with sixteen requests each begin to hang, more than both
-- pools can hold: one that answers has its requests before the first of theirs
-- times out.
--
BEGIN;
SELECT plan(4);

SELECT count(clock.subscribe()) FROM generate_series(1, 301);
SELECT clock.send(NULL, 'good%', 40);
SELECT clock.settle('2 min');
SELECT is(count(*), 301::bigint, 'all have full concurrency') FROM clock.states() WHERE concurrency = 16;
SELECT clock.answer(id, 'error=timeout') FROM generate_series(1, 300) id;
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.send(id, 'hang%', 16) FROM generate_series(1, 300) id;
SELECT clock.send(301, 'flow%', 1200, 0, '50 ms');
SELECT clock.run('61 s');

CREATE TEMP TABLE flow AS
SELECT p.at - began AS at, p.at - began - substr(p.subject, 5)::int * interval '50 ms' AS waited
FROM clock.posts() p, t WHERE p.subscription = 301 AND p.at >= began;
SELECT is(count(*), 1200::bigint, 'all of it is sent') FROM flow;
SELECT is(max(waited), interval '0', 'after twenty seconds none waits at all') FROM flow WHERE at > interval '20 s';
SELECT cmp_ok(max(in_flight), '<=', 4 * 256, 'four times the setting in all') FROM clock.posts();

SELECT * FROM finish();
ROLLBACK;
