# 230_privileges.pl
#	  Nobody gets in, nothing leaks: secrets that take turns before a receiver,
#	  what the log, the views and the server's log tell of credentials, and what
#	  becomes of those who have been granted too much.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Webhook::Test;
use Test::More;

my $server = Webhook::Test->new('rights', <<'END');
webhook.retry_schedule = '1h'
webhook.event_retention = 1s
session_preload_libraries = 'auto_explain'
END
$server->prepare;
my $receiver = $server->receiver;
my $node = $server->node;
my $type = 'App.BusinessRequestStatusChange';
my $contract = 0;

sub becomes
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what)
	  or diag($server->sql('TABLE webhook.stat_worker; SELECT subscription_id, outcome, error FROM webhook.log ORDER BY logged_at DESC LIMIT 9'));
	return;
}

sub publish
{
	$contract++;
	return $server->sql("SELECT webhook.publish('$type', '{}', 'contract/$contract')");
}

# SQL as somebody else; what it returns, or its error.
sub as
{
	my ($role, $query) = @_;
	my ($status, $out, $error) =
	  $node->psql('postgres', "SET ROLE $role;\n$query", extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $status == 0 ? $out : $error;
}

sub refused
{
	my ($role, $query, $expected, $what) = @_;
	like(as($role, $query), $expected, $what);
	return;
}

# ---- Secrets take turns, before a receiver

sub entries
{
	my ($request) = @_;
	return split / /, $request->{headers}{'webhook-signature'};
}

sub entry
{
	my ($request, $secret) = @_;
	my $signed = join '.', @{ $request->{headers} }{qw(webhook-id webhook-timestamp)}, $request->{body};
	return 'v1,' . encode_base64(hmac_sha256($signed, decode_base64($secret =~ s/^whsec_//r)), '');
}

sub abp
{
	my ($request, $secret) = @_;
	return 'sha256=' . join '-', uc(hmac_sha256_hex($request->{body}, $secret)) =~ /../g;
}

sub last_call { return ($receiver->requests(qr/^\Q$_[0]\E$/))[-1]; }

my $subscription = $server->subscribe('/ok/turns', q(signature_schemes => '{standard,abp}'));
my $first = $server->sql("SELECT webhook.secret($subscription)");
publish();
$server->settle('one secret');
my $call = last_call('/ok/turns');
is_deeply([ entries($call) ], [ entry($call, $first) ], 'one secret, one signature');
is($call->{headers}{'abp-webhook-signature'}, abp($call, $first), '... by ABP as well');

my $second = $server->sql("SELECT webhook.rotate_secret($subscription, '1 h')");
publish();
$server->settle('two secrets');
$call = last_call('/ok/turns');
is_deeply([ entries($call) ], [ entry($call, $second), entry($call, $first) ],
	'during the overlap both sign, the new one first');
is($call->{headers}{'abp-webhook-signature'}, abp($call, $second), '... by ABP the new one alone');
is($server->sql(<<"END"), 't', '... as the log tells, too');
SELECT bool_and(webhook.verify(s, request_headers, request_body))
FROM webhook.log, unnest('{$first,$second}'::text[]) AS s
WHERE event_id = '$call->{headers}{'webhook-id'}'
END

# The overlap ends by the clock: no command, no reload.
my $third = $server->sql("SELECT webhook.rotate_secret($subscription, '2 s')");
my $events = $server->sql(q(SELECT max(id) FROM webhook_internal.ring WHERE kind = 'c'));
my %seen;
foreach (1 .. 300)
{
	publish();
	$server->sql('SELECT webhook.drain()');
	$call = last_call('/ok/turns');
	$seen{ scalar entries($call) }++;
	last if entries($call) == 1;
}
ok($seen{3}, 'three secrets were live');
is_deeply([ entries($call) ], [ entry($call, $third) ], 'after the overlap the newest alone signs');
is($server->sql(q(SELECT coalesce(max(id), 0) FROM webhook_internal.ring WHERE kind = 'c') . " AND id > $events"), 0,
	'... and nothing told the worker');
is($server->sql("SELECT count(*) FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"), 3,
	'what has ended is kept');
my $fourth = $server->sql("SELECT webhook.rotate_secret($subscription, '0')");
is($server->sql("SELECT string_agg(secret, ' ') FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"),
	$fourth, '... until the next turn');
publish();
$server->settle('one again');
$call = last_call('/ok/turns');
is_deeply([ entries($call) ], [ entry($call, $fourth) ], 'without an overlap the former ones end at once');
$server->unsubscribe_all;

# ---- What is told of credentials

# As talkative as the server can be, but for the statements themselves.
my $talk = <<'END';
SET log_statement = 'all';
SET log_min_duration_statement = 0;
SET log_parameter_max_length = -1;
SET log_parameter_max_length_on_error = -1;
SET log_error_verbosity = verbose;
SET log_min_messages = debug5;
SET debug_print_parse = on;
SET debug_print_rewritten = on;
SET debug_print_plan = on;
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_verbose = on;
END
$server->sql(<<'END');
CREATE TABLE given (headers jsonb, endpoint text);
END
$server->sql(<<"END");
INSERT INTO given SELECT format('{"X-Api-Key": "%1\$s", "X-Colour": "red"}', s)::jsonb,
	format('@{[ $receiver->url('/credentials') ]}?token=%1\$s&%1\$s', s)
FROM (SELECT 'ses' || 'ame' AS s) v
END
$subscription = $server->sql($talk . <<"END");
SELECT webhook.subscribe(endpoint, '{$type}', headers => headers) FROM given;
END
$server->sql($talk . "SELECT count(webhook.rotate_secret($subscription))");
$server->sql($talk . "SELECT webhook.alter_subscription($subscription, headers => headers) FROM given");
$server->sql($talk . <<"END");
DO \$\$
BEGIN
	PERFORM webhook.subscribe(endpoint, '{$type}', headers => headers) FROM given;
	RAISE 'expected';
EXCEPTION WHEN unique_violation THEN
	RAISE LOG 'a duplicate: %', SQLERRM;
END;
\$\$
END
my @hidden = ('sesame', split /\n/,
	$server->sql("SELECT secret FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"));
is(@hidden, 3, 'something to hide');
publish();
$server->settle('a call with credentials');
is(last_call('/credentials?token=sesame&sesame')->{headers}{'x-api-key'}, 'sesame', 'they are sent');

my $shown = $server->sql(<<'END');
SELECT to_jsonb(l) FROM webhook.log l;
SELECT to_jsonb(s) FROM webhook.subscription s;
SELECT to_jsonb(s) FROM webhook.stat_subscription s;
SELECT to_jsonb(s) FROM webhook_internal.subscription_state s;
SELECT to_jsonb(s) FROM webhook_internal.pending s;
SELECT to_jsonb(s) FROM webhook.dead_letter s;
SELECT to_jsonb(a) FROM pg_stat_activity a WHERE backend_type LIKE 'webhook%';
END
my ($row) = grep { /credentials/ } split /\n/, $shown;
like($row, qr/"endpoint": "[^"]*\/credentials\?token=\*\*\*&\*\*\*"/, 'log: the endpoint without values');
like($row, qr/"x-api-key": "\*\*\*"/, 'log: a header of the request');
like($row, qr/"location": "\/ok\?token=\*\*\*"/, 'log: a place that the answer names');
like($row, qr/"set-cookie": \["\*\*\*", "\*\*\*"\]/, 'log: a header of the answer');
like($row, qr/"x-colour": "red".*"x-colour": "red"/, 'log: what is none is there');
my $said = slurp_file($node->logfile);
like($said, qr/Query Text: INSERT INTO webhook_internal\.subscription_secret/, 'the server told of what we run');
like($said, qr/:constvalue/, '... in full');
foreach my $secret (@hidden)
{
	# A plan has a constant as its bytes.
	my $bytes = join ' ', unpack 'C*', $secret;
	my $name = substr($secret, 0, 6) . '...';

	is(index($shown, $secret), -1, "no table tells of $name");
	is(index($said, $secret), -1, "the server's log does not tell of $name");
	is(index($said, $bytes), -1, "... nor in a plan");
}
$server->unsubscribe_all;

# What is wrong is repeated in a message without its credentials, on a line
# that is not taken for another.
as('postgres', "SELECT webhook.subscribe(E'https://me:sesame2\@example.com/?a=sesame2\\nLOG:  forged', '{$type}')");
my $message = join "\n", grep { /ERROR:/ } split /\n/, slurp_file($node->logfile);
like($message, qr{invalid endpoint "https://\*\*\*\@example\.com/\?a=\*\*\*"}, 'an error without credentials');
unlike(slurp_file($node->logfile), qr/^LOG:  forged/m, 'no forged line');

# ---- Default privileges open nothing

$server->sql('CREATE ROLE snoop');
$server->sql('CREATE DATABASE open');
$node->safe_psql('open', <<"END");
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO snoop, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO snoop, PUBLIC;
CREATE EXTENSION webhook;
SELECT webhook.subscribe('@{[ $receiver->url('/ok/open') ]}', '{$type}');
SELECT webhook.ping(1);
END
ok($node->poll_query_until('open', q(SELECT count(*) = 1 FROM webhook.log)), 'a leaf of the log is made');
is($node->safe_psql('open', <<'END'), '', 'neither it nor anything else is open by default privileges');
SELECT o.what, a.grantee, a.privilege_type
FROM (SELECT nspname AS what, nspacl AS acl, nspowner AS owner FROM pg_namespace WHERE nspname ~ '^webhook'
	UNION ALL SELECT relname, relacl, relowner FROM pg_class WHERE relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
	UNION ALL SELECT proname, proacl, proowner FROM pg_proc WHERE pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)) o,
	aclexplode(o.acl) a
WHERE a.grantee <> o.owner
END
is($node->safe_psql('open', q(SELECT count(*) FROM pg_class WHERE relnamespace = 'webhook_internal'::regnamespace AND relname ~ '^log_')),
	2, 'there are two');
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
my $dump = "$node->{_basedir}/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'a dump');
$server->sql('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'restored', '-f', $dump ], 'restored');
like($before, qr/subscribe\(.*administrator EXECUTE/, 'there are grants');
is($node->safe_psql('restored', $grants), $before, '... and they are restored');
$server->sql('DROP DATABASE restored WITH (FORCE)');
refused('administrator', "SHOW $_", qr/42501/, "$_ is not his to read")
  foreach qw(webhook.proxy webhook.certificate_directory);
foreach my $setting (qw(require_https allowed_networks denied_networks allowed_ports proxy certificate_directory))
{
	refused('administrator', "SET webhook.$setting = ''", qr/55P02/, "webhook.$setting is not his to set");
	refused('postgres', "ALTER ROLE administrator SET webhook.$setting = '443'", qr/55P02/, 'for no role');
}
refused('postgres', 'DROP ROLE reader', qr/cannot be dropped.*privileges for schema webhook/s,
	'who drops a role is told what holds it');
$server->sql('DROP OWNED BY reader; DROP ROLE reader');

# ---- Those who have been granted too much

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
LOCK TABLE webhook_internal.event_0, webhook_internal.event_1, webhook_internal.event_2, webhook_internal.event_3 IN ACCESS SHARE MODE;
GRANT $privileges ON ALL TABLES IN SCHEMA webhook, webhook_internal TO mallory;
COMMIT;
GRANT
}

grant_on_tables('TRIGGER, REFERENCES, SELECT');
$server->sql('GRANT USAGE ON SCHEMA webhook, webhook_internal TO mallory');
$subscription = $server->subscribe('/ok/mallory');

sub superusers { return $server->sql(q(SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolsuper)); }
sub trace { return $server->sql(q(SELECT string_agg(who || ' ' || what, ', ') FROM mallory.trace)); }
my $superusers = superusers();

# A trigger on each table, of each kind: PostgreSQL lets whoever may.
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
is($server->sql(q(SELECT count(DISTINCT tgrelid) FROM pg_trigger WHERE tgfoid = 'mallory.grab'::regproc)), 12,
	'there is a trigger on each table');
foreach (
	"subscribe('https://example.com/', '{*}')", "alter_subscription($subscription, max_in_flight => 2)",
	"pause($subscription)", "resume($subscription)", "rotate_secret($subscription)", "unsubscribe($subscription)",
	"define_event_type('App.Trap')", 'resume_database()')
{
	refused('administrator', "SELECT webhook.$_", qr/55000.*has a trigger that is not the extension's/s, "$_ springs no trap");
}

# The rest goes on, past the triggers: the worker, the ring, the log.
my $round = 2 + $server->sql('SELECT rotations FROM webhook.stat_worker');
foreach (1 .. 300)
{
	publish();
	$server->sql('SELECT webhook.drain()');
	last if $server->sql('SELECT rotations FROM webhook.stat_worker') >= $round;
}
becomes("SELECT rotations >= $round FROM webhook.stat_worker", 'the ring goes round and is truncated');
is($server->sql("SELECT webhook.ping($subscription) IS NOT NULL"), 't', 'a command goes through');
$server->settle('past the triggers');
$server->set('webhook.log_retention', '1d');
$server->end_worker('TERM');
publish();
$server->settle('a new worker');
is(trace(), '', 'no trigger of his has run');
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
is(trace(), 'mallory child DELETE', 'a foreign key lets him do what he may anyway');
$server->sql('DROP TABLE mallory.child; DELETE FROM mallory.trace');

# Who may make things in the schema: no call of ours means what he has made.
$server->sql('GRANT CREATE ON SCHEMA webhook, webhook_internal TO mallory');
is(as('mallory', <<'END'), '', 'namesakes of each function that is called by others');
CREATE FUNCTION mallory.note(what text) RETURNS void LANGUAGE sql AS $$ INSERT INTO mallory.trace VALUES (current_user, what) $$;
GRANT EXECUTE ON FUNCTION mallory.note(text) TO PUBLIC;
DO $$
DECLARE
	f	record;
	a	text;
BEGIN
	FOR f IN SELECT p.pronamespace::regnamespace AS schema, p.proname, p.pronargs, p.prorettype::regtype AS result, p.oid
			FROM pg_proc p
			WHERE p.pronamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) AND p.proowner <> 'mallory'::regrole
				AND p.prorettype <> 'trigger'::regtype
				AND p.proname NOT IN ('subscribe', 'alter_subscription', 'unsubscribe', 'pause', 'resume', 'resume_database',
					'ping', 'resend', 'recover', 'cancel', 'skip', 'define_event_type', 'watch', 'unwatch', 'publish',
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
cmp_ok($server->sql(q(SELECT count(*) FROM pg_proc WHERE proowner = 'mallory'::regrole)), '>', 200, 'there are many');
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
SELECT webhook.explain(:'event', :id);
SELECT webhook.explain(:'ping', :id);
SELECT count(*) FROM webhook.stat_subscription;
SELECT count(*) FROM webhook.subscription;
SELECT webhook.subscription_options(:id);
SELECT webhook.unsubscribe(:id);
SELECT 'done';
END
like($done, qr/\ndone$/, 'an admin does his work');
is(trace(), '', '... and none of them was called');
unlike(as('postgres', <<'END'), qr/ERROR/, 'a table is watched');
CREATE TABLE watched (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('watched');
SELECT webhook.unwatch('watched');
END
refused('postgres', "SELECT webhook.grant_admin('snoop')", qr/42725.*is not unique/s, 'nothing is granted on a namesake');
is(trace(), '', '... and none was called');
is($server->sql(q(SELECT count(*) FROM pg_proc WHERE proname = 'caller' AND pronamespace = 'webhook_internal'::regnamespace)), 1,
	'one without arguments has no namesake');
as('postgres', q(DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT oid FROM pg_proc WHERE proowner = 'mallory'::regrole LOOP EXECUTE format('DROP FUNCTION %s CASCADE', f); END LOOP; END $$));
$server->sql('REVOKE CREATE ON SCHEMA webhook, webhook_internal FROM mallory');

# What needs the owner is refused, whatever has been granted.
grant_on_tables('ALL');
$server->sql('GRANT ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal TO mallory; GRANT ALL ON SCHEMA webhook, webhook_internal TO mallory');
foreach my $table (qw(event_type subscription subscription_secret event_0 pending subscription_state log checkpoint))
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

# Who may write the tables: what he writes there is as good as what he could
# have asked for, or is left alone.
$server->sql('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA webhook, webhook_internal TO mallory; GRANT USAGE ON ALL SEQUENCES IN SCHEMA webhook_internal TO mallory');
$subscription = $server->subscribe('/ok/good', "secret => 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'");
my $good = $receiver->url('/ok/bad');
is(as('mallory', <<"END"), '', 'what nobody would write');
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
SELECT id, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' FROM webhook.subscription WHERE id > 1000;
INSERT INTO webhook_internal.event_0 (id, txid, created_at, event_id, kind, event_type, subject, data)
SELECT nextval('webhook_internal.event_id_seq'), pg_current_xact_id(), now(), gen_random_uuid(), k::"char", t, u, d::json
FROM unnest('{e,r,k,s,x,c,?}'::text[]) AS k,
	unnest(ARRAY[NULL, '', E'App.\\nX-Injected: yes', repeat('x', 100000)]) AS t,
	unnest(ARRAY[NULL, '', E'a\\r\\nb']) AS u,
	unnest(ARRAY[NULL, '{}', '[]', '{"subscription":$subscription}', '{"subscription":"x"}']) AS d;
INSERT INTO webhook_internal.pending
SELECT s, u, n, n, gen_random_uuid(), c, a, a, t, t, t, t, 'App.X', '{}'
FROM unnest('{$subscription,-1,9223372036854775807}'::bigint[]) AS s, unnest(ARRAY['', E'a\r\nb', repeat('x', 600)]) AS u,
	unnest('{ping,resend,nonsense}'::text[]) AS c,
	(VALUES (1, -2147483648, '-infinity'), (2, 2147483647, 'infinity'), (3, 0, '294276-12-31')) AS v (n, a, t0),
	CAST(t0 AS timestamptz) AS t
ON CONFLICT DO NOTHING;
INSERT INTO webhook_internal.subscription_state
SELECT s, l, l, l, t, t, t, t, l, t, E'x\r\ny', NULL, NULL, t, make_interval(secs => l), l, l, l, l, 'NaN', '-1 s', '1000 years', t
FROM (VALUES (-1, -2147483648, '-infinity'), (1002, 2147483647, 'infinity')) AS v (s, l, t0), CAST(t0 AS timestamptz) AS t
ON CONFLICT DO NOTHING;
END

# What is committed next is delivered all the same.
sub delivers
{
	my ($what) = @_;
	my $event = publish();
	becomes("SELECT count(*) = 1 FROM webhook.log WHERE event_id = '$event' AND subscription_id = $subscription AND outcome = 'delivered'",
		"$what: an event is delivered");
	return;
}

my $worker = $server->worker;
delivers('what nobody would write');
is($server->worker, $worker, 'the worker lives on');
$server->end_worker('TERM');
$worker = $server->worker;
delivers('... and the next worker, which reads all of it');
is($server->worker, $worker, 'the next one lives on, too');
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:/, 'nothing has crashed');
is(scalar(grep { exists $_->{headers}{'x-injected'} or join("\n", @{ $_->{header_lines} }) =~ /^X-Injected/m } $receiver->requests), 0,
	'nothing is injected');
is($server->sql(q(SELECT count(*) FROM webhook.log WHERE outcome = 'delivered' AND subscription_id IN (1003, 1004, 1005))), 0,
	'no other scheme is called');
is(superusers(), $superusers, 'nobody has become a superuser');
$server->unsubscribe_all;

# ---- The look for triggers locks nobody out

my $script = "$node->{_basedir}/people.sql";
append_to_file($script, <<'END');
\set n random(1, 1000000000)
SELECT webhook.subscribe('https://example.com/' || :client_id || '/' || :n, '{*}') AS id \gset
SELECT webhook.alter_subscription(:id, endpoint => 'https://example.net/' || :client_id || '/' || :n);
SELECT webhook.rotate_secret(:id);
SELECT webhook.pause(:id);
SELECT webhook.define_event_type('App.' || :client_id || '.' || :n);
SELECT webhook.unsubscribe(:id);
END
$node->command_like([ 'pgbench', '-n', '-c', '6', '-t', '60', '-f', $script, 'postgres' ],
	qr/^number of failed transactions: 0 /m, 'people who subscribe at once do not deadlock');

# ---- A schema that is somebody else's already

$server->sql('CREATE DATABASE taken OWNER mallory');
$node->safe_psql('taken', 'SET ROLE mallory; CREATE SCHEMA webhook');
my ($status, $out, $error) = $node->psql('taken', 'CREATE EXTENSION webhook');
like($error, qr/schema "webhook" already exists/, 'the extension is not put into a schema of somebody else');
$server->sql('DROP DATABASE taken');

# ---- What docs/security.md names is there

my $claims = slurp_file('docs/security.md');
my @named = $claims =~ m{`((?:test|src|sql|docs|expected)/[\w./-]+\.\w+)`}g;
cmp_ok(scalar @named, '>', 10, 'docs/security.md names tests');
is(join(' ', grep { !-e } @named), '', '... that exist');

done_testing();
