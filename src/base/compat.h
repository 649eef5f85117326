/*
 * compat.h
 *	  The differences between PostgreSQL 15, 16, 17 and 18.
 *
 * All other files use one spelling of each call; this header defines what it
 * means for the server that is built for. A file that includes it includes
 * postgres.h first.
 */
#ifndef WEBHOOK_COMPAT_H
#define WEBHOOK_COMPAT_H

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "commands/tablecmds.h"
#include "common/base64.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/jsonpath.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "base/version.h"

#if PG_VERSION_NUM < 150000
#error "webhook needs PostgreSQL 15 or newer"
#endif

/* The version that the library was built for: that of the server. */
#define COMPAT_SERVER_VERSION PG_VERSION_NUM

/*
 * What a library says of itself when it is loaded: which server it was built for and,
 * from 18 on, what pg_get_loaded_modules() shows.
 */
#if PG_VERSION_NUM >= 180000
#define COMPAT_MODULE_MAGIC(module) PG_MODULE_MAGIC_EXT(.name = module, .version = WEBHOOK_RELEASE)
#else
#define COMPAT_MODULE_MAGIC(module) PG_MODULE_MAGIC
#endif

/* Marks a function that does not return; stands before all other words. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* What a hook of ExecutorRun() gets behind the count, and passes on. */
#if PG_VERSION_NUM >= 180000
#define COMPAT_RUN_ONCE_PARAMETER
#define COMPAT_RUN_ONCE_ARGUMENT
#else
#define COMPAT_RUN_ONCE_PARAMETER , bool once
#define COMPAT_RUN_ONCE_ARGUMENT , once
#endif

/* Tells which indexes need an entry for a new version of a row. */
#if PG_VERSION_NUM >= 160000
typedef TU_UpdateIndexes CompatIndexes;
#define COMPAT_ALL_INDEXES TU_All
#define COMPAT_NO_INDEXES TU_None
#else
typedef bool CompatIndexes;
#define COMPAT_ALL_INDEXES true
#define COMPAT_NO_INDEXES false
#endif

/* Write the index entries of a row that has just been written. */
static inline void
compat_insert_index_entries(ResultRelInfo *info, TupleTableSlot *slot,
							EState *estate, CompatIndexes which)
{
#if PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(info, slot, estate, false, false, NULL, NIL,
								 which == TU_Summarizing);
#else
	(void) ExecInsertIndexTuples(info, slot, estate, false, false, NULL, NIL);
#endif
}

/* Close the indexes that ExecOpenIndices() has opened, and keep their locks. */
static inline void
compat_close_indexes(ResultRelInfo *info)
{
	for (int i = 0; i < info->ri_NumIndices; i++)
	{
#if PG_VERSION_NUM >= 170000
		index_insert_cleanup(info->ri_IndexRelationDescs[i],
							 info->ri_IndexRelationInfo[i]);
#endif
		index_close(info->ri_IndexRelationDescs[i], NoLock);
	}
}

static inline IndexScanDesc
compat_index_beginscan(Relation heap, Relation index, Snapshot snapshot,
					   int nkeys)
{
#if PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/* Truncate a table without logging that for logical decoding; the caller holds the lock. */
static inline void
compat_truncate_quietly(Relation rel)
{
	List	   *rels = list_make1(rel);
	List	   *relids = list_make1_oid(RelationGetRelid(rel));

#if PG_VERSION_NUM >= 160000
	ExecuteTruncateGuts(rels, relids, NIL, DROP_RESTRICT, false, false);
#else
	ExecuteTruncateGuts(rels, relids, NIL, DROP_RESTRICT, false);
#endif
}

/* The oldest transaction id whose commit status can still be looked up. */
static inline TransactionId
compat_oldest_clog_xid(void)
{
#if PG_VERSION_NUM >= 170000
	return TransamVariables->oldestClogXid;
#else
	return ShmemVariableCache->oldestClogXid;
#endif
}

static inline bool
compat_owns_database(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

static inline bool
compat_owns_schema(Oid schema, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(NamespaceRelationId, schema, role);
#else
	return pg_namespace_ownercheck(schema, role);
#endif
}

static inline bool
compat_owns_relation(Oid relation, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relation, role);
#else
	return pg_class_ownercheck(relation, role);
#endif
}

static inline bool
compat_may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
	return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/*
 * Returns true if the current user may create databases. The server has such a
 * function, too, but not every minor release exports it.
 */
static inline bool
compat_may_create_databases(void)
{
	HeapTuple	tuple;
	bool		may;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (!HeapTupleIsValid(tuple))
		return false;
	may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return may;
}

/* A wait event of that name in pg_stat_activity; before 17, the one of all extensions. */
static inline uint32
compat_wait_event(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	(void) name;
	return PG_WAIT_EXTENSION;
#endif
}

/* Base64; both functions return the length of the result, or -1. */
static inline int
compat_b64_encode(const uint8 *bytes, int length, char *text, int size)
{
#if PG_VERSION_NUM >= 180000
	return pg_b64_encode(bytes, length, text, size);
#else
	return pg_b64_encode((const char *) bytes, length, text, size);
#endif
}

static inline int
compat_b64_decode(const char *text, int length, uint8 *bytes, int size)
{
#if PG_VERSION_NUM >= 180000
	return pg_b64_decode(text, length, bytes, size);
#else
	return pg_b64_decode(text, length, (char *) bytes, size);
#endif
}

/* Allocate and free the "extra" of a setting's check hook; NULL: out of memory. */
static inline void *
compat_guc_malloc(Size size)
{
#if PG_VERSION_NUM >= 160000
	return guc_malloc(LOG, size);
#else
	return malloc(size);
#endif
}

static inline void
compat_guc_free(void *ptr)
{
#if PG_VERSION_NUM >= 160000
	guc_free(ptr);
#else
	free(ptr);
#endif
}

/* A lexer of JSON in the database's encoding, in CurrentMemoryContext. */
static inline JsonLexContext *
compat_json_lexer(const char *json, int length, bool need_escapes)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, json, length, GetDatabaseEncoding(),
										need_escapes);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, json), length,
										GetDatabaseEncoding(), need_escapes);
#endif
}

/* Returns true if an item of a jsonpath converts a string of any length to a number. */
static inline bool
compat_jsonpath_reads_number(JsonPathItemType type)
{
#if PG_VERSION_NUM >= 170000
	return type == jpiNumber || type == jpiDecimal;
#else
	(void) type;
	return false;
#endif
}

/* A set of events to wait for, which lives as long as the process. */
static inline WaitEventSet *
compat_create_wait_event_set(int size)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, size);
#else
	return CreateWaitEventSet(TopMemoryContext, size);
#endif
}

#endif							/* WEBHOOK_COMPAT_H */
