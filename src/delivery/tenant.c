/*
 * tenant.c
 *	  The tenants that have queues.
 *
 * Places in flight and memory are shared out by tenant first, then by subscription:
 * a tenant of a thousand subscriptions takes no more from another one than a tenant of
 * one. The platform's own subscriptions are one tenant for this. While there is one
 * tenant only, nothing is held back for others.
 *
 * The caps of define_tenant() on requests hold for all queues of the tenant together.
 */
#include "postgres.h"

#include "delivery/tenant_internal.h"

#define TENANT_OF(timer) \
	((WebhookTenant *) ((char *) (timer) - offsetof(WebhookTenant, not_before)))

static void delay(WebhookTenants *tenants, WebhookTenant *tenant, TimestampTz until);

void
webhook_tenants_init(WebhookTenants *tenants, WebhookScheduler *scheduler)
{
	HASHCTL		control = {0};

	control.hcxt = CurrentMemoryContext;
	control.keysize = WEBHOOK_MAX_TENANT + 1;
	control.entrysize = sizeof(WebhookTenant);
	tenants->table = hash_create("webhook tenants with queues", 16, &control,
								 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	tenants->scheduler = scheduler;
	tenants->delayed = webhook_timer_heap_new();
}

WebhookTenant *
webhook_tenant_join(WebhookTenants *tenants, const char *name)
{
	char		key[WEBHOOK_MAX_TENANT + 1] = {0};
	bool		found;
	WebhookTenant *tenant;

	strlcpy(key, name, sizeof(key));
	tenant = hash_search(tenants->table, key, HASH_ENTER, &found);
	if (!found)
	{
		memset(tenant, 0, sizeof(WebhookTenant));
		memcpy(tenant->name, key, sizeof(key));
		webhook_scheduler_add_group(tenants->scheduler, &tenant->scheduling);
	}
	tenant->nqueues++;
	return tenant;
}

void
webhook_tenant_leave(WebhookTenants *tenants, WebhookTenant *tenant)
{
	Assert(tenant->nqueues > 0);
	if (--tenant->nqueues > 0)
		return;
	Assert(tenant->rows == 0 && tenant->memory == 0);
	delay(tenants, tenant, 0);
	webhook_scheduler_remove_group(tenants->scheduler, &tenant->scheduling);
	hash_search(tenants->table, tenant->name, HASH_REMOVE, NULL);
}

void
webhook_tenant_set_caps(WebhookTenants *tenants, WebhookTenant *tenant, const WebhookCaps *caps)
{
	tenant->rate = caps == NULL ? 0 : caps->rate_limit;
	if (webhook_rate_limit_changed(&tenant->rate_limit, tenant->rate))
		delay(tenants, tenant, 0);
	webhook_scheduler_limit_group(tenants->scheduler, &tenant->scheduling,
								  caps == NULL ? 0 : caps->max_in_flight,
								  tenant->not_before.at != 0);
}

bool
webhook_tenant_start(WebhookTenants *tenants, WebhookTenant *tenant, TimestampTz now)
{
	TimestampTz until = webhook_rate_limit_start(&tenant->rate_limit, tenant->rate, now);

	if (until != 0)
		delay(tenants, tenant, until);
	return until != 0;
}

void
webhook_tenants_tick(WebhookTenants *tenants, TimestampTz now, bool set_back)
{
	WebhookTimer *timer;

	while ((timer = webhook_timer_first(tenants->delayed)) != NULL &&
		   (timer->at <= now || set_back))
		delay(tenants, TENANT_OF(timer), 0);
}

TimestampTz
webhook_tenants_tick_time(const WebhookTenants *tenants)
{
	return webhook_timer_time(tenants->delayed);
}

/* No request starts before "until"; 0: it may now. */
static void
delay(WebhookTenants *tenants, WebhookTenant *tenant, TimestampTz until)
{
	webhook_timer_set(tenants->delayed, &tenant->not_before, until);
	webhook_scheduler_limit_group(tenants->scheduler, &tenant->scheduling,
								  tenant->scheduling.limit, until != 0);
}
