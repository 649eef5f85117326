# Each page, each action and each error, in a real browser.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Pages;
use Test::More;

my $pages = Pages->new;
my ($portal, $browser) = ($pages->portal, $pages->browser);
my $markup = $Pages::markup;
my $ok = $pages->{receiver}->url('/ok/new');

# ---- Sign in

$browser->go("$pages->{base}#/logs?outcome=undelivered");
$browser->type('input[name=user]', 'integration');
$browser->type('input[name=password]', 'wrong');
$browser->press('Enter');
ok($browser->wait_for('document.querySelector(".problem")?.innerText'), 'a wrong password is said in a sentence');
is($browser->js('return document.activeElement.name'), 'password', 'the focus is on the password');
$browser->type('input[name=password]', 'a');
$browser->press('Enter');
$browser->says('Webhook Logs', 'h1');
$browser->js('performance.setResourceTimingBufferSize(100000)');
like($browser->js('return location.hash'), qr/outcome=undelivered/, 'signing in leads to the address that was asked for');
is(scalar $browser->js('return [...document.querySelectorAll("nav[aria-label=Pages] a")].map(a => a.innerText).join("|")'),
	'Dashboard|Webhook Subscriptions|Webhook Logs|Waiting|Failed|Events|Audit|System', 'the pages are in the header');

# ---- Webhook Subscriptions

$pages->show('subscriptions', 'Webhook Subscriptions');
is($browser->js('return document.querySelectorAll("tbody tr").length'), 4, 'all subscriptions are listed');
$browser->says('breaker open');
$browser->type('input[name=q]', 'partner');
$browser->press('Enter');
$browser->wait_for('document.querySelectorAll("tbody tr").length === 1');
like($browser->js('return location.hash'), qr/q=partner/, 'a search is in the address');

$browser->click('text=Add New Webhook Subscription');
$browser->says('Add New Webhook Subscription', 'h1');
is($browser->js('return [...document.querySelectorAll(".card:first-child > .field > label, .card:first-child > fieldset > legend")].map(e => e.innerText).join("|")'),
	'Webhook Endpoint*|Webhook Events*|Description', 'the form has the words of the platform');
is(join(' ', $browser->js('return [...document.querySelectorAll("input[name=events][value$=\\\\*]")].map(e => e.value)')->@*), '* App.*',
	'patterns are offered of what can be in one');
$browser->click('text=Save');
$browser->says('The endpoint is missing', '[data-column=endpoint] .error');
$browser->type('input[name=endpoint]', 'http://10.0.0.1/hooks');
$browser->click('text=Save');
$browser->says('No event is chosen', '[data-column=events] .error');
$browser->click('input[value="App.InvoicePaid"]');
$browser->click('text=Save');
$browser->says('10.0.0.1', '[data-column=endpoint] .error');
$browser->says('webhook.allowed_networks', '[data-column=endpoint] .error');
ok($browser->wait_for('document.activeElement.name + document.activeElement.ariaInvalid === "endpointtrue"'),
	'an error of the database stands at its field, which has the focus');

# Each field of the database's errors, and of ours.
$browser->type('input[name=endpoint]', $ok);
$browser->click('text=More');
foreach my $case (
	[ filter => '$.x ~', 'syntax error' ],
	[ filter => '$.x like_regex "a"', 'like_regex' ],
	[ max_in_flight => '9999', 'max_in_flight' ],
	[ max_in_flight => 'x', 'no whole number' ],
	[ rate_limit => 'x', 'no number' ],
	[ retry_schedule => '5 parsecs', 'no duration' ],
	[ final_statuses => '99', 'status' ],
	[ timeout => '9999', 'timeout' ],
	[ ca => '../x', 'ca' ],
	[ client_certificate => '../x', 'client_certificate' ],
	[ secret => 'x', 'ecret' ])
{
	my ($name, $value, $says) = @$case;
	$browser->type("input[name=$name]", $value);
	$browser->click('text=Save');
	ok($browser->wait_for('(document.querySelector(arguments[0])?.innerText ?? "").toLowerCase().includes(arguments[1].toLowerCase())',
		"[data-column=$name] .error", $says), "$name: $value is refused at the field");
	is($browser->js('return document.activeElement.name'), $name, 'which has the focus');
	$browser->type("input[name=$name]", '');
}
is($browser->js('return document.querySelector("input[name=endpoint]").value'), $ok, 'nothing that was typed is lost');
$browser->type('input[name=description]', $markup);
$browser->click('text=Save');
$browser->says('It is saved.');
is($portal->sql("SELECT count(*) FROM webhook.subscription WHERE endpoint = '$ok' AND description = \$m\$$markup\$m\$"), 1, 'Save subscribes');

# ---- A subscription

my $id = $portal->sql('SELECT max(id) FROM webhook.subscription');
$browser->click('text=Send a ping');
$browser->says('Status 200');
$browser->click('text=Show the secret');
$browser->says('whsec_', 'dialog');
is($browser->text('dialog pre'), $portal->sql("SELECT webhook.secret($id)"), 'the secret is shown');
$browser->press('Escape');
$browser->wait_for('!document.querySelector("dialog")');
ok($browser->js('return !document.documentElement.textContent.includes("whsec_")'), 'and is gone with its dialog');

# Thirty seconds, as long as a timer says that they are.
$browser->js('window.lasting = setInterval; window.setInterval = (f, ms) => lasting(f, ms / 50)');
$browser->click('text=Reveal');
$browser->says('whsec_', 'dialog');
$browser->wait_for('!document.querySelector("dialog")');
ok($browser->js('window.setInterval = lasting; return !document.documentElement.textContent.includes("whsec_")'),
	'it goes by itself, too');
$browser->click('text=Rotate …');
$browser->click('text=Rotate');
$browser->says('whsec_', 'dialog pre');
is($browser->text('dialog pre'), $portal->sql("SELECT webhook.secret($id)"), 'Rotate shows the new secret');
$browser->click('text=Hide');
$browser->click('text=Pause');
$browser->find('text=Resume');
is($portal->sql("SELECT paused FROM webhook.subscription WHERE id = $id"), 't', 'Pause pauses');
$browser->click('text=Resume');
$browser->find('text=Pause');
is($portal->sql("SELECT paused FROM webhook.subscription WHERE id = $id"), 'f', 'Resume resumes');

$browser->click('text=Edit');
$browser->says('Edit subscription', 'h1');
$portal->sql("SELECT webhook.alter_subscription($id, rate_limit => 7)");
$browser->type('input[name=description]', 'Teams channel');
$browser->click('text=Save');
$browser->says('Teams channel');
is($portal->sql("SELECT rate_limit || description FROM webhook.subscription WHERE id = $id"), '7Teams channel',
	'an edit leaves what somebody else has changed meanwhile');
$pages->show('edit?id=1', 'Edit subscription 1');
$browser->type('input[name=description]', 'CRM of Sales');
$browser->click('text=Save');
$browser->says('CRM of Sales');
is($portal->sql("SELECT webhook.subscription_options(1)->'headers'->>'authorization'"), 'Bearer abc',
	'a credential that the list hides outlives an edit');
is($portal->sql("SELECT DISTINCT session_role FROM webhook.audit WHERE action = 'subscription_options' AND subscription_id = 1 AND session_role <> 'postgres'"),
	'integration', 'the audit has who has seen it in the form');

foreach my $tab (['Waiting', 'Due next'], ['Failed', 'Nothing has failed'], ['Over time', 'Calls per second'], ['Verify', 'Verify a request'])
{
	$pages->show('subscription?id=2', 'status/503');
	$browser->click(".tabs a:nth-child(" . { Waiting => 2, Failed => 3, 'Over time' => 4, Verify => 5 }->{ $tab->[0] } . ')');
	ok($browser->wait_for('new RegExp(arguments[0]).test(document.querySelector("main").innerText)', $tab->[1]), "tab $tab->[0]");
}

$pages->show("subscription?id=$id", 'ok/new');
$browser->click('text=Unsubscribe');
$browser->click('text=Keep as it is');
is($portal->sql("SELECT count(*) FROM webhook.subscription WHERE id = $id"), 1, 'what destroys is asked for');
$browser->click('text=Unsubscribe');
$browser->wait_for('document.querySelector("dialog[open]")');
$browser->click('text=Unsubscribe');
$browser->says('is gone', '#toasts');
is($portal->sql("SELECT count(*) FROM webhook.subscription WHERE id = $id"), 0, 'Unsubscribe unsubscribes');
$pages->show('subscription?id=99999', 'Subscription 99999');
$browser->says('does not exist');

# ---- All options, and what waits for who unsubscribes

$pages->show('add', 'Add New');
my $all = $pages->{receiver}->url('/status/503/all');
$browser->type('input[name=endpoint]', $all);
$browser->click('input[value="App.InvoicePaid"]');
$browser->type('input[name=more_events]', 'Sales.*, App.BusinessRequestStatusChange');
$browser->click('text=More');
$browser->click('text=Add a header');
$browser->type('input[aria-label="Name of the header"]', 'x-tenant');
$browser->type('input[aria-label="Value of the header"]', 'north');
$browser->type($_->[0], $_->[1]) foreach [ 'input[name=filter]' => '$.Amount > 5' ], [ 'input[name=max_in_flight]' => 3 ],
  [ 'input[name=rate_limit]' => '2,5' ], [ 'input[name=timeout]' => 7 ], [ 'input[name=max_age]' => 90 ],
  [ 'input[name=retry_schedule]' => '5 s, 5 min, 2 h' ], [ 'input[name=final_statuses]' => '400, 404' ],
  [ 'input[name=secret]' => 'whsec_' . 'QUJD' x 10 ];
$browser->js('for (const [name, value] of Object.entries(arguments[0])) document.querySelector(`select[name=${name}]`).value = value',
	{ payload_format => 'standard', ordered => 'false', include_context => 'true', log_bodies => 'failed' });
$browser->js('document.querySelector("select[aria-label=\'Give up after: unit\']").value = "minutes"');
$browser->click('input[value=abp]');
$browser->click('text=Save');
$browser->says('It is saved.');
my $full = $portal->sql('SELECT max(id) FROM webhook.subscription');
is($portal->sql("SELECT o - '{endpoint,ca,client_certificate,description,enabled,name}'::text[] FROM webhook.subscription_options($full) o"),
	$portal->sql(<<'END'), 'each option is saved as it was given');
SELECT jsonb_build_object('events', '{App.InvoicePaid,Sales.*,App.BusinessRequestStatusChange}'::text[],
	'headers', '{"x-tenant":"north"}'::jsonb, 'filter', '$.Amount > 5'::jsonpath, 'max_in_flight', 3, 'rate_limit', 2.5::real,
	'timeout', interval '7 s', 'max_age', interval '90 min', 'retry_schedule', '{5 s,5 min,2 h}'::interval[],
	'final_statuses', '{400,404}'::int[], 'payload_format', 'standard', 'ordered', false, 'include_context', true, 'log_bodies', 'failed', 'signature_schemes', '{standard,abp}'::text[])
END
is($portal->sql("SELECT webhook.secret($full)"), 'whsec_' . 'QUJD' x 10, 'and the secret');
$pages->show("edit?id=$full", 'Edit subscription');
$browser->click('text=Save');
$browser->says('Nothing was changed.', '#toasts');
$pages->show("edit?id=$full", 'Edit subscription');
$browser->type("input[name=$_]", '') foreach qw(filter max_in_flight rate_limit timeout max_age retry_schedule final_statuses);
$browser->click('text=Remove');
$browser->click('text=Save');
$browser->says('Saved.', '#toasts');
is($portal->sql("SELECT count(*) FROM webhook.subscription WHERE id = $full AND num_nonnulls(filter, max_in_flight, rate_limit,"
	  . " timeout, max_age, retry_schedule) = 0 AND final_statuses = '{}' AND headers = '{}'"), 1, 'what is emptied has its default again');

$portal->sql(q{SELECT webhook.define_event_type('Sales.Order')});
$portal->sql(q{SELECT count(webhook.publish('Sales.Order', '{}', 'order/' || g)) FROM generate_series(1, 1000) g});
$portal->wait_until(sub { $portal->sql("SELECT count(*) > 900 FROM webhook.pending_delivery WHERE subscription_id = $full") eq 't' },
	'much waits', 20);
$pages->show('subscriptions');
$pages->show("subscription?id=$full", 'status/503/all');
$browser->click('text=Disable');
$browser->says('waiting deliveries are cancelled', 'dialog');
$browser->js(<<'END');
window.said = new Set();
new MutationObserver(() => { for (const p of document.querySelectorAll('dialog p[role=status]')) said.add(p.innerText); })
	.observe(document.body, {childList: true, subtree: true, characterData: true});
END
$browser->click('text=Disable');
$browser->says('It is disabled', '#toasts');
ok($browser->js('return [...said].some(text => /^[\d,]+ are left/.test(text))'), 'how much is left to be cancelled is shown');
is($portal->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $full"), 0, 'until it is all cancelled');
is($portal->sql("SELECT enabled FROM webhook.subscription WHERE id = $full"), 'f', 'Disable disables');
$browser->click('text=Enable');
$browser->says('It is enabled', '#toasts');
is($portal->sql("SELECT enabled FROM webhook.subscription WHERE id = $full"), 't', 'Enable enables');
$browser->click('text=Unsubscribe');
$browser->says('Nothing waits for it', 'dialog');
$browser->click('text=Unsubscribe');
$browser->says("$full is gone", '#toasts');

# ---- Webhook Logs and Delivery

$pages->show('logs?event_type=App.BusinessRequestStatusChange', 'Webhook Logs');
my $head = $browser->text('thead');
like($head, qr/\Q$_\E/, "the log has column $_") foreach 'Timestamp', 'HTTP Method', 'Source IP Address';
$browser->click('.unfold');
$browser->says('Response Headers', '.unfolded');
my $unfolded = $browser->text('.unfolded');
like($unfolded, qr/\Q$_\E/, "a call has $_") foreach 'HTTP Method', 'Source IP Address', 'Timestamp', 'Request Headers', 'Request Body';
$pages->follow('text=Older');
# Newer ones may come meanwhile.
my %before = $browser->js('return Object.fromEntries(new URLSearchParams(location.hash.split("?")[1]))')->%*;
my $calls = $portal->sql(<<"END");
SELECT least(count(*), 50) FROM webhook.log WHERE event_type = 'App.BusinessRequestStatusChange'
	AND (logged_at, position, subscription_id) < ('$before{before_at}', $before{before_position}, $before{before_subscription})
END
is($browser->js('return document.querySelectorAll("tbody tr").length'), $calls, 'older calls follow without a gap');
$pages->follow('text=Newest');

$pages->show('logs?subject=business_request%2F42', 'Webhook Logs');
is($browser->js('return document.querySelectorAll("tbody tr").length'), $portal->sql(q{SELECT count(*) FROM webhook.log WHERE subject = 'business_request/42'}),
	'all calls about a contract');
$pages->show('logs?status=404', 'Webhook Logs');
is($browser->js('return document.querySelectorAll("tbody tr").length'), 1, 'calls by status');
$pages->show('logs?status=418', 'Webhook Logs');
$browser->says('No call matches');
like($browser->js('return fetch(document.querySelector("a[download]").href.replace("status=418", "status=404")).then(r => r.text())'),
	qr/^"logged_at",.*\n.*App\.InvoicePaid/, 'the filter as CSV');

# A word that names nothing is refused, by each route that has the parameter.
my $program = $portal->browser;
$program->sign_in('integration', 'a');
foreach ([ 'subscriptions?sort=zz', 'sort' ], [ 'subscriptions?state=Open', 'state' ], map { [ "$_?outcome=x", 'outcome' ] } qw(log log_newer log.csv))
{
	my $answer = $program->get("api/$_->[0]");
	like("$answer->{status} $answer->{json}{message}", qr/^400 $_->[1] must be one of: /, "$_->[0] names nothing");
}
is($program->get('api/openapi?payload_format=x')->{status}, 422, 'and so does the function behind a route');
$program->post('api/session/end');

$pages->show('events', 'Events');
my $openapi = q(document.querySelector('a[download="webhooks.json"]').href);
like($browser->js("return fetch($openapi).then(r => r.text())"), qr/"openapi"/, 'the document for receivers');
is($browser->js("return fetch($openapi.replace(/session=[^&]*/, 'session=another')).then(r => r.status)"), 401, 'is that of the session of the page');

$pages->show('logs?subscription=1', 'Webhook Logs');
$browser->click('text=Follow');
$portal->sql('INSERT INTO business_request VALUES (1000)');
ok($browser->wait_for('document.querySelector("tr.new")?.innerText.includes("business_request/1000")'), 'Follow shows a new call');

# More than an answer has: the newest ones, and older ones below them without a gap.
$portal->sql('INSERT INTO business_request SELECT g FROM generate_series(1001, 1140) g');
# Those that are in flight together end in any order.
my $made = q(FROM webhook.log WHERE subscription_id = 1 AND subject LIKE 'business_request/1___');
$portal->wait_until(sub { $portal->sql("SELECT count(*) >= 141 $made") eq 't' }, 'they are sent');
my $newest = $portal->sql("SELECT subject $made ORDER BY logged_at DESC, position DESC LIMIT 1");
ok($browser->wait_for('document.querySelector("tbody tr")?.innerText.includes(arguments[0])', $newest), 'and many new ones');
$browser->click('text=Following');
my @shown = $browser->js('return [...document.querySelectorAll("tbody .sub a")].map(a => a.innerText)')->@*;
$pages->follow('text=Older');
push @shown, $browser->js('return [...document.querySelectorAll("tbody .sub a")].map(a => a.innerText)')->@*;
is("@shown", join(' ', split /\n/, $portal->sql('SELECT subject FROM webhook.log WHERE subscription_id = 1'
	  . ' ORDER BY logged_at DESC, position DESC LIMIT ' . @shown)), 'and what is older follows without a gap');

my $event = $portal->sql(q{SELECT event_id FROM webhook.log WHERE subscription_id = 4 LIMIT 1});
$pages->show("delivery?event=$event&subscription=4", 'App.InvoicePaid about <img');
is($browser->js('return document.querySelectorAll("main img, main script").length'), 0, 'markup in subject, body and answer is text');
like($browser->text, qr/\Q$markup\E/, 'as it is');
like($browser->text, qr/12345678901234567890123\.10/, 'a long number keeps its digits');
$browser->click('text=Copy as curl');
$browser->says('curl -X POST', 'dialog');
$browser->click('text=Close');
$browser->click('text=Check signature');
$browser->says('The signature is right');
$browser->click('text=Send again');
$browser->says('It will be sent again', '#toasts');
ok($browser->wait_for('document.querySelectorAll(".attempts > details").length === 2'), 'Send again sends again');
ok($browser->wait_for('(d => (d.open = true, /Request Headers[^]*12345678901234567890123\.10/.test(d.innerText)))(document.querySelectorAll(".attempts > details")[1])'),
	'an older attempt has what was sent when it is looked at');
is($browser->js(<<'END', $event), 'false,true', '... and not before: an answer has the bodies of one attempt');
return fetch(`api/delivery?event=${arguments[0]}&subscription=4`).then(a => a.json()).then(
	({attempts, last}) => `${attempts.some(a => 'request_body' in a)},${'request_body' in last}`);
END

# ---- Waiting, Failed

$pages->show('waiting', 'Waiting');
$browser->says('status/503');
$pages->show('waiting?subscription=2&subject=business_request%2F42', 'Waiting');
$browser->says('behind another event');
$browser->click('text=Skip');
$browser->wait_for('document.querySelector("dialog[open]")');
$browser->click('text=Skip');
ok($browser->wait_for('document.querySelectorAll("tbody tr").length === 1'), 'Skip ends the first of a contract');

$pages->show('failed?subscription=3', 'Failed');
is($browser->js('return document.querySelectorAll("tbody tr").length'), 1, 'what has failed');
$browser->click('text=Recover …');
$browser->click('text=Count');
$browser->says('1 event can be sent again', 'dialog');
$browser->click('text=Send 1 again');
$browser->says('1 event will be sent again', '#toasts');
is($portal->sql(q{SELECT count(*) FROM webhook.log WHERE subscription_id = 3 AND cause = 'recover'}) || $portal->sql(q{SELECT webhook.drain('5 s')}) && 1, 1, 'Recover recovers');
$pages->show('failed', 'Failed');
$browser->click('text=Dismiss');
$browser->wait_for('document.querySelector("dialog[open]")');
$browser->click('text=Dismiss');
$browser->says('dismissed', '#toasts');

# ---- Events, System, Audit

$pages->show('events?type=App.InvoicePaid', 'Events');
$browser->says('12345678901234567890123.10');
$browser->says($markup, 'table');
$browser->click('text=Define an event type …');
$browser->type('input[name=name]', 'no name');
$browser->click('text=Define');
ok($browser->wait_for('document.querySelector("dialog [data-column=name] .error:not(:empty)")'), 'a wrong name is refused at the field');
$browser->type('input[name=name]', 'App.TenderClosed');
$browser->click('text=Define');
$browser->says('App.TenderClosed', 'table');

# Schema and example, with all digits; what is left out is none.
$pages->show('events?type=App.TenderClosed', 'Events');
$browser->says('None was given, and no table is watched.');
$browser->click('text=Edit …');
$browser->type('textarea[name=schema]', '{"required": ["Tender"');
$browser->click('text=Save');
ok($browser->wait_for('document.querySelector("dialog [data-column=schema] .error:not(:empty)")'), 'what is no JSON is refused at the field');
$browser->type('textarea[name=schema]', '[]');
$browser->click('text=Save');
ok($browser->wait_for('/must be a JSON object/.test(document.querySelector("dialog [data-column=schema] .error")?.textContent)'), 'so is what is no schema');
$browser->type('textarea[name=schema]', '{"required": ["Tender"]}');
$browser->type('textarea[name=example]', '{"Tender": 12345678901234567890123.10}');
$browser->click('text=Save');
$browser->says('12345678901234567890123.10', 'main');
is($portal->sql(q(SELECT concat_ws(' ', schema, example) FROM webhook.event_type WHERE name = 'App.TenderClosed')),
	'{"required": ["Tender"]} {"Tender": 12345678901234567890123.10}', 'they are saved as they were typed');
$browser->click('text=Edit …');
$browser->type('textarea[name=schema]', '');
$browser->click('input[name=deprecated]');
$browser->click('text=Save');
$browser->says('Subscriptions that have it keep it.', 'main');
is($portal->sql(q(SELECT concat_ws(' ', schema, example, deprecated) FROM webhook.event_type WHERE name = 'App.TenderClosed')),
	'{"Tender": 12345678901234567890123.10} t', 'the schema is taken back, the example stays');
$pages->show('add', 'Add New Webhook Subscription');
ok(!$browser->js('return document.querySelector("input[name=events][value=\"App.TenderClosed\"]") !== null'),
	'a deprecated event type is not offered');
$pages->show('events?type=App.BusinessRequestStatusChange', 'Events');
$browser->says('From the tables that are watched.');
$browser->says('BusinessRequestId', 'main');
$pages->show('system', 'System');
$browser->says('webhook.retry_schedule');
$pages->show('audit', 'Audit');
$browser->says('define_event_type');
$browser->type('input[name=action]', 'secret');
$browser->press('Enter');
$browser->wait_for('location.hash.includes("action=secret") && !document.querySelector("main[aria-busy]")');
ok($browser->wait_for('/integration[^]*secret/.test(document.querySelector("tbody")?.innerText)'), 'who has seen a secret');
$portal->sql('DO $$ BEGIN FOR i IN 1 .. 30 LOOP PERFORM webhook.pause(1); PERFORM webhook.resume(1); END LOOP; END $$');
$pages->show('audit?subscription=1', 'Audit');
my $acts = $browser->js('return document.querySelectorAll("tbody tr").length');
$pages->follow('text=Older');
$acts += $browser->js('return document.querySelectorAll("tbody tr").length');
is($acts, $portal->sql('SELECT count(*) FROM webhook.audit WHERE subscription_id = 1'), 'the pages of the audit have each act once');

# ---- Dashboard

$pages->show('', 'Dashboard');
$browser->says('breaker open', '.table');
$browser->says('running', '.tiles');
$browser->wait_for('document.querySelectorAll(".chart svg rect, .chart svg path").length > 0 || document.querySelectorAll(".chart").length === 4');
$browser->says('live', '.live-state');
$browser->click('text=Pause updates');
$browser->says('paused', '.live-state');
my $before = $browser->text('.tiles');
$portal->sql('INSERT INTO business_request VALUES (2001)');
$portal->sql(q{SELECT webhook.drain('5 s')});
is($browser->text('.tiles'), $before, 'what is paused stands still');
$browser->click('text=Resume updates');
ok($browser->wait_for('document.querySelector(".tiles").innerText !== arguments[0]', $before), 'and goes on');
foreach my $range ('1 hour', '24 hours', '30 days')
{
	$browser->click("text=$range");
	ok($browser->wait_for('[...document.querySelectorAll("main .chart, main .problem")].length && !document.querySelector("main[aria-busy]")'), "charts of $range");
}

# ---- Times

$pages->show('logs', 'Webhook Logs');
$browser->click('text=Local time');
$browser->find('text=UTC');
ok($browser->wait_for('/ UTC$/.test(document.querySelector("tbody time")?.title)'), 'times in UTC');

unlike($browser->js('return performance.getEntriesByType("resource").map(e => e.name).join(" ")'), qr/whsec_|QUJD|Bearer/,
	'no secret was in an address');
unlike($portal->log_since, qr/whsec_|QUJD|Bearer/, 'or in the portal\'s log');

my @complaints = grep { !/api\/session|status of (?:401|403|404|409|422|501)/ } $browser->complaints;
# A subscription counts once for a type, by whatever of its names and patterns it gets it.
my $end = $pages->{receiver}->url('/ok/counts');
$portal->sql(<<"END");
SELECT webhook.define_event_type('Count.One', repeat('x', 4000)), webhook.define_event_type('Count.Two', 'short');
SELECT webhook.subscribe('$end/1', '{Count.*,Count.One}'), webhook.subscribe('$end/2', '{Count.One}'),
	webhook.subscribe('$end/3', '{*}'), webhook.subscribe('$end/4', '{Cou.*,Count.O.*}');
END
my $wanted = $portal->sql(<<'END');
SELECT string_agg(t.name || ' ' || (SELECT count(*) FROM webhook.subscription s
		WHERE EXISTS (SELECT FROM unnest(s.events) AS w (name)
			WHERE w.name IN (t.name, '*') OR right(w.name, 2) = '.*' AND starts_with(t.name, left(w.name, -1)))), ', ' ORDER BY name)
FROM webhook.event_type t
END
like($wanted, qr/Count\.One 3, Count\.Two 2/, 'there are such subscriptions');
is($browser->js('return fetch("api/event_types").then(r => r.json()).then(a => a.types.map(t => `${t.name} ${t.subscriptions}`).sort().join(", "))'),
	join(', ', sort split /, /, $wanted), 'each type has the number of its subscriptions');
$pages->show('events?type=Count.One', 'Events');
is($browser->js('return document.querySelector("tr.open .sub").innerText.length'), 202, 'the list has the beginning of a long description');
is($browser->js('return /x{4000}/.test(document.querySelector(".grid").innerText)'), 1, '... and the type the whole');

is("@complaints", '', 'the browser has nothing to complain about, such as a breach of the content security policy');

done_testing();
