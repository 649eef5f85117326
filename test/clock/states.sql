--
-- The state of a subscription: it is told when it differs from what was told last,
-- and only then. What nobody needs any more is freed.
--
BEGIN;
SELECT plan(19);

CREATE FUNCTION told(subscription bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(n.state, ' ' ORDER BY n.at), '') FROM clock.notices() n
		WHERE n.subscription = told.subscription AND n.change <> 'altered' $$;

-- 1 is healthy, 2 has no secret, 3 becomes fenced, 4 hangs now and then.
SELECT count(clock.subscribe('retry_schedule=1 1 1 1 1')) FROM generate_series(1, 4);
SELECT clock.alter(2, 'secrets=0');
SELECT clock.run('1 s');
SELECT is(told(1), '', 'that nothing is wrong is not told');
SELECT is(told(2), 'waiting', 'a subscription without a secret waits');
SELECT clock.alter(2, 'secrets=1');
SELECT clock.alter(3, 'fenced=true');
SELECT clock.run('1 s');
SELECT is(told(2), 'waiting active', 'until it has one');
SELECT is(told(3), 'fenced', 'a fence is told');
SELECT clock.alter(3, 'fenced=false');
SELECT clock.set('webhook.enabled', 'off');
SELECT clock.run('1 s');
SELECT is(told(1), 'off', 'that nothing is sent is told, of one that nothing was sent to, too');
SELECT is(told(3), 'fenced off', 'and its end');
SELECT clock.set('webhook.enabled', 'on');
SELECT clock.run('1 s');
SELECT is(told(1), 'off active', 'that sending goes on is told');

-- People's changes: once; what is undone before it is seen is no change.
SELECT clock.alter(1, 'paused=true');
SELECT clock.command('n', 1, NULL, NULL);
SELECT clock.run('1 s');
SELECT is(told(1), 'off active paused', 'a pause is told once');
SELECT clock.alter(1, 'paused=false');
SELECT clock.alter(1, 'paused=true');
SELECT clock.command('n', 1, NULL, NULL);
SELECT clock.command('n', 1, NULL, NULL);
SELECT clock.run('1 s');
SELECT is(told(1), 'off active paused', 'nothing has changed, so nothing is told');
SELECT clock.alter(1, 'paused=false');
SELECT clock.run('1 s');
SELECT is(told(1), 'off active paused active', 'a change is told without a command');
SELECT clock.command('n', 2, 'changed', NULL);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.notices() WHERE subscription = 2 AND change = 'altered'), 1::bigint, 'that something else was altered is told');

-- An endpoint that hangs every five seconds is told of once a minute.
SELECT clock.answer(4, 'took=2500', 'took=10');
SELECT clock.alter(4, 'max_in_flight=1');
SELECT clock.send(4, 'h', 40, 0, '6 s');
SELECT clock.run('238 s');
SELECT cmp_ok((SELECT count(*) FROM clock.posts() WHERE subscription = 4 AND ended - at > '2 s'), '>', 10::bigint, 'it hangs often');
SELECT is((SELECT count(*) FROM clock.notices() WHERE subscription = 4 AND state = 'slow'), 4::bigint, 'that is told once a minute');
SELECT clock.answer(4, 'took=10');
SELECT clock.run('1 min');
SELECT is((SELECT state FROM clock.notices() WHERE subscription = 4 ORDER BY at DESC LIMIT 1), 'active', 'and so is its end');

-- A refused connection, and what follows it: not slow, but active with a problem.
SELECT clock.answer(1, 'error=connect times=1', 'status=404 times=1', '');
SELECT clock.send(1, 'r', 1);
SELECT clock.run('1 min');
SELECT is(told(1), 'off active paused active', 'a failure is no change of the state, nor is what answers after it');
SELECT clock.answer(1, 'error=connect times=1', '');
SELECT clock.send(1, 'r', 1);
SELECT clock.run('100 ms');
SELECT clock.retry(1);
SELECT clock.run('100 ms');
SELECT is(told(1), 'off active paused active', 'nor is retry()');

-- Subscriptions come and go.
SELECT is((SELECT queues FROM clock.load()), 4, 'each subscription has a queue');
SELECT count(clock.subscribe()) FROM generate_series(1, 100);
SELECT clock.send(id, 'gone', 3) FROM generate_series(5, 104) id;
SELECT clock.answer(id, 'error=connect') FROM generate_series(5, 104, 2) id;
SELECT clock.run('1 s');
SELECT clock.unsubscribe(id) FROM generate_series(5, 104) id;
SELECT clock.command('n', id, NULL, NULL) FROM generate_series(5, 104) id;
SELECT clock.run('1 min');
SELECT clock.alter(1, 'max_in_flight=2');
SELECT clock.run('3 s');
SELECT clock.alter(1, 'max_in_flight=3');
SELECT clock.run('3 s');
SELECT is((SELECT queues FROM clock.load()), 4, 'the queues of those that are gone are freed');
SELECT is(told(5) || ' ' || told(6), 'unsubscribed unsubscribed', 'their end was told once');

SELECT * FROM finish();
ROLLBACK;
