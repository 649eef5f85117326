--
-- A change of one subscription of many: it alone is read again, whatever fails meanwhile,
-- and holds from then on.
--
BEGIN;
SELECT plan(14);

CREATE FUNCTION pg_temp.read_by(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	before bigint := (SELECT subscriptions_read FROM clock.load());
BEGIN
	EXECUTE query;
	PERFORM clock.run('100 ms');
	RETURN (SELECT subscriptions_read FROM clock.load()) - before;
END $$;

-- Of 2,000, all are read once.
SELECT is(pg_temp.read_by('SELECT count(clock.subscribe()) FROM generate_series(1, 2000)'),
		  2000::bigint, 'at the start all are read');
SELECT clock.send(NULL, 'first', 1);
SELECT clock.settle('1 min');

-- Then each change is read alone: by itself, and with the command that tells of it.
SELECT is(pg_temp.read_by('SELECT clock.alter(7, ''paused=true'')'), 1::bigint, 'one is paused: one is read');
SELECT clock.send(NULL, 'second', 1);
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(DISTINCT subscription) FROM clock.pending()), '{7}', 'what comes waits for it alone');
SELECT is(pg_temp.read_by('SELECT clock.alter(7, ''paused=false''), clock.command(''c'', NULL, NULL, NULL)'),
		  2::bigint, 'it is resumed: the command is read before its session says so');
SELECT is((SELECT count(*) FROM clock.posts() WHERE subject = 'second'), 2000::bigint, 'and goes on');
SELECT cmp_ok(pg_temp.read_by('SELECT clock.unsubscribe(8)'), '<=', 3::bigint, 'one goes: not all are read');
SELECT cmp_ok(pg_temp.read_by('SELECT clock.subscribe()'), '<=', 1::bigint, 'one comes: not all are read');
SELECT is((SELECT queues FROM clock.load()), 2001, 'there is a queue for it, and that of the former is kept until its state is saved');
SELECT clock.send(NULL, 'third', 1);
SELECT clock.settle('1 min');
SELECT is((SELECT array_agg(s) FROM generate_series(1, 2001) s WHERE NOT EXISTS (SELECT FROM clock.posts() WHERE subscription = s AND subject = 'third')),
		  '{8}', 'the one that came gets events, the one that went does not');
SELECT clock.run('5 s');
SELECT clock.alter(9, 'rate_limit=0');
SELECT clock.run('1 s');
SELECT is((SELECT queues FROM clock.load()), 2000, 'the queue of the former goes with the next change');

-- More than can be told at a time.
SELECT is(pg_temp.read_by('SELECT count(clock.alter(id, ''ordered=false'')) FROM generate_series(1, 65) id'),
		  2001::bigint, 'many change at once: all are read');

-- While reading fails at any time, and the worker crashes, each change holds in the end.
SELECT clock.fail_reads(0.3);
DO $$
BEGIN
	FOR i IN 1 .. 60 LOOP
		PERFORM clock.alter(10 + i * 37 % 40, 'paused=' || (i % 3 = 0), 'max_in_flight=' || 1 + i % 5);
		PERFORM clock.send(10 + i * 37 % 40, 'churn%', 4, 3);
		IF i % 4 = 0 THEN
			PERFORM clock.command('c', NULL, NULL, NULL);
		END IF;
		PERFORM clock.run('50 ms');
		IF i % 10 = 0 THEN
			PERFORM clock.crash();
		END IF;
	END LOOP;
END $$;
SELECT clock.fail_reads(0);
SELECT clock.run('1 min');
SELECT is((SELECT array_agg(id ORDER BY id)
		   FROM (SELECT DISTINCT subscription::int AS id FROM clock.pending()) p),
		  (SELECT array_agg(id ORDER BY id) FROM (
			SELECT DISTINCT ON (10 + i * 37 % 40) 10 + i * 37 % 40 AS id, i % 3 = 0 AS paused
			FROM generate_series(1, 60) i ORDER BY 10 + i * 37 % 40, i DESC) s WHERE paused),
		  'what waits is of those that are paused');
SELECT clock.alter(id, 'paused=false') FROM generate_series(10, 49) id;
SELECT clock.settle('10 min');
SELECT is((SELECT count(DISTINCT position) FROM clock.posts() WHERE subject LIKE 'churn%'), 240::bigint, 'nothing is lost');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
