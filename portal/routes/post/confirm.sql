SELECT json_build_object('result', webhook.confirm(a.subscription))::text
FROM json_to_record(:body::json) AS a(subscription bigint)
