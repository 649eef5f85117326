/*
 * pending.c
 *	  Rows of webhook.pending: deliveries that failed, wait, or were spilled.
 *
 * The worker is the only writer, so what it looks up in order to change it is
 * seen with SnapshotSelf: what has committed and what this transaction has
 * done so far. Rows that are returned with their data are read with a snapshot
 * of their own, taken after the last write of this transaction.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "store/pending_internal.h"

#define BATCH_BYTES		(4 * 1024 * 1024)

/* Key columns of pending_pkey; the second one of pending_due_idx. */
enum
{
	KEY_SUBSCRIPTION = 1,
	KEY_SUBJECT,
	KEY_POSITION,
	KEY_ID,
	KEY_NEXT_AT = 2
};

/*
 * The last row that webhook_pending_batch returned: the next call need not
 * walk over what has been deleted before it.
 */
static struct
{
	bool		valid;
	int64		subscription_id;
	int64		before;
	int64		position;
	char		subject[WEBHOOK_MAX_SUBJECT + 1];
}			batch_end;

/* The table while it is open for writing, and memory for a row on its way. */
static WebhookTable *table = NULL;
static MemoryContext row_context = NULL;
static WebhookScan *seeks[4];	/* in it, by how many keys; NULL: none so far */

/* The table, read by a snapshot that has all that this transaction has done. */
typedef struct Reading
{
	Relation	relation;
	Snapshot	snapshot;
} Reading;

static Reading begin_reading(void);
static void end_reading(Reading reading);
static void set_keys(ScanKey keys, int64 subscription_id, Datum subject,
					 int64 position, int64 id);
static WebhookScan *scan_rows(Relation relation, Snapshot snapshot,
							  int nkeys, int64 subscription_id,
							  Datum subject, int64 position, int64 id);
static WebhookScan *seek(int nkeys, int64 subscription_id, const char *subject,
						 int64 position, int64 id);
static bool any_row(int nkeys, int64 subscription_id, const char *subject,
					int64 position, int64 id);
static void replace_row(TupleTableSlot *slot, const WebhookPending *row,
						TimestampTz next_at);
static void read_batch(WebhookScan *scan, int64 before, int limit,
					   Size *bytes, List **rows);

static const char *
subject_of(const WebhookEvent *event)
{
	return event->subject ? event->subject : "";
}

void
webhook_pending_open(void)
{
	table = webhook_table_open(webhook_catalog_required()->pending,
							   Natts_webhook_pending, RowExclusiveLock);
	memset(seeks, 0, sizeof(seeks));	/* an error has ended those of before */
	row_context = AllocSetContextCreate(CurrentMemoryContext,
										"webhook pending row",
										ALLOCSET_DEFAULT_SIZES);
}

void
webhook_pending_close(void)
{
	for (int i = 0; i < lengthof(seeks); i++)
	{
		if (seeks[i] != NULL)
			webhook_scan_end(seeks[i]);
		seeks[i] = NULL;
	}
	webhook_table_close(table);
	table = NULL;
	MemoryContextDelete(row_context);
	row_context = NULL;
}

void
webhook_pending_insert(const WebhookPending *row)
{
	MemoryContext former = MemoryContextSwitchTo(row_context);
	Datum		values[Natts_webhook_pending];
	bool		nulls[Natts_webhook_pending];

	webhook_pending_row_form(row, values, nulls);
	webhook_table_insert(table, values, nulls);
	webhook_pending_head_came(row->subscription_id, row->next_at);

	MemoryContextSwitchTo(former);
	MemoryContextReset(row_context);
}

bool
webhook_pending_update(const WebhookPending *row)
{
	WebhookScan *scan = seek(4, row->subscription_id, subject_of(row->event),
							 row->position, row->event->id);

	if (scan == NULL)
		return false;
	replace_row(scan->slot, row, row->next_at);
	return true;
}

bool
webhook_pending_delete(const WebhookPending *row)
{
	WebhookScan *scan = seek(4, row->subscription_id, subject_of(row->event),
							 row->position, row->event->id);

	return scan != NULL && webhook_table_delete(table, &scan->slot->tts_tid);
}

bool
webhook_pending_promote(int64 subscription_id, const char *subject,
						TimestampTz now)
{
	WebhookScan *scan = seek(2, subscription_id, subject, 0, 0);

	if (scan == NULL || webhook_pending_row_next_at(scan->slot) != 0)
		return false;
	replace_row(scan->slot, NULL, now);
	return true;
}

bool
webhook_pending_has_subject(int64 subscription_id, const char *subject)
{
	return any_row(2, subscription_id, subject ? subject : "", 0, 0);
}

bool
webhook_pending_has_any(int64 subscription_id)
{
	return any_row(1, subscription_id, NULL, 0, 0);
}

bool
webhook_pending_has(int64 subscription_id, const char *subject,
					int64 position, int64 id)
{
	return any_row(4, subscription_id, subject ? subject : "", position, id);
}

List *
webhook_pending_subscriptions(void)
{
	List	   *ids = NIL;
	Relation	relation;
	bool		found = true;

	relation = table_open(webhook_catalog_required()->pending,
						  AccessShareLock);
	while (found)
	{
		WebhookScan *scan;
		ScanKeyData key;

		if (ids != NIL)
			ScanKeyInit(&key, KEY_SUBSCRIPTION, BTGreaterStrategyNumber,
						F_INT8GT, Int64GetDatum(*(int64 *) llast(ids)));
		scan = webhook_scan_begin(relation,
								  webhook_catalog_required()->pending_pkey,
								  SnapshotSelf, ids != NIL ? 1 : 0, &key,
								  ForwardScanDirection);
		found = webhook_scan_next(scan);
		if (found)
		{
			int64	   *id = palloc_object(int64);

			*id = DatumGetInt64(PENDING(scan->slot, subscription_id));
			ids = lappend(ids, id);
		}
		webhook_scan_end(scan);
	}
	table_close(relation, AccessShareLock);
	return ids;
}

List *
webhook_pending_batch(int64 subscription_id, int64 before, int limit)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	Reading		reading = begin_reading();
	WebhookScan *scan;

	if (batch_end.valid && batch_end.subscription_id == subscription_id &&
		batch_end.before == before)
	{
		Oid			index = webhook_catalog_required()->pending_pkey;
		Datum		subject = CStringGetTextDatum(batch_end.subject);
		ScanKeyData keys[3];

		/* The rest of the subject, then the subjects after it. */
		ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
					F_INT8EQ, Int64GetDatum(subscription_id));
		ScanKeyInit(&keys[1], KEY_SUBJECT, BTEqualStrategyNumber,
					F_TEXTEQ, subject);
		ScanKeyInit(&keys[2], KEY_POSITION, BTGreaterEqualStrategyNumber,
					F_INT8GE, Int64GetDatum(batch_end.position));
		scan = webhook_scan_begin(reading.relation, index, reading.snapshot, 3, keys,
								  ForwardScanDirection);
		read_batch(scan, before, limit, &bytes, &rows);
		webhook_scan_end(scan);

		ScanKeyInit(&keys[1], KEY_SUBJECT, BTGreaterStrategyNumber,
					F_TEXT_GT, subject);
		scan = webhook_scan_begin(reading.relation, index, reading.snapshot, 2, keys,
								  ForwardScanDirection);
		read_batch(scan, before, limit, &bytes, &rows);
		webhook_scan_end(scan);
	}
	if (rows == NIL)
	{
		scan = scan_rows(reading.relation, reading.snapshot, 1, subscription_id, 0, 0, 0);
		read_batch(scan, before, limit, &bytes, &rows);
		webhook_scan_end(scan);
	}

	batch_end.valid = (rows != NIL);
	if (rows != NIL)
	{
		const WebhookPending *last = llast(rows);

		batch_end.subscription_id = subscription_id;
		batch_end.before = before;
		batch_end.position = last->position;
		strlcpy(batch_end.subject, subject_of(last->event),
				sizeof(batch_end.subject));
	}

	end_reading(reading);
	return rows;
}

List *
webhook_pending_of_subject(int64 subscription_id, const char *subject,
						   const pg_uuid_t *event_id, int64 before)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	Reading		reading = begin_reading();
	WebhookScan *scan;

	scan = scan_rows(reading.relation, reading.snapshot, 2, subscription_id,
					 CStringGetTextDatum(subject ? subject : ""), 0, 0);
	if (event_id == NULL)
		read_batch(scan, before, 1, &bytes, &rows);
	else
	{
		while (webhook_scan_next(scan))
		{
			CHECK_FOR_INTERRUPTS();
			if (DatumGetInt64(PENDING(scan->slot, position)) < before &&
				memcmp(DatumGetUUIDP(PENDING(scan->slot, event_id)), event_id, UUID_LEN) == 0)
				rows = lappend(rows, webhook_pending_row_read(scan->slot));
		}
	}
	webhook_scan_end(scan);
	end_reading(reading);
	return rows;
}

void
webhook_pending_repair(int64 subscription_id, TimestampTz now,
					   WebhookSubjectTest in_memory, void *arg)
{
	Snapshot	snapshot;
	WebhookScan *scan;
	TupleTableSlot *first;		/* of the present subject, if it has no head so far */
	char	   *subject = NULL;
	bool		more;

	CommandCounterIncrement();
	webhook_pending_open();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	first = MakeSingleTupleTableSlot(RelationGetDescr(table->relation),
									 &TTSOpsHeapTuple);
	scan = scan_rows(table->relation, snapshot, 1, subscription_id, 0, 0, 0);
	do
	{
		TupleTableSlot *slot = scan->slot;
		char	   *next = NULL;
		bool		same;

		CHECK_FOR_INTERRUPTS();
		more = webhook_scan_next(scan);
		if (more)
			next = TextDatumGetCString(PENDING(slot, subject));

		/* The end of a subject: has it got a head? */
		same = more && subject && subject[0] && strcmp(subject, next) == 0;
		if (!same && !TTS_EMPTY(first))
		{
			if (!subject[0] || !in_memory(subscription_id, subject, arg))
				replace_row(first, NULL, now);
			ExecClearTuple(first);
		}

		if (same)
		{
			if (webhook_pending_row_next_at(slot) != 0)
				ExecClearTuple(first);
			pfree(next);
		}
		else if (more)
		{
			if (subject)
				pfree(subject);
			subject = next;
			if (webhook_pending_row_next_at(slot) == 0)
			{
				ExecCopySlot(first, slot);
				first->tts_tid = slot->tts_tid;
			}
		}
	} while (more);

	webhook_scan_end(scan);
	ExecDropSingleTupleTableSlot(first);
	UnregisterSnapshot(snapshot);
	webhook_pending_close();
}

void
webhook_pending_set_back(TimestampTz now, int64 by)
{
	ListCell   *cell;

	foreach(cell, webhook_pending_subscriptions())
	{
		Reading		reading = begin_reading();
		ScanKeyData keys[2];
		WebhookScan *scan;

		webhook_pending_open();
		ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
					F_INT8EQ, Int64GetDatum(*(int64 *) lfirst(cell)));
		ScanKeyInit(&keys[1], KEY_NEXT_AT, BTGreaterStrategyNumber,
					F_TIMESTAMPTZ_GT, TimestampTzGetDatum(now));
		scan = webhook_scan_begin(reading.relation,
								  webhook_catalog_required()->pending_due,
								  reading.snapshot, lengthof(keys), keys,
								  ForwardScanDirection);
		while (webhook_scan_next(scan))
		{
			CHECK_FOR_INTERRUPTS();
			replace_row(scan->slot, NULL,
						Max(webhook_pending_row_next_at(scan->slot) - by, now));
		}
		webhook_scan_end(scan);
		webhook_pending_close();
		end_reading(reading);
	}
}

static Reading
begin_reading(void)
{
	Reading		reading;

	CommandCounterIncrement();
	reading.snapshot = RegisterSnapshot(GetLatestSnapshot());
	reading.relation = table_open(webhook_catalog_required()->pending, AccessShareLock);
	return reading;
}

static void
end_reading(Reading reading)
{
	table_close(reading.relation, AccessShareLock);
	UnregisterSnapshot(reading.snapshot);
}

/*
 * A scan in key order of the rows that agree in the first "nkeys" columns of
 * the key.
 */
static WebhookScan *
scan_rows(Relation relation, Snapshot snapshot, int nkeys,
		  int64 subscription_id, Datum subject, int64 position, int64 id)
{
	ScanKeyData keys[4];

	set_keys(keys, subscription_id, subject, position, id);
	return webhook_scan_begin(relation,
							  webhook_catalog_required()->pending_pkey,
							  snapshot, nkeys, keys, ForwardScanDirection);
}

static void
set_keys(ScanKey keys, int64 subscription_id, Datum subject, int64 position,
		 int64 id)
{
	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(subscription_id));
	ScanKeyInit(&keys[1], KEY_SUBJECT, BTEqualStrategyNumber,
				F_TEXTEQ, subject);
	ScanKeyInit(&keys[2], KEY_POSITION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(position));
	ScanKeyInit(&keys[3], KEY_ID, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(id));
}

/*
 * The first such row of the table that is open for writing, in a form in which
 * it can be changed, until the next call; NULL: there is none. A flush has a
 * thousand, so scans are kept as long as the table is open.
 */
static WebhookScan *
seek(int nkeys, int64 subscription_id, const char *subject, int64 position,
	 int64 id)
{
	Datum		key = CStringGetTextDatum(subject);
	WebhookScan **scan = &seeks[nkeys - 1];
	bool		found;

	/* A command cannot change what it has itself written. */
	CommandCounterIncrement();
	if (*scan == NULL)
		*scan = scan_rows(table->relation, SnapshotSelf, nkeys, subscription_id,
						  key, position, id);
	else
	{
		ScanKeyData keys[4];

		set_keys(keys, subscription_id, key, position, id);
		webhook_scan_restart(*scan, keys);
	}
	found = webhook_scan_next(*scan);
	pfree(DatumGetPointer(key));
	return found ? *scan : NULL;
}

static bool
any_row(int nkeys, int64 subscription_id, const char *subject,
		int64 position, int64 id)
{
	Relation	relation;
	WebhookScan *scan;
	Datum		key;
	bool		found;

	key = subject ? CStringGetTextDatum(subject) : (Datum) 0;
	relation = table_open(webhook_catalog_required()->pending,
						  AccessShareLock);
	scan = scan_rows(relation, SnapshotSelf, nkeys, subscription_id, key,
					 position, id);
	found = webhook_scan_next(scan);
	webhook_scan_end(scan);
	table_close(relation, AccessShareLock);
	if (subject)
		pfree(DatumGetPointer(key));
	return found;
}

/*
 * Replace a row that a scan has returned by itself with another next_at and,
 * if "row" is not NULL, its counters. One that has gone meanwhile is left
 * alone: somebody has deleted it by hand.
 */
static void
replace_row(TupleTableSlot *slot, const WebhookPending *row,
			TimestampTz next_at)
{
	MemoryContext former = MemoryContextSwitchTo(row_context);
	Datum		values[Natts_webhook_pending];
	bool		nulls[Natts_webhook_pending];

	slot_getsomeattrs(slot, Natts_webhook_pending);
	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	if (row)
	{
		values[Anum_webhook_pending_attempt - 1] = Int32GetDatum(row->attempt);
		values[Anum_webhook_pending_step - 1] = Int32GetDatum(row->step);
	}
	values[Anum_webhook_pending_next_at - 1] = TimestampTzGetDatum(next_at);
	nulls[Anum_webhook_pending_next_at - 1] = (next_at == 0);
	webhook_pending_head_came(DatumGetInt64(PENDING(slot, subscription_id)),
							  next_at);
	(void) webhook_table_update(table, &slot->tts_tid, values, nulls);

	MemoryContextSwitchTo(former);
	MemoryContextReset(row_context);
}

static void
read_batch(WebhookScan *scan, int64 before, int limit,
		   Size *bytes, List **rows)
{
	while (list_length(*rows) < limit &&
		   (*rows == NIL || *bytes < BATCH_BYTES) &&
		   webhook_scan_next(scan))
	{
		WebhookPending *row;

		CHECK_FOR_INTERRUPTS();
		if (DatumGetInt64(PENDING(scan->slot, position)) >= before)
			continue;
		row = webhook_pending_row_read(scan->slot);
		*bytes += row->event->size;
		*rows = lappend(*rows, row);
	}
}
