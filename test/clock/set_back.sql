--
-- The clock is set back by a day: nothing in memory waits for a day.
-- The times in rows of pending are set back, too.
--
BEGIN;
SELECT plan(13);

-- Five subscriptions: with an open breaker, held back by the rate limit, with a
-- Retry-After, with a ready delivery, with requests in flight.
SELECT count(clock.subscribe('retry_schedule=5 5 5 5 5 5 5')) FROM generate_series(1, 5);
SELECT clock.alter(2, 'rate_limit=1');
SELECT clock.alter(4, 'max_in_flight=1');
SELECT clock.answer(1, 'error=connect');
SELECT clock.answer(3, 'status=429 retry_after=60 times=1', '');
SELECT clock.answer(4, 'took=500');
SELECT clock.answer(5, 'took=2500');
SELECT clock.send(1, 's%', 12);
SELECT clock.send(2, 's%', 20);
SELECT clock.send(3, 's%', 3);
SELECT clock.send(4, 's%', 10);
SELECT clock.send(5, 's%', 4);
SELECT clock.run('1.2 s');
SELECT is((SELECT count(*) FROM clock.states() WHERE delayed_until IS NOT NULL), 3::bigint, 'three sleep');
SELECT clock.set_back('1 day');
CREATE TEMP TABLE t AS SELECT clock.now() AS at;
SELECT clock.answer(1, '');
SELECT clock.run('1 min');
SELECT is(array_agg(DISTINCT subscription), '{1,2,3,4,5}'::bigint[], 'all send within a minute') FROM clock.posts() p, t WHERE p.at > t.at;
SELECT cmp_ok((SELECT count(*) FROM clock.posts() WHERE subscription = 2 AND at > t.at), '>=', 8::bigint, 'the limit goes on') FROM t;
SELECT cmp_ok((SELECT count(*) FROM clock.posts() WHERE subscription = 2 AND at > t.at), '<=', 62::bigint, 'and limits') FROM t;
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 4 AND outcome = 'delivered'), 10::bigint, 'what was ready is sent');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 5 AND outcome = 'delivered'), 4::bigint, 'what was in flight ends');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE subscription = 3 AND outcome = 'delivered') >= 2, true, 'what was to wait for a minute has not waited for a day');
SELECT is((SELECT delayed_until FROM clock.states() WHERE subscription = 1), NULL, 'the breaker does not sleep');

-- Nor do rows that are due at a time in pending.
SELECT clock.run('5 min');
SELECT is((SELECT count(*) FROM clock.outcomes() WHERE outcome = 'delivered'), 49::bigint, 'everything is delivered');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');
SELECT cmp_ok(max(p.at) - max(t.at), '<', interval '2 min', 'in time') FROM clock.posts() p, t;

-- Nor does a retry whose row is not written yet.
SELECT clock.answer(4, 'status=500 times=1', '');
SELECT clock.fail_writes(1);
SELECT clock.send(4, 'late');
SELECT clock.run('1 s');
SELECT is((SELECT r.unflushed FROM clock.load() r), 1, 'an outcome is not written');
SELECT clock.set_back('1 day');
SELECT clock.fail_writes(0);
SELECT cmp_ok(clock.settle('2 days'), '<', interval '1 min', 'it is retried in time');

SELECT * FROM finish();
ROLLBACK;
