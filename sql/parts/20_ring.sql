/*
 * The ring
 *
 * Events and commands, as they commit. Backends append rows, the worker reads
 * them by (txid, id) and empties whole tables by truncation; no row is updated
 * or deleted. C code reads these tables by column number: src/base/catalog.h
 * lists their columns in the same order.
 */

CREATE SEQUENCE webhook_internal.event_id_seq;
COMMENT ON SEQUENCE webhook_internal.event_id_seq IS 'numbers the rows of the ring, in their order';

DO $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE format($_$
			CREATE TABLE webhook_internal.event_%1$s (
				id			bigint NOT NULL,
				txid		xid8 NOT NULL,
				created_at	timestamptz NOT NULL,
				event_id	uuid NOT NULL,
				kind		"char" NOT NULL,
				event_type	text,
				subject		text,
				tenant		text COLLATE "C",
				context		json,
				data		json
			) USING heap WITH (autovacuum_vacuum_insert_threshold = -1);
			COMMENT ON TABLE webhook_internal.event_%1$s IS 'one of the four ring tables: events and commands, as they commit; see view webhook.event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.id IS 'orders the rows of all ring tables';
			COMMENT ON COLUMN webhook_internal.event_%1$s.txid IS 'top-level transaction that wrote the row';
			COMMENT ON COLUMN webhook_internal.event_%1$s.created_at IS 'when the event occurred, or the command was given';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_id IS 'Id of the event, as sent: a UUIDv7';
			COMMENT ON COLUMN webhook_internal.event_%1$s.kind IS 'e: event; t: event for its tenant alone; p: event for the platform alone; c: subscriptions have changed; for the subscription that data names, x: cancel all its deliveries, k: cancel deliveries of the event, s: skip the first delivery of the subject, r: deliver the event, d: deliveries are due now, n: tell people of its state; z: keep nothing that was sent about the subject';
			COMMENT ON COLUMN webhook_internal.event_%1$s.event_type IS 'type of the event';
			COMMENT ON COLUMN webhook_internal.event_%1$s.subject IS 'what the event is about; events of one subject are delivered in order; null: the event is in no order';
			COMMENT ON COLUMN webhook_internal.event_%1$s.tenant IS 'whose the event is; null: the platform''s own';
			COMMENT ON COLUMN webhook_internal.event_%1$s.context IS 'who caused the event: {"traceparent":"...","context":{...}}, each key where there is a value';
			COMMENT ON COLUMN webhook_internal.event_%1$s.data IS 'Data of the event, as sent; of a command, its arguments';

			CREATE INDEX event_%1$s_txid_id_idx ON webhook_internal.event_%1$s (txid, id);
		$_$, n);
	END LOOP;
END
$$;

CREATE VIEW webhook_internal.ring AS
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_0
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_1
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_2
	UNION ALL
	SELECT id, txid, created_at, event_id, kind, event_type, subject, tenant, context, data
		FROM webhook_internal.event_3;
COMMENT ON VIEW webhook_internal.ring IS 'events and commands in all ring tables';

CREATE VIEW webhook.event WITH (security_barrier) AS
	SELECT id, event_id, event_type, subject, data, created_at, tenant,
		context ->> 'traceparent' AS traceparent, (context -> 'context')::jsonb AS context
	FROM webhook_internal.ring
	WHERE kind IN ('e', 't', 'p')
		AND ((SELECT webhook_internal.sees_all())
			OR kind <> 'p' AND tenant = (SELECT webhook_internal.my_tenant())
				AND webhook_internal.matches_any((
						SELECT t.events FROM webhook_internal.tenant t
							WHERE t.name = (SELECT webhook_internal.my_tenant())),
					event_type));
COMMENT ON VIEW webhook.event IS 'events that are still in the ring';
COMMENT ON COLUMN webhook.event.id IS 'orders all events';
COMMENT ON COLUMN webhook.event.data IS 'Data of the event, as sent';
COMMENT ON COLUMN webhook.event.created_at IS 'when the event occurred';
COMMENT ON COLUMN webhook.event.tenant IS 'whose the event is; null: the platform''s own';
COMMENT ON COLUMN webhook.event.traceparent IS 'trace that caused the event, by webhook.traceparent';
COMMENT ON COLUMN webhook.event.context IS 'who or what caused the event, by webhook.context';

CREATE FUNCTION webhook_internal.is_for(kind "char", event_tenant text, tenant text)
	RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	RETURN CASE WHEN tenant IS NULL THEN kind IN ('e', 'p')
		ELSE kind IN ('e', 't') AND event_tenant = tenant END;
COMMENT ON FUNCTION webhook_internal.is_for("char", text, text) IS 'true if a row of the ring is an event for the subscriptions of the tenant; null: those of the platform';

/*
 * How functions append to the ring
 */

CREATE FUNCTION webhook_internal.new_event_id(created_at timestamptz) RETURNS uuid
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_new_event_id';
COMMENT ON FUNCTION webhook_internal.new_event_id(timestamptz) IS 'a new Id for an event that occurred at that time';

CREATE FUNCTION webhook_internal.command(
	kind "char",
	subscription bigint DEFAULT NULL,
	subject text DEFAULT NULL,
	event uuid DEFAULT NULL
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_command';
COMMENT ON FUNCTION webhook_internal.command("char", bigint, text, uuid) IS 'append a command to the ring';

CREATE FUNCTION webhook_internal.replay(
	subscription bigint,
	cause text,
	id bigint,
	txid xid8,
	event_id uuid,
	created_at timestamptz,
	event_type text,
	subject text,
	data json,
	tenant text,
	context json
) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_replay';
COMMENT ON FUNCTION webhook_internal.replay(bigint, text, bigint, xid8, uuid, timestamptz, text, text, json, text, json) IS 'append the command to deliver an event to a subscription';

CREATE FUNCTION webhook_internal.event_context(traceparent text, context jsonb) RETURNS json
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_event_context';
COMMENT ON FUNCTION webhook_internal.event_context(text, jsonb) IS 'who caused an event, as the ring has it; null: it is not known';
