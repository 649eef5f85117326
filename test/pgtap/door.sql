--
-- Who is the caller of a function that runs with the rights of the owner, whoever
-- has called what before, and whatever fails in between?
--
BEGIN;
SELECT no_plan();

CREATE ROLE regress_clerk;
CREATE ROLE regress_broker;
CREATE ROLE regress_stranger;
SELECT webhook.grant_admin('regress_clerk'), webhook.grant_admin('regress_broker');
GRANT CREATE ON SCHEMA public TO regress_clerk, regress_broker;
SELECT webhook.subscribe('https://example.com/', '{*}') AS subscription \gset
SELECT set_config('test.subscription', :'subscription', true);
CREATE FUNCTION pg_temp.subscription() RETURNS bigint LANGUAGE sql AS $$ SELECT current_setting('test.subscription')::bigint $$;

-- The acts since the last call, with who did them.
CREATE FUNCTION pg_temp.acts() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
	WITH gone AS (DELETE FROM webhook_internal.audit RETURNING *)
	SELECT string_agg(concat_ws(' ', action, role, nullif(outer_role, session_user)), '; ' ORDER BY at) FROM gone
$$;
SELECT pg_temp.acts();
SELECT concat(current_user) AS owner \gset

-- The current user, by itself, by SET ROLE, in a function of another role
SELECT webhook.pause(:subscription);
SELECT is(pg_temp.acts(), concat('pause ', :'owner'), 'the owner');
SET ROLE regress_clerk;
SELECT webhook.resume(:subscription);
SELECT is(current_user, 'regress_clerk', 'whoever calls is themselves again afterwards');
RESET ROLE;
SELECT is(pg_temp.acts(), 'resume regress_clerk regress_clerk', 'the role of SET ROLE');
SET ROLE regress_broker;
CREATE FUNCTION public.broker_pauses(subscription bigint) RETURNS void
	LANGUAGE sql SECURITY DEFINER
	SET search_path = pg_catalog AS $$ SELECT webhook.pause(subscription) $$;
CREATE FUNCTION public.broker_says(subscription bigint) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog
	AS $$ BEGIN PERFORM webhook.pause(subscription); RETURN current_user; END $$;
SET ROLE regress_stranger;
SELECT public.broker_pauses(:subscription);
RESET ROLE;
SELECT is(pg_temp.acts(), 'pause regress_broker regress_stranger', 'the owner of a SECURITY DEFINER function, who has the privilege that was needed');
SET ROLE regress_broker;
SELECT webhook.subscribe('https://example.com/broker', '{*}') AS theirs \gset
RESET ROLE;
SELECT is(pg_temp.acts(), 'subscribe regress_broker regress_broker', '... who makes a subscription');
SELECT is(created_by, 'regress_broker', '... and has made it') FROM webhook.subscription WHERE id = :theirs;

-- A role without the privilege does not get it from the role around it, and no role
-- may call what is behind the door.
SET ROLE regress_stranger;
SELECT throws_ok(format('SELECT webhook.pause(%s)', :subscription), '42501', NULL, 'a stranger is refused');
SET ROLE regress_clerk;
SELECT throws_ok(format('SELECT webhook_internal.pause(%s)', :subscription), '42501', NULL, 'the function behind the door is the owner''s');
CREATE FUNCTION public.clerk_pauses(subscription bigint) RETURNS void LANGUAGE sql SECURITY DEFINER
	SET search_path = pg_catalog AS $$ SELECT webhook.pause(subscription) $$;
RESET ROLE;
SELECT webhook.revoke('regress_clerk');
SELECT throws_ok(format('SELECT public.clerk_pauses(%s)', :subscription), '42501', NULL,
	'a function of a role without the privilege is refused, though the owner calls it');
SELECT webhook.grant_admin('regress_clerk');
SELECT pg_temp.acts();

-- Behind the door nobody else's rights can be taken, and the owner's are gone after it.
SET ROLE regress_clerk;
SELECT webhook.resume(:subscription);
SELECT throws_ok('SELECT * FROM webhook_internal.subscription_secret', '42501', NULL, 'the rights of the owner are gone');

-- Errors
SELECT throws_ok('SELECT webhook.pause(-1)', '42704', NULL, 'an error behind the door');
SELECT is(current_user, 'regress_clerk', '... leaves the current user');
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			PERFORM webhook.pause(-i);
		EXCEPTION WHEN undefined_object THEN
			PERFORM set_config('test.caught', current_user, true);
		END;
		IF i = 2 THEN
			PERFORM webhook.pause(pg_temp.subscription());
		END IF;
	END LOOP;
END
$$;
SAVEPOINT here;
SELECT webhook.resume(:subscription);
ROLLBACK TO here;
SELECT webhook.ping(:subscription) IS NOT NULL AS pinged;
RESET ROLE;
SELECT is(current_setting('test.caught'), 'regress_clerk', '... also in a block that catches it');
SELECT is(pg_temp.acts(), 'resume regress_clerk regress_clerk; pause regress_clerk regress_clerk; ping regress_clerk regress_clerk',
	'... and the caller of what comes after it');

-- One door behind another: a trigger of the owner's calls webhook.ping().
CREATE FUNCTION webhook_internal.nested() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM webhook.ping(new.id);
	BEGIN
		PERFORM webhook.pause(-1);
	EXCEPTION WHEN undefined_object THEN
		NULL;
	END;
	RETURN new;
END
$$;
CREATE TRIGGER nested AFTER UPDATE ON webhook_internal.subscription
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.nested();
SET ROLE regress_clerk;
SELECT webhook.resume(:subscription);
RESET ROLE;
SELECT is(pg_temp.acts(), concat('ping ', :'owner', ' regress_clerk; resume regress_clerk regress_clerk'),
	'behind a door the owner calls; afterwards it is the caller of the first door again');
DROP TRIGGER nested ON webhook_internal.subscription;

-- Code of somebody else that runs behind the door speaks for itself, and a direct call
-- of the owner's is the owner's.
CREATE FUNCTION webhook_internal.nested_definer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.broker_says(new.id);
	RETURN new;
END
$$;
CREATE TRIGGER nested AFTER UPDATE OF endpoint ON webhook_internal.subscription
	FOR EACH ROW EXECUTE FUNCTION webhook_internal.nested_definer();
SET ROLE regress_clerk;
SELECT webhook.alter_subscription(:subscription, endpoint => 'https://example.com/other');
RESET ROLE;
SELECT is(pg_temp.acts(), 'pause regress_broker regress_clerk; alter_subscription regress_clerk regress_clerk',
	'a SECURITY DEFINER function behind a door calls as its owner');
DROP TRIGGER nested ON webhook_internal.subscription;
SELECT webhook_internal.resume(:subscription);
SELECT is(pg_temp.acts(), concat('resume ', :'owner'), 'a direct call');

-- Functions that return a set; a default; NULL
SET ROLE regress_clerk;
SELECT is(count(*)::integer, 17, 'health() returns its rows') FROM webhook.health();
SELECT is(array_agg(at ORDER BY at), ARRAY['2026-01-01 00:00'::timestamptz, '2026-01-01 00:05'],
		'series() returns its rows')
	FROM webhook.series('2026-01-01 00:00', '2026-01-01 00:10', '5 min');
SELECT throws_ok('SELECT webhook.pause(NULL)', '22004', NULL, 'NULL is passed on');
RESET ROLE;

-- What the door has looked up is looked up again when it changes. Each SELECT here
-- looks up once for all its rows.
CREATE FUNCTION pg_temp.gives_away(step integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	IF step = 3 THEN
		ALTER FUNCTION webhook_internal.check_endpoint(text) OWNER TO regress_broker;
	END IF;
	RETURN step;
END
$$;
SELECT throws_ok($$ SELECT pg_temp.gives_away(n), webhook.check_endpoint('https://example.com/') FROM generate_series(1, 3) n $$, '55000',
	'function webhook_internal.check_endpoint(text) is not owned by the owner of the extension',
	'a function that was given away lends nobody rights');
SELECT lives_ok($$ SELECT webhook.check_endpoint('https://example.com/') FROM generate_series(1, 3) $$, '... until it is the owner''s again');
ALTER EXTENSION webhook DROP FUNCTION webhook_internal.check_endpoint(text);
DROP FUNCTION webhook_internal.check_endpoint(text);
SELECT throws_ok($$ SELECT webhook.check_endpoint('https://example.com/') $$, '55000',
	'function webhook.check_endpoint(text) has no counterpart in schema "webhook_internal"', 'a function that is gone');

SELECT * FROM finish();
ROLLBACK;
