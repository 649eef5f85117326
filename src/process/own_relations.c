/*
 * own_relations.c
 *	  DDL that the extension's own relations do not survive.
 *
 * C code, functions and views find our relations and their columns by name, and
 * indexes, too. So these keep name and schema. Nothing would be sent otherwise,
 * until somebody finds the reason in the server's log.
 *
 * A dump has the rows of most of our tables, but not their definitions: the
 * extension's script creates them as they were. A further column would be in the
 * rows and not in the table, and the restore would fail. The leaves of the log are
 * no members of the extension. A dump has them as ordinary tables, and attaches
 * them to the webhook.log of the script, so webhook.log must have no index, no
 * constraint with an index and no column of somebody else. On a leaf an index is as
 * good, and is restored.
 *
 * An unlogged table is empty after a crash, and with it what waits.
 *
 * A script of an extension may do all of this, and what is no member any more,
 * after ALTER EXTENSION ... DROP, may be changed freely.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "process/own_relations_internal.h"

static Oid	find_own(const RangeVar *relation);
static bool is_own(Oid relid);
static bool is_leaf(Oid relid);
static bool is_log(Oid relid);
static bool is_dumped(Oid relid);
static bool adds_index(const AlterTableCmd *command);
static void refuse_index(const char *message);
static void refuse_name(const char *message, Oid relid);
static const char *name_of(Oid relid);

void
webhook_own_refuse_index(const IndexStmt *stmt)
{
	if (is_log(find_own(stmt->relation)))
		refuse_index("cannot create an index on \"webhook.log\"");
}

void
webhook_own_refuse_rename(const RenameStmt *stmt)
{
	Oid			relid;

	switch (stmt->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
		case OBJECT_COLUMN:
		case OBJECT_TABCONSTRAINT:
			break;
		default:
			return;
	}
	relid = find_own(stmt->relation);
	if (!OidIsValid(relid))
		return;
	if (stmt->renameType == OBJECT_TABCONSTRAINT)
	{
		/* A constraint and its index have one name. */
		Oid			index = get_relname_relid(stmt->subname, get_rel_namespace(relid));

		if (webhook_catalog_has(index))
			refuse_name("cannot rename \"%s\"", index);
	}
	else if (stmt->renameType == OBJECT_COLUMN)
		refuse_name("cannot rename a column of \"%s\"", relid);
	else
		refuse_name("cannot rename \"%s\"", relid);
}

void
webhook_own_refuse_move(const AlterObjectSchemaStmt * stmt)
{
	Oid			relid = find_own(stmt->relation);

	if (OidIsValid(relid))
		refuse_name("cannot move \"%s\" to another schema", relid);
}

void
webhook_own_refuse_change(const AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);
		Oid			relid;

		if (command->subtype != AT_AddColumn && command->subtype != AT_SetUnLogged &&
			!adds_index(command))
			continue;
		relid = find_own(stmt->relation);
		if (!OidIsValid(relid))
			return;

		if (command->subtype == AT_SetUnLogged)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot make \"%s\" unlogged", name_of(relid)),
					 errdetail("After a crash it would be empty."),
					 errhint("To keep it on another disk, use SET TABLESPACE.")));
		else if (command->subtype == AT_AddColumn && is_dumped(relid))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot add a column to \"%s\"", name_of(relid)),
					 errdetail("A dump of the database could not be restored."),
					 errhint("Keep what belongs to a row in a table of your own.")));
		else if (command->subtype == AT_AddConstraint && is_log(relid))
			refuse_index("cannot add a constraint with an index to \"webhook.log\"");
	}
}

/*
 * The relation of ours that is named, or InvalidOid: that of another owner, and all
 * while a script of an extension runs. An index is ours if it is found by its name.
 */
static Oid
find_own(const RangeVar *relation)
{
	Oid			relid;
	const char *schema;

	if (creating_extension || relation == NULL)
		return InvalidOid;
	relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return InvalidOid;
	schema = get_namespace_name(get_rel_namespace(relid));
	if (schema == NULL ||
		(strcmp(schema, WEBHOOK_SCHEMA) != 0 && strcmp(schema, WEBHOOK_INTERNAL_SCHEMA) != 0))
		return InvalidOid;
	return is_own(relid) && compat_owns_relation(relid, GetUserId()) ? relid : InvalidOid;
}

static bool
is_own(Oid relid)
{
	Oid			extension = get_extension_oid("webhook", true);

	if (!OidIsValid(extension))
		return false;
	return getExtensionOfObject(RelationRelationId, relid) == extension || is_leaf(relid) ||
		(get_rel_relkind(relid) == RELKIND_INDEX && webhook_catalog_has(relid));
}

/* Returns true for a partition of webhook.log. */
static bool
is_leaf(Oid relid)
{
	return get_rel_relispartition(relid) && is_log(get_partition_parent(relid, true));
}

static bool
is_log(Oid relid)
{
	return OidIsValid(relid) &&
		relid == get_relname_relid("log", get_namespace_oid(WEBHOOK_SCHEMA, true));
}

/* Returns true if a dump has the rows of the table, but not its definition. */
static bool
is_dumped(Oid relid)
{
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (is_log(relid))
		return true;

	relation = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("webhook"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		tables = heap_getattr(tuple, Anum_pg_extension_extconfig,
										  RelationGetDescr(relation), &isnull);

		if (!isnull)
		{
			ArrayType  *array = DatumGetArrayTypeP(tables);
			const Oid  *oids = (const Oid *) ARR_DATA_PTR(array);
			int			noids = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

			for (int i = 0; i < noids && !found; i++)
				found = oids[i] == relid;
		}
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

/* Returns true for a constraint that is an index. */
static bool
adds_index(const AlterTableCmd *command)
{
	if (command->subtype != AT_AddConstraint)
		return false;
	switch (castNode(Constraint, command->def)->contype)
	{
		case CONSTR_PRIMARY:
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
			return true;
		default:
			return false;
	}
}

static void
refuse_index(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg_internal("%s", message),
			 errdetail("A dump of the database could not be restored."),
			 errhint("Create it on each leaf, webhook_internal.log_YYYYMMDD.")));
}

/* Raise an error whose message has the name of the relation. */
static void
refuse_name(const char *message, Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(message, name_of(relid)),
			 errdetail("Extension \"%s\" finds its tables, columns and indexes by name.", "webhook"),
			 is_leaf(relid) ?
			 errhint("Detach it from webhook.log first; then it is a table of your own.") :
			 errhint("A view of your own may show it under another name.")));
}

/* The name with its schema. */
static const char *
name_of(Oid relid)
{
	return psprintf("%s.%s", get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}
