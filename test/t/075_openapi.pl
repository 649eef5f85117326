# 075_openapi.pl
#	  Is webhook.openapi() an OpenAPI document, and are the bodies that receivers get
#	  what it says?
#
# Two validators are fetched by npm into build/openapi where npm can reach its registry:
# one of OpenAPI 3.1, and one of JSON Schema 2020-12.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Cwd;
use File::Path qw(make_path);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my @packages = ('@seriousme/openapi-schema-validator@2.11.0', 'ajv@8.20.0', 'ajv-formats@3.0.1');
my $home = 'build/openapi';
my $top = getcwd();

# Returns true if the validators are there.
sub have_validators
{
	return 1 if -e "$home/node_modules/ajv";
	make_path($home);
	return system("cd '$home' && npm_config_cache=\$PWD/cache timeout 60 npm install --silent --no-audit"
		  . " --no-fund --no-save --prefix . @packages >/dev/null 2>&1") == 0;
}

# What the validators say of each question, see test/openapi/validate.mjs.
sub validate
{
	my ($name, @questions) = @_;
	my $file = "$top/$home/$name.json";
	open my $out, '>', $file or die "$file: $!";
	print $out "$_\n" foreach @questions;
	close $out;
	my ($stdout, $stderr) = run_command([ 'sh', '-c',
		"cd '$home' && exec node '$top/test/openapi/validate.mjs' '$file'" ]);
	diag($stderr) if $stderr;
	return split /\n/, $stdout;
}

my $server = Webhook::Test->new('openapi');
$server->prepare;
my $receiver = $server->receiver;

# Columns of many types; a value of each that is not null.
my %value = (
	boolean => 'true', smallint => -7, bigint => '9007199254740993', 'numeric(10,2)' => '12.50', real => 1.5,
	'double precision' => '1e100', text => q('Gr"öße'), 'varchar(4)' => q('abcd'), 'char(3)' => q('a'),
	uuid => 'gen_random_uuid()', date => q('2026-01-02'), timestamp => 'now()', timestamptz => 'now()',
	time => 'now()', timetz => 'now()', interval => q('1 day'), bytea => q('\x00ff'), inet => q('::1'), money => '12',
	int4range => q('[1,2]'), json => q('{"a": [1, null]}'), jsonb => q('3'), xml => q('<a/>'),
	mood => q('happy'), measure => q(ROW(1.5, NULL)), 'measure[]' => q(ARRAY[ROW(1, 'kg'), NULL]::measure[]),
	grade => q('B'), 'grade[]' => q('{A,NULL}'), 'varchar(2)[]' => q('{ab,NULL}'), 'integer[][]' => q('{{1,2},{3,NULL}}'),
	shade => q('dark'), bit => q(B'1'), 'character varying CHECK (%s IN (\'x\', \'y\'))' => q('y'),
	'char(4) CHECK (%s IN (\'x\', \'yyyy\'))' => q('x'), 'smallint CHECK (%s IN (-1, 2))' => -1,
	'bigint CHECK (%s IN (1, 2))' => 2, 'numeric CHECK (%s IN (1, 2.5))' => '2.50');
my @kinds = sort keys %value;
my %column = map { $kinds[$_] => "c$_" } 0 .. $#kinds;
my $columns = join ', ', map { my $kind = $_; "$column{$kind} " . ($kind =~ s/%s/$column{$kind}/r) } @kinds;
my $all = join ',', map { $column{$_} } @kinds;

$server->sql(<<"END");
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE measure AS (amount numeric, unit text);
CREATE TYPE shade AS ENUM ('dark');
CREATE FUNCTION as_json(shade) RETURNS json LANGUAGE sql RETURN '{"shade": 1}'::json;
CREATE CAST (shade AS json) WITH FUNCTION as_json(shade);
CREATE DOMAIN grade AS varchar(3) CHECK (VALUE IN ('A', 'B'));
CREATE TABLE everything (id integer, part uuid, status varchar(9) CHECK (status IN ('Draft', 'Done')), $columns,
	PRIMARY KEY (id, part));
CREATE TABLE large (id bigint PRIMARY KEY, status mood, content text);
CREATE TABLE grown (id bigint PRIMARY KEY, status text);
COMMENT ON TABLE everything IS 'everything';
COMMENT ON COLUMN everything.status IS 'where it "stands"';
SELECT webhook.define_event_type(name) FROM unnest('{App.Everything,App.Several,App.Bare}'::text[]) AS name;
SELECT webhook.define_event_type('App.Paid', 'paid', '{"type": "object", "required": ["Invoice"], "\$defs": {"number": {"type": "integer"}},
	"properties": {"Invoice": {"\$ref": "#/\$defs/number"}, "Before": {"\$ref": "#"}}}', '{"Invoice": 7, "Before": {"Invoice": 6}}');
SELECT webhook.alter_event_type('App.Bare', deprecated => true);
SELECT webhook.watch('everything', 'App.Everything', data_columns => '{$all}');
SELECT webhook.watch('large', 'App.Several', data_columns => '{content}'), webhook.watch('grown', 'App.Several');
END
my @formats = qw(envelope raw standard);
my %subscription = map {
	$_ => $server->subscribe("/ok/$_", q(events => '{App.Everything,App.Several,App.Paid}'), "payload_format => '$_', include_context => true")
} @formats;

my $values = join ', ', map { $value{$_} } @kinds;
$server->sql(<<"END");
INSERT INTO everything VALUES (1, gen_random_uuid(), 'Draft', $values);
INSERT INTO everything (id, part) VALUES (2, gen_random_uuid());
UPDATE everything SET status = 'Done';
DELETE FROM everything;
INSERT INTO grown VALUES (1, 'new');
INSERT INTO large VALUES (1, 'sad', 'x'), (2, NULL, repeat('x', 2000000));
BEGIN;
SET LOCAL webhook.context = '{"user": "anna"}';
SET LOCAL webhook.traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
SELECT webhook.publish('App.Paid', '{"Invoice": 8}');
COMMIT;
END
$server->sql("SELECT webhook.ping($_, 'App.Paid')") foreach values %subscription;
$server->settle('all events');
my %requests = map { $_ => [ $receiver->requests("/ok/$_") ] } @formats;
is(scalar @{ $requests{$_} }, 11, "$_: all events and the ping have come") foreach @formats;

# ---- A ping with an example

{
	my ($ping) = grep { $_->{body} =~ /"Before"/ } @{ $requests{envelope} };
	like($ping->{body}, qr/^\{"Id":"[0-9a-f-]{36}","WebhookEvent":"App\.Paid","Subject":null,"Attempt":1,
		"Data":\{"Before":\ \{"Invoice":\ 6\},\ "Invoice":\ 7\},"CreationTimeUtc":"[^"]+"\}$/x,
		'a ping with an example is like an event of its type');
	is($ping->{headers}{'webhook-event'}, 'App.Paid', 'in the header, too');
	is($server->sql("SELECT cause || outcome FROM webhook.log WHERE event_id = '$ping->{headers}{'webhook-id'}'"),
		'pingdelivered', 'its cause is ping');
	is($server->sql("SELECT webhook.recover($subscription{envelope}, '-infinity', what => 'delivered', dry_run => true)"), '10',
		'it is no event that can be recovered');
	isnt(($server->psql("SELECT webhook.resend('$ping->{headers}{'webhook-id'}', $subscription{envelope})"))[0], 0,
		'nor one that can be resent');
}

# ---- What the validators say

SKIP:
{
	skip 'validators: npm cannot fetch them, or there is no node', 1 unless have_validators();

	my %document = map { $_ => $server->sql("SELECT webhook.openapi(payload_format => '$_')") } @formats;
	is_deeply([ validate('documents', (map { qq({"document": $document{$_}}) } @formats),
				'{"document": ' . $server->sql(q(SELECT webhook.openapi('{None.*}'))) . '}') ],
		[ ('valid') x 4 ], 'each document is one of OpenAPI 3.1');
	like((validate('wrong', q({"document": {"openapi": "3.1.0", "info": {"title": "x"}, "webhooks": {}}})))[0],
		qr/version/, 'the validator finds what is wrong');

	foreach my $format (@formats)
	{
		my @questions = map {
			sprintf '{"document": %s, "type": "%s", "body": %s}', $document{$format}, $_->{headers}{'webhook-event'}, $_->{body}
		} @{ $requests{$format} };
		is_deeply([ validate($format, @questions) ], [ ('valid') x @questions ], "$format: bodies are as the document says");
	}

	# Each event type's example, and bodies that are wrong.
	my $content = decode_json($document{envelope})->{webhooks}{'App.Paid'}{post}{requestBody}{content}{'application/json'};
	my ($inserted) = grep { $_->{body} =~ /"Operation":"INSERT".*"Draft"/ } @{ $requests{envelope} };
	my ($caused) = grep { $_->{body} =~ /"Invoice": 8/ } @{ $requests{envelope} };
	like($caused->{headers}{traceparent}, qr/${\decode_json($document{envelope})->{components}{parameters}{traceparent}{schema}{pattern}}/,
		'header traceparent is as the document says');
	my ($several) = grep { $_->{body} =~ /"Operation":"INSERT".*"sad"/ } @{ $requests{envelope} };
	my $body = $inserted->{body};
	my @bodies = (
		[ 'App.Paid', encode_json($content->{example}), 'valid' ],
		[ 'App.Paid', $body, qr/must be equal to constant/ ],
		[ 'App.Paid', encode_json($content->{example}) =~ s/"Invoice":6/"Invoice":"6"/r, qr/must be integer/ ],
		[ 'App.Everything', $body =~ s/"NewStatus":"Draft"/"NewStatus":"Drafts"/r, qr/allowed values/ ],
		[ 'App.Everything', $body =~ s/"OldStatus":null,//r, qr/must have required property 'OldStatus'/ ],
		[ 'App.Everything', $body =~ s/"EverythingId":\{"id":1,/"EverythingId":{"id":1.5,/r, qr/must be integer/ ],
		[ 'App.Everything', $body =~ s/"Record":/"Records":/r, qr/must have required property 'Record'/ ],
		[ 'App.Paid', $caused->{body}, 'valid' ],
		[ 'App.Paid', $caused->{body} =~ s/"Context":\{[^}]*\}/"Context":"anna"/r, qr/must be object/ ],
		[ 'App.Several', $several->{body}, 'valid' ],
		[ 'App.Several', $several->{body} =~ s/"LargeId":/"OtherId":/r, qr/exactly one schema in oneOf/ ]);
	my @said = validate('examples', map { sprintf '{"document": %s, "type": "%s", "body": %s}', $document{envelope}, @$_[ 0, 1 ] } @bodies);
	foreach my $i (0 .. $#bodies)
	{
		like($said[$i] // '', $bodies[$i][2] eq 'valid' ? qr/^valid$/ : $bodies[$i][2], "body $i: as it should be");
	}
}

$server->stop;
done_testing();
