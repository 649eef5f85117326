/*
 * response.c
 *	  Fuzz target: whatever a receiver answers, the engine ends the exchange in
 *	  time and keeps no more than it says.
 *
 * Input: a byte of flags, then what the peer answers to each request. Engine
 * and peer share a thread and a loop: what happens depends on the input only.
 * A good answer comes first, and several requests follow each other, so that
 * what one answer leaves on a connection or a handle meets the next.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

#include "fuzz.h"

#define REQUESTS			3
#define MAX_PEERS			8
#define TIMEOUT_MS			30
#define PATIENCE			4	/* rounds of the loop that an open connection waits for a request */
#define LATE_MS				5000	/* that a busy machine may need beyond the timeout */

/* Flags */
#define ENDING				0x03	/* the bits that say what follows the answer */
#define ENDS_OPEN			0	/* the next request, if it comes soon */
#define ENDS_CLOSED			1
#define ENDS_RESET			2
#define ENDS_HALF			3	/* the peer closes its side for writing */
#define PIECES				0x0c	/* the bits that say in which pieces it answers */
#define EARLY				0x10	/* the peer answers before the request */
#define HANG				0xe0	/* all of these bits: the peer hangs until the timeout */

/* A connection, seen by the peer. */
typedef struct Peer
{
	int			fd;
	size_t		asked;			/* bytes of requests */
	size_t		sent;			/* bytes of the answer */
	bool		answered;		/* the whole answer is sent */
	int			idle;			/* rounds of the loop since the answer was sent */
	bool		ended;
} Peer;

static const WebhookHttpApi *api;
static WebhookHttp *http;
static int	listener;
static char url[64];
static Peer peers[MAX_PEERS];
static int	npeers;

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void
set_up(void)
{
	WebhookHttpOptions options = {0};
	struct sockaddr_in address = {0};
	socklen_t	length = sizeof(address);
	char		reason[256];

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FUZZ_CHECK(listener >= 0);
	FUZZ_CHECK(bind(listener, (struct sockaddr *) &address, length) == 0);
	FUZZ_CHECK(listen(listener, MAX_PEERS) == 0);
	FUZZ_CHECK(getsockname(listener, (struct sockaddr *) &address,
						   &length) == 0);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/x", ntohs(address.sin_port));

	options.max_connections = MAX_PEERS;
	options.allowed_networks = "127.0.0.0/8, ::1/128";
	options.allowed_ports = "1-65535";
	api = webhook_http_api();
	http = api->create(&options, reason, sizeof(reason));
	FUZZ_CHECK(http != NULL);
}

/* Close a connection; "hard": with a reset, so that unsent bytes are lost. */
static void
hang_up(Peer *peer, bool hard)
{
	struct linger linger = {1, 0};

	if (hard)
		setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(peer->fd);
	*peer = peers[--npeers];
}

/* Read what has come, and answer as far as there is room. Returns false if the peer is gone. */
static bool
answer(Peer *peer, int flags, const uint8_t *bytes, size_t size)
{
	static const size_t pieces[] = {SIZE_MAX, 1, 7, 512};
	size_t		piece = pieces[(flags & PIECES) >> 2];
	char		request[1024];
	ssize_t		got;

	while ((got = recv(peer->fd, request, sizeof(request), MSG_DONTWAIT)) > 0)
	{
		peer->asked += got;

		if (peer->answered && request[got - 1] == '}')
		{
			peer->answered = false;
			peer->sent = 0;
			peer->idle = 0;
		}
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
	{
		hang_up(peer, false);
		return false;
	}
	if (peer->answered && !peer->ended && (flags & HANG) != HANG &&
		(flags & ENDING) == ENDS_OPEN && ++peer->idle > PATIENCE)
	{
		hang_up(peer, false);
		return false;
	}
	if (peer->ended || peer->answered ||
		(peer->asked == 0 && !(flags & EARLY)))
		return true;
	if (peer->sent < size)
	{
		size_t		length = size - peer->sent < piece ?
			size - peer->sent : piece;
		ssize_t		sent = send(peer->fd, bytes + peer->sent, length,
								MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent > 0)
			peer->sent += sent;
	}
	if (peer->sent < size)
		return true;
	peer->answered = true;
	if ((flags & HANG) == HANG || (flags & ENDING) == ENDS_OPEN)
		return true;
	if ((flags & ENDING) == ENDS_HALF)
	{
		shutdown(peer->fd, SHUT_WR);
		peer->ended = true;
		return true;
	}
	hang_up(peer, (flags & ENDING) == ENDS_RESET);
	return false;
}

/* Let the engine and the peers do what they can without waiting. */
static void
wait_and_run(int flags, const uint8_t *bytes, size_t size)
{
	struct pollfd waited[MAX_PEERS + 2];
	long		wait = api->wait_ms(http);
	int			fd;
	int			i;
	bool		has_more = false;

	waited[0].fd = api->descriptor(http);
	waited[1].fd = listener;
	for (i = 0; i < npeers; i++)
	{
		waited[2 + i].fd = peers[i].fd;
		has_more = has_more || !peers[i].answered ||
			((flags & HANG) != HANG && (flags & ENDING) == ENDS_OPEN);
	}
	for (i = 0; i < npeers + 2; i++)
		waited[i].events = POLLIN;
	poll(waited, npeers + 2, has_more ? 0 : wait < 0 || wait > 10 ? 10 : wait);

	api->run(http);
	while (npeers < MAX_PEERS &&
		   (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
	{
		memset(&peers[npeers], 0, sizeof(Peer));
		peers[npeers++].fd = fd;
	}
	for (i = 0; i < npeers;)
	{
		if (answer(&peers[i], flags, bytes, size))
			i++;
	}
}

static void
check(const WebhookHttpTransfer *transfer)
{
	size_t		header_bytes = 0;
	int			i;

	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_INTERNAL);
	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_UNSENT && transfer->error != WEBHOOK_HTTP_NO_PORT);
	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_BLOCKED);
	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_DNS);
	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_TLS);
	FUZZ_CHECK(transfer->status == 0 || transfer->status == 101 ||
			   (transfer->status >= 200 && transfer->status <= 999));
	FUZZ_CHECK(transfer->error != WEBHOOK_HTTP_OK || transfer->status != 0);
	FUZZ_CHECK((transfer->error == WEBHOOK_HTTP_OK) ==
			   (transfer->message[0] == '\0'));
	for (i = 0; transfer->message[i]; i++)
		FUZZ_CHECK(transfer->message[i] >= ' ' && transfer->message[i] <= '~');

	FUZZ_CHECK(transfer->response_length <= WEBHOOK_HTTP_KEPT_BODY);
	FUZZ_CHECK(transfer->response_body != NULL);
	FUZZ_CHECK(transfer->retry_after >= -1);
	FUZZ_CHECK(transfer->duration >= 0);
	FUZZ_CHECK(transfer->nresponse_headers <= WEBHOOK_HTTP_MAX_HEADER_LINES);
	for (i = 0; i < transfer->nresponse_headers; i++)
	{
		const WebhookHttpHeader *header = &transfer->response_headers[i];

		FUZZ_CHECK(strpbrk(header->name, "\r\n:") == NULL);
		FUZZ_CHECK(strpbrk(header->value, "\r\n") == NULL);
		header_bytes += strlen(header->name) + strlen(header->value);
	}
	FUZZ_CHECK(header_bytes <= WEBHOOK_HTTP_MAX_HEADERS);
	FUZZ_CHECK(api->memory(http) < 256 * 1024);
}

static void
post(int flags, const uint8_t *bytes, size_t size)
{
	WebhookHttpRequest request = {0};
	WebhookHttpTransfer *transfer;
	WebhookHttpTransfer *ended;
	int64_t		latest = now_ms() + TIMEOUT_MS + LATE_MS;
	uint64_t	sum = 0;

	request.url = url;
	request.body = "{}";
	request.body_length = 2;
	request.timeout_ms = TIMEOUT_MS;
	request.connect_timeout_ms = TIMEOUT_MS;
	transfer = api->submit(http, &request, NULL);
	FUZZ_CHECK(transfer != NULL);
	while ((ended = api->harvest(http)) == NULL)
	{
		FUZZ_CHECK(now_ms() < latest);
		wait_and_run(flags, bytes, size);
	}
	FUZZ_CHECK(ended == transfer);
	check(transfer);

	/* Read all that is kept, so that a sanitizer sees it. */
	for (size_t i = 0; i < transfer->response_length; i++)
		sum += (unsigned char) transfer->response_body[i];
	FUZZ_CHECK(sum <= 255 * transfer->response_length);

	api->release(http, transfer);
	FUZZ_CHECK(api->memory(http) == 0);
	FUZZ_CHECK(api->in_flight(http) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char good[] =
		"HTTP/1.1 200 OK\r\nX-Peer: a\r\nContent-Length: 2\r\n\r\nok";
	int			requests = REQUESTS;

	if (size == 0)
		return 0;
	if (http == NULL)
		set_up();

	/* One request that waits for its timeout is enough. */
	if ((data[0] & HANG) == HANG)
		requests = 1;
	post(ENDS_OPEN, (const uint8_t *) good, sizeof(good) - 1);
	while (requests-- > 0)
		post(data[0], data + 1, size - 1);

	/* The next input starts without connections. */
	while (npeers > 0)
		hang_up(&peers[0], true);
	api->run(http);
	return 0;
}
