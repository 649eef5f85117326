/*
 * large.c
 *	  Transactions that have appended many events.
 *
 * The worker has to know which event types the unread rest of a window has. A
 * look at each row of a transaction of a million events would keep everybody
 * waiting meanwhile, so the writer tells: before its thousandth event is
 * appended, and before each event of another type after that, it writes its
 * transaction and the types so far into the slot of its database.
 *
 * A type is told together with the tenant that gets its events, so that a large transaction
 * of one tenant holds back no other one. Of too many tenants only the types are told.
 *
 * What is told may be too much (a savepoint was rolled back), never too little.
 * A transaction of very many types is not told, and the latest ones replace the
 * oldest: those are read.
 */
#include "postgres.h"

#include "access/transam.h"
#include "storage/lwlock.h"

#include "ring/command.h"
#include "ring/large_internal.h"

/* Events of a transaction that is large. */
#define LARGE_EVENTS 1000

StaticAssertDecl(WEBHOOK_LARGE_TYPE_SIZE == WEBHOOK_MAX_EVENT_TYPE + 1,
				 "the name of an event type fits");
StaticAssertDecl(WEBHOOK_LARGE_TENANT_SIZE == WEBHOOK_MAX_TENANT + 1,
				 "the name of a tenant fits");

static struct
{
	WebhookLargeTransaction present;	/* the last transaction of this session that appended */
	bool		too_many;		/* it has more types than can be told */
	int64		events;			/* that it has appended */
}			large;

static bool note_type(const WebhookEvent *event);
static bool add_type(const char *name, const char *tenant, bool of_platform);
static WebhookLargeType *find_type(const char *name, const char *tenant);
static bool covers(const WebhookLargeType *type, const char *tenant, bool of_platform);
static void join_tenants(void);
static void tell(void);

void
webhook_large_note(const WebhookEvent *event)
{
	bool		is_new;

	if (!FullTransactionIdEquals(large.present.txid, event->txid))
	{
		memset(&large, 0, sizeof(large));
		large.present.txid = event->txid;
	}
	large.events++;
	is_new = note_type(event);
	if (large.events == LARGE_EVENTS || (is_new && large.events > LARGE_EVENTS))
		tell();
}

int
webhook_large_copy(WebhookLargeTransaction *copies)
{
	WebhookSlot *slot = webhook_shmem_my_slot();
	int			count = 0;

	if (slot == NULL)
		return 0;
	LWLockAcquire(&slot->large_lock, LW_SHARED);
	for (int i = 0; i < WEBHOOK_LARGE_TRANSACTIONS; i++)
	{
		if (FullTransactionIdIsValid(slot->large[i].txid))
			copies[count++] = slot->large[i];
	}
	LWLockRelease(&slot->large_lock);
	return count;
}

/*
 * Returns true if the present transaction had no event of that type for the same tenant, or no
 * such replay, yet.
 */
static bool
note_type(const WebhookEvent *event)
{
	char		mark[WEBHOOK_REPLAY_MARK_SIZE];

	if (event->kind == WEBHOOK_REPLAY)
		return webhook_replay_mark(event->data, mark) && add_type(mark, "", false);
	return webhook_kind_is_event(event->kind) &&
		add_type(event->event_type,
				 event->tenant == NULL || event->kind == WEBHOOK_EVENT_OF_PLATFORM ? "" :
				 event->tenant, event->kind != WEBHOOK_EVENT_OF_TENANT);
}

static bool
add_type(const char *name, const char *tenant, bool of_platform)
{
	WebhookLargeTransaction *present = &large.present;
	WebhookLargeType *type;

	if (large.too_many)
		return false;
	for (int i = 0; i < present->ntypes; i++)
	{
		if (covers(&present->types[i], tenant, of_platform) &&
			strcmp(present->types[i].name, name) == 0)
			return false;
	}
	type = find_type(name, tenant);
	if (type == NULL && present->ntypes == WEBHOOK_LARGE_TYPES)
	{
		join_tenants();
		type = find_type(name, NULL);
		if (type != NULL)
			type->of_any_tenant = true;
	}
	if (type == NULL)
	{
		if (present->ntypes == WEBHOOK_LARGE_TYPES || strlen(name) > WEBHOOK_MAX_EVENT_TYPE ||
			strlen(tenant) > WEBHOOK_MAX_TENANT)
		{
			large.too_many = true;
			return true;
		}
		type = &present->types[present->ntypes++];
		memset(type, 0, sizeof(WebhookLargeType));
		strcpy(type->name, name);
		strcpy(type->tenant, tenant);
	}
	type->of_platform |= of_platform;
	return true;
}

/* What is noted of a type for a tenant, or, if that is NULL, for any; NULL: nothing is. */
static WebhookLargeType *
find_type(const char *name, const char *tenant)
{
	for (int i = 0; i < large.present.ntypes; i++)
	{
		WebhookLargeType *type = &large.present.types[i];

		if ((tenant == NULL || strcmp(type->tenant, tenant) == 0) &&
			strcmp(type->name, name) == 0)
			return type;
	}
	return NULL;
}

static bool
covers(const WebhookLargeType *type, const char *tenant, bool of_platform)
{
	return (type->of_platform || !of_platform) &&
		(tenant[0] == '\0' || type->of_any_tenant || strcmp(type->tenant, tenant) == 0);
}

/* Make one of all that is noted of a type. */
static void
join_tenants(void)
{
	WebhookLargeTransaction *present = &large.present;
	int			ntypes = present->ntypes;

	present->ntypes = 0;
	for (int i = 0; i < ntypes; i++)
	{
		WebhookLargeType *first = find_type(present->types[i].name, NULL);

		if (first == NULL)
			present->types[present->ntypes++] = present->types[i];
		else
		{
			first->of_any_tenant = true;
			first->of_platform |= present->types[i].of_platform;
		}
	}
}

/* Write the present transaction into the slot, or remove it from there. */
static void
tell(void)
{
	WebhookSlot *slot = webhook_shmem_my_slot();
	WebhookLargeTransaction *entry = NULL;

	if (slot == NULL)
		return;
	LWLockAcquire(&slot->large_lock, LW_EXCLUSIVE);
	for (int i = 0; i < WEBHOOK_LARGE_TRANSACTIONS; i++)
	{
		if (FullTransactionIdEquals(slot->large[i].txid, large.present.txid))
			entry = &slot->large[i];
	}
	if (large.too_many)
	{
		if (entry != NULL)
			entry->txid = InvalidFullTransactionId;
	}
	else
	{
		if (entry == NULL)
			entry = &slot->large[slot->next_large++ % WEBHOOK_LARGE_TRANSACTIONS];
		*entry = large.present;
	}
	LWLockRelease(&slot->large_lock);
}
