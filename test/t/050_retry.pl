# 050_retry.pl
#	  Is what fails tried again when the schedule says, for as long as it says,
#	  and how does each kind of failure, of answer and of command end it?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;

my $server = Webhook::Test->new('retry', "webhook.retry_schedule = '3s, 1s, 2s'");
my $receiver = $server->receiver;

$server->prepare;
$server->sql('INSERT INTO business_request SELECT g FROM generate_series(1, 10) g');

# ---- The schedule, and its end

{
	my $path = '/fail-subject/NewStatus%22%3A%22bad/schedule';
	my $subscription = $server->subscribe($path);

	$receiver->fail_while(1);
	$server->change(1, 'bad', 'good');
	$server->change(2, 'good');
	$receiver->wait_for(6, $path);
	$server->settle('the schedule');
	$receiver->fail_while(0);

	my @calls = grep { $_->{contract} == 1 } $server->received($path);
	is(join(' ', map { "$_->{new}-$_->{attempt}" } @calls), 'bad-1 bad-2 bad-3 bad-4 good-1',
		"one attempt for each wait and a first one, then the contract's next event");
	foreach ([ 0, 3 ], [ 1, 1 ], [ 2, 2 ])
	{
		my ($i, $wait) = @$_;
		my $waited = $calls[ $i + 1 ]{time} - $calls[$i]{time};
		cmp_ok($waited, '>=', 0.79 * $wait, "wait of $wait s: not shorter by more than a fifth");
		cmp_ok($waited, '<=', 1.2 * $wait + 0.5, "wait of $wait s: not longer by more than a fifth");
	}
	cmp_ok($calls[4]{time} - $calls[3]{time}, '<', 0.5, 'the next event of the contract is sent at once');
	is($server->sql(<<"END"), <<'END' =~ s/\n\z//r, 'the log has each attempt, and the data with the last one');
SELECT attempt, outcome, error_class, response_status, data->>'NewStatus'
FROM webhook.log WHERE subscription_id = $subscription AND event_id = '$calls[0]{id}' ORDER BY attempt
END
1|retrying|status|500|
2|retrying|status|500|
3|retrying|status|500|
4|failed|status|500|bad
END
	is($server->pending($subscription, 'count(*)'), 0, 'nothing is pending');
	$server->unsubscribe_all;
}

# ---- What waits for the next attempt

{
	my ($own, $id) = $server->subscribe_own('/flip/waits', "retry_schedule => '{1h}'");

	$receiver->fail_while(1);
	$server->publish($own, "'1'", 's');
	$server->publish($own, "'2'", 's');
	$server->poll("SELECT count(*) = 2 AND count(next_at) = 1 FROM webhook_internal.pending WHERE subscription_id = $id");
	is($server->sql(<<"END"), 't', 'next_at is by the schedule, give or take a fifth');
SELECT p.next_at - l.requested_at - l.duration BETWEEN '47 min' AND '73 min'
FROM webhook_internal.pending p JOIN webhook.log l USING (event_id) WHERE p.next_at IS NOT NULL
END
	is($server->sql("SELECT attempt, step FROM webhook_internal.pending WHERE subscription_id = $id ORDER BY position"),
		"1|1\n0|0", 'pending counts attempts and steps');
	$server->unsubscribe_all;
	$receiver->fail_while(0);
}

# ---- How each kind of failure is logged

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

	$server->change(3, 'wrong');
	foreach (@cases)
	{
		my ($path, $what, $expected, $subscription) = @$_;

		wait_until { $server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription AND outcome <> 'retrying'") > 0 };
		my $logged = $server->attempts($subscription);

		# A request that a kept connection has lost is repeated once more, for nothing.
		$logged =~ s/^1 retrying reset, 2 retrying reset, 3 /1 retrying reset, 2 /;
		is($logged, $expected, $what);
		is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription AND (outcome = 'delivered') <> (error IS NULL)"),
			0, "$what: error is set unless it was delivered");
	}
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
	my @calls = $server->received('/retry-after/3');
	cmp_ok($calls[1]{time} - $calls[0]{time}, '>=', 3, 'Retry-After is waited for');
	is($receiver->count('/status/410'), 1, '410 ends a delivery');
	is($server->sql("SELECT data->>'NewStatus' FROM webhook.log WHERE response_status = 410"), 'wrong', 'the log keeps its data');
	cmp_ok($server->sql("SELECT max(extract(epoch FROM duration)) FROM webhook.log WHERE error_class = 'timeout'"),
		'<', 1.5, 'webhook.timeout ends an attempt');
	$server->unsubscribe_all;
}
$server->set('webhook.timeout', '30s');
$server->set('webhook.retry_schedule', '1s, 1s, 2s');

# ---- Unsubscribing and disabling cancel what waits; the log keeps it

foreach (
	[ 'unsubscribed', 'SELECT webhook.unsubscribe(%d)' ],
	[ 'disabled', 'SELECT webhook.alter_subscription(%d, enabled => false)' ])
{
	my ($what, $statement) = @$_;
	my $subscription = $server->subscribe("/status/500/$what");

	$server->change(5, map { "c$_" } 1 .. 5);
	$receiver->wait_for(1, "/status/500/$what");
	$server->poll("SELECT count(*) = 5 FROM webhook_internal.pending WHERE subscription_id = $subscription");
	$server->sql(sprintf $statement, $subscription);
	$server->settle($what);
	my $count = $receiver->count("/status/500/$what");
	is($server->pending($subscription, 'count(*)'), 0, "$what: nothing is pending");
	is($server->sql(<<"END"), 'c1 c2 c3 c4 c5', "$what: all are cancelled, with their data");
SELECT string_agg(data->>'NewStatus', ' ' ORDER BY position)
FROM webhook.log WHERE subscription_id = $subscription AND outcome = 'cancelled' AND method IS NULL
END
	sleep 1.5;
	is($receiver->count("/status/500/$what"), $count, "$what: no further attempt is made");
	if ($what eq 'disabled')
	{
		$server->change(5, 'missed');
		$server->sql("SELECT webhook.alter_subscription($subscription, enabled => true, endpoint => '@{[ $receiver->url('/ok/enabled') ]}')");
		$server->change(5, 'again');
		$server->settle('enabled');
		is($server->first_statuses('/ok/enabled', 5), 'again', 'after enabling, it gets what happens from then on');
	}
	$server->unsubscribe_all;
}

# A request in flight ends by itself, although its subscription is gone.
{
	my $subscription = $server->subscribe('/slow/1000/flying');

	$server->change(5, 'f1', 'f2');
	$receiver->wait_for(1, '/slow/1000/flying');
	$server->unsubscribe($subscription);
	$server->settle('unsubscribed in flight');
	is($server->attempts($subscription), '1 delivered 200, 0 cancelled', 'the request in flight is logged, the next delivery is cancelled');
}

$server->stop;
done_testing();
