/*
 * pending_count.c
 *	  How many rows webhook_internal.pending has of each subscription: its row of
 *	  webhook_internal.pending_count.
 *
 * The worker is the only one who writes pending, so it knows what each of its
 * transactions adds and takes away. It writes the new numbers in the same
 * transaction: a number is that of the rows for whoever reads both, also after a
 * crash. A transaction that writes no row of pending costs nothing.
 *
 * It writes a number that is as before, too. So whoever has looked at the rows of a
 * subscription knows that they are the same while they see the same version of the
 * number: functions/pending_summary.c.
 *
 * What somebody else inserts or deletes is not seen here. A trigger tells the
 * worker, which counts all rows again and writes all numbers; see pending_recount.c.
 * So it does when it starts, because a dump has rows of pending and no numbers.
 *
 * While an old snapshot keeps former versions of a row, an index scan would walk
 * over all of them. So the process remembers where it wrote the latest one, and
 * checks that the row is there, because that transaction may have been rolled back.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/pending_count_internal.h"

#define KEY_SUBSCRIPTION_ID 1	/* column of the primary key */

/* The number of one subscription. */
typedef struct Count
{
	int64		subscription_id;	/* hash key */
	bool		known;			/* "rows" is the number, not only what was added to it */
	int64		rows;			/* as committed */
	int64		change;			/* by the present transaction */
	bool		touched;		/* it has changed rows since it wrote the number */
	bool		set;			/* it has counted the rows */
	bool		listed;			/* the count is in counts.changed */
	ItemPointerData place;		/* where this process wrote the row; invalid: nowhere */
	struct Count *next;			/* in counts.changed */
} Count;

static struct
{
	HTAB	   *by_subscription;	/* of Count; NULL before the first use */
	Count	   *changed;		/* those that the present transaction has changed */
	bool		complete;		/* all rows have been counted since the process started */
	WebhookRecount recount;
	int64		recount_change; /* of recount.rows, by the present transaction */
}			counts;

static void init(void);
static Count *find_count(int64 subscription_id);
static void list_changed(Count *count);
static bool is_counted(const WebhookPending *row);
static void write_count(WebhookTable *table, TupleTableSlot *slot, Count *count, bool keep);
static bool find_row(WebhookTable *table, TupleTableSlot *slot, const Count *count);
static void end_transaction(XactEvent event, void *arg);

#define COLUMN(name) \
	webhook_row_column(slot, Anum_webhook_pending_count_##name, "webhook_internal.pending_count")

void
webhook_pending_count_add(const WebhookPending *row, int by)
{
	webhook_pending_count_touch(row->subscription_id);
	find_count(row->subscription_id)->change += by;
	if (is_counted(row))
		counts.recount_change += by;
}

void
webhook_pending_count_touch(int64 subscription_id)
{
	Count	   *count = find_count(subscription_id);

	count->touched = true;
	list_changed(count);
}

void
webhook_pending_count_write(void)
{
	WebhookTable *table = NULL;
	TupleTableSlot *slot = NULL;

	for (Count *count = counts.changed; count != NULL; count = count->next)
	{
		if (!count->known || !count->touched)
			continue;
		if (table == NULL)
		{
			/* A command cannot change a row that it has written itself. */
			CommandCounterIncrement();
			table = webhook_table_open(webhook_catalog_required()->pending_count,
									   Natts_webhook_pending_count, RowExclusiveLock);
			slot = table_slot_create(table->relation, NULL);
		}
		write_count(table, slot, count, true);
	}
	if (table != NULL)
	{
		ExecDropSingleTupleTableSlot(slot);
		webhook_table_close(table);
	}
}

WebhookRecount *
webhook_pending_count_recount(void)
{
	return &counts.recount;
}

void
webhook_pending_count_set(int64 subscription_id, int64 rows, bool keep)
{
	Count	   *count = find_count(subscription_id);
	WebhookTable *table;
	TupleTableSlot *slot;

	count->set = true;
	count->change = rows - count->rows;
	list_changed(count);

	CommandCounterIncrement();
	table = webhook_table_open(webhook_catalog_required()->pending_count,
							   Natts_webhook_pending_count, RowExclusiveLock);
	slot = table_slot_create(table->relation, NULL);
	write_count(table, slot, count, keep);
	ExecDropSingleTupleTableSlot(slot);
	webhook_table_close(table);
}

List *
webhook_pending_count_ids(bool unknown)
{
	List	   *ids = NIL;
	HASH_SEQ_STATUS scan;
	Count	   *count;

	init();
	hash_seq_init(&scan, counts.by_subscription);
	while ((count = hash_seq_search(&scan)) != NULL)
	{
		int64	   *id;

		if (unknown && count->known)
			continue;
		id = palloc_object(int64);
		*id = count->subscription_id;
		ids = lappend(ids, id);
	}
	return ids;
}

void
webhook_pending_count_expect(int64 subscription_id)
{
	(void) find_count(subscription_id);
}

void
webhook_pending_count_complete(void)
{
	counts.complete = true;
}

bool
webhook_pending_counts(List **found)
{
	HASH_SEQ_STATUS scan;
	Count	   *count;
	bool		known = counts.complete;

	*found = NIL;
	init();
	hash_seq_init(&scan, counts.by_subscription);
	while ((count = hash_seq_search(&scan)) != NULL)
	{
		known &= count->known;
		if (count->rows > 0)
		{
			WebhookPendingCount *number = palloc_object(WebhookPendingCount);

			number->subscription_id = count->subscription_id;
			number->pending = count->rows;
			*found = lappend(*found, number);
		}
	}
	return known;
}

/* Once a process: read the table. */
static void
init(void)
{
	HASHCTL		control = {0};
	Relation	relation;
	Snapshot	snapshot;
	TupleTableSlot *slot;
	TableScanDesc scan;

	if (counts.by_subscription != NULL)
		return;
	relation = table_open(webhook_catalog_required()->pending_count, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(relation, NULL);
	scan = table_beginscan(relation, snapshot, 0, NULL);

	control.keysize = sizeof(int64);
	control.entrysize = sizeof(Count);
	control.hcxt = TopMemoryContext;
	counts.by_subscription = hash_create("webhook pending counts", 64, &control,
										 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	RegisterXactCallback(end_transaction, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		Count	   *count = find_count(DatumGetInt64(COLUMN(subscription_id)));

		count->rows = DatumGetInt64(COLUMN(pending));
		count->known = true;
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
}

static Count *
find_count(int64 subscription_id)
{
	Count	   *count;
	bool		found;

	init();
	count = hash_search(counts.by_subscription, &subscription_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(count, 0, sizeof(*count));
		count->subscription_id = subscription_id;
		count->known = counts.complete;
	}
	return count;
}

static void
list_changed(Count *count)
{
	if (count->listed)
		return;
	count->listed = true;
	count->next = counts.changed;
	counts.changed = count;
}

/* Returns true if the row is, or would be, among those that have been counted. */
static bool
is_counted(const WebhookPending *row)
{
	const WebhookPendingCursor *cursor = &counts.recount.cursor;
	const WebhookEvent *event = row->event;
	int			order;

	if (counts.recount.subscription_id != row->subscription_id)
		return false;
	order = strcmp(event->subject ? event->subject : "", cursor->subject);
	if (order != 0)
		return order < 0;
	return row->position < cursor->position ||
		(row->position == cursor->position && event->id <= cursor->id);
}

/* Write the number as it is now. */
static void
write_count(WebhookTable *table, TupleTableSlot *slot, Count *count, bool keep)
{
	Datum		values[Natts_webhook_pending_count];
	bool		nulls[Natts_webhook_pending_count] = {false};
	int64		rows = count->rows + count->change;
	bool		found = find_row(table, slot, count);

	if (rows == 0 && !keep)
	{
		if (found)
			(void) webhook_table_delete(table, &slot->tts_tid);
	}
	else if (!found || rows > 0 || DatumGetInt64(COLUMN(pending)) != 0)
	{
		values[Anum_webhook_pending_count_subscription_id - 1] =
			Int64GetDatum(count->subscription_id);
		values[Anum_webhook_pending_count_pending - 1] = Int64GetDatum(rows);
		if (!found || !webhook_table_update(table, &slot->tts_tid, values, nulls))
			webhook_table_insert(table, values, nulls);
		count->place = table->written;
	}
	count->touched = false;
}

/* Fetch the row into the slot. Returns false if there is none. */
static bool
find_row(WebhookTable *table, TupleTableSlot *slot, const Count *count)
{
	ScanKeyData key;
	WebhookScan *scan;
	bool		found;
	ItemPointerData place = count->place;

	if (ItemPointerIsValid(&place) &&
		ItemPointerGetBlockNumber(&place) < RelationGetNumberOfBlocks(table->relation) &&
		table_tuple_fetch_row_version(table->relation, &place, SnapshotSelf, slot) &&
		DatumGetInt64(COLUMN(subscription_id)) == count->subscription_id)
		return true;

	ScanKeyInit(&key, KEY_SUBSCRIPTION_ID, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(count->subscription_id));
	scan = webhook_scan_begin(table->relation, webhook_catalog_required()->pending_count_pkey,
							  SnapshotSelf, 1, &key, ForwardScanDirection);
	found = webhook_scan_next(scan);
	if (found)
		ExecCopySlot(slot, scan->slot);
	webhook_scan_end(scan);
	return found;
}

/* What the transaction has changed is so, or has not happened. */
static void
end_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
		return;
	if (event == XACT_EVENT_COMMIT)
		counts.recount.rows += counts.recount_change;
	counts.recount_change = 0;
	while (counts.changed != NULL)
	{
		Count	   *count = counts.changed;

		counts.changed = count->next;
		if (event == XACT_EVENT_COMMIT)
		{
			count->known |= count->set;
			if (count->known)
				count->rows += count->change;
		}
		count->change = 0;
		count->touched = count->set = count->listed = false;
	}
}
