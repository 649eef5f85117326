/*
 * health.h
 *	  How an endpoint fares, and what that allows: how many requests at once,
 *	  when the next, and when it is given up. A pure function of its inputs.
 */
#ifndef WEBHOOK_HEALTH_H
#define WEBHOOK_HEALTH_H

#include "store/store.h"
#include "subscription/subscription.h"

/* A change that people are told of. */
typedef enum WebhookHealthChange
{
	WEBHOOK_HEALTH_UNCHANGED,
	WEBHOOK_HEALTH_OPENED,		/* the breaker has opened */
	WEBHOOK_HEALTH_CLOSED,		/* ... and closed */
	WEBHOOK_HEALTH_WAITING,		/* the endpoint has asked for a pause */
	WEBHOOK_HEALTH_LIMITED,		/* the rate limit holds deliveries back */
	WEBHOOK_HEALTH_DISABLED,	/* it is given up */
} WebhookHealthChange;

/* One, as it happened. */
typedef struct WebhookStateChange
{
	WebhookHealthChange change;
	int			consecutive_failures;	/* failures in a row, then */
	TimestampTz until;			/* no request before; 0: none */
} WebhookStateChange;

/* What one POST has shown. */
typedef struct WebhookRequestResult
{
	bool		delivered;
	bool		is_endpoint_failure;	/* it failed for the endpoint's sake */
	bool		gone;			/* 410: the endpoint wants no more */
	bool		probe;			/* it was sent while the breaker was open */
	int64		retry_after;	/* seconds that the endpoint asks for; 0: none */
	int64		duration;		/* microseconds */
	const char *problem;		/* of a failure, for people */
} WebhookRequestResult;

/* A request that takes longer makes its subscription slow; microseconds. */
#define WEBHOOK_SLOW_REQUEST (INT64CONST(2) * USECS_PER_SEC)

#define WEBHOOK_DURATIONS 40	/* buckets of a histogram */

typedef struct WebhookHealth
{
	WebhookState state;			/* what a restart has to know */
	double		tokens;			/* of the rate limit's bucket */
	TimestampTz filled_at;		/* 0: it is full */
	double		filled_by;		/* the limit that it is counted by */
	TimestampTz limited_at;		/* when it was last told that the limit holds */
	TimestampTz waiting_at;		/* ... that the endpoint has asked for a pause */
	TimestampTz rated_at;		/* when the rate was last worked out */
	int64		rated_delivered;
	int			ndurations;
	int			durations[WEBHOOK_DURATIONS];
} WebhookHealth;

/* Of a subscription that nothing is known of. */
extern void webhook_health_init(WebhookHealth *health, int64 subscription_id);

/* As it was when it was saved; takes the state over. */
extern void webhook_health_restore(WebhookHealth *health, const WebhookState *state);

/* Is its breaker open? Is it slow: do its requests take places of their own? */
extern bool webhook_health_is_open(const WebhookHealth *health);
extern bool webhook_health_is_slow(const WebhookHealth *health);

/* Is it given up, until it is enabled anew? */
extern bool webhook_health_is_disabled(const WebhookHealth *health,
									   const WebhookSubscription *subscription);

/* It begins anew: nothing of its past counts any more. */
extern void webhook_health_reset(WebhookHealth *health);

/* How many requests it may have in flight; the subscription may be NULL. */
extern int	webhook_health_limit(const WebhookHealth *health,
								 const WebhookSubscription *subscription);

/*
 * A request starts. Until when no other may; 0: it may at once. "waiting" tells
 * whether another would.
 */
extern TimestampTz webhook_health_start(WebhookHealth *health,
										const WebhookSubscription *subscription,
										bool waiting, TimestampTz now,
										WebhookHealthChange *change);

/*
 * Is its rate limit another one than requests were counted by? Then the bucket
 * is full, and what it waited for is over.
 */
extern bool webhook_health_rate_changed(WebhookHealth *health,
										const WebhookSubscription *subscription);

/* A request has ended. The subscription may be NULL: it has gone meanwhile. */
extern WebhookHealthChange webhook_health_end(WebhookHealth *health,
											  const WebhookSubscription *subscription,
											  const WebhookRequestResult *report,
											  TimestampTz now);

/* The clock was set back by so many microseconds: what it waits for is, too. */
extern void webhook_health_set_back(WebhookHealth *health, int64 by);

/* A request is under way for too long. */
extern void webhook_health_slow(WebhookHealth *health);

/* It may not send from now on (paused, sending off), or may again. */
extern void webhook_health_suspend(WebhookHealth *health, bool suspended,
								   TimestampTz now);

/*
 * An instant less the time that it was suspended before: the difference of two is
 * the time that has counted in between.
 */
extern TimestampTz webhook_health_active_time(const WebhookHealth *health,
											  TimestampTz instant, TimestampTz now);

/* Bring what is derived, percentiles and rate, up to date before saving. */
extern void webhook_health_summarize(WebhookHealth *health, TimestampTz now);

#endif							/* WEBHOOK_HEALTH_H */
