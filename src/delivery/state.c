/*
 * state.c
 *	  The state of each subscription: which it is, that it is saved, and that people
 *	  are told of its changes.
 *
 * state_name() alone decides it, from subscription, settings and health. View
 * stat_subscription shows what was saved. Whoever changes one of these calls
 * webhook_queue_note_state(); a state that differs from the one told last is told.
 * So a restart, and a change that was undone before it was seen, tell nothing.
 *
 * A subscription of which nothing was ever told is taken for active.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "delivery/confirm_internal.h"
#include "delivery/delivery_internal.h"
#include "delivery/state_internal.h"

static const char *state_name(const WebhookQueues *queues, const WebhookQueue *queue);
static bool is_news(const WebhookQueue *queue, const char *state, WebhookHealthChange change);
static bool may_tell(WebhookQueue *queue, const char *state, TimestampTz now);
static void add_change(WebhookQueue *queue, WebhookHealthChange change, const char *state,
					   const char *former);

void
webhook_queue_note_state(WebhookQueues *queues, WebhookQueue *queue, WebhookHealthChange change,
						 TimestampTz now)
{
	const char *state = state_name(queues, queue);

	if (strcmp(queue->health.state.state, state) != 0)
	{
		queue->health.state.state = state;
		webhook_queue_mark_dirty(queues, queue, false);
	}
	switch (change)
	{
		case WEBHOOK_HEALTH_ALTERED:
			add_change(queue, change, WEBHOOK_STATE_CHANGED, state);
			break;
		case WEBHOOK_HEALTH_LIMITED:
		case WEBHOOK_HEALTH_TENANT_LIMITED:
			add_change(queue, change, state, state);
			break;
		default:
			if (!is_news(queue, state, change) || !may_tell(queue, state, now))
				return;
			add_change(queue, change == WEBHOOK_HEALTH_UNCHANGED ? WEBHOOK_HEALTH_SET : change,
					   state, queue->told);
			queue->told = state;
			break;
	}
	webhook_queue_mark_dirty(queues, queue, true);
}

void
webhook_queue_note_saved(WebhookQueue *queue, const char *state)
{
	static const char *const names[] = {
		WEBHOOK_STATE_ACTIVE, WEBHOOK_STATE_SLOW, WEBHOOK_STATE_WAITING, WEBHOOK_STATE_OPEN,
		WEBHOOK_STATE_OFF, WEBHOOK_STATE_PAUSED, WEBHOOK_STATE_FENCED, WEBHOOK_STATE_DISABLED,
		WEBHOOK_STATE_UNCONFIRMED,
	};
	const char *known = WEBHOOK_STATE_ACTIVE;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(names[i], state) == 0)
			known = names[i];
	}
	queue->health.state.state = known;
	if (queue->told == NULL)
		queue->told = known;
}

int
webhook_queue_changes(const WebhookQueue *queue, const WebhookStateChange **changes)
{
	*changes = queue->changes;
	return queue->nchanges;
}

int
webhook_queue_dirty(WebhookDispatcher *dispatcher, WebhookQueue **found, int size)
{
	dlist_iter	iter;
	int			count = 0;

	dlist_foreach(iter, &dispatcher->queues.dirty)
	{
		if (count == size)
			break;
		found[count++] = dlist_container(WebhookQueue, dirty_node, iter.cur);
	}
	return count;
}

bool
webhook_queue_is_urgent(const WebhookDispatcher *dispatcher)
{
	return dispatcher->queues.nurgent > 0;
}

void
webhook_queue_saved(WebhookDispatcher *dispatcher, WebhookQueue **saved, int count)
{
	for (int i = 0; i < count; i++)
	{
		WebhookQueue *queue = saved[i];

		dispatcher->queues.nurgent -= queue->urgent;
		queue->dirty = queue->urgent = false;
		queue->nchanges = 0;
		queue->subscription_dropped = queue->subscription == NULL;
		dlist_delete(&queue->dirty_node);
	}
}

void
webhook_queue_mark_dirty(WebhookQueues *queues, WebhookQueue *queue, bool urgent)
{
	if (queue->dirty && (queue->urgent || !urgent))
		return;
	if (queue->dirty)
		dlist_delete(&queue->dirty_node);
	queue->dirty = true;
	queue->urgent = urgent;
	queues->nurgent += urgent;
	if (urgent)
		dlist_push_head(&queues->dirty, &queue->dirty_node);
	else
		dlist_push_tail(&queues->dirty, &queue->dirty_node);
}

/* The first that applies. */
static const char *
state_name(const WebhookQueues *queues, const WebhookQueue *queue)
{
	const WebhookSubscription *subscription = queue->subscription;

	if (subscription == NULL)
		return WEBHOOK_STATE_GONE;
	if (!queue->takes)
		return WEBHOOK_STATE_DISABLED;
	if (subscription->fenced)
		return WEBHOOK_STATE_FENCED;
	if (subscription->paused)
		return WEBHOOK_STATE_PAUSED;
	if (!queues->sending)
		return WEBHOOK_STATE_OFF;
	if (webhook_confirm_is_open(&queue->health.state, subscription))
		return WEBHOOK_STATE_UNCONFIRMED;
	if (webhook_health_is_open(&queue->health))
		return WEBHOOK_STATE_OPEN;
	if (queue->health.waits || subscription->nsecrets == 0)
		return WEBHOOK_STATE_WAITING;
	return webhook_health_hangs(&queue->health) ? WEBHOOK_STATE_SLOW : WEBHOOK_STATE_ACTIVE;
}

/*
 * Returns true if people do not know of a state. That they have ended a subscription is
 * told once they say so: what its last requests bring is of no interest.
 */
static bool
is_news(const WebhookQueue *queue, const char *state, WebhookHealthChange change)
{
	if (change != WEBHOOK_HEALTH_SET && queue->subscription == NULL)
		return false;
	if (queue->told == NULL)
		return change == WEBHOOK_HEALTH_SET || strcmp(state, WEBHOOK_STATE_ACTIVE) != 0;
	return strcmp(state, queue->told) != 0;
}

/* An endpoint can bring these two states as often as it answers. */
static bool
may_tell(WebhookQueue *queue, const char *state, TimestampTz now)
{
	if (strcmp(state, WEBHOOK_STATE_SLOW) == 0)
		return webhook_health_may_tell(&queue->slow_told_at, now);
	if (strcmp(state, WEBHOOK_STATE_WAITING) == 0)
		return webhook_health_may_tell(&queue->waiting_told_at, now);
	return true;
}

/*
 * Keep a change for being told. What leads to one state is one change, of which the last cause is
 * told. Where more changes come than can be kept, the last one counts.
 */
static void
add_change(WebhookQueue *queue, WebhookHealthChange change, const char *state,
		   const char *former)
{
	WebhookStateChange *last = &queue->changes[Max(queue->nchanges, 1) - 1];

	if (queue->nchanges > 0 && strcmp(last->state, state) != 0 &&
		queue->nchanges < WEBHOOK_QUEUE_CHANGES)
		last++;
	/* The one that it replaces was not told of. */
	if (queue->nchanges == 0 || last == &queue->changes[queue->nchanges])
		last->former = former;
	last->change = change;
	last->state = state;
	queue->nchanges = last - queue->changes + 1;
	last->consecutive_failures = queue->health.state.consecutive_failures;
	last->until = 0;
	if (strcmp(state, WEBHOOK_STATE_OPEN) == 0 || strcmp(state, WEBHOOK_STATE_WAITING) == 0)
		last->until = Max(queue->health.state.not_before, queue->not_before.at);
}
