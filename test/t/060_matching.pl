# 060_matching.pl
#	  Which events does a subscription get?  Exactly those from subscribe() on,
#	  whatever the isolation level and whatever crashes; and a change of a
#	  subscription holds from the next attempt on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use List::Util qw(uniq);
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Test;

# There is no worker at first: the launcher takes the only process slot.
my $server = Webhook::Test->new('matching', <<'END');
restart_after_crash = on
webhook.retry_schedule = '1s, 1s, 1s'
max_worker_processes = 1
max_logical_replication_workers = 0
END
my $receiver = $server->receiver;

# ---- Events from before the worker's first start

$server->prepare;
$server->sql('INSERT INTO business_request SELECT g FROM generate_series(1, 20) g');
$server->change(1, 'unseen');
$server->subscribe('/ok/first');
$server->change(1, 'seen-1', 'seen-2');
$server->sql(join ';', 'BEGIN', $server->changes(1, 'prepared'), "PREPARE TRANSACTION 'first'");
is($server->worker, '', 'there is no worker');
$server->sql("ALTER SYSTEM SET max_worker_processes = 8; ALTER SYSTEM SET webhook.enabled = off");
$server->stop('immediate');
$server->start;
$server->wait_for_worker;
$server->settle('the first start');
is($receiver->count('/ok/first'), 0, 'nothing is sent while sending is off');
$server->sql("COMMIT PREPARED 'first'");
$server->change(1, 'seen-3');
$server->end_worker('TERM');
$server->set('webhook.enabled', 'on');
$server->poll('SELECT count(*) = 0 FROM webhook_internal.pending');
$server->settle('sending on');
is($server->first_statuses('/ok/first'), 'seen-1 seen-2 prepared seen-3', 'what was committed before the first start is sent, from the subscription on');
$server->unsubscribe_all;

# ---- A transaction that subscribes and changes contracts

foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
	my $path = '/ok/' . lc $level =~ s/ /_/r;
	my $session = $server->session;

	# Other sessions commit before, between and after.
	$session->run("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM business_request");
	$server->change(2, 'no-1');
	$session->run($server->changes(3, 'same-1'));
	$server->change(2, 'no-2');
	$session->run($server->subscription($path));
	$session->run(join ';', 'SAVEPOINT a', $server->changes(3, 'no-3'), 'ROLLBACK TO a', $server->changes(3, 'same-2'), 'COMMIT');
	$session->quit;
	$server->change(3, 'then');
	$server->settle($level);
	is($server->first_statuses($path), 'same-1 same-2 then', "$level: its own changes from subscribe() on are sent, those before and others' are not");
	$server->unsubscribe_all;
}

# More than is read again for a transaction that subscribes.
{
	my $walked = 'SELECT sum(idx_tup_read) FROM pg_stat_all_indexes'
	  . q{ WHERE schemaname = 'webhook_internal' AND indexrelname LIKE 'event\__\_txid_id_idx'};
	my $session = $server->session;

	$server->sql("SELECT webhook.define_event_type('App.Else')");
	$session->run('BEGIN');
	my @late = map { $session->ask($server->subscription($_)) } '/ok/late', map { "/ok/late/$_" } 1 .. 6;
	$server->sql(q{SELECT count(webhook.publish('App.BusinessRequestStatusChange', '1', 'late/' || g))
		FROM generate_series(1, 600) g});
	$server->sql(q{SELECT count(webhook.publish('App.Else', '1')) FROM generate_series(1, 900)}) foreach 1 .. 10;
	$session->run($server->subscription('/ok/short'));
	$server->change(3, 'meanwhile');
	$server->settle('what is read meanwhile');
	$server->end_worker('TERM');
	$server->settle('what it has walked over is counted');
	my $before = $server->sql($walked);
	my $place = $server->log_end;

	$session->run('COMMIT');
	$session->quit;
	$server->logs(qr/WARNING:  subscription $_ does not get what others committed before webhook.subscribe\(\) did\n.*DETAIL:.* 500 .*\n.*HINT:.*recover\($_, /,
		$place, 'what a late subscription misses is told') foreach @late[0 .. 4];
	$server->logs(qr/WARNING:  2 other subscriptions do not get what others committed/, $place, '... of many, the number is told');
	$server->settle('the last one');
	is($server->first_statuses('/ok/short'), 'meanwhile', 'one that is not late misses nothing');
	$server->end_worker('TERM');
	$server->settle('what was walked over is counted again');
	cmp_ok($server->sql($walked) - $before, '<', 8000, 'no more rows are looked at than are read again');
	$server->settle('nothing is sent');
	is($receiver->count('/ok/late'), 0, '... and not sent');
	my $recover = q{SELECT webhook.recover(id, created_at, what => 'missing', dry_run => %s)
		FROM webhook.subscription WHERE endpoint LIKE '%%/ok/late'};
	$server->becomes(sprintf($recover, 'true'), '601', '... once the checkpoint says that they were read');
	$server->sql(sprintf $recover, 'false');
	$server->settle('recovered');
	is($receiver->count('/ok/late'), 601, '... but recovered');
	$server->unsubscribe_all;
	$receiver->clear;
}

{
	$server->sql(join ';', 'BEGIN', $server->subscription('/ok/rolled_back'), $server->changes(3, 'no'), 'ROLLBACK');
	$server->sql(join ';', 'BEGIN', 'SAVEPOINT a', $server->subscription('/ok/rolled_back'), 'ROLLBACK TO a', $server->changes(3, 'no-1'), 'COMMIT');
	$server->sql(join ';', 'BEGIN', 'SAVEPOINT a', $server->subscription('/ok/released'), 'RELEASE a', $server->changes(3, 'yes'), 'COMMIT');
	$server->settle('savepoints');
	is($receiver->count('/ok/rolled_back'), 0, 'a subscription rolled back gets nothing');
	is($server->first_statuses('/ok/released'), 'yes', 'one in a released savepoint does');
	$server->unsubscribe_all;

	$server->sql(join ';', 'BEGIN', $server->subscription('/ok/prepared'), $server->changes(3, 'prepared-1'), "PREPARE TRANSACTION 'subscription'");
	$server->change(4, 'between');
	$server->crash;
	$server->sql("COMMIT PREPARED 'subscription'");
	$server->change(3, 'prepared-2');
	$server->settle('prepared');
	is($server->first_statuses('/ok/prepared') =~ s/between ?//r, 'prepared-1 prepared-2', 'a subscription in a prepared transaction gets its changes, and later ones');
	$server->unsubscribe_all;
}

# ---- A change of subscriptions is read once, not a second time for its command

{
	my $reads = 'SELECT seq_scan + idx_scan FROM pg_stat_all_tables'
	  . " WHERE relid = 'webhook_internal.subscription_secret'::regclass";
	my $id = $server->subscribe('/ok/often');

	$server->settle('subscribed');
	$server->end_worker('TERM');
	$server->settle('what it has read is counted');
	my $before = $server->sql($reads);
	foreach my $change (1 .. 20)
	{
		$server->sql("SELECT webhook.alter_subscription($id, description => 'change $change')");
		$server->settle("change $change");
	}
	$server->end_worker('TERM');
	my $count = $server->sql($reads) - $before;
	cmp_ok($count, '>=', 20, 'each change is read');
	cmp_ok($count, '<', 30, 'not twice');
	$server->unsubscribe_all;
}

# ---- A transaction that was running at subscribe()

{
	my @sessions = map { $server->session } 1 .. 2;

	$_->run('BEGIN') foreach @sessions;
	$sessions[0]->run($server->changes(5, 'early-1'));
	$sessions[1]->run(join ';', 'SAVEPOINT a', $server->changes(6, 'early-2'), 'RELEASE a');
	$server->change(7, 'ended');
	$server->subscribe('/ok/running');
	$sessions[0]->run($server->changes(5, 'late-1') . '; COMMIT');
	$server->settle('the first has committed');
	$server->crash;
	$_->quit foreach @sessions;
	$server->change(6, 'afterwards');
	$server->settle('running');
	is($server->first_statuses('/ok/running'), 'early-1 late-1 afterwards', 'what commits after subscribe() comes, with all it did before');
	$server->unsubscribe_all;
}

# ---- Events that are read before the worker knows of the subscription

foreach my $how ('subscribe', 'enable')
{
	my $path = "/ok/meanwhile_$how";
	my $session = $server->session;
	my $id = $how eq 'enable' ? $server->subscribe($path) : undef;

	$server->subscribe("/ok/other_$how");
	$server->alter($id, 'enabled => false') if $id;
	$server->change(10, "before_$how");
	$server->settle('read by others');
	$session->run('BEGIN;' . ($id ? "SELECT webhook.alter_subscription($id, enabled => true)" :
			$server->subscription($path)));
	$server->change(10, 'meanwhile');
	$server->settle('read by others');
	is($receiver->count($path), 0, "$how: nothing is sent before its commit");
	$server->change(10, 'meanwhile too');
	$session->run('COMMIT');
	$session->quit;
	$server->change(10, 'then');
	$server->settle($how);
	is($server->first_statuses($path), 'meanwhile meanwhile too then', "$how: what committed meanwhile is sent first");
	is($server->first_statuses("/ok/other_$how"), "before_$how meanwhile meanwhile too then", 'the other subscription does not get it again');
	is($receiver->count("/ok/other_$how"), 4, 'it gets each event once');
	$server->crash;
	$server->change(10, 'last');
	$server->settle('after a crash');
	is($server->first_statuses($path), 'meanwhile meanwhile too then last', 'a crash changes nothing of that order');
	$server->unsubscribe_all;
}

# ---- Two that are new at once, and between their calls nothing but an older transaction has ended

{
	my $later = $server->subscribe('/ok/later');
	my $earlier = $server->subscribe('/ok/earlier');
	my $session = $server->session;

	$session->run('BEGIN; ' . $server->changes(10, 'ended between'));
	my $txid = $session->ask('SELECT pg_current_xact_id()');
	my $next = $server->sql('SELECT pg_current_xact_id()') + 1;
	$server->alter($_, 'enabled => false') foreach $later, $earlier;
	$session->run('COMMIT');
	$session->quit;
	$server->settle('read for nobody');
	$server->sql(<<"END");
UPDATE webhook_internal.subscription
SET enabled = true, since = CASE id WHEN $later THEN '$next:$next:' ELSE '$txid:$next:$txid' END::pg_snapshot
END
	$server->change(10, 'then');
	$server->settle('new at once');
	is($server->first_statuses('/ok/earlier'), 'ended between then', 'what has ended after the call comes');
	is($server->first_statuses('/ok/later'), 'then', 'before it, it does not');
	$server->unsubscribe_all;
}

# ---- An event from before subscribe() is never sent, whatever the worker had read

foreach my $how ('read', 'not read')
{
	my $path = '/ok/' . $how =~ s/ /_/r;
	my $worker = $server->wait_for_worker;

	kill 'STOP', $worker if $how eq 'not read';
	$server->change(8, 'before');
	$server->subscribe($path);
	if ($how eq 'read')
	{
		$server->crash;
	}
	else
	{
		$server->end_worker('KILL');
	}
	$server->change(8, 'after');
	$server->settle($how);
	is($server->first_statuses($path), 'after', "an event from before, $how at a crash, is not sent");
	$server->crash;
	$server->settle('once more');
	is($server->first_statuses($path), 'after', 'nor is it after the next crash');
	$server->unsubscribe_all;
}

# ---- A change of a subscription holds from the next attempt on

{
	my $subscription = $server->subscribe('/slow/30/old');
	my @expected;
	my $secret = 'whsec_' . 'A' x 43 . '=';

	# That many more events, which come one after the other.
	my $more = sub {
		my @new = map { 't' . (@expected + $_) } 1 .. $_[0];
		push @expected, @new;
		$server->change(9, @new);
		return;
	};

	# After a statement, the next attempts are made by the new values.  It comes while
	# requests are made, if the machine is fast enough; in any case some follow.
	my $from_now_on = sub {
		my ($what, $statement, $is_new) = @_;
		$more->(20);
		$server->sql($statement);
		my $since = time();
		my $before = $receiver->count;
		$more->(6);
		$receiver->wait_for($before + 6);
		my @after = ($receiver->requests)[ $before .. $receiver->count - 1 ];
		my ($old) = reverse grep { !$is_new->($after[$_]) } 0 .. $#after;
		ok($is_new->($after[-1]), "$what: the new value is used");
		ok(!defined $old || $after[$old]{time} < $since + 0.05, "$what: from the next attempt on");
		return;
	};

	$more->(10);
	$receiver->wait_for(3, qr{/slow/30/old});
	$from_now_on->('endpoint',
		"SELECT webhook.alter_subscription($subscription, endpoint => '@{[ $receiver->url('/slow/30/new') ]}')",
		sub { $_[0]{path} eq '/slow/30/new' });
	$from_now_on->('headers',
		"SELECT webhook.alter_subscription($subscription, headers => '{\"X-New\": \"1\"}')",
		sub { exists $_[0]{headers}{'x-new'} });
	$from_now_on->('signature scheme',
		"SELECT webhook.alter_subscription($subscription, signature_schemes => '{abp}')",
		sub { exists $_[0]{headers}{'abp-webhook-signature'} });
	$from_now_on->('secret',
		"UPDATE webhook_internal.subscription_secret SET secret = '$secret'; SELECT webhook_internal.command('c')",
		sub {
			my $headers = $_[0]{headers};
			return $server->sql(sprintf q{SELECT webhook.sign('%s', '%s', %s, $b$%s$b$)}, $secret,
				$headers->{'webhook-id'}, $headers->{'webhook-timestamp'}, $_[0]{body}) eq $headers->{'webhook-signature'};
		});
	$more->(20);
	$server->sql("SELECT webhook.pause($subscription)");
	my $since = time();
	$server->settle('paused');
	my @received = $server->received;
	cmp_ok($received[-1]{time}, '<', $since + 0.05, 'pause: no attempt starts after it');
	$server->sql("SELECT webhook.resume($subscription)");
	$server->settle('resumed');
	is(join(' ', map { $_->{new} } grep { $_->{path} =~ /old|new/ } $server->received), "@expected",
		'nothing is lost, repeated or out of order');
	is($server->sql(<<'END') > 0, 1, 'signed with the secret of the time of the attempt');
SELECT count(*) FROM webhook.log
WHERE webhook.verify((SELECT secret FROM webhook_internal.subscription_secret),
	request_headers, request_body, NULL)
END
	$server->unsubscribe_all;
}

# ---- Altering keeps events that are not read yet; disabling does not

{
	my $subscription = $server->subscribe('/ok/unread');
	my $worker = $server->wait_for_worker;

	$server->settle('subscribed');
	kill 'STOP', $worker;
	$server->change(10, 'unread');
	$server->sql("SELECT webhook.alter_subscription($subscription, endpoint => '@{[ $receiver->url('/ok/altered') ]}', description => 'new')");
	kill 'CONT', $worker;
	$server->settle('altered');
	is($server->first_statuses('/ok/altered'), 'unread', 'altering loses no event');

	$server->alter($subscription, 'enabled => false');
	$server->change(10, 'missed-1');
	kill 'STOP', $worker;
	$server->change(10, 'missed-2');
	my $session = $server->session;
	$session->run('BEGIN; ' . $server->changes(11, 'running'));
	$server->sql(join ';', 'BEGIN', "SELECT webhook.alter_subscription($subscription, enabled => true)", $server->changes(10, 'enabled'), 'COMMIT');
	$session->run('COMMIT');
	$session->quit;
	kill 'CONT', $worker;
	$server->change(10, 'after');
	$server->settle('enabled');
	is($server->first_statuses('/ok/altered'), 'unread running enabled after', 'enabled again, it gets events from then on');
	$server->crash;
	$server->settle('crashed');
	is($server->first_statuses('/ok/altered'), 'unread running enabled after', 'a crash does not change that');
	$server->unsubscribe_all;
}

# ---- What commits between unsubscribe(), or disabling, and its commit ends with it

foreach my $call ('unsubscribe($id)', 'alter_subscription($id, enabled => false)')
{
	my $id = $server->subscribe('/status/500/ends', q(retry_schedule => '{1 day}'));
	my $session = $server->hold('SELECT webhook.' . $call =~ s/\$id/$id/r);

	$server->change($_, "between-$id") foreach 11 .. 15;
	$server->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = $id", '5',
		"$call: what commits meanwhile waits");
	$server->let_go($session);
	$server->settle($call);
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), '0', "$call: nothing waits for ever");
	is($server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id AND outcome = 'cancelled'"), '5',
		"$call: it is cancelled");
	$server->unsubscribe_all;
}

# ---- A hundred thousand events in one transaction, while subscriptions change

{
	my $events = 100_000;
	my $every = 25;
	my $wanted = $events / $every;
	my %subscription = map { $_ => $server->subscribe("/slow/4/big/$_") } qw(all moved paused gone);
	my $session = $server->session;

	$server->sql(q{SELECT webhook.define_event_type('App.Noise')});
	$session->start(<<"END");
DO \$\$BEGIN
	FOR i IN 1 .. $events LOOP
		IF i % $every = 0 THEN
			UPDATE business_request SET status = 'big-' || i / $every WHERE id = 1 + i / $every % 20;
		ELSE
			PERFORM webhook.publish('App.Noise', to_json(i));
		END IF;
	END LOOP;
END\$\$
END

	# One is paused and resumed, one gets other endpoints, one is unsubscribed, and
	# the server crashes.
	my $changes = 0;
	my ($gone, $killed);
	my $until = time() + 60;
	while ((!$killed || $receiver->count('/slow/4/big/all') < 0.75 * $wanted) && time() < $until)
	{
		my $moved = $receiver->url($changes % 2 ? '/slow/4/big/moved' : '/slow/4/big/moved/there');
		my $pause = $changes % 2 ? 'resume' : 'pause';

		$server->sql("SELECT webhook.$pause($subscription{paused})");
		$server->sql("SELECT webhook.alter_subscription($subscription{moved}, endpoint => '$moved')");
		$changes++;

		# Both at once: on a loaded machine the next change comes when all has arrived.
		if (!$killed && $receiver->count('/slow/4/big/all') > 0.1 * $wanted)
		{
			$killed = $receiver->count('/slow/4/big/all');
			$server->end_worker('KILL');
			$server->unsubscribe($subscription{gone});
			$server->subscribe('/slow/4/big/late');
			$gone = $receiver->count('/slow/4/big/gone');
		}
	}
	is($session->result, '', 'the large transaction commits');
	$session->quit;
	cmp_ok($killed // $wanted, '<', $wanted, "the crash comes in the middle of it, after $changes changes");
	cmp_ok($gone // $wanted, '<', $wanted, 'so does the unsubscription');
	$server->sql("SELECT webhook.resume($subscription{paused})");
	$server->settle('a large transaction');

	my %contracts;
	foreach my $call ($server->received)
	{
		my ($path) = $call->{path} =~ m{^/slow/4/big/(\w+)} or next;
		my ($n) = $call->{new} =~ /^big-(\d+)$/ or die $call->{new};
		push @{ $contracts{$path}{ $call->{contract} } }, $n;
	}
	foreach my $path (qw(all moved paused gone))
	{
		my @contracts = map { [ uniq @$_ ] } values %{ $contracts{$path} };
		my @disordered = grep { "@$_" ne join ' ', sort { $a <=> $b } @$_ } @contracts;

		is(scalar(map { @$_ } @contracts), $wanted, "$path: every event arrived")
		  unless $path eq 'gone';
		is(scalar @disordered, 0, "$path: in the order of each contract");
	}
	cmp_ok($receiver->count('/slow/4/big/gone'), '<=', $gone + 64, 'gone: little arrives after unsubscribe()');
	is($contracts{late}, undef, 'late: a subscription made after the transaction gets nothing of it');
	is($server->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'nothing is pending');
}

$server->stop;
done_testing();
