--
-- Order, whatever happens: twenty subscriptions, two hundred contracts, twenty
-- thousand events; failures, endpoints that hang or are dead for a while,
-- pauses, spills, writes that fail, skip(), cancel() and resend().
--
BEGIN;
SELECT plan(16);

-- Every fifth subscription is unordered. Short schedules let some deliveries fail.
SELECT count(clock.subscribe('retry_schedule=1 2 5 10 20 40 60', 'timeout=4000', 'final_status=422', 'ordered=' || (n % 5 > 0),
	'max_in_flight=' || CASE n % 4 WHEN 0 THEN 2 ELSE 0 END, 'rate_limit=' || CASE n % 7 WHEN 0 THEN 20 ELSE 0 END))
FROM generate_series(1, 20) n;

-- One in fifty without a contract, one in forty for everybody.
CREATE FUNCTION pg_temp.offer() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clock.send(CASE WHEN random() < 0.025 THEN NULL ELSE 1 + floor(random() * 20)::int END,
					   CASE WHEN random() < 0.02 THEN NULL ELSE 'contract/' || floor(random() * random() * 200) END);
END $$;

-- What an endpoint answers for a while.
CREATE FUNCTION pg_temp.behave(id bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE floor(random() * 8)
		WHEN 0, 1, 2 THEN
			PERFORM clock.answer(id, 'took=5 weight=80', 'took=300 weight=10', 'status=500 weight=5', 'status=404 weight=3', 'status=422 weight=1', 'error=timeout weight=1');
		WHEN 3 THEN
			PERFORM clock.answer(id, 'took=200');
		WHEN 4 THEN
			PERFORM clock.answer(id, 'error=connect took=2');
		WHEN 5 THEN
			PERFORM clock.answer(id, 'error=timeout weight=4', 'took=2500');
		WHEN 6 THEN
			PERFORM clock.answer(id, 'status=404 took=20 weight=2', 'took=20 weight=3', 'status=429 retry_after=3 weight=1');
		WHEN 7 THEN
			PERFORM clock.answer(id, 'status=503 took=20 weight=3', 'took=20');
	END CASE;
END $$;

CREATE FUNCTION pg_temp.happen(events integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	left_over integer := events;
	n integer;
BEGIN
	WHILE left_over > 0 LOOP
		n := least(left_over, floor(random() ^ 4 * 400)::int + 1);
		left_over := left_over - n;
		FOR i IN 1 .. n LOOP
			PERFORM pg_temp.offer();
		END LOOP;
		PERFORM pg_temp.behave(1 + floor(random() * 20)::int);
		IF random() < 0.1 THEN
			PERFORM clock.alter(1 + floor(random() * 20)::int, 'paused=' || (random() < 0.5));
		END IF;
		IF random() < 0.1 THEN
			PERFORM clock.skip(1 + floor(random() * 20)::int, 'contract/' || floor(random() * random() * 200));
		END IF;
		IF random() < 0.1 AND left_over < events - 1000 THEN
			PERFORM clock.resend(1 + floor(random() * 20)::int,
				events - left_over - n - floor(random() * 900)::int)
			WHERE random() < 0.5;
			PERFORM clock.cancel(1 + floor(random() * 20)::int,
				events - left_over - n - floor(random() * 900)::int);
		END IF;
		IF random() < 0.05 THEN
			PERFORM clock.fail_writes(random() ^ 3);
		ELSIF random() < 0.3 THEN
			PERFORM clock.fail_writes(0);
		END IF;
		PERFORM clock.run(random() * interval '1.5 s');
	END LOOP;
END $$;

SELECT setseed(0.42);
SELECT pg_temp.behave(id) FROM generate_series(1, 20) id;
SELECT pg_temp.happen(20000);
SELECT cmp_ok((SELECT count(*) FROM clock.pending()), '>', 500::bigint, 'much waits in the table');

-- All endpoints work again.
SELECT clock.fail_writes(0);
SELECT clock.alter(id, 'paused=false'), clock.answer(id, 'took=5 weight=9', 'status=404') FROM generate_series(1, 20) id;
SELECT cmp_ok(clock.settle('24 h'), '<', interval '24 h', 'everything ends');

-- What was to be delivered: each event of one subscription, or of all.
CREATE TEMP TABLE posts AS SELECT *, row_number() OVER () AS n FROM clock.posts();
CREATE TEMP TABLE outcomes AS SELECT * FROM clock.outcomes();
CREATE TEMP TABLE ended AS SELECT * FROM outcomes WHERE outcome NOT IN ('deferred', 'retrying');
CREATE INDEX ON posts (subscription, position);
ANALYZE posts;

SELECT is(count(DISTINCT position), 20000::bigint, 'every event has ended') FROM ended WHERE cause = 'event';
SELECT is((SELECT count(*) FROM (SELECT FROM ended GROUP BY subscription, position HAVING count(*) > 1) e), 0::bigint, 'once for each subscription');
SELECT is((SELECT array_agg(DISTINCT n ORDER BY n) FROM (SELECT count(*) n FROM ended GROUP BY position) e), '{1,20}'::bigint[], 'for one, or for all of them');
SELECT is((SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM ended), 'cancelled delivered failed', 'delivered, failed or cancelled');
SELECT is((SELECT count(*) FROM ended e WHERE outcome = 'delivered' AND NOT EXISTS
	(SELECT FROM posts p WHERE p.subscription = e.subscription AND p.position = e.position AND p.status BETWEEN 200 AND 299 AND p.error = 'ok')),
	0::bigint, 'each that is delivered was answered');
SELECT is((SELECT count(*) FROM (SELECT subscription, position FROM posts WHERE error = 'ok' AND status = 200 GROUP BY 1, 2 HAVING count(*) > 1) p),
	0::bigint, 'none that was answered is sent again');
SELECT is((SELECT count(*) FROM (SELECT attempt, row_number() OVER (PARTITION BY subscription, position ORDER BY n) AS a FROM posts WHERE cause = 'event') p WHERE a <> attempt),
	0::bigint, 'attempts count from one on without a gap');

-- First attempts of each contract start in order, and no two of its attempts
-- are in flight at once; nothing later starts before what is earlier has ended.
SELECT is((SELECT count(*) FROM (
	SELECT position, lag(position) OVER (PARTITION BY subscription, subject ORDER BY n) AS former
	FROM posts WHERE attempt = 1 AND subject <> '' AND subscription % 5 > 0) p WHERE position < former), 0::bigint, 'first attempts are in order');
SELECT is((SELECT count(*) FROM (
	SELECT position, lag(position) OVER (PARTITION BY subscription, subject ORDER BY n) AS former
	FROM posts WHERE subject <> '' AND subscription % 5 > 0) p WHERE position < former), 0::bigint, 'so are all attempts');
SELECT is((SELECT count(*) FROM (
	SELECT at, lag(ended) OVER (PARTITION BY subscription, subject ORDER BY n) AS former
	FROM posts WHERE subject <> '' AND subscription % 5 > 0) p WHERE at < former), 0::bigint, 'never two of a contract in flight');
SELECT cmp_ok((SELECT count(*) FROM (
	SELECT position, lag(position) OVER (PARTITION BY subscription, subject ORDER BY n) AS former
	FROM posts WHERE subject <> '' AND subscription % 5 = 0) p WHERE position < former), '>', 0::bigint, 'where order is not asked for, none is kept');

-- Everything that this script is about has happened.
SELECT cmp_ok((SELECT count(*) FROM clock.notices() WHERE change = 'opened'), '>', 20::bigint, 'breakers opened');
SELECT cmp_ok((SELECT count(DISTINCT (subscription, position)) FROM outcomes WHERE outcome = 'deferred'), '>', 5000::bigint, 'much was deferred');

SELECT is((SELECT r FROM clock.rest r)::text, '(0,0,0,0,0,0,0,f,t,0)', 'nothing is left');

SELECT * FROM finish();
ROLLBACK;
