--
-- Which endpoints have to answer a challenge, and who may do without?
-- server: webhook.enabled = 'off'
--
BEGIN;
SELECT no_plan();

CREATE ROLE regress_confirm_acme;
CREATE ROLE regress_confirm_globex;
CREATE ROLE regress_confirm_admin;
CREATE ROLE regress_confirm_operator;
SELECT webhook.define_tenant('acme'), webhook.define_tenant('globex');
SELECT webhook.grant_admin('regress_confirm_admin'), webhook.grant_operator('regress_confirm_operator');
SELECT webhook.grant_tenant('regress_confirm_acme', 'acme'), webhook.grant_tenant('regress_confirm_globex', 'globex');

CREATE FUNCTION pg_temp.refusal(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	argument text;
	hint text;
BEGIN
	PERFORM set_config('role', role, true);
	EXECUTE command;
	PERFORM set_config('role', 'none', true);
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS argument = COLUMN_NAME, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, nullif(argument, ''), CASE WHEN hint = '' THEN 'without a hint' END);
END
$$;
CREATE FUNCTION pg_temp.state(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT state FROM webhook.stat_subscription WHERE subscription_id = id $$;
CREATE FUNCTION pg_temp.challenge(id bigint) RETURNS text LANGUAGE sql AS $$
	SELECT s.challenge FROM webhook_internal.subscription s WHERE s.id = challenge.id $$;

-- Whose endpoints
CREATE TEMPORARY TABLE made AS
	SELECT webhook.subscribe('https://example.com/platform', '{*}') AS platform,
		webhook.subscribe('https://example.com/acme', '{*}', tenant => 'acme') AS acme,
		webhook.subscribe('https://example.com/globex', '{*}', tenant => 'globex') AS globex;
SELECT is(pg_temp.challenge(platform), NULL, 'the platform''s endpoint has nothing to answer') FROM made;
SELECT matches(pg_temp.challenge(acme), '^[0-9a-f]{64}$', 'a tenant''s has') FROM made;
SELECT isnt(pg_temp.challenge(acme), pg_temp.challenge(globex), 'each its own') FROM made;
SELECT isnt(pg_temp.state(platform), 'unconfirmed', 'state of the platform''s') FROM made;
SELECT is(pg_temp.state(acme), 'unconfirmed', 'state of the tenant''s') FROM made;
SELECT is(reason, 'its endpoint has not been asked for the challenge yet', 'and the reason')
	FROM webhook.stat_subscription, made WHERE subscription_id = acme;

-- Nobody is told the challenge.
SELECT is((SELECT count(*) FROM made, webhook.subscription s WHERE s::text LIKE '%' || pg_temp.challenge(acme) || '%'), 0::bigint, 'view subscription does not tell it');
SELECT is((SELECT count(*) FROM made, webhook.audit a WHERE a::text LIKE '%' || pg_temp.challenge(acme) || '%'), 0::bigint, 'nor does the audit');
SELECT is((SELECT count(*) FROM made WHERE webhook.subscription_options(acme)::text LIKE '%' || pg_temp.challenge(acme) || '%'), 0::bigint, 'nor does subscription_options()');
SELECT is((SELECT detail -> 'new' ->> 'confirmation' FROM webhook.audit, made WHERE subscription_id = acme AND action = 'subscribe'),
	(SELECT s.confirmation::text FROM webhook_internal.subscription s, made WHERE s.id = acme), 'the audit has the Id of the event that asks');

-- What the worker has written of this challenge counts, of a former one does not.
INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, probe_interval, suspended, delivered, failed,
		retried, filter_errors, rate, saved_at, confirmation, confirmed_at, confirm_attempts)
	SELECT acme, 'active', 'closed', 2, 0, 0, 0, '0', 0, 0, 0, 0, 0, now(), s.confirmation, now(), 1
		FROM made, webhook_internal.subscription s WHERE s.id = acme;
SELECT is(pg_temp.state(acme), 'active', 'it has answered') FROM made;
CREATE TEMPORARY TABLE former AS SELECT pg_temp.challenge(acme) FROM made;
SELECT webhook.alter_subscription(acme, description => 'ours', endpoint => 'https://example.com/acme') FROM made;
SELECT is(pg_temp.challenge(acme), f.challenge, 'the same endpoint need not answer again') FROM made, former f;
SELECT webhook.alter_subscription(acme, endpoint => 'https://example.com/other') FROM made;
SELECT isnt(pg_temp.challenge(acme), f.challenge, 'another endpoint has another challenge') FROM made, former f;
SELECT is(pg_temp.state(acme), 'unconfirmed', 'and is not confirmed') FROM made;
UPDATE webhook_internal.subscription_state t
	SET confirmation = s.confirmation, confirmed_at = NULL, confirm_attempts = 3,
		reason = 'the endpoint did not answer with the challenge'
	FROM webhook_internal.subscription s WHERE s.id = t.subscription_id;
SELECT is(reason, 'its endpoint has not answered the challenge, after 3 of 3 requests, the last problem: the endpoint did not answer with the challenge', 'the reason says how often it was asked')
	FROM webhook.stat_subscription, made WHERE subscription_id = acme;
CREATE TEMPORARY TABLE second AS SELECT pg_temp.challenge(acme) FROM made;
SELECT webhook.alter_subscription(acme, endpoint => 'https://example.com/other') FROM made;
SELECT isnt(pg_temp.challenge(acme), f.challenge, 'the same endpoint that has not answered is asked anew') FROM made, second f;

-- health()
SELECT ok(ok, 'within an hour it is no matter') FROM webhook.health() WHERE check_name = 'unconfirmed';
UPDATE webhook_internal.subscription s SET challenged_at = now() - interval '2 h' FROM made WHERE s.id = acme;
SELECT ok(NOT ok AND detail ~ ('unconfirmed: subscription ' || acme || ' ') AND hint ~ 'webhook.confirm', 'then health() names it: ' || detail)
	FROM webhook.health(), made WHERE check_name = 'unconfirmed';

-- confirm()
SELECT is(pg_temp.refusal('regress_confirm_acme', format('SELECT webhook.confirm(%s)', acme)), '42501 without a hint', 'a tenant cannot confirm itself') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_operator', format('SELECT webhook.confirm(%s)', acme)), '42501 without a hint', 'an operator cannot') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_admin', 'SELECT webhook.confirm(4711)'), '42704 subscription', 'one that does not exist') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_admin', format('SELECT webhook.confirm(%s)', acme)), NULL, 'an administrator can') FROM made;
SELECT isnt(pg_temp.state(acme), 'unconfirmed', 'then it is confirmed') FROM made;
SELECT is(array_agg(role::text || ' ' || tenant), '{"regress_confirm_admin acme"}', 'the audit says so') FROM webhook.audit WHERE action = 'confirm';
SELECT is(count(*), 0::bigint, 'nothing of the challenge is left') FROM webhook_internal.subscription s, made
	WHERE s.id = acme
		AND (s.confirmation, s.challenge, s.challenged_at) IS DISTINCT FROM (NULL, NULL, NULL);
SELECT webhook.confirm(acme), webhook.confirm(platform) FROM made;
SELECT is(count(*), 1::bigint, 'what is confirmed is not confirmed again') FROM webhook.audit WHERE action = 'confirm';

-- Ten in an hour, whatever becomes of them; administrators have no such limit.
CREATE FUNCTION pg_temp.come_and_go(n integer) RETURNS void LANGUAGE sql AS $$
	SELECT webhook.unsubscribe(webhook.subscribe('https://example.com/' || n, '{*}')) $$;
SET LOCAL ROLE regress_confirm_globex;
SELECT pg_temp.come_and_go(n) FROM generate_series(1, 8) n;
RESET ROLE;
SELECT is(pg_temp.refusal('regress_confirm_globex', format('SELECT webhook.alter_subscription(%s, endpoint => ''https://example.com/tenth'')', globex)), NULL, 'the tenth') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_globex', format('SELECT webhook.alter_subscription(%s, endpoint => ''https://example.com/eleventh'')', globex)), '53400 endpoint', 'the eleventh') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_globex', 'SELECT pg_temp.come_and_go(11)'), '53400 endpoint', 'or another subscription');
SELECT is(pg_temp.refusal('regress_confirm_globex', format('SELECT webhook.alter_subscription(%s, description => ''same'')', globex)), NULL, 'all else may be altered') FROM made;
SELECT is(pg_temp.refusal('regress_confirm_acme', 'SELECT webhook.subscribe(''https://example.com/1'', ''{*}'')'), NULL, 'another tenant has its own ten');
SELECT is(pg_temp.refusal('regress_confirm_admin', format('SELECT webhook.alter_subscription(%s, endpoint => ''https://example.com/twelfth'')', globex)), NULL, 'an administrator may') FROM made;
UPDATE webhook_internal.audit SET at = at - interval '1 h' WHERE tenant = 'globex';
SELECT is(pg_temp.refusal('regress_confirm_globex', format('SELECT webhook.alter_subscription(%s, endpoint => ''https://example.com/later'')', globex)), NULL, 'an hour later it may, too') FROM made;

SELECT * FROM finish();
ROLLBACK;
