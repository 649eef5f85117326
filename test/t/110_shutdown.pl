# 110_shutdown.pl
#	  Does a worker end in time and lose nothing, at shutdowns, signals and DROP
#	  EXTENSION, while endpoints hang and names do not resolve?  Does it hold no
#	  transaction and no lock while it waits?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

# Names below "slow.invalid" are not answered for two minutes.
my $resolver = shim('slow_resolver');
my $server = Webhook::Test->new('shutdown', "webhook.retry_schedule = '1s, 1s, 1s'",
	env => { $resolver ? (LD_PRELOAD => $resolver) : () });
my $node = $server->node;
my $receiver = $server->receiver;

# How often each event came to a path, by Id.
sub times_received
{
	my ($path) = @_;
	my %count;
	$count{ $_->{headers}{'webhook-id'} }++ foreach $receiver->requests(qr/^\Q$path\E$/);
	return \%count;
}

sub is_once
{
	my ($path, $count, $what) = @_;
	my $received = times_received($path);
	is(scalar keys %$received, $count, "$what: everything arrived");
	is(scalar grep({ $_ > 1 } values %$received), 0, "$what: nothing twice");
	return;
}

# Wait until that many requests are in flight.
sub wait_in_flight
{
	my ($count, $what) = @_;
	$server->becomes("SELECT in_flight >= $count FROM webhook.stat_worker", 't', "$what: $count requests are in flight");
	return;
}

# From the request until all processes but the checkpointer have ended, by the
# server's log: webhook.shutdown_grace is 2 s, and a worker may wait for a lock
# before and after it, half a second each time.
sub stop_in_time
{
	my ($what, $mode) = @_;
	my $place = $server->log_end;
	$server->stop($mode // 'fast');
	my ($requested, $ended) = map { $_->[0] * 3600 + $_->[1] * 60 + $_->[2] } map {
		[ $server->log_since($place) =~ /^\S+ (\d+):(\d+):([\d.]+) .* LOG:  $_$/m ]
	} qr/received \w+ shutdown request/, qr/shutting down/;
	my $lasted = $ended - $requested;
	$lasted += 86400 if $lasted < 0;
	cmp_ok($lasted, '<', 5, "$what: the worker ends within 5 s");
	return;
}

$server->sql('CREATE EXTENSION webhook');

# ---- No transaction is open while an endpoint hangs

$server->subscribe('/hang');
$server->publish_many($type, 1);
$receiver->wait_for(1, qr/hang/);
{
	my @open = grep { $_ ne '' } map {
		sleep 0.02;
		$server->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'webhook worker'
			AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)")
	} 1 .. 20;

	# The checkpoint and the maintenance take a moment now and then.
	cmp_ok(scalar @open, '<=', 3, 'no transaction, snapshot or xid while an endpoint hangs');
}
is($server->sql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE backend_type = 'webhook worker' AND locktype = 'relation'"),
	0, 'no lock either');

$server->subscribe('/ok/load');
{
	my $load = $server->background;
	$load->query_safe(<<"END");
CREATE PROCEDURE load() LANGUAGE plpgsql AS \$\$
BEGIN
	FOR n IN 1 .. 3000 LOOP
		PERFORM webhook.publish('$type', to_json(n), 'load/' || n);
		COMMIT;
	END LOOP;
END \$\$;
END
	$load->query_until(qr/^$/, "CALL load();\n");
	my (%seen, $none, $old);
	for (1 .. 40)
	{
		sleep 0.02;
		my $start = $server->sql("SELECT xact_start FROM pg_stat_activity
			WHERE backend_type = 'webhook worker'");
		$seen{$start} //= time;
		$none++ if $start eq '';
		$old++ if $start ne '' and time - $seen{$start} > 2;
	}
	$load->quit;
	ok($none, 'under load there are moments without a transaction');
	is($old, undef, 'no transaction lasts');
}
$receiver->wait_for(3000, qr/load/);
is(scalar $receiver->requests(qr/load/), 3000, 'the healthy endpoint gets all meanwhile');

# ---- Shutdown while endpoints hang

$server->subscribe("/hang/$_") foreach 1 .. 30;
$server->subscribe('/drip');
$server->publish_many($type, 40);
wait_in_flight(60, 'hanging');
my $answered = times_received('/ok/load');
stop_in_time('hanging endpoints');
like($server->log_since, qr/webhook worker for database "postgres" is shutting down$/m, 'the worker logs that it shuts down');
$receiver->clear;
$server->start;
my %again;
wait_until { %again = map { $_->{path} => 1 } $receiver->requests(qr{^/hang/}); keys %again == 30 };
is(scalar keys %again, 30, 'requests that hung are sent again');
is(scalar grep({ $answered->{ $_->{headers}{'webhook-id'} } } $receiver->requests('/ok/load')), 0,
	'requests that were answered are not');
stop_in_time('hanging endpoints again', 'smart');
$server->start;
$server->unsubscribe_all;

# ---- What is answered within webhook.shutdown_grace is logged

$server->subscribe('/slow/100');
$server->publish_many($type, 100);
$receiver->wait_for(16, qr/slow/);
stop_in_time('slow endpoint');
$server->start;
$server->settle('slow endpoint');
is_once('/slow/100', 100, 'slow endpoint');
$server->unsubscribe_all;

$server->subscribe('/ok/much');
$server->publish_many($type, 20000);
$receiver->wait_for(500, qr/much/);
stop_in_time('in full flow');
cmp_ok(scalar $receiver->requests(qr/much/), '<', 20000, 'in full flow: the shutdown came before the end');
$server->start;
$server->settle('in full flow');
is_once('/ok/much', 20000, 'in full flow');
$server->unsubscribe_all;

# ---- A lock on the log that outlasts the shutdown

my $hung = $server->subscribe('/ok/locked');
$server->sql("BEGIN; LOCK webhook.log; PREPARE TRANSACTION 'locked'");
$server->publish_many($type, 5);
$receiver->wait_for(5, qr/locked/);
stop_in_time('locked log');
$server->start;
$server->sql("ROLLBACK PREPARED 'locked'");
$server->settle('locked log');
is(scalar keys %{ times_received('/ok/locked') }, 5, 'locked log: everything arrived');
is($server->sql("SELECT count(DISTINCT event_id) FROM webhook.log WHERE subscription_id = $hung AND outcome = 'delivered'"),
	5, 'locked log: each event is logged');
$server->unsubscribe_all;

# ---- Signals

$server->subscribe('/slow/50');
$server->publish_many($type, 400);
for my $n (1 .. 5)
{
	$receiver->wait_for(($n - 1) * 60 + 20, '/slow/50');
	$server->restart_worker("SIGTERM $n: the launcher starts another worker");
}
$server->settle('SIGTERM');
is_once('/slow/50', 400, 'SIGTERM');
$server->unsubscribe_all;

# pg_cancel_backend() on a worker.
$server->subscribe('/slow/10');
my $pid = $server->worker;
$server->publish_many($type, 1000);
for (1 .. 40)
{
	$server->sql("SELECT pg_cancel_backend($pid)");
	sleep 0.01;
}
$server->settle('pg_cancel_backend()');
is_once('/slow/10', 1000, 'pg_cancel_backend()');
is($server->worker, $pid, 'pg_cancel_backend() does not end the worker');
$server->unsubscribe_all;

# ---- Names that do not resolve

SKIP:
{
	skip 'no compiler for a slow resolver', 5 unless $resolver;

	$server->subscribe("http://$_.slow.invalid/") foreach 'a' .. 't';
	$server->subscribe('/ok/resolved');
	$server->publish_many($type, 20);
	wait_in_flight(40, 'slow names');
	my $before = time;
	$server->publish_many($type, 200);
	$receiver->wait_for(220, qr/resolved/);
	is(scalar $receiver->requests(qr/resolved/), 220, 'names that resolve slowly delay no other endpoint');
	cmp_ok(time - $before, '<', 10, 'not by as much as a look-up takes');
	stop_in_time('slow names');
	$server->start;
	$server->unsubscribe_all;
}
my $nowhere = $server->subscribe('http://nowhere.invalid/');
$server->subscribe('/ok/known');
$server->publish_many($type, 20);
$receiver->wait_for(20, qr/known/);
is(scalar $receiver->requests(qr/known/), 20, 'an unknown name delays no other endpoint');
$server->becomes("SELECT count(*) > 0 FROM webhook.log WHERE subscription_id = $nowhere AND error_class IN ('dns', 'timeout')", 't', 'the log says dns or timeout');
$server->unsubscribe_all;

# ---- DROP EXTENSION while requests are in flight

$server->subscribe('/hang/drop');
$server->subscribe('/slow/5');
$server->publish_many($type, 1000);
wait_in_flight(10, 'DROP EXTENSION');
$pid = $server->worker;
{
	my $start = time;
	$server->sql('DROP EXTENSION webhook CASCADE');
	cmp_ok(time - $start, '<', 10, 'DROP EXTENSION does not wait for requests');
	$server->becomes("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'webhook worker'", 't', 'the worker ends');
	cmp_ok(time - $start, '<', 15, 'nor does the worker');
}
is($server->sql("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^webhook'"),
	0, 'no table of the extension is left');
$server->sql('CREATE EXTENSION webhook');
$receiver->clear;
$server->subscribe('/ok/again');
$server->publish_many($type, 10);
$server->settle('CREATE EXTENSION again');
is_once('/ok/again', 10, 'CREATE EXTENSION again');
is(scalar $receiver->requests, 10, 'no event of before the DROP comes');
{
	# A session that has used the dropped extension uses the new one.
	my $session = $server->background;
	$session->query_safe("SELECT webhook.publish('$type', '11')");
	$server->sql('DROP EXTENSION webhook CASCADE; CREATE EXTENSION webhook');
	$server->subscribe('/ok/other');
	$session->query_safe("SELECT webhook.publish('$type', '12')");
	$server->settle('in one session');
	is(scalar $receiver->requests(qr/other/), 1, 'a session survives DROP and CREATE EXTENSION');
	$session->quit;
}

# ---- A DROP EXTENSION that is open for long, and then rolled back

{
	my $waiting = qr/LOG:  webhook worker for database "postgres" is waiting for a lock on relation "webhook\w*\.\w+"$/m;
	my $place = $server->log_end;
	my $first = $server->worker;
	my $session = $server->hold('DROP EXTENSION webhook CASCADE');

	# Wait until the worker has begun three waits for a lock.
	my $tries = sub {
		my ($worker, $what) = @_;
		my %waits;
		ok(wait_until
			{
				$waits{$_} = 1 foreach grep { $_ ne '' } $server->sql(
					"SELECT waitstart FROM pg_locks WHERE pid = $worker AND NOT granted");
				keys %waits >= 3;
			},
			"$what: the worker tries again and again");
	};
	$tries->($first, 'an open DROP EXTENSION');

	# The views are locked, too.
	kill 'TERM', $first;
	my $second;
	ok(wait_until
		{
			$second = $server->sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'webhook worker'");
			$second and $second ne $first;
		},
		'another worker starts meanwhile');
	$tries->($second, 'a worker that starts meanwhile');
	is(() = $server->log_since($place) =~ /$waiting/g, 2, 'each of the two workers says once what it waits for');
	like($server->log_since($place), qr/$waiting\n.*DETAIL:  .*\n.*HINT:  .*pg_locks/, 'a hint says where to look');

	$session->query_safe('ROLLBACK');
	$session->quit;
	$receiver->clear;
	$server->publish_many($type, 5);
	$server->settle('after ROLLBACK');
	is(scalar $receiver->requests(qr/other/), 5, 'after ROLLBACK events are sent');
	is($server->worker, $second, 'by the worker that has waited');
	is(() = $server->log_since($place) =~ /ERROR|FATAL|exit code/g, 0, 'nothing looks like an error');
	$receiver->clear;
}

# ---- Without the library preloaded

stop_in_time('nothing to do');
is(() = $server->log_since =~ /TRAP|PANIC|terminated by signal|FATAL:.*webhook/g, 0, 'nothing has crashed');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$server->start;
my ($status, $stdout, $stderr) = $server->psql("SELECT webhook.publish('$type', '13'), webhook.publish('$type', '14'); SELECT webhook.publish('$type', '15')");
is($status, 0, 'without the library preloaded, publish() still works');
is(() = $stderr =~ /WARNING:  webhook events are stored but not sent/g, 1, 'one WARNING a session says that events are not sent');
like($stderr, qr/HINT:  .*shared_preload_libraries/, 'its hint names shared_preload_libraries');
($status, undef, $stderr) = $server->psql('BEGIN; ALTER TABLE webhook.log RENAME TO journal;'
		. ' ALTER TABLE webhook_internal.subscription ADD COLUMN note text; ALTER SCHEMA webhook RENAME TO hook; ROLLBACK');
is($status, 0, 'no DDL on the extension is refused') or diag($stderr);

my $other = $server->database('other');
$server->sql('CREATE DATABASE other');
($status, $stdout, $stderr) = $other->psql('CREATE EXTENSION webhook');
isnt($status, 0, 'CREATE EXTENSION without the library preloaded is refused');
like($stderr, qr/ERROR:  .*shared_preload_libraries/, 'the error names shared_preload_libraries');
like($stderr, qr/HINT:  .*shared_preload_libraries = 'webhook'/, 'the hint has the line to add');
is($other->sql("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^webhook'"), 0, 'no schema is left of it');

$server->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', 'webhook');
$server->start;
$server->settle('preloaded again');
is(join(' ', sort map { $_->{body} =~ /"Data":(\d+)/ } $receiver->requests(qr/other/)), '13 14 15',
	'with the library preloaded again, they are sent');
$server->stop;

done_testing();
