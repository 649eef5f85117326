# Subscriber.pm
#	  A process whose subscriptions come, change, pause and go.
#
# What it asks for is recorded in table "history", in the transaction that asks.

package Subscriber;

use strict;
use warnings;

use Writer;

my @types = ('{App.BusinessRequestStatusChange}', '{App.Chaos}', '{App.*}', '{*}');
my @filters = ('$.NewStatus starts with "k1"', '$.NewStatus starts with "k"');

# How many subscriptions each of these processes has at most.
my $most = 4;

# From here on the statements before are known to be committed.
our $seen = 'UPDATE history SET after = pg_current_snapshot() WHERE after IS NULL;';

# What is asked of a key: a weight, and a function of this object and the key that
# returns statements.
my @kinds = (
	[ 2, \&pause_key ],
	[ 4, sub { return change($_[1], 'resume', 'webhook.resume($1)'); } ],
	[ 1, \&disable_and_enable ],
	[ 2, \&filter ],
	[ 2, \&events ],
	[ 2, sub { return alter($_[1], "endpoint => '" . $_[0]{endpoint}->($_[1], int rand 1000) . "'"); } ],
	[ 1, sub { return alter($_[1], 'max_in_flight => ' . (1 + int rand 16)); } ],
	[ 1, sub { return alter($_[1], sprintf q(headers => '{"X-Chaos": "%d"}'), rand 1000); } ],
	[ 1, sub { return change($_[1], 'rotate', 'webhook.rotate_secret($1)'); } ],
	[ 1, sub { return change($_[1], 'ping', 'webhook.ping($1)'); } ],
	[ 1, \&resend ]);

# endpoint: a function that returns the URL of a key.
sub new
{
	my ($class, $number, $seed, $endpoint) = @_;
	srand($seed);
	return bless { number => $number, made => 0, keys => [], endpoint => $endpoint }, $class;
}

sub next_work
{
	my ($self) = @_;
	my $keys = $self->{keys};

	return $self->subscribe if !@$keys || @$keys < $most && rand() < 0.2;
	return $self->unsubscribe if @$keys > 1 && rand() < 0.05;
	return Writer::choose(@kinds)->($self, $keys->[rand @$keys]);
}

sub pause { return rand 0.4; }

# The statement that asks something of a key, with further arguments of change_key().
sub change
{
	my ($key, $action, $call, @more) = @_;
	return join(', ', "SELECT change_key($key, '$action', \$do\$SELECT $call\$do\$", @more) . ');';
}

sub alter
{
	my ($key, $option, @more) = @_;
	return change($key, 'alter', "webhook.alter_subscription(\$1, $option)", @more);
}

# Another number than before for each key, so that a statement that was lost with
# the server is not asked for again.
sub subscribe
{
	my ($self) = @_;
	my $key = $self->{number} * 1000 + ++$self->{made};

	push @{ $self->{keys} }, $key;
	return sprintf(q(SELECT subscribe_key(%d, '%s', '%s', %s, %s, %d);),
		$key, $self->{endpoint}->($key, 0), $types[rand @types],
		rand() < 0.3 ? "'$filters[rand @filters]'" : 'NULL',
		rand() < 0.8 ? 'true' : 'false', 1 + rand 16) . $seen;
}

sub unsubscribe
{
	my ($self) = @_;
	my ($key) = splice @{ $self->{keys} }, rand @{ $self->{keys} }, 1;
	return change($key, 'unsubscribe', 'webhook.unsubscribe($1)');
}

sub pause_key { my ($self, $key) = @_; return change($key, 'pause', 'webhook.pause($1)'); }

sub disable_and_enable
{
	my ($self, $key) = @_;
	return join ' ', change($key, 'disable', 'webhook.alter_subscription($1, enabled => false)'), $seen,
	  'SELECT pg_sleep(0.3);', change($key, 'enable', 'webhook.alter_subscription($1, enabled => true)'), $seen;
}

sub filter
{
	my ($self, $key) = @_;
	my $filter = "'$filters[rand @filters]'";
	return alter($key, "filter => $filter", "filter => $filter");
}

sub events
{
	my ($self, $key) = @_;
	my $events = "'$types[rand @types]'";
	return alter($key, "events => $events", "events => $events");
}

# The last event that was delivered.
sub resend
{
	my ($self, $key) = @_;
	return change($key, 'resend', 'webhook.resend(event_id, subscription_id) FROM ' .
		'(SELECT * FROM webhook.log WHERE subscription_id = $1 ORDER BY logged_at DESC LIMIT 100) l ' .
		"WHERE outcome = 'delivered' AND cause = 'event' LIMIT 1");
}

1;
