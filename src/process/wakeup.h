/*
 * wakeup.h
 *	  What the end of a transaction does to workers: it wakes them, stops them
 *	  and lets them start again.
 *
 * The functions "..._at_commit" take effect when the present transaction
 * commits, and are forgotten when it rolls back. A savepoint that is rolled
 * back does not take them back: that costs a wake-up for nothing. They cannot
 * fail. Without shared memory they do nothing.
 */
#ifndef WEBHOOK_WAKEUP_H
#define WEBHOOK_WAKEUP_H

/*
 * Wake the worker of this database. "changed": a command says that subscriptions have
 * changed; the worker reads those of webhook_changed_at_commit(), or all if it was not
 * called. Without shared memory: one WARNING a session that nothing is sent.
 */
extern void webhook_wakeup_at_commit(bool changed);

/* The present transaction changes a subscription: make the worker read it again. */
extern void webhook_changed_at_commit(int64 subscription_id);

/* Make the worker read all subscriptions again. */
extern void webhook_reload_at_commit(void);

/*
 * The present transaction writes webhook_internal.pending: make the worker of this
 * database count its rows.
 */
extern void webhook_recount_at_commit(void);

/* Returns true if the present transaction has written it. */
extern bool webhook_recount_is_pending(void);

/* Returns true if the commit of the present transaction will wake the worker. */
extern bool webhook_wakeup_is_pending(void);

/* Returns true if the present transaction has changed what the worker keeps in memory. */
extern bool webhook_has_changed(void);

/* Wake the worker of this database now. */
extern void webhook_wakeup_now(void);

/* Request a worker: this database has the extension now. */
extern void webhook_request_worker_at_commit(void);

/* Make the launcher look for databases that have come or gone. */
extern void webhook_scan_databases_at_commit(void);

/*
 * Ask the worker of this database to leave: the extension was dropped or
 * altered. The launcher starts the next one.
 */
extern void webhook_stop_worker_at_commit(void);

/*
 * A prepared transaction of this database commits together with the present
 * transaction. What it has done is not known, so the worker is woken and
 * reloads the subscriptions.
 */
extern void webhook_wakeup_prepared_at_commit(void);

/*
 * Ask the worker of a database to leave, by its slot, its latch and a SIGTERM,
 * and wait until it has, 10 s at most. Until the present transaction ends, or
 * the process exits, no worker is started in that database. Needs a
 * transaction, but no lock; processes interrupts.
 */
extern void webhook_block_database(Oid database);

#endif							/* WEBHOOK_WAKEUP_H */
