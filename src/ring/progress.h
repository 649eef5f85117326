/*
 * progress.h
 *	  How far everything before a point is finished: what a checkpoint may say.
 */
#ifndef WEBHOOK_PROGRESS_H
#define WEBHOOK_PROGRESS_H

#include "datatype/timestamp.h"

#include "base/snapshot.h"

/* A stretch of the ring, read together: a window, several, or part of one. */
typedef struct WebhookBatch WebhookBatch;

/* Start from a checkpoint; copies are made. "partial" may be NULL. */
extern void webhook_progress_init(const WebhookSnapshot *snapshot,
								  const WebhookSnapshot *partial, int64 upto_id);

/*
 * The batch that the next stretch counts in: rows of the window that ends at
 * "end" with an id up to "upto_id", or, with "whole", the rest of the window.
 * It is returned held once, for the reading itself. "work" tells whether the
 * stretch had any rows: without, a checkpoint need not be written for it.
 */
extern WebhookBatch *webhook_progress_open_batch(const WebhookSnapshot *end,
												 int64 upto_id, bool whole,
												 bool work, TimestampTz now);

/* One more, one less thing outstanding. */
extern void webhook_batch_pin(WebhookBatch *batch);
extern void webhook_batch_unpin(WebhookBatch *batch);

/*
 * How far all is finished; valid until the next call of this room. True if
 * that is further, by work, than at the last webhook_progress_saved().
 */
extern bool webhook_progress_low_water_mark(const WebhookSnapshot **snapshot,
											const WebhookSnapshot **partial,
											int64 *upto_id);
extern void webhook_progress_saved(void);

/*
 * A number for "all that has been read so far", and whether that is finished.
 */
extern uint64 webhook_progress_mark(void);
extern bool webhook_progress_reached(uint64 mark);

#endif							/* WEBHOOK_PROGRESS_H */
