/*
 * part_internal.h
 *	  The rows of one transaction in one ring table, read as they are wanted.
 */
#ifndef WEBHOOK_PART_INTERNAL_H
#define WEBHOOK_PART_INTERNAL_H

#include "base/table.h"
#include "ring/event.h"

typedef struct WebhookPart
{
	int			table_no;
	FullTransactionId txid;
	int64		next_id;		/* rows from this id on are unread */
	bool		ended;			/* no row is unread */

	/* The rest is valid from webhook_part_open() to webhook_part_close(). */
	Relation	relation;
	WebhookScan *scan;
	bool		found;			/* the scan is at a row */
	int64		id;				/* of that row */
} WebhookPart;

/*
 * Go to the first unread row, in a transaction, with its active snapshot; go on
 * to the next one; and end: what is unread begins with the present row. After an
 * error it is as it was.
 */
extern void webhook_part_open(WebhookPart *part);
extern void webhook_part_step(WebhookPart *part);
extern void webhook_part_close(WebhookPart *part);

#endif							/* WEBHOOK_PART_INTERNAL_H */
