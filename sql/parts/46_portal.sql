/*
 * Tokens: people of a tenant without an account of the database
 *
 * A program that knows its people asks for a token and gives it to one of them. The portal
 * exchanges it once: its session acts for the tenant from then on. Roles that may do that
 * have no tenant of their own, see webhook.grant_portal(), and without a token they see
 * nothing. The token itself is kept nowhere. A dump has no tokens: in a copy of the
 * database they open nothing.
 */

CREATE FUNCTION webhook_internal.random_token() RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_random_token';
COMMENT ON FUNCTION webhook_internal.random_token() IS '256 random bits in base64url';

CREATE FUNCTION webhook_internal.act_by(hash bytea) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'webhook_act_by';
COMMENT ON FUNCTION webhook_internal.act_by(bytea) IS 'let the caller act, in this session, by the token that has this hash';

CREATE FUNCTION webhook_internal.acts_by_token() RETURNS boolean
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'webhook_acts_by_token';
COMMENT ON FUNCTION webhook_internal.acts_by_token() IS 'true if this session has a token, whatever became of it';

CREATE FUNCTION webhook.may_write() RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'webhook_may_write';
COMMENT ON FUNCTION webhook.may_write() IS 'false if the current user acts by a token that only reads';

CREATE FUNCTION webhook_internal.require_all_tenants() RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'permission denied to make or revoke tokens'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only administrators of the platform may.';
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.require_all_tenants() IS 'raise an error unless the caller sees the platform and all tenants';

CREATE FUNCTION webhook.portal_token(
	tenant text,
	valid interval DEFAULT '15 min',
	may_write boolean DEFAULT true
) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.portal_token(text, interval, boolean) IS 'a new token, which webhook.act_as() takes once, until it expires; whoever has it sees and does what the tenant may, or only sees it';

CREATE FUNCTION webhook_internal.portal_token(tenant text, valid interval, may_write boolean)
	RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	token		text := webhook_internal.random_token();
	made_at		timestamptz := clock_timestamp();
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_all_tenants();
	PERFORM webhook_internal.check_tenant_name(portal_token.tenant);
	PERFORM webhook_internal.require_tenant(portal_token.tenant);
	PERFORM webhook_internal.require_not_null('valid', portal_token.valid IS NULL,
		'Omit it for 15 minutes.');
	IF portal_token.valid NOT BETWEEN '1 s' AND '1 day' THEN
		RAISE EXCEPTION 'valid must be between 1 second and 1 day, not %', portal_token.valid
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'valid',
				HINT = 'Give the time within which the token is exchanged, or omit it for 15 minutes.';
	END IF;
	PERFORM webhook_internal.require_not_null('may_write', portal_token.may_write IS NULL,
		'Give false for a token that only reads.');

	-- Another caller may be deleting the same rows.
	DELETE FROM webhook_internal.portal_token
		WHERE hash IN (
			SELECT hash
				FROM webhook_internal.portal_token
				WHERE coalesce(session_until, expires_at) < made_at - interval '1 day'
				FOR UPDATE SKIP LOCKED);
	INSERT INTO webhook_internal.portal_token (hash, tenant, may_write, created_at, created_by,
			expires_at)
		VALUES (sha256(convert_to(token, 'UTF8')), portal_token.tenant, portal_token.may_write,
			made_at, webhook_internal.caller(), made_at + portal_token.valid);
	PERFORM webhook_internal.audit_of('portal_token'::text, NULL::bigint, NULL::uuid,
		jsonb_build_object('tenant', portal_token.tenant, 'may_write', portal_token.may_write,
			'expires_at', made_at + portal_token.valid), portal_token.tenant);
	RETURN token;
END
$$;
COMMENT ON FUNCTION webhook_internal.portal_token(text, interval, boolean) IS 'what webhook.portal_token() does, with the rights of the owner';

CREATE FUNCTION webhook.act_as(token text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.act_as(text) IS 'let the current role act for the tenant of the token, in this session, for 12 hours at most; RESET ALL and DISCARD ALL end it';

CREATE FUNCTION webhook_internal.act_as(token text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	token_hash	bytea := sha256(convert_to(act_as.token, 'UTF8'));
	opened_at	timestamptz := clock_timestamp();
	t			webhook_internal.portal_token;
	problem		text;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_not_null('token', act_as.token IS NULL,
		'Give the result of webhook.portal_token().');
	IF act_as.token !~ '^[-A-Za-z0-9_]{43}$' THEN
		RAISE EXCEPTION 'the token is malformed'
			USING ERRCODE = 'invalid_parameter_value',
				COLUMN = 'token',
				HINT = 'Give the result of webhook.portal_token(), all of it.';
	END IF;
	IF webhook_internal.caller_sees_all() THEN
		RAISE EXCEPTION 'role "%" sees all tenants and cannot act for one', webhook_internal.caller()
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Call it as a role of webhook.grant_portal().';
	END IF;
	IF webhook_internal.acts_by_token() THEN
		RAISE EXCEPTION 'this session acts for a tenant already'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Use another session, or RESET ALL or DISCARD ALL before.';
	END IF;

	UPDATE webhook_internal.portal_token p
		SET exchanged_at = opened_at,
			role = (SELECT r.oid FROM pg_roles r WHERE r.rolname = webhook_internal.caller()),
			session_until = opened_at + interval '12 hours'
		WHERE p.hash = token_hash AND p.exchanged_at IS NULL AND p.revoked_at IS NULL
			AND p.expires_at > clock_timestamp()
		RETURNING p.* INTO t;
	IF NOT FOUND THEN
		SELECT CASE WHEN p.revoked_at IS NOT NULL THEN 'the token was revoked'
					WHEN p.exchanged_at IS NOT NULL THEN 'the token was used already'
					ELSE 'the token has expired' END
			INTO problem
			FROM webhook_internal.portal_token p
			WHERE p.hash = token_hash;
		RAISE EXCEPTION '%', coalesce(problem, 'the token is unknown')
			USING ERRCODE = 'invalid_authorization_specification',
				COLUMN = 'token',
				HINT = 'Get a new one with webhook.portal_token().';
	END IF;
	PERFORM webhook_internal.act_by(token_hash);
	PERFORM webhook_internal.audit_of('act_as'::text, NULL::bigint, NULL::uuid,
		jsonb_build_object('tenant', t.tenant, 'may_write', t.may_write,
			'created_at', t.created_at, 'created_by', t.created_by), t.tenant);
END
$$;
COMMENT ON FUNCTION webhook_internal.act_as(text) IS 'what webhook.act_as() does, with the rights of the owner';

CREATE FUNCTION webhook.revoke_portal_tokens(tenant text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.revoke_portal_tokens(text) IS 'end all tokens of a tenant, and all sessions that were opened with one: their next statement fails';

CREATE FUNCTION webhook_internal.revoke_portal_tokens(tenant text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ended		record;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.portal_token'::regclass);
	PERFORM webhook_internal.require_all_tenants();
	PERFORM webhook_internal.check_tenant_name(revoke_portal_tokens.tenant);
	PERFORM webhook_internal.require_tenant(revoke_portal_tokens.tenant);
	WITH revoked AS (
		UPDATE webhook_internal.portal_token p
			SET revoked_at = clock_timestamp()
			WHERE p.tenant = revoke_portal_tokens.tenant AND p.revoked_at IS NULL
				AND coalesce(p.session_until, p.expires_at) > clock_timestamp()
			RETURNING p.session_until
	)
	SELECT count(*) FILTER (WHERE r.session_until IS NULL) AS tokens,
			count(r.session_until) AS sessions
		INTO ended
		FROM revoked r;
	IF ended.tokens + ended.sessions > 0 THEN
		PERFORM webhook_internal.audit_of('revoke_portal_tokens'::text, NULL::bigint, NULL::uuid,
			jsonb_build_object('tenant', revoke_portal_tokens.tenant, 'tokens', ended.tokens,
				'sessions', ended.sessions), revoke_portal_tokens.tenant);
	END IF;
END
$$;
COMMENT ON FUNCTION webhook_internal.revoke_portal_tokens(text) IS 'what webhook.revoke_portal_tokens() does, with the rights of the owner';
