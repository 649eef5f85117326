-- A page of the log, newest first.
--
-- Of the rows that come after the search was given up, "found" tells that they are none.
--
-- parameters: subscription, outcome, event_type, subject, event, status, since, until,
-- 	before_at, before_position, before_subscription
-- one of: outcome: undelivered, delivered, retrying, failed, cancelled

\set rows webhook.log
\set filter log_page.sql
\set most 51
WITH n AS MATERIALIZED (
	SELECT
\ir ../part/log_columns.sql
		,
\ir ../part/log_rest.sql
		AS found, row_number() OVER () AS n
	FROM (
\ir ../part/own_rows.sql
		) l)
SELECT json_build_object(
	'rows', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT * FROM n WHERE n <= 50 AND found ORDER BY n) r),
	'stopped', (SELECT min(logged_at) FROM n WHERE NOT found),
	'before', (SELECT json_build_object('before_at', n.logged_at, 'before_position', n.position,
			'before_subscription', n.subscription_id)
		FROM n
		WHERE n.n = 50 AND EXISTS (SELECT FROM n m WHERE m.n = 51)))::text
