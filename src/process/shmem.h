/*
 * shmem.h
 *	  What processes tell each other: one slot a database, its flags, its
 *	  worker's latch, its counters; and the callback that wakes at commit.
 */
#ifndef WEBHOOK_SHMEM_H
#define WEBHOOK_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

/* Life of a slot; changed under the lock of shared memory. */
typedef enum WebhookSlotState
{
	WEBHOOK_SLOT_FREE,			/* nobody's */
	WEBHOOK_SLOT_BLOCKED,		/* kept by DDL on the database; nobody wants a worker */
	WEBHOOK_SLOT_WANTED,		/* a worker should be started */
	WEBHOOK_SLOT_STARTING,		/* registered, not yet attached */
	WEBHOOK_SLOT_RUNNING,		/* attached: pid and latch are valid */
	WEBHOOK_SLOT_STOPPED,		/* the worker has gone; exit_reason says why */
} WebhookSlotState;

/* What the launcher hands a worker: bgw_extra; bgw_main_arg is the slot. */
typedef struct WebhookWorkerExtra
{
	uint64		generation;
	Oid			database;
} WebhookWorkerExtra;

typedef enum WebhookExit
{
	WEBHOOK_EXIT_FAILED,		/* an error: start wanted_again after a while */
	WEBHOOK_EXIT_ABSENT,		/* the extension is not in this database */
	WEBHOOK_EXIT_ASKED,			/* by a stop request: start wanted_again at once */
} WebhookExit;

/* Monotone counters of a worker since it started, and present gauges. */
typedef struct WebhookCounters
{
	pg_atomic_uint64 windows;	/* windows closed */
	pg_atomic_uint64 events;	/* events read */
	pg_atomic_uint64 attempts;	/* POSTs sent */
	pg_atomic_uint64 delivered;
	pg_atomic_uint64 retrying;	/* attempts that failed and will be repeated */
	pg_atomic_uint64 failed;	/* deliveries that ended otherwise */
	pg_atomic_uint64 flushes;
	pg_atomic_uint64 flush_errors;
	pg_atomic_uint64 rotations; /* slots of the ring emptied */
	pg_atomic_uint64 in_flight; /* gauge */
	pg_atomic_uint64 queued;	/* gauge: in memory, not started */
	pg_atomic_uint64 unflushed; /* gauge: outcomes not yet in the log */
	pg_atomic_uint64 memory;	/* gauge: bytes of the three */
} WebhookCounters;

/*
 * A database's slot. Fields without a note are read and written under the
 * lock of shared memory: by the launcher while WANTED, STARTING or STOPPED, by
 * the worker while RUNNING. "database" may also be read without it, to see
 * whether a slot is still the one that was found before.
 */
typedef struct WebhookSlot
{
	Oid			database;		/* InvalidOid: free */
	WebhookSlotState state;
	WebhookExit exit_reason;	/* while STOPPED */
	bool		wanted_again;	/* anybody: wanted since the worker attached */
	uint64		generation;		/* of the worker that owns it */
	int			pid;			/* 0: none */
	Latch	   *latch;			/* of the worker; only while RUNNING */
	TimestampTz started_at;
	pg_atomic_uint32 wake;		/* anybody: something has committed */
	pg_atomic_uint32 changed;	/* anybody: subscriptions have changed */
	pg_atomic_uint32 stop;		/* anybody: counts requests to stop */
	pg_atomic_uint32 blockers;	/* anybody: DDL on the database under way */
	pg_atomic_uint32 ring_table;	/* worker: table of the ring to write to */
	LWLock		number_lock;	/* to reserve numbers for the ring's rows */
	Oid			number_sequence;	/* of which; under number_lock */
	pg_atomic_uint64 number_next;	/* anybody: the next number; only grows */
	pg_atomic_uint64 number_limit;	/* the first not reserved; 0: none is */
	pg_atomic_uint64 drain_wanted;	/* anybody: last ticket drawn */
	pg_atomic_uint64 drain_done;	/* worker: last ticket honoured */
	WebhookCounters counters;
} WebhookSlot;

/* Install the hooks that ask for and set up shared memory (preload only). */
extern void webhook_shmem_init(void);

/* Is there shared memory, that is: is the library preloaded? */
extern bool webhook_shmem_available(void);

/* This database's slot, or NULL: not preloaded, or nobody has claimed one. */
extern WebhookSlot *webhook_shmem_my_slot(void);

/* The table of the ring that events go to: 0 … 3. */
extern int	webhook_shmem_ring_table(void);

/*
 * A slot for a database, found or claimed, WANTED if no worker had it. NULL if
 * all are taken: the launcher comes back to it. Sets the launcher's latch.
 */
extern WebhookSlot *webhook_request_worker(Oid database);

/*
 * The end of a transaction (wakeup.c)
 */

/*
 * At the commit of this transaction: wake the worker of this database; with
 * "changed", make it reload the subscriptions as well. Savepoints that are
 * rolled back meanwhile cost a wake-up for nothing. Without shared memory: one
 * WARNING a session.
 */
extern void webhook_wakeup_at_commit(bool changed);

/* At commit: this database has the extension now and wants a worker. */
extern void webhook_request_worker_at_commit(void);

/* At commit: let the launcher look for databases that have come or gone. */
extern void webhook_scan_databases_at_commit(void);

/*
 * At commit: the extension itself has changed or gone; the worker of this
 * database has to leave. The launcher starts the next.
 */
extern void webhook_stop_at_commit(void);

/*
 * A prepared transaction of this database ends with this one; what it had
 * asked for is not known any more.
 */
extern void webhook_wakeup_prepared_at_commit(void);

/* Has this transaction asked for a wake-up? */
extern bool webhook_wakeup_is_armed(void);

/* Wake this database's worker now. */
extern void webhook_shmem_wake_now(bool changed);

/*
 * Ask the worker of a database to leave (by its counters, its latch and a
 * SIGTERM), keep others from starting, and wait until it has, 10 s at most.
 * The block ends with this transaction, or with the process. Needs a
 * transaction, but no lock; interrupts are served.
 */
extern void webhook_shmem_block(Oid database);

/*
 * The launcher's side
 */

extern void webhook_shmem_attach_launcher(void);	/* publish MyLatch */
extern void webhook_shmem_wake_launcher(void);
extern int	webhook_shmem_slot_count(void);
extern WebhookSlot *webhook_shmem_slot(int i);
extern void webhook_shmem_lock(bool exclusive);
extern void webhook_shmem_unlock(void);

/* Under the exclusive lock: a number for the next worker. */
extern uint64 webhook_shmem_next_generation(void);

/* Under the exclusive lock: a slot whose database has no worker any more. */
extern void webhook_shmem_free(WebhookSlot *slot);

/* The slot of a database, or NULL; under the lock, in any mode. */
extern WebhookSlot *webhook_shmem_find(Oid database);

/*
 * Under the exclusive lock: a free slot, given to a database that has none.
 * NULL: there is none.
 */
extern WebhookSlot *webhook_shmem_claim(Oid database, WebhookSlotState state);

/* Ask the launcher for a look at the databases. */
extern void webhook_shmem_request_scan(void);

/* Has somebody asked for a look at the databases? Clears the request. */
extern bool webhook_shmem_take_scan_request(void);

/* The same, without clearing it. */
extern bool webhook_shmem_scan_requested(void);

/* Has a database wanted a slot and found none? */
extern bool webhook_shmem_slots_exhausted(void);

/* The same; clears the mark. */
extern bool webhook_shmem_take_slots_exhausted(void);

/*
 * The worker's side
 */

/*
 * Take over the slot that the launcher registered this process for; before
 * connecting, so that DDL on the database sees this process. False if somebody
 * else has it, or DDL is under way. Gives it back at exit by itself. The flags
 * are clear afterwards: read subscriptions and ring once in any case.
 */
extern bool webhook_shmem_attach_worker(int slot_number, uint64 generation);

/* Who has asked this worker to leave since it attached to its slot. */
typedef enum WebhookStop
{
	WEBHOOK_STOP_NONE,
	WEBHOOK_STOP_DATABASE,		/* DDL that needs the database for itself */
	WEBHOOK_STOP_EXTENSION,		/* the extension was dropped or altered */
} WebhookStop;

extern WebhookStop webhook_shmem_stop_requested(void);

/*
 * Why the worker is about to exit; FAILED if this is not called, or ASKED if
 * a request to stop or DDL on the database came while it ran.
 */
extern void webhook_shmem_set_exit(WebhookExit reason);

#endif							/* WEBHOOK_SHMEM_H */
