-- What is told of an event type: what was given, and the schema that receivers are told.
-- A schema and an example are texts, so that long numbers keep their digits.
--
-- parameters: name

SELECT json_build_object('name', t.name, 'description', t.description,
	'schema', jsonb_pretty(t.schema), 'example', jsonb_pretty(t.example),
	'deprecated', t.deprecated, 'deprecated_at', t.deprecated_at,
	'told', jsonb_pretty(webhook.openapi(ARRAY[t.name], 'raw')
		#> ARRAY['components', 'schemas', t.name]))::text
FROM webhook.event_type t
WHERE t.name = :name
