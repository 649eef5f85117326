# 055_every_request.pl
#	  Is each request that has reached a receiver a row of the log, with what was
#	  sent and to whom: whatever the receiver does, and however often the server
#	  stops?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Receiver;
use Webhook::Test;

my $server = Webhook::Test->new('every_request', <<'END');
webhook.retry_schedule = '1s, 1s, 1s'
webhook.timeout = '1s'
webhook.shutdown_grace = '200ms'
END
my $receiver = $server->receiver;

$server->sql('CREATE EXTENSION webhook');

# ---- What was sent

{
	my $subscription = $server->subscribe('/ok/headers', q(headers => '{"X-Tenant": "acme"}'));
	$server->publish_many($type, 1);
	$server->settle('headers');
	my ($request) = $receiver->requests('/ok/headers');
	my $names = join ' ', sort keys %{ $request->{headers} };

	is($server->sql("SELECT string_agg(name, ' ' ORDER BY name COLLATE \"C\") FROM webhook.log, jsonb_object_keys(request_headers) name WHERE subscription_id = $subscription"),
		$names, "the log has each header that was sent: $names");
	foreach my $name (qw(host content-length content-type user-agent x-tenant))
	{
		is($server->sql("SELECT request_headers->>'$name' FROM webhook.log WHERE subscription_id = $subscription"),
			$request->{headers}{$name}, "and the value of $name");
	}
	is($server->sql("SELECT peer_ip FROM webhook.log WHERE subscription_id = $subscription"), '127.0.0.1', 'and to which address');
}

SKIP:
{
	my $other = eval { Webhook::Receiver->new(file => $server->node->basedir . '/received6', host => '::1') }
	  or skip 'no IPv6 here', 4;
	my $subscription = $server->subscribe($other->url('/ok/ipv6'));

	$server->publish_many($type, 1);
	$server->settle('IPv6');
	is($other->count('/ok/ipv6'), 1, 'an endpoint with an address of IPv6');
	is($server->sql("SELECT concat_ws(' ', outcome, peer_ip, source_ip) FROM webhook.log WHERE subscription_id = $subscription"),
		'delivered ::1 ::1', 'and the addresses in the log');
	is($server->sql("SELECT request_headers->>'host' FROM webhook.log WHERE subscription_id = $subscription"),
		'[::1]:' . $other->port, 'and Host');
	$server->unsubscribe($subscription);
}
{
	my $subscription = $server->subscribe('http://127.0.0.1:1024/refused');

	$server->publish_many($type, 1);
	$server->becomes("SELECT count(*) > 0 FROM webhook.log WHERE subscription_id = $subscription AND error_class = 'connect'", 't', 'no connection');
	is($server->sql("SELECT DISTINCT concat_ws(' ', host(peer_ip), coalesce(host(source_ip), '-')) FROM webhook.log WHERE subscription_id = $subscription"),
		'127.0.0.1 -', 'the address is known that was dialled in vain');
}
$server->unsubscribe_all;

# ---- A kept connection that ends without a response

{
	my $own = Webhook::Receiver->new(file => $server->node->basedir . '/received_own');
	my $subscription = $server->subscribe($own->url('/then/reset/kept'), 'max_in_flight => 1');
	$server->publish_many($type, 1);
	$server->settle('first request');
	$server->publish_many($type, 1);
	$server->settle('second request');
	is($server->attempts($subscription), '1 delivered 200, 1 retrying reset, 2 delivered 200', 'the next attempt follows at once');
	is($own->count('/then/reset/kept'), 3, 'it was sent once an attempt');
	is($server->sql("SELECT consecutive_failures, failures_since_success FROM webhook_internal.subscription_state WHERE subscription_id = $subscription"),
		'0|0', 'and it is no failure of the endpoint');
	$server->unsubscribe_all;
}

# ---- Receivers that break off at every stage, and a server that stops

my $half_head = unpack 'H*', "HTTP/1.1 200 OK\r\nX-Peer: a\r\n";
my @ways = ('/reset', '/raw/', '/raw/' . unpack('H*', 'HTTP/1.'), "/raw/$half_head", '/short', '/hang', '/drip');
my @paths = map { ("$_/first", "/then$_/later") } @ways;
my %subscription = map { $_ => $server->subscribe($_, 'ordered => false') } @paths;

foreach my $stop (1 .. 4)
{
	$receiver->clear if $stop == 1;
	$server->publish_many($type, 10);
	$receiver->wait_for($stop * 60);
	$stop % 2 ? $server->restart : $server->restart_worker("stop $stop: another worker");
}
$receiver->wait_for(300);
$server->stop;
my @received = $receiver->requests;
$server->node->append_conf('postgresql.conf', 'webhook.enabled = off');
$server->start;

my (%calls, $differing);
my $unread = 0;
$calls{"$_->{path} $_->{headers}{'webhook-id'}"}++ foreach @received;
my (%logged, %reset);
foreach (split /\n/, $server->sql(<<'END'))
SELECT regexp_replace(endpoint, '^http://[^/]*', '') || ' ' || event_id, count(*),
	count(*) FILTER (WHERE error_class = 'reset' AND response_status IS NULL)
FROM webhook.log WHERE method IS NOT NULL AND endpoint ~ '/(first|later)$' GROUP BY 1
END
{
	my ($call, $rows, $resets) = split /\|/;
	($logged{$call}, $reset{$call}) = ($rows, $resets);
}
foreach my $call (sort keys %{ { %calls, %logged } })
{
	my ($got, $said) = ($calls{$call} // 0, $logged{$call} // 0);
	next if $got == $said;

	# A kept connection may be ended while a request is on its way: it has left, and is not read.
	if ($said - $got == 1 && $reset{$call})
	{
		$unread++;
		next;
	}
	diag("$call: $got requests, $said rows of the log:\n" . $server->sql(<<"END")) if !$differing++;
SELECT attempt, outcome, error_class, response_status, requested_at
FROM webhook.log WHERE event_id = split_part('$call', ' ', 2)::uuid AND endpoint LIKE '%' || split_part('$call', ' ', 1) ORDER BY 1
END
}
cmp_ok(scalar @received, '>', 300, 'there were many requests');
is($differing, undef, 'the log has each of them, and no other');
cmp_ok($unread, '<=', 3, '... but for few that left on connections that had just been ended');
is($server->sql(<<'END'), 0, 'attempts are numbered from 1, without a gap');
SELECT count(*) FROM (SELECT FROM webhook.log WHERE method IS NOT NULL
	GROUP BY subscription_id, event_id
	HAVING count(*) <> max(attempt) OR count(DISTINCT attempt) <> max(attempt)) t
END
foreach my $path (@paths)
{
	next unless $path =~ m{^/hang};
	cmp_ok($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription{$path} AND outcome = 'retrying' AND error_class = 'shutdown'"),
		'>', 0, 'what a stop has cut off is among them');
}
is($server->sql("SELECT count(*) FROM webhook.log WHERE error_class = 'shutdown' AND outcome <> 'retrying'"), 0, 'and is repeated');

# ---- A stop costs no step, and is no failure

$server->unsubscribe_all;
$server->node->append_conf('postgresql.conf', "webhook.enabled = on\nwebhook.retry_schedule = ''\nwebhook.timeout = '30s'");
$server->restart;
{
	my $subscription = $server->subscribe('/hang/twice');
	$server->publish_many($type, 1);
	foreach my $n (1 .. 2)
	{
		$receiver->wait_for($n, '/hang/twice');
		$n == 1 ? $server->restart : $server->restart_worker('another worker');
	}
	$receiver->wait_for(3, '/hang/twice');
	is($receiver->count('/hang/twice'), 3, 'it is sent after each start');
	is($server->attempts($subscription), '1 retrying shutdown, 2 retrying shutdown', 'each is an attempt of its own');
	is($server->sql("SELECT attempt, step FROM webhook_internal.pending WHERE subscription_id = $subscription"), '2|0', 'that has cost no step');
	is($server->sql("SELECT coalesce(sum(failures_since_success), 0) FROM webhook_internal.subscription_state WHERE subscription_id = $subscription"), 0, 'and is no failure');
}

$server->stop;
done_testing();
