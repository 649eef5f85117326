/*
 * Replay: what is delivered again, or not at all
 *
 * Each function appends commands to the ring: 'r' delivers an event to a
 * subscription, 'k' cancels the deliveries of an event, 's' skips the first
 * delivery of a subject. A command acts on what is before it in the ring.
 */

CREATE FUNCTION webhook_internal.is_processed(txid xid8, id bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook_internal.checkpoint c
			WHERE pg_visible_in_snapshot(is_processed.txid, c.snapshot)
				OR is_processed.id <= c.upto_id
					AND pg_visible_in_snapshot(is_processed.txid, c.partial_snapshot))
$$;
COMMENT ON FUNCTION webhook_internal.is_processed(xid8, bigint) IS 'true if the worker has read this row of the ring and written all that follows from it';

-- The result has data if the event can be sent again, and no id if it is unknown.
CREATE FUNCTION webhook_internal.find_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	logged		webhook.event;
	present		webhook.event;
BEGIN
	-- The log has an index on event_id; pending and the ring are scanned.
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

	-- The command for a replay or a ping contains the event.
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
COMMENT ON FUNCTION webhook_internal.find_event(uuid) IS 'the event, from the log, pending deliveries or the ring';

CREATE FUNCTION webhook_internal.require_event(event uuid) RETURNS webhook.event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found		webhook.event;
BEGIN
	PERFORM webhook_internal.require_not_null('event', event IS NULL, 'Give the Id of an event.');
	found := webhook_internal.find_event(event);
	IF found.id IS NULL THEN
		RAISE EXCEPTION 'event % does not exist', event
			USING ERRCODE = 'undefined_object',
				HINT = 'See views webhook.event, webhook.pending_delivery and webhook.dead_letter.';
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_event(uuid) IS 'the event; raises an error if it is in none of these places';

CREATE FUNCTION webhook.ping(subscription bigint) RETURNS uuid
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	created_at	timestamptz := clock_timestamp();
	event		uuid := webhook_internal.new_event_id(created_at);
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	IF EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = ping.subscription AND s.home <> webhook_internal.home())
	THEN
		RAISE EXCEPTION 'subscription % is fenced', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'This database is a copy of the one that the subscription was made in.',
				HINT = 'Call webhook.resume_database() to let this database send.';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'ping', 0::bigint, event, created_at,
		'webhook.ping', NULL::text, format('{"SubscriptionId":%s}', subscription)::json);
	RETURN event;
END
$$;
COMMENT ON FUNCTION webhook.ping(bigint) IS 'send a test event of type webhook.ping to a subscription; returns its Id; a ping that fails does not count against the endpoint';

CREATE FUNCTION webhook.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	known := webhook_internal.require_event(event);
	IF known.event_type = 'webhook.ping' THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'It is a ping.',
				HINT = format('Send another one with webhook.ping(%s).', subscription);
	END IF;
	IF known.data IS NULL THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It was delivered, and is no longer in the ring.',
				HINT = 'Delivered events are kept for webhook.event_retention.';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'resend', known.id, known.event_id,
		known.created_at, known.event_type, known.subject, known.data);
END
$$;
COMMENT ON FUNCTION webhook.resend(uuid, bigint) IS 'send an event to a subscription once more, after waiting deliveries of its subject';

CREATE FUNCTION webhook.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	known := webhook_internal.require_event(event);
	PERFORM webhook_internal.command('k'::"char", subscription, known.subject, event);
END
$$;
COMMENT ON FUNCTION webhook.cancel(uuid, bigint) IS 'cancel the deliveries of an event to a subscription; a request in flight is the last';

CREATE FUNCTION webhook.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	max_bytes	integer := (webhook_internal.bounds()).subject_bytes;
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	PERFORM webhook_internal.require_not_null('subject', subject IS NULL,
		'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().');
	IF subject = '' THEN
		RAISE EXCEPTION 'subject must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().';
	END IF;
	IF octet_length(subject) > max_bytes THEN
		RAISE EXCEPTION 'subject of % bytes is too long', octet_length(subject)
			USING ERRCODE = 'program_limit_exceeded',
				DETAIL = format('The maximum is %s bytes.', max_bytes);
	END IF;
	PERFORM webhook_internal.command('s'::"char", subscription, subject, NULL::uuid);
END
$$;
COMMENT ON FUNCTION webhook.skip(bigint, text) IS 'cancel the first waiting delivery of a subject to a subscription, so that the next one is sent';

CREATE FUNCTION webhook.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz DEFAULT now(),
	what text DEFAULT 'failed',
	dry_run boolean DEFAULT false
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s			webhook_internal.subscription;
	-- how the data of a replay to this subscription begins: see src/ring/command.c
	head		text := format('{"subscription":%s,', recover.subscription);
	e			record;
	count		bigint := 0;
	told_at		timestamptz := clock_timestamp();
BEGIN
	PERFORM webhook_internal.require_not_null('since', recover.since IS NULL,
		'Give the time of the first event, or ''-infinity''.');
	PERFORM webhook_internal.require_not_null('until', recover.until IS NULL,
		'Give the time after the last event, or ''infinity''.');
	PERFORM webhook_internal.require_not_null('what', recover.what IS NULL,
		'Use ''failed'' or ''missing''.');
	PERFORM webhook_internal.require_not_null('dry_run', recover.dry_run IS NULL,
		'Use true only to count, false to send.');
	IF recover.what NOT IN ('failed', 'missing') THEN
		RAISE EXCEPTION 'unrecognized value for parameter "what": "%"', recover.what
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Use ''failed'' for events that failed or were cancelled, ''missing'' for events that were never attempted.';
	END IF;
	IF recover.since > recover.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('%s is later than %s.', recover.since, recover.until),
				HINT = 'Events are sent that occurred at or after since, and before until.';
	END IF;
	PERFORM webhook_internal.require_enabled(recover.subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = recover.subscription;
	s.since := webhook_internal.local_start_snapshot(s.home, s.since);

	-- An event whose replay has not ended is left out. The ring is searched for
	-- replays once, even if the planner has no statistics of it yet.
	FOR e IN
		WITH replay AS MATERIALIZED (
			SELECT r.event_id, max(r.id) AS id
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND starts_with(r.data::text, head)
				GROUP BY r.event_id)
		SELECT d.id, d.event_id, d.created_at, d.event_type, d.subject, d.data
			FROM webhook.dead_letter d
			WHERE recover.what = 'failed'
				AND d.subscription_id = s.id
				AND d.created_at >= recover.since AND d.created_at < recover.until
				-- Older leaves of the log need not be read; a day allows for a wrong clock.
				AND d.logged_at >= recover.since - interval '1 day'
				AND d.data IS NOT NULL
				AND NOT EXISTS (
					SELECT
						FROM replay r
						WHERE r.event_id = d.event_id AND r.id > d.position)
		UNION ALL
		SELECT v.id, v.event_id, v.created_at, v.event_type, v.subject, v.data
			FROM webhook_internal.ring v
			WHERE recover.what = 'missing'
				AND v.kind = 'e'
				AND v.created_at >= recover.since AND v.created_at < recover.until
				-- All other events are delivered anyway.
				AND (pg_visible_in_snapshot(v.txid, s.since)
					OR webhook_internal.is_processed(v.txid, v.id))
				AND EXISTS (
					SELECT
						FROM unnest(s.events) AS w (name)
						WHERE webhook_internal.matches(w.name, v.event_type))
				AND webhook_internal.accepts(s.filter, v.data)
				AND NOT EXISTS (
					SELECT
						FROM webhook.log l
						WHERE l.event_id = v.event_id AND l.subscription_id = s.id)
				AND NOT EXISTS (
					SELECT
						FROM webhook_internal.pending p
						WHERE p.event_id = v.event_id AND p.subscription_id = s.id
							AND p.subject = coalesce(v.subject, ''))
				AND NOT EXISTS (
					SELECT
						FROM replay r
						WHERE r.event_id = v.event_id)
		ORDER BY 1
	LOOP
		IF NOT recover.dry_run THEN
			PERFORM webhook_internal.replay(s.id, 'recover', e.id, e.event_id, e.created_at,
				e.event_type, e.subject, e.data);
		END IF;
		count := count + 1;
		IF count % 100000 = 0 OR clock_timestamp() - told_at > interval '10 s' THEN
			RAISE NOTICE 'events so far: %, the last one of %', count, e.created_at;
			told_at := clock_timestamp();
		END IF;
	END LOOP;
	RETURN count;
END
$$;
COMMENT ON FUNCTION webhook.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'send events that occurred in a period to a subscription: those that failed or were cancelled, or with what => missing those that were never attempted; returns their number; with dry_run they are only counted';
