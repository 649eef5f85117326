/*
 * launcher.c
 *	  Finds the databases that have the extension, and keeps a worker running
 *	  in each.
 *
 * The launcher is connected to no database, so it cannot see which databases
 * have the extension. It starts a worker in every database that accepts
 * connections and is not a template; a worker that does not find the extension
 * leaves at once. The launcher remembers that until CREATE EXTENSION in that
 * database requests a worker. It looks at pg_database when it starts, when DDL
 * asks for it, when the configuration is reloaded, and once a minute in case
 * something was missed.
 *
 * The launcher waits for no single database: one that cannot be connected to
 * must not keep the others from their workers. It does what can be done now and
 * sleeps until its latch is set, by a session, a worker or the postmaster, or
 * until the next start is due. At most two workers are starting at a time,
 * because other users of a server with many databases need background worker
 * slots, too.
 *
 * Life of a slot:
 *
 *	FREE ----> WANTED --> STARTING --> RUNNING --> STOPPED
 *	  ^          ^ ^          |                     | | |
 *	  |          | +----------+ could not register  | | |
 *	  |          +----------------------------------+ | |
 *	  |            ASKED: at once; FAILED: after      | |
 *	  |            a wait, see restart.c              | |
 *	  +-----------------------------------------------+ |
 *	    ABSENT, unless a worker was requested           |
 *	    meanwhile; or the database is gone              |
 *	BLOCKED <-------------------------------------------+
 *	    the same while DDL on the database is under way
 *
 * The launcher makes all of these steps but two: a worker takes its own slot
 * from STARTING to RUNNING and on to STOPPED. Sessions claim slots (to WANTED,
 * or to BLOCKED and back). The launcher starts a worker only while no DDL blocks
 * its database, and after a look at pg_database that is younger than the last
 * block; so it does not start one in a database that has just been dropped.
 *
 * A generation number tells the worker that a slot is meant for from one that
 * comes too late. Slots outlive a launcher: the next launcher finds RUNNING
 * workers by their slots alone, and starts another worker for slots that were
 * STARTING.
 *
 * When this process ends, only one thing is lost: which databases lack the
 * extension. It ends with exit code 1, so the postmaster starts it again, unless
 * the server shuts down.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "process/databases_internal.h"
#include "process/launcher.h"
#include "process/restart_internal.h"
#include "process/shmem_internal.h"

/* Seconds until the postmaster starts the next launcher. */
#define RESTART_SECONDS		5

/* How often pg_database is looked at without a request. */
#define SCAN_MS				60000

/* While the server is out of background worker slots: time between tries. */
#define REFUSED_RETRY_MS	2000

/* Time between warnings about that, and between those about more databases than before. */
#define SAME_WARNING_MS		(60 * 60 * 1000)
#define MORE_WARNING_MS		60000

/* Databases that such a warning names. */
#define MAX_NAMED			50

/* Workers that may be starting at the same time. */
#define MAX_STARTING		2

/* What the launcher alone knows about a slot. */
typedef struct LocalSlot
{
	Oid			database;		/* the slot's database at the last look */
	NameData	name;			/* of that database, as the last scan found it */
	bool		eligible;		/* the last scan found that a worker may connect to it */
	bool		seen;			/* the scan under way has found it */
	BackgroundWorkerHandle *handle; /* of its worker. NULL: there is none, or a former launcher
									 * started it */
	bool		looked;			/* pg_database was looked at because it wants a worker */
	int			refusals;		/* registrations in a row that found no background worker slot */
} LocalSlot;

static struct
{
	LocalSlot  *slots;			/* as many as there are slots in shared memory */
	List	   *unclaimed;		/* names of databases for which the last scan found no free slot:
								 * char * in TopMemoryContext */
	TimestampTz last_scan;
	TimestampTz last_warning;	/* that no background worker slot is free */
	int			warned;			/* number of databases that this was about */
}			launcher;

static void describe(BackgroundWorker *worker, const char *type,
					 const char *function);
static bool is_over(TimestampTz since, int ms, TimestampTz now);
static void exit_if_asked(void);
static void wait_for_start(const WebhookRestart *restart, uint32 wait_event);
static void start_state(void);
static bool take_stock(void);
static void scan_databases(void);
static void note_database(const WebhookDatabase *database);
static void note_seen(LocalSlot *mine, const WebhookDatabase *database);
static bool free_gone_databases(void);
static bool settle_stopped(void);
static bool worker_has_ended(LocalSlot *mine);
static void report_failure(LocalSlot *mine, int wait_ms);
static long start_workers(void);
static bool start_worker(int i);
static void warn_of_no_worker_slot(TimestampTz now);
static void add_name(StringInfo names, int *count, const char *name);

void
webhook_launcher_init(void)
{
	BackgroundWorker worker;

	describe(&worker, "webhook launcher", "webhook_launcher_main");
	worker.bgw_restart_time = RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
}

/* Set what the launcher and the workers have in common. */
static void
describe(BackgroundWorker *worker, const char *type, const char *function)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "webhook", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
}

void
webhook_launcher_main(Datum arg)
{
	uint32		wait_event;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("webhook launcher");
	wait_event = compat_wait_event("WebhookLauncher");

	wait_for_start(webhook_shmem_attach_launcher(), wait_event);
	start_state();

	for (;;)
	{
		bool		look;
		long		timeout;

		ResetLatch(MyLatch);
		exit_if_asked();

		look = take_stock();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			look = true;
		}
		look |= settle_stopped();
		look |= webhook_shmem_take_scan_request();
		look |= is_over(launcher.last_scan, SCAN_MS, GetCurrentTimestamp());
		if (look)
			scan_databases();

		timeout = start_workers();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout, wait_event);
	}
}

/* Returns true if so many milliseconds have passed; a clock that was set back ends them. */
static bool
is_over(TimestampTz since, int ms, TimestampTz now)
{
	return now < since || TimestampDifferenceExceeds(since, now, ms);
}

static void
exit_if_asked(void)
{
	if (ProcDiePending)
	{
		ereport(DEBUG1, (errmsg_internal("webhook launcher shutting down")));
		proc_exit(1);
	}
	CHECK_FOR_INTERRUPTS();
}

/* A former launcher may have crashed: wait, so that the server is not restarted in a loop. */
static void
wait_for_start(const WebhookRestart *restart, uint32 wait_event)
{
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		TimestampTz time = webhook_restart_time(restart, now);

		if (time <= now)
			break;
		ResetLatch(MyLatch);
		exit_if_asked();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 TimestampDifferenceMilliseconds(now, time), wait_event);
	}
}

/*
 * Allocate memory, and take over what a former launcher has left. A worker that
 * is starting cannot be followed without its handle, so another one will be
 * started; the former one finds its slot given to that.
 */
static void
start_state(void)
{
	int			nslots = webhook_shmem_slot_count();

	launcher.slots = MemoryContextAllocZero(TopMemoryContext,
											nslots * sizeof(LocalSlot));

	webhook_databases_init();

	webhook_shmem_lock(true);
	for (int i = 0; i < nslots; i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);

		if (slot->state == WEBHOOK_SLOT_STARTING)
			slot->state = WEBHOOK_SLOT_WANTED;
	}
	webhook_shmem_unlock();
}

/*
 * See which slots belong to another database now. Returns true if a worker is
 * newly wanted, so that pg_database has to be looked at.
 */
static bool
take_stock(void)
{
	bool		look = false;

	webhook_shmem_lock(false);
	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &launcher.slots[i];

		if (mine->database != slot->database)
		{
			Assert(mine->handle == NULL);
			memset(mine, 0, sizeof(LocalSlot));
			mine->database = slot->database;
		}
		if (slot->state == WEBHOOK_SLOT_WANTED && !mine->eligible && !mine->looked)
		{
			/* Only once; the database is looked at again with the others. */
			mine->looked = true;
			look = true;
		}
	}
	webhook_shmem_unlock();

	return look;
}

/*
 * Look at pg_database: claim a slot for each database that may have the
 * extension, free the slots of databases that are gone.
 */
static void
scan_databases(void)
{
	launcher.last_scan = GetCurrentTimestamp();
	list_free_deep(launcher.unclaimed);
	launcher.unclaimed = NIL;
	for (int i = 0; i < webhook_shmem_slot_count(); i++)
		launcher.slots[i].seen = false;

	/* A database that found no free slot is not known by name: try all. */
	webhook_databases_scan(note_database, webhook_shmem_take_slots_exhausted());

	if (free_gone_databases() && launcher.unclaimed != NIL)
		webhook_shmem_request_scan();
}

/* Take note of a database that the scan has found, and claim a slot if it needs one. */
static void
note_database(const WebhookDatabase *database)
{
	WebhookSlot *slot;
	LocalSlot  *mine;

	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		if (launcher.slots[i].database == database->id)
		{
			note_seen(&launcher.slots[i], database);
			break;
		}
	}
	if (!database->eligible || database->without_extension)
		return;

	webhook_shmem_lock(true);
	slot = webhook_shmem_find(database->id);
	if (slot == NULL)
		slot = webhook_shmem_claim(database->id, WEBHOOK_SLOT_WANTED);
	else if (slot->state == WEBHOOK_SLOT_BLOCKED)
		slot->state = WEBHOOK_SLOT_WANTED;
	webhook_shmem_unlock();

	if (slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		launcher.unclaimed = lappend(launcher.unclaimed, pstrdup(database->name));
		MemoryContextSwitchTo(old);
		return;
	}

	mine = &launcher.slots[slot - webhook_shmem_slot(0)];
	if (mine->database != database->id)
	{
		memset(mine, 0, sizeof(LocalSlot));
		mine->database = database->id;
	}
	note_seen(mine, database);
}

static void
note_seen(LocalSlot *mine, const WebhookDatabase *database)
{
	mine->seen = true;
	mine->eligible = database->eligible;
	namestrcpy(&mine->name, database->name);
}

/*
 * Free the slots of databases that the scan has not seen, if they were known
 * before the scan: a database may have been created during it. A slot whose
 * worker has not ended yet is left for later. Returns true if a slot was freed.
 */
static bool
free_gone_databases(void)
{
	bool		freed = false;

	webhook_shmem_lock(true);
	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &launcher.slots[i];

		if (!OidIsValid(mine->database) || mine->seen ||
			mine->database != slot->database)
			continue;

		mine->eligible = false;
		if (mine->handle == NULL &&
			(slot->state == WEBHOOK_SLOT_WANTED ||
			 slot->state == WEBHOOK_SLOT_STOPPED))
		{
			webhook_shmem_free(slot);
			freed = true;
		}
	}
	webhook_shmem_unlock();

	return freed;
}

/*
 * Decide what happens to the slots of workers that have ended. Returns true if
 * a slot was freed that another database may be waiting for.
 */
static bool
settle_stopped(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		freed = false;

	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &launcher.slots[i];
		Oid			without_extension = InvalidOid;
		bool		failed = false;

		if (!OidIsValid(mine->database) || !worker_has_ended(mine))
			continue;

		webhook_shmem_lock(true);
		if (slot->state == WEBHOOK_SLOT_STARTING)
		{
			/* The worker ended before it attached. */
			slot->state = WEBHOOK_SLOT_STOPPED;
			slot->exit_reason = WEBHOOK_EXIT_FAILED;
		}
		if (slot->state == WEBHOOK_SLOT_STOPPED)
		{
			if (slot->exit_reason == WEBHOOK_EXIT_ABSENT && !slot->wanted_again)
			{
				without_extension = slot->database;
				webhook_shmem_free(slot);
				freed = true;
			}
			else
			{
				failed = slot->exit_reason == WEBHOOK_EXIT_FAILED;
				if (failed)
					webhook_restart_failed(&slot->restart, now);
				else
					slot->restart.not_before = now;
				slot->wanted_again = false;
				slot->state = WEBHOOK_SLOT_WANTED;
			}
		}
		webhook_shmem_unlock();

		if (failed)
			report_failure(mine, slot->restart.wait_ms);
		if (OidIsValid(without_extension))
		{
			webhook_databases_set_without_extension(without_extension);
			memset(mine, 0, sizeof(LocalSlot));
		}
	}

	return freed && (launcher.unclaimed != NIL || webhook_shmem_slots_exhausted());
}

/*
 * Returns true if the worker that this launcher registered has ended, or if it
 * has registered none: then the slot's state alone says what is to be done.
 */
static bool
worker_has_ended(LocalSlot *mine)
{
	pid_t		pid;

	if (mine->handle == NULL)
		return true;
	if (GetBackgroundWorkerPid(mine->handle, &pid) != BGWH_STOPPED)
		return false;

	pfree(mine->handle);
	mine->handle = NULL;
	return true;
}

/* The waits grow, so this is said once a minute at most in the long run. */
static void
report_failure(LocalSlot *mine, int wait_ms)
{
	ereport(LOG,
			(errmsg("webhook worker for database \"%s\" has failed; another one is started in %d s",
					NameStr(mine->name), wait_ms / 1000)));
}

/*
 * Start the workers that are due. Returns the milliseconds until the next start
 * or scan is due.
 */
static long
start_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = TimestampTzPlusMilliseconds(launcher.last_scan, SCAN_MS + 1);
	int			starting = 0;

	webhook_shmem_lock(false);
	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		if (webhook_shmem_slot(i)->state == WEBHOOK_SLOT_STARTING)
			starting++;
	}
	webhook_shmem_unlock();

	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		const WebhookRestart *restart = &webhook_shmem_slot(i)->restart;

		/* start_worker() tests the state once more, under the lock. */
		if (!launcher.slots[i].eligible || launcher.slots[i].handle != NULL ||
			webhook_shmem_slot(i)->state != WEBHOOK_SLOT_WANTED)
			continue;

		if (webhook_restart_time(restart, now) <= now &&
			starting < MAX_STARTING && start_worker(i))
			starting++;
		else if (webhook_restart_time(restart, now) > now)
			next = Min(next, restart->not_before);
	}
	warn_of_no_worker_slot(now);

	return Min(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next), SCAN_MS);
}

/* Start a worker for a slot. Returns true if it was registered. */
static bool
start_worker(int i)
{
	WebhookSlot *slot = webhook_shmem_slot(i);
	LocalSlot  *mine = &launcher.slots[i];
	BackgroundWorker worker;
	WebhookWorkerExtra extra;
	TimestampTz now = GetCurrentTimestamp();

	/*
	 * Without a blocker and without a request for a scan, tested in this order, what the last
	 * scan has seen still holds.
	 */
	webhook_shmem_lock(true);
	if (slot->state != WEBHOOK_SLOT_WANTED ||
		slot->database != mine->database ||
		pg_atomic_read_u32(&slot->blockers) > 0 ||
		webhook_shmem_scan_requested())
	{
		webhook_shmem_unlock();
		return false;
	}
	slot->state = WEBHOOK_SLOT_STARTING;
	slot->generation = webhook_shmem_next_generation();
	slot->refused = false;
	webhook_restart_begin(&slot->restart, now);
	memset(&extra, 0, sizeof(extra));
	extra.generation = slot->generation;
	extra.database = slot->database;
	webhook_shmem_unlock();

	webhook_databases_unset_without_extension(extra.database);

	describe(&worker, "webhook worker", "webhook_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "webhook worker for database \"%s\"",
			 NameStr(mine->name));
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(i);
	memcpy(worker.bgw_extra, &extra, sizeof(extra));

	MemoryContextSwitchTo(TopMemoryContext);	/* for the handle */
	if (RegisterDynamicBackgroundWorker(&worker, &mine->handle))
	{
		mine->refusals = 0;
		return true;
	}

	mine->handle = NULL;
	mine->refusals++;
	webhook_shmem_lock(true);
	slot->state = WEBHOOK_SLOT_WANTED;
	slot->refused = true;
	slot->restart.not_before = TimestampTzPlusMilliseconds(now, REFUSED_RETRY_MS);
	webhook_shmem_unlock();
	return false;
}

/*
 * Name the databases that have no worker because there are too few background
 * worker slots. A database that was refused once is left out: workers that do
 * not find the extension leave soon.
 */
static void
warn_of_no_worker_slot(TimestampTz now)
{
	StringInfoData names;
	int			count = 0;
	ListCell   *cell;

	initStringInfo(&names);
	for (int i = 0; i < webhook_shmem_slot_count(); i++)
	{
		if (launcher.slots[i].refusals > 1)
			add_name(&names, &count, NameStr(launcher.slots[i].name));
	}
	if (count > 0)
	{
		foreach(cell, launcher.unclaimed)
			add_name(&names, &count, lfirst(cell));
	}

	if (count == 0)
		launcher.warned = 0;
	else if (is_over(launcher.last_warning, SAME_WARNING_MS, now) ||
			 (count > launcher.warned && is_over(launcher.last_warning, MORE_WARNING_MS, now)))
	{
		launcher.last_warning = now;
		launcher.warned = count;
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg_plural("%d database has no webhook worker, because no background worker slot is free",
							   "%d databases have no webhook worker, because no background worker slot is free",
							   count, count),
				 errdetail("If the extension is there, nothing is sent from %s.", names.data),
				 errhint("Raise \"max_worker_processes\" to at least %d, and restart the server.",
						 max_worker_processes + count)));
	}
	pfree(names.data);
}

static void
add_name(StringInfo names, int *count, const char *name)
{
	if ((*count)++ < MAX_NAMED)
		appendStringInfo(names, "%s\"%s\"", *count > 1 ? ", " : "", name);
	else if (*count == MAX_NAMED + 1)
		appendStringInfoString(names, ", and others");
}
