/*
 * http_easy.c
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
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http_easy.h"

#if LIBCURL_VERSION_NUM < 0x075700
#error "webhook needs libcurl 7.87 or newer: older ones wait for a slow resolver"
#endif

#if CURL_ERROR_SIZE > 256
#error "the room for libcurl's messages is too small"
#endif

#define BUFFER_SIZE			4096L	/* libcurl's, for what it receives */
#define DNS_CACHE_SECONDS	60L
#define CA_CACHE_SECONDS	300L
#define MAX_IDLE_LOOKS		256		/* of up to 100 buffers each */

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
	WebhookHttpEasy *easy = arg;
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
	WebhookHttpEasy *easy = arg;
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
	WebhookHttpEasy *easy = arg;
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

static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	WebhookHttpEasy *easy = arg;
	int			fd;

	(void) purpose;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
				address->protocol);
	if (fd < 0)
	{
		easy->post->socket_errno = errno;
		return CURL_SOCKET_BAD;
	}
	return fd;
}

/* Of connections; what never got that far, libcurl closes by itself. */
static int
on_close_socket(void *arg, curl_socket_t fd)
{
	const WebhookHttpPool *pool = arg;

	pool->closing(pool->closing_arg, fd);
	return close(fd);
}

/* All options that never change. */
static bool
set_options(WebhookHttpPool *pool, WebhookHttpEasy *easy)
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
	SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, easy);
	SET(CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, pool);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);	/* leave a slow resolver behind */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");		/* whatever the environment says */
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
	if (pool->ca_file)
		SET(CURLOPT_CAINFO, pool->ca_file);
	if (pool->drop_ca_path)
		SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_SECONDS);
	SET(CURLOPT_BUFFERSIZE, BUFFER_SIZE);

#undef SET

	return ok;
}

/* What differs from request to request. Of these, only the URL is copied. */
static bool
set_request(WebhookHttpEasy *easy, WebhookHttpPost *post)
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
		curl_easy_setopt(curl, CURLOPT_URL, transfer->url) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
						 (curl_off_t) transfer->body_length) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
						 transfer->body) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
						 (long) post->timeout_ms) == CURLE_OK &&
		curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
						 (long) post->connect_timeout_ms) == CURLE_OK;
}

static WebhookHttpEasy *
new_easy(WebhookHttpPool *pool)
{
	WebhookHttpEasy *easy = calloc(1, sizeof(WebhookHttpEasy));

	if (easy == NULL)
		return NULL;
	easy->curl = curl_easy_init();
	if (easy->curl == NULL || !set_options(pool, easy))
	{
		curl_easy_cleanup(easy->curl);
		free(easy);
		return NULL;
	}
	return easy;
}

WebhookHttpEasy *
webhook_http_easy_get(WebhookHttpPool *pool, WebhookHttpPost *post)
{
	WebhookHttpEasy *easy = pool->spare;

	if (easy)
	{
		pool->spare = easy->next;
		pool->nspare--;
	}
	else
		easy = new_easy(pool);
	if (easy == NULL || !set_request(easy, post))
	{
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL,
						  "out of memory, or libcurl refused an option");
		if (easy)
			webhook_http_easy_put(pool, easy, false);
		return NULL;
	}
	easy->post = post;
	return easy;
}

void
webhook_http_easy_put(WebhookHttpPool *pool, WebhookHttpEasy *easy,
					  bool reusable)
{
	easy->post = NULL;
	if (reusable && pool->nspare < pool->max_spare)
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

static void
copy_address(CURL *curl, CURLINFO ip_info, CURLINFO port_info,
			 char ip[46], int *port)
{
	char	   *text = NULL;
	long		number = 0;

	if (curl_easy_getinfo(curl, ip_info, &text) != CURLE_OK || text == NULL ||
		text[0] == '\0' || strlen(text) >= 46)
		return;
	strcpy(ip, text);
	if (curl_easy_getinfo(curl, port_info, &number) == CURLE_OK)
		*port = (int) number;
}

/*
 * The headers of the last response, into the transfer's memory.  A 101 is
 * among the 1xx ones to libcurl.
 */
static bool
copy_headers(WebhookHttpPost *post, CURL *curl)
{
	unsigned int origin = post->transfer.status == 101 ? CURLH_1XX :
		CURLH_HEADER;
	WebhookHttpHeader *headers;
	struct curl_header *header = NULL;
	int			count = 0;

	if (post->header_lines == 0)
		return true;
	headers = webhook_http_allocate(post,
					   post->header_lines * sizeof(WebhookHttpHeader));
	if (headers == NULL)
		return false;
	while (count < post->header_lines &&
		   (header = curl_easy_nextheader(curl, origin, -1, header)) != NULL)
	{
		size_t		name_length = strlen(header->name);
		size_t		value_length = strlen(header->value);
		char	   *text;

		/* Of an empty value, libcurl leaves the carriage return. */
		while (value_length > 0 && strchr(" \t\r\n",
										  header->value[value_length - 1]))
			value_length--;
		text = webhook_http_allocate(post, name_length + value_length + 2);
		if (text == NULL)
			return false;
		memcpy(text, header->name, name_length + 1);
		memcpy(text + name_length + 1, header->value, value_length);
		text[name_length + 1 + value_length] = '\0';
		headers[count].name = text;
		headers[count].value = text + name_length + 1;
		count++;
	}
	post->transfer.response_headers = headers;
	post->transfer.nresponse_headers = count;
	return true;
}

/* Not CURLINFO_RETRY_AFTER: newer libcurls make six hours of all that is more. */
static long
retry_after(CURL *curl)
{
	struct curl_header *header;
	const char *text;
	time_t		date;
	time_t		now;

	if (curl_easy_header(curl, "Retry-After", 0, CURLH_HEADER, -1,
						 &header) != CURLHE_OK)
		return -1;
	text = header->value;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
		return strtol(text, NULL, 10);
	date = curl_getdate(text, NULL);
	if (date == -1)
		return -1;
	now = time(NULL);
	return date > now ? (long) (date - now) : 0;
}

/*
 * The class of libcurl's result.  "sent": the request had gone out, so that
 * what went wrong is about the answer.
 */
static WebhookHttpError
classify(CURLcode result, bool sent, int socket_errno, const char *detail)
{
	switch (result)
	{
		case CURLE_OK:
			return WEBHOOK_HTTP_OK;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_RESOLVE_PROXY:
			return WEBHOOK_HTTP_DNS;
		case CURLE_COULDNT_CONNECT:
		case CURLE_INTERFACE_FAILED:
		case CURLE_PROXY:
			if (socket_errno == EMFILE || socket_errno == ENFILE ||
				socket_errno == ENOBUFS || socket_errno == ENOMEM)
				return WEBHOOK_HTTP_INTERNAL;
			return WEBHOOK_HTTP_CONNECT;
		case CURLE_OPERATION_TIMEDOUT:
			return WEBHOOK_HTTP_TIMEOUT;
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_CRL_BADFILE:
		case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_SSL_CLIENTCERT:
		case CURLE_SSL_SHUTDOWN_FAILED:
		case CURLE_SSL_ENGINE_NOTFOUND:
		case CURLE_SSL_ENGINE_SETFAILED:
		case CURLE_SSL_ENGINE_INITFAILED:
		case CURLE_USE_SSL_FAILED:
			return WEBHOOK_HTTP_TLS;
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
		case CURLE_SEND_ERROR:
		case CURLE_HTTP2_STREAM:
			return WEBHOOK_HTTP_RESET;
		case CURLE_RECV_ERROR:	/* also chunks that are none */
			if (strstr(detail, "chunk") == NULL)
				return WEBHOOK_HTTP_RESET;
			return strstr(detail, "memory") ? WEBHOOK_HTTP_TOO_LARGE :
				WEBHOOK_HTTP_PROTOCOL;
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_HTTP2:
		case CURLE_BAD_CONTENT_ENCODING:
			return WEBHOOK_HTTP_PROTOCOL;
		case CURLE_UNSUPPORTED_PROTOCOL:	/* also HTTP/0.9, HTTP/7 */
		case CURLE_BAD_FUNCTION_ARGUMENT:	/* also a trailer without colon */
			return sent ? WEBHOOK_HTTP_PROTOCOL : WEBHOOK_HTTP_INTERNAL;
		case CURLE_OUT_OF_MEMORY:	/* also a line over libcurl's limits */
			return sent ? WEBHOOK_HTTP_TOO_LARGE : WEBHOOK_HTTP_INTERNAL;
		default:
#if LIBCURL_VERSION_NUM >= 0x080600
			if (result == CURLE_TOO_LARGE)
				return WEBHOOK_HTTP_TOO_LARGE;
#endif
			return WEBHOOK_HTTP_INTERNAL;
	}
}

/* Printable ASCII only: names in a certificate are the peer's words. */
static void
make_printable(char *text)
{
	for (; *text; text++)
	{
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

/* The untranslated text of an errno, or NULL. */
static const char *
errno_text(int number)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	return strerrordesc_np(number);
#else
	return strerror(number);
#endif
}

static void
judge(WebhookHttpEasy *easy, CURLcode result)
{
	WebhookHttpPost *post = easy->post;
	WebhookHttpTransfer *transfer = &post->transfer;
	long		request_size = 0;
	long		os_errno = 0;
	const char *detail = easy->error[0] ? easy->error :
		curl_easy_strerror(result);

	switch (post->stop)
	{
		case WEBHOOK_HTTP_STOP_NONE:
			break;
		case WEBHOOK_HTTP_STOP_COMPLETE:
		case WEBHOOK_HTTP_STOP_BODY:
			return;
		case WEBHOOK_HTTP_STOP_HEADERS:
			webhook_http_fail(post, WEBHOOK_HTTP_TOO_LARGE,
				 "the response headers are over the limit");
			return;
		case WEBHOOK_HTTP_STOP_PADDING:
			webhook_http_fail(post, WEBHOOK_HTTP_TOO_LARGE,
				 "the chunk extensions of the response are over the limit");
			return;
		case WEBHOOK_HTTP_STOP_CODING:
			webhook_http_fail(post, WEBHOOK_HTTP_PROTOCOL,
				 "the response has a transfer coding that was not offered");
			return;
		case WEBHOOK_HTTP_STOP_MEMORY:
			webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
			return;
	}
	if (result == CURLE_OK)
	{
		if (transfer->status == 0)
			webhook_http_fail(post, WEBHOOK_HTTP_PROTOCOL,
				 "the response has no valid status line");

		/* libcurl does not mind. */
		else if (post->in_headers)
			webhook_http_fail(post, WEBHOOK_HTTP_RESET,
				 "the connection ended within the response headers");
		return;
	}

	curl_easy_getinfo(easy->curl, CURLINFO_REQUEST_SIZE, &request_size);
	curl_easy_getinfo(easy->curl, CURLINFO_OS_ERRNO, &os_errno);
	transfer->error = classify(result, request_size > 0,
							 post->socket_errno, detail);
	if (transfer->error == WEBHOOK_HTTP_TOO_LARGE)
		detail = "a line of the response headers is over the limit";
	else if (result == CURLE_BAD_FUNCTION_ARGUMENT &&
			 transfer->error == WEBHOOK_HTTP_PROTOCOL)
		detail = "a line of the response headers is malformed";
	if (result == CURLE_COULDNT_CONNECT &&
		(post->socket_errno != 0 || os_errno != 0))
	{
		const char *reason = errno_text(post->socket_errno != 0 ?
										post->socket_errno : os_errno);

		snprintf(transfer->message, sizeof(transfer->message), "%.160s (%.80s)",
				 detail, reason ? reason : "unknown error");
	}
	else
		snprintf(transfer->message, sizeof(transfer->message), "%s", detail);
	make_printable(transfer->message);
}

void
webhook_http_easy_read(WebhookHttpEasy *easy, int result)
{
	WebhookHttpPost *post = easy->post;
	WebhookHttpTransfer *transfer = &post->transfer;

	judge(easy, result);
	copy_address(easy->curl, CURLINFO_LOCAL_IP, CURLINFO_LOCAL_PORT,
				 transfer->source_ip, &transfer->source_port);
	copy_address(easy->curl, CURLINFO_PRIMARY_IP, CURLINFO_PRIMARY_PORT,
				 transfer->peer_ip, &transfer->peer_port);
	if (transfer->status == 0)
		return;
	transfer->retry_after = retry_after(easy->curl);
	if (!copy_headers(post, easy->curl))
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
}
