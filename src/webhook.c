/*
 * webhook.c
 *	  The door: what PostgreSQL calls when it loads the library.
 *
 * A library that is preloaded sets up shared memory, the launcher, which starts
 * the workers, and the hooks that wake and stop them. A library that is loaded
 * into a session only can append events to the ring; they wait there. Watches
 * follow DDL in each session that has loaded the library. In the server that
 * pg_upgrade starts, none of this may run.
 *
 * README.md in this folder has the words and the way through the files.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "base/acting.h"
#include "base/acting_hooks.h"
#include "base/compat.h"
#include "base/guc.h"
#include "capture/capture.h"
#include "process/ddl_hooks.h"
#include "process/launcher.h"
#include "process/shmem.h"
#include "subscription/subscription.h"

COMPAT_MODULE_MAGIC("webhook");

void		_PG_init(void);

void
_PG_init(void)
{
	webhook_guc_init();
	webhook_acting_init();
	webhook_guard_init();
	webhook_session_context_init();
	MarkGUCPrefixReserved("webhook");

	if (IsBinaryUpgrade)
		return;
	webhook_acting_hooks_init();
	webhook_follow_ddl_init();
	webhook_held_init();

	if (!process_shared_preload_libraries_in_progress)
		return;

	webhook_shmem_init();
	webhook_launcher_init();
	webhook_ddl_hooks_init();
}
