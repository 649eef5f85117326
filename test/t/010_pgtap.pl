# 010_pgtap.pl
#	  Runs test/pgtap/*.sql in a cluster that preloads the library, each script
#	  in a database of its own; each assertion there is one here.  A script that
#	  needs other settings of the server begins with lines "-- server: name = value".

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('pgtap');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->start;

my %before;

local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;

foreach my $script (sort glob 'test/pgtap/*.sql')
{
	my ($name) = $script =~ m{([^/]+)\.sql$};

	$node->safe_psql('postgres', qq{CREATE DATABASE "$name"});
	$node->safe_psql($name, 'CREATE EXTENSION webhook; CREATE EXTENSION pgtap');

	my %settings = slurp_file($script) =~ /^-- server: (\S+) = '(.*)'$/mg;
	set($_, "= '$settings{$_}'", $settings{$_}) foreach sort keys %settings;

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
	set($_, 'TO DEFAULT', $before{$_}) foreach sort keys %settings;
}

done_testing();

# Change a setting of the server, and wait until new sessions have it.
sub set
{
	my ($setting, $change, $value) = @_;

	$before{$setting} //= $node->safe_psql('postgres', "SHOW $setting");
	$node->safe_psql('postgres', "ALTER SYSTEM SET $setting $change");
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT pg_catalog.current_setting('$setting') = '$value'")
	  or die "$setting does not become '$value'";
	return;
}
