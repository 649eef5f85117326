-- What the extension is compared with: an outbox table that a PL/pgSQL trigger
-- fills, and functions that a worker takes batches from it by.  Indexed by its
-- key only, dequeued in order with SKIP LOCKED, rows deleted when done, a log
-- row for each in the same statement: no faster way in SQL is known to us.

CREATE TABLE outbox (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	event_id	uuid NOT NULL DEFAULT gen_random_uuid(),
	event_type	text NOT NULL,
	subject		text NOT NULL,
	data		json NOT NULL,
	created		timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE outbox_log (
	id			bigint NOT NULL,
	event_id	uuid NOT NULL,
	logged_at	timestamptz NOT NULL,
	event_type	text NOT NULL,
	subject		text,
	created		timestamptz NOT NULL,
	attempt		integer NOT NULL,
	method		text,
	endpoint	text,
	requested_at	timestamptz,
	duration	interval,
	request_headers	jsonb,
	request_body	text,
	response_status	integer,
	response_headers	jsonb,
	response_body	text,
	outcome		text NOT NULL
);
CREATE INDEX ON outbox_log (event_id);

CREATE FUNCTION outbox_enqueue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO outbox (event_type, subject, data)
		VALUES ('App.BusinessRequestStatusChange', 'business_request/' || NEW.id,
			json_build_object('BusinessRequestId', NEW.id,
				'Operation', TG_OP, 'OldStatus', OLD.status, 'NewStatus', NEW.status));
	RETURN NULL;
END
$$;

CREATE FUNCTION outbox_body(o outbox) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT concat('{"Id":"', o.event_id, '","WebhookEvent":"', o.event_type,
		'","Subject":"', o.subject, '","Attempt":1,"Data":', o.data, ',"CreationTimeUtc":"',
		to_char(o.created AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '"}')
$$;

CREATE FUNCTION outbox_take(size integer)
	RETURNS TABLE (id bigint, event_id uuid, body text)
	LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY
		SELECT o.id, o.event_id, outbox_body(o)
			FROM outbox o ORDER BY o.id LIMIT size
			FOR UPDATE SKIP LOCKED;
END
$$;

-- Microseconds: of the request since 1970, and how long it took.
CREATE FUNCTION outbox_done(ids bigint[], started bigint[], took bigint[], statuses integer[])
	RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WITH done AS (
		DELETE FROM outbox o WHERE o.id = ANY (ids) RETURNING o.*
	)
	INSERT INTO outbox_log
		SELECT d.id, d.event_id, clock_timestamp(), d.event_type, d.subject,
				d.created, 1, 'POST', 'http://127.0.0.1/outbox',
				to_timestamp(a.started / 1e6), a.took * interval '1 us',
				jsonb_build_object('content-type', 'application/json; charset=utf-8',
					'user-agent', 'outbox/1.0', 'webhook-id', d.event_id,
					'webhook-timestamp', '1795512600',
					'webhook-signature', 'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
					'webhook-event', d.event_type, 'webhook-attempt', '1'),
				outbox_body(ROW(d.*)::outbox), a.status, '{"content-length": "2"}'::jsonb,
				'ok', CASE a.status WHEN 200 THEN 'delivered' ELSE 'failed' END
			FROM done d
				JOIN unnest(ids, started, took, statuses) AS a (id, started, took, status)
					USING (id);
END
$$;

-- All of it in the database: takes and finishes batches as if each had been
-- answered at once.
CREATE PROCEDURE outbox_drain(size integer) LANGUAGE plpgsql AS $$
DECLARE
	ids			bigint[];
	now_us		bigint;
BEGIN
	LOOP
		SELECT array_agg(t.id) INTO ids FROM outbox_take(size) AS t;
		EXIT WHEN ids IS NULL;
		now_us := extract(epoch FROM clock_timestamp()) * 1e6;
		PERFORM outbox_done(ids, array_fill(now_us, ARRAY[cardinality(ids)]),
			array_fill(0::bigint, ARRAY[cardinality(ids)]),
			array_fill(200, ARRAY[cardinality(ids)]));
		COMMIT;
	END LOOP;
END
$$;

-- More tables of contracts: one that nobody watches, one with the trigger from
-- above, and one with ours.
CREATE TABLE plain_request (LIKE business_request INCLUDING ALL);
CREATE TABLE outbox_request (LIKE business_request INCLUDING ALL);
CREATE TABLE watched_request (LIKE business_request INCLUDING ALL);
CREATE TABLE tenant_request (LIKE business_request INCLUDING ALL);

CREATE TRIGGER outbox AFTER UPDATE ON outbox_request
	FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status)
	EXECUTE FUNCTION outbox_enqueue();
