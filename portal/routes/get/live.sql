-- How all of it fares: what a tick of the stream has.

\ir ../part/live_states.sql
SELECT json_build_object(
	'worker', (SELECT row_to_json(w) FROM webhook.stat_worker w LIMIT 1),
\ir ../part/live_rest.sql
	::text
