/*
 * turn_internal.h
 *	  How long the worker goes on with one thing while somebody waits for another.
 */
#ifndef WEBHOOK_TURN_INTERNAL_H
#define WEBHOOK_TURN_INTERNAL_H

#include "datatype/timestamp.h"

#include "process/shmem.h"

/* Parts of a round that are done in pieces. */
typedef enum WebhookPart
{
	WEBHOOK_PART_SEND,
	WEBHOOK_PART_FLUSH,
	WEBHOOK_PART_STATES,
} WebhookPart;
#define WEBHOOK_PARTS (WEBHOOK_PART_STATES + 1)

/* Once a process: the slot whose flag "wake" says that somebody waits. */
extern void webhook_turn_init(WebhookSlot *slot);

/* A round begins, now; its reading has ended, and was possible or not. */
extern void webhook_turn_begin_round(TimestampTz now);
extern void webhook_turn_end_reading(bool may_read);

/* Returns false if the part is to be left to a later round, because somebody waits. */
extern bool webhook_turn_comes(WebhookPart part);

/* The part begins. */
extern void webhook_turn_begin(WebhookPart part);

/*
 * After each piece of the part: returns true if the rest of it is to be done in the next
 * round, which follows at once.
 */
extern bool webhook_turn_is_over(void);

/* Nothing of the part is left, or is due: nothing is owed to it. */
extern void webhook_turn_end(WebhookPart part);

#endif							/* WEBHOOK_TURN_INTERNAL_H */
