/*
 * commands.h
 *	  Ending deliveries before their time: what commands in the ring say, and
 *	  what waits for a subscription that was given up.
 */
#ifndef WEBHOOK_CANCEL_H
#define WEBHOOK_CANCEL_H

#include "ring/event.h"
#include "ring/progress.h"

/*
 * A row of the ring that ends deliveries has been read, and so has all that is
 * before it. What is in memory ends now, the rest by webhook_commands_run();
 * the batch is held until then.
 */
extern void webhook_commands_accept(const WebhookEvent *row, WebhookBatch *batch);

/*
 * What waits for subscriptions that were given up is to end too: whatever has
 * a position up to "last".
 */
extern void webhook_commands_cancel_backlogs(int64 last);

/* Go on, with a bounded piece. False if that failed, to be tried again. */
extern bool webhook_commands_run(void);
extern bool webhook_commands_are_running(void);

#endif							/* WEBHOOK_CANCEL_H */
