/*
 * ring_row_internal.h
 *	  Converts an event to a row of a ring table and back.
 */
#ifndef WEBHOOK_RING_ROW_INTERNAL_H
#define WEBHOOK_RING_ROW_INTERNAL_H

#include "executor/tuptable.h"

#include "ring/event.h"

/*
 * Set the Natts_webhook_event values and nulls of an event's row. Values point
 * into the event, or into the chunk that is returned, for the caller to free.
 */
extern char *webhook_ring_row_form(WebhookEvent *event, Datum *values, bool *nulls);

/* The event of a row, in CurrentMemoryContext, with one reference. */
extern WebhookEvent *webhook_ring_row_event(TupleTableSlot *row);

/* The approximate size of that event in bytes; detoasts nothing. */
extern Size webhook_ring_row_size(TupleTableSlot *row);

#endif							/* WEBHOOK_RING_ROW_INTERNAL_H */
