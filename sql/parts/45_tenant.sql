/*
 * Tenants: whose subscriptions and rows
 *
 * A tenant has roles, which see its own rows and administer its own subscriptions
 * within its caps. All else is the platform's, whose readers, operators and
 * administrators see all.
 */

CREATE FUNCTION webhook_internal.lock_tenant(tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_lock_tenant';
COMMENT ON FUNCTION webhook_internal.lock_tenant(text) IS 'let nobody else make, move or end subscriptions of the tenant until the transaction ends; null: the platform';

CREATE FUNCTION webhook_internal.count_subscriptions(tenant text) RETURNS bigint
	LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_count_subscriptions';
COMMENT ON FUNCTION webhook_internal.count_subscriptions(text) IS 'number of subscriptions that the tenant has now';

CREATE FUNCTION webhook_internal.count_challenges(tenant text) RETURNS bigint
	LANGUAGE c STRICT SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_count_challenges';
COMMENT ON FUNCTION webhook_internal.count_challenges(text) IS 'number of challenges that were made for endpoints of the tenant within the last hour';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.tenant WITH (security_barrier) AS
	SELECT name, events, max_subscriptions, max_in_flight, rate_limit, channel, created_at
		FROM webhook_internal.tenant, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all()) OR name = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.tenant IS 'tenants and their caps; a tenant sees itself';

CREATE FUNCTION webhook.my_tenant() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_my_tenant';
COMMENT ON FUNCTION webhook.my_tenant() IS 'tenant that the current user acts for; null: none, or all';

CREATE FUNCTION webhook.notify_channel() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.notify_channel() IS 'channel on which state changes are told to the caller: webhook, of a tenant its own; null: none';

CREATE FUNCTION webhook_internal.notify_channel() RETURNS name
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN webhook_internal.caller_sees_all() THEN 'webhook'
		ELSE (SELECT t.channel::name FROM webhook_internal.tenant t
			WHERE t.name = webhook_internal.caller_tenant()) END
$$;
COMMENT ON FUNCTION webhook_internal.notify_channel() IS 'what webhook.notify_channel() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.check_tenant_name(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_not_null('tenant', tenant IS NULL,
		'Give the name of the tenant, as its events have it.');
	PERFORM webhook_internal.check_label('tenant'::text, tenant,
		'Give the name of the tenant, as its events have it.'::text);
END
$$;
COMMENT ON FUNCTION webhook_internal.check_tenant_name(text) IS 'raise an error unless a tenant can have this name';

-- For a tenant, another one is unknown.
CREATE FUNCTION webhook_internal.require_tenant(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT webhook_internal.acts_on(tenant)
		OR NOT EXISTS (SELECT FROM webhook_internal.tenant t WHERE t.name = require_tenant.tenant)
	THEN
		RAISE EXCEPTION 'tenant "%" does not exist', webhook_internal.clipped(tenant)
			USING ERRCODE = 'undefined_object',
				COLUMN = 'tenant',
				HINT = 'See view webhook.tenant; an administrator defines tenants with webhook.define_tenant().';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_tenant(text) IS 'raise an error unless the tenant exists and the caller may act for it';

CREATE FUNCTION webhook_internal.tenant_to_be(tenant text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	own			text := webhook_internal.caller_tenant();
BEGIN
	IF own IS NULL AND NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'role "%" acts for no tenant', webhook_internal.caller()
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'The owner of the extension grants a role what it may do, by webhook.grant_admin() or webhook.grant_tenant().';
	END IF;
	IF own IS NOT NULL OR tenant IS NOT NULL THEN
		PERFORM webhook_internal.require_tenant(coalesce(tenant, own));
	END IF;
	RETURN coalesce(tenant, own);
END
$$;
COMMENT ON FUNCTION webhook_internal.tenant_to_be(text) IS 'tenant of a subscription that is made now with this argument; null: the platform';

-- A tenant that is not defined gets nothing.
CREATE FUNCTION webhook_internal.may_get(tenant text, event_type text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT may_get.tenant IS NULL OR EXISTS (
		SELECT
			FROM webhook_internal.tenant t, unnest(t.events) AS a (pattern)
			WHERE t.name = may_get.tenant
				AND webhook_internal.matches(a.pattern, may_get.event_type))
$$;
COMMENT ON FUNCTION webhook_internal.may_get(text, text) IS 'true if the tenant may get the event type now; null: the platform, which gets all';

-- What a tenant may not get is unknown to it, whether it exists or not.
CREATE FUNCTION webhook_internal.check_tenant_events(
	tenant text,
	events text[],
	former text[]
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event		text;
BEGIN
	IF tenant IS NULL THEN
		RETURN;
	END IF;
	FOREACH event IN ARRAY coalesce(events, '{}') LOOP
		-- A pattern takes what the tenant may get of it when an event is matched.
		CONTINUE WHEN strpos(event, '*') > 0 OR event = ANY (former);
		IF NOT webhook_internal.may_get(tenant, event) THEN
			IF webhook_internal.caller_sees_all() THEN
				RAISE EXCEPTION 'tenant "%" may not get event type "%"', tenant,
						webhook_internal.clipped(event)
					USING ERRCODE = 'invalid_parameter_value',
						COLUMN = 'events',
						HINT = 'See view webhook.tenant; webhook.define_tenant() says what a tenant may get.';
			END IF;
			PERFORM webhook_internal.raise_unknown_event_type(event, 'events');
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_tenant_events(text, text[], text[]) IS 'raise an error if the tenant may not get an event type that is named here, and that is not one of the former ones';

-- The lock of the tenant is held for a new subscription.
CREATE FUNCTION webhook_internal.check_caps(
	old webhook_internal.subscription,
	new webhook_internal.subscription
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	cap			webhook_internal.tenant;
BEGIN
	SELECT t.* INTO cap FROM webhook_internal.tenant t WHERE t.name = new.tenant;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	IF old.id IS NULL
		AND webhook_internal.count_subscriptions(new.tenant) >= cap.max_subscriptions
	THEN
		RAISE EXCEPTION 'tenant "%" may have no more subscriptions', new.tenant
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'tenant',
				DETAIL = format('It has %s, and the maximum is %s.',
					webhook_internal.count_subscriptions(new.tenant), cap.max_subscriptions),
				HINT = 'End one with webhook.unsubscribe(); an administrator raises the maximum with webhook.define_tenant().';
	END IF;
	IF new.max_in_flight > cap.max_in_flight
		AND new.max_in_flight IS DISTINCT FROM old.max_in_flight
	THEN
		RAISE EXCEPTION 'max_in_flight must be at most % for tenant "%", not %', cap.max_in_flight,
				new.tenant, new.max_in_flight
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'max_in_flight',
				HINT = 'Give less, or 0 for the default; an administrator raises the maximum with webhook.define_tenant().';
	END IF;
	IF new.rate_limit > cap.rate_limit AND new.rate_limit IS DISTINCT FROM old.rate_limit THEN
		RAISE EXCEPTION 'rate_limit must be at most % for tenant "%", not %', cap.rate_limit,
				new.tenant, new.rate_limit
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'rate_limit',
				HINT = 'Give less, or 0 for the tenant''s own limit; an administrator raises the maximum with webhook.define_tenant().';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_caps(webhook_internal.subscription, webhook_internal.subscription) IS 'raise an error if the tenant of a subscription may not have it, or have it changed, like this';

-- The lock of the tenant is held. A new endpoint may be a stranger's, and gets three requests.
CREATE FUNCTION webhook_internal.check_challenges(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	most		constant integer := 10;
BEGIN
	IF NOT webhook_internal.caller_sees_all()
		AND webhook_internal.count_challenges(tenant) >= most
	THEN
		RAISE EXCEPTION 'tenant "%" has set too many endpoints within an hour', tenant
			USING ERRCODE = 'configuration_limit_exceeded',
				COLUMN = 'endpoint',
				DETAIL = format('The maximum is %s.', most),
				HINT = 'Wait until an hour has passed since the first of them, or ask an administrator to set the endpoint.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_challenges(text) IS 'raise an error if a tenant has set too many endpoints that were not confirmed';

CREATE FUNCTION webhook_internal.refuse_files(ca text, client_certificate text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	argument	text := CASE WHEN ca IS NOT NULL THEN 'ca'
					WHEN client_certificate IS NOT NULL THEN 'client_certificate' END;
BEGIN
	IF argument IS NOT NULL AND NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION '% is set by administrators', argument
			USING ERRCODE = 'insufficient_privilege',
				COLUMN = argument,
				HINT = format('Omit %s.', argument);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.refuse_files(text, text) IS 'raise an error if a tenant gives one of these arguments';

-- What has not committed yet is not counted, so a tenant may have more than its caps. The worker
-- keeps to those of requests all the same.
CREATE FUNCTION webhook_internal.tenant_has(
	tenant text,
	OUT subscriptions integer,
	OUT max_in_flight integer,
	OUT rate_limit real
)
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*), max(s.max_in_flight), max(s.rate_limit)
		FROM webhook_internal.subscription s
		WHERE s.tenant = tenant_has.tenant
$$;
COMMENT ON FUNCTION webhook_internal.tenant_has(text) IS 'how many subscriptions a tenant has, and the highest limits of one';

CREATE FUNCTION webhook.define_tenant(
	tenant text,
	events text[] DEFAULT NULL,
	max_subscriptions integer DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.define_tenant(text, text[], integer, integer, real) IS 'define a tenant, which event types it may get, and the caps of all its subscriptions together; call it again to change them: null keeps a value, and a max_in_flight or rate_limit of 0 is none';

CREATE FUNCTION webhook_internal.define_tenant(
	tenant text,
	events text[],
	max_subscriptions integer,
	max_in_flight integer,
	rate_limit real
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.tenant;
	new			webhook_internal.tenant;
	present		record;
	is_new		boolean;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.tenant'::regclass);
	PERFORM webhook_internal.check_tenant_name(define_tenant.tenant);
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to define tenants'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may.';
	END IF;
	-- Of two that define a tenant at once, one waits here for what the other has given.
	INSERT INTO webhook_internal.tenant (name, events, max_subscriptions, channel, created_at)
		VALUES (define_tenant.tenant, '{*}', 20,
			'webhook_' || replace(gen_random_uuid()::text, '-', ''), clock_timestamp())
		ON CONFLICT DO NOTHING;
	is_new := FOUND;
	SELECT t.* INTO old FROM webhook_internal.tenant t
		WHERE t.name = define_tenant.tenant
		FOR UPDATE;
	new := old;
	IF define_tenant.events IS NOT NULL THEN
		new.events := webhook_internal.checked_events(define_tenant.events);
		PERFORM webhook_internal.require_current(new.events, new.events);
	END IF;
	IF define_tenant.max_subscriptions < 0 THEN
		RAISE EXCEPTION 'max_subscriptions must not be negative, but is %',
				define_tenant.max_subscriptions
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'max_subscriptions',
				HINT = 'Use 0 to let the tenant have no subscription.';
	END IF;
	new.max_subscriptions := coalesce(define_tenant.max_subscriptions, new.max_subscriptions);
	IF define_tenant.max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(define_tenant.max_in_flight,
			(webhook_internal.bounds()).tenant_max_in_flight,
			'Use 0 for no limit of the tenant''s own.');
	END IF;
	IF define_tenant.rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(define_tenant.rate_limit);
	END IF;

	IF new IS NOT DISTINCT FROM old AND NOT is_new THEN
		RETURN;
	END IF;
	SELECT h.* INTO present FROM webhook_internal.tenant_has(new.name) h;
	IF new.max_subscriptions <> old.max_subscriptions
		AND present.subscriptions > new.max_subscriptions
	THEN
		RAISE EXCEPTION 'tenant "%" has % subscriptions', new.name, present.subscriptions
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'max_subscriptions',
				HINT = 'Give at least as many, or end some with webhook.unsubscribe().';
	END IF;
	IF new.max_in_flight IS DISTINCT FROM old.max_in_flight
		AND present.max_in_flight > new.max_in_flight
	THEN
		RAISE EXCEPTION 'a subscription of tenant "%" has a max_in_flight of %', new.name,
				present.max_in_flight
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'max_in_flight',
				HINT = 'Give at least as much, or change it with webhook.alter_subscription().';
	END IF;
	IF new.rate_limit IS DISTINCT FROM old.rate_limit AND present.rate_limit > new.rate_limit THEN
		RAISE EXCEPTION 'a subscription of tenant "%" has a rate_limit of %', new.name,
				present.rate_limit
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'rate_limit',
				HINT = 'Give at least as much, or change it with webhook.alter_subscription().';
	END IF;

	UPDATE webhook_internal.tenant AS t
		SET events = new.events, max_subscriptions = new.max_subscriptions,
			max_in_flight = new.max_in_flight, rate_limit = new.rate_limit
		WHERE t.name = new.name;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.audit_of('define_tenant'::text, NULL::bigint, NULL::uuid,
		jsonb_strip_nulls(jsonb_build_object(
			'old', CASE WHEN NOT is_new THEN to_jsonb(old) - 'channel' - 'created_at' END))
		|| jsonb_build_object('new', to_jsonb(new) - 'channel' - 'created_at'), new.name);
END
$$;
COMMENT ON FUNCTION webhook_internal.define_tenant(text, text[], integer, integer, real) IS 'what webhook.define_tenant() does, with the rights of the owner';
