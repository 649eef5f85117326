/*
 * writer.h
 *	  What goes out to tables: entries, in groups, the checkpoint, and how each
 *	  endpoint fares.
 */
#ifndef WEBHOOK_WRITER_H
#define WEBHOOK_WRITER_H

#include "process/shmem.h"

/*
 * In a transaction, before anything else is written or sent: the checkpoint
 * that this process starts from, as its own.
 */
extern void webhook_writer_init(WebhookCounters *counters);

/*
 * Write ended deliveries if it is time to: the oldest has waited 5 ms, there
 * are 500, or "at_once". True if something was written.
 */
extern bool webhook_writer_flush(TimestampTz now, bool at_once);

/* Does writing fail at present? Nothing is sent then. */
extern bool webhook_writer_is_blocked(void);

/* When the next flush is due; 0: nothing waits. */
extern TimestampTz webhook_writer_next_time(void);

/* Write a checkpoint if there is changes, once a second or "at_once". */
extern void webhook_writer_checkpoint(TimestampTz now, bool at_once);

/*
 * Write how endpoints fare, where that has changed, once a second or
 * "at_once"; what people are to be told of, as soon as it can be. True if
 * something was written.
 */
extern bool webhook_writer_states(TimestampTz now, bool at_once);

#endif							/* WEBHOOK_WRITER_H */
