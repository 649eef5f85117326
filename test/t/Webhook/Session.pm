# Session.pm
#	  A psql at the other end of two pipes: a test holds a transaction open in
#	  it, and takes the loss of its connection as an answer.

package Webhook::Session;

use strict;
use warnings;

use IPC::Open3;

sub new
{
	my ($class, $connection) = @_;
	my ($in, $out);
	local *ERROR;

	open ERROR, '>', '/dev/null' or die "/dev/null: $!";
	my $pid = open3($in, $out, '>&ERROR', 'psql', '-XAtq', '-d', $connection);
	$in->autoflush(1);
	return bless { pid => $pid, in => $in, out => $out }, $class;
}

# What the statements return, errors left out; undef: the connection is lost.
sub run
{
	my ($self, $statements) = @_;
	return $self->start($statements) ? $self->result : undef;
}

# What one query returns, without its last newline; undef: it is an error, or the
# connection is lost.
sub ask
{
	my ($self, $query) = @_;
	$query =~ s/[;\s]*\z//;
	my $result = $self->run("$query;\n\\echo :ERROR") // '';
	return $result =~ s/\n?false;\n\z// ? $result : undef;
}

# The same as run() in two steps, for statements that take their time.
sub start
{
	my ($self, $statements) = @_;
	local $SIG{PIPE} = 'IGNORE';
	return print { $self->{in} } "$statements;\n\\echo ==done\n";
}

sub result
{
	my ($self) = @_;
	my $result = '';

	while (my $line = readline $self->{out})
	{
		return $result if $line eq "==done\n";
		$result .= $line;
	}
	return undef;
}

# End the session, an open transaction with it.
sub quit
{
	my ($self) = @_;
	local $SIG{PIPE} = 'IGNORE';
	close $self->{in};
	close $self->{out};
	waitpid $self->{pid}, 0;
	return;
}

1;
