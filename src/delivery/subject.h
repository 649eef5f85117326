/*
 * subject.h
 *	  Subjects that have deliveries in memory: what waits has_earlier_pending what.
 */
#ifndef WEBHOOK_ORDER_H
#define WEBHOOK_ORDER_H

#include "lib/ilist.h"

typedef struct WebhookSubjectKey
{
	int64		subscription_id;
	const char *subject;
} WebhookSubjectKey;

/* One subject of one subscription. */
typedef struct WebhookSubject
{
	WebhookSubjectKey key;		/* hash key; owns the string */
	void	   *head;			/* its delivery that is ready or in flight */
	dlist_head	waiting;		/* deliveries has_earlier_pending it, in order */
	int			unflushed;		/* ended, their entries not committed */
	int			in_group;		/* of these, in the group being written */
	bool		defers_arrivals;	/* later arrivals go to webhook.pending: earlier ones are
									 * there, or on their way */
	bool		passed_over_due_row;	/* a due row was passed over for the head */
} WebhookSubject;

extern void webhook_subject_init(void);

/* The subject, or NULL: nothing of it is in memory. */
extern WebhookSubject *webhook_subject_find(int64 subscription_id, const char *subject);

/* The subject, made if need be. */
extern WebhookSubject *webhook_subject_get(int64 subscription_id, const char *subject);

/* Bytes that all of them take. */
extern Size webhook_subject_memory(void);

/* Forget it, if nothing of it is in memory any more. */
extern void webhook_subject_drop_if_idle(WebhookSubject *subject);

/*
 * All subjects that have something waiting, one a call until NULL; nothing may
 * be dropped or made meanwhile.
 */
extern WebhookSubject *webhook_subject_first_waiting(void **scan);
extern WebhookSubject *webhook_subject_next_waiting(void **scan);

#endif							/* WEBHOOK_ORDER_H */
