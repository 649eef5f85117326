-- The points of the charts, of all subscriptions or of one.
--
-- parameters: span, step, subscription

SELECT coalesce(json_agg(r), '[]')::text
FROM (SELECT at, delivered, failed, retried, pending, p50, p95
	FROM webhook.series(now() - :span::interval, now(), :step::interval, :subscription::bigint)
	ORDER BY at) r
