-- server: webhook.allowed_networks = '10.0.0.0/8, 127.0.0.0/8, ::1, 64:ff9b::/96'
-- server: webhook.denied_networks = '10.9.0.0/16, 8.8.8.0/24, 2606:4700::/32'
-- server: webhook.allowed_ports = '25, 8000-8080'
-- Which endpoints do allowed_networks, denied_networks and allowed_ports open and
-- close?
BEGIN;
SELECT no_plan();

-- 'accepted'; or SQLSTATE, DETAIL, and the ports that the HINT lists.
CREATE FUNCTION stored_or_refused(url text) RETURNS text
	LANGUAGE plpgsql
AS $$
DECLARE
	detail	text;
	hint	text;
BEGIN
	PERFORM webhook.subscribe(url, '{App.BusinessRequestStatusChange}');
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLSTATE, detail, substring(hint FROM 'Use one of the ports [^;]*'));
END
$$;

SELECT is(webhook_internal.canonical_endpoint(url), url, format('%s is allowed', url))
	FROM unnest('{http://10.0.0.1:8000/,http://10.255.255.255:8080/,http://127.0.0.1:25/,http://[::1]:8000/,http://[::ffff:10.0.0.1]:8000/,http://[64:ff9b::1]:8000/,http://9.9.9.9:8000/,https://h.example:25/,http://crm:8000/,http://localhost:8000/}'::text[]) AS url;
SELECT is(stored_or_refused(url), '22023 ' || detail, format('%s is not', url))
	FROM (VALUES
		('http://10.9.0.0:8000/', 'The address 10.9.0.0 is in 10.9.0.0/16, which webhook.denied_networks denies.'),
		('http://[::ffff:10.9.0.1]:8000/', 'The address ::ffff:10.9.0.1 is in 10.9.0.0/16, which webhook.denied_networks denies.'),
		('http://8.8.8.8:8000/', 'The address 8.8.8.8 is in 8.8.8.0/24, which webhook.denied_networks denies.'),
		('http://[2606:4700::1111]:8000/', 'The address 2606:4700::1111 is in 2606:4700::/32, which webhook.denied_networks denies.'),
		('http://192.168.0.1:8000/', 'The address 192.168.0.1 is in 192.168.0.0/16 (private use), which webhook.allowed_networks does not allow.'),
		('http://[::2]:8000/', 'The address ::2 is in ::/96 (IPv4-compatible, an IPv4 address inside), which webhook.allowed_networks does not allow.'),
		('https://h.example/', 'Port 443 is not one of webhook.allowed_ports. Use one of the ports 25, 8000-8080'),
		('http://h.example/', 'Port 80 is not one of webhook.allowed_ports. Use one of the ports 25, 8000-8080'),
		('http://h.example:8081/', 'Port 8081 is not one of webhook.allowed_ports. Use one of the ports 25, 8000-8080')
	) AS t (url, detail);

SELECT * FROM finish();
ROLLBACK;
