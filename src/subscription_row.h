/*
 * subscription_row.h
 *	  A row of webhook.subscription as the worker keeps it.
 */
#ifndef WEBHOOK_SUBSCRIPTION_ROW_H
#define WEBHOOK_SUBSCRIPTION_ROW_H

#include "executor/spi.h"

#include "subscription.h"

/*
 * A row of the query that reads subscriptions, with all its columns by name
 * and the live secrets and their ends as "secrets" and "secret_ends", in
 * CurrentMemoryContext.
 */
extern WebhookSubscription *webhook_subscription_row_read(SPITupleTable *rows,
														  HeapTuple row);

#endif							/* WEBHOOK_SUBSCRIPTION_ROW_H */
