# 149_prefix.pl
#	  Does an extension that was installed outside the server's directories work?
#	  From PostgreSQL 18 on, extension_control_path says where it is; and the server
#	  knows name and release of what it has loaded.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my ($major) = `pg_config --version` =~ / (\d+)/;
plan skip_all => 'PostgreSQL 18 is the first with extension_control_path' if $major < 18;
plan skip_all => 'there is no make' unless system('command -v make >/dev/null') == 0;

# A server without the extension, and the extension elsewhere.
my %installed = map { ($_ => `pg_config --$_` =~ s/\n//r) } qw(bindir sharedir pkglibdir);
my ($stage) = $installed{bindir} =~ m{^(.*/stage)/};
plan skip_all => 'the server is no copy' unless $stage;
my $place = PostgreSQL::Test::Utils::tempdir . '/server';
my $prefix = PostgreSQL::Test::Utils::tempdir . '/elsewhere';
system('cp', '-al', $stage, $place) == 0 or die "cp: $?";
s{^\Q$stage\E}{$place} foreach values %installed;
unlink glob("$installed{pkglibdir}/webhook*.so"), glob("$installed{sharedir}/extension/webhook*");
{
	local $ENV{PATH} = join ':', grep { index($_, $stage) != 0 } split /:/, $ENV{PATH};
	run_log([ 'make', '-s', 'install', "prefix=$prefix" ]) or die "make install: $?";
}
my ($control) = grep { -e } glob "$prefix/share/extension/webhook.control $prefix/share/*/extension/webhook.control";
my ($library) = grep { -e } glob "$prefix/lib/webhook.so $prefix/lib/*/webhook.so";
ok($control, 'the control file is below the prefix');
ok($library, '... and so is the library');

my $share = $control =~ s{/extension/webhook\.control$}{}r;
my $server = Webhook::Test->new('server', <<"END", node => { install_path => $installed{bindir} =~ s{/bin$}{}r });
extension_control_path = '$share:\$system'
dynamic_library_path = '@{[ $library =~ s{/webhook\.so$}{}r ]}:\$libdir'
END
$server->prepare;
$server->subscribe('/ok/one');
$server->sql("INSERT INTO business_request VALUES (1, 'A')");
$server->settle('installed elsewhere');
is($server->statuses('/ok/one'), 'A', 'what is installed elsewhere delivers');

my ($release) = slurp_file('src/base/version.h') =~ /WEBHOOK_RELEASE "(.*)"/;
is($server->sql(q{SELECT module_name || ' ' || version FROM pg_get_loaded_modules() WHERE file_name ~ 'webhook' ORDER BY 1}),
	"webhook $release", 'the server knows what it has loaded');
$server->is_sound;

done_testing();
