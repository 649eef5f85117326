/*
 * row_internal.h
 *	  Rows of webhook_internal.subscription become structs.
 */
#ifndef WEBHOOK_ROW_INTERNAL_H
#define WEBHOOK_ROW_INTERNAL_H

#include "executor/spi.h"

#include "subscription/subscription.h"

/*
 * The first "count" rows of a result as subscriptions, in an array, all in
 * CurrentMemoryContext. The rows have the columns of
 * webhook_internal.subscription that say what is delivered, and the live
 * secrets, newest first, as "secrets" with their ends as "secret_ends".
 */
extern WebhookSubscription **webhook_subscription_read_rows(SPITupleTable *table, int count);

#endif							/* WEBHOOK_ROW_INTERNAL_H */
