# 000_layers.pl
#	  The drawing of the rooms is true: a file includes headers of lower floors
#	  and of its own room only, so rooms have no cycles; libcurl is behind
#	  http.h; the half without PostgreSQL is without it.  And the rules of the
#	  house.

use strict;
use warnings;

use Test::More;

# From the ground up.  A room has the name of its header; files that only it
# needs are in brackets.
my @floors = (
	'guc catalog snapshot table event secret redact endpoint address[address_block]',
	'shmem[wakeup] ring_row filter[filter_cost] command guard '
	  . 'http[http_easy http_guard http_resolve http_result http_sockets http_transfer]',
	'http_module ring[sequence] window subscription[subscription_row] '
	  . 'pending[pending_row pending_due] partition checkpoint state',
	'message journal[transcript]',
	'delivery[health lane leaving order place progress rounds saving verdict]',
	'launcher[databases] utility worker[attempt cancel intake loading notice sender transaction '
	  . 'upkeep writer]',
	'webhook trigger[move payload] functions[replaying signing subscribing]');

# No header of the server in these, and of ours only each other's.
my %free = map { $_ => 1 } qw(address address_block endpoint http http_easy http_guard
	http_resolve http_result http_sockets http_transfer);

# Where libcurl is known: behind http.h.
my $curl = qr{^src/http(?:\.c|_\w+\.[ch])$};

my (%floor, %room);
foreach my $floor (0 .. $#floors)
{
	while ($floors[$floor] =~ /(\w+)(?:\[([^]]*)\])?/g)
	{
		foreach my $file ($1, split / /, $2 // '')
		{
			$floor{$file} = $floor;
			$room{$file} = $1;
		}
	}
}

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

my @sources = sort glob 'src/*.[ch]';
my %header = map { m{([^/]+)$} => 1 } glob 'src/*.h';
my %source = map { $_ => slurp($_) } @sources;
my (@unplaced, @upward, @curl, @server, @first, @unsorted);

foreach my $file (@sources)
{
	my ($name) = $file =~ m{([^/]+)\.[ch]$};
	my $is_header = $file =~ /\.h$/;
	my @includes = $source{$file} =~ /^[ \t]*#[ \t]*include[ \t]+([<"][^>"]+[>"])/mg;

	push @unplaced, $file unless exists $floor{$name} or $name eq 'compat';
	foreach (@includes)
	{
		my ($system, $included) = /^(.)(.*).$/;

		push @curl, $file if $included =~ m{^curl/} and $file !~ $curl;
		next if $system eq '<';
		if ($header{$included})
		{
			my ($other) = $included =~ /^(.*)\.h$/;
			push @server, "$file includes $included" if $free{$name} and !$free{$other};
			next if $other eq 'compat' and $name ne 'compat';
			push @upward, "$file includes $included"
			  unless ($room{$other} // '') eq ($room{$name} // 'compat')
			  or ($floor{$other} // 99) < ($floor{$name} // 0);
		}
		elsif ($free{$name} or $is_header and $included eq 'postgres.h')
		{
			push @server, "$file includes $included";
		}
	}

	push @first, $file
	  if !$is_header and !$free{$name} and ($includes[0] // '') ne '"postgres.h"';

	# A block is what stands without a blank line in between.
	while ($source{$file} =~ /((?:^#include .*\n)+)/mg)
	{
		my @block = split /\n/, $1;
		push @unsorted, $file if "@block" ne join ' ', sort @block;
	}
}

sub none
{
	my ($what, @found) = @_;
	ok(!@found, $what) or diag(join "\n", @found);
	return;
}

cmp_ok(scalar @sources, '>', 20, 'there are sources');
none('every room has a floor', @unplaced);
none('includes lead downwards', @upward);
none('libcurl is known behind http.h only', @curl);
none('no server header in the free half, no postgres.h in a header', @server);
none('postgres.h comes first', @first);
none('includes are sorted', @unsorted);

none('a file has one job: 600 lines at most',
	grep { ($source{$_} =~ tr/\n//) > 600 } @sources);
none('a file opens with its name',
	grep { my ($name) = m{([^/]+)$}; $source{$_} !~ m{\A/\*\n \* \Q$name\E\n} } @sources);
none('versions differ in compat.h only',
	grep { $_ ne 'src/compat.h' and $source{$_} =~ /PG_VERSION_NUM|pg_attribute_noreturn/ }
	  @sources);
none('lines end at column 100, but for messages', lines(sub { length(expand($_)) > 100 and !/"/ }));
none('C comments only', lines(sub { m{^\s*//|[;{}]\s*//} }));
none('tabs, no trailing blank', lines(sub { /[ \t]$|^ {4}[^ ]/ }));
none('nothing is left for later', lines(sub { /\b(?:TODO|FIXME|XXX|HACK)\b/ }));


# A script that takes over what it finds takes over what others have put there.
none('the install script makes everything itself',
	grep { slurp($_) =~ /^\s*CREATE\s+(?:OR\s+REPLACE|[A-Z ]*IF\s+NOT\s+EXISTS)/mi } glob 'sql/*.sql');

# Lines of the sources that a test likes, with where they are.
sub lines
{
	my ($test) = @_;
	my @found;

	foreach my $file (@sources)
	{
		my $number = 0;
		foreach (split /\n/, $source{$file})
		{
			$number++;
			push @found, "$file:$number: $_" if $test->();
		}
	}
	return @found;
}

sub expand
{
	my ($line) = @_;
	utf8::decode($line);
	1 while $line =~ s/^([^\t]*)\t/$1 . ' ' x (4 - length($1) % 4)/e;
	return $line;
}

# Symbols of one library are seen by all others on PostgreSQL 15.
foreach my $library (qw(webhook webhook_http))
{
	my ($file) = grep { -e } map { "$library.$_" } qw(so dylib);
	my @symbols = $file ? map { /^(\S+) [A-TV-Z] / } split /\n/, `nm -g -P $file` : ();

	cmp_ok(scalar @symbols, '>', 0, "$library has symbols");
	none("$library: global symbols have its name",
		grep { !/^_?(?:webhook_|Webhook|pg_finfo_|Pg_magic_func$|_PG_init$|_init$|_fini$)/ } @symbols);
}

# Both libraries together, and which needs which.
SKIP:
{
	skip 'no ldd', 2 if !-e 'webhook.so' or system('command -v ldd >/dev/null') != 0;
	unlike(scalar `ldd webhook.so`, qr/libcurl/, 'the main library does without libcurl');
	like(scalar `ldd webhook_http.so`, qr/libcurl/, 'webhook_http has it');
}

done_testing();
