/*
 * Replay: what is delivered again, or not at all, or not kept
 *
 * Each function appends commands to the ring: 'r' delivers an event to a
 * subscription, or dismisses its dead letter, 'k' cancels the deliveries of an event, 's' skips the first
 * delivery of a subject, 'd' makes what waits due, 'z' erases a subject. A command
 * acts on what is before it in the ring.
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

-- src/ring/command.c writes the data of a replay.
CREATE FUNCTION webhook_internal.is_replay_to(data json, subscription bigint) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN starts_with(data::text, '{"subscription":' || subscription::text || ',');
COMMENT ON FUNCTION webhook_internal.is_replay_to(json, bigint) IS 'true if the data are those of a replay to the subscription';

-- Deliveries of the subject that have not ended: in pending, or of rows of the ring
-- that the worker has not done with.
CREATE FUNCTION webhook_internal.may_wait(subscription bigint, subject text) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.subscription_id = may_wait.subscription AND p.subject = may_wait.subject)
		OR EXISTS (
			SELECT
				FROM webhook_internal.ring r
				WHERE r.subject = may_wait.subject
					AND (r.kind = 'r' AND webhook_internal.is_replay_to(r.data, may_wait.subscription)
						OR webhook_internal.is_for(r.kind, r.tenant, (
							SELECT s.tenant
								FROM webhook_internal.subscription s
								WHERE s.id = may_wait.subscription)))
					AND NOT webhook_internal.is_processed(r.txid, r.id)
					AND NOT EXISTS (
						SELECT
							FROM webhook.log l
							WHERE l.event_id = r.event_id AND l.position = r.id
								AND l.subscription_id = may_wait.subscription
								AND l.outcome <> 'retrying'))
$$;
COMMENT ON FUNCTION webhook_internal.may_wait(bigint, text) IS 'true if a delivery of the subject to the subscription may not have ended';

-- The forms are those of src/message/message.c.
CREATE FUNCTION webhook_internal.data_of_body(body text, event uuid, event_type text) RETURNS json
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN starts_with(body, format('{"Id":"%s",', event)) THEN body::json -> 'Data'
		WHEN starts_with(body, format('{"type":%s,"timestamp":"', to_json(event_type)))
			THEN body::json -> 'data'
		ELSE body::json END
$$;
COMMENT ON FUNCTION webhook_internal.data_of_body(text, uuid, text) IS 'Data of an event, from the body of a request; null: there is no body';

CREATE FUNCTION webhook_internal.takes(
	s webhook_internal.subscription,
	event_type text,
	data json
) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
			SELECT
				FROM unnest(s.events) AS w (name)
				WHERE webhook_internal.matches(w.name, takes.event_type))
		AND webhook_internal.may_get(s.tenant, takes.event_type)
		AND webhook_internal.accepts(s.filter, takes.data)
$$;
COMMENT ON FUNCTION webhook_internal.takes(webhook_internal.subscription, text, json) IS 'true if the event types, the tenant and the filter of a subscription accept the event';

/*
 * What was erased
 *
 * An erasure means events that had committed when it was called, and those that its own
 * transaction had made. The audit has it, with what its command in the ring means, as long as
 * the log and the ring have anything of that time. src/store/erasure.c asks here, too.
 */

CREATE VIEW webhook_internal.erasure AS
	SELECT (a.detail ->> 'subject') COLLATE "C" AS subject, a.at, (a.detail ->> 'id')::bigint AS id,
			(a.detail ->> 'txid')::xid8 AS txid, (a.detail ->> 'snapshot')::pg_snapshot AS snapshot
		FROM webhook_internal.audit a, (VALUES (0)) AS read_only
		WHERE a.action = 'erase';
COMMENT ON VIEW webhook_internal.erasure IS 'subjects that were erased: by which row of the ring, of which transaction, and what that could see';

-- Of a transaction that is not known (0) all is meant that was made before. In a restored
-- database that is so, too: its new events have greater ids than the erasures of the dump.
CREATE FUNCTION webhook_internal.means(
	erasure bigint,
	erasure_txid xid8,
	snapshot pg_snapshot,
	id bigint,
	txid xid8
) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN id < erasure AND (txid = erasure_txid OR pg_visible_in_snapshot(txid, snapshot));
COMMENT ON FUNCTION webhook_internal.means(bigint, xid8, pg_snapshot, bigint, xid8) IS 'true if an erasure means an event of its subject: the row of the ring that was made in a transaction; 0: it is not known in which';

CREATE FUNCTION webhook_internal.erased_at(subject text, id bigint, txid xid8)
	RETURNS timestamptz
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT min(e.at)
		FROM webhook_internal.erasure e
		WHERE e.subject = erased_at.subject
			AND webhook_internal.means(e.id, e.txid, e.snapshot, erased_at.id, erased_at.txid)
$$;
COMMENT ON FUNCTION webhook_internal.erased_at(text, bigint, xid8) IS 'when an event was erased; null: it was not';

CREATE TYPE webhook_internal.found_event AS (
	id			bigint,
	event_id	uuid,
	event_type	text,
	subject		text,
	data		json,			-- null: it is kept no longer
	created_at	timestamptz,
	tenant		text,
	traceparent	text,
	context		jsonb,
	txid		xid8,			-- that made it; 0: it is not known
	erased_at	timestamptz		-- null: it was not erased
);
COMMENT ON TYPE webhook_internal.found_event IS 'what there is of an event';

CREATE FUNCTION webhook_internal.search_event(
	event uuid,
	subscription bigint,
	tenant text,
	whoever boolean
) RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	logged		webhook_internal.found_event;
	present		webhook_internal.found_event;
BEGIN
	/*
	 * The log has an index on event_id, and pending finds the rows of a subscription; all of
	 * pending and of the ring is read only for what neither of them has.
	 */
	SELECT l.id, l.event_id, l.event_type, l.subject, l.data, l.created_at, l.tenant,
			l.traceparent, l.context, '0', NULL
		INTO logged
		FROM webhook.log l
		WHERE l.event_id = search_event.event AND l.cause <> 'dismiss'
			AND (search_event.whoever OR l.tenant IS NOT DISTINCT FROM search_event.tenant)
		ORDER BY l.data IS NULL, l.logged_at DESC
		LIMIT 1;
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	-- The log keeps the data of what was delivered in the body of the request.
	logged.data := (
		SELECT webhook_internal.data_of_body(l.request_body, l.event_id, l.event_type)
			FROM webhook.log l
			WHERE l.event_id = search_event.event AND l.request_body IS NOT NULL
				AND (search_event.whoever OR l.tenant IS NOT DISTINCT FROM search_event.tenant)
			ORDER BY l.logged_at DESC
			LIMIT 1);
	IF logged.data IS NOT NULL THEN
		RETURN logged;
	END IF;

	SELECT p.id, p.event_id, p.event_type, nullif(p.subject, ''), p.data, p.created_at, p.tenant,
			p.context ->> 'traceparent', p.context -> 'context',
			CASE WHEN p.position = p.id THEN p.txid ELSE '0' END, NULL
		INTO present
		FROM (
			SELECT o.*
				FROM webhook_internal.pending o
				WHERE o.subscription_id = search_event.subscription
			UNION ALL
			SELECT a.* FROM webhook_internal.pending a
		) p
		WHERE p.event_id = search_event.event
			AND (search_event.whoever OR p.tenant IS NOT DISTINCT FROM search_event.tenant)
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;
	SELECT r.id, r.event_id, r.event_type, r.subject, r.data, r.created_at, r.tenant,
			r.context ->> 'traceparent', (r.context -> 'context')::jsonb, r.txid, NULL
		INTO present
		FROM webhook_internal.ring r
		WHERE r.event_id = search_event.event
			AND (search_event.whoever AND r.kind IN ('e', 't', 'p')
				OR webhook_internal.is_for(r.kind, r.tenant, search_event.tenant)
					-- What a tenant may not get it has not heard of.
					AND (webhook_internal.caller_sees_all()
						OR webhook_internal.may_get(search_event.tenant, r.event_type)))
		LIMIT 1;
	IF FOUND THEN
		RETURN present;
	END IF;

	-- The command for a replay or a ping contains the event.
	SELECT (r.data ->> 'id')::bigint, r.event_id, r.event_type, r.subject, r.data -> 'data',
			'2000-01-01 00:00+00'::timestamptz
				+ (r.data ->> 'created_at')::bigint * interval '1 microsecond',
			r.tenant, r.context ->> 'traceparent', r.context -> 'context',
			coalesce(r.data ->> 'txid', '0'), NULL
		INTO present
		FROM webhook_internal.ring r
		WHERE r.kind = 'r' AND r.event_id = search_event.event
			AND (search_event.whoever OR r.tenant IS NOT DISTINCT FROM search_event.tenant)
			AND NOT r.data ->> 'cause' = 'dismiss'
		LIMIT 1;
	RETURN CASE WHEN FOUND THEN present ELSE logged END;
END
$$;
COMMENT ON FUNCTION webhook_internal.search_event(uuid, bigint, text, boolean) IS 'what find_event() looks at, whether it was erased or not';

-- The result has data if the event can be sent again, and no id if it is unknown. What
-- another tenant, or the platform, has of it is not looked at, whoever calls.
CREATE FUNCTION webhook_internal.find_event(
	event uuid,
	subscription bigint,
	tenant text,
	whoever boolean
) RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e			webhook_internal.found_event;
	made_by		xid8;
BEGIN
	e := webhook_internal.search_event(event, subscription, tenant, whoever);
	e.erased_at := webhook_internal.erased_at(e.subject, e.id, e.txid);
	IF e.erased_at IS NOT NULL AND e.txid = '0' THEN
		-- The ring may tell more, but all of it has to be read.
		SELECT r.txid
			INTO made_by
			FROM webhook_internal.ring r
			WHERE r.event_id = find_event.event AND r.kind IN ('e', 't', 'p');
		IF FOUND THEN
			e.txid := made_by;
			e.erased_at := webhook_internal.erased_at(e.subject, e.id, e.txid);
		END IF;
	END IF;
	IF e.erased_at IS NOT NULL THEN
		e.data := NULL;
		e.context := NULL;
		e.traceparent := NULL;
	END IF;
	RETURN e;
END
$$;
COMMENT ON FUNCTION webhook_internal.find_event(uuid, bigint, text, boolean) IS 'the event, from the log, pending deliveries (of the subscription first) or the ring, as the tenant has it; null: the platform; or whoever has it; without data and context if it was erased';

CREATE FUNCTION webhook_internal.require_event(event uuid, subscription bigint, tenant text)
	RETURNS webhook_internal.found_event
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found		webhook_internal.found_event;
BEGIN
	PERFORM webhook_internal.require_not_null('event', event IS NULL, 'Give the Id of an event.');
	found := webhook_internal.find_event(event, subscription, tenant, false);
	IF found.id IS NULL THEN
		RAISE EXCEPTION 'event % does not exist', event
			USING ERRCODE = 'undefined_object',
				COLUMN = 'event',
				HINT = 'See views webhook.event, webhook.pending_delivery and webhook.dead_letter.';
	END IF;
	RETURN found;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_event(uuid, bigint, text) IS 'the event, looked for as by find_event(), as the tenant has it; raises an error if it is in none of these places';

-- The event of a ping is in the command, then in pending or the log; it is in no other delivery.
CREATE FUNCTION webhook_internal.is_ping(event uuid, subscription bigint) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(
		coalesce(
			(SELECT l.cause
				FROM webhook.log l
				WHERE l.event_id = is_ping.event AND l.cause <> 'dismiss'
				LIMIT 1),
			(SELECT p.cause
				FROM webhook_internal.pending p
				WHERE p.subscription_id = is_ping.subscription AND p.event_id = is_ping.event
				LIMIT 1),
			(SELECT p.cause
				FROM webhook_internal.pending p
				WHERE p.event_id = is_ping.event
				LIMIT 1),
			(SELECT r.data ->> 'cause'
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND r.event_id = is_ping.event
				LIMIT 1)) = 'ping',
		false)
$$;
COMMENT ON FUNCTION webhook_internal.is_ping(uuid, bigint) IS 'true if the event is that of a ping; it is looked for as by find_event()';

CREATE FUNCTION webhook_internal.is_confirmation(event uuid) RETURNS boolean
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (
		SELECT
			FROM webhook.log l
			WHERE l.event_id = is_confirmation.event AND l.cause = 'confirm')
$$;
COMMENT ON FUNCTION webhook_internal.is_confirmation(uuid) IS 'true if the event asks an endpoint for its challenge';

CREATE FUNCTION webhook.ping(subscription bigint, event_type text DEFAULT NULL) RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.ping(bigint, text) IS 'send a test event to a subscription: of type webhook.ping, or the example of another event type; returns its Id; a ping that fails does not count against the endpoint';

CREATE FUNCTION webhook_internal.ping(subscription bigint, event_type text) RETURNS uuid
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	created_at	timestamptz := clock_timestamp();
	event		uuid := webhook_internal.new_event_id(created_at);
	data		json;
BEGIN
	PERFORM webhook_internal.require_unfenced(subscription);
	IF event_type IS NULL THEN
		data := format('{"SubscriptionId":%s}', subscription);
	ELSE
		SELECT t.example
			INTO data
			FROM webhook_internal.visible_event_types() t
			WHERE t.name = event_type
				AND webhook_internal.may_get((
						SELECT s.tenant FROM webhook_internal.subscription s
							WHERE s.id = ping.subscription),
					t.name);
		IF NOT FOUND THEN
			PERFORM webhook_internal.raise_unknown_event_type(event_type, 'event_type');
		ELSIF data IS NULL THEN
			RAISE EXCEPTION 'event type "%" has no example', event_type
				USING ERRCODE = 'object_not_in_prerequisite_state',
					COLUMN = 'event_type',
					HINT = 'Give it one with webhook.alter_event_type(), or omit event_type to send an event webhook.ping.';
		END IF;
	END IF;
	PERFORM webhook_internal.replay(subscription, 'ping', 0::bigint, '0'::xid8, event, created_at,
		coalesce(event_type, 'webhook.ping'), NULL::text, data,
		(SELECT s.tenant FROM webhook_internal.subscription s WHERE s.id = ping.subscription),
		NULL::json);
	PERFORM webhook_internal.audit('ping'::text, subscription, event,
		jsonb_strip_nulls(jsonb_build_object('event_type', event_type)));
	RETURN event;
END
$$;
COMMENT ON FUNCTION webhook_internal.ping(bigint, text) IS 'what webhook.ping() does, with the rights of the owner';

CREATE FUNCTION webhook.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.resend(uuid, bigint) IS 'send an event to a subscription that takes such events once more, after waiting deliveries of its subject';

CREATE FUNCTION webhook_internal.resend(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known		webhook_internal.found_event;
	s			webhook_internal.subscription;
BEGIN
	PERFORM webhook_internal.require_enabled(subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = resend.subscription;
	known := webhook_internal.require_event(event, subscription, s.tenant);
	IF webhook_internal.is_confirmation(event) THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = 'It asks an endpoint for its challenge.',
				HINT = format('Set the endpoint with webhook.alter_subscription(%s, endpoint => ...) to ask again.', subscription);
	END IF;
	IF webhook_internal.is_ping(event, subscription) THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = 'It is a ping.',
				HINT = format('Send another one with webhook.ping(%s%s).', subscription,
					CASE WHEN known.event_type <> 'webhook.ping'
						THEN format(', %L', known.event_type) END);
	END IF;
	IF known.data IS NULL THEN
		RAISE EXCEPTION 'cannot resend event %', event
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'event',
				DETAIL = CASE
					WHEN known.erased_at IS NOT NULL THEN 'It was erased by webhook.erase().'
					ELSE 'It is no longer in the ring, and the log does not have its data.' END,
				HINT = 'Events are kept for webhook.event_retention, the log for webhook.log_retention.';
	END IF;
	IF NOT webhook_internal.takes(s, known.event_type, known.data) THEN
		RAISE EXCEPTION 'subscription % does not take event %', subscription, event
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'event',
				DETAIL = CASE
					WHEN NOT webhook_internal.may_get(s.tenant, known.event_type) THEN
						format('The event is of type %s, which tenant "%s" may not get.',
							known.event_type, s.tenant)
					WHEN webhook_internal.accepts(s.filter, known.data) THEN
						format('The event is of type %s; the subscription takes: %s.',
							known.event_type, array_to_string(s.events, ', '))
					ELSE format('The filter of the subscription is not true for it: %s', s.filter)
				END,
				HINT = 'Choose another subscription, or change this one with webhook.alter_subscription().';
	END IF;
	IF EXISTS (SELECT FROM webhook_internal.pending p
		WHERE p.event_id = resend.event AND p.subscription_id = resend.subscription)
	THEN
		RAISE NOTICE 'event % already waits for subscription %, and is sent once more', event, subscription
			USING HINT = format('To try what waits now, call webhook.retry(%s).', subscription);
	END IF;
	PERFORM webhook_internal.replay(subscription, 'resend', known.id, known.txid,
		known.event_id, known.created_at, known.event_type, known.subject, known.data, s.tenant,
		webhook_internal.event_context(known.traceparent, known.context));
	PERFORM webhook_internal.audit('resend'::text, subscription, event, NULL::jsonb);
END
$$;
COMMENT ON FUNCTION webhook_internal.resend(uuid, bigint) IS 'what webhook.resend() does, with the rights of the owner';

CREATE FUNCTION webhook.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.cancel(uuid, bigint) IS 'cancel the deliveries of an event to a subscription; a request in flight is the last; if it has failed or was cancelled already, dismiss the dead letter';

CREATE FUNCTION webhook_internal.cancel(event uuid, subscription bigint) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	known		webhook_internal.found_event;
	last		record;
	owned_by	text;			-- tenant of the subscription
	under_way	boolean;		-- it waits, or may be in memory
BEGIN
	PERFORM webhook_internal.require_subscription(cancel.subscription);
	SELECT s.tenant INTO owned_by FROM webhook_internal.subscription s
		WHERE s.id = cancel.subscription;
	known := webhook_internal.require_event(cancel.event, cancel.subscription, owned_by);
	SELECT l.position, l.outcome, l.cause
		INTO last
		FROM webhook.log l
		WHERE l.event_id = cancel.event AND l.subscription_id = cancel.subscription
		ORDER BY l.logged_at DESC, l.position DESC
		LIMIT 1;
	under_way := last.outcome = 'retrying' AND last.cause <> 'confirm'
		OR EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.event_id = cancel.event AND p.subscription_id = cancel.subscription)
		OR EXISTS (
			SELECT
				FROM webhook_internal.ring r
				WHERE r.event_id = cancel.event AND r.id > coalesce(last.position, 0)
					AND (webhook_internal.is_for(r.kind, r.tenant, owned_by)
						AND NOT webhook_internal.is_processed(r.txid, r.id)
						OR r.kind = 'r'
						AND webhook_internal.is_replay_to(r.data, cancel.subscription)));
	IF under_way THEN
		PERFORM webhook_internal.command('k'::"char", cancel.subscription, known.subject, cancel.event);
		PERFORM webhook_internal.audit('cancel'::text, cancel.subscription, cancel.event, NULL::jsonb);
	ELSIF last.outcome IN ('failed', 'cancelled') AND last.cause NOT IN ('ping', 'confirm', 'dismiss') THEN
		PERFORM webhook_internal.replay(cancel.subscription, 'dismiss', known.id, known.txid,
			known.event_id, known.created_at, known.event_type, known.subject,
			coalesce(known.data, 'null'),
			(SELECT s.tenant FROM webhook_internal.subscription s WHERE s.id = cancel.subscription),
			webhook_internal.event_context(known.traceparent, known.context));
		PERFORM webhook_internal.audit('cancel'::text, cancel.subscription, cancel.event,
			'{"dismissed": true}'::jsonb);
	ELSE
		RAISE NOTICE 'there is nothing to cancel of event % for subscription %',
			cancel.event, cancel.subscription
			USING HINT = format('webhook.explain(%L, %s) says what became of it.', cancel.event,
				cancel.subscription);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.cancel(uuid, bigint) IS 'what webhook.cancel() does, with the rights of the owner';

CREATE FUNCTION webhook_internal.check_subject(subject text) RETURNS void
	LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF subject = '' THEN
		RAISE EXCEPTION 'subject must not be empty'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'subject',
				HINT = 'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().';
	END IF;
	PERFORM webhook_internal.require_length('subject', octet_length(subject),
		(webhook_internal.bounds()).subject_bytes,
		'Give a subject from view webhook.pending_delivery.');
END
$$;
COMMENT ON FUNCTION webhook_internal.check_subject(text) IS 'raise an error if no delivery can have this subject';

CREATE FUNCTION webhook.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.skip(bigint, text) IS 'cancel the first waiting delivery of a subject to a subscription, so that the next one is sent';

CREATE FUNCTION webhook_internal.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM webhook_internal.require_subscription(subscription);
	PERFORM webhook_internal.require_not_null('subject', subject IS NULL,
		'Give a subject from view webhook.pending_delivery; cancel an event without a subject with webhook.cancel().');
	PERFORM webhook_internal.check_subject(subject);
	IF webhook_internal.may_wait(subscription, subject) THEN
		PERFORM webhook_internal.audit('skip'::text, subscription, NULL::uuid,
			jsonb_build_object('subject', subject));
	ELSE
		RAISE NOTICE 'no delivery of subject "%" waits for subscription %', subject, subscription
			USING HINT = 'See view webhook.pending_delivery.';
	END IF;
	PERFORM webhook_internal.command('s'::"char", subscription, subject, NULL::uuid);
END
$$;
COMMENT ON FUNCTION webhook_internal.skip(bigint, text) IS 'what webhook.skip() does, with the rights of the owner';

CREATE FUNCTION webhook.retry(subscription bigint, subject text DEFAULT NULL) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.retry(bigint, text) IS 'try now: what waits for a retry, of the subject or of all, is due at once, and an open circuit breaker closes; returns the number of waiting deliveries';

CREATE FUNCTION webhook_internal.retry(subscription bigint, subject text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	waiting		bigint;
BEGIN
	PERFORM webhook_internal.require_unfenced(retry.subscription);
	PERFORM webhook_internal.check_subject(retry.subject);
	SELECT count(*)
		INTO waiting
		FROM webhook_internal.pending p
		WHERE p.subscription_id = retry.subscription
			AND (retry.subject IS NULL OR p.subject = retry.subject);
	PERFORM webhook_internal.command('d'::"char", retry.subscription, retry.subject, NULL::uuid);
	IF waiting > 0 OR webhook_internal.has_open_breaker(retry.subscription) THEN
		PERFORM webhook_internal.audit('retry'::text, retry.subscription, NULL::uuid,
			jsonb_build_object('subject', retry.subject, 'count', waiting));
	END IF;
	RETURN waiting;
END
$$;
COMMENT ON FUNCTION webhook_internal.retry(bigint, text) IS 'what webhook.retry() does, with the rights of the owner';

CREATE FUNCTION webhook.erase(subject text) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.erase(text) IS 'keep nothing that was sent about a subject, to whomever: bodies, data and context leave the log, whose rows stay, and what waits is cancelled; returns the number of rows of the log and of waiting deliveries that have something to erase';

CREATE FUNCTION webhook_internal.erase(subject text) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	kept		bigint;
BEGIN
	PERFORM webhook_internal.require_not_null('subject', erase.subject IS NULL,
		'Give a subject, for example ''business_request/42''; see column subject of webhook.log.');
	PERFORM webhook_internal.check_subject(erase.subject);
	SELECT (SELECT count(*)
				FROM webhook.log l
				WHERE l.subject = erase.subject
					AND num_nonnulls(l.request_body, l.response_body, l.context, l.data) > 0)
			+ (SELECT count(*)
				FROM webhook_internal.pending p
				WHERE p.subject = erase.subject)
		INTO kept;
	-- What is in memory is in the ring, too, and what is there may be sent again: all that
	-- no erasure means so far. A snapshot of before does not show it.
	IF kept > 0 OR current_setting('transaction_isolation') <> 'read committed'
		OR EXISTS (SELECT FROM webhook_internal.ring r
			WHERE r.subject = erase.subject AND r.kind IN ('e', 't', 'p', 'r')
				AND webhook_internal.erased_at(r.subject, r.id, r.txid) IS NULL)
	THEN
		PERFORM webhook_internal.command('z'::"char", NULL::bigint, erase.subject, NULL::uuid);
		PERFORM webhook_internal.audit('erase'::text, NULL::bigint, NULL::uuid, (
			SELECT jsonb_build_object('subject', r.subject, 'count', kept, 'id', r.id,
					'txid', r.txid, 'snapshot', r.data ->> 'snapshot')
				FROM webhook_internal.ring r
				WHERE r.txid = pg_current_xact_id() AND r.kind = 'z'
				ORDER BY r.id DESC
				LIMIT 1));
	END IF;
	RETURN kept;
END
$$;
COMMENT ON FUNCTION webhook_internal.erase(text) IS 'what webhook.erase() does, with the rights of the owner';

-- Where an answer may lack what is kept no longer, people are told.
CREATE FUNCTION webhook_internal.warn_of_retention(what text, since timestamptz) RETURNS void
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	setting		text := CASE what WHEN 'missing' THEN 'webhook.event_retention'
					ELSE 'webhook.log_retention' END;
	kept_since	timestamptz := clock_timestamp() - current_setting(setting)::interval;
BEGIN
	-- All that is kept was asked for, or nothing is so old: what was asked for, the
	-- extension, or what the ring still has.
	IF since = '-infinity' OR since >= kept_since
		OR (SELECT min(t.created_at) FROM webhook_internal.event_type t) >= kept_since
		OR what = 'missing' AND (SELECT min(r.created_at) FROM webhook_internal.ring r) <= since
	THEN
		RETURN;
	END IF;
	RAISE WARNING 'events since % may be kept no longer', since
		USING DETAIL = format('Setting %s is %s.', setting, current_setting(setting)),
			HINT = 'What is kept is found; ''-infinity'' asks for all of it.';
END
$$;
COMMENT ON FUNCTION webhook_internal.warn_of_retention(text, timestamptz) IS 'warn if what recover() looks for may have been deleted';

CREATE FUNCTION webhook.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz DEFAULT now(),
	what text DEFAULT 'failed',
	dry_run boolean DEFAULT false
) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'send events that occurred in a period, and that the subscription takes, to it: those that failed or were cancelled, with what => missing those that were never attempted, with what => delivered those that were delivered; returns their number; with dry_run they are only counted';

CREATE FUNCTION webhook_internal.recover(
	subscription bigint,
	since timestamptz,
	until timestamptz,
	what text,
	dry_run boolean
) RETURNS bigint
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	s			webhook_internal.subscription;
	e			record;
	count		bigint := 0;
	told_at		timestamptz := clock_timestamp();
	-- Older leaves of the log need not be read; a day allows for a wrong clock.
	logged_since timestamptz := greatest(recover.since, '2000-01-01 00:00+00') - interval '1 day';
BEGIN
	PERFORM webhook_internal.require_not_null('since', recover.since IS NULL,
		'Give the time of the first event, or ''-infinity''.');
	PERFORM webhook_internal.require_not_null('until', recover.until IS NULL,
		'Give the time after the last event, or ''infinity''.');
	PERFORM webhook_internal.require_not_null('what', recover.what IS NULL,
		'Use ''failed'', ''missing'' or ''delivered''.');
	PERFORM webhook_internal.require_not_null('dry_run', recover.dry_run IS NULL,
		'Use true only to count, false to send.');
	IF recover.what NOT IN ('failed', 'missing', 'delivered') THEN
		RAISE EXCEPTION 'unrecognized value for parameter "what": "%"',
				webhook_internal.clipped(recover.what)
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'what',
				HINT = 'Use ''failed'' for events that failed or were cancelled, ''missing'' for events that were never attempted, ''delivered'' for events that were delivered.';
	END IF;
	IF recover.since > recover.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'since',
				DETAIL = format('%s is later than %s.', recover.since, recover.until),
				HINT = 'Events are sent that occurred at or after since, and before until.';
	END IF;
	PERFORM webhook_internal.require_enabled(recover.subscription);
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = recover.subscription;
	s.since := webhook_internal.local_start_snapshot(s.home, s.since);
	PERFORM webhook_internal.warn_of_retention(recover.what, recover.since);

	-- An event whose replay has not ended is left out. The ring is searched for
	-- replays once, even if the planner has no statistics of it yet.
	FOR e IN
		WITH replay AS MATERIALIZED (
			SELECT r.event_id, max(r.id) AS id
				FROM webhook_internal.ring r
				WHERE r.kind = 'r' AND webhook_internal.is_replay_to(r.data, recover.subscription)
				GROUP BY r.event_id),
		candidate AS (
			SELECT d.id, d.event_id, d.created_at, d.event_type, d.subject, d.data,
					d.traceparent, d.context, coalesce(v.txid, '0') AS txid
				FROM webhook.dead_letter d
					-- The log does not have the transaction that made the event.
					LEFT JOIN webhook_internal.ring v ON v.event_id = d.event_id
						AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
				WHERE recover.what = 'failed'
					AND d.subscription_id = s.id AND d.tenant IS NOT DISTINCT FROM s.tenant
					AND d.created_at >= recover.since AND d.created_at < recover.until
					AND d.logged_at >= logged_since
					AND d.data IS NOT NULL
					AND webhook_internal.takes(s, d.event_type, d.data)
					AND NOT EXISTS (
						SELECT
							FROM replay r
							WHERE r.event_id = d.event_id AND r.id > d.position)
			UNION ALL
			SELECT l.id, l.event_id, l.created_at, l.event_type, l.subject, x.data,
					l.traceparent, l.context, coalesce(v.txid, '0')
				FROM webhook.log l
					LEFT JOIN webhook_internal.ring v ON v.event_id = l.event_id
						AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
					CROSS JOIN LATERAL (
						SELECT coalesce(v.data, webhook_internal.data_of_body(l.request_body,
								l.event_id, l.event_type)) AS data
					) x
				WHERE recover.what = 'delivered'
					AND l.subscription_id = s.id AND l.tenant IS NOT DISTINCT FROM s.tenant
					AND l.outcome = 'delivered' AND l.cause NOT IN ('ping', 'confirm')
					AND l.created_at >= recover.since AND l.created_at < recover.until
					AND l.logged_at >= logged_since
					AND x.data IS NOT NULL
					AND webhook_internal.takes(s, l.event_type, x.data)
					AND NOT EXISTS (
						SELECT
							FROM webhook.log n
							WHERE n.event_id = l.event_id AND n.subscription_id = s.id
								AND (n.logged_at, n.position) > (l.logged_at, l.position))
					AND NOT EXISTS (
						SELECT
							FROM webhook_internal.pending p
							WHERE p.event_id = l.event_id AND p.subscription_id = s.id)
					AND NOT EXISTS (
						SELECT
							FROM replay r
							WHERE r.event_id = l.event_id AND r.id > l.position)
			UNION ALL
			SELECT v.id, v.event_id, v.created_at, v.event_type, v.subject, v.data,
					v.context ->> 'traceparent', (v.context -> 'context')::jsonb, v.txid
				FROM webhook_internal.ring v
				WHERE recover.what = 'missing'
					AND webhook_internal.is_for(v.kind, v.tenant, s.tenant)
					AND v.created_at >= recover.since AND v.created_at < recover.until
					-- All other events are delivered anyway.
					AND (pg_visible_in_snapshot(v.txid, s.since)
						OR webhook_internal.is_processed(v.txid, v.id))
					AND webhook_internal.takes(s, v.event_type, v.data)
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
							WHERE r.event_id = v.event_id))
		SELECT c.id, c.event_id, c.created_at, c.event_type, c.subject, c.data, c.traceparent,
				c.context, c.txid
			FROM candidate c
			WHERE NOT EXISTS (
				SELECT
					FROM webhook_internal.erasure a
					WHERE a.subject = c.subject
						AND webhook_internal.means(a.id, a.txid, a.snapshot, c.id, c.txid))
			ORDER BY c.id
	LOOP
		IF NOT recover.dry_run THEN
			PERFORM webhook_internal.replay(s.id, 'recover', e.id, e.txid, e.event_id, e.created_at,
				e.event_type, e.subject, e.data, s.tenant,
				webhook_internal.event_context(e.traceparent, e.context));
		END IF;
		count := count + 1;
		IF count % 100000 = 0 OR clock_timestamp() - told_at > interval '10 s' THEN
			RAISE NOTICE 'events so far: %, the last one of %', count, e.created_at;
			told_at := clock_timestamp();
		END IF;
	END LOOP;
	IF count > 0 AND NOT recover.dry_run THEN
		PERFORM webhook_internal.audit('recover'::text, s.id, NULL::uuid, jsonb_build_object(
			'since', recover.since, 'until', recover.until, 'what', recover.what, 'count', count));
	END IF;
	RETURN count;
END
$$;
COMMENT ON FUNCTION webhook_internal.recover(bigint, timestamptz, timestamptz, text, boolean) IS 'what webhook.recover() does, with the rights of the owner';
