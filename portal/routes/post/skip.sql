SELECT json_build_object('result', webhook.skip(a.subscription, a.subject))::text
FROM json_to_record(:body::json) AS a(subscription bigint, subject text)
