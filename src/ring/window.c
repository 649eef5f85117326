/*
 * window.c
 *	  The rows of the ring that committed between two snapshots, in order of id.
 *
 * Transactions do not commit in the order of the ids that they have drawn, so
 * "all rows above the last id" loses rows. A window goes by the transaction of
 * each row instead. A transaction ended after snapshot S1 and before S2 if S2
 * sees it as ended, and it either has an id in [xmax(S1), xmax(S2)) or was
 * running in S1. One range of the index (txid, id), and one probe for each
 * transaction that has ended since S1, find its rows. Transactions that run for
 * days cost nothing.
 *
 * A window begins where the one before it ended, so every row is in exactly one
 * window. Within a window rows are in order of id, over all ring tables.
 *
 * A small window is read into memory at once. Of a large one only the keys are
 * sorted, and kept in a temporary file that outlives the transaction; rows are
 * fetched by key as they are asked for. So a backlog takes no memory and holds
 * no snapshot. Rows that have been deleted in between are left out.
 *
 * The rows of a large transaction are not even collected (part.c): they are in
 * order in the index, its event types are known (large.c), and are merged with
 * the other rows as they are asked for. So it takes no time to open a window
 * that has a transaction of a million events. Nor does one that was rolled back: its first
 * entry in the index is looked at, and the others are passed over.
 *
 * While a window is built, its memory belongs to the transaction, and an error
 * frees it. Only the file has to be closed explicitly.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "base/table.h"
#include "ring/command.h"
#include "ring/fetch_internal.h"
#include "ring/large_internal.h"
#include "ring/part_internal.h"
#include "ring/ring_row_internal.h"
#include "ring/txid_internal.h"
#include "ring/window.h"

/* The largest window that is read into memory, in rows and in bytes of events. */
#define SMALL_ROWS		500
#define SMALL_BYTES		((Size) 1024 * 1024)

/* Parts of large transactions that a window has; each may be in several ring tables. */
#define MAX_PARTS		(2 * WEBHOOK_LARGE_TRANSACTIONS)

/* What the unread rows of a part count for, since nobody knows their number. */
#define PART_ROWS		1000

/* Keys of a large window that are read from the file at a time. */
#define STEP_ROWS		500

/* So many bytes of a replay's data name its subscription. */
#define REPLAY_HEAD		40

/* Event types of a window whose names are kept, and subscriptions of replays. */
#define MAX_TYPES		64

/* Memory in kB to sort keys in, and to keep them in before they go to a file. */
#define WORK_KB			4096

StaticAssertDecl(SMALL_ROWS <= STEP_ROWS, "the keys of a small window fit");

struct WebhookWindow
{
	MemoryContext context;		/* holds the window and everything below */
	WebhookSnapshot *end;		/* the snapshot that the window ends with */
	int64		remaining;		/* rows that have not been returned yet, but for those of parts */
	List	   *types;			/* of its events and replays: WebhookWindowType * */
	bool		joined;			/* each of these is of any tenant */

	/* A small window */
	WebhookEvent *events[SMALL_ROWS];	/* in order of id, once the window is built */
	int			nevents;

	/* A large window */
	Tuplestorestate *store;		/* all keys, in order of id; NULL: the window is small */
	TupleTableSlot *row;		/* to put a key into "store", or to get one */

	/* The next keys of a large window; of a small one, its keys while it is built. */
	WebhookRingKey keys[STEP_ROWS];
	int			nkeys;

	int			next;			/* index in "events" or "keys" of the next row to return */

	/* Large transactions, whose rows come besides */
	WebhookPart parts[MAX_PARTS];
	int			nparts;
};

/* A window that is being built. */
typedef struct Builder
{
	WebhookWindow *window;
	const WebhookSnapshot *partial; /* rows that it sees up to upto_id are left out; NULL: none */
	int64		upto_id;
	int64		max_rows;		/* with more rows the window is of no use; 0: any number */
	int64		passed;			/* rows that were looked at, and are not visible */
	Size		bytes;			/* of the events in memory */
	Tuplesortstate *sort;		/* the keys of a large window; NULL: it is small so far */
	WebhookLargeTransaction large[WEBHOOK_LARGE_TRANSACTIONS];	/* those that are known */
	int			nlarge;
} Builder;

static void read_table(Builder *builder, int table_no, const WebhookSnapshot *from);
static void read_range(Builder *builder, int table_no, WebhookScan *scan,
					   ScanKey keys, uint64 first, uint64 end);
static bool add_entry(Builder *builder, int table_no, WebhookScan *scan, FullTransactionId txid);
static bool has_too_many(const Builder *builder);
static const WebhookLargeTransaction *find_large(const Builder *builder, FullTransactionId txid);
static void add_part(Builder *builder, int table_no, const WebhookLargeTransaction *large);
static void add_row(Builder *builder, int table_no, TupleTableSlot *row);
static void note_type(WebhookWindow *window, TupleTableSlot *row, int64 id);
static const char *short_text(Datum datum, char *buffer, Size size);
static void note_replay(WebhookWindow *window, TupleTableSlot *row, int64 id);
static void add_type(WebhookWindow *window, const WebhookWindowType *added);
static WebhookWindowType *find_type(const WebhookWindow *window, const WebhookWindowType *added);
static bool same_tenant(const WebhookWindowType *a, const WebhookWindowType *b);
static void join_tenants(WebhookWindow *window);
static void become_large(Builder *builder);
static void add_key(Builder *builder, const WebhookRingKey *key);
static void keep_keys(Builder *builder);
static int	compare_events(const void *a, const void *b);
static List *next_small(WebhookWindow *window, int max_rows, Size max_bytes);
static List *next_merged(WebhookWindow *window, int max_rows, Size max_bytes);
static bool first_key(const WebhookWindow *window, int next, int64 *id);
static void next_keys(WebhookWindow *window);

WebhookWindow *
webhook_window_open(const WebhookSnapshot *from,
					const WebhookSnapshot *partial, int64 upto_id,
					const WebhookSnapshot *end, int64 max_rows)
{
	MemoryContext context = AllocSetContextCreate(CurTransactionContext,
												  "webhook window",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Builder    *builder = palloc0(sizeof(Builder));
	WebhookWindow *window = palloc0(sizeof(WebhookWindow));

	window->context = context;
	window->end = end != NULL ? webhook_snapshot_copy(end) :
		webhook_snapshot_make(GetActiveSnapshot(),
							  GetTopFullTransactionIdIfAny());
	builder->window = window;
	builder->partial = partial;
	builder->upto_id = upto_id;
	builder->max_rows = max_rows;
	builder->nlarge = webhook_large_copy(builder->large);

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
		read_table(builder, i, from);

	if (has_too_many(builder))
	{
		if (builder->sort != NULL)
			tuplesort_end(builder->sort);
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	if (builder->sort != NULL)
		keep_keys(builder);
	else
	{
		qsort(window->events, window->nevents, sizeof(WebhookEvent *),
			  compare_events);
		window->nkeys = 0;
	}
	pfree(builder);

	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, old);
	return window;
}

const List *
webhook_window_types(const WebhookWindow *window)
{
	return window->types;
}

const WebhookSnapshot *
webhook_window_end(const WebhookWindow *window)
{
	return window->end;
}

int64
webhook_window_remaining(const WebhookWindow *window)
{
	int64		remaining = window->remaining;

	for (int i = 0; i < window->nparts; i++)
		remaining += window->parts[i].ended ? 0 : PART_ROWS;
	return remaining;
}

List *
webhook_window_next(WebhookWindow *window, int max_rows, Size max_bytes)
{
	if (window->store == NULL && window->nparts == 0)
		return next_small(window, max_rows, max_bytes);
	return webhook_window_remaining(window) == 0 ? NIL : next_merged(window, max_rows, max_bytes);
}

void
webhook_window_make_durable(List *events)
{
	XLogRecPtr	flush = InvalidXLogRecPtr;
	FullTransactionId last = InvalidFullTransactionId;
	FullTransactionId next = ReadNextFullTransactionId();
	ListCell   *cell;

	/* The lock keeps the commit log from being truncated while it is read. */
	LWLockAcquire(XactTruncationLock, LW_SHARED);
	foreach(cell, events)
	{
		FullTransactionId txid = ((WebhookEvent *) lfirst(cell))->txid;

		if (FullTransactionIdEquals(txid, last))
			continue;
		last = txid;

		/* A transaction that has left the commit log was checkpointed long ago. */
		if (webhook_txid_in_commit_log(txid, next))
			flush = Max(flush, TransactionIdGetCommitLSN(XidFromFullTransactionId(txid)));
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

/* Add the rows of one ring table. */
static void
read_table(Builder *builder, int table_no, const WebhookSnapshot *from)
{
	const WebhookSnapshot *end = builder->window->end;
	Relation	relation = table_open(webhook_catalog_required()->event[table_no],
									  AccessShareLock);

	if (RelationGetNumberOfBlocks(relation) > 0)
	{
		ScanKeyData keys[2];
		WebhookScan *scan;

		ScanKeyInit(&keys[0], 1, BTGreaterEqualStrategyNumber, F_XID8GE, 0);
		ScanKeyInit(&keys[1], 1, BTLessStrategyNumber, F_XID8LT, 0);
		scan = webhook_scan_begin_entries(relation,
										  webhook_catalog_required()->event_index[table_no],
										  GetActiveSnapshot(), lengthof(keys), keys,
										  ForwardScanDirection);

		read_range(builder, table_no, scan, keys,
				   U64FromFullTransactionId(from->xmax),
				   U64FromFullTransactionId(end->xmax));
		for (uint32 i = 0; i < from->nxip; i++)
		{
			if (webhook_snapshot_sees(end, from->xip[i]))
				read_range(builder, table_no, scan, keys,
						   U64FromFullTransactionId(from->xip[i]),
						   U64FromFullTransactionId(from->xip[i]) + 1);
		}
		webhook_scan_end(scan);
	}
	table_close(relation, NoLock);
}

/* Add rows of the transactions from "first" on, up to but not including "end". */
static void
read_range(Builder *builder, int table_no, WebhookScan *scan, ScanKey keys,
		   uint64 first, uint64 end)
{
	if (first >= end)
		return;
	keys[0].sk_argument = UInt64GetDatum(first);
	keys[1].sk_argument = UInt64GetDatum(end);
	webhook_scan_restart(scan, keys);
	while (!has_too_many(builder) && webhook_scan_next_entry(scan))
	{
		FullTransactionId txid =
			DatumGetFullTransactionId(webhook_scan_column(scan, WEBHOOK_ENTRY_TXID));

		CHECK_FOR_INTERRUPTS();
		if (add_entry(builder, table_no, scan, txid))
			continue;
		first = U64FromFullTransactionId(txid) + 1;
		if (first >= end)
			break;
		keys[0].sk_argument = UInt64GetDatum(first);
		webhook_scan_restart(scan, keys);
	}
}

/*
 * Add the row of the entry of the index that a scan is at. Returns false if the other ones of
 * its transaction need no look: the window has none of them, or they are a part of it.
 */
static bool
add_entry(Builder *builder, int table_no, WebhookScan *scan, FullTransactionId txid)
{
	const WebhookLargeTransaction *large = find_large(builder, txid);

	/*
	 * Rows of this transaction, and rows that committed after an older "end", may be visible but
	 * belong to a later window.
	 */
	if (!webhook_snapshot_sees(builder->window->end, txid))
		return false;
	if (large != NULL && builder->window->nparts < MAX_PARTS)
	{
		if (webhook_txid_may_have_committed(txid))
			add_part(builder, table_no, large);
		return false;
	}
	if (webhook_scan_fetch(scan))
	{
		add_row(builder, table_no, scan->slot);
		return true;
	}

	/* Many of them are many looks, too. */
	builder->passed++;
	return webhook_txid_may_have_committed(txid);
}

static bool
has_too_many(const Builder *builder)
{
	return builder->max_rows > 0 &&
		webhook_window_remaining(builder->window) + builder->passed > builder->max_rows;
}

/* What is known of a large transaction; NULL: it is not known to be one. */
static const WebhookLargeTransaction *
find_large(const Builder *builder, FullTransactionId txid)
{
	for (int i = 0; i < builder->nlarge; i++)
	{
		if (FullTransactionIdEquals(builder->large[i].txid, txid))
			return &builder->large[i];
	}
	return NULL;
}

/* Its rows in this ring table belong to the window, less those that were read of it before. */
static void
add_part(Builder *builder, int table_no, const WebhookLargeTransaction *large)
{
	WebhookWindow *window = builder->window;
	WebhookPart *part = &window->parts[window->nparts++];

	part->table_no = table_no;
	part->txid = large->txid;
	if (builder->partial != NULL && webhook_snapshot_sees(builder->partial, large->txid))
		part->next_id = builder->upto_id + 1;
	for (int i = 0; i < large->ntypes; i++)
	{
		const WebhookLargeType *type = &large->types[i];
		WebhookWindowType added = {
			.name = type->name,
			.tenant = type->tenant[0] != '\0' ? type->tenant : NULL,
			.of_any_tenant = type->of_any_tenant,
			.of_platform = type->of_platform,
			.last_id = PG_INT64_MAX
		};

		add_type(window, &added);
	}
}

static void
add_row(Builder *builder, int table_no, TupleTableSlot *row)
{
	WebhookWindow *window = builder->window;
	bool		isnull;
	WebhookRingKey key;
	Size		size;

	key.id = DatumGetInt64(slot_getattr(row, Anum_webhook_event_id, &isnull));
	key.txid =
		DatumGetFullTransactionId(slot_getattr(row, Anum_webhook_event_txid,
											   &isnull));
	key.table_no = table_no;

	if (builder->partial != NULL && key.id <= builder->upto_id &&
		webhook_snapshot_sees(builder->partial, key.txid))
		return;

	window->remaining++;
	note_type(window, row, key.id);
	if (builder->sort == NULL)
	{
		size = webhook_ring_row_size(row);
		if (window->nevents < SMALL_ROWS &&
			builder->bytes + size <= SMALL_BYTES)
		{
			WebhookEvent *event = webhook_ring_row_event(row);

			event->table_no = table_no;
			window->keys[window->nevents] = key;
			window->events[window->nevents++] = event;
			builder->bytes += size;
			return;
		}
		become_large(builder);
	}
	add_key(builder, &key);
}

/* The event type of an event, and the subscription of a replay, is one of the window's. */
static void
note_type(WebhookWindow *window, TupleTableSlot *row, int64 id)
{
	WebhookWindowType added = {.last_id = id};
	char		kind;
	bool		isnull;
	Datum		name;
	Datum		tenant;
	char		name_buffer[WEBHOOK_MAX_EVENT_TYPE + 1];
	char		tenant_buffer[WEBHOOK_MAX_TENANT + 1];

	kind = DatumGetChar(slot_getattr(row, Anum_webhook_event_kind, &isnull));
	if (kind == WEBHOOK_REPLAY)
	{
		note_replay(window, row, id);
		return;
	}
	if (!webhook_kind_is_event(kind))
		return;
	name = slot_getattr(row, Anum_webhook_event_event_type, &isnull);
	if (isnull)
		return;
	added.name = short_text(name, name_buffer, sizeof(name_buffer));
	added.of_platform = kind != WEBHOOK_EVENT_OF_TENANT;
	tenant = slot_getattr(row, Anum_webhook_event_tenant, &isnull);
	if (!isnull && kind != WEBHOOK_EVENT_OF_PLATFORM)
		added.tenant = short_text(tenant, tenant_buffer, sizeof(tenant_buffer));
	add_type(window, &added);
	if (added.name != name_buffer)
		pfree(unconstify(char *, added.name));
	if (added.tenant != NULL && added.tenant != tenant_buffer)
		pfree(unconstify(char *, added.tenant));
}

/* The text of a datum, in the buffer if it fits; it does unless somebody wrote the row by hand. */
static const char *
short_text(Datum datum, char *buffer, Size size)
{
	if (toast_raw_datum_size(datum) - VARHDRSZ >= size)
		return TextDatumGetCString(datum);
	text_to_cstring_buffer((text *) DatumGetPointer(datum), buffer, size);
	return buffer;
}

/* Data has the subscription at its beginning, and the whole event behind it. */
static void
note_replay(WebhookWindow *window, TupleTableSlot *row, int64 id)
{
	WebhookWindowType added = {.last_id = id};
	bool		isnull;
	Datum		data = slot_getattr(row, Anum_webhook_event_data, &isnull);
	char		mark[WEBHOOK_REPLAY_MARK_SIZE];
	struct varlena *slice;
	char	   *text;

	if (isnull)
		return;
	slice = PG_DETOAST_DATUM_SLICE(data, 0, REPLAY_HEAD);
	text = text_to_cstring(slice);
	added.name = mark;
	if (webhook_replay_mark(text, mark))
		add_type(window, &added);
	pfree(text);
	pfree(slice);
}

/* Few are usual. Of more than MAX_TYPES no tenant is kept, and then no name. */
static void
add_type(WebhookWindow *window, const WebhookWindowType *added)
{
	WebhookWindowType *type = find_type(window, added);

	if (type == NULL && list_length(window->types) == MAX_TYPES && !window->joined)
	{
		join_tenants(window);
		type = find_type(window, added);
	}
	if (type == NULL)
	{
		type = palloc0(sizeof(WebhookWindowType));
		if (list_length(window->types) < MAX_TYPES)
		{
			*type = *added;
			type->name = pstrdup(added->name);
			type->subscription_id = webhook_replay_mark_subscription(type->name);
			if (added->tenant != NULL)
				type->tenant = pstrdup(added->tenant);
			type->of_any_tenant |= window->joined;
		}
		window->types = lappend(window->types, type);
	}
	type->of_platform |= added->of_platform;
	type->last_id = Max(type->last_id, added->last_id);
}

/* NULL: there is none. The one without a name, which stands for all others, is the last. */
static WebhookWindowType *
find_type(const WebhookWindow *window, const WebhookWindowType *added)
{
	ListCell   *cell;

	foreach(cell, window->types)
	{
		WebhookWindowType *known = lfirst(cell);

		if (known->name == NULL ||
			(strcmp(known->name, added->name) == 0 &&
			 (window->joined || same_tenant(known, added))))
			return known;
	}
	return NULL;
}

static bool
same_tenant(const WebhookWindowType *a, const WebhookWindowType *b)
{
	if (a->of_platform != b->of_platform || a->of_any_tenant != b->of_any_tenant)
		return false;
	return a->tenant == NULL || b->tenant == NULL ? a->tenant == b->tenant :
		strcmp(a->tenant, b->tenant) == 0;
}

/* Make one of all that is known of a type. */
static void
join_tenants(WebhookWindow *window)
{
	List	   *types = window->types;
	ListCell   *cell;

	window->types = NIL;
	window->joined = true;
	foreach(cell, types)
	{
		WebhookWindowType *type = lfirst(cell);
		WebhookWindowType *first = find_type(window, type);

		type->of_any_tenant = true;
		if (first == NULL)
			window->types = lappend(window->types, type);
		else
		{
			first->of_platform |= type->of_platform;
			first->last_id = Max(first->last_id, type->last_id);
		}
	}
	list_free(types);
}

/* Make the window a large one: from now on only keys are added. */
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
	TupleDescInitEntry(desc, 3, "table_no", INT4OID, -1, 0);

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
add_key(Builder *builder, const WebhookRingKey *key)
{
	TupleTableSlot *row = builder->window->row;

	ExecClearTuple(row);
	row->tts_values[0] = Int64GetDatum(key->id);
	row->tts_values[1] = FullTransactionIdGetDatum(key->txid);
	row->tts_values[2] = Int32GetDatum(key->table_no);
	memset(row->tts_isnull, false, 3 * sizeof(bool));
	ExecStoreVirtualTuple(row);
	tuplesort_puttupleslot(builder->sort, row);
}

/* Move the keys, sorted, to a file that outlives the transaction. */
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
		 * Begin to read now. That writes the rest of the file while the resource owner that it
		 * was created under exists.
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

/*
 * The rows of large transactions, if there are any, and the others, merged in
 * order of id. What is kept of the window moves on at the end, so that a failed
 * call can be repeated. A row that has gone since is left out, and what comes after
 * many rows that were rolled back is left for the next call: the result may be empty
 * before the end.
 */
static List *
next_merged(WebhookWindow *window, int max_rows, Size max_bytes)
{
	WebhookFetch *fetch = webhook_fetch_begin();
	List	   *result = NIL;
	Size		bytes = 0;
	int			next;

	if (window->store != NULL && window->next == window->nkeys && window->remaining > 0)
		next_keys(window);
	next = window->next;
	for (int i = 0; i < window->nparts; i++)
	{
		if (!window->parts[i].ended)
			webhook_part_open(&window->parts[i]);
	}

	while (list_length(result) < max_rows)
	{
		WebhookPart *part = NULL;
		TupleTableSlot *row = NULL;
		WebhookEvent *event;
		int64		id;
		bool		has_key = first_key(window, next, &id);

		CHECK_FOR_INTERRUPTS();

		/* The next keys are in the file: what else comes before them is not known. */
		if (!has_key && window->remaining > next - window->next)
			break;
		for (int i = 0; i < window->nparts; i++)
		{
			WebhookPart *other = &window->parts[i];

			if (!other->ended && (other->found || other->pauses) &&
				(!has_key || other->id < id) && (part == NULL || other->id < part->id))
				part = other;
		}
		if (part == NULL ? !has_key : part->pauses)
			break;
		if (part != NULL)
			row = part->scan->slot;
		else if (window->store != NULL)
			row = webhook_fetch_row(fetch, &window->keys[next]);
		else
		{
			if (result != NIL && bytes + window->events[next]->size > max_bytes)
				break;
			bytes += window->events[next]->size;
			result = lappend(result, webhook_event_copy(window->events[next]));
		}
		if (row != NULL)
		{
			if (result != NIL && bytes + webhook_ring_row_size(row) > max_bytes)
				break;
			bytes += webhook_ring_row_size(row);
			event = webhook_ring_row_event(row);
			event->table_no = part != NULL ? part->table_no : window->keys[next].table_no;
			result = lappend(result, event);
		}
		if (part != NULL)
			webhook_part_step(part);
		else
			next++;
	}

	for (int i = 0; i < window->nparts; i++)
	{
		if (!window->parts[i].ended)
			webhook_part_close(&window->parts[i]);
	}
	webhook_fetch_end(fetch);
	window->remaining -= next - window->next;
	window->next = next;
	return result;
}

/* Returns true if the row with index "next" is in memory, or its key is. */
static bool
first_key(const WebhookWindow *window, int next, int64 *id)
{
	if (next >= (window->store == NULL ? window->nevents : window->nkeys))
		return false;
	*id = window->store == NULL ? window->events[next]->id : window->keys[next].id;
	return true;
}

/* Read the next keys from the file. */
static void
next_keys(WebhookWindow *window)
{
	window->next = 0;
	window->nkeys = 0;
	while (window->nkeys < STEP_ROWS &&
		   tuplestore_gettupleslot(window->store, true, false, window->row))
	{
		WebhookRingKey *key = &window->keys[window->nkeys];

		slot_getallattrs(window->row);
		key->id = DatumGetInt64(window->row->tts_values[0]);
		key->txid = DatumGetFullTransactionId(window->row->tts_values[1]);
		key->table_no = DatumGetInt32(window->row->tts_values[2]);
		window->nkeys++;

		/* The row is the transaction's, and reading the next one may fail. */
		ExecClearTuple(window->row);
	}
	if (window->nkeys == 0)
		elog(ERROR, "file of a window ends too early");
}
