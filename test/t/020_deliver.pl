# 020_deliver.pl
#	  What does a receiver get for a committed change, byte for byte, and what
#	  stands in the log?  Which changes, transactions and tables make no event?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::Local;
use Webhook::Test;

my $server = Webhook::Test->new('deliver', "webhook.retry_schedule = '1s, 1s'");
my $receiver = $server->receiver;
my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

# The changes that came to a path, as "old>new old>new".
sub changes
{
	my ($path) = @_;
	return join ' ', map { "$_->{old}>$_->{new}" } $server->received($path);
}

# The same in a fixed order, for several contracts: there is no order between them.
sub sorted { return join ' ', sort split / /, $_[0]; }

# HMAC-SHA256 as openssl makes it, not our own code.
sub hmac
{
	my ($key, $text) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir . '/signed';
	open my $handle, '>:raw', $file or die "$file: $!";
	print $handle $text;
	close $handle;
	my $hex = unpack 'H*', $key;
	my $mac = `openssl dgst -sha256 -mac HMAC -macopt hexkey:$hex -binary '$file'`;
	die 'openssl failed' if $? or length $mac != 32;
	return $mac;
}

$server->sql('CREATE EXTENSION webhook');
$server->sql(<<'END');
CREATE TABLE business_request (
	id		bigint PRIMARY KEY,
	status	text,
	note	text
);
SELECT webhook.watch('business_request');
END

# ---- The request, to the byte

my $first = $server->subscribe('/ok/wire',
	"secret => '$secret', headers => '{\"X-Tenant\": \"acme\"}'");
my $before = time;
$server->sql("INSERT INTO business_request VALUES (42, 'Draft')");
my ($post) = $receiver->wait_for(1, qr/wire/);
ok($post, 'a creation arrives') or BAIL_OUT('nothing is delivered at all');

my ($id, $created);
like($post->{body}, qr/^\{"Id":"[^"]*","WebhookEvent":"App\.BusinessRequestStatusChange","Subject":"business_request\/42","Attempt":1,"Data":\{"BusinessRequestId":42,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"\},"CreationTimeUtc":"[^"]*"\}\z/,
	'body: keys, order, no blanks');
($id) = $post->{body} =~ /"Id":"([^"]*)"/;
($created) = $post->{body} =~ /"CreationTimeUtc":"([^"]*)"/;
like($id, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
	'Id is a UUIDv7');
like($created, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/, 'CreationTimeUtc has six digits');
{
	my ($y, $m, $d, $h, $min, $s, $ms) = $created =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d{3})/;
	my $milliseconds = timegm($s, $min, $h, $d, $m - 1, $y) * 1000 + $ms;
	is(hex(substr($id, 0, 8) . substr($id, 9, 4)), $milliseconds, 'CreationTimeUtc is the instant in the Id');
}

my $headers = $post->{headers};
is($post->{method}, 'POST', 'POST');
is($headers->{'content-type'}, 'application/json; charset=utf-8', 'Content-Type');
my ($version) = slurp_file('webhook.control') =~ /^default_version = '(.*)'$/m;
is($headers->{'user-agent'}, "webhook/$version", 'User-Agent has the version of the extension');
is($headers->{host}, '127.0.0.1:' . $receiver->port, 'Host');
is($headers->{'content-length'}, length $post->{body}, 'Content-Length');
is($headers->{'webhook-id'}, $id, 'webhook-id is the Id');
is($headers->{'webhook-event'}, $type, 'webhook-event');
is($headers->{'webhook-attempt'}, 1, 'webhook-attempt');
is($headers->{'x-tenant'}, 'acme', 'a header of the subscription');
ok(!exists $headers->{$_}, "no $_") foreach qw(expect transfer-encoding abp-webhook-signature);
like($headers->{'webhook-timestamp'}, qr/^\d+$/, 'webhook-timestamp is a number');
cmp_ok($headers->{'webhook-timestamp'}, '>=', $before, 'webhook-timestamp is not before the change');
cmp_ok($headers->{'webhook-timestamp'}, '<=', time, 'webhook-timestamp is not after its arrival');

my $key = decode_base64(substr $secret, length 'whsec_');
is($headers->{'webhook-signature'},
	'v1,' . encode_base64(hmac($key, "$id.$headers->{'webhook-timestamp'}.$post->{body}"), ''),
	'webhook-signature is what openssl makes');

# ---- Its row in the log

$server->settle('log');
my $row = decode_json($server->sql('SELECT row_to_json(l) FROM webhook.log l'));
is($row->{event_id}, $id, 'log: event_id');
is($row->{subscription_id}, $first, 'log: subscription_id');
is($row->{event_type}, $type, 'log: event_type');
is($row->{subject}, 'business_request/42', 'log: subject');
is($row->{cause}, 'event', 'log: cause');
is($row->{attempt}, 1, 'log: attempt');
is($row->{method}, 'POST', 'log: method');
is($row->{endpoint}, $receiver->url('/ok/wire'), 'log: endpoint');
is($row->{peer_ip}, '127.0.0.1', 'log: peer_ip');
is($row->{source_ip}, '127.0.0.1', 'log: source_ip');
is($row->{source_port}, $post->{peer_port}, 'log: source_port');
is($row->{request_body}, $post->{body}, 'log: request_body as sent');
is($row->{request_headers}{'webhook-signature'}, $headers->{'webhook-signature'},
	'log: request_headers, signature included');
is($row->{request_headers}{'x-tenant'}, 'acme', "log: request_headers, the subscription's own included");
is($row->{response_status}, 200, 'log: response_status');
is($row->{response_headers}{'content-type'}, 'text/plain', 'log: response_headers');
is($row->{response_body}, "ok\n", 'log: response_body');
is($row->{outcome}, 'delivered', 'log: outcome');
is($row->{error_class}, undef, 'log: no error_class');
is($row->{error}, undef, 'log: no error');
is($server->sql(<<'END'), 't', 'log: times in order');
SELECT created_at <= requested_at AND requested_at + duration <= logged_at
	AND duration > interval '0' AND logged_at <= clock_timestamp()
FROM webhook.log
END
is($server->sql('SELECT webhook.verify(webhook.secret(subscription_id), request_headers, request_body) FROM webhook.log'),
	't', 'the log row can be verified');
is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
is($server->sql("SELECT event_id FROM webhook.event WHERE subject = 'business_request/42'"), $id,
	'webhook.event shows the event');

# ---- Which statements make an event

$server->sql("UPDATE business_request SET status = 'Approved' WHERE id = 42");
$server->sql("UPDATE business_request SET note = 'no change of status' WHERE id = 42");
$server->sql("UPDATE business_request SET status = status WHERE id = 42");
$server->sql('UPDATE business_request SET status = NULL WHERE id = 42');
$server->sql('UPDATE business_request SET status = NULL WHERE id = 42');
$server->sql("UPDATE business_request SET status = 'Signed' WHERE id = 42");
$server->sql('DELETE FROM business_request WHERE id = 42');
$server->settle('changes');
is(changes('/ok/wire'), '>Draft Draft>Approved Approved> >Signed Signed>',
	'a change of the status makes an event, nothing else does');

# ---- What is committed makes an event, and only that

sub transaction
{
	my ($what, $text, $expected, $in_order) = @_;
	my $subscription = $server->subscribe('/ok/transaction');
	$receiver->clear;
	$server->sql($text);
	$server->settle($what);
	is($in_order ? changes('/ok/transaction') : sorted(changes('/ok/transaction')),
		$expected, $what);
	$server->unsubscribe($subscription);
	return;
}

transaction('rollback', <<'END', '');
BEGIN;
INSERT INTO business_request VALUES (1, 'A');
ROLLBACK;
END
transaction('several changes in one transaction', <<'END', '>A A>B B>C', 'in order');
BEGIN;
INSERT INTO business_request VALUES (1, 'A');
UPDATE business_request SET status = 'B' WHERE id = 1;
UPDATE business_request SET status = 'C' WHERE id = 1;
COMMIT;
END
transaction('savepoint', <<'END', 'C>D D>F', 'in order');
BEGIN;
UPDATE business_request SET status = 'D' WHERE id = 1;
SAVEPOINT a;
UPDATE business_request SET status = 'E' WHERE id = 1;
ROLLBACK TO a;
SAVEPOINT b;
UPDATE business_request SET status = 'F' WHERE id = 1;
RELEASE b;
COMMIT;
END
transaction('exception block', <<'END', 'F>H');
DO $$
BEGIN
	BEGIN
		UPDATE business_request SET status = 'G' WHERE id = 1;
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
	END;
	UPDATE business_request SET status = 'H' WHERE id = 1;
END $$;
END
transaction('COPY', <<'END', '>C1 >C2 >C3');
COPY business_request (id, status) FROM stdin;
101	C1
102	C2
103	C3
\.
END
transaction('MERGE', <<'END', '>N C1>M');
MERGE INTO business_request t USING (VALUES (101, 'M'), (104, 'N')) s (id, status)
	ON t.id = s.id
	WHEN MATCHED THEN UPDATE SET status = s.status
	WHEN NOT MATCHED THEN INSERT (id, status) VALUES (s.id, s.status);
END
transaction('INSERT ON CONFLICT', <<'END', 'N>O');
INSERT INTO business_request VALUES (104, 'O')
	ON CONFLICT (id) DO UPDATE SET status = excluded.status;
INSERT INTO business_request VALUES (104, 'P')
	ON CONFLICT (id) DO UPDATE SET status = excluded.status
	WHERE business_request.status = 'N';
INSERT INTO business_request VALUES (104, 'P') ON CONFLICT DO NOTHING;
END
transaction('subscription and change in one transaction', <<"END", 'O>P');
BEGIN;
SELECT webhook.subscribe('@{[ $receiver->url('/ok/same') ]}', '{$type}');
UPDATE business_request SET status = 'P' WHERE id = 104;
COMMIT;
END
is(changes('/ok/same'), 'O>P', 'the change goes to the new subscription, too');
$server->sql("SELECT webhook.unsubscribe(id) FROM webhook.subscription WHERE endpoint LIKE '%/ok/same'");

{
	my $subscription = $server->subscribe('/ok/prepared');
	$server->sql("BEGIN; UPDATE business_request SET status = 'Q' WHERE id = 104; PREPARE TRANSACTION 'q'");
	$server->settle('prepared');
	is($receiver->count('/ok/prepared'), 0, 'a prepared transaction sends nothing');
	$server->sql("COMMIT PREPARED 'q'");
	$receiver->wait_for(1, qr/prepared/);
	is(changes('/ok/prepared'), 'P>Q', 'COMMIT PREPARED sends it at once');
	$server->unsubscribe($subscription);
}

# ---- Tables, keys and statuses of all kinds

sub table
{
	my ($what, $text, $data, $subject) = @_;
	my $subscription = $server->subscribe('/ok/table');
	$receiver->clear;
	$server->sql($text);
	$server->settle($what);
	is_deeply([ map { /"Data":(.*),"CreationTimeUtc"/ } map { $_->{body} } $receiver->requests(qr/table$/) ],
		$data, "$what: Data");
	is($server->sql('SELECT subject FROM webhook.event ORDER BY id DESC LIMIT 1'), $subject, "$what: subject")
	  if $subject;
	$server->unsubscribe($subscription);
	return;
}

table('composite key', <<'END', ['{"TenderLotId":{"tender":7,"lot":"a/b%"},"Operation":"INSERT","OldStatus":null,"NewStatus":"Open"}'], 'tender_lot/7/a%2Fb%25');
CREATE TABLE tender_lot (tender int, lot text, status text, PRIMARY KEY (tender, lot));
SELECT webhook.watch('tender_lot');
INSERT INTO tender_lot VALUES (7, 'a/b%', 'Open');
END
table('quoted names', <<'END', ['{"Case TableId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"a \"b\" \\\\ é 😀"}']);
CREATE SCHEMA "Odd ""Schema";
CREATE TABLE "Odd ""Schema"."Case Table" ("The Id" int PRIMARY KEY, "The State" text);
SELECT webhook.watch('"Odd ""Schema"."Case Table"', status_column => 'The State');
INSERT INTO "Odd ""Schema"."Case Table" VALUES (1, 'a "b" \ é 😀');
END
$server->sql("CREATE TYPE stage AS ENUM ('Draft', 'In Review'); CREATE DOMAIN verdict AS text CHECK (value <> '')");
foreach (
	[ 'stage', "'In Review'", '"In Review"' ],
	[ 'verdict', "'fine'", '"fine"' ],
	[ 'integer', '7', '7' ],
	[ 'boolean', 'false', 'false' ],
	[ 'text[]', "'{a,b}'", '["a","b"]' ],
	[ 'varchar(20)', "'ä'", '"ä"' ])
{
	my ($column_type, $value, $json) = @$_;
	table("status of type $column_type", <<"END", [qq({"OfTypeId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":$json})]);
DROP TABLE IF EXISTS of_type;
CREATE TABLE of_type (id int PRIMARY KEY, status $column_type);
SELECT webhook.watch('of_type');
INSERT INTO of_type VALUES (1, $value);
END
}
table('partitions', <<'END', [
CREATE TABLE deal (id int, region text, status text, PRIMARY KEY (id, region))
	PARTITION BY LIST (region);
CREATE TABLE deal_north PARTITION OF deal FOR VALUES IN ('north');
CREATE TABLE deal_south PARTITION OF deal FOR VALUES IN ('south');
SELECT webhook.watch('deal', id_columns => '{id}');
INSERT INTO deal VALUES (1, 'north', 'Draft');
UPDATE deal SET region = 'south' WHERE id = 1;
UPDATE deal SET region = 'north', status = 'Signed' WHERE id = 1;
DELETE FROM deal;
END
	'{"DealId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft"}',
	'{"DealId":1,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Signed"}',
	'{"DealId":1,"Operation":"DELETE","OldStatus":"Signed","NewStatus":null}' ], 'deal/1');
table('BEFORE trigger and data columns', <<'END', [
CREATE TABLE offer (id int PRIMARY KEY, status text, price numeric, tags text[]);
CREATE FUNCTION approve() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN IF new.price < 10 THEN new.status := 'Approved'; END IF; RETURN new; END$$;
CREATE TRIGGER approve BEFORE UPDATE ON offer FOR EACH ROW EXECUTE FUNCTION approve();
SELECT webhook.watch('offer', data_columns => '{price,tags}');
INSERT INTO offer VALUES (1, 'Draft', 12.50, '{a,b}');
UPDATE offer SET price = 9.90;
END
	'{"OfferId":1,"Operation":"INSERT","OldStatus":null,"NewStatus":"Draft","Record":{"price":12.50,"tags":["a","b"]}}',
	'{"OfferId":1,"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Approved","Record":{"price":9.90,"tags":["a","b"]}}' ]);
table('after unwatch', <<'END', []);
SELECT webhook.unwatch('offer');
UPDATE offer SET status = 'Unseen';
END

# ---- Which subscriptions get an event

$server->sql(q{SELECT webhook.define_event_type('App.Invoice', 'an invoice')});
{
	my @subscriptions = (
		$server->subscribe('/ok/a'), $server->subscribe('/ok/b'), $server->subscribe('/ok/both', "events => '{$type,App.Invoice}'"),
		$server->subscribe('/ok/invoice', "events => '{App.Invoice}'"));

	my $event = $server->sql(q{SELECT webhook.publish('App.Invoice', '{ "b":1,  "a" : [1.50, "ü"] }', 'invoice/1')});
	$server->sql(q{SELECT webhook.publish('App.Invoice', '"no subject"')});
	$server->sql(q{UPDATE business_request SET status = 'R' WHERE id = 104});
	$server->settle('several subscriptions');
	is($receiver->count('/ok/a'), 1, 'each subscription gets the event');
	is($receiver->count('/ok/b'), 1, 'the second subscription, too');
	is($receiver->count('/ok/invoice'), 2, 'a subscription gets its event type only');
	is($receiver->count('/ok/both'), 3, 'a subscription to two event types gets both');
	my ($invoice) = grep { $_->{headers}{'webhook-id'} eq $event } $receiver->requests(qr/invoice/);
	ok($invoice, 'publish() returns the Id');
	like($invoice->{body}, qr/"Data":\{ "b":1,  "a" : \[1\.50, "\xc3\xbc"\] \},/, 'Data as published');
	my %ids = map { decode_json($_->{body})->{Id} => 1 } $receiver->requests(qr{^/ok/(?:a|b|both)$});
	is(scalar keys %ids, 3, 'an event has one Id for all subscriptions');
	my %secrets = map { $server->sql("SELECT webhook.secret($_)") => 1 } @subscriptions;
	is(scalar keys %secrets, 4, 'each subscription has a secret of its own');
	like($_, qr{^whsec_[A-Za-z0-9+/]{43}=$}, 'a secret has 32 bytes') foreach sort keys %secrets;
	$server->unsubscribe(@subscriptions);
}
{
	my $text = join '', map { sprintf '\\u%04x', $_ } 1 .. 31;
	my $event = qq({"text":"$text \\\\ \\" / é 😀 \x{7f}"});
	my $subscription = $server->subscribe('/ok/text', "events => '{App.Invoice}'");
	$server->sql("SELECT webhook.publish('App.Invoice', \$d\$$event\$d\$)");
	$server->settle('any text');
	my ($got) = $receiver->requests(qr/text/);
	like($got->{body}, qr/"Data":\Q$event\E,/, 'any text arrives as it was');
	$server->unsubscribe($subscription);
}

# ---- Signature of ASP.NET Boilerplate

{
	my $subscription = $server->subscribe('/ok/abp',
		"secret => '$secret', signature_schemes => '{standard,abp}'");
	$server->sql(q{UPDATE business_request SET status = 'S' WHERE id = 104});
	my ($got) = $receiver->wait_for(1, qr/abp/);
	is($got->{headers}{'abp-webhook-signature'},
		'sha256=' . join('-', uc(unpack 'H*', hmac($secret, $got->{body})) =~ /../g),
		'abp-webhook-signature is what openssl makes');
	is($got->{headers}{'webhook-signature'},
		'v1,' . encode_base64(hmac($key, "$got->{headers}{'webhook-id'}.$got->{headers}{'webhook-timestamp'}.$got->{body}"), ''),
		'the standard signature is there, too');
	$server->unsubscribe($subscription);
}

# ---- A failed attempt is repeated

{
	my $subscription = $server->subscribe('/fail-first/1', "events => '{App.Invoice}'");
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":1}', 'invoice/2')});
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":2}', 'invoice/2')});
	my @got = $receiver->wait_for(4, qr/fail-first/);
	my @bodies = map { decode_json($_->{body}) } @got;
	is_deeply([ map { "$_->{Data}{n}/$_->{Attempt}" } @bodies ], [qw(1/1 1/2 2/1 2/2)],
		'in order: the second waits for the first');
	is($bodies[1]{Id}, $bodies[0]{Id}, 'the Id stays at a retry');
	is($bodies[1]{CreationTimeUtc}, $bodies[0]{CreationTimeUtc}, 'CreationTimeUtc stays');
	is($got[1]{headers}{'webhook-attempt'}, 2, 'webhook-attempt counts');
	cmp_ok($got[1]{time} - $got[0]{time}, '>', 0.7, 'the retry comes after the wait of the schedule');
	cmp_ok($got[1]{time} - $got[0]{time}, '<', 5, 'and soon after it');
	$server->settle('retries');
	is($server->sql("SELECT string_agg(attempt || ' ' || response_status || ' ' || outcome, ', ' ORDER BY logged_at, attempt) FROM webhook.log WHERE event_id = '$bodies[0]{Id}'"),
		'1 500 retrying, 2 200 delivered', 'the log has both attempts');
	$server->unsubscribe($subscription);
}

# ---- Pause, resume, other endpoint, other events, unsubscribe

{
	my $subscription = $server->subscribe('/ok/paused');
	my $other = $server->subscribe('/ok/other');
	$server->sql("SELECT webhook.pause($subscription)");
	$server->sql("UPDATE business_request SET status = '$_' WHERE id = 104") foreach 1 .. 5;
	$server->settle('paused');
	is($receiver->count('/ok/paused'), 0, 'a paused subscription gets nothing');
	is($receiver->count('/ok/other'), 5, 'another subscription gets all');
	$server->sql("SELECT webhook.resume($subscription)");
	$server->settle('resumed');
	is(changes('/ok/paused'), 'S>1 1>2 2>3 3>4 4>5', 'after resume() all that was missed comes, in order');

	$server->sql($server->moving($subscription, '/ok/moved'));
	$server->sql("UPDATE business_request SET status = '6' WHERE id = 104");
	$server->settle('moved');
	is(changes('/ok/moved'), '5>6', 'a new endpoint gets the next event');
	is($receiver->count('/ok/paused'), 5, 'the old endpoint does not');

	$server->alter($subscription, "events => '{App.Invoice}'");
	$server->sql("UPDATE business_request SET status = '7' WHERE id = 104");
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":3}')});
	$server->settle('other events');
	is($receiver->count('/ok/moved'), 2, 'with other event types, one event comes');
	like(($receiver->requests(qr/moved/))[1]{body}, qr/App\.Invoice/, 'the one of the new type');

	$server->unsubscribe($subscription);
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":4}')});
	$server->settle('unsubscribed');
	is($receiver->count('/ok/moved'), 2, 'nothing after unsubscribe');
	$server->unsubscribe($other);
}

# ---- A subscription does not get events from before it

{
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":5}')});
	my $subscription = $server->subscribe('/ok/late', "events => '{App.Invoice}'");
	$server->sql(q{SELECT webhook.publish('App.Invoice', '{"n":6}')});
	$server->settle('late');
	is_deeply([ map { decode_json($_->{body})->{Data}{n} } $receiver->requests(qr/late/) ], [6],
		'events from before a subscription are not sent');
	$server->restart;
	$server->settle('after a restart');
	is($receiver->count('/ok/late'), 1, 'a restart does not send them either');
	$server->unsubscribe($subscription);
}

# ---- drain() in a transaction that has published would wait for itself

my ($status) = $server->psql(
	q{BEGIN; SELECT webhook.publish('App.Invoice', '{}'); SELECT webhook.drain(); COMMIT});
isnt($status, 0, 'drain() refuses after publish()');

# ---- The log has each request that came, and no other

$server->settle('the end');
is($server->sql('SELECT count(*) FROM webhook.log WHERE requested_at IS NOT NULL'),
	scalar(split /\n/, slurp_file($receiver->file)), 'the log has a row for each request');
is($server->sql(<<'END'), 0, 'each logged signature is right, where the subscription is still there');
SELECT count(*)
FROM webhook.log JOIN webhook.subscription s ON s.id = subscription_id
WHERE NOT webhook.verify(webhook.secret(s.id), request_headers, request_body, NULL)
END

$server->stop;
done_testing();
