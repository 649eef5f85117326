# demo.pl
#	  Shows the extension at work: a contract goes from draft to counter-signed
#	  by plain SQL, and each POST is printed as the receiver got it.
#
# Arguments: the directory of the server's programs; --portal and the program of the
# portal, which is started with three roles, traffic and an endpoint that fails; --keep
# to leave everything running, and a directory to be removed when that is ended.  The cluster is a
# throw-away one in a directory of its own, reached by a socket in there; the
# receiver listens on loopback.  A delivery that does not come within 10 seconds
# ends the demonstration with an error and the server's log.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/t";

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Webhook::Receiver;

my $bindir = shift @ARGV;
my $program = @ARGV && $ARGV[0] eq '--portal' ? (splice @ARGV, 0, 2)[1] : undef;
my ($keep, $copy) = @ARGV;
die "usage: demo.pl BINDIR [--portal PROGRAM] [--keep]\n" unless $bindir and -x "$bindir/initdb";

my $dir = tempdir('webhook-demo-XXXXXX', DIR => '/tmp');
my $port = $ENV{PGPORT} = $program ? free_port() : 5432;
my $connection = "host=$dir port=$port dbname=contracts user=postgres";
my $owner = $$;
my ($receiver, $server, $portal, $traffic, $kept);

$| = 1;
$SIG{$_} = sub { exit 130 } foreach qw(INT TERM HUP);

END
{
	if ($owner == $$ and !$kept)
	{
		my $status = $?;
		system("'$bindir/pg_ctl' -D '$dir/data' -m immediate stop >/dev/null 2>&1")
		  if $server;
		kill 'TERM', grep { $_ } $portal, $traffic;
		$receiver->stop if $receiver;
		remove_tree($dir);
		$? = $status;
	}
}

sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or fail("no port: $!");
	return $socket->sockport;
}

# The portal, with something to see in it.
sub show_portal
{
	heading('The portal: who signs in, what is delivered, and what is not');
	my $roles = <<'END';
CREATE ROLE admin LOGIN PASSWORD 'admin';
CREATE ROLE operator LOGIN PASSWORD 'operator';
CREATE ROLE reader LOGIN PASSWORD 'reader';
SELECT webhook.grant_admin('admin');
SELECT webhook.grant_operator('operator');
SELECT webhook.grant_reader('reader');
CREATE ROLE hooks_service LOGIN PASSWORD 'service';
SELECT webhook.grant_portal('hooks_service');
SELECT webhook.define_tenant('nordwind'), webhook.define_tenant('akesson');
SELECT webhook.define_event_type('App.InvoicePaid', 'An invoice was paid.', example => '{"Invoice": "R-1"}');
END
	show_sql($roles);
	sql($roles);
	my %token;
	foreach my $tenant ('nordwind', 'akesson')
	{
		my $url = $receiver->url("/ok/$tenant");

		sql("SELECT webhook.subscribe('$url', '{*}',"
			  . " description => 'Hooks of $tenant', tenant => '$tenant')");
		$token{$tenant} = value("SELECT webhook.portal_token('$tenant', '1 day')");
	}
	sql(<<"END");
SELECT webhook.subscribe('@{[ $receiver->url('/ok/archive') ]}', '{App.BusinessRequestStatusChange}',
	description => 'The archive');
SELECT webhook.subscribe('http://127.0.0.1:@{[ free_port() ]}/nobody', '{App.BusinessRequestStatusChange}',
	description => 'An endpoint that does not answer');
END

	# A contract a second, and an invoice of one of the partners, for an hour at most.
	$traffic = fork // fail("fork: $!");
	if ($traffic == 0)
	{
		$SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP);
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		for (1 .. 3600)
		{
			sql("INSERT INTO business_request (title, customer, supplier, amount)"
				  . " VALUES ('Contract $_', 'Nordwind AG', 'Åkesson & Söner', 1000 * $_);"
				  . " SELECT webhook.publish('App.InvoicePaid', '{\"Invoice\": \"R-$_\"}', 'invoice/$_',"
				  . " '@{[ $_ % 2 ? 'nordwind' : 'akesson' ]}')");
			sleep 1;
		}
		exit 0;
	}

	my $web = free_port();
	$portal = fork // fail("fork: $!");
	if ($portal == 0)
	{
		open STDERR, '>', "$dir/portal.log";
		open STDOUT, '>&', \*STDERR;
		exec $program, "--database=host=127.0.0.1 port=$port dbname=contracts",
		  "--service=host=127.0.0.1 port=$port dbname=contracts user=hooks_service password=service",
		  "--listen=127.0.0.1:$web";
		exit 1;
	}
	foreach (1 .. 100)
	{
		last if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $web);
		fail('the portal does not start: ' . `cat '$dir/portal.log'`)
		  if $_ == 100 or waitpid($portal, WNOHANG) > 0;
		select undef, undef, undef, 0.1;
	}
	print "\n    ", paint(bold => "http://127.0.0.1:$web/"),
	  "\n\n    Sign in as admin, operator or reader; the password is the name.\n";
	print "\n    People of two partners have links, each of which is good once, for a day:\n";
	print '    ', paint(bold => "http://127.0.0.1:$web/#/enter/$token{$_}"), "  ($_)\n" foreach sort keys %token;
	return;
}

# How it looks: colours for a terminal only.
my $colours = -t STDOUT && !exists $ENV{NO_COLOR};
my %colour = (bold => 1, dim => 2, green => 32, yellow => 33, cyan => 36);

sub paint
{
	my ($how, $text) = @_;
	return $colours ? "\e[$colour{$how}m$text\e[0m" : $text;
}

sub heading { print "\n", paint(bold => "-- $_[0]"), "\n"; return; }

sub fail
{
	my ($problem) = @_;
	my $log = -e "$dir/log" ? `tail -n 30 '$dir/log'` : '';
	print STDERR "\ndemo: $problem\n", $log ? "\nThe server's log ends with:\n$log" : '';
	exit 1;
}

sub run
{
	my ($command) = @_;
	my $output = `$command 2>&1`;
	fail("$command\n$output") if $?;
	return $output;
}

# SQL, unseen or shown; what psql prints.
sub sql
{
	my ($text, @options) = @_;
	open my $file, '>', "$dir/sql" or fail("$dir/sql: $!");
	print $file $text;
	close $file;
	return run("'$bindir/psql' -Xq -v ON_ERROR_STOP=1 @options -d '$connection' -f '$dir/sql'");
}

sub value { my $value = sql($_[0], '-At'); chomp $value; return $value; }

sub show_sql
{
	my ($text) = @_;
	print paint(cyan => $text =~ s/^(?=.)/    /mgr);
	return;
}

# JSON as it came, key order and all, a member a line.
sub pretty
{
	my ($json, $margin) = @_;
	my ($out, $depth) = ('', 0);
	while ($json =~ /("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)/g)
	{
		my $token = $1;
		$depth-- if $token =~ /^[}\]]$/;
		$out .= "\n" . $margin . '  ' x $depth if $token =~ /^[}\]]$/;
		$out .= $token;
		$out .= ' ' if $token eq ':';
		$depth++ if $token =~ /^[{\[]$/;
		$out .= "\n" . $margin . '  ' x $depth if $token =~ /^[{\[,]$/;
	}
	return $out;
}

sub show_post
{
	my ($post, $committed) = @_;
	printf "\n    %s %s\n", paint(green => "POST $post->{path}"),
	  paint(bold => sprintf '%.1f ms after the commit', ($post->{time} - $committed) * 1000);
	print '      ', paint(dim => $_), "\n" foreach @{ $post->{header_lines} };
	print "\n      ", pretty($post->{body}, '      '), "\n";
	return;
}

# A change of the contract, and the POSTs that it leads to.
sub step
{
	my ($title, $text, $posts, %more) = @_;
	my $before = $receiver->requests;

	heading($title);
	show_sql($text);
	sql($text);
	my $committed = value('SELECT extract(epoch FROM pg_xact_commit_timestamp(xmin)) FROM business_request');
	for my $n (1 .. $posts)
	{
		my @all = $receiver->wait_for($before + $n);
		fail('no delivery arrives') if @all < $before + $n;
		show_post($all[ $before + $n - 1 ], $committed);
		$more{after_first}->() if $n == 1 and $more{after_first};
	}
	return;
}

# A private server.  The portal reaches it through TCP, and with a password.
run("'$bindir/initdb' -D '$dir/data' -U postgres -A trust -E UTF8 --locale=C");
open my $conf, '>>', "$dir/data/postgresql.conf" or fail("postgresql.conf: $!");
print $conf <<"END";
shared_preload_libraries = 'webhook'
webhook.require_https = off
webhook.allowed_networks = '127.0.0.0/8, ::1/128'
listen_addresses = '@{[ $program ? '127.0.0.1' : '' ]}'
port = $port
unix_socket_directories = '$dir'
track_commit_timestamp = on		# to tell milliseconds after the commit
webhook.retry_schedule = '1s, 5s'	# nobody wants to watch five minutes
END
close $conf;
$server = 1;
if ($program)
{
	open my $hba, '>', "$dir/data/pg_hba.conf" or fail("pg_hba.conf: $!");
	print $hba "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
	close $hba;
}
run("'$bindir/pg_ctl' -D '$dir/data' -l '$dir/log' -w start");
run("'$bindir/createdb' -h '$dir' -U postgres contracts");
$receiver = Webhook::Receiver->new(file => "$dir/received", keep => defined $keep);

heading('A contracts database');
my $tables = <<'END';
CREATE TYPE business_request_status AS ENUM
    ('Draft', 'Approved', 'Signed', 'CounterSigned', 'Archived');

CREATE TABLE business_request (
    id          bigint GENERATED ALWAYS AS IDENTITY (START 42) PRIMARY KEY,
    title       text NOT NULL,
    status      business_request_status NOT NULL DEFAULT 'Draft',
    customer    text NOT NULL,
    supplier    text NOT NULL,
    amount      numeric(12,2),
    created_at  timestamptz NOT NULL DEFAULT now(),
    signed_at   timestamptz
);
END
show_sql($tables);
sql($tables);

heading('The extension, the table to watch, somebody to tell');
my $setup = <<"END";
CREATE EXTENSION webhook;
SELECT webhook.watch('business_request');
SELECT webhook.subscribe('@{[ $receiver->url('/flip/contracts') ]}',
                         '{App.BusinessRequestStatusChange}');
END
show_sql($setup);
sql($setup);

step('A contract is drawn up', <<'END', 1);
INSERT INTO business_request (title, customer, supplier, amount)
VALUES ('Delivery of 12 wind turbines', 'Nordwind AG', 'Åkesson & Söner', 48000000);
END

step('approved', <<'END', 1);
UPDATE business_request SET status = 'Approved' WHERE id = 42;
END

step('signed, while its title is corrected', <<'END', 1);
BEGIN;
UPDATE business_request SET title = 'Delivery of 14 wind turbines' WHERE id = 42;
UPDATE business_request SET status = 'Signed', signed_at = now() WHERE id = 42;
COMMIT;
END

step('and counter-signed.', <<'END', 1);
UPDATE business_request SET status = 'CounterSigned' WHERE id = 42;
END

$receiver->fail_while(1);
print "\n", paint(dim => "The demonstration waits 1 s and 5 s between attempts; the default begins with 5 s and lasts 75 hours.\n");
step('The receiver breaks: 503.  The call is repeated, with the same Id, until it works again',
	<<'END', 2, after_first => sub { $receiver->fail_while(0) });
UPDATE business_request SET status = 'Archived' WHERE id = 42;
END

# On a slow machine the receiver may still have been broken at the second attempt.
foreach (1 .. 300)
{
	last if value("SELECT count(DISTINCT event_id) = count(*) FILTER (WHERE outcome = 'delivered') FROM webhook.log") eq 't';
	select undef, undef, undef, 0.1;
}
fail('webhook.drain() timed out') if value("SELECT webhook.drain('10 s')") ne 't';

heading('Each call, as sent and as answered, is in the log');
my $log = <<'END';
SELECT to_char(requested_at AT TIME ZONE 'UTC', 'HH24:MI:SS.MS') AS requested_at,
       request_body::json #>> '{Data,NewStatus}' AS new_status,
       attempt, response_status AS status, outcome,
       round(extract(epoch FROM duration) * 1000, 1) AS ms,
       webhook.verify(webhook.secret(subscription_id),
                      request_headers, request_body) AS signature_ok
FROM webhook.log
ORDER BY requested_at;
END
show_sql($log);
print "\n", sql($log) =~ s/^(?=.)/    /mgr;

# What the receiver got, judged by what the receiver knows.
my $verified = 0;
my @posts = $receiver->requests;
foreach my $post (@posts)
{
	my $headers = join ', ', map { "'$_', \$h\$$post->{headers}{$_}\$h\$" }
	  grep { /^webhook-(?:id|timestamp|signature)$/ } sort keys %{ $post->{headers} };
	$verified++ if value("SELECT webhook.verify(webhook.secret(id), jsonb_build_object($headers),"
		  . " \$b\$$post->{body}\$b\$) FROM webhook.subscription") eq 't';
}
fail("only $verified of " . @posts . ' signatures are right') if $verified != @posts;
my $rows = value('SELECT count(*) FROM webhook.log');
fail("$rows rows in the log for " . @posts . ' calls') if $rows != @posts;
print paint(bold => scalar(@posts) . ' calls, each with a right signature, each in the log.'), "\n";

show_portal() if $program;

if ($keep)
{
	my $psql = (grep { -x "$_/psql" } split /:/, $ENV{PATH}) ? 'psql' : "$bindir/psql";
	my $user = getpwuid $<;

	open my $stop, '>', "$dir/stop" or fail("$dir/stop: $!");
	print $stop <<"END";
# Ends the demonstration and removes what it left.
if [ "\$(id -u)" = 0 ] && [ $< != 0 ]; then
	exec su -s /bin/sh $user -c 'sh $dir/stop'
fi
kill @{[ join ' ', grep { $_ } $receiver->pid, $portal, $traffic ]}
'$bindir/pg_ctl' -D '$dir/data' -m fast stop && rm -rf '$dir' @{[ $copy ? "'$copy'" : '' ]}
END
	close $stop;
	$kept = 1;
	print "\nIt is all still there:\n\n    $psql '$connection'\n",
	  "    tail -f $dir/received\n\nuntil you say\n\n    sh $dir/stop\n";
}
print "\n";
