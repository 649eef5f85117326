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

typedef struct WebhookTimerHeap
{
	pairingheap *heap;
} WebhookTimerHeap;

/* Make the heap empty; its memory is taken from CurrentMemoryContext. */
extern void webhook_timer_heap_init(WebhookTimerHeap *heap);

/* Set the timer to another time, or with 0 take it out. */
extern void webhook_timer_set(WebhookTimerHeap *heap, WebhookTimer *timer, TimestampTz at);

/* The earliest timer, or NULL. */
extern WebhookTimer *webhook_timer_first(const WebhookTimerHeap *heap);

/* Its time; 0: there is none. */
extern TimestampTz webhook_timer_time(const WebhookTimerHeap *heap);

#endif							/* WEBHOOK_TIMER_HEAP_INTERNAL_H */
