/*
 * secret.c
 *	  Signing secrets: "whsec_" and the base64 of a key, or "whs_" and a text.
 *
 * The first format is that of Standard Webhooks 1.0.0 ("Secret serialization"), so
 * that libraries of receivers accept the text as it is. The second is that of
 * ASP.NET Boilerplate, whose receivers use the whole text as the key.
 */
#include "postgres.h"

#include "base/compat.h"
#include "subscription/subscription.h"

#define NEW_KEY 32				/* bytes of a generated key, as many as HMAC-SHA256 yields */

static int	copy_text(const char *secret, uint8 *key);

int
webhook_secret_decode(const char *secret, uint8 *key)
{
	const size_t prefix = strlen(WEBHOOK_SECRET_PREFIX);
	int			length;

	if (webhook_secret_is_abp(secret))
		return copy_text(secret, key);
	if (strncmp(secret, WEBHOOK_SECRET_PREFIX, prefix) != 0)
		return -1;
	secret += prefix;

	/* In base64, three bytes are four characters; the last group is padded. */
	if (strlen(secret) > (WEBHOOK_MAX_KEY + 2) / 3 * 4)
		return -1;
	length = compat_b64_decode(secret, (int) strlen(secret), key,
							   WEBHOOK_MAX_KEY);
	return length >= WEBHOOK_MIN_KEY ? length : -1;
}

bool
webhook_secret_is_abp(const char *secret)
{
	return strncmp(secret, WEBHOOK_ABP_SECRET_PREFIX, strlen(WEBHOOK_ABP_SECRET_PREFIX)) == 0;
}

char *
webhook_secret_generate(void)
{
	const int	prefix = strlen(WEBHOOK_SECRET_PREFIX);
	const int	size = pg_b64_enc_len(NEW_KEY);
	uint8		key[NEW_KEY];
	char	   *secret;
	int			length;

	if (!pg_strong_random(key, sizeof(key)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random secret")));

	secret = palloc(prefix + size + 1);
	memcpy(secret, WEBHOOK_SECRET_PREFIX, prefix);
	length = compat_b64_encode(key, sizeof(key), secret + prefix, size);
	if (length < 0)
		elog(ERROR, "could not encode a secret");
	secret[prefix + length] = '\0';
	explicit_bzero(key, sizeof(key));
	return secret;
}

/* The text itself as a key. It is visible ASCII, so it is the same in each encoding. */
static int
copy_text(const char *secret, uint8 *key)
{
	size_t		length = strlen(secret);

	if (length < WEBHOOK_MIN_KEY || length > WEBHOOK_MAX_KEY)
		return -1;
	for (size_t i = 0; i < length; i++)
	{
		if (secret[i] <= ' ' || secret[i] > '~')
			return -1;
	}
	memcpy(key, secret, length);
	return (int) length;
}
