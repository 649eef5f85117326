# 170_settings.pl
#	  What a database, a role or the configuration sets, and what text there may
#	  be: events arrive as they are, whatever is set.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Encode;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;
use Time::HiRes qw(sleep time);

my $type = 'App.BusinessRequestStatusChange';

my $node = PostgreSQL::Test::Cluster->new('settings');
$node->init;
$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
$node->append_conf('postgresql.conf', "webhook.retry_schedule = '1s, 1s, 1s'");
$node->start;

my $receiver = Webhook::Receiver->new(file => "$node->{_basedir}/received");
my $database = 'postgres';

sub sql { return $node->safe_psql($database, $_[0]); }

# Statements in UTF-8, with characters outside ASCII.
sub unicode { return decode_utf8(sql("SET client_encoding = 'UTF8';\n" . encode_utf8($_[0]))); }

sub becomes
{
	my ($query, $what) = @_;
	ok($node->poll_query_until($database, $query), $what);
	return;
}

sub settle { is(sql("SELECT webhook.drain('60 s')"), 't', "$_[0]: drained"); return; }

sub subscribe { return sql("SELECT webhook.subscribe('@{[ $receiver->url($_[0]) ]}', '{$type}')"); }

sub unsubscribe { sql('SELECT webhook.unsubscribe(id) FROM webhook.subscription'); return; }

sub publish
{
	my ($count) = @_;
	sql("SELECT count(webhook.publish('$type', to_json(n), 'subject')) FROM generate_series(1, $count) n");
	return;
}

# What came to a path: Data of each.
sub data { return map { /"Data":(.*),"CreationTimeUtc"/s } map { $_->{body} } $receiver->requests(qr/^\Q$_[0]\E$/); }

sub set
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET $name = $value");
	$node->reload;

	# Seen by a new session, it has been seen by all soon.
	ok($node->poll_query_until('postgres', "SELECT pending_restart = false AND setting IS NOT NULL FROM pg_settings WHERE name = '$name'"),
		"$name = $value");
	settle("$name = $value");
	return;
}

sub restart_worker
{
	my $pid = sql('SELECT pid FROM webhook.stat_worker');
	sql("SELECT pg_terminate_backend($pid)");
	becomes("SELECT count(*) = 1 FROM webhook.stat_worker WHERE state = 'running' AND pid <> $pid",
		'the worker starts anew');
	return;
}

sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, note text);
SELECT webhook.watch('business_request', data_columns => '{note}');
END

# ---- Whatever a database sets

sql(<<'END');
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

# For sessions that are not to be bothered by all that.
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
	sql(join "\n", map { "ALTER $for SET $_->[0] = $_->[1];" } @settings);

	# Whatever that makes of the worker, this session is as ever.
	local $ENV{PGOPTIONS} = $sane;
	my $path = "/ok/$round" =~ s/ /-/r;
	subscribe($path);
	my $failing = subscribe('/fail-first/1');
	sql("SELECT 'DROP TABLE ' || relid::regclass FROM pg_partition_tree('webhook.log') WHERE isleaf \\gexec");
	sql('DROP EVENT TRIGGER IF EXISTS no_ddl; CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION hostile.no_ddl()');
	restart_worker();
	sql(<<'END');
INSERT INTO business_request VALUES (1, 'Draft', 'a');
UPDATE business_request SET status = 'Approved';
UPDATE business_request SET status = 'Signed';
DELETE FROM business_request;
END
	settle($round);
	becomes('SELECT count(*) = 0 FROM webhook_internal.pending', "$round: retries, too");
	is(scalar data($path), 4, "$round may set what it likes, everything arrives");
	is(sql("SELECT string_agg(outcome || response_status, ' ' ORDER BY position, attempt) FROM webhook.log WHERE subscription_id = $failing"),
		join(' ', ('retrying500 delivered200') x 4), "$round: retried by the schedule");
	is(sql(<<'END'), 0, "$round: the log is right");
SELECT count(*) FROM webhook.log
WHERE logged_at NOT BETWEEN clock_timestamp() - interval '1 min' AND clock_timestamp()
	OR requested_at NOT BETWEEN created_at AND logged_at
	OR duration NOT BETWEEN interval '0' AND logged_at - requested_at
	OR source_ip <> '127.0.0.1'
	OR webhook.verify(webhook.secret(subscription_id), request_headers, request_body) IS NOT TRUE
END
	is(sql("SELECT count(*) FROM pg_partition_tree('webhook.log') WHERE isleaf"), 1, "$round: it has its leaf");
	like($_, qr/"CreationTimeUtc":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}$/, "$round: CreationTimeUtc is as ever")
	  foreach map { $_->{body} } ($receiver->requests(qr/^\Q$path\E$/))[0];

	# A new worker finds all that is there, and sends nothing twice.
	restart_worker();
	settle("$round, another worker");
	is(scalar data($path), 4, "$round: nothing twice");
	is(sql('SELECT string_agg(id::text, $$,$$) FROM webhook.subscription'), join(',', sort { $a <=> $b } $failing - 1, $failing),
		"$round: nobody else is served");

	# What a writer's session has set changes nothing, either.
	$receiver->clear;
	{
		local $ENV{PGOPTIONS} = join ' ', map { "-c $_" } qw(statement_timeout=0 lock_timeout=0
		  idle_in_transaction_session_timeout=0 idle_session_timeout=0 default_transaction_read_only=off
		  session_replication_role=origin client_encoding=UTF8 role=none);
		sql("INSERT INTO public.business_request VALUES (2, 'Draft', 'b'); DELETE FROM public.business_request");
	}
	settle("$round, a writer's session");
	is(join(' ', data($path)), '{"BusinessRequestId":2,"OldStatus":null,"NewStatus":"Draft","Record":{"note":"b"}} '
		  . '{"BusinessRequestId":2,"OldStatus":"Draft","NewStatus":null,"Record":{"note":"b"}}', "$round: a writer's session may, too");
	unsubscribe();
	sql('DROP EVENT TRIGGER no_ddl');
	sql("ALTER $for RESET ALL");
	$for = 'ROLE postgres';
}
is(sql('SELECT count(*) FROM hostile.log'), 0, 'nothing has gone astray');

# ---- Serializable writers never die of the worker

sql("ALTER DATABASE postgres SET default_transaction_isolation = serializable");
restart_worker();
subscribe('/ok/serializable');
{
	my @writers;
	foreach my $n (1 .. 3)
	{
		sql(<<"END");
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
		my $session = $node->background_psql('postgres', on_error_stop => 1);
		$session->query_until(qr/go/, "\\echo go\nCALL change_$n();\n\\echo done\n");
		push @writers, $session;
	}

	# Somebody looks on, as serializably.
	sql('BEGIN; SELECT count(*) FROM webhook.event; SELECT count(*) FROM webhook.log; COMMIT') for 1 .. 10;
	foreach my $session (@writers)
	{
		$session->query_until(qr/done/, '');
		is($session->{stderr} // '', '', 'a serializable writer has no error');
		$session->quit;
	}
	settle('serializable');
	is(scalar data('/ok/serializable'), 903, 'serializable: everything arrives');
}
sql('ALTER DATABASE postgres RESET default_transaction_isolation');
unsubscribe();

# ---- Sending on and off

my $off = subscribe('/ok/off');
set('webhook.enabled', 'off');
publish(50);
settle('enabled = off');
is(scalar data('/ok/off'), 0, 'enabled = off: nothing is sent');
is(sql('SELECT count(*) FROM webhook_internal.pending'), 50, 'enabled = off: it waits');
$node->restart;
publish(10);
settle('enabled = off, restarted');
is(scalar data('/ok/off'), 0, 'enabled = off: after a restart, too');
is(sql('SELECT count(*) FROM webhook_internal.pending'), 60, 'enabled = off: nothing is lost');
set('webhook.enabled', 'on');
settle('enabled = on');
is(join(' ', data('/ok/off')), join(' ', 1 .. 50, 1 .. 10), 'enabled = on: everything arrives in order, once');
{
	# Off while requests are under way.
	subscribe('/slow/20');
	sql("SELECT count(webhook.publish('$type', to_json(n))) FROM generate_series(1, 3000) n");
	$receiver->wait_for(20, 10, qr/slow/);
	set('webhook.enabled', 'off');
	my $count = data('/slow/20');
	cmp_ok($count, '<', 3000, 'enabled = off in the middle: it is');
	sleep 0.3;
	is(scalar data('/slow/20'), $count, 'enabled = off in the middle: nothing more is sent');
	set('webhook.enabled', 'on');
	settle('enabled = on again');
	my %seen;
	$seen{$_}++ foreach data('/slow/20');
	is(scalar keys %seen, 3000, 'enabled = on again: everything arrives');
	is(scalar grep({ $_ > 1 } values %seen), 0, 'enabled = on again: once');
}
unsubscribe();

# ---- Numbers that a reload changes

sub most_in_flight
{
	my ($count) = @_;
	my $most = 0;
	sql("SELECT count(webhook.publish('$type', to_json(n))) FROM generate_series(1, $count) n");
	while (1)
	{
		my ($in_flight, $queued) = split /\|/, sql('SELECT in_flight, queued FROM webhook.stat_worker');
		$most = $in_flight if $in_flight > $most;
		last if $most and !$in_flight and !$queued;
	}
	settle('in flight');
	return $most;
}

subscribe("/slow/50/$_") foreach 1 .. 3;
set('webhook.max_in_flight_per_subscription', 4);
is(most_in_flight(200), 12, 'max_in_flight_per_subscription = 4, three subscriptions: 12 in flight');
set('webhook.max_in_flight', 5);
is(most_in_flight(80), 5, 'max_in_flight = 5: 5 in flight');
set('webhook.max_in_flight_per_subscription', 1);
is(most_in_flight(40), 3, 'max_in_flight_per_subscription = 1: 3 in flight');
set('webhook.max_in_flight', 256);
set('webhook.max_in_flight_per_subscription', 16);
is(most_in_flight(600), 48, 'back again: 48 in flight');
unsubscribe();

my $failing = subscribe('/status/500');
sub attempts
{
	my ($what) = @_;
	my $id = sql("SELECT webhook.publish('$type', '1')");
	becomes("SELECT count(*) = 1 FROM webhook.log WHERE event_id = '$id' AND outcome = 'failed'", "$what: it fails for good");
	return sql("SELECT string_agg(outcome, ' ' ORDER BY attempt) FROM webhook.log WHERE event_id = '$id'");
}
set('webhook.retry_schedule', "''");
is(attempts('no schedule'), 'failed', 'an empty schedule: one attempt');
set('webhook.retry_schedule', "'1s'");
is(attempts('a short schedule'), 'retrying failed', 'a schedule of one wait: two attempts');
unsubscribe();

subscribe('/hang/timeout');
set('webhook.retry_schedule', "''");
set('webhook.timeout', "'300ms'");
publish(1);
becomes("SELECT count(*) = 1 FROM webhook.log WHERE error_class = 'timeout' AND duration BETWEEN interval '0.3 s' AND interval '5 s'",
	'timeout: as set');
set('webhook.timeout', "'30s'");
unsubscribe();

subscribe('/ok/agent');
set('webhook.user_agent', q{'Contracts/7 (+https://example.com)'});
publish(1);
settle('user_agent');
is(($receiver->requests(qr/agent/))[0]{headers}{'user-agent'}, 'Contracts/7 (+https://example.com)', 'user_agent: as set');
unsubscribe();
foreach my $name (qw(timeout enabled max_in_flight retry_schedule))
{
	my ($status, $stdout, $stderr) = $node->psql('postgres', "SET webhook.$name = 1");
	like($stderr, qr/ERROR:  parameter "webhook\.$name" cannot be changed now/, "webhook.$name is not a session's to set");
}

# ---- Text of all kinds

subscribe('/ok/text');
{
	my $all = join '', map { chr } 1 .. 0xd7ff, 0xe000 .. 0xfffd, 0x10000 .. 0x10fff, 0x1f300 .. 0x1faff, 0x10fffd;
	$all =~ s/[\x{fdd0}-\x{fdef}\x{fffe}\x{ffff}]//g;
	sql(<<'END');
INSERT INTO business_request
	SELECT 3, 'all', string_agg(chr(n), '' ORDER BY n)
	FROM (SELECT generate_series(1, 55295) UNION ALL SELECT generate_series(57344, 64975)
		UNION ALL SELECT generate_series(65008, 65533) UNION ALL SELECT generate_series(65536, 69631)
		UNION ALL SELECT generate_series(127744, 129791) UNION ALL SELECT 1114109) AS c (n)
END
	settle('every character');
	my ($call) = $receiver->requests(qr/text/);
	my $came = decode_json($call->{body})->{Data}{Record}{note};
	is(length $came, length $all, 'every character arrives');
	ok($came eq $all, 'as it was');
	is(sql('SELECT webhook.verify(webhook.secret(subscription_id), request_headers, request_body) FROM webhook.log ORDER BY logged_at DESC LIMIT 1'),
		't', 'and the log can be verified');
	my $nasty = qq{"\\"' \\n \\\\ \x01\x1f\x7f\t\r\n\x{2028}\x{2029}</script> %00 \$1 \\u0000 é 😀};
	my $literal = $nasty =~ s/'/''/gr;
	unicode("UPDATE business_request SET status = '$literal' WHERE id = 3");
	settle('quotes and control characters');
	is(decode_json(($receiver->requests(qr/text/))[1]{body})->{Data}{NewStatus}, $nasty, 'quotes and control characters arrive as they were');
	is(sql("SELECT status = request_body::json->'Data'->>'NewStatus' FROM business_request, webhook.log WHERE id = 3 ORDER BY logged_at DESC LIMIT 1"
			=~ s/WHERE id/WHERE business_request.id/r), 't', 'in the log, too');
}

# ---- As much as there may be

{
	$receiver->clear;
	my $refused = qr/ERROR:  .*(?:larger|too large|max_data_size)/;
	my $text = sub { return q{('"' || repeat('é', } . ($_[0] - 2) / 2 . q{) || '"')::json}; };

	sql("SELECT webhook.publish('$type', @{[ $text->(1048576) ]})");
	settle('1 MB');
	is(length((data('/ok/text'))[0] // ''), 1048576, 'data of max_data_size arrives');
	ok(((data('/ok/text'))[0] // '') eq '"' . "\xc3\xa9" x 524287 . '"', 'as it was');
	my ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT webhook.publish('$type', @{[ $text->(1048578) ]})");
	like($stderr, qr/ERROR:  54000: /, 'publish() refuses more, as over a limit');
	like($stderr, qr/HINT:  /, 'with a hint');

	($status, $stdout, $stderr) = $node->psql('postgres',
		"UPDATE business_request SET status = 'long', note = repeat('x', 1048576)");
	is($status, 0, 'a trigger does not refuse more');
	like($stderr, qr/WARNING:  data of event .*max_data_size\nDETAIL:  The event is published without "Record"/, 'but warns');
	settle('too much');
	like((data('/ok/text'))[1], qr/^\{"BusinessRequestId":3,"OldStatus":.*,"NewStatus":"long"\}$/s, 'and leaves Record out');

	set('webhook.max_data_size', "'8MB'");
	sql("SELECT webhook.publish('$type', @{[ $text->(8388608) ]}, 'large')") for 1 .. 3;
	settle('8 MB');
	is(join(' ', map { length } (data('/ok/text'))[2 .. 4]), join(' ', (8388608) x 3), 'as much as is allowed arrives');
	is(sql('SELECT count(*) FROM webhook.log WHERE octet_length(request_body) > 8388608'), 3, 'and is in the log');
	set('webhook.max_data_size', "'1kB'");
	($status, $stdout, $stderr) = $node->psql('postgres', "SELECT webhook.publish('$type', @{[ $text->(1026) ]})");
	isnt($status, 0, 'a smaller limit holds, too');
	set('webhook.max_data_size', "'1MB'");
}
unsubscribe();

# ---- Databases of other encodings

my %encodings = (
	UTF8 => [ 'Vertrag Prüfung 契約 😀', '\xFF\xFE € ü\x00\x80' ],
	LATIN1 => [ 'Vertrag Prüfung éÿ×', '\xFF\xFE \xE2\x82\xAC ü\x00\x80' ],
	EUC_JP => [ '契約 承認済み', '\xFF\xFE \xE2\x82\xAC ü\x00\x80' ]);
foreach my $encoding (sort keys %encodings)
{
	my ($text, $response) = @{ $encodings{$encoding} };
	my $path = '/bytes/fffe20e282ac20c3bc0080';
	$database = lc $encoding;
	$receiver->clear;
	$node->safe_psql('postgres',
		"CREATE DATABASE $database TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	sql('CREATE EXTENSION webhook');
	unicode(<<"END");
CREATE TABLE "$text" ("$text" text PRIMARY KEY, status text);
SELECT webhook.watch('"$text"', data_columns => ARRAY['$text']);
SELECT webhook.subscribe('@{[ $receiver->url($path) ]}', '{$type}', '$text');
INSERT INTO "$text" VALUES ('$text', '$text "quoted"');
SELECT webhook.publish('$type', '{"euro":"\\u20ac","text":"$text"}', '$text');
END
	settle($encoding);
	my @calls = $receiver->requests;
	is(scalar @calls, 2, "$encoding: events arrive");
	my ($watched) = grep { $_->{body} =~ /OldStatus/ } @calls;
	my ($published) = grep { $_->{body} !~ /OldStatus/ } @calls;
	is_deeply(decode_json($watched->{body})->{Data},
		{ "${text}Id" => $text, OldStatus => undef, NewStatus => "$text \"quoted\"", Record => { $text => $text } },
		"$encoding: as UTF-8");
	is_deeply(decode_json($published->{body})->{Data}, { euro => '€', text => $text }, "$encoding: published data, too");
	is(unicode('SELECT count(*) FROM webhook.log WHERE webhook.verify(webhook.secret(subscription_id), request_headers, request_body)'),
		2, "$encoding: the log can be verified");
	is(unicode('SELECT DISTINCT response_body FROM webhook.log'), $response, "$encoding: what is no text there is escaped");
	is(unicode('SELECT request_body FROM webhook.log ORDER BY position LIMIT 1'), decode_utf8($watched->{body}), "$encoding: the log is readable");
	is(unicode('SELECT string_agg(subject, $$ $$ ORDER BY position) FROM webhook.log'), "$text/$text $text", "$encoding: subjects, too");
	if ($encoding eq 'LATIN1')
	{
		my ($status, $stdout, $stderr) = $node->psql($database,
			encode_utf8("SET client_encoding = 'UTF8'; SELECT webhook.publish('$type', '\"😀\"')"));
		like($stderr, qr/no equivalent in encoding "LATIN1"/, 'LATIN1: what it has no character for is refused by the server');
	}
}

$node->safe_psql('postgres', "CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
my ($status, $stdout, $stderr) = $node->psql('ascii', 'CREATE EXTENSION webhook');
isnt($status, 0, 'SQL_ASCII is refused');
like($stderr, qr/ERROR:  .*SQL_ASCII/, 'it says why');
like($stderr, qr/HINT:  /, 'with a hint');

$node->stop;
is(() = slurp_file($node->logfile) =~ /TRAP|PANIC|terminated by signal/g, 0, 'nothing has crashed');

done_testing();
