/*
 * step.c
 *	  One step of reading: what the rows of the ring mean, and for whom.
 *
 * The transaction of a step finds out all that it needs from tables. Deliveries
 * change after its commit only, where nothing can fail any more.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "ring/command.h"
#include "worker/behind_internal.h"
#include "worker/commands_internal.h"
#include "worker/erasures_internal.h"
#include "worker/matcher_internal.h"
#include "worker/step_internal.h"
#include "worker/surplus_internal.h"

/* A delivery or a command, in the order of the ring. */
typedef struct Item
{
	WebhookOffer *offer;		/* NULL: a command */
	const WebhookEvent *command;
	WebhookBatch *batch;		/* of the row; NULL: that of the step */
} Item;

static void match_row(WebhookStep *step, WebhookEvent *row);
static bool must_wait(const WebhookStep *step, const WebhookEvent *row,
					  int64 *subscription_id);
static void keep_matches(WebhookStep *step, const WebhookEvent *row, const WebhookMatches *matches);
static void take(WebhookStep *step, WebhookTail *tail, int count, Size max_bytes);
static void take_entry(WebhookStep *step, const WebhookTailEntry *entry);
static void add_command(WebhookStep *step, const WebhookEvent *row, int64 subscription_id,
						WebhookBatch *batch);
static void add_offers(WebhookStep *step, const WebhookMatches *matches, WebhookBatch *batch);
static void add_item(WebhookStep *step, WebhookOffer *offer, const WebhookEvent *command,
					 WebhookBatch *batch);
static void offer_caught_up(const WebhookStep *step, WebhookBatch *batch, TimestampTz now);
static void offer_items(const WebhookStep *step, WebhookBatch *batch, TimestampTz now);
static void run_command(const WebhookStep *step, const WebhookEvent *row, WebhookBatch *batch);

void
webhook_step_match(WebhookStep *step)
{
	ListCell   *cell;

	foreach(cell, step->events)
		match_row(step, lfirst(cell));
}

void
webhook_step_take_waiting(WebhookStep *step, int limit, Size max_bytes)
{
	take(step, webhook_behind_tail(), webhook_behind_offerable(limit), max_bytes);
}

void
webhook_step_take_surplus(WebhookStep *step, int limit, Size max_bytes)
{
	take(step, webhook_surplus_tail(), webhook_surplus_offerable(limit), max_bytes);
}

void
webhook_step_offer(const WebhookStep *step, WebhookBatch *batch, TimestampTz now)
{
	ListCell   *cell;

	offer_caught_up(step, batch, now);
	foreach(cell, step->filter_errors)
		webhook_queue_count_filter_error(step->dispatcher, *(int64 *) lfirst(cell));
	offer_items(step, batch, now);
	if (step->waiting > 0)
		webhook_tail_remove(step->tail, step->waiting);
}

static void
match_row(WebhookStep *step, WebhookEvent *row)
{
	WebhookMatches matches = {step->dispatcher, step->recovering};
	int64		subscription_id = 0;

	matches.filter_errors = step->filter_errors;
	if (webhook_kind_is_event(row->kind))
	{
		webhook_matcher_add_event(&matches, row);
		keep_matches(step, row, &matches);
	}
	else if (must_wait(step, row, &subscription_id))
		webhook_behind_add(row, subscription_id, step->older);
	else if (row->kind == WEBHOOK_REPLAY)
	{
		webhook_matcher_add_replay(&matches, row);
		add_offers(step, &matches, NULL);
	}
	else
		add_command(step, row, subscription_id, NULL);
	step->filter_errors = matches.filter_errors;
}

/*
 * Returns true if a command comes after deliveries that wait. A ping waits for
 * nobody, and neither does what is only told, nor an erasure, which is of all subscriptions.
 */
static bool
must_wait(const WebhookStep *step, const WebhookEvent *row, int64 *subscription_id)
{
	WebhookCommand command;

	if (row->kind == WEBHOOK_CHANGED || row->kind == WEBHOOK_TELL || row->kind == WEBHOOK_ERASE ||
		!webhook_command_parse(row, &command) ||
		(row->kind == WEBHOOK_REPLAY && command.cause == WEBHOOK_CAUSE_PING))
		return false;
	*subscription_id = command.subscription_id;
	return webhook_behind_is(command.subscription_id, step->older);
}

/* Deliveries of an event: to those that are behind they wait. */
static void
keep_matches(WebhookStep *step, const WebhookEvent *row, const WebhookMatches *matches)
{
	ListCell   *cell;

	foreach(cell, matches->offers)
	{
		WebhookOffer *offer = lfirst(cell);

		if (webhook_behind_is(offer->subscription_id, step->older))
			webhook_behind_add(row, offer->subscription_id, step->older);
		else
			add_item(step, offer, NULL, NULL);
	}
}

static void
take(WebhookStep *step, WebhookTail *tail, int count, Size max_bytes)
{
	step->tail = tail;
	step->waiting = webhook_tail_fetch(tail, count, max_bytes);
	for (int i = 0; i < step->waiting; i++)
		take_entry(step, webhook_tail_entry(tail, i));
}

/* A row that has been deleted is passed over. */
static void
take_entry(WebhookStep *step, const WebhookTailEntry *entry)
{
	WebhookMatches matches = {step->dispatcher, false};

	if (entry->event == NULL)
		return;
	if (webhook_kind_is_event(entry->event->kind))
		webhook_matcher_add_delivery(&matches, entry->event, entry->subscription_id);
	else if (entry->event->kind == WEBHOOK_REPLAY)
		webhook_matcher_add_replay(&matches, entry->event);
	else
		add_command(step, entry->event, entry->subscription_id, entry->batch);
	add_offers(step, &matches, entry->batch);
}

/* A command of which there are too many waits for the others; one that has waited so does not. */
static void
add_command(WebhookStep *step, const WebhookEvent *row, int64 subscription_id,
			WebhookBatch *batch)
{
	if (step->tail != webhook_surplus_tail() && webhook_surplus_takes(row, subscription_id))
		webhook_surplus_add(row, subscription_id, batch);
	else
		add_item(step, NULL, row, batch);
}

static void
add_offers(WebhookStep *step, const WebhookMatches *matches, WebhookBatch *batch)
{
	ListCell   *cell;

	foreach(cell, matches->offers)
		add_item(step, lfirst(cell), NULL, batch);
}

static void
add_item(WebhookStep *step, WebhookOffer *offer, const WebhookEvent *command, WebhookBatch *batch)
{
	Item	   *item = palloc0(sizeof(Item));

	item->offer = offer;
	item->command = command;
	item->batch = batch;
	step->items = lappend(step->items, item);
}

static void
offer_caught_up(const WebhookStep *step, WebhookBatch *batch, TimestampTz now)
{
	ListCell   *cell;

	foreach(cell, step->caught_up)
	{
		WebhookOffer *offer = lfirst(cell);

		offer->erased |= webhook_erasures_cover(offer->event, offer->position);
		offer->event = webhook_event_copy(offer->event);
		webhook_dispatch_offer(step->dispatcher, offer, batch, now);
		webhook_event_release(offer->event);
	}
}

/* The offers of an event share one copy of it; only what is wanted outlives the step. */
static void
offer_items(const WebhookStep *step, WebhookBatch *batch, TimestampTz now)
{
	const WebhookEvent *event = NULL;
	WebhookEvent *copy = NULL;
	ListCell   *cell;

	foreach(cell, step->items)
	{
		const Item *item = lfirst(cell);
		WebhookBatch *own = item->batch != NULL ? item->batch : batch;

		if (item->offer == NULL)
		{
			run_command(step, item->command, own);
			continue;
		}
		if (item->offer->event != event)
		{
			if (copy != NULL)
				webhook_event_release(copy);
			event = item->offer->event;
			copy = webhook_event_copy(event);
		}
		item->offer->event = copy;
		item->offer->erased |= webhook_erasures_cover(copy, item->offer->position);
		webhook_dispatch_offer(step->dispatcher, item->offer, own, now);
	}
	if (copy != NULL)
		webhook_event_release(copy);
}

static void
run_command(const WebhookStep *step, const WebhookEvent *row, WebhookBatch *batch)
{
	WebhookCommand command;

	if (row->kind != WEBHOOK_CHANGED)
		webhook_commands_accept(row, batch);
	else if (webhook_command_parse(row, &command))
		webhook_queue_reset(step->dispatcher, command.subscription_id, GetCurrentTimestamp());
}
