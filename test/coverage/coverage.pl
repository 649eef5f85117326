# coverage.pl
#	  Says which lines of src were run, from the counts that gcc's instrumented
#	  code has left in a folder: by file and in all.
#
#	  perl test/coverage/coverage.pl FOLDER
#
# A file is compiled into several programs and libraries; a line was run if it
# was in any.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Find;
use JSON::PP;

my $folder = abs_path($ARGV[0]);
my (@notes, %lines);

find(sub { push @notes, $File::Find::name if /\.gcno$/ }, $folder);
die "nothing in $folder was built with counters\n" if !@notes;

foreach my $notes (@notes)
{
	open my $gcov, '-|', "cd '$folder' && gcov --json-format --stdout '$notes' 2>/dev/null"
	  or die "gcov: $!\n";
	add($_) foreach map { decode_json($_) } <$gcov>;
	close $gcov or die "gcov: status $?\n";
}

my ($all_run, $all) = (0, 0);

foreach my $file (sort keys %lines)
{
	my $counts = $lines{$file};
	my @missed = grep { !$counts->{$_} } sort { $a <=> $b } keys %$counts;
	my $total = keys %$counts;

	report($total - @missed, $total, $file . (@missed ? ", not " . ranges(@missed) : ''));
	$all_run += $total - @missed;
	$all += $total;
}
report($all_run, $all, 'all');

# The lines of a program's part, if it is of src.
sub add
{
	my ($part) = @_;

	foreach my $file (@{ $part->{files} })
	{
		my $name = abs_path("$folder/$file->{file}") || next;

		next if $name !~ s{^\Q$folder\E/(?=src/)}{};
		$lines{$name}{ $_->{line_number} } += $_->{count} foreach @{ $file->{lines} };
	}
	return;
}

sub report
{
	my ($run, $total, $what) = @_;
	printf "%5.1f %%  %5d of %5d  %s\n", 100 * $run / ($total || 1), $run, $total, $what;
	return;
}

# Numbers in ascending order as "1-3, 7".
sub ranges
{
	my @ranges;

	foreach my $number (@_)
	{
		if (@ranges and $ranges[-1][1] == $number - 1)
		{
			$ranges[-1][1] = $number;
		}
		else
		{
			push @ranges, [ $number, $number ];
		}
	}
	return join ', ', map { $_->[0] == $_->[1] ? $_->[0] : "$_->[0]-$_->[1]" } @ranges;
}
