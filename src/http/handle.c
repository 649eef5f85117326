/*
 * handle.c
 *	  One request as libcurl sees it: an easy handle, its options, its result.
 *
 * Handles are recycled with the options that every request has in common; one
 * request sets its URL, headers, body and times.  libcurl reads headers and
 * body where they lie, in the transfer.  Callbacks store and return.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/handle_internal.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "webhook needs libcurl 7.87 or newer: older ones wait for a slow resolver"
#endif

#if CURL_ERROR_SIZE > 256
#error "the room for libcurl's messages is too small"
#endif

#define BUFFER_SIZE			4096L	/* libcurl's, for what it receives */
#define DNS_CACHE_SECONDS	60L
#define CA_CACHE_SECONDS	300L
#define MAX_IDLE_LOOKS		256 /* of up to 100 buffers each */

/* Headers that libcurl would add, left out. */
static char no_accept[] = "Accept:";
static char no_expect[] = "Expect:";
static struct curl_slist without_expect = {no_expect, NULL};
static struct curl_slist without_accept = {no_accept, &without_expect};

/* No "TE" was sent: only chunked may come, anything else would be unpacked. */
static bool
foreign_coding(const char *line, size_t length)
{
	static const char name[] = "transfer-encoding:";
	const char *end = line + length;

	if (length < sizeof(name) - 1 ||
		!curl_strnequal(line, name, sizeof(name) - 1))
		return false;
	line += sizeof(name) - 1;
	while (line < end && (*line == ' ' || *line == '\t'))
		line++;
	while (line < end && strchr(" \t\r\n", end[-1]))
		end--;
	return !(end - line == 7 && curl_strnequal(line, "chunked", 7)) &&
		!(end - line == 8 && curl_strnequal(line, "identity", 8));
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
	WebhookHttpHandle *easy = arg;
	size_t		length = size * count;

	if (foreign_coding(line, length))
	{
		easy->post->stop = WEBHOOK_HTTP_STOP_CODING;
		return 0;
	}
	return webhook_http_take_header(easy->post, line, length) ? length : 0;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	WebhookHttpHandle *easy = arg;
	size_t		length = size * count;

	return webhook_http_take_body(easy->post, bytes, length) ? length : 0;
}

/*
 * libcurl calls this each time it has read.  Extensions of chunks reach neither
 * callback above, however many there are.  Streams of HTTP/2 read for each
 * other, and have none.
 */
static int
on_progress(void *arg, curl_off_t total_down, curl_off_t down,
			curl_off_t total_up, curl_off_t up)
{
	WebhookHttpHandle *easy = arg;
	WebhookHttpPost *post = easy->post;
	size_t		taken;
	long		version = 0;

	(void) total_down;
	(void) down;
	(void) total_up;
	(void) up;
	if (post == NULL || post->transfer.status == 0)
		return 0;
	taken = post->header_bytes + post->body_received;
	if (taken != post->taken)
	{
		post->taken = taken;
		post->idle_looks = 0;
	}
	if (++post->idle_looks <= MAX_IDLE_LOOKS ||
		curl_easy_getinfo(easy->curl, CURLINFO_HTTP_VERSION,
						  &version) != CURLE_OK ||
		version > CURL_HTTP_VERSION_1_1)
		return 0;
	post->stop = WEBHOOK_HTTP_STOP_PADDING;
	return 1;
}

/*
 * libcurl is about to resolve a name, for it has neither a connection nor the
 * addresses: it is told to wait, unless it asks for a literal or the proxy.
 */
static int
on_resolve(void *resolver, void *reserved, void *arg)
{
	WebhookHttpHandle *easy = arg;
	WebhookHttpPost *post = easy->post;

	(void) resolver;
	(void) reserved;
	if (post->target.is_literal || post->through_proxy)
		return 0;
	if (post->resolved == NULL)
		post->stop = WEBHOOK_HTTP_STOP_UNRESOLVED;
	return 1;
}

/* A refused address refuses the others of its name, too. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	WebhookHttpHandle *easy = arg;
	int			fd;

	(void) purpose;
	if (!webhook_dial_guard_dial(easy->guard, easy->post, &address->addr))
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
	{
		easy->post->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

/* Before a request is sent, on a new connection or an old one. */
static int
on_request(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	WebhookHttpHandle *easy = arg;

	(void) local_ip;
	(void) peer_port;
	(void) local_port;
	return webhook_dial_guard_peer(easy->guard, easy->post, peer_ip) ?
		CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* Of connections; what never got that far, libcurl closes by itself. */
static int
on_close_socket(void *arg, curl_socket_t fd)
{
	const WebhookHttpPool *pool = arg;

	pool->closing(pool->closing_arg, fd);
	return close(fd);
}

/*
 * Before 8.7, libcurl reads HTTP/2 until there is something for its stream, and
 * frames that carry nothing may come without end: neither timeout nor any other
 * transfer gets a turn.
 */
static long
best_http_version(void)
{
	static long version = 0;

	if (version == 0)
		version = curl_version_info(CURLVERSION_NOW)->version_num < 0x080700 ?
			CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS;
	return version;
}

/* All options that never change. */
static bool
set_options(WebhookHttpPool *pool, WebhookHttpHandle *easy)
{
	CURL	   *curl = easy->curl;
	bool		ok = true;

#define SET(option, value) \
	(ok = ok && curl_easy_setopt(curl, (option), (value)) == CURLE_OK)

	SET(CURLOPT_PRIVATE, easy);
	SET(CURLOPT_ERRORBUFFER, easy->error);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, easy);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, easy);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, easy);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	SET(CURLOPT_RESOLVER_START_DATA, easy);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, easy);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, easy);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, pool);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);	/* leave a slow resolver behind */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, pool->proxy ? pool->proxy : "");
	SET(CURLOPT_NOPROXY, "");	/* whatever the environment says */
	SET(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_PROXY_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_KEYPASSWD, ""); /* nobody is asked for one */
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, best_http_version());
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
	if (pool->ca_file)
	{
		SET(CURLOPT_CAINFO, pool->ca_file);
		SET(CURLOPT_PROXY_CAINFO, pool->ca_file);
	}
	if (pool->drop_ca_path)
	{
		SET(CURLOPT_CAPATH, NULL);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	SET(CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_SECONDS);
	SET(CURLOPT_BUFFERSIZE, BUFFER_SIZE);

#undef SET

	return ok;
}

/* Files of its own.  A handle that has read them serves no other request. */
static bool
set_files(WebhookHttpHandle *easy, const WebhookHttpPost *post)
{
	CURL	   *curl = easy->curl;

	easy->own_files = post->ca || post->client_certificate;
	if (post->ca &&
		(curl_easy_setopt(curl, CURLOPT_CAINFO, post->ca) != CURLE_OK ||
		 curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) != CURLE_OK))
		return false;
	return !post->client_certificate ||
		(curl_easy_setopt(curl, CURLOPT_SSLCERT,
						  post->client_certificate) == CURLE_OK &&
		 curl_easy_setopt(curl, CURLOPT_SSLKEY,
						  post->client_certificate) == CURLE_OK);
}

/* libcurl takes what it is told of a name before it looks for a connection. */
static bool
set_resolved(WebhookHttpHandle *easy, WebhookHttpPost *post)
{
	struct curl_slist *entry;

	if (post->resolved == NULL)
		return true;
	entry = webhook_http_allocate(post, sizeof(struct curl_slist));
	if (entry == NULL)
		return false;
	entry->data = post->resolved;
	entry->next = NULL;
	return curl_easy_setopt(easy->curl, CURLOPT_RESOLVE, entry) == CURLE_OK;
}

static long
remaining(int timeout_ms, int elapsed_ms)
{
	return timeout_ms > elapsed_ms ? timeout_ms - elapsed_ms : 1;
}

/* What differs from request to request. Of these, only the URL is copied. */
static bool
set_request(WebhookHttpHandle *easy, WebhookHttpPost *post, int elapsed_ms)
{
	CURL	   *curl = easy->curl;
	WebhookHttpTransfer *transfer = &post->transfer;
	struct curl_slist *headers = &without_accept;

	if (transfer->nheaders > 0)
	{
		int			i;

		headers = webhook_http_allocate(post, transfer->nheaders *
										sizeof(struct curl_slist));
		if (headers == NULL)
			return false;
		for (i = 0; i < transfer->nheaders; i++)
		{
			headers[i].data = post->lines[i];
			headers[i].next = &headers[i + 1];
		}
		headers[i - 1].next = &without_accept;
	}

	return
		set_files(easy, post) && set_resolved(easy, post) &&
		curl_easy_setopt(curl, CURLOPT_URL, transfer->url) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
						 (curl_off_t) transfer->body_length) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
						 transfer->body) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
						 remaining(post->timeout_ms, elapsed_ms)) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
						 remaining(post->connect_timeout_ms, elapsed_ms)) == CURLE_OK;
}

static WebhookHttpHandle *
new_easy(WebhookHttpPool *pool)
{
	WebhookHttpHandle *easy = calloc(1, sizeof(WebhookHttpHandle));

	if (easy == NULL)
		return NULL;
	easy->curl = curl_easy_init();
	easy->guard = pool->guard;
	easy->generation = pool->generation;
	if (easy->curl == NULL || !set_options(pool, easy))
	{
		curl_easy_cleanup(easy->curl);
		free(easy);
		return NULL;
	}
	return easy;
}

WebhookHttpHandle *
webhook_http_handle_get(WebhookHttpPool *pool, WebhookHttpPost *post,
						int elapsed_ms)
{
	WebhookHttpHandle *easy = pool->spare;

	if (easy)
	{
		pool->spare = easy->next;
		pool->nspare--;
	}
	else
		easy = new_easy(pool);
	if (easy == NULL || !set_request(easy, post, elapsed_ms))
	{
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL,
						  "out of memory, or libcurl refused an option");
		if (easy)
			webhook_http_handle_put(pool, easy, false);
		return NULL;
	}
	easy->post = post;
	return easy;
}

void
webhook_http_handle_put(WebhookHttpPool *pool, WebhookHttpHandle *easy,
						bool reusable)
{
	if (easy->post && easy->post->resolved)
		curl_easy_setopt(easy->curl, CURLOPT_RESOLVE, NULL);
	easy->post = NULL;
	if (reusable && pool->nspare < pool->max_spare &&
		easy->generation == pool->generation && !easy->own_files)
	{
		easy->next = pool->spare;
		pool->spare = easy;
		pool->nspare++;
	}
	else
	{
		curl_easy_cleanup(easy->curl);
		free(easy);
	}
}

void
webhook_http_handle_renew(WebhookHttpPool *pool)
{
	pool->generation++;
	while (pool->spare)
	{
		WebhookHttpHandle *easy = pool->spare;

		pool->spare = easy->next;
		pool->nspare--;
		curl_easy_cleanup(easy->curl);
		free(easy);
	}
}
