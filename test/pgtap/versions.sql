--
-- Do the events of each row come in the order of its versions, and does the last one
-- say how the row is, while triggers and functions change rows again, keys are shifted and
-- swapped, rows move between partitions, and some of it is rolled back?
--
SET client_min_messages = warning;
CREATE SCHEMA app;
CREATE TABLE app.plain (id int, region int, status text,
	CONSTRAINT plain_key UNIQUE (id, region) DEFERRABLE);
CREATE TABLE app.parted (id int, region int, status text,
	CONSTRAINT parted_key UNIQUE (id, region) DEFERRABLE) PARTITION BY LIST (region);
CREATE TABLE app.parted_0 PARTITION OF app.parted FOR VALUES IN (0);
CREATE TABLE app.parted_1 (status text, region int, id int);
ALTER TABLE app.parted ATTACH PARTITION app.parted_1 FOR VALUES IN (1);
CREATE TABLE app.early (LIKE app.plain INCLUDING ALL, note int);
CREATE TABLE app.moving (LIKE app.plain INCLUDING ALL, note int) PARTITION BY LIST (region);
CREATE TABLE app.moving_0 PARTITION OF app.moving FOR VALUES IN (0);
CREATE TABLE app.moving_1 PARTITION OF app.moving FOR VALUES IN (1);

CREATE FUNCTION app.any(below int) RETURNS int LANGUAGE sql AS 'SELECT floor(random() * below)::int';

-- What a trigger does once more: a statement about any rows, or nothing.  With a second
-- argument no key is changed.
CREATE FUNCTION app.again() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	choice	int := app.any(12);
	change	text := CASE choice
		WHEN 0 THEN 'UPDATE app.%I SET status = ''n'' || app.any(1000) WHERE id = app.any(8)'
		WHEN 1 THEN 'UPDATE app.%I SET id = 100 + id, region = id %% 2 WHERE id < 100 AND id = app.any(8)'
		WHEN 2 THEN 'DELETE FROM app.%I WHERE id = app.any(8)'
		WHEN 3 THEN 'UPDATE app.%I SET id = id + 1, region = (id + 1) %% 2 WHERE id > 100'
		WHEN 4 THEN 'UPDATE app.%I SET status = ''e'' || app.any(1000) WHERE id = app.any(8)' END;
BEGIN
	IF change IS NULL OR pg_trigger_depth() > 3 OR TG_NARGS > 1 AND choice IN (1, 3) THEN
		RETURN NEW;
	END IF;
	BEGIN
		EXECUTE format(change, TG_ARGV[0]);
		IF choice = 4 THEN
			RAISE division_by_zero;
		END IF;
	EXCEPTION WHEN division_by_zero OR unique_violation OR triggered_data_change_violation THEN
		NULL;
	END;
	RETURN NEW;
END
$$;

-- What a BEFORE trigger does: a statement about rows that this statement may have made.
CREATE FUNCTION app.before() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	change	text := CASE app.any(12)
		WHEN 0 THEN 'UPDATE app.%I SET status = ''b'' || app.any(1000) WHERE id <> $1 AND app.any(3) = 0'
		WHEN 1 THEN 'UPDATE app.%I SET note = app.any(1000) WHERE id <> $1'
		WHEN 2 THEN 'DELETE FROM app.%I WHERE id <> $1 AND app.any(3) = 0' END;
BEGIN
	IF change IS NULL OR pg_trigger_depth() > 3 THEN
		RETURN NEW;
	END IF;
	BEGIN
		EXECUTE format(change, TG_ARGV[0]) USING NEW.id;
		IF app.any(5) = 0 THEN
			RAISE division_by_zero;
		END IF;
	EXCEPTION WHEN division_by_zero OR unique_violation OR triggered_data_change_violation THEN
		NULL;
	END;
	RETURN NEW;
END
$$;

CREATE FUNCTION app.step(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	choice	int := app.any(8);
	change	text := CASE choice
		WHEN 0 THEN 'INSERT INTO app.%I SELECT g, g %% 2, ''i'' || app.any(1000) FROM generate_series(0, 7) AS g
			WHERE random() < 0.5 AND NOT EXISTS (SELECT FROM app.%1$I t WHERE t.id = g)'
		WHEN 1 THEN 'UPDATE app.%I SET id = 7 - id, region = (7 - id) %% 2 WHERE id < 8'
		WHEN 2 THEN 'UPDATE app.%I SET id = (id + 1) %% 8, region = (id + 1) %% 8 %% 2, status = ''s'' || app.any(1000) WHERE id < 8'
		WHEN 3 THEN 'DELETE FROM app.%I WHERE id > 100 OR random() < 0.2'
		WHEN 4 THEN 'WITH d AS (DELETE FROM app.%I WHERE id = 3 RETURNING id) INSERT INTO app.%1$I SELECT 3, 1, ''w'' FROM d'
		ELSE 'UPDATE app.%I SET status = ''u'' || app.any(1000)' END;
BEGIN
	EXECUTE format(change, name);
	IF choice = 5 THEN
		RAISE division_by_zero;
	END IF;
EXCEPTION WHEN division_by_zero OR unique_violation OR triggered_data_change_violation THEN
	NULL;
END
$$;

CREATE FUNCTION app.run(name text, seed float8, steps int, arguments text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER again AFTER INSERT OR UPDATE OR DELETE ON app.%I
		FOR EACH ROW EXECUTE FUNCTION app.again(%1$L%2$s)', name, arguments);
	PERFORM webhook.watch(format('app.%I', name)::regclass, id_columns => '{id}');
	PERFORM setseed(seed);
	FOR i IN 1 .. steps LOOP
		PERFORM app.step(name);
	END LOOP;
END
$$;
SELECT app.run('plain', 0.1, 400);
SELECT app.run('parted', 0.2, 400);
CREATE TRIGGER before BEFORE INSERT OR UPDATE ON app.early
	FOR EACH ROW EXECUTE FUNCTION app.before('early');
SELECT app.run('early', 0.3, 400, ', same_keys');
-- PostgreSQL 15 with assertions ends here by one of its own, with or without our triggers:
-- HEAP_XMAX_IS_LOCKED_ONLY in heap_update(). So nothing happens to this table there.
SELECT array_remove('{plain,parted,early,moving,item}',
	CASE current_setting('debug_assertions') WHEN 'on' THEN 'moving' END) AS played \gset
SELECT 'moving' = ANY (:'played') AS moves \gset
\if :moves
CREATE TRIGGER before BEFORE INSERT OR UPDATE ON app.moving
	FOR EACH ROW EXECUTE FUNCTION app.before('moving');
SELECT app.run('moving', 0.4, 400, ', same_keys');
\endif

-- A statement changes a row, and calls the triggers of another table before that row's.
CREATE TABLE app.tender (id int PRIMARY KEY, phase text);
CREATE TABLE app.request (id int PRIMARY KEY, status text,
	tender int REFERENCES app.tender ON UPDATE CASCADE);
CREATE FUNCTION app.sign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.request SET status = 'Signed' WHERE tender = NEW.id;
	RETURN NULL;
END
$$;
CREATE TRIGGER sign AFTER UPDATE ON app.tender FOR EACH ROW EXECUTE FUNCTION app.sign();
CREATE TABLE app.lot (tender int REFERENCES app.tender ON UPDATE CASCADE, status text);
CREATE FUNCTION app.award() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.lot SET status = 'Awarded' WHERE tender = NEW.id;
	RETURN NULL;
END
$$;
CREATE TRIGGER a_later_name AFTER UPDATE OF id ON app.tender
	FOR EACH ROW EXECUTE FUNCTION app.award();
SELECT webhook.watch('app.request'), webhook.watch('app.lot', id_columns => '{tender}');
INSERT INTO app.tender VALUES (1, 'open'), (2, 'open');
INSERT INTO app.request VALUES (11, 'Draft', 1);
INSERT INTO app.lot VALUES (2, 'Draft');
WITH t AS (UPDATE app.tender SET phase = 'done' WHERE id = 1 RETURNING id)
	UPDATE app.request AS r SET status = 'Approved' FROM t WHERE r.tender = t.id;
UPDATE app.tender SET id = 3 WHERE id = 2;

-- A statement whose triggers execute more than is held, in statements whose triggers change
-- rows again.
CREATE TABLE app.batch (id int);
CREATE TABLE app.item (id int PRIMARY KEY, status text);
CREATE FUNCTION app.fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO app.item SELECT g, 'new' FROM generate_series(NEW.id * 1000, NEW.id * 1000 + 999) AS g;
	RETURN NULL;
END
$$;
CREATE TRIGGER fill AFTER INSERT ON app.batch FOR EACH ROW EXECUTE FUNCTION app.fill();
CREATE FUNCTION app.check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.item SET status = 'checked' WHERE NEW.id % 1000 = 500 AND id = NEW.id + 1;
	UPDATE app.item SET status = 'checked twice' WHERE NEW.id % 1000 = 500 AND id = NEW.id + 1;
	RETURN NULL;
END
$$;
CREATE TRIGGER "check" AFTER INSERT ON app.item FOR EACH ROW EXECUTE FUNCTION app.check();
SELECT webhook.watch('app.item');
INSERT INTO app.batch SELECT generate_series(1, 13);

-- A row supersedes those before it, some of which the same statement has made.
CREATE TABLE app.version (id int PRIMARY KEY, contract int, status text);
CREATE FUNCTION app.supersede() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.version SET status = 'superseded'
		WHERE contract = NEW.contract AND id <> NEW.id AND status = 'active';
	RETURN NEW;
END
$$;
CREATE TRIGGER supersede BEFORE INSERT ON app.version FOR EACH ROW EXECUTE FUNCTION app.supersede();
CREATE FUNCTION app.note(contract int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE app.version SET status = 'noted' WHERE version.contract = note.contract;
	RETURN 'noted';
END
$$;
SELECT webhook.watch('app.version');
INSERT INTO app.version VALUES (1, 7, 'active'), (2, 7, 'active');
COPY app.version FROM stdin;
3	7	active
4	7	active
5	8	active
\.
WITH new AS (INSERT INTO app.version VALUES (6, 9, 'active') RETURNING contract) SELECT app.note(contract) FROM new;
-- More than is held.
INSERT INTO app.version SELECT g, 10, 'active' FROM generate_series(1001, 12000) AS g;

BEGIN;
SELECT plan(7 + 3 * cardinality(:'played'::text[]));
CREATE TEMPORARY VIEW history AS
	SELECT split_part(subject, '/', 1) AS name, split_part(subject, '/', 2)::int AS key, id,
			data ->> 'Operation' AS operation, data ->> 'OldStatus' AS old, data ->> 'NewStatus' AS new,
			lag(data ->> 'Operation', 1, 'DELETE') OVER w AS operation_before,
			lag(data ->> 'NewStatus') OVER w AS new_before,
			lead(id) OVER w IS NULL AS is_last
		FROM webhook.event
		WINDOW w AS (PARTITION BY subject ORDER BY id);
SELECT cmp_ok((SELECT count(*) FROM history h WHERE h.name = t.name), '>', 500::bigint, t.name || ': there are events')
	FROM unnest(:'played'::text[]) AS t (name);
SELECT is_empty(format('SELECT * FROM history WHERE name = %L AND (old IS DISTINCT FROM new_before
		OR (operation = ''INSERT'') <> (operation_before = ''DELETE''))', name),
	name || ': each event goes on from the one before it')
	FROM unnest(:'played'::text[] || '{request,lot}') AS t (name);
SELECT set_eq(format('SELECT key, new FROM history WHERE name = %L AND is_last AND operation <> ''DELETE''', name),
	format('SELECT id, status FROM app.%I', name), name || ': the last event says how the row is')
	FROM unnest(:'played'::text[]) AS t (name);
SELECT results_eq($$ SELECT new FROM history WHERE name = 'request' ORDER BY id $$, '{Draft,Approved,Signed}'::text[],
	'a row that a trigger of another table changes again');
SELECT results_eq($$ SELECT key || operation || coalesce(new, '') FROM history WHERE name = 'lot' ORDER BY id $$,
	'{2INSERTDraft,2DELETE,3INSERTDraft,3UPDATEAwarded}'::text[],
	'a row that gets another key by a cascade, and is changed again by a trigger of the other table');
SELECT results_eq('SELECT count(*) FROM history WHERE name = ''item''', ARRAY[13026::bigint], 'item: each change is an event');
SELECT results_eq($$ SELECT key || new FROM history WHERE name = 'version' AND key < 1000 ORDER BY id $$,
	'{1active,1superseded,2active,2superseded,3active,3superseded,4active,5active,6active,6noted}'::text[],
	'what a BEFORE trigger or a function changes of rows that the statement has made');
SELECT results_eq($$ SELECT new, count(DISTINCT key) FROM history WHERE name = 'version' AND key > 1000 GROUP BY new ORDER BY new $$,
	$$ VALUES ('active', 11000::bigint), ('superseded', 10999) $$, 'when they are too many, each change is an event');
SELECT * FROM finish();
ROLLBACK;
