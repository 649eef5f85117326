-- Event types, with how many subscriptions want them, and watched tables.

SELECT json_build_object(
	'types', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT t.name, t.description, t.deprecated_at, t.created_at,
				t.example IS NOT NULL AS has_example,
				(SELECT count(*)
				FROM webhook.subscription s
				WHERE EXISTS (SELECT FROM unnest(s.events) AS w (name)
					WHERE w.name IN (t.name, '*')
						OR right(w.name, 2) = '.*' AND starts_with(t.name, left(w.name, -1))))
				AS subscriptions
			FROM webhook.event_type t
			ORDER BY t.name) r),
	'watched', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT w.relation::text AS relation, w.event_type, w.name, w.status_column,
				w.id_columns, w.data_columns, w.enabled, w.problem
			FROM webhook.watched_table w
			ORDER BY 1, 2) r))::text
