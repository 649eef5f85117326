/* webhook--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION webhook" to load this file. \quit

-- First of all: can the extension work in this server and database?
CREATE SCHEMA webhook;

CREATE FUNCTION webhook.require_server() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_require_server';
SELECT webhook.require_server();
DROP FUNCTION webhook.require_server();

/*
 * Tables
 *
 *   event_type            what can be subscribed to            people write
 *   subscription          who wants what, where                people write
 *   subscription_secret   with which the calls are signed      people write
 *   event_0 to event_3    the ring: events as they commit      backends append
 *   pending               deliveries that wait                 the worker writes
 *   log                   one row an attempt, by day           the worker writes
 *   checkpoint            how far the worker is                the worker writes
 *
 * People write by the functions below. The order of the columns of event_N,
 * pending, log and checkpoint is known to src/catalog.h.
 */

CREATE TABLE webhook.event_type (
	name		text COLLATE "C" PRIMARY KEY,
	description	text,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

INSERT INTO webhook.event_type (name, description)
	VALUES ('App.BusinessRequestStatusChange', 'The status of a business request has changed.');

CREATE SEQUENCE webhook.subscription_id_seq;

CREATE TABLE webhook.subscription (
	id			bigint PRIMARY KEY DEFAULT pg_catalog.nextval('webhook.subscription_id_seq'),
	endpoint	text NOT NULL,
	events		text[] NOT NULL,
	description	text,
	headers		jsonb NOT NULL DEFAULT '{}',
	signature_schemes text[] NOT NULL DEFAULT '{standard}',
	enabled		boolean NOT NULL DEFAULT true,
	paused		boolean NOT NULL DEFAULT false,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by	name NOT NULL,
	since		pg_snapshot NOT NULL,
	home		text NOT NULL
);

CREATE SEQUENCE webhook.subscription_secret_id_seq;

CREATE TABLE webhook.subscription_secret (
	id			bigint PRIMARY KEY DEFAULT pg_catalog.nextval('webhook.subscription_secret_id_seq'),
	subscription_id	bigint NOT NULL REFERENCES webhook.subscription ON DELETE CASCADE,
	secret		text NOT NULL,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expires_at	timestamptz
);
CREATE INDEX subscription_secret_subscription_id_idx
	ON webhook.subscription_secret (subscription_id);

CREATE SEQUENCE webhook.event_id_seq;

CREATE TABLE webhook.event_0 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_0_txid_id_idx ON webhook.event_0 (txid, id);

CREATE TABLE webhook.event_1 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_1_txid_id_idx ON webhook.event_1 (txid, id);

CREATE TABLE webhook.event_2 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_2_txid_id_idx ON webhook.event_2 (txid, id);

CREATE TABLE webhook.event_3 (
	id			bigint NOT NULL,
	txid		xid8 NOT NULL,
	created		timestamptz NOT NULL,
	event_id	uuid NOT NULL,
	kind		"char" NOT NULL,
	event_type	text,
	subject		text,
	data		json
) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
CREATE INDEX event_3_txid_id_idx ON webhook.event_3 (txid, id);

CREATE TABLE webhook.pending (
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
	created		timestamptz NOT NULL,
	event_type	text NOT NULL,
	data		json NOT NULL,
	PRIMARY KEY (subscription_id, subject, position, id)
) USING heap WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX pending_due_idx ON webhook.pending (subscription_id, next_at)
	WHERE next_at IS NOT NULL;

-- Its leaves, webhook.log_YYYYMMDD, are ordinary tables that the worker makes.
CREATE TABLE webhook.log (
	id			bigint NOT NULL,
	event_id	uuid NOT NULL,
	position	bigint NOT NULL,
	cause		text NOT NULL,
	logged_at	timestamptz NOT NULL,
	subscription_id	bigint NOT NULL,
	event_type	text NOT NULL,
	subject		text,
	created		timestamptz NOT NULL,
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

CREATE TABLE webhook.checkpoint (
	home		text NOT NULL,
	snapshot	pg_snapshot NOT NULL,
	partial		pg_snapshot,
	upto_id		bigint,
	at			timestamptz NOT NULL
) USING heap;

/*
 * Triggers
 */

CREATE FUNCTION webhook.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';

CREATE FUNCTION webhook.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_0
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_0 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_1
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_1 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_2
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_2 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_3
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_3 ENABLE REPLICA TRIGGER drop_replicated;

-- A restore, or a hand, writes where the worker would not look by itself.
CREATE FUNCTION webhook.note_change() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_note_change';

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.subscription
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.subscription ENABLE ALWAYS TRIGGER note_change;

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.subscription_secret
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.subscription_secret ENABLE ALWAYS TRIGGER note_change;

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.pending
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.pending ENABLE ALWAYS TRIGGER note_change;

/*
 * Helpers of the functions below; nobody else calls them.
 */

CREATE FUNCTION webhook.require_event_type(event_type text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_event_type';

CREATE FUNCTION webhook.canonical_endpoint(endpoint text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_canonical_endpoint';

CREATE FUNCTION webhook.checked_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_headers';

CREATE FUNCTION webhook.checked_secret(secret text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_secret';

CREATE FUNCTION webhook.refuse_duplicate(endpoint text, events text[], subscription bigint)
	RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_refuse_duplicate';

CREATE FUNCTION webhook.since() RETURNS pg_snapshot
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_since';

CREATE FUNCTION webhook.home() RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_this_home';

CREATE FUNCTION webhook.caller() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller';

CREATE FUNCTION webhook.command(kind "char", subject text DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_command';

CREATE FUNCTION webhook.checked_events(events text[]) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	checked		text[] := '{}';
	event		text;
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
		PERFORM webhook.require_event_type(event);
		IF event = ANY (checked) THEN
			RAISE NOTICE 'event type "%" is named twice', event;
		ELSE
			checked := checked || event;
		END IF;
	END LOOP;
	RETURN checked;
END
$$;

CREATE FUNCTION webhook.checked_schemes(signature_schemes text[]) RETURNS text[]
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

CREATE FUNCTION webhook.check_columns(relation regclass, argument text, columns name[])
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

CREATE FUNCTION webhook.refuse_unknown(subscription bigint) RETURNS void
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

/*
 * What is an event
 */

CREATE FUNCTION webhook.define_event_type(name text, description text DEFAULT NULL)
	RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
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

	INSERT INTO webhook.event_type (name, description)
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
	PERFORM webhook.require_event_type(watch.event_type);

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
		WHEN class.nspname = 'webhook' THEN 'It belongs to the extension webhook.'
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
	PERFORM webhook.check_columns(watch.relation, 'status_column', ARRAY[watch.status_column]);
	PERFORM webhook.check_columns(watch.relation, 'id_columns', keys);
	PERFORM webhook.check_columns(watch.relation, 'data_columns', watch.data_columns);

	-- A partition has its parents' triggers, too.
	SELECT t.tgrelid
		INTO other
		FROM pg_trigger t
		WHERE t.tgfoid = 'webhook.enqueue()'::regprocedure
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
		' FOR EACH ROW EXECUTE FUNCTION webhook.enqueue(%s)',
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
				AND t.tgfoid = 'webhook.enqueue()'::regprocedure
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
		WHERE p.tgfoid = 'webhook.enqueue()'::regprocedure AND p.tgparentid = 0
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
 * A change of a subscription tells the worker by a row of the ring: 'c',
 * something has changed; 'x', what waits for this subscription shall end.
 */

CREATE FUNCTION webhook.subscribe(
	endpoint text,
	events text[],
	description text DEFAULT NULL,
	secret text DEFAULT NULL,
	headers jsonb DEFAULT '{}',
	signature_schemes text[] DEFAULT '{standard}'
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	new			webhook.subscription;
	key			text;
BEGIN
	new.endpoint := webhook.canonical_endpoint(subscribe.endpoint);
	new.events := webhook.checked_events(subscribe.events);
	new.description := nullif(subscribe.description, '');
	key := webhook.checked_secret(subscribe.secret);
	new.headers := webhook.checked_headers(subscribe.headers);
	new.signature_schemes := webhook.checked_schemes(subscribe.signature_schemes);

	LOCK TABLE webhook.subscription IN SHARE ROW EXCLUSIVE MODE;
	PERFORM webhook.refuse_duplicate(new.endpoint, new.events, NULL);
	INSERT INTO webhook.subscription (endpoint, events, description, headers,
			signature_schemes, created_by, since, home)
		VALUES (new.endpoint, new.events, new.description, new.headers,
			new.signature_schemes, webhook.caller(), webhook.since(), webhook.home())
		RETURNING id INTO new.id;
	INSERT INTO webhook.subscription_secret (subscription_id, secret)
		VALUES (new.id, key);
	PERFORM webhook.command('c');
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
	enabled boolean DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old			webhook.subscription;
	new			webhook.subscription;
	rerouted	boolean := alter_subscription.endpoint IS NOT NULL
					OR alter_subscription.events IS NOT NULL;
BEGIN
	-- Before any row, lest two of these wait for each other.
	IF rerouted THEN
		LOCK TABLE webhook.subscription IN SHARE ROW EXCLUSIVE MODE;
	END IF;
	SELECT s.* INTO old FROM webhook.subscription s
		WHERE s.id = alter_subscription.subscription
		FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook.refuse_unknown(alter_subscription.subscription);
	END IF;

	new := old;
	IF alter_subscription.endpoint IS NOT NULL THEN
		new.endpoint := webhook.canonical_endpoint(alter_subscription.endpoint);
	END IF;
	IF alter_subscription.events IS NOT NULL THEN
		new.events := webhook.checked_events(alter_subscription.events);
	END IF;
	IF rerouted THEN
		PERFORM webhook.refuse_duplicate(new.endpoint, new.events, new.id);
	END IF;
	IF alter_subscription.description IS NOT NULL THEN
		new.description := nullif(alter_subscription.description, '');
	END IF;
	IF alter_subscription.headers IS NOT NULL THEN
		new.headers := webhook.checked_headers(alter_subscription.headers);
	END IF;
	IF alter_subscription.signature_schemes IS NOT NULL THEN
		new.signature_schemes := webhook.checked_schemes(alter_subscription.signature_schemes);
	END IF;
	IF alter_subscription.enabled IS NOT NULL THEN
		new.enabled := alter_subscription.enabled;
	END IF;
	-- Enabled anew, it begins anew; what it missed stays missed.
	IF new.enabled AND NOT old.enabled THEN
		new.since := webhook.since();
	END IF;

	UPDATE webhook.subscription s
		SET endpoint = new.endpoint,
			events = new.events,
			description = new.description,
			headers = new.headers,
			signature_schemes = new.signature_schemes,
			enabled = new.enabled,
			since = new.since
		WHERE s.id = new.id;
	IF old.enabled AND NOT new.enabled THEN
		PERFORM webhook.command('x', new.id::text);
	ELSE
		PERFORM webhook.command('c');
	END IF;
END
$$;

CREATE FUNCTION webhook.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	DELETE FROM webhook.subscription s WHERE s.id = unsubscribe.subscription;
	IF NOT FOUND THEN
		PERFORM webhook.refuse_unknown(unsubscribe.subscription);
	END IF;
	PERFORM webhook.command('x', unsubscribe.subscription::text);
END
$$;

CREATE FUNCTION webhook.pause(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE webhook.subscription s SET paused = true WHERE s.id = pause.subscription;
	IF NOT FOUND THEN
		PERFORM webhook.refuse_unknown(pause.subscription);
	END IF;
	PERFORM webhook.command('c');
END
$$;

CREATE FUNCTION webhook.resume(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	UPDATE webhook.subscription s SET paused = false WHERE s.id = resume.subscription;
	IF NOT FOUND THEN
		PERFORM webhook.refuse_unknown(resume.subscription);
	END IF;
	PERFORM webhook.command('c');
END
$$;

CREATE FUNCTION webhook.resume_database(discard boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fenced		bigint;
BEGIN
	IF discard IS NULL THEN
		RAISE EXCEPTION 'discard must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give true to drop what waits, false to send it.';
	END IF;

	-- Transaction ids of another cluster mean nothing here: see none of them.
	FOR fenced IN
		UPDATE webhook.subscription s
			SET home = webhook.home(),
				since = CASE
					WHEN discard THEN webhook.since()
					WHEN split_part(s.home, '/', 1) <> split_part(webhook.home(), '/', 1)
						THEN '3:3:'
					ELSE s.since END
			WHERE s.home <> webhook.home()
			RETURNING s.id
	LOOP
		IF discard THEN
			PERFORM webhook.command('x', fenced::text);
		END IF;
	END LOOP;
	PERFORM webhook.command('c');
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
		FROM webhook.subscription_secret x
		WHERE x.subscription_id = secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF NOT FOUND THEN
		PERFORM webhook.refuse_unknown(secret.subscription);
	END IF;
	RETURN newest;
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

CREATE FUNCTION webhook.worker_state(
	OUT pid integer,
	OUT state text,
	OUT started_at timestamptz,
	OUT ring_slot integer,
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
	SELECT pid, state, started_at, ring_slot, windows, events, attempts, delivered,
		retrying, failed, flushes, flush_errors, rotations, in_flight, queued,
		unflushed, memory
	FROM webhook.worker_state();

CREATE VIEW webhook.event AS
	SELECT id, event_id, event_type, subject, data, created
		FROM webhook.event_0 WHERE kind OPERATOR(pg_catalog.=) 'e'
	UNION ALL
	SELECT id, event_id, event_type, subject, data, created
		FROM webhook.event_1 WHERE kind OPERATOR(pg_catalog.=) 'e'
	UNION ALL
	SELECT id, event_id, event_type, subject, data, created
		FROM webhook.event_2 WHERE kind OPERATOR(pg_catalog.=) 'e'
	UNION ALL
	SELECT id, event_id, event_type, subject, data, created
		FROM webhook.event_3 WHERE kind OPERATOR(pg_catalog.=) 'e';

/*
 * Comments
 */

COMMENT ON SCHEMA webhook IS 'events as they commit, sent to HTTP endpoints';

COMMENT ON TABLE webhook.event_type IS 'what can be subscribed to';
COMMENT ON COLUMN webhook.event_type.name IS 'as it is sent: WebhookEvent in the body, header webhook-event';
COMMENT ON COLUMN webhook.event_type.description IS 'for people';
COMMENT ON COLUMN webhook.event_type.created_at IS 'when it was defined';

COMMENT ON SEQUENCE webhook.subscription_id_seq IS 'numbers subscriptions';
COMMENT ON TABLE webhook.subscription IS 'who wants which events, sent where; changed by webhook.subscribe() and its like';
COMMENT ON COLUMN webhook.subscription.id IS 'the subscription';
COMMENT ON COLUMN webhook.subscription.endpoint IS 'URL that its events are posted to, in canonical form';
COMMENT ON COLUMN webhook.subscription.events IS 'event types that it gets';
COMMENT ON COLUMN webhook.subscription.description IS 'for people';
COMMENT ON COLUMN webhook.subscription.headers IS 'headers of its own on each call: an object of name to value';
COMMENT ON COLUMN webhook.subscription.signature_schemes IS 'how its calls are signed: standard, and abp where asked for';
COMMENT ON COLUMN webhook.subscription.enabled IS 'false: gets no events';
COMMENT ON COLUMN webhook.subscription.paused IS 'true: its events wait';
COMMENT ON COLUMN webhook.subscription.created_at IS 'when it was made';
COMMENT ON COLUMN webhook.subscription.created_by IS 'by whom';
COMMENT ON COLUMN webhook.subscription.since IS 'gets the events that this snapshot does not see';
COMMENT ON COLUMN webhook.subscription.home IS 'database that it sends from: system identifier and database oid; elsewhere it is fenced until webhook.resume_database()';

COMMENT ON SEQUENCE webhook.subscription_secret_id_seq IS 'numbers secrets';
COMMENT ON TABLE webhook.subscription_secret IS 'with which the calls of a subscription are signed; each live one makes a signature';
COMMENT ON COLUMN webhook.subscription_secret.id IS 'the higher, the newer';
COMMENT ON COLUMN webhook.subscription_secret.subscription_id IS 'whose secret it is';
COMMENT ON COLUMN webhook.subscription_secret.secret IS '"whsec_" and the base64 of the key';
COMMENT ON COLUMN webhook.subscription_secret.created_at IS 'when it was made';
COMMENT ON COLUMN webhook.subscription_secret.expires_at IS 'until when it signs; null: for good';

COMMENT ON SEQUENCE webhook.event_id_seq IS 'numbers the rows of the ring: their order';

DO $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE pg_catalog.format($_$
			COMMENT ON TABLE webhook.event_%1$s IS 'a quarter of the ring: events and commands as they commit; see view webhook.event';
			COMMENT ON COLUMN webhook.event_%1$s.id IS 'place in the order of all of them';
			COMMENT ON COLUMN webhook.event_%1$s.txid IS 'top-level transaction that wrote it';
			COMMENT ON COLUMN webhook.event_%1$s.created IS 'when it occurred';
			COMMENT ON COLUMN webhook.event_%1$s.event_id IS 'UUIDv7, the receiver''s idempotency key';
			COMMENT ON COLUMN webhook.event_%1$s.kind IS 'e: event; c: subscriptions have changed; x: end what waits for the subscription in subject';
			COMMENT ON COLUMN webhook.event_%1$s.event_type IS 'what kind of event it is';
			COMMENT ON COLUMN webhook.event_%1$s.subject IS 'what it is about: events of one subject are delivered in order; null: in none';
			COMMENT ON COLUMN webhook.event_%1$s.data IS 'Data of the body, as it is sent';
			COMMENT ON TRIGGER drop_replicated ON webhook.event_%1$s IS 'another server''s events are not sent from here';
		$_$, n);
	END LOOP;
END
$$;

COMMENT ON TRIGGER note_change ON webhook.subscription IS 'the worker reads it anew';
COMMENT ON TRIGGER note_change ON webhook.subscription_secret IS 'the worker reads it anew';
COMMENT ON TRIGGER note_change ON webhook.pending IS 'the worker, which writes past it, looks what has come';

COMMENT ON TABLE webhook.pending IS 'deliveries that failed and will be repeated, or wait; the worker alone writes it';
COMMENT ON COLUMN webhook.pending.subscription_id IS 'where it goes';
COMMENT ON COLUMN webhook.pending.subject IS 'what the event is about; empty: it has no subject';
COMMENT ON COLUMN webhook.pending.position IS 'id in the ring of the row that caused the delivery: its place in the subject''s order';
COMMENT ON COLUMN webhook.pending.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.pending.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.pending.cause IS 'why it is delivered: event, resend, recover or ping';
COMMENT ON COLUMN webhook.pending.attempt IS 'calls made';
COMMENT ON COLUMN webhook.pending.step IS 'place in the retry schedule';
COMMENT ON COLUMN webhook.pending.next_at IS 'when it is due; null: it waits for one before it';
COMMENT ON COLUMN webhook.pending.queued_at IS 'when it came to wait';
COMMENT ON COLUMN webhook.pending.created IS 'when the event occurred';
COMMENT ON COLUMN webhook.pending.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook.pending.data IS 'Data of the body, as it is sent';

COMMENT ON TABLE webhook.log IS 'one row a call, as sent and as answered, and one for each delivery that ended without; a partition a day';
COMMENT ON COLUMN webhook.log.id IS 'id of the event in the ring';
COMMENT ON COLUMN webhook.log.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.log.position IS 'id in the ring of the row that caused the delivery';
COMMENT ON COLUMN webhook.log.cause IS 'why it was delivered: event, resend, recover or ping';
COMMENT ON COLUMN webhook.log.logged_at IS 'when the row was written; never goes back';
COMMENT ON COLUMN webhook.log.subscription_id IS 'whose delivery it was';
COMMENT ON COLUMN webhook.log.event_type IS 'what kind of event it was';
COMMENT ON COLUMN webhook.log.subject IS 'what the event was about';
COMMENT ON COLUMN webhook.log.created IS 'when the event occurred';
COMMENT ON COLUMN webhook.log.attempt IS 'number of the call, from 1 on';
COMMENT ON COLUMN webhook.log.method IS 'POST; null: no call was made';
COMMENT ON COLUMN webhook.log.endpoint IS 'URL that was called';
COMMENT ON COLUMN webhook.log.source_ip IS 'address that the call came from';
COMMENT ON COLUMN webhook.log.source_port IS 'port that the call came from';
COMMENT ON COLUMN webhook.log.requested_at IS 'when the call began';
COMMENT ON COLUMN webhook.log.duration IS 'how long it took';
COMMENT ON COLUMN webhook.log.request_headers IS 'headers as sent, names in lower case, credentials redacted';
COMMENT ON COLUMN webhook.log.request_body IS 'body as sent';
COMMENT ON COLUMN webhook.log.response_status IS 'HTTP status; null: none came';
COMMENT ON COLUMN webhook.log.response_headers IS 'headers of the answer, names in lower case; a repeated name has an array';
COMMENT ON COLUMN webhook.log.response_body IS 'first 16 kB of the answer; what is no valid text is written \xHH';
COMMENT ON COLUMN webhook.log.outcome IS 'delivered, retrying, failed or cancelled';
COMMENT ON COLUMN webhook.log.error_class IS 'what kind of failure it was, in one word';
COMMENT ON COLUMN webhook.log.error IS 'what went wrong';
COMMENT ON COLUMN webhook.log.data IS 'Data of the event, where the delivery ended undelivered';

COMMENT ON TABLE webhook.checkpoint IS 'one row: how far the worker is';
COMMENT ON COLUMN webhook.checkpoint.home IS 'database that it was written in: system identifier and database oid';
COMMENT ON COLUMN webhook.checkpoint.snapshot IS 'all that it sees is finished';
COMMENT ON COLUMN webhook.checkpoint.partial IS 'of what this one sees beyond that, the part up to upto_id is finished';
COMMENT ON COLUMN webhook.checkpoint.upto_id IS 'see partial';
COMMENT ON COLUMN webhook.checkpoint.at IS 'when it was written';

COMMENT ON VIEW webhook.event IS 'the events that the ring still has';
COMMENT ON COLUMN webhook.event.id IS 'place in the order of all events';
COMMENT ON COLUMN webhook.event.event_id IS 'the event''s Id';
COMMENT ON COLUMN webhook.event.event_type IS 'what kind of event it is';
COMMENT ON COLUMN webhook.event.subject IS 'what it is about';
COMMENT ON COLUMN webhook.event.data IS 'Data of the body, as it is sent';
COMMENT ON COLUMN webhook.event.created IS 'when it occurred';

COMMENT ON VIEW webhook.stat_worker IS 'the worker of this database, since it started';
COMMENT ON COLUMN webhook.stat_worker.pid IS 'its process; null: there is none';
COMMENT ON COLUMN webhook.stat_worker.state IS 'wanted, starting, running, stopped, or blocked by DDL on the database';
COMMENT ON COLUMN webhook.stat_worker.started_at IS 'when it started';
COMMENT ON COLUMN webhook.stat_worker.ring_slot IS 'table of the ring that events go to';
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
COMMENT ON FUNCTION webhook.define_event_type(text, text) IS 'make a new type of event';
COMMENT ON FUNCTION webhook.subscribe(text, text[], text, text, jsonb, text[]) IS 'send events of these types to the endpoint from now on; returns the subscription';
COMMENT ON FUNCTION webhook.alter_subscription(bigint, text, text[], text, jsonb, text[], boolean) IS 'change a subscription; null keeps, an empty description clears';
COMMENT ON FUNCTION webhook.unsubscribe(bigint) IS 'end a subscription; what waits for it is cancelled';
COMMENT ON FUNCTION webhook.pause(bigint) IS 'let a subscription''s events wait';
COMMENT ON FUNCTION webhook.resume(bigint) IS 'send what waits for a paused subscription';
COMMENT ON FUNCTION webhook.resume_database(boolean) IS 'send from this copy of a database, too; with discard, only what happens from now on';
COMMENT ON FUNCTION webhook.secret(bigint) IS 'the secret that a subscription''s calls are signed with';
COMMENT ON FUNCTION webhook.sign(text, text, bigint, text) IS 'the signature of a call, as in header webhook-signature';
COMMENT ON FUNCTION webhook.verify(text, jsonb, text, interval) IS 'is a call signed with the secret, and no older than the tolerance? null: any age';
COMMENT ON FUNCTION webhook.drain(interval) IS 'wait until all that is committed has been sent, or cannot be now; false: not within the time';
COMMENT ON FUNCTION webhook.worker_state() IS 'behind view webhook.stat_worker';
COMMENT ON FUNCTION webhook.enqueue() IS 'trigger that webhook.watch() puts on a table';
COMMENT ON FUNCTION webhook.drop_replicated() IS 'trigger that keeps replicated events out of the ring';
COMMENT ON FUNCTION webhook.note_change() IS 'trigger that tells the worker to read anew what it keeps in memory';
COMMENT ON FUNCTION webhook.require_event_type(text) IS 'internal: refuse an event type that does not exist';
COMMENT ON FUNCTION webhook.canonical_endpoint(text) IS 'internal: the endpoint as it is stored, or an error';
COMMENT ON FUNCTION webhook.checked_headers(jsonb) IS 'internal: the headers, or an error';
COMMENT ON FUNCTION webhook.checked_secret(text) IS 'internal: the secret, a new one for null, or an error';
COMMENT ON FUNCTION webhook.checked_events(text[]) IS 'internal: the event types, each once, or an error';
COMMENT ON FUNCTION webhook.checked_schemes(text[]) IS 'internal: the signature schemes, or an error';
COMMENT ON FUNCTION webhook.check_columns(regclass, text, name[]) IS 'internal: refuse columns that cannot be watched';
COMMENT ON FUNCTION webhook.refuse_duplicate(text, text[], bigint) IS 'internal: refuse an event that another subscription brings to the endpoint';
COMMENT ON FUNCTION webhook.refuse_unknown(bigint) IS 'internal: the error that there is no such subscription';
COMMENT ON FUNCTION webhook.since() IS 'internal: the snapshot that a subscription starts from';
COMMENT ON FUNCTION webhook.home() IS 'internal: system identifier and oid of this database';
COMMENT ON FUNCTION webhook.caller() IS 'internal: who called the function that runs as its owner';
COMMENT ON FUNCTION webhook.command("char", text) IS 'internal: tell the worker something through the ring';

/*
 * Privileges: nothing to anybody but the owner.
 */

REVOKE ALL ON SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook FROM PUBLIC;

/*
 * Dumps: what people have configured, what still waits, and the numbers that
 * both go by. The ring and the checkpoint belong to this database alone; the
 * log's leaves are dumped as the ordinary tables that they are.
 */

SELECT pg_catalog.pg_extension_config_dump('webhook.event_type', $$WHERE name <> 'App.BusinessRequestStatusChange'$$);
SELECT pg_catalog.pg_extension_config_dump('webhook.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('webhook.subscription_secret', '');
SELECT pg_catalog.pg_extension_config_dump('webhook.pending', '');
SELECT pg_catalog.pg_extension_config_dump('webhook.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook.subscription_secret_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook.event_id_seq', '');
