/*
 * command.h
 *	  Commands: rows of the ring that tell the worker something about one
 *	  subscription. This is the contents of their column "data".
 */
#ifndef WEBHOOK_COMMAND_H
#define WEBHOOK_COMMAND_H

#include "base/snapshot.h"
#include "ring/event.h"

/*
 * The deliveries that a command means, by the rows of the ring that caused them.
 * Ids alone do not tell, because a transaction may draw an id and commit much later.
 */
typedef struct WebhookReach
{
	int64		before;			/* rows with a lower id than this, */
	const WebhookSnapshot *snapshot;	/* and of transactions that this sees (NULL: of any), */
	FullTransactionId txid;		/* or of this one, which is the command's own */
	bool		replays;		/* and replays of all that, whenever they were called: of an
								 * erasure */
} WebhookReach;

typedef struct WebhookCommand
{
	int64		subscription_id;
	const char *snapshot;		/* of a cancel, skip or retry: what had committed when it was
								 * called, in the text form of pg_snapshot, which ends with '"'
								 * in a row that was parsed; NULL: none */

	/* The rest is set for a replay only, and describes the event to be delivered. */
	WebhookCause cause;			/* of the new delivery */
	int64		id;				/* of the event; 0: the command's own, for a ping */
	FullTransactionId txid;		/* that made the event; 0: it is not known */
	TimestampTz created_at;		/* of the event */
	const char *data;			/* of the event, not terminated; NULL: the command is no replay */
	int			data_length;	/* in bytes */
} WebhookCommand;

/*
 * The column "data" of a command, in CurrentMemoryContext: a JSON object. That
 * of a replay ends with the data of its event, byte for byte.
 */
extern char *webhook_command_form(const WebhookCommand *command);

/*
 * Parse the column "data" of a row. Returns false if it does not have that form.
 * command->data points into the row.
 */
extern bool webhook_command_parse(const WebhookEvent *row, WebhookCommand *command);

/*
 * What a replay counts as among the event types of what is unread: its subscription, which may not
 * take the type of the event any more. "data" is a row's column, or its beginning. Returns false
 * if it does not have that form.
 */
#define WEBHOOK_REPLAY_MARK_SIZE 24
extern bool webhook_replay_mark(const char *data, char *mark);

/* The subscription of a mark; 0: it is the name of an event type. */
extern int64 webhook_replay_mark_subscription(const char *name);

/*
 * What a command that was parsed from a row means: what had committed when it was
 * called, and what its own transaction did before. The snapshot is in CurrentMemoryContext.
 */
extern WebhookReach webhook_command_reach(const WebhookEvent *row, const WebhookCommand *command);

/*
 * Returns true if a command means a delivery with that position, caused in that transaction. If
 * it is a replay, "id" and "origin" are those of its event, else they are the same.
 */
extern bool webhook_reach_covers(const WebhookReach *reach, int64 position,
								 FullTransactionId txid, int64 id, FullTransactionId origin);

/*
 * The event of a replay, in CurrentMemoryContext, with one reference. All that
 * the command does not have is of the row.
 */
extern WebhookEvent *webhook_command_event(const WebhookEvent *row,
										   const WebhookCommand *command);

#endif							/* WEBHOOK_COMMAND_H */
