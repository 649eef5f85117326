/*
 * acting_hooks.c
 *	  The statements and transactions of a session that acts by a token.
 *
 * Functions and views ask whether the token is still good when they are evaluated. A cursor
 * has been evaluated, and so has a portal of the extended protocol that is read in parts. So
 * whatever is executed, or executed further, asks again. What a statement has computed as a
 * whole is read without the executor: FETCH asks, and a cursor WITH HOLD, which would keep it
 * beyond its transaction, is refused. The extended protocol can read the rest of such a
 * statement in the same transaction. Statements by which a session is put back for somebody
 * else ask nothing.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/utility.h"

#include "base/acting.h"
#include "base/acting_hooks.h"
#include "base/compat.h"

static struct
{
	ExecutorRun_hook_type executor_run;
	ProcessUtility_hook_type process_utility;
}			next;				/* hooks that were installed before ours */

static void executor_run(QueryDesc *query, ScanDirection direction,
						 uint64 count COMPAT_RUN_ONCE_PARAMETER);
static void process_utility(PlannedStmt *command, const char *query, bool read_only_tree,
							ProcessUtilityContext context, ParamListInfo params,
							QueryEnvironment *environment, DestReceiver *dest,
							QueryCompletion *completion);
static void at_prepare(XactEvent event, void *arg);

void
webhook_acting_hooks_init(void)
{
	next.executor_run = ExecutorRun_hook != NULL ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = executor_run;
	next.process_utility =
		ProcessUtility_hook != NULL ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = process_utility;
	RegisterXactCallback(at_prepare, NULL);
}

/* Hook: a query is executed, or executed further. The leader has asked for its parallel workers. */
static void
executor_run(QueryDesc *query, ScanDirection direction, uint64 count COMPAT_RUN_ONCE_PARAMETER)
{
	if (!IsParallelWorker())
		webhook_acting_check();
	next.executor_run(query, direction, count COMPAT_RUN_ONCE_ARGUMENT);
}

/* Hook: a statement that may read a cursor without the executor, or make such a cursor. */
static void
process_utility(PlannedStmt *command, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	switch (nodeTag(command->utilityStmt))
	{
		case T_CallStmt:
		case T_DoStmt:
		case T_FetchStmt:
			webhook_acting_check();
			break;
		case T_DeclareCursorStmt:
			if (webhook_acting() &&
				(((DeclareCursorStmt *) command->utilityStmt)->options & CURSOR_OPT_HOLD) != 0)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot declare a cursor WITH HOLD after webhook.act_as()"),
						 errhint("Declare it without, in a transaction.")));
			break;
		default:
			break;
	}
	next.process_utility(command, query, read_only_tree, context, params, environment, dest,
						 completion);
}

/*
 * The session would act by a token that is not taken before COMMIT PREPARED, and others that
 * want to exchange or to revoke it would wait for that.
 */
static void
at_prepare(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_PREPARE && webhook_acting_is_uncommitted())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has called webhook.act_as()"),
				 errhint("Commit the call first.")));
}
