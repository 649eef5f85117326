/*
 * notify_internal.h
 *	  Tells people of a subscription's state changes: a line in the server's log
 *	  and a NOTIFY on channel "webhook".
 */
#ifndef WEBHOOK_NOTIFY_INTERNAL_H
#define WEBHOOK_NOTIFY_INTERNAL_H

#include "delivery/delivery.h"

/*
 * Tell of one change, in a transaction. "reason" is the present one of the
 * subscription's state, or NULL; the tenant is that of the subscription, NULL for the
 * platform's; the subscription is NULL if it is gone. The
 * payload is a JSON object of subscription, state and until; listeners get it
 * when the transaction commits.
 */
extern void webhook_notify_state_change(const WebhookStateChange *change, int64 subscription_id,
										const char *reason, const char *tenant,
										const WebhookSubscription *subscription);

#endif							/* WEBHOOK_NOTIFY_INTERNAL_H */
