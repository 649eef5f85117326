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
