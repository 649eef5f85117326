/*
 * scheduler.c
 *	  Whose turn it is to send.
 *
 * Turns go round among the lanes of which something may start, so a lane with
 * a thousand deliveries takes no more places at a time than one with two.
 * There are two rounds, each with as many places: what is slow, or fails, takes
 * none from what is proven. A lane whose health changes takes its requests
 * along from one account to the other. Of the places of the proven none has
 * more than its share, while they are scarce: if all but one begin to hang,
 * that one has its own.
 */
#include "postgres.h"

#include "base/guc.h"
#include "delivery/scheduler.h"

#define MAX_FLIGHTS 4			/* times max_in_flight, in both accounts: those
								 * that turn slow are not broken off */

static dlist_head rounds[2];	/* of proven and of slow lanes */
static int	in_flight[2];
static int	contenders;			/* proven lanes that have or want places */
static int	nactive[2];			/* lanes in each round */

static bool has_share(const WebhookLane *lane);

void
webhook_rounds_init(void)
{
	dlist_init(&rounds[false]);
	dlist_init(&rounds[true]);
}

void
webhook_rounds_place(WebhookLane *lane)
{
	bool		active = lane->sends && lane->in_flight < lane->limit &&
		((lane->nready > 0 && lane->sleeps_until == 0) || lane->npings > 0);
	bool		contends;

	if (active && !lane->active)
		dlist_push_tail(&rounds[lane->slow], &lane->active_node);
	else if (!active && lane->active)
		dlist_delete(&lane->active_node);
	nactive[lane->slow] += active - lane->active;
	lane->active = active;

	contends = !lane->slow && (active || lane->in_flight > 0);
	contenders += contends - lane->contends;
	lane->contends = contends;
}

void
webhook_rounds_move(WebhookLane *lane, bool slow)
{
	in_flight[lane->slow] -= lane->in_flight - lane->displaced;
	in_flight[slow] += lane->in_flight - lane->displaced;
	if (lane->active)
	{
		dlist_delete(&lane->active_node);
		dlist_push_tail(&rounds[slow], &lane->active_node);
		nactive[lane->slow]--;
		nactive[slow]++;
	}
	lane->slow = slow;
}

WebhookLane *
webhook_rounds_turn(void)
{
	if (in_flight[false] + in_flight[true] >= MAX_FLIGHTS * webhook_max_in_flight)
		return NULL;
	for (int slow = 0; slow < 2; slow++)
	{
		if (in_flight[slow] >= webhook_max_in_flight)
			continue;
		for (int i = nactive[slow]; i > 0; i--)
		{
			WebhookLane *lane = dlist_head_element(WebhookLane, active_node, &rounds[slow]);

			dlist_delete(&lane->active_node);
			dlist_push_tail(&rounds[slow], &lane->active_node);
			if (slow || has_share(lane))
				return lane;
		}
	}
	return NULL;
}

void
webhook_rounds_start(WebhookLane *lane)
{
	lane->in_flight++;
	in_flight[lane->slow]++;
	webhook_lane_update(lane);
}

void
webhook_rounds_land(WebhookLane *lane, bool displaced)
{
	lane->in_flight--;
	lane->displaced -= displaced;
	lane->landings++;
	in_flight[lane->slow || displaced]--;
	webhook_lane_update(lane);
}

void
webhook_rounds_displace(WebhookLane *lane)
{
	lane->displaced++;
	in_flight[lane->slow]--;
	in_flight[true]++;
}

int
webhook_rounds_contenders(void)
{
	return contenders;
}

int
webhook_rounds_share(void)
{
	return (webhook_max_in_flight + contenders - 1) / Max(contenders, 1);
}

/*
 * May it have one more place of the proven? It may have more than its share
 * while there are many; the last eighth, and all of them while so many turn
 * slow, are for lanes that have none.
 */
static bool
has_share(const WebhookLane *lane)
{
	int			free = webhook_max_in_flight - in_flight[false];

	if (lane->in_flight == 0)
		return true;
	return free > webhook_max_in_flight / 8 &&
		in_flight[true] < MAX_FLIGHTS / 2 * webhook_max_in_flight &&
		lane->in_flight < Max(webhook_rounds_share(), free / 8);
}
