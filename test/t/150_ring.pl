# 150_ring.pl
#	  Does the ring stay small while writers never stop?  What may a DBA do to our
#	  tables (indexes, locks, rewrites, alterations) without losing an event or
#	  crashing the server?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;
use Webhook::Writers;

my $server = Webhook::Test->new('ring', <<'END');
webhook.event_retention = 2s
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s'
webhook.timeout = 3s
END
my $receiver = $server->receiver;

# Wait until the ring has changed its table so many more times, by the same worker.
sub goes_round
{
	my ($times, $what) = @_;
	my $until = $server->stat_worker('rotations') + $times;
	$server->becomes("SELECT rotations >= $until FROM webhook.stat_worker", 't', "$what: the ring goes round");
	return;
}

$server->sql('CREATE EXTENSION webhook');
my $writers = Webhook::Writers->new($server);
$writers->arrives('first of all', 'first');

# ---- The ring goes round while writers never stop

$writers->start(2);
goes_round(4, 'undisturbed');
unlike($server->log_since, qr/no table of the webhook event ring is empty/, 'undisturbed: there is always an empty table');
$server->set('webhook.event_retention', '1s');

# Each of these transactions holds the ring table that it has written to or seen.
$server->sql("BEGIN; SELECT webhook.publish('$type', '{\"writer\":0,\"n\":1}'); PREPARE TRANSACTION 'written'");
$server->sql("BEGIN; CREATE TABLE idle (); PREPARE TRANSACTION 'idle'");
my $snapshot = $server->hold('SELECT count(*) FROM pg_class', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
my $writer = $server->hold("SELECT webhook.publish('$type', '{\"writer\":0,\"n\":2}')");
goes_round(8, 'prepared transactions, an old snapshot and an open writer');
$server->let_go($writer);
$server->sql("COMMIT PREPARED 'written'");
$server->sql('INSERT INTO written VALUES (0, 2)');
$server->sql("ROLLBACK PREPARED 'idle'");
$server->let_go($snapshot);
goes_round(4, 'after their end');
$writers->stop('round and round');
cmp_ok($server->sql("SELECT sum(pg_table_size('webhook_internal.event_' || n)) FROM generate_series(0, 3) n"), '<', 16 * 1024 * 1024,
	'the ring stays small');

# A reader keeps all ring tables from being truncated.
{
	my $place = $server->log_end;

	# A worker reports that once a minute, so it has to be another one.
	$server->restart_worker;
	$writers->start(1);
	my $reader = $server->hold('SELECT count(*) FROM webhook.event');
	$server->logs(qr/no table of the webhook event ring is empty.*\n.*HINT:/, $place,
		'a ring that cannot go round is reported');
	$server->let_go($reader);
	goes_round(2, 'after the reader');
	$writers->stop('a reader');
}

# A slow subscription, a paused one and none at all do not hold the ring.
my $paused = $server->subscribe('/ok/paused');
my $dead = $server->subscribe('/hang');
$server->sql("SELECT webhook.pause($paused)");
$writers->start(1);
sleep 3;
goes_round(4, 'a paused subscription and a dead endpoint');
$server->unsubscribe($dead);
$server->restart_worker;
$server->unsubscribe($paused);
$writers->stop('a paused subscription and a dead endpoint');

# ---- Indexes that a DBA adds to the ring

$server->sql(<<'END');
CREATE ROLE clerk;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO clerk;
CREATE TABLE app.contract (id int PRIMARY KEY, status text);
GRANT SELECT, INSERT, UPDATE ON app.contract TO clerk;
SELECT webhook.watch('app.contract');
CREATE FUNCTION app.owner_only(data json) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF current_user = 'clerk' THEN
		RAISE EXCEPTION 'run as %', current_user;
	END IF;
	RETURN data->>'text';
END $$;
CREATE FUNCTION app.no_boom(text text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF text LIKE '%boom%' THEN
		RAISE EXCEPTION 'boom';
	END IF;
	RETURN text;
END $$;
CREATE FUNCTION app.no_role(data json) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF data->>'text' = 'escape' THEN
		PERFORM set_config('role', 'clerk', false);
	END IF;
	RETURN data->>'text';
END $$;
DO $$
BEGIN
	FOR n IN 0 .. 3 LOOP
		EXECUTE format($_$
			CREATE INDEX ON webhook_internal.event_%1$s (subject) WHERE kind = 'e' AND data->>'text' LIKE 'in%%';
			CREATE INDEX ON webhook_internal.event_%1$s ((data->>'text'), lower(subject));
			CREATE INDEX ON webhook_internal.event_%1$s (app.owner_only(data));
			CREATE INDEX ON webhook_internal.event_%1$s (app.no_boom(data->>'text'));
			CREATE INDEX ON webhook_internal.event_%1$s (app.no_role(data));
			CREATE UNIQUE INDEX ON webhook_internal.event_%1$s (event_id);
			CREATE INDEX ON webhook_internal.event_%1$s USING hash (subject);
			CREATE INDEX ON webhook_internal.event_%1$s USING brin (created_at);
			CREATE INDEX ON webhook_internal.event_%1$s USING gin (to_tsvector('simple', data));
			ALTER TABLE webhook_internal.event_%1$s ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED;
			ALTER TABLE webhook_internal.event_%1$s
				ADD EXCLUDE USING btree (txid WITH =, id WITH =);
		$_$, n);
	END LOOP;
END $$;
END
$writers->start(2);
$writers->arrives('with indexes of all kinds on the ring, an event arrives', 'in');
is($server->sql("SET ROLE clerk; INSERT INTO app.contract VALUES (1, 'Draft'); UPDATE app.contract SET status = 'Signed'; RESET ROLE"),
	'', 'a role with rights on the contract only can change it');
{
	my ($status, $stdout, $stderr) =
	  $server->psql("SELECT webhook.publish('$type', '{\"text\":\"boom\"}')");
	like($stderr, qr/ERROR:  boom/, 'an index that raises an error raises it in the writer');
	($status, $stdout, $stderr) =
	  $server->psql("SELECT webhook.publish('$type', '{\"text\":\"escape\"}')");
	like($stderr, qr/ERROR:  cannot set parameter "role" within security-restricted operation/,
		'an index that tries to change the role raises an error');
}
{
	# A partial index has the rows that the table has.
	my $both = $server->sql(<<'END');
BEGIN;
SELECT webhook.publish('App.BusinessRequestStatusChange', '{"text":"out"}', 'partial');
SELECT webhook.publish('App.BusinessRequestStatusChange', '{"text":"inside"}', 'partial');
SET enable_seqscan = off;
SELECT count(*) FROM webhook.event WHERE data->>'text' LIKE 'in%' AND subject = 'partial';
SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_seqscan = on;
SELECT count(*) FROM webhook.event WHERE data->>'text' LIKE 'in%' AND subject = 'partial';
COMMIT;
END
	like($both, qr/^1\n1\z/m, 'a partial index has the rows that it should');
}
goes_round(5, 'indexes');
$writers->stop('indexes');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subject = 'contract/1' AND outcome = 'delivered'"), 2,
	'the changes of the contract arrived');

# ---- Indexes that a DBA adds to the log

my $leaf = $server->log_leaf;
$server->sql(<<"END");
CREATE INDEX ON $leaf (subject) WHERE outcome = 'delivered';
CREATE INDEX ON $leaf ((request_headers->>'webhook-id'));
CREATE UNIQUE INDEX ON $leaf (event_id, subscription_id, attempt, position, logged_at);
CREATE INDEX ON $leaf USING gin (request_headers);
CREATE INDEX ON $leaf (app.no_boom(left(request_body, 2000)));
END
$writers->arrives('with indexes of all kinds on the log, an event arrives', 'logged');
$server->sql('DO $$ BEGIN FOR n IN 0 .. 3 LOOP EXECUTE format($_$ DROP INDEX webhook_internal.event_%s_no_boom_idx $_$, n); END LOOP; END $$');
my @ids = (
	$writers->arrives('an event that the index refuses arrives', 'boom'),
	$writers->arrives('the next event arrives', 'after'));
$server->settle('indexes on the log');
is($server->sql("SELECT outcome, request_body IS NULL FROM webhook.log WHERE event_id IN ('$ids[0]', '$ids[1]') ORDER BY position"),
	"delivered|t\ndelivered|f", 'the refused one is logged without bodies');
is($server->sql("SELECT count(*) FROM webhook.log WHERE request_headers->>'webhook-id' IS DISTINCT FROM event_id::text AND request_headers IS NOT NULL"),
	0, 'an index of an expression has the right rows');

# An index that refuses every row: no event is sent a second time.
{
	my $place = $server->log_end;
	$server->sql(<<"END");
CREATE FUNCTION app.never(event uuid) RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE EXCEPTION 'never';
END \$\$;
TRUNCATE webhook.log;
CREATE INDEX never ON $leaf (app.never(event_id));
END
	$server->sql("SELECT webhook.publish('$type', '{\"text\":\"never $_\"}', 'never/$_')") foreach 1 .. 5;
	$server->logs(qr/ERROR:  never/, $place, 'an index that refuses everything stops the log');
	sleep 3;
	my %seen;
	$seen{$_->{body}}++ foreach grep { $_->{body} =~ /never/ } $receiver->requests;
	is(scalar grep({ $_ > 1 } values %seen), 0, 'no event is sent a second time meanwhile');
	cmp_ok($server->sql('SELECT flush_errors FROM webhook.stat_worker'), '>', 0, 'webhook.stat_worker counts it');
	$server->sql('DROP INDEX webhook_internal.never');
	$server->settle('without it');
	%seen = ();
	$seen{$_->{body}}++ foreach grep { $_->{body} =~ /never/ } $receiver->requests;
	is(scalar keys %seen, 5, 'without the index all events arrive');
	is(scalar grep({ $_ > 1 } values %seen), 0, 'none came twice');
	is($server->sql("SELECT count(DISTINCT event_id) FROM webhook.log WHERE subject LIKE 'never/%' AND outcome = 'delivered'"), 5,
		'all are logged');
}
$server->sql('DROP FUNCTION app.no_boom(text) CASCADE; DROP FUNCTION app.never(uuid) CASCADE');
$receiver->clear;

# ---- Other statements of a DBA, while writers never stop

$writers->start(2);
foreach my $statement (
	(map { ("VACUUM FULL webhook_internal.event_$_", "REINDEX TABLE webhook_internal.event_$_",
			"CLUSTER webhook_internal.event_$_ USING event_${_}_txid_id_idx", "VACUUM FREEZE webhook_internal.event_$_") } 0 .. 3),
	'VACUUM FULL webhook.log', 'REINDEX TABLE webhook.log', 'VACUUM FULL webhook_internal.pending', 'REINDEX TABLE webhook_internal.pending',
	'CLUSTER webhook_internal.pending USING pending_pkey', 'VACUUM FULL webhook_internal.checkpoint', 'VACUUM FULL webhook_internal.subscription',
	'REINDEX TABLE CONCURRENTLY webhook_internal.event_1', 'REINDEX TABLE CONCURRENTLY webhook.log', 'ANALYZE',
	'CREATE INDEX CONCURRENTLY own ON webhook_internal.event_2 (created_at)', 'DROP INDEX CONCURRENTLY webhook_internal.own',
	'ALTER TABLE webhook_internal.event_0 ADD COLUMN note text', 'ALTER TABLE webhook_internal.event_0 ADD COLUMN with_default int DEFAULT 7',
	'ALTER TABLE webhook_internal.event_0 DROP COLUMN note',
	'ALTER TABLE webhook_internal.event_1 ADD CHECK (id < 0) NOT VALID', 'ALTER TABLE webhook_internal.event_2 ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE webhook_internal.event_2 FORCE ROW LEVEL SECURITY', 'ALTER TABLE webhook_internal.event_3 REPLICA IDENTITY FULL',
	'ALTER TABLE webhook_internal.event_3 SET (fillfactor = 50)',
	'CREATE STATISTICS webhook.own ON txid, id FROM webhook_internal.event_0',
	'DELETE FROM webhook.log WHERE attempt = 1', 'UPDATE webhook.log SET error = $$looked at$$',
	'TRUNCATE webhook.log', 'DELETE FROM webhook_internal.checkpoint WHERE false',
	'ALTER TABLE webhook.log OWNER TO clerk', 'ALTER TABLE webhook.log OWNER TO CURRENT_USER',
	'CREATE PUBLICATION everything FOR ALL TABLES', 'DROP PUBLICATION everything',
	'SELECT count(*) FROM webhook.event', 'SELECT webhook.drain()')
{
	my ($status, $stdout, $stderr) = $server->psql($statement);
	is($status, 0, $statement) or diag($stderr);
}
$writers->stop('maintenance by a DBA');
$writers->arrives('after all of them an event arrives', 'after that');

# Locks on our tables.
$writers->start(2);
foreach my $relation ('webhook.log',
	map { "webhook_internal.$_" } qw(event_0 event_1 event_2 event_3 pending checkpoint subscription))
{
	my $count = $receiver->requests;
	$server->sql("BEGIN; LOCK $relation; SELECT pg_sleep(0.7); COMMIT");
	$receiver->wait_for($count + 1);
	cmp_ok(scalar $receiver->requests, '>', $count, "after LOCK $relation everything goes on");
}
$server->sql('BEGIN; LOCK webhook_internal.event_0, webhook_internal.event_1, webhook_internal.event_2, webhook_internal.event_3; SELECT pg_sleep(0.7); COMMIT');
goes_round(2, 'locks');
$writers->stop('locks');

# Ring tables with a missing index or another name: events are taken as long as one
# table is as it should be.
{
	my $place = $server->log_end;
	$writers->start(1);
	my ($status, undef, $stderr) = $server->psql('ALTER TABLE webhook_internal.event_1 ALTER COLUMN txid TYPE text');
	like($stderr, qr/cannot alter type/, 'a column of the ring keeps its type');
	my $rename = "UPDATE pg_class SET relname = '%s' WHERE oid = 'webhook_internal.%s'::regclass";
	$server->sql('DROP INDEX webhook_internal.event_1_txid_id_idx; SET allow_system_table_mods = on; '
			. sprintf($rename, 'mine', 'event_2'));
	$server->logs(qr/ERROR:  index "webhook_internal\.event_1_txid_id_idx" is missing or has an unexpected definition.*\n.*HINT:/, $place,
		'a table that is out of shape is reported');
	sleep 1;
	is($server->sql("SELECT webhook.publish('$type', '{\"text\":\"out of shape\"}') IS NOT NULL"), 't', 'events are taken meanwhile');
	$server->sql('SET allow_system_table_mods = on; ' . sprintf($rename, 'event_2', 'mine') . '; CREATE INDEX event_1_txid_id_idx ON webhook_internal.event_1 (txid, id)');
	$writers->stop('tables out of shape');
}

# ---- webhook.event_retention = 0: the ring changes its table when it is large

$server->set('webhook.event_retention', '0');
$writers->arrives('with event_retention = 0 an event arrives', 'event_retention 0');
$writers->start(1);
$writers->stop('event_retention = 0');

$server->stop;
$server->is_sound;

done_testing();
