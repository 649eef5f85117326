--
-- A dispatcher keeps all of its state to itself: a second one in the same process
-- starts with the health, the limits and the memory of a new one, and leaves the
-- first one as it is.
--
BEGIN;
SELECT plan(5);

SELECT clock.subscribe('max_in_flight=3');
SELECT clock.answer(1, 'error=timeout');
SELECT clock.send(1, 'first%', 30, 0);
SELECT clock.run('1 s');
CREATE TEMP TABLE before AS SELECT l::text AS load, s::text AS state
	FROM clock.load() l, clock.states() s;
SELECT is((SELECT ROW(in_flight, queued)::text FROM clock.load()), '(2,28)', 'the first one waits for two requests that hang');

SELECT is(clock.second(1, 10), '8 queued, 1 in flight, 1 ended', 'the second one starts two of its own');
SELECT is(clock.second(1, 2), '0 queued, 1 in flight, 1 ended', 'a third one, too');
SELECT is((SELECT ROW(l::text, s::text)::text FROM clock.load() l, clock.states() s), (SELECT ROW(load, state)::text FROM before), 'nothing of the first one has changed');

SELECT clock.answer(1, 'took=10');
SELECT clock.settle('1 h');
SELECT is(count(*), 30::bigint, 'and it goes on to its end') FROM clock.outcomes() WHERE outcome = 'delivered';

SELECT * FROM finish();
ROLLBACK;
