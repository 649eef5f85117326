/*
 * loader.h
 *	  What comes back: rows of webhook.pending that are due.
 */
#ifndef WEBHOOK_LOADING_H
#define WEBHOOK_LOADING_H

#include "datatype/timestamp.h"

/*
 * Load the next heads that are due, if there is room: "elsewhere" are bytes of
 * memory in use outside of deliveries. False if that failed.
 */
extern bool webhook_loader_load(Size elsewhere, TimestampTz now);

/*
 * Forget that a subscription had rows, if that is so. False: there is none to
 * look at, or that failed.
 */
extern bool webhook_loader_recheck(void);

/*
 * In a transaction: which subscriptions have rows, and when they are due.
 */
extern void webhook_loader_note_rows(void);

/* Give a head to each subject that has none, in a transaction of its own. */
extern void webhook_loader_repair_heads(void);

#endif							/* WEBHOOK_LOADING_H */
