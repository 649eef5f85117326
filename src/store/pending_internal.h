/*
 * pending_internal.h
 *	  Rows of webhook.pending: what pending.c does for log.c and
 *	  pending_heads.c.
 */
#ifndef WEBHOOK_PENDING_INTERNAL_H
#define WEBHOOK_PENDING_INTERNAL_H

#include "executor/tuptable.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/store.h"

/* Open the table for writing, and close it. One at a time. */
extern void webhook_pending_open(void);
extern void webhook_pending_close(void);

/* Rows in and out, while it is open. Update sets attempt, step, next_at. */
extern void webhook_pending_insert(const WebhookPending *row);
extern bool webhook_pending_update(const WebhookPending *row);
extern bool webhook_pending_delete(const WebhookPending *row);

/*
 * While it is open: make the first row of a subject its head, due at "now",
 * unless it is one. Returns true if it became one.
 */
extern bool webhook_pending_promote(int64 subscription_id, const char *subject,
									TimestampTz now);

/* Is this very delivery there? */
extern bool webhook_pending_has(int64 subscription_id, const char *subject,
								int64 position, int64 id);

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
