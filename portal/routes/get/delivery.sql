-- What became of one event on its way to one subscription, with the newest attempts.  The
-- newest one has its request and response in "last", those of others are calls of "call": a
-- hundred of them could be a hundred megabytes.
--
-- parameters: event, subscription

\set text l.request_body
SELECT json_build_object(
	'explain', webhook.explain(:event::uuid, :subscription::bigint),
	'waiting', (SELECT row_to_json(w)
		FROM (SELECT p.subject, p.event_type, p.cause, p.attempt, p.next_at, p.queued_at,
				p.waits_for
			FROM webhook.pending_delivery p
			WHERE p.subscription_id = :subscription::bigint AND p.event_id = :event::uuid
			ORDER BY p.position
			LIMIT 1) w),
	'subscription', (SELECT json_build_object('id', b.id, 'endpoint', b.endpoint,
			'description', b.description)
		FROM webhook.subscription b
		WHERE b.id = :subscription::bigint),
	'attempts', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT
\ir ../part/log_columns.sql
				, l.endpoint, l.source_port, host(l.peer_ip) AS peer_ip, l.created_at
			FROM webhook.log l
			WHERE l.event_id = :event::uuid AND l.subscription_id = :subscription::bigint
			ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
			LIMIT 100) r),
	'last', (SELECT row_to_json(r)
		FROM (SELECT l.request_headers, l.response_headers, l.response_body,
\ir ../part/first.sql
			AS request_body
			FROM webhook.log l
			WHERE l.event_id = :event::uuid AND l.subscription_id = :subscription::bigint
			ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
			LIMIT 1) r))::text
