-- server: webhook.require_https = 'on'
-- server: webhook.allowed_networks = ''
-- Which URLs may be endpoints under the default settings, and in which form are
-- they stored?  The numbers are those of the list of cases that this follows.
BEGIN;
SELECT no_plan();

-- The stored form; or SQLSTATE, DETAIL, and the ports that the HINT lists.
CREATE FUNCTION stored_or_refused(url text) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	subscription bigint;
	saved	text;
	state	text;
	detail	text;
	hint	text;
	message	text;
BEGIN
	subscription := webhook.subscribe(url, '{App.BusinessRequestStatusChange}');
	SELECT s.endpoint INTO STRICT saved FROM webhook_internal.subscription s
		WHERE id = subscription;
	PERFORM webhook.unsubscribe(subscription);
	RETURN saved;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT, message = MESSAGE_TEXT;
	IF hint = '' OR message !~ 'endpoint' THEN
		RETURN format('%s without help: %s %s', state, message, hint);
	END IF;
	RETURN concat_ws(' ', state, detail, substring(hint FROM 'Use one of the ports [^;]*'));
END
$$;

CREATE FUNCTION label(letters int) RETURNS text
	LANGUAGE sql AS $$ SELECT pg_catalog.repeat('a', letters) $$;

CREATE TEMP TABLE urls (number text, url text, expected text);
INSERT INTO urls VALUES
	('1', 'https://hooks.example.com/a', 'https://hooks.example.com/a'),
	('2', 'HTTPS://Hooks.Example.COM:443/A?x=1', 'https://hooks.example.com/A?x=1'),
	('3', 'https://example.com', 'https://example.com/'),
	('3', 'https://example.com?x=1', 'https://example.com/?x=1'),
	('4', 'http://example.com/', '22023 The endpoint is not https, which webhook.require_https asks for.'),
	('5', 'https://h.example/a#frag', '22023 It contains a fragment (#), which is never sent.'),
	('6', 'https://127.0.0.1#@trusted.example/', '22023 It contains a fragment (#), which is never sent.'),
	('14', 'https:///h.example/a', '22023 It has no host.'),
	('34', 'https://h.example:65535/', 'https://h.example:65535/'),
	('41', 'https://a_b.example/', 'https://a_b.example/'),
	('47', 'https://127.0.0.1/', '22023 The address 127.0.0.1 is in 127.0.0.0/8 (loopback), which webhook.allowed_networks does not allow.'),
	('52', 'https://0.0.0.0/', '22023 The address 0.0.0.0 is in 0.0.0.0/8 (this network), which webhook.allowed_networks does not allow.'),
	('55', 'https://127.0.0.1.nip.example/', 'https://127.0.0.1.nip.example/'),
	('58', 'https://169.254.169.254/', '22023 The address 169.254.169.254 is in 169.254.0.0/16 (link-local), which webhook.allowed_networks does not allow.'),
	('58', 'https://100.100.100.200/', '22023 The address 100.100.100.200 is in 100.64.0.0/10 (shared address space), which webhook.allowed_networks does not allow.'),
	('58', 'https://168.63.129.16/', '22023 The address 168.63.129.16 is in 168.63.129.16/32 (a cloud''s platform), which webhook.allowed_networks does not allow.'),
	('59', 'https://10.0.0.1/', '22023 The address 10.0.0.1 is in 10.0.0.0/8 (private use), which webhook.allowed_networks does not allow.'),
	('60', 'https://[::1]/', '22023 The address ::1 is in ::1/128 (loopback), which webhook.allowed_networks does not allow.'),
	('60', 'https://[::]/', '22023 The address :: is in ::/128 (unspecified), which webhook.allowed_networks does not allow.'),
	('61', 'https://[::ffff:127.0.0.1]/', '22023 The address ::ffff:127.0.0.1 is in 127.0.0.0/8 (loopback), which webhook.allowed_networks does not allow.'),
	('61', 'https://[::ffff:7f00:1]/', '22023 The address ::ffff:127.0.0.1 is in 127.0.0.0/8 (loopback), which webhook.allowed_networks does not allow.'),
	('61', 'https://[0:0:0:0:0:ffff:a9fe:a9fe]/', '22023 The address ::ffff:169.254.169.254 is in 169.254.0.0/16 (link-local), which webhook.allowed_networks does not allow.'),
	('62', 'https://[::127.0.0.1]/', '22023 The address ::127.0.0.1 is in ::/96 (IPv4-compatible, an IPv4 address inside), which webhook.allowed_networks does not allow.'),
	('63', 'https://[64:ff9b::7f00:1]/', '22023 The address 64:ff9b::7f00:1 is in 127.0.0.0/8 (loopback), which webhook.allowed_networks does not allow.'),
	('63', 'https://[64:ff9b::808:808]/', 'https://[64:ff9b::808:808]/'),
	('43, 46', 'https://localhost/', '22023 A name without a dot, or below localhost, may lead to webhook.allowed_networks only, and there are none.'),
	('43, 46', 'https://db/', '22023 A name without a dot, or below localhost, may lead to webhook.allowed_networks only, and there are none.'),
	('44', 'https://FOO.LOCALHOST/', '22023 A name without a dot, or below localhost, may lead to webhook.allowed_networks only, and there are none.'),
	('63', 'https://[2002:7f00:1::]/', '22023 The address 2002:7f00:1:: is in 2002::/16 (6to4, an IPv4 address inside), which webhook.allowed_networks does not allow.'),
	('63', 'https://[2001:0:1::1]/', '22023 The address 2001:0:1::1 is in 2001::/32 (Teredo, an IPv4 address inside), which webhook.allowed_networks does not allow.'),
	('65', 'https://[fd00:ec2::254]/', '22023 The address fd00:ec2::254 is in fc00::/7 (private use), which webhook.allowed_networks does not allow.'),
	('65', 'https://[fec0::1]/', '22023 The address fec0::1 is in fec0::/10 (site-local), which webhook.allowed_networks does not allow.'),
	('65', 'https://[ff02::1]/', '22023 The address ff02::1 is in ff00::/8 (multicast), which webhook.allowed_networks does not allow.'),
	('66', 'https://[2001:db8::1]:8443/', '22023 The address 2001:db8::1 is in 2001:db8::/32 (documentation), which webhook.allowed_networks does not allow.'),
	('67', 'https://[2606:4700::1111]:8443/', 'https://[2606:4700::1111]:8443/'),
	('67', 'https://8.8.8.8/', 'https://8.8.8.8/'),
	('70', 'https://xn--bcher-kva.example/', 'https://xn--bcher-kva.example/'),
	('76', 'https://h.example/%2e%2e/x', 'https://h.example/%2e%2e/x'),
	('77', 'https://h.example/?next=http://127.0.0.1/', 'https://h.example/?next=http://127.0.0.1/'),
	('81', 'https://h.example/' || repeat('a', 2031), '54000 It is longer than 2048 bytes.'),
	('82', '', '22023 It is empty.');

-- Several URLs of one kind: numbers of the cases, URLs, DETAIL.
INSERT INTO urls
	SELECT kind.number, url, '22023 ' || kind.detail
		FROM (VALUES
			('7-11, 30', '{https://user:pw@h.example/,https://user@h.example/,https://@h.example/,https://trusted.example@127.0.0.1/,"https://trusted.example\\\\@127.0.0.1/",https://h.example%2f@evil.example/}',
				'It contains a user name or password.'),
			('12', '{"https://trusted.example\\\\.evil.example/"}', 'Its host contains a backslash.'),
			('13, 15-20', '{"https:\\\\\\\\h.example\\\\a",https:/h.example/a,https:h.example,h.example/a,//h.example/a,ftp://h.example/,gopher://h.example/,dict://h.example/,scp://h.example/,ldap://h.example/,file:///etc/passwd,javascript:alert(1),"data:text/plain,x",unix:/tmp/x,http+unix://x}',
				'It does not start with https:// or http://.'),
			('21, 24', '{" https://h.example/","https://h.example/ ","https://h.example/a b"}', 'It contains a blank.'),
			('27', '{https://h.example/%0d%0aX-Evil:%201,https://h.example/%00,https://h.example/%0A}',
				'It contains an escaped line break or NUL.'),
			('28, 29, 31, 32, 64', '{https://h.exa%0d%0ample.com/,https://h.example%00.evil.example/,https://127%2e0%2e0%2e1/,https://%31%32%37.0.0.1/,"https://[fe80::1%25eth0]/","https://[fe80::1%eth0]/"}',
				'Its host contains a percent sign.'),
			('33, 35, 37', '{https://h.example:0/,https://h.example:65536/,https://h.example:99999999999/,https://h.example:-1/,https://h.example:+443/,https://h.example:443abc/,https://h.example:0x1bb/,https://h.example:80:90/,https://h.example:00443/}',
				'Its port is not a number from 1 to 65535.'),
			('36', '{https://h.example:/}', 'Its port is empty.'),
			('39, 40, 45, 54', '{https://h.example./,https://h.example../,https://.example.com/,https://a..b.example/,https://localhost./,https://127.0.0.1./}',
				'The name of its host has an empty part.'),
			('41', '{https://-a.example/,https://a-.example/}',
				'A part of the name of its host begins or ends with a hyphen.'),
			('48-53', '{https://127.1/,https://127.0.1/,https://0177.0.0.1/,https://017700000001/,https://0x7f.0.0.1/,https://0x7f000001/,https://2130706433/,https://0/,https://4294967296/,https://1.2.3.4.5/,https://256.256.256.256/}',
				'Its host looks like an address, but is not a plain one.'),
			('68', '{"https://[::1/","https://[127.0.0.1]/","https://[v1.x]/","https://[]/"}',
				'Its host is not an IPv6 address in brackets.'),
			('68', '{"https://[::1].evil.example/"}', 'Something other than a port follows its host.'),
			('69, 71, 72', '{https://bücher.example/,https://１２７.0.0.1/,https://127。0。0。1/,https://ⓛocalhost/}',
				'The name of its host is not ASCII.'),
			('73, 74', '{"https://exam<ple.com/","https://exam\"ple.com/","https://exam{ple.com/","https://exam;ple.com/","https://exam,ple.com/","https://exam$ple.com/","https://exam&ple.com/","https://exam''ple.com/","https://exam(ple.com/","https://exam!ple.com/","https://exam*ple.com/","https://exam|ple.com/"}',
				'The name of its host contains a character that a name cannot have.'),
			('75', '{https://h.example/../../etc,https://h.example/a/./b}', 'Its path contains a "." or ".." segment.'),
			('78', '{"https://h.example/{a,b}[1-3]",https://h.example/|,https://h.example/^,https://h.example/`}',
				'Its path or query contains a character that a URL cannot have.'),
			('79', '{https://h.example/bücher}', 'Its path or query contains a character that is not ASCII.'),
			('80', '{https://h.example/%zz,https://h.example/%2}', 'It contains an incomplete percent escape.')
		) AS kind (number, urls, detail), unnest(kind.urls::text[]) AS url;
INSERT INTO urls
	SELECT '22, 23, 25, 26', format(form, c), '22023 It contains a control character.'
		FROM unnest('{ht%stps://h.example/,https://h.ex%sample/,https://h.example/%sX-Evil: 1}'::text[]) AS form,
			unnest(ARRAY[E'\t', E'\r\n', E'\n', E'\r', E'\x01', E'\x7f']) AS c;
INSERT INTO urls
	SELECT '38', format('https://h.example:%s/', port),
			format('22023 Port %s is not one of webhook.allowed_ports. Use one of the ports 80, 443, 1024-65535', port)
		FROM unnest('{22,25,79,81,1023}'::int[]) AS port;
INSERT INTO urls VALUES
	('42', 'https://' || label(63) || '.example/', 'https://' || label(63) || '.example/'),
	('42', 'https://' || label(64) || '.example/', '22023 The name of its host has a part longer than 63 bytes.'),
	('42', 'https://' || repeat(label(49) || '.', 5) || 'abc/', 'https://' || repeat(label(49) || '.', 5) || 'abc/'),
	('42', 'https://' || repeat(label(49) || '.', 5) || 'abcd/', '22023 The name of its host is longer than 253 bytes.'),
	('72', 'https://h' || U&'\00AD' || '.example/', '22023 The name of its host is not ASCII.'),
	('81', 'https://h.example/' || repeat('a', 2030), 'https://h.example/' || repeat('a', 2030));

SELECT is(stored_or_refused(url), expected,
		format('%s: %s', number, regexp_replace(quote_literal(left(url, 80)), '[#\\]', '.', 'g')))
	FROM urls;
SELECT matches(stored_or_refused('https://::1/'), '^22023', '68: an IPv6 address without brackets');

-- NULL and a second one of the same
SELECT throws_ok($$ SELECT webhook.subscribe(NULL, '{App.BusinessRequestStatusChange}') $$, '22004', NULL, '82: NULL');
SELECT lives_ok($$ SELECT webhook.subscribe('https://twice.example/a?token=secret', '{App.BusinessRequestStatusChange}') $$, '83: once');
SELECT throws_ok($$ SELECT webhook.subscribe('https://TWICE.example:443/a?token=secret', '{App.BusinessRequestStatusChange}') $$, '23505',
	'endpoint "https://twice.example/a?token=***" is already subscribed to event type "App.BusinessRequestStatusChange"', '83: twice, the token is not repeated');

-- alter_subscription() has the same rules
SELECT throws_ok($$ SELECT webhook.alter_subscription((SELECT max(id) FROM webhook_internal.subscription), endpoint => 'https://10.1.2.3/a?token=secret') $$,
	'22023', 'endpoint "https://10.1.2.3/a?token=***" is not allowed', 'an endpoint is changed by the same rules');

-- What a message repeats of a URL: no credentials.
CREATE FUNCTION message(url text) RETURNS text
	LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM webhook.subscribe(url, '{App.BusinessRequestStatusChange}');
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END
$$;
SELECT is(message(url), expected, format('%L is shown in part', replace(url, '#', '.')))
	FROM (VALUES
		('https://user:secret@h.example/', 'invalid endpoint "https://***@h.example/"'),
		('https://user:sec?ret@h.example/', 'invalid endpoint "https://***@h.example/"'),
		('https://user:sec#ret@h.example', 'invalid endpoint "https://***@h.example"'),
		('https:/user:secret@h.example/', 'invalid endpoint "***@h.example/"'),
		('https:///user:secret@h.example/', 'invalid endpoint "https://***@h.example/"'),
		('user:secret@h.example/', 'invalid endpoint "***@h.example/"'),
		('https://h.example/a?token=sec ret', 'invalid endpoint "https://h.example/a?token=***"'),
		('https://h.example/a#secret', 'invalid endpoint "https://h.example/a#***"'),
		('https://h.example/a/@b c', 'invalid endpoint "https://h.example/a/@b c"'),
		('http://h.example/a?token=a@b', 'endpoint "http://h.example/a?token=***" is not allowed')
	) AS t (url, expected);

SELECT * FROM finish();
ROLLBACK;
