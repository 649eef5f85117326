/*
 * statistics.c
 *	  What became of deliveries in the present minute, by subscription.
 *
 * The writer counts what it has committed; maintenance writes the numbers once a
 * minute and begins again. So the table has an entry of at most one minute for
 * each subscription that exists or has ended since. A worker that ends takes the
 * numbers of its last minute along.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "worker/statistics_internal.h"

static struct
{
	HTAB	   *table;			/* subscription id -> WebhookStatMinute; NULL: no result so far */
}			statistics;

static int	bucket(int64 duration);

void
webhook_statistics_add(const WebhookLogEntry *entry)
{
	WebhookStatMinute *minute;
	bool		found;

	if (entry->outcome == WEBHOOK_DEFERRED)
		return;
	if (statistics.table == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(int64);
		control.entrysize = sizeof(WebhookStatMinute);
		control.hcxt = TopMemoryContext;
		statistics.table = hash_create("webhook statistics", 64, &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	minute = hash_search(statistics.table, &entry->delivery.subscription_id, HASH_ENTER, &found);
	if (!found)
	{
		memset(minute, 0, sizeof(*minute));
		minute->subscription_id = entry->delivery.subscription_id;
	}
	minute->outcomes[entry->outcome]++;
	if (entry->transfer != NULL)
		minute->latency[bucket(entry->transfer->duration)]++;
}

WebhookStatMinute *
webhook_statistics_rows(int *count)
{
	long		entries = statistics.table ? hash_get_num_entries(statistics.table) : 0;
	WebhookStatMinute *rows = palloc0_array(WebhookStatMinute, entries + 1);
	WebhookStatMinute *all = &rows[entries];
	WebhookStatMinute *minute;
	HASH_SEQ_STATUS scan;

	*count = 0;
	if (entries > 0)
	{
		hash_seq_init(&scan, statistics.table);
		while ((minute = hash_seq_search(&scan)) != NULL)
		{
			rows[(*count)++] = *minute;
			for (int i = 0; i < WEBHOOK_OUTCOMES; i++)
				all->outcomes[i] += minute->outcomes[i];
			for (int i = 0; i < WEBHOOK_LATENCIES; i++)
				all->latency[i] += minute->latency[i];
		}
	}
	for (int i = 0; i <= *count; i++)
		rows[i].pending = -1;
	(*count)++;
	return rows;
}

void
webhook_statistics_clear(void)
{
	if (statistics.table != NULL)
		hash_destroy(statistics.table);
	statistics.table = NULL;
}

/* The element of a histogram for a duration in microseconds. */
static int
bucket(int64 duration)
{
	int			i = 0;

	while (i < WEBHOOK_LATENCIES - 1 && duration >= (INT64CONST(1000) << i))
		i++;
	return i;
}
