/*
 * log_ddl_internal.h
 *	  What may not be added to webhook.log.
 */
#ifndef WEBHOOK_LOG_DDL_INTERNAL_H
#define WEBHOOK_LOG_DDL_INTERNAL_H

#include "nodes/parsenodes.h"

/*
 * Raise an error for a statement that adds to webhook.log what a dump would have
 * for its leaves only. If the user does not own the table, the statement fails
 * with PostgreSQL's own error.
 */
extern void webhook_log_refuse_index(const IndexStmt *stmt);
extern void webhook_log_refuse_addition(const AlterTableStmt *stmt);

#endif							/* WEBHOOK_LOG_DDL_INTERNAL_H */
