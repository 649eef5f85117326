-- A page of the log, newest first.
--
-- For what no index serves the log is read for at most two seconds; then each row that
-- comes is taken, and "found" tells that it is none.  A comparison of rows does not
-- exclude partitions, so the time stands alone, too.
--
-- No index has the tenant: its rows are found through its subscriptions.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	before_at, before_position, before_subscription

WITH p AS MATERIALIZED (
	(SELECT
\ir ../part/log_columns.sql
		,
\ir ../part/log_rest.sql
		AS found
	FROM (SELECT * FROM webhook.log WHERE (SELECT webhook.my_tenant()) IS NULL) l
\ir ../part/log_page.sql
	)
	UNION ALL
	SELECT o.*
	FROM webhook.subscription s
		CROSS JOIN LATERAL (
			SELECT
\ir ../part/log_columns.sql
		,
\ir ../part/log_rest.sql
		AS found
			FROM (SELECT * FROM webhook.log x WHERE x.subscription_id = s.id) l
\ir ../part/log_page.sql
			) o
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
