--
-- Settings: defaults, bounds, and who may change them.
--
SELECT name, setting, unit, context, vartype, min_val, max_val
	FROM pg_settings WHERE name LIKE 'webhook.%'
	ORDER BY name COLLATE "C";
SELECT name, short_desc, extra_desc
	FROM pg_settings WHERE name LIKE 'webhook.%'
	ORDER BY name COLLATE "C";

-- The server alone has them, not a session.
SET webhook.enabled = off;
ALTER ROLE CURRENT_USER SET webhook.timeout = '1 s';
SET webhook.no_such_setting = 1;

-- out of bounds; bounds have units in messages of newer servers
\set VERBOSITY sqlstate
ALTER SYSTEM SET webhook.max_in_flight = 0;
ALTER SYSTEM SET webhook.max_in_flight_per_subscription = 0;
ALTER SYSTEM SET webhook.timeout = 0;
ALTER SYSTEM SET webhook.connect_timeout = '1 d';
ALTER SYSTEM SET webhook.event_retention = -1;
ALTER SYSTEM SET webhook.log_retention = -1;
ALTER SYSTEM SET webhook.shutdown_grace = '2 min';
ALTER SYSTEM SET webhook.max_memory = '1 kB';
ALTER SYSTEM SET webhook.max_data_size = '1 GB';
\set VERBOSITY default

-- of no known form
ALTER SYSTEM SET webhook.retry_schedule = '5';
ALTER SYSTEM SET webhook.retry_schedule = '5s,';
ALTER SYSTEM SET webhook.retry_schedule = '5s 5m';
ALTER SYSTEM SET webhook.retry_schedule = '-5s';
ALTER SYSTEM SET webhook.retry_schedule = '0s';
ALTER SYSTEM SET webhook.retry_schedule = '31d';
ALTER SYSTEM SET webhook.retry_schedule = '5 fortnights';
ALTER SYSTEM SET webhook.user_agent = '';
ALTER SYSTEM SET webhook.user_agent = E'a\r\nX-Evil: 1';
ALTER SYSTEM SET webhook.user_agent = ' a';
