-- Deliveries that failed, newest first.
--
-- parameters: subscription, since, until, before_at, before_position, before_subscription

\set rows webhook.dead_letter
\set filter failed_page.sql
\set most 51
SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM (SELECT l.subscription_id, l.event_id, l.event_type, l.subject, l.created_at, l.attempt,
		l.outcome, l.error_class, l.error, l.response_status, l.logged_at, l.position
	FROM (
\ir ../part/own_rows.sql
		) l) r
