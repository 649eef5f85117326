/*
 * pending_heads_internal.h
 *	  Which deliveries in webhook_internal.pending are due: what pending_heads.c does
 *	  for log.c.
 */
#ifndef WEBHOOK_PENDING_HEADS_INTERNAL_H
#define WEBHOOK_PENDING_HEADS_INTERNAL_H

#include "store/pending_internal.h"

/*
 * Make the first row of a subject its head, due at "now". Returns true if it
 * was no head before.
 */
extern bool webhook_pending_promote(WebhookPendingWriter *writer, int64 subscription_id,
									const char *subject, TimestampTz now);

#endif							/* WEBHOOK_PENDING_HEADS_INTERNAL_H */
