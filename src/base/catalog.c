/*
 * catalog.c
 *	  Where the extension's objects are in this database.
 *
 * Every object is looked up by its name: the log in the schema "webhook", all
 * others in "webhook_internal". The result is kept until an invalidation of one
 * of these relations says that it may have changed, so an append costs no
 * look-up. The callback only counts invalidations; the struct is filled in when
 * somebody asks for it, so a pointer to it never dangles.
 *
 * Columns and indexes are compared with what the C code assumes about them.
 * Owners can alter these tables; the result must be an error, not misread data.
 * Columns after ours and further indexes are harmless.
 *
 * A library and objects of different versions come together when a package was
 * upgraded and the server not restarted, or the extension not updated. Then
 * nothing is read and sent. Events are appended as long as the ring's columns are
 * what this library writes, and wait.
 *
 * A missing index must not fail an application's transaction: appending to the
 * ring needs only a table, and the worker reports the index.
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
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/version.h"

static const Oid event_columns[] = {
	INT8OID, XID8OID, TIMESTAMPTZOID, UUIDOID, CHAROID, TEXTOID, TEXTOID,
	TEXTOID, JSONOID, JSONOID
};

static const Oid log_columns[] = {
	INT8OID, UUIDOID, INT8OID, TEXTOID, TIMESTAMPTZOID, INT8OID, TEXTOID,
	TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, INETOID, INETOID, INT4OID,
	TIMESTAMPTZOID, INTERVALOID, JSONBOID, TEXTOID, INT4OID, JSONBOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONOID
};

static const Oid pending_columns[] = {
	INT8OID, TEXTOID, INT8OID, INT8OID, XID8OID, UUIDOID, TEXTOID, INT4OID, INT4OID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
	TEXTOID, JSONOID, JSONOID
};

static const Oid pending_count_columns[] = {
	INT8OID, INT8OID
};

static const Oid state_columns[] = {
	INT8OID, TEXTOID, TEXTOID, INT4OID, INT4OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID,
	TIMESTAMPTZOID, PG_SNAPSHOTOID, UUIDOID, TIMESTAMPTZOID, INT4OID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INTERVALOID, INT8OID,
	INT8OID, INT8OID, INT8OID, FLOAT8OID, INTERVALOID, INTERVALOID,
	TIMESTAMPTZOID
};

static const Oid checkpoint_columns[] = {
	INT2OID, TEXTOID, TEXTOID, INT4OID, PG_SNAPSHOTOID, PG_SNAPSHOTOID, INT8OID, INT8OID,
	TIMESTAMPTZOID
};

static const Oid audit_columns[] = {
	TIMESTAMPTZOID, NAMEOID, NAMEOID, NAMEOID, TEXTOID, TEXTOID, INT8OID, UUIDOID, JSONBOID
};

static const Oid stat_minute_columns[] = {
	TIMESTAMPTZOID, INTERVALOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT4ARRAYOID
};

static const Oid tenant_role_columns[] = {
	REGROLEOID, TEXTOID
};

static const Oid portal_token_columns[] = {
	BYTEAOID, TEXTOID, BOOLOID, TIMESTAMPTZOID, NAMEOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	REGROLEOID, TIMESTAMPTZOID, TIMESTAMPTZOID
};

StaticAssertDecl(lengthof(event_columns) == Natts_webhook_event,
				 "columns of the ring");
StaticAssertDecl(lengthof(log_columns) == Natts_webhook_log,
				 "columns of log");
StaticAssertDecl(lengthof(pending_columns) == Natts_webhook_pending,
				 "columns of pending");
StaticAssertDecl(lengthof(pending_count_columns) == Natts_webhook_pending_count,
				 "columns of pending_count");
StaticAssertDecl(lengthof(state_columns) == Natts_webhook_state,
				 "columns of subscription_state");
StaticAssertDecl(lengthof(checkpoint_columns) == Natts_webhook_checkpoint,
				 "columns of checkpoint");
StaticAssertDecl(lengthof(audit_columns) == Natts_webhook_audit,
				 "columns of audit");
StaticAssertDecl(lengthof(stat_minute_columns) == Natts_webhook_stat_minute,
				 "columns of stat_minute");
StaticAssertDecl(lengthof(tenant_role_columns) == Natts_webhook_tenant_role,
				 "columns of tenant_role");
StaticAssertDecl(lengthof(portal_token_columns) == Natts_webhook_portal_token,
				 "columns of portal_token");

static const AttrNumber event_index_keys[] = {
	Anum_webhook_event_txid, Anum_webhook_event_id
};

static const AttrNumber portal_token_pkey_keys[] = {
	Anum_webhook_portal_token_hash
};

static const AttrNumber pending_pkey_keys[] = {
	Anum_webhook_pending_subscription_id, Anum_webhook_pending_subject,
	Anum_webhook_pending_position, Anum_webhook_pending_id
};

static const AttrNumber pending_due_keys[] = {
	Anum_webhook_pending_subscription_id, Anum_webhook_pending_next_at
};

static const AttrNumber pending_queued_keys[] = {
	Anum_webhook_pending_subscription_id, Anum_webhook_pending_queued_at
};

static const AttrNumber pending_count_pkey_keys[] = {
	Anum_webhook_pending_count_subscription_id
};

static const AttrNumber state_pkey_keys[] = {
	Anum_webhook_state_subscription_id
};

static const AttrNumber audit_at_keys[] = {
	Anum_webhook_audit_at
};

static const AttrNumber stat_minute_key_keys[] = {
	Anum_webhook_stat_minute_subscription_id, Anum_webhook_stat_minute_span,
	Anum_webhook_stat_minute_at
};

static const AttrNumber stat_minute_age_keys[] = {
	Anum_webhook_stat_minute_span, Anum_webhook_stat_minute_at
};

static struct
{
	WebhookCatalog catalog;		/* the objects, as of the last look-up */
	char		problem[2 * NAMEDATALEN];	/* qualified name of the first object that is missing
											 * or has an unexpected definition; empty: none */
	char		problem_kind;	/* relkind that the object named in "problem" should have */
	char		version[NAMEDATALEN];	/* of the extension, if it differs from WEBHOOK_VERSION;
										 * else empty */
	bool		registered;		/* the callback on invalidations is in place */
	bool		valid;			/* "catalog" is of now */
	char		home[64];		/* the latest result of webhook_home() */
}			lookup;

static bool refresh(void);
pg_noreturn static void report_absence(void);
static void require_version(void);
static bool is_other_version(void);
static void forget(Datum arg, Oid relid);
static bool has(Oid relid);
static bool look_up(void);
static bool find_extension(void);
static Oid	find_relation(const char *schema, const char *name, char relkind);
static Oid	find_table(const char *schema, const char *name, char relkind, const Oid *types,
					   int ncolumns);
static Oid	find_index(const char *name, Oid relid, bool partial, const AttrNumber *keys,
					   int nkeys);
static Oid	report(const char *schema, const char *name, char relkind);

const WebhookCatalog *
webhook_catalog(void)
{
	const char *name = lookup.problem;

	if (!refresh())
		return NULL;
	require_version();
	if (name[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 lookup.problem_kind == RELKIND_INDEX ?
				 errmsg("index \"%s\" is missing or has an unexpected definition", name) :
				 lookup.problem_kind == RELKIND_SEQUENCE ?
				 errmsg("sequence \"%s\" is missing or has an unexpected definition", name) :
				 errmsg("table \"%s\" is missing or has an unexpected definition", name),
				 errhint("Recreate the extension.")));
	return &lookup.catalog;
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
	return &lookup.catalog;
}

bool
webhook_catalog_is_usable(void)
{
	return refresh() && !is_other_version() && lookup.problem[0] == '\0';
}

bool
webhook_catalog_has(Oid relid)
{
	return OidIsValid(relid) && refresh() && has(relid);
}

const char *
webhook_home(void)
{
	snprintf(lookup.home, sizeof(lookup.home), UINT64_FORMAT "/%u/%u",
			 GetSystemIdentifier(), MyDatabaseId, webhook_catalog_required()->checkpoint);
	return lookup.home;
}

bool
webhook_home_is_in_cluster(const char *home)
{
	char		prefix[32];

	snprintf(prefix, sizeof(prefix), UINT64_FORMAT "/", GetSystemIdentifier());
	return strncmp(home, prefix, strlen(prefix)) == 0;
}

bool
webhook_home_is_counterpart(const char *home)
{
	const char *rest = strchr(home, '/');

	return rest != NULL && !webhook_home_is_in_cluster(home) &&
		strcmp(rest, strchr(webhook_home(), '/')) == 0;
}

/* Bring the catalog up to date. Returns false if the extension does not exist. */
static bool
refresh(void)
{
	uint64		before;

	if (lookup.valid)
		return true;

	Assert(IsTransactionState());
	if (!lookup.registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		lookup.registered = true;
	}

	/*
	 * A look-up may itself receive an invalidation; then it is repeated. The server's own
	 * counter says so. One of the callback's would not do: with debug_discard_caches the caches
	 * are discarded at each access, so that it never stands still.
	 */
	do
	{
		before = SharedInvalidMessageCounter;
		if (!look_up())
			return false;
	} while (before != SharedInvalidMessageCounter);
	lookup.valid = true;
	return true;
}

static void
report_absence(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("extension \"%s\" is not installed in this database", "webhook"),
			 errhint("Run CREATE EXTENSION webhook.")));
}

/*
 * A script of the extension may make objects of a former version, which an update
 * follows; require_server() has refused a library that is older than they are.
 */
static void
require_version(void)
{
	if (!creating_extension && is_other_version())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"%s\" has version %s, but the library that the server has loaded is for version \"%s\"",
						"webhook", lookup.version, WEBHOOK_VERSION),
				 errdetail("Nothing is sent; events wait."),
				 errhint("Restart the server if the library is the older one; else run ALTER EXTENSION webhook UPDATE.")));
}

/* Returns true if the objects are of another version than the library. */
static bool
is_other_version(void)
{
	/* Nothing tells a session of ALTER EXTENSION UPDATE. */
	if (lookup.version[0] != '\0')
	{
		lookup.valid = false;
		if (!refresh())
			report_absence();
	}
	return lookup.version[0] != '\0';
}

/*
 * Callback of the relation cache. While an object is missing, any invalidation
 * counts, because the object may be created with any OID.
 */
static void
forget(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || lookup.problem[0] != '\0' || has(relid))
		lookup.valid = false;
}

/* Returns true if the relation is in the catalog as it was looked up last. */
static bool
has(Oid relid)
{
	const WebhookCatalog *catalog = &lookup.catalog;
	bool		ours = relid == catalog->event_sequence || relid == catalog->subscription ||
		relid == catalog->tenant_role || relid == catalog->portal_token ||
		relid == catalog->portal_token_pkey ||
		relid == catalog->log || relid == catalog->pending ||
		relid == catalog->pending_pkey || relid == catalog->pending_due ||
		relid == catalog->pending_queued ||
		relid == catalog->pending_count || relid == catalog->pending_count_pkey ||
		relid == catalog->state || relid == catalog->state_pkey ||
		relid == catalog->checkpoint || relid == catalog->audit || relid == catalog->audit_at ||
		relid == catalog->stat_minute || relid == catalog->stat_minute_key ||
		relid == catalog->stat_minute_age;

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
		ours |= relid == catalog->event[i] || relid == catalog->event_index[i];
	return ours;
}

/*
 * Fill in the catalog. An object that is missing or has an unexpected definition
 * becomes InvalidOid, and the first such object is kept in "problem". Returns
 * false if the extension does not exist.
 */
static bool
look_up(void)
{
	WebhookCatalog *catalog = &lookup.catalog;
	char		name[NAMEDATALEN];

	memset(catalog, 0, sizeof(*catalog));
	lookup.problem[0] = '\0';

	if (!find_extension())
		return false;
	catalog->schema = get_namespace_oid(WEBHOOK_SCHEMA, true);
	catalog->internal_schema = get_namespace_oid(WEBHOOK_INTERNAL_SCHEMA, true);

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
	{
		snprintf(name, sizeof(name), "event_%d", i);
		catalog->event[i] = find_table(WEBHOOK_INTERNAL_SCHEMA, name, RELKIND_RELATION,
									   event_columns, Natts_webhook_event);
		snprintf(name, sizeof(name), "event_%d_txid_id_idx", i);
		catalog->event_index[i] = find_index(name, catalog->event[i], false, event_index_keys,
											 lengthof(event_index_keys));
	}
	catalog->event_sequence = find_relation(WEBHOOK_INTERNAL_SCHEMA, "event_id_seq",
											RELKIND_SEQUENCE);
	catalog->subscription = find_relation(WEBHOOK_INTERNAL_SCHEMA, "subscription",
										  RELKIND_RELATION);
	catalog->tenant_role = find_table(WEBHOOK_INTERNAL_SCHEMA, "tenant_role", RELKIND_RELATION,
									  tenant_role_columns, Natts_webhook_tenant_role);
	catalog->portal_token = find_table(WEBHOOK_INTERNAL_SCHEMA, "portal_token", RELKIND_RELATION,
									   portal_token_columns, Natts_webhook_portal_token);
	catalog->portal_token_pkey = find_index("portal_token_pkey", catalog->portal_token, false,
											portal_token_pkey_keys,
											lengthof(portal_token_pkey_keys));
	catalog->log = find_table(WEBHOOK_SCHEMA, "log", RELKIND_PARTITIONED_TABLE, log_columns,
							  Natts_webhook_log);
	catalog->pending = find_table(WEBHOOK_INTERNAL_SCHEMA, "pending", RELKIND_RELATION,
								  pending_columns, Natts_webhook_pending);
	catalog->pending_pkey = find_index("pending_pkey", catalog->pending, false, pending_pkey_keys,
									   lengthof(pending_pkey_keys));
	catalog->pending_due = find_index("pending_due_idx", catalog->pending, true, pending_due_keys,
									  lengthof(pending_due_keys));
	catalog->pending_queued = find_index("pending_queued_idx", catalog->pending, false,
										 pending_queued_keys, lengthof(pending_queued_keys));
	catalog->pending_count = find_table(WEBHOOK_INTERNAL_SCHEMA, "pending_count", RELKIND_RELATION,
										pending_count_columns, Natts_webhook_pending_count);
	catalog->pending_count_pkey = find_index("pending_count_pkey", catalog->pending_count, false,
											 pending_count_pkey_keys,
											 lengthof(pending_count_pkey_keys));
	catalog->state = find_table(WEBHOOK_INTERNAL_SCHEMA, "subscription_state", RELKIND_RELATION,
								state_columns, Natts_webhook_state);
	catalog->state_pkey = find_index("subscription_state_pkey", catalog->state, false,
									 state_pkey_keys, lengthof(state_pkey_keys));
	catalog->checkpoint = find_table(WEBHOOK_INTERNAL_SCHEMA, "checkpoint", RELKIND_RELATION,
									 checkpoint_columns, Natts_webhook_checkpoint);
	catalog->audit = find_table(WEBHOOK_INTERNAL_SCHEMA, "audit", RELKIND_RELATION,
								audit_columns, Natts_webhook_audit);
	catalog->audit_at = find_index("audit_at_idx", catalog->audit, false, audit_at_keys,
								   lengthof(audit_at_keys));
	catalog->stat_minute = find_table(WEBHOOK_INTERNAL_SCHEMA, "stat_minute", RELKIND_RELATION,
									  stat_minute_columns, Natts_webhook_stat_minute);
	catalog->stat_minute_key = find_index("stat_minute_key", catalog->stat_minute, false,
										  stat_minute_key_keys, lengthof(stat_minute_key_keys));
	catalog->stat_minute_age = find_index("stat_minute_span_at_idx", catalog->stat_minute, false,
										  stat_minute_age_keys, lengthof(stat_minute_age_keys));
	return true;
}

/*
 * Returns false if the extension does not exist. Notes its owner, and its version if
 * that is not ours.
 */
static bool
find_extension(void)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	lookup.version[0] = '\0';
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("webhook"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		bool		isnull;
		Datum		version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(relation), &isnull);
		char	   *name = isnull ? "" : TextDatumGetCString(version);

		if (strcmp(name, WEBHOOK_VERSION) != 0)
			snprintf(lookup.version, sizeof(lookup.version), "\"%s\"", name);
		lookup.catalog.owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* OID of the relation of this kind in a schema of ours; InvalidOid: reported as missing. */
static Oid
find_relation(const char *schema, const char *name, char relkind)
{
	Oid			schema_oid = strcmp(schema, WEBHOOK_SCHEMA) == 0 ? lookup.catalog.schema :
		lookup.catalog.internal_schema;
	Oid			relid = InvalidOid;

	if (OidIsValid(schema_oid))
		relid = get_relname_relid(name, schema_oid);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != relkind)
		return report(schema, name, relkind);
	return relid;
}

/* The same for a table whose first columns have these types. */
static Oid
find_table(const char *schema, const char *name, char relkind, const Oid *types, int ncolumns)
{
	Oid			relid = find_relation(schema, name, relkind);

	for (int i = 0; OidIsValid(relid) && i < ncolumns; i++)
	{
		if (get_atttype(relid, i + 1) != types[i])
			return report(schema, name, relkind);
	}
	return relid;
}

/* The same for a usable B-tree on exactly these columns of a table of the internal schema. */
static Oid
find_index(const char *name, Oid relid, bool partial, const AttrNumber *keys, int nkeys)
{
	Oid			index = find_relation(WEBHOOK_INTERNAL_SCHEMA, name, RELKIND_INDEX);
	HeapTuple	tuple;
	Form_pg_index form;
	bool		good;

	if (!OidIsValid(index))
		return InvalidOid;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return report(WEBHOOK_INTERNAL_SCHEMA, name, RELKIND_INDEX);
	good = ((Form_pg_class) GETSTRUCT(tuple))->relam == BTREE_AM_OID;
	ReleaseSysCache(tuple);

	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return report(WEBHOOK_INTERNAL_SCHEMA, name, RELKIND_INDEX);
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
	return good ? index : report(WEBHOOK_INTERNAL_SCHEMA, name, RELKIND_INDEX);
}

/* Keep the first object that is missing or has an unexpected definition. */
static Oid
report(const char *schema, const char *name, char relkind)
{
	if (lookup.problem[0] == '\0')
	{
		snprintf(lookup.problem, sizeof(lookup.problem), "%s.%s", schema, name);
		lookup.problem_kind = relkind;
	}
	return InvalidOid;
}
