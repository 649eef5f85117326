SELECT json_build_object('result', webhook.rotate_secret(a.subscription,
	coalesce(a.overlap, '24 hours')))::text
FROM json_to_record(:body::json) AS a(subscription bigint, overlap interval)
