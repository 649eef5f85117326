/*
 * held_internal.h
 *	  Puts the events of changes into the order of the rows' versions, which is
 *	  not always the order in which PostgreSQL calls the triggers.
 *
 * Most events are published at once. These are held, until the statement ends
 * at the latest:
 *
 * - The creation of a row under a new key. In "SET id = id + 1" the deletion of
 *   the row that had that key before may be an event that is still to come.
 * - The deletion of a row that was moved to another partition. The insertion
 *   that follows makes one change of both.
 * - Each event of a statement that is executed by an AFTER trigger of another
 *   statement. It may be about a row whose change by the outer statement is an
 *   event that is still to come.
 * - An event about a row that another statement has made, which goes on: a BEFORE
 *   trigger or a function in it has changed the row again.
 */
#ifndef WEBHOOK_HELD_INTERNAL_H
#define WEBHOOK_HELD_INTERNAL_H

#include "access/htup.h"
#include "commands/trigger.h"
#include "lib/ilist.h"
#include "utils/palloc.h"

#include "ring/event.h"

struct WebhookHeldEvent;
struct WebhookStatement;

/* A version of a row, whose maker's watch has not been called for it. */
typedef struct WebhookVersion
{
	struct WebhookStatement *maker; /* NULL: there is no such version */
	Oid			relation;
	ItemPointerData tid;
} WebhookVersion;

/* An event that is to be published; its type is the watch's, its context the session's. */
typedef struct WebhookDraft
{
	WebhookKind kind;
	const char *subject;
	const char *tenant;			/* NULL: the platform's own */
	const char *data;
} WebhookDraft;

/* A watch during one statement, for all partitions of its table together. */
typedef struct WebhookWatch
{
	dlist_node	node;
	MemoryContext statement;	/* holds this struct, and lasts as long as the statement */
	MemoryContextCallback ended;	/* called when that context is freed */
	int64		number;			/* of the statement; a later statement has a greater one */
	const char *trigger;		/* name of the trigger */
	const char *event_type;
	bool		warned_size;	/* this statement has warned that data is too large */
	WebhookVersion changed;		/* what the present call's change has replaced */
	struct WebhookHeldEvent *moved; /* the deletion of a moved row whose insertion has not come;
									 * NULL: there is none */
} WebhookWatch;

/*
 * The watch of that trigger and event type during a statement, which is
 * identified by its memory context. It is made if there is none; "known" is set
 * to whether there was one.
 */
extern WebhookWatch *webhook_watch_get(MemoryContext statement, const char *trigger,
									   const char *event_type, bool *known);

/*
 * A trigger of the watch is called. Publishes what is held of statements that
 * have ended.
 */
extern void webhook_held_begin(WebhookWatch *watch, const TriggerData *trigger);

/*
 * The trigger has published what it had to of that version of a row. Publishes,
 * or holds with the events of its statement, what others have changed of the row
 * since.
 */
extern void webhook_held_end(WebhookWatch *watch, Oid relation, const ItemPointerData *version);

/*
 * The event of that row version's end is to be published. If this statement has
 * made the version itself, as a foreign key's cascade can do, publish what is
 * held of the statement.
 */
extern void webhook_held_before(WebhookWatch *watch, HeapTupleHeader version);

/* Publish an event, or hold it. Copies the strings. */
extern void webhook_held_publish(WebhookWatch *watch, const WebhookDraft *draft);

/* Returns true if the change that is no event may have to be noted. */
extern bool webhook_held_joins(const WebhookWatch *watch);

/* A change of that subject is no event. Holds its place, where others' events may join it. */
extern void webhook_held_note(WebhookWatch *watch, const char *subject);

/*
 * Hold the event that the row version was created under a new key, until the
 * statement ends. Copies the strings.
 */
extern void webhook_held_publish_creation(WebhookWatch *watch, HeapTupleHeader version,
										  const WebhookDraft *draft);

/*
 * Hold the event of the deletion of a row that was moved; the watch must have
 * no such event. Copies the strings; "old_status" is JSON.
 */
extern void webhook_held_move(WebhookWatch *watch, const char *old_status,
							  const WebhookDraft *draft);

/* The deletion of the move that is held, and the status before it; NULL: none is held. */
extern const WebhookEvent *webhook_held_moved(const WebhookWatch *watch,
											  const char **old_status);

/* Forget the move, whose insertion has come: both are one event now. */
extern void webhook_held_complete_move(WebhookWatch *watch);

/* The moved row has another tenant now: its deletion is for the former one alone. */
extern void webhook_held_end_tenancy(WebhookWatch *watch);

/* If a move is held, it is a deletion: no insertion has followed. */
extern void webhook_held_end_move(WebhookWatch *watch);

#endif							/* WEBHOOK_HELD_INTERNAL_H */
