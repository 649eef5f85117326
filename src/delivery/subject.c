/*
 * subject.c
 *	  Subjects that have deliveries in memory: what waits has_earlier_pending what.
 *
 * A subject is known here from its first delivery in memory until the entry
 * of its last one is committed. So whoever asks whether earlier ones wait
 * finds them here or in webhook.pending, never in between.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "delivery/subject.h"

static HTAB *subjects;
static Size memory;

static Size size_of(const char *name);
static uint32 hash_key(const void *key, Size size);
static int	compare_keys(const void *a, const void *b, Size size);

void
webhook_subject_init(void)
{
	HASHCTL		control = {0};

	control.hcxt = TopMemoryContext;
	control.keysize = sizeof(WebhookSubjectKey);
	control.entrysize = sizeof(WebhookSubject);
	control.hash = hash_key;
	control.match = compare_keys;
	subjects = hash_create("webhook subjects", 1024, &control,
						   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

WebhookSubject *
webhook_subject_find(int64 subscription_id, const char *name)
{
	WebhookSubjectKey key = {subscription_id, name};

	return hash_search(subjects, &key, HASH_FIND, NULL);
}

WebhookSubject *
webhook_subject_get(int64 subscription_id, const char *name)
{
	WebhookSubjectKey key = {subscription_id, name};
	bool		found;
	WebhookSubject *subject = hash_search(subjects, &key, HASH_ENTER, &found);

	if (!found)
	{
		subject->key.subject = MemoryContextStrdup(TopMemoryContext, name);
		memory += size_of(name);
		subject->head = NULL;
		dlist_init(&subject->waiting);
		subject->unflushed = 0;
		subject->in_group = 0;
		subject->defers_arrivals = false;
		subject->passed_over_due_row = false;
	}
	return subject;
}

void
webhook_subject_drop_if_idle(WebhookSubject *subject)
{
	char	   *name = unconstify(char *, subject->key.subject);

	if (subject->head != NULL || subject->unflushed > 0 ||
		!dlist_is_empty(&subject->waiting))
		return;
	memory -= size_of(name);
	hash_search(subjects, &subject->key, HASH_REMOVE, NULL);
	pfree(name);
}

Size
webhook_subject_memory(void)
{
	return memory;
}

WebhookSubject *
webhook_subject_first_waiting(void **scan)
{
	HASH_SEQ_STATUS *status = palloc(sizeof(HASH_SEQ_STATUS));

	hash_seq_init(status, subjects);
	*scan = status;
	return webhook_subject_next_waiting(scan);
}

WebhookSubject *
webhook_subject_next_waiting(void **scan)
{
	WebhookSubject *subject;

	while ((subject = hash_seq_search(*scan)) != NULL)
	{
		if (!dlist_is_empty(&subject->waiting))
			return subject;
	}
	pfree(*scan);
	return NULL;
}

static Size
size_of(const char *name)
{
	return MAXALIGN(sizeof(HASHELEMENT)) + MAXALIGN(sizeof(WebhookSubject)) +
		MAXALIGN(strlen(name) + 1);
}

static uint32
hash_key(const void *key, Size size)
{
	const WebhookSubjectKey *subject = key;

	return hash_combine(hash_bytes((const unsigned char *) subject->subject,
								   strlen(subject->subject)),
						(uint32) subject->subscription_id);
}

static int
compare_keys(const void *a, const void *b, Size size)
{
	const WebhookSubjectKey *left = a;
	const WebhookSubjectKey *right = b;

	if (left->subscription_id != right->subscription_id)
		return 1;
	return strcmp(left->subject, right->subject);
}
