# 001_pgtap.pl
#	  Runs test/pgtap/*.sql in a cluster that preloads the library, each script
#	  in a database of its own; each assertion there is one here.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('pgtap');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->start;

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;

foreach my $script (sort glob 'test/pgtap/*.sql')
{
	my ($name) = $script =~ m{([^/]+)\.sql$};

	$node->safe_psql('postgres', qq{CREATE DATABASE "$name"});
	$node->safe_psql($name, 'CREATE EXTENSION webhook; CREATE EXTENSION pgtap');

	my ($stdout, $stderr) =
	  run_command([ 'pg_prove', '--verbose', '--dbname', $name, $script ]);
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

done_testing();
