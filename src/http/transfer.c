/*
 * transfer.c
 *	  A transfer inside the engine: its memory, its lists, and what it keeps of
 *	  the response.
 *
 * A transfer and all that belongs to it live in a chain of malloc'ed blocks:
 * first the copy of the request, then what came back, within limits. Blocks
 * are recycled. If memory is out, the transfer is not accepted or fails, and
 * no other transfer is affected.
 *
 * The peer's bytes are not trusted: they are counted as they come, and none is
 * kept beyond the limits of http.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/transfer_internal.h"

#define BLOCK_SIZE			4096	/* bytes of a recycled block, header included */
#define MAX_SPARE_BLOCKS	1024	/* that are kept for new transfers */

struct WebhookHttpBlock
{
	WebhookHttpBlock *next;		/* of the transfer, or of the spare ones */
	size_t		size;			/* bytes, this header included */
	size_t		used;			/* bytes, this header included */
};

#define OWN_HEADERS			2	/* that libcurl adds: Host and Content-Length */
#define LENGTH_BYTES		21	/* of a Content-Length, with its NUL */

#define ALIGN(size)			(((size) + 15) & ~(size_t) 15)
#define BLOCK_HEADER		ALIGN(sizeof(WebhookHttpBlock))

void
webhook_http_list_append(WebhookHttpList *list, WebhookHttpPost *post)
{
	post->next = NULL;
	if (list->last)
		list->last->next = post;
	else
		list->first = post;
	list->last = post;
}

WebhookHttpPost *
webhook_http_list_pop(WebhookHttpList *list)
{
	WebhookHttpPost *post = list->first;

	if (post)
	{
		list->first = post->next;
		if (list->first == NULL)
			list->last = NULL;
	}
	return post;
}

void
webhook_http_list_remove(WebhookHttpList *list, WebhookHttpPost *post)
{
	WebhookHttpPost *before = NULL;
	WebhookHttpPost *it;

	for (it = list->first; it != NULL && it != post; it = it->next)
		before = it;
	if (it == NULL)
		return;
	if (before)
		before->next = it->next;
	else
		list->first = it->next;
	if (list->last == it)
		list->last = before;
}

/* Get a block with room for "size" bytes. Returns NULL if memory is out. */
static WebhookHttpBlock *
get_block(WebhookHttpHeap *heap, size_t size)
{
	WebhookHttpBlock *block = NULL;
	size_t		total = BLOCK_HEADER + size;

	if (total <= BLOCK_SIZE)
	{
		total = BLOCK_SIZE;
		block = heap->spare;
	}
	if (block)
	{
		heap->spare = block->next;
		heap->nspare--;
	}
	else
	{
		block = malloc(total);
		if (block == NULL)
			return NULL;
	}
	block->next = NULL;
	block->size = total;
	block->used = BLOCK_HEADER;
	heap->used += total;
	return block;
}

static void
put_block(WebhookHttpHeap *heap, WebhookHttpBlock *block)
{
	heap->used -= block->size;
	if (block->size == BLOCK_SIZE && heap->nspare < MAX_SPARE_BLOCKS)
	{
		block->next = heap->spare;
		heap->spare = block;
		heap->nspare++;
	}
	else
		free(block);
}

/* Take aligned memory out of a block that has room for it. */
static void *
take(WebhookHttpBlock *block, size_t size)
{
	void	   *result = (char *) block + block->used;

	block->used += ALIGN(size);
	return result;
}

/* Copy bytes into the block, and a NUL behind them. */
static char *
take_bytes(WebhookHttpBlock *block, const char *bytes, size_t length)
{
	char	   *copy = take(block, length + 1);

	if (length > 0)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

/*
 * Copy a header into the block in the form that libcurl takes: "Name: value", or "Name;" for an
 * empty value, because "Name:" would mean to leave the header out.
 */
static char *
take_line(WebhookHttpBlock *block, const WebhookHttpHeader *header,
		  size_t name_length, size_t value_length)
{
	char	   *line = take(block, name_length + value_length + 3);
	char	   *end = line + name_length;

	memcpy(line, header->name, name_length);
	if (value_length == 0)
		*end++ = ';';
	else
	{
		*end++ = ':';
		*end++ = ' ';
		memcpy(end, header->value, value_length);
		end += value_length;
	}
	*end = '\0';
	return line;
}

/* The room that take_file() needs. */
static size_t
file_size(const char *name)
{
	return name ? ALIGN(strlen(name) + 1) : 0;
}

/* Copy the name of a file, which may be NULL. */
static const char *
take_file(WebhookHttpBlock *block, const char *name)
{
	return name ? take_bytes(block, name, strlen(name)) : NULL;
}

/*
 * Note the headers that libcurl adds, where it does: the first one and the last one (RFC 9112,
 * section 3.2, RFC 9110, section 8.6). A canonical URL has no port that is the scheme's default,
 * and no user, so its authority is the value of Host.
 */
static void
take_own_headers(WebhookHttpBlock *block, const WebhookHttpRequest *request,
				 WebhookHttpHeader *first, WebhookHttpHeader *last)
{
	const char *host = strstr(request->url, "://");
	char	   *length = take(block, LENGTH_BYTES);

	host = host ? host + 3 : request->url;
	first->name = "Host";
	first->value = take_bytes(block, host, strcspn(host, "/?#"));
	snprintf(length, LENGTH_BYTES, "%zu", request->body_length);
	last->name = "Content-Length";
	last->value = length;
}

/* The room that a transfer needs for itself and the copy of its request. */
static size_t
size_of(const WebhookHttpRequest *request)
{
	size_t		size = ALIGN(sizeof(WebhookHttpPost)) + ALIGN(strlen(request->url) + 1) +
		ALIGN(request->body_length + 1) +
		file_size(request->ca) + file_size(request->client_certificate) +
		ALIGN((request->nheaders + OWN_HEADERS) * sizeof(WebhookHttpHeader)) +
		ALIGN(strlen(request->url) + 1) + ALIGN(LENGTH_BYTES) +
		ALIGN(request->nheaders * sizeof(char *));

	for (int i = 0; i < request->nheaders; i++)
	{
		size_t		name_length = strlen(request->headers[i].name);
		size_t		value_length = strlen(request->headers[i].value);

		size += ALIGN(name_length + 1) + ALIGN(value_length + 1) +
			ALIGN(name_length + value_length + 3);
	}
	return size;
}

WebhookHttpPost *
webhook_http_post_new(WebhookHttpHeap *heap, const WebhookHttpRequest *request,
					  void *tag)
{
	int			nheaders = request->nheaders;
	WebhookHttpBlock *block = get_block(heap, size_of(request));
	WebhookHttpPost *post;
	WebhookHttpHeader *headers;

	if (block == NULL)
		return NULL;
	post = take(block, sizeof(WebhookHttpPost));
	memset(post, 0, sizeof(WebhookHttpPost));
	post->heap = heap;
	post->blocks = block;
	post->stage = WEBHOOK_HTTP_WAITING;
	post->timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : 1;
	post->connect_timeout_ms =
		request->connect_timeout_ms > 0 ? request->connect_timeout_ms : 1;

	headers = take(block, (nheaders + OWN_HEADERS) * sizeof(WebhookHttpHeader));
	take_own_headers(block, request, &headers[0], &headers[nheaders + 1]);
	post->nlines = nheaders;
	post->lines = take(block, nheaders * sizeof(char *));
	for (int i = 0; i < nheaders; i++)
	{
		const WebhookHttpHeader *header = &request->headers[i];
		size_t		name_length = strlen(header->name);
		size_t		value_length = strlen(header->value);

		headers[i + 1].name = take_bytes(block, header->name, name_length);
		headers[i + 1].value = take_bytes(block, header->value, value_length);
		post->lines[i] = take_line(block, header, name_length, value_length);
	}

	post->ca = take_file(block, request->ca);
	post->client_certificate = take_file(block, request->client_certificate);
	post->new_connection = request->new_connection;
	post->transfer.tag = tag;
	post->transfer.url = take_bytes(block, request->url, strlen(request->url));
	post->transfer.nheaders = nheaders + OWN_HEADERS;
	post->transfer.headers = headers;
	post->transfer.body = take_bytes(block, request->body,
									 request->body_length);
	post->transfer.body_length = request->body_length;
	post->transfer.response_body = "";
	post->transfer.retry_after = -1;
	return post;
}

void *
webhook_http_post_allocate(WebhookHttpPost *post, size_t size)
{
	WebhookHttpBlock *block = post->blocks;

	if (block->used + ALIGN(size) > block->size)
	{
		block = get_block(post->heap, ALIGN(size));
		if (block == NULL)
			return NULL;
		block->next = post->blocks;
		post->blocks = block;
	}
	return take(block, size);
}

void
webhook_http_post_free(WebhookHttpPost *post)
{
	WebhookHttpHeap *heap = post->heap;
	WebhookHttpBlock *block = post->blocks;

	while (block)
	{
		WebhookHttpBlock *next = block->next;

		put_block(heap, block);
		block = next;
	}
}

void
webhook_http_post_fail(WebhookHttpPost *post, WebhookHttpError error,
					   const char *message)
{
	post->transfer.error = error;
	snprintf(post->transfer.message, sizeof(post->transfer.message), "%s",
			 message);
}

/*
 * The status in "HTTP/1.1 200 OK" (RFC 9112, section 4) or "HTTP/2 200", as libcurl writes it.
 * Returns 0 if the line is neither, also for four digits, of which some versions of libcurl take
 * three.
 */
static int
parse_status(const char *line, size_t length)
{
	const char *end = line + length;
	const char *at = memchr(line, ' ', length);
	int			status = 0;
	int			digits;

	if (at == NULL)
		return 0;
	for (at++, digits = 0; at < end && digits < 3; at++, digits++)
	{
		if (*at < '0' || *at > '9')
			return 0;
		status = status * 10 + (*at - '0');
	}
	if (digits < 3 || (at < end && *at >= '0' && *at <= '9'))
		return 0;
	return status;
}

bool
webhook_http_post_take_header(WebhookHttpPost *post, const char *line,
							  size_t length)
{
	bool		blank = length == 0 || *line == '\r' || *line == '\n';
	bool		begins = post->block_begins;

	post->block_begins = false;
	post->header_bytes += length;
	if (post->header_bytes > WEBHOOK_HTTP_MAX_HEADERS)
		post->stop = WEBHOOK_HTTP_STOP_HEADERS;
	else if (!post->in_headers && post->transfer.status == 0 &&
			 length > 5 && memcmp(line, "HTTP/", 5) == 0)
	{
		post->in_headers = true;
		post->block_begins = true;
		post->block_status = parse_status(line, length);
		if (post->block_status >= 200 || post->block_status == 101)
			post->transfer.status = post->block_status;
	}
	else if (blank)
	{
		post->in_headers = false;
		if (post->block_status == 101)
			post->stop = WEBHOOK_HTTP_STOP_COMPLETE;
	}
	else if (begins && (*line == ' ' || *line == '\t'))
		post->stop = WEBHOOK_HTTP_STOP_FOLD;	/* RFC 9112, section 2.2 */
	else if (++post->header_lines > WEBHOOK_HTTP_MAX_HEADER_LINES)
		post->stop = WEBHOOK_HTTP_STOP_HEADERS;
	return post->stop == WEBHOOK_HTTP_STOP_NONE;
}

/*
 * Keep bytes of the body. Room for them grows in three steps: to 512 bytes, to 4096, then to
 * WEBHOOK_HTTP_KEPT_BODY. Returns false if memory is out.
 */
static bool
keep(WebhookHttpPost *post, const char *bytes, size_t length)
{
	WebhookHttpTransfer *transfer = &post->transfer;
	size_t		needed = transfer->response_length + length;

	if (needed > post->body_room)
	{
		size_t		room = needed <= 512 ? 512 : needed <= 4096 ? 4096 :
			WEBHOOK_HTTP_KEPT_BODY;
		char	   *body = webhook_http_post_allocate(post, room);

		if (body == NULL)
			return false;
		if (transfer->response_length > 0)
			memcpy(body, post->body, transfer->response_length);
		post->body = body;
		post->body_room = room;
		transfer->response_body = body;
	}
	memcpy(post->body + transfer->response_length, bytes, length);
	transfer->response_length = needed;
	return true;
}

bool
webhook_http_post_take_body(WebhookHttpPost *post, const char *bytes,
							size_t length)
{
	size_t		room = WEBHOOK_HTTP_KEPT_BODY - post->transfer.response_length;
	size_t		kept = length < room ? length : room;

	post->body_received += length;
	if (kept > 0 && !keep(post, bytes, kept))
		post->stop = WEBHOOK_HTTP_STOP_MEMORY;
	else if (post->body_received > WEBHOOK_HTTP_MAX_BODY)
		post->stop = WEBHOOK_HTTP_STOP_BODY;
	return post->stop == WEBHOOK_HTTP_STOP_NONE;
}
