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
