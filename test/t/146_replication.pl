# 146_replication.pl
#	  Does what logical replication brings into our tables, a publication FOR ALL
#	  TABLES for example, change nothing of what is sent?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

# Two databases of one server: rows go from "source" to "target".
my $server = Webhook::Test->new('server', <<'END');
wal_level = logical
max_wal_senders = 5
max_replication_slots = 5
webhook.retry_schedule = '1s, 1s, 1h'
END
my $receiver = $server->receiver;
my %in = map { $_ => $server->database($_) } qw(source target);

# What the target's tables hold, of which nothing may come from the source.
sub held
{
	return $in{target}->sql(<<'END');
SELECT 'type', name FROM webhook_internal.event_type ORDER BY name;
SELECT 'subscription', id, endpoint, paused FROM webhook_internal.subscription ORDER BY id;
SELECT 'secret', id, subscription_id, secret FROM webhook_internal.subscription_secret ORDER BY id;
SELECT 'pending', count(*) FROM webhook_internal.pending;
SELECT 'state', subscription_id, failed, retried FROM webhook_internal.subscription_state ORDER BY 2;
SELECT 'log', count(*), count(*) FILTER (WHERE endpoint ~ 'source') FROM webhook.log;
SELECT 'ring', count(*) FROM webhook.event;
SELECT 'checkpoint', worker, home = webhook_internal.home() FROM webhook_internal.checkpoint;
END
}

foreach my $name (sort keys %in)
{
	$server->sql("CREATE DATABASE $name TEMPLATE template0");
	# The script of the extension deletes and updates nothing that a publication would have to name.
	$in{$name}->sql('CREATE PUBLICATION before FOR ALL TABLES') if $name eq 'source';
	$in{$name}->prepare;
	is($in{$name}->sql(q{SELECT count(*) FROM webhook.audit WHERE action ~ '^(grant|revoke)'}), 0, 'the audit has no acts of the script');
	$in{$name}->sql('CREATE TABLE plain (id bigint PRIMARY KEY)');
	$in{$name}->subscribe("/ok/$name");
}
$in{target}->sql("SELECT webhook.publish('$type', '{}')");
$in{target}->settle('the target');
is(scalar $receiver->requests('/ok/target'), 1, 'the target sends an event of its own');
$in{target}->becomes('SELECT count(*) FROM webhook_internal.subscription_state', 1, 'its state is saved');

# The source has all that can be brought: waiting deliveries, a log, a second subscription.
$in{source}->sql("SELECT webhook.define_event_type('App.Source')");
my $failing = $in{source}->subscribe('/fail/source', "events => '{App.Source}'");
$in{source}->sql("INSERT INTO business_request VALUES (1, 'A'); SELECT webhook.publish('App.Source', '1', 'x') FROM generate_series(1, 3)");
$in{source}->settle('the source');
$in{source}->becomes('SELECT count(*) > 0 FROM webhook_internal.pending', 't', 'deliveries wait in the source');

my $before = held();
$in{source}->sql(<<'END');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root);
SELECT pg_create_logical_replication_slot('everything', 'pgoutput');
END
my $connection = $server->node->connstr('source') =~ s/'/''/gr;
$in{target}->sql("CREATE SUBSCRIPTION everything CONNECTION '$connection'
	PUBLICATION everything WITH (create_slot = false)");
$in{target}->becomes("SELECT count(*) > 0 AND bool_and(srsubstate = 'r') FROM pg_subscription_rel", 't', 'all tables are copied');
is(held(), $before, 'the copied rows have changed nothing');

$in{source}->sql(<<"END");
SELECT webhook.pause(1);
SELECT webhook.rotate_secret(1);
SELECT webhook.rotate_secret($failing);
SELECT webhook.publish('App.Source', '2', 'y');
UPDATE business_request SET status = 'B';
SELECT webhook.drain();
SELECT webhook.unsubscribe($failing);
SELECT webhook.drain();
INSERT INTO plain VALUES (1);
END
$in{target}->becomes('SELECT count(*) FROM plain', 1, 'changes of the source arrive');
is(held(), $before, 'they have changed nothing of ours');
is($in{target}->sql('SELECT status FROM business_request'), 'B', 'a row of a watched table has arrived');

$in{target}->restart_worker;
$in{target}->sql("SELECT webhook.publish('$type', '{}')");
$in{target}->settle('the target');
is(scalar $receiver->requests('/ok/target'), 2, 'the target goes on sending its own events, and no others');
is($in{target}->sql("SELECT string_agg(tgenabled::text, '') FROM pg_partition_tree('webhook.log') JOIN pg_trigger ON tgrelid = relid"),
	'RR', 'a new leaf of the log has the trigger, too');

$in{target}->sql('ALTER SUBSCRIPTION everything DISABLE; ALTER SUBSCRIPTION everything SET (slot_name = NONE); DROP SUBSCRIPTION everything');
$server->stop;
$server->is_sound;

done_testing();
