/*
 * subject.c
 *	  Subjects that have deliveries in memory.
 *
 * A subject is known here from its first delivery in memory until the end of
 * its last one is committed. So an arrival finds earlier deliveries either
 * here or in pending, never in between.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "delivery/subject_internal.h"

static Size size_of(const char *name);
static uint32 hash_key(const void *key, Size size);
static int	compare_keys(const void *a, const void *b, Size size);

void
webhook_subjects_init(WebhookSubjects *subjects, Size *memory)
{
	HASHCTL		control = {0};

	control.hcxt = CurrentMemoryContext;
	control.keysize = sizeof(WebhookSubjectKey);
	control.entrysize = sizeof(WebhookSubject);
	control.hash = hash_key;
	control.match = compare_keys;
	subjects->table = hash_create("webhook subjects", 1024, &control,
								  HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	subjects->memory = memory;
}

WebhookSubject *
webhook_subject_find(const WebhookSubjects *subjects, int64 subscription_id, const char *name)
{
	WebhookSubjectKey key = {subscription_id, name};

	return hash_search(subjects->table, &key, HASH_FIND, NULL);
}

WebhookSubject *
webhook_subject_get(WebhookSubjects *subjects, int64 subscription_id, const char *name)
{
	WebhookSubjectKey key = {subscription_id, name};
	bool		found;
	WebhookSubject *subject = hash_search(subjects->table, &key, HASH_ENTER, &found);

	if (!found)
	{
		subject->key.subject = MemoryContextStrdup(TopMemoryContext, name);
		*subjects->memory += size_of(name);
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
webhook_subject_drop_if_idle(WebhookSubjects *subjects, WebhookSubject *subject)
{
	char	   *name = unconstify(char *, subject->key.subject);

	if (subject->head != NULL || subject->unflushed > 0 ||
		!dlist_is_empty(&subject->waiting))
		return;
	*subjects->memory -= size_of(name);
	hash_search(subjects->table, &subject->key, HASH_REMOVE, NULL);
	pfree(name);
}

void
webhook_subjects_scan(const WebhookSubjects *subjects, HASH_SEQ_STATUS *scan)
{
	hash_seq_init(scan, subjects->table);
}

WebhookSubject *
webhook_subjects_next_waiting(HASH_SEQ_STATUS *scan)
{
	WebhookSubject *subject;

	while ((subject = hash_seq_search(scan)) != NULL)
	{
		if (!dlist_is_empty(&subject->waiting))
			return subject;
	}
	return NULL;
}

/* Bytes of a subject in memory. */
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
