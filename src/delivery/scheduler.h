/*
 * scheduler.h
 *	  Whose change it is to send: places, and the queues that want them.
 */
#ifndef WEBHOOK_ROUNDS_H
#define WEBHOOK_ROUNDS_H

#include "delivery/queue.h"

extern void webhook_scheduler_init(void);

/* In or out of its round, as its queue, flights and health say. */
extern void webhook_scheduler_update(WebhookQueue *queue);

/* From one account to the other, with its flights. */
extern void webhook_scheduler_set_pool(WebhookQueue *queue, bool slow);

/*
 * The queue whose change it is, moved to the end of its round; NULL: none. There
 * are places for proven and for slow ones.
 */
extern WebhookQueue *webhook_scheduler_next(void);

/*
 * One more, one less in flight. A ping that hangs is in_slow_pool: it leaves the
 * places of the proven without a word against its endpoint.
 */
extern void webhook_scheduler_start(WebhookQueue *queue);
extern void webhook_scheduler_end(WebhookQueue *queue, bool in_slow_pool);
extern void webhook_scheduler_move_to_slow(WebhookQueue *queue);

/*
 * How many proven queues have places, or want some; how many of the places that
 * makes for each.
 */
extern int	webhook_scheduler_busy_queues(void);
extern int	webhook_scheduler_fair_share(void);

#endif							/* WEBHOOK_ROUNDS_H */
