/*
 * timer_heap.c
 *	  A heap of timers, the earliest first.
 */
#include "postgres.h"

#include "delivery/timer_heap_internal.h"

static int	compare(const pairingheap_node *a, const pairingheap_node *b, void *arg);

pairingheap *
webhook_timer_heap_new(void)
{
	return pairingheap_allocate(compare, NULL);
}

void
webhook_timer_set(pairingheap *heap, WebhookTimer *timer, TimestampTz at)
{
	if (at == timer->at)
		return;
	if (timer->at != 0)
		pairingheap_remove(heap, &timer->node);
	timer->at = at;
	if (at != 0)
		pairingheap_add(heap, &timer->node);
}

WebhookTimer *
webhook_timer_first(pairingheap *heap)
{
	if (pairingheap_is_empty(heap))
		return NULL;
	return pairingheap_container(WebhookTimer, node, pairingheap_first(heap));
}

TimestampTz
webhook_timer_time(pairingheap *heap)
{
	const WebhookTimer *first = webhook_timer_first(heap);

	return first == NULL ? 0 : first->at;
}

/* A pairing heap has its greatest element on top: the earliest timer is the greatest. */
static int
compare(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	TimestampTz x = pairingheap_const_container(WebhookTimer, node, a)->at;
	TimestampTz y = pairingheap_const_container(WebhookTimer, node, b)->at;

	return x < y ? 1 : x > y ? -1 : 0;
}
