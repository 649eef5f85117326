# 140_copied_database.pl
#	  Does a copy of a database (a restored dump, a database made from a template)
#	  keep all that the original had, however long the restore takes, and send
#	  nothing until it is told to?  Does a database that is restored in its own
#	  place wait, too?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $settings = "webhook.retry_schedule = '" . join(', ', ('1s') x 90) . "'";

# Two servers, and a database of the same name on each; one receiver. The original's
# keeps its log for longer.
my $server = Webhook::Test->new('original', "$settings\nwebhook.log_retention = '90d'");
my $receiver = $server->receiver;
my $elsewhere = Webhook::Test->new('elsewhere', $settings, receiver => $receiver);
my $shop = $server->database('shop');

# New statuses that came to a path since the last clear().
sub came
{
	my ($path) = @_;
	return join ' ', map { $_->{body} =~ /"NewStatus":"([^"]*)"/ } $receiver->requests($path);
}

# What waits in pending: "<subscription><new status>" of each.
sub waiting
{
	my ($where) = @_;
	return $where->sql(<<'END');
SELECT string_agg(subscription_id || (data->>'NewStatus'), ' ' ORDER BY subscription_id, position)
FROM webhook_internal.pending
WHERE event_type = 'App.BusinessRequestStatusChange'
END
}

# All that a copy has to keep, as one text.
sub kept
{
	my ($where) = @_;
	return $where->sql(<<'END');
SELECT 'type', row_to_json(t) FROM webhook_internal.event_type t WHERE name NOT LIKE 'webhook.%' ORDER BY name;
SELECT 'subscription', row_to_json(s) FROM webhook_internal.subscription s ORDER BY id;
SELECT 'secret', row_to_json(s) FROM webhook_internal.subscription_secret s ORDER BY id;
SELECT 'audit', row_to_json(a) FROM webhook_internal.audit a WHERE action <> 'resume_database' ORDER BY at;
SELECT 'minute', row_to_json(m) FROM webhook_internal.stat_minute m
	WHERE at < (SELECT date_trunc('minute', min(created_at)) FROM webhook_internal.subscription)
	ORDER BY at, subscription_id;
SELECT 'pending', to_jsonb(p) - 'txid' FROM webhook_internal.pending p
	WHERE subscription_id IN (SELECT id FROM webhook.subscription WHERE paused)
	ORDER BY subscription_id, subject, position, id;
SELECT 'log', row_to_json(l) FROM webhook.log l
	WHERE outcome <> 'retrying' ORDER BY position, subscription_id, attempt;
SELECT 'leaves', array_agg(c ORDER BY c) FROM (SELECT relid::regclass::text || pg_get_expr(relpartbound, relid) AS c
	FROM pg_partition_tree('webhook.log') JOIN pg_class ON oid = relid WHERE isleaf) x;
END
}

my $kept;

# A copy has what the original had: an assertion that shows the lines that differ.
sub is_kept
{
	my ($where, $what) = @_;
	my $has = kept($where);
	my %has = map { $_ => 1 } split /\n/, $has;
	my %should = map { $_ => 1 } split /\n/, $kept;

	ok($has eq $kept, $what)
	  or diag(join "\n", (map { "has: $_" } grep { !$should{$_} } sort keys %has),
		map { "should have: $_" } grep { !$has{$_} } sort keys %should);
	return;
}

# A program succeeds and prints nothing: two assertions.
sub is_silent
{
	my ($command, $what) = @_;
	my ($stdout, $stderr) = run_command($command);
	is($?, 0, "$what: succeeds");
	is($stderr, '', "$what: without complaint");
	return;
}

sub restore
{
	my ($where, $file, $custom) = @_;
	my $name = $where->{database};
	my @at = ('--host', $where->node->host, '--port', $where->node->port, '--dbname', $name);

	$where->database('postgres')->sql("CREATE DATABASE $name TEMPLATE template0") if $name ne 'shop';
	is_silent($custom ? [ 'pg_restore', '--exit-on-error', @at, $file ]
		: [ 'psql', '--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1', '--output', '/dev/null', '--file', $file, @at ],
		"$name: restoring");
	return;
}

# ---- The original: events that are delivered, paused, failing, in flight

$_->sql('CREATE DATABASE shop TEMPLATE template0') foreach $server, $elsewhere;
$shop->sql(<<"END");
CREATE EXTENSION webhook;
CREATE ROLE reader;
GRANT USAGE ON SCHEMA webhook TO reader;
GRANT SELECT ON webhook.log TO reader;
SELECT webhook.define_event_type('App.Invoice', 'an invoice', '{"type": "object"}', '{"Invoice": 7}');
SELECT webhook.alter_event_type('$type', 'a change', example => '{"BusinessRequestId": 1}');
CREATE TABLE business_request (id bigint PRIMARY KEY, status text);
SELECT webhook.watch('business_request');
SELECT webhook.subscribe('@{[ $receiver->url('/ok/one') ]}', '{$type}', 'the first', '$secret', '{"X-Tenant": "acme"}');
SELECT webhook.subscribe('@{[ $receiver->url('/ok/two') ]}', '{$type, App.Invoice}');
SELECT webhook.subscribe('@{[ $receiver->url('/flip/three') ]}', '{$type}');
SELECT webhook.pause(2);
SELECT webhook.alter_event_type('App.Invoice', deprecated => true);
SELECT webhook.define_event_type('App.Hung');
SELECT webhook.subscribe('@{[ $receiver->url('/hang/four') ]}', '{App.Hung}');
END
$elsewhere->sql('CREATE ROLE reader');
$shop->sql("INSERT INTO business_request VALUES (1, 'A')");
$shop->settle('the original');
is(came('/ok/one'), 'A', 'the original delivers');
is(came('/flip/three'), 'A', 'the third subscription, too');
$receiver->fail_while(1);
$shop->change(1, qw(B C));
$shop->settle('failing');
is(waiting($shop),
	'2A 2B 2C 3B 3C', 'deliveries are pending');

# One delivery is in flight, that is in the ring and in memory; the next one of its
# subject waits for it in pending.
$shop->sql(q{SELECT webhook.publish('App.Hung', '{"NewStatus":"H1"}', 'hung/1')});
$receiver->wait_for(1, qr/four/);
$shop->sql(q{SELECT webhook.publish('App.Hung', '{"NewStatus":"H2"}', 'hung/1')});
$shop->becomes('SELECT count(*) = 1 FROM webhook_internal.pending WHERE subscription_id = 4 AND next_at IS NULL', 't',
	'the next one waits for the one in flight');

# What the other server would not keep so long.
my $old_leaf = $shop->sql(q{SELECT to_char(now() AT TIME ZONE 'UTC' - interval '40 days', '"webhook_internal.log_"YYYYMMDD')});
$shop->sql(<<"END");
CREATE TABLE $old_leaf (LIKE webhook.log INCLUDING ALL);
SET timezone = 'UTC';
DO \$\$ BEGIN EXECUTE format('ALTER TABLE webhook.log ATTACH PARTITION $old_leaf FOR VALUES FROM (%L) TO (%L)',
	current_date - 40, current_date - 39); END \$\$;
INSERT INTO $old_leaf
	SELECT (jsonb_populate_record(l, jsonb_build_object('position', 0, 'logged_at', current_date - 40))).*
		FROM webhook.log l WHERE outcome = 'delivered' LIMIT 1;
INSERT INTO webhook_internal.audit (at, role, outer_role, session_role, action, detail)
	SELECT current_date - 40, 'a', 'a', 'a', 'pause', jsonb_build_object('n', n) FROM generate_series(1, 20) n;
INSERT INTO webhook_internal.stat_minute (at, span, subscription_id, delivered, failed, retried,
		cancelled, duration)
	VALUES (current_date - 40, '1 hour', 1, 7, 0, 0, 0, array_fill(0, '{20}'));
END

# ---- Copies: restored dumps and a database made from a template

my $plain = $server->node->basedir . '/dump.sql';
my $custom = $server->node->basedir . '/dump.custom';
is_silent([ 'pg_dump', '--host', $server->node->host, '--port', $server->node->port, '--file', $plain, 'shop' ], 'pg_dump');
is_silent([ 'pg_dump', '--host', $server->node->host, '--port', $server->node->port, '--format', 'custom', '--file', $custom, 'shop' ],
	'pg_dump --format=custom');
$kept = kept($shop);
like($kept, qr/^log\|.*"outcome":"delivered"/m, 'the log of the original has deliveries');

my %copies = (
	restored => $server->database('restored'),
	discarded => $server->database('discarded'),
	twin => $server->database('twin'),
	elsewhere => $elsewhere->database('shop'));
restore($copies{restored}, $plain);
restore($copies{discarded}, $custom, 1);
restore($copies{elsewhere}, $plain);
is($elsewhere->sql("SELECT oid FROM pg_database WHERE datname = 'shop'"),
	$server->sql("SELECT oid FROM pg_database WHERE datname = 'shop'"),
	'the database has the same OID on the other server');
$server->sql('CREATE DATABASE twin TEMPLATE shop');

my %rows;
foreach my $name (sort keys %copies)
{
	my $copy = $copies{$name};
	is_kept($copy, "$name: has everything that the original has");
	is($copy->sql("SELECT has_table_privilege('reader', 'webhook.log', 'SELECT')"), 't', "$name: has the privileges");
	$rows{$name} = $copy->sql('SELECT count(*) FROM webhook.log');
	$copy->becomes("SELECT state = 'running' FROM webhook.stat_worker", 't', "$name: has a worker");
}

# ---- A restore that takes long, and one in parallel: the worker finds no subscription for a while

foreach my $name (qw(slow quick))
{
	my $copy = $elsewhere->database($name);
	my @restore = ('pg_restore', '--exit-on-error', '--host', $elsewhere->node->host, '--port', $elsewhere->node->port,
		'--dbname', $name);
	my @step = ([ '--jobs', 4 ]);

	if ($name eq 'slow')
	{
		my @data = grep { / (?:TABLE DATA|SEQUENCE SET) / } split /^/, (run_command([ 'pg_restore', '--list', $custom ]))[0];
		my ($at) = grep { $data[$_] =~ / TABLE DATA webhook_internal subscription / } 0 .. $#data;

		cmp_ok($at, '>', (grep { $data[$_] =~ / TABLE DATA webhook_internal log_/ } 0 .. $#data)[-1],
			'subscriptions are loaded after the log');
		append_to_file("$custom.1", join '', @data[ 0 .. $at - 1 ]);
		append_to_file("$custom.2", join '', @data[ $at .. $#data ]);
		@step = ([ '--section', 'pre-data' ], [ '--use-list', "$custom.1" ], [ '--use-list', "$custom.2" ],
			[ '--section', 'post-data' ]);
	}
	$elsewhere->sql("CREATE DATABASE $name TEMPLATE template0");
	foreach (@step)
	{
		is_silent([ @restore, @$_, $custom ], "$name: restoring (@$_[0, 1])");

		# A worker begins with what is due now and then; each drain takes a round of it.
		$copy->restart_worker;
		$copy->sql('SELECT webhook.drain()') foreach 1 .. 5;
	}
	is_kept($copy, "$name: has everything that the original has");
	is(waiting($copy), '2A 2B 2C 3B 3C', "$name: also what waits");
	$copy->sql('SELECT webhook.resume_database(discard => true)');
	$copy->restart_worker;
	$copy->becomes("SELECT to_regclass('$old_leaf') IS NULL", 't', "$name: once it is resumed, what is too old goes");
}

# ---- A copy sends nothing; the original goes on

$shop->sql($shop->moving(4, '/ok/four'));
$shop->sql('SELECT pg_terminate_backend(pid) FROM webhook.stat_worker');

$_->change(1, qw(K L)) foreach values %copies;
foreach my $name (sort keys %copies)
{
	my $copy = $copies{$name};
	$copy->settle("$name, fenced");
	is(waiting($copy),
		'1K 1L 2A 2B 2C 2K 2L 3B 3C 3K 3L', "$name: new events wait there");
	is($copy->sql("SELECT count(*) FROM webhook_internal.pending WHERE (txid = '0') = (data->>'NewStatus' IN ('K', 'L'))"),
		0, "$name: only restored rows have no transaction id of this cluster") if $name ne 'twin';
	cmp_ok($copy->sql("SELECT min(position) FROM webhook_internal.pending WHERE data->>'NewStatus' = 'K'"), '>',
		$copy->sql("SELECT max(position) FROM webhook_internal.pending WHERE data->>'NewStatus' = 'C'"),
		"$name: positions go on above the restored ones");
}
is(came('/ok/one'), 'A B C', 'the copies send nothing');
$receiver->fail_while(0);
$shop->becomes('SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id = 3', 't', 'the original delivers what was failing');
like(came('/flip/three'), qr/^A (?:B )+C$/, 'in order');
$shop->change(1, qw(D));
$shop->settle('the original');
is(came('/ok/one'), 'A B C D', 'the original delivers new events');
unlike(came('/flip/three'), qr/[KL]/, 'the copies still send nothing');
foreach my $name (sort keys %copies)
{
	is($copies{$name}->sql('SELECT count(*) FROM webhook.log'), $rows{$name}, "$name: its log has not grown");
}

# A restart does not lift the fence.
$receiver->clear;
$server->restart;
$copies{$_}->settle("$_, restarted") foreach qw(discarded restored twin);
is(scalar $receiver->requests, 0, 'a copy sends nothing after a restart');

# ---- After resume_database() a copy sends

foreach my $name (qw(restored twin elsewhere))
{
	my $copy = $copies{$name};

	$receiver->clear;
	$copy->sql($copy->moving(4, '/ok/four'));
	$copy->sql('SELECT webhook.resume_database()');
	$copy->settle("$name, resumed");
	$copy->becomes('SELECT count(*) = 0 FROM webhook_internal.pending WHERE subscription_id <> 2', 't', "$name: resume_database() sends what waited");
	is(came('/ok/one'), 'K L', "$name: what had not been delivered is sent");
	is(came('/flip/three'), 'B C K L', "$name: in order");
	is(came('/ok/two'), '', "$name: a paused subscription gets nothing");
	is(came('/ok/four'), $name eq 'twin' ? 'H1 H2' : 'H2', "$name: what had waited for the one in flight is sent");
	$copy->change(1, 'M');
	$copy->settle("$name, then");
	is(came('/ok/one'), 'K L M', "$name: new events are sent");
	$copy->sql('SELECT webhook.resume(2)');
	$copy->settle("$name, not paused any more");
	is(came('/ok/two'), 'A B C K L M', "$name: after resume() the paused subscription gets all, in order");
	is($copy->sql('SELECT count(*) FROM webhook_internal.pending'), 0, "$name: nothing waits");
	my ($call) = $receiver->requests(qr/one/);
	is($call->{headers}{'x-tenant'}, 'acme', "$name: the headers are those of the original");
	is($copy->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = 1 AND requested_at IS NOT NULL
			AND webhook.verify('$secret', request_headers, request_body, NULL) IS NOT TRUE"),
		0, "$name: so is the secret");
	$copy->sql("SELECT webhook.subscribe('@{[ $receiver->url('/ok/five') ]}', '{$type}')");
	$copy->change(1, 'N');
	$copy->settle("$name, a new subscription");
	is(came('/ok/five'), 'N', "$name: a new subscription gets events");
	$copy->sql('SELECT webhook.resume_database()');
	$copy->settle("$name, resumed twice");
	is(came('/ok/one'), 'K L M N', "$name: a second resume_database() changes nothing");
	$copy->restart;
	$copy->settle("$name, restarted");
	is(came('/ok/one'), 'K L M N', "$name: nor does a restart");
}
is($shop->sql('SELECT count(*) FROM webhook_internal.pending WHERE subscription_id = 2'), 4, 'the original still has what waits there');

{
	my $copy = $copies{discarded};

	$receiver->clear;
	$copy->sql('SELECT webhook.resume_database(discard => true)');
	$copy->settle('discarded');
	is(scalar $receiver->requests, 0, 'discard: what waited is not sent');
	is($copy->sql('SELECT count(*) FROM webhook_internal.pending'), 0, 'discard: nothing waits');
	is($copy->sql("SELECT count(*) FROM webhook.log WHERE outcome = 'cancelled' AND data->>'NewStatus' IN ('A', 'B', 'C', 'K', 'L')"),
		11, 'discard: the log has it as cancelled');
	is($copy->sql("SELECT count(*) FROM webhook.log WHERE outcome = 'cancelled' AND data->>'NewStatus' = 'H2'"),
		1, 'discard: also what had waited for the one in flight');
	$copy->change(1, 'M');
	$copy->settle('discarded, then');
	is(came('/ok/one'), 'M', 'discard: new events are sent');
	is(came('/flip/three'), 'M', 'discard: to the other subscription, too');
	$copy->sql('SELECT webhook.resume(2)');
	$copy->settle('discarded, not paused any more');
	is(came('/ok/two'), 'M', 'discard: after resume() the paused subscription gets new events only');
}

# ---- A database is dumped by its owner, who is no superuser

{
	my $kept = $elsewhere->database('kept');
	my $owner = 'keeper';

	$elsewhere->sql("CREATE ROLE $owner LOGIN");
	$elsewhere->sql("CREATE DATABASE kept OWNER $owner TEMPLATE template0");
	like($kept->messages('CREATE EXTENSION webhook'), qr/WARNING:  role $owner owns database "kept".*\n.*HINT:.*grant_backup\('$owner'\)/,
		'CREATE EXTENSION says what the owner of the database lacks');
	$kept->sql("SELECT webhook.grant_backup('$owner')");
	$kept->subscribe('/ok/kept');
	$kept->sql("SELECT webhook.publish('$type', '{}'); SELECT webhook.drain()");
	is_silent([ 'pg_dump', '--host', $elsewhere->node->host, '--port', $elsewhere->node->port, '--username', $owner,
		'--file', $elsewhere->node->basedir . '/kept.sql', 'kept' ], 'pg_dump by the owner of the database');
	$kept->sql("SELECT webhook.revoke('$owner')");
	is($kept->sql("SELECT count(*) FROM pg_class WHERE relacl::text ~ '$owner='"), 0, 'revoke() takes all of it back');
}

# ---- A database that is restored in its own place, in parallel

{
	my $dump = $server->node->basedir . '/elsewhere.custom';
	my @at = ('--host', $elsewhere->node->host, '--port', $elsewhere->node->port);
	my $copy = $copies{elsewhere};

	$receiver->fail_while(1);
	$copy->change(1, 'P');
	$copy->settle('before the dump');
	is(waiting($copy), '3P', 'before the dump: a delivery waits');
	is_silent([ 'pg_dump', @at, '--format', 'custom', '--file', $dump, 'shop' ], 'pg_dump of the copy');
	my $secrets = $copy->sql('SELECT string_agg(secret, chr(10) ORDER BY id) FROM webhook_internal.subscription_secret');

	# What the dump does not have: until pg_restore drops it, the database sends nothing either.
	$copy->sql('SELECT webhook.pause(3)');
	$copy->settle('before the restore');
	$copy->becomes('SELECT in_flight FROM webhook.stat_worker', 0, 'before the restore: nothing is in flight');
	$receiver->clear;
	$receiver->fail_while(0);
	is_silent([ 'pg_restore', @at, '--dbname', 'shop', '--clean', '--if-exists', '--jobs', 4, '--exit-on-error', $dump ],
		'restoring in place, in parallel');
	$copy->wait_for_worker;
	is($copy->sql('SELECT string_agg(secret, chr(10) ORDER BY id) FROM webhook_internal.subscription_secret'), $secrets,
		'in place: all secrets are there');
	$copy->change(1, 'Q');
	$copy->settle('in place');
	is(came('/ok/one') . came('/flip/three'), '', 'in place: nothing is sent');
	is($copy->sql("SELECT count(*) FROM webhook.log WHERE outcome = 'failed'"), 0, 'in place: no delivery has failed');
	is($copy->sql('SELECT DISTINCT state FROM webhook.stat_subscription'), 'fenced', 'in place: all subscriptions are fenced');

	# A subscription without a secret waits.
	$copy->sql('DELETE FROM webhook_internal.subscription_secret WHERE subscription_id = 3; SELECT webhook.resume_database()');
	$copy->settle('in place, resumed');
	is(came('/ok/one'), 'Q', 'in place, resumed: new events are sent');
	is($copy->sql('SELECT state, reason FROM webhook.stat_subscription WHERE subscription_id = 3'),
		'waiting|it has no secret to sign with; webhook.rotate_secret() gives it one', 'a subscription without a secret waits');
	is(waiting($copy), '3P 3Q', 'so do its events');
	$copy->sql('SELECT webhook.rotate_secret(3)');
	$copy->becomes('SELECT count(*) FROM webhook_internal.pending', 0, 'a new secret: nothing waits');
	is(came('/flip/three'), 'P Q', 'a new secret: all is sent, in order');
}

$server->stop;
$elsewhere->stop;
$_->is_sound($_->node->name . ': nothing has crashed') foreach $server, $elsewhere;

done_testing();
