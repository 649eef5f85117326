# 068_confirm.pl
#	  Does an endpoint get anything before it has answered the challenge?  Is a
#	  confirmation kept over a restart and a crash, and is a question not repeated?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('confirm');
$server->prepare;
my $receiver = $server->receiver;
$server->sql("SELECT webhook.define_tenant('acme')");
my $acme = "tenant => 'acme'";

sub state_is
{
	my ($id, $state, $what) = @_;
	return $server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $id", $state, $what);
}

sub publish { return $server->sql("SELECT webhook.publish('$type', '{\"n\":$_[0]}', 's/$_[0]', 'acme')"); }
sub events_to { return join ' ', map { $_->{headers}{'webhook-event'} =~ s/.*\.//r } $receiver->requests($_[0]); }

# ---- One that answers

my $right = $server->subscribe('/challenge/1/right', $acme, "payload_format => 'raw'");
state_is($right, 'active', 'an endpoint that answers is confirmed');
publish(1);
$receiver->wait_for(2, '/challenge/1/right');
my ($question, $event) = $receiver->requests('/challenge/1/right');
my ($id, $challenge, $instant) = split /\|/, $server->sql(<<"END");
SELECT confirmation, challenge, to_char(challenged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM webhook_internal.subscription WHERE id = $right
END
is($question->{body},
	qq({"Id":"$id","WebhookEvent":"webhook.confirm","Subject":null,"Attempt":1,"Data":{},"CreationTimeUtc":"$instant"}),
	'the question is an envelope, whatever the format');
is($question->{headers}{'webhook-challenge'}, $challenge, 'with the challenge in a header');
is($question->{headers}{'webhook-event'}, 'webhook.confirm', 'its event type');
is($event->{headers}{'webhook-challenge'}, undef, 'an event has no such header');
is($server->sql(<<"END"), 't', 'the question is signed');
SELECT webhook.verify(webhook.secret($right), '{"webhook-id": "$id", "webhook-timestamp": "$question->{headers}{'webhook-timestamp'}", "webhook-signature": "$question->{headers}{'webhook-signature'}"}', '$question->{body}')
END
$server->becomes("SELECT cause || ' ' || event_type || ' ' || outcome || ' ' || tenant || ' ' || (request_headers ->> 'webhook-challenge' <> '$challenge') FROM webhook.log WHERE event_id = '$id'",
	'confirm webhook.confirm delivered acme true', 'it is in the log, without the challenge');
like($server->sql("SELECT webhook.explain('$id', $right)"), qr/asks an endpoint for its challenge.*\nIt was delivered/, 'explain() says what it is');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $right", 2, 'both are logged');
is($server->sql("SELECT webhook.recover($right, '-infinity', 'infinity', 'delivered', true)"), 1, 'recover() leaves the question out');

# ---- One that does not, over a restart, a crash, and a worker that is killed

my $wrong = $server->subscribe('/challenge/9/wrong', $acme);
my @late = map { publish($_) } 2 .. 4;
state_is($wrong, 'unconfirmed', 'an endpoint that answers something else is not');
$server->becomes("SELECT confirm_attempts FROM webhook_internal.subscription_state WHERE subscription_id = $wrong", 1, 'the question is counted');
$server->becomes("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $wrong", 3, 'its events wait');
$server->settle('unconfirmed');
my $due = "SELECT confirm_next_at FROM webhook_internal.subscription_state WHERE subscription_id = $wrong";
my $at = $server->sql($due);
is($server->sql("SELECT next_attempt FROM webhook.stat_subscription WHERE subscription_id = $wrong"), $at, 'the view says when it is asked again');
like($server->sql("SELECT webhook.explain('$late[0]', $wrong)"), qr/Subscription $wrong is unconfirmed, so nothing is sent to it: its endpoint has not answered the challenge, after 1 of 3/, 'explain() says why an event waits');
foreach my $end (qw(restart crash))
{
	# What the log has is not on disk at once, and a crash would have it sent again.
	$server->sql('CHECKPOINT');
	$server->$end;
	$server->wait_for_worker if $end eq 'restart';
	publish($end eq 'crash' ? 5 : 6);
	$server->settle("after a $end");
	is($server->sql($due), $at, "after a $end it is due as before");
	is(events_to('/challenge/9/wrong'), 'confirm', '... and was not asked again');
}
is(events_to('/challenge/1/right'), join(' ', 'confirm', map { 'BusinessRequestStatusChange' } 1 .. 6), 'one that was confirmed still is');

# ---- People confirm it

is($server->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $wrong"), 5, 'all that has happened waits');
$server->sql("SELECT webhook.confirm($wrong)");
$receiver->wait_for(6, '/challenge/9/wrong');
is(events_to('/challenge/9/wrong'), join(' ', 'confirm', map { 'BusinessRequestStatusChange' } 1 .. 5), 'then it is sent');
state_is($wrong, 'active', '... and the subscription is active');

# ---- Another endpoint

$server->sql($server->moving($right, '/challenge/9/moved'));
publish(7);
state_is($right, 'unconfirmed', 'another endpoint has to answer, too');
$server->settle('moved');
is(events_to('/challenge/9/moved'), 'confirm', '... and gets nothing meanwhile');
my $former = $server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $right AND cause = 'confirm'");
$server->sql($server->moving($right, '/challenge/2/moved'));
$server->sql($server->moving($right, '/challenge/2/moved'));
$receiver->wait_for(3, '/challenge/2/moved');
is(events_to('/challenge/2/moved'), 'confirm confirm BusinessRequestStatusChange', 'who sets the same endpoint again has it asked again');

# ---- Its end, and the platform's endpoints

$server->sql($server->moving($right, '/challenge/9/gone'));
publish(8);
$server->settle('gone');
$server->unsubscribe($right);
$server->becomes("SELECT count(*) FROM webhook_internal.pending", 0, 'unsubscribing ends what waits');
is(events_to('/challenge/9/gone'), 'confirm', '... and it got nothing');

my $platform = $server->subscribe('/challenge/1/platform');
$server->set('webhook.confirm_endpoints', 'on');
my $asked = $server->subscribe('/challenge/1/asked');
publish(9);
$receiver->wait_for(2, '/challenge/1/asked');
$receiver->wait_for(1, '/challenge/1/platform');
is(events_to('/challenge/1/asked'), 'confirm BusinessRequestStatusChange', 'with webhook.confirm_endpoints all are asked');
is(events_to('/challenge/1/platform'), 'BusinessRequestStatusChange', 'but those that were there before');

done_testing();
