/*
 * store.h
 *	  Rows of webhook.pending: deliveries that failed, wait, or were spilled.
 *	  The worker alone writes them.
 */
#ifndef WEBHOOK_STORE_H
#define WEBHOOK_STORE_H

#include "nodes/pg_list.h"

#include "ring/event.h"

/*
 * A delivery as it waits. Its key is (subscription_id, event's subject or '',
 * position, event's id).
 */
typedef struct WebhookPending
{
	int64		subscription_id;
	int64		position;		/* ring id of the row that caused it */
	WebhookCause cause;
	int			attempt;		/* POSTs made */
	int			step;			/* place in the retry schedule */
	TimestampTz next_at;		/* 0: NULL, not a head */
	TimestampTz queued_at;		/* when it came to wait */
	TimestampTz age_start;		/* when it was caused, by the subscription's clock, which stands
								 * while it may not send */
	WebhookEvent *event;
} WebhookPending;

/*
 * What the worker's memory knows of a row or a subject; "arg" is handed through.
 * A subject of NULL: none.
 */
typedef bool (*WebhookRowTest) (int64 subscription_id, const char *subject,
								int64 position, int64 id, void *arg);
typedef bool (*WebhookSubjectTest) (int64 subscription_id, const char *subject, void *arg);

/* Told of a subscription one of whose rows has become a head, due at "next_at". */
typedef void (*WebhookHeadCallback) (int64 subscription_id, TimestampTz next_at, void *arg);

/* All of these need a transaction. */

/* Open the table for writing, and close it. One at a time. */
extern void webhook_pending_open(void);
extern void webhook_pending_close(void);

/* Rows in and out, while it is open. Update sets attempt, step, next_at. */
extern void webhook_pending_insert(const WebhookPending *row);
extern bool webhook_pending_update(const WebhookPending *row);
extern bool webhook_pending_delete(const WebhookPending *row);

/*
 * While it is open: make the first row of a subject its head, due at "now",
 * unless it is one. Returns true if it became one.
 */
extern bool webhook_pending_promote(int64 subscription_id, const char *subject,
									TimestampTz now);

/* Is there a row of this subject? Of this subscription? */
extern bool webhook_pending_has_subject(int64 subscription_id,
										const char *subject);
extern bool webhook_pending_has_any(int64 subscription_id);

/* Is this very delivery there? */
extern bool webhook_pending_has(int64 subscription_id, const char *subject,
								int64 position, int64 id);

/*
 * Heads of a subscription that are due up to "until", in order of next_at, as
 * a List of WebhookPending in CurrentMemoryContext: at most "limit" rows and,
 * after the first, at most "max_bytes" of events. "skip" (or NULL) tells which
 * not to return. *next becomes the next_at of the first head that is neither
 * returned nor skipped, 0: none is left.
 */
extern List *webhook_pending_due(int64 subscription_id, TimestampTz until,
								 int limit, Size max_bytes,
								 WebhookRowTest skip, void *arg,
								 TimestampTz *next);

/* All subscriptions that have rows, by a skip scan: List of int64 *. */
extern List *webhook_pending_subscriptions(void);

/*
 * The clock was set back by so many microseconds, to "now": heads that are not
 * due wait as much longer as they had to, not for the old time to come.
 */
extern void webhook_pending_set_back(TimestampTz now, int64 by);

/* The earliest next_at of a subscription's heads; 0: none. */
extern TimestampTz webhook_pending_earliest(int64 subscription_id);

/*
 * Rows of a subscription in key order, at most "limit" and after the first at
 * most 4 MB of events, whose position is below "before": what a cancellation
 * ends. A call goes on where the former one with the same arguments ended, and
 * from the start once nothing is left there; NIL: there is none.
 */
extern List *webhook_pending_batch(int64 subscription_id, int64 before,
								   int limit);

/*
 * Rows of a subject (NULL: without one) whose position is below "before": those
 * of an event, or, where it is NULL, the first one.
 */
extern List *webhook_pending_of_subject(int64 subscription_id,
										const char *subject,
										const pg_uuid_t *event_id, int64 before);

/*
 * Give every subject of a subscription that has no head its first row as head,
 * due at "now", unless "in_memory" says that one is there; a row without
 * subject is a head by itself. After a recovery.
 */
extern void webhook_pending_repair(int64 subscription_id, TimestampTz now,
								   WebhookSubjectTest in_memory, void *arg);

#endif							/* WEBHOOK_STORE_H */
