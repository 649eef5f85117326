/*
 * catalog.c
 *	  Where the extension's objects are in this database.
 *
 * Everything is found by its name in the schema "webhook" and kept until an
 * invalidation of one of these relations says that it may have changed, so an
 * append costs no look-up. The invalidation only counts: the struct itself
 * changes when somebody asks for it, hence a pointer to it never dangles.
 *
 * Columns and indexes are compared with what the C code assumes about them.
 * An owner may alter these tables as he likes; that must end in an error, not
 * in a datum of one type being read as another. Columns added after ours are
 * harmless, and so are further indexes.
 *
 * Whoever changes a contract shall not suffer for an index that is missing in
 * the ring: events are appended as long as there is a table to append to, and
 * wait there for the worker, who does report it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"

static const Oid event_columns[] = {
	INT8OID, XID8OID, TIMESTAMPTZOID, UUIDOID, CHAROID, TEXTOID, TEXTOID,
	JSONOID
};

static const Oid log_columns[] = {
	INT8OID, UUIDOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID, TEXTOID,
	TEXTOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, INETOID, INT4OID,
	TIMESTAMPTZOID, INTERVALOID, JSONBOID, TEXTOID, INT4OID, JSONBOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONOID
};

static const Oid pending_columns[] = {
	INT8OID, TEXTOID, INT8OID, INT8OID, UUIDOID, TEXTOID, INT4OID, INT4OID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
	JSONOID
};

static const Oid state_columns[] = {
	INT8OID, INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID,
	TIMESTAMPTZOID, PG_SNAPSHOTOID, TIMESTAMPTZOID, INTERVALOID, INT8OID,
	INT8OID, INT8OID, INT8OID, FLOAT8OID, INTERVALOID, INTERVALOID,
	TIMESTAMPTZOID
};

static const Oid checkpoint_columns[] = {
	TEXTOID, PG_SNAPSHOTOID, PG_SNAPSHOTOID, INT8OID, TIMESTAMPTZOID
};

StaticAssertDecl(lengthof(event_columns) == Natts_webhook_event,
				 "columns of the ring");
StaticAssertDecl(lengthof(log_columns) == Natts_webhook_log,
				 "columns of log");
StaticAssertDecl(lengthof(pending_columns) == Natts_webhook_pending,
				 "columns of pending");
StaticAssertDecl(lengthof(state_columns) == Natts_webhook_state,
				 "columns of subscription_state");
StaticAssertDecl(lengthof(checkpoint_columns) == Natts_webhook_checkpoint,
				 "columns of checkpoint");

static const AttrNumber event_index_keys[] = {
	Anum_webhook_event_txid, Anum_webhook_event_id
};

static const AttrNumber pending_pkey_keys[] = {
	Anum_webhook_pending_subscription_id, Anum_webhook_pending_subject,
	Anum_webhook_pending_position, Anum_webhook_pending_id
};

static const AttrNumber pending_due_keys[] = {
	Anum_webhook_pending_subscription_id, Anum_webhook_pending_next_at
};

static const AttrNumber state_pkey_keys[] = {
	Anum_webhook_state_subscription_id
};

static WebhookCatalog catalog;
static char problem[NAMEDATALEN];	/* what is not as it should be */
static uint64 changes = 1;		/* invalidations seen, and 1 */
static uint64 known = 0;		/* value of "changes" that catalog is of; 0: of none */

static bool refresh(void);
pg_noreturn static void report_absence(void);
static void forget(Datum arg, Oid relid);
static bool look_up(void);
static bool find_extension(void);
static Oid	find_relation(const char *name, char relkind);
static Oid	find_table(const char *name, char relkind, const Oid *types,
					   int ncolumns);
static Oid	find_index(const char *name, Oid relid, bool partial,
					   const AttrNumber *keys, int nkeys);
static Oid	report(const char *name);

const WebhookCatalog *
webhook_catalog(void)
{
	if (!refresh())
		return NULL;
	if (problem[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"webhook.%s\" is missing or has been altered",
						problem),
				 errhint("Undo the change of it, or create the extension anew.")));
	return &catalog;
}

const WebhookCatalog *
webhook_catalog_required(void)
{
	const WebhookCatalog *found = webhook_catalog();

	if (found == NULL)
		report_absence();
	return found;
}

const WebhookCatalog *
webhook_catalog_for_append(void)
{
	if (!refresh())
		report_absence();
	return &catalog;
}

const char *
webhook_home(void)
{
	static char home[64];

	if (home[0] == '\0')
		snprintf(home, sizeof(home), UINT64_FORMAT "/%u",
				 GetSystemIdentifier(), MyDatabaseId);
	return home;
}

bool
webhook_home_parse(const char *home, uint64 *system, Oid *database)
{
	char	   *end;
	unsigned long long number;

	if (*home < '0' || *home > '9')
		return false;
	errno = 0;
	number = strtoull(home, &end, 10);
	if (errno != 0 || end[0] != '/' || end[1] < '0' || end[1] > '9')
		return false;
	*system = number;
	number = strtoull(end + 1, &end, 10);
	if (errno != 0 || *end != '\0' || number > OID_MAX)
		return false;
	*database = (Oid) number;
	return true;
}

/* Bring "catalog" up to date. False if the extension is not there. */
static bool
refresh(void)
{
	static bool registered = false;

	if (known == changes)
		return true;

	Assert(IsTransactionState());
	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		registered = true;
	}

	/* An invalidation may come while we look. */
	do
	{
		uint64		before = changes;

		known = 0;
		if (!look_up())
			return false;
		known = before;
	} while (known != changes);
	return true;
}

static void
report_absence(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("extension \"%s\" is not installed in this database",
					"webhook"),
			 errhint("Run CREATE EXTENSION webhook.")));
}

/* Callback of the relation cache. What is missing may come under any OID. */
static void
forget(Datum arg, Oid relid)
{
	bool		ours = !OidIsValid(relid) || problem[0] != '\0' ||
	relid == catalog.event_sequence || relid == catalog.subscription ||
	relid == catalog.log || relid == catalog.pending ||
	relid == catalog.pending_pkey || relid == catalog.pending_due ||
	relid == catalog.state || relid == catalog.state_pkey ||
	relid == catalog.checkpoint;

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
		ours |= relid == catalog.event[i] || relid == catalog.event_index[i];
	if (ours)
		changes++;
}

/*
 * Fill in "catalog". What is not as it should be is InvalidOid, the first such
 * thing named in "problem". False if the extension is not there.
 */
static bool
look_up(void)
{
	char		name[NAMEDATALEN];

	memset(&catalog, 0, sizeof(catalog));
	problem[0] = '\0';

	if (!find_extension())
		return false;
	catalog.schema = get_namespace_oid("webhook", true);

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		snprintf(name, sizeof(name), "event_%d", i);
		catalog.event[i] = find_table(name, RELKIND_RELATION, event_columns,
									  Natts_webhook_event);
		snprintf(name, sizeof(name), "event_%d_txid_id_idx", i);
		catalog.event_index[i] = find_index(name, catalog.event[i], false,
											event_index_keys,
											lengthof(event_index_keys));
	}
	catalog.event_sequence = find_relation("event_id_seq", RELKIND_SEQUENCE);
	catalog.subscription = find_relation("subscription", RELKIND_RELATION);
	catalog.log = find_table("log", RELKIND_PARTITIONED_TABLE, log_columns,
							 Natts_webhook_log);
	catalog.pending = find_table("pending", RELKIND_RELATION, pending_columns,
								 Natts_webhook_pending);
	catalog.pending_pkey = find_index("pending_pkey", catalog.pending, false,
									  pending_pkey_keys,
									  lengthof(pending_pkey_keys));
	catalog.pending_due = find_index("pending_due_idx", catalog.pending, true,
									 pending_due_keys,
									 lengthof(pending_due_keys));
	catalog.state = find_table("subscription_state", RELKIND_RELATION,
							   state_columns, Natts_webhook_state);
	catalog.state_pkey = find_index("subscription_state_pkey", catalog.state,
									false, state_pkey_keys,
									lengthof(state_pkey_keys));
	catalog.checkpoint = find_table("checkpoint", RELKIND_RELATION,
									checkpoint_columns,
									Natts_webhook_checkpoint);
	return true;
}

/* Is the extension there, and in which version? */
static bool
find_extension(void)
{
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum("webhook"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(extensions),
										   &isnull);

		if (!isnull)
			text_to_cstring_buffer(DatumGetTextPP(version), catalog.version,
								   sizeof(catalog.version));
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return catalog.version[0] != '\0';
}

static Oid
find_relation(const char *name, char relkind)
{
	Oid			relid = InvalidOid;

	if (OidIsValid(catalog.schema))
		relid = get_relname_relid(name, catalog.schema);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != relkind)
		return report(name);
	return relid;
}

/* A table whose first columns are of these types. */
static Oid
find_table(const char *name, char relkind, const Oid *types, int ncolumns)
{
	Oid			relid = find_relation(name, relkind);

	for (int i = 0; OidIsValid(relid) && i < ncolumns; i++)
	{
		if (get_atttype(relid, i + 1) != types[i])
			return report(name);
	}
	return relid;
}

/* A usable B-tree on just these columns of a table. */
static Oid
find_index(const char *name, Oid relid, bool partial, const AttrNumber *keys,
		   int nkeys)
{
	Oid			index = find_relation(name, RELKIND_INDEX);
	HeapTuple	tuple;
	Form_pg_index form;
	bool		good;

	if (!OidIsValid(index))
		return InvalidOid;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return report(name);
	good = ((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
	ReleaseSysCache(tuple);

	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return report(name);
	form = (Form_pg_index) GETSTRUCT(tuple);
	good = good && form->indrelid == relid && form->indisvalid &&
		form->indnkeyatts == nkeys &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL) != partial;
	for (int i = 0; good && i < nkeys; i++)
	{
		/* get_atttype() of an index names the type of its operator class. */
		good = form->indkey.values[i] == keys[i] &&
			get_atttype(index, i + 1) == get_atttype(relid, keys[i]);
	}
	ReleaseSysCache(tuple);
	return good ? index : report(name);
}

/* This is not as it should be. */
static Oid
report(const char *name)
{
	if (problem[0] == '\0')
		strlcpy(problem, name, sizeof(problem));
	return InvalidOid;
}
