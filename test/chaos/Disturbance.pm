# Disturbance.pm
#	  What happens to a server in a run of chaos.
#
# Each disturbance is a function of the run (Chaos.pm).  It leaves a server that
# answers, or will soon, with every process running.

package Disturbance;

use strict;
use warnings;

use List::Util qw(shuffle);
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;
use Writer;

my @list = (
	[ 'the worker is killed', sub { kill_one($_[0], 'webhook worker'); } ],
	[ 'the launcher is killed', sub { kill_one($_[0], 'webhook launcher'); } ],
	[ 'a backend is killed', sub { kill_one($_[0], 'client backend'); } ],
	[ 'the checkpointer is killed', sub { kill_one($_[0], 'checkpointer'); } ],
	[ 'the postmaster is killed', \&kill_postmaster ],
	[ 'the worker is terminated', \&terminate_worker ],
	[ 'the launcher is terminated', sub { signal($_[0], 'TERM', 'webhook launcher'); } ],
	[ 'an immediate stop', sub { crash($_[0], 'immediate'); } ],
	[ 'a fast stop', \&stop ],
	[ 'the worker is halted', sub { halt($_[0], 'webhook worker', 0.1 + rand 2); } ],
	[ 'the launcher is halted', sub { halt($_[0], 'webhook launcher', 0.1 + rand 1); } ],
	[ 'a backend is halted', sub { halt($_[0], 'client backend', 0.1 + rand 1); } ],
	[ 'the WAL writer is halted', sub { halt($_[0], 'walwriter', 0.1 + rand 1); } ],
	[ 'a table is locked', \&lock ],
	[ 'the disk is full', \&fill_disk ],
	[ 'the worker has no descriptors left', \&few_descriptors ],
	[ 'the configuration is loaded again and again', \&reload ],
	[ 'sending is off', \&off ],
	[ 'the receiver is gone', \&without_receiver ],
	[ 'a table is rewritten', \&rewrite ],
	[ 'sessions are terminated', \&terminate_sessions ],
	[ 'a standby is promoted', \&promote ]);

my %function = map { @$_ } @list;

# The names of all in a random order, so that a run has each before it has one
# again.
sub deck { return shuffle(map { $_->[0] } @list); }

sub run
{
	my ($chaos, $name) = @_;
	$function{$name}->($chaos);
	return;
}

# ---- Processes

# Send a signal to one process of a kind; returns its pid, 0 where there is none.
sub signal
{
	my ($chaos, $signal, $type) = @_;
	my $pid = $chaos->pid_of($type);
	return $pid && kill($signal, $pid) ? $pid : 0;
}

# The server restarts itself.  It may be disturbed again before there is a worker.
sub kill_one
{
	my ($chaos, $type) = @_;
	my $from = time;
	my $pid = signal($chaos, 'KILL', $type) or return;

	wait_until { !kill 0, $pid } 10;
	wait_until { $chaos->ask('SELECT pg_postmaster_start_time()') } 30;
	$chaos->crashed($from);
	return;
}

sub kill_postmaster
{
	my ($chaos) = @_;
	my $from = time;
	my @pids = split /\n/, $chaos->ask('SELECT pid FROM pg_stat_activity');

	$chaos->server->node->kill9;
	wait_until { !grep { kill 0, $_ } @pids } 20;
	wait_until { $chaos->server->node->start(fail_ok => 1) } 30;
	$chaos->crashed($from);
	return;
}

sub terminate_worker
{
	my ($chaos) = @_;
	my $from = time;
	my $pid = signal($chaos, 'TERM', 'webhook worker') or return;

	wait_until { !kill 0, $pid } 10;
	$chaos->stopped($from);
	return;
}

sub crash
{
	my ($chaos, $how) = @_;
	my $from = time;
	$chaos->server->stop($how);
	$chaos->crashed($from);
	sleep rand 1;
	$chaos->server->start;
	return;
}

sub stop
{
	my ($chaos) = @_;
	my $from = time;
	$chaos->server->stop('fast');
	$chaos->stopped($from);
	$chaos->server->start;
	return;
}

sub halt
{
	my ($chaos, $type, $seconds) = @_;
	my $from = time;
	my $pid = signal($chaos, 'STOP', $type) or return;

	sleep $seconds;
	kill 'CONT', $pid;
	$chaos->held_up($from);
	return;
}

sub terminate_sessions
{
	my ($chaos) = @_;
	$chaos->ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' " .
		'AND pid <> pg_backend_pid()');
	return;
}

# ---- Tables

# One of our tables, or of theirs.
sub table
{
	my ($chaos) = @_;
	my @tables = split /\n/, $chaos->ask(<<'END');
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND (nspname IN ('webhook', 'webhook_internal') OR relname = 'business_request')
ORDER BY 1::text
END
	return $tables[rand @tables];
}

# A lock that everything else waits for, a little longer than the worker does.
sub lock
{
	my ($chaos) = @_;
	my $table = table($chaos) or return;
	my $session = $chaos->server->session;
	my $from = time;

	note($table);
	$session->run("SET lock_timeout = '2s'; BEGIN; LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	sleep 0.2 + rand 1;
	$session->quit;
	$chaos->held_up($from);
	return;
}

sub rewrite
{
	my ($chaos) = @_;
	my $table = table($chaos) or return;
	my $from = time;

	note($table);
	$chaos->ask((Writer::choose([ 1, 'VACUUM' ], [ 2, 'VACUUM FULL' ], [ 1, 'REINDEX TABLE' ], [ 1, 'ANALYZE' ])) . " $table");
	$chaos->held_up($from);
	$chaos->ask('CHECKPOINT');
	return;
}

sub fill_disk
{
	my ($chaos) = @_;
	my $from = time;

	$chaos->ask('UPDATE disk SET is_full = true');
	sleep 0.5 + rand 1.5;
	wait_until { $chaos->ask('UPDATE disk SET is_full = false RETURNING 1') } 30;
	$chaos->held_up($from);
	return;
}

# ---- The rest

# As few as the worker has open, and one or two more.
sub few_descriptors
{
	my ($chaos) = @_;
	my $pid = $chaos->pid_of('webhook worker') or return;
	my $limit = eval { take_descriptors($pid, int rand 3) } or return;

	sleep 0.5 + rand 1.5;
	give_descriptors($pid, $limit);
	return;
}

sub reload
{
	my ($chaos) = @_;
	my $statements = '';

	foreach (1 .. 20)
	{
		my ($name, $value) = @{
			Writer::choose(
				[ 1, [ 'webhook.max_in_flight', 1 + int rand 64 ] ],
				[ 1, [ 'webhook.max_in_flight_per_subscription', 1 + int rand 16 ] ],
				[ 1, [ 'webhook.max_memory', (1 + int rand 8) . 'MB' ] ],
				[ 1, [ 'webhook.event_retention', int(rand 5) . 's' ] ],
				[ 1, [ 'webhook.user_agent', 'chaos/' . int rand 100 ] ],
				[ 1, [ 'webhook.connect_timeout', (1 + int rand 5) . 's' ] ],
				[ 1, [ 'max_wal_size', (64 + int rand 256) . 'MB' ] ])
		};
		$statements .= "ALTER SYSTEM SET $name = '$value';\n" .
		  "SELECT pg_reload_conf(), pg_sleep(0.02) FROM generate_series(1, 3);\n";
	}
	$chaos->ask($statements);
	return;
}

sub off
{
	my ($chaos) = @_;
	$chaos->ask('ALTER SYSTEM SET webhook.enabled = off');
	$chaos->ask('SELECT pg_reload_conf()');
	sleep 0.2 + rand 1;
	wait_until { $chaos->ask('ALTER SYSTEM RESET webhook.enabled; SELECT 1') } 30;
	$chaos->ask('SELECT pg_reload_conf()');
	return;
}

# Its connections are reset; nobody listens meanwhile.
sub without_receiver
{
	my ($chaos) = @_;
	$chaos->receiver->stop;
	sleep rand 2;
	$chaos->receiver->start;
	return;
}

# A standby takes over after a planned stop of the primary, which it has followed
# to the end.
sub promote
{
	my ($chaos) = @_;
	my $old = $chaos->server;
	my $number = ++$chaos->{standbys};

	$old->node->backup("backup_$number");
	my $node = PostgreSQL::Test::Cluster->new("$chaos->{name}_standby_$number");
	my $new = Webhook::Test->wrap($node, receiver => $chaos->receiver);

	$node->init_from_backup($old->node, "backup_$number", has_streaming => 1);
	$node->start;
	$old->node->wait_for_catchup($node, 'replay');
	my $from = time;
	$old->stop('fast');
	$node->promote;
	$chaos->moved($new);
	$chaos->stopped($from);
	return;
}

1;
