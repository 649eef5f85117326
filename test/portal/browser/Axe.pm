# Axe.pm
#	  axe-core, which knows the rules of WCAG: fetched by npm into build/axe where npm can
#	  reach its registry.

package Axe;

use strict;
use warnings;

use File::Path qw(make_path);
use JSON::PP;
use Test::More;

my $version = '4.14.1';
my $home = 'build/axe';

# The script, undef if it cannot be had.
sub script
{
	my $file = "$home/package/axe.min.js";
	if (!-e $file and make_path($home) || -w $home)
	{
		system("cd '$home' && npm_config_cache=\$PWD/cache timeout 60 npm pack --silent axe-core\@$version >/dev/null 2>&1"
			  . " && tar -xzf axe-core-$version.tgz package/axe.min.js package/LICENSE") == 0 or return;
	}
	open my $in, '<:encoding(UTF-8)', $file or return;
	local $/;
	return scalar <$in>;
}

sub new
{
	my ($class, $browser) = @_;
	return bless { browser => $browser, script => scalar script() }, $class;
}

# axe runs in a world of its own, because the page's content security policy would stop
# it.  The world lasts as long as the document.
sub run
{
	my ($self, $expression) = @_;
	my $answer = $self->{browser}->cdp('Runtime.evaluate', {
		contextId => $self->{world}, expression => $expression,
		awaitPromise => JSON::PP::true, returnByValue => JSON::PP::true
	});
	die "axe: $answer->{exceptionDetails}{exception}{description}" if $answer->{exceptionDetails};
	return $answer->{result}{value};
}

# The page on the screen has no finding.  Rules: "*" is all of them.
sub is_content
{
	my ($self, $name, $rules) = @_;
  SKIP:
	{
		skip "axe-core: npm cannot fetch it", 1 unless $self->{script};
		if (!$self->{world} or !eval { $self->run('typeof axe') })
		{
			my $frame = $self->{browser}->cdp('Page.getFrameTree', {})->{frameTree}{frame}{id};
			$self->{world} = $self->{browser}->cdp('Page.createIsolatedWorld', { frameId => $frame })
			  ->{executionContextId};
			$self->run("$self->{script}; 0");
		}
		my $only = $rules eq '*' ? "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"
		  : "{type: 'rule', values: ['$rules']}";
		is($self->run(<<"END"), '', "axe-core has no finding: $name");
axe.run(document, {runOnly: $only, resultTypes: ['violations']})
	.then(r => r.violations.flatMap(v => v.nodes.slice(0, 3).map(n =>
		`\${v.id}: \${n.target} \${n.failureSummary.replace(/\\s+/g, ' ')}`)).join('\\n'))
END
	}
	return;
}

1;
