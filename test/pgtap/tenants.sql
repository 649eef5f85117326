--
-- Whose is an event? What does each tenant, and the platform, get of a change?
-- (What is delivered to whom: test/t/067_tenants.pl.)
--
BEGIN;
SELECT no_plan();
SET LOCAL webhook.context = '';

-- Rows since the last call, in order: kind, tenant, subject and data.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook_internal.ring;
CREATE FUNCTION pg_temp.events() RETURNS text LANGUAGE sql AS $$
	WITH new_rows AS (
		SELECT r.* FROM webhook_internal.ring r, looked l
			WHERE r.id > l.id AND r.event_type IS NOT NULL
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(n.id) FROM new_rows n))
	)
	SELECT coalesce(string_agg(format('%s %s %s %s>%s%s', kind, coalesce(tenant, '-'), subject,
			coalesce(data ->> 'OldStatus', 'null'), coalesce(data ->> 'NewStatus', 'null'),
			' ' || (data ->> 'Record')), E'\n' ORDER BY id), '') FROM new_rows;
$$;

CREATE TABLE request (id int PRIMARY KEY, status text, partner text, title text);
SELECT webhook.watch('request', data_columns => '{title,partner}', tenant_column => 'partner');

-- one tenant
INSERT INTO request VALUES (1, 'Draft', 'acme', 'a'), (2, 'Draft', NULL, 'n');
SELECT is(pg_temp.events(), $$e acme request/1 null>Draft {"title":"a","partner":"acme"}
e - request/2 null>Draft {"title":"n","partner":null}$$, 'an event has the tenant of its row, or none');
UPDATE request SET status = 'Signed' WHERE id = 1;
SELECT is(pg_temp.events(), 'e acme request/1 Draft>Signed {"title":"a","partner":"acme"}', 'a change');
UPDATE request SET title = 'b' WHERE id = 1;
SELECT is(pg_temp.events(), '', 'no change of the status is no event');

-- another tenant
UPDATE request SET partner = 'best', title = 'c' WHERE id = 1;
SELECT is(pg_temp.events(), $$t acme request/1 Signed>null {"title":"b","partner":"acme"}
t best request/1 null>Signed {"title":"c","partner":"best"}$$, 'another tenant: deleted for one, created for the other, each with its own values');
UPDATE request SET partner = 'acme', status = 'Done' WHERE id = 1;
SELECT is(pg_temp.events(), $$t best request/1 Signed>null {"title":"c","partner":"best"}
t acme request/1 null>Done {"title":"c","partner":"acme"}
p acme request/1 Signed>Done {"title":"c","partner":"acme"}$$, 'another status as well: the platform gets the change');
UPDATE request SET partner = NULL WHERE id = 1;
SELECT is(pg_temp.events(), 't acme request/1 Done>null {"title":"c","partner":"acme"}', 'to nobody: deleted for the tenant alone');
UPDATE request SET partner = 'acme', status = 'New' WHERE id = 1;
SELECT is(pg_temp.events(), $$t acme request/1 null>New {"title":"c","partner":"acme"}
p acme request/1 Done>New {"title":"c","partner":"acme"}$$, 'from nobody: created for the tenant');
UPDATE request SET partner = 'best', id = 11 WHERE id = 1;
SELECT is(pg_temp.events(), $$e acme request/1 New>null {"title":"c","partner":"acme"}
e best request/11 null>New {"title":"c","partner":"best"}$$, 'another key as well: for the platform, too, it is two events');
DELETE FROM request WHERE id = 11;
SELECT is(pg_temp.events(), 'e best request/11 New>null {"title":"c","partner":"best"}', 'a deletion');

-- two rows change tenants with each other
INSERT INTO request VALUES (3, 'A', 'acme', 't3'), (4, 'B', 'best', 't4');
SELECT pg_temp.events();
UPDATE request SET partner = CASE partner WHEN 'acme' THEN 'best' ELSE 'acme' END WHERE id IN (3, 4);
SELECT is(pg_temp.events(), $$t acme request/3 A>null {"title":"t3","partner":"acme"}
t best request/3 null>A {"title":"t3","partner":"best"}
t best request/4 B>null {"title":"t4","partner":"best"}
t acme request/4 null>B {"title":"t4","partner":"acme"}$$, 'a swap');

-- COPY cannot run here; MERGE and upserts
MERGE INTO request r USING (VALUES (3, 'acme'), (5, 'acme')) AS v (id, partner) ON r.id = v.id
	WHEN MATCHED THEN UPDATE SET partner = v.partner
	WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'Draft', v.partner, 'm');
SELECT is(pg_temp.events(), $$t best request/3 A>null {"title":"t3","partner":"best"}
t acme request/3 null>A {"title":"t3","partner":"acme"}
e acme request/5 null>Draft {"title":"m","partner":"acme"}$$, 'MERGE');
INSERT INTO request VALUES (5, 'Draft', 'best', 'u') ON CONFLICT (id) DO UPDATE SET partner = excluded.partner;
SELECT is(pg_temp.events(), $$t acme request/5 Draft>null {"title":"m","partner":"acme"}
t best request/5 null>Draft {"title":"m","partner":"best"}$$, 'an upsert');

-- the column: altered, renamed, gone
ALTER TABLE request RENAME COLUMN partner TO customer;
UPDATE request SET status = 'Sent' WHERE id = 5;
SELECT is(pg_temp.events(), 'e best request/5 Draft>Sent {"title":"m","customer":"best"}', 'a rename is followed');
SELECT is(tenant_column::text, 'customer', 'watched_table has the new name') FROM webhook.watched_table WHERE relation = 'request'::regclass;
SELECT webhook.alter_watch('request', tenant_column => '');
UPDATE request SET status = 'Back' WHERE id = 5;
SELECT is(pg_temp.events(), 'e - request/5 Sent>Back {"title":"m","customer":"best"}', 'a tenant column can be taken away');
SELECT webhook.alter_watch('request', tenant_column => 'customer', data_columns => '{title}');
UPDATE request SET status = 'Sent' WHERE id = 5;
SELECT is(pg_temp.events(), 'e best request/5 Back>Sent {"title":"m"}', 'and be given');
SELECT webhook.alter_watch('request', status_column => 'status');
UPDATE request SET status = 'Back' WHERE id = 5;
SELECT is(pg_temp.events(), 'e best request/5 Sent>Back {"title":"m"}', 'it is kept when something else is altered');
SET LOCAL client_min_messages = error;
ALTER TABLE request DROP COLUMN customer;
UPDATE request SET status = 'Gone' WHERE id = 5;
RESET client_min_messages;
SELECT is(pg_temp.events(), '', 'a tenant column that is gone: no event');
SELECT is(problem, 'a status, key or tenant column is missing, so there is no event', 'watched_table says so')
	FROM webhook.watched_table WHERE relation = 'request'::regclass;
SELECT is(ok, false, 'health() says so') FROM webhook.health() WHERE check_name = 'watches';

-- values of other types, and such that no tenant's name is
CREATE TYPE house AS ENUM ('north', 'south');
CREATE DOMAIN partner_id AS bigint;
CREATE DOMAIN padded AS char(10);
CREATE TABLE typed (id int PRIMARY KEY, status text, t1 bigint, t2 uuid, t3 house, t4 partner_id,
	t5 date, t6 boolean, t7 text[], t8 text, t9 char(10), t10 padded);
CREATE FUNCTION pg_temp.tenant_of(tenant_column name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found	text;
BEGIN
	PERFORM webhook.watch('typed', tenant_column => tenant_column);
	UPDATE typed SET status = status || '.';
	SELECT r.tenant INTO found FROM webhook_internal.ring r
		WHERE r.subject = 'typed/1' ORDER BY r.id DESC LIMIT 1;
	PERFORM webhook.unwatch('typed');
	RETURN found;
END
$$;
INSERT INTO typed VALUES (1, 's', 9007199254740993, '0198A8A0-0000-7000-8000-000000000001', 'south', 7, '2026-11-30', true, '{a,b}', '', 'acme', 'two words');
SET LOCAL datestyle = 'German';
SELECT is(pg_temp.tenant_of(c.name::name), c.tenant, format('tenant in column %s', c.name))
	FROM (VALUES ('t1', '9007199254740993'), ('t2', '0198a8a0-0000-7000-8000-000000000001'), ('t3', 'south'), ('t4', '7'),
		('t5', '2026-11-30'), ('t6', 'true'), ('t7', '["a","b"]'), ('t8', ''),
		('t9', 'acme'), ('t10', 'two words')) AS c (name, tenant);
RESET datestyle;
UPDATE typed SET t8 = repeat('ä', 31);
SELECT is(pg_temp.tenant_of('t8'), repeat('ä', 31), 'a name of 62 bytes');
UPDATE typed SET t8 = repeat('x', 64);
SELECT is(pg_temp.tenant_of('t8'), encode(sha256(repeat('x', 64)::bytea), 'hex'), 'a text that is too long for a name is no tenant''s');

-- moves between partitions are one change, or three rows
CREATE TABLE part (id int, status text, partner text, PRIMARY KEY (id, partner))
	PARTITION BY LIST (partner);
CREATE TABLE part_acme PARTITION OF part FOR VALUES IN ('acme');
CREATE TABLE part_best PARTITION OF part FOR VALUES IN ('best');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
SELECT webhook.watch('part', id_columns => '{id}', tenant_column => 'partner');
INSERT INTO part VALUES (1, 'A', 'acme');
SELECT pg_temp.events();
UPDATE part SET partner = 'best', status = 'B';
SELECT is(pg_temp.events(), $$t acme part/1 A>null
t best part/1 null>B
p best part/1 A>B$$, 'a move to another tenant''s partition: for the platform it is the change');
UPDATE part SET partner = 'acme';
SELECT is(pg_temp.events(), $$t best part/1 B>null
t acme part/1 null>B$$, 'and none where the status is the same');
UPDATE part SET partner = 'acme', id = 2 WHERE id = 1;
SELECT is(pg_temp.events(), $$e acme part/1 B>null
e acme part/2 null>B$$, 'a new key');
UPDATE part SET partner = 'best', id = 3 WHERE id = 2;
SELECT is(pg_temp.events(), $$e acme part/2 B>null
e best part/3 null>B$$, 'a new key of another tenant');
WITH moved AS (DELETE FROM part WHERE id = 3 RETURNING *) INSERT INTO part SELECT id, status, 'acme' FROM moved;
SELECT is(pg_temp.events(), $$e best part/3 B>null
e acme part/3 null>B$$, 'a deletion and an insertion of one statement are two events');

-- what is rolled back is nobody's
SAVEPOINT s;
UPDATE part SET partner = 'best';
ROLLBACK TO s;
SELECT is(pg_temp.events(), '', 'a change that is rolled back');

-- publish()
SELECT webhook.publish('App.BusinessRequestStatusChange', '{}', 'x/1', 'acme');
SELECT webhook.publish('App.BusinessRequestStatusChange', '{}', 'x/2', tenant => NULL);
SELECT is(pg_temp.events(), E'e acme x/1 null>null\ne - x/2 null>null', 'publish() takes a tenant');
SELECT is(string_agg(tenant, ',' ORDER BY id), 'acme', 'webhook.event shows it') FROM webhook.event WHERE subject LIKE 'x/_';

SELECT ok(webhook_internal.is_for('e', 'a', 'a') AND webhook_internal.is_for('t', 'a', 'a')
	AND webhook_internal.is_for('e', 'a', NULL) AND webhook_internal.is_for('e', NULL, NULL)
	AND webhook_internal.is_for('p', 'a', NULL), 'who gets which kind');
SELECT ok(NOT coalesce(w, false), 'who does not')
	FROM (VALUES (webhook_internal.is_for('p', 'a', 'a')), (webhook_internal.is_for('t', 'a', NULL)),
		(webhook_internal.is_for('e', 'b', 'a')), (webhook_internal.is_for('e', NULL, 'a')),
		(webhook_internal.is_for('r', 'a', 'a'))) AS v (w);

SELECT * FROM finish();
ROLLBACK;
