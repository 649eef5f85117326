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

