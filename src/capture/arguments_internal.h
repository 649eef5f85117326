/*
 * arguments_internal.h
 *	  The arguments of the trigger on a watched table: all that it needs, by name.
 *
 *	  event type, name, status column, scope, tenant column, n, n key columns,
 *	  data columns ...
 *
 * "name" is the name that Data and subject carry; "scope" is 'parent_only' or
 * empty, and tells view watched_table whether inheritance children matter. The
 * tenant column is empty if there is none.
 */
#ifndef WEBHOOK_ARGUMENTS_INTERNAL_H
#define WEBHOOK_ARGUMENTS_INTERNAL_H

#include "nodes/pg_list.h"

/* The strings are those of the trigger. */
typedef struct WebhookArguments
{
	char	   *event_type;
	char	   *name;
	char	   *status;
	char	   *tenant;			/* empty: there is none */
	int			nkeys;
	char	  **keys;
	int			ndata;
	char	  **data;
} WebhookArguments;

/* A trigger that watches a relation. */
typedef struct WebhookWatchTrigger
{
	Oid			oid;
	Oid			parent;			/* of a partition's trigger, that of the parent; else InvalidOid */
	int			nargs;
	char	  **args;
} WebhookWatchTrigger;

/* What a watch uses a column for; bits of a set. */
typedef enum WebhookColumnUse
{
	WEBHOOK_USE_STATUS = 1 << 0,
	WEBHOOK_USE_KEY = 1 << 1,
	WEBHOOK_USE_DATA = 1 << 2,
	WEBHOOK_USE_TENANT = 1 << 3,
} WebhookColumnUse;

/* Returns false if these are not the arguments of a watch. */
extern bool webhook_arguments_parse(WebhookArguments *arguments, int nargs, char **args);

/* What the column of that name is used for, as a set of WebhookColumnUse. */
extern int	webhook_arguments_use(const WebhookArguments *arguments, const char *column);

/* Put a column's new name in place of the former one; the strings are not copied. */
extern void webhook_arguments_rename(WebhookWatchTrigger *trigger, const char *old_name,
									 char *new_name);

/*
 * The triggers that watch a relation, as WebhookWatchTrigger in
 * CurrentMemoryContext. Those of its partitions are not among them.
 */
extern List *webhook_arguments_of_relation(Oid relid);

/*
 * Replace the arguments of a trigger of the relation in the catalog. The
 * trigger's OID stays, and whether it is enabled. The caller has a lock on the
 * relation that CREATE TRIGGER would take.
 */
extern void webhook_arguments_replace(Oid relid, Oid trigger, int nargs, char **args);

#endif							/* WEBHOOK_ARGUMENTS_INTERNAL_H */
