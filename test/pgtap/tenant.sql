--
-- What are tenants, which roles act for them, and what may these do within which caps?
--
BEGIN;
SELECT no_plan();

CREATE ROLE regress_acme;
CREATE ROLE regress_acme_clerk;
CREATE ROLE regress_globex;
CREATE ROLE regress_admin;
CREATE ROLE regress_operator;
CREATE ROLE regress_reader;
CREATE ROLE regress_group;
CREATE ROLE regress_other;
GRANT regress_acme TO regress_acme_clerk;
GRANT regress_reader TO regress_group;
SELECT webhook.grant_admin('regress_admin'), webhook.grant_operator('regress_operator'), webhook.grant_reader('regress_reader');
SELECT webhook.define_event_type('App.Signed'), webhook.define_event_type('App.Secret'), webhook.define_event_type('Other.Type');

-- The fields of the error that a command raises, NULL if it raises none.
CREATE FUNCTION pg_temp.refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	argument text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE command;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS argument = COLUMN_NAME, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, nullif(argument, ''),
		CASE WHEN hint = '' THEN 'without a hint' END, concat_ws(': ', message, nullif(detail, '')));
END
$$;
CREATE FUNCTION pg_temp.as_role(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	result := pg_temp.refusal(command);
	PERFORM set_config('role', 'none', true);
	RETURN result;
END
$$;

-- define_tenant()
SELECT webhook.define_tenant('acme', '{App.*}', 3, 10, 5);
SELECT is(to_jsonb(t) - 'created_at' - 'channel', '{"name": "acme", "events": ["App.*"], "rate_limit": 5, "max_in_flight": 10, "max_subscriptions": 3}', 'view tenant')
	FROM webhook.tenant t;
SELECT webhook.define_tenant('globex');
SELECT is(to_jsonb(t) - 'created_at' - 'channel', '{"name": "globex", "events": ["*"], "rate_limit": null, "max_in_flight": null, "max_subscriptions": 20}', '... with defaults')
	FROM webhook.tenant t WHERE name = 'globex';
SELECT is(array_agg(detail ORDER BY at)::text, ARRAY[
	'{"new": {"name": "acme", "events": ["App.*"], "rate_limit": 5, "max_in_flight": 10, "max_subscriptions": 3}}',
	'{"new": {"name": "globex", "events": ["*"], "rate_limit": null, "max_in_flight": null, "max_subscriptions": 20}}']::jsonb[]::text, 'the audit says so')
	FROM webhook.audit WHERE action = 'define_tenant';
SELECT webhook.define_tenant('globex');
SELECT is(count(*)::integer, 2, '... but nothing of what changes nothing') FROM webhook.audit WHERE action = 'define_tenant';

-- What is not given is kept, and 0 is no cap.
CREATE FUNCTION pg_temp.caps() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', events, max_subscriptions, coalesce(max_in_flight::text, '-'), coalesce(rate_limit::text, '-'))
		FROM webhook.tenant WHERE name = 'initech'
$$;
SELECT webhook.define_tenant('initech', '{App.*}', 7, 6, 5);
SELECT webhook.define_tenant('initech');
SELECT is(pg_temp.caps(), '{App.*} 7 6 5', 'nothing given, nothing changed');
SELECT webhook.define_tenant('initech', max_subscriptions => 8);
SELECT is(pg_temp.caps(), '{App.*} 8 6 5', 'one cap alone');
SELECT webhook.define_tenant('initech', '{Other.*}', max_in_flight => 0);
SELECT is(pg_temp.caps(), '{Other.*} 8 - 5', '0 is no cap of requests at once');
SELECT webhook.define_tenant('initech', max_in_flight => 4, rate_limit => 0);
SELECT is(pg_temp.caps(), '{Other.*} 8 4 -', '... nor of requests a second');
SELECT webhook.define_tenant('initech', max_in_flight => NULL, rate_limit => 3);
SELECT is(pg_temp.caps(), '{Other.*} 8 4 3', 'null keeps a cap');
DELETE FROM webhook_internal.tenant WHERE name = 'initech';
SELECT isnt(a.channel, b.channel, 'each has a channel of its own')
	FROM webhook_internal.tenant a, webhook_internal.tenant b
	WHERE a.name = 'acme' AND b.name = 'globex';
CREATE TEMPORARY TABLE refused (call text, refusal text);
INSERT INTO refused VALUES
	('define_tenant(NULL)', '22004 tenant tenant must not be null'),
	('define_tenant('''')', '22023 tenant tenant must have between 1 and 63 bytes, not 0'),
	('define_tenant(repeat(''x'', 64))', '54000 tenant tenant must have between 1 and 63 bytes, not 64'),
	('define_tenant('' x'')', '22023 tenant tenant must not begin or end with a blank, nor contain control characters'),
	('define_tenant(''x '')', '22023 tenant tenant must not begin or end with a blank, nor contain control characters'),
	('define_tenant(E''x\ny'')', '22023 tenant tenant must not begin or end with a blank, nor contain control characters'),
	('define_tenant(E''\x7f'')', '22023 tenant tenant must not begin or end with a blank, nor contain control characters'),
	('define_tenant(''x'', ''{}'')', '22023 events events must not be empty'),
	('define_tenant(''x'', ''{App.Unknown}'')', '42704 events event type "App.Unknown" does not exist'),
	('define_tenant(''x'', ''{webhook.*}'')', '22023 events invalid event type pattern: "webhook.*": No pattern includes event types that begin with "webhook.".'),
	('define_tenant(''x'', array_fill(''App.*''::text, ''{501}''))', '54000 events events of 501 entries is too long: The maximum is 500 entries.'),
	('define_tenant(''x'', max_subscriptions => -1)', '22023 max_subscriptions max_subscriptions must not be negative, but is -1'),
	('define_tenant(''x'', max_in_flight => -1)', '22023 max_in_flight max_in_flight must be between 1 and 10000, not -1'),
	('define_tenant(''x'', max_in_flight => 10001)', '22023 max_in_flight max_in_flight must be between 1 and 10000, not 10001'),
	('define_tenant(''x'', rate_limit => -1)', '22023 rate_limit rate_limit must be between 0.00001 and 10000 requests a second, not -1'),
	('define_tenant(''x'', rate_limit => ''NaN'')', '22023 rate_limit rate_limit must be between 0.00001 and 10000 requests a second, not NaN');
SELECT is(pg_temp.refusal('SELECT webhook.' || call), refusal, call) FROM refused;

-- grant_tenant(): roles that see or may do more than one tenant's cannot have it
SELECT webhook.grant_tenant('regress_acme', 'acme'), webhook.grant_tenant('regress_globex', 'globex');
SELECT webhook.grant_tenant('regress_acme', 'acme');
SELECT is(count(*)::integer, 2, 'the audit has what was granted') FROM webhook.audit WHERE action = 'grant_tenant';
CREATE ROLE regress_super SUPERUSER;
CREATE ROLE regress_bypass BYPASSRLS;
CREATE ROLE regress_all_data IN ROLE pg_read_all_data;
CREATE ROLE regress_lead ROLE regress_acme;
CREATE ROLE regress_copier REPLICATION;
CREATE ROLE regress_member IN ROLE regress_copier;
CREATE ROLE regress_creator CREATEROLE;
TRUNCATE refused;
INSERT INTO refused VALUES
	('grant_tenant(NULL, ''acme'')', '22004 role role must not be null'),
	('grant_tenant(12345::regrole, ''acme'')', '42704 role role with OID 12345 does not exist'),
	('grant_tenant(''regress_other'', NULL)', '22004 tenant tenant must not be null'),
	('grant_tenant(''regress_other'', ''nobody'')', '42704 tenant tenant "nobody" does not exist'),
	('grant_tenant(''regress_super'', ''acme'')', '0LP01 role role regress_super cannot act for tenant "acme": It is a superuser.'),
	('grant_tenant(''regress_bypass'', ''acme'')', '0LP01 role role regress_bypass cannot act for tenant "acme": It bypasses row-level security.'),
	('grant_tenant(''regress_copier'', ''acme'')', '0LP01 role role regress_copier cannot act for tenant "acme": It may replicate all tables.'),
	('grant_tenant(''regress_member'', ''acme'')', '0LP01 role role regress_member cannot act for tenant "acme": It is a member of regress_copier, which may replicate all tables.'),
	('grant_portal(''regress_copier'')', '0LP01 role role regress_copier cannot act by tokens: It may replicate all tables.'),
	('grant_tenant(''regress_all_data'', ''acme'')', '0LP01 role role regress_all_data cannot act for tenant "acme": It is a member of pg_read_all_data.'),
	('grant_tenant(''regress_reader'', ''acme'')', '0LP01 role role regress_reader cannot act for tenant "acme": It has other privileges on the extension.'),
	('grant_tenant(''regress_group'', ''acme'')', '0LP01 role role regress_group cannot act for tenant "acme": It is a member of regress_reader, which has other privileges on the extension.'),
	('grant_tenant(''regress_globex'', ''acme'')', '0LP01 role role regress_globex cannot act for tenant "acme": It acts for tenant "globex" already.'),
	('grant_tenant(''regress_acme_clerk'', ''globex'')', '0LP01 role role regress_acme_clerk cannot act for tenant "globex": It is a member of regress_acme, which acts for tenant "acme".'),
	('grant_tenant(''regress_lead'', ''globex'')', '0LP01 role role regress_lead cannot act for tenant "globex": Its member regress_acme acts for tenant "acme".'),
	('grant_reader(''regress_acme'')', '0LP01 role role regress_acme acts for tenant "acme": A role of a tenant has no other rights.'),
	('grant_operator(''regress_lead'')', '0LP01 role role regress_acme acts for tenant "acme": It is a member of role regress_lead.'),
	('grant_backup(''regress_acme'')', '0LP01 role role regress_acme acts for tenant "acme": A role of a tenant has no other rights.');
SELECT is(pg_temp.refusal('SELECT webhook.' || call), refusal, call) FROM refused;
SELECT is(pg_temp.refusal(format('SELECT webhook.grant_tenant(%L, %L)', current_user, 'acme')), concat('0LP01 role role ', current_user, ' cannot act for tenant "acme": It is a superuser.'), 'the owner');
SELECT is(pg_temp.refusal($$ SELECT webhook.grant_tenant('regress_creator', 'acme') $$), CASE WHEN current_setting('server_version_num')::integer < 160000
	THEN '0LP01 role role regress_creator cannot act for tenant "acme": It may grant itself the privileges of others.' END, 'a role that creates roles, which may see more before PostgreSQL 16');
SELECT webhook.grant_backup('regress_other');
SELECT is(pg_temp.refusal($$ SELECT webhook.grant_tenant('regress_other', 'acme') $$), '0LP01 role role regress_other cannot act for tenant "acme": It has other privileges on the extension.',
	'a role that dumps');
SELECT webhook.revoke('regress_other');
SELECT webhook.grant_tenant('regress_other', 'acme');
SELECT is(has_function_privilege('regress_other', 'webhook.subscribe'::regproc, 'EXECUTE'), true, 'after revoke() it may act');
SELECT webhook.revoke('regress_other');
SELECT is(count(*)::integer, 0, 'revoke() takes the tenant back') FROM webhook_internal.tenant_role WHERE role = 'regress_other'::regrole;
SELECT is(pg_temp.as_role('regress_other', 'SELECT * FROM webhook.tenant'), '42501 without a hint permission denied for schema webhook', '... and all privileges');

-- Who acts for whom
CREATE FUNCTION pg_temp.acts(role name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE 'SELECT concat_ws('' '', (SELECT count(*) FROM webhook.tenant), (SELECT string_agg(name, '','' ORDER BY name) FROM webhook.tenant))' INTO result;
	PERFORM set_config('role', 'none', true);
	RETURN result;
END
$$;
SELECT is(pg_temp.acts('regress_acme'), '1 acme', 'a tenant sees itself');
SELECT is(pg_temp.acts('regress_acme_clerk'), '1 acme', '... as does a member of its role');
SELECT is(pg_temp.acts('regress_reader'), '2 acme,globex', 'a reader sees all');
SELECT is(pg_temp.acts('regress_group'), '2 acme,globex', '... as does a member of a reader');
GRANT regress_globex TO regress_acme_clerk;
SELECT is(pg_temp.acts('regress_acme_clerk'), '0', 'a member of two tenants sees none');
REVOKE regress_globex FROM regress_acme_clerk;
GRANT USAGE ON SCHEMA webhook TO regress_other;
GRANT SELECT ON webhook.tenant TO regress_other;
GRANT EXECUTE ON FUNCTION
	webhook_internal.sees_all, webhook_internal.my_tenant, webhook.pause, webhook.subscribe
	TO regress_other;
SELECT is(pg_temp.acts('regress_other'), '0', 'a role with privileges on the view alone sees none');
SELECT is(pg_temp.as_role('regress_other', $$ SELECT webhook.subscribe('https://example.com/', '{*}') $$), '42501 role "regress_other" acts for no tenant',
	'... and subscribes to nothing');

-- A tenant's subscriptions within its caps, whoever makes them
SET ROLE regress_acme;
SELECT webhook.subscribe('https://example.com/1', '{App.Signed}') AS acme1 \gset
SELECT webhook.subscribe('https://example.com/2', '{*}', tenant => 'acme', max_in_flight => 10, rate_limit => 5) AS acme2 \gset
RESET ROLE;
SET ROLE regress_globex;
SELECT webhook.subscribe('https://example.com/1', '{App.Signed}') AS globex \gset
RESET ROLE;
SELECT webhook.subscribe('https://example.com/1', '{App.Signed}') AS platform \gset
SELECT is(array_agg(tenant::text ORDER BY id), ARRAY['acme', 'acme', 'globex', NULL], 'duplicates are of one tenant') FROM webhook_internal.subscription;
TRUNCATE refused;
INSERT INTO refused VALUES
	('subscribe(''https://example.com/1'', ''{App.*}'')', '23505 endpoint endpoint "https://example.com/1" is already subscribed to event type "App.Signed": Subscription 1 gets "App.Signed".'),
	('subscribe(''https://example.com/3'', ''{App.*}'', tenant => ''globex'')', '42704 tenant tenant "globex" does not exist'),
	('subscribe(''https://example.com/3'', ''{App.*}'', tenant => ''nobody'')', '42704 tenant tenant "nobody" does not exist'),
	('subscribe(''https://example.com/3'', ''{Other.Type}'')', '42704 events event type "Other.Type" does not exist'),
	('subscribe(''https://example.com/3'', ''{Other.None}'')', '42704 events event type "Other.None" does not exist'),
	('subscribe(''https://example.com/3'', ''{Other.Type,App.None}'')', '42704 events event type "Other.Type" does not exist'),
	('subscribe(''https://example.com/3'', ''{Other.None,App.None}'')', '42704 events event type "Other.None" does not exist'),
	('subscribe(''https://example.com/3'', ''{App.*}'', ca => ''x.pem'')', '42501 ca ca is set by administrators'),
	('subscribe(''https://example.com/3'', ''{App.*}'', client_certificate => ''x.pem'')', '42501 client_certificate client_certificate is set by administrators'),
	('subscribe(''https://example.com/3'', ''{App.*}'', max_in_flight => 11)', '53400 max_in_flight max_in_flight must be at most 10 for tenant "acme", not 11'),
	('subscribe(''https://example.com/3'', ''{App.*}'', rate_limit => 5.5)', '53400 rate_limit rate_limit must be at most 5 for tenant "acme", not 5.5'),
	('alter_subscription(1, ca => '''')', '42501 ca ca is set by administrators'),
	('alter_subscription(1, events => ''{Other.Type}'')', '42704 events event type "Other.Type" does not exist'),
	('alter_subscription(1, max_in_flight => 11)', '53400 max_in_flight max_in_flight must be at most 10 for tenant "acme", not 11'),
	('alter_subscription(1, rate_limit => 6)', '53400 rate_limit rate_limit must be at most 5 for tenant "acme", not 6'),
	('alter_subscription(1, endpoint => ''https://example.com/2'')', '23505 endpoint endpoint "https://example.com/2" is already subscribed to event type "App.Signed": Subscription 2 gets "*".');
SELECT is(pg_temp.as_role('regress_acme', 'SELECT webhook.' || call), replace(refusal, 'Subscription 1', 'Subscription ' || :acme1), call)
	FROM refused WHERE :acme1 = 1;
SELECT is(pg_temp.refusal($$ SELECT webhook.subscribe('https://example.com/3', '{Other.Type}', tenant => 'acme') $$), '22023 events tenant "acme" may not get event type "Other.Type"',
	'an administrator is told why');
SELECT webhook.subscribe('https://example.com/3', '{App.Secret}', tenant => 'acme') AS acme3 \gset
SELECT is(pg_temp.as_role('regress_acme', $$ SELECT webhook.subscribe('https://example.com/4', '{App.*}') $$), '53400 tenant tenant "acme" may have no more subscriptions: It has 3, and the maximum is 3.',
	'an administrator''s count, too');
SELECT is(pg_temp.refusal($$ SELECT webhook.subscribe('https://example.com/4', '{App.*}', tenant => 'acme') $$), '53400 tenant tenant "acme" may have no more subscriptions: It has 3, and the maximum is 3.',
	'... and have the same maximum');

-- Whose a subscription is stays, whoever changes the table.
SELECT is(pg_temp.refusal(format('UPDATE webhook_internal.subscription SET tenant = %s WHERE id = %s', tenant, :acme1)),
		format('55000 tenant the tenant of subscription %s cannot be changed', :acme1), concat('by hand: ', tenant))
	FROM unnest(ARRAY['NULL', '''globex''']) AS tenant;
SELECT is(pg_temp.refusal(format('UPDATE webhook_internal.subscription SET tenant = tenant WHERE id = %s', :acme1)), NULL, '... but what changes nothing is no change');
SELECT is(pg_temp.refusal(format('UPDATE webhook_internal.subscription SET id = id + 1000 WHERE id = %s', :acme1)),
	format('55000 id the id of subscription %s cannot be changed', :acme1), '... nor can its id, by hand');
SELECT is(pg_temp.refusal(format('UPDATE webhook_internal.subscription SET id = id WHERE id = %s', :acme1)), NULL, '... but what changes nothing is no change');

-- Caps below what exists
TRUNCATE refused;
INSERT INTO refused VALUES
	('define_tenant(''acme'', max_subscriptions => 2)', '55000 max_subscriptions tenant "acme" has 3 subscriptions'),
	('define_tenant(''acme'', max_in_flight => 9)', '55000 max_in_flight a subscription of tenant "acme" has a max_in_flight of 10'),
	('define_tenant(''acme'', rate_limit => 4)', '55000 rate_limit a subscription of tenant "acme" has a rate_limit of 5');
SELECT is(pg_temp.refusal('SELECT webhook.' || call), refusal, call) FROM refused;

-- If it has more all the same, that stays, and there is no more.
UPDATE webhook_internal.tenant SET max_subscriptions = 2, max_in_flight = 9, rate_limit = 4 WHERE name = 'acme';
SELECT lives_ok($$ SELECT webhook.define_tenant('acme', max_subscriptions => 2, rate_limit => 4, events => '{App.*}') $$, 'a cap that is the same is not judged again');
SELECT is(pg_temp.as_role('regress_acme', format('SELECT webhook.alter_subscription(%s, description => ''x'')', :acme2)), NULL, 'what is above a new cap can be changed otherwise');
SELECT is(pg_temp.as_role('regress_acme', format('SELECT webhook.alter_subscription(%s, max_in_flight => 11)', :acme2)),
	'53400 max_in_flight max_in_flight must be at most 9 for tenant "acme", not 11', '... but not raised');
SELECT is(pg_temp.as_role('regress_acme', $$ SELECT webhook.subscribe('https://example.com/4', '{App.*}') $$), '53400 tenant tenant "acme" may have no more subscriptions: It has 3, and the maximum is 2.',
	'... and there are no more subscriptions');

-- A foreign id is an unknown one.
SELECT is(pg_temp.as_role('regress_acme', replace(call, '$1', :'globex')), replace(pg_temp.as_role('regress_acme', replace(call, '$1', '1234567')), '1234567', :'globex'),
		concat(call, ': a foreign subscription is an unknown one'))
	FROM unnest(ARRAY[
		'SELECT webhook.alter_subscription($1, description => ''x'')', 'SELECT webhook.unsubscribe($1)', 'SELECT webhook.pause($1)',
		'SELECT webhook.resume($1)', 'SELECT webhook.ping($1)', 'SELECT webhook.recover($1, ''-infinity'')',
		'SELECT webhook.retry($1)', 'SELECT webhook.skip($1, ''x'')', 'SELECT webhook.secret($1)', 'SELECT webhook.rotate_secret($1)',
		'SELECT webhook.subscription_options($1)']) AS call;
SELECT is(pg_temp.as_role('regress_acme', format('SELECT webhook.pause(%s)', :platform)), '42704 subscription subscription ' || :platform || ' does not exist', 'so is the platform''s');
SELECT is(pg_temp.as_role(role, format('SELECT webhook.pause(%s), webhook.resume(%1$s)', :acme1)), NULL, concat(role, ' acts for acme'))
	FROM unnest('{regress_acme,regress_acme_clerk,regress_operator,regress_admin}'::name[]) AS role;
SELECT is(pg_temp.as_role('regress_acme', 'SELECT webhook.define_tenant(''acme'', max_subscriptions => 100)'), '42501 without a hint permission denied for function define_tenant',
	'a tenant does not raise its own caps');

SELECT * FROM finish();
ROLLBACK;
