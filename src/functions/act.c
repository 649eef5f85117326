/*
 * act.c
 *	  SQL functions for tokens of the portal.
 *
 * A token has 256 random bits and is given to whoever asked for it, once. What is kept of
 * it is its hash.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/acting.h"
#include "base/caller.h"
#include "base/compat.h"

#define TOKEN_BYTES		32
#define TOKEN_LENGTH	43		/* in base64url, without padding */

PG_FUNCTION_INFO_V1(webhook_random_token);
PG_FUNCTION_INFO_V1(webhook_act_by);
PG_FUNCTION_INFO_V1(webhook_acts_by_token);
PG_FUNCTION_INFO_V1(webhook_may_write);

/* random_token(): 256 random bits in base64url */
Datum
webhook_random_token(PG_FUNCTION_ARGS)
{
	uint8		bytes[TOKEN_BYTES];
	char		text[TOKEN_LENGTH + 2];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	if (compat_b64_encode(bytes, sizeof(bytes), text, sizeof(text)) < 0)
		elog(ERROR, "could not encode a token");
	text[TOKEN_LENGTH] = '\0';
	for (char *at = text; *at != '\0'; at++)
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
	PG_RETURN_TEXT_P(cstring_to_text(text));
}

/* act_by(hash bytea): from now on the caller acts by the token of this hash */
Datum
webhook_act_by(PG_FUNCTION_ARGS)
{
	bytea	   *hash = PG_GETARG_BYTEA_PP(0);

	if (VARSIZE_ANY_EXHDR(hash) != WEBHOOK_TOKEN_HASH_BYTES)
		elog(ERROR, "hash has %zu bytes", (size_t) VARSIZE_ANY_EXHDR(hash));
	webhook_act(webhook_caller(), (const uint8 *) VARDATA_ANY(hash));
	PG_RETURN_VOID();
}

/* acts_by_token(): true if this session has a token, whatever became of it */
Datum
webhook_acts_by_token(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(webhook_acting());
}

/* may_write(): false if the current user acts by a token that only reads */
Datum
webhook_may_write(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!webhook_acting_only_reads(GetUserId()));
}
