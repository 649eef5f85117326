-- What came after a row of the log.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	after_at, after_position, after_subscription
-- one of: outcome: undelivered, delivered, retrying, failed, cancelled

\set rows webhook.log
\set filter log_after.sql
\set most 50
SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM (SELECT
\ir ../part/log_columns.sql
	FROM (
\ir ../part/own_rows.sql
		) l) r
