/*
 * config(): the statements that set all of it up
 *
 * A statement says the same when it is executed again, and then changes nothing. Where a
 * function would refuse what is there already, a condition keeps it from being called. What
 * may not be made anew, but may stay, is made before what forbids it: an event type is
 * deprecated at the end, and a tenant that is new may have everything until then. What cannot
 * be made at all is a comment.
 */

CREATE FUNCTION webhook.config(secrets boolean DEFAULT false) RETURNS SETOF text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.config(boolean) IS 'statements that recreate event types, tenants, watches and subscriptions, here or in another database; what people or the worker have disabled is disabled there; with secrets they contain secrets and credentials';

-- What finds a subscription again: its name, or, if it has none, what it sends where and
-- which one of several such it is. It is PL/pgSQL: auto_explain logs the parameters of a
-- function in SQL, and s has credentials.
CREATE FUNCTION webhook_internal.config_key(
	s webhook_internal.subscription,
	which bigint,
	OUT condition text,
	OUT number bigint
) RETURNS record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	condition := CASE WHEN s.tenant IS NULL THEN 'tenant IS NULL'
				ELSE format('tenant = %L', s.tenant) END
			|| CASE WHEN s.name IS NOT NULL THEN format(' AND name = %L', s.name)
				ELSE format(' AND name IS NULL AND endpoint = %L AND events = %L',
					webhook_internal.redacted_endpoint(s.endpoint), s.events) END;
	number := CASE WHEN s.name IS NULL THEN which ELSE 1 END;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_key(webhook_internal.subscription, bigint) IS 'condition on view webhook.subscription that the subscription is found by, and which of its rows it is';

CREATE FUNCTION webhook_internal.config_subscription(
	s webhook_internal.subscription,
	which bigint,
	secret text
) RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
DECLARE
	key			record := webhook_internal.config_key(s, which);
	found		text := format('FROM (SELECT id, paused FROM webhook.subscription WHERE %s ORDER BY id LIMIT 1 OFFSET %s) AS s',
					key.condition, key.number - 1);
BEGIN
	RETURN NEXT 'SELECT webhook.subscribe('
		|| array_to_string(ARRAY[
			format('%L', s.endpoint),
			format('%L', s.events),
			'name => ' || quote_literal(s.name),
			'tenant => ' || quote_literal(s.tenant),
			'description => ' || quote_literal(s.description),
			'secret => ' || quote_literal(config_subscription.secret),
			CASE WHEN s.headers <> '{}' THEN format('headers => %L', s.headers) END,
			CASE WHEN s.signature_schemes <> '{standard}'
				THEN format('signature_schemes => %L', s.signature_schemes) END,
			'filter => ' || quote_literal(s.filter::text),
			CASE WHEN s.payload_format <> 'envelope'
				THEN format('payload_format => %L', s.payload_format) END,
			CASE WHEN NOT s.ordered THEN 'ordered => false' END,
			'max_in_flight => ' || s.max_in_flight,
			'rate_limit => ' || quote_literal(s.rate_limit::text),
			'timeout => ' || quote_literal(s.timeout::text),
			'retry_schedule => ' || quote_literal(s.retry_schedule::text),
			'max_age => ' || quote_literal(s.max_age::text),
			CASE WHEN s.final_statuses <> '{}'
				THEN format('final_statuses => %L', s.final_statuses) END,
			'ca => ' || quote_literal(s.ca),
			'client_certificate => ' || quote_literal(s.client_certificate),
			CASE WHEN s.include_context THEN 'include_context => true' END,
			'log_bodies => ' || quote_literal(s.log_bodies)], ', ')
		|| ')'
		|| CASE WHEN s.name IS NULL
			THEN format(' WHERE (SELECT count(*) FROM webhook.subscription WHERE %s) < %s',
				key.condition, key.number)
			ELSE '' END
		|| ';';
	IF s.paused THEN
		RETURN NEXT format('SELECT webhook.pause(s.id) %s WHERE NOT s.paused;', found);
	END IF;
	IF webhook_internal.is_disabled(s.id) THEN
		RETURN NEXT format('SELECT webhook.alter_subscription(s.id, enabled => false) %s JOIN webhook.stat_subscription AS t ON t.subscription_id = s.id WHERE t.state <> ''disabled'';',
			found);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_subscription(webhook_internal.subscription, bigint, text) IS 'statements that recreate the subscription, with this secret; null: with any; one that people or the worker have disabled is disabled there';

CREATE FUNCTION webhook_internal.config_watch(w webhook.watched_table, relation text)
	RETURNS SETOF text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	label		constant name := webhook_internal.watch_label(w.event_type);
	watch		constant text := format('The watch of %s for %s', to_json(relation), w.event_type);
BEGIN
	IF w.missing_columns <> '{}' THEN
		RETURN NEXT format('-- %s lacks columns: %s.', watch, to_json(w.missing_columns));
		RETURN;
	END IF;
	RETURN NEXT format('SELECT webhook.watch(%s) WHERE NOT EXISTS (SELECT FROM webhook.watched_table WHERE relation = %L::regclass AND event_type = %L);',
		array_to_string(ARRAY[
			quote_literal(relation), quote_literal(w.event_type),
			format('status_column => %L', w.status_column),
			format('id_columns => %L', w.id_columns),
			format('data_columns => %L', w.data_columns),
			format('name => %L', w.name),
			'tenant_column => ' || quote_literal(w.tenant_column),
			-- Children that were made after the watch are left out by it, too.
			CASE WHEN w.parent_only OR w.children <> '{}' THEN 'parent_only => true' END], ', '),
		relation, w.event_type);
	IF w.other_partitions <> '{}' THEN
		RETURN NEXT format('-- %s is not the same on these partitions: %s.', watch,
			to_json(w.other_partitions::text[]));
	ELSIF w.enabled <> 'origin' AND NOT EXISTS (
		SELECT FROM pg_trigger t WHERE t.tgrelid = w.relation AND t.tgname = label)
	THEN
		RETURN NEXT format('-- %s has a trigger of another name, which is enabled in another way: %s.',
			watch, w.enabled);
	ELSIF w.enabled <> 'origin' THEN
		RETURN NEXT format('ALTER TABLE %s %s TRIGGER %I;', relation,
			CASE w.enabled WHEN 'disabled' THEN 'DISABLE' ELSE 'ENABLE ' || upper(w.enabled) END,
			label);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.config_watch(webhook.watched_table, text) IS 'statements that recreate the watch of a table, of this qualified name; what cannot be recreated is a comment';

CREATE FUNCTION webhook_internal.config(secrets boolean) RETURNS SETOF text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
	SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
	r			record;
BEGIN
	PERFORM webhook_internal.require_not_null('secrets', config.secrets IS NULL,
		'Use true for statements with secrets and credentials, false for statements without.');
	IF config.secrets THEN
		-- They are known from here on, even if the row of the audit is rolled back.
		RAISE LOG 'the secrets of all webhook subscriptions are shown to role "%"',
			webhook_internal.caller();
		PERFORM webhook_internal.audit('config'::text, NULL::bigint, NULL::uuid,
			'{"secrets": true}'::jsonb);
	END IF;

	FOR r IN
		SELECT t.*
			FROM webhook_internal.event_type t
			WHERE NOT starts_with(t.name, 'webhook.')
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_event_type(%1$L) WHERE NOT EXISTS (SELECT FROM webhook.event_type WHERE name = %1$L);',
			r.name);
		RETURN NEXT format('SELECT webhook.alter_event_type(%L, description => %L, schema => %L, example => %L%s);',
			r.name, coalesce(r.description, ''), coalesce(r.schema, 'null'),
			coalesce(r.example, 'null'),
			CASE WHEN r.deprecated_at IS NULL THEN ', deprecated => false' END);
	END LOOP;

	FOR r IN
		SELECT t.name, greatest(t.max_subscriptions, h.subscriptions) AS max_subscriptions,
				'{*}' || ARRAY(
				SELECT DISTINCT e.name
					FROM webhook_internal.subscription s, unnest(s.events) AS e (name)
					WHERE s.tenant = t.name AND webhook_internal.is_own_type(e.name)
					ORDER BY e.name) AS all_events
			FROM webhook_internal.tenant t, webhook_internal.tenant_has(t.name) h
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_tenant(%1$L, %2$L, max_subscriptions => %3$s) WHERE NOT EXISTS (SELECT FROM webhook.tenant WHERE name = %1$L);',
			r.name, r.all_events, r.max_subscriptions);
	END LOOP;

	RETURN QUERY
		SELECT s.statement
			FROM webhook.watched_table w
				JOIN pg_class c ON c.oid = w.relation
				JOIN pg_namespace n ON n.oid = c.relnamespace
				CROSS JOIN webhook_internal.config_watch(w, format('%I.%I', n.nspname, c.relname))
					WITH ORDINALITY AS s (statement, place)
			ORDER BY n.nspname, c.relname, w.event_type, s.place;

	FOR r IN
		SELECT s AS subscription, s.id, s.name, s.tenant,
				webhook_internal.redacted_endpoint(s.endpoint) <> s.endpoint
					OR webhook_internal.redacted_headers(s.headers) <> s.headers AS is_secret,
				row_number() OVER (
					PARTITION BY s.tenant, s.name, s.events,
						webhook_internal.redacted_endpoint(s.endpoint)
					ORDER BY s.id) AS which,
				(SELECT x.secret
					FROM webhook_internal.subscription_secret x
					WHERE config.secrets AND x.subscription_id = s.id
						AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
					ORDER BY x.id DESC
					LIMIT 1) AS secret
			FROM webhook_internal.subscription s
			ORDER BY s.id
	LOOP
		IF r.is_secret AND NOT config.secrets THEN
			RETURN NEXT format('-- Subscription %s%s%s has credentials in its endpoint or headers; webhook.config(true) shows it.',
				coalesce(to_json(r.name)::text, r.id::text),
				CASE WHEN r.tenant IS NOT NULL THEN ' of tenant ' END, to_json(r.tenant));
		ELSE
			RETURN QUERY
				SELECT webhook_internal.config_subscription(r.subscription, r.which, r.secret);
		END IF;
	END LOOP;

	FOR r IN
		SELECT t.name, t.events, t.max_subscriptions, t.max_in_flight, t.rate_limit,
				array_remove(ARRAY[
					CASE WHEN h.subscriptions > t.max_subscriptions THEN 'max_subscriptions' END,
					CASE WHEN h.max_in_flight > t.max_in_flight THEN 'max_in_flight' END,
					CASE WHEN h.rate_limit > t.rate_limit THEN 'rate_limit' END], NULL) AS exceeded
			FROM webhook_internal.tenant t, webhook_internal.tenant_has(t.name) h
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.define_tenant(%s);', array_to_string(ARRAY[
			quote_literal(r.name), quote_literal(r.events)]
			|| ARRAY(
				SELECT format('%s => %L', c.cap, c.value)
					FROM (VALUES
						('max_subscriptions', r.max_subscriptions::text),
						('max_in_flight', coalesce(r.max_in_flight, 0)::text),
						('rate_limit', coalesce(r.rate_limit, 0)::text)) AS c (cap, value)
					WHERE c.cap <> ALL (r.exceeded)), ', '));
		IF r.exceeded <> '{}' THEN
			RETURN NEXT format('-- Tenant %s has more than these caps allow: %s.', to_json(r.name),
				array_to_string(r.exceeded, ', '));
		END IF;
	END LOOP;

	-- Those who have them keep them; a new subscription may not name them.
	FOR r IN
		SELECT t.name
			FROM webhook_internal.event_type t
			WHERE t.deprecated_at IS NOT NULL AND NOT starts_with(t.name, 'webhook.')
			ORDER BY t.name
	LOOP
		RETURN NEXT format('SELECT webhook.alter_event_type(%L, deprecated => true);', r.name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.config(boolean) IS 'what webhook.config() does, with the rights of the owner';
