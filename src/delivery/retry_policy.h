/*
 * retry_policy.h
 *	  What an answer means. A pure function of its inputs.
 */
#ifndef WEBHOOK_VERDICT_H
#define WEBHOOK_VERDICT_H

#include "store/store.h"
#include "subscription/subscription.h"

/* Did it fail for the endpoint's sake: would another delivery fare as ill? */
extern bool webhook_retry_is_endpoint_failure(const WebhookHttpTransfer *transfer);

/* Does the endpoint want no more at all? */
extern bool webhook_retry_is_gone(const WebhookHttpTransfer *transfer);

/* Seconds that an overloaded endpoint asks to be left alone for; 0: none. */
extern int64 webhook_retry_after(const WebhookHttpTransfer *transfer);

/*
 * What becomes of a delivery after its POST: WEBHOOK_DELIVERED, _FAILED or
 * _RETRYING. "next_at" is when to try again. The subscription's rules count,
 * or, where it is NULL, the settings. A probe that fails for the endpoint's
 * sake proves nothing of the delivery. A ping is made once.
 */
extern WebhookOutcome webhook_retry_decide(const WebhookPending *delivery,
										   const WebhookSubscription *subscription,
										   const WebhookHttpTransfer *transfer,
										   bool probe, TimestampTz now,
										   TimestampTz *next_at);

/* Why it failed: a constant class and a text. */
extern const char *webhook_retry_error_class(const WebhookHttpTransfer *transfer);
extern char *webhook_retry_error(const WebhookHttpTransfer *transfer);

#endif							/* WEBHOOK_VERDICT_H */
