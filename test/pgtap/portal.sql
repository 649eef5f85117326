--
-- Tokens: who may make one, what a session may do that has exchanged one, and until when.
--
BEGIN;
SELECT no_plan();

CREATE ROLE "Regress Portal";
CREATE ROLE regress_portal_two;
CREATE ROLE regress_portal_member IN ROLE "Regress Portal";
CREATE ROLE regress_acme;
CREATE ROLE regress_admin;
CREATE ROLE regress_operator;
CREATE ROLE regress_reader;
CREATE ROLE regress_other;
CREATE ROLE regress_lead ROLE "Regress Portal";
SELECT webhook.define_event_type('App.Signed');
SELECT webhook.define_tenant('acme'), webhook.define_tenant('globex');
SELECT webhook.grant_portal('"Regress Portal"'), webhook.grant_portal('regress_portal_two');
SELECT webhook.grant_tenant('regress_acme', 'acme');
SELECT webhook.grant_admin('regress_admin'), webhook.grant_operator('regress_operator'), webhook.grant_reader('regress_reader');

-- The fields of the error that a command raises as a role, NULL if it raises none.
CREATE FUNCTION pg_temp.as_role(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	argument text;
	message text;
	detail text;
	hint text;
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	BEGIN
		EXECUTE command;
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS argument = COLUMN_NAME, message = MESSAGE_TEXT,
			detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
		result := concat_ws(' ', SQLSTATE, nullif(argument, ''),
			CASE WHEN hint = '' THEN 'without a hint' END, concat_ws(': ', message, nullif(detail, '')));
	END;
	SET LOCAL ROLE NONE;
	RETURN result;
END
$$;
-- Which tenants a role sees.
CREATE FUNCTION pg_temp.acts(role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	SELECT string_agg(name, ',' ORDER BY name) INTO result FROM webhook.tenant;
	SET LOCAL ROLE NONE;
	RETURN result;
END
$$;

-- grant_portal()
SELECT is(array_agg(detail ->> 'role' ORDER BY at), '{"\"Regress Portal\"",regress_portal_two}', 'the audit has who may act by tokens')
	FROM webhook.audit WHERE action = 'grant_portal';
SELECT webhook.grant_portal('"Regress Portal"');
SELECT is(count(*)::integer, 2, '... but nothing of what changes nothing') FROM webhook.audit WHERE action = 'grant_portal';
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
CREATE TEMPORARY TABLE refused (call text, refusal text);
INSERT INTO refused VALUES
	('grant_portal(NULL)', '22004 role role must not be null'),
	('grant_portal(12345::regrole)', '42704 role role with OID 12345 does not exist'),
	('grant_portal(''regress_super'')', '0LP01 role role regress_super cannot act by tokens: It is a superuser.'),
	('grant_portal(''regress_bypass'')', '0LP01 role role regress_bypass cannot act by tokens: It bypasses row-level security.'),
	('grant_portal(''regress_admin'')', '0LP01 role role regress_admin cannot act by tokens: It has other privileges on the extension.'),
	('grant_portal(''regress_acme'')', '0LP01 role role regress_acme cannot act by tokens: It acts for tenant "acme" already.'),
	('grant_tenant(''"Regress Portal"'', ''acme'')', '0LP01 role role "Regress Portal" cannot act for tenant "acme": It has other privileges on the extension.'),
	('grant_reader(''"Regress Portal"'')', '0LP01 role role "Regress Portal" acts by tokens: A role of the portal has no other rights.'),
	('grant_admin(''regress_lead'')', '0LP01 role role "Regress Portal" acts by tokens: It is a member of role regress_lead.'),
	('grant_backup(''"Regress Portal"'')', '0LP01 role role "Regress Portal" acts by tokens: A role of the portal has no other rights.');
SELECT is(pg_temp.as_role('none', 'SELECT webhook.' || call), refusal, call) FROM refused;
SELECT is(pg_temp.as_role('regress_admin', 'SELECT webhook.grant_portal(''regress_other'')'), '42501 without a hint permission denied for function grant_portal', 'an administrator grants nothing');

-- portal_token()
SELECT matches(webhook.portal_token('acme'), '^[A-Za-z0-9_-]{43}$', 'a token');
SELECT isnt(webhook.portal_token('acme'), webhook.portal_token('acme'), '... is another each time');
SET ROLE regress_admin;
SELECT webhook.portal_token('acme') AS acme, webhook.portal_token('globex', '1 day', false) AS globex \gset
RESET ROLE;
SELECT is(concat_ws(' ', tenant, may_write, created_by, expires_at - created_at, exchanged_at, role, session_until, revoked_at), 'acme t regress_admin 00:15:00', 'what is kept of it')
	FROM webhook_internal.portal_token WHERE hash = sha256(:'acme');
SELECT is(concat_ws(' ', tenant, may_write, expires_at - created_at), 'globex f 1 day', '... as given')
	FROM webhook_internal.portal_token WHERE hash = sha256(:'globex');
SELECT is(count(*)::integer, 0, '... and the token is neither there nor in the audit')
	FROM (SELECT t::text FROM webhook_internal.portal_token t
		UNION ALL SELECT a::text FROM webhook_internal.audit a) AS r (line)
	WHERE strpos(r.line, :'acme') > 0;
SELECT is(concat_ws(' ', role, detail ->> 'tenant', detail ->> 'may_write'), 'regress_admin globex false', 'the audit has who made it, for whom')
	FROM webhook.audit WHERE action = 'portal_token' ORDER BY at DESC LIMIT 1;
TRUNCATE refused;
INSERT INTO refused VALUES
	('portal_token(NULL)', '22004 tenant tenant must not be null'),
	('portal_token('''')', '22023 tenant tenant must have between 1 and 63 bytes, not 0'),
	('portal_token(''nobody'')', '42704 tenant tenant "nobody" does not exist'),
	('portal_token(''acme'', NULL)', '22004 valid valid must not be null'),
	('portal_token(''acme'', ''0.9 s'')', '22023 valid valid must be between 1 second and 1 day, not 00:00:00.9'),
	('portal_token(''acme'', ''25 h'')', '22023 valid valid must be between 1 second and 1 day, not 25:00:00'),
	('portal_token(''acme'', may_write => NULL)', '22004 may_write may_write must not be null'),
	('revoke_portal_tokens(NULL)', '22004 tenant tenant must not be null'),
	('revoke_portal_tokens(''nobody'')', '42704 tenant tenant "nobody" does not exist');
SELECT is(pg_temp.as_role('regress_admin', 'SELECT webhook.' || call), refusal, call) FROM refused;
SELECT is(pg_temp.as_role(role, 'SELECT webhook.' || function || '(''acme'')'), '42501 without a hint permission denied for function ' || function, concat(role, ': ', function))
	FROM unnest('{regress_acme,regress_operator,regress_reader,"Regress Portal"}'::name[]) AS role, unnest('{portal_token,revoke_portal_tokens}'::text[]) AS function;

-- act_as()
SELECT is(pg_temp.acts('Regress Portal'), NULL, 'without a token a role of the portal sees nothing');
SELECT is(pg_temp.as_role('Regress Portal', $$ SELECT webhook.subscribe('https://example.com/', '{*}') $$), '42501 role "Regress Portal" acts for no tenant', '... and subscribes to nothing');
CREATE TEMPORARY TABLE refused_acts (role name, argument text, refusal text);
INSERT INTO refused_acts VALUES
	('Regress Portal', 'NULL', '22004 token token must not be null'),
	('Regress Portal', '''''', '22023 token the token is malformed'),
	('Regress Portal', 'repeat(''x'', 100000)', '22023 token the token is malformed'),
	('Regress Portal', quote_literal(:'acme' || ' '), '22023 token the token is malformed'),
	('Regress Portal', quote_literal(encode(sha256(:'acme'), 'hex')), '22023 token the token is malformed'),
	('Regress Portal', 'repeat(''x'', 43)', '28000 token the token is unknown'),
	('regress_super', quote_literal(:'acme'), '42501 role "regress_super" sees all tenants and cannot act for one'),
	('none', quote_literal(:'acme'), concat('42501 role "', current_user, '" sees all tenants and cannot act for one')),
	('regress_admin', quote_literal(:'acme'), '42501 without a hint permission denied for function act_as'),
	('regress_acme', quote_literal(:'acme'), '42501 without a hint permission denied for function act_as'),
	('regress_other', quote_literal(:'acme'), '42501 without a hint permission denied for schema webhook');
SELECT is(pg_temp.as_role(role, format('SELECT webhook.act_as(%s)', argument)), refusal, concat(role, ' with ', left(replace(argument, :'acme', '...'), 20)))
	FROM refused_acts;

SET ROLE "Regress Portal";
SELECT webhook.act_as(:'acme');
RESET ROLE;
SELECT is(pg_temp.acts('Regress Portal'), 'acme', 'with a token it sees the tenant');
SELECT is(concat_ws(' ', role, session_until - exchanged_at, revoked_at), '"Regress Portal" 12:00:00', '... for 12 hours')
	FROM webhook_internal.portal_token WHERE hash = sha256(:'acme');
SELECT is(concat_ws(' ', role, detail - 'created_at'), 'Regress Portal {"tenant": "acme", "may_write": true, "created_by": "regress_admin"}', '... and the audit says so')
	FROM webhook.audit WHERE action = 'act_as';
SELECT is(pg_temp.acts(role), tenants, concat(role, ' acts as before'))
	FROM (VALUES ('regress_portal_two', NULL), ('regress_portal_member', NULL), ('regress_lead', NULL), ('regress_acme', 'acme'), ('none', 'acme,globex')) AS v (role, tenants)
	WHERE role <> 'regress_lead';
SET ROLE "Regress Portal";
SELECT webhook.subscribe('https://example.com/acme', '{*}') AS subscription \gset
RESET ROLE;
SELECT is(tenant::text, 'acme', 'what it makes is the tenant''s') FROM webhook_internal.subscription WHERE id = :subscription;
SELECT is(pg_temp.as_role('Regress Portal', $$ SELECT webhook.subscribe('https://example.com/2', '{*}', tenant => 'globex') $$), '42704 tenant tenant "globex" does not exist', '... and of no other');
SELECT is(pg_temp.as_role('Regress Portal', format('SELECT webhook.act_as(%L)', :'globex')), '55000 this session acts for a tenant already', 'it does not change its tenant');
SELECT is(pg_temp.as_role('Regress Portal', command), problem, command)
	FROM (VALUES
		($$ SET webhook.acts_for = 'x' $$, '42501 without a hint permission denied to set parameter "webhook.acts_for"'),
		($$ RESET webhook.acts_for $$, '42501 without a hint permission denied to set parameter "webhook.acts_for"')) AS v (command, problem);
SELECT alike(pg_temp.as_role('Regress Portal', $$ SHOW webhook.acts_for $$), '42501 %to examine "webhook.acts_for"%', '... nor sees it in the setting');
SELECT is(pg_temp.as_role('none', $$ SET webhook.acts_for = 'x' $$), '42501 parameter "webhook.acts_for" cannot be set', 'a superuser does not set it either');
SELECT is(pg_temp.as_role('none', $$ SELECT set_config('webhook.acts_for', current_setting('webhook.acts_for'), true) $$), '42501 parameter "webhook.acts_for" cannot be set', '... not even to the same');
GRANT SET ON PARAMETER webhook.acts_for TO regress_portal_two;
SELECT is(pg_temp.as_role('regress_portal_two', $$ SET webhook.acts_for = 'x' $$), '42501 parameter "webhook.acts_for" cannot be set', '... nor does a role that may');

-- Functions of others do not act for it, and its own do for nobody else.
CREATE FUNCTION pg_temp.other_sees() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(name, ',') FROM webhook.tenant $$;
ALTER FUNCTION pg_temp.other_sees OWNER TO regress_portal_two;
CREATE FUNCTION pg_temp.portal_sees() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT string_agg(name, ',') FROM webhook.tenant $$;
ALTER FUNCTION pg_temp.portal_sees OWNER TO "Regress Portal";
SET ROLE "Regress Portal";
SELECT is(pg_temp.other_sees(), NULL, 'a SECURITY DEFINER function of another role sees nothing');
RESET ROLE;
SET ROLE regress_admin;
SELECT is(pg_temp.portal_sees(), 'acme', 'a SECURITY DEFINER function of the portal''s role sees the tenant alone');
RESET ROLE;

-- Used once
SET LOCAL webhook.acts_for = '';
SELECT is(pg_temp.acts('Regress Portal'), NULL, 'a reset ends it');
SELECT is(pg_temp.as_role('Regress Portal', format('SELECT webhook.act_as(%L)', :'acme')), '28000 token the token was used already', 'a token is used once');
SELECT webhook.portal_token('acme', '1 s') AS old \gset
UPDATE webhook_internal.portal_token SET expires_at = clock_timestamp() WHERE hash = sha256(:'old');
SELECT is(pg_temp.as_role('Regress Portal', format('SELECT webhook.act_as(%L)', :'old')), '28000 token the token has expired', 'a token expires');

-- What is rolled back was not
SET ROLE "Regress Portal";
SAVEPOINT before;
SELECT webhook.act_as(:'globex');
ROLLBACK TO before;
RESET ROLE;
SELECT is(pg_temp.acts('Regress Portal'), NULL, 'a rollback ends it');
SET ROLE "Regress Portal";
SELECT webhook.act_as(:'globex');

-- A token that only reads; plans that are kept
PREPARE tenants AS SELECT string_agg(name, ',') AS seen FROM webhook.tenant;
SET plan_cache_mode = force_generic_plan;
EXECUTE tenants \gset
SELECT is(:'seen'::text, 'globex', 'a plan sees the tenant');
SELECT lives_ok($$ SELECT webhook.series(now(), now(), '1 min') $$, 'a token that only reads reads');
SELECT is(webhook.may_write(), false, '... and says so');
RESET ROLE;
SELECT is(pg_temp.as_role('Regress Portal', 'SELECT ' || call), '42501 permission denied for function ' || substring(call from 'webhook.(\w+)') || ': The token of this session only reads.', concat('... but does not call ', call))
	FROM unnest(ARRAY['webhook.subscribe(''https://example.com/3'', ''{*}'')', 'webhook.secret(1)', 'webhook.subscription_options(1)', 'webhook.pause(1)',
		'webhook.ping(1)', 'webhook.unsubscribe(1)', 'webhook.rotate_secret(1)', 'webhook.cancel(gen_random_uuid(), 1)', 'webhook.skip(1, ''x'')',
		format('webhook.act_as(%L)', :'acme')]) AS call;
SELECT is(array_agg(p.proname::text ORDER BY p.proname) FILTER (WHERE p.proname <> 'openapi'), '{explain,notify_channel,series}', 'functions behind the door that a token calls which only reads')
	FROM pg_proc p
	WHERE p.pronamespace = 'webhook'::regnamespace AND p.prosrc = 'webhook_door' AND p.provolatile <> 'v'
		AND has_function_privilege('Regress Portal', p.oid, 'EXECUTE');

-- Revoked while the session is open
SELECT webhook.portal_token('globex') AS unused, webhook.portal_token('acme') AS acme2 \gset
SET ROLE regress_admin;
SELECT webhook.revoke_portal_tokens('globex');
RESET ROLE;
SELECT is(pg_temp.as_role('Regress Portal', command), '28000 this session acts for no tenant any more: Its token was revoked.', concat(command, ': revoked'))
	FROM unnest(ARRAY['SELECT * FROM webhook.tenant', 'EXECUTE tenants', 'SELECT webhook.explain(gen_random_uuid(), 1)', 'SELECT webhook.pause(1)']) AS command;
SELECT is(pg_temp.acts('none'), 'acme,globex', '... for nobody else');
SET LOCAL webhook.acts_for = '';
SELECT is(pg_temp.as_role('Regress Portal', format('SELECT webhook.act_as(%L)', :'unused')), '28000 token the token was revoked', 'a token that was not used is revoked, too');
SELECT is(detail, '{"tenant": "globex", "tokens": 1, "sessions": 1}', 'the audit has how many') FROM webhook.audit WHERE action = 'revoke_portal_tokens';
SELECT webhook.revoke_portal_tokens('globex');
SELECT is(count(*)::integer, 1, '... and nothing where there was none') FROM webhook.audit WHERE action = 'revoke_portal_tokens';

-- Another tenant's sessions go on; a session ends with its time, and with the role's right
SET ROLE "Regress Portal";
SELECT webhook.act_as(:'acme2');
EXECUTE tenants \gset
SELECT is(:'seen'::text, 'acme', 'a plan that was kept sees the other tenant');
RESET ROLE;
SELECT webhook.revoke_portal_tokens('globex');
SELECT is(pg_temp.acts('Regress Portal'), 'acme', 'the sessions of another tenant go on');
UPDATE webhook_internal.portal_token SET session_until = clock_timestamp() WHERE hash = sha256(:'acme2');
SELECT is(pg_temp.as_role('Regress Portal', 'SELECT * FROM webhook.tenant'), '28000 this session acts for no tenant any more: The longest time of such a session is over.', 'a session ends');
UPDATE webhook_internal.portal_token SET session_until = clock_timestamp() + interval '1 h' WHERE hash = sha256(:'acme2');
SELECT webhook.revoke('"Regress Portal"');
SELECT is(pg_temp.as_role('Regress Portal', 'SELECT * FROM webhook.tenant'), '42501 without a hint permission denied for schema webhook', 'revoke() takes the right');
SELECT webhook.grant_portal('"Regress Portal"');
SELECT is(pg_temp.as_role('Regress Portal', 'SELECT * FROM webhook.tenant'), '28000 this session acts for no tenant any more: Its token was revoked.', '... and ends what was open for good');
UPDATE webhook_internal.portal_token SET session_until = session_until - interval '2 days', expires_at = expires_at - interval '2 days';
SELECT webhook.portal_token('acme') AS last \gset
SELECT is(count(*)::integer, 1, 'tokens are forgotten a day after their end') FROM webhook_internal.portal_token;
SELECT is(pg_temp.as_role('Regress Portal', 'SELECT * FROM webhook.tenant'), '28000 this session acts for no tenant any more: Its token is gone.', '... and open nothing any more');

SELECT * FROM finish();
ROLLBACK;
