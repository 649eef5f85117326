/*
 * event.h
 *	  An event in memory: one row of the ring.
 */
#ifndef WEBHOOK_EVENT_H
#define WEBHOOK_EVENT_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"

/* Longest subject; a longer one would break the index of webhook_internal.pending. */
#define WEBHOOK_MAX_SUBJECT 512

/* Longest name of an event type. */
#define WEBHOOK_MAX_EVENT_TYPE 128

/* Longest name of a tenant. */
#define WEBHOOK_MAX_TENANT 63

/*
 * Column "kind" of a row of the ring: an event or a command. Commands other than
 * WEBHOOK_CHANGED name a subscription (command.h) and apply to its deliveries of
 * rows before them.
 */
typedef enum WebhookKind
{
	WEBHOOK_EVENT = 'e',		/* an event, for its tenant and for the platform */
	WEBHOOK_EVENT_OF_TENANT = 't',	/* an event for its tenant alone */
	WEBHOOK_EVENT_OF_PLATFORM = 'p',	/* an event for the platform alone */
	WEBHOOK_CHANGED = 'c',		/* subscriptions have changed; the health of a subscription that
								 * is named is reset */
	WEBHOOK_END = 'x',			/* cancel all deliveries that wait */
	WEBHOOK_CANCEL = 'k',		/* cancel the deliveries of the event event_id */
	WEBHOOK_SKIP = 's',			/* cancel the first delivery of the subject */
	WEBHOOK_REPLAY = 'r',		/* deliver an event once more */
	WEBHOOK_RETRY = 'd',		/* what waits, of the subject if there is one, is due now */
	WEBHOOK_ERASE = 'z',		/* keep nothing that was sent about the subject; names no
								 * subscription, and applies to those of all */
	WEBHOOK_TELL = 'n',			/* tell people of the subscription's state; if the subject is
								 * "changed", that it was altered */
} WebhookKind;

/* Returns true if a row of this kind is an event, to be matched and delivered. */
static inline bool
webhook_kind_is_event(WebhookKind kind)
{
	return kind == WEBHOOK_EVENT || kind == WEBHOOK_EVENT_OF_TENANT ||
		kind == WEBHOOK_EVENT_OF_PLATFORM;
}

/* Column "cause" of a delivery: why it exists. */
typedef enum WebhookCause
{
	WEBHOOK_CAUSE_EVENT,
	WEBHOOK_CAUSE_RESEND,
	WEBHOOK_CAUSE_RECOVER,
	WEBHOOK_CAUSE_PING,
	WEBHOOK_CAUSE_DISMISS,		/* nothing is sent: a dead letter ends for good */
	WEBHOOK_CAUSE_CONFIRM,		/* the endpoint is asked for its challenge; never in a table but
								 * the log */
} WebhookCause;

/* Returns true if a delivery of this cause tries the endpoint: it does not count against it. */
static inline bool
webhook_cause_is_trial(WebhookCause cause)
{
	return cause == WEBHOOK_CAUSE_PING || cause == WEBHOOK_CAUSE_CONFIRM;
}

/*
 * Finds a row of the ring. It is no TID, because the owner of the table may
 * move rows (by VACUUM FULL, for instance); these columns do not change.
 */
typedef struct WebhookRingKey
{
	int64		id;
	FullTransactionId txid;
	int			table_no;		/* of the ring table, from 0 on */
} WebhookRingKey;

/* A text of "length" bytes, which need not be terminated; NULL: there is none. */
typedef struct WebhookText
{
	const char *text;
	int			length;
} WebhookText;

/* The texts of an event. */
typedef struct WebhookEventTexts
{
	WebhookText event_type;
	WebhookText subject;
	WebhookText tenant;
	WebhookText context;
	WebhookText data;
} WebhookEventTexts;

/*
 * One chunk of memory, which all deliveries of the event share by counting
 * references. Strings are NUL-terminated, in the database's encoding.
 */
typedef struct WebhookEvent
{
	int64		id;				/* number in the ring, which gives the order */
	FullTransactionId txid;		/* top-level transaction that wrote the row; of a replay, that of
								 * the command; 0: a restored one, which each snapshot sees */
	FullTransactionId origin;	/* of a replay: the transaction that made its event; 0: it is not
								 * known, and each snapshot sees it */
	int			table_no;		/* the ring table that has the row; of an event that was read
								 * from the ring */
	TimestampTz created_at;		/* when the event occurred; the instant of event_id */
	pg_uuid_t	event_id;		/* UUIDv7, the receiver's idempotency key */
	WebhookKind kind;
	int			references;		/* the last one that is released frees the chunk */
	bool		counted;		/* the memory of deliveries includes this chunk */
	Size		size;			/* of this chunk in bytes */
	const char *event_type;		/* NULL: a command that has none */
	const char *subject;		/* NULL: the event is in no order with others */
	const char *tenant;			/* whose it is; NULL: the platform's own */
	const char *context;		/* who caused it, see context.h; NULL: it is not known */
	const char *data;			/* JSON text as it goes on the wire; NULL: a command that has
								 * none */
	char		text[FLEXIBLE_ARRAY_MEMBER];	/* the strings above */
} WebhookEvent;

/*
 * A new event in CurrentMemoryContext, with one reference and copies of the
 * texts. Each may be missing; event_type and data only for a command. The other
 * fields are zero, for the caller to set.
 */
extern WebhookEvent *webhook_event_make(const WebhookEventTexts *texts);

/* A terminated string as a text; NULL stays NULL. */
static inline WebhookText
webhook_text(const char *string)
{
	WebhookText text = {string, string != NULL ? (int) strlen(string) : 0};

	return text;
}

/* A copy of the event in CurrentMemoryContext, with one reference. */
extern WebhookEvent *webhook_event_copy(const WebhookEvent *event);

/* Add a reference; returns the event. */
extern WebhookEvent *webhook_event_share(WebhookEvent *event);

/* Release a reference; the last one frees the event. */
extern void webhook_event_release(WebhookEvent *event);

/*
 * Make a UUIDv7 (RFC 9562, section 5.7) of the instant: 48 bits of Unix
 * milliseconds, their fraction in the 12 bits of rand_a, the rest random.
 */
extern void webhook_event_new_id(pg_uuid_t *id, TimestampTz created_at);

/* The value of column "cause"; a constant. */
extern const char *webhook_cause_name(WebhookCause cause);

/*
 * The cause of that name. An unknown name makes the first return false, the
 * second raise an error.
 */
extern bool webhook_cause_find(const char *name, WebhookCause *cause);
extern WebhookCause webhook_cause_from_name(const char *name);

#endif							/* WEBHOOK_EVENT_H */
