# 090_overload.pl
#	  Where two things meet: slow endpoints and others, a backlog and what is
#	  due, a locked table and the end of a subscription, a clock that is set
#	  back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;
use Time::HiRes qw(sleep time);

# A clock that can be set, for the server alone.
my $clock = PostgreSQL::Test::Utils::tempdir . '/clock';
my $shim = clock_shim();

my $node = PostgreSQL::Test::Cluster->new('review');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->append_conf('postgresql.conf', "webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'");
restart('start');

my $receiver = Webhook::Receiver->new(file => "$node->{_basedir}/received");

sub restart
{
	my ($how) = @_;
	local $ENV{LD_PRELOAD} = $shim // '';
	local $ENV{TEST_CLOCK} = $clock;
	$node->$how;
	return;
}

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub clock_shim
{
	my $source = PostgreSQL::Test::Utils::tempdir . '/clock.c';
	my $library = $source =~ s/\.c$/.so/r;

	append_to_file($source, <<'END');
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	static volatile long *offset;

	if (offset == NULL)
	{
		int			fd = open(getenv("TEST_CLOCK"), O_RDONLY);

		offset = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	syscall(SYS_gettimeofday, tv, tz);
	tv->tv_sec += *offset;
	return 0;
}
END
	set_clock(0);
	return undef if system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', $library, $source) != 0;
	return $library;
}

# By so many seconds ahead of the true time.
sub set_clock
{
	open my $handle, '+>>', $clock or die "$clock: $!";
	close $handle;
	open $handle, '+<', $clock or die "$clock: $!";
	syswrite $handle, pack('l!', $_[0]);
	close $handle;
	return;
}

my $types = 0;

# A new subscription to a path, and an event type of its own.
sub subscribe
{
	my ($path, $url) = @_;
	my $type = 'T' . ++$types;
	sql("SELECT webhook.define_event_type('$type')");
	$url //= $receiver->url($path);
	return ($type, sql("SELECT webhook.subscribe('$url', '{$type}')"));
}

# Events of a type, each of a subject of its own, or all of one.
sub publish
{
	my ($type, $count, $subject) = @_;
	$subject = $subject ? "'$subject'" : "'$type/' || i";
	sql("SELECT count(webhook.publish('$type', to_json(i), $subject)) FROM generate_series(1, $count) i");
	return;
}

sub settle
{
	my ($what) = @_;
	is(sql("SELECT webhook.drain('60 s')"), 't', "$what: drained");
	return;
}

sub stat_worker { return sql("SELECT $_[0] FROM webhook.stat_worker"); }

sub wait_until
{
	my ($query, $what) = @_;
	return ok($node->poll_query_until('postgres', "SELECT $query"), $what);
}

# A session that holds locks until it is told to let go.
sub hold
{
	my $session = $node->background_psql('postgres');
	$session->query_safe("BEGIN; $_[0]");
	return $session;
}

sub let_go
{
	$_[0]->query_safe('COMMIT');
	$_[0]->quit;
	return;
}

sql('CREATE EXTENSION webhook');

# ---- Slow endpoints with a backlog leave room to others

{
	my @slow = map { [ subscribe("/slow/4000/$_") ] } 1 .. 2;
	my ($type, $fast) = subscribe('/ok/fast');

	publish($_->[0], 3000) foreach @slow;
	wait_until('count(*) > 4000 FROM webhook_internal.pending', 'what waits for slow endpoints is spilled');
	my $worst = 0;
	foreach my $i (1 .. 12)
	{
		$receiver->clear;
		my $start = time;
		publish($type, 1);
		$receiver->wait_for(1, 30, qr/fast/);
		my $took = time - $start;
		$worst = $took if $took > $worst;
		sleep 0.3;
	}
	cmp_ok($worst, '<', 1, 'others do not wait for them');
	my ($fails, $failing) = subscribe('/fail-first/1/slow');
	publish($fails, 1);
	is(scalar(my @got = $receiver->wait_for(2, 5, qr/fail-first/)), 2, 'nor do their retries');
	sql("SELECT webhook.unsubscribe($failing)");
	sql("SELECT webhook.unsubscribe($_->[1])") foreach @slow;
	settle('slow ones');
	sql("SELECT webhook.unsubscribe($fast)");
}

# ---- A backlog that is being read leaves room to what is due

{
	my ($big, $reader) = subscribe('/ok/big');
	my ($type, $other) = subscribe('/fail-first/1');

	publish($type, 1);
	publish($big, 60000);
	my @got = $receiver->wait_for(2, 60, qr/fail-first/);
	my $done = stat_worker('delivered');
	cmp_ok($done, '<', 60000, 'a retry in time while much else is being read')
	  or diag("delivered: $done");
	settle('backlog');
	sql("SELECT webhook.unsubscribe($_)") foreach $reader, $other;
}

# ---- What is on its way to webhook_internal.pending when its subscription ends

{
	my ($type, $subscription) = subscribe('/ok/ended');
	sql("SELECT webhook.pause($subscription)");
	settle('paused');
	my $windows = stat_worker('windows');
	my $session = hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	publish($type, 3, 'one');
	wait_until('flush_errors > 0 AND unflushed = 3 FROM webhook.stat_worker', 'cannot be parked');
	my $events = stat_worker('events');
	sql("SELECT webhook.unsubscribe($subscription)");
	wait_until("events > $events FROM webhook.stat_worker", 'its subscription has ended');
	let_go($session);
	settle('ended');
	is(sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing waits for good');
	is(sql("SELECT string_agg(outcome, ' ') FROM webhook.log WHERE subscription_id = $subscription"),
		'cancelled cancelled cancelled', 'all has been cancelled');
}

# ---- A window that is interrupted twice, rows of lower ids in between

{
	my ($type, $subscription) = subscribe('/ok/reopened');
	my $tables = join ', ', map { "webhook_internal.event_$_" } 0 .. 3;

	sub wait_for_lock_timeout
	{
		my ($offset) = @_;
		my $until = time + 30;
		while (time < $until)
		{
			my $log = substr slurp_file($node->logfile), $offset;
			return pass('reading fails') if $log =~ /lock timeout/;
			sleep 0.05;
		}
		return fail('reading fails');
	}
	sub fail_to_read
	{
		my ($parking) = @_;
		my $reading = hold("LOCK TABLE $tables IN ACCESS EXCLUSIVE MODE");
		my $offset = -s $node->logfile;
		let_go($parking);
		wait_until('unflushed = 0 FROM webhook.stat_worker', 'what was read is parked');
		$offset = -s $node->logfile;
		wait_for_lock_timeout($offset);
		return $reading;
	}

	sql("SELECT webhook.pause($subscription)");
	settle('reopened');
	my $early = hold("SELECT count(webhook.publish('$type', to_json(i), 'early/' || i)) FROM generate_series(1, 40) i;
		SELECT webhook.publish('$type', to_json(repeat('x', 1048574)), 'large')");
	my $parking = hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	publish($type, 3000);
	wait_until('unflushed >= 500 FROM webhook.stat_worker', 'a part of a window is read');
	let_go($early);
	my $reading = fail_to_read($parking);
	$parking = hold('LOCK TABLE webhook_internal.pending IN SHARE MODE');
	let_go($reading);
	wait_until('unflushed >= 40 FROM webhook.stat_worker', 'reading goes on');
	$reading = fail_to_read($parking);
	let_go($reading);
	settle('reopened');
	is(sql("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $subscription"), 3041,
		'each event is taken once');
	sql("SELECT webhook.unsubscribe($subscription)");
	settle('reopened');
}

# ---- Settings of the database

{
	sql('CREATE ROLE nobody; ALTER DATABASE postgres SET role = nobody');
	sql('SET ROLE NONE; ALTER DATABASE postgres SET temp_file_limit = 0');
	restart('restart');
	sub plain { return sql("SET ROLE NONE; SET temp_file_limit = -1; $_[0]"); }
	my $url = $receiver->url('/ok/settings');
	plain("SELECT webhook.define_event_type('Settings')");
	plain("SELECT webhook.subscribe('$url', '{Settings}')");
	plain("SELECT count(webhook.publish('Settings', to_json(i))) FROM generate_series(1, 150000) i");
	$receiver->wait_for(1, 10, qr/settings/);
	is(scalar(grep { $_->{path} =~ /settings/ } $receiver->requests) > 0, 1, 'no setting of a database stops the worker');
	plain("SELECT webhook.unsubscribe(max(id)) FROM webhook.subscription");
	plain("SELECT webhook.drain('60 s')");
	plain('ALTER DATABASE postgres RESET role; ALTER DATABASE postgres RESET temp_file_limit; DROP ROLE nobody');
	restart('restart');
}

# ---- Two heads of one subject, as somebody makes them by hand

{
	my ($type, $subscription) = subscribe('/slow/50/heads');
	sql("SELECT webhook.pause($subscription)");
	publish($type, 30, 'one');
	settle('parked');
	sql('UPDATE webhook_internal.pending SET next_at = now()');
	$receiver->clear;
	sql("SELECT webhook.resume($subscription)");
	my @got = $receiver->wait_for(30, 20, qr/heads/);
	is(scalar @got, 30, 'each is sent once');
	my $overlap = grep { $got[$_]{time} - $got[ $_ - 1 ]{time} < 0.04 } 1 .. $#got;
	is($overlap, 0, 'and never two at a time');
	settle('heads');
	sql("SELECT webhook.unsubscribe($subscription)");
}

# ---- An event that many want is not copied for all of them at once

{
	sql("SELECT webhook.define_event_type('Wide')");
	sql("SELECT count(webhook.subscribe('" . $receiver->url('/slow/300/wide') . "/' || i, '{Wide}')) FROM generate_series(1, 200) i");
	$receiver->clear;
	sql(q{SELECT webhook.publish('Wide', to_json(repeat('x', 900000)))});
	my $most = 0;
	my $until = time + 60;
	while (time < $until)
	{
		my ($memory, $delivered) = split /\|/, stat_worker('memory, in_flight + queued + unflushed');
		$most = $memory if $memory > $most;
		last if scalar(my @all = $receiver->requests(qr/wide/)) >= 200;
		sleep 0.01;
	}
	is(scalar(my @all = $receiver->requests(qr/wide/)), 200, 'all get a large event');
	cmp_ok($most, '<', 34 * 1024 * 1024, 'within webhook.max_memory');
	sql(q{SELECT count(webhook.unsubscribe(id)) FROM webhook.subscription WHERE events = '{Wide}'});
	settle('wide');
}

# ---- Nor are many events that many want read at once

{
	sql("SELECT webhook.define_event_type('Fan')");
	sql(q{SELECT count(webhook.pause(webhook.subscribe('http://127.0.0.1:1024/fan/' || i, '{Fan}'))) FROM generate_series(1, 500) i});
	settle('fan');
	sql(q{SELECT count(webhook.publish('Fan', to_json(i), 'fan/' || i)) FROM generate_series(1, 200) i});
	my $most = 0;
	my $until = time + 60;
	while (time < $until)
	{
		my ($unflushed, $waiting) = split /\|/,
		  sql(q{SELECT unflushed, (SELECT count(*) FROM webhook_internal.pending WHERE event_type = 'Fan') FROM webhook.stat_worker});
		$most = $unflushed if $unflushed > $most;
		last if $waiting >= 100_000;
	}
	settle('fan');
	is(sql(q{SELECT count(*) FROM webhook_internal.pending WHERE event_type = 'Fan'}), 100_000, 'what many want waits for all of them');
	cmp_ok($most, '<', 60_000, 'read a part at a time');
	sql(q{SELECT count(webhook.unsubscribe(id)) FROM webhook.subscription WHERE events = '{Fan}'});
	settle('fan ended');
}

# ---- The clock is set back

SKIP:
{
	skip 'no C compiler for a clock', 1 unless $shim;
	my ($hangs, $hanging) = subscribe('/hang/clock');
	my ($type, $subscription) = subscribe('/ok/clock');

	set_clock(3600);
	publish($hangs, 40);
	publish($type, 1);
	$receiver->wait_for(1, 10, qr{/ok/clock});
	set_clock(0);
	publish($type, 20);
	$receiver->wait_for(21, 10, qr{/ok/clock});
	wait_until("count(*) = 21 FROM webhook.log WHERE subscription_id = $subscription",
		'the log goes on after the clock was set back');
	wait_until("count(*) = 38 FROM webhook_internal.pending WHERE subscription_id = $hanging",
		'and what waits for long is spilled');

	set_clock(3600);
	my $session = hold('LOCK TABLE webhook.log IN ACCESS EXCLUSIVE MODE');
	my $errors = stat_worker('flush_errors');
	publish($type, 1);
	wait_until("flush_errors >= $errors + 2 FROM webhook.stat_worker", 'the log cannot be written');
	set_clock(0);
	let_go($session);
	publish($type, 1);
	is(scalar(my @got = $receiver->wait_for(23, 15, qr{/ok/clock})), 23,
		'and sending after a full pause');
	sql("SELECT webhook.unsubscribe($_)") foreach $hanging, $subscription;
}

$node->stop('fast');
done_testing();
