# 147_pg_upgrade.pl
#	  Does a cluster go on after pg_upgrade where it stopped, with all that waited,
#	  in order, and nothing twice?  Does a copy that is silent stay silent?
#
# UPGRADE_FROM is the directory of an older server, with the extension in it:
# what has its bin.  Without it the cluster is upgraded to its own version, after
# the checkpoint was told that it is one of the version before.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my @older = $ENV{UPGRADE_FROM} ? (install_path => $ENV{UPGRADE_FROM}) : ();

# initdb has another default from 18 on.
my @init = (extra => ['--data-checksums']);

# That the cluster can be copied is not said by "allows_streaming": from 18 on that
# adds a setting that older servers do not know.
my $original = Webhook::Test->new('original', <<"END", node => {@older}, init => {@init});
wal_level = replica
max_wal_senders = 5
webhook.retry_schedule = '@{[ join ', ', ('1s') x 90 ]}'
webhook.shutdown_grace = '100ms'
END
my $receiver = $original->receiver;
my $shop = $original->database('shop');

# Move a stopped server's cluster to this version, and start it there.
sub upgrade
{
	my ($old, $name, @options) = @_;
	my $new = Webhook::Test->new($name, '', stopped => 1, init => {@init}, receiver => $receiver);
	my $back = `pwd`;
	chomp $back;

	foreach my $database (@older ? () : qw(shop twin))
	{
		my $input = 'UPDATE webhook_internal.checkpoint SET server_version = 140000';
		run_log([ 'postgres', '--single', '-D', $old->node->data_dir, $database ], '<', \$input)
		  or die "postgres --single: $?";
	}

	my $requests = $receiver->requests;
	chdir $new->node->basedir or die "chdir: $!";
	my ($stdout, $stderr) = run_command([
		$new->node->config_data('--bindir') . '/pg_upgrade', '--no-sync', @options,
		'--old-datadir', $old->node->data_dir, '--new-datadir', $new->node->data_dir,
		'--old-bindir', $old->node->config_data('--bindir'), '--new-bindir', $new->node->config_data('--bindir'),
		'--socketdir', $new->node->host,
		'--old-port', $old->node->port, '--new-port', $new->node->port ]);
	my $status = $?;
	chdir $back or die "chdir: $!";
	is($status, 0, "$name: pg_upgrade @options") or diag("$stdout\n$stderr");
	is(scalar $receiver->requests, $requests, "$name: pg_upgrade itself sends nothing");
	$new->start;
	return $new;
}

# Where nothing comes while nothing is sent: the original sends to /flip/three
# until it ends.
my $silent = qr/ok/;

# A database sends nothing, whatever changes in it.
sub is_silent
{
	my ($where, $status, $reason, $what) = @_;
	my $requests = $receiver->requests($silent);

	$where->change(1, $status);
	$where->settle($what);
	is(scalar $receiver->requests($silent), $requests, "$what: sends nothing");
	like($where->sql(q{SELECT string_agg(DISTINCT state || ': ' || reason, ', ') FROM webhook.stat_subscription}),
		qr/^fenced: [^,]*$reason[^,]*$/, "$what: all subscriptions are fenced");
	return;
}

# ---- The original: deliveries that are paused, failing, in flight, and not sent

$original->sql('CREATE DATABASE shop TEMPLATE template0');
$shop->prepare;
$shop->sql("INSERT INTO business_request VALUES (1, 'before')");
my $one = $shop->subscribe('/ok/one');
my $two = $shop->subscribe('/ok/two');
my $three = $shop->subscribe('/flip/three');
$shop->change(1, 'A');
$shop->settle('the original');
$shop->sql("SELECT webhook.pause($two)");
$receiver->fail_while(1);
$shop->change(1, qw(B C));
$shop->settle('paused and failing');
is($shop->sql('SELECT array_agg(subscription_id ORDER BY subscription_id, position) FROM webhook_internal.pending'),
	"{$two,$two,$three,$three}", 'deliveries are pending');

# ---- Copies of it: a database and a cluster

$original->sql('CREATE DATABASE twin TEMPLATE shop');
is_silent($original->database('twin'), 'T', 'to another database', 'a database made from a template');
$original->node->backup('beside');
my $node = PostgreSQL::Test::Cluster->new('copy', @older);
$node->init_from_backup($original->node, 'beside');
my $copy = Webhook::Test->wrap($node, receiver => $receiver);
$copy->start;
is_silent($copy->database('shop'), 'K', 'copy of the data directory', 'a copy of the cluster');

# ---- The end of the old servers

my $four = $shop->subscribe('/hang/four');
$shop->change(1, 'D');
$receiver->wait_for(1, qr/four/);
$shop->sql($shop->moving($four, '/ok/four'));
$original->set('webhook.enabled', 'off');
$shop->change(1, qw(E F));
my $five = $shop->subscribe('/ok/five');
$_->stop foreach $original, $copy;
$receiver->fail_while(0);
$silent = qr/./;

# ---- The upgraded cluster goes on

my $upgraded = upgrade($original, 'upgraded');
my $new = $upgraded->database('shop');
$new->change(1, 'G');
$new->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id <> $two", '0', 'upgraded: nothing waits');
$new->settle('upgraded');
is($new->statuses('/ok/one'), 'A B C D E F G', 'upgraded: what had waited is sent, once, and what is new');
is($new->first_statuses('/flip/three'), 'A B C D E F G', 'upgraded: so is what had failed');
is($new->statuses('/ok/four'), 'D E F G', 'upgraded: and what had been in flight');
is($new->statuses('/ok/five'), 'G', 'upgraded: a subscription gets nothing from before its time');
is($new->statuses('/ok/two'), 'A', 'upgraded: a paused subscription waits');
$new->sql("SELECT webhook.resume($two)");
$new->settle('upgraded, not paused any more');
is($new->statuses('/ok/two'), 'A B C D E F G', 'upgraded: after resume() it gets all, in order');
is($new->sql('SELECT count(*) FROM webhook_internal.pending'), '0', 'upgraded: all has been sent');
is($new->sql(qq{SELECT string_agg(substring(request_body FROM '"NewStatus":"(.)"'), ' ' ORDER BY position)
		FROM webhook.log WHERE subscription_id = $one AND outcome = 'delivered'}),
	'A B C D E F G', 'upgraded: the log has the rows from before and the new ones');
is($new->sql("SELECT error_class FROM webhook.log WHERE subscription_id = $four AND outcome = 'retrying'"),
	'shutdown', 'upgraded: the request that was cut off is one of them');
my @fenced = ($upgraded->database('twin'), 'U', 'to another database', 'a database made from a template, upgraded');
is_silent(@fenced);
$upgraded->restart;
$new->change(1, 'H');
$new->settle('upgraded and restarted');
is($new->statuses('/ok/one'), 'A B C D E F G H', 'upgraded and restarted: sends');
is_silent(@fenced);

# ---- The copy stays silent

my $upgraded_copy = upgrade($copy, 'upgraded_copy', '--link');
my $copied = $upgraded_copy->database('shop');
is_silent($copied, 'L', 'copy of the data directory', 'an upgraded copy');
$upgraded_copy->restart;
is_silent($copied, 'M', 'copy of the data directory', 'an upgraded copy, restarted');
$receiver->clear;
$copied->sql('SELECT webhook.resume_database()');
$copied->becomes("SELECT count(*) FROM webhook_internal.pending WHERE subscription_id <> $two", '0', 'resumed: nothing waits');
$copied->settle('resumed');
is($copied->statuses('/ok/one'), 'K L M', 'resumed: sends what has waited');
is($copied->statuses('/flip/three'), 'B C K L M', 'resumed: also what had waited before it was copied');

$_->stop foreach $upgraded, $upgraded_copy;
foreach my $server ($original, $copy, $upgraded, $upgraded_copy)
{
	$server->is_sound($server->node->name . ': nothing has crashed');
}

done_testing();
