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
