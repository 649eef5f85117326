# typedefs.pl
#	  Writes typedefs.list, which tells the indenter what is a type of the server
#	  or the system: each word of our C files that is one by the debugging
#	  information of what they compile to.
#
# "make typedefs" calls it, with the compiler's command in COMPILE.

use strict;
use warnings;

use File::Temp;
use FindBin;
use lib $FindBin::Bin;
use Style qw(c_files own_types slurp spit);

my $object = File::Temp->new(SUFFIX => '.o');
my (%used, %type);

foreach my $file (c_files())
{
	$used{$_} = 1 foreach slurp($file) =~ /\w+/g;
	add_types($file) if $file =~ /\.c$/;
}
delete @type{ own_types() };

# "bool" is a macro where it is not a keyword.  "text" is the name of variables,
# too: were it in the list, the indenter would spoil all that is done to them.
$type{bool} = 1;
delete $type{text};

spit("$FindBin::Bin/typedefs.list", map { "$_\n" } grep { $used{$_} } sort keys %type);

sub add_types
{
	my ($file) = @_;
	system("$ENV{COMPILE} -w -g -O0 -fno-eliminate-unused-debug-types -c -o $object $file") == 0
	  or die "$file: not compiled\n";

	open my $dump, '-|', "readelf --debug-dump=info $object" or die "readelf: $!\n";
	my $in_typedef;
	while (my $line = <$dump>)
	{
		$in_typedef = $1 eq 'typedef' if $line =~ /\(DW_TAG_(\w+)\)/;
		$type{$1} = 1 if $in_typedef and $line =~ /DW_AT_name .*?(\w+)\s*$/;
	}
	close $dump or die "readelf: status $?\n";
	return;
}
