/*
 * health(): one row a check
 *
 * A check is wrong if somebody has to look or to do something. What heals by
 * itself, such as a retry that waits, is not. Each check reads little: the
 * beginning of the ring behind the checkpoint, and the first waiting delivery of
 * each subscription.
 *
 * Nothing waits for a lock. While somebody has locked a table that is read, the checks
 * that read tables are left out, and one says so.
 */

CREATE FUNCTION webhook_internal.wanted_worker_processes() RETURNS integer
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_wanted_worker_processes';
COMMENT ON FUNCTION webhook_internal.wanted_worker_processes() IS 'least value of max_worker_processes with which each database that is known to need a worker has one; 0: the present value';

CREATE FUNCTION webhook.health(
	OUT check_name text,
	OUT ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE c STABLE ROWS 17 AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.health() IS 'what somebody has to look at: one row a check, wrong ones first';

CREATE FUNCTION webhook_internal.server_checks(
	OUT number integer,
	OUT name text,
	OUT is_ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	worker		webhook.stat_worker;
	sending		boolean := current_setting('webhook.enabled', true) IS DISTINCT FROM 'off';
	wanted		integer := webhook_internal.wanted_worker_processes();
	silent		text;			-- triggers of our own that are not enabled as they have to be
	policies	text;			-- of the log
BEGIN
	SELECT w.* INTO worker FROM webhook.stat_worker w;
	SELECT string_agg(format('%s on %s', t.tgname, t.tgrelid::regclass), ', ' ORDER BY t.tgname, t.tgrelid)
		INTO silent
		FROM pg_trigger t
			JOIN pg_class c ON c.oid = t.tgrelid
		WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
			AND NOT t.tgisinternal
			AND t.tgenabled <> CASE t.tgname WHEN 'drop_replicated' THEN 'R' ELSE 'A' END;
	SELECT string_agg(p.polname, ', ' ORDER BY p.polname)
		INTO policies
		FROM pg_class c
			JOIN pg_policy p ON p.polrelid = c.oid AND p.polpermissive
		WHERE c.oid = 'webhook.log'::regclass AND c.relrowsecurity;

	RETURN QUERY
	SELECT 1, 'worker', worker.state = 'running',
			CASE worker.state
				WHEN 'running' THEN format('Process %s has been running since %s.', worker.pid, worker.started_at)
				ELSE format('The worker is not running; its state is "%s".', worker.state) END,
			CASE
				WHEN worker.state = 'running' THEN NULL
				WHEN pg_is_in_recovery() THEN 'Nothing is sent from a standby.'
				WHEN wanted > 0 THEN format('Raise max_worker_processes to at least %s, and restart the server.', wanted)
				ELSE 'See the server log; shared_preload_libraries must contain webhook.' END
	UNION ALL
	SELECT 2, 'sending', sending,
			CASE WHEN sending THEN 'Sending is on.' ELSE 'Sending is off; events wait.' END,
			CASE WHEN NOT sending THEN 'Set webhook.enabled to on.' END
	UNION ALL
	SELECT 10, 'log_writes', worker.blocked = 0,
			CASE WHEN worker.blocked = 0
				THEN format('Results are written; %s transactions have failed since the worker started.', worker.flush_errors)
				ELSE format('Results cannot be written; %s wait, and nothing is sent.', worker.unflushed) END,
			CASE WHEN worker.blocked <> 0 THEN
				'See the server log: the disk may be full, or webhook.log locked.' END
	UNION ALL
	SELECT 14, 'worker_slots', wanted = 0,
			CASE WHEN wanted = 0 THEN 'Each database that needs a worker has one.'
				ELSE 'A database has no worker, because no background worker slot is free.' END,
			CASE WHEN wanted > 0 THEN
				format('Raise max_worker_processes to at least %s, and restart the server.', wanted) END
	UNION ALL
	SELECT 15, 'triggers', silent IS NULL,
			CASE WHEN silent IS NULL THEN 'The triggers of the extension''s tables are enabled as they have to be.'
				ELSE left('Not enabled as they have to be: ' || silent, 500) END,
			CASE WHEN silent IS NOT NULL THEN
				'A restore with --disable-triggers may have changed them. For each of these tables run ALTER TABLE ... ENABLE REPLICA TRIGGER drop_replicated, or ENABLE ALWAYS TRIGGER for the others.' END
	UNION ALL
	SELECT 16, 'row_security', policies IS NOT DISTINCT FROM 'own',
			CASE WHEN policies IS NULL THEN 'The log is without row-level security, or without a policy.'
				WHEN policies = 'own' THEN 'A tenant sees its own rows of the log.'
				ELSE left('The policies of the log are ' || policies, 500) END,
			CASE WHEN policies IS DISTINCT FROM 'own' THEN
				'A tenant may see rows of others, or none. Enable row-level security of webhook.log, with policy own alone, as the extension has created it.' END;
END
$$;
COMMENT ON FUNCTION webhook_internal.server_checks() IS 'the checks of webhook.health() that read no table of the extension';

CREATE FUNCTION webhook_internal.table_checks(
	OUT number integer,
	OUT name text,
	OUT is_ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- What is due and has waited so long is stuck.
	patience	constant interval := '5 min';
	now			constant timestamptz := statement_timestamp();
	sending		boolean := current_setting('webhook.enabled', true) IS DISTINCT FROM 'off';
	kept		interval := current_setting('webhook.event_retention', true)::interval;
	logged		interval := current_setting('webhook.log_retention', true)::interval;
	locked		text := webhook_internal.locked_tables(	-- tables that cannot be read now
					'{checkpoint,event_0,event_1,event_2,event_3,pending,pending_count,subscription,subscription_state,tenant}');
	done		pg_snapshot;	-- the checkpoint; without one nothing is read
	part		pg_snapshot;	-- the window of which rows up to "upto" are done, too; null: none
	upto		bigint;
	ring_table	name;
	unread		timestamptz;	-- when the first row of the ring that is not done was written
	oldest		timestamptz;	-- when the first row of the ring was written
	leaf		timestamptz;	-- where the oldest leaf of the log ends
	newest		timestamptz;	-- where its newest leaf begins
	drops		boolean;		-- the worker drops old leaves
BEGIN
	IF locked IS NOT NULL THEN
		RETURN QUERY SELECT 17, 'locks', false,
			format('Locked: %s. The other checks of tables are left out.', locked),
			'See in pg_locks who has an AccessExclusiveLock.';
		RETURN;
	END IF;

	SELECT c.snapshot, c.partial_snapshot, c.upto_id
		INTO done, part, upto
		FROM webhook_internal.checkpoint c
		ORDER BY c.worker
		LIMIT 1;
	done := coalesce(done, '3:3:');
	FOREACH ring_table IN ARRAY ARRAY['event_0', 'event_1', 'event_2', 'event_3'] LOOP
		EXECUTE format('
			SELECT least($1, (SELECT e.created_at
				FROM webhook_internal.%I e
				WHERE e.txid >= pg_snapshot_xmin($2)
					AND (pg_visible_in_snapshot(e.txid, $2)
						OR e.id <= $4 AND pg_visible_in_snapshot(e.txid, $3)) IS NOT TRUE
				ORDER BY e.txid, e.id
				LIMIT 1))', ring_table)
			INTO unread
			USING unread, done, part, upto;
	END LOOP;
	SELECT min(r.created_at)
		INTO oldest
		FROM (
			(SELECT created_at FROM webhook_internal.event_0 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_1 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_2 LIMIT 1) UNION ALL
			(SELECT created_at FROM webhook_internal.event_3 LIMIT 1)
		) r;
	SELECT min(b.bounds[2]::timestamptz), max(b.bounds[1]::timestamptz)
		INTO leaf, newest
		FROM pg_inherits i
			JOIN pg_class c ON c.oid = i.inhrelid AND c.relname ~ '^log_[0-9]{8}$'
			CROSS JOIN LATERAL regexp_match(
				CASE WHEN webhook_internal.lock_to_read(c.oid)
					THEN pg_get_expr(c.relpartbound, c.oid) END,
				$r$FROM \('([^']*)'\) TO \('([^']*)'\)$r$) AS b (bounds)
		WHERE i.inhparent = 'webhook.log'::regclass;

	-- What a copy has brought stays, and what a restore has, which loads subscriptions last.
	drops := NOT EXISTS (
			SELECT FROM webhook_internal.subscription s WHERE s.home <> webhook_internal.home())
		AND ((SELECT q.is_called FROM webhook_internal.subscription_id_seq q)
			OR EXISTS (SELECT FROM webhook_internal.subscription));

	RETURN QUERY
	WITH size AS MATERIALIZED (
		SELECT t.part, sum(t.bytes) AS bytes, count(t.bytes) AS tables
			FROM webhook_internal.table_size t
			GROUP BY t.part
	), stat AS MATERIALIZED (
		SELECT s.id AS subscription_id, h.state, s.enabled, s.challenged_at,
				webhook_internal.reason_of(s, t, h.state) AS reason,
				CASE WHEN s.rate_limit IS NULL AND w.next_at IS NOT NULL
						AND h.state IN ('active', 'slow')
					THEN greatest(w.next_at, CASE WHEN t.not_before > now THEN t.not_before END)
					END AS due
			FROM webhook_internal.subscription s
				LEFT JOIN webhook_internal.subscription_state t ON t.subscription_id = s.id
				LEFT JOIN webhook_internal.pending_summary(false, oldest => false) w
					ON w.subscription_id = s.id
				CROSS JOIN (
					SELECT x.state, webhook_internal.home()
						FROM webhook_internal.worker_state() x OFFSET 0
				) v (state, home)
				CROSS JOIN LATERAL (
					SELECT webhook_internal.state_of(s, t, v.state, v.home)
				) h (state)
	), subscription AS (
		SELECT s.state, string_agg(s.subscription_id::text, ', ' ORDER BY s.subscription_id) AS ids,
				count(*) AS n, string_agg(DISTINCT s.reason, '; ') AS reasons
			FROM stat s
			WHERE s.state IN ('open', 'fenced') OR s.state = 'disabled' AND s.enabled
				OR s.state = 'unconfirmed' AND s.challenged_at < now - interval '1 hour'
			GROUP BY s.state
	), listed AS (
		SELECT c.name, c.state, c.hint, s.ids, s.n, s.reasons
			FROM (VALUES
				('breakers', 'open', 'Repair the endpoint; it is tried again by itself. See webhook.stat_subscription and webhook.log.'),
				('disabled', 'disabled', 'Repair the endpoint, then call webhook.alter_subscription(id, enabled => true); webhook.recover() sends what was missed.'),
				('fenced', 'fenced', 'If this database is to send, call webhook.resume_database().'),
				('unconfirmed', 'unconfirmed', 'Repair the endpoint, and set it again with webhook.alter_subscription(id, endpoint => ...); or, if it is known, call webhook.confirm(id).')
				) AS c (name, state, hint)
				LEFT JOIN subscription s ON s.state = c.state
	)
	SELECT 3, 'ring_read', unread IS NULL OR unread > now - patience,
			CASE WHEN unread IS NULL THEN 'All that was committed is read.'
				ELSE format('The oldest event that is not read, or in memory, was written at %s.', unread) END,
			CASE WHEN unread <= now - patience THEN
				'See check "worker", the server log, and locks on tables of schema webhook_internal.' END
	UNION ALL
	SELECT 4, 'deliveries', d.due IS NULL OR d.due > now - patience OR NOT sending,
			CASE WHEN d.due IS NULL OR d.due > now THEN 'No delivery is overdue.'
				ELSE format('A delivery has been due since %s.', d.due) END,
			CASE WHEN d.due <= now - patience AND sending THEN
				'More is to be sent than the limits allow: see webhook.max_in_flight, max_in_flight of the subscriptions, webhook.stat_worker.' END
		FROM (SELECT min(s.due) AS due FROM stat s) d
	UNION ALL
	SELECT CASE l.name WHEN 'breakers' THEN 5 WHEN 'disabled' THEN 6 WHEN 'fenced' THEN 7 ELSE 8 END, l.name, l.n IS NULL,
			CASE WHEN l.n IS NULL AND l.state = 'unconfirmed' THEN 'No subscription has been unconfirmed for an hour.'
				WHEN l.n IS NULL THEN format('No subscription is %s.', l.state)
				ELSE format('%s: subscription %s (%s)', l.state, left(l.ids, 200), left(l.reasons, 500)) END,
			CASE WHEN l.n IS NOT NULL THEN l.hint END
		FROM listed l
	UNION ALL
	SELECT 9, 'watches', w.n = 0,
			CASE WHEN w.n = 0 THEN 'Each watched table makes its events.'
				ELSE left(w.problems, 500) END,
			CASE WHEN w.n > 0 THEN 'See webhook.watched_table.' END
		FROM (
			SELECT count(*) AS n, string_agg(format('%s: %s', t.relation, t.problem), '; ' ORDER BY t.relation::text) AS problems
				FROM webhook.watched_table t
				WHERE t.problem IS NOT NULL
		) w
	UNION ALL
	SELECT 11, 'ring', r.is_ok,
			format(CASE WHEN oldest IS NULL THEN 'The ring has %s and no row.'
				ELSE 'The ring has %s; its oldest row was written at %s.' END, pg_size_pretty(r.size), oldest),
			CASE WHEN NOT r.is_ok THEN
				'An open or prepared transaction that has written events, or a lock on a table webhook_internal.event_N, keeps that table from being emptied.' END
		FROM (
			SELECT coalesce(sum(t.bytes), 0) AS size,
					oldest IS NULL OR oldest > now - 2 * kept - interval '1 hour' AS is_ok
				FROM size t
				WHERE t.part = 'ring'
		) r
	UNION ALL
	SELECT 12, 'log', l.is_ok,
			format(CASE WHEN leaf IS NULL THEN 'The log has %s in %s leaves.'
				ELSE 'The log has %s in %s leaves; the oldest day ends at %s.' END, pg_size_pretty(l.size), l.n, leaf),
			CASE WHEN NOT l.is_ok THEN
				'See the server log; a lock on webhook.log keeps a leaf from being dropped.' END
		FROM (
			SELECT coalesce(sum(t.bytes), 0) AS size, coalesce(sum(t.tables), 0) AS n,
					-- The worker keeps a leaf, and a day more, for what the ring has.
					leaf IS NULL OR NOT drops OR leaf > least(now - logged, oldest - interval '1 day')
						- interval '2 days' AS is_ok
				FROM size t
				WHERE t.part = 'log'
		) l
	UNION ALL
	SELECT 13, 'clock', newest IS NULL OR newest < now + interval '1 day',
			CASE WHEN newest >= now + interval '1 day'
				THEN format('The log was written by a clock that was ahead, up to %s.', newest)
				ELSE 'The log is not ahead of the clock.' END,
			CASE WHEN newest >= now + interval '1 day' THEN
				'See the clock of the machine. If it is right now, rows of the log bear a time to come until then; detach those leaves.' END
	UNION ALL
	SELECT 17, 'locks', true, 'No table that is read here is locked.', NULL;
END
$$;
COMMENT ON FUNCTION webhook_internal.table_checks() IS 'the checks of webhook.health() that read tables of the extension; while one is locked, one row that says so';

CREATE FUNCTION webhook_internal.health(
	OUT check_name text,
	OUT ok boolean,
	OUT detail text,
	OUT hint text
) RETURNS SETOF record
	LANGUAGE sql STABLE ROWS 17
	SET search_path = pg_catalog, pg_temp SET jit = off
	-- The bounds of leaves are read as text.
	SET datestyle = 'ISO' SET timezone = 'UTC'
AS $$
	SELECT c.name, coalesce(c.is_ok, false), c.detail, c.hint
		FROM (
			SELECT * FROM webhook_internal.server_checks()
			UNION ALL
			SELECT * FROM webhook_internal.table_checks()
		) c
		ORDER BY coalesce(c.is_ok, false), c.number
$$;
COMMENT ON FUNCTION webhook_internal.health() IS 'what webhook.health() does, with the rights of the owner';
