/*
 * progress.c
 *	  Up to where all that was read from the ring is done: the low-water mark.
 *
 * Deliveries end in any order, but a checkpoint can only say "all up to here".
 * So each read batch counts what is outstanding of it: deliveries that are
 * queued, in flight, or whose outcome has not been committed, and commands that
 * are not complete. A batch is done when it has nothing outstanding. Batches
 * are kept in the order of windows and, within a window, of ids, and the
 * low-water mark moves over the first ones as long as they are done.
 *
 * A window that is not read at once has its rest as a batch from the start.
 * Each part that is read is put in front of the rest. So windows after it may be
 * read, and be done, before it: the low-water mark waits at the rest.
 *
 * Windows that are read within a tenth of a second share one batch, so that
 * slow deliveries hold some hundred snapshots, not one for each wake-up.
 *
 * All of it is in memory. After a crash it starts from the last checkpoint.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ring/progress.h"

#define BATCH_SPAN (INT64CONST(100) * 1000) /* microseconds */

struct WebhookProgress
{
	MemoryContext context;		/* of this struct, its batches and snapshots */
	dlist_head	batches;		/* WebhookBatch, in the order that the mark passes them */
	uint64		newest_number;	/* number of the window opened last */
	uint64		done_number;	/* number of the window that the mark passed last */
	WebhookSnapshot *snapshot;	/* the mark: every row that this sees is done */
	WebhookSnapshot *partial;	/* end of a large window that the mark is in; NULL: it is in none */
	int64		upto_id;		/* up to this id the rows of that window are done */
	bool		unsaved;		/* the mark has passed rows since the last checkpoint */
};

struct WebhookBatch
{
	WebhookProgress *progress;
	dlist_node	node;			/* in progress->batches */
	uint64		number;			/* from 1 on, of its window: in the order of opening */
	int64		outstanding;	/* pins */
	bool		has_rows;		/* at least one row was read */
	bool		in_parts;		/* a part of a window, or the rest of one */
	bool		whole;			/* the last of its window: with it all of the window is done */
	TimestampTz opened_at;
	WebhookSnapshot *end;		/* the end of the window, or of the last one of several */
	int64		upto_id;		/* of a part: it has rows up to this id */
};

static WebhookBatch *new_batch(WebhookProgress *progress, uint64 number,
							   const WebhookSnapshot *end, TimestampTz now);
static void advance(WebhookProgress *progress);
static void pass(WebhookProgress *progress, WebhookBatch *batch);

WebhookProgress *
webhook_progress_new(const WebhookSnapshot *snapshot, const WebhookSnapshot *partial,
					 int64 upto_id)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "webhook progress",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookProgress *progress = palloc0(sizeof(WebhookProgress));

	progress->context = context;
	dlist_init(&progress->batches);
	progress->snapshot = webhook_snapshot_copy(snapshot);
	progress->partial = partial ? webhook_snapshot_copy(partial) : NULL;
	progress->upto_id = upto_id;
	MemoryContextSwitchTo(old);
	return progress;
}

WebhookBatch *
webhook_progress_open_batch(WebhookProgress *progress, const WebhookSnapshot *end, bool has_rows,
							TimestampTz now)
{
	WebhookBatch *last = dlist_is_empty(&progress->batches) ? NULL :
		dlist_tail_element(WebhookBatch, node, &progress->batches);
	WebhookBatch *batch;

	if (last != NULL && !last->in_parts &&
		now - last->opened_at >= 0 && now - last->opened_at < BATCH_SPAN)
	{
		MemoryContext old = MemoryContextSwitchTo(progress->context);
		WebhookSnapshot *former = last->end;

		last->end = webhook_snapshot_copy(end);
		pfree(former);
		MemoryContextSwitchTo(old);
		batch = last;
	}
	else
	{
		batch = new_batch(progress, ++progress->newest_number, end, now);
		dlist_push_tail(&progress->batches, &batch->node);
	}
	batch->has_rows |= has_rows;
	batch->outstanding++;
	return batch;
}

WebhookBatch *
webhook_progress_open_rest(WebhookProgress *progress, const WebhookSnapshot *end, TimestampTz now)
{
	WebhookBatch *rest = new_batch(progress, ++progress->newest_number, end, now);

	rest->in_parts = true;
	rest->has_rows = true;
	rest->outstanding++;
	dlist_push_tail(&progress->batches, &rest->node);
	return rest;
}

/* The rest keeps the number: it is the last of its window to be done. */
WebhookBatch *
webhook_batch_take_part(WebhookBatch *rest, int64 upto_id)
{
	WebhookBatch *part = new_batch(rest->progress, rest->number, rest->end, rest->opened_at);

	part->in_parts = true;
	part->whole = false;
	part->upto_id = upto_id;
	part->has_rows = true;
	part->outstanding++;
	dlist_insert_before(&rest->node, &part->node);
	return part;
}

void
webhook_batch_pin(WebhookBatch *batch)
{
	batch->outstanding++;
}

void
webhook_batch_unpin(WebhookBatch *batch)
{
	Assert(batch->outstanding > 0);
	if (--batch->outstanding == 0)
		advance(batch->progress);
}

WebhookLowWaterMark
webhook_progress_low_water_mark(const WebhookProgress *progress)
{
	return (WebhookLowWaterMark)
	{
		progress->snapshot, progress->partial, progress->upto_id
	};
}

bool
webhook_progress_is_unsaved(const WebhookProgress *progress)
{
	return progress->unsaved;
}

void
webhook_progress_saved(WebhookProgress *progress)
{
	progress->unsaved = false;
}

uint64
webhook_progress_newest_window(const WebhookProgress *progress)
{
	return progress->newest_number;
}

bool
webhook_progress_is_done(const WebhookProgress *progress, uint64 window)
{
	return progress->done_number >= window;
}

/* A batch of a window that ends at "end", without pins, in no list. */
static WebhookBatch *
new_batch(WebhookProgress *progress, uint64 number, const WebhookSnapshot *end,
		  TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(progress->context);
	WebhookBatch *batch = palloc0(sizeof(WebhookBatch));

	batch->progress = progress;
	batch->number = number;
	batch->opened_at = now;
	batch->end = webhook_snapshot_copy(end);
	batch->whole = true;
	MemoryContextSwitchTo(old);
	return batch;
}

/* Move the low-water mark over the first batches, as long as they are done. */
static void
advance(WebhookProgress *progress)
{
	while (!dlist_is_empty(&progress->batches))
	{
		WebhookBatch *batch = dlist_head_element(WebhookBatch, node, &progress->batches);

		if (batch->outstanding > 0)
			break;
		pass(progress, batch);
	}
}

/* Move the low-water mark to the end of a batch, and free the batch. */
static void
pass(WebhookProgress *progress, WebhookBatch *batch)
{
	if (progress->partial != NULL)
		pfree(progress->partial);
	if (batch->whole)
	{
		pfree(progress->snapshot);
		progress->snapshot = batch->end;
		progress->partial = NULL;
		progress->upto_id = 0;
	}
	else
	{
		progress->partial = batch->end;
		progress->upto_id = batch->upto_id;
	}
	progress->unsaved |= batch->has_rows;
	if (batch->whole)
		progress->done_number = batch->number;
	dlist_delete(&batch->node);
	pfree(batch);
}
