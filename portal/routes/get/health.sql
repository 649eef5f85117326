-- Is all well?

SELECT coalesce(json_agg(r), '[]')::text
FROM (SELECT check_name, ok, detail, hint FROM webhook.health()) r
