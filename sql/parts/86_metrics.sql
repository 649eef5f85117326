/*
 * Metrics: numbers for monitoring
 *
 * Prometheus' names and types. What the worker counts is in shared memory, so a scrape
 * costs it nothing; the rest is read from small tables and catalogs, never from the log,
 * and of the waiting deliveries the oldest one of each subscription, by an index. No
 * label has a value that people make up, so there are as many rows as there are below.
 *
 * A scrape waits for no lock on a table of the extension: what cannot be known at once is
 * not there, and webhook_tables_locked says so. So the view names no table, which a query
 * of it would lock. Nor is there, while the library is of another version, what only its
 * functions can tell of the tables.
 */

CREATE FUNCTION webhook_internal.worker_metrics(
	OUT metric text,
	OUT suffix text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE c ROWS 80 AS 'MODULE_PATHNAME', 'webhook_worker_metrics';
COMMENT ON FUNCTION webhook_internal.worker_metrics() IS 'the numbers that the worker counts, from shared memory; null: nobody knows it';

CREATE FUNCTION webhook_internal.relation_bytes(relation oid) RETURNS bigint
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_relation_bytes';
COMMENT ON FUNCTION webhook_internal.relation_bytes(oid) IS 'size of a table or an index alone, as of the last vacuum while it is locked';

CREATE FUNCTION webhook_internal.lock_to_read(relation oid) RETURNS boolean
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_lock_to_read';
COMMENT ON FUNCTION webhook_internal.lock_to_read(oid) IS 'lock a table and its indexes as a query does that reads it; false: that would have to wait, or it is gone';

-- The others are locked to be read until the transaction ends.
CREATE FUNCTION webhook_internal.locked_tables(names name[]) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY c.relname)
		FROM pg_class c
		WHERE c.relnamespace = 'webhook_internal'::regnamespace AND c.relname = ANY (names)
			AND NOT webhook_internal.lock_to_read(c.oid)
$$;
COMMENT ON FUNCTION webhook_internal.locked_tables(name[]) IS 'which of these tables somebody has locked, so that a query of them would wait; null: none';

-- With its indexes and what is stored out of line.
CREATE VIEW webhook_internal.table_size AS
	SELECT t.part, t.relation, sum(webhook_internal.relation_bytes(r.oid))::bigint AS bytes
		FROM (
			SELECT CASE WHEN c.relname ~ '^event_[0-9]$' THEN 'ring'
						WHEN c.relname = 'pending' THEN 'pending'
						WHEN c.relname ~ '^log_' THEN 'log' END AS part,
					c.oid::regclass AS relation, c.reltoastrelid AS toast
				FROM pg_class c
				WHERE c.relnamespace = 'webhook_internal'::regnamespace AND c.relkind = 'r'
					AND (c.relname ~ '^(event_[0-9]|pending)$'
						OR EXISTS (
							SELECT
								FROM pg_inherits i
								WHERE i.inhrelid = c.oid AND i.inhparent = 'webhook.log'::regclass))
			) t
			CROSS JOIN LATERAL (
				SELECT t.relation::oid AS oid
				UNION ALL
				SELECT t.toast WHERE t.toast <> 0::oid
				UNION ALL
				SELECT i.indexrelid FROM pg_index i WHERE i.indrelid IN (t.relation, t.toast)
			) r
		GROUP BY t.part, t.relation;
COMMENT ON VIEW webhook_internal.table_size IS 'size of each table of the ring, of each leaf of the log, and of the waiting deliveries';
COMMENT ON COLUMN webhook_internal.table_size.part IS 'ring, log or pending';
COMMENT ON COLUMN webhook_internal.table_size.relation IS 'the table';
COMMENT ON COLUMN webhook_internal.table_size.bytes IS 'its size, with its indexes and what is stored out of line';

-- Each number is left out while somebody has locked what it is read from.
CREATE FUNCTION webhook_internal.read_metrics(
	OUT metric text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 13 SET search_path = pg_catalog, pg_temp SET jit = off
AS $$
BEGIN
	RETURN QUERY SELECT 'webhook_tables_locked', '{}'::jsonb,
		num_nonnulls(webhook_internal.locked_tables(
			'{checkpoint,pending,pending_count,subscription,subscription_state}'))::float8;
	IF webhook_internal.locked_tables('{checkpoint}') IS NULL THEN
		RETURN QUERY SELECT 'webhook_checkpoint_age_seconds', '{}'::jsonb,
				extract(epoch FROM statement_timestamp() - max(c.saved_at))::float8
			FROM webhook_internal.checkpoint c;
	END IF;
	IF webhook_internal.locked_tables('{subscription,subscription_state}') IS NOT NULL THEN
		RETURN;
	END IF;
	RETURN QUERY
	WITH counted (state, subscriptions, disabled) AS MATERIALIZED (
		SELECT webhook_internal.state_of(s, t, w.state, webhook_internal.home()), count(*),
				count(*) FILTER (WHERE s.enabled AND webhook_internal.disabled(s, t))
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
				CROSS JOIN webhook_internal.worker_state() w
			GROUP BY 1
	)
	SELECT 'webhook_subscription_states', jsonb_build_object('state', x.state),
			coalesce(c.subscriptions, 0)::float8
		FROM unnest('{active,slow,open,waiting,paused,disabled,unconfirmed,fenced,off,no worker}'::text[]) AS x (state)
			LEFT JOIN counted c ON c.state = x.state
	UNION ALL
	SELECT 'webhook_subscriptions_disabled', '{}', coalesce(sum(c.disabled), 0)::float8
		FROM counted c;
END
$$;
COMMENT ON FUNCTION webhook_internal.read_metrics() IS 'what table_metrics() returns, with the rights of the owner';

CREATE FUNCTION webhook_internal.table_metrics(
	OUT metric text,
	OUT labels jsonb,
	OUT value double precision
) RETURNS SETOF record
	LANGUAGE c ROWS 13 AS 'MODULE_PATHNAME', 'webhook_table_metrics';
COMMENT ON FUNCTION webhook_internal.table_metrics() IS 'the numbers that are read from small tables; without those of tables that somebody has locked';

CREATE VIEW webhook.metrics AS
	WITH known (number, metric, type, help) AS (
		VALUES
		(1, 'webhook_up', 'gauge', '1 if the worker of this database is running, else 0'),
		(2, 'webhook_in_recovery', 'gauge', '1 on a standby, where no worker runs, else 0'),
		(3, 'webhook_sending', 'gauge', '0 while webhook.enabled is off, else 1'),
		(4, 'webhook_worker_start_time_seconds', 'gauge', 'when the worker started, as Unix time'),
		(5, 'webhook_worker_restarts_total', 'counter', 'starts of the worker, after the first one since the server started'),
		(6, 'webhook_events_total', 'counter', 'events that the worker has read'),
		(7, 'webhook_unread_events', 'gauge', 'rows of the ring that the worker has not read, at most; those that were rolled back or are not committed may count for a second'),
		(8, 'webhook_attempts_total', 'counter', 'rows of the log, by outcome: attempts, and deliveries that ended without one'),
		(9, 'webhook_attempts_failed_total', 'counter', 'rows of the log that have an error class, by that; those from too_old on are of deliveries that ended without an attempt'),
		(10, 'webhook_requests_in_flight', 'gauge', 'requests under way'),
		(11, 'webhook_deliveries_queued', 'gauge', 'deliveries in the memory of the worker that are not started'),
		(12, 'webhook_deliveries_pending', 'gauge', 'deliveries that wait in webhook_internal.pending, as the worker has counted them'),
		(13, 'webhook_oldest_pending_seconds', 'gauge', 'how long the oldest of these has been waiting; 0: none is'),
		(14, 'webhook_results_unwritten', 'gauge', 'results in the memory of the worker that are not in the log'),
		(15, 'webhook_delivery_latency_seconds', 'histogram', 'time from created_at of an event to the end of the 2xx response, retries and the rest of the transaction that wrote it included; without replays'),
		(16, 'webhook_request_duration_seconds', 'histogram', 'duration of requests, whatever became of them'),
		(17, 'webhook_subscription_states', 'gauge', 'number of subscriptions in each state of webhook.stat_subscription'),
		(18, 'webhook_subscriptions_disabled', 'gauge', 'number of subscriptions that the worker has disabled'),
		(19, 'webhook_flush_errors_total', 'counter', 'transactions that could not write results'),
		(20, 'webhook_log_writes_blocked', 'gauge', '1 while results cannot be written, so that nothing is sent; else 0'),
		(21, 'webhook_checkpoint_age_seconds', 'gauge', 'time since all that was done was in the checkpoint, and reading worked'),
		(22, 'webhook_memory_bytes', 'gauge', 'memory of deliveries and results in the worker'),
		(23, 'webhook_ring_bytes', 'gauge', 'size of the ring, with its indexes'),
		(24, 'webhook_log_bytes', 'gauge', 'size of the log, with its indexes'),
		(25, 'webhook_pending_bytes', 'gauge', 'size of webhook_internal.pending, with its indexes'),
		(26, 'webhook_tables_locked', 'gauge', '1 while somebody has locked tables that numbers are read from, which are left out then; else 0')
	), size (ring, log, pending) AS (
		SELECT coalesce(sum(t.bytes) FILTER (WHERE t.part = 'ring'), 0),
				coalesce(sum(t.bytes) FILTER (WHERE t.part = 'log'), 0),
				coalesce(sum(t.bytes) FILTER (WHERE t.part = 'pending'), 0)
			FROM webhook_internal.table_size t
	), waiting (pending, oldest) AS (
		-- Where nobody knows there is one row, of nulls.
		SELECT CASE WHEN count(*) = 0 THEN 0 ELSE sum(p.pending) END,
				CASE WHEN count(*) = 0 OR min(p.oldest_pending) > statement_timestamp() THEN 0
					ELSE extract(epoch FROM statement_timestamp() - min(p.oldest_pending)) END
			FROM webhook_internal.pending_summary(false, due => false) p
	), tables (metric, labels, value) AS MATERIALIZED (
		SELECT t.metric, t.labels, t.value FROM webhook_internal.table_metrics() t
	), numbers (metric, suffix, labels, value) AS (
		-- The table has the age of the checkpoint if no worker has run since the server started.
		SELECT w.metric, w.suffix, w.labels, coalesce(w.value, t.value)
			FROM webhook_internal.worker_metrics() w
				LEFT JOIN tables t ON t.metric = w.metric
		UNION ALL
		SELECT t.metric, '', t.labels, t.value
			FROM tables t
			WHERE t.metric <> 'webhook_checkpoint_age_seconds'
		UNION ALL
		SELECT n.metric, '', '{}', n.value
			FROM size z, waiting w,
				LATERAL (VALUES
					('webhook_sending', CASE WHEN current_setting('webhook.enabled', true) = 'off' THEN 0 ELSE 1 END),
					('webhook_deliveries_pending', w.pending),
					('webhook_oldest_pending_seconds', w.oldest),
					('webhook_ring_bytes', z.ring),
					('webhook_log_bytes', z.log),
					('webhook_pending_bytes', z.pending)) AS n (metric, value)
	)
	SELECT n.metric || n.suffix AS name, n.labels, n.value::double precision AS value,
			k.type, k.help
		FROM numbers n
			JOIN known k ON k.metric = n.metric
		WHERE n.value IS NOT NULL
		ORDER BY k.number, n.suffix, n.labels ->> 'le' = '+Inf',
			nullif(n.labels ->> 'le', '+Inf')::numeric, n.labels;
COMMENT ON VIEW webhook.metrics IS 'numbers of this database for monitoring, with the names and types of Prometheus; see monitoring/';
COMMENT ON COLUMN webhook.metrics.name IS 'name of the metric; of a histogram with _bucket, _sum or _count behind it';
COMMENT ON COLUMN webhook.metrics.labels IS 'names and values of its labels';
COMMENT ON COLUMN webhook.metrics.value IS 'the number now; totals begin at 0 when the server starts';
COMMENT ON COLUMN webhook.metrics.type IS 'counter, gauge or histogram';
COMMENT ON COLUMN webhook.metrics.help IS 'what it means';
