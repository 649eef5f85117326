--
-- Who caused an event, as the session says: which values of webhook.context and
-- webhook.traceparent go with it, and which are left out?
--
BEGIN;
SELECT no_plan();
SELECT webhook.define_event_type('App.Told');

-- traceparent and context of an event that is published now
CREATE FUNCTION pg_temp.told() RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(e.traceparent, '-') || ' ' || coalesce(e.context::text, '-')
		FROM webhook.event e
		WHERE e.event_id = webhook.publish('App.Told', '{}')
$$;
CREATE FUNCTION pg_temp.warned(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config(setting, value, true);
	PERFORM webhook.publish('App.Told', '{}');
	RETURN (SELECT coalesce(e.traceparent, '-') || ' ' || coalesce(e.context::text, '-')
		FROM webhook.event e ORDER BY e.id DESC LIMIT 1);
END
$$;

SELECT is(pg_temp.warned('webhook.context', ''), '- -', 'nothing is told');
SELECT is(pg_temp.warned('webhook.context', '{"user": "ä\"b", "n": [1, {"a": null}]}'), '- {"n": [1, {"a": null}], "user": "ä\"b"}', 'an object');
SELECT is(pg_temp.warned('webhook.traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
	'00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 {"n": [1, {"a": null}], "user": "ä\"b"}', 'a traceparent as well');
SELECT is(r.context::text, '{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","context":{"user": "ä\"b", "n": [1, {"a": null}]}}',
	'the ring has both as they were given') FROM webhook_internal.ring r ORDER BY r.id DESC LIMIT 1;
SELECT is(pg_temp.warned('webhook.context', ''), '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 -', 'a traceparent alone');

-- what is invalid is left out
SET LOCAL client_min_messages = error;
SELECT is(pg_temp.warned('webhook.traceparent', t), '- -', format('no traceparent: %s', t))
	FROM unnest(ARRAY['x', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7', 'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
		'00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
		'00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-', repeat('0', 4000)]) AS t;
SELECT is(pg_temp.warned('webhook.context', c), '- -', format('no context: %s', left(c, 60)))
	FROM unnest(ARRAY['x', 'null', '[]', '"a"', '1', '{', '{}x', '{} ', ' {}', '{"a":1}{}', '{"a"}', '{"a":"\u0000"}', '{"a":"\ud800"}', '{"a":1e131073}',
		'{"a":[1,-2.5E+99999]}', format('{"a":"%s"}', repeat('x', 1100)), repeat('{"a":', 300) || '1' || repeat('}', 300), E'{"a":"\t"}']) AS c;
RESET client_min_messages;
SELECT is(pg_temp.warned('webhook.context', c), '- ' || c::jsonb::text, format('a context: %s', left(c, 60)))
	FROM unnest(ARRAY['{}', '{"a":"1e99999 \\", "b":"\"1e99999"}', '{"a":1e99}', '{"a": 1, "a": 2}', '{"a":"\u00e4\ud83d\ude00"}', format('{"a":"%s"}', repeat('x', 900))]) AS c;

-- it goes with the events of a watch, as it is when the change is made
CREATE TABLE told (id int PRIMARY KEY, status text);
SELECT webhook.watch('told');
SET LOCAL webhook.context = '{"user":"anna"}';
INSERT INTO told VALUES (1, 'a');
SET LOCAL webhook.context = '{"user":"ben"}';
UPDATE told SET id = 2;
UPDATE told SET status = 'b';
SAVEPOINT s;
SET LOCAL webhook.context = '{"user":"carl"}';
ROLLBACK TO s;
UPDATE told SET status = 'c';
RESET webhook.context;
DELETE FROM told;
SELECT is(string_agg(subject || ' ' || coalesce(context ->> 'user', '-'), ', ' ORDER BY id), 'told/1 anna, told/1 ben, told/2 ben, told/2 ben, told/2 ben, told/2 -', 'each event has that of its change')
	FROM webhook.event WHERE subject LIKE 'told/%';

-- nothing stays of a savepoint, of a block that failed, or of a function with settings
CREATE FUNCTION pg_temp.as_function(row_id int) RETURNS void LANGUAGE plpgsql
	SET webhook.context = '{"user":"function"}' AS $$
BEGIN
	INSERT INTO told VALUES (row_id, 'a');
END
$$;
SET LOCAL webhook.context = '{"user":"anna"}';
INSERT INTO told VALUES (10, 'a');
SAVEPOINT s;
SET LOCAL webhook.context = '{"user":"ben"}';
INSERT INTO told VALUES (11, 'a');
ROLLBACK TO s;
INSERT INTO told VALUES (12, 'a');
SELECT pg_temp.as_function(13);
INSERT INTO told VALUES (14, 'a');
DO $$
BEGIN
	SET LOCAL webhook.context = '{"user":"carl"}';
	INSERT INTO told VALUES (15, 'a'), (15, 'b');
EXCEPTION WHEN unique_violation THEN
	INSERT INTO told VALUES (16, 'a');
END
$$;
SAVEPOINT s;
SET LOCAL webhook.context = '{"user":"dora"}';
RELEASE s;
INSERT INTO told VALUES (17, 'a');
SELECT is(string_agg(subject || ' ' || coalesce(context ->> 'user', '-'), ', ' ORDER BY id),
	'told/10 anna, told/12 anna, told/13 function, told/14 anna, told/16 anna, told/17 dora', 'no event has that of a change before')
	FROM webhook.event WHERE subject LIKE 'told/1_';
-- the value changes while a statement's triggers are called
CREATE FUNCTION pg_temp.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('webhook.context', format('{"user":"%s"}', NEW.status), true);
	RETURN NULL;
END
$$;
-- (it is called after the watch, row by row)
CREATE TRIGGER tell AFTER INSERT ON told FOR EACH ROW EXECUTE FUNCTION pg_temp.tell();
INSERT INTO told VALUES (20, 'anna'), (21, 'ben'), (22, 'ben'), (23, 'carl');
SELECT is(string_agg(subject || ' ' || coalesce(context ->> 'user', '-'), ', ' ORDER BY id), 'told/20 dora, told/21 anna, told/22 ben, told/23 ben', 'each row of a statement has the value that is set when its event is made')
	FROM webhook.event WHERE subject LIKE 'told/2_';

-- the form of the ring from its parts
SELECT is(webhook_internal.event_context(NULL, NULL)::text, NULL, 'neither');
SELECT is(webhook_internal.event_context('x', '[1]')::text, NULL, 'neither that is valid');
SELECT is(webhook_internal.event_context('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '{"a": 1}')::text,
	'{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","context":{"a": 1}}', 'both');

SELECT * FROM finish();
ROLLBACK;
