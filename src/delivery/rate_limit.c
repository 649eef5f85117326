/*
 * rate_limit.c
 *	  A rate limit: of a subscription, of a tenant.
 */
#include "postgres.h"

#include <math.h>

#include "utils/timestamp.h"

#include "delivery/rate_limit_internal.h"

/* A clock that was set back adds no tokens. */
TimestampTz
webhook_rate_limit_start(WebhookRateLimit *limit, double rate, TimestampTz now)
{
	double		burst = Max(rate, 1);

	if (rate <= 0)
	{
		limit->filled_at = 0;
		return 0;
	}
	if (limit->filled_at == 0)
		limit->tokens = burst;
	else if (now > limit->filled_at)
		limit->tokens += rate * (now - limit->filled_at) / USECS_PER_SEC;
	limit->tokens = Min(limit->tokens, burst) - 1;
	limit->filled_at = now;
	limit->filled_by = rate;
	if (limit->tokens >= 1)
		return 0;
	return now + (TimestampTz) ceil((1 - limit->tokens) / rate * USECS_PER_SEC);
}

bool
webhook_rate_limit_changed(WebhookRateLimit *limit, double rate)
{
	if (limit->filled_at == 0 || rate == limit->filled_by)
		return false;
	limit->filled_at = 0;
	return true;
}
