--
-- What events do watched tables and publish() make, with which subject and data?
-- Which watches are refused, and what does unwatch() end?
--
BEGIN;
SELECT plan(47);
SELECT webhook.define_event_type('App.ContractSigned');

-- Events since the last call, in order: subject and data.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook.event;
CREATE FUNCTION pg_temp.events() RETURNS text LANGUAGE sql AS $$
	WITH news AS (
		SELECT e.* FROM webhook.event e, looked l WHERE e.id > l.id
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(n.id) FROM news n))
	)
	SELECT coalesce(string_agg(concat_ws(' ', subject, data), E'\n' ORDER BY id), '') FROM news;
$$;

-- the contract itself
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, title text, total numeric(10,2));
SELECT webhook.watch('business_request');
INSERT INTO business_request VALUES (42, 'Draft', 'Rent');
SELECT is(pg_temp.events(), 'business_request/42 {"BusinessRequestId":42,"OldStatus":null,"NewStatus":"Draft"}',
	'INSERT is a change from null');
UPDATE business_request SET status = 'Approved';
SELECT is(pg_temp.events(), 'business_request/42 {"BusinessRequestId":42,"OldStatus":"Draft","NewStatus":"Approved"}',
	'UPDATE is a change');
UPDATE business_request SET title = 'Rent of a house', status = 'Approved';
SELECT is(pg_temp.events(), '', 'UPDATE that keeps the status is no event');
UPDATE business_request SET id = 43, status = NULL;
SELECT is(pg_temp.events(), 'business_request/43 {"BusinessRequestId":43,"OldStatus":"Approved","NewStatus":null}',
	'UPDATE of the key: the key is that of the new row');
DELETE FROM business_request;
SELECT is(pg_temp.events(), 'business_request/43 {"BusinessRequestId":43,"OldStatus":null,"NewStatus":null}',
	'DELETE is a change to null');
SELECT is((SELECT array_agg(DISTINCT event_type) FROM webhook.event WHERE subject LIKE 'business_request/%'),
	'{App.BusinessRequestStatusChange}', 'all are of the default event type');
SELECT ok(bool_and(substr(event_id::text, 15, 1) = '7'
		AND to_timestamp(('x0000' || substr(replace(event_id::text, '-', ''), 1, 12))::bit(64)::bigint / 1000.0)
			= date_trunc('milliseconds', created_at)), 'Ids are UUIDv7 of the time of creation')
	FROM webhook.event;

-- a change made by a BEFORE trigger counts, so do COPY, MERGE, ON CONFLICT
CREATE FUNCTION pg_temp.hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.status := 'Held';
	RETURN NEW;
END
$$;
INSERT INTO business_request VALUES (1, 'Draft');
SELECT pg_temp.events();
CREATE TRIGGER hold BEFORE UPDATE ON business_request FOR EACH ROW EXECUTE FUNCTION pg_temp.hold();
UPDATE business_request SET title = 'Lease';
SELECT is(pg_temp.events(), 'business_request/1 {"BusinessRequestId":1,"OldStatus":"Draft","NewStatus":"Held"}',
	'a change by a BEFORE trigger is an event');
DROP TRIGGER hold ON business_request;
MERGE INTO business_request b
	USING (VALUES (1, 'Signed'), (2, 'Draft')) AS v (id, status) ON b.id = v.id
	WHEN MATCHED THEN UPDATE SET status = v.status
	WHEN NOT MATCHED THEN INSERT (id, status) VALUES (v.id, v.status);
SELECT is(pg_temp.events(),
	'business_request/1 {"BusinessRequestId":1,"OldStatus":"Held","NewStatus":"Signed"}' || E'\n'
	'business_request/2 {"BusinessRequestId":2,"OldStatus":null,"NewStatus":"Draft"}', 'MERGE');
INSERT INTO business_request VALUES (2, 'Signed') ON CONFLICT (id) DO UPDATE SET status = excluded.status;
SELECT is(pg_temp.events(), 'business_request/2 {"BusinessRequestId":2,"OldStatus":"Draft","NewStatus":"Signed"}',
	'ON CONFLICT DO UPDATE');

-- a change that is rolled back is no event
SAVEPOINT changed;
UPDATE business_request SET status = 'Void';
ROLLBACK TO changed;
SELECT is(pg_temp.events(), '', 'a savepoint that is rolled back leaves no event');

-- a table is watched once for an event type, until unwatch()
SELECT throws_ok($$ SELECT webhook.watch('business_request') $$, '42710', NULL, 'a second watch() is refused');
SELECT lives_ok($$ SELECT webhook.watch('business_request', 'App.ContractSigned', data_columns => '{title,total}') $$,
	'a watch() for another event type is accepted');
INSERT INTO business_request VALUES (3, 'Draft', E'"Größe"\t\n', 1.50);
SELECT set_eq($$ SELECT event_type, data::text FROM webhook.event WHERE subject = 'business_request/3' $$,
	$$ VALUES ('App.BusinessRequestStatusChange', '{"BusinessRequestId":3,"OldStatus":null,"NewStatus":"Draft"}'),
		('App.ContractSigned', '{"BusinessRequestId":3,"OldStatus":null,"NewStatus":"Draft",'
			'"Record":{"title":"\"Größe\"\t\n","total":1.50}}') $$,
	'data columns are under Record');
SELECT has_trigger('business_request', 'webhook_App.ContractSigned', 'the trigger''s name has the event type');
SELECT webhook.unwatch('business_request');
SELECT pg_temp.events();
UPDATE business_request SET status = 'Archived';
SELECT is(pg_temp.events(), '', 'unwatch() ends all watches of a table');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'business_request'::regclass), 0::bigint,
	'unwatch() leaves no trigger');
SELECT throws_ok($$ SELECT webhook.unwatch('business_request') $$, '42704', NULL, 'a second unwatch() is refused');

-- a long name of an event type
SELECT webhook.define_event_type(repeat('x', 127) || n) FROM generate_series(1, 2) AS n;
SELECT lives_ok($$ SELECT webhook.watch('business_request', repeat('x', 127) || n) FROM generate_series(1, 2) AS n $$,
	'event types with long names, alike at their start');
SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'business_request'::regclass AND length(tgname) = 63), 2::bigint);
SELECT webhook.unwatch('business_request');

-- statuses of other types
CREATE TYPE stage AS ENUM ('draft', 'signed');
CREATE DOMAIN code AS integer CHECK (VALUE > 0);
CREATE TABLE staged (id int PRIMARY KEY, status stage);
CREATE TABLE coded (id int PRIMARY KEY, status code);
CREATE TABLE flagged (id int PRIMARY KEY, status boolean);
CREATE TABLE measured (id int PRIMARY KEY, status numeric);
SELECT webhook.watch(t) FROM unnest('{staged,coded,flagged,measured}'::regclass[]) AS t;
INSERT INTO staged VALUES (1, 'draft');
SELECT is(pg_temp.events(), 'staged/1 {"StagedId":1,"OldStatus":null,"NewStatus":"draft"}', 'an enum');
INSERT INTO coded VALUES (1, 7);
SELECT is(pg_temp.events(), 'coded/1 {"CodedId":1,"OldStatus":null,"NewStatus":7}', 'a domain over integer');
INSERT INTO flagged VALUES (1, true);
SELECT is(pg_temp.events(), 'flagged/1 {"FlaggedId":1,"OldStatus":null,"NewStatus":true}', 'a boolean');
INSERT INTO measured VALUES (1, 1.0);
SELECT is(pg_temp.events(), 'measured/1 {"MeasuredId":1,"OldStatus":null,"NewStatus":1.0}', 'a numeric');

-- keys
CREATE TABLE contract_part (contract int, part text, status text, PRIMARY KEY (part, contract));
SELECT webhook.watch('contract_part');
INSERT INTO contract_part VALUES (7, 'a/b%c', 'Draft');
SELECT is(pg_temp.events(), 'contract_part/a%2Fb%25c/7 {"ContractPartId":{"part":"a/b%c","contract":7},"OldStatus":null,"NewStatus":"Draft"}',
	'a composite key, in the order of the primary key');
CREATE TABLE numbered (number uuid, state text);
SELECT webhook.watch('numbered', status_column => 'state', id_columns => '{number}');
INSERT INTO numbered VALUES ('3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'Draft');
SELECT is(pg_temp.events(),
	'numbered/3f2504e0-4f89-11d3-9a0c-0305e82c3301 {"NumberedId":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","OldStatus":null,"NewStatus":"Draft"}',
	'id_columns that are no primary key');
CREATE TABLE covered (id int, status text, note text, PRIMARY KEY (id) INCLUDE (note));
SELECT webhook.watch('covered');
INSERT INTO covered VALUES (1, 'Draft', 'x');
SELECT is(pg_temp.events(), 'covered/1 {"CoveredId":1,"OldStatus":null,"NewStatus":"Draft"}',
	'INCLUDE columns of the primary key are not part of the key');

-- names that need quoting
CREATE SCHEMA "Größe ""1""";
CREATE TABLE "Größe ""1"""."Mein 'Vertrag'" ("I D" int PRIMARY KEY, "Sta\tus" text, "da""ta" text);
SELECT webhook.watch('"Größe ""1"""."Mein ''Vertrag''"', status_column => 'Sta\tus', data_columns => '{"da\"ta"}');
INSERT INTO "Größe ""1"""."Mein 'Vertrag'" VALUES (1, 'Draft', 'x');
SELECT is(pg_temp.events(),
	'Mein ''Vertrag''/1 {"Mein ''Vertrag''Id":1,"OldStatus":null,"NewStatus":"Draft","Record":{"da\"ta":"x"}}',
	'names that need quoting');

-- partitions
CREATE TABLE request (id int, year int, status text, PRIMARY KEY (id, year))
	PARTITION BY LIST (year);
CREATE TABLE request_2025 PARTITION OF request FOR VALUES IN (2025);
SELECT webhook.watch('request', id_columns => '{id}');
CREATE TABLE request_2026 PARTITION OF request FOR VALUES IN (2026);
INSERT INTO request VALUES (1, 2025, 'Draft');
SELECT is(pg_temp.events(), 'request/1 {"RequestId":1,"OldStatus":null,"NewStatus":"Draft"}', 'a partitioned table');
UPDATE request SET year = 2026, status = 'Signed';
SELECT is(pg_temp.events(), 'request/1 {"RequestId":1,"OldStatus":"Draft","NewStatus":"Signed"}',
	'a row that moves between partitions is one change');
INSERT INTO request_2026 VALUES (2, 2026, 'Draft');
SELECT is(pg_temp.events(), 'request/2 {"RequestId":2,"OldStatus":null,"NewStatus":"Draft"}',
	'an INSERT into a partition that was made after watch()');
SELECT throws_ok($$ SELECT webhook.watch('request_2025') $$, '42710', NULL, 'a partition of a watched table cannot be watched');
SELECT throws_ok($$ SELECT webhook.unwatch('request_2025') $$, '42704', NULL, 'a partition of a watched table cannot be unwatched');
SELECT lives_ok($$ SELECT webhook.watch('request_2025', 'App.ContractSigned', id_columns => '{id}') $$,
	'a partition can be watched for another event type');
SELECT throws_ok($$ SELECT webhook.watch('request', 'App.ContractSigned', id_columns => '{id}') $$, '42710', NULL,
	'its parent cannot be watched for that event type then');

-- changes of the table
CREATE TABLE altered (id int PRIMARY KEY, status text, note text);
SELECT webhook.watch('altered', data_columns => '{note}');
SET LOCAL client_min_messages = error;
ALTER TABLE altered ALTER COLUMN status TYPE varchar(20);
ALTER TABLE altered RENAME TO changed;
ALTER TABLE changed DROP COLUMN note;
INSERT INTO changed VALUES (1, 'Draft');
SELECT is(pg_temp.events(), 'altered/1 {"AlteredId":1,"OldStatus":null,"NewStatus":"Draft","Record":{}}',
	'a renamed table keeps its name in events; a dropped data column is left out');
ALTER TABLE changed RENAME COLUMN status TO state;
SELECT lives_ok($$ UPDATE changed SET state = 'Signed' $$, 'without the status column an UPDATE succeeds');
SELECT is(pg_temp.events(), '', 'without the status column there is no event');
SELECT lives_ok($$ DROP TABLE changed $$, 'the table can be dropped');
RESET client_min_messages;

-- publish
CREATE TEMPORARY TABLE published AS
	SELECT webhook.publish('App.ContractSigned', ' { "b":1.00, "a" : "Größe", "a":null }', 'contract/ü 1') AS id;
SELECT is((SELECT id FROM published),
	(SELECT event_id FROM webhook.event WHERE subject = 'contract/ü 1'), 'publish() returns the event''s Id');
SELECT is(pg_temp.events(), 'contract/ü 1  { "b":1.00, "a" : "Größe", "a":null }', 'data is kept as it was given');
SELECT isnt(webhook.publish('App.ContractSigned', 'null'), NULL, 'publish() takes any JSON, and no subject');
SELECT is(pg_temp.events(), 'null');
SELECT lives_ok($$ SELECT webhook.publish('App.ContractSigned', to_json(repeat('x', 1048574)), repeat('ü', 256)) $$,
	'publish() takes data of 1 MB and a subject of 512 bytes');
SELECT throws_ok($$ SELECT webhook.publish('App.ContractSigned', to_json(repeat('x', 1048575))) $$, '54000', NULL,
	'publish() refuses more data');
SELECT throws_ok($$ SELECT webhook.publish('App.ContractSigned', '{}', repeat('ü', 256) || 'x') $$, '54000', NULL,
	'publish() refuses a longer subject');
SET LOCAL transaction_read_only = on;
SELECT throws_ok($$ SELECT webhook.publish('App.ContractSigned', '{}') $$, '25006', NULL,
	'publish() fails in a read-only transaction');

SELECT * FROM finish();
ROLLBACK;
