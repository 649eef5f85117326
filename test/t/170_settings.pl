# 170_settings.pl
#	  Do events arrive whatever a database, a role or a session sets?  Does each
#	  setting of ours do what it says after a reload?

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;

my $server = Webhook::Test->new('settings', "webhook.retry_schedule = '1s, 1s, 1s'");
my $receiver = $server->receiver;

# What came to a path: Data of each.
sub data { return map { /"Data":(.*),"CreationTimeUtc"/s } map { $_->{body} } $receiver->requests($_[0]); }

$server->sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, note text);
SELECT webhook.watch('business_request', data_columns => '{note}');
END

# ---- Settings of a database and of a role

$server->sql(<<'END');
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.wrong(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.wrong);
CREATE FUNCTION hostile.wrong(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.wrong);
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT '2001-01-01'::timestamptz$$;
CREATE FUNCTION hostile.unnest(text[]) RETURNS SETOF text LANGUAGE sql AS $$SELECT 'hostile'$$;
CREATE TABLE hostile.log (id int);
CREATE TABLE hostile.subscription (id int);
CREATE ROLE nobody;
CREATE FUNCTION hostile.no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no DDL'; END$$;
END
my @settings = (
	[ 'default_transaction_isolation', 'serializable' ],
	[ 'default_transaction_read_only', 'on' ],
	[ 'default_transaction_deferrable', 'on' ],
	[ 'statement_timeout', "'1ms'" ],
	[ 'lock_timeout', "'1ms'" ],
	[ 'idle_in_transaction_session_timeout', "'1ms'" ],
	[ 'idle_session_timeout', "'1ms'" ],
	[ 'search_path', 'hostile, pg_catalog' ],
	[ 'session_replication_role', 'replica' ],
	[ 'row_security', 'off' ],
	[ 'DateStyle', "'German, DMY'" ],
	[ 'IntervalStyle', 'iso_8601' ],
	[ 'TimeZone', "'Asia/Kolkata'" ],
	[ 'bytea_output', 'escape' ],
	[ 'extra_float_digits', '-15' ],
	[ 'standard_conforming_strings', 'off' ],
	[ 'backslash_quote', 'off' ],
	[ 'array_nulls', 'off' ],
	[ 'quote_all_identifiers', 'on' ],
	[ 'client_encoding', 'SJIS' ],
	[ 'xmloption', 'document' ],
	[ 'default_toast_compression', 'pglz' ],
	[ 'enable_indexscan', 'off' ],
	[ 'enable_seqscan', 'off' ],
	[ 'enable_bitmapscan', 'off' ],
	[ 'enable_sort', 'off' ],
	[ 'work_mem', "'64kB'" ],
	[ 'temp_file_limit', '0' ],
	[ 'jit_above_cost', '0' ],
	[ 'zero_damaged_pages', 'on' ],
	[ 'check_function_bodies', 'off' ],
	[ 'gin_fuzzy_search_limit', '1' ],
	[ 'role', 'nobody' ],
	[ 'synchronous_commit', 'remote_apply' ]);

# The same settings at their defaults, for the sessions of this test.
my $sane = join ' ', map { "-c $_" } (
	'default_transaction_isolation=read\\ committed', 'default_transaction_read_only=off',
	'default_transaction_deferrable=off', 'statement_timeout=0', 'lock_timeout=0',
	'idle_in_transaction_session_timeout=0', 'idle_session_timeout=0', 'search_path=public',
	'session_replication_role=origin', 'DateStyle=ISO', 'IntervalStyle=postgres', 'TimeZone=UTC',
	'bytea_output=hex', 'extra_float_digits=1', 'standard_conforming_strings=on', 'array_nulls=on',
	'quote_all_identifiers=off', 'client_encoding=UTF8', 'enable_indexscan=on', 'enable_seqscan=on',
	'enable_bitmapscan=on', 'enable_sort=on', 'work_mem=4MB', 'temp_file_limit=-1',
	'gin_fuzzy_search_limit=0', 'role=none', 'synchronous_commit=on');

my $for = 'DATABASE postgres';
foreach my $round ('a database', 'a role')
{
	$server->sql(join "\n", map { "ALTER $for SET $_->[0] = $_->[1];" } @settings);

	# The worker has these settings, the sessions of this test have not.
	local $ENV{PGOPTIONS} = $sane;
	my $path = "/ok/$round" =~ s/ /-/r;
	$server->subscribe($path);
	my $failing = $server->subscribe('/fail-first/1');
	$server->sql("SELECT 'DROP TABLE ' || relid::regclass FROM pg_partition_tree('webhook.log') WHERE isleaf \\gexec");
	$server->sql('DROP EVENT TRIGGER IF EXISTS no_ddl; CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION hostile.no_ddl()');
	$server->restart_worker;
	$server->sql(<<'END');
INSERT INTO business_request VALUES (1, 'Draft', 'a');
UPDATE business_request SET status = 'Approved';
UPDATE business_request SET status = 'Signed';
DELETE FROM business_request;
END
	$server->settle($round);
	$server->becomes('SELECT count(*) = 0 FROM webhook_internal.pending', 't', "$round: retries are delivered, too");
	is(scalar data($path), 4, "$round: all events arrive");
	is($server->sql("SELECT string_agg(outcome || response_status, ' ' ORDER BY position, attempt) FROM webhook.log WHERE subscription_id = $failing"),
		join(' ', ('retrying500 delivered200') x 4), "$round: what failed is retried once");
	is($server->sql(<<'END'), 0, "$round: times, address and signature in the log are right");
SELECT count(*) FROM webhook.log
WHERE logged_at NOT BETWEEN clock_timestamp() - interval '1 min' AND clock_timestamp()
	OR requested_at NOT BETWEEN created_at AND logged_at
	OR duration NOT BETWEEN interval '0' AND logged_at - requested_at
	OR source_ip <> '127.0.0.1'
	OR webhook.verify(webhook.secret(subscription_id), request_headers, request_body) IS NOT TRUE
END
	is($server->sql("SELECT count(*) FROM pg_partition_tree('webhook.log') WHERE isleaf"), 1, "$round: the log has one leaf");
	like($_, qr/"CreationTimeUtc":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}$/, "$round: CreationTimeUtc has its format")
	  foreach map { $_->{body} } ($receiver->requests(qr/^\Q$path\E$/))[0];

	# Another worker reads the log and the subscriptions under these settings.
	$server->restart_worker;
	$server->settle("$round, another worker");
	is(scalar data($path), 4, "$round: another worker sends nothing a second time");
	is($server->sql('SELECT string_agg(id::text, $$,$$) FROM webhook.subscription'), join(',', sort { $a <=> $b } $failing - 1, $failing),
		"$round: no other subscription appears");

	# A writer's session with these settings.
	$receiver->clear;
	{
		local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } qw(statement_timeout=0 lock_timeout=0
		  idle_in_transaction_session_timeout=0 idle_session_timeout=0
		  default_transaction_read_only=off session_replication_role=origin
		  client_encoding=UTF8 role=none);
		$server->sql("INSERT INTO public.business_request VALUES (2, 'Draft', 'b'); DELETE FROM public.business_request");
	}
	$server->settle("$round, a writer's session");
	is(join(' ', data($path)), '{"BusinessRequestId":2,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft","Record":{"note":"b"}} '
		  . '{"BusinessRequestId":2,"Operation":"DELETE","OldStatus":"Draft","NewStatus":null,"Record":{"note":"b"}}', "$round: a writer's session with these settings publishes the same bytes");
	$server->unsubscribe_all;
	$server->sql('DROP EVENT TRIGGER no_ddl');
	$server->sql("ALTER $for RESET ALL");
	$for = 'ROLE postgres';
}
is($server->sql('SELECT count(*) FROM hostile.log'), 0, 'nothing was written to the table log of another schema');

# ---- The worker makes no serializable writer fail

$server->sql("ALTER DATABASE postgres SET default_transaction_isolation = serializable");
$server->restart_worker;
$server->subscribe('/ok/serializable');
{
	my @writers;
	foreach my $n (1 .. 3)
	{
		$server->sql(<<"END");
CREATE TABLE contract_$n (id int PRIMARY KEY, status int);
SELECT webhook.watch('contract_$n');
INSERT INTO contract_$n VALUES (1, 0);
CREATE PROCEDURE change_$n() LANGUAGE plpgsql AS \$\$
BEGIN
	FOR i IN 1 .. 300 LOOP
		ASSERT current_setting('transaction_isolation') = 'serializable';
		PERFORM status FROM contract_$n;
		UPDATE contract_$n SET status = i;
		COMMIT;
	END LOOP;
END \$\$;
END
	}
	foreach my $n (1 .. 3)
	{
		my $session = $server->background;
		$session->query_until(qr/go/, "\\echo go\nCALL change_$n();\n\\echo done\n");
		push @writers, $session;
	}

	# A serializable reader meanwhile.
	$server->sql('BEGIN; SELECT count(*) FROM webhook.event; SELECT count(*) FROM webhook.log; COMMIT') for 1 .. 10;
	foreach my $session (@writers)
	{
		$session->query_until(qr/done/, '');
		is($session->{stderr} // '', '', 'a serializable writer has no error');
		$session->quit;
	}
	$server->settle('serializable');
	is(scalar data('/ok/serializable'), 903, 'serializable: everything arrives');
}
$server->sql('ALTER DATABASE postgres RESET default_transaction_isolation');
$server->unsubscribe_all;

# ---- The extension is the same under whatever settings it was created

{
	my $quoting = $server->database('quoting');
	my $triggers = <<'END';
SELECT string_agg(format('%s: %s', c.relname, t.tgargs), E'\n' ORDER BY c.relname)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE t.tgname = 'drop_replicated' AND c.relname !~ '^log_'
END

	$server->sql('CREATE DATABASE quoting');
	$server->sql('ALTER DATABASE quoting SET quote_all_identifiers = on');
	$quoting->sql('CREATE EXTENSION webhook');
	is($quoting->sql($triggers), $server->sql($triggers), 'quote_all_identifiers: the triggers have the same arguments');
	$server->sql('DROP DATABASE quoting');
}

# ---- Caches are emptied at each look into them

# Only a server with assertions can do that; elsewhere the greatest value is 0. A step of the
# worker takes longer there than the default timeout of a request.
{
	my $discard = $server->sql("SELECT least(max_val::integer, 1) FROM pg_settings WHERE name = 'debug_discard_caches'");
	my $fast = '-c debug_discard_caches=0';

	$server->sql("ALTER DATABASE postgres SET debug_discard_caches = $discard");
	{
		local $ENV{PGOPTIONS} = $fast;
		$server->restart_worker;
	}
	$server->sql(<<"END");
@{[ $server->subscription('/ok/discard', q(filter => '$.Record.note == "d"', timeout => '5 min')) ]};
INSERT INTO business_request VALUES (3, 'Draft', 'd');
UPDATE business_request SET status = 'Approved' WHERE id = 3;
DELETE FROM business_request WHERE id = 3;
SELECT webhook.publish('$type', '{"Record":{"note":"d"}}', 'business_request/3');
END
	local $ENV{PGOPTIONS} = $fast;
	$server->settle('without caches');
	is(join(' ', map { /"NewStatus":(\w+|"\w+")/ ? $1 : 'published' } data('/ok/discard')), '"Draft" "Approved" null published',
		'without caches: everything arrives');
	$server->sql('ALTER DATABASE postgres RESET debug_discard_caches');
	$server->restart_worker;
}
$server->unsubscribe_all;

# ---- webhook.enabled

my $off = $server->subscribe('/ok/off');
$server->reload_with('webhook.enabled', 'off');
$server->publish_many($type, 50, "'subject'");
$server->settle('enabled = off');
is(scalar data('/ok/off'), 0, 'enabled = off: nothing is sent');
is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 50, 'enabled = off: the events wait');
$server->restart;
$server->publish_many($type, 10, "'subject'");
$server->settle('enabled = off, restarted');
is(scalar data('/ok/off'), 0, 'enabled = off: after a restart, too');
is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 60, 'enabled = off: nothing is lost');
$server->reload_with('webhook.enabled', 'on');
$server->settle('enabled = on');
is(join(' ', data('/ok/off')), join(' ', 1 .. 50, 1 .. 10), 'enabled = on: everything arrives in order, once');
{
	# Off while requests are in flight.
	$server->subscribe('/slow/20');
	$server->sql("SELECT count(webhook.publish('$type', to_json(n))) FROM generate_series(1, 3000) n");
	$receiver->wait_for(20, qr/slow/);
	$server->reload_with('webhook.enabled', 'off');
	my $count = data('/slow/20');
	cmp_ok($count, '<', 3000, 'enabled = off in the middle: not all are sent');
	sleep 0.3;
	is(scalar data('/slow/20'), $count, 'enabled = off in the middle: nothing more is sent');
	$server->reload_with('webhook.enabled', 'on');
	$server->settle('enabled = on again');
	my %seen;
	$seen{$_}++ foreach data('/slow/20');
	is(scalar keys %seen, 3000, 'enabled = on again: everything arrives');
	is(scalar grep({ $_ > 1 } values %seen), 0, 'enabled = on again: once');
}
$server->unsubscribe_all;

# ---- Limits, schedule and timeout, changed by a reload

sub most_in_flight
{
	my ($count) = @_;
	my $most = 0;
	$server->sql("SELECT count(webhook.publish('$type', to_json(n))) FROM generate_series(1, $count) n");
	while (1)
	{
		my ($in_flight, $queued) = split /\|/, $server->sql('SELECT in_flight, queued FROM webhook.stat_worker');
		$most = $in_flight if $in_flight > $most;
		last if $most and !$in_flight and !$queued;
	}
	$server->settle('in flight');
	return $most;
}

$server->subscribe("/slow/50/$_") foreach 1 .. 3;
$server->reload_with('webhook.max_in_flight_per_subscription', 4);
is(most_in_flight(200), 12, 'max_in_flight_per_subscription = 4, three subscriptions: 12 in flight');
$server->reload_with('webhook.max_in_flight', 5);
is(most_in_flight(80), 5, 'max_in_flight = 5: 5 in flight');
$server->reload_with('webhook.max_in_flight_per_subscription', 1);
is(most_in_flight(40), 3, 'max_in_flight_per_subscription = 1: 3 in flight');
$server->reload_with('webhook.max_in_flight', 256);
$server->reload_with('webhook.max_in_flight_per_subscription', 16);
is(most_in_flight(600), 48, 'both limits as before: 48 in flight');
$server->unsubscribe_all;

my $failing = $server->subscribe('/status/500');
sub attempts
{
	my ($what) = @_;
	my $id = $server->sql("SELECT webhook.publish('$type', '1')");
	$server->becomes("SELECT count(*) = 1 FROM webhook.log WHERE event_id = '$id' AND outcome = 'failed'", 't', "$what: it fails for good");
	return $server->sql("SELECT string_agg(outcome, ' ' ORDER BY attempt) FROM webhook.log WHERE event_id = '$id'");
}
$server->reload_with('webhook.retry_schedule', '');
is(attempts('no schedule'), 'failed', 'an empty schedule: one attempt');
$server->reload_with('webhook.retry_schedule', '1s');
is(attempts('a short schedule'), 'retrying failed', 'a schedule of one wait: two attempts');
$server->unsubscribe_all;

$server->subscribe('/hang/timeout');
$server->reload_with('webhook.retry_schedule', '');
$server->reload_with('webhook.timeout', '1s');
$server->publish_many($type, 1, "'subject'");
$server->becomes("SELECT count(*) = 1 FROM webhook.log WHERE error_class = 'timeout' AND duration BETWEEN interval '1 s' AND interval '5 s'", 't',
	'timeout = 1s ends the attempt');
$server->reload_with('webhook.timeout', '30s');
$server->unsubscribe_all;

$server->subscribe('/ok/agent');
$server->reload_with('webhook.user_agent', 'Contracts/7 (+https://example.com)');
$server->publish_many($type, 1, "'subject'");
$server->settle('user_agent');
is(($receiver->requests(qr/agent/))[0]{headers}{'user-agent'}, 'Contracts/7 (+https://example.com)', 'user_agent is sent');
$server->unsubscribe_all;
foreach my $name (qw(timeout enabled max_in_flight retry_schedule))
{
	my ($status, $stdout, $stderr) = $server->psql("SET webhook.$name = 1");
	like($stderr, qr/ERROR:  parameter "webhook\.$name" cannot be changed now/, "webhook.$name cannot be set in a session");
}

$server->stop;
$server->is_sound;

done_testing();
