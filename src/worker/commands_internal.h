/*
 * commands_internal.h
 *	  Runs the commands of the ring that end deliveries or make them due: cancel(),
 *	  skip(), retry(), erase(), the end of a subscription.
 */
#ifndef WEBHOOK_COMMANDS_INTERNAL_H
#define WEBHOOK_COMMANDS_INTERNAL_H

#include "delivery/delivery.h"

/* Once a process, before any other function. */
extern void webhook_commands_init(WebhookDispatcher *dispatcher);

/*
 * Take a command that was read from the ring: what is in memory ends at once,
 * the rest by webhook_commands_run(). Pins the batch until it is complete.
 * Rows of other kinds are ignored.
 */
extern void webhook_commands_accept(const WebhookEvent *row, WebhookBatch *batch);

/*
 * Returns true if another command of that subscription may be taken, of those that end
 * deliveries or make them due: there are few that are not complete.
 */
extern bool webhook_commands_have_room(int64 subscription_id);

/* Begin to cancel the backlogs of subscriptions that were disabled. */
extern void webhook_commands_cancel_backlogs(void);

/* Returns true if a command is not complete. */
extern bool webhook_commands_are_running(void);

/*
 * Run some pieces of commands, each in a transaction of its own. Returns false if
 * one has failed and has to be repeated.
 */
extern bool webhook_commands_run(TimestampTz now);

/* When that has something to do: not before. 0: no command is left. */
extern TimestampTz webhook_commands_time(TimestampTz now);

#endif							/* WEBHOOK_COMMANDS_INTERNAL_H */
