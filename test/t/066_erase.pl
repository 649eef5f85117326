# 066_erase.pl
#	  Does erase() leave nothing of what was sent about a subject in the log and in
#	  pending, whatever its deliveries are doing, over a crash too, and all else alone?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('erase', "webhook.retry_schedule = '1h'\nwebhook.event_retention = '1h'\nmax_prepared_transactions = 2\n");
my $receiver = $server->receiver;

$server->sql(<<'END');
CREATE EXTENSION webhook;
SELECT webhook.define_event_type('App.A'), webhook.define_event_type('App.B'), webhook.define_tenant('acme');
END

# What the log and pending have of a subject: rows, and rows that have something.
sub kept
{
	my ($subject) = @_;
	return "SELECT (SELECT count(*) FROM webhook.log l WHERE l.subject = '$subject' AND num_nonnulls(request_body, response_body, data, context) > 0)"
	  . " || ' ' || (SELECT count(*) FROM webhook_internal.pending p WHERE p.subject = '$subject')";
}

# ---- Deliveries that do all that deliveries can do

my %subscription = map { $_->[0] => $server->subscribe($_->[1], "events => '{App.A}'", @$_[ 2 .. $#$_ ]) } (
	[ delivered => '/ok/a' ], [ failed => '/status/400/a', "final_statuses => '{400}'" ], [ retrying => '/status/503/a' ],
	[ in_flight => '/hang/a', "timeout => '8 s'" ], [ paused => '/ok/paused' ], [ unordered => '/status/503/unordered', 'ordered => false' ]);
$subscription{tenant} = $server->subscribe('/ok/acme', "events => '{App.A}'", "tenant => 'acme'");
$server->sql("SELECT webhook.confirm($subscription{tenant}), webhook.pause($subscription{paused})");
my $event = $server->sql(q(SET webhook.context = '{"user": "anna"}'; SELECT webhook.publish('App.A', '{"secret": 1}', 'x/1', 'acme')));
$server->sql(q(SELECT webhook.publish('App.A', '{"secret": 2}', 'x/1'), webhook.publish('App.A', '{"other": 1}', 'x/2', 'acme')));
$server->becomes('SELECT count(DISTINCT subscription_id) FROM webhook.log', scalar(keys %subscription) - 2, 'attempts were made');
$server->becomes('SELECT count(*) FROM webhook_internal.pending WHERE subject = \'x/1\' AND subscription_id <> ' . $subscription{in_flight}, '6', 'deliveries wait');
my $requests = grep { $_->{body} =~ /secret/ } $receiver->requests;
my $rows = $server->sql(q(SELECT count(*) FROM webhook.log WHERE subject = 'x/1'));

cmp_ok($server->sql(q(SELECT webhook.erase('x/1'))), '>=', 12, 'erase() says how much there is');
$server->becomes(kept('x/1'), '0 0', 'nothing is kept');
$server->settle('erased');
$server->becomes("SELECT outcome || ' ' || error_class FROM webhook.log WHERE subscription_id = $subscription{in_flight} AND subject = 'x/1' AND attempt = 1", 'cancelled erased', 'what was in flight ends with its answer, and is not tried again');
is($server->sql(kept('x/1')), '0 0', '... and leaves nothing either');
is($server->sql(q(SELECT count(*) FROM webhook.log WHERE subject = 'x/1' AND method IS NOT NULL AND num_nulls(request_headers, endpoint, requested_at) > 0)), '0', 'the rest of each row stays');
cmp_ok($server->sql(q(SELECT count(*) FROM webhook.log WHERE subject = 'x/1')), '>', $rows, 'each delivery that waited has an end in the log');
is($server->sql(q(SELECT string_agg(DISTINCT outcome || ' ' || error_class, ', ') FROM webhook.log WHERE subject = 'x/1' AND attempt = 0)), 'cancelled erased', '... of a class of its own');
is($server->sql(kept('x/2')) =~ /^[5-9] [2-9]$/ ? 'kept' : $server->sql(kept('x/2')), 'kept', 'another subject has all it had');
is($server->sql('SELECT count(*) FROM webhook_internal.pending WHERE next_at IS NULL AND subject = \'x/1\''), '0', 'no row of pending is left behind');
is($server->sql(q(SELECT string_agg(concat_ws(' ', action, detail ->> 'subject', tenant), ', ') FROM webhook.audit WHERE action = 'erase')), 'erase x/1', 'the audit has it');
is($server->sql(q(SELECT webhook.erase('x/1'), (SELECT count(*) FROM webhook.audit WHERE action = 'erase'))), '0|1', 'once more, there is nothing to do');
is($server->sql(q(SELECT webhook.erase('x/3'), (SELECT count(*) FROM webhook.audit WHERE action = 'erase'))), '0|1', 'nor for a subject that nobody knows');

# ---- What the ring still has is not sent again

is($server->sql("SELECT data FROM webhook.event WHERE event_id = '$event'"), '{"secret": 1}', 'the ring has it for a while');
foreach my $whose (qw(delivered tenant))
{
	my (undef, undef, $error) = $server->psql("SELECT webhook.resend('$event', $subscription{$whose})", on_error_stop => 0);
	like($error, qr/cannot resend.*It was erased by webhook\.erase\(\)/s, "it cannot be resent ($whose)");
}
is($server->sql("SELECT string_agg(webhook.recover(s, '-infinity', what => w, dry_run => true)::text, ' ' ORDER BY s, w) FROM unnest(ARRAY[$subscription{failed}, $subscription{paused}]) s, unnest('{failed,missing}'::text[]) w"), '1 0 0 0', 'recover() finds another subject alone');
is($server->sql("SELECT webhook.recover($subscription{delivered}, '-infinity', what => 'delivered')"), '1', '... of what was delivered, too');
like($server->sql("SELECT webhook.explain('$event', $subscription{retrying})"), qr/after one attempt, because its subject was erased.*What was sent about x\/1 was erased at .*It cannot be resent\.$/s, 'explain() says so');
$server->sql("SELECT webhook.cancel('$event', $subscription{failed})");
$server->settle('dismissed');
is($server->sql(kept('x/1')), '0 0', 'a dead letter that is dismissed brings nothing back');
is(scalar(grep { $_->{body} =~ /secret/ } $receiver->requests) <= $requests ? 'none' : 'some', 'none', 'nothing of it was sent after that');

# ---- The log and the audit are kept as long as the ring has what they are about, also where
# webhook.log_retention is shorter

{
	my $day = sub { return $server->sql("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '$_[0] days', 'YYYYMMDD')") };
	my %leaf = map { $_ => 'webhook_internal.log_' . $day->($_) } 2, 10;

	$server->set('webhook.event_retention', '30d');
	$server->settle('before two days');
	foreach my $days (sort keys %leaf)
	{
		$server->sql(sprintf "CREATE TABLE %1\$s (LIKE webhook.log INCLUDING ALL); ALTER TABLE webhook.log ATTACH PARTITION %1\$s FOR VALUES FROM ('%2\$s 00:00+00') TO ('%3\$s 00:00+00')",
			$leaf{$days}, $day->($days), $day->($days - 1));
	}

	# Two days pass.
	my $before = $server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription{delivered}");
	$server->sql("UPDATE webhook_internal.event_$_ SET created_at = created_at - interval '2 days'") foreach 0 .. 3;
	$server->sql("SET timezone = 'UTC'; UPDATE webhook.log SET created_at = created_at - interval '2 days', logged_at = current_date - 2");
	$server->sql("UPDATE webhook_internal.audit SET at = at - interval '2 days'");
	$server->set('webhook.log_retention', '1h');
	foreach (1 .. 2)
	{
		$server->sql("INSERT INTO webhook_internal.audit (at, role, outer_role, session_role, action, detail) VALUES (now() - interval '10 days', 'a', 'a', 'a', 'pause', '{}')");
		$server->restart_worker;
		$server->becomes("SELECT count(*) FROM webhook_internal.audit WHERE role = 'a'", 0, 'what is older than the ring goes');
		$server->becomes("SELECT to_regclass('$leaf{10}') IS NULL", 't', '... a leaf of the log, too');
		$server->settle('retired');
	}
	is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription{delivered}"), $before, 'the log has what the ring has');
	my (undef, undef, $error) = $server->psql("SELECT webhook.resend('$event', $subscription{delivered})", on_error_stop => 0);
	like($error, qr/cannot resend.*It was erased by webhook\.erase\(\)/s, 'what was erased cannot be resent');
	is($server->sql("SELECT string_agg(webhook.recover(s, '-infinity', what => 'missing', dry_run => true)::text, ' ') FROM unnest(ARRAY[$subscription{delivered}, $subscription{failed}]) s"), '0 0', 'what was delivered, or erased, is not missing');
	$server->reset('webhook.log_retention');
}

# ---- A replay whose transaction is open for longer than the audit is kept

{
	my $id = $server->sql(q(SELECT webhook.publish('App.A', '{"secret": 4}', 'long/1')));

	$server->becomes("SELECT count(*) FROM webhook.log WHERE event_id = '$id' AND subscription_id = $subscription{delivered}", 1, 'an event is delivered');
	my $open = $server->hold("SELECT webhook.resend('$id', $subscription{delivered})");

	$server->sql(q(SELECT webhook.erase('long/1')));
	$server->becomes(kept('long/1'), '0 0', 'it is erased');
	$server->sql(q(UPDATE webhook_internal.audit SET at = at - interval '15 days' WHERE detail ->> 'subject' = 'long/1'));
	$server->set('webhook.log_retention', '1h');
	foreach (1 .. 2)
	{
		$server->sql(q(INSERT INTO webhook_internal.stat_minute VALUES ('2026-01-01 00:00+00', '1 h', NULL, 0, 0, 0, 0, NULL, '{}')));
		$server->restart_worker;
		$server->becomes(q(SELECT count(*) FROM webhook_internal.stat_minute WHERE at = '2026-01-01 00:00+00'), '0', 'what is old goes');
	}
	is($server->sql(q(SELECT count(*) FROM webhook.audit WHERE detail ->> 'subject' = 'long/1')), '1', 'the audit has the erasure as long as the transaction is open');
	$server->let_go($open);
	$server->becomes("SELECT outcome || ' ' || error_class FROM webhook.log WHERE event_id = '$id' AND cause = 'resend'", 'cancelled erased', 'the replay is not sent');
	$server->restart_worker;
	$server->becomes(q(SELECT count(*) FROM webhook.audit WHERE detail ->> 'subject' = 'long/1'), '0', 'then it goes, too');
	$server->reset('webhook.log_retention');
}

# ---- A dump that is made before the worker has carried out an erasure

{
	my $copy = $server->database('restored');
	my $dump = $server->node->basedir . '/erase.sql';

	$server->sql(q(SELECT webhook.publish('App.A', format('{"secret": %s}', n)::json, 'dump/1') FROM generate_series(51, 53) n; SELECT webhook.publish('App.A', '{"other": 5}', 'dump/2')));
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $subscription{paused} AND subject LIKE 'dump/%'", 4, 'deliveries wait');
	$server->settle('before the dump');
	my $pid = $server->sql('SELECT pid FROM webhook.stat_worker');

	kill STOP => $pid;
	$server->sql(q(SELECT webhook.erase('dump/1')));
	is(system('pg_dump', '--host', $server->node->host, '--port', $server->node->port, '--file', $dump, 'postgres'), 0, 'pg_dump in the middle of an erasure');
	kill CONT => $pid;
	$server->becomes(kept('dump/1'), '0 0', 'here it is carried out');
	$server->sql('CREATE DATABASE restored');
	is(system('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '--host', $server->node->host, '--port', $server->node->port, '--output', '/dev/null', '--file', $dump, 'restored'), 0, 'it is restored');
	is($copy->sql(q(SELECT count(*) FROM webhook_internal.pending WHERE subject = 'dump/1')) > 0 ? 'there' : '', 'there', '... with what was to be erased');
	my $before = grep { $_->{body} =~ /"secret": 5[123]/ } $receiver->requests;

	$copy->sql("SELECT webhook.resume_database(), webhook.resume($subscription{paused})");
	$copy->becomes("SELECT outcome FROM webhook.log WHERE subject = 'dump/2' AND subscription_id = $subscription{paused}", 'delivered', 'another subject is delivered');
	$copy->becomes("SELECT string_agg(outcome || ' ' || error_class, ', ') FROM webhook.log WHERE subject = 'dump/1' AND subscription_id = $subscription{paused}", join(', ', ('cancelled erased') x 3), 'what waits of that one ends');
	is(scalar(grep { $_->{body} =~ /"secret": 5[123]/ } $receiver->requests), $before, '... and is not sent');
	$server->sql('DROP DATABASE restored WITH (FORCE)');
}

# ---- What comes later is another story

$server->sql(q(SELECT webhook.publish('App.A', '{"later": 1}', 'x/1')));
$server->becomes("SELECT request_body ~ 'later' FROM webhook.log WHERE subject = 'x/1' AND subscription_id = $subscription{delivered} AND request_body IS NOT NULL", 't', 'a later event of the subject is delivered and logged');
$server->sql("SELECT webhook.unsubscribe($_)") foreach values %subscription;
$server->settle('unsubscribed');

# ---- A subscription that is behind: the events come to it after the erasure

my $slow = $server->subscribe('/slow/20/b', "events => '{App.B}'", 'max_in_flight => 1');
$server->sql(q(SELECT count(webhook.publish('App.B', to_json(n), CASE n % 2 WHEN 0 THEN 'y/1' ELSE 'y/odd' || n END)) FROM generate_series(1, 4000) n; SELECT webhook.erase('y/1')));
$server->becomes(q(SELECT count(*) FROM webhook.log WHERE subject = 'y/1'), '2000', 'each of them ends');
cmp_ok($server->sql(q(SELECT count(*) FROM webhook.log WHERE subject = 'y/1' AND error_class = 'erased')), '>', 1500, '... most of them erased');
$server->becomes(kept('y/1'), '0 0', '... and leaves nothing');
$server->sql("SELECT webhook.unsubscribe($slow)");

# ---- What commits between two erasures is of the second one

my $erasures = q(SELECT count(*) FROM webhook_internal.audit WHERE action = 'erase' AND detail ->> 'subject' = 'w/1');
my $open = $server->hold("SELECT webhook.publish('App.B', '{\"late\": 1}', 'w/1')");
$server->sql(q(SELECT webhook.publish('App.B', '{"early": 1}', 'w/1'); SELECT webhook.erase('w/1')));
$server->let_go($open);
is($server->sql($erasures), '1', 'an event commits after the erasure, though it was made before');
$server->sql(q(SELECT webhook.erase('w/1')));
is($server->sql($erasures), '2', '... and is erased by the next one, also where nobody takes it');
$server->sql(q(SELECT webhook.erase('w/1')));
is($server->sql($erasures), '2', 'then there is nothing to erase');
my $before = $server->hold('SELECT count(*) FROM webhook.log', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
$server->sql(q(SELECT webhook.publish('App.B', '{"after": 1}', 'w/1')));
$before->query_safe(q(SELECT webhook.erase('w/1')));
$server->let_go($before);
is($server->sql($erasures), '3', 'a snapshot of before does not hide what is to be erased');

# ---- Whoever asks for it once more, whenever: what was erased is neither sent nor logged

{
	my $delivered = $server->subscribe('/ok/v', "events => '{App.A}'");
	my $failed = $server->subscribe('/status/400/v', "events => '{App.A}'", "final_statuses => '{400}'");
	my $publish = sub { return $server->sql(qq(SET webhook.context = '{"user": "anna"}'; SELECT webhook.publish('App.A', '{"asked": "$_[0]"}', 'v/$_[0]'))) };
	my $requests = sub { my ($for) = @_; return scalar grep { $_->{body} =~ /"asked": "$for"/ } $receiver->requests };
	my $new = $server->hold($server->subscription('/ok/new', "events => '{App.A}'"));
	my %event = map { $_ => $publish->($_) } qw(1 2);
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subject IN ('v/1', 'v/2')", 4, 'events are delivered, or fail');

	my @open = map { $server->hold("SELECT $_") } "webhook.resend('$event{1}', $delivered)", "webhook.recover($delivered, '-infinity', what => 'delivered')",
	  "webhook.recover($failed, '-infinity')", "webhook.resend('$event{1}', $failed)", "webhook.cancel('$event{1}', $failed)";
	my $snapshot = $server->hold('SELECT count(*) FROM webhook.log', 'BEGIN ISOLATION LEVEL REPEATABLE READ');
	$server->sql("BEGIN; SELECT webhook.resend('$event{1}', $delivered); PREPARE TRANSACTION 'replay'");
	my %sent = map { $_ => $requests->($_) } qw(1 2);
	$server->sql(q(SELECT webhook.erase('v/1')));
	$server->settle('erased while replays are open');
	$snapshot->query_safe("SELECT webhook.resend('$event{1}', $delivered)");
	$server->let_go($_) foreach @open, $snapshot, $new;
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subject = 'v/2'", 5, 'what was open commits: another subject is sent');
	$server->settle('replays have committed');
	is($requests->(2) - $sent{2}, 3, '... by two recoveries and to a new subscription');
	is($requests->(1) - $sent{1}, 0, 'what was erased is not');
	is($server->sql(kept('v/1')), '0 0', '... and nothing of it is kept');
	is($server->sql(q(SELECT string_agg(DISTINCT concat_ws(' ', cause, error_class), ', ') FROM webhook.log WHERE subject = 'v/1' AND error_class IN ('erased', 'dismissed'))),
		'dismiss dismissed, event erased, recover erased, resend erased', '... the log says why');

	$server->crash;
	$server->sql(q(COMMIT PREPARED 'replay'));
	$server->becomes(q(SELECT count(*) FROM webhook_internal.ring r WHERE kind = 'r' AND NOT webhook_internal.is_processed(r.txid, r.id)), 0, 'a prepared replay is read');
	$server->settle('a prepared replay');
	is($requests->(1) - $sent{1}, 0, '... and not sent, also after a crash');
	is($server->sql(kept('v/1')), '0 0', '... nor kept');

	# The replay commits between the call of the erasure and its commit.
	my $waits = $server->subscribe('/ok/waits', "events => '{App.A}'");
	$server->sql("SELECT webhook.pause($waits)");
	$event{3} = $publish->(3);
	$server->becomes(q(SELECT count(*) FROM webhook.log WHERE subject = 'v/3'), 3, 'an event is sent');
	my $erasure = $server->hold(q(SELECT webhook.erase('v/3')));
	$server->sql("SELECT webhook.resend('$event{3}', $delivered), webhook.resend('$event{3}', $waits)");
	$server->becomes(q(SELECT count(*) FROM webhook.log WHERE subject = 'v/3' AND cause = 'resend'), 1, 'a replay is sent before the erasure commits');
	$server->becomes(q(SELECT count(*) FROM webhook_internal.pending WHERE subject = 'v/3'), 2, '... and another one waits');
	$server->let_go($erasure);
	$server->becomes(kept('v/3'), '0 0', 'both are erased');

	# What had not committed at the call is not meant, and can be asked for.
	my $mine = $server->hold(q(SELECT webhook.publish('App.A', '{"asked": "4"}', 'v/4')));
	$publish->(4);
	$server->sql(q(SELECT webhook.erase('v/4')));
	$server->settle('erased while a transaction is open');
	$server->let_go($mine);
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subject = 'v/4' AND outcome = 'delivered' AND subscription_id = $delivered AND request_body IS NOT NULL", 1, 'an event commits after the erasure, and is sent');
	$event{4} = $server->sql("SELECT event_id FROM webhook.log WHERE subject = 'v/4' AND subscription_id = $delivered AND request_body IS NOT NULL");
	unlike($server->sql("SELECT webhook.explain('$event{4}', $delivered)"), qr/erased/, 'explain() does not call it erased');
	$server->becomes("SELECT count(*) FROM webhook.dead_letter WHERE event_id = '$event{4}'", 1, 'a delivery of it fails');
	$sent{4} = $requests->(4);
	$server->sql("SELECT webhook.resend('$event{4}', $_)") foreach $delivered, $failed;
	$server->becomes("SELECT count(*) FROM webhook.log WHERE event_id = '$event{4}' AND cause = 'resend' AND error_class IS DISTINCT FROM 'erased'", 2, 'it is sent again');
	is($server->sql("SELECT webhook.recover($delivered, (SELECT min(created_at) FROM webhook.log WHERE subject = 'v/4'), what => 'delivered')"), 1, 'recover() finds it and nothing else, where it was delivered');
	is($server->sql("SELECT webhook.recover($failed, (SELECT min(created_at) FROM webhook.log WHERE subject = 'v/4'))"), 1, '... and where it failed');
	$server->becomes("SELECT count(*) FROM webhook.log WHERE event_id = '$event{4}' AND cause = 'recover' AND error_class IS DISTINCT FROM 'erased'", 2, '... and it is sent');
	is($requests->(4) - $sent{4}, 4, '... each time');

	# The clock was set back before the erasure.
	$event{5} = $publish->(5);
	$server->becomes(q(SELECT count(*) FROM webhook.log WHERE subject = 'v/5'), 3, 'an event of a clock that is ahead');
	$server->sql(q(SELECT webhook.erase('v/5')));
	$server->settle('erased by a clock that was set back');
	$server->sql("UPDATE webhook_internal.event_$_ SET created_at = created_at + interval '1 day' WHERE subject = 'v/5'") foreach 0 .. 3;
	$server->sql(q(UPDATE webhook.log SET created_at = created_at + interval '1 day' WHERE subject = 'v/5'));
	my (undef, undef, $error) = $server->psql("SELECT webhook.resend('$event{5}', $delivered)", on_error_stop => 0);
	like($error, qr/cannot resend.*It was erased by webhook\.erase\(\)/s, 'times do not decide what is erased');
	is($server->sql("SELECT webhook.recover($delivered, 'now', 'infinity', 'delivered')"), 0, '... for recover() neither');

	# Its own transaction: what came before is meant, what comes later is not.
	my @own = split /\n/, $server->sql(q(BEGIN; SELECT webhook.publish('App.A', '{"asked": "6"}', 'v/6'); SELECT webhook.erase('v/6'); SELECT webhook.publish('App.A', '{"asked": "6"}', 'v/6'); COMMIT));
	$server->settle('an erasure between two events');
	is($requests->(6), 3, 'what comes later is sent');
	(undef, undef, $error) = $server->psql("SELECT webhook.resend('$own[0]', $delivered)", on_error_stop => 0);
	like($error, qr/cannot resend.*It was erased by webhook\.erase\(\)/s, 'what came before cannot be resent');
	$server->sql("SELECT webhook.resend('$own[2]', $delivered)");
	$server->settle('resent');
	is($requests->(6), 4, 'what comes later can');

	$server->unsubscribe_all;
	$server->settle('unsubscribed again');
}

# ---- Many rows; a leaf without its index; a crash

$server->settle('before the crash');
my $leaf = $server->sql("SELECT relid FROM pg_partition_tree('webhook.log') WHERE isleaf ORDER BY relid::text DESC LIMIT 1");
my $columns = 'id, event_id, position, cause, logged_at, subscription_id, event_type, %s, tenant, created_at, attempt, method, endpoint, peer_ip, source_ip, source_port, requested_at, duration, request_headers, %s, response_status, response_headers, response_body, outcome, error_class, error, traceparent, context, data';
my $insert = sprintf "INSERT INTO $leaf (" . sprintf($columns, 'subject', 'request_body') . ") SELECT $columns FROM (SELECT * FROM $leaf WHERE method IS NOT NULL LIMIT 1) l, generate_series(1, %d) n",
  "CASE WHEN n % 10 = 0 THEN 'z/other' ELSE 'z/1' END", 'repeat(md5(n::text), CASE WHEN n % 100 = 1 THEN 300 ELSE 1 END)', 5000;
$server->sql($insert);
is($server->sql(q(SELECT webhook.erase('z/1'))), '4500', 'many rows');
$server->node->stop('immediate');
$server->node->start;
$server->becomes(kept('z/1'), '0 0', 'a crash does not keep them');
is($server->sql(q(SELECT count(*), count(request_body) FROM webhook.log WHERE subject = 'z/other')), '500|500', 'others stay as they are');
$server->settle('erased after the crash');
$server->sql("DO \$\$ BEGIN EXECUTE (SELECT 'DROP INDEX ' || indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam WHERE indrelid = '$leaf'::regclass AND amname = 'hash'); END \$\$");
$server->sql($insert);
is($server->sql(q(SELECT webhook.erase('z/1'))), '4500', 'without the index');
$server->becomes(kept('z/1'), '0 0', 'it takes a little longer');

$server->stop;
done_testing();
