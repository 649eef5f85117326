/*
 * monitor.c
 *	  SQL functions about the worker: drain(), worker_state(), require_server(),
 *	  wanted_worker_processes().
 *
 * None of them relies on the caller's privileges on the extension's tables or on
 * search_path: EXECUTE on the function is the permission.
 *
 * drain() polls. For the worker to wake waiting sessions, shared memory would
 * have to hold a list of them; looking every few milliseconds costs less.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/refusal.h"
#include "base/version.h"
#include "process/shmem.h"
#include "process/wakeup.h"

/* Milliseconds between looks at whether the worker has drained. */
#define DRAIN_POLL_MS	10

#define WORKER_STATE_COLUMNS 21

static bool is_newer(const char *version);
static bool is_convertible(void);
static void warn_of_few_worker_processes(void);
static bool is_drained(WebhookSlot **slot, uint64 *ticket);
static int	put_counters(WebhookSlot *slot, Datum *values, int n);
static const char *state_name(WebhookSlotState state);

PG_FUNCTION_INFO_V1(webhook_require_server);
PG_FUNCTION_INFO_V1(webhook_drain);
PG_FUNCTION_INFO_V1(webhook_worker_state);
PG_FUNCTION_INFO_V1(webhook_wanted_worker_processes);

/*
 * require_server(version): called by the scripts of the extension alone, with the
 * version of the objects that they make. Raises an error if these cannot work in
 * this server or database, or the library is older than they are; otherwise
 * requests a worker at commit. A library that is newer goes on: an update leads to
 * its version over former ones.
 */
Datum
webhook_require_server(PG_FUNCTION_ARGS)
{
	char	   *version = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (!webhook_shmem_available())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook must be loaded via shared_preload_libraries"),
				 errhint("Add this line to postgresql.conf and restart the server: shared_preload_libraries = 'webhook'")));
	if (is_newer(version))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version \"%s\" of extension \"%s\" was installed, but the library that the server has loaded is for version \"%s\"",
						version, "webhook", WEBHOOK_VERSION),
				 errhint("Restart the server, so that it loads the library that was installed.")));
	if (!is_convertible())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("webhook cannot be used in a database with encoding %s",
						GetDatabaseEncodingName()),
				 GetDatabaseEncoding() == PG_SQL_ASCII ?
				 errdetail("Requests are sent in UTF-8, and the encoding of texts in such a database is not known.") :
				 errdetail("Requests are sent in UTF-8, and there is no conversion to that from this encoding."),
				 errhint("Use a database with another encoding, UTF8 for instance.")));

	warn_of_few_worker_processes();
	webhook_request_worker_at_commit();
	PG_RETURN_VOID();
}

/* Returns true if a version, such as "1.10", comes after that of the library. */
static bool
is_newer(const char *version)
{
	int			wanted[2] = {0, 0};
	int			loaded[2] = {0, 0};

	(void) sscanf(version, "%d.%d", &wanted[0], &wanted[1]);
	(void) sscanf(WEBHOOK_VERSION, "%d.%d", &loaded[0], &loaded[1]);
	return wanted[0] != loaded[0] ? wanted[0] > loaded[0] : wanted[1] > loaded[1];
}

/* Returns true if texts of this database can be converted to UTF-8. */
static bool
is_convertible(void)
{
	int			encoding = GetDatabaseEncoding();

	return encoding == PG_UTF8 ||
		(encoding != PG_SQL_ASCII && OidIsValid(FindDefaultConversionProc(encoding, PG_UTF8)));
}

static void
warn_of_few_worker_processes(void)
{
	int			wanted = webhook_shmem_wanted_worker_processes();

	if (wanted > 0)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker slot is free for the webhook worker of this database"),
				 errdetail("Events are stored, and sent once there is a worker."),
				 errhint("Raise \"max_worker_processes\" to at least %d, and restart the server.",
						 wanted)));
}

/*
 * drain(timeout interval): wait until each delivery of events that committed
 * before the call has ended or waits for a later time, of a retry for instance.
 * Returns false if the timeout comes first.
 */
Datum
webhook_drain(PG_FUNCTION_ARGS)
{
	static const Interval shortest = {0};
	static const Interval longest = {.month = 12};
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz deadline;
	Datum		end;
	WebhookSlot *slot = NULL;
	uint64		ticket = 0;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 webhook_errargument("timeout"),
				 errmsg("timeout must not be null"),
				 errhint("Say how long to wait at most, for example '30 s'.")));
	if (DatumGetBool(DirectFunctionCall2(interval_lt, PG_GETARG_DATUM(0),
										 IntervalPGetDatum(&shortest))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(0),
										 IntervalPGetDatum(&longest))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 webhook_errargument("timeout"),
				 errmsg("timeout must not be negative or longer than a year"),
				 errhint("Say how long to wait at most, for example '30 s'.")));
	end = DirectFunctionCall2(timestamptz_pl_interval,
							  TimestampTzGetDatum(start),
							  PG_GETARG_DATUM(0));
	deadline = DatumGetTimestampTz(end);
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
	while (!is_drained(&slot, &ticket))
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

/*
 * worker_state(): one row about this database's worker. Its state is "no worker"
 * if none can be started: no slot is free, the library is not preloaded, or the
 * server is a standby.
 */
Datum
webhook_worker_state(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	WebhookSlot *slot;
	WebhookSlotStatus status = {0};
	Datum		values[WORKER_STATE_COLUMNS] = {0};
	bool		nulls[WORKER_STATE_COLUMNS] = {0};
	int			n = 0;
	int64		unread = 0;
	TimestampTz checkpoint_at = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (result->setDesc->natts != WORKER_STATE_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function webhook_internal.worker_state() is of another version than the library"),
				 errhint("Restart the server if the library is the older one; else run ALTER EXTENSION webhook UPDATE.")));

	slot = webhook_shmem_available() && !RecoveryInProgress() ? webhook_shmem_my_slot() : NULL;
	if (slot != NULL)
		status = webhook_shmem_status(slot);
	nulls[n] = status.pid == 0;
	values[n++] = Int32GetDatum(status.pid);
	values[n++] = CStringGetTextDatum(slot == NULL || status.refused ? "no worker" :
									  state_name(status.state));
	nulls[n] = status.started_at == 0;
	values[n++] = TimestampTzGetDatum(status.started_at);
	values[n++] = Int32GetDatum(webhook_shmem_ring_table());
	n = put_counters(slot, values, n);
	if (slot != NULL)
		checkpoint_at = pg_atomic_read_u64(&slot->metrics.checkpoint_at);
	values[n++] = Int64GetDatum((int64) Max(status.starts, 1) - 1);
	nulls[n] = slot == NULL || !webhook_shmem_unread(slot, &unread);
	values[n++] = Int64GetDatum(unread);
	nulls[n] = checkpoint_at == 0;
	values[n++] = TimestampTzGetDatum(checkpoint_at);
	Assert(n == WORKER_STATE_COLUMNS);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	return (Datum) 0;
}

/* wanted_worker_processes(): 0 if max_worker_processes suffices, as far as is known */
Datum
webhook_wanted_worker_processes(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(webhook_shmem_available() && !RecoveryInProgress() ?
					webhook_shmem_wanted_worker_processes() : 0);
}

/*
 * Returns true if the worker has drained for our ticket. Draws the ticket at the
 * first call, and another one if this database has another slot meanwhile.
 */
static bool
is_drained(WebhookSlot **slot, uint64 *ticket)
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

/* Put all counters into "values", from index "n" on; without a slot 0. Returns the next index. */
static int
put_counters(WebhookSlot *slot, Datum *values, int n)
{
#define COUNTER(name) \
	values[n++] = Int64GetDatum(slot == NULL ? 0 : \
								(int64) pg_atomic_read_u64(&slot->counters.name));
	WEBHOOK_COUNTERS(COUNTER)
#undef COUNTER
		return n;
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
