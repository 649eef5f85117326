--
-- Does config() give statements that recreate all of it, and change nothing where it is there?
--
-- It commits: test/t/010_pgtap.pl executes its statements in an empty database.
--
SELECT no_plan();

-- Options of every kind, and names that have to be quoted
CREATE SCHEMA "it's";
CREATE TABLE "it's"."new
line" (id int, "O'Key" int, status text, "sta""tus" text, partner text, PRIMARY KEY (id, "O'Key"));
CREATE TABLE contract (id bigint PRIMARY KEY, status text, title text);
CREATE TABLE child () INHERITS (contract);
CREATE TABLE parted (id int PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE TABLE parent (id bigint PRIMARY KEY, status text);
SELECT webhook.define_event_type('App.Signed', E'it''s a\\b\nof two lines', '{"type": "object", "required": ["a"]}', '{"a": "''\\"}');
SELECT webhook.define_event_type(name) FROM unnest('{App.Plain,App.Old,Other}'::text[]) AS name;
SELECT webhook.alter_event_type('App.BusinessRequestStatusChange', description => 'another');
SELECT webhook.define_tenant(E'a''c\\m e', '{App.*,Other,App.Old}', 7, 5, 0.3), webhook.define_tenant('globex'), webhook.define_tenant('idle', '{Other}', 0);
SELECT webhook.watch('"it''s"."new
line"', 'App.Signed', 'sta"tus', data_columns => '{status,"O''Key"}', name => E'na''me\n1', tenant_column => 'partner');
SELECT webhook.watch('contract', parent_only => true), webhook.watch('contract', 'App.Plain', id_columns => '{title}', parent_only => true);

-- Children that came after the watch, and triggers that are enabled in other ways
SELECT webhook.watch('parted'), webhook.watch('parent'), webhook.watch('parent', 'App.Signed'), webhook.watch('parent', 'Other');
CREATE TABLE late () INHERITS (parent);
ALTER TABLE parted ENABLE ALWAYS TRIGGER " webhook_App.BusinessRequestStatusChange";
ALTER TABLE parent ENABLE REPLICA TRIGGER " webhook_App.BusinessRequestStatusChange", DISABLE TRIGGER " webhook_App.Signed";

-- More than a tenant may have now
SELECT webhook.define_event_type('App.Secret');
SELECT webhook.define_tenant('less', '{*,webhook.delivery.failed}');
SELECT webhook.subscribe('https://example.com/less', '{App.Secret}', name => 'nothing left', tenant => 'less');
SELECT webhook.subscribe('https://example.com/less?key=' || key, events, tenant => 'less', max_in_flight => 9, rate_limit => 9)
	FROM (VALUES ('a', '{App.Secret,App.Plain}'::text[]), ('b', '{App.Plain,Other}'), ('c', '{webhook.delivery.failed}')) AS v (key, events);
SELECT webhook.define_tenant('less', '{App.Plain}', 4, 9, 9);

SELECT webhook.subscribe('https://example.com/all', '{App.Signed,Other,webhook.delivery.failed}', name => 'it''s "\''; DROP TABLE contract; --', description => E'x\\y',
	signature_schemes => '{standard,abp}', filter => '$.a == "it''s\n"', payload_format => 'raw', ordered => false, max_in_flight => 3, rate_limit => 0.3,
	timeout => '1500 ms', retry_schedule => '{1 s,36 h}', max_age => '8 days 1 s', final_statuses => '{400,422}', ca => 'ca.pem',
	client_certificate => 'c.pem', include_context => true, log_bodies => 'failed', headers => '{"X-A": "it''s\\"}');
SELECT webhook.subscribe('https://example.com/crm', '{*}', name => 'crm', tenant => E'a''c\\m e'), webhook.subscribe('https://example.com/crm', '{*}', name => 'crm', tenant => 'globex');
SELECT webhook.alter_subscription(webhook.subscribe('https://example.com/disabled', '{App.Old}', name => 'disabled'), enabled => false);
SELECT webhook.pause(webhook.subscribe('https://example.com/paused', '{App.Plain}', description => 'without a name'));
SELECT webhook.subscribe('https://example.com/?key=' || key, '{App.Plain}') FROM unnest('{one,two}'::text[]) AS key;
SELECT webhook.pause(webhook.subscribe('https://example.com/key', '{App.Plain}', name => 'key', headers => '{"X-Api-Key": "sesame"}'));
SELECT webhook.alter_event_type('App.Old', deprecated => true);

CREATE FUNCTION public.run(commands text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
END $$;
CREATE FUNCTION public.everything() RETURNS text LANGUAGE sql AS $$
	SELECT concat((SELECT string_agg(t::text, ' ' ORDER BY name) FROM webhook_internal.event_type t),
		(SELECT string_agg(t::text, ' ' ORDER BY name) FROM webhook_internal.tenant t),
		(SELECT string_agg(s::text, ' ' ORDER BY id) FROM webhook_internal.subscription s),
		(SELECT string_agg(s::text, ' ' ORDER BY id) FROM webhook_internal.subscription_secret s),
		(SELECT string_agg(w::text, ' ' ORDER BY relation, event_type) FROM webhook.watched_table w),
		(SELECT count(*) FROM webhook_internal.audit WHERE action <> 'config'), (SELECT count(*) FROM webhook_internal.ring))
$$;

CREATE TEMPORARY TABLE before AS SELECT public.everything() AS value;
SELECT public.run(ARRAY(SELECT webhook.config(true)));
SELECT is(public.everything(), value, 'run again, the statements change nothing') FROM before;
SELECT public.run(ARRAY(SELECT webhook.config()));
SELECT is(public.everything(), value, '... nor do those without secrets') FROM before;

SELECT is_empty($$ SELECT c FROM webhook.config() AS c WHERE c ~ 'whsec_|sesame|key=(one|two)' $$, 'nothing secret is in them unless it was asked for');
SELECT results_eq($$ SELECT c FROM webhook.config() AS c WHERE c ~ '^--' $$,
	$$ SELECT format('-- Subscription %s has credentials in its endpoint or headers; webhook.config(true) shows it.', name)
		FROM (SELECT concat(id, ' of tenant ' || to_json(tenant)) AS name FROM webhook.subscription WHERE endpoint ~ 'key=' UNION ALL SELECT '"key"') s $$,
	'... but that something is left out');
SELECT is((SELECT count(*) FROM webhook.config(true) AS c WHERE c ~ 'secret => ''whsec_'), (SELECT count(*) FROM webhook.subscription),
	'with secrets, each subscription has its own');
SELECT is((SELECT count(*) FROM webhook.audit WHERE action = 'config'), (SELECT count(*) FROM webhook.audit WHERE action = 'config' AND detail = '{"secrets": true}'),
	'secrets that are shown are in the audit, and nothing else');
SELECT is((SELECT count(*) FROM webhook.audit WHERE action = 'config'), 2::bigint, '... each time');

-- More than the caps of a tenant allow
UPDATE webhook_internal.tenant SET max_subscriptions = 1, rate_limit = 5 WHERE name = 'less';
SELECT results_eq($$ SELECT c FROM webhook.config() AS c WHERE c ~ 'Tenant|define_tenant.*less' $$, ARRAY[
	$$SELECT webhook.define_tenant('less', '{*,webhook.delivery.failed}', max_subscriptions => 4) WHERE NOT EXISTS (SELECT FROM webhook.tenant WHERE name = 'less');$$,
	$$SELECT webhook.define_tenant('less', '{App.Plain}', max_in_flight => '9');$$,
	'-- Tenant "less" has more than these caps allow: max_subscriptions, rate_limit.'],
	'a cap that could not be made is a comment');
UPDATE webhook_internal.tenant SET max_subscriptions = 4, rate_limit = 9 WHERE name = 'less';

-- What was changed by hand is as it was after that
SELECT webhook.alter_subscription(id, description => 'by hand', timeout => '9 s') FROM webhook.subscription WHERE name = 'crm' AND tenant = 'globex';
SELECT public.run(ARRAY['SELECT webhook.alter_event_type(''Other'', deprecated => true)'] || c) FROM before,
	LATERAL (SELECT array_agg(x) AS c FROM webhook.config(true) AS x WHERE x ~ 'event_type.*Other') y;
SELECT is(deprecated, false, 'an event type') FROM webhook.event_type WHERE name = 'Other';

-- A type that a tenant may get by name is not dropped: the statement could not define the tenant.
SELECT throws_ok($$ SELECT webhook.drop_event_type('App.Old') $$, '2BP01');
SELECT webhook.define_event_type('App.Gone'), webhook.define_tenant('idle', '{Other,App.Gone}');
SELECT throws_ok($$ SELECT webhook.drop_event_type('App.Gone') $$, '2BP01', 'cannot drop event type "App.Gone" because tenants may get it by name');
SELECT webhook.define_tenant('idle', '{Other}');
SELECT lives_ok($$ SELECT webhook.drop_event_type('App.Gone') $$, 'a type that no tenant may get by name can be dropped');

-- What keeps a watch from being recreated as it is
ALTER TABLE part RENAME TO "pa""rt";
ALTER TABLE ONLY "pa""rt" ENABLE REPLICA TRIGGER " webhook_App.BusinessRequestStatusChange";
ALTER TRIGGER " webhook_App.Signed" ON parent RENAME TO signed;
SELECT results_eq($$ SELECT c FROM webhook.config() AS c WHERE c ~ '^-- The watch' $$, ARRAY[
	'-- The watch of "public.parent" for App.Signed has a trigger of another name, which is enabled in another way: disabled.',
	'-- The watch of "public.parted" for App.BusinessRequestStatusChange is not the same on these partitions: ["public.\"pa\"\"rt\""].'],
	'what cannot be recreated of a watch is said');
SELECT is_empty($$ SELECT c FROM webhook.config() AS c WHERE c ~ '^ALTER TABLE public.parted' $$, '... and not changed here');
ALTER TABLE ONLY "pa""rt" ENABLE ALWAYS TRIGGER " webhook_App.BusinessRequestStatusChange";
ALTER TABLE "pa""rt" RENAME TO part;
ALTER TRIGGER signed ON parent RENAME TO " webhook_App.Signed";

-- A watch whose column is gone
ALTER TABLE contract DROP COLUMN title CASCADE;
SELECT is((SELECT c FROM webhook.config() AS c WHERE c ~ '^-- The watch'), '-- The watch of "public.contract" for App.Plain lacks columns: ["title"].',
	'a watch that lacks a column is a comment');
SELECT webhook.unwatch('contract', 'App.Plain');

-- What the worker has disabled is disabled where it is made, and is as it was here
BEGIN;
INSERT INTO webhook_internal.subscription_state AS t (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, probe_interval, disabled_at,
		suspended, delivered, failed, retried, filter_errors, rate, saved_at)
	SELECT s.id, 'disabled', 'closed', 1, 1, 1, 0, now(), '0', 0, 0, 0, 0, 0, now()
		FROM webhook_internal.subscription s
		WHERE s.name = 'crm' AND s.tenant = 'globex'
	ON CONFLICT (subscription_id) DO UPDATE
		SET state = 'disabled', disabled_at = now(), disabled_start_snapshot = NULL;
CREATE TEMPORARY TABLE gone ON COMMIT DROP AS
	SELECT array_agg(c) AS commands, public.everything() AS value
	FROM webhook.config(true) AS c WHERE c ~ 'globex';
SELECT public.run(commands) FROM gone;
SELECT cardinality(commands) AS statements, public.everything() = value AS same FROM gone \gset
DELETE FROM webhook_internal.subscription_state;
SELECT public.run(commands) FROM gone;
SELECT enabled FROM webhook.subscription WHERE name = 'crm' AND tenant = 'globex' \gset
ROLLBACK;
SELECT is(:statements, 4, 'a tenant, its subscription, that the worker has disabled it, and the tenant''s caps');
SELECT is(:'same'::text, 't', '... which changes nothing where it is so');
SELECT is(:'enabled'::text, 'f', '... and disables it where it is not');

SELECT * FROM finish();
