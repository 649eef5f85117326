/*
 * progress.c
 *	  Up to where all that was read from the ring is done: the low-water mark.
 *
 * Deliveries end in any order, but a checkpoint can only say "all up to here".
 * So each read batch counts what is outstanding of it: deliveries that are
 * queued, in flight, or whose outcome has not been committed, and commands that
 * are not complete. A batch is done when it has nothing outstanding. Batches
 * are kept in the order of reading, and the low-water mark moves over the
 * oldest ones as long as they are done.
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
	dlist_head	batches;		/* WebhookBatch, the oldest first */
	uint64		newest_number;	/* number of the batch opened last */
	uint64		done_number;	/* number of the batch that the mark passed last */
	WebhookSnapshot *snapshot;	/* the low-water mark: see WebhookLowWaterMark */
	WebhookSnapshot *partial;	/* of the low-water mark */
	int64		upto_id;		/* of the low-water mark */
	bool		unsaved;		/* the mark has passed rows since the last checkpoint */
};

struct WebhookBatch
{
	WebhookProgress *progress;
	dlist_node	node;			/* in progress->batches */
	uint64		number;			/* from 1 on, in the order of reading */
	int64		outstanding;	/* pins */
	bool		has_rows;		/* at least one row was read */
	TimestampTz opened_at;
	WebhookSnapshot *end;		/* the end of the window that was read last */
	int64		upto_id;		/* rows of that window up to this id were read */
	bool		whole;			/* all of that window was read */
};

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
webhook_progress_open_batch(WebhookProgress *progress, const WebhookSnapshot *end, int64 upto_id,
							bool whole, bool has_rows, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(progress->context);
	WebhookBatch *batch = NULL;

	if (!dlist_is_empty(&progress->batches))
		batch = dlist_tail_element(WebhookBatch, node, &progress->batches);

	/* Only whole windows share a batch: a part has to keep its own upto_id. */
	if (batch != NULL && batch->whole && whole &&
		now - batch->opened_at >= 0 && now - batch->opened_at < BATCH_SPAN)
	{
		pfree(batch->end);
	}
	else
	{
		batch = palloc0(sizeof(WebhookBatch));
		batch->progress = progress;
		batch->number = ++progress->newest_number;
		batch->opened_at = now;
		dlist_push_tail(&progress->batches, &batch->node);
	}
	batch->end = webhook_snapshot_copy(end);
	batch->upto_id = upto_id;
	batch->whole = whole;
	batch->has_rows |= has_rows;
	batch->outstanding++;

	MemoryContextSwitchTo(old);
	return batch;
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
webhook_progress_newest_batch(const WebhookProgress *progress)
{
	return progress->newest_number;
}

bool
webhook_progress_is_done(const WebhookProgress *progress, uint64 batch_number)
{
	return progress->done_number >= batch_number;
}

/* Move the low-water mark over the oldest batches, as long as they are done. */
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
	progress->done_number = batch->number;
	dlist_delete(&batch->node);
	pfree(batch);
}
