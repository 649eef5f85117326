--
-- Subscriptions: what is stored, what the worker is told, what is returned.
--
BEGIN;
SELECT plan(73);

SELECT webhook.define_event_type('App.ContractSigned', 'A contract has been signed.');
SELECT is((SELECT description FROM webhook.event_type WHERE name = 'App.ContractSigned'),
	'A contract has been signed.', 'an event type is defined');

-- What the worker is told, since the last look.
CREATE TEMPORARY TABLE looked AS SELECT coalesce(max(id), 0) AS id FROM webhook_internal.ring;
CREATE FUNCTION pg_temp.commands() RETURNS text LANGUAGE sql AS $$
	WITH news AS (
		SELECT r.* FROM webhook_internal.ring r, looked l WHERE r.id > l.id AND r.kind <> 'e'
	), look AS (
		UPDATE looked SET id = greatest(id, (SELECT max(n.id) FROM news n))
	)
	SELECT coalesce(string_agg(concat(kind, ' ' || (data ->> 'subscription')), ', ' ORDER BY id), '') FROM news;
$$;

-- subscribe
CREATE TEMPORARY TABLE mine AS
	SELECT webhook.subscribe('HTTPS://Example.COM:443/Hook?a=1', '{App.ContractSigned}',
		'the archive', headers => '{"X-Api-Key": "abc"}') AS id;
SELECT isnt((SELECT id FROM mine), NULL, 'subscribe() returns the subscription');
SELECT is(pg_temp.commands(), 'c', '... and tells the worker');
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
	(SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()),
	'home');
SELECT ok(NOT pg_visible_in_snapshot(pg_current_xact_id(), (pg_temp.mine()).since),
	'changes of the same transaction are for it');
SELECT ok(pg_visible_in_snapshot(
		(pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text::xid8,
		(pg_temp.mine()).since),
	'what has committed before is not');

-- the secret
SELECT matches(webhook.secret((SELECT id FROM mine)), '^whsec_[A-Za-z0-9+/]{43}=$',
	'a secret of 32 bytes is generated');
SELECT isnt(
	webhook.secret(webhook.subscribe('https://example.com/2', '{App.ContractSigned}')),
	webhook.secret(webhook.subscribe('https://example.com/3', '{App.ContractSigned}')),
	'each has its own');
SELECT is(
	webhook.secret(webhook.subscribe('https://example.com/4', '{App.ContractSigned}',
		secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')),
	'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'one that is given is kept');
SELECT lives_ok(
	format($$ SELECT webhook.subscribe('https://example.com/5', '{App.ContractSigned}', secret => %L) $$,
		'whsec_' || translate(encode(decode(repeat('ab', 64), 'hex'), 'base64'), E'\n', '')),
	'it may have 64 bytes');

-- the signature schemes
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/6', '{App.ContractSigned}', signature_schemes => '{abp,abp}') $$);
SELECT is((SELECT signature_schemes FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/6'),
	'{standard,abp}', 'abp comes in addition');
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/7', '{App.ContractSigned}', signature_schemes => '{}') $$);
SELECT is((SELECT signature_schemes FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/7'),
	'{standard}', 'standard is always there');

-- several event types, each once; several subscriptions to one event
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/8',
	'{App.ContractSigned,App.BusinessRequestStatusChange,App.ContractSigned}') $$);
SELECT is((SELECT events FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/8'),
	'{App.ContractSigned,App.BusinessRequestStatusChange}', 'an event type that is named twice counts once');
SELECT throws_ok(
	$$ SELECT webhook.subscribe('https://example.com:443/8', '{App.BusinessRequestStatusChange}') $$,
	'23505', NULL, 'not twice the same event to the same endpoint');
SELECT lives_ok(
	$$ SELECT webhook.subscribe('https://example.com/9', '{App.BusinessRequestStatusChange}') $$,
	'but to another');
SELECT lives_ok(
	$$ SELECT webhook.subscribe('https://example.com/Hook?a=1', '{App.BusinessRequestStatusChange}') $$,
	'and another event to the same');
SELECT pg_temp.commands();

-- alter
SELECT throws_ok(
	format($$ SELECT webhook.alter_subscription(%s, events => '{App.ContractSigned,App.BusinessRequestStatusChange}') $$,
		(SELECT id FROM mine)),
	'23505', NULL, 'nor by altering');
CREATE TEMPORARY TABLE before AS SELECT (pg_temp.mine()).*;
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s)', (SELECT id FROM mine)));
SELECT is(pg_temp.mine()::text, (SELECT before::text FROM before), 'null keeps');
SELECT lives_ok(format($$ SELECT webhook.alter_subscription(%s, endpoint => 'https://EXAMPLE.com/new',
	events => '{App.BusinessRequestStatusChange}', description => '', headers => '{}',
	signature_schemes => '{abp}') $$, (SELECT id FROM mine)));
SELECT is(pg_temp.commands(), 'c, c ' || (SELECT id FROM mine), 'the worker is told, and that the endpoint is another one');
SELECT is((pg_temp.mine()).endpoint, 'https://example.com/new', 'a new endpoint');
SELECT is((pg_temp.mine()).events, '{App.BusinessRequestStatusChange}', 'new events');
SELECT is((pg_temp.mine()).description, NULL, 'no description');
SELECT is((pg_temp.mine()).headers, '{}', 'no headers');
SELECT is((pg_temp.mine()).signature_schemes, '{standard,abp}', 'new signature schemes');
SELECT is((pg_temp.mine()).since::text, (SELECT since::text FROM before), 'altering does not renew since');

-- disable, enable
UPDATE webhook_internal.subscription SET since = '3:3:' WHERE id = (SELECT id FROM mine);
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => true)', (SELECT id FROM mine)));
SELECT is((pg_temp.mine()).since::text, '3:3:', 'enabling what is enabled does not renew since');
SELECT is(pg_temp.commands(), 'c');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => false)', (SELECT id FROM mine)));
SELECT ok(NOT (pg_temp.mine()).enabled, 'it is disabled');
SELECT is((pg_temp.mine()).since::text, '3:3:', 'disabling does not renew since');
SELECT is(pg_temp.commands(), 'x ' || (SELECT id FROM mine), 'what waits for it is ended');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, description => ''off'')', (SELECT id FROM mine)));
SELECT ok(NOT (pg_temp.mine()).enabled, 'it stays disabled');
SELECT is(pg_temp.commands(), 'c');
SELECT lives_ok(format('SELECT webhook.alter_subscription(%s, enabled => true)', (SELECT id FROM mine)));
SELECT isnt((pg_temp.mine()).since::text, '3:3:', 'enabling renews since');
SELECT is(pg_temp.commands(), 'c ' || (SELECT id FROM mine), 'and lets it begin anew');

-- pause, resume
SELECT webhook.pause((SELECT id FROM mine));
SELECT ok((pg_temp.mine()).paused, 'it is paused');
SELECT webhook.resume((SELECT id FROM mine));
SELECT ok(NOT (pg_temp.mine()).paused, 'it is not paused any more');
SELECT is(pg_temp.commands(), 'c, c');

-- the fence
UPDATE webhook_internal.subscription SET home = '1/1', since = '5:5:' WHERE id = (SELECT id FROM mine);
UPDATE webhook_internal.subscription SET home = split_part(home, '/', 1) || '/1', since = '5:5:'
	WHERE endpoint = 'https://example.com/2';
SELECT webhook.resume_database();
SELECT is((SELECT count(DISTINCT home) FROM webhook_internal.subscription), 1::bigint, 'all are at home');
SELECT is((pg_temp.mine()).since::text, '3:3:', 'what another cluster has seen is not seen here');
SELECT is((SELECT since::text FROM webhook_internal.subscription WHERE endpoint = 'https://example.com/2'),
	'5:5:', 'what another database of this cluster has seen is');
SELECT is(pg_temp.commands(), 'c');
UPDATE webhook_internal.subscription SET home = '1/1', since = '5:5:' WHERE id = (SELECT id FROM mine);
SELECT webhook.resume_database(discard => true);
SELECT ok(pg_snapshot_xmax((pg_temp.mine()).since) > '5', 'or it begins anew');
SELECT is(pg_temp.commands(), 'x ' || (SELECT id FROM mine) || ', c', 'and what waited is ended');

-- unsubscribe
SELECT webhook.unsubscribe((SELECT id FROM mine));
SELECT is_empty('SELECT * FROM webhook_internal.subscription JOIN mine USING (id)', 'it is gone');
SELECT is_empty('SELECT * FROM webhook_internal.subscription_secret JOIN mine ON mine.id = subscription_id',
	'with its secret');
SELECT is(pg_temp.commands(), 'x ' || (SELECT id FROM mine), 'and what waits for it is ended');

-- verify
CREATE FUNCTION pg_temp.verified(headers jsonb, tolerance interval DEFAULT NULL,
		body text DEFAULT '{"test": 2432232314}')
	RETURNS boolean LANGUAGE sql AS $$
	SELECT webhook.verify('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
		'{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
			"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}' || headers,
		body, tolerance)
$$;
SELECT ok(pg_temp.verified('{}'), 'a right signature');
SELECT ok(NOT pg_temp.verified('{}', '5 min'), 'is too old');
SELECT ok(NOT pg_temp.verified('{}', body => '{"test": 2432232315}'), 'is for another body');
SELECT ok(NOT pg_temp.verified('{"webhook-id": "msg_other"}'), 'is for another id');
SELECT ok(NOT pg_temp.verified('{"webhook-timestamp": "1614265331"}'), 'is for another time');
SELECT ok(NOT pg_temp.verified('{"webhook-timestamp": "soon"}'), 'is for no time at all');
SELECT ok(pg_temp.verified('{"webhook-signature": "v1a,AAAA v1,BBBB v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}'),
	'one of several signatures is enough');
SELECT ok(NOT pg_temp.verified('{"webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"}'),
	'a part of it is not');
SELECT ok(NOT pg_temp.verified('{"webhook-signature": null}'), 'none is not');
SELECT ok(webhook.verify(s, jsonb_build_object('Webhook-Id', 'a', 'WEBHOOK-TIMESTAMP', t::text,
		'webhook-signature', webhook.sign(s, 'a', t, 'ä')), 'ä'), 'names of headers in any case, a body in UTF-8')
	FROM (VALUES ('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', extract(epoch FROM clock_timestamp())::bigint)) AS v (s, t);

SELECT * FROM finish();
ROLLBACK;
