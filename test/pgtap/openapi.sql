--
-- Is the schema of a watched table what its trigger publishes, and what does the
-- document for receivers have?
--
BEGIN;
SELECT no_plan();

CREATE TYPE mood AS ENUM ('sad', 'it''s', 'happy');
CREATE TYPE measure AS (amount numeric, unit text);
CREATE TYPE shade AS ENUM ('dark');
CREATE FUNCTION as_json(shade) RETURNS json LANGUAGE sql RETURN '{"shade": 1}'::json;
CREATE CAST (shade AS json) WITH FUNCTION as_json(shade);
CREATE DOMAIN grade AS varchar(3) CHECK (VALUE IN ('A', 'B')) NOT NULL;
COMMENT ON DOMAIN grade IS 'a grade';
CREATE DOMAIN grades AS grade[];
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- the schema of a column
CREATE TABLE kind (n integer);
CREATE FUNCTION pg_temp.schema_of(definition text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	schema	jsonb;
BEGIN
	EXECUTE 'ALTER TABLE kind ADD "a ""column""" ' || definition;
	schema := webhook_internal.column_schema('kind', 'a "column"');
	ALTER TABLE kind DROP "a ""column""";
	RETURN schema;
END
$$;
SELECT is(pg_temp.schema_of(definition || ' NOT NULL'), schema::jsonb, definition)
	FROM (VALUES
		('boolean', '{"type": "boolean"}'),
		('smallint', '{"type": "integer", "format": "int32"}'),
		('integer', '{"type": "integer", "format": "int32"}'),
		('bigint', '{"type": "integer", "format": "int64"}'),
		('numeric(10,2)', '{"type": "number"}'),
		('real', '{"type": "number", "format": "float"}'),
		('double precision', '{"type": "number", "format": "double"}'),
		('text', '{"type": "string"}'),
		('varchar', '{"type": "string"}'),
		('varchar(20)', '{"type": "string", "maxLength": 20}'),
		('char(3)', '{"type": "string", "maxLength": 3}'),
		('uuid', '{"type": "string", "format": "uuid"}'),
		('date', '{"type": "string", "format": "date"}'),
		('timestamp', '{"type": "string"}'),
		('timestamptz', '{"type": "string", "format": "date-time"}'),
		('time', '{"type": "string"}'),
		('interval', '{"type": "string"}'),
		('bytea', '{"type": "string"}'),
		('inet', '{"type": "string"}'),
		('oid', '{"type": "string"}'),
		('int4range', '{"type": "string"}'),
		('json', '{}'),
		('jsonb', '{}'),
		('mood', '{"type": "string", "enum": ["sad", "it''s", "happy"]}'),
		('shade', '{}'),
		('measure', '{"type": "object", "required": ["amount", "unit"], "properties": {"amount": {"type": ["number", "null"]}, "unit": {"type": ["string", "null"]}}}'),
		('varchar(5)[]', '{"type": "array", "items": {"type": ["string", "null"], "maxLength": 5}}'),
		('integer[][]', '{"type": "array", "items": {"type": "array", "items": {"type": ["integer", "null"], "format": "int32"}}}'),
		('mood[]', '{"type": "array", "items": {"type": ["string", "null"], "enum": ["sad", "it''s", "happy", null]}}'),
		('grade', '{"type": "string", "maxLength": 3, "enum": ["A", "B"], "description": "a grade"}'),
		('grades', '{"type": "array", "items": {"type": ["string", "null"], "maxLength": 3, "enum": ["A", "B", null], "description": "a grade"}}')
	) AS v (definition, schema);
SELECT is(pg_temp.schema_of('bigint'), '{"type": ["integer", "null"], "format": "int64"}', 'a column may be null');
SELECT is(pg_temp.schema_of('mood'), '{"type": ["string", "null"], "enum": ["sad", "it''s", "happy", null]}', 'an enum may be null');
SELECT is(pg_temp.schema_of('jsonb'), '{}', 'any JSON value may be null');
SELECT is(pg_temp.schema_of('grade DEFAULT ''A'''), '{"type": "string", "maxLength": 3, "enum": ["A", "B"], "description": "a grade"}', 'a domain may be NOT NULL');

-- CHECK … IN: it is an enum only if no other text is allowed
SELECT is(pg_temp.schema_of(definition) -> 'enum', enum::jsonb, definition)
	FROM (VALUES
		($$ text CHECK ("a ""column""" IN ('Draft', 'It''s', 'a, b')) $$, '["Draft", "It''s", "a, b", null]'),
		($$ text CHECK ("a ""column""" = 'Draft') $$, '["Draft", null]'),
		($$ text NOT NULL CHECK ("a ""column""" = ANY ('{a,b}')) $$, NULL),
		($$ varchar(20) CHECK ("a ""column""" IN ('Draft', 'Done')) $$, '["Draft", "Done", null]'),
		($$ varchar(20) CHECK ("a ""column""" = 'Draft') $$, '["Draft", null]'),
		($$ char(3) CHECK ("a ""column""" IN ('A', 'BBB')) $$, '["A  ", "BBB", null]'),
		($$ bpchar CHECK ("a ""column""" IN ('A')) $$, NULL),
		($$ smallint CHECK ("a ""column""" IN (1, 2, -3)) $$, '[1, 2, -3, null]'),
		($$ bigint CHECK ("a ""column""" IN (1, 12345678901)) $$, '[1, 12345678901, null]'),
		($$ numeric CHECK ("a ""column""" IN (1, 2.50)) $$, '[1, 2.50, null]'),
		($$ text CHECK ("a ""column""" IN ('a', 'b')) CHECK ("a ""column""" IN ('a')) $$, '["a", null]'),
		($$ text CHECK ("a ""column""" IN ('a', NULL)) $$, NULL),
		($$ text CHECK ("a ""column""" NOT IN ('a', 'b')) $$, NULL),
		($$ text CHECK ("a ""column""" IN ('a') OR n = 1) $$, NULL),
		($$ text CHECK (lower("a ""column""") IN ('a', 'b')) $$, NULL),
		($$ text CHECK ("a ""column""" IN ('a', 'b') OR "a ""column""" LIKE 'c%') $$, NULL),
		($$ text COLLATE loose CHECK ("a ""column""" IN ('a', 'b')) $$, NULL),
		($$ inet CHECK ("a ""column""" IN ('::1')) $$, NULL),
		($$ inet CHECK ("a ""column"""::text IN ('::1/128')) $$, NULL),
		($$ integer CHECK ("a ""column"""::text IN ('1')) $$, NULL),
		($$ integer CHECK ("a ""column""" IN (1.6::integer)) $$, NULL),
		($$ double precision CHECK ("a ""column""" IN (1)) $$, NULL),
		($$ text CHECK ("a ""column""" <> '') $$, NULL)
	) AS v (definition, enum);
ALTER TABLE kind ADD late text;
ALTER TABLE kind ADD CHECK (late IN ('a')) NOT VALID;
SELECT is(webhook_internal.column_schema('kind', 'late') -> 'enum', NULL, 'a CHECK that is not valid yet');
SELECT is(webhook_internal.column_schema('kind', 'nothing'), NULL, 'a column that does not exist');

-- the schema of a watch
SELECT webhook.define_event_type(name) FROM unnest('{App.Request,App.Two,App.Same}'::text[]) AS name;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text NOT NULL CHECK (status IN ('Draft', 'Done')),
	title text NOT NULL, buyer text);
COMMENT ON TABLE business_request IS 'requests';
COMMENT ON COLUMN business_request.status IS 'where it stands';
SELECT is(webhook_internal.derived_schema('App.Request'), NULL, 'no table is watched');
SELECT webhook.watch('business_request', 'App.Request');
SELECT is(webhook_internal.derived_schema('App.Request'), '{
	"type": "object", "description": "requests",
	"required": ["BusinessRequestId", "Operation", "OldStatus", "NewStatus"],
	"properties": {
		"BusinessRequestId": {"type": "integer", "format": "int64"},
		"Operation": {"type": "string", "enum": ["INSERT", "UPDATE", "DELETE"]},
		"OldStatus": {"type": ["string", "null"], "enum": ["Draft", "Done", null], "description": "where it stands"},
		"NewStatus": {"type": ["string", "null"], "enum": ["Draft", "Done", null], "description": "where it stands"}}}',
	'key, operation and status');
SELECT webhook.alter_watch('business_request', 'App.Request', data_columns => '{title,buyer}', id_columns => '{id,title}', name => 'a_b__c');
CREATE TEMPORARY TABLE derived AS SELECT webhook_internal.derived_schema('App.Request') AS s;
SELECT is(s -> 'properties' -> 'Record', '{"type": "object", "required": ["title", "buyer"],
	"properties": {"title": {"type": "string"}, "buyer": {"type": ["string", "null"]}}}', 'Record') FROM derived;
SELECT is(s -> 'properties' -> 'RecordOmitted', '{"const": true}', 'RecordOmitted in its place') FROM derived;
SELECT is(s -> 'oneOf', '[{"required": ["Record"]}, {"required": ["RecordOmitted"]}]', 'one of them') FROM derived;
SELECT is(s -> 'properties' -> 'ABCId', '{"type": "object", "required": ["id", "title"],
	"properties": {"id": {"type": "integer", "format": "int64"}, "title": {"type": "string"}}}', 'a composite key under its name in PascalCase') FROM derived;
SET LOCAL client_min_messages = error;
ALTER TABLE business_request DROP buyer;
SELECT is(webhook_internal.derived_schema('App.Request') -> 'properties' -> 'Record' -> 'required', '["title"]', 'a data column that is gone is left out');
SAVEPOINT gone;
ALTER TABLE business_request DROP title;
SELECT is(webhook_internal.derived_schema('App.Request'), NULL, 'without a key column nothing is published');
ROLLBACK TO gone;
ALTER TABLE business_request DROP status;
SELECT is(webhook_internal.derived_schema('App.Request'), NULL, 'nor without a status');
ROLLBACK TO gone;

RESET client_min_messages;

-- several watches of one type
CREATE TABLE first (id bigint PRIMARY KEY, status text);
CREATE TABLE second (id uuid PRIMARY KEY, status mood);
SELECT webhook.watch('first', 'App.Two'), webhook.watch('second', 'App.Two');
SELECT is((SELECT array_agg(o -> 'required' ->> 0 ORDER BY n) FROM jsonb_array_elements(webhook_internal.derived_schema('App.Two') -> 'oneOf') WITH ORDINALITY AS x (o, n)),
	'{FirstId,SecondId}', 'several tables: one of their schemas');
SELECT webhook.alter_watch('second', 'App.Two', name => '_first');
SELECT is(jsonb_array_length(webhook_internal.derived_schema('App.Two') -> 'anyOf'), 2, 'keys of one name: any of their schemas');
CREATE TABLE parted (id bigint PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
SELECT webhook.watch('parted_1', 'App.Same', name => 'parted'), webhook.watch('parted_2', 'App.Same', name => 'parted');
SELECT is(webhook_internal.derived_schema('App.Same') ->> 'type', 'object', 'schemas that are the same are one');

-- references within a schema that becomes a part of a document
SELECT is(webhook_internal.moved_schema(schema::jsonb, '#/a'), moved::jsonb, schema)
	FROM (VALUES
		('true', 'true'),
		('{}', '{}'),
		('{"$ref": "#"}', '{"$ref": "#/a"}'),
		('{"$ref": "#/$defs/b"}', '{"$ref": "#/a/$defs/b"}'),
		('{"$ref": "#anchor"}', '{"$ref": "#anchor"}'),
		('{"$ref": "https://example.com/#/b"}', '{"$ref": "https://example.com/#/b"}'),
		('{"$id": "https://example.com/", "$ref": "#/b"}', '{"$id": "https://example.com/", "$ref": "#/b"}'),
		('{"allOf": [{"$ref": "#"}, true], "required": ["$ref"]}', '{"allOf": [{"$ref": "#/a"}, true], "required": ["$ref"]}'),
		('{"properties": {"$ref": {"$ref": "#/b"}, "const": {"$ref": "#/b"}, "x": true}}', '{"properties": {"$ref": {"$ref": "#/a/b"}, "const": {"$ref": "#/a/b"}, "x": true}}'),
		('{"const": {"$ref": "#/b"}, "enum": [{"$ref": "#/b"}]}', '{"const": {"$ref": "#/b"}, "enum": [{"$ref": "#/b"}]}')
	) AS v (schema, moved);
SELECT webhook.define_event_type('App.Deep', schema => (repeat('{"not":', 63) || '{}' || repeat('}', 63))::jsonb);
SELECT lives_ok($$ SELECT webhook.openapi('{App.Deep}') $$, 'a schema of the maximum depth');

-- the document
SELECT webhook.define_event_type('App.Paid', 'paid', '{"$ref": "#/$defs/p", "$defs": {"p": {"type": "object"}}}', '{"Invoice": 7}');
SELECT webhook.define_event_type('Other.Bare');
SELECT webhook.alter_event_type('App.Paid', deprecated => true);
CREATE TEMPORARY VIEW document AS
	SELECT format, d, d -> 'webhooks' -> 'App.Paid' -> 'post' AS paid, d -> 'webhooks' -> 'App.Paid' -> 'post' -> 'requestBody' -> 'content' -> 'application/json' AS body
		FROM unnest('{envelope,raw,standard}'::text[]) AS format, webhook.openapi(payload_format => format) AS d;
SELECT is(d ->> 'openapi', '3.1.0', 'its version') FROM document WHERE format = 'raw';
SELECT set_eq($$ SELECT jsonb_object_keys(webhook.openapi() -> 'webhooks') $$, $$ SELECT name FROM webhook.event_type WHERE name NOT LIKE 'webhook.%' $$, 'all event types but the extension''s own, which are named');
SELECT set_eq($$ SELECT jsonb_object_keys(webhook.openapi('{App.*}') -> 'webhooks') $$, $$ SELECT name FROM webhook.event_type WHERE name LIKE 'App.%' $$, 'those of a pattern');
SELECT set_eq($$ SELECT jsonb_object_keys(webhook.openapi('{Other.Bare,App.Paid}') -> 'webhooks') $$, '{Other.Bare,App.Paid}'::text[], 'those that are named');
SELECT is(webhook.openapi('{None.*}') -> 'webhooks', '{}', 'none of a pattern');
SELECT is(webhook.openapi('{App.Paid}') -> 'components' -> 'schemas', '{"App.Paid": {"$ref": "#/components/schemas/App.Paid/$defs/p", "$defs": {"p": {"type": "object"}}}}', 'the schema that was given');
SELECT is(webhook.openapi('{Other.Bare}') -> 'components' -> 'schemas', '{"Other.Bare": {}}', 'no schema');
SELECT is(webhook.openapi('{App.Request}') -> 'components' -> 'schemas' -> 'App.Request', webhook_internal.derived_schema('App.Request'), 'the schema of a watched table');
SELECT webhook.alter_event_type('App.Request', schema => '{"type": "object"}');
SELECT is(webhook.openapi('{App.Request}') -> 'components' -> 'schemas' -> 'App.Request', '{"type": "object"}', 'one that was given wins');
SELECT unnest(ARRAY[
		is(paid -> 'deprecated', 'true', 'deprecated'),
		is(paid ->> 'description', 'paid', 'description'),
		is(jsonb_path_query_array(paid, '$.parameters[4 to last]."$ref"'), '["#/components/parameters/webhook-attempt", "#/components/parameters/traceparent"]', 'headers'),
		is(d #> '{components,parameters,traceparent,required}', 'false', 'a trace is not always there')])
	FROM document WHERE format = 'raw';
SELECT is(d -> 'webhooks' -> 'Other.Bare' -> 'post' -> key, NULL, 'neither') FROM document, unnest('{deprecated,description}'::text[]) AS key WHERE format = 'raw';
SELECT unnest(ARRAY[
		is(body -> 'schema', '{"$ref": "#/components/schemas/App.Paid"}', 'raw: Data alone'),
		is(body -> 'example', '{"Invoice": 7}')])
	FROM document WHERE format = 'raw';
SELECT unnest(ARRAY[
		is(body -> 'schema' -> 'required', '["type", "timestamp", "data"]', 'standard'),
		is(body -> 'example' -> 'data', '{"Invoice": 7}')])
	FROM document WHERE format = 'standard';
SELECT unnest(ARRAY[
		is(body -> 'schema' -> 'required', '["Id", "WebhookEvent", "Subject", "Attempt", "Data", "CreationTimeUtc"]', 'envelope'),
		is(body #>> '{schema,properties,Context,type}', 'object', 'Context, where it is asked for'),
		is(body -> 'example' -> 'Data', '{"Invoice": 7}')])
	FROM document WHERE format = 'envelope';
SELECT is(d -> 'webhooks' -> 'Other.Bare' #> '{post,requestBody,content,application/json,example}', NULL, 'no example') FROM document WHERE format = 'envelope';

-- a reader, who may not use schema webhook_internal
CREATE ROLE regress_reader;
SELECT webhook.grant_reader('regress_reader');
CREATE TEMPORARY TABLE owners AS SELECT webhook.openapi() AS d;
GRANT SELECT ON owners TO regress_reader;
SET ROLE regress_reader;
DO $$ BEGIN ASSERT webhook.openapi() = (SELECT d FROM owners); END $$;
RESET ROLE;
SELECT pass('a reader gets the same document');
CREATE TABLE checked (id int PRIMARY KEY, status text CHECK (status IN ('new', 'old')));
SELECT webhook.define_event_type('App.Checked'), webhook.watch('checked', 'App.Checked');
SET LOCAL quote_all_identifiers = on;
SELECT is(webhook.openapi('{App.Checked}') -> 'components' -> 'schemas' -> 'App.Checked' #> '{properties,NewStatus,enum}', '["new", "old", null]', 'the values of a CHECK, also if all identifiers are quoted');
RESET quote_all_identifiers;

-- a tenant, which is told of the tables whose rows can be its own
CREATE TABLE platforms (id int PRIMARY KEY, status text);
CREATE TABLE partners (id int PRIMARY KEY, status text, partner text);
SELECT webhook.define_event_type('App.Shared'), webhook.define_event_type('App.Hidden');
SELECT webhook.watch('platforms', 'App.Shared'), webhook.watch('platforms', 'App.Hidden'),
	webhook.watch('partners', 'App.Shared', tenant_column => 'partner');
CREATE ROLE regress_acme;
SELECT webhook.define_tenant('acme'), webhook.grant_tenant('regress_acme', 'acme');
SET ROLE regress_acme;
SELECT webhook.openapi('{App.Shared,App.Hidden}') -> 'components' -> 'schemas' AS told \gset
RESET ROLE;
SELECT is(:'told'::jsonb -> 'App.Shared' -> 'required', '["PartnersId", "Operation", "OldStatus", "NewStatus"]', 'a tenant: the table with a tenant column alone');
SELECT is(:'told'::jsonb -> 'App.Hidden', '{}', '... and nothing of a type whose tables have none');
SELECT is(jsonb_array_length(webhook.openapi('{App.Shared}') -> 'components' -> 'schemas' -> 'App.Shared' -> 'oneOf'), 2, 'the platform: both');

SELECT * FROM finish();
ROLLBACK;
