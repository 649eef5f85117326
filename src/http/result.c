/*
 * result.c
 *	  The result of an exchange, taken from libcurl into the transfer.
 *
 * libcurl has more results than a log needs, and says some things only in its
 * messages; two tables map all that to the error classes of http.h. libcurl's
 * messages are shown, except where they name a file of the server; bytes that
 * the peer may have put into them are made printable.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/result_internal.h"

#define MAX_FILE_MESSAGE	224 /* bytes of a message that names a file */

static const char malformed[] = "a line of the response headers is malformed";
static const char no_descriptor[] = WEBHOOK_HTTP_NO_DESCRIPTOR;
static const char line_too_long[] = "a line of the response headers is over the limit";

/* How transfers failed that the engine has ended; no message: not a failure, or noted already. */
static const struct
{
	WebhookHttpError error;
	const char *message;
}			stops[] = {
	[WEBHOOK_HTTP_STOP_COMPLETE] = {WEBHOOK_HTTP_OK, NULL},
	[WEBHOOK_HTTP_STOP_BODY] = {WEBHOOK_HTTP_OK, NULL},
	[WEBHOOK_HTTP_STOP_HEADERS] = {WEBHOOK_HTTP_TOO_LARGE, "the response headers are over the limit"},
	[WEBHOOK_HTTP_STOP_FOLD] = {WEBHOOK_HTTP_PROTOCOL, malformed},
	[WEBHOOK_HTTP_STOP_PADDING] = {WEBHOOK_HTTP_TOO_LARGE, "the chunk extensions of the response are over the limit"},
	[WEBHOOK_HTTP_STOP_CODING] = {WEBHOOK_HTTP_PROTOCOL, "the response has a transfer coding that was not offered"},
	[WEBHOOK_HTTP_STOP_MEMORY] = {WEBHOOK_HTTP_INTERNAL, "out of memory"},
	[WEBHOOK_HTTP_STOP_REFUSED] = {WEBHOOK_HTTP_BLOCKED, NULL},
	[WEBHOOK_HTTP_STOP_UNRESOLVED] = {WEBHOOK_HTTP_OK, NULL},
	[WEBHOOK_HTTP_STOP_STALE] = {WEBHOOK_HTTP_OK, NULL},
	[WEBHOOK_HTTP_STOP_RESEND] = {WEBHOOK_HTTP_RESET, "the receiver ended the connection without a response"},
	[WEBHOOK_HTTP_STOP_SHUTDOWN] = {WEBHOOK_HTTP_SHUTDOWN, "the server stopped before the response had come"},
};

/* Under what condition a row of the table below holds. */
typedef enum Condition
{
	ALWAYS,
	NO_SOCKET,					/* this process could not open or connect another socket */
	NO_PORT,					/* all local ports for this peer are taken */
	NO_FILE,					/* this process can open no file at present */
	SENT,						/* the request had gone out: it is about the response */
	UNSENT,						/* it had not even a connection */
} Condition;

/*
 * The class of libcurl's results; the first row that fits counts. A result that is not listed is
 * WEBHOOK_HTTP_INTERNAL. CURLE_SEND_ERROR is looked up as CURLE_RECV_ERROR.
 */
static const struct
{
	CURLcode	result;
	Condition	condition;
	const char *words[2];		/* that libcurl's message has to contain; NULL: any message */
	WebhookHttpError error;
	const char *message;		/* in place of libcurl's; NULL: libcurl's */
}			results[] = {
	{CURLE_COULDNT_RESOLVE_HOST, NO_FILE, {NULL}, WEBHOOK_HTTP_UNSENT, no_descriptor},
	{CURLE_COULDNT_RESOLVE_PROXY, NO_FILE, {NULL}, WEBHOOK_HTTP_UNSENT, no_descriptor},
	{CURLE_COULDNT_RESOLVE_HOST, ALWAYS, {NULL}, WEBHOOK_HTTP_DNS, NULL},
	{CURLE_COULDNT_RESOLVE_PROXY, ALWAYS, {NULL}, WEBHOOK_HTTP_DNS, NULL},

	{CURLE_COULDNT_CONNECT, NO_SOCKET, {NULL}, WEBHOOK_HTTP_UNSENT, NULL},
	{CURLE_COULDNT_CONNECT, NO_PORT, {NULL}, WEBHOOK_HTTP_NO_PORT, NULL},
	{CURLE_COULDNT_CONNECT, ALWAYS, {NULL}, WEBHOOK_HTTP_CONNECT, NULL},
	{CURLE_INTERFACE_FAILED, NO_SOCKET, {NULL}, WEBHOOK_HTTP_UNSENT, NULL},
	{CURLE_INTERFACE_FAILED, ALWAYS, {NULL}, WEBHOOK_HTTP_CONNECT, NULL},
	{CURLE_PROXY, NO_SOCKET, {NULL}, WEBHOOK_HTTP_UNSENT, NULL},
	{CURLE_PROXY, ALWAYS, {NULL}, WEBHOOK_HTTP_CONNECT, NULL},

	{CURLE_OPERATION_TIMEDOUT, ALWAYS, {NULL}, WEBHOOK_HTTP_TIMEOUT, NULL},

	{CURLE_SSL_CERTPROBLEM, NO_FILE, {NULL}, WEBHOOK_HTTP_UNSENT, no_descriptor},
	{CURLE_SSL_CACERT_BADFILE, NO_FILE, {NULL}, WEBHOOK_HTTP_UNSENT, no_descriptor},
	{CURLE_SSL_CONNECT_ERROR, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_PEER_FAILED_VERIFICATION, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_CERTPROBLEM, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_CIPHER, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_ISSUER_ERROR, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_CACERT_BADFILE, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_CRL_BADFILE, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_PINNEDPUBKEYNOTMATCH, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_INVALIDCERTSTATUS, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_CLIENTCERT, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_SHUTDOWN_FAILED, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_ENGINE_NOTFOUND, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_ENGINE_SETFAILED, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_SSL_ENGINE_INITFAILED, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_USE_SSL_FAILED, ALWAYS, {NULL}, WEBHOOK_HTTP_TLS, NULL},

	{CURLE_GOT_NOTHING, ALWAYS, {NULL}, WEBHOOK_HTTP_RESET, NULL},
	{CURLE_PARTIAL_FILE, ALWAYS, {NULL}, WEBHOOK_HTTP_RESET, NULL},
	{CURLE_HTTP2_STREAM, ALWAYS, {NULL}, WEBHOOK_HTTP_RESET, NULL},

	/* A refused client certificate, a proxy that refuses, chunks that are malformed, a reset. */
	{CURLE_RECV_ERROR, ALWAYS, {"SSL_", "alert"}, WEBHOOK_HTTP_TLS, NULL},
	{CURLE_RECV_ERROR, ALWAYS, {"CONNECT"}, WEBHOOK_HTTP_CONNECT, NULL},
	{CURLE_RECV_ERROR, ALWAYS, {"chunk", "memory"}, WEBHOOK_HTTP_TOO_LARGE, line_too_long},
	{CURLE_RECV_ERROR, ALWAYS, {"chunk"}, WEBHOOK_HTTP_PROTOCOL, NULL},
	{CURLE_RECV_ERROR, ALWAYS, {NULL}, WEBHOOK_HTTP_RESET, NULL},

	{CURLE_WEIRD_SERVER_REPLY, ALWAYS, {NULL}, WEBHOOK_HTTP_PROTOCOL, NULL},
	{CURLE_HTTP2, ALWAYS, {NULL}, WEBHOOK_HTTP_PROTOCOL, NULL},
	{CURLE_BAD_CONTENT_ENCODING, ALWAYS, {NULL}, WEBHOOK_HTTP_PROTOCOL, NULL},

	/* HTTP/0.9 and HTTP/7; a trailer without colon; a line over libcurl's limits. */
	{CURLE_UNSUPPORTED_PROTOCOL, SENT, {NULL}, WEBHOOK_HTTP_PROTOCOL, NULL},
	{CURLE_BAD_FUNCTION_ARGUMENT, SENT, {NULL}, WEBHOOK_HTTP_PROTOCOL, malformed},
	{CURLE_OUT_OF_MEMORY, SENT, {NULL}, WEBHOOK_HTTP_TOO_LARGE, line_too_long},
	{CURLE_OUT_OF_MEMORY, UNSENT, {NULL}, WEBHOOK_HTTP_UNSENT, NULL},
#if LIBCURL_VERSION_NUM >= 0x080600
	{CURLE_TOO_LARGE, ALWAYS, {NULL}, WEBHOOK_HTTP_TOO_LARGE, line_too_long},
#endif
};

static CURLcode result_of_files(const WebhookHttpHandle *handle, CURLcode result);
static void judge(WebhookHttpHandle *handle, CURLcode result);
static void judge_failure(WebhookHttpHandle *handle, CURLcode result);
static void classify(CURLcode result, const WebhookHttpPost *post, bool sent,
					 WebhookHttpError *error, const char **message);
static bool holds(Condition condition, const WebhookHttpPost *post, bool sent);
static bool has_route(const char *peer_ip);
static const char *describe(const WebhookHttpHandle *handle, CURLcode result,
							char *buffer, size_t size);
static void make_printable(char *message);
static const char *errno_text(int number);
static void read_addresses(CURL *curl, WebhookHttpTransfer *transfer);
static void copy_address(CURL *curl, CURLINFO info, char ip[WEBHOOK_HTTP_IP_BYTES]);
static bool copy_headers(WebhookHttpPost *post, CURL *curl);
static bool copy_header(WebhookHttpPost *post, const struct curl_header *from,
						WebhookHttpHeader *to);

void
webhook_http_result_read(WebhookHttpHandle *handle, int result)
{
	WebhookHttpPost *post = handle->post;
	WebhookHttpTransfer *transfer = &post->transfer;
	struct curl_header *header;

	judge(handle, result_of_files(handle, result));
	transfer->left_unanswered = post->stop == WEBHOOK_HTTP_STOP_RESEND;
	if (!post->sent)
		read_addresses(handle->curl, transfer);
	if (transfer->status == 0)
		return;
	if (curl_easy_header(handle->curl, "Retry-After", 0, CURLH_HEADER, -1,
						 &header) == CURLHE_OK)
		transfer->retry_after = webhook_http_retry_after(header->value, time(NULL));
	if (!copy_headers(post, handle->curl))
		webhook_http_post_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
}

/* Not CURLINFO_RETRY_AFTER: newer versions of libcurl cut it down to six hours. */
long
webhook_http_retry_after(const char *value, int64_t now)
{
	int64_t		date;

	if (value[0] != '\0' && value[strspn(value, "0123456789")] == '\0')
		return strtol(value, NULL, 10);
	date = curl_getdate(value, NULL);
	if (date == -1)
		return -1;
	return date > now ? (long) (date - now) : 0;
}

/* Newer versions of libcurl have no result of its own for a key that cannot be used. */
static CURLcode
result_of_files(const WebhookHttpHandle *handle, CURLcode result)
{
	if (result != CURLE_OK && handle->post->client_certificate &&
		strstr(handle->error, "private key file"))
		return CURLE_SSL_CERTPROBLEM;
	return result;
}

/* Set error and message of the transfer, unless the exchange succeeded. */
static void
judge(WebhookHttpHandle *handle, CURLcode result)
{
	WebhookHttpPost *post = handle->post;

	if (post->stop != WEBHOOK_HTTP_STOP_NONE)
	{
		if (stops[post->stop].message != NULL)
			webhook_http_post_fail(post, stops[post->stop].error, stops[post->stop].message);
	}
	else if (result != CURLE_OK)
		judge_failure(handle, result);
	else if (post->transfer.status == 0)
		webhook_http_post_fail(post, WEBHOOK_HTTP_PROTOCOL,
							   "the response has no valid status line");

	/* To libcurl, a response may end within its headers. */
	else if (post->in_headers)
		webhook_http_post_fail(post, WEBHOOK_HTTP_RESET,
							   "the connection ended within the response headers");
}

/* The same for a failure that libcurl reports. */
static void
judge_failure(WebhookHttpHandle *handle, CURLcode result)
{
	WebhookHttpPost *post = handle->post;
	WebhookHttpTransfer *transfer = &post->transfer;
	char		buffer[MAX_FILE_MESSAGE];
	const char *message = describe(handle, result, buffer, sizeof(buffer));
	long		request_size = 0;
	long		number = 0;

	curl_easy_getinfo(handle->curl, CURLINFO_REQUEST_SIZE, &request_size);
	curl_easy_getinfo(handle->curl, CURLINFO_OS_ERRNO, &number);
	if (post->socket_errno == 0)
		post->socket_errno = (int) number;
	classify(result, post, request_size > 0, &transfer->error, &message);
	if (result == CURLE_COULDNT_CONNECT && post->socket_errno != 0)
	{
		const char *reason = errno_text(post->socket_errno);

		snprintf(transfer->message, sizeof(transfer->message), "%.160s (%.80s)",
				 message, reason ? reason : "unknown error");
	}
	else
		snprintf(transfer->message, sizeof(transfer->message), "%s", message);
	make_printable(transfer->message);
}

/*
 * Look up the class of libcurl's result. "message" is libcurl's message; it is replaced where the
 * table has another one. "sent": the request had gone out.
 */
static void
classify(CURLcode result, const WebhookHttpPost *post, bool sent,
		 WebhookHttpError *error, const char **message)
{
	if (result == CURLE_SEND_ERROR)
		result = CURLE_RECV_ERROR;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
	{
		const char *const *words = results[i].words;

		if (results[i].result != result || !holds(results[i].condition, post, sent) ||
			(words[0] != NULL && strstr(*message, words[0]) == NULL) ||
			(words[1] != NULL && strstr(*message, words[1]) == NULL))
			continue;
		*error = results[i].error;
		if (results[i].message != NULL)
			*message = results[i].message;
		return;
	}
	*error = WEBHOOK_HTTP_INTERNAL;
}

static bool
holds(Condition condition, const WebhookHttpPost *post, bool sent)
{
	switch (condition)
	{
		case ALWAYS:
			return true;
		case NO_SOCKET:
			return post->socket_errno == EMFILE || post->socket_errno == ENFILE ||
				post->socket_errno == ENOBUFS || post->socket_errno == ENOMEM;
		case NO_PORT:
			return post->socket_errno == EADDRNOTAVAIL && has_route(post->transfer.peer_ip);
		case NO_FILE:
			return webhook_http_sockets_are_exhausted();
		case SENT:
			return sent;
		case UNSENT:
			return !post->sent;
	}
	return false;
}

/*
 * Returns true if this machine has an address from which the peer may be called: connect() has one
 * error number for the lack of an address, which lasts, and for the lack of a port, which does not.
 * A datagram socket asks the kernel for the address; nothing is sent.
 */
static bool
has_route(const char *peer_ip)
{
	union
	{
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	}			peer = {0};
	socklen_t	length;
	int			fd;
	bool		found;

	if (inet_pton(AF_INET, peer_ip, &peer.v4.sin_addr) == 1)
	{
		peer.any.sa_family = AF_INET;
		peer.v4.sin_port = htons(1);
		length = sizeof(peer.v4);
	}
	else if (inet_pton(AF_INET6, peer_ip, &peer.v6.sin6_addr) == 1)
	{
		peer.any.sa_family = AF_INET6;
		peer.v6.sin6_port = htons(1);
		length = sizeof(peer.v6);
	}
	else
		return false;
	fd = socket(peer.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	found = connect(fd, &peer.any, length) == 0 || errno == EAGAIN;
	close(fd);
	return found;
}

/*
 * libcurl's message. Where it names a file of the server with its path, which readers of the log
 * need not know, a message with the file's name alone is written into "buffer".
 */
static const char *
describe(const WebhookHttpHandle *handle, CURLcode result, char *buffer, size_t size)
{
	const WebhookHttpPost *post = handle->post;
	const char *name = NULL;

	if (result == CURLE_SSL_CACERT_BADFILE)
		name = post->ca ? post->ca : "webhook.ca_file";
	else if (result == CURLE_SSL_CERTPROBLEM)
		name = post->client_certificate;
	if (name == NULL)
		return handle->error[0] ? handle->error : curl_easy_strerror(result);
	snprintf(buffer, size, "%s of %.160s cannot be used",
			 result == CURLE_SSL_CERTPROBLEM ? "the client certificate" :
			 "the certificate authorities",
			 strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	return buffer;
}

/* Replace all but printable ASCII: names in a certificate come from the peer. */
static void
make_printable(char *message)
{
	for (char *c = message; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

/* The English text of an errno, or NULL. */
static const char *
errno_text(int number)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
	return strerrordesc_np(number);
#else
	return strerror(number);
#endif
}

/* The addresses of a connection that has not come as far as the request. */
static void
read_addresses(CURL *curl, WebhookHttpTransfer *transfer)
{
	long		port;

	copy_address(curl, CURLINFO_LOCAL_IP, transfer->source_ip);
	if (transfer->source_ip[0] != '\0')
		copy_address(curl, CURLINFO_PRIMARY_IP, transfer->peer_ip);
	if (transfer->source_ip[0] != '\0' &&
		curl_easy_getinfo(curl, CURLINFO_LOCAL_PORT, &port) == CURLE_OK)
		transfer->source_port = (int) port;
}

/* Copy an address of the connection; the text stays as it is if there was none. */
static void
copy_address(CURL *curl, CURLINFO info, char ip[WEBHOOK_HTTP_IP_BYTES])
{
	char	   *address = NULL;

	if (curl_easy_getinfo(curl, info, &address) == CURLE_OK && address != NULL &&
		strlen(address) < WEBHOOK_HTTP_IP_BYTES)
		strcpy(ip, address);
}

/*
 * Copy the headers of the last response into the transfer's memory. To libcurl, a 101 is one of
 * the 1xx responses. Returns false if memory is out.
 */
static bool
copy_headers(WebhookHttpPost *post, CURL *curl)
{
	unsigned int origin = post->transfer.status == 101 ? CURLH_1XX : CURLH_HEADER;
	WebhookHttpHeader *headers;
	struct curl_header *header = NULL;
	int			count = 0;

	if (post->header_lines == 0)
		return true;
	headers = webhook_http_post_allocate(post,
										 post->header_lines * sizeof(WebhookHttpHeader));
	if (headers == NULL)
		return false;
	while (count < post->header_lines &&
		   (header = curl_easy_nextheader(curl, origin, -1, header)) != NULL)
	{
		if (!copy_header(post, header, &headers[count]))
			return false;
		count++;
	}
	post->transfer.response_headers = headers;
	post->transfer.nresponse_headers = count;
	return true;
}

/* Copy one header. Returns false if memory is out. */
static bool
copy_header(WebhookHttpPost *post, const struct curl_header *from, WebhookHttpHeader *to)
{
	size_t		name_length = strlen(from->name);
	size_t		value_length = strlen(from->value);
	char	   *copy;

	/* libcurl leaves the carriage return in an empty value. */
	while (value_length > 0 && strchr(" \t\r\n", from->value[value_length - 1]))
		value_length--;
	copy = webhook_http_post_allocate(post, name_length + value_length + 2);
	if (copy == NULL)
		return false;
	memcpy(copy, from->name, name_length + 1);
	memcpy(copy + name_length + 1, from->value, value_length);

	/*
	 * It also leaves one within a value whose first line is empty, and newer versions leave one
	 * in a name.
	 */
	for (size_t i = 0; i < name_length + 1 + value_length; i++)
	{
		if (copy[i] == '\r' || copy[i] == '\n')
			copy[i] = ' ';
	}
	copy[name_length + 1 + value_length] = '\0';
	to->name = copy;
	to->value = copy + name_length + 1;
	return true;
}
