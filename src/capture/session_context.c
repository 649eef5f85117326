/*
 * session_context.c
 *	  What the session says of who causes its changes, and why: settings
 *	  webhook.context and webhook.traceparent.
 *
 * Anybody may set them, in the middle of a transaction, to anything. So a value is
 * checked when an event needs it, once a value: what is invalid is left out with
 * a WARNING, and the application's statement goes on.
 *
 * The log has the context as jsonb, which the worker makes. So what jsonb would
 * refuse is invalid here: the character zero, and a number beyond numeric.
 */
#include "postgres.h"

#include <ctype.h>

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "capture/capture.h"
#include "ring/context.h"

/* Characters that the exponent of a number may have. */
#define MAX_EXPONENT 4

static struct
{
	char	   *context;		/* webhook.context */
	char	   *traceparent;	/* webhook.traceparent */
	bool		changed;		/* one of them was set since "text" was made */
	char	   *text;			/* both as the ring has them, in TopMemoryContext; NULL: none */
}			session;

static void assign(const char *value, void *extra);
static void make_text(void);
static void warn(const char *setting, const char *problem);
static const char *problem_of_context(const char *context);
static bool has_large_number(const char *json);

void
webhook_session_context_init(void)
{
	DefineCustomStringVariable("webhook.context",
							   "Sets who or what causes the changes of this transaction, as a JSON object.",
							   "Events carry it; use SET LOCAL.",
							   &session.context,
							   "",
							   PGC_USERSET, 0,
							   NULL, assign, NULL);

	DefineCustomStringVariable("webhook.traceparent",
							   "Sets the trace that the changes of this transaction belong to.",
							   "A traceparent of W3C Trace Context; requests carry it. Use SET LOCAL.",
							   &session.traceparent,
							   "",
							   PGC_USERSET, 0,
							   NULL, assign, NULL);
}

const char *
webhook_session_context(void)
{
	if (session.changed)
		make_text();
	return session.text;
}

static void
assign(const char *value, void *extra)
{
	session.changed = true;
}

static void
make_text(void)
{
	WebhookContext context = {0};
	const char *problem;
	char	   *text;

	/* What fails once is told once, also if telling fails. */
	session.changed = false;
	if (session.text != NULL)
		pfree(session.text);
	session.text = NULL;

	if (session.traceparent != NULL && session.traceparent[0] != '\0')
	{
		if (webhook_context_is_traceparent(session.traceparent))
			context.traceparent = webhook_text(session.traceparent);
		else
			warn("webhook.traceparent", "It is no traceparent of W3C Trace Context.");
	}
	if (session.context != NULL && session.context[0] != '\0')
	{
		problem = problem_of_context(session.context);
		if (problem == NULL)
			context.context = webhook_text(session.context);
		else
			warn("webhook.context", problem);
	}
	text = webhook_context_form(&context);
	if (text != NULL)
	{
		session.text = MemoryContextStrdup(TopMemoryContext, text);
		pfree(text);
	}
}

static void
warn(const char *setting, const char *problem)
{
	ereport(WARNING,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("events are published without the value of \"%s\"", setting),
			 errdetail_internal("%s", problem),
			 errhint("Set it to a JSON object, or a traceparent, of at most %d bytes together.",
					 WEBHOOK_MAX_CONTEXT)));
}

/* Why a context is invalid; NULL: it is valid. */
static const char *
problem_of_context(const char *context)
{
	int			length = strlen(context);
	JsonLexContext *lexer;

	if (length + WEBHOOK_TRACEPARENT_LENGTH > WEBHOOK_MAX_CONTEXT)
		return "It is too long.";
	if (context[0] != '{' || context[length - 1] != '}')
		return "It is no JSON object without blanks around it.";

	/* PostgreSQL 15 raises an error for an escape that the database's encoding lacks. */
	if (GetDatabaseEncoding() != PG_UTF8 && strstr(context, "\\u") != NULL)
		return "It has escapes with \\u, which only a database in UTF-8 has.";
	lexer = compat_json_lexer(context, length, true);
	if (pg_parse_json(lexer, &nullSemAction) != JSON_SUCCESS)
		return "It is no valid JSON.";
	return has_large_number(context) ? "It has a number that is too large." : NULL;
}

/* Returns true if a number of valid JSON has a long exponent. */
static bool
has_large_number(const char *json)
{
	bool		in_string = false;

	for (; *json; json++)
	{
		if (in_string && *json == '\\')
			json++;
		else if (*json == '"')
			in_string = !in_string;
		else if (!in_string && isdigit((unsigned char) *json) &&
				 (json[1] == 'e' || json[1] == 'E') &&
				 strspn(json + 2, "+-0123456789") > MAX_EXPONENT)
			return true;
	}
	return false;
}
