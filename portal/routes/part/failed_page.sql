		(:subscription::bigint IS NULL OR l.subscription_id = :subscription::bigint)
		AND (:since IS NULL OR l.logged_at >= :since::timestamptz)
		AND (:until IS NULL OR l.logged_at < :until::timestamptz)
		AND
\ir before.sql
