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

# The breaker opens after ten failures and probes after ten seconds; then all is
# delivered, in order.
my $listener = $server->background;
$listener->query_safe('LISTEN webhook');
my $id = $server->subscribe('/flip');
$receiver->fail_while(1);
change(1, 40);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'open', 'the breaker opens');
like($server->sql("SELECT reason FROM webhook.stat_subscription WHERE subscription_id = $id"),
	qr/503/, 'stat_subscription shows the reason');
is($server->sql("SELECT next_attempt BETWEEN now() AND now() + '10 s' FROM webhook.stat_subscription WHERE subscription_id = $id"),
	't', 'stat_subscription shows when the next attempt is');
$server->sql("UPDATE business_request SET status = 'Approved'");
is($server->sql('SELECT webhook.drain()'), 't', 'nothing is due while it is open');
my $sent = $receiver->count('/flip');
cmp_ok($sent, '<', 40, "not every delivery was tried ($sent)");
like($server->sql("SELECT webhook.explain((SELECT event_id FROM webhook.pending_delivery WHERE subscription_id = $id AND waits_for IS NULL ORDER BY next_at LIMIT 1), $id)"),
	qr/\w/, 'explain() says something about a waiting delivery');
is($server->sql("SELECT count(*) > 0 FROM webhook.pending_delivery WHERE subscription_id = $id AND waits_for IS NOT NULL AND waits_since IS NOT NULL"),
	't', 'pending_delivery shows which delivery another one waits for');
$receiver->fail_while(0);
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '80',
	'a probe closes the breaker and all is delivered');
my (%last, $wrong);
foreach my $request ($receiver->requests('/flip'))
{
	my ($contract) = $request->{body} =~ /"BusinessRequestId":(\d+)/;
	my ($status) = $request->{body} =~ /"NewStatus":"(\w+)"/;
	my $order = $status eq 'Draft' ? 1 : 2;
	$wrong++ if $order < ($last{$contract} // 0);
	$last{$contract} = $order;
}
ok(!$wrong, 'each contract in its order');
is($server->sql("SELECT max(step) FROM webhook_internal.pending"), '', 'pending is empty');
is(state_of($id), 'active', 'its state is active again');
my $log = $server->log_since;
like($log, qr/circuit breaker for webhook subscription $id opened after \d+ consecutive failures/, 'the server log says that it opened');
like($listener->query('SELECT 1'), qr/Asynchronous notification "webhook" with payload "\{"subscription":$id,"state":"open","until":"[^"]*"\}"/,
	'a notification says so, too');
$listener->quit;
$server->unsubscribe_all;

# Retry-After: the whole subscription waits.
$id = $server->subscribe('/retry-after/2');
change(101, 101);
$receiver->wait_for(1, qr{^/retry-after});
$server->becomes("SELECT not_before IS NOT NULL FROM webhook_internal.subscription_state WHERE subscription_id = $id", 't', 'subscription_state has the time that Retry-After asks for');
$server->settle('retry after');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '1', 'the event is delivered');
my @calls = $receiver->requests(qr{^/retry-after});
cmp_ok($calls[1]{time} - $calls[0]{time}, '>=', 1.9, 'not before the two seconds are over');
$server->unsubscribe_all;

# retry() tries what waits now and closes the breaker. What people change is
# told as well.
$listener = $server->background;
$listener->query_safe('LISTEN webhook');
$id = $server->subscribe('/flip/told', "retry_schedule => '{1 day}'");
$receiver->fail_while(1);
change(151, 165);
$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '15', 'fifteen wait');
is(state_of($id), 'open', 'with an open breaker');
like($server->messages("SELECT webhook.resend(event_id, $id) FROM webhook.pending_delivery WHERE subscription_id = $id LIMIT 1"),
	qr/NOTICE:  event \S+ already waits for subscription $id, and is sent once more\nHINT: .*retry\($id\)/, 'resend() of what waits says so');
$receiver->fail_while(0);
$server->settle('nothing is due');
is($server->sql("SELECT webhook.retry($id)"), '16', 'retry() returns how many wait');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '16', 'all are sent at once');
foreach my $call ("rotate_secret($id)", "pause($id)", "pause($id)", "resume($id)", "resume($id)", "alter_subscription($id, description => 'x')",
	"alter_subscription($id)", "alter_subscription($id, enabled => false)", "alter_subscription($id, enabled => true)", "unsubscribe($id)")
{
	$server->sql("SELECT webhook.$call");
	$server->settle($call);
}
my $told = '';
wait_until { $told .= $listener->query('SELECT 1'); $told =~ /unsubscribed/ };
is(join(' ', $told =~ /payload "\{"subscription":$id,"state":"(\w+)","until":(?:null|"[^"]*")\}"/g),
	'active open active changed paused active changed disabled active unsubscribed', 'each state change is told once');
$listener->quit;
$log = $server->log_since;
like($log, qr/LOG:  state of webhook subscription $id is now "$_"/, "the server log says $_") foreach qw(paused active disabled);
like($log, qr/LOG:  webhook subscription $id was \Q$_\E/, "the server log says $_") foreach 'altered', 'ended by webhook.unsubscribe()';

# What nobody has called a function for is told, too, and view stat_subscription says the same. A
# restart tells nothing that did not change.
$listener = $server->background;
$listener->query_safe('LISTEN webhook');
$id = $server->subscribe('/ok/states');
$server->becomes("SELECT state FROM webhook_internal.subscription_state WHERE subscription_id = $id", 'active', 'its state is saved');
$server->set('webhook.enabled', 'off');
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'off', 'sending is off');
$server->restart_worker;
$server->set('webhook.enabled', 'on');
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'active', 'sending is on');
$server->sql("UPDATE webhook_internal.subscription_secret SET expires_at = now() WHERE subscription_id = $id");
$server->alter($id, "description => 'x'");
$server->becomes("SELECT concat_ws(': ', state, reason) FROM webhook.stat_subscription WHERE subscription_id = $id",
	'waiting: it has no secret to sign with; webhook.rotate_secret() gives it one', 'it has no secret');
$server->restart_worker;
$server->sql("SELECT webhook.rotate_secret($id)");
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'active', 'it has one');
$server->settle('all is told');
$server->sql("SELECT webhook.unsubscribe($id)");
$told = '';
wait_until { $told .= $listener->query('SELECT 1'); $told =~ /unsubscribed/ };
is(join(' ', $told =~ /payload "\{"subscription":$id,"state":"((?!changed)\w+)","until":(?:null|"[^"]*")\}"/g),
	'active off active waiting active unsubscribed', 'each of these changes is told once');
$listener->quit;

# Enabling an enabled subscription closes its breaker.
$id = $server->subscribe('/flip/enabled');
$receiver->fail_while(1);
change(171, 185);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'open', 'it opens again');
$server->alter($id, 'enabled => true');
$receiver->fail_while(0);
$server->becomes("SELECT breaker FROM webhook.stat_subscription WHERE subscription_id = $id", 'closed', 'enabling closes it');
$server->unsubscribe_all;

# 410: the subscription is disabled and what waits is cancelled; that can be
# replayed.
$id = $server->subscribe('/status/410', "max_in_flight => 1");
change(201, 230);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'disabled', '410 disables');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome IN ('failed', 'cancelled')", '30',
	'every delivery has ended');
is($server->sql("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id"), '0', 'pending has nothing for it');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $id AND data IS NOT NULL"), '30',
	'all are dead letters, with data');
my $other = $server->subscribe('/ok/other');
my $calls = $receiver->count('/status/410');
foreach my $round (1 .. 6)
{
	$server->alter($other, "description => 'round $round'");
	$server->change(201, "round-$round");
	$server->settle("round $round");
}
is($receiver->count('/status/410'), $calls, 'a change of another subscription does not enable it');
is($receiver->count('/ok/other'), 6, 'which gets its events');
$server->unsubscribe($other);
change(231, 231);
$server->settle('disabled');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id"), '30', 'a disabled subscription gets nothing');
$server->restart;
is(state_of($id), 'disabled', 'it is still disabled after a restart');
change(232, 232);
$server->settle('disabled, restarted');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id"), '30', 'and gets nothing');
$server->sql("SELECT webhook.alter_subscription($id, endpoint => '@{[ $receiver->url('/ok/410') ]}', enabled => true)");
change(233, 233);
$server->settle('enabled');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'"), '1',
	'after enabling it gets events from then on');
is(state_of($id), 'active', 'its state is active');
is($server->sql("SELECT webhook.recover($id, now() - interval '1 hour', dry_run => true)"), '30', 'recover() with dry_run counts what failed');
is($server->sql("SELECT webhook.recover($id, now() - interval '1 hour')"), '30', 'recover() returns how many');
$server->settle('recovered');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered' AND cause = 'recover'"), '30',
	'all of them are delivered');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $id"), '0', 'no dead letter is left');
is($server->sql("SELECT webhook.recover($id, (SELECT created_at FROM webhook.event WHERE subject = 'business_request/231'), what => 'missing')"), '2',
	'recover() finds what was published while it was disabled');
$server->settle('missing');
is($server->sql("SELECT string_agg(subject, ' ' ORDER BY id) FROM webhook.log WHERE subscription_id = $id AND cause = 'recover' AND subject IN ('business_request/231', 'business_request/232')"),
	'business_request/231 business_request/232', 'it is sent');
my $event = $server->sql("SELECT event_id FROM webhook.log WHERE subscription_id = $id AND subject = 'business_request/231'");
$server->sql("SELECT webhook.resend('$event', $id)");
$server->settle('resent');
is($server->sql("SELECT string_agg(cause || ' ' || attempt, ', ' ORDER BY logged_at) FROM webhook.log WHERE event_id = '$event' AND subscription_id = $id"),
	'recover 1, resend 2', 'a resend is the next attempt');
my $ping = $server->sql("SELECT webhook.ping($id)");
$server->settle('ping');
is($server->sql("SELECT event_type, cause, outcome FROM webhook.log WHERE event_id = '$ping'"),
	'webhook.ping|ping|delivered', 'a ping is delivered and logged');
$server->unsubscribe_all;

# A subscription that gets other event types: recover() finds what was read before
# that, not what is in flight.
$server->sql("SELECT webhook.define_event_type('App.Other')");
$id = $server->sql("SELECT webhook.subscribe('@{[ $receiver->url('/slow/3000/widened') ]}', '{App.Other}')");
change(241, 250);
$server->settle('read past');
my $began = $server->sql("SELECT min(created_at) FROM webhook.event WHERE subject IN ('business_request/241', 'business_request/250')");
$server->becomes("SELECT count(*) FROM webhook.event e JOIN webhook_internal.ring r USING (id) WHERE e.created_at >= '$began' AND webhook_internal.is_processed(r.txid, r.id)",
	'10', 'the checkpoint has passed them');
$server->sql("SELECT webhook.alter_subscription($id, events => '{App.BusinessRequestStatusChange}')");
change(251, 251);
$server->becomes('SELECT in_flight FROM webhook.stat_worker', '1', 'another one is in flight');
is($server->sql("SELECT webhook.recover($id, '$began', 'infinity', 'missing', dry_run => $_)"), '10', "missing: dry_run $_")
  foreach qw(true false);
is($server->sql("SELECT webhook.recover($id, '$began', 'infinity', 'missing')"), '0', 'missing: found once');
$server->sql($server->moving($id, '/ok/widened'));
$server->settle('widened');
is($server->sql("SELECT string_agg(cause || ' ' || n, ', ' ORDER BY cause) FROM (SELECT cause, count(DISTINCT event_id) || ' of ' || count(*) AS n FROM webhook.log WHERE subscription_id = $id GROUP BY cause) x"),
	'event 1 of 1, recover 10 of 10', 'each is delivered once');
$server->unsubscribe_all;

# A ping goes through an open breaker, is never retried, and does not count as a
# failure of the endpoint.
$id = $server->subscribe('/status/500', "retry_schedule => '{1 day}'");
change(301, 312);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'open', 'the breaker opens again');
my $failures = $server->sql("SELECT failures_since_success FROM webhook_internal.subscription_state WHERE subscription_id = $id");
$ping = $server->sql("SELECT webhook.ping($id)");
$server->becomes("SELECT outcome FROM webhook.log WHERE event_id = '$ping'", 'failed', 'a ping fails at its first attempt');
is($server->sql("SELECT failures_since_success FROM webhook_internal.subscription_state WHERE subscription_id = $id"), $failures,
	'it does not count as a failure');

# skip() and cancel() end what waits.
my ($subject, $waiting) = split /\|/,
  $server->sql("SELECT subject, event_id FROM webhook.pending_delivery WHERE subscription_id = $id AND attempt > 0 ORDER BY id LIMIT 1");
$server->sql("UPDATE business_request SET status = 'Signed' WHERE id = @{[ $subject =~ /(\d+)$/ ]}");
$server->settle('behind');
is($server->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $id AND subject = '$subject' AND waits_for = '$waiting'"),
	'1', 'a later delivery waits for the failing one');
$server->sql("SELECT webhook.skip($id, '$subject')");
$server->becomes("SELECT outcome, error_class FROM webhook.log WHERE event_id = '$waiting' AND subscription_id = $id AND outcome <> 'retrying'",
	'cancelled|skipped', 'skip() ends the failing one');
$server->becomes("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $id AND subject = '$subject' AND next_at IS NOT NULL", '1',
	'the later one becomes head');
$waiting = $server->sql("SELECT event_id FROM webhook_internal.pending WHERE subscription_id = $id AND subject = '$subject'");
$server->sql("SELECT webhook.cancel('$waiting', $id)");
$server->becomes("SELECT outcome FROM webhook.log WHERE event_id = '$waiting' AND subscription_id = $id", 'cancelled', 'cancel() ends that, too');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE event_id = '$waiting'"), '1', 'it is a dead letter');
$server->sql("SELECT webhook.cancel('$waiting', $id)");
$server->settle('dismissed');
is($server->sql("SELECT cause, outcome, error_class, data IS NOT NULL FROM webhook.log WHERE event_id = '$waiting' AND subscription_id = $id ORDER BY logged_at DESC, position DESC LIMIT 1"),
	'dismiss|cancelled|dismissed|f', 'cancel() of a dead letter dismisses it');
is($server->sql("SELECT count(*) FROM webhook.dead_letter WHERE event_id = '$waiting'"), '0', 'so it is none any more');
like($server->messages("SELECT webhook.cancel('$waiting', $id)"), qr/NOTICE:  there is nothing to cancel of event $waiting for subscription $id/,
	'cancel() says if there is nothing to cancel');
like($server->messages("SELECT webhook.skip($id, 'nobody/1')"), qr/NOTICE:  no delivery of subject "nobody\/1" waits for subscription $id/,
	'skip() says if there is nothing to skip');
is($server->messages("SELECT webhook.skip($id, (SELECT subject FROM webhook.pending_delivery WHERE subscription_id = $id LIMIT 1))"), '', 'and nothing if there is');
is($server->messages("SELECT webhook.recover($id, now() - interval '1 year', dry_run => true)"), '', 'recover() does not warn in a young database');
$server->sql("UPDATE webhook_internal.event_type SET created_at = now() - interval '1 year' WHERE name = '$type'");
like($server->messages("SELECT webhook.recover($id, now() - interval '1 year', dry_run => true)"),
	qr/WARNING:  events since \S+ \S+ may be kept no longer\nDETAIL:  Setting webhook.log_retention is 30d/, 'recover() warns of what is kept no longer');
is($server->messages("SELECT webhook.recover($id, $_, dry_run => true)"), '', "but not with $_")
  foreach "'-infinity'", "now() - interval '29 days'";
$server->unsubscribe_all;
$server->becomes('SELECT count(*) FROM webhook_internal.pending', '0', 'nothing waits after unsubscribe()');

# Rate limit: five a second.
$id = $server->subscribe('/ok/limited', 'rate_limit => 5');
change(401, 440);
$server->becomes("SELECT reason FROM webhook.stat_subscription WHERE subscription_id = $id",
	'held back by its rate limit of 5 requests a second', 'stat_subscription says that the rate limit holds it back');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '40', 'all are delivered');
@calls = $receiver->requests('/ok/limited');
cmp_ok($calls[-1]{time} - $calls[0]{time}, '>=', 6.9, 'forty requests take seven seconds');
like($server->log_since, qr/webhook subscription $id is held back by its rate limit of 5 calls per second/,
	'the server log says so');
$server->unsubscribe_all;

# Without order, a failing delivery does not hold up later ones of its contract.
$id = $server->subscribe('/fail-subject/NewStatus...Draft', 'ordered => false');
$receiver->fail_while(1);
$server->sql("INSERT INTO business_request VALUES (501, 'Draft')");
$server->sql("UPDATE business_request SET status = 'Approved' WHERE id = 501");
$server->becomes("SELECT string_agg(outcome, ',') FROM webhook.log WHERE subscription_id = $id AND subject = 'business_request/501' AND outcome = 'delivered'",
	'delivered', 'the later one is delivered');
$receiver->fail_while(0);
$server->unsubscribe_all;

# After five days without success the subscription is disabled.
$id = $server->subscribe('/status/500', "retry_schedule => '{1 s, 1 s, 1 day}'");
change(601, 601);
$server->becomes("SELECT failures_since_success > 0 FROM webhook_internal.subscription_state WHERE subscription_id = $id", 't', 'it fails');
$server->stop;
$server->start;
$server->sql("UPDATE webhook_internal.subscription_state SET failures_since_success = 20, failing_since = now() - interval '6 days' WHERE subscription_id = $id");
$server->stop('immediate');
$server->start;
change(602, 602);
$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", 'disabled', 'it is disabled');
$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '0', 'what waited is cancelled');

diag($server->sql("SELECT id, kind, event_id, subject FROM webhook_internal.event_0 WHERE kind NOT IN ('e', 'r') ORDER BY id"))
  unless Test::More->builder->is_passing;
$server->stop;
done_testing();
