/*
 * audit.c
 *	  SQL function audit(), which the functions that people call end with.
 *
 * It is executed as whoever called those: its row names them, so who calls it by
 * itself can add a row in their own name, and no other.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "store/store.h"

PG_FUNCTION_INFO_V1(webhook_audit);

/*
 * audit(action text, subscription bigint, event uuid, detail jsonb): write a row
 * of the audit. NULL as detail is an empty object.
 */
Datum
webhook_audit(PG_FUNCTION_ARGS)
{
	NullableDatum subscription = fcinfo->args[1];
	NullableDatum event = fcinfo->args[2];
	Datum		detail;

	if (PG_ARGISNULL(0))
		elog(ERROR, "action must not be null");
	PreventCommandIfReadOnly(psprintf("webhook.%s()", text_to_cstring(PG_GETARG_TEXT_PP(0))));
	detail = PG_ARGISNULL(3) ? DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")) :
		PG_GETARG_DATUM(3);
	webhook_audit_write(PG_GETARG_DATUM(0), subscription, event, detail);
	PG_RETURN_VOID();
}
