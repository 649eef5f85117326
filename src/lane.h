/*
 * lane.h
 *	  What a worker knows of each subscription that has deliveries: its queue,
 *	  whether it may send, and what of it waits in webhook.pending. Memory only.
 */
#ifndef WEBHOOK_LANE_H
#define WEBHOOK_LANE_H

#include "datatype/timestamp.h"
#include "lib/ilist.h"

typedef struct WebhookLane
{
	int64		id;				/* of the subscription; hash key */
	dlist_head	ready;			/* deliveries that may start, oldest first */
	int			nready;
	int			in_flight;
	bool		active;			/* in the round: one of them may start now */
	dlist_node	active_node;
	bool		sends;			/* not paused, not fenced, sending is on */
	bool		ailing;			/* the last POST failed for the endpoint's sake */
	bool		spilling;		/* arrivals go to webhook.pending */
	bool		has_rows;		/* it may have rows there ... */
	bool		doubts;			/* ... or not any more */
	int			cancelling;		/* commands under way that end rows there */
	TimestampTz next_due;		/* earliest head there, not in memory; 0: none */
} WebhookLane;

extern void webhook_lane_init(void);

/* The lane of a subscription, made at the first call; it stays for good. */
extern WebhookLane *webhook_lane_get(int64 id);

/* All lanes, one a call until NULL; "scan" comes from webhook_lane_first(). */
extern WebhookLane *webhook_lane_first(void **scan);
extern WebhookLane *webhook_lane_following(void **scan);

/* Is the subscription there and enabled? */
extern bool webhook_lane_wanted(int64 id);

/* Settings or subscriptions have changed: find out anew which lanes send. */
extern void webhook_lane_review(bool sending);

/* How many may be ready, and may a new arrival wait in memory? */
extern int	webhook_lane_limit(const WebhookLane *lane);
extern bool webhook_lane_takes_arrivals(const WebhookLane *lane);

/* Queue or flight of a lane has changed: in or out of the round. */
extern void webhook_lane_update(WebhookLane *lane);

/* The lane whose turn it is, moved to the end of the round; NULL: none. */
extern WebhookLane *webhook_lane_turn(void);

/* A row of webhook.pending is there, a head due at "next_at", or 0. */
extern void webhook_lane_note_row(WebhookLane *lane, TimestampTz next_at);

/* The lane to load due heads of, or NULL. */
extern WebhookLane *webhook_lane_due(TimestampTz now);

/*
 * Load nothing for the time being: the ring may hold commands, not yet read,
 * to end what is due.
 */
extern void webhook_lane_hold(bool hold);

/* They have been loaded; the first left is due at "next", 0: none. */
extern void webhook_lane_loaded(WebhookLane *lane, TimestampTz next);

/* A lane that may have no rows left, or NULL; told once. */
extern WebhookLane *webhook_lane_doubtful(void);

/* When the first head of a lane that sends is due; 0: never. */
extern TimestampTz webhook_lane_next_time(void);

#endif							/* WEBHOOK_LANE_H */
