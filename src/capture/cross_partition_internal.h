/*
 * cross_partition_internal.h
 *	  Joins the DELETE and the INSERT by which PostgreSQL moves a row to another
 *	  partition.
 *
 * The event of such a DELETE is deferred. The next INSERT of the same watch
 * completes it to the event of one change; without such an INSERT, the event of
 * the DELETE is published after all.
 */
#ifndef WEBHOOK_CROSS_PARTITION_INTERNAL_H
#define WEBHOOK_CROSS_PARTITION_INTERNAL_H

#include "lib/ilist.h"
#include "utils/palloc.h"

#include "ring/event.h"

struct WebhookDeferredDelete;

/* A watch during one statement, for all partitions of its table together. */
typedef struct WebhookWatch
{
	dlist_node	node;
	MemoryContext statement;	/* holds this struct, and lasts as long as the statement */
	MemoryContextCallback ended;	/* called when that context is freed */
	const char *trigger;		/* name of the trigger */
	const char *event_type;
	bool		warned_size;	/* this statement has warned that data is too large */
	struct WebhookDeferredDelete *deferred; /* the deferred DELETE; NULL: there is none */
} WebhookWatch;

/*
 * The watch of that trigger and event type during a statement, which is
 * identified by its memory context. It is made if there is none; "known" is set
 * to whether there was one.
 */
extern WebhookWatch *webhook_watch_get(MemoryContext statement, const char *trigger,
									   const char *event_type, bool *known);

/*
 * Defer the event of a DELETE; the watch must have no deferred one. Makes the
 * event's id and time, and copies the strings; statuses are JSON.
 */
extern void webhook_cross_partition_defer(WebhookWatch *watch, const char *old_status,
										  const char *subject, const char *data);

/* The status before the deferred DELETE, as JSON. NULL: there is none. */
extern const char *webhook_cross_partition_old_status(const WebhookWatch *watch);

/* Forget the deferred DELETE: it was half of a move that is one event now. */
extern void webhook_cross_partition_complete(WebhookWatch *watch);

/* Publish the event of the deferred DELETE, if there is one: it was no half of a move. */
extern void webhook_cross_partition_publish_deferred(WebhookWatch *watch);

/* The same for all watches of statements that have ended. */
extern void webhook_cross_partition_publish_orphaned(void);

#endif							/* WEBHOOK_CROSS_PARTITION_INTERNAL_H */
