/*
 * turn_internal.h
 *	  How long the worker goes on with one thing while somebody waits for another.
 */
#ifndef WEBHOOK_TURN_INTERNAL_H
#define WEBHOOK_TURN_INTERNAL_H

#include "datatype/timestamp.h"

#include "process/shmem.h"

/* Once a process: the slot whose flag "wake" says that somebody waits. */
extern void webhook_turn_init(WebhookSlot *slot);

/* A round begins, now; its reading has ended. */
extern void webhook_turn_begin_round(TimestampTz now);
extern void webhook_turn_end_reading(void);

/* A part of the round begins that is done in pieces. */
extern void webhook_turn_begin(void);

/* Returns true if the rest of that part is to be done in the next round, which follows at once. */
extern bool webhook_turn_is_over(void);

#endif							/* WEBHOOK_TURN_INTERNAL_H */
