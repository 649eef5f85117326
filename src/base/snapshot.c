/*
 * snapshot.c
 *	  Snapshots as values that outlive their transaction.
 *
 * PostgreSQL's own snapshots live in a transaction and hold back vacuum; these
 * values do neither. A value has the contents of pg_current_snapshot(), so type
 * pg_snapshot can store it. The text form of that type is the only documented
 * way to convert to it and from it, and is used for both.
 *
 * Only a snapshot that was taken on a primary names all running top-level
 * transactions, including prepared ones, however many subtransactions they have.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/qunique.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/snapmgr.h"

#include "base/snapshot.h"

static WebhookSnapshot *allocate(uint32 nxip);
static FullTransactionId widen(TransactionId xid, FullTransactionId next);
static int	compare(const void *a, const void *b);
static bool parse_xid(const char **text, FullTransactionId *xid);

WebhookSnapshot *
webhook_snapshot_make(Snapshot snapshot, FullTransactionId also_running)
{
	FullTransactionId next = ReadNextFullTransactionId();
	WebhookSnapshot *result = allocate(snapshot->xcnt + 1);
	uint32		n = 0;

	if (snapshot->snapshot_type != SNAPSHOT_MVCC ||
		snapshot->takenDuringRecovery)
		elog(ERROR, "snapshot does not name all running transactions");

	result->xmin = widen(snapshot->xmin, next);
	result->xmax = widen(snapshot->xmax, next);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		result->xip[n++] = widen(snapshot->xip[i], next);
	if (FullTransactionIdIsValid(also_running) &&
		FullTransactionIdPrecedes(also_running, result->xmax))
	{
		result->xip[n++] = also_running;
		if (FullTransactionIdPrecedes(also_running, result->xmin))
			result->xmin = also_running;
	}

	/* A transaction that is being prepared can be in the list twice. */
	qsort(result->xip, n, sizeof(FullTransactionId), compare);
	result->nxip = qunique(result->xip, n, sizeof(FullTransactionId), compare);
	return result;
}

WebhookSnapshot *
webhook_snapshot_now(void)
{
	FullTransactionId own = GetTopFullTransactionId();

	return webhook_snapshot_make(GetLatestSnapshot(), own);
}

WebhookSnapshot *
webhook_snapshot_empty(void)
{
	WebhookSnapshot *result = allocate(0);

	result->xmin = FirstNormalFullTransactionId;
	result->xmax = FirstNormalFullTransactionId;
	return result;
}

WebhookSnapshot *
webhook_snapshot_copy(const WebhookSnapshot *snapshot)
{
	Size		size = webhook_snapshot_size(snapshot);

	return memcpy(palloc(size), snapshot, size);
}

bool
webhook_snapshot_sees(const WebhookSnapshot *snapshot, FullTransactionId xid)
{
	if (FullTransactionIdPrecedes(xid, snapshot->xmin))
		return true;
	if (FullTransactionIdFollowsOrEquals(xid, snapshot->xmax))
		return false;
	return bsearch(&xid, snapshot->xip, snapshot->nxip,
				   sizeof(FullTransactionId), compare) == NULL;
}

bool
webhook_snapshot_equal(const WebhookSnapshot *a, const WebhookSnapshot *b)
{
	if (!FullTransactionIdEquals(a->xmin, b->xmin) ||
		!FullTransactionIdEquals(a->xmax, b->xmax) || a->nxip != b->nxip)
		return false;
	for (uint32 i = 0; i < a->nxip; i++)
	{
		if (!FullTransactionIdEquals(a->xip[i], b->xip[i]))
			return false;
	}
	return true;
}

/* As long as xmax is the same, transactions only end: the list of running ones gets shorter. */
int
webhook_snapshot_compare(const WebhookSnapshot *a, const WebhookSnapshot *b)
{
	if (!FullTransactionIdEquals(a->xmax, b->xmax))
		return FullTransactionIdPrecedes(a->xmax, b->xmax) ? -1 : 1;
	return a->nxip == b->nxip ? 0 : a->nxip > b->nxip ? -1 : 1;
}

Size
webhook_snapshot_size(const WebhookSnapshot *snapshot)
{
	return offsetof(WebhookSnapshot, xip) +
		snapshot->nxip * sizeof(FullTransactionId);
}

WebhookSnapshot *
webhook_snapshot_from_text(const char *text, char end)
{
	uint32		commas = 0;
	WebhookSnapshot *result;

	for (const char *p = text; *p != end && *p != '\0'; p++)
		commas += *p == ',';

	/* xmin:xmax:xip,xip,... in ascending order */
	result = allocate(commas + 1);
	if (!parse_xid(&text, &result->xmin) || *text++ != ':' ||
		!parse_xid(&text, &result->xmax) || *text++ != ':')
		return NULL;
	while (*text != end)
	{
		if (!parse_xid(&text, &result->xip[result->nxip++]))
			return NULL;
		if (*text == ',')
			text++;
		else if (*text != end)
			return NULL;
	}
	return result;
}

char *
webhook_snapshot_to_text(const WebhookSnapshot *snapshot)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, UINT64_FORMAT ":" UINT64_FORMAT ":",
					 U64FromFullTransactionId(snapshot->xmin),
					 U64FromFullTransactionId(snapshot->xmax));
	for (uint32 i = 0; i < snapshot->nxip; i++)
		appendStringInfo(&text, "%s" UINT64_FORMAT, i == 0 ? "" : ",",
						 U64FromFullTransactionId(snapshot->xip[i]));
	return text.data;
}

WebhookSnapshot *
webhook_snapshot_from_datum(Datum datum)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(pg_snapshot_out, datum));
	WebhookSnapshot *result = webhook_snapshot_from_text(text, '\0');

	if (result == NULL)
		elog(ERROR, "unexpected form of pg_snapshot: %s", text);
	pfree(text);
	return result;
}

Datum
webhook_snapshot_to_datum(const WebhookSnapshot *snapshot)
{
	char	   *text = webhook_snapshot_to_text(snapshot);
	Datum		result = DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(text));

	pfree(text);
	return result;
}

/* A snapshot with room for "nxip" running transactions, but without any. */
static WebhookSnapshot *
allocate(uint32 nxip)
{
	WebhookSnapshot *result = palloc(offsetof(WebhookSnapshot, xip) +
									 nxip * sizeof(FullTransactionId));

	result->nxip = 0;
	return result;
}

/* The last transaction before "next" with that 32-bit id, or "next" itself. */
static FullTransactionId
widen(TransactionId xid, FullTransactionId next)
{
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return FullTransactionIdFromEpochAndXid(epoch, xid);
}

static int
compare(const void *a, const void *b)
{
	uint64		x = U64FromFullTransactionId(*(const FullTransactionId *) a);
	uint64		y = U64FromFullTransactionId(*(const FullTransactionId *) b);

	return x < y ? -1 : x > y;
}

/* Parse a number of the text form, and go on behind it. Returns false if there is none. */
static bool
parse_xid(const char **text, FullTransactionId *xid)
{
	char	   *end;

	if (**text < '0' || **text > '9')
		return false;
	*xid = FullTransactionIdFromU64(strtoull(*text, &end, 10));
	*text = end;
	return true;
}
