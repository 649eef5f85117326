/*
 * scheduler.c
 *	  Whose change it is to send.
 *
 * Turns go round among the queues of which something may start, so a queue with
 * a thousand deliveries takes no more places at a time than one with two.
 * There are two runnable_queues, each with as many places: what is slow, or fails, takes
 * none from what is proven. A queue whose health changes takes its requests
 * along from one account to the other. Of the places of the proven none has
 * more than its share, while they are scarce: if all but one begin to hang,
 * that one has its own.
 */
#include "postgres.h"

#include "base/guc.h"
#include "delivery/scheduler.h"

#define MAX_FLIGHTS 4			/* times max_in_flight, in both accounts: those that change slow
								 * are not broken off */

static dlist_head runnable_queues[2];	/* of proven and of slow queues */
static int	in_flight[2];
static int	nbusy;				/* proven queues that have or want places */
static int	nrunnable[2];		/* queues in each round */

static bool has_share(const WebhookQueue *queue);

void
webhook_scheduler_init(void)
{
	dlist_init(&runnable_queues[false]);
	dlist_init(&runnable_queues[true]);
}

void
webhook_scheduler_update(WebhookQueue *queue)
{
	bool		runnable = queue->sends && queue->in_flight < queue->limit &&
	((queue->nready > 0 && queue->not_before == 0) || queue->npings > 0);
	bool		busy;

	if (runnable && !queue->runnable)
		dlist_push_tail(&runnable_queues[queue->slow], &queue->runnable_node);
	else if (!runnable && queue->runnable)
		dlist_delete(&queue->runnable_node);
	nrunnable[queue->slow] += runnable - queue->runnable;
	queue->runnable = runnable;

	busy = !queue->slow && (runnable || queue->in_flight > 0);
	nbusy += busy - queue->busy;
	queue->busy = busy;
}

void
webhook_scheduler_set_pool(WebhookQueue *queue, bool slow)
{
	in_flight[queue->slow] -= queue->in_flight - queue->in_slow_pool;
	in_flight[slow] += queue->in_flight - queue->in_slow_pool;
	if (queue->runnable)
	{
		dlist_delete(&queue->runnable_node);
		dlist_push_tail(&runnable_queues[slow], &queue->runnable_node);
		nrunnable[queue->slow]--;
		nrunnable[slow]++;
	}
	queue->slow = slow;
}

WebhookQueue *
webhook_scheduler_next(void)
{
	if (in_flight[false] + in_flight[true] >= MAX_FLIGHTS * webhook_max_in_flight)
		return NULL;
	for (int slow = 0; slow < 2; slow++)
	{
		if (in_flight[slow] >= webhook_max_in_flight)
			continue;
		for (int i = nrunnable[slow]; i > 0; i--)
		{
			WebhookQueue *queue = dlist_head_element(WebhookQueue, runnable_node,
													 &runnable_queues[slow]);

			dlist_delete(&queue->runnable_node);
			dlist_push_tail(&runnable_queues[slow], &queue->runnable_node);
			if (slow || has_share(queue))
				return queue;
		}
	}
	return NULL;
}

void
webhook_scheduler_start(WebhookQueue *queue)
{
	queue->in_flight++;
	in_flight[queue->slow]++;
	webhook_queue_update(queue);
}

void
webhook_scheduler_end(WebhookQueue *queue, bool in_slow_pool)
{
	queue->in_flight--;
	queue->in_slow_pool -= in_slow_pool;
	queue->completed++;
	in_flight[queue->slow || in_slow_pool]--;
	webhook_queue_update(queue);
}

void
webhook_scheduler_move_to_slow(WebhookQueue *queue)
{
	queue->in_slow_pool++;
	in_flight[queue->slow]--;
	in_flight[true]++;
}

int
webhook_scheduler_busy_queues(void)
{
	return nbusy;
}

int
webhook_scheduler_fair_share(void)
{
	return (webhook_max_in_flight + nbusy - 1) / Max(nbusy, 1);
}

/*
 * May it have one more place of the proven? It may have more than its share
 * while there are many; the last eighth, and all of them while so many change
 * slow, are for queues that have none.
 */
static bool
has_share(const WebhookQueue *queue)
{
	int			free = webhook_max_in_flight - in_flight[false];

	if (queue->in_flight == 0)
		return true;
	return free > webhook_max_in_flight / 8 &&
		in_flight[true] < MAX_FLIGHTS / 2 * webhook_max_in_flight &&
		queue->in_flight < Max(webhook_scheduler_fair_share(), free / 8);
}
