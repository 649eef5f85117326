/*
 * due.c
 *	  Which rows of pending are to be loaded, and when.
 *
 * has_rows of a queue may be stale: it is rechecked soon after its last known
 * row has gone, because while it is set each new event costs a look into
 * pending.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "delivery/budget_internal.h"
#include "delivery/delivery_internal.h"
#include "delivery/due_internal.h"

#define TENANT_PAUSE (USECS_PER_SEC / 50)	/* until a tenant that has its part is looked at
											 * again */
#define LEAST_BEHIND 32			/* rows behind heads that may be loaded, whatever the endpoint
								 * takes */

void
webhook_due_note_row(WebhookQueues *queues, WebhookQueue *queue, TimestampTz next_at)
{
	queue->has_rows = true;
	if (next_at != 0 && (queue->next_due == 0 || next_at < queue->next_due))
		queue->next_due = next_at;
}

void
webhook_due_note_deleted(WebhookQueues *queues, WebhookQueue *queue)
{
	if (queue->next_due == 0)
		queues->any_recheck = queue->needs_recheck = true;
}

void
webhook_due_add(WebhookDispatcher *dispatcher, int64 subscription_id, TimestampTz next_at)
{
	WebhookQueues *queues = &dispatcher->queues;
	WebhookQueue *queue = webhook_queue_get(queues, subscription_id);

	webhook_due_note_row(queues, queue, next_at);
	webhook_queue_update(queues, queue);
}

void
webhook_due_none(WebhookDispatcher *dispatcher, int64 subscription_id)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);

	queue->has_rows = false;
	queue->next_due = 0;
	webhook_queue_update(&dispatcher->queues, queue);
}

int
webhook_due_take(WebhookDispatcher *dispatcher, TimestampTz now, WebhookQueue **found, int size)
{
	WebhookQueues *queues = &dispatcher->queues;
	WebhookTimer *timer;
	int			count = 0;

	if (queues->loads_suspended)
		return 0;
	while (count < size && (timer = webhook_timer_first(queues->loads)) != NULL &&
		   timer->at <= now)
	{
		WebhookQueue *queue = WEBHOOK_QUEUE_OF(load, timer);
		bool		loaded = webhook_budget_is_loaded(dispatcher, queue->tenant, now);

		webhook_timer_set(queues->loads, timer,
						  loaded ? Max(now + TENANT_PAUSE, queue->tenant->not_before.at) : 0);
		if (!loaded)
			found[count++] = queue;
	}
	return count;
}

int
webhook_due_limit(WebhookDispatcher *dispatcher, const WebhookQueue *queue)
{
	return webhook_queue_capacity(&dispatcher->queues, queue).rows;
}

/*
 * As many as the endpoint takes in one interval of evict.c: so a subject with a long backlog is
 * not written and read again for each delivery, and what was loaded does not wait for long.
 */
int
webhook_due_limit_behind(const WebhookQueue *queue)
{
	int			waiting = queue->queued - queue->nready - queue->npings;
	int			taken = Max(queue->completed, queue->scheduling.completed);

	if (!queue->ordered || queue->scheduling.slow || webhook_health_is_open(&queue->health))
		return 0;
	return Max(Max(taken, LEAST_BEHIND) - waiting, 0);
}

void
webhook_due_loaded(WebhookDispatcher *dispatcher, WebhookQueue *queue, TimestampTz next,
				   TimestampTz now)
{
	queue->next_due = next;
	queue->loaded_at = now;
	if (next == 0 || next > now)
		queue->spilling = false;
	webhook_due_note_deleted(&dispatcher->queues, queue);
	webhook_queue_update(&dispatcher->queues, queue);
}

void
webhook_due_not_loaded(WebhookDispatcher *dispatcher, WebhookQueue *queue)
{
	webhook_queue_update(&dispatcher->queues, queue);
}

TimestampTz
webhook_due_time(const WebhookDispatcher *dispatcher)
{
	const WebhookQueues *queues = &dispatcher->queues;

	return queues->loads_suspended ? 0 : webhook_timer_time(queues->loads);
}

void
webhook_due_make_due(WebhookDispatcher *dispatcher, int64 subscription_id, const char *subject,
					 TimestampTz now)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);
	dlist_iter	iter;

	webhook_queue_try_again(&dispatcher->queues, queue, now);
	dlist_foreach(iter, &dispatcher->ended)
	{
		WebhookDelivery *delivery = dlist_container(WebhookDelivery, node, iter.cur);
		WebhookPending *row = &delivery->entry.delivery;

		if (delivery->queue == queue && row->next_at > now &&
			(subject == NULL ||
			 (row->event->subject != NULL && strcmp(row->event->subject, subject) == 0)))
			row->next_at = now;
	}
	webhook_queue_update(&dispatcher->queues, queue);
}

void
webhook_due_suspend(WebhookDispatcher *dispatcher, bool suspended)
{
	dispatcher->queues.loads_suspended = suspended;
}

void
webhook_due_block(WebhookDispatcher *dispatcher, int64 subscription_id)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);

	queue->blocked++;
	webhook_queue_update(&dispatcher->queues, queue);
}

void
webhook_due_unblock(WebhookDispatcher *dispatcher, int64 subscription_id)
{
	WebhookQueue *queue = webhook_queue_get(&dispatcher->queues, subscription_id);

	Assert(queue->blocked > 0);
	queue->blocked--;
	webhook_queue_update(&dispatcher->queues, queue);
}

int
webhook_due_blocks(const WebhookDispatcher *dispatcher, int64 subscription_id)
{
	const WebhookQueue *queue = webhook_queue_find(&dispatcher->queues, subscription_id);

	return queue == NULL ? 0 : queue->blocked;
}

bool
webhook_due_any(WebhookDispatcher *dispatcher, TimestampTz now)
{
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	if (hash_get_num_entries(dispatcher->rows) > 0)
		return true;
	webhook_queues_scan(&dispatcher->queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		if (queue->ask_due || (queue->ask.at != 0 && queue->ask.at <= now) ||
			(queue->sends && queue->next_due != 0 && queue->next_due <= now &&
			 queue->health.state.not_before <= now))
		{
			hash_seq_term(&scan);
			return true;
		}
	}
	return false;
}

WebhookQueue *
webhook_due_next_recheck(WebhookDispatcher *dispatcher)
{
	WebhookQueues *queues = &dispatcher->queues;
	HASH_SEQ_STATUS scan;
	WebhookQueue *queue;

	if (!queues->any_recheck)
		return NULL;
	webhook_queues_scan(queues, &scan);
	while ((queue = webhook_queues_next(&scan)) != NULL)
	{
		if (queue->needs_recheck && queue->has_rows && queue->next_due == 0)
		{
			hash_seq_term(&scan);
			queue->needs_recheck = false;
			return queue;
		}
	}
	queues->any_recheck = false;
	return NULL;
}

void
webhook_due_rechecked(WebhookDispatcher *dispatcher, WebhookQueue *queue, bool has_rows)
{
	queue->has_rows = has_rows;
}
