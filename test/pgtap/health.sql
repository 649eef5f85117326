--
-- What does health() say is wrong?
--
-- All of it runs in one transaction, so no worker sees it: rows of pending and of
-- subscription_state are written here by hand.
--
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.wrong() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(check_name, ' ' ORDER BY check_name), '') FROM webhook.health()
		WHERE NOT ok AND check_name <> 'worker'
$$;
CREATE FUNCTION pg_temp.told(name text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', detail, hint) FROM webhook.health() WHERE check_name = told.name
$$;
CREATE FUNCTION pg_temp.wait(subscription bigint, next_at timestamptz) RETURNS void
	LANGUAGE sql AS $$
	INSERT INTO webhook_internal.pending (subscription_id, subject, position, id, event_id, cause,
			attempt, step, next_at, queued_at, age_start, created_at, event_type, data)
		VALUES (subscription, '', 1, 1, '00000000-0000-7000-8000-000000000000', 'event',
			0, 0, wait.next_at, now(), now(), now(), 'App.Health', '{}')
$$;

SELECT results_eq('SELECT check_name FROM webhook.health() ORDER BY 1',
	ARRAY['breakers', 'clock', 'deliveries', 'disabled', 'fenced', 'locks', 'log', 'log_writes', 'ring', 'ring_read',
		'row_security', 'sending', 'triggers', 'unconfirmed', 'watches', 'worker', 'worker_slots'], 'these are the checks');
SELECT is(pg_temp.wrong(), '', 'at first nothing is wrong');
SELECT is_empty('SELECT FROM webhook.health() WHERE detail IS NULL OR ok <> (hint IS NULL)',
	'each check has a detail, and a hint if it is wrong');

SAVEPOINT triggers;
ALTER TABLE webhook_internal.pending DISABLE TRIGGER ALL;
ALTER TABLE webhook_internal.pending ENABLE TRIGGER ALL;
SELECT is(pg_temp.wrong(), 'triggers', 'triggers that no longer keep out replicated rows are wrong');
SELECT alike(pg_temp.told('triggers'), '%drop_replicated on webhook_internal.pending, forget_txid on webhook_internal.pending, wake_worker on webhook_internal.pending | %',
	'... and are named');
ALTER TABLE webhook_internal.pending ENABLE REPLICA TRIGGER drop_replicated;
ALTER TABLE webhook_internal.pending
	ENABLE ALWAYS TRIGGER wake_worker, ENABLE ALWAYS TRIGGER forget_txid;
SELECT is(pg_temp.wrong(), '', '... until they are set right');
ROLLBACK TO triggers;

SAVEPOINT row_security;
ALTER TABLE webhook.log DISABLE ROW LEVEL SECURITY;
SELECT is(pg_temp.wrong(), 'row_security', 'a log without row-level security is wrong');
ROLLBACK TO row_security;
CREATE POLICY more ON webhook.log USING (true);
SELECT is(pg_temp.wrong(), 'row_security', '... and one that has another policy');
SELECT alike(pg_temp.told('row_security'), 'The policies of the log are more, own | %', '... which is named');
ROLLBACK TO row_security;
CREATE POLICY less ON webhook.log AS RESTRICTIVE USING (outcome = 'failed');
SELECT is(pg_temp.wrong(), '', '... but not one that has a policy that lets nobody see more');
DROP POLICY own ON webhook.log;
SELECT is(pg_temp.wrong(), 'row_security', '... and one that has lost its own');
ROLLBACK TO row_security;
CREATE TABLE webhook_internal.log_20010101 PARTITION OF webhook.log FOR VALUES FROM ('2001-01-01') TO ('2001-01-02');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART;
SELECT is(pg_temp.wrong(), '', 'a log that was restored before its subscriptions is not wrong');
ROLLBACK TO row_security;

SELECT webhook.define_event_type('App.Health');
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 31;
SELECT webhook.subscribe('https://example.com/health/' || n, '{App.Health}') FROM generate_series(1, 3) AS n;
SELECT is(pg_temp.wrong(), '', 'a subscription is not wrong');

SAVEPOINT state;
INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, probe_interval, opened_at, reason, suspended,
		delivered, failed, retried, filter_errors, rate, saved_at)
	VALUES (32, 'open', 'open', 1, 10, 10, 10, now(), 'no connection', '0', 0, 0, 0, 0, 0, now());
SELECT is(pg_temp.wrong(), 'breakers', 'an open breaker is');
SELECT alike(pg_temp.told('breakers'), 'open: subscription 32 (%no connection) | Repair the endpoint%',
	'... and is named with its reason');
SELECT results_eq($$ SELECT check_name FROM webhook.health() WHERE check_name <> 'worker' LIMIT 1 $$, ARRAY['breakers'],
	'what is wrong comes first');
SELECT pg_temp.wait(32, now() - interval '1 hour');
SELECT is(pg_temp.wrong(), 'breakers', 'what waits for its breaker is not overdue');
ROLLBACK TO state;

INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
		consecutive_failures, failures_since_success, probe_interval, disabled_at, reason,
		suspended, delivered, failed, retried, filter_errors, rate, saved_at)
	VALUES (32, 'disabled', 'closed', 1, 1, 1, 0, now(), 'the endpoint is gone', '0', 0, 0, 0, 0, 0, now());
SELECT is(pg_temp.wrong(), 'disabled', 'a subscription that the worker has disabled is wrong');
ROLLBACK TO state;
SELECT webhook.alter_subscription(32, enabled => false);
SELECT is(pg_temp.wrong(), '', 'one that somebody has disabled is not');
ROLLBACK TO state;

UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 31;
SELECT is(pg_temp.wrong(), 'fenced', 'a fenced subscription is wrong');
SELECT alike(pg_temp.told('fenced'), 'fenced: subscription 31 (%) | %webhook.resume_database().',
	'... and is named with what to do');
ROLLBACK TO state;

CREATE TABLE public.health_contract (id int PRIMARY KEY, status text);
SELECT webhook.watch('public.health_contract');
SELECT is(pg_temp.wrong(), '', 'a watched table is not wrong');
ALTER TABLE public.health_contract DISABLE TRIGGER ALL;
SELECT is(pg_temp.wrong(), 'watches', 'one whose trigger is disabled is');
SELECT alike(pg_temp.told('watches'), '%health_contract: %', '... and is named');
ROLLBACK TO state;

SELECT pg_temp.wait(33, now() - interval '4 min');
SELECT is(pg_temp.wrong(), '', 'a delivery that is due is not overdue at once');
UPDATE webhook_internal.pending SET next_at = now() - interval '6 min';
SELECT is(pg_temp.wrong(), 'deliveries', 'after five minutes it is');
SELECT webhook.pause(33);
SELECT is(pg_temp.wrong(), '', '... unless its subscription is paused');
ROLLBACK TO state;

INSERT INTO webhook_internal.event_0 (id, txid, created_at, event_id, kind)
	VALUES (0, pg_current_xact_id(), now() - interval '6 min', '00000000-0000-7000-8000-000000000000', 'c');
SELECT is(pg_temp.wrong(), 'ring_read', 'a row of the ring that nobody reads is wrong');
ROLLBACK TO state;
INSERT INTO webhook_internal.event_3 (id, txid, created_at, event_id, kind)
	VALUES (1, '3', now() - interval '3 days', '00000000-0000-7000-8000-000000000000', 'c');
SELECT is((SELECT ok FROM webhook.health() WHERE check_name = 'ring'), false, 'so is a row that is kept much longer than wanted');
ROLLBACK TO state;

CREATE TABLE webhook_internal.log_20010101 PARTITION OF webhook.log FOR VALUES FROM ('2001-01-01') TO ('2001-01-02');
SELECT is(pg_temp.wrong(), 'log', 'so is a leaf of the log that should have been dropped');
SAVEPOINT fenced;
UPDATE webhook_internal.subscription SET home = '1/1' WHERE id = 31;
SELECT is(pg_temp.wrong(), 'fenced', '... unless the database is a copy that was not resumed');
ROLLBACK TO fenced;
INSERT INTO webhook_internal.event_3 (id, txid, created_at, event_id, kind)
	VALUES (1, '3', '2001-01-01', '00000000-0000-7000-8000-000000000000', 'c');
SELECT is((SELECT ok FROM webhook.health() WHERE check_name = 'log'), true, '... unless the ring has events from then');
ROLLBACK TO state;
CREATE TABLE webhook_internal.log_21010101 PARTITION OF webhook.log FOR VALUES FROM ('2101-01-01') TO ('2101-01-02');
SELECT is(pg_temp.wrong(), 'clock', 'so is a log that was written by a clock that was ahead');
ROLLBACK TO state;

SET LOCAL datestyle = 'German';
SET LOCAL timezone = 'Asia/Kolkata';
SELECT is(pg_temp.wrong(), '', 'no setting of a session matters');

SELECT * FROM finish();
ROLLBACK;
