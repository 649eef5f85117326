/*
 * message.c
 *	  The message of one attempt: body and headers.
 *
 * The body is composed in the database's encoding and converted to UTF-8 as a
 * whole, once an attempt, so that the bytes that are signed are the bytes that
 * are sent. The Data of the event are copied as the text that was published,
 * without parsing them again.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/unix_time.h"
#include "message/message.h"
#include "message/signature_internal.h"
#include "message/text_internal.h"
#include "ring/context.h"

/* The number of headers before the subscription's own is at most this. */
#define MAX_HEADERS 10

#define ID_LENGTH 36			/* of a UUID as text */
#define MAX_INSTANT 32			/* bytes of a time in the body */

static void build_body(WebhookMessage *message, const WebhookEvent *event,
					   const WebhookSubscription *subscription, WebhookText context,
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

void
webhook_message_build(WebhookMessage *message, const WebhookEvent *event,
					  const WebhookSubscription *subscription,
					  int attempt, const char *challenge, TimestampTz now)
{
	const char *id = uuid_text(&event->event_id);
	int64		timestamp = webhook_unix_from_timestamp(now) / USECS_PER_SEC;
	const WebhookSecret *newest = newest_secret(subscription, now);
	WebhookContext context = webhook_context_parse(event->context);
	int			i;

	if (newest == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription %lld has no secret to sign with",
						(long long) subscription->id),
				 errhint("Call webhook.rotate_secret() to give it one.")));

	build_body(message, event, subscription, context.context,
			   challenge != NULL ? WEBHOOK_ENVELOPE : subscription->payload_format, id, attempt);

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
	if (challenge != NULL)
		add_header(message, "webhook-challenge", challenge);
	if (context.traceparent.text != NULL)
		add_header(message, "traceparent",
				   pnstrdup(context.traceparent.text, context.traceparent.length));

	for (i = 0; i < subscription->nheaders; i++)
	{
		const char *value = subscription->headers[i].value;

		add_header(message, subscription->headers[i].name,
				   webhook_text_to_utf8(value, strlen(value)));
	}
}

/* Compose the body in a payload format, with the event's context if asked for. */
static void
build_body(WebhookMessage *message, const WebhookEvent *event,
		   const WebhookSubscription *subscription, WebhookText context,
		   WebhookPayloadFormat format, const char *id, int attempt)
{
	StringInfoData body;
	char		number[MAXINT8LEN + 1];

	initStringInfo(&body);
	enlargeStringInfo(&body, strlen(event->data) + 256);

	switch (format)
	{
		case WEBHOOK_ENVELOPE:
			appendStringInfoString(&body, "{\"Id\":\"");
			appendBinaryStringInfo(&body, id, ID_LENGTH);
			appendStringInfoString(&body, "\",\"WebhookEvent\":");
			escape_json(&body, event->event_type);
			appendStringInfoString(&body, ",\"Subject\":");
			if (event->subject != NULL)
				escape_json(&body, event->subject);
			else
				appendStringInfoString(&body, "null");
			appendStringInfoString(&body, ",\"Attempt\":");
			pg_ltoa(attempt, number);
			appendStringInfoString(&body, number);
			appendStringInfoString(&body, ",\"Data\":");
			appendStringInfoString(&body, event->data);
			if (subscription->include_context && context.text != NULL)
			{
				appendStringInfoString(&body, ",\"Context\":");
				appendBinaryStringInfo(&body, context.text, context.length);
			}
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

	message->body = webhook_text_to_utf8(body.data, body.len);
	message->body_length = strlen(message->body);
}

/* Append a time in UTC as in RFC 3339 with microseconds: 2026-11-24T09:30:00.123456Z. */
static void
append_instant(StringInfo out, TimestampTz instant)
{
	struct pg_tm tm;
	fsec_t		fraction;
	char	   *end;

	/* Without a time zone argument, the fields are in UTC. */
	if (timestamp2tm(instant, NULL, &tm, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp of an event is out of range")));

	enlargeStringInfo(out, MAX_INSTANT);
	end = out->data + out->len;
	end = pg_ultostr_zeropad(end, tm.tm_year, 4);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, tm.tm_mon, 2);
	*end++ = '-';
	end = pg_ultostr_zeropad(end, tm.tm_mday, 2);
	*end++ = 'T';
	end = pg_ultostr_zeropad(end, tm.tm_hour, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, tm.tm_min, 2);
	*end++ = ':';
	end = pg_ultostr_zeropad(end, tm.tm_sec, 2);
	*end++ = '.';
	end = pg_ultostr_zeropad(end, fraction, 6);
	*end++ = 'Z';
	*end = '\0';
	out->len = end - out->data;
}

/* The newest secret that is live at "now"; NULL: none is. */
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
 * The value of header webhook-signature: one entry for each secret that is live
 * at "now", newest first, separated by blanks (Standard Webhooks 1.0.0,
 * "Signature scheme"). The worker's copy of a subscription may hold secrets
 * that have expired since it was read.
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
 * A text as the value of a header: in UTF-8, with %HH for each byte that is no
 * visible ASCII character or '%' (RFC 3986, section 2.1).
 */
static char *
percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *utf8 = webhook_text_to_utf8(text, strlen(text));
	char	   *value = palloc(3 * strlen(utf8) + 1);
	char	   *end = value;

	for (; *utf8; utf8++)
	{
		unsigned char c = *utf8;

		if (c > ' ' && c < 0x7f && c != '%')
			*end++ = c;
		else
		{
			*end++ = '%';
			*end++ = digits[c >> 4];
			*end++ = digits[c & 0x0f];
		}
	}
	*end = '\0';
	return value;
}

/* The result of uuid_out(), which takes several times as long. */
static char *
uuid_text(const pg_uuid_t *id)
{
	static const char digits[] = "0123456789abcdef";
	char	   *text = palloc(ID_LENGTH + 1);
	char	   *end = text;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*end++ = '-';
		*end++ = digits[id->data[i] >> 4];
		*end++ = digits[id->data[i] & 0x0f];
	}
	*end = '\0';
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
