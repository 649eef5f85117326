# 230_privileges.pl
#	  Who may do what: do default privileges open nothing, do grants outlive a
#	  dump, and how little can roles do that have been granted too much?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('privileges', <<'END');
webhook.retry_schedule = '1h'
webhook.event_retention = 1s
END
$server->prepare;
my $receiver = $server->receiver;
my $contract = 0;

sub publish
{
	$contract++;
	return $server->publish($type, "'{}'", "contract/$contract");
}

# Run SQL as another role; returns its result, or its error.
sub as
{
	my ($role, $query) = @_;
	my ($status, $out, $error) =
	  $server->psql("SET ROLE $role;\n$query", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $status == 0 ? $out : $error;
}

sub refused
{
	my ($role, $query, $expected, $what) = @_;
	like(as($role, $query), $expected, $what);
	return;
}

# ---- Default privileges open nothing

$server->sql('CREATE ROLE snoop');
$server->sql('CREATE DATABASE open');
my $open = $server->database('open');
$open->sql(<<"END");
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO snoop, PUBLIC;
CREATE EXTENSION webhook;
SELECT webhook.subscribe('@{[ $receiver->url('/ok/open') ]}', '{$type}');
SELECT webhook.ping(1);
END
$open->becomes('SELECT count(*) FROM webhook.log', '1', 'a leaf of the log is made');
is($open->sql(<<'END'), 'enqueue|0|EXECUTE', 'neither it nor anything else is open by default privileges, but the trigger function to all, and numbers to pg_monitor');
SELECT o.what, a.grantee, a.privilege_type
FROM (SELECT nspname AS what, nspacl AS acl, nspowner AS owner FROM pg_namespace WHERE nspname ~ '^webhook'
	UNION ALL SELECT relname, relacl, relowner FROM pg_class WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
	UNION ALL SELECT proname, proacl, proowner FROM pg_proc WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)) o,
	aclexplode(o.acl) a
WHERE a.grantee <> o.owner AND a.grantee <> 'pg_monitor'::regrole
END
is($open->sql(q(SELECT count(*) FROM pg_class WHERE relnamespace = 'webhook_internal'::regnamespace AND relname ~ '^log_' AND relkind = 'r')),
	1, 'the log has one leaf');
$server->sql('DROP DATABASE open WITH (FORCE)');

# ---- Grants outlive a dump

$server->sql(<<'END');
CREATE ROLE reader;
CREATE ROLE operator;
CREATE ROLE administrator;
SELECT webhook.grant_reader('reader');
SELECT webhook.grant_operator('operator');
SELECT webhook.grant_admin('administrator');
END
my $grants = <<'END';
SELECT string_agg(concat_ws(' ', o.what, a.grantee::regrole, a.privilege_type), ', ' ORDER BY o.what, a.grantee, a.privilege_type)
FROM (SELECT nspname::text AS what, nspacl AS acl, nspowner AS owner FROM pg_namespace WHERE nspname ~ '^webhook'
	UNION ALL SELECT relname, relacl, relowner FROM pg_class WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND NOT relispartition
	UNION ALL SELECT oid::regprocedure::text, proacl, proowner FROM pg_proc WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)) o,
	aclexplode(o.acl) a
WHERE a.grantee <> o.owner
END
my $before = $server->sql($grants);
my $dump = $server->node->basedir . '/dump.sql';
$server->node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump');
$server->sql('CREATE DATABASE restored');
$server->node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'restored');
like($before, qr/subscribe\(.*administrator EXECUTE/, 'the roles have grants');
is($server->database('restored')->sql($grants), $before, '... the restored database has the same');
$server->sql('DROP DATABASE restored WITH (FORCE)');
refused('administrator', "SHOW $_", qr/42501/, "an administrator may not read $_")
  foreach qw(webhook.proxy webhook.certificate_directory);
foreach my $setting (
	qw(require_https allowed_networks denied_networks allowed_ports proxy certificate_directory))
{
	refused('administrator', "SET webhook.$setting = ''", qr/55P02/, "an administrator may not set webhook.$setting");
	refused('postgres', "ALTER ROLE administrator SET webhook.$setting = '443'", qr/55P02/, '... nor may it be set for a role');
}
refused('postgres', 'DROP ROLE reader', qr/cannot be dropped.*privileges for schema webhook/s,
	'DROP ROLE says that grants on the schema hold the role');
$server->sql('DROP OWNED BY reader; DROP ROLE reader');

# ---- A role that has been granted too much

$server->sql(<<'END');
CREATE ROLE mallory;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE TABLE mallory.trace (who name, what text);
GRANT ALL ON mallory.trace TO PUBLIC;
GRANT USAGE ON SCHEMA mallory TO PUBLIC;
END

# Not while the ring is truncated: both write the table's row in the catalog,
# and a grant does not wait.
sub grant_on_tables
{
	my ($privileges) = @_;

	return $server->sql(<<"GRANT");
BEGIN;
LOCK TABLE webhook_internal.event_0, webhook_internal.event_1, webhook_internal.event_2,
	webhook_internal.event_3 IN ACCESS SHARE MODE;
GRANT $privileges ON ALL TABLES IN SCHEMA webhook, webhook_internal TO mallory;
COMMIT;
GRANT
}

my $subscription = $server->subscribe('/ok/mallory');
publish();
$server->settle('the log has a leaf');
grant_on_tables('TRIGGER, REFERENCES, SELECT');
$server->sql('GRANT USAGE ON SCHEMA webhook, webhook_internal TO mallory');

sub superusers { return $server->sql(q(SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper)); }
sub trace { return $server->sql(q(SELECT string_agg(who || ' ' || what, ', ') FROM mallory.trace)); }
my $superusers = superusers();

# Triggers of each kind on each table: the privilege TRIGGER allows that.
as('mallory', <<'END');
CREATE FUNCTION mallory.grab() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO mallory.trace VALUES (current_user, TG_TABLE_NAME || ' ' || TG_OP);
	ALTER ROLE mallory SUPERUSER;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	RETURN NEW;
EXCEPTION WHEN insufficient_privilege THEN
	RETURN NEW;
END;
$$;
GRANT EXECUTE ON FUNCTION mallory.grab() TO PUBLIC;
DO $$
DECLARE
	t	regclass;
BEGIN
	FOR t IN SELECT oid FROM pg_class WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND relkind IN ('r', 'p')
			AND NOT relispartition
	LOOP
		EXECUTE format('CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION mallory.grab()', t);
		EXECUTE format('CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s EXECUTE FUNCTION mallory.grab()', t);
		EXECUTE format('CREATE TRIGGER c AFTER TRUNCATE ON %s EXECUTE FUNCTION mallory.grab()', t);
	END LOOP;
END;
$$;
END
is($server->sql(q(SELECT count(DISTINCT tgrelid) FROM pg_trigger WHERE tgfoid = 'mallory.grab'::regproc)), 18,
	'there is a trigger on each table');
foreach (
	"subscribe('https://example.com/', '{*}')", "alter_subscription($subscription, max_in_flight => 2)",
	"pause($subscription)", "resume($subscription)", "rotate_secret($subscription)", "unsubscribe($subscription)",
	"define_event_type('App.Trap')", 'resume_database()')
{
	refused('administrator', "SELECT webhook.$_", qr/55000.*has a trigger that is not the extension's/s, "$_ refuses to fire a foreign trigger");
}

# The worker, the ring and the log go on without firing the triggers.
my $round = 2 + $server->sql('SELECT rotations FROM webhook.stat_worker');
foreach (1 .. 300)
{
	publish();
	$server->sql('SELECT webhook.drain()');
	last if $server->sql('SELECT rotations FROM webhook.stat_worker') >= $round;
}
$server->becomes("SELECT rotations >= $round FROM webhook.stat_worker", 't', 'the ring goes round and is truncated');
is($server->sql("SELECT webhook.ping($subscription) IS NOT NULL"), 't', 'a command goes through');
$server->settle('with triggers on the tables');
$server->set('webhook.log_retention', '1d');
$server->end_worker('TERM');
publish();
$server->settle('a new worker');
is(trace(), '', 'none of the triggers has fired');
is(superusers(), $superusers, '... and nobody has become a superuser');
as('postgres', 'DROP FUNCTION mallory.grab() CASCADE');

# A foreign key's action runs as the owner of the table that has it.
as('mallory', <<"END");
CREATE TABLE mallory.child (id bigint REFERENCES webhook_internal.subscription ON DELETE CASCADE);
INSERT INTO mallory.child VALUES ($subscription);
CREATE FUNCTION mallory.grab() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	INSERT INTO mallory.trace VALUES (current_user, TG_TABLE_NAME || ' ' || TG_OP);
	RETURN OLD;
END;
\$\$;
CREATE TRIGGER a BEFORE DELETE ON mallory.child FOR EACH ROW EXECUTE FUNCTION mallory.grab();
END
as('administrator', "SELECT webhook.unsubscribe($subscription)");
is(trace(), 'mallory child DELETE', "a foreign key's action runs with the rights of the table that has it");
$server->sql('DROP TABLE mallory.child; DELETE FROM mallory.trace');

# With CREATE on the schemas: none of our calls resolves to a function of that role.
$server->sql('GRANT CREATE ON SCHEMA webhook, webhook_internal TO mallory');
is(as('mallory', <<'END'), '', 'namesakes of each function that is called by others');
CREATE FUNCTION mallory.note(what text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO mallory.trace VALUES (current_user, what) $$;
GRANT EXECUTE ON FUNCTION mallory.note(text) TO PUBLIC;
DO $$
DECLARE
	f	record;
	a	text;
BEGIN
	FOR f IN SELECT p.pronamespace::regnamespace AS schema, p.proname, p.pronargs,
		p.prorettype::regtype AS result, p.oid
			FROM pg_proc p
			WHERE p.pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND p.proowner <> 'mallory'::regrole
				AND p.prorettype <> 'trigger'::regtype
				AND p.proname NOT IN ('subscribe', 'alter_subscription', 'unsubscribe', 'pause', 'resume', 'resume_database',
					'ping', 'resend', 'recover', 'retry', 'cancel', 'skip', 'define_event_type', 'watch', 'unwatch', 'alter_watch', 'publish',
					'explain', 'subscription_options', 'secret', 'rotate_secret', 'sign', 'verify', 'drain', 'grant_reader', 'grant_operator',
					'grant_admin', 'revoke', 'worker_state')
	LOOP
		FOR count IN 0 .. f.pronargs LOOP
			FOREACH a IN ARRAY ARRAY['text', 'anyelement', 'varchar', 'integer', 'name', 'own'] LOOP
				BEGIN
					EXECUTE format('CREATE FUNCTION %s.%I(%s) RETURNS %s LANGUAGE sql AS %L', f.schema, f.proname,
						(SELECT string_agg(CASE a WHEN 'own' THEN format_type(t.type, NULL)
								ELSE CASE WHEN t.type IN ('text'::regtype, '"char"'::regtype, 'bigint'::regtype, 'name'::regtype)
									THEN a ELSE format_type(t.type, NULL) END END, ', ' ORDER BY t.n)
							FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY AS t (type, n)
							WHERE p.oid = f.oid AND t.n <= count),
						f.result,
						format('SELECT mallory.note(%L); SELECT NULL::%s', f.proname, f.result));
				EXCEPTION WHEN duplicate_function THEN NULL;
				END;
			END LOOP;
		END LOOP;
	END LOOP;
END;
$$;
END
cmp_ok($server->sql(q(SELECT count(*) FROM pg_proc WHERE proowner = 'mallory'::regrole)), '>', 200, 'there are many of them');
my $url = $receiver->url('/ok/namesake');
my $done = as('administrator', <<"END");
SELECT webhook.subscribe('$url'::text, '{$type}'::text[], headers => '{"A": "b"}', filter => 'true', rate_limit => 5, timeout => '1 s',
	retry_schedule => '{1 s}', max_age => '1 h', final_statuses => '{400}', ca => 'x', max_in_flight => 3) AS id \\gset
SELECT webhook.define_event_type('App.Namesake');
SELECT webhook.alter_subscription(:id, ca => '', endpoint => '$url/2', events => '{App.*}', filter => '\$.a == 1');
SELECT webhook.pause(:id);
SELECT webhook.resume(:id);
SELECT webhook.alter_subscription(:id, enabled => false);
SELECT webhook.alter_subscription(:id, enabled => true);
SELECT webhook.rotate_secret(:id);
SELECT webhook.secret(:id);
SELECT webhook.resume_database();
SELECT webhook.ping(:id) AS ping \\gset
SELECT webhook.publish('App.Namesake', '{"a": 1}', 'namesake/1') AS event \\gset
SELECT webhook.drain();
SELECT webhook.resend(:'event', :id);
SELECT webhook.cancel(:'event', :id);
SELECT webhook.skip(:id, 'namesake/1');
SELECT webhook.recover(:id, '2020-01-01', 'infinity', 'missing');
SELECT webhook.recover(:id, '2020-01-01');
SELECT webhook.retry(:id);
SELECT webhook.explain(:'event', :id);
SELECT webhook.explain(:'ping', :id);
SELECT count(*) FROM webhook.stat_subscription;
SELECT count(*) FROM webhook.subscription;
SELECT webhook.subscription_options(:id);
SELECT webhook.unsubscribe(:id);
SELECT 'done';
END
like($done, qr/\ndone$/, 'an administrator can do everything');
is(trace(), '', '... without calling one of them');
unlike(as('postgres', <<'END'), qr/ERROR/, 'a table is watched');
CREATE TABLE watched (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('watched');
SELECT webhook.alter_watch('watched', name => 'seen');
SELECT count(*) FROM webhook.watched_table;
SELECT webhook.unwatch('watched');
END
refused('postgres', "SELECT webhook.grant_admin('snoop')", qr/42725.*is not unique/s, 'nothing is granted on a namesake');
is(trace(), '', '... none of them was called');
is($server->sql(q(SELECT count(*) FROM pg_proc WHERE proname = 'caller' AND pronamespace = 'webhook_internal'::regnamespace)), 1,
	'a function without arguments has no namesake');
as('postgres', q(DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE proowner = 'mallory'::regrole LOOP EXECUTE format('DROP FUNCTION %s CASCADE', f); END LOOP; END $$));
$server->sql('REVOKE CREATE ON SCHEMA webhook, webhook_internal FROM mallory');

# What only an owner may do is refused, whatever has been granted.
grant_on_tables('ALL');
$server->sql('GRANT ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal TO mallory; GRANT ALL ON SCHEMA webhook, webhook_internal TO mallory');
foreach my $table (
	qw(event_type subscription subscription_secret event_0 pending subscription_state log),
	'checkpoint')
{
	my $relation = ($table eq 'log' ? 'webhook' : 'webhook_internal') . ".$table";

	foreach (
		"CREATE RULE r AS ON INSERT TO $relation DO ALSO SELECT 1",
		"CREATE POLICY p ON $relation", "ALTER TABLE $relation ENABLE ROW LEVEL SECURITY",
		"CREATE INDEX ON $relation ((1))", "ALTER TABLE $relation ADD COLUMN c text DEFAULT 'x'",
		"ALTER TABLE $relation ADD CHECK (true)", "ALTER TABLE $relation DISABLE TRIGGER ALL",
		"CREATE TABLE mallory.child () INHERITS ($relation)", "ALTER TABLE $relation OWNER TO mallory",
		"DROP TABLE $relation")
	{
		refused('mallory', $_, qr/42501|42809/, $_);
	}
}
foreach (
	'CREATE OR REPLACE VIEW webhook.event AS SELECT 1', 'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO webhook.event DO INSTEAD SELECT 1',
	'CREATE OR REPLACE FUNCTION webhook_internal.caller() RETURNS name LANGUAGE sql AS $$ SELECT NULL::name $$',
	'ALTER FUNCTION webhook_internal.caller() RENAME TO x', 'ALTER FUNCTION webhook.pause(bigint) RESET ALL',
	'DROP EXTENSION webhook', 'ALTER EXTENSION webhook ADD TABLE mallory.trace', 'ALTER SCHEMA webhook RENAME TO x',
	'ALTER SCHEMA webhook OWNER TO mallory', 'ALTER SCHEMA webhook_internal RENAME TO x')
{
	refused('mallory', $_, qr/42501|must be owner/, $_);
}
$server->sql('REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM mallory; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM mallory; REVOKE CREATE ON SCHEMA webhook, webhook_internal FROM mallory');

# With write access to the tables: rows written there do no more than the functions
# would, or are ignored.
$server->sql('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA webhook, webhook_internal TO mallory; GRANT USAGE ON ALL SEQUENCES IN SCHEMA webhook_internal TO mallory');
$subscription = $server->subscribe('/ok/good', "secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'");
my $good = $receiver->url('/ok/bad');
is(as('mallory', <<"END"), '', 'senseless rows are written');
INSERT INTO webhook_internal.subscription (id, endpoint, events, headers, created_by, since, home)
SELECT 1000 + n, e, '{*}', h::jsonb, 'postgres', s.since, s.home
FROM webhook_internal.subscription s, (VALUES
	(1, E'$good', '{"X-A": "b\\\\r\\\\nX-Injected: yes"}'),
	(2, E'$good', '{"X-Injected: yes\\\\r\\\\nX-B": "b"}'),
	(3, 'file:///etc/passwd', '{}'),
	(4, 'gopher://127.0.0.1/', '{}'),
	(5, '', '{}'),
	(6, '$good', '{"Content-Length": "1", "Transfer-Encoding": "chunked", "Host": "elsewhere"}'),
	(7, '$good', '[1, {"a": null}]'),
	(8, E'$good HTTP/1.1\\r\\nX-Injected: yes\\r\\nX-C: d', '{}')) AS v (n, e, h)
WHERE s.id = $subscription;
INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
SELECT id, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' FROM webhook_internal.subscription WHERE id > 1000;
INSERT INTO webhook_internal.event_0 (id, txid, created_at, event_id, kind, event_type, subject,
	data)
SELECT nextval('webhook_internal.event_id_seq'), pg_current_xact_id(), now(), gen_random_uuid(), k::"char", t, u, d::json
FROM unnest('{e,r,k,s,x,c,?}'::text[]) AS k,
	unnest(ARRAY[NULL, '', E'App.\\nX-Injected: yes', repeat('x', 100000)]) AS t,
	unnest(ARRAY[NULL, '', E'a\\r\\nb']) AS u,
	unnest(ARRAY[NULL, '{}', '[]', '{"subscription":$subscription}', '{"subscription":"x"}']) AS d;
INSERT INTO webhook_internal.pending
SELECT s, u, n, n, 1::text::xid8, gen_random_uuid(), c, a, a, t, t, t, t, 'App.X', NULL, NULL, '{}'
FROM unnest('{$subscription,-1,9223372036854775807}'::bigint[]) AS s, unnest(ARRAY['', E'a\r\nb', repeat('x', 600)]) AS u,
	unnest('{ping,resend,nonsense}'::text[]) AS c,
	(VALUES (1, -2147483648, '-infinity'), (2, 2147483647, 'infinity'), (3, 0, '294276-12-31')) AS v (n, a, t0),
	CAST(t0 AS timestamptz) AS t
ON CONFLICT DO NOTHING;
INSERT INTO webhook_internal.subscription_state
SELECT s, E'x\r\ny', E'x\r\ny', l, l, l, t, t, t, t, l, t, E'x\r\ny', NULL, NULL, NULL, t, l, t, t, make_interval(secs => l), l, l, l, l, 'NaN', '-1 s', '1000 years', t
FROM (VALUES (-1, -2147483648, '-infinity'), (1002, 2147483647, 'infinity')) AS v (s, l, t0), CAST(t0 AS timestamptz) AS t
ON CONFLICT DO NOTHING;
END

# The next event is delivered: an assertion.
sub delivers
{
	my ($what) = @_;
	my $event = publish();
	$server->becomes("SELECT count(*) = 1 FROM webhook.log WHERE event_id = '$event' AND subscription_id = $subscription AND outcome = 'delivered'", 't',
		"$what: an event is delivered");
	return;
}

my $worker = $server->worker;
delivers('with senseless rows');
is($server->worker, $worker, 'it is the same worker');
$server->end_worker('TERM');
$worker = $server->worker;
delivers('with senseless rows, another worker');
is($server->worker, $worker, 'it is still that worker');
$server->is_sound;
is(scalar(grep { exists $_->{headers}{'x-injected'} or join("\n", @{ $_->{header_lines} }) =~ /^X-Injected/m } $receiver->requests), 0,
	'no header is injected');
is($server->sql(q(SELECT count(*) FROM webhook.log WHERE outcome = 'delivered' AND subscription_id IN (1003, 1004, 1005))), 0,
	'no other scheme is called');
is(superusers(), $superusers, 'nobody has become a superuser');
$server->unsubscribe_all;

# ---- The check for foreign triggers causes no deadlock

my $script = $server->node->basedir . '/subscribers.sql';
append_to_file($script, <<'END');
\set n random(1, 1000000000)
SELECT webhook.subscribe('https://example.com/' || :client_id || '/' || :n, '{*}') AS id \gset
SELECT webhook.alter_subscription(:id, endpoint => 'https://example.net/' || :client_id || '/' || :n);
SELECT webhook.rotate_secret(:id);
SELECT webhook.pause(:id);
SELECT webhook.define_event_type('App.' || :client_id || '.' || :n);
SELECT webhook.unsubscribe(:id);
END
$server->node->command_like([ 'pgbench', '-n', '-c', '6', '-t', '60', '-f', $script, 'postgres' ],
	qr/^number of failed transactions: 0 /m, 'sessions that subscribe at once do not deadlock');

# ---- A schema "webhook" of another role

$server->sql('CREATE DATABASE taken OWNER mallory');
my $taken = $server->database('taken');
foreach my $schema (qw(webhook webhook_internal))
{
	$taken->sql("SET ROLE mallory; CREATE SCHEMA $schema");
	like($taken->messages('CREATE EXTENSION webhook'), qr/schema "$schema" already exists/,
		"the extension is not created if schema $schema exists");
	$taken->sql("DROP SCHEMA $schema");
}
$server->sql('DROP DATABASE taken');

# ---- docs/security.md names files that exist

my $claims = slurp_file('docs/security.md');
my @named = $claims =~ m{`((?:test|src|sql|docs|expected)/[\w./-]+\.\w+)`}g;
cmp_ok(scalar @named, '>', 10, 'docs/security.md names tests');
is(join(' ', grep { !-e } @named), '', '... they exist');

done_testing();
