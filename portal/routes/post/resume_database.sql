SELECT json_build_object('result', webhook.resume_database(coalesce(a.discard, false)))::text
FROM json_to_record(:body::json) AS a(discard boolean)
