		-- What is older than a row.  A comparison of rows does not exclude partitions, so the
		-- time stands alone, too.
		(:before_at IS NULL
			OR l.logged_at <= :before_at::timestamptz
				AND (l.logged_at, l.position, l.subscription_id)
					< (:before_at::timestamptz, :before_position::bigint,
						:before_subscription::bigint))
