/*
 * Views: what is going on
 */

/*
 * The policy of the log. It is on the partitioned table alone: a leaf has no grants but
 * those of roles that dump it, and row-level security on what is dumped would end their
 * dumps.
 */
ALTER TABLE webhook.log ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON webhook.log
	USING ((SELECT webhook_internal.sees_all()) OR tenant = (SELECT webhook_internal.my_tenant()));
COMMENT ON POLICY own ON webhook.log IS 'a tenant sees the rows of its subscriptions';

CREATE VIEW webhook.pending_delivery WITH (security_barrier) AS
	SELECT p.subscription_id, p.tenant, nullif(p.subject, '') AS subject, p.event_id, p.event_type,
		p.cause, p.attempt, p.step, p.next_at, p.queued_at, p.created_at, p.position, p.id,
		f.event_id AS waits_for, f.queued_at AS waits_since,
		p.context ->> 'traceparent' AS traceparent, (p.context -> 'context')::jsonb AS context
	FROM webhook_internal.pending p
		LEFT JOIN LATERAL (
			SELECT w.event_id, w.queued_at, w.position, w.id
				FROM webhook_internal.pending w
				WHERE p.next_at IS NULL AND p.subject <> ''
					AND w.subscription_id = p.subscription_id AND w.subject = p.subject
				ORDER BY w.position, w.id
				LIMIT 1
		) f ON (f.position, f.id) <> (p.position, p.id)
	WHERE (SELECT webhook_internal.sees_all()) OR p.tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.pending_delivery IS 'waiting deliveries, and the delivery that each one waits for';
COMMENT ON COLUMN webhook.pending_delivery.subject IS 'subject of the event; null: it has none';
COMMENT ON COLUMN webhook.pending_delivery.waits_for IS 'Id of the event whose delivery this one waits behind, the first of the subject; webhook.skip() cancels it';
COMMENT ON COLUMN webhook.pending_delivery.waits_since IS 'when the delivery of waits_for began to wait';
COMMENT ON COLUMN webhook.pending_delivery.traceparent IS 'trace that caused the event, by webhook.traceparent; sent as a header';

-- What the view below may look up as whoever reads it. A view of two relations cannot be
-- written through, not even by its owner.
CREATE VIEW webhook_internal.subscription_id AS
	SELECT id FROM webhook_internal.subscription, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook_internal.subscription_id IS 'numbers of the subscriptions that the current user sees';

CREATE VIEW webhook_internal.pending_event AS
	SELECT subscription_id, subject, event_id
		FROM webhook_internal.pending, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook_internal.pending_event IS 'which events wait for which subscriptions that the current user sees';

/*
 * It is no barrier, which would keep an index from giving the order of the rows, and runs
 * as whoever reads it, so that the policy of the log applies.
 *
 * A view of two relations cannot be written through, not even by its owner. A time that
 * stands alone lets earlier leaves of the log be left out, a comparison of rows does not;
 * the subject lets the key of pending find the row. OFFSET 0 keeps what is looked up for a
 * row from becoming a join, for which all rows might be read before the first one is known.
 */
CREATE VIEW webhook.dead_letter WITH (security_invoker) AS
	SELECT l.subscription_id, l.event_id, l.id, l.event_type, l.subject, l.created_at,
		l.attempt, l.outcome, l.error_class, l.error, l.response_status, l.logged_at,
		l.position, l.data, l.tenant, l.traceparent, l.context
	FROM webhook.log l, (VALUES (0)) AS read_only
	WHERE l.outcome IN ('failed', 'cancelled')
		AND l.cause NOT IN ('ping', 'confirm', 'dismiss')
		AND EXISTS (
			SELECT
				FROM webhook_internal.subscription_id s
				WHERE s.id = l.subscription_id
				OFFSET 0)
		AND NOT EXISTS (
			SELECT
				FROM webhook.log n
				WHERE n.event_id = l.event_id AND n.subscription_id = l.subscription_id
					AND n.logged_at >= l.logged_at
					AND (n.logged_at, n.position) > (l.logged_at, l.position)
				OFFSET 0)
		AND NOT EXISTS (
			SELECT
				FROM webhook_internal.pending_event p
				WHERE p.subscription_id = l.subscription_id
					AND p.subject = coalesce(l.subject, '') COLLATE "C"
					AND p.event_id = l.event_id
				OFFSET 0);
COMMENT ON VIEW webhook.dead_letter IS 'deliveries that failed or were cancelled, until webhook.resend() or webhook.recover() repeats them, webhook.cancel() dismisses them, or the subscription is gone';
COMMENT ON COLUMN webhook.dead_letter.attempt IS 'number of attempts made';
COMMENT ON COLUMN webhook.dead_letter.outcome IS 'failed or cancelled';
COMMENT ON COLUMN webhook.dead_letter.response_status IS 'HTTP status of the last response; null: there was none';
COMMENT ON COLUMN webhook.dead_letter.logged_at IS 'when the delivery ended';
COMMENT ON COLUMN webhook.dead_letter.data IS 'Data of the event, as sent';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.audit WITH (security_barrier) AS
	SELECT at, role, outer_role, session_role, action, tenant, subscription_id, event_id, detail
		FROM webhook_internal.audit, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.audit IS 'what people have done with the functions of schema webhook, as long as the log is kept; credentials are redacted';

-- A view of two relations cannot be written through, not even by its owner.
CREATE VIEW webhook.stat_minute WITH (security_barrier) AS
	SELECT at, span, subscription_id, delivered, failed, retried, cancelled, pending, duration
		FROM webhook_internal.stat_minute, (VALUES (0)) AS read_only
		WHERE (SELECT webhook_internal.sees_all())
			OR subscription_id = ANY (ARRAY(
				SELECT s.id FROM webhook_internal.subscription s
					WHERE s.tenant = (SELECT webhook_internal.my_tenant())));
COMMENT ON VIEW webhook.stat_minute IS 'what became of deliveries, by minute for two days, then by hour as long as the log is kept; webhook.series() adds it up';

-- Within an element of the histogram durations are taken to be spread evenly.
CREATE FUNCTION webhook_internal.percentile(duration bigint[], part double precision)
	RETURNS interval
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	requests	bigint;
	all_requests bigint := 0;
	wanted		double precision;
	before		bigint := 0;
	low			double precision := 0;		-- ms
	high		double precision := 1;
BEGIN
	FOREACH requests IN ARRAY duration LOOP
		all_requests := all_requests + requests;
	END LOOP;
	wanted := all_requests * part;
	FOREACH requests IN ARRAY duration LOOP
		IF requests > 0 AND before + requests >= wanted THEN
			RETURN make_interval(
				secs => (low + (high - low) * (wanted - before) / requests) / 1000);
		END IF;
		before := before + requests;
		low := high;
		high := high * 2;
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION webhook_internal.percentile(bigint[], double precision) IS 'duration that this part of the requests of a histogram did not exceed, estimated; null: there was none';

CREATE FUNCTION webhook.series(
	since timestamptz,
	until timestamptz,
	step interval,
	subscription bigint DEFAULT NULL,
	OUT at timestamptz,
	OUT delivered bigint,
	OUT failed bigint,
	OUT retried bigint,
	OUT pending bigint,
	OUT p50 interval,
	OUT p95 interval
) RETURNS SETOF record
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.series(timestamptz, timestamptz, interval, bigint) IS 'what became of the deliveries of a subscription, or of all, in each step of a period; failed are those that ended so, retried attempts that failed; p50 and p95 are estimated';

CREATE FUNCTION webhook_internal.series(
	since timestamptz,
	until timestamptz,
	step interval,
	subscription bigint,
	OUT at timestamptz,
	OUT delivered bigint,
	OUT failed bigint,
	OUT retried bigint,
	OUT pending bigint,
	OUT p50 interval,
	OUT p95 interval
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	most		constant integer := 10000;
	spans		constant interval[] := '{1 min,1 h}';
	seconds		numeric := extract(epoch FROM series.step);
	sees_all	constant boolean := webhook_internal.caller_sees_all();
	own			bigint[];		-- subscriptions of the caller's tenant that were asked for
BEGIN
	IF NOT sees_all THEN
		own := ARRAY(
			SELECT s.id
				FROM webhook_internal.subscription s
				WHERE s.tenant = webhook_internal.caller_tenant()
					AND (series.subscription IS NULL OR s.id = series.subscription));
	END IF;
	PERFORM webhook_internal.require_not_null('since', series.since IS NULL,
		'Give the time at which the first step begins.');
	PERFORM webhook_internal.require_not_null('until', series.until IS NULL,
		'Give the time at which the last step ends.');
	PERFORM webhook_internal.require_not_null('step', series.step IS NULL,
		'Give the length of a step, for example ''5 min''.');
	IF NOT isfinite(series.since) OR series.since > series.until THEN
		RAISE EXCEPTION 'since must not be later than until'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'since',
				HINT = 'Give two times, the earlier one first.';
	END IF;
	IF seconds < 60 THEN
		RAISE EXCEPTION 'step must be at least one minute, not %', series.step
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'step',
				HINT = 'Numbers are kept by minute, and by hour after two days.';
	END IF;
	IF NOT isfinite(series.until)
		OR extract(epoch FROM series.until - series.since) > most * seconds
	THEN
		RAISE EXCEPTION 'too many steps'
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'step',
				DETAIL = format('The maximum is %s steps.', most),
				HINT = 'Give a longer step or a shorter period.';
	END IF;
	-- An interval cannot have so many seconds as a step can.
	seconds := least(seconds, greatest(60, extract(epoch FROM series.until - series.since)));

	RETURN QUERY
	-- Each of the two uses the index; IS NOT DISTINCT FROM would not.
	WITH rows_of_one AS (
		SELECT m.*
			FROM webhook_internal.stat_minute m
			WHERE series.subscription IS NULL AND m.subscription_id IS NULL AND sees_all
				AND m.span = ANY (spans) AND m.at >= series.since AND m.at < series.until
		UNION ALL
		SELECT m.*
			FROM webhook_internal.stat_minute m
			WHERE m.subscription_id = ANY (CASE WHEN sees_all THEN ARRAY[series.subscription]
					ELSE own END)
				AND m.span = ANY (spans) AND m.at >= series.since AND m.at < series.until
	), minutes AS (
		-- What waits for several subscriptions is the sum of theirs.
		SELECT m.at, m.delivered, m.failed, m.retried, m.duration,
				sum(m.pending) OVER (PARTITION BY m.at, m.span)::bigint AS pending
			FROM rows_of_one m
	), sums AS (
		SELECT floor(extract(epoch FROM m.at - series.since) / seconds)::integer AS n,
				sum(m.delivered)::bigint AS delivered, sum(m.failed)::bigint AS failed,
				sum(m.retried)::bigint AS retried, max(m.pending) AS pending,
				ARRAY[
					sum(m.duration[1]), sum(m.duration[2]), sum(m.duration[3]),
					sum(m.duration[4]), sum(m.duration[5]), sum(m.duration[6]),
					sum(m.duration[7]), sum(m.duration[8]), sum(m.duration[9]),
					sum(m.duration[10]), sum(m.duration[11]), sum(m.duration[12]),
					sum(m.duration[13]), sum(m.duration[14]), sum(m.duration[15]),
					sum(m.duration[16]), sum(m.duration[17]), sum(m.duration[18]),
					sum(m.duration[19]), sum(m.duration[20])
				] AS duration
			FROM minutes m
			GROUP BY 1
	)
	SELECT series.since + g.n * make_interval(secs => seconds::float8),
			coalesce(s.delivered, 0), coalesce(s.failed, 0), coalesce(s.retried, 0), s.pending,
			webhook_internal.percentile(s.duration, 0.5::float8),
			webhook_internal.percentile(s.duration, 0.95::float8)
		FROM generate_series(0,
				ceil(extract(epoch FROM series.until - series.since) / seconds)::integer - 1
			) AS g (n)
			LEFT JOIN sums s ON s.n = g.n
		ORDER BY g.n;
END
$$;
COMMENT ON FUNCTION webhook_internal.series(timestamptz, timestamptz, interval, bigint) IS 'what webhook.series() does, with the rights of the owner';

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
	OUT memory bigint,
	OUT blocked bigint,
	OUT restarts bigint,
	OUT unread bigint,
	OUT checkpoint_at timestamptz
) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'webhook_worker_state';
COMMENT ON FUNCTION webhook_internal.worker_state() IS 'the row of view webhook.stat_worker';

CREATE FUNCTION webhook_internal.pending_summary(
	count_all boolean DEFAULT true,
	oldest boolean DEFAULT true,
	due boolean DEFAULT true,
	OUT subscription_id bigint,
	OUT pending bigint,
	OUT oldest_pending timestamptz,
	OUT next_at timestamptz
) RETURNS SETOF record
	LANGUAGE c STABLE ROWS 1000 AS 'MODULE_PATHNAME', 'webhook_pending_summary';
COMMENT ON FUNCTION webhook_internal.pending_summary(boolean, boolean, boolean) IS 'of each subscription that has waiting deliveries: how many, since when, and when the next one is due; with count_all false nothing is counted or waited for, and what is not known is null; with oldest or due false the one or the other time is not looked up';

CREATE VIEW webhook.stat_pending WITH (security_barrier) AS
	SELECT subscription_id, pending, oldest_pending, next_at
		FROM webhook_internal.pending_summary()
		WHERE (SELECT webhook_internal.sees_all())
			OR subscription_id = ANY (ARRAY(
				SELECT s.id FROM webhook_internal.subscription s
					WHERE s.tenant = (SELECT webhook_internal.my_tenant())));
COMMENT ON VIEW webhook.stat_pending IS 'how much waits, of each subscription that deliveries wait of; also of one that is gone or disabled, until they are cancelled';
COMMENT ON COLUMN webhook.stat_pending.subscription_id IS 'number of the subscription';
COMMENT ON COLUMN webhook.stat_pending.pending IS 'number of its waiting deliveries, as the worker has counted them';
COMMENT ON COLUMN webhook.stat_pending.oldest_pending IS 'when the oldest of them began to wait';
COMMENT ON COLUMN webhook.stat_pending.next_at IS 'when the next one is due; null: none is';

-- What people have set is seen at once; the worker says the rest.
CREATE FUNCTION webhook_internal.state_of(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state,
	worker text,
	home text
) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE
		WHEN webhook_internal.disabled(s, t) THEN 'disabled'
		WHEN s.home <> state_of.home THEN 'fenced'
		WHEN s.paused THEN 'paused'
		WHEN worker = 'no worker' THEN 'no worker'
		WHEN t.state = 'off' THEN 'off'
		WHEN webhook_internal.unconfirmed(s, t) THEN 'unconfirmed'
		WHEN t.state IN ('open', 'waiting', 'slow') THEN t.state
		ELSE 'active' END;
COMMENT ON FUNCTION webhook_internal.state_of(webhook_internal.subscription, webhook_internal.subscription_state, text, text) IS 'state of a subscription, where the worker of its database has this state, and webhook_internal.home() is this one';

-- The state is named once: PostgreSQL puts the body in place of a call only then.
CREATE FUNCTION webhook_internal.reason_of(
	s webhook_internal.subscription,
	t webhook_internal.subscription_state,
	state text
) RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN CASE state
		WHEN 'disabled' THEN
			CASE WHEN s.enabled
				THEN concat('disabled by the worker, the last problem: ', t.reason)
				ELSE 'disabled by webhook.alter_subscription()' END
		WHEN 'fenced' THEN
			CASE WHEN starts_with(s.home, webhook_internal.home() || '/')
				THEN 'it is in a copy of the data directory until webhook.resume_database()'
				ELSE 'it belongs to another database until webhook.resume_database()' END
		WHEN 'paused' THEN 'paused by webhook.pause()'
		WHEN 'no worker' THEN 'no worker can be started in this database; see webhook.health()'
		WHEN 'off' THEN 'sending is switched off by webhook.enabled'
		WHEN 'unconfirmed' THEN
			CASE WHEN t.confirmation IS DISTINCT FROM s.confirmation OR t.confirm_attempts = 0
				THEN 'its endpoint has not been asked for the challenge yet'
				ELSE concat(
					format('its endpoint has not answered the challenge, after %s of 3 requests',
						t.confirm_attempts),
					', the last problem: ' || t.reason) END
		WHEN 'open' THEN
			format('%s failures in a row, the last: %s', t.consecutive_failures, t.reason)
		WHEN 'waiting' THEN
			CASE WHEN t.not_before > statement_timestamp()
				THEN concat('it waits, as Retry-After asks: ', t.reason)
				ELSE 'it has no secret to sign with; webhook.rotate_secret() gives it one' END
		WHEN 'slow' THEN
			coalesce('the last problem: ' || t.reason, 'a response took more than two seconds')
		ELSE 'the last problem: ' || t.reason
		END;
COMMENT ON FUNCTION webhook_internal.reason_of(webhook_internal.subscription, webhook_internal.subscription_state, text) IS 'why a subscription is in the state that it is in, or what its last problem was, but for the limits of its rate; null: there is none';

CREATE VIEW webhook.stat_subscription WITH (security_barrier) AS
	SELECT s.id AS subscription_id,
		s.tenant,
		webhook_internal.redacted_endpoint(s.endpoint) AS endpoint,
		h.state,
		CASE
			WHEN s.rate_limit <= coalesce(o.rate_limit, s.rate_limit)
				AND w.next_at <= statement_timestamp() AND h.state IN ('slow', 'active')
			THEN
				format('held back by its rate limit of %s requests a second', s.rate_limit)
			WHEN o.rate_limit IS NOT NULL
				AND w.next_at <= statement_timestamp() AND h.state IN ('slow', 'active')
			THEN
				format('held back by the rate limit of its tenant of %s requests a second',
					o.rate_limit)
			ELSE webhook_internal.reason_of(s, t, h.state)
		END AS reason,
		coalesce(t.delivered, 0) AS delivered,
		coalesce(t.failed, 0) AS failed,
		coalesce(t.retried, 0) AS retried,
		coalesce(t.filter_errors, 0) AS filter_errors,
		-- A rate that is all but zero would underflow.
		CASE WHEN t.rate > 0.000001 AND a.age < 600 THEN t.rate * exp(-a.age / 60)
			ELSE 0 END AS rate,
		coalesce(t.breaker, 'closed') AS breaker,
		t.concurrency,
		coalesce(t.consecutive_failures, 0) AS consecutive_failures,
		coalesce(t.failures_since_success, 0) AS failures_since_success,
		t.opened_at,
		CASE
			WHEN coalesce(w.next_at, t.not_before, t.confirm_next_at) IS NULL THEN NULL
			ELSE CASE h.state
				WHEN 'waiting' THEN
					CASE WHEN t.not_before > statement_timestamp()
						THEN greatest(w.next_at, t.not_before) END
				WHEN 'unconfirmed' THEN
					CASE WHEN t.confirmation = s.confirmation THEN t.confirm_next_at END
				WHEN 'disabled' THEN NULL
				WHEN 'fenced' THEN NULL
				WHEN 'paused' THEN NULL
				WHEN 'off' THEN NULL
				ELSE greatest(w.next_at,
					CASE WHEN t.not_before > statement_timestamp() THEN t.not_before END)
			END
		END AS next_attempt,
		coalesce(w.pending, 0) AS pending,
		f.oldest_pending,
		t.last_success,
		t.last_failure,
		t.p50,
		t.p95
	FROM webhook_internal.subscription s
		LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
		LEFT JOIN webhook_internal.tenant o ON o.name = s.tenant
		LEFT JOIN webhook_internal.pending_summary(oldest => false) w
			ON w.subscription_id = s.id
		-- A query that does not ask for the column leaves this out: one row a subscription.
		LEFT JOIN (
			SELECT p.subscription_id, min(p.oldest_pending) AS oldest_pending
				FROM webhook_internal.pending_summary(false, due => false) p
				GROUP BY p.subscription_id
		) f ON f.subscription_id = s.id
		-- OFFSET 0 keeps the functions from being called for each row.
		CROSS JOIN (
			SELECT x.state, webhook_internal.home() FROM webhook_internal.worker_state() x OFFSET 0
		) v (state, home)
		-- The state is worked out wherever it is named, so it is named last, and rarely.
		CROSS JOIN LATERAL (
			SELECT webhook_internal.state_of(s, t, v.state, v.home)
		) h (state)
		-- extract() would take its time over a numeric.
		CROSS JOIN LATERAL (
			SELECT greatest(date_part('epoch', statement_timestamp() - t.saved_at), 0)
		) a (age)
	WHERE (SELECT webhook_internal.sees_all()) OR s.tenant = (SELECT webhook_internal.my_tenant());
COMMENT ON VIEW webhook.stat_subscription IS 'state and statistics of each subscription, saved by the worker within seconds';
COMMENT ON COLUMN webhook.stat_subscription.tenant IS 'tenant that it belongs to; null: the platform itself';
COMMENT ON COLUMN webhook.stat_subscription.endpoint IS 'URL that events are posted to, values in its query redacted';
COMMENT ON COLUMN webhook.stat_subscription.state IS 'the first that applies: disabled (by people or by the worker), fenced, paused, no worker, off (webhook.enabled), unconfirmed (its endpoint has not answered the challenge), open (its breaker), waiting (for a secret, or for the end of a Retry-After), slow, active';
COMMENT ON COLUMN webhook.stat_subscription.reason IS 'why the subscription is not active, or what its last problem was; null: there is none';
COMMENT ON COLUMN webhook.stat_subscription.rate IS 'deliveries a second now, a moving average over about a minute';
COMMENT ON COLUMN webhook.stat_subscription.concurrency IS 'how many requests may be in flight; 1: the endpoint fails or is slow; null: the worker knows nothing of the endpoint yet';
COMMENT ON COLUMN webhook.stat_subscription.next_attempt IS 'when the next request is due; null: nothing waits, or the subscription may not send';
COMMENT ON COLUMN webhook.stat_subscription.pending IS 'number of waiting deliveries, as the worker has counted them';
COMMENT ON COLUMN webhook.stat_subscription.oldest_pending IS 'when the oldest waiting delivery began to wait';

CREATE VIEW webhook.stat_worker AS
	SELECT pid, state, started_at, ring_table, windows, events, attempts, delivered, retrying,
		failed, flushes, flush_errors, rotations, in_flight, queued, unflushed, memory, blocked,
		restarts, unread, checkpoint_at
	FROM webhook_internal.worker_state();
COMMENT ON VIEW webhook.stat_worker IS 'the worker of this database, and what it has done since it started';
COMMENT ON COLUMN webhook.stat_worker.pid IS 'process id; null: there is no worker';
COMMENT ON COLUMN webhook.stat_worker.state IS 'wanted, starting, running, stopped, blocked by DDL on the database, or no worker: none can be started here';
COMMENT ON COLUMN webhook.stat_worker.started_at IS 'when the worker started';
COMMENT ON COLUMN webhook.stat_worker.ring_table IS 'number of the ring table that is appended to: event_N';
COMMENT ON COLUMN webhook.stat_worker.windows IS 'number of windows of new events that were read';
COMMENT ON COLUMN webhook.stat_worker.events IS 'number of events read';
COMMENT ON COLUMN webhook.stat_worker.attempts IS 'number of requests made';
COMMENT ON COLUMN webhook.stat_worker.delivered IS 'number of deliveries that succeeded';
COMMENT ON COLUMN webhook.stat_worker.retrying IS 'number of attempts that failed and are retried';
COMMENT ON COLUMN webhook.stat_worker.failed IS 'number of deliveries that failed or were cancelled; webhook.stat_minute has the two apart';
COMMENT ON COLUMN webhook.stat_worker.flushes IS 'number of transactions that wrote outcomes';
COMMENT ON COLUMN webhook.stat_worker.flush_errors IS 'number of such transactions that failed';
COMMENT ON COLUMN webhook.stat_worker.rotations IS 'number of ring tables truncated';
COMMENT ON COLUMN webhook.stat_worker.in_flight IS 'requests in flight now';
COMMENT ON COLUMN webhook.stat_worker.queued IS 'deliveries in memory now that are not started';
COMMENT ON COLUMN webhook.stat_worker.unflushed IS 'outcomes in memory now that are not in the log';
COMMENT ON COLUMN webhook.stat_worker.memory IS 'bytes that these deliveries and outcomes use now';
COMMENT ON COLUMN webhook.stat_worker.blocked IS '1 while outcomes cannot be written, so that nothing is sent; else 0';
COMMENT ON COLUMN webhook.stat_worker.restarts IS 'number of starts of the worker, after the first one since the server started';
COMMENT ON COLUMN webhook.stat_worker.unread IS 'rows of the ring that it has not read, at most; null: no worker has run since the server started';
COMMENT ON COLUMN webhook.stat_worker.checkpoint_at IS 'when all that was done was last in the checkpoint, and reading worked';

-- All other columns of views have the comment of the column that they show.
DO $$
DECLARE
	c			record;
BEGIN
	FOR c IN
		SELECT v.view, a.attname, col_description(b.attrelid, b.attnum) AS description
			FROM (VALUES
				('webhook.event_type'::regclass, 'webhook_internal.event_type'::regclass),
				('webhook.subscription', 'webhook_internal.subscription'),
				('webhook.tenant', 'webhook_internal.tenant'),
				('webhook_internal.ring', 'webhook_internal.event_0'),
				('webhook.event', 'webhook_internal.event_0'),
				('webhook.pending_delivery', 'webhook_internal.pending'),
				('webhook.dead_letter', 'webhook.log'),
				('webhook.audit', 'webhook_internal.audit'),
				('webhook.stat_minute', 'webhook_internal.stat_minute'),
				('webhook.stat_subscription', 'webhook_internal.subscription_state')) AS v (view, base)
				JOIN pg_attribute a ON a.attrelid = v.view AND a.attnum > 0
				JOIN pg_attribute b ON b.attrelid = v.base AND b.attname = a.attname
			WHERE col_description(a.attrelid, a.attnum) IS NULL
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.view, c.attname, c.description);
	END LOOP;
END
$$;

CREATE FUNCTION webhook.drain(timeout interval DEFAULT '30 s') RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drain';
COMMENT ON FUNCTION webhook.drain(interval) IS 'wait until all committed events are sent, or cannot be sent now; false: the timeout came first';
