SELECT json_build_object('result', webhook.define_event_type(a.name, a.description,
	schema => (:body::json -> 'schema')::jsonb,
	example => (:body::json -> 'example')::jsonb))::text
FROM json_to_record(:body::json) AS a(name text, description text, schema json,
	example json)
