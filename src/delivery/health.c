/*
 * health.c
 *	  How an endpoint fares, and what that allows.
 *
 * One number says how many requests an endpoint may have in flight: 0 is an
 * open breaker, of which a probe now and then is let through; 1 is slow; from
 * 2 on it grows by one with each success. So a new endpoint is not overrun, and
 * one that fails or keeps us waiting gives its places back at once.
 *
 * Only failures for the endpoint's sake, which another delivery would meet as
 * well, count against it. One contract that it refuses holds up no other.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/health.h"

#define OPEN 0
#define SLOW 1
#define FIRST_LEVEL 2
#define OPENS_AFTER 10			/* failures in a row */
#define FIRST_PROBE 10			/* seconds */
#define LONGEST_PROBE SECS_PER_HOUR
#define GIVES_UP_AFTER (5 * USECS_PER_DAY)
#define GIVES_UP_FAILURES 15
#define LONGEST_PAUSE SECS_PER_DAY	/* that an endpoint may ask for */
#define TELL_INTERVAL (60 * USECS_PER_SEC)	/* between changes of one kind */
#define FORGETS_AFTER 1000		/* durations, then older ones count half */
#define RATE_SPAN (60.0 * USECS_PER_SEC)
#define FIRST_BUCKET 100		/* microseconds */
#define MAX_REASON 500			/* bytes */

static void add_success(WebhookHealth *health,
						const WebhookSubscription *subscription,
						int64 duration, TimestampTz now);
static void set_reason(WebhookState *state, const char *reason);
static bool is_news(TimestampTz *told_at, TimestampTz now);
static void disable(WebhookState *state,
					const WebhookSubscription *subscription, TimestampTz now);
static int	most(const WebhookSubscription *subscription);
static void add_duration(WebhookHealth *health, int64 duration);
static int64 percentile(const WebhookHealth *health, double part);

void
webhook_health_init(WebhookHealth *health, int64 subscription_id)
{
	memset(health, 0, sizeof(WebhookHealth));
	health->state.subscription_id = subscription_id;
	health->state.level = FIRST_LEVEL;
	health->state.p50 = health->state.p95 = -1;
}

void
webhook_health_restore(WebhookHealth *health, const WebhookState *state)
{
	set_reason(&health->state, NULL);
	if (health->state.since != NULL)
		pfree(health->state.since);
	health->state = *state;
	health->state.reason = NULL;
	set_reason(&health->state, state->reason);
	if (state->since != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		health->state.since = webhook_snapshot_copy(state->since);
		MemoryContextSwitchTo(old);
	}

	/* Whoever has edited the row: it means something. */
	health->state.level = Max(health->state.level, OPEN);
	health->state.probe_interval = Min(Max(health->state.probe_interval, FIRST_PROBE),
									   LONGEST_PROBE);
}

bool
webhook_health_is_open(const WebhookHealth *health)
{
	return health->state.level == OPEN;
}

bool
webhook_health_is_slow(const WebhookHealth *health)
{
	return health->state.level <= SLOW;
}

/* Enabling renews "since". */
bool
webhook_health_is_disabled(const WebhookHealth *health,
						   const WebhookSubscription *subscription)
{
	const WebhookState *state = &health->state;

	return state->disabled_at != 0 &&
		(subscription == NULL || state->since == NULL ||
		 (webhook_snapshot_size(state->since) == webhook_snapshot_size(subscription->since) &&
		  memcmp(state->since, subscription->since,
				 webhook_snapshot_size(state->since)) == 0));
}

void
webhook_health_reset(WebhookHealth *health)
{
	WebhookState *state = &health->state;

	if (state->since != NULL)
		pfree(state->since);
	state->since = NULL;
	state->disabled_at = 0;
	state->level = FIRST_LEVEL;
	state->consecutive_failures = 0;
	state->failures = 0;
	state->failing_since = 0;
	state->opened_at = 0;
	state->not_before = 0;
	set_reason(state, NULL);
}

int
webhook_health_limit(const WebhookHealth *health,
					 const WebhookSubscription *subscription)
{
	return Min(Max(health->state.level, 1), most(subscription));
}

TimestampTz
webhook_health_start(WebhookHealth *health,
					 const WebhookSubscription *subscription, bool waiting,
					 TimestampTz now, WebhookHealthChange *change)
{
	double		rate = subscription ? subscription->rate_limit : 0;
	double		burst = Max(rate, 1);

	*change = WEBHOOK_HEALTH_UNCHANGED;
	if (rate <= 0)
	{
		health->filled_at = 0;
		return 0;
	}

	/* A bucket of tokens; a clock that was set back adds none. */
	if (health->filled_at == 0)
		health->tokens = burst;
	else if (now > health->filled_at)
		health->tokens += rate * (now - health->filled_at) / USECS_PER_SEC;
	health->tokens = Min(health->tokens, burst) - 1;
	health->filled_at = now;
	health->filled_by = rate;
	if (health->tokens >= 1)
		return 0;

	if (waiting && is_news(&health->limited_at, now))
		*change = WEBHOOK_HEALTH_LIMITED;
	return now + (TimestampTz) ceil((1 - health->tokens) / rate * USECS_PER_SEC);
}

bool
webhook_health_rate_changed(WebhookHealth *health,
							const WebhookSubscription *subscription)
{
	if (health->filled_at == 0 || subscription == NULL ||
		subscription->rate_limit == health->filled_by)
		return false;
	health->filled_at = 0;
	return true;
}

WebhookHealthChange
webhook_health_end(WebhookHealth *health,
				   const WebhookSubscription *subscription,
				   const WebhookRequestResult *report, TimestampTz now)
{
	WebhookState *state = &health->state;
	WebhookHealthChange change = WEBHOOK_HEALTH_UNCHANGED;

	if (report->delivered)
	{
		bool		was_open = state->level == OPEN;

		add_success(health, subscription, report->duration, now);
		return was_open ? WEBHOOK_HEALTH_CLOSED : WEBHOOK_HEALTH_UNCHANGED;
	}

	state->failures++;
	state->last_failure = now;
	if (state->failing_since == 0)
		state->failing_since = now;
	set_reason(state, report->problem);

	if (!report->is_endpoint_failure)
		state->consecutive_failures = 0;
	else
	{
		state->consecutive_failures++;
		if (state->level == OPEN)
		{
			if (report->probe)
			{
				state->probe_interval = Min(2 * state->probe_interval, LONGEST_PROBE);
				state->not_before = now + state->probe_interval * USECS_PER_SEC;
			}
		}
		else if (state->consecutive_failures >= OPENS_AFTER)
		{
			state->level = OPEN;
			state->opened_at = now;
			state->probe_interval = FIRST_PROBE;
			state->not_before = now + state->probe_interval * USECS_PER_SEC;
			change = WEBHOOK_HEALTH_OPENED;
		}
		else
			state->level = SLOW;
	}

	/* An answer of any kind to a probe shows that somebody is there. */
	if (state->level == OPEN && report->probe && !report->is_endpoint_failure)
	{
		state->level = SLOW;
		state->opened_at = 0;
		state->not_before = 0;
		change = WEBHOOK_HEALTH_CLOSED;
	}

	if (report->retry_after > 0)
	{
		TimestampTz until = now + Min(report->retry_after, LONGEST_PAUSE) * USECS_PER_SEC;

		if (change == WEBHOOK_HEALTH_UNCHANGED && state->level != OPEN &&
			state->not_before <= now && is_news(&health->waiting_at, now))
			change = WEBHOOK_HEALTH_WAITING;
		state->not_before = Max(state->not_before, until);
	}

	if (subscription != NULL && !webhook_health_is_disabled(health, subscription) &&
		(report->gone ||
		 (state->failures >= GIVES_UP_FAILURES &&
		  now - state->failing_since >= GIVES_UP_AFTER)))
	{
		disable(state, subscription, now);
		change = WEBHOOK_HEALTH_DISABLED;
	}
	return change;
}

void
webhook_health_set_back(WebhookHealth *health, int64 by)
{
	if (health->state.not_before != 0)
		health->state.not_before -= by;
}

void
webhook_health_slow(WebhookHealth *health)
{
	health->state.level = Min(health->state.level, SLOW);
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

		/* Nor does it count for giving up. */
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

void
webhook_health_summarize(WebhookHealth *health, TimestampTz now)
{
	WebhookState *state = &health->state;
	double		span = now - health->rated_at;

	state->p50 = percentile(health, 0.5);
	state->p95 = percentile(health, 0.95);

	/* What is older counts less and less. */
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

static void
add_success(WebhookHealth *health, const WebhookSubscription *subscription,
			int64 duration, TimestampTz now)
{
	WebhookState *state = &health->state;

	if (state->level == OPEN)
	{
		state->level = SLOW;
		state->opened_at = 0;
		state->probe_interval = 0;
		state->not_before = 0;
	}
	/* One that took too long has made it slow meanwhile, and leaves it so. */
	if (duration < WEBHOOK_SLOW_REQUEST)
		state->level = Min(state->level + 1,
						   Max(most(subscription), FIRST_LEVEL));
	state->consecutive_failures = 0;
	state->failures = 0;
	state->failing_since = 0;
	state->last_success = now;
	if (state->not_before <= now)
		set_reason(state, NULL);
	add_duration(health, duration);
}

/* How many requests it may have in flight at best. */
static int
most(const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->max_in_flight > 0 ?
		subscription->max_in_flight : webhook_max_in_flight_per_subscription;
}

static void
set_reason(WebhookState *state, const char *reason)
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

/* What comes again and again is told now and then; a clock may be set back. */
static bool
is_news(TimestampTz *told_at, TimestampTz now)
{
	if (now >= *told_at && now - *told_at < TELL_INTERVAL)
		return false;
	*told_at = now;
	return true;
}

/* Remembered is which "since" that was about, so that enabling ends it. */
static void
disable(WebhookState *state, const WebhookSubscription *subscription,
		TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	if (state->since != NULL)
		pfree(state->since);
	state->since = webhook_snapshot_copy(subscription->since);
	state->disabled_at = now;
	MemoryContextSwitchTo(old);
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
	if (++health->ndurations < FORGETS_AFTER)
		return;
	health->ndurations = 0;
	for (int i = 0; i < WEBHOOK_DURATIONS; i++)
		health->ndurations += health->durations[i] /= 2;
}

/* The middle of the bucket that the part of all durations ends in; -1: none. */
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
