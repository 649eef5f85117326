# 130_standby.pl
#	  A streaming standby sends nothing until it is promoted, then everything
#	  that had been committed and not delivered.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;

my $type = 'App.BusinessRequestStatusChange';

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$primary->append_conf('postgresql.conf', <<'END');
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'
webhook.event_retention = 2s
END
$primary->start;

my $receiver = Webhook::Receiver->new(file => "$primary->{_basedir}/received");
my $active = $primary;

sub sql { return $active->safe_psql('postgres', $_[0]); }

sub subscribe { return sql("SELECT webhook.subscribe('@{[ $receiver->url($_[0]) ]}', '{$type}')"); }

# Changes of a contract, each in a transaction of its own.
sub change { sql("UPDATE business_request SET status = '$_' WHERE id = 1") foreach @_; return; }

# What came to a path of the one contract, as new statuses.
sub statuses
{
	my ($path) = @_;
	return join ' ', map { /"BusinessRequestId":1,.*"NewStatus":"([^"]*)"/ ? $1 : () }
	  map { $_->{body} } $receiver->requests(qr/^\Q$path\E$/);
}

# The same without repetitions: order of first arrivals.
sub first_arrivals
{
	my %seen;
	return join ' ', grep { !$seen{$_}++ } split / /, statuses(@_);
}

sub settle { is(sql('SELECT webhook.drain()'), 't', "$_[0]: drained"); return; }

sub processes
{
	my ($node) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'webhook%'");
}

sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('business_request');
END
subscribe('/ok/all');
subscribe('/flip/failing');
my $paused = subscribe('/ok/paused');
sql("SELECT webhook.pause($paused)");
sql("INSERT INTO business_request VALUES (1, 'A')");
settle('on the primary');

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

# ---- While it is a standby

# Tables of the ring come and go meanwhile.
foreach my $n (1 .. 40)
{
	change("B$n");
	last if $n > 15 and sql('SELECT rotations > 1 FROM webhook.stat_worker') eq 't';
	select undef, undef, undef, 0.2;
}
cmp_ok(sql('SELECT rotations FROM webhook.stat_worker'), '>', 1, 'the ring goes round on the primary');
$receiver->fail_while(1);
change(qw(C D E));
settle('before the failover');
sql("BEGIN; UPDATE business_request SET status = 'P' WHERE id = 1; PREPARE TRANSACTION 'p'");
sql("INSERT INTO business_request SELECT n, 'new' FROM generate_series(2, 10) n");
settle('the contracts beside');

$primary->wait_for_catchup($standby);
is(processes($standby), 0, 'a standby has no launcher and no worker');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM webhook.log'),
	sql('SELECT count(*) FROM webhook.log'), 'but the log');
is($standby->safe_psql('postgres', "SELECT count(*) FROM webhook.event WHERE data->>'NewStatus' = 'new'"),
	9, 'and the ring');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM webhook.stat_worker WHERE pid IS NOT NULL'),
	0, 'webhook.stat_worker knows of no worker there');
foreach my $call ("publish('$type', '1')", "subscribe('http://127.0.0.1/', '{$type}')", "pause($paused)", 'resume_database()')
{
	my ($status, $stdout, $stderr) = $standby->psql('postgres', "SELECT webhook.$call");
	like($stderr, qr/ERROR:  .*(?:read-only|recovery)/, "$call fails on a standby");
}
{
	my ($status, $stdout, $stderr) = $standby->psql('postgres', "SELECT webhook.drain('1 s')");
	like($stderr, qr/ERROR:  .*recovery/, 'and so does drain()');
	like($stderr, qr/HINT:/, 'with a hint');
}
is(() = slurp_file($standby->logfile) =~ /webhook worker/g, 0, 'no worker has been tried');

# ---- Committed, not delivered, and the primary is gone

$primary->append_conf('postgresql.conf', 'webhook.enabled = off');
$primary->reload;
ok($primary->poll_query_until('postgres', 'SELECT in_flight = 0 FROM webhook.stat_worker'), 'nothing is in flight');
settle('sending is off');
my $pending = sql("SELECT count(*) FROM webhook_internal.pending");
cmp_ok($pending, '>', 0, 'deliveries are pending');
my %before = map { $_ => statuses($_) } '/ok/all', '/flip/failing';
sql("INSERT INTO business_request SELECT n, 'late' FROM generate_series(11, 110) n");
my $last_id = sql('SELECT max(id) FROM webhook.event');
$primary->wait_for_catchup($standby);
$primary->stop('immediate');

my $count = $receiver->requests;
$receiver->fail_while(0);
select undef, undef, undef, 0.5;
is(scalar $receiver->requests, $count, 'nobody sends while there is no primary');

# ---- Promotion

is($standby->safe_psql('postgres', 'SELECT pg_promote()'), 't', 'promoted');
$active = $standby;
settle('promoted');
ok($active->poll_query_until('postgres', "SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id <> $paused"),
	'what was pending is delivered');
my %late;
foreach ($receiver->requests(qr{^/ok/all$}))
{
	$late{$1}++ if $_->{body} =~ /"BusinessRequestId":(\d+),.*"NewStatus":"late"/;
}
is(scalar keys %late, 100, 'what was committed and not delivered is sent');
is(scalar grep({ $_ > 1 } values %late), 0, 'once');
is(statuses('/ok/all'), $before{'/ok/all'}, 'what was delivered and logged is not sent again');
like(first_arrivals('/flip/failing'), qr/ C D E$/, 'what was failing arrives in order');
is(first_arrivals('/flip/failing'), first_arrivals('/ok/all'), 'all of it');
is(scalar $receiver->requests(qr/paused/), 0, 'what was paused still waits');

sql("COMMIT PREPARED 'p'");
change('Q');
sql("SELECT webhook.resume($paused)");
settle('prepared before the failover');
ok($active->poll_query_until('postgres', 'SELECT count(*) = 0 FROM webhook_internal.pending'), 'nothing waits any more');
foreach my $path ('/ok/all', '/flip/failing', '/ok/paused')
{
	like(first_arrivals($path), qr/ C D E P Q$/, "$path: prepared before, committed after the failover");
}
is(statuses('/ok/paused'), first_arrivals('/ok/all'), 'what was paused arrives whole, once and in order');

cmp_ok(sql(q(SELECT min(id) FROM webhook.event WHERE data->>'NewStatus' = 'Q')),
	'>', $last_id, 'ids go on above those of the former primary');
is(sql(<<'END'), 0, 'each event has been delivered to each subscription, once as the log knows');
SELECT count(*) FROM (
	SELECT event_id, subscription_id, count(*) FROM webhook.log
	WHERE outcome = 'delivered' GROUP BY 1, 2 HAVING count(*) <> 1) x
END
is(sql(<<'END'), 0, 'every logged call verifies');
SELECT count(*) FROM webhook.log
WHERE request_body IS NOT NULL AND NOT webhook.verify(webhook.secret(subscription_id), request_headers, request_body, NULL)
END

# The ring goes round here, too.
foreach my $n (1 .. 60)
{
	change("R$n");
	last if sql('SELECT rotations > 1 FROM webhook.stat_worker') eq 't';
	select undef, undef, undef, 0.2;
}
cmp_ok(sql('SELECT rotations FROM webhook.stat_worker'), '>', 1, 'the ring goes round on the new primary');
settle('the end');
is(first_arrivals('/flip/failing'), first_arrivals('/ok/all'), 'and nothing is lost');
$standby->stop;
foreach ($primary, $standby)
{
	is(() = slurp_file($_->logfile) =~ /TRAP|PANIC|terminated by signal|invalid page/g, 0, $_->name . ': nothing has crashed');
}

done_testing();
