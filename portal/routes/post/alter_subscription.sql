SELECT json_build_object('result', webhook.alter_subscription(a.subscription, a.endpoint, a.events,
	description => a.description,
	headers => a.headers,
	signature_schemes => a.signature_schemes,
	filter => a.filter,
	payload_format => a.payload_format,
	ordered => a.ordered,
	max_in_flight => a.max_in_flight,
	rate_limit => a.rate_limit,
	timeout => a.timeout,
	retry_schedule => a.retry_schedule,
	max_age => a.max_age,
	final_statuses => a.final_statuses,
	ca => a.ca,
	client_certificate => a.client_certificate,
	enabled => a.enabled))::text
FROM json_to_record(:body::json) AS a(subscription bigint, enabled boolean,
\ir ../part/subscription_options.sql
	)
