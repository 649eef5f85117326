# 240_secrets.pl
#	  Can a receiver verify each request while secrets are rotated?  Are secrets
#	  and credentials in no log, view, message or plan?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('secrets', <<'END');
webhook.retry_schedule = '1h'
session_preload_libraries = 'auto_explain'
END
$server->prepare;
my $receiver = $server->receiver;
my $contract = 0;

sub publish
{
	$contract++;
	return $server->publish($type, "'{}'", "contract/$contract");
}

# ---- Rotated secrets, as a receiver sees them

sub entries
{
	my ($request) = @_;
	return split / /, $request->{headers}{'webhook-signature'};
}

sub entry
{
	my ($request, $secret) = @_;
	my $signed = join '.', @{ $request->{headers} }{qw(webhook-id webhook-timestamp)}, $request->{body};
	return 'v1,' . encode_base64(hmac_sha256($signed, decode_base64($secret =~ s/^whsec_//r)), '');
}

sub abp
{
	my ($request, $secret) = @_;
	return 'sha256=' . join '-', uc(hmac_sha256_hex($request->{body}, $secret)) =~ /../g;
}

sub last_call { return ($receiver->requests($_[0]))[-1]; }

my $subscription = $server->subscribe('/ok/rotated', q(signature_schemes => '{standard,abp}'));
my $first = $server->sql("SELECT webhook.secret($subscription)");
{
	my $place = $server->log_end;
	my $acts = $server->sql('SELECT count(*) FROM webhook.audit');
	$server->sql("BEGIN; SELECT webhook.secret($subscription); ROLLBACK");
	is($server->sql('SELECT count(*) FROM webhook.audit'), $acts, 'a rollback takes the row of the audit');
	$server->logs(qr/LOG:  the secret of webhook subscription $subscription is shown to role "\w+"/, $place,
		'the server log has it');

	my $open = $server->subscribe('/ok/open', q(headers => '{"Authorization": "Bearer of news"}'));
	$place = $server->log_end;
	$acts = $server->sql('SELECT count(*) FROM webhook.audit');
	$server->sql("BEGIN; SELECT webhook.subscription_options($open); ROLLBACK");
	is($server->sql('SELECT count(*) FROM webhook.audit'), $acts, '... also that of credentials');
	$server->logs(qr/LOG:  the credentials of webhook subscription $open are shown to role "\w+"/, $place,
		'the server log has that, too');
	$server->sql("SELECT webhook.unsubscribe($open)");
}
publish();
$server->settle('one secret');
my $call = last_call('/ok/rotated');
is_deeply([ entries($call) ], [ entry($call, $first) ], 'one secret makes one signature');
is($call->{headers}{'abp-webhook-signature'}, abp($call, $first), '... and one by ABP');

my $second = $server->sql("SELECT webhook.rotate_secret($subscription, '1 h')");
publish();
$server->settle('two secrets');
$call = last_call('/ok/rotated');
is_deeply([ entries($call) ], [ entry($call, $second), entry($call, $first) ],
	'during the overlap both secrets sign, the new one first');
is($call->{headers}{'abp-webhook-signature'}, abp($call, $second), '... by ABP only the new one does');
is($server->sql(<<"END"), 't', '... the log row can be verified with both');
SELECT bool_and(webhook.verify(s, request_headers, request_body))
FROM webhook.log, unnest('{$first,$second}'::text[]) AS s
WHERE event_id = '$call->{headers}{'webhook-id'}'
END

# The secret of an application of ASP.NET Boilerplate is the key of both signatures, as a whole.
my $boilerplate = 'whs_0123456789abcdef0123456789abcdef';
$server->subscribe('/ok/boilerplate', q(signature_schemes => '{standard,abp}'), "secret => '$boilerplate'");
publish();
$server->settle('a secret of ASP.NET Boilerplate');
$call = last_call('/ok/boilerplate');
is_deeply(
	[ $call->{headers}{'webhook-signature'}, $call->{headers}{'abp-webhook-signature'} ],
	[ entry($call, 'whsec_' . encode_base64($boilerplate, '')), abp($call, $boilerplate) ],
	'a secret of ASP.NET Boilerplate signs as a whole');

# The overlap ends with time, without a command or a reload.
# The first event is published by the session that rotates, so that none is late.
$contract++;
my ($third, $events) = split /\n/, $server->sql(<<"END");
SELECT webhook.rotate_secret($subscription, '2 s');
SELECT max(id) FROM webhook_internal.ring WHERE kind = 'c';
SELECT webhook.publish('$type', '{}', 'contract/$contract');
SELECT webhook.drain();
END
my %seen = (scalar(entries(last_call('/ok/rotated'))) => 1);
foreach (1 .. 300)
{
	publish();
	$server->sql('SELECT webhook.drain()');
	$call = last_call('/ok/rotated');
	$seen{ scalar entries($call) }++;
	last if entries($call) == 1;
}
ok($seen{3}, 'for a while three secrets sign');
is_deeply([ entries($call) ], [ entry($call, $third) ], 'after the overlap only the newest signs');
is($server->sql(q(SELECT coalesce(max(id), 0) FROM webhook_internal.ring WHERE kind = 'c') . " AND id > $events"), 0,
	'... without a command to the worker');
is($server->sql("SELECT count(*) FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"), 3,
	'secrets that have ended are kept');
my $fourth = $server->sql("SELECT webhook.rotate_secret($subscription, '0')");
is($server->sql("SELECT string_agg(secret, ' ') FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"),
	$fourth, '... until the next rotation');
publish();
$server->settle('one again');
$call = last_call('/ok/rotated');
is_deeply([ entries($call) ], [ entry($call, $fourth) ], 'without an overlap former secrets end at once');
$server->unsubscribe_all;

# ---- Credentials in tables, views, messages and the server's log

# All logging that a server can be told to do. Statements hold no secret literally.
my $talk = <<'END';
SET log_statement = 'all';
SET log_min_duration_statement = 0;
SET log_parameter_max_length = -1;
SET log_parameter_max_length_on_error = -1;
SET log_error_verbosity = verbose;
SET log_min_messages = debug5;
SET debug_print_parse = on;
SET debug_print_rewritten = on;
SET debug_print_plan = on;
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_verbose = on;
END
$server->sql(<<'END');
CREATE TABLE given (headers jsonb, endpoint text);
END
$server->sql(<<"END");
INSERT INTO given SELECT format('{"X-Api-Key": "%1\$s", "X-Colour": "red"}', s)::jsonb,
	format('@{[ $receiver->url('/credentials') ]}?token=%1\$s&%1\$s', s)
FROM (SELECT 'ses' || 'ame' AS s) v
END
$subscription = $server->sql($talk . <<"END");
SELECT webhook.subscribe(endpoint, '{$type}', headers => headers) FROM given;
END
$server->sql($talk . "SELECT count(webhook.rotate_secret($subscription))");
$server->sql($talk . "SELECT webhook.alter_subscription($subscription, headers => headers) FROM given");
$server->sql($talk . "SELECT count(webhook.subscription_options($subscription)), count(webhook.secret($subscription))");
$server->sql($talk . 'SELECT count(*) FROM webhook.config(true)');
$server->sql($talk . "SELECT webhook.pause($subscription), webhook.resume($subscription)");
$server->sql($talk . <<"END");
DO \$\$
BEGIN
	PERFORM webhook.subscribe(endpoint, '{$type}', headers => headers) FROM given;
	RAISE 'expected';
EXCEPTION WHEN unique_violation THEN
	RAISE LOG 'a duplicate: %', SQLERRM;
END;
\$\$
END
my @hidden = ('sesame', split /\n/,
	$server->sql("SELECT secret FROM webhook_internal.subscription_secret WHERE subscription_id = $subscription"));
is(@hidden, 3, 'there are three secrets to look for');
publish();
$server->settle('a call with credentials');
is(last_call('/credentials?token=sesame&sesame')->{headers}{'x-api-key'}, 'sesame', 'the credentials are sent');

my $shown = $server->sql(<<'END');
SELECT to_jsonb(l) FROM webhook.log l;
SELECT to_jsonb(s) FROM webhook.subscription s;
SELECT to_jsonb(s) FROM webhook.stat_subscription s;
SELECT to_jsonb(s) FROM webhook_internal.subscription_state s;
SELECT to_jsonb(s) FROM webhook_internal.pending s;
SELECT to_jsonb(s) FROM webhook.dead_letter s;
SELECT to_jsonb(a) FROM pg_stat_activity a WHERE backend_type LIKE 'webhook%';
END
my ($row) = grep { /credentials/ } split /\n/, $shown;
like($row, qr/"endpoint": "[^"]*\/credentials\?token=\*\*\*&\*\*\*"/, "log: the endpoint's query has no values");
like($row, qr/"x-api-key": "\*\*\*"/, 'log: a request header is hidden');
like($row, qr/"location": "\/ok\?token=\*\*\*"/, 'log: the query of a Location is hidden');
like($row, qr/"set-cookie": \["\*\*\*", "\*\*\*"\]/, 'log: cookies of the response are hidden');
like($row, qr/"x-colour": "red".*"x-colour": "red"/, 'log: headers without credentials are there');
my $said = $server->log_since;
like($said, qr/Query Text: INSERT INTO webhook_internal\.subscription_secret/, "the server's log has our own statements");
like($said, qr/:constvalue/, '... and their plans');
foreach my $secret (@hidden)
{
	# A plan has a constant as its bytes.
	my $bytes = join ' ', unpack 'C*', $secret;
	my $name = substr($secret, 0, 6) . '...';

	is(index($shown, $secret), -1, "no table or view shows $name");
	is(index($said, $secret), -1, "the server's log does not show $name");
	is(index($said, $bytes), -1, "... nor its bytes in a plan");
}
$server->unsubscribe_all;

# An error repeats an invalid endpoint without its credentials, and on one line.
$server->messages("SELECT webhook.subscribe(E'https://me:sesame2\@example.com/?a=sesame2\\nLOG:  forged', '{$type}')");
my $message = join "\n", grep { /ERROR:/ } split /\n/, $server->log_since;
like($message, qr{invalid endpoint "https://\*\*\*\@example\.com/\?a=\*\*\*"}, 'the error has no credentials');
unlike($server->log_since, qr/^LOG:  forged/m, 'the log has no forged line');

$server->stop;
done_testing();
