/*
 * window.h
 *	  What committed between two snapshots, in order, however much it is.
 */
#ifndef WEBHOOK_WINDOW_H
#define WEBHOOK_WINDOW_H

#include "nodes/pg_list.h"

#include "base/snapshot.h"
#include "ring/event.h"

typedef struct WebhookWindow WebhookWindow;

/*
 * Close a window: everything in the ring that "from" does not see and "end",
 * or with NULL the active snapshot of this transaction, does. It lives in a memory context of
 * its own below the current one and outlives the transaction. A small one is
 * in memory as a whole; of a large one only (slot, txid, id) is kept, in a
 * file. Rows that are in "partial" with an id up to "upto_id" are left out
 * (NULL: none): a crash had come in the middle of a large window.
 */
extern WebhookWindow *webhook_window_open(const WebhookSnapshot *from,
										  const WebhookSnapshot *partial,
										  int64 upto_id,
										  const WebhookSnapshot *end);

/* Up to which snapshot it reaches; lives as long as the window. */
extern const WebhookSnapshot *webhook_window_end(const WebhookWindow *window);

/* Rows not yet returned. */
extern int64 webhook_window_remaining(const WebhookWindow *window);

/*
 * The next events in order of id, at most "max_rows" and, after the first, at
 * most "max_bytes", as a List of WebhookEvent in CurrentMemoryContext with one
 * reference each. NIL: the window is at its end. Events of every kind come,
 * commands too. A call that fails can be repeated: nothing is skipped.
 */
extern List *webhook_window_next(WebhookWindow *window, int max_rows,
								 Size max_bytes);

/*
 * Flush the WAL up to the commits of these events: what is sent has to be
 * durable, not just visible. Cheap when it is already.
 */
extern void webhook_window_make_durable(List *events);

extern void webhook_window_close(WebhookWindow *window);

#endif							/* WEBHOOK_WINDOW_H */
