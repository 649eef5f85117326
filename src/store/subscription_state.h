/*
 * subscription_state.h
 *	  Rows of webhook.subscription_state: what a worker has found out about the
 *	  endpoint of each subscription. The worker alone writes them.
 */
#ifndef WEBHOOK_STATE_H
#define WEBHOOK_STATE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "base/snapshot.h"

/* One row. An instant of 0 is NULL in the table; so is a negative duration. */
typedef struct WebhookState
{
	int64		subscription_id;
	int			level;			/* 0: the breaker is open; 1: slow; from 2 on: how many requests it
								 * may have in flight */
	int			consecutive_failures;	/* failures in a row, for the endpoint's sake */
	int64		failures;		/* of any kind, since the last success */
	TimestampTz failing_since;	/* the first of these */
	TimestampTz last_success;
	TimestampTz last_failure;
	TimestampTz opened_at;		/* the breaker, if it is open */
	int64		probe_interval; /* seconds from one probe to the next */
	TimestampTz not_before;		/* no request before: a probe's time, or the endpoint has asked for
								 * it */
	char	   *reason;			/* of what is not well; NULL: nothing */
	TimestampTz disabled_at;	/* given up, while ... */
	WebhookSnapshot *since;		/* ... the subscription began here */
	TimestampTz suspended_at;	/* since when it may not send */
	int64		suspended;		/* microseconds that it might not, before */
	int64		delivered;		/* deliveries */
	int64		failed;			/* deliveries that ended otherwise */
	int64		retried;		/* attempts that failed and were repeated */
	int64		filter_errors;	/* events that the filter had no answer for */
	double		rate;			/* deliveries a second, over a minute or so */
	int64		p50;			/* microseconds of a request, of late */
	int64		p95;
	TimestampTz saved_at;
} WebhookState;

/* All of these need a transaction. */

/* All rows, as a List of WebhookState in CurrentMemoryContext. */
extern List *webhook_state_load(void);

/* Write rows, new ones or in place of what is there; dates them. */
extern void webhook_state_save(WebhookState *const *states, int count,
							   TimestampTz now);

/* Remove the row of a subscription that has gone. */
extern void webhook_state_forget(int64 subscription_id);

#endif							/* WEBHOOK_STATE_H */
