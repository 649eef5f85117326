/*
 * restart_internal.h
 *	  When a process that has failed is started again.
 */
#ifndef WEBHOOK_RESTART_INTERNAL_H
#define WEBHOOK_RESTART_INTERNAL_H

#include "process/shmem.h"

/* A process is started now. */
extern void webhook_restart_begin(WebhookRestart *restart, TimestampTz now);

/*
 * The process has failed at "now": set when the next one may be started. Does
 * nothing that could fail, so the postmaster may call it.
 */
extern void webhook_restart_failed(WebhookRestart *restart, TimestampTz now);

/* When the next one may be started; "now": at once. A clock that was set back prolongs no wait. */
extern TimestampTz webhook_restart_time(const WebhookRestart *restart, TimestampTz now);

/* Returns true if the process has ended because another one has crashed. */
extern bool webhook_restart_was_told_to_quit(WebhookRestart *restart);

/*
 * From now on, a signal of the postmaster that ends this process because of
 * another one's crash is noted in "restart", which is in shared memory.
 */
extern void webhook_restart_watch_quit(WebhookRestart *restart);

#endif							/* WEBHOOK_RESTART_INTERNAL_H */
