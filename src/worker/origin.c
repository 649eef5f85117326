/*
 * origin.c
 *	  Whether the database is the one that the checkpoint was written in.
 *
 * A worker compares the checkpoint with where it runs, once, when it starts:
 *
 *	same system identifier, same directory			ours
 *	same system identifier, another directory:
 *		this one was a standby						a failover: ours from now on
 *		else										a copy: fence
 *	another system identifier:
 *		all else the same, other major version		pg_upgrade: move home
 *		else										the checkpoint means nothing
 *
 * The checkpoint of this process, with the present directory, is written in the
 * same transaction as the fence. So a crash leaves either both or none, and the
 * next worker decides the same.
 *
 * Another system identifier alone is no pg_upgrade: pg_resetwal and
 * pg_createsubscriber give one to a copy while its original lives.
 */
#include "postgres.h"

#include "access/xact.h"

#include "base/catalog.h"
#include "base/compat.h"
#include "base/guc.h"
#include "process/shmem.h"
#include "subscription/subscription.h"
#include "worker/origin_internal.h"
#include "worker/transaction_internal.h"

static struct
{
	bool		fenced;			/* this process has fenced subscriptions */
}			origin;

static bool take_over_upgraded(const WebhookCheckpoint *checkpoint);
static void compare_directory(const WebhookCheckpoint *checkpoint);
static void fence(const char *original);

WebhookCheckpoint *
webhook_origin_checkpoint(void)
{
	WebhookCheckpoint *checkpoint = webhook_checkpoint_load();

	/* Nothing may be sent before the fence, or the new directory, is on disk. */
	ForceSyncCommit();
	if (checkpoint == NULL)
		return NULL;
	if (!webhook_home_is_in_cluster(checkpoint->home))
		return take_over_upgraded(checkpoint) ? checkpoint : NULL;
	if (checkpoint->directory != NULL)
		compare_directory(checkpoint);
	return checkpoint;
}

bool
webhook_origin_has_fenced(void)
{
	return origin.fenced;
}

/* Returns true if pg_upgrade has brought the database here. */
static bool
take_over_upgraded(const WebhookCheckpoint *checkpoint)
{
	if (checkpoint->server_version / 10000 == COMPAT_SERVER_VERSION / 10000 ||
		!webhook_home_is_counterpart(checkpoint->home))
	{
		ereport(LOG,
				(errmsg("webhook worker for database \"%s\" ignores the checkpoint of another cluster",
						webhook_transaction_database())));
		return false;
	}
	ereport(LOG,
			(errmsg("webhook worker for database \"%s\" has taken over " UINT64_FORMAT " subscriptions after pg_upgrade",
					webhook_transaction_database(),
					webhook_subscription_move_home(checkpoint->home))));
	return true;
}

/* Find out why the checkpoint has another directory, if it has. */
static void
compare_directory(const WebhookCheckpoint *checkpoint)
{
	const WebhookDirectory *here = webhook_shmem_directory();

	if (strcmp(checkpoint->directory, here->id) == 0)
		return;
	if (here->standby)
		ereport(LOG,
				(errmsg("webhook worker for database \"%s\" goes on after a failover",
						webhook_transaction_database())));
	else if (webhook_fence_copies)
		fence(checkpoint->directory);
	else
		ereport(LOG,
				(errmsg("webhook worker for database \"%s\" goes on in a copy of the data directory",
						webhook_transaction_database()),
				 errdetail("The setting \"webhook.fence_copies\" is off.")));
}

static void
fence(const char *original)
{
	uint64		count = webhook_subscription_fence(original);

	if (count == 0)
		return;
	origin.fenced = true;
	ereport(WARNING,
			(errmsg("webhook sends nothing from database \"%s\", because the data directory is a copy of another one",
					webhook_transaction_database()),
			 errdetail_plural("Events for %lu subscription wait.",
							  "Events for %lu subscriptions wait.",
							  (unsigned long) count, (unsigned long) count),
			 errhint("If this server replaces the original one, call webhook.resume_database() in each database.")));
}
