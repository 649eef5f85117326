/*
 * pending_count_internal.h
 *	  How many rows webhook_internal.pending has of each subscription.
 */
#ifndef WEBHOOK_PENDING_COUNT_INTERNAL_H
#define WEBHOOK_PENDING_COUNT_INTERNAL_H

#include "store/store.h"

/* Rows of one subscription that are being counted, in pieces. */
typedef struct WebhookRecount
{
	int64		subscription_id;	/* 0: none is being counted */
	WebhookPendingCursor cursor;	/* the last row that was counted */
	int64		rows;			/* rows up to the cursor, as committed */
} WebhookRecount;

/*
 * The present transaction has inserted (by = 1) or deleted (by = -1) a row, or has
 * changed one. The third function writes the numbers of the subscriptions of these rows.
 */
extern void webhook_pending_count_add(const WebhookPending *row, int by);
extern void webhook_pending_count_touch(int64 subscription_id);
extern void webhook_pending_count_write(void);

/*
 * The rows that are being counted, which the caller moves on. What a transaction
 * changes up to the cursor is added to "rows" by itself.
 */
extern WebhookRecount *webhook_pending_count_recount(void);

/*
 * The present transaction has counted all rows of a subscription: write their
 * number. A number of 0 is kept only if "keep" is true.
 */
extern void webhook_pending_count_set(int64 subscription_id, int64 rows, bool keep);

/*
 * The ids of the subscriptions that have, or had, rows, as a List of int64 *: of all,
 * or of those whose number is not known. The second function adds one.
 */
extern List *webhook_pending_count_ids(bool unknown);
extern void webhook_pending_count_expect(int64 subscription_id);

/*
 * All rows have been counted, so what is not known has none.
 */
extern void webhook_pending_count_complete(void);

#endif							/* WEBHOOK_PENDING_COUNT_INTERNAL_H */
