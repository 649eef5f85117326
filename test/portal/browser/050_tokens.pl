# 050_tokens.pl
#	  People of a tenant who come with a token: the link, what they see and may set, and
#	  what they are told when it is over.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Pages;
use Test::More;

my $pages = Pages->new(
	sql => sub {
		my ($receiver) = @_;
		my $url = $receiver->url('/ok/acme');
		return <<"END";
CREATE EXTENSION webhook;
SELECT webhook.define_tenant('acme', max_subscriptions => 7), webhook.define_tenant('globex');
CREATE ROLE hooks_service LOGIN PASSWORD 's'; SELECT webhook.grant_portal('hooks_service');
CREATE ROLE integration LOGIN PASSWORD 'a'; SELECT webhook.grant_admin('integration');
SELECT webhook.subscribe('$url', '{*}', 'Theirs', tenant => 'acme');
END
	},
	start => sub { return "--service=host=127.0.0.1 port=$_[0]{pgport} dbname=postgres user=hooks_service password=s"; });
my ($portal, $browser) = ($pages->portal, $pages->browser);

sub token { return $portal->sql("SELECT webhook.portal_token('$_[0]')"); }

my $token = token('acme');
$browser->go("$pages->{base}#/enter/$token");
$browser->says('Dashboard', 'h1');
is($browser->js('return location.hash'), '#/', 'the token has left the address');
$browser->js('history.back()');
unlike($browser->js('return location.href'), qr/enter/, '... and the history');
$browser->go($pages->{base});
$browser->says('tenant acme', 'header');
pass('the header says whose pages these are');
is($browser->js('return [...document.querySelectorAll("nav a")].some(a => a.innerText === "System")'), 0, 'a tenant has no page System');
ok($browser->wait_for('/Limits\s*7/i.test(document.querySelector(".tiles")?.innerText)'), 'the dashboard has its limits');
ok($browser->wait_for('!/Worker/.test(document.querySelector(".tiles")?.innerText)'), '... and nothing of the worker');

$pages->show('add', 'Add New');
is($browser->js('return ["ca", "client_certificate", "tenant"].filter(n => document.querySelector(`[name=${n}]`)).join()'), '',
	'a tenant is not offered what it may not set');
$browser->type('input[name=endpoint]', $pages->{receiver}->url('/ok/new'));
$browser->js('document.querySelector("input[name=events][value=\'*\']").click()');
$browser->click('text=Save');
$browser->says('What it gets');
is($portal->sql('SELECT tenant FROM webhook_internal.subscription WHERE id = 2'), 'acme', 'what it adds is its own');

$portal->sql(q(SELECT webhook.revoke_portal_tokens('acme')));
ok($browser->wait_for('/Open the portal anew/.test(document.querySelector("dialog[open]")?.innerText)'), 'who is signed out is told so by the next tick');
is($browser->js('return document.querySelectorAll("dialog input").length'), 0, '... and asked for no password');

# A link of a tab that is open replaces what is there.
$browser->go('about:blank');
$browser->go("$pages->{base}#/enter/$token");
$browser->says('This link cannot be used', 'h1');
ok($browser->wait_for('/the token was revoked/i.test(document.querySelector("main").innerText)'), 'a link that is of no use says why');
$browser->js('location.hash = arguments[0]', '#/enter/short');
ok($browser->wait_for('/the link is not whole/i.test(document.querySelector("main").innerText)'), 'so does one that is not whole');
$browser->js('location.hash = arguments[0]', '#/enter/' . token('globex'));
$browser->says('tenant globex', 'header');
pass('one that is good opens the pages of its tenant');
$pages->sign_out;

# A link may be somebody else's: it takes nobody's session without asking, and their page stays.
$pages->sign_in('integration', 'a', 'add');
$browser->type('input[name=endpoint]', 'https://typed.example.com/');
$token = token('acme');
$browser->js('location.hash = arguments[0]', "#/enter/$token");
my $asks = '/You are signed in as integration. Open the portal for the tenant of this link\?/.test(document.querySelector("dialog[open]")?.innerText)';
ok($browser->wait_for($asks), 'who is signed in is asked whether a link may open the portal');
is($browser->js('return document.activeElement.innerText'), 'Keep as it is', '... and the keys are at what changes nothing');
unlike($browser->js('return location.href'), qr/enter/, 'the token has left the address');
$browser->press("Escape");
ok($browser->wait_for('!document.querySelector("dialog[open]")'), 'Escape stays');
is($browser->js('return location.hash + document.querySelector("input[name=endpoint]").value'), '#/addhttps://typed.example.com/', '... on the page, with what was typed');
$browser->go('about:blank');
$browser->go("$pages->{base}#/enter/$token");
ok($browser->wait_for($asks), 'a new page asks, too');
$browser->press("Enter");
$browser->says('integration', 'header');
is($portal->sql('SELECT count(*) FROM webhook_internal.portal_token WHERE exchanged_at IS NULL'), 1, '... and Enter stays: the token is not used up');
$browser->js('location.hash = arguments[0]', "#/enter/$token");
ok($browser->wait_for($asks), 'asked once more');
$browser->press("Tab");
$browser->press("Enter");
$browser->says('tenant acme', 'header');
like($portal->log_since, qr/role "integration" from .*: signed in anew/, 'who agrees by the keyboard has left the former session, which has ended');
$pages->sign_out;

# Another tab still shows the former session: it does nothing as the tenant.  The tab that has the
# stream closes it, or has none, so the other one is told, or finds out by what it asks for.
foreach my $is_told (1, 0)
{
	my $first = $browser->this_tab;
	my $how = $is_told ? 'is told' : 'finds out';
	my $count = $portal->sql('SELECT count(*) FROM webhook_internal.subscription');
	$pages->sign_in('integration', 'a');
	ok($browser->wait_for('document.querySelector(".live-state")?.innerText === "live"'), 'a tab has the stream');
	my $second = $browser->new_tab;
	$browser->cdp('Page.addScriptToEvaluateOnNewDocument', { source => <<'END' }) unless $is_told;
window.BroadcastChannel = class { postMessage() {} };
window.EventSource = class { addEventListener() {} close() {} };
END
	$browser->go("$pages->{base}#/add");
	$browser->says('integration', 'header');
	$browser->type('input[name=endpoint]', $pages->{receiver}->url("/ok/typed/$is_told"));
	$browser->js('document.querySelector("input[name=events][value=\'*\']").click()');
	$browser->tab($first);
	$browser->js('location.hash = arguments[0]', '#/enter/' . token('acme'));
	ok($browser->wait_for($asks), 'it is asked');
	$browser->click('text=Open for the tenant');
	$browser->says('tenant acme', 'header');
	$browser->tab($second);
	$browser->js('document.querySelector("main form").requestSubmit()') unless $is_told;
	$browser->says('Sign in again', 'dialog');
	pass("a tab of the session before $how");
	$browser->js('document.querySelector("main form").requestSubmit()');
	is($browser->js('return document.querySelector("input[name=endpoint]").value'), $pages->{receiver}->url("/ok/typed/$is_told"), '... what was typed is there');
	$browser->type('dialog input[name=user]', 'integration');
	$browser->type('dialog input[name=password]', 'a');
	is($portal->sql('SELECT count(*) FROM webhook_internal.subscription'), $count, '... nothing was saved for the tenant');
	$browser->js('document.querySelector("dialog form").requestSubmit()');
	$browser->says('It is saved.');
	is($portal->sql('SELECT count(*) FROM webhook_internal.subscription WHERE tenant IS NULL'), $is_told ? 1 : 2, '... and once signed in again it is, for no tenant');
	$browser->command(DELETE => '/window');
	$browser->tab($first);
	$browser->wait_for('document.querySelector("dialog[open]")');
	pass('... and the first tab is told that its session has ended');
	$browser->go('about:blank');
	$browser->go($pages->{base});
	$pages->sign_out;
}

# An administrator says whose a subscription is.
$pages->sign_in('integration', 'a', 'add');
is($browser->js('return [...document.querySelectorAll("select[name=tenant] option")].map(o => o.value).join()'), ',acme,globex', 'an administrator chooses a tenant');
my $silent = $portal->sql(sprintf q(SELECT webhook.subscribe('%s', '{*}', tenant => 'acme')), $pages->{receiver}->url('/challenge/9/silent'));
$pages->show("subscription?id=$silent");
$browser->says('The endpoint is unconfirmed');
ok($browser->wait_for('[...document.querySelectorAll("button")].some(b => b.innerText === "Confirm")'), 'an endpoint that does not answer is said to be unconfirmed, and can be confirmed');

is(join("\n", grep { !/40[13]|503/ } $browser->complaints), '', 'the browser has nothing to complain about');
done_testing();
