/*
 * scheduler.c
 *	  Which queue sends next.
 *
 * Round robin over the queues that have something to start, so a queue with a
 * thousand deliveries starts no more requests than one with two. There are two
 * pools of webhook.max_in_flight requests each, fast and slow: what is slow or
 * fails takes nothing from what answers. A queue whose health changes takes its
 * requests along to the other pool.
 *
 * In the fast pool a queue is held to its fair share while requests are scarce.
 * Invariant: a fast queue without a request in flight can always start one,
 * whatever the others do, so one healthy endpoint is never starved by many that
 * hang (test/clock/many_queues.sql, fair_share.sql).
 */
#include "postgres.h"

#include "base/guc.h"
#include "delivery/scheduler_internal.h"

/*
 * Requests that become slow move to the slow pool without being broken off, so
 * it can hold more than its limit. Both pools together are bounded by this many
 * times webhook.max_in_flight.
 */
#define MAX_POOLS 4

/*
 * Of the fast pool a RESERVED-th part is kept for queues that have nothing in
 * flight; a queue may have the same part of what is free, if that is more than
 * its share.
 */
#define RESERVED 8

static bool has_share(const WebhookScheduler *scheduler, const WebhookSchedulerEntry *entry);

void
webhook_scheduler_init(WebhookScheduler *scheduler)
{
	memset(scheduler, 0, sizeof(WebhookScheduler));
	dlist_init(&scheduler->runnable[false]);
	dlist_init(&scheduler->runnable[true]);
}

void
webhook_scheduler_update(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry, bool runnable)
{
	bool		busy;

	if (runnable && !entry->runnable)
		dlist_push_tail(&scheduler->runnable[entry->slow], &entry->node);
	else if (!runnable && entry->runnable)
		dlist_delete(&entry->node);
	scheduler->nrunnable[entry->slow] += runnable - entry->runnable;
	entry->runnable = runnable;

	busy = !entry->slow && (runnable || entry->in_flight > 0);
	scheduler->nbusy += busy - entry->busy;
	entry->busy = busy;
}

void
webhook_scheduler_set_pool(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry, bool slow)
{
	int			moved = entry->in_flight - entry->in_slow_pool;

	if (entry->slow == slow)
		return;
	scheduler->in_flight[entry->slow] -= moved;
	scheduler->in_flight[slow] += moved;
	if (entry->runnable)
	{
		dlist_delete(&entry->node);
		dlist_push_tail(&scheduler->runnable[slow], &entry->node);
		scheduler->nrunnable[entry->slow]--;
		scheduler->nrunnable[slow]++;
	}
	entry->slow = slow;
}

WebhookSchedulerEntry *
webhook_scheduler_next(WebhookScheduler *scheduler)
{
	if (scheduler->in_flight[false] + scheduler->in_flight[true] >=
		MAX_POOLS * webhook_max_in_flight)
		return NULL;
	for (int slow = 0; slow < 2; slow++)
	{
		dlist_head *round = &scheduler->runnable[slow];

		if (scheduler->in_flight[slow] >= webhook_max_in_flight)
			continue;
		for (int i = scheduler->nrunnable[slow]; i > 0; i--)
		{
			WebhookSchedulerEntry *entry = dlist_head_element(WebhookSchedulerEntry, node, round);

			dlist_delete(&entry->node);
			dlist_push_tail(round, &entry->node);
			if (slow || has_share(scheduler, entry))
				return entry;
		}
	}
	return NULL;
}

void
webhook_scheduler_start(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry)
{
	entry->in_flight++;
	scheduler->in_flight[entry->slow]++;
}

void
webhook_scheduler_end(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry,
					  bool in_slow_pool)
{
	entry->in_flight--;
	entry->in_slow_pool -= in_slow_pool;
	entry->completed++;
	scheduler->in_flight[entry->slow || in_slow_pool]--;
}

void
webhook_scheduler_move_to_slow(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry)
{
	entry->in_slow_pool++;
	scheduler->in_flight[entry->slow]--;
	scheduler->in_flight[true]++;
}

int
webhook_scheduler_fair_share(const WebhookScheduler *scheduler)
{
	int			busy = Max(scheduler->nbusy, 1);

	return (webhook_max_in_flight + busy - 1) / busy;
}

/*
 * Returns true if a fast queue may have one more request in flight: always its
 * first; more while more than the reserved part of the pool is free and the
 * slow pool is not overrun by requests that were fast when they started.
 */
static bool
has_share(const WebhookScheduler *scheduler, const WebhookSchedulerEntry *entry)
{
	int			free = webhook_max_in_flight - scheduler->in_flight[false];

	if (entry->in_flight == 0)
		return true;
	return free > webhook_max_in_flight / RESERVED &&
		scheduler->in_flight[true] < MAX_POOLS / 2 * webhook_max_in_flight &&
		entry->in_flight < Max(webhook_scheduler_fair_share(scheduler), free / RESERVED);
}
