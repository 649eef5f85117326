/*
 * timer_heap_internal.h
 *	  A heap of timers, the earliest first: a thousand queues that wait for
 *	  different times cost nothing until the first of them is due.
 */
#ifndef WEBHOOK_TIMER_HEAP_INTERNAL_H
#define WEBHOOK_TIMER_HEAP_INTERNAL_H

#include "datatype/timestamp.h"
#include "lib/pairingheap.h"

/* Embedded in what waits; zeroed, it is not set. */
typedef struct WebhookTimer
{
	pairingheap_node node;
	TimestampTz at;				/* when it is due; 0: not set, and not in the heap */
} WebhookTimer;

/* An empty heap of timers, in CurrentMemoryContext. */
extern pairingheap *webhook_timer_heap_new(void);

/* Set the timer to another time, or with 0 take it out. */
extern void webhook_timer_set(pairingheap *heap, WebhookTimer *timer, TimestampTz at);

/* The earliest timer, or NULL. */
extern WebhookTimer *webhook_timer_first(pairingheap *heap);

/* Its time; 0: there is none. */
extern TimestampTz webhook_timer_time(pairingheap *heap);

#endif							/* WEBHOOK_TIMER_HEAP_INTERNAL_H */
