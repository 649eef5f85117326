/*
 * pending_internal.h
 *	  Rows of webhook_internal.pending: what pending.c does for log.c and
 *	  pending_heads.c.
 */
#ifndef WEBHOOK_PENDING_INTERNAL_H
#define WEBHOOK_PENDING_INTERNAL_H

#include "executor/tuptable.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/store.h"

/* The table, open for writing until the end of the transaction or a close. */
typedef struct WebhookPendingWriter
{
	WebhookTable *table;
	MemoryContext row_context;	/* memory for one row on its way into the table */
	WebhookScan *by_subject;	/* scan for the first row of a subject; NULL: not begun */
	WebhookScan *by_key;		/* scan for a row by its whole key; NULL: not begun */
} WebhookPendingWriter;

/* The table, open for reading with a snapshot that sees what this transaction has written. */
typedef struct WebhookPendingReading
{
	Relation	relation;
	Snapshot	snapshot;
} WebhookPendingReading;

extern WebhookPendingWriter *webhook_pending_open(void);
extern void webhook_pending_close(WebhookPendingWriter *writer);

/*
 * Insert, update or delete the row of a delivery. An update sets attempt, step
 * and next_at. A row that is not there, because somebody deleted it by hand, is
 * left alone.
 */
extern void webhook_pending_insert(WebhookPendingWriter *writer, const WebhookPending *row);
extern void webhook_pending_update(WebhookPendingWriter *writer, const WebhookPending *row);
extern void webhook_pending_delete(WebhookPendingWriter *writer, const WebhookPending *row);

/* The first row of a subject, valid until the next call; NULL: there is none. */
extern TupleTableSlot *webhook_pending_first(WebhookPendingWriter *writer,
											 int64 subscription_id, const char *subject);

/* Give a row that a scan returned another next_at. A row that is gone is left alone. */
extern void webhook_pending_set_next_at(WebhookPendingWriter *writer, TupleTableSlot *slot,
										TimestampTz next_at);

extern WebhookPendingReading webhook_pending_begin_reading(void);
extern void webhook_pending_end_reading(WebhookPendingReading reading);

/* A scan in key order of a subscription's rows behind the cursor, and the cursor behind a row. */
extern WebhookScan *webhook_pending_scan_after(WebhookPendingReading reading,
											   int64 subscription_id,
											   const WebhookPendingCursor *cursor);
extern void webhook_pending_cursor_set(WebhookPendingCursor *cursor, TupleTableSlot *slot);

/* Returns true if the table has a row with this key. */
extern bool webhook_pending_has(int64 subscription_id, const char *subject,
								int64 position, int64 id);

/* The row that a slot holds, in CurrentMemoryContext; needs a snapshot. */
extern WebhookPending *webhook_pending_read_row(TupleTableSlot *slot);

/* Returns true if a command means the delivery of the row that a slot holds. */
extern bool webhook_pending_is_meant(TupleTableSlot *slot, const WebhookReach *reach);

/* Column next_at of the row that a slot holds; 0: NULL. */
extern TimestampTz webhook_pending_read_next_at(TupleTableSlot *slot);

/* Another column of the row that a slot holds, which cannot be null. */
#define PENDING(slot, name) \
	webhook_row_column(slot, Anum_webhook_pending_##name, "webhook_internal.pending")

#endif							/* WEBHOOK_PENDING_INTERNAL_H */
