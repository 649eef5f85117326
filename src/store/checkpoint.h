/*
 * checkpoint.h
 *	  How far the worker is, as the one row of webhook.checkpoint.
 */
#ifndef WEBHOOK_CHECKPOINT_H
#define WEBHOOK_CHECKPOINT_H

#include "base/snapshot.h"

typedef struct WebhookCheckpoint
{
	const char *home;			/* where it was written */
	const WebhookSnapshot *snapshot;	/* all that it sees is finished */
	const WebhookSnapshot *partial; /* and of what this one sees ... */
	int64		upto_id;		/* ... all up to here; NULL and 0: none */
	TimestampTz saved_at;		/* when it was written */
} WebhookCheckpoint;

/* The row, in CurrentMemoryContext; NULL: nothing has been seen yet. */
extern WebhookCheckpoint *webhook_checkpoint_load(void);

/* Write the row. */
extern void webhook_checkpoint_save(const WebhookCheckpoint *checkpoint);

#endif							/* WEBHOOK_CHECKPOINT_H */
