/*
 * scheduler_internal.h
 *	  Which queue sends next: round robin in two pools of in-flight requests.
 */
#ifndef WEBHOOK_SCHEDULER_INTERNAL_H
#define WEBHOOK_SCHEDULER_INTERNAL_H

#include "lib/ilist.h"

/* What the scheduler knows of a queue; embedded in it, zeroed at its start. */
typedef struct WebhookSchedulerEntry
{
	int			in_flight;		/* requests under way */
	int			in_slow_pool;	/* slow pings among in_flight; they are charged to the slow pool */
	int			completed;		/* requests that have ended in the present interval of evict.c */
	bool		slow;			/* its requests are charged to the slow pool */
	bool		runnable;		/* a request may start now */
	bool		busy;			/* fast, and has requests in flight or is runnable */
	dlist_node	node;			/* in the round robin of its pool, if runnable */
} WebhookSchedulerEntry;

/* Two of each: [false] the fast pool, [true] the slow one. */
typedef struct WebhookScheduler
{
	dlist_head	runnable[2];	/* entries that are runnable; the next one first */
	int			nrunnable[2];	/* how many they are */
	int			in_flight[2];	/* requests charged to each pool */
	int			nbusy;			/* entries that are busy */
} WebhookScheduler;

extern void webhook_scheduler_init(WebhookScheduler *scheduler);

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

/* The part of the fast pool that each busy queue may have while requests are scarce. */
extern int	webhook_scheduler_fair_share(const WebhookScheduler *scheduler);

#endif							/* WEBHOOK_SCHEDULER_INTERNAL_H */
