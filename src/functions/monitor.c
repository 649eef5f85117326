/*
 * monitor.c
 *	  What SQL calls: publish(), drain() and the state of the worker.
 *
 * The install script says in PL/pgSQL what SQL says best; here is what needs
 * the ring and shared memory. None of these functions relies on the caller's
 * privileges on our tables or on the caller's search_path: EXECUTE on the
 * function is the permission.
 *
 * drain() polls. A worker that had to tell who waits would need a list of
 * waiters in shared memory and its upkeep; a look every few milliseconds, by
 * a session that waits for the network anyway, costs nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/guc.h"
#include "process/shmem.h"
#include "process/wakeup.h"
#include "ring/event.h"
#include "ring/ring.h"

#define DRAIN_POLL_MS	10		/* between looks at the worker's ticket */

#define WORKER_STATE_COLUMNS 17

static int	put_counters(WebhookCounters *counters, Datum *values, int n);
static void check_subject(text *subject);
static void require_event_type(text *event_type);
static bool event_type_exists(text *event_type);
static bool drain_honoured(WebhookSlot **slot, uint64 *ticket);
static const char *state_name(WebhookSlotState state);

PG_FUNCTION_INFO_V1(webhook_require_server);
PG_FUNCTION_INFO_V1(webhook_publish);
PG_FUNCTION_INFO_V1(webhook_require_event_type);
PG_FUNCTION_INFO_V1(webhook_drain);
PG_FUNCTION_INFO_V1(webhook_worker_state);

/*
 * require_server(): called by the install script alone. Refuses a server or a
 * database that the extension cannot work in, and lets a worker be started
 * once the extension is there.
 */
Datum
webhook_require_server(PG_FUNCTION_ARGS)
{
	if (!webhook_shmem_available())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook must be loaded via shared_preload_libraries"),
				 errhint("Add this line to postgresql.conf and restart the server: shared_preload_libraries = 'webhook'")));
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("webhook cannot be used in a database with encoding SQL_ASCII"),
				 errdetail("What is sent is UTF-8, and SQL_ASCII does not tell what its texts are in."),
				 errhint("Use a database with another encoding, UTF8 for instance.")));

	webhook_request_worker_at_commit();
	PG_RETURN_VOID();
}

/* publish(event_type text, data json, subject text): the event's Id */
Datum
webhook_publish(PG_FUNCTION_ARGS)
{
	text	   *event_type;
	text	   *data;
	text	   *subject = NULL;
	WebhookEvent *event;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	PreventCommandDuringRecovery("webhook.publish()");
	PreventCommandIfReadOnly("webhook.publish()");
	PreventCommandIfParallelMode("webhook.publish()");

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event_type must not be null"),
				 errhint("Name an event type; table webhook.event_type lists them.")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("data must not be null"),
				 errhint("Give a JSON value; the JSON null is written 'null'.")));
	event_type = PG_GETARG_TEXT_PP(0);
	data = PG_GETARG_TEXT_PP(1);
	if (VARSIZE_ANY_EXHDR(data) > webhook_max_data_size)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("data of %zu bytes is too large to be published",
						(size_t) VARSIZE_ANY_EXHDR(data)),
				 errdetail("The limit, webhook.max_data_size, is %d bytes.",
						   webhook_max_data_size),
				 errhint("Publish less, a reference for instance, or raise webhook.max_data_size.")));
	if (!PG_ARGISNULL(2))
	{
		subject = PG_GETARG_TEXT_PP(2);
		check_subject(subject);
	}
	require_event_type(event_type);

	event = webhook_event_make(VARDATA_ANY(event_type),
							   VARSIZE_ANY_EXHDR(event_type),
							   subject ? VARDATA_ANY(subject) : NULL,
							   subject ? VARSIZE_ANY_EXHDR(subject) : 0,
							   VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	event->kind = WEBHOOK_EVENT;
	event->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event->event_id, event->created_at);
	webhook_ring_append(event);

	*id = event->event_id;
	webhook_event_release(event);
	PG_RETURN_UUID_P(id);
}

/* require_event_type(event_type text): an error if there is none such */
Datum
webhook_require_event_type(PG_FUNCTION_ARGS)
{
	require_event_type(PG_GETARG_TEXT_PP(0));
	PG_RETURN_VOID();
}

/*
 * drain(timeout interval): wait until the worker has finished all that was
 * committed before the call and could be. False: it has not within the time.
 */
Datum
webhook_drain(PG_FUNCTION_ARGS)
{
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz deadline;
	Datum		end;
	WebhookSlot *slot = NULL;
	uint64		ticket = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("timeout must not be null"),
				 errhint("Say how long to wait at most, for example '30 s'.")));
	end = DirectFunctionCall2(timestamptz_pl_interval,
							  TimestampTzGetDatum(start),
							  PG_GETARG_DATUM(0));
	deadline = DatumGetTimestampTz(end);
	if (deadline < start)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must not be negative"),
				 errhint("Say how long to wait at most, for example '30 s'.")));
	if (!webhook_shmem_available())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook is not loaded via shared_preload_libraries, so nothing is sent"),
				 errhint("Add this line to postgresql.conf and restart the server: shared_preload_libraries = 'webhook'")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress, so nothing is sent"),
				 errhint("Call webhook.drain() on the primary.")));
	if (webhook_wakeup_is_pending())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot wait for events that this transaction has not committed"),
				 errhint("Commit, then call webhook.drain().")));

	if (webhook_shmem_my_slot() == NULL)
		(void) webhook_shmem_request_worker(MyDatabaseId);
	while (!drain_honoured(&slot, &ticket))
	{
		if (GetCurrentTimestamp() >= deadline)
			PG_RETURN_BOOL(false);

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 DRAIN_POLL_MS, compat_wait_event("WebhookDrain"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_BOOL(true);
}

/* worker_state(): one row about this database's worker; none without a slot */
Datum
webhook_worker_state(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WebhookSlot *slot = NULL;
	WebhookSlotStatus status;
	Datum		values[WORKER_STATE_COLUMNS];
	bool		nulls[WORKER_STATE_COLUMNS] = {0};
	int			n = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (webhook_shmem_available())
		slot = webhook_shmem_my_slot();
	if (slot == NULL)
		return (Datum) 0;

	status = webhook_shmem_status(slot);
	nulls[n] = status.pid == 0;
	values[n++] = Int32GetDatum(status.pid);
	values[n++] = CStringGetTextDatum(state_name(status.state));
	nulls[n] = status.started_at == 0;
	values[n++] = TimestampTzGetDatum(status.started_at);
	values[n++] = Int32GetDatum((int32) pg_atomic_read_u32(&slot->ring_table));
	n = put_counters(&slot->counters, values, n);
	Assert(n == lengthof(values));
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

/* Put all counters into "values" from index "n" on; returns the index after the last. */
static int
put_counters(WebhookCounters *counters, Datum *values, int n)
{
#define COUNTER(name) &counters->name,
	pg_atomic_uint64 *const all[] = {WEBHOOK_COUNTERS(COUNTER)};
#undef COUNTER

	for (int i = 0; i < lengthof(all); i++)
		values[n++] = Int64GetDatum((int64) pg_atomic_read_u64(all[i]));
	return n;
}

static void
check_subject(text *subject)
{
	if (VARSIZE_ANY_EXHDR(subject) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("subject must not be empty"),
				 errhint("Leave it out, or give NULL, for an event that is in no order with others.")));
	if (VARSIZE_ANY_EXHDR(subject) > WEBHOOK_MAX_SUBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("subject of %d bytes is too long",
						(int) VARSIZE_ANY_EXHDR(subject)),
				 errhint("A subject may have %d bytes.", WEBHOOK_MAX_SUBJECT)));
}

static void
require_event_type(text *event_type)
{
	if (!event_type_exists(event_type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event type \"%s\" does not exist",
						text_to_cstring(event_type)),
				 errhint("Define it with webhook.define_event_type(); table webhook.event_type lists those that exist.")));
}

/* As of now, without a plan; by the primary key where that is in place. */
static bool
event_type_exists(text *event_type)
{
	const Oid	schema = webhook_catalog_for_append()->internal_schema;
	const Oid	relid = get_relname_relid("event_type", schema);
	const Oid	index = get_relname_relid("event_type_pkey", schema);
	Relation	relation;
	Snapshot	snapshot;
	SysScanDesc scan;
	ScanKeyData key;
	bool		found;

	relation = table_open(relid, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());

	/* Column "name", COLLATE "C". */
	ScanKeyEntryInitialize(&key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ,
						   PointerGetDatum(event_type));
	scan = systable_beginscan(relation, index, OidIsValid(index), snapshot, 1,
							  &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
	return found;
}

/*
 * Draw a ticket, once and again if the slot has changed hands meanwhile, and
 * look whether the worker has honoured it.
 */
static bool
drain_honoured(WebhookSlot **slot, uint64 *ticket)
{
	WebhookSlot *mine = webhook_shmem_my_slot();

	if (mine == NULL)
		return false;
	if (mine != *slot || pg_atomic_read_u64(&mine->drain_wanted) < *ticket)
	{
		*slot = mine;
		*ticket = pg_atomic_add_fetch_u64(&mine->drain_wanted, 1);
		webhook_wakeup_now();
	}
	return pg_atomic_read_u64(&mine->drain_done) >= *ticket;
}

static const char *
state_name(WebhookSlotState state)
{
	switch (state)
	{
		case WEBHOOK_SLOT_FREE:
			return "free";
		case WEBHOOK_SLOT_BLOCKED:
			return "blocked";
		case WEBHOOK_SLOT_WANTED:
			return "wanted";
		case WEBHOOK_SLOT_STARTING:
			return "starting";
		case WEBHOOK_SLOT_RUNNING:
			return "running";
		case WEBHOOK_SLOT_STOPPED:
			return "stopped";
	}
	elog(ERROR, "unknown state of a slot: %d", (int) state);
	return NULL;				/* keep compiler quiet */
}
