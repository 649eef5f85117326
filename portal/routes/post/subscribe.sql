SELECT json_build_object('result', webhook.subscribe(a.endpoint, a.events,
	description => a.description,
	secret => a.secret,
	headers => coalesce(a.headers, '{}'),
	signature_schemes => coalesce(a.signature_schemes, '{standard}'),
	filter => a.filter,
	payload_format => coalesce(a.payload_format, 'envelope'),
	ordered => coalesce(a.ordered, true),
	max_in_flight => a.max_in_flight,
	rate_limit => a.rate_limit,
	timeout => a.timeout,
	retry_schedule => a.retry_schedule,
	max_age => a.max_age,
	final_statuses => coalesce(a.final_statuses, '{}'),
	ca => a.ca,
	client_certificate => a.client_certificate))::text
FROM json_to_record(:body::json) AS a(secret text,
\ir ../part/subscription_options.sql
	)
