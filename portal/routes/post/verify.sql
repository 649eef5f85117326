-- Whether the log has what was signed: a secret that nobody sees verifies it.

SELECT json_build_object('result', webhook.verify(webhook.secret(a.subscription),
	l.request_headers, l.request_body, NULL))::text
FROM json_to_record(:body::json)
		AS a(subscription bigint, event uuid, position bigint, attempt integer)
	JOIN webhook.log l ON l.event_id = a.event
		AND l.subscription_id = a.subscription
		AND l.position = a.position
		AND l.attempt = a.attempt
WHERE l.request_body IS NOT NULL
LIMIT 1
