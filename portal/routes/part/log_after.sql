\ir log_all.sql
		AND l.logged_at >= :after_at::timestamptz
		AND (l.logged_at, l.position, l.subscription_id)
			> (:after_at::timestamptz, :after_position::bigint, :after_subscription::bigint)
