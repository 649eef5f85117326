/*
 * acting.c
 *	  The tenant that this session acts for by a token of the portal.
 *
 * A setting has the hash of the token and the role, because a setting ends with RESET ALL,
 * DISCARD ALL and a rollback. Nobody can set it to anything by SQL, not even a superuser.
 * What the token is for, and whether it is still good, is in its row of portal_token, which
 * is read each time, without SQL: as it is now, whatever the transaction's snapshot.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/acting.h"
#include "base/catalog.h"
#include "base/compat.h"

#define SETTING		"webhook.acts_for"

/* Hash in hexadecimal digits, a blank, the role's OID. */
#define HEX_DIGITS	(2 * WEBHOOK_TOKEN_HASH_BYTES)

/* What the row of a token says. */
typedef struct TokenRow
{
	char	   *tenant;			/* NULL: there is no row */
	bool		may_write;
	TimestampTz session_until;	/* 0: it was not exchanged */
	bool		is_revoked;
} TokenRow;

static struct
{
	char	   *value;			/* of the setting; "": this session has no token */
	bool		is_set_by_us;	/* webhook_act() is setting it */
	TransactionId set_in;		/* the transaction that has set it last */
}			acting;

static bool is_mine(Oid role);
static Oid	acting_role(void);
static TokenRow current_token(void);
static TokenRow read_token(const bytea *hash);
static Datum column_of(HeapTuple row, Relation table, AttrNumber column, bool *isnull);
static bool check_value(char **newval, void **extra, GucSource source);

bool
webhook_may_act(Oid role)
{
	Oid			types[] = {TEXTOID};
	oidvector  *arguments = buildoidvector(types, lengthof(types));
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("act_as"), PointerGetDatum(arguments),
										   ObjectIdGetDatum(webhook_catalog_for_append()->schema));

	pfree(arguments);
	return OidIsValid(function) && compat_may_execute(function, role);
}

char *
webhook_acting_tenant(Oid role)
{
	return is_mine(role) ? current_token().tenant : NULL;
}

bool
webhook_acting_only_reads(Oid role)
{
	return is_mine(role) && !current_token().may_write;
}

bool
webhook_acting(void)
{
	return acting.value != NULL && acting.value[0] != '\0';
}

bool
webhook_acting_is_uncommitted(void)
{
	return TransactionIdIsValid(acting.set_in) &&
		TransactionIdEquals(acting.set_in, GetTopTransactionIdIfAny());
}

void
webhook_acting_check(void)
{
	if (webhook_acting() &&
		(acting_role() == GetUserId() || acting_role() == GetSessionUserId()))
		pfree(current_token().tenant);
}

void
webhook_act(Oid role, const uint8 *hash)
{
	char		value[HEX_DIGITS + 16];

	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot call webhook.act_as() within security-restricted operation")));
	hex_encode((const char *) hash, WEBHOOK_TOKEN_HASH_BYTES, value);
	snprintf(value + HEX_DIGITS, sizeof(value) - HEX_DIGITS, " %u", role);
	acting.is_set_by_us = true;
	acting.set_in = GetTopTransactionId();
	PG_TRY();
	{
		SetConfigOption(SETTING, value, PGC_SUSET, PGC_S_SESSION);
	}
	PG_FINALLY();
	{
		acting.is_set_by_us = false;
	}
	PG_END_TRY();
}

void
webhook_acting_init(void)
{
	DefineCustomStringVariable(SETTING,
							   "Holds what webhook.act_as() was called with.",
							   "It can be reset, but not set.",
							   &acting.value,
							   "",
							   PGC_SUSET,
							   GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE |
							   GUC_DISALLOW_IN_FILE,
							   check_value, NULL, NULL);
}

/* Returns true if the token of this session is the role's. */
static bool
is_mine(Oid role)
{
	return webhook_acting() && acting_role() == role && webhook_may_act(role);
}

/* The role that called act_as(). */
static Oid
acting_role(void)
{
	return strtoul(acting.value + HEX_DIGITS, NULL, 10);
}

/* The token of this session; an error if it has ended. */
static TokenRow
current_token(void)
{
	bytea	   *hash = palloc(VARHDRSZ + WEBHOOK_TOKEN_HASH_BYTES);
	TokenRow	token;
	const char *reason = NULL;

	SET_VARSIZE(hash, VARHDRSZ + WEBHOOK_TOKEN_HASH_BYTES);
	hex_decode(acting.value, HEX_DIGITS, VARDATA(hash));
	token = read_token(hash);
	pfree(hash);
	if (token.tenant == NULL)
		reason = "Its token is gone.";
	else if (token.is_revoked)
		reason = "Its token was revoked.";
	else if (token.session_until <= GetCurrentTimestamp())
		reason = "The longest time of such a session is over.";
	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("this session acts for no tenant any more"),
				 errdetail_internal("%s", reason),
				 errhint("Begin another session with a new token.")));
	return token;
}

static TokenRow
read_token(const bytea *hash)
{
	const WebhookCatalog *catalog = webhook_catalog_for_append();
	TokenRow	token = {0};
	Relation	table;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	row;
	bool		isnull;

	if (!OidIsValid(catalog->portal_token) || !OidIsValid(catalog->portal_token_pkey))
		return token;
	table = table_open(catalog->portal_token, AccessShareLock);
	ScanKeyInit(&key, Anum_webhook_portal_token_hash, BTEqualStrategyNumber, F_BYTEAEQ,
				PointerGetDatum(hash));
	scan = systable_beginscan(table, catalog->portal_token_pkey, true, NULL, 1, &key);
	row = systable_getnext(scan);
	if (HeapTupleIsValid(row))
	{
		Datum		value = column_of(row, table, Anum_webhook_portal_token_tenant, &isnull);

		if (!isnull)
			token.tenant = TextDatumGetCString(value);
		token.may_write =
			DatumGetBool(column_of(row, table, Anum_webhook_portal_token_may_write, &isnull));
		value = column_of(row, table, Anum_webhook_portal_token_session_until, &isnull);
		if (!isnull)
			token.session_until = DatumGetTimestampTz(value);
		column_of(row, table, Anum_webhook_portal_token_revoked_at, &isnull);
		token.is_revoked = !isnull;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return token;
}

static Datum
column_of(HeapTuple row, Relation table, AttrNumber column, bool *isnull)
{
	return heap_getattr(row, column, RelationGetDescr(table), isnull);
}

/* A parallel worker gets the value of its leader. */
static bool
check_value(char **newval, void **extra, GucSource source)
{
	if ((*newval)[0] == '\0' || acting.is_set_by_us || InitializingParallelWorker)
		return true;
	GUC_check_errcode(ERRCODE_INSUFFICIENT_PRIVILEGE);
	GUC_check_errmsg("parameter \"%s\" cannot be set", SETTING);
	GUC_check_errhint("Call webhook.act_as().");
	return false;
}
