/*
 * saving.c
 *	  Lanes whose state has to be saved.
 *
 * What people are to be told of goes first and at once; counters of thousands
 * of busy subscriptions can wait for their turn.
 */
#include "postgres.h"

#include "delivery/queue.h"

static dlist_head dirty = DLIST_STATIC_INIT(dirty);
static int	nurgent;			/* of them, to be saved at once: the first ones */

void
webhook_lane_soil(WebhookLane *lane, bool at_once)
{
	if (lane->dirty && (lane->urgent || !at_once))
		return;
	if (lane->dirty)
		dlist_delete(&lane->dirty_node);
	lane->dirty = true;
	lane->urgent = at_once;
	nurgent += at_once;
	if (at_once)
		dlist_push_head(&dirty, &lane->dirty_node);
	else
		dlist_push_tail(&dirty, &lane->dirty_node);
}

int
webhook_lane_dirty(WebhookLane **found, int size)
{
	dlist_iter	iter;
	int			count = 0;

	dlist_foreach(iter, &dirty)
	{
		if (count == size)
			break;
		found[count++] = dlist_container(WebhookLane, dirty_node, iter.cur);
	}
	return count;
}

bool
webhook_lane_is_urgent(void)
{
	return nurgent > 0;
}

void
webhook_lane_saved(WebhookLane **saved, int count)
{
	for (int i = 0; i < count; i++)
	{
		nurgent -= saved[i]->urgent;
		saved[i]->dirty = saved[i]->urgent = false;
		saved[i]->nnews = 0;
		saved[i]->forgotten = webhook_subscription_get(saved[i]->id) == NULL;
		dlist_delete(&saved[i]->dirty_node);
	}
}
