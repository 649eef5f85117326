/*
 * retry_policy_internal.h
 *	  What the result of a POST means: for the delivery, and for its endpoint.
 */
#ifndef WEBHOOK_RETRY_POLICY_INTERNAL_H
#define WEBHOOK_RETRY_POLICY_INTERNAL_H

#include "store/store.h"
#include "subscription/subscription.h"

typedef struct WebhookRetryDecision
{
	WebhookOutcome outcome;		/* WEBHOOK_DELIVERED, _RETRYING or _FAILED */
	TimestampTz next_at;		/* of WEBHOOK_RETRYING: when the next attempt is due */
	const char *error_class;	/* a constant; NULL if delivered */
	bool		endpoint_failure;	/* any other delivery would have failed, too (connection,
									 * TLS, timeout, 408, 429, 5xx) */
	bool		costs_step;		/* of WEBHOOK_RETRYING: a step of the schedule is used up */
	bool		shows_endpoint; /* the result says something of the endpoint, good or bad */
	bool		gone;			/* the endpoint answered 410 Gone */
	int64		retry_after;	/* seconds that an overloaded endpoint asks to be left alone; 0:
								 * none */
} WebhookRetryDecision;

/*
 * Decide what follows a POST. The subscription's rules count, or the settings
 * where it is NULL. A failed probe does not use up a step of the retry
 * schedule. A ping is not retried, unless it never had a fair chance.
 */
extern WebhookRetryDecision webhook_retry_decide(const WebhookPending *delivery,
												 const WebhookSubscription *subscription,
												 const WebhookHttpTransfer *transfer,
												 bool probe, TimestampTz now);

/*
 * Returns true if an attempt before the present one, which is counted, has used up no step of the
 * schedule. Of an event that is sent again that is not known: its attempts go on from the former
 * ones.
 */
extern bool webhook_retry_had_free_attempt(const WebhookPending *delivery);

/* Why the attempt failed, on one line, in CurrentMemoryContext. */
extern char *webhook_retry_error(const WebhookHttpTransfer *transfer);

#endif							/* WEBHOOK_RETRY_POLICY_INTERNAL_H */
