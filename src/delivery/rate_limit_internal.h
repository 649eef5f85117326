/*
 * rate_limit_internal.h
 *	  A rate limit: a bucket of tokens, one second's worth. Time is an argument.
 */
#ifndef WEBHOOK_RATE_LIMIT_INTERNAL_H
#define WEBHOOK_RATE_LIMIT_INTERNAL_H

#include "datatype/timestamp.h"

/* Zeroed, it is a full bucket. */
typedef struct WebhookRateLimit
{
	double		tokens;			/* in the bucket */
	TimestampTz filled_at;		/* when "tokens" was worked out; 0: the bucket is full */
	double		filled_by;		/* the rate that "tokens" was worked out by */
} WebhookRateLimit;

/*
 * Count a request as started; "rate" is requests a second, 0: no limit. Returns
 * the earliest time for the next one, 0 if it may start now.
 */
extern TimestampTz webhook_rate_limit_start(WebhookRateLimit *limit, double rate, TimestampTz now);

/*
 * Returns true if the rate differs from the one that requests were counted by; the
 * bucket is full then, and a delay by the former rate is over.
 */
extern bool webhook_rate_limit_changed(WebhookRateLimit *limit, double rate);

#endif							/* WEBHOOK_RATE_LIMIT_INTERNAL_H */
