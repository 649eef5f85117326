SELECT json_build_object('result', webhook.ping(a.subscription, a.event_type))::text
FROM json_to_record(:body::json) AS a(subscription bigint, event_type text)
