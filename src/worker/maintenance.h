/*
 * maintenance.h
 *	  What has to be done now and then: emptying the ring, dropping old log.
 */
#ifndef WEBHOOK_UPKEEP_H
#define WEBHOOK_UPKEEP_H

#include "process/shmem.h"

/* In a transaction: find out which table of the ring is written to. */
extern void webhook_maintenance_init(WebhookSlot *slot);

/* Do what is due; when the next thing is. */
extern TimestampTz webhook_maintenance(TimestampTz now);

#endif							/* WEBHOOK_UPKEEP_H */
