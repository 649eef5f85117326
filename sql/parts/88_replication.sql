/*
 * Logical replication: what another server's rows do here
 *
 * A publication FOR ALL TABLES has our tables, too. Its rows say what the other
 * server has to send, and to whom. None of it is done here: a trigger drops the
 * rows, in every table.
 */

CREATE FUNCTION webhook_internal.drop_replicated() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_drop_replicated';
COMMENT ON FUNCTION webhook_internal.drop_replicated() IS 'trigger function: keeps replicated rows out of a table; with an argument only those that a background process brings, so that people may write with session_replication_role = replica';

DO $$
DECLARE
	relation	regclass;
	name		text;
BEGIN
	FOR relation, name IN
		SELECT c.oid, c.relname
			FROM pg_class c
			WHERE c.relnamespace IN ('webhook'::regnamespace, 'webhook_internal'::regnamespace)
				AND c.relkind IN ('r', 'p')
			ORDER BY c.relname COLLATE "C"
	LOOP
		EXECUTE format($_$
			CREATE TRIGGER drop_replicated
				BEFORE INSERT OR UPDATE OR DELETE ON %1$s
				FOR EACH ROW EXECUTE FUNCTION webhook_internal.drop_replicated(%2$s);
			ALTER TABLE %1$s ENABLE REPLICA TRIGGER drop_replicated;
			COMMENT ON TRIGGER drop_replicated ON %1$s IS 'rows of another server mean nothing here';
		$_$, relation, CASE WHEN name !~ '^event_[0-9]$' THEN '''background''' END);
	END LOOP;
END
$$;
