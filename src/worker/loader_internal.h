/*
 * loader_internal.h
 *	  Brings due rows of pending back into memory.
 */
#ifndef WEBHOOK_LOADER_INTERNAL_H
#define WEBHOOK_LOADER_INTERNAL_H

#include "delivery/delivery.h"

/* Once a process, before any other function. */
extern void webhook_loader_init(WebhookDispatcher *dispatcher);

/*
 * Load due rows, as many as the budget allows beside so many bytes of the HTTP
 * engine. Returns false if that failed and has to be repeated.
 */
extern bool webhook_loader_load(Size engine, TimestampTz now);

/*
 * Find out of queues that may have no rows any more whether they have some;
 * at most so many.
 */
extern void webhook_loader_recheck(int queues);

/* In a transaction: note which subscriptions have rows, and when the first is due. */
extern void webhook_loader_note_rows(void);

/* The same for some subscriptions. */
extern void webhook_loader_note_rows_of(const int64 *ids, int count);

/*
 * Give a head to each subject in pending that has none, in a transaction of its
 * own. Returns false if that failed and has to be repeated.
 */
extern bool webhook_loader_repair_heads(void);

#endif							/* WEBHOOK_LOADER_INTERNAL_H */
