/*
 * notify.c
 *	  Tells people of a subscription's state changes.
 *
 * The state is committed first, so a full NOTIFY queue cannot lose it. Of an
 * endpoint's URL credentials are left out.
 *
 * Of thousands of subscriptions whose state changes at once, as that of all does when
 * sending is switched off, the log gets some lines, and the channel everything.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "commands/async.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/redact.h"
#include "worker/notify_internal.h"

#define CHANNEL "webhook"
#define MOST_LINES 1000			/* in a minute */

static struct
{
	TimestampTz minute_at;		/* when the present minute has begun */
	int			lines;			/* written to the server's log in it */
}			told;

static bool may_write(TimestampTz now);

static void write_server_log(const WebhookStateChange *change, int64 subscription_id,
							 const char *reason, const WebhookSubscription *subscription);
static void notify(const WebhookStateChange *change, int64 subscription_id, const char *tenant);
static char *channel_of(const char *tenant);

void
webhook_notify_state_change(const WebhookStateChange *change, int64 subscription_id,
							const char *reason, const char *tenant,
							const WebhookSubscription *subscription)
{
	/* Of a subscription that is gone only its end is told: it has no endpoint any more. */
	if (change->change == WEBHOOK_HEALTH_UNCHANGED ||
		(subscription == NULL && strcmp(change->state, WEBHOOK_STATE_GONE) != 0))
		return;
	if (may_write(GetCurrentTimestamp()))
		write_server_log(change, subscription_id, reason, subscription);
	if (change->change != WEBHOOK_HEALTH_LIMITED &&
		change->change != WEBHOOK_HEALTH_TENANT_LIMITED)
		notify(change, subscription_id, tenant);
}

/* If the clock was set back, another minute begins. */
static bool
may_write(TimestampTz now)
{
	if (now < told.minute_at || now - told.minute_at >= USECS_PER_MINUTE)
	{
		told.minute_at = now;
		told.lines = 0;
	}
	if (++told.lines == MOST_LINES)
		ereport(LOG,
				(errmsg("webhook writes no more state changes of subscriptions to this log for a minute"),
				 errdetail("There were %d within a minute. Those that follow are only told on channel \"%s\".",
						   MOST_LINES, CHANNEL)));
	return told.lines < MOST_LINES;
}

static void
write_server_log(const WebhookStateChange *change, int64 subscription_id, const char *reason,
				 const WebhookSubscription *subscription)
{
	long long	id = subscription_id;
	const char *endpoint;
	const char *until = timestamptz_to_str(change->until);

	if (subscription == NULL)
	{
		ereport(LOG,
				(errmsg("webhook subscription %lld was ended by webhook.unsubscribe()", id)));
		return;
	}
	endpoint = webhook_redact_url(subscription->endpoint);
	switch (change->change)
	{
		case WEBHOOK_HEALTH_UNCHANGED:
			break;
		case WEBHOOK_HEALTH_OPENED:
			ereport(LOG,
					(errmsg("circuit breaker for webhook subscription %lld opened after %d consecutive failures",
							id, change->consecutive_failures),
					 reason ? errdetail("The endpoint is %s. The next attempt is at %s. The last error was: %s.",
										endpoint, until, reason) :
					 errdetail("The endpoint is %s. The next attempt is at %s.", endpoint, until)));
			break;
		case WEBHOOK_HEALTH_CLOSED:
			ereport(LOG,
					(errmsg("circuit breaker for webhook subscription %lld closed", id),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_WAITING:
			ereport(LOG,
					(errmsg("webhook subscription %lld waits until %s, as Retry-After asks", id, until),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_WAIT_OVER:
			ereport(LOG,
					(errmsg("webhook subscription %lld no longer waits for the end of a Retry-After", id),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_SET:
			ereport(LOG,
					(errmsg("state of webhook subscription %lld is now \"%s\"", id,
							change->state),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_ALTERED:
			ereport(LOG,
					(errmsg("webhook subscription %lld was altered", id),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_LIMITED:
			ereport(LOG,
					(errmsg("webhook subscription %lld is held back by its rate limit of %g calls per second",
							id, subscription->rate_limit),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_TENANT_LIMITED:
			ereport(LOG,
					(errmsg("webhook subscription %lld is held back by the rate limit of %g calls per second of tenant \"%s\"",
							id, subscription->caps == NULL ? 0 : subscription->caps->rate_limit,
							subscription->tenant == NULL ? "" : subscription->tenant),
					 errdetail("The endpoint is %s.", endpoint)));
			break;
		case WEBHOOK_HEALTH_DISABLED:
			ereport(LOG,
					(errmsg("webhook subscription %lld was disabled", id),
					 reason ? errdetail("The endpoint is %s. Waiting deliveries are cancelled. The last error was: %s.",
										endpoint, reason) :
					 errdetail("The endpoint is %s. Waiting deliveries are cancelled.", endpoint),
					 errhint("Call webhook.alter_subscription(%lld, enabled => true) once the endpoint works, and webhook.recover() to send what it has missed.",
							 id)));
			break;
	}
}

/*
 * Anybody who can connect may listen: neither endpoint nor reason are told. Of a tenant's
 * subscription they get to know only that something has changed; the state is told on a
 * channel of which only the entitled know the name.
 */
static void
notify(const WebhookStateChange *change, int64 subscription_id, const char *tenant)
{
	const char *channel = tenant != NULL ? channel_of(tenant) : CHANNEL;
	StringInfoData payload;

	initStringInfo(&payload);
	if (tenant != NULL)
	{
		appendStringInfo(&payload, "{\"subscription\":" INT64_FORMAT "}", subscription_id);
		Async_Notify(CHANNEL, payload.data);
		resetStringInfo(&payload);
	}
	appendStringInfo(&payload, "{\"subscription\":" INT64_FORMAT ",\"state\":\"%s\",\"until\":",
					 subscription_id, change->state);
	if (change->until != 0)
		escape_json(&payload, timestamptz_to_str(change->until));
	else
		appendStringInfoString(&payload, "null");
	appendStringInfoChar(&payload, '}');
	if (channel != NULL)
		Async_Notify(channel, payload.data);
	pfree(payload.data);
}

/* The channel of a tenant; NULL: it is not defined, or its table is not as we know it. */
static char *
channel_of(const char *tenant)
{
	Oid			schema = webhook_catalog_required()->internal_schema;
	Oid			relid = get_relname_relid("tenant", schema);
	Oid			index = get_relname_relid("tenant_pkey", schema);
	AttrNumber	name = OidIsValid(relid) ? get_attnum(relid, "name") : InvalidAttrNumber;
	AttrNumber	column = OidIsValid(relid) ? get_attnum(relid, "channel") : InvalidAttrNumber;
	Relation	table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	char	   *channel = NULL;

	if (name == InvalidAttrNumber || column == InvalidAttrNumber)
		return NULL;
	table = table_open(relid, AccessShareLock);
	ScanKeyEntryInitialize(&key, 0, name, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID,
						   F_TEXTEQ, CStringGetTextDatum(tenant));
	scan = systable_beginscan(table, index, OidIsValid(index), NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		bool		isnull;
		Datum		value = heap_getattr(row, column, RelationGetDescr(table), &isnull);

		channel = isnull ? NULL : TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);

	/* Async_Notify() takes no other. */
	return channel != NULL && channel[0] != '\0' && strlen(channel) < NAMEDATALEN ? channel : NULL;
}
