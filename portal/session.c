/*
 * session.c
 *	  Who has signed in, and the statements that they ask for.
 *
 * A session has one connection, so its statements run one after the other: those that
 * people wait for first, then the tick of its streams.
 */
#include "portal/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/link.h"
#include "portal/live.h"
#include "portal/log.h"
#include "portal/routes.h"
#include "portal/signin.h"
#include "portal/times.h"

/* How long before the end of an unused session its pages are told. */
#define WARNING			(2 * 60 * 1000)

/* What may wait for the client of a file that streams. */
#define STREAM_SHARE	65536

/* What may be unread of the answers of a session when its next statement starts. */
#define MAX_UNREAD		(1024 * 1024)

/* The parameter of a route that the session fills in. */
static const char own[] = "own";

static const char no_session[] = "there is no session, or it has ended";
static const char other_session[] = "another session is signed in since";

/* A request that waits for its session's connection. */
typedef struct Waiting
{
	PortalExchange *exchange;
	const PortalRoute *route;
} Waiting;

typedef struct Session
{
	struct Session *next;
	PortalLink *link;
	char		who[PORTAL_MAX_WHO + 1];	/* the role, or "tenant" and its name */
	bool		has_token;		/* it acts for that tenant */
	char		token[PORTAL_TOKEN_LENGTH + 1];
	char		name[PORTAL_NAME_LENGTH + 1];	/* what pages know it by */
	char		from[PORTAL_ADDRESS_LENGTH];
	int64_t		began;
	int64_t		used;			/* when somebody asked for something */
	bool		was_warned;		/* its pages know that it ends soon */
	Waiting		queue[PORTAL_MAX_QUEUED];
	int			nqueued;
	PortalUnread *unread;		/* of its answers */
	PortalExchange *running;	/* whose statement runs; NULL: nobody's, or the tick's */
	const char *values[PORTAL_MAX_VALUES];	/* of the statement that runs */
	bool		ticks;			/* the statement that runs is the tick's */
	bool		sees_own;		/* what a tenant may see, not the platform and all */
	char		sight[PORTAL_MAX_SIGHT + 1];	/* who has the same one sees the same; empty:
												 * nobody has */
	PortalLive	live;
} Session;

static struct
{
	Session    *first;
	int			nsessions;
}			sessions;

static const PortalRoute *
find_route(const char *method, const char *path)
{
	for (const PortalRoute *route = portal_routes; route->method != NULL; route++)
	{
		if (strcmp(route->path, path) == 0 &&
			(method == NULL || strcmp(route->method, method) == 0))
			return route;
	}
	return NULL;
}

static const char *
method_of(const PortalExchange *exchange)
{
	return exchange->request.writes ? "POST" : "GET";
}

/* Looks at all sessions and all of their tokens, whatever is found. */
static Session *
find_session(const char *token)
{
	Session    *found = NULL;

	if (token[0] == '\0')
		return NULL;
	for (Session *session = sessions.first; session != NULL; session = session->next)
	{
		if (portal_token_equal(session->token, token))
			found = session;
	}
	return found;
}

/* Returns true if the ticks of one session are those of the other one, too.  The tick of a token
 * finds out that it has ended, so it is its own. */
static bool
see_the_same(const Session *one, const Session *other)
{
	return one == other || (one->sight[0] != '\0' && strcmp(one->sight, other->sight) == 0);
}

/* Set when the next tick of all that see what this one sees is due. */
static void
set_next_tick(Session *session, int64_t next_tick)
{
	for (Session *other = sessions.first; other != NULL; other = other->next)
	{
		if (see_the_same(other, session))
			other->live.next_tick = next_tick;
	}
}

static void
refuse_all(Session *session, unsigned status, const char *running, const char *waiting)
{
	if (session->running != NULL)
	{
		if (session->running->is_stream)
			portal_exchange_complete(session->running, true);
		else
			portal_exchange_refuse(session->running, status, running);
		portal_exchange_session_leaves(session->running);
	}
	for (int i = 0; i < session->nqueued; i++)
	{
		portal_exchange_refuse(session->queue[i].exchange, status, waiting);
		portal_exchange_session_leaves(session->queue[i].exchange);
	}
}

/* "reason" is told to its streams and the log. */
static void
end_session(Session *session, unsigned status, const char *reason)
{
	Session   **at = &sessions.first;

	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	sessions.nsessions--;
	portal_log(reason, session->who, session->from);
	portal_live_end(&session->live, reason);
	if (session->ticks)
		set_next_tick(session, 0);
	refuse_all(session, status, session->running != NULL && session->running->request.writes ?
			   "the session has ended while this was done; look whether it was" :
			   "the session has ended", "the session has ended");
	portal_link_close(session->link);
	portal_unread_leave(session->unread);
	portal_forget(session->token, sizeof(session->token));
	free(session);
}

static int64_t
end_of(const PortalOptions *options, const Session *session)
{
	int64_t		idle = session->used + options->idle;
	int64_t		longest = session->began + options->longest;

	return idle < longest ? idle : longest;
}

static int64_t
warning_of(const PortalOptions *options, const Session *session)
{
	int64_t		before = options->idle / 2 < WARNING ? options->idle / 2 : WARNING;

	return session->was_warned ? PORTAL_NEVER : end_of(options, session) - before;
}

static void
describe(const PortalOptions *options, const Session *session, PortalExchange *exchange)
{
	PortalBuffer json = {0};
	char		numbers[200];
	int64_t		now = portal_now();

	portal_buffer_text(&json, "{\"role\":");
	portal_json_string(&json, session->who);
	portal_buffer_text(&json, ",\"session\":");
	portal_json_string(&json, session->name);
	portal_buffer_text(&json, session->has_token ? ",\"token\":true" : ",\"token\":false");
	snprintf(numbers, sizeof(numbers),
			 ",\"idle\":%" PRId64 ",\"longest\":%" PRId64 ",\"left\":%" PRId64 "}\n",
			 options->idle / 1000, options->longest / 1000,
			 (end_of(options, session) - now) / 1000);
	portal_buffer_text(&json, numbers);
	portal_exchange_answer(exchange, 200, json.data);
	portal_buffer_free(&json);
}

/* The cookie of a token, or the end of the cookie. */
static void
set_cookie(const PortalOptions *options, PortalExchange *exchange, const char *token)
{
	char		cookie[200];

	snprintf(cookie, sizeof(cookie), "%s=%s; %sHttpOnly; SameSite=Strict; Path=/%s",
			 options->rules.cookie, token, options->is_secure ? "Secure; " : "",
			 token[0] == '\0' ? "; Max-Age=0" : "");
	exchange->cookie = portal_copy(cookie);
	portal_forget(cookie, sizeof(cookie));
}

static const struct
{
	const char *all;
	const char *role;
	const char *tenant;
}			too_many = {

	"as many are signed in as the portal takes",
	"this role is signed in as often as the portal takes",
	"this tenant is signed in as often as the portal takes"
};

static void
signed_in(const PortalOptions *options, PortalExchange *exchange, PortalLink *link,
		  bool sees_own, const char *sight)
{
	bool		has_token = exchange->credentials->user[0] == '\0';
	const char *who = has_token ? exchange->credentials->password : exchange->credentials->user;
	const char *refusal = NULL;
	Session    *session = find_session(exchange->request.token);
	int			nmine = 0;

	/* Another one of the same browser would be forgotten, and last until it is too old. */
	if (session != NULL && exchange->has_client)
		end_session(session, 401, "signed in anew");
	for (session = sessions.first; session != NULL; session = session->next)
		nmine += strcmp(session->who, who) == 0;
	if (sessions.nsessions >= options->sessions)
		refusal = too_many.all;
	else if (nmine >= (options->sessions + 1) / 2)
		refusal = has_token ? too_many.tenant : too_many.role;

	session = portal_new(sizeof(Session));
	if (!exchange->has_client || refusal != NULL || !portal_token_make(session->token) ||
		!portal_name_make(session->name))
	{
		portal_link_close(link);
		free(session);
		portal_exchange_refuse(exchange, 503, refusal != NULL ? refusal : "no random bytes");
		portal_exchange_session_leaves(exchange);
		return;
	}
	session->link = link;
	session->unread = portal_unread_new();
	strcpy(session->who, who);
	session->has_token = has_token;
	session->sees_own = sees_own;
	strcpy(session->sight, sight);
	strcpy(session->from, exchange->from);
	session->began = session->used = portal_now();
	session->next = sessions.first;
	sessions.first = session;
	sessions.nsessions++;
	portal_log("signed in", session->who, session->from);
	set_cookie(options, exchange, session->token);
	describe(options, session, exchange);
	portal_exchange_session_leaves(exchange);
}

/* Returns true if the client has not said which session it believes to have, or if it is that.
 * A browser has one cookie for all of its tabs, and one of them may have signed in anew. */
static bool
is_meant(const Session *session, const PortalRequest *request)
{
	return request->session[0] == '\0' || strcmp(request->session, session->name) == 0;
}

/* Parameters that are not among the names would be ignored in silence.  A POST has none. */
static bool
are_known(const char *const *names, const PortalRequest *request)
{
	for (size_t i = 0; i < request->nparameters; i++)
	{
		const char *const *name = request->writes ? NULL : names;

		while (name != NULL && *name != NULL && strcmp(*name, request->parameters[i].name) != 0)
			name++;
		if (name == NULL || *name == NULL || strcmp(*name, own) == 0)
			return false;
	}
	return true;
}

/* Returns the first choice of a GET that its parameter is not one of; NULL: there is none. */
static const PortalChoice *
find_wrong_choice(const PortalRoute *route, const PortalRequest *request)
{
	for (const PortalChoice *choice = route->choices; choice != NULL && choice->parameter != NULL;
		 choice++)
	{
		for (size_t i = 0; i < request->nparameters; i++)
		{
			const char *const *word = choice->words;

			if (strcmp(request->parameters[i].name, choice->parameter) != 0)
				continue;
			while (*word != NULL && strcmp(*word, request->parameters[i].value) != 0)
				word++;
			if (*word == NULL)
				return choice;
		}
	}
	return NULL;
}

/* Returns false if a request was refused because of a parameter that is none of the words that
 * it may be. */
static bool
is_choice(const PortalRoute *route, PortalExchange *exchange)
{
	const PortalChoice *wrong = find_wrong_choice(route, &exchange->request);
	PortalBuffer message = {0};

	if (wrong == NULL)
		return true;
	portal_buffer_text(&message, wrong->parameter);
	portal_buffer_text(&message, " must be one of: ");
	for (const char *const *word = wrong->words; *word != NULL; word++)
	{
		portal_buffer_text(&message, word == wrong->words ? "" : ", ");
		portal_buffer_text(&message, *word);
	}
	portal_exchange_refuse(exchange, 400, message.data);
	portal_buffer_free(&message);
	return false;
}

/* Judge what a request says beside its path: the names are those of a GET's parameters, none if
 * NULL, or of a POST's keys, any if NULL.  Returns false if it was refused. */
static bool
is_form(const char *const *names, PortalExchange *exchange)
{
	static const PortalRefusal unknown = {400, "the address has a parameter that is not known"};
	const PortalBuffer *body = &exchange->body;
	const PortalRefusal *refusal = NULL;

	if (exchange->request.writes)
		refusal = portal_body_judge(body->data, body->length);
	if (exchange->request.writes && refusal == NULL && names != NULL)
		refusal = portal_keys_judge(body->data, body->length, names);
	if (refusal == NULL && !are_known(names, &exchange->request))
		refusal = &unknown;
	if (refusal != NULL)
		portal_exchange_refuse(exchange, refusal->status, refusal->message);
	return refusal == NULL;
}

/* Of what has no end known before, HEAD could not say the length.  Returns false if it was
 * refused. */
static bool
may_stream(PortalExchange *exchange)
{
	if (exchange->request.is_head)
		portal_exchange_refuse(exchange, 405, "there is no HEAD of what streams");
	return !exchange->request.is_head;
}

static void
run_route(Session *session, PortalExchange *exchange)
{
	const PortalRoute *route = find_route(method_of(exchange), exchange->request.path);

	if (route == NULL)
	{
		if (find_route(NULL, exchange->request.path) != NULL)
			portal_exchange_refuse(exchange, 405, "this is asked for with the other method");
		else
			portal_exchange_refuse(exchange, 404, "there is nothing of this name");
		return;
	}
	if (!is_form(route->parameters, exchange) || !is_choice(route, exchange) ||
		((route->flags & PORTAL_CSV) != 0 && !may_stream(exchange)))
		return;
	if (session->nqueued == PORTAL_MAX_QUEUED)
	{
		exchange->retry_after = 1;
		portal_exchange_refuse(exchange, 429, "this session has too many requests");
	}
	else
	{
		/* What was refused above is no use of the session. */
		if (!exchange->request.is_automatic)
		{
			session->used = portal_now();
			session->was_warned = false;
		}
		exchange->has_session = true;
		session->queue[session->nqueued].exchange = exchange;
		session->queue[session->nqueued].route = route;
		session->nqueued++;
	}
}

void
portal_sessions_serve(const PortalOptions *options, PortalExchange *exchange)
{
	static const char *const none[] = {NULL};
	const char *path = exchange->request.path;
	bool		writes = exchange->request.writes;
	Session    *session = find_session(exchange->request.token);

	if (writes && strcmp(path, "session") == 0)
	{
		if (!is_form(none, exchange))
			return;
		if (exchange->credentials == NULL)
			portal_exchange_refuse(exchange, 400, "user and password are missing or malformed");
		else
			portal_signin_begin(options, exchange);
		return;
	}
	if (session != NULL && !is_meant(session, &exchange->request))
	{
		portal_exchange_refuse(exchange, 401, other_session);
		return;
	}
	if (writes && strcmp(path, "session/end") == 0)
	{
		if (!is_form(none, exchange))
			return;
		if (session != NULL)
			end_session(session, 401, "signed out");
		set_cookie(options, exchange, "");
		portal_exchange_answer(exchange, 200, "{}\n");
		return;
	}
	if (session == NULL)
	{
		portal_exchange_refuse(exchange, 401, no_session);
		return;
	}
	if (!writes && strcmp(path, "session") == 0)
	{
		if (is_form(none, exchange))
			describe(options, session, exchange);
		return;
	}
	if (!writes && strcmp(path, "live") == 0)
	{
		if (is_form(none, exchange) && may_stream(exchange))
			portal_live_add(&session->live, exchange);
		return;
	}
	run_route(session, exchange);
}

/* Returns true if the first one of the requests that wait can have the connection: a client
 * that does not read what it asked for gets no more of our memory. */
static bool
may_start(const Session *session)
{
	return portal_link_state(session->link) == PORTAL_LINK_IDLE && session->nqueued > 0 &&
		session->unread->bytes <= MAX_UNREAD;
}

static void
start_request(Session *session)
{
	PortalExchange *exchange = session->queue[0].exchange;
	const PortalRoute *route = session->queue[0].route;
	const PortalRequest *request = &exchange->request;
	PortalStatement statement = {
		.text = route->statement,
		.values = session->values,
		.writes = request->writes,
		.is_long = (route->flags & PORTAL_LONG) != 0,
		.streams = (route->flags & PORTAL_CSV) != 0,
		.answers = (route->flags & PORTAL_CSV) == 0
	};

	session->nqueued--;
	memmove(session->queue, session->queue + 1, session->nqueued * sizeof(session->queue[0]));
	if (!exchange->has_client)
	{
		portal_exchange_session_leaves(exchange);
		return;
	}
	if (request->writes)
		session->values[statement.nvalues++] = exchange->body.data;
	for (const char *const *name = request->writes ? NULL : route->parameters;
		 name != NULL && *name != NULL; name++)
	{
		const char *value = session->sees_own && strcmp(*name, own) == 0 ? "true" : NULL;

		for (size_t i = 0; i < request->nparameters; i++)
		{
			if (strcmp(request->parameters[i].name, *name) == 0)
				value = request->parameters[i].value;
		}
		if (statement.nvalues < PORTAL_MAX_VALUES)
			session->values[statement.nvalues++] = value;
	}
	session->running = exchange;
	portal_link_send(session->link, &statement);
}

/* The first session with streams that sees what this one sees; NULL: there is none. */
static Session *
first_live(const Session *session)
{
	Session    *first = sessions.first;

	while (first != NULL && (first->live.nstreams == 0 || !see_the_same(first, session)))
		first = first->next;
	return first;
}

/* How many ticks there are for all that have streams. */
static int
count_live(void)
{
	int			count = 0;

	for (Session *session = sessions.first; session != NULL; session = session->next)
		count += first_live(session) == session;
	return count;
}

/* All that see what this one sees hear of its tick, and wait for the next one. */
static void
tell_tick(Session *session, const char *event, const char *data)
{
	for (Session *other = sessions.first; other != NULL; other = other->next)
	{
		if (other->live.nstreams > 0 && see_the_same(other, session))
			portal_live_send(&other->live, event, data);
	}
	portal_live_end_tick(&session->live, count_live());
	set_next_tick(session, session->live.next_tick);
}

static void
start_tick(Session *session)
{
	const PortalRoute *route = find_route("GET", session->sees_own ? "live_own" : "live");
	PortalStatement statement = {.answers = true};

	portal_live_begin_tick(&session->live);
	if (route == NULL)
	{
		tell_tick(session, NULL, NULL);
		return;
	}
	statement.text = route->statement;
	session->ticks = true;
	set_next_tick(session, PORTAL_NEVER);
	portal_link_send(session->link, &statement);
}

static void
answer_error(PortalExchange *exchange, const PortalError *error)
{
	unsigned	status = portal_status_of(error->sqlstate);
	PortalError told = *error;

	if (status == 501)
	{
		told.detail = error->message;
		told.message = "the database lacks the extension webhook, or one as new as the portal";
		told.hint = "Install the portal's version of the extension, and run CREATE EXTENSION "
			"webhook or ALTER EXTENSION webhook UPDATE.";
	}
	portal_exchange_fail(exchange, status, &told);
}

/* Returns true if the database says that the token of the session has ended. */
static bool
has_lost_token(const Session *session)
{
	const PortalError *error = portal_link_error(session->link);

	return session->has_token && error != NULL && error->sqlstate != NULL &&
		strcmp(error->sqlstate, "28000") == 0;
}

static void
take_answer(Session *session)
{
	PortalExchange *exchange = session->running;
	const PortalError *error = portal_link_error(session->link);
	PortalBuffer *answer = portal_link_answer(session->link);

	session->running = NULL;
	if (exchange->is_stream)
		portal_exchange_complete(exchange, error != NULL);
	else if (error != NULL)
		answer_error(exchange, error);
	else if (answer == NULL)
		portal_exchange_refuse(exchange, 404, "there is no such thing");
	else
		portal_exchange_give(exchange, answer, session->unread);
	portal_exchange_session_leaves(exchange);
}

static void
take_tick(Session *session)
{
	const PortalError *error = portal_link_error(session->link);
	const PortalBuffer *answer = portal_link_answer(session->link);

	session->ticks = false;
	if (error != NULL)
	{
		PortalBuffer json = {0};

		portal_json_error(&json, error);
		tell_tick(session, "failure", json.data);
		portal_buffer_free(&json);
	}
	else
		tell_tick(session, answer != NULL ? "tick" : NULL, answer != NULL ? answer->data : NULL);
}

/* Give lines of a file to its client, as many as it can take; to nobody if it has gone. */
static void
move_rows(Session *session)
{
	PortalExchange *exchange = session->running;
	PortalBuffer *rows = portal_link_rows(session->link);

	if (exchange == NULL || rows->length == 0 ||
		(exchange->has_client && exchange->out.length >= STREAM_SHARE))
		return;
	if (exchange->has_client)
	{
		portal_buffer_add(&exchange->out, rows->data, rows->length);
		exchange->filename = exchange->request.path;
		if (!exchange->is_stream)
			portal_exchange_stream(exchange, "text/csv; charset=utf-8");
		else
			portal_exchange_flow(exchange);
	}
	portal_buffer_free(rows);
}

static void
send_notices(Session *session)
{
	char	   *notice;

	while ((notice = portal_link_notice(session->link)) != NULL)
	{
		/* Any role can notify; ours are objects of JSON. */
		if (notice[0] == '{' && session->live.nstreams > 0)
			portal_live_send(&session->live, "notice", notice);
		free(notice);
	}
}

static void
warn(const PortalOptions *options, Session *session, int64_t now)
{
	char		data[60];

	session->was_warned = true;
	snprintf(data, sizeof(data), "{\"seconds\":%" PRId64 "}",
			 (end_of(options, session) - now + 999) / 1000);
	portal_live_send(&session->live, "idle", data);
}

/* Returns false if the session has ended. */
static bool
work(const PortalOptions *options, Session *session, int64_t now)
{
	PortalLinkState state = portal_link_work(session->link);

	send_notices(session);
	if (state == PORTAL_LINK_LOST)
	{
		end_session(session, 401, "ended by the database");
		return false;
	}
	if (now >= end_of(options, session))
	{
		end_session(session, 401, now >= session->began + options->longest ?
					"ended after the longest time of a session" : "ended, not used");
		return false;
	}
	if (now >= warning_of(options, session))
		warn(options, session, now);
	move_rows(session);

	/* What a stream's client cannot take yet keeps the statement's end back. */
	if (state == PORTAL_LINK_DONE && portal_link_rows(session->link)->length == 0)
	{
		bool		is_over = has_lost_token(session);

		if (session->ticks)
			take_tick(session);
		else
			take_answer(session);
		portal_link_take(session->link);
		if (is_over)
		{
			end_session(session, 401, "ended, its token is good no longer");
			return false;
		}
	}
	while (may_start(session))
		start_request(session);
	if (portal_link_state(session->link) == PORTAL_LINK_IDLE &&
		now >= portal_live_due(&session->live))
		start_tick(session);
	return true;
}

void
portal_sessions_work(const PortalOptions *options)
{
	Session    *next;
	int64_t		now;

	portal_signins_work(options, signed_in);
	now = portal_now();
	for (Session *session = sessions.first; session != NULL; session = next)
	{
		next = session->next;
		work(options, session, now);
	}
}

size_t
portal_sessions_room(const PortalOptions *options)
{
	return options->sessions + PORTAL_MAX_SIGNINS + PORTAL_MAX_WAITING;
}

size_t
portal_sessions_poll(struct pollfd *fds, size_t room)
{
	size_t		nfds = portal_signins_poll(fds, room);

	for (Session *session = sessions.first; session != NULL && nfds < room;
		 session = session->next)
		portal_link_poll(session->link, &fds[nfds++]);
	return nfds;
}

int64_t
portal_sessions_due(const PortalOptions *options)
{
	int64_t		due = portal_signins_due();

	for (Session *session = sessions.first; session != NULL; session = session->next)
	{
		PortalLinkState state = portal_link_state(session->link);
		int64_t		mine = end_of(options, session);

		if (warning_of(options, session) < mine)
			mine = warning_of(options, session);
		if (state == PORTAL_LINK_IDLE && portal_live_due(&session->live) < mine)
			mine = portal_live_due(&session->live);
		if (may_start(session))
			mine = 0;
		if (session->running != NULL && portal_link_rows(session->link)->length > 0 &&
			(!session->running->has_client || session->running->out.length < STREAM_SHARE))
			mine = 0;
		if (mine < due)
			due = mine;
	}
	return due;
}

bool
portal_sessions_are_busy(void)
{
	for (Session *session = sessions.first; session != NULL; session = session->next)
	{
		if (session->running != NULL || session->nqueued > 0)
			return true;
	}
	return false;
}

void
portal_sessions_stop(void)
{
	portal_signins_stop();
	while (sessions.first != NULL)
		end_session(sessions.first, 503, "the portal stops");
}
