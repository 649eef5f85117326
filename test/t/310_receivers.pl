# 310_receivers.pl
#	  Do the samples of docs/receivers.md judge right, in each language?
#
# A sample takes what a worker has sent, and returns false for whatever else may come.
# Python, Node.js and PHP are run where they are installed.  What has to be compiled
# takes its time, and is run where it is installed and RECEIVERS is set: "make receivers".

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Digest::SHA qw(hmac_sha256);
use HTTP::Tiny;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Pages;
use Webhook::Test;

my $server = Webhook::Test->new('receivers', "webhook.retry_schedule = '1h'\n");
my $receiver = $server->receiver;
my $page = 'docs/receivers.md';
my $folder = PostgreSQL::Test::Utils::tempdir;

sub entry
{
	my ($id, $time, $body, $secret) = @_;
	return 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", decode_base64($secret =~ s/^whsec_//r)), '');
}

# ---- What is to be judged: a request of a worker, and what else may come

$server->prepare;
my $subscription = $server->subscribe('/ok/sample');
my $secret = $server->sql("SELECT webhook.rotate_secret($subscription)");
$server->publish($type, q('{"text": "ä \" \\\\"}'), 'sample/1');
$server->settle('an event');
my $request = ($receiver->requests('/ok/sample'))[-1];
my ($id, $time, $signature) =
  @{ $request->{headers} }{qw(webhook-id webhook-timestamp webhook-signature)};
my $body = $request->{body};
my $right = entry($id, $time, $body, $secret);
my ($old, $early) = (time - 400, time + 400);

# Whether it is genuine; id, timestamp and signatures, undef for a header that is not
# there; the body, if it is another.
my @cases = (
	[ 1, $id, $time, $signature ],
	[ 1, $id, $time, "v1,x v1,\xc3\xa9 $right" ],
	[ 0, undef, $time, $right ],
	[ 0, $id, undef, $right ],
	[ 0, $id, $time, undef ],
	[ 0, undef, undef, undef ],
	[ 0, $id, $time, $right, "$body " ],
	[ 0, $id, $old, entry($id, $old, $body, $secret) ],
	[ 0, $id, $early, entry($id, $early, $body, $secret) ],
	(map { [ 0, $id, $time, $_ ] } '', ' ', 'v1,', "v1,\xc3\xa9", "\xe9", "\xff\xfe", $right =~ s/.$/\xc3\xa9/r,
		"\xc3\xa9" x length($right), "\xc3\xa9" x (length($right) / 2), lc $right, $right =~ s/^v1,//r, 'x' x 100000),
	(map { [ 0, $id, $_, entry($id, $_, $body, $secret) ] } '', 'now', '-1', '1e9', '0x7fffffff', "\xc3\xa9",
		'9' x 18, '9' x 5000, '-9223372036854775808', "\xd9\xa1" x 10));

# A case is a line: secret, id, timestamp, signatures and body as base64, "-" for what is
# missing.
my $lines = join '', map {
	my ($case) = $_;
	join(' ', map { defined $_ ? encode_base64($_, '') : '-' } $secret, @{$case}[ 1 .. 3 ], $case->[4] // $body) =~ s/ (?= )/ =/gr =~ s/ $/ =/r . "\n"
} @cases;
append_to_file("$folder/cases", $lines);
my $expected = join '', map { $_->[0] ? "true\n" : "false\n" } @cases;

# ---- The programs: the sample, and what reads the cases

# Of each language: the file, what stands before the sample, what behind it, the other
# files, how it is built and run, and how to see that it can be.
my %program = (
	python => {
		file => 'sample.py',
		run => 'python3 sample.py',
		there => 'python3 --version',
		behind => <<'END',
import base64, sys
for line in sys.stdin:
    f = [None if v == "-" else base64.b64decode(v.lstrip("=")) for v in line.rstrip("\n").split(" ")]
    names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
    for decode in (lambda v: v.decode("latin-1"), lambda v: v.decode("utf-8", "surrogateescape")):
        headers = {n: decode(v) for n, v in zip(names, f[1:4]) if v is not None}
        verdict = genuine(f[0].decode(), headers, f[4])
    print("true" if verdict else "false")
END
	},
	js => {
		file => 'sample.js',
		run => 'node sample.js',
		there => 'node --version',
		behind => <<'END',
for (const line of require('node:fs').readFileSync(0, 'latin1').trimEnd().split('\n')) {
  const f = line.split(' ').map(v => v === '-' ? undefined : Buffer.from(v.replace(/^=/, ''), 'base64'));
  const headers = {};
  ['webhook-id', 'webhook-timestamp', 'webhook-signature'].forEach((n, i) => { if (f[i + 1]) headers[n] = f[i + 1].toString('latin1'); });
  console.log(genuine(f[0].toString(), headers, f[4]));
}
END
	},
	php => {
		file => 'sample.php',
		run => 'php -d error_reporting=-1 -d display_errors=1 sample.php',
		there => 'php --version',
		before => "<?php\n",
		behind => <<'END',
foreach (file('php://stdin', FILE_IGNORE_NEW_LINES) as $line) {
    $f = array_map(fn($v) => $v === '-' ? null : base64_decode(ltrim($v, '=')), explode(' ', $line));
    $headers = ['webhook-id' => $f[1], 'webhook-timestamp' => $f[2], 'webhook-signature' => $f[3]];
    echo genuine($f[0], array_filter($headers, fn($v) => $v !== null), $f[4]) ? "true\n" : "false\n";
}
END
	},
	go => {
		file => 'sample.go',
		compiled => 1,
		run => 'env GOCACHE="$PWD/go" GOPATH="$PWD/go" GO111MODULE=off GOFLAGS= go run sample.go cases.go',
		there => 'go version',
		before => "package main\n\n",
		others => { 'cases.go' => <<'END' },
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"strings"
)

func main() {
	reader := bufio.NewReader(os.Stdin)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		value := func(i int) string {
			b, _ := base64.StdEncoding.DecodeString(strings.TrimLeft(fields[i], "="))
			return string(b)
		}
		header := http.Header{}
		for i, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
			if fields[i+1] != "-" {
				header.Set(name, value(i+1))
			}
		}
		fmt.Println(genuine(value(0), header, []byte(value(4))))
	}
}
END
	},
	java => {
		file => 'Webhook.java',
		compiled => 1,
		run => 'javac Webhook.java Cases.java && java Cases',
		there => 'javac -version',
		others => { 'Cases.java' => <<'END' },
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;

class Cases {
    static byte[] value(String field) {
        return field.equals("-") ? null : Base64.getDecoder().decode(field.replaceFirst("^=", ""));
    }
    public static void main(String[] arguments) throws Exception {
        Reader bytes = new InputStreamReader(System.in, StandardCharsets.ISO_8859_1);
        BufferedReader in = new BufferedReader(bytes);
        for (String line; (line = in.readLine()) != null; ) {
            String[] f = line.split(" ");
            Map<String, String> headers = new HashMap<>();
            for (int i = 1; i < 4; i++)
                if (value(f[i]) != null)
                    headers.put(List.of("webhook-id", "webhook-timestamp", "webhook-signature").get(i - 1),
                        new String(value(f[i]), StandardCharsets.ISO_8859_1));
            System.out.println(Webhook.genuine(new String(value(f[0])), headers::get, value(f[4])));
        }
    }
}
END
	},
	csharp => {
		file => 'Webhook.cs',
		compiled => 1,
		run => 'mcs -nologo -out:sample.exe -r:System.Core Webhook.cs Cases.cs && mono sample.exe',
		there => 'mcs --version',
		others => { 'Cases.cs' => <<'END' },
using System;
using System.Collections.Generic;
using System.Text;

static class Cases
{
    static byte[] Value(string field)
    {
        return field == "-" ? null : Convert.FromBase64String(field.TrimStart('='));
    }
    static void Main()
    {
        var latin1 = Encoding.GetEncoding("iso-8859-1");
        string line;
        while ((line = Console.In.ReadLine()) != null)
        {
            var f = line.Split(' ');
            var headers = new Dictionary<string, string>();
            for (int i = 1; i < 4; i++)
                if (Value(f[i]) != null)
                    headers[new[] { "webhook-id", "webhook-timestamp", "webhook-signature" }[i - 1]] = latin1.GetString(Value(f[i]));
            var verdict = Webhook.Genuine(latin1.GetString(Value(f[0])),
                name => headers.ContainsKey(name) ? headers[name] : null, Value(f[4]));
            Console.WriteLine(verdict ? "true" : "false");
        }
    }
}
END
	});

foreach my $language (sort keys %program)
{
	my $program = $program{$language};
	my ($sample) = blocks($page, $language);

  SKIP:
	{
		skip "$language has to be compiled: make receivers", 1 if $program->{compiled} and !$ENV{RECEIVERS};
		skip "$language is not installed", 1 if system("$program->{there} >/dev/null 2>&1") != 0;

		my $place = "$folder/$language";
		mkdir $place;
		append_to_file("$place/$program->{file}", ($program->{before} // '') . $sample->{text} . ($program->{behind} // ''));
		append_to_file("$place/$_", $program->{others}{$_}) foreach keys %{ $program->{others} };
		is(`cd $place && ($program->{run}) <$folder/cases 2>&1`, $expected, "the sample in $language judges right");
	}
}
is((blocks('README.md', 'python'))[0]{text}, (blocks($page, 'python'))[0]{text}, 'README.md has the same one in Python');
is(join(' ', grep { !$program{$_} } map { $_->{language} } map { blocks($page, $_) } qw(python js php go java csharp ruby rust)), '',
	'each sample is run');

# ---- The complete receiver, run by Node.js as it stands there

SKIP:
{
	skip 'node is not installed', 7 if system('node --version >/dev/null 2>&1') != 0;
	my ($script, $output) = map { "$folder/$_" } 'receiver.js', 'output';
	my $port = PostgreSQL::Test::Cluster::get_free_port();
	my $url = "http://127.0.0.1:$port/";
	my $says = sub { return -e $output ? slurp_file($output) : ''; };
	my ($first, $second) = map { 'whsec_' . encode_base64($_ x 32, '') } 'a', 'b';

	append_to_file($script, join '', map { $_->{text} } blocks($page, 'js'));
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		@ENV{qw(SECRET PORT)} = ($first, $port);
		open STDOUT, '>', $output;
		open STDERR, '>&', \*STDOUT;
		exec 'node', $script;
	}
	ok(wait_until { $says->() =~ /^listening$/m }, 'the receiver listens');
	$server->sql("SELECT webhook.define_event_type('App.Sample')");
	my @ids = map { $server->subscribe($url . $_->[0], "events => '{App.Sample}'", "secret => '$_->[1]'") }
	  [ 'right', $first ], [ 'wrong', $second ];
	my $event = $server->publish('App.Sample', q('{"n": 1, "text": "ä"}'), 'sample/1');
	$server->settle('the sample');
	$server->sql("SELECT webhook.resend('$event', $ids[0])");
	$server->settle('the sample again');
	is($server->attempts($ids[0]), '1 delivered 204, 2 delivered 204', '... takes what is signed with its secret');
	is(() = $says->() =~ /^App\.Sample $event \{ n: 1, text: 'ä' \}$/mg, 1, '... and handles an event once');
	like($server->attempts($ids[1]), qr/^1 retrying status 401/, '... refuses another signature');

	$server->set('webhook.confirm_endpoints', 'on');
	my $asked = $server->subscribe($url . 'asked', "events => '{App.Sample}'", "secret => '$first'");
	$server->becomes("SELECT state FROM webhook.stat_subscription WHERE subscription_id = $asked", 'active',
		'... answers the challenge');
	$server->reset('webhook.confirm_endpoints');
	push @ids, $asked;

	my $answer = HTTP::Tiny->new->post($url, { content => '{"Data":"old"}', headers => { 'webhook-id' => $event,
		'webhook-timestamp' => $old, 'webhook-signature' => entry($event, $old, '{"Data":"old"}', $first) } });
	is($answer->{status}, 401, '... and an old request');
	unlike($says->(), qr/old|Error/, '... and says nothing of it');
	kill 'TERM', $pid;
	waitpid $pid, 0;
	$server->unsubscribe(@ids);
}

$server->stop;
done_testing();
