--
-- Can a role without grants do nothing but change contracts, and are its changes
-- events?
--
SELECT proname AS "open to all" FROM pg_proc
	WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
		AND has_function_privilege('public', oid, 'EXECUTE');
SELECT relname AS "open to all" FROM pg_class
	WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND relkind IN ('r', 'p', 'v')
		AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT sequencename AS "open to all" FROM pg_sequences
	WHERE schemaname ~ '^webhook'
		AND has_sequence_privilege('public', format('%I.%I', schemaname, sequencename), 'USAGE, SELECT, UPDATE');
SELECT nspname AS "open to all" FROM pg_namespace
	WHERE nspname ~ '^webhook' AND has_schema_privilege('public', oid, 'USAGE, CREATE');

CREATE ROLE regress_webhook_stranger;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
GRANT SELECT, INSERT, UPDATE, DELETE ON business_request TO regress_webhook_stranger;
SELECT webhook.watch('business_request');

\set VERBOSITY sqlstate
SET ROLE regress_webhook_stranger;
SELECT webhook.publish('App.BusinessRequestStatusChange', '{}');
SELECT webhook.subscribe('https://example.com/hook', '{App.BusinessRequestStatusChange}');
SELECT webhook.watch('business_request');
SELECT webhook.drain();
SELECT webhook.ping(1);
SELECT webhook.resend('00000000-0000-7000-8000-000000000000', 1);
SELECT webhook.cancel('00000000-0000-7000-8000-000000000000', 1);
SELECT webhook.skip(1, 'business_request/1');
SELECT webhook.recover(1, '2026-01-01');
SELECT webhook.explain('00000000-0000-7000-8000-000000000000', 1);
SELECT webhook_internal.command('x', 1);
SELECT webhook_internal.replay(1, 'resend', 1, '0', '00000000-0000-7000-8000-000000000000', now(), 'App.Forged', NULL, '{}', NULL, NULL);
SELECT * FROM webhook_internal.ring;
SELECT * FROM webhook.pending_delivery;
SELECT * FROM webhook.dead_letter;
SELECT * FROM webhook.stat_subscription;
SELECT * FROM webhook_internal.subscription_state;
SELECT * FROM webhook.event;
SELECT * FROM webhook.log;
SELECT * FROM webhook_internal.subscription_secret;
INSERT INTO webhook_internal.event_0 (id) VALUES (1);
CREATE TABLE forged (id bigint PRIMARY KEY, status text);
CREATE TEMPORARY TABLE forged (id bigint PRIMARY KEY, status text);
CREATE TRIGGER forged AFTER INSERT ON forged
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.enqueue();
\set VERBOSITY default

-- Its changes are events, whatever is in its search_path.
CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'gotcha' $$;
SET search_path = pg_temp;
INSERT INTO public.business_request VALUES (1, 'Draft');
UPDATE public.business_request SET status = 'Approved';
DELETE FROM public.business_request;
RESET search_path;
RESET ROLE;
SELECT subject, data FROM webhook.event
	WHERE subject = 'business_request/1' ORDER BY id;

-- Its changes are events under row-level security, too.
ALTER TABLE business_request ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON business_request USING (id > 1);
SET ROLE regress_webhook_stranger;
INSERT INTO business_request VALUES (2, 'Draft');
RESET ROLE;
SELECT subject, data FROM webhook.event
	WHERE subject = 'business_request/2' ORDER BY id;

-- With EXECUTE on the functions no other privilege is needed, but TRIGGER for
-- watch() and ownership for unwatch(), as for CREATE TRIGGER and DROP TRIGGER.
BEGIN;
SELECT webhook.define_event_type('App.ContractSigned');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 2001;
GRANT USAGE ON SCHEMA webhook, webhook_internal TO regress_webhook_stranger;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal TO regress_webhook_stranger;
SET LOCAL ROLE regress_webhook_stranger;
SELECT webhook.publish('App.BusinessRequestStatusChange', '{"a":  1}', 'stranger') IS NOT NULL AS published;
SELECT webhook.subscribe('https://example.com/hook', '{App.BusinessRequestStatusChange}') IS NOT NULL AS subscribed;
SAVEPOINT here;
\set VERBOSITY terse
SELECT * FROM webhook.subscription;
ROLLBACK TO here;
SELECT * FROM webhook_internal.subscription;
ROLLBACK TO here;
SELECT webhook.unwatch('business_request');
ROLLBACK TO here;
SELECT webhook.watch('business_request', 'App.ContractSigned');
ROLLBACK TO here;
SET LOCAL search_path = pg_temp;
CREATE TEMPORARY TABLE subscription (id bigint);
SELECT webhook.define_event_type('App.ContractEnded');
SELECT webhook.alter_subscription(2001, filter => '$.a == 1', max_age => '1 day');
SELECT webhook.ping(2001) AS ping \gset
SELECT webhook.skip(2001, 'stranger');
SELECT webhook.recover(2001, '2026-01-01', 'infinity', 'missing');
SELECT webhook.explain(:'ping', 2001) LIKE 'It is an event of type webhook.ping%' AS explained;
\set VERBOSITY default
RESET ROLE;
SELECT data FROM webhook.event WHERE subject = 'stranger';
SELECT endpoint, created_by FROM webhook_internal.subscription;
ROLLBACK;

DROP TABLE business_request;
DROP OWNED BY regress_webhook_stranger;
DROP ROLE regress_webhook_stranger;
