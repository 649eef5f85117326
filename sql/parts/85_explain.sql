/*
 * explain(): the story of one delivery, a sentence a line
 */

CREATE FUNCTION webhook.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.explain(uuid, bigint) IS 'why an event was, or was not, delivered to a subscription, and what comes next';

CREATE FUNCTION webhook_internal.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	e			webhook_internal.found_event;
	s			webhook_internal.subscription;
	stat		webhook.stat_subscription;
	not_before	timestamptz;
	last		webhook.log;
	waiting		webhook.pending_delivery;
	attempts	text;
	retries		integer;
	replayed	boolean;		-- a replay of it is under way
	in_ring		boolean;
	unread		boolean;		-- the worker is not done with it
	before		boolean;		-- it was committed before the start of the subscription
	is_ping		boolean;
	is_confirmation boolean;
	unkept		text;			-- why the log has no bodies of the last attempt
	said		text[];
BEGIN
	PERFORM webhook_internal.require_not_null('event', explain.event IS NULL,
		'Give the Id of an event.');
	PERFORM webhook_internal.require_not_null('subscription', explain.subscription IS NULL,
		'Give the id of a subscription; see view webhook.subscription.');

	-- An administrator may ask about a subscription that is gone.
	IF NOT webhook_internal.caller_sees_all() THEN
		PERFORM webhook_internal.require_subscription(explain.subscription);
	END IF;
	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = explain.subscription;
	e := webhook_internal.find_event(explain.event, explain.subscription, s.tenant, s.id IS NULL);
	IF e.id IS NULL THEN
		RETURN format('The event is unknown: the log has no attempt of it, and it is neither pending nor in the ring.'
			|| E'\n'
			'The ring keeps events for webhook.event_retention (%s), the log keeps attempts for webhook.log_retention (%s).',
			current_setting('webhook.event_retention', true),
			current_setting('webhook.log_retention', true));
	END IF;
	is_ping := webhook_internal.is_ping(explain.event, explain.subscription);
	is_confirmation := webhook_internal.is_confirmation(explain.event);
	said := ARRAY[CASE
		WHEN is_confirmation THEN
			format('It asks an endpoint for its challenge, which was made at %s.', e.created_at)
		WHEN is_ping AND e.event_type <> 'webhook.ping' THEN
			format('It is a ping with the example of event type %s, sent at %s.', e.event_type, e.created_at)
		WHEN e.subject IS NULL THEN
			format('It is an event of type %s, which occurred at %s.', e.event_type, e.created_at)
		ELSE format('It is an event of type %s about %s, which occurred at %s.', e.event_type,
				e.subject, e.created_at) END];

	SELECT x.* INTO stat FROM webhook.stat_subscription x
		WHERE x.subscription_id = explain.subscription;
	SELECT t.not_before INTO not_before FROM webhook_internal.subscription_state t
		WHERE t.subscription_id = explain.subscription;
	SELECT l.*
		INTO last
		FROM webhook.log l
		WHERE l.event_id = explain.event AND l.subscription_id = explain.subscription
		ORDER BY l.logged_at DESC, l.position DESC
		LIMIT 1;
	SELECT p.*
		INTO waiting
		FROM webhook.pending_delivery p
		WHERE p.event_id = explain.event AND p.subscription_id = explain.subscription
		ORDER BY p.position
		LIMIT 1;
	replayed := waiting.id IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'r' AND r.event_id = explain.event
				AND webhook_internal.is_replay_to(r.data, explain.subscription)
				AND r.id > coalesce(last.position, 0));

	SELECT count(*) > 0, bool_or(NOT webhook_internal.is_processed(r.txid, r.id)),
			bool_or(pg_visible_in_snapshot(r.txid,
				webhook_internal.local_start_snapshot(s.home, s.since)))
		INTO in_ring, unread, before
		FROM webhook_internal.ring r
		WHERE r.event_id = explain.event AND webhook_internal.is_for(r.kind, r.tenant, s.tenant);

	-- What was the last attempt, or how did the delivery end?
	attempts := CASE last.attempt WHEN 0 THEN 'no attempt' WHEN 1 THEN 'one attempt'
		ELSE last.attempt || ' attempts' END;
	said := said || CASE last.outcome
		WHEN 'delivered' THEN
			format('It was delivered at %s, by attempt %s, with status %s.', last.logged_at,
				last.attempt, last.response_status)
		WHEN 'retrying' THEN
			format('Attempt %s failed at %s: %s.', last.attempt, last.logged_at, last.error)
		WHEN 'failed' THEN
			format('It failed for good at %s, after %s: %s.', last.logged_at, attempts, last.error)
				|| CASE WHEN last.response_status = ANY (s.final_statuses)
					THEN format(' Status %s is one of the subscription''s final_statuses.',
						last.response_status) ELSE '' END
		WHEN 'cancelled' THEN
			CASE last.error_class
				WHEN 'dismissed' THEN
					format('Its dead letter was dismissed at %s by webhook.cancel().', last.logged_at)
				WHEN 'erased' THEN
					format('It was cancelled at %s, after %s, because its subject was erased.',
						last.logged_at, attempts)
				WHEN 'skipped' THEN format('It was skipped at %s, after %s.', last.logged_at, attempts)
				ELSE format('It was cancelled at %s, after %s.', last.logged_at, attempts) END
		END;

	IF e.erased_at IS NOT NULL THEN
		said := said || format('What was sent about %s was erased at %s by webhook.erase().',
			e.subject, e.erased_at);
	ELSIF last.method IS NOT NULL AND last.request_body IS NULL THEN
		unkept := coalesce(s.log_bodies, current_setting('webhook.log_bodies', true));
		said := said || CASE
			WHEN last.request_headers IS NULL THEN
				'The log has neither headers nor bodies of this attempt: it could not be written with them.'
			WHEN unkept = 'none' OR unkept = 'failed' AND last.outcome = 'delivered' THEN
				format('The log has no bodies of this attempt: log_bodies is %s.', unkept)
			ELSE 'The log has no bodies of this attempt: log_bodies was another one then.' END;
	END IF;

	IF is_confirmation THEN
		said := said || format('Subscription %s is %s, so nothing else is sent to it: %s.', s.id,
			stat.state, stat.reason);
		RETURN array_to_string(CASE WHEN stat.state = 'unconfirmed' THEN said
			ELSE said[:cardinality(said) - 1] END, E'\n');
	END IF;

	-- Where is the delivery now?
	IF waiting.id IS NOT NULL THEN
		retries := coalesce(cardinality(s.retry_schedule),
			cardinality(string_to_array(
				nullif(trim(current_setting('webhook.retry_schedule', true)), ''), ',')), 0);
		said := said || CASE
			WHEN waiting.waits_for IS NOT NULL THEN
				format('It waits behind event %s of the same subject, which has been waiting since %s.',
					waiting.waits_for, waiting.waits_since)
			WHEN waiting.next_at IS NULL THEN
				'It waits behind another event of the same subject that is in memory or in flight.'
			WHEN waiting.step > 0 THEN
				format('Attempt %s, retry %s of %s, is due at %s.', waiting.attempt + 1,
					waiting.step, retries, waiting.next_at)
			ELSE format('Attempt %s is due at %s.', waiting.attempt + 1, waiting.next_at) END;
	ELSIF replayed THEN
		said := said || CASE
			WHEN is_ping THEN 'It is in memory or in flight.'
			ELSE 'Its replay is in memory or in flight.' END;
	ELSIF last.outcome = 'delivered' THEN
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IN ('failed', 'cancelled') THEN
		said := said || CASE
			WHEN is_ping THEN NULL
			WHEN s.id IS NULL THEN
				format('It is not retried, because subscription %s does not exist.', explain.subscription)
			WHEN e.erased_at IS NOT NULL THEN 'It cannot be resent.'
			WHEN e.data IS NULL AND last.data IS NULL
				THEN 'It cannot be resent: it is no longer in the ring, and the log has not kept its data.'
			WHEN e.data IS NULL THEN 'It cannot be resent, because it is no longer in the ring.'
			WHEN NOT webhook_internal.takes(s, e.event_type, e.data) THEN
				format('It is not retried, and subscription %s does not take such events any more.', s.id)
			WHEN last.error_class = 'dismissed' THEN 'webhook.resend() sends it again.'
			ELSE 'It is not retried; webhook.resend() or webhook.recover() sends it again.' END;
		RETURN array_to_string(said, E'\n');
	ELSIF s.id IS NULL OR last.outcome IS NOT NULL THEN
		NULL;
	ELSIF NOT EXISTS (
		SELECT
			FROM unnest(s.events) AS w (name)
			WHERE webhook_internal.matches(w.name, e.event_type))
	THEN
		said := said || format('Subscription %s does not take events of this type; it takes: %s.', s.id,
			array_to_string(s.events, ', '));
		RETURN array_to_string(said, E'\n');
	ELSIF NOT webhook_internal.may_get(s.tenant, e.event_type) THEN
		said := said || format('Tenant "%s" of subscription %s may not get events of this type; see view webhook.tenant.',
			s.tenant, s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF NOT webhook_internal.accepts(s.filter, e.data) THEN
		said := said || format('The filter of subscription %s is not true for it: %s', s.id, s.filter)
			|| CASE WHEN webhook_internal.accepts('strict $.RecordOmitted == true', e.data)
				THEN 'Its Record was too large for webhook.max_data_size, so the filter could not look at it.'
				END;
		RETURN array_to_string(said, E'\n');
	ELSIF before THEN
		said := said || format('It was committed before subscription %s was made or last enabled; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF unread THEN
		NULL;
	ELSE
		said := said || (CASE
			WHEN e.created_at < s.created_at THEN
				format('It occurred before subscription %s was made.', s.id)
			ELSE format('Subscription %s did not take it when it was read: it was disabled, or had other event types or another filter.',
				s.id)
			END || CASE
			WHEN stat.state = 'disabled' THEN ''
			WHEN in_ring THEN ' webhook.recover() with what => ''missing'' delivers such events.'
			WHEN e.data IS NOT NULL THEN ' webhook.resend() sends it.'
			ELSE ' It cannot be resent, because it is no longer in the ring.' END);
		IF stat.state <> 'disabled' THEN
			RETURN array_to_string(said, E'\n');
		END IF;
	END IF;
	IF s.id IS NOT NULL AND waiting.id IS NULL AND NOT replayed
		AND (unread OR last.outcome = 'retrying')
	THEN
		said := said || 'It is in memory or in flight, or has not been read yet.'::text;
	END IF;

	-- What keeps the delivery from being sent?
	IF s.id IS NULL AND (waiting.id IS NOT NULL OR replayed) THEN
		said := said || format('Subscription %s does not exist, so the delivery will be cancelled.',
			explain.subscription);
	ELSIF s.id IS NULL THEN
		said := said || format('Subscription %s does not exist.', explain.subscription);
	ELSIF stat.state = 'disabled' THEN
		said := said || format('Subscription %s is disabled, so nothing is sent to it: %s.', s.id,
			stat.reason);
	ELSIF stat.state IN ('fenced', 'paused', 'unconfirmed') THEN
		said := said || format('Subscription %s is %s, so nothing is sent to it: %s.', s.id,
			stat.state, stat.reason);
	ELSIF stat.state = 'off' THEN
		said := said || 'Nothing is sent: webhook.enabled is off.'::text;
	ELSE
		IF stat.state = 'open' THEN
			said := said || format('The circuit breaker has been open since %s, and the next probe is due at %s: %s.',
				stat.opened_at, stat.next_attempt, stat.reason);
		ELSIF not_before > statement_timestamp() THEN
			said := said || format('No request is sent before %s: %s.', not_before, stat.reason);
		ELSIF waiting.next_at <= statement_timestamp()
			AND starts_with(stat.reason, 'held back by ')
		THEN
			said := said || format('Subscription %s is %s.', s.id, stat.reason);
		END IF;
		IF NOT EXISTS (SELECT FROM webhook_internal.worker_state() w WHERE w.state = 'running') THEN
			said := said || 'No worker is running in this database.'::text;
		END IF;
	END IF;
	RETURN array_to_string(said, E'\n');
END
$$;
COMMENT ON FUNCTION webhook_internal.explain(uuid, bigint) IS 'what webhook.explain() does, with the rights of the owner';
