# Roles, keyboard, narrow screens, many tabs, and what happens when the portal or the
# database goes away under somebody's hands.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Pages;
use Places;
use Test::More;

my $pages = Pages->new;
my ($portal, $browser) = ($pages->portal, $pages->browser);

my $event = $portal->sql(q{SELECT event_id FROM webhook.log WHERE subscription_id = 4 LIMIT 1});
my @addresses = map { $_->{address} } grep { $_->{name} !~ /-(?!subscription)/ } Places::all(
	subscription => 2, failing => 2, final => 4, silent => 2, tenant => 'none', type => 'App.InvoicePaid', event => $event);
push @addresses, 'system';

# ---- Keyboard only

$browser->go($pages->{base});
$browser->find('input[name=user]');
$browser->wait_for('document.activeElement.name === "user"');
$browser->press('a', 'u', 'd', 'i', 't', 'o', 'r', 'Tab', 'r', 'Enter');
$browser->says('Dashboard', 'h1');
$browser->js('document.querySelector("nav[aria-label=Pages] a[data-page=logs]").focus()');
$browser->press('Enter');
$browser->says('Webhook Logs', 'h1');
$browser->wait_for('document.activeElement.tagName === "H1"');
pass('signing in and a way to a page need no mouse, and the focus is on the title of the page');
$browser->js('document.getElementById("skip").focus()');
$browser->press('Enter');
is($browser->js('return document.activeElement.tagName'), 'H1', 'the header can be skipped');
$browser->js('document.querySelector(".unfold").focus()');
$browser->press('Enter');
ok($browser->says('Request Headers', '.unfolded'), 'a call is unfolded');

# ---- A reader has no buttons that the role may not use

foreach my $address (@addresses)
{
	next if $address =~ /^(?:add|edit)/;
	$pages->show($address);
	my $acts = $browser->js(<<'END');
return [...document.querySelectorAll('main button, main a')].map(e => e.innerText.trim()).filter(t =>
	/^(Add New|Edit|Pause$|Resume$|Unsubscribe|Send|Cancel|Skip)/.test(t)
	|| /^(Try|Recover|Reveal|Rotate|Dismiss|Define)/.test(t)).join()
END
	is($acts, '', "a reader can only read: #/$address");
}
$portal->sql(q{SELECT webhook.revoke('auditor')});
$pages->show('subscriptions');
ok($browser->wait_for('/permission denied/i.test(document.querySelector(".problem")?.innerText)'), 'a role that was revoked is told so');
$browser->go('about:blank');
$browser->go($pages->{base});
$browser->says('Permission denied');
ok($browser->find("text=$_"), "... also by a new page, which has: $_") foreach 'Sign out', 'Try again';
$portal->sql(q{SELECT webhook.grant_reader('auditor')});
$browser->click('text=Try again');
$browser->says('Dashboard', 'h1');
pass('... and goes on once the role may');
$pages->sign_out;

$pages->sign_in('operator', 'o', 'subscription?id=1');
$browser->find('text=Send a ping');
is($browser->js('return [...document.querySelectorAll("main button, main a")].filter(e => /^(Edit|Unsubscribe|Reveal)/.test(e.innerText)).length'),
	0, 'an operator operates, but does not administer');
foreach my $form (qw(add edit?id=1))
{
	$pages->show($form, 'Webhook Subscription');
	$browser->says('Role operator may look, but not do this.');
	is($browser->js('return document.querySelectorAll("main form").length'), 0, "nothing can be typed in vain into #/$form");
}
$pages->sign_out;

# ---- All that can be done has the focus in turn, and is seen then

$pages->sign_in('integration', 'a');
foreach my $address (@addresses)
{
	$pages->show($address =~ /^logs/ ? 'logs?subject=business_request%2F42' : $address);
	$browser->click('text=Pause updates') if $address eq '';
	$browser->js(<<'END');
const name = e => `${e.tagName} ${(e.getAttribute('aria-label') ?? e.innerText ?? '').trim().slice(0, 40) || e.name}`;
document.activeElement.blur();
document.getElementById('skip').focus();
window.reached = new Set([document.activeElement]);
window.faults = new Set();
window.heard?.abort();
window.heard = new AbortController();
document.addEventListener('focusin', ({target}) =>
{
	reached.add(target);
	const style = getComputedStyle(target);
	const box = target.getClientRects()[0];
	const width = Math.min(box.width, innerWidth - box.x);
	const there = document.elementFromPoint(box.x + width / 2, box.y + box.height / 2);
	if (style.outlineStyle === 'none' || parseFloat(style.outlineWidth) < 2)
		faults.add(`without an outline: ${name(target)}`);
	if (box.height < innerHeight && !target.contains(there) && !there?.contains(target))
		faults.add(`covered: ${name(target)}`);
}, {signal: heard.signal});
window.unreached = () => [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
	.filter(e => e.checkVisibility() && !e.disabled && !reached.has(e)).map(name);
END
	foreach (1 .. 10)
	{
		last unless @{ $browser->js('return unreached()') };
		$browser->press(('Tab') x 40);
	}
	is(join("\n", @{ $browser->js('return [...unreached().map(e => `not reached: ${e}`), ...faults]') }), '',
		"the keyboard reaches all of #/$address");
	$browser->click('text=Resume updates') if $address eq '';
}
$pages->sign_out;

# ---- 320 px, and 4K

$pages->sign_in('integration', 'a');
foreach my $size ([ 320, 700, 'light' ], [ 375, 800, 'dark' ], [ 3840, 2160, 'light' ])
{
	$browser->look(width => $size->[0], height => $size->[1], scheme => $size->[2]);
	my @wide;
	foreach my $address (@addresses)
	{
		$pages->show($address);
		push @wide, $address if $browser->js('return document.documentElement.scrollWidth > innerWidth');
	}
	is("@wide", '', "no page scrolls sideways at $size->[0] px");
}
$browser->look(width => 1280, height => 900, scheme => 'light');

# ---- Ten tabs have one stream, and each is told

my $first = $browser->this_tab;
my @tabs = $first;
foreach (2 .. 10)
{
	push @tabs, $browser->new_tab;
	$browser->go("$pages->{base}#/");
	$browser->says('running', '.tiles');
}
$browser->wait_for('document.querySelector(".live-state")?.innerText === "live"');
pass('the tenth tab is live');
my $streams = $browser->js('return performance.getEntriesByType("resource").filter(e => /api\/live/.test(e.name)).length');
is($streams, 0, 'and has no stream of its own');
foreach my $tab (@tabs[1 .. $#tabs])
{
	$browser->tab($tab);
	$browser->command(DELETE => '/window');
}
$browser->tab($first);

# ---- Two tabs are asked to sign in again, and both have unsaved input

sub typed { return $browser->js('return document.querySelector("input[name=endpoint]").value'); }

my $ids = q{SELECT coalesce(max(id), 0) FROM webhook.subscription};
my $highest = $portal->sql($ids);
@tabs = ($first, $browser->new_tab);
$browser->go($pages->{base});
$browser->says('integration', 'header');
foreach my $tab (@tabs)
{
	$browser->tab($tab);
	$pages->show('add', 'Add New');
	$browser->type('input[name=endpoint]', $pages->{receiver}->url("/ok/$tab"));
	$browser->click('input[value="App.InvoicePaid"]');
}
my $asked = sub {
	foreach my $tab (@tabs)
	{
		$browser->tab($tab);
		$browser->says('Sign in again', 'dialog');
	}
};
$portal->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'integration'});
$asked->();
pass('two tabs are asked');

# The second one wants to be somebody else, and learns what that costs.
$browser->type('dialog input[name=user]', 'operator');
$browser->type('dialog input[name=password]', 'o');
$browser->click('text=Sign in');
ok($browser->wait_for('/What was typed into it is lost/.test([...document.querySelectorAll("dialog")].pop().innerText)'),
	'who signs in as somebody else is told that they lose what they have typed');
is($browser->js('return fetch("api/session").then(r => r.status)'), 401, '... before they are signed in');
$browser->click('text=Keep as it is');
$browser->wait_for('document.querySelectorAll("dialog[open]").length === 1');
is(typed(), $pages->{receiver}->url("/ok/$tabs[1]"), '... and may keep it');
$browser->click('text=Sign in');
$browser->wait_for('document.querySelectorAll("dialog[open]").length === 2');
$browser->js('[...document.querySelectorAll("dialog")].pop().querySelectorAll("button")[1].click()');
$browser->says('operator', 'header');
$browser->tab($tabs[0]);
is($browser->text('dialog h2'), 'Sign in again', 'the other tab does not become that role\'s');
$browser->js('document.querySelector("main form").requestSubmit()');
is($portal->sql($ids), $highest, '... and does nothing as it');
$browser->type('dialog input[name=password]', 'a');
$browser->click('text=Sign in');
$browser->says('It is saved.');
is($portal->sql(q{SELECT endpoint FROM webhook.subscription ORDER BY id DESC LIMIT 1}), $pages->{receiver}->url("/ok/$tabs[0]"),
	'... but as its own role, once that has signed in: what was typed is saved');
$browser->tab($tabs[1]);
ok($browser->says('Sign in again', 'dialog'), 'the page of the other role is told that its session has ended');
$browser->go('about:blank');

# Both have the role that signs in: one of them is enough.
foreach my $tab (@tabs)
{
	$browser->tab($tab);
	$browser->go('about:blank');
	$browser->go($pages->{base});
	$browser->says('integration', 'header');
	$pages->show('add', 'Add New');
	$browser->type('input[name=endpoint]', $pages->{receiver}->url("/ok/both/$tab"));
	$browser->click('input[value="App.InvoicePaid"]');
}
foreach my $tab (@tabs)
{
	my ($other) = grep { $_ ne $tab } @tabs;

	# One signs out, whether it has the stream or not; the other one has unsaved input.
	$browser->tab($tab);
	$browser->click('text=Sign out');
	$browser->find('input[name=user]');
	$browser->tab($other);
	$browser->says('Sign in again', 'dialog');
	is(typed(), $pages->{receiver}->url("/ok/both/$other"), 'who has not saved yet when another tab signs out keeps what they typed');
	$browser->tab($tab);
	$pages->sign_in('integration', 'a', 'add');
	$browser->type('input[name=endpoint]', $pages->{receiver}->url("/ok/both/$tab"));
	$browser->click('input[value="App.InvoicePaid"]');
	$browser->tab($other);
	ok($browser->wait_for('!document.querySelector("dialog[open]")'), '... and is not asked any more when that tab has signed in again');
	is(typed(), $pages->{receiver}->url("/ok/both/$other"), '... still with what they typed');
}
$portal->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'integration'});
$asked->();
$browser->type('dialog input[name=password]', 'a');
$browser->click('text=Sign in');
foreach my $tab (@tabs)
{
	$browser->tab($tab);
	$browser->wait_for('!document.querySelector("dialog[open]")');
	is(typed(), $pages->{receiver}->url("/ok/both/$tab"), 'to sign in again in one tab is enough for both');
	$browser->click('text=Save');
	ok($browser->says('It is saved.'), '... and what was typed is saved');
}
$browser->command(DELETE => '/window');
$browser->tab($first);

# ---- The portal crashes while somebody types

$pages->show('add', 'Add New');
$browser->type('input[name=endpoint]', $pages->{receiver}->url('/ok/kept'));
$browser->click('input[value="App.InvoicePaid"]');
my $port = $portal->{port};
$portal->stop('KILL');
$browser->click('text=Save');
ok($browser->says('The portal does not answer'), 'no connection is said');
$portal->start("--listen=127.0.0.1:$port");
$browser->says('Sign in again', 'dialog');
$browser->type('dialog input[name=password]', 'a');
$browser->click('text=Sign in');
$browser->wait_for('!document.querySelector("dialog[open]")');
$browser->click('text=Save');
ok($browser->says('It is saved.'), 'what was typed is still there, and is saved after signing in again');

done_testing();
