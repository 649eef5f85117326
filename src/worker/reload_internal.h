/*
 * reload_internal.h
 *	  Reads the subscriptions again: those that have changed, or all.
 */
#ifndef WEBHOOK_RELOAD_INTERNAL_H
#define WEBHOOK_RELOAD_INTERNAL_H

#include "nodes/pg_list.h"

#include "delivery/delivery.h"
#include "process/shmem.h"

/* Once a process, before any other function. */
extern void webhook_reload_init(WebhookDispatcher *dispatcher, WebhookSlot *slot);

/* In a transaction, which may be repeated: read all at the start of the process. */
extern void webhook_reload_load(void);

/* Returns true if somebody has changed subscriptions. */
extern bool webhook_reload_is_wanted(void);

/*
 * Returns true if subscriptions have to be read before these rows of the ring, of which
 * there is at least one, are matched: before any event that follows a command that they
 * have changed, if that was not seen, and if webhook_reload_is_wanted().
 */
extern bool webhook_reload_is_wanted_by(const List *rows);

/*
 * In a transaction: read the subscriptions that have changed, or all, and which of them
 * have rows in pending. The second function has to follow its end, before any other function
 * of the dispatcher; after an error all are to be read.
 */
extern void webhook_reload_read(void);
extern void webhook_reload_end(bool committed, TimestampTz now);

#endif							/* WEBHOOK_RELOAD_INTERNAL_H */
