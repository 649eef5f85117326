/*
 * table.c
 *	  Rows into and out of the extension's own tables without SQL.
 *
 * Rows go in by the table access method and the executor's index routines, so
 * that every index works that an owner may add: partial, on expressions,
 * unique, of any access method. What else SQL would do is left out on purpose:
 * no privilege is checked, no default filled in, no constraint or trigger
 * looked at.
 *
 * A row of the ring is written by whoever changes a contract, under any role
 * and search_path. Expressions and predicates of an index are code of the
 * table's owner, mostly a superuser; they run as him, restricted, and with a
 * search_path that nobody else can put functions into. A table without such
 * indexes pays nothing for that.
 *
 * An error leaves everything to the abort of the transaction: relations and
 * tuple descriptors to the resource owner, memory to its context, the role and
 * the search_path to the transaction's own record of them.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/table.h"

/* Rows in one call of the access method: more make it slow. */
#define BATCH_ROWS 1000

/* What to return to after an index's own code. */
typedef struct Guard
{
	Oid			role;
	int			context;
	int			nest_level;
} Guard;

static bool has_own_code(const ResultRelInfo *info);
static EState *plain_estate(void);
static void fill_slot(const WebhookTable *table, TupleTableSlot *slot,
					  const Datum *values, const bool *nulls);
static TupleTableSlot *batch_slot(WebhookTable *table, int i);
static void insert_batch(WebhookTable *table, int count);
static void add_entries(WebhookTable *table, TupleTableSlot *slot,
						CompatIndexes which);
static void enter_guard(const WebhookTable *table, Guard *guard);
static void leave_guard(const WebhookTable *table, const Guard *guard);

WebhookTable *
webhook_table_open(Oid relid, int ncolumns, LOCKMODE lockmode)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "webhook table",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookTable *table = palloc0(sizeof(WebhookTable));

	table->context = context;
	table->relation = table_open(relid, lockmode);
	table->ncolumns = ncolumns;
	if (RelationGetNumberOfAttributes(table->relation) < ncolumns)
		elog(ERROR, "relation \"%s\" has too few columns",
			 RelationGetRelationName(table->relation));

	table->info = makeNode(ResultRelInfo);
	table->info->ri_RelationDesc = table->relation;
	ExecOpenIndices(table->info, false);
	table->guarded = has_own_code(table->info);
	table->estate = table->guarded ? CreateExecutorState() : plain_estate();
	table->slot = table_slot_create(table->relation, NULL);
	MemoryContextSwitchTo(old);
	return table;
}

void
webhook_table_close(WebhookTable *table)
{
	for (int i = 0; i < table->nbatch; i++)
		ExecDropSingleTupleTableSlot(table->batch[i]);
	ExecDropSingleTupleTableSlot(table->slot);
	compat_close_indexes(table->info);
	if (table->guarded)
		FreeExecutorState(table->estate);
	table_close(table->relation, NoLock);
	MemoryContextDelete(table->context);
}

void
webhook_table_insert(WebhookTable *table, Datum *values, bool *nulls)
{
	Guard		guard;

	fill_slot(table, table->slot, values, nulls);
	table_tuple_insert(table->relation, table->slot,
					   GetCurrentCommandId(true), 0, NULL);
	enter_guard(table, &guard);
	add_entries(table, table->slot, COMPAT_ALL_INDEXES);
	leave_guard(table, &guard);
	ExecClearTuple(table->slot);
}

void
webhook_table_insert_many(WebhookTable *table, int count, Datum **values,
						  bool **nulls)
{
	int			filled = 0;

	for (int i = 0; i < count; i++)
	{
		fill_slot(table, batch_slot(table, filled), values[i], nulls[i]);
		if (++filled == BATCH_ROWS)
		{
			insert_batch(table, filled);
			filled = 0;
		}
	}
	if (filled > 0)
		insert_batch(table, filled);
}

bool
webhook_table_delete(WebhookTable *table, ItemPointer tid)
{
	ItemPointerData version = *tid;

	for (;;)
	{
		TM_FailureData failure;

		switch (table_tuple_delete(table->relation, &version,
								   GetCurrentCommandId(true),
								   GetActiveSnapshot(), InvalidSnapshot,
								   true, &failure, false))
		{
			case TM_Ok:
				return true;
			case TM_Updated:
				version = failure.ctid;
				break;
			default:
				return false;
		}
	}
}

bool
webhook_table_update(WebhookTable *table, ItemPointer tid, Datum *values,
					 bool *nulls)
{
	ItemPointerData version = *tid;

	for (;;)
	{
		TM_FailureData failure;
		LockTupleMode lockmode;
		CompatIndexes which;
		Guard		guard;

		fill_slot(table, table->slot, values, nulls);
		switch (table_tuple_update(table->relation, &version, table->slot,
								   GetCurrentCommandId(true),
								   GetActiveSnapshot(), InvalidSnapshot,
								   true, &failure, &lockmode, &which))
		{
			case TM_Ok:
				if (which != COMPAT_NO_INDEXES)
				{
					enter_guard(table, &guard);
					add_entries(table, table->slot, which);
					leave_guard(table, &guard);
				}
				ExecClearTuple(table->slot);
				return true;
			case TM_Updated:
				version = failure.ctid;
				break;
			default:
				ExecClearTuple(table->slot);
				return false;
		}
	}
}

WebhookScan *
webhook_scan_begin(Relation relation, Oid index, Snapshot snapshot, int nkeys,
				   ScanKey keys, ScanDirection direction)
{
	WebhookScan *scan = palloc(sizeof(WebhookScan));

	scan->index = index_open(index, AccessShareLock);
	scan->desc = compat_index_beginscan(relation, scan->index, snapshot,
										nkeys);
	scan->slot = table_slot_create(relation, NULL);
	scan->direction = direction;
	scan->nkeys = nkeys;
	webhook_scan_restart(scan, keys);
	return scan;
}

void
webhook_scan_restart(WebhookScan *scan, ScanKey keys)
{
	index_rescan(scan->desc, keys, scan->nkeys, NULL, 0);
}

bool
webhook_scan_next(WebhookScan *scan)
{
	return index_getnext_slot(scan->desc, scan->direction, scan->slot);
}

void
webhook_scan_end(WebhookScan *scan)
{
	ExecDropSingleTupleTableSlot(scan->slot);
	index_endscan(scan->desc);
	index_close(scan->index, NoLock);
	pfree(scan);
}

Datum
webhook_row_column(TupleTableSlot *slot, AttrNumber number, const char *table)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("null value in column \"%s\" of %s",
						NameStr(TupleDescAttr(slot->tts_tupleDescriptor, number - 1)->attname),
						table),
				 errhint("Delete the row.")));
	return value;
}

int64
webhook_row_span(Datum value)
{
	const Interval *interval = DatumGetIntervalP(value);

	return interval->time +
		(interval->day + (int64) interval->month * DAYS_PER_MONTH) * USECS_PER_DAY;
}

/* Does writing an entry run code that somebody may have written? */
static bool
has_own_code(const ResultRelInfo *info)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		const IndexInfo *index = info->ri_IndexRelationInfo[i];

		if (index->ii_Expressions != NIL || index->ii_Predicate != NIL ||
			index->ii_ExclusionOps != NULL)
			return true;
	}
	return false;
}

/*
 * The executor state for indexes without code: nothing stays in it, and no use
 * of it can lead to another, so one serves the process.
 */
static EState *
plain_estate(void)
{
	static EState *estate = NULL;

	if (estate == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		estate = CreateExecutorState();
		MemoryContextSwitchTo(old);
	}
	return estate;
}

/* A row of the caller's, which must outlive the use of the slot. */
static void
fill_slot(const WebhookTable *table, TupleTableSlot *slot, const Datum *values,
		  const bool *nulls)
{
	int			natts = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, table->ncolumns * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, table->ncolumns * sizeof(bool));
	for (int i = table->ncolumns; i < natts; i++)
	{
		slot->tts_values[i] = (Datum) 0;
		slot->tts_isnull[i] = true;
	}
	ExecStoreVirtualTuple(slot);
}

static TupleTableSlot *
batch_slot(WebhookTable *table, int i)
{
	if (table->batch == NULL)
		table->batch =
			MemoryContextAlloc(table->context,
							   BATCH_ROWS * sizeof(TupleTableSlot *));
	if (i == table->nbatch)
	{
		MemoryContext old = MemoryContextSwitchTo(table->context);

		table->batch[i] = table_slot_create(table->relation, NULL);
		table->nbatch++;
		MemoryContextSwitchTo(old);
	}
	return table->batch[i];
}

/* Insert the first rows of the batch. */
static void
insert_batch(WebhookTable *table, int count)
{
	MemoryContext old;
	Guard		guard;

	/* The access method leaves its working memory behind. */
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(table->estate));
	table_multi_insert(table->relation, table->batch, count,
					   GetCurrentCommandId(true), 0, NULL);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(table->estate);

	enter_guard(table, &guard);
	for (int i = 0; i < count; i++)
		add_entries(table, table->batch[i], COMPAT_ALL_INDEXES);
	leave_guard(table, &guard);

	for (int i = 0; i < count; i++)
		ExecClearTuple(table->batch[i]);
}

/* Index entries for a row; no memory is left behind. */
static void
add_entries(WebhookTable *table, TupleTableSlot *slot, CompatIndexes which)
{
	MemoryContext old;

	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(table->estate));
	compat_insert_index_entries(table->info, slot, table->estate, which);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(table->estate);
}

static void
enter_guard(const WebhookTable *table, Guard *guard)
{
	if (!table->guarded)
		return;
	GetUserIdAndSecContext(&guard->role, &guard->context);
	SetUserIdAndSecContext(table->relation->rd_rel->relowner,
						   guard->context | SECURITY_RESTRICTED_OPERATION);
	guard->nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

static void
leave_guard(const WebhookTable *table, const Guard *guard)
{
	if (!table->guarded)
		return;
	AtEOXact_GUC(false, guard->nest_level);
	SetUserIdAndSecContext(guard->role, guard->context);
}
