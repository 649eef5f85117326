/*
 * cross_partition.c
 *	  Deletions that may turn out to be one half of a move between partitions.
 *
 * A row that an UPDATE moves to another partition is deleted there and
 * inserted here as far as triggers can tell. But a deleted row knows that it
 * was moved, and for each trigger its insertion follows next. So the trigger
 * holds such a deletion back, and the next insertion that the same watch sees
 * in the statement completes it to one change. If none comes (the row went to
 * a partition without triggers, or a BEFORE trigger swallowed it), it was a
 * deletion. It is sent at the next event of this watch, or at the next one of
 * any watch once the statement is over, or before the transaction commits,
 * whatever comes first.
 *
 * A deletion held back lives in TopTransactionContext and belongs to the
 * subtransaction that made it. One that was sent in a deeper subtransaction is
 * kept until that can no longer be undone alone.
 *
 * The end of a statement is the end of the memory context that the executor
 * keeps its functions in. Each partition has functions of its own there; what
 * they share, a watch, is found by that context and the names.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "capture/cross_partition_internal.h"
#include "ring/ring.h"

typedef struct WebhookCrossPartition
{
	dlist_node	node;
	WebhookWatch *watch;		/* NULL: the statement is over, or it is sent */
	int			level;			/* nesting of the transaction it belongs to */
	int			sent_level;		/* of the one that sent it; 0: not sent */
	char	   *old_status;
	WebhookEvent *deletion;
} WebhookCrossPartition;

static dlist_head watches = DLIST_STATIC_INIT(watches);
static dlist_head moves = DLIST_STATIC_INIT(moves);

static void end_watch(void *arg);
static void send_deletion(WebhookCrossPartition *move);
static void send_deletions(bool all);
static void forget(WebhookCrossPartition *move);
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
	dlist_foreach(iter, &watches)
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
	dlist_push_head(&watches, &watch->node);
	return watch;
}

/*
 * The statement is over, one way or the other.
 */
static void
end_watch(void *arg)
{
	WebhookWatch *watch = arg;

	dlist_delete(&watch->node);
	if (watch->move != NULL)
		watch->move->watch = NULL;
}

void
webhook_cross_partition_defer_delete(WebhookWatch *watch, const char *old_status,
									 const char *subject, const char *data)
{
	static bool registered = false;
	MemoryContext old;
	WebhookCrossPartition *move;

	Assert(watch->move == NULL);

	if (!registered)
	{
		RegisterXactCallback(at_transaction, NULL);
		RegisterSubXactCallback(at_subtransaction, NULL);
		registered = true;
	}

	old = MemoryContextSwitchTo(TopTransactionContext);
	move = palloc0(sizeof(WebhookCrossPartition));
	move->level = GetCurrentTransactionNestLevel();
	move->old_status = pstrdup(old_status);
	move->deletion = webhook_event_make(watch->event_type,
										strlen(watch->event_type),
										subject, strlen(subject),
										data, strlen(data));
	MemoryContextSwitchTo(old);

	move->deletion->kind = WEBHOOK_EVENT;
	move->deletion->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&move->deletion->event_id, move->deletion->created_at);

	move->watch = watch;
	watch->move = move;
	dlist_push_tail(&moves, &move->node);
}

const char *
webhook_cross_partition_old_status(const WebhookWatch *watch)
{
	return watch->move != NULL ? watch->move->old_status : NULL;
}

void
webhook_cross_partition_complete(WebhookWatch *watch)
{
	forget(watch->move);
}

void
webhook_cross_partition_flush_deferred(WebhookWatch *watch)
{
	if (watch->move != NULL)
		send_deletion(watch->move);
}

void
webhook_cross_partition_emit_deferred(void)
{
	if (!dlist_is_empty(&moves))
		send_deletions(false);
}

static void
send_deletion(WebhookCrossPartition *move)
{
	int			level = GetCurrentTransactionNestLevel();

	if (move->watch != NULL)
		move->watch->move = NULL;
	move->watch = NULL;
	move->sent_level = level;
	webhook_ring_append(move->deletion);

	if (level <= move->level)
		forget(move);
}

/*
 * Send the deletions that nothing can turn into moves any more, or all.
 */
static void
send_deletions(bool all)
{
	WebhookCrossPartition *next;

	do
	{
		dlist_iter	iter;

		/* Sending may run code of an index, so the list is read anew. */
		next = NULL;
		dlist_foreach(iter, &moves)
		{
			WebhookCrossPartition *move = dlist_container(WebhookCrossPartition, node, iter.cur);

			if (move->sent_level == 0 && (all || move->watch == NULL))
			{
				next = move;
				break;
			}
		}
		if (next != NULL)
			send_deletion(next);
	} while (next != NULL);
}

static void
forget(WebhookCrossPartition *move)
{
	if (move->watch != NULL)
		move->watch->move = NULL;
	dlist_delete(&move->node);
	webhook_event_release(move->deletion);
	pfree(move->old_status);
	pfree(move);
}

static void
at_transaction(XactEvent event, void *arg)
{
	if (dlist_is_empty(&moves))
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			PushActiveSnapshot(GetTransactionSnapshot());
			send_deletions(true);
			PopActiveSnapshot();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			{
				dlist_mutable_iter iter;

				dlist_foreach_modify(iter, &moves)
					forget(dlist_container(WebhookCrossPartition, node, iter.cur));
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

	dlist_foreach_modify(iter, &moves)
	{
		WebhookCrossPartition *move = dlist_container(WebhookCrossPartition, node, iter.cur);

		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			/* What was the child's is the parent's now. */
			move->level = Min(move->level, level - 1);
			move->sent_level = Min(move->sent_level, level - 1);
			if (move->sent_level != 0 && move->sent_level <= move->level)
				forget(move);
		}
		else if (move->level >= level)
			forget(move);
		else if (move->sent_level >= level)
			move->sent_level = 0;
	}
}
