/*
 * sockets.c
 *	  The engine's epoll set.
 *
 * libcurl asks for the events of a socket with each request, and gives them up
 * with each response. A kept connection often has its next request at once, so
 * it stays in the epoll set until there is a run() that starts none, and libcurl asks
 * for what is still there if it is used before. That saves two system calls a request: 10 % of
 * the processor's time of bench/bare.c with 16 and with 256 requests in flight
 * (medians of 7 pairs, a receiver on loopback that answers after 3 ms, libcurl
 * 7.88).
 *
 * libcurl may have closed a descriptor before it says so, and the number may
 * be another socket's by then. So no error of epoll_ctl() matters here; at
 * worst, a transfer whose socket is not waited for ends at its timeout.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/sockets_internal.h"

#define MAX_STATES		65536

/* States of a descriptor. */
#define READ			0x01	/* the epoll set waits for it to become readable */
#define WRITE			0x02	/* the epoll set waits for it to become writable */
#define IDLE			0x80	/* libcurl waits for nothing of it, the epoll set still does */

const char *
webhook_http_sockets_set_up(WebhookHttpSockets *sockets, long connections)
{
	sockets->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (sockets->epoll < 0)
		return "out of descriptors";
	sockets->nstates = connections < MAX_STATES / 4 ? (int) connections * 4 : MAX_STATES;
	sockets->states = calloc(sockets->nstates, 1);
	return sockets->states == NULL ? "out of memory" : NULL;
}

bool
webhook_http_sockets_are_exhausted(void)
{
	int			fd = eventfd(0, EFD_CLOEXEC);

	if (fd < 0)
		return true;
	close(fd);
	return false;
}

void
webhook_http_sockets_tear_down(WebhookHttpSockets *sockets)
{
	if (sockets->epoll >= 0)
		close(sockets->epoll);
	free(sockets->states);
}

bool
webhook_http_sockets_add(WebhookHttpSockets *sockets, int fd)
{
	struct epoll_event event = {0};

	event.events = EPOLLIN;
	event.data.fd = fd;
	return epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void
webhook_http_sockets_wait_for(WebhookHttpSockets *sockets, int fd, bool readable, bool writable)
{
	unsigned char state = (readable ? READ : 0) | (writable ? WRITE : 0);
	struct epoll_event event = {0};

	if (fd < sockets->nstates)
	{
		bool		is_set = sockets->states[fd] == (state | IDLE);

		sockets->states[fd] = state;
		if (is_set)
			return;
	}
	event.events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
	event.data.fd = fd;
	if (epoll_ctl(sockets->epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EEXIST)
		epoll_ctl(sockets->epoll, EPOLL_CTL_MOD, fd, &event);
}

void
webhook_http_sockets_stop(WebhookHttpSockets *sockets, int fd, bool may_stay)
{
	if (may_stay && fd < sockets->nstates && sockets->states[fd] == READ &&
		sockets->nidle < WEBHOOK_HTTP_IDLE)
	{
		sockets->states[fd] |= IDLE;
		sockets->idle[sockets->nidle++] = fd;
		return;
	}
	epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, fd, NULL);
	webhook_http_sockets_forget(sockets, fd);
}

void
webhook_http_sockets_forget(WebhookHttpSockets *sockets, int fd)
{
	if (fd < sockets->nstates)
		sockets->states[fd] = 0;
}

void
webhook_http_sockets_drop_idle(WebhookHttpSockets *sockets)
{
	while (sockets->nidle > 0)
	{
		int			fd = sockets->idle[--sockets->nidle];

		if (sockets->states[fd] & IDLE)
		{
			epoll_ctl(sockets->epoll, EPOLL_CTL_DEL, fd, NULL);
			sockets->states[fd] = 0;
		}
	}
}
