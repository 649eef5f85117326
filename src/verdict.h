/*
 * verdict.h
 *	  What an answer means. A pure function of its inputs.
 */
#ifndef WEBHOOK_VERDICT_H
#define WEBHOOK_VERDICT_H

#include "journal.h"

/* Did it fail for the endpoint's sake: would another delivery fare as ill? */
extern bool webhook_verdict_is_ailing(const WebhookHttpTransfer *transfer);

/*
 * What becomes of a delivery after its POST: WEBHOOK_DELIVERED, _FAILED or
 * _RETRYING. "next_at" is when to try again.
 */
extern WebhookResult webhook_verdict(const WebhookPending *delivery,
									 const WebhookHttpTransfer *transfer,
									 TimestampTz now, TimestampTz *next_at);

/* Why it failed: a constant class and a text. */
extern const char *webhook_verdict_class(const WebhookHttpTransfer *transfer);
extern char *webhook_verdict_error(const WebhookHttpTransfer *transfer);

#endif							/* WEBHOOK_VERDICT_H */
