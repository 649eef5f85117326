/*
 * engine.c
 *	  The HTTP engine: libcurl's multi interface on an epoll set of its own.
 *
 * The caller sees one descriptor and a time, so that it can wait for the
 * engine together with whatever else it waits for. libcurl works only in
 * create(), configure(), run(), and release() of a transfer that is running.
 * All signals are blocked there: its resolver threads inherit the mask, and a
 * signal handler of the process must not run on one of them.
 *
 * Nothing is torn down at exit, because that could wait for a resolver.
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
#include "http/result_internal.h"
#include "http/sockets_internal.h"

#define AGAIN_US			10000	/* until libcurl acts again after it ran out of memory */
#define OLDEST_LIBCURL		0x075700	/* the first with QUICK_EXIT */

struct WebhookHttp
{
	CURLM	   *multi;
	WebhookHttpSockets sockets;
	WebhookHttpResolver *resolver;
	WebhookDialGuard guard;
	WebhookHttpPool pool;		/* libcurl's handles */
	WebhookHttpHeap heap;		/* the transfers' memory */
	WebhookHttpList waiting;	/* transfers that run() will start */
	WebhookHttpList ended;		/* transfers that harvest() will return */
	WebhookHttpPost *newest;	/* of the transfers that have not ended; NULL: there is none */
	int			in_flight;		/* transfers that are submitted and neither harvested nor
								 * released */
	int64_t		deadline;		/* of libcurl's timer: monotonic, microseconds; -1: none */
};

static struct
{
	WebhookHttp *engine;		/* the one of this process; NULL: none yet */
}			process;

/* Microseconds. */
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

/* The handle of a CURL, or NULL. */
static WebhookHttpHandle *
handle_of(CURL *curl)
{
	char	   *private = NULL;

	curl_easy_getinfo(curl, CURLINFO_PRIVATE, &private);
	return (WebhookHttpHandle *) private;
}

/*
 * Called when libcurl waits for other events of a socket. A connection that has brought a response
 * can be used again, and is closed by way of on_close_socket(); libcurl closes others unheard.
 */
static int
on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	WebhookHttp *http = arg;
	const WebhookHttpHandle *handle;

	(void) socket_arg;
	if (what == CURL_POLL_REMOVE)
	{
		handle = handle_of(curl);
		webhook_http_sockets_stop(&http->sockets, fd, handle != NULL && handle->post != NULL &&
								  handle->post->transfer.status != 0);
	}
	else
		webhook_http_sockets_wait_for(&http->sockets, fd, (what & CURL_POLL_IN) != 0,
									  (what & CURL_POLL_OUT) != 0);
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

/* The transfer has not ended. */
static void
link_open(WebhookHttp *http, WebhookHttpPost *post)
{
	post->older = http->newest;
	if (post->older)
		post->older->newer = post;
	http->newest = post;
}

/* It has. */
static void
unlink_open(WebhookHttp *http, WebhookHttpPost *post)
{
	if (post->older)
		post->older->newer = post->newer;
	if (post->newer)
		post->newer->older = post->older;
	else
		http->newest = post->older;
}

static WebhookHttpTransfer *
http_submit(WebhookHttp *http, const WebhookHttpRequest *request, void *tag)
{
	WebhookHttpPost *post = webhook_http_post_new(&http->heap, request, tag);

	if (post == NULL)
		return NULL;
	webhook_http_list_append(&http->waiting, post);
	link_open(http, post);
	http->in_flight++;
	return &post->transfer;
}

/* End a transfer whose result is known. */
static void
end(WebhookHttp *http, WebhookHttpPost *post)
{
	unlink_open(http, post);
	post->stage = WEBHOOK_HTTP_ENDED;
	post->handle = NULL;
	webhook_http_list_append(&http->ended, post);
}

/* End a transfer that has failed outside of libcurl. */
static void
end_early(WebhookHttp *http, WebhookHttpPost *post)
{
	post->transfer.duration = clock_us(CLOCK_MONOTONIC) - post->start;
	end(http, post);
}

/* Hand the transfer over to libcurl, so many microseconds after its start. */
static void
hand_over(WebhookHttp *http, WebhookHttpPost *post, int64_t elapsed)
{
	WebhookHttpHandle *handle;
	CURLMcode	result = CURLM_OK;

	post->stop = WEBHOOK_HTTP_STOP_NONE;
	post->opened = false;
	post->through_proxy = webhook_dial_guard_uses_proxy(&http->guard, post);
	handle = webhook_http_handle_get(&http->pool, post, (int) (elapsed / 1000));
	if (handle)
		result = curl_multi_add_handle(http->multi, handle->curl);
	if (result != CURLM_OK)
	{
		if (result == CURLM_OUT_OF_MEMORY)
			webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "out of memory");
		else
			webhook_http_post_fail(post, WEBHOOK_HTTP_INTERNAL,
								   "libcurl did not accept the request");
		webhook_http_handle_put(handle, false);
		handle = NULL;
	}
	if (handle == NULL)
	{
		end_early(http, post);
		return;
	}
	post->handle = handle;
	post->stage = WEBHOOK_HTTP_RUNNING;
}

/*
 * Returns false if the request needs a file and there is no directory for it; the transfer has then
 * failed.
 */
static bool
has_files(WebhookHttpPost *post)
{
	if ((post->ca == NULL || post->ca[0] != '\0') &&
		(post->client_certificate == NULL || post->client_certificate[0] != '\0'))
		return true;
	webhook_http_post_fail(post, WEBHOOK_HTTP_TLS,
						   "webhook.certificate_directory is not set, and a file of it is wanted");
	return false;
}

static void
start(WebhookHttp *http, WebhookHttpPost *post)
{
	post->start = clock_us(CLOCK_MONOTONIC);
	post->transfer.started = clock_us(CLOCK_REALTIME);
	if (webhook_dial_guard_check_url(&http->guard, post) && has_files(post))
		hand_over(http, post, 0);
	else
		end_early(http, post);
}

/* Go on with the transfers whose host the resolver has looked up. */
static void
take_resolved(WebhookHttp *http)
{
	int64_t		now = 0;
	WebhookHttpPost *post;

	/* Without a deadline, nothing waits for the resolver. */
	if (webhook_http_resolver_deadline(http->resolver) >= 0)
		now = clock_us(CLOCK_MONOTONIC);

	while ((post = webhook_http_resolver_next(http->resolver, &http->guard,
											  now)) != NULL)
	{
		if (post->transfer.error == WEBHOOK_HTTP_OK)
			hand_over(http, post, now - post->start);
		else
			end_early(http, post);
	}
}

/*
 * libcurl is done with a transfer: it has a result, or has to begin anew, because its host has to
 * be looked up first, or its connection was too old or had ended.
 */
static void
finish(WebhookHttp *http, WebhookHttpHandle *handle, CURLcode result)
{
	WebhookHttpPost *post = handle->post;
	bool		stale = post->stop == WEBHOOK_HTTP_STOP_STALE;
	bool		ended = !stale && post->stop != WEBHOOK_HTTP_STOP_UNRESOLVED;
	bool		removed;

	if (ended)
	{
		post->transfer.duration = clock_us(CLOCK_MONOTONIC) - post->start;
		webhook_http_result_read(handle, result);
	}
	removed = curl_multi_remove_handle(http->multi, handle->curl) == CURLM_OK;
	webhook_http_handle_put(handle, removed && result != CURLE_OUT_OF_MEMORY);
	if (ended)
	{
		end(http, post);
		return;
	}
	if (stale)
	{
		post->new_connection = true;
		hand_over(http, post, clock_us(CLOCK_MONOTONIC) - post->start);
		return;
	}
	post->stage = WEBHOOK_HTTP_RESOLVING;
	post->handle = NULL;
	if (!webhook_http_resolver_start(http->resolver, post))
	{
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "out of memory");
		end_early(http, post);
	}
}

/* Take the transfers that libcurl is done with. */
static void
collect(WebhookHttp *http)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		/* finish() removes the handle, and that frees the message. */
		CURLcode	result = message->data.result;
		WebhookHttpHandle *handle = handle_of(message->easy_handle);

		if (message->msg == CURLMSG_DONE && handle != NULL)
			finish(http, handle, result);
	}
}

/*
 * Let libcurl act on a socket, or on its timer. If memory is out, it stops in the middle and does
 * not say when to go on; so it is called again a little later.
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
	bool		starts = http->waiting.first != NULL;
	int			count;

	block_signals(&before);

	take_resolved(http);
	while ((post = webhook_http_list_pop(&http->waiting)) != NULL)
		start(http, post);

	/* New requests are sent here: libcurl has set its timer to now. */
	if (http->deadline >= 0 && http->deadline <= clock_us(CLOCK_MONOTONIC))
	{
		/* libcurl sets the next time, if there is one. */
		http->deadline = -1;
		act(http, CURL_SOCKET_TIMEOUT, 0);
	}
	/* While requests are started piece by piece, the next ones may use what has become idle. */
	if (!starts)
		webhook_http_sockets_drop_idle(&http->sockets);

	count = epoll_wait(http->sockets.epoll, events, WEBHOOK_HTTP_EVENTS, 0);
	for (int i = 0; i < count; i++)
	{
		int			bits = 0;

		/* The next run() takes what is resolved; the descriptor stays readable until then. */
		if (events[i].data.fd == webhook_http_resolver_descriptor(http->resolver))
			continue;

		/* libcurl learns of an error by reading or writing. */
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			bits |= CURL_CSELECT_IN;
		if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			bits |= CURL_CSELECT_OUT;
		act(http, events[i].data.fd, bits);

		/* At once, while the transfer is in the processor's cache. */
		collect(http);
	}
	collect(http);

	restore_signals(&before);
}

static WebhookHttpTransfer *
http_harvest(WebhookHttp *http)
{
	WebhookHttpPost *post = webhook_http_list_pop(&http->ended);

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
	WebhookHttpHandle *handle = post->handle;
	sigset_t	before;

	if (post->stage < WEBHOOK_HTTP_ENDED)
		unlink_open(http, post);
	switch (post->stage)
	{
		case WEBHOOK_HTTP_WAITING:
			webhook_http_list_remove(&http->waiting, post);
			break;
		case WEBHOOK_HTTP_RESOLVING:
			webhook_http_resolver_cancel(http->resolver, post);
			break;
		case WEBHOOK_HTTP_RUNNING:
			block_signals(&before);
			curl_multi_remove_handle(http->multi, handle->curl);
			webhook_http_handle_put(handle, false);
			restore_signals(&before);
			break;
		case WEBHOOK_HTTP_ENDED:
			webhook_http_list_remove(&http->ended, post);
			break;
		case WEBHOOK_HTTP_HARVESTED:
			break;
	}
	if (post->stage != WEBHOOK_HTTP_HARVESTED)
		http->in_flight--;
	webhook_http_post_free(post);
}

static void
http_break_off(WebhookHttp *http)
{
	sigset_t	before;
	WebhookHttpPost *post;

	block_signals(&before);
	while ((post = http->newest) != NULL)
	{
		if (post->stage == WEBHOOK_HTTP_RUNNING && post->sent)
		{
			post->stop = WEBHOOK_HTTP_STOP_SHUTDOWN;
			finish(http, post->handle, CURLE_ABORTED_BY_CALLBACK);
			continue;
		}
		if (post->stage == WEBHOOK_HTTP_WAITING)
			webhook_http_list_remove(&http->waiting, post);
		else if (post->stage == WEBHOOK_HTTP_RESOLVING)
			webhook_http_resolver_cancel(http->resolver, post);
		else
		{
			curl_multi_remove_handle(http->multi, post->handle->curl);
			webhook_http_handle_put(post->handle, false);
		}
		webhook_http_post_fail(post, WEBHOOK_HTTP_UNSENT, "the server stopped");
		end(http, post);
	}
	restore_signals(&before);
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
 * How many connections the process can afford, "wanted" at most: half of its descriptors. Their
 * limit is raised first, if that is allowed.
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

/* Returns NULL, or why this libcurl cannot be used. */
static const char *
libcurl_problem(const curl_version_info_data *info)
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

/* Copy a string; the copy of an empty one is NULL. Returns false if memory is out. */
static bool
copy_string(const char *string, char **copy)
{
	*copy = NULL;
	if (string == NULL || string[0] == '\0')
		return true;
	*copy = strdup(string);
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

	if (!copy_string(options->ca_file, &ca_file) ||
		!copy_string(options->proxy, &proxy))
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
	pool->connection_seconds = options->connection_seconds;

	/*
	 * libcurl caches the authorities of a file, but not those of a directory. So where there is
	 * a file, the directory is not used.
	 */
	pool->drop_ca_path = ca_file != NULL ||
		(info->cainfo != NULL && access(info->cainfo, R_OK) == 0);
	webhook_http_pool_renew(pool);
	webhook_dial_guard_changed(&http->guard, clock_us(CLOCK_MONOTONIC));
	restore_signals(&before);
	return true;
}

/* Set up a new engine but for its options. Returns NULL, or why it failed. */
static const char *
set_up(WebhookHttp *http, const WebhookHttpOptions *options)
{
	const char *problem;
	long		connections;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return "libcurl cannot be initialized";
	problem = libcurl_problem(curl_version_info(CURLVERSION_NOW));
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
	webhook_http_pool_set_up(&http->pool, connections, &http->guard, &http->sockets);
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

	if (process.engine != NULL)
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
	process.engine = http;
	return http;
}

const WebhookHttpApi *
webhook_http_api(void)
{
	static const WebhookHttpApi api = {
		.shape = WEBHOOK_HTTP_SHAPE,
		.create = http_create,
		.configure = http_configure,
		.descriptor = http_descriptor,
		.wait_ms = http_wait_ms,
		.submit = http_submit,
		.run = http_run,
		.harvest = http_harvest,
		.release = http_release,
		.break_off = http_break_off,
		.in_flight = http_in_flight,
		.memory = http_memory,
		.version = http_version,
	};

	return &api;
}
