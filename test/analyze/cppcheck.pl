# cppcheck.pl
#	  cppcheck has nothing to say about any C file, but for what suppressed.txt
#	  lists, with the reason; a line of TAP a file.
#
# Each version finds something else, some of it wrong: what another version than
# the one below finds is shown, but is no failure.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../style";
use Style qw(c_files);
use Test::More;

my $judged = '2.10';
my $cache = 'build/cppcheck';
my $here = 'test/analyze';

my ($version) = (`cppcheck --version 2>/dev/null` || '') =~ /(\d+\.\d+)/
  or plan skip_all => "cppcheck is not installed";

system("mkdir -p $cache") == 0 or die "mkdir: status $?\n";

my @options = ('-q', '-j2', '--std=c11', "--cppcheck-build-dir=$cache",
	'--enable=warning,performance,portability,style', '--suppress=missingInclude',
	"--suppressions-list=$here/suppressed.txt", "--include=$here/macros.h",
	"--template='{file}:{line}: {message} [{id}]'", qw(-Isrc -I. -Itest/unit -Itest/clock));
my @found = `cppcheck @options src test bench portal 2>&1`;

print STDERR @found;
foreach my $file (c_files())
{
	my @others = grep { !/^\Q$file\E:/ } @found;

	ok($version ne $judged || @others == @found, $file);
	@found = @others;
}
ok($version ne $judged || !@found, 'nothing else');
done_testing();
