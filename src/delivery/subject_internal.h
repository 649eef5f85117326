/*
 * subject_internal.h
 *	  Subjects that have deliveries in memory: which one is the head, which wait.
 */
#ifndef WEBHOOK_SUBJECT_INTERNAL_H
#define WEBHOOK_SUBJECT_INTERNAL_H

#include "utils/hsearch.h"

#include "delivery/delivery.h"

typedef struct WebhookSubjectKey
{
	int64		subscription_id;
	const char *subject;
} WebhookSubjectKey;

/* One subject of one subscription. */
struct WebhookSubject
{
	WebhookSubjectKey key;		/* hash key; owns the string */
	WebhookDelivery *head;		/* the delivery that is ready or in flight; NULL: none is */
	dlist_head	waiting;		/* deliveries behind the head, in order */
	int			unflushed;		/* ended deliveries whose end is not committed */
	int			in_group;		/* of these, in the group that is being written */
	bool		defers_arrivals;	/* arrivals must go to pending, because earlier ones are
									 * there or on their way */
	bool		passed_over_due_row;	/* a due row was skipped because a head is in memory;
										 * look again when it ends */
};

typedef struct WebhookSubjects
{
	HTAB	   *table;			/* WebhookSubjectKey -> WebhookSubject */
	Size	   *memory;			/* the counter that their bytes are added to */
} WebhookSubjects;

/* Make the table empty; "memory" is the counter of bytes that it adds to. */
extern void webhook_subjects_init(WebhookSubjects *subjects, Size *memory);

/* The subject, or NULL: nothing of it is in memory. */
extern WebhookSubject *webhook_subject_find(const WebhookSubjects *subjects,
											int64 subscription_id, const char *subject);

/* The subject, made if need be. */
extern WebhookSubject *webhook_subject_get(WebhookSubjects *subjects,
										   int64 subscription_id, const char *subject);

/* Remove the subject if nothing of it is in memory. */
extern void webhook_subject_drop_if_idle(WebhookSubjects *subjects, WebhookSubject *subject);

/*
 * All subjects that have deliveries waiting: begin a scan, then one a call
 * until NULL. No subject may be made or dropped meanwhile.
 */
extern void webhook_subjects_scan(const WebhookSubjects *subjects, HASH_SEQ_STATUS *scan);
extern WebhookSubject *webhook_subjects_next_waiting(HASH_SEQ_STATUS *scan);

#endif							/* WEBHOOK_SUBJECT_INTERNAL_H */
