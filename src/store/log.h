/*
 * log.h
 *	  Outcomes become rows: the log, and what waits in webhook.pending, in one
 *	  transaction.
 */
#ifndef WEBHOOK_JOURNAL_H
#define WEBHOOK_JOURNAL_H

#include "http/http.h"
#include "store/store.h"

/* Column "entry" of the log. */
typedef enum WebhookOutcome
{
	WEBHOOK_DEFERRED,			/* no log row: it only moves to pending */
	WEBHOOK_DELIVERED,
	WEBHOOK_RETRYING,
	WEBHOOK_FAILED,
	WEBHOOK_CANCELLED,
} WebhookOutcome;

/* What becomes of the delivery's row in webhook.pending. */
typedef enum WebhookRowChange
{
	WEBHOOK_ROW_NONE,			/* there is none and shall be none */
	WEBHOOK_ROW_INSERT,
	WEBHOOK_ROW_UPDATE,
	WEBHOOK_ROW_DELETE,
} WebhookRowChange;

typedef struct WebhookLogEntry
{
	WebhookPending delivery;	/* attempt, step and next_at as they shall be */
	WebhookOutcome outcome;
	WebhookRowChange row;
	bool		promote;		/* its subject may need a new head */

	/* For the log; request and response only if a POST was made. */
	const char *endpoint;
	const char *error_class;	/* NULL: none */
	const char *error;			/* NULL: none */
	const WebhookHttpTransfer *transfer;	/* NULL: no POST was made */
} WebhookLogEntry;

/*
 * The time as the log knows it, in a transaction: not before any logged_at or
 * checkpoint so far, whatever the clock does. A checkpoint is dated by it.
 */
extern TimestampTz webhook_log_now(void);

/*
 * Write entries, in the current transaction: rows of the log, changes of
 * pending, then a head for each subject touched, unless "in_memory" says that
 * one of its deliveries is there. Without "bodies" the log gets no headers, no
 * bodies and no data: the way out for a row that cannot be written otherwise.
 * "promoted" is told each subscription that got a new head, due at "now".
 */
extern void webhook_log_write(WebhookLogEntry *const *entries, int count,
							  bool bodies, TimestampTz now,
							  WebhookSubjectTest in_memory,
							  WebhookHeadCallback promoted, void *arg);

/*
 * Recovery: is this delivery finished, as the log's leaves from "since" on
 * tell, or waiting in pending? "attempts" becomes the POSTs of the event to
 * the subscription that the log knows of.
 */
extern bool webhook_log_knows(int64 subscription_id, int64 position,
							  const WebhookEvent *event, TimestampTz since,
							  int *attempts);

#endif							/* WEBHOOK_JOURNAL_H */
