/*
 * log.c
 *	  Results of deliveries become rows of webhook.log and webhook_internal.pending.
 *
 * A row of the log is the audit record of an attempt and at the same time the
 * record that a delivery has ended. So both tables change in one transaction,
 * which is the caller's. Rows of the log are inserted into their leaf directly,
 * many at once. No response of an endpoint can make an insertion fail.
 *
 * logged_at never goes back, not even over a restart, because recovery looks
 * only into leaves that may hold rows younger than the checkpoint. A process
 * starts from the latest of the newest row, the checkpoint and the clock.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "base/catalog.h"
#include "base/redact.h"
#include "base/table.h"
#include "base/unix_time.h"
#include "ring/context.h"
#include "store/log_partition_internal.h"
#include "store/log_values_internal.h"
#include "store/pending_heads_internal.h"

/*
 * Rows are formed up to this number, or up to this size, and then inserted
 * together. Larger groups do not fit into the processor's caches: 500 rows at
 * once took twice the time a row.
 */
#define BATCH_ROWS		64
#define BATCH_BYTES		(1024 * 1024)

/* Key columns of a leaf's index. */
enum
{
	KEY_EVENT_ID = 1,
	KEY_SUBSCRIPTION_ID
};

/* Rows on their way into a leaf. */
typedef struct Batch
{
	WebhookTable *table;		/* the leaf */
	MemoryContext context;		/* memory for the values of the rows, reset with each flush */
	int			count;
	Size		bytes;
	Datum	   *values[BATCH_ROWS];
	bool	   *nulls[BATCH_ROWS];
} Batch;

static const char *const outcome_names[WEBHOOK_OUTCOMES] = {
	[WEBHOOK_DELIVERED] = "delivered",
	[WEBHOOK_RETRYING] = "retrying",
	[WEBHOOK_FAILED] = "failed",
	[WEBHOOK_CANCELLED] = "cancelled",
};

static struct
{
	TimestampTz latest;			/* last result of webhook_log_now(); 0: not called so far */
	TimestampTz told_at;		/* when it was last said that this is ahead of the clock */
}			log_clock;

static void tell_ahead(TimestampTz now);
static void write_log(WebhookLogEntry *const *entries, int count, bool bodies);
static Batch *open_batch(TimestampTz logged_at);
static void flush_batch(Batch *batch);
static Size fill_row(Datum *values, bool *nulls, const WebhookLogEntry *entry,
					 bool bodies, TimestampTz logged_at);
static void fill_context(Datum *values, bool *nulls, const char *text);
static Size fill_exchange(Datum *values, bool *nulls,
						  const WebhookHttpTransfer *transfer, bool headers, bool bodies);
static void write_pending(WebhookPendingWriter *pending, WebhookLogEntry *const *entries,
						  int count);
static void promote_heads(WebhookPendingWriter *pending, WebhookLogEntry *const *entries, int count,
						  TimestampTz now,
						  WebhookSubjectTest in_memory, WebhookHeadCallback promoted,
						  void *arg);
static int	compare_subjects(const void *a, const void *b);
static bool log_knows(Oid leaf, int64 subscription_id, int64 position,
					  const WebhookEvent *event, int *attempts);

/* Columns of the log, by name. */
#define SET(name, value) \
	(values[Anum_webhook_log_##name - 1] = (value), \
	 nulls[Anum_webhook_log_##name - 1] = false)

const char *
webhook_outcome_name(WebhookOutcome outcome)
{
	return outcome_names[outcome];
}

TimestampTz
webhook_log_now(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (log_clock.latest == 0)
	{
		const WebhookCheckpoint *checkpoint = webhook_checkpoint_load();

		log_clock.latest = webhook_log_partition_newest();
		/* One that is far ahead says no more than the rows that were written with it. */
		if (checkpoint && checkpoint->saved_at - now <= USECS_PER_DAY)
			log_clock.latest = Max(log_clock.latest, checkpoint->saved_at);
	}
	log_clock.latest = Max(log_clock.latest, now);
	if (log_clock.latest - now > USECS_PER_DAY)
		tell_ahead(now);
	return log_clock.latest;
}

/* Once an hour; a clock that was set back begins another hour. */
static void
tell_ahead(TimestampTz now)
{
	if (log_clock.told_at != 0 && now >= log_clock.told_at &&
		now - log_clock.told_at < USECS_PER_HOUR)
		return;
	log_clock.told_at = now;
	ereport(WARNING,
			(errmsg("rows of \"webhook.log\" are written with a time that is %d hours ahead of the clock",
					(int) ((log_clock.latest - now) / USECS_PER_HOUR)),
			 errdetail("The log has rows that were written while the clock was ahead, and its time never goes back."),
			 errhint("To end this, detach the leaves of \"webhook.log\" that are ahead, and restart the server.")));
}

void
webhook_log_write(WebhookLogEntry *const *entries, int count,
				  bool bodies, TimestampTz now,
				  WebhookSubjectTest in_memory, WebhookHeadCallback promoted,
				  void *arg)
{
	bool		any_pending = false;

	write_log(entries, count, bodies);

	for (int i = 0; i < count; i++)
		any_pending |= entries[i]->row != WEBHOOK_ROW_NONE ||
			entries[i]->promote;
	if (any_pending)
	{
		WebhookPendingWriter *pending = webhook_pending_open();

		write_pending(pending, entries, count);
		promote_heads(pending, entries, count, now, in_memory, promoted, arg);
		webhook_pending_close(pending);
	}
}

bool
webhook_log_knows(int64 subscription_id, int64 position,
				  const WebhookEvent *event, TimestampTz since,
				  int *attempts)
{
	List	   *leaves = webhook_log_partition_since(since);
	bool		ended = false;
	ListCell   *cell;

	*attempts = 0;
	foreach(cell, leaves)
		ended |= log_knows(lfirst_oid(cell), subscription_id, position, event,
						   attempts);
	list_free(leaves);
	return ended || webhook_pending_has(subscription_id, event->subject,
										position, event->id);
}

/* Write a row of the log for each entry, except those that are only deferred. */
static void
write_log(WebhookLogEntry *const *entries, int count, bool bodies)
{
	Batch	   *batch = NULL;
	TimestampTz logged_at = 0;
	MemoryContext former = CurrentMemoryContext;

	for (int i = 0; i < count; i++)
	{
		if (entries[i]->outcome == WEBHOOK_DEFERRED)
			continue;
		if (batch == NULL)
		{
			logged_at = webhook_log_now();
			batch = open_batch(logged_at);
		}
		MemoryContextSwitchTo(batch->context);
		batch->bytes += fill_row(batch->values[batch->count],
								 batch->nulls[batch->count],
								 entries[i], bodies, logged_at);
		MemoryContextSwitchTo(former);
		if (++batch->count == BATCH_ROWS || batch->bytes >= BATCH_BYTES)
			flush_batch(batch);
	}
	if (batch)
	{
		flush_batch(batch);
		webhook_table_close(batch->table);
		MemoryContextDelete(batch->context);
		pfree(batch->values[0]);
		pfree(batch->nulls[0]);
		pfree(batch);
	}
}

static Batch *
open_batch(TimestampTz logged_at)
{
	Batch	   *batch = palloc0_object(Batch);
	Oid			leaf = webhook_log_partition_for(logged_at);

	batch->table = webhook_table_open(leaf, Natts_webhook_log, NoLock);
	batch->context = AllocSetContextCreate(CurrentMemoryContext,
										   "webhook log rows",
										   ALLOCSET_DEFAULT_SIZES);
	batch->values[0] = palloc_array(Datum, BATCH_ROWS * Natts_webhook_log);
	batch->nulls[0] = palloc_array(bool, BATCH_ROWS * Natts_webhook_log);
	for (int i = 1; i < BATCH_ROWS; i++)
	{
		batch->values[i] = batch->values[0] + i * Natts_webhook_log;
		batch->nulls[i] = batch->nulls[0] + i * Natts_webhook_log;
	}
	return batch;
}

static void
flush_batch(Batch *batch)
{
	webhook_table_insert_many(batch->table, batch->count, batch->values,
							  batch->nulls);
	batch->count = 0;
	batch->bytes = 0;
	MemoryContextReset(batch->context);
}

/* Form the row of one entry. Returns about how large it is, in bytes. */
static Size
fill_row(Datum *values, bool *nulls, const WebhookLogEntry *entry,
		 bool bodies, TimestampTz logged_at)
{
	const WebhookPending *delivery = &entry->delivery;
	const WebhookEvent *event = delivery->event;
	int			encoding = GetDatabaseEncoding();
	Size		bytes = 0;

	memset(nulls, true, Natts_webhook_log * sizeof(bool));

	SET(id, Int64GetDatum(event->id));
	SET(event_id, UUIDPGetDatum(&event->event_id));
	SET(position, Int64GetDatum(delivery->position));
	SET(cause, CStringGetTextDatum(webhook_cause_name(delivery->cause)));
	SET(logged_at, TimestampTzGetDatum(logged_at));
	SET(subscription_id, Int64GetDatum(delivery->subscription_id));
	SET(event_type, CStringGetTextDatum(event->event_type));
	if (event->subject)
		SET(subject, CStringGetTextDatum(event->subject));
	if (delivery->of_tenant)
		SET(tenant, CStringGetTextDatum(event->tenant));
	SET(created_at, TimestampTzGetDatum(event->created_at));
	SET(attempt, Int32GetDatum(delivery->attempt));
	SET(outcome, CStringGetTextDatum(outcome_names[entry->outcome]));
	if (entry->error_class)
		SET(error_class, CStringGetTextDatum(entry->error_class));
	if (entry->error)
		SET(error, webhook_log_value_text(entry->error,
										  strlen(entry->error), encoding));

	if (bodies && !entry->erased && event->context)
		fill_context(values, nulls, event->context);

	if (entry->transfer)
	{
		if (entry->endpoint)
			SET(endpoint,
				CStringGetTextDatum(webhook_redact_url(entry->endpoint)));
		bytes += fill_exchange(values, nulls, entry->transfer, bodies, bodies && entry->bodies);
	}

	/* A delivery that did not succeed can be replayed when the ring has lost its event. */
	if (bodies && entry->bodies && event->data &&
		(entry->outcome == WEBHOOK_FAILED ||
		 entry->outcome == WEBHOOK_CANCELLED))
	{
		SET(data, CStringGetTextDatum(event->data));
		bytes += event->size;
	}
	return bytes;
}

/* Set the columns about what caused the event. */
static void
fill_context(Datum *values, bool *nulls, const char *text)
{
	WebhookContext context = webhook_context_parse(text);

	if (context.traceparent.text != NULL)
		SET(traceparent, PointerGetDatum(cstring_to_text_with_len(context.traceparent.text,
																  context.traceparent.length)));
	if (context.context.text != NULL)
		SET(context, DirectFunctionCall1(jsonb_in,
										 CStringGetDatum(pnstrdup(context.context.text,
																  context.context.length))));
}

/* Set the columns about a request and its response. Returns their size in bytes, about. */
static Size
fill_exchange(Datum *values, bool *nulls, const WebhookHttpTransfer *transfer,
			  bool headers, bool bodies)
{
	Interval   *duration = palloc0_object(Interval);
	Datum		address;
	TimestampTz started = webhook_timestamp_from_unix(transfer->started);

	duration->time = transfer->duration;

	SET(method, CStringGetTextDatum("POST"));
	SET(requested_at, TimestampTzGetDatum(started));
	SET(duration, IntervalPGetDatum(duration));
	if (transfer->peer_ip[0] && webhook_log_value_address(transfer->peer_ip, &address))
		SET(peer_ip, address);
	if (transfer->source_ip[0] &&
		webhook_log_value_address(transfer->source_ip, &address))
	{
		SET(source_ip, address);
		SET(source_port, Int32GetDatum(transfer->source_port));
	}
	if (transfer->status != 0)
		SET(response_status, Int32GetDatum(transfer->status));
	if (headers)
	{
		SET(request_headers,
			webhook_log_value_headers(transfer->headers,
									  transfer->nheaders));
		if (transfer->status != 0)
			SET(response_headers,
				webhook_log_value_headers(transfer->response_headers,
										  transfer->nresponse_headers));
	}
	if (!bodies)
		return 0;

	SET(request_body, webhook_log_value_text(transfer->body,
											 transfer->body_length, PG_UTF8));
	if (transfer->status != 0)
	{
		SET(response_body, webhook_log_value_text(transfer->response_body,
												  transfer->response_length,
												  PG_UTF8));
	}
	return transfer->body_length + transfer->response_length;
}

static void
write_pending(WebhookPendingWriter *pending, WebhookLogEntry *const *entries, int count)
{
	for (int i = 0; i < count; i++)
	{
		const WebhookPending *delivery = &entries[i]->delivery;

		switch (entries[i]->row)
		{
			case WEBHOOK_ROW_NONE:
				break;
			case WEBHOOK_ROW_INSERT:
				webhook_pending_insert(pending, delivery);
				break;
			case WEBHOOK_ROW_UPDATE:
				webhook_pending_update(pending, delivery);
				break;
			case WEBHOOK_ROW_DELETE:
				webhook_pending_delete(pending, delivery);
				break;
		}
	}
}

/*
 * Promote the first row of each subject of an entry with "promote", once a
 * subject, unless one of its deliveries is in memory.
 */
static void
promote_heads(WebhookPendingWriter *pending, WebhookLogEntry *const *entries, int count,
			  TimestampTz now, WebhookSubjectTest in_memory,
			  WebhookHeadCallback promoted, void *arg)
{
	const WebhookPending **touched;
	int			ntouched = 0;

	touched = palloc_array(const WebhookPending *, count);
	for (int i = 0; i < count; i++)
	{
		if (entries[i]->promote && entries[i]->delivery.event->subject)
			touched[ntouched++] = &entries[i]->delivery;
	}
	qsort(touched, ntouched, sizeof(touched[0]), compare_subjects);

	for (int i = 0; i < ntouched; i++)
	{
		int64		subscription_id = touched[i]->subscription_id;
		const char *subject = touched[i]->event->subject;

		if (i > 0 && compare_subjects(&touched[i - 1], &touched[i]) == 0)
			continue;
		if (!in_memory(subscription_id, subject, arg) &&
			webhook_pending_promote(pending, subscription_id, subject, now))
			promoted(subscription_id, now, arg);
	}
	pfree(touched);
}

static int
compare_subjects(const void *a, const void *b)
{
	const WebhookPending *x = *(const WebhookPending *const *) a;
	const WebhookPending *y = *(const WebhookPending *const *) b;

	if (x->subscription_id != y->subscription_id)
		return x->subscription_id < y->subscription_id ? -1 : 1;
	return strcmp(x->event->subject, y->event->subject);
}

/*
 * Returns true if a leaf has the final row of a delivery. Raises *attempts to
 * the highest attempt that the leaf has of the event and the subscription,
 * whichever delivery it belongs to: attempts of a resend are counted on.
 */
static bool
log_knows(Oid leaf, int64 subscription_id, int64 position,
		  const WebhookEvent *event, int *attempts)
{
	Oid			index = webhook_log_partition_index(leaf);
	Relation	relation = table_open(leaf, AccessShareLock);
	ScanKeyData keys[2];
	WebhookScan *scan;
	bool		ended = false;

	ScanKeyInit(&keys[0], KEY_EVENT_ID, BTEqualStrategyNumber,
				F_UUID_EQ, UUIDPGetDatum(&event->event_id));
	ScanKeyInit(&keys[1], KEY_SUBSCRIPTION_ID, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(subscription_id));
	scan = webhook_scan_begin(relation, index, SnapshotSelf, 2, keys,
							  ForwardScanDirection);
	while (webhook_scan_next(scan))
	{
		bool		isnull[3];
		Datum		its_position = slot_getattr(scan->slot,
												Anum_webhook_log_position,
												&isnull[0]);
		Datum		attempt = slot_getattr(scan->slot,
										   Anum_webhook_log_attempt,
										   &isnull[1]);
		Datum		outcome = slot_getattr(scan->slot,
										   Anum_webhook_log_outcome,
										   &isnull[2]);

		if (isnull[0] || isnull[1] || isnull[2])
			continue;
		*attempts = Max(*attempts, DatumGetInt32(attempt));
		if (DatumGetInt64(its_position) == position &&
			strcmp(TextDatumGetCString(outcome),
				   outcome_names[WEBHOOK_RETRYING]) != 0)
			ended = true;
	}
	webhook_scan_end(scan);
	table_close(relation, AccessShareLock);
	return ended;
}
