/*
 * shmem.h
 *	  Shared memory: one slot for each database that has the extension. What
 *	  sessions, the launcher and the worker of a database tell each other.
 */
#ifndef WEBHOOK_SHMEM_H
#define WEBHOOK_SHMEM_H

#include "access/transam.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "process/metrics.h"

/* Life of a slot; launcher.c draws the transitions. Changed under the lock. */
typedef enum WebhookSlotState
{
	WEBHOOK_SLOT_FREE,			/* belongs to no database */
	WEBHOOK_SLOT_BLOCKED,		/* DDL on the database blocks it; no worker is wanted */
	WEBHOOK_SLOT_WANTED,		/* a worker should be started */
	WEBHOOK_SLOT_STARTING,		/* a worker is registered, but not yet attached */
	WEBHOOK_SLOT_RUNNING,		/* a worker is attached: pid and latch are valid */
	WEBHOOK_SLOT_STOPPED,		/* the worker has gone; exit_reason says why */
} WebhookSlotState;

/* What the launcher hands a worker in bgw_extra; bgw_main_arg is the slot's number. */
typedef struct WebhookWorkerExtra
{
	uint64		generation;
	Oid			database;
} WebhookWorkerExtra;

/* Why a worker has exited, and what the launcher does then. */
typedef enum WebhookExit
{
	WEBHOOK_EXIT_FAILED,		/* an error: start another worker after a while */
	WEBHOOK_EXIT_ABSENT,		/* the database lacks the extension: start none */
	WEBHOOK_EXIT_ASKED,			/* on request: start another worker at once */
} WebhookExit;

/* Who has asked a worker to leave since it attached to its slot. */
typedef enum WebhookStop
{
	WEBHOOK_STOP_NONE,
	WEBHOOK_STOP_DATABASE,		/* DDL that needs the database for itself */
	WEBHOOK_STOP_EXTENSION,		/* the extension was dropped or altered */
} WebhookStop;

/*
 * Numbers of a worker: totals since it started, then present values. The order
 * is that of the columns of worker_state().
 */
#define WEBHOOK_COUNTERS(COUNTER) \
	COUNTER(windows)		/* windows of the ring that were read */ \
	COUNTER(events)			/* events that were read */ \
	COUNTER(attempts)		/* POSTs that were sent */ \
	COUNTER(delivered)		/* deliveries that were accepted */ \
	COUNTER(retrying)		/* attempts that failed and will be repeated */ \
	COUNTER(failed)			/* deliveries that failed or were cancelled */ \
	COUNTER(flushes)		/* transactions that wrote log entries */ \
	COUNTER(flush_errors)	/* such transactions that failed */ \
	COUNTER(rotations)		/* ring tables that were emptied */ \
	COUNTER(in_flight)		/* present: requests in flight */ \
	COUNTER(queued)			/* present: deliveries in memory, not started */ \
	COUNTER(unflushed)		/* present: log entries that are not yet written */ \
	COUNTER(memory)			/* present: bytes of deliveries in memory */ \
	COUNTER(blocked)			/* present: 1 while log entries cannot be written, else 0 */

typedef struct WebhookCounters
{
#define COUNTER(name) pg_atomic_uint64 name;
	WEBHOOK_COUNTERS(COUNTER)
#undef COUNTER
} WebhookCounters;

/* Large transactions that are kept track of, and event types of each. */
#define WEBHOOK_LARGE_TRANSACTIONS 16
#define WEBHOOK_LARGE_TYPES 4
#define WEBHOOK_LARGE_TYPE_SIZE 129
#define WEBHOOK_LARGE_TENANT_SIZE 64

/* Events of a type, or replays for a subscription, and who gets them. */
typedef struct WebhookLargeType
{
	char		name[WEBHOOK_LARGE_TYPE_SIZE];	/* of the type, or whom the replays are for */
	char		tenant[WEBHOOK_LARGE_TENANT_SIZE];	/* that gets them; empty: none does */
	bool		of_any_tenant;	/* any tenant may get some */
	bool		of_platform;	/* the platform itself gets them */
} WebhookLargeType;

/* A transaction that has appended many events. */
typedef struct WebhookLargeTransaction
{
	FullTransactionId txid;		/* InvalidFullTransactionId: the entry is free */
	int			ntypes;
	WebhookLargeType types[WEBHOOK_LARGE_TYPES];	/* of all its events and replays */
} WebhookLargeTransaction;

/* Changes of subscriptions that are kept track of. */
#define WEBHOOK_CHANGES 64

/* A transaction has changed a subscription. */
typedef struct WebhookChange
{
	FullTransactionId txid;
	int64		subscription_id;
} WebhookChange;

/* Bits of "changed". */
#define WEBHOOK_CHANGED_SOME	(1 << 0)	/* those that "changes" has */
#define WEBHOOK_CHANGED_ALL		(1 << 1)	/* nobody knows which */

/* When a process that has failed is started again; restart.c has the rules. */
typedef struct WebhookRestart
{
	TimestampTz began;			/* when the process was started last */
	int			wait_ms;		/* the last wait after a failure; 0: there was none */
	TimestampTz not_before;		/* no process is started before */
	uint64		starts;			/* of a worker: how many have attached since the server started */
	pg_atomic_uint32 told_to_quit;	/* by the process: the postmaster has ended it because
									 * another one has crashed */
} WebhookRestart;

/*
 * The slot of a database. Fields without a note are read and written under the
 * lock of shared memory (shmem_internal.h): by the launcher while the slot is
 * WANTED, STARTING or STOPPED, by the worker while it is RUNNING. Atomics need
 * no lock; their note says who writes them.
 */
typedef struct WebhookSlot
{
	Oid			database;		/* InvalidOid: free. May be read without the lock, to see whether
								 * a slot still belongs to the database that it was found for. */
	WebhookSlotState state;
	WebhookExit exit_reason;	/* valid while STOPPED */
	bool		refused;		/* no background worker slot was free at the last try */
	bool		wanted_again;	/* a worker was requested since the present one attached; written
								 * by anybody */
	uint64		generation;		/* of the worker that the slot is meant for */
	int			pid;			/* the worker's; 0: there is none */
	Latch	   *latch;			/* the worker's; NULL unless RUNNING */
	TimestampTz started_at;		/* when the worker attached */
	WebhookRestart restart;		/* of the worker; written by the launcher, by the worker when it
								 * attaches, and by the postmaster when all other processes have
								 * gone */
	pg_atomic_uint32 wake;		/* by anybody: something has committed */
	pg_atomic_uint32 changed;	/* by anybody: subscriptions have changed; bits
								 * WEBHOOK_CHANGED_... */
	pg_atomic_uint32 recount;	/* by anybody: somebody else than the worker has written
								 * webhook_internal.pending */
	pg_atomic_uint32 stop_extension;	/* by anybody: number of requests to leave because the
										 * extension was dropped or altered */
	pg_atomic_uint32 stop_database; /* by anybody: number of requests to leave because of DDL on
									 * the database */
	pg_atomic_uint32 blockers;	/* by anybody: statements under way that need the database for
								 * themselves */
	pg_atomic_uint32 ring_table;	/* by the worker: number of the ring table to write to */
	LWLock		number_lock;	/* protects the reservation of numbers for rows of the ring */
	Oid			number_sequence;	/* the sequence that they are reserved from; under
									 * number_lock */
	pg_atomic_uint64 number_next;	/* by anybody: the next number; only grows */
	pg_atomic_uint64 number_limit;	/* by anybody: first number that is not reserved; 0: none is */
	LWLock		large_lock;		/* protects the next two */
	uint32		next_large;		/* entries of "large" that were used so far */
	WebhookLargeTransaction large[WEBHOOK_LARGE_TRANSACTIONS];	/* the latest ones */
	LWLock		changes_lock;	/* protects the next two */
	uint64		nchanges;		/* entries of "changes" that were used so far */
	WebhookChange changes[WEBHOOK_CHANGES]; /* the latest ones; changes.c */
	pg_atomic_uint64 drain_wanted;	/* by anybody: the last ticket that drain() drew */
	pg_atomic_uint64 drain_done;	/* by the worker: the last ticket that it has drained for */
	WebhookCounters counters;	/* by the worker */
	WebhookMetrics metrics;		/* by the worker; they outlive it */
} WebhookSlot;

/* The data directory of this server; see directory.c. */
typedef struct WebhookDirectory
{
	char		id[33];			/* 32 hexadecimal digits; a copy of the directory has others */
	bool		standby;		/* the server has been a standby in this directory */
} WebhookDirectory;

/* What of a slot has to be read at one time. */
typedef struct WebhookSlotStatus
{
	WebhookSlotState state;
	bool		refused;		/* no background worker slot was free at the last try */
	int			pid;			/* 0: there is no worker */
	TimestampTz started_at;		/* 0: there was no worker yet */
	uint64		starts;			/* workers that have attached since the server started */
} WebhookSlotStatus;

/* Install the hooks that request and set up shared memory; preload only. */
extern void webhook_shmem_init(void);

/* Returns true if there is shared memory, that is, if the library is preloaded. */
extern bool webhook_shmem_available(void);

/* The data directory, constant. Needs shared memory. */
extern const WebhookDirectory *webhook_shmem_directory(void);

/* This database's slot, or NULL: the library is not preloaded, or there is no slot yet. */
extern WebhookSlot *webhook_shmem_my_slot(void);

/* The slot of that number. */
extern WebhookSlot *webhook_shmem_slot(int number);

/* A consistent copy of a slot's status. */
extern WebhookSlotStatus webhook_shmem_status(const WebhookSlot *slot);

/*
 * How many rows of the ring the worker has not read, at most: those that were rolled
 * back, or are not committed, count until it looks again. Returns false if nobody knows.
 */
extern bool webhook_shmem_unread(WebhookSlot *slot, int64 *rows);

/* The number of the ring table to write to, below WEBHOOK_RING_TABLES; 0 without a slot. */
extern int	webhook_shmem_ring_table(void);

/*
 * Request a worker for a database. Returns its slot, found or claimed. NULL:
 * all slots are taken; the launcher finds the database when one becomes free.
 */
extern WebhookSlot *webhook_shmem_request_worker(Oid database);

/*
 * The least value of max_worker_processes with which this database, too, has a
 * worker, as far as is known; 0: the present one suffices.
 */
extern int	webhook_shmem_wanted_worker_processes(void);

/*
 * For the worker.
 */

/*
 * Take over the slot that the launcher registered this process for. Called
 * before the process connects, so that DDL on the database sees it. Returns
 * false if the slot is meant for another worker, or DDL is under way. The slot
 * is given back at exit by itself. The flags "wake" and "changed" are clear
 * afterwards, so subscriptions and ring are to be read once in any case.
 */
extern bool webhook_shmem_attach_worker(int slot_number, uint64 generation);

/* Returns true in a worker of ours. */
extern bool webhook_shmem_is_worker(void);

/* Returns who has asked this worker to leave. */
extern WebhookStop webhook_shmem_stop_requested(void);

/*
 * Set why this worker is about to exit. Without a call that is FAILED, or
 * ASKED if it was asked to leave.
 */
extern void webhook_shmem_set_exit(WebhookExit reason);

#endif							/* WEBHOOK_SHMEM_H */
