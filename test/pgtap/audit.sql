--
-- Does each act of people leave one row of the audit, by whom, with what changed
-- and no credential, and does what changes nothing leave none?
--
BEGIN;
SELECT no_plan();

CREATE TABLE contract (id bigint PRIMARY KEY, status text, title text);
CREATE ROLE regress_admin;
CREATE ROLE regress_person;
GRANT regress_admin TO regress_person;

-- The rows since the last call, and their number.
CREATE TEMPORARY TABLE looked AS SELECT 0 AS n;
CREATE FUNCTION pg_temp.acts() RETURNS text LANGUAGE sql AS $$
	WITH acts AS (
		SELECT a.*, row_number() OVER (ORDER BY at) AS n FROM webhook.audit a
	), told AS (
		SELECT a.* FROM acts a, looked l WHERE a.n > l.n
	), look AS (
		UPDATE looked SET n = (SELECT count(*) FROM acts)
	)
	SELECT coalesce(string_agg(concat_ws(' ', action, subscription_id, nullif(detail, '{}')), '; ' ORDER BY n), '') FROM told
$$;
SELECT is(pg_temp.acts(), '', 'the installation is no act of people');

-- event types and watches
SELECT webhook.define_event_type('App.Signed', 'a contract was signed');
SELECT is(pg_temp.acts(), 'define_event_type {"new": {"name": "App.Signed", "description": "a contract was signed"}}', 'define_event_type()');
SELECT webhook.define_event_type('App.Paid', NULL, '{"type": "object"}', '{"a": 1}');
SELECT is(pg_temp.acts(), 'define_event_type {"new": {"name": "App.Paid", "schema": {"type": "object"}, "example": {"a": 1}, "description": null}}',
	'define_event_type() with a schema and an example');
SELECT webhook.alter_event_type('App.Paid', description => 'paid', example => 'null', schema => '{"type": "object"}', deprecated => true);
SELECT is(pg_temp.acts(), 'alter_event_type {"new": {"example": null, "deprecated": true, "description": "paid"}, '
	'"old": {"example": {"a": 1}, "deprecated": false, "description": null}, "name": "App.Paid"}', 'alter_event_type(), what differs');
SELECT webhook.alter_event_type('App.Paid', deprecated => true), webhook.alter_event_type('App.Paid');
SELECT is(pg_temp.acts(), '', 'an event type that stays as it is');
SELECT webhook.drop_event_type('App.Paid');
SELECT is(pg_temp.acts(), 'drop_event_type {"old": {"name": "App.Paid", "schema": {"type": "object"}, "description": "paid"}}', 'drop_event_type()');
SELECT webhook.watch('contract', data_columns => '{title}');
SELECT is(pg_temp.acts(), 'watch {"new": {"name": "contract", "event_type": "App.BusinessRequestStatusChange", "id_columns": ["id"], '
	'"parent_only": false, "data_columns": ["title"], "status_column": "status"}, "relation": "public.contract"}', 'watch()');
SELECT webhook.alter_watch('contract', name => 'deal');
SELECT matches(pg_temp.acts(), '^alter_watch {"new": {"name": "deal", .*"old": {"name": "contract"', 'alter_watch()');
SELECT webhook.alter_watch('contract', name => 'deal');
SELECT is(pg_temp.acts(), '', 'a watch that stays as it is');
SELECT webhook.unwatch('contract');
SELECT matches(pg_temp.acts(), '^unwatch {"old": {"name": "deal", .*}, "relation": "public.contract"}$', 'unwatch()');

-- subscriptions
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 11;
SELECT webhook.subscribe('https://example.com/?key=sesame', '{App.*}', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	headers => '{"X-Api-Key": "sesame", "X-Plain": "plain"}', timeout => '20 s');
SELECT is(pg_temp.acts(), 'subscribe 11 {"new": {"events": ["App.*"], "headers": {"X-Plain": "plain", "X-Api-Key": "***"}, "ordered": true, '
	'"timeout": "00:00:20", "endpoint": "https://example.com/?key=***", "final_statuses": [], "payload_format": "envelope", "include_context": false, '
	'"signature_schemes": ["standard"]}}', 'subscribe(), without credentials');
SELECT webhook.alter_subscription(11, endpoint => 'https://example.com/?key=open', timeout => '0', description => 'x');
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"timeout": null, "endpoint": "https://example.com/?key=***", "description": "x"}, '
	'"old": {"timeout": "00:00:20", "endpoint": "https://example.com/?key=***", "description": null}}', 'alter_subscription(), what differs');
SELECT webhook.alter_subscription(11, headers => '{"X-Api-Key": "open", "X-Plain": "plain"}');
SELECT matches(pg_temp.acts(), '"X-Api-Key": "\*\*\*".*"X-Api-Key": "\*\*\*"', 'another credential, which is not shown');
SELECT webhook.alter_subscription(11, description => 'x', enabled => true);
SELECT webhook.alter_subscription(11);
SELECT is(pg_temp.acts(), '', 'a subscription that stays as it is');
SELECT webhook.pause(11), webhook.pause(11), webhook.resume(11), webhook.resume(11);
SELECT is(pg_temp.acts(), 'pause 11; resume 11', 'pause() and resume(), once each');
SELECT webhook.alter_subscription(11, enabled => false);
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"enabled": false}, "old": {"enabled": true}}', 'disabled');
SELECT webhook.alter_subscription(11, enabled => true);
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"enabled": true}, "old": {"enabled": false}}', 'enabled');
INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, probe_interval, suspended, delivered, failed,
		retried, filter_errors, rate, saved_at)
	VALUES (11, 'open', 'open', 1, 10, 10, 10, '0', 0, 0, 0, 0, 0, now());
SELECT webhook.alter_subscription(11, enabled => true);
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"enabled": true}}', 'an open breaker is closed');
SELECT webhook.retry(11);
SELECT is(pg_temp.acts(), 'retry 11 {"count": 0, "subject": null}', 'retry() closes it, too');
UPDATE webhook_internal.subscription_state SET breaker = 'closed', disabled_at = now(),
	disabled_start_snapshot = (SELECT since FROM webhook_internal.subscription);
SELECT webhook.alter_subscription(11, enabled => true);
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"enabled": true}, "old": {"enabled": false}}', 'enabled after the worker had disabled it');
UPDATE webhook_internal.subscription_state SET disabled_at = NULL;
SELECT webhook.check_endpoint('https://example.com/'), webhook.retry(11);
SELECT is(pg_temp.acts(), '', 'what only asks, or finds nothing');

-- the settings of the session
SET LOCAL extra_float_digits = -15;
SET LOCAL intervalstyle = iso_8601;
SELECT webhook.alter_subscription(11, rate_limit => 12.25, max_age => '26 hours');
SELECT is(pg_temp.acts(), 'alter_subscription 11 {"new": {"max_age": "1 day 02:00:00", "rate_limit": 12.25}, "old": {"max_age": null, "rate_limit": null}}',
	'numbers and durations are as they are, whatever the settings of the session');
SELECT is(webhook.subscription_options(11) @> '{"max_age": "1 day 02:00:00", "rate_limit": 12.25}', true, '... so are those of subscription_options()');
SELECT is(pg_temp.acts(), 'subscription_options 11', 'credentials that were shown');
SELECT webhook.define_tenant('acme', rate_limit => 12.25);
SELECT matches(pg_temp.acts(), '^define_tenant .*"rate_limit": 12.25', '... and those of define_tenant()');
SELECT webhook.rotate_secret(11, '2 h');
SELECT is(pg_temp.acts(), 'rotate_secret 11 {"overlap": "02:00:00"}', '... and that of rotate_secret()');
RESET extra_float_digits;
RESET intervalstyle;

-- secrets
SELECT webhook.secret(11);
SELECT webhook.rotate_secret(11, '1 h');
SELECT is(pg_temp.acts(), 'secret 11; rotate_secret 11 {"overlap": "01:00:00"}', 'secrets that were shown or made');
SELECT webhook.subscription_options(11);
SELECT is(pg_temp.acts(), 'subscription_options 11', 'credentials that were shown');
SELECT webhook.alter_subscription(11, headers => '{"X-Plain": "plain"}');
SELECT webhook.subscription_options(11);
SELECT alike(pg_temp.acts(), '%; subscription_options 11', '... also those of the endpoint alone');
SELECT webhook.alter_subscription(11, endpoint => 'https://example.com/plain');
SELECT webhook.subscription_options(11);
SELECT unalike(pg_temp.acts(), '%subscription_options%', 'options without a credential are no act');
SELECT webhook.alter_subscription(11, endpoint => 'https://example.com/?key=open');
SELECT pg_temp.acts();

-- deliveries
CREATE TEMPORARY TABLE made AS SELECT webhook.publish('App.Signed', '{}', 'contract/1') AS event;
SELECT is(pg_temp.acts(), '', 'an event is no act of people');
CREATE FUNCTION pg_temp.last_event() RETURNS uuid LANGUAGE sql AS 'SELECT event_id FROM webhook.audit ORDER BY at DESC LIMIT 1';
SELECT webhook.resend(event, 11) FROM made;
SELECT is(pg_temp.acts(), 'resend 11', 'resend()');
SELECT is(pg_temp.last_event(), event, '... names the event') FROM made;
SELECT webhook.cancel(event, 11) FROM made;
SELECT is(pg_temp.acts(), 'cancel 11', 'cancel()');
SELECT is(pg_temp.last_event(), event, '... names the event') FROM made;
SELECT webhook.skip(11, 'contract/1'), webhook.skip(11, 'contract/2');
SELECT is(pg_temp.acts(), 'skip 11 {"subject": "contract/1"}', 'skip(), of what may wait');
SELECT is(webhook.ping(11), pg_temp.last_event(), 'ping() names its event');
SELECT is(pg_temp.acts(), 'ping 11', 'ping()');
CREATE TABLE webhook_internal.log_here PARTITION OF webhook.log DEFAULT;
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
		created_at, attempt, outcome, data)
	VALUES (1, '00000000-0000-0000-0000-000000000001', 1, 'event', now(), 11, 'App.Signed', now(), 1, 'failed', '{}');
SELECT webhook.recover(11, '-infinity', 'infinity', dry_run => true), webhook.recover(11, '-infinity', '2000-01-01'),
	webhook.recover(11, '-infinity', 'infinity');
SELECT is(pg_temp.acts(), 'recover 11 {"what": "failed", "count": 1, "since": "-infinity", "until": "infinity"}',
	'recover(), if it is not dry and has found something');
SELECT webhook.cancel('00000000-0000-0000-0000-000000000001', 11);
SELECT matches(pg_temp.acts(), '^cancel 11', 'cancel() of a replay');
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
		created_at, attempt, outcome, data)
	VALUES (2, '00000000-0000-0000-0000-000000000002', 2, 'event', now(), 11, 'App.Signed', now(), 1, 'failed', '{}'),
		(3, '00000000-0000-0000-0000-000000000003', 3, 'event', now(), 11, 'App.Signed', now(), 1, 'delivered', NULL);
SELECT webhook.cancel('00000000-0000-0000-0000-000000000002', 11), webhook.cancel('00000000-0000-0000-0000-000000000003', 11);
SELECT is(pg_temp.acts(), 'cancel 11 {"dismissed": true}', 'a dead letter is dismissed; what was delivered is left alone');

-- a copy that is resumed, and the end
SELECT webhook.resume_database();
UPDATE webhook_internal.subscription SET home = '1/1';
SELECT webhook.resume_database();
SELECT is(pg_temp.acts(), 'resume_database {"discard": false, "subscriptions": [11]}', 'resume_database(), if something was fenced');
SELECT webhook.unsubscribe(11);
SELECT matches(pg_temp.acts(), '^unsubscribe 11 {"old": {.*"endpoint": "https://example.com/\?key=\*\*\*"', 'unsubscribe()');

-- privileges
SELECT webhook.grant_admin('regress_admin'), webhook.grant_admin('regress_admin'), webhook.grant_reader('regress_admin');
SELECT is(pg_temp.acts(), 'grant_admin {"role": "regress_admin"}', 'a grant of what was granted already is none');
SELECT webhook.grant_backup('regress_admin');
SELECT is(pg_temp.acts(), 'grant_backup {"role": "regress_admin"}', 'grant_backup()');
SELECT webhook.revoke('regress_person');
SELECT is(pg_temp.acts(), '', 'nothing is revoked from who has nothing');

-- who it was
CREATE FUNCTION pg_temp.who() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', role, outer_role, session_role) FROM webhook.audit ORDER BY at DESC LIMIT 1
$$;
GRANT SELECT ON looked TO PUBLIC;
CREATE TABLE theirs (LIKE contract INCLUDING ALL);
ALTER TABLE theirs OWNER TO regress_admin;
CREATE FUNCTION watch_theirs() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ SELECT webhook.watch('public.theirs') $$;
ALTER FUNCTION watch_theirs() OWNER TO regress_admin;
SET SESSION AUTHORIZATION regress_person;
SET ROLE regress_admin;
SELECT webhook.define_event_type('App.Theirs');
RESET SESSION AUTHORIZATION;
SELECT is(pg_temp.who(), 'regress_admin regress_admin regress_person', 'the role that was set, and the one that had logged in');
SET ROLE regress_person;
SELECT watch_theirs();
RESET ROLE;
SELECT is(pg_temp.who(), concat('regress_admin regress_person ', session_user), 'the owner of a function that calls one of ours');
SELECT is(pg_temp.acts(), 'define_event_type {"new": {"name": "App.Theirs", "description": null}}; watch {"new": {"name": "theirs", '
	'"event_type": "App.BusinessRequestStatusChange", "id_columns": ["id"], "parent_only": false, "data_columns": [], '
	'"status_column": "status"}, "relation": "public.theirs"}', 'one row each');
SELECT throws_ok('DELETE FROM webhook.audit', '55000', NULL, 'the view cannot be written through');

-- the last ones: the transaction stays read-only
SELECT webhook.subscribe('https://example.com/?key=sesame', '{App.*}');
SELECT webhook.subscribe('https://example.com/', '{App.*}');
SET transaction_read_only = on;
SELECT throws_ok('SELECT webhook.secret(12)', '25006', 'cannot execute webhook.secret() in a read-only transaction',
	'no secret is shown without a row');
SELECT throws_ok('SELECT webhook.subscription_options(12)', '25006',
	'cannot execute webhook.subscription_options() in a read-only transaction', 'neither is a credential');
SELECT is(webhook.subscription_options(13) ->> 'endpoint', 'https://example.com/', 'options without one are shown');

SELECT * FROM finish();
ROLLBACK;
