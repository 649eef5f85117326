# 110_shutdown.pl
#	  How a worker leaves, and what it never holds on to: shutdowns, signals,
#	  DROP EXTENSION, with endpoints that hang and names that do not resolve.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;
use Time::HiRes qw(sleep time);

my $type = 'App.BusinessRequestStatusChange';

# A resolver that takes a minute for names below "slow.invalid".
sub slow_resolver
{
	my $source = PostgreSQL::Test::Utils::tempdir . '/resolver.c';
	my $library = $source =~ s/\.c$/.so/r;
	append_to_file($source, <<'END');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

int
getaddrinfo(const char *node, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*next) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");

	if (node != NULL && strstr(node, "slow.invalid") != NULL)
	{
		sleep(60);
		return EAI_AGAIN;
	}
	return next(node, service, hints, result);
}
END
	return undef if system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', $library, $source, '-ldl') != 0;
	return $library;
}

my $resolver = slow_resolver();
my $node = PostgreSQL::Test::Cluster->new('shutdown');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->append_conf('postgresql.conf', "webhook.retry_schedule = '1s, 1s, 1s'");
{
	local $ENV{LD_PRELOAD} = $resolver if $resolver;
	$node->start;
}

my $receiver = Webhook::Receiver->new(file => "$node->{_basedir}/received");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub subscribe { return sql("SELECT webhook.subscribe('$_[0]', '{$type}')"); }

sub unsubscribe { sql('SELECT webhook.unsubscribe(id) FROM webhook.subscription'); return; }

sub publish
{
	my ($count) = @_;
	sql("SELECT count(webhook.publish('$type', to_json(n), 'subject/' || n)) FROM generate_series(1, $count) n");
	return;
}

sub settle { is(sql('SELECT webhook.drain()'), 't', "$_[0]: drained"); return; }

# How often each event came to a path.
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

sub worker
{
	return sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = 'postgres'");
}

sub wait_for_other_worker
{
	my ($before) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM webhook.stat_worker
		WHERE state = 'running' AND pid <> $before");
}

# Wait until that many requests are under way.
sub wait_in_flight
{
	my ($count, $what) = @_;
	ok($node->poll_query_until('postgres',
			"SELECT in_flight >= $count FROM webhook.stat_worker"),
		"$what: $count requests are under way");
	return;
}

sub stop_in_time
{
	my ($what, $mode) = @_;
	my $start = time;
	$node->stop($mode // 'fast');
	cmp_ok(time - $start, '<', 3, "$what: shutdown within 3 s");
	return;
}

sql('CREATE EXTENSION webhook');

# ---- No transaction is open while an endpoint hangs

subscribe($receiver->url('/hang'));
publish(1);
$receiver->wait_for(1, 10, qr/hang/);
{
	my @open = grep { $_ ne '' } map {
		sleep 0.02;
		sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'webhook worker'
			AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)")
	} 1 .. 20;

	# The checkpoint of what has ended, an upkeep: a moment now and then.
	cmp_ok(scalar @open, '<=', 3, 'no transaction, snapshot or xid while an endpoint hangs');
}
is(sql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE backend_type = 'webhook worker' AND locktype = 'relation'"),
	0, 'and no lock');

subscribe($receiver->url('/ok/load'));
{
	my $load = $node->background_psql('postgres', on_error_stop => 1);
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
		my $start = sql("SELECT xact_start FROM pg_stat_activity
			WHERE backend_type = 'webhook worker'");
		$seen{$start} //= time;
		$none++ if $start eq '';
		$old++ if $start ne '' and time - $seen{$start} > 2;
	}
	$load->quit;
	ok($none, 'under load, too, there are times without a transaction');
	is($old, undef, 'and none lasts');
}
$receiver->wait_for(3000, 30, qr/load/);
is(scalar $receiver->requests(qr/load/), 3000, 'the healthy endpoint gets everything meanwhile');

# ---- Shutdown while endpoints hang

subscribe($receiver->url("/hang/$_")) foreach 1 .. 30;
subscribe($receiver->url('/drip'));
publish(40);
wait_in_flight(60, 'hanging');
my $answered = times_received('/ok/load');
stop_in_time('hanging endpoints');
like(slurp_file($node->logfile), qr/webhook worker for database "postgres" is shutting down$/m, 'the worker has said good-bye');
$receiver->clear;
$node->start;
$receiver->wait_for(30, 20, qr{^/hang/});
my %again = map { $_->{path} => 1 } $receiver->requests(qr{^/hang/});
is(scalar keys %again, 30, 'what hung is sent again');
is(scalar grep({ $answered->{ $_->{headers}{'webhook-id'} } } $receiver->requests(qr{^/ok/load$})), 0,
	'what was answered is not');
stop_in_time('hanging endpoints again', 'smart');
$node->start;
unsubscribe();

# ---- What is answered within the grace is logged

subscribe($receiver->url('/slow/100'));
publish(100);
$receiver->wait_for(16, 10, qr/slow/);
stop_in_time('slow endpoint');
$node->start;
settle('slow endpoint');
is_once('/slow/100', 100, 'slow endpoint');
unsubscribe();

subscribe($receiver->url('/ok/much'));
publish(20000);
$receiver->wait_for(500, 10, qr/much/);
stop_in_time('in full flow');
cmp_ok(scalar $receiver->requests(qr/much/), '<', 20000, 'in full flow: it was');
$node->start;
settle('in full flow');
is_once('/ok/much', 20000, 'in full flow');
unsubscribe();

# ---- A lock on the log that outlives everybody

my $hung = subscribe($receiver->url('/ok/locked'));
sql("BEGIN; LOCK webhook.log; PREPARE TRANSACTION 'locked'");
publish(5);
$receiver->wait_for(5, 10, qr/locked/);
stop_in_time('locked log');
$node->start;
sql("ROLLBACK PREPARED 'locked'");
settle('locked log');
is(scalar keys %{ times_received('/ok/locked') }, 5, 'locked log: everything arrived');
is(sql("SELECT count(DISTINCT event_id) FROM webhook.log WHERE subscription_id = $hung AND outcome = 'delivered'"),
	5, 'and is in the log');
unsubscribe();

# ---- Signals

subscribe($receiver->url('/slow/50'));
publish(400);
my $pid;
for my $n (1 .. 5)
{
	$pid = worker();
	$receiver->wait_for(($n - 1) * 60 + 20, 10, qr{^/slow/50$});
	sql("SELECT pg_terminate_backend($pid)");
	ok(wait_for_other_worker($pid), "SIGTERM $n: the launcher starts another worker");
}
settle('SIGTERM');
is_once('/slow/50', 400, 'SIGTERM');
unsubscribe();

# Somebody cancels what the worker does, which is mostly nothing.
subscribe($receiver->url('/slow/10'));
$pid = worker();
publish(1000);
for (1 .. 40)
{
	sql("SELECT pg_cancel_backend($pid)");
	sleep 0.01;
}
settle('pg_cancel_backend()');
is_once('/slow/10', 1000, 'pg_cancel_backend()');
is(worker(), $pid, 'pg_cancel_backend() does not end the worker');
unsubscribe();

# ---- Names that do not resolve

SKIP:
{
	skip 'no compiler for a slow resolver', 5 unless $resolver;

	$node->stop;
	{
		local $ENV{LD_PRELOAD} = $resolver;
		$node->start;
	}
	subscribe("http://$_.slow.invalid/") foreach 'a' .. 't';
	subscribe($receiver->url('/ok/resolved'));
	publish(20);
	wait_in_flight(40, 'slow names');
	my $before = time;
	publish(200);
	$receiver->wait_for(220, 20, qr/resolved/);
	is(scalar $receiver->requests(qr/resolved/), 220, 'names that resolve slowly stop nobody');
	cmp_ok(time - $before, '<', 10, 'nor for as long as a resolution takes');
	stop_in_time('slow names');
	$node->start;
	unsubscribe();
}
my $nowhere = subscribe('http://nowhere.invalid/');
subscribe($receiver->url('/ok/known'));
publish(20);
$receiver->wait_for(20, 10, qr/known/);
is(scalar $receiver->requests(qr/known/), 20, 'an unknown name stops nobody');
ok($node->poll_query_until('postgres',
		"SELECT count(*) > 0 FROM webhook.log WHERE subscription_id = $nowhere AND error_class IN ('dns', 'timeout')"),
	'and is logged as one');
unsubscribe();

# ---- DROP EXTENSION in mid-delivery

subscribe($receiver->url('/hang/drop'));
subscribe($receiver->url('/slow/5'));
publish(1000);
wait_in_flight(10, 'DROP EXTENSION');
$pid = worker();
{
	my $start = time;
	sql('DROP EXTENSION webhook CASCADE');
	cmp_ok(time - $start, '<', 2, 'DROP EXTENSION in mid-delivery is not held up');
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'webhook worker'"),
		'and the worker leaves');
	cmp_ok(time - $start, '<', 4, 'soon');
}
is(sql("SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^webhook'"),
	0, 'nothing of it is left');
my $place = -s $node->logfile;
sql('CREATE EXTENSION webhook');
$receiver->clear;
subscribe($receiver->url('/ok/again'));
publish(10);
settle('CREATE EXTENSION again');
is_once('/ok/again', 10, 'CREATE EXTENSION again');
is(scalar $receiver->requests, 10, 'and nothing of before');
{
	# A session that has worked with the old one goes on with the new one.
	my $session = $node->background_psql('postgres');
	$session->query_safe("SELECT webhook.publish('$type', '11')");
	sql('DROP EXTENSION webhook CASCADE; CREATE EXTENSION webhook');
	subscribe($receiver->url('/ok/other'));
	$session->query_safe("SELECT webhook.publish('$type', '12')");
	settle('in one session');
	is(scalar $receiver->requests(qr/other/), 1, 'a session survives DROP and CREATE EXTENSION');
	$session->quit;
}

# ---- Without the library preloaded

stop_in_time('nothing to do');
is(() = slurp_file($node->logfile) =~ /TRAP|PANIC|terminated by signal|FATAL:.*webhook/g, 0, 'nothing has crashed');
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
my ($status, $stdout, $stderr) = $node->psql('postgres',
	"SELECT webhook.publish('$type', '13'), webhook.publish('$type', '14'); SELECT webhook.publish('$type', '15')");
is($status, 0, 'without the library preloaded, events are still taken');
is(() = $stderr =~ /WARNING:  webhook events are stored but not sent/g, 1, 'with one WARNING a session');
like($stderr, qr/HINT:  .*shared_preload_libraries/, 'that says what to do');

$node->safe_psql('postgres', 'CREATE DATABASE other');
($status, $stdout, $stderr) = $node->psql('other', 'CREATE EXTENSION webhook');
isnt($status, 0, 'CREATE EXTENSION without the library preloaded is refused');
like($stderr, qr/ERROR:  .*shared_preload_libraries/, 'it says why');
like($stderr, qr/HINT:  .*shared_preload_libraries = 'webhook'/, 'and the line to add');
is($node->safe_psql('other', "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^webhook'"), 0, 'and leaves nothing');

$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', 'webhook');
$node->start;
settle('preloaded again');
is(join(' ', sort map { $_->{body} =~ /"Data":(\d+)/ } $receiver->requests(qr/other/)), '12 13 14 15',
	'with the library back, they are sent');
$node->stop;

done_testing();
