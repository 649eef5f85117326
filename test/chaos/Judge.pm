# Judge.pm
#	  Compares what the receiver got in a run of chaos with what was committed, and
#	  with the log.
#
# What each subscription has to get follows from table "history": it is all that
# its event types and filters, former and later ones, match and that committed
# after it was subscribed, or enabled again, for good.  It may get more: what only
# one of them matches, and what committed while such a statement was under way.

package Judge;

use strict;
use warnings;

use List::Util qw(all any sum0);
use Webhook::Receiver;

# Seconds that a request can be under way, and its result not on disk.
sub exposed { return 3.5; }

# A summary with these members:
#	events, calls, keys		how many were committed, made, and subscriptions
#	lost					deliveries that did not arrive, or not with success
#	unended					those that the log does not tell to be delivered
#	false					arrivals of what was not committed, or not asked for
#	disordered				first arrivals before one that was committed earlier
#	changed					the same of an event that was not wanted all the time: a
#							worker that starts after a crash reads events again, and
#							asks what is wanted now
#	twice					deliveries that were answered with success more than once
#	unlogged				calls that the log lacks though nothing crashed
#	crashed, stopped		calls that crashes and planned stops took from the log
#	invented				rows of the log with a response that nobody gave
# Of those that must not be, examples are in a list of the same name.
sub judge
{
	my ($chaos) = @_;
	my ($keys, $key_of) = keys_of($chaos);
	my $events = events_of($chaos);
	my $found = {
		events => scalar keys %$events,
		keys => scalar keys %$keys,
		calls => 0,
		map { $_ => [] } qw(lost unended false disordered changed unlogged invented),
	};
	my $got = arrivals($chaos, $keys, $events, $found);

	compare_with_log($chaos, $key_of, $got, $found);
	foreach my $key (values %$keys)
	{
		next unless $key->{from};
		foreach my $change (sort { $events->{$a}{id} <=> $events->{$b}{id} } keys %$events)
		{
			my $event = $events->{$change};
			next if visible($event->{txid}, $key->{from});
			next unless all { matches($event, $_) } @{ $key->{wants} };

			my $id = $got->{successes}{"$key->{key} $change"};
			push @{ $found->{lost} }, "$key->{key}: $event->{subject} $change" unless $id;
			push @{ $found->{unended} }, "$key->{key}: $event->{subject} $change"
			  unless $id and $got->{ended}{"$key->{key} $id"};
		}
	}
	return $found;
}

# All that was committed: hashes by their change.
sub events_of
{
	my ($chaos) = @_;
	my %events;

	foreach (split /\n/, $chaos->server->sql(<<'END'))
SELECT id, event_type, coalesce(subject, ''), txid, change FROM committed ORDER BY id
END
	{
		my ($id, $type, $subject, $txid, $change) = split /\|/;
		$events{$change} = {
			id => $id,
			type => $type,
			subject => $subject,
			txid => $txid,
			change => $change,
		};
	}
	return \%events;
}

# The subscriptions by their keys, and the keys by the subscriptions' numbers.  A
# key has: before, the snapshot before it was subscribed; wants, what it ever
# wanted; gaps, pairs of snapshots while it was disabled; from, the snapshot from
# which on it gets all, undef for one that does not last.
sub keys_of
{
	my ($chaos) = @_;
	my (%keys, %key_of);

	foreach (split /\n/, $chaos->server->sql(<<'END'))
SELECT key, subscription, action, before, coalesce(after::text, ''), coalesce(events::text, ''),
	coalesce(filter, ''), coalesce(is_ordered, false)
FROM history ORDER BY number
END
	{
		my ($number, $subscription, $action, $before, $after, $types, $filter, $is_ordered) =
		  split /\|/;
		my $key = $keys{$number} //= { key => $number, gaps => [] };

		$before = snapshot($before);
		$after = $after eq '' ? undef : snapshot($after);
		if ($action eq 'subscribe')
		{
			$key_of{$subscription} = $number;
			$key->{before} = $before;
			$key->{from} = $after;
			$key->{is_ordered} = $is_ordered eq 't';
			$key->{types} = types($types);
			$key->{filter} = $filter;
			$key->{wants} = [ { types => $key->{types}, filter => $filter } ];
		}
		elsif ($action eq 'alter' and "$types$filter" ne '')
		{
			$key->{types} = types($types) if $types ne '';
			$key->{filter} = $filter if $filter ne '';
			push @{ $key->{wants} }, { types => $key->{types}, filter => $key->{filter} };
		}
		elsif ($action eq 'disable')
		{
			$key->{disabled} = $after;
			undef $key->{from};
		}
		elsif ($action eq 'enable')
		{
			push @{ $key->{gaps} }, [ delete $key->{disabled}, $before ] if $key->{disabled};
			$key->{from} = $after;
		}
		elsif ($action eq 'unsubscribe')
		{
			undef $key->{from};
		}
	}
	return (\%keys, \%key_of);
}

sub types
{
	my ($types) = @_;
	my ($pattern) = $types =~ /^\{"?(.*?)"?\}$/;
	return $pattern eq '*' ? qr/^/ : $pattern eq 'App.*' ? qr/^App\./ : qr/^\Q$pattern\E$/;
}

sub matches
{
	my ($event, $want) = @_;
	return 0 if $event->{type} !~ $want->{types};
	my ($start) = $want->{filter} =~ /"(.*)"/;
	return !defined $start || $event->{change} =~ />\Q$start\E/;
}

# ---- Snapshots

sub snapshot
{
	my ($xmin, $xmax, $running) = split /:/, $_[0];
	return { xmin => $xmin, xmax => $xmax, running => { map { $_ => 1 } split /,/, $running // '' } };
}

sub visible
{
	my ($txid, $snapshot) = @_;
	return $txid < $snapshot->{xmin} || $txid < $snapshot->{xmax} && !$snapshot->{running}{$txid};
}

# ---- What was received

# Reads the receiver's record.  Returns the calls by "key event-id attempt", times
# of each, and the event's Id of what arrived with success by "key change".
sub arrivals
{
	my ($chaos, $keys, $events, $found) = @_;
	my %got = (calls => {}, successes => {});
	my (%seen, %last, %successes);

	$chaos->receiver->read_on(sub
	{
		my ($request) = @_;
		my ($number) = $request->{path} =~ m{^/chaos/(\d+)};
		my ($id) = $request->{body} =~ /"Id":"([^"]*)"/;
		my ($type) = $request->{body} =~ /"WebhookEvent":"([^"]*)"/;
		my ($attempt) = $request->{body} =~ /"Attempt":(\d+)/;
		my ($old, $new) = map { $request->{body} =~ /"$_"\s*:\s*"([^"]*)"/ ? $1 : '' }
		  qw(OldStatus NewStatus);
		my ($key, $change) = ($keys->{$number}, "$old>$new");
		my $event = $events->{$change};

		$found->{calls}++;
		push @{ $got{calls}{"$number $id $attempt"} }, $request->{time};
		return if $type eq 'webhook.ping';
		if (Webhook::Receiver::is_success($request->{answer}))
		{
			$got{successes}{"$number $change"} = $id;
			$found->{twice}++ if $successes{"$number $change"}++ == 1;
		}
		return if $seen{"$number $change"}++;
		if (!$key or !$event or !may_get($key, $event))
		{
			push @{ $found->{false} }, "$number: $change";
			return;
		}
		if ($key->{is_ordered} and $event->{subject} ne '')
		{
			my $last = \$last{"$number $event->{subject}"};
			if ($$last and $$last->{id} > $event->{id})
			{
				my $list = (all { matches($event, $_) } @{ $key->{wants} }) ? 'disordered' : 'changed';
				push @{ $found->{$list} },
				  "$number: $event->{subject} $change after $$last->{change}";
			}
			$$last = $event if !$$last or $$last->{id} < $event->{id};
		}
	});
	return \%got;
}

sub may_get
{
	my ($key, $event) = @_;
	return 0 if visible($event->{txid}, $key->{before});
	return 0
	  if any { !visible($event->{txid}, $_->[0]) && visible($event->{txid}, $_->[1]) }
	  @{ $key->{gaps} };
	return any { matches($event, $_) } @{ $key->{wants} };
}

# ---- The log

sub is_within
{
	my ($time, $spans) = @_;
	return any { $time >= $_->[0] && $time <= $_->[1] } @$spans;
}

sub compare_with_log
{
	my ($chaos, $key_of, $got, $found) = @_;
	my (%logged, %answered);

	foreach (split /\n/, $chaos->server->sql(<<'END'))
SELECT subscription_id, event_id, coalesce(attempt, 0), count(*) FILTER (WHERE method IS NOT NULL),
	count(response_status), bool_or(outcome = 'delivered')
FROM webhook.log GROUP BY 1, 2, 3
END
	{
		my ($subscription, $id, $attempt, $calls, $answers, $delivered) = split /\|/;
		my $key = $key_of->{$subscription} // 0;
		$logged{"$key $id $attempt"} = $calls;
		$answered{"$key $id $attempt"} = $answers if $answers;
		$got->{ended}{"$key $id"} = 1 if $delivered eq 't';
	}

	# Of the calls of an attempt, those are taken for the missing ones that crashes
	# and stops explain.
	($found->{crashed}, $found->{stopped}) = (0, 0);
	foreach my $call (keys %{ $got->{calls} })
	{
		my @times = @{ $got->{calls}{$call} };
		my $missing = @times - ($logged{$call} // 0);
		foreach my $cause ([ crashed => $chaos->{crashes} ], [ stopped => $chaos->{stops} ])
		{
			my ($name, $spans) = @$cause;
			my $count = grep { is_within($_, $spans) } @times;
			$count = $missing if $missing < $count;
			next if $count <= 0;
			$missing -= $count;
			$found->{$name} += $count;
		}
		push @{ $found->{unlogged} }, ("$call at $times[0]") x $missing if $missing > 0;
	}
	foreach my $call (keys %answered)
	{
		push @{ $found->{invented} }, $call if $answered{$call} > @{ $got->{calls}{$call} // [] };
	}
	return;
}

1;
