# text.pl
#	  Lines are no wider than .editorconfig says, but for those that a string or
#	  a pattern makes wide; no blank ends a line, and a newline ends each file.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Style qw(slurp width);
use Test::More;

my $width = width();
my @files = sort grep { -f } map { glob "{$_,$_/*,$_/*/*}/*.{c,h,pl,pm,sql,sh}" } qw(src sql test bench);

foreach my $file (@files)
{
	my $number = 0;
	my @found;
	my $text = slurp($file);
	my $long = $file =~ /\.p[lm]$/ ? qr/["']|\bqr\b|=~|!\// : qr/["']/;

	utf8::decode($text);
	foreach (split /\n/, $text)
	{
		$number++;
		push @found, "$file:$number: a blank at the end" if /[ \t\r]$/;
		push @found, "$file:$number: wider than $width" if columns($_) > $width && !/$long/;
	}
	push @found, "$file: no newline at the end" if $text !~ /\n\z/;
	ok(!@found, $file) or diag(join "\n", @found);
}
done_testing();

sub columns
{
	my ($line) = @_;
	1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (4 - length($1) % 4)/e;
	return length $line;
}
