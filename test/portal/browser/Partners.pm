# Partners.pm
#	  A platform with two partners who have the same of everything, so that whatever one
#	  of them sees of the other, or of the platform, has its name in it.

package Partners;

use strict;
use warnings;

our @tenants = qw(acme globex);

# What nobody but its owner may see is named after it; the platform's own is of this house.
our $platform = 'ourhouse';

# Returns the SQL to be run on a new server; "receiver" is where it sends to.
sub sql
{
	my ($receiver) = @_;
	my $sql = <<"END";
CREATE EXTENSION webhook;
CREATE ROLE integration LOGIN PASSWORD 'a'; SELECT webhook.grant_admin('integration');
CREATE ROLE hooks_service LOGIN PASSWORD 's'; SELECT webhook.grant_portal('hooks_service');
CREATE TABLE agreement (id bigint PRIMARY KEY, title text, status text NOT NULL DEFAULT 'Draft', partner text);
SELECT webhook.define_event_type('Partner.AgreementChanged', 'The status of an agreement has changed.');
SELECT webhook.define_event_type('Partner.Invoiced', 'An invoice was sent.', example => '{"Invoice": "R-0815"}');
SELECT webhook.define_event_type('House.Internal', 'Of $platform alone.', example => '{"Of": "$platform"}');
SELECT webhook.watch('agreement', 'Partner.AgreementChanged', data_columns => '{title}', tenant_column => 'partner');
CREATE TABLE $platform (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('$platform', 'House.Internal');
SELECT webhook.subscribe('@{[ $receiver->url("/ok/$platform") ]}', '{*}', 'Archive of $platform');
SELECT webhook.subscribe('@{[ $receiver->url("/status/404/$platform") ]}', '{*}', 'Ledger of $platform', final_statuses => '{404}');
END
	foreach my $tenant (@tenants)
	{
		my $type = ucfirst($tenant) . '.Special';
		my %url = map { $_ => $receiver->url("$_/$tenant") } '/status/503', '/status/404', '/challenge/9',
		  '/bytes/' . unpack 'H*', "Thanks, $tenant.";
		my ($ok) = grep { m{/bytes/} } values %url;
		$sql .= <<"END";
SELECT webhook.define_event_type('$type', 'For $tenant alone.', example => '{"Of": "$tenant"}');
SELECT webhook.define_tenant('$tenant', '{Partner.*,$type}', max_subscriptions => 9, max_in_flight => 8, rate_limit => 50);
CREATE ROLE ${tenant}_hooks LOGIN PASSWORD 't'; SELECT webhook.grant_tenant('${tenant}_hooks', '$tenant');
SET ROLE ${tenant}_hooks;
SELECT webhook.subscribe('$ok', '{Partner.*,$type}', 'Orders of $tenant', headers => '{"x-of":"$tenant"}', rate_limit => 40);
SELECT webhook.subscribe('$url{'/status/503'}', '{Partner.AgreementChanged}', 'Portal of $tenant', retry_schedule => '{5 s,1 h}');
SELECT webhook.subscribe('$url{'/status/404'}', '{Partner.Invoiced}', 'Ledger of $tenant', final_statuses => '{404}');
SELECT webhook.subscribe('$url{'/challenge/9'}', '{Partner.*}', 'Silent one of $tenant');
RESET ROLE;
INSERT INTO agreement SELECT g + hashtext('$tenant'), 'Agreement with $tenant', 'Draft', '$tenant' FROM generate_series(1, 20) g;
SELECT webhook.publish('Partner.Invoiced', json_build_object('Invoice', '$tenant-' || g), 'invoice/$tenant-' || g, '$tenant') FROM generate_series(1, 6) g;
SELECT webhook.publish('$type', '{"Of": "$tenant"}', 'special/$tenant', '$tenant');
END
	}
	return $sql . <<"END";
INSERT INTO $platform VALUES (1, 'Draft');
SELECT webhook.publish('House.Internal', '{"Of": "$platform"}', '$platform/1');
END
}

# The portal's option that lets people come with a token.
sub service
{
	my ($portal) = @_;

	return "--service=host=127.0.0.1 port=$portal->{pgport} dbname=postgres user=hooks_service password=s";
}

# What stands for {…} in the addresses and texts of Places, of a tenant.
sub values_of
{
	my ($portal, $tenant) = @_;
	my %value = (tenant => $tenant, type => 'Partner.Invoiced');

	@value{qw(subscription failing final silent event)} = split /\|/, $portal->sql(<<"END");
SELECT s[1], s[2], s[3], s[4], (SELECT event_id FROM webhook.log WHERE subject = 'invoice/$tenant-1' AND subscription_id = s[3])
FROM (SELECT array_agg(id ORDER BY id) FROM webhook.subscription WHERE tenant = '$tenant') AS x (s)
END
	return \%value;
}

1;
