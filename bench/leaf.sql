--
-- Leaves of webhook.log, filled as they would be without sending anything: so many rows
-- from "first" on, in the order of time, of so many subscriptions and subjects. Rows whose
-- endpoints are down are tried again. Of the others 2 of 100 were not answered well, and
-- half of these have ended so. Events have two rows each.
--
SET synchronous_commit = off;

CREATE FUNCTION pg_temp.fill_leaf(leaf text, since timestamptz, until timestamptz, first bigint,
		number bigint, subscriptions bigint, subjects bigint, are_down boolean) RETURNS void
	LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s
		(id, event_id, position, cause, logged_at, subscription_id, event_type, subject,
			created_at, attempt, method, endpoint, peer_ip, source_ip, source_port, requested_at,
			duration, request_headers, request_body, response_status, response_headers,
			response_body, outcome, error_class, error, data)', leaf) || $_$
		SELECT n, e.id, n / 2, 'event', t.at, 1 + n % $5,
				'App.BusinessRequestStatusChange', 'business_request/' || n % $7,
				t.at - interval '50 ms', 1, 'POST',
				'http://127.0.0.1:9999/' || 1 + n % $5 || '?token=***', '127.0.0.1', '127.0.0.1', 40000,
				t.at - interval '20 ms', interval '15 ms',
				'{"content-type": "application/json; charset=utf-8", "user-agent": "webhook/1.0",
					"webhook-id": "0192d1a0-0000-7000-8000-000000000000", "webhook-timestamp": "1764495000",
					"webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
					"webhook-event": "App.BusinessRequestStatusChange", "webhook-attempt": "1"}',
				format('{"Id":"%s","WebhookEvent":"App.BusinessRequestStatusChange",'
					'"Subject":"business_request/%s","Attempt":1,"Data":{"BusinessRequestId":%s,'
					'"Operation":"UPDATE","OldStatus":"Draft","NewStatus":"Approved"},'
					'"CreationTimeUtc":"2026-11-24T09:30:00.123456Z"}',
					e.id, n % $7, n % $7),
				CASE WHEN $6 OR n % 50 = 7 THEN 500 ELSE 200 END, '{"content-length": "2"}', 'ok',
				CASE WHEN $6 THEN 'retrying' WHEN n % 50 <> 7 THEN 'delivered' WHEN n % 100 = 7 THEN 'failed' ELSE 'retrying' END,
				CASE WHEN $6 OR n % 50 = 7 THEN 'status' END,
				CASE WHEN $6 OR n % 50 = 7 THEN 'the endpoint answered with status 500' END,
				CASE WHEN NOT $6 AND n % 100 = 7 THEN '{"BusinessRequestId": 1}'::json END
			FROM generate_series($1, $1 + $2 - 1) n
				CROSS JOIN LATERAL (SELECT $3 + (n - $1) * (($4 - $3) / ($2 + 1))) AS t (at)
				CROSS JOIN LATERAL (SELECT $3 + (n / 2 * 2 - $1) * (($4 - $3) / ($2 + 1))) AS o (at)
				CROSS JOIN LATERAL (SELECT (lpad(to_hex((extract(epoch FROM o.at) * 1000)::bigint), 12, '0')
					|| '7' || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid FROM md5('event' || n / 2) AS h) AS e (id)
		$_$
		USING first, number, since, until, subscriptions, are_down, subjects;
END
$$;

-- The indexes that another leaf has.
CREATE FUNCTION pg_temp.index_leaf(leaf text, model text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	definition	text;
BEGIN
	FOR definition IN
		SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = model::regclass
	LOOP
		EXECUTE regexp_replace(definition, 'INDEX \S+ ON \S+', 'INDEX ON ' || leaf);
	END LOOP;
END
$$;
