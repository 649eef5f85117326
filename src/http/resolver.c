/*
 * resolver.c
 *	  Looks up the hosts of transfers, many at once.
 *
 * libcurl resolves names too, but shows one address at a time, when it dials
 * it. A name that leads to a public and to an internal address deceives a guard
 * that sees only one of them, so all addresses of a name are judged before any
 * is dialled.
 *
 * The system's resolver may take half a minute and cannot be interrupted. So
 * each look-up has a thread, which inherits a mask of all signals; one that
 * nobody waits for any more is left to end by itself. However many transfers
 * wait for a name, it is looked up once. Results are not kept: libcurl has a
 * cache.
 *
 * A thread owns its look-up until it has put it into the list "ended". The
 * threads share that list, and the descriptor, with the engine; nothing else.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/resolver_internal.h"
#include "http/sockets_internal.h"
#include "net/url.h"

#define MAX_THREADS		256		/* look-ups that run at once */
#define STACK_BYTES		(1024 * 1024)	/* of a thread; modules of the resolver need some */
#define MAX_ADDRESSES	32		/* of a name, that are handed to libcurl */

/* One name that is looked up. */
typedef struct WebhookHttpLookup
{
	struct WebhookHttpLookup *next; /* the next older one of the resolver */
	WebhookHttpResolver *resolver;
	WebhookHttpList waiters;	/* transfers that wait for it */
	bool		started;		/* it has a thread, or had one */

	/* Written by the thread, until it has put the look-up into "ended". */
	struct WebhookHttpLookup *next_ended;
	int			error;			/* of getaddrinfo(); 0: none */
	bool		exhausted;		/* after an error: the process could open no descriptor then */
	struct addrinfo *addresses; /* NULL after an error */

	char		name[WEBHOOK_MAX_HOST + 1]; /* constant */
} WebhookHttpLookup;

struct WebhookHttpResolver
{
	int			descriptor;		/* an eventfd, readable while "ended" is not empty */
	int			nthreads;		/* look-ups that run, or have ended and are not concluded */
	int64_t		deadline;		/* of the first waiter, or earlier; -1: no waiter has one */
	WebhookHttpLookup *lookups; /* all of them, the newest first */
	WebhookHttpList ready;		/* transfers that are done */

	pthread_mutex_t lock;		/* protects "ended" */
	WebhookHttpLookup *ended;	/* look-ups whose threads are done with them */
};

static void start_threads(WebhookHttpResolver *resolver);
static bool start_thread(WebhookHttpLookup *lookup);
static void *look_up(void *arg);
static void look_up_ended(WebhookHttpLookup *lookup);
static void take_ended(WebhookHttpResolver *resolver, const WebhookDialGuard *guard);
static void take_late(WebhookHttpResolver *resolver, int64_t now);
static void conclude(WebhookHttpLookup *lookup, const WebhookDialGuard *guard);
static void tell(const WebhookHttpLookup *lookup, WebhookHttpPost *post,
				 const WebhookDialGuard *guard);
static bool all_allowed(const WebhookHttpLookup *lookup, WebhookHttpPost *post,
						const WebhookDialGuard *guard);
static bool note_addresses(const WebhookHttpLookup *lookup, WebhookHttpPost *post);
static void drop(WebhookHttpLookup *lookup);
static const char *error_text(int error);
static int64_t deadline_of(const WebhookHttpPost *post);

WebhookHttpResolver *
webhook_http_resolver_new(void)
{
	WebhookHttpResolver *resolver = calloc(1, sizeof(WebhookHttpResolver));

	if (resolver == NULL)
		return NULL;
	resolver->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolver->descriptor < 0)
	{
		free(resolver);
		return NULL;
	}
	resolver->deadline = -1;
	pthread_mutex_init(&resolver->lock, NULL);
	return resolver;
}

void
webhook_http_resolver_free(WebhookHttpResolver *resolver)
{
	if (resolver == NULL)
		return;
	close(resolver->descriptor);
	free(resolver);
}

int
webhook_http_resolver_descriptor(const WebhookHttpResolver *resolver)
{
	return resolver->descriptor;
}

bool
webhook_http_resolver_start(WebhookHttpResolver *resolver, WebhookHttpPost *post)
{
	WebhookHttpLookup *lookup = resolver->lookups;

	while (lookup != NULL &&
		   (strncmp(lookup->name, post->target.host, post->target.host_length) != 0 ||
			lookup->name[post->target.host_length] != '\0'))
		lookup = lookup->next;
	if (lookup == NULL)
	{
		lookup = calloc(1, sizeof(WebhookHttpLookup));
		if (lookup == NULL)
			return false;
		lookup->resolver = resolver;
		memcpy(lookup->name, post->target.host, post->target.host_length);
		lookup->next = resolver->lookups;
		resolver->lookups = lookup;
	}
	webhook_http_list_append(&lookup->waiters, post);
	post->lookup = lookup;
	if (resolver->deadline < 0 || deadline_of(post) < resolver->deadline)
		resolver->deadline = deadline_of(post);
	start_threads(resolver);
	return true;
}

void
webhook_http_resolver_cancel(WebhookHttpResolver *resolver, WebhookHttpPost *post)
{
	WebhookHttpLookup *lookup = post->lookup;

	webhook_http_list_remove(lookup ? &lookup->waiters : &resolver->ready, post);
	post->lookup = NULL;
	if (lookup && lookup->waiters.first == NULL && !lookup->started)
		drop(lookup);
}

WebhookHttpPost *
webhook_http_resolver_next(WebhookHttpResolver *resolver,
						   const WebhookDialGuard *guard, int64_t now)
{
	if (resolver->ready.first == NULL && resolver->lookups != NULL)
		take_ended(resolver, guard);

	/* Also if the waiter that had this deadline is gone: the next deadline is found here. */
	if (resolver->ready.first == NULL &&
		resolver->deadline >= 0 && resolver->deadline <= now)
		take_late(resolver, now);
	return webhook_http_list_pop(&resolver->ready);
}

int64_t
webhook_http_resolver_deadline(const WebhookHttpResolver *resolver)
{
	return resolver->deadline;
}

/* Start as many look-ups as there may be threads, the oldest ones first. */
static void
start_threads(WebhookHttpResolver *resolver)
{
	while (resolver->nthreads < MAX_THREADS)
	{
		WebhookHttpLookup *oldest = NULL;

		for (WebhookHttpLookup *it = resolver->lookups; it != NULL; it = it->next)
		{
			if (!it->started)
				oldest = it;
		}
		if (oldest == NULL)
			break;
		oldest->started = true;
		resolver->nthreads++;
		if (!start_thread(oldest))
		{
			oldest->error = EAI_MEMORY;
			look_up_ended(oldest);
		}
	}
}

/* Returns false if there can be no thread. */
static bool
start_thread(WebhookHttpLookup *lookup)
{
	pthread_attr_t attributes;
	pthread_t	thread;
	bool		started;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	started = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
		pthread_create(&thread, &attributes, look_up, lookup) == 0;
	pthread_attr_destroy(&attributes);
	return started;
}

/* The function of the thread. */
static void *
look_up(void *arg)
{
	WebhookHttpLookup *lookup = arg;
	struct addrinfo hints = {0};

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	lookup->error = getaddrinfo(lookup->name, NULL, &hints, &lookup->addresses);
	if (lookup->error != 0)
	{
		/* The resolver may have missed a file or a socket, and says something else. */
		lookup->exhausted = webhook_http_sockets_are_exhausted();
		lookup->addresses = NULL;
	}
	look_up_ended(lookup);
	return NULL;
}

/* The thread gives the look-up back to the engine, and does not touch it any more. */
static void
look_up_ended(WebhookHttpLookup *lookup)
{
	WebhookHttpResolver *resolver = lookup->resolver;
	const uint64_t one = 1;
	ssize_t		written;

	pthread_mutex_lock(&resolver->lock);
	lookup->next_ended = resolver->ended;
	resolver->ended = lookup;

	/* This fails only if the counter is full; the descriptor is then readable anyway. */
	written = write(resolver->descriptor, &one, sizeof(one));
	(void) written;
	pthread_mutex_unlock(&resolver->lock);
}

/* Conclude the look-ups that have ended, and start others in their place. */
static void
take_ended(WebhookHttpResolver *resolver, const WebhookDialGuard *guard)
{
	uint64_t	count;
	WebhookHttpLookup *ended = NULL;

	/* Under the lock, so that the descriptor stays readable while something is in the list. */
	pthread_mutex_lock(&resolver->lock);
	if (read(resolver->descriptor, &count, sizeof(count)) > 0)
	{
		ended = resolver->ended;
		resolver->ended = NULL;
	}
	pthread_mutex_unlock(&resolver->lock);
	if (ended == NULL)
		return;

	while (ended != NULL)
	{
		WebhookHttpLookup *next = ended->next_ended;

		conclude(ended, guard);
		ended = next;
	}
	start_threads(resolver);
}

/* Let the waiters fail whose time is over. Their look-ups go on, for others. */
static void
take_late(WebhookHttpResolver *resolver, int64_t now)
{
	WebhookHttpLookup *next;

	resolver->deadline = -1;
	for (WebhookHttpLookup *lookup = resolver->lookups; lookup != NULL; lookup = next)
	{
		WebhookHttpList waiters = lookup->waiters;
		WebhookHttpPost *post;

		next = lookup->next;
		memset(&lookup->waiters, 0, sizeof(WebhookHttpList));
		while ((post = webhook_http_list_pop(&waiters)) != NULL)
		{
			int64_t		deadline = deadline_of(post);

			if (deadline <= now)
			{
				char		problem[96];

				snprintf(problem, sizeof(problem),
						 "Resolving timed out after %lld milliseconds",
						 (long long) (now - post->start) / 1000);
				webhook_http_post_fail(post, WEBHOOK_HTTP_TIMEOUT, problem);
				post->lookup = NULL;
				webhook_http_list_append(&resolver->ready, post);
				continue;
			}
			webhook_http_list_append(&lookup->waiters, post);
			if (resolver->deadline < 0 || deadline < resolver->deadline)
				resolver->deadline = deadline;
		}
		if (lookup->waiters.first == NULL && !lookup->started)
			drop(lookup);
	}
}

/* Give its result to all that wait for a look-up, and drop it. */
static void
conclude(WebhookHttpLookup *lookup, const WebhookDialGuard *guard)
{
	WebhookHttpResolver *resolver = lookup->resolver;
	WebhookHttpPost *post;

	while ((post = webhook_http_list_pop(&lookup->waiters)) != NULL)
	{
		post->lookup = NULL;
		tell(lookup, post, guard);
		webhook_http_list_append(&resolver->ready, post);
	}
	if (lookup->addresses)
		freeaddrinfo(lookup->addresses);
	resolver->nthreads--;
	drop(lookup);
}

/* Give the result of a look-up to one transfer: addresses, or a failure. */
static void
tell(const WebhookHttpLookup *lookup, WebhookHttpPost *post, const WebhookDialGuard *guard)
{
	char		problem[WEBHOOK_REFUSAL_BYTES];

	if (lookup->error == EAI_MEMORY)
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "out of memory or threads");
	else if (lookup->exhausted)
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, WEBHOOK_HTTP_NO_DESCRIPTOR);
	else if (lookup->error != 0)
	{
		snprintf(problem, sizeof(problem), "Could not resolve host: %.160s (%s)",
				 lookup->name, error_text(lookup->error));
		webhook_http_post_fail(post, WEBHOOK_HTTP_DNS, problem);
	}
	else if (all_allowed(lookup, post, guard) && !note_addresses(lookup, post))
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "out of memory");
}

/* Judge all addresses. Returns false if one is refused; the transfer has then failed. */
static bool
all_allowed(const WebhookHttpLookup *lookup, WebhookHttpPost *post,
			const WebhookDialGuard *guard)
{
	for (struct addrinfo *it = lookup->addresses; it != NULL; it = it->ai_next)
	{
		if (!webhook_dial_guard_check_address(guard, post, it->ai_addr))
			return false;
	}
	return true;
}

/*
 * Write the addresses as CURLOPT_RESOLVE takes them, "+host:port:address,address", IPv6 in
 * brackets; "+" means that libcurl caches them only as long as any others. Returns false if memory
 * is out.
 */
static bool
note_addresses(const WebhookHttpLookup *lookup, WebhookHttpPost *post)
{
	size_t		size = post->target.host_length + 16 +
		MAX_ADDRESSES * (INET6_ADDRSTRLEN + 3);
	char	   *entry = webhook_http_post_allocate(post, size);
	int			length;
	int			count = 0;

	if (entry == NULL)
		return false;
	length = snprintf(entry, size, "+%s:%d:", lookup->name, post->target.port);
	for (struct addrinfo *it = lookup->addresses;
		 it != NULL && count < MAX_ADDRESSES; it = it->ai_next)
	{
		char		address[INET6_ADDRSTRLEN];
		bool		ipv6 = it->ai_family == AF_INET6;
		const void *binary = ipv6 ?
			(const void *) &((struct sockaddr_in6 *) it->ai_addr)->sin6_addr :
			(const void *) &((struct sockaddr_in *) it->ai_addr)->sin_addr;

		if (inet_ntop(it->ai_family, binary, address, sizeof(address)) == NULL)
			continue;
		length += snprintf(entry + length, size - length,
						   ipv6 ? "%s[%s]" : "%s%s", count > 0 ? "," : "", address);
		count++;
	}
	post->resolved = entry;
	return true;
}

/* Free a look-up that no thread has and no transfer waits for. */
static void
drop(WebhookHttpLookup *lookup)
{
	WebhookHttpLookup **link = &lookup->resolver->lookups;

	while (*link != lookup)
		link = &(*link)->next;
	*link = lookup->next;
	free(lookup);
}

/* The log is in English; gai_strerror() speaks the server's language. */
static const char *
error_text(int error)
{
	switch (error)
	{
		case EAI_NONAME:
			return "there is no such name";
#ifdef EAI_NODATA
		case EAI_NODATA:
			return "the name has no address";
#endif
		case EAI_AGAIN:
			return "no name server has answered";
		case EAI_FAIL:
			return "the name server refuses to answer";
		default:
			return "the resolver failed";
	}
}

/* When the transfer runs out of time to connect: monotonic, microseconds. */
static int64_t
deadline_of(const WebhookHttpPost *post)
{
	int			ms = post->connect_timeout_ms < post->timeout_ms ?
		post->connect_timeout_ms : post->timeout_ms;

	return post->start + (int64_t) ms * 1000;
}
