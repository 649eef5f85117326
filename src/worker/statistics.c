/*
 * statistics.c
 *	  What became of deliveries: in the present minute, by subscription, and in all.
 *
 * The writer counts what it has committed. What became of all is in shared memory, for
 * monitoring, and outlives this process. Of the minute, maintenance writes the numbers once a
 * minute, together with how many deliveries wait, and begins again. So the table has
 * an entry of at most one minute for each subscription that exists or has ended since.
 * A worker that ends takes along the numbers of its last minute, and what it has not written of
 * the one before.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/unix_time.h"
#include "worker/statistics_internal.h"

static struct
{
	HTAB	   *table;			/* subscription id -> WebhookStatMinute; NULL: no result so far */
	WebhookMetrics *metrics;	/* the totals */
}			statistics;

static WebhookStatMinute *find_minute(int64 subscription_id);
static int	bucket(int64 duration);
static void add_to_metrics(const WebhookLogEntry *entry);
static int64 latency(const WebhookLogEntry *entry);

StaticAssertDecl(WEBHOOK_METRIC_OUTCOMES == WEBHOOK_OUTCOMES, "outcomes differ");

void
webhook_statistics_init(WebhookMetrics *metrics)
{
	statistics.metrics = metrics;
}

void
webhook_statistics_add(const WebhookLogEntry *entry)
{
	WebhookStatMinute *minute;

	if (entry->outcome == WEBHOOK_DEFERRED)
		return;
	minute = find_minute(entry->delivery.subscription_id);
	minute->outcomes[entry->outcome]++;
	if (entry->transfer != NULL)
		minute->durations[bucket(entry->transfer->duration)]++;
	add_to_metrics(entry);
}

WebhookStatMinute *
webhook_statistics_rows(const List *pending, bool all_known, int *count)
{
	int64		unknown = all_known ? 0 : -1;
	WebhookStatMinute *rows;
	WebhookStatMinute *all;
	WebhookStatMinute *minute;
	HASH_SEQ_STATUS scan;
	ListCell   *cell;

	foreach(cell, pending)
		(void) find_minute(((WebhookPendingCount *) lfirst(cell))->subscription_id);
	if (statistics.table != NULL)
	{
		hash_seq_init(&scan, statistics.table);
		while ((minute = hash_seq_search(&scan)) != NULL)
			minute->pending = unknown;
	}
	foreach(cell, pending)
	{
		const WebhookPendingCount *number = lfirst(cell);

		find_minute(number->subscription_id)->pending = number->pending;
	}

	*count = statistics.table ? hash_get_num_entries(statistics.table) : 0;
	rows = palloc0_array(WebhookStatMinute, *count + 1);
	all = &rows[*count];
	all->pending = unknown;
	if (statistics.table != NULL)
	{
		int			n = 0;

		hash_seq_init(&scan, statistics.table);
		while ((minute = hash_seq_search(&scan)) != NULL)
		{
			rows[n++] = *minute;
			for (int i = 0; i < WEBHOOK_OUTCOMES; i++)
				all->outcomes[i] += minute->outcomes[i];
			for (int i = 0; i < WEBHOOK_DURATION_BUCKETS; i++)
				all->durations[i] += minute->durations[i];
			if (all_known)
				all->pending += minute->pending;
		}
	}
	(*count)++;
	return rows;
}

void
webhook_statistics_clear(void)
{
	if (statistics.table != NULL)
		hash_destroy(statistics.table);
	statistics.table = NULL;
}

static WebhookStatMinute *
find_minute(int64 subscription_id)
{
	WebhookStatMinute *minute;
	bool		found;

	if (statistics.table == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(int64);
		control.entrysize = sizeof(WebhookStatMinute);
		control.hcxt = TopMemoryContext;
		statistics.table = hash_create("webhook statistics", 64, &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	minute = hash_search(statistics.table, &subscription_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(minute, 0, sizeof(*minute));
		minute->subscription_id = subscription_id;
	}
	return minute;
}

/* The element of a histogram for a duration in microseconds. */
static int
bucket(int64 duration)
{
	int			i = 0;

	while (i < WEBHOOK_DURATION_BUCKETS - 1 && duration >= (INT64CONST(1000) << i))
		i++;
	return i;
}

static void
add_to_metrics(const WebhookLogEntry *entry)
{
	WebhookMetrics *metrics = statistics.metrics;

	webhook_counter_add(&metrics->attempts[entry->outcome], 1);
	if (entry->error_class != NULL)
		webhook_metrics_add_failure(metrics, entry->error_class);
	if (entry->transfer == NULL)
		return;
	webhook_histogram_add(&metrics->duration, entry->transfer->duration);
	if (entry->outcome == WEBHOOK_DELIVERED &&
		entry->delivery.cause == WEBHOOK_CAUSE_EVENT)
		webhook_histogram_add(&metrics->latency, latency(entry));
}

/* Microseconds from the event to the end of the response. */
static int64
latency(const WebhookLogEntry *entry)
{
	return webhook_timestamp_from_unix(entry->transfer->started) + entry->transfer->duration -
		entry->delivery.event->created_at;
}
