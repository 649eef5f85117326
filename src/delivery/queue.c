/*
 * queue.c
 *	  The queues, one a subscription that has had deliveries.
 *
 * Of the rows of pending a queue knows one time only, when the first is due:
 * what waits there costs no memory. Each enabled subscription has a queue; that of
 * one that is gone is freed when nothing of it is left, by a refresh alone. So a
 * pointer to a queue lives until the next one.
 *
 * Whether a subscription takes deliveries and may send is found out by
 * derive() alone, when subscriptions, settings or health change; everybody
 * else reads the result. After a change of a queue its owner calls
 * webhook_queue_update() once.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "delivery/confirm_internal.h"
#include "delivery/delivery_internal.h"
#include "delivery/state_internal.h"

#define LOADED_LIMITS 2			/* times its limit of requests: rows that a queue may have loaded */
#define LEAST_LOADED 32			/* rows, at least */
#define LEAST_LOAD 8			/* rows that a queue that has spilled may load, at least */

static void bind(WebhookQueues *queues, WebhookQueue *queue);
static void follow_gone(WebhookQueues *queues, WebhookQueue *queue);
static void bind_tenant(WebhookQueues *queues, WebhookQueue *queue);
static void leave_tenant(WebhookQueues *queues, WebhookQueue *queue);
static void derive(const WebhookQueues *queues, WebhookQueue *queue);
static void refresh(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);
static void follow_suspension(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);
static void reset(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);
static bool is_over(const WebhookQueue *queue);
static void free_queue(WebhookQueues *queues, WebhookQueue *queue);
static void apply(WebhookQueues *queues, WebhookQueue *queue, WebhookHealthChange change,
				  TimestampTz now);
static void follow_clock(WebhookQueues *queues, int64 by);
static TimestampTz load_time(const WebhookQueues *queues, const WebhookQueue *queue);

void
webhook_queues_init(WebhookQueues *queues)
{
	HASHCTL		control = {0};

	memset(queues, 0, sizeof(WebhookQueues));
	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(WebhookQueue);
	queues->table = hash_create("webhook queues", 64, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	webhook_scheduler_init(&queues->scheduler);
	webhook_tenants_init(&queues->tenants, &queues->scheduler);
	queues->delayed = webhook_timer_heap_new();
	queues->asks = webhook_timer_heap_new();
	queues->loads = webhook_timer_heap_new();
	dlist_init(&queues->gone);
	dlist_init(&queues->dirty);
	queues->sending = true;
}

WebhookQueue *
webhook_queue_get(WebhookQueues *queues, int64 id)
{
	bool		found;
	WebhookQueue *queue = hash_search(queues->table, &id, HASH_ENTER, &found);

	if (!found)
	{
		memset(queue, 0, sizeof(WebhookQueue));
		queue->id = id;
		webhook_health_init(&queue->health, id);
		dlist_init(&queue->ready);
		dlist_init(&queue->pings);
		bind(queues, queue);
	}
	return queue;
}

WebhookQueue *
webhook_queue_find(const WebhookQueues *queues, int64 id)
{
	return hash_search(queues->table, &id, HASH_FIND, NULL);
}

WebhookQueue *
webhook_queue_get_for_arrival(WebhookQueues *queues, int64 id, TimestampTz now)
{
	WebhookQueue *queue = webhook_queue_get(queues, id);

	if (queue->takes && !queue->sends && queue->health.state.suspended_at == 0)
	{
		webhook_health_suspend(&queue->health, true, now);
		webhook_queue_mark_dirty(queues, queue, false);
	}
	return queue;
}

void
webhook_queues_scan(const WebhookQueues *queues, HASH_SEQ_STATUS *scan)
{
	hash_seq_init(scan, queues->table);
}

WebhookQueue *
webhook_queues_next(HASH_SEQ_STATUS *scan)
{
	return hash_seq_search(scan);
}

void
webhook_queues_bind(WebhookQueues *queues)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	webhook_queues_scan(queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
		bind(queues, queue);
}

void
webhook_queues_refresh(WebhookQueues *queues, bool sending, TimestampTz now)
{
	const WebhookSubscription *subscription;
	int			cursor = 0;
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	queues->sending = sending;
	while ((subscription = webhook_subscription_next_enabled(&cursor)) != NULL)
		(void) webhook_queue_get(queues, subscription->id);
	webhook_queues_scan(queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		bind(queues, queue);
		if (is_over(queue))
			free_queue(queues, queue);
		else
			refresh(queues, queue, now);
	}
}

void
webhook_queues_bind_some(WebhookQueues *queues, const int64 *ids, int count)
{
	for (int i = 0; i < count; i++)
	{
		WebhookQueue *queue = webhook_queue_find(queues, ids[i]);

		if (queue != NULL)
			bind(queues, queue);
	}
}

void
webhook_queues_refresh_some(WebhookQueues *queues, const int64 *ids, int count, TimestampTz now)
{
	dlist_mutable_iter iter;

	for (int i = 0; i < count; i++)
	{
		const WebhookSubscription *subscription = webhook_subscription_get(ids[i]);
		WebhookQueue *queue = subscription != NULL && subscription->enabled ?
			webhook_queue_get(queues, ids[i]) : webhook_queue_find(queues, ids[i]);

		if (queue == NULL)
			continue;
		bind(queues, queue);
		refresh(queues, queue, now);
	}
	dlist_foreach_modify(iter, &queues->gone)
	{
		WebhookQueue *queue = dlist_container(WebhookQueue, gone_node, iter.cur);

		if (is_over(queue))
			free_queue(queues, queue);
	}
}

int64
webhook_queue_id(const WebhookQueue *queue)
{
	return queue->id;
}

const char *
webhook_queue_tenant(const WebhookQueue *queue)
{
	return queue->tenant != NULL && queue->tenant->name[0] != '\0' ? queue->tenant->name : NULL;
}

const WebhookSubscription *
webhook_queue_subscription(const WebhookQueue *queue)
{
	return queue->subscription;
}

WebhookState *
webhook_queue_state(WebhookQueue *queue)
{
	return &queue->health.state;
}

void
webhook_queue_summarize(WebhookQueue *queue, TimestampTz now)
{
	webhook_health_summarize(&queue->health, now);
}

void
webhook_queue_restore(WebhookDispatcher *dispatcher, const WebhookState *state, TimestampTz now)
{
	WebhookQueues *queues = &dispatcher->queues;
	WebhookQueue *queue = webhook_queue_get(queues, state->subscription_id);
	const WebhookSubscription *subscription = queue->subscription;
	bool		fenced = subscription != NULL && subscription->fenced;

	webhook_health_restore(&queue->health, state, now);
	queue->health.waits = queue->health.state.not_before > now &&
		!webhook_health_is_open(&queue->health);

	/* In a copy of a database the subscription's clock has stood still since the copy. */
	if (fenced && queue->health.state.suspended_at == 0)
		queue->health.state.suspended_at = state->saved_at;
	if (subscription == NULL || webhook_confirm_follow(&queue->health.state, subscription, now))
		webhook_queue_mark_dirty(queues, queue, false);
	webhook_queue_note_saved(queue, state->state);
	apply(queues, queue, WEBHOOK_HEALTH_UNCHANGED, now);

	/* The process that disabled it may have ended before the backlog was cancelled. */
	if (webhook_health_is_disabled(&queue->health, subscription) && !fenced)
		queues->any_backlog = queue->cancel_backlog = true;
	webhook_queue_update(queues, queue);
}

void
webhook_queue_reset(WebhookDispatcher *dispatcher, int64 subscription_id, TimestampTz now)
{
	WebhookQueues *queues = &dispatcher->queues;
	WebhookQueue *queue = webhook_queue_find(queues, subscription_id);

	if (queue == NULL || webhook_health_is_disabled(&queue->health, queue->subscription))
		return;
	reset(queues, queue, now);
	webhook_queue_update(queues, queue);
}

void
webhook_queue_tell(WebhookDispatcher *dispatcher, int64 subscription_id, bool altered,
				   TimestampTz now)
{
	webhook_queue_note_state(&dispatcher->queues,
							 webhook_queue_get(&dispatcher->queues, subscription_id),
							 altered ? WEBHOOK_HEALTH_ALTERED : WEBHOOK_HEALTH_SET, now);
}

void
webhook_queue_know_fences(WebhookDispatcher *dispatcher)
{
	const WebhookSubscription *subscription;
	int			cursor = 0;

	while ((subscription = webhook_subscription_next_enabled(&cursor)) != NULL)
	{
		if (subscription->fenced)
			webhook_queue_get(&dispatcher->queues, subscription->id)->told = WEBHOOK_STATE_FENCED;
	}
}

bool
webhook_queue_takes(WebhookDispatcher *dispatcher, const WebhookSubscription *subscription)
{
	const WebhookQueue *queue = webhook_queue_find(&dispatcher->queues, subscription->id);

	return queue == NULL ? subscription->enabled : queue->takes;
}

void
webhook_queue_count_filter_error(WebhookDispatcher *dispatcher, int64 subscription_id)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);

	queue->health.state.filter_errors++;
	webhook_queue_mark_dirty(&dispatcher->queues, queue, false);
}

int64
webhook_queue_next_backlog(WebhookDispatcher *dispatcher)
{
	WebhookQueues *queues = &dispatcher->queues;
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	if (!queues->any_backlog)
		return 0;
	webhook_queues_scan(queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		if (queue->cancel_backlog)
		{
			hash_seq_term(&scan);
			queue->cancel_backlog = false;
			return queue->id;
		}
	}
	queues->any_backlog = false;
	return 0;
}

WebhookQueueCapacity
webhook_queue_capacity(const WebhookQueues *queues, const WebhookQueue *queue)
{
	WebhookQueueCapacity capacity = {0};
	const WebhookSchedulerEntry *scheduling = &queue->scheduling;
	int			waiting = queue->nready + queue->npings;

	/* Pings start whatever the health is. At least one may wait; more only if they can start. */
	capacity.pings = queue->sends &&
		(queue->npings == 0 || queue->npings + scheduling->in_flight < queue->limit);

	if (webhook_health_is_open(&queue->health))
	{
		/* One delivery at a time goes through an open breaker, as a probe. */
		capacity.load = waiting == 0 && scheduling->in_flight == 0;
		capacity.rows = 1;
	}
	else if (queue->spilling || scheduling->slow)
	{
		/* A slow queue gets what it can start, so that memory is left to others. */
		capacity.arrivals = queue->sends && !queue->spilling &&
			queue->nready + scheduling->in_flight <= queue->limit;
		capacity.load = waiting == 0 && scheduling->in_flight < queue->limit;
		capacity.rows = Min(queue->limit,
							Max(webhook_scheduler_fair_share(&queues->scheduler, scheduling->group),
								LEAST_LOAD));
	}
	else
	{
		/*
		 * Rows are loaded when half of these are used up. So requests go on while the next rows
		 * are loaded, and memory has room for other queues.
		 */
		int			most = Max(LOADED_LIMITS * queue->limit, LEAST_LOADED);

		capacity.arrivals = queue->sends;
		capacity.load = waiting <= most / 2;
		capacity.rows = most - waiting;
	}
	return capacity;
}

void
webhook_queue_update(WebhookQueues *queues, WebhookQueue *queue)
{
	bool		may_start = (queue->nready > 0 && queue->not_before.at == 0) || queue->npings > 0;

	webhook_scheduler_set_pool(&queues->scheduler, &queue->scheduling,
							   webhook_health_is_slow(&queue->health));
	webhook_scheduler_update(&queues->scheduler, &queue->scheduling,
							 ((queue->sends && may_start) || queue->ask_due) &&
							 queue->scheduling.in_flight < queue->limit);
	webhook_timer_set(queues->loads, &queue->load, load_time(queues, queue));
	webhook_timer_set(queues->asks, &queue->ask, queue->asks && !queue->ask_due ?
					  queue->health.state.confirm_next_at : 0);
}

void
webhook_queue_delay(WebhookQueues *queues, WebhookQueue *queue, TimestampTz until)
{
	webhook_timer_set(queues->delayed, &queue->not_before, until);
}

void
webhook_queue_apply_health(WebhookQueues *queues, WebhookQueue *queue,
						   WebhookHealthChange change, TimestampTz now)
{
	apply(queues, queue, change, now);
	webhook_queue_note_state(queues, queue, change, now);
}

void
webhook_queue_confirmed(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	derive(queues, queue);
	follow_suspension(queues, queue, now);
	webhook_queue_mark_dirty(queues, queue, true);
	webhook_queue_note_state(queues, queue, WEBHOOK_HEALTH_UNCHANGED, now);
}

void
webhook_queue_try_again(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	WebhookHealthChange change = webhook_health_try_again(&queue->health);

	webhook_queue_delay(queues, queue, 0);
	webhook_queue_apply_health(queues, queue, change, now);
}

void
webhook_queue_set_slow(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	webhook_health_slow(&queue->health);
	webhook_queue_apply_health(queues, queue, WEBHOOK_HEALTH_UNCHANGED, now);
	webhook_queue_mark_dirty(queues, queue, false);
}

/* If the clock was set back, nobody knows how long a delay has still to last: it ends. */
void
webhook_queues_tick(WebhookQueues *queues, TimestampTz now)
{
	bool		set_back = now < queues->last_tick;
	WebhookTimer *timer;

	if (set_back)
		follow_clock(queues, queues->last_tick - now);
	webhook_tenants_tick(&queues->tenants, now, set_back);
	while ((timer = webhook_timer_first(queues->delayed)) != NULL)
	{
		WebhookQueue *queue = WEBHOOK_QUEUE_OF(not_before, timer);

		if (timer->at > now && !set_back)
			break;
		webhook_queue_delay(queues, queue, 0);
		webhook_queue_note_state(queues, queue, webhook_health_wait_over(&queue->health, now), now);
		webhook_queue_update(queues, queue);
	}
	while ((timer = webhook_timer_first(queues->asks)) != NULL && timer->at <= now)
	{
		WebhookQueue *queue = WEBHOOK_QUEUE_OF(ask, timer);

		queue->ask_due = true;
		webhook_queue_update(queues, queue);
	}
	queues->last_tick = now;
}

static void
bind(WebhookQueues *queues, WebhookQueue *queue)
{
	queue->subscription = webhook_subscription_get(queue->id);
	queue->ordered = queue->subscription == NULL || queue->subscription->ordered;
	if (queue->subscription != NULL)
	{
		queue->has_log_bodies = queue->subscription->has_log_bodies;
		queue->log_bodies = queue->subscription->log_bodies;
	}
	follow_gone(queues, queue);
	bind_tenant(queues, queue);
	derive(queues, queue);
}

static void
follow_gone(WebhookQueues *queues, WebhookQueue *queue)
{
	bool		gone = queue->subscription == NULL;

	if (gone == queue->gone)
		return;
	queue->gone = gone;
	if (gone)
		dlist_push_tail(&queues->gone, &queue->gone_node);
	else
		dlist_delete(&queue->gone_node);
}

/*
 * A subscription keeps its tenant for good, and one that is gone has been its tenant's. If
 * somebody has changed it by hand, that counts once no delivery is in memory.
 */
static void
bind_tenant(WebhookQueues *queues, WebhookQueue *queue)
{
	const WebhookSubscription *subscription = queue->subscription;
	const char *name = subscription == NULL || subscription->tenant == NULL ? "" :
		subscription->tenant;

	if (queue->tenant != NULL && (subscription == NULL || queue->ndeliveries > 0 ||
								  strcmp(queue->tenant->name, name) == 0))
		name = NULL;
	if (name != NULL)
	{
		leave_tenant(queues, queue);
		queue->tenant = webhook_tenant_join(&queues->tenants, name);
		queue->scheduling.group = &queue->tenant->scheduling;
	}
	if (subscription != NULL)
		webhook_tenant_set_caps(&queues->tenants, queue->tenant, subscription->caps);
}

static void
leave_tenant(WebhookQueues *queues, WebhookQueue *queue)
{
	if (queue->tenant == NULL)
		return;
	webhook_scheduler_update(&queues->scheduler, &queue->scheduling, false);
	webhook_tenant_leave(&queues->tenants, queue->tenant);
	queue->tenant = NULL;
}

/* What subscription, settings and health allow. */
static void
derive(const WebhookQueues *queues, WebhookQueue *queue)
{
	const WebhookSubscription *subscription = queue->subscription;
	bool		may_send;
	bool		unconfirmed;

	queue->takes = subscription != NULL && subscription->enabled &&
		!webhook_health_is_disabled(&queue->health, subscription);
	may_send = queues->sending && queue->takes && webhook_subscription_sends(subscription);
	unconfirmed = webhook_confirm_is_open(&queue->health.state, subscription);
	queue->sends = may_send && !unconfirmed;
	queue->asks = may_send && unconfirmed;
	queue->ask_due &= queue->asks;
	queue->limit = webhook_health_limit(&queue->health, subscription);
}

/* Subscriptions or settings have changed. */
static void
refresh(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	const WebhookSubscription *subscription = queue->subscription;
	WebhookState *state = &queue->health.state;

	if (subscription == NULL && !queue->subscription_dropped)
		webhook_queue_mark_dirty(queues, queue, false);
	else if (subscription != NULL && state->disabled_at != 0 && !subscription->fenced &&
			 !webhook_health_is_disabled(&queue->health, subscription))
		reset(queues, queue, now);

	if (webhook_health_rate_changed(&queue->health, subscription))
	{
		webhook_queue_delay(queues, queue, 0);
		apply(queues, queue, WEBHOOK_HEALTH_UNCHANGED, now);
	}

	if (webhook_confirm_follow(state, subscription, now))
	{
		queue->ask_due = false;
		webhook_queue_mark_dirty(queues, queue, true);
	}
	follow_suspension(queues, queue, now);
	webhook_queue_note_state(queues, queue, WEBHOOK_HEALTH_UNCHANGED, now);
}

static void
follow_suspension(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	bool		suspended = queue->takes && !queue->sends;

	if (suspended != (queue->health.state.suspended_at != 0))
	{
		webhook_health_suspend(&queue->health, suspended, now);
		webhook_queue_mark_dirty(queues, queue, false);
	}
}

/* Nothing is left of a queue whose subscription is gone. */
static bool
is_over(const WebhookQueue *queue)
{
	return queue->subscription_dropped && queue->subscription == NULL && !queue->dirty &&
		queue->ndeliveries == 0 && !queue->has_rows && queue->blocked == 0 &&
		!queue->cancel_backlog;
}

static void
free_queue(WebhookQueues *queues, WebhookQueue *queue)
{
	Assert(queue->nready == 0 && queue->npings == 0 && queue->scheduling.in_flight == 0);
	webhook_timer_set(queues->delayed, &queue->not_before, 0);
	webhook_timer_set(queues->loads, &queue->load, 0);
	webhook_timer_set(queues->asks, &queue->ask, 0);
	webhook_queue_update(queues, queue);
	leave_tenant(queues, queue);
	webhook_health_free(&queue->health);
	if (queue->gone)
		dlist_delete(&queue->gone_node);
	hash_search(queues->table, &queue->id, HASH_REMOVE, NULL);
}

/* What the health allows now. */
static void
apply(WebhookQueues *queues, WebhookQueue *queue, WebhookHealthChange change, TimestampTz now)
{
	TimestampTz not_before = queue->health.state.not_before;

	derive(queues, queue);
	if (not_before > now)
		webhook_queue_delay(queues, queue, Max(queue->not_before.at, not_before));
	else if (change == WEBHOOK_HEALTH_CLOSED)
		webhook_queue_delay(queues, queue, 0);
	if (change == WEBHOOK_HEALTH_DISABLED)
		queues->any_backlog = queue->cancel_backlog = true;
}

static void
reset(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now)
{
	WebhookHealthChange change = webhook_health_reset(&queue->health);

	derive(queues, queue);
	webhook_queue_delay(queues, queue, 0);
	webhook_queue_mark_dirty(queues, queue, true);
	webhook_queue_note_state(queues, queue, change, now);
}

/* The clock was set back by so many microseconds. */
static void
follow_clock(WebhookQueues *queues, int64 by)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	webhook_queues_scan(queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		queue->loaded_at = 0;
		webhook_health_set_back(&queue->health, by);
		webhook_queue_update(queues, queue);
	}
}

/*
 * When rows have to be loaded; 0: never. A queue for which rows were just looked for comes after
 * all queues that wait for longer.
 */
static TimestampTz
load_time(const WebhookQueues *queues, const WebhookQueue *queue)
{
	if (!queue->sends || queue->next_due == 0 || queue->blocked > 0 ||
		!webhook_queue_capacity(queues, queue).load)
		return 0;
	return Max(Max(queue->next_due, queue->loaded_at),
			   Max(queue->not_before.at, queue->tenant->not_before.at));
}
