# indent.pl
#	  Indents C files in place with PostgreSQL's own indenter; with --check it
#	  leaves them alone, writes a line of TAP a file and shows what would change.
#
#	  perl test/style/indent.pl [--check] [FILE...]
#
# Without a FILE all C files of src, test and bench are meant.  The options are
# those of PostgreSQL's pgindent, but for the width, which .editorconfig says; the
# indenter lets the end of a comment stand two columns further out than it is told.
# The indenter must know the names of types: ours are found in the files, those
# of the server and the system are in typedefs.list, which typedefs.pl renews.

use strict;
use warnings;

use File::Temp;
use FindBin;
use lib $FindBin::Bin;
use Style qw(c_files own_types slurp spit width);
use Test::More;

my $program = 'pg_bsd_indent';
my $check = @ARGV && $ARGV[0] eq '--check' && shift @ARGV;
my @files = @ARGV ? @ARGV : c_files();

if (system("command -v $program >/dev/null") != 0)
{
	my $missing = "$program is not installed (Debian: pg-bsd-indent)";

	die "$missing\n" if !$check;
	plan skip_all => $missing;
}

my $types = File::Temp->new;
spit("$types", map { "$_\n" } own_types(), split /\n/, slurp("$FindBin::Bin/typedefs.list"));

my $command = "$program -bad -bap -bbb -bc -bl -cli1 -cp33 -cdb -nce -d0 -di12 -nfc1 -i4"
  . " -l@{[ width() - 2 ]} -lp -lpl -nip -npro -sac -tpg -ts4 -U$types";
my $unread = 0;

foreach my $file (@files)
{
	my $text = slurp($file);
	my $indented = `$command <'$file'`;

	# What it cannot read it mangles, with remarks between the lines.
	if ($? != 0)
	{
		$unread++;
		$check ? fail($file) : print STDERR "$file: cannot be indented\n";
		print STDERR map { "# $_\n" } $indented =~ /^(.*INDENT\*\* (?:Error|Warning)@.*)$/mg;
		next;
	}

	# It leaves blanks between a return type and its asterisk, and takes for a
	# product the one type that typedefs.list does without.
	$indented =~ s/^([A-Za-z_]\S*)[ \t]+\*$/$1 */gm;
	$indented =~ s/\btext \* (?=\w)/text */g;
	$indented = push_in_initializers($indented);

	if ($check)
	{
		ok($text eq $indented, $file) or show_difference($file, $indented);
	}
	elsif ($text ne $indented)
	{
		spit($file, $indented);
		print "$file\n";
	}
}
done_testing() if $check;
exit($unread ? 1 : 0) if !$check;

# Up to 2.1.1 the indenter leaves the lines that go on with a local variable's
# initializer where the declaration is; since then it pushes them in by a tab.
# Lines within parentheses that are opened in such a line move with it.
sub push_in_initializers
{
	my @lines = split /^/, shift;
	my ($tabs, @opened);

	foreach my $line (@lines)
	{
		# What is neither a string nor a comment.
		my $code = $line =~ s{"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)+'|/\*.*?\*/}{}gr;
		my $moves = 0;

		if (defined $tabs)
		{
			$moves = @opened ? $opened[-1] : $line =~ /^$tabs[^\s{}#]/;
			$line = "\t$line" if $moves;
		}
		elsif ($code =~ /^(\t+)\w[\w\s]*[\s*]\w+(?:\[.*?\])* =(?: .*)?(?<!\\)$/)
		{
			$tabs = $1;
		}
		next if !defined $tabs;

		foreach my $paren ($code =~ /[()]/g)
		{
			$paren eq '(' ? push @opened, $moves : pop @opened;
		}
		($tabs, @opened) = () if $code =~ /[;{}\\]\s*$/ or $code =~ /,\s*$/ && !@opened;
	}
	return join '', @lines;
}

sub show_difference
{
	my ($file, $indented) = @_;
	open my $diff, '|-', "diff -u --label '$file' --label 'after make indent' '$file' - >&2"
	  or die "diff: $!\n";
	print $diff $indented;
	close $diff;
	return;
}
