/*
 * cross_partition.c
 *	  Joins the DELETE and the INSERT by which PostgreSQL moves a row to another
 *	  partition.
 *
 * An UPDATE that moves a row to another partition looks to triggers like a
 * DELETE there and an INSERT here. But the deleted row is marked as moved, and
 * for each trigger the INSERT follows next. So the trigger defers the event of
 * such a DELETE, and the next INSERT that the same watch sees in the statement
 * completes it to one change. If no INSERT comes (the row went to a partition
 * without triggers, or a BEFORE trigger returned NULL), the event of the DELETE
 * is published: at the next event of this watch, or at the next event of any
 * watch after the statement, or before the transaction commits, whichever is
 * first.
 *
 * A deferred DELETE is in TopTransactionContext and belongs to the
 * subtransaction that made it. If it was published in a deeper subtransaction,
 * it is kept until that can no longer be rolled back alone; if that is rolled
 * back, it is deferred again.
 *
 * The end of a statement is recognized by the end of the memory context that the
 * executor keeps the statement's functions in. Each partition has function
 * structs of its own there; their common watch is found by that context and the
 * names of trigger and event type.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "capture/cross_partition_internal.h"
#include "ring/ring.h"

typedef struct WebhookDeferredDelete
{
	dlist_node	node;
	WebhookWatch *watch;		/* NULL: the statement has ended, or the event was published */
	int			level;			/* nesting level of the transaction that it belongs to */
	int			published_level;	/* nesting level of the transaction that published it; 0: it
									 * was not published */
	char	   *old_status;		/* as JSON */
	WebhookEvent *event;		/* to be published if no INSERT follows */
} WebhookDeferredDelete;

static struct
{
	dlist_head	watches;		/* WebhookWatch, of statements that have not ended */
	dlist_head	deferred;		/* WebhookDeferredDelete, the oldest first */
	bool		registered;		/* the transaction callbacks are registered */
}			cross_partition =

{
	.watches = DLIST_STATIC_INIT(cross_partition.watches),
	.deferred = DLIST_STATIC_INIT(cross_partition.deferred)
};

static void end_watch(void *arg);
static void publish_one(WebhookDeferredDelete *deferred);
static void publish_all(bool all);
static void forget(WebhookDeferredDelete *deferred);
static void at_transaction(XactEvent event, void *arg);
static void at_subtransaction(SubXactEvent event, SubTransactionId id,
							  SubTransactionId parent, void *arg);

WebhookWatch *
webhook_watch_get(MemoryContext statement, const char *trigger,
				  const char *event_type, bool *known)
{
	WebhookWatch *watch;
	dlist_iter	iter;

	*known = true;
	dlist_foreach(iter, &cross_partition.watches)
	{
		watch = dlist_container(WebhookWatch, node, iter.cur);
		if (watch->statement == statement &&
			strcmp(watch->trigger, trigger) == 0 &&
			strcmp(watch->event_type, event_type) == 0)
			return watch;
	}

	*known = false;
	watch = MemoryContextAllocZero(statement, sizeof(WebhookWatch));
	watch->statement = statement;
	watch->trigger = MemoryContextStrdup(statement, trigger);
	watch->event_type = MemoryContextStrdup(statement, event_type);
	watch->ended.func = end_watch;
	watch->ended.arg = watch;
	MemoryContextRegisterResetCallback(statement, &watch->ended);
	dlist_push_head(&cross_partition.watches, &watch->node);
	return watch;
}

/* Callback of the statement's memory context: the statement has ended, or failed. */
static void
end_watch(void *arg)
{
	WebhookWatch *watch = arg;

	dlist_delete(&watch->node);
	if (watch->deferred != NULL)
		watch->deferred->watch = NULL;
}

void
webhook_cross_partition_defer(WebhookWatch *watch, const char *old_status,
							  const char *subject, const char *data)
{
	MemoryContext old;
	WebhookDeferredDelete *deferred;

	Assert(watch->deferred == NULL);

	if (!cross_partition.registered)
	{
		RegisterXactCallback(at_transaction, NULL);
		RegisterSubXactCallback(at_subtransaction, NULL);
		cross_partition.registered = true;
	}

	old = MemoryContextSwitchTo(TopTransactionContext);
	deferred = palloc0(sizeof(WebhookDeferredDelete));
	deferred->level = GetCurrentTransactionNestLevel();
	deferred->old_status = pstrdup(old_status);
	deferred->event = webhook_event_make(watch->event_type,
										 strlen(watch->event_type),
										 subject, strlen(subject),
										 data, strlen(data));
	MemoryContextSwitchTo(old);

	deferred->event->kind = WEBHOOK_EVENT;
	deferred->event->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&deferred->event->event_id, deferred->event->created_at);

	deferred->watch = watch;
	watch->deferred = deferred;
	dlist_push_tail(&cross_partition.deferred, &deferred->node);
}

const char *
webhook_cross_partition_old_status(const WebhookWatch *watch)
{
	return watch->deferred != NULL ? watch->deferred->old_status : NULL;
}

void
webhook_cross_partition_complete(WebhookWatch *watch)
{
	forget(watch->deferred);
}

void
webhook_cross_partition_publish_deferred(WebhookWatch *watch)
{
	if (watch->deferred != NULL)
		publish_one(watch->deferred);
}

void
webhook_cross_partition_publish_orphaned(void)
{
	if (!dlist_is_empty(&cross_partition.deferred))
		publish_all(false);
}

/*
 * Publish the event of a deferred DELETE, which is forgotten unless that may be
 * rolled back alone.
 */
static void
publish_one(WebhookDeferredDelete *deferred)
{
	int			level = GetCurrentTransactionNestLevel();

	if (deferred->watch != NULL)
		deferred->watch->deferred = NULL;
	deferred->watch = NULL;
	deferred->published_level = level;
	webhook_ring_append(deferred->event);

	if (level <= deferred->level)
		forget(deferred);
}

/* Publish the deferred DELETEs of statements that have ended, or all. */
static void
publish_all(bool all)
{
	WebhookDeferredDelete *next;

	do
	{
		dlist_iter	iter;

		/* An append may run code of an index, which may change the list: start at its head. */
		next = NULL;
		dlist_foreach(iter, &cross_partition.deferred)
		{
			WebhookDeferredDelete *deferred;

			deferred = dlist_container(WebhookDeferredDelete, node, iter.cur);
			if (deferred->published_level == 0 && (all || deferred->watch == NULL))
			{
				next = deferred;
				break;
			}
		}
		if (next != NULL)
			publish_one(next);
	} while (next != NULL);
}

static void
forget(WebhookDeferredDelete *deferred)
{
	if (deferred->watch != NULL)
		deferred->watch->deferred = NULL;
	dlist_delete(&deferred->node);
	webhook_event_release(deferred->event);
	pfree(deferred->old_status);
	pfree(deferred);
}

static void
at_transaction(XactEvent event, void *arg)
{
	if (dlist_is_empty(&cross_partition.deferred))
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			PushActiveSnapshot(GetTransactionSnapshot());
			publish_all(true);
			PopActiveSnapshot();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			{
				dlist_mutable_iter iter;

				dlist_foreach_modify(iter, &cross_partition.deferred)
					forget(dlist_container(WebhookDeferredDelete, node, iter.cur));
				break;
			}
		default:
			break;
	}
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId id,
				  SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	dlist_mutable_iter iter;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;

	dlist_foreach_modify(iter, &cross_partition.deferred)
	{
		WebhookDeferredDelete *deferred = dlist_container(WebhookDeferredDelete, node, iter.cur);

		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			/* What the subtransaction has done belongs to its parent now. */
			deferred->level = Min(deferred->level, level - 1);
			deferred->published_level = Min(deferred->published_level, level - 1);
			if (deferred->published_level != 0 && deferred->published_level <= deferred->level)
				forget(deferred);
		}
		else if (deferred->level >= level)
			forget(deferred);
		else if (deferred->published_level >= level)
			deferred->published_level = 0;
	}
}
