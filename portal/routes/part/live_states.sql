-- All subscriptions, once: one look serves the tiles and the table.  Those that fail come
-- first, then the busiest.
WITH s AS MATERIALIZED (
	SELECT subscription_id, endpoint, state, reason, rate, pending, oldest_pending,
		delivered, failed, retried, next_attempt, last_success, p50, p95,
		state IN ('open', 'disabled', 'waiting', 'fenced', 'no worker', 'off') AS fails
	FROM webhook.stat_subscription)
