/*
 * budget_internal.h
 *	  Limits on memory that delivery/ itself applies.
 */
#ifndef WEBHOOK_BUDGET_INTERNAL_H
#define WEBHOOK_BUDGET_INTERNAL_H

#include "delivery/delivery_internal.h"

/* Returns true if so much is queued that nothing may wait for long. */
extern bool webhook_budget_is_scarce(const WebhookDispatcher *dispatcher);

/* The part of all queued deliveries that each busy queue, and one more, may have. */
extern int	webhook_budget_share(const WebhookDispatcher *dispatcher);

#endif							/* WEBHOOK_BUDGET_INTERNAL_H */
