# WebDriver.pm
#	  A real browser: Debian's chromium, driven by chromedriver with nothing but
#	  Perl's own modules.
#
# An element is named by a CSS selector, or, as "text=Save", by what a button, a link
# or a summary says.  Everything that waits polls, and fails after some seconds with
# what it waited for.

package WebDriver;

use strict;
use warnings;

use Carp qw(croak);
use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use HTTP::Tiny;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64 qw(decode_base64);
use Time::HiRes qw(sleep time);

my $json = JSON::PP->new->utf8->allow_nonref;
my $LIMIT = 30;			# seconds

# What is lacking, if anything.
sub lacks
{
	foreach my $program (qw(chromedriver chromium))
	{
		return $program unless grep { -x "$_/$program" } split /:/, $ENV{PATH};
	}
	return;
}

# Options: width, height, scheme (light or dark).
sub new
{
	my ($class, %option) = @_;
	my $self = bless {
		owner => $$,
		dir => tempdir('webhook-browser-XXXXXX', DIR => '/tmp'),
		http => HTTP::Tiny->new(timeout => 60),
		%option
	}, $class;

	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "no port: $!";
	$self->{port} = $socket->sockport;
	close $socket;
	$self->{pid} = fork // die "fork: $!";
	if ($self->{pid} == 0)
	{
		setpgrp;
		$ENV{HOME} = $self->{dir};
		open STDOUT, '>', "$self->{dir}/log";
		open STDERR, '>&', \*STDOUT;
		exec 'chromedriver', "--port=$self->{port}";
		die "exec: $!";
	}
	my $end = time + $LIMIT;
	until ($self->{http}->get("http://127.0.0.1:$self->{port}/status")->{success})
	{
		die "chromedriver does not start\n" if time > $end;
		sleep 0.05;
	}
	$self->{session} = $self->command(POST => '', {
		capabilities => { alwaysMatch => {
			browserName => 'chrome',
			'goog:loggingPrefs' => { browser => 'ALL' },
			'goog:chromeOptions' => { args => [
				'--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
				'--disable-dev-shm-usage', '--lang=en', "--user-data-dir=$self->{dir}/profile"
			] }
		} }
	})->{sessionId};
	$self->look(%option);
	return $self;
}

# Width, height and colour scheme of what is looked at.
sub look
{
	my ($self, %option) = @_;
	$self->{$_} = $option{$_} foreach keys %option;
	$self->cdp('Emulation.setDeviceMetricsOverride', {
		width => ($self->{width} // 1280) + 0, height => ($self->{height} // 900) + 0,
		deviceScaleFactor => 1, mobile => JSON::PP::false
	});
	$self->cdp('Emulation.setEmulatedMedia', { features => [
		{ name => 'prefers-color-scheme', value => $self->{scheme} // 'light' },
		{ name => 'prefers-reduced-motion', value => 'reduce' }
	] });
	return;
}

sub command
{
	my ($self, $method, $path, $body) = @_;
	my $base = "http://127.0.0.1:$self->{port}/session" . ($self->{session} ? "/$self->{session}" : '');
	my $answer = $self->{http}->request($method, "$base$path", {
		headers => { 'Content-Type' => 'application/json' },
		$method eq 'POST' ? (content => $json->encode($body // {})) : ()
	});
	my $value = eval { $json->decode($answer->{content}) } // {};
	if (!$answer->{success})
	{
		my $message = ref $value->{value} ? $value->{value}{message} : $answer->{content};
		croak "$method $path: ", $message =~ s/\n.*//sr;
	}
	return $value->{value};
}

sub cdp
{
	my ($self, $command, $parameters) = @_;
	return $self->command(POST => '/goog/cdp/execute', { cmd => $command, params => $parameters });
}

sub go { my ($self, $url) = @_; return $self->command(POST => '/url', { url => $url }); }

# The value of a script, which returns it.
sub js
{
	my ($self, $script, @arguments) = @_;
	return $self->command(POST => '/execute/sync', { script => $script, args => \@arguments });
}

# Wait until an expression is true; returns its value, or fails with what the page says.
sub wait_for
{
	my ($self, $expression, @arguments) = @_;
	my $end = time + $LIMIT;
	while (1)
	{
		my $value = eval { $self->js("return $expression", @arguments) };
		return $value if $value;
		if (time > $end)
		{
			my $page = eval { $self->js('return document.body.innerText') } // '';
			utf8::encode($page);
			croak "waited in vain for $expression; the page says:\n$page\n";
		}
		sleep 0.05;
	}
	return;
}

# Wait for an element that can be seen, in the dialog if there is one.
sub find
{
	my ($self, $selector) = @_;
	my $element = $self->wait_for(<<'END', $selector);
(([selector]) => {
	const inside = [...document.querySelectorAll('dialog[open]')].pop() ?? document;
	const all = selector.startsWith('text=')
		? [...inside.querySelectorAll('button, a, summary, label')].filter(e =>
			e.textContent.trim() === selector.slice(5))
		: [...inside.querySelectorAll(selector)];
	return all.find(e => e.checkVisibility() && !e.disabled);
})(arguments)
END
	return (values %$element)[0];
}

sub click
{
	my ($self, $selector) = @_;
	my $end = time + $LIMIT;
	while (1)
	{
		my $id = $self->find($selector);

		# The driver takes an element below the header for one that is in view.
		eval { $self->js('arguments[0].scrollIntoView({block: "center"})', { 'element-6066-11e4-a52e-4f735466cecf' => $id }) };
		return if eval { $self->command(POST => "/element/$id/click"); 1 };
		# It was replaced, or is covered for a moment.
		die $@ if time > $end;
		sleep 0.1;
	}
	return;
}

# Type into a field in place of what is there.
sub type
{
	my ($self, $selector, $text) = @_;
	my $id = $self->find($selector);
	$self->command(POST => "/element/$id/clear");
	$self->command(POST => "/element/$id/value", { text => "$text" }) if $text ne '';
	return;
}

# Press keys, as somebody without a mouse does.
my %keys = (
	Tab => "\x{E004}", Enter => "\x{E007}", Escape => "\x{E00C}", Space => ' ', Left => "\x{E012}",
	Right => "\x{E014}", Home => "\x{E011}");

sub press
{
	my ($self, @names) = @_;
	my @actions = map { my $key = $keys{$_} // $_;
		({ type => 'keyDown', value => $key }, { type => 'keyUp', value => $key }) } @names;
	$self->command(POST => '/actions', { actions => [ { type => 'key', id => 'keys', actions => \@actions } ] });
	return;
}

sub text { my ($self, $selector) = @_; return $self->js('return document.querySelector(arguments[0])?.innerText ?? ""', $selector // 'main'); }

# Wait until an element says something.
sub says
{
	my ($self, $text, $selector) = @_;
	return $self->wait_for('(document.querySelector(arguments[1])?.innerText ?? "").includes(arguments[0])', $text, $selector // 'main');
}

# A picture of the whole page, as PNG.
sub picture
{
	my ($self, $file, $most) = @_;
	my $height = $self->js('return Math.max(document.documentElement.scrollHeight, innerHeight)');
	$height = $most if $most and $height > $most;
	my $before = $self->{height};
	$self->look(height => $height);
	my $png = decode_base64($self->command(GET => '/screenshot'));
	$self->look(height => $before);
	open my $out, '>:raw', $file or die "$file: $!";
	print $out $png;
	close $out;
	return;
}

# What the browser has complained about since the last call.
sub complaints
{
	my ($self) = @_;
	return map { $_->{message} } grep { $_->{level} eq 'SEVERE' } @{ $self->command(POST => '/se/log', { type => 'browser' }) };
}

sub new_tab
{
	my ($self) = @_;
	my $handle = $self->command(POST => '/window/new', { type => 'tab' })->{handle};
	$self->tab($handle);
	return $handle;
}

sub tab { my ($self, $handle) = @_; return $self->command(POST => '/window', { handle => $handle }); }
sub this_tab { return $_[0]->command(GET => '/window'); }

sub DESTROY
{
	my ($self) = @_;
	return if $self->{owner} != $$;
	local ($?, $@);
	eval { $self->command(DELETE => ''); } if $self->{session};
	kill 'TERM', -$self->{pid} if $self->{pid};
	waitpid $self->{pid}, 0 if $self->{pid};

	# Its other processes may still write.
	foreach (1 .. 50)
	{
		remove_tree($self->{dir}, { error => \my $errors });
		last unless @$errors;
		sleep 0.1;
	}
	return;
}

1;
