# Writers.pm
#	  Sessions that publish without end while a test interferes with the server,
#	  and the proof that every event of theirs came once and in order.

package Webhook::Writers;

use strict;
use warnings;

use Test::More;
use Webhook::Test;

# Makes what the writers need, and subscribes /ok/writers.  A writer has one
# subject, so its events are sent one by one: while 200 of them wait in pending it
# writes nothing, or a slow machine would need minutes to send the rest.
sub new
{
	my ($class, $server) = @_;
	my $subscription = $server->subscribe('/ok/writers');
	$server->sql(<<"END");
CREATE TABLE stop ();
CREATE TABLE written (writer int, n int);
CREATE PROCEDURE write_on(writer int) LANGUAGE plpgsql AS \$\$
DECLARE
	n int := 0;
BEGIN
	WHILE NOT EXISTS (SELECT FROM stop) LOOP
		n := n + 1;
		PERFORM webhook.publish('$type', format('{"writer":%s,"n":%s}', writer, n)::json, 'writer/' || writer);
		COMMIT;
		PERFORM pg_sleep(0.002);
		CONTINUE WHEN n % 50 > 0;
		WHILE 200 = (SELECT count(*) FROM (
			SELECT FROM webhook_internal.pending
				WHERE subscription_id = $subscription AND subject = 'writer/' || writer LIMIT 200) p)
		LOOP
			COMMIT;
			PERFORM pg_sleep(0.02);
		END LOOP;
		COMMIT;
	END LOOP;
	INSERT INTO written VALUES (writer, n);
	COMMIT;
END \$\$;
END
	return bless { server => $server, started => 0, sessions => [] }, $class;
}

# Start so many more writers, each with a series of numbers of its own.
sub start
{
	my ($self, $count) = @_;
	foreach (1 .. $count)
	{
		my $session = $self->{server}->background;
		$self->{started}++;
		$session->query_until(qr/go/, "\\echo go\nCALL write_on($self->{started});\n");
		push @{ $self->{sessions} }, $session;
	}
	return;
}

# Stop all of them: assertions that each event arrived, once and in order.  A
# test that publishes for a writer 0 adds what it has published to "written".
sub stop
{
	my ($self, $what) = @_;
	my $server = $self->{server};

	$server->sql('INSERT INTO stop DEFAULT VALUES');
	$_->quit foreach splice @{ $self->{sessions} };
	$server->settle($what);
	my $written = $server->sql('SELECT coalesce(sum(n), 0) FROM written');
	my (%seen, %last);
	my ($twice, $disordered) = (0, 0);
	foreach ($server->receiver->requests('/ok/writers'))
	{
		my ($writer, $n) = $_->{body} =~ /"writer":(\d+),"n":(\d+)/ or next;
		$twice++ if $seen{"$writer/$n"}++;
		$disordered++ if $writer > 0 and $n < ($last{$writer} // 0);
		$last{$writer} = $n;
	}
	is(scalar keys %seen, $written, "$what: all $written events arrive") || $server->show_state;
	is($twice, 0, "$what: none twice");
	is($disordered, 0, "$what: in order");
	$server->sql('DELETE FROM stop; DELETE FROM written');
	$server->receiver->clear;
	return;
}

# One event with a text that none had before arrives: an assertion.  Returns the
# event's Id.
sub arrives
{
	my ($self, $what, $text) = @_;
	my $server = $self->{server};
	my $id = $server->publish($type, qq('{"text":"$text"}'), 'text');
	my $count = wait_until
	{
		scalar grep { $_->{body} =~ /"text":"\Q$text\E"/ } $server->receiver->requests('/ok/writers')
	} 20;

	is($count, 1, $what);
	return $id;
}

1;
