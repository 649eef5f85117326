# 040_live.pl
#	  Streams: ticks, notices, and how they end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";

use Portal;
use Test::More;

my $portal = Portal->new;
$portal->start;
my $browser = $portal->browser;
is($portal->browser->get('api/live')->{status}, 401, 'without a session there is no stream');
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');

my @streams = map { $browser->live } 1 .. 3;
my $tick = $streams[0]->next_of('tick');
like($tick, qr/^\{.*"is" : \[1, +2, +3\]\}$/, 'a tick is a line, whatever newlines its JSON has');
like($streams[0]{head}, qr{^Content-Type: text/event-stream; charset=utf-8\r$}m, 'a stream is one of events');
my @ticks = map { $_->next_of('tick') } @streams;
my ($latest) = reverse sort @ticks;
foreach my $i (0 .. 2)
{
	$ticks[$i] = $streams[$i]->next_of('tick') while $ticks[$i] and $ticks[$i] lt $latest;
	is($ticks[$i], $latest, 'all streams of a session have the same ticks');
}
my ($seconds) = $latest =~ /:([\d.]+)\+/;
my ($later) = $streams[0]->next_of('tick') =~ /:([\d.]+)\+/;
my $apart = $later - $seconds;
cmp_ok($apart < 0 ? $apart + 60 : $apart, '>=', 1.9, 'two seconds apart at least');

$portal->sql(q(SELECT pg_notify('webhook', E'{"subscription":5,\n"state":"disabled"}')));
is($_->next_of('notice'), '{"subscription":5, "state":"disabled"}', 'a notice reaches each stream, in one line') foreach @streams;
$portal->sql(q(SELECT pg_notify('webhook', 'event: tick')));
is($browser->post('api/notify', { a => 1 })->{status}, 200, 'one\'s own notice');
is($streams[0]->next_of('notice'), '{"a":1}', 'comes, too, and what is no JSON does not');

push @streams, map { $browser->live } 4 .. 8;
ok($streams[7]->next_of('tick'), 'eight streams');
is($browser->get('api/live')->{status}, 429, 'are all that a session has');
close $_->{socket} foreach splice @streams, 1;
$portal->wait_until(
	sub {
		my $stream = $browser->live;
		my $event = $stream->next(1);
		return $event && push @streams, $stream;
	},
	'streams whose clients have gone make room', 20);
ok($streams[0]->next_of('tick'), 'the one that is left goes on');

$portal->sql('ALTER SCHEMA webhook RENAME TO other');
$portal->sql('ALTER SCHEMA other RENAME TO webhook');
is($browser->post('api/session/end')->{status}, 200, 'signed out');
is($streams[0]->next_of('end'), '{"reason":"signed out"}', 'a stream says why it ends');
is($streams[0]->next, undef, 'and ends');
is($portal->stop, 0, 'the portal ends in order');

# ---- Sessions that end by themselves

$portal->start('--idle=3s');
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');
my $stream = $browser->live;
my $idle = $stream->next_of('idle');
ok($idle && $idle =~ /^\{"seconds":[12]\}$/, 'pages are told before an unused session ends') or diag($idle);
is($browser->get('api/me')->{status}, 200, 'it is used');
ok($stream->next_of('idle'), 'they are told again');
is($stream->next_of('end'), '{"reason":"ended, not used"}', 'and that it has ended');

is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');
$stream = $browser->live;
ok($stream->next_of('tick'), 'there is a stream');
$portal->sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'");
is($stream->next_of('end'), '{"reason":"ended by the database"}', 'the database ends a session, its stream says so');

is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');
$stream = $browser->live;
ok($stream->next_of('tick'), 'there is a stream');
is($portal->stop, 0, 'the portal ends in order');
is($stream->next_of('end'), '{"reason":"the portal stops"}', 'and says so');

# ---- A client that does not read keeps no connection

$portal->start;
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');
$stream = $browser->live;
ok($stream->next_of('tick'), 'there is a stream');
my $ends = sprintf '0100007F:%04X 0100007F:%04X 01', $portal->{port}, $stream->{socket}->sockport;

# Whether the kernel has the portal's end of the stream among its open connections.
sub is_open
{
	open my $file, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!";
	return scalar grep { /\Q$ends\E/ } <$file>;
}

# No more at once than the portal keeps for a client, all in all more than the kernel does.
ok(is_open(), '... whose connection is open');
$portal->sql(q(SELECT pg_notify('webhook', format('{"n":%s,"x":"%s"}', n, repeat('x', 7900))) FROM generate_series(1, 25) n))
  foreach 1 .. 80;
$portal->wait_until(sub { !is_open() }, 'the portal closes it', 30);
is($browser->get('api/me')->{status}, 200, 'the session goes on');
is($portal->stop, 0, 'the portal ends in order');

# ---- A connection's first statement loads catalogs

$portal->sql("ALTER ROLE reader SET test.slow = '1'");
$portal->start;
is($browser->sign_in('reader', 'right')->{status}, 200, 'signed in');
$stream = $browser->live;
ok($stream->next_of('tick', 10), 'a first tick that takes a second');
ok($stream->next_of('tick', 20), 'does not make the next one wait for 90 times as long');
is($portal->stop, 0, 'the portal ends in order');

# ---- One tick serves all that see the same

$portal->start;
my %of = map { $_ => $portal->browser } qw(one other clerk);
is($of{$_}->sign_in('reader', 'right')->{status}, 200, 'signed in') foreach qw(one other);
is($of{clerk}->sign_in('clerk', 'Grüße:€')->{status}, 200, 'signed in as somebody else');
my %ticks_of = map { $_ => $of{$_}->live } keys %of;
cmp_ok($portal->common_ticks(@ticks_of{qw(one other)}), '>=', 2, 'two sessions of a role have the same ticks');
is($portal->common_ticks(@ticks_of{qw(one clerk)}), 0, 'those of another role are its own');

# A name may become that of another role.
$portal->sql(<<'END');
ALTER ROLE reader RENAME TO former;
CREATE ROLE reader LOGIN PASSWORD 'right';
GRANT USAGE ON SCHEMA webhook TO reader;
END
$of{new} = $portal->browser;
is($of{new}->sign_in('reader', 'right')->{status}, 200, 'a role of the same name signs in');
$ticks_of{new} = $of{new}->live;
is($portal->common_ticks(@ticks_of{qw(one new)}), 0, 'and has ticks of its own');
$portal->sql('ALTER ROLE reader SET role = former; GRANT former TO reader');
my $acts = $portal->browser;
is($acts->sign_in('reader', 'right')->{status}, 200, 'the same role signs in, and acts as another one');
is($portal->common_ticks($ticks_of{new}, $acts->live), 0, 'it has ticks of its own');

# The one that asks may end, also while it asks.
$portal->sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ' . "'former'" . ' ORDER BY backend_start LIMIT 1');
ok((grep { ($_->next_of('tick', 3) // '') ne '' && ($_->next_of('tick', 20) // '') ne '' } @ticks_of{qw(one other)}),
	'the other session of a role goes on when one has ended');
is($portal->stop, 0, 'the portal ends in order');

done_testing();
