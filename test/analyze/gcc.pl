# gcc.pl
#	  gcc's analyzer has nothing to say about any C file; a line of TAP a file.
#
# "make analyze" calls it, with the compiler's command in COMPILE.  Each version
# of gcc finds something else, some of it wrong: what another version than the
# one below finds is shown, but is no failure.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../style";
use Style qw(c_files);
use Test::More;

my $judged = 12;
my $jobs = 2;
my $command = "$ENV{COMPILE} -O0 -fanalyzer -o /dev/null -c";

plan skip_all => 'the compiler is not gcc' if `$command -x c /dev/null 2>&1` ne '';

my ($version) = `$ENV{COMPILE} -dumpversion` =~ /^(\d+)/;
my @waiting = grep { /\.c$/ } c_files();
my @running;

# The portal and what measures are built where their libraries are installed.
foreach my $header ('microhttpd.h', 'libpq-fe.h', 'openssl/ssl.h')
{
	next if system("$ENV{COMPILE} -E -include $header -x c /dev/null >/dev/null 2>&1") == 0;
	my @without = grep { system('grep', '-q', "#include <$header>", $_) == 0 } @waiting;
	SKIP: { skip "$header is missing: @without", scalar @without if @without; }
	@waiting = grep { my $file = $_; !grep { $file eq $_ } @without } @waiting;
}

while (@waiting or @running)
{
	while (@waiting and @running < $jobs)
	{
		my $file = shift @waiting;

		open my $output, '-|', "$command '$file' 2>&1" or die "$file: $!\n";
		push @running, [ $file, $output ];
	}

	my ($file, $output) = @{ shift @running };
	my @found = <$output>;

	print STDERR @found;
	ok(!@found || $version != $judged, $file);
}
done_testing();
