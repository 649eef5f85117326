/*
 * scheduler.c
 *	  Which queue sends next.
 *
 * Round robin over the groups, which are tenants, that have something to start, and
 * within each over its queues, so a queue with a thousand deliveries starts no more
 * requests than one with two, and a tenant with a thousand queues no more than one
 * with one. There are two pools of webhook.max_in_flight requests each, fast and slow:
 * what is slow or fails takes nothing from what answers. A queue whose health changes
 * takes its requests along to the other pool.
 *
 * In the fast pool a queue is held to its fair share while requests are scarce.
 * Invariant: a fast queue without a request in flight can always start one,
 * whatever the others of its tenant do, so one healthy endpoint is never starved by
 * many that hang (test/clock/many_queues.sql, fair_share.sql).
 *
 * Where there are several tenants, a part of each pool is kept for those that have
 * little in flight, and none has more in flight than leaves room for the others
 * (test/clock/tenants.sql).
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
 * its share. The same part of each pool is kept for tenants that have little in
 * flight, if there are several tenants.
 */
#define RESERVED 8

static void update_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group);
static void update_place(WebhookScheduler *scheduler, WebhookSchedulerGroup *group, bool slow,
						 bool may_start);
static bool is_full(const WebhookScheduler *scheduler, bool slow);
static bool group_has_share(const WebhookScheduler *scheduler, const WebhookSchedulerGroup *group,
							bool slow);
static bool has_share(const WebhookScheduler *scheduler, const WebhookSchedulerEntry *entry);
static int	group_in_flight(const WebhookSchedulerGroup *group);
static int	part_of(int whole, int parts);

void
webhook_scheduler_init(WebhookScheduler *scheduler)
{
	memset(scheduler, 0, sizeof(WebhookScheduler));
	dlist_init(&scheduler->round[false]);
	dlist_init(&scheduler->round[true]);
}

void
webhook_scheduler_add_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group)
{
	for (int slow = 0; slow < 2; slow++)
	{
		group->pools[slow].group = group;
		dlist_init(&group->pools[slow].runnable);
	}
	scheduler->ngroups++;
}

void
webhook_scheduler_remove_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group)
{
	Assert(!group->pools[false].busy && !group->pools[true].busy && group->nbusy == 0);
	scheduler->ngroups--;
}

void
webhook_scheduler_limit_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group,
							  int limit, bool held)
{
	group->limit = limit;
	group->held = held;
	update_group(scheduler, group);
}

void
webhook_scheduler_update(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry, bool runnable)
{
	WebhookSchedulerPlace *place = &entry->group->pools[entry->slow];
	bool		busy;

	if (runnable && !entry->runnable)
		dlist_push_tail(&place->runnable, &entry->node);
	else if (!runnable && entry->runnable)
		dlist_delete(&entry->node);
	place->nrunnable += runnable - entry->runnable;
	entry->runnable = runnable;

	busy = !entry->slow && (runnable || entry->in_flight > 0);
	entry->group->nbusy += busy - entry->busy;
	entry->busy = busy;
	update_group(scheduler, entry->group);
}

void
webhook_scheduler_set_pool(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry, bool slow)
{
	WebhookSchedulerPlace *from = &entry->group->pools[entry->slow];
	WebhookSchedulerPlace *to = &entry->group->pools[slow];
	int			moved = entry->in_flight - entry->in_slow_pool;

	if (entry->slow == slow)
		return;
	from->in_flight -= moved;
	to->in_flight += moved;
	scheduler->in_flight[entry->slow] -= moved;
	scheduler->in_flight[slow] += moved;
	if (entry->runnable)
	{
		dlist_delete(&entry->node);
		dlist_push_tail(&to->runnable, &entry->node);
		from->nrunnable--;
		to->nrunnable++;
	}
	entry->slow = slow;
	update_group(scheduler, entry->group);
}

WebhookSchedulerEntry *
webhook_scheduler_next(WebhookScheduler *scheduler)
{
	if (scheduler->in_flight[false] + scheduler->in_flight[true] >=
		MAX_POOLS * webhook_max_in_flight)
		return NULL;
	for (int slow = 0; slow < 2; slow++)
	{
		dlist_head *round = &scheduler->round[slow];

		if (is_full(scheduler, slow))
			continue;
		for (int i = scheduler->nround[slow]; i > 0; i--)
		{
			WebhookSchedulerPlace *place = dlist_head_element(WebhookSchedulerPlace, node, round);

			dlist_delete(&place->node);
			dlist_push_tail(round, &place->node);
			if (!group_has_share(scheduler, place->group, slow))
				continue;
			for (int j = place->nrunnable; j > 0; j--)
			{
				WebhookSchedulerEntry *entry = dlist_head_element(WebhookSchedulerEntry, node,
																  &place->runnable);

				dlist_delete(&entry->node);
				dlist_push_tail(&place->runnable, &entry->node);
				if (slow || has_share(scheduler, entry))
					return entry;
			}
		}
	}
	return NULL;
}

void
webhook_scheduler_start(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry)
{
	entry->in_flight++;
	entry->group->pools[entry->slow].in_flight++;
	scheduler->in_flight[entry->slow]++;
}

void
webhook_scheduler_end(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry,
					  bool in_slow_pool)
{
	entry->in_flight--;
	entry->in_slow_pool -= in_slow_pool;
	entry->completed++;
	entry->group->pools[entry->slow || in_slow_pool].in_flight--;
	scheduler->in_flight[entry->slow || in_slow_pool]--;
}

void
webhook_scheduler_move_to_slow(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry)
{
	WebhookSchedulerGroup *group = entry->group;

	entry->in_slow_pool++;
	group->pools[entry->slow].in_flight--;
	group->pools[true].in_flight++;
	scheduler->in_flight[entry->slow]--;
	scheduler->in_flight[true]++;
	update_group(scheduler, group);
}

int
webhook_scheduler_fair_share(const WebhookScheduler *scheduler, const WebhookSchedulerGroup *group)
{
	return part_of(part_of(webhook_max_in_flight, scheduler->nbusy[false]), group->nbusy);
}

/* Requests or runnable entries of a group have changed, or what it may do. */
static void
update_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group)
{
	bool		may_start = !group->held &&
		(group->limit == 0 || group_in_flight(group) < group->limit);

	update_place(scheduler, group, false, may_start);
	update_place(scheduler, group, true, may_start);
}

static void
update_place(WebhookScheduler *scheduler, WebhookSchedulerGroup *group, bool slow, bool may_start)
{
	WebhookSchedulerPlace *place = &group->pools[slow];
	bool		in_round = may_start && place->nrunnable > 0;
	bool		busy = place->nrunnable > 0 || place->in_flight > 0;

	if (in_round && !place->in_round)
		dlist_push_tail(&scheduler->round[slow], &place->node);
	else if (!in_round && place->in_round)
		dlist_delete(&place->node);
	scheduler->nround[slow] += in_round - place->in_round;
	place->in_round = in_round;
	scheduler->nbusy[slow] += busy - place->busy;
	place->busy = busy;
}

/*
 * Returns true if no request of any tenant may start in a pool. Requests that have
 * become slow must not keep other tenants from the slow pool.
 */
static bool
is_full(const WebhookScheduler *scheduler, bool slow)
{
	int			pools = slow && scheduler->ngroups > 1 ? MAX_POOLS / 2 : 1;

	return scheduler->in_flight[slow] >= pools * webhook_max_in_flight;
}

/*
 * Returns true if a tenant may have one more request in flight in a pool that is not
 * full: one that has few there always; one that has less than its share unless the
 * reserve is touched; others while twice the reserve is free. All but one pool's
 * worth of requests is shared out among those that have slow ones.
 */
static bool
group_has_share(const WebhookScheduler *scheduler, const WebhookSchedulerGroup *group, bool slow)
{
	int			in_flight = group->pools[slow].in_flight;
	int			free = webhook_max_in_flight - scheduler->in_flight[slow];
	int			reserve = webhook_max_in_flight / RESERVED;

	if (scheduler->ngroups <= 1)
		return true;
	if (group_in_flight(group) >=
		part_of((MAX_POOLS - 1) * webhook_max_in_flight, scheduler->nbusy[true]))
		return false;
	if (in_flight < part_of(reserve, scheduler->nbusy[slow]))
		return true;
	if (in_flight < part_of(webhook_max_in_flight, scheduler->nbusy[slow]))
		return free > reserve;
	return free > 2 * reserve;
}

/*
 * Returns true if a fast queue of a tenant that has its share may have one more request
 * in flight: always its first; more while more than the reserved part of the pool is
 * free and the slow pool is not overrun by requests of the tenant that were fast when
 * they started. Where there are several tenants, the reserved part is theirs.
 */
static bool
has_share(const WebhookScheduler *scheduler, const WebhookSchedulerEntry *entry)
{
	const WebhookSchedulerGroup *group = entry->group;
	int			free = webhook_max_in_flight - scheduler->in_flight[false];

	if (entry->in_flight == 0)
		return true;
	if (scheduler->ngroups <= 1 && free <= webhook_max_in_flight / RESERVED)
		return false;
	return group->pools[true].in_flight <
		part_of(MAX_POOLS / 2 * webhook_max_in_flight, scheduler->nbusy[true]) &&
		entry->in_flight < Max(webhook_scheduler_fair_share(scheduler, group), free / RESERVED);
}

static int
group_in_flight(const WebhookSchedulerGroup *group)
{
	return group->pools[false].in_flight + group->pools[true].in_flight;
}

/* A part of so many equal ones, rounded up. */
static int
part_of(int whole, int parts)
{
	parts = Max(parts, 1);
	return (whole + parts - 1) / parts;
}
