/*
 * table.h
 *	  Rows into and out of the extension's own tables without SQL: no plan, no
 *	  privilege, no search_path, no trigger, but every index.
 */
#ifndef WEBHOOK_TABLE_H
#define WEBHOOK_TABLE_H

#include "access/genam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* A table open for writing, with its indexes, inside one transaction. */
typedef struct WebhookTable
{
	MemoryContext context;		/* of this and what it points to */
	Relation	relation;
	ResultRelInfo *info;		/* its indexes, open */
	EState	   *estate;			/* where index expressions are evaluated */
	TupleTableSlot *slot;		/* one row on its way in */
	TupleTableSlot **batch;		/* rows of insert_many, kept between calls */
	int			nbatch;
	int			ncolumns;		/* of the caller's rows */
	bool		guarded;		/* an index has code of its own: it runs as the owner, restricted */
} WebhookTable;

/*
 * Open a table and its indexes, in CurrentMemoryContext. The rows written
 * through it have "ncolumns" columns; columns that somebody has added after
 * them become NULL. "lockmode" NoLock: the caller holds the lock. The lock
 * stays until the end of the transaction.
 */
extern WebhookTable *webhook_table_open(Oid relid, int ncolumns,
										LOCKMODE lockmode);

/* Close; what is left open by an error goes with the transaction. */
extern void webhook_table_close(WebhookTable *table);

/*
 * Insert a row: "ncolumns" values and nulls. An index that raises an error
 * raises it here. As with SQL, what is written is seen by later commands:
 * after CommandCounterIncrement(), by a snapshot taken then.
 */
extern void webhook_table_insert(WebhookTable *table, Datum *values,
								 bool *nulls);

/* Insert many rows: each an array of values and one of nulls. */
extern void webhook_table_insert_many(WebhookTable *table, int count,
									  Datum **values, bool **nulls);

/*
 * Delete or replace the row at an address that a scan of this transaction
 * returned, under the snapshot of that scan. A row that somebody has updated
 * meanwhile is followed. False if it is gone.
 */
extern bool webhook_table_delete(WebhookTable *table, ItemPointer tid);
extern bool webhook_table_update(WebhookTable *table, ItemPointer tid,
								 Datum *values, bool *nulls);

/* An index scan of a table, forward or backward. */
typedef struct WebhookScan
{
	Relation	index;
	IndexScanDesc desc;
	TupleTableSlot *slot;		/* the current row */
	ScanDirection direction;
	int			nkeys;
} WebhookScan;

/*
 * Begin a scan of a table that is open, by an index of it. Keys name columns
 * of the index, from 1 on. The snapshot must stay registered or active.
 */
extern WebhookScan *webhook_scan_begin(Relation relation, Oid index,
									   Snapshot snapshot, int nkeys,
									   ScanKey keys, ScanDirection direction);

/* Begin again, with other keys: as many, for the same columns. */
extern void webhook_scan_restart(WebhookScan *scan, ScanKey keys);

/* The next row in scan->slot; false at the end. */
extern bool webhook_scan_next(WebhookScan *scan);

extern void webhook_scan_end(WebhookScan *scan);

/*
 * A column that cannot be null: an error with HINT if it is, for the table's
 * owner may have altered it. "table" is its name, for people.
 */
extern Datum webhook_row_column(TupleTableSlot *slot, AttrNumber number,
								const char *table);

/* An interval in microseconds; a month has thirty days. */
extern int64 webhook_row_span(Datum interval);

#endif							/* WEBHOOK_TABLE_H */
