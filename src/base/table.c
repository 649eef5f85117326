/*
 * table.c
 *	  Reads and writes rows of the extension's own tables without SQL.
 *
 * Rows are written by the table access method and the executor's index routines,
 * so every index works that the owner may add: partial, on expressions, unique,
 * of any access method. Nothing else that SQL would do is done: no privilege is
 * checked, no default is filled in, no constraint is checked, no trigger fires.
 *
 * A row of the ring is written by the session that changes a watched row, under
 * any role and search_path. Expressions and predicates of an index are code of
 * the table's owner, often a superuser. They run with the owner's rights in a
 * security-restricted operation, with a search_path that no other user can put
 * functions into. For a table without such indexes none of this is done.
 *
 * After an error the abort of the transaction cleans up: the resource owner
 * releases relations and tuple descriptors, the memory context is deleted, user
 * and search_path are restored.
 *
 * To open a table and its indexes takes longer than to insert a row. So one table is kept
 * open from row to row, by a resource owner of its own below that of the whole transaction.
 * It is closed where its lock may end, with any subtransaction that is rolled back; where
 * DDL of this session may find it in use; and before the end of the transaction. Only B-tree
 * indexes are kept open: other access methods may keep buffers pinned from row to row.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/table.h"

/* Rows in one call of the access method; with more it becomes slow. */
#define BATCH_ROWS 1000

/* What is restored after code of an index has run. */
typedef struct SavedUserContext
{
	Oid			user;
	int			context;		/* security context, SECURITY_* */
	int			nest_level;		/* of settings */
} SavedUserContext;

static struct
{
	EState	   *plain_estate;	/* see plain_estate(); NULL: not needed yet */
	WebhookTable *kept;			/* of webhook_table_open_kept(); NULL: none is open */
	ResourceOwner owner;		/* of what it has open */
	bool		may_keep;		/* see webhook_table_allow_kept() */
	bool		ends;			/* the transaction commits: nothing is kept any more */
	bool		watches;		/* the callbacks are registered */
}			tables;

static void watch_transactions(void);
static void at_transaction_end(XactEvent event, void *arg);
static void at_subtransaction_end(SubXactEvent event, SubTransactionId id,
								  SubTransactionId parent, void *arg);
static void close_table(WebhookTable *table);
static void release(ResourceOwner owner);
static bool is_plain(const ResultRelInfo *info);
static WebhookScan *begin_scan(Relation relation, Oid index, Snapshot snapshot, int nkeys,
							   ScanKey keys, ScanDirection direction, bool entries);
static bool runs_code(const ResultRelInfo *info);
static EState *plain_estate(void);
static void fill_slot(const WebhookTable *table, TupleTableSlot *slot,
					  const Datum *values, const bool *nulls);
static TupleTableSlot *batch_slot(WebhookTable *table, int i);
static void insert_batch(WebhookTable *table, int count);
static void add_entries(WebhookTable *table, TupleTableSlot *slot,
						CompatIndexes which);
static void become_owner(const WebhookTable *table, SavedUserContext *saved);
static void become_user(const WebhookTable *table, const SavedUserContext *saved);

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
	table->runs_code = runs_code(table->info);
	table->estate = table->runs_code ? CreateExecutorState() : plain_estate();
	table->slot = table_slot_create(table->relation, NULL);
	MemoryContextSwitchTo(old);
	return table;
}

WebhookTable *
webhook_table_open_kept(Oid relid, int ncolumns)
{
	ResourceOwner former = CurrentResourceOwner;
	ResourceOwner owner;
	MemoryContext old;

	if (tables.kept != NULL && RelationGetRelid(tables.kept->relation) == relid)
		return tables.kept;
	webhook_table_close_kept();
	/* A worker that applies replicated changes truncates tables without a statement. */
	if (!tables.may_keep || tables.ends || IsLogicalWorker())
		return webhook_table_open(relid, ncolumns, NoLock);

	watch_transactions();
	owner = ResourceOwnerCreate(TopTransactionResourceOwner, "webhook table");
	CurrentResourceOwner = owner;
	old = MemoryContextSwitchTo(TopTransactionContext);
	PG_TRY();
	{
		tables.kept = webhook_table_open(relid, ncolumns, NoLock);
	}
	PG_CATCH();
	{
		/* An error that is caught behind a savepoint leaves nothing open. */
		CurrentResourceOwner = former;
		release(owner);
		PG_RE_THROW();
	}
	PG_END_TRY();
	CurrentResourceOwner = former;
	MemoryContextSwitchTo(old);
	tables.owner = owner;
	if (is_plain(tables.kept->info))
		return tables.kept;
	webhook_table_close_kept();
	return webhook_table_open(relid, ncolumns, NoLock);
}

void
webhook_table_close_kept(void)
{
	WebhookTable *table = tables.kept;
	ResourceOwner former = CurrentResourceOwner;

	if (table == NULL)
		return;
	tables.kept = NULL;
	CurrentResourceOwner = tables.owner;
	close_table(table);
	CurrentResourceOwner = former;
	release(tables.owner);
}

bool
webhook_table_forbid_kept(bool forbids)
{
	bool		former = tables.may_keep;

	if (forbids)
		tables.may_keep = false;
	return former;
}

void
webhook_table_allow_kept(bool allows)
{
	tables.may_keep = allows;
}

void
webhook_table_close(WebhookTable *table)
{
	if (table != tables.kept)
		close_table(table);
}

static void
watch_transactions(void)
{
	if (tables.watches)
		return;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
	tables.watches = true;
}

/* Other callbacks for the same event may write rows after this one. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			webhook_table_close_kept();
			tables.ends = true;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			/* After an error, the resource owner closes it. */
			tables.kept = NULL;
			tables.ends = false;
			break;
		default:
			break;
	}
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		webhook_table_close_kept();
}

static void
close_table(WebhookTable *table)
{
	for (int i = 0; i < table->nbatch; i++)
		ExecDropSingleTupleTableSlot(table->batch[i]);
	ExecDropSingleTupleTableSlot(table->slot);
	compat_close_indexes(table->info);
	if (table->runs_code)
		FreeExecutorState(table->estate);
	table_close(table->relation, NoLock);
	MemoryContextDelete(table->context);
}

void
webhook_table_insert(WebhookTable *table, Datum *values, bool *nulls)
{
	SavedUserContext saved;

	fill_slot(table, table->slot, values, nulls);
	table_tuple_insert(table->relation, table->slot,
					   GetCurrentCommandId(true), 0, NULL);
	become_owner(table, &saved);
	add_entries(table, table->slot, COMPAT_ALL_INDEXES);
	become_user(table, &saved);
	table->written = table->slot->tts_tid;
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
webhook_table_delete_found(WebhookTable *table, WebhookScan *scan, int most)
{
	int			found = 0;

	for (; found < most && webhook_scan_next(scan); found++)
		(void) webhook_table_delete(table, &scan->slot->tts_tid);
	return found == most;
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
		SavedUserContext saved;

		fill_slot(table, table->slot, values, nulls);
		switch (table_tuple_update(table->relation, &version, table->slot,
								   GetCurrentCommandId(true),
								   GetActiveSnapshot(), InvalidSnapshot,
								   true, &failure, &lockmode, &which))
		{
			case TM_Ok:
				if (which != COMPAT_NO_INDEXES)
				{
					become_owner(table, &saved);
					add_entries(table, table->slot, which);
					become_user(table, &saved);
				}
				table->written = table->slot->tts_tid;
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

bool
webhook_table_try_lock(Oid relid)
{
	Relation	relation;
	List	   *indexes;
	bool		locked = true;

	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	relation = try_relation_open(relid, NoLock);
	if (relation == NULL)
		return false;
	indexes = RelationGetIndexList(relation);
	for (int i = 0; i < list_length(indexes) && locked; i++)
		locked = ConditionalLockRelationOid(list_nth_oid(indexes, i), AccessShareLock);
	list_free(indexes);
	relation_close(relation, NoLock);
	return locked;
}

WebhookScan *
webhook_scan_begin(Relation relation, Oid index, Snapshot snapshot, int nkeys,
				   ScanKey keys, ScanDirection direction)
{
	return begin_scan(relation, index, snapshot, nkeys, keys, direction, false);
}

WebhookScan *
webhook_scan_begin_entries(Relation relation, Oid index, Snapshot snapshot, int nkeys,
						   ScanKey keys, ScanDirection direction)
{
	return begin_scan(relation, index, snapshot, nkeys, keys, direction, true);
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

bool
webhook_scan_next_entry(WebhookScan *scan)
{
	return index_getnext_tid(scan->desc, scan->direction) != NULL;
}

Datum
webhook_scan_column(const WebhookScan *scan, AttrNumber number)
{
	bool		isnull;

	return index_getattr(scan->desc->xs_itup, number, scan->desc->xs_itupdesc, &isnull);
}

bool
webhook_scan_fetch(WebhookScan *scan)
{
	return index_fetch_heap(scan->desc, scan->slot);
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

/* "entries": they are returned, which has to be known before the first one is looked for. */
static WebhookScan *
begin_scan(Relation relation, Oid index, Snapshot snapshot, int nkeys, ScanKey keys,
		   ScanDirection direction, bool entries)
{
	WebhookScan *scan = palloc(sizeof(WebhookScan));

	scan->index = index_open(index, AccessShareLock);
	scan->desc = compat_index_beginscan(relation, scan->index, snapshot,
										nkeys);
	scan->desc->xs_want_itup = entries;
	scan->slot = table_slot_create(relation, NULL);
	scan->direction = direction;
	scan->nkeys = nkeys;
	webhook_scan_restart(scan, keys);
	return scan;
}

static void
release(ResourceOwner owner)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(owner);
}

/* Returns true if all indexes are B-trees that run no code. */
static bool
is_plain(const ResultRelInfo *info)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
		if (info->ri_IndexRelationDescs[i]->rd_rel->relam != BTREE_AM_OID)
			return false;
	}
	return !runs_code(info);
}

/* Returns true if writing an index entry runs code of the index's owner. */
static bool
runs_code(const ResultRelInfo *info)
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
 * The executor state for indexes that run no code. Nothing stays in it, and it
 * is not used recursively, so one is enough for the process.
 */
static EState *
plain_estate(void)
{
	if (tables.plain_estate == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		tables.plain_estate = CreateExecutorState();
		MemoryContextSwitchTo(old);
	}
	return tables.plain_estate;
}

/* Put a row of the caller into a slot. Its values must outlive the use of the slot. */
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

/* Insert the first "count" rows of the batch. */
static void
insert_batch(WebhookTable *table, int count)
{
	MemoryContext old;
	SavedUserContext saved;

	/* The access method does not free its working memory. */
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(table->estate));
	table_multi_insert(table->relation, table->batch, count,
					   GetCurrentCommandId(true), 0, NULL);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(table->estate);

	become_owner(table, &saved);
	for (int i = 0; i < count; i++)
		add_entries(table, table->batch[i], COMPAT_ALL_INDEXES);
	become_user(table, &saved);

	for (int i = 0; i < count; i++)
		ExecClearTuple(table->batch[i]);
}

/* Write the index entries of a row; leaks no memory. */
static void
add_entries(WebhookTable *table, TupleTableSlot *slot, CompatIndexes which)
{
	MemoryContext old;

	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(table->estate));
	compat_insert_index_entries(table->info, slot, table->estate, which);
	MemoryContextSwitchTo(old);
	ResetPerTupleExprContext(table->estate);
}

/* If an index runs code, take the rights of the table's owner for it, and a safe search_path. */
static void
become_owner(const WebhookTable *table, SavedUserContext *saved)
{
	if (!table->runs_code)
		return;
	GetUserIdAndSecContext(&saved->user, &saved->context);
	SetUserIdAndSecContext(table->relation->rd_rel->relowner,
						   saved->context | SECURITY_RESTRICTED_OPERATION);
	saved->nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/* Restore what become_owner() has saved. */
static void
become_user(const WebhookTable *table, const SavedUserContext *saved)
{
	if (!table->runs_code)
		return;
	AtEOXact_GUC(false, saved->nest_level);
	SetUserIdAndSecContext(saved->user, saved->context);
}
