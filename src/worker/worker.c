/*
 * worker.c
 *	  The process of one database that delivers its events: the loop.
 *
 * It waits in one place only, for its latch, the HTTP engine's descriptor and
 * the next timer, and holds no transaction, snapshot or lock meanwhile. A change
 * of the loop takes in what has come (intake), starts what may start and
 * harvests what has ended (sender), writes entries (writer), and now and then
 * looks after the tables (upkeep); each does a bounded piece.
 *
 * Wake-up: whoever commits an event raises a flag in shared memory and sets the
 * latch. The flag is tested before every wait, after the latch was reset, so
 * a latch that was reset elsewhere, in a lock wait, loses nothing. A look once
 * a second is the net below that.
 *
 * Leaving: on SIGTERM, which DDL on the database sends too, nothing more is
 * started, what is in flight may end within webhook.shutdown_grace, entries
 * and checkpoint are written. What is in flight then is sent again by the next
 * process. No transaction of this process lasts: locks are waited for half a
 * second, a flush has five.
 */
#include "postgres.h"

#include "access/xact.h"
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
#include "delivery/dispatch.h"
#include "worker/attempt.h"
#include "worker/commands.h"
#include "worker/loader.h"
#include "worker/maintenance.h"
#include "worker/reader.h"
#include "worker/sender.h"
#include "worker/transaction.h"
#include "worker/writer.h"

#define POLL_INTERVAL USECS_PER_SEC
#define RETRY_INTERVAL (USECS_PER_SEC / 5)	/* after an error in reading */
#define SPILL_INTERVAL (USECS_PER_SEC / 2)
#define SCARCE_INTERVAL (USECS_PER_SEC / 20)	/* the same, if room is scarce */
#define BLOCKED_LIMIT 32		/* deliveries, while none can be written down */
#define SETTLED_AT_ONCE 20		/* queues, a second */
#define DDL_GRACE 200			/* milliseconds, if DDL waits for us to leave */

/* How far a request of webhook.drain() is. */
typedef enum DrainState
{
	DRAIN_IDLE,
	DRAIN_WINDOW,				/* a window has to be opened */
	DRAIN_READING,				/* it is being read */
	DRAIN_FINISHING,			/* all that it holds has to end */
} DrainState;

PGDLLEXPORT void webhook_worker_main(Datum arg);

static WebhookSlot *slot;
static WaitEventSet *events;
static bool wake;				/* a window is to be opened */
static bool reload;				/* subscriptions are to be read */
static TimestampTz next_poll;
static TimestampTz next_spill;
static TimestampTz next_upkeep;
static TimestampTz retry_at;	/* reading failed; 0: it did not */
static volatile sig_atomic_t interruptible; /* may be broken off to leave */
static DrainState drain_state;
static uint64 drain_ticket;
static uint64 drain_batch;

static void handle_sigterm(SIGNAL_ARGS);
static void start_up(void);
static void load_state(void *arg);
static void take_requests(TimestampTz now);
static void read_input(TimestampTz now);
static void send_out(void);
static void follow_drain(void);
static bool may_read(TimestampTz now);
static long wait_ms(TimestampTz now);
static void wait_for_work(long timeout);
static void report(void);
static bool must_leave(void);
static void leave(void);
static void report_leaving(WebhookStop stop);

void
webhook_worker_main(Datum arg)
{
	WebhookWorkerExtra extra;
	int			number = DatumGetInt32(arg);

	memcpy(&extra, MyBgworkerEntry->bgw_extra, sizeof(extra));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	/* Before connecting, so that DDL on the database knows of us. */
	if (!webhook_shmem_attach_worker(number, extra.generation))
		proc_exit(0);
	slot = webhook_shmem_slot(number);

	/* Connecting may wait for DDL; from then on this process leaves in order. */
	BackgroundWorkerInitializeConnectionByOid(extra.database, InvalidOid, 0);
	pqsignal(SIGTERM, handle_sigterm);

	start_up();
	for (;;)
	{
		TimestampTz now;

		/* Between transactions there is nothing to cancel. */
		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (must_leave())
			leave();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			next_upkeep = 0;
			webhook_sender_configure();
			webhook_dispatch_refresh(webhook_enabled, GetCurrentTimestamp());
		}

		now = GetCurrentTimestamp();
		take_requests(now);
		interruptible = true;
		read_input(now);
		interruptible = false;
		QueryCancelPending = false;
		send_out();
		now = GetCurrentTimestamp();
		webhook_writer_flush(now, webhook_dispatch_usage()->in_flight == 0);
		webhook_writer_checkpoint(now, false);
		webhook_writer_states(now, false);
		follow_drain();
		if (now >= next_upkeep || next_upkeep - now > 60 * USECS_PER_SEC)
			next_upkeep = webhook_maintenance(now);
		report();
		wait_for_work(wait_ms(GetCurrentTimestamp()));
	}
}

/* Leave in order; but a large window is not read to its end before. */
static void
handle_sigterm(SIGNAL_ARGS)
{
	if (interruptible)
		InterruptPending = QueryCancelPending = true;
	SignalHandlerForShutdownRequest(postgres_signal_arg);
}

/*
 * Everything that a start needs of the tables, in one transaction that ends
 * with this process's first write: where that fails, nothing is sent.
 */
static void
start_up(void)
{
	webhook_transaction_settings();
	webhook_sender_init(&slot->counters);
	webhook_dispatch_init();

	if (!webhook_transaction_try("starting", load_state, NULL))
		proc_exit(webhook_shmem_stop_requested() == WEBHOOK_STOP_NONE ? 1 : 0);
	webhook_dispatch_refresh(webhook_enabled, GetCurrentTimestamp());
	wake = true;

	events = compat_create_wait_event_set(3);
	AddWaitEventToSet(events, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(events, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(events, WL_SOCKET_READABLE, webhook_sender_descriptor(),
					  NULL, NULL);
	ereport(LOG,
			(errmsg("webhook worker for database \"%s\" started",
					webhook_transaction_database())));
}

static void
load_state(void *arg)
{
	webhook_reader_init(webhook_checkpoint_load(), &slot->counters);
	webhook_writer_init(&slot->counters);
	webhook_maintenance_init(slot);
}

/* What other sessions, and time, ask for. */
static void
take_requests(TimestampTz now)
{
	if (pg_atomic_exchange_u32(&slot->wake, 0) != 0)
		wake = true;
	if (pg_atomic_exchange_u32(&slot->changed, 0) != 0)
		reload = true;
	if (now >= next_poll || next_poll - now > POLL_INTERVAL)
	{
		next_poll = now + POLL_INTERVAL;
		wake = true;
		for (int i = 0; i < SETTLED_AT_ONCE && webhook_loader_recheck(); i++)
			;
	}
	webhook_dispatch_tick(now);
	if (now >= next_spill || next_spill - now > SPILL_INTERVAL)
	{
		next_spill = now + (webhook_dispatch_has_room(webhook_sender_memory()) ?
							SPILL_INTERVAL : SCARCE_INTERVAL);
		if (!webhook_writer_is_blocked())
			webhook_dispatch_spill(now);
	}
	if (drain_state == DRAIN_IDLE)
	{
		drain_ticket = pg_atomic_read_u64(&slot->drain_wanted);
		if (drain_ticket > pg_atomic_read_u64(&slot->drain_done))
			drain_state = DRAIN_WINDOW;
	}
}

static void
read_input(TimestampTz now)
{
	Size		elsewhere = webhook_sender_memory();
	bool		done = true;

	if (retry_at != 0 && now < retry_at && retry_at - now <= RETRY_INTERVAL)
		return;

	if (reload)
	{
		done = webhook_reader_reload();
		reload = !done;

		/* Even if that failed: it may have come after the new copy. */
		webhook_dispatch_refresh(webhook_enabled, now);
	}
	webhook_commands_cancel_backlogs(webhook_reader_last_id());

	/* What is due comes before what is new: there is more of the new. */
	if (done)
		done = webhook_loader_load(elsewhere, now);
	if (done && may_read(now))
	{
		bool		opens = !webhook_reader_is_reading();

		done = webhook_reader_read(true, elsewhere, now);
		if (done && opens)
		{
			wake = false;
			if (drain_state == DRAIN_WINDOW)
				drain_state = DRAIN_READING;
		}
	}
	if (done)
		done = webhook_commands_run();

	/* From now on, for it may have waited for a lock. */
	retry_at = done ? 0 : GetCurrentTimestamp() + RETRY_INTERVAL;
}

/* Is there something to read, and room for it? */
static bool
may_read(TimestampTz now)
{
	return (wake || drain_state == DRAIN_WINDOW || webhook_reader_is_reading()) &&
		webhook_dispatch_has_room(webhook_sender_memory()) &&
		(!webhook_writer_is_blocked() ||
		 webhook_dispatch_usage()->queued + webhook_dispatch_usage()->unflushed < BLOCKED_LIMIT);
}

static void
send_out(void)
{
	bool		blocked = webhook_writer_is_blocked();

	if (!blocked)
		webhook_sender_start();
	webhook_sender_run();

	/*
	 * Answers have made places free. What takes them is sent before entries are written, so that
	 * receivers have something to do meanwhile.
	 */
	if (!blocked && webhook_sender_start())
	{
		webhook_sender_run();
		webhook_sender_start();
	}
}

/*
 * A drain is over once all that was committed before it is flushed, or later.
 * Due is what is so now: the last flush has made rows due that wait for others.
 */
static void
follow_drain(void)
{
	if (drain_state == DRAIN_READING && !webhook_reader_is_reading())
	{
		drain_batch = webhook_progress_newest_batch(webhook_reader_progress());
		drain_state = DRAIN_FINISHING;
	}
	if (drain_state == DRAIN_FINISHING &&
		webhook_progress_is_done(webhook_reader_progress(), drain_batch) &&
		!webhook_commands_are_running() &&
		!webhook_dispatch_is_due(GetCurrentTimestamp()))
	{
		pg_atomic_write_u64(&slot->drain_done, drain_ticket);
		drain_state = DRAIN_IDLE;
	}
}

/* How long there is nothing to do but wait. */
static long
wait_ms(TimestampTz now)
{
	TimestampTz next = Min(next_poll, next_upkeep);
	TimestampTz due = webhook_due_time();
	TimestampTz tick = webhook_dispatch_tick_time();
	TimestampTz flush = webhook_writer_next_time();
	long		engine = webhook_sender_wait_ms();
	long		wait;

	if (retry_at != 0)
		next = Min(next, retry_at);
	else
	{
		if (may_read(now))
			return 0;
		if (webhook_commands_are_running())
			next = Min(next, now + USECS_PER_SEC / 50);
		if (due > now)
			next = Min(next, due);
		else if (due != 0 && webhook_dispatch_room_for_due(webhook_sender_memory()) > 0)
			return 0;
	}
	if (flush != 0)
		next = Min(next, flush);
	else if (webhook_dispatch_usage()->unflushed > 0)
		next = Min(next, now + 1000);
	if (webhook_dispatch_usage()->queued > 0)
		next = Min(next, next_spill);
	if (tick != 0)
		next = Min(next, tick);

	/* Up, so that a timer is not found a fraction too early. */
	wait = next <= now ? 0 : (next - now + 999) / 1000;
	if (engine >= 0)
		wait = Min(wait, engine);
	return wait;
}

/* The only place where this process waits. */
static void
wait_for_work(long timeout)
{
	static uint32 wait_event = 0;
	WaitEvent	occurred[3];

	if (wait_event == 0)
		wait_event = compat_wait_event("WebhookWorkerMain");

	/* Raised while the latch was reset elsewhere? */
	if (pg_atomic_read_u32(&slot->wake) != 0 ||
		pg_atomic_read_u32(&slot->changed) != 0)
		timeout = 0;
	(void) WaitEventSetWait(events, timeout, occurred, lengthof(occurred),
							wait_event);
	ResetLatch(MyLatch);
}

static void
report(void)
{
	WebhookCounters *counters = &slot->counters;

	pg_atomic_write_u64(&counters->in_flight, webhook_dispatch_usage()->in_flight);
	pg_atomic_write_u64(&counters->queued, webhook_dispatch_usage()->queued);
	pg_atomic_write_u64(&counters->unflushed, webhook_dispatch_usage()->unflushed);
	pg_atomic_write_u64(&counters->memory,
						webhook_dispatch_usage()->memory + webhook_sender_memory());
}

static bool
must_leave(void)
{
	return ShutdownRequestPending || webhook_shmem_stop_requested() != WEBHOOK_STOP_NONE;
}

/* Let end what is about to, write it down, and go. */
static void
leave(void)
{
	WebhookStop stop = webhook_shmem_stop_requested();
	int			grace = stop == WEBHOOK_STOP_NONE ? webhook_shutdown_grace :
	Min(DDL_GRACE, webhook_shutdown_grace);
	TimestampTz deadline = GetCurrentTimestamp() + grace * INT64CONST(1000);

	report_leaving(stop);
	webhook_transaction_hurry();
	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		long		engine = webhook_sender_wait_ms();
		long		wait;

		webhook_sender_run();
		webhook_writer_flush(now, webhook_dispatch_usage()->in_flight == 0 || now >= deadline);
		if (now >= deadline ||
			(webhook_dispatch_usage()->in_flight == 0 && webhook_dispatch_usage()->unflushed == 0))
			break;
		wait = Min((deadline - now) / 1000 + 1, 5);
		wait_for_work(engine >= 0 ? Min(wait, engine) : wait);
	}
	webhook_writer_checkpoint(GetCurrentTimestamp(), true);
	while (webhook_writer_states(GetCurrentTimestamp(), true))
		;
	webhook_shmem_set_exit(WEBHOOK_EXIT_ASKED);

	/* With another code, the server would log the exit of this process, too. */
	proc_exit(0);
}

static void
report_leaving(WebhookStop stop)
{
	const char *database = webhook_transaction_database();

	switch (stop)
	{
		case WEBHOOK_STOP_NONE:
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
