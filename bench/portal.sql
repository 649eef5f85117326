--
-- What bench/portal looks at: a month of the log, of statistics and of the audit, and a
-- backlog. psql variables: log, rows of the log; subscriptions; pending, rows of each.
-- leaf.sql has been run before.
--
-- The log has a leaf already, which the worker has made. The others are made after it.
-- Three tenths of the rows are of today, when endpoints are down: all of them are tried
-- again. Of the others 2 of 100 were not answered well, and half of these have ended so.
--
CREATE FUNCTION pg_temp.fill_log(number bigint, subscriptions bigint) RETURNS void
	LANGUAGE plpgsql AS $$
DECLARE
	today		text := (SELECT tableoid::regclass::text FROM webhook.log LIMIT 1);
	midnight	timestamptz := date_trunc('day', now(), 'UTC');
	a_day		interval := '1 day';
	first		bigint := 1;
	since		timestamptz;
	leaf		text;
BEGIN
	FOR ago IN REVERSE 29 .. 1 LOOP
		since := midnight - ago * a_day;
		leaf := 'webhook_internal.log_' || to_char(since AT TIME ZONE 'UTC', 'YYYYMMDD');
		EXECUTE format('CREATE TABLE %s (LIKE %s)', leaf, today);
		PERFORM pg_temp.fill_leaf(leaf, since, since + a_day, first, number * 7 / 290,
			subscriptions, 100000, false);
		first := first + number * 7 / 290;
		PERFORM pg_temp.index_leaf(leaf, today);
		EXECUTE format('ALTER TABLE webhook.log ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
			leaf, since, since + a_day);
	END LOOP;
	PERFORM pg_temp.fill_leaf(today, midnight, now(), first, number * 3 / 10, subscriptions,
		100000, true);
END
$$;
SELECT pg_temp.fill_log(:log, :subscriptions);

-- A tenant's calls are older than all others of today.
INSERT INTO webhook.log SELECT (json_populate_record(x.row, json_build_object('tenant', 'acme', 'id', -n, 'position', 1,
		'subscription_id', :subscriptions + 1 + n % 2, 'event_id', md5('acme' || n)::uuid,
		'logged_at', date_trunc('day', now(), 'UTC') + n * interval '1 us',
		'outcome', CASE WHEN n % 3 = 0 THEN 'failed' ELSE 'delivered' END))).*
	FROM generate_series(1, 500) n, (SELECT l AS row FROM webhook.log l WHERE outcome = 'delivered' LIMIT 1) AS x;

-- Fifty subscriptions were busy each minute, two hundred each hour.
INSERT INTO webhook_internal.stat_minute (at, span, subscription_id, delivered, failed, retried,
		cancelled, pending, duration)
	SELECT date_trunc('minute', now()) - n * interval '1 min', interval '1 min', nullif(s, 0), 90, 1, 2, 0, 300,
			'{0,1,5,20,40,20,5,2,1,0,0,0,0,0,0,0,0,0,0,0}'::integer[]
		FROM generate_series(1, 2880) n, generate_series(0, 50) s
	UNION ALL
	SELECT date_trunc('hour', now()) - n * interval '1 h', interval '1 h', nullif(s, 0), 5400, 60, 120, 0, 300,
			'{0,60,300,1200,2400,1200,300,120,60,0,0,0,0,0,0,0,0,0,0,0}'::integer[]
		FROM generate_series(48, 720) n, generate_series(0, 200) s
	ON CONFLICT DO NOTHING;

INSERT INTO webhook_internal.audit (at, role, outer_role, session_role, action, subscription_id,
		detail)
	SELECT now() - n * interval '4 min', 'clerk', 'clerk', 'clerk',
			CASE n % 3 WHEN 0 THEN 'pause' WHEN 1 THEN 'resume' ELSE 'alter_subscription' END,
			1 + n % :subscriptions, '{"old": {"description": "a"}, "new": {"description": "b"}}'
		FROM generate_series(1, 10000) n;

-- Of three deliveries of a subject two wait behind the first.
INSERT INTO webhook_internal.pending (subscription_id, subject, position, id, txid, event_id, cause,
		attempt, step, next_at, queued_at, age_start, created_at, event_type, data)
	SELECT s, 'business_request/' || n / 3, n, n, '0', md5('waits' || n)::uuid, 'event',
			CASE n % 3 WHEN 0 THEN 1 ELSE 0 END, 0,
			CASE n % 3 WHEN 0 THEN now() + interval '1 day' + n * interval '1 s' END,
			now() - n * interval '1 s', now(), now(), 'App.BusinessRequestStatusChange',
			'{"BusinessRequestId": 1, "Operation": "UPDATE", "OldStatus": "Draft", "NewStatus": "Approved"}'
		FROM generate_series(1, :subscriptions) s, generate_series(1, :pending) n
	ON CONFLICT DO NOTHING;
