--
-- Reading never waits for a subscription: who cannot take what is read is behind,
-- and gets it later, in order; others get theirs at once.
--
BEGIN;
SELECT plan(24);

-- The first attempts at each event, in the order in which they were made.
CREATE VIEW firsts AS
SELECT subscription, subject, position, at,
	   row_number() OVER (PARTITION BY subscription ORDER BY number) AS number,
	   lag(position) OVER (PARTITION BY subscription, subject ORDER BY number) AS before
FROM (SELECT DISTINCT ON (subscription, position) *
	  FROM (SELECT *, row_number() OVER () AS number FROM clock.posts()) p
	  ORDER BY subscription, position, number) p;

-- 1 is fast enough for 1,600 a second, 2 has a few events, 3 takes what all take.
SELECT clock.subscribe();
SELECT clock.subscribe();
SELECT clock.send(1, 'large%', 3000);
SELECT clock.run('0.1 s');
SELECT clock.send(2, 'own%', 20, 0, '50 ms');
SELECT clock.run('1 s');
SELECT is(count(*), 20::bigint, 'the events of another subscription are sent while those of one transaction are')
FROM clock.posts() WHERE subscription = 2;
SELECT is(max(p.at - (0.1 + 0.05 * (n - 1)) * interval '1 s'), '0', 'each at once')
FROM (SELECT at, row_number() OVER (ORDER BY at) AS n FROM clock.posts() WHERE subscription = 2) p;
SELECT cmp_ok(count(*), '<', 3000::bigint, 'meanwhile the others are not at their end') FROM clock.posts() WHERE subscription = 1;
SELECT cmp_ok((SELECT queued FROM clock.load()), '<=', 1500, 'and most of them are not in memory');

-- Within one subscription it is first come, first served; commands, too, come
-- after what was before them.
SELECT clock.send(1, 'large7', 1);
SELECT clock.send(1, 'skipped', 1);
SELECT clock.send(1, 'kept', 1);
SELECT clock.run('10 ms');
SELECT clock.skip(1, 'skipped');
SELECT clock.run('10 ms');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subject IN ('skipped', 'kept')), 0::bigint, 'what comes later waits');
SELECT clock.settle('1 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');
SELECT is(count(*), 3002::bigint, 'all was sent, but what was skipped') FROM clock.posts() WHERE subscription = 1;
SELECT is(count(*), 0::bigint, 'in order per subject') FROM firsts WHERE before > position;
SELECT is(array_agg(outcome), '{cancelled}', 'that ended by the command') FROM clock.outcomes() WHERE subject = 'skipped' AND outcome <> 'deferred';

-- As many as are looked at together, and nothing after them.
SELECT clock.answer(2, 'took=50');
SELECT clock.send(NULL, 'even%', 2000);
SELECT clock.settle('10 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left of whole hundreds');
SELECT clock.answer(2, 'took=10');

-- The same with large and small transactions, and commands, all at once, while
-- steps of reading and writes fail and the worker crashes.
SELECT clock.subscribe('max_in_flight=4');
SELECT clock.answer(3, 'took=40');
SELECT clock.fail_reads(0.1);
SELECT clock.fail_writes(0.05);
CREATE TEMP TABLE from_here AS SELECT max(position) AS last FROM clock.posts();
DO $$
BEGIN
	FOR i IN 1 .. 30 LOOP
		PERFORM clock.send(NULL, 'all%', 40, 13);
		IF i % 5 = 0 THEN
			PERFORM clock.send(1, 'all%', 700, 13);
		END IF;
		PERFORM clock.send(2, 'all%', 3, 13);
		PERFORM clock.run('70 ms');
		IF i % 4 = 0 THEN
			PERFORM clock.crash();
		END IF;
	END LOOP;
END $$;
SELECT clock.fail_reads(0);
SELECT clock.fail_writes(0);
SELECT clock.settle('10 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left after crashes');
SELECT is(array_agg(n ORDER BY subscription), ARRAY[1200 + 4200, 1200 + 90, 1200]::bigint[], 'each event was sent to each subscription')
FROM (SELECT subscription, count(DISTINCT position) AS n FROM clock.posts(), from_here
	  WHERE position > last GROUP BY subscription) p;
SELECT is(array_agg(n ORDER BY subscription), ARRAY[1200 + 4200, 1200 + 90, 1200]::bigint[], 'and its end is in the log once')
FROM (SELECT subscription, count(*) AS n FROM clock.outcomes(), from_here
	  WHERE position > last AND outcome = 'delivered' GROUP BY subscription) o;
SELECT is(count(*), 0::bigint, 'first attempts were in order per subject') FROM firsts WHERE before > position;
SELECT cmp_ok((SELECT count(*) FROM clock.posts() p, from_here WHERE position > last), '>', (5400 + 1290 + 1200)::bigint, 'some were sent twice');

-- What is sent again is of a type that the subscription does not take: reading goes on
-- for it, though the other one in the window has no room, and what is newer comes behind.
SELECT clock.send(2, 'again%', 100, 100);
SELECT clock.settle('10 min');
SELECT clock.unsubscribe(2);
SELECT clock.settle('10 min');
SELECT clock.send(3, 'much%', 3000);
SELECT clock.resend(1, position) FROM firsts WHERE subscription = 2 AND subject LIKE 'again%' ORDER BY position;
SELECT clock.run('10 ms');
SELECT clock.send(1, 'again%', 100, 100);
SELECT clock.settle('10 min');
SELECT is(count(*), 200::bigint, 'all is sent again, and what is newer') FROM firsts WHERE subscription = 1 AND subject LIKE 'again%';
SELECT is(count(*), 0::bigint, 'what is newer comes behind it') FROM firsts WHERE subscription = 1 AND subject LIKE 'again%' AND before > position;

-- A large transaction of one tenant, whose subscription has no room: another tenant's
-- subscription to the same event type is not behind it, but the platform's is.
SELECT clock.unsubscribe(id) FROM generate_series(1, 3) id;
SELECT clock.settle('10 min');
SELECT clock.subscribe('tenant=large');
SELECT clock.subscribe('tenant=small');
SELECT clock.subscribe();
CREATE TEMP TABLE began AS SELECT clock.now() AS at;
SELECT clock.send(NULL, 'large%', 3000, tenant => 'large');
SELECT clock.run('0.1 s');
SELECT clock.send(NULL, 'small%', 20, 0, '50 ms', 'small');
SELECT clock.run('1 s');
CREATE TEMP TABLE small AS SELECT p.subscription, p.at - b.at - interval '0.1 s' - substr(p.subject, 6)::int * interval '50 ms' AS waited
FROM clock.posts() p, began b WHERE p.subject LIKE 'small%' AND p.at >= b.at;
SELECT is(count(*)::text || ' ' || max(waited), '20 00:00:00', 'the other tenant waits for none of it') FROM small WHERE subscription = 5;
SELECT is(count(*), 0::bigint, 'the platform gets it in order') FROM small WHERE subscription = 6;
SELECT clock.settle('10 min');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left of either');

-- A subscription is given a tenant by hand while it is behind: of what waits, that tenant
-- gets its own events, and neither the platform's nor another tenant's.
SELECT clock.subscribe();
SELECT clock.answer(6, 'took=1000');
SELECT clock.send(NULL, 'plain%', 1500);
SELECT clock.run('0.1 s');
SELECT clock.send(NULL, 'theirs%', 10, tenant => 'large');
SELECT clock.send(NULL, 'its%', 10, tenant => 'small');
SELECT clock.run('0.1 s');
SELECT clock.alter(6, 'tenant=small');
SELECT clock.settle('1 h');
SELECT cmp_ok(count(*), '<', 1000::bigint, 'the platform''s events that wait are not sent') FROM clock.posts() WHERE subscription = 6 AND subject LIKE 'plain%';
SELECT is(count(*), 0::bigint, '... nor another tenant''s') FROM clock.posts() WHERE subscription = 6 AND subject LIKE 'theirs%';
SELECT is(count(*), 10::bigint, 'its own are') FROM clock.posts() WHERE subscription = 6 AND subject LIKE 'its%';
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing of it is left');

SELECT * FROM finish();
ROLLBACK;
