--
-- What does CREATE EXTENSION create?
--
SELECT extname, extversion, extrelocatable, extnamespace::regnamespace
	FROM pg_extension WHERE extname = 'webhook';

-- members; row types have been among them since PostgreSQL 17
SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C" AS member
	FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'webhook')
		AND deptype = 'e' AND classid <> 'pg_type'::regclass
	ORDER BY 1;

-- columns
SELECT a.attrelid::regclass AS relation, a.attname AS column,
		format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "not null",
		pg_get_expr(d.adbin, d.adrelid) AS default
	FROM pg_attribute a
		JOIN pg_class c ON c.oid = a.attrelid
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
		AND NOT c.relispartition AND a.attnum > 0
	ORDER BY c.relnamespace::regnamespace::text COLLATE "C", c.relname COLLATE "C", a.attnum;

-- indexes, constraints, options
SELECT indexdef FROM pg_indexes
	WHERE schemaname ~ '^webhook' AND tablename !~ '^log_'
	ORDER BY indexname COLLATE "C";
SELECT conrelid::regclass AS relation, conname, pg_get_constraintdef(oid) AS definition
	FROM pg_constraint
	WHERE connamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND contype NOT IN ('n', 'p')
	ORDER BY 1, 2;
SELECT oid::regclass AS relation, reloptions FROM pg_class
	WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND reloptions IS NOT NULL
	ORDER BY relname COLLATE "C";
SELECT tgrelid::regclass AS relation, tgname, tgenabled, pg_get_triggerdef(oid) AS definition
	FROM pg_trigger
	WHERE tgrelid::regclass::text ~ '^webhook' AND NOT tgisinternal
	ORDER BY 1, 2;

-- functions with their arguments, which users rely on
\pset format unaligned
SELECT oid::regproc AS function, pg_get_function_arguments(oid) AS arguments,
		pg_get_function_result(oid) AS result
	FROM pg_proc WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
	ORDER BY pronamespace::regnamespace::text COLLATE "C", proname COLLATE "C";
\pset format aligned

-- functions that run with the rights of the owner, and the settings that they run with
SELECT i.oid::regproc AS function, i.proconfig
	FROM pg_proc o JOIN pg_proc i USING (proname, proargtypes)
	WHERE o.pronamespace = 'webhook'::regnamespace AND i.pronamespace = 'webhook_internal'::regnamespace
		AND o.prosrc = 'webhook_door'
	ORDER BY i.proname COLLATE "C";

-- functions that are SECURITY DEFINER: none
SELECT oid::regproc AS function
	FROM pg_proc WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND prosecdef;

-- members without a comment: none
SELECT pg_describe_object(classid, objid, objsubid) AS "without a comment"
	FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'webhook')
		AND deptype = 'e' AND classid <> 'pg_type'::regclass
		AND obj_description(objid, classid::regclass::name) IS NULL;
SELECT a.attrelid::regclass AS "without a comment", a.attname
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v')
		AND NOT c.relispartition AND a.attnum > 0
		AND col_description(a.attrelid, a.attnum) IS NULL
	ORDER BY 1, a.attnum;
SELECT t.tgrelid::regclass AS "without a comment", t.tgname
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND NOT t.tgisinternal
		AND obj_description(t.oid, 'pg_trigger') IS NULL;

-- what pg_dump dumps
SELECT c.table_oid::regclass AS relation, c.condition
	FROM pg_extension, unnest(extconfig::regclass[], extcondition) AS c (table_oid, condition)
	WHERE extname = 'webhook'
	ORDER BY 1;

-- rows that are there from the start
SELECT name, description FROM webhook.event_type WHERE name LIKE 'App.Business%';

-- A watched table's trigger keeps the extension from being dropped without CASCADE.
BEGIN;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('business_request');
SAVEPOINT watched;
\set VERBOSITY terse
DROP EXTENSION webhook;
ROLLBACK TO watched;
SET LOCAL client_min_messages = warning;
DROP EXTENSION webhook CASCADE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'business_request'::regclass;
SELECT to_regnamespace('webhook'), to_regnamespace('webhook_internal');
INSERT INTO business_request VALUES (1, 'Draft');
ROLLBACK;

-- The schemas cannot be renamed: their names are in functions, views and the library.
\set VERBOSITY default
ALTER SCHEMA webhook RENAME TO hook;
ALTER SCHEMA webhook_internal RENAME TO hook_internal;
CREATE SCHEMA hook;
ALTER SCHEMA hook RENAME TO hook_internal;
DROP SCHEMA hook_internal;

-- What a dump would have for the leaves of the log only.
CREATE INDEX ON webhook.log (subject);
ALTER TABLE webhook.log ADD UNIQUE (id, logged_at);
ALTER TABLE webhook.log ADD COLUMN note text;

-- Relations of the extension keep what it finds them by, and what a dump and a crash need.
BEGIN;
CREATE FUNCTION refused(statement text, OUT state text, OUT message text, OUT detail text,
	OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END;
$$;
CREATE TABLE webhook_internal.log_20010101 (LIKE webhook.log INCLUDING DEFAULTS);
ALTER TABLE webhook.log ATTACH PARTITION webhook_internal.log_20010101
	FOR VALUES FROM ('2001-01-01 00:00+00') TO ('2001-01-02 00:00+00');
CREATE TABLE webhook.theirs (id int);
CREATE INDEX theirs_idx ON webhook_internal.pending (created_at);
\pset format unaligned
\x
SELECT r.* FROM unnest(ARRAY[
	'ALTER TABLE webhook.log RENAME TO l',
	'ALTER TABLE webhook.log RENAME COLUMN error TO e',
	'ALTER TABLE webhook.log SET SCHEMA public',
	'ALTER TABLE webhook_internal.log_20010101 RENAME TO l',
	'ALTER TABLE webhook_internal.log_20010101 SET SCHEMA public',
	'ALTER TABLE webhook_internal.log_20010101 SET UNLOGGED',
	'ALTER TABLE webhook_internal.subscription ADD COLUMN x int']) WITH ORDINALITY AS s (statement, n),
	refused(statement) AS r ORDER BY n;
\x
SELECT statement, message FROM unnest(ARRAY[
	'ALTER TABLE webhook_internal.pending RENAME TO p',
	'ALTER VIEW webhook.audit RENAME TO a',
	'ALTER TABLE webhook.audit RENAME TO a',
	'ALTER VIEW webhook.audit RENAME COLUMN at TO a',
	'ALTER SEQUENCE webhook_internal.event_id_seq RENAME TO s',
	'ALTER INDEX webhook_internal.event_1_txid_id_idx RENAME TO i',
	'ALTER TABLE webhook_internal.pending RENAME CONSTRAINT pending_pkey TO i',
	'ALTER TABLE webhook_internal.event_0 RENAME COLUMN txid TO x',
	'ALTER VIEW webhook.event SET SCHEMA public',
	'ALTER SEQUENCE webhook_internal.event_id_seq SET SCHEMA public',
	'ALTER TABLE webhook_internal.event_0 SET UNLOGGED',
	'ALTER TABLE webhook_internal.pending ALTER next_at SET STATISTICS 1, ADD x int',
	'SET search_path = webhook_internal; ALTER TABLE pending RENAME TO p',
	'ALTER TABLE webhook_internal.event_0 ADD COLUMN x int',
	'ALTER TABLE webhook_internal.checkpoint ADD COLUMN x int',
	'ALTER INDEX webhook_internal.theirs_idx RENAME TO i',
	'ALTER TABLE webhook.theirs RENAME TO t',
	'ALTER TABLE webhook.t RENAME id TO i',
	'ALTER TABLE webhook.t SET SCHEMA public',
	'ALTER TABLE webhook.log DETACH PARTITION webhook_internal.log_20010101',
	'ALTER TABLE webhook_internal.log_20010101 RENAME TO l',
	'ALTER TABLE IF EXISTS webhook_internal.absent RENAME TO l',
	'ALTER EXTENSION webhook DROP VIEW webhook.audit',
	'ALTER VIEW webhook.audit RENAME TO a']) WITH ORDINALITY AS s (statement, n),
	refused(statement) ORDER BY n;
CREATE ROLE regress_stranger;
GRANT USAGE ON SCHEMA webhook TO regress_stranger;
SET LOCAL ROLE regress_stranger;
ALTER TABLE webhook.log RENAME TO l;
ROLLBACK;
\pset format aligned

-- DROP SCHEMA public CASCADE leaves the extension alone.
BEGIN;
SET LOCAL client_min_messages = warning;
DROP SCHEMA public CASCADE;
SELECT webhook.publish('App.BusinessRequestStatusChange', '{}') IS NOT NULL AS published;
SELECT count(*) FROM webhook.stat_worker;
SELECT extname FROM pg_extension WHERE extname = 'webhook';
ROLLBACK;
