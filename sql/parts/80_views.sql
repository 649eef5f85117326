/*
 * What is going on
 */

CREATE FUNCTION webhook.drain(timeout interval DEFAULT '30 s') RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drain';

CREATE FUNCTION webhook_internal.worker_state(
	OUT pid integer,
	OUT state text,
	OUT started_at timestamptz,
	OUT ring_table integer,
	OUT windows bigint,
	OUT events bigint,
	OUT attempts bigint,
	OUT delivered bigint,
	OUT retrying bigint,
	OUT failed bigint,
	OUT flushes bigint,
	OUT flush_errors bigint,
	OUT rotations bigint,
	OUT in_flight bigint,
	OUT queued bigint,
	OUT unflushed bigint,
	OUT memory bigint
) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'webhook_worker_state';

CREATE VIEW webhook.stat_worker AS
	SELECT pid, state, started_at, ring_table, windows, events, attempts, delivered,
		retrying, failed, flushes, flush_errors, rotations, in_flight, queued,
		unflushed, memory
	FROM webhook_internal.worker_state();

-- What the views below are made of is found where it should be.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

CREATE VIEW webhook.pending_delivery AS
	SELECT p.subscription_id, nullif(p.subject, '') AS subject, p.event_id, p.event_type,
		p.cause, p.attempt, p.step, p.next_at, p.queued_at, p.created_at, p.position, p.id,
		f.event_id AS waits_for, f.queued_at AS waits_since
	FROM webhook_internal.pending p
		LEFT JOIN LATERAL (
			SELECT w.event_id, w.queued_at, w.position, w.id
				FROM webhook_internal.pending w
				WHERE p.next_at IS NULL AND p.subject <> ''
					AND w.subscription_id = p.subscription_id AND w.subject = p.subject
				ORDER BY w.position, w.id
				LIMIT 1
		) f ON (f.position, f.id) <> (p.position, p.id);

CREATE VIEW webhook.dead_letter AS
	SELECT l.subscription_id, l.event_id, l.id, l.event_type, l.subject, l.created_at,
		l.attempt, l.outcome, l.error_class, l.error, l.response_status, l.logged_at,
		l.position, l.data
	FROM webhook.log l
	WHERE l.outcome IN ('failed', 'cancelled')
		AND l.cause <> 'ping'
		AND NOT EXISTS (
			SELECT
				FROM webhook.log n
				WHERE n.event_id = l.event_id AND n.subscription_id = l.subscription_id
					AND (n.logged_at, n.position) > (l.logged_at, l.position))
		AND NOT EXISTS (
			SELECT
				FROM webhook_internal.pending p
				WHERE p.event_id = l.event_id AND p.subscription_id = l.subscription_id);

CREATE VIEW webhook.subscription AS
	SELECT s.id, webhook_internal.redacted_endpoint(s.endpoint) AS endpoint, s.events, s.description,
		webhook_internal.redacted_headers(s.headers) AS headers, s.signature_schemes, s.filter,
		s.payload_format, s.ordered, s.max_in_flight, s.rate_limit, s.timeout,
		s.retry_schedule, s.max_age, s.final_statuses, s.ca, s.client_certificate, s.enabled,
		s.paused, s.created_at, s.created_by
	FROM webhook_internal.subscription s;

CREATE VIEW webhook.stat_subscription AS
	SELECT s.id AS subscription_id,
		webhook_internal.redacted_endpoint(s.endpoint) AS endpoint,
		h.state,
		CASE h.state
			WHEN 'disabled' THEN
				CASE WHEN s.enabled
					THEN concat('given up by the worker, the last problem: ', t.reason)
					ELSE 'disabled by webhook.alter_subscription()' END
			WHEN 'fenced' THEN 'it belongs to another database until webhook.resume_database()'
			WHEN 'paused' THEN 'paused by webhook.pause()'
			ELSE CASE
				WHEN h.sending_off THEN 'sending is off: webhook.enabled'
				WHEN h.state = 'open' THEN
					format('%s failures in a row, the last: %s', t.consecutive_failures, t.reason)
				WHEN t.not_before > statement_timestamp() THEN
					concat('the endpoint has asked for a pause: ', t.reason)
				WHEN s.rate_limit IS NOT NULL AND p.next_at <= statement_timestamp() THEN
					format('held back by its rate limit of %s calls a second', s.rate_limit)
				WHEN t.reason IS NOT NULL THEN
					concat('the last problem: ', t.reason)
				WHEN h.state = 'slow' THEN 'an answer took more than two seconds' END
		END AS reason,
		coalesce(t.delivered, 0) AS delivered,
		coalesce(t.failed, 0) AS failed,
		coalesce(t.retried, 0) AS retried,
		coalesce(t.filter_errors, 0) AS filter_errors,
		-- What is all but nothing would underflow.
		CASE WHEN t.rate > 0.000001 AND h.age < 600 THEN t.rate * exp(-h.age / 60)
			ELSE 0 END AS rate,
		coalesce(t.breaker, 'closed') AS breaker,
		t.concurrency,
		coalesce(t.consecutive_failures, 0) AS consecutive_failures,
		coalesce(t.failures_since_success, 0) AS failures_since_success,
		t.opened_at,
		CASE WHEN h.state NOT IN ('disabled', 'fenced', 'paused') AND NOT h.sending_off
			THEN greatest(p.next_at,
				CASE WHEN t.not_before > statement_timestamp() THEN t.not_before END)
		END AS next_attempt,
		coalesce(p.pending, 0) AS pending,
		p.oldest_pending,
		t.last_success,
		t.last_failure,
		t.p50,
		t.p95
	FROM webhook_internal.subscription s
		LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
		LEFT JOIN (
			SELECT w.subscription_id, count(*) AS pending, min(w.queued_at) AS oldest_pending,
				min(w.next_at) AS next_at
			FROM webhook_internal.pending w
			GROUP BY w.subscription_id
		) p ON p.subscription_id = s.id
		CROSS JOIN LATERAL (
			SELECT CASE
					WHEN NOT s.enabled OR t.disabled_at IS NOT NULL
						AND (t.disabled_start_snapshot IS NULL OR t.disabled_start_snapshot::text = s.since::text) THEN 'disabled'
					WHEN s.home <> webhook_internal.home() THEN 'fenced'
					WHEN s.paused THEN 'paused'
					WHEN t.breaker <> 'closed' THEN 'open'
					WHEN t.concurrency = 1 THEN 'slow'
					ELSE 'active' END AS state,
				current_setting('webhook.enabled', true) = 'off' AS sending_off,
				greatest(extract(epoch FROM statement_timestamp() - t.saved_at)::float8, 0) AS age
		) h;

