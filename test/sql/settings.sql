--
-- What are the defaults and the bounds of the settings, and who may change them?
--
SELECT name, setting, unit, context, vartype, min_val, max_val
	FROM pg_settings WHERE name LIKE 'webhook.%'
	ORDER BY name COLLATE "C";
SELECT name, short_desc, extra_desc
	FROM pg_settings WHERE name LIKE 'webhook.%'
	ORDER BY name COLLATE "C";

-- They are set for the server only, not in a session.
SET webhook.enabled = off;
ALTER ROLE CURRENT_USER SET webhook.timeout = '1 s';
SET webhook.no_such_setting = 1;

-- out of bounds; bounds have units in messages of newer servers
\set VERBOSITY sqlstate
ALTER SYSTEM SET webhook.max_in_flight = 0;
ALTER SYSTEM SET webhook.max_in_flight_per_subscription = 0;
ALTER SYSTEM SET webhook.timeout = 30;
ALTER SYSTEM SET webhook.timeout = '999 ms';
ALTER SYSTEM SET webhook.connect_timeout = 10;
ALTER SYSTEM SET webhook.connect_timeout = '1 d';
ALTER SYSTEM SET webhook.event_retention = -1;
ALTER SYSTEM SET webhook.log_retention = 30;
ALTER SYSTEM SET webhook.log_retention = '59 min';
ALTER SYSTEM SET webhook.log_bodies = 'delivered';
ALTER SYSTEM SET webhook.log_bodies = '';
ALTER SYSTEM SET webhook.shutdown_grace = '2 min';
ALTER SYSTEM SET webhook.max_memory = '1 kB';
ALTER SYSTEM SET webhook.max_data_size = '1 GB';
\set VERBOSITY default

-- values of a wrong form
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

-- networks, ports, a proxy, a directory of a wrong form
ALTER SYSTEM SET webhook.allowed_networks = '10.0.0.1/8';
ALTER SYSTEM SET webhook.denied_networks = '10.0.0.0/8, ::ffff:10.0.0.0/104';
ALTER SYSTEM SET webhook.denied_networks = 'internal.example';
ALTER SYSTEM SET webhook.allowed_ports = '80, 0';
ALTER SYSTEM SET webhook.allowed_ports = '';
ALTER SYSTEM SET webhook.certificate_directory = 'certificates';
ALTER SYSTEM SET webhook.no_proxy = 'a.example, , b.example';
ALTER SYSTEM SET webhook.no_proxy = '10.0.0.1/8';
ALTER SYSTEM SET webhook.no_proxy = '*.example';
ALTER SYSTEM SET webhook.proxy = 'proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://user:pass word@proxy.example.com:3128';
\set VERBOSITY sqlstate
ALTER SYSTEM SET webhook.proxy = 'socks5://proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://proxy.example.com';
ALTER SYSTEM SET webhook.proxy = 'http://proxy.example.com:0';
ALTER SYSTEM SET webhook.proxy = 'http://proxy.example.com:65536';
ALTER SYSTEM SET webhook.proxy = 'http://proxy.example.com:3128/path';
ALTER SYSTEM SET webhook.proxy = 'http://@proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://a@b@proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://user:pass%word@proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://[fd00::1:3128';
ALTER SYSTEM SET webhook.proxy = 'http://pro xy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = E'http://proxy.example.com:3128\n';
\set VERBOSITY default

-- values of a right form; they are not loaded here
ALTER SYSTEM SET webhook.allowed_networks = ' 10.0.0.0/8, fd00::/8,192.0.2.1 ';
ALTER SYSTEM SET webhook.denied_networks = '10.0.0.0/8, 10.0.0.0/8';
ALTER SYSTEM SET webhook.allowed_ports = '443, 8000 - 8080';
ALTER SYSTEM SET webhook.certificate_directory = '/etc/webhook';
ALTER SYSTEM SET webhook.proxy = 'http://proxy:3128';
ALTER SYSTEM SET webhook.proxy = 'https://user:pass%40word@proxy.example.com:3128';
ALTER SYSTEM SET webhook.proxy = 'http://[fd00::1]:3128';
ALTER SYSTEM SET webhook.no_proxy = 'Internal.example, crm ,10.0.0.0/8, ::1';
ALTER SYSTEM RESET webhook.no_proxy;
ALTER SYSTEM RESET webhook.allowed_networks;
ALTER SYSTEM RESET webhook.denied_networks;
ALTER SYSTEM RESET webhook.allowed_ports;
ALTER SYSTEM RESET webhook.certificate_directory;
ALTER SYSTEM RESET webhook.proxy;
