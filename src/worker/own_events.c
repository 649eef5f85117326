/*
 * own_events.c
 *	  The extension's own events: what it tells of a subscription goes through
 *	  the ring, like any event, to whoever subscribes to it.
 *
 * No event is about a subscription that itself takes one of them, so no event
 * follows from another: two that watch each other are silent. An event is written
 * only if somebody takes it, in a transaction of its own, behind what it tells of;
 * one that cannot be written is left out.
 *
 * Deliveries that fail may be many. Of one subscription they are one event a
 * minute, with their number; a process that ends takes the numbers of its last
 * minute along.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ring/ring.h"
#include "worker/own_events_internal.h"
#include "worker/transaction_internal.h"

#define OPENED "webhook.subscription.opened"
#define CLOSED "webhook.subscription.closed"
#define DISABLED "webhook.subscription.disabled"
#define ENABLED "webhook.subscription.enabled"
#define FAILED "webhook.delivery.failed"

/* Between two looks at the failures that were noted. */
#define FAILURES_DELAY USECS_PER_SEC

/* Events of failures in one transaction. */
#define MOST_FAILURES 500

/* The failed deliveries of a subscription. */
typedef struct Failures
{
	int64		subscription_id;	/* hash key */
	int			count;			/* since the last event */
	TimestampTz told_at;		/* when the last event was written; 0: there was none */
	const char *state;			/* of the subscription, when the last one failed */
	char		reason[256];	/* why that one failed; empty: it is not known */
} Failures;

static struct
{
	HTAB	   *failures;		/* of Failures; NULL: there was none */
	TimestampTz looked_at;		/* when they were last looked at */
}			own;

static const char *type_of(const WebhookStateChange *change);
static bool is_taken(const char *event_type, const WebhookSubscription *about);
static bool takes_own(const WebhookSubscription *subscription);
static void publish(const char *event_type, const WebhookSubscription *about, const char *state,
					const char *reason, int count);
static HTAB *failures_table(void);
static void publish_failures(void *arg);
static bool has_due(TimestampTz now);
static bool is_due(const Failures *failures, TimestampTz now);

bool
webhook_own_events_has(const WebhookStateChange *change, const WebhookSubscription *subscription)
{
	const char *event_type = type_of(change);

	return event_type != NULL && is_taken(event_type, subscription);
}

void
webhook_own_events_publish(const WebhookStateChange *change,
						   const WebhookSubscription *subscription, const char *reason)
{
	publish(type_of(change), subscription, change->state, reason, 1);
}

/* The event of a change; NULL: it is none. */
static const char *
type_of(const WebhookStateChange *change)
{
	bool		was_open = change->former != NULL &&
		strcmp(change->former, WEBHOOK_STATE_OPEN) == 0;
	bool		was_disabled = change->former != NULL &&
		strcmp(change->former, WEBHOOK_STATE_DISABLED) == 0;

	if (change->change == WEBHOOK_HEALTH_UNCHANGED || change->change == WEBHOOK_HEALTH_ALTERED ||
		change->change == WEBHOOK_HEALTH_LIMITED ||
		change->change == WEBHOOK_HEALTH_TENANT_LIMITED)
		return NULL;
	if (strcmp(change->state, WEBHOOK_STATE_GONE) == 0)
		return NULL;
	if (strcmp(change->state, WEBHOOK_STATE_DISABLED) == 0)
		return was_disabled ? NULL : DISABLED;
	if (was_disabled)
		return ENABLED;
	if (strcmp(change->state, WEBHOOK_STATE_OPEN) == 0)
		return was_open ? NULL : OPENED;
	if (was_open && (strcmp(change->state, WEBHOOK_STATE_ACTIVE) == 0 ||
					 strcmp(change->state, WEBHOOK_STATE_SLOW) == 0))
		return CLOSED;
	return NULL;
}

/* Returns true if somebody takes an event of that type about a subscription. */
static bool
is_taken(const char *event_type, const WebhookSubscription *about)
{
	WebhookEvent event = {.kind = WEBHOOK_EVENT};

	if (about == NULL || takes_own(about))
		return false;
	event.event_type = event_type;
	event.tenant = about->tenant;
	return webhook_subscription_count_matches(&event) > 0;
}

/* The extension's types are named, no pattern includes them. */
static bool
takes_own(const WebhookSubscription *subscription)
{
	for (int i = 0; i < subscription->nevents; i++)
	{
		if (webhook_pattern_is_own(subscription->events[i], strlen(subscription->events[i])))
			return true;
	}
	return false;
}

static void
publish(const char *event_type, const WebhookSubscription *about, const char *state,
		const char *reason, int count)
{
	StringInfoData data;
	WebhookEvent event = {.kind = WEBHOOK_EVENT};

	initStringInfo(&data);
	appendStringInfo(&data, "{\"Subscription\":" INT64_FORMAT ",\"State\":\"%s\",\"Reason\":",
					 about->id, state);
	if (reason != NULL && reason[0] != '\0')
		escape_json(&data, reason);
	else
		appendStringInfoString(&data, "null");
	appendStringInfo(&data, ",\"Count\":%d}", count);

	event.created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event.event_id, event.created_at);
	event.event_type = event_type;
	event.subject = psprintf("subscription/" INT64_FORMAT, about->id);
	event.tenant = about->tenant;
	event.data = data.data;
	webhook_ring_append(&event);
}

void
webhook_own_events_note_failure(const WebhookDelivery *delivery)
{
	int64		id = delivery->entry.delivery.subscription_id;
	const char *reason = delivery->entry.error != NULL ? delivery->entry.error : "";
	Failures   *failures;
	bool		found;

	if (delivery->entry.outcome != WEBHOOK_FAILED ||
		delivery->entry.delivery.cause == WEBHOOK_CAUSE_PING ||
		!is_taken(FAILED, webhook_subscription_get(id)))
		return;
	failures = hash_search(failures_table(), &id, HASH_ENTER, &found);
	if (!found)
	{
		failures->count = 0;
		failures->told_at = 0;
	}
	failures->count++;
	failures->state = webhook_delivery_state(delivery)->state;
	strlcpy(failures->reason, reason,
			pg_mbcliplen(reason, strlen(reason), sizeof(failures->reason) - 1) + 1);
}

static HTAB *
failures_table(void)
{
	if (own.failures == NULL)
	{
		HASHCTL		control = {0};

		control.hcxt = TopMemoryContext;
		control.keysize = sizeof(int64);
		control.entrysize = sizeof(Failures);
		own.failures = hash_create("webhook failed deliveries", 16, &control,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return own.failures;
}

void
webhook_own_events_publish_failures(TimestampTz now)
{
	if (own.failures == NULL || hash_get_num_entries(own.failures) == 0 ||
		(now >= own.looked_at && now - own.looked_at < FAILURES_DELAY))
		return;
	own.looked_at = now;
	if (has_due(now))
		(void) webhook_transaction_try("publishing failures of deliveries", publish_failures,
									   &now);
}

/* Returns true if one is to be told of. Forgets those that have had no failure for a minute. */
static bool
has_due(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	Failures   *failures;
	bool		found = false;

	hash_seq_init(&scan, own.failures);
	while ((failures = hash_seq_search(&scan)) != NULL)
	{
		if (!is_due(failures, now))
			continue;
		if (failures->count > 0)
			found = true;
		else
			(void) hash_search(own.failures, &failures->subscription_id, HASH_REMOVE, NULL);
	}
	return found;
}

/* If the clock was set back, nobody knows how long ago the last one was told. */
static bool
is_due(const Failures *failures, TimestampTz now)
{
	return failures->told_at == 0 || now < failures->told_at ||
		now - failures->told_at >= USECS_PER_MINUTE;
}

/* What fails is not told in this minute. */
static void
publish_failures(void *arg)
{
	TimestampTz now = *(TimestampTz *) arg;
	HASH_SEQ_STATUS scan;
	Failures   *failures;
	int			told = 0;

	hash_seq_init(&scan, own.failures);
	while ((failures = hash_seq_search(&scan)) != NULL)
	{
		const WebhookSubscription *about = webhook_subscription_get(failures->subscription_id);
		int			count = failures->count;

		if (count == 0 || !is_due(failures, now))
			continue;
		failures->count = 0;
		failures->told_at = now;
		if (is_taken(FAILED, about))
			publish(FAILED, about, failures->state, failures->reason, count);
		if (++told == MOST_FAILURES)
		{
			hash_seq_term(&scan);
			break;
		}
	}
}
