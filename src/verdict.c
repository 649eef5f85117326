/*
 * verdict.c
 *	  What an answer means.
 *
 * A 2xx whose transfer ended properly, or was cut by us at the limit, is a
 * success (RFC 9110, section 15.3); everything else is tried again by the
 * schedule, but for 410 Gone (15.5.11), which says that it would be in vain.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "verdict.h"

#define MAX_RETRY_AFTER 86400	/* seconds */

static TimestampTz next_attempt(const WebhookPending *delivery,
								const WebhookHttpTransfer *transfer,
								TimestampTz now);

bool
webhook_verdict_is_ailing(const WebhookHttpTransfer *transfer)
{
	return transfer->error != WEBHOOK_HTTP_OK || transfer->status >= 500 ||
		transfer->status == 408 || transfer->status == 429;
}

WebhookResult
webhook_verdict(const WebhookPending *delivery,
				const WebhookHttpTransfer *transfer,
				TimestampTz now, TimestampTz *next_at)
{
	if (transfer->error == WEBHOOK_HTTP_OK)
	{
		if (transfer->status >= 200 && transfer->status < 300)
			return WEBHOOK_DELIVERED;
		if (transfer->status == 410)
			return WEBHOOK_FAILED;
	}
	if (delivery->step >= webhook_retry_schedule()->count)
		return WEBHOOK_FAILED;
	*next_at = next_attempt(delivery, transfer, now);
	return WEBHOOK_RETRYING;
}

const char *
webhook_verdict_class(const WebhookHttpTransfer *transfer)
{
	return transfer->error == WEBHOOK_HTTP_OK ? "status" :
		webhook_http_error_name(transfer->error);
}

char *
webhook_verdict_error(const WebhookHttpTransfer *transfer)
{
	if (transfer->error != WEBHOOK_HTTP_OK)
		return pstrdup(transfer->message);
	return psprintf("the endpoint answered with status %d", transfer->status);
}

/*
 * The step of the schedule, give or take a fifth, or what an overloaded
 * receiver asks for, if that is longer. The jitter comes from the event's id,
 * so that it differs among deliveries and not between runs.
 */
static TimestampTz
next_attempt(const WebhookPending *delivery,
			 const WebhookHttpTransfer *transfer, TimestampTz now)
{
	uint64		seed = (uint64) delivery->subscription_id * 1000 + delivery->step;
	uint64		hash = hash_bytes_extended(delivery->event->event_id.data,
										   UUID_LEN, seed);
	double		factor = 0.8 + 0.4 * ((uint32) hash / (double) PG_UINT32_MAX);
	int64		wait;

	wait = webhook_retry_schedule()->seconds[delivery->step] * factor * USECS_PER_SEC;
	switch (transfer->status)
	{
		case 429:
		case 502:
		case 503:
		case 504:
			if (transfer->retry_after > 0)
				wait = Max(wait, Min(transfer->retry_after, MAX_RETRY_AFTER) * USECS_PER_SEC);
			break;
		default:
			break;
	}
	return now + wait;
}
