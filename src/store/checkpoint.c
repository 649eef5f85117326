/*
 * checkpoint.c
 *	  How far the worker is: its row of webhook_internal.checkpoint.
 *
 * No indexed column of the row ever changes, so that old versions are pruned
 * without vacuum, except while an old snapshot keeps them. A scan would walk
 * over all of them then, so the process remembers where it wrote the latest
 * version. Whether the row is still there is checked each time, because the
 * transaction may have been rolled back.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/table.h"
#include "store/store.h"

#define WORKER 0				/* a database has one worker so far */

static struct
{
	ItemPointerData latest;		/* where this process wrote the row; invalid: nowhere so far */
}			location;

static bool find(Relation relation, Snapshot snapshot, TupleTableSlot *slot);

#define COLUMN(name) \
	webhook_row_column(slot, Anum_webhook_checkpoint_##name, "webhook_internal.checkpoint")

WebhookCheckpoint *
webhook_checkpoint_load(void)
{
	WebhookCheckpoint *checkpoint = NULL;
	Relation	relation;
	TupleTableSlot *slot;
	Snapshot	snapshot;

	CommandCounterIncrement();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	relation = table_open(webhook_catalog_required()->checkpoint,
						  AccessShareLock);
	slot = table_slot_create(relation, NULL);
	if (find(relation, snapshot, slot))
	{
		bool		no_directory;
		bool		no_partial;
		bool		no_upto;
		Datum		directory = slot_getattr(slot,
											 Anum_webhook_checkpoint_directory,
											 &no_directory);
		Datum		partial = slot_getattr(slot,
										   Anum_webhook_checkpoint_partial_snapshot,
										   &no_partial);
		Datum		upto_id = slot_getattr(slot,
										   Anum_webhook_checkpoint_upto_id,
										   &no_upto);
		Datum		seen = COLUMN(snapshot);

		checkpoint = palloc0_object(WebhookCheckpoint);
		checkpoint->home = TextDatumGetCString(COLUMN(home));
		if (!no_directory)
			checkpoint->directory = TextDatumGetCString(directory);
		checkpoint->server_version = DatumGetInt32(COLUMN(server_version));
		checkpoint->snapshot = webhook_snapshot_from_datum(seen);
		if (!no_partial && !no_upto)
		{
			checkpoint->partial = webhook_snapshot_from_datum(partial);
			checkpoint->upto_id = DatumGetInt64(upto_id);
		}
		checkpoint->last_id = DatumGetInt64(COLUMN(last_id));
		checkpoint->saved_at = DatumGetTimestampTz(COLUMN(saved_at));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return checkpoint;
}

void
webhook_checkpoint_save(const WebhookCheckpoint *checkpoint)
{
	WebhookTable *table;
	TupleTableSlot *slot;
	Datum		values[Natts_webhook_checkpoint] = {0};
	bool		nulls[Natts_webhook_checkpoint] = {false};

#define SET(name, value) (values[Anum_webhook_checkpoint_##name - 1] = (value))
	SET(worker, Int16GetDatum(WORKER));
	SET(home, CStringGetTextDatum(checkpoint->home));
	if (checkpoint->directory)
		SET(directory, CStringGetTextDatum(checkpoint->directory));
	SET(server_version, Int32GetDatum(COMPAT_SERVER_VERSION));
	SET(snapshot, webhook_snapshot_to_datum(checkpoint->snapshot));
	if (checkpoint->partial)
		SET(partial_snapshot, webhook_snapshot_to_datum(checkpoint->partial));
	SET(upto_id, Int64GetDatum(checkpoint->upto_id));
	SET(last_id, Int64GetDatum(checkpoint->last_id));
	SET(saved_at, TimestampTzGetDatum(checkpoint->saved_at));
#undef SET
	nulls[Anum_webhook_checkpoint_directory - 1] = (checkpoint->directory == NULL);
	nulls[Anum_webhook_checkpoint_partial_snapshot - 1] = (checkpoint->partial == NULL);
	nulls[Anum_webhook_checkpoint_upto_id - 1] = (checkpoint->partial == NULL);

	/* A command cannot change a row that it has written itself. */
	CommandCounterIncrement();
	table = webhook_table_open(webhook_catalog_required()->checkpoint,
							   Natts_webhook_checkpoint, RowExclusiveLock);
	slot = table_slot_create(table->relation, NULL);
	if (find(table->relation, SnapshotSelf, slot) &&
		webhook_table_update(table, &slot->tts_tid, values, nulls))
		location.latest = table->written;
	else
		webhook_table_insert(table, values, nulls);
	ExecDropSingleTupleTableSlot(slot);
	webhook_table_close(table);
}

/* Fetch the row into the slot. Returns false if there is none. */
static bool
find(Relation relation, Snapshot snapshot, TupleTableSlot *slot)
{
	TableScanDesc scan;
	bool		found;

	if (ItemPointerIsValid(&location.latest) &&
		ItemPointerGetBlockNumber(&location.latest) <
		RelationGetNumberOfBlocks(relation) &&
		table_tuple_fetch_row_version(relation, &location.latest, snapshot, slot))
		return true;

	scan = table_beginscan(relation, snapshot, 0, NULL);
	do
		found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
	while (found && DatumGetInt16(COLUMN(worker)) != WORKER);
	if (found)
		ExecMaterializeSlot(slot);
	table_endscan(scan);
	return found;
}
