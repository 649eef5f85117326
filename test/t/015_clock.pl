# 015_clock.pl
#	  Runs test/clock/*.sql, the rooms of the worker on a fake clock, in a
#	  cluster that knows nothing of the extension; each assertion there is one
#	  here.  Rooms keep static state, so each script has a session of its own.

use strict;
use warnings;

use Cwd;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('clock');
$node->init;
$node->start;

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;

$node->safe_psql('postgres', 'CREATE EXTENSION pgtap');
command_ok(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'module=' . getcwd . '/build/clock',
		'-d', 'postgres', '-f', 'test/clock/functions.sql' ],
	'the module is loaded');

foreach my $script (sort glob 'test/clock/*.sql')
{
	my ($name) = $script =~ m{([^/]+)\.sql$};
	next if $name eq 'functions';

	my ($stdout, $stderr) =
	  run_command([ 'pg_prove', '--verbose', '--dbname', 'postgres', $script ]);
	my $status = $?;
	my $failing = 0;

	foreach (split /\n/, $stdout)
	{
		if (/^(not )?ok \d+(?: - )?(.*)$/)
		{
			$failing = defined $1;
			ok(!$failing, "$name: $2");
		}
		elsif ($failing and /^#/)
		{
			diag($_);
		}
	}
	is($status, 0, "$name: complete") or diag($stderr);
}

$node->stop;
done_testing();
