/*
 * databases.c
 *	  The databases of the server, as far as the launcher knows them.
 *
 * Only a process that is connected to a database can see whether the extension
 * is there; from outside, pg_database says whether it can connect. Template
 * databases count as databases that it cannot connect to: a worker would block
 * every CREATE DATABASE from them.
 *
 * A database that lacks the extension is remembered by its OID, in the memory of
 * the launcher. An OID may be used for another database later, so an entry is
 * valid only as long as every scan has seen its database.
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

typedef struct Entry
{
	Oid			database;		/* key */
	uint64		scan;			/* number of the last scan that saw the database, or of the last
								 * one before the entry was made */
} Entry;

static struct
{
	HTAB	   *without_extension;	/* of Entry: databases that lack the extension */
	uint64		scan;			/* number of the last scan */
}			databases;

static bool lacks_extension(Oid database);

void
webhook_databases_init(void)
{
	HASHCTL		control;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(Entry);
	control.hcxt = TopMemoryContext;
	databases.without_extension = hash_create("webhook databases without the extension", 64,
											  &control,
											  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
webhook_databases_scan(WebhookDatabaseFound found, bool forget)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	/* A gap in the numbers of scans makes all entries invalid. */
	databases.scan += forget ? 2 : 1;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	pgstat_report_activity(STATE_RUNNING, "looking for databases");

	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		WebhookDatabase database;

		database.id = form->oid;
		database.name = NameStr(form->datname);
		database.eligible = form->datallowconn && !form->datistemplate &&
			!database_is_invalid_form(form);
		database.without_extension = lacks_extension(form->oid);
		found(&database);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);

	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);

	hash_seq_init(&status, databases.without_extension);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->scan != databases.scan)
			(void) hash_search(databases.without_extension, &entry->database, HASH_REMOVE, NULL);
	}
}

/* Called during a scan that sees the database; keeps its entry valid. */
static bool
lacks_extension(Oid database)
{
	Entry	   *entry = hash_search(databases.without_extension, &database, HASH_FIND, NULL);

	if (entry == NULL || entry->scan + 1 != databases.scan)
		return false;
	entry->scan = databases.scan;
	return true;
}

void
webhook_databases_set_without_extension(Oid database)
{
	Entry	   *entry = hash_search(databases.without_extension, &database, HASH_ENTER, NULL);

	entry->scan = databases.scan;
}

void
webhook_databases_unset_without_extension(Oid database)
{
	(void) hash_search(databases.without_extension, &database, HASH_REMOVE, NULL);
}
