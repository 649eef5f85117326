/*
 * filter.h
 *	  Content filters: a predicate on an event's Data, in SQL/JSON path
 *	  language.
 */
#ifndef WEBHOOK_FILTER_H
#define WEBHOOK_FILTER_H

#include "ring/event.h"

typedef struct WebhookFilter WebhookFilter;

/*
 * A filter from a value of type jsonpath, in CurrentMemoryContext. NULL for the
 * path "true", which refuses nothing.
 */
extern WebhookFilter *webhook_filter_make(Datum path);

/*
 * Does the event pass, as jsonb_path_match() in silent mode tells? Data that
 * jsonb refuses, or that have a number of more than a thousand digits where the
 * path multiplies or divides, and a path that answers neither true nor false,
 * are no; then "filter_errors" becomes true, as it does for what takes a worker too
 * long. Needs a transaction, and a worker for which statement_timeout is off.
 * Consecutive calls for one event convert its Data once; webhook_filter_reset()
 * forgets it, before the event's memory is given back.
 */
extern bool webhook_filter_accepts(WebhookFilter *filter,
								   const WebhookEvent *event, bool *filter_errors);

/* The same in a session, whose own limits hold. */
extern bool webhook_filter_matches(WebhookFilter *filter,
								   const WebhookEvent *event);
extern void webhook_filter_reset(void);

/*
 * An error with HINT if a jsonpath cannot be a filter: it has like_regex, a
 * variable, numbers or products that are too much, or what costs more than in
 * proportion to the data. In filter_cost.c.
 */
extern void webhook_filter_check(Datum path);

#endif							/* WEBHOOK_FILTER_H */
