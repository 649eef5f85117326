/*
 * ring.h
 *	  The ring: four tables that events and commands are appended to, and that
 *	  are emptied in turn.
 */
#ifndef WEBHOOK_RING_H
#define WEBHOOK_RING_H

#include "base/snapshot.h"
#include "ring/event.h"

/*
 * Append a row as part of the present transaction, and wake the worker at
 * commit. Sets id and txid of the row; its other fields are the caller's. Waits
 * only if no ring table can be locked at once. Needs no privilege of the user
 * and does not depend on search_path. Without the library preloaded the row is
 * appended, but no worker is woken.
 */
extern void webhook_ring_append(WebhookEvent *event);

/*
 * Append a command. The caller sets its kind and what the kind needs;
 * created_at is set here, and event_id if it is zero.
 */
extern void webhook_ring_command(WebhookEvent *row);

/*
 * For the worker; each of these needs a transaction.
 */

/* No id of a row of the ring, or of webhook_internal.pending, is greater; 0: there was no row. */
extern int64 webhook_ring_last_id(void);

/*
 * When the worker starts: make the ids of further rows greater than "last_id",
 * the one in the checkpoint. If the sequence has been set back, or there is no
 * checkpoint (last_id 0), also greater than all that is in the ring and in
 * webhook_internal.pending.
 */
extern void webhook_ring_raise_ids(int64 last_id);

/* The number of the ring table with the newest row: the one to write to after a start. */
extern int	webhook_ring_newest(void);

/*
 * Set "created_at" to that of the first row of the ring, in order of transactions;
 * DT_NOEND: there is none. A later transaction may have a row that is older, by no
 * more than the time for which the former one was open. Returns false if a table
 * cannot be read at once.
 */
extern bool webhook_ring_oldest(TimestampTz *created_at);

/*
 * If the first row of the table that is written to is older than half of
 * webhook.event_retention (at 0: if that table is larger than 64 MB), direct
 * writers to an empty table; "full" is set if no table is empty. Then truncate
 * at most one other table whose rows are all older than webhook.event_retention
 * and seen by the snapshot of the last committed checkpoint. Returns true if a
 * table was truncated. Waits for no lock.
 */
extern bool webhook_ring_rotate(const WebhookSnapshot *checkpoint, bool *full);

#endif							/* WEBHOOK_RING_H */
