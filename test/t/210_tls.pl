# 210_tls.pl
#	  Which certificates does the worker accept, and to whom does it show its own?
#	  Each handshake that must fail does so with its class and its reason in the
#	  log, and without the path of a file.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use File::Path qw(make_path);
use IO::Select;
use IO::Socket::INET;
use IPC::Open3;
use IPC::Run;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $dir = PostgreSQL::Test::Utils::tempdir;
my %pids;

END
{
	my $status = $?;
	kill 'TERM', keys %pids;
	waitpid $_, 0 foreach keys %pids;
	$? = $status;
}

sub openssl
{
	my @command = ('openssl', @_);
	my $output = '';
	IPC::Run::run(\@command, '<', \undef, '>&', \$output)
	  or die "@command: $output";
	return;
}

# A key and a certificate, signed by a CA or by itself.
sub certificate
{
	my ($name, $subject, $ca, $from, $until, $names) = @_;
	my $file = "$dir/$name";

	openssl(qw(req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj),
		"/CN=$subject", '-keyout', "$file.key", '-out', "$file.csr");
	open my $out, '>', "$file.ext" or die $!;
	print $out $names ? "subjectAltName=$names\n" : "basicConstraints=critical,CA:TRUE\n";
	close $out;

	# Only "ca" takes dates, so that none depends on a clock that is set.
	if (!-e "$file.d")
	{
		make_path("$file.d");
		foreach (['index', ''], ['serial', sprintf("%04d\n", 1000 + int rand 8000)],
			['conf', "[ca]\ndefault_ca=c\n[c]\ndatabase=$file.d/index\nserial=$file.d/serial\n"
				  . "new_certs_dir=$file.d\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
				  . "[p]\ncommonName=supplied\n"])
		{
			open my $handle, '>', "$file.d/$_->[0]" or die $!;
			print $handle $_->[1];
			close $handle;
		}
	}
	openssl('ca', '-batch', '-notext', '-config', "$file.d/conf", '-in', "$file.csr",
		'-out', "$file.crt", '-extfile', "$file.ext",
		'-startdate', $from // '20200101000000Z', '-enddate', $until // '20991231235959Z',
		$ca ? ('-cert', "$dir/$ca.crt", '-keyfile', "$dir/$ca.key")
		: ('-selfsign', '-keyfile', "$file.key"));
	system("cat '$file.crt' '$file.key' > '$file.pem'") == 0 or die;
	return;
}

my $here = 'IP:127.0.0.1';
certificate('ca', 'Ours');
certificate('other-ca', 'Theirs');
certificate('good', 'good', 'ca', undef, undef, $here);
certificate('expired', 'expired', 'ca', '20200101000000Z', '20200201000000Z', $here);
certificate('early', 'early', 'ca', '20980101000000Z', '20991231235959Z', $here);
certificate('elsewhere', 'elsewhere', 'ca', undef, undef, 'DNS:elsewhere.example');
certificate('selfsigned', 'selfsigned', undef, undef, undef, $here);
certificate('untrusted', 'untrusted', 'other-ca', undef, undef, $here);
certificate('client', 'client', 'ca', undef, undef, 'DNS:client');
certificate('stranger', 'stranger', 'other-ca', undef, undef, 'DNS:stranger');

sub free_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
	return $socket->sockport;
}

# openssl's own server, whose console answers each request that it shows. Without -quiet
# it shows each handshake, too.
sub serve
{
	my ($certificate, @options) = @_;
	my @quiet = grep({ $_ eq '-handshakes' } @options) ? () : '-quiet';
	my $port = free_port();
	my $pid = fork() // die $!;

	if ($pid == 0)
	{
		my $server = open3(my $in, my $out, undef, 'openssl', 's_server', @quiet,
			'-accept', "127.0.0.1:$port", '-cert', "$dir/$certificate.crt",
			'-key', "$dir/$certificate.key", grep({ $_ ne '-handshakes' } @options));
		local $SIG{TERM} = sub { kill 'KILL', $server; POSIX::_exit(0); };
		my $text = '';

		while (sysread $out, $text, 65536, length $text)
		{
			next if $text !~ /\r\n\r\n\{.*\}/s;
			append_to_file("$dir/handshakes", $text =~ /^Reused session-id/m ? "resumed\n" : "whole\n") if !@quiet;
			$text = '';
			syswrite $in, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
		}
		POSIX::_exit(0);
	}
	$pids{$pid} = 1;
	foreach (1 .. 300)
	{
		last if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
		select undef, undef, undef, 0.1;
	}
	return "https://127.0.0.1:$port/hook";
}

my $server = Webhook::Test->new('tls', <<"END");
webhook.require_https = on
webhook.ca_file = '$dir/ca.crt'
webhook.certificate_directory = '$dir'
webhook.retry_schedule = '1h'
END
$server->prepare;
my $contract = 0;

# Send one event to one endpoint; returns its row of the log.
sub attempt
{
	my ($url, $options) = @_;
	my $id = $server->subscribe($url, $options);

	$contract++;
	$server->sql("INSERT INTO business_request VALUES ($contract, 'Draft')");
	$server->poll("SELECT count(*) > 0 FROM webhook.log WHERE subscription_id = $id")
	  or diag('nothing in the log');
	my $row = $server->sql(<<"END");
SELECT concat_ws(' ', outcome, response_status, error_class, error)
FROM webhook.log WHERE subscription_id = $id ORDER BY logged_at LIMIT 1
END
	$server->unsubscribe($id);
	return $row;
}

sub fails
{
	my ($url, $expected, $what, $options) = @_;
	my $row = attempt($url, $options);
	like($row, $expected, $what);
	unlike($row, qr/\Q$dir\E/, '... the error has no path of a file');
	return;
}

my $good = serve('good');
like(attempt($good), qr/^delivered 200/, 'a certificate of our CA');
fails(serve('expired'), qr/^retrying tls .*expired/, 'an expired one');
fails(serve('early'), qr/^retrying tls .*not yet valid/, 'one that is not valid yet');
fails(serve('elsewhere'), qr/^retrying tls .*127\.0\.0\.1/, 'one of another host');
fails(serve('selfsigned'), qr/^retrying tls .*self.signed/, 'a self-signed one');
my $untrusted = serve('untrusted');
fails($untrusted, qr/^retrying tls .*issuer/, 'one of a CA that is not ours');
fails(serve('good', qw(-tls1_1 -cipher DEFAULT@SECLEVEL=0)), qr/^retrying tls /, 'TLS 1.1');

# A listener that accepts and then says nothing.
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die $!;
fails('https://127.0.0.1:' . $silent->sockport . '/', qr/^retrying timeout /,
	'a handshake without an answer', "timeout => '1 s'");

# A CA of a subscription's own is used instead of webhook.ca_file, for it alone.
like(attempt($untrusted, "ca => 'other-ca.crt'"), qr/^delivered 200/, 'a subscription with a CA of its own');
fails($untrusted, qr/^retrying tls .*issuer/, 'another subscription does not use that CA');
fails($good, qr/^retrying tls .*issuer/, 'with a CA of its own, ours is not used', "ca => 'other-ca.crt'");
fails($good, qr/^retrying tls .*\bnone\.crt\b/, 'a CA file that does not exist', "ca => 'none.crt'");

# A receiver that closes each connection: the second handshake resumes the first one's session.
my $closing = serve('good', '-handshakes');
my $closed = $server->subscribe($closing);
foreach (1 .. 3)
{
	$server->sql("INSERT INTO business_request VALUES (1000 + $_, 'Draft')");
	$server->becomes("SELECT count(*) FROM webhook.log WHERE subscription_id = $closed", $_);
}
my $handshakes = slurp_file("$dir/handshakes");
is($handshakes, "whole\nresumed\nresumed\n", 'TLS sessions are resumed');
$server->unsubscribe($closed);

# Client certificates.
my $mutual = serve('good', '-Verify', '1', '-verify_return_error', '-CAfile', "$dir/ca.crt");
fails($mutual, qr/^retrying tls .*alert /, 'a client certificate is missing');
like(attempt($mutual, "client_certificate => 'client.pem'"), qr/^delivered 200/, 'a client certificate of their CA');
fails($mutual, qr/^retrying tls .*alert /, 'another subscription does not use it');
fails($mutual, qr/^retrying tls .*alert /, 'a client certificate of a CA that is not theirs',
	"client_certificate => 'stranger.pem'");
fails($mutual, qr/^retrying tls .*\bnone\.pem\b/, 'a client certificate that does not exist',
	"client_certificate => 'none.pem'");
fails($mutual, qr/^retrying tls .*\bclient\.crt\b/, 'a client certificate without its key',
	"client_certificate => 'client.crt'");

# webhook.ca_file changes while the worker runs.
$server->set("webhook.ca_file", "$dir/other-ca.crt");
fails($good, qr/^retrying tls .*issuer/, 'after a reload the former CA is not used');
like(attempt($untrusted), qr/^delivered 200/, 'after a reload the new CA is used');

$server->stop;
done_testing();
