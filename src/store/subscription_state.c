/*
 * subscription_state.c
 *	  Rows of webhook_internal.subscription_state: the health of each subscription's
 *	  endpoint, as far as a worker needs it after a restart.
 *
 * The worker keeps all of it in memory and writes the rows that changed once a
 * second, so that a crash loses the changes of a second. No indexed column
 * changes and the table's fillfactor leaves room in its pages, so that updates
 * are HOT.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/table.h"
#include "store/pending_floor_internal.h"
#include "store/store.h"

/* Column "breaker". */
static const char *const breaker_names[] = {
	[WEBHOOK_BREAKER_CLOSED] = "closed",
	[WEBHOOK_BREAKER_OPEN] = "open",
	[WEBHOOK_BREAKER_HALF_OPEN] = "half_open",
};

static WebhookBreaker breaker_from_name(const char *name);
static WebhookState *read_row(TupleTableSlot *slot);
static void form_row(const WebhookState *state, Datum *values, bool *nulls);
static WebhookScan *seek(WebhookTable *table, int64 subscription_id);
static Datum nullable(TupleTableSlot *slot, AttrNumber number);
static Datum span_to_datum(int64 span);
static bool has_confirmation(const WebhookState *state);

#define COLUMN(name) \
	webhook_row_column(slot, Anum_webhook_state_##name, "webhook_internal.subscription_state")
#define NULLABLE(name) nullable(slot, Anum_webhook_state_##name)

List *
webhook_state_load(void)
{
	List	   *states = NIL;
	Relation	relation = table_open(webhook_catalog_required()->state,
									  AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(relation, NULL);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		states = lappend(states, read_row(slot));
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return states;
}

void
webhook_state_save(WebhookState *const *states, int count, TimestampTz now)
{
	WebhookTable *table;

	if (count == 0)
		return;
	table = webhook_table_open(webhook_catalog_required()->state,
							   Natts_webhook_state, RowExclusiveLock);
	for (int i = 0; i < count; i++)
	{
		Datum		values[Natts_webhook_state];
		bool		nulls[Natts_webhook_state];
		WebhookScan *scan;

		states[i]->saved_at = now;
		form_row(states[i], values, nulls);
		scan = seek(table, states[i]->subscription_id);
		if (!webhook_scan_next(scan) ||
			!webhook_table_update(table, &scan->slot->tts_tid, values, nulls))
			webhook_table_insert(table, values, nulls);
		webhook_scan_end(scan);
	}
	webhook_table_close(table);
}

void
webhook_state_forget(int64 subscription_id)
{
	WebhookTable *table = webhook_table_open(webhook_catalog_required()->state,
											 Natts_webhook_state,
											 RowExclusiveLock);
	WebhookScan *scan = seek(table, subscription_id);

	if (webhook_scan_next(scan))
		(void) webhook_table_delete(table, &scan->slot->tts_tid);
	webhook_scan_end(scan);
	webhook_table_close(table);
	webhook_pending_floor_forget(subscription_id);
}

/* A name that was written by hand and means nothing is an open breaker: a probe will tell. */
static WebhookBreaker
breaker_from_name(const char *name)
{
	for (int i = 0; i < lengthof(breaker_names); i++)
	{
		if (strcmp(name, breaker_names[i]) == 0)
			return i;
	}
	return WEBHOOK_BREAKER_OPEN;
}

static WebhookState *
read_row(TupleTableSlot *slot)
{
	WebhookState *state = palloc0_object(WebhookState);
	bool		isnull;
	Datum		value;

	state->subscription_id = DatumGetInt64(COLUMN(subscription_id));
	state->state = TextDatumGetCString(COLUMN(state));
	state->breaker = breaker_from_name(TextDatumGetCString(COLUMN(breaker)));
	state->concurrency = DatumGetInt32(COLUMN(concurrency));
	state->consecutive_failures = DatumGetInt32(COLUMN(consecutive_failures));
	state->failures_since_success = DatumGetInt64(COLUMN(failures_since_success));
	state->failing_since = DatumGetTimestampTz(NULLABLE(failing_since));
	state->last_success = DatumGetTimestampTz(NULLABLE(last_success));
	state->last_failure = DatumGetTimestampTz(NULLABLE(last_failure));
	state->opened_at = DatumGetTimestampTz(NULLABLE(opened_at));
	state->probe_interval = DatumGetInt64(COLUMN(probe_interval));
	state->not_before = DatumGetTimestampTz(NULLABLE(not_before));
	value = slot_getattr(slot, Anum_webhook_state_reason, &isnull);
	if (!isnull)
		state->reason = TextDatumGetCString(value);
	state->disabled_at = DatumGetTimestampTz(NULLABLE(disabled_at));
	value = slot_getattr(slot, Anum_webhook_state_disabled_start_snapshot, &isnull);
	if (!isnull)
		state->disabled_start_snapshot = webhook_snapshot_from_datum(value);
	value = slot_getattr(slot, Anum_webhook_state_confirmation, &isnull);
	if (!isnull)
		state->confirmation = *DatumGetUUIDP(value);
	state->confirmed_at = DatumGetTimestampTz(NULLABLE(confirmed_at));
	state->confirm_attempts = DatumGetInt32(COLUMN(confirm_attempts));
	state->confirm_next_at = DatumGetTimestampTz(NULLABLE(confirm_next_at));
	state->suspended_at = DatumGetTimestampTz(NULLABLE(suspended_at));
	state->suspended = webhook_row_span(COLUMN(suspended));
	state->delivered = DatumGetInt64(COLUMN(delivered));
	state->failed = DatumGetInt64(COLUMN(failed));
	state->retried = DatumGetInt64(COLUMN(retried));
	state->filter_errors = DatumGetInt64(COLUMN(filter_errors));
	state->rate = DatumGetFloat8(COLUMN(rate));
	value = slot_getattr(slot, Anum_webhook_state_p50, &isnull);
	state->p50 = isnull ? -1 : webhook_row_span(value);
	value = slot_getattr(slot, Anum_webhook_state_p95, &isnull);
	state->p95 = isnull ? -1 : webhook_row_span(value);
	state->saved_at = DatumGetTimestampTz(COLUMN(saved_at));
	return state;
}

static void
form_row(const WebhookState *state, Datum *values, bool *nulls)
{
	memset(nulls, true, Natts_webhook_state * sizeof(bool));
#define SET(name, value) \
	(values[Anum_webhook_state_##name - 1] = (value), \
	 nulls[Anum_webhook_state_##name - 1] = false)
#define SET_INSTANT(name) \
	do { \
		if (state->name != 0) \
			SET(name, TimestampTzGetDatum(state->name)); \
	} while (0)

	SET(subscription_id, Int64GetDatum(state->subscription_id));
	SET(state, CStringGetTextDatum(state->state));
	SET(breaker, CStringGetTextDatum(breaker_names[state->breaker]));
	SET(concurrency, Int32GetDatum(state->concurrency));
	SET(consecutive_failures, Int32GetDatum(state->consecutive_failures));
	SET(failures_since_success, Int64GetDatum(state->failures_since_success));
	SET_INSTANT(failing_since);
	SET_INSTANT(last_success);
	SET_INSTANT(last_failure);
	SET_INSTANT(opened_at);
	SET(probe_interval, Int64GetDatum(state->probe_interval));
	SET_INSTANT(not_before);
	if (state->reason != NULL)
		SET(reason, CStringGetTextDatum(state->reason));
	SET_INSTANT(disabled_at);
	if (state->disabled_start_snapshot != NULL)
		SET(disabled_start_snapshot, webhook_snapshot_to_datum(state->disabled_start_snapshot));
	if (has_confirmation(state))
		SET(confirmation, UUIDPGetDatum(&state->confirmation));
	SET_INSTANT(confirmed_at);
	SET(confirm_attempts, Int32GetDatum(state->confirm_attempts));
	SET_INSTANT(confirm_next_at);
	SET_INSTANT(suspended_at);
	SET(suspended, span_to_datum(state->suspended));
	SET(delivered, Int64GetDatum(state->delivered));
	SET(failed, Int64GetDatum(state->failed));
	SET(retried, Int64GetDatum(state->retried));
	SET(filter_errors, Int64GetDatum(state->filter_errors));
	SET(rate, Float8GetDatum(state->rate));
	if (state->p50 >= 0)
		SET(p50, span_to_datum(state->p50));
	if (state->p95 >= 0)
		SET(p95, span_to_datum(state->p95));
	SET(saved_at, TimestampTzGetDatum(state->saved_at));
#undef SET
#undef SET_INSTANT
}

/*
 * Begin a scan for the row of a subscription, in a form in which it can be
 * changed. SnapshotSelf will do, because only the worker writes to the table.
 */
static WebhookScan *
seek(WebhookTable *table, int64 subscription_id)
{
	ScanKeyData key;

	/* A command cannot change a row that it has written itself. */
	CommandCounterIncrement();
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(subscription_id));
	return webhook_scan_begin(table->relation,
							  webhook_catalog_required()->state_pkey,
							  SnapshotSelf, 1, &key, ForwardScanDirection);
}

static bool
has_confirmation(const WebhookState *state)
{
	static const pg_uuid_t none;

	return memcmp(&state->confirmation, &none, UUID_LEN) != 0;
}

/* A time; 0: the column is null. */
static Datum
nullable(TupleTableSlot *slot, AttrNumber number)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, number, &isnull);

	return isnull ? TimestampTzGetDatum(0) : value;
}

/* Microseconds as an interval of days and time. */
static Datum
span_to_datum(int64 span)
{
	Interval   *interval = palloc0_object(Interval);

	interval->day = span / USECS_PER_DAY;
	interval->time = span % USECS_PER_DAY;
	return IntervalPGetDatum(interval);
}
