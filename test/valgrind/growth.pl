# growth.pl
#	  Does a worker's memory stay as it is over 100,000 deliveries?
#
# Half of them are delivered and half are refused, with what the log keeps of
# both.  What the allocator takes once is taken in the rounds before the first
# measurement.  The server runs without valgrind, and at its usual speed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../t";

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('growth', "webhook.retry_schedule = ''");

$server->sql('CREATE EXTENSION webhook');
my $ok = $server->subscribe('/ok/growth');
my $refused = $server->subscribe('/status/422/growth', q(final_statuses => '{422}'));
my $worker = $server->worker;

# Memory of the worker alone, in kB.
sub private
{
	my $kb = 0;
	$kb += $_ foreach slurp_file("/proc/$worker/smaps_rollup") =~ /^Private_\w+:\s+(\d+) kB/mg;
	return $kb;
}

sub deliver
{
	my ($what) = @_;
	$server->publish_many($type, 10_000);
	$server->settle($what);
	return private();
}

deliver("before, $_") foreach 1 .. 3;
my $before = private();
my @after = map { deliver("round $_") } 1 .. 5;

is($server->sql("SELECT count(*) FILTER (WHERE outcome = 'delivered'), count(*) FILTER (WHERE outcome = 'failed') FROM webhook.log"),
	'80000|80000', 'all have ended');
is($server->worker, $worker, 'in one worker');
cmp_ok($after[-1] - $before, '<', 1024, "100,000 deliveries take less than 1 MB ($before kB, then @after)");

$server->stop;
done_testing();
