/*
 * sender.h
 *	  Deliveries become POSTs, and answers come back to them.
 */
#ifndef WEBHOOK_SENDER_H
#define WEBHOOK_SENDER_H

#include "http/http.h"
#include "process/shmem.h"

/* Load libcurl's half and start its engine; once a process. */
extern void webhook_sender_init(WebhookCounters *counters);

/* The settings may have changed. */
extern void webhook_sender_configure(void);

/* A descriptor that is readable when answers may have come. */
extern int	webhook_sender_descriptor(void);

/* Milliseconds until webhook_sender_run() has something to do; -1: never. */
extern long webhook_sender_wait_ms(void);

/* Start every delivery that may start now; false: there is none. */
extern bool webhook_sender_start(void);

/* Let the engine work, and judge what has ended. */
extern void webhook_sender_run(void);

/* The transfer of an entry that has been committed is needed no more. */
extern void webhook_sender_release(const WebhookHttpTransfer *transfer);

/* Bytes of memory in use by the engine. */
extern Size webhook_sender_memory(void);

#endif							/* WEBHOOK_SENDER_H */
