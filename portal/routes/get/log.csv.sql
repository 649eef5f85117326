-- The log as a file; a tenant's as in log.sql.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until
-- flags: csv

SELECT r.logged_at, r.requested_at, r.subscription_id, r.event_id, r.event_type, r.subject,
	r.cause, r.attempt, r.method, r.endpoint, host(r.source_ip) AS source_ip, r.source_port,
	host(r.peer_ip) AS peer_ip, r.outcome, r.error_class, r.error, r.response_status,
	round((extract(epoch FROM r.duration) * 1000)::numeric, 1) AS ms,
	r.request_headers, r.request_body
FROM ((SELECT l.*
	FROM (SELECT * FROM webhook.log WHERE (SELECT webhook.my_tenant()) IS NULL) l
\ir ../part/log_all.sql
	)
	UNION ALL
	SELECT o.*
	FROM webhook.subscription s
		CROSS JOIN LATERAL (
			SELECT l.*
			FROM (SELECT * FROM webhook.log x WHERE x.subscription_id = s.id) l
\ir ../part/log_all.sql
			) o
	WHERE (SELECT webhook.my_tenant()) IS NOT NULL) r
ORDER BY r.logged_at DESC, r.position DESC, r.subscription_id DESC
LIMIT 100000
