/*
 * index.c
 *	  Subscriptions by tenant and event type.
 *
 * Matching an event is one look into a hash table, however many tenants and subscriptions
 * there are. Who matches a type by a pattern is found out when the first event of the type
 * comes, and anew when a subscription with a pattern has changed.
 *
 * A change of one subscription costs what that one has: its names, and, if it has a
 * pattern, the types of its tenant. Whatever may fail is done before anything is changed
 * that others see.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "subscription/index_internal.h"

typedef struct TypeEntry TypeEntry;

/* A tenant that has, or had, subscriptions. */
typedef struct TenantEntry
{
	char		name[WEBHOOK_MAX_TENANT + 1];	/* hash key; empty: the platform */
	int			number;			/* of the entry; 0: the platform's */
	WebhookCaps caps;			/* zeros for the platform, and for one that is not defined */
	WebhookSubscribers patterns;	/* those of its subscriptions that have a pattern */
	TypeEntry  *types;			/* all of this tenant */
	bool		any_known;		/* of some of these it may be known who gets them */
} TenantEntry;

typedef struct TypeKey
{
	int			tenant;			/* number of its entry */
	char		name[WEBHOOK_MAX_EVENT_TYPE + 1];	/* of the type; zeros behind it */
} TypeKey;

/* The enabled subscriptions of one tenant to one event type. */
struct TypeEntry
{
	TypeKey		key;			/* hash key */
	TypeEntry  *next;			/* of the tenant */
	WebhookSubscribers named;	/* those that name the type */
	WebhookSubscribers all;		/* room for these and those that match by a pattern */
	const WebhookSubscribers *known;	/* who gets it: one of the two, or nobody; NULL: it is to
										 * be found out */
};

struct WebhookIndex
{
	MemoryContext context;		/* of the index and all that it has */
	HTAB	   *by_tenant;		/* of TenantEntry */
	TenantEntry *platform;		/* its entry there, which each event needs */
	HTAB	   *by_type;		/* of TypeEntry */
	TypeEntry  *last;			/* that was found last: often the next event's; NULL: none yet */
	WebhookSubscribers enabled; /* enabled subscriptions */
};

static const WebhookSubscribers nobody = {0};

static int	place_of(const WebhookSubscribers *subscribers, int64 id);
static bool has(const WebhookSubscribers *subscribers, int place,
				const WebhookSubscription *subscription);
static void change(WebhookIndex *index, const WebhookSubscription *subscription,
				   void (*add_or_remove) (WebhookSubscribers *, const WebhookSubscription *));
static bool can_be_tenant(const char *name);
static bool is_pattern(const char *name);
static TenantEntry *find_tenant(const WebhookIndex *index, const char *name);
static TenantEntry *enter_tenant(WebhookIndex *index, const char *name);
static TypeEntry *find_type(WebhookIndex *index, const TenantEntry *tenant, const char *name);
static TypeEntry *enter_type(WebhookIndex *index, TenantEntry *tenant, const char *name);
static void set_key(TypeKey *key, const TenantEntry *tenant, const char *name);
static void forget_types(TenantEntry *tenant);
static void complete_type(WebhookIndex *index, TenantEntry *tenant, TypeEntry *entry);
static void merge_patterns(WebhookIndex *index, const TenantEntry *tenant, TypeEntry *entry);
static void append(WebhookIndex *index, WebhookSubscribers *subscribers,
				   const WebhookSubscription *subscription);

void
webhook_subscribers_make_room(WebhookSubscribers *subscribers, MemoryContext context)
{
	int			size = Max(subscribers->size * 2, 4);

	if (subscribers->count < subscribers->size)
		return;
	subscribers->subscriptions = subscribers->size == 0 ?
		MemoryContextAlloc(context, sizeof(void *) * size) :
		repalloc_huge(subscribers->subscriptions, sizeof(void *) * size);
	subscribers->size = size;
}

/* In most cases, and always while all are read, it is the last one. */
void
webhook_subscribers_add(WebhookSubscribers *subscribers, const WebhookSubscription *subscription)
{
	int			place = place_of(subscribers, subscription->id);

	if (has(subscribers, place, subscription))
		return;
	Assert(subscribers->count < subscribers->size);
	memmove(&subscribers->subscriptions[place + 1], &subscribers->subscriptions[place],
			sizeof(void *) * (subscribers->count - place));
	subscribers->subscriptions[place] = subscription;
	subscribers->count++;
}

void
webhook_subscribers_remove(WebhookSubscribers *subscribers,
						   const WebhookSubscription *subscription)
{
	int			place = place_of(subscribers, subscription->id);

	if (!has(subscribers, place, subscription))
		return;
	subscribers->count--;
	memmove(&subscribers->subscriptions[place], &subscribers->subscriptions[place + 1],
			sizeof(void *) * (subscribers->count - place));
}

WebhookIndex *
webhook_index_new(MemoryContext context)
{
	WebhookIndex *index = MemoryContextAllocZero(context, sizeof(WebhookIndex));
	HASHCTL		control = {0};

	index->context = context;
	control.hcxt = context;
	control.keysize = WEBHOOK_MAX_TENANT + 1;
	control.entrysize = sizeof(TenantEntry);
	index->by_tenant = hash_create("webhook tenants", 64, &control,
								   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	control.keysize = sizeof(TypeKey);
	control.entrysize = sizeof(TypeEntry);
	index->by_type = hash_create("webhook subscriptions by event type", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	index->platform = enter_tenant(index, "");
	return index;
}

bool
webhook_index_has_tenant(const WebhookIndex *index, const char *name)
{
	return name == NULL || !can_be_tenant(name) || find_tenant(index, name) != NULL;
}

void
webhook_index_set_caps(WebhookIndex *index, const char *name, const WebhookCaps *caps)
{
	if (can_be_tenant(name))
		enter_tenant(index, name)->caps = *caps;
}

void
webhook_index_make_room(WebhookIndex *index, WebhookSubscription *subscription)
{
	const char *name = subscription->tenant;
	TenantEntry *tenant;

	if (name != NULL && !can_be_tenant(name))
		return;
	tenant = name == NULL ? index->platform : enter_tenant(index, name);
	if (name != NULL)
		subscription->caps = &tenant->caps;
	if (!subscription->enabled)
		return;
	webhook_subscribers_make_room(&index->enabled, index->context);
	for (int i = 0; i < subscription->nevents; i++)
	{
		const char *event_type = subscription->events[i];

		/* No event type has a longer name. */
		if (strlen(event_type) > WEBHOOK_MAX_EVENT_TYPE)
			continue;
		webhook_subscribers_make_room(is_pattern(event_type) ? &tenant->patterns :
									  &enter_type(index, tenant, event_type)->named,
									  index->context);
	}
}

void
webhook_index_add(WebhookIndex *index, const WebhookSubscription *subscription)
{
	change(index, subscription, webhook_subscribers_add);
}

void
webhook_index_remove(WebhookIndex *index, const WebhookSubscription *subscription)
{
	change(index, subscription, webhook_subscribers_remove);
}

const WebhookSubscribers *
webhook_index_enabled(const WebhookIndex *index)
{
	return &index->enabled;
}

const WebhookSubscribers *
webhook_index_find(WebhookIndex *index, const char *tenant, const char *event_type)
{
	TenantEntry *owner = find_tenant(index, tenant);
	TypeEntry  *entry = index->last;

	/* No event type has a longer name, which would be found cut off. */
	if (owner == NULL || strlen(event_type) > WEBHOOK_MAX_EVENT_TYPE)
		return NULL;
	if (entry == NULL || entry->key.tenant != owner->number ||
		strcmp(entry->key.name, event_type) != 0)
		entry = owner->patterns.count == 0 ? find_type(index, owner, event_type) :
			enter_type(index, owner, event_type);
	if (entry == NULL)
		return NULL;
	if (entry->known == NULL)
		complete_type(index, owner, entry);
	index->last = entry;
	return entry->known;
}

bool
webhook_index_includes(const char **names, int count, const char *event_type)
{
	for (int i = 0; i < count; i++)
	{
		if (webhook_pattern_includes(names[i], strlen(names[i]), event_type, strlen(event_type)))
			return true;
	}
	return false;
}

/* The first place whose subscription has this id or a greater one. */
static int
place_of(const WebhookSubscribers *subscribers, int64 id)
{
	int			low = 0;
	int			high = subscribers->count;

	if (high > 0 && subscribers->subscriptions[high - 1]->id < id)
		return high;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (subscribers->subscriptions[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
has(const WebhookSubscribers *subscribers, int place, const WebhookSubscription *subscription)
{
	return place < subscribers->count && subscribers->subscriptions[place] == subscription;
}

/* Add an enabled subscription wherever it is to be found, or remove it there. Cannot fail. */
static void
change(WebhookIndex *index, const WebhookSubscription *subscription,
	   void (*add_or_remove) (WebhookSubscribers *, const WebhookSubscription *))
{
	TenantEntry *tenant = find_tenant(index, subscription->tenant);

	if (!subscription->enabled || tenant == NULL)
		return;
	add_or_remove(&index->enabled, subscription);
	for (int i = 0; i < subscription->nevents; i++)
	{
		const char *event_type = subscription->events[i];
		TypeEntry  *entry;

		if (strlen(event_type) > WEBHOOK_MAX_EVENT_TYPE)
			continue;
		if (is_pattern(event_type))
		{
			add_or_remove(&tenant->patterns, subscription);
			forget_types(tenant);
			continue;
		}
		entry = find_type(index, tenant, event_type);
		add_or_remove(&entry->named, subscription);
		entry->known = NULL;
	}
}

/* No tenant has a longer name, which would be found cut off, and none an empty one. */
static bool
can_be_tenant(const char *name)
{
	return name[0] != '\0' && strlen(name) <= WEBHOOK_MAX_TENANT;
}

static bool
is_pattern(const char *name)
{
	return webhook_pattern_is(name, strlen(name));
}

/* NULL: there is none. An empty text must not become the platform. */
static TenantEntry *
find_tenant(const WebhookIndex *index, const char *name)
{
	if (name == NULL)
		return index->platform;
	return can_be_tenant(name) ? hash_search(index->by_tenant, name, HASH_FIND, NULL) : NULL;
}

/* The entry of a tenant, made if there is none; that of the platform is the first. */
static TenantEntry *
enter_tenant(WebhookIndex *index, const char *name)
{
	bool		found;
	TenantEntry *entry = hash_search(index->by_tenant, name, HASH_ENTER, &found);

	if (!found)
	{
		entry->number = hash_get_num_entries(index->by_tenant) - 1;
		memset(&entry->caps, 0, sizeof(WebhookCaps));
		memset(&entry->patterns, 0, sizeof(WebhookSubscribers));
		entry->types = NULL;
		entry->any_known = false;
	}
	return entry;
}

/* NULL: there is none. */
static TypeEntry *
find_type(WebhookIndex *index, const TenantEntry *tenant, const char *name)
{
	TypeKey		key;

	set_key(&key, tenant, name);
	return hash_search(index->by_type, &key, HASH_FIND, NULL);
}

/* The entry of a tenant's event type, made if there is none. */
static TypeEntry *
enter_type(WebhookIndex *index, TenantEntry *tenant, const char *name)
{
	TypeKey		key;
	bool		found;
	TypeEntry  *entry;

	set_key(&key, tenant, name);
	entry = hash_search(index->by_type, &key, HASH_ENTER, &found);
	if (!found)
	{
		memset(&entry->named, 0, sizeof(WebhookSubscribers));
		memset(&entry->all, 0, sizeof(WebhookSubscribers));
		entry->known = NULL;
		entry->next = tenant->types;
		tenant->types = entry;
	}
	return entry;
}

static void
set_key(TypeKey *key, const TenantEntry *tenant, const char *name)
{
	memset(key, 0, sizeof(TypeKey));
	key->tenant = tenant->number;
	strlcpy(key->name, name, sizeof(key->name));
}

/* A subscription with a pattern has changed: nobody knows which types it was to. */
static void
forget_types(TenantEntry *tenant)
{
	if (!tenant->any_known)
		return;
	for (TypeEntry *entry = tenant->types; entry != NULL; entry = entry->next)
		entry->known = NULL;
	tenant->any_known = false;
}

/* Find out who gets the type. A tenant may not get each. */
static void
complete_type(WebhookIndex *index, TenantEntry *tenant, TypeEntry *entry)
{
	tenant->any_known = true;
	if (tenant->number != 0 &&
		!webhook_index_includes(tenant->caps.events, tenant->caps.nevents, entry->key.name))
		entry->known = &nobody;
	else if (tenant->patterns.count == 0)
		entry->known = &entry->named;
	else
	{
		merge_patterns(index, tenant, entry);
		entry->known = &entry->all;
	}
}

/* An error on the way leaves an array that nobody uses. */
static void
merge_patterns(WebhookIndex *index, const TenantEntry *tenant, TypeEntry *entry)
{
	int			next = 0;

	entry->all.count = 0;
	for (int i = 0; i < tenant->patterns.count; i++)
	{
		const WebhookSubscription *other = tenant->patterns.subscriptions[i];

		if (!webhook_index_includes(other->events, other->nevents, entry->key.name))
			continue;
		while (next < entry->named.count && entry->named.subscriptions[next]->id < other->id)
			append(index, &entry->all, entry->named.subscriptions[next++]);
		append(index, &entry->all, other);
	}
	while (next < entry->named.count)
		append(index, &entry->all, entry->named.subscriptions[next++]);
}

static void
append(WebhookIndex *index, WebhookSubscribers *subscribers,
	   const WebhookSubscription *subscription)
{
	webhook_subscribers_make_room(subscribers, index->context);
	webhook_subscribers_add(subscribers, subscription);
}
