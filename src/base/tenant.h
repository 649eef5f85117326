/*
 * tenant.h
 *	  Which tenant a role acts for.
 */
#ifndef WEBHOOK_TENANT_H
#define WEBHOOK_TENANT_H

/*
 * Returns true if the role sees, and acts for, the platform and all tenants: it has
 * EXECUTE on webhook_internal.all_tenants(), as readers, operators and administrators
 * have.
 */
extern bool webhook_sees_all(Oid role);

/*
 * The tenant that the role acts for, by itself or as a member of other roles, or, if it
 * may act by tokens, by that of this session alone. NULL: it acts for none, for two, or for
 * all. An error if the token of this session has ended. The result is in
 * CurrentMemoryContext.
 */
extern char *webhook_role_tenant(Oid role);

#endif							/* WEBHOOK_TENANT_H */
