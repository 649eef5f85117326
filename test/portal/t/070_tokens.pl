# 070_tokens.pl
#	  People come with a token: whose pages they see, and what ends that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Encode qw(decode_utf8);
use Portal;
use Test::More;

my $portal = Portal->new(conf => "shared_preload_libraries = 'webhook'\nwebhook.enabled = off\n", sql => <<'END');
CREATE EXTENSION webhook;
SELECT webhook.define_tenant('acme'), webhook.define_tenant('Größe & "Söhne"');
CREATE ROLE hooks_service LOGIN PASSWORD 'right';
CREATE ROLE reader LOGIN PASSWORD 'right';
SELECT webhook.grant_portal('hooks_service'), webhook.grant_reader('reader');
CREATE ROLE acme_hooks LOGIN PASSWORD 'right';
SELECT webhook.grant_tenant('acme_hooks', 'acme');
SELECT webhook.subscribe('https://hooks.invalid/' || n, '{*}', tenant => t)
	FROM unnest(ARRAY['acme', 'Größe & "Söhne"', NULL]) WITH ORDINALITY AS x (t, n) ORDER BY n;
END
my $service = "host=127.0.0.1 port=$portal->{pgport} dbname=postgres user=hooks_service password=right";
$portal->start("--service=$service", '--sessions=4');

sub token { return $portal->sql("SELECT webhook.portal_token('$_[0]'" . ($_[1] // '') . ')'); }

sub enter
{
	my ($browser, $token, %headers) = @_;
	return $browser->post('api/session', '{}', Authorization => "Bearer $token", %headers);
}

sub told { return "$_[0]{status} " . ($_[0]{json}{message} // ''); }

my $token = token('acme');
my $browser = $portal->browser;
is($browser->get('api/me')->{status}, 401, 'before');
my $answer = enter($browser, $token);
is("$answer->{status} $answer->{json}{role}", '200 tenant acme', 'a token begins a session of its tenant');
ok($answer->{json}{token}, '... which is told from one of a role of that name');
is_deeply($browser->get('api/tenants')->{json}, ['acme'], '... which sees that tenant');
is($browser->get('api/me')->{json}{role}, 'hooks_service', '... as the role of --service');
like($portal->log_since, qr/role "tenant acme" from .*: signed in/, 'the log says who');
unlike($portal->log_since, qr/\Q$token\E/, '... without the token');

my $other = $portal->browser;
is(told(enter($other, $token)), '401 the token was used already', 'a token is used once');
is(told(enter($other, 'x' x 43)), '401 the token is unknown', 'one that is not known is refused');
is(enter($other, $_)->{status}, 400, "so is what is no token: $_") foreach 'x', 'x' x 44, 'x' x 42 . '=';
is(told(enter($other, token('acme'), Origin => 'https://evil.example.com')), '403 the request comes from another site', 'so is another site');
$token = token('acme');
$portal->sql('UPDATE webhook_internal.portal_token SET expires_at = now() WHERE exchanged_at IS NULL');
is(told(enter($other, $token)), '401 the token has expired', 'so is one that has expired');

is(enter($other, token('Größe & "Söhne"'))->{json}{role}, decode_utf8('tenant Größe & "Söhne"'), 'another tenant in another browser');
is_deeply($other->get('api/tenants')->{json}, [ decode_utf8('Größe & "Söhne"') ], '... sees itself');
is_deeply($browser->get('api/tenants')->{json}, ['acme'], '... and the first one itself');
is($portal->browser->sign_in('reader', 'right')->{status}, 200, 'people with a role sign in beside them');
is(enter($portal->browser, token('acme'))->{status}, 200, 'a tenant has half of the sessions');
is(told(enter($portal->browser, token('acme'))), '503 as many are signed in as the portal takes', '... which are four');

# ---- Notices: each is told of its own, a tenant by token as well as by role

my $by_role = $portal->browser;
$portal->stop;
$portal->start("--service=$service", '--sessions=10');
enter($browser, token('acme'));
enter($other, token('Größe & "Söhne"'));
is($by_role->sign_in('acme_hooks', 'right')->{status}, 200, 'a role of a tenant signs in');
my $platform = $portal->browser;
$platform->sign_in('reader', 'right');
my %told_by = map { $_->[0] => $_->[1]->live }
  [ token => $browser ], [ role => $by_role ], [ other => $other ], [ platform => $platform ];
is(join(' ', map { $_ . ($told_by{$_}->next_of('tick') =~ /"own"/ ? ' sees its own,' : ' sees all,') } sort keys %told_by),
	'other sees its own, platform sees all, role sees its own, token sees its own,', 'whose numbers the ticks have');
my $colleague = $portal->browser;
enter($colleague, token('acme'));
is($portal->common_ticks($told_by{token}, $colleague->live), 0, 'a token that has ended is seen by its own tick, so it has one');
$colleague->post('api/session/end');
$portal->sql("SELECT webhook.pause($_)") foreach 2, 1, 3;
$portal->sql('SELECT webhook.resume(2)');
my $paused = '"state":"paused","until":null}';
my %expected = (
	token => [qq({"subscription":1,$paused)], role => [qq({"subscription":1,$paused)],
	other => [ qq({"subscription":2,$paused), '{"subscription":2,"state":"off","until":null}' ],
	platform => [ '{"subscription":2}', '{"subscription":1}', qq({"subscription":3,$paused), '{"subscription":2}' ]);
foreach my $who (sort keys %expected)
{
	my @told = map { $told_by{$who}->next_of('notice') } $expected{$who}->@*;
	is_deeply(\@told, $expected{$who}, "what $who is told") or diag(explain(\@told));
}

# ---- Revoked

my $stream = $browser->live;
$stream->next;
$portal->sql(q(SELECT webhook.revoke_portal_tokens('acme')));
is(told($browser->get('api/tenants')), '401 this session acts for no tenant any more', 'a token that was revoked ends its session');
my ($event, $last);
$last = $event while $event = $stream->next;
is($last->[0], 'end', '... and its streams');
is($browser->get('api/session')->{status}, 401, '... for good');
is_deeply($other->get('api/tenants')->{json}, [ decode_utf8('Größe & "Söhne"') ], 'another tenant goes on');
like($portal->log_since, qr/role "tenant acme" from .*: ended, its token is good no longer/, 'the log says so');

# ---- What a platform may have forgotten

$portal->sql(q(SELECT webhook.revoke('hooks_service')));
is(told(enter($browser, token('acme'))), '503 the portal cannot act for tenants', 'a role that may not act is the portal\'s fault, not the person\'s');
like($portal->log_since, qr/the role of --service may not act/, '... and the log says what to do');
$portal->stop;

# ---- The password of --service

$portal->sql(q(SELECT webhook.grant_portal('hooks_service')));
$service =~ s/ password=right//;
my $password = $portal->spit('password', "right\n");
chmod 0440, $password;
$portal->start("--service=$service", "--service-password-file=$password");
is(enter($browser, token('acme'))->{status}, 200, 'a file has the password, of the mode that systemd gives credentials');
$portal->stop;
$portal->start("--service=$service passfile=$password");
is(enter($browser, token('acme'))->{status}, 401, 'which libpq does not take for its own');
$portal->stop;

$portal->start;
is(told(enter($browser, token('acme'))), '401 this portal takes no tokens', 'without --service there are no tokens');
$portal->stop;

done_testing();
