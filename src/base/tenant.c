/*
 * tenant.c
 *	  Which tenant a role acts for.
 *
 * The table is read without SQL, as catalogs are: as it is now, whatever the
 * transaction's snapshot, so that what has been revoked is gone at once. No privilege on
 * it is needed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/acting.h"
#include "base/catalog.h"
#include "base/compat.h"
#include "base/tenant.h"

/* Who may execute this function sees all tenants; nobody calls it. */
#define MARKER	"all_tenants"

bool
webhook_sees_all(Oid role)
{
	Oid			schema = webhook_catalog_for_append()->internal_schema;
	oidvector  *no_arguments = buildoidvector(NULL, 0);
	Oid			marker = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(MARKER),
										 PointerGetDatum(no_arguments), ObjectIdGetDatum(schema));

	pfree(no_arguments);
	return OidIsValid(marker) && compat_may_execute(marker, role);
}

char *
webhook_role_tenant(Oid role)
{
	const WebhookCatalog *catalog = webhook_catalog_for_append();
	Relation	table;
	SysScanDesc scan;
	HeapTuple	row;
	char	   *found = NULL;
	bool		several = false;

	if (!OidIsValid(catalog->tenant_role) || webhook_sees_all(role))
		return NULL;
	if (webhook_may_act(role))
		return webhook_acting_tenant(role);
	table = table_open(catalog->tenant_role, AccessShareLock);
	scan = systable_beginscan(table, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		role_is_null;
		bool		tenant_is_null;
		Datum		member_of = heap_getattr(row, Anum_webhook_tenant_role_role,
											 RelationGetDescr(table), &role_is_null);
		Datum		tenant = heap_getattr(row, Anum_webhook_tenant_role_tenant,
										  RelationGetDescr(table), &tenant_is_null);

		if (role_is_null || tenant_is_null ||
			!has_privs_of_role(role, DatumGetObjectId(member_of)))
			continue;
		if (found == NULL)
			found = TextDatumGetCString(tenant);
		else if (strcmp(found, TextDatumGetCString(tenant)) != 0)
			several = true;
	}
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return several ? NULL : found;
}
