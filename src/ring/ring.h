/*
 * ring.h
 *	  The ring of four tables that events are written to, and emptied from.
 */
#ifndef WEBHOOK_RING_H
#define WEBHOOK_RING_H

#include "base/snapshot.h"
#include "ring/event.h"

/*
 * Append a row as part of the current transaction, in whatever table of the
 * ring can be written to without waiting, and wake the worker at commit.
 * id and txid are set here, all else is the caller's. Neither privilege nor
 * search_path matters. Works without the library preloaded, but wakes nobody
 * then.
 */
extern void webhook_ring_append(WebhookEvent *event);

/*
 * Append a command: a row that tells the worker something. Its kind is given,
 * and what else the kind needs; created_at is set here, and an event_id if the
 * row has none.
 */
extern void webhook_ring_command(WebhookEvent *row);

/* The worker's part; each needs a transaction. */

/* No id of a row of the ring, or of webhook.pending, is greater; 0: there was no row. */
extern int64 webhook_ring_last_id(void);

/* The table that holds the newest row: where writing goes on after a start. */
extern int	webhook_ring_newest(void);

/*
 * Look after the ring once: make an empty table the one to write to when the
 * present one's first row is old enough (half of webhook.event_retention; at 0:
 * over 64 MB), and empty at most one other table whose rows are all past
 * webhook.event_retention and within the snapshot of the last committed
 * checkpoint. Waits for no lock. Returns true if a table was emptied. "full"
 * tells that an empty table was wanted and none was there.
 */
extern bool webhook_ring_rotate(const WebhookSnapshot *checkpoint, bool *full);

#endif							/* WEBHOOK_RING_H */
