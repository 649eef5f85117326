--
-- Do the numbers of events grow in order, and leave lastval() of an application
-- alone?
--
BEGIN;
SELECT plan(6);

CREATE TABLE contract (id serial PRIMARY KEY, status text);
SELECT webhook.watch('contract');
CREATE ROLE clerk;
GRANT INSERT, SELECT ON contract TO clerk;
GRANT USAGE, SELECT ON SEQUENCE contract_id_seq TO clerk;

SET ROLE clerk;
INSERT INTO contract (status) VALUES ('Draft');
SELECT is(lastval(), 1::bigint, 'lastval() is the id of the contract');
INSERT INTO contract (status) SELECT 'Draft' FROM generate_series(1, 3000);
SELECT is(lastval(), 3001::bigint, '... also after more events than are reserved at a time');
RESET ROLE;

SELECT is(count(DISTINCT id), 3001::bigint, 'no number is given twice')
FROM webhook.event WHERE subject LIKE 'contract/%';
SELECT is(count(*), 0::bigint, 'numbers grow in the order of the changes')
FROM (SELECT id, lag(id) OVER (ORDER BY substring(subject FROM '\d+$')::int) AS former
	  FROM webhook.event WHERE subject LIKE 'contract/%') e
WHERE id <= former;
SELECT ok((SELECT last_value FROM webhook_internal.event_id_seq) >= max(id),
		  'the sequence is not behind, so that numbers after a dump or a restart are higher')
FROM webhook.event;

-- As after a restore: the sequence has been set.
SELECT setval('webhook_internal.event_id_seq', 1000000);
SELECT webhook_internal.command('c', NULL);
INSERT INTO contract (status) VALUES ('Draft');
SELECT cmp_ok(max(id), '>', 1000000::bigint, 'numbers go on above a value that was set')
FROM webhook.event WHERE subject LIKE 'contract/%';

SELECT * FROM finish();
ROLLBACK;
