/*
 * message.c
 *	  The words of one attempt: body, headers, signature.
 *
 * The body is put together in the database's encoding and converted as a
 * whole, once an attempt: the bytes signed are the bytes sent. The data of the
 * event goes in as the text it was published with; nothing is parsed again.
 *
 * The HMAC context is made once a process and used again and again, since
 * making one costs as much as signing. PostgreSQL ties such a context to a
 * resource owner, of which there is none between transactions, where messages
 * are made; so it has an owner of its own that is never released. No key
 * outlives the next signature in it.
 */
#include "postgres.h"

#include "common/hmac.h"
#include "common/sha2.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "message/message.h"

/* Headers before the subscription's own, at most. */
#define MAX_HEADERS 8

#define ID_LENGTH 36
#define MAX_INSTANT 32

static void build_body(WebhookMessage *message, const WebhookEvent *event,
					   WebhookPayloadFormat format, const char *id, int attempt);
static void append_instant(StringInfo out, TimestampTz instant);
static const WebhookSecret *newest_secret(const WebhookSubscription *subscription,
										  TimestampTz now);
static char *sign_all(const WebhookSubscription *subscription, const char *id,
					  int64 timestamp, TimestampTz now,
					  const WebhookMessage *message);
static char *percent_encode(const char *text);
static char *uuid_text(const pg_uuid_t *id);
static char *number_text(int64 number);
static void add_header(WebhookMessage *message, const char *name,
					   const char *value);
static void compute_hmac(uint8 *digest, const uint8 *key, size_t key_length,
						 const char *first, size_t first_length,
						 const char *second, size_t second_length);

void
webhook_message_build(WebhookMessage *message, const WebhookEvent *event,
					  const WebhookSubscription *subscription,
					  int attempt, TimestampTz now)
{
	const char *id = uuid_text(&event->event_id);
	int64		timestamp = (now +
							 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
							 USECS_PER_DAY) / USECS_PER_SEC;
	const WebhookSecret *newest = newest_secret(subscription, now);
	int			i;

	if (newest == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription %lld has no secret to sign with",
						(long long) subscription->id),
				 errhint("Call webhook.rotate_secret() to give it one.")));

	build_body(message, event, subscription->payload_format, id, attempt);

	message->nheaders = 0;
	message->headers = palloc((MAX_HEADERS + subscription->nheaders) *
							  sizeof(WebhookHttpHeader));
	add_header(message, "Content-Type", "application/json; charset=utf-8");
	add_header(message, "User-Agent", webhook_user_agent);
	add_header(message, "webhook-id", id);
	add_header(message, "webhook-timestamp",
			   number_text(timestamp));
	add_header(message, "webhook-signature",
			   sign_all(subscription, id, timestamp, now, message));
	if (subscription->sign_abp)
		add_header(message, "abp-webhook-signature",
				   webhook_message_sign_abp(newest->text,
											message->body,
											message->body_length));
	add_header(message, "webhook-event", percent_encode(event->event_type));
	add_header(message, "webhook-attempt", number_text(attempt));

	for (i = 0; i < subscription->nheaders; i++)
	{
		const char *value = subscription->headers[i].value;

		add_header(message, subscription->headers[i].name,
				   pg_server_to_any(value, strlen(value), PG_UTF8));
	}
}

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
	char	   *place = value;
	int			i;

	compute_hmac(digest, (const uint8 *) key, strlen(key), NULL, 0,
				 body, body_length);

	memcpy(place, "sha256=", 7);
	place += 7;
	for (i = 0; i < PG_SHA256_DIGEST_LENGTH; i++)
	{
		*place++ = digits[digest[i] >> 4];
		*place++ = digits[digest[i] & 0x0f];
		*place++ = '-';
	}
	place[-1] = '\0';
	return value;
}

/*
 * The event's data, as they are or in an envelope.
 */
static void
build_body(WebhookMessage *message, const WebhookEvent *event,
		   WebhookPayloadFormat format, const char *id, int attempt)
{
	StringInfoData body;
	char		number[MAXINT8LEN + 1];
	char	   *converted;

	initStringInfo(&body);
	enlargeStringInfo(&body, strlen(event->data) + 256);

	switch (format)
	{
		case WEBHOOK_ENVELOPE:
			appendStringInfoString(&body, "{\"Id\":\"");
			appendBinaryStringInfo(&body, id, ID_LENGTH);
			appendStringInfoString(&body, "\",\"WebhookEvent\":");
			escape_json(&body, event->event_type);
			appendStringInfoString(&body, ",\"Attempt\":");
			pg_ltoa(attempt, number);
			appendStringInfoString(&body, number);
			appendStringInfoString(&body, ",\"Data\":");
			appendStringInfoString(&body, event->data);
			appendStringInfoString(&body, ",\"CreationTimeUtc\":\"");
			append_instant(&body, event->created_at);
			appendStringInfoString(&body, "\"}");
			break;
		case WEBHOOK_RAW:
			appendStringInfoString(&body, event->data);
			break;
		case WEBHOOK_STANDARD:
			appendStringInfoString(&body, "{\"type\":");
			escape_json(&body, event->event_type);
			appendStringInfoString(&body, ",\"timestamp\":\"");
			append_instant(&body, event->created_at);
			appendStringInfoString(&body, "\",\"data\":");
			appendStringInfoString(&body, event->data);
			appendStringInfoChar(&body, '}');
			break;
	}

	converted = pg_server_to_any(body.data, body.len, PG_UTF8);
	message->body = converted;
	message->body_length = strlen(converted);
}

/*
 * An instant in UTC as 2026-11-24T09:30:00.123456Z.
 */
static void
append_instant(StringInfo out, TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t		fraction;
	char	   *place;

	/* Without a time zone, the fields are those of UTC. */
	if (timestamp2tm(instant, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "timestamp of an event is out of range");

	enlargeStringInfo(out, MAX_INSTANT);
	place = out->data + out->len;
	place = pg_ultostr_zeropad(place, tm.tm_year, 4);
	*place++ = '-';
	place = pg_ultostr_zeropad(place, tm.tm_mon, 2);
	*place++ = '-';
	place = pg_ultostr_zeropad(place, tm.tm_mday, 2);
	*place++ = 'T';
	place = pg_ultostr_zeropad(place, tm.tm_hour, 2);
	*place++ = ':';
	place = pg_ultostr_zeropad(place, tm.tm_min, 2);
	*place++ = ':';
	place = pg_ultostr_zeropad(place, tm.tm_sec, 2);
	*place++ = '.';
	place = pg_ultostr_zeropad(place, fraction, 6);
	*place++ = 'Z';
	*place = '\0';
	out->len = place - out->data;
}

/* NULL: all have ended. */
static const WebhookSecret *
newest_secret(const WebhookSubscription *subscription, TimestampTz now)
{
	for (int i = 0; i < subscription->nsecrets; i++)
	{
		if (subscription->secrets[i].until > now)
			return &subscription->secrets[i];
	}
	return NULL;
}

/*
 * One entry a secret that is live now, newest first, so that a receiver can
 * change secrets at its leisure. One ends by the clock: nobody reads the
 * subscription anew for it.
 */
static char *
sign_all(const WebhookSubscription *subscription, const char *id,
		 int64 timestamp, TimestampTz now, const WebhookMessage *message)
{
	StringInfoData entries;
	int			i;

	initStringInfo(&entries);
	for (i = 0; i < subscription->nsecrets; i++)
	{
		const WebhookSecret *secret = &subscription->secrets[i];

		if (secret->until <= now)
			continue;
		if (entries.len > 0)
			appendStringInfoCharMacro(&entries, ' ');
		appendStringInfoString(&entries,
							   webhook_message_sign(secret->key,
													secret->key_length,
													id, timestamp,
													message->body,
													message->body_length));
	}
	return entries.data;
}

/*
 * A text as the value of a header, whatever is in it.
 */
static char *
percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);
	char	   *value = palloc(3 * strlen(utf8) + 1);
	char	   *place = value;

	for (; *utf8; utf8++)
	{
		unsigned char c = *utf8;

		if (c > ' ' && c < 0x7f && c != '%')
			*place++ = c;
		else
		{
			*place++ = '%';
			*place++ = digits[c >> 4];
			*place++ = digits[c & 0x0f];
		}
	}
	*place = '\0';
	return value;
}

/* As uuid_out() has it, which takes several times as long. */
static char *
uuid_text(const pg_uuid_t *id)
{
	static const char digits[] = "0123456789abcdef";
	char	   *text = palloc(ID_LENGTH + 1);
	char	   *place = text;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*place++ = '-';
		*place++ = digits[id->data[i] >> 4];
		*place++ = digits[id->data[i] & 0x0f];
	}
	*place = '\0';
	return text;
}

static char *
number_text(int64 number)
{
	char	   *text = palloc(MAXINT8LEN + 1);

	pg_lltoa(number, text);
	return text;
}

static void
add_header(WebhookMessage *message, const char *name, const char *value)
{
	message->headers[message->nheaders].name = name;
	message->headers[message->nheaders].value = value;
	message->nheaders++;
}

/*
 * The HMAC-SHA256 of two pieces in a row.
 */
static void
compute_hmac(uint8 *digest, const uint8 *key, size_t key_length,
			 const char *first, size_t first_length,
			 const char *second, size_t second_length)
{
	static pg_hmac_ctx *context = NULL;

	if (context == NULL)
	{
		ResourceOwner saved = CurrentResourceOwner;

		CurrentResourceOwner = ResourceOwnerCreate(NULL, "webhook signature");
		context = pg_hmac_create(PG_SHA256);
		CurrentResourceOwner = saved;
	}

	if (pg_hmac_init(context, key, key_length) < 0 ||
		(first_length > 0 &&
		 pg_hmac_update(context, (const uint8 *) first, first_length) < 0) ||
		pg_hmac_update(context, (const uint8 *) second, second_length) < 0 ||
		pg_hmac_final(context, digest, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute HMAC-SHA256: %s",
			 pg_hmac_error(context));
}
