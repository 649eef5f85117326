# 180_encodings.pl
#	  Does any text arrive as it was: every character, as much data as a setting
#	  allows, from databases of other encodings?

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Encode;
use JSON::PP;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('encodings', "webhook.retry_schedule = '1s, 1s, 1s'");
my $receiver = $server->receiver;

# Statements in UTF-8, with characters outside ASCII.
sub unicode
{
	my ($database, $text) = @_;
	return decode_utf8($database->sql("SET client_encoding = 'UTF8';\n" . encode_utf8($text)));
}

# The Data of each event that came to a path.
sub data { return map { /"Data":(.*),"CreationTimeUtc"/s } map { $_->{body} } $receiver->requests($_[0]); }

$server->sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (id bigint PRIMARY KEY, status text, note text);
SELECT webhook.watch('business_request', data_columns => '{note}');
END

# ---- Every character, quotes and control characters

$server->subscribe('/ok/text');
{
	my $all = join '', map { chr } 1 .. 0xd7ff, 0xe000 .. 0xfffd, 0x10000 .. 0x10fff, 0x1f300 .. 0x1faff, 0x10fffd;
	$all =~ s/[\x{fdd0}-\x{fdef}\x{fffe}\x{ffff}]//g;
	$server->sql(<<'END');
INSERT INTO business_request
	SELECT 3, 'all', string_agg(chr(n), '' ORDER BY n)
	FROM (SELECT generate_series(1, 55295) UNION ALL SELECT generate_series(57344, 64975)
		UNION ALL SELECT generate_series(65008, 65533)
		UNION ALL SELECT generate_series(65536, 69631)
		UNION ALL SELECT generate_series(127744, 129791) UNION ALL SELECT 1114109) AS c (n)
END
	$server->settle('every character');
	my ($call) = $receiver->requests(qr/text/);
	my $came = decode_json($call->{body})->{Data}{Record}{note};
	is(length $came, length $all, 'every character arrives');
	ok($came eq $all, 'each character is as it was');
	is($server->sql('SELECT webhook.verify(webhook.secret(subscription_id), request_headers, request_body) FROM webhook.log ORDER BY logged_at DESC LIMIT 1'),
		't', 'the log row can be verified');
	my $nasty = qq{"\\"' \\n \\\\ \x01\x1f\x7f\t\r\n\x{2028}\x{2029}</script> %00 \$1 \\u0000 é 😀};
	my $literal = $nasty =~ s/'/''/gr;
	unicode($server, "UPDATE business_request SET status = '$literal' WHERE id = 3");
	$server->settle('quotes and control characters');
	is(decode_json(($receiver->requests(qr/text/))[1]{body})->{Data}{NewStatus}, $nasty, 'quotes and control characters arrive as they were');
	is($server->sql("SELECT status = request_body::json->'Data'->>'NewStatus' FROM business_request, webhook.log WHERE id = 3 ORDER BY logged_at DESC LIMIT 1"
			=~ s/WHERE id/WHERE business_request.id/r), 't', 'they are in the log as they were');
}

# ---- webhook.max_data_size

{
	$receiver->clear;
	my $refused = qr/ERROR:  .*(?:larger|too large|max_data_size)/;
	my $text = sub { return q{('"' || repeat('é', } . ($_[0] - 2) / 2 . q{) || '"')::json}; };

	$server->sql("SELECT webhook.publish('$type', @{[ $text->(1048576) ]})");
	$server->settle('1 MB');
	is(length((data('/ok/text'))[0] // ''), 1048576, 'data of max_data_size arrives');
	ok(((data('/ok/text'))[0] // '') eq '"' . "\xc3\xa9" x 524287 . '"', 'its bytes are as they were');
	my ($status, $stdout, $stderr) = $server->psql("\\set VERBOSITY verbose\nSELECT webhook.publish('$type', @{[ $text->(1048578) ]})");
	like($stderr, qr/ERROR:  54000: /, 'publish() refuses more, with SQLSTATE 54000');
	like($stderr, qr/HINT:  /, 'with a hint');

	($status, $stdout, $stderr) = $server->psql("UPDATE business_request SET status = 'long', note = repeat('x', 1048576)");
	is($status, 0, 'a trigger does not make the statement fail');
	like($stderr, qr/WARNING:  data of event .*max_data_size\nDETAIL:  The event is published with "RecordOmitted" in place of "Record"/, 'it raises a WARNING');
	$server->settle('too much');
	like((data('/ok/text'))[1], qr/^\{"BusinessRequestId":3,"Operation":"UPDATE","OldStatus":.*,"NewStatus":"long","RecordOmitted":true\}$/s,
		'the event comes with RecordOmitted');

	$server->reload_with('webhook.max_data_size', '8MB');
	$server->sql("SELECT webhook.publish('$type', @{[ $text->(8388608) ]}, 'large')") for 1 .. 3;
	$server->settle('8 MB');
	is(join(' ', map { length } (data('/ok/text'))[2 .. 4]), join(' ', (8388608) x 3), 'with a larger limit, larger data arrives');
	is($server->sql('SELECT count(*) FROM webhook.log WHERE octet_length(request_body) > 8388608'), 3, 'larger data is in the log');
	$server->reload_with('webhook.max_data_size', '1kB');
	($status, $stdout, $stderr) = $server->psql("SELECT webhook.publish('$type', @{[ $text->(1026) ]})");
	isnt($status, 0, 'with a smaller limit, publish() refuses more than that');
	$server->reload_with('webhook.max_data_size', '1MB');
}
$server->unsubscribe_all;

# ---- Databases of other encodings

my %encodings = (
	UTF8 => [ 'Vertrag Prüfung 契約 😀', '\xFF\xFE € ü\x00\x80' ],
	LATIN1 => [ 'Vertrag Prüfung éÿ×', '\xFF\xFE \xE2\x82\xAC ü\x00\x80' ],
	EUC_JP => [ '契約 承認済み', '\xFF\xFE \xE2\x82\xAC ü\x00\x80' ]);
foreach my $encoding (sort keys %encodings)
{
	my ($text, $response) = @{ $encodings{$encoding} };
	my $path = '/bytes/fffe20e282ac20c3bc0080';
	my $database = $server->database(lc $encoding);
	$receiver->clear;
	$server->sql("CREATE DATABASE @{[ lc $encoding ]} TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$database->sql('CREATE EXTENSION webhook');
	unicode($database, <<"END");
CREATE TABLE "$text" ("$text" text PRIMARY KEY, status text);
SELECT webhook.watch('"$text"', data_columns => ARRAY['$text']);
SELECT webhook.subscribe('@{[ $receiver->url($path) ]}', '{$type}', '$text');
INSERT INTO "$text" VALUES ('$text', '$text "quoted"');
SELECT webhook.publish('$type', '{"euro":"\\u20ac","text":"$text"}', '$text');
END
	$database->settle($encoding);
	my @calls = $receiver->requests;
	is(scalar @calls, 2, "$encoding: events arrive");
	my ($watched) = grep { $_->{body} =~ /OldStatus/ } @calls;
	my ($published) = grep { $_->{body} !~ /OldStatus/ } @calls;
	is_deeply(decode_json($watched->{body})->{Data},
		{ "${text}Id" => $text, Operation => 'INSERT', OldStatus => undef, NewStatus => "$text \"quoted\"", Record => { $text => $text } },
		"$encoding: the body is UTF-8");
	is_deeply(decode_json($published->{body})->{Data}, { euro => '€', text => $text }, "$encoding: so is published data");
	is(unicode($database, 'SELECT count(*) FROM webhook.log WHERE webhook.verify(webhook.secret(subscription_id), request_headers, request_body)'),
		2, "$encoding: the log can be verified");
	is(unicode($database, 'SELECT DISTINCT response_body FROM webhook.log'), $response, "$encoding: bytes of a response that are no text are escaped");
	is(unicode($database, 'SELECT request_body FROM webhook.log ORDER BY position LIMIT 1'), decode_utf8($watched->{body}), "$encoding: the logged body is text in the database's encoding");
	is(unicode($database, 'SELECT string_agg(subject, $$ $$ ORDER BY position) FROM webhook.log'), "$text/$text $text", "$encoding: so are subjects");
	if ($encoding eq 'LATIN1')
	{
		my ($status, $stdout, $stderr) = $database->psql(
			encode_utf8("SET client_encoding = 'UTF8'; SELECT webhook.publish('$type', '\"😀\"')"));
		like($stderr, qr/no equivalent in encoding "LATIN1"/, 'LATIN1: the server refuses a character that LATIN1 does not have');
	}
}

# A byte that stands for no character of Unicode.
{
	my $database = $server->database('win1252');
	my $place = $server->log_end;

	$server->sql("CREATE DATABASE win1252 TEMPLATE template0 ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C'");
	$database->sql('CREATE EXTENSION webhook');
	$database->subscribe('/ok/win1252');
	$database->publish($type, q{('"' || chr(228) || chr(129) || 'b"')::json}, 'same') foreach 1 .. 2;
	$database->settle('WIN1252');
	is(join(' ', map { decode_utf8($_) } data('/ok/win1252')), join(' ', ("\"\xe4\x{fffd}b\"") x 2),
		'WIN1252: a byte that is no character arrives as U+FFFD');
	is(scalar(() = $server->log_since($place) =~ /WARNING:  data of webhook events/g), 1, 'WIN1252: the log says so, once');
}

$server->sql("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'");
my ($status, $stdout, $stderr) = $server->database('ascii')->psql('CREATE EXTENSION webhook');
isnt($status, 0, 'SQL_ASCII is refused');
like($stderr, qr/ERROR:  .*SQL_ASCII/, 'the error names SQL_ASCII');
like($stderr, qr/HINT:  /, 'with a hint');

# An encoding that has no conversion to UTF-8: the worker that looks for the
# extension leaves, as it does in any database without it.
{
	my $place = $server->log_end;
	$server->sql("CREATE DATABASE mule TEMPLATE template0 ENCODING 'MULE_INTERNAL' LC_COLLATE 'C' LC_CTYPE 'C'");
	my $mule = $server->database('mule');
	like($mule->messages('CREATE EXTENSION webhook'),
		qr/ERROR:  .*MULE_INTERNAL\n.*no conversion.*HINT:  /s, 'MULE_INTERNAL is refused');
	is($mule->sql("SELECT count(*) FROM pg_extension WHERE extname = 'webhook'"), '0', '... and no extension there');
	my $transactions = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'mule'";
	my $before = $server->sql($transactions);
	$server->restart;
	ok(wait_until { $server->sql($transactions) > $before }, 'a worker looks into it');
	unlike($server->log_since($place), qr/client_encoding|webhook worker for database "mule" has failed/, '... and does not fail');
}

$server->stop;
$server->is_sound;

done_testing();
