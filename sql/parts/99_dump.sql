/*
 * Dumps: what people have configured and done, what still waits, and the sequences that
 * number both. The ring and the checkpoint belong to this database alone; the
 * leaves of the log are dumped as the ordinary tables that they are.
 */

-- Without what CREATE EXTENSION makes, unless people have altered it.
SELECT pg_extension_config_dump('webhook_internal.event_type', $$WHERE name NOT LIKE 'webhook.%' AND (name, description, schema, example, deprecated_at) IS DISTINCT FROM ('App.BusinessRequestStatusChange', 'The status of a business request has changed.', NULL, NULL, NULL)$$);
SELECT pg_extension_config_dump('webhook_internal.tenant', '');
-- The OID of a role that is gone may be another one's elsewhere.
SELECT pg_extension_config_dump('webhook_internal.tenant_role', 'WHERE role IN (SELECT oid FROM pg_catalog.pg_roles)');
SELECT pg_extension_config_dump('webhook_internal.subscription', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_secret', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_state', '');
SELECT pg_extension_config_dump('webhook_internal.pending', '');
SELECT pg_extension_config_dump('webhook_internal.audit', '');
SELECT pg_extension_config_dump('webhook_internal.stat_minute', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_id_seq', '');
SELECT pg_extension_config_dump('webhook_internal.subscription_secret_id_seq', '');
SELECT pg_extension_config_dump('webhook_internal.event_id_seq', '');
