/*
 * Subscriptions: who wants which events
 *
 * The functions that write a table run with the rights of the owner, so each calls
 * require_trusted_table() before it writes. Those of schema webhook are doors, see
 * src/functions/door.c; the functions of the same names in webhook_internal do the work.
 * Where an argument may be a credential, plans are generic: a custom plan contains the
 * values of its parameters, and the server may print it.
 *
 * A change of a subscription is a command in the ring: 'c', subscriptions have
 * changed, and if it names one, that subscription starts afresh; 'x', cancel
 * all deliveries of the subscription; 'n', tell people of its state.
 */

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.subscription WITH (security_barrier) AS
	SELECT id, tenant, webhook_internal.redacted_endpoint(endpoint) AS endpoint, events,
		description,
		webhook_internal.redacted_headers(headers) AS headers, signature_schemes, filter,
		payload_format, ordered, max_in_flight, rate_limit, timeout, retry_schedule, max_age,
		final_statuses, ca, client_certificate, include_context, log_bodies, name, enabled,
		paused, created_at, created_by
	FROM webhook_internal.subscription, (VALUES (0)) AS read_only
	WHERE (SELECT webhook_internal.sees_all()) OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.subscription IS 'subscriptions, credentials redacted; webhook.subscription_options() shows them in full';
COMMENT ON COLUMN webhook.subscription.endpoint IS 'URL that events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.subscription.headers IS 'headers that are added to each request, values of credentials redacted';

CREATE FUNCTION webhook_internal.start_snapshot() RETURNS pg_snapshot
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_start_snapshot';
COMMENT ON FUNCTION webhook_internal.start_snapshot() IS 'a new start snapshot: it sees what has committed by now, but not the transaction''s own changes';

-- Transaction ids of another cluster mean nothing here: see none of them.
CREATE FUNCTION webhook_internal.local_start_snapshot(home text, since pg_snapshot)
	RETURNS pg_snapshot
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN split_part(home, '/', 1) = split_part(webhook_internal.home(), '/', 1) THEN since
		ELSE '3:3:' END
$$;
COMMENT ON FUNCTION webhook_internal.local_start_snapshot(text, pg_snapshot) IS 'the start snapshot of a subscription with this home, as it applies in this cluster';

CREATE FUNCTION webhook_internal.raise_unknown_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_not_null('subscription', subscription IS NULL,
		'Give the id of a subscription; see view webhook.subscription.');
	RAISE EXCEPTION 'subscription % does not exist', subscription
		USING ERRCODE = 'undefined_object',
			COLUMN = 'subscription',
			HINT = 'See view webhook.subscription.';
END
$$;
COMMENT ON FUNCTION webhook_internal.raise_unknown_subscription(bigint) IS 'raise the error that the subscription does not exist';

-- Disabled by people, or by the worker since it was last enabled.
CREATE FUNCTION webhook_internal.disabled(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state
) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN NOT s.enabled OR t.disabled_at IS NOT NULL
		AND (t.disabled_start_snapshot IS NULL
			OR t.disabled_start_snapshot::text = s.since::text);
COMMENT ON FUNCTION webhook_internal.disabled(webhook_internal.subscription, webhook_internal.subscription_state) IS 'true if a subscription is disabled, by people or by the worker';

-- What the worker knows of a former challenge does not count.
CREATE FUNCTION webhook_internal.unconfirmed(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state
) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN s.challenge IS NOT NULL
		AND (t.confirmed_at IS NULL OR t.confirmation IS DISTINCT FROM s.confirmation);
COMMENT ON FUNCTION webhook_internal.unconfirmed(webhook_internal.subscription, webhook_internal.subscription_state) IS 'true if the endpoint of a subscription has to answer a challenge, and has not';

CREATE FUNCTION webhook_internal.is_unconfirmed(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_unconfirmed.subscription AND webhook_internal.unconfirmed(s, t))
$$;
COMMENT ON FUNCTION webhook_internal.is_unconfirmed(bigint) IS 'true if the endpoint of the subscription has to answer a challenge, and has not';

CREATE FUNCTION webhook_internal.with_challenge(base webhook_internal.subscription)
	RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new			webhook_internal.subscription := base;
BEGIN
	new.confirmation := NULL;
	new.challenge := NULL;
	new.challenged_at := NULL;
	IF new.tenant IS NOT NULL OR current_setting('webhook.confirm_endpoints', true) = 'on' THEN
		PERFORM webhook_internal.check_challenges(new.tenant);
		new.challenged_at := clock_timestamp();
		new.confirmation := webhook_internal.new_event_id(new.challenged_at);
		new.challenge := replace(concat(gen_random_uuid(), gen_random_uuid()), '-', '');
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.with_challenge(webhook_internal.subscription) IS 'the subscription with a new challenge for its endpoint, if the endpoint has to be confirmed';

CREATE FUNCTION webhook_internal.is_disabled(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_disabled.subscription AND webhook_internal.disabled(s, t))
$$;
COMMENT ON FUNCTION webhook_internal.is_disabled(bigint) IS 'true if the subscription is disabled, by people or by the worker';

CREATE FUNCTION webhook_internal.has_open_breaker(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription_state t
			WHERE t.subscription_id = has_open_breaker.subscription AND t.breaker <> 'closed')
$$;
COMMENT ON FUNCTION webhook_internal.has_open_breaker(bigint) IS 'true if the circuit breaker of the subscription is not closed';

CREATE FUNCTION webhook_internal.require_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		boolean;
	owned_by	text;
BEGIN
	SELECT true, s.tenant
		INTO known, owned_by
		FROM webhook_internal.subscription s
		WHERE s.id = require_subscription.subscription;
	-- Both cases cost the same.
	IF NOT webhook_internal.acts_on(owned_by) OR known IS NULL THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_subscription(bigint) IS 'raise an error unless the subscription exists and the caller may act for its tenant';

CREATE FUNCTION webhook_internal.require_enabled(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF webhook_internal.is_disabled(subscription) THEN
		RAISE EXCEPTION 'subscription % is disabled', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				HINT = format('Enable it with webhook.alter_subscription(%s, enabled => true).',
					subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_enabled(bigint) IS 'raise an error unless the subscription exists and is enabled';

CREATE FUNCTION webhook_internal.require_unfenced(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	IF EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = require_unfenced.subscription AND s.home <> webhook_internal.home())
	THEN
		RAISE EXCEPTION 'subscription % is fenced', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				DETAIL = 'This database is a copy of the one that the subscription was made in.',
				HINT = 'Call webhook.resume_database() to let this database send.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_unfenced(bigint) IS 'raise an error unless the subscription exists, is enabled and may send from here';

-- The worker tells people, by NOTIFY and the server's log, once this is committed.
CREATE FUNCTION webhook_internal.tell(subscription bigint, altered boolean)
	RETURNS void
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	SELECT webhook_internal.command('n'::"char", subscription,
		CASE WHEN altered THEN 'changed' END, NULL::uuid)
$$;
COMMENT ON FUNCTION webhook_internal.tell(bigint, boolean) IS 'append the command to tell people of a subscription''s state, or that it was altered';

-- What webhook.subscribe() and webhook.alter_subscription() have in common.
CREATE FUNCTION webhook_internal.with_options(
	base webhook_internal.subscription,
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	ca text,
	client_certificate text,
	include_context boolean,
	log_bodies text
) RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	new			webhook_internal.subscription := base;
BEGIN
	IF filter IS NOT NULL THEN
		PERFORM webhook_internal.require_length('filter', octet_length(filter::text),
			bounds.filter_bytes, 'Let the receiver leave out what a shorter one lets through.');
		new.filter := webhook_internal.checked_filter(filter);
	END IF;
	IF payload_format IS NOT NULL THEN
		new.payload_format := webhook_internal.checked_format(payload_format);
	END IF;
	IF ordered IS NOT NULL THEN
		new.ordered := ordered;
	END IF;
	IF max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(max_in_flight,
			bounds.max_in_flight, 'Use 0 for the default, webhook.max_in_flight_per_subscription.');
	END IF;
	IF rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(rate_limit);
	END IF;
	IF timeout IS NOT NULL THEN
		new.timeout := webhook_internal.checked_duration('timeout', nullif(timeout, '0'),
			bounds.min_timeout, bounds.max_timeout, 'Use ''0'' for the default, webhook.timeout.');
	END IF;
	IF retry_schedule IS NOT NULL THEN
		new.retry_schedule := webhook_internal.checked_schedule(retry_schedule);
	END IF;
	IF max_age IS NOT NULL THEN
		new.max_age := webhook_internal.checked_duration('max_age', nullif(max_age, '0'),
			'1 min', '1 year', 'Use ''0'' for the default, seven days.');
	END IF;
	IF final_statuses IS NOT NULL THEN
		new.final_statuses := webhook_internal.checked_statuses(final_statuses);
	END IF;
	IF ca IS NOT NULL THEN
		new.ca := webhook_internal.checked_file('ca', ca);
	END IF;
	IF client_certificate IS NOT NULL THEN
		new.client_certificate := webhook_internal.checked_file('client_certificate', client_certificate);
	END IF;
	IF include_context IS NOT NULL THEN
		new.include_context := include_context;
	END IF;
	IF log_bodies IS NOT NULL THEN
		new.log_bodies := webhook_internal.checked_log_bodies(log_bodies);
	END IF;
	RETURN new;
END
$$;
COMMENT ON FUNCTION webhook_internal.with_options(webhook_internal.subscription, jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text) IS 'the subscription with those options that are not null, checked';

CREATE FUNCTION webhook_internal.has_abp_secret(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription_secret x
			WHERE x.subscription_id = has_abp_secret.subscription AND starts_with(x.secret, 'whs_')
				AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp()))
$$;
COMMENT ON FUNCTION webhook_internal.has_abp_secret(bigint) IS 'true if the requests of the subscription are signed with a secret of ASP.NET Boilerplate';

-- What webhook.alter_subscription() and webhook.subscribe() with a name have in common.
CREATE FUNCTION webhook_internal.store_options(
	action text,
	old webhook_internal.subscription,
	changed webhook_internal.subscription,
	enabled boolean
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription := changed;
	altered		boolean := changed OPERATOR(pg_catalog.*<>) old;
	was_disabled boolean := webhook_internal.is_disabled(old.id);
	fresh		boolean;
BEGIN
	-- A new start snapshot also ends that the worker has disabled it.
	IF store_options.enabled AND was_disabled THEN
		new.since := webhook_internal.start_snapshot();
	END IF;
	-- Enabling what is enabled closes an open breaker.
	fresh := coalesce(store_options.enabled, false);
	new.enabled := coalesce(store_options.enabled, old.enabled);

	UPDATE webhook_internal.subscription s
		SET endpoint = new.endpoint,
			events = new.events,
			description = new.description,
			headers = new.headers,
			signature_schemes = new.signature_schemes,
			filter = new.filter,
			payload_format = new.payload_format,
			ordered = new.ordered,
			max_in_flight = new.max_in_flight,
			rate_limit = new.rate_limit,
			timeout = new.timeout,
			retry_schedule = new.retry_schedule,
			max_age = new.max_age,
			final_statuses = new.final_statuses,
			ca = new.ca,
			client_certificate = new.client_certificate,
			include_context = new.include_context,
			log_bodies = new.log_bodies,
			name = new.name,
			enabled = new.enabled,
			since = new.since,
			confirmation = new.confirmation,
			challenge = new.challenge,
			challenged_at = new.challenged_at
		WHERE s.id = new.id;
	IF old.enabled AND NOT new.enabled THEN
		PERFORM webhook_internal.command('x'::"char", new.id, NULL::text, NULL::uuid);
	ELSE
		-- The health of the former endpoint does not apply to another one.
		fresh := fresh OR new.endpoint <> old.endpoint OR new.ca IS DISTINCT FROM old.ca
			OR new.client_certificate IS DISTINCT FROM old.client_certificate;
		PERFORM webhook_internal.command('c'::"char", CASE WHEN fresh THEN new.id END, NULL::text,
			NULL::uuid);
	END IF;
	IF altered THEN
		PERFORM webhook_internal.tell(new.id, true);
	END IF;
	IF was_disabled IS DISTINCT FROM (NOT store_options.enabled)
		AND store_options.enabled IS NOT NULL
	THEN
		PERFORM webhook_internal.tell(new.id, false);
	END IF;

	-- Disabled by the worker is disabled; and to close a breaker is an act, too.
	IF store_options.enabled IS NOT NULL THEN
		old.enabled := NOT was_disabled;
	END IF;
	IF NOT webhook_internal.audit_options(action, old, new)
		AND store_options.enabled AND webhook_internal.has_open_breaker(new.id)
	THEN
		PERFORM webhook_internal.audit(action, new.id, NULL::uuid,
			'{"new": {"enabled": true}}'::jsonb);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.store_options(text, webhook_internal.subscription, webhook_internal.subscription, boolean) IS 'change a subscription whose row is locked, tell the worker and people, and write the row of the audit';

-- Set a subscription that has a name to what webhook.subscribe() was given. What a tenant
-- may not give stays as the platform has set it.
CREATE FUNCTION webhook_internal.replace_subscription(
	old webhook_internal.subscription,
	given webhook_internal.subscription,
	secret text
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription := given;
	newest		text;
BEGIN
	new.enabled := old.enabled;
	new.paused := old.paused;
	new.created_at := old.created_at;
	new.created_by := old.created_by;
	new.since := old.since;
	new.home := old.home;
	new.confirmation := old.confirmation;
	new.challenge := old.challenge;
	new.challenged_at := old.challenged_at;
	IF NOT webhook_internal.caller_sees_all() THEN
		new.ca := old.ca;
		new.client_certificate := old.client_certificate;
	END IF;
	IF new.endpoint <> old.endpoint THEN
		new := webhook_internal.with_challenge(new);
	END IF;
	IF new OPERATOR(pg_catalog.*<>) old THEN
		PERFORM webhook_internal.store_options('subscribe'::text, old, new, NULL::boolean);
	END IF;

	IF secret IS NULL THEN
		RETURN;
	END IF;
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = old.id
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF newest IS DISTINCT FROM replace_subscription.secret THEN
		DELETE FROM webhook_internal.subscription_secret x WHERE x.subscription_id = old.id;
		INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
			VALUES (old.id, replace_subscription.secret);
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(old.id, true);
		PERFORM webhook_internal.audit('subscribe'::text, old.id, NULL::uuid,
			'{"new": {"secret": "***"}}'::jsonb);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.replace_subscription(webhook_internal.subscription, webhook_internal.subscription, text) IS 'set a subscription, whose row is locked, to what webhook.subscribe() was given under its name';

CREATE FUNCTION webhook.subscribe(
	endpoint text,
	events text[],
	description text DEFAULT NULL,
	secret text DEFAULT NULL,
	headers jsonb DEFAULT '{}',
	signature_schemes text[] DEFAULT '{standard}',
	filter jsonpath DEFAULT NULL,
	payload_format text DEFAULT 'envelope',
	ordered boolean DEFAULT true,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL,
	timeout interval DEFAULT NULL,
	retry_schedule interval[] DEFAULT NULL,
	max_age interval DEFAULT NULL,
	final_statuses integer[] DEFAULT '{}',
	ca text DEFAULT NULL,
	client_certificate text DEFAULT NULL,
	include_context boolean DEFAULT false,
	tenant text DEFAULT NULL,
	log_bodies text DEFAULT NULL,
	name text DEFAULT NULL
) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.subscribe(text, text[], text, text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text, text, text) IS 'send events of these types to the endpoint from now on; returns the id of the subscription; if there is one of this name, it is set to what is given and else to the defaults, but keeps its secret, its start, and whether it is paused or disabled';

CREATE FUNCTION webhook_internal.subscribe(
	endpoint text,
	events text[],
	description text,
	secret text,
	headers jsonb,
	signature_schemes text[],
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	ca text,
	client_certificate text,
	include_context boolean,
	tenant text,
	log_bodies text,
	name text
) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;		-- of this name
	new			webhook_internal.subscription;
	key			text;
	is_abp		boolean;
BEGIN
	PERFORM webhook_internal.require_not_null('payload_format', subscribe.payload_format IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('ordered', subscribe.ordered IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('final_statuses', subscribe.final_statuses IS NULL,
		'Omit it for the default.');
	PERFORM webhook_internal.require_not_null('include_context', subscribe.include_context IS NULL,
		'Omit it for the default.');
	new.tenant := webhook_internal.tenant_to_be(subscribe.tenant);
	PERFORM webhook_internal.refuse_files(subscribe.ca, subscribe.client_certificate);
	new.name := webhook_internal.checked_name(subscribe.name);
	PERFORM webhook_internal.lock_tenant(new.tenant);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	IF new.name IS NOT NULL THEN
		SELECT s.* INTO old FROM webhook_internal.subscription s
			WHERE s.name = new.name AND s.tenant IS NOT DISTINCT FROM new.tenant
			FOR UPDATE;
		IF NOT FOUND AND webhook_internal.has_name(new.name, NULL::bigint, new.tenant) THEN
			RAISE EXCEPTION 'another transaction has made subscription "%"', new.name
				USING ERRCODE = 'serialization_failure',
					COLUMN = 'name',
					DETAIL = 'The snapshot of this transaction is older.',
					HINT = 'Try the transaction again.';
		END IF;
	END IF;
	new.id := old.id;

	new.endpoint := webhook_internal.canonical_endpoint(subscribe.endpoint);
	PERFORM webhook_internal.check_tenant_events(new.tenant, subscribe.events, old.events);
	new.events := webhook_internal.checked_events(subscribe.events);
	new.description := webhook_internal.checked_description(subscribe.description);
	key := webhook_internal.checked_secret(subscribe.secret);
	new.headers := webhook_internal.checked_headers(subscribe.headers);
	new.signature_schemes := webhook_internal.checked_schemes(subscribe.signature_schemes);
	new := webhook_internal.with_options(new, subscribe.filter, subscribe.payload_format,
		subscribe.ordered, subscribe.max_in_flight, subscribe.rate_limit, subscribe.timeout,
		subscribe.retry_schedule, subscribe.max_age, subscribe.final_statuses, subscribe.ca,
		subscribe.client_certificate, subscribe.include_context, subscribe.log_bodies);

	PERFORM webhook_internal.require_current(new.events, coalesce(old.events, '{}'));
	is_abp := CASE WHEN old.id IS NULL OR subscribe.secret IS NOT NULL THEN starts_with(key, 'whs_')
		ELSE webhook_internal.has_abp_secret(old.id) END;
	PERFORM webhook_internal.check_scheme(is_abp, new.signature_schemes);
	PERFORM webhook_internal.check_caps(old, new);
	PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, old.id, new.tenant);
	IF old.id IS NOT NULL THEN
		PERFORM webhook_internal.replace_subscription(old, new, subscribe.secret);
		RETURN old.id;
	END IF;

	new := webhook_internal.with_challenge(new);
	INSERT INTO webhook_internal.subscription (tenant, endpoint, events, description, headers,
			signature_schemes, filter, payload_format, ordered, max_in_flight, rate_limit,
			timeout, retry_schedule, max_age, final_statuses, ca, client_certificate,
			include_context, log_bodies, name, created_by, since, home, confirmation, challenge,
			challenged_at)
		VALUES (new.tenant, new.endpoint, new.events, new.description, new.headers,
			new.signature_schemes, new.filter, new.payload_format, new.ordered,
			new.max_in_flight, new.rate_limit, new.timeout, new.retry_schedule, new.max_age,
			new.final_statuses, new.ca, new.client_certificate, new.include_context,
			new.log_bodies, new.name, webhook_internal.caller(), webhook_internal.start_snapshot(),
			webhook_internal.home(), new.confirmation, new.challenge, new.challenged_at)
		RETURNING id INTO new.id;
	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (new.id, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(new.id, false);
	PERFORM webhook_internal.audit_options('subscribe'::text,
		NULL::webhook_internal.subscription, new);
	RETURN new.id;
END
$$;
COMMENT ON FUNCTION webhook_internal.subscribe(text, text[], text, text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], text, text, boolean, text, text, text) IS 'what webhook.subscribe() does, with the rights of the owner';

CREATE FUNCTION webhook.check_endpoint(endpoint text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.check_endpoint(text) IS 'raise the error that webhook.subscribe() would raise because of the endpoint, if there is one';

CREATE FUNCTION webhook_internal.check_endpoint(endpoint text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
	PERFORM webhook_internal.canonical_endpoint(check_endpoint.endpoint);
END
$$;
COMMENT ON FUNCTION webhook_internal.check_endpoint(text) IS 'what webhook.check_endpoint() does, with the rights of the owner';

CREATE FUNCTION webhook.alter_subscription(
	subscription bigint,
	endpoint text DEFAULT NULL,
	events text[] DEFAULT NULL,
	description text DEFAULT NULL,
	headers jsonb DEFAULT NULL,
	signature_schemes text[] DEFAULT NULL,
	filter jsonpath DEFAULT NULL,
	payload_format text DEFAULT NULL,
	ordered boolean DEFAULT NULL,
	max_in_flight integer DEFAULT NULL,
	rate_limit real DEFAULT NULL,
	timeout interval DEFAULT NULL,
	retry_schedule interval[] DEFAULT NULL,
	max_age interval DEFAULT NULL,
	final_statuses integer[] DEFAULT NULL,
	enabled boolean DEFAULT NULL,
	ca text DEFAULT NULL,
	client_certificate text DEFAULT NULL,
	include_context boolean DEFAULT NULL,
	log_bodies text DEFAULT NULL,
	name text DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.alter_subscription(bigint, text, text[], text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], boolean, text, text, boolean, text, text) IS 'change a subscription; null keeps a value; filter true, 0, and an empty description or schedule restore the default; enabling it starts from now on';

CREATE FUNCTION webhook_internal.alter_subscription(
	subscription bigint,
	endpoint text,
	events text[],
	description text,
	headers jsonb,
	signature_schemes text[],
	filter jsonpath,
	payload_format text,
	ordered boolean,
	max_in_flight integer,
	rate_limit real,
	timeout interval,
	retry_schedule interval[],
	max_age interval,
	final_statuses integer[],
	enabled boolean,
	ca text,
	client_certificate text,
	include_context boolean,
	log_bodies text,
	name text
) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
	new			webhook_internal.subscription;
	rerouted	boolean := alter_subscription.endpoint IS NOT NULL
					OR alter_subscription.events IS NOT NULL;
BEGIN
	PERFORM webhook_internal.require_subscription(alter_subscription.subscription);
	PERFORM webhook_internal.refuse_files(alter_subscription.ca,
		alter_subscription.client_certificate);
	-- The tenant is locked before any row; otherwise two calls could deadlock.
	IF rerouted OR alter_subscription.name <> '' THEN
		PERFORM webhook_internal.lock_tenant(s.tenant)
			FROM webhook_internal.subscription s
			WHERE s.id = alter_subscription.subscription;
	END IF;
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	SELECT s.* INTO old FROM webhook_internal.subscription s
		WHERE s.id = alter_subscription.subscription
		FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(alter_subscription.subscription);
	END IF;

	new := old;
	IF alter_subscription.endpoint IS NOT NULL THEN
		new.endpoint := webhook_internal.canonical_endpoint(alter_subscription.endpoint);
	END IF;
	IF alter_subscription.events IS NOT NULL THEN
		PERFORM webhook_internal.check_tenant_events(new.tenant, alter_subscription.events,
			old.events);
		new.events := webhook_internal.checked_events(alter_subscription.events);
		PERFORM webhook_internal.require_current(new.events, old.events);
	END IF;
	IF rerouted THEN
		PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, new.id, new.tenant);
	END IF;
	-- The same endpoint is asked again if it has not answered yet.
	IF alter_subscription.endpoint IS NOT NULL
		AND (new.endpoint <> old.endpoint OR webhook_internal.is_unconfirmed(old.id))
	THEN
		new := webhook_internal.with_challenge(new);
	END IF;
	IF alter_subscription.description IS NOT NULL THEN
		new.description := webhook_internal.checked_description(alter_subscription.description);
	END IF;
	IF alter_subscription.headers IS NOT NULL THEN
		new.headers := webhook_internal.checked_headers(alter_subscription.headers);
	END IF;
	IF alter_subscription.signature_schemes IS NOT NULL THEN
		new.signature_schemes :=
			webhook_internal.checked_schemes(alter_subscription.signature_schemes);
		PERFORM webhook_internal.check_scheme(
			webhook_internal.has_abp_secret(new.id), new.signature_schemes);
	END IF;
	new := webhook_internal.with_options(new, alter_subscription.filter,
		alter_subscription.payload_format, alter_subscription.ordered,
		alter_subscription.max_in_flight, alter_subscription.rate_limit,
		alter_subscription.timeout, alter_subscription.retry_schedule,
		alter_subscription.max_age, alter_subscription.final_statuses, alter_subscription.ca,
		alter_subscription.client_certificate, alter_subscription.include_context,
		alter_subscription.log_bodies);
	IF alter_subscription.name IS NOT NULL THEN
		new.name := webhook_internal.checked_name(nullif(alter_subscription.name, ''));
		IF webhook_internal.has_name(new.name, new.id, new.tenant) THEN
			RAISE EXCEPTION 'subscription "%" already exists', new.name
				USING ERRCODE = 'duplicate_object',
					COLUMN = 'name',
					HINT = 'Choose another name, or take it from the other one first.';
		END IF;
	END IF;
	PERFORM webhook_internal.check_caps(old, new);
	PERFORM webhook_internal.store_options('alter_subscription'::text, old, new,
		alter_subscription.enabled);
END
$$;
COMMENT ON FUNCTION webhook_internal.alter_subscription(bigint, text, text[], text, jsonb, text[], jsonpath, text, boolean, integer, real, interval, interval[], interval, integer[], boolean, text, text, boolean, text, text) IS 'what webhook.alter_subscription() does, with the rights of the owner';

CREATE FUNCTION webhook.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.subscription_options(bigint) IS 'the options of a subscription, credentials included, under the names of the arguments of webhook.alter_subscription()';

CREATE FUNCTION webhook_internal.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	options		jsonb;
BEGIN
	PERFORM webhook_internal.require_subscription(subscription_options.subscription);
	SELECT to_jsonb(o)
		INTO options
		FROM (
			SELECT s.endpoint, s.events, s.description, s.headers, s.signature_schemes,
				s.filter::text AS filter, s.payload_format, s.ordered, s.max_in_flight,
				s.rate_limit, s.timeout, s.retry_schedule, s.max_age, s.final_statuses,
				s.enabled, s.ca, s.client_certificate, s.include_context, s.log_bodies, s.name
			FROM webhook_internal.subscription s
			WHERE s.id = subscription_options.subscription
		) o;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription_options.subscription);
	END IF;
	IF webhook_internal.redacted_endpoint(options ->> 'endpoint') <> options ->> 'endpoint'
		OR webhook_internal.redacted_headers(options -> 'headers') <> options -> 'headers'
	THEN
		-- They are known from here on, even if the row of the audit is rolled back.
		RAISE LOG 'the credentials of webhook subscription % are shown to role "%"',
			subscription_options.subscription, webhook_internal.caller();
		PERFORM webhook_internal.audit('subscription_options'::text,
			subscription_options.subscription, NULL::uuid, NULL::jsonb);
	END IF;
	RETURN options;
END
$$;
COMMENT ON FUNCTION webhook_internal.subscription_options(bigint) IS 'what webhook.subscription_options() does, with the rights of the owner';

CREATE FUNCTION webhook.confirm(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.confirm(bigint) IS 'send to the endpoint of a subscription although it has not answered the challenge';

CREATE FUNCTION webhook_internal.confirm(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_subscription(confirm.subscription);
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to confirm endpoints'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may; let the endpoint answer the challenge.';
	END IF;
	UPDATE webhook_internal.subscription s
		SET confirmation = NULL, challenge = NULL, challenged_at = NULL
		WHERE s.id = confirm.subscription AND webhook_internal.is_unconfirmed(s.id);
	IF FOUND THEN
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(confirm.subscription, false);
		PERFORM webhook_internal.audit('confirm'::text, confirm.subscription, NULL::uuid, NULL::jsonb);
	ELSE
		-- It may have gone meanwhile.
		PERFORM webhook_internal.require_subscription(confirm.subscription);
		RAISE NOTICE 'the endpoint of subscription % needs no confirmation', confirm.subscription
			USING HINT = 'See webhook.stat_subscription.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.confirm(bigint) IS 'what webhook.confirm() does, with the rights of the owner';

CREATE FUNCTION webhook.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.unsubscribe(bigint) IS 'delete a subscription and cancel its waiting deliveries';

CREATE FUNCTION webhook_internal.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.require_subscription(unsubscribe.subscription);
	-- Who subscribes to the same waits to see whether this one goes.
	PERFORM webhook_internal.lock_tenant(s.tenant)
		FROM webhook_internal.subscription s
		WHERE s.id = unsubscribe.subscription;
	DELETE FROM webhook_internal.subscription s
		WHERE s.id = unsubscribe.subscription
		RETURNING s.* INTO old;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(unsubscribe.subscription);
	END IF;
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = unsubscribe.subscription;
	PERFORM webhook_internal.command('x'::"char", unsubscribe.subscription, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(unsubscribe.subscription, false);
	PERFORM webhook_internal.audit_options('unsubscribe'::text, old,
		NULL::webhook_internal.subscription);
END
$$;
COMMENT ON FUNCTION webhook_internal.unsubscribe(bigint) IS 'what webhook.unsubscribe() does, with the rights of the owner';

-- A call that changes nothing is no command.
CREATE FUNCTION webhook_internal.set_paused(subscription bigint, paused boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_subscription(set_paused.subscription);
	UPDATE webhook_internal.subscription s
		SET paused = set_paused.paused
		WHERE s.id = set_paused.subscription AND s.paused <> set_paused.paused;
	IF FOUND THEN
		PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
		PERFORM webhook_internal.tell(set_paused.subscription, false);
		PERFORM webhook_internal.audit(
			CASE WHEN set_paused.paused THEN 'pause'::text ELSE 'resume' END,
			set_paused.subscription, NULL::uuid, NULL::jsonb);
	ELSE
		-- It may have gone meanwhile.
		PERFORM webhook_internal.require_subscription(set_paused.subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.set_paused(bigint, boolean) IS 'pause or resume a subscription';

CREATE FUNCTION webhook.pause(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.pause(bigint) IS 'stop sending to a subscription; its events wait';

CREATE FUNCTION webhook_internal.pause(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.set_paused(pause.subscription, true);
END
$$;
COMMENT ON FUNCTION webhook_internal.pause(bigint) IS 'what webhook.pause() does, with the rights of the owner';

CREATE FUNCTION webhook.resume(subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resume(bigint) IS 'send to a paused subscription again, first the events that wait';

CREATE FUNCTION webhook_internal.resume(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.set_paused(resume.subscription, false);
END
$$;
COMMENT ON FUNCTION webhook_internal.resume(bigint) IS 'what webhook.resume() does, with the rights of the owner';

CREATE FUNCTION webhook.resume_database(discard boolean DEFAULT false) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resume_database(boolean) IS 'send from this copy of a database, too; with discard, waiting deliveries are cancelled and only later events are sent';

CREATE FUNCTION webhook_internal.resume_database(discard boolean) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fenced		record;
	resumed		bigint[];
	held		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_not_null('discard', discard IS NULL,
		'Use true to cancel waiting deliveries, false to send them.');

	-- An open transaction that has changed one of them keeps nobody else waiting.
	FOR fenced IN
		WITH free AS MATERIALIZED (
			SELECT o.id
				FROM webhook_internal.subscription o
				WHERE o.home <> webhook_internal.home()
				FOR UPDATE SKIP LOCKED)
		UPDATE webhook_internal.subscription s
			SET home = webhook_internal.home(),
				since = CASE
					WHEN discard THEN webhook_internal.start_snapshot()
					ELSE webhook_internal.local_start_snapshot(s.home, s.since) END,
				-- A new start snapshot must not end that the worker has disabled it.
				enabled = NOT webhook_internal.is_disabled(s.id)
			FROM free
			WHERE s.id = free.id AND s.home <> webhook_internal.home()
			RETURNING s.id, s.enabled
	LOOP
		IF discard OR NOT fenced.enabled THEN
			PERFORM webhook_internal.command('x'::"char", fenced.id, NULL::text, NULL::uuid);
		END IF;
		PERFORM webhook_internal.tell(fenced.id, false);
		resumed := resumed || fenced.id;
	END LOOP;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	IF resumed IS NOT NULL THEN
		PERFORM webhook_internal.audit('resume_database'::text, NULL::bigint, NULL::uuid,
			jsonb_build_object('discard', resume_database.discard,
				'subscriptions', to_jsonb(resumed)));
	END IF;
	SELECT string_agg(s.id::text, ', ' ORDER BY s.id)
		INTO held
		FROM webhook_internal.subscription s
		WHERE s.home <> webhook_internal.home();
	IF held IS NOT NULL THEN
		RAISE WARNING 'some subscriptions are still fenced'
			USING DETAIL = format('Other transactions are changing these: %s.', held),
				HINT = 'Call webhook.resume_database() once more when these transactions have ended.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.resume_database(boolean) IS 'what webhook.resume_database() does, with the rights of the owner';
