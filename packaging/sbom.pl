# sbom.pl
#	  Writes the bill of materials of what was built, as SPDX 2.3 (JSON).
#
# usage: perl packaging/sbom.pl FILE...
#
# It has each file, each shared library that the file is linked to, and what
# these are linked to in turn, with the package and the version that they have
# on this machine: what a build was linked to is known here only.  dpkg or rpm
# knows the packages.  The same files on the same machine make the same bytes.

use strict;
use warnings;

use Cwd qw(realpath);
use Digest::SHA;
use JSON::PP;
use List::Util qw(max);
use POSIX qw(strftime);

die "usage: perl packaging/sbom.pl FILE...\n" unless @ARGV;

my $release = release();
my (%package, %relation, %needed, @files);
my %located = map { ($_ => locations($_)) } @ARGV;
my %owner = owners(map { values %$_ } values %located);

foreach my $file (@ARGV)
{
	-e $file or die "$file is not built\n";
	my $id = 'SPDXRef-File-' . name_in_id($file);
	my $located = $located{$file};

	push @files, {
		SPDXID => $id,
		fileName => './' . $file =~ s{.*/}{}r,
		fileTypes => ['BINARY'],
		checksums => [ map { { algorithm => "SHA$_", checksumValue => digest($_, $file) } } 1, 256 ],
		licenseConcluded => 'PostgreSQL',
		copyrightText => 'NOASSERTION',
	};
	relate('SPDXRef-Package-webhook', 'CONTAINS', $id);
	relate($id, 'DYNAMIC_LINK', package_of($located, $_)) foreach needed($file);

	# What those are linked to.
	my @next = needed($file);
	my %seen;
	while (defined(my $library = shift @next))
	{
		next if $seen{$library}++ or !$located->{$library};
		foreach my $other (needed($located->{$library}))
		{
			my @both = map { package_of($located, $_) } $library, $other;
			relate($both[0], 'DEPENDS_ON', $both[1]) if $both[0] ne $both[1];
			push @next, $other;
		}
	}
}
relate('SPDXRef-DOCUMENT', 'DESCRIBES', 'SPDXRef-Package-webhook');

my $sum = Digest::SHA->new(256);
$sum->add($_->{checksums}[1]{checksumValue}) foreach @files;
print JSON::PP->new->canonical->pretty->encode({
	spdxVersion => 'SPDX-2.3',
	dataLicense => 'CC0-1.0',
	SPDXID => 'SPDXRef-DOCUMENT',
	name => "webhook-$release",
	documentNamespace => "urn:webhook:spdx:$release:" . $sum->hexdigest,
	creationInfo => {
		created => strftime('%Y-%m-%dT%H:%M:%SZ', gmtime($ENV{SOURCE_DATE_EPOCH} || max(map { (stat)[9] } @ARGV))),
		creators => ["Tool: webhook-sbom-$release"],
	},
	packages => [
		{
			SPDXID => 'SPDXRef-Package-webhook',
			name => 'webhook',
			versionInfo => $release,
			downloadLocation => 'NOASSERTION',
			filesAnalyzed => JSON::PP::false,
			licenseConcluded => 'PostgreSQL',
			licenseDeclared => 'PostgreSQL',
			copyrightText => 'Copyright (c) 2026, webhook contributors',
			primaryPackagePurpose => 'LIBRARY',
			externalRefs => [ reference("pkg:generic/webhook\@$release") ],
		},
		map { $package{$_} } sort keys %package
	],
	files => \@files,
	relationships => [ map { $relation{$_} } sort keys %relation ],
});

# The release, as the sources have it.
sub release
{
	open my $header, '<', 'src/base/version.h' or die "src/base/version.h: $!\n";
	while (<$header>)
	{
		return $1 if /^#define WEBHOOK_RELEASE "(.*?)"/;
	}
	die "src/base/version.h has no WEBHOOK_RELEASE\n";
}

# The output of a program, '' if it is not there.
sub output
{
	my (@command) = @_;
	my $pid = open(my $pipe, '-|') // die "fork: $!\n";
	if ($pid == 0)
	{
		open STDERR, '>', '/dev/null' or exit 127;
		exec @command or exit 127;
	}
	local $/;
	my $text = <$pipe>;
	close $pipe;
	return $text // '';
}

# Names of the shared libraries that a file is linked to itself.
sub needed
{
	my ($file) = @_;
	$needed{$file} //= [ output('readelf', '--dynamic', '--wide', $file) =~ /\(NEEDED\).*\[(.*)\]/g ];
	return @{ $needed{$file} };
}

# Where the loader finds each of them, and what they need in turn.
sub locations
{
	my ($file) = @_;
	$file = "./$file" unless $file =~ m{/};
	my $text = output('ldd', $file);

	# The loader has no arrow.
	return { $text =~ /^\s*(\S+) => (\/\S+)/mg, map { (s{.*/}{}r => $_) } $text =~ m{^\s*(/\S+) \(}mg };
}

sub digest
{
	my ($bits, $file) = @_;
	return Digest::SHA->new($bits)->addfile($file, 'b')->hexdigest;
}

sub name_in_id
{
	my ($name) = @_;
	return $name =~ s{.*/}{}r =~ s/[^A-Za-z0-9.-]/-/gr;
}

sub relate
{
	my ($from, $type, $to) = @_;
	$relation{"$from $type $to"} = {
		spdxElementId => $from,
		relationshipType => $type,
		relatedSpdxElement => $to,
	};
	return;
}

sub reference
{
	my ($purl) = @_;
	return { referenceCategory => 'PACKAGE-MANAGER', referenceType => 'purl', referenceLocator => $purl };
}

# The id of the package that a library comes from.  The first call for a package
# notes it.
sub package_of
{
	my ($located, $library) = @_;
	my $path = $located->{$library};
	my ($name, $version, $purl) = $path ? @{ $owner{$path} // [] } : ();
	my $id = 'SPDXRef-Package-' . name_in_id($name // $library);

	$package{$id} //= {
		SPDXID => $id,
		name => $name // $library,
		($version ? (versionInfo => $version) : ()),
		downloadLocation => 'NOASSERTION',
		filesAnalyzed => JSON::PP::false,
		licenseConcluded => 'NOASSERTION',
		licenseDeclared => 'NOASSERTION',
		copyrightText => 'NOASSERTION',
		primaryPackagePurpose => 'LIBRARY',
		($purl ? (externalRefs => [ reference($purl) ]) : ()),
	};
	return $id;
}

# Package, version and package URL of each of these files of the distribution.
sub owners
{
	my (@paths) = @_;
	my %real = map { ($_ => realpath($_)) } @paths;
	my %found = (from_rpm(%real), from_dpkg(%real));
	return %found;
}

# A package may have a file under a name from before /lib became a link to
# /usr/lib.
sub from_dpkg
{
	my (%real) = @_;
	my (%path, %package, %version, %found);

	foreach my $path (keys %real)
	{
		push @{ $path{$_} }, $path foreach $path, $real{$path}, $real{$path} =~ s{^/usr}{}r;
	}
	return unless %path;
	foreach (split /\n/, output('dpkg', '-S', sort keys %path))
	{
		$package{$2} = $1 if /^([^,\s]+): (\/.*)$/;
	}
	return unless %package;
	%version = map { /^(\S+) (\S+) (\S+)$/ ? ($1 => [ $2, $3 ]) : () }
	  split /\n/, output('dpkg-query', '-W', '-f', '${binary:Package} ${Version} ${Architecture}\n', values %package);
	foreach my $name (sort keys %package)
	{
		my ($number, $arch) = @{ $version{ $package{$name} } // next };
		my $plain = $package{$name} =~ s/:.*//r;
		my $purl = 'pkg:deb/' . distribution('debian') . "/$plain\@" . in_url($number) . "?arch=$arch";

		$found{$_} = [ $plain, $number, $purl ] foreach @{ $path{$name} };
	}
	return %found;
}

sub from_rpm
{
	my (%real) = @_;
	my %found;

	foreach my $path (sort keys %real)
	{
		my ($package, $version, $arch) =
		  output('rpm', '-qf', '--qf', '%{NAME} %{VERSION}-%{RELEASE} %{ARCH}', $real{$path}) =~ /^(\S+) (\S+) (\S+)$/ or last;

		$found{$path} = [ $package, $version,
			'pkg:rpm/' . distribution('fedora') . "/$package\@" . in_url($version) . "?arch=$arch" ];
	}
	return %found;
}

sub in_url
{
	my ($text) = @_;
	return $text =~ s/([^A-Za-z0-9.~_-])/sprintf '%%%02X', ord $1/ger;
}

sub distribution
{
	my ($default) = @_;
	open my $release_file, '<', '/etc/os-release' or return $default;
	while (<$release_file>)
	{
		return $1 if /^ID="?([a-z0-9._-]+)"?$/;
	}
	return $default;
}
