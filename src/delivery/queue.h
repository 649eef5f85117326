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

#define WEBHOOK_LANE_NEWS 4

typedef struct WebhookLane
{
	int64		id;				/* of the subscription; hash key */
	WebhookHealth health;
	dlist_head	ready;			/* deliveries that may start, oldest first */
	dlist_head	pings;			/* the same, whatever the health */
	int			nready;			/* of "ready" */
	int			npings;			/* of "pings" */
	int			in_flight;
	int			displaced;		/* of in_flight: pings that hang; they have
								 * places of the slow ones, whatever it is */
	int			limit;			/* of in_flight, as its health allows */
	bool		sends;			/* not paused, not fenced, sending is on */
	bool		ordered;		/* within a subject */
	bool		spilling;		/* arrivals go to webhook.pending */
	bool		has_rows;		/* it may have rows there ... */
	bool		doubts;			/* ... or not any more */
	bool		forgotten;		/* its subscription has gone, its state too */
	bool		given_up;		/* what waits for it is still to be cancelled */
	int			cancelling;		/* commands under way that end rows there */
	TimestampTz next_due;		/* earliest head there, not in memory; 0: none */
	TimestampTz sleeps_until;	/* nothing starts before; 0: it is awake */
	pairingheap_node sleep_node;
	int			landings;		/* requests that have ended, and what that makes */
	int			pace;			/* in WEBHOOK_SCARCE_LIMIT (leaving.c) */

	/* What lane.c makes of it. */
	bool		slow;			/* whose places its requests take */
	bool		contends;		/* it has, or wants, places of the proven */
	bool		active;			/* in the round: one of them may start now */
	dlist_node	active_node;
	TimestampTz loaded_at;		/* the last time */
	TimestampTz due_at;			/* when to load rows; 0: not in the heap */
	pairingheap_node due_node;
	bool		dirty;			/* its state has to be saved ... */
	bool		urgent;			/* ... at once */
	dlist_node	dirty_node;
	int			nnews;			/* of its health, still to be told */
	WebhookNews news[WEBHOOK_LANE_NEWS];
} WebhookLane;

extern void webhook_lane_init(void);

/* The lane of a subscription, made at the first call; it stays for good. */
extern WebhookLane *webhook_lane_get(int64 id);

/* The same, or NULL: none has been made. */
extern WebhookLane *webhook_lane_find(int64 id);

/* All lanes, one a call until NULL; "scan" comes from webhook_lane_first(). */
extern WebhookLane *webhook_lane_first(void **scan);
extern WebhookLane *webhook_lane_following(void **scan);

/* What has been saved of a subscription's health, at the start of a process. */
extern void webhook_lane_restore(const WebhookState *state, TimestampTz now);

/* Is the subscription there and enabled, and not given up? */
extern bool webhook_lane_wanted(int64 id);

/* Settings or subscriptions have changed: find out anew which lanes send. */
extern void webhook_lane_review(bool sending, TimestampTz now);

/* People have given it another endpoint, or enabled it: it begins anew. */
extern void webhook_lane_revive(int64 id);

/* How many rows to load of it, and may a new arrival, a ping, wait in memory? */
extern int	webhook_lane_room(const WebhookLane *lane);
extern bool webhook_lane_takes_arrivals(const WebhookLane *lane);
extern bool webhook_lane_takes_pings(const WebhookLane *lane);

/* Queue or flight of a lane has changed: in or out of the round. */
extern void webhook_lane_update(WebhookLane *lane);

/* Its health has changed: what it allows, and what is to be told of it. */
extern void webhook_lane_judge(WebhookLane *lane, WebhookTurn turn);

/* Nothing of it starts before "until", unless that is 0 or earlier. */
extern void webhook_lane_sleep(WebhookLane *lane, TimestampTz until);

/* Wake the lanes whose time has come; when that is for the next, 0: never. */
extern void webhook_lane_wake(TimestampTz now);
extern TimestampTz webhook_lane_wake_time(void);

/* A row of webhook.pending is there, a head due at "next_at", or 0. */
extern void webhook_lane_note_row(WebhookLane *lane, TimestampTz next_at);

/*
 * Lanes to load due heads of, those that have waited longest, at most "size".
 * Each is to be told webhook_lane_loaded(), or webhook_lane_update() if that
 * failed.
 */
extern int	webhook_lane_due(TimestampTz now, WebhookLane **lanes, int size);

/* When the first lane has to be loaded; 0: none. */
extern TimestampTz webhook_lane_due_time(void);

/*
 * Load nothing for the time being: the ring may hold commands, not yet read,
 * to end what is due.
 */
extern void webhook_lane_hold(bool hold);

/* They have been loaded; the first left is due at "next", 0: none. */
extern void webhook_lane_loaded(WebhookLane *lane, TimestampTz next, TimestampTz now);

/* Is anything due, loaded or not? */
extern bool webhook_lane_any_due(TimestampTz now);

/* What waits for it is to be cancelled; the next such lane, told once. */
extern void webhook_lane_give_up(WebhookLane *lane);
extern WebhookLane *webhook_lane_given_up(void);

/* A row has gone: was it the last? */
extern void webhook_lane_doubt(WebhookLane *lane);
extern WebhookLane *webhook_lane_doubtful(void);

/*
 * States that have to be saved (saving.c)
 */

/* It has changed; with "urgent", it is to be saved at once. */
extern void webhook_lane_soil(WebhookLane *lane, bool urgent);

/* Lanes to be saved, at most "size"; is any urgent? */
extern int	webhook_lane_dirty(WebhookLane **lanes, int size);
extern bool webhook_lane_is_urgent(void);
extern void webhook_lane_saved(WebhookLane **lanes, int count);

#endif							/* WEBHOOK_LANE_H */
