/*
 * receiver.c
 *	  A receiver of webhooks that is cheap enough not to be what is measured.
 *
 * HTTP/1.1 on loopback, keep-alive, pipelining: a request is a header block
 * and Content-Length bytes, the answer is 200 with "ok".  One thread, one
 * epoll set, one read and one write a request.
 *
 *	  receiver [--port N] [--record FILE] [--delay-ms N] [--hang] [--seconds N]
 *
 * Prints "port N" when it listens.  --record writes a line a request: arrival
 * by the monotonic clock and by the wall clock, microseconds both, and its
 * webhook-id.  SIGUSR1 prints the counts, SIGTERM and SIGINT print them and
 * end it, and so do --seconds.
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

#define ROOM	16384			/* for a header block, or part of a body */
#define EVENTS	256

typedef struct Connection
{
	int			fd;
	size_t		used;			/* bytes in data */
	size_t		skip;			/* bytes of a body still to come */
	int64_t		due;			/* its answers leave then; 0: none waits */
	int			owed;			/* answers */
	struct Connection *next;	/* in the queue of those that are due */
	char		data[ROOM];
} Connection;

static const char answer[] =
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static int64_t requests = 0;
static int64_t connections = 0;
static int64_t body_bytes = 0;
static FILE *record = NULL;
static long delay_ms = 0;
static bool hang = false;

/* Waiting for their time, in its order, as the delay is the same for all. */
static Connection *due_first = NULL;
static Connection *due_last = NULL;

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
	printf("requests %lld connections %lld bytes %lld\n",
		   (long long) requests, (long long) connections,
		   (long long) body_bytes);
	fflush(stdout);
	if (record)
		fflush(record);
}

static void
queue(Connection *connection, int64_t due)
{
	connection->due = due;
	connection->next = NULL;
	if (due_last)
		due_last->next = connection;
	else
		due_first = connection;
	due_last = connection;
}

static void
unqueue(Connection *connection)
{
	Connection *before = NULL;
	Connection *it = due_first;

	while (it && it != connection)
	{
		before = it;
		it = it->next;
	}
	if (it == NULL)
		return;
	if (before)
		before->next = it->next;
	else
		due_first = it->next;
	if (due_last == it)
		due_last = before;
}

static void
drop(Connection *connection)
{
	if (connection->due)
		unqueue(connection);
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

static void
write_record(const char *block, const char *end)
{
	size_t		length = 0;
	const char *id = find_header(block, end, "webhook-id", &length);

	fprintf(record, "%lld %lld %.*s\n",
			(long long) clock_us(CLOCK_MONOTONIC),
			(long long) clock_us(CLOCK_REALTIME),
			(int) length, id ? id : "");
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
		if (record)
			write_record(at, blank + 4);
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

static bool
reply(Connection *connection, int count)
{
	while (count-- > 0)
	{
		if (send(connection->fd, answer, sizeof(answer) - 1,
				 MSG_NOSIGNAL) != sizeof(answer) - 1)
			return false;
	}
	return true;
}

static void
serve(Connection *connection)
{
	ssize_t		got = recv(connection->fd,
						   connection->data + connection->used,
						   ROOM - connection->used, 0);
	int			whole;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0)
	{
		drop(connection);
		return;
	}
	connection->used += got;
	whole = digest(connection);
	if (whole < 0)
	{
		drop(connection);
		return;
	}
	if (whole == 0 || hang)
		return;
	if (delay_ms > 0)
	{
		connection->owed += whole;
		if (!connection->due)
			queue(connection, clock_us(CLOCK_MONOTONIC) + delay_ms * 1000);
	}
	else if (!reply(connection, whole))
		drop(connection);
}

/* Send what is due; milliseconds until there is more, or -1. */
static int
serve_due(void)
{
	while (due_first)
	{
		Connection *connection = due_first;
		int64_t		left = connection->due - clock_us(CLOCK_MONOTONIC);
		int			owed = connection->owed;

		if (left > 0)
			return (int) ((left + 999) / 1000);
		unqueue(connection);
		connection->due = 0;
		connection->owed = 0;
		if (!reply(connection, owed))
			drop(connection);
	}
	return -1;
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
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		memset(&event, 0, sizeof(event));
		event.events = EPOLLIN;
		event.data.ptr = connection;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			die("epoll_ctl");
		connections++;
	}
}

static int
listen_on(int port)
{
	struct sockaddr_in address;
	socklen_t	length = sizeof(address);
	int			one = 1;
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
							SOCK_CLOEXEC, 0);

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons(port);
	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
		die("bind");
	if (listen(fd, 4096) < 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *) &address, &length) < 0)
		die("getsockname");
	printf("port %d\n", ntohs(address.sin_port));
	fflush(stdout);
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

static void
loop(int listener, int signals, long seconds)
{
	static char listens;
	static char signalled;
	struct epoll_event events[EVENTS];
	int64_t		stop = seconds > 0 ?
		clock_us(CLOCK_MONOTONIC) + seconds * 1000000 : 0;
	int			epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		die("epoll_create1");
	watch(epoll, listener, &listens);
	watch(epoll, signals, &signalled);
	for (;;)
	{
		int			timeout = serve_due();
		int			count;
		int			i;

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
			if (events[i].data.ptr == &listens)
				welcome(listener, epoll);
			else if (events[i].data.ptr == &signalled)
			{
				struct signalfd_siginfo info;

				if (read(signals, &info, sizeof(info)) != sizeof(info))
					continue;
				if (info.ssi_signo != SIGUSR1)
					return;
				print_counts();
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
	long		port = 0;
	long		seconds = 0;
	int			fd;
	int			i;

	for (i = 1; i < argc; i++)
	{
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--hang") == 0)
		{
			hang = true;
			continue;
		}
		if (value && strcmp(argv[i], "--port") == 0)
			port = atol(value);
		else if (value && strcmp(argv[i], "--delay-ms") == 0)
			delay_ms = atol(value);
		else if (value && strcmp(argv[i], "--seconds") == 0)
			seconds = atol(value);
		else if (value && strcmp(argv[i], "--record") == 0)
		{
			record = fopen(value, "w");
			if (record == NULL)
				die(value);
			setvbuf(record, NULL, _IOFBF, 1 << 20);
		}
		else
		{
			fprintf(stderr, "usage: receiver [--port N] [--record FILE] "
					"[--delay-ms N] [--hang] [--seconds N]\n");
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
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		die("signalfd");

	loop(listen_on((int) port), fd, seconds);
	print_counts();
	if (record && fclose(record) != 0)
		die("record");
	return 0;
}
