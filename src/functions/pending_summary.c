/*
 * pending_summary.c
 *	  SQL function pending_summary(): what waits, of each subscription.
 *
 * An index has each value at the beginning of a subscription's entries, so that a
 * subscription costs a look-up a value, however much of it waits. SQL could do the same,
 * and takes five times as long: views ask for all subscriptions.
 *
 * The worker's numbers name the subscriptions, in order. Between two of them there
 * may be some that it has not counted.
 *
 * What an earlier call of the process has found is still so while the row of the worker's
 * number is the same version: each of its transactions that changes rows of a subscription
 * writes the number anew. After another version it is an upper bound: an index scan reads
 * its page to the end, though one entry is wanted, and that is most of the cost; the bound
 * ends it, and if something is not later than that, the first is what is wanted.
 *
 * What somebody else than the worker writes is seen by its own transaction, and by others
 * once the worker has counted again.
 *
 * Monitoring asks without counting, and without waiting for a lock: it must not hang
 * because somebody else does.
 *
 * EXECUTE on the function is the permission.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table.h"
#include "process/wakeup.h"

#define KEY_SUBSCRIPTION_ID 1	/* column of each of the indexes */
#define KEY_TIME		2		/* column of the two indexes of pending */

#define SUMMARY_COLUMNS 4

/* The most subscriptions that a process remembers. */
#define MAX_REMEMBERED	10000

/* A version of a row: no other one has both. */
typedef struct Version
{
	TransactionId writer;
	ItemPointerData place;		/* invalid: there is no row */
} Version;

/*
 * The first times of a subscription, as somebody has found them: DT_NOEND, there is none
 * or nobody knows. They are known if they are so with this version.
 */
typedef struct Firsts
{
	int64		subscription_id;
	TimestampTz queued_at;
	TimestampTz next_at;
	Version		version;		/* of the row of its number */
	bool		queued_known;
	bool		next_known;
} Firsts;

/* In order of subscription_id. */
typedef struct FirstsList
{
	Firsts	   *firsts;			/* NULL: count is 0 */
	int			count;
} FirstsList;

static struct
{
	Oid			pending;		/* the table that the list is of */
	FirstsList	list;			/* what the last call has found */
}			remembered;

/* One call. */
typedef struct Summary
{
	ReturnSetInfo *result;
	bool		count_all;		/* rows that the worker has not counted are counted */
	bool		oldest;			/* the oldest row is looked up */
	bool		due;			/* the first head is looked up */
	Relation	pending;
	WebhookScan *gap;			/* of rows of subscriptions between two; NULL: not begun */
	WebhookScan *queued;		/* of rows of one, the oldest first; NULL: not begun */
	WebhookScan *heads;			/* of its heads, in order of next_at; NULL: not begun */
	int			passed;			/* how many that are remembered come before the present one */
	FirstsList	found;
} Summary;

static bool lock_tables(bool wait);
static void put_unknown(Summary *summary);
static void add_counted(Summary *summary);
static void add_gap(Summary *summary, int64 after, int64 last);
static void add(Summary *summary, int64 subscription_id, const int64 *counted, Version version);
static int64 count_rows(Summary *summary, int64 subscription_id);
static Version number_version(TupleTableSlot *slot);
static void find_first(Summary *summary, WebhookScan **scan, Oid index, AttrNumber column,
					   int64 subscription_id, TimestampTz *first, bool *known);
static void seek(Summary *summary, WebhookScan **scan, Oid index, ScanKey keys);
static void seek_until(Summary *summary, WebhookScan **scan, Oid index, int64 subscription_id,
					   TimestampTz latest);
static Firsts recall(Summary *summary, int64 subscription_id, Version version);
static void remember(Oid pending, const FirstsList *found);

PG_FUNCTION_INFO_V1(webhook_pending_summary);

/*
 * pending_summary(count_all boolean, oldest boolean, due boolean) ->
 * (subscription_id, pending, oldest_pending, next_at), a row for each subscription that has
 * rows in webhook_internal.pending. The number is the worker's; one that it has not counted
 * is counted. With count_all false it is NULL then, and nothing is waited for: while a table
 * is locked, or the library cannot read it, there is one row, all of it NULL. With oldest or
 * due false one of the times is NULL, which saves half of the look-ups; without the oldest
 * there may be a row for a subscription that was counted and has no rows any more.
 */
Datum
webhook_pending_summary(PG_FUNCTION_ARGS)
{
	Summary		summary = {.result = (ReturnSetInfo *) fcinfo->resultinfo};

	InitMaterializedSRF(fcinfo, 0);
	summary.count_all = PG_GETARG_BOOL(0);
	summary.oldest = PG_GETARG_BOOL(1);
	summary.due = PG_GETARG_BOOL(2);
	if ((!summary.count_all && !webhook_catalog_is_usable()) ||
		!lock_tables(summary.count_all))
	{
		put_unknown(&summary);
		return (Datum) 0;
	}
	summary.pending = table_open(webhook_catalog_required()->pending, NoLock);
	summary.found.firsts = palloc(MAX_REMEMBERED * sizeof(Firsts));
	add_counted(&summary);
	if (summary.gap != NULL)
		webhook_scan_end(summary.gap);
	if (summary.queued != NULL)
		webhook_scan_end(summary.queued);
	if (summary.heads != NULL)
		webhook_scan_end(summary.heads);
	remember(RelationGetRelid(summary.pending), &summary.found);
	table_close(summary.pending, NoLock);
	return (Datum) 0;
}

/* Lock the two tables until the transaction ends. Returns false if that would have to wait. */
static bool
lock_tables(bool wait)
{
	const WebhookCatalog *catalog = webhook_catalog_required();
	const Oid	tables[] = {catalog->pending, catalog->pending_count};

	for (int i = 0; i < lengthof(tables); i++)
	{
		if (wait)
			LockRelationOid(tables[i], AccessShareLock);
		else if (!webhook_table_try_lock(tables[i]))
			return false;
	}
	return true;
}

static void
put_unknown(Summary *summary)
{
	Datum		values[SUMMARY_COLUMNS] = {0};
	bool		nulls[SUMMARY_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	tuplestore_putvalues(summary->result->setResult, summary->result->setDesc, values, nulls);
}

/* Add the subscriptions that the worker has counted, and those between them. */
static void
add_counted(Summary *summary)
{
	const WebhookCatalog *catalog = webhook_catalog_required();
	Relation	table = table_open(catalog->pending_count, NoLock);
	WebhookScan *scan = webhook_scan_begin(table, catalog->pending_count_pkey,
										   GetActiveSnapshot(), 0, NULL, ForwardScanDirection);
	int64		last = PG_INT64_MIN;

#define COLUMN(name) \
	DatumGetInt64(webhook_row_column(scan->slot, Anum_webhook_pending_count_##name, \
									 "webhook_internal.pending_count"))
	while (webhook_scan_next(scan))
	{
		int64		subscription_id = COLUMN(subscription_id);
		int64		pending = COLUMN(pending);

		CHECK_FOR_INTERRUPTS();
		add_gap(summary, last, subscription_id - 1);
		if (pending > 0)
			add(summary, subscription_id, &pending, number_version(scan->slot));
		last = subscription_id;
	}
#undef COLUMN
	add_gap(summary, last, PG_INT64_MAX);
	webhook_scan_end(scan);
	table_close(table, NoLock);
}

/* Add the subscriptions after one, up to another one, none of which was counted. */
static void
add_gap(Summary *summary, int64 after, int64 last)
{
	const Version uncounted = {0};

	while (after < last)
	{
		ScanKeyData keys[2];

		CHECK_FOR_INTERRUPTS();
		ScanKeyInit(&keys[0], KEY_SUBSCRIPTION_ID, BTGreaterStrategyNumber, F_INT8GT,
					Int64GetDatum(after));
		ScanKeyInit(&keys[1], KEY_SUBSCRIPTION_ID, BTLessEqualStrategyNumber, F_INT8LE,
					Int64GetDatum(last));
		seek(summary, &summary->gap, webhook_catalog_required()->pending_queued, keys);
		if (!webhook_scan_next(summary->gap))
			return;
		after = DatumGetInt64(webhook_row_column(summary->gap->slot,
												 Anum_webhook_pending_subscription_id,
												 "webhook_internal.pending"));
		add(summary, after, NULL, uncounted);
	}
}

/*
 * Add a subscription, if it has rows. "counted" is NULL if the worker has not counted them;
 * else the version is that of its number.
 */
static void
add(Summary *summary, int64 subscription_id, const int64 *counted, Version version)
{
	const WebhookCatalog *catalog = webhook_catalog_required();
	Firsts		firsts = recall(summary, subscription_id, version);
	bool		nulls[SUMMARY_COLUMNS] = {false};
	Datum		values[SUMMARY_COLUMNS];

	if (summary->oldest)
		find_first(summary, &summary->queued, catalog->pending_queued,
				   Anum_webhook_pending_queued_at, subscription_id, &firsts.queued_at,
				   &firsts.queued_known);
	if (summary->oldest && firsts.queued_at == DT_NOEND)
		return;
	if (summary->due)
		find_first(summary, &summary->heads, catalog->pending_due, Anum_webhook_pending_next_at,
				   subscription_id, &firsts.next_at, &firsts.next_known);
	if (summary->found.count < MAX_REMEMBERED)
		summary->found.firsts[summary->found.count++] = firsts;

	values[0] = Int64GetDatum(subscription_id);
	nulls[1] = counted == NULL && !summary->count_all;
	if (!nulls[1])
		values[1] = Int64GetDatum(counted != NULL ? *counted :
								  count_rows(summary, subscription_id));
	values[2] = TimestampTzGetDatum(firsts.queued_at);
	nulls[2] = !summary->oldest;
	values[3] = TimestampTzGetDatum(firsts.next_at);
	nulls[3] = !summary->due || firsts.next_at == DT_NOEND;
	tuplestore_putvalues(summary->result->setResult, summary->result->setDesc, values, nulls);
}

static int64
count_rows(Summary *summary, int64 subscription_id)
{
	int64		count = 0;

	seek_until(summary, &summary->queued, webhook_catalog_required()->pending_queued,
			   subscription_id, DT_NOEND);
	while (webhook_scan_next(summary->queued))
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	return count;
}

/* The version of a number; none if the present transaction has written rows by itself. */
static Version
number_version(TupleTableSlot *slot)
{
	Version		version = {0};
	bool		isnull;

	if (webhook_recount_is_pending())
		return version;
	version.writer = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber,
														   &isnull));
	version.place = slot->tts_tid;
	return version;
}

/* Find the first time of a subscription in an index, unless it is known. */
static void
find_first(Summary *summary, WebhookScan **scan, Oid index, AttrNumber column,
		   int64 subscription_id, TimestampTz *first, bool *known)
{
	bool		found;

	if (*known)
		return;
	seek_until(summary, scan, index, subscription_id, *first);
	found = webhook_scan_next(*scan);
	if (!found && *first != DT_NOEND)
	{
		seek_until(summary, scan, index, subscription_id, DT_NOEND);
		found = webhook_scan_next(*scan);
	}
	*first = !found ? DT_NOEND :
		DatumGetTimestampTz(webhook_row_column((*scan)->slot, column, "webhook_internal.pending"));
	*known = true;
}

/* Begin a scan of the rows of a subscription up to a time. */
static void
seek_until(Summary *summary, WebhookScan **scan, Oid index, int64 subscription_id,
		   TimestampTz latest)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(subscription_id));
	ScanKeyInit(&keys[1], KEY_TIME, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
				TimestampTzGetDatum(latest));
	seek(summary, scan, index, keys);
}

/* Begin a scan with two keys, or begin it again. */
static void
seek(Summary *summary, WebhookScan **scan, Oid index, ScanKey keys)
{
	if (*scan == NULL)
		*scan = webhook_scan_begin(summary->pending, index, GetActiveSnapshot(), 2, keys,
								   ForwardScanDirection);
	else
		webhook_scan_restart(*scan, keys);
}

/*
 * What is remembered of a subscription; in order of them. What was found with another
 * version of its number, or without any, is not known to be so.
 */
static Firsts
recall(Summary *summary, int64 subscription_id, Version version)
{
	const FirstsList *list = &remembered.list;
	Firsts		firsts = {subscription_id, DT_NOEND, DT_NOEND, version, false, false};
	Firsts	   *former;

	while (summary->passed < list->count &&
		   list->firsts[summary->passed].subscription_id < subscription_id)
		summary->passed++;
	if (summary->passed == list->count || remembered.pending != RelationGetRelid(summary->pending))
		return firsts;
	former = &list->firsts[summary->passed];
	if (former->subscription_id != subscription_id)
		return firsts;
	firsts.queued_at = former->queued_at;
	firsts.next_at = former->next_at;
	if (ItemPointerIsValid(&version.place) && former->version.writer == version.writer &&
		ItemPointerEquals(&former->version.place, &version.place))
	{
		firsts.queued_known = former->queued_known;
		firsts.next_known = former->next_known;
	}
	return firsts;
}

static void
remember(Oid pending, const FirstsList *found)
{
	FirstsList	list = {NULL, found->count};

	if (found->count > 0)
	{
		list.firsts = MemoryContextAlloc(TopMemoryContext, found->count * sizeof(Firsts));
		memcpy(list.firsts, found->firsts, found->count * sizeof(Firsts));
	}
	if (remembered.list.firsts != NULL)
		pfree(remembered.list.firsts);
	remembered.list = list;
	remembered.pending = pending;
}
