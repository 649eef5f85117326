SELECT json_build_object('result', webhook.define_event_type(a.name, a.description))::text
FROM json_to_record(:body::json) AS a(name text, description text)
