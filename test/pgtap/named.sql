--
-- Does subscribe() with a name make a subscription once, and set it to what is given after that?
--
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type(name) FROM unnest('{App.A,App.B,App.Old}'::text[]) AS name;
SELECT webhook.define_tenant('acme', max_subscriptions => 2), webhook.define_tenant('globex');

CREATE FUNCTION pg_temp.acts() RETURNS text LANGUAGE sql AS $$
	WITH gone AS (DELETE FROM webhook_internal.audit RETURNING *)
	SELECT coalesce(string_agg(concat_ws(' ', action, detail), '; ' ORDER BY at), '') FROM gone
$$;
-- All that is kept of a subscription, and the commands that the worker was given.
CREATE FUNCTION pg_temp.all_of() RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(s::text, ' ' ORDER BY s.id) || (SELECT string_agg(x::text, ' ' ORDER BY x.id) FROM webhook_internal.subscription_secret x)
			|| (SELECT count(*) FROM webhook_internal.ring)
		FROM webhook_internal.subscription s
$$;

CREATE TEMPORARY TABLE mine AS
	SELECT webhook.subscribe('https://example.com/crm', '{App.A,App.Old}', name => 'crm', description => 'CRM', timeout => '5 s',
		filter => '$.a == 1', headers => '{"X-A": "1"}', retry_schedule => '{6 s}', final_statuses => '{418}', log_bodies => 'none') AS id;
SELECT is(name, 'crm', 'the view has the name') FROM webhook.subscription;
SELECT matches(pg_temp.acts(), '^define_.*; subscribe .*"name": "crm"', 'the first call is in the audit');

-- The same call twice
CREATE TEMPORARY TABLE before AS SELECT pg_temp.all_of() AS everything;
SELECT is(webhook.subscribe('https://example.com:443/crm', '{App.A,App.Old}', name => 'crm', description => 'CRM', timeout => '5000 ms',
		filter => '$.a==1', headers => '{"X-A": "1"}', retry_schedule => '{6 s}', final_statuses => '{418,418}', log_bodies => 'none'), id,
	'the same call returns the same subscription') FROM mine;
SELECT is(pg_temp.all_of(), everything, '... changes nothing, and is no command') FROM before;
SELECT is(pg_temp.acts(), '', '... and is no row of the audit');

-- What is given replaces; what is not gets its default; these stay
SELECT webhook.pause(id) FROM mine;
SELECT webhook.alter_event_type('App.Old', deprecated => true);
CREATE TEMPORARY TABLE kept AS SELECT s.*, x.secret
	FROM webhook_internal.subscription s
		JOIN webhook_internal.subscription_secret x ON x.subscription_id = s.id;
SELECT pg_temp.acts();
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B,App.Old}', name => 'crm', ordered => false);
SELECT is(s::text, (k.id, NULL::text, 'https://example.com/crm/2', '{App.B,App.Old}', NULL, '{}', '{standard}', NULL, 'envelope', false, NULL, NULL, NULL, NULL, NULL,
		'{}', NULL, NULL, false, NULL, 'crm', true, true, k.created_at, k.created_by, k.since, k.home, NULL, NULL, NULL)::text,
	'id, pause and start stay, an event type that it has may be deprecated, the rest is as given or the default')
	FROM webhook_internal.subscription s, kept k;
SELECT is(array_agg(x.secret), array_agg(k.secret), 'the secret stays') FROM webhook_internal.subscription_secret x, kept k;
SELECT matches(pg_temp.acts(), '^subscribe {"new": {"events": \["App.B", "App.Old"\], "filter": null, .*"old": {"events": \["App.A",[^;]*$', 'what differs is one row of the audit');
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/crm/3', '{App.Old}') $$, '55000', NULL, 'a new one may not name it');
SELECT webhook.alter_subscription(id, enabled => false) FROM mine;
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm');
SELECT is((enabled, paused), (false, true), 'what is disabled stays so') FROM webhook.subscription;
SELECT webhook.alter_subscription(id, enabled => true), webhook.resume(id) FROM mine;

-- Secrets
SELECT webhook.rotate_secret(id) IS NOT NULL FROM mine;
SELECT pg_temp.acts();
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT is(array_agg(secret), '{whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}', 'another secret ends the former ones') FROM webhook_internal.subscription_secret;
SELECT is(pg_temp.acts(), 'subscribe {"new": {"secret": "***"}}', '... which is in the audit, without it');
UPDATE before SET everything = pg_temp.all_of();
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
SELECT is(pg_temp.all_of(), everything, 'the same secret once more changes nothing') FROM before;
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', secret => 'whs_0123456789abcdef0123456789', signature_schemes => '{standard,abp}');
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm') $$, '22023', NULL,
	'the secret that stays needs its signature scheme');
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');

-- Names are a tenant's own
SELECT isnt(webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', tenant => 'acme'), id, 'a tenant has names of its own') FROM mine;
SELECT is(count(DISTINCT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', tenant => t)), 2::bigint, '... each')
	FROM unnest('{acme,globex,globex}'::text[]) AS t;
SELECT webhook.subscribe('https://example.com/crm/4', '{App.B}', name => 'two', tenant => 'acme');
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/crm/5', '{App.B}', name => 'two', tenant => 'acme') $$,
	'what is there already is not over the caps');
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/crm/6', '{App.B}', name => 'new', tenant => 'acme') $$, '53400', NULL, 'a new one is');
SELECT throws_ok(format('SELECT webhook.subscribe(''https://example.com/crm/7'', ''{App.B}'', name => %L)', name), '22023',
	'name must not begin or end with a blank, nor contain control characters', 'a name that looks like another one')
	FROM unnest(ARRAY['crm ', ' crm', E'crm\n', E'c\trm']) AS name;
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'other') $$, '23505', NULL,
	'a name is no way around what is subscribed to already');
SELECT is(challenge <> '', true, 'another endpoint of a tenant has to be confirmed') FROM webhook_internal.subscription WHERE name = E'two\nlines';

-- A tenant's own call keeps what only the platform sets
CREATE ROLE regress_named;
SELECT webhook.grant_tenant('regress_named', 'acme');
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', tenant => 'acme', ca => 'their.pem');
SET ROLE regress_named;
SELECT webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm', description => 'ours');
RESET ROLE;
SELECT is(ca || ' ' || description, 'their.pem ours', 'files that the platform has chosen stay') FROM webhook.subscription WHERE name = 'crm' AND tenant = 'acme';

-- alter_subscription()
SELECT throws_ok(format('SELECT webhook.alter_subscription(%s, name => ''crm'')', webhook.subscribe('https://example.com/x', '{App.A}')),
	'42710', 'subscription "crm" already exists', 'a name that is taken');
SELECT webhook.alter_subscription(id, name => 'crm2') FROM mine;
SELECT is(webhook.subscribe('https://example.com/crm/2', '{App.B}', name => 'crm2'), id, 'renamed') FROM mine;
SELECT webhook.alter_subscription(id, name => '') FROM mine;
SELECT is(name, NULL, 'without a name') FROM webhook.subscription JOIN mine USING (id);
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, name => '''')', id), 'two may have none') FROM mine;

SELECT * FROM finish();
ROLLBACK;
