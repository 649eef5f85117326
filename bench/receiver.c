/*
 * receiver.c
 *	  A receiver of webhooks that is cheap enough not to be what is measured.
 *
 * HTTP/1.1 on loopback, keep-alive, pipelining: a request is a header block
 * and Content-Length bytes, the answer is 200 with "ok".  One thread, one
 * epoll set, one read and one write a request.  Below some paths it is no good
 * receiver:
 *
 *	  /hang/...		never answers
 *	  /drip/...		answers with a byte a second
 *	  /reset/...	resets the connection
 *	  /close/...	answers, and closes the connection
 *
 *	  receiver [--record FILE] [--delay-ms N] [--ports N] [--late] [--seconds N]
 *			   [--tls FILE [--no-resumption]]
 *
 * Prints "port N", a line for each of --ports, and "listening" when it does.  With --late
 * there is one more port, printed as "late N", that refuses connections until
 * SIGUSR2 comes; nobody else can have it meanwhile.  With --tls all ports speak
 * TLS with the certificates and the key of that PEM file; sessions are resumed
 * unless it is told otherwise.  --record writes a line a request: arrival by the
 * monotonic clock and by the wall clock, microseconds both, its webhook-id and
 * its path.  SIGUSR1 prints the counts, SIGTERM and SIGINT print them and end
 * it, and so do --seconds.  "busy" is the processor time that it has used, in
 * milliseconds: it is what is measured where that is nearly all of the time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define ROOM	16384			/* for a header block, or part of a body */
#define EVENTS	256
#define PORTS	1024
#define DRIP_US	1000000			/* from one byte to the next */

typedef enum Manner
{
	ANSWER,
	HANG,
	DRIP,
	RESET,
	CLOSE,
} Manner;

/* In order of time, as the delay is the same for all in a queue. */
typedef struct Queue
{
	struct Connection *first;
	struct Connection *last;
} Queue;

typedef struct Connection
{
	int			fd;
	SSL		   *tls;			/* NULL: plain HTTP */
	size_t		used;			/* bytes in data */
	size_t		skip;			/* bytes of a body still to come */
	Manner		manner;			/* of its latest request */
	Queue	   *queue;			/* where it waits for its time; NULL: nowhere */
	int64_t		due;			/* that time */
	int			owed;			/* answers */
	size_t		dripped;		/* bytes of an answer */
	struct Connection *next;
	char		data[ROOM];
} Connection;

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
static const char last_answer[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

typedef struct PathManner
{
	const char *path;
	Manner		manner;
} PathManner;

static const PathManner manners[] = {
	{"/hang/", HANG},
	{"/drip/", DRIP},
	{"/reset/", RESET},
	{"/close/", CLOSE},
};

static int64_t requests = 0;
static int64_t connections = 0;
static int64_t body_bytes = 0;
static int64_t resumed = 0;		/* TLS sessions */
static int	nlisteners = 1;
static int	listeners[PORTS];
static SSL_CTX * tls_context = NULL;
static FILE *record = NULL;
static long delay_ms = 0;
static Queue delayed;
static Queue dripping;

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
print_counts(void)
{
	printf("requests %lld connections %lld bytes %lld resumed %lld busy %lld\n",
		   (long long) requests, (long long) connections,
		   (long long) body_bytes, (long long) resumed,
		   (long long) clock_us(CLOCK_PROCESS_CPUTIME_ID) / 1000);
	fflush(stdout);
	if (record)
		fflush(record);
}

static void
enqueue(Queue *queue, Connection *connection, int64_t delay_us)
{
	connection->queue = queue;
	connection->due = clock_us(CLOCK_MONOTONIC) + delay_us;
	connection->next = NULL;
	if (queue->last)
		queue->last->next = connection;
	else
		queue->first = connection;
	queue->last = connection;
}

static void
dequeue(Connection *connection)
{
	Queue	   *queue = connection->queue;
	Connection *before = NULL;
	Connection *it = queue->first;

	while (it != connection)
	{
		before = it;
		it = it->next;
	}
	if (before)
		before->next = it->next;
	else
		queue->first = it->next;
	if (queue->last == it)
		queue->last = before;
	connection->queue = NULL;
}

static void
drop(Connection *connection)
{
	if (connection->queue)
		dequeue(connection);
	SSL_free(connection->tls);
	close(connection->fd);
	free(connection);
}

/* The value of a header in a block that ends with an empty line, or NULL. */
static const char *
find_header(const char *block, const char *end, const char *name,
			size_t *length)
{
	size_t		name_length = strlen(name);
	const char *line = block;

	while ((line = memchr(line, '\n', end - line)) != NULL)
	{
		const char *stop;

		line++;
		if ((size_t) (end - line) <= name_length)
			return NULL;
		if (line[name_length] != ':' ||
			strncasecmp(line, name, name_length) != 0)
			continue;
		line += name_length + 1;
		while (*line == ' ')
			line++;
		stop = memchr(line, '\r', end - line);
		*length = (stop ? stop : end) - line;
		return line;
	}
	return NULL;
}

/* The path of a request; "" if it has none. */
static const char *
find_path(const char *block, const char *end, size_t *length)
{
	const char *path = memchr(block, ' ', end - block);
	const char *stop;

	*length = 0;
	if (path == NULL)
		return "";
	path++;
	stop = memchr(path, ' ', end - path);
	*length = (stop ? stop : end) - path;
	return path;
}

static Manner
find_manner(const char *path, size_t length)
{
	size_t		i;

	for (i = 0; i < sizeof(manners) / sizeof(manners[0]); i++)
	{
		size_t		prefix = strlen(manners[i].path);

		if (length >= prefix && memcmp(path, manners[i].path, prefix) == 0)
			return manners[i].manner;
	}
	return ANSWER;
}

static void
write_record(const char *block, const char *end, const char *path,
			 size_t path_length)
{
	size_t		length = 0;
	const char *id = find_header(block, end, "webhook-id", &length);

	fprintf(record, "%lld %lld %.*s %.*s\n",
			(long long) clock_us(CLOCK_MONOTONIC),
			(long long) clock_us(CLOCK_REALTIME),
			(int) length, id ? id : "", (int) path_length, path);
}

/* Consume what is whole; the number of requests that are, or -1. */
static int
digest(Connection *connection)
{
	char	   *at = connection->data;
	char	   *end = at + connection->used;
	int			whole = 0;

	while (at < end)
	{
		char	   *blank;
		const char *path;
		const char *value;
		size_t		length;
		size_t		here;

		if (connection->skip > 0)
		{
			here = connection->skip < (size_t) (end - at) ?
				connection->skip : (size_t) (end - at);
			connection->skip -= here;
			at += here;
			if (connection->skip > 0)
				break;
			whole++;
			continue;
		}
		blank = memmem(at, end - at, "\r\n\r\n", 4);
		if (blank == NULL)
		{
			if ((size_t) (end - at) == ROOM)
				return -1;
			break;
		}
		path = find_path(at, blank, &length);
		connection->manner = find_manner(path, length);
		if (record)
			write_record(at, blank + 4, path, length);
		value = find_header(at, blank + 4, "content-length", &length);
		connection->skip = value ? strtoul(value, NULL, 10) : 0;
		body_bytes += connection->skip;
		requests++;
		at = blank + 4;
		if (connection->skip == 0)
			whole++;
	}
	connection->used = end - at;
	if (at > connection->data)
		memmove(connection->data, at, connection->used);
	return whole;
}

/* Answers are small, so that what does not go at once never will. */
static bool
put(Connection *connection, const char *text, size_t length)
{
	if (connection->tls)
		return SSL_write(connection->tls, text, (int) length) == (int) length;
	return send(connection->fd, text, length, MSG_NOSIGNAL) == (ssize_t) length;
}

static bool
reply(Connection *connection, int count)
{
	while (count-- > 0)
	{
		if (!put(connection, answer, sizeof(answer) - 1))
			return false;
	}
	return true;
}

/* The last answer, and the end that the receiver has announced. */
static void
reply_and_close(Connection *connection)
{
	if (put(connection, last_answer, sizeof(last_answer) - 1) && connection->tls)
		SSL_shutdown(connection->tls);
	drop(connection);
}

/* Bytes that came; 0: none as yet; -1: nothing will. */
static ssize_t
get(Connection *connection)
{
	char	   *at = connection->data + connection->used;
	size_t		room = ROOM - connection->used;
	ssize_t		got;

	if (connection->tls)
	{
		bool		fresh = !SSL_is_init_finished(connection->tls);

		ERR_clear_error();
		got = SSL_read(connection->tls, at, (int) room);
		if (fresh && SSL_is_init_finished(connection->tls) && SSL_session_reused(connection->tls))
			resumed++;
		if (got > 0)
			return got;
		return SSL_get_error(connection->tls, (int) got) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	got = recv(connection->fd, at, room, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return got > 0 ? got : -1;
}

static void
serve(Connection *connection)
{
	struct linger at_once = {1, 0};
	ssize_t		got;
	int			whole;

	/* epoll knows nothing of bytes that are decrypted, but not read. */
	do
	{
		got = get(connection);
		if (got < 0)
		{
			drop(connection);
			return;
		}
		connection->used += got;
	} while (got > 0 && connection->used < ROOM && connection->tls &&
			 SSL_pending(connection->tls) > 0);
	whole = digest(connection);
	if (whole < 0)
	{
		drop(connection);
		return;
	}
	if (whole == 0)
		return;
	switch (connection->manner)
	{
		case HANG:
			break;
		case RESET:
			setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
			drop(connection);
			break;
		case CLOSE:
			reply_and_close(connection);
			break;
		case DRIP:
			connection->dripped = 0;
			if (!connection->queue)
				enqueue(&dripping, connection, DRIP_US);
			break;
		case ANSWER:
			if (delay_ms > 0)
			{
				connection->owed += whole;
				if (!connection->queue)
					enqueue(&delayed, connection, delay_ms * 1000);
			}
			else if (!reply(connection, whole))
				drop(connection);
			break;
	}
}

/* The first one whose time has come, out of its queue; NULL: none. */
static Connection *
take_due(Queue *queue, int64_t now)
{
	Connection *connection = queue->first;

	if (connection == NULL || connection->due > now)
		return NULL;
	dequeue(connection);
	return connection;
}

/* Milliseconds until the first one's time comes, at most "limit"; -1: never. */
static int
wait_ms(const Queue *queue, int64_t now, int limit)
{
	int			left;

	if (queue->first == NULL)
		return limit;
	left = (int) ((queue->first->due - now + 999) / 1000);
	return limit < 0 || left < limit ? left : limit;
}

/* Send what is due; milliseconds until there is more, or -1. */
static int
serve_due(void)
{
	int64_t		now = clock_us(CLOCK_MONOTONIC);
	Connection *connection;

	while ((connection = take_due(&delayed, now)) != NULL)
	{
		int			owed = connection->owed;

		connection->owed = 0;
		if (!reply(connection, owed))
			drop(connection);
	}
	while ((connection = take_due(&dripping, now)) != NULL)
	{
		if (!put(connection, answer + connection->dripped++, 1))
			drop(connection);
		else if (connection->dripped < sizeof(answer) - 1)
			enqueue(&dripping, connection, DRIP_US);
	}
	return wait_ms(&dripping, now, wait_ms(&delayed, now, -1));
}

static void
welcome(int listener, int epoll)
{
	struct epoll_event event;
	Connection *connection;
	int			one = 1;
	int			fd;

	while ((fd = accept4(listener, NULL, NULL,
						 SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		connection = calloc(1, sizeof(Connection));
		if (connection == NULL)
		{
			close(fd);
			return;
		}
		connection->fd = fd;
		if (tls_context)
		{
			connection->tls = SSL_new(tls_context);
			if (connection->tls == NULL || SSL_set_fd(connection->tls, fd) != 1)
				die("SSL_new");
			SSL_set_accept_state(connection->tls);
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		memset(&event, 0, sizeof(event));
		event.events = EPOLLIN;
		event.data.ptr = connection;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			die("epoll_ctl");
		connections++;
	}
}

/* Take a port, of which nobody knows but us yet. */
static int
take_port(const char *name)
{
	struct sockaddr_in address;
	socklen_t	length = sizeof(address);
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
							SOCK_CLOEXEC, 0);

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
		die("bind");
	if (getsockname(fd, (struct sockaddr *) &address, &length) < 0)
		die("getsockname");
	printf("%s %d\n", name, ntohs(address.sin_port));
	return fd;
}

static void
watch(int epoll, int fd, void *what)
{
	struct epoll_event event;

	memset(&event, 0, sizeof(event));
	event.events = EPOLLIN;
	event.data.ptr = what;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

/* A socket that listens has its own address for a tag. */
static void
start_listening(int epoll, int *listener)
{
	if (listen(*listener, 4096) < 0)
		die("listen");
	watch(epoll, *listener, listener);
}

/* The socket that a tag of the epoll set belongs to; -1: it is none that listens. */
static int
find_listener(void *tag, int *late)
{
	uintptr_t	at = (uintptr_t) tag;

	if (tag == late)
		return *late;
	if (at >= (uintptr_t) listeners && at < (uintptr_t) (listeners + nlisteners))
		return *(int *) tag;
	return -1;
}

/* What the server shows, and whether it lets others resume. */
static void
start_tls(const char *file, bool resumes)
{
	tls_context = SSL_CTX_new(TLS_server_method());
	if (tls_context == NULL ||
		SSL_CTX_use_certificate_chain_file(tls_context, file) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls_context, file, SSL_FILETYPE_PEM) != 1)
	{
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);	/* tickets are enough */
	SSL_CTX_set_num_tickets(tls_context, resumes ? 1 : 0);
	if (!resumes)
		SSL_CTX_set_options(tls_context, SSL_OP_NO_TICKET);
}

static void
loop(int late, int signals, long seconds)
{
	static char signalled;
	struct epoll_event events[EVENTS];
	int64_t		stop = seconds > 0 ? clock_us(CLOCK_MONOTONIC) + seconds * 1000000 : 0;
	int			epoll = epoll_create1(EPOLL_CLOEXEC);
	int			i;

	if (epoll < 0)
		die("epoll_create1");
	for (i = 0; i < nlisteners; i++)
		start_listening(epoll, &listeners[i]);
	watch(epoll, signals, &signalled);
	printf("listening\n");
	fflush(stdout);
	for (;;)
	{
		int			timeout = serve_due();
		int			count;

		if (stop)
		{
			int64_t		left = stop - clock_us(CLOCK_MONOTONIC);

			if (left <= 0)
				return;
			if (timeout < 0 || timeout > left / 1000 + 1)
				timeout = (int) (left / 1000 + 1);
		}
		count = epoll_wait(epoll, events, EVENTS, timeout);
		for (i = 0; i < count; i++)
		{
			int			listener = find_listener(events[i].data.ptr, &late);

			if (listener >= 0)
				welcome(listener, epoll);
			else if (events[i].data.ptr == &signalled)
			{
				struct signalfd_siginfo info;

				if (read(signals, &info, sizeof(info)) != sizeof(info))
					continue;
				if (info.ssi_signo == SIGUSR1)
					print_counts();
				else if (info.ssi_signo != SIGUSR2)
					return;
				else if (late >= 0)
					start_listening(epoll, &late);
			}
			else
				serve(events[i].data.ptr);
		}
	}
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	sigset_t	signals;
	const char *tls_file = NULL;
	bool		resumes = true;
	bool		has_late = false;
	long		seconds = 0;
	int			late = -1;
	int			fd;
	int			i;

	for (i = 1; i < argc; i++)
	{
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--late") == 0)
		{
			has_late = true;
			continue;
		}
		if (strcmp(argv[i], "--no-resumption") == 0)
		{
			resumes = false;
			continue;
		}
		if (value && strcmp(argv[i], "--delay-ms") == 0)
			delay_ms = atol(value);
		else if (value && strcmp(argv[i], "--seconds") == 0)
			seconds = atol(value);
		else if (value && strcmp(argv[i], "--tls") == 0)
			tls_file = value;
		else if (value && strcmp(argv[i], "--ports") == 0 &&
				 atoi(value) >= 1 && atoi(value) <= PORTS)
			nlisteners = atoi(value);
		else if (value && strcmp(argv[i], "--record") == 0)
		{
			record = fopen(value, "w");
			if (record == NULL)
				die(value);
			setvbuf(record, NULL, _IOFBF, 1 << 20);
		}
		else
		{
			fprintf(stderr, "usage: receiver [--record FILE] [--delay-ms N] "
					"[--ports N] [--late] [--seconds N] "
					"[--tls FILE [--no-resumption]]\n");
			return 2;
		}
		i++;
	}

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGUSR2);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);	/* SSL_write() cannot ask for EPIPE */
	fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd");

	if (tls_file)
		start_tls(tls_file, resumes);
	for (i = 0; i < nlisteners; i++)
		listeners[i] = take_port("port");
	if (has_late)
		late = take_port("late");
	loop(late, fd, seconds);
	print_counts();
	if (record && fclose(record) != 0)
		die("record");
	return 0;
}
