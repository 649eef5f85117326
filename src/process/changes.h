/*
 * changes.h
 *	  Which subscriptions transactions have changed, told to the worker in shared
 *	  memory, so that it need not read all of them.
 */
#ifndef WEBHOOK_CHANGES_H
#define WEBHOOK_CHANGES_H

#include "base/snapshot.h"
#include "process/shmem.h"

/*
 * Tell that a transaction, which is about to commit, has changed these subscriptions.
 * It cannot fail.
 */
extern void webhook_changes_tell(WebhookSlot *slot, FullTransactionId txid,
								 const int64 *ids, int count);

/*
 * Find the subscriptions that were changed by transactions that a snapshot sees, among
 * what was told from a place on; the place moves up to the first transaction that it does
 * not see. The list that is found has at most WEBHOOK_CHANGES ids, some of them twice or
 * read before. Returns false if some that was told is lost: then everything has to be read.
 */
extern bool webhook_changes_since(WebhookSlot *slot, uint64 *place,
								  const WebhookSnapshot *snapshot, int64 *ids, int *count);

/* What is known of a transaction that has changed subscriptions. */
typedef enum WebhookChangeKnown
{
	WEBHOOK_CHANGE_UNKNOWN,		/* it has not told, or that is lost */
	WEBHOOK_CHANGE_BEFORE,		/* all that it has told is before the place */
	WEBHOOK_CHANGE_AFTER,		/* it is not */
} WebhookChangeKnown;

extern WebhookChangeKnown webhook_changes_find(WebhookSlot *slot, uint64 place,
											   FullTransactionId txid);

#endif							/* WEBHOOK_CHANGES_H */
