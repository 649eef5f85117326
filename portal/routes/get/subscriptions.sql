-- A page of subscriptions.
--
-- States are counted over what the search finds, whatever state was chosen.
--
-- parameters: q, state, sort, offset
-- one of: state: active, slow, open, waiting, paused, disabled, unconfirmed, fenced, off, no worker
-- one of: sort: waiting, failed, busy, newest, endpoint

WITH s AS MATERIALIZED (
	SELECT t.subscription_id, t.tenant, t.endpoint, b.description,
		b.events[1:3] AS events, cardinality(b.events) AS nevents, t.state, t.reason, t.delivered,
		t.failed, t.retried, t.pending, t.rate, t.last_success, t.last_failure,
		t.next_attempt, round((extract(epoch FROM t.p95) * 1000)::numeric, 1) AS p95
	FROM webhook.stat_subscription t
		JOIN webhook.subscription b ON b.id = t.subscription_id
	WHERE :q IS NULL OR position(lower(:q) IN lower(concat_ws(' ', t.subscription_id,
		t.endpoint, b.description, array_to_string(b.events, ' ')))) > 0)
SELECT json_build_object(
	'states', (SELECT json_object_agg(state, n)
		FROM (SELECT state, count(*) AS n FROM s GROUP BY state ORDER BY state) x),
	'total', (SELECT count(*) FROM s WHERE :state IS NULL OR state = :state),
	'rows', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT * FROM s
			WHERE :state IS NULL OR state = :state
			ORDER BY CASE :sort
					WHEN 'waiting' THEN pending
					WHEN 'failed' THEN failed
					WHEN 'busy' THEN (rate * 1000)::bigint
					WHEN 'newest' THEN subscription_id END DESC NULLS LAST,
				CASE :sort WHEN 'endpoint' THEN endpoint END,
				subscription_id
			LIMIT 50 OFFSET coalesce(:offset::int, 0)) r))::text
