/*
 * row_internal.h
 *	  A row of webhook_internal.subscription as the worker keeps it.
 */
#ifndef WEBHOOK_ROW_INTERNAL_H
#define WEBHOOK_ROW_INTERNAL_H

#include "executor/spi.h"

#include "subscription/subscription.h"

/*
 * The rows of the query that reads subscriptions are about to be read: with
 * all columns of webhook_internal.subscription that say what is delivered, and the live
 * secrets and their ends as "secrets" and "secret_ends".
 */
extern void webhook_subscription_row_begin(SPITupleTable *rows);

/* One of them, in CurrentMemoryContext. */
extern WebhookSubscription *webhook_subscription_row_read(SPITupleTable *rows,
														  HeapTuple row);

#endif							/* WEBHOOK_ROW_INTERNAL_H */
