-- Event types, with how many subscriptions want them, and watched tables.
--
-- A list of a thousand types has room for the beginnings of their descriptions alone.

WITH s AS MATERIALIZED (
	SELECT id, events, '*' = ANY (events) AS wants_all FROM webhook.subscription),
w AS MATERIALIZED (
	SELECT s.id, e.name FROM s, unnest(s.events) AS e (name) WHERE NOT s.wants_all),
n AS (
	SELECT name, count(DISTINCT id) AS n
	FROM (SELECT id, name FROM w
		UNION ALL
		SELECT w.id, t.name
		FROM w JOIN webhook.event_type t ON starts_with(t.name, left(w.name, -1))
		WHERE right(w.name, 2) = '.*') x
	GROUP BY name)
SELECT json_build_object(
	'types', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT t.name, left(t.description, 200)
					|| CASE WHEN length(t.description) > 200 THEN ' …' ELSE '' END AS description,
				t.deprecated_at, t.created_at, t.example IS NOT NULL AS has_example,
				coalesce(n.n, 0) + (SELECT count(*) FROM s WHERE s.wants_all) AS subscriptions
			FROM webhook.event_type t LEFT JOIN n USING (name)
			ORDER BY t.name) r),
	'watched', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT w.relation::text AS relation, w.event_type, w.name, w.status_column,
				w.id_columns, w.data_columns, w.enabled, w.problem
			FROM webhook.watched_table w
			ORDER BY 1, 2) r))::text
