/*
 * event.c
 *	  An event in memory.
 *
 * The deliveries of an event to several subscriptions end at different times.
 * They share one chunk of memory and hold one reference each. The chunk lives in
 * the memory context that was current when it was made.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/unix_time.h"
#include "ring/event.h"

static const char *const cause_names[] = {
	[WEBHOOK_CAUSE_EVENT] = "event",
	[WEBHOOK_CAUSE_RESEND] = "resend",
	[WEBHOOK_CAUSE_RECOVER] = "recover",
	[WEBHOOK_CAUSE_PING] = "ping",
	[WEBHOOK_CAUSE_DISMISS] = "dismiss",
	[WEBHOOK_CAUSE_CONFIRM] = "confirm",
};

/*
 * Random bytes are drawn in blocks, because a draw costs more than the rest of
 * an append, whatever its size. Bytes that have been used are wiped.
 */
static struct
{
	uint8		block[512];
	int			left;			/* bytes at the start of the block that are not used yet */
}			pool;

static Size text_size(WebhookText text);
static const char *put_text(char **to, WebhookText text);
static void random_bytes(uint8 *to, int length);

WebhookEvent *
webhook_event_make(const WebhookEventTexts *texts)
{
	Size		size = offsetof(WebhookEvent, text);
	WebhookEvent *event;
	char	   *to;

	size += text_size(texts->event_type) + text_size(texts->subject) +
		text_size(texts->tenant) + text_size(texts->context) + text_size(texts->data);

	event = palloc(size);
	memset(event, 0, offsetof(WebhookEvent, text));
	event->references = 1;
	event->size = size;
	to = event->text;
	event->event_type = put_text(&to, texts->event_type);
	event->subject = put_text(&to, texts->subject);
	event->tenant = put_text(&to, texts->tenant);
	event->context = put_text(&to, texts->context);
	event->data = put_text(&to, texts->data);
	return event;
}

WebhookEvent *
webhook_event_copy(const WebhookEvent *event)
{
	WebhookEvent *copy = palloc(event->size);
	ptrdiff_t	distance = (char *) copy - (const char *) event;

	memcpy(copy, event, event->size);
	copy->references = 1;
	if (copy->event_type != NULL)
		copy->event_type += distance;
	if (copy->subject != NULL)
		copy->subject += distance;
	if (copy->tenant != NULL)
		copy->tenant += distance;
	if (copy->context != NULL)
		copy->context += distance;
	if (copy->data != NULL)
		copy->data += distance;
	return copy;
}

WebhookEvent *
webhook_event_share(WebhookEvent *event)
{
	event->references++;
	return event;
}

void
webhook_event_release(WebhookEvent *event)
{
	Assert(event->references > 0);
	if (--event->references == 0)
		pfree(event);
}

void
webhook_event_new_id(pg_uuid_t *id, TimestampTz created)
{
	int64		unix_us = webhook_unix_from_timestamp(created);
	uint64		ms = unix_us / 1000;
	uint32		fraction = (uint32) (unix_us % 1000) * 4096 / 1000;

	random_bytes(&id->data[8], 8);
	for (int i = 5; i >= 0; i--)
	{
		id->data[i] = (uint8) ms;
		ms >>= 8;
	}
	id->data[6] = 0x70 | (fraction >> 8);	/* version 7 */
	id->data[7] = (uint8) fraction;
	id->data[8] = 0x80 | (id->data[8] & 0x3f);	/* variant of the RFC */
}

const char *
webhook_cause_name(WebhookCause cause)
{
	return cause_names[cause];
}

bool
webhook_cause_find(const char *name, WebhookCause *cause)
{
	/* No table has a delivery that confirms an endpoint, unless somebody made it up. */
	for (int i = 0; i < WEBHOOK_CAUSE_CONFIRM; i++)
	{
		if (strcmp(name, cause_names[i]) == 0)
		{
			*cause = (WebhookCause) i;
			return true;
		}
	}
	return false;
}

WebhookCause
webhook_cause_from_name(const char *name)
{
	WebhookCause cause;

	if (!webhook_cause_find(name, &cause))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized delivery cause: \"%s\"", name),
				 errhint("Causes are \"event\", \"resend\", \"recover\" and \"ping\".")));
	return cause;
}

/* Bytes that a text takes, with its terminator. */
static Size
text_size(WebhookText text)
{
	return text.text != NULL ? text.length + 1 : 0;
}

/* Copy a text to "to", which is moved behind its terminator. Returns the copy; NULL for NULL. */
static const char *
put_text(char **to, WebhookText text)
{
	char	   *start = *to;

	if (text.text == NULL)
		return NULL;
	memcpy(start, text.text, text.length);
	start[text.length] = '\0';
	*to += text.length + 1;
	return start;
}

/* Fill "to" with cryptographically strong random bytes, none of which is used twice. */
static void
random_bytes(uint8 *to, int length)
{
	if (pool.left < length)
	{
		if (!pg_strong_random(pool.block, sizeof(pool.block)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		pool.left = sizeof(pool.block);
	}
	pool.left -= length;
	memcpy(to, pool.block + pool.left, length);
	memset(pool.block + pool.left, 0, length);
}
