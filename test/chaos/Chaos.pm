# Chaos.pm
#	  A run of chaos: writers and subscriptions of all kinds on a server that is
#	  disturbed without end, and a receiver that fails at random.  Then what was
#	  received is judged against what was committed.
#
# All choices follow from the seed, but not the times at which they take effect.

package Chaos;

use strict;
use warnings;

use Disturbance;
use Judge;
use POSIX ();
use Subscriber;
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;
use Writer;

my $writers = 6;
my $subscribers = 2;

# Seconds until all that was committed has to be delivered, after the last disturbance: this,
# and as long as the disturbances, since what they have held up is more the longer they last.
my $rest = 60;

# Settings that every run begins with, and those of the disturbances end with.
# Retention is short and limits are low, so that ring tables are truncated all the
# time and deliveries leave memory.
my $settings = <<"END";
restart_after_crash = on
webhook.max_in_flight = 32
webhook.retry_schedule = '${\(join ', ', ('1s') x 60)}'
webhook.event_retention = '2s'
webhook.shutdown_grace = '1s'
webhook.max_memory = '2MB'
synchronous_commit = on
wal_writer_delay = 10ms
max_connections = 40
max_prepared_transactions = 60
deadlock_timeout = 100ms
max_wal_size = 256MB
END

# Subscriptions that are there from the start and never asked to change: a key,
# event types, filter, whether it is ordered.
my @constant = (
	[ 1, '{App.BusinessRequestStatusChange}', 'NULL', 'true' ],
	[ 2, '{*}', 'NULL', 'true' ],
	[ 3, '{App.*}', q('$.NewStatus starts with "k1"'), 'false' ]);

sub new
{
	my ($class, $seed, $seconds) = @_;
	my $name = "chaos_$seed";
	my $server = Webhook::Test->new($name, $settings, init => { allows_streaming => 1 });
	my $receiver = Webhook::Receiver->new(file => $server->node->basedir . '/received', seed => $seed);
	my $self = bless {
		seed => $seed,
		seconds => $seconds,
		name => $name,
		server => $server,
		receiver => $receiver,
		where => $server->node->basedir . '/where',
		processes => [],
		crashes => [],
		held_up => [],
		stops => [],
		disturbances => {},
		memory => 0,
		nodes => [ $server->node ],
	}, $class;

	$server->{shared}{receiver} = $receiver;
	$self->moved($server);
	return $self;
}

# Run, and return what Judge has found.
sub run
{
	my ($self) = @_;
	$self->{start} = time;
	$self->prepare;
	$self->disturb;
	$self->calm;
	return Judge::judge($self);
}

# Calls that the log may lack after one crash, by docs/operations.md: with at most
# 64 requests in flight in each pool, and all results that a worker may have unwritten.
sub at_risk { return 2 * 64 + 4000; }

sub crashes { return scalar @{ $_[0]{crashes} }; }
sub stops { return scalar @{ $_[0]{stops} }; }
sub server { return $_[0]{server}; }
sub receiver { return $_[0]{receiver}; }

sub note_time
{
	my ($self, $what) = @_;
	note(sprintf '%5.1f s: %s', time() - $self->{start}, $what);
	return;
}

# The server is another one from now on; the processes look at a file for where.
sub moved
{
	my ($self, $server) = @_;
	my $file = $self->{where};

	$self->{server} = $server;
	push @{ $self->{nodes} }, $server->node if $server->node != $self->{nodes}[-1];
	open my $handle, '>', "$file.new" or die "$file.new: $!";
	print $handle $server->node->connstr('postgres');
	close $handle;
	rename "$file.new", $file or die "$file: $!";
	return;
}

sub endpoint
{
	my ($self) = @_;
	my $receiver = $self->{receiver};
	return sub { return $receiver->url("/chaos/$_[0]/" . ($_[1] // 0)); };
}

sub prepare
{
	my ($self) = @_;
	my $server = $self->{server};
	my $endpoint = $self->endpoint;

	$server->sql(PostgreSQL::Test::Utils::slurp_file('test/chaos/chaos.sql'));
	$server->sql(sprintf q(SELECT subscribe_key(%d, '%s', '%s', %s, %s, 16)),
		$_->[0], $endpoint->($_->[0]), @$_[ 1 .. 3 ])
	  foreach @constant;
	$server->sql($Subscriber::seen);
	$server->sql("INSERT INTO business_request SELECT g, 'k-new-' || g " .
		"FROM generate_series(1, $Writer::contracts) g");
	$server->settle('the first events');
	$server->sql('CREATE INDEX disk_idx ON ' . $server->log_leaf . ' (public.room(id))');
	$self->{receiver}->fail_while(1);

	my $seed = $self->{seed};
	$self->start_process(sub { return Writer->new($_[0], $seed + $_[0]); }, $_)
	  foreach 1 .. $writers;
	$self->start_process(sub { return Subscriber->new($_[0], $seed + 100 + $_[0], $endpoint); }, $_)
	  foreach 1 .. $subscribers;
	return;
}

# A process that works on its own, in a session that it opens again when it is lost.
sub start_process
{
	my ($self, $make, $number) = @_;
	my $parent = $$;

	defined(my $pid = fork) or die "fork: $!";
	if ($pid == 0)
	{
		eval { work_on($make->($number), $self->{where}, $parent); };
		warn $@ if $@;
		POSIX::_exit($@ ? 1 : 0);
	}
	push @{ $self->{processes} }, $pid;
	return;
}

sub work_on
{
	my ($worker, $where, $parent) = @_;
	my $stop = 0;
	my ($session, $place) = (undef, '');

	local $SIG{TERM} = sub { $stop = 1; };
	while (!$stop && getppid() == $parent)
	{
		my $now = PostgreSQL::Test::Utils::slurp_file($where);
		if ($session && $place ne $now)
		{
			$session->quit;
			undef $session;
		}
		if (!$session)
		{
			$place = $now;
			$session = Webhook::Session->new($place);
			$session->run("SET lock_timeout = '200ms'");
		}
		if (!defined $session->run($worker->next_work . '; ROLLBACK'))
		{
			$session->quit;
			undef $session;
			sleep 0.05;
		}
		sleep $worker->pause;
	}
	$session->quit if $session;
	return;
}

# Disturb the server until the time is over.
sub disturb
{
	my ($self) = @_;
	my $end = time + $self->{seconds};
	my @deck;

	srand($self->{seed});
	while (time < $end)
	{
		@deck = Disturbance::deck() unless @deck;
		my $name = shift @deck;
		$self->note_time($name);
		$self->{disturbances}{$name}++;
		Disturbance::run($self, $name);
		$self->measure;
		sleep rand 0.7;
	}
	return;
}

# Once the server answers: whether it does within some seconds.
sub is_up
{
	my ($self, $seconds) = @_;
	return wait_until { $self->ask('SELECT 1') } $seconds // 30;
}

# What a query returns, '' where there is no server to ask.
sub ask
{
	my ($self, $query) = @_;
	my ($status, $output) = eval { $self->{server}->psql("SET lock_timeout = '2s'; $query", timeout => 10); };
	return defined $status && $status == 0 ? $output : '';
}

# The pid of one of our processes, 0 where there is none now.
sub pid_of
{
	my ($self, $type) = @_;
	return $self->ask("SELECT pid FROM pg_stat_activity WHERE backend_type = '$type' " .
		'AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1') || 0;
}

# Since then nothing could become written, or reach the disk.  A crash behind it may
# take results that are older by as much.
sub held_up
{
	my ($self, $from) = @_;
	push @{ $self->{held_up} }, [ $from, time ];
	return;
}

# Requests that were in flight at that time, or whose results were not on disk, may
# be missing in the log.  From: since when requests could be in flight.
sub crashed
{
	my ($self, $from) = @_;
	my $since = $from - Judge::exposed();
	foreach my $span (reverse @{ $self->{held_up} })
	{
		my ($begin, $end) = @$span;
		last if $end < $since;
		$since -= $end - $begin;
	}
	push @{ $self->{crashes} }, [ $since, time ];
	return;
}

# The same of a stop that is none.
sub stopped
{
	my ($self, $from) = @_;
	push @{ $self->{stops} }, [ $from - Judge::exposed(), time ];
	return;
}

# The greatest private memory of a worker so far, in kB.
sub measure
{
	my ($self) = @_;
	my $pid = $self->pid_of('webhook worker') or return;

	open my $status, '<', "/proc/$pid/status" or return;
	while (<$status>)
	{
		$self->{memory} = $1 if /^RssAnon:\s+(\d+) kB/ && $1 > $self->{memory};
	}
	return;
}

# Everything works again: wait until all is delivered.
sub calm
{
	my ($self) = @_;
	my $server = $self->{server};
	my $seconds = $rest + $self->{seconds};

	kill 'TERM', @{ $self->{processes} };
	foreach my $pid (@{ $self->{processes} })
	{
		waitpid $pid, 0;
		$self->{failed_processes}++ if $?;
	}
	$self->note_time('calm');
	$self->{receiver}->fail_while(0);
	$self->is_up or die 'the server does not answer';
	$server->sql('ALTER SYSTEM RESET ALL');
	$server->node->reload;
	$server->sql('UPDATE disk SET is_full = false');
	$server->sql(Writer::end_prepared($_))
	  foreach split /\n/, $server->sql('SELECT gid FROM pg_prepared_xacts ORDER BY gid');
	$server->sql($Subscriber::seen);
	$self->{miscounted} = $server->miscounted;

	# Nothing waits for people or for a probe.
	my $last = $self->endpoint->('%s', 'end');
	$server->sql(<<"END");
SELECT webhook.resume(subscription),
	webhook.alter_subscription(subscription, endpoint => format('$last', key))
FROM (SELECT DISTINCT key, subscription FROM history
	JOIN webhook.subscription ON id = subscription) s
END
	$server->wait_for_worker;
	$self->{drained} = $server->sql("SELECT webhook.drain('$seconds s')");
	$self->{left} = wait_until
	{
		$server->sql('SELECT NOT EXISTS (SELECT FROM webhook_internal.pending)') eq 't'
	} $seconds;
	$self->{miscounted} .= $server->miscounted;
	$self->note_time('all is delivered');
	return;
}

# All of the server's messages that tell of an error of ours.
sub failures
{
	my ($self) = @_;
	return map { PostgreSQL::Test::Utils::slurp_file($_->logfile) =~
		/^(.*(?:TRAP|PANIC|terminated by signal (?!9:)|invalid page).*)$/mg } @{ $self->{nodes} };
}

1;
