/*
 * state_internal.h
 *	  The states of subscriptions: which they are, that they are saved and told.
 */
#ifndef WEBHOOK_STATE_INTERNAL_H
#define WEBHOOK_STATE_INTERNAL_H

#include "delivery/queue_internal.h"

/*
 * Something has changed that a queue's state follows from: note the state, and keep
 * it for being told if people do not know it. "change" says what it was, as far
 * as that is known.
 */
extern void webhook_queue_note_state(WebhookQueues *queues, WebhookQueue *queue,
									 WebhookHealthChange change, TimestampTz now);

/* A process has saved a state, and told it. What this one has told counts more. */
extern void webhook_queue_note_saved(WebhookQueue *queue, const char *state);

/* What is saved has changed; "urgent": it is to be saved at once. */
extern void webhook_queue_mark_dirty(WebhookQueues *queues, WebhookQueue *queue, bool urgent);

#endif							/* WEBHOOK_STATE_INTERNAL_H */
