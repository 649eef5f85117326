-- What waits.
--
-- Without a subscription: those that something waits for.  Of a subscription: what is due
-- next, which the index on next_at has in order.  Of a subject: all that waits for it, in
-- the order in which it will be sent.
--
-- parameters: subscription, subject, after_at, after_id

SELECT json_build_object('rows', CASE
	WHEN :subscription IS NULL THEN (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT t.subscription_id, t.endpoint, t.state, t.reason, t.pending,
				t.oldest_pending, t.next_attempt
			FROM webhook.stat_subscription t
			WHERE t.pending > 0
			ORDER BY t.pending DESC, t.subscription_id
			LIMIT 200) r)
	WHEN :subject IS NULL THEN (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT p.subject, p.event_id, p.event_type, p.cause, p.attempt, p.step, p.next_at,
				p.queued_at, p.created_at, p.position, p.id
			FROM webhook.pending_delivery p
			WHERE p.subscription_id = :subscription::bigint
				AND p.next_at IS NOT NULL
				AND (:after_at IS NULL
					OR p.next_at >= :after_at::timestamptz
						AND (p.next_at, p.id) > (:after_at::timestamptz, :after_id::bigint))
			ORDER BY p.next_at, p.id
			LIMIT 51) r)
	ELSE (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT p.subject, p.event_id, p.event_type, p.cause, p.attempt, p.step, p.next_at,
				p.queued_at, p.created_at, p.position, p.id, p.waits_for
			FROM webhook.pending_delivery p
			WHERE p.subscription_id = :subscription::bigint AND p.subject = :subject
			ORDER BY p.position, p.id
			LIMIT 200) r)
	END)::text
