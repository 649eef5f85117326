/*
 * What a run of chaos writes to, and its oracle: table "committed" is written in
 * the transaction of each change, so it has what was committed and nothing else.
 *
 * A change is "<old status>><new status>". No two changes have the same text,
 * because a new status is made of its writer, the number of its transaction and
 * the id of its row.
 */
CREATE EXTENSION webhook;

CREATE TABLE business_request (
	id		bigint PRIMARY KEY,
	status	text
);
SELECT webhook.watch('business_request');
SELECT webhook.define_event_type('App.Chaos');

-- The id is drawn under the lock of the row, or of the subject, so it gives the
-- order within a subject.
CREATE TABLE committed (
	id			bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	event_type	text NOT NULL,
	subject		text,
	change		text NOT NULL,
	txid		xid8 NOT NULL DEFAULT pg_current_xact_id()
);

CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP <> 'UPDATE' OR OLD.status IS DISTINCT FROM NEW.status THEN
		INSERT INTO public.committed (event_type, subject, change)
			VALUES ('App.BusinessRequestStatusChange', 'business_request/' || coalesce(NEW.id, OLD.id),
				concat(OLD.status, '>', NEW.status));
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER record_change AFTER INSERT OR UPDATE OR DELETE ON business_request
	FOR EACH ROW EXECUTE FUNCTION record_change();

-- An event of the application's own, whose Data has the form of a change.
CREATE FUNCTION publish_one(number integer, status text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	subject	text := nullif('chaos/' || number, 'chaos/0');
BEGIN
	PERFORM pg_advisory_xact_lock(number) WHERE number <> 0;
	PERFORM webhook.publish('App.Chaos',
		json_build_object('OldStatus', NULL, 'NewStatus', status), subject);
	INSERT INTO committed (event_type, subject, change) VALUES ('App.Chaos', subject, '>' || status);
END $$;

/*
 * What was asked of each subscription, its "key" being a part of its endpoint.
 * The statement saw what had committed in snapshot "before"; it was committed
 * when snapshot "after" was taken.
 */
CREATE TABLE history (
	number		integer GENERATED ALWAYS AS IDENTITY,
	key			integer NOT NULL,
	action		text NOT NULL,
	events		text[],
	filter		text,
	is_ordered	boolean,
	before		pg_snapshot NOT NULL,
	after		pg_snapshot,
	subscription bigint NOT NULL
);

CREATE FUNCTION subscribe_key(key integer, endpoint text, events text[], filter text,
	is_ordered boolean, max_in_flight integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	before	pg_snapshot := pg_current_snapshot();
BEGIN
	INSERT INTO history (key, action, events, filter, is_ordered, before, subscription)
		VALUES (key, 'subscribe', events, filter, is_ordered, before,
			webhook.subscribe(endpoint, events, filter => filter::jsonpath, ordered => is_ordered,
				max_in_flight => max_in_flight, timeout => '2s'));
END $$;

-- The action is a statement with the subscription's number as $1.
CREATE FUNCTION change_key(key integer, action text, statement text,
	events text[] DEFAULT NULL, filter text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	subscription bigint := (SELECT h.subscription FROM history h
		WHERE h.key = change_key.key AND h.action = 'subscribe');
BEGIN
	INSERT INTO history (key, action, events, filter, before, subscription)
		VALUES (key, action, events, filter, pg_current_snapshot(), subscription);
	EXECUTE statement USING subscription;
END $$;

-- An index on the log calls room(), which fails while "disk" says that it is full.
CREATE TABLE disk (is_full boolean);
INSERT INTO disk VALUES (false);
CREATE FUNCTION room(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT is_full FROM public.disk) THEN
		RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full';
	END IF;
	RETURN $1;
END $$;
