--
-- What is told of an event type, and what does it mean that one is deprecated?
--
BEGIN;
SELECT no_plan();

CREATE TABLE contract (id bigint PRIMARY KEY, status text);
ALTER SEQUENCE webhook_internal.subscription_id_seq RESTART 11;

-- What is told of an event type.
CREATE FUNCTION pg_temp.type(type text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', coalesce(description, '-'), coalesce(schema::text, '-'), coalesce(example::text, '-'),
			CASE WHEN deprecated THEN 'deprecated' END)
		FROM webhook.event_type WHERE name = type
$$;

-- define and alter
SELECT webhook.define_event_type('App.Bare');
SELECT is(pg_temp.type('App.Bare'), '- - -', 'an event type needs a name only');
SELECT webhook.define_event_type('App.Paid', 'paid', '{"required": ["Invoice"]}', '{"Invoice": 7}');
SELECT is(pg_temp.type('App.Paid'), 'paid {"required": ["Invoice"]} {"Invoice": 7}', 'it may have a schema and an example');
SELECT webhook.define_event_type('App.Null', '', 'null', 'null');
SELECT is(pg_temp.type('App.Null'), '- - -', 'JSON null is none');
SELECT webhook.alter_event_type('App.Paid');
SELECT is(pg_temp.type('App.Paid'), 'paid {"required": ["Invoice"]} {"Invoice": 7}', 'alter_event_type() keeps what is null');
SELECT webhook.alter_event_type('App.Paid', 'has been paid', 'true', '[1]');
SELECT is(pg_temp.type('App.Paid'), 'has been paid true [1]', 'each of them can be changed');
SELECT webhook.alter_event_type('App.Paid', example => 'null');
SELECT is(pg_temp.type('App.Paid'), 'has been paid true -', 'one can be taken back');
SELECT webhook.alter_event_type('App.Paid', '', 'null', 'null');
SELECT is(pg_temp.type('App.Paid'), '- - -', 'all can be taken back');
SELECT webhook.alter_event_type('App.BusinessRequestStatusChange', example => '{}');
SELECT is(pg_temp.type('App.BusinessRequestStatusChange'), 'The status of a business request has changed. - {}',
	'the event type of the extension can be altered');
SELECT throws_ok($$ SELECT webhook.define_event_type('App.BusinessRequestStatusChange') $$, '42710', NULL,
	'it cannot be defined again');
SELECT is(pg_temp.type('App.BusinessRequestStatusChange'), 'The status of a business request has changed. - {}',
	'and stays as it is');
SELECT lives_ok($$ SELECT webhook.alter_event_type('App.Paid', example => (repeat('[', 64) || repeat(']', 64))::jsonb) $$, '64 levels are allowed');
SELECT lives_ok($$ SELECT webhook.alter_event_type('App.Paid', example => to_jsonb(repeat('x', 65534))) $$, '64 kB are allowed');

-- a dump's row replaces that of CREATE EXTENSION, and no other
INSERT INTO webhook_internal.event_type (name, example) VALUES ('App.BusinessRequestStatusChange', '[]');
SELECT is(pg_temp.type('App.BusinessRequestStatusChange'), '- - []', 'a dump brings the event type of the extension along');
SELECT throws_ok($$ INSERT INTO webhook_internal.event_type (name) VALUES ('App.Paid') $$, '23505', NULL, 'it replaces no other');

-- deprecated
SELECT webhook.define_event_type(name) FROM unnest('{App.Old,App.New}'::text[]) AS name;
SELECT webhook.subscribe('https://example.com/named', '{App.Old}'), webhook.subscribe('https://example.com/pattern', '{App.*}');
SELECT webhook.alter_event_type('App.Old', deprecated => true);
SELECT is(pg_temp.type('App.Old'), '- - - deprecated', 'an event type is deprecated');
CREATE TEMPORARY TABLE since AS SELECT deprecated_at FROM webhook.event_type WHERE name = 'App.Old';
SELECT webhook.alter_event_type('App.Old', deprecated => true, description => 'use App.New');
SELECT ok(e.deprecated_at = t.deprecated_at AND e.deprecated_at > e.created_at, 'since when is kept')
	FROM webhook.event_type e, since t WHERE name = 'App.Old';
SELECT throws_like($$ SELECT webhook.subscribe('https://example.com/', '{App.New,App.Old}') $$, 'event type "App.Old" is deprecated',
	'a new subscription cannot name it');
SELECT throws_ok($$ SELECT webhook.subscribe('https://example.com/', '{App.New,App.Old}') $$, '55000');
SELECT lives_ok($$ SELECT webhook.subscribe('https://example.com/', '{App.*}'), webhook.subscribe('https://example.com/all', '{*}') $$,
	'a pattern is not refused');
SELECT lives_ok($$ SELECT webhook.alter_subscription(11, description => 'x') $$, 'a subscription that names it can be altered');
SELECT lives_ok($$ SELECT webhook.alter_subscription(11, events => '{App.Old,App.New}') $$, 'it can keep the name');
SELECT webhook.alter_subscription(11, enabled => false);
SELECT lives_ok($$ SELECT webhook.alter_subscription(11, enabled => true) $$,
	'it can be enabled again');
SELECT lives_ok($$ SELECT webhook.alter_subscription(12, events => '{App.Old,App.New}') $$,
	'one that has had it by a pattern can name it');
SELECT lives_ok($$ SELECT webhook.alter_subscription(12, events => '{App.New}') $$, 'the name can be dropped');
SELECT throws_like($$ SELECT webhook.alter_subscription(12, events => '{App.Old}') $$, '%is deprecated', 'but not named again');
SELECT lives_ok($$ SELECT webhook.publish('App.Old', '{}') $$, 'a deprecated event type can be published');
SELECT lives_ok($$ SELECT webhook.watch('contract', 'App.Old') $$, 'and watched');
SELECT webhook.alter_event_type('App.Old', deprecated => false);
SELECT is(pg_temp.type('App.Old'), 'use App.New - -', 'an event type is in use again');
SELECT lives_ok($$ SELECT webhook.alter_subscription(12, events => '{App.Old}') $$, 'it can be subscribed to');

-- drop
SELECT throws_ok($$ SELECT webhook.drop_event_type('App.Old') $$, '2BP01', 'cannot drop event type "App.Old" because subscriptions name it',
	'an event type that is subscribed to stays');
SELECT webhook.alter_subscription(id, events => '{*}') FROM webhook.subscription WHERE 'App.Old' = ANY (events);
SELECT throws_ok($$ SELECT webhook.drop_event_type('App.Old') $$, '2BP01', 'cannot drop event type "App.Old" because tables are watched for it',
	'so does one that a table is watched for');
SELECT webhook.unwatch('contract');
SELECT lives_ok($$ SELECT webhook.drop_event_type('App.Old') $$, 'a pattern does not name it');
SELECT is(pg_temp.type('App.Old'), NULL, 'it is gone');
SELECT throws_ok($$ SELECT webhook.publish('App.Old', '{}') $$, '42704', NULL, 'it cannot be published');
SELECT lives_ok($$ SELECT webhook.define_event_type('App.Old') $$, 'it can be defined again');

SELECT * FROM finish();
ROLLBACK;
