/*
 * evict.c
 *	  Deliveries that leave memory without having been started.
 *
 * They move to pending where they may still be wanted: the subscription is
 * paused, the endpoint does not answer, or memory is scarce and others need
 * it. They are cancelled where the subscription is gone or disabled.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "delivery/budget_internal.h"
#include "delivery/evict_internal.h"
#include "delivery/transitions_internal.h"

/* How long a delivery may wait unstarted, and while memory is scarce; microseconds. */
#define UNSTARTED_LIMIT (INT64CONST(2) * USECS_PER_SEC)
#define SCARCE_LIMIT (USECS_PER_SEC / 5)

/* Deliveries that a busy queue may keep besides its share while memory is scarce. */
#define LEAST_SHARE 16

static void evict_waiting(WebhookDispatcher *dispatcher);
static bool must_evict(const WebhookQueue *queue);
static bool begin_interval(WebhookDispatcher *dispatcher, TimestampTz now);
static void spill(WebhookDispatcher *dispatcher, WebhookQueue *queue, bool scarce,
				  TimestampTz now);
static void spill_list(WebhookDispatcher *dispatcher, WebhookQueue *queue, dlist_head *ready,
					   const int *length, int kept, TimestampTz now);
static int	may_keep(const WebhookDispatcher *dispatcher, const WebhookQueue *queue);

void
webhook_dispatch_bind(WebhookDispatcher *dispatcher)
{
	webhook_queues_bind(&dispatcher->queues);
}

void
webhook_dispatch_refresh(WebhookDispatcher *dispatcher, bool sending, TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	webhook_queues_refresh(&dispatcher->queues, sending, now);
	evict_waiting(dispatcher);
	webhook_queues_scan(&dispatcher->queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		webhook_evict_if_blocked(dispatcher, queue, now);
		webhook_queue_update(&dispatcher->queues, queue);
	}
}

void
webhook_dispatch_bind_some(WebhookDispatcher *dispatcher, const int64 *ids, int count)
{
	webhook_queues_bind_some(&dispatcher->queues, ids, count);
}

void
webhook_dispatch_refresh_some(WebhookDispatcher *dispatcher, const int64 *ids, int count,
							  TimestampTz now)
{
	WebhookQueues *queues = &dispatcher->queues;
	bool		any = false;

	webhook_queues_refresh_some(queues, ids, count, now);
	for (int i = 0; i < count && !any; i++)
	{
		const WebhookQueue *queue = webhook_queue_find(queues, ids[i]);

		any = queue != NULL && queue->ndeliveries > 0 && must_evict(queue);
	}
	if (any)
		evict_waiting(dispatcher);
	for (int i = 0; i < count; i++)
	{
		WebhookQueue *queue = webhook_queue_find(queues, ids[i]);

		if (queue != NULL)
		{
			webhook_evict_if_blocked(dispatcher, queue, now);
			webhook_queue_update(queues, queue);
		}
	}
}

/* Before the heads of their subjects: one that is deferred takes what is left along. */
static void
evict_waiting(WebhookDispatcher *dispatcher)
{
	HASH_SEQ_STATUS scan;
	WebhookSubject *subject;

	webhook_subjects_scan(&dispatcher->subjects, &scan);
	while ((subject = webhook_subjects_next_waiting(&scan)) != NULL)
	{
		WebhookQueue *queue = webhook_queue_get(&dispatcher->queues,
												subject->key.subscription_id);

		if (must_evict(queue))
			webhook_subject_evict_waiting(dispatcher, subject, !queue->takes);
	}
}

void
webhook_evict_if_blocked(WebhookDispatcher *dispatcher, WebhookQueue *queue, TimestampTz now)
{
	if (!must_evict(queue))
		return;
	while (queue->nready > 0)
		webhook_delivery_evict(dispatcher,
							   dlist_head_element(WebhookDelivery, node, &queue->ready),
							   !queue->takes, now);
	while (!queue->sends && queue->npings > 0)
		webhook_delivery_evict(dispatcher,
							   dlist_head_element(WebhookDelivery, node, &queue->pings),
							   !queue->takes, now);
}

void
webhook_dispatch_spill(WebhookDispatcher *dispatcher, TimestampTz now)
{
	bool		scarce = webhook_budget_is_scarce(dispatcher);
	HASH_SEQ_STATUS scan;
	WebhookSubject *subject;
	WebhookQueue *queue;
	bool		begins;

	if (dispatcher->usage.queued == 0)
		return;

	begins = begin_interval(dispatcher, now);
	webhook_queues_scan(&dispatcher->queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		if (begins)
		{
			queue->completed = queue->scheduling.completed;
			queue->scheduling.completed = 0;
		}
		if (queue->nready > 0 || queue->npings > 0)
			spill(dispatcher, queue, scarce, now);
	}

	/* Deliveries behind one that is in flight move by their own age. */
	webhook_subjects_scan(&dispatcher->subjects, &scan);
	while ((subject = webhook_subjects_next_waiting(&scan)) != NULL)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, &subject->waiting);

		if (webhook_delivery_has_waited(oldest, scarce ? SCARCE_LIMIT : UNSTARTED_LIMIT,
										now))
			webhook_subject_evict_waiting(dispatcher, subject, false);
	}
}

void
webhook_dispatch_spill_arrivals(WebhookDispatcher *dispatcher, int64 subscription_id)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);

	queue->spilling = true;
	webhook_queue_update(&dispatcher->queues, queue);
}

/* Nothing of the queue may wait in memory: it does not send, or its breaker is open. */
static bool
must_evict(const WebhookQueue *queue)
{
	return !queue->sends || webhook_health_is_open(&queue->health);
}

/* Returns true if SCARCE_LIMIT has passed, or the clock was set back: another interval begins. */
static bool
begin_interval(WebhookDispatcher *dispatcher, TimestampTz now)
{
	TimestampTz before = dispatcher->spill_interval_at;

	if (now >= before && now - before < SCARCE_LIMIT)
		return false;
	dispatcher->spill_interval_at = now;
	return true;
}

/* Evict what has been ready for too long. */
static void
spill(WebhookDispatcher *dispatcher, WebhookQueue *queue, bool scarce, TimestampTz now)
{
	spill_list(dispatcher, queue, &queue->ready, &queue->nready,
			   scarce ? may_keep(dispatcher, queue) : queue->nready, now);
	spill_list(dispatcher, queue, &queue->pings, &queue->npings, scarce ? 0 : queue->npings, now);
	webhook_queue_update(&dispatcher->queues, queue);
}

/*
 * Of more than "kept" deliveries, the oldest may have waited for SCARCE_LIMIT; of fewer, for
 * UNSTARTED_LIMIT.
 */
static void
spill_list(WebhookDispatcher *dispatcher, WebhookQueue *queue, dlist_head *ready,
		   const int *length, int kept, TimestampTz now)
{
	while (*length > 0)
	{
		WebhookDelivery *oldest = dlist_head_element(WebhookDelivery, node, ready);
		int64		limit = *length > kept ? SCARCE_LIMIT : UNSTARTED_LIMIT;

		if (!webhook_delivery_has_waited(oldest, limit, now))
			break;
		queue->spilling = true;
		webhook_delivery_evict(dispatcher, oldest, false, now);
	}
}

/*
 * Deliveries that a queue may keep in memory while it is scarce: its fair share,
 * or none if it has completed nothing in this interval and the one before.
 */
static int
may_keep(const WebhookDispatcher *dispatcher, const WebhookQueue *queue)
{
	const WebhookSchedulerEntry *scheduling = &queue->scheduling;

	if (scheduling->slow || queue->not_before.at != 0 || queue->tenant->not_before.at != 0)
		return 0;
	if (scheduling->in_flight == 0)
		return queue->nready;
	return queue->completed + scheduling->completed > 0 ?
		webhook_budget_share(dispatcher, queue->tenant) + LEAST_SHARE : 0;
}
