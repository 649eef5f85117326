--
-- Does series() add up what the worker has written by minute and by hour?
--
BEGIN;
SELECT no_plan();

CREATE FUNCTION pg_temp.minute(at timestamptz, subscription bigint, delivered bigint, duration integer[] DEFAULT '{}',
		span interval DEFAULT '1 min', failed bigint DEFAULT 0, retried bigint DEFAULT 0, cancelled bigint DEFAULT 0,
		pending bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO webhook_internal.stat_minute (at, span, subscription_id, delivered, failed,
			retried, cancelled, pending, duration)
		VALUES (minute.at, minute.span, subscription, minute.delivered, minute.failed,
			minute.retried, minute.cancelled, minute.pending,
			(SELECT array_agg(coalesce(duration[n], 0) ORDER BY n) FROM generate_series(1, 20) n))
$$;
SELECT pg_temp.minute('2026-01-01 10:00Z', NULL, 3, '{0,0,0,3}', failed => 1, pending => 5),
	pg_temp.minute('2026-01-01 10:01Z', NULL, 4, '{0,0,0,1,0,0,0,0,0,0,1}', retried => 2, cancelled => 9, pending => 7),
	pg_temp.minute('2026-01-01 10:05Z', NULL, 1), pg_temp.minute('2026-01-01 10:01Z', 7, 2, '{2}'),
	pg_temp.minute('2026-01-01 08:00Z', NULL, 100, span => '1 h');

SELECT results_eq($$ SELECT at, delivered, failed, retried, pending FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:06Z', '2 min') $$,
	$$ VALUES ('2026-01-01 10:00Z'::timestamptz, 7::bigint, 1::bigint, 2::bigint, 7::bigint), ('2026-01-01 10:02Z', 0, 0, 0, NULL),
		('2026-01-01 10:04Z', 1, 0, 0, NULL) $$, 'each step of the period has a row, also where nothing happened');
SELECT results_eq($$ SELECT p50, p95 FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:06Z', '2 min') $$,
	$$ VALUES (interval '6.5 ms', interval '896 ms'), (NULL, NULL), (NULL, NULL) $$, 'percentiles are those of all requests of a step');
SELECT results_eq($$ SELECT delivered, p50 FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:02Z', '1 min', 7) $$,
	$$ VALUES (0::bigint, NULL::interval), (2, interval '0.5 ms') $$, 'of one subscription');
SELECT results_eq($$ SELECT at, delivered FROM webhook.series('2026-01-01 00:00Z', '2026-01-02 00:00Z', '12 h') $$,
	$$ VALUES ('2026-01-01 00:00Z'::timestamptz, 108::bigint), ('2026-01-01 12:00Z', 0) $$, 'hours and minutes are added');
SELECT is_empty($$ SELECT FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:00Z', '1 h') $$, 'an empty period has no step');
SET LOCAL enable_seqscan = off;
SELECT count(*) AS steps, pg_stat_get_xact_numscans('webhook_internal.stat_minute'::regclass) AS scans
	FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:06Z', '2 min') \gset
SELECT count(*) + count(s.*) AS steps
	FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 10:06Z', '2 min'),
		webhook.series('2026-01-01 10:00Z', '2026-01-01 10:06Z', '2 min', 7) s \gset
SELECT is(pg_stat_get_xact_numscans('webhook_internal.stat_minute'::regclass), :scans::bigint,
	'all together, and one subscription, are found by an index');
RESET enable_seqscan;
SELECT is(count(*), 2::bigint, 'a step that has begun counts') FROM webhook.series('2026-01-01 10:00Z', '2026-01-01 11:00:01Z', '1 h');
SELECT is(webhook_internal.percentile(array_fill(0::bigint, '{19}') || 1::bigint, 1), interval '524.288 s', 'the last element ends at 2^19 ms');
SELECT throws_ok($$ INSERT INTO webhook_internal.stat_minute SELECT * FROM webhook_internal.stat_minute $$, '23505', NULL,
	'a time, a span and a subscription, or all together, have one row');
SELECT throws_ok('DELETE FROM webhook.stat_minute', '55000', NULL, 'the view cannot be written through');

SELECT * FROM finish();
ROLLBACK;
