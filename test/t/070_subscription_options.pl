# 070_subscription_options.pl
#	  Do a subscription's own options do what they say, as a receiver sees it:
#	  payload format, patterns of event types, filter, timeout, retry schedule,
#	  final statuses, greatest age, in-flight limit?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(hmac_sha256);
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

# A subscription without a retry schedule of its own waits for an hour.
my $server = Webhook::Test->new('options', "webhook.retry_schedule = '1h'");
$server->prepare;
my $receiver = $server->receiver;

my @types = qw(App.Order.Created App.Order.Paid App.Orders Other);
my $other = "events => '{Other}'";
$server->sql("SELECT webhook.define_event_type('$_')") foreach @types;

# The event types, or the Ids, of what came to a path.
sub types_to { return join ' ', map { $_->{headers}{'webhook-event'} } $receiver->requests($_[0]); }
sub ids_to { return join ' ', map { $_->{headers}{'webhook-id'} } $receiver->requests($_[0]); }

# ---- Payload formats, byte for byte, and their signatures

my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $key = decode_base64('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');

sub is_signed
{
	my ($request, $what) = @_;
	my %headers = %{ $request->{headers} };
	my $signed = join '.', @headers{qw(webhook-id webhook-timestamp)}, $request->{body};
	is($headers{'webhook-signature'}, 'v1,' . encode_base64(hmac_sha256($signed, $key), ''), "$what: signed");
	return;
}

# Blanks, order, a repeated key, escapes and a character outside ASCII.
my $literal = q({ "b": 1, "a" : "\u00e9 )
  . "\xc3\xa9"
  . q( \/", "b":2,"n": 1.50e+01, "Id":"x" });
my $sql_literal = "U&'" . ($literal =~ s/\\/\\\\/gr =~ s/\xc3\xa9/\\00e9/r) . "'::text::json";
my %subscription = map {
	$_ => $server->subscribe("/ok/$_", $other, "payload_format => '$_'", "secret => '$secret'")
} qw(envelope raw standard);
my $id = $server->publish('Other', $sql_literal, 'format/1');
$server->settle('formats');
my $instant = $server->sql(<<"END");
SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') FROM webhook.event WHERE event_id = '$id'
END
my %body = (
	envelope => qq({"Id":"$id","WebhookEvent":"Other","Subject":"format/1","Attempt":1,"Data":$literal,"CreationTimeUtc":"$instant"}),
	raw => $literal,
	standard => qq({"type":"Other","timestamp":"$instant","data":$literal}));
foreach my $format (sort keys %body)
{
	my ($request, @more) = $receiver->requests("/ok/$format");

	is(@more, 0, "$format: one request");
	is($request->{body}, $body{$format}, "$format: byte for byte");
	is($request->{headers}{'content-type'}, 'application/json; charset=utf-8', "$format: JSON in UTF-8");
	is(join(' ', map { $request->{headers}{"webhook-$_"} // '?' } qw(id event attempt)), "$id Other 1", "$format: the headers are the same");
	is_signed($request, $format);
	is($server->sql(<<"END"), 't|t', "$format: logged as sent, and can be verified");
SELECT convert_to(request_body, 'UTF8') = '\\x@{[ unpack 'H*', $body{$format} ]}',
	webhook.verify('$secret', request_headers, request_body)
FROM webhook.log WHERE subscription_id = $subscription{$format}
END
}

# ---- What the log keeps: log_bodies, of a subscription or of the setting

{
	$server->sql("SELECT webhook.define_event_type('App.Kept')");
	my %kept = map {
		my ($which, $status) = split ' ';
		("$which $status" => $server->subscribe($status == 200 ? "/ok/kept/$which" : "/status/$status/kept/$which", "events => '{App.Kept}'",
			"final_statuses => '{400}'", $which eq 'setting' ? () : "log_bodies => '$which'"))
	} map { my $which = $_; map { "$which $_" } 200, 400, 503 } qw(all failed none setting);
	my $secret = $server->sql("SELECT webhook.secret($kept{'none 200'})");
	my $columns = 'request_body IS NOT NULL, response_body IS NOT NULL, data IS NOT NULL, request_headers IS NOT NULL AND response_headers IS NOT NULL';
	# Bodies, data, headers of the row of each status.
	my %expected = (
		'all 200' => 't|t|f|t', 'all 400' => 't|t|t|t', 'all 503' => 't|t|f|t',
		'failed 200' => 'f|f|f|t', 'failed 400' => 't|t|t|t', 'failed 503' => 't|t|f|t',
		'none 200' => 'f|f|f|t', 'none 400' => 'f|f|f|t', 'none 503' => 'f|f|f|t');

	$server->set('webhook.log_bodies', 'failed');
	my $event = $server->publish('App.Kept', q('{"kept": 1}'), 'kept/1');
	$server->settle('log_bodies');
	foreach my $call (sort keys %kept)
	{
		my $as = $call =~ s/setting/failed/r;
		$server->becomes("SELECT $columns FROM webhook.log WHERE subscription_id = $kept{$call}", $expected{$as}, "log_bodies, $call");
	}

	is($server->sql("SELECT webhook.explain('$event', $kept{'none 200'}) ~ 'The log has no bodies of this attempt: log_bodies is none[.]', webhook.explain('$event', $kept{'setting 200'}) ~ 'log_bodies is failed[.]', webhook.explain('$event', $kept{'all 200'}) ~ 'bodies'"),
		't|t|f', 'explain() says what is missing');
	my ($status, $out, $notice) = $server->psql("SELECT count(webhook.verify('$secret', request_headers, request_body, NULL)) FROM webhook.log WHERE subscription_id IN ($kept{'none 200'}, $kept{'none 400'})");
	is("$status $out", '0 0', 'verify() returns null without a body');
	is(scalar(() = $notice =~ /there is no body to verify/g), 1, '... and says so, once a query');

	# What waits has its data, and is sent; what failed is sent from the ring.
	$server->sql("SELECT webhook.retry($kept{'none 503'})");
	$server->becomes("SELECT max(attempt), count(request_body) FROM webhook.log WHERE subscription_id = $kept{'none 503'}", '2|0', 'a retry without bodies in the log');
	is(scalar(grep { $_->{body} =~ /"Data":\{"kept": 1\}/ } $receiver->requests('/status/503/kept/none')), 2, '... sends the data');
	$server->sql("SELECT webhook.resend('$event', $kept{'none 400'}), webhook.resend('$event', $kept{'none 200'})");
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id IN ($kept{'none 400'}, $kept{'none 200'})", '4', 'sent again from the ring');
	$server->settle('resend');
	$server->sql("BEGIN; SET LOCAL lock_timeout = '10s'; TRUNCATE " . join(', ', map { "webhook_internal.event_$_" } 0 .. 3) . '; COMMIT');
	is($server->sql("SELECT webhook.recover($kept{'none 200'}, '-infinity', what => 'delivered'), webhook.recover($kept{'none 400'}, '-infinity'), webhook.recover($kept{'all 200'}, '-infinity', what => 'delivered', dry_run => true)"),
		'0|0|1', 'without the ring nothing is left to send again, but what the log has kept');
	# What waits of the event has its data, too.
	$server->unsubscribe(delete @kept{ grep { /503/ } keys %kept });
	$server->becomes('SELECT count(*) FROM webhook_internal.pending', '0', 'nothing waits');
	$server->sql('UPDATE webhook.log SET request_body = NULL, data = NULL WHERE subscription_id NOT IN (SELECT id FROM webhook.subscription WHERE log_bodies = \'none\')');
	like($server->sql("SELECT webhook.explain('$event', $kept{'none 400'})"), qr/It cannot be resent: it is no longer in the ring, and the log has not kept its data[.]$/, '... and explain() says so');
	$server->reset('webhook.log_bodies');
	$server->sql("SELECT webhook.unsubscribe($_)") foreach values %kept;
}

# A change holds from the next attempt on.
is($server->sql('SELECT count(*), count(*) FILTER (WHERE webhook_internal.data_of_body(l.request_body, l.event_id, l.event_type)::text = e.data::text)'
		  . " FROM webhook.log l JOIN webhook.event e USING (event_id) WHERE l.subscription_id IN ($subscription{envelope}, $subscription{raw}, $subscription{standard})") =~ /^(\d+)\|\1$/,
	1, 'Data can be had from a body of each format');
$server->alter($subscription{raw}, "payload_format => 'standard'");
$id = $server->publish('Other', "'null'", 'format/1');
$server->settle('altered');
like(($receiver->requests('/ok/raw'))[-1]{body}, qr/^\{"type":"Other","timestamp":"[-0-9T:.]{26}Z","data":null\}$/, 'another format is used from the next attempt on');
$server->unsubscribe_all;

# A retry is the same event in another attempt.
$id = $server->subscribe('/fail-first/1/raw', $other, "payload_format => 'raw'", "retry_schedule => '{1 s}'", "secret => '$secret'");
my $event = $server->publish('Other', "'[1,  2]'", 'format/2');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '1', 'raw: delivered by a retry');
my @twice = $receiver->requests('/fail-first/1/raw');
is(join(' ', map { "$_->{body} $_->{headers}{'webhook-id'} $_->{headers}{'webhook-attempt'}" } @twice),
	"[1,  2] $event 1 [1,  2] $event 2", 'raw: the headers tell event and attempt');
is_signed($_, "raw, attempt $_->{headers}{'webhook-attempt'}") foreach @twice;
$server->unsubscribe_all;

# ---- Patterns

$id = $server->subscribe('/ok/all', "events => '{*}'");
$server->subscribe('/ok/app', "events => '{App.*}'");
$server->subscribe('/ok/order', "events => '{App.Order.*}'");
$server->subscribe('/ok/both', "events => '{App.Order.*,Other}'");
$server->subscribe('/ok/name', "events => '{App.Orders}'");
$server->publish($_, "'{}'") foreach @types;
$server->settle('patterns');
my %expected = (
	all => "@types",
	app => 'App.Order.Created App.Order.Paid App.Orders',
	order => 'App.Order.Created App.Order.Paid',
	both => 'App.Order.Created App.Order.Paid Other',
	name => 'App.Orders');
is(join(' ', sort split / /, types_to("/ok/$_")), $expected{$_}, "/ok/$_ gets the event types that its pattern names, once each") foreach sort keys %expected;

# An event type that is defined after the subscriptions were read, twice.
$server->sql("SELECT webhook.define_event_type('App.Order.New')");
$server->publish('App.Order.New', "'{}'") foreach 1 .. 2;
$server->settle('a new type');
is(scalar(grep { /New/ } split / /, types_to("/ok/$_")), /name/ ? 0 : 2, "/ok/$_: a new event type") foreach sort keys %expected;

# One subscription is new, one is gone, one has other event types.
$server->subscribe('/ok/late', "events => '{App.Order.*}'");
$server->alter($id, $other);
$server->sql("SELECT webhook.unsubscribe(id) FROM webhook.subscription WHERE endpoint LIKE '%/ok/app'");
$receiver->clear;
$server->publish($_, "'{}'") foreach 'App.Order.New', 'Other';
$server->settle('changed patterns');
is(types_to('/ok/late'), 'App.Order.New', 'a new subscription gets what its pattern names');
is(types_to('/ok/all'), 'Other', 'a subscription gets only its new event types');
is(types_to('/ok/app'), '', 'a subscription that is gone gets nothing');

# A ping goes to one subscription, whatever the patterns of others.
$server->alter($id, "events => '{*}'");
my $ping = $server->sql("SELECT webhook.ping(id) FROM webhook.subscription WHERE endpoint LIKE '%/ok/name'");
$server->settle('a ping');
is(ids_to('/ok/name'), $ping, 'a ping arrives');
unlike(ids_to('/ok/all'), qr/$ping/, 'a ping does not go to a subscription to *');
$server->unsubscribe_all;

# ---- A filter that takes too long over large data is no match for the worker

my $terms = join ' || ', ('$.** == 5') x 60, '$.x == 2';
my $slow = $server->subscribe('/ok/slow', $other, "filter => '$terms'");
$server->subscribe('/ok/quick', $other, "filter => '\$.x == 2'");
my $much = $server->publish('Other', q{('{"a":[' || repeat('1,', 400000) || '1],"x":2}')::json}, 'filter/much');
$server->settle('a slow filter');
is(ids_to('/ok/quick'), $much, 'a quick filter matches');
is(ids_to('/ok/slow'), '', 'a filter that takes too long is no match');
$server->becomes("SELECT filter_errors FROM webhook.stat_subscription WHERE subscription_id = $slow", '1', 'filter_errors counts it');
like($server->log_since, qr/LOG:  event $much does not match a filter that took too long/, 'the server log says so');
$server->becomes("SELECT webhook_internal.is_processed(txid, id) FROM webhook_internal.ring WHERE event_id = '$much'", 't', 'the worker has gone on');
is($server->sql("SELECT webhook.recover($slow, '-infinity', 'infinity', 'missing')"), '0', 'recover() gives the same answer');
like($server->sql("SELECT webhook.explain('$much', $slow)"), qr/The filter of subscription $slow is not true for it/, 'and explain()');
$server->alter($slow, "filter => '\$.x == 2'");
is($server->sql("SELECT webhook.recover($slow, '-infinity', 'infinity', 'missing')"), '1', 'with a simpler filter recover() finds it');
$server->settle('recovered');
is(ids_to('/ok/slow'), $much, 'recover() sends it');
my $little = $server->publish('Other', q('{"x":2}'), 'filter/little');
$server->settle('little data');
like(ids_to('/ok/slow'), qr/$little/, 'later ones match, too');
$server->unsubscribe_all;

# ---- Filters whose cost grows with the square, the cube or a power of the data
#
# Each would take the worker hours, and some of them all its memory. They are
# accepted when they are saved, because each can be interrupted: the limit of
# CPU time ends them, one after the other.

my %costly = (
	nested => '$.a[*] ? ($.b.c == 1) == 2',
	inner => 'strict exists($.a[*] ? (exists($.b ? (@.c[*] == 1))))',
	levels => '$.d.**.**.** == 1',
	within => 'exists($.d.** ? (exists(@.** ? (@.** == 1))))',
	keys => '$.d.**{0 to 500}.keyvalue().value.**{0 to 400}.keyvalue().key == "x"',
	subscript => 'exists($.a[*] ? ($.a[$.b.c[*] ? (@ == 9)] == 5))',
	range => 'exists($.a[*] ? (@ == 5 || exists($.b.c[0 to $.b.c.size()] ? (@ == 1))))',
	power => '$' . '[0,0,0,0,0,0,0,0]' x 12 . ' == 1');

# CPU time in seconds, and the peak of memory in MB since the call before.
sub usage
{
	my $pid = $server->wait_for_worker;
	my ($user, $system) = (split / /, slurp_file("/proc/$pid/stat") =~ s/.*\) //sr)[ 11, 12 ];
	my ($peak) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m;
	append_to_file("/proc/$pid/clear_refs", 5);
	return (cpu => ($user + $system) / 100, peak => int($peak / 1024));
}

$server->subscribe("/ok/$_", $other, "filter => '$costly{$_}'") foreach sort keys %costly;
$server->subscribe('/ok/cheap', $other, "filter => '\$.x == 2'");
my %before = usage();
my $adverse = $server->publish('Other', q{('{"a":[' || repeat('1,', 100000) || '1],"b":{"c":[' || repeat('2,', 100000) || '2]},"d":'
	|| repeat('{"a":', 1000) || '[[[[[3]]]]]' || repeat('}', 1000) || ',"x":2}')::json}, 'filter/adverse');
$server->settle('filters that cost too much');
is(ids_to('/ok/cheap'), $adverse, 'another filter accepts the event');
is(join(' ', grep { ids_to("/ok/$_") ne '' } sort keys %costly), '', 'none of the costly ones does');
$server->becomes("SELECT string_agg(filter_errors::text, ' ') FROM webhook.stat_subscription WHERE endpoint !~ 'cheap'",
	join(' ', map { 1 } keys %costly), 'each is counted');
my %usage = usage();
my $cpu = $usage{cpu} - $before{cpu};
cmp_ok($cpu, '<', 4 * keys %costly, "the worker has used $cpu s of CPU time for all of them");
cmp_ok($usage{peak}, '<', 1024, "it has never had more than $usage{peak} MB of memory");
$server->unsubscribe_all;

# ---- Filters

my $big = $server->subscribe('/ok/big', $other, "filter => '\$.Amount > 1000'");
my $flag = $server->subscribe('/ok/flag', $other, "filter => '\$.Flag == true'");
my $time = $server->subscribe('/ok/time', $other, q(filter => '$.At.datetime() < "2026-01-01T00:00:00+01:00".datetime()'));
$id = $server->subscribe('/ok/none', $other);
my $last = 0;

# Publish an event, and assert to which paths it goes, and which subscriptions
# count it in filter_errors.
sub is_for
{
	my ($data, $who, $failing, $what) = @_;
	my $event = $server->publish('Other', "'$data'", 'filter/' . ++$last);

	$server->settle($what);
	is(join(' ', grep { ids_to("/ok/$_") =~ /$event/ } qw(big flag time none)), $who, "$what: the filters that match");
	foreach (split / /, $failing)
	{
		$expected{$_} = ($expected{$_} // 0) + 1;
	}
	$server->becomes("SELECT string_agg(coalesce(filter_errors, 0)::text, ' ' ORDER BY id) FROM webhook.subscription LEFT JOIN webhook_internal.subscription_state ON subscription_id = id",
		join(' ', map { $expected{"$_?"} // 0 } qw(big flag time none)), "$what: the filters that fail");
	return;
}
%expected = ();

is_for('{"Amount": 1001, "Flag": true}', 'big flag none', '', 'a match');
is_for('{"Amount": 1000, "Flag": false}', 'none', '', 'no match');
is_for('{"Amount": "1001", "Flag": true}', 'flag none', 'big?', 'a value of another type');
is_for('{"Amount": 5000, "Flag": 1}', 'big none', 'flag?', 'neither true nor false');
is_for('{"Amount": 5000, "Flag": true, "At": "2020-01-01"}', 'big flag none', 'time?', 'an error in the path');
is_for('{"Amount": 5000, "Flag": true, "X": "\u0000"}', 'none', 'big? flag? time?', 'data that jsonb refuses');
is_for('{"Amount": 5000, "Flag": true, "X": 1e200000}', 'none', 'big? flag? time?', 'a number out of range');
is_for('{"Flag": true, "RecordOmitted": true}', 'flag none', 'big? time?', 'data whose Record was too large');
like($server->sql("SELECT webhook.explain((SELECT event_id FROM webhook.event WHERE subject = 'filter/$last'), $big)"),
	qr/The filter of subscription $big is not true for it: .*\nIts Record was too large/, 'explain() says so');
is_for('{"Amount": 5000, "Flag": true, "At": "2026-01-01T00:00:00+01:00", "RecordOmitted": true}', 'big flag none', 'time?', 'and is not needed by all filters');
is_for('{"Amount": 5000, "Flag": true}', 'big flag none', '', 'and the next event');

# A filter that cannot be evaluated, written into the table past our checks.
$server->sql(qq(UPDATE webhook_internal.subscription SET filter = '\$limit < 1' WHERE id = $flag));
is_for('{"Amount": 5000, "Flag": true}', 'big none', 'flag?', 'a path with a variable');
$server->alter($flag, q(filter => '$.Amount == 1 && exists($.Lines[*] ? (@.Price > 10))'));
is_for('{"Amount": 1, "Lines": [{"Price": 5}, {"Price": 11}]}', 'flag none', '', 'another filter');
$server->alter($flag, "filter => 'true'");
is_for('{"Amount": 1}', 'flag none', '', 'no filter');

foreach my $filter ('$.a like_regex "x"', 'exists($.a[*] ? (@.b like_regex "x"))', '$.a[$.b ? (@ like_regex "x").size()] == 1',
	'$limit < 1', '$.a[0 to $last] == 1')
{
	my $error = $server->messages("\\set VERBOSITY verbose\nSELECT webhook.alter_subscription($flag, filter => '$filter')");
	like($error, qr/ERROR:  0A000: filter must not have .*\n.*DETAIL:.*\n(?s:.*)HINT:/, "refused: $filter");
}

# A filter is asked when an event is resent, too.
$server->alter($big, q(filter => '$.Amount > 1000'));
$event = $server->publish('Other', q('{"Amount": 1}'));
$server->settle('does not match');
like($server->messages("SELECT webhook.resend('$event', $big)"), qr/ERROR:  subscription $big does not take event $event\nDETAIL:  The filter /,
	'resend() refuses what the filter does not match');
$server->unsubscribe_all;

# ---- Timeout, retry schedule, final statuses, greatest age

# A timeout of its own is too short twice; that of the setting is long enough.
$id = $server->subscribe('/slow/1500/short', $other, "timeout => '200 ms'", "retry_schedule => '{1 s}'");
my $long = $server->subscribe('/slow/1500/long', $other);
$server->publish('Other', "'{}'", 'timeout/1');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id", '2', 'two attempts');
is($server->attempts($id), '1 retrying timeout, 2 failed timeout', 'both end by its own timeout');
is($server->sql("SELECT bool_and(duration BETWEEN '0.2 s' AND '1.4 s') FROM webhook.log WHERE subscription_id = $id"), 't', 'after that time');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $long", '1', 'one attempt for the other subscription');
is($server->attempts($long), '1 delivered 200', 'it is delivered within the timeout of the setting');
$server->alter($id, "timeout => '0'");
$server->publish('Other', "'{}'", 'timeout/2');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '1', 'with the timeout of the setting the first one is delivered, too');
$server->unsubscribe_all;

# The retry schedule.
$id = $server->subscribe('/status/500/own', $other, "retry_schedule => '{1 s, 2 s}'");
$long = $server->subscribe('/status/500/default', $other);
$event = $server->publish('Other', "'{}'", 'schedule/1');
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id", '3', 'three attempts');
is($server->attempts($id), '1 retrying status 500, 2 retrying status 500, 3 failed status 500', 'it ends after its own schedule');
my @calls = $receiver->requests('/status/500/own');
my @waits = map { $calls[$_]{time} - $calls[$_ - 1]{time} } 1, 2;
ok($waits[0] >= 0.8 && $waits[1] >= 1.6, "the waits are those of the schedule, less 20 percent at most (@waits)");
is($server->attempts($long), '1 retrying status 500', 'the other subscription has the schedule of the setting');
is($server->sql("SELECT next_at - now() BETWEEN '40 min' AND '75 min' FROM webhook_internal.pending WHERE subscription_id = $long"), 't', 'its next attempt is in an hour');
$server->alter($id, "retry_schedule => '{}'");
$server->publish('Other', "'{}'", 'schedule/2');
$server->becomes("SELECT next_at - now() BETWEEN '40 min' AND '75 min' FROM webhook_internal.pending WHERE subscription_id = $id", 't', "so is the first one's, without a schedule of its own");
$server->unsubscribe_all;

# Final statuses, and the next event of the same subject.
$id = $server->subscribe('/status/422', $other, "final_statuses => '{422, 503}'");
$long = $server->subscribe('/status/409', $other, "final_statuses => '{422, 503}'");
$server->publish('Other', "'{}'", 'final/1') foreach 1 .. 2;
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id", '2', 'one attempt for each of two events');
is($server->attempts($id), '1 failed status 422, 1 failed status 422', 'a final status ends a delivery, and the next one is sent');
$server->settle('final');
is($server->attempts($long), '1 retrying status 409', 'another status does not');
is($server->sql("SELECT count(*), count(DISTINCT event_id) FROM webhook.dead_letter WHERE subscription_id = $id AND data IS NOT NULL"), '2|2', 'both events are dead letters');
$server->unsubscribe_all;

# The greatest age, written into the table: alter_subscription() allows none that
# a test can wait for.
$id = $server->subscribe('/status/500/aged', $other, "retry_schedule => '{1 s, 1 s, 1 s, 1 s, 1 s, 1 s, 1 s, 1 s}'");
$server->sql("UPDATE webhook_internal.subscription SET max_age = '3 s' WHERE id = $id");
$server->publish('Other', "'{}'", 'age/1');
$server->becomes("SELECT error_class FROM webhook.log WHERE subscription_id = $id AND outcome = 'failed'", 'too_old', 'a delivery that is too old fails');
is($server->sql(<<"END"), 't|t|t', 'after some attempts; the log names the last one and keeps the data');
SELECT count(*) FILTER (WHERE outcome = 'retrying') BETWEEN 2 AND 5,
	max(attempt) FILTER (WHERE outcome = 'failed') = max(attempt) FILTER (WHERE outcome = 'retrying'),
	count(data) FILTER (WHERE outcome = 'failed') = 1
FROM webhook.log WHERE subscription_id = $id
END
is($server->sql("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id"), '0', 'nothing waits');
$server->unsubscribe_all;

# Time while it may not be sent does not count as age.
$id = $server->subscribe('/ok/aged', $other);
$server->sql("UPDATE webhook_internal.subscription SET max_age = '2 s' WHERE id = $id");
$server->sql("SELECT webhook.pause($id)");
$server->publish('Other', "'{}'", 'age/2');
$server->becomes("SELECT max(created_at) < now() - interval '3 s' FROM webhook_internal.pending WHERE subscription_id = $id", 't', 'it waits for longer than the greatest age while paused');
$server->sql("SELECT webhook.resume($id)");
$server->becomes("SELECT outcome FROM webhook.log WHERE subscription_id = $id", 'delivered', 'after resume() it is delivered');
$server->unsubscribe_all;

# In-flight limit.
$id = $server->subscribe('/slow/200/one', $other, 'max_in_flight => 1');
$server->sql(q(SELECT count(webhook.publish('Other', '{}', 'one/' || n)) FROM generate_series(1, 5) n));
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'delivered'", '5', 'all are delivered');
@calls = $receiver->requests('/slow/200/one');
is(scalar(grep { $calls[$_]{time} - $calls[$_ - 1]{time} < 0.19 } 1 .. 4), 0, 'one after the other');

# The worker survives any values in the table.
$server->sql(<<"END");
UPDATE webhook_internal.subscription
SET events = '{"",Other,*,.*,NULL}', max_in_flight = -1, rate_limit = 'NaN', timeout = '-1 s', max_age = '-1 year',
	retry_schedule = '{NULL,-1 s,100 years}', final_statuses = '{NULL,0,-1}', payload_format = 'parchment'
WHERE id = $id
END
$event = $server->publish('Other', "'{}'", 'one/6');
$server->becomes("SELECT outcome FROM webhook.log WHERE subscription_id = $id AND event_id = '$event'", 'delivered', 'a subscription with senseless values gets its event');
is(scalar(grep { $_ eq $event } split / /, ids_to('/slow/200/one')), 1, 'it gets it once');

$server->stop;
done_testing();
