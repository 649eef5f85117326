# 040_order.pl
#	  Do the events of one contract arrive in the order of their commits, while
#	  deliveries fail, pauses and restarts come in between, and does nothing else
#	  wait for them?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use List::Util qw(uniq);
use Test::More;
use Time::HiRes qw(time);
use Webhook::Test;

# The schedule outlasts each part of this suite on any machine, and between two
# successes it has no ten failures, which would open the circuit breaker.
my $server = Webhook::Test->new('order', <<"END");
restart_after_crash = on
webhook.retry_schedule = '@{[ join ', ', ('3s') x 90 ]}'
END
my $receiver = $server->receiver;

$server->prepare;
$server->sql('INSERT INTO business_request SELECT g FROM generate_series(1, 400) g');

# ---- One contract fails: its later events wait, nothing else does

{
	my $failing = '/fail-subject/RequestId%22%3A7%2C/a';
	my $subscription = $server->subscribe($failing);
	my @expected = map { "s$_" } 1 .. 6;
	my $others = 0;

	$server->subscribe('/ok/b');
	$receiver->fail_while(1);

	# Assertions that hold before and after each kind of restart.
	my $hold = sub {
		my ($what) = @_;
		my @more = map { "x$others-$_" } 1 .. 3;
		my $before = grep { $_->{contract} == 7 } $server->received($failing);

		$others++;
		push @expected, "after-$others";
		$server->change(7, $expected[-1]);
		$server->change(8, @more);
		$server->change(20 + $others, 'a', 'b', 'c');
		ok($server->poll("SELECT webhook.drain()"), "$what: drained");
		is($server->first_statuses('/ok/b', 7), "@expected", "$what: another subscription gets all events");
		is($server->first_statuses($failing, 20 + $others), 'a b c', "$what: another contract's events are delivered");
		like($server->first_statuses($failing, 8), qr/\Q@more\E$/, "$what: in their order");
		wait_until { $before < grep { $_->{contract} == 7 } $server->received($failing) };
		is($server->first_statuses($failing, 7), 's1', "$what: no later event of the contract overtakes the failing one");
		cmp_ok(scalar(grep { $_->{contract} == 7 } $server->received($failing)), '>', $before,
			"$what: the failing one is retried");
		is($server->pending($subscription, 'count(*), count(next_at), min(subject), max(subject)'),
			@expected . '|1|business_request/7|business_request/7', "$what: the later ones wait behind it");
		return;
	};

	$server->change(7, @expected);
	$server->change(8, 'x');
	$hold->('failing');
	$server->end_worker('TERM');
	$hold->('another worker');
	$server->end_worker('KILL');
	$hold->('restarted');
	$server->crash;
	$hold->('crashed');

	$receiver->fail_while(0);
	wait_until { $server->pending($subscription, 'count(*)') == 0 };
	$server->settle('over');
	is($server->first_statuses($failing, 7), "@expected", 'once it succeeds, all arrive, in order');
	my @first = grep { $_->{new} eq 's1' } $server->received($failing);
	my @all = map { $_->{attempt} } @first;
	is_deeply([ uniq @all ], [ 1 .. $all[-1] ], "attempts are counted: @all");
	is(scalar(uniq map { $_->{id} } @first), 1, 'the Id stays');
	is_deeply([ uniq map { $_->{attempt} } grep { $_->{contract} == 7 && $_->{new} ne 's1' } $server->received($failing) ],
		[1], 'each of the later ones arrives at its first attempt');
	is($server->sql("SELECT count(*) FROM webhook.log WHERE event_id = '$first[0]{id}' AND subscription_id = $subscription"),
		$all[-1], 'the log has all attempts');
	is($server->pending($subscription, 'count(*)'), 0, 'nothing is pending');
	$server->unsubscribe_all;
}

$server->set('webhook.retry_schedule', '1s, 1s, 2s');

# ---- A pause in the middle of a series

{
	my $subscription = $server->subscribe('/slow/50/pause');
	my @expected = map { "p$_" } 1 .. 40;

	$server->change(4, @expected);
	cmp_ok(scalar $receiver->wait_for(3, '/slow/50/pause'), '>=', 3, 'some events arrive');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->settle('paused');
	my $count = $receiver->count('/slow/50/pause');
	cmp_ok($count, '<', 40, 'the pause comes in the middle');
	push @expected, 'p41';
	$server->change(4, 'p41');
	$server->settle('still paused');
	is($receiver->count('/slow/50/pause'), $count, 'nothing arrives during a pause');
	is($server->pending($subscription, 'count(*)'), 41 - $count, 'the rest is pending');
	$server->crash;
	push @expected, 'p42';
	$server->change(4, 'p42');
	$server->settle('crashed while paused');
	is($receiver->count('/slow/50/pause'), $count, 'nothing arrives after a crash either');
	$server->sql("SELECT webhook.resume($subscription)");
	$server->settle('resumed');
	is($server->first_statuses('/slow/50/pause', 4), "@expected", 'all arrive afterwards, in order');
	is($receiver->count('/slow/50/pause'), 42, 'each of them once');
	$server->unsubscribe_all;
}

# ---- webhook.enabled = off

{
	my $subscription = $server->subscribe('/ok/off');
	my @expected = map { "o$_" } 1 .. 20;

	$server->set('webhook.enabled', 'off');
	$server->change(6, @expected);
	$server->settle('off');
	is($receiver->count('/ok/off'), 0, 'nothing is sent');
	$server->crash;
	$server->change(6, 'o21');
	$server->settle('off after a crash');
	is($receiver->count('/ok/off'), 0, 'nothing is sent after a crash either');
	$server->set('webhook.enabled', 'on');
	$server->poll('SELECT count(*) = 0 FROM webhook_internal.pending');
	$server->settle('on');
	is($server->first_statuses('/ok/off', 6), "@expected o21", 'all arrive afterwards, in order');
	$server->unsubscribe_all;
}

# ---- Many events of one contract

{
	$server->subscribe('/slow/10/many');
	$server->sql(<<'END');
DO $$BEGIN
	FOR i IN 1 .. 300 LOOP
		UPDATE business_request SET status = 'm' || i WHERE id = 9;
	END LOOP;
END$$
END
	$receiver->wait_for(50, '/slow/10/many');
	$server->change(9, 'm301');
	$server->settle('many');
	is($server->first_statuses('/slow/10/many', 9), join(' ', map { "m$_" } 1 .. 301), '301 events of one contract come in order');
	is($receiver->count('/slow/10/many'), 301, 'each of them once');
	$server->unsubscribe_all;
}

# ---- An endpoint that hangs stops nobody else

$server->set('webhook.timeout', '3s');
{
	my $subscription = $server->subscribe('/hang/all');
	my $start = time;

	$server->subscribe('/ok/others');
	foreach my $n (1 .. 5)
	{
		$server->sql("UPDATE business_request SET status = 'h$n'");
		$receiver->wait_for(400 * $n, '/ok/others');
	}
	is($receiver->count('/ok/others'), 2000, 'the other subscription gets all events');
	cmp_ok(time() - $start, '<', 60, 'within a minute: a tenth of what the one that hangs would take');
	cmp_ok($receiver->count('/hang/all'), '<=', 16 + 64, 'the endpoint that hangs got few requests');
	$server->poll("SELECT queued < 1000 AND unflushed < 100 FROM webhook.stat_worker");
	$server->sql($server->moving($subscription, '/ok/all'));
	$receiver->wait_for(2000, '/ok/all');
	$server->settle('hanging');
	my %contracts;
	push @{ $contracts{ $_->{contract} } }, $_->{new} foreach $server->received('/ok/all');
	is(scalar keys %contracts, 400, 'a new endpoint gets the events of each contract');
	is(join(' | ', uniq sort map { join ' ', uniq @$_ } values %contracts), 'h1 h2 h3 h4 h5', 'in the order of each contract');
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
}

$server->stop;
done_testing();
