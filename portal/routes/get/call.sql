-- One call, as it is unfolded in the list.
--
-- parameters: event, subscription, position, at, attempt

\set text l.request_body
SELECT row_to_json(c)::text
FROM (SELECT l.method, l.endpoint, host(l.source_ip) AS source_ip, l.source_port,
		host(l.peer_ip) AS peer_ip, l.requested_at, l.request_headers,
\ir ../part/first.sql
		AS request_body,
		l.response_status, l.response_headers, l.response_body, l.error,
		round((extract(epoch FROM l.duration) * 1000)::numeric, 1) AS ms
	FROM webhook.log l
	WHERE l.event_id = :event::uuid
		AND l.subscription_id = :subscription::bigint
		AND l.position = :position::bigint
		AND l.logged_at = :at::timestamptz
		AND l.attempt = :attempt::int
	LIMIT 1) c
