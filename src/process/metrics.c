/*
 * metrics.c
 *	  The numbers of a database's deliveries in shared memory, for monitoring.
 *
 * They are part of the slot (shmem.h). Each has one writer, so it is added to by a
 * load and a store. A reader may see one number of an attempt and not yet the
 * other; each number by itself only grows.
 */
#include "postgres.h"

#include "process/metrics.h"

#define MS INT64CONST(1000)
#define S INT64CONST(1000000)

/* Requests take milliseconds to minutes; deliveries that are retried take days. */
static const int64 bounds[WEBHOOK_BUCKETS] = {
	5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS,
	1 * S, 2500 * MS, 5 * S, 10 * S, 30 * S, 60 * S, 300 * S, 1800 * S, 7200 * S, 43200 * S,
	172800 * S
};

static const char *const reason_names[] = {
#define REASON(name) #name,
	WEBHOOK_REASONS(REASON)
#undef REASON
};

#define COUNT_OF_NUMBERS (sizeof(WebhookMetrics) / sizeof(pg_atomic_uint64))

void
webhook_metrics_init(WebhookMetrics *metrics)
{
	pg_atomic_uint64 *numbers = (pg_atomic_uint64 *) metrics;

	for (int i = 0; i < COUNT_OF_NUMBERS; i++)
		pg_atomic_init_u64(&numbers[i], 0);
}

void
webhook_metrics_clear(WebhookMetrics *metrics)
{
	pg_atomic_uint64 *numbers = (pg_atomic_uint64 *) metrics;

	for (int i = 0; i < COUNT_OF_NUMBERS; i++)
		pg_atomic_write_u64(&numbers[i], 0);
}

int64
webhook_bucket_bound(int bucket)
{
	return bounds[bucket];
}

const char *
webhook_reason_name(WebhookReason reason)
{
	return reason_names[reason];
}

void
webhook_metrics_add_failure(WebhookMetrics *metrics, const char *error_class)
{
	int			reason = 0;

	while (reason < WEBHOOK_REASON_other &&
		   strcmp(reason_names[reason], error_class) != 0)
		reason++;
	webhook_counter_add(&metrics->failures[reason], 1);
}

void
webhook_histogram_add(WebhookHistogram *histogram, int64 duration)
{
	int			bucket = 0;

	duration = Max(duration, 0);
	while (bucket < WEBHOOK_BUCKETS && duration > bounds[bucket])
		bucket++;
	webhook_counter_add(&histogram->buckets[bucket], 1);
	webhook_counter_add(&histogram->sum, duration);
}
