/*
 * Checks
 *
 * Functions that the functions of schema webhook call for their arguments. A
 * function checked_x() returns the value as it is stored; require_x() and
 * check_x() return nothing. Each raises an error that names the argument.
 *
 * Calls name the type of each argument where it would not be text, so that
 * none can mean a function of the same name that somebody else has added.
 */

-- Bounds that C has, too: test/t/000_source.pl compares them with src/ring/event.h,
-- src/base/guc.h and src/base/guc.c, test/pgtap/options.sql with pg_settings.
CREATE FUNCTION webhook_internal.bounds(
	OUT event_type_bytes integer,
	OUT subject_bytes integer,
	OUT min_timeout text,
	OUT max_timeout text,
	OUT min_wait text,
	OUT max_wait text,
	OUT schedule_waits integer,
	OUT max_in_flight integer,
	OUT tenant_max_in_flight integer,
	OUT description_bytes integer,
	OUT filter_bytes integer,
	OUT events integer
) RETURNS record
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 128 AS event_type_bytes,
		512 AS subject_bytes,
		'1 ms'::text AS min_timeout,
		'5 min'::text AS max_timeout,
		'1 s'::text AS min_wait,
		'30 days'::text AS max_wait,
		100 AS schedule_waits,
		1000 AS max_in_flight,
		10000 AS tenant_max_in_flight,
		-- C has none of these.
		4096 AS description_bytes,
		16384 AS filter_bytes,
		500 AS events
$$;
COMMENT ON FUNCTION webhook_internal.bounds() IS 'bounds of values; most of them are those of C code';

CREATE FUNCTION webhook_internal.clipped(value text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_clipped';
COMMENT ON FUNCTION webhook_internal.clipped(text) IS 'a value as a message repeats it: only its start if it is long';

CREATE FUNCTION webhook_internal.require_not_null(argument text, is_null boolean, hint text)
	RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF is_null THEN
		RAISE EXCEPTION '% must not be null', argument
			USING ERRCODE = 'null_value_not_allowed',
				COLUMN = argument,
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_not_null(text, boolean, text) IS 'raise the error that the argument is null, if it is';

CREATE FUNCTION webhook_internal.require_list(argument text, dimensions integer)
	RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF dimensions > 1 THEN
		RAISE EXCEPTION '% must be a list, not an array of % dimensions', argument, dimensions
			USING ERRCODE = 'array_subscript_error',
				COLUMN = argument,
				HINT = 'Give the values in one pair of braces.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_list(text, integer) IS 'raise an error about an argument that has more than one dimension';

-- The value itself is no argument here: it may be long, or a credential.
CREATE FUNCTION webhook_internal.require_length(
	argument text,
	bytes integer,
	most integer,
	hint text
) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF bytes > most THEN
		RAISE EXCEPTION '% of % bytes is too long', argument, bytes
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = argument,
				DETAIL = format('The maximum is %s bytes.', most),
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_length(text, integer, integer, text) IS 'raise an error about an argument that is longer than it may be';

CREATE FUNCTION webhook_internal.checked_description(description text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_length('description', octet_length(description),
		(webhook_internal.bounds()).description_bytes,
		'Keep it short; a link can lead to more.');
	RETURN nullif(description, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_description(text) IS 'check a description; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.require_event_type(event_type text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_hold_event_type';
COMMENT ON FUNCTION webhook_internal.require_event_type(text) IS 'raise an error unless the event type exists, and let nobody drop it until the transaction ends';

CREATE FUNCTION webhook_internal.require_event_type_in(event_type text, argument text) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_event_type';
COMMENT ON FUNCTION webhook_internal.require_event_type_in(text, text) IS 'raise an error that names the argument, unless the event type exists now';

CREATE FUNCTION webhook_internal.canonical_endpoint(endpoint text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_canonical_endpoint';
COMMENT ON FUNCTION webhook_internal.canonical_endpoint(text) IS 'check an endpoint; returns its canonical form';

CREATE FUNCTION webhook_internal.checked_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_headers';
COMMENT ON FUNCTION webhook_internal.checked_headers(jsonb) IS 'check headers; returns them';

CREATE FUNCTION webhook_internal.checked_secret(secret text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_secret';
COMMENT ON FUNCTION webhook_internal.checked_secret(text) IS 'check a secret; returns it, or a new one for null';

CREATE FUNCTION webhook_internal.checked_filter(filter jsonpath) RETURNS jsonpath
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_checked_filter';
COMMENT ON FUNCTION webhook_internal.checked_filter(jsonpath) IS 'check a filter; returns it, or null if it is true for every event';

CREATE FUNCTION webhook_internal.accepts(filter jsonpath, data json) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_accepts';
COMMENT ON FUNCTION webhook_internal.accepts(jsonpath, json) IS 'true if the filter is true for this Data';

CREATE FUNCTION webhook_internal.check_duplicate(
	endpoint text,
	events text[],
	subscription bigint,
	tenant text
) RETURNS void
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_check_duplicate';
COMMENT ON FUNCTION webhook_internal.check_duplicate(text, text[], bigint, text) IS 'raise an error if another subscription of the tenant sends one of the events to the endpoint';

CREATE FUNCTION webhook_internal.has_name(name text, subscription bigint, tenant text)
	RETURNS boolean
	LANGUAGE c SET search_path = pg_catalog, pg_temp
	AS 'MODULE_PATHNAME', 'webhook_has_name';
COMMENT ON FUNCTION webhook_internal.has_name(text, bigint, text) IS 'true if another subscription of the tenant has the name now; null: the platform';

CREATE FUNCTION webhook_internal.require_trusted_table(relation regclass) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_require_trusted_table';
COMMENT ON FUNCTION webhook_internal.require_trusted_table(regclass) IS 'raise an error if a change of the table would run code of another owner';

CREATE FUNCTION webhook_internal.checked_events(events text[]) RETURNS text[]
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	checked		text[] := '{}';
	event		text;
	wider		text;
BEGIN
	PERFORM webhook_internal.require_not_null('events', events IS NULL,
		'Name at least one event type; see view webhook.event_type.');
	IF cardinality(events) = 0 THEN
		RAISE EXCEPTION 'events must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'events',
				HINT = 'Name at least one event type; see view webhook.event_type.';
	END IF;
	-- The worker has all of them in its memory.
	IF cardinality(events) > bounds.events THEN
		RAISE EXCEPTION 'events of % entries is too long', cardinality(events)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'events',
				DETAIL = format('The maximum is %s entries.', bounds.events),
				HINT = 'Use patterns, for example ''App.*'' for all event types that begin with ''App.''.';
	END IF;
	FOREACH event IN ARRAY events LOOP
		IF event IS NULL THEN
			RAISE EXCEPTION 'events must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'events',
					HINT = 'Name event types only; see view webhook.event_type.';
		END IF;
		IF strpos(event, '*') = 0 THEN
			PERFORM webhook_internal.require_event_type_in(event, 'events');
		ELSIF event COLLATE "C" !~ '^([A-Za-z0-9][A-Za-z0-9_.-]*[.])?[*]$'
			OR octet_length(event) > bounds.event_type_bytes
		THEN
			RAISE EXCEPTION 'invalid event type pattern: "%"', webhook_internal.clipped(event)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'events',
					DETAIL = format('A pattern is "*" or a prefix and ".*", and has at most %s bytes.', bounds.event_type_bytes),
					HINT = 'Use ''*'' for all event types, or for example ''App.*'' for those that begin with ''App.''.';
		ELSIF webhook_internal.is_own_type(event) THEN
			RAISE EXCEPTION 'invalid event type pattern: "%"', webhook_internal.clipped(event)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'events',
					DETAIL = 'No pattern includes event types that begin with "webhook.".',
					HINT = 'Name each of these event types.';
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
COMMENT ON FUNCTION webhook_internal.checked_events(text[]) IS 'check event types and patterns; returns them without those that another includes';

-- A pattern names no event type, so it is never refused. The lock keeps the named
-- event types from being dropped before this transaction ends.
CREATE FUNCTION webhook_internal.require_current(events text[], former text[]) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	event		text;
	deprecated	boolean;
BEGIN
	FOREACH event IN ARRAY events LOOP
		CONTINUE WHEN strpos(event, '*') > 0;
		SELECT t.deprecated_at IS NOT NULL
			INTO deprecated
			FROM webhook_internal.event_type t
			WHERE t.name = event
			FOR KEY SHARE;
		IF NOT FOUND THEN
			-- It is gone, or was defined after this transaction's snapshot.
			PERFORM webhook_internal.require_event_type_in(event, 'events');
		ELSIF deprecated AND NOT EXISTS (
			SELECT
				FROM unnest(former) AS f (name)
				WHERE webhook_internal.matches(f.name, event))
		THEN
			RAISE EXCEPTION 'event type "%" is deprecated', event
				USING ERRCODE = 'object_not_in_prerequisite_state',
					COLUMN = 'events',
					DETAIL = 'Subscriptions that have it keep it; it cannot be newly subscribed to.',
					HINT = 'Name another event type; the description in view webhook.event_type may say which.';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_current(text[], text[]) IS 'raise an error unless these event types exist, and none is deprecated that the former ones do not include; nobody can drop them until the transaction ends';

CREATE FUNCTION webhook_internal.checked_schemes(signature_schemes text[]) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	scheme		text;
BEGIN
	PERFORM webhook_internal.require_not_null('signature_schemes', signature_schemes IS NULL,
		'Use ''{standard}'' or ''{standard,abp}''.');
	FOREACH scheme IN ARRAY signature_schemes LOOP
		IF scheme IS NULL THEN
			RAISE EXCEPTION 'signature_schemes must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'signature_schemes',
					HINT = 'Use ''{standard}'' or ''{standard,abp}''.';
		END IF;
		IF scheme NOT IN ('standard', 'abp') THEN
			RAISE EXCEPTION 'unrecognized signature scheme: "%"', webhook_internal.clipped(scheme)
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'signature_schemes',
					HINT = 'Use ''{standard}'' or ''{standard,abp}''.';
		END IF;
	END LOOP;
	-- Each request has the signature of Standard Webhooks.
	IF 'abp' = ANY (signature_schemes) THEN
		RETURN '{standard,abp}';
	END IF;
	RETURN '{standard}';
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_schemes(text[]) IS 'check signature schemes; returns them in canonical form';

-- The text of a secret is no argument here.
CREATE FUNCTION webhook_internal.check_scheme(is_abp_secret boolean, signature_schemes text[])
	RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF is_abp_secret AND NOT 'abp' = ANY (signature_schemes) THEN
		RAISE EXCEPTION 'a secret that begins with "whs_" needs signature scheme "abp"'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'signature_schemes',
				HINT = 'Use ''{standard,abp}'', or a secret that begins with "whsec_".';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_scheme(boolean, text[]) IS 'raise an error if a secret of ASP.NET Boilerplate is not used for its scheme';

CREATE FUNCTION webhook_internal.checked_format(payload_format text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF payload_format NOT IN ('envelope', 'raw', 'standard') THEN
		RAISE EXCEPTION 'unrecognized payload format: "%"',
				webhook_internal.clipped(payload_format)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'payload_format',
				HINT = 'Use ''envelope'', ''raw'' or ''standard''.';
	END IF;
	RETURN payload_format;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_format(text) IS 'check a payload format; returns it';

CREATE FUNCTION webhook_internal.checked_in_flight(
	max_in_flight integer,
	most integer,
	hint text
) RETURNS integer
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF max_in_flight NOT BETWEEN 0 AND most THEN
		RAISE EXCEPTION 'max_in_flight must be between 1 and %, not %', most, max_in_flight
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'max_in_flight',
				HINT = hint;
	END IF;
	RETURN nullif(max_in_flight, 0);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_in_flight(integer, integer, text) IS 'check a maximum of requests in flight; returns it, or null for 0';

CREATE FUNCTION webhook_internal.checked_rate(rate_limit real) RETURNS real
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- The minimum is a request in 28 hours; NaN is above the maximum.
	IF rate_limit <> 0 AND rate_limit NOT BETWEEN 0.00001::real AND 10000 THEN
		RAISE EXCEPTION 'rate_limit must be between 0.00001 and 10000 requests a second, not %',
			rate_limit
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'rate_limit',
				HINT = 'Use 0 for no limit.';
	END IF;
	RETURN nullif(rate_limit, 0);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_rate(real) IS 'check a rate limit; returns it, or null for 0';

-- The result has days of 24 hours and no months, so its length does not depend
-- on a date. The argument is named, or is the last word of its description.
CREATE FUNCTION webhook_internal.checked_duration(
	argument text,
	duration interval,
	shortest text,
	longest text,
	hint text
) RETURNS interval
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	seconds		numeric := extract(epoch FROM duration);
BEGIN
	IF seconds NOT BETWEEN extract(epoch FROM shortest::interval)
		AND extract(epoch FROM longest::interval)
	THEN
		RAISE EXCEPTION '% must be between % and %, not %', argument, shortest, longest, duration
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = substring(argument FROM '[a-z_]+$'),
				HINT = hint;
	END IF;
	RETURN justify_hours(make_interval(secs => seconds::float8));
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_duration(text, interval, text, text, text) IS 'check a duration; returns it in days of 24 hours';

CREATE FUNCTION webhook_internal.checked_schedule(retry_schedule interval[]) RETURNS interval[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bounds		record := webhook_internal.bounds();
	checked		interval[] := '{}';
	wait		interval;
BEGIN
	IF cardinality(retry_schedule) > bounds.schedule_waits THEN
		RAISE EXCEPTION 'retry_schedule of % waits is too long', cardinality(retry_schedule)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'retry_schedule',
				DETAIL = format('The maximum is %s waits.', bounds.schedule_waits),
				HINT = 'Give fewer waits; later attempts can be made by webhook.recover().';
	END IF;
	FOREACH wait IN ARRAY retry_schedule LOOP
		IF wait IS NULL THEN
			RAISE EXCEPTION 'retry_schedule must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'retry_schedule',
					HINT = 'Give the waits between attempts, for example ''{5 s,5 min,2 h}''.';
		END IF;
		checked := checked || webhook_internal.checked_duration('a wait in retry_schedule', wait,
			bounds.min_wait, bounds.max_wait, 'Use ''{}'' for the default, webhook.retry_schedule.');
	END LOOP;
	RETURN nullif(checked, '{}');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_schedule(interval[]) IS 'check a retry schedule; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.checked_statuses(final_statuses integer[]) RETURNS integer[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	status		integer;
BEGIN
	IF cardinality(final_statuses) > 50 THEN
		RAISE EXCEPTION 'final_statuses of % entries is too long', cardinality(final_statuses)
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'final_statuses',
				DETAIL = 'The maximum is 50 entries.',
				HINT = 'Name only statuses that an endpoint uses for what it will never accept.';
	END IF;
	FOREACH status IN ARRAY final_statuses LOOP
		IF status IS NULL THEN
			RAISE EXCEPTION 'final_statuses must not contain null'
				USING ERRCODE = 'null_value_not_allowed',
					COLUMN = 'final_statuses',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
		IF status NOT BETWEEN 300 AND 599 THEN
			RAISE EXCEPTION 'a status in final_statuses must be between 300 and 599, not %', status
				USING ERRCODE = 'invalid_parameter_value',
					COLUMN = 'final_statuses',
					DETAIL = 'A status from 200 to 299 is a success in any case.',
					HINT = 'Give HTTP statuses, for example ''{400,422}'', or ''{}'' for none.';
		END IF;
	END LOOP;
	RETURN ARRAY(SELECT DISTINCT s.status FROM unnest(final_statuses) AS s (status) ORDER BY 1);
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_statuses(integer[]) IS 'check final statuses; returns each once';

CREATE FUNCTION webhook_internal.checked_file(argument text, file text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_length(argument, octet_length(file), 255,
		'Name a file in the directory that webhook.certificate_directory is set to.');
	IF file COLLATE "C" !~ '^[!-.0-~]*$' OR starts_with(file, '.') THEN
		RAISE EXCEPTION '% "%" is not a plain file name', argument, file
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = argument,
				DETAIL = 'A plain file name consists of visible ASCII characters, has no slash, and does not begin with a dot.',
				HINT = 'Name a file in the directory that webhook.certificate_directory is set to.';
	END IF;
	RETURN nullif(file, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_file(text, text) IS 'check a file name; returns it, or null if it is empty';

-- The values are those of setting webhook.log_bodies.
CREATE FUNCTION webhook_internal.checked_log_bodies(log_bodies text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF log_bodies NOT IN ('', 'all', 'failed', 'none') THEN
		RAISE EXCEPTION 'unrecognized value for parameter "log_bodies": "%"',
				webhook_internal.clipped(log_bodies)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'log_bodies',
				HINT = 'Use ''all'', ''failed'', ''none'', or '''' for the default, webhook.log_bodies.';
	END IF;
	RETURN nullif(log_bodies, '');
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_log_bodies(text) IS 'check which bodies the log is to keep; returns it, or null if it is empty';

CREATE FUNCTION webhook_internal.check_label(argument text, label text, hint text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF label = '' OR octet_length(label) > 63 THEN
		RAISE EXCEPTION '% must have between 1 and 63 bytes, not %', argument, octet_length(label)
			USING ERRCODE = CASE label WHEN '' THEN 'invalid_parameter_value'
					ELSE 'program_limit_exceeded' END,
				COLUMN = argument,
				HINT = hint;
	END IF;
	-- Nobody could tell it from another one where it is shown.
	IF label COLLATE "C" ~ '^ | $|[[:cntrl:]]' THEN
		RAISE EXCEPTION '% must not begin or end with a blank, nor contain control characters', argument
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = argument,
				HINT = hint;
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.check_label(text, text, text) IS 'raise an error, with this hint, unless the argument can be the name of something; null can';

CREATE FUNCTION webhook_internal.checked_name(name text) RETURNS text
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.check_label('name'::text, name,
		'Give a name that the tenant, or the platform, has for no other subscription, for example ''crm''.'::text);
	RETURN name;
END
$$;
COMMENT ON FUNCTION webhook_internal.checked_name(text) IS 'check the name of a subscription; returns it';

/*
 * Who and where; what may be shown
 */

CREATE FUNCTION webhook_internal.home() RETURNS text
	LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_this_home';
COMMENT ON FUNCTION webhook_internal.home() IS 'this database: system identifier, database oid, and oid of webhook_internal.checkpoint';

CREATE FUNCTION webhook_internal.redacted_endpoint(endpoint text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_endpoint';
COMMENT ON FUNCTION webhook_internal.redacted_endpoint(text) IS 'an endpoint without the values in its query';

CREATE FUNCTION webhook_internal.redacted_headers(headers jsonb) RETURNS jsonb
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_redacted_headers';
COMMENT ON FUNCTION webhook_internal.redacted_headers(jsonb) IS 'headers without the values of credentials';

CREATE FUNCTION webhook_internal.audit(
	action text,
	subscription bigint,
	event uuid,
	detail jsonb
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_audit';
COMMENT ON FUNCTION webhook_internal.audit(text, bigint, uuid, jsonb) IS 'write a row of the audit, in the name of who has called the present function; its tenant is that of the subscription';

CREATE FUNCTION webhook_internal.audit_of(
	action text,
	subscription bigint,
	event uuid,
	detail jsonb,
	tenant text
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_audit';
COMMENT ON FUNCTION webhook_internal.audit_of(text, bigint, uuid, jsonb, text) IS 'write a row of the audit about something of this tenant; null: of the platform';

-- Both are PL/pgSQL: auto_explain logs the parameters of a function in SQL, and these have
-- credentials.
CREATE FUNCTION webhook_internal.changed_keys(old jsonb, new jsonb) RETURNS text[]
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN array_agg(k.name)
		FROM jsonb_object_keys(coalesce(new, old)) AS k (name)
		WHERE nullif(old -> k.name, 'null') IS DISTINCT FROM nullif(new -> k.name, 'null');
END
$$;
COMMENT ON FUNCTION webhook_internal.changed_keys(jsonb, jsonb) IS 'keys of which two objects have different values; null: none';

CREATE FUNCTION webhook_internal.old_and_new(keys text[], old jsonb, new jsonb) RETURNS jsonb
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN CASE WHEN old IS NULL THEN '{}'
				ELSE jsonb_build_object('old', jsonb_object_agg(k.name, old -> k.name)) END
			|| CASE WHEN new IS NULL THEN '{}'
				ELSE jsonb_build_object('new', jsonb_object_agg(k.name, new -> k.name)) END
		FROM unnest(keys) AS k (name);
END
$$;
COMMENT ON FUNCTION webhook_internal.old_and_new(text[], jsonb, jsonb) IS 'values of these keys as the audit has them: under "old" and "new"';

-- The values are compared as they are, and kept as they may be shown.
CREATE FUNCTION webhook_internal.audit_options(
	action text,
	old webhook_internal.subscription,
	new webhook_internal.subscription
) RETURNS boolean
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET intervalstyle = postgres SET extra_float_digits = 1
AS $$
DECLARE
	old_values	jsonb := to_jsonb(old);
	new_values	jsonb := to_jsonb(new);
	changed		text[];
BEGIN
	SELECT array_agg(k.name)
		INTO changed
		FROM unnest(webhook_internal.changed_keys(old_values, new_values)) AS k (name)
		WHERE k.name <> ALL ('{id,created_at,created_by,since,home,challenge,challenged_at}');
	IF changed IS NULL THEN
		RETURN false;
	END IF;
	old_values := old_values || jsonb_build_object(
		'endpoint', webhook_internal.redacted_endpoint(old.endpoint),
		'headers', webhook_internal.redacted_headers(old.headers));
	new_values := new_values || jsonb_build_object(
		'endpoint', webhook_internal.redacted_endpoint(new.endpoint),
		'headers', webhook_internal.redacted_headers(new.headers));
	PERFORM webhook_internal.audit_of(action, coalesce(new.id, old.id), NULL::uuid,
		webhook_internal.old_and_new(changed, old_values, new_values),
		coalesce(new.tenant, old.tenant));
	RETURN true;
END
$$;
COMMENT ON FUNCTION webhook_internal.audit_options(text, webhook_internal.subscription, webhook_internal.subscription) IS 'write a row of the audit with the options that differ, if any do; returns true then';
