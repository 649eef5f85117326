-- Deliveries that failed, newest first.
--
-- parameters: subscription, since, until, before_at, before_position, before_subscription

SELECT json_build_object('rows', coalesce(json_agg(r), '[]'))::text
FROM (SELECT d.subscription_id, d.event_id, d.event_type, d.subject, d.created_at, d.attempt,
		d.outcome, d.error_class, d.error, d.response_status, d.logged_at, d.position
	FROM webhook.dead_letter d
	WHERE (:subscription::bigint IS NULL OR d.subscription_id = :subscription::bigint)
		AND (:since IS NULL OR d.logged_at >= :since::timestamptz)
		AND (:until IS NULL OR d.logged_at < :until::timestamptz)
		AND (:before_at IS NULL
			OR d.logged_at <= :before_at::timestamptz
				AND (d.logged_at, d.position, d.subscription_id)
					< (:before_at::timestamptz, :before_position::bigint,
						:before_subscription::bigint))
	ORDER BY d.logged_at DESC, d.position DESC, d.subscription_id DESC
	LIMIT 51) r
