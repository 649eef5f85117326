/*
 * budget_internal.h
 *	  Limits on memory that delivery/ itself applies.
 */
#ifndef WEBHOOK_BUDGET_INTERNAL_H
#define WEBHOOK_BUDGET_INTERNAL_H

#include "delivery/delivery_internal.h"

/*
 * The part of all queued deliveries that a queue may have: that of its tenant is shared
 * out among its busy queues and one more.
 */
extern int	webhook_budget_share(const WebhookDispatcher *dispatcher,
								 const WebhookTenant *tenant);

/*
 * Returns true if a tenant has its part of the rows of pending that may be in memory, or
 * may start nothing at "now": no more are to be loaded for it.
 */
extern bool webhook_budget_is_loaded(const WebhookDispatcher *dispatcher,
									 const WebhookTenant *tenant, TimestampTz now);

#endif							/* WEBHOOK_BUDGET_INTERNAL_H */
