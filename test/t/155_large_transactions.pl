# 155_large_transactions.pl
#	  Do large transactions that end together, savepoints and small ones among
#	  them, arrive whole and in order, also over a crash, and does nobody wait for
#	  them?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('large', "webhook.log_bodies = none\n");
my $receiver = $server->receiver;

$server->prepare;
$server->sql("SELECT webhook.define_event_type('Other'), webhook.define_event_type('Third')");
my $id = $server->subscribe('/ok/all');
my $worker = $server->stat_worker('pid');

# So many events in one statement, of subjects that others use, too.
sub publish
{
	my ($session, $name, $count) = @_;
	$session->run("SELECT count(webhook.publish('$type', '{\"by\":\"$name\"}', 'contract/' || n % 40)) FROM generate_series(1, $count) AS n");
	return;
}

# Events of the ring that the subscription has not got, and those that came
# before an earlier one of their subject.
sub lost
{
	return $server->sql(<<"END");
SELECT count(*) FROM webhook.event e
WHERE event_type = '$type'
AND NOT EXISTS (SELECT FROM webhook.log l
	WHERE l.event_id = e.event_id AND l.subscription_id = $id AND l.outcome = 'delivered')
END
}

sub out_of_order
{
	return $server->sql(<<"END");
SELECT count(*)
FROM (SELECT position < max(position) OVER (PARTITION BY subject ORDER BY first
			ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS wrong
	FROM (SELECT subject, position, min(requested_at) AS first FROM webhook.log
		WHERE subscription_id = $id GROUP BY 1, 2) f) o
WHERE wrong
END
}

# ---- Two of them, interleaved, with a savepoint that is rolled back, and small
# ones before, between and after, all of one window.

my ($one, $two) = ($server->session, $server->session);
kill STOP => $worker;
publish($one, 'before', 3);
$one->run('BEGIN');
$two->run('BEGIN');
foreach my $round (1 .. 3)
{
	publish($one, 'one', 500);
	publish($two, 'two', 450);
	$one->run('SAVEPOINT s');
	publish($one, 'nobody', 300);
	$one->run('ROLLBACK TO s');
	$server->sql("SELECT webhook.publish('$type', '{\"by\":\"small\"}', 'contract/7')");
}
$two->run('COMMIT');
$one->run('COMMIT');
publish($two, 'after', 700);
kill CONT => $worker;
$server->settle('large transactions together');
is($server->sql("SELECT string_agg(by || ' ' || n, ', ' ORDER BY by) FROM (SELECT e.data ->> 'by' AS by, count(*) AS n FROM webhook.event e GROUP BY 1) c"),
	'after 700, before 3, one 1500, small 3, two 1350', 'what was rolled back is not there');
is(lost(), 0, 'each event was delivered');
is(out_of_order(), 0, 'those of one subject in their order');
is($server->sql("SELECT count(*) - count(DISTINCT event_id) FROM webhook.log WHERE outcome = 'delivered'"), 0, 'none twice');

# ---- One that is rolled back, or only prepared: nobody walks over its rows

my $walked = 'SELECT sum(idx_tup_read) FROM pg_stat_all_indexes'
  . q{ WHERE schemaname = 'webhook_internal' AND indexrelname LIKE 'event\__\_txid_id_idx'};

$server->end_worker('TERM');
$server->settle('what was walked over is counted');
my $before = $server->sql($walked);
foreach my $end ('ROLLBACK', 'ROLLBACK', "PREPARE TRANSACTION 'large'")
{
	$two->run('BEGIN');
	publish($two, 'nobody', 3000);
	$two->run($end);
	$two->run('BEGIN');
	publish($two, 'nobody', 900);
	$two->run('ROLLBACK');
	$server->sql("SELECT webhook.publish('$type', '{\"by\":\"small\"}', 'contract/alone')");
	$server->settle($end);
}
$server->end_worker('TERM');
$server->settle('what was walked over is counted again');
cmp_ok($server->sql($walked) - $before, '<', 900, 'what is rolled back or prepared is passed over');
$server->sql("COMMIT PREPARED 'large'");
$server->settle('a prepared transaction');
is(lost(), 0, 'a prepared one is delivered when it commits');
is($server->sql("SELECT count(*) FROM webhook.event WHERE data ->> 'by' = 'nobody'"), 3000, '... and nothing else');

# Nor does a worker that starts, and looks for the last row of each ring table.
$server->end_worker('TERM');
$server->settle('what was walked over is counted so far');
$before = $server->sql($walked);
$two->run('BEGIN');
publish($two, 'nobody', 3000);
$server->end_worker('TERM');
$server->settle('a start beside a large transaction');
$server->end_worker('TERM');
$server->settle('what it has walked over is counted');
cmp_ok($server->sql($walked) - $before, '<', 900, 'what is running is passed over');
$two->run('ROLLBACK');

# ---- Nobody waits for one whose endpoint is slow

my $other = $server->subscribe('/ok/other', "events => '{Other}'");
$server->sql($server->moving($id, '/slow/20/all'));
$server->settle('the endpoint was changed');
publish($one, 'slow', 6000);
$server->sql("SELECT webhook.publish('Other', '{}')");
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $other AND outcome = 'delivered'", 1,
	'an event of another type arrives');
cmp_ok($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND attempt = 1 AND logged_at > now() - interval '1 min' AND outcome = 'delivered'"),
	'<', 12000, 'while many of the large transaction have not');

# ---- Nor does a tenant wait for another one's, though they are of the same event type

my %tenant;
$server->sql(q{SELECT webhook.define_event_type('Shared')});
foreach my $tenant (qw(large small))
{
	$server->sql("SELECT webhook.define_tenant('$tenant')");
	$tenant{$tenant} = $server->subscribe('/slow/20/' . $tenant, "events => '{Shared}'", "tenant => '$tenant'");
	$server->sql("SELECT webhook.confirm($tenant{$tenant})");
}
$server->sql(q{SELECT count(webhook.publish('Shared', '{}', 'contract/' || n % 40, 'large')) FROM generate_series(1, 3000) AS n});
$server->sql(q{SELECT webhook.publish('Shared', '{}', 'contract/1', 'small')});
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $tenant{small} AND cause = 'event' AND outcome = 'delivered'", 1,
	'an event of another tenant arrives');
cmp_ok($server->sql(<<"END"), '<', 500, 'at once');
SELECT count(*) FROM webhook.log l
WHERE subscription_id = $tenant{large} AND cause = 'event' AND requested_at < (
	SELECT min(requested_at) FROM webhook.log
	WHERE subscription_id = $tenant{small} AND cause = 'event')
END
$server->sql($server->moving($tenant{large}, '/ok/large') . "; SELECT webhook.confirm($tenant{large})");

# ---- A crash in the middle

publish($two, 'before the crash', 2000);
$server->crash;
$_ = $server->session foreach $one, $two;
publish($one, 'after the crash', 1200);
publish($two, 'at the end', 20);
$server->sql($server->moving($id, '/ok/all'));
$server->settle('a crash in the middle');
is(lost(), 0, 'after a crash: each event was delivered');
is(out_of_order(), 0, 'after a crash: those of one subject in their order');

# ---- Events that are sent again, and then new ones of the same subjects

is($server->sql(<<"END"), 3000, 'so many are sent again');
SELECT count(webhook.resend(event_id, $id))
FROM (SELECT event_id FROM webhook.event WHERE event_type = '$type' ORDER BY id LIMIT 3000) e
END
publish($one, 'after those', 40);
$server->settle('sent again');
is(lost(), 0, 'sent again: each event was delivered');
is(out_of_order(), 0, 'sent again: before what is newer');
cmp_ok($server->sql("SELECT count(DISTINCT source_port) FROM webhook.log WHERE cause = 'resend'"), '<', 100,
	'sent again: on connections that are kept');

# ---- The same, when the subscription takes that type no more before they are read

$server->sql("SELECT webhook.alter_subscription($id, events => '{Other}')");
$server->settle('other types');
$server->sql(<<"END");
SELECT webhook.alter_subscription($id, events => '{$type}');
SELECT count(webhook.resend(event_id, $id))
FROM (SELECT event_id FROM webhook.event WHERE event_type = '$type' ORDER BY id LIMIT 3000) e;
SELECT webhook.alter_subscription($id, events => '{Other}')
END
$one->run("SELECT count(webhook.publish('Other', '{}', 'contract/' || n % 40)) FROM generate_series(1, 40) AS n");
$server->settle('sent again, other types');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND event_type = 'Other' AND outcome = 'delivered'"),
	40, 'sent again, other types: each event was delivered');
is(out_of_order(), 0, 'sent again, other types: before what is newer');

# ---- More types than are told

$server->sql('SELECT ' . join(', ', map { "webhook.define_event_type('Type.$_')" } 1 .. 6));
my $types = $server->subscribe('/ok/types', "events => '{Type.*}'");
$server->sql("SELECT count(webhook.publish('Type.' || 1 + n % 6, '{}', 'type/' || n % 10)) FROM generate_series(1, 3000) AS n");
$server->settle('many types');
is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $types AND outcome = 'delivered'"), 3000, 'events of many types in one transaction');

# ---- Nobody waits for a savepoint that was rolled back: it is not walked over in one go

# Publish an event of another type as soon as the window of a large transaction is open: its
# unread rows count for a few.  Returns whether it has some when the event is delivered.
sub unread_after_another
{
	my ($by) = @_;
	$two->run(<<"END");
DO \$\$
DECLARE
	event	uuid;
BEGIN
	FOR i IN 1 .. 10000 LOOP
		EXIT WHEN (SELECT unread < 5000 FROM webhook.stat_worker);
		PERFORM pg_sleep(0.001);
	END LOOP;
	event := webhook.publish('Other', '{}');
	COMMIT;
	FOR i IN 1 .. 10000 LOOP
		EXIT WHEN EXISTS (SELECT FROM webhook.log
			WHERE event_id = event AND subscription_id = $other);
		PERFORM pg_sleep(0.001);
	END LOOP;
	INSERT INTO meanwhile SELECT '$by', unread > 0 FROM webhook.stat_worker;
END \$\$
END
	return $server->sql("SELECT unread FROM meanwhile WHERE by = '$by'");
}

$server->sql("SELECT webhook.alter_subscription($id, events => '{$type}')");
$server->settle('the former types again');
$server->sql('CREATE TABLE meanwhile (by text, unread boolean)');
$one->run('BEGIN');
publish($one, 'savepoint', 1000);
$one->run('SAVEPOINT s');
publish($one, 'nobody', 400000);
$one->run('ROLLBACK TO s');
publish($one, 'behind the savepoint', 1);
$one->run('COMMIT');
is(unread_after_another('savepoint'), 't', 'an event that commits meanwhile is delivered meanwhile');
$server->settle('a savepoint that was rolled back');
is(lost(), 0, 'a savepoint that was rolled back: each event was delivered');
is(out_of_order(), 0, 'a savepoint that was rolled back: those of one subject in their order');

# ---- Nor does anybody wait for commands, however many a transaction has

$one->run(qq{SELECT count(webhook_internal.command('c'::"char", $id, NULL, NULL)) FROM generate_series(1, 400000)});
is(unread_after_another('commands'), 't', 'an event is delivered while a transaction that has commands alone is read');
$server->settle('commands alone');

my $paused = $server->subscribe('/ok/paused', "events => '{Third}'");
$server->sql("SELECT webhook.pause($paused)");
$server->sql(q{SELECT count(webhook.publish('Third', '{}', 'contract/' || n % 40)) FROM generate_series(1, 3000) AS n});
$server->settle('what waits');
is($server->sql(qq{SELECT count(webhook_internal.command('k'::"char", $paused, subject, event_id)) FROM webhook_internal.pending WHERE subscription_id = $paused}),
	3000, 'so many are cancelled');
my $event = $server->sql("SELECT webhook.publish('Other', '{}')");
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $other AND event_id = '$event'", 1,
	'an event arrives');
cmp_ok($server->pending($paused, 'count(*)'), '>', 0, '... before they have ended');
$server->end_worker('TERM');
$server->settle('many are cancelled, by two workers');
is($server->sql("SELECT outcome || ' ' || count(*) FROM webhook.log WHERE subscription_id = $paused AND outcome <> 'deferred' GROUP BY outcome"),
	'cancelled 3000', 'each is cancelled once');
is($server->pending($paused, 'count(*)'), 0, '... and waits no more');

done_testing();
