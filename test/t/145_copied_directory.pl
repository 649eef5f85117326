# 145_copied_directory.pl
#	  Is a copy of the server's files silent until it is told to send, whatever
#	  happens to it?  Does the server go on where it is no copy: after a restart,
#	  a crash, a move, and as a standby that is promoted?

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $original = Webhook::Test->new('original', <<'END', init => { allows_streaming => 1 });
webhook.retry_schedule = '1s, 1h'
wal_log_hints = on
restart_after_crash = on
END
my $receiver = $original->receiver;
my $changes = 0;
my @all = ($original);

# The two databases of a server.
sub databases { my ($server) = @_; return map { $server->database($_) } qw(postgres second); }

# Change something in each database of a server; returns the new statuses.
sub changed
{
	my ($server, @databases) = @_;
	@databases = databases($server) unless @databases;
	my %statuses = map { ('S' . ++$changes => $_) } @databases;

	foreach my $status (keys %statuses)
	{
		my $drained = $statuses{$status}->sql($server->changes(1, $status) . "; SELECT webhook.drain('60 s')");
		is($drained, 't', "$status: drained") || $statuses{$status}->show_state;
	}
	return keys %statuses;
}

# How often these new statuses have come.
sub came
{
	my $statuses = join '|', @_;
	return scalar grep { $_->{body} =~ /"NewStatus":"(?:$statuses)"/ } $receiver->requests(qr/ok/);
}

sub sends
{
	my ($server, $what, @databases) = @_;
	my @statuses = changed($server, @databases);
	return is(came(@statuses), scalar @statuses, "$what: sends");
}

sub is_silent
{
	my ($server, $what) = @_;
	my $before = $receiver->requests;

	is(came(changed($server)), 0, "$what: sends nothing new");
	is(scalar $receiver->requests, $before, "$what: sends nothing that waited");
	return is($server->sql(q{SELECT string_agg(DISTINCT state, ' ') FROM webhook.stat_subscription}), 'fenced', "$what: is fenced");
}

# A server in a copy of another one's backup that is not started yet.
sub copy_of
{
	my ($server, $name, $backup, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init_from_backup($server->node, $backup, %options);
	push @all, Webhook::Test->wrap($node, receiver => $receiver);
	return $all[-1];
}

# End a process of the server as a fault in it would.  Without hot standby, pg_ctl
# does not wait for a server that recovers.
sub crash_backend
{
	my ($server) = @_;
	$server->poll('SELECT true');
	my $since = $server->log_end;

	$server->psql(q{COPY (SELECT 1) TO PROGRAM 'kill -KILL $PPID'});
	$server->node->wait_for_log(qr/ready to accept connections/, $since);
	return;
}

# Edit the file in place: it stays the same file.
sub edit
{
	my ($server, $from, $to) = @_;
	my $file = $server->node->data_dir . '/webhook.directory';
	my $text = slurp_file($file);

	$text =~ s/$from/$to/ or die "no $from in $text";
	open my $handle, '+<', $file or die "$file: $!";
	truncate $handle, 0;
	print $handle $text;
	close $handle or die "$file: $!";
	return;
}

$original->sql('CREATE DATABASE second TEMPLATE template0');
foreach (databases($original))
{
	$_->prepare;
	$_->subscribe('/ok/all');
	$_->subscribe('/fail/all');
	$_->sql("INSERT INTO business_request VALUES (1, 'new')");
	$_->settle('the original');
}
foreach (databases($original))
{
	$_->becomes('SELECT count(*) FROM webhook_internal.pending WHERE attempt = 2', '1', 'a delivery waits, for an hour');
}

# ---- The same directory

$original->restart;
sends($original, 'restarted');
crash_backend($original);
sends($original, 'after a crash');

# ---- Copies

$original->node->backup('beside');
my $copy = copy_of($original, 'copy', 'beside');
$copy->start;
is_silent($copy, 'a base backup beside the original');
$copy->logs(qr/WARNING:  webhook sends nothing from database "second".*\n.*DETAIL:.*\n.*HINT:  .*resume_database/, 0, 'the log says so');
$copy->restart;
is_silent($copy, 'restarted');
crash_backend($copy);
is_silent($copy, 'after a crash');

$copy->node->backup('of_copy');
my $standby_of_copy = copy_of($copy, 'standby_of_copy', 'of_copy', has_streaming => 1);
$standby_of_copy->start;
$standby_of_copy->node->promote;
is_silent($standby_of_copy, 'a standby of a copy, promoted');

sends($original, 'the original beside its copies');

$copy->database('second')->sql('SELECT webhook.resume_database()');
$copy->restart;
sends($copy, 'resumed and restarted', $copy->database('second'));
is($copy->sql("SELECT DISTINCT state FROM webhook.stat_subscription"), 'fenced', 'the other database is still fenced');
$copy->stop;
$standby_of_copy->stop;

my $recovered = copy_of($original, 'recovered', 'beside');
$recovered->node->append_conf('postgresql.conf', <<'END');
restore_command = 'false'
recovery_target = 'immediate'
recovery_target_action = 'promote'
END
$recovered->node->set_recovery_mode;
$recovered->start;
$recovered->poll('SELECT NOT pg_is_in_recovery()');
is_silent($recovered, 'recovered to a point in time');
$recovered->stop;

$original->stop;
system_or_bail('cp', '-a', $original->node->data_dir, $original->node->backup_dir . '/cold');
my $cold = copy_of($original, 'cold', 'cold');
$cold->start;
is_silent($cold, 'files of a stopped server');
$cold->stop;

# ---- The same directory elsewhere

my $pgdata = $original->node->data_dir;
rename $pgdata, "$pgdata.moved" or die "rename: $!";
symlink "$pgdata.moved", $pgdata or die "symlink: $!";
edit($original, qr/^born .*$/m, 'born -');
$original->start;
sends($original, 'moved within its file system, which has no times of birth');

# ---- A standby that is promoted

$original->node->backup('standby');
my $standby = copy_of($original, 'standby', 'standby', has_streaming => 1);
$standby->node->append_conf('postgresql.conf', 'hot_standby = off');
$standby->start;
my $cascaded = copy_of($original, 'cascaded', 'standby', has_streaming => 1);
$cascaded->node->append_conf('postgresql.conf',
	"primary_conninfo = '@{[ $standby->node->connstr ]} application_name=cascaded'");
$cascaded->start;

# In one database the worker starts long after the promotion, and after a stop and a crash.
$original->database('second')->sql(<<'END');
BEGIN;
LOCK TABLE webhook_internal.checkpoint;
PREPARE TRANSACTION 'later';
END
$original->stop;
$standby->node->promote;
$standby->stop('immediate');
$standby->start;
crash_backend($standby);
$standby->database('second')->sql("ROLLBACK PREPARED 'later'");
sends($standby, 'a standby, promoted');

# Back, without pg_rewind.
$original->node->enable_streaming($standby->node);
$original->start;
$standby->set(synchronous_standby_names => 'original');
sends($standby, 'with a synchronous standby');
$standby->node->wait_for_catchup('cascaded');
$standby->stop;
$original->node->promote;
sends($original, 'the former primary, promoted');
$cascaded->node->promote;
sends($cascaded, 'a cascaded standby, promoted');
$cascaded->stop;

# Back again, with pg_rewind: it brings the file of the other server.
my $conf = $standby->node->data_dir . '/postgresql.conf';
my $settings = slurp_file($conf);
$standby->node->append_conf('postgresql.conf', 'synchronous_standby_names = \'\'');
unlink $standby->node->data_dir . '/postgresql.auto.conf';
$standby->start;
sends($standby, 'a former primary that was started beside the new one');
$standby->stop;
# pg_rewind takes the timeline of the last checkpoint.
$original->sql('CHECKPOINT');
command_ok([ 'pg_rewind', '--no-sync', '--source-server', $original->node->connstr('postgres'),
	'--target-pgdata', $standby->node->data_dir ], 'pg_rewind');
append_to_file("$conf.new", $settings);
rename "$conf.new", $conf or die "rename: $!";
$standby->node->enable_streaming($original->node);
$standby->start;
$original->stop;
$standby->node->promote;
sends($standby, 'a rewound server, promoted');
$standby->stop;

# ---- A directory that has lost its file

my $file = $original->node->data_dir . '/webhook.directory';
unlink $file or die "$file: $!";
$original->node->append_conf('postgresql.conf', 'webhook.fence_copies = off');
$original->start;
sends($original, 'a copy without webhook.fence_copies');
$original->stop;
edit($original, qr/^born .*$/m, 'born 1.000000001');
$original->node->append_conf('postgresql.conf', 'webhook.fence_copies = on');
$original->start;
is_silent($original, 'a file that was born at another time');
$_->sql('SELECT webhook.resume_database()') foreach databases($original);
$original->restart;
sends($original, 'resumed');

# ---- A restore in place that has left the file alone, as one does that copies only what differs

$original->node->backup('over');
$original->stop;
{
	my ($from, $to) = ($original->node->backup_dir . '/over', $original->node->data_dir);
	system_or_bail('cp', "$from/backup_label", $to);
	system_or_bail('cp', '-n', glob("$from/pg_wal/0*"), "$to/pg_wal");
}
$original->start;
is_silent($original, 'a base backup in place');
$_->sql('SELECT webhook.resume_database()') foreach databases($original);
$original->restart;
sends($original, 'resumed again');

$original->stop;
$original->node->append_conf('postgresql.conf', "restore_command = 'false'");
append_to_file($original->node->data_dir . '/recovery.signal', '');
$original->start;
is_silent($original, 'a directory that is recovered from an archive');
$original->restart;
is_silent($original, '... restarted');

foreach (@all)
{
	$_->stop if $_->node->{_pid};
	unlike($_->log_since, qr/TRAP|PANIC|terminated by signal (?!9:)|invalid page/, $_->node->name . ': nothing else has crashed');
}
done_testing();
