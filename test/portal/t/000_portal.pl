# 000_portal.pl
#	  The rules of src/ that hold for portal/ too: a file opens with its name, defines
#	  what its own header declares, and calls nobody who calls it; one file knows the HTTP
#	  library, one the database.  And docs/portal.md lists the routes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../style";

use Style qw(slurp);
use Test::More;

my @sources = sort glob 'portal/*.[ch]';
my %text = map { $_ => slurp($_) } @sources;
my (%declared, %defined, %calls);

cmp_ok(scalar @sources, '>', 20, 'there are sources');
foreach my $file (@sources)
{
	my ($name) = $file =~ m{([^/]+)$};
	my $code = $text{$file} =~ s{/\*.*?\*/|"(?:[^"\\\n]|\\.)*"}{}gsr;

	like($text{$file}, qr/\A\/\*\n \* \Q$name\E\n/, "$file opens with its name");
	unlike($text{$file}, qr/<microhttpd\.h>/, "$file does not know the HTTP library") if $file ne 'portal/http.c';
	unlike($text{$file}, qr/<libpq/, "$file does not know the database's") if $file ne 'portal/link.c';
	unlike($text{$file}, qr{^\s*//|[;{}]\s*//|^ {4}[^ ]|\b(?:TODO|FIXME|XXX)\b}m, "$file has C comments, tabs and an end");
	if ($file =~ /\.h$/)
	{
		$declared{$_} = $file foreach $code =~ /^extern\b[^;{]*?\b(portal_\w+)\s*\(/mg;
	}
	else
	{
		$defined{$_} = $file foreach $code =~ /^(portal_\w+)\([^;{]*\)\s*\{/mg;
		$calls{$file} = { map { $_ => 1 } $code =~ /\b(portal_\w+)\b/g };
	}
}
is_deeply(\%declared, { map { $_ => $defined{$_} =~ s/\.c$/.h/r } keys %defined }, 'a function is declared in the header of its file');

# Which files each file calls, and those that they call, do not lead back to it.
my %to = map {
	my $file = $_;
	$file => [ grep { $_ ne $file } map { $defined{$_} // () } keys %{ $calls{$file} } ]
} keys %calls;
foreach my $from (sort keys %to)
{
	my (%seen, @next);
	@next = @{ $to{$from} };
	while (defined(my $file = pop @next))
	{
		push @next, @{ $to{$file} } unless $seen{$file}++;
	}
	ok(!$seen{$from}, "$from calls nobody who calls it");
}

# The routes: docs/portal.md lists each with its parameters, and no others.
my %routes = map {
	my ($method, $path) = m{^portal/routes/(get|post)/(.+)\.sql$};
	my ($parameters) = slurp($_) =~ /^-- parameters: (.*(?:\n-- \t.*)*)/m;
	(uc($method) . " api/$path" => $method eq 'post' ? undef : [ grep { /\w/ } split /[^\w]+/, $parameters // '' ])
} glob 'portal/routes/{get,post}/*.sql';
my %listed = slurp('docs/portal.md') =~ /^\| `(\w+ api\/[\w.]+)` \| ([^|]*) \|/mg;

is_deeply([ sort keys %listed ], [ sort keys %routes ], 'docs/portal.md lists all routes');
is_deeply([ $listed{$_} =~ /`(\w+)`/g ], $routes{$_}, "docs/portal.md lists the parameters of $_")
  foreach grep { $routes{$_} } sort keys %routes;

# The keys of a POST under the name of a function are the function's arguments.
my %arguments = map { slurp($_) =~ /^CREATE FUNCTION webhook\.(\w+)\((.*?)\)\s+RETURNS/msg } glob 'sql/parts/*.sql';
my %keys = slurp('build/portal/routes.c') =~ /\{"POST", "(\w+)",.*?\[\]\) \{(.*?), NULL\}/sg;
is(join(' ', sort $keys{$_} =~ /\w+/g), join(' ', sort map { /(\w+)/ } split /,/, $arguments{$_}), "POST api/$_ takes the arguments of webhook.$_()")
  foreach grep { $_ ne 'verify' } sort keys %keys;

# Texts are text: pages are made of nodes alone, and nothing is written into the page.
unlike(slurp($_), qr/\b(?:(?:inner|outer)HTML|insertAdjacentHTML|document\.write|eval|DOMParser)\b|javascript:/, "$_ makes no markup of a text")
  foreach sort glob 'portal/www/*.js portal/www/pages/*.js';
unlike(slurp('portal/www/index.html'), qr/<style|\bstyle=|\bon\w+=|<script(?![^>]*\bsrc=)/, 'the page has nothing inline');

# What the audit can have is offered as a filter of it.
my ($offered) = slurp('portal/www/pages/audit.js') =~ /^const actions = \[(.*?)\];$/ms;
my %acts;
foreach my $part (glob 'sql/parts/*.sql')
{
	my $sql = slurp($part);
	$acts{$_} = 1 foreach $sql =~ /\baudit(?:_of|_options|_watch)?\(\s*'(\w+)'/g, $sql =~ /^CREATE FUNCTION webhook\.(grant_\w+|alter_subscription|revoke|pause|resume)\(/mg;
}
is_deeply([ sort $offered =~ /'(\w+)'/g ], [ sort keys %acts ], 'page Audit offers each action');

# The code for receivers: that of docs/receivers.md, once in each language.
my ($shown, %sample) = (slurp('build/portal/www/samples.js'));
foreach (slurp('docs/receivers.md') =~ /^(```(?:js|python|php|go|java|csharp)\n.*?)^```$/msg)
{
	my ($language, $text) = /^```(\w+)\n(.*)/s;
	$sample{$language} //= $text =~ s/([\\`]|\$(?=\{))/\\$1/gr;
}
is(keys %sample, 6, 'docs/receivers.md has samples');
is(join(' ', grep { index($shown, "`$sample{$_}`") < 0 } sort keys %sample), '', '... which the portal shows as they are');

# What a browser fetches of it, uncompressed.
my $size = 0;
$size += -s foreach grep { -f } glob 'build/portal/www/* build/portal/www/pages/*';
cmp_ok($size, '>', 0, 'the pages are built');
cmp_ok($size, '<=', 150 * 1024, 'the pages have 150 kB at most');
done_testing();
