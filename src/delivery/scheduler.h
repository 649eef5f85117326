/*
 * scheduler.h
 *	  Whose turn it is to send: places, and the lanes that want them.
 */
#ifndef WEBHOOK_ROUNDS_H
#define WEBHOOK_ROUNDS_H

#include "delivery/queue.h"

extern void webhook_rounds_init(void);

/* In or out of its round, as its queue, flights and health say. */
extern void webhook_rounds_place(WebhookLane *lane);

/* From one account to the other, with its flights. */
extern void webhook_rounds_move(WebhookLane *lane, bool slow);

/*
 * The lane whose turn it is, moved to the end of its round; NULL: none. There
 * are places for proven and for slow ones.
 */
extern WebhookLane *webhook_rounds_turn(void);

/*
 * One more, one less in flight. A ping that hangs is displaced: it leaves the
 * places of the proven without a word against its endpoint.
 */
extern void webhook_rounds_start(WebhookLane *lane);
extern void webhook_rounds_land(WebhookLane *lane, bool displaced);
extern void webhook_rounds_displace(WebhookLane *lane);

/*
 * How many proven lanes have places, or want some; how many of the places that
 * makes for each.
 */
extern int	webhook_rounds_contenders(void);
extern int	webhook_rounds_share(void);

#endif							/* WEBHOOK_ROUNDS_H */
