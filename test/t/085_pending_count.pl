# 085_pending_count.pl
#	  Is the number of waiting deliveries, which the worker keeps for each
#	  subscription, that of the rows, whatever happens to them?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;

my $server = Webhook::Test->new('pending_count', "webhook.retry_schedule = '1h, 1h'\nrestart_after_crash = on");
my $receiver = $server->receiver;
my $total = 'SELECT count(*), (SELECT sum(pending) FROM webhook.stat_subscription) FROM webhook_internal.pending';

$server->prepare;

# Both ways of counting, in one snapshot: an assertion.
sub right
{
	my ($what) = @_;
	return is($server->miscounted, '', "$what: each number is that of the rows") || $server->show_state;
}

# The same, once the worker has counted what somebody else has written.
sub becomes_right
{
	my ($what) = @_;
	my $wrong;
	wait_until { ($wrong = $server->miscounted) eq '' } 10;
	return is($wrong, '', "$what: each number becomes that of the rows");
}

# ---- Many subscriptions, and what people do with what waits

$server->sql(<<"END");
SELECT webhook.define_event_type('App.Many');
SELECT webhook.subscribe('@{[ $receiver->url('/status/500/many') ]}?' || n, '{App.Many}') FROM generate_series(1, 300) n;
END
my ($good_type, $good) = $server->subscribe_own('/ok/good');
$server->publish_many('App.Many', 3);
$server->publish_many($good_type, 100);
$server->poll('SELECT count(*) = 900 FROM webhook_internal.pending');
$server->settle('many subscriptions');
right('many subscriptions');
is($server->sql($total), '900|900', 'stat_subscription has all of them');
is($server->sql('SELECT count(*) FROM webhook_internal.pending_count WHERE pending = 3'), 300, 'from numbers that were kept');
is($server->sql("SELECT count(*) FROM webhook_internal.pending_count WHERE subscription_id = $good"), 0,
	'nothing is written for a subscription that nothing waits of');
is($server->sql(<<'END'), 't', 'the oldest that waits, and the next attempt, are those of the rows');
SELECT bool_and(s.oldest_pending = p.oldest AND s.next_attempt >= p.next_at)
FROM webhook.stat_subscription s
	JOIN (SELECT subscription_id, min(queued_at) AS oldest, min(next_at) AS next_at
		FROM webhook_internal.pending GROUP BY 1) p USING (subscription_id)
END

is($server->sql('SELECT count(*), sum(pending) FROM webhook.stat_pending'), '300|900', 'so has stat_pending');

# A process begins its look with what it has found before.
is($server->sql(<<'END') =~ s/\s+/ /gr, '0 0 0 0 0 3', 'what changes between two looks is seen');
BEGIN;
CREATE VIEW pg_temp.wrong AS
	WITH said AS (SELECT subscription_id, oldest_pending, next_at FROM webhook.stat_pending),
		so AS (SELECT subscription_id, min(queued_at), min(next_at)
			FROM webhook_internal.pending GROUP BY 1)
	SELECT count(*) FROM ((TABLE said EXCEPT TABLE so) UNION ALL (TABLE so EXCEPT TABLE said)) AS x;
TABLE pg_temp.wrong;
UPDATE webhook_internal.pending SET queued_at = queued_at + '1 h', next_at = next_at + '1 h';
TABLE pg_temp.wrong;
UPDATE webhook_internal.pending SET queued_at = queued_at - interval '2 h', next_at = NULL;
TABLE pg_temp.wrong;
DELETE FROM webhook_internal.pending WHERE subscription_id % 3 = 0;
UPDATE webhook_internal.pending SET next_at = now() WHERE subscription_id % 3 = 1;
TABLE pg_temp.wrong;
UPDATE webhook_internal.pending
	SET subscription_id = subscription_id + 100000 * (subscription_id % 3);
TABLE pg_temp.wrong;
SELECT max(pending) FROM webhook.stat_pending WHERE subscription_id > 200000;
ROLLBACK;
END

# What a session has found before is so as long as the number is the same version.
my $looker = $server->session;
my $wrong = <<'END';
WITH said AS (SELECT subscription_id, oldest_pending, next_at FROM webhook.stat_pending),
	so AS (SELECT subscription_id, min(queued_at), min(next_at)
		FROM webhook_internal.pending GROUP BY 1)
SELECT count(*) FROM ((TABLE said EXCEPT TABLE so) UNION ALL (TABLE so EXCEPT TABLE said)) AS x
END
my @ids = split /\n/, $server->sql("SELECT id FROM webhook.subscription WHERE id <> $good ORDER BY id");
my $again = 'SELECT count(*) FROM webhook_internal.pending WHERE attempt = 2 AND subscription_id =';
is($looker->ask($wrong), 0, 'a session looks');
is($looker->ask($wrong), 0, 'and looks again');
$server->sql("SELECT webhook.retry($ids[50])");
$server->poll("SELECT ($again $ids[50]) = 3");
$server->settle('retried');
is($looker->ask($wrong), 0, 'it sees that deliveries were tried again, as many as before');
$looker->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($looker->ask($wrong), 0, 'a snapshot');
$server->sql("SELECT webhook.retry($ids[51])");
$server->poll("SELECT ($again $ids[51]) = 3");
$server->settle('retried again');
is($looker->ask($wrong), 0, 'it is kept while more happens');
$looker->ask('COMMIT');
is($looker->ask($wrong), 0, 'what has happened meanwhile is seen behind it');
is($looker->ask("BEGIN; UPDATE webhook_internal.pending SET next_at = next_at + '1 h'; $wrong"), 0,
	'what the session writes itself is seen at once');
is($looker->ask("ROLLBACK; $wrong"), 0, 'and that it is rolled back');
$server->sql("UPDATE webhook_internal.pending SET next_at = next_at + '1 h' WHERE subscription_id = $ids[52]");
my $seen;
wait_until { ($seen = $looker->ask($wrong)) eq '0' } 10;
is($seen, 0, 'what others write by hand is seen once the worker has counted');
$looker->quit;

my ($event) = split /\n/, $server->sql('SELECT event_id FROM webhook_internal.pending ORDER BY id LIMIT 1');
$server->sql(<<"END");
SELECT webhook.unsubscribe(n) FROM generate_series($ids[0], $ids[9]) n;
SELECT webhook.alter_subscription(n, enabled => false) FROM generate_series($ids[10], $ids[19]) n;
SELECT webhook.cancel('$event', n) FROM generate_series($ids[20], $ids[29]) n;
SELECT webhook.retry(n) FROM generate_series($ids[30], $ids[39]) n;
SELECT webhook.pause(n) FROM generate_series($ids[40], $ids[49]) n;
END
$server->publish_many('App.Many', 1);
$server->settle('commands');
right('commands');
is($server->sql($total), join('|', (900 - 60 - 10 + 280) x 2), 'what was cancelled does not count, and a paused one does');

# ---- What is rolled back

$server->sql(<<'INDEX');
CREATE FUNCTION refuse(subject text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF subject LIKE '%refused%' THEN
		RAISE 'not this one';
	END IF;
	RETURN subject;
END
$$;
CREATE INDEX refused ON webhook_internal.pending (refuse(subject));
INDEX
$server->publish_many('App.Many', 2, "CASE n WHEN 1 THEN 'refused' ELSE 'taken' END");
$server->poll('SELECT blocked = 1 AND flush_errors > 1 FROM webhook.stat_worker');
right('a group that cannot be written');
$server->sql('DROP INDEX webhook_internal.refused');
$server->poll('SELECT blocked = 0 FROM webhook.stat_worker');
$server->settle('written after all');
right('written after all');

# ---- Crashes

$server->publish_many('App.Many', 10);
$server->poll("SELECT count(*) > 1500 FROM webhook_internal.pending");
$server->end_worker('KILL');
right('a killed worker');
$server->publish_many('App.Many', 10);
$server->crash;
right('a crash');
$server->settle('after the crash');
right('after the crash');

# ---- What people write by hand

$server->sql("DELETE FROM webhook_internal.pending WHERE subscription_id = $ids[60] OR position % 7 = 0");
becomes_right('deleted by hand');

# As a restore does.
$server->sql(<<"END");
CREATE TABLE kept AS SELECT * FROM webhook_internal.pending
	WHERE subscription_id IN ($ids[70], $ids[71]);
DELETE FROM webhook_internal.pending WHERE subscription_id IN ($ids[70], $ids[71]);
INSERT INTO webhook_internal.pending SELECT * FROM kept;
INSERT INTO webhook_internal.pending (subscription_id, subject, position, id, txid, event_id,
		cause, attempt, step, queued_at, age_start, created_at, event_type, data)
	SELECT $good, subject, position, id, txid, event_id, cause, attempt, step,
			queued_at, age_start, created_at, event_type, data
		FROM kept
		WHERE subscription_id = $ids[70];
END
becomes_right('inserted by hand');

$server->sql('TRUNCATE webhook_internal.pending_count');
is($server->sql('SELECT n = sum FROM (' . $total =~ s/count\(\*\)/count(*) AS n/r . ') AS t (n, sum)'), 't',
	'stat_subscription counts itself where there is no number');
is($server->sql(<<"END"), '2', 'stat_pending has what waits of a subscription that is gone');
BEGIN;
UPDATE webhook_internal.pending SET subscription_id = 999999
	WHERE (subscription_id, position, id) IN (SELECT subscription_id, position, id
		FROM webhook_internal.pending WHERE subscription_id = $ids[90] LIMIT 2);
SELECT pending FROM webhook.stat_pending WHERE subscription_id = 999999;
ROLLBACK;
END
$server->sql('UPDATE webhook_internal.pending_count SET pending = 7');
$server->sql(<<"END");
ALTER TABLE webhook_internal.pending DISABLE TRIGGER ALL;
DELETE FROM webhook_internal.pending WHERE subscription_id = $ids[80];
ALTER TABLE webhook_internal.pending ENABLE ALWAYS TRIGGER forget_txid,
	ENABLE ALWAYS TRIGGER wake_worker, ENABLE REPLICA TRIGGER drop_replicated;
END
$server->restart_worker;
becomes_right('deleted without triggers, before a restart');
is($server->sql(<<"END"), 0, 'a number of 0 of a subscription that is gone is deleted');
SELECT count(*) FROM webhook_internal.pending_count WHERE subscription_id IN ($ids[0], $ids[9])
END

# ---- Counting anew while rows come and go

$server->unsubscribe_all;
$server->settle('all are gone');
right('all are gone');
is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing waits');
my ($type_of_one, $one) = $server->subscribe_own('/flip/one', 'ordered => false', "retry_schedule => '{1h}'");
$receiver->fail_while(1);
$server->publish_many($type_of_one, 6000);
$server->poll("SELECT count(*) = 6000 FROM webhook_internal.pending");
$server->settle('one subscription');
right('one subscription');
$receiver->fail_while(0);
$server->sql("SELECT webhook.retry($one)");
my $times = 0;
wait_until
{
	$server->sql('DELETE FROM webhook_internal.pending WHERE false');
	$times++;
	$server->sql("SELECT NOT EXISTS (SELECT FROM webhook_internal.pending)") eq 't'
} 60;
note("asked to count anew $times times");
$server->settle('sent');
right('counted anew while it was sent');
is($server->sql("SELECT pending FROM webhook.stat_subscription WHERE subscription_id = $one"),
	0, 'nothing waits in the end');

$server->stop;
unlike($server->log_since, qr{TRAP|PANIC|terminated by signal (?!9:)},
	'nothing has crashed but what was killed');
done_testing();
