-- Which headers may a subscription have, and how many?
BEGIN;
SELECT no_plan();

-- What is stored, or SQLSTATE, message and DETAIL.
CREATE FUNCTION stored_or_refused(headers jsonb) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	subscription bigint;
	saved	text;
	detail	text;
	hint	text;
BEGIN
	subscription := webhook.subscribe('https://h.example/', '{App.BusinessRequestStatusChange}',
		headers => stored_or_refused.headers);
	SELECT s.headers INTO STRICT saved FROM webhook_internal.subscription s WHERE id = subscription;
	PERFORM webhook.unsubscribe(subscription);
	RETURN saved;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF hint = '' THEN
		RETURN format('%s without help: %s', SQLSTATE, SQLERRM);
	END IF;
	RETURN format('%s %s: %s', SQLSTATE, SQLERRM, detail);
END
$$;

CREATE TEMP TABLE headers (number text, name text, value text, problem text);
INSERT INTO headers VALUES
	('H1', 'X-Api-Key', 'abc', NULL),
	('H2', 'X-A', E'a\r\nX-Evil: 1', 'Its value contains a line break.'),
	('H3', 'X-A', E'a\nX-Evil: 1', 'Its value contains a line break.'),
	('H3', 'X-A', E'a\rb', 'Its value contains a line break.'),
	('H4', E'X-A\r\nX-Evil', 'a', 'Its name contains a character that a header''s name cannot have.'),
	('H5', 'X-A', E'a\x01', 'Its value contains a control character.'),
	('H5', 'X-A', E'a\x7f', 'Its value contains a control character.'),
	('H11', 'X-A', '', NULL),
	('H14', 'X-A', 'ü', 'Its value contains a character that is not ASCII.'),
	('H15', 'X-A', E'a\tb', NULL),
	('H16', 'X-A', ' a', 'Its value begins or ends with a blank.'),
	('H16', 'X-A', E'a\t', 'Its value begins or ends with a blank.'),
	('H18', repeat('a', 256), repeat('b', 4096), NULL),
	('H20', 'Authorization', 'Bearer abc', NULL),
	('H22', 'X-Forwarded-For', '192.0.2.1', NULL),
	('H22', 'Forwarded', 'for=192.0.2.1', NULL);
INSERT INTO headers
	SELECT 'H6-H10, H21', name, 'x', 'The header is set by the sender itself.'
		FROM unnest('{Host,hOST,Content-Length,Transfer-Encoding,Connection,Keep-Alive,TE,Trailer,Upgrade,Expect,Proxy-Authorization,PROXY-Connection,Content-Type,Content-Encoding,User-Agent,Accept-Encoding,Cookie2,HTTP2-Settings,webhook-id,Webhook-Signature,webhook-anything,abp-webhook-signature}'::text[]) AS name;
INSERT INTO headers
	SELECT 'H12, H13', name, 'x', 'Its name contains a character that a header''s name cannot have.'
		FROM unnest(ARRAY['X A', ' X-A', 'X-A ', E'X-A\t', 'X-ü', 'X(A', 'X:A', 'X,A', 'X/A', 'X"A']) AS name;

SELECT is(stored_or_refused(jsonb_build_object(name, value)),
		coalesce(format('22023 invalid header "%s": %s', regexp_replace(name, ':.*', ':...'), problem),
			jsonb_build_object(name, value)::text),
		format('%s: %s', number, to_json(left(name, 40))))
	FROM headers WHERE problem IS NOT NULL
UNION ALL
SELECT is(stored_or_refused(jsonb_build_object(name, value)), jsonb_build_object(name, value)::text,
		format('%s: %s', number, to_json(left(name, 40))))
	FROM headers WHERE problem IS NULL;

SELECT throws_ok($$ SELECT '{"X-A": "\u0000"}'::jsonb $$, '22P05', NULL, 'H5: a NUL is refused by jsonb');
SELECT is(stored_or_refused('{"": "a"}'), '22023 invalid header "": Its name is empty.', 'an empty name');
SELECT is(stored_or_refused('{"X-A": "1", "x-a": "2"}'),
	'22023 header "x-a" is given twice: Names of headers are case-insensitive.', 'H17: the same name twice');
SELECT is(stored_or_refused(format('{"X-A": %s}', value)::jsonb), '22023 invalid header "X-A": Its value is not a string.',
		format('H19: %s', value))
	FROM unnest(ARRAY['1', 'null', 'true', '[]', '{}']) AS value;
SELECT matches(stored_or_refused(headers), '^22023 headers must be a JSON object', format('H19: %s', headers))
	FROM unnest(ARRAY['[]', '1', 'null', '"a"']::jsonb[]) AS headers;

-- limits
SELECT matches(stored_or_refused('{"Authorization: Bearer sesame": ""}'), '^22023 invalid header "Authorization:\.\.\.":', 'a whole line for a name: what may be its value is not shown');
SELECT matches(stored_or_refused(jsonb_build_object(repeat('a', 257), 'x')), '^54000 invalid header "a{200}\.\.\."', 'H18: a name of 257 bytes');
SELECT matches(stored_or_refused(jsonb_build_object('X-A', repeat('a', 4097))), '^54000 invalid header "X-A"', 'H18: a value of 4097 bytes');
SELECT is(stored_or_refused((SELECT jsonb_object_agg('x-' || i, 'a') FROM generate_series(1, 32) i)),
	(SELECT jsonb_object_agg('x-' || i, 'a') FROM generate_series(1, 32) i)::text, 'H18: 32 headers');
SELECT matches(stored_or_refused((SELECT jsonb_object_agg('x-' || i, 'a') FROM generate_series(1, 33) i)),
	'^54000 too many headers: 33', 'H18: 33 headers');
SELECT unalike(stored_or_refused((SELECT jsonb_object_agg('x-' || i, repeat('a', 4093)) FROM generate_series(1, 4) i)),
	'54000%', 'H18: 16384 bytes in all');
SELECT matches(stored_or_refused((SELECT jsonb_object_agg('x-' || i, repeat('a', 4094)) FROM generate_series(1, 4) i)),
	'^54000 headers of 16388 bytes are too long', 'H18: 16388 bytes in all');

-- A value may be a secret: no message repeats it.
SELECT unalike(stored_or_refused(jsonb_build_object('Authorization', 'Bearer secret' || c)), '%secret%',
		format('a value is not repeated: %s', to_json(c)))
	FROM unnest(ARRAY[E'\n', 'ü', ' ', E'\x01', repeat('a', 5000)]) AS c;

SELECT * FROM finish();
ROLLBACK;
