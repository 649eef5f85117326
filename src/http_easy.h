/*
 * http_easy.h
 *	  One request as libcurl sees it: an easy handle, its options, its result.
 *	  Private to the http room; libcurl's types stay out of headers.
 */
#ifndef WEBHOOK_HTTP_EASY_H
#define WEBHOOK_HTTP_EASY_H

#include "http_transfer.h"

/* Free handles, and what a new one is set to. */
typedef struct WebhookHttpPool
{
	struct WebhookHttpEasy *spare;
	int			nspare;
	int			max_spare;
	const char *ca_file;		/* NULL: the system's */
	bool		drop_ca_path;
	void		(*closing) (void *arg, int fd); /* told before it is closed */
	void	   *closing_arg;
} WebhookHttpPool;

typedef struct WebhookHttpEasy
{
	struct WebhookHttpEasy *next;
	void	   *curl;
	WebhookHttpPost *post;
	char		error[256];		/* CURL_ERROR_SIZE */
} WebhookHttpEasy;

/* A handle ready to run this transfer; or NULL, and the transfer has failed. */
extern WebhookHttpEasy *webhook_http_easy_get(WebhookHttpPool *pool,
											  WebhookHttpPost *post);

/* The handle is free again. If it went through something odd, drop it. */
extern void webhook_http_easy_put(WebhookHttpPool *pool,
								  WebhookHttpEasy *easy, bool reusable);

/*
 * libcurl's result (a CURLcode) and all there is to know about the exchange,
 * into the transfer. Before the handle leaves the multi handle.
 */
extern void webhook_http_easy_read(WebhookHttpEasy *easy, int result);

#endif							/* WEBHOOK_HTTP_EASY_H */
