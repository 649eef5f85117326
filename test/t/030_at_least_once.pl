# 030_at_least_once.pl
#	  Does everything that is committed arrive, in order, and nothing else, while
#	  writers commit at random and the worker, the server and the log fail again
#	  and again?
#
# The oracle is a table that each transaction writes to along with its changes:
# it holds exactly what has been committed.  Statuses are unique, so each call
# can be told apart.  SEED=n repeats a run, as far as time allows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use List::Util qw(sum0);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

my $seed = $ENV{SEED} // time() * 1000 % 1_000_000;
my $writers = 6;
my $contracts = 100;
my $max_in_flight = 32;
my $group = 500;				# outcomes that are written together
my $exposed = 1;				# seconds of the log that a crash may lose

note("SEED=$seed");
srand($seed);

# Short retention and small limits: ring tables are truncated all the time, and
# a crash can take back few requests.
my $server = Webhook::Test->new('at_least_once', <<"END");
restart_after_crash = on
webhook.max_in_flight = $max_in_flight
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s'
webhook.event_retention = '1s'
webhook.shutdown_grace = '1s'
wal_writer_delay = 10ms
max_connections = 30
deadlock_timeout = 100ms
END
my $receiver = $server->receiver;

$server->prepare;
$server->sql(<<"END");
CREATE TABLE committed (
	contract	bigint,
	n			integer,
	old			text,
	new			text NOT NULL,
	txid		xid8 NOT NULL DEFAULT pg_current_xact_id(),
	PRIMARY KEY (contract, n)
);
CREATE SEQUENCE contract START ${\($contracts + 1)};

CREATE FUNCTION change(contract bigint, new text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	row		business_request;
BEGIN
	SELECT * INTO STRICT row FROM business_request b WHERE b.id = contract FOR UPDATE;
	UPDATE business_request b SET status = new, n = row.n + 1 WHERE b.id = contract;
	INSERT INTO committed VALUES (contract, row.n + 1, row.status, new);
END \$\$;

CREATE FUNCTION create_contract(new text) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	contract	bigint := nextval('contract');
BEGIN
	INSERT INTO business_request VALUES (contract, new);
	INSERT INTO committed VALUES (contract, 1, NULL, new);
END \$\$;

-- An index on the log calls room(), which fails for a row with a body while "disk" says
-- that it is full.
CREATE TABLE disk (is_full boolean);
INSERT INTO disk VALUES (false);
CREATE FUNCTION room(text) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS \$\$
BEGIN
	IF \$1 IS NOT NULL AND (SELECT is_full FROM public.disk) THEN
		RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full';
	END IF;
	RETURN 0;
END \$\$;
END

my %path = map { $_ => $server->subscribe($_) } qw(/ok/a /slow/2/b /flip/c);

$server->sql(<<"END");
INSERT INTO business_request SELECT g, 'new-' || g FROM generate_series(1, $contracts) g;
INSERT INTO committed SELECT g, 1, NULL, 'new-' || g FROM generate_series(1, $contracts) g;
END
$server->settle('the first events');
{
	my $leaf = $server->log_leaf;
	$server->sql("CREATE INDEX disk_idx ON $leaf (public.room(request_body))");
}

# ---- The writers

# The text of a random transaction.
sub transaction
{
	my ($writer, $number, $prepared) = @_;
	my $step = 0;
	my $mark = sub { return "$writer-$number-" . ++$step; };
	my $change = sub {
		my $contract = shift // 1 + int rand $contracts;
		return sprintf "SELECT change(%d, '%s');", $contract, $mark->();
	};
	my $begin = 'BEGIN' . (rand() < 0.2 ? ' ISOLATION LEVEL SERIALIZABLE' :
		rand() < 0.2 ? ' ISOLATION LEVEL REPEATABLE READ' : '') . ';';
	my $end = rand() < 0.1 ? 'ROLLBACK;' : 'COMMIT;';
	my $kind = rand;

	$begin .= ' SET LOCAL synchronous_commit = off;' if rand() < 0.3;
	return $change->() if $kind < 0.25;
	return "SELECT create_contract('@{[ $mark->() ]}');" if $kind < 0.3;
	return join ' ', $begin, map({ $change->() } 0 .. rand 6), $end
	  if $kind < 0.45;
	if ($kind < 0.55)
	{
		my $contract = 1 + int rand $contracts;
		return join ' ', $begin, map({ $change->($contract) } 0 .. 1 + rand 3), $end;
	}
	return join ' ', $begin, $change->(),
	  'SAVEPOINT a;', $change->(), $change->(), 'ROLLBACK TO a;', $change->(),
	  'SAVEPOINT b;', $change->(), 'SAVEPOINT c;', $change->(), 'RELEASE b;', $end
	  if $kind < 0.7;
	return join ' ', $begin, $change->(),
	  sprintf('SELECT pg_sleep(%.3f);', rand() < 0.2 ? rand 2 : rand 0.3), $change->(), $end
	  if $kind < 0.85;


	# Prepared, and ended some time later.
	push @$prepared, "w$writer-$number";
	return join ' ', $begin, map({ $change->() } 0 .. rand 2), "PREPARE TRANSACTION '$prepared->[-1]';";
}

sub end_prepared { return (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_[0]'"; }

# Write until SIGTERM, through any crash of the server.
sub write_on
{
	my ($writer, $parent) = @_;
	my $session;
	my $number = 0;
	my $stop = 0;
	my @prepared;

	local $SIG{TERM} = sub { $stop = 1; };
	srand($seed + $writer);
	while (!$stop && getppid() == $parent)
	{
		if (!$session)
		{
			$session = $server->session;
			$session->run("SET lock_timeout = '50ms'");
		}
		my $work = @prepared && rand() < (@prepared < 3 ? 0.02 : 0.5) ?
		  end_prepared(shift @prepared) : transaction($writer, ++$number, \@prepared);
		if (!defined $session->run("$work; ROLLBACK"))
		{
			$session->quit;
			undef $session;
			sleep 0.05;
		}
		sleep rand 0.005;
	}
	$session->quit if $session;
	return;
}

my $start = time;
my $parent = $$;
my @pids;
foreach my $writer (1 .. $writers)
{
	defined(my $pid = fork) or die "fork: $!";
	if ($pid == 0)
	{
		eval { write_on($writer, $parent); };
		warn $@ if $@;
		POSIX::_exit($@ ? 1 : 0);
	}
	push @pids, $pid;
}

# ---- Crashes and failures

my @crashes;			# [from, to]: requests of that time may be missing in the log

sub count { return scalar $receiver->requests; }

# Wait for some requests, then crash the server: what is in flight or not on
# disk is lost.
sub crash
{
	my ($how, $from) = @_;
	$receiver->wait_for(count() + 200 + int rand 800) unless $from;
	$from //= time() - $exposed;
	note(sprintf '%.1f s, %d calls: %s', time() - $start, count(), $how);
	if ($how eq 'immediate stop')
	{
		$server->crash;
	}
	else
	{
		$server->end_worker('KILL');
	}
	push @crashes, [ $from, time ];
	return;
}

# While the log cannot be written, nothing more is sent.
sub without_log
{
	my ($how, $block, $unblock, $meanwhile) = @_;
	my $errors = $server->sql('SELECT flush_errors FROM webhook.stat_worker');
	my $from = time;

	note(sprintf '%.1f s, %d calls: %s', $from - $start, count(), $how);
	$block->();
	$server->poll("SELECT flush_errors > $errors + 2 AND in_flight = 0 FROM webhook.stat_worker");
	my $before = count();
	sleep 1.5;
	is(count(), $before, "$how: nothing is sent");
	$meanwhile->($from) if $meanwhile;
	$unblock->();
	$server->settle("$how: over");
	return;
}

sub disk_is { $server->sql("UPDATE disk SET is_full = $_[0]"); return; }

$receiver->wait_for(1000);
$server->end_worker('TERM');
crash('SIGKILL');

# A transaction that subscribes and changes contracts, among the writers'.
my ($id, $snapshot_before, $snapshot_after);
{
	$snapshot_before = $server->sql('SELECT pg_current_snapshot()');
	($id) = $server->sql(join ';', 'BEGIN ISOLATION LEVEL REPEATABLE READ',
		"SELECT create_contract('before')", $server->subscription('/ok/late'),
		"SELECT create_contract('after')", 'COMMIT') =~ /^(\d+)$/m;
	$snapshot_after = $server->sql('SELECT pg_current_snapshot()');
	$path{'/ok/late'} = $id;
}
crash('immediate stop');
$receiver->fail_while(1);
{
	my $session = $server->session;
	my $leaf = $server->log_leaf;

	without_log('a lock on the log',
		sub { $session->run("BEGIN; LOCK TABLE $leaf IN ACCESS EXCLUSIVE MODE"); },
		sub { $session->quit; });
}
$receiver->fail_while(0);
crash('SIGKILL');
$server->end_worker('TERM');
without_log('a full disk', sub { disk_is('true'); }, sub { disk_is('false'); });
crash('immediate stop');
without_log('a full disk, then a crash', sub { disk_is('true'); }, sub { disk_is('false'); },
	sub { crash('immediate stop', $_[0]); });
$server->end_worker('TERM');
crash('SIGKILL');

kill 'TERM', @pids;
foreach my $pid (@pids)
{
	waitpid $pid, 0;
	is($?, 0, 'a writer is done');
}
$server->sql(end_prepared($_))
  foreach split /\n/, $server->sql('SELECT gid FROM pg_prepared_xacts ORDER BY gid');
$server->settle('the end');
is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');

is($server->sql('SELECT count(*) FROM webhook.log WHERE requested_at IS NOT NULL AND request_body IS NULL'), 0,
	'no row of the log has lost its body to a full disk');

# ---- What was committed against what was received

# A change that commits between a call of subscribe() and the commit of that call
# may come or not.
my %name = reverse %path;
my %expected;			# by path and contract: changes that must come, in order
my %optional;			# "path contract change" that may come or not
foreach (split /\n/, $server->sql(<<"END"))
SELECT s.id, c.contract, coalesce(c.old, '') || '>' || c.new,
	s.id = $id AND pg_visible_in_snapshot(c.txid, '$snapshot_after')
		AND c.new NOT IN ('before', 'after')
FROM committed c, webhook_internal.subscription s
WHERE s.id <> $id OR NOT pg_visible_in_snapshot(c.txid, '$snapshot_before')
ORDER BY c.contract, c.n
END
{
	my ($subscription, $contract, $change, $optional) = split /\|/;
	my $path = $name{$subscription};
	push @{ $expected{$path}{$contract} }, $change;
	$optional{"$path $contract $change"} = 1 if $optional eq 't';
}

my @received = $server->received;
my (%first, %times, %calls);
foreach (@received)
{
	my $path = $_->{path};
	push @{ $first{$path}{ $_->{contract} } }, "$_->{old}>$_->{new}"
	  unless $times{"$path $_->{id}"}++;
	push @{ $calls{"$path{$path} $_->{id} $_->{attempt}"} }, $_->{time};
}

foreach my $path (sort keys %path)
{
	my ($events, $lost, $false, $disordered) = (0, 0, 0, 0);
	my %contracts = (%{ $expected{$path} }, %{ $first{$path} });

	foreach my $contract (sort { $a <=> $b } keys %contracts)
	{
		my @first = @{ $first{$path}{$contract} // [] };
		my @expected = @{ $expected{$path}{$contract} // [] };
		shift @expected
		  while @expected && $optional{"$path $contract $expected[0]"} &&
		  $expected[0] ne ($first[0] // '');
		my %is_expected = map { $_ => 1 } @expected;
		my %is_received = map { $_ => 1 } @first;

		$events += @expected;
		$lost += grep { !$is_received{$_} } @expected;
		$false += grep { !$is_expected{$_} } @first;
		next if "@expected" eq "@first";
		diag("contract $contract, committed: @expected\nbut received: @first") if !$disordered++;
	}
	note("$path: $events events");
	cmp_ok($events, '>', 100, "$path: there were many events to deliver");
	is($lost, 0, "$path: all that was committed was received");
	is($false, 0, "$path: nothing was received that was not committed");
	is($disordered, 0, "$path: first arrivals are in the order of the commits");
}

# ---- What was received against the log

my %logged;
foreach (split /\n/, $server->sql(<<'END'))
SELECT subscription_id || ' ' || event_id || ' ' || attempt, count(*)
FROM webhook.log WHERE method IS NOT NULL GROUP BY 1
END
{
	my ($call, $count) = split /\|/;
	$logged{$call} = $count;
}

my ($missing, $unexplained, $invented) = (0, 0, 0);
foreach my $call (keys %calls)
{
	my @times = @{ $calls{$call} };
	my $too_many = @times - ($logged{$call} // 0);

	$missing += $too_many if $too_many > 0;
	foreach my $time ($too_many > 0 ? @times[0 .. $too_many - 1] : ())
	{
		$unexplained++ unless grep { $time >= $_->[0] && $time <= $_->[1] } @crashes;
	}
}
$invented = sum0(map { $logged{$_} - @{ $calls{$_} // [] } }
	  grep { $logged{$_} > @{ $calls{$_} // [] } } keys %logged);

note(sprintf '%.1f s', time() - $start);
note(sprintf '%d calls of %d deliveries, %d not in the log after %d crashes',
	scalar @received, scalar keys %times, $missing, scalar @crashes);
cmp_ok($missing, '<=', @crashes * ($max_in_flight + $group),
	'no more requests are missing in the log than the crashes could take');
is($unexplained, 0, 'each missing request was made right before a crash');
is($invented, 0, 'the log has no request that was not made');
is($server->sql(<<'END'), '', 'each delivery has ended once, as delivered');
SELECT subscription_id, event_id, array_agg(outcome)
FROM webhook.log WHERE outcome <> 'retrying'
GROUP BY 1, 2 HAVING array_agg(outcome) <> '{delivered}'
LIMIT 5
END
is($server->sql(q{SELECT count(*) FROM webhook.log WHERE outcome = 'delivered'}),
	scalar keys %times, 'the log has an end for each delivery that was received');

$server->stop;
done_testing();
