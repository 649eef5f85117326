--
-- A worker on a fake clock: the functions of clock.c. Instants are intervals
-- since the beginning. Each session is a run of its own.
--
CREATE SCHEMA clock;

-- A new subscription; options such as 'max_in_flight=3'. The caps of a tenant,
-- tenant_max_in_flight and tenant_rate_limit, hold for all its subscriptions.
CREATE FUNCTION clock.subscribe(VARIADIC options text[] DEFAULT '{}') RETURNS bigint
	LANGUAGE c STRICT AS :'module', 'webhook_clock_subscribe_sql';
CREATE FUNCTION clock.alter(subscription bigint, VARIADIC options text[]) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_alter_sql';
CREATE FUNCTION clock.unsubscribe(subscription bigint) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_unsubscribe_sql';

-- What its endpoint answers from now on: status (200) or error, took (10, in
-- milliseconds; error=timeout takes the request's timeout), retry_after, challenge
-- (1: the body is the one that the subscription's option "challenge" asks for); those
-- with "times" come first, the others after them for good, each as often as
-- its weight (1) says.
CREATE FUNCTION clock.answer(subscription bigint, VARIADIC answers text[]) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_answer_sql';

-- Events for one subscription, or all (NULL), the first one now; a % in the
-- subject becomes a number from 0 on, below "subjects" unless that is 0. Those of a
-- tenant go to no other one; those for one subscription are its tenant's, if none is given.
CREATE FUNCTION clock.send(subscription bigint, subject text, count integer DEFAULT 1,
	subjects integer DEFAULT 0, every interval DEFAULT '0', tenant text DEFAULT NULL) RETURNS void
	LANGUAGE c AS :'module', 'webhook_clock_send_sql';

-- Commands. An event has the number of its row in the ring. Changes made before
-- a 'c' are found out by reading it, not beforehand; a subscription that it
-- names has its health reset.
CREATE FUNCTION clock.command(kind "char", subscription bigint, subject text, event bigint) RETURNS void
	LANGUAGE c AS :'module', 'webhook_clock_command_sql';
CREATE FUNCTION clock.cancel(subscription bigint, event bigint) RETURNS void
	LANGUAGE sql AS $$ SELECT clock.command('k', subscription, NULL, event) $$;
CREATE FUNCTION clock.skip(subscription bigint, subject text) RETURNS void
	LANGUAGE sql AS $$ SELECT clock.command('s', subscription, subject, NULL) $$;
CREATE FUNCTION clock.retry(subscription bigint, subject text DEFAULT NULL) RETURNS void
	LANGUAGE sql AS $$ SELECT clock.command('d', subscription, subject, NULL) $$;
CREATE FUNCTION clock.replay(cause text, subscription bigint, event bigint) RETURNS void
	LANGUAGE c AS :'module', 'webhook_clock_replay_sql';
CREATE FUNCTION clock.ping(subscription bigint) RETURNS void
	LANGUAGE sql AS $$ SELECT clock.replay('ping', subscription, NULL) $$;
CREATE FUNCTION clock.resend(subscription bigint, event bigint) RETURNS void
	LANGUAGE sql AS $$ SELECT clock.replay('resend', subscription, event) $$;

-- Let time pass: so much of it; until there is nothing left to do, or at most
-- so much, and how long that took.
CREATE FUNCTION clock.run(span interval) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_run_sql';
CREATE FUNCTION clock.settle(most interval) RETURNS interval
	LANGUAGE c STRICT AS :'module', 'webhook_clock_settle_sql';
CREATE FUNCTION clock.now() RETURNS interval
	LANGUAGE c STRICT AS :'module', 'webhook_clock_now_sql';

-- The wall's clock is set back; "at" and "ended" below are by another one.
CREATE FUNCTION clock.set_back(span interval) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_set_back_sql';

-- Microseconds that each POST, and each row of the log, takes the worker; others commit meanwhile.
CREATE FUNCTION clock.cost(us integer) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_cost_sql';

-- A setting of the server; how many of all writes fail, from 0 to 1.
CREATE FUNCTION clock.set(name text, value text) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_set_sql';
CREATE FUNCTION clock.fail_writes(part double precision) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_fail_writes_sql';

-- How many steps of reading fail, from 0 to 1, when they are to commit.
CREATE FUNCTION clock.fail_reads(part double precision) RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_fail_reads_sql';

-- The worker is killed, and another one starts from the checkpoint that was
-- written last; what its POSTs under way have brought is lost.
CREATE FUNCTION clock.crash() RETURNS void
	LANGUAGE c STRICT AS :'module', 'webhook_clock_crash_sql';

-- What has happened so far: POSTs, committed outcomes, state changes told.
CREATE FUNCTION clock.posts(OUT at interval, OUT ended interval, OUT subscription bigint,
	OUT subject text, OUT "position" bigint, OUT cause text, OUT attempt integer, OUT step integer,
	OUT probe boolean, OUT slow boolean, OUT status integer, OUT error text,
	OUT fast_in_flight integer, OUT in_flight integer, OUT new_connection boolean)
	RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_posts_sql';
CREATE FUNCTION clock.outcomes(OUT number integer, OUT at interval, OUT subscription bigint,
	OUT subject text, OUT "position" bigint, OUT cause text, OUT attempt integer, OUT step integer,
	OUT outcome text, OUT error_class text, OUT next_at interval) RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_outcomes_sql';
CREATE FUNCTION clock.notices(OUT at interval, OUT subscription bigint, OUT change text,
	OUT state text) RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_notices_sql';

-- The present state: rows of pending, states of subscriptions, memory.
CREATE FUNCTION clock.pending(OUT subscription bigint, OUT subject text, OUT "position" bigint,
	OUT attempt integer, OUT step integer, OUT next_at interval) RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_pending_sql';
CREATE FUNCTION clock.states(OUT subscription bigint, OUT breaker text,
	OUT concurrency integer, OUT consecutive_failures integer,
	OUT failures bigint, OUT in_flight integer, OUT flight_limit integer, OUT slow boolean,
	OUT sends boolean, OUT has_rows boolean, OUT spilling boolean, OUT ready integer,
	OUT delayed_until interval, OUT not_before interval, OUT probe_interval interval,
	OUT failing_since interval, OUT disabled_at interval, OUT suspended interval,
	OUT delivered bigint, OUT failed bigint, OUT retried bigint, OUT reason text)
	RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_states_sql';
CREATE FUNCTION clock.load(OUT queued integer, OUT in_flight integer, OUT unflushed integer,
	OUT memory bigint, OUT rows bigint, OUT elsewhere bigint, OUT subjects integer,
	OUT due boolean, OUT finished boolean, OUT queues integer,
	OUT transactions bigint, OUT subscriptions_read bigint) RETURNS SETOF record
	LANGUAGE c AS :'module', 'webhook_clock_load_sql';

-- What a second dispatcher, made by this call, holds after it was offered so many
-- events of a subscription, has started what may start, and one has succeeded.
CREATE FUNCTION clock.second(subscription bigint, events integer) RETURNS text
	LANGUAGE c STRICT AS :'module', 'webhook_clock_second_sql';

-- A row that shows whether anything is left in memory, and whether all that was
-- read is done.
CREATE VIEW clock.rest AS
SELECT queued, in_flight, unflushed, memory, rows, elsewhere, subjects, due, finished,
	   (SELECT count(*) FROM clock.pending()) AS pending
FROM clock.load();
