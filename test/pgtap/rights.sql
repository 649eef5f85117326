--
-- Which members of the extension may a stranger, a reader, an operator and an admin
-- use, and what can each of them do?
--
BEGIN;
SELECT no_plan();

CREATE ROLE regress_stranger;
CREATE ROLE regress_reader;
CREATE ROLE regress_operator;
CREATE ROLE regress_admin;
SELECT webhook.grant_reader('regress_reader');
SELECT webhook.grant_operator('regress_operator');
SELECT webhook.grant_admin('regress_admin');
CREATE ROLE regress_monitor;
SELECT webhook.grant_monitor('regress_monitor');
CREATE TEMPORARY TABLE actor (level int, role name);
INSERT INTO actor VALUES (0, 'regress_stranger'), (1, 'regress_reader'), (2, 'regress_operator'), (3, 'regress_admin');

-- The lowest level that may call the function or read the relation; 0: everybody, 4: the owner.
CREATE TEMPORARY TABLE least (kind text, schema name, member name, level int);
INSERT INTO least
	SELECT 'function', 'webhook_internal', 'enqueue', 0
UNION ALL
	SELECT 'function', 'webhook', unnest('{explain,health,may_write,my_tenant,notify_channel,openapi,series,sign,verify}'::name[]), 1
UNION ALL
	SELECT 'function', 'webhook_internal', unnest('{relation_bytes,table_metrics,state_of,worker_metrics,all_tenants,sees_all,my_tenant,matches_any,home,disabled,unconfirmed,pending_summary,worker_state,watch_arguments,reason_of,redacted_endpoint,redacted_headers}'::name[]), 1
UNION ALL
	SELECT 'function', 'webhook', unnest('{pause,resume,ping,resend,recover,retry,cancel,skip,drain}'::name[]), 2
UNION ALL
	SELECT 'function', 'webhook', unnest('{define_event_type,alter_event_type,drop_event_type,define_tenant,portal_token,revoke_portal_tokens,watch,unwatch,alter_watch,publish,check_endpoint,config,confirm,erase,subscribe,alter_subscription,
		subscription_options,unsubscribe,secret,rotate_secret,resume_database}'::name[]), 3
UNION ALL
	SELECT 'function', 'webhook_internal', unnest('{base_type,check_columns,check_tenant_column,clipped,is_own_type,require_event_type,require_list,require_not_null,
		alter_watch_trigger,lock_watched,other_watched,watch_detail,watch_label,watch_parts,watch_trigger,audit_of_watch,audit_watch}'::name[]), 3
UNION ALL
	SELECT 'function', 'webhook', unnest('{grant_monitor,grant_reader,grant_operator,grant_admin,grant_backup,grant_tenant,grant_portal,act_as,revoke}'::name[]), 4
UNION ALL
	SELECT 'function', 'webhook_internal', unnest('{
		accepts,bounds,caller,canonical_endpoint,checked_description,require_length,
		checked_duration,checked_events,checked_file,
		check_label,checked_log_bodies,checked_name,has_abp_secret,replace_subscription,
		store_options,
		config_key,config_subscription,erased_at,means,search_event,
		checked_filter,checked_format,checked_headers,checked_in_flight,checked_rate,
		checked_schedule,checked_schemes,checked_secret,checked_statuses,command,drop_replicated,
		forget_txid,find_event,grant_each,grant_level,privileges,audit_options,has_open_breaker,
		percentile,is_disabled,is_replay_to,require_event,matches,new_event_id,wake_worker,
		check_duplicate,has_name,require_trusted_table,raise_unknown_subscription,replay,
		require_enabled,
		require_subscription,require_unfenced,tell,set_paused,may_wait,check_subject,check_scheme,
		require_event_type_in,data_of_body,is_for,event_context,raise_unknown_event_type,
		require_definable_name,require_current,checked_json,checked_schema,warn_of_example,
		replace_event_type,keep_identity,changed_keys,old_and_new,is_ping,
		visible_event_types,key_name,nullable,
		allowed_values,type_schema,column_schema,columns_schema,watch_schema,derived_schema,
		moved_schema,body_schema,body_example,openapi_components,
		takes,warn_of_retention,start_snapshot,local_start_snapshot,is_processed,
		with_options,wanted_worker_processes,
		audit,audit_of,acts_on,count_challenges,check_challenges,
		with_challenge,is_unconfirmed,is_confirmation,
		caller_sees_all,caller_tenant,check_caps,check_tenant_events,check_tenant_name,
		lock_to_read,locked_tables,read_metrics,server_checks,table_checks,
		count_subscriptions,lock_tenant,privilege_of_role,problem_as_tenant,
		refuse_files,refuse_tenant,
		require_tenant,tenant_has,tenant_to_be,may_get,config_watch,
		act_by,acts_by_token,grant_own,is_for_portal,random_token,require_all_tenants}'::name[]), 4
UNION ALL
	-- what the functions of the same names in schema webhook do with the owner's rights
	SELECT 'function', 'webhook_internal', unnest('{
		alter_subscription,cancel,check_endpoint,config,confirm,erase,define_event_type,
		alter_event_type,
		drop_event_type,openapi,define_tenant,explain,notify_channel,act_as,grant_portal,
		portal_token,revoke_portal_tokens,
		grant_tenant,health,pause,ping,recover,resend,resume,revoke,resume_database,retry,
		rotate_secret,secret,series,skip,subscribe,subscription_options,unsubscribe}'::name[]), 4
UNION ALL
	SELECT 'relation', 'webhook', unnest('{event_type,subscription,event,log,pending_delivery,dead_letter,stat_pending,stat_subscription,
		stat_worker,metrics,tenant,watched_table,audit,stat_minute}'::name[]), 1
UNION ALL
	SELECT 'relation', 'webhook_internal', unnest('{pending_event,subscription_id}'::name[]), 1
UNION ALL
	SELECT 'relation', 'webhook_internal', unnest('{table_size,event_type,tenant,tenant_role,portal_token,subscription,subscription_secret,subscription_state,pending,pending_count,
		checkpoint,audit,stat_minute,ring,erasure,event_0,event_1,event_2,event_3,
		subscription_id_seq,subscription_secret_id_seq,event_id_seq}'::name[]), 4;

-- Functions, tables, views and sequences of the extension.
CREATE TEMPORARY VIEW member AS
	SELECT d.classid, d.objid,
			coalesce(p.pronamespace, c.relnamespace)::regnamespace::name AS schema,
			coalesce(p.proname, c.relname) AS name,
			CASE WHEN p.oid IS NOT NULL THEN 'function' ELSE 'relation' END AS kind, p.proargtypes, c.relkind
		FROM pg_depend d
			LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
			LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
			AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'webhook')
			AND (p.oid IS NOT NULL OR c.oid IS NOT NULL);
SELECT bag_eq('SELECT kind, schema, name FROM member', 'SELECT kind, schema, member FROM least',
	'the list above has each function, table, view and sequence');

-- Privileges in the catalogue
SELECT is(has_function_privilege(role, objid, 'EXECUTE'), actor.level >= least.level,
		format('%s %s call %s()', role, CASE WHEN actor.level >= least.level THEN 'may' ELSE 'may not' END, name))
	FROM actor, member JOIN least ON least.kind = member.kind AND least.schema = member.schema
		AND least.member = name
	WHERE member.kind = 'function';
SELECT is(has_table_privilege(role, objid, 'SELECT'), actor.level >= least.level,
		format('%s %s read %s.%s', role, CASE WHEN actor.level >= least.level THEN 'may' ELSE 'may not' END, member.schema, name))
	FROM actor, member JOIN least ON least.kind = member.kind AND least.schema = member.schema
		AND least.member = name
	WHERE member.kind = 'relation' AND relkind <> 'S';
SELECT is_empty(
	$$ SELECT role, name FROM actor, member
		WHERE kind = 'relation' AND relkind <> 'S'
			AND (has_table_privilege(role, objid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
				OR has_any_column_privilege(role, objid, 'INSERT, UPDATE, REFERENCES')) $$,
	'no role may write a table or put a trigger on it');
SELECT is_empty(
	$$ SELECT role, name FROM actor, member
		WHERE relkind = 'S' AND has_sequence_privilege(role, objid, 'USAGE, SELECT, UPDATE') $$,
	'... or use a sequence');
SELECT is(
	(SELECT string_agg(concat_ws(' ', role, has_schema_privilege(role, 'webhook', 'USAGE'),
			has_schema_privilege(role, 'webhook_internal', 'USAGE'),
			has_schema_privilege(role, 'webhook', 'CREATE'),
			has_schema_privilege(role, 'webhook_internal', 'CREATE')), ', ' ORDER BY level) FROM actor),
	'regress_stranger f f f f, regress_reader t f f f, regress_operator t f f f, regress_admin t t f f',
	'... or make anything in the schemas; an admin alone sees into the internal one, for watch()');
SELECT is_empty(
	$$ SELECT 1 FROM pg_class, aclexplode(relacl) a WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND is_grantable
			AND grantee <> relowner
		UNION ALL
		SELECT 1 FROM pg_proc, aclexplode(proacl) a WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND is_grantable
			AND grantee <> proowner $$,
	'... or grant any of it');

-- Who monitors may read two views, and call only what these do, which they cannot name.
SELECT is(
	(SELECT string_agg(concat(schema, '.', name), ' ' ORDER BY schema, name) FROM member
		WHERE kind = 'relation' AND relkind <> 'S' AND has_table_privilege(role, objid, 'SELECT')),
	'webhook.metrics webhook.stat_worker', format('%s may read two views', role))
	FROM unnest('{regress_monitor,pg_monitor}'::name[]) AS role;
SELECT is(
	(SELECT string_agg(name, ' ' ORDER BY name) FROM member
		WHERE kind = 'function' AND name <> 'enqueue' AND has_function_privilege(role, objid, 'EXECUTE')),
	'pending_summary relation_bytes table_metrics worker_metrics worker_state',
	format('... and %s may call what they call', role))
	FROM unnest('{regress_monitor,pg_monitor}'::name[]) AS role;
SELECT is(
	(SELECT concat_ws(' ', has_schema_privilege('regress_monitor', 'webhook', 'USAGE'),
		has_schema_privilege('regress_monitor', 'webhook_internal', 'USAGE'))),
	't f', '... without seeing into the internal schema');
SET LOCAL ROLE regress_monitor;
SELECT cmp_ok((SELECT count(*) FROM webhook.metrics), '>', 80::bigint, 'it gets numbers');
SELECT is((SELECT count(*) FROM webhook.stat_worker), 1::bigint, '... and the row of the worker');
SELECT throws_ok(format('SELECT * FROM webhook.%I', name), '42501', NULL, format('... and nothing of %s', name))
	FROM unnest('{log,subscription,stat_subscription,stat_minute,audit}'::name[]) AS name;
RESET ROLE;

-- What PostgreSQL does: each function is called with NULLs, each relation is read.
CREATE FUNCTION pg_temp.state(actor name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state	text := '00000';
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', actor);
	BEGIN
		EXECUTE statement;
	EXCEPTION WHEN OTHERS THEN
		state := SQLSTATE;
	END;
	RESET ROLE;
	RETURN state;
END
$$;
-- What a view calls for a reader, the reader cannot call by its name.
SELECT is(pg_temp.state(role, statement) = '42501',
		actor.level < greatest(least.level, CASE member.schema WHEN 'webhook_internal' THEN 3 END),
		format('%s: %s', role, statement))
	FROM actor, least JOIN member ON least.kind = member.kind AND least.schema = member.schema
		AND least.member = name,
		LATERAL (SELECT CASE member.kind
			WHEN 'relation' THEN format('SELECT * FROM %I.%I', member.schema, name)
			ELSE format('SELECT %I.%I(%s)', member.schema, name,
				(SELECT string_agg(format('(SELECT NULL::%s)', format_type(t.type, NULL)), ', ' ORDER BY n)
					FROM unnest(proargtypes) WITH ORDINALITY AS t (type, n))) END AS statement) AS s
	ORDER BY least.kind, member.schema, name, actor.level;

-- What each role is for
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
ALTER TABLE business_request OWNER TO regress_admin;
CREATE TEMPORARY TABLE made (subscription bigint, event uuid, secret text);
GRANT ALL ON made TO PUBLIC;
SET LOCAL ROLE regress_admin;
SELECT webhook.define_event_type('App.Mine');
SELECT webhook.watch('business_request', 'App.Mine');
SELECT lives_ok($$ INSERT INTO business_request VALUES (1, 'Draft') $$, 'an admin watches their own table');
INSERT INTO made SELECT webhook.subscribe('https://example.com/hook?token=sesame&plain', '{App.Mine}',
	headers => '{"X-Api-Key": "sesame", "Authorization": "Bearer sesame", "X-Colour": "red"}', ca => 'ca.pem');
UPDATE made SET event = webhook.publish('App.Mine', '{"a": 1}', 'mine/1');
SELECT lives_ok('SELECT webhook.alter_subscription(subscription, max_in_flight => 3) FROM made', '... alters a subscription');
UPDATE made SET secret = webhook.rotate_secret(subscription);
SELECT is(webhook.secret(subscription), secret, '... rotates its secret and reads it') FROM made;
SELECT throws_ok('SELECT * FROM webhook_internal.subscription_secret', '42501', NULL, '... may not read the table of secrets');
SELECT throws_ok($$ SELECT webhook.grant_reader('regress_stranger') $$, '42501', NULL, '... may not grant');
SELECT is(webhook.subscription_options(subscription) - 'events' - 'endpoint', '{"headers": {"X-Api-Key": "sesame",
		"Authorization": "Bearer sesame", "X-Colour": "red"}, "max_in_flight": 3, "ca": "ca.pem", "description": null,
		"signature_schemes": ["standard"], "filter": null, "payload_format": "envelope", "ordered": true,
		"rate_limit": null, "timeout": null, "retry_schedule": null, "max_age": null, "final_statuses": [],
		"enabled": true, "client_certificate": null, "include_context": false, "log_bodies": null, "name": null}', '... sees all options with their real values') FROM made;
SELECT is(webhook.subscription_options(subscription) ->> 'endpoint', 'https://example.com/hook?token=sesame&plain',
	'... sees the whole endpoint') FROM made;
SELECT is(created_by, 'regress_admin', 'created_by is the admin') FROM webhook.subscription JOIN made ON id = subscription;

SET LOCAL ROLE regress_operator;
SELECT lives_ok(format('SELECT webhook.%s FROM made', call), 'an operator calls ' || call)
	FROM unnest(ARRAY['pause(subscription)', 'resume(subscription)', 'ping(subscription)', 'resend(event, subscription)',
		'cancel(event, subscription)', 'skip(subscription, ''mine/1'')', 'retry(subscription)', 'recover(subscription, ''2026-01-01'')',
		'recover(subscription, ''2026-01-01'', ''infinity'', ''missing'')']) AS call;
SELECT throws_ok(format('SELECT webhook.%s FROM made', call), '42501', NULL, 'an operator may not call ' || call)
	FROM unnest(ARRAY['alter_subscription(subscription, endpoint => ''https://example.net/'')', 'secret(subscription)',
		'rotate_secret(subscription)', 'unsubscribe(subscription)', 'subscription_options(subscription)']) AS call;
SELECT is(headers ->> 'X-Api-Key', '***', 'an operator sees no credential')
	FROM webhook.subscription JOIN made ON id = subscription;
SELECT throws_ok('SELECT * FROM webhook_internal.subscription', '42501', NULL, '... may not read the table either');

SET LOCAL ROLE regress_reader;
SELECT is(webhook.explain(event, subscription) LIKE 'It is an event of type App.Mine%', true, 'a reader calls explain()')
	FROM made;
SELECT is(s.endpoint, 'https://example.com/hook?token=***&***', 'a reader sees no value of a query')
	FROM webhook.subscription s JOIN made ON id = subscription;
SELECT is(s.headers, '{"X-Api-Key": "***", "Authorization": "***", "X-Colour": "red"}', '... and no credential')
	FROM webhook.subscription s JOIN made ON id = subscription;
SELECT is(s.ca, 'ca.pem', '... sees the other options') FROM webhook.subscription s JOIN made ON id = subscription;
SELECT is_empty($$ SELECT relation, row FROM (
		SELECT 'stat' AS relation, s::text AS row FROM webhook.stat_subscription s UNION ALL
		SELECT 'all', s::text FROM webhook.subscription s) r WHERE row LIKE '%sesame%' $$,
	'... in no view there is a credential');
RESET ROLE;

-- Whoever owns a watched table goes on owning it: nothing of ours is asked of them.
CREATE ROLE regress_owner;
CREATE SCHEMA owned AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA owned TO regress_admin;
SET LOCAL ROLE regress_owner;
CREATE TABLE owned.contract (id int, status text, note text) PARTITION BY RANGE (id);
GRANT TRIGGER ON owned.contract TO regress_admin;
SET LOCAL ROLE regress_admin;
SELECT lives_ok('SELECT webhook.watch(''owned.contract'', id_columns => ''{id}'')', 'an admin watches a table that they may have triggers on');
SELECT throws_ok('SELECT webhook.alter_watch(''owned.contract'', name => ''x'')', '42501', NULL, '... they may not alter the watch');
SELECT throws_ok('SELECT webhook.unwatch(''owned.contract'')', '42501', NULL, '... nor end it');
SET LOCAL ROLE regress_owner;
SELECT lives_ok('CREATE TABLE owned.p1 PARTITION OF owned.contract FOR VALUES FROM (0) TO (10)', 'the owner adds a partition');
SELECT lives_ok('CREATE TABLE owned.p2 (note text, status text, id int)', 'the owner creates a table');
SELECT lives_ok('ALTER TABLE owned.contract ATTACH PARTITION owned.p2 FOR VALUES FROM (10) TO (20)', '... attaches it');
SELECT lives_ok('ALTER TABLE owned.contract RENAME status TO state', '... renames a watched column');
SELECT lives_ok('INSERT INTO owned.contract VALUES (1, ''a''), (11, ''b'')', '... inserts rows');
SELECT lives_ok('ALTER TABLE owned.contract DETACH PARTITION owned.p2', '... detaches a partition');
SELECT throws_ok('CREATE TRIGGER mine AFTER INSERT ON owned.p2 FOR EACH ROW
	EXECUTE FUNCTION webhook_internal.enqueue(''App.Mine'', ''forged'', ''status'', ''1'', ''id'')', '42501', NULL, '... but cannot make a trigger of ours');
RESET ROLE;
SELECT is((SELECT array_agg(subject || ' ' || (data ->> 'NewStatus') ORDER BY id) FROM webhook.event WHERE subject LIKE 'contract/%'),
	'{contract/1 a,contract/11 b}', 'changes of both partitions are events');
SET LOCAL client_min_messages = warning;
DROP SCHEMA owned CASCADE;
RESET client_min_messages;

-- Only the owner grants, even where others may execute the functions.
GRANT USAGE ON SCHEMA webhook, webhook_internal TO regress_stranger;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal TO regress_stranger;
SELECT is(pg_temp.state('regress_stranger', format('SELECT webhook.%s(''regress_reader'')', name)), '42501',
		name || '() checks its caller')
	FROM unnest('{grant_monitor,grant_reader,grant_operator,grant_admin,grant_backup,revoke}'::text[]) AS name;
SELECT throws_ok(format('SELECT webhook.%s(%s)', name, argument), state::char(5), NULL,
		format('%s(%s)', name, argument))
	FROM unnest('{grant_monitor,grant_reader,grant_operator,grant_admin,grant_backup,revoke}'::text[]) AS name,
		(VALUES ('NULL', '22004'), ('''-''', '22004'), ('''public''', '42704'), ('''regress_nobody''', '42704'),
			('current_user::regrole', '0LP01')) AS v (argument, state);

-- revoke() takes back all that was granted.
CREATE FUNCTION pg_temp.granted(grantee regrole) RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM pg_shdepend WHERE refobjid = $1 AND deptype = 'a' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
SELECT webhook.grant_admin('regress_reader');
SELECT is(pg_temp.granted('regress_reader'), pg_temp.granted('regress_admin'), 'a reader becomes an admin');
SELECT webhook.revoke(role::regrole) FROM actor;
SELECT is(pg_temp.granted(role::regrole), 0::bigint, format('nothing is left to %s', role)) FROM actor;
CREATE ROLE "regress ""; DROP SCHEMA webhook CASCADE; --";
SELECT lives_ok($$ SELECT webhook.grant_admin('"regress ""; DROP SCHEMA webhook CASCADE; --"') $$, 'a role of any name');
SELECT is(pg_temp.state('regress "; DROP SCHEMA webhook CASCADE; --', 'SELECT * FROM webhook.log'), '00000', '... gets the privileges');

-- What is redacted of URLs and headers
SELECT is(webhook_internal.redacted_endpoint(url), shown, url)
	FROM (VALUES
		('https://example.com/a/b', 'https://example.com/a/b'),
		('https://example.com?', 'https://example.com?'),
		('https://example.com/?a=1&b=&c&=d&&e==', 'https://example.com/?a=***&b=&***&=***&&e=***'),
		('https://example.com/?a=https://b:c@d/', 'https://example.com/?a=***'),
		('https://example.com/@b?c', 'https://example.com/@b?***'),
		('https://user:pass@word@example.com/x', 'https://***@example.com/x'),
		('user:password@example.com', '***@example.com'),
		('https://user:pass/word@example.com/x', 'https://***@example.com/x'),
		('https://example.com:8443/@b', 'https://example.com:8443/@b'),
		('https://[2001:db8::1]/@b', 'https://[2001:db8::1]/@b'),
		('https://example.com/x#token=1', 'https://example.com/x#***'),
		('https://example.com/x?a#b?c', 'https://example.com/x?***#***'),
		('?x=1//y', '?x=***'),
		('', '')) AS v (url, shown);
SELECT is(webhook_internal.redacted_headers(jsonb_build_object(name, 'x')) ->> name, CASE WHEN hidden THEN '***' ELSE 'x' END,
		format('header %s is %s', name, CASE WHEN hidden THEN 'hidden' ELSE 'shown' END))
	FROM unnest('{Authorization,proxy-authorization,Cookie,Set-Cookie,X-API-KEY,X-Auth,X-Amz-Security-Token,client_secret,
			X-Passwd,X-Password,X-Session-Id,X-Credential,Bearer,X-JWT,webhook-challenge}'::text[]) AS name, (VALUES (true)) AS v (hidden)
UNION ALL
	SELECT is(webhook_internal.redacted_headers(jsonb_build_object(name, 'x')) ->> name, 'x', format('header %s is shown', name))
	FROM unnest('{Content-Type,webhook-signature,abp-webhook-signature,WWW-Authenticate,Proxy-Authenticate,X-Tenant,
			X-Pass,Location}'::text[]) AS name;

SELECT * FROM finish();
ROLLBACK;
