/*
 * Privileges: who may do what
 *
 * A role may monitor, read, operate or administer; each level includes the one
 * before it, and is for all tenants. Who monitors gets numbers of the database as a
 * whole, and does not count as one who sees all tenants. A role of a tenant has a level
 * of its own, for its own rows and subscriptions, and no other. grant_backup() is for
 * roles that run pg_dump. Whoever calls these functions has to have the rights of the
 * owner.
 *
 * Views, and the functions whose C function is webhook_door, use objects of
 * webhook_internal with the rights of the owner, so a role needs no privilege there,
 * with two exceptions: a function that a view calls is executed as the reader, and
 * webhook.watch(), unwatch() and alter_watch() run as their caller.
 */

CREATE FUNCTION webhook_internal.privileges() RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(concat(o.oid, o.acl), ' ' ORDER BY o.oid)
			|| coalesce((SELECT string_agg(t::text, ' ' ORDER BY t.role)
					FROM webhook_internal.tenant_role t), '')
		FROM pg_namespace n,
			LATERAL (
				SELECT n.oid, n.nspacl AS acl
				UNION ALL
				SELECT c.oid, c.relacl FROM pg_class c WHERE c.relnamespace = n.oid
				UNION ALL
				SELECT p.oid, p.proacl FROM pg_proc p WHERE p.pronamespace = n.oid
			) o
		WHERE n.nspname IN ('webhook', 'webhook_internal')
$$;
COMMENT ON FUNCTION webhook_internal.privileges() IS 'a value that changes with each privilege on an object of the extension, and with each role of a tenant';

CREATE FUNCTION webhook_internal.is_for_portal(role oid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM pg_proc p, aclexplode(p.proacl) a
			WHERE p.oid = 'webhook.act_as(text)'::regprocedure AND a.grantee = is_for_portal.role
				AND a.grantee <> p.proowner)
$$;
COMMENT ON FUNCTION webhook_internal.is_for_portal(oid) IS 'true if webhook.grant_portal() was called for this very role';

-- Whoever has one of these privileges, or can get it by SET ROLE, reads past views and policies.
CREATE FUNCTION webhook_internal.privilege_of_role(role pg_roles) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN role.rolsuper THEN 'is a superuser'
		WHEN role.rolbypassrls THEN 'bypasses row-level security'
		WHEN role.rolreplication THEN 'may replicate all tables'
		-- Until PostgreSQL 16, such a role makes itself a member of all others.
		WHEN role.rolcreaterole AND current_setting('server_version_num')::integer < 160000
			THEN 'may grant itself the privileges of others' END
$$;
COMMENT ON FUNCTION webhook_internal.privilege_of_role(pg_roles) IS 'what lets the role see more than it was granted, as the rest of a sentence; null: nothing does';

CREATE FUNCTION webhook_internal.problem_as_tenant(role regrole, tenant text) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		'It ' || webhook_internal.privilege_of_role(r) || '.',
		CASE WHEN pg_has_role(r.oid, n.nspowner, 'MEMBER')
			THEN 'It is a member of the owner of the extension.' END,
		(SELECT format('It is a member of %s, which %s.', p.rolname,
					webhook_internal.privilege_of_role(p))
			FROM pg_roles p
			WHERE webhook_internal.privilege_of_role(p) IS NOT NULL
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('It is a member of %s.', p.rolname)
			FROM pg_roles p
			WHERE p.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
					'pg_write_server_files', 'pg_execute_server_program')
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('It acts for tenant "%s" already.', t.tenant)
			FROM webhook_internal.tenant_role t
			WHERE t.role = r.oid AND t.tenant IS DISTINCT FROM problem_as_tenant.tenant),
		(SELECT format('It is a member of %s, which acts for tenant "%s".', p.rolname, t.tenant)
			FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
			WHERE t.tenant IS DISTINCT FROM problem_as_tenant.tenant
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT format('Its member %s acts for tenant "%s".', p.rolname, t.tenant)
			FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
			WHERE t.tenant IS DISTINCT FROM problem_as_tenant.tenant
				AND pg_has_role(p.oid, r.oid, 'MEMBER')
			ORDER BY p.rolname
			LIMIT 1),
		(SELECT CASE WHEN p.oid = r.oid THEN 'It has other privileges on the extension.'
					ELSE format('It is a member of %s, which has other privileges on the extension.', p.rolname) END
			FROM pg_namespace s,
				LATERAL (
					SELECT s.nspacl AS acl
					UNION ALL
					SELECT c.relacl FROM pg_class c WHERE c.relnamespace = s.oid
					UNION ALL
					SELECT f.proacl FROM pg_proc f WHERE f.pronamespace = s.oid
				) o,
				aclexplode(o.acl) a
				JOIN pg_roles p ON p.oid = a.grantee
			WHERE s.nspname IN ('webhook', 'webhook_internal')
				AND pg_has_role(r.oid, p.oid, 'MEMBER')
				AND NOT EXISTS (SELECT FROM webhook_internal.tenant_role t WHERE t.role = p.oid)
				AND NOT (problem_as_tenant.tenant IS NULL
					AND webhook_internal.is_for_portal(p.oid))
			ORDER BY p.oid <> r.oid, p.rolname
			LIMIT 1))
		FROM pg_roles r, pg_namespace n
		WHERE r.oid = problem_as_tenant.role AND n.nspname = 'webhook'
$$;
COMMENT ON FUNCTION webhook_internal.problem_as_tenant(regrole, text) IS 'why the role cannot act for the tenant, or, without one, by tokens; null: it can';

CREATE FUNCTION webhook_internal.grant_each(
	action text,
	role regrole,
	commands text[],
	tenant text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner		regrole := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'webhook');
	relation	regclass;
	command		text;
	before		text;
BEGIN
	PERFORM webhook_internal.require_not_null('role', role IS NULL OR role::oid = 0::oid,
		'Give the name of a role.');
	IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = role) THEN
		RAISE EXCEPTION 'role with OID % does not exist', role::oid
			USING ERRCODE = 'undefined_object',
				COLUMN = 'role',
				HINT = 'Give the name of a role.';
	END IF;
	IF NOT pg_has_role(webhook_internal.caller(), owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema webhook'
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Call it as %s, the owner, or as a superuser.', owner);
	END IF;
	IF role = owner THEN
		RAISE EXCEPTION 'role % owns the extension', role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				HINT = 'The owner may do everything in any case; give another role.';
	END IF;

	/*
	 * GRANT changes a relation's row of pg_class without locking the relation, and
	 * fails if another transaction changes it: a second GRANT, the worker that
	 * truncates a table of the ring, a DBA who rebuilds an index. So each waits for
	 * the other. The lock on the log is held by one caller at a time, and while it
	 * is held no leaf comes or goes.
	 */
	LOCK TABLE ONLY webhook.log IN SHARE UPDATE EXCLUSIVE MODE;
	FOR relation IN
		SELECT c.oid
			FROM pg_class c
			WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
				AND c.relkind IN ('r', 'p')
			ORDER BY c.oid
	LOOP
		EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', relation);
	END LOOP;

	before := webhook_internal.privileges();
	FOREACH command IN ARRAY commands LOOP
		EXECUTE format(command, role);
	END LOOP;
	IF webhook_internal.privileges() <> before THEN
		PERFORM webhook_internal.audit_of(action, NULL::bigint, NULL::uuid,
			jsonb_strip_nulls(jsonb_build_object('role', role::text, 'tenant', tenant)), tenant);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_each(text, regrole, text[], text) IS 'execute these commands for a role, if the caller is the owner; a row of the audit says so if they change a privilege';

CREATE FUNCTION webhook_internal.refuse_tenant(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	other		record;
BEGIN
	SELECT t.role, t.tenant
		INTO other
		FROM webhook_internal.tenant_role t JOIN pg_roles p ON p.oid = t.role
		WHERE refuse_tenant.role IN (SELECT r.oid FROM pg_roles r)
			AND pg_has_role(t.role, refuse_tenant.role, 'MEMBER')
		ORDER BY t.role <> refuse_tenant.role, p.rolname
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'role % acts for tenant "%"', other.role, other.tenant
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = CASE WHEN other.role <> refuse_tenant.role
					THEN format('It is a member of role %s.', refuse_tenant.role)
					ELSE 'A role of a tenant has no other rights.' END,
				HINT = format('Call webhook.revoke(%L) first, or give another role.', other.role);
	END IF;
	SELECT p.oid::regrole AS role
		INTO other
		FROM pg_roles p
		WHERE refuse_tenant.role IN (SELECT r.oid FROM pg_roles r)
			AND webhook_internal.is_for_portal(p.oid)
			AND pg_has_role(p.oid, refuse_tenant.role, 'MEMBER')
		ORDER BY p.oid <> refuse_tenant.role, p.rolname
		LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'role % acts by tokens', other.role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = CASE WHEN other.role <> refuse_tenant.role
					THEN format('It is a member of role %s.', refuse_tenant.role)
					ELSE 'A role of the portal has no other rights.' END,
				HINT = format('Call webhook.revoke(%L) first, or give another role.', other.role);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.refuse_tenant(regrole) IS 'raise an error if the role, or a member of it, acts for a tenant or by tokens';

CREATE FUNCTION webhook_internal.grant_level(action text, role regrole, level integer)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	monitor		text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.metrics,
			webhook.stat_worker
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook_internal.pending_summary,
			webhook_internal.relation_bytes,
			webhook_internal.table_metrics,
			webhook_internal.worker_metrics,
			webhook_internal.worker_state
			TO %s'];
	reader		text[] := ARRAY[
		'GRANT SELECT ON
			webhook.audit,
			webhook.stat_minute,
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_pending,
			webhook.stat_subscription,
			webhook.tenant,
			webhook.watched_table,
			webhook_internal.pending_event,
			webhook_internal.subscription_id
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.explain,
			webhook.health,
			webhook.may_write,
			webhook.my_tenant,
			webhook.notify_channel,
			webhook.openapi,
			webhook.series,
			webhook.sign,
			webhook.verify,
			webhook_internal.all_tenants,
			webhook_internal.disabled,
			webhook_internal.home,
			webhook_internal.sees_all,
			webhook_internal.my_tenant,
			webhook_internal.matches_any,
			webhook_internal.reason_of,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.state_of,
			webhook_internal.unconfirmed,
			webhook_internal.watch_arguments
			TO %s'];
	operator	text[] := ARRAY[
		'GRANT EXECUTE ON FUNCTION
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.retry,
			webhook.cancel,
			webhook.skip,
			webhook.drain
			TO %s'];
	admin		text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook_internal TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.define_event_type,
			webhook.alter_event_type,
			webhook.drop_event_type,
			webhook.define_tenant,
			webhook.portal_token,
			webhook.revoke_portal_tokens,
			webhook.confirm,
			webhook.watch,
			webhook.unwatch,
			webhook.alter_watch,
			webhook.publish,
			webhook.check_endpoint,
			webhook.config,
			webhook.erase,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.secret,
			webhook.rotate_secret,
			webhook.resume_database,
			webhook_internal.alter_watch_trigger,
			webhook_internal.audit_of_watch,
			webhook_internal.audit_watch,
			webhook_internal.base_type,
			webhook_internal.check_columns,
			webhook_internal.check_tenant_column,
			webhook_internal.clipped,
			webhook_internal.is_own_type,
			webhook_internal.lock_watched,
			webhook_internal.other_watched,
			webhook_internal.require_event_type,
			webhook_internal.require_list,
			webhook_internal.require_not_null,
			webhook_internal.watch_detail,
			webhook_internal.watch_label,
			webhook_internal.watch_parts,
			webhook_internal.watch_trigger
			TO %s'];
BEGIN
	PERFORM webhook_internal.refuse_tenant(role);
	PERFORM webhook_internal.grant_each(action, role, monitor
		|| CASE WHEN level >= 1 THEN reader END
		|| CASE WHEN level >= 2 THEN operator END || CASE WHEN level >= 3 THEN admin END);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_level(text, regrole, integer) IS 'grant what a monitor (0), a reader (1), an operator (2) or an administrator (3) may do';

CREATE FUNCTION webhook.grant_monitor(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_monitor'::text, role, 0)
$$;
COMMENT ON FUNCTION webhook.grant_monitor(regrole) IS 'let a role read the numbers of webhook.metrics and webhook.stat_worker; pg_monitor may from the start';

CREATE FUNCTION webhook.grant_reader(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_reader'::text, role, 1)
$$;
COMMENT ON FUNCTION webhook.grant_reader(regrole) IS 'let a role read the views and the log, which show no secret and no credential';

CREATE FUNCTION webhook.grant_operator(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_operator'::text, role, 2)
$$;
COMMENT ON FUNCTION webhook.grant_operator(regrole) IS 'let a role read, and pause, resume, ping, resend, recover, retry, cancel, skip and drain';

CREATE FUNCTION webhook.grant_admin(role regrole) RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.grant_level('grant_admin'::text, role, 3)
$$;
COMMENT ON FUNCTION webhook.grant_admin(regrole) IS 'let a role read, operate, and administer event types, watched tables, subscriptions and secrets';

-- The worker lets the roles that may read the secrets read each new leaf of the log.
CREATE FUNCTION webhook.grant_backup(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[];
BEGIN
	PERFORM webhook_internal.refuse_tenant(role);
	SELECT ARRAY['GRANT USAGE ON SCHEMA webhook, webhook_internal TO %s']
			|| array_agg(format('GRANT SELECT ON %s TO %%s', dumped.relation) ORDER BY dumped.relation)
		INTO commands
		FROM (
			SELECT unnest(e.extconfig)::regclass::text AS relation
				FROM pg_extension e WHERE e.extname = 'webhook'
			UNION
			SELECT t.relid::text FROM pg_partition_tree('webhook.log') t
		) dumped;
	PERFORM webhook_internal.grant_each('grant_backup'::text, role, commands);
END
$$;
COMMENT ON FUNCTION webhook.grant_backup(regrole) IS 'let a role read all that pg_dump reads: the log, subscriptions with their secrets, and what waits';

CREATE FUNCTION webhook.grant_tenant(role regrole, tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.grant_tenant(regrole, text) IS 'let a role see what is the tenant''s own, and administer its subscriptions within its caps';

CREATE FUNCTION webhook_internal.grant_tenant(role regrole, tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant_role'::regclass);
	PERFORM webhook_internal.check_tenant_name(tenant);
	PERFORM webhook_internal.require_tenant(tenant);
	problem := webhook_internal.problem_as_tenant(role, tenant);
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'role % cannot act for tenant "%"', role, tenant
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = problem,
				HINT = 'Give a role that has no other rights, or take them from it, for example with webhook.revoke().';
	END IF;
	PERFORM webhook_internal.grant_own('grant_tenant'::text, role,
		format('INSERT INTO webhook_internal.tenant_role VALUES (%%L::regrole, %L)'
			' ON CONFLICT (role) DO UPDATE SET tenant = excluded.tenant', replace(tenant, '%', '%%')),
		tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_tenant(regrole, text) IS 'what webhook.grant_tenant() does, with the rights of the owner';

CREATE FUNCTION webhook.grant_portal(role regrole) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.grant_portal(regrole) IS 'let a role act for a tenant by a token of webhook.portal_token(); without one it sees nothing';

CREATE FUNCTION webhook_internal.grant_portal(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem		text := webhook_internal.problem_as_tenant(role, NULL::text);
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'role % cannot act by tokens', role
			USING ERRCODE = 'invalid_grant_operation',
				COLUMN = 'role',
				DETAIL = problem,
				HINT = 'Give a role that has no other rights, or take them from it, for example with webhook.revoke().';
	END IF;
	PERFORM webhook_internal.grant_own('grant_portal'::text, role,
		'GRANT EXECUTE ON FUNCTION webhook.act_as TO %s');
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_portal(regrole) IS 'what webhook.grant_portal() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.grant_own(
	action text,
	role regrole,
	first text,
	tenant text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.grant_each(action, role, ARRAY[
		first,
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.audit,
			webhook.stat_minute,
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_pending,
			webhook.stat_subscription,
			webhook.tenant,
			webhook.watched_table,
			webhook_internal.pending_event,
			webhook_internal.subscription_id
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.check_endpoint,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.retry,
			webhook.cancel,
			webhook.skip,
			webhook.secret,
			webhook.rotate_secret,
			webhook.explain,
			webhook.may_write,
			webhook.my_tenant,
			webhook.notify_channel,
			webhook.openapi,
			webhook.series,
			webhook.sign,
			webhook.verify,
			webhook_internal.sees_all,
			webhook_internal.my_tenant,
			webhook_internal.matches_any,
			webhook_internal.home,
			webhook_internal.disabled,
			webhook_internal.state_of,
			webhook_internal.unconfirmed,
			webhook_internal.pending_summary,
			webhook_internal.reason_of,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.watch_arguments,
			webhook_internal.worker_state
			TO %s'],
		tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.grant_own(text, regrole, text, text) IS 'execute a command for a role, and grant it what those may do that act for one tenant';

CREATE FUNCTION webhook.revoke(role regrole) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.revoke(regrole) IS 'take all privileges on the extension from a role, also those of a tenant';

CREATE FUNCTION webhook_internal.revoke(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'DELETE FROM webhook_internal.tenant_role WHERE role = %L::regrole',
		'UPDATE webhook_internal.portal_token SET revoked_at = clock_timestamp()
			WHERE role = %L::regrole AND revoked_at IS NULL',
		'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON SCHEMA webhook, webhook_internal FROM %s'];
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant_role'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.grant_each('revoke'::text, role, commands,
		(SELECT t.tenant FROM webhook_internal.tenant_role t WHERE t.role = revoke.role));
END
$$;
COMMENT ON FUNCTION webhook_internal.revoke(regrole) IS 'what webhook.revoke() does, with the rights of the owner';

/*
 * Nobody but the owner has a privilege at first. Default privileges, which were
 * given with other schemas in mind, open nothing either.
 */

REVOKE ALL ON SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM PUBLIC;

DO $$
DECLARE
	grantee		regrole;
BEGIN
	FOR grantee IN
		SELECT DISTINCT a.grantee
			FROM pg_namespace n,
				LATERAL (
					SELECT n.nspacl AS acl, n.nspowner AS owner
					UNION ALL
					SELECT c.relacl, c.relowner FROM pg_class c WHERE c.relnamespace = n.oid
					UNION ALL
					SELECT p.proacl, p.proowner FROM pg_proc p WHERE p.pronamespace = n.oid
				) o,
				aclexplode(o.acl) a
			WHERE n.nspname IN ('webhook', 'webhook_internal') AND a.grantee <> o.owner
	LOOP
		PERFORM webhook.revoke(grantee);
	END LOOP;
END
$$;

SELECT webhook.grant_monitor('pg_monitor');

/*
 * Whoever owns a watched table goes on owning it: PostgreSQL asks them for this
 * privilege when they add a partition, which gets a copy of the trigger. Nobody
 * can name the function without USAGE on its schema.
 */
GRANT EXECUTE ON FUNCTION webhook_internal.enqueue() TO PUBLIC;

-- A database is often dumped by its owner.
DO $$
DECLARE
	dumps		regrole := (
		SELECT d.datdba FROM pg_database d WHERE d.datname = current_database());
BEGIN
	IF NOT pg_has_role(dumps, current_user, 'USAGE') THEN
		RAISE WARNING 'role % owns database "%" and cannot dump it with this extension',
				dumps, current_database()
			USING HINT = format('Call webhook.grant_backup(%L) if it runs pg_dump.', dumps);
	END IF;
END
$$;
