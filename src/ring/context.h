/*
 * context.h
 *	  Who or what caused an event, as its application says: column "context" of
 *	  the ring.
 *
 * The column is a JSON object in one form only, {"traceparent":"…","context":{…}}
 * without blanks, each key only where there is a value. So it is read without
 * parsing JSON; a text in another form, which somebody wrote by hand, has neither.
 */
#ifndef WEBHOOK_CONTEXT_H
#define WEBHOOK_CONTEXT_H

#include "ring/event.h"

/* Bytes of a traceparent (W3C Trace Context, section 3.2). */
#define WEBHOOK_TRACEPARENT_LENGTH 55

/* Bytes that a traceparent and a context may have together. */
#define WEBHOOK_MAX_CONTEXT 1024

typedef struct WebhookContext
{
	WebhookText traceparent;	/* header of each attempt */
	WebhookText context;		/* a JSON object */
} WebhookContext;

/* The text of the column, in CurrentMemoryContext; NULL if there is neither. */
extern char *webhook_context_form(const WebhookContext *context);

/* What a text of the column has, NULL included. The result points into the text. */
extern WebhookContext webhook_context_parse(const char *text);

/*
 * Returns true if a text is a traceparent: version, trace id, parent id and flags
 * in lower-case hexadecimal. A later version, which may be longer, is none here.
 */
extern bool webhook_context_is_traceparent(const char *text);

#endif							/* WEBHOOK_CONTEXT_H */
