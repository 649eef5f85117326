/*
 * pending_internal.h
 *	  A row of webhook.pending in memory and in its table: what pending.c and
 *	  pending_due.c share.
 */
#ifndef WEBHOOK_PENDING_INTERNAL_H
#define WEBHOOK_PENDING_INTERNAL_H

#include "executor/tuptable.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/store.h"

/* The row's columns; what they point to is in CurrentMemoryContext. */
extern void webhook_pending_row_form(const WebhookPending *row,
									 Datum *values, bool *nulls);

/* The row in memory, in CurrentMemoryContext; needs a snapshot. */
extern WebhookPending *webhook_pending_row_read(TupleTableSlot *slot);

/* One column; an error if it is null, but next_at, which is 0 then. */
#define PENDING(slot, name) \
	webhook_row_column(slot, Anum_webhook_pending_##name, "webhook.pending")

extern TimestampTz webhook_pending_row_next_at(TupleTableSlot *slot);

/* A row has been given a next_at (0: it has not): pending_due.c is told. */
extern void webhook_pending_head_came(int64 subscription_id,
									  TimestampTz next_at);

#endif							/* WEBHOOK_PENDING_INTERNAL_H */
