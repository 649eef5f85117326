/*
 * tail.h
 *	  Rows of the ring that were read for subscriptions that could not take them
 *	  yet, in the order in which they were read.
 */
#ifndef WEBHOOK_TAIL_H
#define WEBHOOK_TAIL_H

#include "nodes/pg_list.h"

#include "ring/event.h"
#include "ring/progress.h"

typedef struct WebhookTail WebhookTail;

/* One row for one subscription. */
typedef struct WebhookTailEntry
{
	WebhookRingKey key;
	int64		subscription_id;
	WebhookBatch *batch;		/* of the row; pinned until the entry is removed */
	TimestampTz added_at;		/* when the row was read */
	WebhookEvent *event;		/* the row, once it was fetched; NULL: it has been deleted */
} WebhookTailEntry;

/* An empty tail, in TopMemoryContext, for as long as the process lives. */
extern WebhookTail *webhook_tail_new(void);

/* Returns true if there is no entry; and if there is one of the subscription. */
extern bool webhook_tail_is_empty(const WebhookTail *tail);
extern bool webhook_tail_has(const WebhookTail *tail, int64 subscription_id);

/*
 * Add entries, in a transaction, each of a row that was read from the ring, with its batch,
 * or NULL; webhook_tail_keep() or webhook_tail_drop() has to follow when that has ended.
 * The first, after a commit, says of which batch those are that had none, and pins all
 * of them; the second, after an error, removes the entries again. It returns false if the
 * error has taken earlier entries along: then the tail must not be used any more.
 */
extern void webhook_tail_add(WebhookTail *tail, const WebhookEvent *event,
							 int64 subscription_id, WebhookBatch *batch);
extern void webhook_tail_keep(WebhookTail *tail, WebhookBatch *batch, TimestampTz now);
extern bool webhook_tail_drop(WebhookTail *tail);

/* All entries of "after" follow those of "tail"; then "after" is empty. */
extern void webhook_tail_append(WebhookTail *tail, WebhookTail *after);

/* The first entry, as far as it was read from the files; NULL: it was not, or there is none. */
extern const WebhookTailEntry *webhook_tail_first(const WebhookTail *tail);

/*
 * The entry with a number, 0 for the first one, or NULL; only the first few
 * hundred can be asked for. Reads a file, in a transaction. The entry is valid
 * until webhook_tail_remove().
 */
extern WebhookTailEntry *webhook_tail_entry(WebhookTail *tail, int number);

/*
 * Fetch the events of the first entries, in a transaction, in
 * CurrentMemoryContext, with one reference each: of at most "count" entries, and
 * of as many as fit into "max_bytes", but at least one. Returns their number.
 * Entries of one row that follow each other share the event.
 */
extern int	webhook_tail_fetch(WebhookTail *tail, int count, Size max_bytes);

/* Remove the first "count" entries, and their pins. */
extern void webhook_tail_remove(WebhookTail *tail, int count);

#endif							/* WEBHOOK_TAIL_H */
