# Writer.pm
#	  A process that changes contracts and publishes events in transactions of all
#	  kinds, through any crash of the server.

package Writer;

use strict;
use warnings;

use Time::HiRes qw(sleep);

# How many contracts there are, and subjects of published events.
our $contracts = 200;
our $subjects = 20;

# Each kind of transaction: its weight, and a function that returns its text.
my @kinds = (
	[ 30, \&change ],
	[ 8, \&create_or_delete ],
	[ 8, sub { return publish($_[0], int rand(1 + $subjects)); } ],
	[ 12, sub { return transaction(map { change($_[0]) } 0 .. rand 6); } ],
	[ 8, \&change_again ],
	[ 10, \&with_savepoints ],
	[ 5, \&with_exception ],
	[ 5, \&with_commits ],
	[ 6, \&long ],
	[ 6, \&two_phase ],
	[ 4, \&copy ],
	[ 4, \&merge ],
	[ 2, \&bulk ],
	[ 0.3, \&large ]);

# A writer of that number; seed makes its choices.
sub new
{
	my ($class, $number, $seed) = @_;
	srand($seed);
	return bless { number => $number, statements => 0, prepared => [] }, $class;
}

# The next piece of work, and how long to pause after it, in seconds.
sub next_work
{
	my ($self) = @_;
	my $prepared = $self->{prepared};

	return end_prepared(shift @$prepared) if @$prepared && rand() < (@$prepared < 3 ? 0.05 : 0.5);
	$self->{transaction}++;
	return choose(@kinds)->($self);
}

sub pause { return rand 0.1; }

# One of a list of [weight, thing].
sub choose
{
	my @list = @_;
	my $at = 0;

	$at += $_->[0] foreach @list;
	$at = rand $at;
	foreach (@list)
	{
		return $_->[1] if ($at -= $_->[0]) < 0;
	}
	return $list[-1][1];
}

# The beginning of a status that nobody else writes, and that a filter can tell by.
sub mark
{
	my ($self) = @_;
	return sprintf 'k%d-%d-%d-%d', rand 10, $self->{number}, $self->{transaction}, ++$self->{statements};
}

sub contract { return 1 + int rand $contracts; }

sub change
{
	my ($self, $contract) = @_;
	return sprintf q(UPDATE business_request SET status = '%s' WHERE id = %d;),
	  mark($self), $contract // contract();
}

# One contract several times.
sub change_again
{
	my ($self) = @_;
	my $contract = contract();
	return transaction(map { change($self, $contract) } 0 .. 1 + rand 3);
}

sub create_or_delete
{
	my ($self) = @_;
	my $contract = contract();

	return "DELETE FROM business_request WHERE id = $contract;" if rand() < 0.5;
	return sprintf 'INSERT INTO business_request VALUES (%d, %s) ON CONFLICT (id) DO UPDATE SET status = %s;',
	  $contract, map { $_, $_ } "'" . mark($self) . "'";
}

sub publish
{
	my ($self, $subject) = @_;
	return sprintf q(SELECT publish_one(%d, '%s');), $subject, mark($self);
}

# Statements within a transaction of a random kind and end.
sub transaction
{
	my (@statements) = @_;
	my $level = choose([ 6, '' ], [ 2, ' ISOLATION LEVEL SERIALIZABLE' ], [ 2, ' ISOLATION LEVEL REPEATABLE READ' ]);

	unshift @statements, 'SET LOCAL synchronous_commit = off;' if rand() < 0.3;
	return join ' ', "BEGIN$level;", @statements, rand() < 0.1 ? 'ROLLBACK;' : 'COMMIT;';
}

sub with_savepoints
{
	my ($self) = @_;
	return transaction(change($self), 'SAVEPOINT a;', change($self), publish($self, 0), 'ROLLBACK TO a;',
		change($self), 'SAVEPOINT b;', change($self), 'SAVEPOINT c;', change($self), 'RELEASE b;');
}

# A subtransaction that an error ends, within a function.
sub with_exception
{
	my ($self) = @_;
	my ($one, $two, $three) = map { change($self) } 1 .. 3;
	return "DO \$\$ BEGIN $one BEGIN $two PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN $three END; END \$\$;";
}

sub with_commits
{
	my ($self) = @_;
	return 'DO $$ BEGIN ' . join(' ', map { change($self) . (rand() < 0.7 ? ' COMMIT;' : ' ROLLBACK;') } 1 .. 4) . ' END $$;';
}

sub long
{
	my ($self) = @_;
	my $seconds = rand() < 0.2 ? rand 3 : rand 0.5;
	return transaction(change($self), sprintf('SELECT pg_sleep(%.3f);', $seconds), change($self));
}

# Prepared, and ended some time later.
sub two_phase
{
	my ($self) = @_;
	my $name = "w$self->{number}-$self->{transaction}";

	push @{ $self->{prepared} }, $name;
	return join ' ', 'BEGIN;', map({ change($self) } 0 .. rand 2), publish($self, 0), "PREPARE TRANSACTION '$name';";
}

sub end_prepared { return (rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$_[0]';"; }

# New contracts, which are deleted later: COPY has no ON CONFLICT.
sub copy
{
	my ($self) = @_;
	my $first = 1_000_000 + 1_000 * $self->{transaction} + 100 * $self->{number};
	my $rows = join '', map { sprintf "%d\t%s\n", $first + $_, mark($self) } 1 .. 5;

	return "COPY business_request FROM STDIN;\n$rows\\.\n" .
	  "DELETE FROM business_request WHERE id BETWEEN $first AND $first + 100;";
}

sub merge
{
	my ($self) = @_;
	my $first = contract();
	my $mark = mark($self);

	return "MERGE INTO business_request b USING generate_series($first, $first + 3) g ON b.id = g " .
	  "WHEN MATCHED AND g % 2 = 0 THEN UPDATE SET status = '$mark-' || g WHEN MATCHED THEN DELETE " .
	  "WHEN NOT MATCHED AND g <= $contracts THEN INSERT VALUES (g, '$mark-' || g);";
}

sub bulk
{
	my ($self) = @_;
	my $mark = mark($self);
	return transaction("UPDATE business_request SET status = '$mark-' || id WHERE id % 7 = " . int(rand 7) . ';');
}

# More events in a transaction than a step of the reader takes.
sub large
{
	my ($self) = @_;
	my $mark = mark($self);
	return transaction("SELECT count(publish_one(0, '$mark-' || n)) FROM generate_series(1, 800) n;");
}

1;
