# 060_tenants.pl
#	  The pages as those of two tenants, by role and by token: each page, each act, and
#	  nothing of the other tenant or of the platform.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Pages;
use Partners;
use Places;
use Test::More;

my $pages = Pages->new(sql => \&Partners::sql, start => \&Partners::service);
my ($portal, $browser) = ($pages->portal, $pages->browser);
my %value = map { $_ => Partners::values_of($portal, $_) } @Partners::tenants;

# Who comes: whose pages they are, how they come, and whether they may only read.
my @visitors = map { my $tenant = $_; map { { tenant => $tenant, how => $_ } } 'role', 'token' } @Partners::tenants;
push @visitors, { tenant => 'acme', how => 'token that only reads', reads => 1 };

sub enter
{
	my ($visitor) = @_;
	my ($tenant, $how, $reads) = @$visitor{qw(tenant how reads)};

	if ($how eq 'role')
	{
		$pages->sign_in("${tenant}_hooks", 't');
	}
	else
	{
		$browser->go('about:blank');
		$browser->go("$pages->{base}#/enter/"
			  . $portal->sql("SELECT webhook.portal_token('$tenant', may_write => @{[ $reads ? 'false' : 'true' ]})"));
		$browser->says('Dashboard', 'h1');
	}
	$browser->wait_for('document.querySelector(".tiles .value")');

	# All that comes from the server is kept, whether it is shown or not.
	$browser->js(<<'END');
window.heard = [];
const fetched = window.fetch;
window.fetch = async (...request) =>
{
	const answer = await fetched(...request);
	answer.clone().text().then(text => heard.push(text), () => {});
	return answer;
};
import('./live.js').then(({live}) => ['tick', 'notice'].forEach(name =>
	live.addEventListener(name, ({detail}) => heard.push(JSON.stringify(detail)))));
END
	return;
}

# What is on the page: faults, as lines; acts, what can be done; fields, what can be set.
sub look
{
	my ($tenant, $says) = @_;
	my $foreign = join '|', $Partners::platform, grep { $_ ne $tenant } @Partners::tenants;

	return $browser->js(<<'END', $foreign, $says)->%*;
const [foreign, says] = arguments;
const main = document.querySelector('main');
const faults = [];
for (const text of [document.documentElement.outerHTML, ...heard.splice(0)])
{
	const at = text.search(new RegExp(foreign, 'i'));
	if (at >= 0)
		faults.push(`of somebody else: ${text.slice(Math.max(0, at - 60), at + 60)}`);
}
if (!main.innerText.includes(says))
	faults.push(`it does not say "${says}": ${main.innerText}`);
for (const problem of main.querySelectorAll('.problem'))
	faults.push(`a problem: ${problem.innerText}`);
const wrong = /undefined|NaN|\[object|permission denied|version of the extension/g;
for (const word of main.innerText.match(wrong) ?? [])
	faults.push(`a word: ${word}`);
const boxes = '.card, .tile, .chart, .table, .notice, .tiles, .grid, .heading, .fields, pre, td, dd';
for (const box of main.querySelectorAll(boxes))
	if (box.checkVisibility() && !box.innerText.trim() && !box.querySelector('svg, input, button'))
		faults.push(`an empty box: ${box.outerHTML.slice(0, 200)}`);
for (const box of main.querySelectorAll('.empty'))
	faults.push(`nothing is in: ${box.innerText}`);
const several = (selector, text) => [...new Set([...main.querySelectorAll(selector)].map(text))];
return {faults: faults.join('\n'),
	acts: several('button:not(.unfold), a.button', e => e.textContent.trim()).join('|'),
	fields: several('[data-column]', e => e.dataset.column).join(' ')};
END
}

my %fields;
$fields{edit} = 'endpoint events more_events description headers filter payload_format include_context log_bodies ordered'
  . ' signature_schemes max_in_flight rate_limit timeout max_age retry_schedule final_statuses';
$fields{add} = "$fields{edit} secret";

sub visit
{
	my ($visitor) = @_;
	my $tenant = $visitor->{tenant};

	foreach my $place (Places::all($value{$tenant}->%*))
	{
		my ($name, @acts) = ($place->{name}, $place->{acts}->@*);

		@acts = grep { /$Places::reads/ } @acts if $visitor->{reads};
		next if $visitor->{reads} and $fields{$name};
		$pages->show($place->{address});
		my %there = look($tenant, $place->{says});
		is($there{faults}, '', "$tenant by $visitor->{how}: $name");
		is($there{acts} =~ s/\|Older$//r, join('|', @acts), '... and what can be done there') if !$fields{$name} or !$visitor->{reads};
		is($there{fields}, $fields{$name}, '... and what can be set') if $fields{$name};
	}
	return;
}

# What is of somebody else is as what is of nobody.
sub visit_others
{
	my ($tenant) = @_;
	my ($other) = grep { $_ ne $tenant } @Partners::tenants;
	my %nobodys = (subscription => 99001, failing => 99002, final => 99003, silent => 99004, tenant => $tenant, type => 'No.Type',
		event => '00000000-0000-0000-0000-000000000000');
	my %theirs = ($value{$other}->%*, type => ucfirst($other) . '.Special');
	my @theirs = Places::all(%theirs);
	my @nobodys = Places::all(%nobodys);

	foreach my $i (grep { $theirs[$_]{address} ne $nobodys[$_]{address} } 0 .. $#theirs)
	{
		my @seen;
		foreach ([ \@theirs, \%theirs ], [ \@nobodys, \%nobodys ])
		{
			my ($places, $value) = @$_;
			$pages->show($places->[$i]{address});
			my %there = look($tenant, '');
			push @seen, join("\n", $there{acts}, $browser->text, $there{faults} =~ /^(of somebody.*)/mg) =~ s/$value->{event}|\Q$value->{type}\E|\d+/#/gr;
		}
		is($seen[0], $seen[1], "$tenant: $theirs[$i]{name} of $other is as that of nobody");
	}
	return;
}

# Each act, on what is one's own.
sub act
{
	my ($visitor) = @_;
	my ($tenant, $how) = @$visitor{qw(tenant how)};
	my ($failing, $final, $event) = $value{$tenant}->@{qw(failing final event)};
	my $url = $pages->{receiver}->url("/ok/$tenant/" . $how);
	my $who = "$tenant by $how";

	$pages->show('add', 'Add New');
	$browser->type('input[name=endpoint]', 'ftp://x');
	$browser->click('input[value="Partner.Invoiced"]');
	$browser->click('text=Save');
	ok($browser->says('https', '[data-column=endpoint] .error'), "$who: an error stands at its field");
	$browser->type('input[name=endpoint]', $url);
	$browser->click('text=Save');
	$browser->says('It is saved.');
	my $id = $portal->sql("SELECT id FROM webhook.subscription WHERE endpoint = '$url' AND tenant = '$tenant'");
	ok($id, "$who: Save subscribes");
	$browser->click('text=Send a ping');
	ok($browser->says('Status 200'), "$who: a ping is answered, and so was the challenge");
	$browser->click('text=Show the secret');
	$browser->says('whsec_', 'dialog');
	is($browser->text('dialog pre'), $portal->sql("SELECT webhook.secret($id)"), "$who: the secret");
	$browser->click('text=Hide');
	$browser->click('text=Pause');
	$browser->find('text=Resume');
	is($portal->sql("SELECT paused FROM webhook.subscription WHERE id = $id"), 't', "$who: Pause pauses");
	$browser->click('text=Edit');
	$browser->says('Edit subscription', 'h1');
	$browser->type('input[name=description]', "Changed by $tenant");
	$browser->click('text=Save');
	ok($browser->says("Changed by $tenant"), "$who: Edit edits");
	$browser->click('text=Unsubscribe');
	$browser->wait_for('document.querySelector("dialog[open]")');
	$browser->click('text=Unsubscribe');
	$browser->says('is gone', '#toasts');
	is($portal->sql("SELECT count(*) FROM webhook.subscription WHERE id = $id"), 0, "$who: Unsubscribe unsubscribes");

	$pages->show("waiting?subscription=$failing", 'Waiting');
	my $waits = $portal->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $failing");
	$browser->click('text=Skip');
	$browser->wait_for('document.querySelector("dialog[open]")');
	$browser->click('text=Skip');
	$browser->says('It is skipped', '#toasts');
	ok($portal->wait_until(sub { $portal->sql("SELECT count(*) FROM webhook.pending_delivery WHERE subscription_id = $failing") < $waits },
			'one is skipped'), "$who: Skip skips");
	$pages->show("failed?subscription=$final", 'Failed');
	my $fails = $portal->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $final");
	$browser->click('text=Dismiss');
	$browser->wait_for('document.querySelector("dialog[open]")');
	$browser->click('text=Dismiss');
	$browser->says('It is dismissed', '#toasts');
	ok($portal->wait_until(sub { $portal->sql("SELECT count(*) FROM webhook.dead_letter WHERE subscription_id = $final") < $fails },
			'one is dismissed'), "$who: Dismiss dismisses");
	$browser->click('text=Recover …');
	$browser->click('text=Count');
	ok($browser->says('can be sent again', 'dialog'), "$who: Recover counts");
	$browser->click('text=Close');
	$pages->show("delivery?event=$event&subscription=$final", 'invoice');
	$browser->click('text=Check signature');
	ok($browser->says('The signature is right'), "$who: the signature is checked");
	my $attempts = $browser->js('return document.querySelectorAll(".attempts > details").length');
	$browser->click('text=Send again');
	ok($browser->wait_for('document.querySelectorAll(".attempts > details").length > arguments[0]', $attempts), "$who: Send again sends again");
	is_deeply({ look($tenant, 'Attempt 2') }->{faults}, '', '... and the pages show nothing else');

	$pages->show('audit?action=subscribe', 'Audit');
	ok($browser->says($how eq 'role' ? "${tenant}_hooks" : 'hooks_service', 'tbody'), "$who: the audit has it");
	$pages->show('events?type=House.Internal', 'Events');
	is({ look($tenant, 'Partner.') }->{faults}, '', "$who: another's event type is none");
	unlike($browser->js('return fetch("api/log.csv").then(r => r.text())'), qr/$Partners::platform|@{[ join '|', grep { $_ ne $tenant } @Partners::tenants ]}/,
		"$who: the file has calls of nobody else");
	return;
}

foreach my $visitor (@visitors)
{
	my ($tenant, $how) = @$visitor{qw(tenant how)};

	enter($visitor);
	is($browser->js('return [...document.querySelectorAll("nav[aria-label=Pages] a")].map(a => a.innerText).join("|")'),
		'Dashboard|Webhook Subscriptions|Webhook Logs|Waiting|Failed|Events|Audit', "$tenant by $how: the pages in the header");
	ok($browser->says("tenant $tenant", 'header'), '... which says whose they are');
	like($browser->text('.tiles'), qr/Limits\s*9\s*subscriptions, 8 requests at once, 50 a second/i, '... and the dashboard its limits');
	visit($visitor);
	if ($visitor->{reads})
	{
		$portal->sql("SELECT webhook.revoke_portal_tokens('$tenant')");
		ok($browser->says('Open the portal anew', 'dialog'), '... and that the session has ended, without a password');
		next;
	}
	$pages->sign_out;
}

# What changes what others find comes last.
foreach my $visitor ({ tenant => 'acme', how => 'token' }, { tenant => 'globex', how => 'role' })
{
	my $tenant = $visitor->{tenant};
	my ($other) = grep { $_ ne $tenant } @Partners::tenants;

	enter($visitor);
	visit_others($tenant);
	act($visitor);

	# ---- Live: by one's own events, and by those of nobody else

	$pages->show('', 'Dashboard');
	my $own = 'import("./live.js").then(({live}) => JSON.stringify([live.last.worker.delivered, live.last.worker.failed, live.last.pending, live.last.subscriptions]))';
	my $notices = 'import("./live.js").then(({live}) => live.notices.map(n => `${n.subscription} ${n.state}`).join(", "))';
	# A probe of one's own failing endpoint moves one's own numbers; one may be under way.
	$portal->sql("SELECT webhook.pause($value{$tenant}{failing}); SELECT webhook.drain('10 s')");
	$browser->wait_for("$notices.then(said => /^$value{$tenant}{failing} paused/.test(said))");
	my $ticks = sub {
		$browser->js('return import("./live.js").then(({live}) => { window.ticks = 0; live.addEventListener("tick", () => ticks++); })');
		$browser->wait_for('ticks >= 2');
		return ($browser->js("return $own"), $browser->js("return $notices"));
	};
	my @before = $ticks->();
	foreach my $owner ($other, 'NULL')
	{
		my $name = $owner eq 'NULL' ? $owner : "'$owner'";
		$portal->sql("SELECT webhook.pause(id), webhook.resume(id) FROM webhook.subscription WHERE tenant IS NOT DISTINCT FROM $name;"
			  . " SELECT webhook.publish('Partner.Invoiced', '{}', 'invoice/live', $name); SELECT webhook.drain('10 s')");
	}
	is_deeply([ $ticks->() ], \@before, "$tenant: what happens to others moves nothing");
	$portal->sql("SELECT webhook.pause($value{$tenant}{subscription}); SELECT webhook.publish('Partner.Invoiced', '{}', 'invoice/$tenant-live', '$tenant')");
	ok($browser->wait_for("$notices.then(said => /^$value{$tenant}{subscription} paused/.test(said))"), "$tenant: what is their own is told");
	ok($browser->wait_for("$own.then(now => now !== arguments[0])", $before[0]), '... and moves the numbers');
	is({ look($tenant, '') }->{faults}, '', '... with nothing of anybody else');
	$pages->sign_out;
}

is(join("\n", grep { !/api\/session|status of 4(?:01|04|22)/ } $browser->complaints), '', 'the browser has nothing to complain about');
done_testing();
