/*
 * Triggers
 */

CREATE FUNCTION webhook_internal.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';

CREATE FUNCTION webhook_internal.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_0
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_0 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_1
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_1 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_2
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_2 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook_internal.event_3
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated();
ALTER TABLE webhook_internal.event_3 ENABLE REPLICA TRIGGER drop_replicated;

-- A restore, or a hand, writes where the worker would not look by itself.
CREATE FUNCTION webhook_internal.wake_worker() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_wake_worker';

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.subscription
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.subscription ENABLE ALWAYS TRIGGER wake_worker;

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.subscription_secret
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.subscription_secret ENABLE ALWAYS TRIGGER wake_worker;

CREATE TRIGGER wake_worker
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook_internal.pending
	FOR EACH STATEMENT EXECUTE FUNCTION webhook_internal.wake_worker();
ALTER TABLE webhook_internal.pending ENABLE ALWAYS TRIGGER wake_worker;

