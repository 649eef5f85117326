/*
 * large_internal.h
 *	  Transactions that have appended many events, told in shared memory while
 *	  they run: a window need not be read to know which event types they have.
 */
#ifndef WEBHOOK_LARGE_INTERNAL_H
#define WEBHOOK_LARGE_INTERNAL_H

#include "process/shmem.h"
#include "ring/event.h"

/* An event is about to be appended by the present transaction. */
extern void webhook_large_note(const WebhookEvent *event);

/*
 * Copy the large transactions of this database that are still known, at most
 * WEBHOOK_LARGE_TRANSACTIONS of them, some running or rolled back; returns their number.
 */
extern int	webhook_large_copy(WebhookLargeTransaction *copies);

#endif							/* WEBHOOK_LARGE_INTERNAL_H */
