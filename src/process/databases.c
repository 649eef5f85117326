/*
 * databases.c
 *	  The databases of the server, as far as the launcher knows them.
 *
 * Whether a database has the extension can be seen only from inside; from
 * outside, pg_database says whether anybody could connect. Template databases
 * count as not to be connected to: a worker would be in the way of every
 * CREATE DATABASE.
 *
 * That a database lacks the extension is remembered by its oid, in this
 * process only. An entry is good as long as each scan sees its database: an
 * oid may be used wanted_again.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "pgstat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "process/databases_internal.h"

typedef struct Lacking
{
	Oid			database;		/* key */
	uint64		scan;			/* the last that saw it; or the last before the entry was made */
} Lacking;

static HTAB *without_extension = NULL;
static uint64 scans = 0;

static bool is_lacking(Oid database);

void
webhook_databases_init(void)
{
	HASHCTL		control;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Lacking);
	control.hcxt = TopMemoryContext;
	without_extension = hash_create("webhook databases without the extension", 64,
									&control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
webhook_databases_scan(WebhookDatabaseFound found, bool doubt)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	HASH_SEQ_STATUS status;
	Lacking    *entry;

	/* With a gap in the count, no entry is good. */
	scans += doubt ? 2 : 1;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	pgstat_report_activity(STATE_RUNNING, "looking for databases");

	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		bool		eligible = form->datallowconn && !form->datistemplate &&
		!database_is_invalid_form(form);

		found(form->oid, eligible, is_lacking(form->oid));
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);

	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);

	hash_seq_init(&status, without_extension);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->scan != scans)
			(void) hash_search(without_extension, &entry->database, HASH_REMOVE, NULL);
	}
}

/* During a scan that sees the database. */
static bool
is_lacking(Oid database)
{
	Lacking    *entry = hash_search(without_extension, &database, HASH_FIND, NULL);

	if (entry == NULL || entry->scan + 1 != scans)
		return false;
	entry->scan = scans;
	return true;
}

void
webhook_databases_set_without_extension(Oid database)
{
	Lacking    *entry = hash_search(without_extension, &database, HASH_ENTER, NULL);

	entry->scan = scans;
}

void
webhook_databases_unset_without_extension(Oid database)
{
	(void) hash_search(without_extension, &database, HASH_REMOVE, NULL);
}
