# 015_clock.pl
#	  Do the decisions of the worker hold at each instant: order, retries,
#	  breaker, fair shares, limits?
#
# Runs test/clock/*.sql, scripts that drive the worker's own code on a clock that
# they set, in a server that does not have the extension.  That code keeps its
# state in static variables, so each script has a session of its own.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Cwd;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('clock', '', plain => 1);

local $ENV{PGHOST} = $server->node->host;
local $ENV{PGPORT} = $server->node->port;

$server->sql('CREATE EXTENSION pgtap');
command_ok(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', 'module=' . getcwd . '/build/clock',
		'-d', 'postgres', '-f', 'test/clock/functions.sql' ],
	'the module is loaded');

foreach my $script (sort glob 'test/clock/*.sql')
{
	$server->run_script($script) if $script !~ /functions/;
}

$server->stop;
done_testing();
