/*
 * window.h
 *	  A window: the rows of the ring that committed between two snapshots, in
 *	  order of id, whatever their number.
 */
#ifndef WEBHOOK_WINDOW_H
#define WEBHOOK_WINDOW_H

#include "nodes/pg_list.h"

#include "base/snapshot.h"
#include "ring/event.h"

typedef struct WebhookWindow WebhookWindow;

/*
 * Open a window: all rows of the ring that "end" sees (NULL: the active snapshot
 * of this transaction) and "from" does not. The rows of a window that had been
 * read in part before a crash are left out: those that "partial" sees with an id
 * up to "upto_id" (NULL: there is no such window). A small window is in memory
 * as a whole; of a large one only the keys (ring table, txid, id) are kept, in a
 * file. The window lives in a memory context of its own below the current one,
 * and outlives the transaction. Returns NULL if it would have more than "max_rows" rows
 * (0: any number): then no more of them are looked at.
 */
extern WebhookWindow *webhook_window_open(const WebhookSnapshot *from,
										  const WebhookSnapshot *partial,
										  int64 upto_id,
										  const WebhookSnapshot *end,
										  int64 max_rows);

/*
 * The event types of the window's events, with the tenants that get them, and the
 * subscriptions of its replays: a List of WebhookWindowType, which lives as long as the
 * window. A window of very many tenants has types for any tenant, and one of very many
 * types has one without a name, which stands for all that are not listed.
 */
typedef struct WebhookWindowType
{
	const char *name;			/* NULL: any other type, and replays for any other subscription */
	int64		subscription_id;	/* replays for this one; 0: events of the type */
	const char *tenant;			/* that gets these events; NULL: none does */
	bool		of_any_tenant;	/* any tenant may get some */
	bool		of_platform;	/* the platform itself gets them */
	int64		last_id;		/* highest id of such a row */
} WebhookWindowType;

extern const List *webhook_window_types(const WebhookWindow *window);

/* The snapshot that the window ends with; lives as long as the window. */
extern const WebhookSnapshot *webhook_window_end(const WebhookWindow *window);

/* The number of rows that webhook_window_next() has not returned yet. */
extern int64 webhook_window_remaining(const WebhookWindow *window);

/*
 * The next rows in order of id, events and commands, as a List of WebhookEvent
 * in CurrentMemoryContext with one reference each: at most "max_rows", and as
 * many as fit into "max_bytes", but at least one. NIL: all have been returned, or, while
 * webhook_window_remaining() is not 0, nothing was found so far.
 * A call that has raised an error can be repeated; it skips no row.
 */
extern List *webhook_window_next(WebhookWindow *window, int max_rows,
								 Size max_bytes);

/*
 * Flush the WAL up to the commits of these events: an event that is sent has to
 * be durable, not only visible. Costs little if the WAL has been flushed.
 */
extern void webhook_window_make_durable(List *events);

/* Free the window and its file. */
extern void webhook_window_close(WebhookWindow *window);

#endif							/* WEBHOOK_WINDOW_H */
