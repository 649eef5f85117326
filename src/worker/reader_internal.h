/*
 * reader_internal.h
 *	  Reads the ring window by window, and the subscriptions.
 */
#ifndef WEBHOOK_READER_INTERNAL_H
#define WEBHOOK_READER_INTERNAL_H

#include "delivery/delivery.h"
#include "process/shmem.h"

/* Once a process, before any other function. */
extern void webhook_reader_init(WebhookDispatcher *dispatcher, WebhookSlot *slot);

/*
 * Start where the checkpoint says, or, if that is NULL, at the first row of the
 * ring. In a transaction, which may be repeated: reads the subscriptions and their
 * states, too. A webhook_dispatch_refresh() has to follow its commit.
 */
extern void webhook_reader_load(const WebhookCheckpoint *checkpoint);

/*
 * Read the subscriptions again, in a transaction of its own, if webhook_reload_is_wanted().
 * Returns false if that failed and has to be repeated.
 */
extern bool webhook_reader_reload(TimestampTz now);

/*
 * Read what there is to read, a few steps of what waits in the tail, of the
 * older window and of the newest, and offer it to the dispatcher. "wake":
 * another window may be opened. Returns false if that failed and has to be
 * repeated.
 */
extern bool webhook_reader_read(bool wake, TimestampTz now);

/* When there is something to read for which there is room; 0: nobody knows. */
extern TimestampTz webhook_reader_time(bool wake, TimestampTz now);

/*
 * Returns true if what waits in the tail is lost for this process: it must read
 * nothing more, and end. The next one reads from the low-water mark on.
 */
extern bool webhook_reader_has_failed(void);

/* How many windows were opened. */
extern uint64 webhook_reader_windows(void);

/* How many rows of these windows are not read. */
extern uint64 webhook_reader_unread(void);

/* How far what was read is done; lives as long as the process. */
extern WebhookProgress *webhook_reader_progress(void);

#endif							/* WEBHOOK_READER_INTERNAL_H */
