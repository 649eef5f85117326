# text.pl
#	  Lines are no wider than .editorconfig says, but for those of code that a
#	  string or a pattern makes wide, and in documents tables, examples and links;
#	  no blank ends a line, and a newline ends each file.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Style qw(slurp width);
use Test::More;

my @files = sort grep { -f } glob('*.md'),
  map { glob "{$_,$_/*,$_/*/*}/*.{c,h,pl,pm,sql,sh,md}" } qw(src sql test bench docs portal);

foreach my $file (@files)
{
	my $number = 0;
	my @found;
	my $text = slurp($file);
	my ($kind) = $file =~ /\.(\w+)$/;
	my $width = width($kind);
	my $is_example = 0;

	utf8::decode($text);
	foreach (split /\n/, $text)
	{
		$number++;
		$is_example = !$is_example if $kind eq 'md' and /^\s*```/;
		push @found, "$file:$number: a blank at the end" if /[ \t\r]$/;
		push @found, "$file:$number: wider than $width" if columns($_) > $width && !$is_example && !may_be_wide($kind);
	}
	push @found, "$file: no newline at the end" if $text !~ /\n\z/;
	ok(!@found, $file) or diag(join "\n", @found);
}
done_testing();

# Returns true if a line, in $_, cannot be broken.  A comment always can.
sub may_be_wide
{
	my ($kind) = @_;

	return /^\|/ || !/\S\s+\S/ if $kind eq 'md';
	return !m{^\s*(?:/?\*|//)} && s{/\*.*}{}r =~ /["']/ if $kind =~ /^[ch]$/;
	return !/^\s*--/ && /["']/ if $kind eq 'sql';
	return !/^\s*#/ && ($kind =~ /^p[lm]$/ ? /["']|\bqr\b|=~|!\// : /["']/);
}

sub columns
{
	my ($line) = @_;
	1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (4 - length($1) % 4)/e;
	return length $line;
}
