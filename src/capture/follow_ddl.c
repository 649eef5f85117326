/*
 * follow_ddl.c
 *	  What DDL on columns does to the watches of their table.
 *
 * A watch knows its columns by name, because attribute numbers differ between
 * partitions. So it has to follow a rename, in the transaction that renames: the
 * arguments of its trigger are rewritten. A column that is dropped cannot be
 * followed; who drops it is warned.
 *
 * The object access hook sees each column of each relation that a statement
 * renames or drops, partitions and inheritance children included, in replica
 * mode, too, where an event trigger is silent.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "capture/arguments_internal.h"
#include "capture/capture.h"

static struct
{
	object_access_hook_type next_object_access; /* the hook that was installed before ours */
}			follow;

static void object_access(ObjectAccessType access, Oid classId, Oid objectId,
						  int subId, void *arg);
static void column_altered(Oid relid, AttrNumber number);
static char *new_name_of(Oid relid, AttrNumber number);
static void follow_rename(Oid relid, WebhookWatchTrigger *trigger,
						  const char *old_name, char *new_name);
static void column_dropped(Oid relid, AttrNumber number);

void
webhook_follow_ddl_init(void)
{
	follow.next_object_access = object_access_hook;
	object_access_hook = object_access;
}

static void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId,
			  void *arg)
{
	if (follow.next_object_access)
		follow.next_object_access(access, classId, objectId, subId, arg);

	if (classId != RelationRelationId || subId <= 0)
		return;
	if (access == OAT_POST_ALTER)
		column_altered(objectId, subId);
	else if (access == OAT_DROP)
		column_dropped(objectId, subId);
}

/*
 * A column was altered. If it was renamed, its new row of pg_attribute is not
 * visible yet to anybody but SnapshotSelf.
 */
static void
column_altered(Oid relid, AttrNumber number)
{
	char	   *old_name = get_attname(relid, number, true);
	char	   *new_name = new_name_of(relid, number);
	ListCell   *cell;

	if (old_name == NULL || new_name == NULL || strcmp(old_name, new_name) == 0)
		return;
	foreach(cell, webhook_arguments_of_relation(relid))
		follow_rename(relid, lfirst(cell), old_name, new_name);
}

static char *
new_name_of(Oid relid, AttrNumber number)
{
	Relation	attributes = table_open(AttributeRelationId, AccessShareLock);
	char	   *name = NULL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_attribute_attrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[1], Anum_pg_attribute_attnum, BTEqualStrategyNumber,
				F_INT2EQ, Int16GetDatum(number));
	scan = systable_beginscan(attributes, AttributeRelidNumIndexId, true,
							  SnapshotSelf, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		name = pstrdup(NameStr(((Form_pg_attribute) GETSTRUCT(tuple))->attname));
	systable_endscan(scan);
	table_close(attributes, AccessShareLock);
	return name;
}

/* Replace a column's name in the arguments of a trigger. Tells if that changes Data. */
static void
follow_rename(Oid relid, WebhookWatchTrigger *trigger, const char *old_name,
			  char *new_name)
{
	WebhookArguments arguments;
	int			use;

	if (!webhook_arguments_parse(&arguments, trigger->nargs, trigger->args))
		return;
	use = webhook_arguments_use(&arguments, old_name);
	if (use == 0)
		return;
	webhook_arguments_rename(trigger, old_name, new_name);
	webhook_arguments_replace(relid, trigger->oid, trigger->nargs, trigger->args);

	/* A key of one column has the table's name in Data, the status a fixed one. */
	if (arguments.nkeys == 1)
		use &= ~WEBHOOK_USE_KEY;
	if (!OidIsValid(trigger->parent) && (use & (WEBHOOK_USE_KEY | WEBHOOK_USE_DATA)) != 0)
		ereport(NOTICE,
				(errmsg("Data of event \"%s\" has \"%s\" in place of \"%s\" from now on",
						arguments.event_type, new_name, old_name),
				 errhint("Receivers and filters that read the former name have to be changed.")));
}

/* A column is about to be dropped. */
static void
column_dropped(Oid relid, AttrNumber number)
{
	char	   *name = get_attname(relid, number, true);
	ListCell   *cell;

	if (name == NULL)
		return;
	foreach(cell, webhook_arguments_of_relation(relid))
	{
		WebhookWatchTrigger *trigger = lfirst(cell);
		WebhookArguments arguments;
		int			use;

		if (OidIsValid(trigger->parent) ||
			!webhook_arguments_parse(&arguments, trigger->nargs, trigger->args))
			continue;
		use = webhook_arguments_use(&arguments, name);
		if (use != 0)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of watched relation \"%s\" is dropped",
							name, get_rel_name(relid)),
					 use == WEBHOOK_USE_DATA ?
					 errdetail("It is left out of event \"%s\".", arguments.event_type) :
					 errdetail("Event \"%s\" is not published.", arguments.event_type),
					 errhint("Name other columns with webhook.alter_watch(), or call webhook.unwatch().")));
	}
}
