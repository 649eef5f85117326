/*
 * progress.c
 *	  How far everything before a point is finished: what a checkpoint may say.
 *
 * Deliveries finish in any order, a checkpoint says "all up to here". So what
 * is read counts in epochs, in the order of reading; an epoch is finished when
 * nothing in it is outstanding (queued, in flight, or with an outcome that has
 * not been committed), and the point moves over finished epochs from the
 * oldest on. Windows that follow each other within a tenth of a second share
 * one epoch, so that slow deliveries hold some hundred snapshots, not one a
 * wake-up. Memory only: after a crash the checkpoint's table says it all.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ring/progress.h"

#define EPOCH_SPAN (INT64CONST(100) * 1000)	/* microseconds */

struct WebhookEpoch
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
static dlist_head epochs = DLIST_STATIC_INIT(epochs);
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

WebhookEpoch *
webhook_progress_step(const WebhookSnapshot *end, int64 upto_id, bool whole,
					  bool work, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookEpoch *epoch = NULL;

	if (!dlist_is_empty(&epochs))
		epoch = dlist_tail_element(WebhookEpoch, node, &epochs);

	/* Only whole windows join: a part has to keep its own upto_id. */
	if (epoch != NULL && epoch->whole && whole &&
		now - epoch->opened_at >= 0 && now - epoch->opened_at < EPOCH_SPAN)
	{
		pfree(epoch->end);
	}
	else
	{
		epoch = palloc0(sizeof(WebhookEpoch));
		epoch->number = ++last_number;
		epoch->opened_at = now;
		dlist_push_tail(&epochs, &epoch->node);
	}
	epoch->end = webhook_snapshot_copy(end);
	epoch->upto_id = upto_id;
	epoch->whole = whole;
	epoch->work |= work;
	epoch->outstanding++;

	MemoryContextSwitchTo(old);
	return epoch;
}

void
webhook_progress_hold(WebhookEpoch *epoch)
{
	epoch->outstanding++;
}

void
webhook_progress_release(WebhookEpoch *epoch)
{
	Assert(epoch->outstanding > 0);
	if (--epoch->outstanding == 0)
		advance();
}

bool
webhook_progress_point(const WebhookSnapshot **snapshot,
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

/* Move the point over all finished epochs that nothing older holds back. */
static void
advance(void)
{
	while (!dlist_is_empty(&epochs))
	{
		WebhookEpoch *epoch = dlist_head_element(WebhookEpoch, node, &epochs);

		if (epoch->outstanding > 0)
			break;
		if (point_partial != NULL)
			pfree(point_partial);
		if (epoch->whole)
		{
			pfree(point);
			point = epoch->end;
			point_partial = NULL;
			point_upto = 0;
		}
		else
		{
			point_partial = epoch->end;
			point_upto = epoch->upto_id;
		}
		point_is_news |= epoch->work;
		finished_number = epoch->number;
		dlist_delete(&epoch->node);
		pfree(epoch);
	}
}
