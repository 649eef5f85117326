/*
 * shmem_internal.h
 *	  Shared memory, as the launcher and the wake-up see it.
 */
#ifndef WEBHOOK_SHMEM_INTERNAL_H
#define WEBHOOK_SHMEM_INTERNAL_H

#include "process/shmem.h"

/*
 * The lock of shared memory. It is held for copies only, never while waiting;
 * what is called under it must not throw.
 */
extern void webhook_shmem_lock(bool exclusive);
extern void webhook_shmem_unlock(void);

/* The number of slots; constant, 0 without shared memory. */
extern int	webhook_shmem_slot_count(void);

/* The slot of a database, or NULL. Under the lock, in any mode. */
extern WebhookSlot *webhook_shmem_find(Oid database);

/*
 * Give a free slot to a database that has none. NULL: no slot is free. Under
 * the exclusive lock.
 */
extern WebhookSlot *webhook_shmem_claim(Oid database, WebhookSlotState state);

/*
 * Give up a slot whose database has no worker any more: it is FREE, or BLOCKED
 * while DDL is under way. Under the exclusive lock.
 */
extern void webhook_shmem_free(WebhookSlot *slot);

/* A number for the next worker, greater than all before. Under the exclusive lock. */
extern uint64 webhook_shmem_next_generation(void);

/*
 * Make MyLatch the launcher's latch until this process exits. Returns when it
 * may begin its work: not at once if its predecessor has crashed.
 */
extern const WebhookRestart *webhook_shmem_attach_launcher(void);

/* Set the launcher's latch, if there is a launcher. */
extern void webhook_shmem_wake_launcher(void);

/* Ask the launcher to look at pg_database. */
extern void webhook_shmem_request_scan(void);

/* Returns true if the launcher has been asked to; "take" clears the request. */
extern bool webhook_shmem_scan_requested(void);
extern bool webhook_shmem_take_scan_request(void);

/* Returns true if a database has found no free slot; "take" clears that mark. */
extern bool webhook_shmem_slots_exhausted(void);
extern bool webhook_shmem_take_slots_exhausted(void);

#endif							/* WEBHOOK_SHMEM_INTERNAL_H */
