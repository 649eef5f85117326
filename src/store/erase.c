/*
 * erase.c
 *	  Takes what was sent about a subject out of webhook.log. The rows stay.
 *
 * There may be a million rows, so they are done in pieces, each in a transaction of the
 * caller's. A place in a leaf is a TID: the hash index on the subject has no order that a
 * later scan could go on in. So a scan of the index collects the next TIDs, and several
 * pieces use them up. Where the index is missing, the leaf is read block by block. A row
 * that was erased has a new version, which is found once more and has nothing left.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/log_partition_internal.h"
#include "store/store.h"

#define PIECE_ROWS 500
#define PIECE_BYTES (4 * 1024 * 1024)
#define PIECE_BLOCKS 256
#define PIECE_TIME (20 * 1000)	/* microseconds: others wait for their deliveries meanwhile */

/* What is taken out of a row. */
static const AttrNumber erased_columns[] = {
	Anum_webhook_log_request_body,
	Anum_webhook_log_response_body,
	Anum_webhook_log_context,
	Anum_webhook_log_data,
};

/* A leaf that is being worked on. */
typedef struct Leaf
{
	WebhookTable *table;
	TupleTableSlot *slot;
	const char *subject;
	int64		before;
	TimestampTz began;
	int			rows;			/* erased in this piece */
	Size		bytes;			/* of them */
} Leaf;

static bool next_leaf(WebhookLogErasure *place);
static Leaf open_leaf(WebhookLogErasure *place, const char *subject, int64 before);
static void close_leaf(const Leaf *leaf);
static bool use_index(Leaf *leaf, Oid index, WebhookLogErasure *place);
static void collect(const Leaf *leaf, Oid index, WebhookLogErasure *place);
static int	keep_first(ItemPointerData *tids, int count);
static int	compare_tids(const void *a, const void *b);
static bool read_blocks(Leaf *leaf, WebhookLogErasure *place);
static void erase_row(Leaf *leaf);
static bool is_enough(const Leaf *leaf);

bool
webhook_log_erase(const char *subject, int64 before, WebhookLogErasure *place)
{
	Leaf		leaf;
	Oid			index;
	bool		leaf_done;

	if (!OidIsValid(place->leaf) && !next_leaf(place))
		return true;
	leaf = open_leaf(place, subject, before);
	index = webhook_log_partition_subject_index(place->leaf);
	leaf_done = OidIsValid(index) ? use_index(&leaf, index, place) : read_blocks(&leaf, place);
	close_leaf(&leaf);
	return leaf_done && !next_leaf(place);
}

/*
 * Go on to the leaf behind the present one, or to the first. If the present one is
 * gone, that is the first one again. Returns false if there is none.
 */
static bool
next_leaf(WebhookLogErasure *place)
{
	List	   *leaves = webhook_log_partition_since(DT_NOBEGIN);
	int			next = 0;

	for (int i = 0; i < list_length(leaves); i++)
	{
		if (list_nth_oid(leaves, i) == place->leaf)
			next = i + 1;
	}
	memset(place, 0, sizeof(*place));
	if (next == list_length(leaves))
		return false;
	place->leaf = list_nth_oid(leaves, next);
	return true;
}

/* Whoever has rewritten the table has moved its rows. */
static Leaf
open_leaf(WebhookLogErasure *place, const char *subject, int64 before)
{
	Relation	relation = table_open(place->leaf, RowExclusiveLock);
	Leaf		leaf = {0};

	leaf.table = webhook_table_open(place->leaf, RelationGetNumberOfAttributes(relation), NoLock);
	leaf.slot = table_slot_create(relation, NULL);
	leaf.subject = subject;
	leaf.before = before;
	leaf.began = GetCurrentTimestamp();
	if (place->file != relation->rd_rel->relfilenode)
	{
		Oid			oid = place->leaf;

		memset(place, 0, sizeof(*place));
		place->leaf = oid;
		place->file = relation->rd_rel->relfilenode;
	}
	table_close(relation, NoLock);
	return leaf;
}

static void
close_leaf(const Leaf *leaf)
{
	ExecDropSingleTupleTableSlot(leaf->slot);
	webhook_table_close(leaf->table);
}

/* Returns true if there are no more rows in the leaf. */
static bool
use_index(Leaf *leaf, Oid index, WebhookLogErasure *place)
{
	Relation	relation = leaf->table->relation;
	IndexFetchTableData *fetch;

	if (place->next == place->count)
		collect(leaf, index, place);
	if (place->count == 0)
		return true;
	fetch = table_index_fetch_begin(relation);
	while (place->next < place->count && !is_enough(leaf))
	{
		ItemPointerData tid = place->tids[place->next++];
		bool		again = false;

		CHECK_FOR_INTERRUPTS();
		place->block = ItemPointerGetBlockNumber(&tid);
		place->offset = ItemPointerGetOffsetNumber(&tid);
		if (table_index_fetch_tuple(fetch, &tid, GetActiveSnapshot(), leaf->slot, &again, NULL))
			erase_row(leaf);
	}
	table_index_fetch_end(fetch);
	return false;
}

/* The first TIDs behind the place that the index has for the subject. */
static void
collect(const Leaf *leaf, Oid index, WebhookLogErasure *place)
{
	ItemPointerData *found = palloc_array(ItemPointerData, 2 * WEBHOOK_ERASED_AT_ONCE);
	ItemPointerData after;
	int			count = 0;
	ScanKeyData key;
	WebhookScan *scan;
	ItemPointer tid;

	ItemPointerSet(&after, place->block, place->offset);
	ScanKeyInit(&key, 1, HTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(leaf->subject));
	scan = webhook_scan_begin(leaf->table->relation, index, GetActiveSnapshot(), 1, &key,
							  ForwardScanDirection);
	while ((tid = index_getnext_tid(scan->desc, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (ItemPointerCompare(tid, &after) <= 0)
			continue;
		found[count++] = *tid;
		if (count == 2 * WEBHOOK_ERASED_AT_ONCE)
			count = keep_first(found, count);
	}
	webhook_scan_end(scan);
	place->count = keep_first(found, count);
	place->next = 0;
	memcpy(place->tids, found, place->count * sizeof(ItemPointerData));
	pfree(found);
}

/* Sort TIDs. Returns how many of them are kept. */
static int
keep_first(ItemPointerData *tids, int count)
{
	qsort(tids, count, sizeof(ItemPointerData), compare_tids);
	return Min(count, WEBHOOK_ERASED_AT_ONCE);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(ItemPointerData *, (const ItemPointerData *) a),
							  unconstify(ItemPointerData *, (const ItemPointerData *) b));
}

/* The same without an index. */
static bool
read_blocks(Leaf *leaf, WebhookLogErasure *place)
{
	Relation	relation = leaf->table->relation;
	BlockNumber blocks = RelationGetNumberOfBlocks(relation);

	for (int i = 0; i < PIECE_BLOCKS && place->block < blocks && !is_enough(leaf); i++)
	{
		ItemPointerData first;
		ItemPointerData last;
		TableScanDesc scan;

		CHECK_FOR_INTERRUPTS();
		ItemPointerSet(&first, place->block, FirstOffsetNumber);
		ItemPointerSet(&last, place->block, MaxOffsetNumber);
		scan = table_beginscan_tidrange(relation, GetActiveSnapshot(), &first, &last);
		while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection, leaf->slot))
			erase_row(leaf);
		table_endscan(scan);
		place->block++;
	}
	return place->block >= blocks;
}

/* Erase the row in the slot if it is about the subject, and has something to erase. */
static void
erase_row(Leaf *leaf)
{
	TupleTableSlot *slot = leaf->slot;
	int			columns = slot->tts_tupleDescriptor->natts;
	Datum	   *values;
	bool	   *nulls;
	bool		isnull;
	bool		found = false;
	Datum		subject = slot_getattr(slot, Anum_webhook_log_subject, &isnull);
	char	   *name;
	bool		other;

	if (isnull)
		return;
	name = TextDatumGetCString(subject);
	other = strcmp(name, leaf->subject) != 0;
	pfree(name);
	if (other ||
		DatumGetInt64(webhook_row_column(slot, Anum_webhook_log_id,
										 "webhook.log")) >= leaf->before)
		return;

	slot_getallattrs(slot);
	values = palloc_array(Datum, columns);
	nulls = palloc_array(bool, columns);
	memcpy(values, slot->tts_values, columns * sizeof(Datum));
	memcpy(nulls, slot->tts_isnull, columns * sizeof(bool));
	for (int i = 0; i < lengthof(erased_columns); i++)
	{
		int			column = erased_columns[i] - 1;

		if (nulls[column])
			continue;
		leaf->bytes += toast_raw_datum_size(values[column]);
		nulls[column] = true;
		found = true;
	}
	if (found)
	{
		leaf->rows++;
		(void) webhook_table_update(leaf->table, &slot->tts_tid, values, nulls);
	}
	pfree(values);
	pfree(nulls);
}

/* Returns true if the transaction has done as much as it should. */
static bool
is_enough(const Leaf *leaf)
{
	TimestampTz now;

	if (leaf->rows == 0)
		return false;
	now = GetCurrentTimestamp();
	return leaf->rows >= PIECE_ROWS || leaf->bytes >= PIECE_BYTES ||
		now < leaf->began || now - leaf->began >= PIECE_TIME;
}
