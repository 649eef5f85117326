/*
 * erasure.c
 *	  Which events were erased, by the audit.
 *
 * The worker forgets an erasure that it has carried out. The audit has it as long as the
 * log and the ring have anything of that time. View webhook_internal.erasure and
 * function means() are what the functions of the install script decide by, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "store/store.h"

static struct
{
	SPIPlanPtr	plan;			/* kept; NULL: not made yet */
}			erasures;

static SPIPlanPtr prepare(void);

bool
webhook_is_erased(const char *subject, int64 id, FullTransactionId txid)
{
	SPIPlanPtr	plan;
	Datum		values[3];
	bool		found;

	if (subject == NULL)
		return false;
	values[0] = CStringGetTextDatum(subject);
	values[1] = Int64GetDatum(id);
	values[2] = FullTransactionIdGetDatum(txid);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	plan = prepare();
	if (SPI_execute_snapshot(plan, values, NULL, GetLatestSnapshot(), InvalidSnapshot, true, false,
							 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read webhook_internal.erasure");
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

static SPIPlanPtr
prepare(void)
{
	Oid			types[] = {TEXTOID, INT8OID, XID8OID};

	if (erasures.plan != NULL)
		return erasures.plan;
	erasures.plan = SPI_prepare("SELECT FROM webhook_internal.erasure e"
								" WHERE e.subject OPERATOR(pg_catalog.=) $1 COLLATE pg_catalog.\"C\""
								" AND webhook_internal.means(e.id, e.txid, e.snapshot, $2, $3)",
								lengthof(types), types);
	if (erasures.plan == NULL || SPI_keepplan(erasures.plan) != 0)
		elog(ERROR, "could not prepare to read webhook_internal.erasure");
	return erasures.plan;
}
