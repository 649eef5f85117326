# Test.pm
#	  A server with the extension, a watched table and a receiver, for tests
#	  that interfere with it while it delivers.
#
# A session is a psql at the other end of two pipes, so that a test holds
# transactions open, and takes the loss of its connection as an answer.

package Webhook::Test;

use strict;
use warnings;

use IPC::Open3;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Webhook::Receiver;
use Test::More;
use Time::HiRes qw(sleep time);

my $type = 'App.BusinessRequestStatusChange';

# A server started with these settings; the extension comes with prepare().
sub new
{
	my ($class, $name, $settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf'));
	$node->append_conf('postgresql.conf', "restart_after_crash = on\n$settings");
	$node->start;
	return bless {
		node => $node,
		receiver => Webhook::Receiver->new(file => "$node->{_basedir}/received"),
	}, $class;
}

sub prepare
{
	my ($self) = @_;
	$self->sql(<<'END');
CREATE EXTENSION webhook;
CREATE TABLE business_request (
	id		bigint PRIMARY KEY,
	status	text,
	n		integer NOT NULL DEFAULT 1
);
SELECT webhook.watch('business_request', data_columns => '{n}');
END
	return;
}

sub node { return $_[0]{node}; }
sub receiver { return $_[0]{receiver}; }
sub sql { return $_[0]{node}->safe_psql('postgres', $_[1]); }

sub settle
{
	my ($self, $what, $timeout) = @_;
	$timeout //= '30 s';
	is($self->sql("SELECT webhook.drain('$timeout')"), 't', "$what: drained")
	  or diag($self->sql('SELECT * FROM webhook.stat_worker; SELECT subscription_id, subject, position, attempt, next_at FROM webhook_internal.pending LIMIT 20'));
	return;
}

# The statement that subscribes a path of the receiver, or any URL.
sub subscription
{
	my ($self, $path, $more) = @_;
	my $url = $path =~ m{^/} ? $self->{receiver}->url($path) : $path;
	$more = $more ? ", $more" : '';
	return "SELECT webhook.subscribe('$url', '{$type}'$more)";
}

sub subscribe { my $self = shift; return $self->sql($self->subscription(@_)); }

sub unsubscribe_all
{
	my ($self) = @_;
	$self->sql('SELECT webhook.unsubscribe(id) FROM webhook.subscription');
	return;
}

# What came to a path: an array of [contract, old, new, attempt, Id], as text.
sub received
{
	my ($self, $path) = @_;
	my @received;

	foreach my $request ($self->{receiver}->requests($path ? qr/^\Q$path\E$/ : undef))
	{
		my ($id, $attempt, $contract, $old, $new) = $request->{body} =~
		  /^\{"Id":"([^"]*)",.*?"Attempt":(\d+),"Data":\{"BusinessRequestId":(\d+),"OldStatus":(?:null|"([^"]*)"),"NewStatus":(?:null|"([^"]*)")/
		  or die "unexpected body: $request->{body}";
		push @received, {
			id => $id,
			attempt => $attempt,
			contract => $contract,
			old => $old // '',
			new => $new // '',
			path => $request->{path},
			time => $request->{time},
		};
	}
	return @received;
}

# The worker's pid, '' where there is none, or nobody to ask.  A psql that finds
# no server is gone before it is told what to ask, which IPC::Run dies of.
sub worker
{
	my ($self) = @_;
	my ($status, $pid) = eval { $self->{node}->psql('postgres', 'SELECT pid FROM webhook.stat_worker'); };
	return defined $status && $status == 0 ? $pid : '';
}

# Wait for a worker, another one than that.
sub wait_for_worker
{
	my ($self, $before) = @_;
	my $until = time() + 60;

	while (time() < $until)
	{
		my $pid = $self->worker;
		return $pid if $pid and $pid ne ($before // '');
		sleep 0.02;
	}
	die 'there is no worker';
}

# Send the worker a signal that ends it, and wait for the next one.  SIGKILL
# makes the postmaster restart the whole server.
sub end_worker
{
	my ($self, $signal) = @_;
	my $pid = $self->wait_for_worker;

	kill $signal, $pid or die "kill $pid: $!";
	return $self->wait_for_worker($pid);
}

# As by a power failure, as far as the server can tell.
sub crash
{
	my ($self) = @_;
	$self->{node}->stop('immediate');
	$self->{node}->start;
	$self->wait_for_worker;
	return;
}

sub set
{
	my ($self, $name, $value) = @_;
	$self->sql("ALTER SYSTEM SET $name = '$value'");
	$self->{node}->reload;
	return;
}

# The leaf of the log that is written to.
sub log_leaf
{
	my ($self) = @_;
	return $self->sql(<<'END');
SELECT tableoid::regclass FROM webhook.log ORDER BY logged_at DESC LIMIT 1
END
}

sub session
{
	my ($self) = @_;
	return Webhook::Test::Session->new($self->{node}->connstr('postgres'));
}

package Webhook::Test::Session;

sub new
{
	my ($class, $connection) = @_;
	my ($in, $out);
	local *ERROR;

	open ERROR, '>', '/dev/null' or die "/dev/null: $!";
	my $pid = IPC::Open3::open3($in, $out, '>&ERROR', 'psql', '-XAtq', '-d', $connection);
	$in->autoflush(1);
	return bless { pid => $pid, in => $in, out => $out }, $class;
}

# What the statements return, errors left out; undef: the connection is lost.
sub run
{
	my ($self, $statements) = @_;
	return $self->start($statements) ? $self->result : undef;
}

# The same in two steps, for statements that take their time.
sub start
{
	my ($self, $statements) = @_;
	local $SIG{PIPE} = 'IGNORE';
	return print { $self->{in} } "$statements;\n\\echo ==done\n";
}

sub result
{
	my ($self) = @_;
	my $result = '';

	while (my $line = readline $self->{out})
	{
		return $result if $line eq "==done\n";
		$result .= $line;
	}
	return undef;
}

# End the session, an open transaction with it.
sub quit
{
	my ($self) = @_;
	local $SIG{PIPE} = 'IGNORE';
	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
	return;
}

1;
