-- What came after a row of the log.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	after_at, after_position, after_subscription

SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM (SELECT
\ir ../part/log_columns.sql
	FROM webhook.log l
	WHERE
\ir ../part/log_indexed.sql
		AND
\ir ../part/log_rest.sql
		AND l.logged_at >= :after_at::timestamptz
		AND (l.logged_at, l.position, l.subscription_id)
			> (:after_at::timestamptz, :after_position::bigint, :after_subscription::bigint)
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 50) r
