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
 * or a full disk is tried again later, and what is in flight goes on.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/catalog.h"
#include "process/shmem.h"
#include "worker/transaction_internal.h"

static struct
{
	char	   *database;		/* name of this process's database; NULL: not yet known */
	bool		reported;		/* the log says that the extension was dropped or altered */
}			transaction;

static void abort_transaction(void);
static void report_error(void);
static bool is_expected(int code);

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
	 * into any other it would be where it is needed, and there may be no transaction.
	 */
	StartTransactionCommand();
	SetConfigOption("client_encoding", "UTF8", PGC_SUSET, PGC_S_OVERRIDE);
	CommitTransactionCommand();
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
	return done;
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
}

/*
 * An error that follows from a request to stop is no fault that somebody has to
 * look at: reading was broken off, or what was read is being dropped.
 */
static void
report_error(void)
{
	ErrorData  *error;

	if (!is_expected(geterrcode()))
	{
		EmitErrorReport();
		return;
	}
	error = CopyErrorData();
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
