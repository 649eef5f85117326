/*
 * queue_internal.h
 *	  The queue of a subscription: its ready deliveries, its health, whether it may
 *	  send, and what of it is in pending.
 */
#ifndef WEBHOOK_QUEUE_INTERNAL_H
#define WEBHOOK_QUEUE_INTERNAL_H

#include "utils/hsearch.h"

#include "delivery/delivery.h"
#include "delivery/health_internal.h"
#include "delivery/scheduler_internal.h"
#include "delivery/tenant_internal.h"
#include "delivery/timer_heap_internal.h"

/* State changes that are kept until they are told; later ones replace the last. */
#define WEBHOOK_QUEUE_CHANGES 4

struct WebhookQueue
{
	int64		id;				/* of the subscription; hash key */
	WebhookHealth health;

	/* Bound when subscriptions are read. */
	const WebhookSubscription *subscription;	/* NULL: it is gone */
	WebhookTenant *tenant;		/* whose queue it is; with deliveries in memory it stays so */
	bool		has_log_bodies; /* the next field is set; kept when the subscription is gone */
	WebhookLogBodies log_bodies;
	bool		ordered;		/* deliveries of one subject follow each other */

	/* Derived from subscription, settings and health. */
	bool		takes;			/* enabled by people, not disabled by us */
	bool		sends;			/* takes deliveries, not paused, not fenced, sending is on, its
								 * endpoint is confirmed */
	bool		asks;			/* sends nothing yet but the question for the challenge */
	int			limit;			/* requests in flight, as health and subscription allow */

	/* Deliveries in memory. */
	dlist_head	ready;			/* deliveries that may start, oldest first */
	dlist_head	pings;			/* pings ready to start; not limited by health */
	int			nready;			/* length of ready */
	int			npings;			/* length of pings */
	int			queued;			/* deliveries that wait in memory: ready, or behind a head */
	int			ndeliveries;	/* all deliveries in memory */
	bool		spilling;		/* arrivals go to pending, until what is due there was loaded */
	WebhookSchedulerEntry scheduling;
	WebhookTimer not_before;	/* no request starts before; not set: it may now */
	bool		ask_due;		/* the challenge is to be asked for now */
	WebhookTimer ask;			/* when to ask for it; not set: it is not to be asked for */
	int			completed;		/* requests that have ended in the last interval of evict.c */

	/* Rows of pending. */
	bool		has_rows;		/* it may have rows there */
	bool		needs_recheck;	/* has_rows has to be rechecked */
	int			blocked;		/* commands under way that end rows there; nothing is loaded */
	TimestampTz next_due;		/* earliest head there that is not in memory; 0: none */
	TimestampTz loaded_at;		/* when rows were last loaded */
	WebhookTimer load;			/* when to load rows; not set: none are wanted or due */

	/* The state in the table. */
	bool		dirty;			/* it differs from the table's */
	bool		urgent;			/* it is to be saved at once */
	dlist_node	dirty_node;		/* among the dirty queues */
	bool		gone;			/* its subscription is: it is among the queues that are gone */
	dlist_node	gone_node;
	bool		subscription_dropped;	/* the subscription is gone, and its state removed */
	bool		cancel_backlog; /* what waits for it has to be cancelled */
	const char *told;			/* the state that people were told last; NULL: none */
	TimestampTz slow_told_at;	/* when they were last told that it is slow */
	TimestampTz waiting_told_at;	/* when they were last told that it waits */
	int			nchanges;		/* length of changes[] */
	WebhookStateChange changes[WEBHOOK_QUEUE_CHANGES];	/* still to be told of, oldest first */
};

/* The queue that a timer or a scheduler's entry is embedded in. */
#define WEBHOOK_QUEUE_OF(member, pointer) \
	((WebhookQueue *) ((char *) (pointer) - offsetof(WebhookQueue, member)))

typedef struct WebhookQueues
{
	HTAB	   *table;			/* subscription id -> WebhookQueue */
	WebhookScheduler scheduler;
	WebhookTenants tenants;
	pairingheap *delayed;		/* queues that have a not_before */
	pairingheap *asks;			/* queues whose endpoints are to be asked for a challenge */
	pairingheap *loads;			/* queues that have rows to be loaded */
	dlist_head	gone;			/* queues without a subscription, which are freed when they are
								 * over */
	dlist_head	dirty;			/* queues whose state has to be saved, the urgent ones first */
	int			nurgent;		/* how many of them are urgent */
	bool		sending;		/* webhook.enabled */
	bool		loads_suspended;	/* nothing is loaded at present */
	bool		any_recheck;	/* some queue may have needs_recheck */
	bool		any_backlog;	/* some queue may have cancel_backlog */
	TimestampTz last_tick;		/* when webhook_queues_tick() was last called */
} WebhookQueues;

/* What a queue has room for in memory. */
typedef struct WebhookQueueCapacity
{
	bool		arrivals;		/* an arrival may become ready or wait in memory */
	bool		pings;			/* a ping may become ready */
	bool		load;			/* so many rows have room that a look into pending is worth it */
	int			rows;			/* how many rows a look may bring */
} WebhookQueueCapacity;

extern void webhook_queues_init(WebhookQueues *queues);

/* The queue of a subscription, made at the first call. Valid until the next refresh. */
extern WebhookQueue *webhook_queue_get(WebhookQueues *queues, int64 id);

/* The same; NULL: there is none. */
extern WebhookQueue *webhook_queue_find(const WebhookQueues *queues, int64 id);

/* The queue for an arrival: one that may not send begins its suspended time. */
extern WebhookQueue *webhook_queue_get_for_arrival(WebhookQueues *queues, int64 id,
												   TimestampTz now);

/* All queues: begin a scan, then one a call until NULL. */
extern void webhook_queues_scan(const WebhookQueues *queues, HASH_SEQ_STATUS *scan);
extern WebhookQueue *webhook_queues_next(HASH_SEQ_STATUS *scan);

/*
 * Bind all queues to the subscriptions as they were read last, and derive what
 * each takes. webhook_queues_refresh() has to follow.
 */
extern void webhook_queues_bind(WebhookQueues *queues);

/* The same, and apply it to their health. webhook_queue_update() has to follow for each. */
extern void webhook_queues_refresh(WebhookQueues *queues, bool sending, TimestampTz now);

/* The same two for the queues of some subscriptions. */
extern void webhook_queues_bind_some(WebhookQueues *queues, const int64 *ids, int count);
extern void webhook_queues_refresh_some(WebhookQueues *queues, const int64 *ids, int count,
										TimestampTz now);

extern WebhookQueueCapacity webhook_queue_capacity(const WebhookQueues *queues,
												   const WebhookQueue *queue);

/*
 * To be called once after deliveries, requests in flight, rows or health of a
 * queue have changed: in or out of the scheduler, and of the heap of loads.
 */
extern void webhook_queue_update(WebhookQueues *queues, WebhookQueue *queue);

/* No request starts before "until"; 0: it may now. webhook_queue_update() has to follow. */
extern void webhook_queue_delay(WebhookQueues *queues, WebhookQueue *queue, TimestampTz until);

/*
 * The health has changed: apply what it allows now, and keep the change for
 * being told. webhook_queue_update() has to follow.
 */
extern void webhook_queue_apply_health(WebhookQueues *queues, WebhookQueue *queue,
									   WebhookHealthChange change, TimestampTz now);

/* The endpoint has answered the challenge. webhook_queue_update() has to follow. */
extern void webhook_queue_confirmed(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);

/* The breaker closes, a wait ends. webhook_queue_update() has to follow. */
extern void webhook_queue_try_again(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);

/* A request has been in flight for too long. webhook_queue_update() has to follow. */
extern void webhook_queue_set_slow(WebhookQueues *queues, WebhookQueue *queue, TimestampTz now);

/* End delays that are over; rows wait by the new clock if it was set back. */
extern void webhook_queues_tick(WebhookQueues *queues, TimestampTz now);

#endif							/* WEBHOOK_QUEUE_INTERNAL_H */
