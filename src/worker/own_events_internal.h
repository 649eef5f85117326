/*
 * own_events_internal.h
 *	  The extension's own events: what it tells of a subscription goes through
 *	  the ring, like any event, to whoever subscribes to it.
 */
#ifndef WEBHOOK_OWN_EVENTS_INTERNAL_H
#define WEBHOOK_OWN_EVENTS_INTERNAL_H

#include "delivery/delivery.h"

/*
 * Returns true if a change of a subscription's state is an event that somebody
 * takes. The subscription is NULL if it is gone.
 */
extern bool webhook_own_events_has(const WebhookStateChange *change,
								   const WebhookSubscription *subscription);

/* Append that event to the ring, in a transaction. "reason" is the state's, or NULL. */
extern void webhook_own_events_publish(const WebhookStateChange *change,
									   const WebhookSubscription *subscription,
									   const char *reason);

/* A delivery has failed for good: counted if somebody takes the event. */
extern void webhook_own_events_note_failure(const WebhookDelivery *delivery);

/* Publish the events of such deliveries that are due: one a subscription and minute. */
extern void webhook_own_events_publish_failures(TimestampTz now);

#endif							/* WEBHOOK_OWN_EVENTS_INTERNAL_H */
