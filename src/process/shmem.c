/*
 * shmem.c
 *	  Shared memory: one slot a database, for its worker.
 *
 * There are as many slots as the server can have background workers, since
 * each slot stands for a worker. A slot belongs to one database from its claim
 * until it is freed; what its fields say and who may write them is in shmem.h.
 * One LWLock protects the slots' fields and the launcher's address. It is held
 * for copies only, never while waiting or throwing; atomics need no lock.
 *
 * What transactions do to slots at their end is in wakeup.c.
 *
 * A worker gives its slot back by an on_shmem_exit callback that it registers
 * before it connects, so that it runs after the process has left the proc
 * array and while locks still work. A process that cannot run it takes the
 * whole server through a restart, which makes all slots anew.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "process/shmem.h"

/* WebhookCounters is nothing but these. */
#define NCOUNTERS	(sizeof(WebhookCounters) / sizeof(pg_atomic_uint64))

typedef struct WebhookShared
{
	Latch	   *launcher;		/* its latch; under the lock */
	uint64		generation;		/* last given to a worker; under the lock */
	pg_atomic_uint32 scan;		/* anybody: look at the databases */
	pg_atomic_uint32 slots_exhausted;	/* anybody: a database found no slot */
	int			nslots;			/* constant */
	WebhookSlot slots[FLEXIBLE_ARRAY_MEMBER];
} WebhookShared;

static WebhookShared *shared = NULL;
static LWLock *lock = NULL;

/* This database's slot as last found. */
static WebhookSlot *my_slot = NULL;

/* The slot that this process, a worker, owns, and what it found there. */
static WebhookSlot *owned = NULL;
static uint64 owned_generation;
static uint32 owned_stop;
static WebhookExit exit_reason = WEBHOOK_EXIT_FAILED;

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void request_shmem(void);
static void startup_shmem(void);
static Size shmem_size(void);
static void init_slot(WebhookSlot *slot);
static void clear_slot(WebhookSlot *slot);
static void clear_counters(WebhookSlot *slot);
static void detach_launcher(int code, Datum arg);
static void detach_worker(int code, Datum arg);

void
webhook_shmem_init(void)
{
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

static void
request_shmem(void)
{
	if (next_shmem_request)
		next_shmem_request();

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
	int			i;

	if (next_shmem_startup)
		next_shmem_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("webhook", shmem_size(), &found);
	lock = &GetNamedLWLockTranche("webhook")->lock;
	if (!found)
	{
		shared->launcher = NULL;
		shared->generation = 0;
		pg_atomic_init_u32(&shared->scan, 0);
		pg_atomic_init_u32(&shared->slots_exhausted, 0);
		shared->nslots = max_worker_processes;
		for (i = 0; i < shared->nslots; i++)
			init_slot(&shared->slots[i]);
	}
	LWLockRelease(AddinShmemInitLock);
}

bool
webhook_shmem_available(void)
{
	return shared != NULL;
}

/* Once, before anybody can see the slot. */
static void
init_slot(WebhookSlot *slot)
{
	pg_atomic_uint64 *counters = (pg_atomic_uint64 *) &slot->counters;
	int			i;

	memset(slot, 0, sizeof(WebhookSlot));
	pg_atomic_init_u32(&slot->wake, 0);
	pg_atomic_init_u32(&slot->changed, 0);
	pg_atomic_init_u32(&slot->stop, 0);
	pg_atomic_init_u32(&slot->blockers, 0);
	pg_atomic_init_u32(&slot->ring_table, 0);
	LWLockInitialize(&slot->number_lock, lock->tranche);
	pg_atomic_init_u64(&slot->number_next, 0);
	pg_atomic_init_u64(&slot->number_limit, 0);
	pg_atomic_init_u64(&slot->drain_wanted, 0);
	pg_atomic_init_u64(&slot->drain_done, 0);
	for (i = 0; i < NCOUNTERS; i++)
		pg_atomic_init_u64(&counters[i], 0);
}

/* Make a slot nobody's; under the exclusive lock. */
static void
clear_slot(WebhookSlot *slot)
{
	slot->database = InvalidOid;
	slot->state = WEBHOOK_SLOT_FREE;
	slot->exit_reason = WEBHOOK_EXIT_FAILED;
	slot->wanted_again = false;
	slot->generation = 0;
	slot->pid = 0;
	slot->latch = NULL;
	slot->started_at = 0;
	pg_atomic_write_u32(&slot->wake, 0);
	pg_atomic_write_u32(&slot->changed, 0);
	pg_atomic_write_u32(&slot->ring_table, 0);
	slot->number_sequence = InvalidOid;
	pg_atomic_write_u64(&slot->number_next, 0);
	pg_atomic_write_u64(&slot->number_limit, 0);
	pg_atomic_write_u64(&slot->drain_wanted, 0);
	pg_atomic_write_u64(&slot->drain_done, 0);
	clear_counters(slot);
}

static void
clear_counters(WebhookSlot *slot)
{
	pg_atomic_uint64 *counters = (pg_atomic_uint64 *) &slot->counters;
	int			i;

	for (i = 0; i < NCOUNTERS; i++)
		pg_atomic_write_u64(&counters[i], 0);
}

WebhookSlot *
webhook_shmem_find(Oid database)
{
	int			i;

	for (i = 0; i < shared->nslots; i++)
	{
		if (shared->slots[i].database == database)
			return &shared->slots[i];
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
	if (shared == NULL || !OidIsValid(MyDatabaseId))
		return NULL;

	if (my_slot == NULL || my_slot->database != MyDatabaseId)
	{
		LWLockAcquire(lock, LW_SHARED);
		my_slot = webhook_shmem_find(MyDatabaseId);
		LWLockRelease(lock);
	}
	return my_slot;
}

WebhookSlot *
webhook_request_worker(Oid database)
{
	WebhookSlot *slot;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot = webhook_shmem_find(database);
	if (slot == NULL)
		slot = webhook_shmem_claim(database, WEBHOOK_SLOT_WANTED);
	else if (slot->state == WEBHOOK_SLOT_BLOCKED)
		slot->state = WEBHOOK_SLOT_WANTED;
	else
		slot->wanted_again = true;
	LWLockRelease(lock);

	if (slot == NULL)
		pg_atomic_write_u32(&shared->slots_exhausted, 1);
	webhook_shmem_wake_launcher();
	return slot;
}

int
webhook_shmem_ring_table(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();

	return slot == NULL ? 0 : (int) pg_atomic_read_u32(&slot->ring_table);
}

/*
 * The launcher.
 */

void
webhook_shmem_attach_launcher(void)
{
	on_shmem_exit(detach_launcher, (Datum) 0);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	LWLockRelease(lock);
}

static void
detach_launcher(int code, Datum arg)
{
	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (shared->launcher == MyLatch)
		shared->launcher = NULL;
	LWLockRelease(lock);
}

void
webhook_shmem_wake_launcher(void)
{
	Latch	   *latch;

	LWLockAcquire(lock, LW_SHARED);
	latch = shared->launcher;
	LWLockRelease(lock);

	if (latch != NULL)
		SetLatch(latch);
}

void
webhook_shmem_request_scan(void)
{
	if (pg_atomic_exchange_u32(&shared->scan, 1) == 0)
		webhook_shmem_wake_launcher();
}

bool
webhook_shmem_take_scan_request(void)
{
	return pg_atomic_exchange_u32(&shared->scan, 0) != 0;
}

bool
webhook_shmem_scan_requested(void)
{
	pg_memory_barrier();
	return pg_atomic_read_u32(&shared->scan) != 0;
}

bool
webhook_shmem_slots_exhausted(void)
{
	return pg_atomic_read_u32(&shared->slots_exhausted) != 0;
}

bool
webhook_shmem_take_slots_exhausted(void)
{
	return pg_atomic_exchange_u32(&shared->slots_exhausted, 0) != 0;
}

int
webhook_shmem_slot_count(void)
{
	return shared == NULL ? 0 : shared->nslots;
}

WebhookSlot *
webhook_shmem_slot(int i)
{
	Assert(i >= 0 && i < shared->nslots);
	return &shared->slots[i];
}

void
webhook_shmem_lock(bool exclusive)
{
	LWLockAcquire(lock, exclusive ? LW_EXCLUSIVE : LW_SHARED);
}

void
webhook_shmem_unlock(void)
{
	LWLockRelease(lock);
}

uint64
webhook_shmem_next_generation(void)
{
	return ++shared->generation;
}

/*
 * The worker.
 */

bool
webhook_shmem_attach_worker(int slot_number, uint64 generation)
{
	WebhookSlot *slot;
	bool		attached = false;

	if (shared == NULL || slot_number < 0 || slot_number >= shared->nslots)
		return false;
	slot = &shared->slots[slot_number];

	on_shmem_exit(detach_worker, (Datum) 0);

	LWLockAcquire(lock, LW_EXCLUSIVE);
	if (slot->state == WEBHOOK_SLOT_STARTING && slot->generation == generation)
	{
		if (pg_atomic_read_u32(&slot->blockers) > 0)
		{
			slot->state = WEBHOOK_SLOT_STOPPED;
			slot->exit_reason = WEBHOOK_EXIT_ASKED;
		}
		else
		{
			slot->state = WEBHOOK_SLOT_RUNNING;
			slot->wanted_again = false;
			slot->pid = MyProcPid;
			slot->latch = MyLatch;
			slot->started_at = GetCurrentTimestamp();
			pg_atomic_write_u32(&slot->wake, 0);
			pg_atomic_write_u32(&slot->changed, 0);
			clear_counters(slot);
			owned = slot;
			owned_generation = generation;
			owned_stop = pg_atomic_read_u32(&slot->stop);
			attached = true;
		}
	}
	LWLockRelease(lock);

	/* It may start another now. */
	webhook_shmem_wake_launcher();

	return attached;
}

WebhookStop
webhook_shmem_stop_requested(void)
{
	if (owned == NULL)
		return WEBHOOK_STOP_NONE;
	if (pg_atomic_read_u32(&owned->blockers) > 0)
		return WEBHOOK_STOP_DATABASE;
	return pg_atomic_read_u32(&owned->stop) != owned_stop ?
		WEBHOOK_STOP_EXTENSION : WEBHOOK_STOP_NONE;
}

void
webhook_shmem_set_exit(WebhookExit reason)
{
	exit_reason = reason;
}

static void
detach_worker(int code, Datum arg)
{
	if (owned != NULL)
	{
		LWLockAcquire(lock, LW_EXCLUSIVE);
		if (owned->state == WEBHOOK_SLOT_RUNNING &&
			owned->generation == owned_generation)
		{
			if (exit_reason == WEBHOOK_EXIT_FAILED &&
				webhook_shmem_stop_requested() != WEBHOOK_STOP_NONE)
				exit_reason = WEBHOOK_EXIT_ASKED;
			owned->state = WEBHOOK_SLOT_STOPPED;
			owned->exit_reason = exit_reason;
			owned->pid = 0;
			owned->latch = NULL;
		}
		LWLockRelease(lock);
		owned = NULL;
	}

	/* Also if the slot was refused: the launcher goes by its state. */
	webhook_shmem_wake_launcher();
}
