/*
 * erasures_internal.h
 *	  Runs erase(): nothing that was sent about a subject is kept.
 */
#ifndef WEBHOOK_ERASURES_INTERNAL_H
#define WEBHOOK_ERASURES_INTERNAL_H

#include "delivery/delivery.h"

/* Once a process, before any other function. */
extern void webhook_erasures_init(WebhookDispatcher *dispatcher);

/*
 * Take an erasure of the subject: what is in memory ends at once, the rest by
 * webhook_erasures_run(). Pins the batch until it is complete, and takes over the snapshot
 * of "reach", which is in TopMemoryContext.
 */
extern void webhook_erasures_accept(const char *subject, const WebhookReach *reach,
									WebhookBatch *batch);

/* Returns true if a delivery with that position must not be sent, because it was erased. */
extern bool webhook_erasures_cover(const WebhookEvent *event, int64 position);

/* Returns true if an erasure is not complete. */
extern bool webhook_erasures_are_running(void);

/* Run a piece. Returns false if it has failed and has to be repeated. */
extern bool webhook_erasures_run(TimestampTz now);

/* When that has something to do: not before. 0: no erasure is left. */
extern TimestampTz webhook_erasures_time(TimestampTz now);

#endif							/* WEBHOOK_ERASURES_INTERNAL_H */
