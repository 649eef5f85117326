-- The log as a file.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until
-- one of: outcome: undelivered, delivered, retrying, failed, cancelled
-- flags: csv

\set rows webhook.log
\set filter log_all.sql
\set most 100000
SELECT l.logged_at, l.requested_at, l.subscription_id, l.event_id, l.event_type, l.subject,
	l.cause, l.attempt, l.method, l.endpoint, host(l.source_ip) AS source_ip, l.source_port,
	host(l.peer_ip) AS peer_ip, l.outcome, l.error_class, l.error, l.response_status,
	round((extract(epoch FROM l.duration) * 1000)::numeric, 1) AS ms,
	l.request_headers, l.request_body
FROM (
\ir ../part/own_rows.sql
	) l
