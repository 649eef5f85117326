# shell.pl
#	  shellcheck has nothing to say about any shell script; a line of TAP a file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../style";
use Style qw(slurp);
use Test::More;

plan skip_all => 'shellcheck is not installed' if system('command -v shellcheck >/dev/null') != 0;

foreach my $file (grep { -f and -T } glob '.ci/* bench/* packaging/debian/tests/* portal/* test/* test/*/*')
{
	next if slurp($file) !~ /\A#!.*\b(?:ba|da)?sh$/m;

	my $said = `shellcheck --external-sources '$file' 2>&1`;

	ok($? == 0, $file) or diag($said);
}
done_testing();
