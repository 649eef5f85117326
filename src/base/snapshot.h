/*
 * snapshot.h
 *	  Snapshots as values that outlive their transaction: what a window, a
 *	  checkpoint and a subscription's "since" are made of.
 */
#ifndef WEBHOOK_SNAPSHOT_H
#define WEBHOOK_SNAPSHOT_H

#include "access/transam.h"
#include "utils/snapshot.h"

/* One chunk of memory. All transaction ids are 64 bits wide and top-level. */
typedef struct WebhookSnapshot
{
	FullTransactionId xmin;		/* all below have ended */
	FullTransactionId xmax;		/* none from here on has ended */
	uint32		nxip;
	FullTransactionId xip[FLEXIBLE_ARRAY_MEMBER];	/* running ones between, ascending */
} WebhookSnapshot;

/*
 * The value of an MVCC snapshot taken on a primary, in CurrentMemoryContext.
 * "also_running" is put among the running ones unless it is invalid: a
 * session's own transaction, which a snapshot of its own counts as ended.
 */
extern WebhookSnapshot *webhook_snapshot_make(Snapshot snapshot,
											  FullTransactionId also_running);

/* A snapshot that sees nothing: what a first window starts from. */
extern WebhookSnapshot *webhook_snapshot_empty(void);

extern WebhookSnapshot *webhook_snapshot_copy(const WebhookSnapshot *snapshot);

/* Has the transaction ended as far as the snapshot knows? */
extern bool webhook_snapshot_sees(const WebhookSnapshot *snapshot,
								  FullTransactionId xid);

/* Returns true if both see the same transactions. */
extern bool webhook_snapshot_equal(const WebhookSnapshot *a, const WebhookSnapshot *b);

/* Bytes of the value. */
extern Size webhook_snapshot_size(const WebhookSnapshot *snapshot);

/* From and to a value of type pg_snapshot, in CurrentMemoryContext. */
extern WebhookSnapshot *webhook_snapshot_from_datum(Datum datum);
extern Datum webhook_snapshot_to_datum(const WebhookSnapshot *snapshot);

#endif							/* WEBHOOK_SNAPSHOT_H */
