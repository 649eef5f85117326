/*
 * statistics_internal.h
 *	  What became of deliveries in the present minute, by subscription.
 */
#ifndef WEBHOOK_STATISTICS_INTERNAL_H
#define WEBHOOK_STATISTICS_INTERNAL_H

#include "process/metrics.h"
#include "store/store.h"

/* Count there, too, from now on; before anything else. */
extern void webhook_statistics_init(WebhookMetrics *metrics);

/* Count the result of a delivery, which is committed. */
extern void webhook_statistics_add(const WebhookLogEntry *entry);

/*
 * A row for each subscription that has had results since webhook_statistics_clear(),
 * or has deliveries that wait; then one for all together: *count rows in
 * CurrentMemoryContext. "pending" is a List of WebhookPendingCount *, of all that
 * wait if "all_known" is true.
 */
extern WebhookStatMinute *webhook_statistics_rows(const List *pending, bool all_known,
												  int *count);

/* Begin again at zero. */
extern void webhook_statistics_clear(void);

#endif							/* WEBHOOK_STATISTICS_INTERNAL_H */
