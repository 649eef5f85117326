/*
 * Who calls, and what they may see
 *
 * A view shows what the current user may see. It is a barrier, so that no function or
 * operator of theirs gets to know another row. The two functions are called as (SELECT
 * ...), once a query: they are for the leader of a parallel query, and a plan that is
 * kept must not keep their answers.
 *
 * Where a query can do more than filter rows one by one, the log for instance, row-level
 * security has the same condition: see 80_views.sql.
 */

CREATE FUNCTION webhook_internal.caller() RETURNS name
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_name';
COMMENT ON FUNCTION webhook_internal.caller() IS 'role that called the function of schema webhook which runs with the rights of the owner; elsewhere the current user';

-- Nobody calls it: to have EXECUTE on it is the right.
CREATE FUNCTION webhook_internal.all_tenants() RETURNS void
	LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT
$$;
COMMENT ON FUNCTION webhook_internal.all_tenants() IS 'does nothing; a role that may execute it sees, and acts for, the platform and all tenants';

CREATE FUNCTION webhook_internal.sees_all() RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_sees_all_tenants';
COMMENT ON FUNCTION webhook_internal.sees_all() IS 'true if the current user sees the platform and all tenants';

CREATE FUNCTION webhook_internal.my_tenant() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_my_tenant';
COMMENT ON FUNCTION webhook_internal.my_tenant() IS 'tenant that the current user acts for; null: none, or all';

CREATE FUNCTION webhook_internal.caller_sees_all() RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_sees_all';
COMMENT ON FUNCTION webhook_internal.caller_sees_all() IS 'true if the role that called the function of schema webhook sees the platform and all tenants';

CREATE FUNCTION webhook_internal.caller_tenant() RETURNS text
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_caller_tenant';
COMMENT ON FUNCTION webhook_internal.caller_tenant() IS 'tenant that the role that called the function of schema webhook acts for; null: none, or all';

CREATE FUNCTION webhook_internal.acts_on(tenant text) RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_acts_on';
COMMENT ON FUNCTION webhook_internal.acts_on(text) IS 'true if the role that called the function of schema webhook may act for the tenant; null: the platform';

CREATE FUNCTION webhook_internal.is_own_type(event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_is_own_type';
COMMENT ON FUNCTION webhook_internal.is_own_type(text) IS 'true if events of the type, or of the pattern, are the extension''s own';

CREATE FUNCTION webhook_internal.matches(pattern text, event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches';
COMMENT ON FUNCTION webhook_internal.matches(text, text) IS 'true if the pattern includes the event type, or every event type of a second pattern; what begins with webhook. is in none';

CREATE FUNCTION webhook_internal.matches_any(patterns text[], event_type text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'webhook_matches_any';
COMMENT ON FUNCTION webhook_internal.matches_any(text[], text) IS 'true if one of the patterns includes the event type, or every event type of a pattern';
