/*
 * stat_minute.c
 *	  Rows of webhook_internal.stat_minute: what became of deliveries, by minute
 *	  and, after two days, by hour.
 *
 * There is one row for a time, a span and a subscription; numbers that come for
 * the same again are added to it. Folding takes some old minutes at a time, so
 * that sending never waits long for it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/stratnum.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/store.h"

/* How long minutes are kept before they are folded into hours. */
#define KEPT_MINUTES	(2 * USECS_PER_DAY)

/* The most rows that one call folds, and that it deletes. */
#define FOLDED_ROWS		500
#define RETIRED_ROWS	1000

/* Key columns of the index on (subscription_id, span, at). */
enum
{
	KEY_SUBSCRIPTION_ID = 1,
	KEY_SPAN,
	KEY_AT
};

/* Key columns of the index on (span, at). */
enum
{
	AGE_SPAN = 1,
	AGE_AT
};

static void add_row(WebhookTable *table, const WebhookStatMinute *row, int64 span, TimestampTz at);
static WebhookScan *seek(WebhookTable *table, const WebhookStatMinute *row, int64 span,
						 TimestampTz at);
static WebhookScan *seek_old(WebhookTable *table, int64 span, TimestampTz older_than);
static void read_row(TupleTableSlot *slot, WebhookStatMinute *row, TimestampTz *at);
static void form_row(const WebhookStatMinute *row, int64 span, TimestampTz at, Datum *values,
					 bool *nulls);
static Datum span_datum(int64 span);

#define COLUMN(name) \
	webhook_row_column(slot, Anum_webhook_stat_minute_##name, "webhook_internal.stat_minute")

void
webhook_stat_minute_write(const WebhookStatMinute *rows, int count, TimestampTz at)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->stat_minute,
											 Natts_webhook_stat_minute, RowExclusiveLock);

	for (int i = 0; i < count; i++)
		add_row(table, &rows[i], USECS_PER_MINUTE, at - at % USECS_PER_MINUTE);
	webhook_table_close(table);
}

bool
webhook_stat_minute_fold(TimestampTz now)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->stat_minute,
											 Natts_webhook_stat_minute, RowExclusiveLock);
	WebhookStatMinute *rows = palloc_array(WebhookStatMinute, FOLDED_ROWS);
	TimestampTz *times = palloc_array(TimestampTz, FOLDED_ROWS);
	WebhookScan *scan;
	int			count = 0;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = seek_old(table, USECS_PER_MINUTE, now - KEPT_MINUTES);
	while (count < FOLDED_ROWS && webhook_scan_next(scan))
	{
		read_row(scan->slot, &rows[count], &times[count]);
		count += webhook_table_delete(table, &scan->slot->tts_tid);
	}
	webhook_scan_end(scan);
	PopActiveSnapshot();
	for (int i = 0; i < count; i++)
		add_row(table, &rows[i], USECS_PER_HOUR, times[i] - times[i] % USECS_PER_HOUR);
	webhook_table_close(table);
	return count == FOLDED_ROWS;
}

bool
webhook_stat_minute_retire(TimestampTz older_than)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->stat_minute,
											 Natts_webhook_stat_minute, RowExclusiveLock);
	WebhookScan *scan;
	bool		more;

	PushActiveSnapshot(GetLatestSnapshot());
	scan = seek_old(table, USECS_PER_HOUR, older_than);
	more = webhook_table_delete_found(table, scan, RETIRED_ROWS);
	webhook_scan_end(scan);
	scan = seek_old(table, USECS_PER_MINUTE, older_than);
	more |= webhook_table_delete_found(table, scan, RETIRED_ROWS);
	webhook_scan_end(scan);
	PopActiveSnapshot();
	webhook_table_close(table);
	return more;
}

/* Insert a row, or add to the one that is there. */
static void
add_row(WebhookTable *table, const WebhookStatMinute *row, int64 span, TimestampTz at)
{
	Datum		values[Natts_webhook_stat_minute];
	bool		nulls[Natts_webhook_stat_minute];
	WebhookScan *scan;

	/* A command cannot change a row that it has written itself. */
	CommandCounterIncrement();
	PushActiveSnapshot(GetLatestSnapshot());
	scan = seek(table, row, span, at);
	if (webhook_scan_next(scan))
	{
		WebhookStatMinute sum;
		TimestampTz same;

		read_row(scan->slot, &sum, &same);
		for (int i = 0; i < WEBHOOK_OUTCOMES; i++)
			sum.outcomes[i] += row->outcomes[i];
		for (int i = 0; i < WEBHOOK_DURATION_BUCKETS; i++)
			sum.durations[i] += row->durations[i];
		sum.pending = Max(sum.pending, row->pending);
		form_row(&sum, span, at, values, nulls);
		(void) webhook_table_update(table, &scan->slot->tts_tid, values, nulls);
	}
	else
	{
		form_row(row, span, at, values, nulls);
		webhook_table_insert(table, values, nulls);
	}
	webhook_scan_end(scan);
	PopActiveSnapshot();
}

static WebhookScan *
seek(WebhookTable *table, const WebhookStatMinute *row, int64 span, TimestampTz at)
{
	ScanKeyData keys[3];

	if (row->subscription_id != 0)
		ScanKeyInit(&keys[0], KEY_SUBSCRIPTION_ID, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(row->subscription_id));
	else
		ScanKeyEntryInitialize(&keys[0], SK_ISNULL | SK_SEARCHNULL, KEY_SUBSCRIPTION_ID,
							   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	ScanKeyInit(&keys[1], KEY_SPAN, BTEqualStrategyNumber, F_INTERVAL_EQ, span_datum(span));
	ScanKeyInit(&keys[2], KEY_AT, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ,
				TimestampTzGetDatum(at));
	return webhook_scan_begin(table->relation, webhook_catalog_required()->stat_minute_key,
							  GetActiveSnapshot(), lengthof(keys), keys, ForwardScanDirection);
}

static WebhookScan *
seek_old(WebhookTable *table, int64 span, TimestampTz older_than)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], AGE_SPAN, BTEqualStrategyNumber, F_INTERVAL_EQ, span_datum(span));
	ScanKeyInit(&keys[1], AGE_AT, BTLessStrategyNumber, F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(older_than));
	return webhook_scan_begin(table->relation, webhook_catalog_required()->stat_minute_age,
							  GetActiveSnapshot(), lengthof(keys), keys, ForwardScanDirection);
}

static void
read_row(TupleTableSlot *slot, WebhookStatMinute *row, TimestampTz *at)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, Anum_webhook_stat_minute_subscription_id, &isnull);
	ArrayType  *durations = DatumGetArrayTypeP(COLUMN(duration));

	row->subscription_id = isnull ? 0 : DatumGetInt64(value);
	value = slot_getattr(slot, Anum_webhook_stat_minute_pending, &isnull);
	row->pending = isnull ? -1 : DatumGetInt64(value);
	row->outcomes[WEBHOOK_DEFERRED] = 0;
	row->outcomes[WEBHOOK_DELIVERED] = DatumGetInt64(COLUMN(delivered));
	row->outcomes[WEBHOOK_RETRYING] = DatumGetInt64(COLUMN(retried));
	row->outcomes[WEBHOOK_FAILED] = DatumGetInt64(COLUMN(failed));
	row->outcomes[WEBHOOK_CANCELLED] = DatumGetInt64(COLUMN(cancelled));
	memset(row->durations, 0, sizeof(row->durations));
	if (ARR_NDIM(durations) == 1 && !ARR_HASNULL(durations))
		memcpy(row->durations, ARR_DATA_PTR(durations),
			   Min(ARR_DIMS(durations)[0], WEBHOOK_DURATION_BUCKETS) * sizeof(int32));
	*at = DatumGetTimestampTz(COLUMN(at));
}

static void
form_row(const WebhookStatMinute *row, int64 span, TimestampTz at, Datum *values, bool *nulls)
{
	Datum		durations[WEBHOOK_DURATION_BUCKETS];

	for (int i = 0; i < WEBHOOK_DURATION_BUCKETS; i++)
		durations[i] = Int32GetDatum(row->durations[i]);
	memset(nulls, false, Natts_webhook_stat_minute * sizeof(bool));

#define SET(name, value) (values[Anum_webhook_stat_minute_##name - 1] = (value))
	SET(at, TimestampTzGetDatum(at));
	SET(span, span_datum(span));
	SET(subscription_id, Int64GetDatum(row->subscription_id));
	SET(delivered, Int64GetDatum(row->outcomes[WEBHOOK_DELIVERED]));
	SET(failed, Int64GetDatum(row->outcomes[WEBHOOK_FAILED]));
	SET(retried, Int64GetDatum(row->outcomes[WEBHOOK_RETRYING]));
	SET(cancelled, Int64GetDatum(row->outcomes[WEBHOOK_CANCELLED]));
	SET(pending, Int64GetDatum(row->pending));
	SET(duration, PointerGetDatum(construct_array(durations, WEBHOOK_DURATION_BUCKETS, INT4OID,
												  sizeof(int32), true, TYPALIGN_INT)));
#undef SET
	nulls[Anum_webhook_stat_minute_subscription_id - 1] = row->subscription_id == 0;
	nulls[Anum_webhook_stat_minute_pending - 1] = row->pending < 0;
}

static Datum
span_datum(int64 span)
{
	Interval   *interval = palloc0_object(Interval);

	interval->time = span;
	return IntervalPGetDatum(interval);
}
