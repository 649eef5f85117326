/*
 * held.c
 *	  Puts the events of changes into the order of the rows' versions, which is
 *	  not always the order in which PostgreSQL calls the triggers.
 *
 * PostgreSQL calls the AFTER ROW triggers of a statement when all of its rows
 * have been changed, row by row. So a trigger may execute a statement that
 * changes a row again before the watch's trigger has been called for that row's
 * first change. The outermost statement is known here. Its events are published
 * at once. Those of statements within it are held until it ends, in the order of
 * the statements: a statement within has a greater number, and changes what those
 * with smaller numbers have left. Creations under a new key are held behind the
 * other events of their statement.
 *
 * The executor calls a statement's triggers in ExecutorFinish. So a hook there
 * knows all statements whose triggers are being called, those included of which
 * no watch has been called yet: a statement that changes two tables may call the
 * triggers of the other table first. COPY has no executor; it is known as soon as
 * its own watch is called.
 *
 * An UPDATE that moves a row to another partition looks to triggers like a
 * DELETE there and an INSERT here. But the deleted row is marked as moved, and
 * for each trigger the INSERT follows next. So the event of such a DELETE is
 * held, and the next INSERT that the same watch sees in the statement completes
 * it to one change. If no INSERT comes (the row went to a partition without
 * triggers, or a BEFORE trigger returned NULL), the row was deleted.
 *
 * Events are held in TopTransactionContext, at most MAX_EVENTS of MAX_BYTES.
 * When there are more, all are published, and the outermost statement holds
 * nothing more; the one within it is regarded as the outermost. What COPY leaves
 * is published at the next event, or before the transaction commits.
 *
 * A held event belongs to the subtransaction that made it. If it was published
 * in a deeper subtransaction, it is kept until that can no longer be rolled back
 * alone; if that is rolled back, it is held again.
 *
 * A statement is identified by the memory context that the executor keeps the
 * statement's functions in. Each partition has function structs of its own
 * there; their common watch is found by that context and the names of trigger
 * and event type.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "capture/capture.h"
#include "capture/held_internal.h"
#include "ring/ring.h"

#define MAX_EVENTS	10000
#define MAX_BYTES	(32 * 1024 * 1024)

typedef struct WebhookHeldEvent
{
	dlist_node	node;
	int64		statement;		/* number of the statement */
	bool		creation;		/* comes behind the other events of its statement */
	WebhookWatch *mover;		/* the watch that waits for the INSERT of a move; NULL: the event
								 * is of no move, or the statement has ended */
	int			level;			/* nesting level of the transaction that it belongs to */
	int			published_level;	/* nesting level of the transaction that published it; 0: it
									 * was not published */
	char	   *old_status;		/* as JSON, of a move */
	WebhookEvent *event;
} WebhookHeldEvent;

/* A statement whose AFTER triggers are being called. It is on the stack of the hook. */
typedef struct Finishing
{
	struct Finishing *outer;	/* the statement that it is within; NULL: none */
	MemoryContext context;		/* of the executor */
	int64		number;
	int			depth;			/* number of triggers that are being executed, its own included */
	bool		full;			/* too much was held in it, so no more is */
} Finishing;

static struct
{
	Finishing  *innermost;		/* the statements whose triggers are being called */
	dlist_head	watches;		/* WebhookWatch, of statements that have not ended */
	int64		last_number;	/* of a statement */
	dlist_head	events;			/* WebhookHeldEvent, in the order in which to publish them */
	int			count;			/* of these events */
	Size		bytes;			/* of these events */
	struct
	{
		MemoryContext context;	/* NULL: there is none, or it has ended */
		int64		number;
		int			depth;		/* number of triggers that are being executed, its own included */
		bool		full;		/* too much was held, so no more is */
		bool		creations;	/* some of its creations are held */
		CommandId	created_by; /* the first of them is of this command */
	}			outermost;		/* the statement that holds what those within it publish */
	bool		registered;		/* the callbacks are registered */
	ExecutorFinish_hook_type next_finish;	/* hook that was installed before ours */
}			held =

{
	.watches = DLIST_STATIC_INIT(held.watches),
	.events = DLIST_STATIC_INIT(held.events)
};

static int	trigger_depth(void);
static int64 statement_number(MemoryContext statement);
static Finishing *finishing(MemoryContext statement);
static void set_outermost(WebhookWatch *watch);
static void end_watch(void *arg);
static bool is_held(const WebhookWatch *watch);
static void make_room(WebhookWatch *watch);
static WebhookHeldEvent *hold(WebhookWatch *watch, bool creation, const char *subject,
							  const char *data);
static void insert_in_order(WebhookHeldEvent *new);
static void publish_now(WebhookWatch *watch, const char *subject, const char *data);
static void publish_one(WebhookHeldEvent *event);
static void publish_all(bool with_moves);
static void forget(WebhookHeldEvent *event);
static void register_callbacks(void);
static void executor_finish(QueryDesc *query);
static void call_finish(QueryDesc *query);
static void end_outermost(void);
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
	dlist_foreach(iter, &held.watches)
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
	watch->number = statement_number(statement);
	watch->trigger = MemoryContextStrdup(statement, trigger);
	watch->event_type = MemoryContextStrdup(statement, event_type);
	watch->ended.func = end_watch;
	watch->ended.arg = watch;
	MemoryContextRegisterResetCallback(statement, &watch->ended);
	dlist_push_head(&held.watches, &watch->node);
	return watch;
}

/* The number of a statement: that of its triggers' calls, of its other watches, or a new one. */
static int64
statement_number(MemoryContext statement)
{
	Finishing  *one = finishing(statement);
	dlist_iter	iter;

	if (one != NULL)
		return one->number;
	dlist_foreach(iter, &held.watches)
	{
		WebhookWatch *watch = dlist_container(WebhookWatch, node, iter.cur);

		if (watch->statement == statement)
			return watch->number;
	}
	return ++held.last_number;
}

/* The statement, if the executor is calling its triggers; else NULL. */
static Finishing *
finishing(MemoryContext statement)
{
	Finishing  *one;

	for (one = held.innermost; one != NULL; one = one->outer)
		if (one->context == statement)
			break;
	return one;
}

/* Callback of the statement's memory context: the statement has ended, or failed. */
static void
end_watch(void *arg)
{
	WebhookWatch *watch = arg;

	dlist_delete(&watch->node);
	if (watch->moved != NULL)
		watch->moved->mover = NULL;
	if (held.outermost.number == watch->number)
		held.outermost.context = NULL;
}

/* How many triggers are being executed, one within the other. */
static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

void
webhook_held_begin(WebhookWatch *watch)
{
	if (held.outermost.context != NULL && held.outermost.number == watch->number)
		return;

	/* A statement that is not within the outermost one comes after it. */
	if (held.outermost.context != NULL && trigger_depth() > held.outermost.depth)
		return;

	publish_all(true);
	set_outermost(watch);
}

/*
 * A watch is called, and no statement that it is within may hold its events, or
 * none is known. Choose the outermost statement that may; it is the watch's own if
 * there is no other.
 */
static void
set_outermost(WebhookWatch *watch)
{
	Finishing  *chosen = finishing(watch->statement);

	for (Finishing *one = held.innermost; one != NULL; one = one->outer)
		if (!one->full)
			chosen = one;

	held.outermost.context = chosen != NULL ? chosen->context : watch->statement;
	held.outermost.number = chosen != NULL ? chosen->number : watch->number;
	held.outermost.depth = chosen != NULL ? chosen->depth : trigger_depth();
	held.outermost.full = chosen != NULL && chosen->full;
	held.outermost.creations = false;
}

void
webhook_held_before(WebhookWatch *watch, HeapTupleHeader version)
{
	if (held.outermost.creations && held.outermost.number == watch->number &&
		TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(version)) &&
		HeapTupleHeaderGetCmin(version) >= held.outermost.created_by)
	{
		publish_all(false);
		held.outermost.creations = false;
	}
}

void
webhook_held_publish(WebhookWatch *watch, const char *subject, const char *data)
{
	if (is_held(watch))
		make_room(watch);
	if (is_held(watch))
		(void) hold(watch, false, subject, data);
	else
		publish_now(watch, subject, data);
}

void
webhook_held_publish_creation(WebhookWatch *watch, HeapTupleHeader version,
							  const char *subject, const char *data)
{
	if (!held.outermost.full)
		make_room(watch);
	if (held.outermost.full)
	{
		publish_now(watch, subject, data);
		return;
	}
	if (held.outermost.number == watch->number && !held.outermost.creations)
	{
		held.outermost.creations = true;
		held.outermost.created_by = HeapTupleHeaderGetCmin(version);
	}
	(void) hold(watch, true, subject, data);
}

void
webhook_held_move(WebhookWatch *watch, const char *old_status,
				  const char *subject, const char *data)
{
	WebhookHeldEvent *event;

	Assert(watch->moved == NULL);

	make_room(watch);
	event = hold(watch, false, subject, data);
	event->old_status = MemoryContextStrdup(TopTransactionContext, old_status);
	event->mover = watch;
	watch->moved = event;
}

bool
webhook_held_moved(const WebhookWatch *watch, const char **old_status,
				   const char **subject)
{
	if (watch->moved == NULL)
		return false;
	*old_status = watch->moved->old_status;
	*subject = watch->moved->event->subject;
	return true;
}

void
webhook_held_complete_move(WebhookWatch *watch)
{
	forget(watch->moved);
}

void
webhook_held_end_move(WebhookWatch *watch)
{
	WebhookHeldEvent *event = watch->moved;

	if (event == NULL)
		return;
	event->mover = NULL;
	watch->moved = NULL;
	if (!is_held(watch))
		publish_one(event);
}

/* Returns true if events of the watch's statement are held. */
static bool
is_held(const WebhookWatch *watch)
{
	return held.outermost.context != NULL && !held.outermost.full &&
		held.outermost.number != watch->number;
}

/*
 * If too much is held, publish all but moves that wait for their INSERT. The outermost
 * statement holds nothing more then, but the one within it may.
 */
static void
make_room(WebhookWatch *watch)
{
	Finishing  *full;

	if (held.count < MAX_EVENTS && held.bytes < MAX_BYTES)
		return;

	full = finishing(held.outermost.context);
	publish_all(false);
	held.outermost.full = true;
	if (full != NULL)
	{
		full->full = true;
		set_outermost(watch);
	}
}

/* Hold an event. */
static WebhookHeldEvent *
hold(WebhookWatch *watch, bool creation, const char *subject, const char *data)
{
	MemoryContext old;
	WebhookHeldEvent *new;

	register_callbacks();
	old = MemoryContextSwitchTo(TopTransactionContext);
	new = palloc0(sizeof(WebhookHeldEvent));
	new->statement = watch->number;
	new->creation = creation;
	new->level = GetCurrentTransactionNestLevel();
	new->event = webhook_event_make(watch->event_type, strlen(watch->event_type),
									subject, strlen(subject), data, strlen(data));
	MemoryContextSwitchTo(old);

	new->event->kind = WEBHOOK_EVENT;
	new->event->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&new->event->event_id, new->event->created_at);

	insert_in_order(new);
	held.count++;
	held.bytes += new->event->size;
	return new;
}

/* Put an event behind those that are to be published before it. */
static void
insert_in_order(WebhookHeldEvent *new)
{
	dlist_node *before = NULL;
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &held.events)
	{
		WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event->statement < new->statement ||
			(event->statement == new->statement && event->creation <= new->creation))
		{
			before = iter.cur;
			break;
		}
	}
	if (before != NULL)
		dlist_insert_after(before, &new->node);
	else
		dlist_push_head(&held.events, &new->node);
}

/* Append an event to the ring. */
static void
publish_now(WebhookWatch *watch, const char *subject, const char *data)
{
	WebhookEvent event = {0};

	event.kind = WEBHOOK_EVENT;
	event.created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event.event_id, event.created_at);
	event.event_type = watch->event_type;
	event.subject = subject;
	event.data = data;
	webhook_ring_append(&event);
}

/* Append a held event to the ring. It is forgotten unless that may be rolled back alone. */
static void
publish_one(WebhookHeldEvent *event)
{
	int			level = GetCurrentTransactionNestLevel();

	if (event->mover != NULL)
		event->mover->moved = NULL;
	event->mover = NULL;
	event->published_level = level;
	webhook_ring_append(event->event);

	if (level <= event->level)
		forget(event);
}

/*
 * Publish the held events, in order. Without "with_moves", moves that wait for their INSERT stay.
 */
static void
publish_all(bool with_moves)
{
	WebhookHeldEvent *next;

	do
	{
		dlist_iter	iter;

		/* An append may run code of an index, which may change the list: start at its head. */
		next = NULL;
		dlist_foreach(iter, &held.events)
		{
			WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

			if (event->published_level == 0 && (with_moves || event->mover == NULL))
			{
				next = event;
				break;
			}
		}
		if (next != NULL)
			publish_one(next);
	} while (next != NULL);
}

static void
forget(WebhookHeldEvent *event)
{
	if (event->mover != NULL)
		event->mover->moved = NULL;
	dlist_delete(&event->node);
	held.count--;
	held.bytes -= event->event->size;
	webhook_event_release(event->event);
	if (event->old_status != NULL)
		pfree(event->old_status);
	pfree(event);
}

/* What publishes held events at the end of a transaction. */
static void
register_callbacks(void)
{
	if (held.registered)
		return;
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
	held.registered = true;
}

void
webhook_held_init(void)
{
	held.next_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
}

/* Hook: a statement has made its changes, and its triggers are called. */
static void
executor_finish(QueryDesc *query)
{
	Finishing	one = {0};

	/* What a foreign key's cascade changes calls the triggers of the statement that it is in. */
	if ((query->operation == CMD_SELECT && !query->plannedstmt->hasModifyingCTE) ||
		(query->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0)
	{
		call_finish(query);
		return;
	}

	one.outer = held.innermost;
	one.context = query->estate->es_query_cxt;
	one.number = ++held.last_number;
	one.depth = trigger_depth() + 1;
	held.innermost = &one;
	PG_TRY();
	{
		call_finish(query);
		if (held.outermost.number == one.number)
			end_outermost();
	}
	PG_FINALLY();
	{
		if (held.outermost.number == one.number)
			held.outermost.context = NULL;
		held.innermost = one.outer;
	}
	PG_END_TRY();
}

static void
call_finish(QueryDesc *query)
{
	if (held.next_finish != NULL)
		held.next_finish(query);
	else
		standard_ExecutorFinish(query);
}

/* All triggers of the outermost statement have been called. */
static void
end_outermost(void)
{
	held.outermost.context = NULL;
	if (!dlist_is_empty(&held.events))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		publish_all(true);
		PopActiveSnapshot();
	}
}

static void
at_transaction(XactEvent event, void *arg)
{
	if (dlist_is_empty(&held.events))
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

				dlist_foreach_modify(iter, &held.events)
					forget(dlist_container(WebhookHeldEvent, node, iter.cur));
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

	dlist_foreach_modify(iter, &held.events)
	{
		WebhookHeldEvent *one = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			/* What the subtransaction has done belongs to its parent now. */
			one->level = Min(one->level, level - 1);
			one->published_level = Min(one->published_level, level - 1);
			if (one->published_level != 0 && one->published_level <= one->level)
				forget(one);
		}
		else if (one->level >= level)
			forget(one);
		else if (one->published_level >= level)
			one->published_level = 0;
	}
}
