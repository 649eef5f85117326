/*
 * context.c
 *	  Who or what caused an event, as its application says: column "context" of
 *	  the ring.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "ring/context.h"

#define TRACEPARENT "\"traceparent\":\""
#define CONTEXT "\"context\":"

static bool skip(const char **text, const char *what);

char *
webhook_context_form(const WebhookContext *context)
{
	StringInfoData form;

	if (context->traceparent.text == NULL && context->context.text == NULL)
		return NULL;
	initStringInfo(&form);
	appendStringInfoChar(&form, '{');
	if (context->traceparent.text != NULL)
	{
		appendStringInfoString(&form, TRACEPARENT);
		appendBinaryStringInfo(&form, context->traceparent.text, context->traceparent.length);
		appendStringInfoString(&form, context->context.text != NULL ? "\"," : "\"");
	}
	if (context->context.text != NULL)
	{
		appendStringInfoString(&form, CONTEXT);
		appendBinaryStringInfo(&form, context->context.text, context->context.length);
	}
	appendStringInfoChar(&form, '}');
	return form.data;
}

WebhookContext
webhook_context_parse(const char *text)
{
	const WebhookContext none = {0};
	WebhookContext found = {0};

	if (text == NULL || !skip(&text, "{"))
		return none;
	if (skip(&text, TRACEPARENT))
	{
		char		candidate[WEBHOOK_TRACEPARENT_LENGTH + 1];

		strlcpy(candidate, text, sizeof(candidate));
		if (!webhook_context_is_traceparent(candidate))
			return none;
		found.traceparent.text = text;
		found.traceparent.length = WEBHOOK_TRACEPARENT_LENGTH;
		text += WEBHOOK_TRACEPARENT_LENGTH;
		if (!skip(&text, "\"") || (!skip(&text, ",") && *text != '}'))
			return none;
	}
	if (skip(&text, CONTEXT))
	{
		found.context.text = text;
		found.context.length = strlen(text) - 1;
		if (found.context.length < 2 || text[0] != '{' ||
			text[found.context.length - 1] != '}' || text[found.context.length] != '}')
			return none;
	}
	return found;
}

bool
webhook_context_is_traceparent(const char *text)
{
	static const char form[] = "00-00000000000000000000000000000000-0000000000000000-00";
	bool		trace = false;
	bool		parent = false;

	StaticAssertStmt(sizeof(form) == WEBHOOK_TRACEPARENT_LENGTH + 1, "form of a traceparent");
	if (strlen(text) != WEBHOOK_TRACEPARENT_LENGTH || strncmp(text, "ff", 2) == 0)
		return false;
	for (int i = 0; i < WEBHOOK_TRACEPARENT_LENGTH; i++)
	{
		bool		digit = (text[i] >= '0' && text[i] <= '9') ||
			(text[i] >= 'a' && text[i] <= 'f');

		if (form[i] == '-' ? text[i] != '-' : !digit)
			return false;
		/* Neither id is all zeros. */
		trace |= i >= 3 && i < 35 && text[i] != '0';
		parent |= i >= 36 && i < 52 && text[i] != '0';
	}
	return trace && parent;
}

/* If a text begins with "what", move it behind that. */
static bool
skip(const char **text, const char *what)
{
	size_t		length = strlen(what);

	if (strncmp(*text, what, length) != 0)
		return false;
	*text += length;
	return true;
}
