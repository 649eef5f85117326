/*
 * fetch_internal.h
 *	  Fetches rows of the ring by key.
 */
#ifndef WEBHOOK_FETCH_INTERNAL_H
#define WEBHOOK_FETCH_INTERNAL_H

#include "executor/tuptable.h"

#include "ring/event.h"

typedef struct WebhookFetch WebhookFetch;

/* Fetch with the active snapshot of this transaction; ends before the transaction does. */
extern WebhookFetch *webhook_fetch_begin(void);
extern void webhook_fetch_end(WebhookFetch *fetch);

/*
 * The row of a key, valid until the next call; NULL: it has been deleted. Keys
 * in order of id are cheap: one scan finds consecutive rows of a transaction.
 */
extern TupleTableSlot *webhook_fetch_row(WebhookFetch *fetch, const WebhookRingKey *key);

/* The event of that row, in CurrentMemoryContext, with one reference; NULL likewise. */
extern WebhookEvent *webhook_fetch_event(WebhookFetch *fetch, const WebhookRingKey *key);

#endif							/* WEBHOOK_FETCH_INTERNAL_H */
