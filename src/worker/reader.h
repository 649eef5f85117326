/*
 * reader.h
 *	  What comes in: windows of the ring, changed subscriptions.
 */
#ifndef WEBHOOK_INTAKE_H
#define WEBHOOK_INTAKE_H

#include "process/shmem.h"
#include "ring/progress.h"
#include "store/store.h"

/*
 * Begin after a checkpoint; NULL: nothing has been seen yet. In a transaction.
 * The first window is a recovery.
 */
extern void webhook_reader_init(const WebhookCheckpoint *checkpoint,
								WebhookCounters *counters);

/*
 * Read the subscriptions anew, in a transaction of its own. False: that failed
 * and has to be tried again.
 */
extern bool webhook_reader_reload(void);

/*
 * Read the next part of a window into deliveries, opening one if "wake" and
 * none is open. Does nothing while there is no room: "elsewhere" are bytes of
 * memory in use outside of deliveries. False if that failed: to be tried again.
 */
extern bool webhook_reader_read(bool wake, Size elsewhere, TimestampTz now);

/* Is a window open, that is: does more wait to be read? */
extern bool webhook_reader_is_reading(void);

/* How far what was read is done; lives as long as the process. */
extern WebhookProgress *webhook_reader_progress(void);

/* Not below the id of any row of the ring that this process has read. */
extern int64 webhook_reader_last_id(void);

#endif							/* WEBHOOK_INTAKE_H */
