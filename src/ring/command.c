/*
 * command.c
 *	  Commands: rows of the ring that tell the worker something about one
 *	  subscription.
 *
 * A replay holds the whole event, because the event may have left the ring and
 * the log by the time the replay is read. The data of the event is kept as it
 * was published, blanks and order of keys included. So the row is not parsed as
 * JSON: it is written in one form only, and a row in another form is ignored.
 */
#include "postgres.h"

#include "ring/command.h"

#define REPLAY "{\"subscription\":" INT64_FORMAT ",\"cause\":\"%s\",\"id\":" INT64_FORMAT \
	",\"txid\":" UINT64_FORMAT ",\"created_at\":" INT64_FORMAT ",\"data\":"
#define SNAPSHOT ",\"snapshot\":\""

static bool is_before(const WebhookReach *reach, int64 id, FullTransactionId txid);

char *
webhook_command_form(const WebhookCommand *command)
{
	char	   *head;
	char	   *text;
	size_t		length;

	if (command->snapshot != NULL)
		return psprintf("{\"subscription\":" INT64_FORMAT SNAPSHOT "%s\"}",
						command->subscription_id, command->snapshot);
	if (command->data == NULL)
		return psprintf("{\"subscription\":" INT64_FORMAT "}", command->subscription_id);

	head = psprintf(REPLAY, command->subscription_id,
					webhook_cause_name(command->cause), command->id,
					U64FromFullTransactionId(command->txid), command->created_at);
	length = strlen(head);
	text = palloc(length + command->data_length + 2);

	memcpy(text, head, length);
	memcpy(text + length, command->data, command->data_length);
	memcpy(text + length + command->data_length, "}", 2);
	pfree(head);
	return text;
}

bool
webhook_command_parse(const WebhookEvent *row, WebhookCommand *command)
{
	long long	subscription_id;
	long long	id;
	unsigned long long txid;
	long long	created_at;
	char		cause[16];
	int			head = 0;
	size_t		length;
	const char *rest;

	memset(command, 0, sizeof(WebhookCommand));
	if (row->data == NULL ||
		sscanf(row->data, "{\"subscription\":%lld", &subscription_id) != 1)
		return false;
	command->subscription_id = subscription_id;
	if (row->kind != WEBHOOK_REPLAY)
	{
		rest = strchr(row->data, ',');
		if (rest != NULL && strncmp(rest, SNAPSHOT, strlen(SNAPSHOT)) == 0)
			command->snapshot = rest + strlen(SNAPSHOT);
		return true;
	}

	length = strlen(row->data);
	if (sscanf(row->data,
			   "{\"subscription\":%lld,\"cause\":\"%15[a-z]\",\"id\":%lld,\"txid\":%llu,\"created_at\":%lld,\"data\":%n",
			   &subscription_id, cause, &id, &txid, &created_at, &head) != 5 ||
		head == 0 || head + 1 > length || row->data[length - 1] != '}' ||
		row->event_type == NULL || !webhook_cause_find(cause, &command->cause))
		return false;
	command->id = id;
	command->txid = FullTransactionIdFromU64(txid);
	command->created_at = created_at;
	command->data = row->data + head;
	command->data_length = length - 1 - head;
	return true;
}

/* The name of no event type begins so. */
bool
webhook_replay_mark(const char *data, char *mark)
{
	long long	subscription_id;

	if (sscanf(data, "{\"subscription\":%lld", &subscription_id) != 1)
		return false;
	snprintf(mark, WEBHOOK_REPLAY_MARK_SIZE, "@%lld", subscription_id);
	return true;
}

int64
webhook_replay_mark_subscription(const char *name)
{
	return name[0] == '@' ? strtoll(name + 1, NULL, 10) : 0;
}

/* Without a snapshot, in a row that somebody wrote by hand, ids have to do. */
WebhookReach
webhook_command_reach(const WebhookEvent *row, const WebhookCommand *command)
{
	WebhookReach reach = {row->id, NULL, row->txid, row->kind == WEBHOOK_ERASE};

	if (command->snapshot != NULL)
		reach.snapshot = webhook_snapshot_from_text(command->snapshot, '"');
	return reach;
}

bool
webhook_reach_covers(const WebhookReach *reach, int64 position, FullTransactionId txid,
					 int64 id, FullTransactionId origin)
{
	return is_before(reach, position, txid) ||
		(reach->replays && id != position && is_before(reach, id, origin));
}

/* Returns true if that row of the ring, of that transaction, came before the command. */
static bool
is_before(const WebhookReach *reach, int64 id, FullTransactionId txid)
{
	return id < reach->before &&
		(reach->snapshot == NULL || FullTransactionIdEquals(txid, reach->txid) ||
		 webhook_snapshot_sees(reach->snapshot, txid));
}

WebhookEvent *
webhook_command_event(const WebhookEvent *row, const WebhookCommand *command)
{
	WebhookEventTexts texts = {
		.event_type = webhook_text(row->event_type),
		.subject = webhook_text(row->subject),
		.tenant = webhook_text(row->tenant),
		.context = webhook_text(row->context),
		.data = {command->data, command->data_length}
	};
	WebhookEvent *event = webhook_event_make(&texts);

	/* A ping has no event but this row. */
	event->id = command->id != 0 ? command->id : row->id;
	event->txid = row->txid;
	event->origin = command->txid;
	event->created_at = command->created_at;
	event->event_id = row->event_id;
	event->kind = WEBHOOK_EVENT;
	return event;
}
