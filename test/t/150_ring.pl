# 150_ring.pl
#	  The tables that the extension fills: the ring goes round while writers
#	  never stop, the log grows and is cut by days, and a DBA may do to both what
#	  he likes without losing an event or crashing the server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;
use Time::HiRes qw(sleep time);

my $type = 'App.BusinessRequestStatusChange';

my $node = PostgreSQL::Test::Cluster->new('ring');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->append_conf('postgresql.conf', <<'END');
webhook.event_retention = 1s
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s'
webhook.timeout = 3s
END
$node->start;

my $receiver = Webhook::Receiver->new(file => "$node->{_basedir}/received");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub becomes
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what);
	return;
}

sub settle { is(sql("SELECT webhook.drain('60 s')"), 't', "$_[0]: drained"); return; }

sub rotations { return sql('SELECT rotations FROM webhook.stat_worker'); }

# Wait for the ring to go round some more, the worker being the same.
sub goes_round
{
	my ($times, $what) = @_;
	my $until = rotations() + $times;
	becomes("SELECT rotations >= $until FROM webhook.stat_worker", "$what: the ring goes round");
	return;
}

sub restart_worker
{
	my $pid = sql('SELECT pid FROM webhook.stat_worker');
	sql("SELECT pg_terminate_backend($pid)");
	becomes("SELECT count(*) = 1 FROM webhook.stat_worker WHERE state = 'running' AND pid <> $pid",
		'the worker starts anew');
	return;
}

# Sessions that publish without end, each a series of its own.
my $nwriters = 0;
my @writers;

sub start_writers
{
	my ($count) = @_;
	foreach (1 .. $count)
	{
		my $session = $node->background_psql('postgres', on_error_stop => 1);
		$nwriters++;
		$session->query_until(qr/go/, "\\echo go\nCALL write_on($nwriters);\n");
		push @writers, $session;
	}
	return;
}

# Stop them; has everything arrived, once and in order?
sub stop_writers
{
	my ($what) = @_;
	sql('INSERT INTO stop DEFAULT VALUES');
	$_->quit foreach @writers;
	@writers = ();
	settle($what);
	my $written = sql("SELECT coalesce(sum(n), 0) FROM written");
	my (%seen, $twice, %last, $disorder);
	foreach ($receiver->requests(qr{^/ok/writers$}))
	{
		my ($writer, $n) = $_->{body} =~ /"writer":(\d+),"n":(\d+)/ or next;
		$twice++ if $seen{"$writer/$n"}++;
		$disorder++ if $writer > 0 and $n < ($last{$writer} // 0);
		$last{$writer} = $n;
	}
	is(scalar keys %seen, $written, "$what: all $written events arrive")
	  or diag(sql("SELECT 'pending', subject, count(*), count(next_at), min(next_at), now() FROM webhook_internal.pending GROUP BY 2;
			SELECT 'log', outcome, error_class, error, count(*) FROM webhook.log GROUP BY 2, 3, 4"));
	is($twice // 0, 0, "$what: none twice");
	is($disorder // 0, 0, "$what: in order");
	sql('DELETE FROM stop; DELETE FROM written');
	$receiver->clear;
	return;
}

# One event: does it arrive? Its text has to be a new one. Its Id.
sub arrives
{
	my ($what, $text) = @_;
	my $id = sql("SELECT webhook.publish('$type', '{\"text\":\"$text\"}', 'text')");
	my $until = time + 20;
	my $count;
	do
	{
		sleep 0.01;
		$count = grep { $_->{body} =~ /"text":"\Q$text\E"/ } $receiver->requests(qr{^/ok/writers$});
	} while (!$count and time < $until);
	is($count, 1, $what);
	return $id;
}

sql(<<"END");
CREATE EXTENSION webhook;
CREATE TABLE stop ();
CREATE TABLE written (writer int, n int);
CREATE PROCEDURE write_on(writer int) LANGUAGE plpgsql AS \$\$
DECLARE
	n int := 0;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		n := n + 1;
		PERFORM webhook.publish('$type', format('{"writer":%s,"n":%s}', writer, n)::json, 'writer/' || writer);
		COMMIT;
		PERFORM pg_sleep(0.002);
	END LOOP;
	INSERT INTO written VALUES (writer, n);
	COMMIT;
END \$\$;
SELECT webhook.subscribe('@{[ $receiver->url('/ok/writers') ]}', '{$type}');
END
arrives('first of all', 'first');

# ---- Round and round, whoever is in the way

start_writers(2);
goes_round(4, 'nobody in the way');
unlike(slurp_file($node->logfile), qr/no table of the event ring is empty/, 'nobody in the way: there is always an empty table');

# Each of these stays with the table that is written to at that moment.
sql("BEGIN; SELECT webhook.publish('$type', '{\"writer\":0,\"n\":1}'); PREPARE TRANSACTION 'written'");
sql("BEGIN; CREATE TABLE idle (); PREPARE TRANSACTION 'idle'");
my $snapshot = $node->background_psql('postgres', on_error_stop => 1);
$snapshot->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class;');
my $writer = $node->background_psql('postgres', on_error_stop => 1);
$writer->query_safe("BEGIN; SELECT webhook.publish('$type', '{\"writer\":0,\"n\":2}');");
goes_round(8, 'prepared transactions, an old snapshot and an open writer');
$writer->query_safe('COMMIT');
$writer->quit;
sql("COMMIT PREPARED 'written'");
sql('INSERT INTO written VALUES (0, 2)');
sql("ROLLBACK PREPARED 'idle'");
$snapshot->query_safe('COMMIT');
$snapshot->quit;
goes_round(4, 'out of the way');
stop_writers('round and round');
cmp_ok(sql("SELECT sum(pg_table_size('webhook_internal.event_' || n)) FROM generate_series(0, 3) n"), '<', 16 * 1024 * 1024,
	'the ring stays small');

# A reader keeps all tables from being emptied.
{
	my $place = -s $node->logfile;
	my $reader = $node->background_psql('postgres', on_error_stop => 1);

	# It says so once a minute.
	restart_worker();
	start_writers(1);
	$reader->query_safe('BEGIN; SELECT count(*) FROM webhook.event;');
	ok($node->wait_for_log(qr/no table of the event ring is empty.*\n.*HINT:/, $place),
		'a ring that cannot go round says so');
	$reader->query_safe('COMMIT');
	$reader->quit;
	goes_round(2, 'without the reader');
	stop_writers('a reader');
}

# A slow subscriber, a paused one and none at all are in nobody's way.
my $paused = sql("SELECT webhook.subscribe('@{[ $receiver->url('/ok/paused') ]}', '{$type}')");
my $dead = sql("SELECT webhook.subscribe('@{[ $receiver->url('/hang') ]}', '{$type}')");
sql("SELECT webhook.pause($paused)");
start_writers(1);
sleep 3;
goes_round(4, 'a paused subscription and a dead endpoint');
sql("SELECT webhook.unsubscribe($dead)");
restart_worker();
sql("SELECT webhook.unsubscribe($paused)");
stop_writers('a paused subscription and a dead endpoint');

# ---- Indexes of a DBA's own on the ring

sql(<<'END');
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
			ALTER TABLE webhook_internal.event_%1$s ADD EXCLUDE USING btree (txid WITH =, id WITH =);
		$_$, n);
	END LOOP;
END $$;
END
start_writers(2);
arrives('with indexes of all kinds on the ring, an event arrives', 'in');
is(sql("SET ROLE clerk; INSERT INTO app.contract VALUES (1, 'Draft'); UPDATE app.contract SET status = 'Signed'; RESET ROLE"),
	'', 'somebody who may only change the contract can do so');
{
	my ($status, $stdout, $stderr) =
	  $node->psql('postgres', "SELECT webhook.publish('$type', '{\"text\":\"boom\"}')");
	like($stderr, qr/ERROR:  boom/, 'an index that raises an error raises it in the writer');
	($status, $stdout, $stderr) =
	  $node->psql('postgres', "SELECT webhook.publish('$type', '{\"text\":\"escape\"}')");
	like($stderr, qr/ERROR:  cannot set parameter "role" within security-restricted operation/,
		'and one that would change the role cannot');
}
{
	# What the partial index has is what the table has.
	my $both = sql(<<'END');
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
stop_writers('indexes');
is(sql("SELECT count(*) FROM webhook.log WHERE subject = 'contract/1' AND outcome = 'delivered'"), 2,
	'the changes of the contract arrived, too');

# ---- The same on the log

sql(<<'END');
CREATE INDEX ON webhook.log (subject) WHERE outcome = 'delivered';
CREATE INDEX ON webhook.log ((request_headers->>'webhook-id'));
CREATE UNIQUE INDEX ON webhook.log (event_id, subscription_id, attempt, position, logged_at);
CREATE INDEX ON webhook.log USING gin (request_headers);
CREATE INDEX ON webhook.log (app.no_boom(left(request_body, 2000)));
END
arrives('with indexes of all kinds on the log, an event arrives', 'logged');
sql('DO $$ BEGIN FOR n IN 0 .. 3 LOOP EXECUTE format($_$ DROP INDEX webhook_internal.event_%s_no_boom_idx $_$, n); END LOOP; END $$');
my @ids = (
	arrives('one that the index does not like arrives, too', 'boom'),
	arrives('and one after it', 'after'));
settle('indexes on the log');
is(sql("SELECT outcome, request_body IS NULL FROM webhook.log WHERE event_id IN ('$ids[0]', '$ids[1]') ORDER BY position"),
	"delivered|t\ndelivered|f", 'and is logged, without bodies');
is(sql("SELECT count(*) FROM webhook.log WHERE request_headers->>'webhook-id' IS DISTINCT FROM event_id::text AND request_headers IS NOT NULL"),
	0, 'the index is right');

# One that never lets a row through: nothing more is sent than once.
{
	my $place = -s $node->logfile;
	sql(<<'END');
CREATE FUNCTION app.never(event uuid) RETURNS uuid IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'never';
END $$;
TRUNCATE webhook.log;
CREATE INDEX never ON webhook.log (app.never(event_id));
END
	sql("SELECT webhook.publish('$type', '{\"text\":\"never $_\"}', 'never/$_')") foreach 1 .. 5;
	ok($node->wait_for_log(qr/ERROR:  never/, $place), 'an index that refuses everything stops the log');
	sleep 3;
	my %seen;
	$seen{$_->{body}}++ foreach grep { $_->{body} =~ /never/ } $receiver->requests;
	is(scalar grep({ $_ > 1 } values %seen), 0, 'which is no storm of duplicates');
	cmp_ok(sql('SELECT flush_errors FROM webhook.stat_worker'), '>', 0, 'webhook.stat_worker counts it');
	sql('DROP INDEX webhook.never');
	settle('without it');
	%seen = ();
	$seen{$_->{body}}++ foreach grep { $_->{body} =~ /never/ } $receiver->requests;
	is(scalar keys %seen, 5, 'without it everything goes on');
	is(scalar grep({ $_ > 1 } values %seen), 0, 'and nothing has come twice');
	is(sql("SELECT count(DISTINCT event_id) FROM webhook.log WHERE subject LIKE 'never/%' AND outcome = 'delivered'"), 5,
		'and is logged');
}
sql('DROP FUNCTION app.no_boom(text) CASCADE; DROP FUNCTION app.never(uuid) CASCADE');
$receiver->clear;

# ---- Whatever else a DBA does, while writers never stop

start_writers(2);
foreach my $statement (
	(map { ("VACUUM FULL webhook_internal.event_$_", "REINDEX TABLE webhook_internal.event_$_",
			"CLUSTER webhook_internal.event_$_ USING event_${_}_txid_id_idx", "VACUUM FREEZE webhook_internal.event_$_") } 0 .. 3),
	'VACUUM FULL webhook.log', 'REINDEX TABLE webhook.log', 'VACUUM FULL webhook_internal.pending', 'REINDEX TABLE webhook_internal.pending',
	'CLUSTER webhook_internal.pending USING pending_pkey', 'VACUUM FULL webhook_internal.checkpoint', 'VACUUM FULL webhook_internal.subscription',
	'REINDEX TABLE CONCURRENTLY webhook_internal.event_1', 'REINDEX TABLE CONCURRENTLY webhook.log', 'ANALYZE',
	'CREATE INDEX CONCURRENTLY own ON webhook_internal.event_2 (created_at)', 'DROP INDEX CONCURRENTLY webhook_internal.own',
	'ALTER TABLE webhook_internal.event_0 ADD COLUMN note text', 'ALTER TABLE webhook_internal.event_0 ADD COLUMN with_default int DEFAULT 7',
	'ALTER TABLE webhook_internal.event_0 DROP COLUMN note',
	'ALTER TABLE webhook.log ADD COLUMN note text', 'ALTER TABLE webhook.log DROP COLUMN note',
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
	my ($status, $stdout, $stderr) = $node->psql('postgres', $statement);
	is($status, 0, $statement) or diag($stderr);
}
stop_writers('a busy DBA');
arrives('after that', 'after that');

# Locks
start_writers(2);
foreach my $relation ('webhook.log',
	map { "webhook_internal.$_" } qw(event_0 event_1 event_2 event_3 pending checkpoint subscription))
{
	my $count = $receiver->requests;
	sql("BEGIN; LOCK $relation; SELECT pg_sleep(0.7); COMMIT");
	$receiver->wait_for($count + 1, 10);
	cmp_ok(scalar $receiver->requests, '>', $count, "after LOCK $relation everything goes on");
}
sql('BEGIN; LOCK webhook_internal.event_0, webhook_internal.event_1, webhook_internal.event_2, webhook_internal.event_3; SELECT pg_sleep(0.7); COMMIT');
goes_round(2, 'locks');
stop_writers('locks');

# Tables out of shape: events are taken as long as there is one that is not.
{
	my $place = -s $node->logfile;
	start_writers(1);
	my ($status, undef, $stderr) = $node->psql('postgres', 'ALTER TABLE webhook_internal.event_1 ALTER COLUMN txid TYPE text');
	like($stderr, qr/cannot alter type/, 'a column of the ring keeps its type');
	sql('DROP INDEX webhook_internal.event_1_txid_id_idx; ALTER TABLE webhook_internal.event_2 RENAME TO mine');
	ok($node->wait_for_log(qr/ERROR:  index "webhook_internal\.event_1_txid_id_idx" is missing or has an unexpected definition.*\n.*HINT:/, $place),
		'a table that is out of shape is reported');
	sleep 1;
	is(sql("SELECT webhook.publish('$type', '{\"text\":\"out of shape\"}') IS NOT NULL"), 't', 'while events are taken');
	sql('ALTER TABLE webhook_internal.mine RENAME TO event_2; CREATE INDEX event_1_txid_id_idx ON webhook_internal.event_1 (txid, id)');
	stop_writers('tables out of shape');
}

# ---- The log's leaves

sub leaves { return sql("SELECT string_agg(relid::regclass::text, ' ' ORDER BY 1) FROM pg_partition_tree('webhook.log') WHERE isleaf"); }

my $today = sql(q{SELECT 'log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')});
like(leaves(), qr/\bwebhook_internal\.$today\b/, 'today has a leaf');
sql('DROP TABLE webhook_internal.' . $today);
arrives('when it is dropped, events go on', 'leaf dropped');
settle('leaf dropped');
like(leaves(), qr/\bwebhook_internal\.log_\d{8}\b/, 'and there is a new one');

{
	my $place = -s $node->logfile;
	my ($leaf) = leaves() =~ /(log_\d{8})/;
	my $bounds = sql("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'webhook_internal.$leaf'::regclass");
	sql("ALTER TABLE webhook.log DETACH PARTITION webhook_internal.$leaf");
	arrives('when it is detached, an event still arrives', 'leaf detached');
	ok($node->wait_for_log(qr/ERROR:  "webhook_internal\.$leaf" exists but is not the partition.*\n.*HINT:  Attach it/, $place),
		'but is not logged, with a hint');
	sql("ALTER TABLE webhook.log ATTACH PARTITION webhook_internal.$leaf $bounds");
	arrives('when it is attached again, events go on', 'leaf attached');
	settle('leaf attached');
	is(sql("SELECT count(*) FROM webhook.log WHERE request_body LIKE '%leaf %tached%'"), 2,
		'and nothing is missing in the log');
}

# Old ones go; those of a DBA stay, and nothing goes from a copy.
sub old_leaf
{
	my ($name, $from, $until) = @_;
	sql(<<"END");
CREATE TABLE webhook_internal.$name (LIKE webhook.log INCLUDING ALL);
ALTER TABLE webhook.log ATTACH PARTITION webhook_internal.$name FOR VALUES FROM ('$from 00:00+00') TO ('$until 00:00+00');
END
	return;
}
old_leaf('log_20200101', '2020-01-01', '2020-01-02');
old_leaf('log_20200102', '2020-01-02', '2020-01-03');
old_leaf('log_by_hand', '2020-02-01', '2020-03-01');
my $yesterday = sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYY-MM-DD')});
old_leaf('log_' . $yesterday =~ s/-//gr, $yesterday,
	sql("SELECT to_char(date '$yesterday' + 1, 'YYYY-MM-DD')"));

my $home = sql('SELECT home FROM webhook_internal.subscription');
sql("UPDATE webhook_internal.subscription SET home = '1/1'");
restart_worker();
settle('a copy');
sleep 1;
like(leaves(), qr/log_20200101/, 'a copy of a database keeps the log');
sql("UPDATE webhook_internal.subscription SET home = '$home'");

my $reader = $node->background_psql('postgres', on_error_stop => 1);
$reader->query_safe('BEGIN; SELECT count(*) FROM webhook_internal.log_20200101;');
restart_worker();
start_writers(1);
sleep 1.5;
$reader->query_safe('SELECT 1 FROM webhook_internal.log_20200101 LIMIT 1');
stop_writers('a reader of an old leaf');
like(leaves(), qr/log_20200101/, 'a leaf that is read is not dropped');
$reader->query_safe('COMMIT');
$reader->quit;
restart_worker();
becomes("SELECT to_regclass('webhook_internal.log_20200101') IS NULL AND to_regclass('webhook_internal.log_20200102') IS NULL",
	'old leaves are dropped');
like(leaves(), qr/log_by_hand/, 'one that a DBA has made is not');
like(leaves(), qr/log_@{[ $yesterday =~ s{-}{}gr ]}/, 'nor one within the retention');
$node->append_conf('postgresql.conf', 'webhook.log_retention = 2d');
$node->reload;
restart_worker();
becomes("SELECT to_regclass('webhook_internal.log_@{[ $yesterday =~ s{-}{}gr ]}') IS NULL", 'which is a setting');
$node->append_conf('postgresql.conf', 'webhook.log_retention = 0');
$node->reload;
restart_worker();
arrives('with a retention of nothing, events go on', 'no retention');
settle('no retention');
like(leaves(), qr/\b$today\b|log_\d{8}/, 'and today is kept');

# ---- With a retention of nothing, tables are left when they are large

$node->append_conf('postgresql.conf', 'webhook.event_retention = 0');
$node->reload;
arrives('with no retention of events, events arrive', 'event_retention 0');
start_writers(1);
stop_writers('no retention of events');

$node->stop;
is(() = slurp_file($node->logfile) =~ /TRAP|PANIC|terminated by signal/g, 0, 'nothing has crashed');

done_testing();
