/*
 * Who wants it
 *
 * These run as their owner, so none writes a table before it has seen that it
 * holds no code of anybody else. Where a value may be a credential, plans are
 * generic: a plan of its own for a value has the value in it, and may be
 * printed.
 *
 * A change of a subscription tells the worker by a row of the ring: 'c',
 * something has changed, and this subscription, if one is named, begins anew;
 * 'x', what waits for this subscription shall end.
 */

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
	client_certificate text DEFAULT NULL
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	new			webhook_internal.subscription;
	key			text;
BEGIN
	IF subscribe.payload_format IS NULL OR subscribe.ordered IS NULL
		OR subscribe.final_statuses IS NULL
	THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN subscribe.payload_format IS NULL THEN 'payload_format'
				WHEN subscribe.ordered IS NULL THEN 'ordered'
				ELSE 'final_statuses' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Leave it out for the default.';
	END IF;
	new.endpoint := webhook_internal.canonical_endpoint(subscribe.endpoint);
	new.events := webhook_internal.checked_events(subscribe.events);
	new.description := nullif(subscribe.description, '');
	key := webhook_internal.checked_secret(subscribe.secret);
	new.headers := webhook_internal.checked_headers(subscribe.headers);
	new.signature_schemes := webhook_internal.checked_schemes(subscribe.signature_schemes);
	new := webhook_internal.with_options(new, subscribe.filter, subscribe.payload_format,
		subscribe.ordered, subscribe.max_in_flight, subscribe.rate_limit, subscribe.timeout,
		subscribe.retry_schedule, subscribe.max_age, subscribe.final_statuses, subscribe.ca,
		subscribe.client_certificate);

	LOCK TABLE webhook_internal.subscription IN SHARE ROW EXCLUSIVE MODE;
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, NULL::bigint);
	INSERT INTO webhook_internal.subscription (endpoint, events, description, headers,
			signature_schemes, filter, payload_format, ordered, max_in_flight, rate_limit,
			timeout, retry_schedule, max_age, final_statuses, ca, client_certificate,
			created_by, since, home)
		VALUES (new.endpoint, new.events, new.description, new.headers,
			new.signature_schemes, new.filter, new.payload_format, new.ordered,
			new.max_in_flight, new.rate_limit, new.timeout, new.retry_schedule, new.max_age,
			new.final_statuses, new.ca, new.client_certificate,
			webhook_internal.caller(), webhook_internal.since(), webhook_internal.home())
		RETURNING id INTO new.id;
	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (new.id, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	RETURN new.id;
END
$$;

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
	client_certificate text DEFAULT NULL
) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	old			webhook_internal.subscription;
	new			webhook_internal.subscription;
	rerouted	boolean := alter_subscription.endpoint IS NOT NULL
					OR alter_subscription.events IS NOT NULL;
	anew		boolean := false;
BEGIN
	-- Before any row, lest two of these wait for each other.
	IF rerouted THEN
		LOCK TABLE webhook_internal.subscription IN SHARE ROW EXCLUSIVE MODE;
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
		new.events := webhook_internal.checked_events(alter_subscription.events);
	END IF;
	IF rerouted THEN
		PERFORM webhook_internal.check_duplicate(new.endpoint, new.events, new.id);
	END IF;
	IF alter_subscription.description IS NOT NULL THEN
		new.description := nullif(alter_subscription.description, '');
	END IF;
	IF alter_subscription.headers IS NOT NULL THEN
		new.headers := webhook_internal.checked_headers(alter_subscription.headers);
	END IF;
	IF alter_subscription.signature_schemes IS NOT NULL THEN
		new.signature_schemes := webhook_internal.checked_schemes(alter_subscription.signature_schemes);
	END IF;
	new := webhook_internal.with_options(new, alter_subscription.filter,
		alter_subscription.payload_format, alter_subscription.ordered,
		alter_subscription.max_in_flight, alter_subscription.rate_limit,
		alter_subscription.timeout, alter_subscription.retry_schedule,
		alter_subscription.max_age, alter_subscription.final_statuses, alter_subscription.ca,
		alter_subscription.client_certificate);
	-- Enabled anew, it begins anew, and the worker forgets that it gave it up.
	IF alter_subscription.enabled AND webhook_internal.is_disabled(old.id) THEN
		new.since := webhook_internal.since();
		anew := true;
	END IF;
	new.enabled := coalesce(alter_subscription.enabled, old.enabled);

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
			enabled = new.enabled,
			since = new.since
		WHERE s.id = new.id;
	IF old.enabled AND NOT new.enabled THEN
		PERFORM webhook_internal.command('x'::"char", new.id, NULL::text, NULL::uuid);
	ELSE
		-- How the former endpoint fared says nothing of this one.
		anew := anew OR new.endpoint <> old.endpoint OR new.ca IS DISTINCT FROM old.ca
			OR new.client_certificate IS DISTINCT FROM old.client_certificate;
		PERFORM webhook_internal.command('c'::"char", CASE WHEN anew THEN new.id END, NULL::text,
			NULL::uuid);
	END IF;
END
$$;

CREATE FUNCTION webhook.subscription_options(subscription bigint) RETURNS jsonb
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres
AS $$
DECLARE
	options		jsonb;
BEGIN
	SELECT to_jsonb(o)
		INTO options
		FROM (
			SELECT s.endpoint, s.events, s.description, s.headers, s.signature_schemes,
				s.filter::text AS filter, s.payload_format, s.ordered, s.max_in_flight,
				s.rate_limit, s.timeout, s.retry_schedule, s.max_age, s.final_statuses,
				s.enabled, s.ca, s.client_certificate
			FROM webhook_internal.subscription s
			WHERE s.id = subscription_options.subscription
		) o;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription_options.subscription);
	END IF;
	RETURN options;
END
$$;

CREATE FUNCTION webhook.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	DELETE FROM webhook_internal.subscription s WHERE s.id = unsubscribe.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(unsubscribe.subscription);
	END IF;
	PERFORM webhook_internal.command('x'::"char", unsubscribe.subscription, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.pause(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	UPDATE webhook_internal.subscription s SET paused = true WHERE s.id = pause.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(pause.subscription);
	END IF;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.resume(subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	UPDATE webhook_internal.subscription s SET paused = false WHERE s.id = resume.subscription;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(resume.subscription);
	END IF;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.resume_database(discard boolean DEFAULT false) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	fenced		record;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription'::regclass);
	IF discard IS NULL THEN
		RAISE EXCEPTION 'discard must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give true to drop what waits, false to send it.';
	END IF;

	FOR fenced IN
		UPDATE webhook_internal.subscription s
			SET home = webhook_internal.home(),
				since = CASE
					WHEN discard THEN webhook_internal.since()
					ELSE webhook_internal.local_start_snapshot(s.home, s.since) END,
				-- What was given up stays so, although "since" changes.
				enabled = NOT webhook_internal.is_disabled(s.id)
			WHERE s.home <> webhook_internal.home()
			RETURNING s.id, s.enabled
	LOOP
		IF discard OR NOT fenced.enabled THEN
			PERFORM webhook_internal.command('x'::"char", fenced.id, NULL::text, NULL::uuid);
		END IF;
	END LOOP;
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
END
$$;

