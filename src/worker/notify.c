/*
 * notify.c
 *	  What people are told of when it happens.
 *
 * It is told after the state was written, in a transaction of its own: a full
 * queue of notifications is no reason to write nothing. Of an endpoint's URL
 * only scheme, host and path are named: what follows may be a credential.
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "worker/notify.h"

#define CHANNEL "webhook"

static const char *const state_names[] = {
	[WEBHOOK_HEALTH_UNCHANGED] = "",
	[WEBHOOK_HEALTH_OPENED] = "open",
	[WEBHOOK_HEALTH_CLOSED] = "closed",
	[WEBHOOK_HEALTH_WAITING] = "waiting",
	[WEBHOOK_HEALTH_LIMITED] = "limited",
	[WEBHOOK_HEALTH_DISABLED] = "disabled",
};

static void write_log(const WebhookStateChange *changes, const char *reason,
					  const WebhookSubscription *subscription);
static void notify(const WebhookStateChange *changes, int64 subscription_id);

void
webhook_notify_state_change(const WebhookStateChange *changes, const char *reason,
							const WebhookSubscription *subscription)
{
	if (changes->change == WEBHOOK_HEALTH_UNCHANGED)
		return;
	write_log(changes, reason, subscription);
	notify(changes, subscription->id);
}

static void
write_log(const WebhookStateChange *changes, const char *reason,
		  const WebhookSubscription *subscription)
{
	long long	id = subscription->id;
	int			length = strcspn(subscription->endpoint, "?#");
	const char *endpoint = pnstrdup(subscription->endpoint, length);
	const char *until = timestamptz_to_str(changes->until);

	switch (changes->change)
	{
		case WEBHOOK_HEALTH_UNCHANGED:
			break;
		case WEBHOOK_HEALTH_OPENED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s has failed %d times in a row and is tried again at %s",
							id, endpoint, changes->consecutive_failures, until),
					 reason ? errdetail("Last: %s.", reason) : 0));
			break;
		case WEBHOOK_HEALTH_CLOSED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s answers again",
							id, endpoint)));
			break;
		case WEBHOOK_HEALTH_WAITING:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is left alone until %s, as it has asked for",
							id, endpoint, until)));
			break;
		case WEBHOOK_HEALTH_LIMITED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is held back by its rate limit of %g calls a second",
							id, endpoint, subscription->rate_limit)));
			break;
		case WEBHOOK_HEALTH_DISABLED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is disabled; what waits for it is cancelled",
							id, endpoint),
					 reason ? errdetail("Last: %s.", reason) : 0,
					 errhint("Call webhook.alter_subscription(%lld, enabled => true) once its endpoint works, and webhook.recover() to send what it has missed.",
							 id)));
			break;
	}
}

/* Anybody who can connect may listen: no word of who it is, or why. */
static void
notify(const WebhookStateChange *changes, int64 subscription_id)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"subscription\":" INT64_FORMAT ",\"state\":\"%s\",\"until\":",
					 subscription_id, state_names[changes->change]);
	if (changes->until != 0)
		escape_json(&payload, timestamptz_to_str(changes->until));
	else
		appendStringInfoString(&payload, "null");
	appendStringInfoChar(&payload, '}');
	Async_Notify(CHANNEL, payload.data);
	pfree(payload.data);
}
