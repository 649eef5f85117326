# Style.pm
#	  What the scripts of this folder share: which files there are, how wide a
#	  line may be, which types are ours.

package Style;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(c_files own_types slurp spit width);

sub c_files
{
	return sort grep { -f } map { glob "$_/*.[ch]" } qw(src src/* test/* test/portal/* bench portal);
}

# Columns of a line, with tabs of four: of code, or of files of that kind if
# .editorconfig has a section for it.
sub width
{
	my ($kind) = @_;
	my $config = slurp('.editorconfig');
	my ($width) = grep { defined } map { $config =~ /^\[\*\.$_\]\n(?:\w.*\n)*?max_line_length = (\d+)$/m }
	  (defined $kind ? quotemeta $kind : ()), quotemeta '{c,h,pl,pm,sql}';
	return $width // die ".editorconfig: no max_line_length\n";
}

# Names of the types that our C files define.
sub own_types
{
	my %type;

	foreach my $text (map { slurp($_) } c_files())
	{
		$type{$_} = 1
		  foreach $text =~ /^typedef\s+(?:struct|union|enum)\b[^;{]*\{.*?^\}\s*(\w+);/msg;
		$type{$_} = 1 foreach $text =~ /^typedef\s[^;{]*?\(\s*\*\s*(\w+)\s*\)/mg;
		$type{$_} = 1 foreach $text =~ /^typedef\s[^;{(]*?(\w+)(?:\[\w*\])?;/mg;
	}
	return sort keys %type;
}

sub slurp
{
	my ($file) = @_;
	open my $handle, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$handle>;
}

sub spit
{
	my ($file, @text) = @_;
	open my $handle, '>', $file or die "$file: $!\n";
	print $handle @text;
	close $handle or die "$file: $!\n";
	return;
}

1;
