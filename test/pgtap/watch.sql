--
-- What events do watched tables and publish() make, with which subject and data?
-- Which watches are refused, and what does unwatch() end?
--
BEGIN;
SELECT no_plan();
SELECT webhook.define_event_type('App.ContractSigned');

-- Events since the last call, in order: subject and data.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook.event;
CREATE FUNCTION pg_temp.events() RETURNS text LANGUAGE sql AS $$
	WITH new_rows AS (
		SELECT e.* FROM webhook.event e, looked l WHERE e.id > l.id
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(n.id) FROM new_rows n))
	)
	SELECT coalesce(string_agg(concat_ws(' ', subject, data), E'\n' ORDER BY id), '') FROM new_rows;
$$;

-- the contract itself
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, title text, total numeric(10,2));
SELECT webhook.watch('business_request');
INSERT INTO business_request VALUES (42, 'Draft', 'Rent');
SELECT is(pg_temp.events(), 'business_request/42 {"BusinessRequestId":42,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'INSERT is a change from null');
UPDATE business_request SET status = 'Approved';
SELECT is(pg_temp.events(), 'business_request/42 {"BusinessRequestId":42,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Approved"}',
	'UPDATE is a change');
UPDATE business_request SET title = 'Rent of a house', status = 'Approved';
SELECT is(pg_temp.events(), '', 'UPDATE that keeps the status is no event');
UPDATE business_request SET id = 43, status = NULL;
SELECT is(pg_temp.events(), 'business_request/42 {"BusinessRequestId":42,"Operation":"DELETE","OldStatus":"Approved","NewStatus":null}' || E'\n'
	'business_request/43 {"BusinessRequestId":43,"Operation":"INSERT","OldStatus":null,"NewStatus":null}',
	'UPDATE of the key: the former one is deleted, the new one is created');
DELETE FROM business_request;
SELECT is(pg_temp.events(), 'business_request/43 {"BusinessRequestId":43,"Operation":"DELETE","OldStatus":null,"NewStatus":null}',
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
SELECT is(pg_temp.events(), 'business_request/1 {"BusinessRequestId":1,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Held"}',
	'a change by a BEFORE trigger is an event');
DROP TRIGGER hold ON business_request;
MERGE INTO business_request b
	USING (VALUES (1, 'Signed'), (2, 'Draft')) AS v (id, status) ON b.id = v.id
	WHEN MATCHED THEN UPDATE SET status = v.status
	WHEN NOT MATCHED THEN INSERT (id, status) VALUES (v.id, v.status);
SELECT is(pg_temp.events(),
	'business_request/1 {"BusinessRequestId":1,"Operation":"UPDATE","OldStatus":"Held","NewStatus":"Signed"}' || E'\n'
	'business_request/2 {"BusinessRequestId":2,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}', 'MERGE');
INSERT INTO business_request VALUES (2, 'Signed') ON CONFLICT (id) DO UPDATE SET status = excluded.status;
SELECT is(pg_temp.events(), 'business_request/2 {"BusinessRequestId":2,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Signed"}',
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
	$$ VALUES ('App.BusinessRequestStatusChange', '{"BusinessRequestId":3,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}'),
		('App.ContractSigned', '{"BusinessRequestId":3,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft",'
			'"Record":{"title":"\"Größe\"\t\n","total":1.50}}') $$,
	'data columns are under Record');
SELECT has_trigger('business_request', ' webhook_App.ContractSigned', 'the trigger''s name has the event type');
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
SELECT is(pg_temp.events(), 'staged/1 {"StagedId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"draft"}', 'an enum');
INSERT INTO coded VALUES (1, 7);
SELECT is(pg_temp.events(), 'coded/1 {"CodedId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":7}', 'a domain over integer');
INSERT INTO flagged VALUES (1, true);
SELECT is(pg_temp.events(), 'flagged/1 {"FlaggedId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":true}', 'a boolean');
INSERT INTO measured VALUES (1, 1.0);
SELECT is(pg_temp.events(), 'measured/1 {"MeasuredId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":1.0}', 'a numeric');

-- keys
CREATE TABLE contract_part (contract int, part text, status text, PRIMARY KEY (part, contract));
SELECT webhook.watch('contract_part');
INSERT INTO contract_part VALUES (7, 'a/b%c', 'Draft');
SELECT is(pg_temp.events(), 'contract_part/a%2Fb%25c/7 {"ContractPartId":{"part":"a/b%c","contract":7},"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'a composite key, in the order of the primary key');
CREATE TABLE numbered (number uuid, state text);
SELECT webhook.watch('numbered', status_column => 'state', id_columns => '{number}');
INSERT INTO numbered VALUES ('3f2504e0-4f89-11d3-9a0c-0305e82c3301', 'Draft');
SELECT is(pg_temp.events(),
	'numbered/3f2504e0-4f89-11d3-9a0c-0305e82c3301 {"NumberedId":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'id_columns that are no primary key');
CREATE TABLE covered (id int, status text, note text, PRIMARY KEY (id) INCLUDE (note));
SELECT webhook.watch('covered');
INSERT INTO covered VALUES (1, 'Draft', 'x');
SELECT is(pg_temp.events(), 'covered/1 {"CoveredId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'INCLUDE columns of the primary key are not part of the key');

-- names that need quoting
CREATE SCHEMA "Größe ""1""";
CREATE TABLE "Größe ""1"""."Mein 'Vertrag'" ("I D" int PRIMARY KEY, "Sta\tus" text, "da""ta" text);
SELECT webhook.watch('"Größe ""1"""."Mein ''Vertrag''"', status_column => 'Sta\tus', data_columns => '{"da\"ta"}');
INSERT INTO "Größe ""1"""."Mein 'Vertrag'" VALUES (1, 'Draft', 'x');
SELECT is(pg_temp.events(),
	'Mein ''Vertrag''/1 {"Mein ''Vertrag''Id":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft","Record":{"da\"ta":"x"}}',
	'names that need quoting');

-- partitions
CREATE TABLE request (id int, year int, status text, PRIMARY KEY (id, year))
	PARTITION BY LIST (year);
CREATE TABLE request_2025 PARTITION OF request FOR VALUES IN (2025);
SELECT webhook.watch('request', id_columns => '{id}');
CREATE TABLE request_2026 PARTITION OF request FOR VALUES IN (2026);
INSERT INTO request VALUES (1, 2025, 'Draft');
SELECT is(pg_temp.events(), 'request/1 {"RequestId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}', 'a partitioned table');
UPDATE request SET year = 2026, status = 'Signed';
SELECT is(pg_temp.events(), 'request/1 {"RequestId":1,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Signed"}',
	'a row that moves between partitions is one change');
INSERT INTO request_2026 VALUES (2, 2026, 'Draft');
SELECT is(pg_temp.events(), 'request/2 {"RequestId":2,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'an INSERT into a partition that was made after watch()');
SELECT throws_ok($$ SELECT webhook.watch('request_2025') $$, '42710', NULL, 'a partition of a watched table cannot be watched');
SELECT throws_ok($$ SELECT webhook.unwatch('request_2025') $$, '42704', NULL, 'a partition of a watched table cannot be unwatched');
SAVEPOINT twice;
SELECT webhook.watch('request', 'App.ContractSigned');
SET LOCAL plpgsql.extra_errors = 'all';
SELECT throws_ok($$ SELECT webhook.unwatch('request_2025') $$, '42704', NULL, '... that is watched for two event types');
ROLLBACK TO twice;
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
SELECT is(pg_temp.events(), 'altered/1 {"AlteredId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft","Record":{}}',
	'a renamed table keeps its name in events; a dropped data column is left out');
ALTER TABLE changed DROP COLUMN status;
SELECT lives_ok($$ DELETE FROM changed $$, 'without the status column a DELETE succeeds');
SELECT is(pg_temp.events(), '', 'without the status column there is no event');
SELECT lives_ok($$ DROP TABLE changed $$, 'the table can be dropped');
RESET client_min_messages;

-- two tables of one name
CREATE SCHEMA a;
CREATE SCHEMA b;
CREATE TABLE a.contract (id int PRIMARY KEY, status text);
CREATE TABLE b.contract (id int PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE b.part PARTITION OF b.contract DEFAULT;
SELECT webhook.watch('a.contract');
SELECT lives_ok($$ SELECT webhook.watch('a.contract', 'App.ContractSigned') $$, 'one table has one name for all event types');
SELECT throws_ok($$ SELECT webhook.watch('b.contract') $$, '42710', 'name "contract" is that of watched table "a.contract" already',
	'two tables cannot have one name');
SELECT throws_ok($$ SELECT webhook.watch('b.contract', 'App.ContractSigned') $$, '42710', NULL, '... whatever the event types');
SELECT lives_ok($$ SELECT webhook.watch('b.contract', name => 'b_contract') $$, 'another name is accepted');
SELECT lives_ok($$ SELECT webhook.watch('b.part', 'App.ContractSigned', name => 'b_contract') $$, 'a partition may have the name of its table');
SELECT pg_temp.events();
INSERT INTO b.contract VALUES (1, 'Draft');
SELECT set_eq($$ SELECT event_type || subject || ' ' || data FROM webhook.event WHERE subject LIKE 'b_contract%' $$,
	$$ SELECT unnest('{App.BusinessRequestStatusChange,App.ContractSigned}'::text[])
		|| 'b_contract/1 {"BContractId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}' $$,
	'the name is in subject and Data');
SELECT throws_ok(format('SELECT webhook.watch(''contract_part'', ''App.ContractSigned'', name => %L)', name), '22023', NULL, label)
	FROM (VALUES ('', 'an empty name is refused'), (repeat('x', 64), 'a name of 64 bytes is refused')) AS v (name, label);

-- unwatch() of one event type
SELECT throws_ok($$ SELECT webhook.unwatch('a.contract', 'App.Unknown') $$, '42704', NULL, 'unwatch() of another event type is refused');
SELECT lives_ok($$ SELECT webhook.unwatch('a.contract', 'App.ContractSigned') $$, 'unwatch() of one event type');
SELECT is((SELECT array_agg(event_type) FROM webhook.watched_table WHERE relation = 'a.contract'::regclass),
	'{App.BusinessRequestStatusChange}'::text[], '... keeps the others');

-- alter_watch()
CREATE TABLE tender (id int PRIMARY KEY, no text, status text, phase text, buyer text)
	PARTITION BY RANGE (id);
CREATE TABLE tender_1 PARTITION OF tender FOR VALUES FROM (0) TO (100);
CREATE TABLE tender_2 (buyer text, phase text, status text, no text, id int NOT NULL);
ALTER TABLE tender ATTACH PARTITION tender_2 FOR VALUES FROM (100) TO (200);
SELECT webhook.watch('tender');
ALTER TABLE tender ENABLE ALWAYS TRIGGER " webhook_App.BusinessRequestStatusChange";
CREATE TEMPORARY TABLE trigger_before AS
	SELECT oid, tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('tender'));
SELECT webhook.alter_watch('tender', status_column => 'phase', id_columns => '{no}', data_columns => '{buyer}', name => 'bid');
SELECT pg_temp.events();
INSERT INTO tender VALUES (1, 'A', 'x', 'open', 'city'), (101, 'B', 'x', 'open', 'state');
SELECT is(pg_temp.events(), 'bid/A {"BidId":"A","Operation":"INSERT","OldStatus":null,"NewStatus":"open","Record":{"buyer":"city"}}' || E'\n'
	'bid/B {"BidId":"B","Operation":"INSERT","OldStatus":null,"NewStatus":"open","Record":{"buyer":"state"}}',
	'alter_watch() changes the watch, on all partitions');
SELECT webhook.alter_watch('tender', data_columns => '{}');
SELECT is(format('%s %s %s %s %s %s', relation, name, status_column, id_columns, data_columns, enabled), 'tender bid phase {no} {} always',
	'alter_watch() keeps what is not given') FROM webhook.watched_table WHERE relation = 'tender'::regclass;
SELECT set_eq('SELECT oid, tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree(''tender''))',
	'SELECT * FROM trigger_before', 'the triggers are the same, and enabled as they were');
SET LOCAL session_replication_role = replica;
UPDATE tender SET phase = 'closed' WHERE id = 1;
SET LOCAL session_replication_role = origin;
SELECT is(pg_temp.events(), 'bid/A {"BidId":"A","Operation":"UPDATE","OldStatus":"open","NewStatus":"closed"}', 'ENABLE ALWAYS is kept: a change by replication is an event');
SELECT throws_ok(format('SELECT webhook.alter_watch(%s)', arguments), state::char(5), NULL, format('alter_watch(%s) is refused', arguments))
	FROM (VALUES ('''tender_1''', '42704'), ('''tender'', ''App.ContractSigned''', '42704'), ('''staged_not_watched''', '42P01'), ('NULL', '22004'),
		('''tender'', NULL', '22004'), ('''tender'', status_column => ''nothing''', '42703'), ('''tender'', id_columns => ''{}''', '22023'),
		('''tender'', id_columns => ''{no,no}''', '42701'), ('''tender'', data_columns => ''{nothing}''', '42703'), ('''tender'', name => ''contract''', '42710')) AS v (arguments, state);
SET LOCAL client_min_messages = error;
ALTER TABLE tender DROP COLUMN phase;
RESET client_min_messages;
SELECT is((SELECT problem FROM webhook.watched_table WHERE relation = 'tender'::regclass), 'a status, key or tenant column is missing, so there is no event',
	'watched_table tells of a column that is gone');
SELECT webhook.alter_watch('tender', status_column => 'status');
SELECT is((SELECT problem FROM webhook.watched_table WHERE relation = 'tender'::regclass), NULL, 'alter_watch() mends it');
ALTER TABLE tender DISABLE TRIGGER " webhook_App.BusinessRequestStatusChange";
SELECT is((SELECT enabled || ', ' || problem FROM webhook.watched_table WHERE relation = 'tender'::regclass), 'disabled, its trigger is disabled',
	'watched_table tells of a trigger that is disabled');

-- inheritance
CREATE TABLE mother (id int PRIMARY KEY, status text);
CREATE TABLE daughter () INHERITS (mother);
SELECT throws_ok($$ SELECT webhook.watch('mother') $$, '0A000', NULL, 'a table with inheritance children is refused');
SELECT lives_ok($$ SELECT webhook.watch('mother', parent_only => true) $$, '... unless it is to be watched alone');
CREATE TABLE aunt (id int PRIMARY KEY, status text);
SELECT webhook.watch('aunt');
CREATE TABLE cousin () INHERITS (aunt);
SELECT is((SELECT problem FROM webhook.watched_table WHERE relation = 'aunt'::regclass), 'changes of its inheritance children are no events',
	'watched_table tells of children that came later');
SELECT lives_ok($$ SELECT webhook.alter_watch('aunt', parent_only => true) $$, 'alter_watch() says that this is meant');
SELECT is((SELECT problem FROM webhook.watched_table WHERE relation = 'aunt'::regclass), NULL, '... so it is no problem');

-- a trigger that is called before the watch's own
CREATE TABLE late (id int PRIMARY KEY, status text);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER " a" AFTER UPDATE ON late FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER " b" AFTER UPDATE ON late FOR EACH STATEMENT EXECUTE FUNCTION nothing();
CREATE CONSTRAINT TRIGGER " c" AFTER UPDATE ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TRIGGER "a" AFTER UPDATE ON late FOR EACH ROW EXECUTE FUNCTION nothing();
SET LOCAL client_min_messages = error;
SELECT webhook.watch('late');
RESET client_min_messages;
SELECT is(triggers_in_front, '{" a"}', 'watched_table names the triggers that are called before its own') FROM webhook.watched_table WHERE relation = 'late'::regclass;
SELECT isnt(problem, NULL, '... and says so') FROM webhook.watched_table WHERE relation = 'late'::regclass;

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
