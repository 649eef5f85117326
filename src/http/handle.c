/*
 * handle.c
 *	  One request as libcurl sees it: an easy handle and its options.
 *
 * Handles are recycled with the options that every request has in common; a
 * request then sets its URL, headers, body and times. libcurl reads headers
 * and body where they are, in the transfer. A callback notes what it is told
 * in the transfer, and returns.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/handle_internal.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "webhook needs libcurl 7.87 or newer: older ones wait for a slow resolver"
#endif

#if CURL_ERROR_SIZE > 256
#error "the room for libcurl's messages is too small"
#endif

#define BUFFER_SIZE			4096L	/* bytes that libcurl receives at once */
#define DNS_CACHE_SECONDS	60L
#define CA_CACHE_SECONDS	300L
#define MAX_IDLE_LOOKS		256 /* calls of on_progress(), each after up to 100 buffers */

/* Headers that libcurl would add; so named, they are left out. */
static const char *const left_out[] = {"Accept:", "Expect:"};

#define NLEFT_OUT			((int) (sizeof(left_out) / sizeof(left_out[0])))

static long http_version(const WebhookHttpPool *pool, const WebhookTarget *target);

/*
 * Returns true for a Transfer-Encoding header with another coding than chunked. None was offered,
 * as no TE header was sent (RFC 9112, section 7.4), and libcurl would unpack it.
 */
static bool
is_foreign_coding(const char *line, size_t length)
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
	WebhookHttpHandle *handle = arg;
	size_t		length = size * count;

	if (is_foreign_coding(line, length))
	{
		handle->post->stop = WEBHOOK_HTTP_STOP_CODING;
		return 0;
	}
	return webhook_http_post_take_header(handle->post, line, length) ? length : 0;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *arg)
{
	WebhookHttpHandle *handle = arg;
	size_t		length = size * count;

	return webhook_http_post_take_body(handle->post, bytes, length) ? length : 0;
}

/*
 * Called by libcurl each time it has read. Extensions of chunks reach neither callback above,
 * however many there are, so reads that bring neither header nor body are counted here. HTTP/2 has
 * no chunks, and there one stream reads for others.
 */
static int
on_progress(void *arg, curl_off_t total_down, curl_off_t down,
			curl_off_t total_up, curl_off_t up)
{
	WebhookHttpHandle *handle = arg;
	WebhookHttpPost *post = handle->post;
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
		curl_easy_getinfo(handle->curl, CURLINFO_HTTP_VERSION,
						  &version) != CURLE_OK ||
		version > CURL_HTTP_VERSION_1_1)
		return 0;
	post->stop = WEBHOOK_HTTP_STOP_PADDING;
	return 1;
}

/*
 * libcurl sends a request again, unasked, when a connection that was kept ends without a response,
 * or when a receiver of HTTP/2 refuses to begin. The first one may have arrived, and each POST that
 * leaves has to be an attempt of its own. So whatever libcurl asks before it sends a second time is
 * refused. Returns true if this is such a time.
 */
static bool
stop_resend(WebhookHttpHandle *handle)
{
	if (!handle->post->sent)
		return false;
	if (strstr(handle->error, "HTTP_1_1_REQUIRED") != NULL)
		webhook_http_pool_note_http1(handle->pool, &handle->post->target);
	handle->post->stop = WEBHOOK_HTTP_STOP_RESEND;
	return true;
}

/*
 * Called when libcurl has neither a connection nor cached addresses for a name, and is about to
 * resolve it. It is stopped, so that our resolver does it, unless it asks for a literal address or
 * for the proxy.
 */
static int
on_resolve(void *resolver, void *reserved, void *arg)
{
	WebhookHttpHandle *handle = arg;
	WebhookHttpPost *post = handle->post;

	(void) resolver;
	(void) reserved;
	if (stop_resend(handle))
		return 1;
	if (post->target.is_literal || post->through_proxy)
		return 0;
	if (post->resolved == NULL)
		post->stop = WEBHOOK_HTTP_STOP_UNRESOLVED;
	return 1;
}

/* Note the address that is dialled, as text. */
static void
note_peer(WebhookHttpTransfer *transfer, const struct sockaddr *dialled)
{
	WebhookAddress address;
	char		text[WEBHOOK_ADDRESS_BYTES];

	if (!webhook_address_from_sockaddr(dialled, &address))
		return;
	webhook_address_to_text(&address, text);
	snprintf(transfer->peer_ip, sizeof(transfer->peer_ip), "%.45s", text);
}

/* Called for each address that libcurl dials. Once one is refused, "stop" refuses the others. */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	WebhookHttpHandle *handle = arg;
	int			fd;

	(void) purpose;
	if (stop_resend(handle))
		return CURL_SOCKET_BAD;
	if (!webhook_dial_guard_check_dial(handle->pool->guard, handle->post, &address->addr))
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
	{
		handle->post->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	handle->post->opened = true;
	note_peer(&handle->post->transfer, &address->addr);
	return fd;
}

/*
 * Returns true if the connection that libcurl has chosen is too old. libcurl itself looks at the
 * age of a connection only while nobody uses it, and one of HTTP/2 may always be in use. The age
 * begins with the second request: most connections of a receiver that closes each have no other.
 */
static bool
is_aged(const WebhookHttpHandle *handle)
{
#if LIBCURL_VERSION_NUM >= 0x080200
	WebhookHttpPool *pool = handle->pool;
	curl_off_t	number = -1;
	struct timespec now;

	if (pool->connection_seconds == 0 || handle->post->opened ||
		curl_easy_getinfo(handle->curl, CURLINFO_CONN_ID, &number) != CURLE_OK || number < 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return webhook_http_age(&pool->ages, number, now.tv_sec) > pool->connection_seconds;
#else
	(void) handle;
	return false;				/* there is no HTTP/2 with such a version: pool_set_up */
#endif
}

/*
 * Returns true if the receiver has ended the connection that libcurl has chosen. A request would
 * get no response, and nobody could tell whether it had arrived. libcurl looks itself, but from
 * 8.22 on only if it has not done so for a second; the same versions say which socket it is. What
 * comes unasked, without TLS, tells of an end, too.
 */
static bool
is_ended(const WebhookHttpHandle *handle)
{
	const WebhookHttpPost *post = handle->post;
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct pollfd polled = {.events = POLLIN | POLLRDHUP};

	if (!handle->pool->checks_connections || post->opened ||
		curl_easy_getinfo(handle->curl, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
		fd == CURL_SOCKET_BAD)
		return false;
	polled.fd = fd;
	if (poll(&polled, 1, 0) <= 0)
		return false;
	return (polled.revents & ~POLLIN) != 0 || !post->target.secure;
}

/* Called before a request is sent, on a new connection or on a kept one. */
static int
on_request(void *arg, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
	WebhookHttpHandle *handle = arg;
	WebhookHttpPost *post = handle->post;
	WebhookHttpTransfer *transfer = &post->transfer;

	(void) peer_port;
	if (stop_resend(handle) ||
		!webhook_dial_guard_check_peer(handle->pool->guard, post, peer_ip))
		return CURL_PREREQFUNC_ABORT;
	if (is_aged(handle) || is_ended(handle))
	{
		post->stop = WEBHOOK_HTTP_STOP_STALE;
		return CURL_PREREQFUNC_ABORT;
	}
	post->sent = true;
	snprintf(transfer->peer_ip, sizeof(transfer->peer_ip), "%s", peer_ip);
	snprintf(transfer->source_ip, sizeof(transfer->source_ip), "%s", local_ip);
	transfer->source_port = local_port;
	return CURL_PREREQFUNC_OK;
}

/* Called for connections; libcurl closes a socket itself that never became one. */
static int
on_close_socket(void *arg, curl_socket_t fd)
{
	const WebhookHttpPool *pool = arg;

	webhook_http_sockets_forget(pool->sockets, fd);
	return close(fd);
}

void
webhook_http_pool_set_up(WebhookHttpPool *pool, long connections,
						 const WebhookDialGuard *guard, WebhookHttpSockets *sockets)
{
	unsigned int version = curl_version_info(CURLVERSION_NOW)->version_num;

	pool->guard = guard;
	pool->sockets = sockets;

	/*
	 * Before 8.1, libcurl appends a first header line that begins with a blank to the last
	 * header of the handle's transfer before, which it has freed: curl issue 11101. There, no
	 * handle is used twice; a new one is cheap.
	 */
	pool->max_spare = version < 0x080100 ? 0 : (int) connections;

	/*
	 * Before 8.7, libcurl reads HTTP/2 until there is something for its stream. Frames that
	 * carry nothing may come without end, and meanwhile neither a timeout nor another transfer
	 * is served.
	 */
	pool->http_version = version < 0x080700 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS;

	pool->checks_connections = version >= 0x081600;

	/* From 8.12 on, all handles of an engine have the same sessions. */
	pool->shares_sessions = version < 0x080c00;
}

/* Set an option, unless one before it was refused. */
#define SET(option, value) \
	((void) (result != CURLE_OK || (result = curl_easy_setopt(curl, (option), (value)))))

/* Set the options that are the same for all requests. Returns what libcurl says. */
static CURLcode
set_options(WebhookHttpPool *pool, WebhookHttpHandle *handle)
{
	CURL	   *curl = handle->curl;
	CURLcode	result = CURLE_OK;

	SET(CURLOPT_PRIVATE, handle);
	SET(CURLOPT_ERRORBUFFER, handle->error);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, handle);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, handle);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, handle);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
	SET(CURLOPT_RESOLVER_START_DATA, handle);
	SET(CURLOPT_PREREQFUNCTION, on_request);
	SET(CURLOPT_PREREQDATA, handle);
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, handle);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, pool);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);	/* do not wait for a resolver thread */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOPROXY, "");	/* whatever the environment says */
	SET(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_PROXY_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_KEYPASSWD, ""); /* nobody is there to be asked for one */
	SET(CURLOPT_PATH_AS_IS, 1L);
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
	SET(CURLOPT_MAXLIFETIME_CONN, (long) pool->connection_seconds);
	return result;
}

/*
 * Let the request resume a session of an earlier one. A handle with certificate files of its own
 * has none to share.
 */
static CURLcode
set_sessions(WebhookHttpHandle *handle, const WebhookHttpPost *post)
{
	WebhookHttpPool *pool = handle->pool;
	CURL	   *curl = handle->curl;
	CURLcode	result = CURLE_OK;
	struct timespec now;

	if (!pool->shares_sessions || !post->target.secure || handle->own_files)
		return result;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pool->sessions = webhook_http_sessions_renew(pool->sessions, now.tv_sec);
	if (pool->sessions == handle->sessions)
		return result;
	SET(CURLOPT_SHARE, pool->sessions != NULL ? pool->sessions->share : NULL);
	webhook_http_sessions_release(handle->sessions);
	handle->sessions = webhook_http_sessions_use(pool->sessions);
	return result;
}

/* Set the certificate files of the request. A handle with such files serves no other request. */
static CURLcode
set_files(WebhookHttpHandle *handle, const WebhookHttpPost *post)
{
	CURL	   *curl = handle->curl;
	CURLcode	result = CURLE_OK;

	handle->own_files = post->ca || post->client_certificate;
	if (post->ca)
	{
		SET(CURLOPT_CAINFO, post->ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (post->client_certificate)
	{
		SET(CURLOPT_SSLCERT, post->client_certificate);
		SET(CURLOPT_SSLKEY, post->client_certificate);
	}
	return result;
}

/* Set the addresses of the host, if they are known; libcurl takes them before it connects. */
static CURLcode
set_resolved(WebhookHttpHandle *handle, WebhookHttpPost *post)
{
	struct curl_slist *entry;

	if (post->resolved == NULL)
		return CURLE_OK;
	entry = webhook_http_post_allocate(post, sizeof(struct curl_slist));
	if (entry == NULL)
		return CURLE_OUT_OF_MEMORY;
	entry->data = post->resolved;
	entry->next = NULL;
	return curl_easy_setopt(handle->curl, CURLOPT_RESOLVE, entry);
}

/* Set the headers of the request, and those of libcurl that are left out. */
static CURLcode
set_headers(WebhookHttpHandle *handle, WebhookHttpPost *post)
{
	int			nheaders = post->nlines;
	int			count = nheaders + NLEFT_OUT;
	struct curl_slist *headers;

	headers = webhook_http_post_allocate(post, count * sizeof(struct curl_slist));
	if (headers == NULL)
		return CURLE_OUT_OF_MEMORY;
	for (int i = 0; i < count; i++)
	{
		/* libcurl does not write to them. */
		headers[i].data = i < nheaders ? post->lines[i] : (char *) left_out[i - nheaders];
		headers[i].next = i + 1 < count ? &headers[i + 1] : NULL;
	}
	return curl_easy_setopt(handle->curl, CURLOPT_HTTPHEADER, headers);
}

/* A number for scheme, host and port of a target: FNV-1a, never 0. */
static uint64_t
hash_of(const WebhookTarget *target)
{
	uint64_t	hash = UINT64_C(0xcbf29ce484222325) + (uint64_t) target->port * 2 + target->secure;

	for (size_t i = 0; i < target->host_length; i++)
		hash = (hash ^ (unsigned char) target->host[i]) * UINT64_C(0x100000001b3);
	return hash != 0 ? hash : 1;
}

void
webhook_http_pool_note_http1(WebhookHttpPool *pool, const WebhookTarget *target)
{
	if (http_version(pool, target) == CURL_HTTP_VERSION_1_1)
		return;
	pool->http1[pool->next_http1] = hash_of(target);
	pool->next_http1 = (pool->next_http1 + 1) % WEBHOOK_HTTP1_TARGETS;
}

/* The best version to offer to the target: a CURL_HTTP_VERSION. */
static long
http_version(const WebhookHttpPool *pool, const WebhookTarget *target)
{
	uint64_t	hash;

	if (pool->http1[0] == 0)
		return pool->http_version;
	hash = hash_of(target);
	for (int i = 0; i < WEBHOOK_HTTP1_TARGETS && pool->http1[i] != 0; i++)
	{
		if (pool->http1[i] == hash)
			return CURL_HTTP_VERSION_1_1;
	}
	return pool->http_version;
}

/* What is left of a timeout; 0 would mean none to libcurl. */
static long
remaining(int timeout_ms, int elapsed_ms)
{
	return timeout_ms > elapsed_ms ? timeout_ms - elapsed_ms : 1;
}

/*
 * Set what differs from request to request. Of all this, libcurl copies the URL only. Returns what
 * libcurl says.
 */
static CURLcode
set_request(WebhookHttpHandle *handle, WebhookHttpPost *post, int elapsed_ms)
{
	CURL	   *curl = handle->curl;
	WebhookHttpTransfer *transfer = &post->transfer;
	CURLcode	result = set_files(handle, post);

	if (result == CURLE_OK)
		result = set_sessions(handle, post);
	if (result == CURLE_OK)
		result = set_resolved(handle, post);
	if (result == CURLE_OK)
		result = set_headers(handle, post);
	SET(CURLOPT_URL, transfer->url);
	SET(CURLOPT_PROXY, post->through_proxy ? handle->pool->proxy : "");
	SET(CURLOPT_HTTP_VERSION, http_version(handle->pool, &post->target));
	SET(CURLOPT_FRESH_CONNECT, (long) post->new_connection);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) transfer->body_length);
	SET(CURLOPT_POSTFIELDS, transfer->body);
	SET(CURLOPT_TIMEOUT_MS, remaining(post->timeout_ms, elapsed_ms));
	SET(CURLOPT_CONNECTTIMEOUT_MS, remaining(post->connect_timeout_ms, elapsed_ms));
	return result;
}

#undef SET

static void
free_handle(WebhookHttpHandle *handle)
{
	curl_easy_cleanup(handle->curl);
	webhook_http_sessions_release(handle->sessions);
	free(handle);
}

/* Make a handle. Returns what libcurl says; then there is none, unless that is CURLE_OK. */
static CURLcode
new_handle(WebhookHttpPool *pool, WebhookHttpHandle **made)
{
	WebhookHttpHandle *handle = calloc(1, sizeof(WebhookHttpHandle));
	CURLcode	result = CURLE_OUT_OF_MEMORY;

	if (handle == NULL)
		return result;
	handle->curl = curl_easy_init();
	handle->pool = pool;
	handle->generation = pool->generation;
	if (handle->curl != NULL)
		result = set_options(pool, handle);
	if (result != CURLE_OK)
	{
		free_handle(handle);
		return result;
	}
	*made = handle;
	return result;
}

/* Only a shortage of memory will pass; whatever else libcurl refuses, it refuses again. */
WebhookHttpHandle *
webhook_http_handle_get(WebhookHttpPool *pool, WebhookHttpPost *post,
						int elapsed_ms)
{
	WebhookHttpHandle *handle = pool->spare;
	CURLcode	result = CURLE_OK;

	if (handle)
	{
		pool->spare = handle->next;
		pool->nspare--;
	}
	else
		result = new_handle(pool, &handle);
	if (result == CURLE_OK)
		result = set_request(handle, post, elapsed_ms);
	if (result == CURLE_OK)
	{
		handle->post = post;
		return handle;
	}
	if (result == CURLE_OUT_OF_MEMORY)
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "out of memory");
	else
	{
		char		message[256];

		snprintf(message, sizeof(message), "libcurl refused an option of the request: %.160s",
				 curl_easy_strerror(result));
		webhook_http_post_fail(post, WEBHOOK_HTTP_INTERNAL, message);
	}
	if (handle)
		webhook_http_handle_put(handle, false);
	return NULL;
}

void
webhook_http_handle_put(WebhookHttpHandle *handle, bool reusable)
{
	WebhookHttpPool *pool = handle->pool;

	if (handle->post && handle->post->resolved)
		curl_easy_setopt(handle->curl, CURLOPT_RESOLVE, NULL);
	handle->post = NULL;
	if (reusable && pool->nspare < pool->max_spare &&
		handle->generation == pool->generation && !handle->own_files)
	{
		handle->next = pool->spare;
		pool->spare = handle;
		pool->nspare++;
	}
	else
		free_handle(handle);
}

void
webhook_http_pool_renew(WebhookHttpPool *pool)
{
	pool->generation++;
	while (pool->spare)
	{
		WebhookHttpHandle *handle = pool->spare;

		pool->spare = handle->next;
		pool->nspare--;
		free_handle(handle);
	}
	webhook_http_sessions_release(pool->sessions);
	pool->sessions = NULL;
}
