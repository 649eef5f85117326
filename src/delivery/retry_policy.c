/*
 * retry_policy.c
 *	  What an answer means.
 *
 * A 2xx whose transfer ended properly, or was cut by us at the limit, is a
 * success (RFC 9110, section 15.3); everything else is tried again by the
 * schedule, but for 410 Gone (15.5.11), which says that it would be in vain, and
 * for what a subscription takes as final.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "delivery/retry_policy.h"

#define MAX_RETRY_AFTER 86400	/* seconds */

static const WebhookSchedule *schedule_of(const WebhookSubscription *subscription);
static bool is_final(const WebhookSubscription *subscription, int status);
static TimestampTz next_attempt(const WebhookPending *delivery,
								const WebhookSchedule *schedule,
								const WebhookHttpTransfer *transfer,
								TimestampTz now);

/* What is our own fault says nothing of the endpoint. */
bool
webhook_retry_is_endpoint_failure(const WebhookHttpTransfer *transfer)
{
	if (transfer->error != WEBHOOK_HTTP_OK)
		return transfer->error != WEBHOOK_HTTP_INTERNAL;
	return transfer->status >= 500 || transfer->status == 408 ||
		transfer->status == 429;
}

bool
webhook_retry_is_gone(const WebhookHttpTransfer *transfer)
{
	return transfer->error == WEBHOOK_HTTP_OK && transfer->status == 410;
}

int64
webhook_retry_after(const WebhookHttpTransfer *transfer)
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

WebhookOutcome
webhook_retry_decide(const WebhookPending *delivery,
					 const WebhookSubscription *subscription,
					 const WebhookHttpTransfer *transfer, bool probe,
					 TimestampTz now, TimestampTz *next_at)
{
	const WebhookSchedule *schedule = schedule_of(subscription);

	if (transfer->error == WEBHOOK_HTTP_OK)
	{
		if (transfer->status >= 200 && transfer->status < 300)
			return WEBHOOK_DELIVERED;
		if (transfer->status == 410 || is_final(subscription, transfer->status))
			return WEBHOOK_FAILED;
	}
	if (delivery->cause == WEBHOOK_CAUSE_PING)
		return WEBHOOK_FAILED;
	if (probe && webhook_retry_is_endpoint_failure(transfer))
	{
		/* Behind all that is due, so that the next probe tries another. */
		*next_at = now;
		return WEBHOOK_RETRYING;
	}
	if (delivery->step >= schedule->count)
		return WEBHOOK_FAILED;
	*next_at = next_attempt(delivery, schedule, transfer, now);
	return WEBHOOK_RETRYING;
}

const char *
webhook_retry_error_class(const WebhookHttpTransfer *transfer)
{
	return transfer->error == WEBHOOK_HTTP_OK ? "status" :
		webhook_http_error_name(transfer->error);
}

/* On one line: parts of a message may be the endpoint's own words. */
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

static const WebhookSchedule *
schedule_of(const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->schedule != NULL ?
		subscription->schedule : webhook_retry_schedule();
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

/*
 * The step of the schedule, give or take a fifth, or what an overloaded
 * receiver asks for, if that is longer. The jitter comes from the event's id,
 * so that it differs among deliveries and not between runs.
 */
static TimestampTz
next_attempt(const WebhookPending *delivery, const WebhookSchedule *schedule,
			 const WebhookHttpTransfer *transfer, TimestampTz now)
{
	uint64		seed = (uint64) delivery->subscription_id * 1000 + delivery->step;
	uint64		hash = hash_bytes_extended(delivery->event->event_id.data,
										   UUID_LEN, seed);
	double		factor = 0.8 + 0.4 * ((uint32) hash / (double) PG_UINT32_MAX);
	int64		wait = schedule->seconds[delivery->step] * factor * USECS_PER_SEC;

	return now + Max(wait, webhook_retry_after(transfer) * USECS_PER_SEC);
}
