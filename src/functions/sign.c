/*
 * sign.c
 *	  SQL functions for secrets and signatures.
 *
 * sign() and verify() are for a receiver that is a PostgreSQL database itself,
 * and for checking a row of the log. They use the code that signs requests, over
 * the UTF-8 form of the texts, whatever the encoding of the database. No message
 * contains a secret.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "base/refusal.h"
#include "message/message.h"
#include "subscription/subscription.h"

/* The headers of Standard Webhooks that verify() reads; NULL: a header is missing. */
typedef struct SignatureHeaders
{
	char	   *id;				/* webhook-id, in UTF-8 */
	char	   *timestamp;		/* webhook-timestamp */
	char	   *signature;		/* webhook-signature */
} SignatureHeaders;

static void tell_missing(FmgrInfo *call);
static int	required_key(const char *secret, uint8 *key);
static char *utf8_form(text *value, size_t *length);
static SignatureHeaders find_headers(Jsonb *headers);
static bool parse_timestamp(const char *text, int64 *seconds);
static bool within_tolerance(int64 seconds, Interval *tolerance);
static bool any_entry_equals(const char *entries, const char *expected);

PG_FUNCTION_INFO_V1(webhook_checked_secret);
PG_FUNCTION_INFO_V1(webhook_sign);
PG_FUNCTION_INFO_V1(webhook_verify);

/* checked_secret(secret text): its argument, or a new secret for NULL; an error if it is invalid */
Datum
webhook_checked_secret(PG_FUNCTION_ARGS)
{
	uint8		key[WEBHOOK_MAX_KEY];

	if (PG_ARGISNULL(0))
		PG_RETURN_TEXT_P(cstring_to_text(webhook_secret_generate()));

	(void) required_key(text_to_cstring(PG_GETARG_TEXT_PP(0)), key);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* sign(secret text, id text, unix_time bigint, body text): the signature, "v1,<base64>" */
Datum
webhook_sign(PG_FUNCTION_ARGS)
{
	char	   *secret = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *id = utf8_form(PG_GETARG_TEXT_PP(1), NULL);
	int64		seconds = PG_GETARG_INT64(2);
	uint8		key[WEBHOOK_MAX_KEY];
	int			key_length = required_key(secret, key);
	size_t		length;
	char	   *body = utf8_form(PG_GETARG_TEXT_PP(3), &length);

	/* A full stop separates the parts of the signed text. */
	if (strchr(id, '.') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("id"),
				 errmsg("id \"%s\" cannot be signed",
						webhook_clip(text_to_cstring(PG_GETARG_TEXT_PP(1)))),
				 errdetail("It contains a full stop."),
				 errhint("Give the value of the header webhook-id, the event's Id.")));

	PG_RETURN_TEXT_P(cstring_to_text(webhook_message_sign(key, key_length, id,
														  seconds, body,
														  length)));
}

/*
 * verify(secret text, headers jsonb, body text, tolerance interval): true if one
 * of the signatures in the headers is right, and the timestamp differs from now
 * by no more than the tolerance
 */
Datum
webhook_verify(PG_FUNCTION_ARGS)
{
	SignatureHeaders headers;
	uint8		key[WEBHOOK_MAX_KEY];
	int			key_length;
	char	   *body;
	size_t		length;
	int64		seconds;

	if (!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && PG_ARGISNULL(2))
		tell_missing(fcinfo->flinfo);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();

	key_length = required_key(text_to_cstring(PG_GETARG_TEXT_PP(0)), key);
	headers = find_headers(PG_GETARG_JSONB_P(1));
	body = utf8_form(PG_GETARG_TEXT_PP(2), &length);

	if (headers.id == NULL || strchr(headers.id, '.') != NULL ||
		headers.signature == NULL ||
		headers.timestamp == NULL ||
		!parse_timestamp(headers.timestamp, &seconds))
		PG_RETURN_BOOL(false);
	if (!PG_ARGISNULL(3) && !within_tolerance(seconds, PG_GETARG_INTERVAL_P(3)))
		PG_RETURN_BOOL(false);

	PG_RETURN_BOOL(any_entry_equals(headers.signature,
									webhook_message_sign(key, key_length,
														 headers.id, seconds,
														 body, length)));
}

/* Once a query: it may be about all rows of the log. */
static void
tell_missing(FmgrInfo *call)
{
	if (call->fn_extra != NULL)
		return;
	call->fn_extra = MemoryContextAllocZero(call->fn_mcxt, 1);
	ereport(NOTICE,
			(errmsg("there is no body to verify"),
			 errdetail("Of a row of the log, log_bodies or webhook.erase() has left it out, or no request was made.")));
}

/*
 * Decode the key of a secret, at most WEBHOOK_MAX_KEY bytes; returns its length.
 * An error if it is invalid.
 */
static int
required_key(const char *secret, uint8 *key)
{
	int			length = webhook_secret_decode(secret, key);

	if (length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("secret"),
				 errmsg("secret is not of the form \"%s<base64>\" or \"%s<text>\"",
						WEBHOOK_SECRET_PREFIX, WEBHOOK_ABP_SECRET_PREFIX),
				 errdetail("The base64 text must hold %d to %d bytes; a secret that begins with \"%s\" must have as many visible ASCII characters.",
						   WEBHOOK_MIN_KEY, WEBHOOK_MAX_KEY, WEBHOOK_ABP_SECRET_PREFIX),
				 errhint("To have a secret generated, omit it in webhook.subscribe(); webhook.secret() shows it.")));
	return length;
}

/* The text in UTF-8, terminated. Sets *length to its length unless "length" is NULL. */
static char *
utf8_form(text *value, size_t *length)
{
	char	   *here = text_to_cstring(value);
	char	   *converted = pg_server_to_any(here, (int) strlen(here), PG_UTF8);

	if (length != NULL)
		*length = strlen(converted);
	return converted;
}

/*
 * Find the headers by name, in upper or lower case. A value that is not a string
 * counts as missing.
 */
static SignatureHeaders
find_headers(Jsonb *headers)
{
	SignatureHeaders found = {NULL, NULL, NULL};
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	char	   *name = NULL;

	if (!JB_ROOT_IS_OBJECT(headers))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("headers"),
				 errmsg("headers must be a JSON object"),
				 errhint("Give the headers of the request as an object of name to value, like column request_headers of webhook.log.")));

	iterator = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvString)
		{
			char	   *content = pnstrdup(value.val.string.val,
										   value.val.string.len);

			if (pg_strcasecmp(name, "webhook-id") == 0)
				found.id = pg_server_to_any(content, (int) strlen(content),
											PG_UTF8);
			else if (pg_strcasecmp(name, "webhook-timestamp") == 0)
				found.timestamp = content;
			else if (pg_strcasecmp(name, "webhook-signature") == 0)
				found.signature = content;
		}
	}
	return found;
}

/* Parse Unix seconds in decimal digits; false: the text is something else. */
static bool
parse_timestamp(const char *text, int64 *seconds)
{
	size_t		length = strlen(text);

	/* A number of 18 digits always fits. */
	if (length == 0 || length > 18 || strspn(text, "0123456789") != length)
		return false;
	*seconds = (int64) strtoll(text, NULL, 10);
	return true;
}

/* Returns true if that time, in Unix seconds, is at most "tolerance" before or after now. */
static bool
within_tolerance(int64 seconds, Interval *tolerance)
{
	static const Interval shortest = {0};
	static const Interval longest = {.month = 1200};
	TimestampTz now = GetCurrentTimestamp();
	Datum		earliest;
	Datum		latest;

	if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(tolerance),
										 IntervalPGetDatum(&shortest))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(tolerance),
										 IntervalPGetDatum(&longest))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("tolerance"),
				 errmsg("tolerance must not be negative or longer than a century"),
				 errhint("Give NULL to accept a request of any age.")));

	earliest = DirectFunctionCall2(timestamptz_mi_interval,
								   TimestampTzGetDatum(now),
								   IntervalPGetDatum(tolerance));
	latest = DirectFunctionCall2(timestamptz_pl_interval,
								 TimestampTzGetDatum(now),
								 IntervalPGetDatum(tolerance));
	return seconds >= timestamptz_to_time_t(DatumGetTimestampTz(earliest)) &&
		seconds <= timestamptz_to_time_t(DatumGetTimestampTz(latest));
}

/*
 * Returns true if one of the entries, which blanks separate, is the expected one.
 * The time that this takes does not reveal how much of an entry is right.
 */
static bool
any_entry_equals(const char *entries, const char *expected)
{
	const size_t length = strlen(expected);
	bool		equal = false;

	while (*entries != '\0')
	{
		size_t		size = strcspn(entries, " ");

		if (size == length)
		{
			uint8		difference = 0;

			for (size_t i = 0; i < length; i++)
				difference |= (uint8) entries[i] ^ (uint8) expected[i];
			equal |= difference == 0;
		}
		entries += size;
		entries += strspn(entries, " ");
	}
	return equal;
}
