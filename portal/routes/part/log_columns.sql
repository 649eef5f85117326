		-- What a list of calls shows.
		l.logged_at, l.position, l.subscription_id, l.requested_at, l.event_id, l.event_type,
		l.subject, l.cause, l.attempt, l.method, host(l.source_ip) AS source_ip,
		l.outcome, l.error_class, l.error, l.response_status,
		round((extract(epoch FROM l.duration) * 1000)::numeric, 1) AS ms
