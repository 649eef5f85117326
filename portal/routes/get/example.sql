-- The last event of a type: as it was sent, or, if it was not sent yet, from the ring.
--
-- The log is searched for two seconds.
--
-- parameters: event_type

WITH c AS MATERIALIZED (
	SELECT l.event_id, l.subject, l.created_at, l.request_body, l.request_headers,
		l.event_type = :event_type AS found
	FROM webhook.log l
	WHERE l.request_body IS NOT NULL
		AND (l.event_type = :event_type
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 1)
SELECT json_build_object(
	'call', (SELECT row_to_json(c) FROM c WHERE c.found),
	'event', (SELECT row_to_json(e)
		FROM (SELECT v.event_id, v.subject, v.created_at, v.data
			FROM webhook.event v
			WHERE v.event_type = :event_type AND NOT EXISTS (SELECT FROM c WHERE c.found)
			LIMIT 1) e))::text
