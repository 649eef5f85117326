CREATE FUNCTION webhook.explain(event uuid, subscription bigint) RETURNS text
	LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	e			webhook.event;
	s			webhook_internal.subscription;
	stat		webhook.stat_subscription;
	not_before	timestamptz;
	last		webhook.log;
	waiting		webhook.pending_delivery;
	attempts	text;
	retries		integer;
	on_its_way	boolean;
	said		text[];
BEGIN
	IF explain.event IS NULL OR explain.subscription IS NULL THEN
		RAISE EXCEPTION '% must not be null',
			CASE WHEN explain.event IS NULL THEN 'event' ELSE 'subscription' END
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Give the Id of an event and the id of a subscription.';
	END IF;

	e := webhook_internal.find_event(explain.event);
	IF e.id IS NULL THEN
		RETURN format('Nothing is known of the event: no call of it is in the log, it does not wait, '
			'and it is not in the ring.' || E'\n'
			'The ring keeps events as long as webhook.event_retention says (%s), the log as long as webhook.log_retention says (%s).',
			current_setting('webhook.event_retention', true),
			current_setting('webhook.log_retention', true));
	END IF;
	said := ARRAY[format('It is an event of type %s%s, which occurred at %s.', e.event_type,
		' about ' || e.subject, e.created_at)];

	SELECT x.* INTO s FROM webhook_internal.subscription x WHERE x.id = explain.subscription;
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
	on_its_way := waiting.id IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'r' AND r.event_id = explain.event
				AND starts_with(r.data::text, format('{"subscription":%s,', explain.subscription))
				AND r.id > coalesce(last.position, 0));

	-- What has been
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
		WHEN 'cancelled' THEN
			format('It was %s at %s, after %s.',
				CASE last.error_class WHEN 'skipped' THEN 'skipped' ELSE 'cancelled' END,
				last.logged_at, attempts)
		END;

	-- What is
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
	ELSIF on_its_way THEN
		said := said || CASE e.event_type
			WHEN 'webhook.ping' THEN 'It is in memory or in flight.'
			ELSE 'It has been asked for again, and is in memory or in flight.' END;
	ELSIF last.outcome = 'delivered' THEN
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IN ('failed', 'cancelled') THEN
		said := said || CASE
			WHEN e.event_type = 'webhook.ping' THEN NULL
			WHEN e.data IS NULL THEN 'It cannot be sent again, for it has left the ring.'
			ELSE 'It is not tried again, unless by webhook.resend() or webhook.recover().' END;
		RETURN array_to_string(said, E'\n');
	ELSIF s.id IS NULL THEN
		NULL;
	ELSIF last.outcome IS NULL AND NOT EXISTS (
		SELECT FROM unnest(s.events) AS w (name) WHERE webhook_internal.matches(w.name, e.event_type))
	THEN
		said := said || format('Subscription %s does not want this type of events, but %s.',
			s.id, array_to_string(s.events, ', '));
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND NOT webhook_internal.accepts(s.filter, e.data) THEN
		said := said || format('The filter of subscription %s refuses it: %s', s.id, s.filter);
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'e' AND r.event_id = explain.event
				AND pg_visible_in_snapshot(r.txid, webhook_internal.local_start_snapshot(s.home, s.since)))
	THEN
		said := said || format('It was committed before subscription %s was made or last enabled; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSIF last.outcome IS NULL AND EXISTS (
		SELECT
			FROM webhook_internal.ring r
			WHERE r.kind = 'e' AND r.event_id = explain.event AND webhook_internal.is_processed(r.txid, r.id))
	THEN
		said := said || format('Subscription %s did not want it when it was read; '
			'webhook.recover() with what => ''missing'' delivers such events.', s.id);
		RETURN array_to_string(said, E'\n');
	ELSE
		said := said || 'It is in memory or in flight, or has not been read yet.'::text;
	END IF;

	-- What holds it up
	IF s.id IS NULL THEN
		said := said || format('Subscription %s does not exist%s.', explain.subscription,
			CASE WHEN waiting.id IS NOT NULL OR on_its_way THEN ', so the delivery ends as cancelled' END);
	ELSIF stat.state = 'disabled' THEN
		said := said || format('Subscription %s is disabled, so nothing is sent to it: %s.', s.id,
			stat.reason);
	ELSIF stat.state IN ('fenced', 'paused') THEN
		said := said || format('Subscription %s is %s, so nothing is sent to it: %s.', s.id,
			stat.state, stat.reason);
	ELSIF current_setting('webhook.enabled', true) = 'off' THEN
		said := said || 'Nothing is sent: webhook.enabled is off.'::text;
	ELSE
		IF stat.state = 'open' THEN
			said := said || format('The endpoint is not called but for a probe now and then, since %s, '
				'the next one at %s: %s.', stat.opened_at, stat.next_attempt, stat.reason);
		ELSIF not_before > statement_timestamp() THEN
			said := said || format('The endpoint is not called before %s: %s.', not_before,
				stat.reason);
		ELSIF s.rate_limit IS NOT NULL AND waiting.next_at <= statement_timestamp() THEN
			said := said || format('Subscription %s is %s.', s.id, stat.reason);
		END IF;
		IF NOT EXISTS (SELECT FROM webhook_internal.worker_state() w WHERE w.state = 'running') THEN
			said := said || 'No worker is running in this database.'::text;
		END IF;
	END IF;
	RETURN array_to_string(said, E'\n');
END
$$;

