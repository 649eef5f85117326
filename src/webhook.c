/*
 * webhook.c
 *	  The door: what PostgreSQL finds when it loads the library.
 *
 * Webhook tells external systems what happened in this database, as it was
 * committed. The words, which mean the same in SQL, in these sources, in
 * messages and in documents:
 *
 *	event type		the name of something that can happen
 *	event			one occurrence of it: a row of the ring
 *	subscription	who wants which event types, where, by which rules
 *	endpoint		the URL of a subscription
 *	delivery		one event on its way to one subscription
 *	attempt			one POST of a delivery: a row of the log
 *	subject			what an event is about; the events of one stay in order
 *	command			a row of the ring that tells the worker something
 *
 * Preloaded, the library brings shared memory, the launcher and with it the
 * workers, and the hooks that wake and stop them. Loaded into a session only,
 * it can still put events into the ring; they wait there. In pg_upgrade's
 * server nothing of this must run.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/guc.h"
#include "process/ddl_hooks.h"
#include "process/launcher.h"
#include "process/shmem.h"
#include "subscription/subscription.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	webhook_guc_init();
	webhook_guard_init();
	MarkGUCPrefixReserved("webhook");

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	webhook_shmem_init();
	webhook_launcher_init();
	webhook_ddl_hooks_init();
}
