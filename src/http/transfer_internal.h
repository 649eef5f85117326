/*
 * transfer_internal.h
 *	  A transfer's memory, and what is kept of its response. Private to the
 *	  http room; no libcurl here.
 */
#ifndef WEBHOOK_HTTP_TRANSFER_H
#define WEBHOOK_HTTP_TRANSFER_H

#include "http/http.h"
#include "net/target.h"

typedef struct WebhookHttpBlock WebhookHttpBlock;

/* Where transfers live. */
typedef struct WebhookHttpHeap
{
	size_t		used;			/* bytes in transfers */
	WebhookHttpBlock *spare;
	int			nspare;
} WebhookHttpHeap;

typedef enum WebhookHttpStage
{
	WEBHOOK_HTTP_WAITING,		/* submitted */
	WEBHOOK_HTTP_RESOLVING,		/* its host is being looked up */
	WEBHOOK_HTTP_RUNNING,		/* libcurl has it */
	WEBHOOK_HTTP_ENDED,
	WEBHOOK_HTTP_HARVESTED,		/* the caller has it */
} WebhookHttpStage;

/* Why we ended the transfer. */
typedef enum WebhookHttpStop
{
	WEBHOOK_HTTP_STOP_NONE,
	WEBHOOK_HTTP_STOP_COMPLETE, /* 101: nothing more will come */
	WEBHOOK_HTTP_STOP_BODY,		/* enough of it */
	WEBHOOK_HTTP_STOP_HEADERS,	/* too much of them */
	WEBHOOK_HTTP_STOP_FOLD,		/* they begin within one */
	WEBHOOK_HTTP_STOP_PADDING,	/* bytes that are neither header nor body */
	WEBHOOK_HTTP_STOP_CODING,	/* a transfer coding that nobody asked for */
	WEBHOOK_HTTP_STOP_MEMORY,
	WEBHOOK_HTTP_STOP_REFUSED,	/* the guard has said why */
	WEBHOOK_HTTP_STOP_UNRESOLVED,	/* its host is to be looked up first */
} WebhookHttpStop;

/* What is behind a WebhookHttpTransfer. */
typedef struct WebhookHttpPost
{
	WebhookHttpTransfer transfer;
	struct WebhookHttpPost *next;	/* in the list of its stage */
	WebhookHttpHeap *heap;
	WebhookHttpBlock *blocks;	/* the newest first, this struct in the last */
	WebhookHttpStage stage;
	void	   *easy;			/* while running */
	char	  **lines;			/* "name: value" of each request header */
	const char *ca;				/* NULL: none, as in the request */
	const char *client_certificate;
	int			timeout_ms;
	int			connect_timeout_ms;
	int64_t		start;			/* monotonic, microseconds */
	int			socket_errno;	/* a socket could not be made */

	/* Whom it is for (http_guard.c), and where that is (http_resolve.c). */
	WebhookTarget target;
	bool		through_proxy;	/* its handle was made so */
	char	   *resolved;		/* NULL: libcurl may know, or the guard does not */
	void	   *lookup;			/* while it is resolving */

	/* The response, as far as it came. */
	WebhookHttpStop stop;
	size_t		header_bytes;	/* of all blocks, trailers included */
	int			header_lines;
	bool		in_headers;		/* between a status line and its blank line */
	int			block_status;	/* of the header block being read */
	bool		block_begins;	/* with the next line */
	char	   *body;
	size_t		body_room;
	size_t		body_received;
	size_t		taken;			/* headers and body at the last look */
	int			idle_looks;		/* since these grew */
} WebhookHttpPost;

typedef struct WebhookHttpList
{
	WebhookHttpPost *first;
	WebhookHttpPost *last;
} WebhookHttpList;

extern void webhook_http_append(WebhookHttpList *list, WebhookHttpPost *post);
extern WebhookHttpPost *webhook_http_pop(WebhookHttpList *list);
extern void webhook_http_unlink(WebhookHttpList *list, WebhookHttpPost *post);

/* A transfer with a copy of the request, or NULL. */
extern WebhookHttpPost *webhook_http_new(WebhookHttpHeap *heap,
										 const WebhookHttpRequest *request,
										 void *tag);

/* Memory that lives as long as the transfer, or NULL. */
extern void *webhook_http_allocate(WebhookHttpPost *post, size_t size);

extern void webhook_http_free(WebhookHttpPost *post);

extern void webhook_http_fail(WebhookHttpPost *post, WebhookHttpError error,
							  const char *message);

/*
 * Take in one line of a header block, of 1xx ones and of trailers too; some
 * bytes of the body.  False: the transfer shall end, "stop" says why.
 */
extern bool webhook_http_take_header(WebhookHttpPost *post,
									 const char *line, size_t length);
extern bool webhook_http_take_body(WebhookHttpPost *post,
								   const char *bytes, size_t length);

#endif							/* WEBHOOK_HTTP_TRANSFER_H */
