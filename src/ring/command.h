/*
 * command.h
 *	  Commands: rows of the ring that tell the worker something about one
 *	  subscription. How they are written and read.
 */
#ifndef WEBHOOK_COMMAND_H
#define WEBHOOK_COMMAND_H

#include "ring/event.h"

typedef struct WebhookCommand
{
	int64		subscription_id;

	/* Of a replay: the event to be delivered (again), and why. */
	WebhookCause cause;
	int64		id;				/* the event's; 0: the row's own */
	TimestampTz created_at;		/* the event's */
	const char *data;			/* the event's, not terminated; NULL: no replay */
	int			data_length;
} WebhookCommand;

/*
 * A row's column "data", in CurrentMemoryContext: a JSON object that ends with
 * the event's own data, byte for byte.
 */
extern char *webhook_command_form(const WebhookCommand *command);

/* The reverse; false if the row is none. Points into the row. */
extern bool webhook_command_parse(const WebhookEvent *row, WebhookCommand *command);

/*
 * The event that a replay brings, in CurrentMemoryContext: type, subject and
 * event_id are the row's.
 */
extern WebhookEvent *webhook_command_event(const WebhookEvent *row,
										   const WebhookCommand *command);

#endif							/* WEBHOOK_COMMAND_H */
