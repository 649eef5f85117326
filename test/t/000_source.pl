# 000_source.pl
#	  The drawing of the folders in src/README.md is true: a file includes only
#	  headers of its own folder and of folders on lower floors, of those only
#	  the doors; a .c file implements only headers of its folder, and calls
#	  functions of other files only through headers that it includes; there is
#	  no circle, neither between folders nor between the files of one.  libcurl
#	  and the server know nothing of each other.  And the rules of style.

use strict;
use warnings;

use Test::More;

# From the ground up, and the headers that other folders may include: '*' is
# every one.
my @floors = (
	{ base => '*', net => '*' },
	{ http => 'http', process => 'shmem metrics changes wakeup launcher ddl_hooks' },
	{ ring => 'ring window tail progress event command context' },
	{ capture => 'capture', subscription => 'subscription', store => 'store' },
	{ delivery => 'delivery', message => 'message', '' => '' },
	{ worker => 'worker', functions => '' });

# Without a header of the server, and of ours only each other's.
my %free = map { $_ => 1 } qw(net http);

# The one file of http/ that knows the server, for the library's magic.
my $module = 'src/http/module.c';

my (%floor, %door);
foreach my $floor (0 .. $#floors)
{
	foreach my $folder (keys %{ $floors[$floor] })
	{
		$floor{$folder} = $floor;
		$door{$folder} = $floors[$floor]{$folder} eq '*' ? undef :
		  { map { ("$folder/$_.h" => 1) } split / /, $floors[$floor]{$folder} };
	}
}

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

# What a comment or a string says is no code.
sub code_of
{
	my ($text) = @_;
	$text =~ s{(/\*.*?\*/)|("(?:[^"\\\n]|\\.)*")}{$1 ? $1 =~ s{[^\n]}{ }gr : '""'}gse;
	return $text;
}

my @sources = sort grep { -f } glob 'src/*.[ch] src/*/*.[ch]';
my %source = map { $_ => slurp($_) } @sources;
my %code = map { $_ => code_of($source{$_}) } @sources;

sub folder_of { my ($file) = @_; return $file =~ m{^src/([^/]+)/} ? $1 : ''; }

sub none
{
	my ($what, @found) = @_;
	ok(!@found, $what) or diag(join "\n", @found);
	return;
}

# Includes: our own ones with quotes and from src/ on, so that a name says which
# file it is.
my (%includes, @unplaced, @upward, @closed, @curl, @server, @first, @unsorted, @unknown);
my @devious;

foreach my $file (@sources)
{
	my $folder = folder_of($file);
	my $is_header = $file =~ /\.h$/;
	my $is_free = $free{$folder} && $file ne $module;
	my @found = $source{$file} =~ /^[ \t]*#[ \t]*include[ \t]*([<"][^>"]+[>"])/mg;
	my @directives = $code{$file} =~ /^[ \t]*(?:#|%:|\?\?=)\s*(?:include|import).*/mg;

	push @unplaced, $file unless exists $floor{$folder};
	push @devious, "$file has an include that cannot be read" if @directives != @found;
	push @devious, map { "$file includes $_" } grep { m{(?:^.|/)\.\.?/|//|^./} or !/\.h.$/ } @found;
	foreach (@found)
	{
		my ($quote, $included) = /^(.)(.*).$/;

		push @curl, $file if $included =~ m{^curl/} and $folder ne 'http';
		next if $quote eq '<';
		if (!$source{"src/$included"})
		{
			push @server, "$file includes $included"
			  if $is_free or $is_header and $included eq 'postgres.h';
			push @unknown, "$file includes $included" if $included !~ m{/} and glob "src/*/$included";
			next;
		}

		my $other = folder_of("src/$included");
		push @{ $includes{$file} }, "src/$included";
		push @server, "$file includes $included" if $is_free and !$free{$other};
		next if $other eq $folder;
		push @upward, "$file includes $included" unless $floor{$other} < $floor{$folder};
		push @closed, "$file includes $included" if $door{$other} and !$door{$other}{$included};
	}

	push @first, $file
	  if !$is_header and !$is_free and ($found[0] // '') ne '"postgres.h"';

	# A block is what stands without a blank line in between.
	while ($source{$file} =~ /((?:^#include .*\n)+)/mg)
	{
		my @block = split /\n/, $1;
		push @unsorted, $file if "@block" ne join ' ', sort @block;
	}
}

# Functions: which header declares each, which file defines it.  One that SQL calls
# is declared by its PG_FUNCTION_INFO_V1, and only the server knows it.
my (%declared, %defined, @misplaced, @undefined, %calls);

foreach my $file (@sources)
{
	if ($file =~ /\.h$/)
	{
		push @{ $declared{$_} }, $file
		  foreach $code{$file} =~ /^extern\b[^;{]*?\b(webhook_\w+)\s*\([^;]*;/mg;
		next;
	}
	$defined{$_} = $file foreach $code{$file} =~ /^(webhook_\w+)\([^;{]*\)\s*\{/mg;
}
foreach my $function (sort keys %defined)
{
	my $file = $defined{$function};
	my ($folder, $name) = $file =~ m{^src/(?:(\w+)/)?(\w+)\.c$};
	next if $code{$file} =~ /^PG_FUNCTION_INFO_V1\($function\)/m or $code{$file} =~ /^static\b[^;]*\b$function\(/m;

	my @headers = map { s{^src/}{}r } @{ $declared{$function} // [] };
	my %own = map { ("$folder/$_.h" => 1) } $name, "${name}_internal", "${folder}_internal";
	push @misplaced, "$function of $file is declared in " . (join(', ', @headers) || 'no header')
	  unless @headers == 1
	  and ($own{ $headers[0] } or $door{$folder} && $door{$folder}{ $headers[0] });
}
foreach my $function (sort keys %declared)
{
	push @undefined, "$function of @{ $declared{$function} }" unless $defined{$function};
}

# All headers that a file includes, and that these include.
sub headers_of
{
	my ($file) = @_;
	my (%seen, @next);

	@next = @{ $includes{$file} // [] };
	while (defined(my $header = pop @next))
	{
		push @next, @{ $includes{$header} // [] } unless $seen{$header}++;
	}
	return \%seen;
}

# Which file calls, or points to, which other file's functions.  It knows them from
# a header that it includes, not from a prototype of its own.
my (@unknown_calls, @upward_calls);
foreach my $file (@sources)
{
	my %name = map { ($_ => 1) } grep { $defined{$_} } $code{$file} =~ /\b(webhook_\w+)\b/g;
	my $headers = headers_of($file);
	my %called;

	foreach my $function (grep { $defined{$_} ne $file } sort keys %name)
	{
		my $other = $defined{$function};
		my ($mine, $theirs) = map { folder_of($_) } $file, $other;

		$called{$other} = 1 if $file =~ /\.c$/;
		next if grep { $_ eq $file } @{ $declared{$function} // [] };
		push @unknown_calls, "$file: $function of $other"
		  unless grep { $headers->{$_} } @{ $declared{$function} // [] };
		push @upward_calls, "$file: $function of $other"
		  unless $theirs eq $mine or $floor{$theirs} < $floor{$mine};
	}
	$calls{$file} = [ sort keys %called ] if $file =~ /\.c$/;
}

# Variables of the whole program are settings.  Type, name, and the end or the value;
# in our sources such a definition begins at the first column.
my %setting = map { ("webhook_$_" => 1) } map { /"webhook\.(\w+)"/g } values %source;
my @variables;
foreach my $file (@sources)
{
	while ($code{$file} =~ /^(?!(?:static|extern|typedef|PG_)\b)([A-Za-z_][\w \t*]*?)\b(\w+)[ \t]*(?:\[[^]]*\]\s*)*(?:=|;)/mg)
	{
		my ($type, $name) = ($1, $2);
		push @variables, "$file: $name"
		  unless $type =~ /^(?:struct|union|enum|)\s*$|\bconst\s*$|^const\b[^*]*$/ or $setting{$name};
	}
}

# Headers of a folder with doors that are none.
my @nameless = grep {
	my $folder = folder_of($_);
	my ($path) = m{^src/(.*)$};
	/\.h$/ and $door{$folder} and !$door{$folder}{$path} and !/_internal\.h$/
} @sources;

# The circles of a graph: each a list of the names that reach one another.
sub circles
{
	my (%to) = @_;
	my (%reach, @circles, %seen);

	foreach my $from (keys %to)
	{
		my @next = @{ $to{$from} };
		while (defined(my $name = pop @next))
		{
			push @next, @{ $to{$name} // [] } unless $reach{$from}{$name}++;
		}
	}
	foreach my $name (sort keys %to)
	{
		next if $seen{$name} or !$reach{$name}{$name};
		my @circle = grep { $reach{$name}{$_} && $reach{$_}{$name} } sort keys %to;
		$seen{$_} = 1 foreach @circle;
		push @circles, join ' <-> ', @circle;
	}
	return @circles;
}

cmp_ok(scalar @sources, '>', 60, 'there are sources');
none('every folder has a floor', @unplaced);
none('includes lead to lower floors', @upward);
none('our headers are included with their folder', @unknown);
none('includes name headers, without detours', @devious);
none('from outside only doors are included', @closed);
none('what is no door is called internal', @nameless);
none('a function is declared in one header, of its own file, its folder or a door', @misplaced);
none('what is declared is defined', @undefined);
none('a file includes the header of each function that it calls', @unknown_calls);
none('calls lead to lower floors', @upward_calls);
none('variables of the whole program are settings', @variables);

my @circles = circles(%calls);
none('no file calls one that calls it', @circles);
none('no header includes one that includes it',
	circles(map { ($_ => [ grep { /\.h$/ } @{ $includes{$_} // [] } ]) } grep { /\.h$/ } @sources));

# The house as it is, from the top.
foreach my $floor (reverse 0 .. $#floors)
{
	foreach my $folder (sort keys %{ $floors[$floor] })
	{
		my %needs = map { (folder_of($_) => 1) }
		  map { (@{ $includes{$_} // [] }, @{ $calls{$_} // [] }) }
		  grep { folder_of($_) eq $folder } @sources;
		delete $needs{$folder};
		note(sprintf '%d  %-13s needs %s', $floor + 1, $folder || 'webhook.c',
			join(' ', sort keys %needs) || 'nothing');
	}
}

none('libcurl is known in http/ only', @curl);
none('no server header in net/ and http/, no postgres.h in a header', @server);
none('postgres.h comes first', @first);
none('includes are sorted', @unsorted);
none('a file opens with its name',
	grep { my ($name) = m{([^/]+)$}; $source{$_} !~ m{\A/\*\n \* \Q$name\E\n} } @sources);
none('versions differ in base/compat.h only',
	grep { $_ ne 'src/base/compat.h' and $source{$_} =~ /PG_VERSION_NUM|pg_attribute_noreturn/ }
	  @sources);
none('C comments only', lines(sub { m{^\s*//|[;{}]\s*//} }));
none('tabs', lines(sub { /^ {4}[^ ]/ }));
none('nothing is left for later', lines(sub { /\b(?:TODO|FIXME|XXX|HACK)\b/ }));

# What is installed is what the parts say.
foreach my $part (sort glob 'sql/parts/*.sql')
{
	my $text = slurp($part);
	$text =~ s/--.*//g;
	$text =~ s/\$[a-z]+\$.*?\$[a-z]+\$//g;
	unlike($text, qr/(?<![EeA-Za-z])'[^']*\\[^']*'/, "$part: no literal means something else where standard_conforming_strings is off");
}

# With the rights of the owner no code of another one runs: not that of a trigger, say, which
# who had TRIGGER on the table has left.
{
	# Trigger functions, and what is called by a function that has asked.
	my %asked = map { $_ => 1 } qw(replace_event_type replace_subscription store_options);
	my @unasked;

	foreach my $function (map { split /(?=^CREATE )/m, slurp($_) } glob 'sql/parts/*.sql')
	{
		my ($name) = $function =~ /\ACREATE FUNCTION webhook_internal\.(\w+)\(/ or next;
		next if $asked{$name};
		my %written = map { $_ => 1 }
		  $function =~ /\b(?:UPDATE|DELETE FROM|INSERT INTO)\s+webhook_internal\.(\w+)/g;
		push @unasked, map { "$name: $_" }
		  grep { $function !~ /require_trusted_table\('webhook_internal\.$_'/ } sort keys %written;
	}
	none('each function that writes a table asks whether it may be trusted', @unasked);
}

my ($version) = slurp('webhook.control') =~ /^default_version = '(.*)'$/m;
ok(slurp("sql/webhook--$version.sql") eq join('', map { slurp($_) } sort glob 'sql/parts/*.sql'),
	'the install script is up to date with sql/parts: make sql');

# A script that takes over what it finds takes over what others have put there.
none('the install script makes everything itself',
	grep { slurp($_) =~ /^\s*CREATE\s+(?:OR\s+REPLACE|[A-Z ]*IF\s+NOT\s+EXISTS)/mi } glob 'sql/*.sql');

# What src/README.md says of the folders, their doors, files and functions.
{
	my $readme = slurp('src/README.md');
	my (%drawn, %listed);

	while ($readme =~ /^(\d)   (.{0,44})/mg)
	{
		my ($floor, $folders) = ($1, $2);
		$drawn{ $1 // '' } = $floor - 1 while $folders =~ m{(?:([a-z]+)/|webhook\.c)(?= |$)}g;
	}
	is_deeply(\%drawn, \%floor, 'src/README.md draws the floors as they are');

	$listed{$1} = $2 while $readme =~ m{^\| ([a-z]+)/ \| (.*) \|$}mg;
	my %doors = map { my $floor = $_; map { $_ => $floor->{$_} } grep { $_ } keys %$floor } @floors;
	foreach (keys %listed)
	{
		$listed{$_} = $listed{$_} eq 'every header' ? '*' : join ' ', $listed{$_} =~ /`(\w+)\.h`/g;
	}
	is_deeply(\%listed, \%doors, 'src/README.md lists the doors as they are');

	my $all = join '', values %code;
	none('src/README.md names files and functions that are there',
		(grep { !-e "src/$_.c" and !-e "src/$_" } $readme =~ m{`([a-z]+/[a-z_.]+)`}g),
		grep { $all !~ /^\Q$_\E\(/m } $readme =~ /`((?:webhook|at)_[a-z_]+)`/g);
}

# Bounds that C and SQL check alike: webhook_internal.bounds() has them for SQL.
{
	my $sql = slurp("sql/webhook--$version.sql");
	foreach (
		[ 'ring/event.h', 'WEBHOOK_MAX_SUBJECT', qr/(\d+) AS subject_bytes\b/ ],
		[ 'ring/event.h', 'WEBHOOK_MAX_EVENT_TYPE', qr/(\d+) AS event_type_bytes\b/ ],
		[ 'base/guc.h', 'WEBHOOK_MAX_TIMEOUT', qr/'(\d+) min'::text AS max_timeout\b/, 60 * 1000 ],
		[ 'base/guc.h', 'WEBHOOK_MAX_WAIT', qr/'(\d+) days'::text AS max_wait\b/, 24 * 60 * 60 ],
		[ 'base/guc.c', 'MAX_WAITS', qr/(\d+) AS schedule_waits\b/ ])
	{
		my ($file, $name, $pattern, $unit) = @$_;
		my ($value) = $source{"src/$file"} =~ /^#define $name\s+([\d (*)]+)$/m;
		my ($bound) = $sql =~ $pattern;

		is($bound * ($unit // 1), eval($value), "$name is the same in C and SQL");
	}
	none('SQL has each of these bounds once', grep { /\b(?:128|512)\b/ && !/ AS \w+_bytes,/ } split /\n/, $sql);
}

# The error classes of the log: those of the engine, and those that the dispatcher gives.
{
	my ($documented) = slurp('docs/reference.md') =~ /^### Error classes\n(.*?)^## /ms;
	my ($engine) = $source{'src/http/http.h'} =~ /^webhook_http_error_name\(.*?^\}$/ms ? $& : '';
	my %class = map { $_ => 1 } $engine =~ /return "(\w+)";/g;

	# What is no failure, what is no attempt, and what cannot be.
	delete @class{qw(ok unsent no_port unknown)};
	foreach (map { $source{$_} } grep { m{^src/(?:delivery|worker)/} } @sources)
	{
		$class{$_} = 1 foreach /\b(?:error_)?class = [^;"]*"(\w+)"/g, /\bcancel_\w+\([^;"]*"(\w+)"/g;
	}
	is(join(' ', sort $documented =~ /^\| `(\w+)` \|/mg), join(' ', sort keys %class),
		'docs/reference.md has all error classes');
}

# Links within the tree, those from a guarantee to the test that shows it too.
{
	my @broken;

	foreach my $document (glob '*.md {docs,src,test,bench}/*.md')
	{
		my ($folder) = $document =~ m{^(.*/)?};
		push @broken, map { "$document: $_" }
		  grep { !-e(($folder // '') . $_) } slurp($document) =~ m{\]\((?!https?:)([^)#]+)}g;
	}
	none('links of the documents lead to files', @broken);
}

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

# "make" alone builds, with a server's development files and without.
foreach my $pg_config ('pg_config', '/nonexistent')
{
	local $ENV{MAKEFLAGS} = '';
	like(scalar `make -pn PG_CONFIG=$pg_config indent 2>/dev/null`, qr/^\.DEFAULT_GOAL := all$/m,
		"make alone makes all: PG_CONFIG=$pg_config");
}

# Symbols of one library are seen by all others on PostgreSQL 15.
foreach my $library (qw(webhook webhook_http))
{
	my ($file) = grep { -e } map { "$library.$_" } qw(so dylib);
	my @lines = $file ? split /\n/, `nm -g -P $file` : ();
	my @symbols = map { /^(\S+) [A-TV-Z] / } @lines;

	cmp_ok(scalar @symbols, '>', 0, "$library has symbols");
	none("$library: global symbols have its name",
		grep { !/^_?(?:webhook_|Webhook|pg_finfo_|Pg_magic_func$|_PG_init$|_init$|_fini$)/ } @symbols);
	none("$library: its variables are settings",
		grep { !$setting{ s/^_(?=webhook)//r } } map { /^(\S+) [BCDGS] / } @lines);
}

# Both libraries together, and which needs which.
SKIP:
{
	skip 'no ldd', 2 if !-e 'webhook.so' or system('command -v ldd >/dev/null') != 0;
	unlike(scalar `ldd webhook.so`, qr/libcurl/, 'the main library does without libcurl');
	like(scalar `ldd webhook_http.so`, qr/libcurl/, 'webhook_http has it');
}

done_testing();
