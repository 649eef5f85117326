# 040_order.pl
#	  What fails is repeated by the schedule, and what comes after it in the
#	  same contract waits; nothing else does.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IO::Socket::INET;
use List::Util qw(uniq);
use Webhook::Test;
use Test::More;
use Time::HiRes qw(sleep time);

my $server = Webhook::Test->new('order', <<'END');
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'
END
my $receiver = $server->receiver;

$server->prepare;
$server->sql('INSERT INTO business_request SELECT g FROM generate_series(1, 400) g');

# Change a contract to these statuses, in a transaction each.
sub change
{
	my ($contract, @statuses) = @_;
	$server->sql(join ';', map { "UPDATE business_request SET status = '$_' WHERE id = $contract" } @statuses);
	return;
}

# Which statuses of a contract have come to a path, each once, in the order of
# their first arrival.
sub arrived
{
	my ($path, $contract) = @_;
	return join ' ', uniq map { $_->{new} } grep { $_->{contract} == $contract } $server->received($path);
}

sub attempts { return join ' ', map { $_->{attempt} } $server->received($_[0]); }

sub count { return scalar $receiver->requests(qr/^\Q$_[0]\E$/); }

# Wait for so many calls, and tell how many there are.
sub wait_for { return scalar $receiver->wait_for($_[1], $_[2] // 10, qr/^\Q$_[0]\E$/); }

# The log of a subscription as "attempt outcome class status", by event.
sub logged
{
	my ($subscription) = @_;
	return $server->sql(<<"END");
SELECT concat_ws(' ', attempt, outcome, error_class, response_status)
FROM webhook.log WHERE subscription_id = $subscription ORDER BY id, attempt, logged_at, method NULLS LAST
END
}

sub pending
{
	my ($subscription, $what) = @_;
	return $server->sql("SELECT $what FROM webhook_internal.pending WHERE subscription_id = $subscription");
}

# ---- One contract fails

{
	my $failing = '/fail-subject/RequestId%22%3A7%2C/a';
	my $subscription = $server->subscribe($failing);
	my @expected = map { "s$_" } 1 .. 6;
	my $others = 0;

	$server->subscribe('/ok/b');
	$receiver->fail_while(1);

	# The same before and after everything that may happen.
	my $hold = sub {
		my ($what) = @_;
		my @more = map { "x$others-$_" } 1 .. 3;
		my $before = grep { $_->{contract} == 7 } $server->received($failing);

		$others++;
		push @expected, "after-$others";
		change(7, $expected[-1]);
		change(8, @more);
		change(20 + $others, 'a', 'b', 'c');
		ok($server->node->poll_query_until('postgres', "SELECT webhook.drain()"), "$what: drained");
		is(arrived('/ok/b', 7), "@expected", "$what: another subscription goes on");
		is(arrived($failing, 20 + $others), 'a b c', "$what: other contracts go on");
		like(arrived($failing, 8), qr/\Q@more\E$/, "$what: in order");
		my $until = time() + 10;
		sleep 0.01 while $before == grep({ $_->{contract} == 7 } $server->received($failing)) && time() < $until;
		is(arrived($failing, 7), 's1', "$what: nothing overtakes the one that fails");
		cmp_ok(scalar(grep { $_->{contract} == 7 } $server->received($failing)), '>', $before,
			"$what: which is repeated");
		is(pending($subscription, 'count(*), count(next_at), min(subject), max(subject)'),
			@expected . '|1|business_request/7|business_request/7', "$what: the others wait behind it");
		return;
	};

	change(7, @expected);
	change(8, 'x');
	$hold->('failing');
	$server->end_worker('TERM');
	$hold->('another worker');
	$server->end_worker('KILL');
	$hold->('restarted');
	$server->crash;
	$hold->('crashed');

	$receiver->fail_while(0);
	my $until = time() + 10;
	sleep 0.02 while pending($subscription, 'count(*)') && time() < $until;
	$server->settle('over');
	is(arrived($failing, 7), "@expected", 'then all arrive, in order');
	my @first = grep { $_->{new} eq 's1' } $server->received($failing);
	my @all = map { $_->{attempt} } @first;
	is_deeply([ uniq @all ], [ 1 .. $all[-1] ], "attempts are counted: @all");
	is(scalar(uniq map { $_->{id} } @first), 1, 'the Id stays');
	is_deeply([ uniq map { $_->{attempt} } grep { $_->{contract} == 7 && $_->{new} ne 's1' } $server->received($failing) ],
		[1], 'what waited is at its first attempt');
	is($server->sql("SELECT count(*) FROM webhook.log WHERE event_id = '$first[0]{id}' AND subscription_id = $subscription"),
		$all[-1], 'the log has them all');
	is(pending($subscription, 'count(*)'), 0, 'nothing is pending');
	$server->unsubscribe_all;
}

# ---- The schedule, and its end

$server->set('webhook.retry_schedule', '1s, 1s, 2s');
{
	my $path = '/fail-subject/NewStatus%22%3A%22bad/schedule';
	my $subscription = $server->subscribe($path);

	$receiver->fail_while(1);
	change(1, 'bad', 'good');
	change(2, 'good');
	$server->node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM webhook_internal.pending');
	like($server->sql(<<'END'), qr/^(0\.[89]|1\.[012])\d*$/, 'next_at is by the schedule');
SELECT extract(epoch FROM p.next_at - l.requested_at - l.duration)
FROM webhook_internal.pending p JOIN webhook.log l USING (event_id) WHERE p.next_at IS NOT NULL
END
	is($server->sql('SELECT attempt, step FROM webhook_internal.pending ORDER BY position LIMIT 1'), '1|1', 'and the attempts are counted there');
	wait_for($path, 6, 15);
	$server->settle('the schedule');
	$receiver->fail_while(0);

	my @calls = grep { $_->{contract} == 1 } $server->received($path);
	is(join(' ', map { "$_->{new}-$_->{attempt}" } @calls), 'bad-1 bad-2 bad-3 bad-4 good-1',
		'so many attempts, then the next event of the contract');
	foreach ([ 0, 1 ], [ 1, 1 ], [ 2, 2 ])
	{
		my ($i, $wait) = @$_;
		my $waited = $calls[ $i + 1 ]{time} - $calls[$i]{time};
		cmp_ok($waited, '>=', 0.79 * $wait, 'a wait');
		cmp_ok($waited, '<=', 1.2 * $wait + 0.5, 'as the schedule says');
	}
	cmp_ok($calls[4]{time} - $calls[3]{time}, '<', 0.5, 'the next event at once');
	is($server->sql(<<"END"), <<'END' =~ s/\n\z//r, 'the log: attempts, and the data of what has failed');
SELECT attempt, outcome, error_class, response_status, data->>'NewStatus'
FROM webhook.log WHERE subscription_id = $subscription AND event_id = '$calls[0]{id}' ORDER BY attempt
END
1|retrying|status|500|
2|retrying|status|500|
3|retrying|status|500|
4|failed|status|500|bad
END
	is(pending($subscription, 'count(*)'), 0, 'nothing is pending');
	$server->unsubscribe_all;
}

# ---- What may go wrong, in a word

$server->set('webhook.retry_schedule', '1s');
$server->set('webhook.timeout', '1s');
{
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
	my $closed = $listener->sockport;
	$listener->close;

	my @cases = (
		[ '/hang', 'timeout', '1 retrying timeout, 2 failed timeout' ],
		[ "http://127.0.0.1:$closed/", 'a refused connection', '1 retrying connect, 2 failed connect' ],
		[ 'http://nowhere.invalid/', 'an unknown name', '1 retrying dns, 2 failed dns' ],
		[ '/status/410', 'gone', '1 failed status 410' ],
		[ '/status/301', 'a redirect', '1 retrying status 301, 2 failed status 301' ],
		[ '/status/400', 'refused', '1 retrying status 400, 2 failed status 400' ],
		[ '/reset', 'a reset', '1 retrying reset, 2 failed reset' ],
		[ '/short', 'a short body', '1 retrying reset 200, 2 failed reset 200' ],
		[ '/drip', 'a timeout in the body', '1 retrying timeout 200, 2 failed timeout 200' ],
		[ '/retry-after/3', 'a wait that was asked for', '1 retrying status 429, 2 delivered 200' ],
		[ '/ok/fine', 'a success', '1 delivered 200' ]);
	push @$_, $server->subscribe($_->[0]) foreach @cases;

	change(3, 'wrong');
	my $until = time() + 20;
	foreach (@cases)
	{
		my ($path, $what, $expected, $subscription) = @$_;
		my $lines = () = $expected =~ /,/g;

		sleep 0.02 while $server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription") <= $lines
		  && time() < $until;
		is(join(', ', split /\n/, logged($subscription)), $expected, $what);
		is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription AND (outcome = 'delivered') <> (error IS NULL)"),
			0, "$what: there is a text");
	}
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
	my @calls = $server->received('/retry-after/3');
	cmp_ok($calls[1]{time} - $calls[0]{time}, '>=', 3, 'Retry-After is respected');
	is(count('/status/410'), 1, 'no attempt after 410');
	is($server->sql("SELECT data->>'NewStatus' FROM webhook.log WHERE response_status = 410"), 'wrong', 'but the data are kept');
	cmp_ok($server->sql("SELECT max(extract(epoch FROM duration)) FROM webhook.log WHERE error_class = 'timeout'"),
		'<', 1.5, 'webhook.timeout is respected');
	$server->unsubscribe_all;
}
$server->set('webhook.timeout', '30s');
$server->set('webhook.retry_schedule', '1s, 1s, 2s');

# ---- Pause in the middle, go on in order

{
	my $subscription = $server->subscribe('/slow/50/pause');
	my @expected = map { "p$_" } 1 .. 40;

	change(4, @expected);
	cmp_ok(wait_for('/slow/50/pause', 3), '>=', 3, 'on its way');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->settle('paused');
	my $count = count('/slow/50/pause');
	cmp_ok($count, '<', 40, 'paused in the middle');
	push @expected, 'p41';
	change(4, 'p41');
	$server->settle('still paused');
	is(count('/slow/50/pause'), $count, 'nothing comes then');
	is(pending($subscription, 'count(*)'), 41 - $count, 'the rest is pending');
	$server->crash;
	push @expected, 'p42';
	change(4, 'p42');
	$server->settle('crashed while paused');
	is(count('/slow/50/pause'), $count, 'nor after a crash');
	$server->sql("SELECT webhook.resume($subscription)");
	$server->settle('resumed');
	is(arrived('/slow/50/pause', 4), "@expected", 'then all, in order');
	is(count('/slow/50/pause'), 42, 'each once');
	$server->unsubscribe_all;
}

# ---- Unsubscribe, disable: what waits is cancelled, and kept

foreach (
	[ 'unsubscribed', 'SELECT webhook.unsubscribe(%d)' ],
	[ 'disabled', 'SELECT webhook.alter_subscription(%d, enabled => false)' ])
{
	my ($what, $statement) = @$_;
	my $subscription = $server->subscribe("/status/500/$what");

	change(5, map { "c$_" } 1 .. 5);
	wait_for("/status/500/$what", 1);
	$server->node->poll_query_until('postgres',
		"SELECT count(*) = 5 FROM webhook_internal.pending WHERE subscription_id = $subscription");
	$server->sql(sprintf $statement, $subscription);
	$server->settle($what);
	my $count = count("/status/500/$what");
	is(pending($subscription, 'count(*)'), 0, "$what: nothing is pending");
	is($server->sql(<<"END"), 'c1 c2 c3 c4 c5', "$what: all are cancelled, with their data");
SELECT string_agg(data->>'NewStatus', ' ' ORDER BY position)
FROM webhook.log WHERE subscription_id = $subscription AND outcome = 'cancelled' AND method IS NULL
END
	sleep 1.5;
	is(count("/status/500/$what"), $count, "$what: no attempt any more");
	if ($what eq 'disabled')
	{
		change(5, 'missed');
		$server->sql("SELECT webhook.alter_subscription($subscription, enabled => true, endpoint => '@{[ $receiver->url('/ok/enabled') ]}')");
		change(5, 'again');
		$server->settle('enabled');
		is(arrived('/ok/enabled', 5), 'again', 'enabled again, it gets what happens from then on');
	}
	$server->unsubscribe_all;
}

# One in flight ends by itself, also without its subscription.
{
	my $subscription = $server->subscribe('/slow/1000/flying');

	change(5, 'f1', 'f2');
	wait_for('/slow/1000/flying', 1);
	$server->sql("SELECT webhook.unsubscribe($subscription)");
	$server->settle('unsubscribed in flight');
	is(logged($subscription), "1 delivered 200\n0 cancelled", 'one in flight ends, the next is cancelled');
}

# ---- Sending off

{
	my $subscription = $server->subscribe('/ok/off');
	my @expected = map { "o$_" } 1 .. 20;

	$server->set('webhook.enabled', 'off');
	change(6, @expected);
	$server->settle('off');
	is(count('/ok/off'), 0, 'nothing is sent');
	$server->crash;
	change(6, 'o21');
	$server->settle('off after a crash');
	is(count('/ok/off'), 0, 'still nothing');
	$server->set('webhook.enabled', 'on');
	$server->node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM webhook_internal.pending');
	$server->settle('on');
	is(arrived('/ok/off', 6), "@expected o21", 'then all, in order');
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
	wait_for('/slow/10/many', 50);
	change(9, 'm301');
	$server->settle('many', '60 s');
	is(arrived('/slow/10/many', 9), join(' ', map { "m$_" } 1 .. 301), '301 events of one contract come in order');
	is(count('/slow/10/many'), 301, 'each once');
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
		wait_for('/ok/others', 400 * $n, 20);
	}
	is(count('/ok/others'), 2000, 'others get all');
	cmp_ok(time() - $start, '<', 10, 'soon');
	cmp_ok(count('/hang/all'), '<=', 16 + 64, 'the one that hangs got few');
	$server->node->poll_query_until('postgres', "SELECT queued < 1000 AND unflushed < 100 FROM webhook.stat_worker");
	$server->sql("SELECT webhook.alter_subscription($subscription, endpoint => '@{[ $receiver->url('/ok/all') ]}')");
	wait_for('/ok/all', 2000, 30);
	$server->settle('hanging');
	my %contracts;
	push @{ $contracts{ $_->{contract} } }, $_->{new} foreach $server->received('/ok/all');
	is(scalar keys %contracts, 400, 'then every contract comes');
	is(join(' | ', uniq sort map { join ' ', uniq @$_ } values %contracts), 'h1 h2 h3 h4 h5', 'in order');
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
}

$server->node->stop;
done_testing();
