/*
 * ring_row_internal.h
 *	  A row of the ring, from and to an event.
 */
#ifndef WEBHOOK_RING_ROW_INTERNAL_H
#define WEBHOOK_RING_ROW_INTERNAL_H

#include "executor/tuptable.h"

#include "ring/event.h"

/*
 * The row of an event: Natts_webhook_event values and nulls. They point into
 * the event and to memory that webhook_ring_row_free() gives back.
 */
extern void webhook_ring_row_form(WebhookEvent *event, Datum *values,
								  bool *nulls);
extern void webhook_ring_row_free(Datum *values, bool *nulls);

/* The event of a row, in CurrentMemoryContext with one reference. */
extern WebhookEvent *webhook_ring_row_event(TupleTableSlot *row);

/* Bytes of that event, roughly; nothing is decompressed to tell. */
extern Size webhook_ring_row_size(TupleTableSlot *row);

#endif							/* WEBHOOK_RING_ROW_INTERNAL_H */
