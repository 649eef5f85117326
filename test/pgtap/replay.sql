--
-- What do ping(), resend(), recover(), cancel() and skip() find, and which commands
-- do they write for the worker?
--
-- All of it runs in one transaction, so no worker sees it: rows of the log, of
-- pending and of subscription_state are written here by hand.
--
-- What a cautious DBA sets for all functions is no error in ours.
SET plpgsql.extra_errors = 'all';
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type('App.ContractSigned');
SELECT webhook.define_event_type('App.Other');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 11;
SELECT is(webhook.subscribe('https://example.com/' || n, ARRAY[CASE n WHEN 3 THEN '*' ELSE 'App.ContractSigned' END]),
		n + 10::bigint, 'subscription ' || n)
	FROM generate_series(1, 3) AS n;
CREATE TABLE webhook_internal.log_here PARTITION OF webhook.log DEFAULT;

-- The commands that were written since the last call.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook_internal.ring;
CREATE FUNCTION pg_temp.commands() RETURNS text LANGUAGE sql AS $$
	WITH new_rows AS (
		SELECT r.* FROM webhook_internal.ring r, looked l WHERE r.id > l.id AND r.kind <> 'e'
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(r.id) FROM webhook_internal.ring r))
	)
	SELECT coalesce(string_agg(concat_ws(' ', kind, subject,
		regexp_replace(data::text, ',"snapshot":"\d+:\d+:[\d,]*"', '')), E'\n' ORDER BY id), '') FROM new_rows;
$$;
CREATE FUNCTION pg_temp.last_command() RETURNS webhook_internal.ring LANGUAGE sql AS $$
	SELECT r FROM webhook_internal.ring r WHERE kind <> 'e' ORDER BY id DESC LIMIT 1
$$;

-- Make an event in the ring, a row of pending, a row of the log.
CREATE FUNCTION pg_temp.publish(subject text, data text DEFAULT '{}', event_type text DEFAULT 'App.ContractSigned')
		RETURNS webhook.event LANGUAGE plpgsql AS $$
DECLARE
	new		uuid := webhook.publish(event_type, data::json, subject);
BEGIN
	RETURN (SELECT e FROM webhook.event e WHERE e.event_id = new);
END
$$;
CREATE FUNCTION pg_temp.wait(e webhook.event, subscription bigint, place bigint DEFAULT NULL)
	RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook_internal.pending (subscription_id, subject, position, id, event_id, cause,
			attempt, step, queued_at, age_start, created_at, event_type, data)
		VALUES (subscription, coalesce(e.subject, ''), coalesce(place, e.id), e.id, e.event_id, 'event', 0, 0,
			now(), now(), e.created_at, e.event_type, e.data)
$$;
CREATE FUNCTION pg_temp.log(e webhook.event, subscription bigint, outcome text, cause text DEFAULT 'event',
		place bigint DEFAULT NULL, data json DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
			subject, created_at, attempt, outcome, data)
		VALUES (e.id, e.event_id, coalesce(place, e.id), cause, clock_timestamp(), subscription,
			e.event_type, e.subject, e.created_at, 1, outcome, coalesce(log.data, CASE WHEN outcome IN ('failed', 'cancelled') THEN e.data END))
$$;
CREATE FUNCTION pg_temp.leave_ring(e webhook.event) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE format('DELETE FROM webhook_internal.event_%s WHERE event_id = $1', n) USING e.event_id;
	END LOOP;
END
$$;
CREATE FUNCTION pg_temp.set_disabled_by_worker(subscription bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
			consecutive_failures, failures_since_success, probe_interval, disabled_at,
			disabled_start_snapshot, suspended, delivered, failed, retried, filter_errors,
			rate, saved_at)
		SELECT id, 'disabled', 'open', 1, 20, 20, 10, now(), since, '0', 0, 0, 20, 0, 0, now()
		FROM webhook_internal.subscription WHERE id = set_disabled_by_worker.subscription
$$;

--
-- ping
--
CREATE TEMPORARY TABLE ping AS SELECT webhook.ping(11) AS id;
SELECT unnest(ARRAY[is(c.kind, 'r'::"char", 'a ping is a replay'),
		is(c.event_id, ping.id, 'a ping is of a new event'),
		is(c.event_type, 'webhook.ping', 'a ping has an event type of its own'),
		is(c.subject, NULL, 'a ping has no subject'),
		is((c.data ->> 'subscription')::bigint, 11::bigint, 'a ping is for one subscription'),
		is(c.data ->> 'cause', 'ping', 'its cause is ping'),
		is((c.data -> 'data')::text, '{"SubscriptionId":11}', 'a ping has data')])
	FROM ping, pg_temp.last_command() AS c;
SELECT matches(id::text, '^........-....-7...-[89ab]', 'its Id is a UUIDv7') FROM ping;
SELECT ok(id > webhook_internal.new_event_id(now() - interval '1 min') AND id < webhook_internal.new_event_id(now() + interval '1 min'),
	'its Id is of this time') FROM ping;
SELECT is_empty('SELECT FROM webhook.event JOIN ping ON ping.id = event_id', 'webhook.event does not show a ping');
SELECT lives_ok('SELECT webhook.cancel(id, 11) FROM ping', 'a ping can be cancelled');
SELECT throws_ok('SELECT webhook.resend(id, 11) FROM ping', '22023', NULL, 'a ping cannot be resent');
SELECT throws_ok('SELECT webhook.ping(7)', '42704', NULL, 'no such subscription');
SELECT throws_ok('SELECT webhook.ping(NULL)', '22004', NULL, 'NULL is no subscription');
SELECT throws_like($$ SELECT webhook.ping(11, 'App.Nothing') $$, 'event type "App.Nothing" does not exist', 'no such event type');
SELECT throws_like($$ SELECT webhook.ping(11, 'App.Other') $$, 'event type "App.Other" has no example', 'an event type without an example');
SELECT webhook.alter_event_type('App.Other', example => '{"a": "ü"}');
CREATE TEMPORARY TABLE example AS SELECT webhook.ping(11, 'App.Other') AS id;
SELECT unnest(ARRAY[is(c.event_type, 'App.Other', 'a ping with an example has its event type'),
		is(c.event_id, example.id, 'it is of a new event'),
		is(c.subject, NULL, 'it has no subject'),
		is(c.data ->> 'cause', 'ping', 'its cause is ping'),
		is((c.data -> 'data')::text, '{"a": "ü"}', 'its data is the example')])
	FROM example, pg_temp.last_command() AS c;
SELECT throws_like('SELECT webhook.resend(id, 11) FROM example', 'cannot resend event %', 'it cannot be resent');
SELECT matches(webhook.explain(id, 11), '^It is a ping with the example of event type App.Other, sent at [^\n]*\nIt is in memory or in flight.', 'explain() says what it is')
	FROM example;
SELECT is((SELECT detail FROM webhook.audit WHERE event_id = id), '{"event_type": "App.Other"}', 'the audit says which') FROM example;
SELECT lives_ok('SELECT webhook.cancel(id, 11) FROM example', 'it can be cancelled');
SAVEPOINT disabled;
SELECT webhook.alter_subscription(11, enabled => false);
SELECT throws_ok('SELECT webhook.ping(11)', '55000', 'subscription 11 is disabled', 'a disabled subscription gets no ping');
ROLLBACK TO disabled;
SELECT pg_temp.set_disabled_by_worker(11);
SELECT throws_ok('SELECT webhook.ping(11)', '55000', 'subscription 11 is disabled', 'a subscription that the worker disabled gets no ping');
ROLLBACK TO disabled;
UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 11;
SELECT throws_ok('SELECT webhook.ping(11)', '55000', 'subscription 11 is fenced', 'a fenced subscription gets no ping');
ROLLBACK TO disabled;
SELECT webhook.pause(11);
SELECT lives_ok('SELECT webhook.ping(11)', 'a paused subscription can be pinged');
ROLLBACK TO disabled;

--
-- resend
--
CREATE TEMPORARY TABLE e AS SELECT (x).*, x AS event FROM pg_temp.publish('contract/1', '{ "b":  1,"a": "ü" ,"b":2 } ') AS x;
SELECT webhook.resend(event_id, 11) FROM e;
SELECT unnest(ARRAY[is(c.kind, 'r'::"char", 'resend() writes a replay'),
		is(c.event_id, e.event_id, 'it has the event''s Id'),
		is(c.event_type, e.event_type, 'it has the event''s type'),
		is(c.subject, e.subject, 'it has the event''s subject'),
		is(c.data::text, format('{"subscription":11,"cause":"resend","id":%s,"txid":%s,"created_at":%s,"data":{ "b":  1,"a": "ü" ,"b":2 } }',
			e.id, pg_current_xact_id(), (extract(epoch FROM e.created_at - '2000-01-01 00:00+00') * 1000000)::bigint),
			'it has the event''s data as they were published'),
		ok(c.created_at >= e.created_at AND c.id > e.id, 'it comes after the event')])
	FROM e, pg_temp.last_command() AS c;
SELECT webhook.resend(event_id, 12) FROM e;
SELECT is((c.data ->> 'subscription')::bigint, 12::bigint, 'another subscription can be chosen')
	FROM pg_temp.last_command() AS c;

-- resend(): where the data are found
SAVEPOINT here;
SELECT pg_temp.log(event, 11, 'delivered') FROM e;
SELECT lives_ok('SELECT webhook.resend(event_id, 11) FROM e', 'a delivered event that is in the ring can be resent');
SELECT pg_temp.leave_ring(event) FROM e;
SELECT throws_ok('SELECT webhook.resend(event_id, 11) FROM e', '55000',
	format('cannot resend event %s', event_id), 'a delivered event that has left the ring cannot be resent') FROM e;
SELECT lives_ok('SELECT webhook.cancel(event_id, 11) FROM e', 'its delivery can be cancelled');
SELECT pg_temp.wait(event, 12) FROM e;
SELECT webhook.resend(event_id, 11) FROM e;
SELECT is(c.data -> 'data' ->> 'a', 'ü', 'an event that waits in pending can be resent') FROM pg_temp.last_command() AS c;
SELECT is(c.subject, 'contract/1', 'it has its subject') FROM pg_temp.last_command() AS c;
ROLLBACK TO here;
SELECT pg_temp.leave_ring(event) FROM e;
SELECT throws_ok('SELECT webhook.resend(event_id, 11) FROM e', '42704', format('event %s does not exist', event_id), 'an event that is nowhere is unknown')
	FROM e;
SELECT pg_temp.log(event, 12, 'failed') FROM e;
SELECT webhook.resend(event_id, 11) FROM e;
SELECT is(c.data -> 'data' ->> 'a', 'ü', 'an event whose data are in the log can be resent') FROM pg_temp.last_command() AS c;
DELETE FROM webhook.log;
SELECT webhook.resend(event_id, 11) FROM e;
SELECT is((c.data::jsonb) - 'cause', (SELECT (r.data::jsonb) - 'cause' FROM webhook_internal.ring r, e WHERE r.event_id = e.event_id
		ORDER BY r.id LIMIT 1), 'an event whose data are in another replay can be resent')
	FROM pg_temp.last_command() AS c;
ROLLBACK TO here;
CREATE TEMPORARY TABLE plain AS SELECT (x).*, x AS event FROM pg_temp.publish(NULL, 'null') AS x;
SELECT pg_temp.wait(event, 11) FROM plain;
SELECT pg_temp.leave_ring(event) FROM plain;
SELECT webhook.resend(event_id, 11) FROM plain;
SELECT unnest(ARRAY[is(c.subject, NULL, 'an event without a subject is resent without one'),
		is((c.data -> 'data')::text, 'null', 'data null is resent as null')])
	FROM pg_temp.last_command() AS c;
SELECT webhook.resend(event_id, 11) FROM pg_temp.publish(NULL, to_json(repeat('"', 400000))::text);
SELECT is(length(c.data ->> 'data'), 400000, 'large data are resent') FROM pg_temp.last_command() AS c;

SELECT throws_ok('SELECT webhook.resend(NULL, 11)', '22004', NULL, 'NULL is no event');
SELECT throws_ok(format('SELECT webhook.resend(%L, 7)', event_id), '42704', NULL, 'no such subscription') FROM e;
SELECT throws_ok(format('SELECT webhook.resend(%L, NULL)', event_id), '22004', NULL, 'NULL is no subscription') FROM e;
SELECT pg_temp.set_disabled_by_worker(11);
SELECT throws_ok(format('SELECT webhook.resend(%L, 11)', event_id), '55000', NULL, 'a disabled subscription gets no resend') FROM e;
ROLLBACK TO here;

--
-- cancel and skip
--
SELECT pg_temp.commands();
SELECT webhook.cancel(event_id, 11) FROM e;
SELECT is(c.event_id, e.event_id, 'cancel() names the event') FROM e, pg_temp.last_command() AS c;
SELECT is(pg_temp.commands(), 'k contract/1 {"subscription":11}', 'cancel() is a command, with the subject');
SELECT webhook.cancel(event_id, 11) FROM pg_temp.publish(NULL);
SELECT is(pg_temp.commands(), 'k {"subscription":11}', 'cancel() of an event without a subject');
SELECT webhook.skip(11, 'contract/1');
SELECT is(pg_temp.commands(), 's contract/1 {"subscription":11}', 'skip() is a command');
SELECT lives_ok(format('SELECT webhook.skip(11, %L)', repeat('x', 512)), 'skip() takes a subject of 512 bytes');
SELECT throws_ok(command, state::char(5), NULL, command)
	FROM (VALUES
		('SELECT webhook.cancel(NULL, 11)', '22004'),
		($$ SELECT webhook.cancel('00000000-0000-0000-0000-000000000000', 11) $$, '42704'),
		($$ SELECT webhook.cancel('00000000-0000-0000-0000-000000000000', 7) $$, '42704'),
		('SELECT webhook.cancel(NULL, NULL)', '22004'),
		($$ SELECT webhook.skip(7, 'contract/1') $$, '42704'),
		($$ SELECT webhook.skip(NULL, 'contract/1') $$, '22004'),
		('SELECT webhook.skip(11, NULL)', '22004'),
		($$ SELECT webhook.skip(11, '') $$, '22023'),
		('SELECT webhook.skip(11, repeat(''x'', 513))', '54000')) AS v (command, state);
SAVEPOINT cancelling;
SELECT pg_temp.set_disabled_by_worker(11);
SELECT lives_ok('SELECT webhook.cancel(event_id, 11) FROM e', 'cancel() works for a disabled subscription');
SELECT lives_ok($$ SELECT webhook.skip(11, 'contract/1') $$, 'skip() works for a disabled subscription');
ROLLBACK TO cancelling;

-- commands that the functions never write are refused
SELECT throws_ok($$ SELECT webhook_internal.command('x') $$, 'XX000', NULL, 'an unknown kind of command');
SELECT throws_ok($$ SELECT webhook_internal.command('k', 11) $$, 'XX000', NULL, 'a cancel without an event');
SELECT throws_ok($$ SELECT webhook_internal.command('s', 11) $$, 'XX000', NULL, 'a skip without a subject');
SELECT throws_ok($$ SELECT webhook_internal.command('e') $$, 'XX000', NULL, 'an event is no command');
SELECT throws_ok($$ SELECT webhook_internal.replay(11, 'whim', 1, '0', webhook_internal.new_event_id(now()), now(), 'App.A', NULL, '{}', NULL, NULL) $$, '22023',
	NULL, 'an unknown cause');
SELECT throws_ok($$ SELECT webhook_internal.replay(11, 'resend', 1, '0', webhook_internal.new_event_id(now()), now(), 'App.A', NULL, NULL, NULL, NULL) $$, 'XX000',
	NULL, 'a replay without data');

--
-- recover(): what failed
--
CREATE TEMPORARY TABLE events (name text, event webhook.event);
INSERT INTO events
	SELECT name, pg_temp.publish('contract/' || name, to_json(name)::text)
	FROM unnest('{delivered,failed,cancelled,retrying,again,waits,elsewhere,bare,ping}'::text[]) AS name;
CREATE FUNCTION pg_temp.event(name text) RETURNS webhook.event LANGUAGE sql AS $$
	SELECT event FROM events WHERE events.name = event.name
$$;
SELECT pg_temp.log(pg_temp.event('delivered'), 11, 'failed'),
	pg_temp.log(pg_temp.event('delivered'), 11, 'delivered', 'resend', (pg_temp.event('delivered')).id + 1),
	pg_temp.log(pg_temp.event('failed'), 11, 'retrying'), pg_temp.log(pg_temp.event('failed'), 11, 'failed'),
	pg_temp.log(pg_temp.event('cancelled'), 11, 'cancelled'),
	pg_temp.log(pg_temp.event('retrying'), 11, 'retrying'),
	pg_temp.log(pg_temp.event('again'), 11, 'failed'), pg_temp.log(pg_temp.event('again'), 11, 'failed', 'resend', (pg_temp.event('again')).id + 1),
	pg_temp.log(pg_temp.event('waits'), 11, 'failed'), pg_temp.wait(pg_temp.event('waits'), 11, 1000000),
	pg_temp.log(pg_temp.event('elsewhere'), 12, 'failed'), pg_temp.log(pg_temp.event('elsewhere'), 11, 'delivered'),
	pg_temp.log(pg_temp.event('bare'), 11, 'failed'),
	pg_temp.log(pg_temp.event('ping'), 11, 'failed', 'ping');
UPDATE webhook.log SET data = NULL WHERE event_id = (pg_temp.event('bare')).event_id;

CREATE FUNCTION pg_temp.recovered(what text, since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity')
		RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	start	bigint := (SELECT max(id) FROM webhook_internal.ring);
	count	bigint;
	names	text;
BEGIN
	ASSERT webhook.recover(11, since, until, what, dry_run => true)
		= webhook.recover(11, since, until, what, dry_run => true), 'a dry run changes nothing';
	ASSERT start = (SELECT max(id) FROM webhook_internal.ring), 'a dry run gives no command';
	count := webhook.recover(11, since, until, what, dry_run => true);
	ASSERT count = webhook.recover(11, since, until, what), 'a dry run counts right';
	SELECT string_agg(coalesce(name, r.subject), ' ' ORDER BY r.id)
		INTO names
		FROM webhook_internal.ring r LEFT JOIN events ON (event).event_id = r.event_id
		WHERE r.id > start AND r.kind = 'r' AND r.data ->> 'cause' = 'recover' AND r.data ->> 'subscription' = '11';
	ASSERT count = coalesce(cardinality(string_to_array(names, ' ')), 0), 'as many commands';
	RETURN coalesce(names, '');
END
$$;
SAVEPOINT before_recover;
SELECT is(pg_temp.recovered('failed'), 'failed cancelled again', 'events whose last row in the log says failed or cancelled');
SELECT is(pg_temp.recovered('failed'), '', 'events that are being recovered are not found again');
SELECT is((SELECT (data -> 'data')::text FROM webhook_internal.ring WHERE kind = 'r' AND event_id = (pg_temp.event('failed')).event_id),
	'"failed"', 'the command has the data');
SELECT pg_temp.log(pg_temp.event('failed'), 11, 'failed', 'recover', (SELECT max(id) FROM webhook_internal.ring));
SELECT is(pg_temp.recovered('failed'), 'failed', 'an event whose recovery failed is found again');
ROLLBACK TO before_recover;
SELECT webhook_internal.replay(12, 'recover', e.id, '0', e.event_id, e.created_at, e.event_type, e.subject, e.data, NULL, NULL)
	FROM pg_temp.event('failed') AS e;
SELECT is(pg_temp.recovered('failed'), 'failed cancelled again', 'a recovery for another subscription does not count');
ROLLBACK TO before_recover;
SELECT is(pg_temp.recovered('failed', (e).created_at), 'cancelled again', 'from an instant on')
	FROM pg_temp.event('cancelled') AS e;
ROLLBACK TO before_recover;
SELECT is(pg_temp.recovered('failed', until => (e).created_at), 'failed', 'before an instant')
	FROM pg_temp.event('cancelled') AS e;
ROLLBACK TO before_recover;
SELECT is(webhook.recover(11, '-infinity'), 0::bigint, 'the default of until is now()');
SELECT is(webhook.recover(12, '-infinity', 'infinity'), 1::bigint, 'the other subscription has a failed event of its own');
SELECT is(webhook.recover(12, 'infinity', 'infinity'), 0::bigint, 'an empty period has none');
ROLLBACK TO before_recover;

--
-- recover(): what was never tried
--
INSERT INTO events SELECT 'other', pg_temp.publish('contract/other', '"other"', 'App.Other');
INSERT INTO events SELECT name, pg_temp.publish('contract/' || name, to_json(name)::text)
	FROM unnest('{new,refused,wanted}'::text[]) AS name;
INSERT INTO events SELECT 'strange', pg_temp.publish('contract/strange', '"\u0000"');
SELECT pg_temp.log(pg_temp.event('new'), 11, 'delivered');
SELECT webhook.alter_subscription(11, filter => '$ != "refused"');
SAVEPOINT before_recover;
SELECT is(pg_temp.recovered('missing'), '', 'events from after subscribe() are not missing');
UPDATE webhook_internal.subscription SET since = format('%s:%1$s:', pg_current_xact_id()::text::bigint + 1)::pg_snapshot;
SELECT is(pg_temp.recovered('missing'), 'wanted',
	'events from before subscribe(): of its type, matched by its filter, not logged, waiting or being recovered');
SELECT is(pg_temp.recovered('missing'), '', 'once');
SELECT is(webhook.recover(13, '-infinity', 'infinity', 'missing', dry_run => true),
	(SELECT count(*) FROM webhook.event), 'a pattern matches all of them');
SELECT is(webhook.recover(13, e.created_at, 'infinity', 'missing', dry_run => true), 2::bigint, 'from an instant on')
	FROM pg_temp.event('wanted') AS e;
SELECT is(webhook.recover(13, e.created_at, e.created_at, 'missing', dry_run => true), 0::bigint, 'before an instant')
	FROM pg_temp.event('wanted') AS e;
ROLLBACK TO before_recover;

-- recover(): events that the worker had read before the subscription took them
CREATE FUNCTION pg_temp.read(upto webhook.event DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	DELETE FROM webhook_internal.checkpoint;
	INSERT INTO webhook_internal.checkpoint
			(worker, home, server_version, snapshot, partial_snapshot, upto_id, last_id, saved_at)
		SELECT 0, webhook_internal.home(), 0, CASE WHEN (upto).id IS NULL THEN x ELSE '3:3:' END,
				CASE WHEN (upto).id IS NOT NULL THEN x END, (upto).id, 0, now()
			FROM CAST(format('%s:%1$s:', pg_current_xact_id()::text::bigint + 1) AS pg_snapshot) AS x
$$;
SELECT webhook.alter_subscription(11, events => '{App.Other}', filter => 'true');
SELECT is(pg_temp.recovered('missing', (pg_temp.event('other')).created_at), '', 'events that have not been read are not missing');
SELECT pg_temp.read(pg_temp.event('refused'));
SELECT is(pg_temp.recovered('missing', (pg_temp.event('other')).created_at), 'other', 'events of a type that it takes since then');
SELECT is(pg_temp.recovered('missing', (pg_temp.event('other')).created_at), '', 'once');
SELECT webhook.alter_subscription(11, events => '{App.ContractSigned}');
SELECT is(pg_temp.recovered('missing', (pg_temp.event('other')).created_at), 'refused', 'in a large window, events up to where it has been read');
SELECT pg_temp.read();
SELECT is(pg_temp.recovered('missing', (pg_temp.event('other')).created_at, (pg_temp.event('strange')).created_at), 'wanted',
	'once the window is read, those after it, too');
ROLLBACK TO before_recover;

UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 13;
SELECT is(webhook.recover(13, '-infinity', 'infinity', 'missing'), 0::bigint,
	'the checkpoint of another cluster does not count');
ROLLBACK TO before_recover;

-- recover(): what is refused
SELECT throws_ok(format('SELECT webhook.recover(%s)', arguments), state::char(5), NULL, format('recover(%s)', arguments))
	FROM (VALUES
		('7, now()', '42704'), ('NULL, now()', '22004'), ('11, NULL', '22004'), ('11, now(), NULL', '22004'),
		('11, now(), now(), NULL', '22004'), ('11, now(), now(), ''failed'', NULL', '22004'),
		('11, now(), now(), ''all''', '22023'), ('11, now(), ''-infinity''', '22023')) AS v (arguments, state);
SELECT webhook.alter_subscription(11, enabled => false);
SELECT throws_ok('SELECT webhook.recover(11, now())', '55000', NULL, 'a disabled subscription cannot be recovered');
SELECT throws_ok('SELECT webhook.recover(11, now(), dry_run => true)', '55000', NULL, 'nor with dry_run');
ROLLBACK TO before_recover;
SELECT pg_temp.set_disabled_by_worker(11);
SELECT throws_ok('SELECT webhook.recover(11, now())', '55000', NULL, 'a subscription that the worker disabled cannot be recovered');
ROLLBACK TO before_recover;

-- recover() reads the ring a few times, however many events it has.
SELECT count(webhook.publish('App.ContractSigned', '{}', 'many/' || n)) FROM generate_series(1, 2000) AS n;
UPDATE webhook_internal.subscription SET events = '{*}', filter = NULL, since = format('%s:%1$s:', pg_current_xact_id()::text::bigint + 1)::pg_snapshot
	WHERE id = 11;
CREATE TEMPORARY TABLE read AS SELECT sum(seq_tup_read) AS rows FROM pg_stat_xact_user_tables WHERE relname LIKE 'event\_%';
SELECT cmp_ok(webhook.recover(11, '-infinity', 'infinity', what => 'missing', dry_run => true), '>=', 2000::bigint, 'two thousand events are missing');
SELECT cmp_ok(sum(seq_tup_read) - (SELECT rows FROM read), '<', 100000::numeric, 'the ring is read a few times, not once an event')
	FROM pg_stat_xact_user_tables WHERE relname LIKE 'event\_%';
ROLLBACK TO before_recover;

-- Only what the subscription takes is sent.
SELECT webhook.alter_subscription(12, events => '{App.Other}');
SELECT throws_ok(format('SELECT webhook.resend(%L, 12)', (pg_temp.event('failed')).event_id), '22023',
	format('subscription 12 does not take event %s', (pg_temp.event('failed')).event_id), 'resend(): another event type');
SELECT webhook.alter_subscription(11, filter => '$ == "cancelled" || $ == "elsewhere"');
SELECT throws_ok(format('SELECT webhook.resend(%L, 11)', (pg_temp.event('failed')).event_id), '22023',
	format('subscription 11 does not take event %s', (pg_temp.event('failed')).event_id), 'resend(): the filter is not true');
SELECT is(pg_temp.recovered('failed'), 'cancelled', 'recover(): what failed and the filter is true for');
SELECT is(pg_temp.recovered('delivered'), 'elsewhere', 'recover(): what was delivered and the filter is true for');
ROLLBACK TO before_recover;

-- recover(): what was delivered; from the log once it has left the ring
SELECT is(pg_temp.recovered('delivered'), 'delivered elsewhere new', 'events whose last row in the log says delivered');
SELECT is(pg_temp.recovered('delivered'), '', 'once');
ROLLBACK TO before_recover;
UPDATE webhook.log l
	SET request_body = CASE l.position WHEN l.id
			THEN format('{"Id":"%s","WebhookEvent":"App.ContractSigned","Subject":"x","Attempt":1,"Data":%s,"CreationTimeUtc":"t"}', l.event_id, (v.event).data)
			ELSE format('{"type":"App.ContractSigned","timestamp":"t","data":%s}', (v.event).data) END
	FROM events v
	WHERE (v.event).event_id = l.event_id AND l.outcome = 'delivered';
SELECT pg_temp.leave_ring(event) FROM events WHERE name IN ('delivered', 'elsewhere');
SELECT is(pg_temp.recovered('delivered'), 'delivered elsewhere new', 'events whose data only the bodies in the log have');
SELECT is(string_agg((data -> 'data')::text, ' ' ORDER BY id), '"delivered" "elsewhere" "new"', 'with their data')
	FROM webhook_internal.ring WHERE kind = 'r' AND data ->> 'cause' = 'recover';
ROLLBACK TO before_recover;
SELECT webhook.alter_subscription(11, filter => 'true');
UPDATE webhook.log SET request_body = ' {"type": 7} ', data = NULL WHERE event_id = (pg_temp.event('elsewhere')).event_id;
SELECT pg_temp.leave_ring(pg_temp.event('elsewhere'));
SELECT lives_ok(format('SELECT webhook.resend(%L, 11)', (pg_temp.event('elsewhere')).event_id), 'resend() of an event that has left the ring');
SELECT is((c.data -> 'data')::text, '{"type": 7}', 'sent raw') FROM pg_temp.last_command() AS c;
ROLLBACK TO before_recover;

-- A dead letter is dismissed by cancel(), or is gone with its subscription.
SELECT pg_temp.commands();
SELECT webhook.cancel((pg_temp.event('delivered')).event_id, 11);
SELECT is(pg_temp.commands(), '', 'cancel() of a delivered event is no command');
SELECT webhook.cancel((pg_temp.event('failed')).event_id, 11);
SELECT matches(pg_temp.commands(), '^r contract/failed \{"subscription":11,"cause":"dismiss",.*"data":"failed"\}$', 'cancel() of a dead letter dismisses it');
SELECT pg_temp.log(pg_temp.event('failed'), 11, 'cancelled', 'dismiss', (SELECT max(id) FROM webhook_internal.ring));
UPDATE webhook.log SET error_class = 'dismissed' WHERE cause = 'dismiss';
SELECT is_empty('SELECT FROM webhook.dead_letter WHERE event_id = (pg_temp.event(''failed'')).event_id', 'it is no dead letter any more');
SELECT is(pg_temp.recovered('failed'), 'cancelled again', 'and not recovered');
SELECT webhook.cancel((pg_temp.event('failed')).event_id, 11);
SELECT is((SELECT count(*) FROM webhook_internal.ring WHERE kind = 'r' AND data ->> 'cause' = 'dismiss'), 1::bigint, 'it is dismissed once');
SELECT matches(webhook.explain((pg_temp.event('failed')).event_id, 11), 'Its dead letter was dismissed at .*\n.*resend\(\) sends it again', 'explain() says so');
SELECT cmp_ok(count(*), '>', 0::bigint, 'others are') FROM webhook.dead_letter WHERE subscription_id = 11;
SELECT webhook.unsubscribe(11);
SELECT is_empty('SELECT FROM webhook.dead_letter WHERE subscription_id = 11', 'none of a subscription that is gone');
ROLLBACK TO before_recover;
SELECT webhook.unsubscribe(11);
SELECT matches(webhook.explain((pg_temp.event('cancelled')).event_id, 11), 'It is not retried, because subscription 11 does not exist', 'explain() recommends nothing then');
ROLLBACK TO before_recover;

-- In a read-only transaction.
SET LOCAL transaction_read_only = on;
SELECT throws_ok(command, '25006', NULL, command)
	FROM unnest(ARRAY['SELECT webhook.ping(11)', 'SELECT webhook.skip(11, ''contract/1'')',
		'SELECT webhook.resend(event_id, 12) FROM e', 'SELECT webhook.cancel(event_id, 11) FROM e',
		'SELECT webhook.recover(11, ''-infinity'', ''infinity'')']) AS command;
SELECT is(webhook.recover(11, '-infinity', 'infinity', dry_run => true), 3::bigint, 'dry_run works in a read-only transaction');

SELECT * FROM finish();
ROLLBACK;
