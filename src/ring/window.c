/*
 * window.c
 *	  What committed between two snapshots, in order.
 *
 * Transactions commit in another order than the one in which they take ids, so
 * "all above the last id" loses rows. A window asks each row's transaction
 * instead: it ended after snapshot S1 and before S2 iff its id is in
 * [xmax(S1), xmax(S2)), or it was running in S1, and S2 sees it as ended. One
 * range of the index (txid, id), and one probe for each transaction that has
 * ended since, find these rows; whatever else runs for days costs nothing.
 *
 * Windows nest: one begins where the former ended, so every row is in exactly
 * one. Within a window rows are ordered by id, over all tables.
 *
 * A small window is read into memory at once and needs the database no more.
 * Of a large one the keys alone are sorted, and kept in a temporary file that
 * outlives the transaction; rows are fetched by key as they are asked for. So
 * a backlog costs no memory and holds no snapshot. Rows that have been deleted
 * in between are left out.
 *
 * While it is being built, a window belongs to the transaction, and an error
 * ends both. Only the file needs help for that.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table.h"
#include "ring/ring_row_internal.h"
#include "ring/window.h"

#define SMALL_ROWS		500		/* a window in memory has no more rows, */
#define SMALL_BYTES		((Size) 1024 * 1024)	/* nor events of more bytes */
#define STEP_ROWS		500		/* keys of a large window in memory */
#define WORK_KB			4096	/* memory to sort keys in, and to keep them */

/* Where a row is; it may be moved, but not changed. */
typedef struct Key
{
	int64		id;
	FullTransactionId txid;
	int			slot;
} Key;

StaticAssertDecl(SMALL_ROWS <= STEP_ROWS, "keys of a small window");

struct WebhookWindow
{
	MemoryContext context;		/* of the window and all in it */
	WebhookSnapshot *end;
	int64		remaining;

	/* A small window: its events; while it is being built, their keys. */
	WebhookEvent *events[SMALL_ROWS];
	int			nevents;

	/* A large one: all keys in a file, the next of them here. */
	Tuplestorestate *store;		/* NULL: a small one */
	TupleTableSlot *row;		/* a key on its way in or out */
	Key			keys[STEP_ROWS];
	int			nkeys;

	int			next;			/* in events or keys */
};

/* A window being built. */
typedef struct Builder
{
	WebhookWindow *window;
	const WebhookSnapshot *partial;
	int64		upto_id;
	Size		bytes;			/* of the events in memory */
	Tuplesortstate *sort;		/* NULL: it may still become a small one */
} Builder;

/* Rows of one transaction in one table, read in order of id. */
typedef struct Source
{
	Relation	relation;		/* NULL: not open */
	WebhookScan *scan;
	FullTransactionId txid;
	bool		found;			/* scan is at a row, of this id: */
	int64		id;
} Source;

static void read_table(Builder *builder, int slot, const WebhookSnapshot *from);
static void read_range(Builder *builder, int slot, WebhookScan *scan,
					   ScanKey keys, uint64 first, uint64 end);
static void add_row(Builder *builder, int slot, TupleTableSlot *row);
static void become_large(Builder *builder);
static void add_key(Builder *builder, const Key *key);
static void keep_keys(Builder *builder);
static int	compare_events(const void *a, const void *b);
static List *next_small(WebhookWindow *window, int max_rows, Size max_bytes);
static List *next_large(WebhookWindow *window, int max_rows, Size max_bytes);
static void next_keys(WebhookWindow *window);
static TupleTableSlot *fetch(Source *sources, const Key *key);
static void step_source(Source *source);

WebhookWindow *
webhook_window_open(const WebhookSnapshot *from,
					const WebhookSnapshot *partial, int64 upto_id,
					const WebhookSnapshot *end)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext,
												  "webhook window",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Builder		builder = {0};
	WebhookWindow *window = palloc0(sizeof(WebhookWindow));

	window->context = context;
	window->end = end != NULL ? webhook_snapshot_copy(end) :
		webhook_snapshot_make(GetActiveSnapshot(),
							  GetTopFullTransactionIdIfAny());
	builder.window = window;
	builder.partial = partial;
	builder.upto_id = upto_id;

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
		read_table(&builder, i, from);

	if (builder.sort != NULL)
		keep_keys(&builder);
	else
	{
		qsort(window->events, window->nevents, sizeof(WebhookEvent *),
			  compare_events);
		window->nkeys = 0;
	}

	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, old);
	return window;
}

const WebhookSnapshot *
webhook_window_end(const WebhookWindow *window)
{
	return window->end;
}

int64
webhook_window_remaining(const WebhookWindow *window)
{
	return window->remaining;
}

List *
webhook_window_next(WebhookWindow *window, int max_rows, Size max_bytes)
{
	if (window->remaining == 0)
		return NIL;
	return window->store == NULL ?
		next_small(window, max_rows, max_bytes) :
		next_large(window, max_rows, max_bytes);
}

void
webhook_window_make_durable(List *events)
{
	XLogRecPtr	flush = InvalidXLogRecPtr;
	FullTransactionId last = InvalidFullTransactionId;
	FullTransactionId next = ReadNextFullTransactionId();
	ListCell   *cell;

	/* Keep the commit log from being truncated while we look things up. */
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	foreach(cell, events)
	{
		FullTransactionId txid = ((WebhookEvent *) lfirst(cell))->txid;
		TransactionId xid = XidFromFullTransactionId(txid);
		uint64		age = U64FromFullTransactionId(next) -
		U64FromFullTransactionId(txid);

		if (FullTransactionIdEquals(txid, last))
			continue;
		last = txid;

		/* What has left the commit log was checkpointed long ago. */
		if (age > (uint64) MaxTransactionId / 2 ||
			TransactionIdPrecedes(xid, compat_oldest_clog_xid()))
			continue;
		flush = Max(flush, TransactionIdGetCommitLSN(xid));
	}
	LWLockRelease(XactTruncationLock);

	if (!XLogRecPtrIsInvalid(flush))
		XLogFlush(flush);
}

void
webhook_window_close(WebhookWindow *window)
{
	if (window->store != NULL)
		tuplestore_end(window->store);
	MemoryContextDelete(window->context);
}

/* Add what one table of the ring has. */
static void
read_table(Builder *builder, int slot, const WebhookSnapshot *from)
{
	const WebhookSnapshot *end = builder->window->end;
	Relation	relation = table_open(webhook_catalog_required()->event[slot],
									  AccessShareLock);

	if (RelationGetNumberOfBlocks(relation) > 0)
	{
		ScanKeyData keys[2];
		WebhookScan *scan;

		ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_XID8GE, 0);
		ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_XID8LT, 0);
		scan = webhook_scan_begin(relation,
								  webhook_catalog_required()->event_index[slot],
								  GetActiveSnapshot(), lengthof(keys), keys,
								  ForwardScanDirection);

		read_range(builder, slot, scan, keys,
				   U64FromFullTransactionId(from->xmax),
				   U64FromFullTransactionId(end->xmax));
		for (uint32 i = 0; i < from->nxip; i++)
		{
			if (webhook_snapshot_sees(end, from->xip[i]))
				read_range(builder, slot, scan, keys,
						   U64FromFullTransactionId(from->xip[i]),
						   U64FromFullTransactionId(from->xip[i]) + 1);
		}
		webhook_scan_end(scan);
	}
	table_close(relation, NoLock);
}

/* Add rows of the transactions from "first" to before "end". */
static void
read_range(Builder *builder, int slot, WebhookScan *scan, ScanKey keys,
		   uint64 first, uint64 end)
{
	if (first >= end)
		return;
	keys[0].sk_argument = UInt64GetDatum(first);
	keys[1].sk_argument = UInt64GetDatum(end);
	webhook_scan_restart(scan, keys);
	while (webhook_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		add_row(builder, slot, scan->slot);
	}
}

static void
add_row(Builder *builder, int slot, TupleTableSlot *row)
{
	WebhookWindow *window = builder->window;
	bool		isnull;
	Key			key;
	Size		size;

	key.id = DatumGetInt64(slot_getattr(row, Anum_webhook_event_id, &isnull));
	key.txid =
		DatumGetFullTransactionId(slot_getattr(row, Anum_webhook_event_txid,
											   &isnull));
	key.slot = slot;

	/*
	 * Our own transaction's rows, and those after an older end, are visible, but belong to a later
	 * window.
	 */
	if (!webhook_snapshot_sees(window->end, key.txid))
		return;
	if (builder->partial != NULL && key.id <= builder->upto_id &&
		webhook_snapshot_sees(builder->partial, key.txid))
		return;

	window->remaining++;
	if (builder->sort == NULL)
	{
		size = webhook_ring_row_size(row);
		if (window->nevents < SMALL_ROWS &&
			builder->bytes + size <= SMALL_BYTES)
		{
			window->keys[window->nevents] = key;
			window->events[window->nevents++] = webhook_ring_row_event(row);
			builder->bytes += size;
			return;
		}
		become_large(builder);
	}
	add_key(builder, &key);
}

/* From now on, keys only. */
static void
become_large(Builder *builder)
{
	WebhookWindow *window = builder->window;
	TupleDesc	desc = CreateTemplateTupleDesc(3);
	AttrNumber	column = 1;
	Oid			operator = Int8LessOperator;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;

	TupleDescInitEntry(desc, 1, "id", INT8OID, -1, 0);
	TupleDescInitEntry(desc, 2, "txid", XID8OID, -1, 0);
	TupleDescInitEntry(desc, 3, "slot", INT4OID, -1, 0);

	window->row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	builder->sort = tuplesort_begin_heap(desc, 1, &column, &operator,
										 &collation, &nulls_first, WORK_KB,
										 NULL, TUPLESORT_NONE);
	for (int i = 0; i < window->nevents; i++)
	{
		add_key(builder, &window->keys[i]);
		webhook_event_release(window->events[i]);
	}
	window->nevents = 0;
}

static void
add_key(Builder *builder, const Key *key)
{
	TupleTableSlot *row = builder->window->row;

	ExecClearTuple(row);
	row->tts_values[0] = Int64GetDatum(key->id);
	row->tts_values[1] = FullTransactionIdGetDatum(key->txid);
	row->tts_values[2] = Int32GetDatum(key->slot);
	memset(row->tts_isnull, false, 3 * sizeof(bool));
	ExecStoreVirtualTuple(row);
	tuplesort_puttupleslot(builder->sort, row);
}

/* Move the keys, sorted, to where they outlive the transaction. */
static void
keep_keys(Builder *builder)
{
	WebhookWindow *window = builder->window;
	Tuplestorestate *store;

	tuplesort_performsort(builder->sort);
	store = tuplestore_begin_heap(false, true, WORK_KB);
	PG_TRY();
	{
		while (tuplesort_gettupleslot(builder->sort, true, false, window->row,
									  NULL))
		{
			CHECK_FOR_INTERRUPTS();
			tuplestore_puttupleslot(store, window->row);
		}

		/*
		 * Start reading now: what is left to be written of the file goes out while the resource
		 * owner that it was made under is there.
		 */
		(void) tuplestore_advance(store, true);
		tuplestore_rescan(store);
	}
	PG_CATCH();
	{
		tuplestore_end(store);
		PG_RE_THROW();
	}
	PG_END_TRY();

	window->store = store;
	ExecClearTuple(window->row);
	tuplesort_end(builder->sort);
}

static int
compare_events(const void *a, const void *b)
{
	int64		x = (*(WebhookEvent *const *) a)->id;
	int64		y = (*(WebhookEvent *const *) b)->id;

	return x < y ? -1 : x > y;
}

static List *
next_small(WebhookWindow *window, int max_rows, Size max_bytes)
{
	List	   *result = NIL;
	Size		bytes = 0;
	int			next;

	for (next = window->next; next < window->nevents; next++)
	{
		const WebhookEvent *event = window->events[next];

		if (list_length(result) == max_rows ||
			(result != NIL && bytes + event->size > max_bytes))
			break;
		bytes += event->size;
		result = lappend(result, webhook_event_copy(event));
	}

	for (; window->next < next; window->next++)
		webhook_event_release(window->events[window->next]);
	window->remaining = window->nevents - next;
	return result;
}

/* Keys are done with only at the end, so that a failed call can be repeated. */
static List *
next_large(WebhookWindow *window, int max_rows, Size max_bytes)
{
	Source		sources[WEBHOOK_RING_TABLES] = {0};
	List	   *result = NIL;
	Size		bytes = 0;

	while (result == NIL && window->remaining > 0)
	{
		int			next;

		if (window->next == window->nkeys)
			next_keys(window);

		for (next = window->next; next < window->nkeys; next++)
		{
			TupleTableSlot *row;

			CHECK_FOR_INTERRUPTS();
			if (list_length(result) == max_rows)
				break;
			row = fetch(sources, &window->keys[next]);
			if (row == NULL)
				continue;
			if (result != NIL && bytes + webhook_ring_row_size(row) > max_bytes)
				break;
			bytes += webhook_ring_row_size(row);
			result = lappend(result, webhook_ring_row_event(row));
		}
		window->remaining -= next - window->next;
		window->next = next;
	}

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		if (sources[i].relation != NULL)
		{
			webhook_scan_end(sources[i].scan);
			table_close(sources[i].relation, NoLock);
		}
	}
	return result;
}

/* The next keys from the file. */
static void
next_keys(WebhookWindow *window)
{
	window->next = 0;
	window->nkeys = 0;
	while (window->nkeys < STEP_ROWS &&
		   tuplestore_gettupleslot(window->store, true, false, window->row))
	{
		Key		   *key = &window->keys[window->nkeys];

		slot_getallattrs(window->row);
		key->id = DatumGetInt64(window->row->tts_values[0]);
		key->txid = DatumGetFullTransactionId(window->row->tts_values[1]);
		key->slot = DatumGetInt32(window->row->tts_values[2]);
		window->nkeys++;
	}
	ExecClearTuple(window->row);
	if (window->nkeys == 0)
		elog(ERROR, "window ends too early");
}

/*
 * The row of a key, or NULL if it has gone. Keys come in order of id, so rows
 * of one transaction come by one scan.
 */
static TupleTableSlot *
fetch(Source *sources, const Key *key)
{
	Source	   *source = &sources[key->slot];

	if (source->relation == NULL ||
		!FullTransactionIdEquals(source->txid, key->txid))
	{
		ScanKeyData keys[2];

		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_XID8EQ,
					FullTransactionIdGetDatum(key->txid));
		ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
					Int64GetDatum(key->id));
		if (source->relation == NULL)
		{
			Oid			relid = webhook_catalog_required()->event[key->slot];
			Oid			index;

			source->relation = table_open(relid, AccessShareLock);
			index = webhook_catalog_required()->event_index[key->slot];
			source->scan = webhook_scan_begin(source->relation, index,
											  GetActiveSnapshot(),
											  lengthof(keys), keys,
											  ForwardScanDirection);
		}
		else
			webhook_scan_restart(source->scan, keys);
		source->txid = key->txid;
		step_source(source);
	}

	while (source->found && source->id < key->id)
		step_source(source);
	return source->found && source->id == key->id ? source->scan->slot : NULL;
}

static void
step_source(Source *source)
{
	bool		isnull;

	source->found = webhook_scan_next(source->scan);
	if (source->found)
		source->id = DatumGetInt64(slot_getattr(source->scan->slot,
												Anum_webhook_event_id,
												&isnull));
}
