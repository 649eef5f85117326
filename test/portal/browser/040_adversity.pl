# When something is amiss: no connection, another tab, a database that is away, full, read
# only or older.  It is said in a sentence, and what was typed stays.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Pages;
use Test::More;

my $pages = Pages->new;
my ($portal, $browser) = ($pages->portal, $pages->browser);

sub sign_in_again
{
	$browser->type('dialog input[name=password]', 'a');
	$browser->click('text=Sign in');
	return;
}

sub fill_in
{
	my ($path) = @_;
	$pages->show('subscriptions', 'Webhook Subscriptions');
	$pages->show('add', 'Add New');
	$browser->type('input[name=endpoint]', $pages->{receiver}->url($path));
	$browser->click('input[value="App.InvoicePaid"]');
	$browser->type('input[name=description]', "typed $path");
	return;
}

sub typed { return $browser->js('return document.querySelector("input[name=description]").value'); }

$pages->sign_in('integration', 'a');

# ---- The zone of times

fill_in('/ok/zone');
$browser->click('text=Local time');
$browser->find('text=UTC');
is(typed(), 'typed /ok/zone', 'another zone of times leaves a form alone');
$browser->click('text=UTC');

# ---- Many states change at once

$pages->show('', 'Dashboard');
$browser->wait_for('document.querySelector(".tiles .value")');
$browser->js('performance.clearResourceTimings()');
$portal->sql(<<'END');
SELECT pg_notify('webhook', json_build_object('subscription', n, 'state', 'open')::text) FROM generate_series(1, 60) n
END
$browser->says('Subscription 60');
$browser->wait_for('performance.getEntriesByName(new URL("api/health", document.baseURI)).length > 1');
is($browser->js('return document.querySelectorAll("main .notice.bad, main .problem").length'), 0, 'no look at all of it is one too many');
cmp_ok($browser->js('return performance.getEntriesByName(new URL("api/health", document.baseURI)).length'), '<=', 3,
	'a look after the first change, and one after the last');

# ---- Many tabs ask at once, through a proxy with HTTP/2

is($browser->js(<<'END'), 'integration, 3', 'what is too much at once is asked for again');
const fetched = window.fetch;
let n = 0;
window.fetch = (...request) => n++ > 1 ? fetched(...request)
	: Promise.resolve(new Response('{}', {status: 429, headers: {'Retry-After': '0'}}));
return import('./api.js').then(({get}) => get('me')).then(me => `${me.role}, ${n}`, error => error.message)
	.finally(() => { window.fetch = fetched; });
END

# ---- The database is full

my $function = $portal->sql(q{SELECT pg_get_functiondef('webhook_internal.define_event_type'::regproc)});
$portal->sql(($function =~ s/AS \$function\$.*//sr) . <<'END');
AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file "base/5/16384": No space left on device',
		HINT = 'Check free disk space.';
END $$;
END
$pages->show('events', 'Events');
$browser->click('text=Define an event type …');
$browser->type('input[name=name]', 'App.TenderClosed');
$browser->click('text=Define');
ok($browser->says('No space left on device.', 'dialog .problem'), 'a full disk is said');
ok($browser->says('Check free disk space.', 'dialog .problem'), 'with what to do');
is($browser->js('return document.querySelector("dialog input[name=name]").value'), 'App.TenderClosed', 'and what was typed is there');
$portal->sql($function);
$browser->click('text=Define');
ok($browser->says('App.TenderClosed', 'table'), 'when there is room again, it is saved');

# ---- The extension is older than the portal

$portal->sql('ALTER EXTENSION webhook DROP VIEW webhook.audit; ALTER VIEW webhook.audit RENAME TO audit_of_later');
$pages->show('audit', 'Audit');
ok($browser->says('This database lacks the extension, or has an older one.', '.problem'), 'an older extension is said');
$portal->sql('ALTER VIEW webhook.audit_of_later RENAME TO audit; ALTER EXTENSION webhook ADD VIEW webhook.audit');
$browser->click('text=Try again');
ok($browser->says('subscribe', 'table'), 'Try again tries again');

# ---- Another tab

my $first = $browser->this_tab;
my $second = $browser->new_tab;
$browser->go("$pages->{base}#/system");
$browser->says('webhook.retry_schedule');
$browser->click('text=Sign out');
$browser->find('input[name=user]');
$browser->command(DELETE => '/window');
$browser->tab($first);
ok($browser->says('Sign in again', 'dialog'), 'who signs out in one tab has to sign in again in the other');
is($browser->js('return document.activeElement.name'), 'password', 'the focus is on the password');
sign_in_again();
$browser->wait_for('!document.querySelector("dialog[open]")');
ok($browser->wait_for('document.getElementById("strip").hidden'), 'and then it is live again');

# ---- The portal is away

fill_in('/ok/portal');
my $port = $portal->{port};
$portal->stop;
ok($browser->says('No connection', '#strip'), 'no connection is said on any page');
$portal->start("--listen=127.0.0.1:$port");
ok($browser->says('Sign in again', 'dialog'), 'a portal that was restarted asks for the password by itself');
sign_in_again();
$browser->wait_for('!document.querySelector("dialog[open]")');
is(typed(), 'typed /ok/portal', 'what was typed is there');

# ---- The database is away

$portal->stop_server;
ok($browser->says('Sign in again', 'dialog'), 'a session ends with the database');
sign_in_again();
ok($browser->says('The database cannot be reached.', 'dialog'), 'that it cannot be reached is said');
$portal->start_server;
sign_in_again();
$browser->wait_for('!document.querySelector("dialog[open]")');
is(typed(), 'typed /ok/portal', 'what was typed is still there');
$browser->click('text=Save');
ok($browser->says('It is saved.'), 'and is saved');

# ---- The database is a standby

$portal->stop_server;
$portal->spit('data/standby.signal', '');
$portal->start_server;
$browser->says('Sign in again', 'dialog');
sign_in_again();
$browser->wait_for('!document.querySelector("dialog[open]")');
$browser->js('location.reload()');
ok($browser->says('This database is a standby', '#strip'), 'a standby is said on each page');
$pages->show('subscriptions', 'Webhook Subscriptions');
ok($browser->says('typed /ok/portal', 'table'), 'where subscriptions can be read');
fill_in('/ok/standby');
$browser->click('text=Save');
ok($browser->wait_for('/read-write mode during recovery|read-only/.test(document.querySelector(".problem")?.innerText)'),
	'and not be changed, which is said');
is(typed(), 'typed /ok/standby', 'what was typed is there');

done_testing();
