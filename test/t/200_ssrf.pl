# 200_ssrf.pl
#	  Does the server refuse to send to addresses inside, and say so in the log:
#	  when a name leads there, when an answer has addresses of both kinds, when an
#	  answer changes, and when a setting changes?
#
# Names are answered from a file, by nss_wrapper in the server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use IO::Select;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my ($wrapper) = glob '/usr/lib/*/libnss_wrapper.so /usr/lib*/libnss_wrapper.so';
plan skip_all => 'no nss_wrapper: Debian has it as libnss-wrapper' if !$wrapper;

my $hosts = PostgreSQL::Test::Utils::tempdir . '/hosts';

# Set what names resolve to: pairs of an address and a name.
sub answer
{
	open my $handle, '>', "$hosts.new" or die $!;
	while (my ($address, $name) = splice @_, 0, 2)
	{
		print $handle "$address $name\n";
	}
	close $handle;
	rename "$hosts.new", $hosts or die $!;
	return;
}

answer(
	'127.0.0.1' => 'good.test.example',
	'10.11.12.13' => 'inside.test.example',
	'127.0.0.1' => 'mixed.test.example',
	'10.11.12.13' => 'mixed.test.example',
	'169.254.169.254' => 'metadata.test.example');

my $server = Webhook::Test->new('ssrf', "webhook.retry_schedule = '1h'",
	env => { LD_PRELOAD => $wrapper, NSS_WRAPPER_HOSTS => $hosts });
$server->prepare;
my $port = $server->receiver->port;
my $contract = 0;

# A listener on loopback that must not be connected to.
my $untouched = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.7') or die $!;
my $quiet = $untouched->sockport;

# Make an event; returns the subscription's row of the log.
sub next_attempt
{
	my ($id) = @_;
	my $before = $server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $id");

	$contract++;
	$server->sql("INSERT INTO business_request VALUES ($contract, 'Draft')");
	$server->poll("SELECT count(*) > $before FROM webhook.log WHERE subscription_id = $id")
	  or diag('nothing in the log');
	return $server->sql(<<"END");
SELECT concat_ws(' ', outcome, response_status, error_class, error, source_ip)
FROM webhook.log WHERE subscription_id = $id ORDER BY logged_at DESC LIMIT 1
END
}

sub attempt
{
	my ($url, $options) = @_;
	my $id = $server->subscribe($url, $options);
	my $row = next_attempt($id);
	$server->unsubscribe($id);
	return $row;
}

like(attempt("http://good.test.example:$port/ok"), qr/^delivered 200/, 'a name of an allowed address');
is(attempt("http://inside.test.example:$port/ok"),
	'retrying blocked the address 10.11.12.13 is in 10.0.0.0/8 (private use), '
	  . 'which webhook.allowed_networks does not allow',
	'a name that leads inside: the log has address, block and setting');
like(attempt("http://mixed.test.example:$port/ok"), qr{^retrying blocked .*10\.0\.0\.0/8},
	'a name with an allowed and a private address is refused');
like(attempt("http://metadata.test.example:$port/ok"), qr{^retrying blocked .*169\.254\.0\.0/16},
	'the metadata service of a cloud');
like(attempt("http://nobody.test.example:$port/ok"), qr/^retrying dns .*no such name/,
	'a name that does not exist');

# The answer changes between two attempts (DNS rebinding). A connection that is
# kept stays; a new connection asks again.
my @answers = (
	'127.0.0.1' => 'good.test.example',
	'127.0.0.1' => 'rebound.test.example');
answer(@answers);
my $rebound = $server->subscribe("http://rebound.test.example:$port/ok");
like(next_attempt($rebound), qr/^delivered 200/, 'a name of an allowed address');
answer(@answers[ 0, 1 ], '10.11.12.13' => 'rebound.test.example');
$server->end_worker('TERM');
like(next_attempt($rebound), qr{^retrying blocked .*10\.0\.0\.0/8}, 'the same name leads inside later and is refused');
$server->unsubscribe($rebound);

# A reload denies a network to which a connection is kept.
my $kept = $server->subscribe("http://127.0.0.1:$port/ok");
like(next_attempt($kept), qr/^delivered 200/, 'a connection is made');
my $requests = $server->receiver->count('/ok');
$server->set('webhook.denied_networks', '127.0.0.0/8');
like(next_attempt($kept), qr{^retrying blocked .*127\.0\.0\.0/8, which webhook\.denied_networks},
	'after the reload the connection is not used');
is($server->receiver->count('/ok'), $requests, 'nothing was sent');
$server->unsubscribe($kept);

# Endpoints that were saved while they were allowed.
$server->set('webhook.denied_networks', '127.0.0.8');
my $literal = $server->subscribe("http://127.0.0.7:$quiet/");
my $named = $server->subscribe("http://good.test.example:$quiet/", "timeout => '2 s'");
$server->set('webhook.denied_networks', '127.0.0.0/8');
like(next_attempt($literal), qr/^retrying blocked/, 'an address that is denied by now');
$server->set('webhook.denied_networks', '');
$server->set('webhook.require_https', 'on');
like(next_attempt($named), qr/^retrying blocked .*webhook\.require_https/,
	'plain http that is not allowed by now');
$server->set('webhook.require_https', 'off');
$server->set('webhook.allowed_ports', '443');
like(next_attempt($named), qr/^retrying blocked .*webhook\.allowed_ports/,
	'a port that is not allowed by now');

ok(!IO::Select->new($untouched)->can_read(0), 'nothing connected to the listener that must not be touched');

$server->stop;
done_testing();
