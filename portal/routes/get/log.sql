-- A page of the log, newest first.
--
-- For what no index serves the log is read for at most two seconds; then each row that
-- comes is taken, and "found" tells that it is none.  A comparison of rows does not
-- exclude partitions, so the time stands alone, too.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	before_at, before_position, before_subscription

WITH p AS MATERIALIZED (
	(SELECT
\ir ../part/log_columns.sql
		,
\ir ../part/log_rest.sql
		AS found
	-- No index has the tenant: its rows are found through its subscriptions.
	FROM (SELECT * FROM webhook.log WHERE (SELECT webhook.my_tenant()) IS NULL) l
	WHERE
\ir ../part/log_indexed.sql
		AND (:before_at IS NULL
			OR l.logged_at <= :before_at::timestamptz
				AND (l.logged_at, l.position, l.subscription_id)
					< (:before_at::timestamptz, :before_position::bigint,
						:before_subscription::bigint))
		AND (
\ir ../part/log_rest.sql
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 51)
	UNION ALL
	SELECT o.*
	FROM webhook.subscription s
		CROSS JOIN LATERAL (
			SELECT
\ir ../part/log_columns.sql
		,
\ir ../part/log_rest.sql
		AS found
			FROM webhook.log l
			WHERE l.subscription_id = s.id AND
\ir ../part/log_indexed.sql
		AND (:before_at IS NULL
			OR l.logged_at <= :before_at::timestamptz
				AND (l.logged_at, l.position, l.subscription_id)
					< (:before_at::timestamptz, :before_position::bigint,
						:before_subscription::bigint))
		AND (
\ir ../part/log_rest.sql
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
			ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
			LIMIT 51) o
	WHERE (SELECT webhook.my_tenant()) IS NOT NULL
	ORDER BY logged_at DESC, position DESC, subscription_id DESC
	LIMIT 51),
n AS (
	SELECT p.*,
		row_number() OVER (ORDER BY logged_at DESC, position DESC, subscription_id DESC) AS n
	FROM p)
SELECT json_build_object(
	'rows', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT * FROM n WHERE n <= 50 AND found ORDER BY n) r),
	'stopped', (SELECT min(logged_at) FROM n WHERE NOT found),
	'before', (SELECT json_build_object('before_at', n.logged_at, 'before_position', n.position,
			'before_subscription', n.subscription_id)
		FROM n
		WHERE n.n = 50 AND EXISTS (SELECT FROM n m WHERE m.n = 51)))::text
