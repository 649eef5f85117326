/*
 * wakeup.c
 *	  What the end of a transaction does to workers: it wakes them, stops them
 *	  and lets them start again.
 *
 * Wake-up. The callback for XACT_EVENT_COMMIT runs after the transaction has
 * become visible to others. It sets "wake" in the slot of its database; the
 * backend that changes the flag from 0 to 1 sets the worker's latch. The worker
 * clears the flag, then takes its snapshot. Both exchange the flag, which is a
 * full barrier, so a commit is either in that snapshot or sets the flag once
 * more. The worker also tests the flag before each wait, because another wait
 * in between may have reset its latch. A worker that dies leaves "wake" set; its
 * successor clears it when it attaches, and reads the ring in any case.
 *
 * The worker's latch is in its PGPROC, which outlives the process and may later
 * be another's. The latch is read under the lock and set after its release: at
 * worst, a process wakes for nothing. The lock is taken only when the flag
 * changes, once a window and not once a commit.
 *
 * A backend remembers the slot of its database and tests before each use
 * whether the slot still belongs to it. A slot that is freed after that test
 * costs another database's worker a wake-up for nothing. This database's next
 * worker starts after the commit, and so sees it.
 *
 * What happens at a commit must not fail: no allocation, no catalog access, no
 * error.
 *
 * Changes. Which subscriptions a transaction has changed is told just before its commit
 * (changes.c), and that there is something to read, after it. What it has changed in another
 * way means that all is to be read. What a prepared transaction has changed is not known here
 * when it commits: a row of the ring says it (functions/own_tables.c).
 *
 * Blocking. DDL that needs a database for itself raises "blockers" in its slot,
 * then looks at "pid"; a worker sets "pid", then looks at "blockers". Both do so
 * under the lock, so one of them sees the other. "pid" is cleared after the
 * worker has left the proc array: then PostgreSQL does not count it any more.
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
#include "process/changes.h"
#include "process/shmem_internal.h"
#include "process/wakeup.h"

/* How long DDL waits for a worker to leave, and how often it looks. */
#define BLOCK_TIMEOUT_MS	10000
#define BLOCK_POLL_MS		10

/* What the commit of a transaction does. */
#define WAKE_WORKER			(1 << 0)	/* an event or a command was appended */
#define CHANGED				(1 << 1)	/* subscriptions have changed */
#define REQUEST_WORKER		(1 << 2)	/* the extension was created */
#define SCAN_DATABASES		(1 << 3)	/* databases have come or gone */
#define STOP_WORKER			(1 << 4)	/* the extension was dropped or altered */
#define COMMIT_PREPARED		(1 << 5)	/* a prepared transaction has committed */
#define RECOUNT				(1 << 6)	/* rows of pending have come or gone */
#define RELOAD				(1 << 7)	/* all subscriptions are to be read */

/* Subscriptions that a transaction may change before the worker is to read all of them. */
#define MOST_CHANGED		(WEBHOOK_CHANGES / 2)

static struct
{
	uint32		commit_actions; /* of the present transaction: bits of the above */
	int			nchanged;		/* subscriptions that it has changed */
	int64		changed[MOST_CHANGED];	/* their ids */
	bool		told;			/* these were told to the worker */
	bool		has_prepared;	/* this process has prepared a transaction with such actions */
	bool		watches_transactions;	/* at_transaction_end() is registered */
	bool		watches_exit;	/* release_blocks_at_exit() is registered */
	bool		has_warned;		/* this session knows that the library is not preloaded */

	/* Slots that the present transaction blocks, in TopMemoryContext. */
	WebhookSlot **blocked;
	int			nblocked;
	int			max_blocked;
}			wakeup;

static void add_commit_action(uint32 action);
static void watch_transactions(void);
static void tell_changes(void);
static void forget(void);
static uint32 changed_flags(uint32 actions);
static void at_transaction_end(XactEvent event, void *arg);
static void run_commit_actions(uint32 actions);
static void wake_worker(WebhookSlot *slot, uint32 changed);
static void set_latch_of(WebhookSlot *slot);
static WebhookSlot *add_block(Oid database);
static void release_blocks(void);
static void release_blocks_at_exit(int code, Datum arg);
static bool has_process(WebhookSlot *slot);
static bool terminate(WebhookSlot *slot);

void
webhook_wakeup_at_commit(bool changed)
{
	if (webhook_shmem_available())
		add_commit_action(changed ? WAKE_WORKER | CHANGED : WAKE_WORKER);
	else if (!wakeup.has_warned && !IsBinaryUpgrade)
	{
		wakeup.has_warned = true;
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook events are stored but not sent"),
				 errdetail("The library \"webhook\" is not preloaded."),
				 errhint("Add \"webhook\" to \"shared_preload_libraries\" in postgresql.conf and restart the server.")));
	}
}

void
webhook_changed_at_commit(int64 subscription_id)
{
	webhook_wakeup_at_commit(true);
	if (!webhook_shmem_available())
		return;
	for (int i = 0; i < wakeup.nchanged; i++)
	{
		if (wakeup.changed[i] == subscription_id)
			return;
	}
	if (wakeup.nchanged < MOST_CHANGED)
		wakeup.changed[wakeup.nchanged++] = subscription_id;
	else
		add_commit_action(RELOAD);
	wakeup.told = false;
}

void
webhook_reload_at_commit(void)
{
	webhook_wakeup_at_commit(true);
	add_commit_action(RELOAD);
}

void
webhook_recount_at_commit(void)
{
	add_commit_action(RECOUNT);
}

bool
webhook_recount_is_pending(void)
{
	return (wakeup.commit_actions & RECOUNT) != 0;
}

bool
webhook_wakeup_is_pending(void)
{
	return (wakeup.commit_actions & WAKE_WORKER) != 0;
}

bool
webhook_has_changed(void)
{
	return (wakeup.commit_actions & CHANGED) != 0;
}

void
webhook_wakeup_now(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	if (slot != NULL)
		wake_worker(slot, 0);
}

void
webhook_request_worker_at_commit(void)
{
	add_commit_action(REQUEST_WORKER);
}

void
webhook_scan_databases_at_commit(void)
{
	add_commit_action(SCAN_DATABASES);
}

void
webhook_stop_worker_at_commit(void)
{
	add_commit_action(STOP_WORKER);
}

void
webhook_wakeup_prepared_at_commit(void)
{
	add_commit_action(COMMIT_PREPARED);
}

static void
add_commit_action(uint32 action)
{
	if (!webhook_shmem_available())
		return;
	watch_transactions();
	wakeup.commit_actions |= action;
}

/* Have at_transaction_end() called from now on. */
static void
watch_transactions(void)
{
	if (!wakeup.watches_transactions)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		wakeup.watches_transactions = true;
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	uint32		actions = wakeup.commit_actions;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			tell_changes();
			break;

		case XACT_EVENT_COMMIT:

			/*
			 * A process that applies replicated transactions prepares them and commits them
			 * later, without a statement that our hooks would see.
			 */
			if (wakeup.has_prepared && IsLogicalWorker())
				actions |= COMMIT_PREPARED;

			if (actions != 0)
				run_commit_actions(actions);
			forget();
			release_blocks();
			break;

		case XACT_EVENT_PREPARE:
			wakeup.has_prepared |= (actions != 0);
			forget();
			release_blocks();
			break;

		case XACT_EVENT_ABORT:
			forget();
			release_blocks();
			break;

		default:
			/* not an end, or that of a parallel worker, which writes nothing */
			break;
	}
}

/* Before the transaction is visible to others: whoever sees its changes is to know them. */
static void
tell_changes(void)
{
	WebhookSlot *slot;

	if (wakeup.nchanged == 0 || (wakeup.commit_actions & RELOAD))
		return;
	slot = webhook_shmem_my_slot();
	if (slot == NULL)
		return;
	webhook_changes_tell(slot, GetTopFullTransactionId(), wakeup.changed, wakeup.nchanged);
	wakeup.told = true;
}

/* The transaction has ended. */
static void
forget(void)
{
	wakeup.commit_actions = 0;
	wakeup.nchanged = 0;
	wakeup.told = false;
}

/* What the worker has to read. */
static uint32
changed_flags(uint32 actions)
{
	if (actions & (RELOAD | STOP_WORKER))
		return WEBHOOK_CHANGED_ALL;
	if ((actions & CHANGED) == 0)
		return 0;
	return wakeup.told ? WEBHOOK_CHANGED_SOME : WEBHOOK_CHANGED_ALL;
}

/* The transaction has committed. */
static void
run_commit_actions(uint32 actions)
{
	WebhookSlot *slot;

	if (actions & SCAN_DATABASES)
		webhook_shmem_request_scan();
	if (actions & REQUEST_WORKER)
		(void) webhook_shmem_request_worker(MyDatabaseId);

	if ((actions & (WAKE_WORKER | STOP_WORKER | COMMIT_PREPARED)) == 0)
		return;

	/* An event proves that this database has the extension. */
	slot = webhook_shmem_my_slot();
	if (slot == NULL && (actions & WAKE_WORKER) && !webhook_shmem_slots_exhausted())
		slot = webhook_shmem_request_worker(MyDatabaseId);
	if (slot == NULL)
		return;

	if (actions & STOP_WORKER)
		pg_atomic_fetch_add_u32(&slot->stop_extension, 1);
	if (actions & RECOUNT)
		pg_atomic_write_u32(&slot->recount, 1);
	wake_worker(slot, changed_flags(actions));
}

static void
wake_worker(WebhookSlot *slot, uint32 changed)
{
	/* In this order: a worker that sees "wake" has to see "changed". */
	if (changed != 0)
		pg_atomic_fetch_or_u32(&slot->changed, changed);
	if (pg_atomic_exchange_u32(&slot->wake, 1) == 0 || changed != 0)
		set_latch_of(slot);
}

/* Set the latch of a slot's worker, or the launcher's if there is no worker. */
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
webhook_block_database(Oid database)
{
	WebhookSlot *slot;
	TimestampTz started = GetCurrentTimestamp();
	uint32		wait_event;

	if (!webhook_shmem_available())
		return;
	slot = add_block(database);
	if (slot == NULL || !terminate(slot))
		return;

	pg_atomic_fetch_add_u32(&slot->stop_database, 1);
	set_latch_of(slot);
	wait_event = compat_wait_event("WebhookBlock");
	while (!TimestampDifferenceExceeds(started, GetCurrentTimestamp(), BLOCK_TIMEOUT_MS) &&
		   has_process(slot))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 BLOCK_POLL_MS, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Block a database until the present transaction ends; once a transaction.
 * Returns its slot. NULL: no slot is free, so no worker can be started there
 * either.
 */
static WebhookSlot *
add_block(Oid database)
{
	WebhookSlot *slot;
	int			i;

	if (!wakeup.watches_exit)
	{
		before_shmem_exit(release_blocks_at_exit, (Datum) 0);
		wakeup.watches_exit = true;
	}
	watch_transactions();
	if (wakeup.nblocked == wakeup.max_blocked)
	{
		int			room = wakeup.max_blocked == 0 ? 4 : wakeup.max_blocked * 2;

		wakeup.blocked = wakeup.blocked == NULL ?
			MemoryContextAlloc(TopMemoryContext, room * sizeof(WebhookSlot *)) :
			repalloc(wakeup.blocked, room * sizeof(WebhookSlot *));
		wakeup.max_blocked = room;
	}

	webhook_shmem_lock(true);
	slot = webhook_shmem_find(database);
	if (slot == NULL)
		slot = webhook_shmem_claim(database, WEBHOOK_SLOT_BLOCKED);
	for (i = 0; i < wakeup.nblocked && wakeup.blocked[i] != slot; i++)
		;
	if (slot != NULL && i == wakeup.nblocked)
	{
		pg_atomic_fetch_add_u32(&slot->blockers, 1);
		wakeup.blocked[wakeup.nblocked++] = slot;
	}
	webhook_shmem_unlock();
	return slot;
}

/*
 * End the blocks of the present transaction. A scan is requested first: a
 * launcher that sees no blocker sees the request, and looks whether the
 * database still exists before it starts a worker there.
 */
static void
release_blocks(void)
{
	if (wakeup.nblocked == 0)
		return;

	webhook_shmem_request_scan();
	webhook_shmem_lock(true);
	while (wakeup.nblocked > 0)
	{
		WebhookSlot *slot = wakeup.blocked[--wakeup.nblocked];

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

/* Returns true if the slot has a worker. */
static bool
has_process(WebhookSlot *slot)
{
	bool		result;

	webhook_shmem_lock(false);
	result = slot->pid != 0;
	webhook_shmem_unlock();
	return result;
}

/*
 * Send SIGTERM to the slot's worker; false: it has none. The signal cannot
 * reach another process: a worker clears its pid under the exclusive lock
 * before it exits.
 */
static bool
terminate(WebhookSlot *slot)
{
	int			pid;

	webhook_shmem_lock(false);
	pid = slot->pid;
	if (pid != 0)
		(void) kill(pid, SIGTERM);
	webhook_shmem_unlock();
	return pid != 0;
}
