--
-- Which error, detail and hint does a user read for each kind of bad input?
--
\pset format unaligned
\pset tuples_only on

CREATE FUNCTION refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
	state text;
BEGIN
	EXECUTE command;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat(state, ' ', message, E'\n  DETAIL: ' || nullif(detail, ''),
		E'\n  HINT: ' || nullif(hint, ''));
END
$$;

-- event types
SELECT refusal($$ SELECT webhook.define_event_type(NULL) $$);
SELECT refusal($$ SELECT webhook.define_event_type('') $$);
SELECT refusal($$ SELECT webhook.define_event_type('.hidden') $$);
SELECT refusal($$ SELECT webhook.define_event_type('two words') $$);
SELECT refusal($$ SELECT webhook.define_event_type(E'App.Signed\n') $$);
SELECT refusal($$ SELECT webhook.define_event_type('App.Größe') $$);
SELECT refusal($$ SELECT webhook.define_event_type('webhook.ping') $$);
SELECT refusal($$ SELECT webhook.define_event_type(repeat('x', 129)) $$);
SELECT refusal($$ SELECT webhook.define_event_type('App.BusinessRequestStatusChange') $$);
SELECT refusal($$ SELECT webhook.define_event_type(repeat('x', 128)) $$);
DELETE FROM webhook_internal.event_type WHERE name = repeat('x', 128);
SELECT refusal($$ SELECT webhook.define_event_type('App.Paid', repeat('x', 4097)) $$);
SELECT refusal($$ SELECT webhook.define_event_type('App.Paid', schema => '[]') $$);
SELECT refusal($$ SELECT webhook.define_event_type('App.Paid', schema => to_jsonb(repeat('x', 65535))) $$);
SELECT refusal($$ SELECT webhook.define_event_type('App.Paid', example => (repeat('[', 65) || repeat(']', 65))::jsonb) $$);
SELECT refusal($$ SELECT webhook.alter_event_type(NULL) $$);
SELECT refusal($$ SELECT webhook.alter_event_type('App.Paid') $$);
SELECT refusal($$ SELECT webhook.alter_event_type('App.BusinessRequestStatusChange', repeat('x', 4097)) $$);
SELECT refusal($$ SELECT webhook.alter_event_type('webhook.ping') $$);
SELECT refusal($$ SELECT webhook.drop_event_type('App.Paid') $$);
BEGIN;
SELECT webhook.subscribe('https://example.com/', '{App.BusinessRequestStatusChange}') AS subscription \gset
SELECT regexp_replace(refusal($$ SELECT webhook.drop_event_type('App.BusinessRequestStatusChange') $$), '\d+\.', 'N.');
SELECT webhook.unsubscribe(:subscription);
CREATE TABLE contract (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('contract');
SELECT refusal($$ SELECT webhook.drop_event_type('App.BusinessRequestStatusChange') $$);
ROLLBACK;
BEGIN;
SELECT webhook.define_event_type('App.Paid', NULL, '{"required": ["a", "b", 3, "c"]}', '{"b": 1}');
SELECT webhook.alter_event_type('App.Paid', example => '{"a": 1, "b": 1}');
SELECT webhook.alter_event_type('App.Paid', example => '3');
SELECT webhook.alter_event_type('App.Paid', example => '{"a": 1}', schema => '{"required": "b"}');
SELECT webhook.alter_event_type('App.Paid', schema => '{"required": ["b"]}');
SELECT webhook.alter_event_type('App.Paid', deprecated => true);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/', '{App.Paid}') $$);
SELECT refusal($$ SELECT webhook.openapi('{App.Paid,App.Unknown}') $$);
SELECT webhook.subscribe('https://example.com/', '{App.*}') AS subscription \gset
SELECT refusal(format($$ SELECT webhook.ping(%s, 'App.Unknown') $$, :subscription));
SELECT refusal(format($$ SELECT webhook.ping(%s, 'App.BusinessRequestStatusChange') $$, :subscription));
ROLLBACK;

-- publish
SELECT refusal($$ SELECT webhook.publish(NULL, '{}') $$);
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', NULL) $$);
SELECT refusal($$ SELECT webhook.publish('App.Unknown', '{}') $$);
SELECT refusal($$ SELECT webhook.publish('app.businessrequeststatuschange', '{}') $$);
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', '{"not": json}') $$);
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', '{}', '') $$);
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', '{}', repeat('x', 513)) $$);
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', to_json(repeat('x', 1048575))) $$);
SELECT count(*) FROM webhook.event;
BEGIN READ ONLY;
SELECT webhook.publish('App.BusinessRequestStatusChange', '{}');
ROLLBACK;

-- watch
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, total numeric);
CREATE TABLE keyless (id bigint, status text);
CREATE TABLE parent (id bigint PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE child PARTITION OF parent FOR VALUES FROM (0) TO (10);
CREATE VIEW a_view AS SELECT * FROM business_request;
CREATE MATERIALIZED VIEW a_matview AS SELECT * FROM business_request;
CREATE SEQUENCE a_sequence;
CREATE TYPE a_type AS (id bigint, status text);
CREATE TEMPORARY TABLE a_temp (id bigint PRIMARY KEY, status text);
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE a_foreign (id bigint, status text) SERVER nowhere;

SELECT refusal($$ SELECT webhook.watch(NULL) $$);
SELECT refusal($$ SELECT webhook.watch('business_request', NULL) $$);
SELECT refusal($$ SELECT webhook.watch('business_request', status_column => NULL) $$);
SELECT refusal($$ SELECT webhook.watch('no_such_table') $$);
SELECT refusal($$ SELECT webhook.watch(1::oid) $$);
SELECT refusal($$ SELECT webhook.watch('business_request', 'App.Unknown') $$);
SELECT refusal($$ SELECT webhook.watch('a_view') $$);
SELECT refusal($$ SELECT webhook.watch('a_matview') $$);
SELECT refusal($$ SELECT webhook.watch('a_foreign') $$);
SELECT refusal($$ SELECT webhook.watch('business_request_pkey') $$);
SELECT refusal($$ SELECT webhook.watch('a_sequence') $$);
SELECT refusal($$ SELECT webhook.watch('a_type') $$);
SELECT refusal($$ SELECT webhook.watch('a_temp') $$);
SELECT refusal($$ SELECT webhook.watch('webhook_internal.subscription') $$);
SELECT refusal($$ SELECT webhook.watch('pg_class') $$);
SELECT refusal($$ SELECT webhook.watch('information_schema.sql_features') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', status_column => 'state') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', status_column => 'ctid') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', id_columns => '{number}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', id_columns => '{}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', id_columns => '{NULL}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', id_columns => '{id,id}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', data_columns => '{total,sum}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', data_columns => '{total,total}') $$);
SELECT refusal($$ SELECT webhook.watch('business_request', data_columns => '{total,NULL}') $$);
SELECT refusal($$ SELECT webhook.watch('keyless') $$);

-- watched twice, also through a partition or its parent
SELECT webhook.watch('business_request');
SELECT refusal($$ SELECT webhook.watch('business_request') $$);
SELECT webhook.watch('child');
SELECT refusal($$ SELECT webhook.watch('parent') $$);
SELECT webhook.unwatch('child');
SELECT webhook.watch('parent');
SELECT refusal($$ SELECT webhook.watch('child') $$);
SELECT refusal($$ SELECT webhook.unwatch('child') $$);

-- unwatch
SELECT webhook.unwatch('business_request');
SELECT refusal($$ SELECT webhook.unwatch('business_request') $$);
SELECT refusal($$ SELECT webhook.unwatch(NULL) $$);
SELECT webhook.watch('business_request');
SELECT refusal($$ SELECT webhook.unwatch('business_request', 'App.Unknown') $$);

-- two tables of one name, and inheritance children
CREATE SCHEMA other;
CREATE TABLE other.business_request (id bigint PRIMARY KEY, status text);
SELECT refusal($$ SELECT webhook.watch('other.business_request') $$);
SELECT refusal($$ SELECT webhook.watch('other.business_request', name => '') $$);
CREATE TABLE offspring () INHERITS (keyless);
SELECT refusal($$ SELECT webhook.watch('keyless', id_columns => '{id}') $$);
SELECT refusal($$ SELECT webhook.watch('keyless', id_columns => '{id}', parent_only => NULL) $$);

-- alter_watch
SELECT refusal($$ SELECT webhook.alter_watch(NULL) $$);
SELECT refusal($$ SELECT webhook.alter_watch('business_request', NULL) $$);
SELECT refusal($$ SELECT webhook.alter_watch('business_request', 'App.Unknown') $$);
SELECT refusal($$ SELECT webhook.alter_watch('keyless') $$);
SELECT refusal($$ SELECT webhook.alter_watch('child') $$);
SELECT refusal($$ SELECT webhook.alter_watch('business_request', status_column => 'state') $$);
SELECT refusal($$ SELECT webhook.alter_watch('business_request', id_columns => '{}') $$);

-- a trigger in front, a column that is renamed, and one that is dropped
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER " first" AFTER UPDATE ON other.business_request FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT webhook.watch('other.business_request', name => 'other_request', data_columns => '{status}');
ALTER TABLE other.business_request RENAME status TO state;
ALTER TABLE other.business_request DROP state;
DELETE FROM other.business_request;
INSERT INTO other.business_request VALUES (1);
SELECT webhook.unwatch('other.business_request');
SELECT webhook.unwatch('business_request');
SELECT webhook.unwatch('parent');

-- The trigger function cannot be called otherwise.
SELECT refusal($$ CREATE TRIGGER t BEFORE INSERT ON keyless
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.enqueue();
	INSERT INTO keyless VALUES (1, 'Draft') $$);
SELECT refusal($$ CREATE TRIGGER t AFTER INSERT ON keyless
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.enqueue();
	INSERT INTO keyless VALUES (1, 'Draft') $$);

-- subscribe: the endpoint
CREATE FUNCTION subscribe_to(endpoint text) RETURNS text LANGUAGE sql AS $$
	SELECT refusal(format('SELECT webhook.subscribe(%L, ''{App.BusinessRequestStatusChange}'')', endpoint))
$$;
SELECT subscribe_to(NULL);
SELECT subscribe_to('');
SELECT subscribe_to('example.com/hook');
SELECT subscribe_to('ftp://example.com/hook');
SELECT subscribe_to('https:///hook');
SELECT subscribe_to(' https://example.com/hook');
SELECT subscribe_to(E'https://example.com/hook\r\nX-Evil: 1');
SELECT subscribe_to('https://user:password@example.com/hook');
SELECT subscribe_to('https://example.com/hook#part');
SELECT subscribe_to('https://example.com:0/hook');
SELECT subscribe_to('https://example.com:70000/hook');
SELECT subscribe_to('https://ex ample.com/hook');
SELECT subscribe_to('https://bücher.example/hook');
SELECT subscribe_to('https://example.com/%zz');
SELECT subscribe_to('https://example.com/' || repeat('x', 2048));

-- the event types
CREATE FUNCTION subscribe_with(arguments text) RETURNS text LANGUAGE sql AS $$
	SELECT refusal('SELECT webhook.subscribe(''https://example.com/hook'', ' || arguments || ')')
$$;
SELECT subscribe_with($$ NULL $$);
SELECT subscribe_with($$ '{}' $$);
SELECT subscribe_with($$ '{NULL}' $$);
SELECT subscribe_with($$ '{App.Unknown}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange,App.Unknown}' $$);

-- the secret, which no message repeats
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => '' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'password' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whsec_' || encode(decode(repeat('00', 23), 'hex'), 'base64') $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whsec_' || translate(encode(decode(repeat('00', 65), 'hex'), 'base64'), E'\n', '') $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whsec_!fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa w' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whs_0123456789' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whs_' || repeat('é', 20) $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', secret => 'whs_0123456789abcdef0123456789abcdef' $$);

-- the headers
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => NULL $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '[]' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"X-A": 1}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"X-A": ["a", "b"]}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"": "a"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"X A": "a"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"X-A": "a\r\nX-Evil: 1"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"Host": "example.org"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"Webhook-Id": "1"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => '{"X-A": "a", "x-a": "b"}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => jsonb_build_object('X-A', repeat('x', 4097)) $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => (SELECT jsonb_object_agg('X-' || n, '') FROM generate_series(1, 33) n) $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', headers => (SELECT jsonb_object_agg('X-' || n, repeat('x', 4000)) FROM generate_series(1, 5) n) $$);

-- the signature schemes
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', signature_schemes => NULL $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', signature_schemes => '{NULL}' $$);
SELECT subscribe_with($$ '{App.BusinessRequestStatusChange}', signature_schemes => '{standard,md5}' $$);

-- patterns of event types
SELECT subscribe_with($$ '{App*}' $$);
SELECT subscribe_with($$ '{*.Signed}' $$);
SELECT subscribe_with($$ ARRAY[repeat('x', 127) || '.*'] $$);
SELECT subscribe_with($$ ARRAY(SELECT 'x' || n || '.*' FROM generate_series(1, 501) n) $$);

-- the other options
SELECT subscribe_with($$ '{App.*}', description => repeat('x', 4097) $$);
SELECT subscribe_with($$ '{App.*}', filter => ('$.a == "' || repeat('x', 16384) || '"')::jsonpath $$);
SELECT subscribe_with($$ '{App.*}', filter => '$.a like_regex "x"' $$);
SELECT subscribe_with($$ '{App.*}', filter => '$.a == $b' $$);
SELECT subscribe_with($$ '{App.*}', filter => '$ ? (@.a == 1)' $$);
SELECT subscribe_with($$ '{App.*}', filter => '$.NewStatus' $$);
SELECT subscribe_with($$ '{App.*}', filter => '($.a == 1).type()' $$);
SELECT subscribe_with($$ '{App.*}', payload_format => 'xml' $$);
SELECT subscribe_with($$ '{App.*}', payload_format => NULL $$);
SELECT subscribe_with($$ '{App.*}', ordered => NULL $$);
SELECT subscribe_with($$ '{App.*}', max_in_flight => -1 $$);
SELECT subscribe_with($$ '{App.*}', max_in_flight => 1001 $$);
SELECT subscribe_with($$ '{App.*}', rate_limit => -1 $$);
SELECT subscribe_with($$ '{App.*}', rate_limit => 0.000001 $$);
SELECT subscribe_with($$ '{App.*}', rate_limit => 'NaN' $$);
SELECT subscribe_with($$ '{App.*}', timeout => '-1 s' $$);
SELECT subscribe_with($$ '{App.*}', timeout => '10 min' $$);
SELECT subscribe_with($$ '{App.*}', retry_schedule => '{5 s,0}' $$);
SELECT subscribe_with($$ '{App.*}', retry_schedule => '{5 s,31 days}' $$);
SELECT subscribe_with($$ '{App.*}', retry_schedule => '{5 s,NULL}' $$);
SELECT subscribe_with($$ '{App.*}', retry_schedule => array_fill(interval '5 s', '{101}') $$);
SELECT subscribe_with($$ '{App.*}', max_age => '1 s' $$);
SELECT subscribe_with($$ '{App.*}', max_age => '2 years' $$);
SELECT subscribe_with($$ '{App.*}', final_statuses => NULL $$);
SELECT subscribe_with($$ '{App.*}', final_statuses => '{200}' $$);
SELECT subscribe_with($$ '{App.*}', final_statuses => '{422,NULL}' $$);
SELECT subscribe_with($$ '{App.*}', final_statuses => array_fill(422, '{51}') $$);

SELECT count(*) FROM webhook_internal.subscription;

-- an event type that the endpoint has already
SELECT webhook.define_event_type('App.ContractSigned');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 1001;
BEGIN;
SELECT webhook.subscribe('https://example.com/hook', '{App.BusinessRequestStatusChange,App.BusinessRequestStatusChange}');
SELECT webhook.subscribe('https://example.com/other', '{App.ContractSigned}');
SELECT refusal($$ SELECT webhook.subscribe('HTTPS://Example.COM:443/hook', '{App.ContractSigned,App.BusinessRequestStatusChange}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, endpoint => 'https://example.com/hook', events => '{App.BusinessRequestStatusChange}') $$);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/hook', '{App.*}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1001, endpoint => 'https://example.com/other', events => '{*}') $$);
SELECT webhook.alter_subscription(1002, events => '{App.*,App.ContractSigned}');
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/other', '{App.BusinessRequestStatusChange}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, endpoint => '') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, events => '{}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, headers => '{"Host": "example.org"}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, signature_schemes => '{md5}') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, payload_format => 'xml') $$);
SELECT refusal($$ SELECT webhook.alter_subscription(1002, timeout => '1 h') $$);

-- what cannot be resent, recovered, cancelled or skipped
SELECT refusal($$ SELECT webhook.resend('00000000-0000-7000-8000-000000000000', 1002) $$);
SELECT refusal($$ SELECT webhook.resend(NULL, 1002) $$);
SELECT refusal($$ SELECT webhook.cancel('00000000-0000-7000-8000-000000000000', 1002) $$);
SELECT refusal($$ SELECT webhook.skip(1002, NULL) $$);
SELECT refusal($$ SELECT webhook.skip(1002, '') $$);
SELECT refusal($$ SELECT webhook.skip(1002, repeat('x', 513)) $$);
SELECT refusal($$ SELECT webhook.recover(1002, NULL) $$);
SELECT refusal($$ SELECT webhook.recover(1002, '2026-01-02', '2026-01-01') $$);
SELECT refusal($$ SELECT webhook.recover(1002, '2026-01-01', what => 'all') $$);
SELECT refusal($$ SELECT webhook.explain(NULL, 1002) $$);
SELECT refusal($$ SELECT webhook.explain('00000000-0000-7000-8000-000000000000', NULL) $$);
CREATE TABLE webhook_internal.log_here PARTITION OF webhook.log DEFAULT;
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
	created_at, attempt, outcome)
	VALUES (1, '00000000-0000-7000-8000-000000000000', 1, 'event', now(), 1002, 'App.ContractSigned', now(), 1, 'delivered'),
		(2, '00000000-0000-7000-8000-000000000001', 2, 'ping', now(), 1002, 'webhook.ping', now(), 1, 'delivered');
SELECT refusal($$ SELECT webhook.resend('00000000-0000-7000-8000-000000000000', 1002) $$);
SELECT refusal($$ SELECT webhook.resend('00000000-0000-7000-8000-000000000001', 1002) $$);
UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 1002;
SELECT refusal($$ SELECT webhook.ping(1002) $$);
SELECT webhook.alter_subscription(1002, enabled => false);
SELECT refusal($$ SELECT webhook.ping(1002) $$);
SELECT refusal($$ SELECT webhook.resend('00000000-0000-7000-8000-000000000000', 1002) $$);
SELECT refusal($$ SELECT webhook.recover(1002, '2026-01-01') $$);
ROLLBACK;

-- an unknown subscription
SELECT refusal($$ SELECT webhook.alter_subscription(7) $$);
SELECT refusal($$ SELECT webhook.alter_subscription(NULL) $$);
SELECT refusal($$ SELECT webhook.unsubscribe(7) $$);
SELECT refusal($$ SELECT webhook.unsubscribe(NULL) $$);
SELECT refusal($$ SELECT webhook.pause(7) $$);
SELECT refusal($$ SELECT webhook.pause(NULL) $$);
SELECT refusal($$ SELECT webhook.resume(7) $$);
SELECT refusal($$ SELECT webhook.resume(NULL) $$);
SELECT refusal($$ SELECT webhook.ping(7) $$);
SELECT refusal($$ SELECT webhook.resend('00000000-0000-7000-8000-000000000000', 7) $$);
SELECT refusal($$ SELECT webhook.cancel('00000000-0000-7000-8000-000000000000', 7) $$);
SELECT refusal($$ SELECT webhook.skip(7, 'contract/1') $$);
SELECT refusal($$ SELECT webhook.recover(7, '2026-01-01') $$);
SELECT refusal($$ SELECT webhook.secret(7) $$);
SELECT refusal($$ SELECT webhook.secret(NULL) $$);

-- sign and verify
SELECT refusal($$ SELECT webhook.sign('password', 'a', 1, 'b') $$);
SELECT refusal($$ SELECT webhook.sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'a.b', 1, 'b') $$);
SELECT refusal($$ SELECT webhook.verify('password', '{}', 'b') $$);
SELECT refusal($$ SELECT webhook.verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '[]', 'b') $$);
SELECT refusal($$ SELECT webhook.verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	'{"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": ""}', 'b', '-1 s') $$);
SELECT refusal($$ SELECT webhook.verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	'{"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": ""}', 'b', '178000000 years') $$);

-- certificate files, rotation of secrets
-- What the views hide is no value.
SELECT refusal($$ SELECT webhook.check_endpoint('https://example.com/hook?user=me&key=***') $$);
SELECT refusal($$ SELECT webhook.check_endpoint('https://example.com/hook?***') $$);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/', '{App.BusinessRequestStatusChange}', headers => '{"X-Api-Key": "***"}') $$);
SELECT refusal($$ SELECT webhook.check_endpoint('https://10.0.0.1/') $$);
SELECT refusal($$ SELECT webhook.check_endpoint('https://example.com/hook?a=****&b=a***') $$);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/', '{App.BusinessRequestStatusChange}', ca => '/etc/ca.pem') $$);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/', '{App.BusinessRequestStatusChange}', client_certificate => '.key') $$);
SELECT refusal($$ SELECT webhook.subscribe('https://example.com/', '{App.BusinessRequestStatusChange}', ca => repeat('x', 256)) $$);
SELECT refusal($$ SELECT webhook.rotate_secret(NULL) $$);
SELECT refusal($$ SELECT webhook.rotate_secret(4711) $$);
SELECT refusal($$ SELECT webhook.rotate_secret(4711, NULL) $$);
SELECT refusal($$ SELECT webhook.rotate_secret(4711, '-1 s') $$);
SELECT refusal($$ SELECT webhook.rotate_secret(4711, '8 days') $$);
BEGIN;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER meddler BEFORE UPDATE ON webhook_internal.subscription
	FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT split_part(refusal($$ SELECT webhook.pause(1) $$), E'\n', 1);
ROLLBACK;

-- grants
SELECT refusal($$ SELECT webhook.grant_reader(NULL) $$);
SELECT refusal($$ SELECT webhook.grant_operator('public') $$);
SELECT refusal($$ SELECT webhook.grant_admin('regress_webhook_nobody') $$);
SELECT split_part(refusal(format('SELECT webhook.revoke(%s::regrole)', current_user::regrole::oid)), ' ', 1);

-- drain and resume_database
SELECT refusal($$ SELECT webhook.drain(NULL) $$);
SELECT refusal($$ SELECT webhook.drain('-1 s') $$);
SELECT refusal($$ SELECT webhook.resume_database(NULL) $$);
BEGIN;
SELECT length(webhook.publish('App.BusinessRequestStatusChange', '{}')::text);
SELECT refusal($$ SELECT webhook.drain() $$);
ROLLBACK;

-- a missing part that publish() does without, and one that it needs
BEGIN;
ALTER EXTENSION webhook DROP TABLE webhook_internal.event_2;
ALTER TABLE webhook_internal.event_2 RENAME TO lost;
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', '{}') $$);
ALTER EXTENSION webhook DROP SEQUENCE webhook_internal.event_id_seq;
ALTER SEQUENCE webhook_internal.event_id_seq RENAME TO also_lost;
SELECT refusal($$ SELECT webhook.publish('App.BusinessRequestStatusChange', '{}') $$);
ROLLBACK;

SET client_min_messages = warning;
DELETE FROM webhook_internal.event_type WHERE name = 'App.ContractSigned';
DROP FUNCTION refusal, subscribe_to, subscribe_with;
DROP FOREIGN DATA WRAPPER nothing CASCADE;
DROP TABLE business_request, keyless, parent CASCADE;
DROP SEQUENCE a_sequence;
DROP TYPE a_type;
