/*
 * transaction.c
 *	  The worker's short transactions.
 *
 * A worker inherits every ALTER DATABASE and ALTER ROLE ... SET, so whatever
 * its work depends on is set here, once, over all of them. Each transaction
 * looks up the extension first: that is how DROP EXTENSION and an update stop
 * the worker by themselves.
 *
 * An error ends the transaction, not the process: a lock that is held too long
 * or a full disk is tried again later, and what is in flight goes on. Waiting for
 * a lock is no fault of the worker, and each try would be a line in the server's
 * log. So the log says at most once a minute what the worker waits for.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "process/shmem.h"
#include "worker/transaction_internal.h"

#define LOCK_REPORT_INTERVAL (60 * USECS_PER_SEC)

/* What starting does, and what for. */
typedef struct Start
{
	void		(*work) (void *arg);
	void	   *arg;
} Start;

/* A relation whose name is looked up. */
typedef struct RelationName
{
	Oid			relation;
	MemoryContext context;		/* of the name */
	char	   *name;			/* with its schema; NULL: not known */
} RelationName;

static struct
{
	char	   *database;		/* name of this process's database; NULL: not yet known */
	int			error;			/* SQLSTATE of the last error */
	bool		reported;		/* the log says that the extension was dropped or altered */
	bool		lock_timed_out; /* the last transaction ended because it did not get a lock */
	LOCKTAG		awaited;		/* the lock that a signal has found this process waiting for */
	volatile sig_atomic_t is_awaited;	/* "awaited" is of this transaction */
	TimestampTz lock_reported_at;	/* when the log last said what the worker waits for */
}			transaction;

static void handle_sigint(SIGNAL_ARGS);
static void lock_and_start(void *arg);
static void abort_transaction(void);
static void report_error(void);
static void write_as_debug(void);
static bool is_expected(int code);
static void report_lock(void);
static void find_name(void *arg);

void
webhook_transaction_settings(void)
{
	/* As a replica, it fires no trigger that an owner has not made ALWAYS. */
	static const char *const settings[][2] = {
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"default_tablespace", ""},
		{"default_table_access_method", "heap"},
		{"idle_in_transaction_session_timeout", "0"},
		{"jit", "off"},
		{"lock_timeout", "500ms"},
		{"quote_all_identifiers", "off"},
		{"role", "none"},
		{"row_security", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"session_replication_role", "replica"},
		{"statement_timeout", "0"},
		{"synchronous_commit", "off"},
		{"temp_file_limit", "-1"},
		{"TimeZone", "UTC"},
		{"DateStyle", "ISO, MDY"},
		{"IntervalStyle", "postgres"},
		{"transaction_timeout", "0"},
	};

	for (int i = 0; i < lengthof(settings); i++)
	{
		/* Not every server has every one. */
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
							PGC_S_OVERRIDE);
	}

	/*
	 * Requests are sent in UTF-8. The conversion into the client's encoding is looked up here;
	 * into any other it would be where it is needed, and there may be no transaction. A database
	 * whose encoding has none cannot have the extension: this process leaves before the look-up.
	 */
	webhook_transaction_begin("starting");
	SetConfigOption("client_encoding", "UTF8", PGC_SUSET, PGC_S_OVERRIDE);
	webhook_transaction_commit();

	pqsignal(SIGINT, handle_sigint);
}

/*
 * lock_timeout sends SIGINT to the process that waits. When the error is raised,
 * the server has forgotten what the process was waiting for, so it is noted here.
 * Locks are in shared memory, which stays mapped: one that was granted at this
 * moment can be read, and is not reported, because no error follows.
 */
static void
handle_sigint(SIGNAL_ARGS)
{
	LOCK	   *lock = MyProc->waitLock;

	if (lock != NULL)
	{
		transaction.awaited = lock->tag;
		transaction.is_awaited = true;
	}
	StatementCancelHandler(postgres_signal_arg);
}

void
webhook_transaction_hurry(void)
{
	SetConfigOption("lock_timeout", "100ms", PGC_SUSET, PGC_S_OVERRIDE);
}

void
webhook_transaction_begin(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);

	if (webhook_catalog() == NULL)
	{
		PopActiveSnapshot();
		AbortCurrentTransaction();

		/* A worker that only looked for the extension says nothing. */
		if (transaction.database != NULL)
			webhook_transaction_report_extension_changed();
		webhook_shmem_set_exit(WEBHOOK_EXIT_ABSENT);
		proc_exit(0);
	}
	if (transaction.database == NULL)
		transaction.database = MemoryContextStrdup(TopMemoryContext,
												   get_database_name(MyDatabaseId));
}

const char *
webhook_transaction_database(void)
{
	return transaction.database;
}

void
webhook_transaction_report_extension_changed(void)
{
	if (!transaction.reported)
		ereport(LOG,
				(errmsg("webhook worker for database \"%s\" is shutting down because the extension was dropped or altered",
						transaction.database)));
	transaction.reported = true;
}

void
webhook_transaction_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

bool
webhook_transaction_try(const char *activity, void (*work) (void *arg), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	transaction.lock_timed_out = false;
	transaction.is_awaited = false;
	PG_TRY();
	{
		webhook_transaction_begin(activity);
		work(arg);
		MemoryContextSwitchTo(old);
		webhook_transaction_commit();
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		abort_transaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (transaction.lock_timed_out)
		report_lock();
	return done;
}

int
webhook_transaction_error(void)
{
	return transaction.error;
}

WebhookSnapshot *
webhook_transaction_snapshot(void)
{
	return webhook_snapshot_make(GetLatestSnapshot(), InvalidFullTransactionId);
}

bool
webhook_transaction_start(void (*work) (void *arg), void *arg)
{
	Start		start = {.work = work,.arg = arg};

	while (!webhook_transaction_try("starting", lock_and_start, &start))
	{
		/* A lock that was not got is waited for again, for as long as lock_timeout. */
		if (!transaction.lock_timed_out || ShutdownRequestPending ||
			webhook_shmem_stop_requested() != WEBHOOK_STOP_NONE)
			return false;
	}
	return true;
}

/* Whatever may have to wait comes first, so that the work is seldom repeated. */
static void
lock_and_start(void *arg)
{
	const Start *start = arg;
	const WebhookCatalog *catalog = webhook_catalog_required();

	for (int i = 0; i < WEBHOOK_RING_TABLES; i++)
		LockRelationOid(catalog->event[i], AccessShareLock);
	LockRelationOid(catalog->subscription, AccessShareLock);
	LockRelationOid(catalog->state, AccessShareLock);
	LockRelationOid(catalog->pending, AccessShareLock);
	LockRelationOid(catalog->log, AccessShareLock);
	LockRelationOid(catalog->checkpoint, RowExclusiveLock);
	start->work(start->arg);
}

/* Write the error to the server's log, and abort. */
static void
abort_transaction(void)
{
	HOLD_INTERRUPTS();
	report_error();
	AbortCurrentTransaction();
	FlushErrorState();
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();

	/* An error that is a cancel leaves behind what else is pending, without this flag. */
	InterruptPending = true;
}

/*
 * An error that follows from a request to stop is no fault that somebody has to
 * look at: reading was broken off, or what was read is being dropped. Neither is
 * a lock that another session holds; report_lock() names it.
 */
static void
report_error(void)
{
	int			code = geterrcode();
	bool		expected = is_expected(code);

	transaction.error = code;
	transaction.lock_timed_out = (!expected && code == ERRCODE_LOCK_NOT_AVAILABLE);
	if (expected || transaction.lock_timed_out)
		write_as_debug();
	else
		EmitErrorReport();
}

static void
write_as_debug(void)
{
	ErrorData  *error = CopyErrorData();

	error->elevel = DEBUG1;
	FlushErrorState();
	ThrowErrorData(error);
	FreeErrorData(error);
}

static bool
is_expected(int code)
{
	if (ShutdownRequestPending && code == ERRCODE_QUERY_CANCELED)
		return true;
	if (webhook_shmem_stop_requested() != WEBHOOK_STOP_EXTENSION)
		return false;
	switch (code)
	{
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_UNDEFINED_SCHEMA:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_INTERNAL_ERROR:	/* "could not open relation with OID ..." */
			return true;
		default:
			return false;
	}
}

/* Say what the worker waits for, if that was not said within the last minute. */
static void
report_lock(void)
{
	TimestampTz now = GetCurrentTimestamp();
	LOCKTAG		lock = transaction.awaited;
	bool		is_known = transaction.is_awaited;
	RelationName relation = {.context = CurrentMemoryContext};
	StringInfoData other;

	/* In the first transaction of all, not even the name of the database is known. */
	if (transaction.database == NULL)
		return;
	if (transaction.lock_reported_at != 0 && now >= transaction.lock_reported_at &&
		now - transaction.lock_reported_at < LOCK_REPORT_INTERVAL)
		return;
	transaction.lock_reported_at = now;

	initStringInfo(&other);
	if (is_known && lock.locktag_type == LOCKTAG_RELATION)
	{
		relation.relation = lock.locktag_field2;
		(void) webhook_transaction_try("looking up what is locked", find_name, &relation);
		transaction.lock_timed_out = true;
	}
	if (is_known && relation.name == NULL)
		DescribeLockTag(&other, &lock);

	ereport(LOG,
			(relation.name != NULL ?
			 errmsg("webhook worker for database \"%s\" is waiting for a lock on relation \"%s\"",
					transaction.database, relation.name) :
			 other.len > 0 ?
			 errmsg("webhook worker for database \"%s\" is waiting for a lock on %s",
					transaction.database, other.data) :
			 errmsg("webhook worker for database \"%s\" is waiting for a lock",
					transaction.database),
			 errdetail("The worker tries again until it gets the lock. Meanwhile it may send nothing."),
			 errhint("View pg_locks shows which session holds the lock.")));
	pfree(other.data);
	if (relation.name != NULL)
		pfree(relation.name);
}

static void
find_name(void *arg)
{
	RelationName *relation = arg;
	char	   *schema = get_namespace_name(get_rel_namespace(relation->relation));
	char	   *name = get_rel_name(relation->relation);
	MemoryContext old = MemoryContextSwitchTo(relation->context);

	if (schema != NULL && name != NULL)
		relation->name = psprintf("%s.%s", schema, name);
	MemoryContextSwitchTo(old);
}
