--
-- An endpoint is asked for its challenge three times, and gets nothing else until
-- it answers.
--
BEGIN;
SELECT plan(25);

CREATE FUNCTION asked(subscription bigint) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(date_trunc('second', p.at)::text, ' ' ORDER BY p.at) FROM clock.posts() p
		WHERE p.subscription = asked.subscription AND p.cause = 'confirm' $$;
CREATE FUNCTION got(subscription bigint) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM clock.posts() p
		WHERE p.subscription = got.subscription AND p.cause <> 'confirm' $$;
CREATE FUNCTION told(subscription bigint) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(n.state, ' ' ORDER BY n.at), '') FROM clock.notices() n
		WHERE n.subscription = told.subscription AND n.change <> 'altered' $$;

-- 1 answers at once, 2 the third time, 3 never, 4 is gone, 5 fails, 6 has no challenge.
SELECT clock.subscribe('challenge=1', 'max_age=60'), clock.subscribe('challenge=1', 'max_age=60'),
	clock.subscribe('challenge=1'), clock.subscribe('challenge=1'), clock.subscribe('challenge=1'),
	clock.subscribe();
SELECT clock.answer(1, 'challenge=1 times=1', ''),
	clock.answer(2, 'times=1', 'status=500 challenge=1 times=1', 'challenge=1 times=1', ''),
	clock.answer(4, 'status=410 challenge=1'), clock.answer(5, 'error=connect');
SELECT clock.send(NULL, 's%', 40, 4);
SELECT clock.ping(3);
SELECT clock.run('30 s');
SELECT is(asked(1), '00:00:00', 'an endpoint is asked at once');
SELECT is(got(1), 40::bigint, 'what has waited is sent when it has answered');
SELECT is(told(1), 'unconfirmed active', 'that is told');
SELECT is((SELECT string_agg(outcome, ' ' ORDER BY number) FROM clock.outcomes() WHERE subscription = 1 AND cause = 'confirm'),
		  'delivered', 'the question is in the log');
SELECT is(got(2) + got(3) + got(4) + got(5), 0::bigint, 'nothing, and no ping, is sent to one that has not');
SELECT is(got(6), 40::bigint, 'others are not held up');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 2), 40::bigint, 'deliveries wait in pending');
SELECT is(told(6), '', 'an endpoint without a challenge is active');

SELECT clock.run('2 h');
SELECT is(asked(2), '00:00:00 00:01:00 00:11:00', 'it is asked again after one minute, and after ten');
SELECT is(got(2), 40::bigint, 'the third answer counts, and the time does not count in max_age');
SELECT is((SELECT string_agg(DISTINCT outcome, ' ') FROM clock.outcomes() WHERE subscription = 2 AND cause = 'event' AND outcome <> 'deferred'),
		  'delivered', 'nothing was too old');
SELECT is((SELECT string_agg(outcome || ' ' || coalesce(error_class, ''), ', ' ORDER BY number) FROM clock.outcomes() WHERE subscription = 2 AND cause = 'confirm'),
		  'retrying challenge, retrying status, delivered ', 'a 2xx without the challenge, and the challenge without a 2xx, are no proof');
SELECT is(asked(3), '00:00:00 00:01:00 00:11:00', 'after three requests there are no more');
SELECT is((SELECT string_agg(outcome, ' ' ORDER BY number) FROM clock.outcomes() WHERE subscription = 3 AND cause = 'confirm'),
		  'retrying retrying failed', 'the last one has failed');
SELECT is(told(3), 'unconfirmed', 'it stays so');
SELECT is(asked(4) || ' / ' || asked(5), '00:00:00 00:01:00 00:11:00 / 00:00:00 00:01:00 00:11:00', 'a 410 or a refused connection is no more than a wrong answer');
SELECT is((SELECT count(*) FROM clock.states() WHERE subscription IN (4, 5) AND disabled_at IS NULL AND breaker = 'closed' AND consecutive_failures = 0 AND failures = 0), 2::bigint,
		  'and counts against nobody');

-- Another endpoint starts anew, and the challenge of the former one is of no account.
SELECT clock.answer(3, 'took=20000 challenge=1 times=1', '');
SELECT clock.alter(3, 'challenge=2');
SELECT clock.run('10 s');
SELECT clock.alter(3, 'challenge=3');
SELECT clock.run('15 s');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 3 AND cause = 'confirm'), 5::bigint, 'each challenge is asked for at once');
SELECT is(got(3), 0::bigint, 'the answer to a former one is no proof');
-- People confirm it.
SELECT clock.alter(3, 'challenge=0');
SELECT clock.run('2 h');
SELECT is(got(3), 41::bigint, 'people may do without an answer');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 3 AND cause = 'confirm'), 5::bigint, 'then nothing is asked any more');

-- One that may not send is asked when it may.
SELECT clock.subscribe('challenge=1', 'paused=true');
SELECT clock.answer(7, 'challenge=1 times=1', '');
SELECT clock.run('5 min');
SELECT is(asked(7), NULL, 'a paused one is not asked');
SELECT clock.alter(7, 'paused=false');
SELECT clock.run('1 s');
SELECT is(told(7), 'paused unconfirmed active', 'it is when it goes on');

-- The end of a subscription ends it.
SELECT clock.subscribe('challenge=1');
SELECT clock.run('1 s');
SELECT clock.unsubscribe(8);
SELECT clock.run('1 h');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subscription = 8), 1::bigint, 'one that is gone is not asked again');
SELECT is((SELECT queued + in_flight + unflushed + elsewhere FROM clock.load())::bigint, 0::bigint, 'nothing is left in memory');

SELECT * FROM finish();
ROLLBACK;
