/*
 * http_test.c
 *	  The HTTP engine against a peer that behaves as the path says.
 *
 * The peer is in this process: a thread that accepts, and one a connection.
 * getaddrinfo() is this file's own, so that a name can hang and so that the
 * signal mask of libcurl's resolver threads can be looked at.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/ages_internal.h"
#include "http/http.h"

#include "unit.h"

#define HANG_SECONDS	4
#define ROOM			65536

/* Growth that hostile answers may cause; a sanitizer keeps freed memory. */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_KB		65536
#else
#define GROWTH_KB		8192
#endif

static const WebhookHttpApi *api;
static WebhookHttp *http;
static int	port;				/* of the peer */
static int	closed_port;		/* nobody listens there */
static bool has_ipv6;			/* the peer listens on ::1 too */
static bool new_connection = false; /* of the requests that are submitted */
static CURLMcode taken = CURLM_OK;	/* what libcurl says of a request */
static CURLoption refused_option;	/* that libcurl refuses; 0: none */
static CURLcode refusal;		/* what it says then */
static int	connect_errno;		/* how connect() fails for a stream; 0: it does not */
static bool is_unreachable;		/* it fails so for datagrams, too */

static int	connections = 0;	/* that the peer has accepted */
static int	requests = 0;		/* that it has read */
static int	answering = 0;		/* requests that it has read and not done with */
static bool offered_http2 = false;	/* in the last TLS handshake */
static int	resolver_open_signals = -1; /* unblocked in a resolver thread */
static volatile sig_atomic_t signals_seen = 0;

/* libcurl 8.14 forgets the name of a host that is not found: curl issue 17602 */
#if LIBCURL_VERSION_NUM >= 0x080e00 && LIBCURL_VERSION_NUM < 0x080f00
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libcurl.so\n";
}
#endif

/*
 * Names under .invalid do not exist; slow.invalid takes its time to say so;
 * peer.test is the peer.
 */
int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	struct
	{
		struct addrinfo info;
		struct sockaddr_in address;
	}		   *answer;
	sigset_t	mask;
	int			signal;
	int			open_signals = 0;

	(void) hints;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	for (signal = 1; signal < 32; signal++)
	{
		if (signal != SIGKILL && signal != SIGSTOP &&
			!sigismember(&mask, signal))
			open_signals++;
	}
	__atomic_store_n(&resolver_open_signals, open_signals, __ATOMIC_SEQ_CST);

	if (strcmp(name, "slow.invalid") == 0)
		pause_ms(HANG_SECONDS * 1000);
	if (strcmp(name, "peer.test") != 0)
		return EAI_NONAME;
	answer = calloc(1, sizeof(*answer));
	if (answer == NULL)
		return EAI_MEMORY;
	answer->address.sin_family = AF_INET;
	answer->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	answer->address.sin_port = htons(service ? atoi(service) : 0);
	answer->info.ai_family = AF_INET;
	answer->info.ai_socktype = SOCK_STREAM;
	answer->info.ai_addrlen = sizeof(answer->address);
	answer->info.ai_addr = (struct sockaddr *) &answer->address;
	*result = &answer->info;
	return 0;
}

void
freeaddrinfo(struct addrinfo *result)
{
	free(result);
}

/* The peer. */

static bool
say_bytes(int fd, const char *bytes, size_t length)
{
	while (length > 0)
	{
		ssize_t		sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		length -= sent;
	}
	return true;
}

static bool
say(int fd, const char *text)
{
	return say_bytes(fd, text, strlen(text));
}

/* Close with a reset. */
static void
reset(int fd)
{
	struct linger hard = {1, 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* Wait until the other side hangs up. */
static void
wait_for_end(int fd)
{
	char		bytes[256];

	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
}

static void
say_for_ever(int fd, const char *text)
{
	while (say(fd, text))
		;
}

/* A byte each 100 ms, over and over. */
static void
drip(int fd, const char *text)
{
	size_t		length = strlen(text);
	size_t		i;

	for (i = 0; i < 100 && say_bytes(fd, text + i % length, 1); i++)
		pause_ms(100);
}

static void
answer_with(int fd, const char *body, size_t length)
{
	char		head[128];

	snprintf(head, sizeof(head),
			 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
	if (say(fd, head))
		say_bytes(fd, body, length);
}

static void
answer_size(int fd, size_t length)
{
	char	   *body = malloc(length + 1);

	if (body == NULL)
		return;
	memset(body, 'x', length);
	answer_with(fd, body, length);
	free(body);
}

#define OK200 "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK200 "Transfer-Encoding: chunked\r\n\r\n"

/* Paths that are answered with the same bytes always. */
static const struct
{
	const char *path;
	const char *bytes;
	bool		keep;			/* the connection is not closed by the peer */
}			canned[] = {
	{"/204-bytes", "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 No\r\n\r\n", true},
	{"/two-answers", OK200 "Content-Length: 0\r\n\r\n"
	"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", true},
	{"/gzip", OK200 "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
	"\x1f\x8b\x08\x01\xff", true},
	{"/folded", OK200 "X-Folded: a\r\n  b\r\n\tc\r\nContent-Length: 0\r\n\r\n", true},
	{"/folded-cr", OK200 "X-Folded:\r\n a\r\nContent-Length: 0\r\n\r\n", true},
	{"/utf8", "HTTP/1.1 200 \xff\xfe\r\nX-\xff: \xc3(\x1b[2J\r\n"
	"Content-Length: 2\r\n\r\n\xc3(", true},
	{"/two-lengths", OK200 "Content-Length: 2\r\nContent-Length: 9\r\n\r\nok", false},
	{"/huge-length", OK200 "Content-Length: 99999999999999999999999\r\n\r\nok", false},
	{"/length-and-chunks", OK200 "Content-Length: 9\r\n"
	"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
	{"/huge-chunk", CHUNKED "fffffffffffffffff\r\nok", false},
	{"/large-chunk", CHUNKED "7fffffffffffffff\r\nok", false},
	{"/negative-chunk", CHUNKED "-2\r\nok\r\n0\r\n\r\n", false},
	{"/status-000", "HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n", false},
	{"/status-099", "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n", false},
	{"/status-2000", "HTTP/1.1 2000 No\r\nContent-Length: 0\r\n\r\n", false},
	{"/only-100", "HTTP/1.1 100 Continue\r\n\r\n", false},
	{"/half-status", "HTTP/1.", false},
	{"/half-header", OK200 "X-He", false},
	{"/half-headers", OK200 "X-Peer: a\r\n", false},
	{"/half-trailers", CHUNKED "2\r\nok\r\n0\r\nX-Peer: a\r\n", false},
	{"/extension", CHUNKED "2;a=\"b\"\r\nok\r\n0;c\r\n\r\n", true},
	{"/fold-first", OK200 " X-Folded: 1\r\nContent-Length: 0\r\n\r\n", false},
};

/* Paths that are answered without end: some bytes, then others again and again. */
static const struct
{
	const char *path;
	const char *start;
	const char *more;
}			endless[] = {
	{"/endless-100", "", "HTTP/1.1 100 Continue\r\n\r\n"},
	{"/endless-fold", OK200 "X-Folded: a\r\n", " 0123456789012345678901234567890\r\n"},
	{"/endless-status", "HTTP/1.1 200 ", "0123456789012345678901234567890123456789"},
	{"/endless-extension", CHUNKED "1;", "0123456789012345678901234567890123456789"},
	{"/endless-size", CHUNKED "0", "00000000000000000000000000000000000000000"},
};

/* Answer a request as its path says. Returns false if the connection has to end. */
static bool
behave(int fd, const char *path, const char *request, size_t length)
{
	size_t		i;

#define IS(text) (strcmp(path, "/" text) == 0)

	for (i = 0; i < sizeof(canned) / sizeof(canned[0]); i++)
	{
		if (strcmp(path, canned[i].path) == 0)
			return say(fd, canned[i].bytes) && canned[i].keep;
	}
	for (i = 0; i < sizeof(endless) / sizeof(endless[0]); i++)
	{
		if (strcmp(path, endless[i].path) == 0)
		{
			say(fd, endless[i].start);
			say_for_ever(fd, endless[i].more);
			return false;
		}
	}
	if (IS("ok") || strncmp(path, "/then/", 6) == 0)
		return say(fd, OK200 "X-Peer: a\r\nContent-Length: 2\r\n"
				   "x-peer:  b c \r\nX-None:\r\n\r\nok");
	if (IS("echo"))
	{
		answer_with(fd, request, length);
		return true;
	}
	if (IS("slowly"))
	{
		pause_ms(300);
		return say(fd, OK200 "Content-Length: 2\r\n\r\nok");
	}
	if (IS("204"))
		return say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
	if (IS("302"))
		return say(fd, "HTTP/1.1 302 Found\r\nLocation: /ok\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("401"))
		return say(fd, "HTTP/1.1 401 Unauthorized\r\n"
				   "WWW-Authenticate: Basic realm=\"x\"\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("999"))
		return say(fd, "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n");
	if (IS("100-then-200"))
		return say(fd, "HTTP/1.1 100 Continue\r\n\r\n"
				   "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
				   OK200 "X-Last: 1\r\nContent-Length: 2\r\n\r\nok");
	if (IS("chunked"))
		return say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\n"
				   "2\r\nok\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n");
	if (IS("size-16384"))
	{
		answer_size(fd, WEBHOOK_HTTP_KEPT_BODY);
		return true;
	}
	if (IS("size-16385"))
	{
		answer_size(fd, WEBHOOK_HTTP_KEPT_BODY + 1);
		return true;
	}
	if (IS("size-1048576"))
	{
		answer_size(fd, WEBHOOK_HTTP_MAX_BODY);
		return true;
	}
	if (IS("size-1048577"))
	{
		answer_size(fd, WEBHOOK_HTTP_MAX_BODY + 1);
		return true;
	}
	if (IS("bytes"))
	{
		answer_with(fd, "a\0\xff\r\nb", 6);
		return true;
	}
	if (IS("retry-seconds"))
		return say(fd, "HTTP/1.1 429 Slow\r\nRetry-After: 120\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-zero"))
		return say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-huge"))
		return say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 1000000000000\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-negative"))
		return say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: -5\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-garbage"))
		return say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: soon\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-past"))
		return say(fd, "HTTP/1.1 503 Busy\r\n"
				   "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				   "Content-Length: 0\r\n\r\n");
	if (IS("retry-date"))
	{
		char		head[256];
		char		date[64];
		time_t		then = time(NULL) + 600;
		struct tm	parts;

		gmtime_r(&then, &parts);
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
		snprintf(head, sizeof(head), "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\n"
				 "Content-Length: 0\r\n\r\n", date);
		return say(fd, head);
	}

	/* From here on the connection does not survive. */
	if (IS("hang"))
		wait_for_end(fd);
	else if (IS("reset-before"))
		reset(fd);
	else if (IS("reset-after"))
	{
		say(fd, OK200 "Content-Length: 100\r\n\r\nok");
		pause_ms(100);
		reset(fd);
	}
	else if (IS("close-before"))
		shutdown(fd, SHUT_RDWR);
	else if (IS("short"))
		say(fd, OK200 "Content-Length: 100\r\n\r\nok");
	else if (IS("short-chunk"))
		say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\n64\r\nok");
	else if (IS("until-close"))
		say(fd, OK200 "\r\nok");
	else if (IS("hang-after-status"))
	{
		say(fd, OK200 "Content-Length: 100\r\n\r\n");
		wait_for_end(fd);
	}
	else if (IS("drip"))
	{
		if (say(fd, OK200 "X-Drip: "))
			drip(fd, "x");
	}
	else if (IS("drip-status"))
		drip(fd, "HTTP/1.1 200 OK  ");
	else if (IS("drip-chunks"))
	{
		if (say(fd, CHUNKED))
			drip(fd, "1\r\nx\r\n");
	}
	else if (IS("100-then-hang"))
	{
		say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
		wait_for_end(fd);
	}
	else if (IS("101"))
	{
		say(fd, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
		wait_for_end(fd);
	}
	else if (IS("endless-headers"))
	{
		say(fd, OK200);
		say_for_ever(fd, "X-Header: 0123456789012345678901234567890123456789"
					 "0123456789012345678901234567890123456789012345678\r\n");
	}
	else if (IS("many-headers"))
	{
		say(fd, OK200);
		say_for_ever(fd, "a:\r\n");
	}
	else if (IS("endless-header"))
	{
		say(fd, OK200 "X-Header: ");
		say_for_ever(fd, "0123456789012345678901234567890123456789");
	}
	else if (IS("endless-trailers"))
	{
		say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n");
		say_for_ever(fd, "X-Trailer: 01234567890123456789012345678901234567\r\n");
	}
	else if (IS("endless-trailer"))
	{
		say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: ");
		say_for_ever(fd, "0123456789012345678901234567890123456789");
	}
	else if (IS("endless-body"))
	{
		say(fd, OK200 "\r\n");
		say_for_ever(fd, "0123456789012345678901234567890123456789");
	}
	else if (IS("endless-chunks"))
	{
		say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\n");
		say_for_ever(fd, "28\r\n0123456789012345678901234567890123456789\r\n");
	}
	else if (IS("endless-1xx"))
		say_for_ever(fd, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
	else if (IS("garbage"))
		say(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	else if (IS("http-0.9"))
		say(fd, "<html>hello</html>");
	else if (IS("http-7"))
		say(fd, "HTTP/7.3 200 OK\r\nContent-Length: 0\r\n\r\n");
	else if (IS("no-status"))
		say(fd, "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n");
	else if (IS("no-colon"))
		say(fd, OK200 "Content-Length: 0\r\nno colon here\r\n\r\n");
	else if (IS("nul-header"))
		say_bytes(fd, OK200 "X-N: a\0b\r\nContent-Length: 0\r\n\r\n", 47);
	else if (IS("bad-chunk"))
		say(fd, OK200 "Transfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n");
	else if (IS("bad-length"))
		say(fd, OK200 "Content-Length: -5\r\n\r\nok");
	else if (IS("gzip-coding"))
		say(fd, OK200 "TRANSFER-ENCODING: gzip, chunked\r\n\r\n0\r\n\r\n");
	else
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
	return false;
}

static void *
serve(void *arg)
{
	int			fd = (int) (long) arg;
	char	   *data = malloc(ROOM + 1);
	size_t		used = 0;
	bool		alive = data != NULL;
	int			number = 0;		/* of the request on this connection */

	while (alive)
	{
		char	   *blank;
		char	   *field;
		char		path[64];
		size_t		length;
		ssize_t		got = recv(fd, data + used, ROOM - used, 0);

		if (got <= 0)
			break;
		used += got;
		data[used] = '\0';
		if (data[0] == 0x16)
		{
			/* A TLS handshake: this peer has none. */
			offered_http2 = memmem(data, used, "\2h2\10http/1.1", 12) != NULL;
			say(fd, "HTTP/1.1 400 Bad Request\r\n\r\n");
			break;
		}
		blank = strstr(data, "\r\n\r\n");
		field = strstr(data, "Content-Length: ");
		if (blank == NULL)
			continue;
		if (strncmp(data, "POST /early ", 12) == 0)
		{
			/* The rest is not read, so that closing becomes a reset. */
			say(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n"
				"Connection: close\r\n\r\n");
			pause_ms(100);
			break;
		}
		length = blank + 4 - data + (field ? strtoul(field + 16, NULL, 10) : 0);
		if (used < length)
			continue;
		__atomic_add_fetch(&requests, 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&answering, 1, __ATOMIC_SEQ_CST);
		alive = sscanf(data, "POST %63s HTTP/1.1", path) == 1 &&
			behave(fd, ++number > 1 && strncmp(path, "/then/", 6) == 0 ? path + 5 : path,
				   data, length);
		memmove(data, data + length, used - length);
		used -= length;
		if (!alive)
		{
			close(fd);
			fd = -1;
		}
		__atomic_sub_fetch(&answering, 1, __ATOMIC_SEQ_CST);
	}
	free(data);
	if (fd >= 0)
		close(fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int			listener = (int) (long) arg;
	int			fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0)
	{
		pthread_attr_t attributes;
		pthread_t	thread;

		__atomic_add_fetch(&connections, 1, __ATOMIC_SEQ_CST);
		pthread_attr_init(&attributes);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attributes, 256 * 1024);
		if (pthread_create(&thread, &attributes, serve,
						   (void *) (long) fd) != 0)
			close(fd);
		pthread_attr_destroy(&attributes);
	}
	return NULL;
}

/* The same port of ::1. Returns -1 if there is no IPv6. */
static int
listen_on_ipv6(int chosen)
{
	struct sockaddr_in6 address = {0};
	int			one = 1;
	int			fd = socket(AF_INET6, SOCK_STREAM, 0);

	address.sin6_family = AF_INET6;
	address.sin6_addr = in6addr_loopback;
	address.sin6_port = htons(chosen);
	if (fd < 0 ||
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0 ||
		bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		listen(fd, 16) < 0)
		return -1;
	return fd;
}

static int
listen_on_loopback(int *chosen)
{
	struct sockaddr_in address = {0};
	socklen_t	length = sizeof(address);
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 ||
		bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		listen(fd, 1024) < 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) < 0)
	{
		perror("listen");
		exit(1);
	}
	*chosen = ntohs(address.sin_port);
	return fd;
}

static void
start_peer(void)
{
	sigset_t	all;
	sigset_t	before;
	pthread_t	thread;
	int			listener = listen_on_loopback(&port);
	int			second = listen_on_ipv6(port);

	has_ipv6 = second >= 0;

	/* The peer's threads must not take the signals of this test. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < 1 + has_ipv6; i++)
	{
		if (pthread_create(&thread, NULL, accept_all,
						   (void *) (long) (i == 0 ? listener : second)) != 0)
		{
			perror("pthread_create");
			exit(1);
		}
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(listen_on_loopback(&closed_port));
}

/* The engine, used as the worker uses it. */

static const WebhookHttpHeader headers[] = {
	{"Content-Type", "application/json"},
	{"X-Empty", ""},
	{"X-Full", "a: b;"},
};

static WebhookHttpTransfer *
submit_url(const char *url, int timeout_ms, void *tag)
{
	WebhookHttpRequest request = {0};

	request.url = url;
	request.headers = headers;
	request.nheaders = 3;
	request.body = "{\"a\":1}";
	request.body_length = 7;
	request.timeout_ms = timeout_ms;
	request.connect_timeout_ms = timeout_ms;
	request.new_connection = new_connection;
	return api->submit(http, &request, tag);
}

static WebhookHttpTransfer *
submit(const char *path, int timeout_ms, void *tag)
{
	char		url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/%s", port, path);
	return submit_url(url, timeout_ms, tag);
}

/* Wait as a caller has to, then call run(). Returns the seconds that run() took. */
static double
wait_and_run(void)
{
	struct pollfd descriptor = {api->descriptor(http), POLLIN, 0};
	long		wait = api->wait_ms(http);
	double		start;

	poll(&descriptor, 1, wait < 0 || wait > 1000 ? 1000 : (int) wait);
	start = now();
	api->run(http);
	return now() - start;
}

static WebhookHttpTransfer *
finish(void)
{
	WebhookHttpTransfer *transfer;
	double		limit = now() + 30;

	while ((transfer = api->harvest(http)) == NULL && now() < limit)
		wait_and_run();
	return transfer;
}

/*
 * The peer has done with the request when this returns: a connection that it closes behind an
 * answer would otherwise be used once more, if the next request comes before the end does.
 */
static WebhookHttpTransfer *
get(const char *path)
{
	WebhookHttpTransfer *transfer = submit(path, 5000, NULL);
	double		limit;

	if (transfer == NULL || finish() != transfer)
	{
		ok(false, "%s did not end", path);
		exit(1);
	}
	for (limit = now() + 5;
		 __atomic_load_n(&answering, __ATOMIC_SEQ_CST) > 0 && now() < limit; pause_ms(1))
		api->run(http);
	return transfer;
}

/* Request a path, and expect an error class and a status. */
static void
expect(const char *path, WebhookHttpError error, int status)
{
	WebhookHttpTransfer *transfer = get(path);

	if (!ok(transfer->error == error && transfer->status == status &&
			(transfer->message[0] == '\0') == (error == WEBHOOK_HTTP_OK),
			"%s: %s, status %d", path, webhook_http_error_name(error), status))
		printf("#   %s, status %d\n",
			   webhook_http_error_name(transfer->error), transfer->status);
	if (transfer->message[0])
		printf("#   %s\n", transfer->message);
	api->release(http, transfer);
}

/* Resident memory of this process; the peer's threads are in it. */
static long
resident_kb(void)
{
	FILE	   *file = fopen("/proc/self/statm", "r");
	long		size;
	long		resident = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static const char *
response_header(const WebhookHttpTransfer *transfer, const char *name)
{
	int			i;

	for (i = 0; i < transfer->nresponse_headers; i++)
	{
		if (strcmp(transfer->response_headers[i].name, name) == 0)
			return transfer->response_headers[i].value;
	}
	return NULL;
}

static void
test_exchange(void)
{
	WebhookHttpTransfer *transfer;
	int			tag;
	struct timespec wall;

	is_int(api->wait_ms(http), -1, "an idle engine waits for ever");
	is_int(api->memory(http), 0, "and holds nothing");
	transfer = submit("ok", 5000, &tag);
	is_int(api->in_flight(http), 1, "one is in flight");
	ok(api->memory(http) >= 500, "its memory is counted");
	is_int(api->wait_ms(http), 0, "run() is to be called at once");
	ok(finish() == transfer, "it is harvested");
	is_int(api->in_flight(http), 0, "then none is in flight");
	ok(transfer->tag == &tag, "it has its tag");
	is_text(webhook_http_error_name(transfer->error), "ok", "it is well");
	is_text(transfer->message, "", "without a message");
	is_int(transfer->status, 200, "status");
	is_int(transfer->response_length, 2, "length of the body");
	ok(memcmp(transfer->response_body, "ok", 2) == 0, "body");
	is_int(transfer->nresponse_headers, 4, "all headers of the response");
	is_text(transfer->response_headers[0].name, "X-Peer", "name as sent");
	is_text(transfer->response_headers[0].value, "a", "its value");
	is_text(transfer->response_headers[2].name, "x-peer", "a repeated name");
	is_text(transfer->response_headers[2].value, "b c", "its value, trimmed");
	is_text(transfer->response_headers[3].value, "", "an empty value");
	is_int(transfer->retry_after, -1, "no Retry-After");
	is_text(transfer->source_ip, "127.0.0.1", "address of this side");
	ok(transfer->source_port > 0, "and its port");
	is_text(transfer->peer_ip, "127.0.0.1", "address of the peer");
	clock_gettime(CLOCK_REALTIME, &wall);
	ok(wall.tv_sec - transfer->started / 1000000 < 10, "when it started");
	ok(transfer->duration > 0 && transfer->duration < 5000000, "duration");
	is_int(transfer->nheaders, 5, "the request is kept");
	is_text(transfer->headers[0].name, "Host", "with the headers that libcurl adds");
	is_text(transfer->headers[2].name, "X-Empty", "those that were given");
	is_text(transfer->headers[4].value, "7", "and the length of the body");
	is_text(transfer->body, "{\"a\":1}", "with its body");
	api->release(http, transfer);
	is_int(api->memory(http), 0, "released, nothing is held");
}

static void
test_request(void)
{
	WebhookHttpTransfer *transfer = get("echo");
	char		expected[512];
	char		logged[512];
	size_t		length;

	snprintf(expected, sizeof(expected),
			 "POST /echo HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
			 "Content-Type: application/json\r\nX-Empty:\r\n"
			 "X-Full: a: b;\r\nContent-Length: 7\r\n\r\n{\"a\":1}", port);
	ok(transfer->response_length == strlen(expected) &&
	   memcmp(transfer->response_body, expected, strlen(expected)) == 0,
	   "the request is what was asked for and nothing else");
	length = snprintf(logged, sizeof(logged), "POST /echo HTTP/1.1\r\n");
	for (int i = 0; i < transfer->nheaders; i++)
		length += snprintf(logged + length, sizeof(logged) - length, "%s:%s%s\r\n",
						   transfer->headers[i].name, transfer->headers[i].value[0] ? " " : "",
						   transfer->headers[i].value);
	snprintf(logged + length, sizeof(logged) - length, "\r\n%s", transfer->body);
	is_text(logged, expected, "and what is said to have been sent");
	api->release(http, transfer);
}

static void
test_keep_alive(void)
{
	int			before;
	int			i;

	api->release(http, get("ok"));
	before = connections;
	for (i = 0; i < 20; i++)
		api->release(http, get("ok"));
	is_int(connections, before, "20 requests on a connection that was there");
	api->release(http, get("short"));
	api->release(http, get("ok"));
	ok(connections <= before + 1, "a broken one is replaced");
}

static void
test_answers(void)
{
	WebhookHttpTransfer *transfer;
	const char *folded;

	expect("204", WEBHOOK_HTTP_OK, 204);
	expect("302", WEBHOOK_HTTP_OK, 302);
	expect("401", WEBHOOK_HTTP_OK, 401);
	expect("999", WEBHOOK_HTTP_OK, 999);
	expect("none", WEBHOOK_HTTP_OK, 404);
	expect("101", WEBHOOK_HTTP_OK, 101);
	expect("until-close", WEBHOOK_HTTP_OK, 200);

	transfer = get("100-then-200");
	is_int(transfer->status, 200, "1xx, then 200: status");
	is_text(response_header(transfer, "X-Last"), "1", "its header");
	is_text(response_header(transfer, "Link"), NULL, "no header of a 1xx");
	api->release(http, transfer);

	transfer = get("chunked");
	ok(transfer->response_length == 3 &&
	   memcmp(transfer->response_body, "ok!", 3) == 0, "chunks are joined");
	is_text(response_header(transfer, "X-Trailer"), NULL,
			"a trailer is no header");
	api->release(http, transfer);

	transfer = get("bytes");
	ok(transfer->response_length == 6 &&
	   memcmp(transfer->response_body, "a\0\xff\r\nb", 6) == 0,
	   "any bytes in a body");
	api->release(http, transfer);

	transfer = get("gzip");
	ok(transfer->response_length == 5 &&
	   memcmp(transfer->response_body, "\x1f\x8b\x08\x01\xff", 5) == 0,
	   "what is compressed is not unpacked");
	api->release(http, transfer);

	/* Newer versions of libcurl write one blank for each fold. */
	transfer = get("folded");
	folded = response_header(transfer, "X-Folded");
	ok(folded != NULL && (strcmp(folded, "a b\tc") == 0 || strcmp(folded, "a b c") == 0),
	   "a folded header is one line");
	api->release(http, transfer);

	transfer = get("folded-cr");
	ok(response_header(transfer, "X-Folded") != NULL &&
	   strpbrk(response_header(transfer, "X-Folded"), "\r\n") == NULL,
	   "also behind an empty value");
	api->release(http, transfer);

	transfer = get("utf8");
	is_text(response_header(transfer, "X-\xff"), "\xc3(\x1b[2J",
			"any bytes in a header");
	api->release(http, transfer);

	transfer = get("extension");
	ok(transfer->response_length == 2 &&
	   memcmp(transfer->response_body, "ok", 2) == 0,
	   "extensions of chunks are left out");
	api->release(http, transfer);

	/* A second answer to one request is not taken for the answer to the next one. */
	expect("204-bytes", WEBHOOK_HTTP_OK, 204);
	expect("ok", WEBHOOK_HTTP_OK, 200);
	expect("two-answers", WEBHOOK_HTTP_OK, 200);
	expect("ok", WEBHOOK_HTTP_OK, 200);
	expect("length-and-chunks", WEBHOOK_HTTP_OK, 200);

	/* Newer versions of libcurl do not wait for the bytes that the second length promises. */
	transfer = get("two-lengths");
	ok((transfer->error == WEBHOOK_HTTP_RESET || transfer->error == WEBHOOK_HTTP_PROTOCOL) &&
	   transfer->status == 200, "two-lengths: reset or protocol, status 200");
	api->release(http, transfer);
	expect("huge-length", WEBHOOK_HTTP_OK, 200);
}

/* The peer answers before it has read the request, and hangs up. */
static void
test_early_answer(void)
{
	WebhookHttpRequest request = {0};
	WebhookHttpTransfer *transfer;
	char		url[128];
	size_t		length = 16 * 1024 * 1024;
	char	   *body = malloc(length);

	memset(body, 'x', length);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/early", port);
	request.url = url;
	request.body = body;
	request.body_length = length;
	request.timeout_ms = request.connect_timeout_ms = 10000;
	api->submit(http, &request, NULL);
	transfer = finish();
	is_int(transfer->status, 413, "an early answer is kept: %s",
		   webhook_http_error_name(transfer->error));
	api->release(http, transfer);
	free(body);
}

static void
test_sizes(void)
{
	static const struct
	{
		const char *path;
		size_t		kept;
	}			cases[] = {
		{"size-16384", 16384},
		{"size-16385", 16384},
		{"size-1048576", 16384},
		{"size-1048577", 16384},
		{"endless-body", 16384},
		{"endless-chunks", 16384},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		WebhookHttpTransfer *transfer = get(cases[i].path);

		ok(transfer->error == WEBHOOK_HTTP_OK && transfer->status == 200 &&
		   transfer->response_length == cases[i].kept,
		   "%s: kept %zu", cases[i].path, cases[i].kept);
		ok(api->memory(http) < 64 * 1024, "in little memory");
		api->release(http, transfer);
	}
}

static void
test_retry_after(void)
{
	static const struct
	{
		const char *path;
		long		least;
		long		most;
	}			cases[] = {
		{"retry-seconds", 120, 120},
		{"retry-zero", 0, 0},
		{"retry-huge", 1000000000000L, 1000000000000L},
		{"retry-negative", -1, -1},
		{"retry-garbage", -1, -1},
		{"retry-past", 0, 0},
		{"retry-date", 595, 600},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		WebhookHttpTransfer *transfer = get(cases[i].path);

		if (!ok(transfer->retry_after >= cases[i].least &&
				transfer->retry_after <= cases[i].most, "%s", cases[i].path))
			printf("#   %ld\n", transfer->retry_after);
		api->release(http, transfer);
	}
}

static void
test_faults(void)
{
	double		start = now();
	long		before = resident_kb();

	expect("reset-before", WEBHOOK_HTTP_RESET, 0);
	expect("reset-after", WEBHOOK_HTTP_RESET, 200);
	expect("close-before", WEBHOOK_HTTP_RESET, 0);
	expect("short", WEBHOOK_HTTP_RESET, 200);
	expect("short-chunk", WEBHOOK_HTTP_RESET, 200);
	expect("half-status", WEBHOOK_HTTP_RESET, 0);
	expect("half-header", WEBHOOK_HTTP_RESET, 200);
	expect("half-headers", WEBHOOK_HTTP_RESET, 200);
	expect("half-trailers", WEBHOOK_HTTP_RESET, 200);
	expect("only-100", WEBHOOK_HTTP_RESET, 0);
	expect("large-chunk", WEBHOOK_HTTP_RESET, 200);

	expect("garbage", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("http-0.9", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("http-7", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("no-status", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("no-colon", WEBHOOK_HTTP_PROTOCOL, 200);
	api->release(http, get("ok"));
	expect("fold-first", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("nul-header", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("bad-chunk", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("huge-chunk", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("negative-chunk", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("bad-length", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("status-000", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("status-099", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("status-2000", WEBHOOK_HTTP_PROTOCOL, 0);
	expect("gzip-coding", WEBHOOK_HTTP_PROTOCOL, 200);

	expect("endless-headers", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("many-headers", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("endless-header", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("endless-trailers", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("endless-trailer", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("endless-1xx", WEBHOOK_HTTP_TOO_LARGE, 0);
	expect("endless-100", WEBHOOK_HTTP_TOO_LARGE, 0);
	expect("endless-fold", WEBHOOK_HTTP_TOO_LARGE, 200);
	expect("endless-status", WEBHOOK_HTTP_TOO_LARGE, 0);
	expect("endless-size", WEBHOOK_HTTP_PROTOCOL, 200);
	expect("endless-extension", WEBHOOK_HTTP_TOO_LARGE, 200);

	is_int(api->memory(http), 0, "nothing of it is held");
	ok(resident_kb() - before < GROWTH_KB, "the process has grown by %ld kB",
	   resident_kb() - before);
	ok(now() - start < 10, "none of these waits for its timeout");
}

static void
test_refused(void)
{
	char		url[128];
	WebhookHttpTransfer *transfer;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/?token=secret",
			 closed_port);
	submit_url(url, 5000, NULL);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "connect",
			"a port that nobody listens on");
	ok(strstr(transfer->message, "Connection refused") != NULL,
	   "says why: %s", transfer->message);
	ok(strstr(transfer->message, "secret") == NULL, "no query in it");
	is_text(transfer->source_ip, "", "no connection, no source");
	is_text(transfer->peer_ip, "127.0.0.1", "but an address that was dialled");
	api->release(http, transfer);

	submit_url("ftp://127.0.0.1/x", 5000, NULL);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "blocked",
			"a scheme that is not ours");
	api->release(http, transfer);

	submit_url("http://", 5000, NULL);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "blocked",
			"not a URL at all");
	api->release(http, transfer);

	snprintf(url, sizeof(url), "https://127.0.0.1:%d/ok", port);
	submit_url(url, 5000, NULL);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "tls",
			"TLS to a peer that has none");
	is_int(offered_http2,
		   curl_version_info(CURLVERSION_NOW)->version_num >= 0x080700,
		   "HTTP/2 is offered if libcurl gives others their turn in it");
	printf("#   %s\n", transfer->message);
	api->release(http, transfer);
}

static void
test_timeouts(void)
{
	static const struct
	{
		const char *path;
		int			status;
	}			cases[] = {
		{"hang", 0},
		{"hang-after-status", 200},
		{"drip", 200},
		{"drip-status", 0},
		{"drip-chunks", 200},
		{"100-then-hang", 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		double		start = now();
		WebhookHttpTransfer *transfer;
		double		took;

		submit(cases[i].path, 400, NULL);
		transfer = finish();
		took = now() - start;
		ok(transfer->error == WEBHOOK_HTTP_TIMEOUT &&
		   transfer->status == cases[i].status,
		   "%s: timeout, status %d", cases[i].path, cases[i].status);
		if (!ok(took > 0.35 && took < 2.0 && transfer->duration > 350000,
				"in its time"))
			printf("#   %.3f s\n", took);
		api->release(http, transfer);
	}
}

static void
test_many(void)
{
	WebhookHttpTransfer *transfer;
	double		start = now();
	int			before = connections;
	int			good = 0;
	int			ended = 0;
	int			submitted = 0;

	while (submitted < 64)
	{
		submit("slowly", 10000, NULL);
		submitted++;
	}
	while (ended < 64 && (transfer = finish()) != NULL)
	{
		ended++;
		if (transfer->error == WEBHOOK_HTTP_OK && transfer->status == 200)
			good++;
		api->release(http, transfer);
	}
	is_int(good, 64, "64 slow ones at once");
	ok(now() - start < 5, "side by side");

	submitted = good = ended = 0;
	while (ended < 3000)
	{
		while (submitted < 3000 && api->in_flight(http) < 64)
		{
			submit("ok", 10000, NULL);
			submitted++;
		}
		transfer = finish();
		if (transfer == NULL)
			break;
		ended++;
		if (transfer->error == WEBHOOK_HTTP_OK &&
			transfer->response_length == 2 && transfer->nresponse_headers == 4)
			good++;
		api->release(http, transfer);
	}
	is_int(good, 3000, "3000 quick ones, 64 at a time");
	ok(connections - before <= 64, "on 64 connections");
	is_int(api->memory(http), 0, "nothing is held afterwards");
}

static void
test_names(void)
{
	WebhookHttpTransfer *transfer;
	char		url[128];
	double		start;
	double		longest = 0;
	int			good = 0;
	int			ended = 0;
	bool		timed_out = false;

	submit_url("http://nobody.invalid/x?token=secret", 5000, NULL);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "dns",
			"a name that does not exist: %s", transfer->message);
	api->release(http, transfer);
	is_int(resolver_open_signals, 0, "signals are blocked in the resolver");

	snprintf(url, sizeof(url), "http://peer.test:%d/ok", port);
	submit_url(url, 5000, NULL);
	transfer = finish();
	is_int(transfer->status, 200, "a name that does");
	api->release(http, transfer);

	/* One name hangs until its timeout; other requests go on meanwhile. */
	start = now();
	submit_url("http://slow.invalid/x", 500, &start);
	while (ended < 201 && now() < start + 20)
	{
		double		took;

		while ((transfer = api->harvest(http)) != NULL)
		{
			ended++;
			if (transfer->tag == &start)
				timed_out = transfer->error == WEBHOOK_HTTP_TIMEOUT &&
					now() - start < 2;
			else if (transfer->status == 200)
				good++;
			api->release(http, transfer);
		}
		while (api->in_flight(http) < 4 && ended + api->in_flight(http) < 201)
			submit("ok", 5000, NULL);
		took = wait_and_run();
		if (took > longest)
			longest = took;
	}
	ok(timed_out, "a name that hangs times out");
	is_int(good, 200, "200 others go on meanwhile");
	ok(longest < 1.0, "no call waits for the resolver (%.3f s at most)",
	   longest);

	/* A transfer can be released while its look-up hangs. */
	transfer = submit_url("http://slow.invalid/y", 5000, NULL);
	api->run(http);
	pause_ms(50);
	api->run(http);
	start = now();
	api->release(http, transfer);
	ok(now() - start < 1.0, "one that hangs can be broken off");
	is_int(api->in_flight(http), 0, "and is gone");

	/* The end of that look-up, which nobody waits for, does no harm. */
	pause_ms(HANG_SECONDS * 1000 + 200);
	expect("ok", WEBHOOK_HTTP_OK, 200);
}

static void
test_release_early(void)
{
	WebhookHttpTransfer *waiting = submit("ok", 5000, NULL);
	WebhookHttpTransfer *running;
	WebhookHttpTransfer *other;
	double		limit = now() + 5;

	api->release(http, waiting);
	is_int(api->in_flight(http), 0, "released before it started");
	is_int(api->memory(http), 0, "and freed");

	running = submit("hang", 5000, NULL);
	api->run(http);
	api->run(http);
	api->release(http, running);
	is_int(api->in_flight(http), 0, "released while it runs");

	running = submit("ok", 5000, NULL);
	while (api->wait_ms(http) != 0 || requests == 0)
		wait_and_run();
	other = submit("ok", 5000, NULL);
	while (now() < limit && other->status == 0)
		wait_and_run();
	api->release(http, running);
	ok(finish() == other, "released when it has ended, the next one stays");
	api->release(http, other);
	is_int(api->memory(http), 0, "and all is freed");
}

static void
on_signal(int signal)
{
	(void) signal;
	signals_seen++;
}

static void
test_signals(void)
{
	struct sigaction action = {0};
	int			i;

	action.sa_handler = on_signal;
	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < 50; i++)
	{
		submit("ok", 5000, NULL);
		kill(getpid(), SIGUSR1);
		api->release(http, finish());
	}
	ok(signals_seen > 0, "signals reach the process between the calls");
}

/* Without descriptors a request fails and says so; later requests succeed. */
static void
test_descriptors(void)
{
	struct rlimit before;
	struct rlimit none;
	WebhookHttpTransfer *first;
	WebhookHttpTransfer *second;
	char		url[128];

	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;

	/* Another address, for which no connection is kept. */
	snprintf(url, sizeof(url), "http://127.0.0.2:%d/ok", closed_port);
	setrlimit(RLIMIT_NOFILE, &none);
	submit_url(url, 2000, NULL);
	first = finish();
	setrlimit(RLIMIT_NOFILE, &before);
	is_text(webhook_http_error_name(first->error), "unsent",
			"no descriptor is left: %s", first->message);
	api->release(http, first);

	/* A resolver without descriptors says that there is no such name. */
	setrlimit(RLIMIT_NOFILE, &none);
	submit_url("http://nobody.invalid/x", 2000, NULL);
	first = finish();
	setrlimit(RLIMIT_NOFILE, &before);
	is_text(webhook_http_error_name(first->error), "unsent",
			"nor for a look-up: %s", first->message);
	api->release(http, first);
	second = get("ok");
	is_int(second->status, 200, "then there are some");
	api->release(http, second);
}

int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	typedef int (*Function) (int, const struct sockaddr *, socklen_t);
	int			type = 0;
	socklen_t	size = sizeof(type);

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	if (connect_errno != 0 && (type == SOCK_STREAM || is_unreachable))
	{
		errno = connect_errno;
		return -1;
	}
	return ((Function) dlsym(RTLD_NEXT, "connect")) (fd, address, length);
}

/* The lack of ports or of the kernel's memory is no failure of the receiver; that of a route is. */
static void
test_ports(void)
{
	static const struct
	{
		int			number;
		bool		is_unreachable;
		WebhookHttpError error;
	}			cases[] = {
		{EADDRNOTAVAIL, false, WEBHOOK_HTTP_NO_PORT},
		{EADDRNOTAVAIL, true, WEBHOOK_HTTP_CONNECT},
		{ENOBUFS, false, WEBHOOK_HTTP_UNSENT},
		{ENOMEM, false, WEBHOOK_HTTP_UNSENT},
		{ECONNREFUSED, false, WEBHOOK_HTTP_CONNECT},
		{ENETUNREACH, true, WEBHOOK_HTTP_CONNECT},
	};

	new_connection = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		connect_errno = cases[i].number;
		is_unreachable = cases[i].is_unreachable;
		expect("ok", cases[i].error, 0);
	}
	connect_errno = 0;
	expect("ok", WEBHOOK_HTTP_OK, 200);
	new_connection = false;
}

/* libcurl may be out of memory, or find a request wrong. */
CURLMcode
curl_multi_add_handle(CURLM *multi, CURL *curl)
{
	typedef CURLMcode (*Function) (CURLM *, CURL *);

	return taken != CURLM_OK ? taken :
		((Function) dlsym(RTLD_NEXT, "curl_multi_add_handle")) (multi, curl);
}

#undef curl_easy_setopt

CURLcode
curl_easy_setopt(CURL *curl, CURLoption option,...)
{
	typedef CURLcode (*Function) (CURL *, CURLoption,...);
	Function	function = (Function) dlsym(RTLD_NEXT, "curl_easy_setopt");
	CURLcode	result;
	va_list		arguments;

	if (option == refused_option)
		return refusal;
	va_start(arguments, option);
	if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
		result = function(curl, option, va_arg(arguments, curl_off_t));
	else if (option < CURLOPTTYPE_OBJECTPOINT)
		result = function(curl, option, va_arg(arguments, long));
	else
		result = function(curl, option, va_arg(arguments, void *));
	va_end(arguments);
	return result;
}

static void
test_not_taken(void)
{
	refused_option = CURLOPT_URL;
	refusal = CURLE_OUT_OF_MEMORY;
	expect("ok", WEBHOOK_HTTP_UNSENT, 0);
	refusal = CURLE_NOT_BUILT_IN;
	expect("ok", WEBHOOK_HTTP_INTERNAL, 0);
	refused_option = 0;
	taken = CURLM_OUT_OF_MEMORY;
	expect("ok", WEBHOOK_HTTP_UNSENT, 0);
	taken = CURLM_BAD_EASY_HANDLE;
	expect("ok", WEBHOOK_HTTP_INTERNAL, 0);
	taken = CURLM_OK;
	expect("ok", WEBHOOK_HTTP_OK, 200);
	is_int(api->memory(http), 0, "nothing of them is held");
}

/*
 * A request that has left is never sent again by libcurl: a kept connection answers one request,
 * and then does what the path says.
 */
static void
test_resend(void)
{
	static const struct
	{
		const char *path;
		WebhookHttpError error;
		int			status;
		int			unanswered; /* -1: that depends on libcurl */
	}			cases[] = {
		{"then/close-before", WEBHOOK_HTTP_RESET, 0, 1},
		{"then/reset-before", WEBHOOK_HTTP_RESET, 0, 1},
		{"then/half-status", WEBHOOK_HTTP_RESET, 0, -1},
		{"then/short", WEBHOOK_HTTP_RESET, 200, 0},
		{"then/reset-after", WEBHOOK_HTTP_RESET, 200, 0},

		/* The last one: libcurl 8.22 keeps its connection, and would choose it in the next case. */
		{"then/half-header", WEBHOOK_HTTP_RESET, 200, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		for (int by_name = 0; by_name < 2; by_name++)
		{
			WebhookHttpTransfer *transfer;
			char		url[128];
			int			connections_before;
			int			requests_before;

			snprintf(url, sizeof(url), "http://%s:%d/%s", by_name ? "peer.test" : "127.0.0.1",
					 port, cases[i].path);
			new_connection = true;
			submit_url(url, 5000, NULL);
			transfer = finish();
			is_int(transfer->status, 200, "%s: a new connection answers", url);
			api->release(http, transfer);

			new_connection = false;
			connections_before = connections;
			requests_before = requests;
			submit_url(url, 5000, NULL);
			transfer = finish();
			is_text(webhook_http_error_name(transfer->error),
					webhook_http_error_name(cases[i].error), "then it breaks: %s",
					transfer->message);
			is_int(transfer->status, cases[i].status, "with this status");
			ok(cases[i].unanswered < 0 || transfer->left_unanswered == cases[i].unanswered,
			   "and that is said");
			is_int(requests - requests_before, 1, "one request has arrived");
			is_int(connections - connections_before, 0, "on the connection that was kept");
			is_text(transfer->peer_ip, "127.0.0.1", "whose peer is known");
			ok(transfer->source_port > 0, "and whose port");
			api->release(http, transfer);
		}
	}

	/* On a new connection, the same end is no excuse. */
	new_connection = true;
	submit("close-before", 5000, NULL);
	new_connection = false;
	{
		WebhookHttpTransfer *transfer = finish();

		ok(transfer->error == WEBHOOK_HTTP_RESET && !transfer->left_unanswered,
		   "a new connection that ends is the receiver's failure");
		api->release(http, transfer);
	}
}

/* A shutdown tells what has left from what has not. */
static void
test_break_off(void)
{
	static const char *const expected[] = {"shutdown 0", "shutdown 200", "unsent 0", "unsent 0"};
	WebhookHttpTransfer *transfers[4];
	WebhookHttpTransfer *transfer;
	char		got[64];
	double		limit = now() + 5;
	int			before = requests;
	int			ended = 0;

	transfers[0] = submit("hang", 5000, NULL);
	transfers[1] = submit("hang-after-status", 5000, NULL);
	transfers[2] = submit_url("http://slow.invalid/x", 5000, NULL);
	while ((requests < before + 2 || transfers[1]->status == 0) && now() < limit)
		wait_and_run();
	transfers[3] = submit("ok", 5000, NULL);
	api->break_off(http);
	while ((transfer = api->harvest(http)) != NULL)
		ended++;
	is_int(ended, 4, "all end at once");
	is_int(api->in_flight(http), 0, "and none is in flight");
	for (int i = 0; i < 4; i++)
	{
		snprintf(got, sizeof(got), "%s %d", webhook_http_error_name(transfers[i]->error),
				 transfers[i]->status);
		is_text(got, expected[i], "as what it is: %s", transfers[i]->message);
		api->release(http, transfers[i]);
	}
	is_int(requests - before, 2, "nothing more was sent");
	is_int(api->memory(http), 0, "and nothing is held");
	api->break_off(http);
	expect("ok", WEBHOOK_HTTP_OK, 200);
}

/* A connection gets no more requests once it is old, however busy it is. */
static void
test_age(WebhookHttpOptions *options)
{
	double		start = now();
	int			before;
	char		reason[256];

	options->connection_seconds = 1;
	api->configure(http, options, reason, sizeof(reason));
	new_connection = true;
	expect("ok", WEBHOOK_HTTP_OK, 200);
	new_connection = false;
	before = connections;
	while (connections == before && now() < start + 10)
	{
		WebhookHttpTransfer *transfer = get("slowly");

		if (transfer->status != 200)
			break;
		api->release(http, transfer);
	}
	is_int(connections, before + 1, "a connection in use is replaced");
	ok(now() - start > 1, "when it has had its time");
	options->connection_seconds = 0;
	api->configure(http, options, reason, sizeof(reason));
}

/* A connection in use stays known, however many others come and go beside it. */
static void
test_ages(void)
{
	static WebhookHttpAges ages;
	int64_t		number = 7;

	is_int(webhook_http_age(&ages, 0, 1000), 0, "a connection is new");
	for (int64_t second = 1; second <= 400; second++)
	{
		for (int i = 0; i < 500; i++)
			webhook_http_age(&ages, number++, 1000 + second);
		if (second % 5 == 0 && webhook_http_age(&ages, 0, 1000 + second) != second)
			break;
	}
	is_int(webhook_http_age(&ages, 0, 1400), 400, "and grows old beside 200,000 others");
	is_int(webhook_http_age(&ages, number - 1, 1402), 2, "each has its own age");
}

static void
test_ipv6(void)
{
	WebhookHttpTransfer *transfer;
	char		url[128];
	char		host[32];

	if (!has_ipv6)
	{
		printf("# no IPv6 here\n");
		return;
	}
	snprintf(host, sizeof(host), "[::1]:%d", port);
	snprintf(url, sizeof(url), "http://%s/ok", host);
	submit_url(url, 5000, NULL);
	transfer = finish();
	is_int(transfer->status, 200, "a peer with an address of IPv6");
	is_text(transfer->peer_ip, "::1", "its address");
	is_text(transfer->source_ip, "::1", "and ours");
	is_text(transfer->headers[0].value, host, "Host has brackets");
	api->release(http, transfer);
}

int
main(void)
{
	WebhookHttpOptions options = {0};
	char		reason[256];

	api = webhook_http_api();

	/* A proxy of the environment must not be used. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);

	start_peer();
	options.max_connections = 256;
	options.allowed_networks = "127.0.0.0/8, ::1/128";
	options.allowed_ports = "1-65535";
	http = api->create(&options, reason, sizeof(reason));
	if (!ok(http != NULL, "an engine with %s", api->version()))
	{
		printf("#   %s\n", reason);
		return unit_done();
	}
	ok(api->create(&options, reason, sizeof(reason)) == NULL,
	   "but one: %s", reason);

	test_exchange();
	test_request();
	test_keep_alive();
	test_answers();
	test_early_answer();
	test_sizes();
	test_retry_after();
	test_faults();
	test_refused();
	test_timeouts();
	test_many();
	test_resend();
	test_release_early();
	test_age(&options);
	test_ages();
	test_not_taken();
	test_ports();
	test_ipv6();
	test_signals();
	test_descriptors();
	test_break_off();
	test_names();
	return unit_done();
}
