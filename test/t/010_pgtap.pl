# 010_pgtap.pl
#	  Do the SQL functions and views do what they promise?
#
# Runs test/pgtap/*.sql, each script in a database of its own.  A script that
# needs other settings of the server begins with lines "-- server: name = 'value'".

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('pgtap', "max_worker_processes = 64\n");

foreach my $script (sort glob 'test/pgtap/*.sql')
{
	my ($name) = $script =~ m{([^/]+)\.sql$};
	my $database = $server->database($name);
	my %settings = slurp_file($script) =~ /^-- server: (\S+) = '(.*)'$/mg;

	$server->sql(qq{CREATE DATABASE "$name"});
	$database->sql('CREATE EXTENSION webhook; CREATE EXTENSION pgtap');
	$server->set($_, $settings{$_}) foreach sort keys %settings;
	$database->run_script($script);
	$server->reset($_) foreach sort keys %settings;
}

# The types that docs/reference.md has are those of the catalogue.
{
	my ($section) = slurp_file('docs/reference.md') =~ /^### Types of arguments and results\n(.*?)^#/ms;
	my $documented = join "\n", $section =~ /^(\| `.*)$/mg;

	is($documented, $server->database('schema')->sql(<<'END'), 'docs/reference.md has the types of all functions');
SELECT format('| `%s(%s)` | `%s` |', proname,
	replace(pg_get_function_identity_arguments(oid), 'timestamp with time zone', 'timestamptz'),
	pg_get_function_result(oid))
FROM pg_proc WHERE pronamespace = 'webhook'::regnamespace ORDER BY proname COLLATE "C"
END
}

# What config() gives recreates all of it in an empty database.
{
	my $made = $server->database('config_made');
	my $statements = $server->database('config')->sql('SELECT webhook.config(true)');

	$server->sql('CREATE DATABASE config_made');
	$made->sql(<<'END');
CREATE EXTENSION webhook;
CREATE SCHEMA "it's";
CREATE TABLE "it's"."new
line" (id int, "O'Key" int, status text, "sta""tus" text, partner text, PRIMARY KEY (id, "O'Key"));
CREATE TABLE contract (id bigint PRIMARY KEY, status text);
CREATE TABLE child () INHERITS (contract);
CREATE TABLE parted (id int PRIMARY KEY, status text) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE TABLE parent (id bigint PRIMARY KEY, status text);
CREATE TABLE late () INHERITS (parent);
END
	foreach (1, 2)
	{
		$made->sql($statements);
		is($made->sql('SELECT webhook.config(true)'), $statements, "config() is the same where its statements were executed: $_");
	}
	is($made->sql("SELECT string_agg(tgenabled::text, '' ORDER BY tgrelid::regclass::text, tgname) FROM pg_trigger WHERE tgrelid IN ('parent'::regclass, 'parted'::regclass, 'part'::regclass)"),
		'RDOAA', '... and so is how triggers are enabled');
}

$server->stop;
done_testing();
