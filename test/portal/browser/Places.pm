# Places.pm
#	  Every page of the portal, once: its name, its address, what it says to whom it has
#	  something to say, and what can be done there by whoever administers it.
#
# {name} in an address or a text stands for what differs from visitor to visitor.

package Places;

use strict;
use warnings;
use utf8;

my @head = ('Send a ping', 'Send an example …', 'Pause', 'Edit', 'Disable', 'Recover …', 'Unsubscribe', 'Pause updates', 'Reveal', 'Rotate …');
my @retry = map { $_ eq 'Pause' ? ('Try now', $_) : $_ } @head;
my @places = (
	[ dashboard => '', 'Subscriptions', 'Pause updates' ],
	[ 'dashboard-hour' => '?range=hour', 'Calls per second', 'Pause updates' ],
	[ subscriptions => 'subscriptions', 'Orders of {tenant}', 'Add New Webhook Subscription', 'Search' ],
	[ add => 'add', 'Webhook Endpoint*', 'Add a header', 'Save', 'Cancel' ],
	[ edit => 'edit?id={subscription}', 'Edit subscription {subscription}', 'Remove', 'Add a header', 'Save', 'Cancel' ],
	[ subscription => 'subscription?id={subscription}', 'Orders of {tenant}', @head ],
	[ 'subscription-waiting' => 'subscription?id={failing}&tab=waiting', 'Due next', @retry, 'Skip' ],
	[ 'subscription-failed' => 'subscription?id={final}&tab=failed', 'invoice/{tenant}', @head, 'Send again', 'Dismiss' ],
	[ 'subscription-time' => 'subscription?id={subscription}&tab=time', 'Calls per second', @head ],
	[ 'subscription-code' => 'subscription?id={subscription}&tab=code', 'Verify a request', @head, 'Copy' ],
	[ 'subscription-unconfirmed' => 'subscription?id={silent}', 'The endpoint is unconfirmed', @retry ],
	[ logs => 'logs', 'invoice/{tenant}', 'Follow', 'CSV', 'Search' ],
	[ delivery => 'delivery?event={event}&subscription={final}', 'invoice/{tenant}', 'Send again', 'Dismiss', 'Copy', 'As sent',
		'Copy as curl', 'Check signature' ],
	[ waiting => 'waiting', '{tenant}' ],
	[ 'waiting-subscription' => 'waiting?subscription={failing}', 'Due next', 'Try all now', 'Search', 'Try now', 'Skip' ],
	[ failed => 'failed', 'invoice/{tenant}', 'Search', 'Send again', 'Dismiss' ],
	[ 'failed-subscription' => 'failed?subscription={final}', 'invoice/{tenant}', 'Recover …', 'Search', 'Send again', 'Dismiss' ],
	[ events => 'events?type={type}', 'R-0815', 'OpenAPI', 'Copy' ],
	[ audit => 'audit', 'subscribe', 'Search' ]);

# What changes nothing, and shows no secret.
our $reads = qr/^(?:Pause updates|Search|Follow|CSV|OpenAPI|Copy|As sent|Copy as curl)$/;

# The pages as hashes: name, address, says, and acts, a list; with these values filled in.
sub all
{
	my (%value) = @_;

	return map {
		my ($name, $address, $says, @acts) = @$_;
		my %place = (name => $name, address => $address, says => $says);
		s/\{(\w+)\}/$value{$1} \/\/ die "no value for $1\n"/ge foreach values %place;
		+{ %place, acts => \@acts };
	} @places;
}

1;
