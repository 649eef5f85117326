/*
 * shmem.c
 *	  Shared memory: one slot for each database that has the extension.
 *
 * A slot stands for a worker, so there are as many as the server can have
 * background workers. A slot belongs to one database from its claim until it is
 * freed; shmem.h says what its fields mean and who may write them. One LWLock
 * protects the fields of all slots and the address of the launcher's latch. It
 * is held for copies only, never while waiting or throwing; atomics need no
 * lock. What transactions do to slots at their end is in wakeup.c.
 *
 * A worker gives its slot back in an on_shmem_exit callback. The callback is
 * registered before the worker connects, so it runs after the process has left
 * the proc array, while locks still work. After a crash of a process that could
 * not run it, the postmaster makes shared memory anew. Before it gives up the
 * former one, it copies which databases had a slot, and how long their workers
 * are to be waited for. So a worker that crashes whenever it is started does not
 * restart the server in a loop. The copy is in the postmaster's memory; somebody
 * else who starts the server again (restart_after_crash is off) starts from nothing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "process/directory_internal.h"
#include "process/restart_internal.h"
#include "process/shmem_internal.h"

typedef struct WebhookShared
{
	Latch	   *launcher;		/* latch of the launcher, or NULL; under the lock */
	WebhookRestart launcher_restart;	/* of the launcher; by itself and the postmaster */
	uint64		generation;		/* the last number given to a worker; under the lock */
	pg_atomic_uint32 scan;		/* 1: the launcher is to look at pg_database */
	pg_atomic_uint32 slots_exhausted;	/* 1: a database has found no free slot */
	WebhookDirectory directory; /* constant */
	int			nslots;			/* number of slots; constant */
	WebhookSlot slots[FLEXIBLE_ARRAY_MEMBER];
} WebhookShared;

static struct
{
	WebhookShared *shared;		/* NULL: the library is not preloaded */
	LWLock	   *lock;			/* of shared memory */
	WebhookSlot *mine;			/* slot of this database as last found; NULL: not found yet */

	/* The rest is a worker's. */
	WebhookSlot *owned;			/* slot that this process has taken over, or NULL */
	uint64		generation;		/* of that slot at the time */
	uint32		stop_extension; /* of that slot at the time; such requests are not for this
								 * worker */
	uint32		stop_database;	/* of that slot at the time; such requests are not for this
								 * worker */
	WebhookExit exit_reason;	/* what the slot will say when this process has gone */
}			shmem =

{
	.exit_reason = WEBHOOK_EXIT_FAILED
};

/* What the postmaster carries over a crash. */
static struct
{
	bool		valid;			/* there was a crash, or an end, of this postmaster's processes */
	WebhookRestart launcher;
	Oid		   *databases;		/* of each slot; InvalidOid: it had no worker. In malloc's memory */
	WebhookRestart *workers;	/* of each slot. In malloc's memory */
}			carried;

static struct
{
	shmem_request_hook_type request;
	shmem_startup_hook_type startup;
}			next;				/* hooks that were installed before ours */

static void request_shmem(void);
static void startup_shmem(void);
static Size shmem_size(void);
static void carry_over(int code, Datum arg);
static bool has_crashed(WebhookRestart *restart);
static void take_over(void);
static void init_slot(WebhookSlot *slot);
static void init_restart(WebhookRestart *restart);
static void clear_slot(WebhookSlot *slot);
static void clear_counters(WebhookSlot *slot);
static void detach_launcher(int code, Datum arg);
static void detach_worker(int code, Datum arg);

void
webhook_shmem_init(void)
{
	next.request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	next.startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

static void
request_shmem(void)
{
	if (next.request)
		next.request();

	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche("webhook", 1);
}

static Size
shmem_size(void)
{
	return add_size(offsetof(WebhookShared, slots),
					mul_size(max_worker_processes, sizeof(WebhookSlot)));
}

static void
startup_shmem(void)
{
	bool		found;

	if (next.startup)
		next.startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shmem.shared = ShmemInitStruct("webhook", shmem_size(), &found);
	shmem.lock = &GetNamedLWLockTranche("webhook")->lock;
	if (!found)
	{
		shmem.shared->launcher = NULL;
		shmem.shared->generation = 0;
		pg_atomic_init_u32(&shmem.shared->scan, 0);
		pg_atomic_init_u32(&shmem.shared->slots_exhausted, 0);
		webhook_directory_identify(&shmem.shared->directory);
		shmem.shared->nslots = max_worker_processes;
		init_restart(&shmem.shared->launcher_restart);
		for (int i = 0; i < shmem.shared->nslots; i++)
			init_slot(&shmem.shared->slots[i]);
		if (carried.valid)
			take_over();
	}
	LWLockRelease(AddinShmemInitLock);

	if (!IsUnderPostmaster)
		on_shmem_exit(carry_over, (Datum) 0);
}

/*
 * Called in the postmaster when it is about to give up shared memory, and all
 * other processes have gone. A crash may have left anything there, so it is
 * only copied: no lock, no pointer, no number as an index.
 */
static void
carry_over(int code, Datum arg)
{
	TimestampTz now = GetCurrentTimestamp();

	if (carried.databases == NULL)
	{
		carried.databases = calloc(max_worker_processes, sizeof(Oid));
		carried.workers = calloc(max_worker_processes, sizeof(WebhookRestart));
		if (carried.databases == NULL || carried.workers == NULL)
			return;
	}
	carried.valid = true;
	carried.launcher = shmem.shared->launcher_restart;
	if (shmem.shared->launcher != NULL && has_crashed(&carried.launcher))
		webhook_restart_failed(&carried.launcher, now);
	for (int i = 0; i < max_worker_processes; i++)
	{
		WebhookSlot *slot = &shmem.shared->slots[i];

		carried.databases[i] = InvalidOid;
		if (slot->state == WEBHOOK_SLOT_FREE || slot->state == WEBHOOK_SLOT_BLOCKED)
			continue;
		carried.databases[i] = slot->database;
		carried.workers[i] = slot->restart;
		if ((slot->state == WEBHOOK_SLOT_STOPPED && slot->exit_reason == WEBHOOK_EXIT_FAILED) ||
			(slot->state == WEBHOOK_SLOT_RUNNING && has_crashed(&slot->restart)))
			webhook_restart_failed(&carried.workers[i], now);
	}
}

/* Returns true if a process that was there has ended, and nobody has told it to. */
static bool
has_crashed(WebhookRestart *restart)
{
	return !webhook_restart_was_told_to_quit(restart);
}

/*
 * Workers are wanted where they were, as long as the launcher finds nothing else
 * out. Called in the postmaster, before any other process is there.
 */
static void
take_over(void)
{
	shmem.shared->launcher_restart = carried.launcher;
	for (int i = 0; i < shmem.shared->nslots; i++)
	{
		if (!OidIsValid(carried.databases[i]))
			continue;
		shmem.shared->slots[i].database = carried.databases[i];
		shmem.shared->slots[i].state = WEBHOOK_SLOT_WANTED;
		shmem.shared->slots[i].restart = carried.workers[i];
	}
}

bool
webhook_shmem_available(void)
{
	return shmem.shared != NULL;
}

const WebhookDirectory *
webhook_shmem_directory(void)
{
	return &shmem.shared->directory;
}

/* Initialize a slot that no other process can see yet. */
static void
init_slot(WebhookSlot *slot)
{
	memset(slot, 0, sizeof(WebhookSlot));
	init_restart(&slot->restart);
	pg_atomic_init_u32(&slot->wake, 0);
	pg_atomic_init_u32(&slot->changed, 0);
	pg_atomic_init_u32(&slot->recount, 0);
	pg_atomic_init_u32(&slot->stop_extension, 0);
	pg_atomic_init_u32(&slot->stop_database, 0);
	pg_atomic_init_u32(&slot->blockers, 0);
	pg_atomic_init_u32(&slot->ring_table, 0);
	LWLockInitialize(&slot->number_lock, shmem.lock->tranche);
	LWLockInitialize(&slot->large_lock, shmem.lock->tranche);
	LWLockInitialize(&slot->changes_lock, shmem.lock->tranche);
	pg_atomic_init_u64(&slot->number_next, 0);
	pg_atomic_init_u64(&slot->number_limit, 0);
	pg_atomic_init_u64(&slot->drain_wanted, 0);
	pg_atomic_init_u64(&slot->drain_done, 0);
#define COUNTER(name) pg_atomic_init_u64(&slot->counters.name, 0);
	WEBHOOK_COUNTERS(COUNTER)
#undef COUNTER
		webhook_metrics_init(&slot->metrics);
}

static void
init_restart(WebhookRestart *restart)
{
	memset(restart, 0, sizeof(WebhookRestart));
	pg_atomic_init_u32(&restart->told_to_quit, 0);
}

/* Make a slot FREE; under the exclusive lock. */
static void
clear_slot(WebhookSlot *slot)
{
	slot->database = InvalidOid;
	slot->state = WEBHOOK_SLOT_FREE;
	slot->exit_reason = WEBHOOK_EXIT_FAILED;
	slot->refused = false;
	slot->wanted_again = false;
	slot->generation = 0;
	slot->pid = 0;
	slot->latch = NULL;
	slot->started_at = 0;
	slot->restart.began = slot->restart.not_before = 0;
	slot->restart.wait_ms = 0;
	slot->restart.starts = 0;
	pg_atomic_write_u32(&slot->restart.told_to_quit, 0);
	pg_atomic_write_u32(&slot->wake, 0);
	pg_atomic_write_u32(&slot->changed, 0);
	pg_atomic_write_u32(&slot->ring_table, 0);
	slot->number_sequence = InvalidOid;
	memset(slot->large, 0, sizeof(slot->large));
	pg_atomic_write_u64(&slot->number_next, 0);
	pg_atomic_write_u64(&slot->number_limit, 0);
	pg_atomic_write_u64(&slot->drain_wanted, 0);
	pg_atomic_write_u64(&slot->drain_done, 0);
	clear_counters(slot);
	webhook_metrics_clear(&slot->metrics);
}

static void
clear_counters(WebhookSlot *slot)
{
#define COUNTER(name) pg_atomic_write_u64(&slot->counters.name, 0);
	WEBHOOK_COUNTERS(COUNTER)
#undef COUNTER
}

WebhookSlot *
webhook_shmem_find(Oid database)
{
	for (int i = 0; i < shmem.shared->nslots; i++)
	{
		if (shmem.shared->slots[i].database == database)
			return &shmem.shared->slots[i];
	}
	return NULL;
}

WebhookSlot *
webhook_shmem_claim(Oid database, WebhookSlotState state)
{
	WebhookSlot *slot = webhook_shmem_find(InvalidOid);

	if (slot != NULL)
	{
		clear_slot(slot);
		slot->state = state;
		slot->database = database;
	}
	return slot;
}

void
webhook_shmem_free(WebhookSlot *slot)
{
	if (pg_atomic_read_u32(&slot->blockers) > 0)
		slot->state = WEBHOOK_SLOT_BLOCKED;
	else
		clear_slot(slot);
}

WebhookSlot *
webhook_shmem_my_slot(void)
{
	if (shmem.shared == NULL || !OidIsValid(MyDatabaseId))
		return NULL;

	if (shmem.mine == NULL || shmem.mine->database != MyDatabaseId)
	{
		LWLockAcquire(shmem.lock, LW_SHARED);
		shmem.mine = webhook_shmem_find(MyDatabaseId);
		LWLockRelease(shmem.lock);
	}
	return shmem.mine;
}

WebhookSlot *
webhook_shmem_slot(int number)
{
	Assert(number >= 0 && number < shmem.shared->nslots);
	return &shmem.shared->slots[number];
}

WebhookSlotStatus
webhook_shmem_status(const WebhookSlot *slot)
{
	WebhookSlotStatus status;

	LWLockAcquire(shmem.lock, LW_SHARED);
	status.state = slot->state;
	status.refused = slot->refused;
	status.pid = slot->pid;
	status.started_at = slot->started_at;
	status.starts = slot->restart.starts;
	LWLockRelease(shmem.lock);
	return status;
}

WebhookSlot *
webhook_shmem_request_worker(Oid database)
{
	WebhookSlot *slot;

	LWLockAcquire(shmem.lock, LW_EXCLUSIVE);
	slot = webhook_shmem_find(database);
	if (slot == NULL)
		slot = webhook_shmem_claim(database, WEBHOOK_SLOT_WANTED);
	else if (slot->state == WEBHOOK_SLOT_BLOCKED)
		slot->state = WEBHOOK_SLOT_WANTED;
	else
		slot->wanted_again = true;
	LWLockRelease(shmem.lock);

	if (slot == NULL)
		pg_atomic_write_u32(&shmem.shared->slots_exhausted, 1);
	webhook_shmem_wake_launcher();
	return slot;
}

/*
 * Only what surely needs a background worker slot is counted: other extensions
 * and parallel queries need more.
 */
int
webhook_shmem_wanted_worker_processes(void)
{
	int			wanted = 1;		/* the launcher */
	bool		mine = false;

	if (max_logical_replication_workers > 0)
		wanted++;				/* its launcher */
	LWLockAcquire(shmem.lock, LW_SHARED);
	for (int i = 0; i < shmem.shared->nslots; i++)
	{
		const WebhookSlot *slot = &shmem.shared->slots[i];

		if (slot->state == WEBHOOK_SLOT_RUNNING || slot->refused)
		{
			wanted++;
			mine |= slot->database == MyDatabaseId;
		}
	}
	LWLockRelease(shmem.lock);
	if (!mine)
		wanted++;
	return wanted > max_worker_processes ? wanted : 0;
}

bool
webhook_shmem_unread(WebhookSlot *slot, int64 *rows)
{
	uint64		before = pg_atomic_read_u64(&slot->metrics.read_before);
	uint64		number_next = pg_atomic_read_u64(&slot->number_next);

	*rows = pg_atomic_read_u64(&slot->metrics.unread) +
		(number_next > before ? number_next - before : 0);
	return before != 0;
}

int
webhook_shmem_ring_table(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	return slot == NULL ? 0 : (int) pg_atomic_read_u32(&slot->ring_table);
}

/*
 * For the launcher.
 */

const WebhookRestart *
webhook_shmem_attach_launcher(void)
{
	WebhookRestart *restart = &shmem.shared->launcher_restart;

	on_shmem_exit(detach_launcher, (Datum) 0);

	webhook_restart_begin(restart, GetCurrentTimestamp());
	webhook_restart_watch_quit(restart);
	LWLockAcquire(shmem.lock, LW_EXCLUSIVE);
	shmem.shared->launcher = MyLatch;
	LWLockRelease(shmem.lock);
	return restart;
}

static void
detach_launcher(int code, Datum arg)
{
	LWLockAcquire(shmem.lock, LW_EXCLUSIVE);
	if (shmem.shared->launcher == MyLatch)
		shmem.shared->launcher = NULL;
	LWLockRelease(shmem.lock);
}

void
webhook_shmem_wake_launcher(void)
{
	Latch	   *latch;

	LWLockAcquire(shmem.lock, LW_SHARED);
	latch = shmem.shared->launcher;
	LWLockRelease(shmem.lock);

	if (latch != NULL)
		SetLatch(latch);
}

void
webhook_shmem_request_scan(void)
{
	if (pg_atomic_exchange_u32(&shmem.shared->scan, 1) == 0)
		webhook_shmem_wake_launcher();
}

bool
webhook_shmem_take_scan_request(void)
{
	return pg_atomic_exchange_u32(&shmem.shared->scan, 0) != 0;
}

bool
webhook_shmem_scan_requested(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u32(&shmem.shared->scan) != 0;
}

bool
webhook_shmem_slots_exhausted(void)
{
	return pg_atomic_read_u32(&shmem.shared->slots_exhausted) != 0;
}

bool
webhook_shmem_take_slots_exhausted(void)
{
	return pg_atomic_exchange_u32(&shmem.shared->slots_exhausted, 0) != 0;
}

int
webhook_shmem_slot_count(void)
{
	return shmem.shared == NULL ? 0 : shmem.shared->nslots;
}

void
webhook_shmem_lock(bool exclusive)
{
	LWLockAcquire(shmem.lock, exclusive ? LW_EXCLUSIVE : LW_SHARED);
}

void
webhook_shmem_unlock(void)
{
	LWLockRelease(shmem.lock);
}

uint64
webhook_shmem_next_generation(void)
{
	return ++shmem.shared->generation;
}

/*
 * For the worker.
 */

bool
webhook_shmem_attach_worker(int slot_number, uint64 generation)
{
	WebhookSlot *slot;
	bool		attached = false;

	if (shmem.shared == NULL || slot_number < 0 || slot_number >= shmem.shared->nslots)
		return false;
	slot = &shmem.shared->slots[slot_number];

	on_shmem_exit(detach_worker, (Datum) 0);

	LWLockAcquire(shmem.lock, LW_EXCLUSIVE);
	if (slot->state == WEBHOOK_SLOT_STARTING && slot->generation == generation)
	{
		if (pg_atomic_read_u32(&slot->blockers) > 0)
		{
			slot->state = WEBHOOK_SLOT_STOPPED;
			slot->exit_reason = WEBHOOK_EXIT_ASKED;
		}
		else
		{
			webhook_restart_watch_quit(&slot->restart);
			slot->state = WEBHOOK_SLOT_RUNNING;
			slot->wanted_again = false;
			slot->pid = MyProcPid;
			slot->latch = MyLatch;
			slot->started_at = GetCurrentTimestamp();
			slot->restart.starts++;
			pg_atomic_write_u32(&slot->wake, 0);
			pg_atomic_write_u32(&slot->changed, 0);
			clear_counters(slot);
			shmem.owned = slot;
			shmem.generation = generation;
			shmem.stop_extension = pg_atomic_read_u32(&slot->stop_extension);
			shmem.stop_database = pg_atomic_read_u32(&slot->stop_database);
			attached = true;
		}
	}
	LWLockRelease(shmem.lock);

	/* The launcher limits how many workers are starting: one less now. */
	webhook_shmem_wake_launcher();

	return attached;
}

bool
webhook_shmem_is_worker(void)
{
	return shmem.owned != NULL;
}

WebhookStop
webhook_shmem_stop_requested(void)
{
	if (shmem.owned == NULL)
		return WEBHOOK_STOP_NONE;
	if (pg_atomic_read_u32(&shmem.owned->blockers) > 0 ||
		pg_atomic_read_u32(&shmem.owned->stop_database) != shmem.stop_database)
		return WEBHOOK_STOP_DATABASE;
	return pg_atomic_read_u32(&shmem.owned->stop_extension) != shmem.stop_extension ?
		WEBHOOK_STOP_EXTENSION : WEBHOOK_STOP_NONE;
}

void
webhook_shmem_set_exit(WebhookExit reason)
{
	shmem.exit_reason = reason;
}

static void
detach_worker(int code, Datum arg)
{
	if (shmem.owned != NULL)
	{
		LWLockAcquire(shmem.lock, LW_EXCLUSIVE);
		if (shmem.owned->state == WEBHOOK_SLOT_RUNNING &&
			shmem.owned->generation == shmem.generation)
		{
			if (shmem.exit_reason == WEBHOOK_EXIT_FAILED &&
				webhook_shmem_stop_requested() != WEBHOOK_STOP_NONE)
				shmem.exit_reason = WEBHOOK_EXIT_ASKED;
			shmem.owned->state = WEBHOOK_SLOT_STOPPED;
			shmem.owned->exit_reason = shmem.exit_reason;
			shmem.owned->pid = 0;
			shmem.owned->latch = NULL;
		}
		LWLockRelease(shmem.lock);
		shmem.owned = NULL;
	}

	/* Also without a slot: this process counted as starting. */
	webhook_shmem_wake_launcher();
}
