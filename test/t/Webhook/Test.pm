# Test.pm
#	  A server with the extension, and what the suites do with it: run SQL, wait
#	  for a condition, publish, subscribe, look at what a receiver got, end a
#	  worker, restart the server, look at its log.
#
# An object stands for one database of one server.  database() returns another
# object for another database of the same server.  Everything that waits has a
# limit and fails at it; nothing sleeps for as long as something usually takes.

package Webhook::Test;

use strict;
use warnings;

use Exporter qw(import);
use List::Util qw(uniq);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use Webhook::Receiver;
use Webhook::Session;

our @EXPORT = qw($type give_descriptors shim take_descriptors wait_until);

# The event type that is there from the start.
our $type = 'App.BusinessRequestStatusChange';

# ---- Server

# A running server that preloads the library and has these settings beside
# those of test/webhook.conf.  Options: node and init, hashes of arguments for
# PostgreSQL::Test::Cluster's new() and init(); env, a hash of variables that the
# server gets in its environment at each start; plain, true for a server without
# the library; stopped, true for one that is not started yet; receiver, see
# wrap().
sub new
{
	my ($class, $name, $settings, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name, %{ $options{node} // {} });
	my $self = $class->wrap($node, %options);

	$node->init(%{ $options{init} // {} });
	$node->append_conf('postgresql.conf', slurp_file('test/webhook.conf')) unless $options{plain};
	$node->append_conf('postgresql.conf', $settings) if $settings;
	$self->start unless $options{stopped};
	return $self;
}

# The same for a node that somebody else has made.  Options: env as above;
# receiver, where this server's subscriptions lead if not to a new receiver.
sub wrap
{
	my ($class, $node, %options) = @_;
	return bless {
		node => $node,
		database => 'postgres',
		env => $options{env} // {},
		shared => { receiver => $options{receiver} },
	}, $class;
}

# Another database of the same server, with the same receiver.  It need not
# exist yet.
sub database
{
	my ($self, $database) = @_;
	return bless { %$self, database => $database }, ref $self;
}

sub node { return $_[0]{node}; }

# The receiver is started when it is asked for first.
sub receiver
{
	my ($self) = @_;
	return $self->{shared}{receiver} //= Webhook::Receiver->new(file => $self->{node}->basedir . '/received');
}

sub start { my $self = shift; return $self->with_env(start => @_); }
sub restart { my $self = shift; return $self->with_env(restart => @_); }
sub stop { my $self = shift; return $self->with_env(stop => @_); }

sub with_env
{
	my ($self, $method, @arguments) = @_;
	local @ENV{ keys %{ $self->{env} } } = values %{ $self->{env} };
	$self->{node}->$method(@arguments);
	return;
}

# End the server as a power failure would, as far as it can tell, and start it.
sub crash
{
	my ($self) = @_;
	$self->stop('immediate');
	$self->start;
	$self->wait_for_worker;
	return;
}

# Change a setting of the server by a reload, or give it back its former value.
sub set { return $_[0]->change_setting("SET $_[1] = '$_[2]'"); }
sub reset { return $_[0]->change_setting("RESET $_[1]"); }

# Returns when all processes have been told: the postmaster signals them before
# it starts another session, so a session that finds another load time was
# started after that.
sub change_setting
{
	my ($self, $change) = @_;
	my $before = $self->sql('SELECT pg_conf_load_time()');

	$self->sql("ALTER SYSTEM $change");
	$self->{node}->reload;
	$self->poll("SELECT pg_conf_load_time() <> '$before'") or die "no reload: $change";
	return;
}

# Change a setting, see that it has the value and that nothing is left undone:
# two assertions.
sub reload_with
{
	my ($self, $name, $value) = @_;
	$self->set($name, $value);
	is($self->sql("SHOW $name"), $value, "$name = '$value'");
	return $self->settle("$name = '$value'");
}

# ---- SQL

# What statements return; an error ends the test.
sub sql { return $_[0]{node}->safe_psql($_[0]{database}, $_[1]); }

# psql's exit status, its output and its messages.  Options are those of
# PostgreSQL::Test::Cluster's psql().
sub psql
{
	my ($self, $text, %options) = @_;
	return $self->{node}->psql($self->{database}, $text, %options);
}

# The messages of statements: errors, and warnings with their details.
sub messages { return (psql(@_))[2]; }

# A psql at the other end of two pipes, which outlives errors and takes the loss
# of its connection as an answer.
sub session { return Webhook::Session->new($_[0]{node}->connstr($_[0]{database})); }

# A session of PostgreSQL's own test library; an error ends the test.
sub background { return $_[0]{node}->background_psql($_[0]{database}, on_error_stop => 1); }

# Such a session in an open transaction that has run these statements, and its
# end.
sub hold
{
	my ($self, $statements, $begin) = @_;
	my $session = $self->background;
	$session->query_safe(($begin // 'BEGIN') . "; $statements;");
	return $session;
}

sub let_go
{
	my ($self, $session) = @_;
	$session->query_safe('COMMIT');
	$session->quit;
	return;
}

# ---- Waiting

# Wait until a condition, a block, is true.  Returns its last value, false after
# that many seconds (the longest that tests wait).
sub wait_until(&;$)
{
	my ($condition, $seconds) = @_;
	my $until = time() + ($seconds // $PostgreSQL::Test::Utils::timeout_default);

	while (1)
	{
		my $value = $condition->();
		return $value if $value or time() > $until;
		sleep 0.01;
	}
}

# Wait until a query returns what is expected, 't' by default. One session asks again
# and again; after an error or the loss of its connection, another one.
sub poll
{
	my ($self, $query, $expected) = @_;
	my ($session, $result);

	$expected //= 't';
	my $found = wait_until
	{
		$session //= $self->session;
		$result = $session->ask($query);
		return $result eq $expected if defined $result;
		$session->quit;
		undef $session;
		return 0;
	};
	$session->quit if $session;
	diag("$query\nexpected: $expected\nlast result: " . ($result // 'an error')) unless $found;
	return $found;
}

# The same as an assertion.
sub becomes
{
	my ($self, $query, $expected, $what) = @_;
	return ok($self->poll($query, $expected), $what) || $self->show_state;
}

# Wait until nothing that has been committed is due any more: an assertion.
sub settle
{
	my ($self, $what) = @_;
	my $timeout = "$PostgreSQL::Test::Utils::timeout_default s";
	return is($self->sql("SELECT webhook.drain('$timeout')"), 't', "$what: drained")
	  || $self->show_state;
}

# What the extension's own tables say, beside an assertion that has failed.
sub show_state
{
	my ($self) = @_;
	my (undef, $state, $errors) = $self->psql(<<'END', extra_params => ['-x']);
TABLE webhook.stat_worker;
TABLE webhook.stat_subscription;
SELECT * FROM webhook_internal.subscription_state;
SELECT subscription_id, subject, position, event_id, attempt, step, next_at
FROM webhook_internal.pending LIMIT 20;
SELECT logged_at, subscription_id, event_id, attempt, outcome, response_status, error_class, error
FROM webhook.log ORDER BY logged_at DESC LIMIT 20;
END
	diag($state, $errors);
	return 0;
}

# ---- The extension

# The extension and a watched table, as most suites use them.
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

# The statement that subscribes a path of the receiver, or any URL, to $type or
# to the "events" among the options.  Options are arguments of subscribe() as
# SQL has them: q(ordered => false).
sub subscription
{
	my ($self, $path, @options) = @_;
	@options = grep { defined } @options;
	my $url = $path =~ m{^/} ? $self->receiver->url($path) : $path;

	unshift @options, "events => '{$type}'" unless grep { /\bevents =>/ } @options;
	return "SELECT webhook.subscribe('$url', " . join(', ', @options) . ')';
}

# Run it; returns the subscription's id.
sub subscribe { my $self = shift; return $self->sql($self->subscription(@_)); }

# Subscribe a path to an event type of its own; returns that and the id.
sub subscribe_own
{
	my ($self, $path, @options) = @_;
	my $own = 'App.Own' . ++$self->{shared}{types};

	$self->sql("SELECT webhook.define_event_type('$own')");
	return ($own, $self->subscribe($path, "events => '{$own}'", @options));
}

# Other arguments for a subscription: alter($id, q(max_in_flight => 1)).
sub alter
{
	my ($self, $id, @options) = @_;
	$self->sql("SELECT webhook.alter_subscription($id, " . join(', ', @options) . ')');
	return;
}

# The statement that gives a subscription another path of the receiver.
sub moving
{
	my ($self, $id, $path) = @_;
	return "SELECT webhook.alter_subscription($id, endpoint => '@{[ $self->receiver->url($path) ]}')";
}

sub unsubscribe
{
	my ($self, @ids) = @_;
	$self->sql(join ';', map { "SELECT webhook.unsubscribe($_)" } @ids);
	return;
}

sub unsubscribe_all
{
	my ($self) = @_;
	$self->sql('SELECT webhook.unsubscribe(id) FROM webhook.subscription');
	return;
}

# Statements that change a contract of business_request to these statuses, and
# the same at once, in a transaction each.
sub changes
{
	my ($self, $contract, @statuses) = @_;
	return join ';', map { "UPDATE business_request SET status = '$_' WHERE id = $contract" } @statuses;
}

sub change { my $self = shift; $self->sql($self->changes(@_)); return; }

# Publish one event; data is an SQL expression.  Returns its Id.
sub publish
{
	my ($self, $event_type, $data, $subject) = @_;
	$subject = defined $subject ? ", '$subject'" : '';
	return $self->sql("SELECT webhook.publish('$event_type', $data$subject)");
}

# Publish so many events in one transaction; the data of each is its number.
# The subject is an SQL expression of n, the number: by default another subject
# for each.
sub publish_many
{
	my ($self, $event_type, $count, $subject) = @_;
	$subject //= "'$event_type/' || n";
	$self->sql("SELECT count(webhook.publish('$event_type', to_json(n), $subject)) FROM generate_series(1, $count) n");
	return;
}

# A column of webhook.stat_worker, or several.
sub stat_worker { return $_[0]->sql("SELECT $_[1] FROM webhook.stat_worker"); }

# The same of the rows of webhook_internal.pending that a subscription has.
sub pending { return $_[0]->sql("SELECT $_[2] FROM webhook_internal.pending WHERE subscription_id = $_[1]"); }

# Subscriptions whose number of waiting deliveries is kept and is not that of the
# rows: "id: number, not number", one a line.
sub miscounted
{
	my ($self) = @_;
	return $self->sql(<<'END');
SELECT format('%s: %s, not %s', c.subscription_id, c.pending, coalesce(p.n, 0))
FROM webhook_internal.pending_count c
	LEFT JOIN (SELECT subscription_id, count(*) AS n FROM webhook_internal.pending GROUP BY 1) p
		USING (subscription_id)
WHERE c.pending <> coalesce(p.n, 0)
ORDER BY c.subscription_id
END
}

# The attempts of a subscription, and deliveries that ended without one, in the
# order of the ring: "1 retrying status 500, 2 delivered 200".
sub attempts
{
	my ($self, $id) = @_;
	return $self->sql(<<"END");
SELECT string_agg(concat_ws(' ', attempt, outcome, error_class, response_status), ', '
	ORDER BY id, attempt, logged_at, method NULLS LAST)
FROM webhook.log WHERE subscription_id = $id
END
}

# The leaf of the log that was written to last.
sub log_leaf
{
	my ($self) = @_;
	return $self->sql('SELECT tableoid::regclass FROM webhook.log ORDER BY logged_at DESC LIMIT 1');
}

# ---- What the receiver got

# Changes of business_request that came to a path, or to any: hashes of id,
# attempt, contract, old, new ('' for null), path and time.
sub received
{
	my ($self, $path) = @_;
	my @received;

	foreach my $request ($self->receiver->requests($path))
	{
		my ($id, $attempt, $contract, $old, $new) = $request->{body} =~
		  /^\{"Id":"([^"]*)",.*?"Attempt":(\d+),"Data":\{"BusinessRequestId":(\d+),"Operation":"[A-Z]+","OldStatus":(?:null|"([^"]*)"),"NewStatus":(?:null|"([^"]*)")/
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

# The new statuses that came to a path, of one contract or of all, as a text:
# all of them, or each once, in the order of their first arrival (a crash may
# repeat what it has taken from the log).
sub statuses { return join ' ', new_statuses(@_); }
sub first_statuses { return join ' ', uniq new_statuses(@_); }

sub new_statuses
{
	my ($self, $path, $contract) = @_;
	return map { $_->{new} }
	  grep { !defined $contract || $_->{contract} == $contract } $self->received($path);
}

# ---- Worker

# The worker's pid, '' where there is none, or nobody to ask.  A psql that finds
# no server is gone before it is told what to ask, which IPC::Run dies of.
sub worker
{
	my ($self) = @_;
	my ($status, $pid) = eval { $self->psql('SELECT pid FROM webhook.stat_worker'); };
	return defined $status && $status == 0 ? $pid : '';
}

# Wait for a worker with another pid than that; returns its pid.
sub wait_for_worker
{
	my ($self, $before) = @_;
	my $pid;

	return $pid if wait_until { $pid = $self->worker; $pid and $pid ne ($before // '') } 60;
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

# Terminate the worker, and wait until another one runs: an assertion.
sub restart_worker
{
	my ($self, $what) = @_;
	my $pid = $self->wait_for_worker;

	$self->sql("SELECT pg_terminate_backend($pid)");
	return $self->becomes("SELECT count(*) FROM webhook.stat_worker WHERE state = 'running' AND pid <> $pid",
		'1', $what // 'another worker runs');
}

# ---- Descriptors

# Let a process open only so many files more than it has open now.  Returns its
# former limit, false if there is no prlimit; give_descriptors() restores it.
sub take_descriptors
{
	my ($pid, $more) = @_;
	my ($before) = slurp_file("/proc/$pid/limits") =~ /^Max open files\s+(\d+)/m;
	my $open = () = glob "/proc/$pid/fd/*";
	return limit_descriptors($pid, $open + $more) && $before;
}

sub give_descriptors { return limit_descriptors(@_); }

sub limit_descriptors
{
	my ($pid, $limit) = @_;
	return system("prlimit --pid $pid --nofile=$limit: 2>/dev/null") == 0;
}

# ---- The server's log

# Where it ends now, and what it says from there on.
sub log_end { return -s $_[0]{node}->logfile; }
sub log_since { return slurp_file($_[0]{node}->logfile, $_[1] // 0); }

# Wait until it says something: an assertion.
sub logs
{
	my ($self, $pattern, $since, $what) = @_;
	return ok($self->{node}->wait_for_log($pattern, $since), $what);
}

# No process has crashed: an assertion.
sub is_sound
{
	my ($self, $what) = @_;
	my @crashes = $self->log_since =~ /^(.*(?:TRAP|PANIC|terminated by signal|invalid page).*)$/mg;
	return is(scalar @crashes, 0, $what // 'nothing has crashed') || diag(join "\n", @crashes);
}

# ---- pgTAP

# Run a pgTAP script in this database; each assertion in it is one here, and
# that it ran to its end is one more.
sub run_script
{
	my ($self, $script) = @_;
	my ($name) = $script =~ m{([^/]+)\.sql$};
	local $ENV{PGHOST} = $self->{node}->host;
	local $ENV{PGPORT} = $self->{node}->port;
	my ($stdout, $stderr) =
	  run_command([ 'pg_prove', '--verbose', '--dbname', $self->{database}, $script ]);
	my $status = $?;
	my $failing = 0;

	foreach (split /\n/, $stdout)
	{
		if (/^(not )?ok \d+(?: - )?(.*)$/)
		{
			$failing = defined $1;
			ok(!$failing, "$name: $2");
		}
		elsif ($failing and /^#/)
		{
			diag($_);
		}
	}
	return is($status, 0, "$name: complete") || diag($stderr);
}

# ---- Shims

# Build test/shim/NAME.c, a library for LD_PRELOAD that stands in for a function
# of the C library.  Returns its file, undef where there is no C compiler.
sub shim
{
	my ($name) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir . "/$name.so";
	my @command = ($ENV{CC} || 'cc', '-Wall', '-shared', '-fPIC', '-o', $library, "test/shim/$name.c", '-ldl');
	return system(@command) == 0 ? $library : undef;
}

1;
