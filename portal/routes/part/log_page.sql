	-- What a page of the log takes of "l", newest first.
	WHERE
\ir log_indexed.sql
		AND (:before_at IS NULL
			OR l.logged_at <= :before_at::timestamptz
				AND (l.logged_at, l.position, l.subscription_id)
					< (:before_at::timestamptz, :before_position::bigint,
						:before_subscription::bigint))
		AND (
\ir log_rest.sql
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 51
