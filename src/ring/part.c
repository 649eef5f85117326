/*
 * part.c
 *	  The rows of one transaction in one ring table, read as they are wanted.
 *
 * The index (txid, id) has them in order of id, so nothing has to be collected
 * or sorted before the first one can be read. A savepoint of a million events that was
 * rolled back has left a million entries: so many are looked at in one go, and no more.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "ring/part_internal.h"
#include "ring/txid_internal.h"

#define MOST_PASSED 5000		/* entries that are not visible, from opening to closing */

void
webhook_part_open(WebhookPart *part)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_XID8EQ,
				FullTransactionIdGetDatum(part->txid));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(part->next_id));
	part->relation = table_open(webhook_catalog_required()->event[part->table_no],
								AccessShareLock);
	part->scan = webhook_scan_begin_entries(part->relation,
											webhook_catalog_required()->event_index[part->table_no],
											GetActiveSnapshot(), lengthof(keys), keys,
											ForwardScanDirection);
	part->passed = 0;
	webhook_part_step(part);
}

void
webhook_part_step(WebhookPart *part)
{
	part->found = part->pauses = false;
	while (!part->found && !part->pauses && webhook_scan_next_entry(part->scan))
	{
		CHECK_FOR_INTERRUPTS();
		part->id = DatumGetInt64(webhook_scan_column(part->scan, WEBHOOK_ENTRY_ID));
		part->found = webhook_scan_fetch(part->scan);
		if (!part->found)
			part->pauses = ++part->passed == MOST_PASSED;
	}
}

void
webhook_part_close(WebhookPart *part)
{
	webhook_scan_end(part->scan);
	table_close(part->relation, NoLock);
	part->ended = !part->found && !part->pauses;
	part->next_id = part->id;
}
