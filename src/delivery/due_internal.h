/*
 * due_internal.h
 *	  What becomes known of the rows of pending when a group is flushed.
 */
#ifndef WEBHOOK_DUE_INTERNAL_H
#define WEBHOOK_DUE_INTERNAL_H

#include "delivery/queue_internal.h"

/*
 * A row of the queue is in pending, a head due at "next_at" (0: no head).
 * webhook_queue_update() has to follow.
 */
extern void webhook_due_note_row(WebhookQueues *queues, WebhookQueue *queue,
								 TimestampTz next_at);

/* A row of the queue was deleted: schedule a check whether any is left. */
extern void webhook_due_note_deleted(WebhookQueues *queues, WebhookQueue *queue);

#endif							/* WEBHOOK_DUE_INTERNAL_H */
