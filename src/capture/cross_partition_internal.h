/*
 * cross_partition_internal.h
 *	  Deletions that may turn out to be one half of a move between partitions.
 */
#ifndef WEBHOOK_CROSS_PARTITION_INTERNAL_H
#define WEBHOOK_CROSS_PARTITION_INTERNAL_H

#include "lib/ilist.h"
#include "utils/palloc.h"

#include "ring/event.h"

struct WebhookCrossPartition;

/* One watch in one statement, all partitions of its table together. */
typedef struct WebhookWatch
{
	dlist_node	node;
	MemoryContext statement;	/* where this is, as long as that lasts */
	MemoryContextCallback ended;
	const char *trigger;
	const char *event_type;
	bool		warned_size;	/* the trigger's, for one WARNING a statement */
	struct WebhookCrossPartition *move; /* the deletion held back; NULL: none */
} WebhookWatch;

/*
 * The watch in the statement that a memory context lasts as long as, made if
 * it is not there yet; "known" tells.
 */
extern WebhookWatch *webhook_watch_get(MemoryContext statement,
									   const char *trigger,
									   const char *event_type, bool *known);

/*
 * Hold a deletion back. There must be none. The strings are copied; id and
 * instant are made here.
 */
extern void webhook_cross_partition_defer_delete(WebhookWatch *watch, const char *old_status,
												 const char *subject, const char *data);

/* The status before the deletion that is held back, as JSON; NULL: none is. */
extern const char *webhook_cross_partition_old_status(const WebhookWatch *watch);

/* It was half of a move: forget it. */
extern void webhook_cross_partition_complete(WebhookWatch *watch);

/* It was a deletion: send it. Does nothing if there is none. */
extern void webhook_cross_partition_flush_deferred(WebhookWatch *watch);

/* Send the deletions that were held back in statements that are over. */
extern void webhook_cross_partition_emit_deferred(void);

#endif							/* WEBHOOK_CROSS_PARTITION_INTERNAL_H */
