/*
 * pending_heads.c
 *	  Which deliveries in webhook_internal.pending are due.
 *
 * A row that has next_at is a head: it may be delivered once that time has
 * come. Of a subject at most the first row is one, so the others wait for it.
 * An event without subject waits for nothing: each of its rows is a head.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "store/pending_floor_internal.h"
#include "store/pending_heads_internal.h"

/* Of one call of webhook_pending_make_due(). */
#define MOST_LOOKED_AT 5000		/* rows */
#define MOST_MADE_DUE 500		/* rows */

/* Columns of pending_due_idx; the second one of the primary key. */
enum
{
	KEY_SUBSCRIPTION = 1,
	KEY_NEXT_AT,
	KEY_SUBJECT = 2
};

/* A walk over the rows of a subscription that ought to be heads. */
typedef struct Candidates
{
	WebhookScan *rows;
	int64		subscription_id;
	text	   *subject;		/* subject of the present row; '' before the first row */
} Candidates;

static int64 wait_lost(TupleTableSlot *slot, const WebhookClockStep *steps, int nsteps);
static WebhookScan *scan_heads(WebhookPendingReading reading, int64 subscription_id,
							   TimestampTz next_at);
static bool is_skipped(TupleTableSlot *slot, WebhookRowTest skip, void *arg);
static bool make_due(WebhookPendingWriter *writer, TupleTableSlot *slot,
					 const WebhookReach *reach, TimestampTz now);
static Candidates begin_candidates(WebhookPendingReading reading, int64 subscription_id);
static bool next_candidate(Candidates *candidates);
static bool has_subject(const Candidates *candidates);
static bool is_subject_in_memory(const Candidates *candidates, WebhookSubjectTest in_memory,
								 void *arg);
static void set_subject_key(const Candidates *candidates, ScanKey keys, StrategyNumber strategy);

List *
webhook_pending_due(int64 subscription_id, TimestampTz until,
					int limit, Size max_bytes,
					WebhookRowTest skip, void *arg, TimestampTz *next)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	TimestampTz first = 0;
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookScan *scan = scan_heads(reading, subscription_id,
								   webhook_pending_floor_get(subscription_id));

	*next = 0;
	while (webhook_scan_next(scan))
	{
		TupleTableSlot *slot = scan->slot;
		TimestampTz next_at = webhook_pending_read_next_at(slot);
		WebhookPending *row;

		CHECK_FOR_INTERRUPTS();
		if (first == 0)
			first = next_at;
		if (is_skipped(slot, skip, arg))
			continue;
		if (next_at > until || list_length(rows) >= limit ||
			(rows != NIL && bytes >= max_bytes))
		{
			*next = next_at;
			break;
		}
		row = webhook_pending_read_row(slot);
		bytes += row->event->size;
		rows = lappend(rows, row);
	}
	webhook_pending_floor_set(subscription_id, first);
	webhook_scan_end(scan);
	webhook_pending_end_reading(reading);
	return rows;
}

TimestampTz
webhook_pending_earliest(int64 subscription_id)
{
	TimestampTz earliest = 0;
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookScan *scan = scan_heads(reading, subscription_id,
								   webhook_pending_floor_get(subscription_id));

	if (webhook_scan_next(scan))
		earliest = webhook_pending_read_next_at(scan->slot);
	webhook_pending_floor_set(subscription_id, earliest);
	webhook_scan_end(scan);
	webhook_pending_end_reading(reading);
	return earliest;
}

bool
webhook_pending_promote(WebhookPendingWriter *writer, int64 subscription_id,
						const char *subject, TimestampTz now)
{
	TupleTableSlot *slot = webhook_pending_first(writer, subscription_id, subject);

	if (slot == NULL || webhook_pending_read_next_at(slot) != 0)
		return false;
	webhook_pending_set_next_at(writer, slot, now);
	return true;
}

void
webhook_pending_repair(int64 subscription_id, TimestampTz now,
					   WebhookSubjectTest in_memory, void *arg)
{
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookPendingWriter *writer = webhook_pending_open();
	Candidates	candidates = begin_candidates(reading, subscription_id);

	while (next_candidate(&candidates))
	{
		TupleTableSlot *slot = candidates.rows->slot;

		CHECK_FOR_INTERRUPTS();
		if (webhook_pending_read_next_at(slot) == 0 &&
			!is_subject_in_memory(&candidates, in_memory, arg))
			webhook_pending_set_next_at(writer, slot, now);
	}
	webhook_scan_end(candidates.rows);
	webhook_pending_close(writer);
	webhook_pending_end_reading(reading);
}

bool
webhook_pending_make_due(int64 subscription_id, const char *subject, const WebhookReach *reach,
						 TimestampTz now, WebhookPendingCursor *cursor)
{
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookPendingWriter *writer = webhook_pending_open();
	bool		at_end = true;

	if (subject != NULL)
	{
		TupleTableSlot *first = webhook_pending_first(writer, subscription_id, subject);

		if (first != NULL)
			(void) make_due(writer, first, reach, now);
	}
	else
	{
		WebhookScan *scan = webhook_pending_scan_after(reading, subscription_id, cursor);
		int			looked_at = 0;
		int			made_due = 0;

		while (at_end && webhook_scan_next(scan))
		{
			CHECK_FOR_INTERRUPTS();
			webhook_pending_cursor_set(cursor, scan->slot);
			made_due += make_due(writer, scan->slot, reach, now);
			at_end = ++looked_at < MOST_LOOKED_AT && made_due < MOST_MADE_DUE;
		}
		webhook_scan_end(scan);
	}
	webhook_pending_close(writer);
	webhook_pending_end_reading(reading);
	return at_end;
}

WebhookClockStep
webhook_pending_clock_step(int64 by)
{
	WebhookClockStep step = {ReadNextFullTransactionId(), by};

	return step;
}

bool
webhook_pending_follow_clock(int64 subscription_id, const WebhookClockStep *steps, int nsteps,
							 TimestampTz now, int64 longest,
							 TimestampTz *from, int *room, bool *ahead)
{
	WebhookPendingReading reading = webhook_pending_begin_reading();
	WebhookPendingWriter *writer = NULL;
	WebhookScan *scan;
	bool		at_end = true;

	if (*from == 0)
		*from = nsteps > 0 ? now : now + longest;
	scan = scan_heads(reading, subscription_id, *from);
	while (webhook_scan_next(scan))
	{
		TimestampTz next_at = webhook_pending_read_next_at(scan->slot);
		TimestampTz earlier = next_at - wait_lost(scan->slot, steps, nsteps);

		CHECK_FOR_INTERRUPTS();

		/* Heads that are due at one time are looked at together: the next call begins behind. */
		if (*room <= 0 && next_at > *from)
		{
			at_end = false;
			*from = next_at;
			break;
		}
		--*room;
		*from = next_at;
		if (earlier > now + longest)
		{
			*ahead = true;
			earlier = now;
		}
		earlier = Max(earlier, now);
		if (earlier >= next_at)
			continue;
		if (writer == NULL)
			writer = webhook_pending_open();
		webhook_pending_set_next_at(writer, scan->slot, earlier);
	}
	webhook_scan_end(scan);
	if (writer != NULL)
		webhook_pending_close(writer);
	webhook_pending_end_reading(reading);
	return at_end;
}

/* By how much the clock was set back since a version of a row was written. */
static int64
wait_lost(TupleTableSlot *slot, const WebhookClockStep *steps, int nsteps)
{
	HeapTuple	tuple = nsteps == 0 ? NULL : ExecFetchSlotHeapTuple(slot, false, NULL);
	int64		lost = 0;

	for (int i = 0; i < nsteps; i++)
	{
		if (TransactionIdPrecedes(HeapTupleHeaderGetXmin(tuple->t_data),
								  XidFromFullTransactionId(steps[i].before)))
			lost += steps[i].by;
	}
	return lost;
}

/* A scan, in order of next_at, of the heads of a subscription that are due at a time or later. */
static WebhookScan *
scan_heads(WebhookPendingReading reading, int64 subscription_id, TimestampTz next_at)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(subscription_id));
	ScanKeyInit(&keys[1], KEY_NEXT_AT, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE,
				TimestampTzGetDatum(next_at));
	return webhook_scan_begin(reading.relation, webhook_catalog_required()->pending_due,
							  reading.snapshot, lengthof(keys), keys, ForwardScanDirection);
}

static bool
is_skipped(TupleTableSlot *slot, WebhookRowTest skip, void *arg)
{
	char	   *subject = TextDatumGetCString(PENDING(slot, subject));
	bool		skipped;

	skipped = skip(DatumGetInt64(PENDING(slot, subscription_id)),
				   subject[0] ? subject : NULL,
				   DatumGetInt64(PENDING(slot, position)),
				   DatumGetInt64(PENDING(slot, id)), arg);
	pfree(subject);
	return skipped;
}

/* Returns false if the row is no head, is due, or is not meant by a command. */
static bool
make_due(WebhookPendingWriter *writer, TupleTableSlot *slot, const WebhookReach *reach,
		 TimestampTz now)
{
	if (webhook_pending_read_next_at(slot) <= now ||
		!webhook_pending_is_meant(slot, reach))
		return false;
	webhook_pending_set_next_at(writer, slot, now);
	return true;
}

/* Begin a walk over each row without subject and then over the first row of each subject. */
static Candidates
begin_candidates(WebhookPendingReading reading, int64 subscription_id)
{
	Candidates	candidates = {NULL, subscription_id, cstring_to_text("")};
	ScanKeyData keys[2];

	set_subject_key(&candidates, keys, BTGreaterEqualStrategyNumber);
	candidates.rows = webhook_scan_begin(reading.relation,
										 webhook_catalog_required()->pending_pkey,
										 reading.snapshot, lengthof(keys), keys,
										 ForwardScanDirection);
	return candidates;
}

/* Go to the next row, in candidates->rows->slot. Returns false at the end. */
static bool
next_candidate(Candidates *candidates)
{
	text	   *subject;

	if (has_subject(candidates))
	{
		ScanKeyData keys[2];

		set_subject_key(candidates, keys, BTGreaterStrategyNumber);
		webhook_scan_restart(candidates->rows, keys);
	}
	if (!webhook_scan_next(candidates->rows))
		return false;
	subject = DatumGetTextPCopy(PENDING(candidates->rows->slot, subject));
	if (VARSIZE_ANY_EXHDR(subject) > 0)
	{
		pfree(candidates->subject);
		candidates->subject = subject;
	}
	else
		pfree(subject);
	return true;
}

static bool
has_subject(const Candidates *candidates)
{
	return VARSIZE_ANY_EXHDR(candidates->subject) > 0;
}

static bool
is_subject_in_memory(const Candidates *candidates, WebhookSubjectTest in_memory, void *arg)
{
	char	   *subject;
	bool		result;

	if (!has_subject(candidates))
		return false;
	subject = text_to_cstring(candidates->subject);
	result = in_memory(candidates->subscription_id, subject, arg);
	pfree(subject);
	return result;
}

static void
set_subject_key(const Candidates *candidates, ScanKey keys, StrategyNumber strategy)
{
	ScanKeyInit(&keys[0], KEY_SUBSCRIPTION, BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(candidates->subscription_id));
	ScanKeyInit(&keys[1], KEY_SUBJECT, strategy,
				strategy == BTGreaterStrategyNumber ? F_TEXT_GT : F_TEXT_GE,
				PointerGetDatum(candidates->subject));
}
