--
-- Are the names, arguments and columns those that users rely on, and is nothing
-- open to PUBLIC?
--
BEGIN;
SELECT no_plan();

-- functions with their arguments and results
SELECT has_function('webhook', 'watch', ARRAY['regclass', 'text', 'name', 'name[]', 'name[]', 'text', 'name', 'boolean']);
SELECT has_function('webhook', 'unwatch', ARRAY['regclass', 'text']);
SELECT has_function('webhook', 'alter_watch', ARRAY['regclass', 'text', 'name', 'name[]', 'name[]', 'text', 'name', 'boolean']);
SELECT function_returns('webhook', 'publish', ARRAY['text', 'json', 'text', 'text'], 'uuid');
SELECT has_function('webhook', 'define_event_type', ARRAY['text', 'text', 'jsonb', 'jsonb']);
SELECT has_function('webhook', 'drop_event_type', ARRAY['text']);
SELECT has_function('webhook', 'alter_event_type', ARRAY['text', 'text', 'jsonb', 'jsonb', 'boolean']);
SELECT function_returns('webhook', 'check_endpoint', ARRAY['text'], 'void');
SELECT function_returns('webhook', 'subscribe',
	ARRAY['text', 'text[]', 'text', 'text', 'jsonb', 'text[]', 'jsonpath', 'text', 'boolean', 'integer',
		'real', 'interval', 'interval[]', 'interval', 'integer[]', 'text', 'text', 'boolean', 'text', 'text', 'text'], 'bigint');
SELECT function_returns('webhook', 'define_tenant', ARRAY['text', 'text[]', 'integer', 'integer', 'real'], 'void');
SELECT function_returns('webhook', 'grant_tenant', ARRAY['regrole', 'text'], 'void');
SELECT function_returns('webhook', 'grant_portal', ARRAY['regrole'], 'void');
SELECT function_returns('webhook', 'portal_token', ARRAY['text', 'interval', 'boolean'], 'text');
SELECT function_returns('webhook', 'act_as', ARRAY['text'], 'void');
SELECT function_returns('webhook', 'revoke_portal_tokens', ARRAY['text'], 'void');
SELECT has_function('webhook', 'alter_subscription',
	ARRAY['bigint', 'text', 'text[]', 'text', 'jsonb', 'text[]', 'jsonpath', 'text', 'boolean', 'integer',
		'real', 'interval', 'interval[]', 'interval', 'integer[]', 'boolean', 'text', 'text', 'boolean', 'text', 'text']);
SELECT function_returns('webhook', 'config', ARRAY['boolean'], 'setof text');
SELECT function_returns('webhook', 'erase', ARRAY['text'], 'bigint');
SELECT function_returns('webhook', 'openapi', ARRAY['text[]', 'text'], 'jsonb');
SELECT function_returns('webhook', 'ping', ARRAY['bigint', 'text'], 'uuid');
SELECT function_returns('webhook', 'resend', ARRAY['uuid', 'bigint'], 'void');
SELECT function_returns('webhook', 'cancel', ARRAY['uuid', 'bigint'], 'void');
SELECT function_returns('webhook', 'skip', ARRAY['bigint', 'text'], 'void');
SELECT function_returns('webhook', 'retry', ARRAY['bigint', 'text'], 'bigint');
SELECT function_returns('webhook', 'recover',
	ARRAY['bigint', 'timestamp with time zone', 'timestamp with time zone', 'text', 'boolean'], 'bigint');
SELECT function_returns('webhook', 'explain', ARRAY['uuid', 'bigint'], 'text');
SELECT function_returns('webhook', 'subscription_options', ARRAY['bigint'], 'jsonb');
SELECT has_function('webhook', 'unsubscribe', ARRAY['bigint']);
SELECT has_function('webhook', 'pause', ARRAY['bigint']);
SELECT has_function('webhook', 'resume', ARRAY['bigint']);
SELECT has_function('webhook', 'resume_database', ARRAY['boolean']);
SELECT function_returns('webhook', 'secret', ARRAY['bigint'], 'text');
SELECT function_returns('webhook', 'rotate_secret', ARRAY['bigint', 'interval'], 'text');
SELECT has_function('webhook', name, ARRAY['regrole'])
	FROM unnest('{grant_monitor,grant_reader,grant_operator,grant_admin,grant_backup,revoke}'::text[]) AS name;
SELECT function_returns('webhook', 'sign', ARRAY['text', 'text', 'bigint', 'text'], 'text');
SELECT function_returns('webhook', 'verify', ARRAY['text', 'jsonb', 'text', 'interval'], 'boolean');
SELECT function_returns('webhook', 'drain', ARRAY['interval'], 'boolean');
SELECT function_returns('webhook', 'health', '{}'::name[], 'setof record');

-- tables and views
SELECT tables_are('webhook', ARRAY['log'], 'schema webhook has one table');
SELECT views_are('webhook', ARRAY['event', 'event_type', 'subscription', 'pending_delivery', 'dead_letter',
	'stat_worker', 'stat_pending', 'stat_subscription', 'watched_table', 'audit', 'stat_minute', 'tenant', 'metrics'], 'schema webhook has these views');
SELECT sequences_are('webhook', '{}'::name[], 'schema webhook has no sequence');
SELECT functions_are('webhook', ARRAY['watch', 'unwatch', 'alter_watch', 'publish', 'define_event_type', 'alter_event_type', 'drop_event_type', 'define_tenant', 'grant_tenant', 'grant_portal', 'portal_token', 'act_as', 'revoke_portal_tokens', 'may_write', 'my_tenant', 'notify_channel', 'openapi',
	'check_endpoint', 'config', 'confirm', 'erase', 'subscribe',
	'alter_subscription', 'subscription_options', 'unsubscribe', 'pause', 'resume', 'resume_database', 'secret',
	'rotate_secret', 'ping', 'resend', 'cancel', 'skip', 'retry', 'recover', 'sign', 'verify', 'explain', 'drain', 'health', 'series',
	'grant_monitor', 'grant_reader', 'grant_operator', 'grant_admin', 'grant_backup', 'revoke'], 'schema webhook has these functions');
SELECT has_table('webhook_internal', name, format('table %s', name))
	FROM unnest(ARRAY['event_type', 'subscription', 'subscription_secret', 'event_0', 'event_1',
		'event_2', 'event_3', 'pending', 'pending_count', 'subscription_state', 'checkpoint', 'audit', 'stat_minute']) AS name;
SELECT views_are('webhook_internal', ARRAY['ring', 'erasure', 'pending_event', 'subscription_id', 'table_size'], 'schema webhook_internal has these views');
SELECT is((SELECT relkind FROM pg_class WHERE oid = 'webhook.log'::regclass), 'p',
	'the log is partitioned');
SELECT has_column('webhook', 'log', name, format('log.%s', name))
	FROM unnest('{id,event_id,position,cause,logged_at,subscription_id,event_type,attempt,method,
		endpoint,peer_ip,source_ip,source_port,requested_at,request_headers,request_body,
		response_status,response_headers,response_body,duration,outcome,error_class,error}'::text[]) AS name;
SELECT has_column('webhook', 'subscription', name, format('subscription.%s', name))
	FROM unnest('{id,endpoint,events,description,headers,signature_schemes,filter,payload_format,ordered,
		max_in_flight,rate_limit,timeout,retry_schedule,max_age,final_statuses,ca,
		client_certificate,include_context,log_bodies,name,enabled,paused,created_at,created_by}'::text[]) AS name;
SELECT has_column('webhook', 'stat_subscription', name, format('stat_subscription.%s', name))
	FROM unnest('{subscription_id,endpoint,state,reason,delivered,failed,pending,oldest_pending,
		last_success,next_attempt,p50,p95}'::text[]) AS name;
SELECT columns_are('webhook', 'event_type',
	ARRAY['name', 'description', 'schema', 'example', 'deprecated', 'deprecated_at', 'created_at']);
SELECT columns_are('webhook', 'watched_table', ARRAY['relation', 'event_type', 'name', 'status_column', 'id_columns', 'data_columns',
	'tenant_column', 'parent_only', 'enabled', 'missing_columns', 'triggers_in_front', 'other_partitions', 'children', 'problem']);
SELECT columns_are('webhook', 'stat_minute', ARRAY['at', 'span', 'subscription_id', 'delivered', 'failed', 'retried', 'cancelled', 'pending', 'duration']);
SELECT columns_are('webhook', 'audit', ARRAY['at', 'role', 'outer_role', 'session_role', 'action', 'tenant', 'subscription_id', 'event_id', 'detail']);
SELECT columns_are('webhook', 'event',
	ARRAY['id', 'event_id', 'event_type', 'subject', 'data', 'created_at', 'tenant', 'traceparent', 'context']);

-- the ring tables are alike
SELECT results_eq(
	format($$ SELECT attname::text, atttypid::regtype::text, attnotnull FROM pg_attribute
		WHERE attrelid = 'webhook_internal.event_%s'::regclass AND attnum > 0 ORDER BY attnum $$, n),
	$$ SELECT attname::text, atttypid::regtype::text, attnotnull FROM pg_attribute
		WHERE attrelid = 'webhook_internal.event_0'::regclass AND attnum > 0 ORDER BY attnum $$,
	format('event_%s is like event_0', n))
	FROM generate_series(1, 3) AS n;

-- what holds for every member of the extension
CREATE TEMPORARY VIEW member AS
	SELECT classid, objid FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'webhook');
SELECT is_empty(
	$$ SELECT pg_describe_object(classid, objid, 0) FROM member, pg_proc
		WHERE classid = 'pg_proc'::regclass AND pg_proc.oid = objid
			AND pronamespace NOT IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) $$,
	'no function is outside our schemas');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid
		WHERE classid = 'pg_proc'::regclass AND has_function_privilege('public', p.oid, 'EXECUTE')
			AND p.oid <> 'webhook_internal.enqueue()'::regprocedure $$,
	'no function is open to all but the trigger function, which only who may use its schema can name');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure
		FROM member JOIN pg_proc p ON p.oid = objid JOIN pg_language l ON l.oid = prolang
		WHERE classid = 'pg_proc'::regclass AND (l.lanname <> 'c')
			AND p.prosqlbody IS NULL
			AND (coalesce(p.proconfig[1], '') <> 'search_path=pg_catalog, pg_temp'
				OR NOT p.proconfig[2:] <@ '{plan_cache_mode=force_generic_plan,jit=off,DateStyle=ISO,
					TimeZone=UTC,IntervalStyle=postgres,extra_float_digits=1,quote_all_identifiers=off}') $$,
	'every function that is neither C nor parsed when it is created has a search_path of its own');
SELECT set_has(
	$$ SELECT p.proname::text FROM member JOIN pg_proc p ON p.oid = objid
		WHERE classid = 'pg_proc'::regclass
			AND 'plan_cache_mode=force_generic_plan' = ANY (p.proconfig) $$,
	$$ SELECT unnest('{check_endpoint,subscribe,alter_subscription,audit_options,rotate_secret,
		store_options,replace_subscription,config,config_subscription}'::text[]) $$,
	'functions that take or make credentials use generic plans, which do not contain them');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid
		WHERE classid = 'pg_proc'::regclass AND p.prosecdef $$,
	'no function is SECURITY DEFINER');
SELECT set_eq(
	$$ SELECT p.proname::text FROM member JOIN pg_proc p ON p.oid = objid
		WHERE classid = 'pg_proc'::regclass AND p.prosrc = 'webhook_door' $$,
	ARRAY['define_event_type', 'alter_event_type', 'drop_event_type', 'define_tenant', 'grant_tenant', 'grant_portal', 'portal_token', 'act_as', 'revoke_portal_tokens', 'notify_channel', 'revoke', 'openapi', 'check_endpoint', 'config', 'confirm', 'erase', 'subscribe', 'alter_subscription', 'unsubscribe', 'pause', 'resume',
		'resume_database', 'subscription_options', 'secret', 'rotate_secret', 'ping', 'resend', 'cancel', 'skip', 'retry', 'recover', 'explain', 'health', 'series'],
	'only these functions run with the rights of their owner');
SELECT set_eq(
	$$ SELECT o.oid FROM member JOIN pg_proc o ON o.oid = objid
		WHERE classid = 'pg_proc'::regclass AND o.prosrc = 'webhook_door' $$,
	$$ SELECT o.oid
		FROM pg_proc o
			JOIN pg_proc i USING (proname, proargtypes, prorettype, proretset, provolatile,
				proparallel, proisstrict, proowner)
		WHERE o.prosrc = 'webhook_door' AND i.pronamespace = 'webhook_internal'::regnamespace
			AND i.pronargdefaults = 0 AND i.proargnames IS NOT DISTINCT FROM o.proargnames
			AND i.proallargtypes IS NOT DISTINCT FROM o.proallargtypes
			AND NOT has_function_privilege('public', i.oid, 'EXECUTE') $$,
	'each of them has a counterpart, which nobody else may call');
SELECT is_empty(
	$$ SELECT p.oid::regprocedure FROM member JOIN pg_proc p ON p.oid = objid
		WHERE classid = 'pg_proc'::regclass AND p.provolatile = 'i' AND p.proparallel <> 's' $$,
	'what is immutable is parallel safe, too');
SELECT is_empty(
	$$ SELECT c.oid::regclass FROM member JOIN pg_class c ON c.oid = objid,
			aclexplode(c.relacl) a
		WHERE classid = 'pg_class'::regclass AND a.grantee = 0 $$,
	'no relation is open to all');
SELECT is_empty(
	$$ SELECT 1 FROM pg_namespace, aclexplode(nspacl) a WHERE nspname ~ '^webhook' AND a.grantee = 0 $$,
	'the schemas are not open to all');

SELECT is_empty(
	$$ SELECT pg_describe_object(classid, objid, 0) FROM member
		JOIN pg_class ON pg_class.oid = objid
		WHERE classid = 'pg_class'::regclass AND relnamespace NOT IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) $$,
	'no relation is outside our schemas');
SELECT set_eq(
	$$ SELECT DISTINCT classid::regclass::text FROM member $$,
	$$ SELECT unnest('{pg_class,pg_namespace,pg_proc,pg_type}'::text[]) $$,
	'the extension consists of schemas, relations, functions and types');
SELECT is_empty(
	$$ SELECT oid::regclass FROM pg_class
		WHERE relkind = 'v'
			AND relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
			AND pg_relation_is_updatable(oid, true) <> 0 $$,
	'no view can be written through');
SELECT isnt_empty(
	$$ SELECT FROM pg_class WHERE relkind = 'v' AND relnamespace = 'webhook'::regnamespace $$,
	'... and there are views');
SELECT is_empty(
	$$ SELECT * FROM pg_default_acl WHERE defaclnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) $$,
	'the schemas have no default privileges');
SELECT is_empty(
	$$ SELECT pg_describe_object(classid, objid, 0) FROM member
		WHERE classid <> 'pg_type'::regclass
			AND coalesce(obj_description(objid, classid::regclass::name), '') = '' $$,
	'each member has a comment');

-- the test vectors of Standard Webhooks
SELECT is(
	webhook.sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'msg_p5jXN8AQM9LWM0D4loKWxJek',
		1614265330, '{"test": 2432232314}'),
	'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
	'sign() makes the signature of Standard Webhooks');
SELECT is(
	webhook.sign('whsec_d2hzXzAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm',
		'3f2504e0-4f89-11d3-9a0c-0305e82c3301', 1704164645,
		'{"Id":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","WebhookEvent":"App.BusinessRequestStatusChange",'
		'"Attempt":1,"Data":{"RequestId":42,"Status":"Approved"},"CreationTimeUtc":"2024-01-02T03:04:05.1234567Z"}'),
	'v1,n8oGEHBpKlFEF5gmjeflcouBUu3E2bZ6E9q+fQW54No=',
	'... also over the body of an event');

-- Their order would follow the operating system's, and an update of that would hide rows.
SELECT is_empty($$ SELECT i.indexrelid::regclass
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	WHERE c.relnamespace = 'webhook_internal'::regnamespace AND a.amname = 'btree'
		AND '"default"'::regcollation = ANY (i.indcollation) $$,
	'no B-tree has the order of the database''s collation');

-- What a dump has of the event types. A row that CREATE EXTENSION makes again would collide where
-- triggers are disabled.
SELECT format('CREATE TEMPORARY VIEW dumped AS SELECT name FROM webhook_internal.event_type %s', e.condition)
	FROM (SELECT unnest(extconfig) AS relation, unnest(extcondition) AS condition
		FROM pg_extension WHERE extname = 'webhook') e
	WHERE e.relation = 'webhook_internal.event_type'::regclass \gexec
SELECT is_empty('TABLE dumped', 'what CREATE EXTENSION has made is not dumped');
SELECT webhook.define_event_type('App.Other');
SELECT webhook.alter_event_type('App.BusinessRequestStatusChange', deprecated => true);
SELECT set_eq('TABLE dumped', '{App.BusinessRequestStatusChange,App.Other}'::text[], '... but what people have defined and altered is');

SELECT * FROM finish();
ROLLBACK;
