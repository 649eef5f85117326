SELECT json_build_object('result', webhook.drop_event_type(a.name))::text
FROM json_to_record(:body::json) AS a(name text)
