/*
 * metrics.h
 *	  The numbers of a database's deliveries in shared memory, for monitoring.
 */
#ifndef WEBHOOK_METRICS_H
#define WEBHOOK_METRICS_H

#include "port/atomics.h"

/* Bounded elements of a histogram; the element after them has what is longer. */
#define WEBHOOK_BUCKETS 18

/* Outcomes of an attempt: as many as WebhookOutcome of store.h has. */
#define WEBHOOK_METRIC_OUTCOMES 5

/*
 * The error classes of the log, in the order of docs/reference.md; "other" is one that
 * is missing here.
 */
#define WEBHOOK_REASONS(REASON) \
	REASON(dns) REASON(connect) REASON(tls) REASON(timeout) REASON(reset) REASON(protocol) \
	REASON(too_large) REASON(blocked) REASON(status) REASON(challenge) REASON(shutdown) \
	REASON(internal) REASON(message) REASON(too_old) REASON(skipped) REASON(dismissed) \
	REASON(erased) REASON(other)

typedef enum WebhookReason
{
#define REASON(name) WEBHOOK_REASON_##name,
	WEBHOOK_REASONS(REASON)
#undef REASON
	WEBHOOK_REASON_COUNT
} WebhookReason;

/* How long something took. */
typedef struct WebhookHistogram
{
	pg_atomic_uint64 buckets[WEBHOOK_BUCKETS + 1];	/* how often it took no longer than the
													 * bound, and longer than the one before */
	pg_atomic_uint64 sum;		/* microseconds in all */
} WebhookHistogram;

/*
 * Totals since the server started, or, after the database was dropped, since its
 * slot was claimed; they outlive a worker. Then present values. The worker alone
 * writes them, by plain stores; anybody reads them. All fields are of one type,
 * which webhook_metrics_clear() relies on.
 */
typedef struct WebhookMetrics
{
	pg_atomic_uint64 events;	/* events that were read */
	pg_atomic_uint64 attempts[WEBHOOK_METRIC_OUTCOMES]; /* rows of the log, by WebhookOutcome */
	pg_atomic_uint64 failures[WEBHOOK_REASON_COUNT];	/* those with an error class, by that */
	pg_atomic_uint64 flush_errors;	/* transactions with log entries that failed */
	WebhookHistogram latency;	/* from created_at of an event to the end of its 2xx response */
	WebhookHistogram duration;	/* of requests, whatever became of them */

	/* Present values. */
	pg_atomic_uint64 unread;	/* rows of open windows that were not read */
	pg_atomic_uint64 read_before;	/* the next number for a row of the ring when the last window
									 * was opened; 0: none was */
	pg_atomic_uint64 checkpoint_at; /* TimestampTz: when all that was done was last in the
									 * checkpoint, and reading went on; 0: never */
} WebhookMetrics;

/* The upper bound of an element of a histogram, below WEBHOOK_BUCKETS: microseconds. */
extern int64 webhook_bucket_bound(int bucket);

/* The name of an error class. */
extern const char *webhook_reason_name(WebhookReason reason);

/* All is 0. */
extern void webhook_metrics_init(WebhookMetrics *metrics);
extern void webhook_metrics_clear(WebhookMetrics *metrics);

/* Count a failure by its error class. */
extern void webhook_metrics_add_failure(WebhookMetrics *metrics, const char *error_class);

/* Count a duration in microseconds; a negative one is 0. */
extern void webhook_histogram_add(WebhookHistogram *histogram, int64 duration);

/* Add to a counter that nobody else writes. */
static inline void
webhook_counter_add(pg_atomic_uint64 *counter, uint64 by)
{
	pg_atomic_write_u64(counter, pg_atomic_read_u64(counter) + by);
}

#endif							/* WEBHOOK_METRICS_H */
