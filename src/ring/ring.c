/*
 * ring.c
 *	  The ring tables: appending to them, switching to the next, emptying them.
 *
 * A row is appended and not changed afterwards; a ring table whose rows are all
 * done is truncated as a whole. A table that is written to can hardly ever be
 * truncated, because writers hold its lock until their transactions end. So the
 * worker first directs new writers to an empty table, by a number in shared
 * memory, and truncates the former table when its writers have ended. That
 * number is a hint: any ring table may be written to at any time, and the worker
 * reads them all.
 *
 * A writer takes RowExclusiveLock at every row, because the rollback of a
 * savepoint may have released it since the last one. It does not wait: while
 * another session keeps a table locked (it builds an index, or is the worker
 * that truncates), writers use the next table.
 *
 * A truncation must not lose a row that the last committed checkpoint does not
 * know to be done. The exclusive lock proves that no transaction that has
 * written to the table is still running, or prepared; a snapshot taken after
 * the lock sees everything that committed. So neither an old snapshot of some
 * session nor a transaction that writes to another table prevents a truncation.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/steady.h"
#include "base/table.h"
#include "process/shmem.h"
#include "process/wakeup.h"
#include "ring/large_internal.h"
#include "ring/ring.h"
#include "ring/ring_row_internal.h"
#include "ring/sequence_internal.h"
#include "ring/txid_internal.h"

/* With webhook.event_retention 0, writers leave a table that is larger than this. */
#define SWITCH_BYTES ((int64) 64 * 1024 * 1024)

static struct
{
	FullTransactionId writer;	/* the last transaction of this session that appended */
	int			table_no;		/* the ring table that it appended to last */
	FullTransactionId replayer; /* the last transaction of this session that wrote a replay */
}			ring;

static int64 greatest_id(void);
static Oid	lock_for_writing(void);
static bool try_lock(int table_no, LOCKMODE lockmode);
static Relation try_open(int table_no);
static bool wants_successor(int table_no);
static bool make_current(int table_no);
static bool make_empty(int table_no, const WebhookSnapshot *checkpoint);
static bool is_done(Relation relation, Oid index, const WebhookSnapshot *checkpoint);
static bool next_visible(WebhookScan *scan, ScanKey key);
static bool edge(Relation relation, Oid index, Snapshot snapshot,
				 ScanDirection direction, int64 *id, TimestampTz *created_at);
static bool is_old(TimestampTz created_at);

void
webhook_ring_append(WebhookEvent *event)
{
	Oid			relid = lock_for_writing();
	Oid			sequence = webhook_catalog_for_append()->event_sequence;
	WebhookTable *table;
	Datum		values[Natts_webhook_event];
	bool		nulls[Natts_webhook_event];
	char	   *texts;

	if (!OidIsValid(sequence))
		(void) webhook_catalog_required();	/* raises the error */
	event->id = webhook_sequence_next(sequence);
	event->txid = GetTopFullTransactionId();
	webhook_large_note(event);

	texts = webhook_ring_row_form(event, values, nulls);
	table = webhook_table_open_kept(relid, Natts_webhook_event);
	webhook_table_insert(table, values, nulls);
	webhook_table_close(table);

	pfree(texts);

	webhook_wakeup_at_commit(event->kind == WEBHOOK_CHANGED || event->kind == WEBHOOK_END);
}

void
webhook_ring_command(WebhookEvent *row)
{
	static const pg_uuid_t none = {0};

	/*
	 * A restore may have set the sequence since numbers were reserved. That is looked at once a
	 * transaction for replays, which may be many, and for each other command.
	 */
	if (row->kind != WEBHOOK_REPLAY ||
		!FullTransactionIdEquals(ring.replayer, GetTopFullTransactionId()))
		webhook_sequence_resync();
	if (row->kind == WEBHOOK_REPLAY)
		ring.replayer = GetTopFullTransactionId();

	row->created_at = GetCurrentTimestamp();
	if (memcmp(&row->event_id, &none, UUID_LEN) == 0)
		webhook_event_new_id(&row->event_id, row->created_at);
	webhook_ring_append(row);
}

int64
webhook_ring_last_id(void)
{
	return webhook_sequence_last(webhook_catalog_required()->event_sequence);
}

void
webhook_ring_raise_ids(int64 last_id)
{
	Oid			sequence = webhook_catalog_required()->event_sequence;

	if (last_id == 0 || webhook_sequence_last(sequence) < last_id)
		webhook_sequence_raise(sequence, Max(last_id, greatest_id()));
}

int
webhook_ring_newest(void)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int			newest = 0;
	int64		newest_id = 0;

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		Relation	relation = try_open(i);
		int64		id;
		TimestampTz created_at;

		if (relation == NULL)
			continue;
		if (edge(relation, webhook_catalog_required()->event_index[i],
				 snapshot, BackwardScanDirection, &id, &created_at) &&
			id > newest_id)
		{
			newest = i;
			newest_id = id;
		}
		table_close(relation, NoLock);
	}
	UnregisterSnapshot(snapshot);
	return newest;
}

bool
webhook_ring_oldest(TimestampTz *created_at)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool		complete = true;

	*created_at = DT_NOEND;
	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		Relation	relation = try_open(i);
		int64		id;
		TimestampTz first;

		if (relation == NULL)
		{
			complete = false;
			continue;
		}
		if (edge(relation, webhook_catalog_required()->event_index[i],
				 snapshot, ForwardScanDirection, &id, &first))
			*created_at = Min(*created_at, first);
		table_close(relation, NoLock);
	}
	UnregisterSnapshot(snapshot);
	return complete;
}

bool
webhook_ring_rotate(const WebhookSnapshot *checkpoint, bool *full)
{
	int			current = webhook_shmem_ring_table() % WEBHOOK_RING_TABLES;
	bool		wanted = wants_successor(current);

	*full = false;
	for (int i = 1; wanted && i < WEBHOOK_RING_TABLES; i++)
	{
		int			table_no = (current + i) % WEBHOOK_RING_TABLES;

		if (make_current(table_no))
		{
			current = table_no;
			wanted = false;
		}
	}

	for (int i = 1; i < WEBHOOK_RING_TABLES; i++)
	{
		if (make_empty((current + i) % WEBHOOK_RING_TABLES, checkpoint))
			return true;
	}
	*full = wanted;
	return false;
}

/* The greatest id or position of a row in the ring or in pending; 0: there is no row. */
static int64
greatest_id(void)
{
	Datum		value;
	bool		isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT GREATEST(0,"
					" (SELECT pg_catalog.max(r.id) FROM webhook_internal.ring r),"
					" (SELECT pg_catalog.max(GREATEST(p.position, p.id))"
					"  FROM webhook_internal.pending p))",
					true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read webhook_internal.ring");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	return DatumGetInt64(value);
}

/*
 * Lock a ring table for writing and return its OID. A transaction keeps to the
 * table that it has used first, so that it prevents few truncations, unless the
 * lock on that table is not available. Waits only if that holds for all tables.
 */
static Oid
lock_for_writing(void)
{
	FullTransactionId txid = GetTopFullTransactionId();
	Oid			relid;

	if (!FullTransactionIdEquals(ring.writer, txid))
	{
		ring.table_no = webhook_shmem_ring_table() % WEBHOOK_RING_TABLES;
		ring.writer = txid;
	}

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		int			table_no = (ring.table_no + i) % WEBHOOK_RING_TABLES;

		if (try_lock(table_no, RowExclusiveLock))
		{
			ring.table_no = table_no;
			return webhook_catalog_for_append()->event[table_no];
		}
	}

	/* Wait for the first one, or raise the error that says what is wrong with it. */
	do
	{
		relid = webhook_catalog_for_append()->event[ring.table_no];
		if (!OidIsValid(relid))
			relid = webhook_catalog_required()->event[ring.table_no];
		LockRelationOid(relid, RowExclusiveLock);
	} while (webhook_catalog_for_append()->event[ring.table_no] != relid);
	return relid;
}

/*
 * Lock a ring table without waiting. Returns false if the lock is not available,
 * or the table is missing or has been altered; otherwise it is in order as long
 * as the lock is held.
 */
static bool
try_lock(int table_no, LOCKMODE lockmode)
{
	Oid			relid;

	do
	{
		relid = webhook_catalog_for_append()->event[table_no];
		if (!OidIsValid(relid) || !ConditionalLockRelationOid(relid, lockmode))
			return false;
	} while (webhook_catalog_for_append()->event[table_no] != relid);
	return true;
}

/* Open a ring table for reading without waiting; NULL: try_lock() failed. */
static Relation
try_open(int table_no)
{
	if (!try_lock(table_no, AccessShareLock))
		return NULL;
	return table_open(webhook_catalog_required()->event[table_no], NoLock);
}

/* Returns true if the ring table has been written to for long enough. */
static bool
wants_successor(int table_no)
{
	Relation	relation = try_open(table_no);
	bool		result;

	if (relation == NULL)
		return false;

	if (webhook_event_retention == 0)
	{
		Datum		relid = ObjectIdGetDatum(RelationGetRelid(relation));

		result = DatumGetInt64(DirectFunctionCall1(pg_table_size, relid)) >
			SWITCH_BYTES;
	}
	else
	{
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		int64		id;
		TimestampTz created_at;

		result = edge(relation, webhook_catalog_required()->event_index[table_no],
					  snapshot, ForwardScanDirection, &id, &created_at) &&
			GetCurrentTimestamp() - created_at >= webhook_event_retention * USECS_PER_SEC / 2;
		UnregisterSnapshot(snapshot);
	}
	table_close(relation, NoLock);
	return result;
}

/* Direct writers to the ring table if it is empty. Returns true if it is. */
static bool
make_current(int table_no)
{
	Relation	relation = try_open(table_no);
	WebhookSlot *shared = webhook_shmem_my_slot();
	bool		empty;

	if (relation == NULL)
		return false;
	empty = RelationGetNumberOfBlocks(relation) == 0;
	table_close(relation, NoLock);

	if (!empty || shared == NULL)
		return false;
	pg_atomic_write_u32(&shared->ring_table, table_no);
	return true;
}

/*
 * Truncate the ring table if it has rows and all of them are done. Returns true
 * if it was truncated. The rows are looked at twice: under the exclusive lock
 * to be sure, and before without it, so that writers are not sent to another
 * table for nothing.
 */
static bool
make_empty(int table_no, const WebhookSnapshot *checkpoint)
{
	Relation	relation = try_open(table_no);
	Oid			index;
	bool		done = false;

	if (relation == NULL)
		return false;
	index = webhook_catalog_required()->event_index[table_no];

	if (RelationGetNumberOfBlocks(relation) > 0 &&
		is_done(relation, index, checkpoint) &&
		try_lock(table_no, AccessExclusiveLock))
	{
		done = is_done(relation, index, checkpoint);
		if (done)
			compat_truncate_quietly(relation);
		else
			UnlockRelationOid(RelationGetRelid(relation), AccessExclusiveLock);
	}
	table_close(relation, NoLock);
	return done;
}

/*
 * Returns true if every row that is visible now was done at the checkpoint and the
 * row of the newest transaction is older than the retention. That of an older one
 * which took long may be younger.
 */
static bool
is_done(Relation relation, Oid index, const WebhookSnapshot *checkpoint)
{
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	int64		id;
	TimestampTz created_at;
	bool		found = edge(relation, index, snapshot, BackwardScanDirection,
							 &id, &created_at);
	bool		result = !found || is_old(created_at);

	if (found && result)
	{
		ScanKeyData key;
		WebhookScan *scan;

		ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_XID8GE,
					FullTransactionIdGetDatum(checkpoint->xmax));
		scan = webhook_scan_begin_entries(relation, index, snapshot, 1, &key,
										  ForwardScanDirection);
		result = !next_visible(scan, &key);
		webhook_scan_end(scan);
	}
	if (found && result && checkpoint->nxip > 0)
	{
		ScanKeyData key;
		WebhookScan *scan;

		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_XID8EQ,
					FullTransactionIdGetDatum(checkpoint->xip[0]));
		scan = webhook_scan_begin_entries(relation, index, snapshot, 1, &key,
										  ForwardScanDirection);
		for (uint32 i = 0; result && i < checkpoint->nxip; i++)
		{
			key.sk_argument = FullTransactionIdGetDatum(checkpoint->xip[i]);
			webhook_scan_restart(scan, &key);
			result = !next_visible(scan, &key);
		}
		webhook_scan_end(scan);
	}
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * Set id and created_at to those of the first or the last visible row in order
 * of the index. Returns false if there is no row.
 */
static bool
edge(Relation relation, Oid index, Snapshot snapshot, ScanDirection direction,
	 int64 *id, TimestampTz *created_at)
{
	ScanKeyData key;
	WebhookScan *scan;
	bool		found;
	bool		isnull;

	if (ScanDirectionIsForward(direction))
		ScanKeyInit(&key, 1, BTGreaterEqualStrategyNumber, F_XID8GE, UInt64GetDatum(0));
	else
		ScanKeyInit(&key, 1, BTLessEqualStrategyNumber, F_XID8LE, UInt64GetDatum(PG_UINT64_MAX));
	scan = webhook_scan_begin_entries(relation, index, snapshot, 1, &key, direction);
	found = next_visible(scan, &key);
	if (found)
	{
		*id = DatumGetInt64(slot_getattr(scan->slot, Anum_webhook_event_id,
										 &isnull));
		*created_at = DatumGetTimestampTz(slot_getattr(scan->slot,
													   Anum_webhook_event_created_at,
													   &isnull));
	}
	webhook_scan_end(scan);
	return found;
}

/*
 * Move a scan by entries, whose only key is one of the transaction, to its next visible row.
 * Returns false if there is none. What has not committed is passed over; then the key moves.
 */
static bool
next_visible(WebhookScan *scan, ScanKey key)
{
	while (webhook_scan_next_entry(scan))
	{
		FullTransactionId txid =
			DatumGetFullTransactionId(webhook_scan_column(scan, WEBHOOK_ENTRY_TXID));
		uint64		number = U64FromFullTransactionId(txid);

		CHECK_FOR_INTERRUPTS();
		if (webhook_scan_fetch(scan))
			return true;
		if (webhook_txid_may_have_committed(txid))
			continue;
		if (key->sk_strategy == BTEqualStrategyNumber)
			return false;
		key->sk_argument = UInt64GetDatum(ScanDirectionIsForward(scan->direction) ?
										  number + 1 : number - 1);
		webhook_scan_restart(scan, key);
	}
	return false;
}

/* Returns true if a row is older than the retention. A jump of the clock makes no row old. */
static bool
is_old(TimestampTz created_at)
{
	return webhook_event_retention == 0 ||
		webhook_steady_time(GetCurrentTimestamp()) - created_at >=
		webhook_event_retention * USECS_PER_SEC;
}
