/*
 * progress.c
 *	  How far everything before a point is finished: what a checkpoint may say.
 *
 * Deliveries finish in any order, a checkpoint says "all up to here". So what
 * is read counts in batches, in the order of reading; an batch is finished when
 * nothing in it is outstanding (queued, in flight, or with an outcome that has
 * not been committed), and the point moves over finished batches from the
 * oldest on. Windows that follow each other within a tenth of a second share
 * one batch, so that slow deliveries hold some hundred snapshots, not one a
 * wake-up. Memory only: after a crash the checkpoint's table says it all.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ring/progress.h"

#define BATCH_SPAN (INT64CONST(100) * 1000) /* microseconds */

struct WebhookBatch
{
	dlist_node	node;
	uint64		number;
	int64		outstanding;
	bool		work;			/* it had rows */
	TimestampTz opened_at;
	WebhookSnapshot *end;		/* of the window it lies in */
	int64		upto_id;		/* ... as far as it is covered ... */
	bool		whole;			/* ... or the window as a whole */
};

static MemoryContext context;
static dlist_head batches = DLIST_STATIC_INIT(batches);
static uint64 last_number;
static uint64 finished_number;

/* The point. */
static WebhookSnapshot *point;
static WebhookSnapshot *point_partial;
static int64 point_upto;
static bool point_is_news;

static void advance(void);

void
webhook_progress_init(const WebhookSnapshot *snapshot,
					  const WebhookSnapshot *partial, int64 upto_id)
{
	MemoryContext old;

	Assert(context == NULL);
	context = AllocSetContextCreate(TopMemoryContext, "webhook progress",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	point = webhook_snapshot_copy(snapshot);
	point_partial = partial ? webhook_snapshot_copy(partial) : NULL;
	point_upto = upto_id;
	MemoryContextSwitchTo(old);
}

WebhookBatch *
webhook_progress_open_batch(const WebhookSnapshot *end, int64 upto_id, bool whole,
							bool work, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookBatch *batch = NULL;

	if (!dlist_is_empty(&batches))
		batch = dlist_tail_element(WebhookBatch, node, &batches);

	/* Only whole windows join: a part has to keep its own upto_id. */
	if (batch != NULL && batch->whole && whole &&
		now - batch->opened_at >= 0 && now - batch->opened_at < BATCH_SPAN)
	{
		pfree(batch->end);
	}
	else
	{
		batch = palloc0(sizeof(WebhookBatch));
		batch->number = ++last_number;
		batch->opened_at = now;
		dlist_push_tail(&batches, &batch->node);
	}
	batch->end = webhook_snapshot_copy(end);
	batch->upto_id = upto_id;
	batch->whole = whole;
	batch->work |= work;
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
		advance();
}

bool
webhook_progress_low_water_mark(const WebhookSnapshot **snapshot,
								const WebhookSnapshot **partial, int64 *upto_id)
{
	*snapshot = point;
	*partial = point_partial;
	*upto_id = point_upto;
	return point_is_news;
}

void
webhook_progress_saved(void)
{
	point_is_news = false;
}

uint64
webhook_progress_mark(void)
{
	return last_number;
}

bool
webhook_progress_reached(uint64 mark)
{
	return finished_number >= mark;
}

/* Move the point over all finished batches that nothing older holds back. */
static void
advance(void)
{
	while (!dlist_is_empty(&batches))
	{
		WebhookBatch *batch = dlist_head_element(WebhookBatch, node, &batches);

		if (batch->outstanding > 0)
			break;
		if (point_partial != NULL)
			pfree(point_partial);
		if (batch->whole)
		{
			pfree(point);
			point = batch->end;
			point_partial = NULL;
			point_upto = 0;
		}
		else
		{
			point_partial = batch->end;
			point_upto = batch->upto_id;
		}
		point_is_news |= batch->work;
		finished_number = batch->number;
		dlist_delete(&batch->node);
		pfree(batch);
	}
}
