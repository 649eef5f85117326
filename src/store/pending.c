/*
 * pending.c
 *	  Rows of webhook_internal.pending: deliveries that failed, wait, or were spilled.
 *
 * A row holds the whole event, because a delivery may wait longer than the ring
 * keeps the event.
 *
 * The worker is the only writer. Rows that are to be changed are looked up with
 * SnapshotSelf, which sees what has committed and what this transaction has
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
#include "utils/xid8.h"

#include "store/pending_count_internal.h"
#include "store/pending_floor_internal.h"
#include "store/pending_internal.h"

#define BATCH_BYTES		(4 * 1024 * 1024)
#define WALK_SUBSCRIPTIONS 200	/* that one look of webhook_pending_about() comes past */

/* Columns of the primary key. */
enum
{
	KEY_SUBSCRIPTION = 1,
	KEY_SUBJECT,
	KEY_POSITION,
	KEY_ID
};

static WebhookScan *scan_rows(Relation relation, Snapshot snapshot,
							  int nkeys, int64 subscription_id,
							  Datum subject, int64 position, int64 id);
static void set_keys(ScanKey keys, int64 subscription_id, Datum subject,
					 int64 position, int64 id);
static TupleTableSlot *seek(WebhookPendingWriter *writer, WebhookScan **scan, int nkeys,
							int64 subscription_id, const char *subject, int64 position, int64 id);
static TupleTableSlot *seek_row(WebhookPendingWriter *writer, const WebhookPending *row);
static bool any_row(int nkeys, int64 subscription_id, const char *subject,
					int64 position, int64 id);
static void replace_row(WebhookPendingWriter *writer, TupleTableSlot *slot,
						const WebhookPending *row, TimestampTz next_at);
static WebhookText read_text(TupleTableSlot *slot, AttrNumber number);
static List *read_rows(WebhookScan *scan, const char *subject, const WebhookReach *reach,
					   int limit, WebhookPendingCursor *cursor);
static void form_row(const WebhookPending *row, Datum *values, bool *nulls);

static const char *
subject_of(const WebhookEvent *event)
{
	return event->subject ? event->subject : "";
}

WebhookPendingWriter *
webhook_pending_open(void)
{
	WebhookPendingWriter *writer = palloc0_object(WebhookPendingWriter);

	writer->table = webhook_table_open(webhook_catalog_required()->pending,
									   Natts_webhook_pending, RowExclusiveLock);
	writer->row_context = AllocSetContextCreate(CurrentMemoryContext,
												"webhook pending row",
												ALLOCSET_DEFAULT_SIZES);
	return writer;
}

void
webhook_pending_close(WebhookPendingWriter *writer)
{
	if (writer->by_subject != NULL)
		webhook_scan_end(writer->by_subject);
	if (writer->by_key != NULL)
		webhook_scan_end(writer->by_key);
	webhook_pending_count_write();
	webhook_table_close(writer->table);
	MemoryContextDelete(writer->row_context);
	pfree(writer);
}

void
webhook_pending_insert(WebhookPendingWriter *writer, const WebhookPending *row)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);
	Datum		values[Natts_webhook_pending];
	bool		nulls[Natts_webhook_pending];

	form_row(row, values, nulls);
	webhook_table_insert(writer->table, values, nulls);
	webhook_pending_floor_lower(row->subscription_id, row->next_at);
	webhook_pending_count_add(row, 1);

	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
}

void
webhook_pending_update(WebhookPendingWriter *writer, const WebhookPending *row)
{
	TupleTableSlot *slot = seek_row(writer, row);

	if (slot != NULL)
		replace_row(writer, slot, row, row->next_at);
}

void
webhook_pending_delete(WebhookPendingWriter *writer, const WebhookPending *row)
{
	TupleTableSlot *slot = seek_row(writer, row);

	if (slot != NULL && webhook_table_delete(writer->table, &slot->tts_tid))
		webhook_pending_count_add(row, -1);
}

TupleTableSlot *
webhook_pending_first(WebhookPendingWriter *writer, int64 subscription_id, const char *subject)
{
	return seek(writer, &writer->by_subject, 2, subscription_id, subject, 0, 0);
}

void
webhook_pending_set_next_at(WebhookPendingWriter *writer, TupleTableSlot *slot,
							TimestampTz next_at)
{
	replace_row(writer, slot, NULL, next_at);
}

WebhookPendingReading
webhook_pending_begin_reading(void)
{
	WebhookPendingReading reading;

	CommandCounterIncrement();
	reading.snapshot = RegisterSnapshot(GetLatestSnapshot());
	reading.relation = table_open(webhook_catalog_required()->pending, AccessShareLock);
	return reading;
}

void
webhook_pending_end_reading(WebhookPendingReading reading)
{
	table_close(reading.relation, AccessShareLock);
	UnregisterSnapshot(reading.snapshot);
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

/* Skip scan: from each subscription's first row to the next subscription's. */
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
webhook_pending_batch(int64 subscription_id, const WebhookReach *reach, int limit,
					  WebhookPendingCursor *cursor)
{
	WebhookPendingReading reading = webhook_pending_begin_reading();
	bool		from_start;
	List	   *rows;

	do
	{
		WebhookScan *scan = webhook_pending_scan_after(reading, subscription_id, cursor);

		from_start = cursor->position == 0;
		rows = read_rows(scan, NULL, reach, limit, NULL);
		webhook_scan_end(scan);
		memset(cursor, 0, sizeof(*cursor));
	} while (rows == NIL && !from_start);

	if (rows != NIL)
	{
		const WebhookPending *last = llast(rows);

		strlcpy(cursor->subject, subject_of(last->event), sizeof(cursor->subject));
		cursor->position = last->position;
		cursor->id = last->event->id;
	}
	webhook_pending_end_reading(reading);
	return rows;
}

List *
webhook_pending_of_subject(int64 subscription_id, const char *subject,
						   const pg_uuid_t *event_id, const WebhookReach *reach)
{
	List	   *rows = NIL;
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookScan *scan;

	scan = scan_rows(reading.relation, reading.snapshot, 2, subscription_id,
					 CStringGetTextDatum(subject ? subject : ""), 0, 0);
	if (event_id == NULL)
		rows = read_rows(scan, NULL, reach, 1, NULL);
	else
	{
		while (webhook_scan_next(scan))
		{
			CHECK_FOR_INTERRUPTS();
			if (memcmp(DatumGetUUIDP(PENDING(scan->slot, event_id)), event_id, UUID_LEN) == 0 &&
				webhook_pending_is_meant(scan->slot, reach))
				rows = lappend(rows, webhook_pending_read_row(scan->slot));
		}
	}
	webhook_scan_end(scan);
	webhook_pending_end_reading(reading);
	return rows;
}

/* From one subscription that has rows to the next one, as webhook_pending_subscriptions(). */
List *
webhook_pending_about(const char *subject, const WebhookReach *reach, int limit,
					  WebhookPendingWalk *walk)
{
	WebhookPendingReading reading = webhook_pending_begin_reading();
	List	   *rows = NIL;

	for (int i = 0; i < WALK_SUBSCRIPTIONS && rows == NIL && !walk->at_end; i++)
	{
		WebhookScan *scan;
		ScanKeyData key;

		if (walk->begun)
		{
			scan = webhook_pending_scan_after(reading, walk->subscription_id, &walk->cursor);
			rows = read_rows(scan, subject, reach, limit, &walk->cursor);
			webhook_scan_end(scan);
			if (rows != NIL)
				break;
		}
		ScanKeyInit(&key, KEY_SUBSCRIPTION, BTGreaterStrategyNumber, F_INT8GT,
					Int64GetDatum(walk->subscription_id));
		scan = webhook_scan_begin(reading.relation, webhook_catalog_required()->pending_pkey,
								  reading.snapshot, walk->begun ? 1 : 0, &key,
								  ForwardScanDirection);
		walk->begun = true;
		walk->at_end = !webhook_scan_next(scan);
		if (!walk->at_end)
		{
			walk->subscription_id = DatumGetInt64(PENDING(scan->slot, subscription_id));
			memset(&walk->cursor, 0, sizeof(walk->cursor));
			strlcpy(walk->cursor.subject, subject, sizeof(walk->cursor.subject));
		}
		webhook_scan_end(scan);
	}
	webhook_pending_end_reading(reading);
	return rows;
}

/* In the order in which they would become heads; a row that is another head ends the list. */
List *
webhook_pending_behind(const WebhookPending *head, int limit, Size max_bytes)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	WebhookPendingReading reading = webhook_pending_begin_reading();
	ScanKeyData keys[4];
	WebhookScan *scan;

	/* What was before the head has left dead index entries. */
	set_keys(keys, head->subscription_id, CStringGetTextDatum(subject_of(head->event)), 0, 0);
	ScanKeyInit(&keys[2], KEY_POSITION, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(head->position));
	scan = webhook_scan_begin(reading.relation, webhook_catalog_required()->pending_pkey,
							  reading.snapshot, 3, keys, ForwardScanDirection);
	while (list_length(rows) < limit && bytes < max_bytes && webhook_scan_next(scan))
	{
		WebhookPending *row;

		CHECK_FOR_INTERRUPTS();
		if (webhook_pending_read_next_at(scan->slot) != 0)
			break;
		row = webhook_pending_read_row(scan->slot);
		bytes += row->event->size;
		rows = lappend(rows, row);
	}
	webhook_scan_end(scan);
	webhook_pending_end_reading(reading);
	return rows;
}

WebhookPending *
webhook_pending_read_row(TupleTableSlot *slot)
{
	WebhookPending *row = palloc0_object(WebhookPending);
	WebhookEventTexts texts;
	WebhookEvent *event;
	char	   *cause;
	Datum		data = PENDING(slot, data);
	text	   *data_text = DatumGetTextPP(data);

	texts.event_type = read_text(slot, Anum_webhook_pending_event_type);
	texts.subject = read_text(slot, Anum_webhook_pending_subject);
	if (texts.subject.length == 0)
		texts.subject.text = NULL;
	texts.tenant = read_text(slot, Anum_webhook_pending_tenant);
	texts.context = read_text(slot, Anum_webhook_pending_context);
	texts.data.text = VARDATA_ANY(data_text);
	texts.data.length = VARSIZE_ANY_EXHDR(data_text);
	event = webhook_event_make(&texts);
	if (data_text != (text *) DatumGetPointer(data))
		pfree(data_text);
	event->id = DatumGetInt64(PENDING(slot, id));
	event->txid = DatumGetFullTransactionId(PENDING(slot, txid));
	event->created_at = DatumGetTimestampTz(PENDING(slot, created_at));
	event->event_id = *DatumGetUUIDP(PENDING(slot, event_id));
	event->kind = WEBHOOK_EVENT;
	row->of_tenant = event->tenant != NULL;

	cause = TextDatumGetCString(PENDING(slot, cause));
	row->cause = webhook_cause_from_name(cause);
	pfree(cause);
	row->subscription_id = DatumGetInt64(PENDING(slot, subscription_id));
	row->position = DatumGetInt64(PENDING(slot, position));
	row->attempt = DatumGetInt32(PENDING(slot, attempt));
	row->step = Max(DatumGetInt32(PENDING(slot, step)), 0);
	row->next_at = webhook_pending_read_next_at(slot);
	row->queued_at = DatumGetTimestampTz(PENDING(slot, queued_at));
	row->age_start = DatumGetTimestampTz(PENDING(slot, age_start));
	row->event = event;
	return row;
}

/* A column of type text or json, which may be null. */
static WebhookText
read_text(TupleTableSlot *slot, AttrNumber number)
{
	WebhookText read = {0};
	bool		is_null;
	Datum		value = slot_getattr(slot, number, &is_null);
	text	   *plain;

	if (is_null)
		return read;
	plain = DatumGetTextPP(value);
	read.text = VARDATA_ANY(plain);
	read.length = VARSIZE_ANY_EXHDR(plain);
	return read;
}

/* A row does not have the transaction that made the event of a replay. */
bool
webhook_pending_is_meant(TupleTableSlot *slot, const WebhookReach *reach)
{
	return webhook_reach_covers(reach, DatumGetInt64(PENDING(slot, position)),
								DatumGetFullTransactionId(PENDING(slot, txid)),
								DatumGetInt64(PENDING(slot, id)), InvalidFullTransactionId);
}

TimestampTz
webhook_pending_read_next_at(TupleTableSlot *slot)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, Anum_webhook_pending_next_at,
									 &isnull);

	return isnull ? 0 : DatumGetTimestampTz(value);
}

/* (subject, position, id) > (...), which is a row comparison as in SQL. */
WebhookScan *
webhook_pending_scan_after(WebhookPendingReading reading, int64 subscription_id,
						   const WebhookPendingCursor *cursor)
{
	ScanKeyData keys[2];
	ScanKey		members = palloc0_array(ScanKeyData, 3);

	ScanKeyInit(&members[0], KEY_SUBJECT, BTGreaterStrategyNumber,
				F_BTTEXTCMP, CStringGetTextDatum(cursor->subject));
	ScanKeyInit(&members[1], KEY_POSITION, BTGreaterStrategyNumber,
				F_BTINT8CMP, Int64GetDatum(cursor->position));
	ScanKeyInit(&members[2], KEY_ID, BTGreaterStrategyNumber,
				F_BTINT8CMP, Int64GetDatum(cursor->id));
	for (int i = 0; i < 3; i++)
		members[i].sk_flags = SK_ROW_MEMBER;
	members[2].sk_flags |= SK_ROW_END;

	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(subscription_id));
	memset(&keys[1], 0, sizeof(keys[1]));
	keys[1].sk_flags = SK_ROW_HEADER;
	keys[1].sk_attno = KEY_SUBJECT;
	keys[1].sk_strategy = BTGreaterStrategyNumber;
	keys[1].sk_argument = PointerGetDatum(members);
	return webhook_scan_begin(reading.relation,
							  webhook_catalog_required()->pending_pkey,
							  reading.snapshot, lengthof(keys), keys,
							  ForwardScanDirection);
}

void
webhook_pending_cursor_set(WebhookPendingCursor *cursor, TupleTableSlot *slot)
{
	char	   *subject = TextDatumGetCString(PENDING(slot, subject));

	strlcpy(cursor->subject, subject, sizeof(cursor->subject));
	cursor->position = DatumGetInt64(PENDING(slot, position));
	cursor->id = DatumGetInt64(PENDING(slot, id));
	pfree(subject);
}

/*
 * A scan in key order of the rows that have the given values in the first
 * "nkeys" columns of the key.
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
 * The first row that has the given values in the first "nkeys" columns of the
 * key, in a form in which it can be changed, until the next call; NULL: there
 * is none. *scan is kept for the next call, because a flush looks up many.
 */
static TupleTableSlot *
seek(WebhookPendingWriter *writer, WebhookScan **scan, int nkeys,
	 int64 subscription_id, const char *subject, int64 position, int64 id)
{
	Datum		key = CStringGetTextDatum(subject);
	bool		found;

	/* A command cannot change a row that it has written itself. */
	CommandCounterIncrement();
	if (*scan == NULL)
		*scan = scan_rows(writer->table->relation, SnapshotSelf, nkeys,
						  subscription_id, key, position, id);
	else
	{
		ScanKeyData keys[4];

		set_keys(keys, subscription_id, key, position, id);
		webhook_scan_restart(*scan, keys);
	}
	found = webhook_scan_next(*scan);
	pfree(DatumGetPointer(key));
	return found ? (*scan)->slot : NULL;
}

static TupleTableSlot *
seek_row(WebhookPendingWriter *writer, const WebhookPending *row)
{
	return seek(writer, &writer->by_key, 4, row->subscription_id, subject_of(row->event),
				row->position, row->event->id);
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
 * Replace the row in a slot by one with another next_at and, unless "row" is
 * NULL, with its attempt and step. A row that is gone is left alone.
 */
static void
replace_row(WebhookPendingWriter *writer, TupleTableSlot *slot,
			const WebhookPending *row, TimestampTz next_at)
{
	MemoryContext old = MemoryContextSwitchTo(writer->row_context);
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
	webhook_pending_floor_lower(DatumGetInt64(PENDING(slot, subscription_id)), next_at);
	(void) webhook_table_update(writer->table, &slot->tts_tid, values, nulls);
	webhook_pending_count_touch(DatumGetInt64(PENDING(slot, subscription_id)));

	MemoryContextSwitchTo(old);
	MemoryContextReset(writer->row_context);
}

/*
 * The next rows of a scan that a command means. With a subject, the first row of another one
 * ends the list, and the cursor moves to the row that was read last.
 */
static List *
read_rows(WebhookScan *scan, const char *subject, const WebhookReach *reach, int limit,
		  WebhookPendingCursor *cursor)
{
	List	   *rows = NIL;
	Size		bytes = 0;

	while (list_length(rows) < limit && bytes < BATCH_BYTES && webhook_scan_next(scan))
	{
		WebhookPending *row;

		CHECK_FOR_INTERRUPTS();
		if (subject != NULL)
		{
			webhook_pending_cursor_set(cursor, scan->slot);
			if (strcmp(cursor->subject, subject) != 0)
				break;
		}
		if (!webhook_pending_is_meant(scan->slot, reach))
			continue;
		row = webhook_pending_read_row(scan->slot);
		bytes += row->event->size;
		rows = lappend(rows, row);
	}
	return rows;
}

/* The columns of a row; what they point to is in CurrentMemoryContext. */
static void
form_row(const WebhookPending *row, Datum *values, bool *nulls)
{
	const WebhookEvent *event = row->event;

	memset(nulls, false, Natts_webhook_pending * sizeof(bool));
#define SET(name, value) (values[Anum_webhook_pending_##name - 1] = (value))
	SET(subscription_id, Int64GetDatum(row->subscription_id));
	SET(subject, CStringGetTextDatum(subject_of(event)));
	SET(position, Int64GetDatum(row->position));
	SET(id, Int64GetDatum(event->id));
	SET(txid, FullTransactionIdGetDatum(event->txid));
	SET(event_id, UUIDPGetDatum(&event->event_id));
	SET(cause, CStringGetTextDatum(webhook_cause_name(row->cause)));
	SET(attempt, Int32GetDatum(row->attempt));
	SET(step, Int32GetDatum(row->step));
	SET(next_at, TimestampTzGetDatum(row->next_at));
	SET(queued_at, TimestampTzGetDatum(row->queued_at));
	SET(age_start, TimestampTzGetDatum(row->age_start));
	SET(created_at, TimestampTzGetDatum(event->created_at));
	SET(event_type, CStringGetTextDatum(event->event_type));
	if (row->of_tenant)
		SET(tenant, CStringGetTextDatum(event->tenant));
	if (event->context != NULL)
		SET(context, CStringGetTextDatum(event->context));
	SET(data, CStringGetTextDatum(event->data));
#undef SET
	nulls[Anum_webhook_pending_tenant - 1] = !row->of_tenant;
	nulls[Anum_webhook_pending_context - 1] = event->context == NULL;
	nulls[Anum_webhook_pending_next_at - 1] = (row->next_at == 0);
}
