/*
 * statement.c
 *	  Knows the statements that change rows, and those whose triggers are called.
 *
 * The executor calls a statement's AFTER triggers in ExecutorFinish. Hooks there
 * and in ExecutorStart know all statements that are changing rows, those included
 * of which no watch has been called yet: a statement that changes two tables may
 * call the triggers of the other table first. COPY has no executor; a hook of
 * utility commands knows it.
 *
 * A statement is identified by the memory context that the executor keeps the
 * statement's functions in. The struct is in that context, too, and is freed with
 * it, whether the statement ends or fails. That of COPY is on the stack of the hook.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/utility.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "capture/statement_internal.h"

static struct
{
	dlist_head	list;			/* WebhookStatement, the innermost first */
	int64		last_number;	/* of a statement */
	WebhookStatementCall finished;	/* see webhook_statement_init() */
	WebhookStatementCall ended; /* see webhook_statement_init() */
	ExecutorStart_hook_type next_start; /* hook that was installed before ours */
	ExecutorFinish_hook_type next_finish;	/* hook that was installed before ours */
	ProcessUtility_hook_type next_utility;	/* hook that was installed before ours */
}			statements =

{
	.list = DLIST_STATIC_INIT(statements.list)
};

static void executor_start(QueryDesc *query, int eflags);
static void executor_finish(QueryDesc *query);
static void process_utility(PlannedStmt *command, const char *query, bool read_only_tree,
							ProcessUtilityContext context, ParamListInfo params,
							QueryEnvironment *environment, DestReceiver *dest,
							QueryCompletion *completion);
static WebhookStatement *find(MemoryContext context);
static void next_utility(PlannedStmt *command, const char *query, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *environment, DestReceiver *dest,
						 QueryCompletion *completion);
static void begin(WebhookStatement *statement, CommandId command);
static void finish(WebhookStatement *statement);
static void end(void *arg);

void
webhook_statement_init(WebhookStatementCall finished, WebhookStatementCall ended)
{
	statements.finished = finished;
	statements.ended = ended;
	statements.next_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	statements.next_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
	statements.next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

int64
webhook_statement_next_number(void)
{
	return ++statements.last_number;
}

int
webhook_statement_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

WebhookStatement *
webhook_statement_finishing(MemoryContext context)
{
	WebhookStatement *one = find(context);

	return one != NULL && one->depth > 0 ? one : NULL;
}

/* The statement of that context, or NULL. */
static WebhookStatement *
find(MemoryContext context)
{
	dlist_iter	iter;

	dlist_foreach(iter, &statements.list)
	{
		WebhookStatement *one = dlist_container(WebhookStatement, node, iter.cur);

		if (one->context == context)
			return one;
	}
	return NULL;
}

WebhookStatement *
webhook_statement_outermost(void)
{
	WebhookStatement *outermost = NULL;
	dlist_iter	iter;

	dlist_foreach(iter, &statements.list)
	{
		WebhookStatement *one = dlist_container(WebhookStatement, node, iter.cur);

		if (one->depth > 0 && !one->full)
			outermost = one;
	}
	return outermost;
}

WebhookStatement *
webhook_statement_maker(HeapTupleHeader version)
{
	dlist_iter	iter;

	if (dlist_is_empty(&statements.list) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(version)))
		return NULL;
	dlist_foreach(iter, &statements.list)
	{
		WebhookStatement *one = dlist_container(WebhookStatement, node, iter.cur);

		if (one->depth == 0 && !one->full && one->command == HeapTupleHeaderGetCmin(version))
			return one;
	}
	return NULL;
}

void
webhook_statement_calls(MemoryContext context, int64 number)
{
	WebhookStatement *innermost;

	if (dlist_is_empty(&statements.list))
		return;
	innermost = dlist_head_element(WebhookStatement, node, &statements.list);
	if (innermost->context == NULL)
	{
		innermost->context = context;
		innermost->number = number;
		innermost->depth = webhook_statement_depth();
	}
}

/* Hook: a statement will change rows, and execute BEFORE triggers and functions. */
static void
executor_start(QueryDesc *query, int eflags)
{
	WebhookStatement *one;

	if (statements.next_start != NULL)
		statements.next_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);

	/* What a foreign key's cascade changes calls the triggers of the statement that it is in. */
	if ((query->operation == CMD_SELECT && !query->plannedstmt->hasModifyingCTE) ||
		(query->estate->es_top_eflags & (EXEC_FLAG_SKIP_TRIGGERS | EXEC_FLAG_EXPLAIN_ONLY)) != 0)
		return;

	one = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(WebhookStatement));
	one->context = query->estate->es_query_cxt;
	one->freed.func = end;
	one->freed.arg = one;
	begin(one, query->estate->es_output_cid);
	MemoryContextRegisterResetCallback(one->context, &one->freed);
}

/* Hook: a statement has made its changes, and its triggers are called. */
static void
executor_finish(QueryDesc *query)
{
	WebhookStatement *statement = find(query->estate->es_query_cxt);

	if (statement != NULL)
	{
		statement->number = webhook_statement_next_number();
		statement->depth = webhook_statement_depth() + 1;
	}

	if (statements.next_finish != NULL)
		statements.next_finish(query);
	else
		standard_ExecutorFinish(query);

	if (statement != NULL)
		finish(statement);
}

/* Hook: a COPY changes rows, and its triggers are called. */
static void
process_utility(PlannedStmt *command, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	WebhookStatement copy = {0};

	if (!IsA(command->utilityStmt, CopyStmt) || !((CopyStmt *) command->utilityStmt)->is_from)
	{
		next_utility(command, query, read_only_tree, context, params, environment, dest,
					 completion);
		return;
	}

	begin(&copy, GetCurrentCommandId(false));
	PG_TRY();
	{
		next_utility(command, query, read_only_tree, context, params, environment, dest,
					 completion);
		finish(&copy);
	}
	PG_FINALLY();
	{
		end(&copy);
	}
	PG_END_TRY();
}

static void
next_utility(PlannedStmt *command, const char *query, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params,
			 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	ProcessUtility_hook_type next =
		statements.next_utility != NULL ? statements.next_utility : standard_ProcessUtility;

	next(command, query, read_only_tree, context, params, environment, dest, completion);
}

/* A statement begins; it is the innermost of those that change rows. */
static void
begin(WebhookStatement *statement, CommandId command)
{
	statement->command = command;
	dlist_push_head(&statements.list, &statement->node);
}

/* All triggers of a statement have been called: nothing more is within it. */
static void
finish(WebhookStatement *statement)
{
	if (statement->number == 0)
		statement->number = webhook_statement_next_number();
	statements.finished(statement);
	end(statement);
}

/*
 * A statement has ended, or failed. Also the callback of its memory context, after the first
 * call as well.
 */
static void
end(void *arg)
{
	WebhookStatement *statement = arg;

	if (statement->ended)
		return;
	statement->ended = true;
	dlist_delete(&statement->node);
	statements.ended(statement);
}
