/*
 * tail.c
 *	  Rows of the ring that were read for subscriptions that could not take them
 *	  yet.
 *
 * An entry is a key and a subscription, so that a row costs few bytes, however
 * large it is. Entries are in tuplestores, which go to temporary files when they
 * are large, one after the other: a file whose entries have all been read is
 * deleted. The next entries are in memory.
 *
 * Entries of one batch that one step has added after each other are a run, which says how
 * many they are, and pins that batch; the entries of a step that has failed are runs
 * without a batch, and are passed over.
 *
 * All of it is lost in a crash; the low-water mark is behind it.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

#include "ring/fetch_internal.h"
#include "ring/tail.h"

/* Entries that are in memory to be looked at. */
#define NEXT_ENTRIES	500

/* Entries of one tuplestore, and its memory in kB before it goes to a file. */
#define FILE_ENTRIES	50000
#define FILE_KB			64

typedef struct File
{
	dlist_node	node;			/* in tail->files */
	Tuplestorestate *store;
	int			nadded;
	int			nread;
} File;

typedef struct Run
{
	dlist_node	node;			/* in tail->runs */
	WebhookBatch *batch;		/* pinned once it is kept; NULL: the entries do not count */
	TimestampTz added_at;
	int64		unread;			/* entries that are still in the files */
} Run;

/* How many entries a subscription has. */
typedef struct Count
{
	int64		subscription_id;	/* hash key */
	int64		entries;
} Count;

struct WebhookTail
{
	MemoryContext context;
	dlist_head	files;			/* File, the oldest first */
	dlist_head	runs;			/* Run, likewise: the entries of all files, in their order */
	HTAB	   *counts;			/* Count, of subscriptions that have entries */
	Run		   *open;			/* the first run that is neither kept nor dropped; NULL: none */
	List	   *open_ids;		/* their subscriptions: int64 * */
	bool		adding;			/* an entry is being added: after an error its file is useless */
	TupleTableSlot *row;		/* to put an entry into a store, or to get one */
	WebhookTailEntry next[NEXT_ENTRIES];	/* the first entries, read from the files */
	int			first;			/* index in "next" of the first one */
	int			nnext;			/* end of what "next" has */
};

static Run *run_to_add_to(WebhookTail *tail, WebhookBatch *batch);
static Run *next_run(WebhookTail *tail, Run *run);
static File *file_to_add_to(WebhookTail *tail);
static void add_to_count(WebhookTail *tail, int64 subscription_id, int64 entries);
static void read_entries(WebhookTail *tail);
static bool read_entry(WebhookTail *tail, Run *run);
static void end_run(Run *run);

static struct
{
	ResourceOwner owner;		/* of the stores of all tails: they outlive transactions */
}			tails;

WebhookTail *
webhook_tail_new(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "webhook tail",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	WebhookTail *tail = palloc0(sizeof(WebhookTail));
	TupleDesc	desc = CreateTemplateTupleDesc(4);
	HASHCTL		control = {0};

	if (tails.owner == NULL)
		tails.owner = ResourceOwnerCreate(NULL, "webhook tail");
	tail->context = context;
	dlist_init(&tail->files);
	dlist_init(&tail->runs);
	control.hcxt = context;
	control.keysize = sizeof(int64);
	control.entrysize = sizeof(Count);
	tail->counts = hash_create("webhook tail", 64, &control,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);

	/* There may be no transaction to look up other types; an xid8 has the form of an int8. */
	TupleDescInitBuiltinEntry(desc, 1, "id", INT8OID, -1, 0);
	TupleDescInitBuiltinEntry(desc, 2, "txid", INT8OID, -1, 0);
	TupleDescInitBuiltinEntry(desc, 3, "table_no", INT4OID, -1, 0);
	TupleDescInitBuiltinEntry(desc, 4, "subscription_id", INT8OID, -1, 0);
	tail->row = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
	return tail;
}

bool
webhook_tail_is_empty(const WebhookTail *tail)
{
	return hash_get_num_entries(tail->counts) == 0;
}

bool
webhook_tail_has(const WebhookTail *tail, int64 subscription_id)
{
	return hash_search(tail->counts, &subscription_id, HASH_FIND, NULL) != NULL;
}

void
webhook_tail_add(WebhookTail *tail, const WebhookEvent *event, int64 subscription_id,
				 WebhookBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(tail->context);
	TupleTableSlot *row = tail->row;
	int64	   *id = palloc(sizeof(int64));
	Run		   *run;
	File	   *file;

	tail->adding = true;
	run = run_to_add_to(tail, batch);
	file = file_to_add_to(tail);
	ExecClearTuple(row);
	row->tts_values[0] = Int64GetDatum(event->id);
	row->tts_values[1] = FullTransactionIdGetDatum(event->txid);
	row->tts_values[2] = Int32GetDatum(event->table_no);
	row->tts_values[3] = Int64GetDatum(subscription_id);
	memset(row->tts_isnull, false, 4 * sizeof(bool));
	ExecStoreVirtualTuple(row);
	tuplestore_puttupleslot(file->store, row);
	ExecClearTuple(row);
	file->nadded++;
	run->unread++;
	*id = subscription_id;
	tail->open_ids = lappend(tail->open_ids, id);
	add_to_count(tail, subscription_id, 1);
	tail->adding = false;
	MemoryContextSwitchTo(old);
}

void
webhook_tail_keep(WebhookTail *tail, WebhookBatch *batch, TimestampTz now)
{
	for (Run *run = tail->open; run != NULL; run = next_run(tail, run))
	{
		if (run->batch == NULL)
			run->batch = batch;
		webhook_batch_pin(run->batch);
		run->added_at = now;
	}
	tail->open = NULL;
	list_free_deep(tail->open_ids);
	tail->open_ids = NIL;
}

/* A store that has failed while it went to its file has lost entries. */
bool
webhook_tail_drop(WebhookTail *tail)
{
	ListCell   *cell;

	if (tail->adding)
		return false;
	if (tail->open == NULL)
		return true;
	foreach(cell, tail->open_ids)
		add_to_count(tail, *(int64 *) lfirst(cell), -1);
	for (Run *run = tail->open; run != NULL; run = next_run(tail, run))
		run->batch = NULL;
	tail->open = NULL;
	list_free_deep(tail->open_ids);
	tail->open_ids = NIL;
	return true;
}

void
webhook_tail_append(WebhookTail *tail, WebhookTail *after)
{
	HASH_SEQ_STATUS scan;
	Count	   *counted;

	Assert(tail->open == NULL && after->open == NULL && after->nnext == 0);
	while (!dlist_is_empty(&after->files))
		dlist_push_tail(&tail->files, dlist_pop_head_node(&after->files));
	while (!dlist_is_empty(&after->runs))
		dlist_push_tail(&tail->runs, dlist_pop_head_node(&after->runs));
	hash_seq_init(&scan, after->counts);
	while ((counted = hash_seq_search(&scan)) != NULL)
	{
		add_to_count(tail, counted->subscription_id, counted->entries);
		hash_search(after->counts, &counted->subscription_id, HASH_REMOVE, NULL);
	}
}

const WebhookTailEntry *
webhook_tail_first(const WebhookTail *tail)
{
	return tail->first < tail->nnext ? &tail->next[tail->first] : NULL;
}

WebhookTailEntry *
webhook_tail_entry(WebhookTail *tail, int number)
{
	if (tail->first + number >= tail->nnext)
		read_entries(tail);
	return tail->first + number < tail->nnext ? &tail->next[tail->first + number] : NULL;
}

int
webhook_tail_fetch(WebhookTail *tail, int count, Size max_bytes)
{
	WebhookFetch *fetch = webhook_fetch_begin();
	WebhookTailEntry *before = NULL;
	Size		bytes = 0;
	int			fetched;

	for (fetched = 0; fetched < count && bytes < max_bytes; fetched++)
	{
		WebhookTailEntry *entry = &tail->next[tail->first + fetched];

		if (before != NULL && before->key.id == entry->key.id)
			entry->event = before->event;
		else
		{
			entry->event = webhook_fetch_event(fetch, &entry->key);
			bytes += entry->event == NULL ? 0 : entry->event->size;
		}
		before = entry;
	}
	webhook_fetch_end(fetch);
	return fetched;
}

void
webhook_tail_remove(WebhookTail *tail, int count)
{
	for (int i = 0; i < count; i++)
	{
		WebhookTailEntry *entry = &tail->next[tail->first++];

		add_to_count(tail, entry->subscription_id, -1);
		webhook_batch_unpin(entry->batch);
	}
	if (tail->first == tail->nnext)
		tail->first = tail->nnext = 0;
}

/* The newest run, or another one if that is not open, or is of another batch. */
static Run *
run_to_add_to(WebhookTail *tail, WebhookBatch *batch)
{
	Run		   *run;

	if (tail->open != NULL)
	{
		run = dlist_tail_element(Run, node, &tail->runs);
		if (run->batch == batch)
			return run;
	}
	run = palloc0(sizeof(Run));
	run->batch = batch;
	dlist_push_tail(&tail->runs, &run->node);
	if (tail->open == NULL)
		tail->open = run;
	return run;
}

/* The run after another one, or NULL. */
static Run *
next_run(WebhookTail *tail, Run *run)
{
	if (!dlist_has_next(&tail->runs, &run->node))
		return NULL;
	return dlist_container(Run, node, dlist_next_node(&tail->runs, &run->node));
}

/* The newest file, or another one if that has enough entries. */
static File *
file_to_add_to(WebhookTail *tail)
{
	File	   *file = dlist_is_empty(&tail->files) ? NULL :
		dlist_tail_element(File, node, &tail->files);
	ResourceOwner old = CurrentResourceOwner;

	if (file != NULL && file->nadded < FILE_ENTRIES)
		return file;
	file = palloc0(sizeof(File));
	CurrentResourceOwner = tails.owner;
	file->store = tuplestore_begin_heap(false, true, FILE_KB);
	CurrentResourceOwner = old;
	dlist_push_tail(&tail->files, &file->node);
	return file;
}

static void
add_to_count(WebhookTail *tail, int64 subscription_id, int64 entries)
{
	bool		found;
	Count	   *counted = hash_search(tail->counts, &subscription_id, HASH_ENTER, &found);

	counted->entries = (found ? counted->entries : 0) + entries;
	if (counted->entries == 0)
		hash_search(tail->counts, &subscription_id, HASH_REMOVE, NULL);
}

/* Fill "next" from the files. */
static void
read_entries(WebhookTail *tail)
{
	if (tail->first > 0)
	{
		memmove(tail->next, tail->next + tail->first,
				(tail->nnext - tail->first) * sizeof(WebhookTailEntry));
		tail->nnext -= tail->first;
		tail->first = 0;
	}
	while (tail->nnext < NEXT_ENTRIES && !dlist_is_empty(&tail->runs))
	{
		Run		   *run = dlist_head_element(Run, node, &tail->runs);

		if (run == tail->open)
			break;
		if (!read_entry(tail, run))
			elog(ERROR, "file of a tail ends too early");
	}
}

/* Read the next entry, which is one of this run. */
static bool
read_entry(WebhookTail *tail, Run *run)
{
	WebhookTailEntry *entry = &tail->next[tail->nnext];
	File	   *file = dlist_head_element(File, node, &tail->files);

	if (!tuplestore_gettupleslot(file->store, true, false, tail->row))
		return false;
	slot_getallattrs(tail->row);
	memset(entry, 0, sizeof(*entry));
	entry->key.id = DatumGetInt64(tail->row->tts_values[0]);
	entry->key.txid = DatumGetFullTransactionId(tail->row->tts_values[1]);
	entry->key.table_no = DatumGetInt32(tail->row->tts_values[2]);
	entry->subscription_id = DatumGetInt64(tail->row->tts_values[3]);
	ExecClearTuple(tail->row);

	if (run->batch != NULL)
	{
		entry->batch = run->batch;
		entry->added_at = run->added_at;
		webhook_batch_pin(entry->batch);
		tail->nnext++;
	}
	if (--run->unread == 0)
		end_run(run);
	if (++file->nread == file->nadded)
	{
		dlist_delete(&file->node);
		tuplestore_end(file->store);
		pfree(file);
	}
	return true;
}

static void
end_run(Run *run)
{
	dlist_delete(&run->node);
	if (run->batch != NULL)
		webhook_batch_unpin(run->batch);
	pfree(run);
}
