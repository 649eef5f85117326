# 300_documents.pl
#	  Do the documents say what is so?
#
# Runs each SQL block of each page, in order, in a database for each page.  What a page
# takes for granted is made before: see %given.  Names, columns, settings and defaults
# that the pages have are compared with the catalogue.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Text::Wrap qw(wrap);
use Webhook::Pages;
use Webhook::Test;

my $server = Webhook::Test->new('documents', "webhook.retry_schedule = '1h'\nmax_worker_processes = 40\n");
my $receiver = $server->receiver;

# ---- What is SQL in a page can be run

# The event that pages name. It has failed, and waits to be tried again.
my $event = '01a20ce4-063b-774b-9b0e-5f1c2a3b4c5d';

# What every page takes for granted: subscription 1, a watched table, and others.
my $common = <<'END';
CREATE EXTENSION webhook;
CREATE TABLE business_request (
	id		bigint PRIMARY KEY,
	title	text,
	status	text NOT NULL DEFAULT 'Draft'
);
SELECT webhook.watch('business_request');
CREATE SCHEMA sales;
CREATE SCHEMA archive;
CREATE TABLE sales.tender (tender_no bigint PRIMARY KEY, phase text, buyer text, amount numeric);
CREATE TABLE archive.tender (LIKE sales.tender INCLUDING ALL);
END
my $events = <<"END";
INSERT INTO business_request VALUES (42, 'Delivery of 12 wind turbines', 'Draft');
UPDATE business_request SET status = 'Approved';
SELECT 'event ' || webhook.publish('$type', '{"n": 1}', 'another/1');
SELECT webhook.drain();
END
my $subscription_1 = $server->subscription('/status/503', "events => '{App.*}'");

# What single pages take for granted: roles, tables of the application, types.
my %given = (
	'docs/security.md' => <<'END',
CREATE ROLE auditor;
CREATE ROLE on_call;
CREATE ROLE integration;
CREATE ROLE app;
CREATE ROLE hooks_service;
SELECT webhook.define_tenant('acme');
END
	'docs/receivers.md' => "SELECT webhook.define_event_type('App.InvoicePaid');\n",
	'docs/migration.md' => <<'END');
CREATE TABLE "AbpWebhookSubscriptions" (
	"Id"			uuid PRIMARY KEY,
	"TenantId"		integer,
	"WebhookUri"	text NOT NULL,
	"Secret"		text NOT NULL,
	"IsActive"		boolean NOT NULL,
	"Webhooks"		text,
	"Headers"		text
);
INSERT INTO "AbpWebhookSubscriptions" VALUES
	(gen_random_uuid(), NULL, 'https://host.example/abp', 'whs_0123456789abcdef0123456789abcdef', true, '["App.NewUser"]', '{}'),
	(gen_random_uuid(), 5, 'https://five.example/of-five', 'whs_123456789abcdef0123456789abcdef0', true, '["App.NewUser","App.Gone"]', '{"X-Key":"v"}'),
	(gen_random_uuid(), 5, 'https://five.example/inactive', 'whs_23456789abcdef0123456789abcdef01', false, '["App.Gone"]', NULL);
END

# A page whose blocks make and drop the extension themselves.
my %bare = ('README.md' => 1);

# A block as it is run: the endpoints of pages are the receiver here, and the event is
# one that exists.
sub runnable
{
	my ($text, $id) = @_;

	$text =~ s{'https?://[^/']+([^']*)'}{"'" . $receiver->url("/ok$1") . "'"}ge;
	$text =~ s/\Q$event\E/$id/g if $id;
	return $text;
}

my %names;
foreach my $page (pages())
{
	my @blocks = blocks($page, 'sql');
	next unless @blocks;

	my $name = 'page_' . lc($page) =~ s/\W+/_/gr;
	my $database = $server->database($name);
	my $id;

	$server->sql("CREATE DATABASE $name");
	if ($bare{$page})
	{
		$database->sql($given{$page}) if $given{$page};
	}
	else
	{
		($id) = $database->sql("$common; $subscription_1; " . ($given{$page} // '') . $events) =~ /^event (.*)$/m
		  or die "$page: no event";
	}
	foreach my $block (@blocks)
	{
	  SKIP:
		{
			skip "$page:$block->{line}: $block->{skip}", 1 if $block->{skip};
			my ($status, undef, $messages) = $database->psql(runnable($block->{text}, $id));
			my @complaints = grep { /\b(?:ERROR|WARNING|FATAL):/ } split /\n/, $messages;

			is(join("\n", $status, @complaints), 0, "$page:$block->{line} runs");
		}
	}

	# Roles and settings are not the database's alone.
	$server->sql("DROP DATABASE $name WITH (FORCE)");
	$server->sql(<<'END');
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE oid >= 16384 \gexec
ALTER SYSTEM RESET ALL;
SELECT pg_reload_conf();
END
}

# ---- Names

$server->sql('CREATE EXTENSION webhook');

# All that is called webhook.something in a page exists: a relation, a function, a
# setting, or one of the extension's own event types.
{
	my %exists = map { $_ => 1 } split /\n/, $server->sql(<<'END');
SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^webhook'
UNION SELECT nspname || '.' || proname FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname ~ '^webhook'
UNION SELECT name FROM pg_settings WHERE name ~ '^webhook\.'
UNION SELECT name FROM webhook.event_type
END
	$exists{$_} = 1 foreach map { 'webhook.' . s/^webhook\.//r } qw(ping confirm directory control);

	foreach my $page (pages())
	{
		# Neither links, nor files such as webhook.md or src/webhook.c.
		my $text = slurp_file($page) =~ s/\]\([^)]*\)//gr;
		my @unknown = grep { !$exists{$_} && !/\.(?:c|h|so|sql|md|service)$/ }
		  uniq $text =~ m{(?<![\w/.-])(webhook(?:_internal)?\.[a-z_]\w*(?:\.[a-z_]+)?)}g;

		is(join(' ', @unknown), '', "$page names nothing that does not exist");
	}
}

# ---- docs/reference.md

my $reference = 'docs/reference.md';

# Functions: each is told of, with the arguments that it has.
{
	my ($section) = slurp_file($reference) =~ /^## Functions\n(.*?)^### Types of arguments/ms;
	my %told;

	foreach my $cell ($section =~ /^\| (`.*?`) \| /mg)
	{
		$told{$1} = $2 while $cell =~ /`(\w+)\((.*?)\)`/g;
	}
	my %catalogue = map { /^(\w+)\|(.*)$/ } split /\n/, $server->sql(<<'END');
SELECT proname, pg_get_function_arguments(oid) FROM pg_proc WHERE pronamespace = 'webhook'::regnamespace
END
	is(join(' ', sort keys %told), join(' ', sort keys %catalogue), "$reference tells of each function");

	my @wrong;
	foreach my $function (sort keys %told)
	{
		my $literal = qr/'[^']*'|\d+|true|false|NULL/;
		my @arguments = map { [ /^(\w+)(?: = (.*))?$/ ] } split /, /, $told{$function};
		my @declared = map { /^"?(\w+)"? .*?(?: DEFAULT (.*))?$/ ? [ $1, $2 ] : () }
		  grep { !/^OUT / } split /, (?=(?:OUT )?"?\w+"? [a-z])/, $catalogue{$function};
		my $names = sub { join ', ', map { $_->[0] // '?' } @_ };

		if ($told{$function} =~ /\xe2\x80\xa6/)		# three dots: not all are named
		{
			@arguments = grep { defined $_->[0] } @arguments;
			@declared = grep { my $name = $_->[0]; grep { $_->[0] eq $name } @arguments } @declared;
		}
		if ($names->(@arguments) ne $names->(@declared))
		{
			push @wrong, "$function(" . $names->(@declared) . ')';
			next;
		}
		foreach (0 .. $#arguments)
		{
			my ($argument, $told, $declared) = (@{ $arguments[$_] }, $declared[$_][1]);
			my $default = defined $declared ? $declared =~ s/::[a-z ]+(?:\[\])?$//r : undef;

			# NULL stands for what the text says, or for what is not changed.
			push @wrong, "$function, $argument: " . ($declared // 'no default')
			  if defined $told
			  ? !defined $default || $default ne 'NULL' && $told =~ /^$literal$/ && !same_default($told, $default)
			  : defined $default && $default ne 'NULL';
		}
	}
	is(join("\n", @wrong), '', '... with its arguments and their defaults');
}

# Whether two literals are the same value: an interval has several texts.
sub same_default
{
	my ($told, $declared) = @_;
	return 1 if $told eq $declared;
	return 0 if "$told$declared" !~ /^'.*\d.*'$/;
	return $server->sql("SELECT interval $told = interval $declared") eq 't';
}

# Options: all of subscribe() and alter_subscription().
{
	my @told = sort { $a cmp $b } map { $_->[0] =~ /`(\w+)`/g } table_after($reference, 'Options of a subscription');

	is(join(' ', @told), $server->sql(<<'END'), "$reference tells of each option");
SELECT string_agg(DISTINCT name COLLATE "C", ' ' ORDER BY name COLLATE "C")
FROM pg_proc, unnest(proargnames) AS name
WHERE pronamespace = 'webhook'::regnamespace AND proname IN ('subscribe', 'alter_subscription') AND name <> 'subscription'
END
}

# Relations.
is(join(' ', sort map { $_->[0] =~ /`(\w+)`/g } table_after($reference, 'Views and the log')), $server->sql(<<'END'), "$reference tells of each view");
SELECT string_agg(relname, ' ' ORDER BY relname COLLATE "C") FROM pg_class
WHERE relnamespace = 'webhook'::regnamespace AND relkind IN ('v', 'r', 'p')
END

# The extension's own event types.
is(join(' ', sort map { $_->[0] =~ /`([\w.]+)`/g } table_after($reference, 'What the extension tells itself')), $server->sql(<<'END'), "$reference tells of each event type of its own");
SELECT string_agg(name, ' ' ORDER BY name COLLATE "C") FROM webhook.event_type WHERE name ~ '^webhook\.'
END

# Settings, their defaults and bounds, and where they can be set.
{
	my %told = map { $_->[0] =~ /`webhook\.(\w+)`/ ? ($1 => $_->[1]) : () } table_after($reference, 'Settings');
	my %bounds = map { $_->[0] =~ /`webhook\.(\w+)`/ ? ($1 => "@{$_}[1 .. 3]") : () } table_after($reference, 'Bounds');
	my (%has, %bounded);

	foreach (split /\n/, $server->sql("SELECT substr(name, 9), boot_val, unit, context, min_val, max_val, vartype FROM pg_settings WHERE name ~ '^webhook\\.'"))
	{
		my ($name, $value, $unit, $context, $least, $most, $type) = split /\|/;

		is($context, $name =~ /^(?:context|traceparent)$/ ? 'user' : 'sighup', "webhook.$name is set where $reference says");
		$has{$name} = $unit ? number("$value$unit") : $value;
		next if $type ne 'integer';

		# What the type of the server's variable allows is no bound of ours.
		my ($told_unit, $told_least, $told_most) = split / /, $bounds{$name} // '? ? ?', -1;
		my $without = $told_most eq '' && $most >= 2**31 / 1024 - 1;

		$bounded{$name} = number("$least$unit") == number($told_least) && $unit eq $told_unit
		  && ($without || number("$most$unit") == number($told_most)) ? $bounds{$name} : "$unit $least $most";
	}
	$_ = /^`(.*)`$/ ? number($1) : '' foreach values %told;
	is_deeply(\%told, \%has, "$reference has all settings, with their defaults");
	is_deeply(\%bounds, \%bounded, '... and with the bounds of numbers');
}

# A number with a unit in milliseconds or bytes; what is none as it is.
sub number
{
	my ($text) = @_;
	my %unit = (ms => 1, s => 1000, min => 60_000, h => 3_600_000, d => 86_400_000,
		B => 1, kB => 1024, MB => 1024**2);

	return $text =~ /^(\d+)(ms|s|min|h|d|B|kB|MB)$/ ? $1 * $unit{$2} : $text;
}

# Notifications: the keys of the payload, and the states.
{
	my ($section) = slurp_file($reference) =~ /^### Notifications\n(.*?)^##/ms;
	my ($payload) = $section =~ /^```json\n(.*?)^```/ms;
	my @keys = map { $_->[0] =~ /`(\w+)`/g } table_after($reference, 'Notifications');
	my ($source) = slurp_file('src/worker/notify.c') =~ /^notify\(.*?^\}$/ms ? $& : '';
	my ($states) = $section =~ /^\| `state` \| (.*?) \|$/m;
	my @states = map { slurp_file($_) =~ /^#define WEBHOOK_STATE_\w+\s+"(\w+)"/mg } 'src/store/store.h', 'src/delivery/delivery.h';

	is_deeply([ $payload =~ /"(\w+)":/g ], \@keys, "$reference has the keys of a notification");
	is(join(' ', uniq $source =~ /\\"(\w+)\\":/g), join(' ', @keys), '... which are those of the source');
	is(join(' ', sort grep { $_ ne 'stat_subscription' } $states =~ /`(\w+)`/g), join(' ', sort @states), '... and its states');
}

# Columns: docs/columns.md is what the catalogue says. A difference is left in results/.
{
	my $made = slurp_file('docs/columns.md') =~ s/^## .*//msr . $server->sql(<<'END') . "\n";
SELECT string_agg(page, E'\n\n' ORDER BY relname COLLATE "C") FROM (
	SELECT relname, format(E'## webhook.%s\n\n%s\n\n| column | type | |\n|---|---|---|\n', relname, obj_description(c.oid))
		|| string_agg(format('| `%s` | `%s` | %s |', attname,
			replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz'),
			replace(coalesce(col_description(c.oid, attnum), '?'), '|', '\|')), E'\n' ORDER BY attnum) AS page
	FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	WHERE relnamespace = 'webhook'::regnamespace AND relkind IN ('v', 'r', 'p')
	GROUP BY c.oid, relname) t
END
	local $Text::Wrap::columns = 121;
	$made =~ s/^(?![|#]).{121,}$/wrap('', '', $&)/mge;
	my $same = slurp_file('docs/columns.md') eq $made;

	ok($same, 'docs/columns.md has the columns and comments of the catalogue');
	unless ($same)
	{
		mkdir 'results';
		unlink 'results/columns.md';
		append_to_file('results/columns.md', $made);
		diag('results/columns.md is how it should be: copy it to docs/ if each line is right');
		system('diff -u docs/columns.md results/columns.md >&2');
	}
	unlike($made, qr/\| \? \|$/m, '... and each column has a comment');
}

# ---- docs/operations.md: what a row takes

SKIP:
{
	my @told = table_after('docs/operations.md', 'Sizing');
	my $count = 2000;

	is(@told, 3, 'docs/operations.md says what rows take');
	skip 'those are figures of PostgreSQL 15', 3 if $server->sql('SHOW server_version_num') >= 160000;
	$server->sql('CREATE TABLE business_request (id bigint PRIMARY KEY, title text, status text NOT NULL DEFAULT $$Draft$$)');
	$server->sql("SELECT webhook.watch('business_request')");
	$server->subscribe('/ok/sizes');
	$server->subscribe('/status/503/sizes');
	$server->sql("INSERT INTO business_request SELECT n, 'Delivery of wind turbines' FROM generate_series(1, $count) n");
	$server->sql("UPDATE business_request SET status = 'Approved'");
	$server->settle('many changes');
	$server->becomes('SELECT count(*) FROM webhook_internal.pending', 2 * $count, 'those for one endpoint wait');
	my @sizes = split /\n/, $server->sql(<<"END");
SELECT sum(pg_total_relation_size('webhook_internal.event_' || n)) / (2 * $count) FROM generate_series(0, 3) n;
SELECT sum(pg_total_relation_size(relid)) / (SELECT count(*) FROM webhook.log) FROM pg_partition_tree('webhook.log');
SELECT pg_total_relation_size('webhook_internal.pending') / (2 * $count);
END
	foreach (0 .. $#told)
	{
		my ($what, $bytes) = @{ $told[$_] };

		# A row of pending has more or less dead versions behind it: that is a matter of time.
		ok($sizes[$_] > 0.5 * $bytes && $sizes[$_] < 1.25 * $bytes, "$what: $bytes bytes, or about that")
		  or diag("it is $sizes[$_]");
	}
}

# ---- docs/guarantees.md: the tests that it names have the scenes

{
	my $page = slurp_file('docs/guarantees.md');
	my ($promises, $rows, @missing) = (0, 0);

	foreach my $section (split /^## /m, $page)
	{
		next if $section !~ /^\| \| shown by \|$/m;
		$promises++;
		foreach my $row ($section =~ /^\| [^|]+ \| ([^|]*)\|$/mg)
		{
			next if $row eq 'shown by ';
			my @named = $row =~ /\[[^]]+\]\(\.\.\/(test\/[^)]+)\) ((?:"[^"]+"(?:, )?)+)/g;

			$rows++;
			push @missing, "no scene: $row" unless @named;
			while (my ($file, $scenes) = splice @named, 0, 2)
			{
				my $text = -e $file ? slurp_file($file) : '';

				# A scene is a literal of its test, or ends one; or a permutation.
				push @missing, map { "$file: $_" } grep { $text !~ /\Q$_\E['"]|^\Q$_\E$/m } $scenes =~ /"([^"]+)"/g;
			}
		}
	}
	is(join("\n", @missing), '', 'docs/guarantees.md names tests and scenes that exist');
	cmp_ok($rows, '>=', 3 * $promises, '... three for each promise, or about that') || diag("$rows of $promises");
}

$server->stop;
done_testing();
