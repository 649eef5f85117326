/*
 * delivery_internal.h
 *	  The dispatcher: all state of delivery/ for one worker.
 */
#ifndef WEBHOOK_DELIVERY_INTERNAL_H
#define WEBHOOK_DELIVERY_INTERNAL_H

#include "delivery/delivery.h"
#include "delivery/queue_internal.h"
#include "delivery/subject_internal.h"

struct WebhookDispatcher
{
	MemoryContext deliveries;	/* slab of WebhookDelivery */
	WebhookUsage usage;
	WebhookQueues queues;
	WebhookSubjects subjects;
	HTAB	   *rows;			/* rows of pending that are in memory, by WebhookRowKey */
	long		rows_in_flight; /* of them, those in flight */
	dlist_head	in_flight[2];	/* deliveries in flight, oldest first; [true]: found to be slow */
	dlist_head	ended;			/* deliveries that have ended and are not flushed, oldest first */
	TimestampTz spill_interval_at;	/* when the present interval of evict.c began */
};

/* Identity of a row of pending. */
typedef struct WebhookRowKey
{
	int64		subscription_id;
	int64		position;
	int64		id;
} WebhookRowKey;

#endif							/* WEBHOOK_DELIVERY_INTERNAL_H */
