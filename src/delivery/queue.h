/*
 * queue.h
 *	  What a worker knows of each subscription that has deliveries: its queue,
 *	  its health, whether it may send, and what of it waits in webhook.pending.
 *	  Memory only.
 */
#ifndef WEBHOOK_LANE_H
#define WEBHOOK_LANE_H

#include "lib/ilist.h"
#include "lib/pairingheap.h"

#include "delivery/health.h"

#define WEBHOOK_QUEUE_CHANGES 4

typedef struct WebhookQueue
{
	int64		id;				/* of the subscription; hash key */
	WebhookHealth health;
	dlist_head	ready;			/* deliveries that may start, oldest first */
	dlist_head	pings;			/* the same, whatever the health */
	int			nready;			/* of "ready" */
	int			npings;			/* of "pings" */
	int			in_flight;
	int			in_slow_pool;	/* of in_flight: pings that hang; they have places of the slow
								 * ones, whatever it is */
	int			limit;			/* of in_flight, as its health allows */
	bool		sends;			/* not paused, not fenced, sending is on */
	bool		ordered;		/* within a subject */
	bool		spilling;		/* arrivals go to webhook.pending */
	bool		has_rows;		/* it may have rows there ... */
	bool		needs_recheck;	/* ... or not any more */
	bool		subscription_dropped;	/* its subscription has gone, its state too */
	bool		cancel_backlog; /* what waits for it is still to be cancelled */
	int			cancelling;		/* commands under way that end rows there */
	TimestampTz next_due;		/* earliest head there, not in memory; 0: none */
	TimestampTz not_before;		/* nothing starts before; 0: it is awake */
	pairingheap_node delay_node;
	int			completed;		/* requests that have ended, and what that makes */
	int			completions_per_interval;	/* in WEBHOOK_SCARCE_LIMIT (leaving.c) */

	/* What queue.c makes of it. */
	bool		slow;			/* whose places its requests take */
	bool		busy;			/* it has, or wants, places of the proven */
	bool		runnable;		/* in the round: one of them may start now */
	dlist_node	runnable_node;
	TimestampTz loaded_at;		/* the last time */
	TimestampTz due_at;			/* when to load rows; 0: not in the heap */
	pairingheap_node due_node;
	bool		dirty;			/* its state has to be saved ... */
	bool		urgent;			/* ... at once */
	dlist_node	dirty_node;
	int			nchanges;		/* of its health, still to be told */
	WebhookStateChange changes[WEBHOOK_QUEUE_CHANGES];
} WebhookQueue;

extern void webhook_queue_init(void);

/* The queue of a subscription, made at the first call; it stays for good. */
extern WebhookQueue *webhook_queue_get(int64 id);

/* The same, or NULL: none has been made. */
extern WebhookQueue *webhook_queue_find(int64 id);

/* All queues, one a call until NULL; "scan" comes from webhook_queue_first(). */
extern WebhookQueue *webhook_queue_first(void **scan);
extern WebhookQueue *webhook_queue_next(void **scan);

/* What has been saved of a subscription's health, at the start of a process. */
extern void webhook_queue_restore(const WebhookState *state, TimestampTz now);

/* Is the subscription there and enabled, and not given up? */
extern bool webhook_queue_is_enabled(int64 id);

/* Settings or subscriptions have changed: find out anew which queues send. */
extern void webhook_queues_refresh(bool sending, TimestampTz now);

/* People have given it another endpoint, or enabled it: it begins anew. */
extern void webhook_queue_reset(int64 id);

/* How many rows to load of it, and may a new arrival, a ping, wait in memory? */
extern int	webhook_queue_load_limit(const WebhookQueue *queue);
extern bool webhook_queue_accepts(const WebhookQueue *queue);
extern bool webhook_queue_accepts_ping(const WebhookQueue *queue);

/* Queue or flight of a queue has changed: in or out of the round. */
extern void webhook_queue_update(WebhookQueue *queue);

/* Its health has changed: what it allows, and what is to be told of it. */
extern void webhook_queue_apply_health(WebhookQueue *queue, WebhookHealthChange change);

/* Nothing of it starts before "until", unless that is 0 or earlier. */
extern void webhook_queue_delay(WebhookQueue *queue, TimestampTz until);

/* Wake the queues whose time has come; when that is for the next, 0: never. */
extern void webhook_queues_wake(TimestampTz now);
extern TimestampTz webhook_queues_wake_time(void);

/* A row of webhook.pending is there, a head due at "next_at", or 0. */
extern void webhook_due_add(WebhookQueue *queue, TimestampTz next_at);

/*
 * Queues to load due heads of, those that have waited longest, at most "size".
 * Each is to be told webhook_due_loaded(), or webhook_queue_update() if that
 * failed.
 */
extern int	webhook_due_take(TimestampTz now, WebhookQueue **queues, int size);

/* When the first queue has to be loaded; 0: none. */
extern TimestampTz webhook_due_time(void);

/*
 * Load nothing for the time being: the ring may hold commands, not yet read,
 * to end what is due.
 */
extern void webhook_due_suspend(bool hold);

/* They have been loaded; the first left is due at "next", 0: none. */
extern void webhook_due_loaded(WebhookQueue *queue, TimestampTz next, TimestampTz now);

/* Is anything due, loaded or not? */
extern bool webhook_due_any(TimestampTz now);

/* What waits for it is to be cancelled; the next such queue, told once. */
extern void webhook_queue_cancel_backlog(WebhookQueue *queue);
extern WebhookQueue *webhook_queue_next_backlog(void);

/* A row has gone: was it the last? */
extern void webhook_queue_recheck_rows(WebhookQueue *queue);
extern WebhookQueue *webhook_queue_next_recheck(void);

/*
 * States that have to be saved (saving.c)
 */

/* It has changed; with "urgent", it is to be saved at once. */
extern void webhook_queue_mark_dirty(WebhookQueue *queue, bool urgent);

/* Queues to be saved, at most "size"; is any urgent? */
extern int	webhook_queue_dirty(WebhookQueue **queues, int size);
extern bool webhook_queue_save_now(void);
extern void webhook_queue_mark_saved(WebhookQueue **queues, int count);

#endif							/* WEBHOOK_LANE_H */
