/*
 * queue.c
 *	  What a worker knows of each subscription that has deliveries.
 *
 * The rows of webhook.pending are known here by one instant only, when the
 * first is due: what waits costs no memory. Queues to be loaded, and queues that
 * sleep until a time, are each in a heap, so a thousand dead endpoints cost
 * nothing in between.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "delivery/queue.h"
#include "delivery/scheduler.h"

#define LOADED_TURNS 2			/* times its limit, that a queue has loaded ... */
#define LEAST_LOADED 32			/* ... or so many */
#define SPILLED_LOAD 8			/* rows to load of one that has spilled, at least */

static HTAB *queues;
static pairingheap *delayed;
static pairingheap *due;
static bool sending = true;
static bool held;				/* nothing is to be loaded */
static bool any_needs_recheck;
static bool any_cancel_backlog;
static TimestampTz last_wake;

static int	compare_delayed(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static int	compare_due(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static void revive(WebhookQueue *queue);
static void learn(WebhookQueue *queue);
static bool may_send(int64 id);
static void forget_times(int64 by);
static int	waiting(const WebhookQueue *queue);
static int	most_loaded(const WebhookQueue *queue);
static bool wants_rows(const WebhookQueue *queue);
static void place_in_due(WebhookQueue *queue);

void
webhook_queue_init(void)
{
	HASHCTL		control = {0};
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(WebhookQueue);
	queues = hash_create("webhook queues", 64, &control,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	webhook_scheduler_init();
	delayed = pairingheap_allocate(compare_delayed, NULL);
	due = pairingheap_allocate(compare_due, NULL);
	MemoryContextSwitchTo(old);
}

WebhookQueue *
webhook_queue_get(int64 id)
{
	bool		found;
	WebhookQueue *queue = hash_search(queues, &id, HASH_ENTER, &found);

	if (!found)
	{
		memset(queue, 0, sizeof(WebhookQueue));
		queue->id = id;
		webhook_health_init(&queue->health, id);
		dlist_init(&queue->ready);
		dlist_init(&queue->pings);
		learn(queue);
	}
	return queue;
}

WebhookQueue *
webhook_queue_find(int64 id)
{
	return hash_search(queues, &id, HASH_FIND, NULL);
}

WebhookQueue *
webhook_queue_first(void **scan)
{
	HASH_SEQ_STATUS *status = palloc(sizeof(HASH_SEQ_STATUS));

	hash_seq_init(status, queues);
	*scan = status;
	return webhook_queue_next(scan);
}

WebhookQueue *
webhook_queue_next(void **scan)
{
	WebhookQueue *queue = hash_seq_search(*scan);

	if (queue == NULL)
		pfree(*scan);
	return queue;
}

void
webhook_queue_restore(const WebhookState *state, TimestampTz now)
{
	WebhookQueue *queue = webhook_queue_get(state->subscription_id);
	const WebhookSubscription *subscription = webhook_subscription_get(queue->id);

	webhook_health_restore(&queue->health, state);
	learn(queue);
	webhook_queue_update(queue);

	/* In a copy of a database time has stood still since. */
	if (subscription != NULL && subscription->fenced &&
		queue->health.state.suspended_at == 0)
		queue->health.state.suspended_at = state->saved_at;
	if (subscription == NULL)
		webhook_queue_mark_dirty(queue, false);
	if (state->not_before > now)
		webhook_queue_delay(queue, state->not_before);

	/* The process that gave it up may have died over it. */
	if (webhook_health_is_disabled(&queue->health, subscription) &&
		(subscription == NULL || !subscription->fenced))
		webhook_queue_cancel_backlog(queue);
}

bool
webhook_queue_is_enabled(int64 id)
{
	const WebhookSubscription *subscription = webhook_subscription_get(id);
	const WebhookQueue *queue;

	if (subscription == NULL || !subscription->enabled)
		return false;
	queue = webhook_queue_find(id);
	return queue == NULL || !webhook_health_is_disabled(&queue->health, subscription);
}

void
webhook_queues_refresh(bool now_sending, TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	sending = now_sending;
	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		const WebhookSubscription *subscription = webhook_subscription_get(queue->id);
		WebhookState *state = &queue->health.state;
		bool		suspended;

		if (subscription == NULL && !queue->subscription_dropped)
			webhook_queue_mark_dirty(queue, false);
		else if (subscription != NULL && state->disabled_at != 0 && !subscription->fenced &&
				 !webhook_health_is_disabled(&queue->health, subscription))
			revive(queue);
		learn(queue);
		if (webhook_health_rate_changed(&queue->health, subscription))
			webhook_queue_delay(queue, state->not_before > now ? state->not_before : 0);
		suspended = !queue->sends && webhook_queue_is_enabled(queue->id);
		if (suspended != (state->suspended_at != 0))
		{
			webhook_health_suspend(&queue->health, suspended, now);
			webhook_queue_mark_dirty(queue, false);
		}
		webhook_queue_update(queue);
	}
}

void
webhook_queue_reset(int64 id)
{
	WebhookQueue *queue = webhook_queue_find(id);

	if (queue == NULL ||
		webhook_health_is_disabled(&queue->health, webhook_subscription_get(id)))
		return;
	revive(queue);
	learn(queue);
	webhook_queue_update(queue);
}

int
webhook_queue_load_limit(const WebhookQueue *queue)
{
	if (webhook_health_is_open(&queue->health))
		return 1;
	if (queue->spilling || queue->slow)
		return Min(queue->limit, Max(webhook_scheduler_fair_share(), SPILLED_LOAD));
	return most_loaded(queue) - waiting(queue);
}

bool
webhook_queue_accepts(const WebhookQueue *queue)
{
	if (!queue->sends || queue->spilling || webhook_health_is_open(&queue->health))
		return false;

	/* A slow one gets what it can start, so that memory is left to others. */
	return !queue->slow || queue->nready + queue->in_flight <= queue->limit;
}

/* Whatever its health, as many as it can start, and one. */
bool
webhook_queue_accepts_ping(const WebhookQueue *queue)
{
	return queue->sends &&
		(queue->npings == 0 || queue->npings + queue->in_flight < queue->limit);
}

void
webhook_queue_update(WebhookQueue *queue)
{
	webhook_scheduler_update(queue);
	place_in_due(queue);
}

void
webhook_queue_apply_health(WebhookQueue *queue, WebhookHealthChange change)
{
	WebhookStateChange *changes;

	learn(queue);
	webhook_queue_update(queue);
	if (change == WEBHOOK_HEALTH_UNCHANGED)
		return;
	if (queue->nchanges < WEBHOOK_QUEUE_CHANGES)
		queue->nchanges++;
	changes = &queue->changes[queue->nchanges - 1];
	changes->change = change;
	changes->consecutive_failures = queue->health.state.consecutive_failures;
	changes->until = Max(queue->health.state.not_before, queue->not_before);
	webhook_queue_mark_dirty(queue, true);
}

void
webhook_queue_delay(WebhookQueue *queue, TimestampTz until)
{
	if (queue->not_before != 0)
		pairingheap_remove(delayed, &queue->delay_node);
	queue->not_before = until;
	if (until != 0)
		pairingheap_add(delayed, &queue->delay_node);
	webhook_queue_update(queue);
}

/* If the clock was set back, nobody knows how long is still to be slept. */
void
webhook_queues_wake(TimestampTz now)
{
	if (now < last_wake)
		forget_times(last_wake - now);
	while (!pairingheap_is_empty(delayed))
	{
		WebhookQueue *queue = pairingheap_container(WebhookQueue, delay_node,
													pairingheap_first(delayed));

		if (queue->not_before > now && now >= last_wake)
			break;
		webhook_queue_delay(queue, 0);
	}
	last_wake = now;
}

TimestampTz
webhook_queues_wake_time(void)
{
	if (pairingheap_is_empty(delayed))
		return 0;
	return pairingheap_container(WebhookQueue, delay_node,
								 pairingheap_first(delayed))->not_before;
}

void
webhook_due_add(WebhookQueue *queue, TimestampTz next_at)
{
	queue->has_rows = true;
	if (next_at == 0)
		return;
	if (queue->next_due == 0 || next_at < queue->next_due)
		queue->next_due = next_at;
	place_in_due(queue);
}

int
webhook_due_take(TimestampTz now, WebhookQueue **found, int size)
{
	int			count = 0;

	while (count < size && !held && !pairingheap_is_empty(due))
	{
		WebhookQueue *queue = pairingheap_container(WebhookQueue, due_node,
													pairingheap_first(due));

		if (queue->due_at > now)
			break;
		pairingheap_remove_first(due);
		queue->due_at = 0;
		found[count++] = queue;
	}
	return count;
}

TimestampTz
webhook_due_time(void)
{
	if (held || pairingheap_is_empty(due))
		return 0;
	return pairingheap_container(WebhookQueue, due_node,
								 pairingheap_first(due))->due_at;
}

void
webhook_due_suspend(bool hold)
{
	held = hold;
}

void
webhook_due_loaded(WebhookQueue *queue, TimestampTz next, TimestampTz now)
{
	queue->next_due = next;
	queue->loaded_at = now;
	if (next == 0 || next > now)
		queue->spilling = false;
	webhook_queue_recheck_rows(queue);
	webhook_queue_update(queue);
}

void
webhook_queue_recheck_rows(WebhookQueue *queue)
{
	if (queue->next_due == 0)
		any_needs_recheck = queue->needs_recheck = true;
}

bool
webhook_due_any(TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		if (queue->sends && queue->next_due != 0 && queue->next_due <= now &&
			queue->health.state.not_before <= now)
		{
			hash_seq_term(&scan);
			return true;
		}
	}
	return false;
}

void
webhook_queue_cancel_backlog(WebhookQueue *queue)
{
	any_cancel_backlog = queue->cancel_backlog = true;
}

WebhookQueue *
webhook_queue_next_backlog(void)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	if (!any_cancel_backlog)
		return NULL;
	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		if (queue->cancel_backlog)
		{
			hash_seq_term(&scan);
			queue->cancel_backlog = false;
			return queue;
		}
	}
	any_cancel_backlog = false;
	return NULL;
}

WebhookQueue *
webhook_queue_next_recheck(void)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	if (!any_needs_recheck)
		return NULL;
	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		if (queue->needs_recheck && queue->has_rows && queue->next_due == 0)
		{
			hash_seq_term(&scan);
			queue->needs_recheck = false;
			return queue;
		}
	}
	any_needs_recheck = false;
	return NULL;
}

/* The earliest first. */
static int
compare_delayed(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz x = pairingheap_const_container(WebhookQueue, delay_node, a)->not_before;
	TimestampTz y = pairingheap_const_container(WebhookQueue, delay_node, b)->not_before;

	return x < y ? 1 : x > y ? -1 : 0;
}

static int
compare_due(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz x = pairingheap_const_container(WebhookQueue, due_node, a)->due_at;
	TimestampTz y = pairingheap_const_container(WebhookQueue, due_node, b)->due_at;

	return x < y ? 1 : x > y ? -1 : 0;
}

static void
revive(WebhookQueue *queue)
{
	webhook_health_reset(&queue->health);
	webhook_queue_delay(queue, 0);
	webhook_queue_mark_dirty(queue, true);
}

/* What its subscription and its health say. */
static void
learn(WebhookQueue *queue)
{
	const WebhookSubscription *subscription = webhook_subscription_get(queue->id);
	bool		slow = webhook_health_is_slow(&queue->health);

	queue->sends = may_send(queue->id);
	queue->ordered = subscription == NULL || subscription->ordered;
	queue->limit = webhook_health_limit(&queue->health, subscription);
	if (queue->slow != slow)
		webhook_scheduler_set_pool(queue, slow);
}

static bool
may_send(int64 id)
{
	return sending && webhook_queue_is_enabled(id) &&
		webhook_subscription_sends(webhook_subscription_get(id));
}

static void
forget_times(int64 by)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		queue->loaded_at = 0;
		webhook_health_set_back(&queue->health, by);
		place_in_due(queue);
	}
}

static int
waiting(const WebhookQueue *queue)
{
	return queue->nready + queue->npings;
}

/* Enough to keep its places busy until the next look, and room for others. */
static int
most_loaded(const WebhookQueue *queue)
{
	return Max(LOADED_TURNS * queue->limit, LEAST_LOADED);
}

/*
 * Has it room for so many that a look is worth it? A slow one gets only what
 * it can start, so that the places are left to others; through an open breaker
 * goes one at a time.
 */
static bool
wants_rows(const WebhookQueue *queue)
{
	if (webhook_health_is_open(&queue->health))
		return waiting(queue) == 0 && queue->in_flight == 0;
	if (queue->spilling || queue->slow)
		return waiting(queue) == 0 && queue->in_flight < queue->limit;
	return waiting(queue) <= most_loaded(queue) / 2;
}

/* After a look it is has_earlier_pending all that had none since. */
static void
place_in_due(WebhookQueue *queue)
{
	TimestampTz due_at = 0;

	if (queue->sends && queue->next_due != 0 && queue->cancelling == 0 &&
		wants_rows(queue))
		due_at = Max(Max(queue->next_due, queue->not_before), queue->loaded_at);
	if (due_at == queue->due_at)
		return;
	if (queue->due_at != 0)
		pairingheap_remove(due, &queue->due_node);
	queue->due_at = due_at;
	if (due_at != 0)
		pairingheap_add(due, &queue->due_node);
}
