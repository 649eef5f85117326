# 100_launcher.pl
#	  Do the databases that have the extension, and no others, have a worker?
#	  Does a worker never hinder DDL on its database?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

my $server = Webhook::Test->new('launcher');

# The pid of a database's worker, '' if it has none.
sub worker
{
	my ($database) = @_;
	return $server->sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'");
}

sub launcher
{
	return $server->sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'webhook launcher'");
}

# Wait until a database has a worker whose pid is another one than "before".
sub wait_for_worker
{
	my ($database, $before) = @_;
	$before ||= 0;
	return $server->poll(
		"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'
			AND pid <> $before");
}

sub wait_for_no_worker
{
	my ($database) = @_;
	return $server->poll(
		"SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'");
}

sub create_database
{
	my ($database) = @_;
	$server->sql("CREATE DATABASE $database");
	$server->database($database)->sql('CREATE EXTENSION webhook');
	ok(wait_for_worker($database), "$database: CREATE EXTENSION brings a worker");
	return;
}

# Run DDL that needs the database for itself: two assertions.  PostgreSQL would
# wait for 5 s for other sessions to leave, and then refuse.
sub at_once
{
	my ($statement, $name) = @_;
	my $start = time;
	my ($code, $stdout, $stderr) = $server->psql($statement);
	is($code, 0, $name) or diag($stderr);
	cmp_ok(time - $start, '<', 4, "$name: at once");
	return;
}

$server->becomes(
	"SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'webhook launcher' AND datname IS NULL",
	't', 'the launcher is there, in no database');

# How many lines of the log match, from an offset on.
sub logged
{
	my ($pattern, $from) = @_;
	return scalar(() = $server->log_since($from) =~ /$pattern/g);
}

# CREATE and DROP EXTENSION.
create_database('one');
create_database('two');
is(worker('postgres'), '', 'a database without the extension has no worker');

$server->database('one')->sql('DROP EXTENSION webhook');
ok(wait_for_no_worker('one'), 'DROP EXTENSION ends the worker');
isnt(worker('two'), '', '... and no other worker');
$server->database('one')->sql('CREATE EXTENSION webhook');
ok(wait_for_worker('one'), 'CREATE EXTENSION brings another worker');
$server->database('one')->sql('BEGIN; DROP EXTENSION webhook; CREATE EXTENSION webhook; COMMIT');
ok(wait_for_worker('one'), 'DROP and CREATE EXTENSION in one transaction leave a worker');

my $before = worker('one');
$server->database('one')->sql('BEGIN; DROP EXTENSION webhook; ROLLBACK');
is(worker('one'), $before, 'DROP EXTENSION rolled back leaves the worker');

$server->sql('CREATE DATABASE three');
$server->database('three')->sql("BEGIN; CREATE EXTENSION webhook; PREPARE TRANSACTION 'create'");
is(worker('three'), '', 'a prepared CREATE EXTENSION brings no worker');
$server->database('three')->sql("COMMIT PREPARED 'create'");
ok(wait_for_worker('three'), 'COMMIT PREPARED does');

# What ends a worker is one line of the log, not an error that looks like a crash.
{
	my $place = $server->log_end;
	my $one = $server->database('one');
	my $version = $one->sql(
		"SELECT extversion FROM pg_extension WHERE extname = 'webhook'");
	my $scripts = $server->node->config_data('--sharedir') . '/extension';
	my $reason = qr/webhook worker for database "one" is shutting down because/;

	# A version that the library is not for.
	append_to_file("$scripts/webhook--$_.sql", "SELECT 1;\n") foreach "$version--next", "next--$version";
	$before = worker('one');
	$one->sql("ALTER EXTENSION webhook UPDATE TO 'next'");
	ok(wait_for_no_worker('one'), 'ALTER EXTENSION UPDATE ends the worker');
	is(logged(qr/$reason the extension was dropped or altered$/m, $place), 1,
		'... the log says why');
	my $misfit = qr/ERROR:  extension "webhook" has version "next", but the library .* is for version "1.0"$/m;
	$server->logs(qr/$misfit\n.*DETAIL:.*\n.*HINT:  Restart the server/m, $place,
		'... with a version that the library is not for, none begins');
	$one->sql("SELECT webhook.publish('$type', '1')");
	is($one->sql('SELECT count(*) FROM webhook.event'), '1', '... but an event is stored');
	is($one->sql(<<"SQL"), 't', '... and a session that was refused goes on after the update');
DO \$\$
BEGIN
	PERFORM webhook_internal.home();
	RAISE 'it was not refused';
EXCEPTION
	WHEN object_not_in_prerequisite_state THEN
		NULL;
END
\$\$;
ALTER EXTENSION webhook UPDATE TO '$version';
SELECT webhook_internal.home() IS NOT NULL;
SQL
	ok(wait_for_worker('one', $before), 'updated to its version, there is a worker again');
	is($one->sql("SELECT webhook.drain()"), 't', '... and reads the event');
	is($one->stat_worker('events > 0'), 't', '... which had waited');
	unlink "$scripts/webhook--$_.sql" foreach "$version--next", "next--$version";

	# The worker is about to read subscriptions when they go.
	my $dropped = $server->log_end;
	$before = worker('one');
	my $session = $one->hold('DROP EXTENSION webhook');
	$server->becomes("SELECT count(*) = 1 FROM pg_stat_activity
			WHERE pid = $before AND wait_event_type = 'Lock'",
		't', 'the worker waits for a transaction that drops the extension');
	$server->let_go($session);
	ok(wait_for_no_worker('one'), '... and leaves after its commit');
	is(logged(qr/$reason the extension was dropped or altered$/m, $dropped), 1,
		'DROP EXTENSION: the log says why');
	is(logged(qr/ERROR|FATAL|exited with exit code/, $dropped),
		0, '... and has no error');

	$one->sql('CREATE EXTENSION webhook');
	ok(wait_for_worker('one'), 'CREATE EXTENSION brings a worker again');
	$before = worker('one');
	at_once('ALTER DATABASE one RENAME TO first', 'RENAME');
	ok(wait_for_worker('first', $before), '... brings another worker');
	is(logged(qr/$reason a statement needs the database for itself$/m, $place), 1, '... the log says why');
	at_once('ALTER DATABASE first RENAME TO one', 'RENAME');
	ok(wait_for_worker('one'), '... brings another worker');
	# A worker is seen before it has written its line.
	ok((wait_until { logged(qr/webhook worker for database "one" started$/m, $dropped) == 2 }), 'a start names the database');
	ok((wait_until { logged(qr{"one" started\n.* DETAIL:  This is webhook \d+\.\d+\.\d+, with libcurl/\d}, $dropped) == 2 }), '... and the versions');
	is(logged(qr/ERROR|FATAL|exited with exit code/, $dropped),
		0, 'nothing looks like a crash');
}

# After a restart the launcher finds the databases by itself.
$server->restart;
ok(wait_for_worker($_), "$_: has a worker after a restart") for qw(one two three);
is($server->sql("SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'webhook worker'"),
	'3', 'one worker a database, and only where the extension is');

# A launcher that is terminated is started again, and leaves the workers alone.
$before = launcher();
my $one = worker('one');
$server->sql("SELECT pg_terminate_backend($before)");
$server->becomes(
	"SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'webhook launcher' AND pid <> $before",
	't', 'a terminated launcher comes back');
is(worker('one'), $one, 'workers outlive the launcher');
$server->sql("SELECT pg_terminate_backend($one)");
ok(wait_for_worker('one', $one), 'a terminated worker comes back');

# DDL that needs the database for itself.
$before = worker('one');
at_once('ALTER DATABASE one RENAME TO uno', 'RENAME');
ok(wait_for_worker('uno', $before), 'the renamed database has a worker');

$before = worker('uno');
my $session = $server->background;
$session->query_safe('BEGIN; ALTER DATABASE uno RENAME TO eins');
is(worker('uno'), '', 'an open RENAME keeps the worker away');
isnt(worker('two'), '', '... and no other worker');
$session->query_safe('ROLLBACK');
ok(wait_for_worker('uno'), 'after ROLLBACK the worker is back');
$session->query_safe('BEGIN; ALTER DATABASE uno RENAME TO eins');
$server->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE state = 'idle in transaction'");
ok(wait_for_worker('uno'), '... and so it is when the session ends');
eval { $session->quit; };

$before = worker('uno');
at_once('CREATE DATABASE copy_1 TEMPLATE uno', 'CREATE DATABASE ... TEMPLATE');
ok(wait_for_worker('uno', $before), '... the template has a worker again');
ok(wait_for_worker('copy_1'), '... and the copy has one');
at_once('CREATE DATABASE copy_2 WITH TEMPLATE = "uno"',
	'CREATE DATABASE ... TEMPLATE =');
at_once(q(CREATE DATABASE copy_3 "template" 'uno' STRATEGY file_copy),
	'CREATE DATABASE ... "template"');
ok(wait_for_worker('copy_3'), 'a copy made by file_copy has a worker, too');
at_once('CREATE DATABASE plain TEMPLATE DEFAULT',
	'CREATE DATABASE ... TEMPLATE DEFAULT');

my $space = PostgreSQL::Test::Utils::tempdir;
$server->sql("CREATE TABLESPACE elsewhere LOCATION '$space'");
$before = worker('uno');
at_once('ALTER DATABASE uno SET TABLESPACE elsewhere', 'SET TABLESPACE');
ok(wait_for_worker('uno', $before), 'the database has a worker afterwards');

# A role that may not run the statement stops no worker.
$server->sql('CREATE ROLE nobody LOGIN; CREATE ROLE maker LOGIN CREATEDB');
$before = worker('uno');
foreach my $try (
	[ 'nobody', 'DROP DATABASE uno', qr/must be owner/ ],
	[ 'nobody', 'DROP DATABASE uno WITH (FORCE)', qr/must be owner/ ],
	[ 'maker', 'ALTER DATABASE uno RENAME TO x', qr/must be owner/ ],
	[ 'nobody', 'CREATE DATABASE x TEMPLATE uno', qr/permission denied/ ],
	[ 'maker', 'CREATE DATABASE x TEMPLATE uno', qr/permission denied/ ])
{
	my ($role, $statement, $error) = @$try;
	my ($code, $stdout, $stderr) = $server->psql($statement,
		extra_params => [ '-U', $role ]);
	like($stderr, $error, "$role: $statement");
	is(worker('uno'), $before, '... the worker stays');
}

# A statement that fails after the worker was stopped.
$server->psql('ALTER DATABASE uno RENAME TO two');
ok(wait_for_worker('uno', $before), 'after a RENAME that failed the worker is back');

# DROP DATABASE: no worker is started for it later.
my $place = $server->log_end;
at_once('DROP DATABASE copy_1', 'DROP DATABASE');
at_once('DROP DATABASE copy_2 WITH (FORCE)', 'DROP DATABASE ... (FORCE)');
at_once('DROP DATABASE IF EXISTS copy_3', 'DROP DATABASE IF EXISTS');
at_once('DROP DATABASE IF EXISTS copy_3', '... of a database that does not exist');
create_database('four');
unlike($server->log_since($place), qr/database \S+ does not exist$/m,
	'no worker is started in a dropped database');
is(worker('plain'), '', 'a database without the extension still has no worker');

# A template has no worker, so that it can be copied at any time.
$server->sql('ALTER DATABASE four IS_TEMPLATE true');
at_once('CREATE DATABASE five TEMPLATE four', 'a template is copied');
ok(wait_for_worker('five'), '... the copy has a worker');
ok(wait_for_no_worker('four'), '... the template has none');
$server->sql('ALTER DATABASE four IS_TEMPLATE false');
ok(wait_for_worker('four'), 'as a template no longer, it has one again');

# A worker that waits to connect hinders neither other workers nor a shutdown.
$server->sql("BEGIN; ALTER DATABASE four RENAME TO vier; PREPARE TRANSACTION 'rename'");
$server->becomes(
	"SELECT count(*) = 1 FROM pg_locks
	WHERE locktype = 'object' AND NOT granted",
	't', 'a worker waits for the lock of a prepared RENAME');
isnt(worker('five'), '', '... and no other worker');
$server->stop('fast');
pass('... a fast shutdown does not wait for it');
$server->start;
$server->sql("COMMIT PREPARED 'rename'");
ok(wait_for_worker('vier'), '... and connects after COMMIT PREPARED');

# A cancel and a barrier of the server reach a worker together; the cancel comes first.
{
	my $five = $server->database('five');
	$five->subscribe('/ok/cancelled');
	$server->sql('CREATE DATABASE six');
	my $lock = $five->hold('LOCK webhook.log');
	$five->publish_many('App.BusinessRequestStatusChange', 1);
	my $pid = worker('five');

	# It waits for half a second at a time.
	my $waits = wait_until {
		kill STOP => $pid;
		my $type = $server->sql("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid");
		kill CONT => $pid if $type ne 'Lock';
		return $type eq 'Lock';
	};
	ok($waits, 'a worker waits for a lock');
	$server->sql("SELECT pg_cancel_backend($pid)");
	my $drop = $server->background;
	$drop->query_until(qr/^/, "DROP DATABASE six;\n");
	$server->becomes("SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'ProcSignalBarrier'",
		't', '... and DROP DATABASE for all processes');
	kill CONT => $pid;
	$five->let_go($lock);
	$server->becomes("SELECT count(*) = 0 FROM pg_database WHERE datname = 'six'",
		't', '... which the worker does not hold up, although it was cancelled');
	$drop->quit;
}

# With too few process slots some workers are missing, with a WARNING and a hint.
$server->node->append_conf('postgresql.conf', 'max_worker_processes = 4');
$place = $server->log_end;
$server->restart;
$server->becomes(
	"SELECT count(*) = 2 FROM pg_stat_activity
	WHERE backend_type = 'webhook worker'",
	't', 'two workers fit beside two launchers (ours and that of logical replication)');
$server->logs(qr/WARNING:  \d+ databases? ha.* no background worker slot is free\n.*DETAIL:.*\n.*HINT:.*max_worker_processes/, $place,
	'the server log says so, with a hint');
my @without = grep { worker($_) eq '' } qw(two three uno vier five);
like($server->log_since($place), qr/DETAIL:  If the extension is there, nothing is sent from .*"$_"/, "... and names $_")
	foreach @without;
is(join(' ', map { $server->database($_)->sql('SELECT state, pid FROM webhook.stat_worker') } @without),
	join(' ', ('no worker|') x @without), 'stat_worker says so');
like($server->database('plain')->messages('CREATE EXTENSION webhook; DROP EXTENSION webhook'),
	qr/WARNING:  no background worker slot is free for the webhook worker of this database\n.*HINT:  Raise "max_worker_processes" to at least \d+/s,
	'CREATE EXTENSION says so');
my $gone = $server->sql("SELECT datname FROM pg_stat_activity
	WHERE backend_type = 'webhook worker' ORDER BY datname LIMIT 1");
at_once("DROP DATABASE $gone", 'DROP DATABASE frees a slot');
$server->becomes(
	"SELECT count(*) = 2 FROM pg_stat_activity
	WHERE backend_type = 'webhook worker' AND datname <> '$gone'",
	't', 'another database gets the slot');

# Which values settings refuse.
my ($code, $stdout, $stderr);
foreach my $bad ('5', '5s,', ',', '0s', '31d', '5 weeks', '-1s', '1.5h')
{
	($code, $stdout, $stderr) = $server->psql("ALTER SYSTEM SET webhook.retry_schedule = '$bad'");
	like($stderr, qr/invalid value for parameter.*HINT:  Write a list/s,
		"retry_schedule refuses '$bad'");
}
foreach my $good ('', '1s', ' 1 s , 2min,3m,4h,30d ')
{
	($code) = $server->psql("ALTER SYSTEM SET webhook.retry_schedule = '$good'");
	is($code, 0, "retry_schedule accepts '$good'");
}
$server->sql('ALTER SYSTEM RESET webhook.retry_schedule');
($code, $stdout, $stderr) = $server->psql("ALTER SYSTEM SET webhook.user_agent = E'x\\r\\nEvil: 1'");
like($stderr, qr/must consist of printable ASCII/, 'user_agent refuses CR LF');
($code, $stdout, $stderr) = $server->psql("SET webhook.nonsense = 1");
like($stderr, qr/invalid configuration parameter name/, 'the prefix is reserved');

$server->stop;
$server->is_sound;

# A server in which processes crash.
$server = Webhook::Test->new('crashes', 'restart_after_crash = on');
create_database($_) foreach qw(one two);

# A worker that dies whenever it is started takes the server down each time.  It
# is waited for longer and longer, across the restarts; no other worker waits.
{
	my $place = $server->log_end;
	my $seen = $place;
	my $until = time + 8;
	my ($killed, $at_once) = (0, 1);

	kill 'KILL', worker('one');
	while (time < $until)
	{
		my $log = $server->log_since($seen);
		if ($log =~ /\[(\d+)\] LOG:  webhook worker for database "one" started\n/)
		{
			$seen += $+[0];
			kill 'KILL', $1;
			$killed++;
		}
		sleep 0.02;
	}
	my $restarts = logged(qr/all server processes terminated; reinitializing/, $place);
	cmp_ok($restarts, '<=', 5, 'a worker that dies at once restarts the server after 1, 2 and 4 seconds');
	cmp_ok($restarts, '>=', 3, "... it was started again ($killed times)");

	# Seconds between a restart of the server and the next start of a worker.
	my %waits;
	my $since;
	foreach (split /\n/, $server->log_since($place))
	{
		my ($h, $m, $s) = / (\d\d):(\d\d):(\d\d\.\d+) / or next;
		my $at = $h * 3600 + $m * 60 + $s;
		$since = $at if /reinitializing/;
		push @{ $waits{$1} }, $at - $since if defined $since && /worker for database "(\w+)" started/;
	}
	my ($one, $two) = @waits{qw(one two)};
	cmp_ok($one->[1], '>', 1.5, '... the second time after two seconds');
	cmp_ok($two->[1], '<', $one->[1], '... another worker does not wait');
	$server->logs(qr/webhook worker for database "one" started/, $seen, 'left alone, it is started again');
}

# The second library is replaced by one that was built from other headers.
{
	my $one = $server->database('one');
	my $file = $server->node->config_data('--pkglibdir') . '/webhook_http.so';
	my $place = $server->log_end;
	my $library = slurp_file($file);
	my $other = $library;
	my ($version) = map { pack 'V', $_ } slurp_file('src/http/http.h') =~ /^#define WEBHOOK_HTTP_VERSION\s+(\d+)/m;
	my $shapes = $other =~ s/\Q$version\E((?:[^\0][\0-\x0f]\0\0){4})/\xff\0\0\0$1/gs;
	my $put = sub {
		append_to_file("$file.new", $_[0]);
		rename "$file.new", $file or die "$file: $!";
	};

	is($shapes, 1, 'the library has its shape in one place');
	$put->($other);
	$one->sql("SELECT pg_terminate_backend(pid) FROM webhook.stat_worker");
	$server->logs(qr/ERROR:  library "webhook_http" does not fit .*\n.*\n.*HINT:  Restart the server/, $place,
		'a library of another shape is not used');
	is(logged(qr/reinitializing/, $place), 0, '... and nothing crashes');
	$one->sql("SELECT webhook.publish('$type', '1')");
	is($one->sql("SELECT webhook.drain('0 s')"), 'f', '... events wait');
	$put->($library);
	is($one->sql("SELECT webhook.drain('60 s')"), 't', 'the library that fits is used again');
}

# A launcher that dies at once is waited for, too.
{
	my $place = $server->log_end;
	my $until = time + 5;
	my $killed = 0;

	while (time < $until)
	{
		my ($code, $pid) = eval { $server->psql("SELECT pid FROM pg_stat_activity
			WHERE backend_type = 'webhook launcher'"); };
		$killed += kill 'KILL', $pid if defined $code && $code == 0 && $pid;
		sleep 0.02;
	}
	cmp_ok($killed, '>', 1, 'a launcher is killed again and again');
	ok((wait_until { my (undef, $count) = eval { $server->psql("SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'webhook worker'"); }; ($count // '') eq '2' } 90), '... and the workers come back');
}

$server->stop;

done_testing();
