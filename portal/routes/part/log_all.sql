	-- All that the filter of the log takes of "l", as many as a file has.
	WHERE
\ir log_indexed.sql
		AND
\ir log_rest.sql
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT 100000
