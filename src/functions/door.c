/*
 * door.c
 *	  The door: C function of each function of schema webhook that needs the rights of
 *	  the extension's owner.
 *
 * The function of the same name and argument types in schema webhook_internal does the
 * work. Nobody but the owner may call that one by itself. The door notes who calls, and
 * calls it with the owner's rights. SECURITY DEFINER would do the latter, but nobody
 * could say then who the current user was: only the role of the session is known.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "base/acting.h"
#include "base/caller.h"
#include "base/catalog.h"

/* The function behind a door. It lives as long as the FmgrInfo that points to it. */
typedef struct Inner
{
	FmgrInfo	function;
	Oid			owner;
	bool		writes;			/* it is VOLATILE */
	uint64		generation;		/* "doors.generation" when it was looked up */
} Inner;

static struct
{
	uint64		generation;		/* grows with each change of a function */
	bool		registered;		/* the callback on such changes is in place */
}			doors;

static Inner *inner_of(FmgrInfo *door);
static void look_up(Inner *inner, FmgrInfo *door);
static void refuse_reader(Oid function);
static void forget(Datum arg, int cacheid, uint32 hashvalue);

PG_FUNCTION_INFO_V1(webhook_door);

Datum
webhook_door(PG_FUNCTION_ARGS)
{
	FmgrInfo   *const door = fcinfo->flinfo;
	Inner	   *const inner = inner_of(door);
	WebhookCallerSaved saved;
	volatile Datum result;

	if (webhook_acting_only_reads(GetUserId()) && inner->writes)
		refuse_reader(door->fn_oid);
	saved = webhook_caller_enter(inner->owner);
	PG_TRY();
	{
		fcinfo->flinfo = &inner->function;
		result = FunctionCallInvoke(fcinfo);
	}
	PG_FINALLY();
	{
		fcinfo->flinfo = door;
		webhook_caller_leave(&saved);
	}
	PG_END_TRY();
	return result;
}

/* The function behind a door, looked up at the first call and after changes. */
static pg_noinline Inner *
inner_of(FmgrInfo *door)
{
	Inner	   *inner = door->fn_extra;

	if (!doors.registered)
	{
		CacheRegisterSyscacheCallback(PROCOID, forget, (Datum) 0);
		doors.registered = true;
	}
	if (inner == NULL)
		door->fn_extra = inner = MemoryContextAllocZero(door->fn_mcxt, sizeof(Inner));
	if (inner->generation != doors.generation || !OidIsValid(inner->owner))
	{
		inner->owner = InvalidOid;
		look_up(inner, door);
	}
	return inner;
}

static void
look_up(Inner *inner, FmgrInfo *door)
{
	const WebhookCatalog *catalog = webhook_catalog_for_append();
	const uint64 generation = doors.generation;
	HeapTuple	outer_tuple;
	HeapTuple	tuple;
	Form_pg_proc outer;
	Form_pg_proc form;

	outer_tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(door->fn_oid));
	if (!HeapTupleIsValid(outer_tuple))
		elog(ERROR, "cache lookup failed for function %u", door->fn_oid);
	outer = (Form_pg_proc) GETSTRUCT(outer_tuple);
	tuple = SearchSysCache3(PROCNAMEARGSNSP, NameGetDatum(&outer->proname),
							PointerGetDatum(&outer->proargtypes),
							ObjectIdGetDatum(catalog->internal_schema));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function %s has no counterpart in schema \"%s\"",
						format_procedure(door->fn_oid), WEBHOOK_INTERNAL_SCHEMA),
				 errhint("Recreate the extension.")));
	form = (Form_pg_proc) GETSTRUCT(tuple);

	/* Its rights are lent to the callers of the door, so it has to be ours. */
	if (form->proowner != catalog->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function %s is not owned by the owner of the extension",
						format_procedure(form->oid)),
				 errhint("Give it back with ALTER FUNCTION ... OWNER TO.")));

	fmgr_info_cxt(form->oid, &inner->function, door->fn_mcxt);
	inner->function.fn_expr = door->fn_expr;
	inner->owner = form->proowner;
	inner->writes = outer->provolatile == PROVOLATILE_VOLATILE;
	inner->generation = generation;
	ReleaseSysCache(tuple);
	ReleaseSysCache(outer_tuple);
}

/*
 * A session that acts for a tenant by a token that only reads calls what is STABLE. What is
 * VOLATILE changes something, or shows a credential and writes into the audit that it did.
 */
static void
refuse_reader(Oid function)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for function %s", get_func_name(function)),
			 errdetail("The token of this session only reads."),
			 errhint("Get another one; see may_write of webhook.portal_token().")));
}

/* Callback of the cache of functions. */
static void
forget(Datum arg, int cacheid, uint32 hashvalue)
{
	doors.generation++;
}
