/*
 * progress.h
 *	  Up to where all that was read from the ring is done: the low-water mark,
 *	  which is what a checkpoint says.
 */
#ifndef WEBHOOK_PROGRESS_H
#define WEBHOOK_PROGRESS_H

#include "datatype/timestamp.h"

#include "base/snapshot.h"

/* The progress of one reader. */
typedef struct WebhookProgress WebhookProgress;

/*
 * A read batch: rows of the ring that were read together, of several small
 * windows, of one, or of a part of a large one.  It knows its progress.
 */
typedef struct WebhookBatch WebhookBatch;

typedef struct WebhookLowWaterMark
{
	/* Every row that this snapshot sees is done. */
	const WebhookSnapshot *snapshot;

	/* The end of a large window that is done in part; NULL: there is none. */
	const WebhookSnapshot *partial;

	/* Rows up to this id that "partial" sees are done, too; 0 without "partial". */
	int64		upto_id;
} WebhookLowWaterMark;

/*
 * A progress whose low-water mark is where a checkpoint says; copies are made.
 * "partial" may be NULL. It lives in a memory context of its own below the
 * current one.
 */
extern WebhookProgress *webhook_progress_new(const WebhookSnapshot *snapshot,
											 const WebhookSnapshot *partial, int64 upto_id);

/*
 * The batch of a window that was read as a whole, which ends at "end". The
 * caller has one pin on it and unpins it when all deliveries of its rows have
 * theirs. "has_rows": there was at least one row; progress without rows is not
 * worth a checkpoint.
 */
extern WebhookBatch *webhook_progress_open_batch(WebhookProgress *progress,
												 const WebhookSnapshot *end, bool has_rows,
												 TimestampTz now);

/*
 * The same for a window of which nothing has been read: its rest. The caller
 * has a pin on it, and takes each part that it reads off it: a batch of the
 * rows with an id up to "upto_id", in front of the rest, pinned likewise. The
 * low-water mark does not pass the rest, whatever is done of windows that were
 * read after it, until the caller has unpinned it.
 */
extern WebhookBatch *webhook_progress_open_rest(WebhookProgress *progress,
												const WebhookSnapshot *end, TimestampTz now);
extern WebhookBatch *webhook_batch_take_part(WebhookBatch *rest, int64 upto_id);

/*
 * Count one more, or one less, thing that has to end before the batch is done:
 * a delivery or a command. The batch is not to be used after its last unpin.
 */
extern void webhook_batch_pin(WebhookBatch *batch);
extern void webhook_batch_unpin(WebhookBatch *batch);

/* The low-water mark; valid until a batch is unpinned. */
extern WebhookLowWaterMark webhook_progress_low_water_mark(const WebhookProgress *progress);

/*
 * Returns true if the low-water mark has passed rows since the last
 * webhook_progress_saved(), which says that a checkpoint has been written.
 */
extern bool webhook_progress_is_unsaved(const WebhookProgress *progress);
extern void webhook_progress_saved(WebhookProgress *progress);

/*
 * The number of the newest window, and whether that window and all before it
 * are done.
 */
extern uint64 webhook_progress_newest_window(const WebhookProgress *progress);
extern bool webhook_progress_is_done(const WebhookProgress *progress, uint64 window);

#endif							/* WEBHOOK_PROGRESS_H */
