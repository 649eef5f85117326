/*
 * notice.c
 *	  What people are told of when it happens.
 *
 * The line in the log comes with the transaction that writes the state, so a
 * turn is told once; if that transaction fails it may be told again. Of an
 * endpoint's URL only scheme, host and path are named: what follows may be a
 * credential.
 */
#include "postgres.h"

#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "notice.h"

#define CHANNEL "webhook"

static const char *const state_names[] = {
	[WEBHOOK_TURN_NONE] = "",
	[WEBHOOK_TURN_OPENED] = "open",
	[WEBHOOK_TURN_CLOSED] = "closed",
	[WEBHOOK_TURN_WAITING] = "waiting",
	[WEBHOOK_TURN_LIMITED] = "limited",
	[WEBHOOK_TURN_DISABLED] = "disabled",
};

static void write_log(WebhookTurn turn, const WebhookState *state,
					  const WebhookSubscription *subscription);
static void notify(WebhookTurn turn, const WebhookState *state);

void
webhook_notice_tell(WebhookTurn turn, const WebhookState *state,
					const WebhookSubscription *subscription)
{
	if (turn == WEBHOOK_TURN_NONE)
		return;
	write_log(turn, state, subscription);
	notify(turn, state);
}

static void
write_log(WebhookTurn turn, const WebhookState *state,
		  const WebhookSubscription *subscription)
{
	long long	id = subscription->id;
	int			length = strcspn(subscription->endpoint, "?#");
	const char *endpoint = pnstrdup(subscription->endpoint, length);
	const char *until = timestamptz_to_str(state->waits_until);

	switch (turn)
	{
		case WEBHOOK_TURN_NONE:
			break;
		case WEBHOOK_TURN_OPENED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s has failed %d times in a row and is tried again at %s",
							id, endpoint, state->streak, until),
					 state->reason ? errdetail("Last: %s.", state->reason) : 0));
			break;
		case WEBHOOK_TURN_CLOSED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s answers again",
							id, endpoint)));
			break;
		case WEBHOOK_TURN_WAITING:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is left alone until %s, as it has asked for",
							id, endpoint, until)));
			break;
		case WEBHOOK_TURN_LIMITED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is held back by its rate limit of %g calls a second",
							id, endpoint, subscription->rate_limit)));
			break;
		case WEBHOOK_TURN_DISABLED:
			ereport(LOG,
					(errmsg("webhook: subscription %lld to %s is disabled; what waits for it is cancelled",
							id, endpoint),
					 state->reason ? errdetail("Last: %s.", state->reason) : 0,
					 errhint("Call webhook.alter_subscription(%lld, enabled => true) once its endpoint works, and webhook.recover() to send what it has missed.",
							 id)));
			break;
	}
}

static void
notify(WebhookTurn turn, const WebhookState *state)
{
	StringInfoData payload;

	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"subscription\":" INT64_FORMAT ",\"state\":\"%s\",\"reason\":",
					 state->subscription_id, state_names[turn]);
	if (state->reason != NULL)
		escape_json(&payload, state->reason);
	else
		appendStringInfoString(&payload, "null");
	appendStringInfoString(&payload, ",\"until\":");
	if (state->waits_until != 0)
		escape_json(&payload, timestamptz_to_str(state->waits_until));
	else
		appendStringInfoString(&payload, "null");
	appendStringInfoChar(&payload, '}');
	Async_Notify(CHANNEL, payload.data);
	pfree(payload.data);
}
