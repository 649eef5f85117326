/*
 * live.c
 *	  The streams of one session: Server-Sent Events, one stream a browser, all with
 *	  the same events.
 *
 * A client that does not read what it is sent loses its stream, and connects again
 * if it is there.
 */
#include "portal/live.h"

#include <string.h>

#include "portal/times.h"

#define TICK		2000		/* milliseconds between two ticks, at least */
#define SPARING		80			/* all ticks together take at most this part of the time */
#define MAX_UNREAD	262144		/* bytes that wait for a client */

bool
portal_live_add(PortalLive *live, PortalExchange *exchange)
{
	if (live->nstreams == PORTAL_MAX_STREAMS)
	{
		/* Some may have gone without anybody having noticed. */
		portal_live_send(live, NULL, NULL);
	}
	if (live->nstreams == PORTAL_MAX_STREAMS)
	{
		exchange->retry_after = 5;
		portal_exchange_refuse(exchange, 429, "this session has too many streams");
		return false;
	}
	exchange->has_session = true;
	portal_buffer_text(&exchange->out, "retry: 2000\n\n");
	portal_exchange_stream(exchange, "text/event-stream; charset=utf-8");
	live->streams[live->nstreams++] = exchange;
	live->next_tick = 0;
	return true;
}

/* The bytes of an event; a comment if there is none. */
static void
render(PortalBuffer *buffer, const char *event, const char *data)
{
	size_t		begin;

	if (event == NULL)
	{
		portal_buffer_text(buffer, ":\n\n");
		return;
	}
	portal_buffer_text(buffer, "event: ");
	portal_buffer_text(buffer, event);
	portal_buffer_text(buffer, "\ndata: ");
	begin = buffer->length;
	portal_buffer_text(buffer, data);
	for (size_t i = begin; i < buffer->length; i++)
	{
		if (buffer->data[i] == '\n' || buffer->data[i] == '\r')
			buffer->data[i] = ' ';
	}
	portal_buffer_text(buffer, "\n\n");
}

void
portal_live_send(PortalLive *live, const char *event, const char *data)
{
	PortalBuffer bytes = {0};
	int			nkept = 0;

	render(&bytes, event, data);
	for (int i = 0; i < live->nstreams; i++)
	{
		PortalExchange *exchange = live->streams[i];

		if (exchange->has_client && exchange->out.length > MAX_UNREAD)
			portal_exchange_complete(exchange, true);
		if (!exchange->has_client || exchange->is_complete)
		{
			portal_exchange_session_leaves(exchange);
			continue;
		}
		portal_buffer_add(&exchange->out, bytes.data, bytes.length);
		portal_exchange_flow(exchange);
		live->streams[nkept++] = exchange;
	}
	live->nstreams = nkept;
	portal_buffer_free(&bytes);
}

int64_t
portal_live_due(const PortalLive *live)
{
	return live->nstreams == 0 ? PORTAL_NEVER : live->next_tick;
}

void
portal_live_begin_tick(PortalLive *live)
{
	live->tick_began = portal_now();
}

void
portal_live_end_tick(PortalLive *live, int sessions)
{
	int64_t		now = portal_now();
	int64_t		cost = now - live->tick_began;
	int64_t		wait = (cost < live->tick_cost ? cost : live->tick_cost) * SPARING * sessions;

	live->tick_cost = cost;
	live->next_tick = now + (wait > TICK ? wait : TICK);
}

void
portal_live_end(PortalLive *live, const char *reason)
{
	PortalBuffer data = {0};

	portal_buffer_text(&data, "{\"reason\":");
	portal_json_string(&data, reason);
	portal_buffer_text(&data, "}");
	portal_live_send(live, "end", data.data);
	portal_buffer_free(&data);
	for (int i = 0; i < live->nstreams; i++)
	{
		portal_exchange_complete(live->streams[i], false);
		portal_exchange_session_leaves(live->streams[i]);
	}
	live->nstreams = 0;
}
