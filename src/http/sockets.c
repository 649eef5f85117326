/*
 * sockets.c
 *	  The engine's descriptors and their epoll set.
 *
 * libcurl asks for the events of a socket anew with each request.  Most of what
 * it asks for is so already, and the system is not told of that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <curl/curl.h>

#include "http/handle_internal.h"
#include "http/sockets_internal.h"

#define MAX_TRACKED			65536
#define IDLE				0x80	/* libcurl wants no events of it now */

const char *
webhook_http_sockets_set_up(WebhookHttpSockets *sockets, long connections)
{
	sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sockets->epoll < 0)
		return "out of descriptors";
	sockets->ntracked = connections < MAX_TRACKED / 4 ?
		(int) connections * 4 : MAX_TRACKED;
	sockets->tracked = calloc(sockets->ntracked, 1);
	return sockets->tracked == NULL ? "out of memory" : NULL;
}

void
webhook_http_sockets_tear_down(WebhookHttpSockets *sockets)
{
	if (sockets->epoll >= 0)
		close(sockets->epoll);
	free(sockets->tracked);
}

bool
webhook_http_sockets_add(WebhookHttpSockets *sockets, int fd)
{
	struct epoll_event event = {0};

	event.events = EPOLLIN;
	event.data.fd = fd;
	return epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/*
 * Only descriptors of connections that work are kept: these libcurl closes by
 * way of forget().  Others it may close unheard.
 */
static bool
keep_idle(WebhookHttpSockets *sockets, CURL *curl, int fd)
{
	char	   *private = NULL;
	WebhookHttpHandle *easy;

	if (fd >= sockets->ntracked || sockets->tracked[fd] != CURL_POLL_IN ||
		sockets->nidle == WEBHOOK_HTTP_EVENTS)
		return false;
	curl_easy_getinfo(curl, CURLINFO_PRIVATE, &private);
	easy = (WebhookHttpHandle *) private;
	if (easy == NULL || easy->post == NULL || easy->post->transfer.status == 0)
		return false;
	sockets->tracked[fd] |= IDLE;
	sockets->idle[sockets->nidle++] = fd;
	return true;
}

/*
 * libcurl may have closed the descriptor already, and the number may be another
 * socket's by now: hence no error that matters; a transfer that is not told of
 * its socket ends at its timeout.
 */
void
webhook_http_sockets_want(WebhookHttpSockets *sockets, void *curl, int fd, int what)
{
	struct epoll_event event;

	if (what == CURL_POLL_REMOVE)
	{
		if (!keep_idle(sockets, curl, fd))
		{
			epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, fd, NULL);
			webhook_http_sockets_forget(sockets, fd);
		}
		return;
	}
	if (fd < sockets->ntracked)
	{
		bool		is_set = sockets->tracked[fd] == (what | IDLE);

		sockets->tracked[fd] = (unsigned char) what;
		if (is_set)
			return;
	}
	memset(&event, 0, sizeof(event));
	event.data.fd = fd;
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, fd, &event) < 0 &&
		errno == EEXIST)
		epoll_ctl(sockets->epoll, EPOLL_CTL_MOD, fd, &event);
}

void
webhook_http_sockets_forget(void *arg, int fd)
{
	WebhookHttpSockets *sockets = arg;

	if (fd < sockets->ntracked)
		sockets->tracked[fd] = 0;
}

void
webhook_http_sockets_drop_idle(WebhookHttpSockets *sockets)
{
	while (sockets->nidle > 0)
	{
		int			fd = sockets->idle[--sockets->nidle];

		if (sockets->tracked[fd] & IDLE)
		{
			epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, fd, NULL);
			sockets->tracked[fd] = 0;
		}
	}
}
