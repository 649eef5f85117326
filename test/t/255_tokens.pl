# 255_tokens.pl
#	  A session that acts for a tenant by a token: sessions that work at the same time,
#	  parallel plans, resets, and what the server's log has of a token.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('tokens', <<'END');
log_statement = all
log_min_error_statement = panic
max_prepared_transactions = 2
END
$server->sql(<<'END');
CREATE EXTENSION webhook;
SELECT webhook.define_tenant('acme'), webhook.define_tenant('globex');
CREATE ROLE hooks_service LOGIN;
SELECT webhook.grant_portal('hooks_service');
CREATE TABLE note AS SELECT n AS id, CASE WHEN n % 2 = 0 THEN 'acme' ELSE 'globex' END AS tenant FROM generate_series(1, 1000) n;
CREATE VIEW own_note WITH (security_barrier) AS
	SELECT * FROM note WHERE tenant = (SELECT webhook_internal.my_tenant());
GRANT SELECT ON own_note TO hooks_service;
END

sub token { return $server->sql("SELECT webhook.portal_token('$_[0]')"); }

# A session of the service role.
sub service
{
	my $session = $server->session;
	$session->run("\\set VERBOSITY sqlstate\nSET SESSION AUTHORIZATION hooks_service");
	return $session;
}

my $seen = q(SELECT string_agg(name, ',') FROM webhook.tenant);

# What psql says of a statement: its result or its SQLSTATE.
sub says
{
	my ($session, $statement) = @_;
	return $session->run("$statement;\n\\echo :SQLSTATE\n") =~ s/\n*(?:00000)?;?\s*\z//r;
}

# ---- Two want the same token

{
	my $token = token('acme');
	my @session = (service(), service());

	$session[0]->run("BEGIN; SELECT webhook.act_as('$token')");
	$session[1]->start("SELECT webhook.act_as('$token');\n\\echo :SQLSTATE\n");
	$server->becomes(q(SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'), 1, 'the second one waits for the first');
	$session[0]->run('COMMIT');
	like($session[1]->result, qr/^28000$/m, '... and is refused');
	is(says($session[0], $seen), 'acme', 'the first one acts');
	is(says($session[1], $seen), '', 'the second one does not');

	# A transaction's snapshot does not keep what was revoked.
	is(says($session[0], "BEGIN ISOLATION LEVEL REPEATABLE READ; $seen"), 'acme', 'a transaction reads');
	$server->sql(q(SELECT webhook.revoke_portal_tokens('acme')));
	is(says($session[0], $seen), '28000', 'what is revoked is revoked for open transactions, too');
	is(says($session[0], 'ROLLBACK'), '', 'the session goes on');
	is(says($session[0], $seen), '28000', '... without its tenant');
	$_->quit foreach @session;
}

# ---- What a session has begun to read ends with its token

{
	my $session = service();

	says($session, "SELECT webhook.act_as('" . token('acme') . "')");
	is(says($session, "DECLARE held CURSOR WITH HOLD FOR $seen"), '0A000', 'a cursor WITH HOLD is refused');
	$session->run("BEGIN; DECLARE opened SCROLL CURSOR FOR $seen");
	is(says($session, 'FETCH opened'), 'acme', 'a cursor reads');
	is(says($session, 'MOVE BACKWARD ALL IN opened; SAVEPOINT revoked'), '', '... and can again');
	$server->sql(q(SELECT webhook.revoke_portal_tokens('acme')));
	foreach my $statement ('FETCH opened', 'MOVE opened', 'SELECT 1',
		q(DO $$ DECLARE opened refcursor := 'opened'; found text; BEGIN FETCH opened INTO found; RAISE '%', found; END $$))
	{
		is(says($session, $statement), '28000', "$statement: revoked");
		says($session, 'ROLLBACK TO revoked');
	}
	$server->sql('CREATE ROLE hooks_other ROLE hooks_service');
	is(says($session, 'SET ROLE hooks_other; FETCH opened'), '28000', '... also for another role of the session');
	says($session, 'ROLLBACK');
	is(says($session, 'RESET ROLE; DISCARD ALL'), '', 'the session can be put back');
	is(says($session, 'SET SESSION AUTHORIZATION hooks_service; SELECT 1'), '1', '... for somebody else');
	$session->quit;
}

# ---- A transaction that is prepared

{
	my $session = service();
	my $token = token('acme');

	like(says($session, "BEGIN; SELECT webhook.act_as('$token'); RESET ALL; PREPARE TRANSACTION 'acts'"), qr{^0A000$}m, '... nor if it has ended that');
	like(says($session, "BEGIN; SELECT webhook.act_as('$token'); PREPARE TRANSACTION 'acts'"), qr{^0A000$}m, 'a transaction that has called act_as() is not prepared');
	is(says($session, $seen), '', '... and the session acts for nobody');
	like(says($session, "SELECT webhook.act_as('$token'); $seen"), qr{^acme$}m, '... and the token is as good as before');
	is(says($session, "BEGIN; $seen; PREPARE TRANSACTION 'acts'; ROLLBACK PREPARED 'acts'"), 'acme', 'a session that acts prepares a transaction');
	$session->quit;
}

# ---- What ends it

foreach my $reset ('RESET ALL', 'DISCARD ALL')
{
	my $session = service();

	says($session, 'SELECT webhook.act_as(\'' . token('acme') . '\')');
	is(says($session, $seen), 'acme', "before $reset");
	is(says($session, $reset), '', $reset);
	is(says($session, "SET SESSION AUTHORIZATION hooks_service; $seen"), '', "... ends it");
	$session->quit;
}
{
	my $session = service();
	my $token = token('acme');

	is(says($session, "BEGIN; SELECT webhook.act_as('$token'); ROLLBACK; $seen"), '', 'a rollback ends it');
	is(says($session, "BEGIN READ ONLY; SELECT webhook.act_as('$token')"), '25006', 'a transaction that only reads takes no token');
	like(says($session, "ROLLBACK; SELECT webhook.act_as('$token'); $seen"), qr{^acme$}m, 'the token is as good as before');
	$session->quit;
}

# ---- Parallel plans

{
	my $session = service();

	says($session, 'SET min_parallel_table_scan_size = 0; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 2');
	is(says($session, 'SELECT count(*) FROM own_note'), '0', 'without a token a parallel plan sees nothing');
	says($session, 'SELECT webhook.act_as(\'' . token('globex') . '\')');
	like(says($session, 'EXPLAIN (COSTS off) SELECT count(*) FROM own_note'), qr/Workers Planned/, 'a plan is parallel');
	is(says($session, 'SELECT count(*) FROM own_note'), '500', '... and sees all of the tenant, and nothing else');
	$session->quit;
}

# ---- What the log and a dump have

{
	my $place = $server->log_end;
	my $token = token('acme');
	my $session = service();

	is(says($session, q(SET log_parameter_max_length = 0)), '42501', 'a role does not keep parameters out of the log by itself');
	unlike($server->log_since($place), qr/\Q$token\E/, 'a token that was made is not in the server\'s log, with log_statement = all');
	says($session, "SELECT webhook.act_as('$token')");
	is(says($session, $seen), 'acme', 'it is good');
	is($server->sql(q(SELECT count(*) FROM pg_extension WHERE 'webhook_internal.portal_token'::regclass = ANY (extconfig))), 0, 'no dump has tokens');
	$session->quit;
}

$server->stop;
done_testing();
