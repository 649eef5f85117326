/* webhook--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION webhook" to load this file. \quit

-- First of all: can the extension work in this server and database?
CREATE SCHEMA webhook;
CREATE SCHEMA webhook_internal;

CREATE FUNCTION webhook_internal.require_server() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_require_server';
SELECT webhook_internal.require_server();
DROP FUNCTION webhook_internal.require_server();

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

/*
 * Triggers
 */

CREATE FUNCTION webhook_internal.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';

CREATE FUNCTION webhook_internal.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_0
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_0 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_1
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_1 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_2
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_2 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_3
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_3 ENABLE REPLICA TRIGGER drop_replicated;

-- A restore, or a hand, writes where the worker would not look by itself.
CREATE FUNCTION webhook_internal.wake_worker() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_wake_worker';

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.subscription
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.subscription ENABLE ALWAYS TRIGGER wake_worker;

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.subscription_secret
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.subscription_secret ENABLE ALWAYS TRIGGER wake_worker;

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.pending
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.pending ENABLE ALWAYS TRIGGER wake_worker;

/*
 * Helpers of the functions below; nobody else calls them. Calls name the type
 * of each argument, so that none can mean a function that somebody adds.
 */

CREATE FUNCTION webhook_internal.require_event_type(event_type text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_event_type';

CREATE FUNCTION webhook_internal.canonical_endpoint(endpoint text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_canonical_endpoint';

CREATE FUNCTION webhook_internal.checked_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_headers';

CREATE FUNCTION webhook_internal.checked_secret(secret text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_secret';

CREATE FUNCTION webhook_internal.check_duplicate(endpoint text, events text[], subscription bigint)
	RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_check_duplicate';

CREATE FUNCTION webhook_internal.since() RETURNS pg_snapshot
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_since';

CREATE FUNCTION webhook_internal.home() RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_this_home';

CREATE FUNCTION webhook_internal.caller() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller';

CREATE FUNCTION webhook_internal.require_trusted_table(relation regclass) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_trusted_table';

CREATE FUNCTION webhook_internal.redacted_endpoint(endpoint text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_endpoint';

CREATE FUNCTION webhook_internal.redacted_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_headers';

CREATE FUNCTION webhook_internal.matches(pattern text, event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches';

CREATE FUNCTION webhook_internal.checked_filter(filter jsonpath) RETURNS jsonpath
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_filter';

CREATE FUNCTION webhook_internal.accepts(filter jsonpath, data json) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_accepts';

CREATE FUNCTION webhook_internal.new_event_id(created_at timestamptz) RETURNS uuid
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_new_event_id';

CREATE FUNCTION webhook_internal.command(
	kind "char",
	subscription bigint DEFAULT NULL,
	subject text DEFAULT NULL,
	event uuid DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_command';

CREATE FUNCTION webhook_internal.replay(
	subscription bigint,
	cause text,
	id bigint,
	event_id uuid,
	created_at timestamptz,
	event_type text,
	subject text,
	data json
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_replay';

CREATE FUNCTION webhook_internal.checked_events(events text[]) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	checked		text[] := '{}';
	event		text;
	wider		text;
BEGIN
	IF events IS NULL THEN
		RAISE EXCEPTION 'events must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Name at least one event type; table webhook.event_type lists them.';
	END IF;
	IF cardinality(events) = 0 THEN
		RAISE EXCEPTION 'events must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name at least one event type; table webhook.event_type lists them.';
	END IF;
	FOREACH event IN ARRAY events LOOP
		IF event IS NULL THEN
			RAISE EXCEPTION 'events must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Name event types only; table webhook.event_type lists them.';
		END IF;
		IF strpos(event, '*') = 0 THEN
			PERFORM webhook_internal.require_event_type(event);
		ELSIF event COLLATE "C" !~ '^([A-Za-z0-9][A-Za-z0-9_.-]*\.)?\*$'
			OR octet_length(event) > 128
		THEN
			RAISE EXCEPTION 'invalid pattern "%" of event types', event
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Write ''*'' for all event types, or for example ''App.*'' for those that begin with ''App.''; 128 bytes at most.';
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

CREATE FUNCTION webhook_internal.checked_schemes(signature_schemes text[]) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	scheme		text;
BEGIN
	IF signature_schemes IS NULL OR array_position(signature_schemes, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'signature_schemes must not be or contain null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give ''{standard}'' or ''{standard,abp}''.';
	END IF;
	FOREACH scheme IN ARRAY signature_schemes LOOP
		IF scheme NOT IN ('standard', 'abp') THEN
			RAISE EXCEPTION 'signature scheme "%" does not exist', scheme
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Give ''{standard}'' or ''{standard,abp}''.';
		END IF;
	END LOOP;
	-- The signature of Standard Webhooks is on every call.
	IF 'abp' = ANY (signature_schemes) THEN
		RETURN '{standard,abp}';
	END IF;
	RETURN '{standard}';
END
$$;

CREATE FUNCTION webhook_internal.checked_format(payload_format text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF payload_format NOT IN ('envelope', 'raw', 'standard') THEN
		RAISE EXCEPTION 'payload format "%" does not exist', payload_format
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give ''envelope'', ''raw'' or ''standard''.';
	END IF;
	RETURN payload_format;
END
$$;

CREATE FUNCTION webhook_internal.checked_in_flight(max_in_flight integer) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF max_in_flight NOT BETWEEN 0 AND 1000 THEN
		RAISE EXCEPTION 'max_in_flight must be between 1 and 1000, not %', max_in_flight
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give 0 for what webhook.max_in_flight_per_subscription says.';
	END IF;
	RETURN nullif(max_in_flight, 0);
END
$$;

CREATE FUNCTION webhook_internal.checked_rate(rate_limit real) RETURNS real
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- The lower one is a call in 28 hours, and the upper one refuses NaN, too.
	IF rate_limit <> 0 AND rate_limit NOT BETWEEN 0.00001::real AND 10000 THEN
		RAISE EXCEPTION 'rate_limit must be between 0.00001 and 10000 calls a second, not %',
			rate_limit
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give 0 for no limit.';
	END IF;
	RETURN nullif(rate_limit, 0);
END
$$;

-- In days of 24 hours and below, so that it is one length only.
CREATE FUNCTION webhook_internal.checked_duration(
	argument text,
	duration interval,
	shortest text,
	longest text,
	hint text
) RETURNS interval
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seconds		numeric := extract(epoch FROM duration);
BEGIN
	IF seconds NOT BETWEEN extract(epoch FROM shortest::interval)
		AND extract(epoch FROM longest::interval)
	THEN
		RAISE EXCEPTION '% must be between % and %, not %', argument, shortest, longest, duration
			USING ERRCODE = 'invalid_parameter_value',
				HINT = hint;
	END IF;
	RETURN justify_hours(make_interval(secs => seconds::float8));
END
$$;

CREATE FUNCTION webhook_internal.checked_schedule(retry_schedule interval[]) RETURNS interval[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	checked		interval[] := '{}';
	wait		interval;
BEGIN
	IF cardinality(retry_schedule) > 100 THEN
		RAISE EXCEPTION 'retry_schedule of % waits is too long', cardinality(retry_schedule)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A schedule may have 100 waits.';
	END IF;
	FOREACH wait IN ARRAY retry_schedule LOOP
		IF wait IS NULL THEN
			RAISE EXCEPTION 'retry_schedule must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Give the waits between attempts, for example ''{5 s,5 min,2 h}''.';
		END IF;
		checked := checked || webhook_internal.checked_duration('a wait in retry_schedule', wait,
			'1 s', '30 days', 'Give ''{}'' for what webhook.retry_schedule says.');
	END LOOP;
	RETURN nullif(checked, '{}');
END
$$;

CREATE FUNCTION webhook_internal.checked_statuses(final_statuses integer[]) RETURNS integer[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	status		integer;
BEGIN
	IF cardinality(final_statuses) > 50 THEN
		RAISE EXCEPTION 'final_statuses of % entries is too long', cardinality(final_statuses)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A subscription may have 50.';
	END IF;
	FOREACH status IN ARRAY final_statuses LOOP
		IF status IS NULL THEN
			RAISE EXCEPTION 'final_statuses must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
		IF status NOT BETWEEN 300 AND 599 THEN
			RAISE EXCEPTION 'a status in final_statuses must be between 300 and 599, not %', status
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'A status from 200 to 299 is a success in any case.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT s.status FROM unnest(final_statuses) AS s (status) ORDER BY 1);
END
$$;

CREATE FUNCTION webhook_internal.checked_file(argument text, file text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF octet_length(file) > 255 THEN
		RAISE EXCEPTION '% of % bytes is too long', argument, octet_length(file)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'The name of a file may have 255 bytes.';
	END IF;
	IF file COLLATE "C" !~ '^[!-.0-~]*$' OR starts_with(file, '.') THEN
		RAISE EXCEPTION '% "%" is not the plain name of a file', argument, file
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name a file in the directory that webhook.certificate_directory says: visible ASCII characters, no slash, no full stop at the start.';
	END IF;
	RETURN nullif(file, '');
END
$$;

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
	client_certificate text
) RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new			webhook_internal.subscription := base;
BEGIN
	IF filter IS NOT NULL THEN
		new.filter := webhook_internal.checked_filter(filter);
	END IF;
	IF payload_format IS NOT NULL THEN
		new.payload_format := webhook_internal.checked_format(payload_format);
	END IF;
	IF ordered IS NOT NULL THEN
		new.ordered := ordered;
	END IF;
	IF max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(max_in_flight);
	END IF;
	IF rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(rate_limit);
	END IF;
	IF timeout IS NOT NULL THEN
		new.timeout := webhook_internal.checked_duration('timeout', nullif(timeout, '0'),
			'1 ms', '5 min', 'Give ''0'' for what webhook.timeout says.');
	END IF;
	IF retry_schedule IS NOT NULL THEN
		new.retry_schedule := webhook_internal.checked_schedule(retry_schedule);
	END IF;
	IF max_age IS NOT NULL THEN
		new.max_age := webhook_internal.checked_duration('max_age', nullif(max_age, '0'),
			'1 min', '1 year', 'Give ''0'' for seven days.');
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
	RETURN new;
END
$$;

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
	FOREACH wanted IN ARRAY coalesce(columns, '{}') LOOP
		IF wanted IS NULL THEN
			RAISE EXCEPTION '% must not contain null', argument
				USING ERRCODE = 'null_value_not_allowed',
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
					HINT = format('Name a column of the table in %s.', argument);
		END IF;
		IF generated = 'v' THEN
			RAISE EXCEPTION 'column "%" of relation "%" is a virtual generated column',
				wanted, check_columns.relation
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'A trigger does not see its value.',
					HINT = format('Name a stored column in %s.', argument);
		END IF;
		IF wanted = ANY (seen) THEN
			RAISE EXCEPTION 'column "%" is named twice in %', wanted, argument
				USING ERRCODE = 'duplicate_column',
					HINT = 'Name each column once.';
		END IF;
		seen := seen || wanted;
	END LOOP;
END
$$;

CREATE FUNCTION webhook_internal.raise_unknown_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF subscription IS NULL THEN
		RAISE EXCEPTION 'subscription must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the id of a subscription; table webhook.subscription lists them.';
	END IF;
	RAISE EXCEPTION 'subscription % does not exist', subscription
		USING ERRCODE = 'undefined_object',
			HINT = 'Table webhook.subscription lists those that exist.';
END
$$;

-- By people, or by the worker since it was last enabled.
CREATE FUNCTION webhook_internal.is_disabled(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_disabled.subscription
				AND (NOT s.enabled OR t.disabled_at IS NOT NULL
					AND (t.disabled_start_snapshot IS NULL OR t.disabled_start_snapshot::text = s.since::text)))
$$;

CREATE FUNCTION webhook_internal.require_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = require_subscription.subscription)
	THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription);
	END IF;
END
$$;

CREATE FUNCTION webhook_internal.require_enabled(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF webhook_internal.is_disabled(subscription) THEN
		RAISE EXCEPTION 'subscription % is disabled', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('Enable it with webhook.alter_subscription(%s, enabled => true).',
					subscription);
	END IF;
END
$$;

-- Transaction ids of another cluster mean nothing here: see none of them.
CREATE FUNCTION webhook_internal.local_start_snapshot(home text, since pg_snapshot) RETURNS pg_snapshot
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN split_part(home, '/', 1) = split_part(webhook_internal.home(), '/', 1) THEN since
		ELSE '3:3:' END
$$;

-- Has the worker read this row of the ring, and written what came of it?
CREATE FUNCTION webhook_internal.is_processed(txid xid8, id bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.checkpoint c
			WHERE pg_visible_in_snapshot(is_processed.txid, c.snapshot)
				OR is_processed.id <= c.upto_id AND pg_visible_in_snapshot(is_processed.txid, c.partial_snapshot))
$$;

-- Where there is data, it can be sent again; without an id, it is unknown.
CREATE FUNCTION webhook_internal.find_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	logged		webhook.event;
	present		webhook.event;
BEGIN
	-- The log has an index, the others are searched.
	SELECT l.id, l.event_id, l.event_type, l.subject, l.data, l.created_at
		INTO logged
		FROM webhook.log l
		WHERE l.event_id = find_event.event
		ORDER BY l.data IS NULL, l.logged_at DESC
		LIMIT 1;
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	SELECT p.id, p.event_id, p.event_type, nullif(p.subject, ''), p.data, p.created_at
		INTO present
		FROM webhook_internal.pending p
		WHERE p.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	SELECT e.*
		INTO present
		FROM webhook.event e
		WHERE e.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;

	-- A replay, or a ping, that is on its way has the event with it.
	SELECT (r.data ->> 'id')::bigint, r.event_id, r.event_type, r.subject, r.data -> 'data',
			'2000-01-01 00:00+00'::timestamptz
				+ (r.data ->> 'created_at')::bigint * interval '1 microsecond'
		INTO present
		FROM webhook_internal.ring r
		WHERE r.kind = 'r' AND r.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	RETURN logged;
END
$$;

CREATE FUNCTION webhook_internal.require_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	IF event IS NULL THEN
		RAISE EXCEPTION 'event must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the Id of an event.';
	END IF;
	known := webhook_internal.find_event(event);
	IF known.id IS NULL THEN
		RAISE EXCEPTION 'event % is unknown', event
			USING ERRCODE = 'undefined_object',
				HINT = 'The views webhook.event, webhook.pending_delivery and webhook.dead_letter list events.';
	END IF;
	RETURN known;
END
$$;

/*
 * What is an event
 */

CREATE FUNCTION webhook.define_event_type(name text, description text DEFAULT NULL)
	RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.event_type'::regclass);
	IF define_event_type.name IS NULL THEN
		RAISE EXCEPTION 'name must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the event type a name, for example ''App.ContractSigned''.';
	END IF;
	IF octet_length(define_event_type.name) > 128 THEN
		RAISE EXCEPTION 'name of % bytes is too long for an event type',
			octet_length(define_event_type.name)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'The name of an event type may have 128 bytes.';
	END IF;
	IF define_event_type.name COLLATE "C" !~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$' THEN
		RAISE EXCEPTION 'invalid name "%" of an event type', define_event_type.name
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Use ASCII letters, digits, "_", "." and "-", a letter or a digit first, for example ''App.ContractSigned''.';
	END IF;

	IF starts_with(define_event_type.name, 'webhook.') THEN
		RAISE EXCEPTION 'name "%" of an event type is reserved', define_event_type.name
			USING ERRCODE = 'reserved_name',
				HINT = 'Begin it otherwise; event types of "webhook" are the extension''s own.';
	END IF;

	INSERT INTO webhook_internal.event_type (name, description)
		VALUES (define_event_type.name, nullif(define_event_type.description, ''))
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'event type "%" exists already', define_event_type.name
			USING ERRCODE = 'duplicate_object',
				HINT = 'Use the one that exists, or another name.';
	END IF;
END
$$;

CREATE FUNCTION webhook.watch(
	relation regclass,
	event_type text DEFAULT 'App.BusinessRequestStatusChange',
	status_column name DEFAULT 'status',
	id_columns name[] DEFAULT NULL,
	data_columns name[] DEFAULT '{}'
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
	label		text := 'webhook_' || watch.event_type;
BEGIN
	IF watch.relation IS NULL OR watch.event_type IS NULL OR watch.status_column IS NULL THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN watch.relation IS NULL THEN 'relation'
				WHEN watch.event_type IS NULL THEN 'event_type'
				ELSE 'status_column' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give a table, an event type and the name of the status column.';
	END IF;
	PERFORM webhook_internal.require_event_type(watch.event_type);

	-- What can be watched?
	SELECT c.oid, c.relname, c.relkind, c.relpersistence, n.nspname
		INTO class
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = watch.relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation with OID % does not exist', watch.relation::oid
			USING ERRCODE = 'undefined_table',
				HINT = 'Give the name of a table.';
	END IF;
	problem := CASE
		WHEN class.nspname IN ('pg_catalog', 'information_schema', 'pg_toast')
			THEN 'It is part of the system catalog.'
		WHEN class.nspname IN ('webhook', 'webhook_internal') THEN 'It belongs to the extension webhook.'
		WHEN class.relkind = 'v' THEN 'It is a view.'
		WHEN class.relkind = 'm' THEN 'It is a materialized view.'
		WHEN class.relkind = 'f' THEN 'It is a foreign table.'
		WHEN class.relkind IN ('i', 'I') THEN 'It is an index.'
		WHEN class.relkind = 'S' THEN 'It is a sequence.'
		WHEN class.relkind NOT IN ('r', 'p') THEN 'It is not a table.'
		WHEN class.relpersistence = 't' THEN 'It is a temporary table.'
		END;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'relation "%" cannot be watched', watch.relation
			USING ERRCODE = 'wrong_object_type',
				DETAIL = problem,
				HINT = 'Watch an ordinary or a partitioned table.';
	END IF;

	-- Which row is it? By default, what the primary key says.
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
					HINT = 'Add one, or name in id_columns the columns that tell rows apart.';
		END IF;
	END IF;
	IF cardinality(keys) = 0 THEN
		RAISE EXCEPTION 'id_columns must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name the columns that tell rows apart, or leave id_columns out to take the primary key.';
	END IF;
	PERFORM webhook_internal.check_columns(watch.relation, 'status_column', ARRAY[watch.status_column]);
	PERFORM webhook_internal.check_columns(watch.relation, 'id_columns', keys);
	PERFORM webhook_internal.check_columns(watch.relation, 'data_columns', watch.data_columns);

	-- A partition has its parents' triggers, too.
	SELECT t.tgrelid
		INTO other
		FROM pg_trigger t
		WHERE t.tgfoid = 'webhook_internal.enqueue()'::regprocedure
			AND substr(t.tgargs, 1, octet_length(watch.event_type) + 1)
				= convert_to(watch.event_type, 'UTF8') || '\x00'::bytea
			AND (t.tgrelid = watch.relation
				OR t.tgrelid IN (SELECT relid FROM pg_partition_ancestors(watch.relation))
				OR t.tgrelid IN (SELECT relid FROM pg_partition_tree(watch.relation)))
		ORDER BY t.tgparentid <> 0, t.tgrelid
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'relation "%" is watched for event type "%" already',
			other, watch.event_type
			USING ERRCODE = 'duplicate_object',
				HINT = format('To watch it in another way, call webhook.unwatch(%L) first.', other);
	END IF;

	-- The name of an identifier has room for 63 bytes.
	IF octet_length(label) > 63 THEN
		label := left(label, 54) || '_'
			|| left(encode(sha256(convert_to(watch.event_type, 'UTF8')), 'hex'), 8);
	END IF;
	arguments := ARRAY[watch.event_type, class.relname::text, watch.status_column::text,
			cardinality(keys)::text]
		|| keys::text[] || watch.data_columns::text[];
	EXECUTE format('CREATE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s'
		' FOR EACH ROW EXECUTE FUNCTION webhook_internal.enqueue(%s)',
		label, watch.relation,
		(SELECT string_agg(quote_literal(a.argument), ', ' ORDER BY a.place)
			FROM unnest(arguments) WITH ORDINALITY AS a (argument, place)));
END
$$;

CREATE FUNCTION webhook.unwatch(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	label		name;
	parent		regclass;
BEGIN
	IF unwatch.relation IS NULL THEN
		RAISE EXCEPTION 'relation must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give a table that is watched.';
	END IF;

	FOR label IN
		SELECT t.tgname
			FROM pg_trigger t
			WHERE t.tgrelid = unwatch.relation AND t.tgparentid = 0
				AND t.tgfoid = 'webhook_internal.enqueue()'::regprocedure
	LOOP
		EXECUTE format('DROP TRIGGER %I ON %s', label, unwatch.relation);
	END LOOP;
	IF FOUND THEN
		RETURN;
	END IF;

	-- A partition that is watched by its parent's trigger?
	SELECT p.tgrelid
		INTO parent
		FROM pg_trigger p
		WHERE p.tgfoid = 'webhook_internal.enqueue()'::regprocedure AND p.tgparentid = 0
			AND p.tgrelid IN (SELECT relid FROM pg_partition_ancestors(unwatch.relation));
	RAISE EXCEPTION 'relation "%" is not watched%', unwatch.relation,
		CASE WHEN parent IS NULL THEN '' ELSE ' by itself' END
		USING ERRCODE = 'undefined_object',
			HINT = CASE
				WHEN parent IS NULL THEN 'Give a table that webhook.watch() has been called for.'
				ELSE format('It is a partition; call webhook.unwatch(%L).', parent) END;
END
$$;

CREATE FUNCTION webhook.publish(event_type text, data json, subject text DEFAULT NULL)
	RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_publish';

/*
 * Who wants it
 *
 * These run as their owner, so none writes a table before it has seen that it
 * holds no code of anybody else. Where a value may be a credential, plans are
 * generic: a plan of its own for a value has the value in it, and may be
 * printed.
 *
 * A change of a subscription tells the worker by a row of the ring: 'c',
 * something has changed, and this subscription, if one is named, begins anew;
 * 'x', what waits for this subscription shall end.
 */

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
	client_certificate text DEFAULT NULL
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription;
	key			text;
BEGIN
	IF subscribe.payload_format IS NULL OR subscribe.ordered IS NULL
		OR subscribe.final_statuses IS NULL
	THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN subscribe.payload_format IS NULL THEN 'payload_format'
				WHEN subscribe.ordered IS NULL THEN 'ordered'
				ELSE 'final_statuses' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Leave it out for the default.';
	END IF;
	new.endpoint := webhook_internal.canonical_endpoint(subscribe.endpoint);
	new.events := webhook_internal.checked_events(subscribe.events);
	new.description := nullif(subscribe.description, '');
	key := webhook_internal.checked_secret(subscribe.secret);
	new.headers := webhook_internal.checked_headers(subscribe.headers);
	new.signature_schemes := webhook_internal.checked_schemes(subscribe.signature_schemes);
	new := webhook_internal.with_options(new, subscribe.filter, subscribe.payload_format,
		subscribe.ordered, subscribe.max_in_flight, subscribe.rate_limit, subscribe.timeout,
		subscribe.retry_schedule, subscribe.max_age, subscribe.final_statuses, subscribe.ca,
		subscribe.client_certificate);

	LOCK TABLE webhook_internal.subscription IN SHARE ROW EXCLUSIVE MODE;
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, NULL::bigint);
	INSERT INTO webhook_internal.subscription (endpoint, events, description, headers,
			signature_schemes, filter, payload_format, ordered, max_in_flight, rate_limit,
			timeout, retry_schedule, max_age, final_statuses, ca, client_certificate,
			created_by, since, home)
		VALUES (new.endpoint, new.events, new.description, new.headers,
			new.signature_schemes, new.filter, new.payload_format, new.ordered,
			new.max_in_flight, new.rate_limit, new.timeout, new.retry_schedule, new.max_age,
			new.final_statuses, new.ca, new.client_certificate,
			webhook_internal.caller(), webhook_internal.since(), webhook_internal.home())
		RETURNING id INTO new.id;
	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (new.id, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	RETURN new.id;
END
$$;

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
	client_certificate text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
	new			webhook_internal.subscription;
	rerouted	boolean := alter_subscription.endpoint IS NOT NULL
					OR alter_subscription.events IS NOT NULL;
	anew		boolean := false;
BEGIN
	-- Before any row, lest two of these wait for each other.
	IF rerouted THEN
		LOCK TABLE webhook_internal.subscription IN SHARE ROW EXCLUSIVE MODE;
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
		new.events := webhook_internal.checked_events(alter_subscription.events);
	END IF;
	IF rerouted THEN
		PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, new.id);
	END IF;
	IF alter_subscription.description IS NOT NULL THEN
		new.description := nullif(alter_subscription.description, '');
	END IF;
	IF alter_subscription.headers IS NOT NULL THEN
		new.headers := webhook_internal.checked_headers(alter_subscription.headers);
	END IF;
	IF alter_subscription.signature_schemes IS NOT NULL THEN
		new.signature_schemes := webhook_internal.checked_schemes(alter_subscription.signature_schemes);
	END IF;
	new := webhook_internal.with_options(new, alter_subscription.filter,
		alter_subscription.payload_format, alter_subscription.ordered,
		alter_subscription.max_in_flight, alter_subscription.rate_limit,
		alter_subscription.timeout, alter_subscription.retry_schedule,
		alter_subscription.max_age, alter_subscription.final_statuses, alter_subscription.ca,
		alter_subscription.client_certificate);
	-- Enabled anew, it begins anew, and the worker forgets that it gave it up.
	IF alter_subscription.enabled AND webhook_internal.is_disabled(old.id) THEN
		new.since := webhook_internal.since();
		anew := true;
	END IF;
	new.enabled := coalesce(alter_subscription.enabled, old.enabled);

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
			enabled = new.enabled,
			since = new.since
		WHERE s.id = new.id;
	IF old.enabled AND NOT new.enabled THEN
		PERFORM webhook_internal.command('x'::"char", new.id, NULL::text, NULL::uuid);
	ELSE
		-- How the former endpoint fared says nothing of this one.
		anew := anew OR new.endpoint <> old.endpoint OR new.ca IS DISTINCT FROM old.ca
			OR new.client_certificate IS DISTINCT FROM old.client_certificate;
		PERFORM webhook_internal.command('c'::"char", CASE WHEN anew THEN new.id END, NULL::text,
			NULL::uuid);
	END IF;
END
$$;

CREATE FUNCTION webhook.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres
AS $$
DECLARE
	options		jsonb;
BEGIN
	SELECT to_jsonb(o)
		INTO options
		FROM (
			SELECT s.endpoint, s.events, s.description, s.headers, s.signature_schemes,
				s.filter::text AS filter, s.payload_format, s.ordered, s.max_in_flight,
				s.rate_limit, s.timeout, s.retry_schedule, s.max_age, s.final_statuses,
				s.enabled, s.ca, s.client_certificate
			FROM webhook_internal.subscription s
			WHERE s.id = subscription_options.subscription
		) o;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription_options.subscription);
	END IF;
	RETURN options;
END
$$;

CREATE FUNCTION webhook.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	DELETE FROM webhook_internal.subscription s WHERE s.id = unsubscribe.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(unsubscribe.subscription);
	END IF;
	PERFORM webhook_internal.command('x'::"char", unsubscribe.subscription, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.pause(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	UPDATE webhook_internal.subscription s SET paused = true WHERE s.id = pause.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(pause.subscription);
	END IF;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.resume(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	UPDATE webhook_internal.subscription s SET paused = false WHERE s.id = resume.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(resume.subscription);
	END IF;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.resume_database(discard boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fenced		record;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	IF discard IS NULL THEN
		RAISE EXCEPTION 'discard must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give true to drop what waits, false to send it.';
	END IF;

	FOR fenced IN
		UPDATE webhook_internal.subscription s
			SET home = webhook_internal.home(),
				since = CASE
					WHEN discard THEN webhook_internal.since()
					ELSE webhook_internal.local_start_snapshot(s.home, s.since) END,
				-- What was given up stays so, although "since" changes.
				enabled = NOT webhook_internal.is_disabled(s.id)
			WHERE s.home <> webhook_internal.home()
			RETURNING s.id, s.enabled
	LOOP
		IF discard OR NOT fenced.enabled THEN
			PERFORM webhook_internal.command('x'::"char", fenced.id, NULL::text, NULL::uuid);
		END IF;
	END LOOP;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

/*
 * What is delivered again, or not at all
 *
 * All of these are rows of the ring: 'r' brings an event to a subscription, 'k'
 * ends the deliveries of an event, 's' the first one of a subject. They act on
 * what is before them.
 */

CREATE FUNCTION webhook.ping(subscription bigint) RETURNS uuid
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	created_at		timestamptz := clock_timestamp();
	event		uuid := webhook_internal.new_event_id(created_at);
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	IF EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = ping.subscription AND s.home <> webhook_internal.home())
	THEN
		RAISE EXCEPTION 'subscription % is fenced', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It was made in another database, of which this one is a copy.',
				HINT = 'Let this database send with webhook.resume_database().';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'ping', 0::bigint, event, created_at, 'webhook.ping', NULL::text,
		format('{"SubscriptionId":%s}', subscription)::json);
	RETURN event;
END
$$;

CREATE FUNCTION webhook.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	known := webhook_internal.require_event(event);
	IF known.event_type = 'webhook.ping' THEN
		RAISE EXCEPTION 'event % is a ping and cannot be sent again', event
			USING ERRCODE = 'invalid_parameter_value',
				HINT = format('Send another one with webhook.ping(%s).', subscription);
	END IF;
	IF known.data IS NULL THEN
		RAISE EXCEPTION 'event % cannot be sent again', event
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It has been delivered and has left the ring.',
				HINT = 'Delivered events are kept as long as webhook.event_retention says.';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'resend', known.id, known.event_id, known.created_at,
		known.event_type, known.subject, known.data);
END
$$;

CREATE FUNCTION webhook.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	known := webhook_internal.require_event(event);
	PERFORM webhook_internal.command('k'::"char", subscription, known.subject, event);
END
$$;

CREATE FUNCTION webhook.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF subject IS NULL OR subject = '' THEN
		RAISE EXCEPTION 'subject must not be %',
			CASE WHEN subject IS NULL THEN 'null' ELSE 'empty' END
			USING ERRCODE = CASE WHEN subject IS NULL THEN 'null_value_not_allowed'
					ELSE 'invalid_parameter_value' END,
				HINT = 'Give a subject of view webhook.pending_delivery; an event that has none is ended by webhook.cancel().';
	END IF;
	IF octet_length(subject) > 512 THEN
		RAISE EXCEPTION 'subject of % bytes is too long', octet_length(subject)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A subject may have 512 bytes.';
	END IF;
	PERFORM webhook_internal.command('s'::"char", subscription, subject, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz DEFAULT pg_catalog.now(),
	what text DEFAULT 'failed',
	dry_run boolean DEFAULT false
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s			webhook_internal.subscription;
	-- how a replay to this subscription begins: see src/command.c
	head		text := format('{"subscription":%s,', recover.subscription);
	e			record;
	count		bigint := 0;
	told_at		timestamptz := clock_timestamp();
BEGIN
	IF recover.since IS NULL OR recover.until IS NULL OR recover.what IS NULL
		OR recover.dry_run IS NULL
	THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN recover.since IS NULL THEN 'since'
				WHEN recover.until IS NULL THEN 'until'
				WHEN recover.what IS NULL THEN 'what'
				ELSE 'dry_run' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Say from when on, until when, ''failed'' or ''missing'', and whether only to count.';
	END IF;
	IF recover.what NOT IN ('failed', 'missing') THEN
		RAISE EXCEPTION 'cannot recover what is "%"', recover.what
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give ''failed'' for what failed or was cancelled, ''missing'' for what was never tried.';
	END IF;
	IF recover.since > recover.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('%s is later than %s.', recover.since, recover.until),
				HINT = 'Events count that occurred at or after since and before until.';
	END IF;
	PERFORM webhook_internal.require_enabled(recover.subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = recover.subscription;
	s.since := webhook_internal.local_start_snapshot(s.home, s.since);

	-- An event whose replay has not ended is on its way already. The ring is read
	-- for them once, whatever a planner knows of it when it has just been filled.
	FOR e IN
		WITH replay AS MATERIALIZED (
			SELECT r.event_id, max(r.id) AS id
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND starts_with(r.data::text, head)
				GROUP BY r.event_id)
		SELECT d.id, d.event_id, d.created_at, d.event_type, d.subject, d.data
			FROM webhook.dead_letter d
			WHERE recover.what = 'failed'
				AND d.subscription_id = s.id
				AND d.created_at >= recover.since AND d.created_at < recover.until
				-- leaves of the log from before need not be read, give or take a wrong clock
				AND d.logged_at >= recover.since - interval '1 day'
				AND d.data IS NOT NULL
				AND NOT EXISTS (
					SELECT
						FROM replay r
						WHERE r.event_id = d.event_id AND r.id > d.position)
		UNION ALL
		SELECT v.id, v.event_id, v.created_at, v.event_type, v.subject, v.data
			FROM webhook_internal.ring v
			WHERE recover.what = 'missing'
				AND v.kind = 'e'
				AND v.created_at >= recover.since AND v.created_at < recover.until
				-- or it gets it anyway
				AND (pg_visible_in_snapshot(v.txid, s.since) OR webhook_internal.is_processed(v.txid, v.id))
				AND EXISTS (
					SELECT
						FROM unnest(s.events) AS w (name)
						WHERE webhook_internal.matches(w.name, v.event_type))
				AND webhook_internal.accepts(s.filter, v.data)
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
						WHERE r.event_id = v.event_id)
		ORDER BY 1
	LOOP
		IF NOT recover.dry_run THEN
			PERFORM webhook_internal.replay(s.id, 'recover', e.id, e.event_id, e.created_at, e.event_type,
				e.subject, e.data);
		END IF;
		count := count + 1;
		IF count % 100000 = 0 OR clock_timestamp() - told_at > interval '10 s' THEN
			RAISE NOTICE 'events so far: %, the last one of %', count, e.created_at;
			told_at := clock_timestamp();
		END IF;
	END LOOP;
	RETURN count;
END
$$;

/*
 * Signatures
 */

CREATE FUNCTION webhook.secret(subscription bigint) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	newest		text;
BEGIN
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(secret.subscription);
	END IF;
	RETURN newest;
END
$$;

CREATE FUNCTION webhook.rotate_secret(subscription bigint, overlap interval DEFAULT '24 hours')
	RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	key			text := webhook_internal.checked_secret(NULL::text);
	ends_at		timestamptz;
	first_end	timestamptz;
	live		bigint;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	IF rotate_secret.overlap IS NULL THEN
		RAISE EXCEPTION 'overlap must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Say how long calls are signed with the former secret, too; ''0'' to end it at once.';
	END IF;
	ends_at := clock_timestamp() + webhook_internal.checked_duration('overlap', rotate_secret.overlap,
		'0', '7 days', 'Within that time the receiver has to learn the new secret.');
	PERFORM FROM webhook_internal.subscription s WHERE s.id = rotate_secret.subscription FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(rotate_secret.subscription);
	END IF;

	-- One that ends sooner does so still.
	UPDATE webhook_internal.subscription_secret x
		SET expires_at = ends_at
		WHERE x.subscription_id = rotate_secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > ends_at);
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription
			AND x.expires_at <= clock_timestamp();
	SELECT count(*), min(x.expires_at)
		INTO live, first_end
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription;
	IF live >= 3 THEN
		RAISE EXCEPTION 'subscription % has three live secrets already', rotate_secret.subscription
			USING ERRCODE = 'program_limit_exceeded',
				DETAIL = format('The first of them ends at %s.', first_end),
				HINT = 'Wait for that, or give a shorter overlap; ''0'' ends all former secrets at once.';
	END IF;

	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (rotate_secret.subscription, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	RETURN key;
END
$$;

CREATE FUNCTION webhook.sign(secret text, id text, "timestamp" bigint, body text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_sign';

CREATE FUNCTION webhook.verify(
	secret text,
	headers jsonb,
	body text,
	tolerance interval DEFAULT '5 min'
) RETURNS boolean
	LANGUAGE c PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_verify';

/*
 * What is going on
 */

CREATE FUNCTION webhook.drain(timeout interval DEFAULT '30 s') RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drain';

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
	OUT memory bigint
) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'webhook_worker_state';

CREATE VIEW webhook.stat_worker AS
	SELECT pid, state, started_at, ring_table, windows, events, attempts, delivered,
		retrying, failed, flushes, flush_errors, rotations, in_flight, queued,
		unflushed, memory
	FROM webhook_internal.worker_state();

-- What the views below are made of is found where it should be.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

CREATE VIEW webhook.pending_delivery AS
	SELECT p.subscription_id, nullif(p.subject, '') AS subject, p.event_id, p.event_type,
		p.cause, p.attempt, p.step, p.next_at, p.queued_at, p.created_at, p.position, p.id,
		f.event_id AS waits_for, f.queued_at AS waits_since
	FROM webhook_internal.pending p
		LEFT JOIN LATERAL (
			SELECT w.event_id, w.queued_at, w.position, w.id
				FROM webhook_internal.pending w
				WHERE p.next_at IS NULL AND p.subject <> ''
					AND w.subscription_id = p.subscription_id AND w.subject = p.subject
				ORDER BY w.position, w.id
				LIMIT 1
		) f ON (f.position, f.id) <> (p.position, p.id);

CREATE VIEW webhook.dead_letter AS
	SELECT l.subscription_id, l.event_id, l.id, l.event_type, l.subject, l.created_at,
		l.attempt, l.outcome, l.error_class, l.error, l.response_status, l.logged_at,
		l.position, l.data
	FROM webhook.log l
	WHERE l.outcome IN ('failed', 'cancelled')
		AND l.cause <> 'ping'
		AND NOT EXISTS (
			SELECT
				FROM webhook.log n
				WHERE n.event_id = l.event_id AND n.subscription_id = l.subscription_id
					AND (n.logged_at, n.position) > (l.logged_at, l.position))
		AND NOT EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.event_id = l.event_id AND p.subscription_id = l.subscription_id);

CREATE VIEW webhook.subscription AS
	SELECT s.id, webhook_internal.redacted_endpoint(s.endpoint) AS endpoint, s.events, s.description,
		webhook_internal.redacted_headers(s.headers) AS headers, s.signature_schemes, s.filter,
		s.payload_format, s.ordered, s.max_in_flight, s.rate_limit, s.timeout,
		s.retry_schedule, s.max_age, s.final_statuses, s.ca, s.client_certificate, s.enabled,
		s.paused, s.created_at, s.created_by
	FROM webhook_internal.subscription s;

CREATE VIEW webhook.stat_subscription AS
	SELECT s.id AS subscription_id,
		webhook_internal.redacted_endpoint(s.endpoint) AS endpoint,
		h.state,
		CASE h.state
			WHEN 'disabled' THEN
				CASE WHEN s.enabled
					THEN concat('given up by the worker, the last problem: ', t.reason)
					ELSE 'disabled by webhook.alter_subscription()' END
			WHEN 'fenced' THEN 'it belongs to another database until webhook.resume_database()'
			WHEN 'paused' THEN 'paused by webhook.pause()'
			ELSE CASE
				WHEN h.sending_off THEN 'sending is off: webhook.enabled'
				WHEN h.state = 'open' THEN
					format('%s failures in a row, the last: %s', t.consecutive_failures, t.reason)
				WHEN t.not_before > statement_timestamp() THEN
					concat('the endpoint has asked for a pause: ', t.reason)
				WHEN s.rate_limit IS NOT NULL AND p.next_at <= statement_timestamp() THEN
					format('held back by its rate limit of %s calls a second', s.rate_limit)
				WHEN t.reason IS NOT NULL THEN
					concat('the last problem: ', t.reason)
				WHEN h.state = 'slow' THEN 'an answer took more than two seconds' END
		END AS reason,
		coalesce(t.delivered, 0) AS delivered,
		coalesce(t.failed, 0) AS failed,
		coalesce(t.retried, 0) AS retried,
		coalesce(t.filter_errors, 0) AS filter_errors,
		-- What is all but nothing would underflow.
		CASE WHEN t.rate > 0.000001 AND h.age < 600 THEN t.rate * exp(-h.age / 60)
			ELSE 0 END AS rate,
		coalesce(t.breaker, 'closed') AS breaker,
		t.concurrency,
		coalesce(t.consecutive_failures, 0) AS consecutive_failures,
		coalesce(t.failures_since_success, 0) AS failures_since_success,
		t.opened_at,
		CASE WHEN h.state NOT IN ('disabled', 'fenced', 'paused') AND NOT h.sending_off
			THEN greatest(p.next_at,
				CASE WHEN t.not_before > statement_timestamp() THEN t.not_before END)
		END AS next_attempt,
		coalesce(p.pending, 0) AS pending,
		p.oldest_pending,
		t.last_success,
		t.last_failure,
		t.p50,
		t.p95
	FROM webhook_internal.subscription s
		LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
		LEFT JOIN (
			SELECT w.subscription_id, count(*) AS pending, min(w.queued_at) AS oldest_pending,
				min(w.next_at) AS next_at
			FROM webhook_internal.pending w
			GROUP BY w.subscription_id
		) p ON p.subscription_id = s.id
		CROSS JOIN LATERAL (
			SELECT CASE
					WHEN NOT s.enabled OR t.disabled_at IS NOT NULL
						AND (t.disabled_start_snapshot IS NULL OR t.disabled_start_snapshot::text = s.since::text) THEN 'disabled'
					WHEN s.home <> webhook_internal.home() THEN 'fenced'
					WHEN s.paused THEN 'paused'
					WHEN t.breaker <> 'closed' THEN 'open'
					WHEN t.concurrency = 1 THEN 'slow'
					ELSE 'active' END AS state,
				current_setting('webhook.enabled', true) = 'off' AS sending_off,
				greatest(extract(epoch FROM statement_timestamp() - t.saved_at)::float8, 0) AS age
		) h;

CREATE FUNCTION webhook.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e			webhook.event;
	s			webhook_internal.subscription;
	stat		webhook.stat_subscription;
	not_before	timestamptz;
	last		webhook.log;
	waiting		webhook.pending_delivery;
	attempts	text;
	retries		integer;
	on_its_way	boolean;
	said		text[];
BEGIN
	IF explain.event IS NULL OR explain.subscription IS NULL THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN explain.event IS NULL THEN 'event' ELSE 'subscription' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the Id of an event and the id of a subscription.';
	END IF;

	e := webhook_internal.find_event(explain.event);
	IF e.id IS NULL THEN
		RETURN format('Nothing is known of the event: no call of it is in the log, it does not wait, '
			'and it is not in the ring.' || E'\n'
			'The ring keeps events as long as webhook.event_retention says (%s), the log as long as webhook.log_retention says (%s).',
			current_setting('webhook.event_retention', true),
			current_setting('webhook.log_retention', true));
	END IF;
	said := ARRAY[format('It is an event of type %s%s, which occurred at %s.', e.event_type,
		' about ' || e.subject, e.created_at)];

	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = explain.subscription;
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
	on_its_way := waiting.id IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'r' AND r.event_id = explain.event
				AND starts_with(r.data::text, format('{"subscription":%s,', explain.subscription))
				AND r.id > coalesce(last.position, 0));

	-- What has been
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
		WHEN 'cancelled' THEN
			format('It was %s at %s, after %s.',
				CASE last.error_class WHEN 'skipped' THEN 'skipped' ELSE 'cancelled' END,
				last.logged_at, attempts)
		END;

	-- What is
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
	ELSIF on_its_way THEN
		said := said || CASE e.event_type
			WHEN 'webhook.ping' THEN 'It is in memory or in flight.'
			ELSE 'It has been asked for again, and is in memory or in flight.' END;
	ELSIF last.outcome = 'delivered' THEN
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IN ('failed', 'cancelled') THEN
		said := said || CASE
			WHEN e.event_type = 'webhook.ping' THEN NULL
			WHEN e.data IS NULL THEN 'It cannot be sent again, for it has left the ring.'
			ELSE 'It is not tried again, unless by webhook.resend() or webhook.recover().' END;
		RETURN array_to_string(said, E'\n');
	ELSIF s.id IS NULL THEN
		NULL;
	ELSIF last.outcome IS NULL AND NOT EXISTS (
		SELECT FROM unnest(s.events) AS w (name) WHERE webhook_internal.matches(w.name, e.event_type))
	THEN
		said := said || format('Subscription %s does not want this type of events, but %s.',
			s.id, array_to_string(s.events, ', '));
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND NOT webhook_internal.accepts(s.filter, e.data) THEN
		said := said || format('The filter of subscription %s refuses it: %s', s.id, s.filter);
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'e' AND r.event_id = explain.event
				AND pg_visible_in_snapshot(r.txid, webhook_internal.local_start_snapshot(s.home, s.since)))
	THEN
		said := said || format('It was committed before subscription %s was made or last enabled; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'e' AND r.event_id = explain.event AND webhook_internal.is_processed(r.txid, r.id))
	THEN
		said := said || format('Subscription %s did not want it when it was read; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSE
		said := said || 'It is in memory or in flight, or has not been read yet.'::text;
	END IF;

	-- What holds it up
	IF s.id IS NULL THEN
		said := said || format('Subscription %s does not exist%s.', explain.subscription,
			CASE WHEN waiting.id IS NOT NULL OR on_its_way THEN ', so the delivery ends as cancelled' END);
	ELSIF stat.state = 'disabled' THEN
		said := said || format('Subscription %s is disabled, so nothing is sent to it: %s.', s.id,
			stat.reason);
	ELSIF stat.state IN ('fenced', 'paused') THEN
		said := said || format('Subscription %s is %s, so nothing is sent to it: %s.', s.id,
			stat.state, stat.reason);
	ELSIF current_setting('webhook.enabled', true) = 'off' THEN
		said := said || 'Nothing is sent: webhook.enabled is off.'::text;
	ELSE
		IF stat.state = 'open' THEN
			said := said || format('The endpoint is not called but for a probe now and then, since %s, '
				'the next one at %s: %s.', stat.opened_at, stat.next_attempt, stat.reason);
		ELSIF not_before > statement_timestamp() THEN
			said := said || format('The endpoint is not called before %s: %s.', not_before,
				stat.reason);
		ELSIF s.rate_limit IS NOT NULL AND waiting.next_at <= statement_timestamp() THEN
			said := said || format('Subscription %s is %s.', s.id, stat.reason);
		END IF;
		IF NOT EXISTS (SELECT FROM webhook_internal.worker_state() w WHERE w.state = 'running') THEN
			said := said || 'No worker is running in this database.'::text;
		END IF;
	END IF;
	RETURN array_to_string(said, E'\n');
END
$$;

/*
 * Who may what
 *
 * A role may read, operate or administer, each including what is before it.
 * The functions run as their caller: it is the owner who grants.
 */

CREATE FUNCTION webhook_internal.grant_each(role regrole, commands text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner		regrole := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'webhook');
	command		text;
BEGIN
	IF role IS NULL OR role::oid = 0::oid THEN
		RAISE EXCEPTION 'role must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the name of a role.';
	END IF;
	IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema webhook'
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Call it as %s, who has created_at the extension, or as a superuser.', owner);
	END IF;
	IF role = owner THEN
		RAISE EXCEPTION 'role % owns the extension', role
			USING ERRCODE = 'invalid_grant_operation',
				HINT = 'Its owner may do everything in any case; give another role.';
	END IF;
	FOREACH command IN ARRAY commands LOOP
		EXECUTE format(command, role);
	END LOOP;
END
$$;

CREATE FUNCTION webhook.grant_reader(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_subscription,
			webhook.stat_worker
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.explain,
			webhook.sign,
			webhook.verify,
			webhook_internal.home,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.worker_state
			TO %s'];
BEGIN
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.grant_operator(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'GRANT EXECUTE ON FUNCTION
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.cancel,
			webhook.skip,
			webhook.drain
			TO %s'];
BEGIN
	PERFORM webhook.grant_reader(role);
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.grant_admin(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		-- webhook.watch() and webhook.unwatch() run as their caller.
		'GRANT USAGE ON SCHEMA webhook_internal TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.define_event_type,
			webhook.watch,
			webhook.unwatch,
			webhook.publish,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.secret,
			webhook.rotate_secret,
			webhook.resume_database,
			webhook_internal.enqueue,
			webhook_internal.check_columns,
			webhook_internal.require_event_type
			TO %s'];
BEGIN
	PERFORM webhook.grant_operator(role);
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.revoke(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON SCHEMA webhook, webhook_internal FROM %s'];
BEGIN
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

/*
 * Comments
 */

COMMENT ON SCHEMA webhook IS 'events as they commit, sent to HTTP endpoints';
COMMENT ON SCHEMA webhook_internal IS 'tables and functions behind the schema webhook';

COMMENT ON TABLE webhook_internal.event_type IS 'what can be subscribed to';
COMMENT ON COLUMN webhook_internal.event_type.name IS 'as it is sent: WebhookEvent in the body, header webhook-event';
COMMENT ON COLUMN webhook_internal.event_type.description IS 'for people';
COMMENT ON COLUMN webhook_internal.event_type.created_at IS 'when it was defined';

COMMENT ON SEQUENCE webhook_internal.subscription_id_seq IS 'numbers subscriptions';
COMMENT ON TABLE webhook_internal.subscription IS 'who wants which events, sent where; changed by webhook.subscribe() and its like';
COMMENT ON COLUMN webhook_internal.subscription.id IS 'the subscription';
COMMENT ON COLUMN webhook_internal.subscription.endpoint IS 'URL that its events are posted to, in canonical form';
COMMENT ON COLUMN webhook_internal.subscription.events IS 'event types that it gets; App.* is all that begin with App., * all there are';
COMMENT ON COLUMN webhook_internal.subscription.description IS 'for people';
COMMENT ON COLUMN webhook_internal.subscription.headers IS 'headers of its own on each call: an object of name to value';
COMMENT ON COLUMN webhook_internal.subscription.signature_schemes IS 'how its calls are signed: standard, and abp where asked for';
COMMENT ON COLUMN webhook_internal.subscription.filter IS 'of these it gets the events whose Data the path is true for; null: all';
COMMENT ON COLUMN webhook_internal.subscription.payload_format IS 'what the body of a call is: envelope, raw (Data alone) or standard (type, timestamp, data)';
COMMENT ON COLUMN webhook_internal.subscription.ordered IS 'true: within a subject, each event waits for the one before it';
COMMENT ON COLUMN webhook_internal.subscription.max_in_flight IS 'calls at once; null: as webhook.max_in_flight_per_subscription';
COMMENT ON COLUMN webhook_internal.subscription.rate_limit IS 'calls a second; null: no limit';
COMMENT ON COLUMN webhook_internal.subscription.timeout IS 'how long a call may take in all; null: as webhook.timeout';
COMMENT ON COLUMN webhook_internal.subscription.retry_schedule IS 'waits between attempts; null: as webhook.retry_schedule';
COMMENT ON COLUMN webhook_internal.subscription.max_age IS 'after which a delivery is given up, time that it may not be sent in not counted; null: seven days';
COMMENT ON COLUMN webhook_internal.subscription.final_statuses IS 'HTTP statuses that are not worth another attempt; 410 always is one';
COMMENT ON COLUMN webhook_internal.subscription.ca IS 'file in webhook.certificate_directory with the authorities that its endpoint is verified by; null: as webhook.ca_file';
COMMENT ON COLUMN webhook_internal.subscription.client_certificate IS 'file in webhook.certificate_directory with the certificate and key that it presents; null: none';
COMMENT ON COLUMN webhook_internal.subscription.enabled IS 'false: gets no events';
COMMENT ON COLUMN webhook_internal.subscription.paused IS 'true: its events wait';
COMMENT ON COLUMN webhook_internal.subscription.created_at IS 'when it was made';
COMMENT ON COLUMN webhook_internal.subscription.created_by IS 'by whom';
COMMENT ON COLUMN webhook_internal.subscription.since IS 'gets the events that this snapshot does not see';
COMMENT ON COLUMN webhook_internal.subscription.home IS 'database that it sends from: system identifier and database oid; elsewhere it is fenced until webhook.resume_database()';

COMMENT ON SEQUENCE webhook_internal.subscription_secret_id_seq IS 'numbers secrets';
COMMENT ON TABLE webhook_internal.subscription_secret IS 'with which the calls of a subscription are signed; each live one makes a signature';
COMMENT ON COLUMN webhook_internal.subscription_secret.id IS 'the higher, the newer';
COMMENT ON COLUMN webhook_internal.subscription_secret.subscription_id IS 'whose secret it is';
COMMENT ON COLUMN webhook_internal.subscription_secret.secret IS '"whsec_" and the base64 of the key';
COMMENT ON COLUMN webhook_internal.subscription_secret.created_at IS 'when it was made';
COMMENT ON COLUMN webhook_internal.subscription_secret.expires_at IS 'until when it signs; null: for good';

COMMENT ON SEQUENCE webhook_internal.event_id_seq IS 'numbers the rows of the ring: their order';

DO $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE pg_catalog.format($_$
			COMMENT ON TABLE webhook_internal.event_%1$s IS 'a quarter of the ring: events and commands as they commit; see view webhook.event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.id IS 'place in the order of all of them';
			COMMENT ON COLUMN webhook_internal.event_%1$s.txid IS 'top-level transaction that wrote it';
			COMMENT ON COLUMN webhook_internal.event_%1$s.created_at IS 'when it occurred';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_id IS 'UUIDv7, the receiver''s idempotency key';
			COMMENT ON COLUMN webhook_internal.event_%1$s.kind IS 'e: event; c: subscriptions have changed; of the subscription in data, x: end what waits, k: end deliveries of the event, s: end the first of the subject, r: deliver the event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_type IS 'what kind of event it is';
			COMMENT ON COLUMN webhook_internal.event_%1$s.subject IS 'what it is about: events of one subject are delivered in order; null: in none';
			COMMENT ON COLUMN webhook_internal.event_%1$s.data IS 'Data of the body, as it is sent; of a command, what it is about';
			COMMENT ON TRIGGER drop_replicated ON webhook_internal.event_%1$s IS 'another server''s events are not sent from here';
		$_$, n);
	END LOOP;
END
$$;

COMMENT ON TRIGGER wake_worker ON webhook_internal.subscription IS 'the worker reads it anew';
COMMENT ON TRIGGER wake_worker ON webhook_internal.subscription_secret IS 'the worker reads it anew';
COMMENT ON TRIGGER wake_worker ON webhook_internal.pending IS 'the worker, which writes past it, looks what has come';

COMMENT ON TABLE webhook_internal.pending IS 'deliveries that failed and will be repeated, or wait; the worker alone writes it';
COMMENT ON COLUMN webhook_internal.pending.subscription_id IS 'where it goes';
COMMENT ON COLUMN webhook_internal.pending.subject IS 'what the event is about; empty: it has no subject';
COMMENT ON COLUMN webhook_internal.pending.position IS 'id in the ring of the row that caused the delivery: its place in the subject''s order';
COMMENT ON COLUMN webhook_internal.pending.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook_internal.pending.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook_internal.pending.cause IS 'why it is delivered: event, resend, recover or ping';
COMMENT ON COLUMN webhook_internal.pending.attempt IS 'calls made';
COMMENT ON COLUMN webhook_internal.pending.step IS 'place in the retry schedule';
COMMENT ON COLUMN webhook_internal.pending.next_at IS 'when it is due; null: it waits for one before it';
COMMENT ON COLUMN webhook_internal.pending.queued_at IS 'when it came to wait';
COMMENT ON COLUMN webhook_internal.pending.age_start IS 'from when on its age counts: when it was caused, less the time that the subscription might not send before';
COMMENT ON COLUMN webhook_internal.pending.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook_internal.pending.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook_internal.pending.data IS 'Data of the body, as it is sent';

COMMENT ON TABLE webhook_internal.subscription_state IS 'how the endpoint of each subscription fares; the worker alone writes it; see view webhook.stat_subscription';
COMMENT ON COLUMN webhook_internal.subscription_state.subscription_id IS 'the subscription';
COMMENT ON COLUMN webhook_internal.subscription_state.breaker IS 'circuit breaker: closed, open (only probes are sent), half_open (a probe is under way)';
COMMENT ON COLUMN webhook_internal.subscription_state.concurrency IS 'how many calls may be in flight; 1: the endpoint fails or is slow';
COMMENT ON COLUMN webhook_internal.subscription_state.consecutive_failures IS 'calls in a row that failed for the endpoint''s sake';
COMMENT ON COLUMN webhook_internal.subscription_state.failures_since_success IS 'calls that failed, for any reason, since the last that succeeded';
COMMENT ON COLUMN webhook_internal.subscription_state.failing_since IS 'when the first of these failed';
COMMENT ON COLUMN webhook_internal.subscription_state.last_success IS 'when a call last succeeded';
COMMENT ON COLUMN webhook_internal.subscription_state.last_failure IS 'when a call last failed';
COMMENT ON COLUMN webhook_internal.subscription_state.opened_at IS 'when the breaker opened; null: it is closed';
COMMENT ON COLUMN webhook_internal.subscription_state.probe_interval IS 'seconds from one probe to the next while it is open';
COMMENT ON COLUMN webhook_internal.subscription_state.not_before IS 'no call before: the time of a probe, or the endpoint has asked for it';
COMMENT ON COLUMN webhook_internal.subscription_state.reason IS 'what went wrong last; null: all is well';
COMMENT ON COLUMN webhook_internal.subscription_state.disabled_at IS 'when the worker gave it up';
COMMENT ON COLUMN webhook_internal.subscription_state.disabled_start_snapshot IS 'since of the subscription that it gave up: enabled anew, it has another';
COMMENT ON COLUMN webhook_internal.subscription_state.suspended_at IS 'since when it may not send: paused, fenced, or sending is off';
COMMENT ON COLUMN webhook_internal.subscription_state.suspended IS 'how long it might not before';
COMMENT ON COLUMN webhook_internal.subscription_state.delivered IS 'deliveries that succeeded';
COMMENT ON COLUMN webhook_internal.subscription_state.failed IS 'deliveries that ended otherwise';
COMMENT ON COLUMN webhook_internal.subscription_state.retried IS 'calls that failed and were, or will be, repeated';
COMMENT ON COLUMN webhook_internal.subscription_state.filter_errors IS 'events that the filter had no answer for';
COMMENT ON COLUMN webhook_internal.subscription_state.rate IS 'deliveries a second around saved_at, over a minute or so';
COMMENT ON COLUMN webhook_internal.subscription_state.p50 IS 'half of the calls of late took no longer';
COMMENT ON COLUMN webhook_internal.subscription_state.p95 IS '95 of 100 took no longer';
COMMENT ON COLUMN webhook_internal.subscription_state.saved_at IS 'when the row was written';

COMMENT ON TABLE webhook.log IS 'one row a call, as sent and as answered, and one for each delivery that ended without; a partition a day';
COMMENT ON COLUMN webhook.log.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.log.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.log.position IS 'id in the ring of the row that caused the delivery';
COMMENT ON COLUMN webhook.log.cause IS 'why it was delivered: event, resend, recover or ping';
COMMENT ON COLUMN webhook.log.logged_at IS 'when the row was written; never goes back';
COMMENT ON COLUMN webhook.log.subscription_id IS 'whose delivery it was';
COMMENT ON COLUMN webhook.log.event_type IS 'what kind of event it was';
COMMENT ON COLUMN webhook.log.subject IS 'what the event was about';
COMMENT ON COLUMN webhook.log.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.log.attempt IS 'number of the call, from 1 on';
COMMENT ON COLUMN webhook.log.method IS 'POST; null: no call was made';
COMMENT ON COLUMN webhook.log.endpoint IS 'URL that was called, values in its query redacted';
COMMENT ON COLUMN webhook.log.source_ip IS 'address that the call came from';
COMMENT ON COLUMN webhook.log.source_port IS 'port that the call came from';
COMMENT ON COLUMN webhook.log.requested_at IS 'when the call began';
COMMENT ON COLUMN webhook.log.duration IS 'how long it took';
COMMENT ON COLUMN webhook.log.request_headers IS 'headers as sent, names in lower case; redacted where the name contains auth, bearer, cookie, credential, jwt, key, passw, secret, session or token';
COMMENT ON COLUMN webhook.log.request_body IS 'body as sent';
COMMENT ON COLUMN webhook.log.response_status IS 'HTTP status; null: none came';
COMMENT ON COLUMN webhook.log.response_headers IS 'headers of the answer, names in lower case, redacted as those of the request; a repeated name has an array';
COMMENT ON COLUMN webhook.log.response_body IS 'first 16 kB of the answer; what is no valid text is written \xHH';
COMMENT ON COLUMN webhook.log.outcome IS 'delivered, retrying, failed or cancelled';
COMMENT ON COLUMN webhook.log.error_class IS 'what kind of failure it was, in one word';
COMMENT ON COLUMN webhook.log.error IS 'what went wrong';
COMMENT ON COLUMN webhook.log.data IS 'Data of the event, where the delivery ended undelivered';

COMMENT ON TABLE webhook_internal.checkpoint IS 'one row: how far the worker is';
COMMENT ON COLUMN webhook_internal.checkpoint.home IS 'database that it was written in: system identifier and database oid';
COMMENT ON COLUMN webhook_internal.checkpoint.snapshot IS 'all that it sees is finished';
COMMENT ON COLUMN webhook_internal.checkpoint.partial_snapshot IS 'of what this one sees beyond that, the part up to upto_id is finished';
COMMENT ON COLUMN webhook_internal.checkpoint.upto_id IS 'see partial';
COMMENT ON COLUMN webhook_internal.checkpoint.saved_at IS 'when it was written';

COMMENT ON VIEW webhook_internal.ring IS 'events and commands that the ring still has';
COMMENT ON COLUMN webhook_internal.ring.id IS 'place in the order of all of them';
COMMENT ON COLUMN webhook_internal.ring.txid IS 'top-level transaction that wrote it';
COMMENT ON COLUMN webhook_internal.ring.created_at IS 'when it occurred';
COMMENT ON COLUMN webhook_internal.ring.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook_internal.ring.kind IS 'e: event; others: see webhook_internal.event_0';
COMMENT ON COLUMN webhook_internal.ring.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook_internal.ring.subject IS 'what it is about';
COMMENT ON COLUMN webhook_internal.ring.data IS 'Data of the body, as it is sent; of a command, what it is about';

COMMENT ON VIEW webhook.event_type IS 'what can be subscribed to';
COMMENT ON COLUMN webhook.event_type.name IS 'as it is sent: WebhookEvent in the body, header webhook-event';
COMMENT ON COLUMN webhook.event_type.description IS 'for people';
COMMENT ON COLUMN webhook.event_type.created_at IS 'when it was defined';

COMMENT ON VIEW webhook.event IS 'the events that the ring still has';
COMMENT ON COLUMN webhook.event.id IS 'place in the order of all events';
COMMENT ON COLUMN webhook.event.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.event.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook.event.subject IS 'what it is about';
COMMENT ON COLUMN webhook.event.data IS 'Data of the body, as it is sent';
COMMENT ON COLUMN webhook.event.created_at IS 'when it occurred';

COMMENT ON VIEW webhook.pending_delivery IS 'deliveries that wait, and for which other; one that is in flight has a row here only if it waited before';
COMMENT ON COLUMN webhook.pending_delivery.subscription_id IS 'where it goes';
COMMENT ON COLUMN webhook.pending_delivery.subject IS 'what the event is about';
COMMENT ON COLUMN webhook.pending_delivery.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.pending_delivery.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook.pending_delivery.cause IS 'why it is delivered: event, resend, recover or ping';
COMMENT ON COLUMN webhook.pending_delivery.attempt IS 'calls made';
COMMENT ON COLUMN webhook.pending_delivery.step IS 'place in the retry schedule';
COMMENT ON COLUMN webhook.pending_delivery.next_at IS 'when it is due; null: it waits for one before it';
COMMENT ON COLUMN webhook.pending_delivery.queued_at IS 'when it came to wait';
COMMENT ON COLUMN webhook.pending_delivery.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.pending_delivery.position IS 'id in the ring of the row that caused the delivery: its place in the subject''s order';
COMMENT ON COLUMN webhook.pending_delivery.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.pending_delivery.waits_for IS 'event of the delivery that all of its subject wait behind; webhook.skip() lets it go';
COMMENT ON COLUMN webhook.pending_delivery.waits_since IS 'when that one came to wait';

COMMENT ON VIEW webhook.dead_letter IS 'what was not delivered and is not tried any more, until webhook.resend() or webhook.recover()';
COMMENT ON COLUMN webhook.dead_letter.subscription_id IS 'where it should have gone';
COMMENT ON COLUMN webhook.dead_letter.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.dead_letter.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.dead_letter.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook.dead_letter.subject IS 'what the event is about';
COMMENT ON COLUMN webhook.dead_letter.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.dead_letter.attempt IS 'calls made';
COMMENT ON COLUMN webhook.dead_letter.outcome IS 'failed or cancelled';
COMMENT ON COLUMN webhook.dead_letter.error_class IS 'what kind of failure it was, in one word';
COMMENT ON COLUMN webhook.dead_letter.error IS 'what went wrong';
COMMENT ON COLUMN webhook.dead_letter.response_status IS 'HTTP status of the last answer; null: none came';
COMMENT ON COLUMN webhook.dead_letter.logged_at IS 'when it ended';
COMMENT ON COLUMN webhook.dead_letter.position IS 'id in the ring of the row that caused the delivery';
COMMENT ON COLUMN webhook.dead_letter.data IS 'Data of the event';

COMMENT ON VIEW webhook.subscription IS 'who wants which events, sent where, without credentials';
COMMENT ON COLUMN webhook.subscription.id IS 'the subscription';
COMMENT ON COLUMN webhook.subscription.endpoint IS 'URL that its events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.subscription.events IS 'event types that it gets; App.* is all that begin with App., * all there are';
COMMENT ON COLUMN webhook.subscription.description IS 'for people';
COMMENT ON COLUMN webhook.subscription.headers IS 'headers of its own on each call, credentials redacted';
COMMENT ON COLUMN webhook.subscription.signature_schemes IS 'how its calls are signed';
COMMENT ON COLUMN webhook.subscription.filter IS 'of these it gets the events whose Data the path is true for; null: all';
COMMENT ON COLUMN webhook.subscription.payload_format IS 'what the body of a call is: envelope, raw or standard';
COMMENT ON COLUMN webhook.subscription.ordered IS 'true: within a subject, each event waits for the one before it';
COMMENT ON COLUMN webhook.subscription.max_in_flight IS 'calls at once; null: as webhook.max_in_flight_per_subscription';
COMMENT ON COLUMN webhook.subscription.rate_limit IS 'calls a second; null: no limit';
COMMENT ON COLUMN webhook.subscription.timeout IS 'how long a call may take in all; null: as webhook.timeout';
COMMENT ON COLUMN webhook.subscription.retry_schedule IS 'waits between attempts; null: as webhook.retry_schedule';
COMMENT ON COLUMN webhook.subscription.max_age IS 'after which a delivery is given up; null: seven days';
COMMENT ON COLUMN webhook.subscription.final_statuses IS 'HTTP statuses that are not worth another attempt';
COMMENT ON COLUMN webhook.subscription.ca IS 'file with the authorities that its endpoint is verified by; null: as webhook.ca_file';
COMMENT ON COLUMN webhook.subscription.client_certificate IS 'file with the certificate and key that it presents; null: none';
COMMENT ON COLUMN webhook.subscription.enabled IS 'false: gets no events';
COMMENT ON COLUMN webhook.subscription.paused IS 'true: its events wait';
COMMENT ON COLUMN webhook.subscription.created_at IS 'when it was made';
COMMENT ON COLUMN webhook.subscription.created_by IS 'by whom';

COMMENT ON VIEW webhook.stat_subscription IS 'how each subscription fares; what the worker counts gets here within seconds';
COMMENT ON COLUMN webhook.stat_subscription.subscription_id IS 'the subscription';
COMMENT ON COLUMN webhook.stat_subscription.endpoint IS 'URL that its events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.stat_subscription.state IS 'the first that is true: disabled (by people or by the worker), fenced, paused, open (its breaker), slow, active';
COMMENT ON COLUMN webhook.stat_subscription.reason IS 'why it is not sent to, or not as well as it could be';
COMMENT ON COLUMN webhook.stat_subscription.delivered IS 'deliveries that succeeded';
COMMENT ON COLUMN webhook.stat_subscription.failed IS 'deliveries that ended otherwise';
COMMENT ON COLUMN webhook.stat_subscription.retried IS 'calls that failed and were, or will be, repeated';
COMMENT ON COLUMN webhook.stat_subscription.filter_errors IS 'events that the filter had no answer for';
COMMENT ON COLUMN webhook.stat_subscription.rate IS 'deliveries a second, over a minute or so';
COMMENT ON COLUMN webhook.stat_subscription.breaker IS 'circuit breaker: closed, open (only probes are sent), half_open (a probe is under way)';
COMMENT ON COLUMN webhook.stat_subscription.concurrency IS 'how many calls may be in flight, where something is known; 1: the endpoint fails or is slow';
COMMENT ON COLUMN webhook.stat_subscription.consecutive_failures IS 'calls in a row that failed for the endpoint''s sake; 10 open the breaker';
COMMENT ON COLUMN webhook.stat_subscription.failures_since_success IS 'calls that failed, for any reason, since the last that succeeded';
COMMENT ON COLUMN webhook.stat_subscription.opened_at IS 'when the breaker opened; null: it is closed';
COMMENT ON COLUMN webhook.stat_subscription.next_attempt IS 'when the next call is due; null: nothing waits, or it may not be sent';
COMMENT ON COLUMN webhook.stat_subscription.pending IS 'deliveries that wait';
COMMENT ON COLUMN webhook.stat_subscription.oldest_pending IS 'since when the oldest of them waits';
COMMENT ON COLUMN webhook.stat_subscription.last_success IS 'when a call last succeeded';
COMMENT ON COLUMN webhook.stat_subscription.last_failure IS 'when a call last failed';
COMMENT ON COLUMN webhook.stat_subscription.p50 IS 'half of the calls of late took no longer';
COMMENT ON COLUMN webhook.stat_subscription.p95 IS '95 of 100 took no longer';

COMMENT ON VIEW webhook.stat_worker IS 'the worker of this database, since it started';
COMMENT ON COLUMN webhook.stat_worker.pid IS 'its process; null: there is none';
COMMENT ON COLUMN webhook.stat_worker.state IS 'wanted, starting, running, stopped, or blocked by DDL on the database';
COMMENT ON COLUMN webhook.stat_worker.started_at IS 'when it started';
COMMENT ON COLUMN webhook.stat_worker.ring_table IS 'table of the ring that events go to';
COMMENT ON COLUMN webhook.stat_worker.windows IS 'how often it looked for new events and found a window closed';
COMMENT ON COLUMN webhook.stat_worker.events IS 'events read';
COMMENT ON COLUMN webhook.stat_worker.attempts IS 'calls made';
COMMENT ON COLUMN webhook.stat_worker.delivered IS 'deliveries that succeeded';
COMMENT ON COLUMN webhook.stat_worker.retrying IS 'calls that failed and will be repeated';
COMMENT ON COLUMN webhook.stat_worker.failed IS 'deliveries that ended otherwise';
COMMENT ON COLUMN webhook.stat_worker.flushes IS 'transactions that wrote outcomes';
COMMENT ON COLUMN webhook.stat_worker.flush_errors IS 'those that failed';
COMMENT ON COLUMN webhook.stat_worker.rotations IS 'tables of the ring emptied';
COMMENT ON COLUMN webhook.stat_worker.in_flight IS 'calls under way now';
COMMENT ON COLUMN webhook.stat_worker.queued IS 'deliveries in memory now, not yet started';
COMMENT ON COLUMN webhook.stat_worker.unflushed IS 'outcomes not yet in the log now';
COMMENT ON COLUMN webhook.stat_worker.memory IS 'bytes of the three now';

COMMENT ON FUNCTION webhook.watch(regclass, text, name, name[], name[]) IS 'make each change of a table''s status column an event';
COMMENT ON FUNCTION webhook.unwatch(regclass) IS 'make changes of the table no events any more';
COMMENT ON FUNCTION webhook.publish(text, json, text) IS 'make an event; returns its Id';
COMMENT ON FUNCTION webhook.define_event_type(text, text) IS 'make a new type of event, open to whoever may subscribe';
COMMENT ON FUNCTION webhook.subscribe(text, text[], text, text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text) IS 'send events of these types, which whoever defines and watches them has opened to subscribers, to the endpoint from now on; returns the subscription';
COMMENT ON FUNCTION webhook.alter_subscription(bigint, text, text[], text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], boolean, text, text) IS 'change a subscription; null keeps; back to the default by filter true, 0, an empty description or schedule; enabling begins anew';
COMMENT ON FUNCTION webhook.subscription_options(bigint) IS 'the options of a subscription as webhook.alter_subscription() takes them, credentials included';
COMMENT ON FUNCTION webhook.unsubscribe(bigint) IS 'end a subscription; what waits for it is cancelled';
COMMENT ON FUNCTION webhook.pause(bigint) IS 'let a subscription''s events wait';
COMMENT ON FUNCTION webhook.resume(bigint) IS 'send what waits for a paused subscription';
COMMENT ON FUNCTION webhook.resume_database(boolean) IS 'send from this copy of a database, too; with discard, only what happens from now on';
COMMENT ON FUNCTION webhook.ping(bigint) IS 'send a webhook.ping to try out a subscription; returns its Id; neither breaker nor disabling counts it';
COMMENT ON FUNCTION webhook.resend(uuid, bigint) IS 'send an event to a subscription once more, after what waits of its subject';
COMMENT ON FUNCTION webhook.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'send a subscription what failed or was cancelled, or, missing, what was committed before it and never tried, of the events that occurred in a time; returns how many; with dry_run, only that';
COMMENT ON FUNCTION webhook.cancel(uuid, bigint) IS 'end the deliveries of an event to a subscription; the call under way is the last';
COMMENT ON FUNCTION webhook.skip(bigint, text) IS 'end the first delivery of a subject to a subscription, that the others wait behind';
COMMENT ON FUNCTION webhook.explain(uuid, bigint) IS 'why an event was, or was not, delivered to a subscription, and what comes next';
COMMENT ON FUNCTION webhook.secret(bigint) IS 'the secret that a subscription''s calls are signed with';
COMMENT ON FUNCTION webhook.rotate_secret(bigint, interval) IS 'give a subscription a new secret, returned; for the time of the overlap its calls are signed with the former ones, too';
COMMENT ON FUNCTION webhook.sign(text, text, bigint, text) IS 'the signature of a call, as in header webhook-signature';
COMMENT ON FUNCTION webhook.verify(text, jsonb, text, interval) IS 'is a call signed with the secret, and no older than the tolerance? null: any age';
COMMENT ON FUNCTION webhook.drain(interval) IS 'wait until all that is committed has been sent, or cannot be now; false: not within the time';
COMMENT ON FUNCTION webhook.grant_reader(regrole) IS 'let a role see subscriptions, events, the log and how things are; no secret, no credential';
COMMENT ON FUNCTION webhook.grant_operator(regrole) IS 'let a role read, and pause, resume, ping, resend, recover, cancel, skip and drain';
COMMENT ON FUNCTION webhook.grant_admin(regrole) IS 'let a role read, operate, and decide what is sent and where: event types, watched tables, subscriptions, secrets';
COMMENT ON FUNCTION webhook.revoke(regrole) IS 'take from a role all that it may do here';
COMMENT ON FUNCTION webhook_internal.worker_state() IS 'behind view webhook.stat_worker';
COMMENT ON FUNCTION webhook_internal.enqueue() IS 'trigger that webhook.watch() puts on a table';
COMMENT ON FUNCTION webhook_internal.drop_replicated() IS 'trigger that keeps replicated events out of the ring';
COMMENT ON FUNCTION webhook_internal.wake_worker() IS 'trigger that tells the worker to read anew what it keeps in memory';
COMMENT ON FUNCTION webhook_internal.require_event_type(text) IS 'internal: refuse an event type that does not exist';
COMMENT ON FUNCTION webhook_internal.canonical_endpoint(text) IS 'internal: the endpoint as it is stored, or an error';
COMMENT ON FUNCTION webhook_internal.checked_headers(jsonb) IS 'internal: the headers, or an error';
COMMENT ON FUNCTION webhook_internal.checked_file(text, text) IS 'internal: the name of the file, null if empty, or an error about the argument';
COMMENT ON FUNCTION webhook_internal.grant_each(regrole, text[]) IS 'internal: run the commands for a role, if the caller may';
COMMENT ON FUNCTION webhook_internal.require_trusted_table(regclass) IS 'internal: refuse a table with triggers of somebody else';
COMMENT ON FUNCTION webhook_internal.redacted_endpoint(text) IS 'internal: the endpoint without the values in its query';
COMMENT ON FUNCTION webhook_internal.redacted_headers(jsonb) IS 'internal: the headers without the values of credentials';
COMMENT ON FUNCTION webhook_internal.checked_secret(text) IS 'internal: the secret, a new one for null, or an error';
COMMENT ON FUNCTION webhook_internal.checked_events(text[]) IS 'internal: the event types and patterns, none within another, or an error';
COMMENT ON FUNCTION webhook_internal.checked_schemes(text[]) IS 'internal: the signature schemes, or an error';
COMMENT ON FUNCTION webhook_internal.check_columns(regclass, text, name[]) IS 'internal: refuse columns that cannot be watched';
COMMENT ON FUNCTION webhook_internal.check_duplicate(text, text[], bigint) IS 'internal: refuse an event that another subscription brings to the endpoint';
COMMENT ON FUNCTION webhook_internal.raise_unknown_subscription(bigint) IS 'internal: the error that there is no such subscription';
COMMENT ON FUNCTION webhook_internal.since() IS 'internal: the snapshot that a subscription starts from';
COMMENT ON FUNCTION webhook_internal.home() IS 'internal: system identifier and oid of this database';
COMMENT ON FUNCTION webhook_internal.caller() IS 'internal: who called the function that runs as its owner';
COMMENT ON FUNCTION webhook_internal.matches(text, text) IS 'internal: is the event type, or all of the second pattern, within the first?';
COMMENT ON FUNCTION webhook_internal.checked_filter(jsonpath) IS 'internal: the filter, null if it refuses nothing, or an error';
COMMENT ON FUNCTION webhook_internal.accepts(jsonpath, json) IS 'internal: does the filter let an event of this Data pass?';
COMMENT ON FUNCTION webhook_internal.checked_format(text) IS 'internal: the payload format, or an error';
COMMENT ON FUNCTION webhook_internal.checked_in_flight(integer) IS 'internal: calls at once, null for 0, or an error';
COMMENT ON FUNCTION webhook_internal.checked_rate(real) IS 'internal: the rate limit, null for 0, or an error';
COMMENT ON FUNCTION webhook_internal.checked_duration(text, interval, text, text, text) IS 'internal: the duration, or an error about the argument';
COMMENT ON FUNCTION webhook_internal.checked_schedule(interval[]) IS 'internal: the retry schedule, null if empty, or an error';
COMMENT ON FUNCTION webhook_internal.checked_statuses(integer[]) IS 'internal: the statuses, each once, or an error';
COMMENT ON FUNCTION webhook_internal.with_options(webhook_internal.subscription, jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text) IS 'internal: a subscription with those of the options that are not null';
COMMENT ON FUNCTION webhook_internal.is_disabled(bigint) IS 'internal: is the subscription disabled, by people or by the worker?';
COMMENT ON FUNCTION webhook_internal.require_subscription(bigint) IS 'internal: refuse a subscription that does not exist';
COMMENT ON FUNCTION webhook_internal.require_enabled(bigint) IS 'internal: refuse one that does not exist or is disabled';
COMMENT ON FUNCTION webhook_internal.local_start_snapshot(text, pg_snapshot) IS 'internal: the snapshot of a subscription of that home, as it counts here';
COMMENT ON FUNCTION webhook_internal.is_processed(xid8, bigint) IS 'internal: has the worker read this row of the ring, and written what came of it?';
COMMENT ON FUNCTION webhook_internal.find_event(uuid) IS 'internal: the event, wherever it still is';
COMMENT ON FUNCTION webhook_internal.require_event(uuid) IS 'internal: the event, or an error';
COMMENT ON FUNCTION webhook_internal.new_event_id(timestamptz) IS 'internal: an Id for an event of that time';
COMMENT ON FUNCTION webhook_internal.command("char", bigint, text, uuid) IS 'internal: tell the worker something through the ring';
COMMENT ON FUNCTION webhook_internal.replay(bigint, text, bigint, uuid, timestamptz, text, text, json) IS 'internal: have the worker deliver an event to a subscription';

/*
 * Privileges: nothing to anybody but the owner.
 */

REVOKE ALL ON SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM PUBLIC;

-- Default privileges were given with other schemas in mind.
DO $$
DECLARE
	grantee		regrole;
BEGIN
	FOR grantee IN
		SELECT a.grantee
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
			GROUP BY a.grantee
	LOOP
		PERFORM webhook.revoke(grantee);
	END LOOP;
END
$$;

/*
 * Dumps: what people have configured, what still waits, and the numbers that
 * both go by. The ring and the checkpoint belong to this database alone; the
 * log's leaves are dumped as the ordinary tables that they are.
 */

SELECT pg_catalog.pg_extension_config_dump('webhook_internal.event_type', $$WHERE name <> 'App.BusinessRequestStatusChange'$$);
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_secret', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_state', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.pending', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_secret_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.event_id_seq', '');
