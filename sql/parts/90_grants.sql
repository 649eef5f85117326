/*
 * Who may what
 *
 * A role may read, operate or administer, each including what is before it.
 * The functions run as their caller: it is the owner who grants.
 */

CREATE FUNCTION webhook_internal.grant_each(role regrole, commands text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	owner		regrole := (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'webhook');
	command		text;
BEGIN
	IF role IS NULL OR role::oid = 0::oid THEN
		RAISE EXCEPTION 'role must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the name of a role.';
	END IF;
	IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
		RAISE EXCEPTION 'must be owner of schema webhook'
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Call it as %s, who has created_at the extension, or as a superuser.', owner);
	END IF;
	IF role = owner THEN
		RAISE EXCEPTION 'role % owns the extension', role
			USING ERRCODE = 'invalid_grant_operation',
				HINT = 'Its owner may do everything in any case; give another role.';
	END IF;
	FOREACH command IN ARRAY commands LOOP
		EXECUTE format(command, role);
	END LOOP;
END
$$;

CREATE FUNCTION webhook.grant_reader(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'GRANT USAGE ON SCHEMA webhook TO %s',
		'GRANT SELECT ON
			webhook.event_type,
			webhook.subscription,
			webhook.event,
			webhook.log,
			webhook.pending_delivery,
			webhook.dead_letter,
			webhook.stat_subscription,
			webhook.stat_worker
			TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.explain,
			webhook.sign,
			webhook.verify,
			webhook_internal.home,
			webhook_internal.redacted_endpoint,
			webhook_internal.redacted_headers,
			webhook_internal.worker_state
			TO %s'];
BEGIN
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.grant_operator(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'GRANT EXECUTE ON FUNCTION
			webhook.pause,
			webhook.resume,
			webhook.ping,
			webhook.resend,
			webhook.recover,
			webhook.cancel,
			webhook.skip,
			webhook.drain
			TO %s'];
BEGIN
	PERFORM webhook.grant_reader(role);
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.grant_admin(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		-- webhook.watch() and webhook.unwatch() run as their caller.
		'GRANT USAGE ON SCHEMA webhook_internal TO %s',
		'GRANT EXECUTE ON FUNCTION
			webhook.define_event_type,
			webhook.watch,
			webhook.unwatch,
			webhook.publish,
			webhook.subscribe,
			webhook.alter_subscription,
			webhook.subscription_options,
			webhook.unsubscribe,
			webhook.secret,
			webhook.rotate_secret,
			webhook.resume_database,
			webhook_internal.enqueue,
			webhook_internal.check_columns,
			webhook_internal.require_event_type
			TO %s'];
BEGIN
	PERFORM webhook.grant_operator(role);
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

CREATE FUNCTION webhook.revoke(role regrole) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	commands	text[] := ARRAY[
		'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM %s',
		'REVOKE ALL ON SCHEMA webhook, webhook_internal FROM %s'];
BEGIN
	PERFORM webhook_internal.grant_each(role, commands);
END
$$;

