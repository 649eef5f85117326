/*
 * command.h
 *	  Commands: rows of the ring that tell the worker something about one
 *	  subscription. This is the contents of their column "data".
 */
#ifndef WEBHOOK_COMMAND_H
#define WEBHOOK_COMMAND_H

#include "ring/event.h"

typedef struct WebhookCommand
{
	int64		subscription_id;

	/* The rest is set for a replay only, and describes the event to be delivered. */
	WebhookCause cause;			/* of the new delivery */
	int64		id;				/* of the event; 0: the command's own, for a ping */
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
 * The event of a replay, in CurrentMemoryContext, with one reference. Its event
 * type, subject and event_id are those of the row.
 */
extern WebhookEvent *webhook_command_event(const WebhookEvent *row,
										   const WebhookCommand *command);

#endif							/* WEBHOOK_COMMAND_H */
