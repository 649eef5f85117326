/*
 * wakeup.c
 *	  What the end of a transaction does to workers: wake them, stop them, let
 *	  them start wanted_again.
 *
 * A wake-up. XACT_EVENT_COMMIT comes after the transaction has become visible
 * to others. The committing backend sets "wake" in its database's slot, and
 * whoever turns it from 0 to 1 sets the worker's latch. The worker clears the
 * flag, then takes its snapshot; it tests the flag before each wait, since
 * another wait in between may have reset its latch. Exchanging the flag is a
 * full barrier on both sides, so a commit is either in the snapshot or raises
 * the flag wanted_again. A worker that dies leaves "wake" as it is: its successor
 * clears it when it attaches, and reads the ring in any case.
 *
 * The worker's latch is in its PGPROC, which outlives it and may be another
 * process's later. It is read under the lock in shared mode and used after its
 * release: at worst, somebody wakes for nothing. The lock is taken only at the
 * turn of the flag, once a window and not once a commit.
 *
 * A backend remembers its database's slot and compares the slot's database
 * before each use. Should the slot be freed in between, some other database's
 * worker is woken for nothing; a new worker of ours has started after our
 * commit, and sees it.
 *
 * What happens at a commit must not fail: no allocation, no catalog, no error.
 *
 * Blocking. DDL on a database raises "blockers" in its slot, then looks at the
 * pid; a worker stores its pid, then looks at "blockers", both under the lock:
 * one of them sees the other. The pid goes after the process has left the proc
 * array: once it is gone, PostgreSQL does not count the worker any more.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "process/shmem.h"

/* How long DDL waits for a worker to go, and how often it looks. */
#define BLOCK_TIMEOUT_MS	10000
#define BLOCK_POLL_MS		10

/* What a transaction asks for at its commit. */
#define ARM_WAKE		(1 << 0)	/* an event or a command */
#define ARM_CHANGED		(1 << 1)	/* subscriptions */
#define ARM_WANT		(1 << 2)	/* the extension is here */
#define ARM_DATABASES	(1 << 3)	/* databases have come or gone */
#define ARM_STOP		(1 << 4)	/* the extension has changed */
#define ARM_PREPARED	(1 << 5)	/* a prepared transaction has committed */

/* This transaction's wishes, ARM_*. */
static uint32 commit_actions = 0;

/* Did this process prepare a transaction with wishes? */
static bool has_prepared = false;

/* Slots that this transaction blocks, in TopMemoryContext. */
static WebhookSlot **blocked = NULL;
static int	nblocked = 0;
static int	max_blocked = 0;

static void watch_transactions(void);
static void arm(uint32 wishes);
static void at_transaction_end(XactEvent event, void *arg);
static void run_commit_actions(uint32 wishes);
static void wake_worker(WebhookSlot *slot, bool changed);
static void set_latch_of(WebhookSlot *slot);
static void release_blocks(void);
static void release_blocks_at_exit(int code, Datum arg);
static bool stop_pid(WebhookSlot *slot, bool signal);

void
webhook_wakeup_at_commit(bool changed)
{
	static bool warned = false;

	if (!webhook_shmem_available())
	{
		if (!warned && !IsBinaryUpgrade)
		{
			warned = true;
			ereport(WARNING,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("webhook events are stored but not sent"),
					 errdetail("The library \"webhook\" is not preloaded."),
					 errhint("Add \"webhook\" to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
		}
		return;
	}

	arm(changed ? ARM_WAKE | ARM_CHANGED : ARM_WAKE);
}

void
webhook_request_worker_at_commit(void)
{
	arm(ARM_WANT);
}

void
webhook_scan_databases_at_commit(void)
{
	arm(ARM_DATABASES);
}

void
webhook_stop_at_commit(void)
{
	arm(ARM_STOP);
}

void
webhook_wakeup_prepared_at_commit(void)
{
	arm(ARM_PREPARED);
}

bool
webhook_wakeup_is_armed(void)
{
	return (commit_actions & ARM_WAKE) != 0;
}

static void
arm(uint32 wishes)
{
	if (!webhook_shmem_available())
		return;
	watch_transactions();
	commit_actions |= wishes;
}

/* Hear of the end of transactions from now on. */
static void
watch_transactions(void)
{
	static bool watching = false;

	if (!watching)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		watching = true;
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	uint32		wishes = commit_actions;

	switch (event)
	{
		case XACT_EVENT_COMMIT:

			/*
			 * A process that applies replicated transactions prepares them and commits them later,
			 * without a statement that would tell.
			 */
			if (has_prepared && IsLogicalWorker())
				wishes |= ARM_PREPARED;

			commit_actions = 0;
			if (wishes != 0)
				run_commit_actions(wishes);
			release_blocks();
			break;

		case XACT_EVENT_PREPARE:
			has_prepared |= (commit_actions != 0);
			commit_actions = 0;
			release_blocks();
			break;

		case XACT_EVENT_ABORT:
			commit_actions = 0;
			release_blocks();
			break;

		default:
			/* no end, or a parallel worker's, which writes nothing */
			break;
	}
}

/* The transaction has committed. */
static void
run_commit_actions(uint32 wishes)
{
	WebhookSlot *slot;

	if (wishes & ARM_DATABASES)
		webhook_shmem_request_scan();
	if (wishes & ARM_WANT)
		(void) webhook_request_worker(MyDatabaseId);

	if ((wishes & (ARM_WAKE | ARM_CHANGED | ARM_STOP | ARM_PREPARED)) == 0)
		return;

	/* An event proves that this database has the extension. */
	slot = webhook_shmem_my_slot();
	if (slot == NULL && (wishes & (ARM_WAKE | ARM_CHANGED)) &&
		!webhook_shmem_slots_exhausted())
		slot = webhook_request_worker(MyDatabaseId);
	if (slot == NULL)
		return;

	if (wishes & ARM_STOP)
		pg_atomic_fetch_add_u32(&slot->stop, 1);
	wake_worker(slot, (wishes & ~ARM_WAKE) != 0);
}

void
webhook_shmem_wake_now(bool changed)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	if (slot != NULL)
		wake_worker(slot, changed);
}

static void
wake_worker(WebhookSlot *slot, bool changed)
{
	/* The order matters: who sees "wake" must see "changed". */
	if (changed)
		pg_atomic_write_u32(&slot->changed, 1);
	if (pg_atomic_exchange_u32(&slot->wake, 1) == 0 || changed)
		set_latch_of(slot);
}

/* Set the latch of a slot's worker, or the launcher's if it has none. */
static void
set_latch_of(WebhookSlot *slot)
{
	Latch	   *latch;

	webhook_shmem_lock(false);
	latch = slot->latch;
	webhook_shmem_unlock();

	if (latch != NULL)
		SetLatch(latch);
	else
		webhook_shmem_wake_launcher();
}

/*
 * DDL on a database.
 */

void
webhook_shmem_block(Oid database)
{
	static bool registered = false;
	WebhookSlot *slot;
	TimestampTz started = GetCurrentTimestamp();
	uint32		wait_event;
	int			i;

	if (!webhook_shmem_available())
		return;

	if (!registered)
	{
		before_shmem_exit(release_blocks_at_exit, (Datum) 0);
		registered = true;
	}
	watch_transactions();
	if (nblocked == max_blocked)
	{
		int			room = max_blocked == 0 ? 4 : max_blocked * 2;

		blocked = blocked == NULL ?
			MemoryContextAlloc(TopMemoryContext, room * sizeof(WebhookSlot *)) :
			repalloc(blocked, room * sizeof(WebhookSlot *));
		max_blocked = room;
	}

	/* Without a free slot, no worker can be started there either. */
	webhook_shmem_lock(true);
	slot = webhook_shmem_find(database);
	if (slot == NULL)
		slot = webhook_shmem_claim(database, WEBHOOK_SLOT_BLOCKED);
	for (i = 0; i < nblocked && blocked[i] != slot; i++)
		;
	if (slot != NULL && i == nblocked)
	{
		pg_atomic_fetch_add_u32(&slot->blockers, 1);
		blocked[nblocked++] = slot;
	}
	webhook_shmem_unlock();

	if (slot == NULL || !stop_pid(slot, true))
		return;

	pg_atomic_fetch_add_u32(&slot->stop, 1);
	set_latch_of(slot);
	wait_event = compat_wait_event("WebhookAddressBlock");
	while (!TimestampDifferenceExceeds(started, GetCurrentTimestamp(),
									   BLOCK_TIMEOUT_MS) &&
		   stop_pid(slot, false))
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 BLOCK_POLL_MS, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Has the slot a process? The signal reaches the right one, since the pid goes
 * under the exclusive lock, before its process does.
 */
static bool
stop_pid(WebhookSlot *slot, bool signal)
{
	int			pid;

	webhook_shmem_lock(false);
	pid = slot->pid;
	if (pid != 0 && signal)
		(void) kill(pid, SIGTERM);
	webhook_shmem_unlock();
	return pid != 0;
}

/*
 * End this transaction's blocks. The request for a scan comes first: whoever
 * sees no blocker sees it, and looks whether the database still exists before
 * starting a worker there.
 */
static void
release_blocks(void)
{
	if (nblocked == 0)
		return;

	webhook_shmem_request_scan();
	webhook_shmem_lock(true);
	while (nblocked > 0)
	{
		WebhookSlot *slot = blocked[--nblocked];

		if (pg_atomic_sub_fetch_u32(&slot->blockers, 1) == 0 &&
			slot->state == WEBHOOK_SLOT_BLOCKED)
			webhook_shmem_free(slot);
	}
	webhook_shmem_unlock();
	webhook_shmem_wake_launcher();
}

static void
release_blocks_at_exit(int code, Datum arg)
{
	release_blocks();
}
