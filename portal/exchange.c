/*
 * exchange.c
 *	  One request and its answer, between the two sides that know it: the HTTP server,
 *	  and the session that answers.
 */
#include "portal/exchange.h"

#include <stdlib.h>
#include <string.h>

PortalExchange *
portal_exchange_new(void (*wake) (PortalExchange *exchange), void *server)
{
	PortalExchange *exchange = portal_new(sizeof(PortalExchange));

	exchange->wake = wake;
	exchange->server = server;
	exchange->has_client = true;
	return exchange;
}

PortalUnread *
portal_unread_new(void)
{
	PortalUnread *unread = portal_new(sizeof(PortalUnread));

	unread->users = 1;
	return unread;
}

void
portal_unread_leave(PortalUnread *unread)
{
	if (--unread->users == 0)
		free(unread);
}

static void
free_exchange(PortalExchange *exchange)
{
	if (exchange->has_client || exchange->has_session)
		return;
	if (exchange->credentials != NULL)
	{
		portal_forget(exchange->credentials, sizeof(PortalCredentials));
		free(exchange->credentials);
	}
	if (exchange->cookie != NULL)
		portal_forget(exchange->cookie, strlen(exchange->cookie));
	free(exchange->cookie);
	if (exchange->unread != NULL)
	{
		exchange->unread->bytes -= exchange->counted;
		portal_unread_leave(exchange->unread);
	}
	portal_request_free(&exchange->request);
	portal_buffer_free(&exchange->body);
	portal_buffer_free(&exchange->out);
	free(exchange);
}

void
portal_exchange_client_leaves(PortalExchange *exchange)
{
	exchange->has_client = false;
	free_exchange(exchange);
}

void
portal_exchange_session_leaves(PortalExchange *exchange)
{
	exchange->has_session = false;
	free_exchange(exchange);
}

static void
wake(PortalExchange *exchange)
{
	if (exchange->has_client)
		exchange->wake(exchange);
}

static void
answer(PortalExchange *exchange, unsigned status)
{
	exchange->status = status;
	exchange->type = "application/json; charset=utf-8";
	wake(exchange);
}

void
portal_exchange_answer(PortalExchange *exchange, unsigned status, const char *json)
{
	portal_buffer_text(&exchange->out, json);
	answer(exchange, status);
}

void
portal_exchange_give(PortalExchange *exchange, PortalBuffer *json, PortalUnread *unread)
{
	portal_buffer_fit(json);
	exchange->out = *json;
	memset(json, 0, sizeof(*json));
	exchange->unread = unread;
	exchange->counted = exchange->out.room;
	unread->users++;
	unread->bytes += exchange->counted;
	answer(exchange, 200);
}

void
portal_exchange_fail(PortalExchange *exchange, unsigned status, const PortalError *error)
{
	PortalBuffer line = {0};

	portal_json_error(&line, error);
	portal_exchange_answer(exchange, status, line.data);
	portal_buffer_free(&line);
}

void
portal_exchange_refuse(PortalExchange *exchange, unsigned status, const char *message)
{
	PortalError error = {.message = message};

	portal_exchange_fail(exchange, status, &error);
}

void
portal_exchange_stream(PortalExchange *exchange, const char *type)
{
	exchange->status = 200;
	exchange->type = type;
	exchange->is_stream = true;
	wake(exchange);
}

void
portal_exchange_flow(PortalExchange *exchange)
{
	wake(exchange);
}

void
portal_exchange_complete(PortalExchange *exchange, bool is_broken)
{
	exchange->is_complete = true;
	exchange->is_broken = is_broken;
	wake(exchange);
}
