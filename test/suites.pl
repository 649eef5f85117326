# suites.pl
#	  Runs suites of tests one after the other, whatever becomes of each, and
#	  ends with what they add up to.
#
# Arguments: a name and a shell command, again and again.  What a suite did is
# read from what it printed: pg_regress's line a test (its own form up to
# PostgreSQL 15, TAP since) and prove's summary, an assertion each.  A suite
# that failed, or of which nothing can be read, counts as a failure at least.
# What prove says was skipped is said again at the end.

use strict;
use warnings;

my ($passed, $failed) = (0, 0);
my (@lines, @skipped);

# Where pg_regress and pg_isolation_regress leave what differs.
my @diffs = qw(regression.diffs output_iso/regression.diffs);

$| = 1;
while (my ($name, $command) = splice @ARGV, 0, 2)
{
	my ($good, $bad) = (0, 0);
	my $nskipped = @skipped;

	print "\n== $name\n";
	unlink @diffs;
	my $pid = open(my $output, '-|') // die "could not run $command: $!\n";
	if ($pid == 0)
	{
		setpgrp;
		exec '/bin/sh', '-c', "exec 2>&1; $command";
	}

	# Who ends this ends the suite with all that it has started.
	local @SIG{qw(HUP INT TERM)} = map {
		my $signal = $_;
		sub { kill $signal => -$pid; exit 1; }
	} qw(HUP INT TERM);
	while (my $line = <$output>)
	{
		print $line;

		# pg_regress and pg_isolation_regress
		if ($line =~ /^(?:test)?\s+\S+\s+\.\.\. (ok|FAILED|failed)\b/)
		{
			$1 eq 'ok' ? $good++ : $bad++;
		}
		elsif ($line =~ /^(not )?ok \d+\s+[-+] \S+\s+\d+ ms$/)
		{
			$1 ? $bad++ : $good++;
		}

		# prove: a line each for scripts that are not in order, then a total
		elsif ($line =~ /\(Wstat: .* Tests: \d+ Failed: (\d+)\)/)
		{
			$bad += $1 || 1;
			$good -= $1;
		}
		elsif ($line =~ /^Files=\d+, Tests=(\d+),/)
		{
			$good += $1;
		}
		elsif ($line =~ /^(?:\[[\d:]+\] )?(\S+) \.+ (skipped: .*)/)
		{
			push @skipped, "$name: $1 was $2\n";
		}
	}
	if (!close $output and $bad == 0)
	{
		print "$name: ended with status ", $? >> 8, "\n";
		$bad++;
	}
	if ($good + $bad == 0 and $nskipped == @skipped)
	{
		print "$name: no test ran\n";
		$bad++;
	}
	foreach my $diff ($bad ? grep { -e } @diffs : ())
	{
		print "\n$diff:\n", head($diff);
	}
	push @lines, sprintf "%-12s %5d passed, %d failed\n", $name, $good, $bad;
	$passed += $good;
	$failed += $bad;
}

print "\n", @lines, map({ "\n$_" } @skipped), "\n$passed passed, $failed failed\n";
exit($failed || !$passed ? 1 : 0);

# As much of a file as anybody reads.
sub head
{
	my ($file) = @_;
	open my $handle, '<', $file or return;
	my @text = <$handle>;
	return @text <= 400 ? @text : (@text[0 .. 399], "...\n");
}
