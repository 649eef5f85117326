--
-- Deliveries that wait unstarted are spilled to pending, and loaded again in order.
--
BEGIN;
SELECT plan(22);

-- One request of three seconds at a time: deliveries that wait for two are spilled.
SELECT clock.subscribe('max_in_flight=1');
SELECT clock.answer(1, 'took=1900');
SELECT clock.send(1, 's%', 50);
SELECT clock.send(1, 'one', 5);
SELECT clock.run('1.9 s');
SELECT is((SELECT count(*) FROM clock.pending()), 0::bigint, 'nothing has left memory before two seconds');
SELECT clock.run('1 s');
SELECT is((SELECT array_agg(DISTINCT at) FROM clock.outcomes() WHERE outcome = 'deferred'), '{2.005 s}'::interval[], 'all that waits leaves it then');
SELECT is((SELECT count(*) FROM clock.pending()), 53::bigint, 'it is in the table');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subject = 'one' AND next_at IS NOT NULL), 1::bigint, 'of each contract one may start');
SELECT is((SELECT rows FROM clock.load()) <= 2, true, 'and not more of it are loaded than can start');
SELECT clock.send(1, 'one', 5);
SELECT clock.run('1 s');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subject = 'one'), 10::bigint, 'what comes later waits behind it there');
SELECT clock.settle('10 min');
SELECT is((SELECT array_agg(position) = array_agg(position ORDER BY position) FROM (SELECT position FROM clock.posts() WHERE subject LIKE 's%' ORDER BY at) p), true,
		  'contracts go in the order in which they came');
SELECT is((SELECT array_agg(position) = array_agg(position ORDER BY position) FROM (SELECT position FROM clock.posts() WHERE subject = 'one' ORDER BY at) p), true,
		  'and each one in its own order');
SELECT is((SELECT max(at) - min(at) FROM clock.posts()), 59 * interval '1.9 s', 'without a gap');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

-- More than memory is to hold: deliveries leave it after a fifth of a second. Other
-- queues are not kept waiting.
SELECT clock.subscribe('max_in_flight=1');
SELECT clock.subscribe();
SELECT clock.answer(2, 'took=1000');
CREATE TEMP TABLE t AS SELECT clock.now() AS began;
SELECT clock.send(2, 's%', 5000);
SELECT clock.send(3, 'f%', 100, 0, '100 ms');
SELECT clock.run('5 s');
SELECT cmp_ok(min(at) - min(began), '<=', interval '0.76 s', 'what fills memory leaves it soon') FROM clock.outcomes(), t WHERE subscription = 2 AND outcome = 'deferred';
SELECT cmp_ok(min(at) - min(began), '>=', interval '0.2 s', 'not at once') FROM clock.outcomes(), t WHERE subscription = 2 AND outcome = 'deferred';
SELECT cmp_ok((SELECT queued FROM clock.load()), '<=', 500, 'then there is room');
SELECT is((SELECT count(*) FROM clock.pending() WHERE subscription = 2) > 4900, true, 'nearly all of it is in the table');
SELECT clock.run('10 s');
SELECT is(count(*), 100::bigint, 'all of the other are sent') FROM clock.posts() WHERE subscription = 3;
SELECT is(max(p.at - began - substr(p.subject, 2)::int * interval '0.1 s'), interval '0', 'and none of them waits once it has been read')
FROM clock.posts() p, t WHERE subscription = 3 AND p.at > began + interval '2 s';

-- In the end all are sent, as fast as the endpoint answers.
SELECT clock.answer(2, 'took=1');
SELECT cmp_ok(clock.settle('10 min'), '<', interval '60 s', 'it is drained');
SELECT is((SELECT array_agg(position) = array_agg(position ORDER BY position)
		   FROM (SELECT position FROM clock.posts() WHERE subscription = 2 ORDER BY at) p), true,
		  'in order');

-- A subject with a backlog is sent without a write and a read between two deliveries, in order,
-- also if some of them fail, are cancelled, or leave memory while they wait.
SELECT clock.subscribe('retry_schedule=1 1 1 1 1', 'max_age=600000');
SELECT clock.alter(4, 'paused=true');
SELECT clock.send(4, 'one', 2000);
SELECT clock.run('5 s');
SELECT clock.answer(4, 'took=1');
SELECT clock.alter(4, 'paused=false');
SELECT cmp_ok(clock.settle('10 min'), '<', interval '5 s', 'one subject is drained nearly as fast as its endpoint answers');
SELECT clock.alter(4, 'paused=true');
SELECT clock.send(4, 'two', 300);
SELECT clock.run('5 s');
SELECT clock.answer(4, 'took=300 weight=5', 'took=10 weight=5', 'status=500 took=10');
SELECT clock.alter(4, 'paused=false');
SELECT clock.run('3 s');
SELECT clock.send(4, 'two', 50);
SELECT clock.cancel(4,
	(SELECT position FROM clock.pending() WHERE subscription = 4
		ORDER BY position OFFSET 3 LIMIT 1));
SELECT clock.run('3 s');
SELECT clock.alter(4, 'paused=true');
SELECT clock.run('3 s');
SELECT clock.alter(4, 'paused=false');
SELECT clock.settle('1 h');
SELECT is((SELECT array_agg(position) = array_agg(position ORDER BY position)
		   FROM (SELECT position FROM clock.outcomes() WHERE subscription = 4 AND outcome = 'delivered' ORDER BY number) p), true, 'all in order');
SELECT is((SELECT array_agg(DISTINCT outcome || ' ' || n) FROM
			(SELECT outcome, count(DISTINCT position) AS n FROM clock.outcomes() WHERE subscription = 4 AND outcome IN ('delivered', 'cancelled', 'failed') GROUP BY outcome) x),
		  '{"cancelled 1","delivered 2349"}', 'and each once, but for one that was cancelled where it waited');
SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
