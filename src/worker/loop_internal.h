/*
 * loop_internal.h
 *	  What the worker does, round by round: the process around it is worker.c, and
 *	  in the tests a fake clock.
 */
#ifndef WEBHOOK_LOOP_INTERNAL_H
#define WEBHOOK_LOOP_INTERNAL_H

#include "delivery/delivery.h"
#include "process/shmem.h"

/*
 * Start all parts of the worker, with what the tables say, in one transaction
 * that ends with this process's first write. Returns the dispatcher, or NULL if
 * that failed: then nothing may be sent.
 */
extern WebhookDispatcher *webhook_loop_start(WebhookSlot *slot);

/*
 * One round: take requests, load and read, send, write. Each does a bounded
 * piece of its work.
 */
extern void webhook_loop_run(void);

/* When the next round has something to do, unless somebody asks; "now" or before: at once. */
extern TimestampTz webhook_loop_next_time(TimestampTz now);

/* The settings have changed. */
extern void webhook_loop_refresh(void);

/*
 * The last rounds: nothing is started; what is in flight may end until the
 * deadline, and is written. Returns false if there is nothing left to do.
 */
extern bool webhook_loop_finish(TimestampTz deadline);

/* Returns true while a round may be broken off by an interrupt: async-signal-safe. */
extern bool webhook_loop_is_interruptible(void);

#endif							/* WEBHOOK_LOOP_INTERNAL_H */
