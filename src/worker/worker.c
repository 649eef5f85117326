/*
 * worker.c
 *	  The process of one database that delivers its events.
 *
 * It waits at one point only, for its latch, the HTTP engine's descriptor and
 * the next timer, and holds no transaction, snapshot or lock meanwhile. What it
 * does between two waits is in loop.c; now and then it maintains the tables.
 *
 * Wake-up: a session that commits an event raises a flag in shared memory and
 * sets the latch. The flag is tested before every wait, after the latch was
 * reset, so a latch that was reset elsewhere, in a lock wait, loses nothing. A
 * look once a second is the net below that.
 *
 * Shutdown: on SIGTERM, which DDL on the database sends, too, nothing more is
 * started, what is in flight may end within webhook.shutdown_grace. What is in
 * flight after that is broken off: an attempt that the log shows, and that the
 * next process makes again. Log entries and checkpoint are written. No
 * transaction of this process lasts: it waits half a second for a lock, five
 * seconds for a flush. A process that has lost what waits in its temporary files
 * ends in the same way, and is started again after a while.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/version.h"
#include "worker/loop_internal.h"
#include "worker/maintenance_internal.h"
#include "worker/reader_internal.h"
#include "worker/sender_internal.h"
#include "worker/transaction_internal.h"
#include "worker/worker.h"

#define LONGEST_WAIT USECS_PER_SEC	/* the loop looks at everything as often */
#define MAINTENANCE_INTERVAL (60 * USECS_PER_SEC)	/* the longest */
#define DDL_GRACE 200			/* milliseconds for what is in flight if DDL waits for our end */
#define SHUTDOWN_WAIT 5			/* milliseconds between the last rounds */

static struct
{
	WebhookSlot *slot;
	WaitEventSet *events;		/* latch, postmaster, engine */
	uint32		wait_event;		/* what pg_stat_activity shows while waiting */
	TimestampTz next_maintenance;
	volatile TimestampTz sigterm_at;	/* when SIGTERM came; 0: it did not */
}			worker;

static void handle_sigterm(SIGNAL_ARGS);
static void start(void);
static void reload_settings(void);
static void maintain(void);
static void wait_for_work(long timeout);
static long milliseconds_until(TimestampTz next);
static bool must_stop(void);
static void stop(void);
static void report_stop(WebhookStop reason);

void
webhook_worker_main(Datum arg)
{
	WebhookWorkerExtra extra;
	int			number = DatumGetInt32(arg);

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	/* Before connecting, so that DDL on the database knows of this process. */
	if (!webhook_shmem_attach_worker(number, extra.generation))
		proc_exit(0);
	worker.slot = webhook_shmem_slot(number);

	/* Connecting may wait for DDL; only from then on is a SIGTERM an orderly shutdown. */
	BackgroundWorkerInitializeConnectionByOid(extra.database, InvalidOid, 0);
	pqsignal(SIGTERM, handle_sigterm);

	start();
	for (;;)
	{
		/* Between transactions there is nothing to cancel. */
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (must_stop())
			stop();
		if (ConfigReloadPending)
			reload_settings();
		webhook_loop_run();
		maintain();
		wait_for_work(milliseconds_until(Min(webhook_loop_next_time(GetCurrentTimestamp()),
											 worker.next_maintenance)));
	}
}

/* An orderly shutdown; but reading a large window is broken off. */
static void
handle_sigterm(SIGNAL_ARGS)
{
	worker.sigterm_at = GetCurrentTimestamp();
	if (webhook_loop_is_interruptible())
		InterruptPending = QueryCancelPending = true;
	SignalHandlerForShutdownRequest(postgres_signal_arg);
}

static void
start(void)
{
	webhook_transaction_settings();

	if (!webhook_maintenance_start(worker.slot) || webhook_loop_start(worker.slot) == NULL)
	{
		if (!must_stop())
			proc_exit(1);
		webhook_shmem_set_exit(WEBHOOK_EXIT_ASKED);
		proc_exit(0);
	}

	worker.wait_event = compat_wait_event("WebhookWorkerMain");
	worker.events = compat_create_wait_event_set(3);
	AddWaitEventToSet(worker.events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(worker.events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(worker.events, WL_SOCKET_READABLE, webhook_sender_descriptor(),
					  NULL, NULL);
	ereport(LOG,
			(errmsg("webhook worker for database \"%s\" started",
					webhook_transaction_database()),
			 errdetail("This is webhook %s, with %s.", WEBHOOK_RELEASE,
					   webhook_sender_version())));
}

static void
reload_settings(void)
{
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	worker.next_maintenance = 0;
	webhook_sender_configure();
	webhook_loop_refresh();
}

/* A clock that was set back does not stop it. */
static void
maintain(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= worker.next_maintenance || worker.next_maintenance - now > MAINTENANCE_INTERVAL ||
		pg_atomic_read_u32(&worker.slot->recount) != 0)
		worker.next_maintenance = webhook_maintenance(now);
}

/* The only function in which this process waits; milliseconds. */
static void
wait_for_work(long timeout)
{
	WaitEvent	occurred[3];

	/* A flag may have been raised while the latch was reset elsewhere. */
	if (pg_atomic_read_u32(&worker.slot->wake) != 0 ||
		pg_atomic_read_u32(&worker.slot->changed) != 0)
		timeout = 0;
	(void) WaitEventSetWait(worker.events, timeout, occurred, lengthof(occurred),
							worker.wait_event);
	ResetLatch(MyLatch);
}

/*
 * Rounded up, so that a timer is not found a fraction too early. A clock that was set back
 * since "next" was computed does not prolong the wait.
 */
static long
milliseconds_until(TimestampTz next)
{
	TimestampTz now = GetCurrentTimestamp();

	return next <= now ? 0 : (Min(next - now, LONGEST_WAIT) + 999) / 1000;
}

static bool
must_stop(void)
{
	return ShutdownRequestPending || webhook_reader_has_failed() ||
		webhook_shmem_stop_requested() != WEBHOOK_STOP_NONE;
}

/*
 * Let what is in flight end within the grace, write it, and exit. The grace counts
 * from SIGTERM: the wait for a lock that came before is part of it.
 */
static void
stop(void)
{
	WebhookStop reason = webhook_shmem_stop_requested();
	int			grace = reason == WEBHOOK_STOP_NONE ? webhook_shutdown_grace :
		Min(DDL_GRACE, webhook_shutdown_grace);
	TimestampTz since = worker.sigterm_at != 0 ? worker.sigterm_at : GetCurrentTimestamp();
	TimestampTz deadline = since + grace * INT64CONST(1000);

	report_stop(reason);
	webhook_transaction_hurry();
	while (webhook_loop_finish(deadline))
	{
		long		engine = webhook_sender_wait_ms();
		long		wait = Min(milliseconds_until(deadline), SHUTDOWN_WAIT);

		wait_for_work(engine >= 0 ? Min(wait, engine) : wait);
	}
	if (webhook_reader_has_failed())
		proc_exit(1);
	webhook_shmem_set_exit(WEBHOOK_EXIT_ASKED);

	/* With another code, the server would log the exit of this process, too. */
	proc_exit(0);
}

static void
report_stop(WebhookStop reason)
{
	const char *database = webhook_transaction_database();

	switch (reason)
	{
		case WEBHOOK_STOP_NONE:
			if (webhook_reader_has_failed())
				ereport(LOG,
						(errmsg("webhook worker for database \"%s\" could not keep unsent deliveries in a temporary file",
								database),
						 errdetail("It is shutting down. The next worker reads them from the ring again.")));
			else
				ereport(LOG,
						(errmsg("webhook worker for database \"%s\" is shutting down", database)));
			break;
		case WEBHOOK_STOP_DATABASE:
			ereport(LOG,
					(errmsg("webhook worker for database \"%s\" is shutting down because a statement needs the database for itself",
							database)));
			break;
		case WEBHOOK_STOP_EXTENSION:
			webhook_transaction_report_extension_changed();
			break;
	}
}
