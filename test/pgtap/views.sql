--
-- What do pending_delivery, dead_letter, stat_subscription and explain() show?
--
-- All of it runs in one transaction, so no worker sees it: rows of the log, of
-- pending and of subscription_state are written here by hand.
--
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type('App.ContractSigned');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 11;
SELECT is(webhook.subscribe('https://example.com/' || n, '{App.ContractSigned}'), n + 10::bigint, 'subscription ' || n)
	FROM generate_series(1, 3) AS n;
CREATE TABLE webhook_internal.log_here PARTITION OF webhook.log DEFAULT;

-- Names for events, which may have left the ring.
CREATE TEMPORARY TABLE events (name text PRIMARY KEY, id bigint, event_id uuid, subject text,
	created_at timestamptz);
CREATE FUNCTION pg_temp.publish(name text, subject text, data json DEFAULT '{}',
		event_type text DEFAULT 'App.ContractSigned') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	new		uuid := webhook.publish(event_type, data, subject);
BEGIN
	INSERT INTO events SELECT publish.name, e.id, e.event_id, e.subject, e.created_at
		FROM webhook.event e WHERE e.event_id = new;
END
$$;
CREATE FUNCTION pg_temp.of(name text) RETURNS uuid LANGUAGE sql AS $$
	SELECT event_id FROM events WHERE events.name = "of".name
$$;
CREATE FUNCTION pg_temp.named(event_id uuid) RETURNS text LANGUAGE sql AS $$
	SELECT name FROM events WHERE events.event_id = named.event_id
$$;
CREATE FUNCTION pg_temp.position_of(name text) RETURNS bigint LANGUAGE sql AS $$
	SELECT id FROM events WHERE events.name = position_of.name
$$;
CREATE FUNCTION pg_temp.wait(name text, subscription bigint, next_at timestamptz,
		at bigint DEFAULT NULL, step integer DEFAULT 0,
		queued_at timestamptz DEFAULT now()) RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook_internal.pending (subscription_id, subject, position, id, event_id, cause,
			attempt, step, next_at, queued_at, age_start, created_at, event_type, data)
		SELECT subscription, coalesce(subject, ''), coalesce(at, id), id, event_id, 'event', step, step, wait.next_at,
				wait.queued_at, created_at, created_at, 'App.ContractSigned', '{}'
			FROM events WHERE events.name = wait.name
$$;
CREATE FUNCTION pg_temp.log(name text, subscription bigint, outcome text, at bigint DEFAULT NULL,
		attempt integer DEFAULT 1, cause text DEFAULT 'event', status integer DEFAULT NULL, error_class text DEFAULT NULL,
		logged_at timestamptz DEFAULT clock_timestamp()) RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
			subject, created_at, attempt, outcome, response_status, error_class, error, data)
		SELECT id, event_id, coalesce(at, id), log.cause, log.logged_at, subscription, 'App.ContractSigned', subject, created_at,
				log.attempt, log.outcome, status, log.error_class, 'the endpoint answered with status ' || status,
				CASE WHEN outcome IN ('failed', 'cancelled') THEN '{"kept": true}'::json END
			FROM events WHERE events.name = log.name
$$;

--
-- pending_delivery
--
SELECT pg_temp.publish(name, subject) FROM (VALUES ('a1', 'a'), ('a2', 'a'), ('a3', 'a'), ('b1', 'b'), ('b2', 'b'),
	('free1', NULL), ('free2', NULL)) AS v (name, subject);
SELECT pg_temp.wait('a1', 11, now() + interval '1 min', queued_at => now() - interval '1 h'),
	pg_temp.wait('a2', 11, NULL), pg_temp.wait('a3', 11, NULL),
	pg_temp.wait('a2', 12, NULL), pg_temp.wait('a3', 12, NULL, 0),
	pg_temp.wait('b1', 11, NULL), pg_temp.wait('b2', 11, now()),
	pg_temp.wait('free1', 11, now()), pg_temp.wait('free2', 11, NULL);
SELECT results_eq(
	'SELECT subscription_id, pg_temp.named(event_id), subject COLLATE "default", pg_temp.named(waits_for), waits_since
		FROM webhook.pending_delivery ORDER BY 1, 2',
	$$ VALUES (11::bigint, 'a1', 'a', NULL, NULL::timestamptz), (11, 'a2', 'a', 'a1', now() - interval '1 h'),
		(11, 'a3', 'a', 'a1', now() - interval '1 h'), (11, 'b1', 'b', NULL, NULL), (11, 'b2', 'b', NULL, NULL),
		(11, 'free1', NULL, NULL, NULL), (11, 'free2', NULL, NULL, NULL),
		(12, 'a2', 'a', 'a3', now()), (12, 'a3', 'a', NULL, NULL) $$,
	'a delivery that is not due waits for the first one of its subject and subscription');
SELECT row_eq('SELECT event_type, cause, attempt, step, next_at, queued_at, created_at, position, id
		FROM webhook.pending_delivery WHERE subscription_id = 11 AND event_id = pg_temp.of(''a1'')',
	row('App.ContractSigned'::text, 'event'::text, 0, 0, now() + interval '1 min', now() - interval '1 h', created_at, id, id),
	'the other columns are those of the table') FROM events WHERE name = 'a1';

--
-- stat_subscription: what waits
--
SELECT row_eq('SELECT state, reason, pending, oldest_pending, next_attempt, delivered, rate
		FROM webhook.stat_subscription WHERE subscription_id = ' || id, expected, 'stat_subscription ' || id)
	FROM (VALUES
		(11, row('active'::text, NULL::text, 7::bigint, now() - interval '1 h', now(), 0::bigint, 0::float8)),
		(12, row('active'::text, NULL::text, 2::bigint, now(), NULL::timestamptz, 0::bigint, 0::float8)),
		(13, row('active'::text, NULL::text, 0::bigint, NULL::timestamptz, NULL::timestamptz, 0::bigint, 0::float8)))
		AS v (id, expected);
DELETE FROM webhook_internal.pending;

--
-- stat_subscription: what a query does not ask for is not looked up
--
CREATE FUNCTION pg_temp.looks(query text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	line	text;
	found	integer := 0;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		found := found + (line ~ 'pending_summary')::integer;
	END LOOP;
	RETURN found;
END
$$;
SELECT is(pg_temp.looks('SELECT state, pending, next_attempt FROM webhook.stat_subscription'), 1, 'the oldest delivery is not looked up where nobody asks');
SELECT is(pg_temp.looks('SELECT oldest_pending, pending FROM webhook.stat_subscription'), 2, '... only where somebody does');

--
-- stat_subscription: health of the endpoint
--
INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, last_success, last_failure, probe_interval,
		suspended, delivered, failed, retried, filter_errors, rate, p50, p95, saved_at)
	VALUES (11, 'active', 'closed', 16, 0, 2, '2026-01-01', '2026-01-02', 0, '0', 1000, 3, 5, 7, 60, '20 ms', '90 ms', now());
SELECT row_eq('SELECT endpoint, state, reason, delivered, failed, retried, filter_errors, consecutive_failures, failures_since_success, opened_at,
		next_attempt, last_success, last_failure, p50, p95 FROM webhook.stat_subscription WHERE subscription_id = 11',
	row('https://example.com/1'::text, 'active'::text, NULL::text, 1000::bigint, 3::bigint, 5::bigint, 7::bigint, 0, 2::bigint,
		NULL::timestamptz, NULL::timestamptz, '2026-01-01'::timestamptz, '2026-01-02'::timestamptz, interval '20 ms',
		interval '90 ms'),
	'the columns are as the worker saved them');
CREATE FUNCTION pg_temp.rate(age interval, saved float8 DEFAULT 60)
	RETURNS float8 LANGUAGE sql AS $$
	UPDATE webhook_internal.subscription_state SET saved_at = statement_timestamp() - age,
		rate = saved WHERE subscription_id = 11;
	SELECT rate FROM webhook.stat_subscription WHERE subscription_id = 11
$$;
SELECT is(round(pg_temp.rate('0')), 60::float8, 'the rate is as it was saved just now');
SELECT is(round(pg_temp.rate('1 min')), 22::float8, 'the rate falls by e a minute');
SELECT is(pg_temp.rate('1 day'), 0::float8, 'after a day the rate is 0');
SELECT is(round(pg_temp.rate('-1 h')), 60::float8, 'a rate that was saved in the future is taken as it is');
SELECT is(pg_temp.rate('1 s', 1e-320), 0::float8, 'a tiny rate becomes 0');

-- state and reason: the first case that applies
CREATE FUNCTION pg_temp.state(subscription_changes text, state_changes text,
		not_before timestamptz DEFAULT NULL, OUT state text, OUT reason text,
		OUT next_attempt timestamptz) LANGUAGE plpgsql AS $$
BEGIN
	IF subscription_changes <> '' THEN
		EXECUTE 'UPDATE webhook_internal.subscription SET ' || subscription_changes || ' WHERE id = 11';
	END IF;
	EXECUTE 'UPDATE webhook_internal.subscription_state SET ' || concat_ws(', ', 'not_before = $1', nullif(state_changes, '')) || ' WHERE subscription_id = 11'
		USING not_before;
	SELECT s.state, s.reason, s.next_attempt INTO state, reason, next_attempt
		FROM webhook.stat_subscription s WHERE subscription_id = 11;
END
$$;
SELECT pg_temp.publish('due', 'due');
SELECT pg_temp.wait('due', 11, '2026-02-02');
SAVEPOINT healthy;
SELECT row_eq(format('SELECT * FROM pg_temp.state(%L, %L, %L)', subscription_changes, state_changes, not_before),
		row(state, reason, next_attempt), format('%s: %s', state, coalesce(reason, 'no reason')))
	FROM (VALUES
		('', 'state = ''active''', NULL, 'active', NULL, '2026-02-02'::timestamptz),
		('', 'reason = ''status 404''', NULL, 'active', 'the last problem: status 404', '2026-02-02'),
		('', 'state = ''waiting'', reason = ''status 503''', '3000-01-01', 'waiting', 'it waits, as Retry-After asks: status 503', '3000-01-01'),
		('', '', '2026-01-01', 'waiting', 'it has no secret to sign with; webhook.rotate_secret() gives it one', NULL),
		('', 'state = ''active''', '2026-01-01', 'active', 'the last problem: status 503', '2026-02-02'),
		('', 'state = ''slow'', concurrency = 1, reason = NULL', NULL, 'slow', 'a response took more than two seconds', '2026-02-02'),
		('', 'reason = ''timeout''', NULL, 'slow', 'the last problem: timeout', '2026-02-02'),
		('', 'state = ''active''', NULL, 'active', 'the last problem: timeout', '2026-02-02'),
		('', 'state = ''paused''', NULL, 'active', 'the last problem: timeout', '2026-02-02'),
		('', 'state = ''off''', NULL, 'off', 'sending is switched off by webhook.enabled', NULL),
		('', 'state = ''open'', breaker = ''open'', consecutive_failures = 12, opened_at = ''2026-01-01''', '3000-01-01', 'open', '12 failures in a row, the last: timeout',
			'3000-01-01'),
		('paused = true', 'breaker = ''open''', '3000-01-01', 'paused', 'paused by webhook.pause()', NULL),
		('home = ''1/1''', 'breaker = ''open''', '3000-01-01', 'fenced', 'it belongs to another database until webhook.resume_database()',
			NULL),
		('since = ''3:3:''', 'disabled_at = now(), disabled_start_snapshot = ''3:3:''', NULL, 'disabled',
			'disabled by the worker, the last problem: timeout', NULL),
		('since = ''3:4:3''', 'breaker = ''open''', NULL, 'fenced', 'it belongs to another database until webhook.resume_database()', NULL),
		('enabled = false', 'breaker = ''open''', NULL, 'disabled', 'disabled by webhook.alter_subscription()', NULL))
		AS v (subscription_changes, state_changes, not_before, state, reason, next_attempt);
ROLLBACK TO healthy;
SELECT is((pg_temp.state('', 'state = ''open'', breaker = ''open'', consecutive_failures = 10', '2026-02-01')).next_attempt, '2026-02-02',
	'the next attempt is when the next delivery is due, if that is later');
SELECT is((pg_temp.state('', 'disabled_at = now(), disabled_start_snapshot = NULL')).state, 'disabled', 'disabled by the worker at an unknown time');
DELETE FROM webhook_internal.subscription_state;
DELETE FROM webhook_internal.pending;
SELECT is(count(*), 3::bigint, 'a subscription without a state has a row') FROM webhook.stat_subscription;

--
-- dead_letter
--
SELECT pg_temp.publish(name, CASE name WHEN 'subjectless' THEN NULL ELSE 'contract' END)
	FROM unnest('{delivered,failed,cancelled,retrying,redelivered,refailed,recalled,both,waits,waits_elsewhere,ping,subjectless,late}'::text[]) AS name;
SELECT pg_temp.log('delivered', 11, 'delivered', status => 200),
	pg_temp.log('failed', 11, 'retrying', status => 500),
	pg_temp.log('failed', 11, 'failed', attempt => 10, status => 503, error_class => 'status'),
	pg_temp.log('cancelled', 11, 'cancelled', attempt => 0),
	pg_temp.log('retrying', 11, 'retrying'),
	pg_temp.log('redelivered', 11, 'failed'), pg_temp.log('redelivered', 11, 'delivered', 1000000),
	pg_temp.log('refailed', 11, 'failed'), pg_temp.log('refailed', 11, 'failed', 1000000),
	pg_temp.log('recalled', 11, 'delivered'), pg_temp.log('recalled', 11, 'failed', 1000000),
	pg_temp.log('both', 11, 'failed', logged_at => now()), pg_temp.log('both', 11, 'cancelled', 1000000, logged_at => now()),
	pg_temp.log('waits', 11, 'failed'), pg_temp.wait('waits', 11, NULL, 1000000),
	pg_temp.log('waits_elsewhere', 11, 'failed'), pg_temp.wait('waits_elsewhere', 12, NULL),
	pg_temp.log('ping', 11, 'failed', cause => 'ping'),
	pg_temp.log('subjectless', 11, 'failed'), pg_temp.log('subjectless', 12, 'failed'), pg_temp.wait('subjectless', 12, NULL, 1000000),
	pg_temp.log('late', 11, 'failed'), pg_temp.log('late', 12, 'delivered', 1000000);
SELECT results_eq(
	'SELECT pg_temp.named(event_id), position FROM webhook.dead_letter WHERE subscription_id = 11 ORDER BY 1',
	$$ VALUES ('both', 1000000::bigint), ('cancelled', pg_temp.position_of('cancelled')), ('failed', pg_temp.position_of('failed')),
		('late', pg_temp.position_of('late')), ('recalled', 1000000), ('refailed', 1000000),
		('subjectless', pg_temp.position_of('subjectless')), ('waits_elsewhere', pg_temp.position_of('waits_elsewhere')) $$,
	'what failed or was cancelled last, and does not wait');
SELECT is_empty('SELECT FROM webhook.dead_letter WHERE subscription_id = 12', 'a delivery to another subscription does not count');
SELECT row_eq('SELECT id, event_type, subject, created_at, attempt, outcome, error_class, error, response_status, data::text
		FROM webhook.dead_letter WHERE event_id = pg_temp.of(''failed'')',
	row(id, 'App.ContractSigned'::text, subject, created_at, 10, 'failed'::text, 'status'::text,
		'the endpoint answered with status 503'::text, 503, '{"kept": true}'::text),
	'the other columns are those of the log') FROM events WHERE name = 'failed';
DELETE FROM webhook_internal.pending;
DELETE FROM webhook.log;

--
-- explain
--
CREATE FUNCTION pg_temp.explained(name text, subscription bigint DEFAULT 11)
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said	text := webhook.explain(pg_temp.of(name), subscription);
	other	record;
BEGIN
	said := regexp_replace(said, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d', 'T', 'g');
	FOR other IN SELECT * FROM events LOOP
		said := replace(said, other.event_id::text, other.name);
	END LOOP;
	-- Whether a worker runs is not what is tested here.
	RETURN replace(said, E'\nNo worker is running in this database.', '');
END
$$;
-- What explain() says after its first sentence.
CREATE FUNCTION pg_temp.after(name text, subscription bigint DEFAULT 11)
	RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(pg_temp.explained(name, subscription), '^[^\n]*\n', '')
$$;
CREATE FUNCTION pg_temp.leave_ring(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE format('DELETE FROM webhook_internal.event_%s WHERE event_id = $1', n) USING pg_temp.of(name);
	END LOOP;
END
$$;

SELECT throws_ok('SELECT webhook.explain(NULL, 11)', '22004', 'event must not be null', 'NULL is no event');
SELECT throws_ok('SELECT webhook.explain(pg_temp.of(''late''), NULL)', '22004', 'subscription must not be null', 'NULL is no subscription');
SELECT matches(webhook.explain('00000000-0000-0000-0000-000000000000', 11), '^The event is unknown: ', 'an unknown event');

-- no attempt has been made
SELECT is(pg_temp.explained('late'), E'It is an event of type App.ContractSigned about contract, which occurred at T.\n'
	'It is in memory or in flight, or has not been read yet.', 'an event that has just occurred');
SELECT matches(pg_temp.explained('subjectless'), '^It is an event of type App.ContractSigned, which occurred at T', 'an event without a subject');
SELECT is(pg_temp.after('late', 7), 'Subscription 7 does not exist.', 'a subscription that does not exist');
SAVEPOINT untried;
UPDATE webhook_internal.subscription SET events = '{App.Other,Else.*}' WHERE id = 11;
SELECT is(pg_temp.after('late'), 'Subscription 11 does not take events of this type; it takes: App.Other, Else.*.', 'a subscription that does not take the type');
UPDATE webhook_internal.subscription SET events = '{App.*}', filter = '$.a == 1' WHERE id = 11;
SELECT is(pg_temp.after('late'), 'The filter of subscription 11 is not true for it: ($."a" == 1)', 'a filter that does not match');
UPDATE webhook_internal.subscription SET since = format('%s:%1$s:', pg_current_xact_id()::text::bigint + 1)::pg_snapshot, filter = NULL
	WHERE id = 11;
SELECT is(pg_temp.after('late'), 'It was committed before subscription 11 was made or last enabled; '
	'webhook.recover() with what => ''missing'' delivers such events.', 'an event from before the subscription');
ROLLBACK TO untried;
DELETE FROM webhook_internal.checkpoint;
INSERT INTO webhook_internal.checkpoint (worker, home, server_version, snapshot, last_id, saved_at)
	VALUES (0, webhook_internal.home(), 0, format('%s:%1$s:', pg_current_xact_id()::text::bigint + 1)::pg_snapshot, 0, now());
SELECT is(pg_temp.after('late'), 'Subscription 11 did not take it when it was read: it was disabled, or had other event types or another filter. '
	'webhook.recover() with what => ''missing'' delivers such events.', 'an event that was read before the subscription took its type');
ROLLBACK TO untried;
UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 11;
SELECT is(pg_temp.after('late'), E'It is in memory or in flight, or has not been read yet.\n'
	'Subscription 11 is fenced, so nothing is sent to it: it belongs to another database until webhook.resume_database().', 'fenced');
ROLLBACK TO untried;
UPDATE webhook_internal.subscription SET paused = true WHERE id = 11;
SELECT is(pg_temp.after('late'), E'It is in memory or in flight, or has not been read yet.\n'
	'Subscription 11 is paused, so nothing is sent to it: paused by webhook.pause().', 'paused');
UPDATE webhook_internal.subscription SET enabled = false WHERE id = 11;
SELECT is(pg_temp.after('late'), E'It is in memory or in flight, or has not been read yet.\n'
	'Subscription 11 is disabled, so nothing is sent to it: disabled by webhook.alter_subscription().', 'disabled');
ROLLBACK TO untried;

-- the delivery has ended
SELECT pg_temp.log('delivered', 11, 'retrying', status => 500), pg_temp.log('delivered', 11, 'delivered', attempt => 2, status => 204);
SELECT is(pg_temp.after('delivered'), 'It was delivered at T, by attempt 2, with status 204.', 'delivered');
SELECT pg_temp.log('failed', 11, 'failed', attempt => 10, status => 503);
SELECT is(pg_temp.after('failed'), E'It failed for good at T, after 10 attempts: the endpoint answered with status 503.\n'
	'It is not retried; webhook.resend() or webhook.recover() sends it again.', 'failed');
SELECT pg_temp.log('cancelled', 11, 'cancelled', attempt => 1);
SELECT is(pg_temp.after('cancelled'), E'It was cancelled at T, after one attempt.\n'
	'It is not retried; webhook.resend() or webhook.recover() sends it again.', 'cancelled');
SELECT pg_temp.log('recalled', 11, 'cancelled', attempt => 0, error_class => 'skipped');
SELECT is(pg_temp.after('recalled'), E'It was skipped at T, after no attempt.\n'
	'It is not retried; webhook.resend() or webhook.recover() sends it again.', 'skipped');
UPDATE webhook.log SET data = NULL WHERE event_id = pg_temp.of('recalled');
SELECT pg_temp.leave_ring('recalled');
SELECT is(pg_temp.after('recalled'), E'It was skipped at T, after no attempt.\n'
	'It cannot be resent: it is no longer in the ring, and the log has not kept its data.', 'skipped, and the event has left the ring');
UPDATE webhook_internal.subscription SET events = '{App.Other}' WHERE id = 11;
SELECT is(pg_temp.after('delivered'), 'It was delivered at T, by attempt 2, with status 204.', 'delivered before the subscription changed its types');
ROLLBACK TO untried;
SELECT pg_temp.log('delivered', 11, 'delivered', attempt => 2, status => 204);
SELECT webhook.resend(pg_temp.of('delivered'), 11);
SELECT is(pg_temp.after('delivered'), E'It was delivered at T, by attempt 2, with status 204.\n'
	'Its replay is in memory or in flight.', 'resent');
SELECT is(pg_temp.after('delivered', 12), 'It is in memory or in flight, or has not been read yet.', 'resent to another subscription');
SELECT webhook.unsubscribe(11);
SELECT is(pg_temp.after('delivered'), E'It was delivered at T, by attempt 2, with status 204.\n'
	'Its replay is in memory or in flight.\n'
	'Subscription 11 does not exist, so the delivery will be cancelled.', 'resent to a subscription that is gone');
ROLLBACK TO untried;

-- the delivery waits
SELECT webhook.alter_subscription(11, retry_schedule => '{1 s,1 min,1 h}');
SELECT pg_temp.wait('retrying', 11, '3000-01-01', step => 1);
SELECT pg_temp.log('retrying', 11, 'retrying', status => 404);
SELECT is(pg_temp.after('retrying'), E'Attempt 1 failed at T: the endpoint answered with status 404.\n'
	'Attempt 2, retry 1 of 3, is due at T.', 'a retry with a schedule of the subscription');
SELECT pg_temp.wait('late', 11, NULL);
SELECT is(pg_temp.after('late'), 'It waits behind event retrying of the same subject, which has been waiting since T.', 'it waits for another one');
UPDATE webhook_internal.subscription SET retry_schedule = NULL;
SELECT is(pg_temp.after('retrying'), E'Attempt 1 failed at T: the endpoint answered with status 404.\n'
	'Attempt 2, retry 1 of 9, is due at T.', 'a retry with the schedule of the setting')
	WHERE current_setting('webhook.retry_schedule') = '5s, 5m, 30m, 2h, 5h, 10h, 14h, 20h, 24h';
SELECT pg_temp.wait('a1', 11, NULL);
SELECT is(pg_temp.after('a1'), 'It waits behind another event of the same subject that is in memory or in flight.', 'it waits for one that is not in pending');
SELECT pg_temp.wait('b1', 11, now());
SELECT is(pg_temp.after('b1'), 'Attempt 1 is due at T.', 'due, without an attempt yet');
INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
	consecutive_failures, failures_since_success, probe_interval, opened_at, not_before, reason,
		suspended, delivered, failed, retried, filter_errors, rate, saved_at)
	VALUES (11, 'open', 'open', 1, 10, 10, 10, now(), '3000-01-01', 'connection refused', '0', 0, 0, 10, 0, 0, now());
SELECT is(pg_temp.after('b1'), E'Attempt 1 is due at T.\n'
	'The circuit breaker has been open since T, and the next probe is due at T: '
	'10 failures in a row, the last: connection refused.', 'the breaker is open');
UPDATE webhook_internal.subscription_state SET state = 'waiting', breaker = 'closed', concurrency = 2, opened_at = NULL;
SELECT is(pg_temp.after('b1'), E'Attempt 1 is due at T.\n'
	'No request is sent before T: it waits, as Retry-After asks: connection refused.', 'Retry-After');
SAVEPOINT waiting;
UPDATE webhook_internal.subscription_state SET state = 'active', not_before = NULL;
DELETE FROM webhook_internal.pending WHERE event_id = pg_temp.of('b1');
SELECT is(pg_temp.after('late'), 'It waits behind event retrying of the same subject, which has been waiting since T.',
	'a retry that is due later is not a state of the endpoint');
ROLLBACK TO waiting;
UPDATE webhook_internal.subscription_state SET state = 'active', not_before = NULL;
UPDATE webhook_internal.subscription SET rate_limit = 2 WHERE id = 11;
SELECT is(pg_temp.after('b1'), E'Attempt 1 is due at T.\n'
	'Subscription 11 is held back by its rate limit of 2 requests a second.', 'the rate limit');
SELECT webhook.define_tenant('limited', rate_limit => 1);
ALTER TABLE webhook_internal.subscription DISABLE TRIGGER keep_tenant;
UPDATE webhook_internal.subscription SET tenant = 'limited' WHERE id = 11;
SELECT is(reason, 'held back by the rate limit of its tenant of 1 requests a second',
	'that of its tenant, which is lower')
FROM webhook.stat_subscription WHERE subscription_id = 11;
ROLLBACK TO waiting;
UPDATE webhook_internal.subscription_state SET disabled_at = now();
SELECT is(pg_temp.after('b1'), E'Attempt 1 is due at T.\n'
	'Subscription 11 is disabled, so nothing is sent to it: disabled by the worker, the last problem: connection refused.', 'disabled by the worker');

-- a ping
INSERT INTO events (name, event_id) SELECT 'our ping', webhook.ping(12);
SELECT is(pg_temp.explained('our ping', 12), E'It is an event of type webhook.ping, which occurred at T.\n'
	'It is in memory or in flight.', 'a ping');
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
	created_at, attempt, outcome, error, data)
	SELECT 1, event_id, r.id, 'ping', now(), 12, r.event_type, r.created_at, 1, 'failed', 'the endpoint answered with status 503', '{}'
	FROM events JOIN webhook_internal.ring r USING (event_id) WHERE name = 'our ping';
SELECT is(pg_temp.explained('our ping', 12), E'It is an event of type webhook.ping, which occurred at T.\n'
	'It failed for good at T, after one attempt: the endpoint answered with status 503.', 'a ping that failed');
ROLLBACK TO untried;
SELECT is(webhook.explain(pg_temp.of('late'), 11) LIKE '%No worker is running%',
	NOT EXISTS (SELECT FROM webhook.stat_worker WHERE state = 'running'), 'it says whether a worker is running');

SELECT * FROM finish();
ROLLBACK;
