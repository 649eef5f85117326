/*
 * origin_internal.h
 *	  Whether the database is the one that the checkpoint was written in.
 */
#ifndef WEBHOOK_ORIGIN_INTERNAL_H
#define WEBHOOK_ORIGIN_INTERNAL_H

#include "store/store.h"

/*
 * In the first transaction of a worker, before subscriptions are read: the
 * checkpoint that it starts from; NULL: there is none that means anything here.
 * Fences the subscriptions if the data directory is a copy. Whatever the
 * transaction changes is durable when it has committed.
 */
extern WebhookCheckpoint *webhook_origin_checkpoint(void);

/* Returns true if that function has fenced subscriptions in this process. */
extern bool webhook_origin_has_fenced(void);

#endif							/* WEBHOOK_ORIGIN_INTERNAL_H */
