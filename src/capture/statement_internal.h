/*
 * statement_internal.h
 *	  Knows the statements that change rows, and those whose triggers are called.
 */
#ifndef WEBHOOK_STATEMENT_INTERNAL_H
#define WEBHOOK_STATEMENT_INTERNAL_H

#include "access/htup.h"
#include "lib/ilist.h"
#include "utils/palloc.h"

/* A statement that changes rows, from its start until all of its triggers have been called. */
typedef struct WebhookStatement
{
	dlist_node	node;
	MemoryContext context;		/* of the executor; NULL: COPY, no watch of which has been called */
	CommandId	command;		/* makes the versions of its rows */
	int64		number;			/* from when its triggers are called; a later statement has a
								 * greater one */
	int			depth;			/* number of triggers that are being executed, its own included;
								 * 0: its triggers are not being called yet */
	bool		full;			/* the caller's: too much was held in it, so no more is */
	bool		ended;
	MemoryContextCallback freed;	/* called when the context is freed */
} WebhookStatement;

typedef void (*WebhookStatementCall) (WebhookStatement *statement);

/*
 * Install the hooks. "finished" is called when all triggers of a statement have
 * been called; it may raise an error. "ended" is called then, too, and when a
 * statement fails; it must not.
 */
extern void webhook_statement_init(WebhookStatementCall finished, WebhookStatementCall ended);

/* A number that is greater than all before it. */
extern int64 webhook_statement_next_number(void);

/* How many triggers are being executed, one within the other. */
extern int	webhook_statement_depth(void);

/* The statement of that context, if its triggers are being called; else NULL. */
extern WebhookStatement *webhook_statement_finishing(MemoryContext context);

/* The outermost statement whose triggers are being called and that is not full, or NULL. */
extern WebhookStatement *webhook_statement_outermost(void);

/*
 * The statement that has made a version of a row and whose triggers are not being
 * called yet, or NULL. Full ones do not count.
 */
extern WebhookStatement *webhook_statement_maker(HeapTupleHeader version);

/*
 * A trigger of the statement of that context and number is called. If the
 * innermost statement is a COPY of which none was called before, it is that one.
 */
extern void webhook_statement_calls(MemoryContext context, int64 number);

#endif							/* WEBHOOK_STATEMENT_INTERNAL_H */
