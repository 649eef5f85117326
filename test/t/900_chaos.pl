# 900_chaos.pl
#	  Does everything that is committed arrive, in order, and nothing else, and is
#	  each call in the log, whatever happens to the server, the receiver and the
#	  subscriptions?
#
# One run is the same each time, as far as time allows, and one is another each
# time.  "make chaos SECONDS=n SEED=n" makes one run with these.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/../chaos";

use Chaos;
use Test::More;
use Time::HiRes qw(time);

my $random = $ENV{SEED} || 1 + int(time() * 1000) % 1_000_000;
my @runs = $ENV{SECONDS} ? [ $random, $ENV{SECONDS} ] : ([ 175, 30 ], [ $random, 30 ]);

foreach (@runs)
{
	my ($seed, $seconds) = @$_;
	note("SEED=$seed, $seconds s");

	my $chaos = Chaos->new($seed, $seconds);
	my $found = $chaos->run;
	my $what = "seed $seed";

	# A run that does nothing would pass but for the first line.
	cmp_ok($found->{calls}, '>', 20 * $seconds, "$what: there were many calls");
	is($chaos->{failed_processes} // 0, 0, "$what: all writers worked to the end");
	is($chaos->{drained}, 't', "$what: all that was committed was sent in the end");
	ok($chaos->{left}, "$what: nothing is pending");
	is($chaos->{miscounted}, '', "$what: the numbers of pending deliveries are those of the rows");
	none($found->{lost}, "$what: all that was committed and matches arrived");
	none($found->{unended}, "$what: the log says of each that it was delivered");
	none($found->{false}, "$what: nothing else arrived");
	none($found->{disordered}, "$what: first arrivals are in the order of the commits");
	none($found->{invented}, "$what: each response in the log was given");
	none($found->{unlogged}, "$what: each call is in the log, but for those that a crash or a stop could take");
	cmp_ok($found->{crashed}, '<=', $chaos->crashes * Chaos::at_risk(), "$what: a crash takes no more than it may");
	cmp_ok($found->{stopped}, '<=', $chaos->stops * Chaos::at_risk(), "$what: nor does a stop");
	none([ $chaos->failures ], "$what: no process failed");

	my $disturbances = $chaos->{disturbances};
	my $all = 0;
	$all += $_ foreach values %$disturbances;
	note("seed          $seed");
	note("disturbances  $all");
	note(sprintf '%12d  %s', $disturbances->{$_}, $_) foreach sort keys %$disturbances;
	note("events        $found->{events}");
	note("subscriptions $found->{keys}");
	note("calls         $found->{calls}");
	note(sprintf '%-13s %d', $_, scalar @{ $found->{$_} })
	  foreach qw(lost unended false disordered changed);
	note('twice         ', $found->{twice} // 0);
	note(sprintf 'unlogged      %d (and %d by crashes, %d by planned stops)',
		scalar @{ $found->{unlogged} }, $found->{crashed}, $found->{stopped});
	note(sprintf 'crashes       %d, planned stops %d', $chaos->crashes, $chaos->stops);
	note("memory        $chaos->{memory} kB");
	$chaos->server->stop('immediate');
	$chaos->receiver->stop;
}
done_testing();

# That a list is empty: an assertion, with its first members.
sub none
{
	my ($list, $what) = @_;
	return is(scalar @$list, 0, $what) || diag(join "\n", splice @{ [@$list] }, 0, 10);
}
