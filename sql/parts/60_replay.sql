/*
 * What is delivered again, or not at all
 *
 * All of these are rows of the ring: 'r' brings an event to a subscription, 'k'
 * ends the deliveries of an event, 's' the first one of a subject. They act on
 * what is before them.
 */

CREATE FUNCTION webhook.ping(subscription bigint) RETURNS uuid
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	created_at		timestamptz := clock_timestamp();
	event		uuid := webhook_internal.new_event_id(created_at);
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	IF EXISTS (SELECT FROM webhook_internal.subscription s
		WHERE s.id = ping.subscription AND s.home <> webhook_internal.home())
	THEN
		RAISE EXCEPTION 'subscription % is fenced', subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It was made in another database, of which this one is a copy.',
				HINT = 'Let this database send with webhook.resume_database().';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'ping', 0::bigint, event, created_at, 'webhook.ping', NULL::text,
		format('{"SubscriptionId":%s}', subscription)::json);
	RETURN event;
END
$$;

CREATE FUNCTION webhook.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook.event;
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	known := webhook_internal.require_event(event);
	IF known.event_type = 'webhook.ping' THEN
		RAISE EXCEPTION 'event % is a ping and cannot be sent again', event
			USING ERRCODE = 'invalid_parameter_value',
				HINT = format('Send another one with webhook.ping(%s).', subscription);
	END IF;
	IF known.data IS NULL THEN
		RAISE EXCEPTION 'event % cannot be sent again', event
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'It has been delivered and has left the ring.',
				HINT = 'Delivered events are kept as long as webhook.event_retention says.';
	END IF;
	PERFORM webhook_internal.replay(subscription, 'resend', known.id, known.event_id, known.created_at,
		known.event_type, known.subject, known.data);
END
$$;

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

CREATE FUNCTION webhook.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	IF subject IS NULL OR subject = '' THEN
		RAISE EXCEPTION 'subject must not be %',
			CASE WHEN subject IS NULL THEN 'null' ELSE 'empty' END
			USING ERRCODE = CASE WHEN subject IS NULL THEN 'null_value_not_allowed'
					ELSE 'invalid_parameter_value' END,
				HINT = 'Give a subject of view webhook.pending_delivery; an event that has none is ended by webhook.cancel().';
	END IF;
	IF octet_length(subject) > 512 THEN
		RAISE EXCEPTION 'subject of % bytes is too long', octet_length(subject)
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'A subject may have 512 bytes.';
	END IF;
	PERFORM webhook_internal.command('s'::"char", subscription, subject, NULL::uuid);
END
$$;

CREATE FUNCTION webhook.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz DEFAULT pg_catalog.now(),
	what text DEFAULT 'failed',
	dry_run boolean DEFAULT false
) RETURNS bigint
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s			webhook_internal.subscription;
	-- how a replay to this subscription begins: see src/command.c
	head		text := format('{"subscription":%s,', recover.subscription);
	e			record;
	count		bigint := 0;
	told_at		timestamptz := clock_timestamp();
BEGIN
	IF recover.since IS NULL OR recover.until IS NULL OR recover.what IS NULL
		OR recover.dry_run IS NULL
	THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN recover.since IS NULL THEN 'since'
				WHEN recover.until IS NULL THEN 'until'
				WHEN recover.what IS NULL THEN 'what'
				ELSE 'dry_run' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Say from when on, until when, ''failed'' or ''missing'', and whether only to count.';
	END IF;
	IF recover.what NOT IN ('failed', 'missing') THEN
		RAISE EXCEPTION 'cannot recover what is "%"', recover.what
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Give ''failed'' for what failed or was cancelled, ''missing'' for what was never tried.';
	END IF;
	IF recover.since > recover.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = format('%s is later than %s.', recover.since, recover.until),
				HINT = 'Events count that occurred at or after since and before until.';
	END IF;
	PERFORM webhook_internal.require_enabled(recover.subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = recover.subscription;
	s.since := webhook_internal.local_start_snapshot(s.home, s.since);

	-- An event whose replay has not ended is on its way already. The ring is read
	-- for them once, whatever a planner knows of it when it has just been filled.
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
				-- leaves of the log from before need not be read, give or take a wrong clock
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
				-- or it gets it anyway
				AND (pg_visible_in_snapshot(v.txid, s.since) OR webhook_internal.is_processed(v.txid, v.id))
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
			PERFORM webhook_internal.replay(s.id, 'recover', e.id, e.event_id, e.created_at, e.event_type,
				e.subject, e.data);
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

