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
