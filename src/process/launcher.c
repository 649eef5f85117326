/*
 * launcher.c
 *	  Finds the databases that have the extension, and keeps a worker running
 *	  in each.
 *
 * The launcher is connected to no database, so it cannot see where the
 * extension is. It wants a worker for every database that accepts connections
 * and is no template; a worker that does not find the extension leaves at
 * once. That is remembered, until CREATE EXTENSION there wants a worker. It
 * looks at pg_database when it starts, when DDL asks for it, at a reload, and
 * once a minute in case that something was missed.
 *
 * The launcher waits for nobody, since one database that cannot be connected
 * to must not keep the others from their workers. It does what can be done and
 * sleeps until a latch, a timer or the end of a worker calls. At most two
 * workers are on their way at a time: a server of many databases needs its
 * places.
 *
 * Life of a slot:
 *
 *	FREE ----> WANTED --> STARTING --> RUNNING --> STOPPED
 *	  ^          ^ ^          |                     | | |
 *	  |          | +----------+ could not register  | | |
 *	  |          +----------------------------------+ | |
 *	  |            ASKED: at once; FAILED: after      | |
 *	  |            1 s, doubling to 60 s              | |
 *	  +-----------------------------------------------+ |
 *	    ABSENT, unless wanted wanted_again meanwhile;          |
 *	    or the database is gone                         |
 *	BLOCKED <-------------------------------------------+
 *	    the same while DDL on the database is under way
 *
 * The launcher makes all of these steps but two: a worker takes its own slot
 * from STARTING to RUNNING and on to STOPPED. Sessions claim slots (to WANTED,
 * or BLOCKED and back). A worker is started only while nobody blocks its
 * database, and after a look at pg_database that is younger than the last
 * block: a database that has just been dropped is not connected to.
 *
 * A generation number tells the worker that a slot was meant for from one that
 * comes too late. Slots outlive a launcher: its successor finds RUNNING
 * workers by the slots alone, and starts those anew that were STARTING.
 *
 * All that is lost with this process is which databases lack the extension and
 * how long to wait after failures. It ends with exit code 1, so the postmaster
 * starts it wanted_again, unless the server shuts down.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "process/databases_internal.h"
#include "process/launcher.h"
#include "process/shmem_internal.h"

/* Seconds after which the postmaster starts a launcher that ended. */
#define RESTART_SECONDS		5

/* How often pg_database is looked at though nobody asked. */
#define SCAN_MS				60000

/* Waits after failures of a worker, and how long a good one has run. */
#define MIN_BACKOFF_MS		1000
#define MAX_BACKOFF_MS		60000
#define GOOD_RUN_MS			60000

/* When the server has no place for a worker: tries, and warnings. */
#define PLACE_RETRY_MS		2000
#define PLACE_WARNING_MS	60000

/* Workers that may be on their way at the same time. */
#define MAX_STARTING		2

/* What the launcher knows about the slot of the same number. */
typedef struct LocalSlot
{
	Oid			database;		/* whose it was at the last look */
	bool		eligible;		/* pg_database says: a worker may connect */
	bool		exists;			/* scratch of a scan */
	BackgroundWorkerHandle *handle; /* of the worker on its way or running; NULL: none, or a former
									 * launcher's */
	TimestampTz started_at;		/* its registration */
	bool		no_place;		/* which failed last time */
	int			backoff_ms;		/* last wait after a failure; 0: none */
	TimestampTz next_start;		/* not before */
} LocalSlot;

static LocalSlot *local = NULL;

/* Is there a database that found no free slot? */
static bool unclaimed = false;

static TimestampTz last_scan = 0;
static TimestampTz last_place_warning = 0;

static void describe(BackgroundWorker *worker, const char *type,
					 const char *function);
static void start_state(void);
static bool take_stock(void);
static void scan_databases(void);
static void note_database(Oid database, bool eligible, bool without_extension);
static bool free_gone_databases(void);
static bool settle_stopped(void);
static bool worker_has_ended(LocalSlot *mine);
static void after_failure(LocalSlot *mine, TimestampTz now);
static long start_workers(void);
static bool start_worker(int i);
static void warn_of_no_place(Oid database, TimestampTz now);

void
webhook_launcher_init(void)
{
	BackgroundWorker worker;

	describe(&worker, "webhook launcher", "webhook_launcher_main");
	worker.bgw_restart_time = RESTART_SECONDS;
	RegisterBackgroundWorker(&worker);
}

/* What the launcher and the workers have in common. */
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

	start_state();
	webhook_shmem_attach_launcher();

	for (;;)
	{
		bool		look;
		long		timeout;

		ResetLatch(MyLatch);
		if (ProcDiePending)
		{
			ereport(DEBUG1, (errmsg_internal("webhook launcher shutting down")));
			proc_exit(1);
		}
		CHECK_FOR_INTERRUPTS();

		look = take_stock();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			look = true;
		}
		look |= settle_stopped();
		look |= webhook_shmem_take_scan_request();
		look |= TimestampDifferenceExceeds(last_scan, GetCurrentTimestamp(),
										   SCAN_MS);
		if (look)
			scan_databases();

		timeout = start_workers();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout, wait_event);
	}
}

/*
 * Memory, and what a former launcher has left: a worker on its way cannot be
 * followed without its handle. It finds its slot in other hands.
 */
static void
start_state(void)
{
	int			nslots = webhook_shmem_slot_count();
	int			i;

	local = MemoryContextAllocZero(TopMemoryContext,
								   nslots * sizeof(LocalSlot));

	webhook_databases_init();

	webhook_shmem_lock(true);
	for (i = 0; i < nslots; i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);

		if (slot->state == WEBHOOK_SLOT_STARTING)
			slot->state = WEBHOOK_SLOT_WANTED;
	}
	webhook_shmem_unlock();
}

/*
 * See which slots have changed hands. Returns true if there is a new wish, so
 * that pg_database has to be looked at.
 */
static bool
take_stock(void)
{
	bool		look = false;
	int			i;

	webhook_shmem_lock(false);
	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &local[i];

		if (mine->database != slot->database)
		{
			Assert(mine->handle == NULL);
			memset(mine, 0, sizeof(LocalSlot));
			mine->database = slot->database;
		}
		if (slot->state == WEBHOOK_SLOT_WANTED && !mine->eligible &&
			mine->next_start == 0)
		{
			/* once; then with every other look */
			mine->next_start = GetCurrentTimestamp();
			look = true;
		}
	}
	webhook_shmem_unlock();

	return look;
}

/*
 * Look at pg_database: want a worker in each database that may have the
 * extension, free the slots of databases that are gone.
 */
static void
scan_databases(void)
{
	int			i;

	last_scan = GetCurrentTimestamp();
	unclaimed = false;
	for (i = 0; i < webhook_shmem_slot_count(); i++)
		local[i].exists = false;

	/* If a database found no slot, it is not known which: try all. */
	webhook_databases_scan(note_database, webhook_shmem_take_slots_exhausted());

	if (free_gone_databases() && unclaimed)
		webhook_shmem_request_scan();
}

/* A database of the server. */
static void
note_database(Oid database, bool eligible, bool without_extension)
{
	WebhookSlot *slot;
	int			i;

	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		if (local[i].database == database)
		{
			local[i].exists = true;
			local[i].eligible = eligible;
			break;
		}
	}
	if (!eligible || without_extension)
		return;

	/* A slot of its own, unless it has one by now. */
	webhook_shmem_lock(true);
	slot = webhook_shmem_find(database);
	if (slot == NULL)
		slot = webhook_shmem_claim(database, WEBHOOK_SLOT_WANTED);
	else if (slot->state == WEBHOOK_SLOT_BLOCKED)
		slot->state = WEBHOOK_SLOT_WANTED;
	webhook_shmem_unlock();

	if (slot == NULL)
	{
		unclaimed = true;
		return;
	}

	for (i = 0; webhook_shmem_slot(i) != slot; i++)
		;
	if (local[i].database != database)
	{
		memset(&local[i], 0, sizeof(LocalSlot));
		local[i].database = database;
	}
	local[i].eligible = true;
	local[i].exists = true;
}

/*
 * Free the slots of databases that the scan has not seen, if they were known
 * before it: a database may have been created_at during it. Workers there have to
 * end first. Returns true if a slot was freed.
 */
static bool
free_gone_databases(void)
{
	bool		freed = false;
	int			i;

	webhook_shmem_lock(true);
	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &local[i];

		if (!OidIsValid(mine->database) || mine->exists ||
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
 * Decide what comes after workers that have ended. Returns true if a slot was
 * freed that another database may be waiting for.
 */
static bool
settle_stopped(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		freed = false;
	int			i;

	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		WebhookSlot *slot = webhook_shmem_slot(i);
		LocalSlot  *mine = &local[i];
		Oid			without_extension = InvalidOid;

		if (!OidIsValid(mine->database) || !worker_has_ended(mine))
			continue;

		webhook_shmem_lock(true);
		if (slot->state == WEBHOOK_SLOT_STARTING)
		{
			/* It ended before it could say why. */
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
				if (slot->exit_reason == WEBHOOK_EXIT_FAILED)
					after_failure(mine, now);
				else
					mine->next_start = now;
				slot->wanted_again = false;
				slot->state = WEBHOOK_SLOT_WANTED;
			}
		}
		webhook_shmem_unlock();

		if (OidIsValid(without_extension))
		{
			webhook_databases_set_without_extension(without_extension);
			memset(mine, 0, sizeof(LocalSlot));
		}
	}

	return freed && (unclaimed || webhook_shmem_slots_exhausted());
}

/*
 * Has the worker that this launcher registered ended? Without a handle, the
 * slot's state is all there is to go by.
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

/* Set the time of the next start. */
static void
after_failure(LocalSlot *mine, TimestampTz now)
{
	if (mine->backoff_ms == 0 ||
		TimestampDifferenceExceeds(mine->started_at, now, GOOD_RUN_MS))
		mine->backoff_ms = MIN_BACKOFF_MS;
	else
		mine->backoff_ms = Min(mine->backoff_ms * 2, MAX_BACKOFF_MS);
	mine->next_start = TimestampTzPlusMilliseconds(now, mine->backoff_ms);
}

/*
 * Start the workers whose time has come. Returns the milliseconds until the
 * next thing to do.
 */
static long
start_workers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = TimestampTzPlusMilliseconds(last_scan, SCAN_MS + 1);
	int			starting = 0;
	int			i;

	webhook_shmem_lock(false);
	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		if (webhook_shmem_slot(i)->state == WEBHOOK_SLOT_STARTING)
			starting++;
	}
	webhook_shmem_unlock();

	for (i = 0; i < webhook_shmem_slot_count(); i++)
	{
		/* Whether it is still wanted is looked at under the lock. */
		if (!local[i].eligible || local[i].handle != NULL ||
			webhook_shmem_slot(i)->state != WEBHOOK_SLOT_WANTED)
			continue;

		if (local[i].next_start > now)
			next = Min(next, local[i].next_start);
		else if (starting < MAX_STARTING && start_worker(i))
			starting++;
		else if (local[i].next_start > now)
			next = Min(next, local[i].next_start);
	}

	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
}

/* Start a worker for a slot. Returns true if one is on its way. */
static bool
start_worker(int i)
{
	WebhookSlot *slot = webhook_shmem_slot(i);
	LocalSlot  *mine = &local[i];
	BackgroundWorker worker;
	WebhookWorkerExtra extra;

	/*
	 * No blocker and no request for a scan, in this order: what the last scan has seen holds.
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
	memset(&extra, 0, sizeof(extra));
	extra.generation = slot->generation;
	extra.database = slot->database;
	webhook_shmem_unlock();

	webhook_databases_unset_without_extension(extra.database);

	describe(&worker, "webhook worker", "webhook_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "webhook worker for database %u",
			 extra.database);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = MyProcPid;
	worker.bgw_main_arg = Int32GetDatum(i);
	memcpy(worker.bgw_extra, &extra, sizeof(extra));

	mine->started_at = GetCurrentTimestamp();
	MemoryContextSwitchTo(TopMemoryContext);	/* for the handle */
	if (RegisterDynamicBackgroundWorker(&worker, &mine->handle))
	{
		mine->no_place = false;
		return true;
	}

	mine->handle = NULL;
	mine->next_start = TimestampTzPlusMilliseconds(mine->started_at,
												   PLACE_RETRY_MS);
	webhook_shmem_lock(true);
	slot->state = WEBHOOK_SLOT_WANTED;
	webhook_shmem_unlock();

	/* Workers that only look for the extension make place soon. */
	if (mine->no_place)
		warn_of_no_place(extra.database, mine->started_at);
	mine->no_place = true;
	return false;
}

/* Once a minute at most. */
static void
warn_of_no_place(Oid database, TimestampTz now)
{
	if (last_place_warning != 0 &&
		!TimestampDifferenceExceeds(last_place_warning, now, PLACE_WARNING_MS))
		return;
	last_place_warning = now;

	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("out of background worker slots"),
			 errdetail("No webhook worker can be started in the database with OID %u.",
					   database),
			 errhint("You might need to increase \"%s\".",
					 "max_worker_processes")));
}
