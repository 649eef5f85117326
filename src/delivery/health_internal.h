/*
 * health_internal.h
 *	  Health of one endpoint: circuit breaker, concurrency limit, rate limit,
 *	  statistics, automatic disabling. Pure functions of their arguments.
 */
#ifndef WEBHOOK_HEALTH_INTERNAL_H
#define WEBHOOK_HEALTH_INTERNAL_H

#include "delivery/delivery.h"
#include "delivery/rate_limit_internal.h"
#include "delivery/retry_policy_internal.h"

/* A request that takes longer makes its subscription slow; microseconds. */
#define WEBHOOK_SLOW_REQUEST (INT64CONST(2) * USECS_PER_SEC)

/* Buckets of the histogram of durations; they grow by half an octave. */
#define WEBHOOK_DURATIONS 40

typedef struct WebhookHealth
{
	WebhookState state;			/* what is kept in the table */
	WebhookRateLimit rate_limit;
	TimestampTz limited_at;		/* when the change "limited" was last told */
	bool		waits;			/* it waits, as Retry-After asks */
	TimestampTz rated_at;		/* when state.rate was last worked out */
	int64		rated_delivered;	/* state.delivered at that time */
	int			ndurations;		/* sum of durations[] */
	int			durations[WEBHOOK_DURATIONS];	/* requests that succeeded, by duration */
} WebhookHealth;

/* The health of a subscription that nothing is known of. */
extern void webhook_health_init(WebhookHealth *health, int64 subscription_id);

/* Take over a saved state; what it points to is copied into TopMemoryContext. */
extern void webhook_health_restore(WebhookHealth *health, const WebhookState *state,
								   TimestampTz now);

/* Free what the health points to. */
extern void webhook_health_free(WebhookHealth *health);

/* Returns true if the breaker is open or half-open: only probes may be sent. */
extern bool webhook_health_is_open(const WebhookHealth *health);

/* Returns true if requests are charged to the slow pool. */
extern bool webhook_health_is_slow(const WebhookHealth *health);

/* Returns true if the subscription was disabled by us and not enabled since. */
extern bool webhook_health_is_disabled(const WebhookHealth *health,
									   const WebhookSubscription *subscription);

/* Returns true if the endpoint answers, but took too long for a request. */
extern bool webhook_health_hangs(const WebhookHealth *health);

/* Forget all failures: the breaker closes, the concurrency starts at its beginning. */
extern WebhookHealthChange webhook_health_reset(WebhookHealth *health);

/* Requests are sent from now on: the breaker closes, a wait by Retry-After ends. */
extern WebhookHealthChange webhook_health_try_again(WebhookHealth *health);

/* A time that was waited for has come. */
extern WebhookHealthChange webhook_health_wait_over(WebhookHealth *health, TimestampTz now);

/* How many requests may be in flight; the subscription may be NULL. */
extern int	webhook_health_limit(const WebhookHealth *health,
								 const WebhookSubscription *subscription);

/*
 * Count a request as started. Returns the earliest time for the next one, 0 if
 * it may start now. "waiting": another delivery is ready.
 */
extern TimestampTz webhook_health_start(WebhookHealth *health,
										const WebhookSubscription *subscription,
										bool waiting, TimestampTz now,
										WebhookHealthChange *change);

/* A probe is under way, or was not sent: the open breaker is half-open meanwhile. */
extern void webhook_health_probe(WebhookHealth *health, bool under_way);

/*
 * Returns true if the rate limit differs from the one that requests were
 * counted by; the bucket is full then, and a delay by the former limit is over.
 */
extern bool webhook_health_rate_changed(WebhookHealth *health,
										const WebhookSubscription *subscription);

/* What one POST has shown. */
typedef struct WebhookRequestResult
{
	const WebhookRetryDecision *decision;
	bool		probe;			/* it was sent while the breaker was open */
	int64		duration;		/* microseconds */
	const char *problem;		/* the error of a failure, for people */
} WebhookRequestResult;

/* Count a request as ended; the subscription may be NULL: it is gone. */
extern WebhookHealthChange webhook_health_end(WebhookHealth *health,
											  const WebhookSubscription *subscription,
											  const WebhookRequestResult *result,
											  TimestampTz now);

/* The clock was set back by so many microseconds: times that are waited for move along. */
extern void webhook_health_set_back(WebhookHealth *health, int64 by);

/* A request has been under way for too long. */
extern void webhook_health_slow(WebhookHealth *health);

/* The subscription may not send from now on (paused, fenced, sending off), or may again. */
extern void webhook_health_suspend(WebhookHealth *health, bool suspended, TimestampTz now);

/* Convert a time to the subscription's own clock, which stops while it may not send. */
extern TimestampTz webhook_health_active_time(const WebhookHealth *health,
											  TimestampTz instant, TimestampTz now);

/* Returns true at most once a minute, by the time that *told_at keeps. */
extern bool webhook_health_may_tell(TimestampTz *told_at, TimestampTz now);

/* Why the last request failed; NULL: it did not. The text is copied, and cut. */
extern void webhook_health_set_reason(WebhookState *state, const char *reason);

/* Bring the derived parts of the state, percentiles and rate, up to date. */
extern void webhook_health_summarize(WebhookHealth *health, TimestampTz now);

#endif							/* WEBHOOK_HEALTH_INTERNAL_H */
