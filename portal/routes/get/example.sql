-- An example of a type: the last call of it, as it was sent, or an event from the ring.
--
-- No index has types.  So the log is searched among the newest calls of all, and among the
-- newest ones of twenty subscriptions that take the type, those that name it first; of a
-- tenant among the latter alone.  The ring is searched for two seconds.
--
-- parameters: event_type

WITH takers AS MATERIALIZED (
	SELECT s.id
	FROM webhook.subscription s
		CROSS JOIN unnest(s.events) AS w (name)
	WHERE w.name IN (:event_type, '*')
		OR right(w.name, 2) = '.*' AND starts_with(:event_type, left(w.name, -1))
	GROUP BY s.id
	ORDER BY bool_or(w.name = :event_type) DESC, s.id DESC
	LIMIT 20),
found AS (
	(SELECT x.*
		FROM (SELECT l.logged_at, l.position, l.event_type, l.subject, l.created_at,
				l.request_body, l.request_headers, l.cause
			FROM webhook.log l
			WHERE (SELECT webhook.my_tenant()) IS NULL
			ORDER BY l.logged_at DESC, l.position DESC, l.subscription_id DESC
			LIMIT 2000) x
		WHERE x.event_type = :event_type AND x.request_body IS NOT NULL
			AND x.cause NOT IN ('ping', 'confirm')
		LIMIT 1)
	UNION ALL
	(SELECT x.*
		FROM takers t
			CROSS JOIN LATERAL (SELECT y.*
				FROM (SELECT l.logged_at, l.position, l.event_type, l.subject, l.created_at,
						l.request_body, l.request_headers, l.cause
					FROM webhook.log l
					WHERE l.subscription_id = t.id
					ORDER BY l.logged_at DESC, l.position DESC
					LIMIT 100) y
				WHERE y.event_type = :event_type AND y.request_body IS NOT NULL
					AND y.cause NOT IN ('ping', 'confirm')
				LIMIT 1) x)),
c AS MATERIALIZED (
	SELECT f.subject, f.created_at, f.request_headers,
\set text f.request_body
\ir ../part/first.sql
		AS request_body
	FROM found f
	ORDER BY f.logged_at DESC, f.position DESC
	LIMIT 1),
e AS MATERIALIZED (
	SELECT v.subject, v.created_at, v.data::text AS data, v.event_type = :event_type AS found
	FROM webhook.event v
	WHERE NOT EXISTS (SELECT FROM c)
		AND (v.event_type = :event_type
			OR clock_timestamp() > statement_timestamp() + interval '2 s')
	LIMIT 1)
SELECT json_build_object(
	'call', (SELECT row_to_json(c) FROM c),
	'event', (SELECT json_build_object('subject', e.subject, 'created_at', e.created_at,
			'data',
\set text e.data
\ir ../part/first.sql
			)
		FROM e
		WHERE e.found))::text
