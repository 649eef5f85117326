/*
 * tenant_internal.h
 *	  Whose a watched row is: the tenant in one of its columns.
 */
#ifndef WEBHOOK_TENANT_INTERNAL_H
#define WEBHOOK_TENANT_INTERNAL_H

#include "executor/tuptable.h"

#include "capture/row_json_internal.h"

/*
 * The tenant of a row, in "out": the value of that column as in a subject, but
 * without escapes, and a char(n) without the blanks at its end; NULL: it has none.
 * The column's settings have been fixed.
 */
extern const char *webhook_tenant_of(WebhookColumn *column, StringInfo out, TupleTableSlot *row);

/* Returns true if two tenants are the same, or both are none. */
extern bool webhook_tenant_same(const char *a, const char *b);

#endif							/* WEBHOOK_TENANT_INTERNAL_H */
