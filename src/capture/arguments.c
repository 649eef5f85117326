/*
 * arguments.c
 *	  The arguments of the trigger on a watched table: all that it needs, by name.
 *
 * pg_trigger.tgargs has them as bytes, each argument with a zero byte behind it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/refusal.h"
#include "capture/arguments_internal.h"

/* Indexes of the arguments. */
enum
{
	ARG_EVENT_TYPE,
	ARG_NAME,
	ARG_STATUS,
	ARG_SCOPE,
	ARG_TENANT,
	ARG_NKEYS,
	ARG_KEYS
};

static Oid	enqueue_function(void);
static char **split(const char *bytes, int length, int *nargs);
static char *tgargs_of(HeapTuple tuple, Relation triggers, int *length);
static void require_owner(Oid relid);
static void lock_names(void);
static Oid	root_of(Oid relid);

PG_FUNCTION_INFO_V1(webhook_watch_arguments);
PG_FUNCTION_INFO_V1(webhook_alter_watch_trigger);
PG_FUNCTION_INFO_V1(webhook_lock_watched);
PG_FUNCTION_INFO_V1(webhook_other_watched);

bool
webhook_arguments_parse(WebhookArguments *arguments, int nargs, char **args)
{
	long		nkeys = nargs > ARG_KEYS ? strtol(args[ARG_NKEYS], NULL, 10) : 0;

	if (nkeys < 1 || nkeys > nargs - ARG_KEYS)
		return false;
	arguments->event_type = args[ARG_EVENT_TYPE];
	arguments->name = args[ARG_NAME];
	arguments->status = args[ARG_STATUS];
	arguments->tenant = args[ARG_TENANT];
	arguments->nkeys = nkeys;
	arguments->keys = args + ARG_KEYS;
	arguments->ndata = nargs - ARG_KEYS - nkeys;
	arguments->data = args + ARG_KEYS + nkeys;
	return true;
}

int
webhook_arguments_use(const WebhookArguments *arguments, const char *column)
{
	int			use = strcmp(arguments->status, column) == 0 ? WEBHOOK_USE_STATUS : 0;

	if (strcmp(arguments->tenant, column) == 0)
		use |= WEBHOOK_USE_TENANT;
	for (int i = 0; i < arguments->nkeys; i++)
		if (strcmp(arguments->keys[i], column) == 0)
			use |= WEBHOOK_USE_KEY;
	for (int i = 0; i < arguments->ndata; i++)
		if (strcmp(arguments->data[i], column) == 0)
			use |= WEBHOOK_USE_DATA;
	return use;
}

void
webhook_arguments_rename(WebhookWatchTrigger *trigger, const char *old_name,
						 char *new_name)
{
	for (int i = ARG_STATUS; i < trigger->nargs; i++)
		if (i != ARG_SCOPE && i != ARG_NKEYS && strcmp(trigger->args[i], old_name) == 0)
			trigger->args[i] = new_name;
}

List *
webhook_arguments_of_relation(Oid relid)
{
	Oid			enqueue = enqueue_function();
	List	   *found = NIL;
	Relation	triggers;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(enqueue))
		return NIL;

	triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		WebhookWatchTrigger *trigger;
		char	   *bytes;
		int			length;

		if (form->tgfoid != enqueue)
			continue;
		trigger = palloc0(sizeof(WebhookWatchTrigger));
		trigger->oid = form->oid;
		trigger->parent = form->tgparentid;
		bytes = tgargs_of(tuple, triggers, &length);
		trigger->args = split(bytes, length, &trigger->nargs);
		found = lappend(found, trigger);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

/* The function that watches; InvalidOid: the extension does not exist. */
static Oid
enqueue_function(void)
{
	Oid			schema = get_namespace_oid(WEBHOOK_INTERNAL_SCHEMA, true);
	oidvector  *none = buildoidvector(NULL, 0);

	if (!OidIsValid(schema))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("enqueue"), PointerGetDatum(none),
						   ObjectIdGetDatum(schema));
}

/* A copy of a trigger's arguments, as bytes. */
static char *
tgargs_of(HeapTuple tuple, Relation triggers, int *length)
{
	bool		is_null;
	Datum		value = fastgetattr(tuple, Anum_pg_trigger_tgargs,
									RelationGetDescr(triggers), &is_null);
	bytea	   *bytes = DatumGetByteaPCopy(value);

	Assert(!is_null);
	*length = VARSIZE_ANY_EXHDR(bytes);
	return VARDATA_ANY(bytes);
}

/* The arguments in these bytes. They point into the bytes. */
static char **
split(const char *bytes, int length, int *nargs)
{
	char	  **args;
	int			i;

	*nargs = 0;
	for (i = 0; i < length; i++)
		*nargs += bytes[i] == '\0';
	args = palloc0((*nargs + 1) * sizeof(char *));
	for (i = 0; i < *nargs; i++)
	{
		args[i] = unconstify(char *, bytes);
		bytes += strlen(bytes) + 1;
	}
	return args;
}

void
webhook_arguments_replace(Oid relid, Oid trigger, int nargs, char **args)
{
	Relation	triggers = table_open(TriggerRelationId, RowExclusiveLock);
	Datum		values[Natts_pg_trigger] = {0};
	bool		nulls[Natts_pg_trigger] = {0};
	bool		replaces[Natts_pg_trigger] = {0};
	StringInfoData bytes;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	initStringInfo(&bytes);
	appendStringInfoSpaces(&bytes, VARHDRSZ);
	for (int i = 0; i < nargs; i++)
		appendBinaryStringInfo(&bytes, args[i], strlen(args[i]) + 1);
	SET_VARSIZE(bytes.data, bytes.len);

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(triggers, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "could not find tuple for trigger %u", trigger);

	values[Anum_pg_trigger_tgnargs - 1] = Int16GetDatum(nargs);
	replaces[Anum_pg_trigger_tgnargs - 1] = true;
	values[Anum_pg_trigger_tgargs - 1] = PointerGetDatum(bytes.data);
	replaces[Anum_pg_trigger_tgargs - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(triggers), values, nulls, replaces);
	CatalogTupleUpdate(triggers, &tuple->t_self, tuple);

	systable_endscan(scan);
	table_close(triggers, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(relid);
}

/*
 * webhook_internal.watch_arguments(tgargs bytea): the arguments of a trigger that
 * watches, as text[]
 */
Datum
webhook_watch_arguments(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_P_COPY(0);
	int			length = VARSIZE_ANY_EXHDR(bytes);
	int			nargs;
	char	  **args;
	Datum	   *elements;

	if (length > 0 && VARDATA_ANY(bytes)[length - 1] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("these bytes are not the arguments of a trigger"),
				 webhook_errargument("tgargs"),
				 errhint("Give pg_trigger.tgargs.")));
	args = split(VARDATA_ANY(bytes), length, &nargs);
	elements = palloc(Max(nargs, 1) * sizeof(Datum));
	for (int i = 0; i < nargs; i++)
	{
		(void) pg_verifymbstr(args[i], strlen(args[i]), false);
		elements[i] = CStringGetTextDatum(args[i]);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, nargs, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * webhook_internal.alter_watch_trigger(relation regclass, trigger oid, arguments
 * text[]): replace the arguments of a watch's trigger, also on the partitions.
 * Raises an error if the user does not own the relation.
 */
Datum
webhook_alter_watch_trigger(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Oid			top = PG_GETARG_OID(1);
	ArrayType  *arguments = PG_GETARG_ARRAYTYPE_P(2);
	List	   *altered = NIL;
	List	   *relids;
	ListCell   *cell;
	Datum	   *elements;
	int			nargs;
	char	  **args;

	require_owner(relid);
	deconstruct_array(arguments, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &nargs);
	args = palloc((nargs + 1) * sizeof(char *));
	for (int i = 0; i < nargs; i++)
		args[i] = TextDatumGetCString(elements[i]);

	/* Parents come before their children. */
	relids = find_all_inheritors(relid, ShareRowExclusiveLock, NULL);
	foreach(cell, relids)
	{
		ListCell   *inner;

		foreach(inner, webhook_arguments_of_relation(lfirst_oid(cell)))
		{
			WebhookWatchTrigger *trigger = lfirst(inner);

			if (trigger->oid != top && !list_member_oid(altered, trigger->parent))
				continue;
			webhook_arguments_replace(lfirst_oid(cell), trigger->oid, nargs, args);
			altered = lappend_oid(altered, trigger->oid);
		}
	}
	PG_RETURN_VOID();
}

/*
 * webhook_internal.lock_watched(relation regclass): let nobody change the watches of
 * the relation, or give a watch a name, until the transaction ends. Raises an
 * error if the user does not own the relation.
 */
Datum
webhook_lock_watched(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	require_owner(relid);
	lock_names();
	LockRelationOid(relid, ShareRowExclusiveLock);
	PG_RETURN_VOID();
}

/*
 * webhook_internal.other_watched(relation regclass, name text): another table whose
 * watch has that name; NULL: there is none. Partitions are part of their table.
 * Until the transaction ends nobody else can give a watch a name. Sees what has
 * committed, whatever the transaction's snapshot.
 */
Datum
webhook_other_watched(PG_FUNCTION_ARGS)
{
	Oid			root = root_of(PG_GETARG_OID(0));
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid			enqueue = enqueue_function();
	Oid			other = InvalidOid;
	Relation	triggers;
	SysScanDesc scan;
	HeapTuple	tuple;

	lock_names();
	triggers = table_open(TriggerRelationId, AccessShareLock);
	scan = systable_beginscan(triggers, InvalidOid, false, NULL, 0, NULL);
	while (!OidIsValid(other) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		WebhookArguments arguments;
		char	   *bytes;
		int			length;
		int			nargs;
		char	  **args;

		if (form->tgfoid != enqueue || OidIsValid(form->tgparentid))
			continue;
		bytes = tgargs_of(tuple, triggers, &length);
		args = split(bytes, length, &nargs);
		if (webhook_arguments_parse(&arguments, nargs, args) &&
			strcmp(arguments.name, name) == 0 && root_of(form->tgrelid) != root)
			other = form->tgrelid;
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);

	if (!OidIsValid(other))
		PG_RETURN_NULL();
	PG_RETURN_OID(other);
}

static void
require_owner(Oid relid)
{
	if (!compat_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

/* Wait for others that compare names of watches. The lock is that of the trigger function. */
static void
lock_names(void)
{
	LockDatabaseObject(ProcedureRelationId, enqueue_function(), 0,
					   ShareUpdateExclusiveLock);
	AcceptInvalidationMessages();
}

/* The partitioned table at the top of a relation, or the relation itself. */
static Oid
root_of(Oid relid)
{
	return get_rel_relispartition(relid) ? llast_oid(get_partition_ancestors(relid)) : relid;
}
