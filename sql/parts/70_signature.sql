/*
 * Signatures
 */

CREATE FUNCTION webhook.secret(subscription bigint) RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	newest		text;
BEGIN
	SELECT x.secret
		INTO newest
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > clock_timestamp())
		ORDER BY x.id DESC
		LIMIT 1;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(secret.subscription);
	END IF;
	RETURN newest;
END
$$;

CREATE FUNCTION webhook.rotate_secret(subscription bigint, overlap interval DEFAULT '24 hours')
	RETURNS text
	LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
	key			text := webhook_internal.checked_secret(NULL::text);
	ends_at		timestamptz;
	first_end	timestamptz;
	live		bigint;
BEGIN
	PERFORM webhook_internal.require_trusted_table('webhook_internal.subscription_secret'::regclass);
	IF rotate_secret.overlap IS NULL THEN
		RAISE EXCEPTION 'overlap must not be null'
			USING ERRCODE = 'null_value_not_allowed',
				HINT = 'Say how long calls are signed with the former secret, too; ''0'' to end it at once.';
	END IF;
	ends_at := clock_timestamp() + webhook_internal.checked_duration('overlap', rotate_secret.overlap,
		'0', '7 days', 'Within that time the receiver has to learn the new secret.');
	PERFORM FROM webhook_internal.subscription s WHERE s.id = rotate_secret.subscription FOR UPDATE;
	IF NOT FOUND THEN
		PERFORM webhook_internal.raise_unknown_subscription(rotate_secret.subscription);
	END IF;

	-- One that ends sooner does so still.
	UPDATE webhook_internal.subscription_secret x
		SET expires_at = ends_at
		WHERE x.subscription_id = rotate_secret.subscription
			AND (x.expires_at IS NULL OR x.expires_at > ends_at);
	DELETE FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription
			AND x.expires_at <= clock_timestamp();
	SELECT count(*), min(x.expires_at)
		INTO live, first_end
		FROM webhook_internal.subscription_secret x
		WHERE x.subscription_id = rotate_secret.subscription;
	IF live >= 3 THEN
		RAISE EXCEPTION 'subscription % has three live secrets already', rotate_secret.subscription
			USING ERRCODE = 'program_limit_exceeded',
				DETAIL = format('The first of them ends at %s.', first_end),
				HINT = 'Wait for that, or give a shorter overlap; ''0'' ends all former secrets at once.';
	END IF;

	INSERT INTO webhook_internal.subscription_secret (subscription_id, secret)
		VALUES (rotate_secret.subscription, key);
	PERFORM webhook_internal.command('c'::"char", NULL::bigint, NULL::text, NULL::uuid);
	RETURN key;
END
$$;

CREATE FUNCTION webhook.sign(secret text, id text, "timestamp" bigint, body text) RETURNS text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_sign';

CREATE FUNCTION webhook.verify(
	secret text,
	headers jsonb,
	body text,
	tolerance interval DEFAULT '5 min'
) RETURNS boolean
	LANGUAGE c PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'webhook_verify';

