-- What a tick has for a tenant: its subscriptions' numbers in place of the worker's.

\ir ../part/live_states.sql
SELECT json_build_object(
	'own', true,
	'worker', (SELECT json_build_object('delivered', coalesce(sum(delivered), 0),
			'failed', coalesce(sum(failed), 0), 'retrying', coalesce(sum(retried), 0))
		FROM s),
\ir ../part/live_rest.sql
	::text
