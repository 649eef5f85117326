/*
 * retry_policy.c
 *	  What the result of a POST means.
 *
 * A 2xx whose transfer ended properly, or was cut by us at the limit, is a
 * success (RFC 9110, section 15.3). Every other result is retried, except 410
 * Gone (section 15.5.11) and the subscription's final_statuses.
 *
 * An attempt that never had a fair chance, because this server stopped or a
 * kept connection happened to end, costs nothing: the next one follows at once.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/retry_policy_internal.h"

#define MAX_RETRY_AFTER SECS_PER_DAY

static bool is_free(const WebhookPending *delivery, const WebhookHttpTransfer *transfer);
static bool is_endpoint_failure(const WebhookHttpTransfer *transfer);
static int64 retry_after(const WebhookHttpTransfer *transfer);
static bool is_final(const WebhookSubscription *subscription, int status);
static const WebhookSchedule *schedule_of(const WebhookSubscription *subscription);
static TimestampTz next_attempt(const WebhookPending *delivery, const WebhookSchedule *schedule,
								int64 retry_after, TimestampTz now);

WebhookRetryDecision
webhook_retry_decide(const WebhookPending *delivery, const WebhookSubscription *subscription,
					 const WebhookHttpTransfer *transfer, bool probe, TimestampTz now)
{
	WebhookRetryDecision decision = {0};
	const WebhookSchedule *schedule = schedule_of(subscription);
	int			status = transfer->error == WEBHOOK_HTTP_OK ? transfer->status : 0;

	decision.shows_endpoint = transfer->error != WEBHOOK_HTTP_INTERNAL;
	if (status >= 200 && status < 300)
	{
		decision.outcome = WEBHOOK_DELIVERED;
		return decision;
	}
	decision.error_class = status != 0 ? "status" : webhook_http_error_name(transfer->error);
	if (is_free(delivery, transfer))
	{
		decision.shows_endpoint = false;
		decision.outcome = WEBHOOK_RETRYING;
		decision.next_at = now;
		return decision;
	}
	decision.endpoint_failure = is_endpoint_failure(transfer);
	decision.gone = status == 410;
	decision.retry_after = retry_after(transfer);

	decision.outcome = WEBHOOK_FAILED;
	if (decision.gone || is_final(subscription, status) ||
		delivery->cause == WEBHOOK_CAUSE_PING)
		return decision;
	if (probe && decision.endpoint_failure)
	{
		/* Due behind all that is due now, so that the next probe tries another delivery. */
		decision.outcome = WEBHOOK_RETRYING;
		decision.next_at = now;
	}
	else if (delivery->step < schedule->count)
	{
		decision.outcome = WEBHOOK_RETRYING;
		decision.costs_step = !probe;
		decision.next_at = next_attempt(delivery, schedule, decision.retry_after, now);
	}
	return decision;
}

/* Parts of the message may be the endpoint's words: control characters become blanks. */
char *
webhook_retry_error(const WebhookHttpTransfer *transfer)
{
	char	   *error;

	if (transfer->error == WEBHOOK_HTTP_OK)
		return psprintf("the endpoint answered with status %d", transfer->status);
	error = pstrdup(transfer->message);
	for (char *c = error; *c; c++)
	{
		if ((unsigned char) *c < ' ' || *c == '\177')
			*c = ' ';
	}
	return error;
}

bool
webhook_retry_had_free_attempt(const WebhookPending *delivery)
{
	return delivery->cause != WEBHOOK_CAUSE_RESEND && delivery->cause != WEBHOOK_CAUSE_RECOVER &&
		delivery->attempt - 1 > delivery->step;
}

/*
 * Returns true if the attempt costs nothing. A kept connection that ended is an excuse once for a
 * delivery: from then on, each of its attempts has a new connection. For an event
 * that is sent again it always is: there are no more of them than connections that are kept.
 */
static bool
is_free(const WebhookPending *delivery, const WebhookHttpTransfer *transfer)
{
	return transfer->error == WEBHOOK_HTTP_SHUTDOWN ||
		(transfer->left_unanswered && !webhook_retry_had_free_attempt(delivery));
}

/* An error within our own process does not count against the endpoint. */
static bool
is_endpoint_failure(const WebhookHttpTransfer *transfer)
{
	if (transfer->error != WEBHOOK_HTTP_OK)
		return transfer->error != WEBHOOK_HTTP_INTERNAL;
	return transfer->status >= 500 || transfer->status == 408 || transfer->status == 429;
}

/* The header counts with these statuses only, whatever the transfer ended with. */
static int64
retry_after(const WebhookHttpTransfer *transfer)
{
	switch (transfer->status)
	{
		case 429:
		case 502:
		case 503:
		case 504:
			return Min(Max(transfer->retry_after, 0), MAX_RETRY_AFTER);
		default:
			return 0;
	}
}

static bool
is_final(const WebhookSubscription *subscription, int status)
{
	for (int i = 0; subscription != NULL && i < subscription->nfinal; i++)
	{
		if (subscription->final_statuses[i] == status)
			return true;
	}
	return false;
}

static const WebhookSchedule *
schedule_of(const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->schedule != NULL ?
		subscription->schedule : webhook_retry_schedule();
}

/*
 * The step of the schedule ±20 %, or what an overloaded endpoint asks for, if
 * that is longer. The jitter comes from the event's id: it differs between
 * deliveries and not between runs.
 */
static TimestampTz
next_attempt(const WebhookPending *delivery, const WebhookSchedule *schedule,
			 int64 retry_after, TimestampTz now)
{
	uint64		seed = (uint64) delivery->subscription_id * 1000 + delivery->step;
	uint64		hash = hash_bytes_extended(delivery->event->event_id.data, UUID_LEN, seed);
	double		factor = 0.8 + 0.4 * ((uint32) hash / (double) PG_UINT32_MAX);
	int64		wait = schedule->seconds[delivery->step] * factor * USECS_PER_SEC;

	return now + Max(wait, retry_after * USECS_PER_SEC);
}
