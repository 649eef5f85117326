/*
 * metrics.c
 *	  SQL functions behind view webhook.metrics and health(): worker_metrics(),
 *	  table_metrics(), relation_bytes(), lock_to_read().
 *
 * None waits for a lock on a table of the extension: monitoring has to get numbers while
 * somebody else holds one, while no worker runs, on a standby, and in the middle of an
 * update.
 *
 * EXECUTE on the function is the permission.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/caller.h"
#include "base/catalog.h"
#include "base/table.h"
#include "base/unix_time.h"
#include "process/metrics.h"
#include "process/shmem.h"
#include "store/store.h"

#define METRIC_COLUMNS 4

/* What is known of a histogram's bound as text: "172800" is the longest. */
#define BOUND_SIZE 16

static void put_worker(ReturnSetInfo *result, WebhookSlot *slot);
static void put_totals(ReturnSetInfo *result, WebhookMetrics *metrics);
static void put_present(ReturnSetInfo *result, WebhookSlot *slot, bool running);
static void put_histogram(ReturnSetInfo *result, const char *metric,
						  WebhookHistogram *histogram);
static void put(ReturnSetInfo *result, const char *metric, const double *value);
static void put_labelled(ReturnSetInfo *result, const char *metric, const char *suffix,
						 const char *label, const char *label_value, const double *value);
static void put_read_metrics(ReturnSetInfo *result);
static int64 bytes_at_vacuum(Oid relation);

PG_FUNCTION_INFO_V1(webhook_worker_metrics);
PG_FUNCTION_INFO_V1(webhook_table_metrics);
PG_FUNCTION_INFO_V1(webhook_relation_bytes);
PG_FUNCTION_INFO_V1(webhook_lock_to_read);

/*
 * worker_metrics() -> (metric, suffix, labels, value): the numbers in shared memory. A
 * value that nobody knows is NULL. Without a worker the totals are those of the workers
 * before; on a standby, and where the library is not preloaded, they are 0.
 */
Datum
webhook_worker_metrics(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	put_worker(result, webhook_shmem_available() && !RecoveryInProgress() ?
			   webhook_shmem_my_slot() : NULL);
	return (Datum) 0;
}

static void
put_worker(ReturnSetInfo *result, WebhookSlot *slot)
{
	WebhookSlotStatus status = {0};
	WebhookMetrics *metrics;
	bool		running;
	double		up;
	double		recovery = RecoveryInProgress() ? 1 : 0;
	double		started_at;
	double		restarts;

	if (slot != NULL)
		status = webhook_shmem_status(slot);
	running = status.state == WEBHOOK_SLOT_RUNNING;
	up = running ? 1 : 0;
	started_at = webhook_unix_from_timestamp(status.started_at) / (double) USECS_PER_SEC;
	restarts = Max(status.starts, 1) - 1;
	put(result, "webhook_up", &up);
	put(result, "webhook_in_recovery", &recovery);
	put(result, "webhook_worker_start_time_seconds", running ? &started_at : NULL);
	put(result, "webhook_worker_restarts_total", &restarts);

	if (slot != NULL)
		metrics = &slot->metrics;
	else
	{
		metrics = palloc(sizeof(WebhookMetrics));
		webhook_metrics_init(metrics);
	}
	put_totals(result, metrics);
	put_present(result, slot, running);
}

static void
put_totals(ReturnSetInfo *result, WebhookMetrics *metrics)
{
	double		value = pg_atomic_read_u64(&metrics->events);

	put(result, "webhook_events_total", &value);
	for (int i = 0; i < WEBHOOK_OUTCOMES; i++)
	{
		if (webhook_outcome_name(i) == NULL)
			continue;
		value = pg_atomic_read_u64(&metrics->attempts[i]);
		put_labelled(result, "webhook_attempts_total", "", "outcome", webhook_outcome_name(i),
					 &value);
	}
	for (int i = 0; i < WEBHOOK_REASON_COUNT; i++)
	{
		value = pg_atomic_read_u64(&metrics->failures[i]);
		put_labelled(result, "webhook_attempts_failed_total", "", "reason",
					 webhook_reason_name(i), &value);
	}
	put_histogram(result, "webhook_delivery_latency_seconds", &metrics->latency);
	put_histogram(result, "webhook_request_duration_seconds", &metrics->duration);
	value = pg_atomic_read_u64(&metrics->flush_errors);
	put(result, "webhook_flush_errors_total", &value);
}

/* What a worker holds goes with it; what it has not read stays. */
static void
put_present(ReturnSetInfo *result, WebhookSlot *slot, bool running)
{
	static const char *const names[] = {
		"webhook_requests_in_flight", "webhook_deliveries_queued", "webhook_results_unwritten",
		"webhook_memory_bytes", "webhook_log_writes_blocked"
	};
	double		values[lengthof(names)] = {0};
	int64		unread = 0;
	double		unread_events;
	double		age = 0;
	TimestampTz checkpoint_at = 0;

	if (running)
	{
		WebhookCounters *counters = &slot->counters;
		pg_atomic_uint64 *const all[lengthof(names)] = {
			&counters->in_flight, &counters->queued, &counters->unflushed, &counters->memory,
			&counters->blocked
		};

		for (int i = 0; i < lengthof(names); i++)
			values[i] = pg_atomic_read_u64(all[i]);
	}
	for (int i = 0; i < lengthof(names); i++)
		put(result, names[i], &values[i]);

	if (slot != NULL && webhook_shmem_unread(slot, &unread))
	{
		unread_events = unread;
		put(result, "webhook_unread_events", &unread_events);
	}
	if (slot != NULL)
		checkpoint_at = pg_atomic_read_u64(&slot->metrics.checkpoint_at);
	if (checkpoint_at != 0)
		age = Max(GetCurrentTimestamp() - checkpoint_at, 0) / (double) USECS_PER_SEC;
	put(result, "webhook_checkpoint_age_seconds", checkpoint_at != 0 ? &age : NULL);
}

/* As Prometheus has it: each element counts all that took no longer than its bound. */
static void
put_histogram(ReturnSetInfo *result, const char *metric, WebhookHistogram *histogram)
{
	double		count = 0;
	double		sum = pg_atomic_read_u64(&histogram->sum) / (double) USECS_PER_SEC;

	for (int i = 0; i <= WEBHOOK_BUCKETS; i++)
	{
		char		bound[BOUND_SIZE] = "+Inf";

		if (i < WEBHOOK_BUCKETS)
			snprintf(bound, sizeof(bound), "%g",
					 webhook_bucket_bound(i) / (double) USECS_PER_SEC);
		count += pg_atomic_read_u64(&histogram->buckets[i]);
		put_labelled(result, metric, "_bucket", "le", bound, &count);
	}
	put_labelled(result, metric, "_sum", NULL, NULL, &sum);
	put_labelled(result, metric, "_count", NULL, NULL, &count);
}

static void
put(ReturnSetInfo *result, const char *metric, const double *value)
{
	put_labelled(result, metric, "", NULL, NULL, value);
}

/* Add a row. A value of NULL is NULL; so is a label that there is not. */
static void
put_labelled(ReturnSetInfo *result, const char *metric, const char *suffix,
			 const char *label, const char *label_value, const double *value)
{
	Datum		values[METRIC_COLUMNS];
	bool		nulls[METRIC_COLUMNS] = {false};
	char	   *labels = label == NULL ? pstrdup("{}") :
		psprintf("{\"%s\": \"%s\"}", label, label_value);

	values[0] = CStringGetTextDatum(metric);
	values[1] = CStringGetTextDatum(suffix);
	values[2] = DirectFunctionCall1(jsonb_in, CStringGetDatum(labels));
	values[3] = value == NULL ? (Datum) 0 : Float8GetDatum(*value);
	nulls[3] = value == NULL;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * table_metrics() -> (metric, labels, value): what read_metrics() reads from tables, with
 * the rights of the owner. There are no rows while the extension's objects are not those of
 * the library: functions raise an error then.
 */
Datum
webhook_table_metrics(PG_FUNCTION_ARGS)
{
	WebhookCallerSaved saved;

	InitMaterializedSRF(fcinfo, 0);
	if (!webhook_catalog_is_usable())
		return (Datum) 0;
	saved = webhook_caller_enter(webhook_catalog_required()->owner);
	PG_TRY();
	{
		put_read_metrics((ReturnSetInfo *) fcinfo->resultinfo);
	}
	PG_FINALLY();
	{
		webhook_caller_leave(&saved);
	}
	PG_END_TRY();
	return (Datum) 0;
}

static void
put_read_metrics(ReturnSetInfo *result)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT m.metric, m.labels, m.value FROM webhook_internal.read_metrics() m",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the metrics of tables");
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
}

/*
 * relation_bytes(relation oid) -> bigint: the size of a table or an index alone; while
 * somebody has locked it, what it was when it was last vacuumed or analyzed. NULL: it is
 * gone.
 */
Datum
webhook_relation_bytes(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	Datum		main_fork = CStringGetTextDatum("main");
	int64		bytes;

	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		bytes = bytes_at_vacuum(relation);
	else
	{
		bytes = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) ?
			DatumGetInt64(DirectFunctionCall2(pg_relation_size, ObjectIdGetDatum(relation),
											  main_fork)) : -1;
		UnlockRelationOid(relation, AccessShareLock);
	}
	if (bytes < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(bytes);
}

/* -1: it is gone. */
static int64
bytes_at_vacuum(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	int64		pages;

	if (!HeapTupleIsValid(tuple))
		return -1;
	pages = ((Form_pg_class) GETSTRUCT(tuple))->relpages;
	ReleaseSysCache(tuple);
	return Max(pages, 0) * BLCKSZ;
}

/*
 * lock_to_read(relation oid): lock a table and its indexes until the transaction ends, as a
 * query does that reads it; false if that would have to wait, or it is gone.
 */
Datum
webhook_lock_to_read(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(webhook_table_try_lock(PG_GETARG_OID(0)));
}
