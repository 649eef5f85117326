# 140_copied_database.pl
#	  Copies of a database: a restored dump, a template's child, an upgraded
#	  cluster.  A copy keeps what the original had and sends nothing until it
#	  is told to; an upgraded cluster is no copy.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;

my $type = 'App.BusinessRequestStatusChange';
my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

sub new_node
{
	my ($name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init;
	$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
	$node->append_conf('postgresql.conf',
		"webhook.retry_schedule = '" . join(', ', ('1s') x 90) . "'");
	$node->start;
	return $node;
}

my $node = new_node('original');
my $other = new_node('other');
my $receiver = Webhook::Receiver->new(file => "$node->{_basedir}/received");

# A database: where it is, and its name.
my @shop = ($node, 'shop');

sub sql
{
	my ($where, $text) = @_;
	return $where->[0]->safe_psql($where->[1], $text);
}

sub becomes
{
	my ($where, $query, $what) = @_;
	ok($where->[0]->poll_query_until($where->[1], $query), $what);
	return;
}

sub settle
{
	my ($where, $what) = @_;
	is(sql($where, 'SELECT webhook.drain()'), 't', "$what: drained");
	return;
}

sub change
{
	my ($where, @statuses) = @_;
	sql($where, "UPDATE business_request SET status = '$_' WHERE id = 1") foreach @statuses;
	return;
}

# New statuses that came to a path since the last clear().
sub came
{
	my ($path) = @_;
	return join ' ', map { $_->{body} =~ /"NewStatus":"([^"]*)"/ } $receiver->requests(qr/^\Q$path\E$/);
}

# What waits: subscription and new status of each.
sub waiting
{
	my ($where) = @_;
	return sql($where, <<'END');
SELECT string_agg(subscription_id || (data->>'NewStatus'), ' ' ORDER BY subscription_id, position)
FROM webhook_internal.pending
WHERE event_type = 'App.BusinessRequestStatusChange'
END
}

# What a copy has to keep, as one text.
sub kept
{
	my ($where) = @_;
	return sql($where, <<'END');
SELECT 'type', row_to_json(t) FROM webhook_internal.event_type t WHERE name <> 'App.BusinessRequestStatusChange';
SELECT 'subscription', row_to_json(s) FROM webhook_internal.subscription s ORDER BY id;
SELECT 'secret', row_to_json(s) FROM webhook_internal.subscription_secret s ORDER BY id;
SELECT 'pending', row_to_json(p) FROM webhook_internal.pending p
	WHERE subscription_id IN (SELECT id FROM webhook.subscription WHERE paused)
	ORDER BY subscription_id, subject, position, id;
SELECT 'log', row_to_json(l) FROM webhook.log l
	WHERE outcome <> 'retrying' ORDER BY position, subscription_id, attempt;
SELECT 'leaves', array_agg(c ORDER BY c) FROM (SELECT relid::regclass::text || pg_get_expr(relpartbound, relid) AS c
	FROM pg_partition_tree('webhook.log') JOIN pg_class ON oid = relid WHERE isleaf) x;
END
}

my $kept;

# Has a copy what it should? Says which lines it has not.
sub is_kept
{
	my ($where, $what) = @_;
	my $has = kept($where);
	my %has = map { $_ => 1 } split /\n/, $has;
	my %should = map { $_ => 1 } split /\n/, $kept;

	ok($has eq $kept, $what)
	  or diag(join "\n", (map { "has: $_" } grep { !$should{$_} } sort keys %has),
		map { "should have: $_" } grep { !$has{$_} } sort keys %should);
	return;
}

# A program that has to stay silent.
sub is_silent
{
	my ($command, $what) = @_;
	my ($stdout, $stderr) = run_command($command);
	is($?, 0, "$what: succeeds");
	is($stderr, '', "$what: without complaint");
	return;
}

sub restore
{
	my ($where, $file, $custom) = @_;
	my ($to, $name) = @$where;
	my @at = ('--host', $to->host, '--port', $to->port, '--dbname', $name);

	$to->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0") if $name ne 'shop';
	is_silent($custom ? [ 'pg_restore', '--exit-on-error', @at, $file ]
		: [ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--output', '/dev/null', '--file', $file, @at ],
		"$name: restoring");
	return;
}

# ---- The original: delivered, paused, failing

$_->safe_psql('postgres', 'CREATE DATABASE shop TEMPLATE template0') foreach $node, $other;
sql(\@shop, <<"END");
CREATE EXTENSION webhook;
CREATE ROLE reader;
GRANT USAGE ON SCHEMA webhook TO reader;
GRANT SELECT ON webhook.log TO reader;
SELECT webhook.define_event_type('App.Invoice', 'an invoice');
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('business_request');
SELECT webhook.subscribe('@{[ $receiver->url('/ok/one') ]}', '{$type}', 'the first', '$secret', '{"X-Tenant": "acme"}');
SELECT webhook.subscribe('@{[ $receiver->url('/ok/two') ]}', '{$type, App.Invoice}');
SELECT webhook.subscribe('@{[ $receiver->url('/flip/three') ]}', '{$type}');
SELECT webhook.pause(2);
SELECT webhook.define_event_type('App.Hung');
SELECT webhook.subscribe('@{[ $receiver->url('/hang/four') ]}', '{App.Hung}');
END
$other->safe_psql('postgres', 'CREATE ROLE reader');
sql(\@shop, "INSERT INTO business_request VALUES (1, 'A')");
settle(\@shop, 'the original');
is(came('/ok/one'), 'A', 'the original delivers');
is(came('/flip/three'), 'A', 'also to the third');
$receiver->fail_while(1);
change(\@shop, qw(B C));
settle(\@shop, 'failing');
is(waiting(\@shop),
	'2A 2B 2C 3B 3C', 'deliveries are pending');

# One is in flight, so it is in the ring and in memory; the next waits for it.
sql(\@shop, q{SELECT webhook.publish('App.Hung', '{"NewStatus":"H1"}', 'hung/1')});
$receiver->wait_for(1, 10, qr/four/);
sql(\@shop, q{SELECT webhook.publish('App.Hung', '{"NewStatus":"H2"}', 'hung/1')});
becomes(\@shop, 'SELECT count(*) = 1 FROM webhook_internal.pending WHERE subscription_id = 4 AND next_at IS NULL',
	'one waits behind what is in flight');

# ---- Dumps and a template's child

my $plain = "$node->{_basedir}/dump.sql";
my $custom = "$node->{_basedir}/dump.custom";
is_silent([ 'pg_dump', '--host', $node->host, '--port', $node->port, '--file', $plain, 'shop' ], 'pg_dump');
is_silent([ 'pg_dump', '--host', $node->host, '--port', $node->port, '--format', 'custom', '--file', $custom, 'shop' ],
	'pg_dump --format=custom');
$kept = kept(\@shop);
like($kept, qr/^log\|.*"outcome":"delivered"/m, 'there is something in the log to keep');

my %copies = (
	restored => [ $node, 'restored' ],
	discarded => [ $node, 'discarded' ],
	twin => [ $node, 'twin' ],
	elsewhere => [ $other, 'shop' ]);
restore($copies{restored}, $plain);
restore($copies{discarded}, $custom, 1);
restore($copies{elsewhere}, $plain);
is($other->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'shop'"),
	$node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = 'shop'"),
	'the database has the same oid elsewhere');
$node->safe_psql('postgres', 'CREATE DATABASE twin TEMPLATE shop');

my %rows;
foreach my $name (sort keys %copies)
{
	my $copy = $copies{$name};
	is_kept($copy, "$name: has everything that the original has");
	is(sql($copy, "SELECT has_table_privilege('reader', 'webhook.log', 'SELECT')"), 't', "$name: privileges, too");
	$rows{$name} = sql($copy, 'SELECT count(*) FROM webhook.log');
	becomes($copy, "SELECT state = 'running' FROM webhook.stat_worker", "$name: has a worker");
}

# ---- Nothing is sent from a copy; the original goes on

sql(\@shop, "SELECT webhook.alter_subscription(4, endpoint => '@{[ $receiver->url('/ok/four') ]}')");
sql(\@shop, 'SELECT pg_terminate_backend(pid) FROM webhook.stat_worker');

change($_, qw(K L)) foreach values %copies;
foreach my $name (sort keys %copies)
{
	my $copy = $copies{$name};
	settle($copy, "$name, fenced");
	is(waiting($copy),
		'1K 1L 2A 2B 2C 2K 2L 3B 3C 3K 3L', "$name: what happens there waits");
	cmp_ok(sql($copy, "SELECT min(position) FROM webhook_internal.pending WHERE data->>'NewStatus' = 'K'"), '>',
		sql($copy, "SELECT max(position) FROM webhook_internal.pending WHERE data->>'NewStatus' = 'C'"),
		"$name: positions go on above the restored ones");
}
is(came('/ok/one'), 'A B C', 'nothing has come from the copies');
$receiver->fail_while(0);
becomes(\@shop, 'SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id = 3', 'the original goes on');
like(came('/flip/three'), qr/^A (?:B )+C$/, 'with what was failing');
change(\@shop, qw(D));
settle(\@shop, 'the original');
is(came('/ok/one'), 'A B C D', 'and with what is new');
unlike(came('/flip/three'), qr/[KL]/, 'still nothing from the copies');
foreach my $name (sort keys %copies)
{
	is(sql($copies{$name}, 'SELECT count(*) FROM webhook.log'), $rows{$name}, "$name: nor has its log grown");
}

# A restart does not lift the fence; elsewhere there is none.
$receiver->clear;
$node->restart;
settle($copies{$_}, "$_, restarted") foreach qw(discarded restored twin);
is(scalar $receiver->requests, 0, 'a restart changes nothing');

# ---- Until it is told to

foreach my $name (qw(restored twin elsewhere))
{
	my $copy = $copies{$name};

	$receiver->clear;
	sql($copy, "SELECT webhook.alter_subscription(4, endpoint => '@{[ $receiver->url('/ok/four') ]}')");
	sql($copy, 'SELECT webhook.resume_database()');
	settle($copy, "$name, resumed");
	becomes($copy, 'SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id <> 2', "$name: resume_database() sends what waited");
	is(came('/ok/one'), 'K L', "$name: what had not been delivered");
	is(came('/flip/three'), 'B C K L', "$name: in order");
	is(came('/ok/two'), '', "$name: but not what is paused");
	is(came('/ok/four'), $name eq 'twin' ? 'H1 H2' : 'H2', "$name: what had waited behind one in flight is not stuck");
	change($copy, 'M');
	settle($copy, "$name, then");
	is(came('/ok/one'), 'K L M', "$name: and what is new");
	sql($copy, 'SELECT webhook.resume(2)');
	settle($copy, "$name, not paused any more");
	is(came('/ok/two'), 'A B C K L M', "$name: and what was paused, whole");
	is(sql($copy, 'SELECT count(*) FROM webhook_internal.pending'), 0, "$name: nothing waits any more");
	my ($call) = $receiver->requests(qr/one/);
	is($call->{headers}{'x-tenant'}, 'acme', "$name: headers are the original's");
	is(sql($copy, "SELECT count(*) FROM webhook.log WHERE subscription_id = 1 AND requested_at IS NOT NULL
			AND webhook.verify('$secret', request_headers, request_body, NULL) IS NOT TRUE"),
		0, "$name: and so is the secret");
	sql($copy, "SELECT webhook.subscribe('@{[ $receiver->url('/ok/five') ]}', '{$type}')");
	change($copy, 'N');
	settle($copy, "$name, a new subscription");
	is(came('/ok/five'), 'N', "$name: new subscriptions are possible");
	sql($copy, 'SELECT webhook.resume_database()');
	settle($copy, "$name, resumed twice");
	is(came('/ok/one'), 'K L M N', "$name: resume_database() twice does no harm");
	$copy->[0]->restart;
	settle($copy, "$name, restarted");
	is(came('/ok/one'), 'K L M N', "$name: nor a restart then");
}
is(sql(\@shop, 'SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = 2'), 4, 'the original has kept what is its own');

{
	my $copy = $copies{discarded};

	$receiver->clear;
	sql($copy, 'SELECT webhook.resume_database(discard => true)');
	settle($copy, 'discarded');
	is(scalar $receiver->requests, 0, 'discard: what waited is not sent');
	is(sql($copy, 'SELECT count(*) FROM webhook_internal.pending'), 0, 'discard: and waits no more');
	is(sql($copy, "SELECT count(*) FROM webhook.log WHERE outcome = 'cancelled' AND data->>'NewStatus' IN ('A', 'B', 'C', 'K', 'L')"),
		11, 'discard: but the log has it');
	is(sql($copy, "SELECT count(*) FROM webhook.log WHERE outcome = 'cancelled' AND data->>'NewStatus' = 'H2'"),
		1, 'discard: all of it');
	change($copy, 'M');
	settle($copy, 'discarded, then');
	is(came('/ok/one'), 'M', 'discard: what is new is sent');
	is(came('/flip/three'), 'M', 'discard: to all');
	sql($copy, 'SELECT webhook.resume(2)');
	settle($copy, 'discarded, not paused any more');
	is(came('/ok/two'), 'M', 'discard: and no more than that');
}

# ---- An upgraded cluster goes on where the old one was

$receiver->clear;
sql(\@shop, 'SELECT webhook.resume(2)');
settle(\@shop, 'before the upgrade');
is(came('/ok/two'), 'A B C D', 'before the upgrade: nothing waits');
sql(\@shop, 'SELECT webhook.pause(2)');
change(\@shop, 'E');
settle(\@shop, 'before the upgrade, paused');
$node->append_conf('postgresql.conf', 'webhook.enabled = off');
$node->reload;
change(\@shop, qw(F G));
$node->stop;

my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
$upgraded->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
{
	my $bindir = $node->config_data('--bindir');
	my $back = `pwd`;
	chomp $back;
	chdir $upgraded->basedir or die "chdir: $!";
	my ($stdout, $stderr) = run_command([
		"$bindir/pg_upgrade", '--no-sync',
		'--old-datadir', $node->data_dir, '--new-datadir', $upgraded->data_dir,
		'--old-bindir', $bindir, '--new-bindir', $bindir,
		'--socketdir', $upgraded->host,
		'--old-port', $node->port, '--new-port', $upgraded->port ]);
	my $status = $?;
	chdir $back or die "chdir: $!";
	is($status, 0, 'pg_upgrade') or diag("$stdout\n$stderr");
}
is($receiver->requests, 6, 'pg_upgrade itself sends nothing');
$upgraded->start;
my $new_shop = [ $upgraded, 'shop' ];
settle($new_shop, 'upgraded');
is(came('/ok/one'), 'E F G', 'upgraded: what had not been delivered is sent');
like(came('/flip/three'), qr/E F G$/, 'upgraded: to all');
change($new_shop, 'H');
settle($new_shop, 'upgraded, then');
is(came('/ok/one'), 'E F G H', 'upgraded: and what is new');
sql($new_shop, 'SELECT webhook.resume(2)');
settle($new_shop, 'upgraded, not paused any more');
is(came('/ok/two'), 'A B C D E F G H', 'upgraded: and what was paused');
like(kept($new_shop), qr/^log\|.*"NewStatus\\":\\"A\\"/m, 'upgraded: the log is there');
foreach my $name (qw(restored twin))
{
	my $copy = [ $upgraded, $name ];
	$receiver->clear;
	change($copy, 'O');
	settle($copy, "$name, upgraded");
	is(came('/ok/one'), 'O', "$name, upgraded: goes on, too");
}

$upgraded->stop;
$other->stop;
is(() = slurp_file($_->logfile) =~ /TRAP|PANIC|terminated by signal/g, 0, $_->name . ': nothing has crashed')
  foreach $node, $other, $upgraded;

done_testing();
