-- Tenants with their caps, and how many subscriptions each has; a tenant sees itself.

SELECT json_build_object('rows', (SELECT coalesce(json_agg(r), '[]')
	FROM (SELECT t.name, t.events, t.max_subscriptions, t.max_in_flight, t.rate_limit,
			t.created_at
		FROM webhook.tenant t
		ORDER BY t.name
		LIMIT 1000) r))::text
