/*
 * budget_internal.h
 *	  Limits on memory that delivery/ itself applies.
 */
#ifndef WEBHOOK_BUDGET_INTERNAL_H
#define WEBHOOK_BUDGET_INTERNAL_H

#include "delivery/delivery_internal.h"

/* The part of all queued deliveries that each busy queue, and one more, may have. */
extern int	webhook_budget_share(const WebhookDispatcher *dispatcher);

#endif							/* WEBHOOK_BUDGET_INTERNAL_H */
