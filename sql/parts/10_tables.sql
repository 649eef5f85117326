/*
 * Tables
 *
 * What people use is in the schema "webhook": functions, views and the log. The
 * rest is in "webhook_internal".
 *
 *   event_type            what can be subscribed to            people write
 *   subscription          who wants what, where                people write
 *   subscription_secret   with which the calls are signed      people write
 *   event_0 to event_3    the ring: events as they commit      backends append
 *   pending               deliveries that wait                 the worker writes
 *   subscription_state    how each endpoint fares              the worker writes
 *   log                   one row an attempt, by day           the worker writes
 *   checkpoint            how far the worker is                the worker writes
 *
 * People write by the functions below. The order of the columns of event_N,
 * pending, subscription_state, log and checkpoint is known to src/catalog.h.
 */

CREATE TABLE webhook_internal.event_type (
	name		text COLLATE "C" PRIMARY KEY,
	description	text,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

INSERT INTO webhook_internal.event_type (name, description)
	VALUES ('App.BusinessRequestStatusChange', 'The status of a business request has changed.');

CREATE SEQUENCE webhook_internal.subscription_id_seq;

CREATE TABLE webhook_internal.subscription (
	id			bigint PRIMARY KEY DEFAULT pg_catalog.nextval('webhook_internal.subscription_id_seq'),
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
	enabled		boolean NOT NULL DEFAULT true,
	paused		boolean NOT NULL DEFAULT false,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by	name NOT NULL,
	since		pg_snapshot NOT NULL,
	home		text NOT NULL
);

CREATE SEQUENCE webhook_internal.subscription_secret_id_seq;

CREATE TABLE webhook_internal.subscription_secret (
	id			bigint PRIMARY KEY DEFAULT pg_catalog.nextval('webhook_internal.subscription_secret_id_seq'),
	subscription_id	bigint NOT NULL REFERENCES webhook_internal.subscription ON DELETE CASCADE,
	secret		text NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at	timestamptz
);
CREATE INDEX subscription_secret_subscription_id_idx
	ON webhook_internal.subscription_secret (subscription_id);

CREATE SEQUENCE webhook_internal.event_id_seq;

CREATE TABLE webhook_internal.event_0 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created_at		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_0_txid_id_idx ON webhook_internal.event_0 (txid, id);

CREATE TABLE webhook_internal.event_1 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created_at		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_1_txid_id_idx ON webhook_internal.event_1 (txid, id);

CREATE TABLE webhook_internal.event_2 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created_at		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_2_txid_id_idx ON webhook_internal.event_2 (txid, id);

CREATE TABLE webhook_internal.event_3 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created_at		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_3_txid_id_idx ON webhook_internal.event_3 (txid, id);

CREATE TABLE webhook_internal.pending (
	subscription_id	bigint NOT NULL,
	subject		text COLLATE "C" NOT NULL,
	position	bigint NOT NULL,
	id			bigint NOT NULL,
	event_id	uuid NOT NULL,
	cause		text NOT NULL,
	attempt		integer NOT NULL,
	step		integer NOT NULL,
	next_at		timestamptz,
	queued_at	timestamptz NOT NULL,
	age_start	timestamptz NOT NULL,
	created_at		timestamptz NOT NULL,
	event_type	text NOT NULL,
	data		json NOT NULL,
	PRIMARY KEY (subscription_id, subject, position, id)
) USING heap WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX pending_due_idx ON webhook_internal.pending (subscription_id, next_at)
	WHERE next_at IS NOT NULL;

CREATE TABLE webhook_internal.subscription_state (
	subscription_id	bigint PRIMARY KEY,
	breaker		text NOT NULL,
	concurrency	integer NOT NULL,
	consecutive_failures		integer NOT NULL,
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
	suspended_at	timestamptz,
	suspended		interval NOT NULL,
	delivered	bigint NOT NULL,
	failed		bigint NOT NULL,
	retried		bigint NOT NULL,
	filter_errors	bigint NOT NULL,
	rate		double precision NOT NULL,
	p50			interval,
	p95			interval,
	saved_at	timestamptz NOT NULL
) USING heap WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- Its leaves, webhook_internal.log_YYYYMMDD, are ordinary tables that the worker makes.
CREATE TABLE webhook.log (
	id			bigint NOT NULL,
	event_id	uuid NOT NULL,
	position	bigint NOT NULL,
	cause		text NOT NULL,
	logged_at	timestamptz NOT NULL,
	subscription_id	bigint NOT NULL,
	event_type	text NOT NULL,
	subject		text,
	created_at		timestamptz NOT NULL,
	attempt		integer NOT NULL,
	method		text,
	endpoint	text,
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
	data		json
) PARTITION BY RANGE (logged_at);

CREATE TABLE webhook_internal.checkpoint (
	home		text NOT NULL,
	snapshot	pg_snapshot NOT NULL,
	partial_snapshot pg_snapshot,
	upto_id		bigint,
	saved_at	timestamptz NOT NULL
) USING heap;

CREATE VIEW webhook.event_type AS
	SELECT name, description, created_at FROM webhook_internal.event_type;

-- The ring as one table, and what of it are events.
CREATE VIEW webhook_internal.ring AS
	SELECT id, txid, created_at, event_id, kind, event_type, subject, data FROM webhook_internal.event_0
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, data FROM webhook_internal.event_1
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, data FROM webhook_internal.event_2
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, data FROM webhook_internal.event_3;

CREATE VIEW webhook.event AS
	SELECT id, event_id, event_type, subject, data, created_at
		FROM webhook_internal.ring WHERE kind OPERATOR(pg_catalog.=) 'e';

