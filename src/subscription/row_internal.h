/*
 * row_internal.h
 *	  Rows of webhook_internal.subscription and webhook_internal.tenant become structs.
 */
#ifndef WEBHOOK_ROW_INTERNAL_H
#define WEBHOOK_ROW_INTERNAL_H

#include "executor/spi.h"

#include "subscription/subscription.h"

/*
 * "count" rows of a result, those "from" a number on, as subscriptions, in an array, all
 * in CurrentMemoryContext. The rows have the columns of
 * webhook_internal.subscription that say what is delivered, and the live
 * secrets, newest first, as "secrets" with their ends as "secret_ends".
 */
extern WebhookSubscription **webhook_subscription_read_rows(SPITupleTable *table, int from,
															int count);

/*
 * A row of webhook_internal.tenant, in CurrentMemoryContext: its name, which is the
 * result, and its caps. The columns are name, events, max_in_flight, rate_limit.
 */
extern const char *webhook_tenant_read_row(HeapTuple row, TupleDesc columns, WebhookCaps *caps);

#endif							/* WEBHOOK_ROW_INTERNAL_H */
