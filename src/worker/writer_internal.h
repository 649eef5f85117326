/*
 * writer_internal.h
 *	  Writes what has become of deliveries: groups of log entries, the checkpoint,
 *	  the states of subscriptions.
 */
#ifndef WEBHOOK_WRITER_INTERNAL_H
#define WEBHOOK_WRITER_INTERNAL_H

#include "delivery/delivery.h"
#include "process/shmem.h"

/*
 * Once a process, in a transaction, before anything else is written or sent:
 * writes the checkpoint that this process starts from, as its own.
 */
extern void webhook_writer_init(WebhookDispatcher *dispatcher, WebhookProgress *progress,
								WebhookSlot *slot);

/*
 * Write a group of ended deliveries if it is time to: the oldest has waited
 * 5 ms, there are 500, or "at_once".
 */
extern void webhook_writer_flush(TimestampTz now, bool at_once);

/* Returns true while writing fails: nothing is sent then. */
extern bool webhook_writer_is_blocked(void);

/* When the next flush is due; 0: nothing waits. */
extern TimestampTz webhook_writer_next_time(void);

/* Write a checkpoint if the low-water mark has moved, once a second or "at_once". */
extern void webhook_writer_checkpoint(TimestampTz now, bool at_once);

/*
 * Save changed subscription states, at most once a second or "at_once"; state
 * changes that are notified are saved at once. Returns true if more may be left.
 */
extern bool webhook_writer_states(TimestampTz now, bool at_once);

#endif							/* WEBHOOK_WRITER_INTERNAL_H */
