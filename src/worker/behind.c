/*
 * behind.c
 *	  Subscriptions that are behind: what is read for them waits in a tail.
 *
 * Reading never waits for a subscription. A subscription is behind if its queue
 * has its share of memory, if earlier rows of it wait already, or, for rows of
 * newer windows, if the unread rest of the older window has an event type that it
 * takes, or a replay for it. What is read for it goes to the end of a tail and is offered from
 * there, in order, as soon as there is room. Others get theirs at once.
 *
 * There are two tails: of the older window, and of what was read from newer
 * windows beside it. When the older window has been read to its end, the second
 * follows the first.
 *
 * A queue that is spilling, and one that may not send, has room: what is offered
 * to it goes to pending. So what has waited for two seconds goes there, too, and
 * nobody waits longer behind a slow endpoint. Commands wait in the tail behind
 * the deliveries that they are about.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "worker/behind_internal.h"
#include "worker/sender_internal.h"

/* How long an entry waits for its subscription before it goes to pending. */
#define WAIT_LIMIT (INT64CONST(2) * USECS_PER_SEC)

static struct
{
	WebhookDispatcher *dispatcher;
	WebhookTail *older;			/* of the older window, and all before it */
	WebhookTail *newer;			/* of newer windows; empty if there is no older one */
	const List *rest;			/* types of the older window: WebhookWindowType * */
	bool		known;			/* these are all; false: it may have any */
	int64		upto_id;		/* it is read up to here; -1: there is no older window */
	int			with_room;		/* index of the enabled subscription that had room last */
}			behind;

/* A walk over those who take what is unread of the older window; zero at its begin. */
typedef struct Takers
{
	int			type;			/* index in behind.rest */
	int			cursor;			/* of webhook_subscription_next_enabled() */
} Takers;

static bool has_room(int64 subscription_id);
static bool is_in_rest(int64 subscription_id);
static bool takes(const WebhookSubscription *subscription, const WebhookWindowType *type);
static bool has_waited(TimestampTz since, TimestampTz now);
static void spill_rest(void);
static const WebhookSubscription *next_taker(Takers *takers);

void
webhook_behind_init(WebhookDispatcher *dispatcher)
{
	memset(&behind, 0, sizeof(behind));
	behind.dispatcher = dispatcher;
	behind.older = webhook_tail_new();
	behind.newer = webhook_tail_new();
	behind.upto_id = -1;
}

void
webhook_behind_set_older(const List *types, bool known, int64 upto_id)
{
	behind.rest = types;
	behind.known = known;
	behind.upto_id = upto_id;
	if (upto_id < 0)
		webhook_tail_append(behind.older, behind.newer);
}

bool
webhook_behind_is(int64 subscription_id, bool older)
{
	return webhook_tail_has(behind.older, subscription_id) ||
		(!older && (webhook_tail_has(behind.newer, subscription_id) ||
					is_in_rest(subscription_id))) ||
		!has_room(subscription_id);
}

void
webhook_behind_add(const WebhookEvent *event, int64 subscription_id, bool older)
{
	webhook_tail_add(older || behind.upto_id < 0 ? behind.older : behind.newer, event,
					 subscription_id, NULL);
}

void
webhook_behind_keep(WebhookBatch *batch, TimestampTz now)
{
	webhook_tail_keep(behind.older, batch, now);
	webhook_tail_keep(behind.newer, batch, now);
}

bool
webhook_behind_drop(void)
{
	bool		older = webhook_tail_drop(behind.older);

	return webhook_tail_drop(behind.newer) && older;
}

/*
 * If anything of newer windows waits, it waits for the end of the older one.
 * What nobody takes is read at once.
 */
bool
webhook_behind_may_read_older(void)
{
	Takers		takers = {0};
	const WebhookSubscription *subscription;
	bool		any = false;

	if (!webhook_tail_is_empty(behind.newer))
		return true;
	while ((subscription = next_taker(&takers)) != NULL)
	{
		if (!webhook_tail_has(behind.older, subscription->id) && has_room(subscription->id))
			return true;
		any = true;
	}
	return !any;
}

bool
webhook_behind_is_idle(void)
{
	return behind.upto_id < 0 && webhook_tail_is_empty(behind.older) &&
		webhook_tail_is_empty(behind.newer);
}

/* The search begins where room was last, which is where it is usual. */
bool
webhook_behind_may_read_newer(void)
{
	const WebhookSubscription *subscription;
	int			cursor = behind.with_room;

	for (int pass = 0; pass < 2; pass++)
	{
		while ((subscription = webhook_subscription_next_enabled(&cursor)) != NULL)
		{
			if (!webhook_behind_is(subscription->id, false))
			{
				behind.with_room = cursor - 1;
				return true;
			}
			if (pass == 1 && cursor > behind.with_room)
				return false;
		}
		cursor = 0;
	}
	behind.with_room = 0;
	return webhook_subscription_next_enabled(&cursor) == NULL;
}

WebhookTail *
webhook_behind_tail(void)
{
	return behind.older;
}

int
webhook_behind_offerable(int limit)
{
	int			count = 0;
	const WebhookTailEntry *entry;

	while (count < limit && (entry = webhook_tail_entry(behind.older, count)) != NULL &&
		   has_room(entry->subscription_id))
		count++;
	return count;
}

/* What has been relieved and still has no room waits for results, not for a time. */
TimestampTz
webhook_behind_time(TimestampTz older_read_at, TimestampTz now)
{
	const WebhookTailEntry *first = webhook_tail_first(behind.older);
	TimestampTz time = 0;

	if (!webhook_tail_is_empty(behind.older))
	{
		if (first == NULL || has_room(first->subscription_id))
			return now;
		time = first->added_at + WAIT_LIMIT;
	}
	if (older_read_at != 0 && (time <= now || older_read_at + WAIT_LIMIT < time))
		time = older_read_at + WAIT_LIMIT;
	return time > now ? time : 0;
}

void
webhook_behind_relieve(TimestampTz older_read_at, TimestampTz now)
{
	const WebhookTailEntry *first = webhook_tail_first(behind.older);

	if (first != NULL && has_waited(first->added_at, now) && !has_room(first->subscription_id))
		webhook_dispatch_spill_arrivals(behind.dispatcher, first->subscription_id);
	if (older_read_at != 0 && has_waited(older_read_at, now) && !webhook_behind_may_read_older())
		spill_rest();
}

static bool
has_room(int64 subscription_id)
{
	return webhook_budget_offer(behind.dispatcher, webhook_sender_memory(), subscription_id);
}

/*
 * Returns true if the unread rest of the older window may have events for it.
 * Nothing is known of a window that is closed after an error.
 */
static bool
is_in_rest(int64 subscription_id)
{
	const WebhookSubscription *subscription;
	ListCell   *cell;

	if (behind.upto_id < 0)
		return false;
	subscription = webhook_subscription_get(subscription_id);
	if (subscription == NULL)
		return false;
	if (!behind.known)
		return true;
	foreach(cell, behind.rest)
	{
		const WebhookWindowType *type = lfirst(cell);

		if (type->last_id > behind.upto_id && takes(subscription, type))
			return true;
	}
	return false;
}

/* Returns true if the subscription gets some of these rows, as far as tenant and type say. */
static bool
takes(const WebhookSubscription *subscription, const WebhookWindowType *type)
{
	if (type->name == NULL)
		return true;
	if (type->subscription_id != 0)
		return type->subscription_id == subscription->id;
	if (subscription->tenant == NULL ? !type->of_platform :
		!type->of_any_tenant &&
		(type->tenant == NULL || strcmp(type->tenant, subscription->tenant) != 0))
		return false;
	return webhook_subscription_is_to(subscription, type->name);
}

/* If the clock was set back, nobody knows how long: long enough. */
static bool
has_waited(TimestampTz since, TimestampTz now)
{
	return now < since || now - since >= WAIT_LIMIT;
}

/* Everybody who takes what is unread of the older window lets it go to pending. */
static void
spill_rest(void)
{
	Takers		takers = {0};
	const WebhookSubscription *subscription;

	while ((subscription = next_taker(&takers)) != NULL)
	{
		if (!has_room(subscription->id))
			webhook_dispatch_spill_arrivals(behind.dispatcher, subscription->id);
	}
}

/* The next subscription that takes what the older window has unread rows of, or NULL. */
static const WebhookSubscription *
next_taker(Takers *takers)
{
	for (; takers->type < list_length(behind.rest); takers->type++)
	{
		const WebhookWindowType *type = list_nth(behind.rest, takers->type);
		const WebhookSubscription *subscription = NULL;

		if (type->last_id > behind.upto_id && type->subscription_id == 0)
		{
			do
				subscription = webhook_subscription_next_enabled(&takers->cursor);
			while (subscription != NULL && !takes(subscription, type));
		}
		else if (type->last_id > behind.upto_id && takers->cursor++ == 0)
			subscription = webhook_subscription_get(type->subscription_id);
		if (subscription != NULL)
			return subscription;
		takers->cursor = 0;
	}
	return NULL;
}
