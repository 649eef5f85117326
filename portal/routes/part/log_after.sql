	-- What is newer than a row of the log, of "l".
	WHERE
\ir log_indexed.sql
		AND
\ir log_rest.sql
		AND l.logged_at >= :after_at::timestamptz
		AND (l.logged_at, l.position, l.subscription_id)
			> (:after_at::timestamptz, :after_position::bigint, :after_subscription::bigint)
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 50
