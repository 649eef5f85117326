# 065_commands.pl
#	  Which deliveries does a command mean?  Those that had committed when it was
#	  called, whoever drew an id first, and whatever crashes.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('commands', <<'END');
restart_after_crash = on
END
my $receiver = $server->receiver;

$server->prepare;

# ---- A transaction that draws its id before that of a command, and commits after it

# Run a statement in a transaction that stays open while the worker stands still
# and commands are given.
sub overtake
{
	my ($statement, @commands) = @_;
	my $writer = $server->hold($statement);
	my $worker = $server->stat_worker('pid');

	kill STOP => $worker;
	$server->sql($_) foreach @commands;
	$server->let_go($writer);
	kill CONT => $worker;
	return;
}

sub outcomes
{
	my ($id) = @_;
	return $server->sql(<<"END");
SELECT string_agg(concat(data_of, ' ', cause, ' ', outcome), ', ' ORDER BY position)
FROM (SELECT *, coalesce(data, request_body::json -> 'Data') AS data_of FROM webhook.log
	WHERE subscription_id = $id AND outcome <> 'retrying') l
END
}

{
	my ($own, $id) = $server->subscribe_own('/ok/enabled-again');

	overtake("SELECT webhook.publish('$own', '1')",
		"SELECT webhook.publish('$own', '2')",
		"SELECT webhook.alter_subscription($id, enabled => false)",
		"SELECT webhook.alter_subscription($id, enabled => true)");
	$server->settle('enabled again');
	is(outcomes($id), '1 event delivered', 'what commits after enabling arrives, though its id is lower than that of the command');
}

{
	my ($own, $id) = $server->subscribe_own('/ok/skip');

	overtake("SELECT webhook.publish('$own', '1', 's')",
		"SELECT webhook.publish('$own', '2', 's')",
		"SELECT webhook.skip($id, 's')");
	$server->settle('skip');
	is(outcomes($id), '1 event delivered, 2 event cancelled', 'skip() ends the first event that had committed');
	overtake("SELECT webhook.publish('$own', '3', 's')", "SELECT webhook.skip($id, 's')");
	$server->settle('skip nothing');
	is(outcomes($id), '1 event delivered, 2 event cancelled, 3 event delivered', 'skip() ends none that commits later');
	$server->sql("BEGIN; SELECT webhook.publish('$own', '4', 's'); SELECT webhook.skip($id, 's'); COMMIT");
	$server->settle('skip its own');
	like(outcomes($id), qr/, 4 event cancelled$/, 'skip() ends one of its own transaction');
}

{
	my ($own, $id) = $server->subscribe_own('/flip/cancel', "retry_schedule => '{1h}'");

	$receiver->fail_while(1);
	my $event = $server->publish($own, "'1'", 's');
	$server->poll("SELECT count(*) = 1 FROM webhook_internal.pending WHERE subscription_id = $id");
	$receiver->fail_while(0);
	overtake("SET LOCAL client_min_messages = warning; SELECT webhook.resend('$event', $id)",
		"SELECT webhook.cancel('$event', $id)");
	$server->settle('cancel');
	is(outcomes($id), '1 event cancelled, 1 resend delivered', 'cancel() does not end a resend that commits later');
}

# ---- A crash before the end of a subscription is complete for good: what that gets
# once it is enabled again stays

{
	my ($own, $id) = $server->subscribe_own('/flip/after-crash', "retry_schedule => '{1h}'");
	my ($other) = $server->subscribe_own('/hang/after-crash');

	# The low-water mark stays before the command as long as this hangs.
	$receiver->fail_while(1);
	$server->publish($other, "'1'");
	wait_until { $receiver->count('/hang/after-crash') };
	overtake("SELECT webhook.publish('$own', '1')",
		"SELECT webhook.alter_subscription($id, enabled => false)",
		"SELECT webhook.alter_subscription($id, enabled => true)");
	$server->poll("SELECT count(*) = 1 FROM webhook_internal.pending WHERE subscription_id = $id");
	$server->sql("UPDATE webhook_internal.pending SET queued_at = queued_at - interval '1 min' WHERE subscription_id = $id");
	$server->end_worker('KILL');
	$receiver->fail_while(0);
	$server->sql("SELECT webhook.retry($id)");
	$server->becomes("SELECT count(*) = 1 FROM webhook.log WHERE subscription_id = $id AND outcome IN ('delivered', 'cancelled')", 't', 'it ends');
	is(outcomes($id), '1 event delivered', 'what waits for a retry is not ended by a command that is repeated after a crash');
}

# ---- retry() makes all heads due, whatever fails on the way

{
	my ($own, $id) = $server->subscribe_own('/flip/retry', "retry_schedule => '{1 day}'");

	$receiver->fail_while(1);
	$server->publish_many($own, 700);
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '700', 'seven hundred wait');
	my $offset = $server->log_end;
	my $session = $server->hold(<<"END");
SELECT FROM webhook_internal.pending WHERE subscription_id = $id ORDER BY subject COLLATE "C", position OFFSET 300 LIMIT 1 FOR UPDATE
END
	$server->set('log_min_messages', 'debug1');
	$receiver->fail_while(0);
	$server->sql("SELECT webhook.retry($id)");
	ok(wait_until { $server->log_since($offset) =~ /lock timeout/ }, 'a piece of the command fails');
	$server->let_go($session);
	$server->reset('log_min_messages');
	$server->becomes("SELECT count(DISTINCT event_id) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '700',
		'all are sent, those before the failure, too');
}

$server->stop;
done_testing();
