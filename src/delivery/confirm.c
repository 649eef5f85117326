/*
 * confirm.c
 *	  Proof of the endpoint: it is asked for a challenge before it gets anything
 *	  else.
 *
 * Sessions write the challenge into the row of the subscription, anew for each
 * endpoint; the worker keeps what came of it with the state of the subscription.
 * Both have the Id of the event that asks, so what came of a former challenge is
 * of no account.
 *
 * A stranger's endpoint may be asked, too. So there are three requests, whatever
 * they bring. One is counted when it starts, and the count is saved at once: a crash
 * adds one only if it takes the count along.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/confirm_internal.h"

/* Seconds from one request to the next one. */
static const int waits[] = {60, 600};

static bool is_success(const WebhookHttpTransfer *transfer);
static bool is_same(const pg_uuid_t *a, const pg_uuid_t *b);
static TimestampTz next_time(const WebhookState *state, TimestampTz now);
static bool has_challenge(const WebhookHttpTransfer *transfer, const char *challenge);

bool
webhook_confirm_is_open(const WebhookState *state, const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->challenge != NULL &&
		(state->confirmed_at == 0 ||
		 !is_same(&state->confirmation, &subscription->confirmation));
}

bool
webhook_confirm_follow(WebhookState *state, const WebhookSubscription *subscription,
					   TimestampTz now)
{
	if (subscription == NULL || subscription->challenge == NULL ||
		is_same(&state->confirmation, &subscription->confirmation))
		return false;
	state->confirmation = subscription->confirmation;
	state->confirmed_at = 0;
	state->confirm_attempts = 0;
	state->confirm_next_at = subscription->challenge[0] != '\0' ? now : 0;
	return true;
}

void
webhook_confirm_bound(WebhookState *state, TimestampTz now)
{
	int64		longest = waits[lengthof(waits) - 1] * USECS_PER_SEC;

	state->confirm_attempts = Max(state->confirm_attempts, 0);
	if (state->confirm_attempts > lengthof(waits))
		state->confirm_next_at = 0;
	state->confirm_next_at = Min(state->confirm_next_at, now + longest);
}

WebhookEvent *
webhook_confirm_event(const WebhookSubscription *subscription)
{
	WebhookEventTexts texts = {
		.event_type = webhook_text("webhook.confirm"),
		.tenant = webhook_text(subscription->tenant),
		.data = webhook_text("{}")
	};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	WebhookEvent *event = webhook_event_make(&texts);

	MemoryContextSwitchTo(old);
	event->event_id = subscription->confirmation;
	event->created_at = subscription->challenged_at;
	event->kind = WEBHOOK_EVENT;
	return event;
}

void
webhook_confirm_start(WebhookState *state, TimestampTz now)
{
	state->confirm_attempts++;
	state->confirm_next_at = next_time(state, now);
}

void
webhook_confirm_take_back(WebhookState *state, TimestampTz at)
{
	state->confirm_attempts--;
	state->confirm_next_at = at;
}

bool
webhook_confirm_is_of(const WebhookPending *delivery, const WebhookSubscription *subscription)
{
	return subscription != NULL && subscription->challenge != NULL &&
		is_same(&delivery->event->event_id, &subscription->confirmation);
}

char *
webhook_confirm_error(const WebhookHttpTransfer *transfer)
{
	return is_success(transfer) ? pstrdup("the endpoint did not answer with the challenge") :
		webhook_retry_error(transfer);
}

WebhookRetryDecision
webhook_confirm_end(WebhookState *state, const WebhookSubscription *subscription,
					const WebhookPending *delivery, const WebhookHttpTransfer *transfer,
					TimestampTz now)
{
	WebhookRetryDecision decision = {0};
	int			status = transfer->error == WEBHOOK_HTTP_OK ? transfer->status : 0;
	bool		is_present = webhook_confirm_is_of(delivery, subscription);

	if (is_present && is_success(transfer) && has_challenge(transfer, subscription->challenge))
	{
		state->confirmed_at = now;
		state->confirm_next_at = 0;
		decision.outcome = WEBHOOK_DELIVERED;
		return decision;
	}
	decision.error_class = status != 0 ? "status" : webhook_http_error_name(transfer->error);
	if (is_success(transfer))
		decision.error_class = "challenge";
	if (is_present)
		state->confirm_next_at = next_time(state, now);
	decision.outcome = is_present && state->confirm_next_at != 0 ?
		WEBHOOK_RETRYING : WEBHOOK_FAILED;
	return decision;
}

/* Returns true if the endpoint has answered 2xx. */
static bool
is_success(const WebhookHttpTransfer *transfer)
{
	return transfer->error == WEBHOOK_HTTP_OK && transfer->status >= 200 && transfer->status < 300;
}

static bool
is_same(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, UUID_LEN) == 0;
}

/*
 * When the next request is due after as many as there were; 0: there is none. None
 * were if the state has been restored while a request was on its way.
 */
static TimestampTz
next_time(const WebhookState *state, TimestampTz now)
{
	int			attempts = Max(state->confirm_attempts, 1);

	return attempts > lengthof(waits) ? 0 : now + waits[attempts - 1] * USECS_PER_SEC;
}

/* Returns true if the body of the response is the challenge, but for blanks around it. */
static bool
has_challenge(const WebhookHttpTransfer *transfer, const char *challenge)
{
	const char *body = transfer->response_body;
	size_t		length = transfer->response_length;

	while (length > 0 && strchr(" \t\r\n", *body) != NULL && *body != '\0')
	{
		body++;
		length--;
	}
	while (length > 0 && strchr(" \t\r\n", body[length - 1]) != NULL && body[length - 1] != '\0')
		length--;
	return length == strlen(challenge) && memcmp(body, challenge, length) == 0;
}
