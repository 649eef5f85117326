/*
 * step_internal.h
 *	  One step of reading: rows of the ring, and what they mean.
 */
#ifndef WEBHOOK_STEP_INTERNAL_H
#define WEBHOOK_STEP_INTERNAL_H

#include "nodes/pg_list.h"

#include "delivery/delivery.h"
#include "ring/tail.h"

/*
 * A step is a value: its transaction fills it, and changes no delivery. After
 * the commit it is offered, which cannot fail; after an error it is dropped.
 */
typedef struct WebhookStep
{
	WebhookDispatcher *dispatcher;
	bool		recovering;		/* deliveries may have been handled before a crash */
	bool		older;			/* the rows are of the older of two windows */
	List	   *events;			/* rows read, in order: WebhookEvent * */
	List	   *items;			/* what they mean: deliveries and commands, in order */
	List	   *caught_up;		/* of earlier events for new subscriptions: WebhookOffer * */
	List	   *filter_errors;	/* ids of subscriptions whose filter has failed: int64 * */
	WebhookTail *tail;			/* whose rows had waited; NULL: they were read */
	int			waiting;		/* rows that had waited in it, and are in "items" */
} WebhookStep;

/*
 * In a transaction: find out what the step's events mean. What is for a
 * subscription that is behind goes to a tail, and so do commands that are too many.
 */
extern void webhook_step_match(WebhookStep *step);

/*
 * In a transaction: take what may be offered from a tail, at most "limit" rows,
 * and as many as fit into "max_bytes", but at least one: of subscriptions that were behind,
 * and of commands that were too many.
 */
extern void webhook_step_take_waiting(WebhookStep *step, int limit, Size max_bytes);
extern void webhook_step_take_surplus(WebhookStep *step, int limit, Size max_bytes);

/*
 * The step is committed: hand over its deliveries and commands. "batch" is that
 * of its events; NULL for what had waited.
 */
extern void webhook_step_offer(const WebhookStep *step, WebhookBatch *batch, TimestampTz now);

#endif							/* WEBHOOK_STEP_INTERNAL_H */
