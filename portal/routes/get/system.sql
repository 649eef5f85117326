-- Versions, the worker's numbers, settings, and how large the log is.

SELECT json_build_object(
	'version', (SELECT extversion FROM pg_extension WHERE extname = 'webhook'),
	'server', version(),
	'database', current_database(),
	'size', pg_database_size(current_database()),
	'worker', (SELECT row_to_json(w) FROM webhook.stat_worker w LIMIT 1),
	'settings', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT name, current_setting(name) AS value, short_desc,
				setting IS DISTINCT FROM boot_val AS changed
			FROM pg_settings
			WHERE name LIKE 'webhook.%'
			ORDER BY name) r),
	'leaves', (SELECT coalesce(json_agg(r), '[]')
		FROM (SELECT c.relname AS name, pg_total_relation_size(c.oid) AS size,
				greatest(c.reltuples, 0)::bigint AS rows
			FROM pg_partition_tree('webhook.log') t
				JOIN pg_class c ON c.oid = t.relid
			WHERE t.isleaf
			ORDER BY c.relname DESC) r))::text
