# 010_pgtap.pl
#	  Do the SQL functions and views do what they promise?
#
# Runs test/pgtap/*.sql, each script in a database of its own.  A script that
# needs other settings of the server begins with lines "-- server: name = 'value'".

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('pgtap');

foreach my $script (sort glob 'test/pgtap/*.sql')
{
	my ($name) = $script =~ m{([^/]+)\.sql$};
	my $database = $server->database($name);
	my %settings = slurp_file($script) =~ /^-- server: (\S+) = '(.*)'$/mg;

	$server->sql(qq{CREATE DATABASE "$name"});
	$database->sql('CREATE EXTENSION webhook; CREATE EXTENSION pgtap');
	$server->set($_, $settings{$_}) foreach sort keys %settings;
	$database->run_script($script);
	$server->reset($_) foreach sort keys %settings;
}

$server->stop;
done_testing();
