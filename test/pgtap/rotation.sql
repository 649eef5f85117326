--
-- How many secrets can a subscription have, and for how long, when they are
-- rotated?  Which names of certificate files are accepted?
--
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type('App.A');
CREATE TEMPORARY TABLE mine AS
	SELECT webhook.subscribe('https://example.com/mine', '{App.A}', secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw') AS id;
CREATE FUNCTION pg_temp.rotate(overlap interval) RETURNS text LANGUAGE sql AS $$
	SELECT webhook.rotate_secret(id, overlap) FROM mine
$$;
-- The secrets, newest first: in how many hours each ends.
CREATE FUNCTION pg_temp.ends() RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT string_agg(coalesce((round(extract(epoch FROM x.expires_at - clock_timestamp()) / 3600) || ' h'), 'never'), ', '
			ORDER BY x.id DESC)
		FROM webhook_internal.subscription_secret x JOIN mine ON x.subscription_id = mine.id
$$;

SELECT is(pg_temp.ends(), 'never', 'the first secret never ends');
CREATE TEMPORARY TABLE second AS SELECT webhook.rotate_secret(id) AS secret FROM mine;
SELECT matches((SELECT secret FROM second), '^whsec_[A-Za-z0-9+/]{43}=$', 'the new secret has 32 bytes');
SELECT is(webhook.secret(id), (SELECT secret FROM second), 'secret() returns the new one') FROM mine;
SELECT is(pg_temp.ends(), 'never, 24 h', 'by default the former one ends in 24 hours');
SELECT isnt(pg_temp.rotate('1 hour'), (SELECT secret FROM second), 'each rotation makes another secret');
SELECT is(pg_temp.ends(), 'never, 1 h, 1 h', 'with an overlap of an hour all former ones end in an hour');
SELECT throws_ok($$ SELECT pg_temp.rotate('1 hour') $$, '54000', NULL, 'a fourth live secret is refused');
SELECT is(pg_temp.ends(), 'never, 1 h, 1 h', '... and changes nothing');
SELECT lives_ok($$ SELECT pg_temp.rotate('0') $$, 'an overlap of 0 is accepted');
SELECT is(pg_temp.ends(), 'never', '... and removes the former ones');
SELECT lives_ok($$ SELECT pg_temp.rotate('1 hour') $$);
SELECT lives_ok($$ SELECT pg_temp.rotate('7 days') $$, 'an overlap of 7 days is accepted');
SELECT is(pg_temp.ends(), 'never, 168 h, 1 h', 'a longer overlap does not prolong an earlier end');
UPDATE webhook_internal.subscription_secret SET expires_at = clock_timestamp() - interval '1 s' WHERE expires_at < now() + interval '2 hours';
SELECT lives_ok($$ SELECT pg_temp.rotate('2 days') $$, 'secrets that have ended do not count');
SELECT is(pg_temp.ends(), 'never, 48 h, 48 h', '... and are removed');
SELECT isnt(webhook.secret(id), NULL, 'secret() returns the newest') FROM mine;
SAVEPOINT secrets;
UPDATE webhook_internal.subscription_secret SET expires_at = clock_timestamp() - interval '1 s';
SELECT throws_ok('SELECT webhook.secret(id) FROM mine', '55000', format('subscription %s has no secret', id),
	'secret() says that all secrets have ended') FROM mine;
SELECT lives_ok('SELECT webhook.rotate_secret(id) FROM mine', '... and rotate_secret() mends that');
SELECT isnt(webhook.secret(id), NULL, '... so there is one') FROM mine;
ROLLBACK TO secrets;

SELECT throws_ok(format('SELECT webhook.rotate_secret(%s, %s)', subscription, overlap), state::char(5), NULL,
		format('rotate_secret(%s, %s)', subscription, overlap))
	FROM (SELECT id::text AS subscription FROM mine) m,
		(VALUES ('NULL', '22004'), ('''-1 s''', '22023'), ('''7 days 1 us''', '22023'), ('''1 month''', '22023'),
			('''1 month -22 days''', '22023')) AS v (overlap, state)
UNION ALL
	SELECT throws_ok(format('SELECT webhook.rotate_secret(%s)', subscription), state::char(5), NULL,
		format('rotate_secret(%s)', subscription))
	FROM (VALUES ('NULL', '22004'), ('0', '42704'), ('4711', '42704')) AS v (subscription, state);

-- A foreign trigger would see the secret.
CREATE FUNCTION pg_temp.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER spy BEFORE INSERT ON webhook_internal.subscription_secret
	FOR EACH ROW EXECUTE FUNCTION pg_temp.spy();
SELECT throws_like($$ SELECT pg_temp.rotate('0') $$, '%table webhook_internal.subscription_secret has a trigger that is not the extension''s');
DROP TRIGGER spy ON webhook_internal.subscription_secret;
CREATE ROLE regress_owner;
ALTER TABLE webhook_internal.subscription_secret OWNER TO regress_owner;
SELECT throws_like($$ SELECT pg_temp.rotate('0') $$, '%table webhook_internal.subscription_secret is not owned by%');
ALTER TABLE webhook_internal.subscription_secret OWNER TO CURRENT_USER;

-- Certificate files: plain names
CREATE FUNCTION pg_temp.file(given text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM webhook.alter_subscription(id, ca => given, client_certificate => given) FROM mine;
	RETURN (SELECT concat_ws(' ', s.ca, s.client_certificate) FROM webhook_internal.subscription s JOIN mine USING (id));
END
$$;
SELECT is(pg_temp.file(given), concat(given, ' ', given), format('file "%s" is accepted', left(given, 20)))
	FROM unnest(ARRAY['ca.pem', 'A-1_b~.crt', 'a b'::text, '!', 'a..pem', '-rf', '$(x)', 'c:\x', repeat('x', 255)]) AS given
	WHERE given <> 'a b';
SELECT throws_ok(format('SELECT pg_temp.file(%L)', given), state::char(5), NULL, format('file "%s" is refused', left(given, 20)))
	FROM (VALUES ('/etc/passwd', '22023'), ('../ca.pem', '22023'), ('a/b', '22023'), ('.hidden', '22023'), ('.', '22023'),
		('..', '22023'), ('a b', '22023'), (E'a\nb', '22023'), (E'a\tb', '22023'), ('ä', '22023'), (E'\x7f', '22023'),
		(repeat('x', 256), '54000'), ('/', '22023')) AS v (given, state);
SELECT is(pg_temp.file(NULL), repeat('x', 255) || ' ' || repeat('x', 255), 'NULL keeps the files');
SELECT is(pg_temp.file(''), '', 'an empty name removes the files');
SELECT webhook.subscribe('https://example.com/two', '{App.A}', ca => 'one.pem', client_certificate => 'two.pem');
SELECT is(concat_ws(' ', ca, client_certificate), 'one.pem two.pem', 'subscribe() takes both')
	FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/two';
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/three', '{App.A}', client_certificate => 'x/y') $$, '22023');

SELECT * FROM finish();
ROLLBACK;
