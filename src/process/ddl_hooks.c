/*
 * ddl_hooks.c
 *	  Statements that concern workers.
 *
 * Some DDL on a database needs it free of other sessions: DROP, RENAME, SET
 * TABLESPACE, and CREATE DATABASE for its template. PostgreSQL waits 5 s for
 * them to leave and then gives up; it does not know our workers. So before such
 * a statement its database is blocked until the transaction ends: the worker
 * leaves, and the launcher starts none meanwhile. Workers are stopped only if
 * the role is allowed to execute the statement; otherwise, and for a database
 * that does not exist, the statement is left to PostgreSQL, which refuses it.
 *
 * COMMIT PREPARED runs in a transaction of its own, usually in another session
 * than the one that wrote the events. What the prepared transaction has done
 * is not known here, so it counts as having written events and changed
 * subscriptions. Rows of pending that it has restored are counted within the hour.
 *
 * When the extension is dropped or altered, its worker has to leave. The worker
 * holds no lock between its transactions, so the statement need not wait; the
 * worker is told at commit. The object access hook sees every way of dropping
 * the extension.
 *
 * C code, dumped views and functions find the extension's objects by the names of
 * its schemas. So these schemas cannot be renamed. The rules for its relations are
 * in own_relations.c.
 *
 * The hooks run for every utility statement in every session of the server.
 * They cost a switch on the kind of statement.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/table.h"
#include "process/ddl_hooks.h"
#include "process/own_relations_internal.h"
#include "process/shmem.h"
#include "process/wakeup.h"

/* The database that CREATE DATABASE copies by default. */
#define DEFAULT_TEMPLATE	"template1"

static struct
{
	ProcessUtility_hook_type process_utility;
	object_access_hook_type object_access;
}			next;				/* hooks that were installed before ours */

static void process_utility(PlannedStmt *pstmt, const char *queryString,
							bool readOnlyTree, ProcessUtilityContext context,
							ParamListInfo params, QueryEnvironment *queryEnv,
							DestReceiver *dest, QueryCompletion *qc);
static bool writes_rows(const Node *stmt);
static bool before_statement(Node *stmt);
static void after_commit_prepared(void);
static void refuse_rename_schema(const char *name);
static DefElem *find_option(List *options, const char *name);
static void block_owned(const char *name);
static void block_template(CreatedbStmt *stmt);
static bool is_template(Oid database);
static void object_access(ObjectAccessType access, Oid classId, Oid objectId,
						  int subId, void *arg);

void
webhook_ddl_hooks_init(void)
{
	next.process_utility = ProcessUtility_hook ?
		ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = process_utility;

	next.object_access = object_access_hook;
	object_access_hook = object_access;

	webhook_table_allow_kept(true);
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest,
				QueryCompletion *qc)
{
	bool		commit_prepared;
	bool		may_keep;

	webhook_table_close_kept();
	commit_prepared = before_statement(pstmt->utilityStmt);
	may_keep = webhook_table_forbid_kept(!writes_rows(pstmt->utilityStmt));
	PG_TRY();
	{
		next.process_utility(pstmt, queryString, readOnlyTree, context, params,
							 queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		webhook_table_allow_kept(may_keep);
	}
	PG_END_TRY();

	if (commit_prepared)
		after_commit_prepared();
}

/*
 * Returns true for a statement that only runs others, or writes rows. During any other one
 * an event trigger may write events, by such a statement or without, before the statement
 * itself needs a ring table.
 */
static bool
writes_rows(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CallStmt:
		case T_CopyStmt:
		case T_DoStmt:
		case T_ExecuteStmt:
		case T_ExplainStmt:
		case T_FetchStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Prepare for a statement that concerns workers. Returns true if
 * after_commit_prepared() is to be called after it.
 */
static bool
before_statement(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
			return castNode(TransactionStmt, stmt)->kind ==
				TRANS_STMT_COMMIT_PREPARED;

		case T_IndexStmt:
			webhook_own_refuse_index(castNode(IndexStmt, stmt));
			break;

		case T_AlterTableStmt:
			webhook_own_refuse_change(castNode(AlterTableStmt, stmt));
			break;

		case T_DropdbStmt:
			block_owned(castNode(DropdbStmt, stmt)->dbname);
			webhook_scan_databases_at_commit();
			break;

		case T_RenameStmt:
			if (castNode(RenameStmt, stmt)->renameType == OBJECT_DATABASE &&
				compat_may_create_databases())
				block_owned(castNode(RenameStmt, stmt)->subname);
			else if (castNode(RenameStmt, stmt)->renameType == OBJECT_SCHEMA)
				refuse_rename_schema(castNode(RenameStmt, stmt)->subname);
			else
				webhook_own_refuse_rename(castNode(RenameStmt, stmt));
			break;

		case T_AlterObjectSchemaStmt:
			webhook_own_refuse_move(castNode(AlterObjectSchemaStmt, stmt));
			break;

		case T_AlterDatabaseStmt:
			if (find_option(castNode(AlterDatabaseStmt, stmt)->options,
							"tablespace") != NULL)
				block_owned(castNode(AlterDatabaseStmt, stmt)->dbname);
			webhook_scan_databases_at_commit();
			break;

		case T_CreatedbStmt:
			if (compat_may_create_databases())
				block_template(castNode(CreatedbStmt, stmt));
			webhook_scan_databases_at_commit();
			break;

		default:
			break;
	}
	return false;
}

/*
 * The statement has made the prepared transaction visible to others. The worker
 * is woken when the transaction of the statement itself commits.
 */
static void
after_commit_prepared(void)
{
	webhook_wakeup_prepared_at_commit();

	/* The prepared transaction may have created the extension. */
	if (webhook_shmem_my_slot() == NULL &&
		OidIsValid(get_extension_oid("webhook", true)))
		webhook_request_worker_at_commit();
}

/*
 * Raise an error if the schema belongs to our extension. If it does not exist, or
 * the user may not rename it, the statement fails with PostgreSQL's own error.
 */
static void
refuse_rename_schema(const char *name)
{
	Oid			schema = get_namespace_oid(name, true);
	Oid			extension = get_extension_oid("webhook", true);

	if (OidIsValid(schema) && OidIsValid(extension) &&
		getExtensionOfObject(NamespaceRelationId, schema) == extension &&
		compat_owns_schema(schema, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename schema \"%s\"", name),
				 errdetail("Extension \"%s\" finds its objects by the names of its schemas.",
						   "webhook"),
				 errhint("Keep its name, or drop the extension first.")));
}

/* The last option of a name, or NULL. PostgreSQL refuses a name that is given twice. */
static DefElem *
find_option(List *options, const char *name)
{
	DefElem    *found = NULL;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			found = option;
	}
	return found;
}

/* Block a database if the user owns it and is not connected to it. */
static void
block_owned(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(database) && database != MyDatabaseId &&
		compat_owns_database(database, GetUserId()))
		webhook_block_database(database);
}

/* Block the database that CREATE DATABASE copies, if the user may copy it. */
static void
block_template(CreatedbStmt *stmt)
{
	DefElem    *option = find_option(stmt->options, "template");
	Oid			database;

	/* "TEMPLATE = DEFAULT" has no argument. */
	database = get_database_oid(option != NULL && option->arg != NULL ?
								defGetString(option) : DEFAULT_TEMPLATE, true);

	if (OidIsValid(database) &&
		(is_template(database) || compat_owns_database(database, GetUserId())))
		webhook_block_database(database);
}

static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(database));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return result;
}

static void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			  void *arg)
{
	if (next.object_access)
		next.object_access(access, classId, objectId, subId, arg);

	if (classId == ExtensionRelationId &&
		(access == OAT_DROP || access == OAT_POST_ALTER))
	{
		char	   *name = get_extension_name(objectId);

		if (name != NULL && strcmp(name, "webhook") == 0)
			webhook_stop_worker_at_commit();
	}
}
