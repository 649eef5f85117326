/*
 * Privileges: nothing to anybody but the owner.
 */

REVOKE ALL ON SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook, webhook_internal FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook, webhook_internal FROM PUBLIC;

-- Default privileges were given with other schemas in mind.
DO $$
DECLARE
	grantee		regrole;
BEGIN
	FOR grantee IN
		SELECT a.grantee
			FROM pg_namespace n,
				LATERAL (
					SELECT n.nspacl AS acl, n.nspowner AS owner
					UNION ALL
					SELECT c.relacl, c.relowner FROM pg_class c WHERE c.relnamespace = n.oid
					UNION ALL
					SELECT p.proacl, p.proowner FROM pg_proc p WHERE p.pronamespace = n.oid
				) o,
				aclexplode(o.acl) a
			WHERE n.nspname IN ('webhook', 'webhook_internal') AND a.grantee <> o.owner
			GROUP BY a.grantee
	LOOP
		PERFORM webhook.revoke(grantee);
	END LOOP;
END
$$;

