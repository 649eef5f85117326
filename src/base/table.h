/*
 * table.h
 *	  Reads and writes rows of the extension's own tables without SQL: no plan,
 *	  no privilege, no search_path, no trigger, but every index.
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
	MemoryContext context;		/* of this struct and what it points to */
	Relation	relation;
	ResultRelInfo *info;		/* the open indexes of the relation */
	EState	   *estate;			/* to evaluate index expressions in */
	TupleTableSlot *slot;		/* the row of an insert or update */
	ItemPointerData written;	/* where the last insert or update has put its row */
	TupleTableSlot **batch;		/* the rows of webhook_table_insert_many(), kept between calls */
	int			nbatch;
	int			ncolumns;		/* columns of the caller's rows */
	bool		runs_code;		/* an index has an expression, a predicate or an exclusion
								 * operator: that runs with the owner's rights, restricted */
} WebhookTable;

/*
 * Open a table and its indexes, in CurrentMemoryContext. The rows written
 * through it have "ncolumns" columns; columns that the owner has added after
 * them are set to NULL. With "lockmode" NoLock the caller holds the lock. The
 * lock is kept until the end of the transaction.
 */
extern WebhookTable *webhook_table_open(Oid relid, int ncolumns,
										LOCKMODE lockmode);

/*
 * The same for who writes one row now, and perhaps many more of them in this transaction: a
 * plain table stays open until its end, or until a utility statement begins. The caller
 * holds a lock, of the present subtransaction at least.
 */
extern WebhookTable *webhook_table_open_kept(Oid relid, int ncolumns);

/*
 * Lock a table and its indexes until the transaction ends, as a query does that reads it.
 * Returns false if that would have to wait, or the table is gone.
 */
extern bool webhook_table_try_lock(Oid relid);

/* Close the table that is kept open, if there is one: DDL may need it for itself. */
extern void webhook_table_close_kept(void);

/*
 * From now on tables may be kept open, or not; at first they may not. Whoever allows it
 * closes them before each utility statement. forbid() does nothing if "forbids" is false;
 * it returns what was so before, for allow().
 */
extern bool webhook_table_forbid_kept(bool forbids);
extern void webhook_table_allow_kept(bool allows);

/* Close the table, unless it is kept. After an error, the abort of the transaction does that. */
extern void webhook_table_close(WebhookTable *table);

/*
 * Insert a row of "ncolumns" values and nulls. An error that an index raises is
 * raised here. As with SQL, the row is visible to later commands: after
 * CommandCounterIncrement(), to a snapshot that is taken then.
 */
extern void webhook_table_insert(WebhookTable *table, Datum *values,
								 bool *nulls);

/* Insert "count" rows, each an array of values and an array of nulls. */
extern void webhook_table_insert_many(WebhookTable *table, int count,
									  Datum **values, bool **nulls);

/*
 * Delete or replace the row at a TID that a scan of this transaction has
 * returned; the snapshot of that scan has to be active. If another transaction
 * has updated the row, the new version is deleted or replaced. Returns false if
 * the row has been deleted.
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
 * Begin a scan of an open table by one of its indexes. Keys refer to columns of
 * the index, from 1 on. The snapshot must stay registered or active.
 */
extern WebhookScan *webhook_scan_begin(Relation relation, Oid index,
									   Snapshot snapshot, int nkeys,
									   ScanKey keys, ScanDirection direction);

/* Begin the scan again with other values of the same keys. */
extern void webhook_scan_restart(WebhookScan *scan, ScanKey keys);

/* Move to the next row, in scan->slot. Returns false at the end. */
extern bool webhook_scan_next(WebhookScan *scan);

/*
 * The same walk by entries of the index, whether their rows are visible or not, for a scan
 * that webhook_scan_begin_entries() has begun: move to the next one; a column of it, which is
 * not null; and fetch its row into scan->slot, or return false if that is not visible.
 */
extern WebhookScan *webhook_scan_begin_entries(Relation relation, Oid index, Snapshot snapshot,
											   int nkeys, ScanKey keys,
											   ScanDirection direction);
extern bool webhook_scan_next_entry(WebhookScan *scan);
extern Datum webhook_scan_column(const WebhookScan *scan, AttrNumber number);
extern bool webhook_scan_fetch(WebhookScan *scan);

/*
 * Delete the rows that a scan of the table finds next, at most so many; see
 * above. Returns true if there were so many, so that there may be more.
 */
extern bool webhook_table_delete_found(WebhookTable *table, WebhookScan *scan, int most);

extern void webhook_scan_end(WebhookScan *scan);

/*
 * The value of a column that should not be null. Raises an error if it is: the
 * owner of the table can drop the constraint. "table" is the name for the
 * message.
 */
extern Datum webhook_row_column(TupleTableSlot *slot, AttrNumber number,
								const char *table);

/* The length of an interval in microseconds; a month counts as 30 days. */
extern int64 webhook_row_span(Datum interval);

#endif							/* WEBHOOK_TABLE_H */
