# Bench.pm
#	  What the measurements share: a throw-away cluster, programs of ours beside
#	  it, and a table of results.
#
# The cluster is in a directory of its own, reached by a socket. Whatever is
# started here is ended at the end, however that comes about, the directory is
# removed, and an alarm sees to it that nothing takes for ever. The receivers
# and the load are bound to one processor, the worker to another.

package Bench;

use strict;
use warnings;

use Exporter qw(import);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use FindBin;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  $quick $dir $connection $patience @aside @ahead $pins $pg_net
  bench fail slurp start finish abandon run start_sql sql poll
  start_receiver stop_receiver received resumed busy
  next_status find_worker private_memory watch_memory
  subscribe unsubscribe drain_backlog arrivals latencies
  median percentile group result hold tabulate progress
);

our $quick = $ENV{QUICK} ? 1 : 0;
our $patience = '15 min';    # for one backlog
our ($dir, $connection);     # of the cluster, set by bench()
our $pg_net;                 # true if it is installed, and is compared; set by bench()

# The receiver and the load on one processor, what sends on another.
our $pins = `nproc` > 1 && system('taskset -V >/dev/null 2>&1') == 0;
our @aside = $pins ? qw(taskset -c 0) : ();
our @ahead = $pins ? qw(taskset -c 1) : ();

my $owner = $$;
my (%child, $server, $limit, $worker, @table, @figures);

$| = 1;
$SIG{$_} = sub { exit 130 } foreach qw(INT TERM HUP PIPE);
$SIG{ALRM} = sub { fail("not finished after $limit seconds") };

END
{
	if ($owner == $$)
	{
		my $status = $?;
		kill KILL => keys %child;
		system("pg_ctl -D '$dir/data' -m immediate stop >/dev/null 2>&1") if $server;
		remove_tree($dir) if $dir;
		$? = $status;
	}
}

# All of it: "limit" seconds at most, with these "programs" of this directory
# (the receiver and the load are always there), so many "rows" in the table of
# contracts, "setup" once the extension is there, then those "parts" (names and
# functions) that the command line names, or all. "prepare" comes before the
# server's start; it returns settings.  With "peers", pg_net is loaded where it
# is installed.
sub bench
{
	my (%how) = @_;
	my @parts = @{ $how{parts} };
	my %part = @parts;
	my @wanted = @ARGV ? @ARGV : grep { !ref } @parts;

	fail('say "make bench"') unless $ENV{PG_CONFIG};
	exists $part{$_} or fail("no part \"$_\"") foreach @wanted;
	$limit = $how{limit};
	alarm $limit;
	$dir = tempdir('webhook-bench-XXXXXX', DIR => '/tmp');
	$connection = "host=$dir dbname=postgres user=postgres";
	build(qw(receiver load), @{ $how{programs} // [] });
	start_server(%how);
	progress('built and started');
	$part{$_}->() foreach @wanted;
	show(sql('SHOW server_version'));
	return;
}

sub fail
{
	my ($problem) = @_;
	my $log = $dir && -e "$dir/log" ? `tail -n 20 '$dir/log'` : '';
	print STDERR "\nbench: $problem\n", $log ? "\nThe server's log ends with:\n$log" : '';
	exit 1;
}

sub slurp
{
	my ($path) = @_;
	open my $file, '<', $path or fail("$path: $!");
	local $/;
	my $text = <$file>;
	return $text // '';
}

# Start a program; its output goes to a file named after it.
sub start
{
	my ($name, @command) = @_;
	open my $out, '>', "$dir/$name.out" or fail("$dir/$name.out: $!");
	open my $err, '>', "$dir/$name.err" or fail("$dir/$name.err: $!");
	my $pid = fork // fail("fork: $!");
	if ($pid == 0)
	{
		open STDOUT, '>&', $out or die;
		open STDERR, '>&', $err or die;
		exec @command or die "$command[0]: $!\n";
	}
	$child{$pid} = $name;
	return $pid;
}

# Wait for its end, calling a function now and then; what it printed.
sub finish
{
	my ($pid, $meanwhile) = @_;
	my $name = delete $child{$pid};
	until (waitpid $pid, $meanwhile ? WNOHANG : 0)
	{
		$meanwhile->();
		sleep 0.25;
	}
	fail("$name failed:\n" . slurp("$dir/$name.err")) if $?;
	return slurp("$dir/$name.out");
}

# Wait for its end, whatever that is.
sub abandon
{
	my ($pid) = @_;
	waitpid $pid, 0;
	delete $child{$pid};
	return;
}

sub run { return finish(start('command', @_)); }

# psql on a text; \timing's lines are among what it prints.
sub start_sql
{
	my ($name, $text, @options) = @_;
	open my $file, '>', "$dir/$name.sql" or fail("$dir/$name.sql: $!");
	print $file $text;
	close $file;
	return start($name, qw(psql -XqAt -v ON_ERROR_STOP=1), @options, '-d', $connection,
		'-f', "$dir/$name.sql");
}

sub sql
{
	my ($text, @options) = @_;
	my $output = finish(start_sql('sql', $text, @options));
	chomp $output;
	return $output;
}

# Call a function until it returns something; what that is.
sub poll
{
	my ($what, $seconds, $function, $interval) = @_;
	my $end = time + $seconds;
	for (;;)
	{
		my $value = $function->();
		return $value if $value;
		fail("$what took more than $seconds seconds") if time > $end;
		sleep($interval // 0.02);
	}
}

sub median { my @sorted = sort { $a <=> $b } @_; return $sorted[ $#sorted / 2 ]; }

sub percentile { my ($p, @sorted) = @_; return $sorted[ int($#sorted * $p / 100 + 0.5) ]; }

sub group { my $n = sprintf '%.0f', $_[0]; 1 while $n =~ s/^(\d+)(\d{3})/$1,$2/; return $n; }

# A line of the result; without goal, for comparison only.
sub result
{
	my ($what, $value, $goal, $holds) = @_;
	push @table, [ $what, $value, $goal // '', defined $goal ? $holds ? 'yes' : 'NO' : '' ];
	return;
}

# The same of a number that is held against its goal, such as ">= 0.9".
sub hold
{
	my ($what, $format, $value, $goal) = @_;
	my ($operator, $bound) = $goal =~ /^([<>]=?) ([\d.]+)/ or fail("goal $goal");
	result($what, sprintf($format, $value), $goal, eval "\$value $operator $bound");
	return;
}

# A row of README.md's table: what it is, its limit, what peers do, what is done
# here, and the goal of that.
sub tabulate
{
	my (%row) = @_;
	push @figures, [ map { $_ // '–' } @row{qw(what limit peers here goal)} ];
	return;
}

sub progress { printf "%4d s  %s\n", time - $^T, $_[0]; return; }

# Programs of ours, those that send with the same engine that the worker loads.
sub build
{
	my (@names) = @_;
	my $root = "$FindBin::Bin/..";
	my %config = map { $_ => `'$ENV{PG_CONFIG}' --$_` =~ s/\s+$//r } qw(includedir libdir);
	my $curl = join ' ', map { `curl-config --$_` =~ s/\s+$//r } qw(cflags libs);
	my @engine = grep { !m{/http/module} } glob "'$root'/src/http/*.c '$root'/src/net/*.c";
	my $engine = join ' ', map { "'$_'" } grep { -e } @engine;

	my %options = (
		receiver => '-lssl -lcrypto',
		slow_resolver => '-shared -fPIC',
		bare => "$engine $curl",
		load => "-I$config{includedir} -L$config{libdir} -lpq -lpthread",
		outbox => "$engine $curl -I$config{includedir} -L$config{libdir} -lpq");
	foreach my $name (@names)
	{
		my ($source) = grep { -e } "$FindBin::Bin/$name.c", "$root/test/shim/$name.c";
		my $output = `cc -O2 -iquote '$root/src' -o '$dir/$name' '$source' $options{$name} 2>&1`;
		fail("could not build $name\n$output") if $?;
	}
	return;
}

# A receiver: its process, the URL of its port, or of all its ports, with --late
# of that one, and where its record goes, if it is told to write one there.
sub start_receiver
{
	my ($name, @options) = @_;
	my $pid = start($name, @aside, "$dir/receiver", '--seconds', $limit, @options);
	my $output = poll("the start of receiver $name", 5, sub {
		my $text = slurp("$dir/$name.out");
		return $text =~ /^listening$/m && $text;
	});
	my $scheme = grep({ $_ eq '--tls' } @options) ? 'https' : 'http';
	my %url;
	push @{ $url{$1} }, "$scheme://127.0.0.1:$2" while $output =~ /^(\w+) (\d+)$/mg;
	return {
		name => $name,
		pid => $pid,
		url => $url{port}[0],
		urls => $url{port},
		late => $url{late} && $url{late}[0],
		record => "$dir/$name.record" };
}

# What it says at its end.
sub stop_receiver
{
	my ($receiver) = @_;
	kill TERM => $receiver->{pid};
	return finish($receiver->{pid});
}

# One of its counts; its record is complete up to then.
sub count_of
{
	my ($receiver, $what) = @_;
	my $counts = sub { return slurp("$dir/$receiver->{name}.out") =~ /^(?=requests ).*?\b$what (\d+).*\n/mg; };
	my $before = () = $counts->();
	kill USR1 => $receiver->{pid};
	return poll("an answer of receiver $receiver->{name}", 60, sub {
		my @counts = $counts->();
		return @counts > $before && "$counts[-1] ";
	}) + 0;
}

# How many requests it has got.
sub received { return count_of($_[0], 'requests'); }

# How many TLS sessions were resumed with it.
sub resumed { return count_of($_[0], 'resumed'); }

# Seconds of processor time that it has used.
sub busy { return count_of($_[0], 'busy') / 1000; }

sub start_server
{
	my (%how) = @_;
	my $settings = $how{prepare} ? $how{prepare}->() : '';
	run(qw(initdb -U postgres -A trust -E UTF8 --locale=C -D), "$dir/data");
	my $sharedir = `pg_config --sharedir` =~ s/\s+$//r;
	$pg_net = $how{peers} && -e "$sharedir/extension/pg_net.control";
	my $libraries = join ', ', 'webhook', $pg_net ? 'pg_net' : ();
	open my $conf, '>>', "$dir/data/postgresql.conf" or fail("postgresql.conf: $!");
	print $conf <<"END";
shared_preload_libraries = '$libraries'
webhook.require_https = off
webhook.allowed_networks = '127.0.0.0/8, ::1/128'
listen_addresses = ''
unix_socket_directories = '$dir'
shared_buffers = 256MB
max_wal_size = 8GB
checkpoint_timeout = 1h
log_checkpoints = off
$settings
END
	close $conf;
	$server = 1;
	{
		local $ENV{LD_PRELOAD} = $how{preload} ? "$dir/$how{preload}" : '';

		# As many descriptors as may be: pg_net opens a connection for each request of a batch.
		run('sh', '-c', 'ulimit -n "$(ulimit -Hn)"; exec pg_ctl -w start -D "$1" -l "$2"', 'sh', "$dir/data", "$dir/log");
	}
	sql(slurp("$FindBin::Bin/tables.sql"), '-v', "rows=$how{rows}");
	$how{setup}->();
	find_worker();
	return;
}

# The process that delivers, bound to its processor.
sub find_worker
{
	$worker = poll('the start of the worker', 20,
		sub { return sql(q(SELECT pid FROM webhook.stat_worker WHERE state = 'running')); });
	run(qw(taskset -cp 1), $worker) if $pins;
	return $worker;
}

# The worker's own memory in MB, less what it shares with the server.
sub private_memory
{
	my ($private, $kilobytes) = (0, 0);
	open my $maps, '<', "/proc/$worker/smaps" or fail("/proc/$worker/smaps: $!");
	while (my $line = <$maps>)
	{
		if ($line =~ /^[0-9a-f]+-[0-9a-f]+ ...(.)/) { $private = $1 eq 'p'; }
		elsif ($private and $line =~ /^Private_\w+:\s+(\d+)/) { $kilobytes += $1; }
	}
	close $maps;
	return $kilobytes / 1024;
}

sub next_status
{
	return q(status = (CASE status WHEN 'Draft' THEN 'Approved' ELSE 'Draft' END)::business_request_status);
}

# So many subscriptions to changes of contracts, below that URL, with an option or none.
sub subscribe
{
	my ($url, $count, $option) = @_;
	my $options = $option ? ", $option" : '';
	sql("SELECT count(webhook.subscribe('$url/' || i, '{App.BusinessRequestStatusChange}'$options))\n"
		  . "FROM generate_series(1, $count) AS i");
	return;
}

sub unsubscribe
{
	sql("SELECT count(webhook.unsubscribe(id)) FROM webhook.subscription;\nSELECT webhook.drain('$patience')");
	return;
}

# Keep the largest that its own memory has been.
sub watch_memory
{
	my ($peak) = @_;
	my $now = private_memory();
	$$peak = $now if $now > $$peak;
	return;
}

# Deliveries a second: so many changes in one transaction, from its commit until
# each delivery has its row in the log. That is emptied then, unless it is "kept".
sub drain_backlog
{
	my ($changes, $subscriptions, $peak, $kept) = @_;
	my $deliveries = $changes * $subscriptions;
	my $empty = $kept ? '' : 'TRUNCATE webhook.log;';
	my $pid = start_sql('backlog', <<"END");
SELECT clock_timestamp() AS since \\gset
BEGIN;
UPDATE business_request SET @{[ next_status() ]} WHERE id <= $changes;
CHECKPOINT;
COMMIT;
\\timing on
SELECT webhook.drain('$patience');
\\timing off
SELECT count(*) FROM webhook.log WHERE outcome = 'delivered' AND logged_at >= :'since';
$empty
VACUUM business_request;
END
	my $output = finish($pid, $peak ? sub { watch_memory($peak); } : undef);
	my ($ms, $logged) = $output =~ /^t\nTime: ([\d.]+) ms.*\n(\d+)$/m
	  or fail("not drained: $output");
	fail("$logged rows in the log for $deliveries deliveries") if $logged != $deliveries;
	return $deliveries / $ms * 1000;
}

# Arrivals in the record of a receiver after the first "skip", by the monotonic
# clock in microseconds, in order.
sub arrivals
{
	my ($receiver, $skip) = @_;
	my @arrivals;
	open my $record, '<', $receiver->{record} or fail("$receiver->{record}: $!");
	while (my $line = <$record>)
	{
		push @arrivals, $line =~ /^(\d+)/ if $. > $skip;
	}
	close $record;
	return @arrivals;
}

# Milliseconds from a commit's return to the arrival of its POST, sorted: of a
# "statement" that runs "rate" times a second for so many "seconds" over so many
# "connections". What its $1 was is found in the event again by "number", which
# is null for others. Each has to come to the "receiver", which records it.
sub latencies
{
	my (%how) = @_;
	my $count = $how{rate} * $how{seconds};
	my $last = sql('SELECT coalesce(max(id), 0) FROM webhook.event');
	my $before = received($how{receiver});
	run(@aside, "$dir/load", '--database', $connection, '--rate', $how{rate}, '--count', $count,
		'--connections', $how{connections}, '--record', "$dir/commits", '--sql', $how{statement});
	poll("the arrival of $count events", 300, sub { return received($how{receiver}) >= $before + $count; });

	my %number = map { split /\|/ } split /\n/, sql(
		"SELECT event_id, $how{number} FROM webhook.event WHERE id > $last AND $how{number} IS NOT NULL");
	my %committed = map { split } split /\n/, slurp("$dir/commits");
	my @latencies;
	foreach my $line (split /\n/, slurp($how{receiver}{record}))
	{
		my ($arrived, undef, $id) = split ' ', $line;
		my $number = delete $number{$id};
		push @latencies, ($arrived - $committed{$number}) / 1000 if defined $number;
	}
	fail(@latencies . " arrivals for $count commits") if @latencies != $count;
	return sort { $a <=> $b } @latencies;
}

# Print the results, measured with that version of the server.
sub show
{
	my ($version) = @_;
	my ($system) = `uname -srm`;
	print "\nwebhook, $version on $system";
	print $pins && $dir ? "receiver and load on processor 0, worker and engine on 1\n" : "nothing pinned\n";
	print "QUICK: too short to be exact\n" if $quick;
	printf "\n%-50s %14s  %-10s %s\n", 'figure', 'value', 'goal', 'holds';
	printf "%-50s %14s  %-10s %s\n", @$_ foreach @table;
	write_figures($version) if $ENV{FIGURES} and @figures;
	return;
}

# For bench/table: a line a row, with when and on what it was measured.
sub write_figures
{
	my ($version) = @_;
	my ($number) = $version =~ /^(\S+)/;
	my $processors = `nproc` + 0;
	my $when = sprintf '%s, PostgreSQL %s, %d processor%s%s', POSIX::strftime('%Y-%m-%d', gmtime),
	  $number, $processors, $processors == 1 ? '' : 's', $quick ? ', QUICK' : '';
	open my $file, '>>', $ENV{FIGURES} or fail("$ENV{FIGURES}: $!");
	print $file join("\t", @$_, $when), "\n" foreach @figures;
	close $file;
	return;
}

1;
