/*
 * store.h
 *	  The tables that only the worker writes: webhook_internal.pending and
 *	  pending_count, webhook.log, webhook_internal.subscription_state, stat_minute
 *	  and checkpoint. And the audit, which sessions write and the worker clears.
 *
 * Every function here needs a transaction. What one returns is allocated in
 * CurrentMemoryContext.
 */
#ifndef WEBHOOK_STORE_H
#define WEBHOOK_STORE_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"

#include "base/snapshot.h"
#include "http/http.h"
#include "ring/command.h"
#include "ring/event.h"

/*
 * A row of webhook_internal.pending: a delivery that failed, waits for another one of
 * its subject, or was spilled. Its key is (subscription_id, subject of the
 * event or '', position, id of the event).
 */
typedef struct WebhookPending
{
	int64		subscription_id;
	int64		position;		/* ring id of the row that caused the delivery */
	WebhookCause cause;
	int			attempt;		/* number of POSTs made so far */
	int			step;			/* number of waits of the retry schedule used so far */
	TimestampTz next_at;		/* when a head is due; 0: the row is no head (NULL in the table) */
	TimestampTz queued_at;		/* when the delivery was written to the table first */
	TimestampTz age_start;		/* when the delivery was caused, by the subscription's own clock,
								 * which stops while the subscription may not send */
	bool		of_tenant;		/* the subscription is of the event's tenant; false: it is the
								 * platform's */
	WebhookEvent *event;
} WebhookPending;

/*
 * A place between two rows of a subscription in webhook_internal.pending: behind the row
 * with this key. All zero: before the first row.
 */
typedef struct WebhookPendingCursor
{
	char		subject[WEBHOOK_MAX_SUBJECT + 1];
	int64		position;
	int64		id;
} WebhookPendingCursor;

/* What became of a delivery: column "outcome" of the log. */
typedef enum WebhookOutcome
{
	WEBHOOK_DEFERRED,			/* moved to webhook_internal.pending; gets no row of the log */
	WEBHOOK_DELIVERED,
	WEBHOOK_RETRYING,
	WEBHOOK_FAILED,
	WEBHOOK_CANCELLED,
} WebhookOutcome;

#define WEBHOOK_OUTCOMES (WEBHOOK_CANCELLED + 1)

/* Its name in the log; NULL: it is in none. */
extern const char *webhook_outcome_name(WebhookOutcome outcome);

/* What happens to the row that a delivery has in webhook_internal.pending. */
typedef enum WebhookRowChange
{
	WEBHOOK_ROW_NONE,			/* it has none and gets none */
	WEBHOOK_ROW_INSERT,
	WEBHOOK_ROW_UPDATE,			/* attempt, step and next_at are set */
	WEBHOOK_ROW_DELETE,
} WebhookRowChange;

/* The result of one delivery, to be written to webhook.log and webhook_internal.pending. */
typedef struct WebhookLogEntry
{
	WebhookPending delivery;	/* attempt, step and next_at have their new values */
	WebhookOutcome outcome;
	WebhookRowChange row;
	bool		promote;		/* the delivery's subject may need a new head */
	bool		bodies;			/* the log gets the bodies, and the data of what has not
								 * succeeded */
	bool		erased;			/* by webhook.erase(): the log gets no context either */
	const char *endpoint;		/* where the POST went; only used with a transfer */
	const char *error_class;	/* column "error_class" of the log; NULL: none */
	const char *error;			/* column "error" of the log; NULL: none */
	const WebhookHttpTransfer *transfer;	/* request and response; NULL: no POST was made */
} WebhookLogEntry;

/* The circuit breaker of an endpoint. */
typedef enum WebhookBreaker
{
	WEBHOOK_BREAKER_CLOSED,		/* requests are sent */
	WEBHOOK_BREAKER_OPEN,		/* none is sent until not_before */
	WEBHOOK_BREAKER_HALF_OPEN,	/* a probe is under way */
} WebhookBreaker;

/* The states of a subscription, as people see them. */
#define WEBHOOK_STATE_ACTIVE	"active"
#define WEBHOOK_STATE_SLOW		"slow"
#define WEBHOOK_STATE_WAITING	"waiting"
#define WEBHOOK_STATE_OPEN		"open"
#define WEBHOOK_STATE_OFF		"off"
#define WEBHOOK_STATE_PAUSED	"paused"
#define WEBHOOK_STATE_FENCED	"fenced"
#define WEBHOOK_STATE_DISABLED	"disabled"
#define WEBHOOK_STATE_UNCONFIRMED "unconfirmed"

/*
 * A row of webhook_internal.subscription_state: the health of one endpoint. A time of 0
 * and a negative duration are NULL in the table.
 */
typedef struct WebhookState
{
	int64		subscription_id;
	const char *state;			/* one of WEBHOOK_STATE_...; in a row that was read, any text */
	WebhookBreaker breaker;
	int			concurrency;	/* how many requests may be in flight; 1: it is slow or fails */
	int			consecutive_failures;	/* failures of the endpoint itself since its last success */
	int64		failures_since_success; /* failures of any kind since the last success */
	TimestampTz failing_since;	/* time of the first of these failures */
	TimestampTz last_success;
	TimestampTz last_failure;
	TimestampTz opened_at;		/* when the breaker opened; 0: it is closed */
	int64		probe_interval; /* seconds between two probes of an open breaker */
	TimestampTz not_before;		/* earliest time of the next request: the next probe, or what the
								 * endpoint asked for by Retry-After; 0: at once */
	char	   *reason;			/* why the last request failed; NULL: it did not */
	TimestampTz disabled_at;	/* when the worker disabled the subscription; 0: it did not */
	WebhookSnapshot *disabled_start_snapshot;	/* start snapshot that the subscription had then;
												 * another one means that it was enabled again */
	pg_uuid_t	confirmation;	/* of the subscription, which the next three are about; another
								 * one means that it has to be confirmed anew */
	TimestampTz confirmed_at;	/* when its endpoint answered the challenge; 0: it did not */
	int			confirm_attempts;	/* number of requests that asked for it */
	TimestampTz confirm_next_at;	/* when the next of them is due; 0: no more are made */
	TimestampTz suspended_at;	/* since when the subscription may not send; 0: it may */
	int64		suspended;		/* total time suspended before suspended_at, microseconds */
	int64		delivered;		/* number of deliveries that succeeded */
	int64		failed;			/* number of deliveries that ended otherwise */
	int64		retried;		/* number of attempts that failed and were repeated */
	int64		filter_errors;	/* number of events for which the filter had no answer */
	double		rate;			/* deliveries a second, averaged over about a minute */
	int64		p50;			/* median duration of recent requests, microseconds */
	int64		p95;			/* 95th percentile of the same */
	TimestampTz saved_at;		/* when the row was written */
} WebhookState;

/* The row of webhook_internal.checkpoint: up to where everything is finished. */
typedef struct WebhookCheckpoint
{
	const char *home;			/* webhook_home() of the writer */
	const char *directory;		/* id of the data directory in which it was written; NULL: none
								 * is known */
	int			server_version; /* version of the server that wrote it, set by
								 * webhook_checkpoint_save() */
	const WebhookSnapshot *snapshot;	/* every event that this snapshot sees is finished */
	const WebhookSnapshot *partial; /* snapshot at the end of a window that is finished in part;
									 * NULL: there is none */
	int64		upto_id;		/* events that "partial" sees are finished up to this ring id; 0
								 * without "partial" */
	int64		last_id;		/* no row of the ring had a greater id */
	TimestampTz saved_at;		/* when it was written, by webhook_log_now() */
} WebhookCheckpoint;

/*
 * Questions about what the worker holds in memory. A subject of NULL stands for
 * an event without subject; "arg" is what the caller gave along.
 */
typedef bool (*WebhookRowTest) (int64 subscription_id, const char *subject,
								int64 position, int64 id, void *arg);
typedef bool (*WebhookSubjectTest) (int64 subscription_id, const char *subject, void *arg);

/* A row of the subscription has become a head that is due at "next_at". */
typedef void (*WebhookHeadCallback) (int64 subscription_id, TimestampTz next_at, void *arg);

/*
 * The log: log.c, log_partition.c
 */

/*
 * The current time for the log: never before a logged_at or checkpoint written
 * so far, even if the clock was set back.
 */
extern TimestampTz webhook_log_now(void);

/*
 * Write entries: rows of the log, then the changes of webhook_internal.pending, then a
 * head for each subject of an entry with "promote", due at "now", unless
 * "in_memory" returns true for the subject. "promoted" is called for each new
 * head. With "bodies" false the log gets no headers, no bodies and no data, so
 * that a row can be written which cannot be written otherwise.
 */
extern void webhook_log_write(WebhookLogEntry *const *entries, int count,
							  bool bodies, TimestampTz now,
							  WebhookSubjectTest in_memory,
							  WebhookHeadCallback promoted, void *arg);

/*
 * For recovery: returns true if a delivery has ended according to the leaves
 * of the log from "since" on, or has a row in webhook_internal.pending. *attempts
 * becomes the highest attempt of the event to the subscription that these
 * leaves hold, 0 for none.
 */
extern bool webhook_log_knows(int64 subscription_id, int64 position,
							  const WebhookEvent *event, TimestampTz since,
							  int *attempts);

/*
 * Drop the oldest leaf of the log if all its rows are older than both times,
 * waiting for locks no longer than lock_timeout. Returns true if one was
 * dropped. Only tables that are named as the worker names them are dropped.
 */
extern bool webhook_log_partition_retire(TimestampTz older_than,
										 TimestampTz checkpoint_at);

/*
 * Nothing that was sent about a subject is kept: erase.c
 */

#define WEBHOOK_ERASED_AT_ONCE 2000

/* A place in the log, up to which rows of a subject are erased. All zero: its begin. */
typedef struct WebhookLogErasure
{
	Oid			leaf;			/* the leaf that is being worked on */
	Oid			file;			/* its relfilenode: another one has the rows at other places */
	BlockNumber block;			/* rows up to this place are done */
	OffsetNumber offset;
	int			count;			/* of "tids" */
	int			next;			/* index of the first that is not done */
	ItemPointerData tids[WEBHOOK_ERASED_AT_ONCE];	/* where the next rows are */
} WebhookLogErasure;

/*
 * Take bodies, data and context out of the next rows of the log that are about the subject and
 * of events with a lower id than "before". Moves the place; returns true if it is at the end.
 */
extern bool webhook_log_erase(const char *subject, int64 before, WebhookLogErasure *place);

/*
 * Returns true if the event was erased, by an erasure that has committed by now, whenever that
 * was (erasure.c). "subject" may be NULL; "txid" is of the transaction that made the event, 0:
 * it is not known.
 */
extern bool webhook_is_erased(const char *subject, int64 id, FullTransactionId txid);

/* A walk over rows of pending that are about a subject. All zero: its begin. */
typedef struct WebhookPendingWalk
{
	bool		begun;
	bool		at_end;
	int64		subscription_id;
	WebhookPendingCursor cursor;	/* in this subscription */
} WebhookPendingWalk;

/*
 * The next rows of the subject, of any subscription, that a command means, as a List of
 * WebhookPending: at most "limit" rows and, after the first, at most 4 MB of events. NIL: there
 * may be more unless the walk is at its end.
 */
extern List *webhook_pending_about(const char *subject, const WebhookReach *reach, int limit,
								   WebhookPendingWalk *walk);

/*
 * Deliveries that wait: pending.c
 */

/* Returns true if the subject, or the subscription, has rows. */
extern bool webhook_pending_has_subject(int64 subscription_id,
										const char *subject);
extern bool webhook_pending_has_any(int64 subscription_id);

/* The ids of all subscriptions that have rows: a List of int64 *. */
extern List *webhook_pending_subscriptions(void);

/*
 * Rows of a subscription behind the cursor that a command means, in key order, as
 * a List of WebhookPending: at most "limit" rows and, after the first, at most
 * 4 MB of events. If there is none behind the cursor, those from the first row on;
 * NIL: there is no such row at all. The cursor is moved to the last row returned,
 * so that the next call need not walk over the dead index entries of rows that
 * were deleted since.
 */
extern List *webhook_pending_batch(int64 subscription_id, const WebhookReach *reach, int limit,
								   WebhookPendingCursor *cursor);

/*
 * Rows of a subject (NULL: of the events without one) that a command means, as a
 * List of WebhookPending: all rows of the given event, or, if event_id is NULL,
 * only the first row.
 */
extern List *webhook_pending_of_subject(int64 subscription_id, const char *subject,
										const pg_uuid_t *event_id, const WebhookReach *reach);

/*
 * Rows that wait behind a head, in order, as a List of WebhookPending: at most
 * "limit" rows and, after the first, at most "max_bytes" of events. The head is a
 * row of a subject.
 */
extern List *webhook_pending_behind(const WebhookPending *head, int limit, Size max_bytes);

/*
 * Which of them are due: pending_heads.c
 */

/*
 * Heads of a subscription that are due up to "until", in order of next_at, as
 * a List of WebhookPending: at most "limit" rows and, after the first, at most
 * "max_bytes" of events. Rows for which "skip" returns true are left out.
 * *next becomes the next_at of the first head that is neither returned nor
 * skipped; 0: there is none.
 */
extern List *webhook_pending_due(int64 subscription_id, TimestampTz until,
								 int limit, Size max_bytes,
								 WebhookRowTest skip, void *arg,
								 TimestampTz *next);

/* The earliest next_at of a subscription's heads; 0: it has none. */
extern TimestampTz webhook_pending_earliest(int64 subscription_id);

/*
 * After a recovery: make the first row of each subject of a subscription a
 * head, due at "now", unless it is one or "in_memory" returns true for the
 * subject. Each row without subject becomes a head.
 */
extern void webhook_pending_repair(int64 subscription_id, TimestampTz now,
								   WebhookSubjectTest in_memory, void *arg);

/*
 * Make heads of a subscription that are due later than "now" due now: those
 * that a command means, of the subject or, if that is NULL, of the rows behind
 * the cursor. The cursor is moved. Returns false if there may be
 * more behind it.
 */
extern bool webhook_pending_make_due(int64 subscription_id, const char *subject,
									 const WebhookReach *reach, TimestampTz now,
									 WebhookPendingCursor *cursor);

/* The clock was set back: versions of rows from before follow it. */
typedef struct WebhookClockStep
{
	FullTransactionId before;	/* rows written by a transaction before this one follow */
	int64		by;				/* microseconds */
} WebhookClockStep;

/*
 * A step of so many microseconds, that all versions of rows so far follow. Needs no
 * transaction, and none may be open.
 */
extern WebhookClockStep webhook_pending_clock_step(int64 by);

/*
 * Let the heads of a subscription wait no longer than they were meant to: each is due
 * earlier by the steps that it follows, and those that would be due later than
 * "longest" after "now" are due at once; *ahead becomes true if there were any. Looks
 * at about *room heads, counting them down, from those on that are due at *from (0: from the
 * first that may have to move), which is moved. Returns false if some are left.
 */
extern bool webhook_pending_follow_clock(int64 subscription_id, const WebhookClockStep *steps,
										 int nsteps, TimestampTz now, int64 longest,
										 TimestampTz *from, int *room, bool *ahead);

/*
 * How many deliveries wait: pending_count.c, pending_recount.c
 */

/* A number of waiting deliveries, as committed. */
typedef struct WebhookPendingCount
{
	int64		subscription_id;
	int64		pending;
} WebhookPendingCount;

/*
 * The numbers of all subscriptions that have waiting deliveries, as a List of
 * WebhookPendingCount *. Returns false if some are not known.
 */
extern bool webhook_pending_counts(List **counts);

/*
 * Count all rows anew, from the first one on: somebody else may have written some.
 * The second function counts some of them and writes the numbers that are known
 * then; a number of 0 is deleted if "exists" returns false for the subscription.
 * It returns true if there are more. If its transaction is rolled back, counting
 * has to begin again.
 */
extern void webhook_pending_recount(void);
extern bool webhook_pending_recount_some(bool (*exists) (int64 subscription_id));

/*
 * The health of endpoints: subscription_state.c
 */

/* All rows, as a List of WebhookState. */
extern List *webhook_state_load(void);

/* Insert or replace rows, with saved_at set to "now". */
extern void webhook_state_save(WebhookState *const *states, int count,
							   TimestampTz now);

/* Delete the row of a subscription that was dropped. */
extern void webhook_state_forget(int64 subscription_id);

/*
 * How far the worker is: checkpoint.c
 */

/* The row; NULL: no event has been read so far. */
extern WebhookCheckpoint *webhook_checkpoint_load(void);

/* Write the row. */
extern void webhook_checkpoint_save(const WebhookCheckpoint *checkpoint);

/*
 * What became of deliveries, by time: stat_minute.c
 */

/* Elements of a histogram: durations below 1, 2, 4, ... ms; the last has all longer ones, too. */
#define WEBHOOK_DURATION_BUCKETS 20

/* Results of a subscription in some time. */
typedef struct WebhookStatMinute
{
	int64		subscription_id;	/* 0: of all subscriptions */
	int64		outcomes[WEBHOOK_OUTCOMES]; /* number of results with each outcome */
	int64		pending;		/* deliveries that waited at the end; -1: unknown */
	int32		durations[WEBHOOK_DURATION_BUCKETS];	/* histogram of the durations of requests */
} WebhookStatMinute;

/* Write rows for the minute of a time. What the table has for it already is added. */
extern void webhook_stat_minute_write(const WebhookStatMinute *rows, int count, TimestampTz at);

/* Add some minutes that are older than two days to their hours. Returns true if there are more. */
extern bool webhook_stat_minute_fold(TimestampTz now);

/* Delete some of the rows that are older than a time. Returns true if there may be more. */
extern bool webhook_stat_minute_retire(TimestampTz older_than);

/*
 * What people have done: audit.c
 */

/*
 * Write a row in the name of who has called the present function: text,
 * bigint or NULL, uuid or NULL, jsonb, text or NULL.
 */
extern void webhook_audit_write(Datum action, NullableDatum subscription_id,
								NullableDatum event_id, Datum detail,
								NullableDatum tenant);

/*
 * Delete some of the rows that are older than a time, and than all open transactions; at the
 * first call none. Returns true if there may be more.
 */
extern bool webhook_audit_retire(TimestampTz older_than, TimestampTz now);

#endif							/* WEBHOOK_STORE_H */
