/*
 * set_back_internal.h
 *	  Rows of pending follow a clock that was set back.
 */
#ifndef WEBHOOK_SET_BACK_INTERNAL_H
#define WEBHOOK_SET_BACK_INTERNAL_H

#include "delivery/delivery.h"

/* Once a process, before any other function. */
extern void webhook_set_back_init(WebhookDispatcher *dispatcher);

/* The clock is looked at, before anything is written by it. */
extern void webhook_set_back_observe(TimestampTz now);

/* Rows may be due later than any retry: somebody else may have written them. */
extern void webhook_set_back_look_ahead(void);

/* Returns true if rows are still to be looked at. */
extern bool webhook_set_back_is_under_way(void);

/* Look at some rows, in a transaction. Returns false if that failed and has to be repeated. */
extern bool webhook_set_back_run(void);

#endif							/* WEBHOOK_SET_BACK_INTERNAL_H */
