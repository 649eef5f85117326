# 020_requests.pl
#	  What malformed and hostile requests are answered: one line of JSON, and nothing
#	  is done.  Which requests are refused in detail is tested in unit/request_test.c.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;
use Test::More;

my $portal = Portal->new;
$portal->start;
my ($host) = $portal->{origin} =~ m{//(.*)};
my $browser = $portal->browser;
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');

is($portal->browser->$_("api/nowhere")->{status}, 401, "without a session nobody learns what there is: $_") foreach 'get', 'post';

# What every answer says, from the page to an error.
my %always = (
	'x-content-type-options' => 'nosniff',
	'referrer-policy' => 'no-referrer',
	'cross-origin-opener-policy' => 'same-origin',
	'cross-origin-resource-policy' => 'same-origin',
	'permissions-policy' => 'camera=(), microphone=(), geolocation=()',
	'x-frame-options' => 'DENY');
foreach my $path ('', 'healthz', 'api/me', 'api/old', 'api/nowhere', 'nowhere')
{
	my $headers = $browser->get($path)->{headers};
	is_deeply({ map { $_ => $headers->{$_} } keys %always }, \%always, "/$path has the headers of each answer");
	my $policy = $headers->{'content-security-policy'};
	like($policy, qr/^default-src 'none'; script-src 'self'; .*require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'$/,
		'and the policy');
	unlike($policy, qr/unsafe|data:|\*/, 'which has no exception');
	is($headers->{'strict-transport-security'}, undef, 'and nothing about https without it');
	is($headers->{'access-control-allow-origin'}, undef, 'and opens nothing to other sites');
	is($headers->{'cache-control'}, $path eq '' ? 'no-cache' : 'no-store', 'and may not be kept');
}

# ---- Files

my $page = $browser->get('');
is("$page->{status} $page->{headers}{'content-type'}", '200 text/html; charset=utf-8', 'the page is there');
is($browser->get('index.html')->{content}, $page->{content}, 'by its name, too');
is($browser->get('', 'If-None-Match' => $page->{headers}{etag})->{status}, 304, 'who has it already gets nothing');
is($browser->get('', 'If-None-Match' => '"other"')->{status}, 200, 'who has another one gets it');
my $head = $browser->request('HEAD', '');
is($head->{status} . ($head->{content} // ''), '200', 'HEAD has no body');
is($browser->get($_)->{status}, 404, "no file: /$_") foreach '../routes.c', '%2e%2e/%2e%2e/etc/passwd', 'www/index.html', '/index.html', 'api';

# ---- What is no request

sub malformed
{
	my ($what, $status, $text) = @_;
	my ($got, $answer) = $portal->say_raw($text =~ s/(?<!\r)\n/\r\n/gr);
	is($got, $status, "$status: $what") or diag($answer);
	my ($body) = $answer =~ /\r\n\r\n(.*)\z/s;
	like($body // '', qr/\A\{"sqlstate":null,"message":"[^\n]+\}\n\z/, 'in one line of JSON');
	return;
}

my $cookie = "Cookie: $browser->{cookie}";
my $write = "$cookie\nOrigin: $portal->{origin}\nContent-Type: application/json";

malformed('another host', 421, "GET /api/me HTTP/1.1\nHost: evil.example\n$cookie\n\n");
malformed('an address of another server', 400, "GET http://evil.example/api/me HTTP/1.1\nHost: $host\n$cookie\n\n");
malformed('a NUL in the path', 400, "GET /api/me%00x HTTP/1.1\nHost: $host\n$cookie\n\n");
malformed('a NUL in a parameter', 400, "GET /api/echo?one=a%00b HTTP/1.1\nHost: $host\n$cookie\n\n");
malformed('chunks', 400,
	"POST /api/note HTTP/1.1\nHost: $host\n$write\nTransfer-Encoding: chunked\n\nd\n{\"text\":\"no\"}\n0\n\n");
malformed('a body that is too large', 413, "POST /api/note HTTP/1.1\nHost: $host\n$write\nContent-Length: 65537\n\n{");
malformed('headers that are too large', 431, "GET /api/me HTTP/1.1\nHost: $host\n$cookie\nX: " . 'x' x 33000 . "\n\n");
malformed('many headers', 431, "GET /api/me HTTP/1.1\nHost: $host\n$cookie\n" . "X: y\n" x 200 . "\n");
malformed('an address that is too long', 414, "GET /api/me?" . 'x' x 9000 . "=1 HTTP/1.1\nHost: $host\n$cookie\n\n");
malformed('another method', 405, "DELETE /api/me HTTP/1.1\nHost: $host\n$cookie\n\n");
malformed('a page that is posted to', 405, "POST / HTTP/1.1\nHost: $host\n$write\nContent-Length: 2\n\n{}");
malformed('a read with a body', 400, "GET /api/me HTTP/1.1\nHost: $host\n$cookie\nContent-Length: 2\n\n{}");
malformed('no origin', 403, "POST /api/note HTTP/1.1\nHost: $host\n$cookie\nContent-Type: application/json\nContent-Length: 13\n\n{\"text\":\"no\"}");
malformed('another origin', 403,
	"POST /api/note HTTP/1.1\nHost: $host\n$cookie\nOrigin: https://evil.example\nContent-Type: application/json\nContent-Length: 13\n\n{\"text\":\"no\"}");
malformed('a form of another site', 403,
	"POST /api/note HTTP/1.1\nHost: $host\n$write\nSec-Fetch-Site: cross-site\nContent-Length: 13\n\n{\"text\":\"no\"}");
malformed('a form', 415,
	"POST /api/note HTTP/1.1\nHost: $host\n$cookie\nOrigin: $portal->{origin}\nContent-Type: text/plain\nContent-Length: 13\n\n{\"text\":\"no\"}");
malformed('a sign-in of another site', 403,
	"POST /api/session HTTP/1.1\nHost: $host\nOrigin: https://evil.example\nContent-Type: application/json\nContent-Length: 2\n\n{}");

# What libmicrohttpd refuses by itself is in words of its own.  All but the first three reach
# the portal with libmicrohttpd 0.9, and may not with 1.0.
foreach (['no request at all' => "\x16\x03\x01\x02\n\n"], [ 'no host' => "GET /api/me HTTP/1.1\n\n" ],
	['a length that is none' => "POST /api/note HTTP/1.1\nHost: $host\n$write\nContent-Length: 1x\n\n{}"],
	[ 'two hosts' => "GET /api/me HTTP/1.1\nHost: $host\nHost: $host\n$cookie\n\n" ],
	['a length and chunks' => "POST /api/note HTTP/1.1\nHost: $host\n$write\nContent-Length: 4\nTransfer-Encoding: chunked\n\n0\n\n"],
	map { [ "a blank before a colon, $_" => "POST /api/note HTTP/1.1\nHost: $host\n$write\nContent-Length: 13\n$_\n\n{\"text\":\"no\"}" ] }
	  'Transfer-Encoding : chunked', 'Content-Length : 5', 'Origin : https://evil.example', 'Host : evil.example', "Host\t: evil.example")
{
	my ($what, $text) = @$_;
	my ($status, $answer) = $portal->say_raw($text =~ s/\n/\r\n/gr);
	ok($status == 400 || $answer eq '', "refused: $what") or diag($answer);
}

# Two requests on one connection are two requests: the second one is judged for itself.
{
	my $socket = $portal->connection;
	print $socket "GET /healthz HTTP/1.1\r\nHost: $host\r\n\r\nPOST /api/note HTTP/1.1\r\nHost: $host\r\n\r\n";
	my $answer = '';
	while (IO::Select->new($socket)->can_read(5))
	{
		sysread($socket, $answer, 65536, length $answer) or last;
		last if $answer =~ /403.*\r\n\r\n.*\n\z/s;
	}
	like($answer, qr{^HTTP/1.1 200 .*^HTTP/1.1 403 }ms, 'the second request of a connection is judged, too');
}

foreach (['an array' => '[]'], [ 'nothing' => '' ], [ 'a NUL' => "{\"text\":\"no\0\"}" ], [ 'no UTF-8' => "{\"text\":\"\xff\"}" ])
{
	my ($what, $body) = @$_;
	my $answer = $browser->post('api/note', $body);
	is("$answer->{status} $answer->{json}{message}", '400 the body has to be a JSON object in UTF-8', "a body that is $what");
}
foreach (['is not known' => '{"text":"no","texts":"no"}'], [ 'is there twice' => '{"text":"no","text":"no"}' ])
{
	my ($what, $body) = @$_;
	my $answer = $browser->post('api/note', $body);
	is("$answer->{status} $answer->{json}{message}", '400 the body has a key that is not known, or is there twice', "a key that $what");
}
is($browser->post('api/note?text=no', '{"text":"no"}')->{status}, 400, 'a POST has no parameters');
my $answer = $browser->post('api/note', '{"text":');
is("$answer->{status} $answer->{json}{sqlstate}", '422 22P02', 'JSON that is none, the database refuses');

# What the portal answers without the database is judged in the same way.
my @pair = (Authorization => 'Basic ' . MIME::Base64::encode_base64('reader:right', ''));
foreach my $path ('session', 'session/end')
{
	foreach my $body ('garbage', '[]', '', '{"user":"reader"}')
	{
		is($browser->post("api/$path", $body, @pair)->{status}, 400, "a body of $path: '$body'");
	}
	is($browser->post("api/$path?x=1", '{}', @pair)->{status}, 400, "$path has no parameters");
}
is($browser->get("api/$_?x=1")->{status}, 400, "nor has $_") foreach 'session', 'live';

# A stream has no length that HEAD could say.
is($browser->request('HEAD', "api/$_")->{status}, 405, "no HEAD of $_") foreach 'live', 'rows.csv';
is($browser->request('HEAD', 'api/me')->{status}, 200, '... but of what has one');
is($browser->get('api/notes')->{status}, 404, 'nothing of all this had an effect');

# A C string ends at a NUL, so libmicrohttpd may show less than was sent.  What it does not refuse
# is answered as the request without the rest is, which its sender could have made as well.  Any
# other control byte is refused.
my %line = (request => 'POST /api/note HTTP/1.1', host => "Host: $host", cookie => $cookie, origin => "Origin: $portal->{origin}",
	type => 'Content-Type: application/json', length => 'Content-Length: 13', close => 'Connection: close', other => 'X: a');
sub with_line
{
	my ($where, $line) = @_;
	my %all = (%line, $where => $line);
	my ($status, $answer) = $portal->say_raw(join "\r\n", delete $all{request}, (map { $all{$_} } sort keys %all), '', '{"text":"no"}');
	return ($status, $answer =~ s/.*?\r\n\r\n//sr);
}

is((with_line(request => $line{request}))[0], 200, 'a request without control bytes is answered');
foreach my $byte (0, 1, 11, 31, 127)
{
	my $c = chr $byte;
	foreach (['request', 'the path', "POST /api/note${c}x HTTP/1.1"], [ 'request', 'a parameter', "POST /api/note?one=a${c}b HTTP/1.1" ],
		[ 'request', 'the method', "POST$c /api/note HTTP/1.1" ], [ 'request', 'the version', "POST /api/note HTTP/1.1$c" ],
		[ 'other', 'the name of a header', "X${c}Y: a" ], [ 'other', 'a header', "X: a${c}b" ],
		map { [ $_, "the header of the $_", "$line{$_}${c}x" ] } 'host', 'cookie', 'origin', 'type', 'length')
	{
		my ($where, $what, $line) = @$_;
		my ($status, $body) = with_line($where, $line);
		my ($cut) = $line =~ /^([^\0]*)/;
		$cut .= ' HTTP/1.1' if $where eq 'request' and $cut !~ /HTTP/;
		$cut = 'POST /api/note HTTP/1.1' if $what eq 'the method';
		ok($status =~ /^4/ || $body eq '' || $byte == 0 && $body eq (with_line($where, $cut))[1],
			sprintf 'byte %02x in %s', $byte, $what) or diag("$status $body");
	}
}

is($portal->stop, 0, 'the portal ends in order');

# ---- Names of a proxy

$portal->start('--origin=https://hooks.example.com', '--frame-ancestors=https://portal.example.com');
is($portal->{origin}, 'https://hooks.example.com', 'the origin is the one that browsers see');
$browser = $portal->browser(Host => '', Origin => 'https://hooks.example.com');
is(scalar $portal->say_raw("GET / HTTP/1.1\r\nHost: $_\r\n\r\n"), 200, "a page of $_") foreach 'hooks.example.com', 'HOOKS.example.com:443';
is(scalar $portal->say_raw("GET / HTTP/1.1\r\nHost: $_\r\n\r\n"), 421, "no page of $_")
  foreach "127.0.0.1:$portal->{port}", "localhost:$portal->{port}", 'hooks.example.com:80', 'evil.example';
my $pair = MIME::Base64::encode_base64('reader:right', '');
(undef, $answer) = $portal->say_raw(join "\r\n", 'POST /api/session HTTP/1.1', 'Host: hooks.example.com', 'Origin: https://hooks.example.com',
	'Content-Type: application/json', "Authorization: Basic $pair", 'Content-Length: 2', '', '{}');
like($answer, qr/^Set-Cookie: __Host-webhook=[0-9a-f]{64}; Secure; HttpOnly; SameSite=Strict; Path=\/\r$/m,
	'behind https the cookie is the host\'s own, and only for https');
like($answer, qr/^Strict-Transport-Security: max-age=31536000\r$/m, 'and so is what follows');
like($answer, qr/frame-ancestors https:\/\/portal\.example\.com\r$/m, 'one origin may frame the pages');
unlike($answer, qr/^X-Frame-Options/m, 'and is not forbidden to by the older header');
is($portal->stop, 0, 'the portal ends in order');

done_testing();
