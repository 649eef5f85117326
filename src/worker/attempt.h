/*
 * attempt.h
 *	  Work of the worker in a transaction of its own, which may fail.
 */
#ifndef WEBHOOK_ATTEMPT_H
#define WEBHOOK_ATTEMPT_H

/*
 * Do it in a transaction; "activity", a constant, shows in pg_stat_activity.
 * False: there was an error, reported to the server's log, and nothing of it
 * is committed. The memory context is the caller's again in any case.
 */
extern bool webhook_transaction_try(const char *activity, void (*work) (void *arg), void *arg);

#endif							/* WEBHOOK_ATTEMPT_H */
