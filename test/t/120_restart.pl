# 120_restart.pl
#	  Do commands and pauses hold after a restart?  Does a subscription that goes
#	  while the tables cannot be read leave nothing behind?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('health_crash', "webhook.retry_schedule = '1s'");
$server->prepare;
my $receiver = $server->receiver;

# Run statements, and wait until the worker has read their rows of the ring.
sub request
{
	my ($statements) = @_;
	$server->sql($statements);
	my $windows = $server->stat_worker('windows');
	$server->becomes("SELECT windows > $windows FROM webhook.stat_worker", 't', 'the worker has read it');
	return;
}

# skip() and cancel() of a retry that hangs, and a restart before its answer: its
# row is still in pending then.
my %ids;
foreach my $how ('skip', 'cancel')
{
	$ids{$how} = $server->sql("SELECT webhook.subscribe('@{[ $receiver->url(qq(/status/500/$how)) ]}', '{App.BusinessRequestStatusChange}',
		retry_schedule => '{1 s, 1 s, 1 s}', timeout => '20 s')");
}
$server->sql("INSERT INTO business_request VALUES (1, 'Draft')");
$server->becomes('SELECT count(*) FROM webhook_internal.pending WHERE attempt > 0', '2', 'the first attempts have failed');
request(join '; ', map { $server->moving($ids{$_}, "/hang/$_") } sort keys %ids);
foreach my $how (sort keys %ids)
{
	is(scalar(my @calls = $receiver->wait_for(1, "/hang/$how")), 1, "$how: a retry hangs");
}
$server->sql("UPDATE business_request SET status = 'Approved' WHERE id = 1");
my $event = $server->sql('SELECT DISTINCT event_id FROM webhook_internal.pending WHERE attempt > 0');
request("SELECT webhook.skip($ids{skip}, 'business_request/1')");
request("SELECT webhook.cancel('$event', $ids{cancel})");
request(join '; ', map { $server->moving($ids{$_}, "/ok/$_") } sort keys %ids);
is($server->sql("SELECT count(*) FROM webhook.log WHERE outcome = 'cancelled'"), '0', 'neither is logged as cancelled while it is in flight');
$server->restart;
$server->wait_for_worker;
foreach my $how (sort keys %ids)
{
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $ids{$how}", '0', "$how: nothing waits after the restart");
	$server->settle($how);
	is($server->sql("SELECT outcome || ' ' || coalesce(error_class, '') FROM webhook.log WHERE subscription_id = $ids{$how} AND event_id = '$event' ORDER BY logged_at DESC LIMIT 1"),
		'cancelled ' . ($how eq 'skip' ? 'skipped' : 'shutdown'), "$how: the delivery is cancelled by the call that the restart cut off");
	is(join(' ', map { "$_->{new}$_->{attempt}" } $server->received("/ok/$how")), 'Approved1',
		"$how: it is not sent again, the next one is");
}
$server->unsubscribe_all;
$server->settle('restarted');

# Paused before its first attempt: since when is still known after a restart.
{
	my $id = $server->subscribe('/ok/paused');
	request("SELECT webhook.pause($id)");
	$server->sql("INSERT INTO business_request SELECT i, 'Draft' FROM generate_series(31, 33) i");
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '3', 'the events of a paused subscription wait');
	my $before = $server->sql('SELECT clock_timestamp()');

	# Somebody sets the ring's sequence back; later events come later all the same.
	$server->sql("UPDATE business_request SET status = 'B' WHERE id = 31; ALTER SEQUENCE webhook_internal.event_id_seq RESTART");
	$server->restart;
	$server->wait_for_worker;
	$server->becomes("SELECT suspended_at < '$before' FROM webhook_internal.subscription_state WHERE subscription_id = $id", 't',
		'suspended since before the restart');
	$server->sql("UPDATE business_request SET status = 'C' WHERE id = 31");
	$server->sql("SELECT webhook.resume($id)");
	$server->settle('resumed');
	is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'"), '5', 'after resume() all are sent');
	is($server->statuses('/ok/paused', 31), 'Draft B C', 'in order, although the sequence was set back');
	$server->unsubscribe_all;
	$server->settle('resumed and gone');
}

# A subscription goes while its deliveries are ready and pending cannot be read.
{
	my $other = $server->subscribe('/ok/other');
	my $id = $server->subscribe('/ok/gone', 'rate_limit => 1');
	my $worker = $server->worker;
	my $offset = $server->log_end;
	my $session = $server->session;

	# Only then each lock that is not got in time is in the log.
	$server->set('log_min_messages', 'debug1');
	$session->run('BEGIN; LOCK TABLE webhook_internal.pending IN ACCESS EXCLUSIVE MODE');
	$server->sql("INSERT INTO business_request SELECT i, 'Draft' FROM generate_series(11, 20) i");
	$receiver->wait_for(1, '/ok/gone');
	$server->unsubscribe($id);
	$receiver->wait_for(10, '/ok/other');
	my $failures = 0;
	wait_until
	{
		my $log = $server->log_since($offset);
		$failures = () = $log =~ /lock timeout/g;
		$failures >= 3 or $log =~ /terminated by signal/;
	};
	cmp_ok($failures, '>=', 3, 'reading fails again and again');
	$session->run('COMMIT');
	$session->quit;
	$server->reset('log_min_messages');
	$server->sql("INSERT INTO business_request VALUES (21, 'Draft')");
	$receiver->wait_for(11, '/ok/other');
	$server->settle('unlocked');
	$server->is_sound('nothing crashes');
	is($server->worker, $worker, 'the worker is still the same one');
	is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $other AND outcome = 'delivered'"), '11',
		'another subscription gets all events');
	is($server->sql("SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) || ' ' || count(DISTINCT event_id) FROM webhook.log WHERE subscription_id = $id"),
		'cancelled delivered 10', 'ready deliveries of the subscription that is gone are cancelled');
}

# A worker that starts while somebody keeps a leaf of the log locked tries again and again, in the
# memory of one try.
{
	my $leaf = $server->log_leaf;
	my $session = $server->hold("LOCK TABLE $leaf IN ACCESS EXCLUSIVE MODE");
	my $offset = $server->log_end;

	$server->set('log_min_messages', 'debug1');
	my $pid = $server->wait_for_worker;
	$server->sql("SELECT pg_terminate_backend($pid)");
	ok(wait_until { scalar(() = $server->log_since($offset) =~ /lock timeout/g) >= 4 }, 'a worker waits for a lock when it starts')
		or diag($server->log_since($offset));
	$server->let_go($session);
	$server->reset('log_min_messages');
	$server->becomes("SELECT count(*) FROM webhook.stat_worker WHERE state = 'running' AND pid <> $pid", '1', '... and starts when it gets it');
	$server->sql('SELECT pg_log_backend_memory_contexts(pid) FROM webhook.stat_worker');
	$server->logs(qr/Grand total:/, $offset, 'it says what memory it has');

	# The uppermost ones, of which a worker has three; their level depends on the server's version.
	my @levels = sort { $a <=> $b } $server->log_since($offset) =~ /level: (\d+); webhook tail: /g;
	is(scalar(grep { $_ == $levels[0] } @levels), 3, 'nothing is left of the tries that failed');
}

$server->stop;
done_testing();
