# 080_circuit_breaker.pl
#	  What do an endpoint's answers lead to, with real processes and sockets:
#	  breaker, Retry-After, 410, rate limit, giving up?  What do views, the log
#	  and notifications say of it, and what can be replayed?
#
# The instants of these decisions are tested on a fake clock, in test/clock.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

my $server = Webhook::Test->new('health', "webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s'");
$server->prepare;
my $receiver = $server->receiver;

sub state_of { return $server->sql("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $_[0]"); }

sub change
{
	my ($from, $to) = @_;
	$server->sql("INSERT INTO business_request SELECT i, 'Draft' FROM generate_series($from, $to) i");
	return;
}

# Breaker: it opens after ten failures, probes after ten seconds, and then all
# comes in order.
my $listener = $server->background;
$listener->query_safe('LISTEN webhook');
my $id = $server->subscribe('/flip');
$receiver->fail_while(1);
change(1, 40);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'open', 'the breaker opens');
like($server->sql("SELECT reason FROM webhook.stat_subscription WHERE subscription_id = $id"),
	qr/503/, 'its reason is shown');
is($server->sql("SELECT next_attempt BETWEEN now() AND now() + '10 s' FROM webhook.stat_subscription WHERE subscription_id = $id"),
	't', 'and when the next attempt is');
$server->sql("UPDATE business_request SET status = 'Approved'");
is($server->sql('SELECT webhook.drain()'), 't', 'nothing is due while it is open');
my $sent = $receiver->count('/flip');
cmp_ok($sent, '<', 40, "not every delivery was tried ($sent)");
like($server->sql("SELECT webhook.explain((SELECT event_id FROM webhook.pending_delivery WHERE subscription_id = $id AND waits_for IS NULL ORDER BY next_at LIMIT 1), $id)"),
	qr/\w/, 'explain has something to say');
is($server->sql("SELECT count(*) > 0 FROM webhook.pending_delivery WHERE subscription_id = $id AND waits_for IS NOT NULL AND waits_since IS NOT NULL"),
	't', 'the view shows what waits behind what');
$receiver->fail_while(0);
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '80',
	'a probe closes it and all is delivered');
my (%last, $wrong);
foreach my $request ($receiver->requests('/flip'))
{
	my ($contract) = $request->{body} =~ /"BusinessRequestId":(\d+)/;
	my ($status) = $request->{body} =~ /"NewStatus":"(\w+)"/;
	my $place = $status eq 'Draft' ? 1 : 2;
	$wrong++ if $place < ($last{$contract} // 0);
	$last{$contract} = $place;
}
ok(!$wrong, 'in order');
is($server->sql("SELECT max(step) FROM webhook_internal.pending"), '', 'nothing is left');
is(state_of($id), 'active', 'it is active again');
my $log = $server->log_since;
like($log, qr/circuit breaker for webhook subscription $id opened after \d+ consecutive failures/, 'the server log tells of it');
like($listener->query('SELECT 1'), qr/Asynchronous notification "webhook" with payload "\{"subscription":$id,"state":"open","until":"[^"]*"\}"/,
	'and so does a notification');
$listener->quit;
$server->unsubscribe_all;

# Retry-After: the subscription as a whole waits.
$id = $server->subscribe('/retry-after/2');
change(101, 101);
$receiver->wait_for(1, 10, qr{^/retry-after});
$server->becomes("SELECT not_before IS NOT NULL FROM webhook_internal.subscription_state WHERE subscription_id = $id", 't', 'Retry-After is kept');
$server->settle('retry after');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '1', 'and obeyed');
my @calls = $receiver->requests(qr{^/retry-after});
cmp_ok($calls[1]{time} - $calls[0]{time}, '>=', 1.9, 'two seconds passed');
$server->unsubscribe_all;

# 410: it is given up, what waits is cancelled, and may be replayed.
$id = $server->subscribe('/status/410', "max_in_flight => 1");
change(201, 230);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'disabled', '410 disables');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome IN ('failed', 'cancelled')", '30',
	'every delivery has ended');
is($server->sql("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id"), '0', 'nothing waits');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $id AND data IS NOT NULL"), '30',
	'all are dead letters');
change(231, 231);
$server->settle('disabled');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id"), '30', 'a disabled one gets nothing');
$server->restart;
is(state_of($id), 'disabled', 'after a restart too');
change(232, 232);
$server->settle('disabled, restarted');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id"), '30', 'and still gets nothing');
$server->sql("SELECT webhook.alter_subscription($id, endpoint => '@{[ $receiver->url('/ok/410') ]}', enabled => true)");
change(233, 233);
$server->settle('enabled');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'"), '1',
	'enabled, it begins anew');
is(state_of($id), 'active', 'and is active');
is($server->sql("SELECT webhook.recover($id, now() - interval '1 hour', dry_run => true)"), '30', 'recover counts');
is($server->sql("SELECT webhook.recover($id, now() - interval '1 hour')"), '30', 'recover tells how many');
$server->settle('recovered');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered' AND cause = 'recover'"), '30',
	'all are delivered');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $id"), '0', 'no dead letter is left');
is($server->sql("SELECT webhook.recover($id, (SELECT created_at FROM webhook.event WHERE subject = 'business_request/231'), what => 'missing')"), '2',
	'what came while it was disabled is missing');
$server->settle('missing');
is($server->sql("SELECT string_agg(subject, ' ' ORDER BY id) FROM webhook.log WHERE subscription_id = $id AND cause = 'recover' AND subject IN ('business_request/231', 'business_request/232')"),
	'business_request/231 business_request/232', 'and is sent');
my $event = $server->sql("SELECT event_id FROM webhook.log WHERE subscription_id = $id AND subject = 'business_request/231'");
$server->sql("SELECT webhook.resend('$event', $id)");
$server->settle('resent');
is($server->sql("SELECT string_agg(cause || ' ' || attempt, ', ' ORDER BY logged_at) FROM webhook.log WHERE event_id = '$event' AND subscription_id = $id"),
	'recover 1, resend 2', 'a resend is the next attempt');
my $ping = $server->sql("SELECT webhook.ping($id)");
$server->settle('ping');
is($server->sql("SELECT event_type, cause, outcome FROM webhook.log WHERE event_id = '$ping'"),
	'webhook.ping|ping|delivered', 'a ping is sent and logged');
$server->unsubscribe_all;

# A subscription that comes to want what it did not: what was read past then is
# missing, what is under way is not.
$server->sql("SELECT webhook.define_event_type('App.Other')");
$id = $server->sql("SELECT webhook.subscribe('@{[ $receiver->url('/slow/3000/widened') ]}', '{App.Other}')");
change(241, 250);
$server->settle('read past');
my $began = $server->sql("SELECT min(created_at) FROM webhook.event WHERE subject IN ('business_request/241', 'business_request/250')");
$server->becomes("SELECT count(*) FROM webhook.event e JOIN webhook_internal.ring r USING (id) WHERE e.created_at >= '$began' AND webhook_internal.is_processed(r.txid, r.id)",
	'10', 'the checkpoint is past them');
$server->sql("SELECT webhook.alter_subscription($id, events => '{App.BusinessRequestStatusChange}')");
change(251, 251);
$server->becomes('SELECT in_flight FROM webhook.stat_worker', '1', 'another is under way');
is($server->sql("SELECT webhook.recover($id, '$began', 'infinity', 'missing', dry_run => $_)"), '10', "missing: dry_run $_")
  foreach qw(true false);
is($server->sql("SELECT webhook.recover($id, '$began', 'infinity', 'missing')"), '0', 'once');
$server->settle('widened');
is($server->sql("SELECT string_agg(cause || ' ' || n, ', ' ORDER BY cause) FROM (SELECT cause, count(DISTINCT event_id) || ' of ' || count(*) AS n FROM webhook.log WHERE subscription_id = $id GROUP BY cause) x"),
	'event 1 of 1, recover 10 of 10', 'each is delivered once');
$server->unsubscribe_all;

# A ping goes through an open breaker, is made once and counts for nothing.
$id = $server->subscribe('/status/500', "retry_schedule => '{1 day}'");
change(301, 312);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'open', 'open again');
my $streak = $server->sql("SELECT failures_since_success FROM webhook_internal.subscription_state WHERE subscription_id = $id");
$ping = $server->sql("SELECT webhook.ping($id)");
$server->becomes("SELECT outcome FROM webhook.log WHERE event_id = '$ping'", 'failed', 'a ping fails once');
is($server->sql("SELECT failures_since_success FROM webhook_internal.subscription_state WHERE subscription_id = $id"), $streak,
	'and counts for nothing');

# What waits can be ended.
my ($subject, $waiting) = split /\|/,
  $server->sql("SELECT subject, event_id FROM webhook.pending_delivery WHERE subscription_id = $id AND attempt > 0 ORDER BY id LIMIT 1");
$server->sql("UPDATE business_request SET status = 'Signed' WHERE id = @{[ $subject =~ /(\d+)$/ ]}");
$server->settle('behind');
is($server->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $id AND subject = '$subject' AND waits_for = '$waiting'"),
	'1', 'the later one waits for it');
$server->sql("SELECT webhook.skip($id, '$subject')");
$server->becomes("SELECT outcome, error_class FROM webhook.log WHERE event_id = '$waiting' AND subscription_id = $id AND outcome <> 'retrying'",
	'cancelled|skipped', 'skipped');
$server->becomes("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $id AND subject = '$subject' AND next_at IS NOT NULL", '1',
	'the later one is head');
$waiting = $server->sql("SELECT event_id FROM webhook_internal.pending WHERE subscription_id = $id AND subject = '$subject'");
$server->sql("SELECT webhook.cancel('$waiting', $id)");
$server->becomes("SELECT outcome FROM webhook.log WHERE event_id = '$waiting' AND subscription_id = $id", 'cancelled', 'cancelled');
$server->unsubscribe_all;
$server->becomes('SELECT count(*) FROM webhook_internal.pending', '0', 'unsubscribed, nothing waits');

# Rate limit: five a second.
$id = $server->subscribe('/ok/limited', 'rate_limit => 5');
change(401, 440);
$server->becomes("SELECT reason FROM webhook.stat_subscription WHERE subscription_id = $id",
	'held back by its rate limit of 5 requests a second', 'a rate limit is shown');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '40', 'all come');
@calls = $receiver->requests('/ok/limited');
cmp_ok($calls[-1]{time} - $calls[0]{time}, '>=', 6.9, 'forty take seven seconds');
like($server->log_since, qr/webhook subscription $id is held back by its rate limit of 5 calls per second/,
	'and the log tells of it');
$server->unsubscribe_all;

# Without order, a failing contract holds up nothing, not even itself.
$id = $server->subscribe('/fail-subject/NewStatus...Draft', 'ordered => false');
$receiver->fail_while(1);
$server->sql("INSERT INTO business_request VALUES (501, 'Draft')");
$server->sql("UPDATE business_request SET status = 'Approved' WHERE id = 501");
$server->becomes("SELECT string_agg(outcome, ',') FROM webhook.log WHERE subscription_id = $id AND subject = 'business_request/501' AND outcome = 'delivered'",
	'delivered', 'the later one is delivered');
$receiver->fail_while(0);
$server->unsubscribe_all;

# Given up after five days without success.
$id = $server->subscribe('/status/500', "retry_schedule => '{1 s, 1 s, 1 day}'");
change(601, 601);
$server->becomes("SELECT failures_since_success > 0 FROM webhook_internal.subscription_state WHERE subscription_id = $id", 't', 'it fails');
$server->stop;
$server->start;
$server->sql("UPDATE webhook_internal.subscription_state SET failures_since_success = 20, failing_since = now() - interval '6 days' WHERE subscription_id = $id");
$server->stop('immediate');
$server->start;
change(602, 602);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'disabled', 'it is given up');
$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '0', 'what waited is cancelled');

diag($server->sql("SELECT id, kind, event_id, subject FROM webhook_internal.event_0 WHERE kind NOT IN ('e', 'r') ORDER BY id"))
  unless Test::More->builder->is_passing;
$server->stop;
done_testing();
