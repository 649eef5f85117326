# 005_release.pl
#	  Is it said everywhere alike which version this is, is what was released as it
#	  was, and are META.json and the bill of materials what others take?  With
#	  PUBLISH=1: can it be published?  It needs no server.

use strict;
use warnings;

use Digest::SHA;
use JSON::PP;
use Test::More;

# Checksums of the scripts that were released, as sha256sum writes them.  A new
# line is added when a version is declared.
my $released = 'sql/released.sha256';

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!";
	local $/;
	return scalar <$handle>;
}

# What the first group of a pattern matches in a file.
sub found
{
	my ($file, $pattern) = @_;
	my ($value) = slurp($file) =~ $pattern;
	return $value;
}

# ---- One version

my $version = found('src/base/version.h', qr/^#define WEBHOOK_VERSION "(\d+\.\d+)"/m);
my $release = found('src/base/version.h', qr/^#define WEBHOOK_RELEASE "(\d+\.\d+\.\d+)"/m);
my $script = "sql/webhook--$version.sql";
my $meta = decode_json(slurp('META.json'));

like($release, qr/^\Q$version\E\.\d+$/, 'a release is one of its version of the extension');
is(found('webhook.control', qr/^default_version = '(.*)'$/m), $version, 'webhook.control has the version');
ok(-e $script, 'there is a script for it');
is(found($script, qr/\A\/\*\n \* (.*)$/m), $script =~ s{.*/}{}r, 'which opens with its name');
is($meta->{version}, $release, 'META.json has the release');
is($meta->{provides}{webhook}{version}, $release, '... of what it provides, too');
is($meta->{provides}{webhook}{file}, $script, '... and the script');
is(found('CHANGELOG.md', qr/^## (\S+) \(.*\)$/m), $release, 'CHANGELOG.md begins with it');
is(found('portal/webhook-portal.8', qr/^\.TH .*"webhook (.*?)"/m), $release, 'so does the man page of the portal');
is(found('docs/reference.md', qr/^\| `webhook\.user_agent` \| `(.*?)`/m), "webhook/$version", 'the documented User-Agent has the version');
like(slurp($_), qr{\bwebhook/\Q$version\E(?!\.?\d)}, "... in $_, too") foreach qw(README.md docs/receivers.md);
like(slurp('SECURITY.md'), qr/^\| \Q$version\E \| yes \|$/m, 'SECURITY.md supports it');

is(found('packaging/debian/changelog', qr/\Awebhook \((.*)-\d+\) /), $release, "Debian's package has the release");
is(found('packaging/rpm/webhook.spec', qr/^Version:\s+(\S+)$/m), $release, 'so has the RPM');
is(found('packaging/rpm/webhook.spec', qr/^%changelog\n\* .* - (\S+)-\d+$/m), $release, '... and its log');
is(found('sql/parts/00_header.sql', qr/require_server\('(.*?)'\)/), $version, 'the script asks for a library of its version');
my %bound = map { $_ => found($_, qr/curl[\w-]*(?: \(| )>= ([\d.]+)/) } qw(packaging/debian/control.in packaging/rpm/webhook.spec);
is_deeply([ grep { $bound{$_} ne found('README.md', qr/\blibcurl ([\d.]+) or newer/) } sort keys %bound ], [],
	'packages want the libcurl that README.md wants');

# ---- What was released stays

# A version is declared by all of these in one commit; CONTRIBUTING.md has the steps.
my $is_declared = -e $released && slurp($released) =~ /  \Q$script\E$/m;
my ($told) = slurp('CHANGELOG.md') =~ /^## \S+ \((.*)\)$/m;
is($told ne 'unreleased', !!$is_declared, 'CHANGELOG.md says if the version is declared');
is($meta->{release_status}, $is_declared ? 'stable' : 'unstable', 'so does META.json');
is(found('packaging/debian/changelog', qr/\A.*\) (\S+);/) ne 'UNRELEASED', !!$is_declared, "so does Debian's changelog");
like($told, qr/^(?:unreleased|\d{4}-\d\d-\d\d)$/, 'CHANGELOG.md has the day');

foreach my $line (-e $released ? split /\n/, slurp($released) : ())
{
	my ($sum, $file) = $line =~ /^([0-9a-f]{64})  (sql\/webhook--[\d.]+(?:--[\d.]+)?\.sql)$/ or die "$released: $line";
	is(-e $file ? Digest::SHA->new(256)->addfile($file)->hexdigest : 'missing', $sum,
		"$file is as it was released: what changes after that is a new version");
}

# ---- What is published has addresses that are read

# META.json has the repository's address from the first release on that is published.
# PUBLISH=1 asks whether one could be.
{
	my @named = (qw(META.json SECURITY.md), grep { -f } glob('packaging/*/*'));
	my @placeholders = grep { slurp($_) =~ /\.invalid\b|bogus-mail-host/ } @named, 'test/servers/package.sh';

	if ($ENV{PUBLISH} || $meta->{resources})
	{
		is_deeply(\@placeholders, [], 'published: no address is a placeholder');
		like($meta->{maintainer}, qr/<[^@\s]+@[^@\s]+>/, "META.json has the maintainer's address");
		like($meta->{resources}{repository}{url}, qr{^[a-z]+://}, "... and the repository's");
		like(slurp('packaging/debian/control.in'), qr{^Homepage: https?://}m, "so has Debian's package");
		like(slurp('packaging/rpm/webhook.spec'), qr{^URL:\s+https?://}m, '... and the RPM');
	}
	else
	{
		ok((grep { $_ eq 'SECURITY.md' } @placeholders) > 0, 'SECURITY.md says what to do while there is no address');
	}
}

# A dump has the leaves of the log as ordinary tables, so a restore attaches those of a
# former version to the table of the present one.
my ($log) = slurp($script) =~ /^(CREATE TABLE webhook\.log \(.*?\n\).*?;)$/ms;
foreach my $former (grep { m{/webhook--[\d.]+\.sql$} } glob 'sql/webhook--*.sql')
{
	ok(index(slurp($former), $log) >= 0, "$former: the log has the columns that it has now");
}

# ---- META.json, by the rules of https://pgxn.org/meta/spec.txt

{
	my %kind = (
		name => qr/^[^\s\/\\]{2,}$/,
		abstract => qr/\S/,
		description => qr/\S/,
		maintainer => qr/\S/,
		license => qr/^(?:postgresql|bsd|mit|apache_2_0|open_source)$/,
		version => qr/^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-?[A-Za-z][0-9A-Za-z-]*)?$/,
		release_status => qr/^(?:stable|testing|unstable)$/,
		generated_by => qr/\S/,
		map { $_ => '' } qw(provides prereqs no_index meta-spec tags resources));
	my $range = qr/^(?:0|(?:(?:[<>]=?|==|!=)\s*)?\d+\.\d+\.\d+)(?:\s*,\s*(?:(?:[<>]=?|==|!=)\s*)?\d+\.\d+\.\d+)*$/;

	my @required = qw(name version abstract maintainer license provides meta-spec);
	is_deeply([ grep { !exists $meta->{$_} } @required ], [], 'META.json has all that it has to have');
	is_deeply([ grep { !exists $kind{$_} && !/^x_/ } sort keys %$meta ], [], 'META.json has nothing unknown');
	foreach (grep { $kind{$_} } sort keys %kind)
	{
		like($meta->{$_}, $kind{$_}, "META.json: $_");
	}
	like($meta->{'meta-spec'}{version}, qr/^1\.0\.\d+$/, 'META.json: version 1 of the format');
	is_deeply([ grep { ref or !/^[^\s\/\\]{1,255}$/ } @{ $meta->{tags} } ], [], 'META.json: tags');

	foreach my $name (sort keys %{ $meta->{provides} })
	{
		my $extension = $meta->{provides}{$name};

		is_deeply([ grep { !exists $extension->{$_} } qw(file version) ], [], "META.json: $name has a file and a version");
		is_deeply([ grep { !-e $extension->{$_} } grep { exists $extension->{$_} } qw(file docfile) ], [], "... that are there");
		like($extension->{version}, $kind{version}, "... with a semantic version");
	}
	foreach my $phase (sort keys %{ $meta->{prereqs} })
	{
		like($phase, qr/^(?:configure|build|runtime|test|develop)$/, "META.json: phase $phase");
		foreach my $strength (sort keys %{ $meta->{prereqs}{$phase} })
		{
			my $needed = $meta->{prereqs}{$phase}{$strength};

			like($strength, qr/^(?:requires|recommends|suggests|conflicts)$/, "META.json: $phase $strength");
			is_deeply([ grep { $needed->{$_} !~ $range } sort keys %$needed ], [], '... ranges of versions');
		}
	}
	is_deeply([ grep { !-d } @{ $meta->{no_index}{directory} } ], [], 'META.json: folders that are not indexed are there');

	my ($oldest) = slurp('src/base/compat.h') =~ /^#if PG_VERSION_NUM < (\d+)0000\n#error/m;
	is($meta->{prereqs}{runtime}{requires}{PostgreSQL}, "$oldest.0.0", 'META.json: the oldest server');
}

# ---- The bill of materials

SKIP:
{
	my @built = grep { -e } qw(webhook.so webhook_http.so);

	skip 'nothing is built', 1 if @built < 2;
	skip 'no ldd or readelf', 1 if grep { system("command -v $_ >/dev/null") != 0 } qw(ldd readelf);
	my $text = `$^X packaging/sbom.pl @built`;
	is($?, 0, 'a bill of materials is written');
	is($text, scalar `$^X packaging/sbom.pl @built`, '... the same each time');

	my $bill = decode_json($text);
	my %element = map { $_->{SPDXID} => $_ } $bill, @{ $bill->{packages} }, @{ $bill->{files} };
	my @relations = @{ $bill->{relationships} };
	my %has = map { ("$_->{spdxElementId} $_->{relationshipType} $_->{relatedSpdxElement}" => 1) } @relations;

	is_deeply([ @$bill{qw(spdxVersion dataLicense SPDXID)} ], [ 'SPDX-2.3', 'CC0-1.0', 'SPDXRef-DOCUMENT' ], 'it is SPDX 2.3');
	is(scalar keys %element, 1 + @{ $bill->{packages} } + @{ $bill->{files} }, 'each element has an id of its own');
	is_deeply([ grep { !/^SPDXRef-[A-Za-z0-9.-]+$/ } sort keys %element ], [], '... of the right form');
	like($bill->{creationInfo}{created}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, 'it says when');
	like($bill->{documentNamespace}, qr/^urn:[^#\s]+$/, '... and has a namespace');
	foreach my $key (qw(name downloadLocation licenseConcluded))
	{
		is_deeply([ grep { !defined $_->{$key} } @{ $bill->{packages} } ], [], "each package has a $key");
	}
	my @ends = map { @$_{qw(spdxElementId relatedSpdxElement)} } @relations;
	is_deeply([ grep { !$element{$_} } @ends ], [], 'each relation leads from one element to another');
	ok($has{'SPDXRef-DOCUMENT DESCRIBES SPDXRef-Package-webhook'}, 'it is about webhook');
	is($element{'SPDXRef-Package-webhook'}{versionInfo}, $release, '... of this release');
	is_deeply([ map { $_->{fileName} } @{ $bill->{files} } ], [ map { "./$_" } @built ], 'it has the libraries');
	is($bill->{files}[1]{checksums}[1]{checksumValue}, Digest::SHA->new(256)->addfile($built[1])->hexdigest, '... with their checksums');
	my $link = qr/^SPDXRef-File-webhook-http\.so DYNAMIC_LINK (.*curl.*)$/;
	my ($curl) = map { $_ =~ $link } sort keys %has;
	ok($curl, 'webhook_http is linked to libcurl') or diag($text);
	like($element{$curl}{versionInfo} // '', qr/^[\d:]+\./, '... of a version')
	  if $curl and system('command -v dpkg >/dev/null') == 0;
	ok((grep { /^\Q$curl\E DEPENDS_ON .*(?:ssl|gnutls)/ } sort keys %has), '... which uses a TLS library') if $curl;
}

done_testing();
