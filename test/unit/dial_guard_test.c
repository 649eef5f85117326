/*
 * dial_guard_test.c
 *	  What the HTTP engine dials, and what it does not.
 *
 * Two peers listen, at 127.0.0.1, which is allowed, and at 127.0.0.2, which is
 * not and must stay untouched. getaddrinfo() is this file's own and answers by
 * a script.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"

#include "unit.h"

#define MANY		300			/* names that hang, more than there are threads */

static const WebhookHttpApi *api;
static WebhookHttp *http;
static WebhookHttpOptions options;
static int	port;				/* of both peers */
static int	other;				/* the one at 127.0.0.2 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int	connections = 0;	/* that 127.0.0.1 has accepted */
static int	requests = 0;		/* that it has read */
static int	closing = 0;		/* connections that it closes and has not closed yet */
static char last_request[4096];
static int	lookups = 0;
static int	connects = 0;
static int	held = 0;			/* answers of path /held are held back */
static int	hanging = 0;		/* look-ups of hangs... do not end */
static int	slow_to_tell = 0;	/* milliseconds */
static const char *flips_to = "127.0.0.1";

static int
count(const int *number)
{
	int			result;

	pthread_mutex_lock(&lock);
	result = *number;
	pthread_mutex_unlock(&lock);
	return result;
}

static void
set(int *number, int value)
{
	pthread_mutex_lock(&lock);
	*number = value;
	pthread_mutex_unlock(&lock);
}

static struct addrinfo *
answer(const char *ip, struct addrinfo *next)
{
	struct
	{
		struct addrinfo info;
		struct sockaddr_storage address;
	}		   *entry = calloc(1, sizeof(*entry));
	struct sockaddr_in *ipv4 = (struct sockaddr_in *) &entry->address;
	struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *) &entry->address;

	entry->info.ai_socktype = SOCK_STREAM;
	entry->info.ai_addr = (struct sockaddr *) &entry->address;
	entry->info.ai_next = next;
	if (strchr(ip, ':'))
	{
		entry->info.ai_family = ipv6->sin6_family = AF_INET6;
		entry->info.ai_addrlen = sizeof(*ipv6);
		inet_pton(AF_INET6, ip, &ipv6->sin6_addr);
	}
	else
	{
		entry->info.ai_family = ipv4->sin_family = AF_INET;
		entry->info.ai_addrlen = sizeof(*ipv4);
		inet_pton(AF_INET, ip, &ipv4->sin_addr);
	}
	return &entry->info;
}

/* Hold up a thread of the engine when it reports that its look-up has ended. */
ssize_t
write(int fd, const void *bytes, size_t size)
{
	if (size == sizeof(uint64_t) && count(&slow_to_tell))
		pause_ms(count(&slow_to_tell));
	return syscall(SYS_write, fd, bytes, size);
}

/* Count the connections that libcurl opens. */
int
connect(int fd, const struct sockaddr *address, socklen_t length)
{
	pthread_mutex_lock(&lock);
	connects++;
	pthread_mutex_unlock(&lock);
	return syscall(SYS_connect, fd, address, length);
}

/* As some modules of the system's resolver do. */
static void
use_stack(void)
{
	volatile char room[700 * 1024];

	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 1;
}

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	static const struct
	{
		const char *name;
		const char *first;
		const char *second;
	}			names[] =
	{
		{"mixed.test", "127.0.0.1", "10.1.2.3"},
		{"mixed-last.test", "10.1.2.3", "127.0.0.1"},
		{"mixed-ipv6.test", "127.0.0.1", "fd00::1"},
		{"mapped.test", "::ffff:127.0.0.2", NULL},
		{"inside.test", "127.0.0.2", NULL},
		{"peer.test", "127.0.0.1", NULL},
		{"crowd.test", "127.0.0.1", NULL},
		{"closes.test", "127.0.0.1", NULL},
		{"twice.test", "127.0.0.1", "127.0.0.1"},
		{"half.test", "::1", "127.0.0.1"},
		{"pair.test", "127.0.0.1", "127.0.0.3"},
		{"full.test", "::ffff:127.0.0.4", "127.0.0.1"}, /* newer versions dial IPv6 first */
		{"hangs-and-is.test", "127.0.0.1", NULL},
		{"crm", "127.0.0.1", NULL},
		{"localhost", "127.0.0.1", NULL},
		{"printer", "9.9.9.9", NULL},
		{"nat64.test", "64:ff9b::10.1.2.3", NULL},
		{"deep.test", "127.0.0.1", NULL},
	};

	(void) service;
	(void) hints;
	pthread_mutex_lock(&lock);
	lookups++;
	pthread_mutex_unlock(&lock);
	while (strncmp(name, "hangs", 5) == 0 && count(&hanging))
		pause_ms(10);
	if (strcmp(name, "deep.test") == 0)
		use_stack();
	if (strcmp(name, "flip.test") == 0)
	{
		*result = answer(flips_to, NULL);
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (strcmp(name, names[i].name) != 0)
			continue;
		*result = answer(names[i].first, names[i].second ?
						 answer(names[i].second, NULL) : NULL);
		return 0;
	}
	return strncmp(name, "again", 5) == 0 ? EAI_AGAIN : EAI_NONAME;
}

void
freeaddrinfo(struct addrinfo *list)
{
	while (list)
	{
		struct addrinfo *next = list->ai_next;

		free(list);
		list = next;
	}
}

/* Answer each request with 200. Path /close: then close. Path /held: wait while "held" is set. */
static void *
serve(void *arg)
{
	int			fd = *(int *) arg;
	char		buffer[4096];
	size_t		length = 0;
	ssize_t		got;
	bool		closes = false;

	free(arg);
	while ((got = recv(fd, buffer + length, sizeof(buffer) - 1 - length, 0)) > 0)
	{
		char	   *end;

		length += got;
		buffer[length] = '\0';
		end = strstr(buffer, "\r\n\r\n");
		if (end == NULL || length < (size_t) (end - buffer) + 4 + 7)
			continue;
		closes = strstr(buffer, "/close") != NULL;
		pthread_mutex_lock(&lock);
		requests++;
		closing += closes;
		strcpy(last_request, buffer);
		pthread_mutex_unlock(&lock);
		length = 0;
		while (strstr(buffer, "/held") && count(&held))
			pause_ms(5);
		if (send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 40,
				 MSG_NOSIGNAL) < 0 || closes)
			break;
	}
	close(fd);
	pthread_mutex_lock(&lock);
	closing -= closes;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *
accept_all(void *arg)
{
	int			listener = *(int *) arg;

	for (;;)
	{
		int		   *fd = malloc(sizeof(int));
		pthread_t	thread;

		*fd = accept(listener, NULL, NULL);
		if (*fd < 0)
			return NULL;
		pthread_mutex_lock(&lock);
		connections++;
		pthread_mutex_unlock(&lock);
		if (pthread_create(&thread, NULL, serve, fd) == 0)
			pthread_detach(thread);
	}
}

static int
listen_at(const char *ip)
{
	struct sockaddr_in address = {0};
	socklen_t	length = sizeof(address);
	int			fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	inet_pton(AF_INET, ip, &address.sin_addr);
	if (bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(fd, 128) != 0 ||
		getsockname(fd, (struct sockaddr *) &address, &length) != 0)
	{
		perror("listen");
		exit(1);
	}
	port = ntohs(address.sin_port);
	return fd;
}

static WebhookHttpTransfer *
submit_url(const char *url, int timeout_ms)
{
	static const WebhookHttpHeader headers[] = {{"Content-Type", "text/plain"}};
	WebhookHttpRequest request = {0};

	request.url = url;
	request.headers = headers;
	request.nheaders = 1;
	request.body = "1234567";
	request.body_length = 7;
	request.timeout_ms = timeout_ms;
	request.connect_timeout_ms = timeout_ms;
	return api->submit(http, &request, NULL);
}

static WebhookHttpTransfer *
submit(const char *host, const char *path, int timeout_ms)
{
	char		url[256];

	snprintf(url, sizeof(url), "http://%s:%d/%s", host, port, path);
	return submit_url(url, timeout_ms);
}

static void
wait_and_run(void)
{
	struct pollfd descriptor = {api->descriptor(http), POLLIN, 0};
	long		wait = api->wait_ms(http);

	poll(&descriptor, 1, wait < 0 || wait > 1000 ? 1000 : (int) wait);
	api->run(http);
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
 * Send one request, and expect "ok" or an error class, and words of its message. What the peer
 * closes is closed when this returns, so that no other request can use it.
 */
static void
expect(const char *host, const char *class, const char *words, const char *what)
{
	WebhookHttpTransfer *transfer;
	double		limit;

	submit(host, strncmp(host, "closes", 6) == 0 || strncmp(host, "half", 4) == 0 ||
		   strncmp(host, "pair", 4) == 0 ?
		   "close" : "x?token=s3cret", 5000);
	transfer = finish();
	if (transfer == NULL)
	{
		ok(false, "%s did not end", host);
		exit(1);
	}
	is_text(webhook_http_error_name(transfer->error), class, "%s: %s %s", what,
			host, transfer->message);
	if (words)
		ok(strstr(transfer->message, words) != NULL &&
		   strstr(transfer->message, "s3cret") == NULL &&
		   strstr(transfer->message, "someone") == NULL &&
		   strstr(transfer->message, "pa55word") == NULL, "%s: says \"%s\"", what, words);
	api->release(http, transfer);
	for (limit = now() + 5; count(&closing) > 0 && now() < limit; pause_ms(1))
		;
}

static void
configure(const char *what)
{
	char		reason[256] = "";

	ok(api->configure(http, &options, reason, sizeof(reason)), "%s%s", what, reason);
}

static void
test_names(void)
{
	int			before = count(&connections);
	int			sent = count(&requests);
	int			looked = count(&lookups);

	expect("127.0.0.2", "blocked", "127.0.0.2 is in 127.0.0.0/8 (loopback)", "a literal");
	expect("169.254.169.254", "blocked", "169.254.0.0/16", "another");
	expect("[::ffff:127.0.0.2]", "blocked", "127.0.0.0/8", "one in another");
	is_int(count(&lookups), looked, "literals are not looked up");
	expect("inside.test", "blocked", "127.0.0.2", "a name");
	expect("mapped.test", "blocked", "127.0.0.0/8", "one of an IPv4-mapped address");
	expect("mixed.test", "blocked", "10.1.2.3 is in 10.0.0.0/8 (private use)", "mixed answers");
	expect("mixed-last.test", "blocked", "10.1.2.3", "the other way round");
	expect("mixed-ipv6.test", "blocked", "fd00::1", "of both families");
	expect("nat64.test", "blocked", "64:ff9b::a01:203 is in 10.0.0.0/8", "one of NAT64");
	expect("printer", "blocked", "without a dot", "a name without a dot, to what is not allowed");
	expect("nobody.test", "dns", "there is no such name", "no name");
	expect("again.test", "dns", "no name server", "no name server");
	is_int(count(&connections), before, "of all these nothing is dialled");

	looked = count(&lookups);
	expect("peer.test", "ok", NULL, "an allowed name");
	expect("peer.test", "ok", NULL, "again");
	expect("closes.test", "ok", NULL, "one that closes");
	expect("closes.test", "ok", NULL, "again");
	expect("twice.test", "ok", NULL, "an address twice");
	expect("crm", "ok", NULL, "a name without a dot, to what is allowed");
	expect("localhost", "ok", NULL, "that of this machine");
	expect("deep.test", "ok", NULL, "a resolver that needs stack");
	is_int(count(&lookups), looked + 6, "each is looked up once");
	is_int(count(&requests), sent + 8, "and gets its requests");
	is_int(count(&connections), before + 7, "by as few connections");
}

/* Such endpoints cannot be saved, but a row of the table may hold them. */
static void
test_malformed(void)
{
	char		long_name[300] = "http://";
	const struct
	{
		const char *url;
		const char *words;
	}			cases[] =
	{
		{"", "neither http nor https"},
		{"file:///etc/passwd", "neither http nor https"},
		{"http:/127.0.0.1/", "neither http nor https"},
		{"http:///127.0.0.1/", "no host"},
		{long_name, "no host"},
		{"http://127.0.0.1:99999999999999999999/", "allowed_ports"},
		{"http://127.0.0.2#@peer.test/", "127.0.0.0/8"},
	};
	int			before = count(&connections);

	memset(long_name + 7, 'a', 254);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		WebhookHttpTransfer *transfer;

		submit_url(cases[i].url, 5000);
		transfer = finish();
		ok(transfer->error == WEBHOOK_HTTP_BLOCKED &&
		   strstr(transfer->message, cases[i].words), "\"%.40s\": %s", cases[i].url,
		   transfer->message);
		api->release(http, transfer);
	}
	is_int(count(&connections), before, "nothing is dialled");
}

/* All addresses of a name are tried: nobody listens at ::1. */
static void
test_addresses(void)
{
	options.allowed_networks = "127.0.0.1/32, ::1/128";
	configure("another network is allowed");
	expect("half.test", "ok", NULL, "the second address answers");
	options.allowed_networks = "127.0.0.1/32";
	configure("and is not");
	expect("half.test", "blocked", "::1", "cached addresses are judged again");

	/* A name is judged as a whole: its first address is allowed all the time. */
	options.allowed_networks = "127.0.0.1/32, 127.0.0.3/32";
	configure("two addresses are allowed");
	expect("pair.test", "ok", NULL, "the first one answers");
	options.allowed_networks = "127.0.0.1/32";
	configure("and one of them is not");
	expect("pair.test", "blocked", "127.0.0.3", "a name is refused for it");
}

static void
test_crowd(void)
{
	int			looked = count(&lookups);
	int			good = 0;

	for (int i = 0; i < 50; i++)
		submit("crowd.test", "x", 5000);
	for (int i = 0; i < 50; i++)
	{
		WebhookHttpTransfer *transfer = finish();

		good += transfer != NULL && transfer->status == 200;
		if (transfer)
			api->release(http, transfer);
	}
	is_int(good, 50, "fifty at once for one name");
	is_int(count(&lookups), looked + 1, "it is looked up once");
}

/* When a look-up has ended, its deadline and its descriptor wake nobody any more. */
static void
test_rest(void)
{
	WebhookHttpTransfer *transfer;
	struct pollfd descriptor = {api->descriptor(http), POLLIN, 0};
	double		limit;

	limit = now() + 1.1;
	submit("nobody.test", "x", 1000);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "dns", "a look-up that has ended");
	api->release(http, transfer);
	while (now() < limit)
		pause_ms(20);
	for (int i = 0; i < 3; i++)
		api->run(http);
	is_int(api->wait_ms(http), -1, "its deadline, when it has passed, is nobody's");

	/* One look-up ends while the thread of the other has ended but not yet reported it. */
	pthread_mutex_lock(&lock);
	slow_to_tell = 50;
	pthread_mutex_unlock(&lock);
	submit("nobody.test", "x", 5000);
	submit("again.test", "x", 5000);
	for (int i = 0; i < 2; i++)
	{
		transfer = finish();
		is_text(webhook_http_error_name(transfer->error), "dns", "two at a time");
		api->release(http, transfer);
	}
	pthread_mutex_lock(&lock);
	slow_to_tell = 0;
	pthread_mutex_unlock(&lock);
	for (limit = now() + 0.2; now() < limit; pause_ms(10))
		api->run(http);
	is_int(poll(&descriptor, 1, 0), 0, "no word of them is left");
}

static void
test_reload(void)
{
	int			sent;
	char		reason[256] = "";

	expect("peer.test", "ok", NULL, "a connection is kept");
	expect("closes.test", "ok", NULL, "an address is cached");
	sent = count(&requests);

	options.denied_networks = "127.0.0.0/30";
	configure("the network is denied");
	expect("peer.test", "blocked", "127.0.0.0/30, which webhook.denied_networks denies",
		   "a kept connection is not used");
	expect("closes.test", "blocked", "denied_networks", "a cached address is not dialled");
	is_int(count(&requests), sent, "nothing is sent");

	options.denied_networks = "127.0.0.1/7";
	ok(!api->configure(http, &options, reason, sizeof(reason)), "a wrong list: %s", reason);
	expect("peer.test", "blocked", "127.0.0.0/30", "the former one holds");
	options.denied_networks = NULL;
	configure("it is allowed again");
	expect("peer.test", "ok", NULL, "and is used again");

	options.allowed_ports = "443, 8000-8001";
	configure("other ports");
	expect("peer.test", "blocked", " is not one of webhook.allowed_ports", "a port");
	options.allowed_ports = "1-65535";
	options.require_https = true;
	configure("https only");
	expect("peer.test", "blocked", "webhook.require_https", "plain http");
	options.require_https = false;
	configure("http too");
	flips_to = "127.0.0.1";
	expect("flip.test", "ok", NULL, "a name that will lead elsewhere");
}

/* The last request was not made to a proxy. */
static void
is_direct(const char *what)
{
	pthread_mutex_lock(&lock);
	ok(strncmp(last_request, "POST /", 6) == 0 && strstr(last_request, "Proxy-") == NULL,
	   "by %s", what);
	pthread_mutex_unlock(&lock);
}

/* A proxy is asked for the whole URL, and resolves names itself. */
static void
test_proxy(void)
{
	char		proxy[128];
	char		reason[256];
	int			looked = count(&lookups);

	snprintf(proxy, sizeof(proxy), "http://someone:pa55word@127.0.0.2:%d", port);
	options.proxy = proxy;
	configure("a proxy where nobody is let through, ");
	close(other);
	expect("peer.test", "connect", "connect", "a proxy that does not answer");
	expect("10.1.2.3", "blocked", "10.0.0.0/8", "a literal is refused all the same");

	snprintf(proxy, sizeof(proxy), "http://someone:pa55word@127.0.0.1:%d", port);
	configure("one that answers");
	expect("elsewhere.test", "ok", NULL, "a name that only the proxy knows");
	is_int(count(&lookups), looked, "nothing is looked up here");
	pthread_mutex_lock(&lock);
	ok(strncmp(last_request, "POST http://elsewhere.test:", 27) == 0,
	   "it is asked for the whole URL");
	ok(strstr(last_request, "Proxy-Authorization: Basic ") != NULL, "with its password");
	pthread_mutex_unlock(&lock);
	expect("crm", "blocked", "webhook.no_proxy", "a name without a dot means nothing there");

	options.no_proxy = "crm, TEST , 127.0.0.0/8";
	configure("what is called directly");
	expect("elsewhere.test", "dns", NULL, "a name below one of the list");
	expect("crm", "ok", NULL, "one of the list");
	is_direct("itself");
	expect("127.0.0.1", "ok", NULL, "an address of the list");
	is_direct("itself");
	expect("127.0.0.2", "blocked", "127.0.0.0/8", "such a one is judged all the same");
	options.no_proxy = "test.example, 10.0.0.0/8";
	configure("what is not");
	expect("elsewhere.test", "ok", NULL, "another name goes through the proxy");
	options.no_proxy = "a..b";
	ok(!api->configure(http, &options, reason, sizeof(reason)), "a wrong list: %s", reason);
	expect("elsewhere.test", "ok", NULL, "the former one holds");
	options.no_proxy = NULL;
	options.proxy = NULL;
	configure("no proxy");
	expect("peer.test", "ok", NULL, "then there is none");
}

/* A request that has started is judged by the rules of the moment. */
static void
test_under_way(void)
{
	char		proxy[64];
	int			sent = count(&requests);
	int			looked = count(&lookups);
	int			dialled;
	int			fill[4];
	int			full = listen_at("127.0.0.4");
	struct sockaddr_in address = {0};
	WebhookHttpTransfer *transfer;

	set(&hanging, 1);
	submit("hangs-and-is.test", "x", 5000);
	while (count(&lookups) == looked)
		wait_and_run();
	options.require_https = true;
	configure("https only, while a name is looked up");
	set(&hanging, 0);
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "blocked", "it is not called: %s",
			transfer->message);
	api->release(http, transfer);
	options.require_https = false;
	configure("http too");

	/* The first request occupies the connection, the second one needs another. */
	set(&held, 1);
	options.allowed_networks = "127.0.0.1/32, 127.0.0.3/32";
	configure("two addresses of a name");
	transfer = submit("pair.test", "held", 5000);
	while (count(&requests) == sent)
		wait_and_run();
	options.allowed_networks = "127.0.0.1/32";
	configure("one of them is closed");
	expect("pair.test", "blocked", "127.0.0.3", "the name is judged as a whole");
	set(&held, 0);
	ok(finish() == transfer && transfer->status == 200, "what has been sent goes on");
	api->release(http, transfer);
	sent++;

	/* libcurl dials the second address when the first does not answer soon. */
	options.allowed_networks = "127.0.0.1/32, 127.0.0.4/32";
	configure("two addresses");
	listen(full, 0);
	address.sin_family = AF_INET;
	address.sin_port = htons(port);
	inet_pton(AF_INET, "127.0.0.4", &address.sin_addr);
	for (int i = 0; i < 4; i++)
	{
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(fill[i], (struct sockaddr *) &address, sizeof(address));
	}
	dialled = count(&connects);
	submit("full.test", "x", 2000);
	while (count(&connects) == dialled)
		wait_and_run();
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", port);
	options.proxy = proxy;
	options.denied_networks = "127.0.0.1";
	configure("a proxy, and the second address denied");
	transfer = finish();
	is_text(webhook_http_error_name(transfer->error), "blocked",
			"what does not go through the proxy is judged: %s", transfer->message);
	api->release(http, transfer);
	is_int(count(&requests), sent, "nothing is sent");
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(full);
	options.proxy = NULL;
	options.denied_networks = NULL;
	options.allowed_networks = "127.0.0.1/32";
	configure("as before");
}

static int
threads(void)
{
	DIR		   *directory = opendir("/proc/self/task");
	int			number = 0;

	while (directory && readdir(directory))
		number++;
	if (directory)
		closedir(directory);
	return number;
}

static void
test_hanging(void)
{
	WebhookHttpTransfer *first = NULL;
	WebhookHttpTransfer *transfer;
	int			timeouts = 0;
	int			most = 0;
	int			before = threads();
	double		start;
	char		name[32];

	set(&hanging, 1);
	for (int i = 0; i < MANY; i++)
	{
		snprintf(name, sizeof(name), "hangs-%d.test", i);
		transfer = submit(name, "x", 300);
		if (i == 0)
			first = transfer;
	}
	api->run(http);
	api->release(http, first);
	for (int i = 1; i < MANY; i++)
	{
		transfer = finish();
		if (transfer == NULL)
			break;
		timeouts += transfer->error == WEBHOOK_HTTP_TIMEOUT &&
			strstr(transfer->message, "Resolving timed out") != NULL;
		if (threads() > most)
			most = threads();
		api->release(http, transfer);
	}
	is_int(timeouts, MANY - 1, "names that hang time out while they hang");
	ok(most - before <= 256, "in %d threads", most - before);
	is_int(api->in_flight(http), 0, "nothing is left");
	is_int((long long) api->memory(http), 0, "no memory either");

	/* A kept connection needs no thread; another name waits for one. */
	expect("peer.test", "ok", NULL, "a kept connection goes on meanwhile");
	set(&hanging, 0);
	expect("later.test", "dns", "no such name", "another name is looked up after them");
	start = now();
	while (threads() > before && now() < start + 20)
		pause_ms(20);
	api->run(http);
	ok(threads() <= before, "the threads have gone");
}

int
main(void)
{
	char		reason[256];
	int			listener = listen_at("127.0.0.1");
	struct pollfd other_peer = {-1, POLLIN, 0};
	pthread_t	thread;

	api = webhook_http_api();
	other = listen_at("127.0.0.2");
	other_peer.fd = other;
	pthread_create(&thread, NULL, accept_all, &listener);
	setenv("http_proxy", "http://127.0.0.2:1", 1);
	setenv("all_proxy", "http://127.0.0.2:1", 1);
	setenv("no_proxy", "elsewhere.test", 1);

	options.max_connections = 64;
	options.allowed_networks = "127.0.0.1/32";
	options.allowed_ports = "1-65535";
	options.denied_networks = "127.0.0.1/7";
	ok(api->create(&options, reason, sizeof(reason)) == NULL, "no engine: %s", reason);
	options.denied_networks = NULL;
	http = api->create(&options, reason, sizeof(reason));
	if (!ok(http != NULL, "an engine"))
	{
		printf("#   %s\n", reason);
		return unit_done();
	}

	test_names();
	test_malformed();
	test_addresses();
	test_crowd();
	test_rest();
	test_reload();
	is_int(poll(&other_peer, 1, 0), 0, "the other peer has never been dialled");
	test_proxy();
	test_under_way();
	test_hanging();
	return unit_done();
}
