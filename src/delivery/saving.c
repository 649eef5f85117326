/*
 * saving.c
 *	  Queues whose state has to be saved.
 *
 * What people are to be told of goes first and at once; counters of thousands
 * of busy subscriptions can wait for their change.
 */
#include "postgres.h"

#include "delivery/queue.h"

static dlist_head dirty = DLIST_STATIC_INIT(dirty);
static int	nurgent;			/* of them, to be saved at once: the first ones */

void
webhook_queue_mark_dirty(WebhookQueue *queue, bool at_once)
{
	if (queue->dirty && (queue->urgent || !at_once))
		return;
	if (queue->dirty)
		dlist_delete(&queue->dirty_node);
	queue->dirty = true;
	queue->urgent = at_once;
	nurgent += at_once;
	if (at_once)
		dlist_push_head(&dirty, &queue->dirty_node);
	else
		dlist_push_tail(&dirty, &queue->dirty_node);
}

int
webhook_queue_dirty(WebhookQueue **found, int size)
{
	dlist_iter	iter;
	int			count = 0;

	dlist_foreach(iter, &dirty)
	{
		if (count == size)
			break;
		found[count++] = dlist_container(WebhookQueue, dirty_node, iter.cur);
	}
	return count;
}

bool
webhook_queue_save_now(void)
{
	return nurgent > 0;
}

void
webhook_queue_mark_saved(WebhookQueue **saved, int count)
{
	for (int i = 0; i < count; i++)
	{
		nurgent -= saved[i]->urgent;
		saved[i]->dirty = saved[i]->urgent = false;
		saved[i]->nchanges = 0;
		saved[i]->subscription_dropped = webhook_subscription_get(saved[i]->id) == NULL;
		dlist_delete(&saved[i]->dirty_node);
	}
}
