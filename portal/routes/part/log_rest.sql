		-- The rest of the log's filter.
		((:outcome IS NULL OR :outcome = 'undelivered' OR l.outcome = :outcome)
			AND (:event_type IS NULL OR l.event_type = :event_type)
			AND (:status::int IS NULL OR l.response_status = :status::int))
