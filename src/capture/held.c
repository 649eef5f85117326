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
 * A statement may also be executed while the outer one still changes rows: by a
 * BEFORE trigger, or by a function in the outer statement. Its events are about
 * rows that the outer one has not seen, and come first; but what it changes of
 * rows that the outer one has made comes behind the outer one's event. Such an
 * event awaits the row's version, and whatever follows in its subject joins it.
 * When the watch is called for that version, it is published, or held with the
 * events of that statement. A change that is no event awaits the version, too, so
 * that those behind it join.
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
 * nothing more; the one within it is regarded as the outermost.
 *
 * A held event belongs to the subtransaction that made it. If it was published
 * in a deeper subtransaction, it is kept until that can no longer be rolled back
 * alone; if that is rolled back, it is held again.
 *
 * Each partition has function structs of its own; their common watch is found by
 * the statement and the names of trigger and event type.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "capture/capture.h"
#include "capture/held_internal.h"
#include "capture/statement_internal.h"
#include "ring/ring.h"

#define MAX_EVENTS	10000
#define MAX_BYTES	(32 * 1024 * 1024)

typedef struct WebhookHeldEvent
{
	dlist_node	node;
	int64		statement;		/* number of the statement */
	bool		creation;		/* comes behind the other events of its statement */
	bool		silent;			/* is a change that is no event; others of its subject join it */
	WebhookVersion awaited;		/* the event comes behind that of this version */
	WebhookWatch *mover;		/* the watch that waits for the INSERT of a move; NULL: the event
								 * is of no move, or the statement has ended */
	int			level;			/* nesting level of the transaction that it belongs to */
	int			published_level;	/* nesting level of the transaction that published it; 0: it
									 * was not published */
	char	   *old_status;		/* as JSON, of a move */
	WebhookEvent *event;
} WebhookHeldEvent;

static struct
{
	dlist_head	watches;		/* WebhookWatch, of statements that have not ended */
	dlist_head	events;			/* WebhookHeldEvent, in the order in which to publish them */
	int			count;			/* of these events */
	int			awaiting;		/* of these events, those that await a version */
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
}			held =

{
	.watches = DLIST_STATIC_INIT(held.watches),
	.events = DLIST_STATIC_INIT(held.events)
};

static const WebhookVersion no_version = {0};

static int64 statement_number(MemoryContext statement);
static void set_outermost(WebhookWatch *watch);
static void end_watch(void *arg);
static bool is_held(const WebhookWatch *watch);
static WebhookVersion awaited(WebhookWatch *watch, const char *subject);
static WebhookHeldEvent *awaiting(Oid relation, const ItemPointerData *version);
static WebhookHeldEvent *same_subject(const char *event_type, const char *subject);
static bool is_about(const WebhookHeldEvent *event, const char *event_type, const char *subject);
static WebhookHeldEvent *own_event(const WebhookWatch *watch, const char *subject);
static bool make_room(WebhookWatch *watch);
static WebhookHeldEvent *hold(WebhookWatch *watch, bool creation, const WebhookDraft *draft,
							  const WebhookVersion *version);
static void insert_in_order(WebhookHeldEvent *new);
static void publish_now(WebhookWatch *watch, const WebhookDraft *draft);
static void publish_one(WebhookHeldEvent *event);
static void publish_all(bool with_moves);
static void await(WebhookHeldEvent *event, const WebhookVersion *version);
static void await_no_more(WebhookHeldEvent *event, int64 statement);
static void forget(WebhookHeldEvent *event);
static void register_callbacks(void);
static void finish_statement(WebhookStatement *statement);
static void end_statement(WebhookStatement *statement);
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
	WebhookStatement *one = webhook_statement_finishing(statement);
	dlist_iter	iter;

	if (one != NULL)
		return one->number;
	dlist_foreach(iter, &held.watches)
	{
		WebhookWatch *watch = dlist_container(WebhookWatch, node, iter.cur);

		if (watch->statement == statement)
			return watch->number;
	}
	return webhook_statement_next_number();
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

void
webhook_held_begin(WebhookWatch *watch, const TriggerData *trigger)
{
	webhook_statement_calls(watch->statement, watch->number);

	watch->changed.maker = NULL;
	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
	{
		watch->changed.maker = webhook_statement_maker(trigger->tg_trigtuple->t_data);
		watch->changed.relation = RelationGetRelid(trigger->tg_relation);
		watch->changed.tid = trigger->tg_trigslot->tts_tid;
	}

	if (held.outermost.context != NULL && held.outermost.number == watch->number)
		return;

	/* A statement that is not within the outermost one comes after it. */
	if (held.outermost.context != NULL && webhook_statement_depth() > held.outermost.depth)
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
	WebhookStatement *chosen = webhook_statement_outermost();

	if (chosen == NULL)
		chosen = webhook_statement_finishing(watch->statement);

	held.outermost.context = chosen != NULL ? chosen->context : watch->statement;
	held.outermost.number = chosen != NULL ? chosen->number : watch->number;
	held.outermost.depth = chosen != NULL ? chosen->depth : webhook_statement_depth();
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
webhook_held_publish(WebhookWatch *watch, const WebhookDraft *draft)
{
	WebhookVersion version = awaited(watch, draft->subject);

	if ((is_held(watch) || version.maker != NULL) && make_room(watch))
		version = awaited(watch, draft->subject);
	if (is_held(watch) || version.maker != NULL)
		(void) hold(watch, false, draft, &version);
	else
		publish_now(watch, draft);
}

bool
webhook_held_joins(const WebhookWatch *watch)
{
	return watch->changed.maker != NULL || held.awaiting > 0;
}

void
webhook_held_note(WebhookWatch *watch, const char *subject)
{
	WebhookVersion version = awaited(watch, subject);

	if (version.maker != NULL && make_room(watch))
		version = awaited(watch, subject);
	if (version.maker != NULL)
	{
		WebhookDraft nothing = {WEBHOOK_EVENT, subject, NULL, ""};

		hold(watch, false, &nothing, &version)->silent = true;
	}
}

void
webhook_held_end(WebhookWatch *watch, Oid relation, const ItemPointerData *version)
{
	WebhookHeldEvent *event;

	/* An append may run code of an index, which may change the list: look from its head again. */
	while ((event = awaiting(relation, version)) != NULL)
	{
		WebhookHeldEvent *joined = same_subject(event->event->event_type,
												event->event->subject);
		WebhookHeldEvent *own;

		/* It may be behind an event that awaits another version. */
		if (joined != event)
		{
			await(event, &joined->awaited);
			continue;
		}

		/* The version's own event may be a creation, or await a version of an outer statement. */
		own = own_event(watch, event->event->subject);
		event->creation = own != NULL && own->creation;
		await_no_more(event, watch->number);
		if (own != NULL)
			await(event, &own->awaited);
		else if (!is_held(watch))
			publish_one(event);
	}
}

void
webhook_held_publish_creation(WebhookWatch *watch, HeapTupleHeader version,
							  const WebhookDraft *draft)
{
	WebhookVersion to_await;

	if (!held.outermost.full)
		(void) make_room(watch);
	to_await = awaited(watch, draft->subject);
	if (held.outermost.full && to_await.maker == NULL)
	{
		publish_now(watch, draft);
		return;
	}
	if (held.outermost.number == watch->number && !held.outermost.creations)
	{
		held.outermost.creations = true;
		held.outermost.created_by = HeapTupleHeaderGetCmin(version);
	}
	(void) hold(watch, true, draft, &to_await);
}

void
webhook_held_move(WebhookWatch *watch, const char *old_status, const WebhookDraft *draft)
{
	WebhookVersion version;
	WebhookHeldEvent *event;

	Assert(watch->moved == NULL);

	(void) make_room(watch);
	version = awaited(watch, draft->subject);
	event = hold(watch, false, draft, &version);
	event->old_status = MemoryContextStrdup(TopTransactionContext, old_status);
	event->mover = watch;
	watch->moved = event;
}

const WebhookEvent *
webhook_held_moved(const WebhookWatch *watch, const char **old_status)
{
	if (watch->moved == NULL)
		return NULL;
	*old_status = watch->moved->old_status;
	return watch->moved->event;
}

void
webhook_held_complete_move(WebhookWatch *watch)
{
	WebhookHeldEvent *event = watch->moved;

	if (event->awaited.maker == NULL)
	{
		forget(event);
		return;
	}

	/* The change of both joins it. */
	event->silent = true;
	event->mover = NULL;
	watch->moved = NULL;
}

void
webhook_held_end_tenancy(WebhookWatch *watch)
{
	if (watch->moved->event->tenant == NULL)
	{
		webhook_held_complete_move(watch);
		return;
	}
	watch->moved->event->kind = WEBHOOK_EVENT_OF_TENANT;
	webhook_held_end_move(watch);
}

void
webhook_held_end_move(WebhookWatch *watch)
{
	WebhookHeldEvent *event = watch->moved;

	if (event == NULL)
		return;
	event->mover = NULL;
	watch->moved = NULL;
	if (!is_held(watch) && event->awaited.maker == NULL)
		publish_one(event);
}

/* Returns true if events of the watch's statement are held. */
static bool
is_held(const WebhookWatch *watch)
{
	return held.outermost.context != NULL && !held.outermost.full &&
		held.outermost.number != watch->number;
}

/* The version that the event of a change to that subject awaits; its maker is NULL if none. */
static WebhookVersion
awaited(WebhookWatch *watch, const char *subject)
{
	WebhookHeldEvent *joined;

	if (watch->changed.maker != NULL && !watch->changed.maker->full)
		return watch->changed;

	/* The event that is awaited is none that joins. */
	joined = same_subject(watch->event_type, subject);
	if (joined == NULL || joined->awaited.maker->context == watch->statement)
		return no_version;
	return joined->awaited;
}

/* The first held event that awaits that version, or NULL. */
static WebhookHeldEvent *
awaiting(Oid relation, const ItemPointerData *version)
{
	dlist_iter	iter;

	if (held.awaiting == 0)
		return NULL;
	dlist_foreach(iter, &held.events)
	{
		WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event->awaited.maker != NULL && event->awaited.relation == relation &&
			ItemPointerEquals(&event->awaited.tid, unconstify(ItemPointerData *, version)))
			return event;
	}
	return NULL;
}

/* The first held event about that subject that awaits a version, or NULL. */
static WebhookHeldEvent *
same_subject(const char *event_type, const char *subject)
{
	dlist_iter	iter;

	if (held.awaiting == 0)
		return NULL;
	dlist_foreach(iter, &held.events)
	{
		WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event->awaited.maker != NULL && is_about(event, event_type, subject))
			return event;
	}
	return NULL;
}

/* Returns true if the event is of that type and subject, and not published. */
static bool
is_about(const WebhookHeldEvent *event, const char *event_type, const char *subject)
{
	return event->published_level == 0 && strcmp(event->event->subject, subject) == 0 &&
		strcmp(event->event->event_type, event_type) == 0;
}

/* The last held event of the watch's statement about that subject, or NULL. */
static WebhookHeldEvent *
own_event(const WebhookWatch *watch, const char *subject)
{
	dlist_iter	iter;

	dlist_reverse_foreach(iter, &held.events)
	{
		WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event->statement == watch->number && is_about(event, watch->event_type, subject))
			return event;
	}
	return NULL;
}

/*
 * If too much is held, publish all but moves that wait for their INSERT. The outermost
 * statement holds nothing more then, but the one within it may. Nothing more awaits the
 * versions that are awaited now, or others of the same statements. Returns true if it
 * has done so.
 */
static bool
make_room(WebhookWatch *watch)
{
	WebhookStatement *full;
	dlist_iter	iter;

	if (held.count < MAX_EVENTS && held.bytes < MAX_BYTES)
		return false;

	dlist_foreach(iter, &held.events)
	{
		WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

		if (event->awaited.maker != NULL)
			event->awaited.maker->full = true;
		await(event, &no_version);
	}
	full = webhook_statement_finishing(held.outermost.context);
	publish_all(false);
	held.outermost.full = true;
	if (full != NULL)
	{
		full->full = true;
		set_outermost(watch);
	}
	return true;
}

/* Hold an event, which awaits that version; one without maker: it awaits none. */
static WebhookHeldEvent *
hold(WebhookWatch *watch, bool creation, const WebhookDraft *draft,
	 const WebhookVersion *version)
{
	WebhookEventTexts texts = {
		.event_type = webhook_text(watch->event_type),
		.subject = webhook_text(draft->subject),
		.tenant = webhook_text(draft->tenant),
		.context = webhook_text(webhook_session_context()),
		.data = webhook_text(draft->data)
	};
	MemoryContext old;
	WebhookHeldEvent *new;

	register_callbacks();
	old = MemoryContextSwitchTo(TopTransactionContext);
	new = palloc0(sizeof(WebhookHeldEvent));
	new->statement = watch->number;
	new->creation = creation;
	new->level = GetCurrentTransactionNestLevel();
	new->event = webhook_event_make(&texts);
	MemoryContextSwitchTo(old);

	new->event->kind = draft->kind;
	new->event->created_at = GetCurrentTimestamp();
	webhook_event_new_id(&new->event->event_id, new->event->created_at);

	insert_in_order(new);
	if (version->maker != NULL)
	{
		dlist_node *node = &new->node;

		/* Those of a statement within, which are held already, join it. */
		await(new, version);
		while (dlist_has_next(&held.events, node))
		{
			node = dlist_next_node(&held.events, node);
			if (is_about(dlist_container(WebhookHeldEvent, node, node), watch->event_type,
						 draft->subject))
				await(dlist_container(WebhookHeldEvent, node, node), version);
		}
	}
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
publish_now(WebhookWatch *watch, const WebhookDraft *draft)
{
	WebhookEvent event = {0};

	event.kind = draft->kind;
	event.created_at = GetCurrentTimestamp();
	webhook_event_new_id(&event.event_id, event.created_at);
	event.event_type = watch->event_type;
	event.subject = draft->subject;
	event.tenant = draft->tenant;
	event.context = webhook_session_context();
	event.data = draft->data;
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
	if (!event->silent)
		webhook_ring_append(event->event);

	if (level <= event->level)
		forget(event);
}

/*
 * Publish the held events, in order, but for those that await a version. Without "with_moves",
 * moves that wait for their INSERT stay.
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

			WebhookHeldEvent *joined;

			if (event->published_level != 0 || event->awaited.maker != NULL ||
				(!with_moves && event->mover != NULL))
				continue;
			joined = same_subject(event->event->event_type, event->event->subject);
			if (joined == NULL || joined->awaited.maker->number == event->statement)
			{
				next = event;
				break;
			}
			await(event, &joined->awaited);
		}
		if (next != NULL)
			publish_one(next);
	} while (next != NULL);
}

/* Let an event await a version; one without maker: it awaits none. */
static void
await(WebhookHeldEvent *event, const WebhookVersion *version)
{
	if (event->awaited.maker != NULL)
		held.awaiting--;
	event->awaited = *version;
	if (event->awaited.maker != NULL)
		held.awaiting++;
}

/* An event is held as one of that statement, behind those that it has. */
static void
await_no_more(WebhookHeldEvent *event, int64 statement)
{
	await(event, &no_version);
	event->statement = statement;
	dlist_delete(&event->node);
	insert_in_order(event);
}

static void
forget(WebhookHeldEvent *event)
{
	if (event->mover != NULL)
		event->mover->moved = NULL;
	await(event, &no_version);
	dlist_delete(&event->node);
	held.count--;
	held.bytes -= event->event->size;
	webhook_event_release(event->event);
	if (event->old_status != NULL)
		pfree(event->old_status);
	pfree(event);
}

void
webhook_held_init(void)
{
	webhook_statement_init(finish_statement, end_statement);
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

/* All triggers of a statement have been called. */
static void
finish_statement(WebhookStatement *statement)
{
	dlist_mutable_iter iter;

	/* Those that move to the end are seen twice. */
	if (held.awaiting > 0)
	{
		dlist_foreach_modify(iter, &held.events)
		{
			WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

			if (event->awaited.maker == statement)
				await_no_more(event, statement->number);
		}
	}

	if (held.outermost.context == NULL || held.outermost.number == statement->number)
		end_outermost();
}

/* A statement has ended, or failed. */
static void
end_statement(WebhookStatement *statement)
{
	dlist_iter	iter;

	if (held.awaiting > 0)
	{
		dlist_foreach(iter, &held.events)
		{
			WebhookHeldEvent *event = dlist_container(WebhookHeldEvent, node, iter.cur);

			if (event->awaited.maker == statement)
				await(event, &no_version);
		}
	}
	if (statement->number != 0 && held.outermost.number == statement->number)
		held.outermost.context = NULL;
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
