/*
 * engine.c
 *	  The HTTP engine: libcurl's multi interface on an epoll set of its own.
 *
 * The caller sees one descriptor and a time, so that it can wait for the
 * engine together with whatever else it waits for.  libcurl does no work but
 * in run(), and in release() of a transfer that is still on its way; all
 * signals are blocked there, because its resolver threads inherit the mask,
 * and a handler of the process must not run on one of them.
 *
 * Nothing is torn down at exit: that could wait for a resolver.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/handle_internal.h"
#include "http/http.h"
#include "http/resolver_internal.h"
#include "http/sockets_internal.h"

#define AGAIN_US			10000	/* after libcurl gave up in the middle */
#define OLDEST_LIBCURL		0x075700	/* the first with QUICK_EXIT */

struct WebhookHttp
{
	CURLM	   *multi;
	WebhookHttpSockets sockets;
	int64_t		deadline;		/* of libcurl's timer, monotonic; -1: none */
	WebhookHttpList waiting;
	WebhookHttpList ended;
	int			in_flight;
	WebhookHttpHeap heap;
	WebhookDialGuard guard;
	WebhookHttpPool pool;
	WebhookHttpResolver *resolver;
};

/* One a process: libcurl's global state is the process's. */
static WebhookHttp *engine = NULL;

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
block_signals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
restore_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int
on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	WebhookHttp *http = arg;

	(void) socket_arg;
	webhook_http_sockets_want(&http->sockets, curl, fd, what);
	return 0;
}

static int
on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	WebhookHttp *http = arg;

	(void) multi;
	http->deadline = timeout_ms < 0 ? -1 :
		clock_us(CLOCK_MONOTONIC) + (int64_t) timeout_ms * 1000;
	return 0;
}

static WebhookHttpTransfer *
http_submit(WebhookHttp *http, const WebhookHttpRequest *request, void *tag)
{
	WebhookHttpPost *post = webhook_http_new(&http->heap, request, tag);

	if (post == NULL)
		return NULL;
	webhook_http_append(&http->waiting, post);
	http->in_flight++;
	return &post->transfer;
}

static void
end(WebhookHttp *http, WebhookHttpPost *post)
{
	post->stage = WEBHOOK_HTTP_ENDED;
	post->easy = NULL;
	webhook_http_append(&http->ended, post);
}

/* It has failed without libcurl's word. */
static void
end_early(WebhookHttp *http, WebhookHttpPost *post)
{
	post->transfer.duration = clock_us(CLOCK_MONOTONIC) - post->start;
	end(http, post);
}

/* To libcurl, after so many microseconds. */
static void
hand_over(WebhookHttp *http, WebhookHttpPost *post, int64_t elapsed)
{
	WebhookHttpHandle *easy;

	post->stop = WEBHOOK_HTTP_STOP_NONE;
	post->through_proxy = http->guard.through_proxy;
	easy = webhook_http_handle_get(&http->pool, post, (int) (elapsed / 1000));
	if (easy && curl_multi_add_handle(http->multi, easy->curl) != CURLM_OK)
	{
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL,
						  "libcurl did not accept the request");
		webhook_http_handle_put(&http->pool, easy, false);
		easy = NULL;
	}
	if (easy == NULL)
	{
		end_early(http, post);
		return;
	}
	post->easy = easy;
	post->stage = WEBHOOK_HTTP_RUNNING;
}

/* False: it has failed. */
static bool
has_files(WebhookHttpPost *post)
{
	if ((post->ca == NULL || post->ca[0] != '\0') &&
		(post->client_certificate == NULL || post->client_certificate[0] != '\0'))
		return true;
	webhook_http_fail(post, WEBHOOK_HTTP_TLS,
					  "webhook.certificate_directory is not set, and a file of it is wanted");
	return false;
}

static void
start(WebhookHttp *http, WebhookHttpPost *post)
{
	post->start = clock_us(CLOCK_MONOTONIC);
	post->transfer.started = clock_us(CLOCK_REALTIME);
	if (webhook_dial_guard_request(&http->guard, post) && has_files(post))
		hand_over(http, post, 0);
	else
		end_early(http, post);
}

/* Those whose host has been looked up go on. */
static void
go_on(WebhookHttp *http)
{
	int64_t		now = webhook_http_resolver_deadline(http->resolver) < 0 ? 0 :
	clock_us(CLOCK_MONOTONIC);
	WebhookHttpPost *post;

	while ((post = webhook_http_resolver_next(http->resolver, &http->guard,
											  now)) != NULL)
	{
		if (post->transfer.error == WEBHOOK_HTTP_OK)
			hand_over(http, post, now - post->start);
		else
			end_early(http, post);
	}
}

static void
finish(WebhookHttp *http, WebhookHttpHandle *easy, CURLcode result)
{
	WebhookHttpPost *post = easy->post;
	bool		unresolved = post->stop == WEBHOOK_HTTP_STOP_UNRESOLVED;
	bool		removed;

	if (!unresolved)
	{
		post->transfer.duration = clock_us(CLOCK_MONOTONIC) - post->start;
		webhook_http_handle_read(easy, result);
	}
	removed = curl_multi_remove_handle(http->multi, easy->curl) == CURLM_OK;
	webhook_http_handle_put(&http->pool, easy,
							removed && result != CURLE_OUT_OF_MEMORY);
	if (!unresolved)
	{
		end(http, post);
		return;
	}
	post->stage = WEBHOOK_HTTP_RESOLVING;
	post->easy = NULL;
	if (!webhook_http_resolve(http->resolver, post))
	{
		webhook_http_fail(post, WEBHOOK_HTTP_INTERNAL, "out of memory");
		end_early(http, post);
	}
}

static void
collect(WebhookHttp *http)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		/* The message is gone with the handle. */
		CURLcode	result = message->data.result;
		char	   *easy = NULL;

		if (message->msg == CURLMSG_DONE &&
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
							  &easy) == CURLE_OK)
			finish(http, (WebhookHttpHandle *) easy, result);
	}
}

/*
 * Let libcurl act on a socket, or on its timer.  Out of memory, it stops in the
 * middle and does not say when to go on.
 */
static void
act(WebhookHttp *http, curl_socket_t fd, int bits)
{
	int			running;
	int64_t		again;

	if (curl_multi_socket_action(http->multi, fd, bits, &running) == CURLM_OK)
		return;
	again = clock_us(CLOCK_MONOTONIC) + AGAIN_US;
	if (http->deadline < 0 || http->deadline > again)
		http->deadline = again;
}

static void
http_run(WebhookHttp *http)
{
	struct epoll_event events[WEBHOOK_HTTP_EVENTS];
	sigset_t	before;
	WebhookHttpPost *post;
	int			count;
	int			i;

	block_signals(&before);

	go_on(http);
	while ((post = webhook_http_pop(&http->waiting)) != NULL)
		start(http, post);

	/* New requests are sent here, as their time has come. */
	if (http->deadline >= 0 && http->deadline <= clock_us(CLOCK_MONOTONIC))
	{
		/* libcurl sets the next one, if there is one. */
		http->deadline = -1;
		act(http, CURL_SOCKET_TIMEOUT, 0);
	}
	webhook_http_sockets_drop_idle(&http->sockets);

	count = epoll_wait(http->sockets.epoll, events, WEBHOOK_HTTP_EVENTS, 0);
	for (i = 0; i < count; i++)
	{
		int			bits = 0;

		/* That one is looked at next time, which is at once. */
		if (events[i].data.fd == webhook_http_resolver_descriptor(http->resolver))
			continue;

		/* Of an error libcurl learns by reading or writing. */
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			bits |= CURL_CSELECT_IN;
		if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			bits |= CURL_CSELECT_OUT;
		act(http, events[i].data.fd, bits);

		/* At once, while it is in the processor's cache. */
		collect(http);
	}
	collect(http);

	restore_signals(&before);
}

static WebhookHttpTransfer *
http_harvest(WebhookHttp *http)
{
	WebhookHttpPost *post = webhook_http_pop(&http->ended);

	if (post == NULL)
		return NULL;
	post->stage = WEBHOOK_HTTP_HARVESTED;
	http->in_flight--;
	return &post->transfer;
}

static void
http_release(WebhookHttp *http, WebhookHttpTransfer *transfer)
{
	WebhookHttpPost *post = (WebhookHttpPost *) transfer;
	WebhookHttpHandle *easy = post->easy;
	sigset_t	before;

	switch (post->stage)
	{
		case WEBHOOK_HTTP_WAITING:
			webhook_http_unlink(&http->waiting, post);
			break;
		case WEBHOOK_HTTP_RESOLVING:
			webhook_http_resolve_cancel(http->resolver, post);
			break;
		case WEBHOOK_HTTP_RUNNING:
			block_signals(&before);
			curl_multi_remove_handle(http->multi, easy->curl);
			webhook_http_handle_put(&http->pool, easy, false);
			restore_signals(&before);
			break;
		case WEBHOOK_HTTP_ENDED:
			webhook_http_unlink(&http->ended, post);
			break;
		case WEBHOOK_HTTP_HARVESTED:
			break;
	}
	if (post->stage != WEBHOOK_HTTP_HARVESTED)
		http->in_flight--;
	webhook_http_free(post);
}

static int
http_descriptor(WebhookHttp *http)
{
	return http->sockets.epoll;
}

static long
http_wait_ms(WebhookHttp *http)
{
	int64_t		deadline = webhook_http_resolver_deadline(http->resolver);
	int64_t		left;

	if (http->waiting.first || http->ended.first)
		return 0;
	if (deadline < 0 || (http->deadline >= 0 && http->deadline < deadline))
		deadline = http->deadline;
	if (deadline < 0)
		return -1;
	left = deadline - clock_us(CLOCK_MONOTONIC);
	return left <= 0 ? 0 : (long) ((left + 999) / 1000);
}

static int
http_in_flight(WebhookHttp *http)
{
	return http->in_flight;
}

static size_t
http_memory(WebhookHttp *http)
{
	return http->heap.used;
}

static const char *
http_version(void)
{
	return curl_version();
}

/*
 * How many connections the process can afford: half of its descriptors, whose
 * limit is raised first if it may be.
 */
static long
affordable_connections(long wanted)
{
	struct rlimit limit;
	rlim_t		needed = (rlim_t) wanted * 2 + 1024;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
		limit.rlim_cur == RLIM_INFINITY)
		return wanted;
	if (limit.rlim_cur < needed)
	{
		struct rlimit higher = limit;

		higher.rlim_cur = limit.rlim_max == RLIM_INFINITY ||
			limit.rlim_max > needed ? needed : limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &higher) == 0)
			limit = higher;
	}
	if (limit.rlim_cur / 2 < (rlim_t) wanted)
		wanted = limit.rlim_cur / 2;
	return wanted > 1 ? wanted : 1;
}

/* Why this libcurl will not do, or NULL. */
static const char *
judge_libcurl(const curl_version_info_data *info)
{
	if (info->version_num < OLDEST_LIBCURL)
		return "libcurl is older than 7.87";
	if (!(info->features & CURL_VERSION_ASYNCHDNS))
		return "libcurl waits for name servers in this build";
	if (!(info->features & CURL_VERSION_SSL))
		return "libcurl has no TLS in this build";
	return NULL;
}

static bool
set_multi_options(WebhookHttp *http, long connections)
{
	CURLM	   *multi = http->multi;

	return
		curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
						  on_socket) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
						  on_timer) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
						  connections) == CURLM_OK &&
		curl_multi_setopt(multi, CURLMOPT_PIPELINING,
						  CURLPIPE_MULTIPLEX) == CURLM_OK;
}

/* A copy; NULL for an empty text. False: out of memory. */
static bool
copy_text(const char *text, char **copy)
{
	*copy = NULL;
	if (text == NULL || text[0] == '\0')
		return true;
	*copy = strdup(text);
	return *copy != NULL;
}

static bool
http_configure(WebhookHttp *http, const WebhookHttpOptions *options,
			   char *reason, size_t size)
{
	curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	WebhookHttpPool *pool = &http->pool;
	sigset_t	before;
	char	   *ca_file;
	char	   *proxy = NULL;

	if (!copy_text(options->ca_file, &ca_file) ||
		!copy_text(options->proxy, &proxy))
	{
		snprintf(reason, size, "out of memory");
		free(ca_file);
		free(proxy);
		return false;
	}
	if (!webhook_dial_guard_set(&http->guard, options, reason, size))
	{
		free(ca_file);
		free(proxy);
		return false;
	}

	block_signals(&before);
	free(pool->ca_file);
	free(pool->proxy);
	pool->ca_file = ca_file;
	pool->proxy = proxy;

	/* libcurl caches the CAs of a file, but not those of a directory. */
	pool->drop_ca_path = ca_file != NULL ||
		(info->cainfo != NULL && access(info->cainfo, R_OK) == 0);
	webhook_http_handle_renew(pool);
	webhook_dial_guard_changed(&http->guard, clock_us(CLOCK_MONOTONIC));
	restore_signals(&before);
	return true;
}

/* NULL, or why not. */
static const char *
set_up(WebhookHttp *http, const WebhookHttpOptions *options)
{
	curl_version_info_data *info;
	const char *problem;
	long		connections;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return "libcurl cannot be initialized";
	info = curl_version_info(CURLVERSION_NOW);
	problem = judge_libcurl(info);
	if (problem)
		return problem;

	http->resolver = webhook_http_resolver_new();
	if (http->resolver == NULL)
		return "out of memory or descriptors";
	http->multi = curl_multi_init();
	if (http->multi == NULL)
		return "out of memory";
	connections = affordable_connections(options->max_connections > 0 ?
										 options->max_connections : 1);

	/*
	 * Before 8.1, libcurl appends a first header line that begins with a blank to the last header
	 * of the handle's transfer before, which it has freed: curl issue 11101. There, no handle is
	 * used twice; a new one is cheap.
	 */
	http->pool.max_spare = info->version_num < 0x080100 ? 0 :
		(int) connections;
	http->pool.guard = &http->guard;
	http->pool.closing = webhook_http_sockets_forget;
	http->pool.closing_arg = &http->sockets;
	problem = webhook_http_sockets_set_up(&http->sockets, connections);
	if (problem)
		return problem;
	if (!webhook_http_sockets_add(&http->sockets,
								  webhook_http_resolver_descriptor(http->resolver)))
		return "out of memory";
	if (!set_multi_options(http, connections))
		return "libcurl refused an option";
	return NULL;
}

static WebhookHttp *
http_create(const WebhookHttpOptions *options, char *reason, size_t size)
{
	const char *problem;
	WebhookHttp *http;
	sigset_t	before;

	if (engine)
	{
		snprintf(reason, size, "there is an engine already");
		return NULL;
	}
	http = calloc(1, sizeof(WebhookHttp));
	if (http == NULL)
	{
		snprintf(reason, size, "out of memory");
		return NULL;
	}
	http->sockets.epoll = -1;
	http->deadline = -1;

	block_signals(&before);
	problem = set_up(http, options);
	if (problem)
		snprintf(reason, size, "%s", problem);
	else if (!http_configure(http, options, reason, size))
		problem = reason;
	if (problem && http->multi)
		curl_multi_cleanup(http->multi);
	restore_signals(&before);
	if (problem)
	{
		webhook_http_sockets_tear_down(&http->sockets);
		webhook_http_resolver_free(http->resolver);
		free(http);
		return NULL;
	}
	webhook_dial_guard_changed(&http->guard, 0);
	engine = http;
	return http;
}

const WebhookHttpApi webhook_http_api = {
	.create = http_create,
	.configure = http_configure,
	.descriptor = http_descriptor,
	.wait_ms = http_wait_ms,
	.submit = http_submit,
	.run = http_run,
	.harvest = http_harvest,
	.release = http_release,
	.in_flight = http_in_flight,
	.memory = http_memory,
	.version = http_version,
};
