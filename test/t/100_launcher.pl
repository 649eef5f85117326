# 100_launcher.pl
#	  Workers come to the databases that have the extension and to no others,
#	  stay while they have it, and are in the way of no DDL on a database.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('databases');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# The pid of a database's worker, '' if it has none.
sub worker
{
	my ($database) = @_;
	return sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'");
}

sub launcher
{
	return sql("SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'webhook launcher'");
}

# Wait until a database has a worker, another one than that.
sub wait_for_worker
{
	my ($database, $before) = @_;
	$before ||= 0;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'
			AND pid <> $before");
}

sub wait_for_no_worker
{
	my ($database) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname = '$database'");
}

sub create_database
{
	my ($database) = @_;
	sql("CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION webhook');
	ok(wait_for_worker($database), "$database: CREATE EXTENSION brings a worker");
	return;
}

# PostgreSQL itself waits for 5 s, then refuses.
sub at_once
{
	my ($statement, $name) = @_;
	my $start = time;
	my ($code, $stdout, $stderr) = $node->psql('postgres', $statement);
	is($code, 0, $name) or diag($stderr);
	cmp_ok(time - $start, '<', 4, "$name: at once");
	return;
}

# Has the log got lines that match, from a place on?
sub logged
{
	my ($pattern, $from) = @_;
	return scalar(() = slurp_file($node->logfile, $from) =~ /$pattern/g);
}

sub log_end { return -s $node->logfile; }

ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'webhook launcher' AND datname IS NULL"),
	'the launcher is there, in no database');

# Extensions come and go.
create_database('one');
create_database('two');
is(worker('postgres'), '', 'a database without the extension has no worker');

$node->safe_psql('one', 'DROP EXTENSION webhook');
ok(wait_for_no_worker('one'), 'DROP EXTENSION sends the worker away');
isnt(worker('two'), '', '... and no other');
$node->safe_psql('one', 'CREATE EXTENSION webhook');
ok(wait_for_worker('one'), 'CREATE EXTENSION brings it back');
$node->safe_psql('one',
	'BEGIN; DROP EXTENSION webhook; CREATE EXTENSION webhook; COMMIT');
ok(wait_for_worker('one'), 'both at once leave one');

my $before = worker('one');
$node->safe_psql('one', 'BEGIN; DROP EXTENSION webhook; ROLLBACK');
is(worker('one'), $before, 'DROP EXTENSION rolled back leaves the worker');

$node->safe_psql('postgres', 'CREATE DATABASE three');
$node->safe_psql('three',
	"BEGIN; CREATE EXTENSION webhook; PREPARE TRANSACTION 'create'");
is(worker('three'), '', 'a prepared CREATE EXTENSION brings no worker');
$node->safe_psql('three', "COMMIT PREPARED 'create'");
ok(wait_for_worker('three'), 'COMMIT PREPARED does');

# What ends a worker is one line of the log, not an error that looks like a crash.
{
	my $place = log_end();
	my $version = $node->safe_psql('one',
		"SELECT extversion FROM pg_extension WHERE extname = 'webhook'");
	my $scripts = $node->config_data('--sharedir') . '/extension';
	my $reason = qr/webhook worker for database "one" is shutting down because/;

	append_to_file("$scripts/webhook--$version--next.sql", "SELECT 1;\n");
	$before = worker('one');
	$node->safe_psql('one', "ALTER EXTENSION webhook UPDATE TO 'next'");
	ok(wait_for_worker('one', $before), 'ALTER EXTENSION UPDATE brings another worker');
	unlink "$scripts/webhook--$version--next.sql";
	is(logged(qr/$reason the extension was dropped or altered$/m, $place), 1,
		'... the log says why');

	# The worker is about to read subscriptions when they go.
	$before = worker('one');
	my $session = $node->background_psql('one');
	$session->query_safe('BEGIN; DROP EXTENSION webhook');
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity
			WHERE pid = $before AND wait_event_type = 'Lock'"),
		'the worker waits for a transaction that drops the extension');
	$session->query_safe('COMMIT');
	$session->quit;
	ok(wait_for_no_worker('one'), '... and leaves after its commit');
	is(logged(qr/$reason the extension was dropped or altered$/m, $place), 2,
		'DROP EXTENSION: the log says why');
	is(logged(qr/ERROR(?!:  canceling statement due to lock timeout)|FATAL|exited with exit code/, $place),
		0, '... and has no error');

	$node->safe_psql('one', 'CREATE EXTENSION webhook');
	ok(wait_for_worker('one'), 'CREATE EXTENSION brings a worker again');
	$before = worker('one');
	at_once('ALTER DATABASE one RENAME TO first', 'RENAME');
	ok(wait_for_worker('first', $before), '... brings another worker');
	is(logged(qr/$reason a statement needs the database for itself$/m, $place), 1, '... the log says why');
	at_once('ALTER DATABASE first RENAME TO one', 'RENAME');
	ok(wait_for_worker('one'), '... brings another worker');
	is(logged(qr/webhook worker for database "one" started$/m, $place), 3, 'a start names the database');
	is(logged(qr/ERROR(?!:  canceling statement due to lock timeout)|FATAL|exited with exit code/, $place),
		0, 'nothing looks like a crash');
}

# The worker is found again without any configuration.
$node->restart;
ok(wait_for_worker($_), "$_: there after a restart") for qw(one two three);
is(sql("SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'webhook worker'"),
	'3', 'one worker a database, and only where the extension is');

# A launcher that is terminated comes back, and finds the workers.
$before = launcher();
my $one = worker('one');
sql("SELECT pg_terminate_backend($before)");
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'webhook launcher' AND pid <> $before"),
	'a terminated launcher comes back');
is(worker('one'), $one, 'workers outlive it');
sql("SELECT pg_terminate_backend($one)");
ok(wait_for_worker('one', $one), 'a terminated worker comes back');

# DDL that needs the database for itself.
$before = worker('one');
at_once('ALTER DATABASE one RENAME TO uno', 'RENAME');
ok(wait_for_worker('uno', $before), 'the worker is there under the new name');

$before = worker('uno');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; ALTER DATABASE uno RENAME TO eins');
is(worker('uno'), '', 'RENAME keeps the worker away while it is open');
isnt(worker('two'), '', '... and no other worker');
$session->query_safe('ROLLBACK');
ok(wait_for_worker('uno'), 'after ROLLBACK it is there again');
$session->query_safe('BEGIN; ALTER DATABASE uno RENAME TO eins');
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity
	WHERE state = 'idle in transaction'");
ok(wait_for_worker('uno'), '... and after the end of the session');
eval { $session->quit; };

$before = worker('uno');
at_once('CREATE DATABASE copy_1 TEMPLATE uno', 'CREATE DATABASE ... TEMPLATE');
ok(wait_for_worker('uno', $before), '... leaves the worker to the template');
ok(wait_for_worker('copy_1'), '... and brings one to the copy');
at_once('CREATE DATABASE copy_2 WITH TEMPLATE = "uno"',
	'CREATE DATABASE ... TEMPLATE =');
at_once('CREATE DATABASE copy_3 "template" \'uno\' STRATEGY file_copy',
	'CREATE DATABASE ... "template"');
ok(wait_for_worker('copy_3'), 'a copy of files has a worker too');
at_once('CREATE DATABASE plain TEMPLATE DEFAULT',
	'CREATE DATABASE ... TEMPLATE DEFAULT');

my $space = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$space'");
$before = worker('uno');
at_once('ALTER DATABASE uno SET TABLESPACE elsewhere', 'SET TABLESPACE');
ok(wait_for_worker('uno', $before), 'the worker is there afterwards');

# Only who may do it stops a worker.
sql('CREATE ROLE nobody LOGIN; CREATE ROLE maker LOGIN CREATEDB');
$before = worker('uno');
foreach my $try (
	[ 'nobody', 'DROP DATABASE uno', qr/must be owner/ ],
	[ 'nobody', 'DROP DATABASE uno WITH (FORCE)', qr/must be owner/ ],
	[ 'maker', 'ALTER DATABASE uno RENAME TO x', qr/must be owner/ ],
	[ 'nobody', 'CREATE DATABASE x TEMPLATE uno', qr/permission denied/ ],
	[ 'maker', 'CREATE DATABASE x TEMPLATE uno', qr/permission denied/ ])
{
	my ($role, $statement, $error) = @$try;
	my ($code, $stdout, $stderr) = $node->psql('postgres', $statement,
		extra_params => [ '-U', $role ]);
	like($stderr, $error, "$role: $statement");
	is(worker('uno'), $before, '... the worker stays');
}

# A statement that fails after it has sent the worker away.
$node->psql('postgres', 'ALTER DATABASE uno RENAME TO two');
ok(wait_for_worker('uno', $before), 'after a RENAME that failed it is back');

# Databases end; nobody tries to connect to them later.
my $place = log_end();
at_once('DROP DATABASE copy_1', 'DROP DATABASE');
at_once('DROP DATABASE copy_2 WITH (FORCE)', 'DROP DATABASE ... (FORCE)');
at_once('DROP DATABASE IF EXISTS copy_3', 'DROP DATABASE IF EXISTS');
at_once('DROP DATABASE IF EXISTS copy_3', '... when there is none');
create_database('four');
is(logged(qr/database \S+ does not exist$/m, $place), 0,
	'no worker is started in a dropped database');
is(worker('plain'), '', 'plain databases still have none');

# A template has no worker, so everybody may copy it.
sql('ALTER DATABASE four IS_TEMPLATE true');
at_once('CREATE DATABASE five TEMPLATE four', 'a template is copied');
ok(wait_for_worker('five'), '... its copy has a worker');
ok(wait_for_no_worker('four'), '... itself has none');
sql('ALTER DATABASE four IS_TEMPLATE false');
ok(wait_for_worker('four'), 'no template any more, it has one again');

# A worker that cannot connect is in nobody's way either.
sql("BEGIN; ALTER DATABASE four RENAME TO vier; PREPARE TRANSACTION 'rename'");
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_locks
		WHERE locktype = 'object' AND NOT granted"),
	'a worker waits for the lock of a prepared RENAME');
isnt(worker('five'), '', '... and no other');
$node->stop('fast');
pass('... nor of a fast shutdown');
$node->start;
sql("COMMIT PREPARED 'rename'");
ok(wait_for_worker('vier'), '... and connects in the end');

# No place for all workers: a warning with a hint, and the others work.
$node->append_conf('postgresql.conf', 'max_worker_processes = 4');
$place = log_end();
$node->restart;
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 2 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker'"),
	'two workers fit beside two launchers');
ok($node->wait_for_log(qr/WARNING:  out of background worker slots\n.*DETAIL:.*\n.*HINT:.*max_worker_processes/, $place),
	'the others are missed, with a hint');
my $gone = sql("SELECT datname FROM pg_stat_activity
	WHERE backend_type = 'webhook worker' ORDER BY datname LIMIT 1");
at_once("DROP DATABASE $gone", 'DROP DATABASE makes place');
ok($node->poll_query_until('postgres',
		"SELECT count(*) = 2 FROM pg_stat_activity
		WHERE backend_type = 'webhook worker' AND datname <> '$gone'"),
	'another database gets it');

# Settings
my ($code, $stdout, $stderr);
foreach my $bad ('5', '5s,', ',', '0s', '31d', '5 weeks', '-1s', '1.5h')
{
	($code, $stdout, $stderr) = $node->psql('postgres',
		"ALTER SYSTEM SET webhook.retry_schedule = '$bad'");
	like($stderr, qr/invalid value for parameter.*HINT:  Write a list/s,
		"retry_schedule refuses '$bad'");
}
foreach my $good ('', '1s', ' 1 s , 2min,3m,4h,30d ')
{
	($code) = $node->psql('postgres',
		"ALTER SYSTEM SET webhook.retry_schedule = '$good'");
	is($code, 0, "retry_schedule accepts '$good'");
}
sql('ALTER SYSTEM RESET webhook.retry_schedule');
($code, $stdout, $stderr) = $node->psql('postgres',
	"ALTER SYSTEM SET webhook.user_agent = E'x\\r\\nEvil: 1'");
like($stderr, qr/must consist of printable ASCII/, 'user_agent refuses CR LF');
($code, $stdout, $stderr) = $node->psql('postgres', "SET webhook.nonsense = 1");
like($stderr, qr/invalid configuration parameter name/, 'the prefix is reserved');

$node->stop;
is(logged(qr/TRAP|PANIC|terminated by signal/, 0), 0, 'nothing has crashed');

done_testing();
