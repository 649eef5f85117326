# 030_statements.pl
#	  What becomes of a request: a statement, its answer, its error, or a file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;
use Test::More;
use Time::HiRes qw(sleep time);

my $portal = Portal->new;
$portal->start;
my $browser = $portal->browser;
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');

# ---- Reading

is($browser->get('api/choice?colour=deep%20blue')->{content}, '"deep blue"', 'a parameter is one of a few words');
is($browser->get('api/choice')->{content}, '"none"', 'or left out');
foreach ('blue', 'Red', 'red,deep%20blue', '', 'red%20')
{
	my $answer = $browser->get("api/choice?colour=$_");
	is("$answer->{status} $answer->{json}{message}", '400 colour must be one of: red, deep blue', "not \"$_\"");
}
is($browser->get('api/echo?two=%2B+%27%3B%3C&one=%C3%BC')->{content}, '["ü", "+ \';<"]', 'parameters are found by name');
is($browser->get('api/echo?two=')->{content}, '[null, ""]', 'one that is not there is NULL, an empty one is empty');
is($browser->get('api/echo?three=1')->{status}, 400, 'one that is not known is refused');
is($browser->get('api/nowhere')->{status}, 404, 'so is a route that is not known');
is($browser->get('api/note')->{status}, 405, 'and the other method');
is($browser->post('api/me')->{status}, 405, 'both ways');
is($browser->get("api/$_")->{status}, 404, "$_ is not found") foreach 'nothing', 'null';
is(length $browser->get('api/large')->{content}, 3000013, 'a large answer is whole');
my $answer = $browser->get('api/write');
is("$answer->{status} $answer->{json}{sqlstate}", '409 25006', 'a statement that reads cannot write');
$answer = $browser->get('api/old');
is("$answer->{status} $answer->{json}{message}", '501 the database lacks the extension webhook, or one as new as the portal',
	'a function that is not there is said in a sentence');

# ---- Writing

$answer = $browser->post('api/note', { text => "it's" });
is("$answer->{status} $answer->{json}{noted}", "200 it's", 'a statement that writes is committed');
is($browser->post('api/note', { text => 'bad' })->{json}{sqlstate}, '23514', 'one that fails says why');
is($browser->post('api/deferred', { n => 1 })->{status}, 200, 'what is checked at the end');
$answer = $browser->post('api/deferred', { n => 1 });
is("$answer->{status} $answer->{json}{sqlstate}", '422 23505', 'counts, too');
is($browser->post('api/patient')->{json}, '5min', 'a long statement has longer');
is($browser->get('api/settings')->{json}{statement_timeout}, '15000', 'only that one');
is_deeply($browser->get('api/notes')->{json}, ["it's"], 'what failed has left nothing');

# ---- Long answers

my $longest = 4 << 20;
is($browser->get('api/long?text=&times=1')->{status}, 200, 'an answer may be empty');
$answer = $browser->get('api/long?times=' . int($longest / 3) . '&text=x%C3%BC')->{content};
ok($answer eq "x\xC3\xBC" x int($longest / 3), 'a long one is whole') or diag(length $answer);
is($browser->get("api/long?times=$longest&text=x")->{status}, 200, 'up to four megabytes');
$answer = $browser->get('api/long?times=' . ($longest + 1) . '&text=x');
is("$answer->{status} $answer->{json}{sqlstate} $answer->{json}{message}", '422 54000 the answer is longer than the portal takes', 'a longer one is refused');
is($browser->post('api/long')->{json}{sqlstate}, '54000', 'also when it is that of a statement that writes');
is_deeply($browser->get('api/notes')->{json}, ["it's"], '... which is rolled back');

# ---- Errors

my %status = ('42501' => 403, '42704' => 404, '22023' => 422, '22P02' => 422, '54000' => 422, '23505' => 422, '42710' => 422,
	'42601' => 422, '57014' => 504, '08006' => 401, '53100' => 503, '42883' => 501, '55000' => 409, 'P0001' => 409);
foreach my $sqlstate (sort keys %status)
{
	my $answer = $browser->post('api/refuse', { sqlstate => $sqlstate, message => '<i>no</i>' });
	is($answer->{status}, $status{$sqlstate}, "$sqlstate is $status{$sqlstate}");
	next if $status{$sqlstate} == 501;
	is_deeply($answer->{json},
		{ sqlstate => $sqlstate, message => '<i>no</i>', detail => '<b>detail</b>', hint => 'a "hint"', column => 'endpoint' },
		'with all that the database says');
}
is($browser->get('api/me')->{status}, 200, 'the session goes on');

# ---- One after the other

my $other = $portal->browser;
is($other->sign_in('clerk', 'Grüße:€')->{status}, 200, 'somebody else signs in');
my ($host) = $portal->{origin} =~ m{//(.*)};

# Say a request on a connection of its own, as the browser.
sub begin
{
	my ($path, $from) = @_;
	my $socket = $portal->connection;
	print $socket "GET /api/$path HTTP/1.1\r\nHost: $host\r\nCookie: @{[ ($from // $browser)->{cookie} ]}\r\n\r\n";
	return $socket;
}

my $sleeping = "FROM pg_stat_activity WHERE query LIKE '%slept%' AND pid <> pg_backend_pid() AND state = 'active'";

sub wait_for_sleep
{
	return $portal->wait_until(sub { $portal->sql("SELECT count(*) $sleeping") eq '1' }, 'the statement runs');
}

my @sockets = begin('sleep?seconds=60');
wait_for_sleep();
push @sockets, map { begin('echo?one=x') } 1 .. 9;
is($other->get('api/me')->{status}, 200, 'another session does not wait for it');
$portal->sql("SELECT pg_cancel_backend(pid) $sleeping");
my %count;
foreach my $socket (@sockets)
{
	sysread($socket, my $line, 4096);
	$count{ substr $line, 9, 3 }++;
}
is_deeply(\%count, { 200 => 8, 429 => 1, 504 => 1 },
	'eight requests wait for a session\'s statement, one more is refused, and one that takes too long is ended');

# ---- Who goes away, and sessions that end under a statement

@sockets = map { begin('sleep?seconds=60') } 1 .. 4;
wait_for_sleep();
close $_ foreach @sockets[1 .. 3];
$portal->sql("SELECT pg_terminate_backend(pid) $sleeping");
sysread($sockets[0], my $line, 4096);
like($line, qr{^HTTP/1.1 401}, 'the end of a session is an answer');
is($browser->get('api/me')->{status}, 401, 'and holds for what follows');
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in again');

# ---- Files of rows

$answer = $browser->get('api/rows.csv?rows=2');
is($answer->{content}, join("\r\n", '"number","for,mula","none","fails"', qq("1","'=1\n""q""",,"1"), qq("2","'=2\n""q""",,"0"), ''),
	'rows are CSV, without formulas');
is($answer->{headers}{'content-type'}, 'text/csv; charset=utf-8', 'and say so');
is($answer->{headers}{'content-disposition'}, 'attachment; filename="webhook-rows.csv"', 'with the name of a file');
is($browser->get('api/rows.csv?rows=0')->{content}, qq("number","for,mula","none","fails"\r\n), 'without rows there are the names');
is($browser->get('api/rows.csv?rows=x')->{status}, 422, 'an error before the first row is an error');
is(scalar(() = $browser->get('api/rows.csv?rows=20000')->{content} =~ /\r\n/g), 20001, 'many rows');

my ($status, $text) = $portal->say_raw("GET /api/rows.csv?rows=20000&fails=15000 HTTP/1.1\r\nHost: $host\r\nCookie: $browser->{cookie}\r\n\r\n");
ok($status == 200 && $text =~ /"14000"/ && $text !~ /\r\n0\r\n\r\n\z/, 'an error behind rows is a file that is cut off');
is($browser->get('api/me')->{status}, 200, 'the session goes on');

# A client that does not read holds up nobody but itself, and costs no memory.
my $slow = begin('rows.csv?rows=400000');
sysread($slow, $line, 100);
$portal->wait_until(
	sub {
		$portal->sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'reader' AND wait_event = 'ClientWrite'") eq '1';
	},
	'the server waits for a client that does not read', 30);
is($other->get('api/me')->{status}, 200, 'others do not');

# One that reads a little keeps no snapshot for hours, either.
my $start = time;
my $drip = begin('rows.csv?rows=1000000', $other);
my %lasted;

# Whose transactions are open.
sub transactions { return map { $_ => 1 } split /\n/, $portal->sql('SELECT usename FROM pg_stat_activity WHERE xact_start < now()'); }

$portal->wait_until(sub { +{ transactions() }->{clerk} }, 'its transaction begins');
$portal->wait_until(
	sub {
		my %reads = transactions();
		sysread($drip, $line, 20000) if $reads{clerk};
		$lasted{$_} //= time - $start foreach grep { !$reads{$_} } 'reader', 'clerk';
		sleep 0.1;
		return $lasted{reader} && $lasted{clerk};
	},
	'their transactions end', 120);
cmp_ok($lasted{reader}, '<', $lasted{clerk}, 'a client that takes nothing for a while is gone: its transaction ends');
cmp_ok($lasted{clerk}, '>', 18, 'one that goes on reading has longer');
foreach my $left ([ $browser, $slow ], [ $other, $drip ])
{
	my $tail = '';
	is($left->[0]->get('api/me')->{status}, 200, 'the session goes on');
	while (sysread $left->[1], my $rest, 1 << 20) { $tail = substr $tail . $rest, -20; }
	unlike($tail, qr/\r\n0\r\n\r\n\z/, 'the connection is closed, and the file cut off');
}

# ---- What the database says besides forges no line of the log

$portal->sql(<<'SQL');
CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '%', NEW.text;
	RETURN NEW;
END
$$;
CREATE TRIGGER tell BEFORE INSERT ON public.note FOR EACH ROW EXECUTE FUNCTION public.tell();
SQL
my $forger = $portal->browser;
is($forger->sign_in('reader', 'right')->{status}, 200, 'signed in');
is($forger->post('api/note', '{"text":"x\\nwebhook_portal: role \\"admin\\" from 192.0.2.7: signed in"}')->{status}, 200,
	'a notice with a line end');
$portal->sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'webhook_portal'});
$portal->wait_until(sub { $forger->get('api/me')->{status} != 200 }, 'its session is ended by the database');
is_deeply([ grep { !/^webhook_portal: / or /admin/ } split /\n/, $portal->log_since ], [],
	'each line of the log is one of the portal');

# ---- The end of the portal

my $writer = $portal->browser;
is($writer->sign_in('reader', 'right')->{status}, 200, 'signed in');
my $last = begin('sleep?seconds=2', $writer);
wait_for_sleep();
kill 'TERM', $portal->{pid};
sysread($last, $line, 4096);
like($line, qr{^HTTP/1.1 200}, 'what somebody waits for is answered before the portal ends');
is($portal->stop, 0, 'the portal ends in order');

# ---- What is too long for an answer

# Bodies may have 64 megabytes.  The pages' own statements are asked, on a server with the
# extension.
{
	local $ENV{PORTAL} = "$ENV{PORTAL}_pages";
	my $large = Portal->new(conf => "shared_preload_libraries = 'webhook'\nwebhook.enabled = off\nwebhook.max_data_size = '64MB'\n", sql => <<'END');
CREATE EXTENSION webhook;
CREATE ROLE reader LOGIN PASSWORD 'right';
SELECT webhook.grant_reader('reader');
SELECT webhook.define_event_type('App.Data'), webhook.define_event_type('App.Text'),
	webhook.publish('App.Data', json_build_object('text', repeat('"', 3000000)));
END
	my $event = '01a20ce4-063b-774b-9b0e-00000000000';
	$large->sql(<<"END");
CREATE TABLE webhook_internal.log_here PARTITION OF webhook.log DEFAULT;
INSERT INTO webhook.log (id, event_id, position, cause, logged_at, subscription_id, event_type,
		created_at, attempt, outcome, request_headers, request_body, response_body)
	SELECT n, ('$event' || n)::uuid, n, 'event', date_trunc('second', now()), 1, 'App.Text', now(), 1, 'delivered',
			'{"a": "b"}', body, repeat(E'\\x01', 16384)
		FROM (VALUES (1, NULL), (2, '{"Data":"' || repeat('x', (1 << 20) - 11) || '"}'),
			(3, '{"Data":"' || repeat('\xC3\xBC', 600000) || '"}'), (4, '{"Data":"' || repeat('\\"', 33000000) || '"}')) AS b (n, body);
END
	my $at = $large->sql('SELECT DISTINCT logged_at FROM webhook.log') =~ s/\+/%2B/r =~ s/ /%20/r;
	$large->start;
	my $reads = $large->browser;
	$reads->sign_in('reader', 'right');
	my %body = (1 => undef, 2 => '{"Data":"' . 'x' x ((1 << 20) - 11) . '"}',
		3 => '{"Data":"' . "\xFC" x 524283 . "\n[cut: the first megabyte of 1200011 bytes]",
		4 => '{"Data":"' . '\\"' x 524283 . "\\\n[cut: the first megabyte of 66000011 bytes]");
	foreach my $n (sort keys %body)
	{
		my $call = $reads->get("api/call?event=$event$n&subscription=1&position=$n&attempt=1&at=$at");
		my $delivery = $reads->get("api/delivery?event=$event$n&subscription=1");

		is("$call->{status} $delivery->{status}", '200 200', "body $n: call and delivery are answers") or diag(map { substr $_->{content}, 0, 300 } $call, $delivery);
		ok(($_->{request_body} // 'none') eq ($body{$n} // 'none'), '... with at most a megabyte of the body, whole characters, and a line that says so')
			or diag(substr $_->{request_body} // 'none', -80) foreach $call->{json}, $delivery->{json}{last};
	}
	my $example = $reads->get('api/example?event_type=App.Text')->{json}{call};
	ok($example->{request_body} eq $body{4}, 'so is an example that is a call') or diag(substr $example->{request_body} // '', -80);
	$example = $reads->get('api/example?event_type=App.Data')->{json}{event};
	like(substr($example->{data}, -60), qr/\n\[cut: the first megabyte of 6000013 bytes\]$/, '... or an event');
}

done_testing();
