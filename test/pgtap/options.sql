--
-- What are the defaults and the bounds of a subscription's options, and what is
-- stored?  What do filters and patterns of event types match?
--
BEGIN;
SELECT no_plan();

SELECT webhook.define_event_type(name) FROM unnest('{App.A,App.B,App.Sub.A,Apple,Other.A}'::text[]) AS name;
CREATE TEMPORARY TABLE mine AS SELECT webhook.subscribe('https://example.com/mine', '{Other.A}') AS id;

-- The stored value of an option as text; the same after it is altered.
CREATE FUNCTION pg_temp.value(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	value	text;
BEGIN
	EXECUTE format('SELECT %I::text FROM webhook_internal.subscription JOIN mine USING (id)', name) INTO value;
	RETURN value;
END
$$;
CREATE FUNCTION pg_temp.altered(name text, given text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT webhook.alter_subscription(%s, %I => %s)', (SELECT id FROM mine), name, given);
	RETURN pg_temp.value(name);
END
$$;
-- The value of an option that is given to subscribe().
CREATE FUNCTION pg_temp.subscribed(name text, given text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	new		bigint;
	value	text;
BEGIN
	EXECUTE format('SELECT webhook.subscribe(''https://example.com/other'', ''{App.A}'', %I => %s)', name, given) INTO new;
	EXECUTE format('SELECT %I::text FROM webhook_internal.subscription WHERE id = %s', name, new) INTO value;
	PERFORM webhook.unsubscribe(new);
	RETURN value;
END
$$;

-- The defaults
SELECT is(pg_temp.value(name), value, format('%s is %s at first', name, coalesce(value, 'as set for all')))
	FROM (VALUES ('filter', NULL), ('payload_format', 'envelope'), ('ordered', 'true'), ('max_in_flight', NULL),
		('rate_limit', NULL), ('timeout', NULL), ('retry_schedule', NULL), ('max_age', NULL),
		('final_statuses', '{}')) AS v (name, value);

-- What is accepted, how it is stored, and what restores the default
CREATE TEMPORARY TABLE accepted (name text, given text, stored text);
INSERT INTO accepted VALUES
	('filter', $$ '$.NewStatus == "Approved"' $$, '($."NewStatus" == "Approved")'),
	('filter', $$ 'true' $$, NULL),
	('filter', $$ 'strict exists($.a ? (@ > 1))' $$, 'strict exists ($."a"?(@ > 1))'),
	('filter', $$ 'strict $.a == $.b' $$, 'strict ($."a" == $."b")'),
	('filter', $$ 'strict $.a[*] != $.b[last - 1].c' $$, 'strict ($."a"[*] != $."b"[last - 1]."c")'),
	('filter', $$ 'strict exists($.a[*] ? (@.b == $.c))' $$, 'strict exists ($."a"[*]?(@."b" == $."c"))'),
	('filter', $$ CAST('$.a == 1' || repeat(' * 2', 16) AS jsonpath) $$, '($."a" == ' || repeat('(', 15) || '1' || repeat(' * 2)', 16)),
	('filter', $$ '$.a + 1 == $.b * 2' $$, '($."a" + 1 == $."b" * 2)'),
	('filter', $$ '$.**.b[0 to last] > 1 || $.keyvalue().key == "a"' $$, '($.**."b"[0 to last] > 1 || $.keyvalue()."key" == "a")'),
	('filter', $$ '$.a starts with "x" && !($.b == null)' $$, '($."a" starts with "x" && !($."b" == null))'),
	-- what may cost more than in proportion to the data, but can be interrupted
	('filter', $$ '$.a[*] ? ($.b == 1) == 2' $$, '($."a"[*]?($."b" == 1) == 2)'),
	('filter', $$ 'strict exists($.a[*] ? (exists($.b ? (@.c[*] == 1))))' $$, 'strict exists ($."a"[*]?(exists ($."b"?(@."c"[*] == 1))))'),
	('filter', $$ '$.**.** == 1' $$, '($.**.** == 1)'),
	('filter', $$ 'exists($.** ? (@.a.** == 1))' $$, 'exists ($.**?(@."a".** == 1))'),
	('filter', $$ '$.keyvalue().value.keyvalue().key == "a"' $$, '($.keyvalue()."value".keyvalue()."key" == "a")'),
	('filter', $$ '$[0,0][0,0] == 1' $$, '($[0,0][0,0] == 1)'),
	('filter', $$ '$.a[$.b] == 1' $$, '($."a"[$."b"] == 1)'),
	('filter', $$ 'exists($.a[*] ? (@.b[0 to @.c[*].size()] == 1))' $$, 'exists ($."a"[*]?(@."b"[0 to @."c"[*].size()] == 1))'),
	('filter', $$ ('$.a == "' || repeat('é', 8185) || '"')::jsonpath $$, '($."a" == "' || repeat('é', 8185) || '")'),
	('description', $$ repeat('é', 2048) $$, repeat('é', 2048)),
	('description', $$ '' $$, NULL),
	('payload_format', $$ 'raw' $$, 'raw'),
	('payload_format', $$ 'standard' $$, 'standard'),
	('payload_format', $$ 'envelope' $$, 'envelope'),
	('ordered', 'false', 'false'),
	('ordered', 'true', 'true'),
	('include_context', 'true', 'true'),
	('include_context', 'false', 'false'),
	('log_bodies', $$ 'all' $$, 'all'),
	('log_bodies', $$ 'failed' $$, 'failed'),
	('log_bodies', $$ 'none' $$, 'none'),
	('log_bodies', $$ '' $$, NULL),
	('max_in_flight', '1', '1'),
	('max_in_flight', '1000', '1000'),
	('max_in_flight', '0', NULL),
	('rate_limit', '10000', '10000'),
	('rate_limit', '0.00001', '1e-05'),
	('rate_limit', '2.5', '2.5'),
	('rate_limit', '0', NULL),
	('timeout', $$ '1 ms' $$, '00:00:00.001'),
	('timeout', $$ '5 min' $$, '00:05:00'),
	('timeout', $$ '0' $$, NULL),
	('retry_schedule', $$ '{1 s}' $$, '{00:00:01}'),
	('retry_schedule', $$ '{30 days,1 mon,36 h}' $$, '{"30 days","30 days","1 day 12:00:00"}'),
	('retry_schedule', $$ '{{5 s,5 min},{5 min,5 s}}' $$, '{00:00:05,00:05:00,00:05:00,00:00:05}'),
	('retry_schedule', $$ array_fill(interval '1 s', '{100}') $$, array_fill(interval '1 s', '{100}')::text),
	('retry_schedule', $$ '{}' $$, NULL),
	('max_age', $$ '1 min' $$, '00:01:00'),
	('max_age', $$ '7 days' $$, '7 days'),
	('max_age', $$ '1 year' $$, '365 days 06:00:00'),
	('max_age', $$ '0' $$, NULL),
	('final_statuses', $$ '{599,300,422,422}' $$, '{300,422,599}'),
	('final_statuses', $$ ARRAY(SELECT 400 + n FROM generate_series(1, 50) n) $$,
		(SELECT array_agg(400 + n)::text FROM generate_series(1, 50) n)),
	('final_statuses', $$ '{}' $$, '{}');
SELECT is(pg_temp.altered(name, given), stored, format('alter_subscription() takes %s => %s', name, left(trim(given), 40)))
	FROM accepted;
SELECT is(pg_temp.subscribed(name, given), stored, format('subscribe() takes %s => %s', name, left(trim(given), 40)))
	FROM accepted;

-- What both functions refuse
CREATE TEMPORARY TABLE refused (name text, given text, state text);
INSERT INTO refused VALUES
	('filter', $$ '$.a like_regex "^x"' $$, '0A000'),
	('filter', $$ '$.a ? (exists(@.b ? (@ like_regex "x"))) == 1' $$, '0A000'),
	('filter', $$ '$.a == $b' $$, '0A000'),
	('filter', $$ 'no path' $$, '42601'),
	('filter', $$ '$.a > 1e1000' $$, '0A000'),
	('filter', $$ '$.a[1e1000 / 3] == 1' $$, '0A000'),
	('filter', $$ CAST('$.a == 1' || repeat(' * $.b / 2', 8) || ' % 3' AS jsonpath) $$, '0A000'),
	('filter', $$ '$ ? (@.a == 1)' $$, '22023'),
	('filter', $$ '$.a.size()' $$, '22023'),
	('filter', $$ '$.a + 1' $$, '22023'),
	('filter', $$ '"true"' $$, '22023'),
	('filter', $$ '1' $$, '22023'),
	('filter', $$ 'null' $$, '22023'),
	-- comparisons of many items with many others: nothing can interrupt one
	('filter', $$ '$.a == $.b' $$, '0A000'),
	('filter', $$ '!(-$.a.size() <> $.b[0].size())' $$, '0A000'),
	('filter', $$ 'strict $.a[*] == $.b[*]' $$, '0A000'),
	('filter', $$ 'strict exists($.a ? (@.b.* < @[0 to 5].c))' $$, '0A000'),
	('filter', $$ ('$.a == "' || repeat('é', 8186) || '"')::jsonpath $$, '54000'),
	('description', $$ repeat('é', 2049) $$, '54000'),
	('payload_format', $$ '' $$, '22023'),
	('payload_format', $$ 'Envelope' $$, '22023'),
	('max_in_flight', '-1', '22023'),
	('max_in_flight', '1001', '22023'),
	('rate_limit', '-1', '22023'),
	('rate_limit', '0.000009', '22023'),
	('rate_limit', '10001', '22023'),
	('rate_limit', $$ 'NaN' $$, '22023'),
	('rate_limit', $$ 'Infinity' $$, '22023'),
	('rate_limit', $$ '-Infinity' $$, '22023'),
	('timeout', $$ '999 us' $$, '22023'),
	('timeout', $$ '300.001 s' $$, '22023'),
	('timeout', $$ '-1 s' $$, '22023'),
	('timeout', $$ '1 mon -30 days 1 us' $$, '22023'),
	('retry_schedule', $$ '{0}' $$, '22023'),
	('retry_schedule', $$ '{5 s,0.999 s}' $$, '22023'),
	('retry_schedule', $$ '{30 days 1 s}' $$, '22023'),
	('log_bodies', $$ 'None' $$, '22023'),
	('log_bodies', $$ 'delivered' $$, '22023'),
	('retry_schedule', $$ '{-5 s}' $$, '22023'),
	('retry_schedule', $$ '{5 s,NULL}' $$, '22004'),
	('retry_schedule', $$ array_fill(interval '1 s', '{101}') $$, '54000'),
	('max_age', $$ '59 s' $$, '22023'),
	('max_age', $$ '1 year 1 s' $$, '22023'),
	('max_age', $$ '-1 day' $$, '22023'),
	('final_statuses', $$ '{299}' $$, '22023'),
	('final_statuses', $$ '{422,600}' $$, '22023'),
	('final_statuses', $$ '{422,NULL}' $$, '22004'),
	('final_statuses', $$ ARRAY(SELECT 400 + n FROM generate_series(1, 51) n) $$, '54000');
SELECT throws_ok(format('SELECT pg_temp.altered(%L, %L)', name, given), state::char(5), NULL,
		format('alter_subscription() refuses %s => %s', name, left(trim(given), 40)))
	FROM refused;
SELECT throws_ok(format('SELECT pg_temp.subscribed(%L, %L)', name, given), state::char(5), NULL,
		format('subscribe() refuses %s => %s', name, left(trim(given), 40)))
	FROM refused;
SELECT throws_ok(format('SELECT pg_temp.subscribed(%L, ''NULL'')', name), '22004', NULL,
		format('subscribe() refuses %s => NULL', name))
	FROM unnest('{payload_format,ordered,final_statuses,include_context}'::text[]) AS name;

-- A refused call changes nothing, and NULL keeps a value.
SELECT webhook.alter_subscription(id, filter => '$.a == 1', payload_format => 'raw', ordered => false, max_in_flight => 3,
		rate_limit => 4, timeout => '5 s', retry_schedule => '{6 s}', max_age => '7 min', final_statuses => '{418}')
	FROM mine;
CREATE TEMPORARY TABLE before AS SELECT s::text AS row FROM webhook_internal.subscription s
	JOIN mine USING (id);
SELECT throws_ok(format($$ SELECT webhook.alter_subscription(%s, timeout => '9 s', max_in_flight => 1001) $$, id), '22023')
	FROM mine;
SELECT webhook.alter_subscription(id) FROM mine;
SELECT is(s::text, before.row, 'NULL keeps every option') FROM webhook_internal.subscription s JOIN mine USING (id), before;
SELECT webhook.alter_subscription(id, filter => 'true', rate_limit => 0, max_in_flight => 0, timeout => '0',
		retry_schedule => '{}', max_age => '0', payload_format => 'envelope', ordered => true, final_statuses => '{}')
	FROM mine;
SELECT is(num_nulls(filter, rate_limit, max_in_flight, timeout, retry_schedule, max_age), 6, 'all back to their defaults')
	FROM webhook_internal.subscription JOIN mine USING (id);

--
-- Filters as the worker evaluates them
--
SELECT is(webhook_internal.accepts(filter::jsonpath, data::json), accepted,
		format('%s %s %s', coalesce(filter, 'no filter'), CASE WHEN accepted THEN 'accepts' ELSE 'refuses' END, data))
	FROM (VALUES
		('$.a == 1', '{"a": 1}', true),
		('$.a == 1', '{"a": 2}', false),
		('$.a == 1', '{"b": 1}', false),
		('$.a == 1', '[{"a": 2}, {"a": 1}]', true),
		('$.a', '{"a": true}', true),
		('$.a', '{"a": "true"}', false),
		('$.a.b.c > 5', '{"a": 1}', false),
		('strict $.a.b > 5', '{"a": 1}', false),
		('$.a / 0 == 1', '{"a": 1}', false),
		('$.a * $.b == 6', '{"a": 2, "b": 3, "c": "1e9999\"77"}', true),
		('$.a % 7 == 4', '{"a": 1e1000}', true),
		('$.a % 7 == 2', '{"b": [-1E+1001], "a": 2}', false),
		('$.a / 7 > 2', '{"b": 1e-9999999999, "a": 70}', false),
		('$.a * 2 > 2', '{"a": 1' || repeat('0', 1000) || '}', false),
		('$.a + 2 > 2', '{"a": 1' || repeat('0', 1000) || '}', true),
		('$ == "x"', '"x"', true),
		('$.a == "\u00e4"', '{"a": "ä"}', true),
		('$.a == 1', '{"a": "\u0000"}', false),
		('true', 'null', true),
		(NULL, '{"a": 1}', true),
		(NULL, 'null', true)) AS v (filter, data, accepted);

--
-- Patterns
--
SELECT is(webhook_internal.matches(pattern, event_type), expected,
		format('%s %s %s', pattern, CASE WHEN expected THEN 'has' ELSE 'has not' END, event_type))
	FROM (VALUES
		('App.A', 'App.A', true), ('App.A', 'App.AB', false), ('App.AB', 'App.A', false), ('App.A', 'app.a', false),
		('*', 'App.A', true), ('*', 'Apple', true), ('*', 'App.*', true), ('*', '*', true),
		('App.*', 'App.A', true), ('App.*', 'App.Sub.A', true), ('App.*', 'Apple', false), ('App.*', 'App', false),
		('App.*', 'App.', true), ('App.*', 'App.*', true), ('App.*', 'App.Sub.*', true), ('App.Sub.*', 'App.*', false),
		('App.*', '*', false), ('App.A', '*', false), ('App.A', 'App.*', false)) AS v (pattern, event_type, expected);

SET LOCAL client_min_messages = warning;
CREATE FUNCTION pg_temp.events(given text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
	PERFORM webhook.alter_subscription((SELECT id FROM mine), events => given);
	RETURN (SELECT events FROM webhook_internal.subscription JOIN mine USING (id));
END
$$;
SELECT is(pg_temp.events(given), stored, format('%s', given))
	FROM (VALUES
		('{*}'::text[], '{*}'::text[]),
		('{App.*}', '{App.*}'),
		('{Nobody.has.defined.these.*}', '{Nobody.has.defined.these.*}'),
		('{App.*,Other.A}', '{App.*,Other.A}'),
		('{App.A,App.*,App.Sub.*,Apple}', '{App.*,Apple}'),
		('{*,App.*,Other.A}', '{*}'),
		('{App.*,App.*}', '{App.*}')) AS v (given, stored);
SELECT is(cardinality(pg_temp.events(ARRAY(SELECT 'x' || n || '.*' FROM generate_series(1, 500) n))), 500, 'as many patterns as may be');
SELECT throws_ok($$ SELECT pg_temp.events(ARRAY(SELECT 'x' || n || '.*' FROM generate_series(1, 501) n)) $$, '54000', NULL, 'one pattern too many');
SELECT throws_ok(format('SELECT pg_temp.events(ARRAY[%L])', given), '22023', NULL, format('no pattern: %s', to_json(given)))
	FROM unnest(ARRAY['App*', '*.A', 'App.*.A', '**', 'App.**', '.*', ' *', '* ', '-a.*', 'App .*', E'App.*\n',
		repeat('x', 127) || '.*']) AS given;
SELECT lives_ok(format('SELECT pg_temp.events(ARRAY[%L])', repeat('x', 126) || '.*'), 'a pattern of 128 bytes');
SELECT throws_ok($$ SELECT pg_temp.events('{App.*,App.C}') $$, '42704', NULL, 'a name has to be defined');

-- An event type can be subscribed to once for an endpoint.
SELECT pg_temp.events('{App.*,Other.A}');
SELECT throws_ok(format('SELECT webhook.subscribe(''https://example.com/mine'', ARRAY[%L])', event), '23505', NULL,
		format('%s is subscribed to already', event))
	FROM unnest('{App.A,App.Sub.A,App.*,App.Sub.*,*,Other.A,Other.*}'::text[]) AS event;
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/mine', '{Apple,Others.*}') $$, 'other event types can be added');
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/elsewhere', '{*}') $$, 'another endpoint can have all event types');
SELECT throws_ok(format($$ SELECT webhook.alter_subscription(%s, events => '{*}') $$, id), '23505', NULL, 'alter_subscription() refuses a duplicate, too')
	FROM mine;
SELECT lives_ok(format($$ SELECT webhook.alter_subscription(%s, events => '{App.Sub.*,App.A}') $$, id), 'a part of its own event types is no duplicate')
	FROM mine;

-- Event types that the extension reserves
SELECT throws_ok($$ SELECT webhook.define_event_type('webhook.ping') $$, '42939', NULL, 'event types that start with webhook. are reserved');
SELECT lives_ok($$ SELECT webhook.define_event_type('webhooks.ping') $$);

--
-- Disabled by the worker, and enabled again
--
CREATE FUNCTION pg_temp.since() RETURNS text LANGUAGE sql AS $$
	SELECT since::text FROM webhook_internal.subscription JOIN mine USING (id)
$$;
CREATE FUNCTION pg_temp.set_disabled_by_worker(since pg_snapshot) RETURNS void LANGUAGE sql AS $$
	DELETE FROM webhook_internal.subscription_state;
	INSERT INTO webhook_internal.subscription_state (subscription_id, state, breaker, concurrency,
			consecutive_failures, failures_since_success, probe_interval, reason, disabled_at,
			disabled_start_snapshot, suspended, delivered, failed, retried, filter_errors,
			rate, saved_at)
		SELECT id, 'disabled', 'open', 1, 20, 20, 10, 'nobody is there', clock_timestamp(), set_disabled_by_worker.since, '0', 0, 0, 20, 0, 0, clock_timestamp()
		FROM mine
$$;
UPDATE webhook_internal.subscription SET since = '3:5:4' WHERE id = (SELECT id FROM mine);
SELECT ok(NOT webhook_internal.is_disabled(id), 'without a state a subscription is enabled') FROM mine;
SELECT pg_temp.set_disabled_by_worker('3:5:4');
SELECT ok(webhook_internal.is_disabled(id), 'a subscription that the worker disabled is disabled') FROM mine;
SELECT webhook.alter_subscription(id, description => 'x') FROM mine;
SELECT is(pg_temp.since(), '3:5:4', 'altering it keeps its start snapshot');
SELECT webhook.alter_subscription(id, enabled => true) FROM mine;
SELECT isnt(pg_temp.since(), '3:5:4', 'enabling it renews its start snapshot');
SELECT ok(NOT webhook_internal.is_disabled(id), 'it is enabled then') FROM mine;
CREATE TEMPORARY TABLE renewed AS SELECT pg_temp.since() AS since;
SELECT webhook.alter_subscription(id, enabled => true) FROM mine;
SELECT is(pg_temp.since(), since, 'enabling it again does not renew it') FROM renewed;
SELECT pg_temp.set_disabled_by_worker('3:5:');
SELECT ok(NOT webhook_internal.is_disabled(id), 'disabled by the worker before it was last enabled: it is enabled') FROM mine;
SELECT pg_temp.set_disabled_by_worker(NULL);
SELECT ok(webhook_internal.is_disabled(id), 'disabled by the worker at an unknown time: it is disabled') FROM mine;
SELECT webhook.alter_subscription(id, enabled => false) FROM mine;
SELECT is(enabled, false, 'alter_subscription() disables it, too') FROM webhook_internal.subscription JOIN mine USING (id);
DELETE FROM webhook_internal.subscription_state;
SELECT ok(webhook_internal.is_disabled(id), 'it is disabled without the worker, too') FROM mine;
SELECT ok(NOT webhook_internal.is_disabled(0), 'one that does not exist is not disabled');

-- Bounds of settings hold for options.
SELECT is(ARRAY[min_val, max_val], ARRAY[1, bounds.max_in_flight]::text[], name)
	FROM pg_settings, webhook_internal.bounds() WHERE name = 'webhook.max_in_flight_per_subscription';
SELECT is(tenant_max_in_flight, max_val::int, 'a tenant has as many requests in flight as the setting allows')
	FROM pg_settings, webhook_internal.bounds() WHERE name = 'webhook.max_in_flight';
SELECT cmp_ok((min_val || unit)::interval, '>=', bounds.min_timeout::interval, name || ', where a bare number might be meant as seconds')
	FROM pg_settings, webhook_internal.bounds() WHERE name = 'webhook.timeout';
SELECT is((max_val || unit)::interval, bounds.max_timeout::interval, name)
	FROM pg_settings, webhook_internal.bounds() WHERE name = 'webhook.timeout';

SELECT * FROM finish();
ROLLBACK;
