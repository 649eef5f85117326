-- flags: long

SELECT json_build_object('result', webhook.recover(a.subscription, a.since,
	coalesce(a.until, now()),
	coalesce(a.what, 'failed'),
	coalesce(a.dry_run, false)))::text
FROM json_to_record(:body::json) AS a(subscription bigint, since timestamptz, until timestamptz,
	what text, dry_run boolean)
