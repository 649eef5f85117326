/*
 * resolver.c
 *	  Names into addresses, all of them at once.
 *
 * libcurl resolves names too, but shows addresses one at a time, as it dials
 * them.  A name that leads to a public address and to an internal one is how a
 * guard is deceived, so a name is judged as a whole before any of it is dialled.
 *
 * The system's resolver may take half a minute and cannot be interrupted: each
 * look-up has a thread of its own, which inherits a mask of all signals, and is
 * left behind where nobody waits any more.  However many transfers want a name,
 * it is looked up once; nothing is kept afterwards, for libcurl has a cache.
 *
 * A thread owns its look-up until it has put it into the list of those that
 * have ended; that list and the number of threads alone are shared.
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
#include "net/url.h"

#define MAX_THREADS		256
#define STACK_BYTES		(256 * 1024)
#define MAX_ADDRESSES	32		/* that are tried */

typedef struct Lookup
{
	struct Lookup *next;
	WebhookHttpResolver *resolver;
	WebhookHttpList waiters;	/* transfers */
	bool		started;		/* it has, or had, a thread */

	/* The thread's, until it has ended. */
	struct Lookup *next_ended;
	int			error;			/* of getaddrinfo() */
	struct addrinfo *addresses;
	char		name[WEBHOOK_MAX_HOST + 1];
} Lookup;

struct WebhookHttpResolver
{
	int			descriptor;
	int			nthreads;
	int64_t		deadline;		/* the first waiter's, or earlier; -1: none */
	Lookup	   *lookups;		/* the newest first */
	WebhookHttpList ready;		/* they wait no longer */

	pthread_mutex_t lock;
	Lookup	   *ended;
};

static void start_threads(WebhookHttpResolver *resolver);
static bool start_thread(Lookup *lookup);
static void *look_up(void *arg);
static void look_up_ended(Lookup *lookup);
static void take_ended(WebhookHttpResolver *resolver, const WebhookDialGuard *guard);
static void take_late(WebhookHttpResolver *resolver, int64_t now);
static void conclude(Lookup *lookup, const WebhookDialGuard *guard);
static void tell(const Lookup *lookup, WebhookHttpPost *post,
				 const WebhookDialGuard *guard);
static bool all_allowed(const Lookup *lookup, WebhookHttpPost *post,
						const WebhookDialGuard *guard);
static bool note_addresses(const Lookup *lookup, WebhookHttpPost *post);
static void drop(Lookup *lookup);
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
webhook_http_resolve(WebhookHttpResolver *resolver, WebhookHttpPost *post)
{
	Lookup	   *lookup = resolver->lookups;

	while (lookup != NULL &&
		   (strncmp(lookup->name, post->target.host, post->target.host_length) != 0 ||
			lookup->name[post->target.host_length] != '\0'))
		lookup = lookup->next;
	if (lookup == NULL)
	{
		lookup = calloc(1, sizeof(Lookup));
		if (lookup == NULL)
			return false;
		lookup->resolver = resolver;
		memcpy(lookup->name, post->target.host, post->target.host_length);
		lookup->next = resolver->lookups;
		resolver->lookups = lookup;
	}
	webhook_http_append(&lookup->waiters, post);
	post->lookup = lookup;
	if (resolver->deadline < 0 || deadline_of(post) < resolver->deadline)
		resolver->deadline = deadline_of(post);
	start_threads(resolver);
	return true;
}

void
webhook_http_resolve_cancel(WebhookHttpResolver *resolver, WebhookHttpPost *post)
{
	Lookup	   *lookup = post->lookup;

	webhook_http_unlink(lookup ? &lookup->waiters : &resolver->ready, post);
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

	/* Its waiter may have gone: the next deadline is found all the same. */
	if (resolver->ready.first == NULL &&
		resolver->deadline >= 0 && resolver->deadline <= now)
		take_late(resolver, now);
	return webhook_http_pop(&resolver->ready);
}

int64_t
webhook_http_resolver_deadline(const WebhookHttpResolver *resolver)
{
	return resolver->deadline;
}

/* As many as there may be, for those that have waited longest. */
static void
start_threads(WebhookHttpResolver *resolver)
{
	while (resolver->nthreads < MAX_THREADS)
	{
		Lookup	   *oldest = NULL;

		for (Lookup *it = resolver->lookups; it != NULL; it = it->next)
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

/* False: none is to be had. */
static bool
start_thread(Lookup *lookup)
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

/* The thread. */
static void *
look_up(void *arg)
{
	Lookup	   *lookup = arg;
	struct addrinfo hints = {0};

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	lookup->error = getaddrinfo(lookup->name, NULL, &hints, &lookup->addresses);
	if (lookup->error != 0)
		lookup->addresses = NULL;
	look_up_ended(lookup);
	return NULL;
}

/* The thread's last word: from now on it is the engine's again. */
static void
look_up_ended(Lookup *lookup)
{
	WebhookHttpResolver *resolver = lookup->resolver;
	const uint64_t one = 1;
	ssize_t		written;

	pthread_mutex_lock(&resolver->lock);
	lookup->next_ended = resolver->ended;
	resolver->ended = lookup;

	/* It fails only where it is readable anyway. */
	written = write(resolver->descriptor, &one, sizeof(one));
	(void) written;
	pthread_mutex_unlock(&resolver->lock);
}

static void
take_ended(WebhookHttpResolver *resolver, const WebhookDialGuard *guard)
{
	uint64_t	count;
	Lookup	   *ended = NULL;

	/* Under the lock it is readable as long as there is something to take. */
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
		Lookup	   *next = ended->next_ended;

		conclude(ended, guard);
		ended = next;
	}
	start_threads(resolver);
}

/* Those whose time is over wait no longer; the look-up goes on for others. */
static void
take_late(WebhookHttpResolver *resolver, int64_t now)
{
	Lookup	   *next;

	resolver->deadline = -1;
	for (Lookup *lookup = resolver->lookups; lookup != NULL; lookup = next)
	{
		WebhookHttpList waiters = lookup->waiters;
		WebhookHttpPost *post;

		next = lookup->next;
		memset(&lookup->waiters, 0, sizeof(WebhookHttpList));
		while ((post = webhook_http_pop(&waiters)) != NULL)
		{
			int64_t		deadline = deadline_of(post);

			if (deadline <= now)
			{
				char		text[96];

				snprintf(text, sizeof(text), "Resolving timed out after %lld milliseconds",
						 (long long) (now - post->start) / 1000);
				webhook_http_fail(post, WEBHOOK_HTTP_TIMEOUT, text);
				post->lookup = NULL;
				webhook_http_append(&resolver->ready, post);
				continue;
			}
			webhook_http_append(&lookup->waiters, post);
			if (resolver->deadline < 0 || deadline < resolver->deadline)
				resolver->deadline = deadline;
		}
		if (lookup->waiters.first == NULL && !lookup->started)
			drop(lookup);
	}
}

static void
conclude(Lookup *lookup, const WebhookDialGuard *guard)
{
	WebhookHttpResolver *resolver = lookup->resolver;
	WebhookHttpPost *post;

	while ((post = webhook_http_pop(&lookup->waiters)) != NULL)
	{
		post->lookup = NULL;
		tell(lookup, post, guard);
		webhook_http_append(&resolver->ready, post);
	}
	if (lookup->addresses)
		freeaddrinfo(lookup->addresses);
	resolver->nthreads--;
	drop(lookup);
}

static void
tell(const Lookup *lookup, WebhookHttpPost *post, const WebhookDialGuard *guard)
{
	char		text[WEBHOOK_REFUSAL_BYTES];

	if (lookup->error == EAI_MEMORY)
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory or threads");
	else if (lookup->error != 0)
	{
		snprintf(text, sizeof(text), "Could not resolve host: %.160s (%s)",
				 lookup->name, error_text(lookup->error));
		webhook_http_fail(post, WEBHOOK_HTTP_DNS, text);
	}
	else if (all_allowed(lookup, post, guard) && !note_addresses(lookup, post))
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
}

/* False: it has failed as blocked. */
static bool
all_allowed(const Lookup *lookup, WebhookHttpPost *post,
			const WebhookDialGuard *guard)
{
	for (struct addrinfo *it = lookup->addresses; it != NULL; it = it->ai_next)
	{
		if (!webhook_dial_guard_address(guard, post, it->ai_addr))
			return false;
	}
	return true;
}

/*
 * "+host:port:address,address": for as long as libcurl keeps names.  It takes
 * IPv6 addresses in brackets.
 */
static bool
note_addresses(const Lookup *lookup, WebhookHttpPost *post)
{
	size_t		size = post->target.host_length + 16 +
	MAX_ADDRESSES * (INET6_ADDRSTRLEN + 3);
	char	   *text = webhook_http_allocate(post, size);
	int			length;
	int			count = 0;

	if (text == NULL)
		return false;
	length = snprintf(text, size, "+%s:%d:", lookup->name, post->target.port);
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
		length += snprintf(text + length, size - length,
						   ipv6 ? "%s[%s]" : "%s%s", count > 0 ? "," : "", address);
		count++;
	}
	post->resolved = text;

	return true;
}

static void
drop(Lookup *lookup)
{
	Lookup	  **place = &lookup->resolver->lookups;

	while (*place != lookup)
		place = &(*place)->next;
	*place = lookup->next;
	free(lookup);
}

/* Not gai_strerror(): it speaks the server's language. */
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

/* Monotonic, microseconds. */
static int64_t
deadline_of(const WebhookHttpPost *post)
{
	int			ms = post->connect_timeout_ms < post->timeout_ms ?
	post->connect_timeout_ms : post->timeout_ms;

	return post->start + (int64_t) ms * 1000;
}
