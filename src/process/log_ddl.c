/*
 * log_ddl.c
 *	  What may not be added to webhook.log.
 *
 * The leaves of the log are ordinary tables, which a dump has; webhook.log
 * itself is a member of the extension, which a dump creates as it was. An index,
 * a constraint or a column of webhook.log would be dumped with each leaf and
 * missing in the table that the leaf is attached to, and the restore would fail.
 * So they are refused, except in a script of the extension. On a leaf they are
 * as good, and are restored.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "process/log_ddl_internal.h"

static bool is_log(const RangeVar *relation);
static bool is_index(const AlterTableCmd *command);

void
webhook_log_refuse_index(const IndexStmt *stmt)
{
	if (!is_log(stmt->relation))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot create an index on \"webhook.log\""),
			 errdetail("A dump of the database could not be restored."),
			 errhint("Create it on each leaf, webhook_internal.log_YYYYMMDD.")));
}

void
webhook_log_refuse_addition(const AlterTableStmt *stmt)
{
	ListCell   *cell;

	foreach(cell, stmt->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype != AT_AddColumn && !is_index(command))
			continue;
		if (!is_log(stmt->relation))
			return;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 command->subtype == AT_AddColumn ?
				 errmsg("cannot add a column to \"webhook.log\"") :
				 errmsg("cannot add a constraint with an index to \"webhook.log\""),
				 errdetail("A dump of the database could not be restored."),
				 command->subtype == AT_AddColumn ?
				 errhint("Keep what belongs to a row in a table of your own.") :
				 errhint("Create it on each leaf, webhook_internal.log_YYYYMMDD.")));
	}
}

/* Returns true if it is webhook.log, the user owns it, and no script of an extension runs. */
static bool
is_log(const RangeVar *relation)
{
	Oid			relid;

	if (creating_extension || relation == NULL || strcmp(relation->relname, "log") != 0)
		return false;
	relid = RangeVarGetRelid(relation, NoLock, true);
	return OidIsValid(relid) &&
		get_rel_namespace(relid) == get_namespace_oid(WEBHOOK_SCHEMA, true) &&
		OidIsValid(get_extension_oid("webhook", true)) &&
		compat_owns_relation(relid, GetUserId());
}

/* Returns true for a constraint that is an index. */
static bool
is_index(const AlterTableCmd *command)
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
