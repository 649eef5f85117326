/*
 * tables.c
 *	  The tables, played: ring and windows, webhook_internal.pending and the log.
 *
 * They keep the contracts of window.h and store.h, and complain
 * where a table would: of a key that is there already, of a row that is not.
 * There are no transactions: a write that is to fail does so before it has
 * changed anything.
 */
#include "postgres.h"

#include "lib/pairingheap.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/catalog.h"
#include "base/steady.h"
#include "clock.h"
#include "process/shmem.h"
#include "ring/command.h"
#include "ring/fetch_internal.h"
#include "ring/ring.h"
#include "ring/window.h"
#include "store/store.h"
#include "worker/notify_internal.h"
#include "worker/origin_internal.h"
#include "worker/own_events_internal.h"
#include "worker/transaction_internal.h"

#define BATCH_BYTES (4 * 1024 * 1024)
#define FIRST_XID UINT64CONST(1000000000000)	/* none of the server's */

struct WebhookWindow
{
	int			next;			/* row to be returned */
	int			stop;
	WebhookSnapshot *end;
	List	   *types;
};

/* A row of webhook_internal.pending. */
typedef struct Row
{
	WebhookPending is;
	int64		version;		/* where an update puts it */
} Row;

/* A row of the ring that is not yet committed. */
typedef struct Future
{
	pairingheap_node node;
	WebhookClockRow row;
} Future;

MemoryContext webhook_clock_context;
WebhookClockArray webhook_clock_outcomes;
WebhookClockArray webhook_clock_notices;
int64		webhook_clock_transactions;
WebhookClockArray webhook_clock_pending;
WebhookClockArray webhook_clock_ring;
uint32		webhook_clock_failing;
uint32		webhook_clock_failing_reads;
static bool has_written;		/* the present transaction has written to the log */

static pairingheap *futures;
static int64 versions;
static WebhookCheckpoint checkpoint;	/* as it was written last */

static void note_type(WebhookWindow *window, const WebhookEvent *event);
static int	compare_futures(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static int	compare_key(const Row *row, int64 subscription_id, const char *subject,
						int64 position, int64 id);
static int	index_of(int64 subscription_id, const char *subject, int64 position, int64 id);
static bool is_meant(const Row *row, const WebhookReach *reach);
static Row *row_at(int at);
static Row *find_row(const WebhookPending *key);
static bool is_of(int at, int64 subscription_id, const char *subject);
static WebhookPending *copy_row(const Row *row);
static int	compare_due(const void *a, const void *b);
static void write_row(const WebhookLogEntry *outcome);
static void promote(int64 subscription_id, const char *subject, TimestampTz now,
					WebhookHeadCallback promoted, void *arg);

static const char *
subject_of(const WebhookEvent *event)
{
	return event->subject ? event->subject : "";
}

void *
webhook_clock_add(WebhookClockArray *array, Size size)
{
	if (array->size == 0)
	{
		array->size = 64;
		array->items = MemoryContextAlloc(webhook_clock_context, array->size * size);
	}
	else if (array->count == array->size)
	{
		array->size *= 2;
		array->items = repalloc_huge(array->items, array->size * size);
	}
	return memset((char *) array->items + array->count++ * size, 0, size);
}

/*
 * The ring
 */

void
webhook_clock_commit(WebhookEvent *event, int64 at)
{
	static int64 number = 0;
	Future	   *future = MemoryContextAlloc(webhook_clock_context, sizeof(Future));

	if (futures == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

		futures = pairingheap_allocate(compare_futures, NULL);
		MemoryContextSwitchTo(old);
	}
	future->row.event = event;
	future->row.at = at;
	future->row.number = number++;
	pairingheap_add(futures, &future->node);
}

bool
webhook_clock_commit_due(void)
{
	bool		any = false;

	while (webhook_clock_next_commit() >= 0 &&
		   webhook_clock_next_commit() <= webhook_clock_steady)
	{
		Future	   *future = pairingheap_container(Future, node,
												   pairingheap_remove_first(futures));
		WebhookClockRow *row = webhook_clock_add(&webhook_clock_ring, sizeof(WebhookClockRow));
		WebhookEvent *event = future->row.event;

		*row = future->row;
		pfree(future);
		event->id = webhook_clock_ring.count;
		event->txid = FullTransactionIdFromU64(FIRST_XID + event->id);

		/* A replay brings those of its event. */
		if (event->created_at == 0)
			event->created_at = webhook_clock_now();
		for (int i = 0; i < 8 && event->event_id.data[6] == 0; i++)
			event->event_id.data[15 - i] = (uint8) (event->id >> (8 * i));
		event->event_id.data[6] = 0x70;
		if (event->kind == WEBHOOK_CHANGED || event->kind == WEBHOOK_END)
			webhook_clock_tell_change(event->txid);
		any = true;
	}
	return any;
}

int64
webhook_clock_next_commit(void)
{
	if (futures == NULL || pairingheap_is_empty(futures))
		return -1;
	return pairingheap_container(Future, node, pairingheap_first(futures))->row.at;
}

FullTransactionId
webhook_clock_next_xid(void)
{
	return FullTransactionIdFromU64(FIRST_XID + webhook_clock_ring.count + 1);
}

/* Each row is of a transaction of its own, so the rows that a snapshot sees are the first ones. */
static int
count_seen(const WebhookSnapshot *snapshot)
{
	uint64		xmax = U64FromFullTransactionId(snapshot->xmax);

	return xmax <= FIRST_XID ? 0 : Min(xmax - FIRST_XID - 1, webhook_clock_ring.count);
}

WebhookWindow *
webhook_window_open(const WebhookSnapshot *from, const WebhookSnapshot *partial,
					int64 upto_id, const WebhookSnapshot *end, int64 max_rows)
{
	WebhookWindow *window = MemoryContextAllocZero(webhook_clock_context, sizeof(WebhookWindow));
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	window->end = end ? webhook_snapshot_copy(end) : webhook_transaction_snapshot();
	window->next = count_seen(from);
	if (partial != NULL)
		window->next = Max(window->next, upto_id);
	window->stop = count_seen(window->end);
	for (int i = window->next; i < window->stop; i++)
		note_type(window, WEBHOOK_CLOCK_ITEM(webhook_clock_ring, WebhookClockRow, i)->event);
	MemoryContextSwitchTo(old);
	return window;
}

static void
note_type(WebhookWindow *window, const WebhookEvent *event)
{
	WebhookWindowType *type = NULL;
	char		mark[WEBHOOK_REPLAY_MARK_SIZE];
	const char *name = event->event_type;
	ListCell   *cell;

	if (event->kind == WEBHOOK_REPLAY && webhook_replay_mark(event->data, mark))
		name = mark;
	else if (event->kind != WEBHOOK_EVENT)
		return;
	foreach(cell, window->types)
	{
		WebhookWindowType *known = lfirst(cell);

		if (strcmp(known->name, name) == 0 &&
			(event->tenant == NULL ? known->tenant == NULL :
			 known->tenant != NULL && strcmp(known->tenant, event->tenant) == 0))
			type = known;
	}
	if (type == NULL)
	{
		type = palloc(sizeof(WebhookWindowType));
		type->name = pstrdup(name);
		type->tenant = event->tenant;
		type->of_any_tenant = false;
		type->of_platform = true;
		type->subscription_id = webhook_replay_mark_subscription(name);
		window->types = lappend(window->types, type);
	}
	type->last_id = event->id;
}

const List *
webhook_window_types(const WebhookWindow *window)
{
	return window->types;
}

const WebhookSnapshot *
webhook_window_end(const WebhookWindow *window)
{
	return window->end;
}

int64
webhook_window_remaining(const WebhookWindow *window)
{
	return window->stop - window->next;
}

List *
webhook_window_next(WebhookWindow *window, int max_rows, Size max_bytes)
{
	List	   *events = NIL;
	Size		bytes = 0;

	while (window->next < window->stop && list_length(events) < max_rows &&
		   bytes < max_bytes)
	{
		WebhookEvent *event = WEBHOOK_CLOCK_ITEM(webhook_clock_ring, WebhookClockRow,
												 window->next)->event;

		window->next++;
		bytes += event->size;
		events = lappend(events, webhook_event_copy(event));
	}
	return events;
}

void
webhook_window_make_durable(List *events)
{
}

void
webhook_window_close(WebhookWindow *window)
{
	pfree(window->end);
	pfree(window);
}

WebhookFetch *
webhook_fetch_begin(void)
{
	return NULL;
}

void
webhook_fetch_end(WebhookFetch *fetch)
{
}

WebhookEvent *
webhook_fetch_event(WebhookFetch *fetch, const WebhookRingKey *key)
{
	return webhook_event_copy(WEBHOOK_CLOCK_ITEM(webhook_clock_ring, WebhookClockRow,
												 key->id - 1)->event);
}

static int
compare_futures(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	const WebhookClockRow *x = &pairingheap_const_container(Future, node, a)->row;
	const WebhookClockRow *y = &pairingheap_const_container(Future, node, b)->row;

	if (x->at != y->at)
		return x->at < y->at ? 1 : -1;
	return x->number < y->number ? 1 : -1;
}

/*
 * webhook_internal.pending
 */

List *
webhook_pending_due(int64 subscription_id, TimestampTz until, int limit, Size max_bytes,
					WebhookRowTest skip, void *arg, TimestampTz *next)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	Row		  **heads = palloc(sizeof(Row *) * (webhook_clock_pending.count + 1));
	int			count = 0;

	for (int i = index_of(subscription_id, "", 0, 0); is_of(i, subscription_id, NULL); i++)
	{
		if (row_at(i)->is.next_at != 0)
			heads[count++] = row_at(i);
	}
	qsort(heads, count, sizeof(Row *), compare_due);

	*next = 0;
	for (int i = 0; i < count; i++)
	{
		const WebhookPending *row = &heads[i]->is;

		if (skip(subscription_id, row->event->subject, row->position, row->event->id, arg))
			continue;
		if (row->next_at > until || list_length(rows) >= limit ||
			(rows != NIL && bytes >= max_bytes))
		{
			*next = row->next_at;
			break;
		}
		bytes += row->event->size;
		rows = lappend(rows, copy_row(heads[i]));
	}
	pfree(heads);
	return rows;
}

List *
webhook_pending_behind(const WebhookPending *head, int limit, Size max_bytes)
{
	List	   *rows = NIL;
	Size		bytes = 0;

	for (int i = index_of(head->subscription_id, head->event->subject, 0, 0);
		 is_of(i, head->subscription_id, head->event->subject) && list_length(rows) < limit &&
		 bytes < max_bytes; i++)
	{
		if (row_at(i)->is.position <= head->position)
			continue;
		if (row_at(i)->is.next_at != 0)
			break;
		bytes += row_at(i)->is.event->size;
		rows = lappend(rows, copy_row(row_at(i)));
	}
	return rows;
}

TimestampTz
webhook_pending_earliest(int64 subscription_id)
{
	TimestampTz earliest = 0;

	for (int i = index_of(subscription_id, "", 0, 0); is_of(i, subscription_id, NULL); i++)
	{
		TimestampTz next_at = row_at(i)->is.next_at;

		if (next_at != 0 && (earliest == 0 || next_at < earliest))
			earliest = next_at;
	}
	return earliest;
}

bool
webhook_pending_has_subject(int64 subscription_id, const char *subject)
{
	return is_of(index_of(subscription_id, subject, 0, 0), subscription_id, subject);
}

bool
webhook_pending_has_any(int64 subscription_id)
{
	return is_of(index_of(subscription_id, "", 0, 0), subscription_id, NULL);
}

List *
webhook_pending_subscriptions(void)
{
	List	   *ids = NIL;

	for (int i = 0; i < webhook_clock_pending.count; i++)
	{
		int64	   *id = &row_at(i)->is.subscription_id;

		if (ids == NIL || *(int64 *) llast(ids) != *id)
			ids = lappend(ids, id);
	}
	return ids;
}

List *
webhook_pending_batch(int64 subscription_id, const WebhookReach *reach, int limit,
					  WebhookPendingCursor *cursor)
{
	List	   *rows = NIL;
	Size		bytes = 0;
	bool		from_start;

	do
	{
		from_start = cursor->position == 0;
		for (int i = index_of(subscription_id, cursor->subject, cursor->position, cursor->id + 1);
			 is_of(i, subscription_id, NULL) && list_length(rows) < limit && bytes < BATCH_BYTES;
			 i++)
		{
			if (!is_meant(row_at(i), reach))
				continue;
			bytes += row_at(i)->is.event->size;
			rows = lappend(rows, copy_row(row_at(i)));
		}
		memset(cursor, 0, sizeof(*cursor));
	} while (rows == NIL && !from_start);

	if (rows != NIL)
	{
		const WebhookPending *last = llast(rows);

		strlcpy(cursor->subject, subject_of(last->event), sizeof(cursor->subject));
		cursor->position = last->position;
		cursor->id = last->event->id;
	}
	return rows;
}

List *
webhook_pending_of_subject(int64 subscription_id, const char *subject,
						   const pg_uuid_t *event_id, const WebhookReach *reach)
{
	List	   *rows = NIL;
	int			i = index_of(subscription_id, subject ? subject : "", 0, 0);

	for (; is_of(i, subscription_id, subject ? subject : ""); i++)
	{
		const WebhookPending *row = &row_at(i)->is;

		if (!is_meant(row_at(i), reach))
			continue;
		if (event_id == NULL)
			return list_make1(copy_row(row_at(i)));
		if (memcmp(&row->event->event_id, event_id, UUID_LEN) == 0)
			rows = lappend(rows, copy_row(row_at(i)));
	}
	return rows;
}

/* All at once, whatever the limit. */
List *
webhook_pending_about(const char *subject, const WebhookReach *reach, int limit,
					  WebhookPendingWalk *walk)
{
	List	   *rows = NIL;

	for (int i = 0; i < webhook_clock_pending.count && !walk->at_end; i++)
	{
		if (strcmp(subject_of(row_at(i)->is.event), subject) == 0 && is_meant(row_at(i), reach))
			rows = lappend(rows, copy_row(row_at(i)));
	}
	walk->begun = walk->at_end = true;
	return rows;
}

bool
webhook_pending_make_due(int64 subscription_id, const char *subject, const WebhookReach *reach,
						 TimestampTz now, WebhookPendingCursor *cursor)
{
	int			i = index_of(subscription_id, subject ? subject : "", 0, 0);

	for (; is_of(i, subscription_id, subject); i++)
	{
		WebhookPending *row = &row_at(i)->is;

		if (row->next_at > now && is_meant(row_at(i), reach))
		{
			row->next_at = now;
			row_at(i)->version = versions++;
		}
	}
	return true;
}

WebhookClockStep
webhook_pending_clock_step(int64 by)
{
	WebhookClockStep step = {FullTransactionIdFromU64(versions), by};

	return step;
}

/* Heads are in no order of next_at here, so all are looked at in one call. */
bool
webhook_pending_follow_clock(int64 subscription_id, const WebhookClockStep *steps, int nsteps,
							 TimestampTz now, int64 longest,
							 TimestampTz *from, int *room, bool *ahead)
{
	for (int i = 0; i < webhook_clock_pending.count; i++)
	{
		Row		   *row = row_at(i);
		int64		lost = 0;

		for (int j = 0; j < nsteps; j++)
		{
			if (row->version < (int64) U64FromFullTransactionId(steps[j].before))
				lost += steps[j].by;
		}
		if (row->is.subscription_id != subscription_id || row->is.next_at <= now || lost == 0)
			continue;
		row->is.next_at = Max(row->is.next_at - lost, now);
		row->version = versions++;
	}
	return true;
}

void
webhook_pending_repair(int64 subscription_id, TimestampTz now,
					   WebhookSubjectTest in_memory, void *arg)
{
	int			i = index_of(subscription_id, "", 0, 0);

	while (i < webhook_clock_pending.count &&
		   row_at(i)->is.subscription_id == subscription_id)
	{
		const char *subject = row_at(i)->is.event->subject;
		int			first = i;

		while (is_of(i, subscription_id, subject ? subject : ""))
			i++;
		if (subject == NULL || row_at(first)->is.next_at != 0 ||
			in_memory(subscription_id, subject, arg))
			continue;
		row_at(first)->is.next_at = now;
		row_at(first)->version = versions++;
	}
}

static bool
is_meant(const Row *row, const WebhookReach *reach)
{
	return webhook_reach_covers(reach, row->is.position, row->is.event->txid, row->is.event->id,
								row->is.event->origin);
}

static Row *
row_at(int at)
{
	return *WEBHOOK_CLOCK_ITEM(webhook_clock_pending, Row *, at);
}

static int
compare_key(const Row *row, int64 subscription_id, const char *subject,
			int64 position, int64 id)
{
	int			order;

	if (row->is.subscription_id != subscription_id)
		return row->is.subscription_id < subscription_id ? -1 : 1;
	order = strcmp(subject_of(row->is.event), subject);
	if (order != 0)
		return order;
	if (row->is.position != position)
		return row->is.position < position ? -1 : 1;
	return row->is.event->id < id ? -1 : row->is.event->id > id;
}

/* Of the first row that is not before the key. */
static int
index_of(int64 subscription_id, const char *subject, int64 position, int64 id)
{
	int			low = 0;
	int			high = webhook_clock_pending.count;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (compare_key(row_at(middle), subscription_id, subject, position, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is there one, of this subscription, of this subject unless NULL? */
static bool
is_of(int at, int64 subscription_id, const char *subject)
{
	return at < webhook_clock_pending.count &&
		row_at(at)->is.subscription_id == subscription_id &&
		(subject == NULL || strcmp(subject_of(row_at(at)->is.event), subject) == 0);
}

/* An error if it is not there: nobody else deletes rows here. */
static Row *
find_row(const WebhookPending *key)
{
	int			at = index_of(key->subscription_id, subject_of(key->event),
							  key->position, key->event->id);

	if (!is_of(at, key->subscription_id, subject_of(key->event)) ||
		row_at(at)->is.position != key->position ||
		row_at(at)->is.event->id != key->event->id)
		elog(ERROR, "row " INT64_FORMAT " of subscription " INT64_FORMAT " is not in webhook_internal.pending",
			 key->position, key->subscription_id);
	return row_at(at);
}

/* With its event, in CurrentMemoryContext. */
static WebhookPending *
copy_row(const Row *row)
{
	WebhookPending *copy = palloc(sizeof(WebhookPending));

	*copy = row->is;
	copy->event = webhook_event_copy(row->is.event);
	copy->event->counted = false;
	return copy;
}

/* As an index has them: what is new is has_earlier_pending others of its instant. */
static int
compare_due(const void *a, const void *b)
{
	const Row  *x = *(Row *const *) a;
	const Row  *y = *(Row *const *) b;

	if (x->is.next_at != y->is.next_at)
		return x->is.next_at < y->is.next_at ? -1 : 1;
	return x->version < y->version ? -1 : 1;
}

/*
 * The log
 */

TimestampTz
webhook_log_now(void)
{
	return webhook_clock_now();
}

void
webhook_log_write(WebhookLogEntry *const *outcomes, int count, bool bodies,
				  TimestampTz now,
				  WebhookSubjectTest in_memory, WebhookHeadCallback promoted, void *arg)
{
	MemoryContext old;

	/* Nothing here is rolled back. */
	if (webhook_clock_chance(1000000) < webhook_clock_failing && !has_written)
		elog(ERROR, "the disk is full");
	has_written = true;

	webhook_clock_work(count);
	old = MemoryContextSwitchTo(webhook_clock_context);
	for (int i = 0; i < count; i++)
	{
		const WebhookPending *delivery = &outcomes[i]->delivery;
		WebhookClockOutcome *outcome = webhook_clock_add(&webhook_clock_outcomes,
														 sizeof(WebhookClockOutcome));

		outcome->at = webhook_clock_steady;
		outcome->subscription_id = delivery->subscription_id;
		outcome->subject = pstrdup(subject_of(delivery->event));
		outcome->event_id = delivery->event->event_id;
		outcome->position = delivery->position;
		outcome->cause = delivery->cause;
		outcome->attempt = delivery->attempt;
		outcome->step = delivery->step;
		outcome->result = outcomes[i]->outcome;
		outcome->error_class = outcomes[i]->error_class;
		outcome->next_at = delivery->next_at;
		write_row(outcomes[i]);
	}
	MemoryContextSwitchTo(old);

	for (int i = 0; i < count; i++)
	{
		const WebhookPending *delivery = &outcomes[i]->delivery;

		if (outcomes[i]->promote && delivery->event->subject != NULL &&
			!in_memory(delivery->subscription_id, delivery->event->subject, arg))
			promote(delivery->subscription_id, delivery->event->subject, now, promoted, arg);
	}
}

/* By the log: attempts of the event, and whether this delivery has ended. */
bool
webhook_log_knows(int64 subscription_id, int64 position, const WebhookEvent *event,
				  TimestampTz since, int *attempts)
{
	int			at = index_of(subscription_id, subject_of(event), position, event->id);
	bool		ended = false;

	*attempts = 0;
	for (int i = 0; i < webhook_clock_outcomes.count; i++)
	{
		const WebhookClockOutcome *outcome =
			WEBHOOK_CLOCK_ITEM(webhook_clock_outcomes, WebhookClockOutcome, i);

		if (outcome->subscription_id != subscription_id ||
			outcome->result == WEBHOOK_DEFERRED ||
			memcmp(&outcome->event_id, &event->event_id, UUID_LEN) != 0)
			continue;
		*attempts = Max(*attempts, outcome->attempt);
		ended |= outcome->position == position && outcome->result != WEBHOOK_RETRYING;
	}
	return ended ||
		(at < webhook_clock_pending.count &&
		 compare_key(row_at(at), subscription_id, subject_of(event), position,
					 event->id) == 0);
}

/* Nothing is erased here. */
bool
webhook_is_erased(const char *subject, int64 id, FullTransactionId txid)
{
	return false;
}

/* What is kept of an outcome here has nothing that was sent. */
bool
webhook_log_erase(const char *subject, int64 before, WebhookLogErasure *place)
{
	return true;
}

static void
write_row(const WebhookLogEntry *outcome)
{
	const WebhookPending *delivery = &outcome->delivery;
	int			at = index_of(delivery->subscription_id, subject_of(delivery->event),
							  delivery->position, delivery->event->id);
	Row		   *row;

	switch (outcome->row)
	{
		case WEBHOOK_ROW_NONE:
			break;
		case WEBHOOK_ROW_INSERT:
			if (at < webhook_clock_pending.count &&
				compare_key(row_at(at), delivery->subscription_id,
							subject_of(delivery->event), delivery->position,
							delivery->event->id) == 0)
				elog(ERROR, "row " INT64_FORMAT " of subscription " INT64_FORMAT " is in webhook_internal.pending twice",
					 delivery->position, delivery->subscription_id);
			row = palloc(sizeof(Row));
			row->is = *delivery;
			row->is.event = webhook_event_copy(delivery->event);
			row->version = versions++;
			webhook_clock_add(&webhook_clock_pending, sizeof(Row *));
			memmove((Row **) webhook_clock_pending.items + at + 1,
					(Row **) webhook_clock_pending.items + at,
					sizeof(Row *) * (webhook_clock_pending.count - 1 - at));
			((Row **) webhook_clock_pending.items)[at] = row;
			break;
		case WEBHOOK_ROW_UPDATE:
			row = find_row(delivery);
			row->is.attempt = delivery->attempt;
			row->is.step = delivery->step;
			row->is.next_at = delivery->next_at;
			row->version = versions++;
			break;
		case WEBHOOK_ROW_DELETE:
			row = find_row(delivery);
			webhook_event_release(row->is.event);
			pfree(row);
			webhook_clock_pending.count--;
			memmove((Row **) webhook_clock_pending.items + at,
					(Row **) webhook_clock_pending.items + at + 1,
					sizeof(Row *) * (webhook_clock_pending.count - at));
			break;
	}
}

static void
promote(int64 subscription_id, const char *subject, TimestampTz now,
		WebhookHeadCallback promoted, void *arg)
{
	int			at = index_of(subscription_id, subject, 0, 0);

	if (!is_of(at, subscription_id, subject) || row_at(at)->is.next_at != 0)
		return;
	row_at(at)->is.next_at = now;
	row_at(at)->version = versions++;
	promoted(subscription_id, now, arg);
}

/*
 * What the others write, and transactions
 */

void
webhook_notify_state_change(const WebhookStateChange *changes, int64 subscription_id,
							const char *reason, const char *tenant,
							const WebhookSubscription *subscription)
{
	WebhookClockNotice *notice = webhook_clock_add(&webhook_clock_notices,
												   sizeof(WebhookClockNotice));

	notice->at = webhook_clock_steady;
	notice->subscription_id = subscription_id;
	notice->change = changes->change;
	notice->state = changes->state;
}

/* Nobody takes the extension's own events. */
bool
webhook_own_events_has(const WebhookStateChange *change, const WebhookSubscription *subscription)
{
	return false;
}

void
webhook_own_events_publish(const WebhookStateChange *change,
						   const WebhookSubscription *subscription, const char *reason)
{
}

void
webhook_own_events_note_failure(const WebhookDelivery *delivery)
{
}

void
webhook_own_events_publish_failures(TimestampTz now)
{
}

List *
webhook_state_load(void)
{
	return NIL;
}

void
webhook_state_save(WebhookState *const *states, int count, TimestampTz now)
{
	for (int i = 0; i < count; i++)
		states[i]->saved_at = now;
}

void
webhook_state_forget(int64 subscription_id)
{
}

WebhookCheckpoint *
webhook_origin_checkpoint(void)
{
	return checkpoint.snapshot == NULL ? NULL : &checkpoint;
}

bool
webhook_origin_has_fenced(void)
{
	return false;
}

void
webhook_checkpoint_save(const WebhookCheckpoint *written)
{
	MemoryContext old = MemoryContextSwitchTo(webhook_clock_context);

	checkpoint = *written;
	checkpoint.snapshot = webhook_snapshot_copy(written->snapshot);
	if (written->partial != NULL)
		checkpoint.partial = webhook_snapshot_copy(written->partial);
	MemoryContextSwitchTo(old);
}

const char *
webhook_home(void)
{
	return "1/1/1";
}

const WebhookDirectory *
webhook_shmem_directory(void)
{
	static const WebhookDirectory directory = {0};

	return &directory;
}

int64
webhook_ring_last_id(void)
{
	return webhook_clock_ring.count;
}

void
webhook_ring_raise_ids(int64 last_id)
{
}

void
webhook_transaction_begin(const char *activity)
{
}

void
webhook_transaction_commit(void)
{
}

/*
 * Only writes that are to fail do, and reads that are to fail do at their commit;
 * another error is one of the test.
 */

int
webhook_transaction_error(void)
{
	return ERRCODE_DISK_FULL;
}

/* Only writes that are to fail do; another error is one of the test. */
bool
webhook_transaction_try(const char *activity, void (*work) (void *arg), void *arg)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool done = false;

	webhook_clock_transactions++;
	has_written = false;
	PG_TRY();
	{
		work(arg);
		done = (strcmp(activity, "reading events") != 0 &&
				strcmp(activity, "reading subscriptions") != 0) ||
			webhook_clock_chance(1000000) >= webhook_clock_failing_reads;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(old);
		error = CopyErrorData();
		if (strcmp(error->message, "the disk is full") != 0)
			ReThrowError(error);
		FreeErrorData(error);
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return done;
}

WebhookSnapshot *
webhook_transaction_snapshot(void)
{
	WebhookSnapshot *snapshot = webhook_snapshot_empty();

	snapshot->xmin = snapshot->xmax = webhook_clock_next_xid();
	return snapshot;
}

bool
webhook_transaction_start(void (*work) (void *arg), void *arg)
{
	return webhook_transaction_try("starting", work, arg);
}

/* The fake clock jumps as it likes, and counts at once. */
void
webhook_steady_start(TimestampTz last, TimestampTz now)
{
}

void
webhook_steady_observe(TimestampTz now)
{
}

TimestampTz
webhook_steady_time(TimestampTz now)
{
	return now;
}
