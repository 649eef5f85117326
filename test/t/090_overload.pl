# 090_overload.pl
#	  Do other deliveries go on, within the memory that is allowed, while
#	  endpoints are slow, a backlog is read, tables are locked or an event goes to
#	  many subscriptions?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

my $server = Webhook::Test->new('overload', "webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'");
my $receiver = $server->receiver;

$server->sql('CREATE EXTENSION webhook');

# ---- Slow endpoints with a backlog do not delay others

{
	my @slow = map { [ $server->subscribe_own("/slow/4000/$_") ] } 1 .. 2;
	my ($type, $fast) = $server->subscribe_own('/ok/fast');

	$server->publish_many($_->[0], 3000) foreach @slow;
	$server->becomes('SELECT count(*) > 4000 FROM webhook_internal.pending', 't', 'what waits for slow endpoints is moved to pending');
	my $worst = 0;
	foreach my $i (1 .. 12)
	{
		$receiver->clear;
		my $start = time;
		$server->publish_many($type, 1);
		$receiver->wait_for(1, qr/fast/);
		my $took = time - $start;
		$worst = $took if $took > $worst;
		sleep 0.3;
	}
	cmp_ok($worst, '<', 4, 'another subscription gets each event sooner than a slow one answers');
	my ($fails, $failing) = $server->subscribe_own('/fail-first/1/slow');
	$server->publish_many($fails, 1);
	is(scalar(my @got = $receiver->wait_for(2, qr/fail-first/)), 2, "another subscription's retries are not delayed");
	$server->unsubscribe($failing);
	$server->unsubscribe(map { $_->[1] } @slow);
	$server->settle('slow ones');
	$server->unsubscribe($fast);
}

# ---- A backlog that is being read does not delay retries

{
	my ($big, $reader) = $server->subscribe_own('/ok/big');
	my ($type, $other) = $server->subscribe_own('/fail-first/1');

	$server->publish_many($type, 1);
	$server->publish_many($big, 60000);
	my @got = $receiver->wait_for(2, qr/fail-first/);
	my $done = $server->stat_worker('delivered');
	cmp_ok($done, '<', 60000, 'a retry is sent before the backlog is delivered')
	  or diag("delivered: $done");
	$server->settle('backlog');
	$server->unsubscribe($reader, $other);
}

# ---- A subscription goes while its deliveries are being written to pending

{
	my ($type, $subscription) = $server->subscribe_own('/ok/ended');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->settle('paused');
	my $session = $server->hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	$server->publish_many($type, 3, "'one'");
	$server->becomes('SELECT flush_errors > 0 AND unflushed = 3 FROM webhook.stat_worker', 't', 'they cannot be written');
	$server->unsubscribe($subscription);
	my $windows = $server->stat_worker('windows');
	$server->becomes("SELECT windows > $windows FROM webhook.stat_worker", 't', 'the worker has read that the subscription is gone');
	$server->let_go($session);
	$server->settle('ended');
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is left in pending');
	is($server->sql("SELECT string_agg(outcome, ' ') FROM webhook.log WHERE subscription_id = $subscription"),
		'cancelled cancelled cancelled', 'all are cancelled');
}

# ---- Reading a window fails twice, and rows with lower ids commit in between

{
	my ($type, $subscription) = $server->subscribe_own('/ok/reopened');
	my $tables = join ', ', map { "webhook_internal.event_$_" } 0 .. 3;

	# What "early" has written is not read before: the lock that waits for it keeps the worker away.
	sub fail_to_read
	{
		my ($writing, $early) = @_;
		my $reading = $server->background;
		$reading->query_until(qr//, "BEGIN; LOCK TABLE $tables IN ACCESS EXCLUSIVE MODE;\n");
		$server->becomes("SELECT count(*) FROM pg_locks
			WHERE mode = 'AccessExclusiveLock' AND relation = 'webhook_internal.event_0'::regclass",
			1, 'reading is about to fail');
		$server->let_go($early) if $early;
		$server->let_go($writing);
		$server->becomes('SELECT unflushed = 0 FROM webhook.stat_worker', 't', 'what was read is written to pending');
		my $offset = $server->log_end;
		ok(wait_until { $server->log_since($offset) =~ /lock timeout/ }, 'reading fails');
		return $reading;
	}

	# Only then each lock that is not got in time is in the log.
	$server->set('log_min_messages', 'debug1');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->settle('reopened');
	my $early = $server->hold("SELECT count(webhook.publish('$type', to_json(i), 'early/' || i)) FROM generate_series(1, 40) i;
		SELECT webhook.publish('$type', to_json(repeat('x', 1048574)), 'large')");
	my $writing = $server->hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	$server->publish_many($type, 3000);
	$server->becomes('SELECT unflushed >= 500 FROM webhook.stat_worker', 't', 'a part of a window is read');
	my $reading = fail_to_read($writing, $early);
	$writing = $server->hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	$server->let_go($reading);
	$server->becomes('SELECT unflushed >= 40 FROM webhook.stat_worker', 't', 'reading goes on');
	$reading = fail_to_read($writing);
	$server->let_go($reading);
	$server->settle('reopened');
	is($server->sql("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $subscription"), 3041,
		'each event is taken once');
	$server->reset('log_min_messages');
	$server->unsubscribe($subscription);
	$server->settle('reopened');
}

# ---- Without descriptors nothing is sent, and no attempt is made in vain

SKIP:
{
	my ($type, $subscription) = $server->subscribe_own('/slow/100/descriptors');
	my $place = $server->log_end;

	# Another worker has no connection that it could use again.
	my $worker = $server->end_worker('TERM');
	$server->settle('another worker');
	my $limit = take_descriptors($worker, 0) or skip 'there is no prlimit', 5;

	$server->publish_many($type, 100);
	$server->logs(qr/WARNING:  webhook has no resources for more requests at present\n.*DETAIL:.*\n.*HINT:/, $place,
		'a lack of descriptors is told');
	give_descriptors($worker, $limit);
	$server->settle('descriptors');
	is($receiver->count('/slow/100/descriptors'), 100, 'each event is sent once');
	is($server->sql(<<"END"), '100|100', 'no attempt is counted that was not made');
SELECT count(*), count(*) FILTER (WHERE attempt = 1 AND outcome = 'delivered')
FROM webhook.log WHERE subscription_id = $subscription
END
	is(() = $server->log_since($place) =~ /no resources for more requests/g, 1, 'it is told once a minute');
	is($server->worker, $worker, 'by a worker that goes on');
	$server->unsubscribe($subscription);
}

# ---- A database that sets a role and a temp_file_limit

{
	$server->sql('CREATE ROLE nobody; ALTER DATABASE postgres SET role = nobody');
	$server->sql('SET ROLE NONE; ALTER DATABASE postgres SET temp_file_limit = 0');
	$server->restart;
	sub plain { return $server->sql("SET ROLE NONE; SET temp_file_limit = -1; $_[0]"); }
	my $url = $receiver->url('/ok/settings');
	plain("SELECT webhook.define_event_type('Settings')");
	plain("SELECT webhook.subscribe('$url', '{Settings}')");
	plain("SELECT count(webhook.publish('Settings', to_json(i))) FROM generate_series(1, 150000) i");
	$receiver->wait_for(1, qr/settings/);
	is(scalar(grep { $_->{path} =~ /settings/ } $receiver->requests) > 0, 1, 'the worker sends a large window all the same');
	plain("SELECT webhook.unsubscribe(max(id)) FROM webhook.subscription");
	plain("SELECT webhook.drain('60 s')");
	plain('ALTER DATABASE postgres RESET role; ALTER DATABASE postgres RESET temp_file_limit; DROP ROLE nobody');
	$server->restart;
}

# ---- Several heads of one subject, written by hand

{
	my ($type, $subscription) = $server->subscribe_own('/slow/50/heads');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->publish_many($type, 30, "'one'");
	$server->settle('paused');
	$server->sql('UPDATE webhook_internal.pending SET next_at = now()');
	$receiver->clear;
	$server->sql("SELECT webhook.resume($subscription)");
	my @got = $receiver->wait_for(30, qr/heads/);
	is(scalar @got, 30, 'each is sent once');
	my $overlap = grep { $got[$_]{time} - $got[ $_ - 1 ]{time} < 0.04 } 1 .. $#got;
	is($overlap, 0, 'never two at a time');
	$server->settle('heads');
	$server->unsubscribe($subscription);
}

# ---- A large event for many subscriptions stays within webhook.max_memory

{
	$server->sql("SELECT webhook.define_event_type('Wide')");
	$server->sql("SELECT count(webhook.subscribe('" . $receiver->url('/slow/300/wide') . "/' || i, '{Wide}')) FROM generate_series(1, 200) i");
	$receiver->clear;
	$server->sql(q{SELECT webhook.publish('Wide', to_json(repeat('x', 900000)))});
	my $most = 0;
	my $until = time + 60;
	while (time < $until)
	{
		my ($memory, $delivered) = split /\|/, $server->stat_worker('memory, in_flight + queued + unflushed');
		$most = $memory if $memory > $most;
		last if scalar(my @all = $receiver->requests(qr/wide/)) >= 200;
		sleep 0.01;
	}
	is(scalar(my @all = $receiver->requests(qr/wide/)), 200, 'all subscriptions get the event');
	cmp_ok($most, '<', 34 * 1024 * 1024, 'memory stays within webhook.max_memory');
	$server->sql(q{SELECT count(webhook.unsubscribe(id)) FROM webhook.subscription WHERE events = '{Wide}'});
	$server->settle('wide');
}

# ---- Many events for many subscriptions are read a part at a time

{
	$server->sql("SELECT webhook.define_event_type('Fan')");
	$server->sql(q{SELECT count(webhook.pause(webhook.subscribe('http://127.0.0.1:1024/fan/' || i, '{Fan}'))) FROM generate_series(1, 500) i});
	$server->settle('fan');
	$server->sql(q{SELECT count(webhook.publish('Fan', to_json(i), 'fan/' || i)) FROM generate_series(1, 200) i});
	my $most = 0;
	my $until = time + 60;
	while (time < $until)
	{
		my ($unflushed, $waiting) = split /\|/,
		  $server->sql(q{SELECT unflushed, (SELECT count(*) FROM webhook_internal.pending WHERE event_type = 'Fan') FROM webhook.stat_worker});
		$most = $unflushed if $unflushed > $most;
		last if $waiting >= 100_000;
	}
	$server->settle('fan');
	is($server->sql(q{SELECT count(*) FROM webhook_internal.pending WHERE event_type = 'Fan'}), 100_000, 'each event waits for each subscription');
	cmp_ok($most, '<', 60_000, 'never much more than half of them in memory');
	$server->sql(q{SELECT count(webhook.unsubscribe(id)) FROM webhook.subscription WHERE events = '{Fan}'});
	$server->settle('fan ended');
}

$server->stop;
done_testing();
