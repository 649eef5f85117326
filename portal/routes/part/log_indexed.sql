		-- Of the log's filter, what an index serves.
		(:subscription::bigint IS NULL OR l.subscription_id = :subscription::bigint)
		AND (:outcome IS NULL OR :outcome = 'delivered' OR l.outcome <> 'delivered')
		AND (:outcome IS NULL OR :outcome NOT IN ('failed', 'cancelled')
			OR l.outcome IN ('failed', 'cancelled'))
		AND (:subject IS NULL OR l.subject = :subject)
		AND (:event::uuid IS NULL OR l.event_id = :event::uuid)
		AND (:since IS NULL OR l.logged_at >= :since::timestamptz)
		AND (:until IS NULL OR l.logged_at < :until::timestamptz)
