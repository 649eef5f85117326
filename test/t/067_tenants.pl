# 067_tenants.pl
#	  Which events does a tenant's subscription get?  Those of its tenant, and
#	  nobody else's, whatever makes the change and whatever fails in between.  What
#	  the application says of a change travels with each attempt.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use JSON::PP;
use List::Util qw(uniq);
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('tenants', <<'END');
restart_after_crash = on
webhook.retry_schedule = '1s, 1s, 1s'
max_prepared_transactions = 4
END
my $receiver = $server->receiver;
$server->prepare;
$server->sql(<<'END');
CREATE TABLE contract (id int PRIMARY KEY, status text, partner text);
SELECT webhook.watch('contract', tenant_column => 'partner', data_columns => '{partner}');
END
my %id;
$server->sql(q(SELECT webhook.define_tenant(name) FROM unnest('{acme,best}'::text[]) AS t (name)));
foreach my $tenant ('', 'acme', 'best')
{
	my $path = '/ok/' . ($tenant || 'platform');

	$id{$tenant} = $server->subscribe($path, "events => '{*}'", $tenant ? "tenant => '$tenant'" : ());
	$server->sql("SELECT webhook.confirm($id{$tenant})") if $tenant;
}
$server->settle('three subscriptions');

# Contract, operation and new status of what a path has got since the last call, sorted.
my %seen;

sub got
{
	my ($path) = @_;
	my @requests = $receiver->requests("/ok/$path");
	my @new = @requests[ ($seen{$path} // 0) .. $#requests ];

	$seen{$path} = @requests;
	return join ' ', sort { $a cmp $b } map { my $data = decode_json($_->{body})->{Data}; "$data->{ContractId}:$data->{Operation}:" . ($data->{NewStatus} // '') } @new;
}

sub is_got
{
	my ($platform, $acme, $best, $name) = @_;

	$server->settle($name);
	is(got('platform'), $platform, "$name: the platform");
	is(got('acme'), $acme, "$name: one tenant");
	is(got('best'), $best, "$name: the other");
	return;
}

$server->sql("INSERT INTO contract VALUES (1, 'A', 'acme'), (2, 'A', 'best'), (3, 'A', NULL)");
is_got('1:INSERT:A 2:INSERT:A 3:INSERT:A', '1:INSERT:A', '2:INSERT:A', 'creations');
$server->sql("UPDATE contract SET partner = 'best', status = 'B' WHERE id = 1");
is_got('1:UPDATE:B', '1:DELETE:', '1:INSERT:B', 'another tenant');
$server->sql("UPDATE contract SET partner = 'acme' WHERE id = 1");
is_got('', '1:INSERT:B', '1:DELETE:', 'another tenant, the same status');
$server->node->safe_psql('postgres', "COPY contract FROM PROGRAM 'printf \"4,A,acme\\n5,A,best\\n\"' (FORMAT csv)");
is_got('4:INSERT:A 5:INSERT:A', '4:INSERT:A', '5:INSERT:A', 'COPY');
$server->sql("BEGIN; UPDATE contract SET status = 'C'; PREPARE TRANSACTION 'two'");
is_got('', '', '', 'a prepared transaction');
$server->sql("COMMIT PREPARED 'two'");
$server->settle('committed');
is(got('platform'), '1:UPDATE:C 2:UPDATE:C 3:UPDATE:C 4:UPDATE:C 5:UPDATE:C', 'two phases: the platform');
is(got('acme'), '1:UPDATE:C 4:UPDATE:C', 'two phases: one tenant');
is(got('best'), '2:UPDATE:C 5:UPDATE:C', 'two phases: the other');

# An empty tenant is no tenant, and neither the platform's.
$server->sql("INSERT INTO contract VALUES (6, 'A', '')");
is_got('6:INSERT:A', '', '', 'an empty text');

# The log has the subscription's tenant, not the event's.
is($server->sql(<<'END'), 'acme acme,best best,platform -', 'the log says whose each call is');
SELECT string_agg(whose, ',' ORDER BY whose)
	FROM (SELECT DISTINCT substring(endpoint from '/ok/(.*)') || ' ' || coalesce(tenant, '-') AS whose FROM webhook.log) l
END

# ---- What waits, and what is sent again, stays its tenant's

$server->sql("SELECT webhook.pause($_)") foreach values %id;
$server->sql("UPDATE contract SET status = 'D'; UPDATE contract SET partner = 'best' WHERE id = 4");
$server->restart;
$server->sql("SELECT webhook.resume($_)") foreach values %id;
$server->settle('what waited');
is(got('acme'), '1:UPDATE:D 4:DELETE: 4:UPDATE:D', 'after a restart: one tenant');
is(got('best'), '2:UPDATE:D 4:INSERT:D 5:UPDATE:D', 'after a restart: the other');
got('platform');

my $event = $server->sql("SELECT event_id FROM webhook.log WHERE tenant = 'acme' AND subject = 'contract/1' ORDER BY logged_at DESC LIMIT 1");
$server->sql("SELECT webhook.resend('$event', $id{acme})");
is_got('', '1:UPDATE:D', '', 'resend()');
$server->sql("SELECT webhook_internal.replay($id{best}, 'resend', e.id, '0', e.event_id, e.created_at, e.event_type, e.subject, e.data, e.tenant, NULL)
	FROM webhook.event e WHERE e.event_id = '$event'");
is_got('', '', '', q(a replay of another tenant's event));
is($server->sql("SELECT webhook.recover($_, '-infinity', what => 'missing')"), 0, 'nothing is missing') foreach @id{qw(acme best)};

# A crash while they are under way.
$server->sql("UPDATE contract SET status = 'E'");
$server->crash;
$server->wait_for_worker;
$server->settle('a crash');
is(join(' ', uniq split / /, got('acme')), '1:UPDATE:E', 'after a crash: one tenant');
is(join(' ', uniq split / /, got('best')), '2:UPDATE:E 4:UPDATE:E 5:UPDATE:E', 'after a crash: the other');
got('platform');

# ---- What the application says of a change

my $trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
my $told = $server->subscribe('/fail-first/1/told', "events => '{App.BusinessRequestStatusChange}'");
my $asked = $server->subscribe('/ok/asked', "events => '{App.BusinessRequestStatusChange}', include_context => true");
$server->sql(<<"END");
BEGIN;
SET LOCAL webhook.context = '{"user": "anna"}';
SET LOCAL webhook.traceparent = '$trace';
UPDATE contract SET status = 'F' WHERE id = 1;
COMMIT;
UPDATE contract SET status = 'F' WHERE id = 2;
END
$server->poll("SELECT count(*) = 2 FROM webhook.log WHERE subscription_id = $told AND outcome = 'delivered'");
$server->settle('context');
is(join(' ', map { $_->{headers}{traceparent} // '-' } grep { $_->{body} =~ m{"Subject":"contract/1"} } $receiver->requests('/fail-first/1/told')), "$trace $trace", 'each attempt has the traceparent');
is(join(' ', map { $_->{headers}{traceparent} // '-' } grep { $_->{body} =~ m{"Subject":"contract/2"} } $receiver->requests('/ok/asked')), '-', 'another transaction has none');
like((grep { $_->{body} =~ m{"Subject":"contract/1"} } $receiver->requests('/ok/asked'))[0]{body}, qr/,"Data":\{[^}]*\}\},"Context":\{"user": "anna"\},"CreationTimeUtc":"/, 'Context stands behind Data where it is asked for');
unlike(($receiver->requests('/fail-first/1/told'))[0]{body}, qr/Context/, 'and nowhere else');
is($server->sql("SELECT string_agg(DISTINCT concat_ws(' ', traceparent, context), ',') FROM webhook.log WHERE subscription_id = $told AND subject = 'contract/1'"),
	qq($trace {"user": "anna"}), 'the log has both');
$event = $server->sql("SELECT event_id FROM webhook.log WHERE subscription_id = $told AND subject = 'contract/1' LIMIT 1");
$server->sql("TRUNCATE webhook_internal.event_0, webhook_internal.event_1, webhook_internal.event_2, webhook_internal.event_3");
$server->sql("SELECT webhook.resend('$event', $asked)");
$server->settle('resent from the log');
my @asked = grep { $_->{body} =~ m{"Subject":"contract/1"} } $receiver->requests('/ok/asked');
is($asked[-1]{headers}{traceparent}, $trace, 'what is resent from the log has the traceparent');
like($asked[-1]{body}, qr/"Context":\{"user": "anna"\}/, '... and the context');

# ---- What a tenant may get is judged when the event is matched

$server->sql("SELECT webhook.define_event_type('Other.Type')");
sub publish
{
	$server->sql("SELECT webhook.publish('$_', '{\"ContractId\": 9, \"Operation\": \"P\"}', 'x/9', tenant => t.name)
		FROM unnest('{acme,best}'::text[]) AS t (name)")
	  foreach 'App.BusinessRequestStatusChange', @_;
	return;
}
my $since = $server->sql('SELECT clock_timestamp()');
got($_) foreach qw(platform acme best);
publish('Other.Type');
is_got('9:P: 9:P: 9:P: 9:P:', '9:P: 9:P:', '9:P: 9:P:', 'all types');
$server->sql("SELECT webhook.define_tenant('acme', '{App.*}')");
publish('Other.Type');
is_got('9:P: 9:P: 9:P: 9:P:', '9:P:', '9:P: 9:P:', 'a type is taken away');
my $refused = $server->sql("SELECT event_id FROM webhook.event WHERE event_type = 'Other.Type' AND tenant = 'acme' ORDER BY id DESC LIMIT 1");
like($server->messages("SELECT webhook.resend('$refused', $id{acme})"), qr/The event is of type Other.Type, which tenant "acme" may not get\./, 'nobody resends it');
is($server->sql("SELECT webhook.recover($id{acme}, '$since', what => 'missing')"), 0, 'nobody recovers it');
like($server->sql("SELECT webhook.explain('$refused', $id{acme})"), qr/Tenant "acme" of subscription $id{acme} may not get events of this type/, 'explain() says why');
$server->sql("SELECT webhook.define_tenant('acme', '{Other.Type}')");
publish('Other.Type');
is_got('9:P: 9:P: 9:P: 9:P:', '9:P:', '9:P: 9:P:', 'another type is given');
# What the checkpoint does not have yet counts as unread.
$server->poll("SELECT webhook.recover($id{acme}, '$since', what => 'missing', dry_run => true) = 1");
is($server->sql("SELECT webhook.recover($id{acme}, '$since', what => 'missing')"), 1, 'what it may get now is recovered');
is_got('', '9:P:', '', 'what was missing');
$server->sql("DELETE FROM webhook_internal.tenant WHERE name = 'acme'");
publish('Other.Type');
is_got('9:P: 9:P: 9:P: 9:P:', '', '9:P: 9:P:', 'a tenant that is not defined gets nothing');
$server->sql("SELECT webhook.define_tenant('acme')");

# The extension's own types are in no pattern. Only the worker publishes them, so
# here a superuser writes the rows.
sub own_event
{
	$server->sql(<<'END');
INSERT INTO webhook_internal.event_0
		(id, txid, created_at, event_id, kind, event_type, subject, tenant, data)
	SELECT nextval('webhook_internal.event_id_seq'), pg_current_xact_id(), now(),
			webhook_internal.new_event_id(now()), 'e', 'webhook.own', 'x/9', t.name, '{"ContractId": 9, "Operation": "P"}'
		FROM (VALUES ('acme'), ('best')) AS t (name)
END
	publish();
	return;
}

my @own = map { $server->subscribe("/ok/own$_", $_ == 2 ? "tenant => 'acme'" : ()) } 1, 2;
$server->sql("INSERT INTO webhook_internal.event_type (name) VALUES ('webhook.own')");
$server->sql("UPDATE webhook_internal.subscription SET events = '{webhook.own}' WHERE id = ANY ('{$own[0],$own[1]}'::bigint[]);
	SELECT webhook.confirm($own[1])");
own_event();
is_got('9:P: 9:P:', '9:P:', '9:P:', 'no pattern includes the own types');
is(got('own1'), '9:P: 9:P:', 'who names one gets it');
is(got('own2'), '', 'unless its tenant has it by a pattern only');
$server->sql("UPDATE webhook_internal.tenant SET events = '{*,webhook.own}' WHERE name = 'acme'");
own_event();
is_got('9:P: 9:P:', '9:P:', '9:P:', 'a tenant that may get an own type');
is(got('own2'), '9:P:', 'gets it if it names it');
$server->sql("SELECT webhook.unsubscribe(id) FROM unnest('{$own[0],$own[1]}'::bigint[]) AS t (id)");
$server->sql("SELECT webhook.define_tenant('acme', '{*}')");

$server->is_sound;
done_testing();
