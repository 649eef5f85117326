# 063_reload.pl
#	  What does the worker read when subscriptions change?  Those that have changed, and
#	  no others; and then it knows what it would know had it read all of them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('reload', <<'END');
webhook.retry_schedule = '1s, 1s, 1s'
wal_level = replica
max_prepared_transactions = 5
max_wal_senders = 1
END
my $receiver = $server->receiver;
my $many = 2_000;

$server->prepare;
$server->sql(<<"END");
SELECT webhook.define_event_type(name) FROM unnest('{Bulk,A.One,A.Two,B.One,B.Two}'::text[]) AS t (name);
SELECT webhook.define_tenant(name, events => '{*}') FROM unnest('{acme,best}'::text[]) AS t (name);
SELECT count(webhook.subscribe('@{[ $receiver->url('/ok/bulk') ]}' || i, '{Bulk}')) FROM generate_series(1, $many) i;
END
$server->settle('many subscriptions');

# ---- One of many

# Rows of the table that somebody has read, whoever.
my $reads = q(SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables
	WHERE relid = 'webhook_internal.subscription'::regclass);

# How many of them are read for some statements. Whoever has read them counts at the latest
# when they end, the worker, too; so what it reads when it starts may be among them.
sub reads_of
{
	my ($what, @statements) = @_;
	my $before = $server->sql($reads);

	$server->sql(join ";\n", map { ($_, q(SELECT webhook.drain('1 min'))) } @statements);
	$server->settle($what);
	$server->end_worker('TERM');
	return $server->sql($reads) - $before;
}

{
	my $one = $server->subscribe('/ok/one', "events => '{A.One}'");
	my $last = '(SELECT max(id) FROM webhook_internal.subscription)';
	my %statements = (
		'altering one' => [ map { "SELECT webhook.alter_subscription($one, description => 'change $_')" } 1 .. 10 ],
		'pausing one' => [ map { ("SELECT webhook.pause($one)", "SELECT webhook.resume($one)") } 1 .. 5 ],
		'one comes and goes' => [ map { ($server->subscription("/ok/turn$_"), "SELECT webhook.unsubscribe($last)") } 1 .. 5 ],
		'another secret' => [ ("SELECT webhook.rotate_secret($one, '0')") x 10 ],
		'what waits is due now' => [ ("SELECT webhook.retry($one)") x 10 ]);

	$server->settle('one more');
	$server->end_worker('TERM');
	foreach my $what (sort keys %statements)
	{
		my @statements = @{ $statements{$what} };

		# subscribe() itself looks at all.
		my $looks = grep { /subscribe\('/ } @statements;
		cmp_ok(reads_of($what, @statements), '<', ($looks + 3) * $many, "$what: not all are read");
	}
	my $prepared = sub { my ($statement, $i) = @_; ("BEGIN;\n$statement;\nPREPARE TRANSACTION 'p$i'", "COMMIT PREPARED 'p$i'") };
	$server->sql('CREATE TABLE other (a int)');
	cmp_ok(reads_of('prepared transactions', map { $prepared->('INSERT INTO other VALUES (1)', $_) } 1 .. 10),
		'<', 3 * $many, 'prepared transactions that change none: not all are read');
	cmp_ok(reads_of('a prepared change', $prepared->("UPDATE webhook_internal.subscription SET description = 'by hand' WHERE id = $one", 0)),
		'>=', $many, 'a prepared change by hand: all are read');
	cmp_ok(reads_of('what a tenant may have', map { "SELECT webhook.define_tenant('best', events => '{*}', max_subscriptions => $_)" } 50 .. 59),
		'>', 9 * $many, 'what a tenant may have: all are read');
	$server->unsubscribe($one);
}

# ---- Any change: each event goes to those that the tables say

{
	my @types = qw(A.One A.Two B.One B.Two);
	my @names = (@types, 'A.*', 'B.*', '*');
	my @tenants = ('', 'acme', 'best');
	my (@script, @live);
	my $next = 0;

	# The same in each run.
	srand 4711;
	my $some = sub { my @set = @_; return $set[ int rand @set ]; };
	my $events = sub { return '{' . join(',', map { $some->(@names) } 0 .. int rand 3) . '}'; };

	push @script, 'CREATE TABLE expected (subject text, subscription_id bigint)',
	  "CREATE TABLE churn AS SELECT 0 AS number, 0::bigint AS id";
	foreach my $round (1 .. 50)
	{
		my $number = $some->(@live, 0);
		my $id = "(SELECT id FROM churn WHERE number = $number)";
		my $change = int rand 12;

		if (!$number || @live < 4)
		{
			my $tenant = $some->(@tenants);
			my $events = $events->();
			$next++;
			push @live, $next;
			push @script, "INSERT INTO churn SELECT $next, webhook.subscribe('@{[ $receiver->url('/ok/churn') ]}$next', '$events'"
			  . ($tenant ? ", tenant => '$tenant')" : ')'),
			  ($tenant ? "SELECT webhook.confirm(id) FROM churn WHERE number = $next" : ());
		}
		elsif ($change < 2 && @live > 8)
		{
			@live = grep { $_ != $number } @live;
			push @script, "SELECT webhook.unsubscribe($id)";
		}
		elsif ($change < 6)
		{
			push @script, "SELECT webhook.alter_subscription($id, events => '@{[ $events->() ]}')";
		}
		elsif ($change < 8)
		{
			push @script, "SELECT webhook.alter_subscription(id, enabled => NOT enabled) FROM webhook_internal.subscription WHERE id = $id";
		}
		elsif ($change < 9)
		{
			push @script, "UPDATE webhook_internal.subscription SET events = '@{[ $events->() ]}' WHERE id = $id";
		}
		elsif ($change < 10)
		{
			push @script, "DELETE FROM webhook_internal.subscription_secret WHERE subscription_id = $id;"
			  . "INSERT INTO webhook_internal.subscription_secret (subscription_id, secret) SELECT $id, 'whsec_' || repeat('A', 43) || '='";
		}
		elsif ($change < 11)
		{
			push @script, "SELECT webhook.define_tenant('@{[ $some->('acme', 'best') ]}', events => '{@{[ join ',', map { $some->(@names) } 1 .. 2 ]}}')";
		}
		else
		{
			push @script, "BEGIN; SELECT webhook.alter_subscription($id, events => '@{[ $events->() ]}'); ROLLBACK";
		}
		push @script, <<"END";
CREATE TEMP TABLE round AS
SELECT type, nullif(tenant, '') AS tenant, format('$round/%s/%s', type, tenant) AS subject
FROM unnest('{@{[ join ',', @types ]}}'::text[]) type, unnest('{"",acme,best}'::text[]) tenant;
INSERT INTO expected SELECT e.subject, s.id FROM round e, webhook_internal.subscription s
WHERE s.id IN (SELECT id FROM churn) AND s.enabled
	AND webhook_internal.matches_any(s.events, e.type)
	AND (s.tenant IS NULL OR s.tenant = e.tenant AND webhook_internal.matches_any(
		(SELECT t.events FROM webhook_internal.tenant t WHERE t.name = s.tenant), e.type));
SELECT count(webhook.publish(type, '{}', subject, tenant)) FROM round;
DROP TABLE round;
SELECT webhook.drain('1 min')
END
	}
	# What a tenant may not have is refused, and changes nothing.
	$server->sql("\\set ON_ERROR_STOP 0\n" . join ";\n", @script);
	$server->settle('many changes');
	my $sent = q(SELECT subject, subscription_id FROM webhook.log WHERE outcome = 'delivered' AND subject ~ '^\d+/');
	cmp_ok($server->sql('SELECT count(*) FROM expected'), '>', 500, 'many events are for somebody');
	is($server->sql("TABLE expected EXCEPT ALL $sent ORDER BY 1, 2 LIMIT 5"), '', 'each event goes to those that the tables say');
	is($server->sql("$sent EXCEPT ALL TABLE expected ORDER BY 1, 2 LIMIT 5"), '', '... and to no others');
	$server->sql("SELECT webhook.unsubscribe(s.id) FROM webhook_internal.subscription s JOIN churn USING (id)");
	$server->settle('all of these have gone');
}

# ---- What is told, but not visible yet: its commit waits for a standby that is not there

{
	my $late = $server->subscribe('/ok/late', "events => '{A.One}'");
	my $other = $server->subscribe('/ok/other', "events => '{A.One}'");
	my $session = $server->session;
	my $is_waiting = q(FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = 'COMMIT;');

	$server->settle('two subscriptions');
	$server->sql('ALTER DATABASE postgres SET synchronous_commit = local');
	$server->set('synchronous_standby_names', 'nobody');
	$session->run("SET synchronous_commit = on; BEGIN; SELECT webhook.pause($late)");
	$session->start('COMMIT');
	ok($server->poll("SELECT count(*) = 1 $is_waiting"), 'a commit waits');
	$server->alter($other, q(events => '{B.One}'));
	$server->publish('A.One', q('{}'), 'before/1');
	$server->publish('B.One', q('{}'), 'before/2');
	$server->settle('meanwhile');
	is($receiver->count('/ok/late'), 1, 'until it ends, it has changed nothing');
	is($receiver->count('/ok/other'), 1, 'another change holds');
	$server->sql("SELECT pg_cancel_backend(pid) $is_waiting");
	$session->result;
	$session->quit;
	$server->publish('A.One', q('{}'), 'after/1');
	$server->settle('afterwards');
	is($receiver->count('/ok/late'), 1, 'after it the change holds');
	is($server->pending($late, 'count(*)'), 1, '... what comes waits');
	$server->reset('synchronous_standby_names');
	$server->sql('ALTER DATABASE postgres RESET synchronous_commit');
}

# ---- All at once

{
	$server->sql('TRUNCATE webhook_internal.subscription, webhook_internal.subscription_secret');
	my $again = $server->subscribe('/ok/again', "events => '{A.One}'");

	$server->publish('A.One', q('{}'), 'again/1');
	$server->settle('others are gone');
	is(join(' ', map { $receiver->count("/ok/$_") } qw(late other again)), '1 1 1', 'whoever is truncated gets nothing');
}

$server->stop;
done_testing();
