/*
 * index_internal.h
 *	  Subscriptions by tenant and event type.
 */
#ifndef WEBHOOK_INDEX_INTERNAL_H
#define WEBHOOK_INDEX_INTERNAL_H

#include "utils/hsearch.h"

#include "subscription/subscription.h"

/* Some subscriptions, in order of id. */
typedef struct WebhookSubscribers
{
	int			count;
	int			size;			/* number of elements that are allocated */
	const WebhookSubscription **subscriptions;
} WebhookSubscribers;

/*
 * The next two belong to an array that is in a memory context. The first makes room for
 * one more. After that the second, which adds a subscription that is not there, cannot
 * fail; and the third removes one that is there.
 */
extern void webhook_subscribers_make_room(WebhookSubscribers *subscribers, MemoryContext context);
extern void webhook_subscribers_add(WebhookSubscribers *subscribers,
									const WebhookSubscription *subscription);
extern void webhook_subscribers_remove(WebhookSubscribers *subscribers,
									   const WebhookSubscription *subscription);

typedef struct WebhookIndex WebhookIndex;

/* An empty index, which lives as long as the memory context. */
extern WebhookIndex *webhook_index_new(MemoryContext context);

/* Returns true if the index has the tenant (NULL: the platform), or none can have that name. */
extern bool webhook_index_has_tenant(const WebhookIndex *index, const char *name);

/* Enter a tenant, or set what it may get. The caps live as long as the index. */
extern void webhook_index_set_caps(WebhookIndex *index, const char *name, const WebhookCaps *caps);

/*
 * Make room for a subscription, and set its caps; its tenant is entered if need be. After
 * that webhook_index_add() cannot fail.
 */
extern void webhook_index_make_room(WebhookIndex *index, WebhookSubscription *subscription);
extern void webhook_index_add(WebhookIndex *index, const WebhookSubscription *subscription);

/* Remove a subscription, by the values that it was added with. Cannot fail. */
extern void webhook_index_remove(WebhookIndex *index, const WebhookSubscription *subscription);

/* All enabled subscriptions. */
extern const WebhookSubscribers *webhook_index_enabled(const WebhookIndex *index);

/*
 * The enabled subscriptions of a tenant (NULL: the platform) that get an event type; NULL:
 * there is none. Valid until the index is changed.
 */
extern const WebhookSubscribers *webhook_index_find(WebhookIndex *index, const char *tenant,
													const char *event_type);

/* Returns true if one of some names and patterns includes a type. */
extern bool webhook_index_includes(const char **names, int count, const char *event_type);

#endif							/* WEBHOOK_INDEX_INTERNAL_H */
