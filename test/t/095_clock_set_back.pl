# 095_clock_set_back.pl
#	  Does the worker go on, and within the usual time, after the machine's clock
#	  is set back by an hour?  Is nothing dropped, ended or put off for a year by a
#	  clock that is ahead for a while?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $shim = shim('clock');
plan skip_all => 'no C compiler for a clock' if !$shim;

# The server's clock is ahead of the true time by so many seconds.
my $clock = PostgreSQL::Test::Utils::tempdir . '/clock';

sub set_clock
{
	my ($seconds) = @_;
	open my $handle, -e $clock ? '+<' : '>', $clock or die "$clock: $!";
	syswrite $handle, pack('l!', $seconds);
	close $handle;
	return;
}

set_clock(0);
my $server = Webhook::Test->new('clock_set_back', "webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'",
	env => { LD_PRELOAD => $shim, TEST_CLOCK => $clock });
my $receiver = $server->receiver;

$server->sql('CREATE EXTENSION webhook');

my ($hangs, $hanging) = $server->subscribe_own('/hang/clock');
my ($type, $subscription) = $server->subscribe_own('/ok/clock');

set_clock(3600);
$server->publish_many($hangs, 40);
$server->publish_many($type, 1);
$receiver->wait_for(1, qr{/ok/clock});
set_clock(0);
$server->publish_many($type, 20);
$receiver->wait_for(21, qr{/ok/clock});
$server->becomes("SELECT count(*) = 21 FROM webhook.log WHERE subscription_id = $subscription", 't',
	'deliveries are logged after the clock was set back');
$server->becomes("SELECT count(*) = 38 FROM webhook_internal.pending WHERE subscription_id = $hanging", 't',
	'what waits for long is moved to pending');

set_clock(3600);
my $session = $server->hold('LOCK TABLE webhook.log IN ACCESS EXCLUSIVE MODE');
my $errors = $server->stat_worker('flush_errors');
$server->publish_many($type, 1);
$server->becomes("SELECT flush_errors >= $errors + 2 FROM webhook.stat_worker", 't', 'the log cannot be written');
set_clock(0);
$server->let_go($session);
$server->publish_many($type, 1);
is(scalar(my @got = $receiver->wait_for(23, qr{/ok/clock})), 23,
	'sending goes on after the pause that a failed flush brings');
$server->unsubscribe($hanging, $subscription);

# Rows follow the clock piece by piece: what holds one piece up takes nothing back of the others,
# and each row follows once.
{
	my ($many, $id) = $server->subscribe_own('/status/500/many', q(retry_schedule => '{5 h}'));

	set_clock(3600);
	$server->publish_many($many, 1500);
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '1500', 'many wait');
	my $last = $server->hold("SELECT FROM webhook_internal.pending WHERE subscription_id = $id ORDER BY next_at DESC LIMIT 1 FOR UPDATE");
	$server->sql("CREATE TABLE before AS SELECT event_id, next_at FROM webhook_internal.pending WHERE subscription_id = $id");
	set_clock(0);
	my $moved = "SELECT count(*) FROM webhook_internal.pending p JOIN before b USING (event_id) WHERE b.next_at - p.next_at BETWEEN '50 min' AND '70 min'";
	$server->becomes("SELECT ($moved) >= 1000", 't', 'rows follow the clock while one of them is locked');
	$server->let_go($last);
	$server->becomes($moved, '1500', 'all follow it, once');
	$server->unsubscribe($id);
}

# A schedule that is shortened says nothing about the clock.
my ($later, $put_off) = $server->subscribe_own('/status/500/later', q(retry_schedule => '{10 days}'));
$server->publish_many($later, 1);
$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE next_at > now() + interval '7 days'", '1',
	'a retry is put off by days');
$server->alter($put_off, q(retry_schedule => '{1 s}'));
$server->settle('a shorter schedule');
is($server->sql("SELECT count(*) FROM webhook_internal.pending WHERE next_at > now() + interval '7 days'"), '1',
	'... and still is with a shorter schedule');
$server->unsubscribe($put_off);

# For some minutes the clock is a year ahead.
my ($fails) = $server->subscribe_own('/status/500/clock', q(retry_schedule => '{5s, 5s, 5s, 5s, 5s, 5s, 5s, 5s}'));
my ($paused, $waits) = $server->subscribe_own('/ok/waits', q(max_age => '3 days'));
my $leaf = $server->log_leaf;
my $place = $server->log_end;

$server->publish_many($paused, 1);
$receiver->wait_for(1, qr{/ok/waits});
$server->set('webhook.enabled', 'off');
$server->publish_many($paused, 1);
set_clock(366 * 86400);
$server->logs(qr/WARNING:  the clock has jumped ahead by 8784 hours\n.*DETAIL:.*\n.*HINT:/, $place, 'a jump of the clock is told');
$server->reset('webhook.enabled');
is(scalar(() = $receiver->wait_for(2, qr{/ok/waits})), 2, 'what waited is not too old at once');
$server->publish_many($fails, 1);
ok(scalar(() = $receiver->wait_for(1, qr{/status/500/clock})), 'sending goes on');
$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE next_at > now() - interval '1 h'", '1', 'a retry waits');
is($server->sql("SELECT to_regclass('$leaf') IS NOT NULL"), 't', 'the log is not dropped');

my $round = $server->stat_worker('rotations') + 1;
$server->set('webhook.event_retention', '1s');
$server->becomes(<<"END", 't', 'writers are directed to an empty table of the ring');
SELECT (SELECT webhook.publish('$later', '1') IS NOT NULL) AND count(*) > 1
	FROM pg_class WHERE relname ~ '^event_[0-9]\$' AND pg_relation_size(oid) > 0
END
$server->set('webhook.event_retention', '0');
$server->becomes("SELECT rotations >= $round FROM webhook.stat_worker", 't', 'the ring goes round where age does not matter');
$server->reset('webhook.event_retention');

$place = $server->log_end;
$server->stop('fast');
set_clock(0);
$receiver->clear;
$server->start;
ok(scalar(() = $receiver->wait_for(1, qr{/status/500/clock})), 'the retry does not wait for a year');
$server->logs(qr/WARNING:  rows of "webhook.log" are written with a time that is \d+ hours ahead of the clock/, $place,
	'a log that is ahead of the clock is told');
is($server->sql("SELECT ok FROM webhook.health() WHERE check_name = 'clock'"), 'f', '... and health() says so');

$place = $server->log_end;
set_clock(2 * 86400);
$server->publish_many($fails, 1);
$server->logs(qr/WARNING:  the clock has jumped ahead by 48 hours$/m, $place, 'a smaller jump is told, too');
set_clock(0);
$server->publish_many($fails, 1);
$server->logs(qr/WARNING:  the clock was set back by 48 hours\n.*DETAIL:/, $place, '... and that the clock is set back');

$server->stop('fast');
done_testing();
