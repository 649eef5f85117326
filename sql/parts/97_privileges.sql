/*
 * Privileges: nothing to anybody but the owner.
 */

REVOKE ALL ON SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA webhook FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA webhook FROM PUBLIC;

-- Default privileges were given with other schemas in mind.
DO $$
DECLARE
	grantee		regrole;
BEGIN
	FOR grantee IN
		SELECT a.grantee
			FROM (SELECT n.nspacl AS acl, n.nspowner AS owner
					FROM pg_namespace n WHERE n.nspname = 'webhook'
				UNION ALL
				SELECT c.relacl, c.relowner
					FROM pg_class c WHERE c.relnamespace = 'webhook'::regnamespace
				UNION ALL
				SELECT p.proacl, p.proowner
					FROM pg_proc p WHERE p.pronamespace = 'webhook'::regnamespace) o,
				aclexplode(o.acl) a
			WHERE a.grantee <> o.owner
			GROUP BY a.grantee
	LOOP
		PERFORM webhook.revoke(grantee);
	END LOOP;
END
$$;

