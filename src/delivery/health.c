/*
 * health.c
 *	  Health of one endpoint.
 *
 * The concurrency is the number of requests that may be in flight. It starts at
 * 2 and grows by one with each success; 1 is slow: a failure, or a request that
 * takes longer than two seconds, brings it back there. So a new endpoint is
 * not overrun, and one that fails or hangs frees the fast pool at once.
 *
 * The breaker opens after ten failures of the endpoint in a row. Then only
 * probes are sent, one at a time. While a probe is under way, the breaker is
 * half-open. Any answer that is not a failure of the endpoint closes it.
 *
 * Concurrency and breaker count only failures of the endpoint itself. A 4xx for
 * one delivery does not slow down the others. So a concurrency of 1 without a
 * failure in a row is that of an endpoint that answers, but hangs: whatever ends a
 * row of failures ends their concurrency, too.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/steady.h"
#include "delivery/confirm_internal.h"
#include "delivery/health_internal.h"

#define SLOW 1					/* concurrency of an endpoint that fails or hangs */
#define FIRST_CONCURRENCY 2
#define OPENS_AFTER 10			/* failures in a row */
#define FIRST_PROBE 10			/* seconds */
#define LONGEST_PROBE SECS_PER_HOUR
#define LONGEST_WAIT USECS_PER_DAY	/* that a Retry-After may ask for */
#define DISABLES_AFTER (5 * USECS_PER_DAY)
#define DISABLES_FAILURES 15
#define TELL_INTERVAL (60 * USECS_PER_SEC)	/* between two changes of one kind */
#define HALVES_AFTER 1000		/* durations: then all counts are halved */
#define RATE_SPAN (60.0 * USECS_PER_SEC)
#define FIRST_BUCKET 100		/* microseconds */
#define MAX_REASON 500			/* bytes */

static WebhookHealthChange record_success(WebhookHealth *health,
										  const WebhookSubscription *subscription,
										  int64 duration, TimestampTz now);
static WebhookHealthChange record_failure(WebhookHealth *health,
										  const WebhookRequestResult *result, TimestampTz now);
static WebhookHealthChange record_endpoint_failure(WebhookState *state, bool probe,
												   TimestampTz now);
static void open_breaker(WebhookState *state, TimestampTz now);
static void close_breaker(WebhookState *state);
static void end_failures(WebhookState *state);
static void record_retry_after(WebhookHealth *health, int64 seconds, TimestampTz now,
							   WebhookHealthChange *change);
static bool must_disable(const WebhookHealth *health, const WebhookSubscription *subscription,
						 bool gone, TimestampTz now);
static void disable(WebhookState *state, const WebhookSubscription *subscription,
					TimestampTz now);
static int	max_concurrency(const WebhookSubscription *subscription);
static void add_duration(WebhookHealth *health, int64 duration);
static int64 percentile(const WebhookHealth *health, double part);

void
webhook_health_init(WebhookHealth *health, int64 subscription_id)
{
	memset(health, 0, sizeof(WebhookHealth));
	health->state.subscription_id = subscription_id;
	health->state.concurrency = FIRST_CONCURRENCY;
	health->state.p50 = health->state.p95 = -1;
	health->state.state = WEBHOOK_STATE_ACTIVE;
}

void
webhook_health_restore(WebhookHealth *health, const WebhookState *state, TimestampTz now)
{
	webhook_health_free(health);
	health->state = *state;
	health->state.reason = NULL;
	health->state.disabled_start_snapshot = NULL;
	webhook_health_set_reason(&health->state, state->reason);
	if (state->disabled_start_snapshot != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		health->state.disabled_start_snapshot =
			webhook_snapshot_copy(state->disabled_start_snapshot);
		MemoryContextSwitchTo(old);
	}

	/* The probe of a half-open breaker ended with the former process. */
	if (webhook_health_is_open(health))
	{
		health->state.breaker = WEBHOOK_BREAKER_OPEN;
		health->state.concurrency = SLOW;
	}

	/* The clock may have been ahead when the row was written. */
	if (health->state.not_before - now > LONGEST_WAIT)
		health->state.not_before = now;
	health->state.failing_since = Min(health->state.failing_since, now);
	health->state.suspended_at = Min(health->state.suspended_at, now);
	webhook_confirm_bound(&health->state, now);

	/* The row may have been edited by hand: keep what is in range. */
	health->state.concurrency = Max(health->state.concurrency, SLOW);
	health->state.probe_interval = Min(Max(health->state.probe_interval, FIRST_PROBE),
									   LONGEST_PROBE);
}

void
webhook_health_free(WebhookHealth *health)
{
	webhook_health_set_reason(&health->state, NULL);
	if (health->state.disabled_start_snapshot != NULL)
		pfree(health->state.disabled_start_snapshot);
	health->state.disabled_start_snapshot = NULL;
}

bool
webhook_health_is_open(const WebhookHealth *health)
{
	return health->state.breaker != WEBHOOK_BREAKER_CLOSED;
}

bool
webhook_health_is_slow(const WebhookHealth *health)
{
	return health->state.concurrency <= SLOW;
}

bool
webhook_health_hangs(const WebhookHealth *health)
{
	return webhook_health_is_slow(health) && health->state.consecutive_failures == 0;
}

/* Enabling a subscription gives it another start snapshot. */
bool
webhook_health_is_disabled(const WebhookHealth *health, const WebhookSubscription *subscription)
{
	const WebhookState *state = &health->state;
	const WebhookSnapshot *start = state->disabled_start_snapshot;

	return state->disabled_at != 0 &&
		(subscription == NULL || start == NULL ||
		 webhook_snapshot_equal(start, subscription->since));
}

WebhookHealthChange
webhook_health_reset(WebhookHealth *health)
{
	WebhookState *state = &health->state;
	WebhookHealthChange change = webhook_health_try_again(health);

	if (state->disabled_start_snapshot != NULL)
		pfree(state->disabled_start_snapshot);
	state->disabled_start_snapshot = NULL;
	state->disabled_at = 0;
	state->concurrency = FIRST_CONCURRENCY;
	state->failures_since_success = 0;
	state->failing_since = 0;
	webhook_health_set_reason(state, NULL);
	return change;
}

WebhookHealthChange
webhook_health_try_again(WebhookHealth *health)
{
	bool		was_open = webhook_health_is_open(health);
	bool		waited = health->waits;

	end_failures(&health->state);
	close_breaker(&health->state);
	health->waits = false;
	return was_open ? WEBHOOK_HEALTH_CLOSED :
		waited ? WEBHOOK_HEALTH_WAIT_OVER : WEBHOOK_HEALTH_UNCHANGED;
}

WebhookHealthChange
webhook_health_wait_over(WebhookHealth *health, TimestampTz now)
{
	if (!health->waits || webhook_health_is_open(health) || health->state.not_before > now)
		return WEBHOOK_HEALTH_UNCHANGED;
	health->waits = false;
	return WEBHOOK_HEALTH_WAIT_OVER;
}

int
webhook_health_limit(const WebhookHealth *health,
					 const WebhookSubscription *subscription)
{
	return Min(health->state.concurrency, max_concurrency(subscription));
}

TimestampTz
webhook_health_start(WebhookHealth *health,
					 const WebhookSubscription *subscription, bool waiting,
					 TimestampTz now, WebhookHealthChange *change)
{
	double		rate = subscription ? subscription->rate_limit : 0;
	TimestampTz until = webhook_rate_limit_start(&health->rate_limit, rate, now);

	*change = WEBHOOK_HEALTH_UNCHANGED;
	if (until != 0 && waiting && webhook_health_may_tell(&health->limited_at, now))
		*change = WEBHOOK_HEALTH_LIMITED;
	return until;
}

bool
webhook_health_rate_changed(WebhookHealth *health,
							const WebhookSubscription *subscription)
{
	return subscription != NULL &&
		webhook_rate_limit_changed(&health->rate_limit, subscription->rate_limit);
}

void
webhook_health_probe(WebhookHealth *health, bool under_way)
{
	if (webhook_health_is_open(health))
		health->state.breaker = under_way ? WEBHOOK_BREAKER_HALF_OPEN : WEBHOOK_BREAKER_OPEN;
}

WebhookHealthChange
webhook_health_end(WebhookHealth *health, const WebhookSubscription *subscription,
				   const WebhookRequestResult *result, TimestampTz now)
{
	WebhookState *state = &health->state;
	const WebhookRetryDecision *decision = result->decision;
	WebhookHealthChange change;

	if (decision->outcome == WEBHOOK_DELIVERED)
		return record_success(health, subscription, result->duration, now);

	change = record_failure(health, result, now);
	if (decision->retry_after > 0)
		record_retry_after(health, decision->retry_after, now, &change);
	if (must_disable(health, subscription, decision->gone, now))
	{
		disable(state, subscription, now);
		change = WEBHOOK_HEALTH_DISABLED;
	}
	if (change == WEBHOOK_HEALTH_OPENED || change == WEBHOOK_HEALTH_DISABLED)
		health->waits = false;
	return change;
}

void
webhook_health_set_back(WebhookHealth *health, int64 by)
{
	if (health->state.not_before != 0)
		health->state.not_before -= by;
	if (health->state.confirm_next_at != 0)
		health->state.confirm_next_at -= by;
}

void
webhook_health_slow(WebhookHealth *health)
{
	health->state.concurrency = SLOW;
}

void
webhook_health_suspend(WebhookHealth *health, bool suspended, TimestampTz now)
{
	WebhookState *state = &health->state;

	if (suspended && state->suspended_at == 0)
		state->suspended_at = now;
	else if (!suspended && state->suspended_at != 0)
	{
		int64		span = Max(now - state->suspended_at, 0);

		state->suspended += span;
		state->suspended_at = 0;

		/* Suspended time does not count for disabling either. */
		if (state->failing_since != 0)
			state->failing_since += span;
	}
}

TimestampTz
webhook_health_active_time(const WebhookHealth *health, TimestampTz instant,
						   TimestampTz now)
{
	const WebhookState *state = &health->state;
	int64		suspended = state->suspended;

	if (state->suspended_at != 0)
		suspended += Max(now - state->suspended_at, 0);
	return instant - suspended;
}

/* The clock may be set back. */
bool
webhook_health_may_tell(TimestampTz *told_at, TimestampTz now)
{
	if (now >= *told_at && now - *told_at < TELL_INTERVAL)
		return false;
	*told_at = now;
	return true;
}

void
webhook_health_summarize(WebhookHealth *health, TimestampTz now)
{
	WebhookState *state = &health->state;
	double		span = now - health->rated_at;

	state->p50 = percentile(health, 0.5);
	state->p95 = percentile(health, 0.95);

	/* An exponential average over RATE_SPAN. */
	if (health->rated_at != 0 && span > 0)
	{
		double		weight = exp(-span / RATE_SPAN);
		int64		delivered = state->delivered - health->rated_delivered;

		state->rate = weight * state->rate +
			(1 - weight) * delivered * USECS_PER_SEC / span;
	}
	health->rated_at = now;
	health->rated_delivered = state->delivered;
}

void
webhook_health_set_reason(WebhookState *state, const char *reason)
{
	if (state->reason != NULL)
		pfree(state->reason);
	state->reason = NULL;
	if (reason != NULL)
	{
		int			length = pg_mbcliplen(reason, strlen(reason), MAX_REASON);

		state->reason = MemoryContextAlloc(TopMemoryContext, length + 1);
		memcpy(state->reason, reason, length);
		state->reason[length] = '\0';
	}
}

static WebhookHealthChange
record_success(WebhookHealth *health, const WebhookSubscription *subscription,
			   int64 duration, TimestampTz now)
{
	WebhookState *state = &health->state;
	bool		was_open = webhook_health_is_open(health);

	if (was_open)
	{
		close_breaker(state);
		state->probe_interval = 0;
	}

	/* A request that was slow has set the concurrency already, and leaves it there. */
	if (duration < WEBHOOK_SLOW_REQUEST)
		state->concurrency = Min(state->concurrency + 1,
								 Max(max_concurrency(subscription), FIRST_CONCURRENCY));
	state->consecutive_failures = 0;
	state->failures_since_success = 0;
	state->failing_since = 0;
	state->last_success = now;
	if (state->not_before <= now)
		webhook_health_set_reason(state, NULL);
	add_duration(health, duration);
	return was_open ? WEBHOOK_HEALTH_CLOSED : WEBHOOK_HEALTH_UNCHANGED;
}

static WebhookHealthChange
record_failure(WebhookHealth *health, const WebhookRequestResult *result, TimestampTz now)
{
	WebhookState *state = &health->state;
	bool		was_open;

	state->failures_since_success++;
	state->last_failure = now;
	if (state->failing_since == 0)
		state->failing_since = now;
	webhook_health_set_reason(state, result->problem);

	if (result->decision->endpoint_failure)
		return record_endpoint_failure(state, result->probe, now);

	/* A probe that is no failure of the endpoint closes the breaker. */
	was_open = webhook_health_is_open(health);
	if (was_open && !result->probe)
	{
		state->consecutive_failures = 0;
		return WEBHOOK_HEALTH_UNCHANGED;
	}
	if (result->duration < WEBHOOK_SLOW_REQUEST)
		end_failures(state);
	state->consecutive_failures = 0;
	if (was_open)
		close_breaker(state);
	return was_open ? WEBHOOK_HEALTH_CLOSED : WEBHOOK_HEALTH_UNCHANGED;
}

/* The result of a request that started before the breaker opened does not change the breaker. */
static WebhookHealthChange
record_endpoint_failure(WebhookState *state, bool probe, TimestampTz now)
{
	state->consecutive_failures++;
	if (state->breaker != WEBHOOK_BREAKER_CLOSED)
	{
		if (probe)
		{
			state->probe_interval = Min(2 * state->probe_interval, LONGEST_PROBE);
			open_breaker(state, now);
		}
		return WEBHOOK_HEALTH_UNCHANGED;
	}

	state->concurrency = SLOW;
	if (state->consecutive_failures < OPENS_AFTER)
		return WEBHOOK_HEALTH_UNCHANGED;
	state->opened_at = now;
	state->probe_interval = FIRST_PROBE;
	open_breaker(state, now);
	return WEBHOOK_HEALTH_OPENED;
}

/* Open, until the next probe. */
static void
open_breaker(WebhookState *state, TimestampTz now)
{
	state->breaker = WEBHOOK_BREAKER_OPEN;
	state->not_before = now + state->probe_interval * USECS_PER_SEC;
}

static void
close_breaker(WebhookState *state)
{
	state->breaker = WEBHOOK_BREAKER_CLOSED;
	state->opened_at = 0;
	state->not_before = 0;
}

/* The endpoint does not fail at present. The breaker may be open yet, for such failures. */
static void
end_failures(WebhookState *state)
{
	if (state->consecutive_failures > 0 || state->breaker != WEBHOOK_BREAKER_CLOSED)
		state->concurrency = Max(state->concurrency, FIRST_CONCURRENCY);
	state->consecutive_failures = 0;
}

/* The wait is a state change, unless this result is one already. */
static void
record_retry_after(WebhookHealth *health, int64 seconds, TimestampTz now,
				   WebhookHealthChange *change)
{
	WebhookState *state = &health->state;

	if (*change == WEBHOOK_HEALTH_UNCHANGED && !webhook_health_is_open(health))
	{
		*change = WEBHOOK_HEALTH_WAITING;
		health->waits = true;
	}
	state->not_before = Max(state->not_before, now + seconds * USECS_PER_SEC);
}

/* The endpoint answered 410 Gone, or nothing was delivered for days in spite of attempts. */
static bool
must_disable(const WebhookHealth *health, const WebhookSubscription *subscription,
			 bool gone, TimestampTz now)
{
	const WebhookState *state = &health->state;

	return subscription != NULL && !webhook_health_is_disabled(health, subscription) &&
		(gone || (state->failures_since_success >= DISABLES_FAILURES &&
				  webhook_steady_time(now) - state->failing_since >= DISABLES_AFTER));
}

/* The start snapshot is remembered, so that enabling ends it. */
static void
disable(WebhookState *state, const WebhookSubscription *subscription, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (state->disabled_start_snapshot != NULL)
		pfree(state->disabled_start_snapshot);
	state->disabled_start_snapshot = webhook_snapshot_copy(subscription->since);
	state->disabled_at = now;
	MemoryContextSwitchTo(old);
}

/* The concurrency of a healthy endpoint. */
static int
max_concurrency(const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->max_in_flight > 0 ?
		subscription->max_in_flight : webhook_max_in_flight_per_subscription;
}

/* Buckets grow by half an octave from 100 microseconds on. */
static void
add_duration(WebhookHealth *health, int64 duration)
{
	int			bucket = 0;

	if (duration > FIRST_BUCKET)
		bucket = Min((int) (2 * log2((double) duration / FIRST_BUCKET)) + 1,
					 WEBHOOK_DURATIONS - 1);
	health->durations[bucket]++;
	if (++health->ndurations < HALVES_AFTER)
		return;
	health->ndurations = 0;
	for (int i = 0; i < WEBHOOK_DURATIONS; i++)
		health->ndurations += health->durations[i] /= 2;
}

/* Microseconds: the middle of the bucket in which that part of all durations ends; -1: none. */
static int64
percentile(const WebhookHealth *health, double part)
{
	int			seen = 0;

	for (int i = 0; i < WEBHOOK_DURATIONS; i++)
	{
		seen += health->durations[i];
		if (seen > 0 && seen >= part * health->ndurations)
			return (int64) (FIRST_BUCKET * pow(2, (i - 0.5) / 2));
	}
	return -1;
}
