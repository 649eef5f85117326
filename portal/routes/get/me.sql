-- Who has signed in, the database, and what the role may do.  By a token that only reads it
-- calls no function that is volatile.

SELECT json_build_object(
	'role', current_user,
	'database', current_database(),
	'server', current_setting('server_version'),
	'standby', pg_is_in_recovery(),
	'version', (SELECT extversion FROM pg_extension WHERE extname = 'webhook'),
	'sees_all', (SELECT bool_or(has_function_privilege(oid, 'EXECUTE'))
		FROM pg_proc
		WHERE pronamespace = to_regnamespace('webhook_internal') AND proname = 'all_tenants'),
	'acts', (SELECT bool_or(has_function_privilege(oid, 'EXECUTE'))
		FROM pg_proc
		WHERE pronamespace = to_regnamespace('webhook') AND proname = 'act_as'),
	'may', (SELECT json_object_agg(p.proname, p.may)
		FROM (SELECT proname, bool_or(has_function_privilege(oid, 'EXECUTE')
				AND (provolatile <> 'v' OR (SELECT webhook.may_write()))) AS may
			FROM pg_proc
			WHERE pronamespace = to_regnamespace('webhook')
			GROUP BY proname) p),
	'reads', (SELECT json_object_agg(c.relname, has_table_privilege(c.oid, 'SELECT'))
		FROM pg_class c
		WHERE c.relnamespace = to_regnamespace('webhook') AND c.relkind IN ('v', 'p')))::text
