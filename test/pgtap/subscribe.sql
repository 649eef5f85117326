--
-- What do subscribe(), alter_subscription(), pause(), resume_database() and
-- unsubscribe() store and return, and which commands do they write for the worker?
--
BEGIN;
SELECT plan(74);

SELECT webhook.define_event_type('App.ContractSigned', 'A contract has been signed.');
SELECT is((SELECT description FROM webhook.event_type WHERE name = 'App.ContractSigned'),
	'A contract has been signed.', 'an event type is defined');

-- The commands that were written since the last call.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook_internal.ring;
CREATE FUNCTION pg_temp.commands() RETURNS text LANGUAGE sql AS $$
	WITH new_rows AS (
		SELECT r.* FROM webhook_internal.ring r, looked l WHERE r.id > l.id AND r.kind <> 'e'
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(n.id) FROM new_rows n))
	)
	SELECT coalesce(string_agg(concat(kind, ' ' || (data ->> 'subscription'), ' ' || subject), ', ' ORDER BY id), '') FROM new_rows;
$$;

-- subscribe
CREATE TEMPORARY TABLE mine AS
	SELECT webhook.subscribe('HTTPS://Example.COM:443/Hook?a=1', '{App.ContractSigned}',
		'the archive', headers => '{"X-Api-Key": "abc"}') AS id;
SELECT isnt((SELECT id FROM mine), NULL, 'subscribe() returns the subscription');
SELECT is(pg_temp.commands(), (SELECT 'c, n ' || id FROM mine), '... and writes commands for the worker');
CREATE FUNCTION pg_temp.mine() RETURNS webhook_internal.subscription LANGUAGE sql AS $$
	SELECT s FROM webhook_internal.subscription s JOIN mine USING (id)
$$;
SELECT is((pg_temp.mine()).endpoint, 'https://example.com/Hook?a=1', 'the endpoint is stored in canonical form');
SELECT is((pg_temp.mine()).events, '{App.ContractSigned}', 'events');
SELECT is((pg_temp.mine()).description, 'the archive', 'description');
SELECT is((pg_temp.mine()).headers, '{"X-Api-Key": "abc"}', 'headers');
SELECT is((pg_temp.mine()).signature_schemes, '{standard}', 'signature_schemes');
SELECT ok((pg_temp.mine()).enabled, 'it is enabled');
SELECT ok(NOT (pg_temp.mine()).paused, 'it is not paused');
SELECT is((pg_temp.mine()).created_by, current_user::name, 'created_by');
SELECT is((pg_temp.mine()).home,
	(SELECT format('%s/%s/%s', system_identifier, oid, 'webhook_internal.checkpoint'::regclass::oid)
		FROM pg_control_system(), pg_database WHERE datname = current_database()),
	'home');
SELECT ok(NOT pg_visible_in_snapshot(pg_current_xact_id(), (pg_temp.mine()).since),
	'its start snapshot does not see changes of its own transaction');
SELECT ok(pg_visible_in_snapshot(
		(pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8,
		(pg_temp.mine()).since),
	'its start snapshot sees what committed before');

-- the secret
SELECT matches(webhook.secret((SELECT id FROM mine)), '^whsec_[A-Za-z0-9+/]{43}=$',
	'a secret of 32 bytes is generated');
SELECT isnt(
	webhook.secret(webhook.subscribe('https://example.com/2', '{App.ContractSigned}')),
	webhook.secret(webhook.subscribe('https://example.com/3', '{App.ContractSigned}')),
	'each subscription has a secret of its own');
SELECT is(
	webhook.secret(webhook.subscribe('https://example.com/4', '{App.ContractSigned}',
		secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')),
	'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'a given secret is stored');
SELECT lives_ok(
	format($$ SELECT webhook.subscribe('https://example.com/5', '{App.ContractSigned}', secret => %L) $$,
		'whsec_' || translate(encode(decode(repeat('ab', 64), 'hex'), 'base64'), E'\n', '')),
	'a secret may have 64 bytes');

-- the signature schemes
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/6', '{App.ContractSigned}', signature_schemes => '{abp,abp}') $$);
SELECT is((SELECT signature_schemes FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/6'),
	'{standard,abp}', 'abp is added to standard');
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/7', '{App.ContractSigned}', signature_schemes => '{}') $$);
SELECT is((SELECT signature_schemes FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/7'),
	'{standard}', 'standard is always included');

-- several event types, each once; several subscriptions to one event
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/8',
	'{App.ContractSigned,App.BusinessRequestStatusChange,App.ContractSigned}') $$);
SELECT is((SELECT events FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/8'),
	'{App.ContractSigned,App.BusinessRequestStatusChange}', 'an event type that is named twice counts once');
SELECT throws_ok(
	$$ SELECT webhook.subscribe('https://example.com:443/8', '{App.BusinessRequestStatusChange}') $$,
	'23505', NULL, 'an endpoint cannot have an event type twice');
SELECT lives_ok(
	$$ SELECT webhook.subscribe('https://example.com/9', '{App.BusinessRequestStatusChange}') $$,
	'another endpoint can have it');
SELECT lives_ok(
	$$ SELECT webhook.subscribe('https://example.com/Hook?a=1', '{App.BusinessRequestStatusChange}') $$,
	'the endpoint can have another event type');
SELECT pg_temp.commands();

-- alter
SELECT throws_ok(
	format($$ SELECT webhook.alter_subscription(%s, events => '{App.ContractSigned,App.BusinessRequestStatusChange}') $$,
		(SELECT id FROM mine)),
	'23505', NULL, 'alter_subscription() refuses that, too');
CREATE TEMPORARY TABLE before AS SELECT (pg_temp.mine()).*;
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s)', (SELECT id FROM mine)));
SELECT is(pg_temp.mine()::text, (SELECT before::text FROM before), 'NULL keeps all');
SELECT lives_ok(format($$ SELECT webhook.alter_subscription(%s, endpoint => 'https://EXAMPLE.com/new',
	events => '{App.BusinessRequestStatusChange}', description => '', headers => '{}',
	signature_schemes => '{abp}') $$, (SELECT id FROM mine)));
SELECT is(pg_temp.commands(), format('c, c %s, n %1$s changed', (SELECT id FROM mine)), 'a new endpoint has a command of its own, and is told');
SELECT is((pg_temp.mine()).endpoint, 'https://example.com/new', 'a new endpoint');
SELECT is((pg_temp.mine()).events, '{App.BusinessRequestStatusChange}', 'new events');
SELECT is((pg_temp.mine()).description, NULL, 'no description');
SELECT is((pg_temp.mine()).headers, '{}', 'no headers');
SELECT is((pg_temp.mine()).signature_schemes, '{standard,abp}', 'new signature schemes');
SELECT is((pg_temp.mine()).since::text, (SELECT since::text FROM before), 'altering does not renew the start snapshot');

-- disable, enable
UPDATE webhook_internal.subscription SET since = '3:3:' WHERE id = (SELECT id FROM mine);
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => true)', (SELECT id FROM mine)));
SELECT is((pg_temp.mine()).since::text, '3:3:', 'enabling what is enabled does not renew the start snapshot');
SELECT is(pg_temp.commands(), 'c ' || (SELECT id FROM mine), '... but resets its health');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => false)', (SELECT id FROM mine)));
SELECT ok(NOT (pg_temp.mine()).enabled, 'it is disabled');
SELECT is((pg_temp.mine()).since::text, '3:3:', 'disabling does not renew the start snapshot');
SELECT is(pg_temp.commands(), format('x %s, n %1$s', (SELECT id FROM mine)), 'disabling writes a command to cancel what waits, and is told');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, description => ''off'')', (SELECT id FROM mine)));
SELECT ok(NOT (pg_temp.mine()).enabled, 'it stays disabled');
SELECT is(pg_temp.commands(), format('c, n %s changed', (SELECT id FROM mine)), 'that is told');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => true)', (SELECT id FROM mine)));
SELECT isnt((pg_temp.mine()).since::text, '3:3:', 'enabling renews the start snapshot');
SELECT is(pg_temp.commands(), format('c %s, n %1$s', (SELECT id FROM mine)), 'enabling writes a command to reset its health, and is told');

-- pause, resume
SELECT webhook.pause((SELECT id FROM mine));
SELECT ok((pg_temp.mine()).paused, 'it is paused');
SELECT webhook.resume((SELECT id FROM mine));
SELECT ok(NOT (pg_temp.mine()).paused, 'resume() ends a pause');
SELECT is(pg_temp.commands(), format('c, n %s, c, n %1$s', (SELECT id FROM mine)), 'both are told');
SELECT webhook.resume((SELECT id FROM mine));
SELECT is(pg_temp.commands(), '', 'what changes nothing is no command');

-- the fence
UPDATE webhook_internal.subscription SET home = '1/1', since = '5:5:' WHERE id = (SELECT id FROM mine);
UPDATE webhook_internal.subscription SET home = home || '/0123456789abcdef', since = '5:5:'
	WHERE endpoint = 'https://example.com/2';
SELECT webhook.resume_database();
SELECT is((SELECT count(DISTINCT home) FROM webhook_internal.subscription), 1::bigint, 'resume_database() gives all this home');
SELECT is((pg_temp.mine()).since::text, '3:3:', 'a start snapshot of another cluster is replaced by one that sees nothing');
SELECT is((SELECT since::text FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/2'),
	'5:5:', 'a start snapshot of a copy of this cluster''s files stays');
SELECT matches(pg_temp.commands(), '^n \d+, n \d+, c$', 'that is told of each');
UPDATE webhook_internal.subscription SET home = '1/1', since = '5:5:' WHERE id = (SELECT id FROM mine);
SELECT webhook.resume_database(discard => true);
SELECT ok(pg_snapshot_xmax((pg_temp.mine()).since) > '5', 'with discard the start snapshot is renewed');
SELECT is(pg_temp.commands(), format('x %s, n %1$s, c', (SELECT id FROM mine)), 'with discard a command cancels what waits');

-- unsubscribe
SELECT webhook.unsubscribe((SELECT id FROM mine));
SELECT is_empty('SELECT * FROM webhook_internal.subscription JOIN mine USING (id)', 'unsubscribe() removes the subscription');
SELECT is_empty('SELECT * FROM webhook_internal.subscription_secret JOIN mine ON mine.id = subscription_id',
	'unsubscribe() removes its secret');
SELECT is(pg_temp.commands(), format('x %s, n %1$s', (SELECT id FROM mine)), 'unsubscribe() writes a command to cancel what waits, and is told');

-- verify
CREATE FUNCTION pg_temp.verified(headers jsonb, tolerance interval DEFAULT NULL,
		body text DEFAULT '{"test": 2432232314}')
	RETURNS boolean LANGUAGE sql AS $$
	SELECT webhook.verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
		'{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
			"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}' || headers,
		body, tolerance)
$$;
SELECT ok(pg_temp.verified('{}'), 'a right signature is verified');
SELECT ok(NOT pg_temp.verified('{}', '5 min'), 'with a tolerance, an old one is refused');
SELECT ok(NOT pg_temp.verified('{}', body => '{"test": 2432232315}'), 'another body is refused');
SELECT ok(NOT pg_temp.verified('{"webhook-id": "msg_other"}'), 'another id is refused');
SELECT ok(NOT pg_temp.verified('{"webhook-timestamp": "1614265331"}'), 'another time is refused');
SELECT ok(NOT pg_temp.verified('{"webhook-timestamp": "soon"}'), 'a time that is no number is refused');
SELECT ok(pg_temp.verified('{"webhook-signature": "v1a,AAAA v1,BBBB v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}'),
	'one right signature of several is enough');
SELECT ok(NOT pg_temp.verified('{"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"}'),
	'a part of a signature is refused');
SELECT ok(NOT pg_temp.verified('{"webhook-signature": null}'), 'no signature is refused');
SELECT ok(webhook.verify(s, jsonb_build_object('Webhook-Id', 'a', 'WEBHOOK-TIMESTAMP', t::text,
		'webhook-signature', webhook.sign(s, 'a', t, 'ä')), 'ä'), 'names of headers in any case, a body in UTF-8')
	FROM (VALUES ('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', extract(epoch FROM clock_timestamp())::bigint)) AS v (s, t);

SELECT * FROM finish();
ROLLBACK;
