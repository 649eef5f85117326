--
-- Does each refusal of an argument name it in COLUMN, with an SQLSTATE and a HINT?
--
-- Each function of the catalogue is called once with NULL and once with each bad
-- value for each argument, and with good values for the others.
--
BEGIN;
SELECT no_plan();

CREATE DOMAIN whose AS json;
CREATE TABLE contract (id bigint PRIMARY KEY, status text, title text, whose whose, other xml);
CREATE TABLE watched (LIKE contract INCLUDING ALL);
SELECT webhook.watch('watched');
SELECT webhook.define_event_type(name) FROM unnest('{App.Signed,App.Old}'::text[]) AS name;
SELECT webhook.define_tenant('acme');
CREATE TEMPORARY TABLE made AS
	SELECT webhook.subscribe('https://example.com/', '{App.Signed}') AS subscription,
		webhook.publish('App.Signed', '{}', 'contract/1') AS event;
SELECT webhook.subscribe('https://example.com/crm', '{App.Signed}', name => 'crm');

-- A good value of each argument, as an SQL expression.
CREATE TEMPORARY TABLE good (argument text, value text, function text);
INSERT INTO good VALUES
	('name', $$ 'App.Signed' $$, 'alter_event_type'), ('name', $$ 'App.Signed' $$, 'drop_event_type'),
	('relation', $$ 'watched' $$, 'alter_watch'), ('relation', $$ 'watched' $$, 'unwatch');
INSERT INTO good VALUES
	('subscription', (SELECT subscription::text FROM made)),
	('event', (SELECT quote_literal(event) FROM made)),
	('endpoint', $$ 'https://example.com/other' $$), ('events', $$ '{App.Signed}' $$),
	('event_type', $$ 'App.Signed' $$), ('data', $$ '{}' $$), ('subject', $$ 'contract/1' $$),
	('relation', $$ 'contract' $$), ('status_column', $$ 'status' $$), ('name', $$ 'App.New' $$),
	('secret', $$ 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' $$), ('headers', $$ '{}' $$),
	('id', $$ 'x' $$), ('unix_time', '1'), ('body', $$ 'x' $$), ('tolerance', $$ '1 s' $$),
	('since', 'now()'), ('until', 'now()'), ('what', $$ 'failed' $$), ('overlap', $$ '1 h' $$),
	('role', $$ 'regress_refused' $$), ('step', $$ '1 h' $$), ('timeout', $$ '1 ms' $$),
	('tenant', $$ 'acme' $$), ('valid', $$ '1 min' $$), ('may_write', 'true'), ('token', $$ repeat('x', 43) $$);
CREATE ROLE regress_refused;
SELECT webhook.alter_event_type('App.Old', deprecated => true);

-- Bad values; where a function is named, of its argument only.
CREATE TEMPORARY TABLE bad (function text, argument text, value text);
INSERT INTO bad VALUES
	(NULL, 'subscription', '4711'),
	(NULL, 'event', $$ '00000000-0000-0000-0000-000000000000' $$),
	(NULL, 'endpoint', $$ 'gopher://example.com/' $$), (NULL, 'endpoint', $$ 'https://10.0.0.1/' $$),
	(NULL, 'endpoint', $$ 'https://example.com/?a=1&key=***' $$), (NULL, 'endpoint', $$ 'https://example.com/?***' $$),
	('subscribe', 'endpoint', $$ 'https://example.com/' $$),
	(NULL, 'events', $$ '{}' $$), (NULL, 'events', $$ '{NULL}' $$), (NULL, 'events', $$ '{App.Nothing}' $$),
	(NULL, 'events', $$ '{A*}' $$), ('subscribe', 'events', $$ '{App.Signed,App.Old}' $$),
	('alter_subscription', 'events', $$ '{App.Signed,App.Old}' $$),
	(NULL, 'secret', $$ 'password' $$), ('subscribe', 'signature_schemes', $$ '{standard}', secret => 'whs_0123456789abcdef0123456789' $$),
	(NULL, 'headers', $$ '[]' $$), ('subscribe', 'headers', $$ '{"Host": "x"}' $$), ('subscribe', 'headers', $$ '{"a": 1}' $$), ('subscribe', 'headers', $$ '{"X-Key": "***"}' $$),
	('subscribe', 'headers', $$ '{"a": "1", "A": "2"}' $$),
	('subscribe', 'headers', $$ (SELECT jsonb_object_agg('x' || n, n::text) FROM generate_series(1, 100) n) $$),
	('subscribe', 'headers', $$ jsonb_build_object('a', repeat('x', 10000)) $$),
	(NULL, 'signature_schemes', $$ '{NULL}' $$), (NULL, 'signature_schemes', $$ '{md5}' $$),
	(NULL, 'filter', $$ '$.a' $$), (NULL, 'filter', $$ '$.a like_regex "x"' $$), (NULL, 'filter', $$ '$.a == $b' $$),
	(NULL, 'payload_format', $$ 'xml' $$),
	(NULL, 'max_in_flight', '-1'), (NULL, 'rate_limit', $$ 'NaN' $$), (NULL, 'timeout', $$ '-1 s' $$),
	(NULL, 'id_columns', $$ '{{id,status}}' $$), (NULL, 'data_columns', $$ '{{id},{status}}' $$),
	(NULL, 'role', '12345678'), (NULL, 'timeout', $$ '100000000 y' $$),
	(NULL, 'retry_schedule', $$ '{NULL}' $$), (NULL, 'retry_schedule', $$ '{1 year}' $$),
	(NULL, 'retry_schedule', $$ array_fill(interval '1 s', '{101}') $$),
	(NULL, 'max_age', $$ '1 s' $$),
	(NULL, 'final_statuses', $$ '{NULL}' $$), (NULL, 'final_statuses', $$ '{200}' $$), (NULL, 'final_statuses', $$ array_fill(404, '{51}') $$),
	(NULL, 'ca', $$ '../x' $$), (NULL, 'ca', $$ repeat('x', 256) $$), (NULL, 'client_certificate', $$ '/x' $$),
	('publish', 'event_type', $$ 'webhook.delivery.failed' $$), ('watch', 'event_type', $$ 'webhook.delivery.failed' $$),
	('publish', 'event_type', $$ 'App.Nothing' $$), ('ping', 'event_type', $$ 'App.Nothing' $$), ('ping', 'event_type', $$ 'App.Signed' $$), ('watch', 'event_type', $$ 'App.Nothing' $$), ('publish', 'data', $$ to_json(repeat('x', 1048576)) $$),
	(NULL, 'subject', $$ '' $$), (NULL, 'subject', $$ repeat('x', 513) $$),
	('define_event_type', 'name', $$ '' $$), ('define_event_type', 'name', $$ repeat('x', 129) $$),
	(NULL, 'schema', $$ '3' $$), (NULL, 'schema', $$ '[]' $$), (NULL, 'schema', $$ jsonb_build_object('x', repeat('x', 65536)) $$),
	(NULL, 'example', $$ to_jsonb(repeat('x', 65536)) $$), (NULL, 'example', $$ (repeat('[', 65) || repeat(']', 65))::jsonb $$),
	('drop_event_type', 'name', $$ 'App.Nothing' $$), ('drop_event_type', 'name', $$ 'App.Signed' $$),
	('drop_event_type', 'name', $$ 'App.BusinessRequestStatusChange' $$), ('drop_event_type', 'name', $$ 'webhook.ping' $$),
	('alter_event_type', 'name', $$ 'App.Nothing' $$), ('alter_event_type', 'name', $$ 'webhook.ping' $$),
	('define_event_type', 'name', $$ 'webhook.x' $$), ('define_event_type', 'name', $$ 'App.Signed' $$),
	(NULL, 'relation', '1::regclass'), (NULL, 'relation', $$ 'pg_class' $$),
	('watch', 'tenant_column', $$ 'nothing' $$), ('alter_watch', 'tenant_column', $$ 'nothing' $$),
	(NULL, 'tenant_column', $$ 'whose' $$), (NULL, 'tenant_column', $$ 'other' $$),
	('publish', 'tenant', $$ '' $$), ('publish', 'tenant', $$ repeat('x', 64) $$),
	('watch', 'status_column', $$ 'nothing' $$), ('watch', 'id_columns', $$ '{nothing}' $$), ('watch', 'id_columns', $$ '{}' $$),
	('watch', 'data_columns', $$ '{title,title}' $$), ('watch', 'data_columns', $$ '{NULL}' $$),
	('sign', 'id', $$ 'a.b' $$), ('verify', 'tolerance', $$ '-1 s', headers => '{"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,x"}' $$),
	('rotate_secret', 'overlap', $$ '1 year' $$),
	(NULL, 'log_bodies', $$ 'some' $$),
	('subscribe', 'name', $$ '' $$), ('subscribe', 'name', $$ repeat('x', 64) $$),
	('alter_subscription', 'name', $$ repeat('x', 64) $$), ('alter_subscription', 'name', $$ 'crm' $$),
	('recover', 'what', $$ 'all' $$), ('recover', 'since', $$ now() + interval '1 s' $$),
	('series', 'since', $$ now() + interval '1 s' $$), ('series', 'since', $$ '-infinity' $$), ('series', 'step', $$ '59 s' $$),
	('series', 'step', $$ '1 min', until => now() + interval '8 days' $$), ('series', 'step', $$ '1 min', until => 'infinity' $$),
	('subscribe', 'tenant', $$ 'nobody' $$), ('grant_tenant', 'tenant', $$ 'nobody' $$),
	('define_tenant', 'tenant', $$ '' $$), ('define_tenant', 'tenant', $$ repeat('x', 64) $$), ('define_tenant', 'tenant', $$ 'acme ' $$),
	('define_tenant', 'max_subscriptions', '-1'),
	('portal_token', 'tenant', $$ 'nobody' $$), ('revoke_portal_tokens', 'tenant', $$ 'nobody' $$),
	('portal_token', 'valid', $$ '2 days' $$), ('act_as', 'token', $$ 'x' $$),
	(NULL, 'role', '0::regrole'), (NULL, 'role', 'current_user::text::regrole');

-- Arguments of which each value of their type is right.
CREATE TEMPORARY TABLE free (function text, argument text);
INSERT INTO free VALUES (NULL, 'description'), (NULL, 'deprecated'), (NULL, 'ordered'), (NULL, 'include_context'), (NULL, 'enabled'), (NULL, 'dry_run'), (NULL, 'parent_only'), (NULL, 'discard'), (NULL, 'may_write'), (NULL, 'secrets'),
	(NULL, 'body'), (NULL, 'unix_time'), (NULL, 'until');

CREATE TEMPORARY VIEW argument AS
	SELECT p.proname::text AS function, a.name AS argument, a.n,
		p.proargtypes[a.n - 1]::regtype AS type,
		(SELECT array_agg(n.name) FROM unnest(p.proargnames) WITH ORDINALITY AS n (name, i)
			WHERE i <= p.pronargs - p.pronargdefaults) AS required_names
	FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY AS a (name, n)
	WHERE p.pronamespace = 'webhook'::regnamespace AND a.n <= p.pronargs;
SELECT is_empty($$
		SELECT function, argument FROM argument a
		WHERE NOT EXISTS (SELECT FROM bad b WHERE b.argument = a.argument)
			AND NOT EXISTS (SELECT FROM free f WHERE f.argument = a.argument) $$,
	'each argument of each function has a bad value here, or none is bad');

-- The most extreme values of a type: if they are bad, that is said as of any other.
CREATE TEMPORARY TABLE extreme (type regtype, value text);
INSERT INTO extreme
	SELECT 'timestamptz'::regtype, quote_literal(value)
		FROM unnest('{-infinity,infinity,4714-11-24 00:00+00 BC,294276-12-31 23:59:59.999999+00}'::text[]) AS value
	UNION ALL
	SELECT 'interval', quote_literal(value)
		FROM unnest('{-178000000 years,178000000 years,-2147483648 days,2147483647 days,-2562047788:00:54.775807,2562047788:00:54.775807}'::text[]
			|| CASE WHEN current_setting('server_version_num')::integer >= 170000 THEN '{-infinity,infinity}'::text[] END) AS value
	UNION ALL
	SELECT 'interval[]', format('array_fill(%s::interval, ''{1}'')', value)
		FROM unnest('{''178000000 years'',''-2147483648 days''}'::text[]) AS value
	UNION ALL
	SELECT type::regtype, format(value, 'repeat(''x'', 200000)')
		FROM (VALUES ('text', '%s'), ('text', '''webhook.'' || %s'), ('text', '%s || ''.*'''), ('text[]', 'ARRAY[%s]'), ('text[]', 'ARRAY[%s || ''.*'']'),
			('jsonb', 'jsonb_build_object(%s, 1)'), ('jsonb', 'jsonb_build_object(%1$s, %1$s)'), ('jsonb', 'to_jsonb(%s)'),
			('jsonpath', '(''$.'' || %s)::jsonpath'), ('jsonpath', '(''$.x == $'' || left(%s, 10000))::jsonpath'), ('jsonpath', '(''$.'' || left(%s, 10000))::jsonpath')) AS v (type, value);

-- How a call is refused: '' if it is not.
CREATE FUNCTION pg_temp.refusal(function text, argument text, value text, required text[])
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	call	text := (SELECT format('SELECT webhook.%I(%s)', function, string_agg(format('%I => %s', name,
				CASE name WHEN argument THEN value ELSE coalesce((SELECT g.value FROM good g
						WHERE g.argument = name
							AND coalesce(g.function, refusal.function) = refusal.function
						ORDER BY g.function LIMIT 1), 'NULL') END), ', '))
		FROM (SELECT unnest(required) UNION SELECT argument) AS u (name)
		-- A bad value may bring another argument along.
		WHERE name = argument OR position(name || ' =>' IN value) = 0);
	state	text;
	message	text;
	named	text;
	detail	text;
	hint	text;
BEGIN
	EXECUTE call;
	-- The next call finds nothing of this one.
	RAISE EXCEPTION 'undo' USING ERRCODE = 'UNDO1';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		named = COLUMN_NAME, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	IF state = 'UNDO1' THEN
		RETURN '';
	ELSIF octet_length(concat(message, detail, hint)) > 2000 THEN
		RETURN format('%s: an error of %s bytes', call, octet_length(concat(message, detail, hint)));
	ELSIF named = argument AND hint <> '' AND state !~ '^(P0|XX)' THEN
		RETURN 'refused';
	END IF;
	RETURN format('%s: %s %s, column "%s", hint "%s"', call, state, message, named, hint);
END
$$;
SELECT is(pg_temp.refusal(a.function, a.argument, b.value, a.required_names), 'refused', format('%s(%s => %s)', a.function, a.argument, left(b.value, 40)))
	FROM argument a JOIN bad b
		ON b.argument = a.argument AND coalesce(b.function, a.function) = a.function
	-- explain() says in a sentence that it knows nothing of an event.
	WHERE a.function <> 'explain'
		-- Numbers of a subscription that has ended are kept.
		AND NOT (a.function = 'series' AND a.argument = 'subscription')
	ORDER BY a.function, a.n, b.value;
SELECT ok(refusal IN ('', 'refused'), format('%s(%s => NULL) %s', function, argument, refusal))
	FROM argument, pg_temp.refusal(function, argument, 'NULL', required_names)
	ORDER BY function, n;
SELECT ok(refusal IN ('', 'refused'), format('%s(%s => %s) %s', function, argument, value, left(refusal, 400)))
	FROM argument JOIN extreme USING (type),
		pg_temp.refusal(function, argument, value, required_names)
	-- Of two times that do not go together, one is named.
	WHERE type <> 'timestamptz'::regtype OR refusal !~ 'must not be later than|too many steps'
		OR refusal !~ 'column "(since|step)", hint "[A-Z]'
	ORDER BY function, n, value;
SELECT ok(refusal IN ('', 'refused'), format('recover(since => %s, what => %s) %s', value, what, refusal))
	FROM extreme, unnest('{missing,delivered}'::text[]) AS what,
		pg_temp.refusal('recover', 'since', format('%s, until => ''infinity'', what => %L', value, what), '{subscription}')
	WHERE type = 'timestamptz'::regtype;

SELECT * FROM finish();
ROLLBACK;
