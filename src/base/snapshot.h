/*
 * snapshot.h
 *	  Snapshots as values that outlive their transaction. Windows, checkpoints
 *	  and the start of a subscription are made of them.
 */
#ifndef WEBHOOK_SNAPSHOT_H
#define WEBHOOK_SNAPSHOT_H

#include "access/transam.h"
#include "utils/snapshot.h"

/* One chunk of memory. All transaction ids are 64 bits wide and top-level. */
typedef struct WebhookSnapshot
{
	FullTransactionId xmin;		/* all transactions before this one had ended */
	FullTransactionId xmax;		/* this transaction and all after it had not ended */
	uint32		nxip;
	FullTransactionId xip[FLEXIBLE_ARRAY_MEMBER];	/* those in between that were running,
													 * ascending */
} WebhookSnapshot;

/*
 * The value of an MVCC snapshot that was taken on a primary, in
 * CurrentMemoryContext. "also_running" is added to the running transactions
 * unless it is invalid: a session's snapshot does not name the session's own
 * transaction as running.
 */
extern WebhookSnapshot *webhook_snapshot_make(Snapshot snapshot,
											  FullTransactionId also_running);

/*
 * What has committed by now, whatever the isolation level, in CurrentMemoryContext.
 * It does not see the present transaction, which is given an id if it has none.
 */
extern WebhookSnapshot *webhook_snapshot_now(void);

/* A snapshot that sees no transaction, in CurrentMemoryContext. The first window begins with it. */
extern WebhookSnapshot *webhook_snapshot_empty(void);

/* A copy, in CurrentMemoryContext. */
extern WebhookSnapshot *webhook_snapshot_copy(const WebhookSnapshot *snapshot);

/* Returns true if the transaction had ended when the snapshot was taken. */
extern bool webhook_snapshot_sees(const WebhookSnapshot *snapshot,
								  FullTransactionId xid);

/* Returns true if both see the same transactions. */
extern bool webhook_snapshot_equal(const WebhookSnapshot *a, const WebhookSnapshot *b);

/*
 * Less than, equal to, or greater than 0 if "a" was taken before "b", saw the same, or was taken
 * after it. Of two snapshots of one cluster the later one sees all that the earlier one sees.
 */
extern int	webhook_snapshot_compare(const WebhookSnapshot *a, const WebhookSnapshot *b);

/* The size of the value in bytes. */
extern Size webhook_snapshot_size(const WebhookSnapshot *snapshot);

/*
 * Convert from and to the text form of pg_snapshot, in CurrentMemoryContext. The text
 * ends with the character "end". NULL: it does not have that form.
 */
extern WebhookSnapshot *webhook_snapshot_from_text(const char *text, char end);
extern char *webhook_snapshot_to_text(const WebhookSnapshot *snapshot);

/* Convert from and to a value of type pg_snapshot, in CurrentMemoryContext. */
extern WebhookSnapshot *webhook_snapshot_from_datum(Datum datum);
extern Datum webhook_snapshot_to_datum(const WebhookSnapshot *snapshot);

#endif							/* WEBHOOK_SNAPSHOT_H */
