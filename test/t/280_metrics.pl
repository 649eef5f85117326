# 280_metrics.pl
#	  Does monitoring get the numbers as they are, whatever happens, do the alerts fire and
#	  end, and does the dashboard show something?
#
# Debian's prometheus and prometheus-postgres-exporter are asked. They listen on loopback.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use HTTP::Tiny;
use IPC::Run ();
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my @missing = grep {
	my $program = $_;
	!grep { -x "$_/$program" } split /:/, $ENV{PATH}
} qw(prometheus promtool prometheus-postgres-exporter);
plan skip_all => "no @missing: Debian has them as prometheus and prometheus-postgres-exporter" if @missing;

my $http = HTTP::Tiny->new(timeout => 60);
my @programs;
my $directory = PostgreSQL::Test::Utils::tempdir();

END
{
	my $status = $?;

	$_->kill_kill(grace => 1) foreach @programs;
	$? = $status;
}

# Start a program that answers at a path of this port.
sub start_program
{
	my ($port, $path, $name, @command) = @_;

	push @programs, IPC::Run::start([@command], '<', \undef, '>', "$directory/$name.log", '2>&1');
	wait_until { $http->get("http://127.0.0.1:$port$path")->{success} } 60
	  or die "$name does not answer: " . slurp_file("$directory/$name.log");
	return;
}

# ---- Rules and their tests

my ($rules, $errors) = run_command([qw(promtool check rules monitoring/alerts.yaml)]);
like($rules, qr/SUCCESS/, 'promtool accepts the rules') or diag($errors);
my @alerts = slurp_file('monitoring/alerts.yaml') =~ /^\s+- alert: (\w+)$/mg;
my %tested = map { $_ => 1 } slurp_file('test/monitoring/alerts.yaml') =~ /^\s+- name: (\w+)$/mg;
is(join(' ', grep { !$tested{$_} } @alerts), '', 'each alert has a test over hours');
my ($tests, $failures) = run_command([qw(promtool test rules test/monitoring/alerts.yaml)]);
like($tests, qr/SUCCESS/, 'each fires, and ends') or diag($tests, $failures);

# ---- A server with events, and some that fail

my $server = Webhook::Test->new('metrics', "webhook.retry_schedule = '1h'\nautovacuum = off\nrestart_after_crash = on\n");
$server->prepare;
$server->sql(<<'END');
CREATE ROLE exporter LOGIN IN ROLE pg_monitor;
CREATE ROLE stranger LOGIN;
CREATE ROLE reader LOGIN IN ROLE pg_read_all_data;
CREATE DATABASE bare;
END
my ($good, $ok) = $server->subscribe_own('/ok/metrics');
my ($bad, $broken) = $server->subscribe_own('/status/503/metrics', 'ordered => false');

# The value of a metric, by its name and the condition on its labels.
sub metric
{
	my ($name, $labels) = @_;
	return $server->sql("SELECT sum(value) FROM webhook.metrics WHERE name = 'webhook_$name'"
		. (defined $labels ? " AND labels @> '$labels'" : ''));
}

$server->publish_many($good, 20);
$server->publish_many($bad, 12);
$server->settle('load');
is(metric('events_total'), 32, 'events that were read');
is(metric('attempts_total', '{"outcome": "delivered"}'), 20, 'attempts by outcome');
is(metric('delivery_latency_seconds_count'), 20, 'latency of what was delivered');

# In one statement each, because the breaker's probe is an attempt, too.
is($server->sql(<<'END'), 't|t|t|t', 'all rows of the log, failures by reason, duration of each request, as the log has them');
SELECT m.attempts = l.n, m.status = l.retrying, m.requests = l.n, abs(m.seconds - l.seconds) < 0.001
FROM (
	SELECT sum(value) FILTER (WHERE name = 'webhook_attempts_total') AS attempts,
		sum(value) FILTER (WHERE labels ->> 'reason' = 'status') AS status,
		sum(value) FILTER (WHERE name = 'webhook_request_duration_seconds_count') AS requests,
		sum(value) FILTER (WHERE name = 'webhook_request_duration_seconds_sum') AS seconds
		FROM webhook.metrics) m, (
	SELECT count(*) AS n, count(*) FILTER (WHERE outcome = 'retrying') AS retrying,
		sum(extract(epoch FROM duration)) AS seconds
		FROM webhook.log) l
END
is($server->sql(<<'END'), 't', 'latency: no less than the duration, no more than until the log was written');
SELECT m.value BETWEEN l.least AND l.most
FROM webhook.metrics m,
	(SELECT sum(extract(epoch FROM duration)) AS least,
			sum(extract(epoch FROM logged_at - created_at)) AS most
		FROM webhook.log WHERE outcome = 'delivered') l
WHERE m.name = 'webhook_delivery_latency_seconds_sum'
END
is(metric('deliveries_pending'), 12, 'what waits');
is(metric('deliveries_pending'), $server->sql('SELECT count(*) FROM webhook_internal.pending'), '... is what is in the table');
cmp_ok(metric('oldest_pending_seconds'), '>', 0, '... and for how long');
is(metric('subscription_states'), 2, 'each subscription has a state');
is(metric('subscription_states', '{"state": "open"}'), 1, '... a breaker is open');
is(metric('unread_events'), 0, 'all is read');
is($server->sql('SELECT unread, restarts FROM webhook.stat_worker'), '0|0', '... as stat_worker says');
is($server->sql(<<'END'), '', 'bytes of the log, the ring and what waits');
SELECT string_agg(name, ' ') FROM webhook.metrics WHERE name ~ 'ring_bytes|log_bytes|pending_bytes' AND value < 16384
END
is($server->sql(q{SELECT string_agg(name, ' ') FROM webhook.metrics WHERE value IS NULL OR help IS NULL OR type NOT IN ('counter', 'gauge', 'histogram')}),
	'', 'each has a value, a type and a meaning');

# The classes that docs/reference.md has are those that are counted.
my ($classes) = slurp_file('docs/reference.md') =~ /^### Error classes\n(.*?)^## /ms;
is($server->sql(q{SELECT string_agg(labels ->> 'reason', ' ' ORDER BY labels ->> 'reason') FROM webhook.metrics WHERE name = 'webhook_attempts_failed_total'}),
	join(' ', sort('other', $classes =~ /^\| `(\w+)` \|/mg)), 'each error class is counted');

# ---- The exporter, and Prometheus

my ($exporter, $stranger, $reader, $prometheus) =
  map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 4;
my $node = $server->node;

# The extension's numbers only; the exporter's own collectors have other names in each version.
my @collectors = map { "--no-collector.$_" } `prometheus-postgres-exporter --help 2>&1` =~ /--collector\.(\w+)\s/g;

sub start_exporter
{
	my ($port, $role) = @_;
	local $ENV{DATA_SOURCE_NAME} = 'host=' . $node->host . ' port=' . $node->port . " user=$role dbname=postgres sslmode=disable";
	start_program($port, '/', "exporter-$role", 'prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$port",
		'--extend.query-path=monitoring/queries.yaml', @collectors, qw(--disable-default-metrics --disable-settings-metrics
		--auto-discover-databases));
	return;
}

start_exporter($exporter, 'exporter');
start_exporter($stranger, 'stranger');
start_exporter($reader, 'reader');

# The rules as they are, but for how long something has to be wrong.
my $live = slurp_file('monitoring/alerts.yaml');
$live =~ s/^(\s+for:) .*$/$1 0s/mg;
PostgreSQL::Test::Utils::append_to_file("$directory/alerts.yaml", $live);
PostgreSQL::Test::Utils::append_to_file("$directory/prometheus.yaml", <<"END");
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [alerts.yaml]
scrape_configs:
  - job_name: postgres
    static_configs: [{targets: ['127.0.0.1:$exporter']}]
END
start_program($prometheus, '/-/ready', 'prometheus', 'prometheus', "--web.listen-address=127.0.0.1:$prometheus",
	"--config.file=$directory/prometheus.yaml", "--storage.tsdb.path=$directory/tsdb", '--log.level=error');

# What the exporter says, as lines.
sub scrape
{
	my ($port) = @_;
	my $answer = $http->get("http://127.0.0.1:$port/metrics");
	return $answer->{success} ? $answer->{content} : "$answer->{status} $answer->{content}";
}

# The series that Prometheus has of an expression.
sub series
{
	my ($expression) = @_;
	my $answer = $http->get("http://127.0.0.1:$prometheus/api/v1/query?" . $http->www_form_urlencode({ query => $expression }));

	die "Prometheus: $answer->{status} $answer->{content}" if !$answer->{success};
	return @{ decode_json($answer->{content})->{data}{result} };
}

my $scraped = scrape($exporter);
like($scraped, qr/^pg_exporter_last_scrape_error 0$/m, 'the exporter has no error');
like($scraped, qr/^webhook_scrape_ok\{datname="postgres",.*status="ok"\} 1$/m, 'it may read the metrics');
like($scraped, qr/^webhook_scrape_ok\{datname="bare",.*status="no extension"\} 0$/m, 'a database without the extension says so');
my %type = $scraped =~ /^# TYPE (webhook_\w+) (\w+)$/mg;
my %help = $scraped =~ /^# HELP (webhook_\w+) (.*)$/mg;
delete @$_{'webhook_scrape_ok'} foreach \%type, \%help;
my $meant = q{SELECT DISTINCT regexp_replace(name, CASE type WHEN 'histogram' THEN '_(bucket|sum|count)$' ELSE '^$' END, ''), %s FROM webhook.metrics};
is_deeply(\%type, { map { split /\|/ } split /\n/, $server->sql(sprintf $meant, 'type') }, 'names and types are those of the view');
is_deeply(\%help, { map { split /\|/ } split /\n/, $server->sql(sprintf $meant, 'help') }, '... with what they mean');

# One line each: the same labels, but for the exporter's own, and the same value.
my @steady = grep { !/_age_|oldest_pending|memory_bytes|bytes/ } map { s/^webhook_//r } split /\n/, $server->sql('SELECT DISTINCT name FROM webhook.metrics');
my %is_steady = map { $_ => 1 } @steady;

sub exported
{
	my $text = scrape($exporter);
	my @lines;

	while ($text =~ /^webhook_(\w+)\{(.*)\} (\S+)$/mg)
	{
		my ($name, $labels, $value) = ($1, $2, $3);
		$labels =~ s/(?:datname|server)="[^"]*",?//g;
		$labels =~ s/,$//;
		push @lines, "$name $labels " . ($value + 0) if $is_steady{$name};
	}
	return join "\n", sort @lines;
}

sub viewed
{
	my @rows = map { [ split /\|/ ] } split /\n/, $server->sql(<<'END');
SELECT substr(name, 9), (SELECT string_agg(format('%s="%s"', key, value), ',') FROM jsonb_each_text(labels)), value
FROM webhook.metrics
END
	return join "\n", sort map { "$_->[0] $_->[1] " . ($_->[2] + 0) } grep { $is_steady{ $_->[0] } } @rows;
}

# A probe of the breaker may come between the two.
my ($exported, $viewed);
wait_until { $exported = exported(); $viewed = viewed(); $exported eq $viewed } 30;
is($exported, $viewed, '... labels and values, too');

# A scrape at this port has the reason why there are no numbers, and no error.
sub says_why_not
{
	my ($port, $status, $what) = @_;
	my $text = scrape($port);

	like($text, qr/^webhook_scrape_ok\{datname="postgres",.*status="$status"\} 0$/m, "$what: the scrape says so");
	like($text, qr/^pg_exporter_last_scrape_error 0$/m, '... without an error');
	unlike($text, qr/^webhook_up\{datname="postgres"/m, '... and without a number');
	return;
}

says_why_not($stranger, 'no privilege', 'a role that may not read them');
says_why_not($reader, 'no privilege', 'a role that may read the view, and may not call its functions');

{
	my $open = $server->hold('SET LOCAL client_min_messages = error; DROP EXTENSION webhook CASCADE');

	says_why_not($exporter, 'locked', 'DROP EXTENSION in an open transaction');
	$open->query_safe('ROLLBACK');
	$open->quit;
}

# ---- Whatever table somebody has locked, or index, what monitoring reads is there at once

my %by_table = (
	checkpoint => '', pending => 'webhook_deliveries_pending webhook_oldest_pending_seconds', pending_count => 'webhook_deliveries_pending webhook_oldest_pending_seconds',
	subscription => 'webhook_subscription_states webhook_subscriptions_disabled', subscription_state => 'webhook_subscription_states webhook_subscriptions_disabled');
my %reads = (metrics => 'SELECT DISTINCT name FROM webhook.metrics', locked => q(SELECT value FROM webhook.metrics WHERE name = 'webhook_tables_locked'),
	stat_worker => 'SELECT count(*) FROM webhook.stat_worker', health => 'SELECT count(*) FROM webhook.health()');
my $names = join ' ', sort split /\n/, $server->sql($reads{metrics});

# What a session reads that waits for no lock longer than a second, or why it did not.
sub at_once
{
	my ($query) = @_;
	my (undef, $out, $error) = $server->psql("SET statement_timeout = '1s'; $query", on_error_stop => 0);

	return $error ne '' ? $error : $out;
}

is($server->sql($reads{locked}), '0', 'no table is locked');
foreach my $table (split /\n/, $server->sql(q(SELECT c.oid::regclass FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace) ORDER BY 1)))
{
	my $open = $server->hold("LOCK TABLE $table IN ACCESS EXCLUSIVE MODE");
	my $absent = $by_table{ $table =~ s/^webhook_internal\.//r } // '';
	my $left = join ' ', grep { my $name = $_; !grep { $_ eq $name } split / /, $absent } split / /, $names;

	is(join(' ', sort split /\n/, at_once($reads{metrics})), $left, "$table is locked: webhook.metrics has all other numbers");
	is(at_once($reads{locked}), exists $by_table{ $table =~ s/^webhook_internal\.//r } ? '1' : '0', '... and says so');
	is(at_once($reads{stat_worker}), '1', '... stat_worker has its row');
	like(at_once($reads{health}), qr/^[1-9]\d*$/, '... health() has rows');
	$server->let_go($open);
}
foreach my $index (
	qw(subscription_pkey subscription_state_pkey pending_due_idx pending_queued_idx),
	qw(pending_count_pkey checkpoint_pkey))
{
	my $open = $server->hold("REINDEX INDEX webhook_internal.$index");

	is(at_once($reads{locked}), '1', "$index is locked: webhook.metrics says so");
	like(at_once($reads{health}), qr/^[1-9]\d*$/, '... health() has rows');
	$server->let_go($open);
}
{
	my $open = $server->hold('LOCK TABLE webhook_internal.checkpoint, webhook_internal.pending, webhook_internal.pending_count, webhook_internal.subscription, webhook_internal.subscription_state, webhook.log');
	my $text = scrape($exporter);

	like($text, qr/^webhook_tables_locked\{datname="postgres",.*\} 1$/m, 'a scrape says that tables are locked');
	like($text, qr/^webhook_scrape_ok\{datname="postgres",.*status="ok"\} 1$/m, '... and has all other numbers');
	like($text, qr/^webhook_up\{datname="postgres",.*\} 1$/m, '... such as that the worker runs');
	$server->let_go($open);
}
like(scrape($exporter), qr/^webhook_up\{datname="postgres",.*\} 1$/m, 'the numbers are there again');

# Returns true when Prometheus has this alert firing, or not.
sub alert
{
	my ($name, $fires) = @_;
	return wait_until { $fires xor !series(qq(ALERTS{alertname="$name", alertstate="firing", datname="postgres"})) } 60;
}

# ---- What the worker survives, with one alert after the other

ok(alert('WebhookBreakerOpen', 1), 'an open breaker is an alert');
$server->unsubscribe($broken);
ok(alert('WebhookBreakerOpen', 0), '... until it is closed or gone');

# While the log is locked, numbers go on.
my $lock = $server->hold('LOCK TABLE webhook.log, webhook_internal.pending IN ACCESS EXCLUSIVE MODE');
$server->publish_many($good, 5);
$server->poll('SELECT blocked = 1 FROM webhook.stat_worker');
ok(alert('WebhookLogWritesBlocked', 1), 'a log that is locked is an alert');
like(scrape($exporter), qr/^webhook_log_writes_blocked\{datname="postgres",.*\} 1$/m, 'a scrape waits for no lock on the log or on what waits');
is($server->sql(q{SELECT count(*) FROM webhook.metrics WHERE name = 'webhook_deliveries_pending'}), 0, 'what nobody can know meanwhile is not there');
$server->let_go($lock);
ok(alert('WebhookLogWritesBlocked', 0), '... until it is let go');
cmp_ok(metric('flush_errors_total'), '>', 0, 'transactions that could not write it are counted');

$server->set('webhook.enabled', 'off');
ok(alert('WebhookSendingOff', 1), 'that nothing is sent is an alert');
$server->reset('webhook.enabled');
ok(alert('WebhookSendingOff', 0), '... until it is');
$server->settle('afterwards');

my $before = metric('events_total');
$server->restart_worker;
is(metric('events_total'), $before, 'totals outlive the worker');
is(metric('worker_restarts_total'), 1, 'its restarts are counted');
$server->publish_many($good, 3);
$server->settle('with another worker');
is(metric('events_total'), $before + 3, '... and go on');

$server->end_worker('KILL');
cmp_ok(metric('worker_restarts_total'), '>', 1, 'a crash, which begins all totals anew, counts as a restart');

# ---- The dashboard: each query has an answer from this Prometheus

my $dashboard = decode_json(slurp_file('monitoring/dashboard.json'));
my @queries = map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
my %variable = map { $_->{name} => 1 } @{ $dashboard->{templating}{list} };

cmp_ok(scalar @queries, '>', 20, 'the dashboard has queries');
$server->publish_many($good, 5);
$server->subscribe('/status/500/again', "events => '{$good}'", 'ordered => false');
$server->publish_many($good, 5);
$server->settle('for the dashboard');
foreach my $query (@queries)
{
	my $asked = $query =~ s/\$__rate_interval/1m/gr;

	$asked =~ s/"\$(\w+)"/$variable{$1} ? '".*"' : $&/ge;
	ok((wait_until { series($asked) } 20), "it shows: $query");
}
like(join(' ', map { $_->{definition} } @{ $dashboard->{templating}{list} }), qr/^(?:label_values\(webhook_up\b[^)]*\) ?)+$/, 'its variables are of a metric that is there');

# Each metric that the rules and the dashboard name is one of the view, or of the exporter's.
my %named = map { $_ => 1 } join("\n", $live, @queries) =~ /\b(webhook_[a-z_]+)\b/g;
my %known = map { $_ => 1 } 'webhook_scrape_ok', split /\n/, $server->sql('SELECT DISTINCT name FROM webhook.metrics');
is(join(' ', grep { !$known{$_} && !/^webhook_(?:internal|log_retention)$/ } sort keys %named), '', 'rules and dashboard name no other metric');

$_->kill_kill(grace => 1) foreach splice @programs;
$server->stop;
done_testing();
