# 082_own_events.pl
#	  What the extension tells of subscriptions, as events of its own: who gets
#	  them, and do they stay few, whatever fails and whoever watches whom?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use JSON::PP;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('own_events', <<'END');
webhook.retry_schedule = ''
END
my $receiver = $server->receiver;
$server->prepare;
my @types = map { "webhook.$_" } qw(subscription.opened subscription.closed subscription.disabled subscription.enabled delivery.failed);
is($server->sql("SELECT string_agg(name, ' ' ORDER BY name) FROM webhook.event_type WHERE name LIKE 'webhook.%'"), join(' ', sort @types), 'the catalogue has their types');
is($server->sql("SELECT count(*) FROM webhook.event_type WHERE name LIKE 'webhook.%' AND (schema IS NULL OR example IS NULL OR description IS NULL)"), 0, '... with description, schema and example');
my $all = '{' . join(',', @types) . '}';

# ---- Who gets them

my $watching = $server->subscribe('/ok/watching', "events => '$all'");
my $everything = $server->subscribe('/ok/everything', q(events => '{*}'));
my ($own, $failing) = $server->subscribe_own('/flip/failing');
$receiver->fail_while(1);

# Type, subject, state and number of the events that a path has got since the last call.
my %seen;

sub told
{
	my ($path) = @_;
	my @requests = grep { $_->{headers}{'webhook-event'} =~ /^webhook\./ } $receiver->requests($path);
	my @new = @requests[ ($seen{$path} // 0) .. $#requests ];

	$seen{$path} = @requests;
	return join ', ', map {
		my $body = decode_json($_->{body});
		my ($type) = $body->{WebhookEvent} =~ /^webhook\.(.*)/;
		"$type $body->{Subject} $body->{Data}{State} $body->{Data}{Count}" . ($body->{Data}{Subscription} == $failing ? '' : ' of another')
	} @new;
}

sub wait_for_told
{
	my ($count) = @_;
	$receiver->wait_for(($seen{'/ok/watching'} // 0) + $count, '/ok/watching');
	return told('/ok/watching');
}

is(told('/ok/watching'), '', 'nothing is told at first');
$server->publish($own, q('{}'), "failing/$_") foreach 1 .. 3;
like(wait_for_told(1), qr{^delivery\.failed subscription/$failing active [123]$}, 'deliveries that fail are told at once');
$server->publish($own, q('{}'), "failing/$_") foreach 4 .. 10;
is(wait_for_told(1), "subscription.opened subscription/$failing open 1", 'the breaker opens; failures are told once a minute');
like((grep { $_->{body} =~ /subscription\.opened/ } $receiver->requests('/ok/watching'))[0]{body}, qr/"Reason":"[^"]*503/, '... with the reason');
$receiver->fail_while(0);
$server->sql("SELECT webhook.retry($failing)");
$server->sql("SELECT webhook.ping($failing)");
is(wait_for_told(1), "subscription.closed subscription/$failing active 1", 'and closes');
$server->alter($failing, 'enabled => false');
is(wait_for_told(1), "subscription.disabled subscription/$failing disabled 1", 'people disable it');
$server->alter($failing, 'enabled => true');
is(wait_for_told(1), "subscription.enabled subscription/$failing active 1", '... and enable it');
$server->sql("SELECT webhook.pause($failing); SELECT webhook.resume($failing)");
$server->settle('a pause');
is(told('/ok/watching'), '', 'a pause is no event');
is(told('/ok/everything'), '', q(who takes '*' takes none of them));
is($server->sql("SELECT count(*) FROM webhook.event WHERE event_type LIKE 'webhook.%'"), 5, 'the ring has each of them');

# ---- No loops

my $other = $server->subscribe('/status/500/other', "events => '{webhook.subscription.opened,webhook.delivery.failed}'");
my $third = $server->subscribe('/status/500/third', "events => '{webhook.subscription.opened,webhook.delivery.failed}'");
$receiver->fail_while(1);
$server->publish($own, q('{}'), "again/$_") foreach 1 .. 10;
$server->poll("SELECT state = 'open' FROM webhook.stat_subscription WHERE subscription_id = $failing");
$server->poll("SELECT failed >= 1 FROM webhook.stat_subscription WHERE subscription_id = $_") foreach $other, $third;
$server->settle('two that watch each other fail');
is($server->sql("SELECT count(*) FROM webhook.event WHERE event_type LIKE 'webhook.%' AND subject <> 'subscription/$failing'"), 0, 'none is about a subscription that takes one');
$server->unsubscribe($_) foreach $other, $third;

# ---- No floods

told('/ok/watching');
my $number = 300;
$server->sql(<<"END");
SELECT webhook.define_event_type('App.Flood');
SELECT webhook.subscribe('@{[ $receiver->url('/status/400/flood') ]}/' || g, '{App.Flood}') FROM generate_series(1, $number) g;
SELECT webhook.publish('App.Flood', '{}') FROM generate_series(1, 5);
END
$server->poll("SELECT sum(failed) >= 5 * $number FROM webhook.stat_subscription WHERE endpoint LIKE '%flood%'");
$server->settle('all have failed');
$receiver->wait_for($seen{'/ok/watching'} + $number, '/ok/watching');
$server->settle('all are told of');
my $told = () = told('/ok/watching') =~ /delivery\.failed/g;
is($told, $number, 'each subscription is told of once a minute, however much fails');
is($server->sql('SELECT flush_errors FROM webhook.stat_worker'), 0, 'the log was written all along');

# ---- Nobody asks

$server->unsubscribe($watching);
$server->settle('nobody takes them');
my $rows = $server->sql("SELECT count(*) FROM webhook.event WHERE event_type LIKE 'webhook.%'");
$server->sql("SELECT webhook.alter_subscription(subscription_id, enabled => false) FROM webhook.stat_subscription WHERE endpoint LIKE '%flood%'");
$server->settle('disabled');
is($server->sql("SELECT count(*) FROM webhook.event WHERE event_type LIKE 'webhook.%'"), $rows, 'an event that nobody takes is not written');

# ---- Only the extension says them

foreach my $call (q(webhook.publish('webhook.delivery.failed', '{}')), q(webhook.watch('business_request', 'webhook.delivery.failed')),
	q(webhook.define_event_type('webhook.own')), q(webhook.drop_event_type('webhook.delivery.failed')),
	q(webhook.alter_event_type('webhook.delivery.failed', description => 'x')))
{
	like($server->messages("SELECT $call"), qr/reserved|own/, "refused: $call");
}

$server->is_sound;
done_testing();
