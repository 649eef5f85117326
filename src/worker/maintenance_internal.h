/*
 * maintenance_internal.h
 *	  Work that is due now and then: emptying ring tables, dropping old leaves of the
 *	  log.
 */
#ifndef WEBHOOK_MAINTENANCE_INTERNAL_H
#define WEBHOOK_MAINTENANCE_INTERNAL_H

#include "process/shmem.h"

/*
 * Find out which ring table is written to, in a transaction of its own, once a
 * process. Returns false if that failed.
 */
extern bool webhook_maintenance_start(WebhookSlot *slot);

/* Do one thing that is due, in a transaction of its own. Returns when the next one is. */
extern TimestampTz webhook_maintenance(TimestampTz now);

#endif							/* WEBHOOK_MAINTENANCE_INTERNAL_H */
