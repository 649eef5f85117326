# What each page looks like, to people and to a screen reader.
#
# axe-core, where npm can fetch it, has no finding of WCAG 2.2 AA in either colour
# scheme.  With PICTURES=DIRECTORY the suite leaves a picture of each page there, and axe
# looks at all of it on a phone, too; with ONLY=REGEX it looks at the pages of such names.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::Bin;

use Axe;
use Morning;
use Pages;
use Partners;
use Test::More;

my $pages = Pages->new(
	sql => sub { Morning::sql($_[0], $Pages::markup) },
	start => \&Partners::service);
my ($portal, $browser) = ($pages->portal, $pages->browser);
my $axe = Axe->new($browser);

# The Id of an event that a condition finds in the log.
sub event_of
{
	my ($condition) = @_;
	return $portal->sql("SELECT event_id FROM webhook.log WHERE $condition ORDER BY logged_at LIMIT 1");
}

my $event = event_of('subscription_id = 1');
my $failing = event_of('subscription_id = 2');
my $hostile = event_of(q{subscription_id = 8 AND subject LIKE '<img%'});

# Name, address, and what has to be done for it.
my @looks = (
	[ 'dashboard', '' ],
	[ 'dashboard-hour', '?range=hour' ],
	[ 'dashboard-month', '?range=month' ],
	[ 'subscriptions', 'subscriptions' ],
	[ 'subscriptions-none', 'subscriptions?q=nobody' ],
	[ 'add', 'add' ],
	[ 'add-wrong', 'add', sub { $browser->click('text=Save'); $browser->says('missing'); } ],
	[ 'edit', 'edit?id=4' ],
	[ 'subscription', 'subscription?id=1' ],
	[ 'subscription-failing', 'subscription?id=2' ],
	[ 'subscription-long', 'subscription?id=9' ],
	[ 'subscription-waiting', 'subscription?id=2&tab=waiting' ],
	[ 'subscription-time', 'subscription?id=2&tab=time&range=day' ],
	[ 'subscription-code', 'subscription?id=1&tab=code' ],
	[ 'subscription-gone', 'subscription?id=999' ],
	[ 'logs', 'logs' ],
	[ 'logs-unfolded', 'logs?outcome=undelivered', sub { $browser->click('.unfold'); $browser->says('Request Headers', '.unfolded'); } ],
	[ 'logs-none', 'logs?status=418' ],
	[ 'delivery', "delivery?event=$event&subscription=1" ],
	[ 'delivery-failing', "delivery?event=$failing&subscription=2" ],
	[ 'delivery-hostile', "delivery?event=$hostile&subscription=8" ],
	[ 'waiting', 'waiting' ],
	[ 'waiting-subscription', 'waiting?subscription=2' ],
	[ 'failed', 'failed' ],
	[ 'events', 'events' ],
	[ 'audit', 'audit' ],
	[ 'system', 'system' ],
	[ 'recover', 'failed?subscription=6', sub { $browser->click('text=Recover …'); $browser->says('Events from', 'dialog'); } ],
	[ 'secret', 'subscription?id=1', sub { $browser->click('text=Reveal'); $browser->says('whsec_', 'dialog'); } ],
	[ 'unsubscribe', 'subscription?id=2', sub { $browser->click('text=Unsubscribe'); $browser->says('Keep as it is', 'dialog'); } ],
	[ 'link', '', sub { $browser->js('location.hash = "#/enter/of-another-tenant"'); $browser->says('You are signed in as', 'dialog'); } ]);
# Those of docs/portal.md.
my %documents = ('dashboard-month' => 'dashboard', logs => 'logs', delivery => 'delivery', 'subscription-time' => 'subscription');

# The same of somebody who comes with a token: what differs for them, up to its end.
my $silent = $portal->sql(q(SELECT id FROM webhook.subscription WHERE description = 'Nordwind: archive'));
my $used;
my @looks_by_token = (
	[ 'tenant-dashboard', '' ],
	[ 'tenant-subscriptions', 'subscriptions' ],
	[ 'tenant-add', 'add' ],
	[ 'tenant-unconfirmed', "subscription?id=$silent" ],
	[ 'tenant-events', 'events' ],
	[ 'tenant-audit', 'audit' ],
	[ 'tenant-ended', 'logs', sub { $portal->sql(q(SELECT webhook.revoke_portal_tokens('Nordwind AG'))); $browser->says('Open the portal anew', 'dialog'); } ],
	[ 'token-of-no-use', 'nowhere', sub { $browser->go('about:blank'); $browser->go("$pages->{base}#/enter/$used"); $browser->says('This link cannot be used', 'h1'); } ]);

# In the other scheme only colours differ.
my %rules = (light => '*', dark => 'color-contrast');
my $only = $ENV{ONLY} // '';
my @sizes = ([ desktop => 1280, 900 ], [ phone => 375, 800 ]);

sub show
{
	my ($name, $address, $act) = @_;
	$browser->js('for (const d of document.querySelectorAll("dialog")) d.close()');
	$pages->show('nowhere');
	$pages->show($address);
	$act->() if $act;
	$browser->wait_for('!document.querySelector(".chart") || document.querySelector(".chart .grid-line")');
	return;
}

$browser->go($pages->{base});
$browser->find('input[name=user]');
foreach my $scheme (qw(light dark))
{
	$browser->look(scheme => $scheme);
	$pages->picture("$scheme/$_->[0]/signin", size => $_) foreach @sizes;
	$axe->is_content("sign-in, $scheme", $rules{$scheme});
}
$pages->sign_in('integration', 'a');
$browser->wait_for('document.querySelector(".tiles .value")');

sub look_at
{
	my ($scheme, @all) = @_;

	$browser->look(scheme => $scheme);
	foreach my $look (grep { $_->[0] =~ /$only/ } @all)
	{
		show(@$look);
		$axe->is_content("$look->[0], $scheme", $rules{$scheme});
		foreach my $size ($ENV{PICTURES} ? @sizes : ())
		{
			$browser->look(width => $size->[1], height => $size->[2]);
			$axe->is_content("$look->[0], $scheme, $size->[0]", '*');
			$pages->picture("$scheme/$size->[0]/$look->[0]", size => $size);
		}
		$browser->look(width => 1280, height => 900);
		$pages->picture("docs/$documents{$look->[0]}", most => 1150) if $scheme eq 'light' and $documents{$look->[0]};
		next unless $look->[0] =~ /^(?:dashboard|logs|edit)$/;
		$pages->picture("$scheme/$_->[0]/$look->[0]", size => $_) foreach [ narrow => 320, 700 ], [ wall => 3840, 2160 ];
	}
	return;
}

look_at($_, @looks) foreach qw(light dark);
show('behind the last dialog', '');
$pages->sign_out;
foreach my $scheme (qw(light dark))
{
	# Whoever is signed in would be asked first.
	$portal->sql(q(SELECT webhook.revoke_portal_tokens('Nordwind AG')));
	$used = $portal->sql(q(SELECT webhook.portal_token('Nordwind AG')));
	$browser->go('about:blank');
	$browser->go("$pages->{base}#/enter/$used");
	$browser->says('tenant Nordwind AG', 'header');
	$browser->wait_for('document.querySelector(".tiles .value")');
	look_at($scheme, @looks_by_token);
}
done_testing();
