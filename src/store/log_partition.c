/*
 * log_partition.c
 *	  The leaves of webhook.log, one a day (UTC).
 *
 * Leaves are ordinary tables and no members of the extension, so that a dump
 * contains the audit log. The leaf for a row is found by the bounds of the
 * partitions, not by their names: a leaf that was restored from a dump, or that
 * a DBA attached for a month, is used like one that was made here. A new leaf is
 * created as a table of its own and then attached: unlike CREATE TABLE ...
 * PARTITION OF, ATTACH PARTITION does not block readers of webhook.log.
 *
 * The leaf found last is remembered until the relation cache invalidates it or
 * webhook.log. If it is still remembered after it was locked, nobody can drop,
 * detach or alter it until the transaction ends.
 *
 * DDL runs as the owner of webhook.log with a fixed search_path, and with
 * session_replication_role = replica, so that no event trigger fires.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "store/log_partition_internal.h"
#include "store/store.h"

/* The newest row of a leaf is looked for in this number of pages at its end. */
#define NEWEST_PAGES	32

/* The most columns of an index of a leaf, and one. */
#define INDEX_COLUMNS	4

/* A leaf of more pages gets no missing index when a row is to be written. */
#define INDEXED_PAGES	8192

/* What view dead_letter asks for. */
#define OUTCOME_FAILED	"(outcome = ANY (ARRAY['failed'::text, 'cancelled'::text]))"

/* An index that each leaf has. A column of 0 ends the list. */
typedef struct LeafIndex
{
	Oid			method;			/* access method */
	AttrNumber	columns[INDEX_COLUMNS];
	const char *predicate;		/* as pg_get_expr() has it; NULL: it has all rows */
} LeafIndex;

/*
 * The first one is webhook_log_partition_index(), the last one
 * webhook_log_partition_subject_index(); the others are for people.
 */
static const LeafIndex indexes[] = {
	/* an event's deliveries */
	{BTREE_AM_OID, {Anum_webhook_log_event_id, Anum_webhook_log_subscription_id}},
	/* the newest rows of all, or those that tell of a problem */
	{BTREE_AM_OID, {Anum_webhook_log_logged_at, Anum_webhook_log_position,
	Anum_webhook_log_subscription_id}},
	{BTREE_AM_OID, {Anum_webhook_log_logged_at, Anum_webhook_log_position,
	Anum_webhook_log_subscription_id}, "(outcome <> 'delivered'::text)"},
	/* the newest deliveries that failed, however many were retried since */
	{BTREE_AM_OID, {Anum_webhook_log_logged_at, Anum_webhook_log_position,
	Anum_webhook_log_subscription_id}, OUTCOME_FAILED},
	/* the newest rows of a subscription, or its deliveries that failed */
	{BTREE_AM_OID, {Anum_webhook_log_subscription_id, Anum_webhook_log_logged_at,
	Anum_webhook_log_position}},
	{BTREE_AM_OID, {Anum_webhook_log_subscription_id, Anum_webhook_log_logged_at,
	Anum_webhook_log_position}, OUTCOME_FAILED},
	/* a subject's rows: a B-tree would cost twice as much for each row that is written */
	{HASH_AM_OID, {Anum_webhook_log_subject}},
};

/* The leaf that was asked for last. */
static struct
{
	bool		registered;		/* forget() is a callback of the relation cache */
	bool		valid;			/* the other fields are set and not invalidated */
	Oid			log;			/* webhook.log */
	Oid			leaf;
	TimestampTz from;			/* lower bound of the leaf, inclusive */
	TimestampTz until;			/* upper bound of the leaf, exclusive */
}			known;

static void forget(Datum arg, Oid relid);
static bool look_up(TimestampTz instant);
static Relation open_log(PartitionDesc *partitions);
static Oid	partition_of(Relation log, PartitionDesc partitions,
						 TimestampTz instant,
						 TimestampTz *from, TimestampTz *until);
static TimestampTz bound(PartitionBoundInfo bounds, int i);
static int	misfit(Relation log, Relation leaf);
static void check_columns(Relation log, Relation leaf);
static Oid	find_index(Relation leaf, const LeafIndex *wanted);
static bool has_predicate(Relation index, const char *predicate);
static bool is_index(Relation index, const LeafIndex *wanted);
static Oid	make_missing_index(Oid leaf, const LeafIndex *wanted);
static char *index_command(const char *leaf, const LeafIndex *index);
static char *close_command(const char *leaf);
static void make_leaf(TimestampTz instant);
static bool is_own(Oid relid);
static char *qualified_name(Oid relid);
static void run(int count, char **commands);

Oid
webhook_log_partition_for(TimestampTz instant)
{
	if (!known.registered)
	{
		CacheRegisterRelcacheCallback(forget, (Datum) 0);
		known.registered = true;
	}

	/*
	 * What the server's counter of invalidations does not see is no change, although forget()
	 * may be called: with debug_discard_caches it is, at each access.
	 */
	for (;;)
	{
		uint64		before = SharedInvalidMessageCounter;
		Oid			leaf;

		CHECK_FOR_INTERRUPTS();
		if ((!known.valid || instant < known.from || instant >= known.until) &&
			!look_up(instant))
			continue;
		leaf = known.leaf;
		LockRelationOid(leaf, RowExclusiveLock);
		if (known.valid || before == SharedInvalidMessageCounter)
			return leaf;
	}
}

Oid
webhook_log_partition_index(Oid leaf)
{
	for (;;)
	{
		Oid			index = make_missing_index(leaf, &indexes[0]);

		if (OidIsValid(index))
			return index;
		CHECK_FOR_INTERRUPTS();
	}
}

Oid
webhook_log_partition_subject_index(Oid leaf)
{
	Relation	relation = table_open(leaf, AccessShareLock);
	Oid			index = find_index(relation, &indexes[lengthof(indexes) - 1]);

	table_close(relation, NoLock);
	return index;
}

List *
webhook_log_partition_since(TimestampTz instant)
{
	PartitionDesc partitions;
	Relation	log = open_log(&partitions);
	PartitionBoundInfo bounds = partitions->boundinfo;
	List	   *leaves = NIL;

	for (int i = 0; partitions->nparts > 0 && i <= bounds->ndatums; i++)
	{
		int			which = bounds->indexes[i];

		Relation	leaf;

		if (which < 0 || bound(bounds, i) <= instant)
			continue;

		/* The worker writes into no other kind of partition. */
		leaf = relation_open(partitions->oids[which], AccessShareLock);
		if (leaf->rd_rel->relkind == RELKIND_RELATION &&
			misfit(log, leaf) == 0)
			leaves = lappend_oid(leaves, RelationGetRelid(leaf));
		relation_close(leaf, AccessShareLock);
	}
	table_close(log, AccessShareLock);
	return leaves;
}

TimestampTz
webhook_log_partition_newest(void)
{
	List	   *leaves = webhook_log_partition_since(DT_NOBEGIN);
	TimestampTz newest = 0;

	for (int i = list_length(leaves) - 1; i >= 0 && newest == 0; i--)
	{
		Relation	leaf = table_open(list_nth_oid(leaves, i),
									  AccessShareLock);
		BlockNumber pages = RelationGetNumberOfBlocks(leaf);
		TupleTableSlot *slot = table_slot_create(leaf, NULL);
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		ItemPointerData first;
		ItemPointerData last;
		TableScanDesc scan;

		ItemPointerSet(&first, pages > NEWEST_PAGES ? pages - NEWEST_PAGES : 0,
					   FirstOffsetNumber);
		ItemPointerSet(&last, MaxBlockNumber, MaxOffsetNumber);
		scan = table_beginscan_tidrange(leaf, snapshot, &first, &last);
		while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
											   slot))
		{
			bool		isnull;
			Datum		logged_at = slot_getattr(slot,
												 Anum_webhook_log_logged_at,
												 &isnull);

			if (!isnull)
				newest = Max(newest, DatumGetTimestampTz(logged_at));
		}
		table_endscan(scan);
		UnregisterSnapshot(snapshot);
		ExecDropSingleTupleTableSlot(slot);
		table_close(leaf, AccessShareLock);
	}
	return newest;
}

bool
webhook_log_partition_retire(TimestampTz older_than, TimestampTz checkpoint_at)
{
	TimestampTz limit = Min(older_than, checkpoint_at);
	PartitionDesc partitions;
	Relation	log = open_log(&partitions);
	PartitionBoundInfo bounds = partitions->boundinfo;
	Oid			oldest = InvalidOid;

	for (int i = 0; partitions->nparts > 0 && i < bounds->ndatums; i++)
	{
		int			which = bounds->indexes[i];

		if (bound(bounds, i) > limit)
			break;
		if (which >= 0 && is_own(partitions->oids[which]))
		{
			oldest = partitions->oids[which];
			break;
		}
	}
	table_close(log, NoLock);
	if (OidIsValid(oldest))
	{
		char	   *command = psprintf("DROP TABLE %s",
									   qualified_name(oldest));

		run(1, &command);
	}
	return OidIsValid(oldest);
}

/* Callback of the relation cache; InvalidOid stands for all relations. */
static void
forget(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || relid == known.leaf || relid == known.log)
		known.valid = false;
}

/*
 * Find the leaf for a time and remember it; if there is none, only make it.
 * Returns false if none is remembered, because it was made, or an invalidation
 * came meanwhile: the caller tries again.
 */
static bool
look_up(TimestampTz instant)
{
	PartitionDesc partitions;
	Relation	log;
	Relation	leaf;
	Oid			leaf_oid;
	bool		large;
	TimestampTz from;
	TimestampTz until;
	uint64		before = SharedInvalidMessageCounter;

	known.valid = false;
	log = open_log(&partitions);
	leaf_oid = partition_of(log, partitions, instant, &from, &until);
	if (!OidIsValid(leaf_oid))
	{
		table_close(log, NoLock);
		make_leaf(instant);
		return false;
	}

	leaf = relation_open(leaf_oid, RowExclusiveLock);
	check_columns(log, leaf);
	large = RelationGetNumberOfBlocks(leaf) > INDEXED_PAGES;
	known.log = RelationGetRelid(log);
	relation_close(leaf, NoLock);
	table_close(log, NoLock);

	/* Writing must not wait for a long build of an index. Recovery builds the one it needs. */
	for (int i = 0; !large && i < lengthof(indexes); i++)
		(void) make_missing_index(leaf_oid, &indexes[i]);

	known.leaf = leaf_oid;
	known.from = from;
	known.until = until;
	known.valid = before == SharedInvalidMessageCounter;
	return known.valid;
}

/* Open webhook.log and get its partitions. */
static Relation
open_log(PartitionDesc *partitions)
{
	Relation	log = table_open(webhook_catalog_required()->log,
								 AccessShareLock);
	PartitionKey key = RelationGetPartitionKey(log);

	if (key->strategy != PARTITION_STRATEGY_RANGE || key->partnatts != 1 ||
		key->partattrs[0] != Anum_webhook_log_logged_at)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"webhook.log\" is not partitioned by range of \"logged_at\""),
				 errhint("Drop the extension and create it again.")));
	*partitions = RelationGetPartitionDesc(log, true);
	return log;
}

/* The partition for a time, and its bounds; InvalidOid: there is none. */
static Oid
partition_of(Relation log, PartitionDesc partitions, TimestampTz instant,
			 TimestampTz *from, TimestampTz *until)
{
	PartitionKey key = RelationGetPartitionKey(log);
	PartitionBoundInfo bounds = partitions->boundinfo;
	Datum		value = TimestampTzGetDatum(instant);
	bool		equal;
	int			below;
	int			which;

	if (partitions->nparts == 0)
		return InvalidOid;
	below = partition_range_datum_bsearch(key->partsupfunc, key->partcollation,
										  bounds, 1, &value, &equal);
	which = bounds->indexes[below + 1];
	if (which < 0)
		return InvalidOid;
	*from = bound(bounds, below);
	*until = bound(bounds, below + 1);
	return partitions->oids[which];
}

/* Bound number i; those before the first and after the last are infinite. */
static TimestampTz
bound(PartitionBoundInfo bounds, int i)
{
	if (i < 0 || (i < bounds->ndatums &&
				  bounds->kind[i][0] == PARTITION_RANGE_DATUM_MINVALUE))
		return DT_NOBEGIN;
	if (i >= bounds->ndatums ||
		bounds->kind[i][0] == PARTITION_RANGE_DATUM_MAXVALUE)
		return DT_NOEND;
	return DatumGetTimestampTz(bounds->datums[i][0]);
}

/*
 * The number of the first column of a table that differs from webhook.log; 0:
 * rows of webhook.log fit in. Columns that somebody added must accept nulls.
 */
static int
misfit(Relation log, Relation leaf)
{
	TupleDesc	wanted = RelationGetDescr(log);
	TupleDesc	found = RelationGetDescr(leaf);

	for (int i = 0; i < Max(found->natts, Natts_webhook_log); i++)
	{
		Form_pg_attribute have;
		Form_pg_attribute want;

		if (i >= found->natts)
			return i + 1;
		have = TupleDescAttr(found, i);
		if (i >= Natts_webhook_log)
		{
			if (!have->attisdropped && have->attnotnull)
				return i + 1;
			continue;
		}
		want = TupleDescAttr(wanted, i);
		if (have->attisdropped || have->atttypid != want->atttypid ||
			strcmp(NameStr(have->attname), NameStr(want->attname)) != 0)
			return i + 1;
	}
	return 0;
}

/* Raise an error unless rows of webhook.log fit into the leaf. */
static void
check_columns(Relation log, Relation leaf)
{
	int			column;

	if (leaf->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("partition \"%s\" of \"webhook.log\" is not an ordinary table",
						RelationGetRelationName(leaf)),
				 errhint("Detach the partition; the worker creates a table in its place.")));
	column = misfit(log, leaf);
	if (column != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column %d of partition \"%s\" does not match \"webhook.log\"",
						column, RelationGetRelationName(leaf)),
				 errdetail("The first columns have to be those of \"webhook.log\", in the "
						   "same order; other columns have to accept nulls."),
				 errhint("Detach the partition; the worker creates a table in its place.")));
}

/* A valid index of the leaf that is exactly as wanted; InvalidOid: none. */
static Oid
find_index(Relation leaf, const LeafIndex *wanted)
{
	List	   *all = RelationGetIndexList(leaf);
	Oid			found = InvalidOid;
	ListCell   *cell;

	foreach(cell, all)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (is_index(index, wanted))
			found = lfirst_oid(cell);
		index_close(index, AccessShareLock);
		if (OidIsValid(found))
			break;
	}
	list_free(all);
	return found;
}

/* Returns true if that is the predicate of an index; NULL: it has none. */
static bool
has_predicate(Relation index, const char *predicate)
{
	Oid			index_oid = RelationGetRelid(index);
	HeapTuple	row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index_oid));
	bool		isnull;
	Datum		found;
	bool		same;

	if (!HeapTupleIsValid(row))
		elog(ERROR, "cache lookup failed for index %u", index_oid);
	found = SysCacheGetAttr(INDEXRELID, row, Anum_pg_index_indpred, &isnull);
	same = isnull == (predicate == NULL);
	if (same && !isnull)
	{
		found = DirectFunctionCall2(pg_get_expr, found,
									ObjectIdGetDatum(index->rd_index->indrelid));
		same = strcmp(predicate, TextDatumGetCString(found)) == 0;
	}
	ReleaseSysCache(row);
	return same;
}

static bool
is_index(Relation index, const LeafIndex *wanted)
{
	Form_pg_index form = index->rd_index;
	int			count = 0;

	if (index->rd_rel->relam != wanted->method || !form->indisvalid ||
		!has_predicate(index, wanted->predicate))
		return false;
	while (count < form->indnkeyatts && wanted->columns[count] != 0)
	{
		AttrNumber	column = wanted->columns[count];

		if (form->indkey.values[count] != column ||
			index->rd_opcintype[count] != get_atttype(form->indrelid, column))
			return false;
		count++;
	}
	return wanted->columns[count] == 0 && count == form->indnkeyatts;
}

/* The index of a leaf; InvalidOid: it was missing, and was made just now. */
static Oid
make_missing_index(Oid leaf, const LeafIndex *wanted)
{
	Relation	relation = table_open(leaf, AccessShareLock);
	Oid			index = find_index(relation, wanted);
	char	   *command;

	table_close(relation, NoLock);
	if (!OidIsValid(index))
	{
		command = index_command(qualified_name(leaf), wanted);
		run(1, &command);
	}
	return index;
}

/* The command that makes the index. The server chooses its name. */
static char *
index_command(const char *leaf, const LeafIndex *index)
{
	Oid			log = webhook_catalog_required()->log;
	StringInfoData command;

	initStringInfo(&command);
	appendStringInfo(&command, "CREATE INDEX ON %s USING %s (", leaf,
					 index->method == HASH_AM_OID ? "hash" : "btree");
	for (int i = 0; index->columns[i] != 0; i++)
		appendStringInfo(&command, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(log, index->columns[i], false)));
	appendStringInfoChar(&command, ')');
	if (index->predicate)
		appendStringInfo(&command, " WHERE %s", index->predicate);
	return command.data;
}

/*
 * Revoke what default privileges grant on a new leaf. Leaves are read through
 * webhook.log, whose privileges are the ones that count. Only roles that dump
 * the database read the leaf itself; webhook.grant_backup() has let those read
 * the secrets, too.
 */
static char *
close_command(const char *leaf)
{
	return psprintf("DO $$DECLARE grantee oid; BEGIN FOR grantee IN"
					" SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a"
					" WHERE c.oid = %s::regclass AND a.grantee <> c.relowner"
					" LOOP EXECUTE format('REVOKE ALL ON %%s FROM %%s', %s, CASE"
					" WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END);"
					" END LOOP; FOR grantee IN"
					" SELECT DISTINCT a.grantee FROM pg_class c, aclexplode(c.relacl) a"
					" WHERE c.oid = 'webhook_internal.subscription_secret'::regclass"
					" AND a.privilege_type = 'SELECT' AND a.grantee NOT IN (0, c.relowner)"
					" LOOP EXECUTE format('GRANT SELECT ON %%s TO %%s', %s, grantee::regrole);"
					" END LOOP; END$$",
					quote_literal_cstr(leaf), quote_literal_cstr(leaf), quote_literal_cstr(leaf));
}

/*
 * Make the leaf for the day of a time. Of what somebody added to webhook.log, it
 * gets what ATTACH PARTITION requires. Rows are never changed, so that vacuum
 * may freeze them at once.
 */
static void
make_leaf(TimestampTz instant)
{
	Relation	log = table_open(webhook_catalog_required()->log,
								 AccessShareLock);
	Oid			schema = webhook_catalog_required()->internal_schema;
	Oid			tablespace = log->rd_rel->reltablespace;
	char	   *parent = qualified_name(RelationGetRelid(log));
	char	   *leaf;
	char	   *commands[3 + lengthof(indexes)];
	int			count = 0;
	char		name[NAMEDATALEN];
	char		day[2][32];
	int64		julian = POSTGRES_EPOCH_JDATE + instant / USECS_PER_DAY -
		(instant % USECS_PER_DAY < 0 ? 1 : 0);

	table_close(log, NoLock);
	for (int i = 0; i < 2; i++)
	{
		int			y;
		int			m;
		int			d;

		j2date(julian + i, &y, &m, &d);
		snprintf(day[i], sizeof(day[i]), "%04d-%02d-%02d 00:00:00+00", y, m, d);
		if (i == 0)
			snprintf(name, sizeof(name), "log_%04d%02d%02d", y, m, d);
	}

	leaf = quote_qualified_identifier(get_namespace_name(schema), name);
	if (OidIsValid(get_relname_relid(name, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("\"%s\" exists but is not the partition of \"webhook.log\" for that day",
						leaf),
				 errhint("Attach it for values from (%s) to (%s), or rename or drop it.",
						 quote_literal_cstr(day[0]), quote_literal_cstr(day[1]))));

	commands[count++] = psprintf("CREATE TABLE %s (LIKE %s INCLUDING CONSTRAINTS"
								 " INCLUDING GENERATED INCLUDING STORAGE"
								 " INCLUDING COMPRESSION) USING heap"
								 " WITH (autovacuum_freeze_min_age = 0,"
								 " toast.autovacuum_freeze_min_age = 0)%s%s",
								 leaf, parent,
								 OidIsValid(tablespace) ? " TABLESPACE " : "",
								 OidIsValid(tablespace) ?
								 quote_identifier(get_tablespace_name(tablespace)) :
								 "");
	commands[count++] = close_command(leaf);
	for (int i = 0; i < lengthof(indexes); i++)
		commands[count++] = index_command(leaf, &indexes[i]);
	commands[count++] = psprintf("ALTER TABLE ONLY %s ATTACH PARTITION %s"
								 " FOR VALUES FROM ('%s') TO ('%s')",
								 parent, leaf, day[0], day[1]);
	run(count, commands);
}

/* Returns true if a partition is a table with a name that make_leaf() gives. */
static bool
is_own(Oid relid)
{
	char	   *name = get_rel_name(relid);

	return name != NULL &&
		get_rel_relkind(relid) == RELKIND_RELATION &&
		get_rel_namespace(relid) == webhook_catalog_required()->internal_schema &&
		strlen(name) == strlen("log_YYYYMMDD") &&
		strncmp(name, "log_", 4) == 0 &&
		strspn(name + 4, "0123456789") == strlen("YYYYMMDD");
}

static char *
qualified_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errhint("A partition of \"webhook.log\" was probably dropped just now.")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  name);
}

/* Run DDL as the owner of webhook.log. None of the relations that it alters may be open. */
static void
run(int count, char **commands)
{
	Relation	log = table_open(webhook_catalog_required()->log,
								 AccessShareLock);
	Oid			owner = log->rd_rel->relowner;
	Oid			user;
	int			context;
	int			nest_level;

	table_close(log, NoLock);
	GetUserIdAndSecContext(&user, &context);
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("session_replication_role", "replica",
							 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);

	SPI_connect();
	for (int i = 0; i < count; i++)
	{
		if (SPI_execute(commands[i], false, 0) != SPI_OK_UTILITY)
			elog(ERROR, "could not run \"%s\"", commands[i]);
	}
	SPI_finish();

	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(true, nest_level);
}
