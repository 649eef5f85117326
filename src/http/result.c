/*
 * result.c
 *	  What an exchange has come to: libcurl's result and what it has kept, into
 *	  the transfer.
 *
 * libcurl has more results than a log has use for, and says some things in its
 * messages only.  Those messages are shown, but for what names a file of the
 * server; what the peer may have put into them is made printable.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "http/handle_internal.h"

static const char malformed[] = "a line of the response headers is malformed";

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

		/*
		 * One that is folded behind an empty one has it inside; newer libcurls leave one in a
		 * name.
		 */
		for (size_t i = 0; i < name_length + 1 + value_length; i++)
		{
			if (text[i] == '\r' || text[i] == '\n')
				text[i] = ' ';
		}
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
		case CURLE_HTTP2_STREAM:
			return WEBHOOK_HTTP_RESET;
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:	/* also chunks that are none */
			if (strstr(detail, "SSL_") && strstr(detail, "alert"))
				return WEBHOOK_HTTP_TLS;
			if (strstr(detail, "CONNECT"))
				return WEBHOOK_HTTP_CONNECT;
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

/*
 * libcurl's text, or another where that names a file of the server, in whole:
 * it is not for those who read the log.
 */
static const char *
describe(const WebhookHttpHandle *easy, CURLcode result, char *text, size_t size)
{
	const WebhookHttpPost *post = easy->post;
	const char *name = NULL;

	if (result == CURLE_SSL_CACERT_BADFILE)
		name = post->ca ? post->ca : "webhook.ca_file";
	else if (result == CURLE_SSL_CERTPROBLEM)
		name = post->client_certificate;
	if (name == NULL)
		return easy->error[0] ? easy->error : curl_easy_strerror(result);
	snprintf(text, size, "%s of %.160s cannot be used",
			 result == CURLE_SSL_CERTPROBLEM ? "the client certificate" :
			 "the certificate authorities",
			 strrchr(name, '/') ? strrchr(name, '/') + 1 : name);
	return text;
}

/* Newer libcurls have no result of its own for a key that cannot be used. */
static CURLcode
result_of_files(const WebhookHttpHandle *easy, CURLcode result)
{
	if (result != CURLE_OK && easy->post->client_certificate &&
		strstr(easy->error, "private key file"))
		return CURLE_SSL_CERTPROBLEM;
	return result;
}

static void
judge(WebhookHttpHandle *easy, CURLcode result)
{
	WebhookHttpPost *post = easy->post;
	WebhookHttpTransfer *transfer = &post->transfer;
	long		request_size = 0;
	long		os_errno = 0;
	char		text[224];
	const char *detail = describe(easy, result, text, sizeof(text));

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
		case WEBHOOK_HTTP_STOP_FOLD:
			webhook_http_fail(post, WEBHOOK_HTTP_PROTOCOL, malformed);
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
		case WEBHOOK_HTTP_STOP_REFUSED:
		case WEBHOOK_HTTP_STOP_UNRESOLVED:
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
		detail = malformed;
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
webhook_http_handle_read(WebhookHttpHandle *easy, int result)
{
	WebhookHttpPost *post = easy->post;
	WebhookHttpTransfer *transfer = &post->transfer;
	struct curl_header *header;

	judge(easy, result_of_files(easy, result));
	copy_address(easy->curl, CURLINFO_LOCAL_IP, CURLINFO_LOCAL_PORT,
				 transfer->source_ip, &transfer->source_port);
	copy_address(easy->curl, CURLINFO_PRIMARY_IP, CURLINFO_PRIMARY_PORT,
				 transfer->peer_ip, &transfer->peer_port);
	if (transfer->status == 0)
		return;
	if (curl_easy_header(easy->curl, "Retry-After", 0, CURLH_HEADER, -1,
						 &header) == CURLHE_OK)
		transfer->retry_after = webhook_http_retry_after(header->value, time(NULL));
	if (!copy_headers(post, easy->curl))
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
}
