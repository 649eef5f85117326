/*
 * own_relations_internal.h
 *	  DDL that the extension's own relations do not survive.
 */
#ifndef WEBHOOK_OWN_RELATIONS_INTERNAL_H
#define WEBHOOK_OWN_RELATIONS_INTERNAL_H

#include "nodes/parsenodes.h"

/*
 * Raise an error for a statement that would take from one of our relations what
 * the extension finds it by, or what a dump or a crash needs. If the user does not
 * own the relation, the statement fails with PostgreSQL's own error.
 */
extern void webhook_own_refuse_index(const IndexStmt *stmt);
extern void webhook_own_refuse_rename(const RenameStmt *stmt);
extern void webhook_own_refuse_move(const AlterObjectSchemaStmt * stmt);
extern void webhook_own_refuse_change(const AlterTableStmt *stmt);

#endif							/* WEBHOOK_OWN_RELATIONS_INTERNAL_H */
