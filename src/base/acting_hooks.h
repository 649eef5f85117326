/*
 * acting_hooks.h
 *	  The statements and transactions of a session that acts by a token.
 */
#ifndef WEBHOOK_ACTING_HOOKS_H
#define WEBHOOK_ACTING_HOOKS_H

/*
 * Install the hooks by which each query of a session that has a token, and each FETCH, asks
 * whether it is good, and which refuse it a cursor WITH HOLD, and PREPARE TRANSACTION in the
 * transaction that has called act_as(); called once, by _PG_init().
 */
extern void webhook_acting_hooks_init(void);

#endif							/* WEBHOOK_ACTING_HOOKS_H */
