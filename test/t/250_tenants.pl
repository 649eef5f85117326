# 250_tenants.pl
#	  Who sees and does what, of whose: each function and each view, by each role, on
#	  what is its own, somebody else's, and nobody's?
#
# Functions and views are those of the catalogue: one that is not placed here fails.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;

use PostgreSQL::Test::Utils;
use Test::More;
use Webhook::Test;

my $server = Webhook::Test->new('partners', "webhook.retry_schedule = '1h'\nmax_parallel_workers = 4\n");
my $receiver = $server->receiver;

$server->sql(<<'END');
CREATE EXTENSION webhook;
CREATE ROLE acme LOGIN;
CREATE ROLE globex LOGIN;
CREATE ROLE twofold LOGIN IN ROLE acme, globex;
CREATE ROLE clerk LOGIN IN ROLE acme;
CREATE ROLE reader LOGIN;
CREATE ROLE operator LOGIN;
CREATE ROLE admin LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE backup LOGIN;
CREATE SCHEMA acme AUTHORIZATION acme;
GRANT CREATE ON SCHEMA public TO acme;
SELECT webhook.define_event_type('App.Signed'), webhook.define_event_type('App.Dropped'), webhook.define_event_type('Inner.Secret', 'of the platform');
SELECT webhook.define_tenant('acme', '{App.*}'), webhook.define_tenant('globex', '{App.*}');
SELECT webhook.grant_tenant('acme', 'acme'), webhook.grant_tenant('globex', 'globex');
SELECT webhook.grant_reader('reader'), webhook.grant_operator('operator'), webhook.grant_admin('admin'), webhook.grant_backup('backup');
CREATE TABLE contract (id int PRIMARY KEY, status text, partner text);
SELECT webhook.watch('contract', 'App.Signed', tenant_column => 'partner', data_columns => '{partner}');
CREATE TABLE inner_thing (id int PRIMARY KEY, status text);
SELECT webhook.watch('inner_thing', 'Inner.Secret');
END

# ---- What each has: events, subscriptions, calls, what waits, what has failed

my @owners = ('acme', 'globex', 'platform');
my %subscription;		# of each owner: one that gets its events

foreach my $owner (@owners)
{
	my $tenant = $owner eq 'platform' ? 'NULL' : "'$owner'";
	my $by = $owner eq 'platform' ? '' : "SET ROLE $owner;";
	my $arguments = "description => 'of $owner', headers => '{\"X-Whose\": \"$owner\"}'";

	$subscription{$owner} = $server->sql("$by " . $server->subscription("/ok/$owner", "events => '{*}'", $arguments));
	$server->sql("$by " . $server->subscription("/status/400/$owner", "events => '{*}'", "final_statuses => '{400}'", $arguments));
	$server->sql("$by " . $server->subscription("/status/503/$owner", "events => '{*}'", $arguments));
}
my %event;
foreach my $owner (@owners)
{
	my $tenant = $owner eq 'platform' ? 'NULL' : "'$owner'";
	$event{$owner} = $server->sql(qq(SELECT webhook.publish('App.Signed', '{"whose": "$owner"}', '$owner/1', $tenant)));
	$server->sql(qq(SELECT webhook.publish('Inner.Secret', '{"whose": "$owner"}', 'inner of $owner', $tenant)));
}
$server->sql("INSERT INTO contract VALUES (1, 'Draft', 'acme'), (2, 'Draft', 'globex'), (3, 'Draft', NULL)");
$server->sql("UPDATE contract SET partner = 'globex', status = 'Moved' WHERE id = 1");
$server->settle('each has something');
$server->becomes("SELECT count(DISTINCT tenant) || ' ' || (SELECT count(DISTINCT subscription_id) FROM webhook_internal.pending) FROM webhook.log", '2 3', 'calls, and what waits');
$server->sql(<<'END');
INSERT INTO webhook_internal.stat_minute
	SELECT date_trunc('minute', now() - interval '30 min'), interval '1 min', s.id, 1, 1, 1, 1, 1, array_fill(1, '{20}') FROM webhook_internal.subscription s
	UNION ALL SELECT date_trunc('minute', now() - interval '30 min'), '1 min', NULL, 9, 9, 9, 9, 9, array_fill(9, '{20}')
	ON CONFLICT DO NOTHING;
ANALYZE;
CREATE FUNCTION public.outcome(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	argument text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE call;
	RAISE EXCEPTION USING ERRCODE = 'UNDO1';
EXCEPTION WHEN OTHERS THEN
	IF SQLSTATE = 'UNDO1' THEN
		RETURN 'done';
	END IF;
	GET STACKED DIAGNOSTICS argument = COLUMN_NAME, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws('|', SQLSTATE, argument, message, detail, hint);
END;
$$;
END

# What a role gets for statements; an error is part of it.
sub as
{
	my ($role, $query, %options) = @_;
	my ($status, $out, $error) = $server->psql($query, extra_params => [ '-U', $role, '-v', 'VERBOSITY=verbose' ], on_error_stop => 0, %options);
	$out .= ($out ne '' ? "\n" : '') . $error if $error ne '';
	return $out;
}

# The outcome of each of these calls, by this role.
sub outcomes
{
	my ($role, @calls) = @_;
	my %outcome;
	my $text = as($role, join '', map { "SELECT '~', public.outcome(\$call\$$calls[$_]\$call\$), '~';\n" } 0 .. $#calls);
	my @found = $text =~ /^~\|(.*?)\|~$/msg;

	die "$role: $text" if @found != @calls;
	@outcome{@calls} = @found;
	return \%outcome;
}

# ---- Views: who sees how many rows of whom

# Whose a row is, as an expression; for none that a tenant may see, ''.
my $of_subscription = '(SELECT s.tenant FROM webhook_internal.subscription s WHERE s.id = subscription_id)';
my %views = (
	audit => 'tenant',
	dead_letter => 'tenant',
	event => "CASE WHEN event_type <> 'Inner.Secret' AND (SELECT kind FROM webhook_internal.ring r WHERE r.event_id = v.event_id AND r.kind <> 'r') <> 'p' THEN tenant END",
	event_type => "CASE WHEN name LIKE 'App.%' THEN '*' END",
	log => 'tenant',
	metrics => '',
	pending_delivery => 'tenant',
	stat_minute => $of_subscription,
	stat_pending => $of_subscription,
	stat_subscription => 'tenant',
	stat_worker => '',
	subscription => 'tenant',
	tenant => 'name',
	watched_table => "CASE WHEN tenant_column IS NOT NULL THEN '*' END");

is($server->sql("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'webhook'::regnamespace AND relkind NOT IN ('i', 'c')"),
	join(' ', sort keys %views), 'each relation of schema webhook is placed here');

# The rows of a view. The worker goes on writing minutes; those of before are enough.
sub rows_of
{
	my ($view) = @_;
	return $view eq 'stat_minute' ? "(SELECT * FROM webhook.$view WHERE at < now() - interval '20 min') v" : "webhook.$view v";
}

foreach my $view (sort keys %views)
{
	my $from = rows_of($view);
	my $all = $server->sql("SELECT count(*) FROM $from");

	foreach my $role (qw(reader operator admin))
	{
		is(as($role, "SELECT count(*) FROM $from"), $all, "$role sees all of $view");
	}
	like(as('stranger', "SELECT count(*) FROM $from"), qr/42501/, "a stranger sees nothing of $view");
	if ($views{$view} eq '')
	{
		like(as('acme', "SELECT count(*) FROM $from"), qr/42501/, "a tenant sees nothing of $view");
		next;
	}
	my %own = map { $_ => $server->sql("SELECT count(*) FROM $from WHERE ($views{$view}) IN ('$_', '*')") } qw(acme globex);
	cmp_ok($own{acme}, '>', 0, "a tenant has something in $view");
	foreach my $role (qw(acme globex))
	{
		my $other = $role eq 'acme' ? 'globex' : 'acme';
		# Its events say that a contract came from, or went to, somebody else; not from whom.
		my $others = qr/of $other|"$other"|\/$other|Inner\.Secret|inner of/;
		# A function that is cheaper than any other is called first where it may be.
		my ($count, $copy, $text, $plan, $leaked) = split /^~\n/m, as($role, <<"END");
SELECT count(*) FROM $from;
\\echo ~
COPY (SELECT 'row', v::text FROM $from) TO STDOUT;
\\echo ~
SELECT v::text FROM $from;
\\echo ~
EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM $from;
\\echo ~
CREATE FUNCTION pg_temp.leak(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS \$\$
BEGIN RAISE NOTICE 'seen: %', seen; RETURN true; END \$\$;
SELECT count(*) FROM $from WHERE pg_temp.leak(v::text);
SELECT count(*) FROM $from
	WHERE CASE WHEN pg_temp.leak(v::text) THEN 1 / (length(v::text) - length(v::text)) = 1 END;
END

		is($count, "$own{$role}\n", "$role sees its own rows of $view");
		is(() = $copy =~ /^row\t/mg, $own{$role}, '... by COPY');
		unlike($text, $others, '... and nothing of others');
		unlike($plan, qr/$other|Inner\.Secret/, '... nor by EXPLAIN');
		like($leaked, qr/seen: /, '... nor by a function in WHERE, which is called');
		unlike($leaked, $others, '... for no other row');
	}
	is(as('clerk', "SELECT count(*) FROM $from"), $own{acme}, "a member of the tenant's role sees the same of $view");
	is(as('twofold', "SELECT count(*) FROM $from"), 0, "a member of two tenants' roles sees nothing of $view");
}

# ---- Functions: who may do what to whose

# Least level (1 reader, 2 operator, 3 admin, 4 owner), whether a tenant may, and the
# arguments: S is a subscription, E an event of the same owner.
my %functions = (
	act_as => [ 4, 0, q(repeat('x', 43)) ],
	alter_subscription => [ 3, 1, 'S' ],
	alter_event_type => [ 3, 0, q('App.Signed', 'x') ],
	alter_watch => [ 3, 0, q('contract', 'App.Signed') ],
	cancel => [ 2, 1, 'E, S' ],
	check_endpoint => [ 3, 1, q('https://example.com/') ],
	config => [ 3, 0, '' ],
	confirm => [ 3, 0, 'S' ],
	define_event_type => [ 3, 0, q('App.New') ],
	define_tenant => [ 3, 0, q('acme', '{App.*}') ],
	drain => [ 2, 0, q('0 s') ],
	drop_event_type => [ 3, 0, q('App.Dropped') ],
	erase => [ 3, 0, q('x/1') ],
	explain => [ 1, 1, 'E, S' ],
	grant_admin => [ 4, 0, q('stranger') ],
	grant_backup => [ 4, 0, q('stranger') ],
	grant_monitor => [ 4, 0, q('stranger') ],
	grant_operator => [ 4, 0, q('stranger') ],
	grant_portal => [ 4, 0, q('stranger') ],
	grant_reader => [ 4, 0, q('stranger') ],
	grant_tenant => [ 4, 0, q('stranger', 'acme') ],
	health => [ 1, 0, '' ],
	may_write => [ 1, 1, '' ],
	my_tenant => [ 1, 1, '' ],
	notify_channel => [ 1, 1, '' ],
	openapi => [ 1, 1, '' ],
	pause => [ 2, 1, 'S' ],
	ping => [ 2, 1, 'S' ],
	portal_token => [ 3, 0, q('acme') ],
	publish => [ 3, 0, q('App.Signed', '{}') ],
	recover => [ 2, 1, q(S, '-infinity') ],
	resend => [ 2, 1, 'E, S' ],
	resume => [ 2, 1, 'S' ],
	resume_database => [ 3, 0, '' ],
	retry => [ 2, 1, 'S' ],
	revoke => [ 4, 0, q('stranger') ],
	revoke_portal_tokens => [ 3, 0, q('acme') ],
	rotate_secret => [ 3, 1, 'S' ],
	secret => [ 3, 1, 'S' ],
	series => [ 1, 1, q(now() - interval '1 h', now(), '10 min', S) ],
	sign => [ 1, 1, q('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'x', 1, 'x') ],
	skip => [ 2, 1, q(S, 'x/1') ],
	subscribe => [ 3, 1, q('https://example.com/new', '{App.*}') ],
	subscription_options => [ 3, 1, 'S' ],
	unsubscribe => [ 3, 1, 'S' ],
	unwatch => [ 3, 0, q('inner_thing') ],
	verify => [ 1, 1, q('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '{}', 'x') ],
	watch => [ 3, 0, q('contract', 'Inner.Secret') ]);
my %level = (stranger => 0, reader => 1, operator => 2, admin => 3);
my $unknown_event = '00000000-0000-0000-0000-000000000001';
my $unknown = 424242;

is($server->sql("SELECT string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc WHERE pronamespace = 'webhook'::regnamespace"),
	join(' ', sort keys %functions), 'each function of schema webhook is placed here');

# A call on the subscription and an event of somebody, or of nobody.
sub call
{
	my ($function, $whose, $event_whose) = @_;
	my $arguments = $functions{$function}[2];
	my $event = $event{ $event_whose // $whose } // $unknown_event;
	my $id = $subscription{$whose} // $unknown;

	$arguments =~ s/\bE\b/'$event'/;
	$arguments =~ s/\bS\b/$id/;
	return "SELECT webhook.$function($arguments)";
}

# An outcome without the numbers that the call named itself.
sub told
{
	my ($outcome, $whose, $event_whose) = @_;
	my $id = $subscription{$whose} // $unknown;
	my $event = $event{ $event_whose // $whose } // $unknown_event;

	$outcome =~ s/\b$id\b/S/g;
	$outcome =~ s/\b$event\b/E/g;
	return $outcome;
}

my @whose = (@owners, 'nobody');
foreach my $role (qw(stranger reader operator admin acme globex clerk twofold))
{
	my $tenant = { acme => 'acme', clerk => 'acme', globex => 'globex' }->{$role};
	my %calls = map { my $function = $_; map { call($function, $_) => 1 } @whose } keys %functions;
	my $outcome = outcomes($role, keys %calls);

	foreach my $function (sort keys %functions)
	{
		my ($least, $of_tenants, $arguments) = @{ $functions{$function} };
		my $is_on = $arguments =~ /\bS\b/;

		foreach my $whose ($is_on ? @whose : 'nobody')
		{
			my $got = told($outcome->{ call($function, $whose) }, $whose);
			my $name = "$role: $function() on " . ($is_on ? "what is ${whose}'s" : 'nothing');

			if (exists $level{$role} ? $level{$role} < $least : !$of_tenants)
			{
				like($got, qr/^42501\|/, "$name is refused");
			}
			elsif (!exists $level{$role} && !defined $tenant)
			{
				# Two tenants' role acts for none of them.
				like($got, qr/^done|^42501|^42704/, $name);
				unlike($got, qr/^done/, "$name is nothing") if $is_on && $function ne 'series';
			}
			elsif (!$is_on)
			{
				like($got, $function =~ /^(?:alter_watch|unwatch|watch|verify)$/ ? qr/^done|^42501|^22023/ : qr/^done/, $name);
			}
			elsif ($function =~ /^(?:explain|series)$/ && exists $level{$role})
			{
				is($got, 'done', "$name answers");
			}
			elsif (exists $level{$role} ? $whose eq 'nobody' : $whose ne $tenant && $function ne 'series')
			{
				like($got, qr/^42704\|subscription\|/, "$name is an error");
				is($got, told($outcome->{ call($function, 'nobody') }, 'nobody'), '... as of one that does not exist') if $whose ne 'nobody';
			}
			else
			{
				is($got, 'done', "$name is done");
			}
		}
	}

	# Somebody else's event is an unknown one for a tenant's own subscription.
	next unless defined $tenant;
	foreach my $function (grep { $functions{$_}[2] =~ /\bE\b/ } sort keys %functions)
	{
		my %calls = map { $_ => call($function, $tenant, $_) } @whose;
		my $outcome = outcomes($role, values %calls);

		foreach my $whose (grep { $_ ne $tenant } @whose)
		{
			is(told($outcome->{ $calls{$whose} }, $tenant, $whose), told($outcome->{ $calls{nobody} }, $tenant, 'nobody'),
				"$role: $function() of an event of $whose is as of an unknown one");
		}
	}
}

# What they answer is of the tenant's own, too.
my $others = $event{globex};
is(as('acme', "SELECT webhook.explain('$others', $subscription{acme})"), as('acme', "SELECT webhook.explain('$unknown_event', $subscription{acme})"),
	'explain() says the same of an event of another tenant and of an unknown one');
unlike(as('acme', 'SELECT webhook.openapi()'), qr/Inner/, 'openapi() has no event type that it may not get');
is(as('acme', "SELECT sum(delivered), sum(pending) FROM webhook.series(now() - interval '1 h', now() - interval '10 min', '1 h')"), '3|3', 'series() is of its own');
is(as('acme', "SELECT sum(delivered) FROM webhook.series(now() - interval '1 h', now() - interval '10 min', '1 h', $subscription{globex})"), '0', '... and has no numbers of another subscription');
is(as('acme', "SELECT webhook.recover($subscription{acme}, '-infinity', what => 'delivered', dry_run => true)"),
	$server->sql("SELECT count(*) FROM webhook.log WHERE subscription_id = $subscription{acme} AND outcome = 'delivered' AND cause <> 'confirm'"), 'recover() is of its own events');
foreach my $by ('acme', 'admin')
{
	like(as($by, "SELECT webhook.resend('$others', $subscription{acme})"), qr/42704.*event $others does not exist/,
		"$by: an event of another tenant cannot be sent to this one's subscription");
}
like(as('admin', "SELECT webhook.resend('$others', $subscription{platform})"), qr/^$/, "... but to the platform's");
like(as('acme', "SELECT webhook.skip($subscription{acme}, 'globex/1')"), qr/no delivery of subject "globex\/1" waits/, 'skip() knows nothing of another subject');

# ---- Ways round

my $leaf = $server->sql("SELECT relid FROM pg_partition_tree('webhook.log') WHERE isleaf LIMIT 1");
like(as('acme', "SELECT count(*) FROM $leaf"), qr/42501/, 'a leaf cannot be named');
is($server->sql("SELECT has_schema_privilege('acme', 'webhook_internal', 'USAGE')"), 'f', 'nor anything else of webhook_internal');
like(as('acme', 'SET row_security = off; SELECT count(*) FROM webhook.log'), qr/42501.*row-level security/, 'row_security = off is an error');
like(as('acme', "SET ROLE globex"), qr/42501/, 'SET ROLE to another tenant');
is(as('acme', "SELECT count(*) FROM pg_stats WHERE schemaname ~ '^webhook'"), 0, 'statistics of columns show nothing');

my $own_rows = as('acme', 'SELECT count(*) FROM webhook.log');
my $all_rows = $server->sql('SELECT count(*) FROM webhook.log');
cmp_ok($all_rows, '>', $own_rows, 'there are more rows than its own');
as('acme', <<'END');
CREATE VIEW acme.mine AS SELECT * FROM webhook.log;
CREATE VIEW acme.mine_too WITH (security_invoker) AS SELECT * FROM webhook.log;
CREATE MATERIALIZED VIEW acme.kept AS SELECT * FROM webhook.log WITH NO DATA;
GRANT USAGE ON SCHEMA acme TO PUBLIC;
GRANT SELECT ON acme.mine, acme.mine_too TO PUBLIC;
CREATE TABLE acme.seen (n bigint, by name);
CREATE FUNCTION acme.counts() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$ SELECT count(*) FROM webhook.log $$;
CREATE FUNCTION acme.notes() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	n bigint := (SELECT count(*) FROM webhook.log);
BEGIN
	INSERT INTO acme.seen VALUES (n, current_user);
	RETURN n;
END $$;
CREATE FUNCTION acme.looks(x int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
	AS $$ BEGIN RETURN acme.notes() + x; END $$;
CREATE TABLE acme.trap (x int);
CREATE INDEX ON acme.trap (acme.looks(x));
END
is(as('acme', 'SELECT count(*) FROM acme.mine'), $own_rows, 'a view of its own');
is(as('globex', 'SELECT count(*) FROM acme.mine'), as('globex', 'SELECT count(*) FROM webhook.log'), '... shows another tenant what that one may see');
is($server->sql('REFRESH MATERIALIZED VIEW acme.kept; SELECT count(*) FROM acme.kept'), $own_rows, "a superuser's REFRESH of its materialized view");
is(as('admin', 'SET search_path = acme, pg_catalog; SELECT acme.counts()'), $own_rows, 'a SECURITY DEFINER function of its own that an administrator calls');
is($server->sql('SELECT acme.counts()'), $own_rows, '... or a superuser');
as('acme', 'INSERT INTO acme.trap SELECT generate_series(1, 5)');
$server->sql('ANALYZE acme.trap; VACUUM acme.trap; REINDEX TABLE acme.trap');
is($server->sql("SELECT string_agg(DISTINCT n || ' ' || by, ', ') FROM acme.seen"), "$own_rows acme", "index expressions that a superuser's ANALYZE and REINDEX run");

# Parallel plans, plans that are kept
my $parallel = $server->node->pg_version >= 16 ? 'debug_parallel_query = on' : 'force_parallel_mode = on';
my @seen = grep { $views{$_} ne '' } sort keys %views;
my $counts = join '; ', map { "SELECT '$_', count(*) FROM " . rows_of($_) } @seen;

foreach my $role (qw(acme globex))
{
	is(as($role, "SET $parallel; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; $counts"),
		as($role, $counts), "$role: parallel plans");
}
foreach my $mode (qw(force_generic_plan force_custom_plan))
{
	my $prepare = join ' ', map { "PREPARE $_ AS SELECT '$_', count(*) FROM @{[ rows_of($_) ]}; EXECUTE $_;" } @seen;
	my $execute = join ' ', map { "EXECUTE $_;" } @seen;
	my (undef, @rows) = split /^~\n/m, $server->sql("SET plan_cache_mode = $mode; $prepare\n\\echo ~\nSET ROLE acme; $execute\n\\echo ~\nSET ROLE globex; $execute");

	is($rows[0], as('acme', $counts) . "\n", "$mode: plans of the owner's, as a tenant");
	is($rows[1], as('globex', $counts), "$mode: ... and as another");
}

# ---- Notifications

my $public = $server->background;
my $own = $server->background;
my $channel = as('acme', 'SELECT webhook.notify_channel()');

isnt($channel, as('globex', 'SELECT webhook.notify_channel()'), 'each tenant has a channel of its own');
is(as('admin', 'SELECT webhook.notify_channel()'), 'webhook', 'the platform has the public one');
$public->query_safe('LISTEN webhook');
$own->query_safe(qq(LISTEN "$channel"));
$server->sql("SET ROLE acme; SELECT webhook.pause($subscription{acme})");
$server->sql("SELECT webhook.pause($subscription{platform})");

sub told_to
{
	my ($session, $expected, $what) = @_;
	my $got = '';

	wait_until { ($got .= $session->query('SELECT 1')) =~ /$expected/ } 30;
	like($got, $expected, $what);
	return $got;
}
told_to($own, qr/\{"subscription":$subscription{acme},"state":"paused","until":null\}/, 'a tenant is told of its own');
my $heard = told_to($public, qr/\{"subscription":$subscription{platform},"state":"paused","until":null\}/, "the public channel has the platform's state");
like($heard, qr/\{"subscription":$subscription{acme}\}/, '... and of a tenant only that there is something new');
unlike($heard, qr/"subscription":$subscription{acme},/, '... not what');

# The worker still knows whose a subscription was that is gone.
my $ended = $server->sql("SET ROLE acme; SELECT webhook.subscribe('https://example.com/ended', '{App.*}')");
$server->settle('one more');
$server->sql("SET ROLE acme; SELECT webhook.unsubscribe($ended)");
$server->sql("SELECT webhook.resume($subscription{platform})");
told_to($own, qr/\{"subscription":$ended,"state":"unsubscribed","until":null\}/, 'a tenant is told of the end of its own');
$heard = told_to($public, qr/\{"subscription":$subscription{platform},"state":"active","until":null\}/, 'the public channel has what came later');
unlike($heard, qr/"subscription":$ended,/, '... and not that end');
$_->quit foreach $public, $own;
$server->sql("SELECT webhook.resume(id) FROM webhook.subscription WHERE paused");

# ---- Dumps

my $dump = $server->node->basedir . '/dump.sql';
my @pg_dump = ('pg_dump', '--no-sync', '-f', $dump, '-d', $server->node->connstr('postgres'));
foreach my $role ('backup', $server->sql('SELECT current_user'))
{
	command_ok([ @pg_dump, '-U', $role, '--extension', 'webhook', '--table', 'webhook_internal.*', '--schema', 'webhook' ], "pg_dump as $role");
	my $text = slurp_file($dump);
	like($text, qr/^COPY webhook_internal\.log_\d+ /m, '... has the log');
}
command_fails([ @pg_dump, '-U', 'acme' ], 'a tenant cannot dump');
command_ok([ @pg_dump, '--exclude-schema', 'acme' ], 'pg_dump of all');
$server->sql('CREATE DATABASE copied');
command_ok([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-d', $server->node->connstr('copied'), '-f', $dump ], 'it is restored');
my $copied = $server->database('copied');
is($copied->sql('SELECT count(*) FROM webhook.log'), $server->sql('SELECT count(*) FROM webhook.log'), '... with all rows of the log');
is($copied->sql('SET ROLE acme; SELECT count(*) FROM webhook.log'), $server->sql('SET ROLE acme; SELECT count(*) FROM webhook.log'),
	'... of which the tenant sees its own');
is($copied->sql('SELECT string_agg(concat_ws(\' \', r.role, t.name, t.events, t.max_subscriptions), \', \' ORDER BY t.name) FROM webhook_internal.tenant t JOIN webhook_internal.tenant_role r ON r.tenant = t.name'),
	'acme acme {App.*} 20, globex globex {App.*} 20', '... tenants, their roles and caps');

# ---- docs/tenants.md: the statements there

my ($statements) = slurp_file('docs/tenants.md') =~ /^## Set up in ten statements.*?^```sql\n(.*?)^```/ms;
is(() = $statements =~ /;$/mg, 10, 'docs/tenants.md has ten statements');
is($server->messages($statements), '', '... which work');
$server->sql("INSERT INTO agreement VALUES (1, 'Signed', 'acme'), (2, 'Signed', 'globex')");
is(as('acme_integration', "SELECT count(*) FROM webhook.event WHERE event_type = 'Partner.AgreementChanged'"), 1, '... and set up a partner, who sees its own event');

$server->is_sound;
$server->stop;
done_testing();
