/*
 * tenant.c
 *	  SQL functions about tenants: whose rows the current user sees, whose subscriptions
 *	  the caller acts on, and the lock under which they change.
 *
 * Policies and views call sees_all() and my_tenant(), which are of the current user;
 * functions behind a door call the others, which are of its caller. A parallel worker
 * may know neither, so all of them are for the leader.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/caller.h"
#include "base/catalog.h"
#include "base/tenant.h"

static int64 count_now(const char *query, Datum tenant);
static Datum tenant_or_null(FunctionCallInfo fcinfo, Oid role);

PG_FUNCTION_INFO_V1(webhook_sees_all_tenants);
PG_FUNCTION_INFO_V1(webhook_my_tenant);
PG_FUNCTION_INFO_V1(webhook_caller_sees_all);
PG_FUNCTION_INFO_V1(webhook_caller_tenant);
PG_FUNCTION_INFO_V1(webhook_acts_on);
PG_FUNCTION_INFO_V1(webhook_lock_tenant);
PG_FUNCTION_INFO_V1(webhook_count_subscriptions);
PG_FUNCTION_INFO_V1(webhook_count_challenges);

/* sees_all(): true if the current user sees the platform and all tenants */
Datum
webhook_sees_all_tenants(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(webhook_sees_all(GetUserId()));
}

/* my_tenant(): the tenant that the current user acts for; NULL: none, or all */
Datum
webhook_my_tenant(PG_FUNCTION_ARGS)
{
	return tenant_or_null(fcinfo, GetUserId());
}

/* caller_sees_all(): the same as sees_all(), of the caller of the door */
Datum
webhook_caller_sees_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(webhook_sees_all(webhook_caller()));
}

/* caller_tenant(): the same as my_tenant(), of the caller of the door */
Datum
webhook_caller_tenant(PG_FUNCTION_ARGS)
{
	return tenant_or_null(fcinfo, webhook_caller());
}

/* acts_on(tenant text): true if the caller may act for the tenant; NULL is the platform */
Datum
webhook_acts_on(PG_FUNCTION_ARGS)
{
	Oid			caller = webhook_caller();
	char	   *tenant;

	if (webhook_sees_all(caller))
		PG_RETURN_BOOL(true);
	tenant = webhook_role_tenant(caller);
	PG_RETURN_BOOL(tenant != NULL && !PG_ARGISNULL(0) &&
				   strcmp(tenant, text_to_cstring(PG_GETARG_TEXT_PP(0))) == 0);
}

/*
 * lock_tenant(tenant text): until the transaction ends, nobody else gives this tenant a
 * subscription, changes what one of them sends where, or ends one; NULL is the platform.
 * Two tenants whose hashes agree have one lock, and wait for each other.
 */
Datum
webhook_lock_tenant(PG_FUNCTION_ARGS)
{
	uint32		hash = 0;

	PreventCommandDuringRecovery("a change of subscriptions of webhook");
	if (!PG_ARGISNULL(0))
	{
		text	   *tenant = PG_GETARG_TEXT_PP(0);

		hash = hash_bytes((const unsigned char *) VARDATA_ANY(tenant), VARSIZE_ANY_EXHDR(tenant));
	}
	LockDatabaseObject(webhook_catalog_required()->subscription, hash, 0, ExclusiveLock);
	PG_RETURN_VOID();
}

/*
 * count_subscriptions(tenant text): how many the tenant has now, whatever the
 * transaction's snapshot
 */
Datum
webhook_count_subscriptions(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(count_now("SELECT pg_catalog.count(*) FROM webhook_internal.subscription s"
							  " WHERE s.tenant OPERATOR(pg_catalog.=) $1",
							  PG_GETARG_DATUM(0)));
}

/*
 * count_challenges(tenant text): how often endpoints of the tenant were challenged within
 * the last hour, by acts that have committed or are the transaction's own
 */
Datum
webhook_count_challenges(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(count_now("SELECT pg_catalog.count(*) FROM webhook_internal.audit a"
							  " WHERE a.tenant OPERATOR(pg_catalog.=) $1"
							  " AND a.at OPERATOR(pg_catalog.>) $2"
							  " AND a.detail OPERATOR(pg_catalog.->) 'new'"
							  " OPERATOR(pg_catalog.->>) 'confirmation' IS NOT NULL",
							  PG_GETARG_DATUM(0)));
}

/*
 * The only value of a query about a tenant, $1, and what is younger than an hour, $2; as of
 * now, whatever the transaction's snapshot.
 */
static int64
count_now(const char *query, Datum tenant)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {tenant, TimestampTzGetDatum(GetCurrentTimestamp() - USECS_PER_HOUR)};
	SPIPlanPtr	plan;
	bool		isnull;
	int64		count;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = SPI_prepare(query, lengthof(types), types);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(), InvalidSnapshot, true, false,
							 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not count what the tenant has");
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	return count;
}

static Datum
tenant_or_null(FunctionCallInfo fcinfo, Oid role)
{
	char	   *tenant = webhook_role_tenant(role);

	if (tenant == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(tenant));
}
