	-- The newest :most rows of :rows, as "l", that :filter takes.  No index has the tenant: its
	-- rows are found through its subscriptions.
	(SELECT l.*
	FROM :rows l
	WHERE :own IS NULL
		AND
\ir :filter
	ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
	LIMIT :most)
	UNION ALL
	SELECT o.*
	FROM webhook.subscription s
		CROSS JOIN LATERAL (
			SELECT l.*
			FROM :rows l
			WHERE :own IS NOT NULL
				AND l.subscription_id = s.id
				AND
\ir :filter
			ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
			LIMIT :most) o
	ORDER BY logged_at DESC, position DESC, subscription_id DESC
	LIMIT :most
