# Receiver.pm
#	  A recording HTTP/1.1 server on loopback, for tests: each request that
#	  came in whole is a line in a file before it is answered.
#
# It is a process of its own, so a test may be busy or waiting while requests
# come; it ends with the test.  One thread, select(), keep-alive, any number of
# connections; some thousands of requests a second.  How it answers is told by
# the first words of the path, and the rest of the path tells tests apart:
#
#	/ok                  200
#	/status/NNN          that status; 3xx with a Location
#	/credentials         302, with some "sesame" in its headers
#	/hang                never
#	/slow/MS             200 after that many milliseconds
#	/reset               RST before any byte
#	/drip                the head, then a byte of the body each 100 ms
#	/short               a body shorter than promised, then the end
#	/large/BYTES         200 and a body of that size
#	/bytes/HEX           200 and a body of these bytes
#	/raw/HEX             these bytes as they are, then the end
#	/endless/HEX-HEX     the first bytes, then the second again and again
#	/fail-first/N        500 to the first N requests of an Id, then 200
#	/flip                503 while fail_while()'s file exists, then 200
#	/fail-subject/REGEX  500 while that file exists and the body matches
#	/retry-after/S       429 and Retry-After to the first of an Id, then 200
#	/challenge/N/…       200; the N-th question for a challenge is answered with it
#	/then/WORD/…         200 to the first request of a connection; then as /WORD/… says
#	/chaos               one of the above at random while fail_while()'s file
#	                     exists, then 200
#
# A question for a challenge, which other paths are asked before anything else is sent
# to them, is answered with it, and is no line.
#
# The file has a line a request: time, method, path, peer's port, headers,
# body, and what /chaos chose, separated by tabs, with backslash, tab, CR and LF
# escaped.

package Webhook::Receiver;

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Socket::IP;
use List::Util qw(sum0);
use POSIX ();
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Time::HiRes qw(time sleep);

my @running;

END
{
	my $status = $?;
	$_->stop foreach grep { $_->{owner} == $$ } @running;
	$? = $status;
}

# file: where to record.  port: 0 or none is a free one.  host: where to listen.
# keep: outlives us.  seed: of what /chaos chooses.
sub new
{
	my ($class, %options) = @_;
	my $self = bless {
		owner => $$,
		file => $options{file},
		port => $options{port} || 0,
		keep => $options{keep},
		seed => $options{seed},
		host => $options{host} // '127.0.0.1',
		control => "$options{file}.fail",
		offset => 0,
		requests => [],
	}, $class;

	open my $record, '>', $self->{file} or die "$self->{file}: $!";
	close $record;
	unlink $self->{control};
	$self->start;
	push @running, $self unless $self->{keep};
	return $self;
}

sub port { return $_[0]{port}; }
sub pid { return $_[0]{pid}; }
sub file { return $_[0]{file}; }
sub url { return 'http://' . ($_[0]{host} =~ /:/ ? "[$_[0]{host}]" : $_[0]{host}) . ":$_[0]{port}" . ($_[1] // '/ok'); }

# Let /flip and /fail-subject fail from now on, or no longer.
sub fail_while
{
	my ($self, $failing) = @_;

	if ($failing)
	{
		open my $control, '>', $self->{control} or die "$self->{control}: $!";
		close $control;
	}
	else
	{
		unlink $self->{control};
	}
	return;
}

# All requests so far, in the order in which they came: hashes of time (Unix,
# fractional), method, path, peer_port, headers (names in lower case; a repeated
# one joined by a comma), header_lines (as sent), body (bytes) and answer (the path
# that /chaos chose, or else undef).  With a path only those to exactly that path,
# with a regular expression only those to paths that match it.
sub requests
{
	my ($self, $path) = @_;

	$self->read_on(sub { push @{ $self->{requests} }, $_[0]; });
	return @{ $self->{requests} } unless defined $path;
	return grep { ref $path ? $_->{path} =~ $path : $_->{path} eq $path } @{ $self->{requests} };
}

# Call a function with each request that was not read yet, and keep none.
sub read_on
{
	my ($self, $function) = @_;

	open my $record, '<:raw', $self->{file} or die "$self->{file}: $!";
	seek $record, $self->{offset}, 0;
	while (my $line = <$record>)
	{
		last unless $line =~ /\n\z/;
		$self->{offset} += length $line;
		chomp $line;
		my ($time, $method, $where, $peer_port, $head, $body, $answer) =
		  map { unescape($_) } split /\t/, $line, -1;
		my %headers;
		my @header_lines = split /\r\n/, $head;
		foreach (@header_lines)
		{
			my ($name, $value) = /^([^:]+):[ \t]*(.*?)[ \t]*$/s or next;
			$name = lc $name;
			$headers{$name} =
			  exists $headers{$name} ? "$headers{$name}, $value" : $value;
		}
		$function->(
			{
				time => $time + 0,
				method => $method,
				path => $where,
				peer_port => $peer_port,
				headers => \%headers,
				header_lines => \@header_lines,
				body => $body,
				answer => $answer,
			});
	}
	return;
}

# How many they are.
sub count { return scalar requests(@_); }

# Wait until at least n requests have come, to any path or as above.  Returns
# those that have come by then.  The bound is none that a test is about, so it
# is as long as a slow machine may take.
sub wait_for
{
	my ($self, $n, $path) = @_;
	my $until = time() + 180;

	while (1)
	{
		my @requests = $self->requests($path);
		return @requests if @requests >= $n or time() > $until;
		sleep 0.005;
	}
}

# Forget what has come so far.
sub clear
{
	my ($self) = @_;
	$self->requests;
	$self->{requests} = [];
	return;
}

sub stop
{
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
	return;
}

# Start, or start again after stop(): at the same port.
sub start
{
	my ($self) = @_;
	my $listener = IO::Socket::IP->new(
		LocalAddr => $self->{host},
		LocalPort => $self->{port},
		Listen => 1024,
		ReuseAddr => 1) or die "cannot listen: $@";

	$self->{port} = $listener->sockport;
	my $parent = $$;
	defined(my $pid = fork) or die "fork: $!";
	if ($pid == 0)
	{
		$SIG{$_} = 'DEFAULT' foreach qw(INT TERM HUP ALRM CHLD);
		$SIG{PIPE} = 'IGNORE';
		srand($self->{seed}) if defined $self->{seed};
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null' if $self->{keep};
		eval { serve($self, $listener, $self->{keep} ? 0 : $parent); };
		warn "receiver: $@" if $@;
		POSIX::_exit(1);
	}
	close $listener;
	$self->{pid} = $pid;
	return;
}

my %escape = ("\\" => "\\\\", "\t" => "\\t", "\r" => "\\r", "\n" => "\\n");
my %unescape = ("\\" => "\\", t => "\t", r => "\r", n => "\n");

sub escape
{
	my ($text) = @_;
	$text =~ s/([\\\t\r\n])/$escape{$1}/g;
	return $text;
}

sub unescape
{
	my ($text) = @_;
	$text =~ s/\\(.)/$unescape{$1}/g if index($text, '\\') >= 0;
	return $text;
}

# The server, in its own process from here on.

my (%connection, $reading, $writing, @timers, %seen, $record, $control);

sub serve
{
	my ($self, $listener, $parent) = @_;
	my $listening = fileno $listener;

	open $record, '>>:raw', $self->{file} or die "$self->{file}: $!";
	$control = $self->{control};
	$listener->blocking(0);
	$reading = $writing = '';
	vec($reading, $listening, 1) = 1;

	while (1)
	{
		exit_with($parent);
		my $wait = @timers ? $timers[0][0] - time() : 1;
		$wait = $wait < 0 ? 0 : $wait > 1 ? 1 : $wait;
		my $found = select my $r = $reading, my $w = $writing, undef, $wait;

		while (@timers and $timers[0][0] <= time())
		{
			my $timer = shift @timers;
			$timer->[1]->();
		}
		next if $found <= 0;

		if (vec($r, $listening, 1))
		{
			while (my $socket = $listener->accept)
			{
				$socket->blocking(0);
				setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
				my $fd = fileno $socket;
				$connection{$fd} = {
					fd => $fd,
					socket => $socket,
					port => $socket->peerport,
					in => '',
					out => '',
				};
				vec($reading, $fd, 1) = 1;
			}
		}
		foreach my $c (values %connection)
		{
			receive($c) if vec($r, $c->{fd}, 1);
			transmit($c) if $c->{socket} and vec($w, $c->{fd}, 1);
		}
	}
}

sub exit_with
{
	my ($parent) = @_;
	POSIX::_exit(0) if $parent and getppid() != $parent;
	return;
}

sub later
{
	my ($seconds, $what) = @_;
	@timers = sort { $a->[0] <=> $b->[0] } @timers, [ time() + $seconds, $what ];
	return;
}

sub drop
{
	my ($c) = @_;
	my $fd = $c->{fd};
	vec($reading, $fd, 1) = 0;
	vec($writing, $fd, 1) = 0;
	delete $connection{$fd};
	close delete $c->{socket};
	return;
}

sub transmit
{
	my ($c) = @_;

	$c->{out} .= $c->{more} if $c->{more} and length $c->{out} < 65536;
	while (length $c->{out})
	{
		my $n = syswrite $c->{socket}, $c->{out};
		if (!defined $n)
		{
			last if $!{EAGAIN} or $!{EWOULDBLOCK} or $!{EINTR};
			return drop($c);
		}
		substr $c->{out}, 0, $n, '';
	}
	vec($writing, $c->{fd}, 1) = $c->{more} || length $c->{out} ? 1 : 0;
	drop($c) if $c->{ending} and !length $c->{out};
	return;
}

sub send_out
{
	my ($c, $bytes) = @_;
	return unless $c->{socket};
	$c->{out} .= $bytes;
	return transmit($c);
}

sub receive
{
	my ($c) = @_;
	my $n = sysread $c->{socket}, $c->{in}, 65536, length $c->{in};

	if (!defined $n)
	{
		return if $!{EAGAIN} or $!{EWOULDBLOCK} or $!{EINTR};
		return drop($c);
	}
	return drop($c) if $n == 0;

	while ($c->{socket} and !$c->{busy} and length $c->{in})
	{
		my $end = index $c->{in}, "\r\n\r\n";
		return if $end < 0;
		my $head = substr $c->{in}, 0, $end;
		my ($length) = $head =~ /\r\ncontent-length:\s*(\d+)/i;
		$length //= 0;
		if (length $c->{in} < $end + 4 + $length)
		{
			if (!$c->{continued} and $head =~ /\r\nexpect:\s*100-continue/i)
			{
				$c->{continued} = 1;
				send_out($c, "HTTP/1.1 100 Continue\r\n\r\n");
			}
			return;
		}
		$c->{continued} = 0;
		my $body = substr $c->{in}, $end + 4, $length;
		substr $c->{in}, 0, $end + 4 + $length, '';

		my ($request, $headers) = split /\r\n/, $head, 2;
		my ($method, $path) = split / /, $request;

		my ($challenge) = ($headers // '') =~ /^webhook-challenge:\s*(\S+)/mi;
		if (defined $challenge and $path !~ m{^/challenge/})
		{
			respond($c, 200, $challenge);
			next;
		}

		# Who sees the record may change the control file: look at it before.
		my $failing = $path =~ m{^/[cf]} && -e $control;
		my $chosen = $path =~ m{^/chaos\b} ? choose($failing) : undef;
		syswrite $record, join("\t",
			sprintf('%.6f', time()), $method, $path, $c->{port},
			escape($headers // ''), escape($body), $chosen // ()) . "\n";
		answer($c, $chosen // $path, $body, $failing, $challenge);
	}
	return;
}

# What /chaos answers with: its weight, and a path.  /raw/ without bytes ends the
# connection; the last ones end it, or cut it off, within an answer.
my $answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
my @choices = (
	[ 60, '/ok' ],
	[ 8, '/slow/20' ],
	[ 2, '/slow/500' ],
	[ 1, '/hang' ],
	[ 1, '/drip' ],
	[ 3, '/reset' ],
	[ 3, '/short' ],
	[ 2, '/large/2000000' ],
	[ 5, '/status/500' ],
	[ 2, '/status/503' ],
	[ 2, '/status/404' ],
	[ 1, '/status/301' ],
	[ 1, '/raw/' . unpack 'H*', "HTTP/1.1 429 Wait\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n" ],
	[ 1, '/raw/' . unpack 'H*', "not HTTP\r\n\r\n" ],
	[ 5, '/raw/' . unpack 'H*', $answer ],
	[ 5, '/raw/' ],
	[ 1, '/raw/' . unpack 'H*', 'HTTP/1.' ],
	[ 1, '/raw/' . unpack 'H*', substr $answer, 0, 30 ]);

# Answers in this form are complete and successful.
sub is_success
{
	my ($chosen) = @_;
	return $chosen =~ m{^/(?:ok|slow|large)\b} || $chosen eq '/raw/' . unpack 'H*', $answer;
}

sub choose
{
	my ($failing) = @_;
	return '/ok' unless $failing;

	my $at = rand sum0(map { $_->[0] } @choices);
	foreach (@choices)
	{
		return $_->[1] if ($at -= $_->[0]) < 0;
	}
	return '/ok';
}

sub respond
{
	my ($c, $status, $body, @headers) = @_;
	$body //= "status $status\n";
	return send_out($c,
		join("\r\n", "HTTP/1.1 $status Status",
			'Content-Type: text/plain', 'Content-Length: ' . length $body,
			@headers) . "\r\n\r\n$body");
}

sub answer
{
	my ($c, $path, $body, $failing, $challenge) = @_;
	my $later = $c->{answered}++;
	$path =~ s{^/then/[^/?]*}{/ok} unless $later;
	$path =~ s{^/then}{};
	my ($word, $argument) = $path =~ m{^/([^/?]*)/?([^/?]*)};
	my ($id) = $body =~ /"Id":"([^"]*)"/;
	$id //= '';

	if ($word eq 'ok')
	{
		return respond($c, 200, "ok\n");
	}
	elsif ($word eq 'challenge')
	{
		return respond($c, 200, defined $challenge && ++$seen{$path} == $argument ? " $challenge\r\n" : "ok\n");
	}
	elsif ($word eq 'status')
	{
		return respond($c, $argument, undef,
			$argument =~ /^3/ ? 'Location: /ok/redirected' : ());
	}
	elsif ($word eq 'credentials')
	{
		return respond($c, 302, undef, 'Location: /ok?token=sesame', 'Set-Cookie: a=sesame',
			'Set-Cookie: b=sesame', 'X-Auth-Token: sesame', 'X-Colour: red');
	}
	elsif ($word eq 'hang')
	{
		$c->{busy} = 1;
	}
	elsif ($word eq 'slow')
	{
		$c->{busy} = 1;
		later($argument / 1000, sub { $c->{busy} = 0; respond($c, 200, "ok\n"); });
	}
	elsif ($word eq 'reset')
	{
		setsockopt $c->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
		drop($c);
	}
	elsif ($word eq 'drip')
	{
		$c->{busy} = 1;
		send_out($c, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
		drip($c);
	}
	elsif ($word eq 'short')
	{
		$c->{ending} = 1;
		send_out($c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes\n");
	}
	elsif ($word eq 'large')
	{
		respond($c, 200, 'x' x $argument);
	}
	elsif ($word eq 'bytes')
	{
		respond($c, 200, pack('H*', $argument));
	}
	elsif ($word eq 'raw')
	{
		$c->{ending} = 1;
		send_out($c, pack('H*', $argument));
	}
	elsif ($word eq 'endless')
	{
		my ($start, $more) = map { pack 'H*', $_ } split /-/, $argument;
		$c->{busy} = 1;
		$c->{more} = $more x (1 + 65536 / length $more);
		send_out($c, $start);
	}
	elsif ($word eq 'fail-first')
	{
		respond($c, $seen{"$path $id"}++ < $argument ? 500 : 200);
	}
	elsif ($word eq 'flip')
	{
		respond($c, $failing ? 503 : 200);
	}
	elsif ($word eq 'fail-subject')
	{
		$argument =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
		respond($c, $failing && $body =~ /$argument/ ? 500 : 200);
	}
	elsif ($word eq 'retry-after')
	{
		$seen{"$path $id"}++
		  ? respond($c, 200)
		  : respond($c, 429, undef, "Retry-After: $argument");
	}
	else
	{
		respond($c, 404);
	}
	return;
}

sub drip
{
	my ($c) = @_;
	return unless $c->{socket};
	send_out($c, '.');
	later(0.1, sub { drip($c); });
	return;
}

1;
