-- What came after a row of the log; a tenant's as in log.sql.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	after_at, after_position, after_subscription

SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM ((SELECT
\ir ../part/log_columns.sql
	FROM (SELECT * FROM webhook.log WHERE (SELECT webhook.my_tenant()) IS NULL) l
\ir ../part/log_after.sql
	)
	UNION ALL
	SELECT o.*
	FROM webhook.subscription s
		CROSS JOIN LATERAL (
			SELECT
\ir ../part/log_columns.sql
			FROM (SELECT * FROM webhook.log x WHERE x.subscription_id = s.id) l
\ir ../part/log_after.sql
			) o
	WHERE (SELECT webhook.my_tenant()) IS NOT NULL
	ORDER BY logged_at DESC, position DESC, subscription_id DESC
	LIMIT 50) r
