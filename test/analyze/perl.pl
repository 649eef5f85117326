# perl.pl
#	  Perl compiles, also what no test runs; a line of TAP a file.
#
# "make analyze" calls it, with the folder of the server's Perl modules in
# SERVER_PERL.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../style";
use Style qw(slurp);
use Test::More;

my $perl = "perl -c -I'$ENV{SERVER_PERL}' -Itest/t -Itest/chaos -Itest/style -Itest/portal -Ibench";

foreach my $file (grep { -f and -T } glob '{bench,test,test/*,test/*/*}/*')
{
	next if $file !~ /\.p[lm]$/ and slurp($file) !~ /\A#!.*\bperl$/m;

	my $said = `$perl '$file' 2>&1`;

	ok($? == 0, $file) or diag($said);
}
done_testing();
