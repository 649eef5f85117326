# 060_start.pl
#	  How the portal is started, and TLS of its own.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use IPC::Open3;
use Portal;
use Test::More;

my $portal = Portal->new;
my $program = $ENV{PORTAL};

sub refused
{
	my ($expected, @options) = @_;
	my $pid = open3(my $in, my $out, undef, $program, @options);
	my $text = join '', <$out>;

	waitpid $pid, 0;
	ok($? != 0, "refused: @options");
	like($text, $expected, 'with the reason');
	return;
}

my $database = '--database=dbname=postgres';
refused(qr/--database is missing/);
refused(qr/only loopback addresses can be listened on, not 0\.0\.0\.0/, $database, '--listen=0.0.0.0:8088');
refused(qr/only loopback addresses can be listened on, not \[::\]/, $database, '--listen=[::]:8088');
refused(qr/--listen is no address with a port/, $database, '--listen=localhost:8088');
refused(qr/--origin is not a scheme and a host alone/, $database, "--origin=$_")
  foreach 'hooks.example.com', 'https://hooks.example.com/', 'https://', "https://a; script-src *", '*';
refused(qr/--frame-ancestors is not a scheme and a host alone/, $database, "--frame-ancestors=$_")
  foreach '*', "https://a.example.com 'self'", 'https://a.example.com; x';
refused(qr/origins are either all https or all http/, $database, '--origin=https://a', '--origin=http://a');
refused(qr/--certificate and --key go together/, $database, '--certificate=x');
refused(qr/--service-password-file cannot be read or is empty: $_/, $database, '--service=user=x', "--service-password-file=$_")
  foreach '/nonexistent', '/dev/null';
refused(qr/--service-password-file needs --service/, $database, "--service-password-file=$0");
refused(qr/--certificate needs --origin/, $database, '--certificate=x', '--key=y');
refused(qr/an --origin begins with https/, $database, '--certificate=x', '--key=y', '--origin=http://a');
refused(qr/--idle is no duration/, $database, '--idle=30');
refused(qr/--longest is shorter than --idle/, $database, '--idle=2h', '--longest=1h');
refused(qr/--sessions is no number/, $database, "--sessions=$_") foreach 0, 'x', 1001;
refused(qr/what is "x" for/, $database, 'x');
refused(qr/unrecognized option/, '--nothing');
refused(qr/cannot be read/, $database, '--certificate=/nonexistent', '--key=/nonexistent', '--origin=https://a',
	'--listen=127.0.0.1:0');
refused(qr/is not usable/, $database, "--certificate=$0", "--key=$0", '--origin=https://a', '--listen=127.0.0.1:0');
like(scalar `'$program' --help`, qr/--frame-ancestors=ORIGIN/, '--help says what there is');
like(scalar `'$program' --version`, qr/^webhook_portal \d/, '--version says which one it is');

$portal->start;
refused(qr/could not listen on 127\.0\.0\.1:$portal->{port}: Address already in use/, $database,
	"--listen=127.0.0.1:$portal->{port}");
unlike(slurp("/proc/$portal->{pid}/environ") // '', qr/./, 'its memory and its surroundings are nobody else\'s');
like(slurp("/proc/$portal->{pid}/status"), qr/^Threads:\s+1$/m, 'it is one thread');
is($portal->stop, 0, 'the portal ends in order');
is(do { $portal->start; $portal->stop('INT') }, 0, 'SIGINT ends it, too');

# ---- TLS

my $dir = $portal->{dir};
$portal->run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
	  . " -addext subjectAltName=DNS:localhost -keyout '$dir/key.pem' -out '$dir/cert.pem'");
my $port = Portal::free_port();
$portal->start("--listen=0.0.0.0:$port", "--certificate=$dir/cert.pem", "--key=$dir/key.pem", "--origin=https://localhost:$port");

# Say something through TLS, with more options for the client.
sub say_tls
{
	my ($text, $options) = @_;
	my $file = $portal->spit('request', $text =~ s/\n/\r\n/gr);
	return scalar `openssl s_client -connect 127.0.0.1:$port -servername localhost -CAfile '$dir/cert.pem' -verify_return_error @{[ $options // '' ]} -ign_eof <'$file' 2>&1`;
}

my $common = "Host: localhost:$port\nConnection: close";
my $page = say_tls("GET / HTTP/1.1\n$common\n\n");
like($page, qr{^HTTP/1\.1 200 OK\r$}m, 'a page through TLS');
like($page, qr/TLSv1\.3/, 'of version 1.3');
like($page, qr/^Strict-Transport-Security: max-age=31536000\r$/m, 'which is for later visits, too');
like(say_tls("GET / HTTP/1.1\n$common\n\n", '-tls1_2'), qr{^HTTP/1\.1 200 OK\r$}m, '1.2 is spoken');
unlike(say_tls("GET / HTTP/1.1\n$common\n\n", '-tls1_1 -cipher DEFAULT:@SECLEVEL=0'), qr{^HTTP/1\.1}m, '1.1 is not');

my $basic = MIME::Base64::encode_base64('reader:right', '');
my $answer = say_tls("POST /api/session HTTP/1.1\n$common\nOrigin: https://localhost:$port\nContent-Type: application/json\n"
	  . "Authorization: Basic $basic\nContent-Length: 2\n\n{}");
my ($cookie) = $answer =~ /^Set-Cookie: (__Host-webhook=[0-9a-f]{64}); Secure; HttpOnly; SameSite=Strict; Path=\/\r$/m;
ok($cookie, 'the cookie is the host\'s own, and only for https') or diag($answer);
like(say_tls("GET /api/me HTTP/1.1\n$common\nCookie: $cookie\n\n"), qr/"role" : "reader"/, 'a session through TLS');
my ($large) = say_tls("GET /api/large HTTP/1.1\n$common\nCookie: $cookie\n\n") =~ /"(xxx+)"/;
is(length $large, 3000000, 'a large answer is whole');

# Who connects and does not speak TLS holds up nobody.
my @silent = map { $portal->connection } 1 .. 50;
print { $silent[0] } "GET / HTTP/1.1\r\n\r\n";
like(say_tls("GET / HTTP/1.1\n$common\n\n"), qr{^HTTP/1\.1 200 OK\r$}m, 'beside others that say nothing');
is($portal->stop, 0, 'the portal ends in order');

done_testing();

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or return;
	local $/;
	return scalar <$handle>;
}
