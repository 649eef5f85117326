-- How all of it fares: what a tick of the stream has.
--
-- One look at stat_subscription serves the tiles and the table.  Those that fail come
-- first, then the busiest.

WITH s AS MATERIALIZED (
	SELECT subscription_id, endpoint, state, reason, rate, pending, oldest_pending,
		delivered, failed, retried, next_attempt, last_success, p50, p95,
		state IN ('open', 'disabled', 'waiting', 'fenced', 'no worker', 'off') AS fails
	FROM webhook.stat_subscription)
SELECT json_build_object(
	'at', extract(epoch FROM clock_timestamp()),
	'worker', (SELECT row_to_json(w) FROM webhook.stat_worker w LIMIT 1),
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
			LIMIT 12) r))::text
