-- The document for receivers. Event types and patterns are separated by commas.
--
-- parameters: events, payload_format

SELECT webhook.openapi(coalesce(string_to_array(:events, ','), '{*}'),
	coalesce(:payload_format, 'envelope'))::text
