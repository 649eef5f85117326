# 160_log_partitions.pl
#	  Does the log have a leaf for each day, made when it is needed, dropped when
#	  it is too old and not before, whatever a DBA does to leaves?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Time::HiRes qw(sleep);
use Webhook::Test;
use Webhook::Writers;

my $server = Webhook::Test->new('log_partitions', <<'END');
webhook.event_retention = 1s
webhook.retry_schedule = '1s, 1s, 1s, 1s, 1s'
END

$server->sql('CREATE EXTENSION webhook');
my $writers = Webhook::Writers->new($server);
$writers->arrives('first of all', 'first');
$server->settle('first of all');

sub leaves { return $server->sql("SELECT string_agg(relid::regclass::text, ' ' ORDER BY 1) FROM pg_partition_tree('webhook.log') WHERE isleaf"); }

my $today = $server->sql(q{SELECT 'log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')});
like(leaves(), qr/\bwebhook_internal\.$today\b/, 'today has a leaf');
$server->sql('DROP TABLE webhook_internal.' . $today);
$writers->arrives('when the leaf is dropped, an event arrives', 'leaf dropped');
$server->settle('leaf dropped');
like(leaves(), qr/\bwebhook_internal\.log_\d{8}\b/, 'there is a new leaf');

{
	my $place = $server->log_end;
	my ($leaf) = leaves() =~ /(log_\d{8})/;
	my $bounds = $server->sql("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = 'webhook_internal.$leaf'::regclass");
	$server->sql("ALTER TABLE webhook.log DETACH PARTITION webhook_internal.$leaf");
	$writers->arrives('when the leaf is detached, an event arrives', 'leaf detached');
	$server->logs(qr/ERROR:  "webhook_internal\.$leaf" exists but is not the partition.*\n.*HINT:  Attach it/, $place,
		'the server log says why it is not logged, with a hint');
	$server->sql("ALTER TABLE webhook.log ATTACH PARTITION webhook_internal.$leaf $bounds");
	$writers->arrives('when the leaf is attached again, an event arrives', 'leaf attached');
	$server->settle('leaf attached');
	is($server->sql("SELECT count(*) FROM webhook.log WHERE request_body LIKE '%leaf %tached%'"), 2,
		'both are in the log');
}

# Old leaves are dropped; those that a DBA has made stay, and a copy of a database
# keeps all.
sub old_leaf
{
	my ($name, $from, $until) = @_;
	$server->sql(<<"END");
CREATE TABLE webhook_internal.$name (LIKE webhook.log INCLUDING ALL);
ALTER TABLE webhook.log ATTACH PARTITION webhook_internal.$name FOR VALUES FROM ('$from 00:00+00') TO ('$until 00:00+00');
END
	return;
}
old_leaf('log_20200101', '2020-01-01', '2020-01-02');
old_leaf('log_20200102', '2020-01-02', '2020-01-03');
old_leaf('log_by_hand', '2020-02-01', '2020-03-01');
my $three_days_ago = $server->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '3 days', 'YYYY-MM-DD')});
old_leaf('log_' . $three_days_ago =~ s/-//gr, $three_days_ago,
	$server->sql("SELECT to_char(date '$three_days_ago' + 1, 'YYYY-MM-DD')"));

my $home = $server->sql('SELECT home FROM webhook_internal.subscription');
$server->sql("UPDATE webhook_internal.subscription SET home = '1/1'");
$server->restart_worker;
$server->settle('a copy');
sleep 1;
like(leaves(), qr/log_20200101/, 'a copy of a database keeps the log');
$server->sql("UPDATE webhook_internal.subscription SET home = '$home'");

my $reader = $server->hold('SELECT count(*) FROM webhook_internal.log_20200101');
$server->restart_worker;
$writers->start(1);
sleep 1.5;
$reader->query_safe('SELECT 1 FROM webhook_internal.log_20200101 LIMIT 1');
$writers->stop('a reader of an old leaf');
like(leaves(), qr/log_20200101/, 'a leaf that is read is not dropped');
$server->let_go($reader);
$server->sql(<<'END');
INSERT INTO webhook_internal.stat_minute (at, span, subscription_id, delivered, failed,
		retried, cancelled, pending, duration)
	SELECT date_trunc('hour', now()) - interval '3 days' + n * interval '1 min', '1 min', s, n, 1, 0, 0, n,
			ARRAY[n] || array_fill(0, '{19}')
		FROM generate_series(1, 10) n, unnest('{1,2,NULL}'::bigint[]) s;
END
$server->restart_worker;
$server->becomes(<<'END', "1 hour|1|55|10|55\n1 hour|2|55|10|55\n1 hour||55|10|55", 'after two days minutes become hours');
SELECT extract(hour FROM span) || ' hour', subscription_id, delivered, failed, duration[1] FROM webhook.stat_minute
	WHERE at < now() - interval '2 days' ORDER BY subscription_id
END
$server->becomes("SELECT to_regclass('webhook_internal.log_20200101') IS NULL AND to_regclass('webhook_internal.log_20200102') IS NULL", 't',
	'old leaves are dropped');
like(leaves(), qr/log_by_hand/, 'a leaf that a DBA has made is not dropped');
like(leaves(), qr/log_@{[ $three_days_ago =~ s{-}{}gr ]}/, 'a leaf within log_retention is not dropped');
$server->sql(<<'END');
INSERT INTO webhook_internal.audit (at, role, outer_role, session_role, action, detail)
	SELECT now() - n * interval '1 day', 'a', 'a', 'a', 'pause', '{}' FROM unnest('{1,3}'::int[]) n;
INSERT INTO webhook_internal.audit (at, role, outer_role, session_role, action, detail)
	SELECT now() - interval '3 days', 'a', 'a', 'a', 'pause', '{}' FROM generate_series(1, 5000);
END
$server->set('webhook.log_retention', '2d');
$server->restart_worker;
$server->becomes("SELECT to_regclass('webhook_internal.log_@{[ $three_days_ago =~ s{-}{}gr ]}') IS NULL", 't', 'it is dropped with a shorter log_retention');
$server->becomes(q{SELECT count(*) FROM webhook.audit WHERE role = 'a'}, '1', 'the audit is kept as long as the log, however much is too old');
$server->becomes(q{SELECT count(*) FROM webhook.stat_minute WHERE at < now() - interval '2 days'}, '0', 'so are the hours');
$server->set('webhook.log_retention', '1h');
$server->restart_worker;
$writers->arrives('with the least log_retention an event arrives', 'least retention');
$server->settle('least retention');
like(leaves(), qr/\b$today\b|log_\d{8}/, "today's leaf is kept");

# What people ask of the log is answered by an index. A small leaf that lacks one gets it.
sub indexes
{
	return $server->sql(<<"END");
SELECT string_agg(regexp_replace(pg_get_indexdef(indexrelid), '.* USING ', ''), '; ' ORDER BY indexrelid)
	FROM pg_index WHERE indrelid = '@{[ $server->log_leaf ]}'::regclass
END
}
my $failed = q{WHERE (outcome = ANY (ARRAY['failed'::text, 'cancelled'::text]))};
my $indexes = 'btree (event_id, subscription_id); btree (logged_at, "position", subscription_id); ' .
  q{btree (logged_at, "position", subscription_id) WHERE (outcome <> 'delivered'::text); } .
  qq{btree (logged_at, "position", subscription_id) $failed; btree (subscription_id, logged_at, "position"); } .
  qq{btree (subscription_id, logged_at, "position") $failed; hash (subject)};
is(indexes(), $indexes, 'a leaf has its indexes');
$server->sql(<<"END");
DO \$\$
DECLARE
	index	regclass;
BEGIN
	FOR index IN SELECT indexrelid FROM pg_index WHERE indrelid = '@{[ $server->log_leaf ]}'::regclass LOOP
		EXECUTE format('DROP INDEX %s', index);
	END LOOP;
END;
\$\$
END
$writers->arrives('without the indexes of its leaf an event arrives', 'no index');
$server->settle('no index');
is(indexes(), $indexes, 'the leaf has its indexes again');

$server->sql(<<'END');
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
		subject, created_at, attempt, outcome)
	SELECT n, gen_random_uuid(), n, 'event', l.logged_at - n * interval '1 ms', n % 100 + 1000,
			'App.Event', 'contract/' || n, l.logged_at, 1,
			CASE WHEN n % 500 = 0 THEN 'failed' WHEN n % 2 = 0 THEN 'retrying' ELSE 'delivered' END
		FROM generate_series(1, 20000) n, (SELECT max(logged_at) FROM webhook.log) l (logged_at)
		WHERE l.logged_at - n * interval '1 ms' >= date_trunc('day', l.logged_at, 'UTC');
ANALYZE webhook.log;
END
my $newest = 'ORDER BY logged_at DESC, position DESC, subscription_id DESC LIMIT 50';
foreach (
	[ 'the newest rows', $newest ],
	[ 'the next page', "WHERE (logged_at, position, subscription_id) < (now(), 5, 1) $newest" ],
	[ 'the newest problems', "WHERE outcome <> 'delivered' $newest" ],
	[ 'the newest failures', "$failed $newest" ],
	[ "a subscription's newest failures", "$failed AND subscription_id = 1000 $newest" ],
	[ "a subscription's newest rows", 'WHERE subscription_id = 1007 ORDER BY logged_at DESC, position DESC LIMIT 50' ],
	[ "a subject's rows", q{WHERE subject = 'contract/7' ORDER BY logged_at DESC LIMIT 50} ],
	[ "an event's rows", q{WHERE event_id = '00000000-0000-0000-0000-000000000000'} ])
{
	my ($what, $clauses) = @$_;
	my $plan = $server->sql("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) SELECT * FROM webhook.log $clauses");
	my ($removed) = $plan =~ /Rows Removed by (?:Filter|Index Recheck): (\d+)/;
	ok($plan !~ /Seq Scan on log_$today/ && ($removed // 0) < 100, "$what are found by an index") or diag($plan);
}

# A join might read all rows before the first one is known.
unlike($server->sql("EXPLAIN SELECT * FROM webhook.dead_letter $newest"), qr/Join|Nested Loop/, 'of a dead letter the rest is looked up row by row');

# An index that takes longer than a flush may.
$server->sql(<<"END");
CREATE FUNCTION public.slow(subject text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS \$\$
BEGIN
	IF subject = 'slow' THEN
		PERFORM pg_sleep(6);
	END IF;
	RETURN subject;
END;
\$\$;
CREATE INDEX slow ON @{[ $server->log_leaf ]} (public.slow(subject));
END
my $event = $server->sql("SELECT webhook.publish('App.BusinessRequestStatusChange', '1', 'slow')");
$server->becomes("SELECT count(*) > 0 FROM webhook.log WHERE event_id = '$event'", 't', 'a row that takes long is written');
$server->sql('DROP INDEX webhook_internal.slow');

# The worker writes what became of deliveries, and how many wait, when a minute is over.
my ($waiting_type, $waiting) = $server->subscribe_own('/ok/waiting');
$server->sql("SELECT webhook.pause($waiting)");
$server->publish_many($waiting_type, 5);
# A minute of many subscriptions is written in pieces.
$server->sql(<<"END");
SELECT webhook.define_event_type('Many');
SELECT count(webhook.subscribe('@{[ $server->receiver->url('/ok/many') ]}' || i, '{Many}')) FROM generate_series(1, 450) i;
SELECT webhook.publish('Many', '{}');
END
$server->settle('a subscription that waits');
my $written = wait_until { $server->sql(<<'END') eq 't' };
SELECT sum(delivered) > 0 AND max(pending) = 5
	FROM webhook.stat_minute WHERE subscription_id IS NULL
END
ok($written, 'the minutes of all together are written');
is($server->sql(<<'END'), 't|t', 'they are those of the subscriptions, and each request is in the histogram');
SELECT sum(delivered) FILTER (WHERE subscription_id IS NULL)
			= sum(delivered) FILTER (WHERE subscription_id IS NOT NULL),
		sum((SELECT sum(l.n) FROM unnest(duration) AS l (n))) FILTER (WHERE subscription_id IS NULL)
			= sum(delivered) FILTER (WHERE subscription_id IS NULL)
	FROM webhook.stat_minute
END
is($server->sql('SELECT count(DISTINCT subscription_id) > 450 FROM webhook.stat_minute'), 't', 'none is left out');
is($server->sql(<<"END"), '5|5', 'so is how many deliveries of a subscription wait, and of all together');
SELECT max(pending) FILTER (WHERE subscription_id = $waiting),
		max(pending) FILTER (WHERE subscription_id IS NULL)
FROM webhook.stat_minute
END

$server->stop;
$server->is_sound;

done_testing();
