/*
 * Triggers
 */

CREATE FUNCTION webhook.enqueue() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_enqueue';

CREATE FUNCTION webhook.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_0
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_0 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_1
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_1 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_2
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_2 ENABLE REPLICA TRIGGER drop_replicated;

CREATE TRIGGER drop_replicated
	BEFORE INSERT ON webhook.event_3
	FOR EACH ROW EXECUTE FUNCTION webhook.drop_replicated();
ALTER TABLE webhook.event_3 ENABLE REPLICA TRIGGER drop_replicated;

-- A restore, or a hand, writes where the worker would not look by itself.
CREATE FUNCTION webhook.note_change() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_note_change';

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.subscription
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.subscription ENABLE ALWAYS TRIGGER note_change;

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.subscription_secret
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.subscription_secret ENABLE ALWAYS TRIGGER note_change;

CREATE TRIGGER note_change
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON webhook.pending
	FOR EACH STATEMENT EXECUTE FUNCTION webhook.note_change();
ALTER TABLE webhook.pending ENABLE ALWAYS TRIGGER note_change;

