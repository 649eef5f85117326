/*
 * Signatures and secrets
 */

CREATE FUNCTION webhook.secret(subscription bigint) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.secret(bigint) IS 'the secret that the requests of a subscription are signed with, the newest if there are several';

CREATE FUNCTION webhook_internal.secret(subscription bigint) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	newest		text;
BEGIN
	PERFORM webhook_internal.require_subscription(secret.subscription);
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'subscription % has no secret', secret.subscription
			USING ERRCODE = 'object_not_in_prerequisite_state',
				COLUMN = 'subscription',
				DETAIL = 'It sends nothing until it has one.',
				HINT = format('Call webhook.rotate_secret(%s).', secret.subscription);
	END IF;
	-- It is known from here on, even if the row of the audit is rolled back.
	RAISE LOG 'the secret of webhook subscription % is shown to role "%"', secret.subscription,
		webhook_internal.caller();
	PERFORM webhook_internal.audit('secret'::text, secret.subscription, NULL::uuid, NULL::jsonb);
	RETURN newest;
END
$$;
COMMENT ON FUNCTION webhook_internal.secret(bigint) IS 'what webhook.secret() does, with the rights of the owner';

CREATE FUNCTION webhook.rotate_secret(subscription bigint, overlap interval DEFAULT '24 hours')
	RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'webhook_door';
COMMENT ON FUNCTION webhook.rotate_secret(bigint, interval) IS 'give a subscription a new secret, which is returned; during the overlap requests are signed with the former secrets, too';

CREATE FUNCTION webhook_internal.rotate_secret(subscription bigint, overlap interval)
	RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan SET intervalstyle = postgres
AS $$
#variable_conflict use_column
DECLARE
	key			text := webhook_internal.checked_secret(NULL::text);
	ends_at		timestamptz;
	first_end	timestamptz;
	active		bigint;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	PERFORM webhook_internal.require_not_null('overlap', rotate_secret.overlap IS NULL,
		'Give the time during which former secrets sign, too; ''0'' ends them at once.');
	ends_at := clock_timestamp() + webhook_internal.checked_duration('overlap', rotate_secret.overlap,
		'0', '7 days', 'Choose the time that the receiver needs to take over the new secret.');
	PERFORM webhook_internal.require_subscription(rotate_secret.subscription);
	PERFORM FROM webhook_internal.subscription s WHERE s.id = rotate_secret.subscription FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(rotate_secret.subscription);
	END IF;

	-- A secret that ends earlier keeps its end.
	UPDATE webhook_internal.subscription_secret x
		SET expires_at = ends_at
		WHERE x.subscription_id = rotate_secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > ends_at);
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription
			AND x.expires_at <= clock_timestamp();
	SELECT count(*), min(x.expires_at)
		INTO active, first_end
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription;
	IF active >= 3 THEN
		RAISE EXCEPTION 'subscription % already has three active secrets', rotate_secret.subscription
			USING ERRCODE = 'program_limit_exceeded',
				COLUMN = 'overlap',
				DETAIL = format('The first of them ends at %s.', first_end),
				HINT = 'Wait until then, or give a shorter overlap; ''0'' ends all former secrets at once.';
	END IF;

	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (rotate_secret.subscription, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	PERFORM webhook_internal.tell(rotate_secret.subscription, true);
	PERFORM webhook_internal.audit('rotate_secret'::text, rotate_secret.subscription,
		NULL::uuid, jsonb_build_object('overlap', rotate_secret.overlap));
	RETURN key;
END
$$;
COMMENT ON FUNCTION webhook_internal.rotate_secret(bigint, interval) IS 'what webhook.rotate_secret() does, with the rights of the owner';

CREATE FUNCTION webhook.sign(secret text, id text, unix_time bigint, body text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_sign';
COMMENT ON FUNCTION webhook.sign(text, text, bigint, text) IS 'the signature of a request, as in header webhook-signature';

CREATE FUNCTION webhook.verify(
	secret text,
	headers jsonb,
	body text,
	tolerance interval DEFAULT '5 min'
) RETURNS boolean
	LANGUAGE c PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_verify';
COMMENT ON FUNCTION webhook.verify(text, jsonb, text, interval) IS 'true if a request is signed with the secret and is not older than the tolerance; null: any age';
