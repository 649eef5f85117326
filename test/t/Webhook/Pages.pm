# Pages.pm
#	  The documents, as tests read them: which there are, and the code in them.

package Webhook::Pages;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils qw(slurp_file);

our @EXPORT = qw(blocks pages table_after);

# All documents for users.
sub pages { return ('README.md', sort glob 'docs/*.md'); }

# The blocks of a page that are in this language, in their order: hashes of text, line
# and skip, the reason that a comment in the line before the block gives not to run it:
# <!-- not run: the reason -->
sub blocks
{
	my ($page, $language) = @_;
	my ($block, @blocks);
	my ($line, $before) = (0, '');

	foreach my $text (split /^/, slurp_file($page))
	{
		$line++;
		if ($text =~ /^```(\w*)/)
		{
			my ($skip) = $before =~ /^<!-- not run: (.+) -->$/;

			push @blocks, $block if $block and $block->{language} eq $language;
			$block = $block ? undef : { language => $1, text => '', line => $line, skip => $skip };
		}
		elsif ($block)
		{
			$block->{text} .= $text;
		}
		$before = $text;
	}
	return @blocks;
}

# The rows of the first table after this heading of a page, without the head: arrays
# of cells.
sub table_after
{
	my ($page, $heading) = @_;
	my ($table) = slurp_file($page) =~ /^#+ \Q$heading\E\n(?:(?![#|]).*\n)*((?:\|.*\n)+)/m
	  or die "$page: no table after \"$heading\"";
	my @rows = map { [ map { s/\\\|/|/gr } /\G\| ((?:\\\||[^|])*?) ?(?=\|)/g ] } split /\n/, $table;

	return @rows[ 2 .. $#rows ];
}

1;
