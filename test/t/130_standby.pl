# 130_standby.pl
#	  Does a streaming standby send nothing until it is promoted, and then
#	  everything that was committed and not delivered?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;

my $primary = Webhook::Test->new('primary', <<'END', init => { allows_streaming => 1 });
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'
webhook.event_retention = 2s
END
my $receiver = $primary->receiver;

# Whichever of the two is the primary.
my $active = $primary;

sub statuses { return $active->statuses($_[0], 1); }
sub first_statuses { return $active->first_statuses($_[0], 1); }

$active->sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('business_request');
END
$active->subscribe('/ok/all');
$active->subscribe('/flip/failing');
my $paused = $active->subscribe('/ok/paused');
$active->sql("SELECT webhook.pause($paused)");
$active->sql("INSERT INTO business_request VALUES (1, 'A')");
$active->settle('on the primary');

$primary->node->backup('backup');
my $standby = Webhook::Test->wrap(PostgreSQL::Test::Cluster->new('standby'), receiver => $receiver);
$standby->node->init_from_backup($primary->node, 'backup', has_streaming => 1);
$standby->start;

# ---- While it is a standby

# The ring goes round on the primary meanwhile.
foreach my $n (1 .. 40)
{
	$active->change(1, "B$n");
	last if $n > 15 and $active->sql('SELECT rotations > 1 FROM webhook.stat_worker') eq 't';
	sleep 0.2;
}
cmp_ok($active->sql('SELECT rotations FROM webhook.stat_worker'), '>', 1, 'the ring goes round on the primary');

# What is looked for in the ring below stays there, however long that takes.
$primary->set('webhook.event_retention', '1h');
$receiver->fail_while(1);
$active->change(1, qw(C D E));
$active->settle('before the failover');
$active->sql("BEGIN; UPDATE business_request SET status = 'P' WHERE id = 1; PREPARE TRANSACTION 'p'");
$active->sql("INSERT INTO business_request SELECT n, 'new' FROM generate_series(2, 10) n");
$active->settle('the contracts beside');

$primary->node->wait_for_catchup($standby->node);
is($standby->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'webhook%'"), 0, 'a standby has no launcher and no worker');
is($standby->sql('SELECT count(*) FROM webhook.log'),
	$active->sql('SELECT count(*) FROM webhook.log'), 'a standby has the log');
is($standby->sql("SELECT count(*) FROM webhook.event WHERE data->>'NewStatus' = 'new'"),
	9, 'a standby has the ring');
is($standby->sql('SELECT count(*) FROM webhook.stat_worker WHERE pid IS NOT NULL'),
	0, 'webhook.stat_worker shows no worker there');
is($standby->sql(<<'END'), 't', 'webhook.metrics has numbers there');
SELECT bool_and(value = CASE name WHEN 'webhook_in_recovery' THEN 1 ELSE 0 END)
		FILTER (WHERE name IN ('webhook_in_recovery', 'webhook_up', 'webhook_events_total'))
	AND max(value) FILTER (WHERE name = 'webhook_log_bytes') > 0 AND count(*) > 80
FROM webhook.metrics
END
foreach my $call ("publish('$type', '1')", "subscribe('http://127.0.0.1/', '{$type}')", "pause($paused)", 'resume_database()')
{
	my $stderr = $standby->messages("SELECT webhook.$call");
	like($stderr, qr/ERROR:  .*(?:read-only|recovery)/, "$call fails on a standby");
}
{
	my $stderr = $standby->messages("SELECT webhook.drain('1 s')");
	like($stderr, qr/ERROR:  .*recovery/, 'drain() fails on a standby');
	like($stderr, qr/HINT:/, 'with a hint');
}
unlike($standby->log_since, qr/webhook worker/, 'a standby has started no worker');

# ---- The primary goes while committed events are not delivered

$primary->set('webhook.enabled', 'off');
$primary->becomes('SELECT in_flight = 0 FROM webhook.stat_worker', 't', 'nothing is in flight');
$active->settle('sending is off');
my $pending = $active->sql("SELECT count(*) FROM webhook_internal.pending");
cmp_ok($pending, '>', 0, 'deliveries are pending');
my %before = map { $_ => statuses($_) } '/ok/all', '/flip/failing';
$active->sql("INSERT INTO business_request SELECT n, 'late' FROM generate_series(11, 110) n");
my $last_id = $active->sql('SELECT max(id) FROM webhook.event');
$primary->node->wait_for_catchup($standby->node);
$primary->stop('immediate');

my $count = $receiver->requests;
$receiver->fail_while(0);
sleep 0.5;
is(scalar $receiver->requests, $count, 'nothing is sent while there is no primary');

# ---- Promotion

is($standby->sql('SELECT pg_promote()'), 't', 'promoted');
$active = $standby;
$active->settle('promoted');
$active->becomes("SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id <> $paused", 't',
	'what was pending is delivered');
my %late;
foreach ($receiver->requests('/ok/all'))
{
	$late{$1}++ if $_->{body} =~ /"BusinessRequestId":(\d+),.*"NewStatus":"late"/;
}
is(scalar keys %late, 100, 'events that were committed and not delivered are sent');
is(scalar grep({ $_ > 1 } values %late), 0, 'each of them once');
is(statuses('/ok/all'), $before{'/ok/all'}, 'what was delivered and logged is not sent again');
like(first_statuses('/flip/failing'), qr/ C D E$/, 'events that were failing arrive in order');
is(first_statuses('/flip/failing'), first_statuses('/ok/all'), 'all of them arrive');
is(scalar $receiver->requests(qr/paused/), 0, 'events of a paused subscription still wait');

$active->sql("COMMIT PREPARED 'p'");
$active->change(1, 'Q');
$active->sql("SELECT webhook.resume($paused)");
$active->settle('prepared before the failover');
$active->becomes('SELECT count(*) = 0 FROM webhook_internal.pending', 't', 'nothing waits');
foreach my $path ('/ok/all', '/flip/failing', '/ok/paused')
{
	like(first_statuses($path), qr/ C D E P Q$/, "$path: prepared before, committed after the failover");
}
is(statuses('/ok/paused'), first_statuses('/ok/all'), 'after resume() they all arrive, once and in order');

cmp_ok($active->sql(q(SELECT min(position) FROM webhook.log WHERE request_body LIKE '%"NewStatus":"Q"%')),
	'>', $last_id, 'ids go on above those of the former primary');
is($active->sql(<<'END'), 0, 'each event has been delivered to each subscription, once as the log knows');
SELECT count(*) FROM (
	SELECT event_id, subscription_id, count(*) FROM webhook.log
	WHERE outcome = 'delivered' GROUP BY 1, 2 HAVING count(*) <> 1) x
END
is($active->sql(<<'END'), 0, 'every logged request verifies');
SELECT count(*) FROM webhook.log
WHERE request_body IS NOT NULL
	AND NOT webhook.verify(webhook.secret(subscription_id), request_headers, request_body, NULL)
END

# The ring goes round on the new primary, too.
foreach my $n (1 .. 60)
{
	$active->change(1, "R$n");
	last if $active->sql('SELECT rotations > 1 FROM webhook.stat_worker') eq 't';
	sleep 0.2;
}
cmp_ok($active->sql('SELECT rotations FROM webhook.stat_worker'), '>', 1, 'the ring goes round on the new primary');
$active->settle('the end');
is(first_statuses('/flip/failing'), first_statuses('/ok/all'), 'nothing is lost meanwhile');
$standby->stop;
$_->is_sound($_->node->name . ': nothing has crashed') foreach $primary, $standby;

done_testing();
