/*
 * part.c
 *	  The rows of one transaction in one ring table, read as they are wanted.
 *
 * The index (txid, id) has them in order of id, so nothing has to be collected
 * or sorted before the first one can be read.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

#include "base/catalog.h"
#include "ring/part_internal.h"

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
	part->scan = webhook_scan_begin(part->relation,
									webhook_catalog_required()->event_index[part->table_no],
									GetActiveSnapshot(), lengthof(keys), keys,
									ForwardScanDirection);
	webhook_part_step(part);
}

void
webhook_part_step(WebhookPart *part)
{
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	part->found = webhook_scan_next(part->scan);
	if (part->found)
		part->id = DatumGetInt64(slot_getattr(part->scan->slot, Anum_webhook_event_id, &isnull));
}

void
webhook_part_close(WebhookPart *part)
{
	webhook_scan_end(part->scan);
	table_close(part->relation, NoLock);
	part->ended = !part->found;
	part->next_id = part->id;
}
