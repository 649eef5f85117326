/*
 * Helpers of the functions below; nobody else calls them. Calls name the type
 * of each argument, so that none can mean a function that somebody adds.
 */

CREATE FUNCTION webhook_internal.require_event_type(event_type text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_event_type';

CREATE FUNCTION webhook_internal.canonical_endpoint(endpoint text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_canonical_endpoint';

CREATE FUNCTION webhook_internal.checked_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_headers';

CREATE FUNCTION webhook_internal.checked_secret(secret text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_secret';

CREATE FUNCTION webhook_internal.check_duplicate(endpoint text, events text[], subscription bigint)
	RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_check_duplicate';

CREATE FUNCTION webhook_internal.since() RETURNS pg_snapshot
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_since';

CREATE FUNCTION webhook_internal.home() RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_this_home';

CREATE FUNCTION webhook_internal.caller() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller';

CREATE FUNCTION webhook_internal.require_trusted_table(relation regclass) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_trusted_table';

CREATE FUNCTION webhook_internal.redacted_endpoint(endpoint text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_endpoint';

CREATE FUNCTION webhook_internal.redacted_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_headers';

CREATE FUNCTION webhook_internal.matches(pattern text, event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches';

CREATE FUNCTION webhook_internal.checked_filter(filter jsonpath) RETURNS jsonpath
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_filter';

CREATE FUNCTION webhook_internal.accepts(filter jsonpath, data json) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_accepts';

CREATE FUNCTION webhook_internal.new_event_id(created_at timestamptz) RETURNS uuid
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_new_event_id';

CREATE FUNCTION webhook_internal.command(
	kind "char",
	subscription bigint DEFAULT NULL,
	subject text DEFAULT NULL,
	event uuid DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_command';

CREATE FUNCTION webhook_internal.replay(
	subscription bigint,
	cause text,
	id bigint,
	event_id uuid,
	created_at timestamptz,
	event_type text,
	subject text,
	data json
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_replay';

CREATE FUNCTION webhook_internal.checked_events(events text[]) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	checked		text[] := '{}';
	event		text;
	wider		text;
BEGIN
	IF events IS NULL THEN
		RAISE EXCEPTION 'events must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Name at least one event type; table webhook.event_type lists them.';
	END IF;
	IF cardinality(events) = 0 THEN
		RAISE EXCEPTION 'events must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name at least one event type; table webhook.event_type lists them.';
	END IF;
	FOREACH event IN ARRAY events LOOP
		IF event IS NULL THEN
			RAISE EXCEPTION 'events must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Name event types only; table webhook.event_type lists them.';
		END IF;
		IF strpos(event, '*') = 0 THEN
			PERFORM webhook_internal.require_event_type(event);
		ELSIF event COLLATE "C" !~ '^([A-Za-z0-9][A-Za-z0-9_.-]*\.)?\*$'
			OR octet_length(event) > 128
		THEN
			RAISE EXCEPTION 'invalid pattern "%" of event types', event
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Write ''*'' for all event types, or for example ''App.*'' for those that begin with ''App.''; 128 bytes at most.';
		END IF;
	END LOOP;

	FOREACH event IN ARRAY events LOOP
		SELECT e.name
			INTO wider
			FROM unnest(events) AS e (name)
			WHERE e.name <> event AND webhook_internal.matches(e.name, event)
			ORDER BY length(e.name)
			LIMIT 1;
		IF FOUND THEN
			RAISE NOTICE 'event type "%" is included in "%"', event, wider;
		ELSIF event = ANY (checked) THEN
			RAISE NOTICE 'event type "%" is named twice', event;
		ELSE
			checked := checked || event;
		END IF;
	END LOOP;
	RETURN checked;
END
$$;

CREATE FUNCTION webhook_internal.checked_schemes(signature_schemes text[]) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	scheme		text;
BEGIN
	IF signature_schemes IS NULL OR array_position(signature_schemes, NULL) IS NOT NULL THEN
		RAISE EXCEPTION 'signature_schemes must not be or contain null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give ''{standard}'' or ''{standard,abp}''.';
	END IF;
	FOREACH scheme IN ARRAY signature_schemes LOOP
		IF scheme NOT IN ('standard', 'abp') THEN
			RAISE EXCEPTION 'signature scheme "%" does not exist', scheme
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Give ''{standard}'' or ''{standard,abp}''.';
		END IF;
	END LOOP;
	-- The signature of Standard Webhooks is on every call.
	IF 'abp' = ANY (signature_schemes) THEN
		RETURN '{standard,abp}';
	END IF;
	RETURN '{standard}';
END
$$;

CREATE FUNCTION webhook_internal.checked_format(payload_format text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF payload_format NOT IN ('envelope', 'raw', 'standard') THEN
		RAISE EXCEPTION 'payload format "%" does not exist', payload_format
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give ''envelope'', ''raw'' or ''standard''.';
	END IF;
	RETURN payload_format;
END
$$;

CREATE FUNCTION webhook_internal.checked_in_flight(max_in_flight integer) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF max_in_flight NOT BETWEEN 0 AND 1000 THEN
		RAISE EXCEPTION 'max_in_flight must be between 1 and 1000, not %', max_in_flight
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give 0 for what webhook.max_in_flight_per_subscription says.';
	END IF;
	RETURN nullif(max_in_flight, 0);
END
$$;

CREATE FUNCTION webhook_internal.checked_rate(rate_limit real) RETURNS real
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- The lower one is a call in 28 hours, and the upper one refuses NaN, too.
	IF rate_limit <> 0 AND rate_limit NOT BETWEEN 0.00001::real AND 10000 THEN
		RAISE EXCEPTION 'rate_limit must be between 0.00001 and 10000 calls a second, not %',
			rate_limit
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give 0 for no limit.';
	END IF;
	RETURN nullif(rate_limit, 0);
END
$$;

-- In days of 24 hours and below, so that it is one length only.
CREATE FUNCTION webhook_internal.checked_duration(
	argument text,
	duration interval,
	shortest text,
	longest text,
	hint text
) RETURNS interval
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seconds		numeric := extract(epoch FROM duration);
BEGIN
	IF seconds NOT BETWEEN extract(epoch FROM shortest::interval)
		AND extract(epoch FROM longest::interval)
	THEN
		RAISE EXCEPTION '% must be between % and %, not %', argument, shortest, longest, duration
			USING ERRCODE = 'invalid_parameter_value',
				HINT = hint;
	END IF;
	RETURN justify_hours(make_interval(secs => seconds::float8));
END
$$;

CREATE FUNCTION webhook_internal.checked_schedule(retry_schedule interval[]) RETURNS interval[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	checked		interval[] := '{}';
	wait		interval;
BEGIN
	IF cardinality(retry_schedule) > 100 THEN
		RAISE EXCEPTION 'retry_schedule of % waits is too long', cardinality(retry_schedule)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A schedule may have 100 waits.';
	END IF;
	FOREACH wait IN ARRAY retry_schedule LOOP
		IF wait IS NULL THEN
			RAISE EXCEPTION 'retry_schedule must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Give the waits between attempts, for example ''{5 s,5 min,2 h}''.';
		END IF;
		checked := checked || webhook_internal.checked_duration('a wait in retry_schedule', wait,
			'1 s', '30 days', 'Give ''{}'' for what webhook.retry_schedule says.');
	END LOOP;
	RETURN nullif(checked, '{}');
END
$$;

CREATE FUNCTION webhook_internal.checked_statuses(final_statuses integer[]) RETURNS integer[]
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	status		integer;
BEGIN
	IF cardinality(final_statuses) > 50 THEN
		RAISE EXCEPTION 'final_statuses of % entries is too long', cardinality(final_statuses)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A subscription may have 50.';
	END IF;
	FOREACH status IN ARRAY final_statuses LOOP
		IF status IS NULL THEN
			RAISE EXCEPTION 'final_statuses must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
		IF status NOT BETWEEN 300 AND 599 THEN
			RAISE EXCEPTION 'a status in final_statuses must be between 300 and 599, not %', status
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'A status from 200 to 299 is a success in any case.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT s.status FROM unnest(final_statuses) AS s (status) ORDER BY 1);
END
$$;

CREATE FUNCTION webhook_internal.checked_file(argument text, file text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF octet_length(file) > 255 THEN
		RAISE EXCEPTION '% of % bytes is too long', argument, octet_length(file)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'The name of a file may have 255 bytes.';
	END IF;
	IF file COLLATE "C" !~ '^[!-.0-~]*$' OR starts_with(file, '.') THEN
		RAISE EXCEPTION '% "%" is not the plain name of a file', argument, file
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Name a file in the directory that webhook.certificate_directory says: visible ASCII characters, no slash, no full stop at the start.';
	END IF;
	RETURN nullif(file, '');
END
$$;

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
	client_certificate text
) RETURNS webhook_internal.subscription
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new			webhook_internal.subscription := base;
BEGIN
	IF filter IS NOT NULL THEN
		new.filter := webhook_internal.checked_filter(filter);
	END IF;
	IF payload_format IS NOT NULL THEN
		new.payload_format := webhook_internal.checked_format(payload_format);
	END IF;
	IF ordered IS NOT NULL THEN
		new.ordered := ordered;
	END IF;
	IF max_in_flight IS NOT NULL THEN
		new.max_in_flight := webhook_internal.checked_in_flight(max_in_flight);
	END IF;
	IF rate_limit IS NOT NULL THEN
		new.rate_limit := webhook_internal.checked_rate(rate_limit);
	END IF;
	IF timeout IS NOT NULL THEN
		new.timeout := webhook_internal.checked_duration('timeout', nullif(timeout, '0'),
			'1 ms', '5 min', 'Give ''0'' for what webhook.timeout says.');
	END IF;
	IF retry_schedule IS NOT NULL THEN
		new.retry_schedule := webhook_internal.checked_schedule(retry_schedule);
	END IF;
	IF max_age IS NOT NULL THEN
		new.max_age := webhook_internal.checked_duration('max_age', nullif(max_age, '0'),
			'1 min', '1 year', 'Give ''0'' for seven days.');
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
	RETURN new;
END
$$;

CREATE FUNCTION webhook_internal.check_columns(relation regclass, argument text, columns name[])
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	wanted		name;
	generated	"char";
	seen		name[] := '{}';
BEGIN
	FOREACH wanted IN ARRAY coalesce(columns, '{}') LOOP
		IF wanted IS NULL THEN
			RAISE EXCEPTION '% must not contain null', argument
				USING ERRCODE = 'null_value_not_allowed',
					HINT = format('Name columns of "%s" only.', check_columns.relation);
		END IF;
		SELECT a.attgenerated
			INTO generated
			FROM pg_attribute a
			WHERE a.attrelid = check_columns.relation AND a.attname = wanted
				AND a.attnum > 0 AND NOT a.attisdropped;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'column "%" of relation "%" does not exist',
				wanted, check_columns.relation
				USING ERRCODE = 'undefined_column',
					HINT = format('Name a column of the table in %s.', argument);
		END IF;
		IF generated = 'v' THEN
			RAISE EXCEPTION 'column "%" of relation "%" is a virtual generated column',
				wanted, check_columns.relation
				USING ERRCODE = 'feature_not_supported',
					DETAIL = 'A trigger does not see its value.',
					HINT = format('Name a stored column in %s.', argument);
		END IF;
		IF wanted = ANY (seen) THEN
			RAISE EXCEPTION 'column "%" is named twice in %', wanted, argument
				USING ERRCODE = 'duplicate_column',
					HINT = 'Name each column once.';
		END IF;
		seen := seen || wanted;
	END LOOP;
END
$$;

CREATE FUNCTION webhook_internal.raise_unknown_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF subscription IS NULL THEN
		RAISE EXCEPTION 'subscription must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the id of a subscription; table webhook.subscription lists them.';
	END IF;
	RAISE EXCEPTION 'subscription % does not exist', subscription
		USING ERRCODE = 'undefined_object',
			HINT = 'Table webhook.subscription lists those that exist.';
END
$$;

-- By people, or by the worker since it was last enabled.
CREATE FUNCTION webhook_internal.is_disabled(subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
			WHERE s.id = is_disabled.subscription
				AND (NOT s.enabled OR t.disabled_at IS NOT NULL
					AND (t.disabled_start_snapshot IS NULL OR t.disabled_start_snapshot::text = s.since::text)))
$$;

CREATE FUNCTION webhook_internal.require_subscription(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = require_subscription.subscription)
	THEN
		PERFORM webhook_internal.raise_unknown_subscription(subscription);
	END IF;
END
$$;

CREATE FUNCTION webhook_internal.require_enabled(subscription bigint) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF webhook_internal.is_disabled(subscription) THEN
		RAISE EXCEPTION 'subscription % is disabled', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = format('Enable it with webhook.alter_subscription(%s, enabled => true).',
					subscription);
	END IF;
END
$$;

-- Transaction ids of another cluster mean nothing here: see none of them.
CREATE FUNCTION webhook_internal.local_start_snapshot(home text, since pg_snapshot) RETURNS pg_snapshot
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN split_part(home, '/', 1) = split_part(webhook_internal.home(), '/', 1) THEN since
		ELSE '3:3:' END
$$;

-- Has the worker read this row of the ring, and written what came of it?
CREATE FUNCTION webhook_internal.is_processed(txid xid8, id bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.checkpoint c
			WHERE pg_visible_in_snapshot(is_processed.txid, c.snapshot)
				OR is_processed.id <= c.upto_id AND pg_visible_in_snapshot(is_processed.txid, c.partial_snapshot))
$$;

-- Where there is data, it can be sent again; without an id, it is unknown.
CREATE FUNCTION webhook_internal.find_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	logged		webhook.event;
	present		webhook.event;
BEGIN
	-- The log has an index, the others are searched.
	SELECT l.id, l.event_id, l.event_type, l.subject, l.data, l.created_at
		INTO logged
		FROM webhook.log l
		WHERE l.event_id = find_event.event
		ORDER BY l.data IS NULL, l.logged_at DESC
		LIMIT 1;
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	SELECT p.id, p.event_id, p.event_type, nullif(p.subject, ''), p.data, p.created_at
		INTO present
		FROM webhook_internal.pending p
		WHERE p.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	SELECT e.*
		INTO present
		FROM webhook.event e
		WHERE e.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;

	-- A replay, or a ping, that is on its way has the event with it.
	SELECT (r.data ->> 'id')::bigint, r.event_id, r.event_type, r.subject, r.data -> 'data',
			'2000-01-01 00:00+00'::timestamptz
				+ (r.data ->> 'created_at')::bigint * interval '1 microsecond'
		INTO present
		FROM webhook_internal.ring r
		WHERE r.kind = 'r' AND r.event_id = find_event.event
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	RETURN logged;
END
$$;

CREATE FUNCTION webhook_internal.require_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	IF event IS NULL THEN
		RAISE EXCEPTION 'event must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the Id of an event.';
	END IF;
	known := webhook_internal.find_event(event);
	IF known.id IS NULL THEN
		RAISE EXCEPTION 'event % is unknown', event
			USING ERRCODE = 'undefined_object',
				HINT = 'The views webhook.event, webhook.pending_delivery and webhook.dead_letter list events.';
	END IF;
	RETURN known;
END
$$;

