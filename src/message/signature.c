/*
 * signature.c
 *	  Signatures of requests: HMAC-SHA256 in the two formats that receivers
 *	  verify.
 *
 * PostgreSQL frees an HMAC context with the resource owner that was current when
 * it was created. Messages are built between transactions, where there is none,
 * so the context gets an owner of its own that is never released. It serves all
 * signatures of the process, and holds the key of the last one.
 */
#include "postgres.h"

#include "common/hmac.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "message/message.h"
#include "message/signature_internal.h"

static struct
{
	pg_hmac_ctx *context;		/* NULL before the first signature */
}			hmac;

static void compute_hmac(uint8 *digest, const uint8 *key, size_t key_length,
						 const char *first, size_t first_length,
						 const char *second, size_t second_length);

char *
webhook_message_sign(const uint8 *key, int key_length,
					 const char *id, int64 timestamp,
					 const char *body, size_t body_length)
{
	const int	size = pg_b64_enc_len(PG_SHA256_DIGEST_LENGTH);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	int			length = strlen(id);
	char	   *signed_head = palloc(length + MAXINT8LEN + 2);
	char	   *entry = palloc(3 + size + 1);

	memcpy(signed_head, id, length);
	signed_head[length++] = '.';
	length += pg_lltoa(timestamp, signed_head + length);
	signed_head[length++] = '.';
	compute_hmac(digest, key, key_length, signed_head, length,
				 body, body_length);
	pfree(signed_head);

	memcpy(entry, "v1,", 3);
	length = compat_b64_encode(digest, sizeof(digest), entry + 3, size);
	if (length < 0)
		elog(ERROR, "could not encode a signature");
	entry[3 + length] = '\0';
	return entry;
}

char *
webhook_message_sign_abp(const char *secret, const char *body,
						 size_t body_length)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *key = pg_server_to_any(secret, strlen(secret), PG_UTF8);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *value = palloc(7 + 3 * PG_SHA256_DIGEST_LENGTH);
	char	   *out = value;
	int			i;

	compute_hmac(digest, (const uint8 *) key, strlen(key), NULL, 0,
				 body, body_length);

	memcpy(out, "sha256=", 7);
	out += 7;
	for (i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		*out++ = digits[digest[i] >> 4];
		*out++ = digits[digest[i] & 0x0f];
		*out++ = '-';
	}
	out[-1] = '\0';
	return value;
}

/*
 * Compute the HMAC-SHA256 of two texts, one after the other; the first one may
 * be empty.
 */
static void
compute_hmac(uint8 *digest, const uint8 *key, size_t key_length,
			 const char *first, size_t first_length,
			 const char *second, size_t second_length)
{
	if (hmac.context == NULL)
	{
		ResourceOwner saved = CurrentResourceOwner;

		CurrentResourceOwner = ResourceOwnerCreate(NULL, "webhook signature");
		hmac.context = pg_hmac_create(PG_SHA256);
		CurrentResourceOwner = saved;
	}

	if (pg_hmac_init(hmac.context, key, key_length) < 0 ||
		(first_length > 0 &&
		 pg_hmac_update(hmac.context, (const uint8 *) first, first_length) < 0) ||
		pg_hmac_update(hmac.context, (const uint8 *) second, second_length) < 0 ||
		pg_hmac_final(hmac.context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute HMAC-SHA256: %s",
			 pg_hmac_error(hmac.context));
}
