--
-- A session keeps the ring table open from row to row.  Is every index written, is no DDL
-- of the same transaction kept out, and does nothing of a rolled back part stay?
--
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type('Ring.A');
CREATE FUNCTION pg_temp.put(subject text) RETURNS void LANGUAGE sql AS $$
	SELECT webhook.publish('Ring.A', '{}', subject)
$$;
CREATE FUNCTION pg_temp.got() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(subject, ' ' ORDER BY id) FROM webhook.event WHERE event_type = 'Ring.A'
$$;
CREATE TEMPORARY TABLE ring AS
	SELECT format('webhook_internal.event_%s', n) AS name FROM generate_series(0, 3) AS n;
-- all ring tables, whichever is written to
CREATE FUNCTION pg_temp.each_table(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE (SELECT string_agg(format(command, name, right(name, 1)), ';') FROM ring);
END
$$;

-- ---- DDL between two rows

SELECT pg_temp.put('a');
SELECT lives_ok($$ SELECT pg_temp.each_table('CREATE INDEX mine_%2$s ON %1$s (subject)') $$, 'an index is created behind a row');
SELECT pg_temp.put('b');
SET LOCAL enable_seqscan = off;
SELECT is((SELECT count(*) FROM (SELECT subject FROM webhook_internal.event_0 WHERE subject IN ('a', 'b')
		UNION ALL SELECT subject FROM webhook_internal.event_1 WHERE subject IN ('a', 'b')
		UNION ALL SELECT subject FROM webhook_internal.event_2 WHERE subject IN ('a', 'b')
		UNION ALL SELECT subject FROM webhook_internal.event_3 WHERE subject IN ('a', 'b')) AS r), 2::bigint, 'it has the rows of before and after');
RESET enable_seqscan;
SELECT lives_ok($$ SELECT pg_temp.each_table('DROP INDEX webhook_internal.mine_%2$s') $$, 'it is dropped');
SELECT pg_temp.put('c');
SELECT lives_ok($$ SELECT pg_temp.each_table('REINDEX TABLE %1$s') $$, 'REINDEX of a table that was written to');
SELECT pg_temp.put('d');
SELECT lives_ok($$ SELECT pg_temp.each_table('ALTER TABLE %1$s SET (fillfactor = 90)') $$, 'ALTER TABLE of such a table');
SELECT pg_temp.put('e');

-- an index that runs code: the table is opened for each row
SELECT pg_temp.each_table('CREATE INDEX mine_%2$s ON %1$s (lower(subject))');
SELECT pg_temp.put('f');
SELECT pg_temp.put('g');
SELECT pg_temp.each_table('DROP INDEX webhook_internal.mine_%2$s');
SELECT is(pg_temp.got(), 'a b c d e f g', 'all rows are there');

-- an index that may keep buffers pinned: the same
SELECT pg_temp.each_table('CREATE INDEX mine_%2$s ON %1$s USING brin (created_at)');
SAVEPOINT brin;
SELECT pg_temp.put('y');
ROLLBACK TO brin;
SELECT pg_temp.put('z');
DELETE FROM webhook_internal.event_0 WHERE subject = 'z';
DELETE FROM webhook_internal.event_1 WHERE subject = 'z';
DELETE FROM webhook_internal.event_2 WHERE subject = 'z';
DELETE FROM webhook_internal.event_3 WHERE subject = 'z';
SELECT pg_temp.each_table('DROP INDEX webhook_internal.mine_%2$s');

-- ---- What is rolled back

SAVEPOINT s;
SELECT pg_temp.put('h');
ROLLBACK TO s;
SELECT pg_temp.put('i');
SAVEPOINT t;
SELECT pg_temp.put('j');
RELEASE t;
SELECT pg_temp.put('k');
DO $$
BEGIN
	FOR n IN 1 .. 50 LOOP
		BEGIN
			PERFORM pg_temp.put('x' || n);
			IF n % 2 = 1 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT is(pg_temp.got(), 'a b c d e f g i j k ' || (SELECT string_agg('x' || n, ' ' ORDER BY n) FROM generate_series(2, 50, 2) n),
	'what was rolled back is not, all else is');

-- an event trigger publishes before the statement itself needs a table
CREATE FUNCTION pg_temp.tell() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.put('ddl');
END
$$;
CREATE EVENT TRIGGER tell ON ddl_command_start EXECUTE FUNCTION pg_temp.tell();
SELECT lives_ok($$ SELECT pg_temp.each_table('REINDEX TABLE %1$s') $$, 'REINDEX of a table that an event trigger has written to');
SELECT lives_ok($$ SELECT pg_temp.each_table('CREATE INDEX mine_%2$s ON %1$s (subject)') $$, '... CREATE INDEX');
DROP EVENT TRIGGER tell;
SELECT alike(pg_temp.got(), '%ddl ddl', 'it has written rows');
CREATE OR REPLACE FUNCTION pg_temp.tell() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE $_$ DO $_d_$ BEGIN PERFORM pg_temp.put('do'); END $_d_$ $_$;
	EXECUTE $_$ EXPLAIN ANALYZE SELECT pg_temp.put('explain') $_$;
END
$$;
CREATE EVENT TRIGGER tell ON ddl_command_start EXECUTE FUNCTION pg_temp.tell();
SELECT lives_ok($$ SELECT pg_temp.each_table('DROP INDEX webhook_internal.mine_%2$s') $$, 'DROP INDEX where it has written by a statement that runs others');
DROP EVENT TRIGGER tell;
SELECT alike(pg_temp.got(), '%do explain', 'it has written rows');

-- ---- The extension itself

SAVEPOINT e;
SELECT pg_temp.put('l');
SELECT lives_ok('DROP EXTENSION webhook CASCADE', 'the extension is dropped behind a row');
ROLLBACK TO e;
SELECT pg_temp.put('m');
SELECT is(right(pg_temp.got(), 1), 'm', 'and is there again');

SELECT * FROM finish();
ROLLBACK;
