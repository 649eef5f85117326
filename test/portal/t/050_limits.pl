# 050_limits.pl
#	  Who takes all that they can get shuts nobody out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;
use Socket qw(SO_RCVBUF);
use Test::More;
use Time::HiRes qw(time);

my $portal = Portal->new;
$portal->start('--forwarded');
my ($host) = $portal->{origin} =~ m{//(.*)};
my $other;
my $browser = $portal->browser;
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');

# How long a page takes, in seconds.
sub time_of
{
	my $start = time;
	is($browser->get('api/me')->{status}, 200, 'a page is there');
	return time - $start;
}

# ---- Connections

my @half = map { my $socket = $portal->connection; print $socket "GET /api/me HT"; $socket } 1 .. 300;
cmp_ok(time_of(), '<', 2, 'beside 300 half-open connections');
push @half, map { my $socket = $portal->connection; print $socket "GET /api/me HT"; $socket } 1 .. 600;
cmp_ok(time_of(), '<', 2, 'and 900');
my $select = IO::Select->new(@half);
my $gone = 0;
$portal->wait_until(sub { $gone = () = $select->can_read(0); $gone >= 300 }, 'the oldest ones have to go');
cmp_ok($gone, '<', 900, 'not all of them');

# Byte by byte: the time is for the whole request.
my $slow = $portal->connection;
my $start = time;
print $slow "GET / HTTP/1.1\r\nHost: ";
$portal->wait_until(
	sub {
		local $SIG{PIPE} = 'IGNORE';
		return 1 if IO::Select->new($slow)->can_read(0.2);
		syswrite $slow, 'x';
		return 0;
	},
	'a request that comes byte by byte ends', 20);
cmp_ok(time - $start, '>', 8, 'after ten seconds');
$gone = () = $select->can_read(0);
is($gone, 900, 'so do those that have sent nothing more');
undef $_ foreach @half;

# ---- Answers that nobody reads

$other = $portal->browser;
is($other->sign_in('clerk', 'Grüße:€')->{status}, 200, 'somebody else signs in');
my $deaf = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $portal->{port}, Sockopts => [ [ SO_RCVBUF, pack 'i', 4096 ] ])
  or die "connect: $!";
print $deaf "GET /api/long?text=x&times=4000000 HTTP/1.1\r\nHost: $host\r\nCookie: $browser->{cookie}\r\n\r\n";
sysread $deaf, my $head, 100;
like($head, qr{^HTTP/1.1 200}, 'a long answer, which is not read');
$start = time;
is($other->get('api/me')->{status}, 200, 'others do not wait for that');
cmp_ok(time - $start, '<', 2, '... at all');
cmp_ok(time_of(), '>', 5, 'the session itself does: it has no more answers in memory than that');
is(time_of() < 2, 1, '... until its client is gone');

# ---- Sign-ins

sub begin_sign_in
{
	my ($from, $pair) = @_;
	my $socket = $portal->connection;
	print $socket join "\r\n", 'POST /api/session HTTP/1.1', "Host: $host", "Origin: $portal->{origin}",
	  'Content-Type: application/json', "X-Forwarded-For: $from",
	  'Authorization: Basic ' . MIME::Base64::encode_base64($pair, ''), 'Content-Length: 2', '', '{}';
	return $socket;
}

sub status_of { my ($socket) = @_; sysread($socket, my $line, 4096); return substr $line // '', 9, 3; }

$start = time;
my @guesses = map { begin_sign_in('192.0.2.1', "reader:guess$_") } 1 .. 12;
cmp_ok(time_of(), '<', 2, 'beside many who guess passwords');
$other = begin_sign_in('192.0.2.2', 'reader:right');
is(status_of($other), 200, 'somebody else signs in');
my %count;
$count{ status_of($_) }++ foreach @guesses;
is_deeply(\%count, { 401 => 8, 429 => 4 }, 'an address can try eight at once');
cmp_ok(time - $start, '>', 1.9, 'four of them a second');

is(status_of(begin_sign_in('2001:db8::1, 192.0.2.3', 'reader:right')), 200, 'the address is the last one of X-Forwarded-For');
like($portal->log_since, qr/from 192\.0\.2\.3: signed in/, 'the log has it');
is(status_of(begin_sign_in("192.0.2.5\r\nX-Forwarded-For: 192.0.2.6", 'reader:right')), 200, 'or that of the last such header');
like($portal->log_since, qr/from 192\.0\.2\.6: signed in/, 'which the proxy has added behind what the client has sent');
is($portal->stop, 0, 'the portal ends in order');

# ---- Headers that nobody writes for us are not believed

$portal->start;
($host) = $portal->{origin} =~ m{//(.*)};
is(status_of(begin_sign_in('192.0.2.4', 'reader:right')), 200, 'without --forwarded');
like($portal->log_since, qr/from loopback: signed in/, 'X-Forwarded-For says nothing');
is($portal->stop, 0, 'the portal ends in order');

done_testing();
