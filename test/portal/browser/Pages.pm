# Pages.pm
#	  What the browser suites stand on: a server with the extension, three roles,
#	  receivers that answer and that do not, content that wants to be markup, the portal
#	  with the pages as they are, and a browser.

package Pages;

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(make_path);
use FindBin;
use lib $FindBin::Bin, "$FindBin::Bin/..", "$FindBin::Bin/../../t";

use Portal;
use Test::More;
use Time::HiRes qw(sleep);
use WebDriver;
use Webhook::Receiver;

our $markup = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

# Skips the suite if there is no browser.  Options: sql(receiver), what there is instead of
# the few subscriptions below; start(portal), options of the portal.
sub new
{
	my ($class, %option) = @_;
	my $lacking = WebDriver::lacks();
	plan skip_all => "$lacking is not installed (Debian: chromium, chromium-driver)" if $lacking;

	my $self = bless { portal => Portal->new(dbname => 'postgres', conf => <<'END', sql => 'SELECT') }, $class;
shared_preload_libraries = 'webhook'
webhook.require_https = off
webhook.allowed_networks = '127.0.0.0/8'
webhook.retry_schedule = '1 h'
END
	my $portal = $self->{portal};
	my $receiver = $self->{receiver} = Webhook::Receiver->new(file => "$portal->{dir}/received");
	my $ok = $receiver->url('/ok/crm');
	my $bad = $receiver->url('/status/503/partner');
	my $gone = $receiver->url('/status/404/teams');
	my $answer = $receiver->url('/bytes/' . unpack 'H*', $markup);

	$portal->sql($option{sql} ? $option{sql}->($receiver) : <<"END");
CREATE EXTENSION webhook;
CREATE ROLE integration LOGIN PASSWORD 'a'; SELECT webhook.grant_admin('integration');
CREATE ROLE operator LOGIN PASSWORD 'o'; SELECT webhook.grant_operator('operator');
CREATE ROLE auditor LOGIN PASSWORD 'r'; SELECT webhook.grant_reader('auditor');
CREATE TABLE business_request (id bigint PRIMARY KEY, title text, status text NOT NULL DEFAULT 'Draft');
SELECT webhook.watch('business_request', data_columns => '{title}');
SELECT webhook.define_event_type('App.InvoicePaid', \$m\$$markup\$m\$);
SELECT webhook.subscribe('$ok', '{App.BusinessRequestStatusChange}', 'CRM', headers => '{"authorization":"Bearer abc"}');
SELECT webhook.subscribe('$bad', '{App.BusinessRequestStatusChange}', 'Partner portal');
SELECT webhook.subscribe('$gone', '{App.InvoicePaid}', 'Teams', final_statuses => '{404}');
SELECT webhook.subscribe('$answer', '{App.InvoicePaid}', \$m\$$markup\$m\$);
INSERT INTO business_request SELECT g, \$m\$$markup\$m\$ FROM generate_series(1, 60) g;
UPDATE business_request SET status = 'Approved' WHERE id = 42;
SELECT webhook.publish('App.InvoicePaid', '{"Amount": 12345678901234567890123.10}', \$m\$$markup\$m\$);
END
	$portal->sql(q{SELECT webhook.drain('10 s')});
	$portal->start($option{start} ? $option{start}->($portal) : ());
	$self->{base} = "http://127.0.0.1:$portal->{port}/";
	$self->{browser} = WebDriver->new;
	return $self;
}

sub portal { return $_[0]{portal}; }
sub browser { return $_[0]{browser}; }

# Sign in, at an address or at the start.
sub sign_in
{
	my ($self, $user, $password, $hash) = @_;
	my $browser = $self->browser;

	$browser->go("$self->{base}#/" . ($hash // ''));
	$browser->type('input[name=user]', $user);
	$browser->type('input[name=password]', $password);
	$browser->click('text=Sign in');
	$browser->wait_for('document.querySelector("nav a[aria-current]") && !document.querySelector("main[aria-busy]")');
	return;
}

sub sign_out
{
	my ($self) = @_;
	$self->browser->click('text=Sign out');
	$self->browser->find('input[name=user]');
	return;
}

# Show a page, and wait until it is there.
sub show
{
	my ($self, $hash, $title) = @_;
	my $browser = $self->browser;

	$self->shown_after(sub { $browser->js(<<'END', "#/$hash"); });
if (location.hash === arguments[0])
	dispatchEvent(new Event('refresh'));
else
	location.hash = arguments[0];
END
	$browser->wait_for('document.querySelector("h1")?.innerText.includes(arguments[0])', $title) if defined $title;
	return;
}

# Follow a link to another page, and wait until that is there.
sub follow
{
	my ($self, $link) = @_;
	return $self->shown_after(sub { $self->browser->click($link); });
}

# Until the browser takes note of an address it shows the former page.
sub shown_after
{
	my ($self, $act) = @_;
	my $browser = $self->browser;

	$browser->js('document.querySelector("main").firstChild?.setAttribute?.("data-former", "")');
	$act->();
	$browser->wait_for('!document.querySelector("main > [data-former]") && !document.querySelector("main[aria-busy]")');
	return;
}

# A picture of the whole page, if pictures are wanted: PICTURES names a directory.  Options:
# size, a name, width and height; most, the pixels of its height.
sub picture
{
	my ($self, $name, %option) = @_;
	my $browser = $self->browser;
	return unless $ENV{PICTURES};

	my $file = "$ENV{PICTURES}/$name.png";
	my @before = @$browser{qw(width height)};
	make_path(dirname($file));
	$browser->look(width => $option{size}[1], height => $option{size}[2]) if $option{size};
	$browser->picture($file, $option{most});
	$browser->look(width => $before[0] // 1280, height => $before[1] // 900);
	return;
}

1;
