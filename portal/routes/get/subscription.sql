-- One subscription, and how it fares.
--
-- parameters: id

SELECT json_build_object(
	'subscription', row_to_json(b),
	'stat', (SELECT row_to_json(t)
		FROM (SELECT x.*,
				round((extract(epoch FROM x.p50) * 1000)::numeric, 1) AS p50_ms,
				round((extract(epoch FROM x.p95) * 1000)::numeric, 1) AS p95_ms
			FROM webhook.stat_subscription x
			WHERE x.subscription_id = b.id) t))::text
FROM webhook.subscription b
WHERE b.id = :id::bigint
