/*
 * webhook--1.0.sql
 *	  What CREATE EXTENSION runs: the files of sql/parts in the order of their
 *	  names, concatenated by "make sql".
 *
 * Schema webhook holds what people use: functions, views and the log. Schema
 * webhook_internal holds everything else: the tables behind the views, the
 * ring, the leaves of the log, and the functions that nobody calls by hand.
 *
 * The control file says "schema = pg_catalog", so this script runs with the
 * search_path "pg_catalog, pg_temp". Therefore it names the schema of each
 * object of the extension and no other, and it says CREATE, never CREATE OR
 * REPLACE or IF NOT EXISTS: it takes over no object that exists already.
 */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION webhook" to load this file. \quit

CREATE SCHEMA webhook;
COMMENT ON SCHEMA webhook IS 'committed events, sent to HTTP endpoints: functions, views and the log';

CREATE SCHEMA webhook_internal;
COMMENT ON SCHEMA webhook_internal IS 'tables and functions behind schema webhook';

-- First of all: can these objects work in this server and database, with the library
-- that the server has loaded? An update begins with this, too.
CREATE FUNCTION webhook_internal.require_server(version text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_require_server';
SELECT webhook_internal.require_server('1.0');
DROP FUNCTION webhook_internal.require_server(text);
/*
 * Tables
 *
 *   table                 holds                                 written by
 *   event_type            what can be subscribed to             people
 *   tenant                who else has subscriptions            people
 *   tenant_role           which roles act for a tenant          people
 *   portal_token          who may act for a tenant for a while  people
 *   subscription          who wants which events, sent where    people
 *   subscription_secret   keys that requests are signed with    people
 *   pending               deliveries that wait                  the worker
 *   pending_count         how many of them there are            the worker
 *   subscription_state    the health of each endpoint           the worker
 *   log                   one row an attempt, by day            the worker
 *   checkpoint            how far the ring is processed         the worker
 *   stat_minute           what became of deliveries, by minute  the worker
 *   audit                 what people have done                 people
 *
 * People write by the functions of schema webhook; the worker deletes old rows
 * of the audit. There is no foreign key: a
 * parallel restore loads tables in any order. C code reads pending,
 * pending_count, subscription_state, log, checkpoint, stat_minute, tenant_role,
 * portal_token and audit by column number: src/base/catalog.h lists their columns in the
 * same order.
 */

CREATE TABLE webhook_internal.event_type (
	name		text COLLATE "C" PRIMARY KEY,
	description	text,
	schema		jsonb,
	example		jsonb,
	deprecated_at timestamptz,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE webhook_internal.event_type IS 'event types that can be subscribed to';
COMMENT ON COLUMN webhook_internal.event_type.name IS 'as sent: WebhookEvent in the body, header webhook-event';
COMMENT ON COLUMN webhook_internal.event_type.description IS 'for people';
COMMENT ON COLUMN webhook_internal.event_type.schema IS 'JSON Schema (2020-12) of Data; null: none was given';
COMMENT ON COLUMN webhook_internal.event_type.example IS 'an example of Data; null: none was given';
COMMENT ON COLUMN webhook_internal.event_type.deprecated_at IS 'since when new subscriptions may not name the event type; null: they may';
COMMENT ON COLUMN webhook_internal.event_type.created_at IS 'when the event type was defined';

INSERT INTO webhook_internal.event_type (name, description)
	VALUES ('App.BusinessRequestStatusChange', 'The status of a business request has changed.');

-- Those of src/worker/own_events.c. A dump does not have them.
INSERT INTO webhook_internal.event_type (name, description, schema, example)
	SELECT t.name, t.description,
			jsonb_build_object(
				'type', 'object',
				'properties', jsonb_build_object(
					'Subscription', '{"type": "integer"}'::jsonb,
					'State', '{"type": "string", "description": "state of the subscription, as in view webhook.stat_subscription"}'::jsonb,
					'Reason', '{"type": ["string", "null"], "description": "why the last request failed"}'::jsonb,
					'Count', '{"type": "integer", "description": "number of deliveries that failed since the last such event; else 1"}'::jsonb),
				'required', '["Subscription", "State", "Reason", "Count"]'::jsonb),
			jsonb_build_object('Subscription', 7, 'State', t.state, 'Reason', t.reason, 'Count', t.count)
		FROM (VALUES
			('webhook.subscription.opened', 'Calls of a subscription fail, and are only tried at times.',
				'open', 'could not connect', 1),
			('webhook.subscription.closed', 'Calls of a subscription succeed again.',
				'active', NULL, 1),
			('webhook.subscription.disabled', 'A subscription was disabled, by people or because its calls have failed for days.',
				'disabled', 'could not connect', 1),
			('webhook.subscription.enabled', 'A subscription was enabled.',
				'active', NULL, 1),
			('webhook.delivery.failed', 'Deliveries have failed for good; at most once a minute for each subscription.',
				'active', 'the receiver answered with HTTP status 400', 3)
		) AS t (name, description, state, reason, count);

-- A dump has that row, too, if people have altered it.
CREATE FUNCTION webhook_internal.replace_event_type() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	DELETE FROM webhook_internal.event_type t
		WHERE t.name = new.name AND t.name = 'App.BusinessRequestStatusChange';
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.replace_event_type() IS 'trigger function: the row of a dump replaces the event type that CREATE EXTENSION has made';

CREATE TRIGGER replace_event_type BEFORE INSERT ON webhook_internal.event_type
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.replace_event_type();
ALTER TABLE webhook_internal.event_type ENABLE ALWAYS TRIGGER replace_event_type;
COMMENT ON TRIGGER replace_event_type ON webhook_internal.event_type IS 'the row of a dump replaces that of CREATE EXTENSION';

CREATE TABLE webhook_internal.tenant (
	name		text COLLATE "C" PRIMARY KEY,
	events		text[] NOT NULL,
	max_subscriptions integer NOT NULL,
	max_in_flight integer,
	rate_limit	real,
	channel		text NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE webhook_internal.tenant IS 'tenants: whoever has subscriptions and events of their own; defined by webhook.define_tenant()';
COMMENT ON COLUMN webhook_internal.tenant.name IS 'name of the tenant, as events have it';
COMMENT ON COLUMN webhook_internal.tenant.events IS 'event types that the tenant may get; App.* means all that begin with App., * means all';
COMMENT ON COLUMN webhook_internal.tenant.max_subscriptions IS 'most subscriptions that it may have';
COMMENT ON COLUMN webhook_internal.tenant.max_in_flight IS 'most requests at once of all its subscriptions together; null: no limit of its own';
COMMENT ON COLUMN webhook_internal.tenant.rate_limit IS 'most requests a second of all its subscriptions together; null: no limit';
COMMENT ON COLUMN webhook_internal.tenant.channel IS 'channel of its notifications, which only the entitled are told';
COMMENT ON COLUMN webhook_internal.tenant.created_at IS 'when the tenant was defined';

CREATE TABLE webhook_internal.tenant_role (
	role		regrole PRIMARY KEY,
	tenant		text COLLATE "C" NOT NULL
);
COMMENT ON TABLE webhook_internal.tenant_role IS 'roles that act for a tenant; changed by webhook.grant_tenant() and webhook.revoke()';
COMMENT ON COLUMN webhook_internal.tenant_role.role IS 'role that acts for the tenant, with its members; a role of two tenants acts for none';
COMMENT ON COLUMN webhook_internal.tenant_role.tenant IS 'name of the tenant';

CREATE TABLE webhook_internal.portal_token (
	hash		bytea PRIMARY KEY,
	tenant		text COLLATE "C" NOT NULL,
	may_write	boolean NOT NULL,
	created_at	timestamptz NOT NULL,
	created_by	name NOT NULL,
	expires_at	timestamptz NOT NULL,
	exchanged_at timestamptz,
	role		regrole,
	session_until timestamptz,
	revoked_at	timestamptz
);
COMMENT ON TABLE webhook_internal.portal_token IS 'tokens of webhook.portal_token(), and the sessions that webhook.act_as() has opened with them; kept for a day after their end, and in no dump';
COMMENT ON COLUMN webhook_internal.portal_token.hash IS 'SHA-256 of the token, which is nowhere';
COMMENT ON COLUMN webhook_internal.portal_token.tenant IS 'tenant that it lets a session act for';
COMMENT ON COLUMN webhook_internal.portal_token.may_write IS 'whether the session may call functions that change something or show a credential';
COMMENT ON COLUMN webhook_internal.portal_token.created_at IS 'when it was made';
COMMENT ON COLUMN webhook_internal.portal_token.created_by IS 'role that made it';
COMMENT ON COLUMN webhook_internal.portal_token.expires_at IS 'until when it can be exchanged';
COMMENT ON COLUMN webhook_internal.portal_token.exchanged_at IS 'when a session was opened with it; null: not yet';
COMMENT ON COLUMN webhook_internal.portal_token.role IS 'role of that session; null: there is none';
COMMENT ON COLUMN webhook_internal.portal_token.session_until IS 'when that session ends at the latest; null: there is none';
COMMENT ON COLUMN webhook_internal.portal_token.revoked_at IS 'when the token, or its session, was ended by people; null: it was not';

CREATE SEQUENCE webhook_internal.subscription_id_seq;
COMMENT ON SEQUENCE webhook_internal.subscription_id_seq IS 'numbers subscriptions';

CREATE TABLE webhook_internal.subscription (
	id			bigint PRIMARY KEY DEFAULT nextval('webhook_internal.subscription_id_seq'),
	tenant		text COLLATE "C",
	endpoint	text NOT NULL,
	events		text[] NOT NULL,
	description	text,
	headers		jsonb NOT NULL DEFAULT '{}',
	signature_schemes text[] NOT NULL DEFAULT '{standard}',
	filter		jsonpath,
	payload_format text NOT NULL DEFAULT 'envelope',
	ordered		boolean NOT NULL DEFAULT true,
	max_in_flight integer,
	rate_limit	real,
	timeout		interval,
	retry_schedule interval[],
	max_age		interval,
	final_statuses integer[] NOT NULL DEFAULT '{}',
	ca			text,
	client_certificate text,
	include_context boolean NOT NULL DEFAULT false,
	log_bodies	text,
	name		text COLLATE "C",
	enabled		boolean NOT NULL DEFAULT true,
	paused		boolean NOT NULL DEFAULT false,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp(),
	created_by	name NOT NULL,
	since		pg_snapshot NOT NULL,
	home		text NOT NULL,
	confirmation uuid,
	challenge	text,
	challenged_at timestamptz
);
COMMENT ON TABLE webhook_internal.subscription IS 'subscriptions with their credentials; changed by webhook.subscribe(), webhook.alter_subscription() and other functions';
COMMENT ON COLUMN webhook_internal.subscription.id IS 'number of the subscription';
COMMENT ON COLUMN webhook_internal.subscription.tenant IS 'tenant that it belongs to; null: the platform itself';
COMMENT ON COLUMN webhook_internal.subscription.endpoint IS 'URL that events are posted to, in canonical form';
COMMENT ON COLUMN webhook_internal.subscription.events IS 'event types that are sent; App.* means all that begin with App., * means all';
COMMENT ON COLUMN webhook_internal.subscription.description IS 'for people';
COMMENT ON COLUMN webhook_internal.subscription.headers IS 'headers that are added to each request, a JSON object of name to value';
COMMENT ON COLUMN webhook_internal.subscription.signature_schemes IS 'signatures of each request: standard, and abp if it was asked for';
COMMENT ON COLUMN webhook_internal.subscription.filter IS 'predicate on Data; only events that it is true for are sent; null: all';
COMMENT ON COLUMN webhook_internal.subscription.payload_format IS 'body of a request: envelope, raw (Data alone) or standard (type, timestamp, data)';
COMMENT ON COLUMN webhook_internal.subscription.ordered IS 'true: each event waits for the earlier ones of its subject';
COMMENT ON COLUMN webhook_internal.subscription.max_in_flight IS 'requests at once; null: webhook.max_in_flight_per_subscription';
COMMENT ON COLUMN webhook_internal.subscription.rate_limit IS 'requests a second; null: no limit';
COMMENT ON COLUMN webhook_internal.subscription.timeout IS 'maximum duration of a request; null: webhook.timeout';
COMMENT ON COLUMN webhook_internal.subscription.retry_schedule IS 'waits between attempts; null: webhook.retry_schedule';
COMMENT ON COLUMN webhook_internal.subscription.max_age IS 'age at which a delivery fails; time during which the subscription may not send does not count; null: seven days';
COMMENT ON COLUMN webhook_internal.subscription.final_statuses IS 'HTTP statuses that are not retried; 410 never is';
COMMENT ON COLUMN webhook_internal.subscription.ca IS 'file in webhook.certificate_directory with the certificate authorities that the endpoint is verified by; null: webhook.ca_file';
COMMENT ON COLUMN webhook_internal.subscription.client_certificate IS 'file in webhook.certificate_directory with the client certificate and its key; null: none is presented';
COMMENT ON COLUMN webhook_internal.subscription.include_context IS 'true: the envelope has the event''s context';
COMMENT ON COLUMN webhook_internal.subscription.log_bodies IS 'which calls the log keeps the bodies of: all, failed or none; null: webhook.log_bodies';
COMMENT ON COLUMN webhook_internal.subscription.name IS 'what webhook.subscribe() knows it by, once a tenant; null: it has none';
COMMENT ON COLUMN webhook_internal.subscription.enabled IS 'false: people have disabled it, and events are not delivered; what the worker has disabled stays true, see state of webhook.stat_subscription';
COMMENT ON COLUMN webhook_internal.subscription.paused IS 'true: events wait';
COMMENT ON COLUMN webhook_internal.subscription.created_at IS 'when the subscription was made';
COMMENT ON COLUMN webhook_internal.subscription.created_by IS 'role that made the subscription';
COMMENT ON COLUMN webhook_internal.subscription.since IS 'start snapshot: events that it does not see are delivered';
COMMENT ON COLUMN webhook_internal.subscription.home IS 'where the subscription sends: system identifier, database oid, and oid of webhook_internal.checkpoint; anywhere else it is fenced until webhook.resume_database(); /id at the end: it is fenced in a copy of the data directory with that id';
COMMENT ON COLUMN webhook_internal.subscription.confirmation IS 'Id of the event that asks the endpoint for the challenge; null: the endpoint need not be confirmed';
COMMENT ON COLUMN webhook_internal.subscription.challenge IS 'what the endpoint has to answer before it gets events; null: nothing';
COMMENT ON COLUMN webhook_internal.subscription.challenged_at IS 'when the challenge was made; null: there is none';

CREATE UNIQUE INDEX subscription_name_tenant_key
	ON webhook_internal.subscription (name, tenant) NULLS NOT DISTINCT WHERE name IS NOT NULL;

CREATE INDEX subscription_tenant_idx ON webhook_internal.subscription (tenant)
	WHERE tenant IS NOT NULL;

-- The endpoint itself may be a credential, which plans and parameters would show.
CREATE INDEX subscription_endpoint_idx
	ON webhook_internal.subscription (hashtextextended(endpoint, 0));

CREATE SEQUENCE webhook_internal.subscription_secret_id_seq;
COMMENT ON SEQUENCE webhook_internal.subscription_secret_id_seq IS 'numbers secrets';

CREATE TABLE webhook_internal.subscription_secret (
	id			bigint PRIMARY KEY DEFAULT nextval('webhook_internal.subscription_secret_id_seq'),
	subscription_id	bigint NOT NULL,
	secret		text NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT clock_timestamp(),
	expires_at	timestamptz
);
COMMENT ON TABLE webhook_internal.subscription_secret IS 'secrets that the requests of subscriptions are signed with; each that has not expired makes one signature';
COMMENT ON COLUMN webhook_internal.subscription_secret.id IS 'higher for a newer secret';
COMMENT ON COLUMN webhook_internal.subscription_secret.subscription_id IS 'subscription that the secret belongs to';
COMMENT ON COLUMN webhook_internal.subscription_secret.secret IS '"whsec_" and the base64 of the key, or "whs_" and a text, which as a whole is the key';
COMMENT ON COLUMN webhook_internal.subscription_secret.created_at IS 'when the secret was made';
COMMENT ON COLUMN webhook_internal.subscription_secret.expires_at IS 'when the secret stops signing; null: never';

CREATE INDEX subscription_secret_subscription_id_idx
	ON webhook_internal.subscription_secret (subscription_id);

CREATE TABLE webhook_internal.pending (
	subscription_id	bigint NOT NULL,
	subject		text COLLATE "C" NOT NULL,
	position	bigint NOT NULL,
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	event_id	uuid NOT NULL,
	cause		text NOT NULL,
	attempt		integer NOT NULL,
	step		integer NOT NULL,
	next_at		timestamptz,
	queued_at	timestamptz NOT NULL,
	age_start	timestamptz NOT NULL,
	created_at	timestamptz NOT NULL,
	event_type	text NOT NULL,
	tenant		text COLLATE "C",
	context		json,
	data		json NOT NULL,
	PRIMARY KEY (subscription_id, subject, position, id)
) USING heap WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE webhook_internal.pending IS 'deliveries that will be retried or wait, each with its whole event; only the worker writes this table';
COMMENT ON COLUMN webhook_internal.pending.subscription_id IS 'subscription that the event is delivered to';
COMMENT ON COLUMN webhook_internal.pending.subject IS 'subject of the event; empty: the event has no subject';
COMMENT ON COLUMN webhook_internal.pending.position IS 'id of the row in the ring that caused the delivery; it orders the deliveries of a subject';
COMMENT ON COLUMN webhook_internal.pending.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook_internal.pending.txid IS 'transaction that wrote the row in the ring which caused the delivery; 0: the row was restored, which came before all transactions here';
COMMENT ON COLUMN webhook_internal.pending.event_id IS 'Id of the event, as sent';
COMMENT ON COLUMN webhook_internal.pending.cause IS 'cause of the delivery: event, resend, recover or ping';
COMMENT ON COLUMN webhook_internal.pending.attempt IS 'number of attempts made';
COMMENT ON COLUMN webhook_internal.pending.step IS 'step of the retry schedule';
COMMENT ON COLUMN webhook_internal.pending.next_at IS 'when the delivery is due; null: it waits behind an earlier one of its subject';
COMMENT ON COLUMN webhook_internal.pending.queued_at IS 'when the delivery began to wait';
COMMENT ON COLUMN webhook_internal.pending.age_start IS 'when the age of the delivery starts: when it was caused, less the time that the subscription had been suspended before';
COMMENT ON COLUMN webhook_internal.pending.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook_internal.pending.event_type IS 'type of the event';
COMMENT ON COLUMN webhook_internal.pending.tenant IS 'tenant of the subscription; null: the platform itself';
COMMENT ON COLUMN webhook_internal.pending.context IS 'who caused the event, as in the ring';
COMMENT ON COLUMN webhook_internal.pending.data IS 'Data of the event, as sent';

CREATE INDEX pending_due_idx ON webhook_internal.pending (subscription_id, next_at)
	WHERE next_at IS NOT NULL;
CREATE INDEX pending_queued_idx ON webhook_internal.pending (subscription_id, queued_at);

-- A restore brings transaction ids that mean nothing here. The worker's own
-- insertions fire no trigger.
CREATE FUNCTION webhook_internal.forget_txid() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	new.txid := '0';
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.forget_txid() IS 'trigger function: what somebody else than the worker inserts into pending came before all transactions here';

CREATE TRIGGER forget_txid BEFORE INSERT ON webhook_internal.pending
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.forget_txid();
ALTER TABLE webhook_internal.pending ENABLE ALWAYS TRIGGER forget_txid;
COMMENT ON TRIGGER forget_txid ON webhook_internal.pending IS 'transaction ids of another cluster mean nothing here';

CREATE TABLE webhook_internal.pending_count (
	subscription_id	bigint PRIMARY KEY,
	pending		bigint NOT NULL
) USING heap WITH (
	fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE webhook_internal.pending_count IS 'number of rows of webhook_internal.pending, written together with them; only the worker writes this table';
COMMENT ON COLUMN webhook_internal.pending_count.subscription_id IS 'number of the subscription; one without a row here has not been counted';
COMMENT ON COLUMN webhook_internal.pending_count.pending IS 'number of its waiting deliveries';

CREATE TABLE webhook_internal.subscription_state (
	subscription_id	bigint PRIMARY KEY,
	state		text NOT NULL,
	breaker		text NOT NULL,
	concurrency	integer NOT NULL,
	consecutive_failures integer NOT NULL,
	failures_since_success bigint NOT NULL,
	failing_since	timestamptz,
	last_success	timestamptz,
	last_failure	timestamptz,
	opened_at	timestamptz,
	probe_interval	bigint NOT NULL,
	not_before	timestamptz,
	reason		text,
	disabled_at	timestamptz,
	disabled_start_snapshot pg_snapshot,
	confirmation uuid,
	confirmed_at timestamptz,
	confirm_attempts integer NOT NULL DEFAULT 0,
	confirm_next_at timestamptz,
	suspended_at	timestamptz,
	suspended	interval NOT NULL,
	delivered	bigint NOT NULL,
	failed		bigint NOT NULL,
	retried		bigint NOT NULL,
	filter_errors	bigint NOT NULL,
	rate		double precision NOT NULL,
	p50			interval,
	p95			interval,
	saved_at	timestamptz NOT NULL
) USING heap WITH (
	fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE webhook_internal.subscription_state IS 'health of the endpoint of each subscription; only the worker writes this table; see view webhook.stat_subscription';
COMMENT ON COLUMN webhook_internal.subscription_state.subscription_id IS 'number of the subscription';
COMMENT ON COLUMN webhook_internal.subscription_state.state IS 'what the worker says of the subscription: disabled, fenced, paused, off, unconfirmed, open, waiting, slow or active';
COMMENT ON COLUMN webhook_internal.subscription_state.breaker IS 'circuit breaker: closed, open (only probes are sent) or half_open (a probe is in flight)';
COMMENT ON COLUMN webhook_internal.subscription_state.concurrency IS 'how many requests may be in flight; 1: the endpoint fails or is slow';
COMMENT ON COLUMN webhook_internal.subscription_state.consecutive_failures IS 'failures of the endpoint in a row; 10 open the breaker';
COMMENT ON COLUMN webhook_internal.subscription_state.failures_since_success IS 'failures of any kind since the last success';
COMMENT ON COLUMN webhook_internal.subscription_state.failing_since IS 'time of the first failure since the last success';
COMMENT ON COLUMN webhook_internal.subscription_state.last_success IS 'when a request last succeeded';
COMMENT ON COLUMN webhook_internal.subscription_state.last_failure IS 'when a request last failed';
COMMENT ON COLUMN webhook_internal.subscription_state.opened_at IS 'when the breaker opened; null: it is closed';
COMMENT ON COLUMN webhook_internal.subscription_state.probe_interval IS 'seconds between probes while the breaker is open';
COMMENT ON COLUMN webhook_internal.subscription_state.not_before IS 'earliest time of the next request, set by the breaker or by Retry-After';
COMMENT ON COLUMN webhook_internal.subscription_state.reason IS 'reason of the last failure; null: there is no problem';
COMMENT ON COLUMN webhook_internal.subscription_state.disabled_at IS 'when the worker disabled the subscription';
COMMENT ON COLUMN webhook_internal.subscription_state.disabled_start_snapshot IS 'start snapshot of the subscription when it was disabled; the subscription has another once it has been re-enabled';
COMMENT ON COLUMN webhook_internal.subscription_state.confirmation IS 'confirmation of the subscription that the next three are about; the subscription has another once it is to be confirmed anew; null: none so far';
COMMENT ON COLUMN webhook_internal.subscription_state.confirmed_at IS 'when the endpoint answered the challenge; null: it did not';
COMMENT ON COLUMN webhook_internal.subscription_state.confirm_attempts IS 'number of requests that asked for it';
COMMENT ON COLUMN webhook_internal.subscription_state.confirm_next_at IS 'when the next of them is due; null: no more are made';
COMMENT ON COLUMN webhook_internal.subscription_state.suspended_at IS 'when the subscription was suspended: paused, fenced or unconfirmed, or sending was switched off; null: it is not suspended';
COMMENT ON COLUMN webhook_internal.subscription_state.suspended IS 'total time suspended before suspended_at';
COMMENT ON COLUMN webhook_internal.subscription_state.delivered IS 'number of deliveries that succeeded';
COMMENT ON COLUMN webhook_internal.subscription_state.failed IS 'number of deliveries that failed or were cancelled; webhook.stat_minute has the two apart';
COMMENT ON COLUMN webhook_internal.subscription_state.retried IS 'number of attempts that failed and were, or will be, retried';
COMMENT ON COLUMN webhook_internal.subscription_state.filter_errors IS 'number of events that the filter failed for, or could not look at the Record of';
COMMENT ON COLUMN webhook_internal.subscription_state.rate IS 'deliveries a second at saved_at, a moving average over about a minute';
COMMENT ON COLUMN webhook_internal.subscription_state.p50 IS 'median duration of recent requests';
COMMENT ON COLUMN webhook_internal.subscription_state.p95 IS '95th percentile of the duration of recent requests';
COMMENT ON COLUMN webhook_internal.subscription_state.saved_at IS 'when the row was written';

-- Its leaves, webhook_internal.log_YYYYMMDD, are ordinary tables that the worker
-- creates, no members of the extension, so that a dump contains them.
CREATE TABLE webhook.log (
	id			bigint NOT NULL,
	event_id	uuid NOT NULL,
	position	bigint NOT NULL,
	cause		text NOT NULL,
	logged_at	timestamptz NOT NULL,
	subscription_id	bigint NOT NULL,
	event_type	text NOT NULL,
	subject		text,
	tenant		text COLLATE "C",
	created_at	timestamptz NOT NULL,
	attempt		integer NOT NULL,
	method		text,
	endpoint	text,
	peer_ip	inet,
	source_ip	inet,
	source_port	integer,
	requested_at	timestamptz,
	duration	interval,
	request_headers	jsonb,
	request_body	text,
	response_status	integer,
	response_headers	jsonb,
	response_body	text,
	outcome		text NOT NULL,
	error_class	text,
	error		text,
	traceparent	text,
	context		jsonb,
	data		json
) PARTITION BY RANGE (logged_at);
COMMENT ON TABLE webhook.log IS 'one row an attempt, as sent and as answered, and one row for each delivery that ended without an attempt; one partition a day';
COMMENT ON COLUMN webhook.log.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.log.event_id IS 'Id of the event, as sent';
COMMENT ON COLUMN webhook.log.position IS 'id of the row in the ring that caused the delivery';
COMMENT ON COLUMN webhook.log.cause IS 'cause of the delivery: event, resend, recover or ping; confirm: the endpoint was asked for its challenge; dismiss: a dead letter was dismissed by webhook.cancel()';
COMMENT ON COLUMN webhook.log.logged_at IS 'when the row was written; it never decreases from one row to the next';
COMMENT ON COLUMN webhook.log.subscription_id IS 'subscription that the event was delivered to';
COMMENT ON COLUMN webhook.log.event_type IS 'type of the event';
COMMENT ON COLUMN webhook.log.subject IS 'subject of the event; null: it has none';
COMMENT ON COLUMN webhook.log.tenant IS 'tenant of the subscription; null: the platform itself';
COMMENT ON COLUMN webhook.log.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.log.attempt IS 'number of the attempt, from 1; of a delivery that ended without one, number of attempts before';
COMMENT ON COLUMN webhook.log.method IS 'POST; null: no request was made';
COMMENT ON COLUMN webhook.log.endpoint IS 'URL of the request, values in its query redacted';
COMMENT ON COLUMN webhook.log.peer_ip IS 'address that was dialled last: the receiver''s, or that of webhook.proxy';
COMMENT ON COLUMN webhook.log.source_ip IS 'local address of the connection';
COMMENT ON COLUMN webhook.log.source_port IS 'local port of the connection';
COMMENT ON COLUMN webhook.log.requested_at IS 'when the request began';
COMMENT ON COLUMN webhook.log.duration IS 'duration of the request';
COMMENT ON COLUMN webhook.log.request_headers IS 'headers as sent, names in lower case; values are redacted where the name contains auth, bearer, challenge, cookie, credential, jwt, key, passw, secret, session or token';
COMMENT ON COLUMN webhook.log.request_body IS 'body as sent; null: no request was made, or log_bodies or webhook.erase() has left it out';
COMMENT ON COLUMN webhook.log.response_status IS 'HTTP status; null: there was no response';
COMMENT ON COLUMN webhook.log.response_headers IS 'headers of the response, names in lower case, redacted like request_headers; a repeated name has an array';
COMMENT ON COLUMN webhook.log.response_body IS E'first 16 kB of the response; bytes that are not valid text are written as \\xHH; null: there was none, or it was left out like request_body';
COMMENT ON COLUMN webhook.log.outcome IS 'delivered, retrying, failed or cancelled';
COMMENT ON COLUMN webhook.log.error_class IS 'kind of failure, one word';
COMMENT ON COLUMN webhook.log.error IS 'description of the failure';
COMMENT ON COLUMN webhook.log.traceparent IS 'trace that caused the event, by webhook.traceparent; sent as a header';
COMMENT ON COLUMN webhook.log.context IS 'who or what caused the event, by webhook.context';
COMMENT ON COLUMN webhook.log.data IS 'Data of the event, kept where the delivery ended without success, unless log_bodies is none or webhook.erase() has removed it';

CREATE TABLE webhook_internal.checkpoint (
	worker		smallint PRIMARY KEY,
	home		text NOT NULL,
	directory	text,
	server_version integer NOT NULL,
	snapshot	pg_snapshot NOT NULL,
	partial_snapshot pg_snapshot,
	upto_id		bigint,
	last_id		bigint NOT NULL,
	saved_at	timestamptz NOT NULL
) USING heap;
COMMENT ON TABLE webhook_internal.checkpoint IS 'one row a worker: the low-water mark, up to which it has processed the ring';
COMMENT ON COLUMN webhook_internal.checkpoint.worker IS 'number of the worker; 0 is the only one';
COMMENT ON COLUMN webhook_internal.checkpoint.home IS 'where the row was written: system identifier, database oid, and oid of this table';
COMMENT ON COLUMN webhook_internal.checkpoint.directory IS 'id of the data directory in which the row was written, as its file webhook.directory has it';
COMMENT ON COLUMN webhook_internal.checkpoint.server_version IS 'version of the server that wrote the row, as in server_version_num';
COMMENT ON COLUMN webhook_internal.checkpoint.snapshot IS 'every row of the ring that this snapshot sees is processed';
COMMENT ON COLUMN webhook_internal.checkpoint.partial_snapshot IS 'end of a large window that is processed in part; null: there is none';
COMMENT ON COLUMN webhook_internal.checkpoint.upto_id IS 'rows of the window of partial_snapshot up to this id are processed';
COMMENT ON COLUMN webhook_internal.checkpoint.last_id IS 'no row of the ring had a greater id';
COMMENT ON COLUMN webhook_internal.checkpoint.saved_at IS 'when the row was written';

/*
 * What waits for a subscription was matched for its tenant, and its rows in pending and in the
 * log say whose they are: nobody else may get them, also if somebody changes it by hand. Who
 * deletes a row by hand and makes another of its number gives away what waits.
 */
CREATE FUNCTION webhook_internal.keep_identity() RETURNS trigger
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION USING
		ERRCODE = 'object_not_in_prerequisite_state',
		COLUMN = tg_argv[0],
		MESSAGE = format('the %s of subscription %s cannot be changed', tg_argv[0], old.id),
		HINT = tg_argv[1];
END
$$;
COMMENT ON FUNCTION webhook_internal.keep_identity() IS 'trigger function: raises the error that a subscription keeps the column that the first argument names; the second one is the hint';

CREATE TRIGGER keep_id BEFORE UPDATE OF id ON webhook_internal.subscription
	FOR EACH ROW WHEN (old.id <> new.id)
	EXECUTE FUNCTION webhook_internal.keep_identity('id',
		'Call webhook.subscribe() for another one, and webhook.unsubscribe() for this one.');
ALTER TABLE webhook_internal.subscription ENABLE ALWAYS TRIGGER keep_id;
COMMENT ON TRIGGER keep_id ON webhook_internal.subscription IS 'keeps what waits, the secrets and the log with their subscription';

CREATE TRIGGER keep_tenant BEFORE UPDATE OF tenant ON webhook_internal.subscription
	FOR EACH ROW WHEN (old.tenant IS DISTINCT FROM new.tenant)
	EXECUTE FUNCTION webhook_internal.keep_identity('tenant',
		'Call webhook.subscribe() for the other tenant, and webhook.unsubscribe() for this one.');
ALTER TABLE webhook_internal.subscription ENABLE ALWAYS TRIGGER keep_tenant;
COMMENT ON TRIGGER keep_tenant ON webhook_internal.subscription IS 'keeps what waits for one tenant from another one';

/*
 * The worker is told of each subscription that changes, by its id, and is woken where a
 * restore, or somebody by hand, writes what it would not look at by itself.
 */
CREATE FUNCTION webhook_internal.wake_worker() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_wake_worker';
COMMENT ON FUNCTION webhook_internal.wake_worker() IS 'trigger function: makes the worker read subscriptions again: for a row the one whose id is in the column that the argument names, for a statement all; there, with an argument, also count pending deliveries';

DO $$
DECLARE
	made		record;
BEGIN
	FOR made IN SELECT * FROM (VALUES
		('tenant', 'wake_worker', 'INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', ''),
		('subscription', 'wake_worker', 'INSERT OR UPDATE OR DELETE', 'ROW', 'id'),
		('subscription', 'wake_worker_for_all', 'TRUNCATE', 'STATEMENT', ''),
		('subscription_secret', 'wake_worker', 'INSERT OR UPDATE OR DELETE', 'ROW',
			'subscription_id'),
		('subscription_secret', 'wake_worker_for_all', 'TRUNCATE', 'STATEMENT', ''),
		('pending', 'wake_worker', 'INSERT OR UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'count')
	) AS v (relation, name, events, level, argument) LOOP
		EXECUTE format($_$
			CREATE TRIGGER %2$I
				AFTER %3$s ON webhook_internal.%1$I
				FOR EACH %4$s EXECUTE FUNCTION webhook_internal.wake_worker(%5$s);
			ALTER TABLE webhook_internal.%1$I ENABLE ALWAYS TRIGGER %2$I;
			COMMENT ON TRIGGER %2$I ON webhook_internal.%1$I IS 'makes the worker read the table again';
		$_$, made.relation, made.name, made.events, made.level,
			quote_literal(nullif(made.argument, '')));
	END LOOP;
END
$$;

CREATE TABLE webhook_internal.audit (
	at			timestamptz NOT NULL,
	role		name NOT NULL,
	outer_role	name NOT NULL,
	session_role name NOT NULL,
	action		text NOT NULL,
	tenant		text COLLATE "C",
	subscription_id	bigint,
	event_id	uuid,
	detail		jsonb NOT NULL
);
COMMENT ON TABLE webhook_internal.audit IS 'what people have done, one row an act, written in its transaction';
COMMENT ON COLUMN webhook_internal.audit.at IS 'when it was done';
COMMENT ON COLUMN webhook_internal.audit.role IS 'role that did it: the current user where the function was called, so of a SECURITY DEFINER function its owner';
COMMENT ON COLUMN webhook_internal.audit.outer_role IS 'role of the session then: that of SET ROLE, if there was one';
COMMENT ON COLUMN webhook_internal.audit.session_role IS 'role that had logged in, or that of SET SESSION AUTHORIZATION';
COMMENT ON COLUMN webhook_internal.audit.action IS 'name of the function that did it';
COMMENT ON COLUMN webhook_internal.audit.tenant IS 'tenant that it was done to, or whose subscription; null: the platform itself';
COMMENT ON COLUMN webhook_internal.audit.subscription_id IS 'subscription that it was done to; null: none';
COMMENT ON COLUMN webhook_internal.audit.event_id IS 'Id of the event that it was done to; null: none';
COMMENT ON COLUMN webhook_internal.audit.detail IS 'what was given or changed, with former values under old and new ones under new; credentials are redacted';

CREATE INDEX audit_at_idx ON webhook_internal.audit (at);
CREATE INDEX audit_erasure_idx ON webhook_internal.audit ((detail ->> 'subject') COLLATE "C")
	WHERE action = 'erase';

CREATE TABLE webhook_internal.stat_minute (
	at			timestamptz NOT NULL,
	span		interval NOT NULL,
	subscription_id	bigint,
	delivered	bigint NOT NULL,
	failed		bigint NOT NULL,
	retried		bigint NOT NULL,
	cancelled	bigint NOT NULL,
	pending		bigint,
	duration	integer[] NOT NULL
) USING heap;
COMMENT ON TABLE webhook_internal.stat_minute IS 'what became of deliveries, by minute and, after two days, by hour; only the worker writes this table';
COMMENT ON COLUMN webhook_internal.stat_minute.at IS 'when the minute, or the hour, began';
COMMENT ON COLUMN webhook_internal.stat_minute.span IS 'one minute or one hour';
COMMENT ON COLUMN webhook_internal.stat_minute.subscription_id IS 'subscription that has had results, or whose deliveries wait; null: all together, also where there was none';
COMMENT ON COLUMN webhook_internal.stat_minute.delivered IS 'number of deliveries that succeeded';
COMMENT ON COLUMN webhook_internal.stat_minute.failed IS 'number of deliveries that failed';
COMMENT ON COLUMN webhook_internal.stat_minute.retried IS 'number of attempts that failed and were, or will be, retried';
COMMENT ON COLUMN webhook_internal.stat_minute.cancelled IS 'number of deliveries that were cancelled';
COMMENT ON COLUMN webhook_internal.stat_minute.pending IS 'number of deliveries that waited at the end, of an hour at most; null: unknown';
COMMENT ON COLUMN webhook_internal.stat_minute.duration IS 'number of requests whose duration was less than 1 ms, 2 ms, 4 ms and so on; the last number includes all longer ones';

CREATE UNIQUE INDEX stat_minute_key
	ON webhook_internal.stat_minute (subscription_id, span, at) NULLS NOT DISTINCT;
CREATE INDEX stat_minute_span_at_idx ON webhook_internal.stat_minute (span, at);
/*
 * Who calls, and what they may see
 *
 * A view shows what the current user may see. It is a barrier, so that no function or
 * operator of theirs gets to know another row. The two functions are called as (SELECT
 * ...), once a query: they are for the leader of a parallel query, and a plan that is
 * kept must not keep their answers.
 *
 * Where a query can do more than filter rows one by one, the log for instance, row-level
 * security has the same condition: see 80_views.sql.
 */

CREATE FUNCTION webhook_internal.caller() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_name';
COMMENT ON FUNCTION webhook_internal.caller() IS 'role that called the function of schema webhook which runs with the rights of the owner; elsewhere the current user';

-- Nobody calls it: to have EXECUTE on it is the right.
CREATE FUNCTION webhook_internal.all_tenants() RETURNS void
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT
$$;
COMMENT ON FUNCTION webhook_internal.all_tenants() IS 'does nothing; a role that may execute it sees, and acts for, the platform and all tenants';

CREATE FUNCTION webhook_internal.sees_all() RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_sees_all_tenants';
COMMENT ON FUNCTION webhook_internal.sees_all() IS 'true if the current user sees the platform and all tenants';

CREATE FUNCTION webhook_internal.my_tenant() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_my_tenant';
COMMENT ON FUNCTION webhook_internal.my_tenant() IS 'tenant that the current user acts for; null: none, or all';

CREATE FUNCTION webhook_internal.caller_sees_all() RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_sees_all';
COMMENT ON FUNCTION webhook_internal.caller_sees_all() IS 'true if the role that called the function of schema webhook sees the platform and all tenants';

CREATE FUNCTION webhook_internal.caller_tenant() RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_tenant';
COMMENT ON FUNCTION webhook_internal.caller_tenant() IS 'tenant that the role that called the function of schema webhook acts for; null: none, or all';

CREATE FUNCTION webhook_internal.acts_on(tenant text) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_acts_on';
COMMENT ON FUNCTION webhook_internal.acts_on(text) IS 'true if the role that called the function of schema webhook may act for the tenant; null: the platform';

CREATE FUNCTION webhook_internal.is_own_type(event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_is_own_type';
COMMENT ON FUNCTION webhook_internal.is_own_type(text) IS 'true if events of the type, or of the pattern, are the extension''s own';

CREATE FUNCTION webhook_internal.matches(pattern text, event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches';
COMMENT ON FUNCTION webhook_internal.matches(text, text) IS 'true if the pattern includes the event type, or every event type of a second pattern; what begins with webhook. is in none';

CREATE FUNCTION webhook_internal.matches_any(patterns text[], event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches_any';
COMMENT ON FUNCTION webhook_internal.matches_any(text[], text) IS 'true if one of the patterns includes the event type, or every event type of a pattern';
/*
 * The ring
 *
 * Events and commands, as they commit. Backends append rows, the worker reads
 * them by (txid, id) and empties whole tables by truncation; no row is updated
 * or deleted. C code reads these tables by column number: src/base/catalog.h
 * lists their columns in the same order.
 */

CREATE SEQUENCE webhook_internal.event_id_seq;
COMMENT ON SEQUENCE webhook_internal.event_id_seq IS 'numbers the rows of the ring, in their order';

DO $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE format($_$
			CREATE TABLE webhook_internal.event_%1$s (
				id			bigint NOT NULL,
				txid		xid8 NOT NULL,
				created_at	timestamptz NOT NULL,
				event_id	uuid NOT NULL,
				kind		"char" NOT NULL,
				event_type	text,
				subject		text,
				tenant		text COLLATE "C",
				context		json,
				data		json
			) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
			COMMENT ON TABLE webhook_internal.event_%1$s IS 'one of the four ring tables: events and commands, as they commit; see view webhook.event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.id IS 'orders the rows of all ring tables';
			COMMENT ON COLUMN webhook_internal.event_%1$s.txid IS 'top-level transaction that wrote the row';
			COMMENT ON COLUMN webhook_internal.event_%1$s.created_at IS 'when the event occurred, or the command was given';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_id IS 'Id of the event, as sent: a UUIDv7';
			COMMENT ON COLUMN webhook_internal.event_%1$s.kind IS 'e: event; t: event for its tenant alone; p: event for the platform alone; c: subscriptions have changed; for the subscription that data names, x: cancel all its deliveries, k: cancel deliveries of the event, s: skip the first delivery of the subject, r: deliver the event, d: deliveries are due now, n: tell people of its state; z: keep nothing that was sent about the subject';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_type IS 'type of the event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.subject IS 'what the event is about; events of one subject are delivered in order; null: the event is in no order';
			COMMENT ON COLUMN webhook_internal.event_%1$s.tenant IS 'whose the event is; null: the platform''s own';
			COMMENT ON COLUMN webhook_internal.event_%1$s.context IS 'who caused the event: {"traceparent":"...","context":{...}}, each key where there is a value';
			COMMENT ON COLUMN webhook_internal.event_%1$s.data IS 'Data of the event, as sent; of a command, its arguments';

			CREATE INDEX event_%1$s_txid_id_idx ON webhook_internal.event_%1$s (txid, id);
		$_$, n);
	END LOOP;
END
$$;

CREATE VIEW webhook_internal.ring AS
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_0
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_1
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_2
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_3;
COMMENT ON VIEW webhook_internal.ring IS 'events and commands in all ring tables';

CREATE VIEW webhook.event WITH (security_barrier) AS
	SELECT id, event_id, event_type, subject, data, created_at, tenant,
		context ->> 'traceparent' AS traceparent, (context -> 'context')::jsonb AS context
	FROM webhook_internal.ring
	WHERE kind IN ('e', 't', 'p')
		AND ((SELECT webhook_internal.sees_all())
			OR kind <> 'p' AND tenant = (SELECT webhook_internal.my_tenant())
				AND webhook_internal.matches_any((
						SELECT t.events FROM webhook_internal.tenant t
							WHERE t.name = (SELECT webhook_internal.my_tenant())),
					event_type));
COMMENT ON VIEW webhook.event IS 'events that are still in the ring';
COMMENT ON COLUMN webhook.event.id IS 'orders all events';
COMMENT ON COLUMN webhook.event.data IS 'Data of the event, as sent';
COMMENT ON COLUMN webhook.event.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.event.tenant IS 'whose the event is; null: the platform''s own';
COMMENT ON COLUMN webhook.event.traceparent IS 'trace that caused the event, by webhook.traceparent';
COMMENT ON COLUMN webhook.event.context IS 'who or what caused the event, by webhook.context';

CREATE FUNCTION webhook_internal.is_for(kind "char", event_tenant text, tenant text)
	RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN tenant IS NULL THEN kind IN ('e', 'p')
		ELSE kind IN ('e', 't') AND event_tenant = tenant END;
COMMENT ON FUNCTION webhook_internal.is_for("char", text, text) IS 'true if a row of the ring is an event for the subscriptions of the tenant; null: those of the platform';

/*
 * How functions append to the ring
 */

CREATE FUNCTION webhook_internal.new_event_id(created_at timestamptz) RETURNS uuid
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_new_event_id';
COMMENT ON FUNCTION webhook_internal.new_event_id(timestamptz) IS 'a new Id for an event that occurred at that time';

CREATE FUNCTION webhook_internal.command(
	kind "char",
	subscription bigint DEFAULT NULL,
	subject text DEFAULT NULL,
	event uuid DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_command';
COMMENT ON FUNCTION webhook_internal.command("char", bigint, text, uuid) IS 'append a command to the ring';

CREATE FUNCTION webhook_internal.replay(
	subscription bigint,
	cause text,
	id bigint,
	txid xid8,
	event_id uuid,
	created_at timestamptz,
	event_type text,
	subject text,
	data json,
	tenant text,
	context json
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_replay';
COMMENT ON FUNCTION webhook_internal.replay(bigint, text, bigint, xid8, uuid, timestamptz, text, text, json, text, json) IS 'append the command to deliver an event to a subscription';

CREATE FUNCTION webhook_internal.event_context(traceparent text, context jsonb) RETURNS json
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_event_context';
COMMENT ON FUNCTION webhook_internal.event_context(text, jsonb) IS 'who caused an event, as the ring has it; null: it is not known';
/*
 * Checks
 *
 * Functions that the functions of schema webhook call for their arguments. A
 * function checked_x() returns the value as it is stored; require_x() and
 * check_x() return nothing. Each raises an error that names the argument.
 *
 * Calls name the type of each argument where it would not be text, so that
 * none can mean a function of the same name that somebody else has added.
 */

-- Bounds that C has, too: test/t/000_source.pl compares them with src/ring/event.h,
-- src/base/guc.h and src/base/guc.c, test/pgtap/options.sql with pg_settings.
CREATE FUNCTION webhook_internal.bounds(
	OUT event_type_bytes integer,
	OUT subject_bytes integer,
	OUT min_timeout text,
	OUT max_timeout text,
	OUT min_wait text,
	OUT max_wait text,
	OUT schedule_waits integer,
	OUT max_in_flight integer,
	OUT tenant_max_in_flight integer,
	OUT description_bytes integer,
	OUT filter_bytes integer,
	OUT events integer
) RETURNS record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 128 AS event_type_bytes,
		512 AS subject_bytes,
		'1 ms'::text AS min_timeout,
		'5 min'::text AS max_timeout,
		'1 s'::text AS min_wait,
		'30 days'::text AS max_wait,
		100 AS schedule_waits,
		1000 AS max_in_flight,
		10000 AS tenant_max_in_flight,
		-- C has none of these.
		4096 AS description_bytes,
		16384 AS filter_bytes,
		500 AS events
$$;
COMMENT ON FUNCTION webhook_internal.bounds() IS 'bounds of values; most of them are those of C code';

CREATE FUNCTION webhook_internal.clipped(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_clipped';
COMMENT ON FUNCTION webhook_internal.clipped(text) IS 'a value as a message repeats it: only its start if it is long';

CREATE FUNCTION webhook_internal.require_not_null(argument text, is_null boolean, hint text)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF is_null THEN
		RAISE EXCEPTION '% must not be null', argument
			USING ERRCODE = 'null_value_not_allowed',
				COLUMN = argument,
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_not_null(text, boolean, text) IS 'raise the error that the argument is null, if it is';

CREATE FUNCTION webhook_internal.require_list(argument text, dimensions integer)
	RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF dimensions > 1 THEN
		RAISE EXCEPTION '% must be a list, not an array of % dimensions', argument, dimensions
			USING ERRCODE = 'array_subscript_error',
				COLUMN = argument,
				HINT = 'Give the values in one pair of braces.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_list(text, integer) IS 'raise an error about an argument that has more than one dimension';

-- The value itself is no argument here: it may be long, or a credential.
CREATE FUNCTION webhook_internal.require_length(
	argument text,
	bytes integer,
	most integer,
	hint text
) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF bytes > most THEN
		RAISE EXCEPTION '% of % bytes is too long', argument, bytes
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = argument,
				DETAIL = format('The maximum is %s bytes.', most),
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_length(text, integer, integer, text) IS 'raise an error about an argument that is longer than it may be';

CREATE FUNCTION webhook_internal.checked_description(description text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_length('description', octet_length(description),
		(webhook_internal.bounds()).description_bytes,
		'Keep it short; a link can lead to more.');
	RETURN nullif(description, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_description(text) IS 'check a description; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.require_event_type(event_type text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_hold_event_type';
COMMENT ON FUNCTION webhook_internal.require_event_type(text) IS 'raise an error unless the event type exists, and let nobody drop it until the transaction ends';

CREATE FUNCTION webhook_internal.require_event_type_in(event_type text, argument text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_event_type';
COMMENT ON FUNCTION webhook_internal.require_event_type_in(text, text) IS 'raise an error that names the argument, unless the event type exists now';

CREATE FUNCTION webhook_internal.canonical_endpoint(endpoint text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_canonical_endpoint';
COMMENT ON FUNCTION webhook_internal.canonical_endpoint(text) IS 'check an endpoint; returns its canonical form';

CREATE FUNCTION webhook_internal.checked_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_headers';
COMMENT ON FUNCTION webhook_internal.checked_headers(jsonb) IS 'check headers; returns them';

CREATE FUNCTION webhook_internal.checked_secret(secret text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_secret';
COMMENT ON FUNCTION webhook_internal.checked_secret(text) IS 'check a secret; returns it, or a new one for null';

CREATE FUNCTION webhook_internal.checked_filter(filter jsonpath) RETURNS jsonpath
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_filter';
COMMENT ON FUNCTION webhook_internal.checked_filter(jsonpath) IS 'check a filter; returns it, or null if it is true for every event';

CREATE FUNCTION webhook_internal.accepts(filter jsonpath, data json) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_accepts';
COMMENT ON FUNCTION webhook_internal.accepts(jsonpath, json) IS 'true if the filter is true for this Data';

CREATE FUNCTION webhook_internal.check_duplicate(
	endpoint text,
	events text[],
	subscription bigint,
	tenant text
) RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_check_duplicate';
COMMENT ON FUNCTION webhook_internal.check_duplicate(text, text[], bigint, text) IS 'raise an error if another subscription of the tenant sends one of the events to the endpoint';

CREATE FUNCTION webhook_internal.has_name(name text, subscription bigint, tenant text)
	RETURNS boolean
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_has_name';
COMMENT ON FUNCTION webhook_internal.has_name(text, bigint, text) IS 'true if another subscription of the tenant has the name now; null: the platform';

CREATE FUNCTION webhook_internal.require_trusted_table(relation regclass) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_trusted_table';
COMMENT ON FUNCTION webhook_internal.require_trusted_table(regclass) IS 'raise an error if a change of the table would run code of another owner';

CREATE FUNCTION webhook_internal.checked_events(events text[]) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	checked		text[] := '{}';
	event		text;
	wider		text;
BEGIN
	PERFORM webhook_internal.require_not_null('events', events IS NULL,
		'Name at least one event type; see view webhook.event_type.');
	IF cardinality(events) = 0 THEN
		RAISE EXCEPTION 'events must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'events',
				HINT = 'Name at least one event type; see view webhook.event_type.';
	END IF;
	-- The worker has all of them in its memory.
	IF cardinality(events) > bounds.events THEN
		RAISE EXCEPTION 'events of % entries is too long', cardinality(events)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'events',
				DETAIL = format('The maximum is %s entries.', bounds.events),
				HINT = 'Use patterns, for example ''App.*'' for all event types that begin with ''App.''.';
	END IF;
	FOREACH event IN ARRAY events LOOP
		IF event IS NULL THEN
			RAISE EXCEPTION 'events must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'events',
					HINT = 'Name event types only; see view webhook.event_type.';
		END IF;
		IF strpos(event, '*') = 0 THEN
			PERFORM webhook_internal.require_event_type_in(event, 'events');
		ELSIF event COLLATE "C" !~ '^([A-Za-z0-9][A-Za-z0-9_.-]*[.])?[*]$'
			OR octet_length(event) > bounds.event_type_bytes
		THEN
			RAISE EXCEPTION 'invalid event type pattern: "%"', webhook_internal.clipped(event)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'events',
					DETAIL = format('A pattern is "*" or a prefix and ".*", and has at most %s bytes.', bounds.event_type_bytes),
					HINT = 'Use ''*'' for all event types, or for example ''App.*'' for those that begin with ''App.''.';
		ELSIF webhook_internal.is_own_type(event) THEN
			RAISE EXCEPTION 'invalid event type pattern: "%"', webhook_internal.clipped(event)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'events',
					DETAIL = 'No pattern includes event types that begin with "webhook.".',
					HINT = 'Name each of these event types.';
		END IF;
	END LOOP;

	FOREACH event IN ARRAY events LOOP
		SELECT e.name
			INTO wider
			FROM unnest(events) AS e (name)
			WHERE e.name <> event AND webhook_internal.matches(e.name, event)
			ORDER BY length(e.name)
			LIMIT 1;
		IF FOUND THEN
			RAISE NOTICE 'event type "%" is included in "%"', event, wider;
		ELSIF event = ANY (checked) THEN
			RAISE NOTICE 'event type "%" is named twice', event;
		ELSE
			checked := checked || event;
		END IF;
	END LOOP;
	RETURN checked;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_events(text[]) IS 'check event types and patterns; returns them without those that another includes';

-- A pattern names no event type, so it is never refused. The lock keeps the named
-- event types from being dropped before this transaction ends.
CREATE FUNCTION webhook_internal.require_current(events text[], former text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event		text;
	deprecated	boolean;
BEGIN
	FOREACH event IN ARRAY events LOOP
		CONTINUE WHEN strpos(event, '*') > 0;
		SELECT t.deprecated_at IS NOT NULL
			INTO deprecated
			FROM webhook_internal.event_type t
			WHERE t.name = event
			FOR KEY SHARE;
		IF NOT FOUND THEN
			-- It is gone, or was defined after this transaction's snapshot.
			PERFORM webhook_internal.require_event_type_in(event, 'events');
		ELSIF deprecated AND NOT EXISTS (
			SELECT
				FROM unnest(former) AS f (name)
				WHERE webhook_internal.matches(f.name, event))
		THEN
			RAISE EXCEPTION 'event type "%" is deprecated', event
				USING ERRCODE = 'object_not_in_prerequisite_state',
					COLUMN = 'events',
					DETAIL = 'Subscriptions that have it keep it; it cannot be newly subscribed to.',
					HINT = 'Name another event type; the description in view webhook.event_type may say which.';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_current(text[], text[]) IS 'raise an error unless these event types exist, and none is deprecated that the former ones do not include; nobody can drop them until the transaction ends';

CREATE FUNCTION webhook_internal.checked_schemes(signature_schemes text[]) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	scheme		text;
BEGIN
	PERFORM webhook_internal.require_not_null('signature_schemes', signature_schemes IS NULL,
		'Use ''{standard}'' or ''{standard,abp}''.');
	FOREACH scheme IN ARRAY signature_schemes LOOP
		IF scheme IS NULL THEN
			RAISE EXCEPTION 'signature_schemes must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'signature_schemes',
					HINT = 'Use ''{standard}'' or ''{standard,abp}''.';
		END IF;
		IF scheme NOT IN ('standard', 'abp') THEN
			RAISE EXCEPTION 'unrecognized signature scheme: "%"', webhook_internal.clipped(scheme)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'signature_schemes',
					HINT = 'Use ''{standard}'' or ''{standard,abp}''.';
		END IF;
	END LOOP;
	-- Each request has the signature of Standard Webhooks.
	IF 'abp' = ANY (signature_schemes) THEN
		RETURN '{standard,abp}';
	END IF;
	RETURN '{standard}';
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_schemes(text[]) IS 'check signature schemes; returns them in canonical form';

-- The text of a secret is no argument here.
CREATE FUNCTION webhook_internal.check_scheme(is_abp_secret boolean, signature_schemes text[])
	RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF is_abp_secret AND NOT 'abp' = ANY (signature_schemes) THEN
		RAISE EXCEPTION 'a secret that begins with "whs_" needs signature scheme "abp"'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'signature_schemes',
				HINT = 'Use ''{standard,abp}'', or a secret that begins with "whsec_".';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_scheme(boolean, text[]) IS 'raise an error if a secret of ASP.NET Boilerplate is not used for its scheme';

CREATE FUNCTION webhook_internal.checked_format(payload_format text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF payload_format NOT IN ('envelope', 'raw', 'standard') THEN
		RAISE EXCEPTION 'unrecognized payload format: "%"',
				webhook_internal.clipped(payload_format)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'payload_format',
				HINT = 'Use ''envelope'', ''raw'' or ''standard''.';
	END IF;
	RETURN payload_format;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_format(text) IS 'check a payload format; returns it';

CREATE FUNCTION webhook_internal.checked_in_flight(
	max_in_flight integer,
	most integer,
	hint text
) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF max_in_flight NOT BETWEEN 0 AND most THEN
		RAISE EXCEPTION 'max_in_flight must be between 1 and %, not %', most, max_in_flight
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'max_in_flight',
				HINT = hint;
	END IF;
	RETURN nullif(max_in_flight, 0);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_in_flight(integer, integer, text) IS 'check a maximum of requests in flight; returns it, or null for 0';

CREATE FUNCTION webhook_internal.checked_rate(rate_limit real) RETURNS real
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- The minimum is a request in 28 hours; NaN is above the maximum.
	IF rate_limit <> 0 AND rate_limit NOT BETWEEN 0.00001::real AND 10000 THEN
		RAISE EXCEPTION 'rate_limit must be between 0.00001 and 10000 requests a second, not %',
			rate_limit
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'rate_limit',
				HINT = 'Use 0 for no limit.';
	END IF;
	RETURN nullif(rate_limit, 0);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_rate(real) IS 'check a rate limit; returns it, or null for 0';

-- The result has days of 24 hours and no months, so its length does not depend
-- on a date. The argument is named, or is the last word of its description.
CREATE FUNCTION webhook_internal.checked_duration(
	argument text,
	duration interval,
	shortest text,
	longest text,
	hint text
) RETURNS interval
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seconds		numeric := extract(epoch FROM duration);
BEGIN
	IF seconds NOT BETWEEN extract(epoch FROM shortest::interval)
		AND extract(epoch FROM longest::interval)
	THEN
		RAISE EXCEPTION '% must be between % and %, not %', argument, shortest, longest, duration
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = substring(argument FROM '[a-z_]+$'),
				HINT = hint;
	END IF;
	RETURN justify_hours(make_interval(secs => seconds::float8));
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_duration(text, interval, text, text, text) IS 'check a duration; returns it in days of 24 hours';

CREATE FUNCTION webhook_internal.checked_schedule(retry_schedule interval[]) RETURNS interval[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	checked		interval[] := '{}';
	wait		interval;
BEGIN
	IF cardinality(retry_schedule) > bounds.schedule_waits THEN
		RAISE EXCEPTION 'retry_schedule of % waits is too long', cardinality(retry_schedule)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'retry_schedule',
				DETAIL = format('The maximum is %s waits.', bounds.schedule_waits),
				HINT = 'Give fewer waits; later attempts can be made by webhook.recover().';
	END IF;
	FOREACH wait IN ARRAY retry_schedule LOOP
		IF wait IS NULL THEN
			RAISE EXCEPTION 'retry_schedule must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'retry_schedule',
					HINT = 'Give the waits between attempts, for example ''{5 s,5 min,2 h}''.';
		END IF;
		checked := checked || webhook_internal.checked_duration('a wait in retry_schedule', wait,
			bounds.min_wait, bounds.max_wait, 'Use ''{}'' for the default, webhook.retry_schedule.');
	END LOOP;
	RETURN nullif(checked, '{}');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_schedule(interval[]) IS 'check a retry schedule; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.checked_statuses(final_statuses integer[]) RETURNS integer[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	status		integer;
BEGIN
	IF cardinality(final_statuses) > 50 THEN
		RAISE EXCEPTION 'final_statuses of % entries is too long', cardinality(final_statuses)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'final_statuses',
				DETAIL = 'The maximum is 50 entries.',
				HINT = 'Name only statuses that an endpoint uses for what it will never accept.';
	END IF;
	FOREACH status IN ARRAY final_statuses LOOP
		IF status IS NULL THEN
			RAISE EXCEPTION 'final_statuses must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'final_statuses',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
		IF status NOT BETWEEN 300 AND 599 THEN
			RAISE EXCEPTION 'a status in final_statuses must be between 300 and 599, not %', status
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'final_statuses',
					DETAIL = 'A status from 200 to 299 is a success in any case.',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT s.status FROM unnest(final_statuses) AS s (status) ORDER BY 1);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_statuses(integer[]) IS 'check final statuses; returns each once';

CREATE FUNCTION webhook_internal.checked_file(argument text, file text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_length(argument, octet_length(file), 255,
		'Name a file in the directory that webhook.certificate_directory is set to.');
	IF file COLLATE "C" !~ '^[!-.0-~]*$' OR starts_with(file, '.') THEN
		RAISE EXCEPTION '% "%" is not a plain file name', argument, file
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = argument,
				DETAIL = 'A plain file name consists of visible ASCII characters, has no slash, and does not begin with a dot.',
				HINT = 'Name a file in the directory that webhook.certificate_directory is set to.';
	END IF;
	RETURN nullif(file, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_file(text, text) IS 'check a file name; returns it, or null if it is empty';

-- The values are those of setting webhook.log_bodies.
CREATE FUNCTION webhook_internal.checked_log_bodies(log_bodies text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF log_bodies NOT IN ('', 'all', 'failed', 'none') THEN
		RAISE EXCEPTION 'unrecognized value for parameter "log_bodies": "%"',
				webhook_internal.clipped(log_bodies)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'log_bodies',
				HINT = 'Use ''all'', ''failed'', ''none'', or '''' for the default, webhook.log_bodies.';
	END IF;
	RETURN nullif(log_bodies, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_log_bodies(text) IS 'check which bodies the log is to keep; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.check_label(argument text, label text, hint text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF label = '' OR octet_length(label) > 63 THEN
		RAISE EXCEPTION '% must have between 1 and 63 bytes, not %', argument, octet_length(label)
			USING ERRCODE = CASE label WHEN '' THEN 'invalid_parameter_value'
					ELSE 'program_limit_exceeded' END,
				COLUMN = argument,
				HINT = hint;
	END IF;
	-- Nobody could tell it from another one where it is shown.
	IF label COLLATE "C" ~ '^ | $|[[:cntrl:]]' THEN
		RAISE EXCEPTION '% must not begin or end with a blank, nor contain control characters', argument
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = argument,
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_label(text, text, text) IS 'raise an error, with this hint, unless the argument can be the name of something; null can';

CREATE FUNCTION webhook_internal.checked_name(name text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.check_label('name'::text, name,
		'Give a name that the tenant, or the platform, has for no other subscription, for example ''crm''.'::text);
	RETURN name;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_name(text) IS 'check the name of a subscription; returns it';

/*
 * Who and where; what may be shown
 */

CREATE FUNCTION webhook_internal.home() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_this_home';
COMMENT ON FUNCTION webhook_internal.home() IS 'this database: system identifier, database oid, and oid of webhook_internal.checkpoint';

CREATE FUNCTION webhook_internal.redacted_endpoint(endpoint text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_endpoint';
COMMENT ON FUNCTION webhook_internal.redacted_endpoint(text) IS 'an endpoint without the values in its query';

CREATE FUNCTION webhook_internal.redacted_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_headers';
COMMENT ON FUNCTION webhook_internal.redacted_headers(jsonb) IS 'headers without the values of credentials';

CREATE FUNCTION webhook_internal.audit(
	action text,
	subscription bigint,
	event uuid,
	detail jsonb
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_audit';
COMMENT ON FUNCTION webhook_internal.audit(text, bigint, uuid, jsonb) IS 'write a row of the audit, in the name of who has called the present function; its tenant is that of the subscription';

CREATE FUNCTION webhook_internal.audit_of(
	action text,
	subscription bigint,
	event uuid,
	detail jsonb,
	tenant text
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_audit';
COMMENT ON FUNCTION webhook_internal.audit_of(text, bigint, uuid, jsonb, text) IS 'write a row of the audit about something of this tenant; null: of the platform';

-- Both are PL/pgSQL: auto_explain logs the parameters of a function in SQL, and these have
-- credentials.
CREATE FUNCTION webhook_internal.changed_keys(old jsonb, new jsonb) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN array_agg(k.name)
		FROM jsonb_object_keys(coalesce(new, old)) AS k (name)
		WHERE nullif(old -> k.name, 'null') IS DISTINCT FROM nullif(new -> k.name, 'null');
END
$$;
COMMENT ON FUNCTION webhook_internal.changed_keys(jsonb, jsonb) IS 'keys of which two objects have different values; null: none';

CREATE FUNCTION webhook_internal.old_and_new(keys text[], old jsonb, new jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN old IS NULL THEN '{}'
				ELSE jsonb_build_object('old', jsonb_object_agg(k.name, old -> k.name)) END
			|| CASE WHEN new IS NULL THEN '{}'
				ELSE jsonb_build_object('new', jsonb_object_agg(k.name, new -> k.name)) END
		FROM unnest(keys) AS k (name);
END
$$;
COMMENT ON FUNCTION webhook_internal.old_and_new(text[], jsonb, jsonb) IS 'values of these keys as the audit has them: under "old" and "new"';

-- The values are compared as they are, and kept as they may be shown.
CREATE FUNCTION webhook_internal.audit_options(
	action text,
	old webhook_internal.subscription,
	new webhook_internal.subscription
) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
DECLARE
	old_values	jsonb := to_jsonb(old);
	new_values	jsonb := to_jsonb(new);
	changed		text[];
BEGIN
	SELECT array_agg(k.name)
		INTO changed
		FROM unnest(webhook_internal.changed_keys(old_values, new_values)) AS k (name)
		WHERE k.name <> ALL ('{id,created_at,created_by,since,home,challenge,challenged_at}');
	IF changed IS NULL THEN
		RETURN false;
	END IF;
	old_values := old_values || jsonb_build_object(
		'endpoint', webhook_internal.redacted_endpoint(old.endpoint),
		'headers', webhook_internal.redacted_headers(old.headers));
	new_values := new_values || jsonb_build_object(
		'endpoint', webhook_internal.redacted_endpoint(new.endpoint),
		'headers', webhook_internal.redacted_headers(new.headers));
	PERFORM webhook_internal.audit_of(action, coalesce(new.id, old.id), NULL::uuid,
		webhook_internal.old_and_new(changed, old_values, new_values),
		coalesce(new.tenant, old.tenant));
	RETURN true;
END
$$;
COMMENT ON FUNCTION webhook_internal.audit_options(text, webhook_internal.subscription, webhook_internal.subscription) IS 'write a row of the audit with the options that differ, if any do; returns true then';
/*
 * Capture: what becomes an event
 */

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.event_type WITH (security_barrier) AS
	SELECT name, description, schema, example, deprecated_at IS NOT NULL AS deprecated,
			deprecated_at, created_at
		FROM webhook_internal.event_type, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR webhook_internal.matches_any((
					SELECT t.events FROM webhook_internal.tenant t
						WHERE t.name = (SELECT webhook_internal.my_tenant())),
				name);
COMMENT ON VIEW webhook.event_type IS 'event types that can be subscribed to; a tenant sees those that it may get';
COMMENT ON COLUMN webhook.event_type.deprecated IS 'true: new subscriptions may not name the event type; those that do go on';

CREATE FUNCTION webhook_internal.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';
COMMENT ON FUNCTION webhook_internal.enqueue() IS 'trigger function of watched tables: appends events to the ring; see webhook.watch()';

CREATE FUNCTION webhook_internal.watch_arguments(tgargs bytea) RETURNS text[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_watch_arguments';
COMMENT ON FUNCTION webhook_internal.watch_arguments(bytea) IS 'arguments of a trigger that watches, from pg_trigger.tgargs';

CREATE FUNCTION webhook_internal.alter_watch_trigger(
	relation regclass,
	trigger oid,
	arguments text[]
) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_alter_watch_trigger';
COMMENT ON FUNCTION webhook_internal.alter_watch_trigger(regclass, oid, text[]) IS 'replace the arguments of a trigger that watches, and of its copies on partitions';

CREATE FUNCTION webhook_internal.lock_watched(relation regclass) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_lock_watched';
COMMENT ON FUNCTION webhook_internal.lock_watched(regclass) IS 'let nobody else change the watches of a table that the caller owns, until the transaction ends';

CREATE FUNCTION webhook_internal.other_watched(relation regclass, name text) RETURNS regclass
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_other_watched';
COMMENT ON FUNCTION webhook_internal.other_watched(regclass, text) IS 'another table whose watch has that name; locks names of watches until the transaction ends';

CREATE FUNCTION webhook_internal.check_columns(relation regclass, argument text, columns name[])
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	wanted		name;
	generated	"char";
	seen		name[] := '{}';
BEGIN
	PERFORM webhook_internal.require_list(argument, array_ndims(columns));
	FOREACH wanted IN ARRAY coalesce(columns, '{}') LOOP
		IF wanted IS NULL THEN
			RAISE EXCEPTION '% must not contain null', argument
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = argument,
					HINT = format('Name columns of "%s" only.', check_columns.relation);
		END IF;
		SELECT a.attgenerated
			INTO generated
			FROM pg_attribute a
			WHERE a.attrelid = check_columns.relation AND a.attname = wanted
				AND a.attnum > 0 AND NOT a.attisdropped;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'column "%" of relation "%" does not exist',
				wanted, check_columns.relation
				USING ERRCODE = 'undefined_column',
					COLUMN = argument,
					HINT = format('Name a column of the table in %s.', argument);
		END IF;
		IF generated = 'v' THEN
			RAISE EXCEPTION 'cannot watch virtual generated column "%" of relation "%"',
				wanted, check_columns.relation
				USING ERRCODE = 'feature_not_supported',
					COLUMN = argument,
					DETAIL = 'A trigger does not see its value.',
					HINT = format('Name a stored column in %s.', argument);
		END IF;
		IF wanted = ANY (seen) THEN
			RAISE EXCEPTION 'column "%" is named twice in %', wanted, argument
				USING ERRCODE = 'duplicate_column',
					COLUMN = argument,
					HINT = 'Name each column once.';
		END IF;
		seen := seen || wanted;
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_columns(regclass, text, name[]) IS 'raise an error unless these columns can be watched';

-- A tenant is known by its text: of json and xml, values that mean the same differ in it.
CREATE FUNCTION webhook_internal.check_tenant_column(relation regclass, "column" name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	type		oid;
BEGIN
	PERFORM webhook_internal.check_columns(check_tenant_column.relation, 'tenant_column',
		ARRAY[check_tenant_column."column"]);
	SELECT webhook_internal.base_type(a.atttypid)
		INTO type
		FROM pg_attribute a
		WHERE a.attrelid = check_tenant_column.relation AND a.attname = check_tenant_column."column";
	IF type IN ('json'::regtype, 'xml'::regtype) THEN
		RAISE EXCEPTION 'column "%" of type % cannot be the tenant column',
				check_tenant_column."column", format_type(type, NULL)
			USING ERRCODE = 'datatype_mismatch',
				COLUMN = 'tenant_column',
				DETAIL = 'Its text depends on how a value was written, and each text would be another tenant.',
				HINT = 'Name a column of another type, for example text or uuid.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_tenant_column(regclass, name) IS 'raise an error unless the column can say whose a row is';

-- The columns are those of a trigger of the table or the partitioned table; those
-- of the copies on partitions count where they differ.
CREATE VIEW webhook.watched_table WITH (security_barrier) AS
	SELECT t.tgrelid::regclass AS relation,
		w.arguments[1] AS event_type,
		w.arguments[2] AS name,
		w.arguments[3]::name AS status_column,
		w.arguments[7:6 + w.nkeys]::name[] AS id_columns,
		w.arguments[7 + w.nkeys:]::name[] AS data_columns,
		nullif(w.arguments[5], '')::name AS tenant_column,
		w.arguments[4] = 'parent_only' AS parent_only,
		CASE t.tgenabled
			WHEN 'O' THEN 'origin'
			WHEN 'A' THEN 'always'
			WHEN 'R' THEN 'replica'
			ELSE 'disabled' END AS enabled,
		m.missing_columns,
		f.triggers_in_front,
		p.other_partitions,
		i.children,
		CASE
			WHEN t.tgenabled = 'D' THEN 'its trigger is disabled'
			WHEN t.tgenabled = 'R' THEN 'its trigger is enabled in replica mode only'
			WHEN w.arguments[3] = ANY (m.missing_columns)
				OR w.arguments[5] = ANY (m.missing_columns)
				OR w.arguments[7:6 + w.nkeys] && m.missing_columns::text[]
				THEN 'a status, key or tenant column is missing, so there is no event'
			WHEN p.other_partitions <> '{}'
				THEN 'the trigger of some partitions is missing, or enabled in another way'
			WHEN i.children <> '{}' AND w.arguments[4] <> 'parent_only'
				THEN 'changes of its inheritance children are no events'
			WHEN m.missing_columns <> '{}' THEN 'a data column is missing and left out'
			WHEN f.triggers_in_front <> '{}'
				THEN 'a trigger in front of it may change a row before the event of the first change'
		END AS problem
	FROM pg_catalog.pg_trigger t
		CROSS JOIN LATERAL (
			SELECT a.arguments, a.arguments[6]::integer AS nkeys
				FROM webhook_internal.watch_arguments(t.tgargs) AS a (arguments)
				WHERE a.arguments[6] ~ '^[1-9][0-9]{0,4}$'
		) w
		CROSS JOIN LATERAL (
			SELECT ARRAY(
				SELECT c.name
					FROM unnest(w.arguments[3:3] || w.arguments[5:5] || w.arguments[7:])
						WITH ORDINALITY AS c (name, place)
					WHERE c.name <> '' AND NOT EXISTS (
						SELECT
							FROM pg_catalog.pg_attribute a
							WHERE a.attrelid = t.tgrelid AND a.attname = c.name::name
								AND a.attnum > 0 AND NOT a.attisdropped)
					GROUP BY c.name
					ORDER BY min(c.place))::name[] AS missing_columns
		) m
		-- The table and its partitions: pg_partition_tree() would wait for a lock of each.
		CROSS JOIN LATERAL (
			SELECT ARRAY(
				WITH RECURSIVE part AS (
					SELECT t.tgrelid AS relation
					UNION ALL
					SELECT h.inhrelid
						FROM part
							JOIN pg_catalog.pg_class c ON c.oid = part.relation AND c.relkind = 'p'
							JOIN pg_catalog.pg_inherits h ON h.inhparent = part.relation)
				SELECT part.relation FROM part) AS relations
		) tree
		CROSS JOIN LATERAL (
			SELECT ARRAY(
				SELECT DISTINCT o.tgname
					FROM pg_catalog.pg_trigger o
					WHERE o.tgrelid = ANY (tree.relations)
						AND o.tgfoid <> t.tgfoid
						-- AFTER ... FOR EACH ROW, and neither disabled nor deferred to the commit
						AND o.tgtype & 1 = 1 AND o.tgtype & 66 = 0
						AND o.tgenabled <> 'D' AND NOT o.tginitdeferred
						AND o.tgname < t.tgname
					ORDER BY o.tgname) AS triggers_in_front
		) f
		CROSS JOIN LATERAL (
			SELECT ARRAY(
				SELECT r.relation::regclass
					FROM unnest(tree.relations) AS r (relation)
						JOIN pg_catalog.pg_class c ON c.oid = r.relation
					WHERE r.relation <> t.tgrelid AND c.relkind <> 'f'
						AND NOT EXISTS (
							SELECT
								FROM pg_catalog.pg_trigger o
								WHERE o.tgrelid = r.relation AND o.tgfoid = t.tgfoid
									AND o.tgenabled = t.tgenabled
									AND o.tgargs = t.tgargs)
					ORDER BY r.relation) AS other_partitions
		) p
		CROSS JOIN LATERAL (
			SELECT ARRAY(
				SELECT h.inhrelid::regclass
					FROM pg_catalog.pg_inherits h
						JOIN pg_catalog.pg_class c ON c.oid = h.inhparent
					WHERE h.inhparent = t.tgrelid AND c.relkind = 'r'
					ORDER BY h.inhrelid) AS children
		) i
	WHERE t.tgfoid = 'webhook_internal.enqueue()'::regprocedure AND t.tgparentid = 0
		AND ((SELECT webhook_internal.sees_all())
			OR w.arguments[5] <> ''
				AND webhook_internal.matches_any((
						SELECT t.events FROM webhook_internal.tenant t
							WHERE t.name = (SELECT webhook_internal.my_tenant())),
					w.arguments[1]));
COMMENT ON VIEW webhook.watched_table IS 'watches: what webhook.watch() was called for, and what keeps events from being published; a tenant sees those of types that it may get whose rows have a tenant';
COMMENT ON COLUMN webhook.watched_table.relation IS 'the table';
COMMENT ON COLUMN webhook.watched_table.event_type IS 'event type that a change is published as';
COMMENT ON COLUMN webhook.watched_table.name IS 'name that subjects begin with, and, in PascalCase, the first key of Data';
COMMENT ON COLUMN webhook.watched_table.status_column IS 'column whose changes are events';
COMMENT ON COLUMN webhook.watched_table.id_columns IS 'columns that identify a row';
COMMENT ON COLUMN webhook.watched_table.data_columns IS 'columns under Record in Data';
COMMENT ON COLUMN webhook.watched_table.tenant_column IS 'column that says whose a row is; null: all rows are the platform''s own';
COMMENT ON COLUMN webhook.watched_table.parent_only IS 'true if inheritance children are left out on purpose';
COMMENT ON COLUMN webhook.watched_table.enabled IS 'when changes are events: origin (not those of replication, which has session_replication_role = replica), always, replica (only those), or disabled';
COMMENT ON COLUMN webhook.watched_table.missing_columns IS 'columns above that the table does not have any more';
COMMENT ON COLUMN webhook.watched_table.triggers_in_front IS 'AFTER ROW triggers that are called before the watch''s own';
COMMENT ON COLUMN webhook.watched_table.other_partitions IS 'partitions whose trigger is missing, or is enabled in another way than the table''s';
COMMENT ON COLUMN webhook.watched_table.children IS 'inheritance children; their changes are no events';
COMMENT ON COLUMN webhook.watched_table.problem IS 'why events are missing, incomplete or in another order; null: they are not';

CREATE FUNCTION webhook_internal.watch_parts(
	relation regclass,
	event_type text,
	status_column name,
	id_columns name[],
	data_columns name[],
	name text,
	tenant_column name,
	parent_only boolean
) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	other		regclass;
	children	text;
BEGIN
	IF cardinality(watch_parts.id_columns) = 0 THEN
		RAISE EXCEPTION 'id_columns must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'id_columns',
				HINT = 'Name the columns that identify a row, or omit id_columns to use the primary key.';
	END IF;
	PERFORM webhook_internal.check_columns(watch_parts.relation, 'status_column',
		ARRAY[watch_parts.status_column]);
	PERFORM webhook_internal.check_columns(watch_parts.relation, 'id_columns',
		watch_parts.id_columns);
	PERFORM webhook_internal.check_columns(watch_parts.relation, 'data_columns',
		watch_parts.data_columns);
	IF watch_parts.tenant_column <> '' THEN
		PERFORM webhook_internal.check_tenant_column(watch_parts.relation,
			watch_parts.tenant_column);
	END IF;

	IF NOT watch_parts.parent_only THEN
		SELECT string_agg(i.inhrelid::regclass::text, ', ' ORDER BY i.inhrelid)
			INTO children
			FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
			WHERE i.inhparent = watch_parts.relation AND c.relkind = 'r';
		IF children IS NOT NULL THEN
			RAISE EXCEPTION 'cannot watch relation "%" with its inheritance children',
				watch_parts.relation
				USING ERRCODE = 'feature_not_supported',
					COLUMN = 'parent_only',
					DETAIL = format('Changes of rows of these tables would be no events: %s.', children),
					HINT = 'Watch these tables, too, and give parent_only => true here.';
		END IF;
	END IF;

	IF watch_parts.name = '' OR octet_length(watch_parts.name) > 63 THEN
		RAISE EXCEPTION 'name must have between 1 and 63 bytes, not %', octet_length(watch_parts.name)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'name',
				HINT = 'Give a name like that of a table, or omit it to use the table''s.';
	END IF;

	-- Subjects of two tables must differ. Partitions are part of their table.
	other := webhook_internal.other_watched(watch_parts.relation, watch_parts.name);
	IF other IS NOT NULL THEN
		RAISE EXCEPTION 'name "%" is that of watched table "%" already', watch_parts.name, other
			USING ERRCODE = 'duplicate_object',
				COLUMN = 'name',
				DETAIL = 'Events of both tables would have the same subjects, and wait for each other.',
				HINT = format('Give another name, for example name => %L.',
					concat_ws('_', (SELECT n.nspname FROM pg_class c
						JOIN pg_namespace n ON n.oid = c.relnamespace
						WHERE c.oid = watch_parts.relation), watch_parts.name));
	END IF;

	RETURN ARRAY[watch_parts.event_type, watch_parts.name, watch_parts.status_column::text,
			CASE WHEN watch_parts.parent_only THEN 'parent_only' ELSE '' END,
			coalesce(watch_parts.tenant_column::text, ''),
			cardinality(watch_parts.id_columns)::text]
		|| watch_parts.id_columns::text[] || watch_parts.data_columns::text[];
END
$$;
COMMENT ON FUNCTION webhook_internal.watch_parts(regclass, text, name, name[], name[], text, name, boolean) IS 'check what a watch is made of; returns the arguments of its trigger';

CREATE FUNCTION webhook_internal.watch_detail(arguments text[]) RETURNS jsonb
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object('event_type', arguments[1], 'name', arguments[2],
		'status_column', arguments[3], 'parent_only', arguments[4] = 'parent_only',
		'tenant_column', nullif(arguments[5], ''),
		'id_columns', to_jsonb(arguments[7:6 + arguments[6]::integer]),
		'data_columns', to_jsonb(arguments[7 + arguments[6]::integer:]))
$$;
COMMENT ON FUNCTION webhook_internal.watch_detail(text[]) IS 'arguments of a trigger that watches, as the audit has them';

-- Administrators, whose rights the functions of this part run with, may call this one
-- themselves, so it takes no other action.
CREATE FUNCTION webhook_internal.audit_of_watch(action text, detail jsonb) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_audit_of_watch';
COMMENT ON FUNCTION webhook_internal.audit_of_watch(text, jsonb) IS 'write a row of the audit about watch(), alter_watch() or unwatch(), in the name of who calls it';

CREATE FUNCTION webhook_internal.audit_watch(
	action text,
	relation regclass,
	old text[],
	new text[]
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF old IS DISTINCT FROM new THEN
		PERFORM webhook_internal.audit_of_watch(action,
			jsonb_strip_nulls(jsonb_build_object(
				'relation', relation::text,
				'old', webhook_internal.watch_detail(old),
				'new', webhook_internal.watch_detail(new))));
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.audit_watch(text, regclass, text[], text[]) IS 'write a row of the audit with the arguments of a watch, if they differ';

-- Triggers are called in the order of their names: with a blank in front before others, which
-- may change the row again. An identifier has at most 63 bytes.
CREATE FUNCTION webhook_internal.watch_label(event_type text) RETURNS name
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN octet_length(l.label) <= 63 THEN l.label
		ELSE left(l.label, 54) || '_' || left(encode(sha256(convert_to(event_type, 'UTF8')), 'hex'), 8)
		END
		FROM (VALUES (' webhook_' || event_type)) AS l (label)
$$;
COMMENT ON FUNCTION webhook_internal.watch_label(text) IS 'name of a trigger that watches for the event type';

CREATE FUNCTION webhook.watch(
	relation regclass,
	event_type text DEFAULT 'App.BusinessRequestStatusChange',
	status_column name DEFAULT 'status',
	id_columns name[] DEFAULT NULL,
	data_columns name[] DEFAULT '{}',
	name text DEFAULT NULL,
	tenant_column name DEFAULT NULL,
	parent_only boolean DEFAULT false
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	class		record;
	problem		text;
	other		regclass;
	keys		name[] := watch.id_columns;
	arguments	text[];
	front		name[];
BEGIN
	PERFORM webhook_internal.require_not_null('relation', watch.relation IS NULL,
		'Give the name of a table.');
	PERFORM webhook_internal.require_not_null('event_type', watch.event_type IS NULL,
		'Name an event type; see view webhook.event_type.');
	PERFORM webhook_internal.require_not_null('status_column', watch.status_column IS NULL,
		'Give the name of the status column.');
	PERFORM webhook_internal.require_not_null('parent_only', watch.parent_only IS NULL,
		'Use true or false.');
	PERFORM webhook_internal.require_event_type(watch.event_type);
	IF webhook_internal.is_own_type(watch.event_type) THEN
		RAISE EXCEPTION 'event type "%" is reserved', watch.event_type
			USING ERRCODE = 'reserved_name',
				COLUMN = 'event_type',
				DETAIL = 'Events of types that begin with "webhook." are the extension''s own.',
				HINT = 'Watch the table for another event type; see view webhook.event_type.';
	END IF;

	-- Can the relation be watched?
	SELECT c.oid, c.relname, c.relkind, c.relpersistence, n.nspname
		INTO class
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = watch.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation with OID % does not exist', watch.relation::oid
			USING ERRCODE = 'undefined_table',
				COLUMN = 'relation',
				HINT = 'Give the name of a table.';
	END IF;
	problem := CASE
		WHEN class.nspname IN ('pg_catalog', 'information_schema', 'pg_toast')
			THEN 'It is part of the system catalog.'
		WHEN class.nspname IN ('webhook', 'webhook_internal')
			THEN 'It belongs to the extension webhook.'
		WHEN class.relkind = 'v' THEN 'It is a view.'
		WHEN class.relkind = 'm' THEN 'It is a materialized view.'
		WHEN class.relkind = 'f' THEN 'It is a foreign table.'
		WHEN class.relkind IN ('i', 'I') THEN 'It is an index.'
		WHEN class.relkind = 'S' THEN 'It is a sequence.'
		WHEN class.relkind NOT IN ('r', 'p') THEN 'It is not a table.'
		WHEN class.relpersistence = 't' THEN 'It is a temporary table.'
		END;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'cannot watch relation "%"', watch.relation
			USING ERRCODE = 'wrong_object_type',
				COLUMN = 'relation',
				DETAIL = problem,
				HINT = 'Watch an ordinary or a partitioned table.';
	END IF;

	-- Which columns identify a row? By default, those of the primary key.
	IF keys IS NULL THEN
		SELECT array_agg(a.attname ORDER BY k.place)
			INTO keys
			FROM pg_index i,
				unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place),
				pg_attribute a
			WHERE i.indrelid = watch.relation AND i.indisprimary
				AND k.place <= i.indnkeyatts
				AND a.attrelid = i.indrelid AND a.attnum = k.attnum;
		IF keys IS NULL THEN
			RAISE EXCEPTION 'relation "%" has no primary key', watch.relation
				USING ERRCODE = 'invalid_table_definition',
					COLUMN = 'id_columns',
					HINT = 'Add one, or name in id_columns the columns that identify a row.';
		END IF;
	END IF;

	arguments := webhook_internal.watch_parts(watch.relation, watch.event_type, watch.status_column,
		keys, watch.data_columns, coalesce(watch.name, class.relname::text),
		watch.tenant_column, watch.parent_only);

	-- A partition has the triggers of its ancestors, too.
	SELECT t.tgrelid
		INTO other
		FROM pg_trigger t
		WHERE t.tgfoid = 'webhook_internal.enqueue()'::regprocedure
			AND substr(t.tgargs, 1, octet_length(watch.event_type) + 1)
				= convert_to(watch.event_type, 'UTF8') || decode('00', 'hex')
			AND (t.tgrelid = watch.relation
				OR t.tgrelid IN (SELECT relid FROM pg_partition_ancestors(watch.relation))
				OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(watch.relation)))
		ORDER BY t.tgparentid <> 0, t.tgrelid
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'relation "%" is already watched for event type "%"',
			other, watch.event_type
			USING ERRCODE = 'duplicate_object',
				COLUMN = 'event_type',
				HINT = CASE WHEN other = watch.relation
					THEN 'To watch it in another way, call webhook.alter_watch().'
					ELSE format('To watch it in another way, call webhook.unwatch(%L) first.', other) END;
	END IF;

	EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s'
		' FOR EACH ROW EXECUTE FUNCTION webhook_internal.enqueue(%s)',
		webhook_internal.watch_label(watch.event_type), watch.relation,
		(SELECT string_agg(quote_literal(a.argument), ', ' ORDER BY a.place)
			FROM unnest(arguments) WITH ORDINALITY AS a (argument, place)));
	PERFORM webhook_internal.audit_watch('watch'::text, watch.relation, NULL::text[], arguments);

	SELECT w.triggers_in_front
		INTO front
		FROM webhook.watched_table w
		WHERE w.relation = watch.relation AND w.event_type = watch.event_type;
	IF front <> '{}' THEN
		RAISE WARNING 'trigger "%" of relation "%" is called before the one that watches it',
			front[1], watch.relation
			USING DETAIL = 'If it changes a row again, the event of that change comes before the event of the first one.',
				HINT = 'Give it a name that does not begin with a blank or a control character.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook.watch(regclass, text, name, name[], name[], text, name, boolean) IS 'publish an event for each change of the status column of a table';

CREATE FUNCTION webhook_internal.watch_trigger(relation regclass, event_type text) RETURNS oid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_oid	oid;
	parent		regclass;
BEGIN
	SELECT t.oid
		INTO found_oid
		FROM pg_trigger t
		WHERE t.tgrelid = watch_trigger.relation AND t.tgparentid = 0
			AND t.tgfoid = 'webhook_internal.enqueue()'::regprocedure
			AND (watch_trigger.event_type IS NULL
				OR (webhook_internal.watch_arguments(t.tgargs))[1] = watch_trigger.event_type)
		LIMIT 1;
	IF FOUND THEN
		RETURN found_oid;
	END IF;

	-- Is it a partition, watched by the trigger of an ancestor?
	SELECT p.tgrelid
		INTO parent
		FROM pg_trigger p
		WHERE p.tgfoid = 'webhook_internal.enqueue()'::regprocedure AND p.tgparentid = 0
			AND (watch_trigger.event_type IS NULL
				OR (webhook_internal.watch_arguments(p.tgargs))[1] = watch_trigger.event_type)
			AND p.tgrelid IN (SELECT relid FROM pg_partition_ancestors(watch_trigger.relation))
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'relation "%" is not watched by itself', watch_trigger.relation
			USING ERRCODE = 'undefined_object',
				COLUMN = 'relation',
				DETAIL = format('It is a partition of the watched table "%s".', parent),
				HINT = format('Give the table "%s".', parent);
	END IF;
	IF EXISTS (
		SELECT
			FROM pg_trigger t
			WHERE t.tgrelid = watch_trigger.relation
				AND t.tgfoid = 'webhook_internal.enqueue()'::regprocedure)
	THEN
		RAISE EXCEPTION 'relation "%" is not watched for event type "%"',
			watch_trigger.relation, webhook_internal.clipped(watch_trigger.event_type)
			USING ERRCODE = 'undefined_object',
				COLUMN = 'event_type',
				HINT = 'See view webhook.watched_table.';
	END IF;
	RAISE EXCEPTION 'relation "%" is not watched', watch_trigger.relation
		USING ERRCODE = 'undefined_object',
			COLUMN = 'relation',
			HINT = 'Give a table that webhook.watch() was called for; see view webhook.watched_table.';
END
$$;
COMMENT ON FUNCTION webhook_internal.watch_trigger(regclass, text) IS 'trigger that watches a table for an event type, any one for null; raises an error if there is none';

CREATE FUNCTION webhook.unwatch(relation regclass, event_type text DEFAULT NULL) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	label		name;
	arguments	text[];
BEGIN
	PERFORM webhook_internal.require_not_null('relation', unwatch.relation IS NULL,
		'Give the name of a watched table.');
	PERFORM webhook_internal.watch_trigger(unwatch.relation, unwatch.event_type);
	FOR label, arguments IN
		SELECT t.tgname, webhook_internal.watch_arguments(t.tgargs)
			FROM pg_trigger t
			WHERE t.tgrelid = unwatch.relation AND t.tgparentid = 0
				AND t.tgfoid = 'webhook_internal.enqueue()'::regprocedure
				AND (unwatch.event_type IS NULL
					OR (webhook_internal.watch_arguments(t.tgargs))[1] = unwatch.event_type)
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', label, unwatch.relation);
		PERFORM webhook_internal.audit_watch('unwatch'::text, unwatch.relation, arguments,
			NULL::text[]);
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook.unwatch(regclass, text) IS 'stop publishing events for changes of a table, of one event type or of all';

CREATE FUNCTION webhook.alter_watch(
	relation regclass,
	event_type text DEFAULT 'App.BusinessRequestStatusChange',
	status_column name DEFAULT NULL,
	id_columns name[] DEFAULT NULL,
	data_columns name[] DEFAULT NULL,
	name text DEFAULT NULL,
	tenant_column name DEFAULT NULL,
	parent_only boolean DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	found_oid	oid;
	old_arguments text[];
	arguments	text[];
	nkeys		integer;
BEGIN
	PERFORM webhook_internal.require_not_null('relation', alter_watch.relation IS NULL,
		'Give the name of a watched table.');
	PERFORM webhook_internal.require_not_null('event_type', alter_watch.event_type IS NULL,
		'Name the event type of the watch; see view webhook.watched_table.');
	PERFORM webhook_internal.lock_watched(alter_watch.relation);
	found_oid := webhook_internal.watch_trigger(alter_watch.relation, alter_watch.event_type);
	SELECT webhook_internal.watch_arguments(t.tgargs)
		INTO arguments
		FROM pg_trigger t
		WHERE t.oid = found_oid;
	old_arguments := arguments;
	nkeys := arguments[6];
	arguments := webhook_internal.watch_parts(alter_watch.relation, alter_watch.event_type,
		coalesce(alter_watch.status_column, arguments[3]::name),
		coalesce(alter_watch.id_columns, arguments[7:6 + nkeys]::name[]),
		coalesce(alter_watch.data_columns, arguments[7 + nkeys:]::name[]),
		coalesce(alter_watch.name, arguments[2]),
		coalesce(alter_watch.tenant_column, arguments[5]::name),
		coalesce(alter_watch.parent_only, arguments[4] = 'parent_only'));
	PERFORM webhook_internal.alter_watch_trigger(alter_watch.relation, found_oid, arguments);
	PERFORM webhook_internal.audit_watch('alter_watch'::text, alter_watch.relation, old_arguments,
		arguments);
END
$$;
COMMENT ON FUNCTION webhook.alter_watch(regclass, text, name, name[], name[], text, name, boolean) IS 'change what a watch publishes; null keeps a value, an empty tenant_column is none, and the trigger stays enabled as it is';

CREATE FUNCTION webhook.publish(
	event_type text,
	data json,
	subject text DEFAULT NULL,
	tenant text DEFAULT NULL
) RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_publish';
COMMENT ON FUNCTION webhook.publish(text, json, text, text) IS 'publish an event of a tenant, or of the platform itself; returns its Id';
/*
 * Event types: what is told of them
 *
 * A schema and an example describe Data. Nothing is checked against them when an
 * event is published: a schema that is slightly wrong must not stop an event.
 */

-- The words are those of src/functions/publish.c.
CREATE FUNCTION webhook_internal.raise_unknown_event_type(event_type text, argument text)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'event type "%" does not exist', webhook_internal.clipped(event_type)
		USING ERRCODE = 'undefined_object',
			COLUMN = argument,
			HINT = 'See view webhook.event_type, or define it with webhook.define_event_type().';
END
$$;
COMMENT ON FUNCTION webhook_internal.raise_unknown_event_type(text, text) IS 'raise the error that the event type does not exist';

-- The one place that says which event types the functions here show to whom.
CREATE FUNCTION webhook_internal.visible_event_types() RETURNS SETOF webhook.event_type
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.*
		FROM webhook.event_type t
		WHERE webhook_internal.caller_sees_all()
			OR webhook_internal.matches_any((
					SELECT o.events FROM webhook_internal.tenant o
						WHERE o.name = webhook_internal.caller_tenant()),
				t.name)
$$;
COMMENT ON FUNCTION webhook_internal.visible_event_types() IS 'event types that the caller of the function of schema webhook may see';

CREATE FUNCTION webhook_internal.require_definable_name(name text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_not_null('name', name IS NULL,
		'Give the name of the event type, for example ''App.ContractSigned''.');
	IF webhook_internal.is_own_type(name) THEN
		RAISE EXCEPTION 'event type name "%" is reserved', webhook_internal.clipped(name)
			USING ERRCODE = 'reserved_name',
				COLUMN = 'name',
				DETAIL = 'The prefix "webhook." is reserved.',
				HINT = 'Choose another name.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_definable_name(text) IS 'raise an error if people may not define or alter event types of this name';

-- JSON null stands for none. The maximum depth keeps functions that walk through
-- a value off the limit of the stack.
CREATE FUNCTION webhook_internal.checked_json(argument text, value jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	max_bytes	constant integer := 65536;
BEGIN
	IF octet_length(value::text) > max_bytes THEN
		RAISE EXCEPTION '% of % bytes is too large', argument, octet_length(value::text)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = argument,
				DETAIL = format('The maximum is %s bytes.', max_bytes),
				HINT = 'Leave out what receivers need not know.';
	END IF;
	IF value @? 'strict $.**{64} ? (@.type() == "object" || @.type() == "array")' THEN
		RAISE EXCEPTION '% is nested too deeply', argument
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = argument,
				DETAIL = 'The maximum is 64 levels of objects and arrays.',
				HINT = 'Leave out what receivers need not know.';
	END IF;
	RETURN nullif(value, 'null');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_json(text, jsonb) IS 'check the size of a schema or an example; returns it, or null for JSON null';

CREATE FUNCTION webhook_internal.checked_schema(schema jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	schema := webhook_internal.checked_json('schema', schema);
	IF jsonb_typeof(schema) NOT IN ('object', 'boolean') THEN
		RAISE EXCEPTION 'schema must be a JSON object or a boolean, not %',
			CASE jsonb_typeof(schema) WHEN 'array' THEN 'an array' ELSE 'a ' || jsonb_typeof(schema) END
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'schema',
				HINT = 'Give a JSON Schema (draft 2020-12), for example ''{"type": "object", "required": ["Invoice"]}'', or ''null'' for none.';
	END IF;
	RETURN schema;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_schema(jsonb) IS 'check a JSON Schema; returns it, or null for JSON null';

CREATE FUNCTION webhook_internal.warn_of_example(event_type text, schema jsonb, example jsonb)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	missing		text;
BEGIN
	IF jsonb_typeof(schema -> 'required') <> 'array' OR jsonb_typeof(example) <> 'object' THEN
		RETURN;
	END IF;
	SELECT string_agg(format('"%s"', r.name #>> '{}'), ', ' ORDER BY r.place)
		INTO missing
		FROM jsonb_array_elements(schema -> 'required') WITH ORDINALITY AS r (name, place)
		WHERE jsonb_typeof(r.name) = 'string' AND NOT example ? (r.name #>> '{}');
	IF missing IS NOT NULL THEN
		RAISE WARNING 'example of event type "%" lacks keys that its schema requires', event_type
			USING DETAIL = format('It lacks %s.', missing),
				HINT = 'Call webhook.alter_event_type() with an example that has them, or a schema that does not require them.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.warn_of_example(text, jsonb, jsonb) IS 'warn if an example lacks keys that the schema requires';

CREATE FUNCTION webhook.define_event_type(
	name text,
	description text DEFAULT NULL,
	schema jsonb DEFAULT NULL,
	example jsonb DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.define_event_type(text, text, jsonb, jsonb) IS 'define an event type, with a JSON Schema and an example of its Data; every role that may subscribe can subscribe to it';

CREATE FUNCTION webhook_internal.define_event_type(
	name text,
	description text,
	schema jsonb,
	example jsonb
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	max_bytes	integer := (webhook_internal.bounds()).event_type_bytes;
	new_description text := webhook_internal.checked_description(define_event_type.description);
	new_schema	jsonb := webhook_internal.checked_schema(define_event_type.schema);
	new_example	jsonb := webhook_internal.checked_json('example', define_event_type.example);
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.event_type'::regclass);
	PERFORM webhook_internal.require_definable_name(define_event_type.name);
	IF octet_length(define_event_type.name) > max_bytes THEN
		RAISE EXCEPTION 'event type name of % bytes is too long',
			octet_length(define_event_type.name)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'name',
				DETAIL = format('The maximum is %s bytes.', max_bytes),
				HINT = 'Give a shorter name.';
	END IF;
	IF define_event_type.name COLLATE "C" !~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$' THEN
		RAISE EXCEPTION 'invalid event type name: "%"', define_event_type.name
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'name',
				HINT = 'Use ASCII letters, digits, "_", "." and "-", with a letter or a digit first, for example ''App.ContractSigned''.';
	END IF;

	-- The table's trigger lets a row replace one that CREATE EXTENSION has made.
	INSERT INTO webhook_internal.event_type (name, description, schema, example)
		SELECT define_event_type.name, new_description, new_schema, new_example
			WHERE NOT EXISTS (
				SELECT
					FROM webhook_internal.event_type t
					WHERE t.name = define_event_type.name)
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'event type "%" already exists', define_event_type.name
			USING ERRCODE = 'duplicate_object',
				COLUMN = 'name',
				HINT = 'Use the existing event type, change it with webhook.alter_event_type(), or choose another name.';
	END IF;
	PERFORM webhook_internal.audit('define_event_type'::text, NULL::bigint, NULL::uuid, jsonb_build_object('new',
		jsonb_build_object('name', define_event_type.name,
			'description', define_event_type.description)
		|| jsonb_strip_nulls(jsonb_build_object('schema', new_schema, 'example', new_example))));
	PERFORM webhook_internal.warn_of_example(define_event_type.name, new_schema, new_example);
END
$$;
COMMENT ON FUNCTION webhook_internal.define_event_type(text, text, jsonb, jsonb) IS 'what webhook.define_event_type() does, with the rights of the owner';

CREATE FUNCTION webhook.alter_event_type(
	name text,
	description text DEFAULT NULL,
	schema jsonb DEFAULT NULL,
	example jsonb DEFAULT NULL,
	deprecated boolean DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.alter_event_type(text, text, jsonb, jsonb, boolean) IS 'change what is told of an event type; null keeps a value, JSON null and an empty description mean none; a deprecated event type is delivered to subscriptions that have it, and new ones may not name it';

CREATE FUNCTION webhook_internal.alter_event_type(
	name text,
	description text,
	schema jsonb,
	example jsonb,
	deprecated boolean
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.event_type;
	new			webhook_internal.event_type;
	old_values	jsonb;
	new_values	jsonb;
	changed		text[];
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.event_type'::regclass);
	PERFORM webhook_internal.require_definable_name(alter_event_type.name);
	SELECT t.* INTO old FROM webhook_internal.event_type t
		WHERE t.name = alter_event_type.name
		FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_event_type(alter_event_type.name, 'name');
	END IF;

	new := old;
	IF alter_event_type.description IS NOT NULL THEN
		new.description := webhook_internal.checked_description(alter_event_type.description);
	END IF;
	IF alter_event_type.schema IS NOT NULL THEN
		new.schema := webhook_internal.checked_schema(alter_event_type.schema);
	END IF;
	IF alter_event_type.example IS NOT NULL THEN
		new.example := webhook_internal.checked_json('example', alter_event_type.example);
	END IF;
	IF alter_event_type.deprecated IS NOT NULL THEN
		new.deprecated_at := CASE WHEN alter_event_type.deprecated
			THEN coalesce(old.deprecated_at, clock_timestamp()) END;
	END IF;

	old_values := jsonb_build_object('description', old.description, 'schema', old.schema,
		'example', old.example, 'deprecated', old.deprecated_at IS NOT NULL);
	new_values := jsonb_build_object('description', new.description, 'schema', new.schema,
		'example', new.example, 'deprecated', new.deprecated_at IS NOT NULL);
	changed := webhook_internal.changed_keys(old_values, new_values);
	IF changed IS NOT NULL THEN
		UPDATE webhook_internal.event_type t
			SET description = new.description,
				schema = new.schema,
				example = new.example,
				deprecated_at = new.deprecated_at
			WHERE t.name = alter_event_type.name;
		PERFORM webhook_internal.audit('alter_event_type'::text, NULL::bigint, NULL::uuid,
			jsonb_build_object('name', alter_event_type.name)
				|| webhook_internal.old_and_new(changed, old_values, new_values));
	END IF;
	IF alter_event_type.schema IS NOT NULL OR alter_event_type.example IS NOT NULL THEN
		PERFORM webhook_internal.warn_of_example(alter_event_type.name, new.schema, new.example);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.alter_event_type(text, text, jsonb, jsonb, boolean) IS 'what webhook.alter_event_type() does, with the rights of the owner';

CREATE FUNCTION webhook.drop_event_type(name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.drop_event_type(text) IS 'drop an event type that no subscription and no tenant names and no table is watched for; what waits of it is delivered';

CREATE FUNCTION webhook_internal.drop_event_type(name text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.event_type;
	named		record;			-- who names it
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.event_type'::regclass);
	PERFORM webhook_internal.require_definable_name(drop_event_type.name);
	-- Who subscribes to it and has not committed yet makes nobody wait.
	BEGIN
		SELECT t.* INTO old FROM webhook_internal.event_type t
			WHERE t.name = drop_event_type.name
			FOR UPDATE NOWAIT;
	EXCEPTION WHEN lock_not_available THEN
		RAISE EXCEPTION 'event type "%" is being used by another transaction', drop_event_type.name
			USING ERRCODE = 'lock_not_available',
				COLUMN = 'name',
				HINT = 'Try again when it has ended; it subscribes to the event type, watches a table for it, or changes it.';
	END;
	IF old.name IS NULL THEN
		PERFORM webhook_internal.raise_unknown_event_type(drop_event_type.name, 'name');
	END IF;
	SELECT u.*
		INTO named
		FROM (VALUES
			(1, 'cannot drop event type "%s" because subscriptions name it', 'These do: %s.',
				'Call webhook.alter_subscription() or webhook.unsubscribe() first, or mark the event type as deprecated.', (
				SELECT string_agg(s.id::text, ', ' ORDER BY s.id)
					FROM webhook_internal.subscription s
					WHERE drop_event_type.name = ANY (s.events))),
			(2, 'cannot drop event type "%s" because tables are watched for it', 'These are: %s.',
				'Call webhook.unwatch() first, or mark the event type as deprecated.', (
				SELECT string_agg(w.relation::text, ', ' ORDER BY w.relation)
					FROM webhook.watched_table w
					WHERE w.event_type = drop_event_type.name)),
			(3, 'cannot drop event type "%s" because tenants may get it by name', 'These may: %s.',
				'Call webhook.define_tenant() with other events first, or mark the event type as deprecated.', (
				SELECT string_agg(to_json(o.name)::text, ', ' ORDER BY o.name)
					FROM webhook_internal.tenant o
					WHERE drop_event_type.name = ANY (o.events)))
			) AS u (number, message, detail, hint, users)
		WHERE u.users IS NOT NULL
		ORDER BY u.number
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION USING
			ERRCODE = 'dependent_objects_still_exist',
			COLUMN = 'name',
			MESSAGE = format(named.message, drop_event_type.name),
			DETAIL = format(named.detail, named.users),
			HINT = named.hint;
	END IF;

	DELETE FROM webhook_internal.event_type t WHERE t.name = drop_event_type.name;
	PERFORM webhook_internal.audit('drop_event_type'::text, NULL::bigint, NULL::uuid,
		jsonb_build_object('old', jsonb_strip_nulls(jsonb_build_object('name', old.name,
			'description', old.description, 'schema', old.schema, 'example', old.example))));
END
$$;
COMMENT ON FUNCTION webhook_internal.drop_event_type(text) IS 'what webhook.drop_event_type() does, with the rights of the owner';
/*
 * Tenants: whose subscriptions and rows
 *
 * A tenant has roles, which see its own rows and administer its own subscriptions
 * within its caps. All else is the platform's, whose readers, operators and
 * administrators see all.
 */

CREATE FUNCTION webhook_internal.lock_tenant(tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_lock_tenant';
COMMENT ON FUNCTION webhook_internal.lock_tenant(text) IS 'let nobody else make, move or end subscriptions of the tenant until the transaction ends; null: the platform';

CREATE FUNCTION webhook_internal.count_subscriptions(tenant text) RETURNS bigint
	LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_count_subscriptions';
COMMENT ON FUNCTION webhook_internal.count_subscriptions(text) IS 'number of subscriptions that the tenant has now';

CREATE FUNCTION webhook_internal.count_challenges(tenant text) RETURNS bigint
	LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_count_challenges';
COMMENT ON FUNCTION webhook_internal.count_challenges(text) IS 'number of challenges that were made for endpoints of the tenant within the last hour';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.tenant WITH (security_barrier) AS
	SELECT name, events, max_subscriptions, max_in_flight, rate_limit, channel, created_at
		FROM webhook_internal.tenant, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all()) OR name = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.tenant IS 'tenants and their caps; a tenant sees itself';

CREATE FUNCTION webhook.my_tenant() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_my_tenant';
COMMENT ON FUNCTION webhook.my_tenant() IS 'tenant that the current user acts for; null: none, or all';

CREATE FUNCTION webhook.notify_channel() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.notify_channel() IS 'channel on which state changes are told to the caller: webhook, of a tenant its own; null: none';

CREATE FUNCTION webhook_internal.notify_channel() RETURNS name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN webhook_internal.caller_sees_all() THEN 'webhook'
		ELSE (SELECT t.channel::name FROM webhook_internal.tenant t
			WHERE t.name = webhook_internal.caller_tenant()) END
$$;
COMMENT ON FUNCTION webhook_internal.notify_channel() IS 'what webhook.notify_channel() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.check_tenant_name(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_not_null('tenant', tenant IS NULL,
		'Give the name of the tenant, as its events have it.');
	PERFORM webhook_internal.check_label('tenant'::text, tenant,
		'Give the name of the tenant, as its events have it.'::text);
END
$$;
COMMENT ON FUNCTION webhook_internal.check_tenant_name(text) IS 'raise an error unless a tenant can have this name';

-- For a tenant, another one is unknown.
CREATE FUNCTION webhook_internal.require_tenant(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT webhook_internal.acts_on(tenant)
		OR NOT EXISTS (SELECT FROM webhook_internal.tenant t WHERE t.name = require_tenant.tenant)
	THEN
		RAISE EXCEPTION 'tenant "%" does not exist', webhook_internal.clipped(tenant)
			USING ERRCODE = 'undefined_object',
				COLUMN = 'tenant',
				HINT = 'See view webhook.tenant; an administrator defines tenants with webhook.define_tenant().';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_tenant(text) IS 'raise an error unless the tenant exists and the caller may act for it';

CREATE FUNCTION webhook_internal.tenant_to_be(tenant text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own			text := webhook_internal.caller_tenant();
BEGIN
	IF own IS NULL AND NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'role "%" acts for no tenant', webhook_internal.caller()
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'The owner of the extension grants a role what it may do, by webhook.grant_admin() or webhook.grant_tenant().';
	END IF;
	IF own IS NOT NULL OR tenant IS NOT NULL THEN
		PERFORM webhook_internal.require_tenant(coalesce(tenant, own));
	END IF;
	RETURN coalesce(tenant, own);
END
$$;
COMMENT ON FUNCTION webhook_internal.tenant_to_be(text) IS 'tenant of a subscription that is made now with this argument; null: the platform';

-- A tenant that is not defined gets nothing.
CREATE FUNCTION webhook_internal.may_get(tenant text, event_type text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT may_get.tenant IS NULL OR EXISTS (
		SELECT
			FROM webhook_internal.tenant t, unnest(t.events) AS a (pattern)
			WHERE t.name = may_get.tenant
				AND webhook_internal.matches(a.pattern, may_get.event_type))
$$;
COMMENT ON FUNCTION webhook_internal.may_get(text, text) IS 'true if the tenant may get the event type now; null: the platform, which gets all';

-- What a tenant may not get is unknown to it, whether it exists or not.
CREATE FUNCTION webhook_internal.check_tenant_events(
	tenant text,
	events text[],
	former text[]
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event		text;
BEGIN
	IF tenant IS NULL THEN
		RETURN;
	END IF;
	FOREACH event IN ARRAY coalesce(events, '{}') LOOP
		-- A pattern takes what the tenant may get of it when an event is matched.
		CONTINUE WHEN strpos(event, '*') > 0 OR event = ANY (former);
		IF NOT webhook_internal.may_get(tenant, event) THEN
			IF webhook_internal.caller_sees_all() THEN
				RAISE EXCEPTION 'tenant "%" may not get event type "%"', tenant,
						webhook_internal.clipped(event)
					USING ERRCODE = 'invalid_parameter_value',
						COLUMN = 'events',
						HINT = 'See view webhook.tenant; webhook.define_tenant() says what a tenant may get.';
			END IF;
			PERFORM webhook_internal.raise_unknown_event_type(event, 'events');
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_tenant_events(text, text[], text[]) IS 'raise an error if the tenant may not get an event type that is named here, and that is not one of the former ones';

-- The lock of the tenant is held for a new subscription.
CREATE FUNCTION webhook_internal.check_caps(
	old webhook_internal.subscription,
	new webhook_internal.subscription
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cap			webhook_internal.tenant;
BEGIN
	SELECT t.* INTO cap FROM webhook_internal.tenant t WHERE t.name = new.tenant;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF old.id IS NULL
		AND webhook_internal.count_subscriptions(new.tenant) >= cap.max_subscriptions
	THEN
		RAISE EXCEPTION 'tenant "%" may have no more subscriptions', new.tenant
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'tenant',
				DETAIL = format('It has %s, and the maximum is %s.',
					webhook_internal.count_subscriptions(new.tenant), cap.max_subscriptions),
				HINT = 'End one with webhook.unsubscribe(); an administrator raises the maximum with webhook.define_tenant().';
	END IF;
	IF new.max_in_flight > cap.max_in_flight
		AND new.max_in_flight IS DISTINCT FROM old.max_in_flight
	THEN
		RAISE EXCEPTION 'max_in_flight must be at most % for tenant "%", not %', cap.max_in_flight,
				new.tenant, new.max_in_flight
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'max_in_flight',
				HINT = 'Give less, or 0 for the default; an administrator raises the maximum with webhook.define_tenant().';
	END IF;
	IF new.rate_limit > cap.rate_limit AND new.rate_limit IS DISTINCT FROM old.rate_limit THEN
		RAISE EXCEPTION 'rate_limit must be at most % for tenant "%", not %', cap.rate_limit,
				new.tenant, new.rate_limit
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'rate_limit',
				HINT = 'Give less, or 0 for the tenant''s own limit; an administrator raises the maximum with webhook.define_tenant().';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_caps(webhook_internal.subscription, webhook_internal.subscription) IS 'raise an error if the tenant of a subscription may not have it, or have it changed, like this';

-- The lock of the tenant is held. A new endpoint may be a stranger's, and gets three requests.
CREATE FUNCTION webhook_internal.check_challenges(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	most		constant integer := 10;
BEGIN
	IF NOT webhook_internal.caller_sees_all()
		AND webhook_internal.count_challenges(tenant) >= most
	THEN
		RAISE EXCEPTION 'tenant "%" has set too many endpoints within an hour', tenant
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'endpoint',
				DETAIL = format('The maximum is %s.', most),
				HINT = 'Wait until an hour has passed since the first of them, or ask an administrator to set the endpoint.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_challenges(text) IS 'raise an error if a tenant has set too many endpoints that were not confirmed';

CREATE FUNCTION webhook_internal.refuse_files(ca text, client_certificate text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	argument	text := CASE WHEN ca IS NOT NULL THEN 'ca'
					WHEN client_certificate IS NOT NULL THEN 'client_certificate' END;
BEGIN
	IF argument IS NOT NULL AND NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION '% is set by administrators', argument
			USING ERRCODE = 'insufficient_privilege',
				COLUMN = argument,
				HINT = format('Omit %s.', argument);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.refuse_files(text, text) IS 'raise an error if a tenant gives one of these arguments';

-- What has not committed yet is not counted, so a tenant may have more than its caps. The worker
-- keeps to those of requests all the same.
CREATE FUNCTION webhook_internal.tenant_has(
	tenant text,
	OUT subscriptions integer,
	OUT max_in_flight integer,
	OUT rate_limit real
)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*), max(s.max_in_flight), max(s.rate_limit)
		FROM webhook_internal.subscription s
		WHERE s.tenant = tenant_has.tenant
$$;
COMMENT ON FUNCTION webhook_internal.tenant_has(text) IS 'how many subscriptions a tenant has, and the highest limits of one';

CREATE FUNCTION webhook.define_tenant(
	tenant text,
	events text[] DEFAULT NULL,
	max_subscriptions integer DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.define_tenant(text, text[], integer, integer, real) IS 'define a tenant, which event types it may get, and the caps of all its subscriptions together; call it again to change them: null keeps a value, and a max_in_flight or rate_limit of 0 is none';

CREATE FUNCTION webhook_internal.define_tenant(
	tenant text,
	events text[],
	max_subscriptions integer,
	max_in_flight integer,
	rate_limit real
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.tenant;
	new			webhook_internal.tenant;
	present		record;
	is_new		boolean;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant'::regclass);
	PERFORM webhook_internal.check_tenant_name(define_tenant.tenant);
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to define tenants'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may.';
	END IF;
	-- Of two that define a tenant at once, one waits here for what the other has given.
	INSERT INTO webhook_internal.tenant (name, events, max_subscriptions, channel, created_at)
		VALUES (define_tenant.tenant, '{*}', 20,
			'webhook_' || replace(gen_random_uuid()::text, '-', ''), clock_timestamp())
		ON CONFLICT DO NOTHING;
	is_new := FOUND;
	SELECT t.* INTO old FROM webhook_internal.tenant t
		WHERE t.name = define_tenant.tenant
		FOR UPDATE;
	new := old;
	IF define_tenant.events IS NOT NULL THEN
		new.events := webhook_internal.checked_events(define_tenant.events);
		PERFORM webhook_internal.require_current(new.events, new.events);
	END IF;
	IF define_tenant.max_subscriptions < 0 THEN
		RAISE EXCEPTION 'max_subscriptions must not be negative, but is %',
				define_tenant.max_subscriptions
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'max_subscriptions',
				HINT = 'Use 0 to let the tenant have no subscription.';
	END IF;
	new.max_subscriptions := coalesce(define_tenant.max_subscriptions, new.max_subscriptions);
	IF define_tenant.max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(define_tenant.max_in_flight,
			(webhook_internal.bounds()).tenant_max_in_flight,
			'Use 0 for no limit of the tenant''s own.');
	END IF;
	IF define_tenant.rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(define_tenant.rate_limit);
	END IF;

	IF new IS NOT DISTINCT FROM old AND NOT is_new THEN
		RETURN;
	END IF;
	SELECT h.* INTO present FROM webhook_internal.tenant_has(new.name) h;
	IF new.max_subscriptions <> old.max_subscriptions
		AND present.subscriptions > new.max_subscriptions
	THEN
		RAISE EXCEPTION 'tenant "%" has % subscriptions', new.name, present.subscriptions
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'max_subscriptions',
				HINT = 'Give at least as many, or end some with webhook.unsubscribe().';
	END IF;
	IF new.max_in_flight IS DISTINCT FROM old.max_in_flight
		AND present.max_in_flight > new.max_in_flight
	THEN
		RAISE EXCEPTION 'a subscription of tenant "%" has a max_in_flight of %', new.name,
				present.max_in_flight
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'max_in_flight',
				HINT = 'Give at least as much, or change it with webhook.alter_subscription().';
	END IF;
	IF new.rate_limit IS DISTINCT FROM old.rate_limit AND present.rate_limit > new.rate_limit THEN
		RAISE EXCEPTION 'a subscription of tenant "%" has a rate_limit of %', new.name,
				present.rate_limit
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'rate_limit',
				HINT = 'Give at least as much, or change it with webhook.alter_subscription().';
	END IF;

	UPDATE webhook_internal.tenant AS t
		SET events = new.events, max_subscriptions = new.max_subscriptions,
			max_in_flight = new.max_in_flight, rate_limit = new.rate_limit
		WHERE t.name = new.name;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.audit_of('define_tenant'::text, NULL::bigint, NULL::uuid,
		jsonb_strip_nulls(jsonb_build_object(
			'old', CASE WHEN NOT is_new THEN to_jsonb(old) - 'channel' - 'created_at' END))
		|| jsonb_build_object('new', to_jsonb(new) - 'channel' - 'created_at'), new.name);
END
$$;
COMMENT ON FUNCTION webhook_internal.define_tenant(text, text[], integer, integer, real) IS 'what webhook.define_tenant() does, with the rights of the owner';
/*
 * Tokens: people of a tenant without an account of the database
 *
 * A program that knows its people asks for a token and gives it to one of them. The portal
 * exchanges it once: its session acts for the tenant from then on. Roles that may do that
 * have no tenant of their own, see webhook.grant_portal(), and without a token they see
 * nothing. The token itself is kept nowhere. A dump has no tokens: in a copy of the
 * database they open nothing.
 */

CREATE FUNCTION webhook_internal.random_token() RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_random_token';
COMMENT ON FUNCTION webhook_internal.random_token() IS '256 random bits in base64url';

CREATE FUNCTION webhook_internal.act_by(hash bytea) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_act_by';
COMMENT ON FUNCTION webhook_internal.act_by(bytea) IS 'let the caller act, in this session, by the token that has this hash';

CREATE FUNCTION webhook_internal.acts_by_token() RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_acts_by_token';
COMMENT ON FUNCTION webhook_internal.acts_by_token() IS 'true if this session has a token, whatever became of it';

CREATE FUNCTION webhook.may_write() RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_may_write';
COMMENT ON FUNCTION webhook.may_write() IS 'false if the current user acts by a token that only reads';

CREATE FUNCTION webhook_internal.require_all_tenants() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to make or revoke tokens'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_all_tenants() IS 'raise an error unless the caller sees the platform and all tenants';

CREATE FUNCTION webhook.portal_token(
	tenant text,
	valid interval DEFAULT '15 min',
	may_write boolean DEFAULT true
) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.portal_token(text, interval, boolean) IS 'a new token, which webhook.act_as() takes once, until it expires; whoever has it sees and does what the tenant may, or only sees it';

CREATE FUNCTION webhook_internal.portal_token(tenant text, valid interval, may_write boolean)
	RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	token		text := webhook_internal.random_token();
	made_at		timestamptz := clock_timestamp();
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_all_tenants();
	PERFORM webhook_internal.check_tenant_name(portal_token.tenant);
	PERFORM webhook_internal.require_tenant(portal_token.tenant);
	PERFORM webhook_internal.require_not_null('valid', portal_token.valid IS NULL,
		'Omit it for 15 minutes.');
	IF portal_token.valid NOT BETWEEN '1 s' AND '1 day' THEN
		RAISE EXCEPTION 'valid must be between 1 second and 1 day, not %', portal_token.valid
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'valid',
				HINT = 'Give the time within which the token is exchanged, or omit it for 15 minutes.';
	END IF;
	PERFORM webhook_internal.require_not_null('may_write', portal_token.may_write IS NULL,
		'Give false for a token that only reads.');

	-- Another caller may be deleting the same rows.
	DELETE FROM webhook_internal.portal_token
		WHERE hash IN (
			SELECT hash
				FROM webhook_internal.portal_token
				WHERE coalesce(session_until, expires_at) < made_at - interval '1 day'
				FOR UPDATE SKIP LOCKED);
	INSERT INTO webhook_internal.portal_token (hash, tenant, may_write, created_at, created_by,
			expires_at)
		VALUES (sha256(convert_to(token, 'UTF8')), portal_token.tenant, portal_token.may_write,
			made_at, webhook_internal.caller(), made_at + portal_token.valid);
	PERFORM webhook_internal.audit_of('portal_token'::text, NULL::bigint, NULL::uuid,
		jsonb_build_object('tenant', portal_token.tenant, 'may_write', portal_token.may_write,
			'expires_at', made_at + portal_token.valid), portal_token.tenant);
	RETURN token;
END
$$;
COMMENT ON FUNCTION webhook_internal.portal_token(text, interval, boolean) IS 'what webhook.portal_token() does, with the rights of the owner';

CREATE FUNCTION webhook.act_as(token text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.act_as(text) IS 'let the current role act for the tenant of the token, in this session, for 12 hours at most; RESET ALL and DISCARD ALL end it';

CREATE FUNCTION webhook_internal.act_as(token text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	token_hash	bytea := sha256(convert_to(act_as.token, 'UTF8'));
	opened_at	timestamptz := clock_timestamp();
	t			webhook_internal.portal_token;
	problem		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_not_null('token', act_as.token IS NULL,
		'Give the result of webhook.portal_token().');
	IF act_as.token !~ '^[-A-Za-z0-9_]{43}$' THEN
		RAISE EXCEPTION 'the token is malformed'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'token',
				HINT = 'Give the result of webhook.portal_token(), all of it.';
	END IF;
	IF webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'role "%" sees all tenants and cannot act for one', webhook_internal.caller()
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Call it as a role of webhook.grant_portal().';
	END IF;
	IF webhook_internal.acts_by_token() THEN
		RAISE EXCEPTION 'this session acts for a tenant already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Use another session, or RESET ALL or DISCARD ALL before.';
	END IF;

	UPDATE webhook_internal.portal_token p
		SET exchanged_at = opened_at,
			role = (SELECT r.oid FROM pg_roles r WHERE r.rolname = webhook_internal.caller()),
			session_until = opened_at + interval '12 hours'
		WHERE p.hash = token_hash AND p.exchanged_at IS NULL AND p.revoked_at IS NULL
			AND p.expires_at > clock_timestamp()
		RETURNING p.* INTO t;
	IF NOT FOUND THEN
		SELECT CASE WHEN p.revoked_at IS NOT NULL THEN 'the token was revoked'
					WHEN p.exchanged_at IS NOT NULL THEN 'the token was used already'
					ELSE 'the token has expired' END
			INTO problem
			FROM webhook_internal.portal_token p
			WHERE p.hash = token_hash;
		RAISE EXCEPTION '%', coalesce(problem, 'the token is unknown')
			USING ERRCODE = 'invalid_authorization_specification',
				COLUMN = 'token',
				HINT = 'Get a new one with webhook.portal_token().';
	END IF;
	PERFORM webhook_internal.act_by(token_hash);
	PERFORM webhook_internal.audit_of('act_as'::text, NULL::bigint, NULL::uuid,
		jsonb_build_object('tenant', t.tenant, 'may_write', t.may_write,
			'created_at', t.created_at, 'created_by', t.created_by), t.tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.act_as(text) IS 'what webhook.act_as() does, with the rights of the owner';

CREATE FUNCTION webhook.revoke_portal_tokens(tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.revoke_portal_tokens(text) IS 'end all tokens of a tenant, and all sessions that were opened with one: their next statement fails';

CREATE FUNCTION webhook_internal.revoke_portal_tokens(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ended		record;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_all_tenants();
	PERFORM webhook_internal.check_tenant_name(revoke_portal_tokens.tenant);
	PERFORM webhook_internal.require_tenant(revoke_portal_tokens.tenant);
	WITH revoked AS (
		UPDATE webhook_internal.portal_token p
			SET revoked_at = clock_timestamp()
			WHERE p.tenant = revoke_portal_tokens.tenant AND p.revoked_at IS NULL
				AND coalesce(p.session_until, p.expires_at) > clock_timestamp()
			RETURNING p.session_until
	)
	SELECT count(*) FILTER (WHERE r.session_until IS NULL) AS tokens,
			count(r.session_until) AS sessions
		INTO ended
		FROM revoked r;
	IF ended.tokens + ended.sessions > 0 THEN
		PERFORM webhook_internal.audit_of('revoke_portal_tokens'::text, NULL::bigint, NULL::uuid,
			jsonb_build_object('tenant', revoke_portal_tokens.tenant, 'tokens', ended.tokens,
				'sessions', ended.sessions), revoke_portal_tokens.tenant);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.revoke_portal_tokens(text) IS 'what webhook.revoke_portal_tokens() does, with the rights of the owner';
/*
 * Subscriptions: who wants which events
 *
 * The functions that write a table run with the rights of the owner, so each calls
 * require_trusted_table() before it writes. Those of schema webhook are doors, see
 * src/functions/door.c; the functions of the same names in webhook_internal do the work.
 * Where an argument may be a credential, plans are generic: a custom plan contains the
 * values of its parameters, and the server may print it.
 *
 * A change of a subscription is a command in the ring: 'c', subscriptions have
 * changed, and if it names one, that subscription starts afresh; 'x', cancel
 * all deliveries of the subscription; 'n', tell people of its state.
 */

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.subscription WITH (security_barrier) AS
	SELECT id, tenant, webhook_internal.redacted_endpoint(endpoint) AS endpoint, events,
		description,
		webhook_internal.redacted_headers(headers) AS headers, signature_schemes, filter,
		payload_format, ordered, max_in_flight, rate_limit, timeout, retry_schedule, max_age,
		final_statuses, ca, client_certificate, include_context, log_bodies, name, enabled,
		paused, created_at, created_by
	FROM webhook_internal.subscription, (VALUES (0)) AS read_only
	WHERE (SELECT webhook_internal.sees_all()) OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.subscription IS 'subscriptions, credentials redacted; webhook.subscription_options() shows them in full';
COMMENT ON COLUMN webhook.subscription.endpoint IS 'URL that events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.subscription.headers IS 'headers that are added to each request, values of credentials redacted';

CREATE FUNCTION webhook_internal.start_snapshot() RETURNS pg_snapshot
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_start_snapshot';
COMMENT ON FUNCTION webhook_internal.start_snapshot() IS 'a new start snapshot: it sees what has committed by now, but not the transaction''s own changes';

-- Transaction ids of another cluster mean nothing here: see none of them.
CREATE FUNCTION webhook_internal.local_start_snapshot(home text, since pg_snapshot)
	RETURNS pg_snapshot
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN split_part(home, '/', 1) = split_part(webhook_internal.home(), '/', 1) THEN since
		ELSE '3:3:' END
$$;
COMMENT ON FUNCTION webhook_internal.local_start_snapshot(text, pg_snapshot) IS 'the start snapshot of a subscription with this home, as it applies in this cluster';

CREATE FUNCTION webhook_internal.raise_unknown_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_not_null('subscription', subscription IS NULL,
		'Give the id of a subscription; see view webhook.subscription.');
	RAISE EXCEPTION 'subscription % does not exist', subscription
		USING ERRCODE = 'undefined_object',
			COLUMN = 'subscription',
			HINT = 'See view webhook.subscription.';
END
$$;
COMMENT ON FUNCTION webhook_internal.raise_unknown_subscription(bigint) IS 'raise the error that the subscription does not exist';

-- Disabled by people, or by the worker since it was last enabled.
CREATE FUNCTION webhook_internal.disabled(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state
) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN NOT s.enabled OR t.disabled_at IS NOT NULL
		AND (t.disabled_start_snapshot IS NULL
			OR t.disabled_start_snapshot::text = s.since::text);
COMMENT ON FUNCTION webhook_internal.disabled(webhook_internal.subscription, webhook_internal.subscription_state) IS 'true if a subscription is disabled, by people or by the worker';

-- What the worker knows of a former challenge does not count.
CREATE FUNCTION webhook_internal.unconfirmed(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state
) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN s.challenge IS NOT NULL
		AND (t.confirmed_at IS NULL OR t.confirmation IS DISTINCT FROM s.confirmation);
COMMENT ON FUNCTION webhook_internal.unconfirmed(webhook_internal.subscription, webhook_internal.subscription_state) IS 'true if the endpoint of a subscription has to answer a challenge, and has not';

CREATE FUNCTION webhook_internal.is_unconfirmed(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_unconfirmed.subscription AND webhook_internal.unconfirmed(s, t))
$$;
COMMENT ON FUNCTION webhook_internal.is_unconfirmed(bigint) IS 'true if the endpoint of the subscription has to answer a challenge, and has not';

CREATE FUNCTION webhook_internal.with_challenge(base webhook_internal.subscription)
	RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new			webhook_internal.subscription := base;
BEGIN
	new.confirmation := NULL;
	new.challenge := NULL;
	new.challenged_at := NULL;
	IF new.tenant IS NOT NULL OR current_setting('webhook.confirm_endpoints', true) = 'on' THEN
		PERFORM webhook_internal.check_challenges(new.tenant);
		new.challenged_at := clock_timestamp();
		new.confirmation := webhook_internal.new_event_id(new.challenged_at);
		new.challenge := replace(concat(gen_random_uuid(), gen_random_uuid()), '-', '');
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.with_challenge(webhook_internal.subscription) IS 'the subscription with a new challenge for its endpoint, if the endpoint has to be confirmed';

CREATE FUNCTION webhook_internal.is_disabled(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_disabled.subscription AND webhook_internal.disabled(s, t))
$$;
COMMENT ON FUNCTION webhook_internal.is_disabled(bigint) IS 'true if the subscription is disabled, by people or by the worker';

CREATE FUNCTION webhook_internal.has_open_breaker(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription_state t
			WHERE t.subscription_id = has_open_breaker.subscription AND t.breaker <> 'closed')
$$;
COMMENT ON FUNCTION webhook_internal.has_open_breaker(bigint) IS 'true if the circuit breaker of the subscription is not closed';

CREATE FUNCTION webhook_internal.require_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		boolean;
	owned_by	text;
BEGIN
	SELECT true, s.tenant
		INTO known, owned_by
		FROM webhook_internal.subscription s
		WHERE s.id = require_subscription.subscription;
	-- Both cases cost the same.
	IF NOT webhook_internal.acts_on(owned_by) OR known IS NULL THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_subscription(bigint) IS 'raise an error unless the subscription exists and the caller may act for its tenant';

CREATE FUNCTION webhook_internal.require_enabled(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF webhook_internal.is_disabled(subscription) THEN
		RAISE EXCEPTION 'subscription % is disabled', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				HINT = format('Enable it with webhook.alter_subscription(%s, enabled => true).',
					subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_enabled(bigint) IS 'raise an error unless the subscription exists and is enabled';

CREATE FUNCTION webhook_internal.require_unfenced(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	IF EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = require_unfenced.subscription AND s.home <> webhook_internal.home())
	THEN
		RAISE EXCEPTION 'subscription % is fenced', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				DETAIL = 'This database is a copy of the one that the subscription was made in.',
				HINT = 'Call webhook.resume_database() to let this database send.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_unfenced(bigint) IS 'raise an error unless the subscription exists, is enabled and may send from here';

-- The worker tells people, by NOTIFY and the server's log, once this is committed.
CREATE FUNCTION webhook_internal.tell(subscription bigint, altered boolean)
	RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.command('n'::"char", subscription,
		CASE WHEN altered THEN 'changed' END, NULL::uuid)
$$;
COMMENT ON FUNCTION webhook_internal.tell(bigint, boolean) IS 'append the command to tell people of a subscription''s state, or that it was altered';

-- What webhook.subscribe() and webhook.alter_subscription() have in common.
CREATE FUNCTION webhook_internal.with_options(
	base webhook_internal.subscription,
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	ca text,
	client_certificate text,
	include_context boolean,
	log_bodies text
) RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	new			webhook_internal.subscription := base;
BEGIN
	IF filter IS NOT NULL THEN
		PERFORM webhook_internal.require_length('filter', octet_length(filter::text),
			bounds.filter_bytes, 'Let the receiver leave out what a shorter one lets through.');
		new.filter := webhook_internal.checked_filter(filter);
	END IF;
	IF payload_format IS NOT NULL THEN
		new.payload_format := webhook_internal.checked_format(payload_format);
	END IF;
	IF ordered IS NOT NULL THEN
		new.ordered := ordered;
	END IF;
	IF max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(max_in_flight,
			bounds.max_in_flight, 'Use 0 for the default, webhook.max_in_flight_per_subscription.');
	END IF;
	IF rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(rate_limit);
	END IF;
	IF timeout IS NOT NULL THEN
		new.timeout := webhook_internal.checked_duration('timeout', nullif(timeout, '0'),
			bounds.min_timeout, bounds.max_timeout, 'Use ''0'' for the default, webhook.timeout.');
	END IF;
	IF retry_schedule IS NOT NULL THEN
		new.retry_schedule := webhook_internal.checked_schedule(retry_schedule);
	END IF;
	IF max_age IS NOT NULL THEN
		new.max_age := webhook_internal.checked_duration('max_age', nullif(max_age, '0'),
			'1 min', '1 year', 'Use ''0'' for the default, seven days.');
	END IF;
	IF final_statuses IS NOT NULL THEN
		new.final_statuses := webhook_internal.checked_statuses(final_statuses);
	END IF;
	IF ca IS NOT NULL THEN
		new.ca := webhook_internal.checked_file('ca', ca);
	END IF;
	IF client_certificate IS NOT NULL THEN
		new.client_certificate := webhook_internal.checked_file('client_certificate', client_certificate);
	END IF;
	IF include_context IS NOT NULL THEN
		new.include_context := include_context;
	END IF;
	IF log_bodies IS NOT NULL THEN
		new.log_bodies := webhook_internal.checked_log_bodies(log_bodies);
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.with_options(webhook_internal.subscription, jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text) IS 'the subscription with those options that are not null, checked';

CREATE FUNCTION webhook_internal.has_abp_secret(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription_secret x
			WHERE x.subscription_id = has_abp_secret.subscription AND starts_with(x.secret, 'whs_')
				AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
$$;
COMMENT ON FUNCTION webhook_internal.has_abp_secret(bigint) IS 'true if the requests of the subscription are signed with a secret of ASP.NET Boilerplate';

-- What webhook.alter_subscription() and webhook.subscribe() with a name have in common.
CREATE FUNCTION webhook_internal.store_options(
	action text,
	old webhook_internal.subscription,
	changed webhook_internal.subscription,
	enabled boolean
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription := changed;
	altered		boolean := changed OPERATOR(pg_catalog.*<>) old;
	was_disabled boolean := webhook_internal.is_disabled(old.id);
	fresh		boolean;
BEGIN
	-- A new start snapshot also ends that the worker has disabled it.
	IF store_options.enabled AND was_disabled THEN
		new.since := webhook_internal.start_snapshot();
	END IF;
	-- Enabling what is enabled closes an open breaker.
	fresh := coalesce(store_options.enabled, false);
	new.enabled := coalesce(store_options.enabled, old.enabled);

	UPDATE webhook_internal.subscription s
		SET endpoint = new.endpoint,
			events = new.events,
			description = new.description,
			headers = new.headers,
			signature_schemes = new.signature_schemes,
			filter = new.filter,
			payload_format = new.payload_format,
			ordered = new.ordered,
			max_in_flight = new.max_in_flight,
			rate_limit = new.rate_limit,
			timeout = new.timeout,
			retry_schedule = new.retry_schedule,
			max_age = new.max_age,
			final_statuses = new.final_statuses,
			ca = new.ca,
			client_certificate = new.client_certificate,
			include_context = new.include_context,
			log_bodies = new.log_bodies,
			name = new.name,
			enabled = new.enabled,
			since = new.since,
			confirmation = new.confirmation,
			challenge = new.challenge,
			challenged_at = new.challenged_at
		WHERE s.id = new.id;
	IF old.enabled AND NOT new.enabled THEN
		PERFORM webhook_internal.command('x'::"char", new.id, NULL::text, NULL::uuid);
	ELSE
		-- The health of the former endpoint does not apply to another one.
		fresh := fresh OR new.endpoint <> old.endpoint OR new.ca IS DISTINCT FROM old.ca
			OR new.client_certificate IS DISTINCT FROM old.client_certificate;
		PERFORM webhook_internal.command('c'::"char", CASE WHEN fresh THEN new.id END, NULL::text,
			NULL::uuid);
	END IF;
	IF altered THEN
		PERFORM webhook_internal.tell(new.id, true);
	END IF;
	IF was_disabled IS DISTINCT FROM (NOT store_options.enabled)
		AND store_options.enabled IS NOT NULL
	THEN
		PERFORM webhook_internal.tell(new.id, false);
	END IF;

	-- Disabled by the worker is disabled; and to close a breaker is an act, too.
	IF store_options.enabled IS NOT NULL THEN
		old.enabled := NOT was_disabled;
	END IF;
	IF NOT webhook_internal.audit_options(action, old, new)
		AND store_options.enabled AND webhook_internal.has_open_breaker(new.id)
	THEN
		PERFORM webhook_internal.audit(action, new.id, NULL::uuid,
			'{"new": {"enabled": true}}'::jsonb);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.store_options(text, webhook_internal.subscription, webhook_internal.subscription, boolean) IS 'change a subscription whose row is locked, tell the worker and people, and write the row of the audit';

-- Set a subscription that has a name to what webhook.subscribe() was given. What a tenant
-- may not give stays as the platform has set it.
CREATE FUNCTION webhook_internal.replace_subscription(
	old webhook_internal.subscription,
	given webhook_internal.subscription,
	secret text
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription := given;
	newest		text;
BEGIN
	new.enabled := old.enabled;
	new.paused := old.paused;
	new.created_at := old.created_at;
	new.created_by := old.created_by;
	new.since := old.since;
	new.home := old.home;
	new.confirmation := old.confirmation;
	new.challenge := old.challenge;
	new.challenged_at := old.challenged_at;
	IF NOT webhook_internal.caller_sees_all() THEN
		new.ca := old.ca;
		new.client_certificate := old.client_certificate;
	END IF;
	IF new.endpoint <> old.endpoint THEN
		new := webhook_internal.with_challenge(new);
	END IF;
	IF new OPERATOR(pg_catalog.*<>) old THEN
		PERFORM webhook_internal.store_options('subscribe'::text, old, new, NULL::boolean);
	END IF;

	IF secret IS NULL THEN
		RETURN;
	END IF;
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = old.id
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF newest IS DISTINCT FROM replace_subscription.secret THEN
		DELETE FROM webhook_internal.subscription_secret x WHERE x.subscription_id = old.id;
		INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
			VALUES (old.id, replace_subscription.secret);
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(old.id, true);
		PERFORM webhook_internal.audit('subscribe'::text, old.id, NULL::uuid,
			'{"new": {"secret": "***"}}'::jsonb);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.replace_subscription(webhook_internal.subscription, webhook_internal.subscription, text) IS 'set a subscription, whose row is locked, to what webhook.subscribe() was given under its name';

CREATE FUNCTION webhook.subscribe(
	endpoint text,
	events text[],
	description text DEFAULT NULL,
	secret text DEFAULT NULL,
	headers jsonb DEFAULT '{}',
	signature_schemes text[] DEFAULT '{standard}',
	filter jsonpath DEFAULT NULL,
	payload_format text DEFAULT 'envelope',
	ordered boolean DEFAULT true,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL,
	timeout interval DEFAULT NULL,
	retry_schedule interval[] DEFAULT NULL,
	max_age interval DEFAULT NULL,
	final_statuses integer[] DEFAULT '{}',
	ca text DEFAULT NULL,
	client_certificate text DEFAULT NULL,
	include_context boolean DEFAULT false,
	tenant text DEFAULT NULL,
	log_bodies text DEFAULT NULL,
	name text DEFAULT NULL
) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.subscribe(text, text[], text, text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text, text, text) IS 'send events of these types to the endpoint from now on; returns the id of the subscription; if there is one of this name, it is set to what is given and else to the defaults, but keeps its secret, its start, and whether it is paused or disabled';

CREATE FUNCTION webhook_internal.subscribe(
	endpoint text,
	events text[],
	description text,
	secret text,
	headers jsonb,
	signature_schemes text[],
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	ca text,
	client_certificate text,
	include_context boolean,
	tenant text,
	log_bodies text,
	name text
) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;		-- of this name
	new			webhook_internal.subscription;
	key			text;
	is_abp		boolean;
BEGIN
	PERFORM webhook_internal.require_not_null('payload_format', subscribe.payload_format IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('ordered', subscribe.ordered IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('final_statuses', subscribe.final_statuses IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('include_context', subscribe.include_context IS NULL,
		'Omit it for the default.');
	new.tenant := webhook_internal.tenant_to_be(subscribe.tenant);
	PERFORM webhook_internal.refuse_files(subscribe.ca, subscribe.client_certificate);
	new.name := webhook_internal.checked_name(subscribe.name);
	PERFORM webhook_internal.lock_tenant(new.tenant);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	IF new.name IS NOT NULL THEN
		SELECT s.* INTO old FROM webhook_internal.subscription s
			WHERE s.name = new.name AND s.tenant IS NOT DISTINCT FROM new.tenant
			FOR UPDATE;
		IF NOT FOUND AND webhook_internal.has_name(new.name, NULL::bigint, new.tenant) THEN
			RAISE EXCEPTION 'another transaction has made subscription "%"', new.name
				USING ERRCODE = 'serialization_failure',
					COLUMN = 'name',
					DETAIL = 'The snapshot of this transaction is older.',
					HINT = 'Try the transaction again.';
		END IF;
	END IF;
	new.id := old.id;

	new.endpoint := webhook_internal.canonical_endpoint(subscribe.endpoint);
	PERFORM webhook_internal.check_tenant_events(new.tenant, subscribe.events, old.events);
	new.events := webhook_internal.checked_events(subscribe.events);
	new.description := webhook_internal.checked_description(subscribe.description);
	key := webhook_internal.checked_secret(subscribe.secret);
	new.headers := webhook_internal.checked_headers(subscribe.headers);
	new.signature_schemes := webhook_internal.checked_schemes(subscribe.signature_schemes);
	new := webhook_internal.with_options(new, subscribe.filter, subscribe.payload_format,
		subscribe.ordered, subscribe.max_in_flight, subscribe.rate_limit, subscribe.timeout,
		subscribe.retry_schedule, subscribe.max_age, subscribe.final_statuses, subscribe.ca,
		subscribe.client_certificate, subscribe.include_context, subscribe.log_bodies);

	PERFORM webhook_internal.require_current(new.events, coalesce(old.events, '{}'));
	is_abp := CASE WHEN old.id IS NULL OR subscribe.secret IS NOT NULL THEN starts_with(key, 'whs_')
		ELSE webhook_internal.has_abp_secret(old.id) END;
	PERFORM webhook_internal.check_scheme(is_abp, new.signature_schemes);
	PERFORM webhook_internal.check_caps(old, new);
	PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, old.id, new.tenant);
	IF old.id IS NOT NULL THEN
		PERFORM webhook_internal.replace_subscription(old, new, subscribe.secret);
		RETURN old.id;
	END IF;

	new := webhook_internal.with_challenge(new);
	INSERT INTO webhook_internal.subscription (tenant, endpoint, events, description, headers,
			signature_schemes, filter, payload_format, ordered, max_in_flight, rate_limit,
			timeout, retry_schedule, max_age, final_statuses, ca, client_certificate,
			include_context, log_bodies, name, created_by, since, home, confirmation, challenge,
			challenged_at)
		VALUES (new.tenant, new.endpoint, new.events, new.description, new.headers,
			new.signature_schemes, new.filter, new.payload_format, new.ordered,
			new.max_in_flight, new.rate_limit, new.timeout, new.retry_schedule, new.max_age,
			new.final_statuses, new.ca, new.client_certificate, new.include_context,
			new.log_bodies, new.name, webhook_internal.caller(), webhook_internal.start_snapshot(),
			webhook_internal.home(), new.confirmation, new.challenge, new.challenged_at)
		RETURNING id INTO new.id;
	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (new.id, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(new.id, false);
	PERFORM webhook_internal.audit_options('subscribe'::text,
		NULL::webhook_internal.subscription, new);
	RETURN new.id;
END
$$;
COMMENT ON FUNCTION webhook_internal.subscribe(text, text[], text, text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text, text, text) IS 'what webhook.subscribe() does, with the rights of the owner';

CREATE FUNCTION webhook.check_endpoint(endpoint text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.check_endpoint(text) IS 'raise the error that webhook.subscribe() would raise because of the endpoint, if there is one';

CREATE FUNCTION webhook_internal.check_endpoint(endpoint text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
	PERFORM webhook_internal.canonical_endpoint(check_endpoint.endpoint);
END
$$;
COMMENT ON FUNCTION webhook_internal.check_endpoint(text) IS 'what webhook.check_endpoint() does, with the rights of the owner';

CREATE FUNCTION webhook.alter_subscription(
	subscription bigint,
	endpoint text DEFAULT NULL,
	events text[] DEFAULT NULL,
	description text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	signature_schemes text[] DEFAULT NULL,
	filter jsonpath DEFAULT NULL,
	payload_format text DEFAULT NULL,
	ordered boolean DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL,
	timeout interval DEFAULT NULL,
	retry_schedule interval[] DEFAULT NULL,
	max_age interval DEFAULT NULL,
	final_statuses integer[] DEFAULT NULL,
	enabled boolean DEFAULT NULL,
	ca text DEFAULT NULL,
	client_certificate text DEFAULT NULL,
	include_context boolean DEFAULT NULL,
	log_bodies text DEFAULT NULL,
	name text DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.alter_subscription(bigint, text, text[], text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], boolean, text, text, boolean, text, text) IS 'change a subscription; null keeps a value; filter true, 0, and an empty description or schedule restore the default; enabling it starts from now on';

CREATE FUNCTION webhook_internal.alter_subscription(
	subscription bigint,
	endpoint text,
	events text[],
	description text,
	headers jsonb,
	signature_schemes text[],
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	enabled boolean,
	ca text,
	client_certificate text,
	include_context boolean,
	log_bodies text,
	name text
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
	new			webhook_internal.subscription;
	rerouted	boolean := alter_subscription.endpoint IS NOT NULL
					OR alter_subscription.events IS NOT NULL;
BEGIN
	PERFORM webhook_internal.require_subscription(alter_subscription.subscription);
	PERFORM webhook_internal.refuse_files(alter_subscription.ca,
		alter_subscription.client_certificate);
	-- The tenant is locked before any row; otherwise two calls could deadlock.
	IF rerouted OR alter_subscription.name <> '' THEN
		PERFORM webhook_internal.lock_tenant(s.tenant)
			FROM webhook_internal.subscription s
			WHERE s.id = alter_subscription.subscription;
	END IF;
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	SELECT s.* INTO old FROM webhook_internal.subscription s
		WHERE s.id = alter_subscription.subscription
		FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(alter_subscription.subscription);
	END IF;

	new := old;
	IF alter_subscription.endpoint IS NOT NULL THEN
		new.endpoint := webhook_internal.canonical_endpoint(alter_subscription.endpoint);
	END IF;
	IF alter_subscription.events IS NOT NULL THEN
		PERFORM webhook_internal.check_tenant_events(new.tenant, alter_subscription.events,
			old.events);
		new.events := webhook_internal.checked_events(alter_subscription.events);
		PERFORM webhook_internal.require_current(new.events, old.events);
	END IF;
	IF rerouted THEN
		PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, new.id, new.tenant);
	END IF;
	-- The same endpoint is asked again if it has not answered yet.
	IF alter_subscription.endpoint IS NOT NULL
		AND (new.endpoint <> old.endpoint OR webhook_internal.is_unconfirmed(old.id))
	THEN
		new := webhook_internal.with_challenge(new);
	END IF;
	IF alter_subscription.description IS NOT NULL THEN
		new.description := webhook_internal.checked_description(alter_subscription.description);
	END IF;
	IF alter_subscription.headers IS NOT NULL THEN
		new.headers := webhook_internal.checked_headers(alter_subscription.headers);
	END IF;
	IF alter_subscription.signature_schemes IS NOT NULL THEN
		new.signature_schemes :=
			webhook_internal.checked_schemes(alter_subscription.signature_schemes);
		PERFORM webhook_internal.check_scheme(
			webhook_internal.has_abp_secret(new.id), new.signature_schemes);
	END IF;
	new := webhook_internal.with_options(new, alter_subscription.filter,
		alter_subscription.payload_format, alter_subscription.ordered,
		alter_subscription.max_in_flight, alter_subscription.rate_limit,
		alter_subscription.timeout, alter_subscription.retry_schedule,
		alter_subscription.max_age, alter_subscription.final_statuses, alter_subscription.ca,
		alter_subscription.client_certificate, alter_subscription.include_context,
		alter_subscription.log_bodies);
	IF alter_subscription.name IS NOT NULL THEN
		new.name := webhook_internal.checked_name(nullif(alter_subscription.name, ''));
		IF webhook_internal.has_name(new.name, new.id, new.tenant) THEN
			RAISE EXCEPTION 'subscription "%" already exists', new.name
				USING ERRCODE = 'duplicate_object',
					COLUMN = 'name',
					HINT = 'Choose another name, or take it from the other one first.';
		END IF;
	END IF;
	PERFORM webhook_internal.check_caps(old, new);
	PERFORM webhook_internal.store_options('alter_subscription'::text, old, new,
		alter_subscription.enabled);
END
$$;
COMMENT ON FUNCTION webhook_internal.alter_subscription(bigint, text, text[], text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], boolean, text, text, boolean, text, text) IS 'what webhook.alter_subscription() does, with the rights of the owner';

CREATE FUNCTION webhook.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.subscription_options(bigint) IS 'the options of a subscription, credentials included, under the names of the arguments of webhook.alter_subscription()';

CREATE FUNCTION webhook_internal.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	options		jsonb;
BEGIN
	PERFORM webhook_internal.require_subscription(subscription_options.subscription);
	SELECT to_jsonb(o)
		INTO options
		FROM (
			SELECT s.endpoint, s.events, s.description, s.headers, s.signature_schemes,
				s.filter::text AS filter, s.payload_format, s.ordered, s.max_in_flight,
				s.rate_limit, s.timeout, s.retry_schedule, s.max_age, s.final_statuses,
				s.enabled, s.ca, s.client_certificate, s.include_context, s.log_bodies, s.name
			FROM webhook_internal.subscription s
			WHERE s.id = subscription_options.subscription
		) o;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription_options.subscription);
	END IF;
	IF webhook_internal.redacted_endpoint(options ->> 'endpoint') <> options ->> 'endpoint'
		OR webhook_internal.redacted_headers(options -> 'headers') <> options -> 'headers'
	THEN
		-- They are known from here on, even if the row of the audit is rolled back.
		RAISE LOG 'the credentials of webhook subscription % are shown to role "%"',
			subscription_options.subscription, webhook_internal.caller();
		PERFORM webhook_internal.audit('subscription_options'::text,
			subscription_options.subscription, NULL::uuid, NULL::jsonb);
	END IF;
	RETURN options;
END
$$;
COMMENT ON FUNCTION webhook_internal.subscription_options(bigint) IS 'what webhook.subscription_options() does, with the rights of the owner';

CREATE FUNCTION webhook.confirm(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.confirm(bigint) IS 'send to the endpoint of a subscription although it has not answered the challenge';

CREATE FUNCTION webhook_internal.confirm(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_subscription(confirm.subscription);
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to confirm endpoints'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may; let the endpoint answer the challenge.';
	END IF;
	UPDATE webhook_internal.subscription s
		SET confirmation = NULL, challenge = NULL, challenged_at = NULL
		WHERE s.id = confirm.subscription AND webhook_internal.is_unconfirmed(s.id);
	IF FOUND THEN
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(confirm.subscription, false);
		PERFORM webhook_internal.audit('confirm'::text, confirm.subscription, NULL::uuid, NULL::jsonb);
	ELSE
		-- It may have gone meanwhile.
		PERFORM webhook_internal.require_subscription(confirm.subscription);
		RAISE NOTICE 'the endpoint of subscription % needs no confirmation', confirm.subscription
			USING HINT = 'See webhook.stat_subscription.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.confirm(bigint) IS 'what webhook.confirm() does, with the rights of the owner';

CREATE FUNCTION webhook.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.unsubscribe(bigint) IS 'delete a subscription and cancel its waiting deliveries';

CREATE FUNCTION webhook_internal.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.require_subscription(unsubscribe.subscription);
	-- Who subscribes to the same waits to see whether this one goes.
	PERFORM webhook_internal.lock_tenant(s.tenant)
		FROM webhook_internal.subscription s
		WHERE s.id = unsubscribe.subscription;
	DELETE FROM webhook_internal.subscription s
		WHERE s.id = unsubscribe.subscription
		RETURNING s.* INTO old;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(unsubscribe.subscription);
	END IF;
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = unsubscribe.subscription;
	PERFORM webhook_internal.command('x'::"char", unsubscribe.subscription, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(unsubscribe.subscription, false);
	PERFORM webhook_internal.audit_options('unsubscribe'::text, old,
		NULL::webhook_internal.subscription);
END
$$;
COMMENT ON FUNCTION webhook_internal.unsubscribe(bigint) IS 'what webhook.unsubscribe() does, with the rights of the owner';

-- A call that changes nothing is no command.
CREATE FUNCTION webhook_internal.set_paused(subscription bigint, paused boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_subscription(set_paused.subscription);
	UPDATE webhook_internal.subscription s
		SET paused = set_paused.paused
		WHERE s.id = set_paused.subscription AND s.paused <> set_paused.paused;
	IF FOUND THEN
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(set_paused.subscription, false);
		PERFORM webhook_internal.audit(
			CASE WHEN set_paused.paused THEN 'pause'::text ELSE 'resume' END,
			set_paused.subscription, NULL::uuid, NULL::jsonb);
	ELSE
		-- It may have gone meanwhile.
		PERFORM webhook_internal.require_subscription(set_paused.subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.set_paused(bigint, boolean) IS 'pause or resume a subscription';

CREATE FUNCTION webhook.pause(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.pause(bigint) IS 'stop sending to a subscription; its events wait';

CREATE FUNCTION webhook_internal.pause(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.set_paused(pause.subscription, true);
END
$$;
COMMENT ON FUNCTION webhook_internal.pause(bigint) IS 'what webhook.pause() does, with the rights of the owner';

CREATE FUNCTION webhook.resume(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resume(bigint) IS 'send to a paused subscription again, first the events that wait';

CREATE FUNCTION webhook_internal.resume(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.set_paused(resume.subscription, false);
END
$$;
COMMENT ON FUNCTION webhook_internal.resume(bigint) IS 'what webhook.resume() does, with the rights of the owner';

CREATE FUNCTION webhook.resume_database(discard boolean DEFAULT false) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resume_database(boolean) IS 'send from this copy of a database, too; with discard, waiting deliveries are cancelled and only later events are sent';

CREATE FUNCTION webhook_internal.resume_database(discard boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fenced		record;
	resumed		bigint[];
	held		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_not_null('discard', discard IS NULL,
		'Use true to cancel waiting deliveries, false to send them.');

	-- An open transaction that has changed one of them keeps nobody else waiting.
	FOR fenced IN
		WITH free AS MATERIALIZED (
			SELECT o.id
				FROM webhook_internal.subscription o
				WHERE o.home <> webhook_internal.home()
				FOR UPDATE SKIP LOCKED)
		UPDATE webhook_internal.subscription s
			SET home = webhook_internal.home(),
				since = CASE
					WHEN discard THEN webhook_internal.start_snapshot()
					ELSE webhook_internal.local_start_snapshot(s.home, s.since) END,
				-- A new start snapshot must not end that the worker has disabled it.
				enabled = NOT webhook_internal.is_disabled(s.id)
			FROM free
			WHERE s.id = free.id AND s.home <> webhook_internal.home()
			RETURNING s.id, s.enabled
	LOOP
		IF discard OR NOT fenced.enabled THEN
			PERFORM webhook_internal.command('x'::"char", fenced.id, NULL::text, NULL::uuid);
		END IF;
		PERFORM webhook_internal.tell(fenced.id, false);
		resumed := resumed || fenced.id;
	END LOOP;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	IF resumed IS NOT NULL THEN
		PERFORM webhook_internal.audit('resume_database'::text, NULL::bigint, NULL::uuid,
			jsonb_build_object('discard', resume_database.discard,
				'subscriptions', to_jsonb(resumed)));
	END IF;
	SELECT string_agg(s.id::text, ', ' ORDER BY s.id)
		INTO held
		FROM webhook_internal.subscription s
		WHERE s.home <> webhook_internal.home();
	IF held IS NOT NULL THEN
		RAISE WARNING 'some subscriptions are still fenced'
			USING DETAIL = format('Other transactions are changing these: %s.', held),
				HINT = 'Call webhook.resume_database() once more when these transactions have ended.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.resume_database(boolean) IS 'what webhook.resume_database() does, with the rights of the owner';
/*
 * openapi(): what receivers get, as a document for programs
 *
 * The schema of Data is the event type's own. Where it has none and tables are
 * watched for it, the schema follows from their definition: src/capture/row_json.c
 * makes of a value what to_json() makes of it.
 */

CREATE FUNCTION webhook_internal.key_name(name text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_key_name';
COMMENT ON FUNCTION webhook_internal.key_name(text) IS 'key of Data that has the key of a row, of the watch of that name';

CREATE FUNCTION webhook_internal.nullable(schema jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN schema
		|| CASE WHEN jsonb_typeof(schema -> 'type') = 'string'
			THEN jsonb_build_object('type', jsonb_build_array(schema -> 'type', 'null'))
			ELSE '{}' END
		|| CASE WHEN schema ? 'enum' AND NOT schema -> 'enum' @> '[null]'
			THEN jsonb_build_object('enum', schema -> 'enum' || '[null]')
			ELSE '{}' END;
COMMENT ON FUNCTION webhook_internal.nullable(jsonb) IS 'the schema that allows null, too';

CREATE FUNCTION webhook_internal.base_type(type oid) RETURNS oid
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		WITH RECURSIVE step AS (
			SELECT t.oid, t.typtype, t.typbasetype
				FROM pg_type t
				WHERE t.oid = base_type.type
			UNION ALL
			SELECT t.oid, t.typtype, t.typbasetype
				FROM step s JOIN pg_type t ON t.oid = s.typbasetype
				WHERE s.typtype = 'd')
		SELECT s.oid FROM step s WHERE s.typtype <> 'd');
END
$$;
COMMENT ON FUNCTION webhook_internal.base_type(oid) IS 'type that a domain is made of; any other type itself';

/*
 * The expression is as pg_get_expr() writes it. One that has any other form than
 * that of IN with constants gives null, and so does a type whose values may be
 * equal and yet have another text. A value of character(n) has blanks at its end.
 */
CREATE FUNCTION webhook_internal.allowed_values(
	expression text,
	subject text,
	type oid,
	typmod integer,
	"collation" oid
) RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	base		regtype := webhook_internal.base_type(type);
	is_text		boolean := base IN ('text', 'varchar', 'bpchar');
	element		text := CASE
					WHEN is_text THEN $_$'(?:[^']|'')*'::(?:text|character varying|bpchar)$_$
					ELSE $_$(?:-?[0-9]+(?:[.][0-9]+)?|'-?[0-9]+(?:[.][0-9]+)?'::(?:smallint|integer|bigint|numeric)|[(]-?[0-9]+[)]::(?:smallint|integer|bigint|numeric))$_$
					END;
	cast_to		text := CASE
					WHEN is_text THEN '(?:::(?:text|bpchar))?'
					ELSE '(?:::(?:integer|bigint|numeric))?' END;
	escaped		text := regexp_replace(subject, '([^[:alnum:]_ ])', E'\\\\\\1', 'g');
	list		text;
BEGIN
	IF NOT is_text AND base NOT IN ('smallint', 'integer', 'bigint', 'numeric')
		OR base = 'bpchar'::regtype AND typmod <= 4
		OR NOT (SELECT c.collisdeterministic FROM pg_collation c WHERE c.oid = "collation")
	THEN
		RETURN NULL;
	END IF;
	list := coalesce(
		substring(expression FROM format('^[(]*%s[)]?%s = ANY [(]+ARRAY[[](%s(?:, %3$s)*)[]](?:[)]::[a-z ]+[[][]])?[)]+$',
			escaped, cast_to, element)),
		substring(expression FROM format('^[(]*%s[)]?%s = (%s)[)]$', escaped, cast_to, element)));
	IF is_text THEN
		RETURN (
			SELECT jsonb_agg(CASE
						WHEN base = 'bpchar'::regtype THEN rpad(v.value, typmod - 4)
						ELSE v.value END ORDER BY v.place)
				FROM (
					SELECT replace(m[1], '''''', '''') AS value, place
						FROM regexp_matches(list, $_$'((?:[^']|'')*)'::$_$, 'g')
							WITH ORDINALITY AS x (m, place)
				) v);
	END IF;
	RETURN (
		SELECT jsonb_agg(m[1]::numeric ORDER BY place)
			FROM regexp_matches(list, '(-?[0-9]+(?:[.][0-9]+)?)', 'g')
				WITH ORDINALITY AS x (m, place));
END
$$;
COMMENT ON FUNCTION webhook_internal.allowed_values(text, text, oid, integer, oid) IS 'values that a CHECK with IN allows, as a JSON array; null: it is another CHECK';

CREATE FUNCTION webhook_internal.type_schema(type oid, typmod integer, dimensions integer)
	RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	t			record;
	schema		jsonb;
	allowed		jsonb;
BEGIN
	SELECT p.typname, p.typtype, p.typbasetype, p.typtypmod, p.typndims, p.typcollation,
			p.typrelid, p.typelem, p.typnamespace,
			p.typelem <> 0 AND p.typsubscript = 'pg_catalog.array_subscript_handler'::regproc AS is_array,
			obj_description(p.oid, 'pg_type') AS comment
		INTO t
		FROM pg_type p
		WHERE p.oid = type;

	IF t.typtype = 'd' THEN
		schema := webhook_internal.type_schema(t.typbasetype, t.typtypmod, t.typndims);
		SELECT v.allowed
			INTO allowed
			FROM pg_constraint c
				CROSS JOIN LATERAL webhook_internal.allowed_values(pg_get_expr(c.conbin, 0),
					'VALUE', type, t.typtypmod, t.typcollation) AS v (allowed)
			WHERE c.contypid = type AND c.contype = 'c' AND c.convalidated
				AND v.allowed IS NOT NULL
			ORDER BY jsonb_array_length(v.allowed)
			LIMIT 1;
		RETURN schema
			|| CASE WHEN allowed IS NULL THEN '{}' ELSE jsonb_build_object('enum', allowed) END
			|| CASE WHEN t.comment IS NULL THEN '{}'
				ELSE jsonb_build_object('description', t.comment) END;
	END IF;

	-- to_json() asks for arrays and rows first, then for a cast to json.
	IF t.is_array THEN
		schema := webhook_internal.nullable(webhook_internal.type_schema(t.typelem, typmod, 0));
		FOR i IN 1 .. greatest(dimensions, 1) LOOP
			schema := jsonb_build_object('type', 'array', 'items', schema);
		END LOOP;
		RETURN schema;
	ELSIF t.typtype = 'c' THEN
		RETURN jsonb_build_object('type', 'object') || (
			SELECT jsonb_build_object(
					'properties', coalesce(jsonb_object_agg(a.attname, webhook_internal.nullable(
						webhook_internal.type_schema(a.atttypid, a.atttypmod, a.attndims::integer))), '{}'),
					'required', coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]'))
				FROM pg_attribute a
				WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped);
	ELSIF EXISTS (
		SELECT
			FROM pg_cast c
			WHERE c.castsource = type AND c.casttarget = 'json'::regtype AND c.castmethod = 'f'
				AND t.typnamespace <> 'pg_catalog'::regnamespace)
	THEN
		RETURN '{}';
	ELSIF t.typtype = 'e' THEN
		RETURN jsonb_build_object('type', 'string', 'enum', (
			SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder)
				FROM pg_enum e
				WHERE e.enumtypid = type));
	ELSIF t.typnamespace <> 'pg_catalog'::regnamespace THEN
		RETURN '{"type": "string"}';
	END IF;
	RETURN CASE t.typname
		WHEN 'bool' THEN '{"type": "boolean"}'
		WHEN 'int2' THEN '{"type": "integer", "format": "int32"}'
		WHEN 'int4' THEN '{"type": "integer", "format": "int32"}'
		WHEN 'int8' THEN '{"type": "integer", "format": "int64"}'
		WHEN 'float4' THEN '{"type": "number", "format": "float"}'
		WHEN 'float8' THEN '{"type": "number", "format": "double"}'
		WHEN 'numeric' THEN '{"type": "number"}'
		WHEN 'uuid' THEN '{"type": "string", "format": "uuid"}'
		WHEN 'date' THEN '{"type": "string", "format": "date"}'
		WHEN 'timestamptz' THEN '{"type": "string", "format": "date-time"}'
		WHEN 'json' THEN '{}'
		WHEN 'jsonb' THEN '{}'
		ELSE '{"type": "string"}' END::jsonb
		|| CASE
			WHEN t.typname IN ('varchar', 'bpchar') AND typmod > 4
				THEN jsonb_build_object('maxLength', typmod - 4)
			ELSE '{}' END;
END
$$;
COMMENT ON FUNCTION webhook_internal.type_schema(oid, integer, integer) IS 'schema of what to_json() makes of a value of the type that is not null';

CREATE FUNCTION webhook_internal.column_schema(relation regclass, "column" name) RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c			record;
	schema		jsonb;
	allowed		jsonb;
BEGIN
	SELECT a.attnum, a.atttypid, a.atttypmod, a.attndims::integer AS attndims, a.attcollation,
			col_description(a.attrelid, a.attnum) AS comment,
			t.typnotnull OR a.attnotnull AND NOT EXISTS (
				SELECT
					FROM pg_constraint n
					WHERE n.conrelid = a.attrelid AND n.contype = 'n'
						AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated) AS not_null
		INTO c
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = relation AND a.attname = "column"
			AND a.attnum > 0 AND NOT a.attisdropped;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;

	schema := webhook_internal.type_schema(c.atttypid, c.atttypmod, c.attndims);
	SELECT v.allowed
		INTO allowed
		FROM pg_constraint k
			CROSS JOIN LATERAL webhook_internal.allowed_values(pg_get_expr(k.conbin, k.conrelid),
				quote_ident("column"), c.atttypid, c.atttypmod, c.attcollation) AS v (allowed)
		WHERE k.conrelid = relation AND k.contype = 'c' AND k.convalidated
			AND k.conkey = ARRAY[c.attnum] AND v.allowed IS NOT NULL
		ORDER BY jsonb_array_length(v.allowed)
		LIMIT 1;
	IF allowed IS NOT NULL THEN
		schema := schema || jsonb_build_object('enum', allowed);
	END IF;
	IF c.comment IS NOT NULL THEN
		schema := schema || jsonb_build_object('description', c.comment);
	END IF;
	RETURN CASE WHEN c.not_null THEN schema ELSE webhook_internal.nullable(schema) END;
END
$$;
COMMENT ON FUNCTION webhook_internal.column_schema(regclass, name) IS 'schema of the values of a column; null: there is no such column';

CREATE FUNCTION webhook_internal.columns_schema(relation regclass, columns name[]) RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN (
		SELECT jsonb_build_object('type', 'object',
				'properties', coalesce(jsonb_object_agg(c.name, s.schema), '{}'),
				'required', coalesce(jsonb_agg(c.name ORDER BY c.place), '[]'))
			FROM unnest(columns) WITH ORDINALITY AS c (name, place)
				CROSS JOIN LATERAL webhook_internal.column_schema(relation, c.name) AS s (schema)
			WHERE s.schema IS NOT NULL);
END
$$;
COMMENT ON FUNCTION webhook_internal.columns_schema(regclass, name[]) IS 'schema of an object that has those of the columns that exist';

-- The trigger needs the status and the key, and leaves out data columns that are gone.
CREATE FUNCTION webhook_internal.watch_schema(
	relation regclass,
	name text,
	status_column name,
	id_columns name[],
	data_columns name[]
) RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	key			text := webhook_internal.key_name(name);
	key_schema	jsonb;
	status		jsonb := webhook_internal.nullable(
					webhook_internal.column_schema(relation, status_column));
	comment		text := obj_description(relation, 'pg_class');
BEGIN
	key_schema := CASE
		WHEN cardinality(id_columns) > 1
			THEN webhook_internal.columns_schema(relation, id_columns)
		ELSE webhook_internal.column_schema(relation, id_columns[1]) END;
	IF status IS NULL OR key_schema IS NULL
		OR cardinality(id_columns) > 1
		AND jsonb_array_length(key_schema -> 'required') < cardinality(id_columns)
	THEN
		RETURN NULL;
	END IF;
	RETURN jsonb_build_object(
			'type', 'object',
			'properties', jsonb_build_object(
				key, key_schema,
				'Operation', '{"type": "string", "enum": ["INSERT", "UPDATE", "DELETE"]}'::jsonb,
				'OldStatus', status,
				'NewStatus', status)
			|| CASE WHEN data_columns = '{}' THEN '{}'
				ELSE jsonb_build_object(
					'Record', webhook_internal.columns_schema(relation, data_columns),
					'RecordOmitted', '{"const": true}'::jsonb) END,
			'required', jsonb_build_array(key, 'Operation', 'OldStatus', 'NewStatus'))
		|| CASE WHEN data_columns = '{}' THEN '{}'
			ELSE '{"oneOf": [{"required": ["Record"]}, {"required": ["RecordOmitted"]}]}'::jsonb END
		|| CASE WHEN comment IS NULL THEN '{}'
			ELSE jsonb_build_object('description', comment) END;
END
$$;
COMMENT ON FUNCTION webhook_internal.watch_schema(regclass, text, name, name[], name[]) IS 'schema of Data of a watch; null: it publishes nothing, because a column is missing';

-- Tables whose keys have one name in Data cannot be told apart. A tenant is told of the
-- tables that view webhook.watched_table shows it: no row of the others is its own.
CREATE FUNCTION webhook_internal.derived_schema(event_type text) RETURNS jsonb
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
			WHEN count(*) = 0 THEN NULL
			WHEN count(*) = 1 THEN min(s.schema::text)::jsonb
			WHEN count(DISTINCT s.key) = count(*)
				THEN jsonb_build_object('oneOf', jsonb_agg(s.schema ORDER BY s.key))
			ELSE jsonb_build_object('anyOf', jsonb_agg(s.schema ORDER BY s.key, s.schema)) END
		FROM (
			SELECT DISTINCT webhook_internal.key_name(w.name) AS key,
					webhook_internal.watch_schema(w.relation, w.name, w.status_column, w.id_columns,
						w.data_columns) AS schema
				FROM webhook.watched_table w
				WHERE w.event_type = derived_schema.event_type
					AND (w.tenant_column IS NOT NULL OR webhook_internal.caller_sees_all())
		) s
		WHERE s.schema IS NOT NULL
$$;
COMMENT ON FUNCTION webhook_internal.derived_schema(text) IS 'schema of Data of the tables that are watched for an event type; null: none is';

-- "#" in a schema means its root, which is a part of the document here. A schema
-- with an $id goes on having a root of its own.
CREATE FUNCTION webhook_internal.moved_schema(schema jsonb, place text) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	moved		jsonb := schema;
	keyword		text;
	value		jsonb;
BEGIN
	IF jsonb_typeof(schema) = 'array' THEN
		RETURN coalesce((
			SELECT jsonb_agg(webhook_internal.moved_schema(e.value, place) ORDER BY e.n)
				FROM jsonb_array_elements(schema) WITH ORDINALITY AS e (value, n)), '[]');
	ELSIF jsonb_typeof(schema) <> 'object' OR jsonb_typeof(schema -> '$id') = 'string' THEN
		RETURN schema;
	END IF;
	FOR keyword, value IN SELECT e.key, e.value FROM jsonb_each(schema) e LOOP
		IF keyword IN ('$ref', '$dynamicRef') AND value #>> '{}' ~ '^#(/|$)' THEN
			value := to_jsonb(place || substr(value #>> '{}', 2));
		ELSIF jsonb_typeof(value) = 'object'
			AND keyword IN ('properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas')
		THEN
			value := coalesce((
				SELECT jsonb_object_agg(e.key, webhook_internal.moved_schema(e.value, place))
					FROM jsonb_each(value) e), '{}');
		ELSIF keyword NOT IN ('const', 'enum', 'default', 'example', 'examples') THEN
			value := webhook_internal.moved_schema(value, place);
		END IF;
		moved := jsonb_set(moved, ARRAY[keyword], value);
	END LOOP;
	RETURN moved;
END
$$;
COMMENT ON FUNCTION webhook_internal.moved_schema(jsonb, text) IS 'a schema whose root is at this place of a document';

-- The forms are those of src/message/message.c.
CREATE FUNCTION webhook_internal.body_schema(event_type text, payload_format text) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE payload_format
			WHEN 'envelope' THEN jsonb_build_object(
				'type', 'object',
				'properties', jsonb_build_object(
					'Id', '{"type": "string", "format": "uuid", "description": "Id of the event, the same on every attempt"}'::jsonb,
					'WebhookEvent', jsonb_build_object('const', event_type),
					'Subject', '{"type": ["string", "null"], "description": "what the event is about"}'::jsonb,
					'Attempt', '{"type": "integer", "minimum": 1, "description": "number of the attempt"}'::jsonb,
					'Data', d.data,
					'Context', '{"type": "object", "description": "who or what caused the event, as the application says; only where the subscription asks for it"}'::jsonb,
					'CreationTimeUtc', '{"type": "string", "format": "date-time", "description": "when the event occurred"}'::jsonb),
				'required', '["Id", "WebhookEvent", "Subject", "Attempt", "Data", "CreationTimeUtc"]'::jsonb)
			WHEN 'standard' THEN jsonb_build_object(
				'type', 'object',
				'properties', jsonb_build_object(
					'type', jsonb_build_object('const', event_type),
					'timestamp', '{"type": "string", "format": "date-time", "description": "when the event occurred"}'::jsonb,
					'data', d.data),
				'required', '["type", "timestamp", "data"]'::jsonb)
			ELSE d.data END
		FROM jsonb_build_object('$ref', '#/components/schemas/' || event_type) AS d (data)
$$;
COMMENT ON FUNCTION webhook_internal.body_schema(text, text) IS 'schema of the body of a request';

CREATE FUNCTION webhook_internal.body_example(event_type text, payload_format text, data jsonb)
	RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE payload_format
			WHEN 'envelope' THEN jsonb_build_object(
				'Id', '0195b1a0-6c1e-7b52-9d3a-5f0c7f3e8a41',
				'WebhookEvent', event_type,
				'Subject', NULL,
				'Attempt', 1,
				'Data', data,
				'CreationTimeUtc', '2026-01-02T03:04:05.678901Z')
			WHEN 'standard' THEN jsonb_build_object(
				'type', event_type,
				'timestamp', '2026-01-02T03:04:05.678901Z',
				'data', data)
			ELSE data END
$$;
COMMENT ON FUNCTION webhook_internal.body_example(text, text, jsonb) IS 'example of the body of a request';

CREATE FUNCTION webhook_internal.openapi_components(schemas jsonb) RETURNS jsonb
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object('schemas', schemas) || '{
		"parameters": {
			"webhook-id": {
				"name": "webhook-id", "in": "header", "required": true,
				"description": "Id of the event, the same on every attempt: what was handled once need not be handled again",
				"schema": {"type": "string", "format": "uuid"}},
			"webhook-timestamp": {
				"name": "webhook-timestamp", "in": "header", "required": true,
				"description": "time of the attempt, in Unix seconds; refuse what is more than five minutes off",
				"schema": {"type": "integer", "format": "int64"}},
			"webhook-signature": {
				"name": "webhook-signature", "in": "header", "required": true,
				"description": "signatures of the request, with a blank between them; one that matches is enough",
				"schema": {"type": "string", "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$"}},
			"webhook-event": {
				"name": "webhook-event", "in": "header", "required": true,
				"description": "event type",
				"schema": {"type": "string"}},
			"webhook-attempt": {
				"name": "webhook-attempt", "in": "header", "required": true,
				"description": "number of the attempt; it counts the requests for this event to this subscription",
				"schema": {"type": "integer", "minimum": 1}},
			"traceparent": {
				"name": "traceparent", "in": "header", "required": false,
				"description": "the trace that caused the event, where the application says it (W3C Trace Context)",
				"schema": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}}
		},
		"responses": {
			"delivered": {
				"description": "The event is delivered."},
			"gone": {
				"description": "The delivery has failed, and the subscription is disabled."},
			"later": {
				"description": "The delivery is repeated. With Retry-After the subscription sends nothing until then, a day at most.",
				"headers": {
					"Retry-After": {
						"description": "a number of seconds, or an HTTP date",
						"schema": {"type": "string"}}}},
			"repeated": {
				"description": "The delivery is repeated by the schedule of the subscription. A redirect is not followed."}
		},
		"securitySchemes": {
			"signature": {
				"type": "apiKey", "in": "header", "name": "webhook-signature",
				"description": "Standard Webhooks: v1, a comma, and the base64 of HMAC-SHA256 over webhook-id, webhook-timestamp and the body as it came, joined by dots. The key is the base64 behind whsec_ in the secret. While a secret is being rotated there is one signature for each live secret."}
		}}'
$$;
COMMENT ON FUNCTION webhook_internal.openapi_components(jsonb) IS 'components of an OpenAPI document: these schemas, and what all event types have in common';

CREATE FUNCTION webhook.openapi(
	events text[] DEFAULT '{*}',
	payload_format text DEFAULT 'envelope'
) RETURNS jsonb
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.openapi(text[], text) IS 'requests that a receiver gets, as an OpenAPI 3.1 document; the schema of Data is the event type''s, or that of the tables that are watched for it';

-- allowed_values() reads expressions as pg_get_expr() writes them without needless quotes.
CREATE FUNCTION webhook_internal.openapi(events text[], payload_format text) RETURNS jsonb
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET quote_all_identifiers = off
AS $$
DECLARE
	unknown		text;
	items		jsonb;
	schemas		jsonb;
BEGIN
	PERFORM webhook_internal.require_not_null('payload_format', payload_format IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.checked_format(payload_format);
	-- First of all: what exists, but not for the caller, gives the same error as what does not.
	SELECT a.name
		INTO unknown
		FROM unnest(events) WITH ORDINALITY AS a (name, place)
		WHERE strpos(a.name, '*') = 0
			AND a.name NOT IN (SELECT v.name FROM webhook_internal.visible_event_types() v)
		ORDER BY a.place
		LIMIT 1;
	IF FOUND THEN
		PERFORM webhook_internal.raise_unknown_event_type(unknown, 'events');
	END IF;
	PERFORM webhook_internal.checked_events(events);

	-- Each type is added once: appending to what is there copies it each time.
	SELECT coalesce(jsonb_object_agg(t.name, coalesce(
				webhook_internal.moved_schema(t.schema, '#/components/schemas/' || t.name),
				webhook_internal.derived_schema(t.name), '{}')), '{}'),
			coalesce(jsonb_object_agg(t.name, jsonb_build_object('post',
				jsonb_build_object(
					'operationId', t.name,
					'summary', t.name,
					'parameters', '[
						{"$ref": "#/components/parameters/webhook-id"},
						{"$ref": "#/components/parameters/webhook-timestamp"},
						{"$ref": "#/components/parameters/webhook-signature"},
						{"$ref": "#/components/parameters/webhook-event"},
						{"$ref": "#/components/parameters/webhook-attempt"},
						{"$ref": "#/components/parameters/traceparent"}]'::jsonb,
					'requestBody', jsonb_build_object(
						'required', true,
						'content', jsonb_build_object('application/json',
							jsonb_build_object('schema',
								webhook_internal.body_schema(t.name, payload_format))
							|| CASE WHEN t.example IS NULL THEN '{}'
								ELSE jsonb_build_object('example', webhook_internal.body_example(
									t.name, payload_format, t.example)) END)),
					'responses', '{
						"2XX": {"$ref": "#/components/responses/delivered"},
						"410": {"$ref": "#/components/responses/gone"},
						"429": {"$ref": "#/components/responses/later"},
						"502": {"$ref": "#/components/responses/later"},
						"503": {"$ref": "#/components/responses/later"},
						"504": {"$ref": "#/components/responses/later"},
						"default": {"$ref": "#/components/responses/repeated"}}'::jsonb)
				|| CASE WHEN t.description IS NULL THEN '{}'
					ELSE jsonb_build_object('description', t.description) END
				|| CASE WHEN t.deprecated THEN '{"deprecated": true}' ELSE '{}'::jsonb END)), '{}')
		INTO schemas, items
		FROM webhook_internal.visible_event_types() t
		WHERE EXISTS (
			SELECT
				FROM unnest(events) AS w (name)
				WHERE webhook_internal.matches(w.name, t.name));
	RETURN jsonb_build_object(
		'openapi', '3.1.0',
		'info', jsonb_build_object(
			'title', 'Webhooks',
			'version', (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'webhook'),
			'description', 'Requests that a receiver gets. An event can come more than once; its Id, in header webhook-id, is how to tell.'),
		'webhooks', items,
		'components', webhook_internal.openapi_components(schemas),
		'security', '[{"signature": []}]'::jsonb);
END
$$;
COMMENT ON FUNCTION webhook_internal.openapi(text[], text) IS 'what webhook.openapi() does, with the rights of the owner';
/*
 * Replay: what is delivered again, or not at all, or not kept
 *
 * Each function appends commands to the ring: 'r' delivers an event to a
 * subscription, or dismisses its dead letter, 'k' cancels the deliveries of an event, 's' skips the first
 * delivery of a subject, 'd' makes what waits due, 'z' erases a subject. A command
 * acts on what is before it in the ring.
 */

CREATE FUNCTION webhook_internal.is_processed(txid xid8, id bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.checkpoint c
			WHERE pg_visible_in_snapshot(is_processed.txid, c.snapshot)
				OR is_processed.id <= c.upto_id
					AND pg_visible_in_snapshot(is_processed.txid, c.partial_snapshot))
$$;
COMMENT ON FUNCTION webhook_internal.is_processed(xid8, bigint) IS 'true if the worker has read this row of the ring and written all that follows from it';

-- src/ring/command.c writes the data of a replay.
CREATE FUNCTION webhook_internal.is_replay_to(data json, subscription bigint) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN starts_with(data::text, '{"subscription":' || subscription::text || ',');
COMMENT ON FUNCTION webhook_internal.is_replay_to(json, bigint) IS 'true if the data are those of a replay to the subscription';

-- Deliveries of the subject that have not ended: in pending, or of rows of the ring
-- that the worker has not done with.
CREATE FUNCTION webhook_internal.may_wait(subscription bigint, subject text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.subscription_id = may_wait.subscription AND p.subject = may_wait.subject)
		OR EXISTS (
			SELECT
				FROM webhook_internal.ring r
				WHERE r.subject = may_wait.subject
					AND (r.kind = 'r' AND webhook_internal.is_replay_to(r.data, may_wait.subscription)
						OR webhook_internal.is_for(r.kind, r.tenant, (
							SELECT s.tenant
								FROM webhook_internal.subscription s
								WHERE s.id = may_wait.subscription)))
					AND NOT webhook_internal.is_processed(r.txid, r.id)
					AND NOT EXISTS (
						SELECT
							FROM webhook.log l
							WHERE l.event_id = r.event_id AND l.position = r.id
								AND l.subscription_id = may_wait.subscription
								AND l.outcome <> 'retrying'))
$$;
COMMENT ON FUNCTION webhook_internal.may_wait(bigint, text) IS 'true if a delivery of the subject to the subscription may not have ended';

-- The forms are those of src/message/message.c.
CREATE FUNCTION webhook_internal.data_of_body(body text, event uuid, event_type text) RETURNS json
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN starts_with(body, format('{"Id":"%s",', event)) THEN body::json -> 'Data'
		WHEN starts_with(body, format('{"type":%s,"timestamp":"', to_json(event_type)))
			THEN body::json -> 'data'
		ELSE body::json END
$$;
COMMENT ON FUNCTION webhook_internal.data_of_body(text, uuid, text) IS 'Data of an event, from the body of a request; null: there is no body';

CREATE FUNCTION webhook_internal.takes(
	s webhook_internal.subscription,
	event_type text,
	data json
) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
			SELECT
				FROM unnest(s.events) AS w (name)
				WHERE webhook_internal.matches(w.name, takes.event_type))
		AND webhook_internal.may_get(s.tenant, takes.event_type)
		AND webhook_internal.accepts(s.filter, takes.data)
$$;
COMMENT ON FUNCTION webhook_internal.takes(webhook_internal.subscription, text, json) IS 'true if the event types, the tenant and the filter of a subscription accept the event';

/*
 * What was erased
 *
 * An erasure means events that had committed when it was called, and those that its own
 * transaction had made. The audit has it, with what its command in the ring means, as long as
 * the log and the ring have anything of that time. src/store/erasure.c asks here, too.
 */

CREATE VIEW webhook_internal.erasure AS
	SELECT (a.detail ->> 'subject') COLLATE "C" AS subject, a.at, (a.detail ->> 'id')::bigint AS id,
			(a.detail ->> 'txid')::xid8 AS txid, (a.detail ->> 'snapshot')::pg_snapshot AS snapshot
		FROM webhook_internal.audit a, (VALUES (0)) AS read_only
		WHERE a.action = 'erase';
COMMENT ON VIEW webhook_internal.erasure IS 'subjects that were erased: by which row of the ring, of which transaction, and what that could see';

-- Of a transaction that is not known (0) all is meant that was made before. In a restored
-- database that is so, too: its new events have greater ids than the erasures of the dump.
CREATE FUNCTION webhook_internal.means(
	erasure bigint,
	erasure_txid xid8,
	snapshot pg_snapshot,
	id bigint,
	txid xid8
) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN id < erasure AND (txid = erasure_txid OR pg_visible_in_snapshot(txid, snapshot));
COMMENT ON FUNCTION webhook_internal.means(bigint, xid8, pg_snapshot, bigint, xid8) IS 'true if an erasure means an event of its subject: the row of the ring that was made in a transaction; 0: it is not known in which';

CREATE FUNCTION webhook_internal.erased_at(subject text, id bigint, txid xid8)
	RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT min(e.at)
		FROM webhook_internal.erasure e
		WHERE e.subject = erased_at.subject
			AND webhook_internal.means(e.id, e.txid, e.snapshot, erased_at.id, erased_at.txid)
$$;
COMMENT ON FUNCTION webhook_internal.erased_at(text, bigint, xid8) IS 'when an event was erased; null: it was not';

CREATE TYPE webhook_internal.found_event AS (
	id			bigint,
	event_id	uuid,
	event_type	text,
	subject		text,
	data		json,			-- null: it is kept no longer
	created_at	timestamptz,
	tenant		text,
	traceparent	text,
	context		jsonb,
	txid		xid8,			-- that made it; 0: it is not known
	erased_at	timestamptz		-- null: it was not erased
);
COMMENT ON TYPE webhook_internal.found_event IS 'what there is of an event';

CREATE FUNCTION webhook_internal.search_event(
	event uuid,
	subscription bigint,
	tenant text,
	whoever boolean
) RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	logged		webhook_internal.found_event;
	present		webhook_internal.found_event;
BEGIN
	/*
	 * The log has an index on event_id, and pending finds the rows of a subscription; all of
	 * pending and of the ring is read only for what neither of them has.
	 */
	SELECT l.id, l.event_id, l.event_type, l.subject, l.data, l.created_at, l.tenant,
			l.traceparent, l.context, '0', NULL
		INTO logged
		FROM webhook.log l
		WHERE l.event_id = search_event.event AND l.cause <> 'dismiss'
			AND (search_event.whoever OR l.tenant IS NOT DISTINCT FROM search_event.tenant)
		ORDER BY l.data IS NULL, l.logged_at DESC
		LIMIT 1;
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	-- The log keeps the data of what was delivered in the body of the request.
	logged.data := (
		SELECT webhook_internal.data_of_body(l.request_body, l.event_id, l.event_type)
			FROM webhook.log l
			WHERE l.event_id = search_event.event AND l.request_body IS NOT NULL
				AND (search_event.whoever OR l.tenant IS NOT DISTINCT FROM search_event.tenant)
			ORDER BY l.logged_at DESC
			LIMIT 1);
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	SELECT p.id, p.event_id, p.event_type, nullif(p.subject, ''), p.data, p.created_at, p.tenant,
			p.context ->> 'traceparent', p.context -> 'context',
			CASE WHEN p.position = p.id THEN p.txid ELSE '0' END, NULL
		INTO present
		FROM (
			SELECT o.*
				FROM webhook_internal.pending o
				WHERE o.subscription_id = search_event.subscription
			UNION ALL
			SELECT a.* FROM webhook_internal.pending a
		) p
		WHERE p.event_id = search_event.event
			AND (search_event.whoever OR p.tenant IS NOT DISTINCT FROM search_event.tenant)
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	SELECT r.id, r.event_id, r.event_type, r.subject, r.data, r.created_at, r.tenant,
			r.context ->> 'traceparent', (r.context -> 'context')::jsonb, r.txid, NULL
		INTO present
		FROM webhook_internal.ring r
		WHERE r.event_id = search_event.event
			AND (search_event.whoever AND r.kind IN ('e', 't', 'p')
				OR webhook_internal.is_for(r.kind, r.tenant, search_event.tenant)
					-- What a tenant may not get it has not heard of.
					AND (webhook_internal.caller_sees_all()
						OR webhook_internal.may_get(search_event.tenant, r.event_type)))
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;

	-- The command for a replay or a ping contains the event.
	SELECT (r.data ->> 'id')::bigint, r.event_id, r.event_type, r.subject, r.data -> 'data',
			'2000-01-01 00:00+00'::timestamptz
				+ (r.data ->> 'created_at')::bigint * interval '1 microsecond',
			r.tenant, r.context ->> 'traceparent', r.context -> 'context',
			coalesce(r.data ->> 'txid', '0'), NULL
		INTO present
		FROM webhook_internal.ring r
		WHERE r.kind = 'r' AND r.event_id = search_event.event
			AND (search_event.whoever OR r.tenant IS NOT DISTINCT FROM search_event.tenant)
			AND NOT r.data ->> 'cause' = 'dismiss'
		LIMIT 1;
	RETURN CASE WHEN FOUND THEN present ELSE logged END;
END
$$;
COMMENT ON FUNCTION webhook_internal.search_event(uuid, bigint, text, boolean) IS 'what find_event() looks at, whether it was erased or not';

-- The result has data if the event can be sent again, and no id if it is unknown. What
-- another tenant, or the platform, has of it is not looked at, whoever calls.
CREATE FUNCTION webhook_internal.find_event(
	event uuid,
	subscription bigint,
	tenant text,
	whoever boolean
) RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e			webhook_internal.found_event;
	made_by		xid8;
BEGIN
	e := webhook_internal.search_event(event, subscription, tenant, whoever);
	e.erased_at := webhook_internal.erased_at(e.subject, e.id, e.txid);
	IF e.erased_at IS NOT NULL AND e.txid = '0' THEN
		-- The ring may tell more, but all of it has to be read.
		SELECT r.txid
			INTO made_by
			FROM webhook_internal.ring r
			WHERE r.event_id = find_event.event AND r.kind IN ('e', 't', 'p');
		IF FOUND THEN
			e.txid := made_by;
			e.erased_at := webhook_internal.erased_at(e.subject, e.id, e.txid);
		END IF;
	END IF;
	IF e.erased_at IS NOT NULL THEN
		e.data := NULL;
		e.context := NULL;
		e.traceparent := NULL;
	END IF;
	RETURN e;
END
$$;
COMMENT ON FUNCTION webhook_internal.find_event(uuid, bigint, text, boolean) IS 'the event, from the log, pending deliveries (of the subscription first) or the ring, as the tenant has it; null: the platform; or whoever has it; without data and context if it was erased';

CREATE FUNCTION webhook_internal.require_event(event uuid, subscription bigint, tenant text)
	RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found		webhook_internal.found_event;
BEGIN
	PERFORM webhook_internal.require_not_null('event', event IS NULL, 'Give the Id of an event.');
	found := webhook_internal.find_event(event, subscription, tenant, false);
	IF found.id IS NULL THEN
		RAISE EXCEPTION 'event % does not exist', event
			USING ERRCODE = 'undefined_object',
				COLUMN = 'event',
				HINT = 'See views webhook.event, webhook.pending_delivery and webhook.dead_letter.';
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_event(uuid, bigint, text) IS 'the event, looked for as by find_event(), as the tenant has it; raises an error if it is in none of these places';

-- The event of a ping is in the command, then in pending or the log; it is in no other delivery.
CREATE FUNCTION webhook_internal.is_ping(event uuid, subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		coalesce(
			(SELECT l.cause
				FROM webhook.log l
				WHERE l.event_id = is_ping.event AND l.cause <> 'dismiss'
				LIMIT 1),
			(SELECT p.cause
				FROM webhook_internal.pending p
				WHERE p.subscription_id = is_ping.subscription AND p.event_id = is_ping.event
				LIMIT 1),
			(SELECT p.cause
				FROM webhook_internal.pending p
				WHERE p.event_id = is_ping.event
				LIMIT 1),
			(SELECT r.data ->> 'cause'
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND r.event_id = is_ping.event
				LIMIT 1)) = 'ping',
		false)
$$;
COMMENT ON FUNCTION webhook_internal.is_ping(uuid, bigint) IS 'true if the event is that of a ping; it is looked for as by find_event()';

CREATE FUNCTION webhook_internal.is_confirmation(event uuid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook.log l
			WHERE l.event_id = is_confirmation.event AND l.cause = 'confirm')
$$;
COMMENT ON FUNCTION webhook_internal.is_confirmation(uuid) IS 'true if the event asks an endpoint for its challenge';

CREATE FUNCTION webhook.ping(subscription bigint, event_type text DEFAULT NULL) RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.ping(bigint, text) IS 'send a test event to a subscription: of type webhook.ping, or the example of another event type; returns its Id; a ping that fails does not count against the endpoint';

CREATE FUNCTION webhook_internal.ping(subscription bigint, event_type text) RETURNS uuid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	created_at	timestamptz := clock_timestamp();
	event		uuid := webhook_internal.new_event_id(created_at);
	data		json;
BEGIN
	PERFORM webhook_internal.require_unfenced(subscription);
	IF event_type IS NULL THEN
		data := format('{"SubscriptionId":%s}', subscription);
	ELSE
		SELECT t.example
			INTO data
			FROM webhook_internal.visible_event_types() t
			WHERE t.name = event_type
				AND webhook_internal.may_get((
						SELECT s.tenant FROM webhook_internal.subscription s
							WHERE s.id = ping.subscription),
					t.name);
		IF NOT FOUND THEN
			PERFORM webhook_internal.raise_unknown_event_type(event_type, 'event_type');
		ELSIF data IS NULL THEN
			RAISE EXCEPTION 'event type "%" has no example', event_type
				USING ERRCODE = 'object_not_in_prerequisite_state',
					COLUMN = 'event_type',
					HINT = 'Give it one with webhook.alter_event_type(), or omit event_type to send an event webhook.ping.';
		END IF;
	END IF;
	PERFORM webhook_internal.replay(subscription, 'ping', 0::bigint, '0'::xid8, event, created_at,
		coalesce(event_type, 'webhook.ping'), NULL::text, data,
		(SELECT s.tenant FROM webhook_internal.subscription s WHERE s.id = ping.subscription),
		NULL::json);
	PERFORM webhook_internal.audit('ping'::text, subscription, event,
		jsonb_strip_nulls(jsonb_build_object('event_type', event_type)));
	RETURN event;
END
$$;
COMMENT ON FUNCTION webhook_internal.ping(bigint, text) IS 'what webhook.ping() does, with the rights of the owner';

CREATE FUNCTION webhook.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resend(uuid, bigint) IS 'send an event to a subscription that takes such events once more, after waiting deliveries of its subject';

CREATE FUNCTION webhook_internal.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook_internal.found_event;
	s			webhook_internal.subscription;
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = resend.subscription;
	known := webhook_internal.require_event(event, subscription, s.tenant);
	IF webhook_internal.is_confirmation(event) THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = 'It asks an endpoint for its challenge.',
				HINT = format('Set the endpoint with webhook.alter_subscription(%s, endpoint => ...) to ask again.', subscription);
	END IF;
	IF webhook_internal.is_ping(event, subscription) THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = 'It is a ping.',
				HINT = format('Send another one with webhook.ping(%s%s).', subscription,
					CASE WHEN known.event_type <> 'webhook.ping'
						THEN format(', %L', known.event_type) END);
	END IF;
	IF known.data IS NULL THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'event',
				DETAIL = CASE
					WHEN known.erased_at IS NOT NULL THEN 'It was erased by webhook.erase().'
					ELSE 'It is no longer in the ring, and the log does not have its data.' END,
				HINT = 'Events are kept for webhook.event_retention, the log for webhook.log_retention.';
	END IF;
	IF NOT webhook_internal.takes(s, known.event_type, known.data) THEN
		RAISE EXCEPTION 'subscription % does not take event %', subscription, event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = CASE
					WHEN NOT webhook_internal.may_get(s.tenant, known.event_type) THEN
						format('The event is of type %s, which tenant "%s" may not get.',
							known.event_type, s.tenant)
					WHEN webhook_internal.accepts(s.filter, known.data) THEN
						format('The event is of type %s; the subscription takes: %s.',
							known.event_type, array_to_string(s.events, ', '))
					ELSE format('The filter of the subscription is not true for it: %s', s.filter)
				END,
				HINT = 'Choose another subscription, or change this one with webhook.alter_subscription().';
	END IF;
	IF EXISTS (SELECT FROM webhook_internal.pending p
		WHERE p.event_id = resend.event AND p.subscription_id = resend.subscription)
	THEN
		RAISE NOTICE 'event % already waits for subscription %, and is sent once more', event, subscription
			USING HINT = format('To try what waits now, call webhook.retry(%s).', subscription);
	END IF;
	PERFORM webhook_internal.replay(subscription, 'resend', known.id, known.txid,
		known.event_id, known.created_at, known.event_type, known.subject, known.data, s.tenant,
		webhook_internal.event_context(known.traceparent, known.context));
	PERFORM webhook_internal.audit('resend'::text, subscription, event, NULL::jsonb);
END
$$;
COMMENT ON FUNCTION webhook_internal.resend(uuid, bigint) IS 'what webhook.resend() does, with the rights of the owner';

CREATE FUNCTION webhook.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.cancel(uuid, bigint) IS 'cancel the deliveries of an event to a subscription; a request in flight is the last; if it has failed or was cancelled already, dismiss the dead letter';

CREATE FUNCTION webhook_internal.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	known		webhook_internal.found_event;
	last		record;
	owned_by	text;			-- tenant of the subscription
	under_way	boolean;		-- it waits, or may be in memory
BEGIN
	PERFORM webhook_internal.require_subscription(cancel.subscription);
	SELECT s.tenant INTO owned_by FROM webhook_internal.subscription s
		WHERE s.id = cancel.subscription;
	known := webhook_internal.require_event(cancel.event, cancel.subscription, owned_by);
	SELECT l.position, l.outcome, l.cause
		INTO last
		FROM webhook.log l
		WHERE l.event_id = cancel.event AND l.subscription_id = cancel.subscription
		ORDER BY l.logged_at DESC, l.position DESC
		LIMIT 1;
	under_way := last.outcome = 'retrying' AND last.cause <> 'confirm'
		OR EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.event_id = cancel.event AND p.subscription_id = cancel.subscription)
		OR EXISTS (
			SELECT
				FROM webhook_internal.ring r
				WHERE r.event_id = cancel.event AND r.id > coalesce(last.position, 0)
					AND (webhook_internal.is_for(r.kind, r.tenant, owned_by)
						AND NOT webhook_internal.is_processed(r.txid, r.id)
						OR r.kind = 'r'
						AND webhook_internal.is_replay_to(r.data, cancel.subscription)));
	IF under_way THEN
		PERFORM webhook_internal.command('k'::"char", cancel.subscription, known.subject, cancel.event);
		PERFORM webhook_internal.audit('cancel'::text, cancel.subscription, cancel.event, NULL::jsonb);
	ELSIF last.outcome IN ('failed', 'cancelled') AND last.cause NOT IN ('ping', 'confirm', 'dismiss') THEN
		PERFORM webhook_internal.replay(cancel.subscription, 'dismiss', known.id, known.txid,
			known.event_id, known.created_at, known.event_type, known.subject,
			coalesce(known.data, 'null'),
			(SELECT s.tenant FROM webhook_internal.subscription s WHERE s.id = cancel.subscription),
			webhook_internal.event_context(known.traceparent, known.context));
		PERFORM webhook_internal.audit('cancel'::text, cancel.subscription, cancel.event,
			'{"dismissed": true}'::jsonb);
	ELSE
		RAISE NOTICE 'there is nothing to cancel of event % for subscription %',
			cancel.event, cancel.subscription
			USING HINT = format('webhook.explain(%L, %s) says what became of it.', cancel.event,
				cancel.subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.cancel(uuid, bigint) IS 'what webhook.cancel() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.check_subject(subject text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF subject = '' THEN
		RAISE EXCEPTION 'subject must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'subject',
				HINT = 'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().';
	END IF;
	PERFORM webhook_internal.require_length('subject', octet_length(subject),
		(webhook_internal.bounds()).subject_bytes,
		'Give a subject from view webhook.pending_delivery.');
END
$$;
COMMENT ON FUNCTION webhook_internal.check_subject(text) IS 'raise an error if no delivery can have this subject';

CREATE FUNCTION webhook.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.skip(bigint, text) IS 'cancel the first waiting delivery of a subject to a subscription, so that the next one is sent';

CREATE FUNCTION webhook_internal.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	PERFORM webhook_internal.require_not_null('subject', subject IS NULL,
		'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().');
	PERFORM webhook_internal.check_subject(subject);
	IF webhook_internal.may_wait(subscription, subject) THEN
		PERFORM webhook_internal.audit('skip'::text, subscription, NULL::uuid,
			jsonb_build_object('subject', subject));
	ELSE
		RAISE NOTICE 'no delivery of subject "%" waits for subscription %', subject, subscription
			USING HINT = 'See view webhook.pending_delivery.';
	END IF;
	PERFORM webhook_internal.command('s'::"char", subscription, subject, NULL::uuid);
END
$$;
COMMENT ON FUNCTION webhook_internal.skip(bigint, text) IS 'what webhook.skip() does, with the rights of the owner';

CREATE FUNCTION webhook.retry(subscription bigint, subject text DEFAULT NULL) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.retry(bigint, text) IS 'try now: what waits for a retry, of the subject or of all, is due at once, and an open circuit breaker closes; returns the number of waiting deliveries';

CREATE FUNCTION webhook_internal.retry(subscription bigint, subject text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	waiting		bigint;
BEGIN
	PERFORM webhook_internal.require_unfenced(retry.subscription);
	PERFORM webhook_internal.check_subject(retry.subject);
	SELECT count(*)
		INTO waiting
		FROM webhook_internal.pending p
		WHERE p.subscription_id = retry.subscription
			AND (retry.subject IS NULL OR p.subject = retry.subject);
	PERFORM webhook_internal.command('d'::"char", retry.subscription, retry.subject, NULL::uuid);
	IF waiting > 0 OR webhook_internal.has_open_breaker(retry.subscription) THEN
		PERFORM webhook_internal.audit('retry'::text, retry.subscription, NULL::uuid,
			jsonb_build_object('subject', retry.subject, 'count', waiting));
	END IF;
	RETURN waiting;
END
$$;
COMMENT ON FUNCTION webhook_internal.retry(bigint, text) IS 'what webhook.retry() does, with the rights of the owner';

CREATE FUNCTION webhook.erase(subject text) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.erase(text) IS 'keep nothing that was sent about a subject, to whomever: bodies, data and context leave the log, whose rows stay, and what waits is cancelled; returns the number of rows of the log and of waiting deliveries that have something to erase';

CREATE FUNCTION webhook_internal.erase(subject text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	kept		bigint;
BEGIN
	PERFORM webhook_internal.require_not_null('subject', erase.subject IS NULL,
		'Give a subject, for example ''business_request/42''; see column subject of webhook.log.');
	PERFORM webhook_internal.check_subject(erase.subject);
	SELECT (SELECT count(*)
				FROM webhook.log l
				WHERE l.subject = erase.subject
					AND num_nonnulls(l.request_body, l.response_body, l.context, l.data) > 0)
			+ (SELECT count(*)
				FROM webhook_internal.pending p
				WHERE p.subject = erase.subject)
		INTO kept;
	-- What is in memory is in the ring, too, and what is there may be sent again: all that
	-- no erasure means so far. A snapshot of before does not show it.
	IF kept > 0 OR current_setting('transaction_isolation') <> 'read committed'
		OR EXISTS (SELECT FROM webhook_internal.ring r
			WHERE r.subject = erase.subject AND r.kind IN ('e', 't', 'p', 'r')
				AND webhook_internal.erased_at(r.subject, r.id, r.txid) IS NULL)
	THEN
		PERFORM webhook_internal.command('z'::"char", NULL::bigint, erase.subject, NULL::uuid);
		PERFORM webhook_internal.audit('erase'::text, NULL::bigint, NULL::uuid, (
			SELECT jsonb_build_object('subject', r.subject, 'count', kept, 'id', r.id,
					'txid', r.txid, 'snapshot', r.data ->> 'snapshot')
				FROM webhook_internal.ring r
				WHERE r.txid = pg_current_xact_id() AND r.kind = 'z'
				ORDER BY r.id DESC
				LIMIT 1));
	END IF;
	RETURN kept;
END
$$;
COMMENT ON FUNCTION webhook_internal.erase(text) IS 'what webhook.erase() does, with the rights of the owner';

-- Where an answer may lack what is kept no longer, people are told.
CREATE FUNCTION webhook_internal.warn_of_retention(what text, since timestamptz) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	setting		text := CASE what WHEN 'missing' THEN 'webhook.event_retention'
					ELSE 'webhook.log_retention' END;
	kept_since	timestamptz := clock_timestamp() - current_setting(setting)::interval;
BEGIN
	-- All that is kept was asked for, or nothing is so old: what was asked for, the
	-- extension, or what the ring still has.
	IF since = '-infinity' OR since >= kept_since
		OR (SELECT min(t.created_at) FROM webhook_internal.event_type t) >= kept_since
		OR what = 'missing' AND (SELECT min(r.created_at) FROM webhook_internal.ring r) <= since
	THEN
		RETURN;
	END IF;
	RAISE WARNING 'events since % may be kept no longer', since
		USING DETAIL = format('Setting %s is %s.', setting, current_setting(setting)),
			HINT = 'What is kept is found; ''-infinity'' asks for all of it.';
END
$$;
COMMENT ON FUNCTION webhook_internal.warn_of_retention(text, timestamptz) IS 'warn if what recover() looks for may have been deleted';

CREATE FUNCTION webhook.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz DEFAULT now(),
	what text DEFAULT 'failed',
	dry_run boolean DEFAULT false
) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'send events that occurred in a period, and that the subscription takes, to it: those that failed or were cancelled, with what => missing those that were never attempted, with what => delivered those that were delivered; returns their number; with dry_run they are only counted';

CREATE FUNCTION webhook_internal.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz,
	what text,
	dry_run boolean
) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s			webhook_internal.subscription;
	e			record;
	count		bigint := 0;
	told_at		timestamptz := clock_timestamp();
	-- Older leaves of the log need not be read; a day allows for a wrong clock.
	logged_since timestamptz := greatest(recover.since, '2000-01-01 00:00+00') - interval '1 day';
BEGIN
	PERFORM webhook_internal.require_not_null('since', recover.since IS NULL,
		'Give the time of the first event, or ''-infinity''.');
	PERFORM webhook_internal.require_not_null('until', recover.until IS NULL,
		'Give the time after the last event, or ''infinity''.');
	PERFORM webhook_internal.require_not_null('what', recover.what IS NULL,
		'Use ''failed'', ''missing'' or ''delivered''.');
	PERFORM webhook_internal.require_not_null('dry_run', recover.dry_run IS NULL,
		'Use true only to count, false to send.');
	IF recover.what NOT IN ('failed', 'missing', 'delivered') THEN
		RAISE EXCEPTION 'unrecognized value for parameter "what": "%"',
				webhook_internal.clipped(recover.what)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'what',
				HINT = 'Use ''failed'' for events that failed or were cancelled, ''missing'' for events that were never attempted, ''delivered'' for events that were delivered.';
	END IF;
	IF recover.since > recover.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'since',
				DETAIL = format('%s is later than %s.', recover.since, recover.until),
				HINT = 'Events are sent that occurred at or after since, and before until.';
	END IF;
	PERFORM webhook_internal.require_enabled(recover.subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = recover.subscription;
	s.since := webhook_internal.local_start_snapshot(s.home, s.since);
	PERFORM webhook_internal.warn_of_retention(recover.what, recover.since);

	-- An event whose replay has not ended is left out. The ring is searched for
	-- replays once, even if the planner has no statistics of it yet.
	FOR e IN
		WITH replay AS MATERIALIZED (
			SELECT r.event_id, max(r.id) AS id
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND webhook_internal.is_replay_to(r.data, recover.subscription)
				GROUP BY r.event_id),
		candidate AS (
			SELECT d.id, d.event_id, d.created_at, d.event_type, d.subject, d.data,
					d.traceparent, d.context, coalesce(v.txid, '0') AS txid
				FROM webhook.dead_letter d
					-- The log does not have the transaction that made the event.
					LEFT JOIN webhook_internal.ring v ON v.event_id = d.event_id
						AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
				WHERE recover.what = 'failed'
					AND d.subscription_id = s.id AND d.tenant IS NOT DISTINCT FROM s.tenant
					AND d.created_at >= recover.since AND d.created_at < recover.until
					AND d.logged_at >= logged_since
					AND d.data IS NOT NULL
					AND webhook_internal.takes(s, d.event_type, d.data)
					AND NOT EXISTS (
						SELECT
							FROM replay r
							WHERE r.event_id = d.event_id AND r.id > d.position)
			UNION ALL
			SELECT l.id, l.event_id, l.created_at, l.event_type, l.subject, x.data,
					l.traceparent, l.context, coalesce(v.txid, '0')
				FROM webhook.log l
					LEFT JOIN webhook_internal.ring v ON v.event_id = l.event_id
						AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
					CROSS JOIN LATERAL (
						SELECT coalesce(v.data, webhook_internal.data_of_body(l.request_body,
								l.event_id, l.event_type)) AS data
					) x
				WHERE recover.what = 'delivered'
					AND l.subscription_id = s.id AND l.tenant IS NOT DISTINCT FROM s.tenant
					AND l.outcome = 'delivered' AND l.cause NOT IN ('ping', 'confirm')
					AND l.created_at >= recover.since AND l.created_at < recover.until
					AND l.logged_at >= logged_since
					AND x.data IS NOT NULL
					AND webhook_internal.takes(s, l.event_type, x.data)
					AND NOT EXISTS (
						SELECT
							FROM webhook.log n
							WHERE n.event_id = l.event_id AND n.subscription_id = s.id
								AND (n.logged_at, n.position) > (l.logged_at, l.position))
					AND NOT EXISTS (
						SELECT
							FROM webhook_internal.pending p
							WHERE p.event_id = l.event_id AND p.subscription_id = s.id)
					AND NOT EXISTS (
						SELECT
							FROM replay r
							WHERE r.event_id = l.event_id AND r.id > l.position)
			UNION ALL
			SELECT v.id, v.event_id, v.created_at, v.event_type, v.subject, v.data,
					v.context ->> 'traceparent', (v.context -> 'context')::jsonb, v.txid
				FROM webhook_internal.ring v
				WHERE recover.what = 'missing'
					AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
					AND v.created_at >= recover.since AND v.created_at < recover.until
					-- All other events are delivered anyway.
					AND (pg_visible_in_snapshot(v.txid, s.since)
						OR webhook_internal.is_processed(v.txid, v.id))
					AND webhook_internal.takes(s, v.event_type, v.data)
					AND NOT EXISTS (
						SELECT
							FROM webhook.log l
							WHERE l.event_id = v.event_id AND l.subscription_id = s.id)
					AND NOT EXISTS (
						SELECT
							FROM webhook_internal.pending p
							WHERE p.event_id = v.event_id AND p.subscription_id = s.id
								AND p.subject = coalesce(v.subject, ''))
					AND NOT EXISTS (
						SELECT
							FROM replay r
							WHERE r.event_id = v.event_id))
		SELECT c.id, c.event_id, c.created_at, c.event_type, c.subject, c.data, c.traceparent,
				c.context, c.txid
			FROM candidate c
			WHERE NOT EXISTS (
				SELECT
					FROM webhook_internal.erasure a
					WHERE a.subject = c.subject
						AND webhook_internal.means(a.id, a.txid, a.snapshot, c.id, c.txid))
			ORDER BY c.id
	LOOP
		IF NOT recover.dry_run THEN
			PERFORM webhook_internal.replay(s.id, 'recover', e.id, e.txid, e.event_id, e.created_at,
				e.event_type, e.subject, e.data, s.tenant,
				webhook_internal.event_context(e.traceparent, e.context));
		END IF;
		count := count + 1;
		IF count % 100000 = 0 OR clock_timestamp() - told_at > interval '10 s' THEN
			RAISE NOTICE 'events so far: %, the last one of %', count, e.created_at;
			told_at := clock_timestamp();
		END IF;
	END LOOP;
	IF count > 0 AND NOT recover.dry_run THEN
		PERFORM webhook_internal.audit('recover'::text, s.id, NULL::uuid, jsonb_build_object(
			'since', recover.since, 'until', recover.until, 'what', recover.what, 'count', count));
	END IF;
	RETURN count;
END
$$;
COMMENT ON FUNCTION webhook_internal.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'what webhook.recover() does, with the rights of the owner';
/*
 * config(): the statements that set all of it up
 *
 * A statement says the same when it is executed again, and then changes nothing. Where a
 * function would refuse what is there already, a condition keeps it from being called. What
 * may not be made anew, but may stay, is made before what forbids it: an event type is
 * deprecated at the end, and a tenant that is new may have everything until then. What cannot
 * be made at all is a comment.
 */

CREATE FUNCTION webhook.config(secrets boolean DEFAULT false) RETURNS SETOF text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.config(boolean) IS 'statements that recreate event types, tenants, watches and subscriptions, here or in another database; what people or the worker have disabled is disabled there; with secrets they contain secrets and credentials';

-- What finds a subscription again: its name, or, if it has none, what it sends where and
-- which one of several such it is. It is PL/pgSQL: auto_explain logs the parameters of a
-- function in SQL, and s has credentials.
CREATE FUNCTION webhook_internal.config_key(
	s webhook_internal.subscription,
	which bigint,
	OUT condition text,
	OUT number bigint
) RETURNS record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	condition := CASE WHEN s.tenant IS NULL THEN 'tenant IS NULL'
				ELSE format('tenant = %L', s.tenant) END
			|| CASE WHEN s.name IS NOT NULL THEN format(' AND name = %L', s.name)
				ELSE format(' AND name IS NULL AND endpoint = %L AND events = %L',
					webhook_internal.redacted_endpoint(s.endpoint), s.events) END;
	number := CASE WHEN s.name IS NULL THEN which ELSE 1 END;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_key(webhook_internal.subscription, bigint) IS 'condition on view webhook.subscription that the subscription is found by, and which of its rows it is';

CREATE FUNCTION webhook_internal.config_subscription(
	s webhook_internal.subscription,
	which bigint,
	secret text
) RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
DECLARE
	key			record := webhook_internal.config_key(s, which);
	found		text := format('FROM (SELECT id, paused FROM webhook.subscription WHERE %s ORDER BY id LIMIT 1 OFFSET %s) AS s',
					key.condition, key.number - 1);
BEGIN
	RETURN NEXT 'SELECT webhook.subscribe('
		|| array_to_string(ARRAY[
			format('%L', s.endpoint),
			format('%L', s.events),
			'name => ' || quote_literal(s.name),
			'tenant => ' || quote_literal(s.tenant),
			'description => ' || quote_literal(s.description),
			'secret => ' || quote_literal(config_subscription.secret),
			CASE WHEN s.headers <> '{}' THEN format('headers => %L', s.headers) END,
			CASE WHEN s.signature_schemes <> '{standard}'
				THEN format('signature_schemes => %L', s.signature_schemes) END,
			'filter => ' || quote_literal(s.filter::text),
			CASE WHEN s.payload_format <> 'envelope'
				THEN format('payload_format => %L', s.payload_format) END,
			CASE WHEN NOT s.ordered THEN 'ordered => false' END,
			'max_in_flight => ' || s.max_in_flight,
			'rate_limit => ' || quote_literal(s.rate_limit::text),
			'timeout => ' || quote_literal(s.timeout::text),
			'retry_schedule => ' || quote_literal(s.retry_schedule::text),
			'max_age => ' || quote_literal(s.max_age::text),
			CASE WHEN s.final_statuses <> '{}'
				THEN format('final_statuses => %L', s.final_statuses) END,
			'ca => ' || quote_literal(s.ca),
			'client_certificate => ' || quote_literal(s.client_certificate),
			CASE WHEN s.include_context THEN 'include_context => true' END,
			'log_bodies => ' || quote_literal(s.log_bodies)], ', ')
		|| ')'
		|| CASE WHEN s.name IS NULL
			THEN format(' WHERE (SELECT count(*) FROM webhook.subscription WHERE %s) < %s',
				key.condition, key.number)
			ELSE '' END
		|| ';';
	IF s.paused THEN
		RETURN NEXT format('SELECT webhook.pause(s.id) %s WHERE NOT s.paused;', found);
	END IF;
	IF webhook_internal.is_disabled(s.id) THEN
		RETURN NEXT format('SELECT webhook.alter_subscription(s.id, enabled => false) %s JOIN webhook.stat_subscription AS t ON t.subscription_id = s.id WHERE t.state <> ''disabled'';',
			found);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_subscription(webhook_internal.subscription, bigint, text) IS 'statements that recreate the subscription, with this secret; null: with any; one that people or the worker have disabled is disabled there';

CREATE FUNCTION webhook_internal.config_watch(w webhook.watched_table, relation text)
	RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	label		constant name := webhook_internal.watch_label(w.event_type);
	watch		constant text := format('The watch of %s for %s', to_json(relation), w.event_type);
BEGIN
	IF w.missing_columns <> '{}' THEN
		RETURN NEXT format('-- %s lacks columns: %s.', watch, to_json(w.missing_columns));
		RETURN;
	END IF;
	RETURN NEXT format('SELECT webhook.watch(%s) WHERE NOT EXISTS (SELECT FROM webhook.watched_table WHERE relation = %L::regclass AND event_type = %L);',
		array_to_string(ARRAY[
			quote_literal(relation), quote_literal(w.event_type),
			format('status_column => %L', w.status_column),
			format('id_columns => %L', w.id_columns),
			format('data_columns => %L', w.data_columns),
			format('name => %L', w.name),
			'tenant_column => ' || quote_literal(w.tenant_column),
			-- Children that were made after the watch are left out by it, too.
			CASE WHEN w.parent_only OR w.children <> '{}' THEN 'parent_only => true' END], ', '),
		relation, w.event_type);
	IF w.other_partitions <> '{}' THEN
		RETURN NEXT format('-- %s is not the same on these partitions: %s.', watch,
			to_json(w.other_partitions::text[]));
	ELSIF w.enabled <> 'origin' AND NOT EXISTS (
		SELECT FROM pg_trigger t WHERE t.tgrelid = w.relation AND t.tgname = label)
	THEN
		RETURN NEXT format('-- %s has a trigger of another name, which is enabled in another way: %s.',
			watch, w.enabled);
	ELSIF w.enabled <> 'origin' THEN
		RETURN NEXT format('ALTER TABLE %s %s TRIGGER %I;', relation,
			CASE w.enabled WHEN 'disabled' THEN 'DISABLE' ELSE 'ENABLE ' || upper(w.enabled) END,
			label);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_watch(webhook.watched_table, text) IS 'statements that recreate the watch of a table, of this qualified name; what cannot be recreated is a comment';

CREATE FUNCTION webhook_internal.config(secrets boolean) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	r			record;
BEGIN
	PERFORM webhook_internal.require_not_null('secrets', config.secrets IS NULL,
		'Use true for statements with secrets and credentials, false for statements without.');
	IF config.secrets THEN
		-- They are known from here on, even if the row of the audit is rolled back.
		RAISE LOG 'the secrets of all webhook subscriptions are shown to role "%"',
			webhook_internal.caller();
		PERFORM webhook_internal.audit('config'::text, NULL::bigint, NULL::uuid,
			'{"secrets": true}'::jsonb);
	END IF;

	FOR r IN
		SELECT t.*
			FROM webhook_internal.event_type t
			WHERE NOT starts_with(t.name, 'webhook.')
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_event_type(%1$L) WHERE NOT EXISTS (SELECT FROM webhook.event_type WHERE name = %1$L);',
			r.name);
		RETURN NEXT format('SELECT webhook.alter_event_type(%L, description => %L, schema => %L, example => %L%s);',
			r.name, coalesce(r.description, ''), coalesce(r.schema, 'null'),
			coalesce(r.example, 'null'),
			CASE WHEN r.deprecated_at IS NULL THEN ', deprecated => false' END);
	END LOOP;

	FOR r IN
		SELECT t.name, greatest(t.max_subscriptions, h.subscriptions) AS max_subscriptions,
				'{*}' || ARRAY(
				SELECT DISTINCT e.name
					FROM webhook_internal.subscription s, unnest(s.events) AS e (name)
					WHERE s.tenant = t.name AND webhook_internal.is_own_type(e.name)
					ORDER BY e.name) AS all_events
			FROM webhook_internal.tenant t, webhook_internal.tenant_has(t.name) h
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_tenant(%1$L, %2$L, max_subscriptions => %3$s) WHERE NOT EXISTS (SELECT FROM webhook.tenant WHERE name = %1$L);',
			r.name, r.all_events, r.max_subscriptions);
	END LOOP;

	RETURN QUERY
		SELECT s.statement
			FROM webhook.watched_table w
				JOIN pg_class c ON c.oid = w.relation
				JOIN pg_namespace n ON n.oid = c.relnamespace
				CROSS JOIN webhook_internal.config_watch(w, format('%I.%I', n.nspname, c.relname))
					WITH ORDINALITY AS s (statement, place)
			ORDER BY n.nspname, c.relname, w.event_type, s.place;

	FOR r IN
		SELECT s AS subscription, s.id, s.name, s.tenant,
				webhook_internal.redacted_endpoint(s.endpoint) <> s.endpoint
					OR webhook_internal.redacted_headers(s.headers) <> s.headers AS is_secret,
				row_number() OVER (
					PARTITION BY s.tenant, s.name, s.events,
						webhook_internal.redacted_endpoint(s.endpoint)
					ORDER BY s.id) AS which,
				(SELECT x.secret
					FROM webhook_internal.subscription_secret x
					WHERE config.secrets AND x.subscription_id = s.id
						AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
					ORDER BY x.id DESC
					LIMIT 1) AS secret
			FROM webhook_internal.subscription s
			ORDER BY s.id
	LOOP
		IF r.is_secret AND NOT config.secrets THEN
			RETURN NEXT format('-- Subscription %s%s%s has credentials in its endpoint or headers; webhook.config(true) shows it.',
				coalesce(to_json(r.name)::text, r.id::text),
				CASE WHEN r.tenant IS NOT NULL THEN ' of tenant ' END, to_json(r.tenant));
		ELSE
			RETURN QUERY
				SELECT webhook_internal.config_subscription(r.subscription, r.which, r.secret);
		END IF;
	END LOOP;

	FOR r IN
		SELECT t.name, t.events, t.max_subscriptions, t.max_in_flight, t.rate_limit,
				array_remove(ARRAY[
					CASE WHEN h.subscriptions > t.max_subscriptions THEN 'max_subscriptions' END,
					CASE WHEN h.max_in_flight > t.max_in_flight THEN 'max_in_flight' END,
					CASE WHEN h.rate_limit > t.rate_limit THEN 'rate_limit' END], NULL) AS exceeded
			FROM webhook_internal.tenant t, webhook_internal.tenant_has(t.name) h
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_tenant(%s);', array_to_string(ARRAY[
			quote_literal(r.name), quote_literal(r.events)]
			|| ARRAY(
				SELECT format('%s => %L', c.cap, c.value)
					FROM (VALUES
						('max_subscriptions', r.max_subscriptions::text),
						('max_in_flight', coalesce(r.max_in_flight, 0)::text),
						('rate_limit', coalesce(r.rate_limit, 0)::text)) AS c (cap, value)
					WHERE c.cap <> ALL (r.exceeded)), ', '));
		IF r.exceeded <> '{}' THEN
			RETURN NEXT format('-- Tenant %s has more than these caps allow: %s.', to_json(r.name),
				array_to_string(r.exceeded, ', '));
		END IF;
	END LOOP;

	-- Those who have them keep them; a new subscription may not name them.
	FOR r IN
		SELECT t.name
			FROM webhook_internal.event_type t
			WHERE t.deprecated_at IS NOT NULL AND NOT starts_with(t.name, 'webhook.')
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.alter_event_type(%L, deprecated => true);', r.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.config(boolean) IS 'what webhook.config() does, with the rights of the owner';
/*
 * Signatures and secrets
 */

CREATE FUNCTION webhook.secret(subscription bigint) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.secret(bigint) IS 'the secret that the requests of a subscription are signed with, the newest if there are several';

CREATE FUNCTION webhook_internal.secret(subscription bigint) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	newest		text;
BEGIN
	PERFORM webhook_internal.require_subscription(secret.subscription);
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'subscription % has no secret', secret.subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				DETAIL = 'It sends nothing until it has one.',
				HINT = format('Call webhook.rotate_secret(%s).', secret.subscription);
	END IF;
	-- It is known from here on, even if the row of the audit is rolled back.
	RAISE LOG 'the secret of webhook subscription % is shown to role "%"', secret.subscription,
		webhook_internal.caller();
	PERFORM webhook_internal.audit('secret'::text, secret.subscription, NULL::uuid, NULL::jsonb);
	RETURN newest;
END
$$;
COMMENT ON FUNCTION webhook_internal.secret(bigint) IS 'what webhook.secret() does, with the rights of the owner';

CREATE FUNCTION webhook.rotate_secret(subscription bigint, overlap interval DEFAULT '24 hours')
	RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.rotate_secret(bigint, interval) IS 'give a subscription a new secret, which is returned; during the overlap requests are signed with the former secrets, too';

CREATE FUNCTION webhook_internal.rotate_secret(subscription bigint, overlap interval)
	RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET intervalstyle = postgres
AS $$
#variable_conflict use_column
DECLARE
	key			text := webhook_internal.checked_secret(NULL::text);
	ends_at		timestamptz;
	first_end	timestamptz;
	active		bigint;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.require_not_null('overlap', rotate_secret.overlap IS NULL,
		'Give the time during which former secrets sign, too; ''0'' ends them at once.');
	ends_at := clock_timestamp() + webhook_internal.checked_duration('overlap', rotate_secret.overlap,
		'0', '7 days', 'Choose the time that the receiver needs to take over the new secret.');
	PERFORM webhook_internal.require_subscription(rotate_secret.subscription);
	PERFORM FROM webhook_internal.subscription s WHERE s.id = rotate_secret.subscription FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(rotate_secret.subscription);
	END IF;

	-- A secret that ends earlier keeps its end.
	UPDATE webhook_internal.subscription_secret x
		SET expires_at = ends_at
		WHERE x.subscription_id = rotate_secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > ends_at);
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription
			AND x.expires_at <= clock_timestamp();
	SELECT count(*), min(x.expires_at)
		INTO active, first_end
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription;
	IF active >= 3 THEN
		RAISE EXCEPTION 'subscription % already has three active secrets', rotate_secret.subscription
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'overlap',
				DETAIL = format('The first of them ends at %s.', first_end),
				HINT = 'Wait until then, or give a shorter overlap; ''0'' ends all former secrets at once.';
	END IF;

	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (rotate_secret.subscription, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(rotate_secret.subscription, true);
	PERFORM webhook_internal.audit('rotate_secret'::text, rotate_secret.subscription,
		NULL::uuid, jsonb_build_object('overlap', rotate_secret.overlap));
	RETURN key;
END
$$;
COMMENT ON FUNCTION webhook_internal.rotate_secret(bigint, interval) IS 'what webhook.rotate_secret() does, with the rights of the owner';

CREATE FUNCTION webhook.sign(secret text, id text, unix_time bigint, body text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_sign';
COMMENT ON FUNCTION webhook.sign(text, text, bigint, text) IS 'the signature of a request, as in header webhook-signature';

CREATE FUNCTION webhook.verify(
	secret text,
	headers jsonb,
	body text,
	tolerance interval DEFAULT '5 min'
) RETURNS boolean
	LANGUAGE c PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_verify';
COMMENT ON FUNCTION webhook.verify(text, jsonb, text, interval) IS 'true if a request is signed with the secret and is not older than the tolerance; null: any age';
/*
 * Views: what is going on
 */

/*
 * The policy of the log. It is on the partitioned table alone: a leaf has no grants but
 * those of roles that dump it, and row-level security on what is dumped would end their
 * dumps.
 */
ALTER TABLE webhook.log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook.log
	USING ((SELECT webhook_internal.sees_all()) OR tenant = (SELECT webhook_internal.my_tenant()));
COMMENT ON POLICY own ON webhook.log IS 'a tenant sees the rows of its subscriptions';

CREATE VIEW webhook.pending_delivery WITH (security_barrier) AS
	SELECT p.subscription_id, p.tenant, nullif(p.subject, '') AS subject, p.event_id, p.event_type,
		p.cause, p.attempt, p.step, p.next_at, p.queued_at, p.created_at, p.position, p.id,
		f.event_id AS waits_for, f.queued_at AS waits_since,
		p.context ->> 'traceparent' AS traceparent, (p.context -> 'context')::jsonb AS context
	FROM webhook_internal.pending p
		LEFT JOIN LATERAL (
			SELECT w.event_id, w.queued_at, w.position, w.id
				FROM webhook_internal.pending w
				WHERE p.next_at IS NULL AND p.subject <> ''
					AND w.subscription_id = p.subscription_id AND w.subject = p.subject
				ORDER BY w.position, w.id
				LIMIT 1
		) f ON (f.position, f.id) <> (p.position, p.id)
	WHERE (SELECT webhook_internal.sees_all()) OR p.tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.pending_delivery IS 'waiting deliveries, and the delivery that each one waits for';
COMMENT ON COLUMN webhook.pending_delivery.subject IS 'subject of the event; null: it has none';
COMMENT ON COLUMN webhook.pending_delivery.waits_for IS 'Id of the event whose delivery this one waits behind, the first of the subject; webhook.skip() cancels it';
COMMENT ON COLUMN webhook.pending_delivery.waits_since IS 'when the delivery of waits_for began to wait';
COMMENT ON COLUMN webhook.pending_delivery.traceparent IS 'trace that caused the event, by webhook.traceparent; sent as a header';

-- What the view below may look up as whoever reads it. A view of two relations cannot be
-- written through, not even by its owner.
CREATE VIEW webhook_internal.subscription_id AS
	SELECT id FROM webhook_internal.subscription, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook_internal.subscription_id IS 'numbers of the subscriptions that the current user sees';

CREATE VIEW webhook_internal.pending_event AS
	SELECT subscription_id, subject, event_id
		FROM webhook_internal.pending, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook_internal.pending_event IS 'which events wait for which subscriptions that the current user sees';

/*
 * It is no barrier, which would keep an index from giving the order of the rows, and runs
 * as whoever reads it, so that the policy of the log applies.
 *
 * A view of two relations cannot be written through, not even by its owner. A time that
 * stands alone lets earlier leaves of the log be left out, a comparison of rows does not;
 * the subject lets the key of pending find the row. OFFSET 0 keeps what is looked up for a
 * row from becoming a join, for which all rows might be read before the first one is known.
 */
CREATE VIEW webhook.dead_letter WITH (security_invoker) AS
	SELECT l.subscription_id, l.event_id, l.id, l.event_type, l.subject, l.created_at,
		l.attempt, l.outcome, l.error_class, l.error, l.response_status, l.logged_at,
		l.position, l.data, l.tenant, l.traceparent, l.context
	FROM webhook.log l, (VALUES (0)) AS read_only
	WHERE l.outcome IN ('failed', 'cancelled')
		AND l.cause NOT IN ('ping', 'confirm', 'dismiss')
		AND EXISTS (
			SELECT
				FROM webhook_internal.subscription_id s
				WHERE s.id = l.subscription_id
				OFFSET 0)
		AND NOT EXISTS (
			SELECT
				FROM webhook.log n
				WHERE n.event_id = l.event_id AND n.subscription_id = l.subscription_id
					AND n.logged_at >= l.logged_at
					AND (n.logged_at, n.position) > (l.logged_at, l.position)
				OFFSET 0)
		AND NOT EXISTS (
			SELECT
				FROM webhook_internal.pending_event p
				WHERE p.subscription_id = l.subscription_id
					AND p.subject = coalesce(l.subject, '') COLLATE "C"
					AND p.event_id = l.event_id
				OFFSET 0);
COMMENT ON VIEW webhook.dead_letter IS 'deliveries that failed or were cancelled, until webhook.resend() or webhook.recover() repeats them, webhook.cancel() dismisses them, or the subscription is gone';
COMMENT ON COLUMN webhook.dead_letter.attempt IS 'number of attempts made';
COMMENT ON COLUMN webhook.dead_letter.outcome IS 'failed or cancelled';
COMMENT ON COLUMN webhook.dead_letter.response_status IS 'HTTP status of the last response; null: there was none';
COMMENT ON COLUMN webhook.dead_letter.logged_at IS 'when the delivery ended';
COMMENT ON COLUMN webhook.dead_letter.data IS 'Data of the event, as sent';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.audit WITH (security_barrier) AS
	SELECT at, role, outer_role, session_role, action, tenant, subscription_id, event_id, detail
		FROM webhook_internal.audit, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.audit IS 'what people have done with the functions of schema webhook, as long as the log is kept; credentials are redacted';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.stat_minute WITH (security_barrier) AS
	SELECT at, span, subscription_id, delivered, failed, retried, cancelled, pending, duration
		FROM webhook_internal.stat_minute, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR subscription_id = ANY (ARRAY(
				SELECT s.id FROM webhook_internal.subscription s
					WHERE s.tenant = (SELECT webhook_internal.my_tenant())));
COMMENT ON VIEW webhook.stat_minute IS 'what became of deliveries, by minute for two days, then by hour as long as the log is kept; webhook.series() adds it up';

-- Within an element of the histogram durations are taken to be spread evenly.
CREATE FUNCTION webhook_internal.percentile(duration bigint[], part double precision)
	RETURNS interval
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	requests	bigint;
	all_requests bigint := 0;
	wanted		double precision;
	before		bigint := 0;
	low			double precision := 0;		-- ms
	high		double precision := 1;
BEGIN
	FOREACH requests IN ARRAY duration LOOP
		all_requests := all_requests + requests;
	END LOOP;
	wanted := all_requests * part;
	FOREACH requests IN ARRAY duration LOOP
		IF requests > 0 AND before + requests >= wanted THEN
			RETURN make_interval(
				secs => (low + (high - low) * (wanted - before) / requests) / 1000);
		END IF;
		before := before + requests;
		low := high;
		high := high * 2;
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION webhook_internal.percentile(bigint[], double precision) IS 'duration that this part of the requests of a histogram did not exceed, estimated; null: there was none';

CREATE FUNCTION webhook.series(
	since timestamptz,
	until timestamptz,
	step interval,
	subscription bigint DEFAULT NULL,
	OUT at timestamptz,
	OUT delivered bigint,
	OUT failed bigint,
	OUT retried bigint,
	OUT pending bigint,
	OUT p50 interval,
	OUT p95 interval
) RETURNS SETOF record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.series(timestamptz, timestamptz, interval, bigint) IS 'what became of the deliveries of a subscription, or of all, in each step of a period; failed are those that ended so, retried attempts that failed; p50 and p95 are estimated';

CREATE FUNCTION webhook_internal.series(
	since timestamptz,
	until timestamptz,
	step interval,
	subscription bigint,
	OUT at timestamptz,
	OUT delivered bigint,
	OUT failed bigint,
	OUT retried bigint,
	OUT pending bigint,
	OUT p50 interval,
	OUT p95 interval
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	most		constant integer := 10000;
	spans		constant interval[] := '{1 min,1 h}';
	seconds		numeric := extract(epoch FROM series.step);
	sees_all	constant boolean := webhook_internal.caller_sees_all();
	own			bigint[];		-- subscriptions of the caller's tenant that were asked for
BEGIN
	IF NOT sees_all THEN
		own := ARRAY(
			SELECT s.id
				FROM webhook_internal.subscription s
				WHERE s.tenant = webhook_internal.caller_tenant()
					AND (series.subscription IS NULL OR s.id = series.subscription));
	END IF;
	PERFORM webhook_internal.require_not_null('since', series.since IS NULL,
		'Give the time at which the first step begins.');
	PERFORM webhook_internal.require_not_null('until', series.until IS NULL,
		'Give the time at which the last step ends.');
	PERFORM webhook_internal.require_not_null('step', series.step IS NULL,
		'Give the length of a step, for example ''5 min''.');
	IF NOT isfinite(series.since) OR series.since > series.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'since',
				HINT = 'Give two times, the earlier one first.';
	END IF;
	IF seconds < 60 THEN
		RAISE EXCEPTION 'step must be at least one minute, not %', series.step
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'step',
				HINT = 'Numbers are kept by minute, and by hour after two days.';
	END IF;
	IF NOT isfinite(series.until)
		OR extract(epoch FROM series.until - series.since) > most * seconds
	THEN
		RAISE EXCEPTION 'too many steps'
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'step',
				DETAIL = format('The maximum is %s steps.', most),
				HINT = 'Give a longer step or a shorter period.';
	END IF;
	-- An interval cannot have so many seconds as a step can.
	seconds := least(seconds, greatest(60, extract(epoch FROM series.until - series.since)));

	RETURN QUERY
	-- Each of the two uses the index; IS NOT DISTINCT FROM would not.
	WITH rows_of_one AS (
		SELECT m.*
			FROM webhook_internal.stat_minute m
			WHERE series.subscription IS NULL AND m.subscription_id IS NULL AND sees_all
				AND m.span = ANY (spans) AND m.at >= series.since AND m.at < series.until
		UNION ALL
		SELECT m.*
			FROM webhook_internal.stat_minute m
			WHERE m.subscription_id = ANY (CASE WHEN sees_all THEN ARRAY[series.subscription]
					ELSE own END)
				AND m.span = ANY (spans) AND m.at >= series.since AND m.at < series.until
	), minutes AS (
		-- What waits for several subscriptions is the sum of theirs.
		SELECT m.at, m.delivered, m.failed, m.retried, m.duration,
				sum(m.pending) OVER (PARTITION BY m.at, m.span)::bigint AS pending
			FROM rows_of_one m
	), sums AS (
		SELECT floor(extract(epoch FROM m.at - series.since) / seconds)::integer AS n,
				sum(m.delivered)::bigint AS delivered, sum(m.failed)::bigint AS failed,
				sum(m.retried)::bigint AS retried, max(m.pending) AS pending,
				ARRAY[
					sum(m.duration[1]), sum(m.duration[2]), sum(m.duration[3]),
					sum(m.duration[4]), sum(m.duration[5]), sum(m.duration[6]),
					sum(m.duration[7]), sum(m.duration[8]), sum(m.duration[9]),
					sum(m.duration[10]), sum(m.duration[11]), sum(m.duration[12]),
					sum(m.duration[13]), sum(m.duration[14]), sum(m.duration[15]),
					sum(m.duration[16]), sum(m.duration[17]), sum(m.duration[18]),
					sum(m.duration[19]), sum(m.duration[20])
				] AS duration
			FROM minutes m
			GROUP BY 1
	)
	SELECT series.since + g.n * make_interval(secs => seconds::float8),
			coalesce(s.delivered, 0), coalesce(s.failed, 0), coalesce(s.retried, 0), s.pending,
			webhook_internal.percentile(s.duration, 0.5::float8),
			webhook_internal.percentile(s.duration, 0.95::float8)
		FROM generate_series(0,
				ceil(extract(epoch FROM series.until - series.since) / seconds)::integer - 1
			) AS g (n)
			LEFT JOIN sums s ON s.n = g.n
		ORDER BY g.n;
END
$$;
COMMENT ON FUNCTION webhook_internal.series(timestamptz, timestamptz, interval, bigint) IS 'what webhook.series() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.worker_state(
	OUT pid integer,
	OUT state text,
	OUT started_at timestamptz,
	OUT ring_table integer,
	OUT windows bigint,
	OUT events bigint,
	OUT attempts bigint,
	OUT delivered bigint,
	OUT retrying bigint,
	OUT failed bigint,
	OUT flushes bigint,
	OUT flush_errors bigint,
	OUT rotations bigint,
	OUT in_flight bigint,
	OUT queued bigint,
	OUT unflushed bigint,
	OUT memory bigint,
	OUT blocked bigint,
	OUT restarts bigint,
	OUT unread bigint,
	OUT checkpoint_at timestamptz
) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'webhook_worker_state';
COMMENT ON FUNCTION webhook_internal.worker_state() IS 'the row of view webhook.stat_worker';

CREATE FUNCTION webhook_internal.pending_summary(
	count_all boolean DEFAULT true,
	oldest boolean DEFAULT true,
	due boolean DEFAULT true,
	OUT subscription_id bigint,
	OUT pending bigint,
	OUT oldest_pending timestamptz,
	OUT next_at timestamptz
) RETURNS SETOF record
	LANGUAGE c STABLE ROWS 1000 AS 'MODULE_PATHNAME', 'webhook_pending_summary';
COMMENT ON FUNCTION webhook_internal.pending_summary(boolean, boolean, boolean) IS 'of each subscription that has waiting deliveries: how many, since when, and when the next one is due; with count_all false nothing is counted or waited for, and what is not known is null; with oldest or due false the one or the other time is not looked up';

CREATE VIEW webhook.stat_pending WITH (security_barrier) AS
	SELECT subscription_id, pending, oldest_pending, next_at
		FROM webhook_internal.pending_summary()
		WHERE (SELECT webhook_internal.sees_all())
			OR subscription_id = ANY (ARRAY(
				SELECT s.id FROM webhook_internal.subscription s
					WHERE s.tenant = (SELECT webhook_internal.my_tenant())));
COMMENT ON VIEW webhook.stat_pending IS 'how much waits, of each subscription that deliveries wait of; also of one that is gone or disabled, until they are cancelled';
COMMENT ON COLUMN webhook.stat_pending.subscription_id IS 'number of the subscription';
COMMENT ON COLUMN webhook.stat_pending.pending IS 'number of its waiting deliveries, as the worker has counted them';
COMMENT ON COLUMN webhook.stat_pending.oldest_pending IS 'when the oldest of them began to wait';
COMMENT ON COLUMN webhook.stat_pending.next_at IS 'when the next one is due; null: none is';

-- What people have set is seen at once; the worker says the rest.
CREATE FUNCTION webhook_internal.state_of(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state,
	worker text,
	home text
) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE
		WHEN webhook_internal.disabled(s, t) THEN 'disabled'
		WHEN s.home <> state_of.home THEN 'fenced'
		WHEN s.paused THEN 'paused'
		WHEN worker = 'no worker' THEN 'no worker'
		WHEN t.state = 'off' THEN 'off'
		WHEN webhook_internal.unconfirmed(s, t) THEN 'unconfirmed'
		WHEN t.state IN ('open', 'waiting', 'slow') THEN t.state
		ELSE 'active' END;
COMMENT ON FUNCTION webhook_internal.state_of(webhook_internal.subscription, webhook_internal.subscription_state, text, text) IS 'state of a subscription, where the worker of its database has this state, and webhook_internal.home() is this one';

-- The state is named once: PostgreSQL puts the body in place of a call only then.
CREATE FUNCTION webhook_internal.reason_of(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state,
	state text
) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE state
		WHEN 'disabled' THEN
			CASE WHEN s.enabled
				THEN concat('disabled by the worker, the last problem: ', t.reason)
				ELSE 'disabled by webhook.alter_subscription()' END
		WHEN 'fenced' THEN
			CASE WHEN starts_with(s.home, webhook_internal.home() || '/')
				THEN 'it is in a copy of the data directory until webhook.resume_database()'
				ELSE 'it belongs to another database until webhook.resume_database()' END
		WHEN 'paused' THEN 'paused by webhook.pause()'
		WHEN 'no worker' THEN 'no worker can be started in this database; see webhook.health()'
		WHEN 'off' THEN 'sending is switched off by webhook.enabled'
		WHEN 'unconfirmed' THEN
			CASE WHEN t.confirmation IS DISTINCT FROM s.confirmation OR t.confirm_attempts = 0
				THEN 'its endpoint has not been asked for the challenge yet'
				ELSE concat(
					format('its endpoint has not answered the challenge, after %s of 3 requests',
						t.confirm_attempts),
					', the last problem: ' || t.reason) END
		WHEN 'open' THEN
			format('%s failures in a row, the last: %s', t.consecutive_failures, t.reason)
		WHEN 'waiting' THEN
			CASE WHEN t.not_before > statement_timestamp()
				THEN concat('it waits, as Retry-After asks: ', t.reason)
				ELSE 'it has no secret to sign with; webhook.rotate_secret() gives it one' END
		WHEN 'slow' THEN
			coalesce('the last problem: ' || t.reason, 'a response took more than two seconds')
		ELSE 'the last problem: ' || t.reason
		END;
COMMENT ON FUNCTION webhook_internal.reason_of(webhook_internal.subscription, webhook_internal.subscription_state, text) IS 'why a subscription is in the state that it is in, or what its last problem was, but for the limits of its rate; null: there is none';

CREATE VIEW webhook.stat_subscription WITH (security_barrier) AS
	SELECT s.id AS subscription_id,
		s.tenant,
		webhook_internal.redacted_endpoint(s.endpoint) AS endpoint,
		h.state,
		CASE
			WHEN s.rate_limit <= coalesce(o.rate_limit, s.rate_limit)
				AND w.next_at <= statement_timestamp() AND h.state IN ('slow', 'active')
			THEN
				format('held back by its rate limit of %s requests a second', s.rate_limit)
			WHEN o.rate_limit IS NOT NULL
				AND w.next_at <= statement_timestamp() AND h.state IN ('slow', 'active')
			THEN
				format('held back by the rate limit of its tenant of %s requests a second',
					o.rate_limit)
			ELSE webhook_internal.reason_of(s, t, h.state)
		END AS reason,
		coalesce(t.delivered, 0) AS delivered,
		coalesce(t.failed, 0) AS failed,
		coalesce(t.retried, 0) AS retried,
		coalesce(t.filter_errors, 0) AS filter_errors,
		-- A rate that is all but zero would underflow.
		CASE WHEN t.rate > 0.000001 AND a.age < 600 THEN t.rate * exp(-a.age / 60)
			ELSE 0 END AS rate,
		coalesce(t.breaker, 'closed') AS breaker,
		t.concurrency,
		coalesce(t.consecutive_failures, 0) AS consecutive_failures,
		coalesce(t.failures_since_success, 0) AS failures_since_success,
		t.opened_at,
		CASE
			WHEN coalesce(w.next_at, t.not_before, t.confirm_next_at) IS NULL THEN NULL
			ELSE CASE h.state
				WHEN 'waiting' THEN
					CASE WHEN t.not_before > statement_timestamp()
						THEN greatest(w.next_at, t.not_before) END
				WHEN 'unconfirmed' THEN
					CASE WHEN t.confirmation = s.confirmation THEN t.confirm_next_at END
				WHEN 'disabled' THEN NULL
				WHEN 'fenced' THEN NULL
				WHEN 'paused' THEN NULL
				WHEN 'off' THEN NULL
				ELSE greatest(w.next_at,
					CASE WHEN t.not_before > statement_timestamp() THEN t.not_before END)
			END
		END AS next_attempt,
		coalesce(w.pending, 0) AS pending,
		f.oldest_pending,
		t.last_success,
		t.last_failure,
		t.p50,
		t.p95
	FROM webhook_internal.subscription s
		LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
		LEFT JOIN webhook_internal.tenant o ON o.name = s.tenant
		LEFT JOIN webhook_internal.pending_summary(oldest => false) w
			ON w.subscription_id = s.id
		-- A query that does not ask for the column leaves this out: one row a subscription.
		LEFT JOIN (
			SELECT p.subscription_id, min(p.oldest_pending) AS oldest_pending
				FROM webhook_internal.pending_summary(false, due => false) p
				GROUP BY p.subscription_id
		) f ON f.subscription_id = s.id
		-- OFFSET 0 keeps the functions from being called for each row.
		CROSS JOIN (
			SELECT x.state, webhook_internal.home() FROM webhook_internal.worker_state() x OFFSET 0
		) v (state, home)
		-- The state is worked out wherever it is named, so it is named last, and rarely.
		CROSS JOIN LATERAL (
			SELECT webhook_internal.state_of(s, t, v.state, v.home)
		) h (state)
		-- extract() would take its time over a numeric.
		CROSS JOIN LATERAL (
			SELECT greatest(date_part('epoch', statement_timestamp() - t.saved_at), 0)
		) a (age)
	WHERE (SELECT webhook_internal.sees_all()) OR s.tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.stat_subscription IS 'state and statistics of each subscription, saved by the worker within seconds';
COMMENT ON COLUMN webhook.stat_subscription.tenant IS 'tenant that it belongs to; null: the platform itself';
COMMENT ON COLUMN webhook.stat_subscription.endpoint IS 'URL that events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.stat_subscription.state IS 'the first that applies: disabled (by people or by the worker), fenced, paused, no worker, off (webhook.enabled), unconfirmed (its endpoint has not answered the challenge), open (its breaker), waiting (for a secret, or for the end of a Retry-After), slow, active';
COMMENT ON COLUMN webhook.stat_subscription.reason IS 'why the subscription is not active, or what its last problem was; null: there is none';
COMMENT ON COLUMN webhook.stat_subscription.rate IS 'deliveries a second now, a moving average over about a minute';
COMMENT ON COLUMN webhook.stat_subscription.concurrency IS 'how many requests may be in flight; 1: the endpoint fails or is slow; null: the worker knows nothing of the endpoint yet';
COMMENT ON COLUMN webhook.stat_subscription.next_attempt IS 'when the next request is due; null: nothing waits, or the subscription may not send';
COMMENT ON COLUMN webhook.stat_subscription.pending IS 'number of waiting deliveries, as the worker has counted them';
COMMENT ON COLUMN webhook.stat_subscription.oldest_pending IS 'when the oldest waiting delivery began to wait';

CREATE VIEW webhook.stat_worker AS
	SELECT pid, state, started_at, ring_table, windows, events, attempts, delivered, retrying,
		failed, flushes, flush_errors, rotations, in_flight, queued, unflushed, memory, blocked,
		restarts, unread, checkpoint_at
	FROM webhook_internal.worker_state();
COMMENT ON VIEW webhook.stat_worker IS 'the worker of this database, and what it has done since it started';
COMMENT ON COLUMN webhook.stat_worker.pid IS 'process id; null: there is no worker';
COMMENT ON COLUMN webhook.stat_worker.state IS 'wanted, starting, running, stopped, blocked by DDL on the database, or no worker: none can be started here';
COMMENT ON COLUMN webhook.stat_worker.started_at IS 'when the worker started';
COMMENT ON COLUMN webhook.stat_worker.ring_table IS 'number of the ring table that is appended to: event_N';
COMMENT ON COLUMN webhook.stat_worker.windows IS 'number of windows of new events that were read';
COMMENT ON COLUMN webhook.stat_worker.events IS 'number of events read';
COMMENT ON COLUMN webhook.stat_worker.attempts IS 'number of requests made';
COMMENT ON COLUMN webhook.stat_worker.delivered IS 'number of deliveries that succeeded';
COMMENT ON COLUMN webhook.stat_worker.retrying IS 'number of attempts that failed and are retried';
COMMENT ON COLUMN webhook.stat_worker.failed IS 'number of deliveries that failed or were cancelled; webhook.stat_minute has the two apart';
COMMENT ON COLUMN webhook.stat_worker.flushes IS 'number of transactions that wrote outcomes';
COMMENT ON COLUMN webhook.stat_worker.flush_errors IS 'number of such transactions that failed';
COMMENT ON COLUMN webhook.stat_worker.rotations IS 'number of ring tables truncated';
COMMENT ON COLUMN webhook.stat_worker.in_flight IS 'requests in flight now';
COMMENT ON COLUMN webhook.stat_worker.queued IS 'deliveries in memory now that are not started';
COMMENT ON COLUMN webhook.stat_worker.unflushed IS 'outcomes in memory now that are not in the log';
COMMENT ON COLUMN webhook.stat_worker.memory IS 'bytes that these deliveries and outcomes use now';
COMMENT ON COLUMN webhook.stat_worker.blocked IS '1 while outcomes cannot be written, so that nothing is sent; else 0';
COMMENT ON COLUMN webhook.stat_worker.restarts IS 'number of starts of the worker, after the first one since the server started';
COMMENT ON COLUMN webhook.stat_worker.unread IS 'rows of the ring that it has not read, at most; null: no worker has run since the server started';
COMMENT ON COLUMN webhook.stat_worker.checkpoint_at IS 'when all that was done was last in the checkpoint, and reading worked';

-- All other columns of views have the comment of the column that they show.
DO $$
DECLARE
	c			record;
BEGIN
	FOR c IN
		SELECT v.view, a.attname, col_description(b.attrelid, b.attnum) AS description
			FROM (VALUES
				('webhook.event_type'::regclass, 'webhook_internal.event_type'::regclass),
				('webhook.subscription', 'webhook_internal.subscription'),
				('webhook.tenant', 'webhook_internal.tenant'),
				('webhook_internal.ring', 'webhook_internal.event_0'),
				('webhook.event', 'webhook_internal.event_0'),
				('webhook.pending_delivery', 'webhook_internal.pending'),
				('webhook.dead_letter', 'webhook.log'),
				('webhook.audit', 'webhook_internal.audit'),
				('webhook.stat_minute', 'webhook_internal.stat_minute'),
				('webhook.stat_subscription', 'webhook_internal.subscription_state')) AS v (view, base)
				JOIN pg_attribute a ON a.attrelid = v.view AND a.attnum > 0
				JOIN pg_attribute b ON b.attrelid = v.base AND b.attname = a.attname
			WHERE col_description(a.attrelid, a.attnum) IS NULL
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
	END LOOP;
END
$$;

CREATE FUNCTION webhook.drain(timeout interval DEFAULT '30 s') RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drain';
COMMENT ON FUNCTION webhook.drain(interval) IS 'wait until all committed events are sent, or cannot be sent now; false: the timeout came first';
/*
 * explain(): the story of one delivery, a sentence a line
 */

CREATE FUNCTION webhook.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.explain(uuid, bigint) IS 'why an event was, or was not, delivered to a subscription, and what comes next';

CREATE FUNCTION webhook_internal.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	e			webhook_internal.found_event;
	s			webhook_internal.subscription;
	stat		webhook.stat_subscription;
	not_before	timestamptz;
	last		webhook.log;
	waiting		webhook.pending_delivery;
	attempts	text;
	retries		integer;
	replayed	boolean;		-- a replay of it is under way
	in_ring		boolean;
	unread		boolean;		-- the worker is not done with it
	before		boolean;		-- it was committed before the start of the subscription
	is_ping		boolean;
	is_confirmation boolean;
	unkept		text;			-- why the log has no bodies of the last attempt
	said		text[];
BEGIN
	PERFORM webhook_internal.require_not_null('event', explain.event IS NULL,
		'Give the Id of an event.');
	PERFORM webhook_internal.require_not_null('subscription', explain.subscription IS NULL,
		'Give the id of a subscription; see view webhook.subscription.');

	-- An administrator may ask about a subscription that is gone.
	IF NOT webhook_internal.caller_sees_all() THEN
		PERFORM webhook_internal.require_subscription(explain.subscription);
	END IF;
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = explain.subscription;
	e := webhook_internal.find_event(explain.event, explain.subscription, s.tenant, s.id IS NULL);
	IF e.id IS NULL THEN
		RETURN format('The event is unknown: the log has no attempt of it, and it is neither pending nor in the ring.'
			|| E'\n'
			'The ring keeps events for webhook.event_retention (%s), the log keeps attempts for webhook.log_retention (%s).',
			current_setting('webhook.event_retention', true),
			current_setting('webhook.log_retention', true));
	END IF;
	is_ping := webhook_internal.is_ping(explain.event, explain.subscription);
	is_confirmation := webhook_internal.is_confirmation(explain.event);
	said := ARRAY[CASE
		WHEN is_confirmation THEN
			format('It asks an endpoint for its challenge, which was made at %s.', e.created_at)
		WHEN is_ping AND e.event_type <> 'webhook.ping' THEN
			format('It is a ping with the example of event type %s, sent at %s.', e.event_type, e.created_at)
		WHEN e.subject IS NULL THEN
			format('It is an event of type %s, which occurred at %s.', e.event_type, e.created_at)
		ELSE format('It is an event of type %s about %s, which occurred at %s.', e.event_type,
				e.subject, e.created_at) END];

	SELECT x.* INTO stat FROM webhook.stat_subscription x
		WHERE x.subscription_id = explain.subscription;
	SELECT t.not_before INTO not_before FROM webhook_internal.subscription_state t
		WHERE t.subscription_id = explain.subscription;
	SELECT l.*
		INTO last
		FROM webhook.log l
		WHERE l.event_id = explain.event AND l.subscription_id = explain.subscription
		ORDER BY l.logged_at DESC, l.position DESC
		LIMIT 1;
	SELECT p.*
		INTO waiting
		FROM webhook.pending_delivery p
		WHERE p.event_id = explain.event AND p.subscription_id = explain.subscription
		ORDER BY p.position
		LIMIT 1;
	replayed := waiting.id IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'r' AND r.event_id = explain.event
				AND webhook_internal.is_replay_to(r.data, explain.subscription)
				AND r.id > coalesce(last.position, 0));

	SELECT count(*) > 0, bool_or(NOT webhook_internal.is_processed(r.txid, r.id)),
			bool_or(pg_visible_in_snapshot(r.txid,
				webhook_internal.local_start_snapshot(s.home, s.since)))
		INTO in_ring, unread, before
		FROM webhook_internal.ring r
		WHERE r.event_id = explain.event AND webhook_internal.is_for(r.kind, r.tenant, s.tenant);

	-- What was the last attempt, or how did the delivery end?
	attempts := CASE last.attempt WHEN 0 THEN 'no attempt' WHEN 1 THEN 'one attempt'
		ELSE last.attempt || ' attempts' END;
	said := said || CASE last.outcome
		WHEN 'delivered' THEN
			format('It was delivered at %s, by attempt %s, with status %s.', last.logged_at,
				last.attempt, last.response_status)
		WHEN 'retrying' THEN
			format('Attempt %s failed at %s: %s.', last.attempt, last.logged_at, last.error)
		WHEN 'failed' THEN
			format('It failed for good at %s, after %s: %s.', last.logged_at, attempts, last.error)
				|| CASE WHEN last.response_status = ANY (s.final_statuses)
					THEN format(' Status %s is one of the subscription''s final_statuses.',
						last.response_status) ELSE '' END
		WHEN 'cancelled' THEN
			CASE last.error_class
				WHEN 'dismissed' THEN
					format('Its dead letter was dismissed at %s by webhook.cancel().', last.logged_at)
				WHEN 'erased' THEN
					format('It was cancelled at %s, after %s, because its subject was erased.',
						last.logged_at, attempts)
				WHEN 'skipped' THEN format('It was skipped at %s, after %s.', last.logged_at, attempts)
				ELSE format('It was cancelled at %s, after %s.', last.logged_at, attempts) END
		END;

	IF e.erased_at IS NOT NULL THEN
		said := said || format('What was sent about %s was erased at %s by webhook.erase().',
			e.subject, e.erased_at);
	ELSIF last.method IS NOT NULL AND last.request_body IS NULL THEN
		unkept := coalesce(s.log_bodies, current_setting('webhook.log_bodies', true));
		said := said || CASE
			WHEN last.request_headers IS NULL THEN
				'The log has neither headers nor bodies of this attempt: it could not be written with them.'
			WHEN unkept = 'none' OR unkept = 'failed' AND last.outcome = 'delivered' THEN
				format('The log has no bodies of this attempt: log_bodies is %s.', unkept)
			ELSE 'The log has no bodies of this attempt: log_bodies was another one then.' END;
	END IF;

	IF is_confirmation THEN
		said := said || format('Subscription %s is %s, so nothing else is sent to it: %s.', s.id,
			stat.state, stat.reason);
		RETURN array_to_string(CASE WHEN stat.state = 'unconfirmed' THEN said
			ELSE said[:cardinality(said) - 1] END, E'\n');
	END IF;

	-- Where is the delivery now?
	IF waiting.id IS NOT NULL THEN
		retries := coalesce(cardinality(s.retry_schedule),
			cardinality(string_to_array(
				nullif(trim(current_setting('webhook.retry_schedule', true)), ''), ',')), 0);
		said := said || CASE
			WHEN waiting.waits_for IS NOT NULL THEN
				format('It waits behind event %s of the same subject, which has been waiting since %s.',
					waiting.waits_for, waiting.waits_since)
			WHEN waiting.next_at IS NULL THEN
				'It waits behind another event of the same subject that is in memory or in flight.'
			WHEN waiting.step > 0 THEN
				format('Attempt %s, retry %s of %s, is due at %s.', waiting.attempt + 1,
					waiting.step, retries, waiting.next_at)
			ELSE format('Attempt %s is due at %s.', waiting.attempt + 1, waiting.next_at) END;
	ELSIF replayed THEN
		said := said || CASE
			WHEN is_ping THEN 'It is in memory or in flight.'
			ELSE 'Its replay is in memory or in flight.' END;
	ELSIF last.outcome = 'delivered' THEN
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IN ('failed', 'cancelled') THEN
		said := said || CASE
			WHEN is_ping THEN NULL
			WHEN s.id IS NULL THEN
				format('It is not retried, because subscription %s does not exist.', explain.subscription)
			WHEN e.erased_at IS NOT NULL THEN 'It cannot be resent.'
			WHEN e.data IS NULL AND last.data IS NULL
				THEN 'It cannot be resent: it is no longer in the ring, and the log has not kept its data.'
			WHEN e.data IS NULL THEN 'It cannot be resent, because it is no longer in the ring.'
			WHEN NOT webhook_internal.takes(s, e.event_type, e.data) THEN
				format('It is not retried, and subscription %s does not take such events any more.', s.id)
			WHEN last.error_class = 'dismissed' THEN 'webhook.resend() sends it again.'
			ELSE 'It is not retried; webhook.resend() or webhook.recover() sends it again.' END;
		RETURN array_to_string(said, E'\n');
	ELSIF s.id IS NULL OR last.outcome IS NOT NULL THEN
		NULL;
	ELSIF NOT EXISTS (
		SELECT
			FROM unnest(s.events) AS w (name)
			WHERE webhook_internal.matches(w.name, e.event_type))
	THEN
		said := said || format('Subscription %s does not take events of this type; it takes: %s.', s.id,
			array_to_string(s.events, ', '));
		RETURN array_to_string(said, E'\n');
	ELSIF NOT webhook_internal.may_get(s.tenant, e.event_type) THEN
		said := said || format('Tenant "%s" of subscription %s may not get events of this type; see view webhook.tenant.',
			s.tenant, s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF NOT webhook_internal.accepts(s.filter, e.data) THEN
		said := said || format('The filter of subscription %s is not true for it: %s', s.id, s.filter)
			|| CASE WHEN webhook_internal.accepts('strict $.RecordOmitted == true', e.data)
				THEN 'Its Record was too large for webhook.max_data_size, so the filter could not look at it.'
				END;
		RETURN array_to_string(said, E'\n');
	ELSIF before THEN
		said := said || format('It was committed before subscription %s was made or last enabled; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF unread THEN
		NULL;
	ELSE
		said := said || (CASE
			WHEN e.created_at < s.created_at THEN
				format('It occurred before subscription %s was made.', s.id)
			ELSE format('Subscription %s did not take it when it was read: it was disabled, or had other event types or another filter.',
				s.id)
			END || CASE
			WHEN stat.state = 'disabled' THEN ''
			WHEN in_ring THEN ' webhook.recover() with what => ''missing'' delivers such events.'
			WHEN e.data IS NOT NULL THEN ' webhook.resend() sends it.'
			ELSE ' It cannot be resent, because it is no longer in the ring.' END);
		IF stat.state <> 'disabled' THEN
			RETURN array_to_string(said, E'\n');
		END IF;
	END IF;
	IF s.id IS NOT NULL AND waiting.id IS NULL AND NOT replayed
		AND (unread OR last.outcome = 'retrying')
	THEN
		said := said || 'It is in memory or in flight, or has not been read yet.'::text;
	END IF;

	-- What keeps the delivery from being sent?
	IF s.id IS NULL AND (waiting.id IS NOT NULL OR replayed) THEN
		said := said || format('Subscription %s does not exist, so the delivery will be cancelled.',
			explain.subscription);
	ELSIF s.id IS NULL THEN
		said := said || format('Subscription %s does not exist.', explain.subscription);
	ELSIF stat.state = 'disabled' THEN
		said := said || format('Subscription %s is disabled, so nothing is sent to it: %s.', s.id,
			stat.reason);
	ELSIF stat.state IN ('fenced', 'paused', 'unconfirmed') THEN
		said := said || format('Subscription %s is %s, so nothing is sent to it: %s.', s.id,
			stat.state, stat.reason);
	ELSIF stat.state = 'off' THEN
		said := said || 'Nothing is sent: webhook.enabled is off.'::text;
	ELSE
		IF stat.state = 'open' THEN
			said := said || format('The circuit breaker has been open since %s, and the next probe is due at %s: %s.',
				stat.opened_at, stat.next_attempt, stat.reason);
		ELSIF not_before > statement_timestamp() THEN
			said := said || format('No request is sent before %s: %s.', not_before, stat.reason);
		ELSIF waiting.next_at <= statement_timestamp()
			AND starts_with(stat.reason, 'held back by ')
		THEN
			said := said || format('Subscription %s is %s.', s.id, stat.reason);
		END IF;
		IF NOT EXISTS (SELECT FROM webhook_internal.worker_state() w WHERE w.state = 'running') THEN
			said := said || 'No worker is running in this database.'::text;
		END IF;
	END IF;
	RETURN array_to_string(said, E'\n');
END
$$;
COMMENT ON FUNCTION webhook_internal.explain(uuid, bigint) IS 'what webhook.explain() does, with the rights of the owner';
/*
 * Metrics: numbers for monitoring
 *
 * Prometheus' names and types. What the worker counts is in shared memory, so a scrape
 * costs it nothing; the rest is read from small tables and catalogs, never from the log,
 * and of the waiting deliveries the oldest one of each subscription, by an index. No
 * label has a value that people make up, so there are as many rows as there are below.
 *
 * A scrape waits for no lock on a table of the extension: what cannot be known at once is
 * not there, and webhook_tables_locked says so. So the view names no table, which a query
 * of it would lock. Nor is there, while the library is of another version, what only its
 * functions can tell of the tables.
 */

CREATE FUNCTION webhook_internal.worker_metrics(
	OUT metric text,
	OUT suffix text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE c ROWS 80 AS 'MODULE_PATHNAME', 'webhook_worker_metrics';
COMMENT ON FUNCTION webhook_internal.worker_metrics() IS 'the numbers that the worker counts, from shared memory; null: nobody knows it';

CREATE FUNCTION webhook_internal.relation_bytes(relation oid) RETURNS bigint
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_relation_bytes';
COMMENT ON FUNCTION webhook_internal.relation_bytes(oid) IS 'size of a table or an index alone, as of the last vacuum while it is locked';

CREATE FUNCTION webhook_internal.lock_to_read(relation oid) RETURNS boolean
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_lock_to_read';
COMMENT ON FUNCTION webhook_internal.lock_to_read(oid) IS 'lock a table and its indexes as a query does that reads it; false: that would have to wait, or it is gone';

-- The others are locked to be read until the transaction ends.
CREATE FUNCTION webhook_internal.locked_tables(names name[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname)
		FROM pg_class c
		WHERE c.relnamespace = 'webhook_internal'::regnamespace AND c.relname = ANY (names)
			AND NOT webhook_internal.lock_to_read(c.oid)
$$;
COMMENT ON FUNCTION webhook_internal.locked_tables(name[]) IS 'which of these tables somebody has locked, so that a query of them would wait; null: none';

-- With its indexes and what is stored out of line.
CREATE VIEW webhook_internal.table_size AS
	SELECT t.part, t.relation, sum(webhook_internal.relation_bytes(r.oid))::bigint AS bytes
		FROM (
			SELECT CASE WHEN c.relname ~ '^event_[0-9]$' THEN 'ring'
						WHEN c.relname = 'pending' THEN 'pending'
						WHEN c.relname ~ '^log_' THEN 'log' END AS part,
					c.oid::regclass AS relation, c.reltoastrelid AS toast
				FROM pg_class c
				WHERE c.relnamespace = 'webhook_internal'::regnamespace AND c.relkind = 'r'
					AND (c.relname ~ '^(event_[0-9]|pending)$'
						OR EXISTS (
							SELECT
								FROM pg_inherits i
								WHERE i.inhrelid = c.oid AND i.inhparent = 'webhook.log'::regclass))
			) t
			CROSS JOIN LATERAL (
				SELECT t.relation::oid AS oid
				UNION ALL
				SELECT t.toast WHERE t.toast <> 0::oid
				UNION ALL
				SELECT i.indexrelid FROM pg_index i WHERE i.indrelid IN (t.relation, t.toast)
			) r
		GROUP BY t.part, t.relation;
COMMENT ON VIEW webhook_internal.table_size IS 'size of each table of the ring, of each leaf of the log, and of the waiting deliveries';
COMMENT ON COLUMN webhook_internal.table_size.part IS 'ring, log or pending';
COMMENT ON COLUMN webhook_internal.table_size.relation IS 'the table';
COMMENT ON COLUMN webhook_internal.table_size.bytes IS 'its size, with its indexes and what is stored out of line';

-- Each number is left out while somebody has locked what it is read from.
CREATE FUNCTION webhook_internal.read_metrics(
	OUT metric text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 13 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'webhook_tables_locked', '{}'::jsonb,
		num_nonnulls(webhook_internal.locked_tables(
			'{checkpoint,pending,pending_count,subscription,subscription_state}'))::float8;
	IF webhook_internal.locked_tables('{checkpoint}') IS NULL THEN
		RETURN QUERY SELECT 'webhook_checkpoint_age_seconds', '{}'::jsonb,
				extract(epoch FROM statement_timestamp() - max(c.saved_at))::float8
			FROM webhook_internal.checkpoint c;
	END IF;
	IF webhook_internal.locked_tables('{subscription,subscription_state}') IS NOT NULL THEN
		RETURN;
	END IF;
	RETURN QUERY
	WITH counted (state, subscriptions, disabled) AS MATERIALIZED (
		SELECT webhook_internal.state_of(s, t, w.state, webhook_internal.home()), count(*),
				count(*) FILTER (WHERE s.enabled AND webhook_internal.disabled(s, t))
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
				CROSS JOIN webhook_internal.worker_state() w
			GROUP BY 1
	)
	SELECT 'webhook_subscription_states', jsonb_build_object('state', x.state),
			coalesce(c.subscriptions, 0)::float8
		FROM unnest('{active,slow,open,waiting,paused,disabled,unconfirmed,fenced,off,no worker}'::text[]) AS x (state)
			LEFT JOIN counted c ON c.state = x.state
	UNION ALL
	SELECT 'webhook_subscriptions_disabled', '{}', coalesce(sum(c.disabled), 0)::float8
		FROM counted c;
END
$$;
COMMENT ON FUNCTION webhook_internal.read_metrics() IS 'what table_metrics() returns, with the rights of the owner';

CREATE FUNCTION webhook_internal.table_metrics(
	OUT metric text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE c ROWS 13 AS 'MODULE_PATHNAME', 'webhook_table_metrics';
COMMENT ON FUNCTION webhook_internal.table_metrics() IS 'the numbers that are read from small tables; without those of tables that somebody has locked';

CREATE VIEW webhook.metrics AS
	WITH known (number, metric, type, help) AS (
		VALUES
		(1, 'webhook_up', 'gauge', '1 if the worker of this database is running, else 0'),
		(2, 'webhook_in_recovery', 'gauge', '1 on a standby, where no worker runs, else 0'),
		(3, 'webhook_sending', 'gauge', '0 while webhook.enabled is off, else 1'),
		(4, 'webhook_worker_start_time_seconds', 'gauge', 'when the worker started, as Unix time'),
		(5, 'webhook_worker_restarts_total', 'counter', 'starts of the worker, after the first one since the server started'),
		(6, 'webhook_events_total', 'counter', 'events that the worker has read'),
		(7, 'webhook_unread_events', 'gauge', 'rows of the ring that the worker has not read, at most; those that were rolled back or are not committed may count for a second'),
		(8, 'webhook_attempts_total', 'counter', 'rows of the log, by outcome: attempts, and deliveries that ended without one'),
		(9, 'webhook_attempts_failed_total', 'counter', 'rows of the log that have an error class, by that; those from too_old on are of deliveries that ended without an attempt'),
		(10, 'webhook_requests_in_flight', 'gauge', 'requests under way'),
		(11, 'webhook_deliveries_queued', 'gauge', 'deliveries in the memory of the worker that are not started'),
		(12, 'webhook_deliveries_pending', 'gauge', 'deliveries that wait in webhook_internal.pending, as the worker has counted them'),
		(13, 'webhook_oldest_pending_seconds', 'gauge', 'how long the oldest of these has been waiting; 0: none is'),
		(14, 'webhook_results_unwritten', 'gauge', 'results in the memory of the worker that are not in the log'),
		(15, 'webhook_delivery_latency_seconds', 'histogram', 'time from created_at of an event to the end of the 2xx response, retries and the rest of the transaction that wrote it included; without replays'),
		(16, 'webhook_request_duration_seconds', 'histogram', 'duration of requests, whatever became of them'),
		(17, 'webhook_subscription_states', 'gauge', 'number of subscriptions in each state of webhook.stat_subscription'),
		(18, 'webhook_subscriptions_disabled', 'gauge', 'number of subscriptions that the worker has disabled'),
		(19, 'webhook_flush_errors_total', 'counter', 'transactions that could not write results'),
		(20, 'webhook_log_writes_blocked', 'gauge', '1 while results cannot be written, so that nothing is sent; else 0'),
		(21, 'webhook_checkpoint_age_seconds', 'gauge', 'time since all that was done was in the checkpoint, and reading worked'),
		(22, 'webhook_memory_bytes', 'gauge', 'memory of deliveries and results in the worker'),
		(23, 'webhook_ring_bytes', 'gauge', 'size of the ring, with its indexes'),
		(24, 'webhook_log_bytes', 'gauge', 'size of the log, with its indexes'),
		(25, 'webhook_pending_bytes', 'gauge', 'size of webhook_internal.pending, with its indexes'),
		(26, 'webhook_tables_locked', 'gauge', '1 while somebody has locked tables that numbers are read from, which are left out then; else 0')
	), size (ring, log, pending) AS (
		SELECT coalesce(sum(t.bytes) FILTER (WHERE t.part = 'ring'), 0),
				coalesce(sum(t.bytes) FILTER (WHERE t.part = 'log'), 0),
				coalesce(sum(t.bytes) FILTER (WHERE t.part = 'pending'), 0)
			FROM webhook_internal.table_size t
	), waiting (pending, oldest) AS (
		-- Where nobody knows there is one row, of nulls.
		SELECT CASE WHEN count(*) = 0 THEN 0 ELSE sum(p.pending) END,
				CASE WHEN count(*) = 0 OR min(p.oldest_pending) > statement_timestamp() THEN 0
					ELSE extract(epoch FROM statement_timestamp() - min(p.oldest_pending)) END
			FROM webhook_internal.pending_summary(false, due => false) p
	), tables (metric, labels, value) AS MATERIALIZED (
		SELECT t.metric, t.labels, t.value FROM webhook_internal.table_metrics() t
	), numbers (metric, suffix, labels, value) AS (
		-- The table has the age of the checkpoint if no worker has run since the server started.
		SELECT w.metric, w.suffix, w.labels, coalesce(w.value, t.value)
			FROM webhook_internal.worker_metrics() w
				LEFT JOIN tables t ON t.metric = w.metric
		UNION ALL
		SELECT t.metric, '', t.labels, t.value
			FROM tables t
			WHERE t.metric <> 'webhook_checkpoint_age_seconds'
		UNION ALL
		SELECT n.metric, '', '{}', n.value
			FROM size z, waiting w,
				LATERAL (VALUES
					('webhook_sending', CASE WHEN current_setting('webhook.enabled', true) = 'off' THEN 0 ELSE 1 END),
					('webhook_deliveries_pending', w.pending),
					('webhook_oldest_pending_seconds', w.oldest),
					('webhook_ring_bytes', z.ring),
					('webhook_log_bytes', z.log),
					('webhook_pending_bytes', z.pending)) AS n (metric, value)
	)
	SELECT n.metric || n.suffix AS name, n.labels, n.value::double precision AS value,
			k.type, k.help
		FROM numbers n
			JOIN known k ON k.metric = n.metric
		WHERE n.value IS NOT NULL
		ORDER BY k.number, n.suffix, n.labels ->> 'le' = '+Inf',
			nullif(n.labels ->> 'le', '+Inf')::numeric, n.labels;
COMMENT ON VIEW webhook.metrics IS 'numbers of this database for monitoring, with the names and types of Prometheus; see monitoring/';
COMMENT ON COLUMN webhook.metrics.name IS 'name of the metric; of a histogram with _bucket, _sum or _count behind it';
COMMENT ON COLUMN webhook.metrics.labels IS 'names and values of its labels';
COMMENT ON COLUMN webhook.metrics.value IS 'the number now; totals begin at 0 when the server starts';
COMMENT ON COLUMN webhook.metrics.type IS 'counter, gauge or histogram';
COMMENT ON COLUMN webhook.metrics.help IS 'what it means';
/*
 * health(): one row a check
 *
 * A check is wrong if somebody has to look or to do something. What heals by
 * itself, such as a retry that waits, is not. Each check reads little: the
 * beginning of the ring behind the checkpoint, and the first waiting delivery of
 * each subscription.
 *
 * Nothing waits for a lock. While somebody has locked a table that is read, the checks
 * that read tables are left out, and one says so.
 */

CREATE FUNCTION webhook_internal.wanted_worker_processes() RETURNS integer
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_wanted_worker_processes';
COMMENT ON FUNCTION webhook_internal.wanted_worker_processes() IS 'least value of max_worker_processes with which each database that is known to need a worker has one; 0: the present value';

CREATE FUNCTION webhook.health(
	OUT check_name text,
	OUT ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE c STABLE ROWS 17 AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.health() IS 'what somebody has to look at: one row a check, wrong ones first';

CREATE FUNCTION webhook_internal.server_checks(
	OUT number integer,
	OUT name text,
	OUT is_ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	worker		webhook.stat_worker;
	sending		boolean := current_setting('webhook.enabled', true) IS DISTINCT FROM 'off';
	wanted		integer := webhook_internal.wanted_worker_processes();
	silent		text;			-- triggers of our own that are not enabled as they have to be
	policies	text;			-- of the log
BEGIN
	SELECT w.* INTO worker FROM webhook.stat_worker w;
	SELECT string_agg(format('%s on %s', t.tgname, t.tgrelid::regclass), ', ' ORDER BY t.tgname, t.tgrelid)
		INTO silent
		FROM pg_trigger t
			JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
			AND NOT t.tgisinternal
			AND t.tgenabled <> CASE t.tgname WHEN 'drop_replicated' THEN 'R' ELSE 'A' END;
	SELECT string_agg(p.polname, ', ' ORDER BY p.polname)
		INTO policies
		FROM pg_class c
			JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive
		WHERE c.oid = 'webhook.log'::regclass AND c.relrowsecurity;

	RETURN QUERY
	SELECT 1, 'worker', worker.state = 'running',
			CASE worker.state
				WHEN 'running' THEN format('Process %s has been running since %s.', worker.pid, worker.started_at)
				ELSE format('The worker is not running; its state is "%s".', worker.state) END,
			CASE
				WHEN worker.state = 'running' THEN NULL
				WHEN pg_is_in_recovery() THEN 'Nothing is sent from a standby.'
				WHEN wanted > 0 THEN format('Raise max_worker_processes to at least %s, and restart the server.', wanted)
				ELSE 'See the server log; shared_preload_libraries must contain webhook.' END
	UNION ALL
	SELECT 2, 'sending', sending,
			CASE WHEN sending THEN 'Sending is on.' ELSE 'Sending is off; events wait.' END,
			CASE WHEN NOT sending THEN 'Set webhook.enabled to on.' END
	UNION ALL
	SELECT 10, 'log_writes', worker.blocked = 0,
			CASE WHEN worker.blocked = 0
				THEN format('Results are written; %s transactions have failed since the worker started.', worker.flush_errors)
				ELSE format('Results cannot be written; %s wait, and nothing is sent.', worker.unflushed) END,
			CASE WHEN worker.blocked <> 0 THEN
				'See the server log: the disk may be full, or webhook.log locked.' END
	UNION ALL
	SELECT 14, 'worker_slots', wanted = 0,
			CASE WHEN wanted = 0 THEN 'Each database that needs a worker has one.'
				ELSE 'A database has no worker, because no background worker slot is free.' END,
			CASE WHEN wanted > 0 THEN
				format('Raise max_worker_processes to at least %s, and restart the server.', wanted) END
	UNION ALL
	SELECT 15, 'triggers', silent IS NULL,
			CASE WHEN silent IS NULL THEN 'The triggers of the extension''s tables are enabled as they have to be.'
				ELSE left('Not enabled as they have to be: ' || silent, 500) END,
			CASE WHEN silent IS NOT NULL THEN
				'A restore with --disable-triggers may have changed them. For each of these tables run ALTER TABLE ... ENABLE REPLICA TRIGGER drop_replicated, or ENABLE ALWAYS TRIGGER for the others.' END
	UNION ALL
	SELECT 16, 'row_security', policies IS NOT DISTINCT FROM 'own',
			CASE WHEN policies IS NULL THEN 'The log is without row-level security, or without a policy.'
				WHEN policies = 'own' THEN 'A tenant sees its own rows of the log.'
				ELSE left('The policies of the log are ' || policies, 500) END,
			CASE WHEN policies IS DISTINCT FROM 'own' THEN
				'A tenant may see rows of others, or none. Enable row-level security of webhook.log, with policy own alone, as the extension has created it.' END;
END
$$;
COMMENT ON FUNCTION webhook_internal.server_checks() IS 'the checks of webhook.health() that read no table of the extension';

CREATE FUNCTION webhook_internal.table_checks(
	OUT number integer,
	OUT name text,
	OUT is_ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- What is due and has waited so long is stuck.
	patience	constant interval := '5 min';
	now			constant timestamptz := statement_timestamp();
	sending		boolean := current_setting('webhook.enabled', true) IS DISTINCT FROM 'off';
	kept		interval := current_setting('webhook.event_retention', true)::interval;
	logged		interval := current_setting('webhook.log_retention', true)::interval;
	locked		text := webhook_internal.locked_tables(	-- tables that cannot be read now
					'{checkpoint,event_0,event_1,event_2,event_3,pending,pending_count,subscription,subscription_state,tenant}');
	done		pg_snapshot;	-- the checkpoint; without one nothing is read
	part		pg_snapshot;	-- the window of which rows up to "upto" are done, too; null: none
	upto		bigint;
	ring_table	name;
	unread		timestamptz;	-- when the first row of the ring that is not done was written
	oldest		timestamptz;	-- when the first row of the ring was written
	leaf		timestamptz;	-- where the oldest leaf of the log ends
	newest		timestamptz;	-- where its newest leaf begins
	drops		boolean;		-- the worker drops old leaves
BEGIN
	IF locked IS NOT NULL THEN
		RETURN QUERY SELECT 17, 'locks', false,
			format('Locked: %s. The other checks of tables are left out.', locked),
			'See in pg_locks who has an AccessExclusiveLock.';
		RETURN;
	END IF;

	SELECT c.snapshot, c.partial_snapshot, c.upto_id
		INTO done, part, upto
		FROM webhook_internal.checkpoint c
		ORDER BY c.worker
		LIMIT 1;
	done := coalesce(done, '3:3:');
	FOREACH ring_table IN ARRAY ARRAY['event_0', 'event_1', 'event_2', 'event_3'] LOOP
		EXECUTE format('
			SELECT least($1, (SELECT e.created_at
				FROM webhook_internal.%I e
				WHERE e.txid >= pg_snapshot_xmin($2)
					AND (pg_visible_in_snapshot(e.txid, $2)
						OR e.id <= $4 AND pg_visible_in_snapshot(e.txid, $3)) IS NOT TRUE
				ORDER BY e.txid, e.id
				LIMIT 1))', ring_table)
			INTO unread
			USING unread, done, part, upto;
	END LOOP;
	SELECT min(r.created_at)
		INTO oldest
		FROM (
			(SELECT created_at FROM webhook_internal.event_0 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_1 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_2 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_3 LIMIT 1)
		) r;
	SELECT min(b.bounds[2]::timestamptz), max(b.bounds[1]::timestamptz)
		INTO leaf, newest
		FROM pg_inherits i
			JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ '^log_[0-9]{8}$'
			CROSS JOIN LATERAL regexp_match(
				CASE WHEN webhook_internal.lock_to_read(c.oid)
					THEN pg_get_expr(c.relpartbound, c.oid) END,
				$r$FROM \('([^']*)'\) TO \('([^']*)'\)$r$) AS b (bounds)
		WHERE i.inhparent = 'webhook.log'::regclass;

	-- What a copy has brought stays, and what a restore has, which loads subscriptions last.
	drops := NOT EXISTS (
			SELECT FROM webhook_internal.subscription s WHERE s.home <> webhook_internal.home())
		AND ((SELECT q.is_called FROM webhook_internal.subscription_id_seq q)
			OR EXISTS (SELECT FROM webhook_internal.subscription));

	RETURN QUERY
	WITH size AS MATERIALIZED (
		SELECT t.part, sum(t.bytes) AS bytes, count(t.bytes) AS tables
			FROM webhook_internal.table_size t
			GROUP BY t.part
	), stat AS MATERIALIZED (
		SELECT s.id AS subscription_id, h.state, s.enabled, s.challenged_at,
				webhook_internal.reason_of(s, t, h.state) AS reason,
				CASE WHEN s.rate_limit IS NULL AND w.next_at IS NOT NULL
						AND h.state IN ('active', 'slow')
					THEN greatest(w.next_at, CASE WHEN t.not_before > now THEN t.not_before END)
					END AS due
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
				LEFT JOIN webhook_internal.pending_summary(false, oldest => false) w
					ON w.subscription_id = s.id
				CROSS JOIN (
					SELECT x.state, webhook_internal.home()
						FROM webhook_internal.worker_state() x OFFSET 0
				) v (state, home)
				CROSS JOIN LATERAL (
					SELECT webhook_internal.state_of(s, t, v.state, v.home)
				) h (state)
	), subscription AS (
		SELECT s.state, string_agg(s.subscription_id::text, ', ' ORDER BY s.subscription_id) AS ids,
				count(*) AS n, string_agg(DISTINCT s.reason, '; ') AS reasons
			FROM stat s
			WHERE s.state IN ('open', 'fenced') OR s.state = 'disabled' AND s.enabled
				OR s.state = 'unconfirmed' AND s.challenged_at < now - interval '1 hour'
			GROUP BY s.state
	), listed AS (
		SELECT c.name, c.state, c.hint, s.ids, s.n, s.reasons
			FROM (VALUES
				('breakers', 'open', 'Repair the endpoint; it is tried again by itself. See webhook.stat_subscription and webhook.log.'),
				('disabled', 'disabled', 'Repair the endpoint, then call webhook.alter_subscription(id, enabled => true); webhook.recover() sends what was missed.'),
				('fenced', 'fenced', 'If this database is to send, call webhook.resume_database().'),
				('unconfirmed', 'unconfirmed', 'Repair the endpoint, and set it again with webhook.alter_subscription(id, endpoint => ...); or, if it is known, call webhook.confirm(id).')
				) AS c (name, state, hint)
				LEFT JOIN subscription s ON s.state = c.state
	)
	SELECT 3, 'ring_read', unread IS NULL OR unread > now - patience,
			CASE WHEN unread IS NULL THEN 'All that was committed is read.'
				ELSE format('The oldest event that is not read, or in memory, was written at %s.', unread) END,
			CASE WHEN unread <= now - patience THEN
				'See check "worker", the server log, and locks on tables of schema webhook_internal.' END
	UNION ALL
	SELECT 4, 'deliveries', d.due IS NULL OR d.due > now - patience OR NOT sending,
			CASE WHEN d.due IS NULL OR d.due > now THEN 'No delivery is overdue.'
				ELSE format('A delivery has been due since %s.', d.due) END,
			CASE WHEN d.due <= now - patience AND sending THEN
				'More is to be sent than the limits allow: see webhook.max_in_flight, max_in_flight of the subscriptions, webhook.stat_worker.' END
		FROM (SELECT min(s.due) AS due FROM stat s) d
	UNION ALL
	SELECT CASE l.name WHEN 'breakers' THEN 5 WHEN 'disabled' THEN 6 WHEN 'fenced' THEN 7 ELSE 8 END, l.name, l.n IS NULL,
			CASE WHEN l.n IS NULL AND l.state = 'unconfirmed' THEN 'No subscription has been unconfirmed for an hour.'
				WHEN l.n IS NULL THEN format('No subscription is %s.', l.state)
				ELSE format('%s: subscription %s (%s)', l.state, left(l.ids, 200), left(l.reasons, 500)) END,
			CASE WHEN l.n IS NOT NULL THEN l.hint END
		FROM listed l
	UNION ALL
	SELECT 9, 'watches', w.n = 0,
			CASE WHEN w.n = 0 THEN 'Each watched table makes its events.'
				ELSE left(w.problems, 500) END,
			CASE WHEN w.n > 0 THEN 'See webhook.watched_table.' END
		FROM (
			SELECT count(*) AS n, string_agg(format('%s: %s', t.relation, t.problem), '; ' ORDER BY t.relation::text) AS problems
				FROM webhook.watched_table t
				WHERE t.problem IS NOT NULL
		) w
	UNION ALL
	SELECT 11, 'ring', r.is_ok,
			format(CASE WHEN oldest IS NULL THEN 'The ring has %s and no row.'
				ELSE 'The ring has %s; its oldest row was written at %s.' END, pg_size_pretty(r.size), oldest),
			CASE WHEN NOT r.is_ok THEN
				'An open or prepared transaction that has written events, or a lock on a table webhook_internal.event_N, keeps that table from being emptied.' END
		FROM (
			SELECT coalesce(sum(t.bytes), 0) AS size,
					oldest IS NULL OR oldest > now - 2 * kept - interval '1 hour' AS is_ok
				FROM size t
				WHERE t.part = 'ring'
		) r
	UNION ALL
	SELECT 12, 'log', l.is_ok,
			format(CASE WHEN leaf IS NULL THEN 'The log has %s in %s leaves.'
				ELSE 'The log has %s in %s leaves; the oldest day ends at %s.' END, pg_size_pretty(l.size), l.n, leaf),
			CASE WHEN NOT l.is_ok THEN
				'See the server log; a lock on webhook.log keeps a leaf from being dropped.' END
		FROM (
			SELECT coalesce(sum(t.bytes), 0) AS size, coalesce(sum(t.tables), 0) AS n,
					-- The worker keeps a leaf, and a day more, for what the ring has.
					leaf IS NULL OR NOT drops OR leaf > least(now - logged, oldest - interval '1 day')
						- interval '2 days' AS is_ok
				FROM size t
				WHERE t.part = 'log'
		) l
	UNION ALL
	SELECT 13, 'clock', newest IS NULL OR newest < now + interval '1 day',
			CASE WHEN newest >= now + interval '1 day'
				THEN format('The log was written by a clock that was ahead, up to %s.', newest)
				ELSE 'The log is not ahead of the clock.' END,
			CASE WHEN newest >= now + interval '1 day' THEN
				'See the clock of the machine. If it is right now, rows of the log bear a time to come until then; detach those leaves.' END
	UNION ALL
	SELECT 17, 'locks', true, 'No table that is read here is locked.', NULL;
END
$$;
COMMENT ON FUNCTION webhook_internal.table_checks() IS 'the checks of webhook.health() that read tables of the extension; while one is locked, one row that says so';

CREATE FUNCTION webhook_internal.health(
	OUT check_name text,
	OUT ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE sql STABLE ROWS 17
	SET search_path = pg_catalog, pg_temp SET jit = off
	-- The bounds of leaves are read as text.
	SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
	SELECT c.name, coalesce(c.is_ok, false), c.detail, c.hint
		FROM (
			SELECT * FROM webhook_internal.server_checks()
			UNION ALL
			SELECT * FROM webhook_internal.table_checks()
		) c
		ORDER BY coalesce(c.is_ok, false), c.number
$$;
COMMENT ON FUNCTION webhook_internal.health() IS 'what webhook.health() does, with the rights of the owner';
/*
 * Logical replication: what another server's rows do here
 *
 * A publication FOR ALL TABLES has our tables, too. Its rows say what the other
 * server has to send, and to whom. None of it is done here: a trigger drops the
 * rows, in every table.
 */

CREATE FUNCTION webhook_internal.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';
COMMENT ON FUNCTION webhook_internal.drop_replicated() IS 'trigger function: keeps replicated rows out of a table; with an argument only those that a background process brings, so that people may write with session_replication_role = replica';

DO $$
DECLARE
	relation	regclass;
	name		text;
BEGIN
	FOR relation, name IN
		SELECT c.oid, c.relname
			FROM pg_class c
			WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
				AND c.relkind IN ('r', 'p')
			ORDER BY c.relname COLLATE "C"
	LOOP
		EXECUTE format($_$
			CREATE TRIGGER drop_replicated
				BEFORE INSERT OR UPDATE OR DELETE ON %1$s
				FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated(%2$s);
			ALTER TABLE %1$s ENABLE REPLICA TRIGGER drop_replicated;
			COMMENT ON TRIGGER drop_replicated ON %1$s IS 'rows of another server mean nothing here';
		$_$, relation, CASE WHEN name !~ '^event_[0-9]$' THEN '''background''' END);
	END LOOP;
END
$$;
/*
 * Privileges: who may do what
 *
 * A role may monitor, read, operate or administer; each level includes the one
 * before it, and is for all tenants. Who monitors gets numbers of the database as a
 * whole, and does not count as one who sees all tenants. A role of a tenant has a level
 * of its own, for its own rows and subscriptions, and no other. grant_backup() is for
 * roles that run pg_dump. Whoever calls these functions has to have the rights of the
 * owner.
 *
 * Views, and the functions whose C function is webhook_door, use objects of
 * webhook_internal with the rights of the owner, so a role needs no privilege there,
 * with two exceptions: a function that a view calls is executed as the reader, and
 * webhook.watch(), unwatch() and alter_watch() run as their caller.
 */

CREATE FUNCTION webhook_internal.privileges() RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(concat(o.oid, o.acl), ' ' ORDER BY o.oid)
			|| coalesce((SELECT string_agg(t::text, ' ' ORDER BY t.role)
					FROM webhook_internal.tenant_role t), '')
		FROM pg_namespace n,
			LATERAL (
				SELECT n.oid, n.nspacl AS acl
				UNION ALL
				SELECT c.oid, c.relacl FROM pg_class c WHERE c.relnamespace = n.oid
				UNION ALL
				SELECT p.oid, p.proacl FROM pg_proc p WHERE p.pronamespace = n.oid
			) o
		WHERE n.nspname IN ('webhook', 'webhook_internal')
$$;
COMMENT ON FUNCTION webhook_internal.privileges() IS 'a value that changes with each privilege on an object of the extension, and with each role of a tenant';

CREATE FUNCTION webhook_internal.is_for_portal(role oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM pg_proc p, aclexplode(p.proacl) a
			WHERE p.oid = 'webhook.act_as(text)'::regprocedure AND a.grantee = is_for_portal.role
				AND a.grantee <> p.proowner)
$$;
COMMENT ON FUNCTION webhook_internal.is_for_portal(oid) IS 'true if webhook.grant_portal() was called for this very role';

-- Whoever has one of these privileges, or can get it by SET ROLE, reads past views and policies.
CREATE FUNCTION webhook_internal.privilege_of_role(role pg_roles) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN role.rolsuper THEN 'is a superuser'
		WHEN role.rolbypassrls THEN 'bypasses row-level security'
		WHEN role.rolreplication THEN 'may replicate all tables'
		-- Until PostgreSQL 16, such a role makes itself a member of all others.
		WHEN role.rolcreaterole AND current_setting('server_version_num')::integer < 160000
			THEN 'may grant itself the privileges of others' END
$$;
COMMENT ON FUNCTION webhook_internal.privilege_of_role(pg_roles) IS 'what lets the role see more than it was granted, as the rest of a sentence; null: nothing does';

CREATE FUNCTION webhook_internal.problem_as_tenant(role regrole, tenant text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		'It ' || webhook_internal.privilege_of_role(r) || '.',
		CASE WHEN pg_has_role(r.oid, n.nspowner, 'MEMBER')
			THEN 'It is a member of the owner of the extension.' END,
		(SELECT format('It is a member of %s, which %s.', p.rolname,
					webhook_internal.privilege_of_role(p))
			FROM pg_roles p
			WHERE webhook_internal.privilege_of_role(p) IS NOT NULL
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('It is a member of %s.', p.rolname)
			FROM pg_roles p
			WHERE p.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
					'pg_write_server_files', 'pg_execute_server_program')
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('It acts for tenant "%s" already.', t.tenant)
			FROM webhook_internal.tenant_role t
			WHERE t.role = r.oid AND t.tenant IS DISTINCT FROM problem_as_tenant.tenant),
		(SELECT format('It is a member of %s, which acts for tenant "%s".', p.rolname, t.tenant)
			FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
			WHERE t.tenant IS DISTINCT FROM problem_as_tenant.tenant
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('Its member %s acts for tenant "%s".', p.rolname, t.tenant)
			FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
			WHERE t.tenant IS DISTINCT FROM problem_as_tenant.tenant
				AND pg_has_role(p.oid, r.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT CASE WHEN p.oid = r.oid THEN 'It has other privileges on the extension.'
					ELSE format('It is a member of %s, which has other privileges on the extension.', p.rolname) END
			FROM pg_namespace s,
				LATERAL (
					SELECT s.nspacl AS acl
					UNION ALL
					SELECT c.relacl FROM pg_class c WHERE c.relnamespace = s.oid
					UNION ALL
					SELECT f.proacl FROM pg_proc f WHERE f.pronamespace = s.oid
				) o,
				aclexplode(o.acl) a
				JOIN pg_roles p ON p.oid = a.grantee
			WHERE s.nspname IN ('webhook', 'webhook_internal')
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
				AND NOT EXISTS (SELECT FROM webhook_internal.tenant_role t WHERE t.role = p.oid)
				AND NOT (problem_as_tenant.tenant IS NULL
					AND webhook_internal.is_for_portal(p.oid))
			ORDER BY p.oid <> r.oid, p.rolname
			LIMIT 1))
		FROM pg_roles r, pg_namespace n
		WHERE r.oid = problem_as_tenant.role AND n.nspname = 'webhook'
$$;
COMMENT ON FUNCTION webhook_internal.problem_as_tenant(regrole, text) IS 'why the role cannot act for the tenant, or, without one, by tokens; null: it can';

CREATE FUNCTION webhook_internal.grant_each(
	action text,
	role regrole,
	commands text[],
	tenant text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner		regrole := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'webhook');
	relation	regclass;
	command		text;
	before		text;
BEGIN
	PERFORM webhook_internal.require_not_null('role', role IS NULL OR role::oid = 0::oid,
		'Give the name of a role.');
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
		RAISE EXCEPTION 'role with OID % does not exist', role::oid
			USING ERRCODE = 'undefined_object',
				COLUMN = 'role',
				HINT = 'Give the name of a role.';
	END IF;
	IF NOT pg_has_role(webhook_internal.caller(), owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema webhook'
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Call it as %s, the owner, or as a superuser.', owner);
	END IF;
	IF role = owner THEN
		RAISE EXCEPTION 'role % owns the extension', role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				HINT = 'The owner may do everything in any case; give another role.';
	END IF;

	/*
	 * GRANT changes a relation's row of pg_class without locking the relation, and
	 * fails if another transaction changes it: a second GRANT, the worker that
	 * truncates a table of the ring, a DBA who rebuilds an index. So each waits for
	 * the other. The lock on the log is held by one caller at a time, and while it
	 * is held no leaf comes or goes.
	 */
	LOCK TABLE ONLY webhook.log IN SHARE UPDATE EXCLUSIVE MODE;
	FOR relation IN
		SELECT c.oid
			FROM pg_class c
			WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
				AND c.relkind IN ('r', 'p')
			ORDER BY c.oid
	LOOP
		EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', relation);
	END LOOP;

	before := webhook_internal.privileges();
	FOREACH command IN ARRAY commands LOOP
		EXECUTE format(command, role);
	END LOOP;
	IF webhook_internal.privileges() <> before THEN
		PERFORM webhook_internal.audit_of(action, NULL::bigint, NULL::uuid,
			jsonb_strip_nulls(jsonb_build_object('role', role::text, 'tenant', tenant)), tenant);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_each(text, regrole, text[], text) IS 'execute these commands for a role, if the caller is the owner; a row of the audit says so if they change a privilege';

CREATE FUNCTION webhook_internal.refuse_tenant(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	other		record;
BEGIN
	SELECT t.role, t.tenant
		INTO other
		FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
		WHERE refuse_tenant.role IN (SELECT r.oid FROM pg_roles r)
			AND pg_has_role(t.role, refuse_tenant.role, 'MEMBER')
		ORDER BY t.role <> refuse_tenant.role, p.rolname
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'role % acts for tenant "%"', other.role, other.tenant
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = CASE WHEN other.role <> refuse_tenant.role
					THEN format('It is a member of role %s.', refuse_tenant.role)
					ELSE 'A role of a tenant has no other rights.' END,
				HINT = format('Call webhook.revoke(%L) first, or give another role.', other.role);
	END IF;
	SELECT p.oid::regrole AS role
		INTO other
		FROM pg_roles p
		WHERE refuse_tenant.role IN (SELECT r.oid FROM pg_roles r)
			AND webhook_internal.is_for_portal(p.oid)
			AND pg_has_role(p.oid, refuse_tenant.role, 'MEMBER')
		ORDER BY p.oid <> refuse_tenant.role, p.rolname
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'role % acts by tokens', other.role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = CASE WHEN other.role <> refuse_tenant.role
					THEN format('It is a member of role %s.', refuse_tenant.role)
					ELSE 'A role of the portal has no other rights.' END,
				HINT = format('Call webhook.revoke(%L) first, or give another role.', other.role);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.refuse_tenant(regrole) IS 'raise an error if the role, or a member of it, acts for a tenant or by tokens';

CREATE FUNCTION webhook_internal.grant_level(action text, role regrole, level integer)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	monitor		text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.metrics,
			webhook.stat_worker
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook_internal.pending_summary,
			webhook_internal.relation_bytes,
			webhook_internal.table_metrics,
			webhook_internal.worker_metrics,
			webhook_internal.worker_state
			TO %s'];
	reader		text[] := ARRAY[
		'GRANT SELECT ON
			webhook.audit,
			webhook.stat_minute,
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_pending,
			webhook.stat_subscription,
			webhook.tenant,
			webhook.watched_table,
			webhook_internal.pending_event,
			webhook_internal.subscription_id
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.explain,
			webhook.health,
			webhook.may_write,
			webhook.my_tenant,
			webhook.notify_channel,
			webhook.openapi,
			webhook.series,
			webhook.sign,
			webhook.verify,
			webhook_internal.all_tenants,
			webhook_internal.disabled,
			webhook_internal.home,
			webhook_internal.sees_all,
			webhook_internal.my_tenant,
			webhook_internal.matches_any,
			webhook_internal.reason_of,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.state_of,
			webhook_internal.unconfirmed,
			webhook_internal.watch_arguments
			TO %s'];
	operator	text[] := ARRAY[
		'GRANT EXECUTE ON FUNCTION
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.retry,
			webhook.cancel,
			webhook.skip,
			webhook.drain
			TO %s'];
	admin		text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook_internal TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.define_event_type,
			webhook.alter_event_type,
			webhook.drop_event_type,
			webhook.define_tenant,
			webhook.portal_token,
			webhook.revoke_portal_tokens,
			webhook.confirm,
			webhook.watch,
			webhook.unwatch,
			webhook.alter_watch,
			webhook.publish,
			webhook.check_endpoint,
			webhook.config,
			webhook.erase,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.secret,
			webhook.rotate_secret,
			webhook.resume_database,
			webhook_internal.alter_watch_trigger,
			webhook_internal.audit_of_watch,
			webhook_internal.audit_watch,
			webhook_internal.base_type,
			webhook_internal.check_columns,
			webhook_internal.check_tenant_column,
			webhook_internal.clipped,
			webhook_internal.is_own_type,
			webhook_internal.lock_watched,
			webhook_internal.other_watched,
			webhook_internal.require_event_type,
			webhook_internal.require_list,
			webhook_internal.require_not_null,
			webhook_internal.watch_detail,
			webhook_internal.watch_label,
			webhook_internal.watch_parts,
			webhook_internal.watch_trigger
			TO %s'];
BEGIN
	PERFORM webhook_internal.refuse_tenant(role);
	PERFORM webhook_internal.grant_each(action, role, monitor
		|| CASE WHEN level >= 1 THEN reader END
		|| CASE WHEN level >= 2 THEN operator END || CASE WHEN level >= 3 THEN admin END);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_level(text, regrole, integer) IS 'grant what a monitor (0), a reader (1), an operator (2) or an administrator (3) may do';

CREATE FUNCTION webhook.grant_monitor(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_monitor'::text, role, 0)
$$;
COMMENT ON FUNCTION webhook.grant_monitor(regrole) IS 'let a role read the numbers of webhook.metrics and webhook.stat_worker; pg_monitor may from the start';

CREATE FUNCTION webhook.grant_reader(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_reader'::text, role, 1)
$$;
COMMENT ON FUNCTION webhook.grant_reader(regrole) IS 'let a role read the views and the log, which show no secret and no credential';

CREATE FUNCTION webhook.grant_operator(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_operator'::text, role, 2)
$$;
COMMENT ON FUNCTION webhook.grant_operator(regrole) IS 'let a role read, and pause, resume, ping, resend, recover, retry, cancel, skip and drain';

CREATE FUNCTION webhook.grant_admin(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_admin'::text, role, 3)
$$;
COMMENT ON FUNCTION webhook.grant_admin(regrole) IS 'let a role read, operate, and administer event types, watched tables, subscriptions and secrets';

-- The worker lets the roles that may read the secrets read each new leaf of the log.
CREATE FUNCTION webhook.grant_backup(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[];
BEGIN
	PERFORM webhook_internal.refuse_tenant(role);
	SELECT ARRAY['GRANT USAGE ON SCHEMA webhook, webhook_internal TO %s']
			|| array_agg(format('GRANT SELECT ON %s TO %%s', dumped.relation) ORDER BY dumped.relation)
		INTO commands
		FROM (
			SELECT unnest(e.extconfig)::regclass::text AS relation
				FROM pg_extension e WHERE e.extname = 'webhook'
			UNION
			SELECT t.relid::text FROM pg_partition_tree('webhook.log') t
		) dumped;
	PERFORM webhook_internal.grant_each('grant_backup'::text, role, commands);
END
$$;
COMMENT ON FUNCTION webhook.grant_backup(regrole) IS 'let a role read all that pg_dump reads: the log, subscriptions with their secrets, and what waits';

CREATE FUNCTION webhook.grant_tenant(role regrole, tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.grant_tenant(regrole, text) IS 'let a role see what is the tenant''s own, and administer its subscriptions within its caps';

CREATE FUNCTION webhook_internal.grant_tenant(role regrole, tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant_role'::regclass);
	PERFORM webhook_internal.check_tenant_name(tenant);
	PERFORM webhook_internal.require_tenant(tenant);
	problem := webhook_internal.problem_as_tenant(role, tenant);
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'role % cannot act for tenant "%"', role, tenant
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = problem,
				HINT = 'Give a role that has no other rights, or take them from it, for example with webhook.revoke().';
	END IF;
	PERFORM webhook_internal.grant_own('grant_tenant'::text, role,
		format('INSERT INTO webhook_internal.tenant_role VALUES (%%L::regrole, %L)'
			' ON CONFLICT (role) DO UPDATE SET tenant = excluded.tenant', replace(tenant, '%', '%%')),
		tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_tenant(regrole, text) IS 'what webhook.grant_tenant() does, with the rights of the owner';

CREATE FUNCTION webhook.grant_portal(role regrole) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.grant_portal(regrole) IS 'let a role act for a tenant by a token of webhook.portal_token(); without one it sees nothing';

CREATE FUNCTION webhook_internal.grant_portal(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem		text := webhook_internal.problem_as_tenant(role, NULL::text);
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'role % cannot act by tokens', role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = problem,
				HINT = 'Give a role that has no other rights, or take them from it, for example with webhook.revoke().';
	END IF;
	PERFORM webhook_internal.grant_own('grant_portal'::text, role,
		'GRANT EXECUTE ON FUNCTION webhook.act_as TO %s');
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_portal(regrole) IS 'what webhook.grant_portal() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.grant_own(
	action text,
	role regrole,
	first text,
	tenant text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.grant_each(action, role, ARRAY[
		first,
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.audit,
			webhook.stat_minute,
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_pending,
			webhook.stat_subscription,
			webhook.tenant,
			webhook.watched_table,
			webhook_internal.pending_event,
			webhook_internal.subscription_id
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.check_endpoint,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.retry,
			webhook.cancel,
			webhook.skip,
			webhook.secret,
			webhook.rotate_secret,
			webhook.explain,
			webhook.may_write,
			webhook.my_tenant,
			webhook.notify_channel,
			webhook.openapi,
			webhook.series,
			webhook.sign,
			webhook.verify,
			webhook_internal.sees_all,
			webhook_internal.my_tenant,
			webhook_internal.matches_any,
			webhook_internal.home,
			webhook_internal.disabled,
			webhook_internal.state_of,
			webhook_internal.unconfirmed,
			webhook_internal.pending_summary,
			webhook_internal.reason_of,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.watch_arguments,
			webhook_internal.worker_state
			TO %s'],
		tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_own(text, regrole, text, text) IS 'execute a command for a role, and grant it what those may do that act for one tenant';

CREATE FUNCTION webhook.revoke(role regrole) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.revoke(regrole) IS 'take all privileges on the extension from a role, also those of a tenant';

CREATE FUNCTION webhook_internal.revoke(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'DELETE FROM webhook_internal.tenant_role WHERE role = %L::regrole',
		'UPDATE webhook_internal.portal_token SET revoked_at = clock_timestamp()
			WHERE role = %L::regrole AND revoked_at IS NULL',
		'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON SCHEMA webhook, webhook_internal FROM %s'];
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant_role'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.grant_each('revoke'::text, role, commands,
		(SELECT t.tenant FROM webhook_internal.tenant_role t WHERE t.role = revoke.role));
END
$$;
COMMENT ON FUNCTION webhook_internal.revoke(regrole) IS 'what webhook.revoke() does, with the rights of the owner';

/*
 * Nobody but the owner has a privilege at first. Default privileges, which were
 * given with other schemas in mind, open nothing either.
 */

REVOKE ALL ON SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM PUBLIC;

DO $$
DECLARE
	grantee		regrole;
BEGIN
	FOR grantee IN
		SELECT DISTINCT a.grantee
			FROM pg_namespace n,
				LATERAL (
					SELECT n.nspacl AS acl, n.nspowner AS owner
					UNION ALL
					SELECT c.relacl, c.relowner FROM pg_class c WHERE c.relnamespace = n.oid
					UNION ALL
					SELECT p.proacl, p.proowner FROM pg_proc p WHERE p.pronamespace = n.oid
				) o,
				aclexplode(o.acl) a
			WHERE n.nspname IN ('webhook', 'webhook_internal') AND a.grantee <> o.owner
	LOOP
		PERFORM webhook.revoke(grantee);
	END LOOP;
END
$$;

SELECT webhook.grant_monitor('pg_monitor');

/*
 * Whoever owns a watched table goes on owning it: PostgreSQL asks them for this
 * privilege when they add a partition, which gets a copy of the trigger. Nobody
 * can name the function without USAGE on its schema.
 */
GRANT EXECUTE ON FUNCTION webhook_internal.enqueue() TO PUBLIC;

-- A database is often dumped by its owner.
DO $$
DECLARE
	dumps		regrole := (
		SELECT d.datdba FROM pg_database d WHERE d.datname = current_database());
BEGIN
	IF NOT pg_has_role(dumps, current_user, 'USAGE') THEN
		RAISE WARNING 'role % owns database "%" and cannot dump it with this extension',
				dumps, current_database()
			USING HINT = format('Call webhook.grant_backup(%L) if it runs pg_dump.', dumps);
	END IF;
END
$$;
/*
 * Dumps: what people have configured and done, what still waits, and the sequences that
 * number both. The ring and the checkpoint belong to this database alone; the
 * leaves of the log are dumped as the ordinary tables that they are.
 */

-- Without what CREATE EXTENSION makes, unless people have altered it.
SELECT pg_extension_config_dump('webhook_internal.event_type', $$WHERE name NOT LIKE 'webhook.%' AND (name, description, schema, example, deprecated_at) IS DISTINCT FROM ('App.BusinessRequestStatusChange', 'The status of a business request has changed.', NULL, NULL, NULL)$$);
SELECT pg_extension_config_dump('webhook_internal.tenant', '');
-- The OID of a role that is gone may be another one's elsewhere.
SELECT pg_extension_config_dump('webhook_internal.tenant_role', 'WHERE role IN (SELECT oid FROM pg_catalog.pg_roles)');
SELECT pg_extension_config_dump('webhook_internal.subscription', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_secret', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_state', '');
SELECT pg_extension_config_dump('webhook_internal.pending', '');
SELECT pg_extension_config_dump('webhook_internal.audit', '');
SELECT pg_extension_config_dump('webhook_internal.stat_minute', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_id_seq', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_secret_id_seq', '');
SELECT pg_extension_config_dump('webhook_internal.event_id_seq', '');
