/*
 * Dumps: what people have configured, what still waits, and the numbers that
 * both go by. The ring and the checkpoint belong to this database alone; the
 * log's leaves are dumped as the ordinary tables that they are.
 */

SELECT pg_catalog.pg_extension_config_dump('webhook_internal.event_type', $$WHERE name <> 'App.BusinessRequestStatusChange'$$);
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_secret', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_state', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.pending', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.subscription_secret_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('webhook_internal.event_id_seq', '');
