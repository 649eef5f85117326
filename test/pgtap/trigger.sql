-- Which statements on a watched table make events, and which make none?

-- At a commit, or at a statement's end before it: a row that an UPDATE moves to
-- another partition and that a BEFORE trigger drops there.
CREATE SCHEMA app;
CREATE TABLE app.part (id int, status text) PARTITION BY LIST (status);
CREATE TABLE app.part_a PARTITION OF app.part FOR VALUES IN ('a');
CREATE TABLE app.part_b PARTITION OF app.part FOR VALUES IN ('b');
CREATE FUNCTION app.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER swallow BEFORE INSERT ON app.part_b FOR EACH ROW EXECUTE FUNCTION app.swallow();
SELECT webhook.watch('app.part', id_columns => '{id}');
SELECT coalesce(max(id), 0) AS before FROM webhook.event \gset
INSERT INTO app.part VALUES (1, 'a'), (2, 'a'), (3, 'a');
UPDATE app.part SET status = 'b' WHERE id = 1;
BEGIN;
SAVEPOINT one;
UPDATE app.part SET status = 'b' WHERE id = 2;
RELEASE one;
SAVEPOINT two;
UPDATE app.part SET status = 'b' WHERE id = 3;
ROLLBACK TO two;
COMMIT;
BEGIN;
UPDATE app.part SET status = 'b' WHERE id = 3;
ROLLBACK;
SELECT coalesce(string_agg(format('%s %s>%s', subject, data ->> 'OldStatus', data ->> 'NewStatus'), ', ' ORDER BY id), '') AS moved
  FROM webhook.event WHERE id > :before AND data ->> 'OldStatus' IS NOT NULL \gset

-- COPY, the last thing of its transaction, and a trigger that changes its rows again
CREATE TABLE app.copied (id int, status text);
CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.copied SET status = 'b' || id;
	RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT ON app.copied FOR EACH ROW EXECUTE FUNCTION app.again();
SELECT webhook.watch('app.copied', id_columns => '{id}');
COPY app.copied FROM stdin;
1	a
2	a
\.
SELECT string_agg(format('%s %s>%s', subject, data ->> 'OldStatus', data ->> 'NewStatus'), ', ' ORDER BY id) AS copied
  FROM webhook.event WHERE subject LIKE 'copied/%' \gset
SET client_min_messages = warning;
DROP SCHEMA app CASCADE;
RESET client_min_messages;

BEGIN;
SELECT no_plan();
SELECT is(:'moved'::text, 'part/1 a>, part/2 a>', 'a move whose INSERT is dropped is a deletion');
SELECT is(:'copied'::text, 'copied/1 >a, copied/2 >a, copied/1 a>b1, copied/2 a>b2', 'changes of copied rows come after the rows');

CREATE SCHEMA app;
SELECT webhook.define_event_type('App.Other');

-- What a statement publishes: 'subject old>new' of each event, '' for null.
CREATE TEMP TABLE seen (id bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION pg_temp.published(type text DEFAULT NULL) RETURNS text[]
LANGUAGE plpgsql AS $$
DECLARE
	last	bigint := (SELECT id FROM seen);
BEGIN
	UPDATE seen SET id = (SELECT coalesce(max(id), last) FROM webhook.event);
	RETURN coalesce((SELECT array_agg(format('%s %s>%s', subject, data ->> 'OldStatus', data ->> 'NewStatus') ORDER BY id)
		FROM webhook.event WHERE id > last AND event_type = coalesce(type, event_type)), '{}');
END $$;
CREATE FUNCTION pg_temp.publishes(statement text, wanted text[], name text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.published();
	EXECUTE statement;
	RETURN is(pg_temp.published(), wanted, name);
END $$;

--
-- One table
--
CREATE TYPE app.status AS ENUM ('draft', 'sent', 'signed');
CREATE TABLE app.doc (id int PRIMARY KEY, status app.status, note text);
SELECT webhook.watch('app.doc');

SELECT pg_temp.publishes(statement, wanted::text[], name)
  FROM (VALUES
	('INSERT INTO app.doc VALUES (1, ''draft''), (2, ''draft''), (3, NULL)',
	 '{doc/1 >draft,doc/2 >draft,doc/3 >}', 'INSERT, in order'),
	('UPDATE app.doc SET status = status', '{}', 'UPDATE to the same status'),
	('UPDATE app.doc SET note = ''x''', '{}', 'UPDATE of another column'),
	('UPDATE app.doc SET status = ''sent'' WHERE id = 1', '{doc/1 draft>sent}', 'UPDATE'),
	('UPDATE app.doc SET status = NULL WHERE id = 1', '{doc/1 sent>}', 'UPDATE to null'),
	('UPDATE app.doc SET status = ''sent'' WHERE id IN (1, 3)', '{doc/1 >sent,doc/3 >sent}', 'UPDATE from null'),
	('UPDATE app.doc SET id = id + 10 WHERE id = 3', '{doc/3 sent>,doc/13 >sent}', 'UPDATE of the key alone'),
	('UPDATE app.doc SET id = 3, status = ''signed'' WHERE id = 13', '{doc/13 sent>,doc/3 >signed}', 'UPDATE of key and status'),
	('INSERT INTO app.doc VALUES (1, ''sent'') ON CONFLICT DO NOTHING', '{}', 'ON CONFLICT DO NOTHING'),
	('INSERT INTO app.doc VALUES (1, ''draft'') ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status',
	 '{doc/1 sent>draft}', 'ON CONFLICT DO UPDATE'),
	('MERGE INTO app.doc d USING (VALUES (1, ''sent''), (2, NULL), (4, ''draft'')) AS v (id, status) ON d.id = v.id
	  WHEN MATCHED AND v.status IS NULL THEN DELETE
	  WHEN MATCHED THEN UPDATE SET status = v.status::app.status
	  WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.status::app.status)',
	 '{doc/1 draft>sent,doc/2 draft>,doc/4 >draft}', 'MERGE'),
	('WITH gone AS (DELETE FROM app.doc WHERE id = 4 RETURNING *) INSERT INTO app.doc SELECT 5, status, note FROM gone',
	 '{doc/4 draft>,doc/5 >draft}', 'a DELETE and an INSERT in one statement'),
	('DELETE FROM app.doc WHERE id < 3; DELETE FROM app.doc', '{doc/1 sent>,doc/3 signed>,doc/5 draft>}', 'DELETE'),
	('INSERT INTO app.doc VALUES (1, ''draft''); UPDATE app.doc SET status = ''sent''; DELETE FROM app.doc',
	 '{"doc/1 >draft",doc/1 draft>sent,doc/1 sent>}', 'several changes of a row in one transaction'),
	('TRUNCATE app.doc', '{}', 'TRUNCATE'))
	AS v (statement, wanted, name);

SELECT pg_temp.published();
COPY app.doc FROM stdin;
1	draft	\N
2	sent	\N
\.
SELECT is(pg_temp.published(), '{doc/1 >draft,doc/2 >sent}', 'COPY');

-- BEFORE triggers change or keep the status.
CREATE FUNCTION app.before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.note = 'sign' THEN NEW.status := 'signed'; END IF;
	IF NEW.note = 'keep' THEN NEW.status := OLD.status; END IF;
	IF NEW.note = 'swallow' THEN RETURN NULL; END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER before BEFORE UPDATE ON app.doc FOR EACH ROW EXECUTE FUNCTION app.before();
SELECT pg_temp.publishes(statement, wanted::text[], name)
  FROM (VALUES
	('UPDATE app.doc SET note = ''sign'' WHERE id = 1', '{doc/1 draft>signed}', 'a BEFORE trigger changes the status'),
	('UPDATE app.doc SET note = ''keep'', status = ''draft'' WHERE id = 1', '{}', 'a BEFORE trigger keeps the status'),
	('UPDATE app.doc SET note = ''swallow'', status = ''draft'' WHERE id = 1', '{}', 'a BEFORE trigger drops the change'))
	AS v (statement, wanted, name);

-- Savepoints
SELECT pg_temp.publishes($stmt$DO $do$
	BEGIN
		UPDATE app.doc SET status = 'draft', note = 'a' WHERE id = 1;
		BEGIN
			UPDATE app.doc SET status = 'sent', note = 'b' WHERE id = 1;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		UPDATE app.doc SET status = 'signed', note = 'c' WHERE id = 1;
	END $do$$stmt$, '{doc/1 signed>draft,doc/1 draft>signed}', 'a savepoint that is rolled back');

-- A disabled trigger, and session_replication_role = replica
SELECT pg_temp.publishes('ALTER TABLE app.doc DISABLE TRIGGER USER; UPDATE app.doc SET status = ''sent''; ALTER TABLE app.doc ENABLE TRIGGER USER',
						 '{}', 'a trigger that is disabled');
SELECT pg_temp.publishes('SET LOCAL session_replication_role = replica; UPDATE app.doc SET status = ''draft''; SET LOCAL session_replication_role = origin',
						 '{}', 'a change by replication');

--
-- A status has changed if its JSON differs
--
CREATE FUNCTION pg_temp.changes(type text, old text, new text, changed boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	found	int;
BEGIN
	EXECUTE format('CREATE TABLE app.t (id int PRIMARY KEY, status %s)', type);
	PERFORM webhook.watch('app.t');
	EXECUTE format('INSERT INTO app.t VALUES (1, %L)', old);
	PERFORM pg_temp.published();
	EXECUTE format('UPDATE app.t SET status = %L', new);
	found := cardinality(pg_temp.published());
	DROP TABLE app.t;
	RETURN is(found, changed::int, format('%s from %L to %L', type, left(old, 20), left(new, 20)));
END $$;
SELECT pg_temp.changes(type, old, new, changed)
  FROM (VALUES
	('text', 'a', 'a', false),
	('text', 'a', 'A', true),
	('text', 'a', 'a ', true),
	('text', '', NULL, true),
	('text', NULL, NULL, false),
	('text', 'null', NULL, true),
	('text', repeat('a', 100000), repeat('a', 100000), false),
	('text', repeat('a', 100000), repeat('a', 99999) || 'b', true),
	('char(5)', 'a', 'a ', false),
	('numeric', '1.0', '1.0', false),
	('numeric', '1.0', '1.00', true),
	('numeric', 'NaN', 'NaN', false),
	('float8', '0', '-0', true),
	('bool', 't', 'true', false),
	('json', '{"a":1}', '{"a":1}', false),
	('json', '{"a":1}', '{"a": 1}', true),
	('jsonb', '{"a":1}', '{"a": 1}', false),
	('jsonb', 'null', NULL, false),
	('int[]', '{1,2}', '[0:1]={1,2}', false),
	('interval', '24 hours', '1 day', true),
	('timestamptz', '2024-01-01 00:00+00', '2024-01-01 01:00+01', false),
	('int4range', '[1,2)', '[1,1]', false))
	AS v (type, old, new, changed);

-- A status in the TOAST table
CREATE TABLE app.big (id int PRIMARY KEY, status text, note text);
ALTER TABLE app.big ALTER status SET STORAGE EXTERNAL;
SELECT webhook.watch('app.big');
INSERT INTO app.big VALUES (1, repeat('s', 10000));
SELECT pg_temp.publishes('UPDATE app.big SET note = ''x''', '{}', 'a status in the TOAST table that is not written');
SELECT pg_temp.publishes('UPDATE app.big SET status = repeat(''s'', 10000)', '{}', 'a status in the TOAST table that is written again');
SELECT is(cardinality(pg_temp.published()), 0, 'a status in the TOAST table: no event until here');
UPDATE app.big SET status = repeat('s', 10001);
SELECT is(cardinality(pg_temp.published()), 1, 'a status in the TOAST table that is changed');

--
-- Partitions
--
CREATE TABLE app.part (region text, id int, status text, note text, PRIMARY KEY (region, id))
	PARTITION BY LIST (region);
CREATE TABLE app.part_a PARTITION OF app.part FOR VALUES IN ('a');
-- Columns in another order
CREATE TABLE app.part_b (note text, gone int, status text, id int NOT NULL, region text NOT NULL);
ALTER TABLE app.part_b DROP gone;
ALTER TABLE app.part ATTACH PARTITION app.part_b FOR VALUES IN ('b');
CREATE TABLE app.part_c PARTITION OF app.part FOR VALUES IN ('c') PARTITION BY RANGE (id);
CREATE TABLE app.part_c1 PARTITION OF app.part_c FOR VALUES FROM (0) TO (100);
CREATE TABLE app.part_c2 PARTITION OF app.part_c FOR VALUES FROM (100) TO (200);
SELECT webhook.watch('app.part', id_columns => '{id}');

CREATE FUNCTION app.swallow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.note = 'swallow' THEN RETURN NULL; END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER swallow BEFORE INSERT ON app.part_b FOR EACH ROW EXECUTE FUNCTION app.swallow();

SELECT pg_temp.publishes(statement, wanted::text[], name)
  FROM (VALUES
	('INSERT INTO app.part VALUES (''a'', 1, ''draft''), (''b'', 2, ''draft''), (''c'', 3, ''draft'')',
	 '{part/1 >draft,part/2 >draft,part/3 >draft}', 'INSERT into a partitioned table'),
	('UPDATE app.part SET status = ''sent''',
	 '{part/1 draft>sent,part/2 draft>sent,part/3 draft>sent}', 'UPDATE'),
	('UPDATE app.part_b SET status = ''draft''', '{part/2 sent>draft}', 'UPDATE of a partition'),
	('UPDATE app.part SET region = ''b'', status = ''signed'' WHERE id = 1',
	 '{part/1 sent>signed}', 'a move to another partition with another status is one change'),
	('UPDATE app.part SET region = ''a'' WHERE id = 1', '{}', 'a move with the same status is no change'),
	('UPDATE app.part SET region = ''c'', id = id + 100, status = ''draft'' WHERE id = 1',
	 '{part/1 signed>,part/101 >draft}', 'a move with another key'),
	('UPDATE app.part SET region = CASE region WHEN ''b'' THEN ''c'' ELSE ''b'' END, status = ''x'' || id',
	 '{part/2 draft>x2,part/3 sent>x3,part/101 draft>x101}', 'several moves in one statement'),
	('UPDATE app.part SET status = NULL, region = ''a'' WHERE id = 2', '{part/2 x2>}', 'a move to null'),
	('UPDATE app.part SET status = ''y2'', region = ''b'' WHERE id = 2', '{part/2 >y2}', 'a move from null'),
	('MERGE INTO app.part p USING (VALUES (2), (7)) AS v (id) ON p.id = v.id
	  WHEN MATCHED THEN UPDATE SET region = ''a'', status = ''merged''
	  WHEN NOT MATCHED THEN INSERT VALUES (''c'', v.id, ''merged'')',
	 '{part/2 y2>merged,part/7 >merged}', 'a move by MERGE'),
	('DELETE FROM app.part', '{part/2 merged>,part/3 x3>,part/101 x101>,part/7 merged>}', 'DELETE'))
	AS v (statement, wanted, name);

-- A move whose INSERT a BEFORE trigger drops is a deletion, in the order of the
-- changes.
CREATE FUNCTION pg_temp.fill() RETURNS void LANGUAGE sql AS $$
	DELETE FROM app.part;
	INSERT INTO app.part SELECT 'a', i, 'draft' FROM generate_series(1, 4) AS i;
$$;
SELECT pg_temp.fill();
SELECT pg_temp.publishes('UPDATE app.part SET region = ''b'', status = ''sent'', note = CASE WHEN id % 2 = 1 THEN ''swallow'' END',
						 '{part/1 draft>,part/2 draft>sent,part/3 draft>,part/4 draft>sent}', 'several moves, some of which are dropped');
SELECT pg_temp.fill();
SELECT pg_temp.publishes('UPDATE app.part SET region = ''b'', status = ''sent'', note = ''swallow'' WHERE id = 4;
						  INSERT INTO app.part VALUES (''a'', 4, ''new'')',
						 '{part/4 draft>,part/4 >new}', 'a dropped move before another statement');
SELECT pg_temp.fill();
SELECT pg_temp.publishes($stmt$DO $do$
	BEGIN
		BEGIN
			UPDATE app.part SET region = 'b', status = 'sent', note = 'swallow' WHERE id = 4;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		UPDATE app.part SET status = 'signed' WHERE id = 4;
	END $do$$stmt$, '{part/4 draft>signed}', 'a dropped move that is rolled back');
SELECT pg_temp.publishes($stmt$DO $do$
	BEGIN
		UPDATE app.part SET region = 'b', note = 'swallow' WHERE id = 4;
		BEGIN
			UPDATE app.part SET status = 'sent' WHERE id = 3;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		BEGIN
			UPDATE app.part SET status = 'signed' WHERE id = 2;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		UPDATE app.part SET status = 'signed' WHERE id = 1;
	END $do$$stmt$, '{part/4 signed>,part/2 draft>signed,part/1 draft>signed}',
	'a dropped move before a savepoint that is rolled back');

-- Two watches of one table, and one of a partition alone
SELECT webhook.watch('app.part', 'App.Other', id_columns => '{region,id}');
SELECT pg_temp.fill();
SELECT pg_temp.published();
SELECT id AS before FROM seen \gset
UPDATE app.part SET region = 'c', status = 'two' WHERE id IN (1, 2);
SELECT is(pg_temp.published('App.Other'), '{part/a/1 draft>,part/a/2 draft>,part/c/1 >two,part/c/2 >two}', 'two watches of a table: the one');
UPDATE seen SET id = :before;
SELECT is(pg_temp.published('App.BusinessRequestStatusChange'), '{part/1 draft>two,part/2 draft>two}', 'two watches of a table: the other');

SELECT webhook.unwatch('app.part');
SELECT webhook.watch('app.part_a', id_columns => '{id}');
SELECT pg_temp.publishes('UPDATE app.part SET region = ''b'', status = ''left'' WHERE id = 3; UPDATE app.part SET region = ''a'' WHERE id = 3',
						 '{part_a/3 draft>,part_a/3 >left}', 'a watched partition: a row leaves it and enters it');

-- A deferred trigger that was made by hand
CREATE TABLE app.late (id int PRIMARY KEY, status text);
CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON app.late
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
	EXECUTE FUNCTION webhook_internal.enqueue('App.Other', 'late', 'status', '', '', '1', 'id');
SELECT pg_temp.publishes('INSERT INTO app.late VALUES (1, ''a''); UPDATE app.late SET status = ''b''',
						 '{}', 'a deferred trigger publishes nothing at first');
SELECT pg_temp.publishes('SET CONSTRAINTS ALL IMMEDIATE', '{late/1 >a,late/1 a>b}', 'a deferred trigger publishes with SET CONSTRAINTS');

--
-- A statement within a statement: the events of one row come in the order of its
-- versions.
--
CREATE TABLE app.chain (id int, status text, next int, again text,
	CONSTRAINT chain_id UNIQUE (id) DEFERRABLE);
SELECT webhook.watch('app.chain', id_columns => '{id}');
CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.again IS NOT NULL AND NEW.status IS DISTINCT FROM NEW.again THEN
		UPDATE app.chain SET status = NEW.again WHERE id = NEW.next;
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER again AFTER UPDATE ON app.chain FOR EACH ROW EXECUTE FUNCTION app.again();
INSERT INTO app.chain VALUES (1, 'draft', 1), (2, 'draft', NULL), (3, 'draft', NULL);
CREATE FUNCTION pg_temp.refill(next int, again text) RETURNS void LANGUAGE sql AS $$
	DELETE FROM app.chain;
	INSERT INTO app.chain VALUES (1, 'a', next, again), (2, 'b', NULL, NULL), (3, 'c', NULL, NULL);
$$;
SELECT pg_temp.publishes(statement, wanted::text[], name)
  FROM (VALUES
	('UPDATE app.chain SET status = ''approved'', again = ''signed'' WHERE id = 1',
	 '{chain/1 draft>approved,chain/1 approved>signed}', 'a trigger that changes the row again'),
	('UPDATE app.chain SET again = ''last'', next = 3 WHERE id = 1', '{chain/3 draft>last}', 'a trigger that changes another row'))
	AS v (statement, wanted, name);
SELECT pg_temp.refill(2, 'last');
SELECT pg_temp.publishes('UPDATE app.chain SET status = status || ''2''', '{chain/1 a>a2,chain/2 b>b2,chain/3 c>c2,chain/2 b2>last}',
	'a trigger that changes a row of the same statement again');
SELECT pg_temp.refill(3, 'last');
SELECT pg_temp.publishes('UPDATE app.chain SET id = id + 1, status = status || ''2''',
	'{chain/1 a>,chain/2 b>,chain/3 c>,chain/2 >a2,chain/3 >b2,chain/4 >c2,chain/3 b2>last}', '... and all keys are shifted');
SELECT pg_temp.refill(NULL, NULL);
SELECT pg_temp.publishes($stmt$DO $do$
	BEGIN
		UPDATE app.chain SET again = NULL, next = NULL;
		FOR i IN 1 .. 2 LOOP
			BEGIN
				UPDATE app.chain SET status = 'x', again = 'y', next = 3 WHERE id = 2;
				IF i = 1 THEN
					RAISE division_by_zero;
				END IF;
			EXCEPTION WHEN division_by_zero THEN
				NULL;
			END;
		END LOOP;
	END $do$$stmt$, '{chain/2 b>x,chain/3 c>y}', '... in a savepoint that is rolled back, and in one that is not');

--
-- Another key is another row for receivers
--
DELETE FROM app.chain;
INSERT INTO app.chain VALUES (1, 'one'), (2, 'two'), (3, 'three');
SELECT pg_temp.publishes(statement, wanted::text[], name)
  FROM (VALUES
	('UPDATE app.chain SET id = id + 1', '{chain/1 one>,chain/2 two>,chain/3 three>,chain/2 >one,chain/3 >two,chain/4 >three}',
	 'keys are shifted: deletions first'),
	('UPDATE app.chain SET id = CASE id WHEN 2 THEN 3 ELSE 2 END WHERE id IN (2, 3)', '{chain/2 one>,chain/3 two>,chain/3 >one,chain/2 >two}',
	 'keys are swapped'),
	('WITH u AS (UPDATE app.chain SET id = 5 WHERE id = 4 RETURNING id) INSERT INTO app.chain SELECT 4, ''four'' FROM u',
	 '{chain/4 three>,chain/4 >four,chain/5 >three}', 'a key is free for another row'),
	('UPDATE app.chain SET id = id WHERE id = 2', '{}', 'an UPDATE that keeps the key'))
	AS v (statement, wanted, name);
SELECT pg_temp.publishes($stmt$DO $do$
	BEGIN
		BEGIN
			UPDATE app.chain SET id = 50 WHERE id = 5;
			RAISE division_by_zero;
		EXCEPTION WHEN division_by_zero THEN
			UPDATE app.chain SET id = 51 WHERE id = 5;
		END;
	END $do$$stmt$, '{chain/5 three>,chain/51 >three}', 'a change of the key that is rolled back');
CREATE TABLE app.price (id numeric, status text, note text);
SELECT webhook.watch('app.price', id_columns => '{id}');
INSERT INTO app.price VALUES (1.0, 'x');
SELECT pg_temp.publishes('UPDATE app.price SET id = 1.00', '{"price/1.0 x>","price/1.00 >x"}', 'a key that is equal, but has another text');
CREATE TABLE app.object (id jsonb, status text);
SELECT webhook.watch('app.object', id_columns => '{id}');
INSERT INTO app.object VALUES ('null', 'x');
SELECT pg_temp.publishes('UPDATE app.object SET id = NULL', '{}', 'a key with another image and the same text');

-- A foreign key's cascade changes a key; two of them change one row twice within one
-- statement.
CREATE TABLE app.parent (id int PRIMARY KEY);
CREATE TABLE app.pair (a int REFERENCES app.parent ON UPDATE CASCADE,
	b int REFERENCES app.parent ON UPDATE CASCADE, status text, PRIMARY KEY (a, b));
SELECT webhook.watch('app.pair');
CREATE TABLE app.child (parent int REFERENCES app.parent ON UPDATE CASCADE, no int, status text,
	PRIMARY KEY (parent, no));
SELECT webhook.watch('app.child');
INSERT INTO app.parent VALUES (2), (1);
INSERT INTO app.child VALUES (1, 1, 'a');
SELECT pg_temp.publishes('UPDATE app.parent SET id = id + 10', '{child/1/1 a>,child/11/1 >a}', 'a cascade changes a key');
DELETE FROM app.child;
INSERT INTO app.pair VALUES (11, 11, 'x'), (11, 12, 'y');
SELECT pg_temp.publishes('UPDATE app.parent SET id = id + 10 WHERE id = 11',
	'{pair/11/11 x>,pair/11/12 y>,pair/21/11 >x,pair/21/12 >y,pair/21/11 x>,pair/21/21 >x}', 'two cascades change a key');

-- More than is held: all are published, each once.
CREATE TABLE app.many (id int, status text);
INSERT INTO app.many SELECT i, 'x' FROM generate_series(1, 10500) AS i;
SELECT webhook.watch('app.many', id_columns => '{id}');
UPDATE app.many SET id = id + 1000000;
SELECT results_eq($$ SELECT data ->> 'Operation', count(*), count(DISTINCT subject) FROM webhook.event WHERE subject LIKE 'many/%' GROUP BY 1 ORDER BY 1 $$,
	$$ VALUES ('DELETE', 10500::bigint, 10500::bigint), ('INSERT', 10500, 10500) $$, 'more creations than are held are published');
SELECT ok((SELECT max(id) FROM webhook.event WHERE subject = 'many/1') < (SELECT min(id) FROM webhook.event WHERE subject = 'many/1000001'),
	'... each behind the deletion of its row');
DROP TABLE app.many;
SELECT pg_temp.published() IS NOT NULL;

--
-- Columns that are altered, renamed, dropped
--
SET LOCAL client_min_messages = error;
CREATE TABLE app.alter (id int PRIMARY KEY, status text, title text, note text);
SELECT webhook.watch('app.alter', data_columns => '{title,note}');
INSERT INTO app.alter VALUES (1, '1', 't', 'n');

SELECT lives_ok('ALTER TABLE app.alter ALTER status TYPE int USING status::int', 'ALTER TYPE of the status');
SELECT pg_temp.publishes('UPDATE app.alter SET status = 2', '{alter/1 1>2}', 'events go on');
SELECT lives_ok('ALTER TABLE app.alter ALTER id TYPE bigint', 'ALTER TYPE of the key');
SELECT pg_temp.publishes('UPDATE app.alter SET status = 3', '{alter/1 2>3}', 'events go on');
SELECT lives_ok('ALTER TABLE app.alter DROP title', 'DROP of a data column');
SELECT pg_temp.publishes('UPDATE app.alter SET status = 4', '{alter/1 3>4}', 'events go on without it');
SELECT is((SELECT data ->> 'Record' FROM webhook.event ORDER BY id DESC LIMIT 1), '{"note":"n"}', 'Record has the other data column');
SELECT is((SELECT format('%s: %s', missing_columns, problem) FROM webhook.watched_table WHERE relation = 'app.alter'::regclass),
	'{title}: a data column is missing and left out', 'watched_table says so');
SELECT lives_ok('ALTER TABLE app.alter RENAME note TO remark', 'RENAME of a data column');
SELECT pg_temp.publishes('UPDATE app.alter SET status = 5', '{alter/1 4>5}', 'events go on');
SELECT is((SELECT data ->> 'Record' FROM webhook.event ORDER BY id DESC LIMIT 1), '{"remark":"n"}', 'Record follows the rename');
SELECT lives_ok('ALTER TABLE app.alter RENAME TO altered', 'RENAME of the table');
SELECT pg_temp.publishes('UPDATE app.altered SET status = 6', '{alter/1 5>6}', 'the subject keeps the former name');
SELECT lives_ok('ALTER TABLE app.altered RENAME id TO number', 'RENAME of the key');
SELECT lives_ok('ALTER TABLE app.altered RENAME status TO state', 'RENAME of the status');
SELECT pg_temp.publishes('UPDATE app.altered SET state = 7', '{alter/1 6>7}', 'events go on');
SAVEPOINT renamed;
ALTER TABLE app.altered RENAME state TO other;
ROLLBACK TO renamed;
SELECT pg_temp.publishes('UPDATE app.altered SET state = 8', '{alter/1 7>8}', 'a RENAME that is rolled back');
SELECT lives_ok('ALTER TABLE app.altered RENAME state TO next; ALTER TABLE app.altered RENAME number TO state; ALTER TABLE app.altered RENAME next TO number',
	'key and status change names');
SELECT pg_temp.publishes('UPDATE app.altered SET number = 9', '{alter/1 8>9}', 'events go on');
SELECT lives_ok('ALTER TABLE app.altered DROP number', 'DROP of the status');
SELECT pg_temp.publishes('UPDATE app.altered SET remark = ''x''; INSERT INTO app.altered VALUES (2); DELETE FROM app.altered',
						 '{}', 'no event without the status; the statements succeed');
SELECT is((SELECT problem FROM webhook.watched_table WHERE relation = 'app.altered'::regclass),
	'a status, key or tenant column is missing, so there is no event', 'watched_table says so');
SELECT lives_ok('ALTER TABLE app.altered ADD number text', 'a column of that name comes back');
SELECT pg_temp.publishes('INSERT INTO app.altered (state, number) VALUES (3, ''a'')', '{alter/3 >a}', 'events go on');
SELECT lives_ok('DROP TABLE app.altered', 'DROP of the table');

-- On a partitioned table, with partitions whose columns have other numbers
CREATE TABLE app.split (region text, id int, status text, note text) PARTITION BY LIST (region);
CREATE TABLE app.split_a (gone int, note text, status text, id int, region text);
ALTER TABLE app.split_a DROP gone;
SELECT webhook.watch('app.split', id_columns => '{id}', data_columns => '{note}');
ALTER TABLE app.split ATTACH PARTITION app.split_a FOR VALUES IN ('a');
CREATE TABLE app.split_b PARTITION OF app.split DEFAULT PARTITION BY LIST (region);
CREATE TABLE app.split_b1 PARTITION OF app.split_b DEFAULT;
ALTER TABLE app.split_a DISABLE TRIGGER USER;
ALTER TABLE app.split_a ENABLE ALWAYS TRIGGER " webhook_App.BusinessRequestStatusChange";
CREATE TEMPORARY TABLE trigger_before AS SELECT oid, tgrelid, tgenabled FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('app.split'));
ALTER TABLE app.split RENAME status TO state;
ALTER TABLE app.split RENAME note TO remark;
SELECT is((SELECT count(*) FROM trigger_before), 4::bigint, 'a partitioned table and three partitions have a trigger');
SELECT set_eq('SELECT oid, tgrelid, tgenabled FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree(''app.split''))',
	'SELECT * FROM trigger_before', 'a RENAME keeps them, and whether they are enabled');
SELECT pg_temp.publishes('INSERT INTO app.split VALUES (''a'', 1, ''x''), (''b'', 2, ''x''); UPDATE app.split SET state = ''y''',
	'{split/1 >x,split/2 >x,split/1 x>y,split/2 x>y}', 'all partitions follow the RENAME');
CREATE TABLE app.split_c PARTITION OF app.split FOR VALUES IN ('c');
SELECT pg_temp.publishes('INSERT INTO app.split VALUES (''c'', 3, ''x'')', '{split/3 >x}', '... those that come later, too');
SELECT is((SELECT format('%s %s %s: %s', status_column, data_columns, other_partitions, problem) FROM webhook.watched_table WHERE relation = 'app.split'::regclass),
	'state {remark} {app.split_a}: the trigger of some partitions is missing, or enabled in another way',
	'watched_table follows, and names the partition that differs');

-- In replica mode, and through a typed table
CREATE TYPE app.kind AS (id int, status text);
CREATE TABLE app.typed OF app.kind;
SELECT webhook.watch('app.typed', id_columns => '{id}');
SET LOCAL session_replication_role = replica;
ALTER TYPE app.kind RENAME ATTRIBUTE status TO state CASCADE;
SET LOCAL session_replication_role = origin;
SELECT pg_temp.publishes('INSERT INTO app.typed VALUES (1, ''x'')', '{typed/1 >x}', 'a RENAME of a type''s attribute, in replica mode');

-- Inheritance children have watches of their own.
CREATE TABLE app.base (id int, status text);
CREATE TABLE app.derived () INHERITS (app.base);
SELECT webhook.watch('app.base', id_columns => '{id}', parent_only => true);
SELECT webhook.watch('app.derived', id_columns => '{id}');
ALTER TABLE app.base RENAME status TO state;
SELECT pg_temp.publishes('INSERT INTO app.base VALUES (1, ''x''); INSERT INTO app.derived VALUES (2, ''x''); UPDATE app.base SET state = ''y''',
	'{base/1 >x,derived/2 >x,base/1 x>y,derived/2 x>y}', 'a RENAME on a table with inheritance children');
SELECT is((SELECT format('%s %s %s', parent_only, children, problem) FROM webhook.watched_table WHERE relation = 'app.base'::regclass), 't {app.derived} ',
	'watched_table names them');

--
-- Triggers that call the function in a wrong way
--
CREATE TABLE app.wrong (id int PRIMARY KEY, status text);
CREATE FUNCTION pg_temp.wrong(timing text, level text, arguments text, change text, function text DEFAULT 'enqueue')
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result	text;
BEGIN
	EXECUTE format('CREATE TRIGGER wrong %s ON app.wrong FOR EACH %s EXECUTE FUNCTION webhook_internal.%s(%s)',
				   timing, level, function, arguments);
	result := throws_ok(change, '39P01', NULL, format('%s %s %s(%s)', timing, level, function, arguments));
	DROP TRIGGER wrong ON app.wrong;
	RETURN result;
END $$;
SELECT pg_temp.wrong(timing, level, arguments, 'INSERT INTO app.wrong VALUES (1, ''x'')')
  FROM (VALUES
	('BEFORE INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', 1, ''id'''),
	('AFTER INSERT', 'STATEMENT', '''t'', ''wrong'', ''status'', '''', 1, ''id'''),
	('AFTER INSERT', 'ROW', ''),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', 1'),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', 0, ''id'''),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', ''-1'', ''id'''),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', 2, ''id'''),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', 4294967297, ''id'''),
	('AFTER INSERT', 'ROW', '''t'', ''wrong'', ''status'', '''', ''id'', ''id'''))
	AS v (timing, level, arguments);
SELECT pg_temp.wrong('AFTER INSERT', 'ROW', '', 'INSERT INTO app.wrong VALUES (1, ''x'')', 'drop_replicated');
SELECT pg_temp.wrong('BEFORE INSERT', 'STATEMENT', '', 'INSERT INTO app.wrong VALUES (1, ''x'')', 'drop_replicated');
INSERT INTO app.wrong VALUES (1, 'x');
SELECT pg_temp.wrong('AFTER UPDATE', 'ROW', '', 'UPDATE app.wrong SET id = 2', 'drop_replicated');
SELECT throws_ok('SELECT webhook_internal.enqueue()', '39P01', NULL, 'a call that is no trigger');

--
-- Rows that replication brings into the ring are dropped.
--
CREATE FUNCTION pg_temp.replicate(table_no int) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
	rows	int;
BEGIN
	SET LOCAL session_replication_role = replica;
	EXECUTE format('INSERT INTO webhook_internal.event_%s (id, txid, created_at, event_id, kind, event_type, data)
		VALUES (1, pg_current_xact_id(), now(), gen_random_uuid(), ''e'', ''App.Other'', ''{}'')', table_no);
	GET DIAGNOSTICS rows = ROW_COUNT;
	SET LOCAL session_replication_role = origin;
	RETURN rows;
END $$;
SELECT is(pg_temp.replicate(n), 0, format('a row replicated into event_%s is dropped', n))
  FROM generate_series(0, 3) AS n;

SELECT * FROM finish();
ROLLBACK;
