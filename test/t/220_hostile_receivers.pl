# 220_hostile_receivers.pl
#	  What does the log say of receivers that answer with whatever harms?  Does
#	  the worker neither crash nor grow, and does no other subscription wait?
#
# What the engine makes of more such answers is tested in test/unit/http_test.c.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Compress::Zlib ();
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

# An endpoint that hangs does so for longer than the rest of this test should take;
# retries come after that.
my $server = Webhook::Test->new('hostile', "webhook.timeout = '10s'\nwebhook.retry_schedule = '1h'");
$server->prepare;
my $receiver = $server->receiver;

my $ok = "HTTP/1.1 200 OK\r\n";
my $chunked = "${ok}Transfer-Encoding: chunked\r\n\r\n";
my $x = 'x' x 100;

sub raw { return '/raw/' . unpack 'H*', $_[0]; }
sub endless { return '/endless/' . join '-', map { unpack 'H*', $_ } @_; }

# What a receiver does: a name, the path, and "outcome status error_class" in the log.
my @hostile = (
	[ 'no HTTP', raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"), 'retrying - protocol' ],
	[ 'HTTP/0.9', raw('<html>hello</html>'), 'retrying - protocol' ],
	[ 'HTTP/7', raw("HTTP/7.3 200 OK\r\n\r\n"), 'retrying - protocol' ],
	[ 'status 000', raw("HTTP/1.1 000 No\r\n\r\n"), 'retrying - protocol' ],
	[ 'status 2000', raw("HTTP/1.1 2000 No\r\n\r\n"), 'retrying - protocol' ],
	[ 'status 999', '/status/999', 'retrying 999 status' ],
	[ 'status 401', '/status/401', 'retrying 401 status' ],
	[ 'status 302', '/status/302', 'retrying 302 status' ],
	[ 'status 101', raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxyz"), 'retrying 101 status' ],
	[ '204 and more', raw("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\n\r\n"), 'delivered 204 -' ],
	[ 'two answers', raw("${ok}Content-Length: 0\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), 'delivered 200 -' ],
	[ 'nothing', raw(''), 'retrying - reset' ],
	[ 'a reset', '/reset', 'retrying - reset' ],
	[ 'half a status line', raw('HTTP/1.'), 'retrying - reset' ],
	[ 'half the headers', raw("${ok}X-Peer: a\r\n"), 'retrying 200 reset' ],
	[ 'half a body', '/short', 'retrying 200 reset' ],
	[ 'half a chunk', raw("${chunked}64\r\nok"), 'retrying 200 reset' ],
	[ 'a bad chunk', raw("${chunked}zz\r\nok\r\n0\r\n\r\n"), 'retrying 200 protocol' ],
	[ 'a bad length', raw("${ok}Content-Length: -5\r\n\r\nok"), 'retrying 200 protocol' ],
	[ 'a coding', raw("${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 'retrying 200 protocol' ],
	[ 'no colon', raw("${ok}no colon\r\n\r\n"), 'retrying 200 protocol' ],
	[ 'a NUL in a header', raw("${ok}X-Peer: a\0b\r\n\r\n"), 'retrying 200 protocol' ],
	[ 'a fold that continues nothing', raw("${ok} X-Peer: a\r\nContent-Length: 0\r\n\r\n"), 'retrying 200 protocol' ],
	[ 'endless 1xx', endless('', "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 'retrying - too_large' ],
	[ 'endless status line', endless('HTTP/1.1 200 ', $x), 'retrying - too_large' ],
	[ 'endless headers', endless($ok, "X-$x: $x\r\n"), 'retrying 200 too_large' ],
	[ 'endless header', endless("${ok}X-Peer: ", $x), 'retrying 200 too_large' ],
	[ 'endless chunk extension', endless("${chunked}1;", $x), 'retrying 200 too_large' ],
	[ 'endless trailers', endless("${chunked}0\r\n", "X-$x: $x\r\n"), 'retrying 200 too_large' ],
	[ 'endless body', endless("${ok}\r\n", $x), 'delivered 200 -' ],
	[ 'endless chunks', endless($chunked, "64\r\n$x\r\n"), 'delivered 200 -' ],
);

# These time out.
my @hanging = (
	[ 'silence', '/hang', 'retrying - timeout' ],
	[ 'a drip', '/drip', 'retrying 200 timeout' ]);

my @events = (1 .. 40);
my %subscription;

sub change
{
	my ($status) = @_;
	$server->sql("INSERT INTO business_request SELECT i, '$status' FROM generate_series($events[0], $events[-1]) i ON CONFLICT (id) DO UPDATE SET status = '$status'");
	return;
}

# Resident memory of a process, kB.
sub resident
{
	my ($pid) = @_;
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmRSS:\s+(\d+) kB/m;
	return $kb;
}

# The worker has delivered before its memory is measured.
my $healthy = $server->subscribe('/ok/healthy');
change('Draft');
$server->settle('alone');
my $worker = $server->wait_for_worker;
my $before = resident($worker);

# Forty events to each of them. The healthy subscription gets all of its own, in
# order, before any request that hangs times out.
foreach my $case (@hostile, @hanging)
{
	my ($name, $path) = @$case;
	$subscription{$name} = $server->subscribe($path);
}
change($_) foreach qw(Review Approved Signed);
$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $healthy AND outcome = 'delivered'",
	4 * @events, 'the healthy subscription has all of its events');
is($server->sql("SELECT count(*) FROM webhook.log WHERE error_class = 'timeout'"), '0',
	'requests that hang are still in flight then');
my %statuses;
push @{ $statuses{ $_->{contract} } }, $_->{new} foreach $server->received('/ok/healthy');
is(scalar(grep { "@$_" ne 'Draft Review Approved Signed' } values %statuses), 0, 'each contract came in order, each change once');

# The log of each first attempt.
foreach my $case (@hostile, @hanging)
{
	my ($name, undef, $expected) = @$case;
	my $id = $subscription{$name};

	# The connections to a receiver are those of all its subscriptions. So any request may
	# lose one that was kept after the answer to another, and that ends in that moment.
	my $lost = $expected eq 'retrying - reset' ? ''
	  : "AND (response_status IS NOT NULL OR error_class IS DISTINCT FROM 'reset')";

	$server->becomes("SELECT count(*) > 0 FROM webhook.log WHERE subscription_id = $id $lost", 't', "$name: an attempt is logged");
	is($server->sql(<<"END"), $expected, "$name: $expected");
SELECT DISTINCT concat_ws(' ', outcome, coalesce(response_status::text, '-'), coalesce(error_class, '-'))
FROM webhook.log WHERE subscription_id = $id AND attempt = 1 $lost
END
}
is($server->sql("SELECT count(*) FROM webhook.log WHERE (error_class IS NULL) <> (error IS NULL) OR error ~ '[^ -~]'"),
	'0', 'each error_class comes with an error, in printable characters');
is($server->sql(<<'END'), '16384|t', '16 kB of a body are kept at most');
SELECT max(octet_length(response_body)), bool_and(octet_length(response_headers::text) < 65536)
	FROM webhook.log
END
is(scalar(my @followed = $receiver->requests(qr{^/ok/redirected})), 0, 'a redirect is not followed');

# The worker is alive, and not much larger.
is($server->worker, $worker, 'it is the same worker');
my $grown = resident($worker) - $before;
cmp_ok($grown, '<', 32 * 1024, "its memory has grown by less than 32 MB ($grown kB)");
$server->unsubscribe_all;

# Whatever bytes a receiver sends, the log has them as text, and nothing else does.
sub logged
{
	my ($path, $columns) = @_;
	my $id = $server->subscribe($path);
	$server->sql("SELECT webhook.ping($id)");
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $id", '1', 'the ping is logged');
	return $server->sql("SELECT $columns FROM webhook.log WHERE subscription_id = $id");
}

my $body = qq<{"a":"'; DROP TABLE webhook.log; --\\"}\0\xff\xc3(\x1b[2J\r\nLOG:  \xed\xa0\x80\xf4\x90\x80\x80end>;
my $kept = qq<{"a":"'; DROP TABLE webhook.log; --\\"}\\x00\\xFF\\xC3(\x1b[2J\r\nLOG:  \\xED\\xA0\\x80\\xF4\\x90\\x80\\x80end>;
is(logged(raw("HTTP/1.1 500 \x1b[31mNo\xff\"\\\r\nContent-Length: " . length($body) . "\r\n\r\n$body"),
		q{encode(convert_to(response_body, 'UTF8'), 'hex'), error, outcome}),
	unpack('H*', $kept) . '|the endpoint answered with status 500|failed', 'any bytes in a body and in a reason phrase');
is(logged(raw("${ok}X-'\"\xff: \xc3(\x1b]0;title\x07\r\nx-a: \"}], \\\"b\r\nX-A: '; DROP\r\n"
			. "Set-Cookie: session=secret\r\nContent-Length: 0\r\n\r\n"),
		q{response_headers - '{set-cookie,content-length}'::text[]}),
	q<{"x-a": ["\"}], \\\\\"b", "'; DROP"], "x-'\"\\\\xff": "\\\\xC3(\\u001b]0;title\\u0007"}>, 'any bytes in a header');
is(logged(raw("${ok}Content-Encoding: gzip\r\n\r\n" . Compress::Zlib::memGzip("\0" x 400_000)),
		q(octet_length(response_body) BETWEEN 100 AND 4000)),
	't', 'a compressed body is not unpacked');
unlike($server->sql('SELECT string_agg(l::text, E\'\\n\') FROM webhook.log l'), qr/session=secret/, 'a cookie is not kept');
unlike($server->log_since, qr/[^\t\n -~]|DROP TABLE webhook|terminated by signal/, 'the server log has no byte of it');
is($server->worker, $worker, 'it is still the same worker');
$server->settle('at the end');

done_testing();
