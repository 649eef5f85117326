# Portal.pm
#	  A portal with a throw-away server behind it, and a browser that can also do
#	  what no browser does.
#
# The portal is the program that PORTAL names, the server's programs are in PGBIN.
# Both listen on loopback; all of it is gone when the object is.

package Portal;

use strict;
use warnings;

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(encode_base64);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->allow_nonref;

sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no port: $!";
	return $socket->sockport;
}

# How many of the next ticks of two streams are the same ones.
sub common_ticks
{
	my ($self, @streams) = @_;
	my %seen;

	foreach my $stream (@streams)
	{
		my %mine = map { $_ => 1 } grep { defined } map { $stream->next_of('tick', 20) } 1 .. 4;
		$seen{$_}++ foreach keys %mine;
	}
	return scalar grep { $_ == @streams } values %seen;
}

# Start a server.  Options: hba (lines of pg_hba.conf), sql (to be run by the superuser).
sub new
{
	my ($class, %option) = @_;
	my $self = bless {
		dir => tempdir('webhook-portal-XXXXXX', DIR => '/tmp'),
		bin => $ENV{PGBIN} // die("PGBIN is not set\n"),
		program => $ENV{PORTAL} // die("PORTAL is not set\n"),
		owner => $$
	}, $class;

	# Who stops us stops what we have started.
	$SIG{$_} = sub { exit 1 } foreach qw(HUP INT TERM);
	$self->{pgport} = free_port();
	$self->{dbname} = $option{dbname} // 'postgres';
	$self->run("'$self->{bin}/initdb' -D '$self->{dir}/data' -U postgres -A trust -E UTF8 --locale=C -N");
	$self->spit('data/pg_hba.conf',
		"local all all trust\n" . ($option{hba} // "host all all 127.0.0.1/32 scram-sha-256\n"));
	open my $conf, '>>', "$self->{dir}/data/postgresql.conf" or die "postgresql.conf: $!";
	print $conf <<"END", $option{conf} // '';
listen_addresses = '127.0.0.1'
port = $self->{pgport}
unix_socket_directories = '$self->{dir}'
fsync = off
END
	close $conf;
	$self->start_server;
	$self->sql($option{sql} // <<'END');
CREATE SCHEMA webhook;
CREATE ROLE reader LOGIN PASSWORD 'right';
CREATE ROLE clerk LOGIN PASSWORD 'Grüße:€';
CREATE ROLE stranger LOGIN PASSWORD 'right';
ALTER ROLE postgres PASSWORD 'right';
GRANT USAGE ON SCHEMA webhook TO reader, clerk;
CREATE TABLE note (text text CHECK (text <> 'bad'));
CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
GRANT ALL ON note, once TO reader;
GRANT SELECT ON note TO clerk;
CREATE FUNCTION refuse(body text) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.note VALUES ('refused');
	RAISE EXCEPTION USING ERRCODE = body::json->>'sqlstate', MESSAGE = body::json->>'message',
		DETAIL = '<b>detail</b>', HINT = 'a "hint"', COLUMN = 'endpoint';
END $$;
ALTER ROLE reader SET search_path = public;
ALTER ROLE reader SET statement_timeout = 0;
ALTER ROLE reader SET default_transaction_read_only = off;
END
	return $self;
}

sub spit
{
	my ($self, $name, $text) = @_;
	open my $file, '>', "$self->{dir}/$name" or die "$name: $!";
	print $file $text;
	close $file;
	return "$self->{dir}/$name";
}

sub run
{
	my ($self, $command) = @_;
	my $output = `$command 2>&1`;
	die "$command\n$output" if $?;
	return $output;
}

sub start_server
{
	my ($self) = @_;
	$self->run("'$self->{bin}/pg_ctl' -w -D '$self->{dir}/data' -l '$self->{dir}/log' start >/dev/null");
	$self->{server} = 1;
	return;
}

sub stop_server
{
	my ($self) = @_;
	$self->run("'$self->{bin}/pg_ctl' -w -m fast -D '$self->{dir}/data' stop") if $self->{server};
	$self->{server} = 0;
	return;
}

sub sql
{
	my ($self, $text) = @_;
	my $file = $self->spit('sql', $text);
	my $output = $self->run("'$self->{bin}/psql' -XAqt -v ON_ERROR_STOP=1 -h '$self->{dir}'"
		  . " -p $self->{pgport} -U postgres -d $self->{dbname} -f '$file'");
	chomp $output;
	return $output;
}

# Start the portal; returns its process.  What it says is in the file portal.log.
sub start
{
	my ($self, @options) = @_;
	my $log = "$self->{dir}/portal.log";
	my $database = "host=127.0.0.1 port=$self->{pgport} dbname=$self->{dbname}";

	@options = ('--listen=127.0.0.1:0', @options) unless grep { /^--listen/ } @options;
	@options = ("--database=$database", @options) unless grep { /^--database/ } @options;
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		open STDERR, '>>', $log or die "$log: $!";
		open STDOUT, '>&', \*STDERR;
		exec $self->{program}, @options;
		die "exec: $!";
	}
	$self->{pid} = $pid;
	$self->{from} = -e $log ? -s $log : 0;
	$self->wait_until(sub { $self->log_since =~ /listens on \S+:(\d+), as (\S+)$/m or !$self->is_running },
		'the portal listens');
	@{$self}{qw(port origin)} = $self->log_since =~ /listens on \S+:(\d+), as (\S+)$/m
	  or die "the portal does not start: ", $self->log_since;
	return $pid;
}

sub log_since
{
	my ($self) = @_;
	open my $file, '<', "$self->{dir}/portal.log" or return '';
	seek $file, $self->{from}, 0;
	local $/;
	return scalar(<$file>) // '';
}

sub is_running { my ($self) = @_; return $self->{pid} && waitpid($self->{pid}, WNOHANG) == 0; }

# Stop the portal; returns its exit status.
sub stop
{
	my ($self, $signal) = @_;
	return unless $self->{pid};
	kill $signal // 'TERM', $self->{pid};
	waitpid $self->{pid}, 0;
	delete $self->{pid};
	return $?;
}

sub wait_until
{
	my ($self, $condition, $what, $limit) = @_;
	my $end = time + ($limit // 10);
	until ($condition->())
	{
		die "waited in vain: $what\n" if time > $end;
		sleep 0.01;
	}
	return 1;
}

# A browser: it keeps the cookie.
sub browser
{
	my ($self, %headers) = @_;
	return bless { portal => $self, headers => {%headers} }, 'Portal::Browser';
}

# A connection on which anything can be said.
sub connection
{
	my ($self) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}) // die "connect: $!";
}

# Say something on a connection of its own; returns status and the whole answer.
sub say_raw
{
	my ($self, $text) = @_;
	my $socket = $self->connection;
	print $socket $text;
	my $answer = '';
	while (IO::Select->new($socket)->can_read(5))
	{
		sysread($socket, $answer, 65536, length $answer) or last;
		last if $answer =~ /\r\n\r\n/ and $answer =~ /^Content-Length: (\d+)\r\n.*?\r\n\r\n(.*)/ims
		  and length $2 >= $1;
	}
	my ($status) = $answer =~ m{^HTTP/1\.\d (\d+)};
	return wantarray ? ($status // 0, $answer) : $status // 0;
}

sub DESTROY
{
	my ($self) = @_;
	return if $self->{owner} != $$;
	local ($?, $@);
	eval { $self->stop; };
	eval { $self->stop_server; };
	remove_tree($self->{dir});
	return;
}

package Portal::Browser;

use strict;
use warnings;

sub new_http { return HTTP::Tiny->new(timeout => 20, keep_alive => 0, verify_SSL => 0); }

sub request
{
	my ($self, $method, $path, $body, %headers) = @_;
	my $portal = $self->{portal};
	my $base = $self->{base} // "http://127.0.0.1:$portal->{port}";
	my %all = (%{ $self->{headers} }, %headers);

	$all{Cookie} //= $self->{cookie} if $self->{cookie};
	if ($method eq 'POST')
	{
		$all{'Content-Type'} //= 'application/json';
		$all{Origin} //= $portal->{origin};
		$all{'Sec-Fetch-Site'} //= 'same-origin';
	}
	delete @all{ grep { $all{$_} eq '' } keys %all };
	my $answer = new_http()->request($method, "$base/$path",
		{ headers => \%all, defined $body ? (content => $body) : () });
	my $cookie = $answer->{headers}{'set-cookie'};
	if ($cookie)
	{
		my ($pair) = $cookie =~ /^([^;]*)/;
		$self->{cookie} = $cookie =~ /Max-Age=0/ ? undef : $pair;
	}
	$answer->{json} = eval { $json->decode($answer->{content}) };
	return $answer;
}

sub get { my ($self, $path, %headers) = @_; return $self->request('GET', $path, undef, %headers); }

sub post
{
	my ($self, $path, $body, %headers) = @_;
	$body = $json->encode($body) if ref $body;
	return $self->request('POST', $path, $body // '{}', %headers);
}

sub sign_in
{
	my ($self, $user, $password, %headers) = @_;
	my $pair = "$user:$password";
	return $self->post('api/session', '{}', Authorization => 'Basic ' . MIME::Base64::encode_base64($pair, ''),
		%headers);
}

# A stream of events: an object with next().
sub live
{
	my ($self) = @_;
	my $portal = $self->{portal};
	my $socket = $portal->connection;
	my ($host) = $portal->{origin} =~ m{//(.*)};
	print $socket "GET /api/live HTTP/1.1\r\nHost: $host\r\nCookie: $self->{cookie}\r\n\r\n";
	return bless { socket => $socket, bytes => '', text => '' }, 'Portal::Stream';
}

package Portal::Stream;

use strict;
use warnings;

# The next event as [name, data]; undef at the end or after some seconds.
sub next
{
	my ($self, $limit) = @_;
	my $end = Time::HiRes::time() + ($limit // 10);

	while (1)
	{
		if (!defined $self->{head} and $self->{bytes} =~ s/\A(.*?\r\n)\r\n//s)
		{
			$self->{head} = $1;
		}
		if (defined $self->{head})
		{
			while ($self->{bytes} =~ /\A([0-9a-fA-F]+)\r\n/
				and length $self->{bytes} >= length($1) + 4 + hex $1)
			{
				my ($digits, $length) = ($1, hex $1);
				$self->{ended} = 1 if $length == 0;
				$self->{text} .= substr $self->{bytes}, length($digits) + 2, $length;
				substr $self->{bytes}, 0, length($digits) + 4 + $length, '';
			}
			while ($self->{text} =~ s/\A(.*?)\n\n//s)
			{
				my $event = $1;
				my ($name) = $event =~ /^event: (.*)$/m or next;
				my ($data) = $event =~ /^data: (.*)$/m;
				return [ $name, $data ];
			}
		}
		return undef if $self->{ended};
		my $left = $end - Time::HiRes::time();
		return undef if $left <= 0 or !IO::Select->new($self->{socket})->can_read($left);
		sysread($self->{socket}, $self->{bytes}, 65536, length $self->{bytes})
		  or $self->{ended} = 1;
	}
}

# The next event of that name.
sub next_of
{
	my ($self, $name, $limit) = @_;
	while (my $event = $self->next($limit))
	{
		return $event->[1] if $event->[0] eq $name;
	}
	return undef;
}

1;
