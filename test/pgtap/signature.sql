-- Does sign() make the published signatures, and what does verify() refuse?

BEGIN;
SELECT plan(32);

-- libraries/python/tests/test_webhooks.py of Standard Webhooks
CREATE TEMP TABLE vector (name text, secret text, id text, stamp bigint, body text, signature text);
INSERT INTO vector VALUES
	('Standard Webhooks',
	 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
	 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330,
	 '{"test": 2432232314}',
	 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='),
	('a key of 36 bytes over an envelope',
	 'whsec_d2hzXzAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm',
	 '3f2504e0-4f89-11d3-9a0c-0305e82c3301', 1704164645,
	 '{"Id":"3f2504e0-4f89-11d3-9a0c-0305e82c3301","WebhookEvent":"App.BusinessRequestStatusChange","Attempt":1,"Data":{"RequestId":42,"Status":"Approved"},"CreationTimeUtc":"2024-01-02T03:04:05.1234567Z"}',
	 'v1,n8oGEHBpKlFEF5gmjeflcouBUu3E2bZ6E9q+fQW54No=');

SELECT is(webhook.sign(secret, id, stamp, body), signature, 'sign: ' || name)
  FROM vector;

CREATE FUNCTION pg_temp.headers(id text, stamp text, signature text) RETURNS jsonb
RETURN jsonb_build_object('webhook-id', id, 'webhook-timestamp', stamp, 'webhook-signature', signature);

SELECT ok(webhook.verify(secret, pg_temp.headers(id, stamp::text, signature), body, NULL),
		  'verify, at any age: ' || name)
  FROM vector;

SELECT ok(NOT webhook.verify(secret, pg_temp.headers(id, stamp::text, signature), body),
		  'verify, years later: ' || name)
  FROM vector;

-- Another implementation of HMAC-SHA256 (RFC 2104), for keys and bodies of our own.
CREATE FUNCTION pg_temp.hmac(key bytea, message bytea) RETURNS bytea
LANGUAGE plpgsql AS $$
DECLARE
	inner_pad bytea := decode(repeat('36', 64), 'hex');
	outer_pad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	FOR i IN 0 .. length(key) - 1 LOOP
		inner_pad := set_byte(inner_pad, i, get_byte(inner_pad, i) # get_byte(key, i));
		outer_pad := set_byte(outer_pad, i, get_byte(outer_pad, i) # get_byte(key, i));
	END LOOP;
	RETURN sha256(outer_pad || sha256(inner_pad || message));
END $$;

CREATE FUNCTION pg_temp.expected(key bytea, id text, stamp bigint, body text) RETURNS text
RETURN 'v1,' || encode(pg_temp.hmac(key, convert_to(id || '.' || stamp || '.' || body, 'UTF8')), 'base64');

SELECT is(pg_temp.expected(decode(substr(secret, 7), 'base64'), id, stamp, body), signature,
		  'the independent HMAC agrees: ' || name)
  FROM vector;

SELECT is(webhook.sign('whsec_' || replace(encode(key, 'base64'), E'\n', ''), 'id', 1700000000, body),
		  pg_temp.expected(key, 'id', 1700000000, body),
		  format('a key of %s bytes, a body of %s characters', length(key), length(body)))
  FROM (VALUES
	(decode(repeat('00', 24), 'hex'), ''),
	(decode(repeat('ff', 24), 'hex'), '{}'),
	(decode(repeat('a7', 32), 'hex'), E'{"a":"\\u00fc ü 🜁 \\n"}'),
	(decode(repeat('01fe', 32), 'hex'), repeat('x', 100000))) AS v (key, body);

-- A signature of now, and changes to it.
CREATE FUNCTION pg_temp.now_plus(seconds int) RETURNS text
RETURN (extract(epoch FROM clock_timestamp())::bigint + seconds)::text;

CREATE FUNCTION pg_temp.verified(change jsonb, body text = '{}', age int = 0,
								 tolerance interval = '5 min',
								 secret text = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	stamp text := pg_temp.now_plus(- age);
BEGIN
	RETURN webhook.verify(secret,
		pg_temp.headers('id', stamp,
			webhook.sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'id', stamp::bigint, '{}')) || change,
		body, tolerance);
END $$;

SELECT is(pg_temp.verified(change, body, age, tolerance::interval), wanted, name)
  FROM (VALUES
	('as it is', '{}'::jsonb, '{}', 0, '5 min', true),
	('a second ago, within a minute', '{}', '{}', 1, '1 min', true),
	('two minutes ago, within one', '{}', '{}', 120, '1 min', false),
	('from two minutes ahead, within one', '{}', '{}', -120, '1 min', false),
	('an hour ago, at any age', '{}', '{}', 3600, NULL, true),
	('another body', '{}', '{ }', 0, '5 min', false),
	('another id', '{"webhook-id": "di"}', '{}', 0, '5 min', false),
	('another time', '{"webhook-timestamp": "1614265330"}', '{}', 0, NULL, false),
	('a time that is none', '{"webhook-timestamp": "now"}', '{}', 0, NULL, false),
	('no signature', '{"webhook-signature": ""}', '{}', 0, '5 min', false),
	('a signature of another version', '{"webhook-signature": "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw"}', '{}', 0, '5 min', false),
	('a further header', '{"content-type": "application/json"}', '{}', 0, '5 min', true))
	AS v (name, change, body, age, tolerance, wanted);

SELECT ok(webhook.verify(secret,
						 pg_temp.headers(id, stamp::text, 'v1,AAAA v9,x ' || signature), body, NULL),
		  'one entry of several is enough')
  FROM vector LIMIT 1;

SELECT ok(NOT pg_temp.verified('{}', secret => 'whsec_' || encode(sha256('another'), 'base64')),
		  'another secret');

SELECT throws_ok('SELECT webhook.sign(''0123456789abcdef0123456789abcdef'', ''id'', 1, '''')',
				 '22023', NULL, 'a secret without whsec_');
SELECT is(webhook.sign('whs_0123456789abcdef0123456789abcdef', 'id', 1, 'b'),
	'v1,iTg/l1msUC32BOXEIHIOStV3SwgaPKK6bUxl83/9m48=',
	'a secret of ASP.NET Boilerplate is a key as a whole');
SELECT throws_ok(format('SELECT webhook.sign(%L, ''id'', 1, '''')', secret), '22023', NULL, description)
	FROM (VALUES ('whs_0123456789abcdef012', 'one of 23 bytes'), ('whs_' || repeat('0', 61), 'one of 65 bytes'),
		('whs_0123456789abcdef 0123', 'one with a blank')) AS v (secret, description);
SELECT throws_ok('SELECT webhook.sign(''whsec_QUJD'', ''id'', 1, '''')',
				 '22023', NULL, 'a secret that is too short');

SELECT * FROM finish();
ROLLBACK;
