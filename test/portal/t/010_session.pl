# 010_session.pl
#	  Who can sign in, what they hear who cannot, and when a session ends.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;
use Test::More;
use Time::HiRes qw(time);

my $portal = Portal->new;
my $away = Portal::free_port();
my $sentence = 'user or password is wrong, or this role may not use the portal';

$portal->start;

# ---- Signing in

my $browser = $portal->browser;
is($browser->get('api/me')->{status}, 401, 'without a session nothing is shown');
my $answer = $browser->sign_in('reader', 'right');
is($answer->{status}, 200, 'a role with USAGE on schema webhook signs in');
is($answer->{json}{role}, 'reader', 'the answer names the role');
is("$answer->{json}{idle} $answer->{json}{longest}", '1800 43200', 'and when the session ends');
like($answer->{headers}{'set-cookie'}, qr/^webhook=[0-9a-f]{64}; HttpOnly; SameSite=Strict; Path=\/$/,
	'the cookie is for this site alone, and not for scripts');
is($browser->get('api/me')->{json}{role}, 'reader', 'statements run as the role');
is($browser->get('api/settings')->{json}{search_path}, 'pg_catalog', 'no setting of a role overrides the session\'s');
is($browser->get('api/settings')->{json}{statement_timeout}, '15000', 'a statement ends after 15 s');

is($portal->browser->sign_in('clerk', 'Grüße:€')->{status}, 200, 'a password may be any UTF-8, and have a colon');

# ---- Who may not

sub refused
{
	my ($user, $password, $what) = @_;
	my $start = time;
	my $answer = $portal->browser->sign_in($user, $password);
	my $lasted = time - $start;

	is("$answer->{status} $answer->{json}{message}", "401 $sentence", "$what is refused");
	# On a machine that has much to do it may be two.
	ok($lasted > 0.95 && $lasted - int($lasted + 0.05) < 0.8, "$what hears so after whole seconds") or diag($lasted);
	is($answer->{headers}{'set-cookie'}, undef, "$what gets no cookie");
	return;
}

refused('reader', 'wrong', 'a wrong password');
refused('nobody', 'right', 'an unknown role');
refused('stranger', 'right', 'a role without rights');
refused('postgres', 'right', 'a superuser');
refused('dbname=template1 host=10.0.0.1', 'right', 'a connection string for a name');
like($portal->log_since, qr/role "postgres" from loopback: refused, a superuser/, 'the log has the reason');
unlike($portal->log_since, qr/wrong|right/, 'the log has no password');

foreach (['a name without a password' => 'reader:'], ['a password without a name' => ':right'], [ 'no colon' => 'reader' ],
	['a name that is too long' => 'x' x 64 . ':right'], ['a NUL' => "reader\0:right"], ['no UTF-8' => "reader:\xff"])
{
	my ($what, $pair) = @$_;
	my $basic = MIME::Base64::encode_base64($pair, '');
	is($portal->browser->post('api/session', '{}', Authorization => "Basic $basic")->{status}, 400, "refused at once: $what");
}
is($portal->browser->post('api/session', '{}', Authorization => $_)->{status}, 400, "refused at once: $_")
  foreach 'Bearer abc', 'Basic', 'Basic ????', 'Basic cmVhZGVyOnJpZ2h';

# ---- The end of a session

my $cookie = $browser->{cookie};
is($browser->post('api/session/end')->{status}, 200, 'who signs out');
is($browser->{cookie}, undef, 'has no cookie any more');
$browser->{cookie} = $cookie;
is($browser->get('api/me')->{status}, 401, 'and the old one is worth nothing');

sub signed_in
{
	my $browser = $portal->browser;
	is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in again');
	return $browser;
}

$browser = signed_in();
$cookie = $browser->{cookie};
is($browser->sign_in('clerk', 'Grüße:€')->{status}, 200, 'who signs in as somebody else');
is($browser->get('api/me')->{json}{role}, 'clerk', 'is that one');
$browser->{cookie} = $cookie;
is($browser->get('api/me')->{status}, 401, 'and the session before has ended');

# A page that says which session it believes to have does nothing in another one.
$browser = signed_in();
my $name = $browser->get('api/session')->{json}{session};
like($name, qr/^[0-9a-f]{16}$/, 'a session has a name');
is(index($browser->{cookie}, $name), -1, '... which is nothing of the cookie');
is($browser->post('api/note', '{"text":"mine"}', 'Webhook-Session' => $name)->{status}, 200, 'who says the name is answered');
$answer = $browser->sign_in('clerk', 'Grüße:€', 'Webhook-Session' => $name);
isnt($answer->{json}{session}, $name, 'who signs in anew has another one, which the answer says');
my @said = ('Webhook-Session' => $name);
foreach (['a write' => $browser->post('api/note', '{"text":"another"}', @said)], [ 'a read' => $browser->get('api/me', @said) ],
	['a file' => $browser->get("api/rows.csv?session=$name")], [ 'a stream' => $browser->get("api/live?session=$name") ],
	['the session itself' => $browser->get('api/session', @said)], [ 'signing out' => $browser->post('api/session/end', '{}', @said) ],
	['a longer name' => $browser->get('api/me', 'Webhook-Session' => "$answer->{json}{session}0")])
{
	my ($what, $refused) = @$_;
	is("$refused->{status} $refused->{json}{message}", '401 another session is signed in since', "of the session before is refused: $what");
}
is($browser->get('api/me?session=' . $answer->{json}{session})->{json}{role}, 'clerk', 'the session after it goes on');
is($browser->get("api/me?session=$name", @said)->{status}, 400, 'a name that is there twice is refused');
is($browser->post("api/note?session=$name", '{"text":"no"}')->{status}, 400, 'a POST has no parameter for it');
is($portal->sql(q(SELECT string_agg(text, ' ') FROM note)), 'mine', 'nothing was written for another session');
$portal->sql('DELETE FROM note');

$browser = signed_in();
$browser->{cookie} .= "; $browser->{cookie}";
is($browser->get('api/me')->{status}, 401, 'a cookie that is there twice is none');
$browser->{cookie} =~ s/;.*//;
is($browser->get('api/me', Cookie => 'other=1; ' . $browser->{cookie} . '; more=2')->{status}, 200, 'others may be beside it');
is($browser->get('api/me', Cookie => substr($browser->{cookie}, 0, -1) . 'x')->{status}, 401, 'a wrong one is none');

$portal->sql('REVOKE ALL ON note FROM reader');
is($browser->get('api/notes')->{status}, 403, 'a REVOKE counts with the next statement');
$portal->sql('GRANT ALL ON note TO reader');

my $pid = $browser->get('api/me')->{json}{pid};
$portal->sql("SELECT pg_terminate_backend($pid)");
$portal->wait_until(sub { $portal->log_since =~ /ended by the database/ }, 'the portal sees it');
is($browser->get('api/me')->{status}, 401, 'pg_terminate_backend() ends a session');

$browser = signed_in();
$portal->stop_server;
is($browser->get('api/me')->{status}, 401, 'so does the end of the server');
$answer = $browser->sign_in('reader', 'right');
is("$answer->{status} $answer->{json}{message}", '503 the database cannot be reached', 'who signs in then is told');
is($browser->get('healthz')->{content}, "ok\n", 'the portal itself runs');
$portal->start_server;
$browser = signed_in();

# ---- What the database itself lacks, or allows too easily

$portal->sql('ALTER SCHEMA webhook RENAME TO other');
$answer = $portal->browser->sign_in('reader', 'right');
is("$answer->{status} $answer->{json}{message}", '503 the database lacks the extension webhook', 'a database without the extension');
$portal->sql('ALTER SCHEMA other RENAME TO webhook');
$portal->sql('ALTER ROLE reader CONNECTION LIMIT 1');
$answer = $portal->browser->sign_in('reader', 'right');
is("$answer->{status} $answer->{json}{message}", '503 the database takes no more connections', 'a role has its CONNECTION LIMIT');
$portal->sql('ALTER ROLE reader CONNECTION LIMIT -1');

$portal->spit('data/pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 trust\n");
$portal->sql('SELECT pg_reload_conf()');
$portal->wait_until(sub { $portal->sql("SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'trust'") eq '2' },
	'the rules are read');
$portal->wait_until(
	sub { $portal->browser->sign_in('reader', 'wrong'); $portal->log_since =~ /asked for no password/ },
	'the database lets in everybody');
refused('reader', 'right', 'a role that the database asks for no password');
$portal->spit('data/pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
$portal->sql('SELECT pg_reload_conf()');

# ---- The end of the portal

my $statement = $portal->browser;
$portal->wait_until(sub { $statement->sign_in('reader', 'right')->{status} == 200 }, 'signed in');
is($portal->stop, 0, 'the portal ends in order');
$portal->wait_until(
	sub { $portal->sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'webhook_portal'") eq '0' },
	'and its connections with it');

# ---- Times and numbers of sessions

$portal->start('--sessions=3', '--allow-superuser');
is($portal->browser->sign_in('postgres', 'right')->{status}, 200, 'a superuser signs in where that is allowed');
signed_in() foreach 1 .. 2;
$answer = $portal->browser->sign_in('clerk', 'Grüße:€');
is("$answer->{status} $answer->{json}{message}", '503 as many are signed in as the portal takes', 'no more sessions than that');
is($portal->stop, 0, 'the portal ends in order');

$portal->start('--idle=3s', '--longest=8s');
my $start = time;
my @browsers = map { signed_in() } 1 .. 2;
$portal->wait_until(
	sub {
		$browsers[1]->get('api/me');
		$browsers[0]->get("api/$_") foreach 'nowhere', 'note', 'me?x=1';
		return $browsers[0]->get('api/me', 'Webhook-Automatic' => '1')->{status} == 401;
	},
	'a session ends that only its pages use, or that asks for what is refused');
cmp_ok(time - $start, '>', 2.9, 'not sooner');
like($portal->log_since, qr/ended, not used/, 'the log says so');
is($browsers[1]->get('api/me')->{status}, 200, 'a session lasts that is used');
$portal->wait_until(sub { $browsers[1]->get('api/me')->{status} == 401 }, 'it ends after the longest time');
cmp_ok(time - $start, '>', 7.9, 'not sooner');
is($portal->stop, 0, 'the portal ends in order');

$portal->start("--database=host=127.0.0.1 port=$away dbname=postgres user=postgres password=right");
is($portal->browser->sign_in('reader', 'right')->{status}, 503, 'no database at all');
is($portal->stop, 0, 'the portal ends in order');

done_testing();
