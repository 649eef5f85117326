# 148_upgrade.pl
#	  Does an update of the extension lead to what a new installation is, and do
#	  deliveries go on?  Is a library with objects of another version refused with
#	  one clear error, and nothing lost meanwhile?
#
# Each version that was released is updated to the present one.  What has not
# happened yet is rehearsed: the suite makes a version "next" with a script of its
# own, and a library of that version.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;
use Webhook::Writers;

my ($version) = slurp_file('webhook.control') =~ /^default_version = '(.*)'$/m;
my $next = $version =~ s/(\d+)$/$1 + 1/er;

# ---- A server of its own, whose files the suite may replace

my %installed = map { ($_ => `pg_config --$_` =~ s/\n//r) } qw(bindir sharedir pkglibdir);
my ($stage) = $installed{bindir} =~ m{^(.*/stage)/};
plan skip_all => 'the server is no copy' unless $stage;
plan skip_all => 'there is no make' unless system('command -v make >/dev/null') == 0;

my $place = PostgreSQL::Test::Utils::tempdir . '/server';
system('cp', '-al', $stage, $place) == 0 or die "cp: $?";
s{^\Q$stage\E}{$place} foreach values %installed;

# Put a file there; the one that was there has other names, too.
sub put
{
	my ($file, $text) = @_;
	unlink $file;
	open my $handle, '>', $file or die "$file: $!";
	binmode $handle;
	print {$handle} $text or die "$file: $!";
	close $handle or die "$file: $!";
	chmod 0755, $file if $file =~ /\.so$/;
	return;
}

my %library = ($version => slurp_file("$installed{pkglibdir}/webhook.so"), $next => next_library());

sub install_library { return put("$installed{pkglibdir}/webhook.so", $library{ $_[0] }); }
sub install_script { return put("$installed{sharedir}/extension/webhook--$_[0].sql", $_[1]); }

# The library of the next version: the same objects, but for the files that know
# the version.
sub next_library
{
	my $tree = PostgreSQL::Test::Utils::tempdir . '/tree';
	my $path = join ':', grep { index($_, $stage) != 0 } split /:/, $ENV{PATH};
	my $header = "$tree/src/base/version.h";

	mkdir $tree or die "mkdir: $!";
	system("tar -cf - --exclude=./.git --exclude=./stage --exclude=./build --exclude=./tmp_check . | tar -xf - -C '$tree'") == 0
	  or die "tar: $?";
	put($header, slurp_file($header) =~ s/(VERSION ")\Q$version\E"/$1$next"/r);
	my @changed = grep { slurp_file($_) =~ /\bWEBHOOK_VERSION\b/ } glob 'src/*/*.c';
	local $ENV{PATH} = $path;
	run_log([ 'make', '-s', '-C', $tree, '-o', 'src/base/version.h', (map { ('-W', $_) } @changed), 'webhook.so' ])
	  or die "make: $?";
	return slurp_file("$tree/webhook.so");
}

# ---- What the next version has: by an update, and in the script of a new installation

my $script = slurp_file("sql/webhook--$version.sql");

# What both scripts say alike.
my $more = <<'END';
CREATE INDEX audit_role_idx ON webhook_internal.audit (session_role);
CREATE VIEW webhook.note WITH (security_barrier) AS
	SELECT s.id, s.note FROM webhook_internal.subscription s;
COMMENT ON VIEW webhook.note IS 'notes';
GRANT SELECT ON webhook.note TO pg_monitor;
CREATE FUNCTION webhook.note(subscription_id bigint) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$SELECT s.note FROM webhook_internal.subscription s WHERE s.id = subscription_id$$;
COMMENT ON FUNCTION webhook.note(bigint) IS 'note of a subscription';
REVOKE EXECUTE ON FUNCTION webhook.note(bigint) FROM PUBLIC;
END

my @tables = map { "webhook_internal.$_" } qw(subscription pending checkpoint);
my $comments = join '', map { "COMMENT ON COLUMN $_.note IS 'a note';\n" } @tables;
my ($check) = $script =~ /^(CREATE FUNCTION webhook_internal\.require_server.*?^DROP FUNCTION webhook_internal\.require_server\(text\);\n)/ms;
ok($check, 'the script begins with a check of the library');
$check =~ s/\('\Q$version\E'\)/('$next')/;
my $update = $check . join('', map { "ALTER TABLE $_ ADD COLUMN note text;\n" } @tables) . $comments . $more;

my $new = $script =~ s/(require_server\(')\Q$version\E/$1$next/r;
foreach (@tables)
{
	$new =~ s/^(CREATE TABLE \Q$_\E \(\n.*?)(\n\))/$1,\n\tnote\t\ttext$2/ms or die "$_ is not created";
}
$new .= $comments . $more;

# ---- What a database has of the extension, as pg_upgrade would take it along

# Its statements, without what differs between any two databases.
sub objects
{
	my ($server) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/dump.sql';
	my %name = map { split /=/ } split /\n/, $server->sql("SELECT oid || '=' || oid::regclass FROM pg_class");

	$server->node->command_ok([ 'pg_dump', '--schema-only', '--binary-upgrade', '--file', $file,
		'--dbname', $server->node->connstr($server->{database}) ], "$server->{database}: dumped");
	my $text = slurp_file($file);
	$text =~ s/^(?:--.*|\\(?:un)?restrict .*|SET .*|)\n//mg;
	$text =~ s/^SELECT pg_catalog\.(?:binary_upgrade_set_(?!record)|setval|set_config).*\n//mg;
	$text =~ s/^UPDATE pg_catalog\.pg_class\n(?:SET .*\n)?WHERE oid = .*;\n//mg;
	$text =~ s/^SELECT pg_catalog\.binary_upgrade_create_empty_extension.*/$& =~ s{(?<=[{,])\d+(?=[,}])}{$name{$&}}gr/me;
	return sort split /;\n/, $text;
}

# What two databases do not both have: "- " what only the first has, "+ " what only
# the second has.
sub differences
{
	my @servers = @_;
	my %count;

	$count{$_}++ foreach objects($servers[0]);
	cmp_ok(scalar keys %count, '>', 500, "$servers[0]{database} has objects");
	$count{$_}-- foreach objects($servers[1]);
	return map { ($count{$_} > 0 ? '- ' : '+ ') . $_ } grep { $count{$_} } sort keys %count;
}

# They have the same: an assertion.
sub are_same
{
	my ($what, @servers) = @_;
	my @differences = differences(@servers);
	return ok(!@differences, $what) || diag(join "\n", @differences);
}

# ---- Versions that were released

my $server = Webhook::Test->new('server', "webhook.retry_schedule = '@{[ join ', ', ('1s') x 90 ]}'",
	node => { install_path => $installed{bindir} =~ s{/bin$}{}r });
my @former = grep { $_ ne $version } map { m{/webhook--([\d.]+)\.sql$} } glob 'sql/webhook--*.sql';

sub create
{
	my ($database, $statement) = @_;
	my $other = $server->database($database);

	$server->sql("CREATE DATABASE $database");
	$other->sql($statement);
	return $other;
}

create('present', 'CREATE EXTENSION webhook');
foreach (@former)
{
	my $updated = create("from_$_" =~ s/\W/_/gr, "CREATE EXTENSION webhook VERSION '$_'");

	$updated->sql('ALTER EXTENSION webhook UPDATE');
	are_same("$_, updated, is what $version is", $server->database('present'), $updated);
}

# ---- The next version is installed while the server runs

$server->prepare;
$server->sql("INSERT INTO business_request VALUES (1, 'A')");
my @changes = q(filter => 'exists($.NewStatus)');
my $good = $server->subscribe('/ok/good', @changes);
$server->subscribe('/flip/bad', @changes);
my $writers = Webhook::Writers->new($server);
$server->receiver->fail_while(1);
$server->change(1, 'B');
$server->settle('before');
my $dump = PostgreSQL::Test::Utils::tempdir . '/before.dump';
$server->node->command_ok([ 'pg_dump', '--format=custom', '--file', $dump, '--dbname', $server->node->connstr('postgres') ],
	'dumped before the update');

install_library($next);
install_script("$version--$next", $update);
install_script($next, $new);
put("$installed{sharedir}/extension/webhook.control",
	slurp_file('webhook.control') =~ s/^(default_version = ).*$/$1'$next'/mr);

my $early = qr/ERROR:  version "\Q$next\E" of extension "webhook" was installed, but the library that the server has loaded is for version "\Q$version\E"\n.*HINT:  Restart the server/s;
like($server->messages('ALTER EXTENSION webhook UPDATE'), $early, 'an update before the restart is refused');
$server->sql('CREATE DATABASE early');
like($server->database('early')->messages('CREATE EXTENSION webhook'), $early, '... and so is CREATE EXTENSION');
$server->restart_worker('a worker that starts meanwhile runs');
$server->change(1, 'C');
$server->settle('before the restart');
is($server->statuses('/ok/good'), 'B C', 'deliveries go on');

# ---- The new library, the old objects

my $log = $server->log_end;
my $misfit = sub {
	my ($objects, $loaded) = @_;
	return qr/ERROR:  extension "webhook" has version "\Q$objects\E", but the library .* is for version "\Q$loaded\E"$/m;
};

# The worker says so, and a function does; nothing is sent, and events wait.
sub refuses
{
	my ($what, $objects, $loaded, $status) = @_;
	my $is_misfit = $misfit->($objects, $loaded);
	my $begin = time;

	$server->logs($is_misfit, $log, "$what: the server's log says so");
	like($server->messages('SELECT webhook_internal.home()'), $is_misfit, "$what: so does a function");
	$server->becomes(q{SELECT value FROM webhook.metrics WHERE name = 'webhook_up'}, '0', "$what: monitoring gets numbers");
	$server->change(1, $status);
	ok((wait_until { $server->worker eq '' }), "$what: no worker stays");
	my @errors = $server->log_since($log) =~ /^.*(?:ERROR|FATAL): .*$/mg;
	is_deeply([ grep { !/$is_misfit/ } @errors ], [], "$what: no other error");
	cmp_ok(scalar @errors, '<', 12 + time - $begin, "$what: not again and again");
	return;
}

$server->restart;
refuses('a new library', $version, $next, 'D');
$writers->start(2);
$server->sql('ALTER EXTENSION webhook UPDATE');
is($server->sql("SELECT extversion FROM pg_extension WHERE extname = 'webhook'"), $next, 'the update is made while writers write');
ok($server->wait_for_worker, '... and there is a worker');
$writers->stop('updated');
is($server->statuses('/ok/good'), '', 'the receiver was cleared');
$server->change(1, 'E');
$server->receiver->fail_while(0);
$server->becomes('SELECT count(*) FROM webhook_internal.pending', '0', 'updated: nothing waits');
is($server->first_statuses('/flip/bad'), 'B C D E', 'updated: what had waited is sent, in order, and what is new');
is($server->statuses('/ok/good'), 'E', 'updated: nothing is sent twice');
is($server->sql(qq{SELECT string_agg(substring(request_body FROM '"NewStatus":"(.)"'), ' ' ORDER BY position)
		FROM webhook.log WHERE subscription_id = $good AND outcome = 'delivered'}),
	'B C D E', 'updated: the log has the rows from before and the new ones');

# ---- It is what a new installation is

my $fresh = create('fresh', 'CREATE EXTENSION webhook');
my $updated = create('updated', "CREATE EXTENSION webhook VERSION '$version'");
like($updated->messages('SELECT webhook_internal.home()'), $misfit->($version, $next), 'an older version can be created, and not used');
$updated->sql('ALTER EXTENSION webhook UPDATE');
are_same('the updated objects are those of a new installation', $fresh, $updated);

# The comparison finds what an update forgets.
$updated->sql(join ';', 'COMMENT ON COLUMN webhook_internal.pending.note IS NULL', 'DROP INDEX webhook_internal.audit_role_idx',
	'GRANT EXECUTE ON FUNCTION webhook.note(bigint) TO PUBLIC');
my $found = join "\n", differences($fresh, $updated);
like($found, $_, "what differs is found: $_")
  foreach qr/^- COMMENT ON COLUMN webhook_internal\.pending\.note/m, qr/^- CREATE INDEX audit_role_idx/m, qr/^\+ GRANT ALL ON FUNCTION webhook\.note/m;

# ---- A dump of the former version

$server->sql('CREATE DATABASE restored TEMPLATE template0');
$server->node->command_ok([ 'pg_restore', '--exit-on-error', '--dbname', $server->node->connstr('restored'), $dump ],
	'a dump of the former version is restored');
my $restored = $server->database('restored');
is($restored->sql('SELECT count(*) FROM webhook.subscription'), '3', '... with its subscriptions');
is($restored->sql('SELECT count(*) FROM webhook_internal.pending'), '1', '... and with what waited');

# ---- The old library, the new objects

$server->receiver->clear;
$log = $server->log_end;
install_library($version);
$server->restart;
refuses('an old library', $next, $version, 'F');
install_library($next);
$server->restart;
$server->wait_for_worker;
$server->settle('the new library again');
is($server->statuses('/ok/good'), 'F', 'what waited is sent');
$server->is_sound;

done_testing();
