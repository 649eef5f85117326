/*
 * event.h
 *	  The event as every room sees it: one row of the ring, in memory.
 */
#ifndef WEBHOOK_EVENT_H
#define WEBHOOK_EVENT_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Longest subject; a longer one would break the index of webhook.pending. */
#define WEBHOOK_MAX_SUBJECT 512

/* Longest name of an event type. */
#define WEBHOOK_MAX_EVENT_TYPE 128

/* What a row of the ring is: column "kind". */
typedef enum WebhookKind
{
	WEBHOOK_EVENT = 'e',		/* an event, to be matched and delivered */
	WEBHOOK_CHANGED = 'c',		/* subscriptions have changed; one that is named begins anew */
	/* About one subscription, see command.h; they act on what is before them. */
	WEBHOOK_END = 'x',			/* end all that waits for it */
	WEBHOOK_CANCEL = 'k',		/* end deliveries of the event event_id */
	WEBHOOK_SKIP = 's',			/* end the first delivery of the subject */
	WEBHOOK_REPLAY = 'r',		/* deliver an event to it, again or once more */
} WebhookKind;

/* Why a delivery exists: column "cause". */
typedef enum WebhookCause
{
	WEBHOOK_CAUSE_EVENT,
	WEBHOOK_CAUSE_RESEND,
	WEBHOOK_CAUSE_RECOVER,
	WEBHOOK_CAUSE_PING,
} WebhookCause;

/*
 * One chunk of memory, shared by all deliveries of the event and counted by
 * them.  Strings are NUL-terminated, in the database's encoding.
 */
typedef struct WebhookEvent
{
	int64		id;				/* place in the ring: the order */
	FullTransactionId txid;		/* top-level transaction that wrote it */
	TimestampTz created_at;		/* when it occurred; the instant of event_id */
	pg_uuid_t	event_id;		/* UUIDv7, the receiver's idempotency key */
	WebhookKind kind;
	int			references;
	bool		counted;		/* in the memory of deliveries */
	Size		size;			/* of this chunk, in bytes */
	const char *event_type;		/* NULL: a command */
	const char *subject;		/* NULL: unordered */
	const char *data;			/* JSON text as it goes on the wire; NULL: a command without */
	char		text[FLEXIBLE_ARRAY_MEMBER];	/* the strings above */
} WebhookEvent;

/*
 * A new event in CurrentMemoryContext with one reference, holding copies of
 * the strings; their lengths are in bytes, without a terminator.  Each may be
 * NULL, event_type and data of a command only.  The other fields are zero,
 * and the caller's to fill in.
 */
extern WebhookEvent *webhook_event_make(const char *event_type, int event_type_length,
										const char *subject, int subject_length,
										const char *data, int data_length);

/* Another event like it, in CurrentMemoryContext with one reference. */
extern WebhookEvent *webhook_event_copy(const WebhookEvent *event);

/* One more owner. */
extern WebhookEvent *webhook_event_share(WebhookEvent *event);

/* One owner less; the last one frees it. */
extern void webhook_event_release(WebhookEvent *event);

/*
 * A UUIDv7 (RFC 9562, section 5.7) of the given instant: 48 bits of Unix
 * milliseconds, the microseconds below them in rand_a, the rest random.
 */
extern void webhook_event_new_id(pg_uuid_t *id, TimestampTz created_at);

/* The value of column "cause", a constant. */
extern const char *webhook_cause_name(WebhookCause cause);

/* The reverse: false, or an error, if the name is unknown. */
extern bool webhook_cause_find(const char *name, WebhookCause *cause);
extern WebhookCause webhook_cause_from_name(const char *name);

#endif							/* WEBHOOK_EVENT_H */
