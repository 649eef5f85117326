	-- What subscribe() and alter_subscription() both take.
	endpoint text, events text[], description text, headers jsonb,
	signature_schemes text[], filter jsonpath, payload_format text, ordered boolean,
	max_in_flight integer, rate_limit real, timeout interval, retry_schedule interval[],
	max_age interval, final_statuses integer[], ca text, client_certificate text,
	include_context boolean, log_bodies text, name text
