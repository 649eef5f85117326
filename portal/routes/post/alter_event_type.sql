-- A key that is left out keeps its value; "schema" or "example" null means none, which
-- json_to_record() cannot tell apart.

SELECT json_build_object('result', webhook.alter_event_type(a.name, a.description,
	schema => (:body::json -> 'schema')::jsonb,
	example => (:body::json -> 'example')::jsonb,
	deprecated => a.deprecated))::text
FROM json_to_record(:body::json) AS a(name text, description text, schema json,
	example json, deprecated boolean)
