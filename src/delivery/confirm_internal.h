/*
 * confirm_internal.h
 *	  Proof of the endpoint: it is asked for a challenge before it gets anything
 *	  else. Pure functions of their arguments.
 */
#ifndef WEBHOOK_CONFIRM_INTERNAL_H
#define WEBHOOK_CONFIRM_INTERNAL_H

#include "delivery/delivery.h"
#include "delivery/retry_policy_internal.h"

/* Returns true if the endpoint has to answer a challenge, and has not. NULL: it is gone. */
extern bool webhook_confirm_is_open(const WebhookState *state,
									const WebhookSubscription *subscription);

/* A new challenge starts anew. Returns true if there is one; "subscription" may be NULL. */
extern bool webhook_confirm_follow(WebhookState *state, const WebhookSubscription *subscription,
								   TimestampTz now);

/* Keep in bounds what a row of the table says, which may have been written by another clock. */
extern void webhook_confirm_bound(WebhookState *state, TimestampTz now);

/* The event that asks for the challenge, with one reference, in TopMemoryContext. */
extern WebhookEvent *webhook_confirm_event(const WebhookSubscription *subscription);

/* Count a request; it was not made after all, and is due at another time. */
extern void webhook_confirm_start(WebhookState *state, TimestampTz now);
extern void webhook_confirm_take_back(WebhookState *state, TimestampTz at);

/* Returns true if a delivery asks for the present challenge; "subscription" may be NULL. */
extern bool webhook_confirm_is_of(const WebhookPending *delivery,
								  const WebhookSubscription *subscription);

/* Why the request has failed, in CurrentMemoryContext. */
extern char *webhook_confirm_error(const WebhookHttpTransfer *transfer);

/* A request has ended: decide what follows. "subscription" may be NULL. */
extern WebhookRetryDecision webhook_confirm_end(WebhookState *state,
												const WebhookSubscription *subscription,
												const WebhookPending *delivery,
												const WebhookHttpTransfer *transfer,
												TimestampTz now);

#endif							/* WEBHOOK_CONFIRM_INTERNAL_H */
