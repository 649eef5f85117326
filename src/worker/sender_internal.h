/*
 * sender_internal.h
 *	  Starts the POSTs of deliveries and brings their results back.
 */
#ifndef WEBHOOK_SENDER_INTERNAL_H
#define WEBHOOK_SENDER_INTERNAL_H

#include "delivery/delivery.h"
#include "process/shmem.h"

/* Load the library of the HTTP engine and start it, once a process; an error if that fails. */
extern void webhook_sender_init(WebhookDispatcher *dispatcher, WebhookCounters *counters);

/* Hand the present settings to the engine. */
extern void webhook_sender_configure(void);

/* The version of libcurl and of its libraries, as it says it. */
extern const char *webhook_sender_version(void);

/* A descriptor that is readable when webhook_sender_run() has something to do. */
extern int	webhook_sender_descriptor(void);

/* Milliseconds until webhook_sender_run() has something to do anyway; -1: never. */
extern long webhook_sender_wait_ms(void);

/* Start some of the deliveries that may start now. Returns false if there is none. */
extern bool webhook_sender_start(void);

/* Let the engine work, and hand what has ended to the dispatcher. Returns false if nothing has. */
extern bool webhook_sender_run(void);

/* End what is in flight, and hand it to the dispatcher: the worker stops. */
extern void webhook_sender_break_off(void);

/* Free the transfer of a delivery whose end is committed. */
extern void webhook_sender_release(const WebhookHttpTransfer *transfer);

/* Bytes of memory that the engine uses. */
extern Size webhook_sender_memory(void);

#endif							/* WEBHOOK_SENDER_INTERNAL_H */
