-- The log as a file.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until
-- flags: csv

SELECT l.logged_at, l.requested_at, l.subscription_id, l.event_id, l.event_type, l.subject,
	l.cause, l.attempt, l.method, l.endpoint, host(l.source_ip) AS source_ip, l.source_port,
	host(l.peer_ip) AS peer_ip, l.outcome, l.error_class, l.error, l.response_status,
	round((extract(epoch FROM l.duration) * 1000)::numeric, 1) AS ms,
	l.request_headers, l.request_body
FROM webhook.log l
WHERE
\ir ../part/log_indexed.sql
	AND
\ir ../part/log_rest.sql
ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
LIMIT 100000
