/*
 * signin.c
 *	  People sign in as roles of the database, or come with a token of a tenant: the
 *	  database says who may.
 *
 * A password, or a token, goes from the request to libpq and nowhere else.
 */
#include "portal/signin.h"

#include <stdlib.h>
#include <string.h>

#include "portal/log.h"
#include "portal/times.h"

#define MAX_OF_ADDRESS	8		/* sign-ins under way or waiting */
#define LONGEST			10000	/* milliseconds until a database has to answer */

/* What the role sees: none, own or all; an extension that is older than tenants has all.  Then
 * the OIDs of the roles, which name them for good.  NULL: the schema is not there. */
static const char rights[] =
"SELECT CASE WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'none' "
"WHEN EXISTS (SELECT FROM pg_catalog.pg_proc p "
"WHERE p.pronamespace = pg_catalog.to_regnamespace('webhook_internal') "
"AND p.proname = 'all_tenants' "
"AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')) THEN 'own' ELSE 'all' END "
"|| pg_catalog.concat(' ', pg_catalog.quote_ident(session_user)::pg_catalog.regrole::pg_catalog.oid, "
"' ', pg_catalog.quote_ident(current_user)::pg_catalog.regrole::pg_catalog.oid) "
"FROM pg_catalog.pg_namespace n WHERE n.nspname = 'webhook'";

/* What the worker and people change is told on a channel, of a tenant on one of its own.  NULL:
 * there is none for this role. */
static const char channel[] =
"SELECT 'LISTEN ' || pg_catalog.quote_ident(webhook.notify_channel())";

/* An extension that is older than tenants has this one. */
static const char older[] = "LISTEN webhook";

/* A token is used up by this, and the connection is its tenant's from then on. */
static const char acting[] = "SELECT webhook.act_as($1)";

static const char naming[] = "SELECT 'tenant ' || name FROM webhook.tenant";

static const char sentence[] =
"user or password is wrong, or this role may not use the portal";

typedef enum SigninStep
{
	SIGNIN_WAITING,				/* for a place */
	SIGNIN_CONNECTING,
	SIGNIN_RIGHTS,				/* asks whether the role may use the extension */
	SIGNIN_ACTING,				/* gives the token back */
	SIGNIN_NAMING,				/* asks whose it was */
	SIGNIN_CHANNEL,				/* asks where it is told what changes */
	SIGNIN_LISTENING,
	SIGNIN_REFUSED				/* keeps its place until it is told so */
} SigninStep;

typedef struct Signin
{
	struct Signin *next;
	PortalExchange *exchange;
	PortalLink *link;			/* NULL unless it is connected or connects */
	SigninStep	step;
	int64_t		began;			/* when it got its place */
	int64_t		answer_at;		/* once it is refused */
	unsigned	status;			/* what it is told then */
	PortalError error;
	char	   *told;			/* by the database: an error's message, or the command to listen */
	const char *token;			/* a parameter of a statement */
	bool		sees_own;		/* not the platform and all tenants */
	char		sight[PORTAL_MAX_SIGHT + 1];	/* empty: that of a token */
} Signin;

static struct
{
	Signin	   *first;			/* in the order of coming */
	int			nactive;		/* how many have a place */
}			signins;

void
portal_signin_begin(const PortalOptions *options, PortalExchange *exchange)
{
	Signin	  **last = &signins.first;
	Signin	   *signin;
	int			nall = 0;
	int			nmine = 0;

	for (; *last != NULL; last = &(*last)->next)
	{
		nall++;
		nmine += strcmp((*last)->exchange->from, exchange->from) == 0;
	}
	if (exchange->credentials->user[0] == '\0' && options->service == NULL)
	{
		portal_exchange_refuse(exchange, 401, "this portal takes no tokens");
		return;
	}
	if (nall >= PORTAL_MAX_SIGNINS + PORTAL_MAX_WAITING || nmine >= MAX_OF_ADDRESS)
	{
		exchange->retry_after = 5;
		portal_exchange_refuse(exchange, 429, "too many are signing in at once");
		return;
	}
	signin = portal_new(sizeof(Signin));
	signin->exchange = exchange;
	exchange->has_session = true;
	*last = signin;
}

static void
close_link(Signin *signin)
{
	if (signin->link != NULL)
		portal_link_close(signin->link);
	signin->link = NULL;
}

static bool
has_token(const Signin *signin)
{
	return signin->exchange->credentials->user[0] == '\0';
}

/* "why" is for the log, the sentence for the person. */
static void
refuse(Signin *signin, unsigned status, const char *sqlstate, const char *message,
	   const char *why)
{
	int64_t		lasted = portal_now() - signin->began;

	close_link(signin);
	portal_log(why, has_token(signin) ? "with a token" : signin->exchange->credentials->user,
			   signin->exchange->from);
	portal_forget(signin->exchange->credentials->password, PORTAL_MAX_PASSWORD);
	signin->step = SIGNIN_REFUSED;
	signin->status = status;
	signin->error.sqlstate = sqlstate;
	signin->error.message = message;
	signin->answer_at = signin->began + (lasted / 1000 + 1) * 1000;
}

static void
refuse_person(Signin *signin, const char *why)
{
	refuse(signin, 401, "28P01", sentence, why);
}

/* The server has refused the connection, or there was none. */
static void
refuse_connection(Signin *signin, PortalLinkState state)
{
	const PortalError *error = portal_link_error(signin->link);
	const char *sqlstate = error == NULL ? NULL : error->sqlstate;

	if (state == PORTAL_LINK_UNREACHABLE)
		refuse(signin, 503, "08001", "the database cannot be reached",
			   "refused, the database cannot be reached");
	else if (sqlstate != NULL && strcmp(sqlstate, "57P03") == 0)
		refuse(signin, 503, "57P03", "the database is starting up or shutting down",
			   "refused, the database is starting up or shutting down");
	else if (sqlstate != NULL && strncmp(sqlstate, "53", 2) == 0)
		refuse(signin, 503, "53300", "the database takes no more connections",
			   "refused, the database takes no more connections");
	else if (sqlstate != NULL && strcmp(sqlstate, "3D000") == 0)
		refuse(signin, 503, "3D000", "the portal's database does not exist",
			   "refused, the database does not exist");
	else
		refuse_person(signin, "refused by the database");
}

static void
ask_rights(const PortalOptions *options, Signin *signin)
{
	if (has_token(signin))
	{
		PortalStatement statement = {
			.text = acting,.values = &signin->token,.nvalues = 1,.writes = true
		};

		signin->token = signin->exchange->credentials->password;
		portal_link_send(signin->link, &statement);
		signin->step = SIGNIN_ACTING;
	}
	else if (!portal_link_asked_password(signin->link))
		refuse_person(signin, "refused, the database asked for no password: see pg_hba.conf");
	else if (portal_link_is_superuser(signin->link) && !options->allow_superuser)
		refuse_person(signin, "refused, a superuser");
	else
	{
		portal_link_ask(signin->link, rights);
		signin->step = SIGNIN_RIGHTS;
	}
}

static void
ask_channel(Signin *signin)
{
	portal_link_take(signin->link);
	portal_link_ask(signin->link, channel);
	signin->step = SIGNIN_CHANNEL;
}

/* Without a channel there are no notices, and all else. */
static void
listen_to(Signin *signin)
{
	const PortalError *error = portal_link_error(signin->link);
	const char *command = portal_link_value(signin->link);

	if (error != NULL && error->sqlstate != NULL && strcmp(error->sqlstate, "42883") == 0)
		command = older;
	if (command != NULL)
		signin->told = portal_copy(command);
	portal_link_take(signin->link);
	portal_link_ask(signin->link, signin->told != NULL ? signin->told : "SELECT");
	signin->step = SIGNIN_LISTENING;
}

static void
judge_rights(Signin *signin)
{
	const char *value = portal_link_value(signin->link);

	if (portal_link_error(signin->link) != NULL)
		refuse_person(signin, "refused, its rights cannot be read");
	else if (value == NULL)
		refuse(signin, 503, "3F000", "the database lacks the extension webhook",
			   "refused, the database lacks the extension webhook");
	else if (strncmp(value, "none", strlen("none")) == 0)
		refuse_person(signin, "refused, it may not use schema webhook");
	else
	{
		signin->sees_own = strncmp(value, "own", strlen("own")) == 0;
		if (strlen(value) <= PORTAL_MAX_SIGHT)
			strcpy(signin->sight, value);
		ask_channel(signin);
	}
}

/* The database has taken the token, or says what is wrong with it. */
static void
judge_token(Signin *signin)
{
	const PortalError *error = portal_link_error(signin->link);

	if (error == NULL)
	{
		portal_forget(signin->exchange->credentials->password, PORTAL_MAX_PASSWORD);
		portal_link_take(signin->link);
		portal_link_ask(signin->link, naming);
		signin->step = SIGNIN_NAMING;
	}
	else if (error->sqlstate != NULL && strcmp(error->sqlstate, "28000") == 0)
	{
		signin->told = portal_copy(error->message);
		refuse(signin, 401, "28000", signin->told, "refused, its token is of no use");
	}
	else
		refuse(signin, 503, error->sqlstate != NULL && strcmp(error->sqlstate, "42883") == 0 ?
			   "42883" : "42501", "the portal cannot act for tenants",
			   "refused, the role of --service may not act: see webhook.grant_portal()");
}

/* From here on the session is known by its tenant. */
static void
take_name(Signin *signin)
{
	const char *name = portal_link_value(signin->link);

	if (name == NULL || strlen(name) > PORTAL_MAX_WHO)
	{
		refuse(signin, 503, "42501", "the portal cannot act for tenants",
			   "refused, the tenant of the token cannot be read");
		return;
	}
	strcpy(signin->exchange->credentials->password, name);
	signin->sees_own = true;
	ask_channel(signin);
}

static void
give_place(const PortalOptions *options, Signin *signin, int64_t now)
{
	signin->began = now;
	if (has_token(signin))
		signin->link = portal_link_open(options->service, NULL, options->service_password);
	else
	{
		PortalCredentials *credentials = signin->exchange->credentials;

		signin->link = portal_link_open(options->database, credentials->user,
										credentials->password);
		portal_forget(signin->exchange->credentials->password, PORTAL_MAX_PASSWORD);
	}
	signin->step = SIGNIN_CONNECTING;
	signins.nactive++;
}

/* Returns true if it is over, and the exchange has its answer or its session. */
static bool
work(const PortalOptions *options, PortalSignedIn signed_in, Signin *signin, int64_t now)
{
	PortalLinkState state;

	if (signin->step == SIGNIN_WAITING && signins.nactive < PORTAL_MAX_SIGNINS)
		give_place(options, signin, now);
	if (signin->step == SIGNIN_WAITING)
		return false;
	if (signin->step == SIGNIN_REFUSED)
	{
		if (now < signin->answer_at)
			return false;
		portal_exchange_fail(signin->exchange, signin->status, &signin->error);
		portal_exchange_session_leaves(signin->exchange);
		return true;
	}

	state = portal_link_work(signin->link);
	if (state == PORTAL_LINK_REFUSED || state == PORTAL_LINK_UNREACHABLE)
		refuse_connection(signin, state);
	else if (state == PORTAL_LINK_LOST)
		refuse(signin, 503, "08006", "the database has ended the connection",
			   "refused, the connection was lost");
	else if (signin->step == SIGNIN_CONNECTING && state == PORTAL_LINK_IDLE)
		ask_rights(options, signin);
	else if (signin->step == SIGNIN_RIGHTS && state == PORTAL_LINK_DONE)
		judge_rights(signin);
	else if (signin->step == SIGNIN_ACTING && state == PORTAL_LINK_DONE)
		judge_token(signin);
	else if (signin->step == SIGNIN_NAMING && state == PORTAL_LINK_DONE)
		take_name(signin);
	else if (signin->step == SIGNIN_CHANNEL && state == PORTAL_LINK_DONE)
		listen_to(signin);
	else if (signin->step == SIGNIN_LISTENING && state == PORTAL_LINK_DONE)
	{
		/* A standby cannot listen, and shows what it has without notices. */
		PortalLink *link = signin->link;

		signin->link = NULL;
		portal_link_take(link);
		signed_in(options, signin->exchange, link, signin->sees_own, signin->sight);
		return true;
	}
	else if (now > signin->began + LONGEST)
		refuse(signin, 503, "08001", "the database does not answer",
			   "refused, the database does not answer");
	return false;
}

void
portal_signins_work(const PortalOptions *options, PortalSignedIn signed_in)
{
	Signin	  **at = &signins.first;
	int64_t		now = portal_now();

	while (*at != NULL)
	{
		Signin	   *signin = *at;

		if (!work(options, signed_in, signin, now))
		{
			at = &signin->next;
			continue;
		}
		*at = signin->next;
		signins.nactive--;
		free(signin->told);
		free(signin);
	}
}

size_t
portal_signins_poll(struct pollfd *fds, size_t room)
{
	size_t		nfds = 0;

	for (Signin *signin = signins.first; signin != NULL && nfds < room; signin = signin->next)
	{
		if (signin->link != NULL)
			portal_link_poll(signin->link, &fds[nfds++]);
	}
	return nfds;
}

int64_t
portal_signins_due(void)
{
	int64_t		due = PORTAL_NEVER;

	for (Signin *signin = signins.first; signin != NULL; signin = signin->next)
	{
		int64_t		mine = PORTAL_NEVER;

		if (signin->step == SIGNIN_WAITING)
			mine = signins.nactive < PORTAL_MAX_SIGNINS ? 0 : PORTAL_NEVER;
		else if (signin->step == SIGNIN_REFUSED)
			mine = signin->answer_at;
		else
			mine = signin->began + LONGEST + 1;
		if (mine < due)
			due = mine;
	}
	return due;
}

void
portal_signins_stop(void)
{
	while (signins.first != NULL)
	{
		Signin	   *signin = signins.first;

		signins.first = signin->next;
		close_link(signin);
		portal_exchange_refuse(signin->exchange, 503, "the portal stops");
		portal_exchange_session_leaves(signin->exchange);
		free(signin->told);
		free(signin);
	}
	signins.nactive = 0;
}
