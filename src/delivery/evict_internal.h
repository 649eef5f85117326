/*
 * evict_internal.h
 *	  Eviction of what may not be sent at present.
 */
#ifndef WEBHOOK_EVICT_INTERNAL_H
#define WEBHOOK_EVICT_INTERNAL_H

#include "delivery/delivery_internal.h"

/*
 * If nothing of the queue may wait in memory, evict what is ready.
 * webhook_queue_update() has to follow.
 */
extern void webhook_evict_if_blocked(WebhookDispatcher *dispatcher, WebhookQueue *queue,
									 TimestampTz now);

#endif							/* WEBHOOK_EVICT_INTERNAL_H */
