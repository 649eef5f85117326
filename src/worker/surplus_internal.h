/*
 * surplus_internal.h
 *	  Commands of which there are too many at once wait in a tail of their own.
 */
#ifndef WEBHOOK_SURPLUS_INTERNAL_H
#define WEBHOOK_SURPLUS_INTERNAL_H

#include "ring/tail.h"

/* Once a process, before any other function. */
extern void webhook_surplus_init(void);

/* Returns true if a command that was read has to wait for others of its subscription. */
extern bool webhook_surplus_takes(const WebhookEvent *row, int64 subscription_id);

/*
 * Let it wait, in a transaction; "batch" is NULL for a row of the step.
 * webhook_surplus_keep() has to follow the commit, webhook_surplus_drop() an error, as in
 * tail.h; it returns false if nothing may wait or be taken any more.
 */
extern void webhook_surplus_add(const WebhookEvent *row, int64 subscription_id,
								WebhookBatch *batch);
extern void webhook_surplus_keep(WebhookBatch *batch, TimestampTz now);
extern bool webhook_surplus_drop(void);

/*
 * What waits, in the order in which it is to be taken. The second function returns
 * how many entries may be taken now, at most "limit", in a transaction.
 */
extern WebhookTail *webhook_surplus_tail(void);
extern int	webhook_surplus_offerable(int limit);

/*
 * Returns true if something waits that may be taken, as far as is known without a look; and
 * if nothing else will lead to that: while commands run, they say when the worker goes on.
 */
extern bool webhook_surplus_has_room(void);
extern bool webhook_surplus_is_due(void);

#endif							/* WEBHOOK_SURPLUS_INTERNAL_H */
