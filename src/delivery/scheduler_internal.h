/*
 * scheduler_internal.h
 *	  Which queue sends next: round robin over tenants, and over the queues of each, in
 *	  two pools of in-flight requests.
 */
#ifndef WEBHOOK_SCHEDULER_INTERNAL_H
#define WEBHOOK_SCHEDULER_INTERNAL_H

#include "lib/ilist.h"

/* What a group has in one pool. */
typedef struct WebhookSchedulerPlace
{
	struct WebhookSchedulerGroup *group;
	dlist_head	runnable;		/* entries that are runnable; the next one first */
	int			nrunnable;		/* how many they are */
	int			in_flight;		/* requests charged to the pool */
	bool		busy;			/* has requests in flight or runnable entries */
	bool		in_round;		/* a request may start, unless places are scarce */
	dlist_node	node;			/* in the round robin of the pool, if in_round */
} WebhookSchedulerPlace;

/* Queues that share places: those of one tenant. Embedded in it, zeroed at its start. */
typedef struct WebhookSchedulerGroup
{
	WebhookSchedulerPlace pools[2]; /* [false] the fast pool, [true] the slow one */
	int			nbusy;			/* entries that are busy */
	int			limit;			/* requests in flight, in both pools; 0: no limit of its own */
	bool		held;			/* no request may start now */
} WebhookSchedulerGroup;

/* What the scheduler knows of a queue; embedded in it, zeroed at its start. */
typedef struct WebhookSchedulerEntry
{
	WebhookSchedulerGroup *group;	/* of its tenant */
	int			in_flight;		/* requests under way */
	int			in_slow_pool;	/* slow pings among in_flight; they are charged to the slow pool */
	int			completed;		/* requests that have ended in the present interval of evict.c */
	bool		slow;			/* its requests are charged to the slow pool */
	bool		runnable;		/* a request may start now, as far as the queue is concerned */
	bool		busy;			/* fast, and has requests in flight or is runnable */
	dlist_node	node;			/* in the round robin of its group and pool, if runnable */
} WebhookSchedulerEntry;

/* Two of each: [false] the fast pool, [true] the slow one. */
typedef struct WebhookScheduler
{
	dlist_head	round[2];		/* groups that are in the round; the next one first */
	int			nround[2];		/* how many they are */
	int			in_flight[2];	/* requests charged to each pool */
	int			nbusy[2];		/* groups that are busy in each pool */
	int			ngroups;		/* all groups */
} WebhookScheduler;

extern void webhook_scheduler_init(WebhookScheduler *scheduler);

/* One more group, one less; it has no entry that is runnable or in flight. */
extern void webhook_scheduler_add_group(WebhookScheduler *scheduler, WebhookSchedulerGroup *group);
extern void webhook_scheduler_remove_group(WebhookScheduler *scheduler,
										   WebhookSchedulerGroup *group);

/* So many requests of a group may be in flight, 0: as many as there are places; or none starts. */
extern void webhook_scheduler_limit_group(WebhookScheduler *scheduler,
										  WebhookSchedulerGroup *group, int limit, bool held);

/* Put a queue into the round robin, or take it out. */
extern void webhook_scheduler_update(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry,
									 bool runnable);

/* Charge a queue to the other pool, its requests in flight included. */
extern void webhook_scheduler_set_pool(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry,
									   bool slow);

/* The queue that may start a request now, moved to the end of its round; NULL: none. */
extern WebhookSchedulerEntry *webhook_scheduler_next(WebhookScheduler *scheduler);

/*
 * Count a request as started, as ended. webhook_scheduler_update() has to
 * follow. "in_slow_pool" tells whether it was moved there.
 */
extern void webhook_scheduler_start(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry);
extern void webhook_scheduler_end(WebhookScheduler *scheduler, WebhookSchedulerEntry *entry,
								  bool in_slow_pool);

/* A slow ping is charged to the slow pool but does not make its endpoint slow. */
extern void webhook_scheduler_move_to_slow(WebhookScheduler *scheduler,
										   WebhookSchedulerEntry *entry);

/* The part of the fast pool that each busy queue of a group may have while requests are scarce. */
extern int	webhook_scheduler_fair_share(const WebhookScheduler *scheduler,
										 const WebhookSchedulerGroup *group);

#endif							/* WEBHOOK_SCHEDULER_INTERNAL_H */
