/*
 * home.c
 *	  Where subscriptions are at home.
 *
 * A subscription stores its home: the cluster, the database and the copy of the
 * extension in it that it was made in (webhook_home()). Where the home differs,
 * the subscription is fenced: its deliveries wait until
 * webhook.resume_database() stores the new home. That is so in a restored dump
 * and in a database that was created with this one as its template.
 *
 * A copy of the data directory has the same home. There the worker appends
 * "/<id of the original directory>" to it, so that the fence outlives restarts,
 * promotions and pg_upgrade.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/catalog.h"
#include "subscription/subscription.h"

static uint64 update(const char *statement, const char *first, const char *second);

uint64
webhook_subscription_move_home(const char *from)
{
	return update("UPDATE webhook_internal.subscription s SET home ="
				  " $1 OPERATOR(pg_catalog.||)"
				  " pg_catalog.substr(s.home, pg_catalog.length($2) OPERATOR(pg_catalog.+) 1)"
				  " WHERE s.home OPERATOR(pg_catalog.=) $2 OR pg_catalog.starts_with(s.home,"
				  " $2 OPERATOR(pg_catalog.||) '/')",
				  webhook_home(), from);
}

uint64
webhook_subscription_fence(const char *directory)
{
	return update("UPDATE webhook_internal.subscription s SET home ="
				  " s.home OPERATOR(pg_catalog.||) '/' OPERATOR(pg_catalog.||) $1"
				  " WHERE s.home OPERATOR(pg_catalog.=) $2",
				  directory, webhook_home());
}

/* A restore sets sequences after it has loaded the tables. */
bool
webhook_subscription_any_ever(void)
{
	bool		isnull;
	Datum		value;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute("SELECT s.is_called FROM webhook_internal.subscription_id_seq s", true, 1) !=
		SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read webhook_internal.subscription_id_seq");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	return DatumGetBool(value);
}

/* Run an UPDATE with two texts as parameters. Returns the number of rows. */
static uint64
update(const char *statement, const char *first, const char *second)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	uint64		count;

	values[0] = CStringGetTextDatum(first);
	values[1] = CStringGetTextDatum(second);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(statement, 2, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update webhook_internal.subscription");
	count = SPI_processed;
	SPI_finish();
	return count;
}
