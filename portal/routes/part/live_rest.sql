-- What a tick has beside the worker's numbers.
	'at', extract(epoch FROM clock_timestamp()),
	'states', (SELECT json_object_agg(state, n)
		FROM (SELECT state, count(*) AS n FROM s GROUP BY state) x),
	'subscriptions', (SELECT count(*) FROM s),
	'pending', (SELECT coalesce(sum(pending), 0) FROM s),
	'oldest', (SELECT min(oldest_pending) FROM s),
	'busiest', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT subscription_id, endpoint, state, reason, rate, pending, delivered, failed,
				retried, next_attempt, last_success,
				round((extract(epoch FROM p50) * 1000)::numeric, 1) AS p50,
				round((extract(epoch FROM p95) * 1000)::numeric, 1) AS p95
			FROM s
			ORDER BY fails DESC, pending > 0 DESC, rate DESC, delivered DESC, subscription_id
			LIMIT 12) r))
