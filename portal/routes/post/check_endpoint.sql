SELECT json_build_object('result', webhook.check_endpoint(a.endpoint))::text
FROM json_to_record(:body::json) AS a(endpoint text)
