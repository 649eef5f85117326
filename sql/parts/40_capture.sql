/*
 * Capture: what becomes an event
 */

CREATE VIEW webhook.event_type AS
	SELECT name, description, created_at
		FROM webhook_internal.event_type;
COMMENT ON VIEW webhook.event_type IS 'event types that can be subscribed to';

CREATE FUNCTION webhook_internal.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';
COMMENT ON FUNCTION webhook_internal.enqueue() IS 'trigger function of watched tables: appends events to the ring; see webhook.watch()';

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
			RAISE EXCEPTION 'cannot watch virtual generated column "%" of relation "%"',
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
COMMENT ON FUNCTION webhook_internal.check_columns(regclass, text, name[]) IS 'raise an error unless these columns can be watched';

CREATE FUNCTION webhook.define_event_type(name text, description text DEFAULT NULL)
	RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	max_bytes	integer := (webhook_internal.bounds()).event_type_bytes;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.event_type'::regclass);
	PERFORM webhook_internal.require_not_null('name', define_event_type.name IS NULL,
		'Give the event type a name, for example ''App.ContractSigned''.');
	IF octet_length(define_event_type.name) > max_bytes THEN
		RAISE EXCEPTION 'event type name of % bytes is too long',
			octet_length(define_event_type.name)
			USING ERRCODE = 'program_limit_exceeded',
				DETAIL = format('The maximum is %s bytes.', max_bytes);
	END IF;
	IF define_event_type.name COLLATE "C" !~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$' THEN
		RAISE EXCEPTION 'invalid event type name: "%"', define_event_type.name
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Use ASCII letters, digits, "_", "." and "-", with a letter or a digit first, for example ''App.ContractSigned''.';
	END IF;
	IF starts_with(define_event_type.name, 'webhook.') THEN
		RAISE EXCEPTION 'event type name "%" is reserved', define_event_type.name
			USING ERRCODE = 'reserved_name',
				DETAIL = 'The prefix "webhook." is reserved.',
				HINT = 'Choose another name.';
	END IF;

	INSERT INTO webhook_internal.event_type (name, description)
		VALUES (define_event_type.name, nullif(define_event_type.description, ''))
		ON CONFLICT DO NOTHING;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'event type "%" already exists', define_event_type.name
			USING ERRCODE = 'duplicate_object',
				HINT = 'Use the existing event type, or another name.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook.define_event_type(text, text) IS 'define an event type; every role that may subscribe can subscribe to it';

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
	PERFORM webhook_internal.require_not_null('relation', watch.relation IS NULL,
		'Give the name of a table.');
	PERFORM webhook_internal.require_not_null('event_type', watch.event_type IS NULL,
		'Name an event type; see view webhook.event_type.');
	PERFORM webhook_internal.require_not_null('status_column', watch.status_column IS NULL,
		'Give the name of the status column.');
	PERFORM webhook_internal.require_event_type(watch.event_type);

	-- Can the relation be watched?
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
					HINT = 'Add one, or name in id_columns the columns that identify a row.';
		END IF;
	END IF;
	IF cardinality(keys) = 0 THEN
		RAISE EXCEPTION 'id_columns must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name the columns that identify a row, or omit id_columns to use the primary key.';
	END IF;
	PERFORM webhook_internal.check_columns(watch.relation, 'status_column', ARRAY[watch.status_column]);
	PERFORM webhook_internal.check_columns(watch.relation, 'id_columns', keys);
	PERFORM webhook_internal.check_columns(watch.relation, 'data_columns', watch.data_columns);

	-- A partition has the triggers of its ancestors, too.
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
		RAISE EXCEPTION 'relation "%" is already watched for event type "%"',
			other, watch.event_type
			USING ERRCODE = 'duplicate_object',
				HINT = format('To watch it in another way, call webhook.unwatch(%L) first.', other);
	END IF;

	-- An identifier has at most 63 bytes.
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
COMMENT ON FUNCTION webhook.watch(regclass, text, name, name[], name[]) IS 'publish an event for each change of the status column of a table';

CREATE FUNCTION webhook.unwatch(relation regclass) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	label		name;
	parent		regclass;
BEGIN
	PERFORM webhook_internal.require_not_null('relation', unwatch.relation IS NULL,
		'Give the name of a watched table.');

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

	-- Is it a partition, watched by the trigger of an ancestor?
	SELECT p.tgrelid
		INTO parent
		FROM pg_trigger p
		WHERE p.tgfoid = 'webhook_internal.enqueue()'::regprocedure AND p.tgparentid = 0
			AND p.tgrelid IN (SELECT relid FROM pg_partition_ancestors(unwatch.relation));
	IF FOUND THEN
		RAISE EXCEPTION 'relation "%" is not watched by itself', unwatch.relation
			USING ERRCODE = 'undefined_object',
				DETAIL = format('It is a partition of the watched table "%s".', parent),
				HINT = format('Call webhook.unwatch(%L).', parent);
	END IF;
	RAISE EXCEPTION 'relation "%" is not watched', unwatch.relation
		USING ERRCODE = 'undefined_object',
			HINT = 'Give a table that webhook.watch() was called for.';
END
$$;
COMMENT ON FUNCTION webhook.unwatch(regclass) IS 'stop publishing events for changes of a table';

CREATE FUNCTION webhook.publish(event_type text, data json, subject text DEFAULT NULL)
	RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_publish';
COMMENT ON FUNCTION webhook.publish(text, json, text) IS 'publish an event; returns its Id';
