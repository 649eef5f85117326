/*
 * tenant_internal.h
 *	  The tenants that have queues: what all queues of one have in common.
 */
#ifndef WEBHOOK_TENANT_INTERNAL_H
#define WEBHOOK_TENANT_INTERNAL_H

#include "utils/hsearch.h"

#include "delivery/delivery.h"
#include "delivery/rate_limit_internal.h"
#include "delivery/scheduler_internal.h"
#include "delivery/timer_heap_internal.h"

/* A tenant with its queues; the platform's own subscriptions are one, too. */
typedef struct WebhookTenant
{
	char		name[WEBHOOK_MAX_TENANT + 1];	/* hash key; empty: the platform */
	int			nqueues;		/* queues that it has */
	WebhookSchedulerGroup scheduling;
	double		rate;			/* requests a second of all queues together; 0: no limit */
	WebhookRateLimit rate_limit;
	TimestampTz limited_at;		/* when people were last told that it holds deliveries back */
	WebhookTimer not_before;	/* the rate limit lets no request start before; not set: it may */
	int			rows;			/* rows of pending in memory that are not in flight */
	Size		memory;			/* bytes of its deliveries, each with its event */
} WebhookTenant;

typedef struct WebhookTenants
{
	HTAB	   *table;			/* name -> WebhookTenant */
	WebhookScheduler *scheduler;
	pairingheap *delayed;		/* tenants that have a not_before */
} WebhookTenants;

extern void webhook_tenants_init(WebhookTenants *tenants, WebhookScheduler *scheduler);

/* The tenant gets one more queue; it is made if need be. An empty name is the platform. */
extern WebhookTenant *webhook_tenant_join(WebhookTenants *tenants, const char *name);

/* The tenant has one queue less; with the last one it is gone. */
extern void webhook_tenant_leave(WebhookTenants *tenants, WebhookTenant *tenant);

/* What it may do at most; NULL: no limits. */
extern void webhook_tenant_set_caps(WebhookTenants *tenants, WebhookTenant *tenant,
									const WebhookCaps *caps);

/*
 * A request of one of its queues has started. Returns true if the rate limit holds the next one
 * back.
 */
extern bool webhook_tenant_start(WebhookTenants *tenants, WebhookTenant *tenant, TimestampTz now);

/* End delays that are over; all of them if the clock was set back. */
extern void webhook_tenants_tick(WebhookTenants *tenants, TimestampTz now, bool set_back);

/* When that has something to do; 0: never. */
extern TimestampTz webhook_tenants_tick_time(const WebhookTenants *tenants);

#endif							/* WEBHOOK_TENANT_INTERNAL_H */
