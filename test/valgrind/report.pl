# report.pl
#	  What valgrind has said of our code: errors whose stack has a frame in src.
#
# Argument: the folder with the logs, one a process.  Of several errors with the
# same frames of ours one is shown, and their number.  Those of the server and of
# libraries alone are counted.

use strict;
use warnings;

my ($folder) = @ARGV;
my ($processes, $others) = (0, 0);
my (%count, %example);

foreach my $file (glob "$folder/*.log")
{
	open my $handle, '<', $file or die "$file: $!\n";
	my $text = do { local $/; <$handle> };
	$processes++;
	$text =~ s/^(?:==|--|\*\*)\d+(?:==|--|\*\*) ?//mg;
	foreach my $error (split /\n\s*\n/, $text)
	{
		next if $error !~ /^ +(?:at|by) 0x/m;
		my @ours = map { /\(\S*?(src\/\w+\/\w+\.[ch]:\d+)\)/ ? $1 : () } split /\n/, $error;
		@ours = grep { my ($source) = split /:/; -e $source } @ours;
		if (!@ours)
		{
			$others++;
			next;
		}
		my ($what) = $error =~ /^\s*(.*)/;
		$count{"$what @ours"}++;
		$example{"$what @ours"} //= $error;
	}
}

foreach (sort { $count{$b} <=> $count{$a} } keys %count)
{
	print "\n$count{$_} times:\n$example{$_}\n";
}
printf "\n%d processes, %d errors of the server and of libraries alone, %d errors in src\n",
  $processes, $others, scalar keys %count;
if ($processes == 0)
{
	print "valgrind has written nothing\n";
	exit 1;
}
exit(%count ? 1 : 0);
