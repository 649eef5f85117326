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
	bool		pauses;			/* it is not: too many entries in a row are not visible, and rows
								 * may follow */
	int			passed;			/* entries that are not visible */
	int64		id;				/* of that row, or of the last one of those entries */
} WebhookPart;

/*
 * Go to the first unread row, in a transaction, with its active snapshot; go on
 * to the next one; and end: what is unread begins with the present row. After an
 * error it is as it was. A part that pauses has no row from part->id on that is known
 * before it has been opened again.
 */
extern void webhook_part_open(WebhookPart *part);
extern void webhook_part_step(WebhookPart *part);
extern void webhook_part_close(WebhookPart *part);

#endif							/* WEBHOOK_PART_INTERNAL_H */
