-- What does a watched table publish: data and subject, byte for byte?

BEGIN;
SELECT no_plan();

-- The newest event.
CREATE FUNCTION pg_temp.data() RETURNS text
RETURN (SELECT data::text FROM webhook.event ORDER BY id DESC LIMIT 1);
CREATE FUNCTION pg_temp.subject() RETURNS text
RETURN (SELECT subject FROM webhook.event ORDER BY id DESC LIMIT 1);

--
-- Keys of the data
--
CREATE SCHEMA app;
CREATE TABLE app.business_request (
	id		bigint PRIMARY KEY,
	status	text,
	title	text,
	amount	numeric(12,2)
);
SELECT webhook.watch('app.business_request');

INSERT INTO app.business_request VALUES (42, 'Draft', 'Lease', 10);
SELECT is(pg_temp.data(), '{"BusinessRequestId":42,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}', 'INSERT');
UPDATE app.business_request SET status = 'Approved';
SELECT is(pg_temp.data(), '{"BusinessRequestId":42,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Approved"}', 'UPDATE');
SELECT is(pg_temp.subject(), 'business_request/42', 'subject');
UPDATE app.business_request SET id = 43, status = 'Signed';
SELECT is((SELECT array_agg(subject || data::text ORDER BY id)
		FROM (SELECT * FROM webhook.event ORDER BY id DESC LIMIT 2) e),
	ARRAY['business_request/42{"BusinessRequestId":42,"Operation":"DELETE","OldStatus":"Approved","NewStatus":null}',
		'business_request/43{"BusinessRequestId":43,"Operation":"INSERT","OldStatus":null,"NewStatus":"Signed"}'],
	'UPDATE of the key: the former one is deleted, the new one is created');
DELETE FROM app.business_request;
SELECT is(pg_temp.data(), '{"BusinessRequestId":43,"Operation":"DELETE","OldStatus":"Signed","NewStatus":null}', 'DELETE');
SELECT is(pg_temp.subject(), 'business_request/43', 'DELETE: the subject is that of the old row');

SELECT is((SELECT array_agg(DISTINCT event_type) FROM webhook.event),
		  ARRAY['App.BusinessRequestStatusChange'], 'event type');

-- Data columns
SELECT webhook.unwatch('app.business_request');
SELECT webhook.watch('app.business_request', data_columns => '{title,amount}');
INSERT INTO app.business_request VALUES (1, 'Draft', 'a "b" \ c', 1.5);
SELECT is(pg_temp.data(),
		  '{"BusinessRequestId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft","Record":{"title":"a \"b\" \\ c","amount":1.50}}',
		  'Record');
UPDATE app.business_request SET status = 'Approved', title = 'New', amount = NULL;
SELECT is(pg_temp.data(),
		  '{"BusinessRequestId":1,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Approved","Record":{"title":"New","amount":null}}',
		  'Record of the new row');
DELETE FROM app.business_request;
SELECT is(pg_temp.data(),
		  '{"BusinessRequestId":1,"Operation":"DELETE","OldStatus":"Approved","NewStatus":null,"Record":{"title":"New","amount":null}}',
		  'Record of the old row');

-- A composite key, and names that need quoting
CREATE TABLE app."Order ""Line"" é" (
	"order/no"	text,
	"line"		int,
	"Sta tus"	text,
	"Extra\"	text,
	PRIMARY KEY ("order/no", line)
);
SELECT webhook.watch('app."Order ""Line"" é"', status_column => 'Sta tus', data_columns => '{"Extra\\"}');
INSERT INTO app."Order ""Line"" é" VALUES ('A/1%', 2, 'x', 'y');
SELECT is(pg_temp.data(),
		  '{"Order \"Line\" éId":{"order/no":"A/1%","line":2},"Operation":"INSERT","OldStatus":null,"NewStatus":"x","Record":{"Extra\\":"y"}}',
		  'a composite key');
SELECT is(pg_temp.subject(), 'Order "Line" é/A%2F1%25/2', 'subject of a composite key');

-- PascalCase
CREATE FUNCTION pg_temp.id_key(name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	relation regclass;
BEGIN
	EXECUTE format('CREATE TABLE app.%I (id int PRIMARY KEY, status text)', name);
	relation := format('app.%I', name)::regclass;
	PERFORM webhook.watch(relation);
	EXECUTE format('INSERT INTO %s VALUES (1, ''x'')', relation);
	RETURN (SELECT json_object_keys(pg_temp.data()::json) LIMIT 1);
END $$;

SELECT is(pg_temp.id_key(name), key, format('PascalCase of %L', name))
  FROM (VALUES
	('request', 'RequestId'),
	('sales_order_line', 'SalesOrderLineId'),
	('_private', 'PrivateId'),
	('double__underscore_', 'DoubleUnderscoreId'),
	('alreadyCamel', 'AlreadyCamelId'),
	('MIXED_case', 'MIXEDCaseId'),
	('item_2b', 'Item2bId'),
	('über_élan', 'überélanId'),
	('a_b_c', 'ABCId'),
	('two words', 'Two wordsId')) AS v (name, key);

--
-- Values of all types, as to_json() renders them: as status, as key, as data column
--
CREATE TYPE app.status AS ENUM ('Draft', 'in "review"', 'naïve');
CREATE TYPE app.cast_status AS ENUM ('one', 'two');
CREATE FUNCTION app.to_json(app.cast_status) RETURNS json IMMUTABLE
RETURN json_build_object('is', $1::text);
CREATE CAST (app.cast_status AS json) WITH FUNCTION app.to_json(app.cast_status);
CREATE DOMAIN app.label AS text CHECK (VALUE <> 'never');
CREATE DOMAIN app.status_domain AS app.status;
CREATE DOMAIN app.cast_domain AS app.cast_status;
CREATE DOMAIN app.small AS int CHECK (VALUE < 1000);
CREATE DOMAIN app.label_list AS text[];
CREATE TYPE app.pair AS (a int, b text);

CREATE FUNCTION pg_temp.check_value(type text, value text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	id		text := nextval('pg_temp.table_number');
	label	text := format('%s %s', type, regexp_replace(left(value, 30), '[[:cntrl:]]', '?', 'g'));
	json	text;
	key		text;
	plain	text;
BEGIN
	EXECUTE format('SELECT to_json(%L::%s)::text, replace(replace(to_json(%1$L::%2$s) #>> ''{}'', ''%%'', ''%%25''), ''/'', ''%%2F'')',
				   value, type) INTO json, key;

	EXECUTE format('CREATE TABLE app.s%s (id int PRIMARY KEY, status %s, again %2$s)', id, type);
	PERFORM webhook.watch(format('app.s%s', id)::regclass, data_columns => '{again}');
	EXECUTE format('INSERT INTO app.s%s VALUES (1, %L, %2$L)', id, value);
	RETURN NEXT is(pg_temp.data(),
				   format('{"S%sId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":%s,"Record":{"again":%2$s}}', id, json),
				   label);
	EXECUTE format('UPDATE app.s%s SET status = NULL', id);
	RETURN NEXT is(pg_temp.data(),
				   format('{"S%sId":1,"Operation":"%3$s","OldStatus":%2$s,"NewStatus":null,"Record":{"again":%2$s}}', id, json,
					   -- JSON's null is SQL's, so the newest event is still the first.
					   CASE WHEN json = 'null' THEN 'INSERT' ELSE 'UPDATE' END),
				   label || ' to null');

	EXECUTE format('CREATE TABLE app.k%s (id %s, status text)', id, type);
	PERFORM webhook.watch(format('app.k%s', id)::regclass, id_columns => '{id}');
	EXECUTE format('INSERT INTO app.k%s VALUES (%L, ''x'')', id, value);
	RETURN NEXT is(pg_temp.data(),
				   format('{"K%sId":%s,"Operation":"INSERT","OldStatus":null,"NewStatus":"x"}', id, json),
				   label || ' as a key');
	IF octet_length(key) < 500 THEN
		RETURN NEXT is(pg_temp.subject(), format('k%s/%s', id, key), label || ' in a subject');
	END IF;
END $$;
CREATE TEMP SEQUENCE table_number;

-- The settings under which values are rendered
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL lc_monetary = 'C';

SELECT pg_temp.check_value(type, value)
  FROM (VALUES
	('text', 'plain'),
	('text', ''),
	('text', E'quote " backslash \\ slash / percent % apostrophe '' <>&'),
	('text', E'\b\f\n\r\t\x01\x1f\x7f'),
	('text', 'ü ß 漢字 🜁 ' || chr(8232)),
	('text', repeat('long ', 5000)),
	('text', repeat(E'"\n', 20000)),
	('text', 'null'),
	('varchar(20)', 'Approved'),
	('char(10)', 'padded'),
	('"char"', 'x'),
	('name', 'a_name'),
	('smallint', '-32768'),
	('integer', '-2147483648'),
	('integer', '0'),
	('bigint', '-9223372036854775808'),
	('bigint', '9223372036854775807'),
	('boolean', 'true'),
	('boolean', 'false'),
	('real', '0.1'),
	('double precision', '-0'),
	('double precision', '1e300'),
	('double precision', 'NaN'),
	('double precision', '-Infinity'),
	('numeric', '1.500'),
	('numeric', 'NaN'),
	('numeric', 'Infinity'),
	('numeric', '123456789012345678901234567890.123'),
	('numeric(6,2)', '7'),
	('oid', '4294967295'),
	('money', '12.34'),
	('uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'),
	('date', '2024-02-29'),
	('date', 'infinity'),
	('time', '12:34:56.789'),
	('timestamp', '2024-02-29 12:34:56.789'),
	('timestamptz', '2024-02-29 12:34:56.789+02'),
	('timestamptz', '-infinity'),
	('interval', '1 day 02:03:04'),
	('bytea', '\x00ff2f5c'),
	('inet', '10.0.0.0/8'),
	('bit(3)', '101'),
	('int4range', '[1,5)'),
	('point', '(1,2)'),
	('tsvector', 'a fat cat'),
	('json', '{ "b" : [1, 2], "a" : null }'),
	('json', '"text"'),
	('jsonb', '{ "b" : [1, 2], "a" : null }'),
	('jsonb', 'null'),
	('int[]', '{1,NULL,3}'),
	('text[]', '{"a b","\"q\"",NULL,""}'),
	('int[]', '{{1,2},{3,4}}'),
	('app.status', 'in "review"'),
	('app.status', 'naïve'),
	('app.status[]', '{Draft,naïve}'),
	('app.cast_status', 'two'),
	('app.cast_domain', 'two'),
	('app.label', 'of a domain'),
	('app.status_domain', 'Draft'),
	('app.small', '7'),
	('app.label_list', '{x,y}'),
	('app.pair', '(1,"x y")')) AS v (type, value);

--
-- One value has one text, whatever the writer has set.
--
CREATE DOMAIN app.wait AS interval;
CREATE TYPE app.visit AS (at timestamptz, photo bytea);
CREATE FUNCTION pg_temp.one_text(type text, expression text, expected text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	settings	text;
	found		text[] := '{}';
BEGIN
	EXECUTE format('CREATE TABLE app.one (id %s, status %1$s, again %1$s)', type);
	PERFORM webhook.watch('app.one', id_columns => '{id}', data_columns => '{again}');
	FOREACH settings IN ARRAY ARRAY[
		'TimeZone=UTC DateStyle=ISO,MDY IntervalStyle=postgres bytea_output=hex extra_float_digits=1 search_path=app,public quote_all_identifiers=off',
		'TimeZone=America/New_York DateStyle=German,DMY IntervalStyle=iso_8601 bytea_output=escape extra_float_digits=-15 search_path=public quote_all_identifiers=on',
		'TimeZone=Asia/Kathmandu DateStyle=SQL,DMY IntervalStyle=sql_standard bytea_output=escape extra_float_digits=3 search_path=public,app quote_all_identifiers=on']
	LOOP
		PERFORM set_config(split_part(s, '=', 1), split_part(s, '=', 2), true)
			FROM unnest(string_to_array(settings, ' ')) AS s;
		EXECUTE format('INSERT INTO app.one SELECT v, v, v FROM (SELECT %s AS v) s', expression);
		found := found || (SELECT subject || ' ' || data::text FROM webhook.event ORDER BY id DESC LIMIT 1);
		EXECUTE 'UPDATE app.one SET status = NULL';
		found := found || (SELECT subject || ' ' || (data ->> 'OldStatus') FROM webhook.event ORDER BY id DESC LIMIT 1);
		EXECUTE 'DELETE FROM app.one';
		RETURN NEXT is(current_setting('TimeZone'), substring(settings FROM '^TimeZone=(\S+)'), 'the writer keeps their settings');
	END LOOP;
	PERFORM set_config('search_path', 'public', true);
	RETURN NEXT is((SELECT count(DISTINCT f.text) FROM unnest(found) AS f (text)), 2::bigint, type || ' has one text');
	RETURN NEXT is(found[1], format('one/%s {"OneId":%s,"Operation":"INSERT","OldStatus":null,"NewStatus":%2$s,"Record":{"again":%2$s}}',
		replace(replace(expected::json #>> '{}', '%', '%25'), '/', '%2F'), expected), format('%s is %s', type, expected));
	DROP TABLE app.one;
END $$;
SELECT current_setting('search_path') AS path, current_setting('TimeZone') AS zone, current_setting('DateStyle') AS style \gset
SELECT pg_temp.one_text(type, expression, expected)
  FROM (VALUES
	('timestamptz', '''2024-07-01 12:34:56.789+02''::timestamptz', '"2024-07-01T10:34:56.789+00:00"'),
	('timestamptz[]', '''{2024-07-01 12:00+02}''::timestamptz[]', '["2024-07-01T10:00:00+00:00"]'),
	('tstzrange', 'tstzrange(''2024-07-01 12:00+02'', NULL)', '"[\"2024-07-01 10:00:00+00\",)"'),
	('daterange', 'daterange(make_date(2024, 7, 1), make_date(2024, 7, 2))', '"[2024-07-01,2024-07-02)"'),
	('date', 'make_date(2024, 7, 1)', '"2024-07-01"'),
	('interval', 'make_interval(days => 1, hours => 2)', '"1 day 02:00:00"'),
	('app.wait', 'make_interval(days => 1, hours => 2)::app.wait', '"1 day 02:00:00"'),
	('bytea', '''\x00ff''::bytea', '"\\x00ff"'),
	('app.visit', 'ROW(''2024-07-01 12:00+02'', ''\x00ff'')::app.visit', '{"at":"2024-07-01T10:00:00+00:00","photo":"\\x00ff"}'),
	('float8', '0.1::float8 + 0.2::float8', '0.30000000000000004'),
	('float4', '0.1::float4', '0.1'),
	('regclass', '''app.one''::regclass', '"app.one"'),
	('regtype[]', 'ARRAY[''app.wait''::regtype]', '["app.wait"]')) AS v (type, expression, expected);
SELECT set_config('search_path', :'path', true), set_config('TimeZone', :'zone', true), set_config('DateStyle', :'style', true);
SET LOCAL quote_all_identifiers = off;
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL IntervalStyle = 'postgres';

--
-- The name in subjects and Data
--
CREATE TABLE app.c (id int PRIMARY KEY, status text);
SELECT webhook.watch('app.c', name => 'legal/contract_50%');
INSERT INTO app.c VALUES (1, 'x');
SELECT is(pg_temp.subject() || ' ' || pg_temp.data(),
	'legal%2Fcontract_50%25/1 {"Legal/contract50%Id":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"x"}',
	'a name of its own, in which "/" and "%" cannot be taken for those of a key');

--
-- Sizes
--
CREATE TABLE app.doc (id text PRIMARY KEY, status text, body text, more jsonb);
SELECT webhook.watch('app.doc', data_columns => '{body,more}');
SET LOCAL client_min_messages = error;

-- All of Data but the body.
SELECT octet_length('{"DocId":"1","Operation":"INSERT","OldStatus":null,"NewStatus":"x","Record":{"body":"","more":null}}') AS frame \gset
SELECT pg_size_bytes(current_setting('webhook.max_data_size')) AS max_size \gset

INSERT INTO app.doc VALUES ('1', 'x', repeat('y', :max_size - :frame), NULL);
SELECT is(octet_length(pg_temp.data()), :max_size, 'data of the maximum size');
SELECT ok(pg_temp.data()::jsonb ? 'Record', 'has Record');
DELETE FROM app.doc;

INSERT INTO app.doc VALUES ('1', 'x', repeat('y', :max_size - :frame + 1), NULL);
SELECT is(pg_temp.data(), '{"DocId":"1","Operation":"INSERT","OldStatus":null,"NewStatus":"x","RecordOmitted":true}', 'with a byte more, RecordOmitted stands in place of Record');
DELETE FROM app.doc;
SELECT is(pg_temp.data(), '{"DocId":"1","Operation":"DELETE","OldStatus":"x","NewStatus":null,"RecordOmitted":true}', 'DELETE omits Record, too');

INSERT INTO app.doc VALUES ('1', 'x', repeat('"', :max_size / 2), NULL);
SELECT is(pg_temp.data(), '{"DocId":"1","Operation":"INSERT","OldStatus":null,"NewStatus":"x","RecordOmitted":true}', 'the size is that of the JSON');
INSERT INTO app.doc VALUES ('2', 'x', repeat('z', 50000000), NULL);
SELECT is(pg_temp.data(), '{"DocId":"2","Operation":"INSERT","OldStatus":null,"NewStatus":"x","RecordOmitted":true}', '50 MB of text');
INSERT INTO app.doc VALUES ('3', 'x', '', (SELECT jsonb_agg(1) FROM generate_series(1, 1500000)));
SELECT is(pg_temp.data(), '{"DocId":"3","Operation":"INSERT","OldStatus":null,"NewStatus":"x","RecordOmitted":true}', 'a large jsonb');
INSERT INTO app.doc VALUES ('4', 'x', '', (SELECT jsonb_agg(1) FROM generate_series(1, 200000)));
SELECT is(pg_temp.data(),
		  '{"DocId":"4","Operation":"INSERT","OldStatus":null,"NewStatus":"x","Record":{"body":"","more":' ||
		  (SELECT to_json(more)::text FROM app.doc WHERE id = '4') || '}}',
		  'a jsonb whose text is shorter than its binary form');
INSERT INTO app.doc VALUES ('5', repeat('s', :max_size + 1), 'y', NULL);
SELECT is(octet_length(pg_temp.data()),
		  :max_size + 1 + octet_length('{"DocId":"5","Operation":"INSERT","OldStatus":null,"NewStatus":"","RecordOmitted":true}'),
		  'a status larger than max_data_size is published');

--
-- Long keys
--
INSERT INTO app.doc VALUES (repeat('k', 512 - length('doc/')), 'x');
SELECT is(pg_temp.subject(), 'doc/' || repeat('k', 508), 'a subject of 512 bytes');
INSERT INTO app.doc VALUES (repeat('k', 512 - length('doc/') + 1), 'x');
SELECT is(pg_temp.subject(), 'doc/' || encode(sha256(repeat('k', 509)::bytea), 'hex'), 'a longer subject is hashed');
SELECT is(pg_temp.data()::json ->> 'DocId', repeat('k', 509), 'the data have the key as it is');
INSERT INTO app.doc VALUES (repeat('/', 200), 'x');
SELECT is(pg_temp.subject(), 'doc/' || encode(sha256(repeat('%2F', 200)::bytea), 'hex'), 'the length is that of the escaped key');

SELECT * FROM finish();
ROLLBACK;
